"""Sweeps: each row is what its configuration gives alone; blocks, stops, changes and failures."""

from __future__ import annotations

import datetime as dt
import json
from typing import ClassVar

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.data.errors import BadParameter, DomainError, NothingToDo
from chipwire.engine.backtest import delete_run, run_backtest
from chipwire.engine.settings import Settings
from chipwire.engine.sweep import run_sweep
from chipwire.engine.sweep_grid import make_grid
from chipwire.engine.sweep_store import COUNTS, FIGURES, count_trials
from chipwire.reports.collect import metrics_of
from chipwire.strategies.base import Parameter, Strategy
from chipwire.strategies.limits import TooSlowError

warehouse, written = worlds.warehouse, worlds.written

SPAN = {"start": "2024-03-01", "end": "2024-05-31"}
LISTED = {"NVDA": 90.0, "0981.HK": 16.0, "688981.SS": 45.0}


class Turns(Strategy):
    """Puts `size` of equity into one instrument after the other; `hold` sessions each."""

    name = "turns"
    reads_signals = False
    parameters = (
        Parameter("size", float, 0.5, "weight of what is held", -1.0, 4.0, "of equity"),
        Parameter("hold", int, 3, "sessions", 1, 50),
        Parameter("fail", bool, False, "raise at the first decision"),
    )

    def decide(self, view):
        if self.values["fail"]:
            raise ValueError("no idea")
        turn = view.session.toordinal() // self.values["hold"]
        chosen = view.universe[turn % len(view.universe)]
        return {name: self.values["size"] if name == chosen else 0.0 for name in view.instruments}


class Follows(Turns):
    """The same with the latest news' issuer."""

    name = "follows"
    reads_signals = True

    def decide(self, view):
        read = view.signals(lookback_days=3.0)
        last = read["issuer"].iloc[-1] if len(read) else None
        return {name: self.values["size"] if view.issuer(name) == last else 0.0 for name in view.instruments}


class FakeLedger:
    """Gives figures made of the parameters; may be told to stop before a call."""

    def __init__(self, room=2, stop_before=None):
        self.blocks = []
        self._room = room
        self._stop_before = stop_before

    def room(self, strategy, loaded):
        return self._room

    def figures(self, strategy, loaded, trials, on_progress):
        if len(self.blocks) == self._stop_before:
            raise KeyboardInterrupt
        if on_progress:
            on_progress(1, 2)
        if any(trial.values["fail"] for trial in trials):
            raise DomainError("one of these fails")
        self.blocks.append([trial.row_no for trial in trials])
        return {"sharpe": [trial.values["size"] for trial in trials]}, ["a warning"]


@pytest.fixture
def market(written):
    """Return a world of three venues with prices, rates and some news."""
    written.warehouse.run("DELETE FROM sweep")
    written.warehouse.run("DELETE FROM sweep_row")
    for seed, (symbol, price) in enumerate(LISTED.items()):
        written.walk(symbol, "2024-02-01", "2024-06-03", price, seed)
    written.fx("CNY", {"2024-01-15": 7.2, "2024-04-10": 7.25}).fx("HKD", {"2024-01-15": 7.8})
    written.model()
    issuers = ("NVIDIA", "SMIC")
    for number in range(30):
        at = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC) + dt.timedelta(days=3 * number, hours=number % 7)
        written.signal(issuers[number % 2], at.strftime("%Y-%m-%d %H:%M"), 0.5)
    return written


def grid_of(strategy, *params, draws=0, seed=0, **settings):
    pairs = [tuple(param.split("=")) for param in params]
    return make_grid(strategy, pairs, SPAN | settings, draws=draws, seed=seed)


def sweep(world, strategy, *params, ledger=None, on_progress=None, **options):
    grid = grid_of(strategy, *params, **options)
    return run_sweep(world.warehouse, worlds.UNIVERSE, strategy, grid, ledger=ledger, on_progress=on_progress)


def rows_of(world, sweep_id):
    names = ("row_no", "params", "settings", "error", "trial_id", *COUNTS, *FIGURES)
    sql = f"SELECT {', '.join(names)} FROM sweep_row WHERE sweep_id = ? ORDER BY row_no"
    return [dict(zip(names, row, strict=True)) for row in world.warehouse.rows(sql, [sweep_id])]


# --- figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "params", "settings"),
    [
        (Turns, ("size=0.3,0.9", "hold=2,5"), {"slippage_bps": "0,25", "fill": "open,close"}),
        (Turns, ("size=0.3,0.9",), {"band": "0,0.2", "participation": "0.1,1", "capital": "10000,1000000"}),
        (Follows, ("size=0.4,0.9",), {"latency_minutes": "0,2000", "impact": "0.5", "slippage_bps": "0,25"}),
        (Turns, ("size=-0.3,0.9",), {"fee_multiple": "0:4:1"}),
    ],
)
def test_each_row_is_what_its_configuration_gives_alone_event_by_event(market, strategy, params, settings):
    done = sweep(market, strategy, *params, **settings)
    rows = rows_of(market, done.sweep_id)
    assert len(rows) == done.configurations > 7
    assert len({row["final_equity"] for row in rows}) > 4
    for row in rows[1::3]:
        given = json.loads(row["settings"])
        dates = {name: dt.date.fromisoformat(given[name]) for name in ("start", "end")}
        tuples = {name: tuple(given[name]) for name in ("instruments", "benchmarks")}
        alone = Settings(**given | dates | tuples)
        run = run_backtest(market.warehouse, worlds.UNIVERSE, strategy(**json.loads(row["params"])), alone)
        figures = metrics_of(market.warehouse, run.run_id).as_json()
        figures |= {"max_drawdown": figures["max_drawdown"]["depth"], "costs": figures["costs"]["total"]}
        for name in COUNTS:
            assert row[name] == figures[name], name
        for name in FIGURES:
            assert row[name] == pytest.approx(figures[name], rel=1e-9, abs=1e-9), name
        delete_run(market.warehouse, run.run_id)


def test_splits_dividends_and_dead_instruments_are_in_the_figures(market):
    market.action("NVDA", "2024-04-16", "split", 1.5)
    market.action("0981.HK", "2024-04-18", "dividend", 0.7)
    market.warehouse.run("DELETE FROM bar WHERE instrument = '688981.SS' AND session > '2024-04-10'")
    done = sweep(market, Turns, "size=0.4,0.8", "hold=7")
    for row in rows_of(market, done.sweep_id):
        alone = Settings(start=dt.date(2024, 3, 1), end=dt.date(2024, 5, 31))
        run = run_backtest(market.warehouse, worlds.UNIVERSE, Turns(**json.loads(row["params"])), alone)
        figures = metrics_of(market.warehouse, run.run_id)
        assert row["costs"] == pytest.approx(figures.costs["total"], rel=1e-9, abs=1e-6)
        assert row["turnover"] == pytest.approx(figures.turnover, rel=1e-9)
        assert (row["n_fills"], row["n_unfilled"]) == (figures.n_fills, figures.n_unfilled)


def test_a_block_of_many_and_blocks_of_one_give_the_same_bits(market):
    from chipwire.engine.sweep_block import ColumnarLedger

    class OneByOne(ColumnarLedger):
        def room(self, strategy, loaded):
            return 1

    first = sweep(market, Turns, "size=0.1:0.9:0.2", "hold=1,4")
    together = rows_of(market, first.sweep_id)
    market.warehouse.run("DELETE FROM sweep_row")
    sweep(market, Turns, "size=0.1:0.9:0.2", "hold=1,4", ledger=OneByOne())
    assert rows_of(market, first.sweep_id) == together


class Wide(Turns):
    """Every instrument is held, more or less of it from turn to turn, so that sums over instruments are long."""

    name = "wide"

    def decide(self, view):
        turn = view.session.toordinal() // self.values["hold"]
        names = sorted(view.instruments)
        return {name: self.values["size"] * ((turn + k) % 5 + 1) / 60 for k, name in enumerate(names)}


def test_with_many_instruments_a_row_has_the_same_bits_in_any_block(written):
    from chipwire.engine.sweep_block import ColumnarLedger

    class OneByOne(ColumnarLedger):
        def room(self, strategy, loaded):
            return 1

    # NumPy adds eight numbers and more in pairs, where they lie side by side; fewer one after the other.
    listed = [each.symbol for each in worlds.UNIVERSE.instruments.values() if each.currency == "USD"][:13]
    assert len(listed) == 13
    for seed, symbol in enumerate(listed):
        written.walk(symbol, "2024-02-20", "2024-04-02", 30.0 + 7.1 * seed, seed)
    params, given = ("size=0.31,0.57,0.83", "hold=1"), {"end": "2024-03-29", "slippage_bps": "3"}
    first = sweep(written, Wide, *params, **given)
    together = rows_of(written, first.sweep_id)
    assert min(row["n_fills"] for row in together) > 13 * 10
    written.warehouse.run("DELETE FROM sweep_row")
    sweep(written, Wide, *params, ledger=OneByOne(), **given)
    assert rows_of(written, first.sweep_id) == together


# --- blocks, stops, changes ------------------------------------------------------------------------------


def test_a_stopped_sweep_keeps_its_blocks_and_the_same_call_goes_on(market):
    params = ("size=0.1:0.7:0.1",)
    with pytest.raises(KeyboardInterrupt):
        sweep(market, Turns, *params, ledger=FakeLedger(stop_before=2))
    (sweep_id,) = (row[0] for row in market.warehouse.rows("SELECT sweep_id FROM sweep"))
    assert [row["row_no"] for row in rows_of(market, sweep_id)] == [1, 2, 3, 4]
    ledger = FakeLedger()
    done = sweep(market, Turns, *params, ledger=ledger)
    assert (done.sweep_id, done.already, done.configurations) == (sweep_id, 4, 7)
    assert ledger.blocks == [[5, 6], [7]]
    again = FakeLedger()
    assert sweep(market, Turns, *params, ledger=again).already == 7
    assert again.blocks == []
    assert [row["sharpe"] for row in rows_of(market, sweep_id)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_progress_counts_configurations_and_never_goes_back(market):
    told = []
    sweep(market, Turns, "size=0.1:0.5:0.1", ledger=FakeLedger(), on_progress=lambda done, total: told.append(done))
    assert told[-1] == 5
    assert told == sorted(told)


def test_rows_are_computed_anew_when_the_data_changed(market):
    first = sweep(market, Turns, "size=0.2,0.4", ledger=FakeLedger())
    market.warehouse.run("UPDATE bar SET close = close + 1 WHERE instrument = 'NVDA' AND session = '2024-04-02'")
    second = sweep(market, Turns, "size=0.2,0.4", ledger=FakeLedger())
    assert (second.sweep_id, second.already, second.changed) == (first.sweep_id, 0, 2)
    assert len(rows_of(market, first.sweep_id)) == 2


def test_a_configuration_that_fails_stands_alone_with_its_reason(market):
    done = sweep(market, Turns, "size=0.2,0.4,0.6", "fail=false,true")
    rows = rows_of(market, done.sweep_id)
    assert done.failed == 3
    for row in rows:
        assert (row["error"] is None) == (not json.loads(row["params"])["fail"])
        assert (row["sharpe"] is None) == (row["error"] is not None)
    assert "no idea" in rows[1]["error"]
    assert "turns" in rows[1]["error"]


def test_weights_above_the_leverage_fail_with_what_to_do(market):
    done = sweep(market, Turns, "size=0.5,1.5,2.5", leverage="1,2")
    errors = {
        (json.loads(row["params"])["size"], json.loads(row["settings"])["leverage"])
        for row in rows_of(market, done.sweep_id)
        if row["error"] and "above the leverage" in row["error"]
    }
    assert errors == {(1.5, 1.0), (2.5, 1.0), (2.5, 2.0)}


class Panelled(Turns):
    """Holds `size` of one instrument each; its set-wise form may go wrong."""

    name = "panelled"
    calls: ClassVar[list[int]] = []

    def decide(self, view):
        return dict.fromkeys(view.instruments, self.values["size"])

    @classmethod
    def targets_setwise(cls, panels, configurations):
        cls.calls.append(len(configurations))
        if any(values["fail"] for values in configurations):
            raise ZeroDivisionError("of course")
        if any(values["hold"] == 50 for values in configurations):
            return {panels.venues[0].mic: np.zeros((1, 2, 3, 4))}
        if any(values["hold"] == 48 for values in configurations):
            return [1.0]
        if any(values["hold"] == 49 for values in configurations):
            return None
        sizes = np.array([values["size"] for values in configurations])[:, None, None]
        return {
            venue.mic: np.broadcast_to(sizes, (len(sizes), len(venue.decide_at), len(venue.instruments)))
            for venue in panels.venues
        }


def test_the_setwise_form_is_asked_once_for_equal_parameters_and_gives_the_same(market):
    Panelled.calls.clear()
    done = sweep(market, Panelled, "size=0.1,0.3", "hold=3,49", slippage_bps="0,10")
    rows = rows_of(market, done.sweep_id)
    assert Panelled.calls[0] == 4  # of eight configurations
    # Where hold is 49 the form declines, and each is asked decision by decision.
    by_size = {}
    for row in rows:
        size, slippage = json.loads(row["params"])["size"], json.loads(row["settings"])["slippage_bps"]
        by_size.setdefault((size, slippage), set()).add(row["final_equity"])
    assert len(by_size) == 4
    assert all(len(found) == 1 for found in by_size.values())


def test_a_setwise_form_that_goes_wrong_is_named(market):
    done = sweep(market, Panelled, "size=0.2", "hold=3,50,48", "fail=false,true")
    errors = [row["error"] for row in rows_of(market, done.sweep_id)]
    assert errors[0] is None
    assert "'panelled' in targets_setwise: ZeroDivisionError: of course" in errors[1]
    assert "'panelled' in targets_setwise: it gives shape (1, 2, 3, 4)" in errors[2]
    assert "'panelled' in targets_setwise: it returned list; allowed:" in errors[4]


def test_a_block_that_takes_too_long_is_not_tried_in_parts(market):
    class Slow(FakeLedger):
        def figures(self, strategy, loaded, trials, on_progress):
            self.blocks.append(len(trials))
            raise DomainError("no answer within 60 s") from TooSlowError(60)

    ledger = Slow(room=4)
    done = sweep(market, Turns, "size=0.1:0.5:0.1", ledger=ledger)
    assert ledger.blocks == [4, 1]
    assert done.failed == 5


def test_warnings_are_kept_once(market):
    done = sweep(market, Turns, "size=0.2,0.4", fill="open,close", ledger=FakeLedger(room=1))
    assert done.warnings.count("a warning") == 1
    assert json.loads(market.warehouse.value("SELECT warnings FROM sweep")) == list(done.warnings)


def test_warnings_stay_when_the_same_call_comes_again_and_runs_nothing(market):
    class Warns(FakeLedger):
        def figures(self, strategy, loaded, trials, on_progress):
            figures, _ = super().figures(strategy, loaded, trials, on_progress)
            return figures, [f"size {trial.values['size']} is a warning" for trial in trials]

    first = sweep(market, Turns, "size=0.2,0.4,0.6", ledger=Warns(room=1))
    kept = market.warehouse.value("SELECT warnings FROM sweep")
    assert sum("is a warning" in each for each in first.warnings) == 3
    again = sweep(market, Turns, "size=0.2,0.4,0.6", ledger=Warns(room=1))
    assert (again.already, again.warnings) == (3, first.warnings)
    assert market.warehouse.value("SELECT warnings FROM sweep") == kept == json.dumps(list(first.warnings))
    # One that goes on where another stopped ends with the same.
    market.warehouse.run("DELETE FROM sweep")
    market.warehouse.run("DELETE FROM sweep_row")
    with pytest.raises(KeyboardInterrupt):
        sweep(market, Turns, "size=0.2,0.4,0.6", ledger=Warns(room=1, stop_before=2))
    assert sweep(market, Turns, "size=0.2,0.4,0.6", ledger=Warns(room=1)).warnings == first.warnings


def test_no_news_or_bars_is_said_and_nothing_is_stored(market):
    market.warehouse.run("DELETE FROM signal")
    with pytest.raises(NothingToDo, match="no signals"):
        sweep(market, Follows, "size=0.2", ledger=FakeLedger())
    with pytest.raises(NothingToDo, match="no daily bars"):
        sweep(market, Turns, "size=0.2", start="2019-01-02", end="2019-03-01", ledger=FakeLedger())
    assert market.warehouse.value("SELECT count(*) FROM sweep") == 0


def test_a_value_outside_what_is_allowed_is_refused_before_anything_runs(market):
    ledger = FakeLedger()
    with pytest.raises(BadParameter, match="from -1 to 4"):
        sweep(market, Turns, "size=0.2,5", ledger=ledger)
    assert ledger.blocks == []
    assert market.warehouse.value("SELECT count(*) FROM sweep") == 0


# --- trials ----------------------------------------------------------------------------------------------


def test_every_configuration_ever_tried_counts_once(market):
    assert count_trials(market.warehouse) == 0
    sweep(market, Turns, "size=0.2,0.4")
    sweep(market, Turns, "size=0.4,0.6", "fail=false,true")
    assert count_trials(market.warehouse) == 5  # 0.2, 0.4, 0.6 and two that failed
    settings = Settings(start=dt.date(2024, 3, 1), end=dt.date(2024, 5, 31))
    known = run_backtest(market.warehouse, worlds.UNIVERSE, Turns(size=0.4), settings)
    assert count_trials(market.warehouse, "turns") == 5
    other = run_backtest(market.warehouse, worlds.UNIVERSE, Turns(size=0.7), settings)
    assert count_trials(market.warehouse, "turns") == 6
    assert count_trials(market.warehouse, "follows") == 0
    for run in (known, other):
        delete_run(market.warehouse, run.run_id)
