"""The check of a run: what it says follows from its parts, is kept with the run, and comes out of the command line."""

import dataclasses
import datetime as dt
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from chipwire.cli import cli
from chipwire.data.errors import BadTarget
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.validation import run_check, worlds
from chipwire.engine.validation.fragility import Fragility, Variant
from chipwire.engine.validation.luck import assess
from chipwire.engine.validation.placebo import Placebo
from chipwire.engine.validation.store import stored_check
from chipwire.engine.validation.trials import Trials


@pytest.fixture
def made_world(tmp_path):
    """Return a warehouse with a made world of two issuers over half a year."""
    recipe = worlds.Recipe(
        start=dt.date(2022, 1, 3), end=dt.date(2022, 8, 31), instruments=("NVDA", "0700.HK"), ic=0.3
    )  # fmt: skip
    path = tmp_path / "w.duckdb"
    with Warehouse.open(path, write=True, create=True) as opened:
        worlds.store_world(opened, load_universe(), recipe, 1)
    return path


def luck(mean, days=1500, trials=1):
    """Return the report of returns whose yearly Sharpe ratio is exactly `mean`."""
    chance = np.random.default_rng(1).standard_normal(days)
    chance = (chance - chance.mean()) / chance.std(ddof=1)
    returns = 0.01 * (mean / math.sqrt(252) + chance)
    first = np.datetime64("2019-01-01")
    dates = [(first + np.timedelta64(day, "D")).item() for day in range(days)]
    return assess(1e6 * np.cumprod(1 + returns), 1e6, dates, Trials(trials), draws=50)


def placebos(better, count=99):
    return (Placebo("times", "sharpe", 1.0, (2.0,) * better + (0.0,) * (count - better), 1),)


FIRM = Fragility(Variant("none", "as it is", 0.5, 1.0), (Variant("costs", "costs x 4", 0.2, 0.5),))


@pytest.mark.parametrize(
    ("report", "tests", "trades", "begins"),
    [
        (luck(3.0, days=40), placebos(0), 100, "Believe nothing yet: 40 days"),
        (luck(3.0), placebos(0), 12, "Believe nothing yet: 12 closing trades"),
        (luck(3.0), placebos(0), 1, "Believe nothing yet: 1 closing trade, too few"),
        (luck(3.0), placebos(0), 0, "Believe nothing yet: no closing trades, too few"),
        # None of 18 did as well, and p is 1 / 19 all the same.
        (luck(3.0), placebos(0, 18), 100, "Believe nothing yet: 18 placebos, too few"),
        (luck(3.0), placebos(0, 19), 100, "The news seems to have made this"),
        (luck(3.0), placebos(30), 100, "Do not believe that the news made this: mixed-up news did as well in 30 of 99"),
        (luck(0.3), placebos(0), 100, "The news may have mattered"),
        (luck(3.0), placebos(0), 100, "The news seems to have made this"),
        (luck(0.3), (), 100, "Luck explains this"),
        (luck(3.0), (), 100, "More than luck, though no news was read"),
    ],
)
def test_what_to_believe_follows_from_the_parts(report, tests, trades, begins):
    assert run_check.believe(report, tests, FIRM, trades).startswith(begins)


def test_five_in_a_hundred_placebos_is_the_border():
    # (1 + 4) / 100 is 5%, (1 + 5) / 100 is more.
    assert run_check.believe(luck(3.0), placebos(4), FIRM, 100).startswith("The news seems")
    assert run_check.believe(luck(3.0), placebos(5), FIRM, 100).startswith("Do not believe")


def test_the_same_ratio_stands_alone_and_not_after_a_thousand_tries():
    assert "does not stand after the 1,000 configurations" in run_check.believe(
        luck(1.2, trials=1000), placebos(0), FIRM, 100
    )
    assert "stands after the one configuration" in run_check.believe(luck(1.2), placebos(0), FIRM, 100)


def test_what_takes_the_gain_away_is_named():
    variants = (
        Variant("latency", "1 session later", -0.1, 0.0), Variant("latency", "2 sessions later", -0.2, 0.0),
        Variant("costs", "costs x 2", -0.1, 0.0), Variant("parameter", "hold = 4", 0.3, 0.0),
        Variant("parameter", "gross = 2 (cannot be traded)", math.nan, math.nan), Variant("year", "without 2025", -0.3, 0),
    )  # fmt: skip
    said = run_check.believe(luck(3.0), placebos(0), dataclasses.replace(FIRM, variants=variants), 100)
    assert said.endswith(" The gain is gone with costs x 2, with orders 1 session later (and 1 more), without 2025.")
    lost = dataclasses.replace(FIRM, base=Variant("none", "as it is", -0.1, -1.0), variants=variants)
    assert "gone" not in run_check.believe(luck(3.0), placebos(0), lost, 100)


def test_a_check_is_kept_with_its_run_and_repeats(made_world):
    arguments = ["--db", str(made_world), "backtest", "theme-momentum", "--start", "2022-01-03", "--end", "2022-08-31",
                 "--check", "--placebos", "8", "--json"]  # fmt: skip
    first = CliRunner().invoke(cli, arguments)
    assert first.exit_code == 0, first.output
    run_id = json.loads(first.stdout)["run_id"]
    said = json.loads(first.stdout)["check"]
    with Warehouse.open(made_world) as opened:
        kept = stored_check(opened, run_id)
    assert kept["sentence"] in first.stderr
    assert said == kept
    assert [len(test["values"]) for test in kept["placebos"]] == [8, 2, 2, 2]
    again = CliRunner().invoke(cli, arguments)
    assert again.stdout == first.stdout
    with Warehouse.open(made_world) as opened:
        assert opened.value("SELECT count(*) FROM validation WHERE subject = ?", [run_id]) == 1


def backtest(path, *more, strategy="theme-momentum", end="2022-08-31"):
    arguments = ["--db", str(path), "backtest", strategy, "--start", "2022-01-03", "--end", end, *more]
    return CliRunner().invoke(cli, arguments)


def test_the_tables_show_what_was_found(made_world):
    done = backtest(made_world, "--check", "--placebos", "8", "--engine", "columnar")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    with Warehouse.open(made_world) as opened:
        kept = stored_check(opened, opened.value("SELECT run_id FROM run"))
    test = kept["placebos"][0]
    better = sum(value >= test["real"] for value in test["values"])
    row = next(line for line in lines if line.startswith("times mixed within issuer and quarter"))
    assert row.split()[-3:] == ["8", str(better), f"{(1 + better) / 9:.3f}"]
    returns = [one["total_return"] for one in kept["fragility"]["variants"] if one["change"] == "costs"]
    row = next(line for line in lines if line.startswith("costs "))
    assert row.split()[1:4] == [f"{100 * min(returns):+.1f}%", f"{100 * max(returns):+.1f}%", "5"]


def test_a_run_without_a_trade_has_no_placebos_and_no_tables(made_world):
    done = backtest(made_world, "-p", "threshold=99", "--check", "--json", "--engine", "columnar")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["check"]["placebos"] == []
    told = backtest(made_world, "-p", "threshold=99", "--check", "--engine", "columnar")
    assert "Believe nothing yet: no closing trades" in told.stderr
    assert "news mixed up" not in told.stdout


def test_a_single_day_is_told_and_refused(made_world):
    done = backtest(made_world, "--check", strategy="equal-weight", end="2022-01-03")
    assert done.exit_code == 1
    assert "Total return" in done.stdout
    assert "has a single day" in str(done.exception)


def test_a_stopped_check_leaves_the_run_whole_and_told(made_world, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_check, "placebo_test", stop)
    done = backtest(made_world, "--check", "--engine", "columnar")
    assert done.exit_code != 0
    assert "Total return" in done.stdout
    with Warehouse.open(made_world) as opened:
        metrics = json.loads(opened.value("SELECT metrics FROM run"))
        assert metrics["n_fills"] == opened.value("SELECT count(*) FROM fill") > 0
        assert opened.value("SELECT count(*) FROM validation") == 0


def test_a_strategy_that_fails_on_mixed_up_news_is_told_apart_from_its_run(made_world, monkeypatch):
    def fail(*_, **__):
        raise BadTarget("theme-momentum", dt.datetime(2022, 2, 1, tzinfo=dt.UTC), "RuntimeError: not my news")

    monkeypatch.setattr(run_check, "placebo_test", fail)
    done = backtest(made_world, "--check", "--engine", "columnar")
    assert done.exit_code == 1
    with Warehouse.open(made_world) as opened:
        run_id = opened.value("SELECT run_id FROM run")
    assert str(done.exception).startswith(f"run {run_id} is stored, but its check stopped on mixed-up news: strategy")


def test_placebos_without_a_check_are_a_usage_error(made_world):
    done = backtest(made_world, "--placebos", "5")
    assert done.exit_code == 2
    assert "goes with --check" in done.stderr
