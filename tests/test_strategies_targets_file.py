"""Somebody else's targets: by session and by instant, csv and parquet, and one clear line for what is wrong."""

import engine_worlds as worlds
import pandas as pd
import pytest

from chipwire.data.errors import BadTarget, DomainError, InputError
from chipwire.engine.backtest import ENGINES
from chipwire.engine.sweep import run_sweep
from chipwire.engine.sweep_grid import make_grid
from chipwire.strategies.targets_file import TargetsFile

warehouse, world, settings = worlds.warehouse, worlds.world, worlds.settings

START, END = "2024-01-02", "2024-01-12"


@pytest.fixture
def both(world):
    world.flat("NVDA", "2023-12-28", END, 100.0).flat("688981.SS", "2023-12-28", END, 50.0)
    return world.fx("CNY", {"2023-12-20": 7.0})


def put(folder, text, name="targets.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def asked(world, path, start=START, **changes):
    account = world.simulate(TargetsFile(path=path), settings(start, END, **changes))
    return [(row.decision_at.strftime("%d %H:%M"), row.instrument, row.weight) for row in account.ledger.targets]


def test_a_date_is_decided_before_that_sessions_auction(both, tmp_path):
    rows = "date,instrument,weight\n2024-01-04,NVDA,0.5\n2024-01-04,688981.SS,0.25\n2024-01-08,NVDA,0\n"
    path = put(tmp_path, rows)
    assert asked(both, path) == [("04 01:20", "688981.SS", 0.25), ("04 14:25", "NVDA", 0.5), ("08 14:25", "NVDA", 0.0)]
    assert [row[0] for row in asked(both, path, fill="close")] == ["04 06:55", "04 20:45", "08 20:45"]


def test_what_is_asked_for_is_traded(both, tmp_path):
    path = put(tmp_path, "date,instrument,weight\n2024-01-04,NVDA,0.5\n2024-01-08,NVDA,-0.1\n")
    account = both.simulate(TargetsFile(path=path), settings(START, END))
    assert [(fill.session.day, fill.shares) for fill in account.ledger.fills] == [(4, 5_000), (8, -6_000)]


def test_a_date_on_which_the_venue_is_closed_goes_to_its_next_session(both, tmp_path):
    # The weekend of 6 and 7 January; Monday's own row counts where there is one.
    rows = "date,instrument,weight\n2024-01-06,NVDA,0.1\n2024-01-07,NVDA,0.2\n2024-01-07,688981.SS,0.3\n"
    assert asked(both, put(tmp_path, rows)) == [("08 01:20", "688981.SS", 0.3), ("08 14:25", "NVDA", 0.2)]
    own = put(tmp_path, "date,instrument,weight\n2024-01-08,NVDA,0.4\n2024-01-06,NVDA,0.1\n")
    assert asked(both, own) == [("08 14:25", "NVDA", 0.4)]


def test_dates_before_the_run_are_left_out(both, tmp_path):
    path = put(tmp_path, "date,instrument,weight\n2024-01-02,NVDA,0.1\n2024-01-03,NVDA,0.2\n")
    assert asked(both, path, start="2024-01-03") == [("03 14:25", "NVDA", 0.2)]


def test_an_instant_is_decided_at_the_venues_next_decision(both, tmp_path):
    rows = (
        "at,instrument,weight\n"
        "2024-01-04T14:25:00Z,NVDA,0.1\n"  # at the decision itself
        "2024-01-05T14:25:01+00:00,NVDA,0.2\n"  # a second late: the next one, Monday
        "2024-01-05T09:19:00+08:00,688981.SS,0.3\n"
    )
    assert asked(both, put(tmp_path, rows)) == [
        ("04 14:25", "NVDA", 0.1),
        ("05 01:20", "688981.SS", 0.3),
        ("08 14:25", "NVDA", 0.2),
    ]


def test_the_latest_of_several_rows_for_one_decision_counts(both, tmp_path):
    late = "at,instrument,weight\n2024-01-05T12:00:00Z,NVDA,0.2\n2024-01-05T10:00:00Z,NVDA,0.9\n"
    assert asked(both, put(tmp_path, late)) == [("05 14:25", "NVDA", 0.2)]
    same = "date, instrument ,weight\n2024-01-05,NVDA,0.2\n2024-01-05 , NVDA,0.20\n"
    assert asked(both, put(tmp_path, same)) == [("05 14:25", "NVDA", 0.2)]


@pytest.mark.parametrize("kind", ["text", "timestamp", "date"])
def test_parquet_with_dates_of_any_kind(both, tmp_path, kind):
    days = ["2024-01-04", "2024-01-08"]
    values = {
        "text": days,
        "timestamp": pd.to_datetime(days),
        "date": [worlds.day(text) for text in days],
    }[kind]
    frame = pd.DataFrame({"date": values, "instrument": "NVDA", "weight": [0.5, 0.25]})
    path = str(tmp_path / "targets.parquet")
    frame.to_parquet(path)
    assert asked(both, path) == [("04 14:25", "NVDA", 0.5), ("08 14:25", "NVDA", 0.25)]


def test_parquet_with_instants(both, tmp_path):
    at = pd.to_datetime(["2024-01-04T10:00:00Z"])
    path = str(tmp_path / "targets.parquet")
    pd.DataFrame({"at": at, "instrument": "NVDA", "weight": [0.5]}).to_parquet(path)
    assert asked(both, path) == [("04 14:25", "NVDA", 0.5)]
    pd.DataFrame({"at": at.tz_localize(None), "instrument": "NVDA", "weight": [0.5]}).to_parquet(path)
    with pytest.raises(InputError, match="row 1: at .* has no zone"):
        TargetsFile(path=path)


HEAD = "date,instrument,weight\n2024-01-04,NVDA,0.5\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "2024-01-05,NVDA,nan\n", "line 3: weight 'nan' of NVDA is not a finite number"),
        (HEAD + "2024-01-05,NVDA,\n", "line 3: weight '' of NVDA is not a finite number"),
        (HEAD + "2024-01-05,NVDA,half\n", "line 3: weight 'half' of NVDA"),
        (HEAD + "2024-01-05,NVDA,1e999\n", "line 3: weight '1e999' of NVDA"),
        (HEAD + "\n\n2024-01-05,NVDA,x\n", "line 5: weight 'x' of NVDA"),
        (HEAD + "05.01.2024,NVDA,0.5\n", "line 3: date '05.01.2024' is not YYYY-MM-DD"),
        (HEAD + ",NVDA,0.5\n", "line 3: date '' is not YYYY-MM-DD"),
        (HEAD + "2024-02-30,NVDA,0.5\n", "line 3: date '2024-02-30'"),
        ("at,instrument,weight\n2024-01-04T10:00,NVDA,1\n", "line 2: at '2024-01-04T10:00' has no zone"),
        ("at,instrument,weight\nnoon,NVDA,1\n", "line 2: at 'noon' is not an ISO instant"),
        ("date,symbol,weight\n2024-01-04,NVDA,1\n", "column 'instrument' is missing; found date, symbol, weight"),
        ("instrument,weight\nNVDA,1\n", "column 'date' is missing"),
        ("", "the file is empty"),
        ("date,instrument,weight\n", "there are no rows"),
        (HEAD + '2024-01-05,"NVDA,0.5\n', "line 3: unexpected end of data"),
        ("date,instrument,weight\n2024-01-05,NVDA,0.5,7,8\n", "line 2: 5 cells, but the head has 3"),
        (HEAD + "2024-01-05,NVDA\n", "line 3: 2 cells, but the head has 3"),
        (HEAD + "2024-01-05,,0.5\n", "line 3: the instrument is missing"),
        (HEAD + "2024-01-05 junk,NVDA,0.5\n", "line 3: date '2024-01-05 junk' is not YYYY-MM-DD"),
        (HEAD + "2024-01-05T10:00:00,NVDA,0.5\n", "instants belong into a column 'at'"),
        (HEAD + "2024-01-04,NVDA,0.2\n", "line 3: weight 0.2 of NVDA at 2024-01-04, but 0.5 at"),
        ("at,date,instrument,weight\n", "there are both date and at"),
        ("date,instrument,weight,weight\n", "column 'weight' is there twice"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, text, words):
    path = put(tmp_path, text)
    with pytest.raises(InputError) as caught:
        TargetsFile(path=path)
    assert path in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blank_lines_at_the_end_are_no_rows(both, tmp_path):
    assert asked(both, put(tmp_path, HEAD + "\n \n\n".replace(" ", ""))) == [("04 14:25", "NVDA", 0.5)]


def test_an_empty_cell_of_parquet_is_named(tmp_path):
    path = str(tmp_path / "targets.parquet")
    for column, words in (("date", "row 2: date '"), ("weight", "row 2: weight 'nan' of NVDA is not a finite number")):
        frame = pd.DataFrame({"date": ["2024-01-04", "2024-01-05"], "instrument": "NVDA", "weight": [0.5, 0.1]})
        frame.loc[1, column] = None
        frame.to_parquet(path)
        with pytest.raises(InputError, match=words):
            TargetsFile(path=path)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_outside_the_run_are_counted(both, tmp_path, engine):
    path = put(tmp_path, HEAD + "2019-01-04,NVDA,0.1\n2024-01-05,688981.SS,0.2\n2031-01-06,NVDA,0.3\n")
    done = both.run(TargetsFile(path=path), settings(START, END), engine=engine)
    assert f"{path}: 2 of 4 rows fall to no decision of the run: not used" in done.warnings
    whole = both.run(TargetsFile(path=put(tmp_path, HEAD, "whole.csv")), settings(START, END), engine=engine)
    assert not any("rows fall" in warning for warning in whole.warnings)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_class_made_from_it_that_decides_otherwise_is_asked(both, tmp_path, engine):
    class Half(TargetsFile):
        def decide(self, view):
            return {name: weight / 2 for name, weight in super().decide(view).items()}

    path = put(tmp_path, "date,instrument,weight\n2024-01-04,NVDA,0.5\n")
    both.run(Half(path=path), settings(START, END), engine=engine)
    assert both.warehouse.rows("SELECT instrument, weight FROM target") == [("NVDA", 0.25)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_without_a_row_for_the_run_is_refused(both, tmp_path, engine):
    for text in (
        "date,instrument,weight\n2031-01-06,NVDA,0.3\n",
        "at,instrument,weight\n2031-01-06T10:00:00Z,NVDA,1\n",
    ):
        path = put(tmp_path, text)
        with pytest.raises(DomainError, match=r"'targets-file' after the last decision: .*2031-01-06.* choose another"):
            both.run(TargetsFile(path=path), settings(START, END), engine=engine)
    assert both.warehouse.value("SELECT count(*) FROM run") == 0
    grid = make_grid(TargetsFile, [("path", path)], {"start": START, "end": END})
    done = run_sweep(both.warehouse, worlds.UNIVERSE, TargetsFile, grid)
    assert done.failed == 1
    assert "no row falls to a decision" in both.warehouse.value("SELECT error FROM sweep_row")


@pytest.mark.parametrize(
    ("given", "words"),
    [(None, "TypeError"), ([1], "it returned int; allowed: texts"), (1 / 3, "TypeError"), ("two\nlines", None)],
)
def test_what_a_strategy_may_note(both, given, words):
    class Noting(worlds.Script):
        def notes(self):
            return given

    if words is None:
        assert "two lines" in both.run(Noting({}), settings(START, END)).warnings
        return
    with pytest.raises(DomainError, match=f"strategy 'script' after the last decision: {words}"):
        both.run(Noting({}), settings(START, END))


@pytest.mark.parametrize("path", ["", ".", "nowhere.csv"])
def test_what_is_no_file_is_named(path):
    with pytest.raises(InputError) as caught:
        TargetsFile(path=path)
    assert str(caught.value) == f"targets-file: path={path!r} is not a file; give one with -p path=FILE"


def test_broken_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "bytes.csv").write_bytes(b"date,instrument,weight\n\xff\xfe\xfa,NVDA,1\n")
    for name in ("cut.parquet", "bytes.csv"):
        with pytest.raises(InputError) as caught:
            TargetsFile(path=str(tmp_path / name))
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_instrument_that_is_not_in_the_run_is_named_at_the_first_decision(both, tmp_path):
    path = put(tmp_path, HEAD + "2024-01-05,NVDIA,0.5\n")
    with pytest.raises(BadTarget) as caught:
        asked(both, path)
    message = str(caught.value)
    assert message.startswith("strategy 'targets-file' at the decision of 2024-01-02 01:20 UTC: ")
    assert "instrument 'NVDIA' is not in the run" in message
    assert message.endswith("the run has NVDA, 688981.SS")


def test_the_rows_and_not_their_order_make_the_fingerprint(tmp_path):
    second = "2024-01-05,NVDA,0.25\n"
    first, other = put(tmp_path, HEAD + second, "a.csv"), put(tmp_path, HEAD + "2024-01-05,NVDA,0.26\n", "b.csv")
    head, row = HEAD.splitlines(keepends=True)
    same = put(tmp_path, head + second + row, "c.csv")
    prints = [TargetsFile(path=path).fingerprint() for path in (first, other, same)]
    assert prints[0] == prints[2]
    assert prints[0] != prints[1]
