"""FX rates and corporate actions: units, availability, faults."""

import datetime as dt

import pytest

from chipwire.data.actions import ingest_actions
from chipwire.data.fx import ISO_4217, fx_columns, ingest_fx
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse

UNIVERSE = load_universe()


@pytest.fixture
def warehouse(tmp_path):
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as opened:
        yield opened


def put(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def rates(warehouse, currency):
    return warehouse.rows("SELECT fixed_on, rate, available_at FROM fx_rate WHERE currency = ? ORDER BY 1", [currency])


def reasons(warehouse):
    return [reason for (reason,) in warehouse.rows("SELECT reason FROM reject ORDER BY line, reason")]


def test_rates_are_units_for_a_dollar_and_known_when_the_day_has_ended(warehouse, tmp_path):
    path = put(tmp_path, "fx.csv", "date,USDCNY,EURUSD\n2024-06-03,7.25,1.25\n")
    summary = ingest_fx(warehouse, [path])
    assert summary.added == 2
    assert rates(warehouse, "CNY") == [(dt.date(2024, 6, 3), 7.25, dt.datetime(2024, 6, 4))]  # noqa: DTZ001
    # 1.25 dollars for a euro are 0.8 euros for a dollar.
    assert rates(warehouse, "EUR")[0][1] == 0.8


@pytest.mark.parametrize("name", ["USDCNY", "usdcny", "USD/CNY", "USD_CNY", "USDCNY=X"])
def test_pairs_as_sources_write_them(name):
    assert fx_columns(["date", name]) == {"CNY": (1, False)}


def test_columns_that_are_no_pair_with_the_dollar_are_none():
    assert fx_columns(["date", "close", "volume", "EURCHF", "USDUSD"]) == {}


def test_a_column_of_a_currency_that_does_not_exist_is_a_reject(warehouse, tmp_path):
    text = "date,USDCNY,USDXYZ,XXXUSD,HRK/USD,USDTWD\n2024-06-03,7.25,3,4,0.14,32\n"
    summary = ingest_fx(warehouse, [put(tmp_path, "fx.csv", text)])
    assert [row.currency for row in summary.rows] == ["CNY", "TWD"]
    assert summary.rejected == 3
    # XXX means no currency, the kuna went in 2023.
    assert warehouse.rows("SELECT line, reason FROM reject ORDER BY reason") == [
        (0, f"column '{name}' is not taken: {code} is no active code of ISO 4217; correct the header")
        for name, code in (("HRK/USD", "HRK"), ("USDXYZ", "XYZ"), ("XXXUSD", "XXX"))
    ]


def test_a_file_of_such_columns_only_is_refused_by_their_names(warehouse, tmp_path):
    path = put(tmp_path, "fx.csv", "date,USDXYZ\n2024-06-03,3\n")
    (line,) = ingest_fx(warehouse, [path]).refused
    assert line == f"{path}: column 'USDXYZ' is not taken: XYZ is no active code of ISO 4217; correct the header"
    assert warehouse.value("SELECT count(*) FROM fx_rate") == 0


def test_a_header_without_rows_is_told_as_such(warehouse, tmp_path):
    path = put(tmp_path, "fx.csv", "date,USDCNY\n")
    assert ingest_fx(warehouse, [path]).refused == (f"{path}: has a header and no rows",)


def test_the_currencies_are_those_of_list_one():
    # SIX Group's list of 2026-01-01 has 178 codes, XTS (tests) and XXX (none) among them.
    assert len(ISO_4217) == 178 - 2
    assert {row.currency for row in UNIVERSE.instruments.values()} <= ISO_4217
    gone = {"DEM", "FRF", "HRK", "BGN", "ANG", "CUC", "SLL", "ZWL", "VEF", "MRO", "STD", "BYR", "LTL"}
    assert not ISO_4217 & {*gone, "XTS", "XXX", "CNH", "BTC"}
    assert {"XCG", "ZWG", "SLE", "VES", "VED", "MRU", "STN", "BYN", "XAD"} <= ISO_4217


def test_a_second_ingest_adds_nothing_and_a_revision_is_rejected(warehouse, tmp_path):
    path = put(tmp_path, "fx.csv", "date,USDCNY\n2024-06-03,7.25\n2024-06-04,7.26\n")
    ingest_fx(warehouse, [path])
    before = warehouse.table_digest("fx_rate")
    assert ingest_fx(warehouse, [path]).added == 0
    summary = ingest_fx(warehouse, [put(tmp_path, "b.csv", "date,USDCNY\n2024-06-03,7.21\n2024-06-04,7.26\n")])
    assert summary.rejected == 1
    assert warehouse.table_digest("fx_rate") == before
    assert reasons(warehouse) == ["revised: CNY of 2024-06-03 is 7.25 stored, 7.21 given"]


@pytest.mark.parametrize("word", ["nan", "NaN", " NAN "])
def test_a_rate_spelled_nan_is_rejected_and_an_empty_cell_is_not(warehouse, tmp_path, word):
    text = f"date,USDCNY,USDHKD\n2024-06-03,7.25,7.8\n2024-06-04,{word},7.8\n2024-06-05,,7.8\n"
    summary = ingest_fx(warehouse, [put(tmp_path, "fx.csv", text)])
    assert (summary.added, summary.rejected) == (4, 1)
    assert warehouse.rows("SELECT line, reason FROM reject") == [(3, "CNY is no number")]


@pytest.mark.parametrize("other", ["7.2500001", "7.26"])
def test_of_two_rates_of_a_day_the_same_is_kept_in_either_order_of_rows(warehouse, tmp_path, other):
    found = []
    for name, given in (("a.csv", ("7.25", other)), ("b.csv", (other, "7.25"))):
        rows = "".join(f"2024-06-03,{rate}\n" for rate in given)
        ingest_fx(warehouse, [put(tmp_path, name, "date,USDCNY\n" + rows)])
        found.append((rates(warehouse, "CNY"), reasons(warehouse)))
        warehouse.run("DELETE FROM fx_rate")
        warehouse.run("DELETE FROM reject")
    assert found[0] == found[1]
    assert found[0][0][0][1] == 7.25


def test_impossible_rates_are_rejected_and_a_step_is_not(warehouse, tmp_path):
    rows = [
        "7.2,7.80",
        "7.2,7.81",
        "72,7.80",
        "7.2,8.10",
        "7.2,7.80",
        "0,7.80",
        "x,",
        ",7.8",
        "9.0,7.8",
        "9.0,7.8",
        "9.1,7.8",
    ]
    days = [f"2024-06-{d:02d}" for d in range(3, 3 + len(rows))]
    text = "date,USDCNY,USDHKD\n" + "".join(f"{d},{r}\n" for d, r in zip(days, rows, strict=True))
    ingest_fx(warehouse, [put(tmp_path, "fx.csv", text)])
    assert reasons(warehouse) == [
        "impossible rate: CNY 72, +900% from its neighbours",
        "impossible rate: HKD 8.1, +4% from its neighbours",
        "CNY 0 is no rate",
        "CNY is no number",
    ]
    # A devaluation from 7.2 to 9 stays, so it is a step and no error.
    assert [rate for _, rate, _ in rates(warehouse, "CNY")] == [7.2, 7.2, 7.2, 7.2, 9.0, 9.0, 9.1]


def test_fx_files_that_are_none_are_one_line_and_others_go_on(warehouse, tmp_path):
    bad = put(tmp_path, "a.csv", "date,close\n2024-06-03,1\n")
    good = put(tmp_path, "b.csv", "date,USDCNY\n2024-06-03,7.2\nnever,7.3\n")
    summary = ingest_fx(warehouse, [bad, good, str(tmp_path / "missing.csv")])
    assert summary.added == 1
    assert summary.rejected == 1
    assert len(summary.refused) == 2
    assert "USDCNY" in "".join(summary.refused)


ACTIONS = "instrument,ex_date,kind,value,currency\n"


def test_actions_are_stored_with_their_meaning(warehouse, tmp_path):
    # Nvidia: ten shares for one on 2024-06-10 and USD 0.01 a share on 2024-06-11.
    text = ACTIONS + "NVDA,2024-06-10,split,10,\nNVDA,2024-06-11,dividend,0.01,USD\n00700.HK,2024-05-17,dividend,3.4,\n"
    summary = ingest_actions(warehouse, [put(tmp_path, "actions.csv", text)], UNIVERSE)
    assert (summary.added, summary.rejected) == (3, 0)
    assert warehouse.rows("SELECT * EXCLUDE (batch_id) FROM corporate_action ORDER BY ALL") == [
        ("0700.HK", dt.date(2024, 5, 17), "dividend", 3.4, "HKD"),
        ("NVDA", dt.date(2024, 6, 10), "split", 10.0, None),
        ("NVDA", dt.date(2024, 6, 11), "dividend", 0.01, "USD"),
    ]
    assert ingest_actions(warehouse, [str(tmp_path / "actions.csv")], UNIVERSE).added == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("NVDAA,2024-06-10,split,10,", "unknown instrument 'NVDAA'; did you mean 'NVDA'"),
        ("NVDA,2024-06-09,split,10,", "XNYS had no session on 2024-06-09"),
        ("NVDA,June 10,split,10,", "not in the form"),
        ("NVDA,2024-06-10,merger,10,", "kind 'merger' is not known: split or dividend"),
        ("NVDA,2024-06-10,split,0,", "value '0' must be a number above 0"),
        ("NVDA,2024-06-10,split,ten,", "value 'ten' must be a number above 0"),
        ("NVDA,2024-06-11,dividend,0.01,dollars", "currency 'DOLLARS' is not a code such as USD"),
        ("NVDA,2024-06-12,split,11,", "revised: 10  known, 11  given"),
    ],
)
def test_a_bad_action_costs_only_itself(warehouse, tmp_path, row, reason):
    text = ACTIONS + "NVDA,2024-06-12,split,10,\n" + row + "\nAMD,2024-06-12,split,2,\n"
    summary = ingest_actions(warehouse, [put(tmp_path, "actions.csv", text)], UNIVERSE)
    assert (summary.added, summary.rejected) == (2, 1)
    assert reason.split() == reasons(warehouse)[0].split()[: len(reason.split())] or reason in reasons(warehouse)[0]
    assert warehouse.value("SELECT line FROM reject") == 3


def test_an_action_file_without_its_columns_is_refused(warehouse, tmp_path):
    summary = ingest_actions(warehouse, [put(tmp_path, "a.csv", "symbol,date\nNVDA,2024-06-10\n")], UNIVERSE)
    assert "no column instrument, ex_date, kind, value" in summary.refused[0]
