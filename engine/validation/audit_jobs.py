"""One run of an audit, in a process of its own: what an earlier run left in memory cannot help it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from chipwire.data.errors import ChipwireError
from chipwire.data.universe import Universe, load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.account import utc
from chipwire.engine.market import load_market
from chipwire.engine.settings import Settings
from chipwire.engine.validation.audit_cut import Cut, cut_warehouse
from chipwire.engine.validation.audit_live import IN_MEMORY, How, LiveData
from chipwire.engine.validation.audit_trace import RunData, Trace, run_traced
from chipwire.engine.validation.audit_watch import Watch
from chipwire.engine.view import load_signals
from chipwire.signals.linking import Linker
from chipwire.strategies.base import Strategy
from chipwire.strategies.registry import make_strategy

MOST_PROCESSES = 8
_PRELUDE = 0.2
"""The part of the decisions that is run on the true data first, where memory between runs is looked for."""


@dataclass(frozen=True)
class Request:
    """What is audited.

    Attributes
    ----------
    strategy : str
        As for `make_strategy`.
    params : mapping
        As given.
    engine : str
    settings : Settings
    model_id : str or None
        None for a strategy that reads no signals.
    universe_folder : Path or None
    real_path : Path
        The user's warehouse; jobs read copies.
    """

    strategy: str
    params: Mapping[str, str]
    engine: str
    settings: Settings
    model_id: str | None
    universe_folder: Path | None
    real_path: Path


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes
    ----------
    name : str
    warehouse : Path
        A copy.
    live : How or None
        Let the data of the whole run become known as the clock goes on.
    cut : Cut or None
        Cut the warehouse itself, and run to that moment.
    sources : tuple of str
        That are hidden by `live`.
    until : datetime or None
        Run to this moment, UTC; None: to the end.
    symbols : tuple of str
        The instruments of the run, which a cut does not choose anew.
    clock_days : int
        See `Watch`.
    prelude : bool
        Run a part of the true data before, in the same process.
    """

    name: str
    warehouse: Path
    live: How | None = None
    cut: Cut | None = None
    sources: tuple[str, ...] = IN_MEMORY
    until: datetime | None = None
    symbols: tuple[str, ...] = ()
    clock_days: int = 0
    prelude: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a run asked for, and the files that the strategy opened."""

    trace: Trace
    opened: Mapping[str, frozenset[str]]


def perform(request: Request, job: Job) -> Outcome:
    """Do one run."""
    watch = Watch(job.clock_days)
    with TemporaryDirectory(prefix="chipwire-audit-") as folder:
        path = job.warehouse
        universe = load_universe(request.universe_folder)
        if job.cut:
            path = Path(folder) / request.real_path.name
            path.write_bytes(job.warehouse.read_bytes())
            cut_warehouse(path, job.cut, universe)
        with _surroundings(request.real_path, path):
            try:
                trace = _run(request, job, path, universe, watch)
            except ChipwireError as error:
                trace = Trace({}, {}, str(error))
    opened = {name.replace(str(path), str(request.real_path)): frozenset(modes) for name, modes in watch.opened.items()}
    return Outcome(trace, opened)


def _run(request: Request, job: Job, path: Path, universe: Universe, watch: Watch) -> Trace:
    data = load_data(request, job, path, universe)
    if job.prelude:
        decisions = np.sort(np.concatenate([venue.decide_at[venue.first :] for venue in data.market.venues]))
        until = utc(decisions[int(_PRELUDE * (len(decisions) - 1))])
        run_traced(made(request, watch), data, request.engine, until=until)
    strategy = made(request, watch)
    if job.live is None:
        return run_traced(strategy, data, request.engine, until=job.until)
    return run_live(strategy, data, request.engine, job.live, job.sources, job.until)


def run_live(
    strategy: Strategy,
    data: RunData,
    engine: str,
    how: How,
    sources: tuple[str, ...] = IN_MEMORY,
    until: datetime | None = None,
) -> Trace:
    """Run a strategy on data that becomes known as the clock goes on.

    With false values the event engine itself runs on them, with its account and its broker. Otherwise, and in the
    columnar engine, which plans ahead, the strategy alone does.
    """
    live = LiveData(data.market, data.book, data.settings, how, sources)
    begins = [venue.decide_at[venue.first] for venue in data.market.venues if venue.first < len(venue.decide_at)]
    if begins:
        live.reveal(min(begins))
    if engine == "backtrader" and how == "scrambled":
        shown = replace(data, market=live.market, book=live.book)
        return run_traced(strategy, shown, engine, on_moment=live.reveal, until=until)
    return run_traced(strategy, data, engine, show=live.show, until=until)


def made(request: Request, watch: Watch) -> Strategy:
    """Return a new strategy that is watched while it has the word."""
    with watch.inside():
        strategy = make_strategy(request.strategy, request.params)
    for name in ("decide", "on_headline", "on_fill"):
        vars(strategy)[name] = watch.wrapped(getattr(strategy, name))
    return strategy


def load_data(request: Request, job: Job, path: Path, universe: Universe) -> RunData:
    """Read what a run needs, and let go of the warehouse: nobody but the strategy may open it after that."""
    settings = request.settings
    with Warehouse.open(path, command="chipwire audit") as warehouse:
        if job.cut and (job.cut.how == "cut" or settings.instruments):
            given = replace(settings, instruments=job.symbols)
            market = load_market(warehouse, universe, given, as_given=True)
        else:
            market = load_market(warehouse, universe, settings)
        book = None
        if request.model_id is not None:
            book = load_signals(warehouse, settings, request.model_id, Linker(universe).id)
    issuers = {symbol: universe.instrument(symbol).issuer for symbol in market.symbols}
    return RunData(market, book, issuers, settings)


@contextmanager
def _surroundings(real: Path, copy: Path) -> Iterator[None]:
    """Let whoever asks the environment or the command line for the warehouse find the copy."""
    names, arguments = dict(os.environ), list(sys.argv)
    forms = {str(real), str(real.absolute())}
    os.environ.update({name: str(copy) for name, value in names.items() if value in forms})
    sys.argv[:] = [str(copy) if argument in forms else argument for argument in arguments]
    try:
        yield
    finally:
        os.environ.update({name: value for name, value in names.items() if value in forms})
        sys.argv[:] = arguments


def perform_alone(request: Request, job: Job) -> Outcome:
    """Do one run in this process with the plugin's module imported anew, for tests and small worlds."""
    for name in [name for name in sys.modules if name.startswith("chipwire_file_")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return perform(request, job)


def perform_all(request: Request, jobs: list[Job], *, isolated: bool = True) -> Iterator[tuple[Job, Outcome]]:
    """Do runs, one for each core at a time, and yield each when it is done.

    Each has a fresh process, but those on cut copies: these are many, and share processes, with the plugin's module
    imported anew. What a process remembers is looked for by a run with a prelude.
    """
    if not isolated:
        for job in jobs:
            yield job, perform_alone(request, job)
        return
    count = min(MOST_PROCESSES, os.cpu_count() or 1)
    for together, own in ((None, [job for job in jobs if job.cut]), (1, [job for job in jobs if not job.cut])):
        if not own:
            continue
        with ProcessPoolExecutor(count, mp_context=get_context("spawn"), max_tasks_per_child=together) as pool:
            waiting: dict[Any, Job] = {pool.submit(_quietly, request, job): job for job in own}
            for done in as_completed(waiting):
                yield waiting[done], done.result()


def _quietly(request: Request, job: Job) -> Outcome:
    # What a strategy prints is no data.
    with redirect_stdout(sys.stderr):
        return perform_alone(request, job)
