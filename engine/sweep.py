"""A sweep: every configuration of a grid on one market, in blocks, each block's figures stored when it is done.

Configurations that differ in what the columnar ledger shares (span, fill, currency, instruments, latency, cut-off,
model) form groups; a group's market and signals are loaded once. A row depends on its own configuration only, so
that it can be run alone to the same figures, and a sweep that was stopped goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from chipwire.data.errors import NothingToDo
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine import sweep_store
from chipwire.engine.backtest import data_fingerprint, load_book
from chipwire.engine.market import Market, load_market
from chipwire.engine.settings import Settings
from chipwire.engine.sweep_grid import Configuration, Grid
from chipwire.engine.sweep_store import Trial
from chipwire.engine.sweep_task import Ledger, Loaded, OnEquity, Outcome, make, params_key
from chipwire.engine.sweep_workers import Blocks
from chipwire.engine.timeline import clock
from chipwire.strategies.base import Strategy

SHARED = ("fill", "currency", "start", "end", "instruments", "cutoff_minutes", "interval", "latency_minutes")
"""The settings in which all configurations of a block agree."""


@dataclass(frozen=True)
class SweepResult:
    """What a sweep left in the warehouse.

    Attributes
    ----------
    configurations : int
        Different ones of the grid.
    already : int
        Of them, done in earlier calls.
    failed : int
        Of them, without figures: their rows say why.
    changed : int
        Rows of earlier calls that were computed anew because data, model or strategy changed since.
    warnings : tuple of str
        What the reader has to know.
    """

    sweep_id: str
    configurations: int
    already: int
    failed: int
    changed: int
    warnings: tuple[str, ...]


@dataclass
class _Group:
    settings: Settings
    model: str | None
    rows: list[tuple[int, Configuration]] = field(default_factory=list)


def run_sweep(
    warehouse: Warehouse,
    universe: Universe,
    strategy: type[Strategy],
    grid: Grid,
    *,
    reference: str | None = None,
    seed: int = 0,
    jobs: int = 1,
    ledger: Ledger | None = None,
    on_equity: OnEquity | None = None,
    on_sessions: Callable[[int], object] | None = None,
    on_begin: Callable[[str, int, int], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SweepResult:
    """Run what is missing of a sweep and store it block by block.

    Parameters
    ----------
    reference : str, optional
        The strategy as the user named it; its name by default.
    seed : int
        Of the grid's draws, for the record.
    jobs : int
        Processes that run blocks side by side; 1: this one only. Rows are the same whatever their number. They are
        spawned: a script that asks for several must do so under ``if __name__ == "__main__":``.
    ledger : Ledger, optional
        The columnar one by default; another one runs in this process.
    on_equity : callable, optional
        Told the trials of each block that the columnar ledger has run, the days, and their equity (days,
        configurations).
    on_sessions : callable, optional
        Told the sessions (UTC days with an auction) of the first group before anything is run or stored; what it
        raises ends the call.
    on_begin : callable, optional
        Told the sweep's id, its configurations and how many are there already.
    on_progress : callable, optional
        Told configurations done and in all.

    Raises
    ------
    BadParameter, InputError
        A configuration that makes no sense; nothing is run then.
    NothingToDo, UnknownName, DomainError
        A group has no data; the groups before it are stored.
    """
    configurations = list(grid.configurations())
    reference = reference or strategy.name
    sweep_id = sweep_store.sweep_identity(reference, configurations)
    parsed = _parse(strategy, configurations)
    with Blocks(strategy, reference, ledger, jobs, on_equity) as blocks:
        run = _Run(warehouse, universe, blocks, sweep_id, len(configurations), parsed, on_progress)
        for number, group in enumerate(_groups(configurations)):
            loaded = run.load(group)
            if number == 0:  # the first group has data: what is asked for makes sense
                if on_sessions:
                    on_sessions(int(clock(loaded.market).ends_day.sum()))
                sweep_store.begin(warehouse, sweep_id, strategy.name, reference, grid, seed, len(configurations))
                if on_begin:
                    on_begin(sweep_id, len(configurations), len(run.stored))
            run.group(group, loaded)
    warnings = run.warnings()
    sweep_store.store_warnings(warehouse, sweep_id, warnings)
    failed = warehouse.value("SELECT count(*) FROM sweep_row WHERE sweep_id = ? AND error IS NOT NULL", [sweep_id])
    return SweepResult(sweep_id, len(configurations), run.already, failed, run.changed, tuple(warnings))


def run_again(
    warehouse: Warehouse,
    universe: Universe,
    strategy: type[Strategy],
    grid: Grid,
    ledger: Ledger,
    rows: Container[int],
) -> Loaded:
    """Run rows of a sweep once more and store nothing, for a ledger that hands their curves on.

    Returns
    -------
    Loaded
        What the last group shares; a sweep of parameters only has one group.

    Raises
    ------
    ChipwireError
        One of the rows fails.
    """
    configurations = list(grid.configurations())
    parsed = _parse(strategy, configurations)
    blocks = Blocks(strategy, strategy.name, ledger, 1)
    run = _Run(warehouse, universe, blocks, "", len(configurations), parsed, None)
    for group in _groups(configurations):
        loaded = run.load(group)
        run.again(ledger, group, loaded, rows)
    return loaded


def longest_span(
    warehouse: Warehouse, strategy: type[Strategy], intervals: Sequence[str] = ("1d",)
) -> tuple[date, date]:
    """Return the first and last day of the longest run that the stored bars, rates and signals allow.

    Raises
    ------
    NothingToDo
        There are no bars of one of the intervals.
    """
    stored = {row[0] for row in warehouse.rows("SELECT DISTINCT interval FROM bar")}
    for interval in intervals:
        if interval not in stored:
            bars = "daily bars" if interval == "1d" else f"{interval} bars"
            raise NothingToDo(f"there are no {bars}", "ingest some with 'chipwire ingest prices PATH'")
    names = {"news": strategy.reads_signals, "intervals": list(intervals)}
    start, end = warehouse.rows(load_sql("chipwire.engine", "span.sql"), names)[0]
    return min(start, end), end


def _groups(configurations: Iterable[Configuration]) -> list[_Group]:
    """Return the groups, those that share a market next to each other."""
    found: dict[tuple[Any, ...], _Group] = {}
    for number, configuration in enumerate(configurations, start=1):
        settings = configuration.settings
        key = (*(getattr(settings, name) for name in SHARED), configuration.model)
        found.setdefault(key, _Group(settings, configuration.model)).rows.append((number, configuration))
    markets: dict[tuple[Any, ...], int] = {}
    for key in found:
        markets.setdefault(key[: SHARED.index("latency_minutes")], len(markets))
    return [found[key] for key in sorted(found, key=lambda key: markets[key[: SHARED.index("latency_minutes")]])]


def _parse(
    strategy: type[Strategy], configurations: Iterable[Configuration]
) -> dict[str, tuple[Mapping[str, Any], str]]:
    """Return values and identity of the strategy by its parameters: one of each kind is made, and let go."""
    found: dict[str, tuple[Mapping[str, Any], str]] = {}
    for configuration in configurations:
        key = params_key(configuration.params)
        if key not in found:
            one = make(strategy, configuration.params)
            found[key] = one.values, one.identity()
    return found


class _Run:
    """One call of a sweep."""

    def __init__(
        self,
        warehouse: Warehouse,
        universe: Universe,
        blocks: Blocks,
        sweep_id: str,
        size: int,
        parsed: Mapping[str, tuple[Mapping[str, Any], str]],
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._warehouse = warehouse
        self._universe = universe
        self._strategy = blocks.strategy
        self._blocks = blocks
        self._sweep_id = sweep_id
        self._size = size
        self._parsed = parsed
        self._on_progress = on_progress
        self._market: tuple[tuple[Any, ...], Market] | None = None
        self._done = 0
        self._told = 0
        self.stored = sweep_store.stored(warehouse, sweep_id)
        self.already = 0
        self.changed = 0
        self._kept = sweep_store.stored_warnings(warehouse, sweep_id)
        self._loading: dict[str, None] = {}
        self._running: set[str] = set()

    def warnings(self) -> list[str]:
        """Return those of what was loaded, then those of the rows, also of rows that an earlier call ran, sorted."""
        running = self._running | (set(self._kept) if self.already else set())
        return [*self._loading, *sorted(running - self._loading.keys())]

    def group(self, group: _Group, loaded: Loaded) -> None:
        """Run what is missing of a group."""
        pending = []
        for row_no, configuration in group.rows:
            trial = self._trial(row_no, configuration, loaded)
            if self.stored.get(row_no) == trial.trial_id:
                self.already += 1
            else:
                self.changed += row_no in self.stored
                pending.append(trial)
        self._advance(len(group.rows) - len(pending))
        blocks = self._blocks.cut(loaded, pending)
        done, stored = [0] * len(blocks), [0] * len(blocks)

        def tell(block: int, count: int) -> None:
            done[block] = max(done[block], count)
            self._tell(sum(done) - sum(stored))

        for number, outcomes in enumerate(self._blocks.outcomes(loaded, blocks, tell)):
            for outcome in outcomes:
                own = blocks[number][stored[number] : stored[number] + outcome.count]
                stored[number] += outcome.count
                done[number] = max(done[number], stored[number])
                self._store(own, outcome)

    def again(self, ledger: Ledger, group: _Group, loaded: Loaded, rows: Container[int]) -> None:
        """Run some rows of a group and store nothing."""
        trials = [self._trial(row_no, configuration, loaded) for row_no, configuration in group.rows if row_no in rows]
        size = max(1, ledger.room(self._strategy, loaded)) if trials else 1
        for start in range(0, len(trials), size):
            ledger.figures(self._strategy, loaded, trials[start : start + size], None)

    def load(self, group: _Group) -> Loaded:
        """Read what a group shares."""
        settings = group.settings
        key = tuple(getattr(settings, name) for name in SHARED if name != "latency_minutes")
        if self._market is None or self._market[0] != key:
            self._market = None  # let go of the last one before the next is read
            self._market = key, load_market(self._warehouse, self._universe, settings)
        market = self._market[1]
        book, model_id, warnings = load_book(self._warehouse, self._universe, self._strategy, settings, group.model)
        self._loading |= dict.fromkeys([*market.warnings, *warnings])
        issuers = {symbol: self._universe.instrument(symbol).issuer for symbol in market.symbols}
        return Loaded(market, book, issuers, model_id, data_fingerprint(market, book))

    def _trial(self, row_no: int, configuration: Configuration, loaded: Loaded) -> Trial:
        values, identity = self._parsed[params_key(configuration.params)]
        trial_id = sweep_store.trial_identity(
            self._strategy.name, values, identity, configuration.settings, loaded.data_fingerprint,
            loaded.model_id,
        )  # fmt: skip
        return Trial(row_no, trial_id, configuration, values, loaded.data_fingerprint, loaded.model_id)

    def _store(self, trials: Sequence[Trial], outcome: Outcome) -> None:
        self._running |= set(outcome.warnings)
        # Before the rows: a call that goes on does not run these again. Which of the stored ones no row has any more
        # is known at the end.
        sweep_store.store_warnings(
            self._warehouse, self._sweep_id, list(dict.fromkeys([*self.warnings(), *self._kept]))
        )
        errors = [outcome.error] * outcome.count
        sweep_store.store_block(self._warehouse, self._sweep_id, trials, outcome.figures, errors)
        self._advance(outcome.count)

    def _advance(self, count: int) -> None:
        self._done += count
        self._tell(0)

    def _tell(self, under_way: int) -> None:
        """Tell how many configurations are done; never less than before."""
        self._told = max(self._told, self._done + under_way)
        if self._on_progress:
            self._on_progress(self._told, self._size)
