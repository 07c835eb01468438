"""The embedded bars and rates are what their description says, and go in as a user's file does."""

from datetime import date
from importlib import resources

import pytest

from chipwire.data.calendars import sessions
from chipwire.data.embedded.build_bars import FIRST, LAST, build
from chipwire.data.prices import ingest_prices
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse

UNIVERSE = load_universe()
FOLDER = resources.files("chipwire.data.embedded")
BENCHMARKS = {"HSTECH", "CSI300", "SOX", "SPY", "QQQ", "588000.SS", "510300.SS"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("embedded") / "w.duckdb"
    with Warehouse.open(path, write=True) as warehouse:
        paths = [str(FOLDER / "bars.parquet"), str(FOLDER / "fx.csv")]
        yield warehouse, ingest_prices(warehouse, paths, UNIVERSE)


def test_everything_goes_in(stored):
    _, summary = stored
    assert summary.refused == ()
    assert summary.rejected == 0
    assert all(row.bars_added == row.bars_read for row in summary.rows)
    assert all(row.limit_jumps == row.stale_bars == 0 for row in summary.rows)


def test_the_instruments_are_there(stored):
    _, summary = stored
    found = {row.instrument for row in summary.rows}
    stocks = {s for s in found if UNIVERSE.instrument(s).kind == "stock"}
    assert len(stocks) >= 14
    assert found >= BENCHMARKS


def test_the_span_is_covered_by_every_listing_of_its_time(stored):
    _, summary = stored
    for row in summary.rows:
        listing = UNIVERSE.instrument(row.instrument)
        begins = max(FIRST, listing.listed_on or FIRST)
        assert row.first_session == sessions(listing.venue, begins, LAST)[0].item()
        assert row.last_session == LAST
        assert row.missing_sessions <= 10


def test_figures_that_were_published(stored):
    """Closes as published (Nvidia's after its split of June 2024)."""
    warehouse, _ = stored
    published = {
        ("NVDA", date(2024, 6, 28)): 123.54,
        ("SPY", date(2024, 12, 31)): 586.08,
    }
    for (symbol, day), close in published.items():
        sql = "SELECT close FROM bar WHERE instrument = ? AND session = ?"
        assert warehouse.value(sql, [symbol, day]) == pytest.approx(close, abs=0.005), symbol


@pytest.mark.parametrize(
    ("symbol", "before", "day"),
    [
        ("688981.SS", date(2024, 9, 27), date(2024, 9, 30)),
        ("688981.SS", date(2024, 9, 30), date(2024, 10, 8)),
        ("688256.SS", date(2025, 8, 21), date(2025, 8, 22)),
    ],
)
def test_known_limit_closes_are_the_rounded_limit(stored, symbol, before, day):
    warehouse, _ = stored
    sql = "SELECT close FROM bar WHERE instrument = ? AND session = ?"
    close, limit_close = (warehouse.value(sql, [symbol, d]) for d in (before, day))
    assert limit_close == round(close * 1.2 + 1e-9, 2)


def test_known_halts_have_no_bars(stored):
    """SMIC-A did not trade from 1 to 8 September 2025, Hua Hong-A not from 18 to 29 August 2025."""
    warehouse, _ = stored
    sql = "SELECT count(*) FROM bar WHERE instrument = ? AND session BETWEEN ? AND ?"
    assert warehouse.value(sql, ["688981.SS", date(2025, 9, 1), date(2025, 9, 8)]) == 0
    assert warehouse.value(sql, ["688347.SS", date(2025, 8, 18), date(2025, 8, 29)]) == 0
    assert warehouse.value(sql, ["0981.HK", date(2025, 9, 1), date(2025, 9, 8)]) == 6


def test_rates_cover_the_span(stored):
    warehouse, _ = stored
    for currency, low, high in (("CNY", 6.6, 7.4), ("HKD", 7.74, 7.86)):
        first, last, count, least, most = warehouse.rows(
            "SELECT min(fixed_on), max(fixed_on), count(*), min(rate), max(rate) FROM fx_rate WHERE currency = ?",
            [currency],
        )[0]
        assert (first, last) == (FIRST, LAST)
        assert count > 700
        assert low < least
        assert most < high


def test_the_file_is_small():
    assert len((FOLDER / "bars.parquet").read_bytes()) < 1_500_000


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    prices = tmp_path / "prices"
    prices.mkdir()
    rows = "2022-11-30,16.5,17,16,16.8,1000\n2022-12-01,16.8,17,16.5,16.600001,2000\n2022-12-02,16.6,17,16.2,17,3000\n"
    (prices / "0981.HK.csv").write_text("date,open,high,low,close,volume\n" + rows)
    (prices / "fx.csv").write_text("date,USDCNY\n2022-11-30,7.1\n2022-12-01,7.05\n")
    made = []
    for name in ("one", "two"):
        out = tmp_path / name
        out.mkdir()
        assert build(prices, out) == ["0981.HK: 2 bars, none"]
        made.append([(out / f).read_bytes() for f in ("bars.parquet", "fx.csv")])
    assert made[0] == made[1]
    assert made[0][1] == b"date,USDCNY\n2022-12-01,7.05\n"
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "one" / "bars.parquet")
    assert table["close"].to_pylist() == [16.6, 17.0]
    assert table["session"].to_pylist() == [date(2022, 12, 1), date(2022, 12, 2)]
