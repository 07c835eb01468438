"""``sweep --walk-forward``, and what a plain sweep says of luck."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from statistics import NormalDist

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

from chipwire.cli import main
from chipwire.data.errors import DomainError
from chipwire.data.warehouse import Warehouse
from chipwire.engine.validation import curves, sweep_luck

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


BAR = re.compile(r"best of the ([\d,]+) tried in this warehouse would show (-?[\d.]+) .*deflated Sharpe ratio (\d+)%")


def bar(err):
    """Return (trials, expected maximum, deflated Sharpe ratio in per cent) as they are printed."""
    trials, shown, deflated = BAR.search(err).groups()
    return int(trials.replace(",", "")), float(shown), int(deflated)


def expected(folder, sweep_id):
    """Return the same from the tables, by the paper's formulas: what was tried up to now, and the row's own curve."""
    with Warehouse.open(folder / "chipwire.duckdb") as warehouse:
        trials = warehouse.value(
            "SELECT count(*) FROM (SELECT strategy, params, settings, data_fingerprint, model_id FROM run UNION "
            "SELECT strategy, params, settings, data_fingerprint, model_id FROM sweep_row JOIN sweep USING (sweep_id))"
        )
        sharpes = [sharpe for _, sharpe in warehouse.rows(
            "SELECT DISTINCT trial_id, sharpe FROM sweep_row JOIN sweep USING (sweep_id) "
            "WHERE strategy = 'theme-momentum' AND sharpe IS NOT NULL"
        )]  # fmt: skip
        text = warehouse.value(
            "SELECT payload FROM validation WHERE subject = ? AND kind = 'luck' ORDER BY validation_no LIMIT 1",
            [sweep_id],
        )
    luck, normal = json.loads(text), NormalDist()
    euler = 0.5772156649015329
    high, higher = normal.inv_cdf(1 - 1 / trials), normal.inv_cdf(1 - 1 / (trials * math.e))
    shown = np.std(sharpes, ddof=1) * ((1 - euler) * high + euler * higher)
    # The probability above 0 that was stored gives the error of the Sharpe ratio.
    error = luck["sharpe"] / normal.inv_cdf(luck["probabilistic_sharpe"])
    return trials, shown, normal.cdf((luck["sharpe"] - shown) / error) * 100


def near(shown):
    trials, maximum, deflated = shown
    return trials, pytest.approx(maximum, abs=0.0051), pytest.approx(deflated, abs=0.51)


def test_who_looks_later_sees_what_was_tried_since(run, folder):
    sweep_id = run(*SWEEP)[2].partition("sweep ")[2].partition(":")[0]
    then = bar(run("sweeps", "show", sweep_id)[2])
    run("sweep", "theme-momentum", "-p", "top_k=1,2,3", "-p", "lookback=2,4,6,8,10,12,14", *SPAN)
    run("sweep", "equal-weight", "--slippage-bps", "0,1,2,3", *SPAN)
    err = run("sweeps", "show", sweep_id, "--top", "1")[2]
    now = bar(err)
    assert now[0] >= then[0] + 21
    assert now == near(expected(folder, sweep_id))
    assert f"{now[0]:,} of all strategies" in err
    again = [line for line in run(*SWEEP)[2].splitlines() if line.startswith("luck:")]
    assert again == [line for line in err.splitlines() if line.startswith("luck:")]


def test_a_stored_walk_forward_is_deflated_by_what_was_tried_since(run):
    found = json.loads(run(*WALK, "--json")[1])
    run(*SWEEP[:-4], "-p", "threshold=0.05,0.15", *SPAN, "--walk-forward", "30/10")
    now = json.loads(run("sweeps", "show", found["sweep_id"], "--walk-forward", "--json")[1])
    err = run("sweeps", "show", found["sweep_id"], "--walk-forward")[2]
    assert now["luck"]["trials"] == found["luck"]["trials"] + 1
    assert now["luck"]["deflated_sharpe"] < now["luck"]["probabilistic_sharpe"]
    assert bar(err)[0] == now["sweep"]["trials"] > found["sweep"]["trials"]
    assert now["sentence"] in err
    kept = ("days", "equity", "windows", "paths")
    assert [now[name] for name in kept] == [found[name] for name in kept]


def test_the_page_says_of_luck_what_the_terminal_says(run, tmp_path):
    sweep_id = json.loads(run(*WALK, "--json")[1])["sweep_id"]
    run("sweep", "equal-weight", "--slippage-bps", "4,5,6", *SPAN)
    page = tmp_path / "sweep.html"
    err = run("sweeps", "show", sweep_id, "--html", str(page))[2]
    text = html.unescape(page.read_text("utf-8")).replace("\N{MINUS SIGN}", "-")
    header = text.partition("<header>")[2].partition("</header>")[0]
    said = [line.removeprefix("luck: ") for line in err.splitlines() if line.startswith("luck: ")]
    assert len(said) == 2
    for line in said:
        assert f"{line[0].upper()}{line[1:]}." in header
    assert bar(header) == bar(err)
    verdict = next(line for line in err.splitlines() if line.startswith("The best row of the sweep"))
    assert f'<p class="verdict">Walk-forward 30/10: {verdict}</p>' in header
    assert len(BAR.findall(text)) == 1


def test_without_curves_the_bar_is_still_said_on_terminal_and_page(run, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep_luck, "MOST_CONFIGURATIONS", 3)
    swept = run("sweep", "theme-momentum", "-p", "top_k=1,2", "-p", "threshold=0.6,0.7", *SPAN)[2]
    page = tmp_path / "sweep.html"
    shown = run("sweeps", "show", "latest", "--html", str(page))[2]
    said = next(line for line in shown.splitlines() if line.startswith("luck: "))
    assert said in swept.splitlines()
    assert re.search(r"best of the \d+ tried .* without an edge; its deflated Sharpe ratio is not computed$", said)
    assert f"T{said.removeprefix('luck: t')}." in page.read_text("utf-8").replace("\N{MINUS SIGN}", "-")


def test_luck_of_rows_that_have_changed_since_is_not_said_of_the_new_ones(run, folder):
    call = ("sweep", "theme-momentum", "-p", "top_k=1,2", "-p", "gross=0.11,0.12,0.13,0.14", *SPAN)
    assert bar(run(*call)[2])[2] >= 0
    sweep_id = json.loads(run("sweeps", "list", "--json")[1])[-1]["sweep_id"]
    with Warehouse.open(folder / "chipwire.duckdb", write=True) as warehouse:
        warehouse.run("UPDATE sweep_row SET trial_id = reverse(trial_id) WHERE sweep_id = ?", [sweep_id])
    err = run("sweeps", "show", sweep_id)[2]
    assert "its deflated Sharpe ratio is not computed" in err
    assert "overfitting" not in err
    assert BAR.search(run(*call)[2])  # run anew, and so is its luck


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
