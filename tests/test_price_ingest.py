"""Price files into a warehouse: what is added, kept, refused and reported."""

import os

import pytest

from chipwire.data.errors import BadParameter, UnknownName
from chipwire.data.prices import ingest_prices
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse

UNIVERSE = load_universe()
HEAD = "date,open,high,low,close,volume\n"
# Three sessions in Hong Kong, June 2024.
GOOD = HEAD + "2024-06-03,16.5,17,16,16.8,1000\n2024-06-04,16.8,17,16.5,16.6,2000\n2024-06-05,16.6,17,16.2,17,3000\n"


@pytest.fixture
def warehouse(tmp_path):
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as opened:
        yield opened


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def rejects(warehouse):
    return warehouse.rows("SELECT line, reason FROM reject ORDER BY file, line, reason")


def test_bars_and_quality_are_stored(warehouse, tmp_path):
    text = GOOD + "2024-06-06,17,17,17,17,0\n2024-06-10,17,18,17,17.5,10\n2024-06-11,20,18,17,17.5,10\n"
    summary = ingest_prices(warehouse, [put(tmp_path, "0981.HK.csv", text)], UNIVERSE)
    (row,) = summary.rows
    # 10 June 2024 was the Dragon Boat Festival; the 6th is a stale row; the 11th opens above its high.
    assert (row.bars_read, row.bars_kept, row.bars_added) == (6, 3, 3)
    assert (row.stale_bars, row.impossible_bars, row.off_calendar_bars, row.rejected) == (1, 1, 1, 2)
    assert (row.adjustment, row.volume_unit) == ("none", "shares")
    assert warehouse.rows("SELECT session::VARCHAR, close, volume, adjustment FROM bar ORDER BY session") == [
        ("2024-06-03", 16.8, 1000, "none"),
        ("2024-06-04", 16.6, 2000, "none"),
        ("2024-06-05", 17.0, 3000, "none"),
    ]
    assert warehouse.rows("SELECT stale_bars, impossible_bars, off_calendar_bars, bars_kept FROM price_quality") == [
        (1, 1, 1, 3)
    ]
    assert [line for line, _ in rejects(warehouse)] == [6, 7]
    assert summary.rejected == 2


def test_a_second_ingest_adds_nothing(warehouse, tmp_path):
    path = put(tmp_path, "0981.HK.csv", GOOD + "2024-06-10,17,18,17,17.5,10\n")
    ingest_prices(warehouse, [path], UNIVERSE)
    before = {t: warehouse.table_digest(t) for t in ("bar", "reject", "price_quality")}
    assert ingest_prices(warehouse, [path], UNIVERSE).added == 0
    assert {t: warehouse.table_digest(t) for t in before} == before


def test_stored_bars_stay_and_other_values_are_rejected_with_both(warehouse, tmp_path):
    ingest_prices(warehouse, [put(tmp_path, "0981.HK.csv", GOOD)], UNIVERSE)
    later = GOOD.replace("16.5,16.6,2000", "16.5,16.7,2500") + "2024-06-06,17,18,17,17.5,10\n"
    summary = ingest_prices(warehouse, [put(tmp_path, "new/0981.HK.csv", later)], UNIVERSE)
    assert summary.added == 1
    assert summary.rejected == 1
    (reject,) = rejects(warehouse)
    assert reject == (3, "revised: close 16.6 stored, 16.7 given; volume 2000 stored, 2500 given")
    assert warehouse.value("SELECT close FROM bar WHERE session = '2024-06-04'") == 16.6


def test_a_file_that_contradicts_most_is_refused_unless_it_replaces(warehouse, tmp_path):
    ingest_prices(warehouse, [put(tmp_path, "0981.HK.csv", GOOD)], UNIVERSE)
    other = HEAD + "".join(f"2024-06-0{d},8,9,7,8.4,1000\n" for d in (3, 4, 5, 6))
    path = put(tmp_path, "new/0981.HK.csv", other)
    summary = ingest_prices(warehouse, [path], UNIVERSE)
    (line,) = summary.refused
    assert "3 of 3 bars of 0981.HK" in line
    assert "2024-06-03: open 16.5 stored, 8 given" in line
    assert "--replace" in line
    assert warehouse.value("SELECT count(*) FROM bar") == 3
    assert rejects(warehouse) == [(0, line.removeprefix(f"{path}: "))]
    assert ingest_prices(warehouse, [path], UNIVERSE, replace=True).added == 4
    assert warehouse.value("SELECT max(close) FROM bar") == 8.4


def test_replace_drops_once_a_call(warehouse, tmp_path):
    first = put(tmp_path, "a/0981.HK.csv", HEAD + "2024-06-03,16.5,17,16,16.8,1000\n")
    second = put(tmp_path, "b/0981.HK.csv", HEAD + "2024-06-04,16.5,17,16,16.8,1000\n")
    assert ingest_prices(warehouse, [first, second], UNIVERSE, replace=True).added == 2
    assert warehouse.value("SELECT count(*) FROM bar") == 2


def test_adjustments_do_not_mix(warehouse, tmp_path):
    ingest_prices(warehouse, [put(tmp_path, "0981.HK.csv", GOOD)], UNIVERSE)
    path = put(tmp_path, "new/0981.HK.csv", HEAD + "2024-06-06,16.123457,17.2,16,16.8,1000\n")
    summary = ingest_prices(warehouse, [path], UNIVERSE)
    (line,) = summary.refused
    assert "stored with adjustment 'none' and this file has 'split+dividend'" in line
    assert warehouse.value("SELECT count(*) FROM bar") == 3
    assert ingest_prices(warehouse, [path], UNIVERSE, adjustment="none").added == 1


def test_a_later_adj_close_is_no_contradiction(warehouse, tmp_path):
    head = "date,open,high,low,close,adj_close,volume\n"
    row = "2024-06-0{0},100,110,90,105,{1},1000\n"
    old = head + "".join(row.format(d, 99) for d in (3, 4, 5))
    new = head + "".join(row.format(d, 98) for d in (3, 4, 5, 6))
    ingest_prices(warehouse, [put(tmp_path, "AMAT.csv", old)], UNIVERSE)
    summary = ingest_prices(warehouse, [put(tmp_path, "new/AMAT.csv", new)], UNIVERSE)
    assert (summary.added, summary.rejected, summary.refused) == (1, 0, ())
    assert any("3 stored bars have another adj_close" in note for note in summary.rows[0].notes)


def test_lots_become_shares(warehouse, tmp_path):
    text = HEAD + "2024-06-03,45,46,44,45,88544.57\n2024-06-04,45,46,44,45,1000\n"
    (row,) = ingest_prices(warehouse, [put(tmp_path, "688981.csv", text)], UNIVERSE).rows
    assert row.instrument == "688981.SS"
    assert row.volume_unit == "lots of 100"
    assert warehouse.rows("SELECT volume FROM bar ORDER BY session") == [(8854457,), (100000,)]


def test_an_index_has_no_volume(warehouse, tmp_path):
    text = HEAD + "2024-06-03,3700,3800,3600,3750,0\n2024-06-04,3700,3800,3600,3760,0\n"
    ingest_prices(warehouse, [put(tmp_path, "HSTECH.csv", text)], UNIVERSE)
    assert warehouse.rows("SELECT DISTINCT volume, adjustment FROM bar") == [(None, "none")]


def test_two_intervals_live_side_by_side(warehouse, tmp_path):
    daily = HEAD + "2024-06-03,160,170,150,165,1000\n"
    hourly = HEAD + "2024-06-03 09:30:00-04:00,160,161,159,160.5,10\n2024-06-03 14:30:00+00:00,160.5,162,160,161,10\n"
    paths = [put(tmp_path, "AMD.csv", daily), put(tmp_path, "AMD_1h.csv", hourly)]
    assert ingest_prices(warehouse, paths, UNIVERSE).added == 3
    assert warehouse.rows("SELECT interval, starts_at::VARCHAR FROM bar ORDER BY starts_at") == [
        ("1d", "2024-06-03 00:00:00"),
        ("1h", "2024-06-03 13:30:00"),
        ("1h", "2024-06-03 14:30:00"),
    ]


def test_one_bad_file_does_not_stop_the_others(warehouse, tmp_path):
    put(tmp_path, "p/0981.HK.csv", GOOD)
    put(tmp_path, "p/NVDIA.csv", GOOD)
    put(tmp_path, "p/page.csv", "<html>no</html>")
    put(tmp_path, "p/ASML.csv", "Date,Open,Open,High,Low,Close\n2024-06-03,1,2,3,0.5,1\n")
    put(tmp_path, "p/1347.HK.csv", GOOD.replace("date,", "symbol,date,").replace("2024", "0981.HK,2024"))
    summary = ingest_prices(warehouse, [str(tmp_path / "p"), str(tmp_path / "none.csv")], UNIVERSE)
    assert summary.added == 3
    lines = "\n".join(summary.refused)
    for expected in ("no such file", "did you mean 'NVDA'", "html", "columns Open", "holds 0981.HK, but the file name"):
        assert expected in lines
    assert len(summary.refused) == 5
    assert all("\n" not in line for line in summary.refused)
    assert [line for line, _ in rejects(warehouse)] == [0] * 5


def test_a_long_file_keeps_what_it_can(warehouse, tmp_path):
    rows = [f"S{i},2024-06-03,1,2,1,2" for i in range(20)] + ["AMD,2024-06-03,160,170,150,165"]
    path = put(tmp_path, "market.csv", "symbol,date,open,high,low,close\n" + "\n".join(rows) + "\n")
    summary = ingest_prices(warehouse, [path], UNIVERSE)
    assert summary.added == 1
    assert len(summary.refused) == 7
    assert "14 instruments more of the same file" in summary.refused[-1]


def test_an_fx_file_among_prices_finds_its_table(warehouse, tmp_path):
    path = put(tmp_path, "fx.csv", "date,USDCNY,USDHKD\n2024-06-03,7.11,7.82\n")
    summary = ingest_prices(warehouse, [path], UNIVERSE)
    assert [row.currency for row in summary.fx] == ["CNY", "HKD"]
    assert warehouse.value("SELECT count(*) FROM fx_rate") == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_one_line(warehouse, tmp_path):
    path = put(tmp_path, "0981.HK.csv", GOOD)
    os.chmod(path, 0)  # noqa: PTH101
    (line,) = ingest_prices(warehouse, [path], UNIVERSE).refused
    assert "permission" in line


def test_options_are_checked_before_any_file(warehouse):
    for options, error in (
        ({"volume_unit": "boxes"}, BadParameter),
        ({"adjustment": "full"}, BadParameter),
        ({"zone": "Mars/Base"}, BadParameter),
        ({"instrument": "NVDAA"}, UnknownName),
    ):
        with pytest.raises(error):
            ingest_prices(warehouse, ["-"], UNIVERSE, **options)


def test_a_file_name_that_is_no_utf_8_is_stored_as_far_as_it_can_be(warehouse, tmp_path):
    folder = tmp_path / "h\udce9"
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("the file system takes UTF-8 names only")
    put(folder, "0981.HK.csv", GOOD + "2024-06-10,17,18,17,17.5,10\n")
    put(folder, "other.csv", GOOD)
    put(folder, "fx.csv", "date,USDCNY\n2024-06-03,7.11\n")
    summary = ingest_prices(warehouse, [str(folder)], UNIVERSE)
    assert (summary.added, summary.rejected, len(summary.refused)) == (3, 1, 1)
    assert all("h?" in file for (file,) in warehouse.rows("SELECT file FROM reject"))


def test_only_stale_rows_add_nothing_and_say_so(warehouse, tmp_path):
    path = put(tmp_path, "0981.HK.csv", HEAD + "2024-06-03,17,17,17,17,0\n2024-06-04,17,17,17,17,0\n")
    (row,) = ingest_prices(warehouse, [path], UNIVERSE).rows
    assert (row.bars_kept, row.first_session) == (0, None)
    assert any("no volume" in note for note in row.notes)


def test_a_file_that_goes_on_is_checked_against_the_last_stored_close(warehouse, tmp_path):
    ingest_prices(warehouse, [put(tmp_path, "0981.HK.csv", GOOD)], UNIVERSE)
    # Zero volume, a high and a low, but the stored close of 17: nothing traded.
    more = HEAD + "2024-06-06,17,17.2,16.9,17,0\n2024-06-07,17,17.2,16.9,17.1,5\n"
    (row,) = ingest_prices(warehouse, [put(tmp_path, "new/0981.HK.csv", more)], UNIVERSE).rows
    assert (row.stale_bars, row.bars_added) == (1, 1)
