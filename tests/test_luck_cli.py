"""``sweep --walk-forward``, and what a plain sweep says of luck."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chipwire.cli import main
from chipwire.data.errors import DomainError
from chipwire.data.warehouse import Warehouse
from chipwire.engine.validation import curves, sweep_luck

_SPEC = importlib.util.spec_from_file_location("engine_worlds", Path(__file__).with_name("engine_worlds.py"))
worlds = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(worlds)

SPAN = ("--start", "2024-03-01", "--end", "2024-06-28")
SWEEP = ("sweep", "theme-momentum", "-p", "top_k=1,2,3", "-p", "half_life=2,4,8", *SPAN)
WALK = (*SWEEP, "--walk-forward", "30/10", "--purge", "2", "--embargo", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a warehouse of two venues, rates and news."""
    path = tmp_path_factory.mktemp("luck")
    with Warehouse.open(path / "chipwire.duckdb", write=True, threads=1) as warehouse:
        world = worlds.World(warehouse).model()
        for seed, (symbol, price) in enumerate({"NVDA": 90.0, "AMD": 180.0, "MU": 85.0, "0981.HK": 16.0}.items()):
            world.walk(symbol, "2024-02-01", "2024-07-03", price, seed)
        world.fx("HKD", {"2024-01-15": 7.8})
        issuers = ("NVIDIA", "SMIC", "AMD", "MICRON")
        for number in range(90):
            at = pd.Timestamp("2024-02-20 12:00") + pd.Timedelta(hours=35 * number)
            world.signal(issuers[number % 4], str(at), (-1) ** (number % 5) * 0.8)
    return path


@pytest.fixture
def run(folder, monkeypatch, capfd):
    """Run chipwire beside that warehouse and return (exit code, stdout, stderr)."""
    monkeypatch.chdir(folder)

    def call(*arguments):
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_a_walk_forward_says_what_was_chosen_and_what_became_of_it(run):
    code, out, err = run(*WALK, "--json")
    assert code == 0
    found = json.loads(out)
    sessions = len(found["days"]) + 33
    assert len(found["windows"]) == -(-(sessions - 33) // 10)
    assert len(found["equity"]) == len(found["days"])
    returns = np.diff([found["capital"], *found["equity"]]) / [found["capital"], *found["equity"][:-1]]
    sharpe = found["luck"]["intervals"]["sharpe"]
    assert sharpe["value"] == pytest.approx(returns.mean() / returns.std(ddof=1) * 252**0.5, rel=1e-9)
    assert sharpe["low"] < sharpe["value"] < sharpe["high"]
    assert found["sentence"] in err
    rows = json.loads(run("sweeps", "show", found["sweep_id"], "--json")[1])
    params = {row["row"]: (row["top_k"], row["half_life"]) for row in rows}
    for window in found["windows"]:
        assert (window["params"]["top_k"], window["params"]["half_life"]) == params[window["row"]]
        assert window["train_last"] < window["test_first"]
        assert 1 <= window["place"] <= 9
    assert found["sweep"]["row"] == rows[0]["row"]
    assert found["sweep"]["sharpe"] == pytest.approx(rows[0]["sharpe"], rel=1e-9)
    assert found["sweep"]["trials"] >= 9
    assert (found["purge"], found["embargo"]) == (2, 1)


def test_the_same_call_gives_the_same_bytes_whether_the_rows_were_there_or_not(run):
    first = run(*WALK, "--json")[1]
    assert run(*WALK, "--json")[1] == first
    assert run("sweeps", "show", json.loads(first)["sweep_id"], "--walk-forward", "--json")[1] == first


def test_a_table_has_a_row_for_each_window_and_the_figures_after(run):
    code, out, err = run(*WALK)
    assert code == 0
    windows = json.loads(run(*WALK, "--json")[1])["windows"]
    table, _, figures = out.partition("\n\n")
    assert len(table.splitlines()) == len(windows) + 1
    assert [word for word in ("row", "top_k", "half_life", "place") if word not in table.splitlines()[0]] == []
    for label in ("Sharpe ratio, out of sample", "Max drawdown, out of sample", "Deflated Sharpe ratio"):
        assert label in figures
    volatility = next(line for line in figures.splitlines() if line.startswith("Volatility"))
    assert "%" in volatility
    assert "+" not in volatility
    assert "probability of backtest overfitting" in err
    listed = list(csv.DictReader(io.StringIO(run(*WALK, "--csv")[1])))
    assert [int(row["row"]) for row in listed] == [window["row"] for window in windows]


def test_it_chooses_by_the_figure_of_sort(run):
    run(*WALK)
    by_return = json.loads(run(*WALK, "--sort", "total_return", "--json")[1])
    assert by_return["measure"] == "total_return"
    assert by_return["luck"]["trials"] > 1  # the one by Sharpe ratio was tried before


def test_a_plain_sweep_says_what_luck_could_have_made_of_its_best(run):
    code, _, err = run(*SWEEP)
    assert code == 0
    assert "deflated Sharpe ratio" in err
    assert "probability of backtest overfitting" in err
    again = run(*SWEEP)[2]
    assert [line for line in again.splitlines() if line.startswith("luck:")] == [
        line for line in err.splitlines() if line.startswith("luck:")
    ]
    sweep_id = err.partition("sweep ")[2].partition(":")[0]
    shown = run("sweeps", "show", sweep_id)[2]
    assert "deflated Sharpe ratio" in shown


def test_more_trials_in_the_warehouse_deflate_more(run):
    def count(err):
        return int(err.partition("best of the ")[2].split()[0])

    first = run(*SWEEP)[2]
    run("sweep", "theme-momentum", "-p", "lookback=3,7,11", *SPAN)
    assert count(run(*SWEEP)[2]) >= count(first) + 3 * ("lookback" not in first)


def test_few_configurations_say_why_there_is_no_probability(run):
    err = run("sweep", "theme-momentum", "-p", "top_k=1,2", *SPAN)[2]
    assert "not computed: it takes 8 configurations that trade, and here are 2" in err


def test_many_configurations_say_why_nothing_is_computed(run, monkeypatch):
    monkeypatch.setattr(sweep_luck, "MOST_CONFIGURATIONS", 5)
    err = run("sweep", "theme-momentum", "-p", "top_k=1,2,3,4", "-p", "threshold=0.3,0.4", *SPAN)[2]
    assert "luck: not computed for more than 5 configurations" in err


def test_different_spans_say_why_nothing_is_computed(run):
    err = run("sweep", "theme-momentum", "--start", "2024-03-01,2024-03-08", "--end", "2024-06-28")[2]
    assert "luck: not computed: the configurations run over 2 different spans" in err


def test_curves_that_take_too_much_are_let_go_and_said(monkeypatch):
    monkeypatch.setattr(curves, "MOST_BYTES", 100)
    keeper = curves.CurveKeeper()
    keeper.take([], (), np.ones((13, 1)))
    assert keeper.rows == set()
    with pytest.raises(DomainError, match="give fewer values"):
        keeper.curves()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*SWEEP, "--purge", "5"), "--purge belongs to a walk-forward"),
        ((*SWEEP, "--anchored"), "--anchored belongs to a walk-forward"),
        ((*SWEEP, "--walk-forward", "252"), "TRAIN/TEST"),
        ((*SWEEP, "--walk-forward", "0/10"), "TRAIN/TEST"),
        ((*WALK, "--sort", "costs"), "one of sharpe"),
        ((*WALK, "--slippage-bps", "0,5"), "one value with --walk-forward"),
        ((*WALK, "--out", "rows.csv"), "--out writes rows"),
    ],
)
def test_what_makes_no_sense_is_one_line_before_anything_runs(run, arguments, says):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_too_few_sessions_are_said_with_the_number_there_are(run):
    # Before anything is run or stored; a capital that no other test gives makes it a sweep of its own.
    before = run("sweeps", "list", "--json")
    code, out, err = run(*SWEEP, "--capital", "777000", "--walk-forward", "252/63")
    assert (code, out) == (1, "")
    assert "the run has" in err.splitlines()[-1]
    assert not [line for line in err.splitlines() if line.startswith("sweep ")]
    assert run("sweeps", "list", "--json") == before


def test_the_sessions_told_before_a_sweep_are_those_of_its_curves(run):
    first = json.loads(run(*WALK, "--json")[1])
    sessions = len(first["days"]) + 33
    assert f"the run has {sessions} sessions" in run(*SWEEP, "--walk-forward", f"{sessions}/10")[2]


def test_a_sweep_without_a_walk_forward_says_how_to_make_one(run):
    run("sweep", "equal-weight", *SPAN)
    code, out, err = run("sweeps", "show", "latest", "--walk-forward")
    assert (code, out) == (1, "")
    assert "has no walk-forward" in err


def test_the_command_named_after_a_backtest_opens_the_same_warehouse(run, folder):
    db = str(folder / "chipwire.duckdb")
    code, _, err = run("--db", db, "backtest", "equal-weight", *SPAN)
    assert code == 0
    assert f"see 'chipwire --db {db} report latest --out DIR'" in err
