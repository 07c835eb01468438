"""Files of a report: what is in them, what a spreadsheet makes of them, and that none is lost or half written."""

from __future__ import annotations

import csv
import io
import json
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from chipwire.data.errors import BadParameter, InputError, OutputExists, WriteFailed
from chipwire.data.warehouse import Warehouse
from chipwire.reports.collect import collect
from chipwire.reports.exports import report_json, write_report
from chipwire.reports.terminal import Column, print_figures, print_table
from chipwire.reports.values import csv_cell, number, percent, plain

TABLES = ["fills", "positions", "equity", "unfilled", "attribution"]
TITLE = '=HYPERLINK("https://a.example","x")'


@pytest.fixture
def report(tmp_path):
    days = pd.to_datetime(["2024-07-01", "2024-07-02"])
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:

        def insert(table, **columns):
            warehouse.insert(table, pd.DataFrame(columns))

        insert(
            "run", run_id=["0a1b2c3d4e5f"], run_no=1, strategy="event-drift", engine="backtrader", params="{}",
            settings=json.dumps({"capital": 1000.0, "currency": "USD", "benchmarks": ["SPY"]}),
            data_fingerprint="f" * 16, code_version="0.1.0", metrics="{}", warnings="[]",
        )  # fmt: skip
        insert(
            "equity", run_id="0a1b2c3d4e5f", day=days, equity=[1000.0, 900.0], cash=0.0, gross=500.0, costs=0.0,
            borrow=0.0, dividends=0.0,
        )  # fmt: skip
        insert(
            "headline", headline_id=["h1"], title=TITLE, url="https://a.example/1", language="en",
            published_at=days[0], published_precision="minute", available_at=days[0], batch_id=1,
        )  # fmt: skip
        insert(
            "fill", run_id="0a1b2c3d4e5f", fill_no=[1, 2], decision_at=days[1], auction_at=days[1], session=days[1],
            venue="XNYS", auction="open", instrument="NVDA", shares=[10, -10], price=100.0, auction_price=100.0,
            currency="USD", fx=1.0, commission=1.0, duty=0.0, levies=0.0, slippage=0.5, realized=[0.0, -2.5],
        )  # fmt: skip
        insert(
            "fill_cause", run_id="0a1b2c3d4e5f", fill_no=1, rank=[1, 2], headline_id=["h1", "h2"], issuer="NVIDIA",
            theme="sanctions", model_id="m1", strength=[-0.5, -0.25], relation="own",
        )  # fmt: skip
        return collect(warehouse, "latest")


def test_every_format_is_written(report, tmp_path):
    out = tmp_path / "new" / "out"
    written = write_report(report, {"html", "json", "csv", "parquet"}, out)
    tables = [f"{name}.{kind}" for kind in ("csv", "parquet") for name in TABLES]
    assert [path.name for path in written] == ["report.html", "report.json", *tables]
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in written)


def test_json_holds_the_run_without_nan(report, tmp_path):
    (path,) = write_report(report, {"json"}, tmp_path / "out")
    content = json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    assert content == report_json(report)
    assert content["schema_version"] == 2
    assert content["metrics"]["total_return"] == pytest.approx(-0.1)
    assert content["equity"][1]["day"] == "2024-07-02"
    assert content["equity"][1]["drawdown"] == pytest.approx(-0.1)
    assert content["benchmarks_missing"] == [{"instrument": "SPY", "reason": "no daily bars in the warehouse"}]
    totals = {(line["by"], line["line"]): line["total"] for line in content["attribution"]}
    # Ten shares bought and sold at one price for a fee of 1 each; the books of the fixture lost 100.
    assert totals["theme", "sanctions"] == -2.0
    assert totals["theme", "not explained"] == -98.0
    first, second = content["fills"]
    assert [cause["title"] for cause in first["causes"]] == [TITLE, None]
    assert first["causes"][0]["published_at"] == "2024-07-01T00:00:00Z"
    assert second["causes"] == []


def test_a_day_is_exported_with_the_zone_that_counts_it(tmp_path, report):
    # 2024-06-24 begins in Shanghai, eight hours east, while it is still the day before in UTC.
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:
        warehouse.run(
            "UPDATE headline SET published_at = TIMESTAMP '2024-06-23 16:00', published_precision = 'day', "
            "published_zone = 'Asia/Shanghai'"
        )
        report = collect(warehouse, "latest")
    write_report(report, {"csv", "json", "parquet"}, tmp_path / "out")
    names = ("published_at", "published_precision", "published_zone")
    stamp = ["2024-06-23T16:00:00Z", "day", "Asia/Shanghai"]
    known, gone = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["fills"][0]["causes"]
    assert [known[name] for name in names] == stamp
    assert [gone[name] for name in names] == [None] * 3
    head, *rows = csv.reader((tmp_path / "out" / "fills.csv").read_text("utf-8").splitlines(), strict=True)
    place = head.index("published_at")
    assert [row[place : place + 3] for row in (head, *rows)] == [list(names), stamp, [""] * 3]
    assert pq.read_table(tmp_path / "out" / "fills.parquet").column("published_zone").to_pylist() == [stamp[2], None]


def test_csv_text_is_defused_and_numbers_are_not(report, tmp_path):
    write_report(report, {"csv"}, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "fills.csv").read_text("utf-8").splitlines(), strict=True))
    assert rows[0]["title"] == "'" + TITLE
    assert (rows[0]["causes"], rows[1]["causes"]) == ("2", "0")
    assert (rows[1]["shares"], rows[1]["realized"], rows[1]["title"]) == ("-10", "-2.5", "")
    assert rows[0]["auction_at"] == "2024-07-02T00:00:00Z"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_run_gets_a_quote(text):
    assert csv_cell(text) == "'" + text


@pytest.mark.parametrize(
    ("value", "cell"),
    [(-1.5, -1.5), (np.int64(-3), -3), (float("nan"), ""), (None, ""), (pd.NaT, ""), ("a=b", "a=b")],
)
def test_other_cells_stay(value, cell):
    assert csv_cell(value) == cell


def test_parquet_keeps_types_also_where_a_table_is_empty(report, tmp_path):
    write_report(report, {"parquet"}, tmp_path / "out")
    fills = pq.read_table(tmp_path / "out" / "fills.parquet")
    types = {name: str(kind) for name, kind in zip(fills.schema.names, fills.schema.types, strict=True)}
    assert types["auction_at"] == "timestamp[us, tz=UTC]"
    assert types["session"] == "date32[day]"
    assert fills.column("title")[0].as_py() == TITLE
    empty = pq.read_table(tmp_path / "out" / "unfilled.parquet")
    assert (empty.num_rows, str(empty.schema.field("session").type)) == (0, "date32[day]")


def test_the_same_report_gives_the_same_files(report, tmp_path):
    kinds = {"json", "csv", "parquet"}
    one, two = (write_report(report, kinds, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_files_that_are_there_stay_unless_forced(report, tmp_path):
    (tmp_path / "equity.csv").write_text("mine")
    with pytest.raises(OutputExists, match="--force"):
        write_report(report, {"csv"}, tmp_path)
    assert (tmp_path / "equity.csv").read_text() == "mine"
    assert not (tmp_path / "fills.csv").exists()
    write_report(report, {"csv"}, tmp_path, force=True)
    assert (tmp_path / "equity.csv").read_text().startswith("day,")


def test_a_link_in_the_folder_is_replaced_and_not_followed(report, tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_text("theirs")
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").symlink_to(outside)
    with pytest.raises(OutputExists):
        write_report(report, {"json"}, out)
    write_report(report, {"json"}, out, force=True)
    assert outside.read_text() == "theirs"
    assert not (out / "report.json").is_symlink()


def test_a_full_disk_leaves_the_old_files_and_no_parts(report, tmp_path, monkeypatch):
    write_report(report, {"csv"}, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteFailed, match="No space left"):
        write_report(report, {"csv"}, tmp_path / "out", force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_file_in_place_of_the_folder_is_one_clear_line(report, tmp_path):
    (tmp_path / "out").write_text("")
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(InputError) as caught:
            write_report(report, {"json"}, out)
        assert str(caught.value) == f"{tmp_path / 'out'} is a file; --out names a folder"


@pytest.mark.parametrize("formats", [{"pdf"}, set(), {"json", "../x"}])
def test_an_unknown_format_is_refused(report, tmp_path, formats):
    with pytest.raises(BadParameter, match="html, json, csv, parquet"):
        write_report(report, formats, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- the terminal ----------------------------------------------------------------------------------------

ROWS = [{"name": "=a [b]", "value": 1234.5, "n": 7}, {"name": "中\x1b[31m芯", "value": float("nan"), "n": 12}]


def _printed(fmt, columns=("name", "value", "n")):
    out = io.StringIO()
    print_table(ROWS, columns, fmt, out)
    return out.getvalue()


def test_a_table_is_aligned_and_carries_no_controls():
    # The second name fills 9 cells: two characters of two cells each and five of one.
    assert _printed("table").splitlines() == [
        f"{'name':9}  {'value':>8}  {'n':>2}",
        f"{'=a [b]':9}  {'1,234.50':>8}  {'7':>2}",
        f"中\ufffd[31m芯  {'':>8}  {'12':>2}",
    ]


def test_a_column_has_a_label_and_a_form_in_tables_only():
    columns = (Column("value", "Return", percent),)
    assert _printed("table", columns).splitlines() == ["     Return", "+123,450.0%", ""]
    assert json.loads(_printed("json", columns)) == [{"value": 1234.5}, {"value": None}]


def test_json_is_a_list_of_objects():
    assert json.loads(_printed("json")) == [
        {"name": "=a [b]", "value": 1234.5, "n": 7},
        {"name": "中\x1b[31m芯", "value": None, "n": 12},
    ]


def test_csv_is_defused():
    assert list(csv.reader(_printed("csv").splitlines(), strict=True)) == [
        ["name", "value", "n"], ["'=a [b]", "1234.5", "7"], ["中\x1b[31m芯", "", "12"],
    ]  # fmt: skip


def test_figures_are_aligned():
    out = io.StringIO()
    print_figures([("Total return", "-1.0%"), ("Costs", "USD 12")], out)
    assert out.getvalue() == "Total return   -1.0%\nCosts         USD 12\n"


def test_numbers_have_one_form():
    assert (percent(0.12345), percent(-0.5), percent(-0.0001)) == ("+12.3%", "-50.0%", "+0.0%")
    assert (number(1234567.891), number(float("nan")), number(-0.001)) == ("1,234,567.89", "n/a", "0.00")
    assert plain({"a": [np.float64("inf"), np.bool_(True)]}) == {"a": [None, True]}
