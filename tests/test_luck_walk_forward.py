"""Walk-forward: one account that follows what was chosen, the same as a run of the event engine that is told to."""

from __future__ import annotations

import datetime as dt
import math

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

from chipwire.data.errors import BadParameter, DomainError
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.data.warehouse import Warehouse
from chipwire.engine.columnar_plan import make_plan
from chipwire.engine.settings import Settings
from chipwire.engine.sweep import run_again, run_sweep
from chipwire.engine.sweep_block import ColumnarLedger
from chipwire.engine.sweep_grid import make_grid
from chipwire.engine.timeline import Step
from chipwire.engine.validation import store, sweep_luck
from chipwire.engine.validation.curves import CurveKeeper
from chipwire.engine.validation.luck import believe, luck_of_run
from chipwire.engine.validation.switching import Switching
from chipwire.engine.validation.trials import tried
from chipwire.engine.validation.walk_forward import Asked, walk_forward
from chipwire.strategies.base import Parameter, Strategy

warehouse, written = worlds.warehouse, worlds.written

LISTED = {"NVDA": 90.0, "AMD": 150.0, "0981.HK": 16.0, "688981.SS": 45.0}
SPAN = {"start": "2024-03-01", "end": "2024-06-28", "band": "0"}


class Turns(Strategy):
    """Holds one instrument after the other and says so at every decision: what it wants depends on the day only."""

    name = "turns"
    reads_signals = False
    parameters = (
        Parameter("shift", int, 0, "which comes first", 0, 10),
        Parameter("hold", int, 3, "days", 1, 50),
    )

    def wanted(self, session, universe):
        turn = session.toordinal() // self.values["hold"] + self.values["shift"]
        chosen = universe[turn % len(universe)]
        return {name: 0.9 if name == chosen else 0.0 for name in universe}

    def decide(self, view):
        wanted = self.wanted(view.session, view.universe)
        return {name: wanted[name] for name in view.instruments}


class Once(Strategy):
    """Buys one instrument of New York at its first decision and never asks for anything again."""

    name = "once"
    reads_signals = False
    parameters = (Parameter("which", str, "NVDA", "instrument", choices=("NVDA", "AMD", "0981.HK")),)

    def __init__(self, **given):
        super().__init__(**given)
        self.done = False
        self.heard = 0

    def on_fill(self, fill):
        self.heard += 1
        assert self.heard == 1  # its own account trades once, whatever the one that follows does

    def decide(self, view):
        if self.done or self.values["which"] not in view.instruments:
            return None
        self.done = True
        return {self.values["which"]: 0.8}


@pytest.fixture
def market(written):
    """Return a world of three venues with prices and rates."""
    for table in ("sweep", "sweep_row", "validation"):
        written.warehouse.run(f"DELETE FROM {table}")
    for seed, (symbol, price) in enumerate(LISTED.items()):
        written.walk(symbol, "2024-02-01", "2024-07-02", price, seed)
    return written.fx("CNY", {"2024-01-15": 7.2}).fx("HKD", {"2024-01-15": 7.8})


def walk(world, strategy, params, asked, **settings):
    """Run a sweep, and walk forward over it."""
    grid = make_grid(strategy, [tuple(each.split("=")) for each in params], SPAN | settings)
    keeper = CurveKeeper()
    done = run_sweep(world.warehouse, worlds.UNIVERSE, strategy, grid, ledger=ColumnarLedger(keeper.take))
    loaded = run_again(world.warehouse, worlds.UNIVERSE, strategy, grid, ColumnarLedger(keeper.take), ())
    curves = keeper.curves()
    return done, curves, walk_forward(strategy, loaded, curves, asked, ColumnarLedger())


def alone(world, strategy, given):
    """Return equity by day of a run of the event engine that is not stored."""
    rows = world.simulate(strategy, given).ledger.equity
    return {row.day: row.equity for row in rows}


def settings_of(start="2024-03-01", **changes):
    return Settings(start=dt.date.fromisoformat(start), end=dt.date(2024, 6, 28), band=0.0, **changes)


# --- the account -----------------------------------------------------------------------------------------


def test_it_chooses_by_the_figure_on_the_training_days(market):
    params = ("shift=0,1,2,3", "hold=2,5")
    _, curves, walked = walk(market, Turns, params, Asked(20, 10, purge=2, embargo=1))
    equity = {}
    for trial in curves.trials:
        by_day = alone(market, Turns(**trial.values), settings_of())
        assert tuple(by_day) == curves.days
        equity[trial.row_no] = np.array([1_000_000.0, *by_day.values()])
    returns = {row: curve[1:] / curve[:-1] - 1 for row, curve in equity.items()}
    assert len(walked.windows) == math.ceil((len(curves.days) - 23) / 10) > 5
    for number, window in enumerate(walked.windows):
        first = 10 * number
        inside = {row: each[first : first + 20] for row, each in returns.items()}
        sharpe = {row: each.mean() / each.std(ddof=1) * math.sqrt(252) for row, each in inside.items()}
        assert window.row == max(sharpe, key=sharpe.get)
        assert window.in_sample == pytest.approx(sharpe[window.row], rel=1e-9)
        assert (window.train_first, window.train_last) == (curves.days[first], curves.days[first + 19])
        assert window.test_first == curves.days[first + 23]
        outside = {row: each[first + 23 : first + 33] for row, each in returns.items()}
        ranked = sorted(outside, key=lambda row: -outside[row].mean() / outside[row].std(ddof=1))
        assert window.place == ranked.index(window.row) + 1
    assert len({window.row for window in walked.windows}) > 1
    assert walked.changes > 1


@pytest.mark.parametrize("fill", ["open", "close"])
def test_the_account_is_that_of_a_run_which_is_told_the_choices(market, fill):
    _, curves, walked = walk(market, Turns, ("shift=0,1,2,3", "hold=2,5"), Asked(20, 10), fill=fill)
    values = {trial.row_no: trial.values for trial in curves.trials}
    universe = market.market(settings_of(fill=fill)).symbols

    def told(view):
        # Auctions of these venues lie on the session's own day in UTC.
        for window in walked.windows:
            if window.test_first <= view.session <= window.test_last:
                wanted = Turns(**values[window.row]).wanted(view.session, universe)
                return {name: wanted[name] for name in view.instruments}
        return None

    expected = alone(market, worlds.Script(told), settings_of(fill=fill))
    tail = {day: value for day, value in expected.items() if day >= walked.windows[0].test_first}
    assert tuple(tail) == walked.days
    assert walked.equity.tolist() == list(tail.values())


def test_what_is_held_is_taken_over_and_paid_for_where_the_choice_changes(market):
    params = ("which=NVDA,AMD,0981.HK",)
    _, curves, walked = walk(market, Once, params, Asked(15, 15, measure="total_return"))
    rows = [window.row for window in walked.windows]
    assert len(set(rows)) > 1
    names = {trial.row_no: trial.values["which"] for trial in curves.trials}
    held = {row: alone_positions(market, Once(which=name)) for row, name in names.items()}

    seen = set()

    def told(view):
        for number, window in enumerate(walked.windows):
            if not window.test_first <= view.session <= window.test_last:
                continue
            if number and rows[number - 1] == window.row:
                return None
            if (number, view.venue) in seen:
                return None
            seen.add((number, view.venue))
            # As it stood at the end of the last UTC day: these venues decide before any of that day's auctions moves
            # the price or the rate by which the position is valued.
            name, (shares, equity) = names[window.row], held[window.row](view.now.date())
            leaves = {other: 0.0 for other in view.instruments if other in view.positions and other != name}
            if name in view.instruments:
                price = float(view.prices(name, 1)["close"].iloc[-1])
                fx = 1 / 7.8 if name.endswith("HK") else 1.0
                leaves[name] = shares * price * fx / equity
            return leaves
        return None

    expected = alone(market, worlds.Script(told), settings_of())
    tail = [value for day, value in expected.items() if day >= walked.windows[0].test_first]
    assert walked.equity.tolist() == pytest.approx(tail, rel=1e-6)
    # Each change sells one and buys another; the first only buys.
    assert walked.fills == 2 * walked.changes + 1
    assert walked.costs > 0


def alone_positions(world, strategy):
    """Return a function from a day to (shares, equity) of a run alone, as of the last day before it."""
    ledger = world.simulate(strategy, settings_of()).ledger
    equity = {row.day: row.equity for row in ledger.equity}
    shares = {row.day: row.shares for row in ledger.positions}

    def at(day):
        before = max(each for each in equity if each < day)
        return shares[before], equity[before]

    return at


def test_what_comes_later_changes_no_earlier_choice_and_no_earlier_equity(market):
    params, asked = ("shift=0,1,2,3", "hold=2,5"), Asked(20, 10, purge=2)
    _, _, before = walk(market, Turns, params, asked)
    cut = before.windows[3].test_first
    market.warehouse.run("UPDATE bar SET open = open * 3, close = close / 2, high = high * 3, low = low / 2 "
                         "WHERE session >= ?", [cut])  # fmt: skip
    _, _, after = walk(market, Turns, params, asked)
    assert [w.row for w in after.windows[:4]] == [w.row for w in before.windows[:4]]
    early = [place for place, day in enumerate(before.days) if day < cut]
    assert len(early) == 30
    assert after.equity[early].tolist() == before.equity[early].tolist()
    assert after.equity[-1] != before.equity[-1]


def test_anchored_windows_begin_at_the_start(market):
    _, curves, walked = walk(market, Turns, ("shift=0,1",), Asked(20, 20, anchored=True))
    assert {window.train_first for window in walked.windows} == {curves.days[0]}


def test_nothing_is_held_where_nothing_could_be_chosen(market):
    class Late(Turns):
        name = "late"

        def decide(self, view):
            return super().decide(view) if view.session >= dt.date(2024, 4, 2) else None

    _, _, walked = walk(market, Late, ("shift=0,1",), Asked(15, 15))
    first = walked.windows[0]
    assert (first.row, first.params, first.place) == (None, {}, None)
    assert math.isnan(first.in_sample)
    assert set(walked.equity[:15].tolist()) == {1_000_000.0}
    assert walked.windows[-1].row is not None


class Ask:
    """A source of two configurations that gives what it is told, and looks at what it is shown."""

    name, configurations, needs_fills, tells_causes = "ask", 2, False, True

    def __init__(self, weights):
        self.weights = weights

    def at(self, step, moment, state):
        assert state.equity().shape == (2,)
        assert state.shares(step.venue).shape == (2, len(self.weights))
        assert state.equity().tolist() == [2_000.0, 4_000.0]
        return np.array([self.weights, self.weights])

    def causes(self, configuration, instrument):
        return ["of the one that is followed"]


class State:
    """Accounts at a decision: the third one follows."""

    def __init__(self, own):
        self.own = own

    def shares(self, venue):
        return np.array([[10.0, 0.0], [30.0, 20.0], self.own])

    def equity(self):
        return np.array([2_000.0, 4_000.0, 1_000.0])

    def prices(self, venue):
        return np.array([100.0, 50.0])


def test_it_catches_up_until_it_is_there_and_never_beyond_the_leverage(market):
    given = settings_of(instruments=("NVDA", "AMD"))
    loaded = market.market(given)
    names = [each.symbol for each in loaded.venues[0].instruments]
    assert names == ["AMD", "NVDA"]
    trial_plan = make_plan(loaded, given, load_fees(), load_market_rules())
    follows = np.ones(len(trial_plan.days), dtype=np.intp)
    source = Switching(Ask([np.nan, np.nan]), trial_plan, follows, fill="open", leverage=0.8)
    place = loaded.venues[0]

    def ask(session, own):
        step = Step("decide", 0, place.first + session)
        return source.at(step, place.decide_at[step.session], State(own))[2].tolist()

    # The second one holds 30 x 100 and 20 x 50 of an equity of 4,000: 0.75 and 0.25, scaled to 0.8 in all.
    assert ask(0, [0.0, 0.0]) == pytest.approx([0.6, 0.2])
    # The first was bought, the second was not (say, suspended): only that is asked for again.
    assert ask(1, [6.0, 0.0]) == pytest.approx([np.nan, 0.25], nan_ok=True)
    assert np.isnan(ask(2, [6.0, 3.0])).all()
    # Once it was there it is left alone, whatever becomes of it.
    assert np.isnan(ask(3, [6.0, 0.0])).all()
    assert source.causes(1, "AMD") == ["of the one that is followed"]
    assert source.causes(2, "AMD") == ()


def test_only_parameters_are_chosen_and_the_windows_must_fit(market):
    with pytest.raises(DomainError, match="only parameters"):
        walk(market, Turns, ("shift=0,1",), Asked(20, 10), slippage_bps="0,10")
    with pytest.raises(BadParameter, match="the run has"):
        walk(market, Turns, ("shift=0,1",), Asked(200, 10))
    with pytest.raises(BadParameter, match="sort='costs'"):
        Asked(20, 10, measure="costs")
    with pytest.raises(DomainError, match="different spans"):
        walk(market, Turns, ("shift=0,1",), Asked(20, 10), start="2024-03-01,2024-03-08")


# --- what is said ----------------------------------------------------------------------------------------


def test_a_report_counts_trials_and_walk_forwards(market):
    asked = Asked(20, 10)
    done, curves, walked = walk(market, Turns, ("shift=0,1,2,3", "hold=2,5,7"), asked)
    looked = sweep_luck.look(market.warehouse, "turns", curves)
    assert (looked.trials, looked.configurations) == (12, 12)
    rows = market.warehouse.rows("SELECT sharpe, row_no FROM sweep_row")
    assert (looked.sharpe, looked.row) == (pytest.approx(max(rows)[0], rel=1e-9), max(rows)[1])
    known = tried(market.warehouse, "turns")
    assert known.variance == pytest.approx(np.var([sharpe for sharpe, _ in rows], ddof=1) / 252, rel=1e-9)
    assert 0 < looked.deflated_sharpe < looked.probabilistic_sharpe
    assert looked.overfitting["combinations"] == math.comb(looked.overfitting["blocks"], 4)
    found = sweep_luck.report(market.warehouse, done.sweep_id, "turns", curves, asked, walked, looked)
    assert found.luck.trials == 1
    store.store(market.warehouse, done.sweep_id, "walk_forward", found.as_json())
    again = sweep_luck.report(market.warehouse, done.sweep_id, "turns", curves, asked, walked, looked)
    assert again.luck.trials == 1  # the same one
    other = sweep_luck.report(market.warehouse, done.sweep_id, "turns", curves, Asked(25, 10), walked, looked)
    assert other.luck.trials == 2
    assert other.luck.deflated_sharpe < found.luck.deflated_sharpe == found.luck.probabilistic_sharpe
    for each in (found.sentence, believe(found.luck)):
        assert each.endswith(".")
        assert f"{found.luck.intervals['sharpe'].value:.2f}" in each


def test_the_spread_of_the_trials_is_the_same_to_the_bit_however_the_rows_lie(tmp_path):
    figures = np.random.default_rng(3).normal(0.0, 1.0, 5000)
    found = set()
    for seed in range(4):
        with Warehouse.open(tmp_path / f"{seed}.duckdb", write=True, threads=4) as warehouse:
            warehouse.run(
                "INSERT INTO sweep SELECT 's', 1, 'turns', 'turns', '[]', 0, 0, 5000, 'v', '[]' FROM range(1)"
            )
            rows = pd.DataFrame({"n": np.arange(5000), "sharpe": figures})
            warehouse.run(
                "INSERT INTO sweep_row (sweep_id, row_no, trial_id, params, settings, data_fingerprint, sharpe, batch_id) "
                "SELECT 's', n, CAST(n AS VARCHAR), '{}', '{}', 'd', sharpe, 1 FROM figures",
                figures=rows.iloc[np.random.default_rng(seed).permutation(5000)],
            )
            found.add(tried(warehouse, "turns").variance)
    assert len(found) == 1
    assert found.pop() == pytest.approx(figures.var(ddof=1) / 252, rel=1e-12)


def test_validations_are_appended_to_and_the_last_one_is_read(market):
    one = store.store(market.warehouse, "s", "luck", {"a": 1})
    assert store.store(market.warehouse, "s", "luck", {"a": 1}) == one
    store.store(market.warehouse, "s", "luck", {"a": 2})
    assert store.store(market.warehouse, "s", "luck", {"a": 1}) != one
    assert store.latest(market.warehouse, "s", "luck") == {"a": 1}
    assert store.latest(market.warehouse, "s", "walk_forward") is None
    assert store.payloads(market.warehouse, "luck") == [{"a": 1}, {"a": 2}, {"a": 1}]


def test_the_luck_of_a_stored_run_counts_all_that_was_tried(market):
    walk(market, Turns, ("shift=0,1,2,3",), Asked(20, 10))
    run = market.run(Turns(shift=7), settings_of())
    rows = market.warehouse.rows("SELECT equity FROM equity WHERE run_id = ? ORDER BY day", [run.run_id])
    curve = np.array([1_000_000.0, *(value for (value,) in rows)])
    returns = curve[1:] / curve[:-1] - 1
    found = luck_of_run(market.warehouse, run.run_id)
    assert (found.trials, found.days) == (5, len(rows))
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(252), rel=1e-9)
    assert found.intervals["total_return"].value == pytest.approx(curve[-1] / curve[0] - 1, rel=1e-9)
    for each in found.intervals.values():
        assert each.low < each.value < each.high
    mark = luck_of_run(market.warehouse, run.run_id, benchmark=curve**0.5).intervals["alpha"]
    assert mark.low < mark.value < mark.high
    assert luck_of_run(market.warehouse, run.run_id) == found
