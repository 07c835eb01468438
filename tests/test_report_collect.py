"""A run written by hand into a warehouse comes back with its causes, benchmarks and warnings."""

from __future__ import annotations

import json
from datetime import date

import pandas as pd
import pytest

from chipwire.data.errors import BadParameter, NothingToDo, UnknownName
from chipwire.data.warehouse import Warehouse
from chipwire.reports.answer import five_figures, verdict
from chipwire.reports.collect import collect, collect_figures, metrics_of, monthly_returns, resolve_run
from chipwire.reports.summary import RunSummary

RUN = "0a1b2c3d4e5f"
SETTINGS = {"capital": 1000.0, "currency": "USD", "benchmarks": ["SPY", "HSTECH", "QQQ", "NOSUCH"]}
DAYS = [date(2024, 7, 1), date(2024, 7, 2), date(2024, 7, 3)]


def _insert(warehouse, table, **columns):
    warehouse.insert(table, pd.DataFrame(columns))


def _bars(warehouse, instrument, closes, adjusted=None):
    days = pd.to_datetime(list(closes))
    values = list(closes.values())
    _insert(
        warehouse, "bar", instrument=instrument, interval="1d", session=days, starts_at=days, open=values,
        high=values, low=values, close=values, adj_close=adjusted or [None] * len(days), volume=1.0,
        adjustment="none", batch_id=1,
    )  # fmt: skip


def _run(warehouse, run_id=RUN, run_no=1, model_id=None, settings=SETTINGS, warnings=()):
    _insert(
        warehouse, "run", run_id=[run_id], run_no=run_no, strategy="event-drift", engine="backtrader",
        params=json.dumps({"hold": 3}), settings=json.dumps(settings), data_fingerprint="f" * 16,
        model_id=[model_id], code_version="0.1.0", metrics="{}", warnings=json.dumps(list(warnings)),
    )  # fmt: skip


def _equity(warehouse, values, run_id=RUN):
    _insert(
        warehouse, "equity", run_id=run_id, day=pd.to_datetime(DAYS[: len(values)]), equity=values, cash=0.0,
        gross=values, costs=0.0, borrow=0.0, dividends=0.0,
    )  # fmt: skip


def _fill(warehouse, number, shares, realized=0.0):
    at = pd.Timestamp(2024, 7, number, 13, 30)
    _insert(
        warehouse, "fill", run_id=[RUN], fill_no=number, decision_at=at, auction_at=at,
        session=pd.Timestamp(2024, 7, number), venue="XHKG", auction="open", instrument="0981.HK", shares=shares,
        price=20.0, auction_price=19.9, currency="HKD", fx=0.125, commission=8.0, duty=4.0, levies=0.0,
        slippage=1.6, realized=realized,
    )  # fmt: skip


@pytest.fixture
def warehouse(tmp_path):
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as opened:
        yield opened


def test_a_fill_leads_back_to_its_headline_and_model(warehouse):
    _insert(
        warehouse, "model", model_id=["m1"], name="tiny", files_sha256="0", labels="[]", languages="[]",
        training_cutoff=pd.Timestamp(2024, 6, 30),
    )  # fmt: skip
    _insert(
        warehouse, "headline", headline_id=["h1", "h2"], title=["Foundry wins order", "Ban widened"],
        source=["Wire", None], url=["https://a.example/1", None], language="en",
        published_at=pd.Timestamp(2024, 6, 30, 8), published_precision="minute",
        available_at=[pd.Timestamp(2024, 6, 30, 8, 5), pd.Timestamp(2024, 7, 1, 8)], batch_id=1,
    )  # fmt: skip
    _insert(
        warehouse, "score", headline_id=["h1"], issuer="SMIC", model_id="m1", via="direct", p_negative=0.1,
        p_neutral=0.2, p_positive=0.7, p_relevant=0.9, reason="named", batch_id=1,
    )  # fmt: skip
    _insert(warehouse, "reading", headline_id=["h1"], model_id="m1", event="order", p_event=0.8, batch_id=1)
    _insert(
        warehouse, "fill_cause", run_id=RUN, fill_no=[1, 1, 2], rank=[1, 2, 1], headline_id=["h1", "h2", "gone"],
        issuer="SMIC", theme="localization", model_id="m1", strength=[0.5, 0.2, -0.4],
        relation=["own", "own", "opened"],
    )  # fmt: skip
    _run(warehouse, model_id="m1", warnings=["as the engine said"])
    _equity(warehouse, [1000.0, 1010.0, 1020.0])
    _fill(warehouse, 1, 500)
    _fill(warehouse, 2, -500, realized=10.0)
    report = collect(warehouse, "latest")
    first = report.causes.iloc[0]
    assert list(report.causes["fill_no"]) == [1, 1, 2]
    assert (first["title"], first["source"], first["model_name"]) == ("Foundry wins order", "Wire", "tiny")
    assert first["value"] == pytest.approx(0.7 - 0.1)
    assert first["event"] == "order"
    assert list(report.fills["side"]) == ["buy", "sell"]
    assert report.fills["cost"].iloc[0] == pytest.approx((8 + 4 + 1.6) * 0.125)
    assert report.costs["amount_base"].sum() == pytest.approx(report.metrics.costs["total"])
    assert report.metrics.as_json() == metrics_of(warehouse, RUN).as_json()
    assert report.warnings[0] == "as the engine said"
    assert "1 of 2 fills" in report.warnings[-1]
    assert "2024-06-30" in report.warnings[-1]
    alone = collect_figures(warehouse, "latest")
    for name in ("run", "days", "curve", "benchmarks", "missing", "check"):
        assert getattr(alone, name) == getattr(report, name)
    # Signals are measured for the whole report only.
    assert list(alone.warnings) == [warning for warning in report.warnings if "quality of the signals" not in warning]
    assert alone.metrics.as_json() == report.metrics.as_json()
    for name in ("reasons", "attribution"):
        pd.testing.assert_frame_equal(getattr(alone, name), getattr(report, name))


def test_benchmarks_are_rebased_in_the_base_currency(warehouse):
    _run(warehouse)
    _equity(warehouse, [1000.0, 1010.0, 1020.0])
    _bars(warehouse, "SPY", {date(2024, 6, 28): 100.0, DAYS[0]: 101.0, DAYS[2]: 90.0}, adjusted=[50.0, 51.0, 55.0])
    _bars(warehouse, "HSTECH", {date(2024, 6, 28): 4000.0, DAYS[1]: 4400.0})
    _insert(
        warehouse, "fx_rate", currency="HKD", fixed_on=pd.to_datetime(["2024-06-28", "2024-07-03"]),
        rate=[7.8, 7.5], available_at=pd.to_datetime(["2024-06-28 16:00", "2024-07-03 16:00"]), batch_id=1,
    )  # fmt: skip
    report = collect(warehouse, "latest")
    assert report.days == (date(2024, 6, 30), *DAYS)
    spy, hstech = report.benchmarks
    # Adjusted closes where there are some; a day without a bar keeps the last close.
    assert spy.values == pytest.approx([1000, 1000 * 51 / 50, 1000 * 51 / 50, 1000 * 55 / 50])
    assert spy.basis == "dividends included"
    assert hstech.values == pytest.approx([1000, 1000, 1100, 1100 * 7.8 / 7.5])
    assert hstech.total_return == pytest.approx(1.1 * 7.8 / 7.5 - 1)
    assert [name for name, _ in report.missing] == ["QQQ", "NOSUCH"]
    assert any("QQQ" in warning for warning in report.warnings)


def test_a_benchmark_that_starts_late_or_ends_early_says_so(warehouse):
    _run(warehouse, settings=SETTINGS | {"benchmarks": ["SPY", "QQQ"]})
    _equity(warehouse, [1000.0, 1010.0, 1020.0])
    _bars(warehouse, "SPY", {DAYS[1]: 100.0, DAYS[2]: 110.0})
    _bars(warehouse, "QQQ", {date(2024, 5, 1): 100.0})
    late, stale = (report := collect(warehouse, "1")).benchmarks
    assert late.starts_on == DAYS[1]
    assert late.total_return == pytest.approx(0.10)
    assert stale.total_return == 0.0
    assert "SPY starts only on 2024-07-02" in report.warnings[0]
    assert "QQQ ends on 2024-05-01" in report.warnings[1]


def test_a_run_is_measured_against_its_benchmarks(warehouse):
    _run(warehouse, settings=SETTINGS | {"benchmarks": ["SPY"]})
    _equity(warehouse, [1010.0, 1020.0, 1071.0])
    _bars(warehouse, "SPY", {date(2024, 6, 28): 100.0, DAYS[0]: 102.0, DAYS[2]: 96.9})
    (mark,) = collect(warehouse, "latest").benchmarks
    # No session on the second day: the run's two days from 1,010 to 1,071 stand beside one fall of 5%.
    assert mark.measures.pairs == 2
    assert mark.measures.up_capture == pytest.approx(0.01 / 0.02)
    assert mark.measures.down_capture == pytest.approx((1071 / 1010 - 1) / -0.05)


def test_sessions_without_a_bar_are_counted(warehouse):
    _run(warehouse, settings=SETTINGS | {"benchmarks": []})
    _equity(warehouse, [1000.0, 1010.0, 1020.0])
    _fill(warehouse, 2, 500)
    _bars(warehouse, "0981.HK", {date(2024, 6, 28): 20.0, DAYS[1]: 20.0})
    # Hong Kong was closed on the first day.
    assert any("0981.HK on 1 of 2 sessions" in warning for warning in collect(warehouse, "latest").warnings)
    _bars(warehouse, "0981.HK", {DAYS[2]: 20.0})
    assert not any("sessions" in warning for warning in collect(warehouse, "latest").warnings)


def test_an_order_cut_for_want_of_volume_counts_as_it_was_wanted(warehouse):
    _run(warehouse, settings=SETTINGS | {"benchmarks": [], "participation": 0.25})
    _equity(warehouse, [1000.0, 1010.0, 1020.0])
    _fill(warehouse, 2, 250)
    _fill(warehouse, 3, -100)
    _insert(
        warehouse, "bar", instrument="0981.HK", interval="1d", session=pd.to_datetime(DAYS[1:]),
        starts_at=pd.to_datetime(DAYS[1:]), open=20.0, high=20.0, low=20.0, close=20.0, volume=[1000.0, 2000.0],
        adjustment="none", batch_id=1,
    )  # fmt: skip
    at = pd.Timestamp(2024, 7, 2, 13, 30)
    _insert(
        warehouse, "unfilled", run_id=[RUN], order_no=1, decision_at=at, auction_at=at, session=pd.Timestamp(DAYS[1]),
        instrument="0981.HK", wanted=500, filled=250, reason="participation",
    )  # fmt: skip
    found = collect(warehouse, "latest").metrics
    # A quarter of the volume is allowed: 500 of 1,000 were wanted, twice that, and 100 of 2,000 sold.
    assert found.median_capacity == pytest.approx(1000 * (0.5 + 5.0) / 2)
    assert found.capacity == pytest.approx(1000 * (0.5 + 0.05 * 4.5))


def test_months_chain_to_the_whole():
    days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 29), date(2024, 4, 2)]
    months = monthly_returns(days, [100.0, 110.0, 120.0, 99.0, 198.0])
    assert list(months["month"]) == [1, 2, 4]
    assert list(months["return"]) == pytest.approx([0.10, 99 / 110 - 1, 1.0])
    assert (1 + months["return"]).prod() == pytest.approx(198 / 100)


def test_a_run_is_found_by_number_prefix_or_latest(warehouse):
    with pytest.raises(NothingToDo, match="backtest"):
        resolve_run(warehouse, "latest")
    _run(warehouse, "aa00", 1)
    _run(warehouse, "aa11", 2)
    _run(warehouse, "1bcd", 3)
    assert resolve_run(warehouse, "latest") == "1bcd"
    assert resolve_run(warehouse, "aa00") == "aa00"
    assert resolve_run(warehouse, "aa1") == "aa11"
    assert resolve_run(warehouse, "1") == "aa00"  # a number before a prefix
    with pytest.raises(BadParameter, match="2 runs"):
        resolve_run(warehouse, "aa")
    for unknown in ("zz", "", "latest'; DROP TABLE run"):
        with pytest.raises(UnknownName, match="runs list"):
            resolve_run(warehouse, unknown)


def test_the_answer_is_a_sentence_and_five_figures(warehouse):
    _run(warehouse, settings=SETTINGS | {"benchmarks": ["SPY"]})
    _equity(warehouse, [1000.0, 1250.0, 900.0])
    _bars(warehouse, "SPY", {date(2024, 6, 28): 100.0, DAYS[2]: 104.0})
    _fill(warehouse, 1, 500)
    report = collect(warehouse, "latest")
    assert verdict(report) == (
        "event-drift lost 10.0% after costs from 2024-07-01 to 2024-07-03 (USD 1,000 became USD 900), while SPY "
        "gained 4.0%. It made 1 trade, 0 of them closing or reducing a position: too few trades to tell skill "
        "from luck."
    )
    figures = dict(five_figures(report))
    assert figures["Total return"] == "-10.0%"
    assert figures["SPY return"] == "+4.0%"
    assert figures["Max drawdown"] == "-28.0%"
    assert len(figures) == 5


def test_the_terminal_shows_twelve_figures_and_json_all(warehouse):
    _run(warehouse, settings=SETTINGS | {"benchmarks": ["SPY"]})
    _equity(warehouse, [1000.0, 1250.0, 900.0])
    _bars(warehouse, "SPY", {date(2024, 6, 28): 100.0, DAYS[2]: 104.0})
    summary = RunSummary(report := collect(warehouse, "latest"))
    assert summary.figures[:5] == five_figures(report)
    assert len(summary.figures) == 12
    assert dict(summary.figures)["Beta to SPY"] == "n/a"
    content = json.loads(summary.as_json())
    assert content["benchmarks"]["SPY"]["alpha"] == {"value": None, "error": None, "t": None, "p": None}
    assert content["attribution"]["side"] == {"not explained": -100.0}


def test_a_run_without_trades_or_benchmarks(warehouse):
    _run(warehouse, settings={"capital": 1000.0, "currency": "USD"})
    _equity(warehouse, [1000.0])
    report = collect(warehouse, "latest")
    assert "It made no trade." in verdict(report)
    assert dict(five_figures(report))["Benchmark return"] == "n/a"
    assert report.fills.empty
    assert report.holdings.empty


def test_a_run_without_a_day_is_refused(warehouse):
    _run(warehouse)
    with pytest.raises(NothingToDo, match="no day of equity"):
        collect(warehouse, RUN)
