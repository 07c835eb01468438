"""Where the blocks of a sweep run: in this process, or side by side in workers.

A worker holds what a group shares and runs the blocks that it is given. Signals go to it in the form that the strategy
reads: coded for a set-wise form, which needs no texts, in full for a strategy that is asked decision by decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from importlib import import_module
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chipwire.data.errors import DomainError
from chipwire.engine.market import Floats
from chipwire.engine.panels import News, issuers_of
from chipwire.engine.sweep_block import BookNeeded, ColumnarLedger, has_setwise
from chipwire.engine.sweep_store import Trial
from chipwire.engine.sweep_task import Ledger, Loaded, OnEquity, Outcome, run_block
from chipwire.engine.view import SignalBook
from chipwire.engine.workers import Tell, Workers
from chipwire.strategies.base import Strategy
from chipwire.strategies.registry import strategy_class

LEAST_SETWISE, LEAST_ASKED = 250, 1
"""Configurations that a block has at least where workers share a group: each block steps through all events."""
ASKED_HERE = 4
"""Fewer configurations than that, asked one by one, are not worth a worker's start."""


class Blocks:
    """Runs the blocks of a sweep; its workers are started with the first group that has several.

    Parameters
    ----------
    reference : str
        The strategy as the user named it.
    ledger : Ledger, optional
        Runs the blocks in this process; the columnar one, in `jobs` processes, by default.
    on_equity : callable, optional
        Told the curves of what the columnar ledger has run.
    """

    def __init__(
        self, strategy: type[Strategy], reference: str, ledger: Ledger | None, jobs: int,
        on_equity: OnEquity | None = None,
    ) -> None:  # fmt: skip
        self.strategy = strategy
        self._reference = reference
        self._on_equity = on_equity
        self._ledger: Ledger = ColumnarLedger(on_equity) if ledger is None else ledger
        self._jobs = jobs if ledger is None else 1
        self._workers: Workers | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def cut(self, loaded: Loaded, trials: Sequence[Trial]) -> list[Sequence[Trial]]:
        """Cut the trials of a group into blocks."""
        if not trials:
            return []
        size = block_size(self.strategy, len(trials), max(1, self._ledger.room(self.strategy, loaded)), self._jobs)
        return [trials[start : start + size] for start in range(0, len(trials), size)]

    def outcomes(
        self, loaded: Loaded, blocks: Sequence[Sequence[Trial]], tell: Callable[[int, int], None]
    ) -> Iterator[Iterable[Outcome]]:
        """Yield what comes of each block, in order.

        Parameters
        ----------
        tell : callable
            Called with a block's number and how many of its configurations are done.
        """

        def here(number: int) -> Iterator[Outcome]:
            return run_block(self._ledger, self.strategy, loaded, blocks[number], lambda done: tell(number, done))

        if self._jobs == 1 or len(blocks) < 2:
            yield from map(here, range(len(blocks)))
            return
        if self._workers is None:
            self._workers = self._closing.enter_context(Workers(min(self._jobs, len(blocks))))
        named, curves = Named.of(self.strategy, self._reference), self._on_equity is not None
        self._workers.prepare(BlockRunner, named, packed(self.strategy, loaded), curves)
        for number, found in enumerate(self._workers.ordered(blocks, tell)):
            yield here(number) if found is None else self._handed_on(blocks[number], found)

    def _handed_on(self, block: Sequence[Trial], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Tell the curves that a worker sent, and let go of them."""
        start = 0
        for outcome in outcomes:
            if self._on_equity is not None and outcome.curves is not None:
                self._on_equity(block[start : start + outcome.count], *outcome.curves)
            start += outcome.count
        return [replace(outcome, curves=None) for outcome in outcomes]


def block_size(strategy: type[Strategy], pending: int, room: int, jobs: int) -> int:
    """Return how many configurations a block gets: as many for each worker, at most `room`."""
    setwise = has_setwise(strategy)
    if jobs == 1 or pending <= (room if setwise else ASKED_HERE - 1):
        return room
    rounds = -(-pending // (room * jobs))
    return min(room, max(LEAST_SETWISE if setwise else LEAST_ASKED, -(-pending // (rounds * jobs))))


def packed(strategy: type[Strategy], loaded: Loaded) -> Loaded:
    """Return what a group shares in the form in which it goes to a worker."""
    book: Any = loaded.book
    if isinstance(book, SignalBook):
        coded = has_setwise(strategy)
        book = News.of(book, issuers_of(loaded.market, loaded.issuers)) if coded else PackedBook.of(book)
    return replace(loaded, book=book)


@dataclass(frozen=True)
class Named:
    """A strategy as another process finds it: a plugin as the user named it, any other by its module."""

    reference: str
    name: str
    source: str
    module: str
    path: str

    @classmethod
    def of(cls, strategy: type[Strategy], reference: str) -> Named:
        """Name a strategy."""
        return cls(reference, strategy.name, strategy.source, strategy.__module__, strategy.__qualname__)

    def find(self) -> type[Strategy]:
        """Return the class.

        Raises
        ------
        DomainError
            There is none, or it is not the one that was named: its file has changed since.
        """
        if self.source:
            found = strategy_class(self.reference)
        else:
            try:
                found = getattr(import_module(self.module), self.path)
            except (ImportError, AttributeError) as error:
                raise DomainError(f"a worker process does not find strategy '{self.name}': {error}") from error
        if (found.name, found.source) != (self.name, self.source):
            raise DomainError(f"strategy '{self.reference}' has changed since the sweep began; start it again")
        return found


@dataclass(frozen=True)
class PackedBook:
    """A book whose texts are kept as Arrow has them, each once: many small objects travel slowly."""

    available_at: NDArray[np.datetime64]
    numbers: dict[str, NDArray[Any]]
    texts: pa.Table

    @classmethod
    def of(cls, book: SignalBook) -> PackedBook:
        """Pack a book."""
        texts = {
            name: pa.array(column, pa.string()).dictionary_encode()
            for name, column in book.columns.items()
            if column.dtype == object
        }
        numbers = {name: column for name, column in book.columns.items() if name not in texts}
        return cls(book.available_at, numbers, pa.table(texts))

    def book(self) -> SignalBook:
        """Return it as it was."""
        texts = {name: np.array(self.texts[name].to_pylist(), dtype=object) for name in self.texts.column_names}
        return SignalBook(self.available_at, self.numbers | texts)


class BlockRunner:
    """Runs blocks in a worker.

    Parameters
    ----------
    named : Named
    loaded : Loaded
        From `packed`.
    curves : bool
        Whether the outcomes are to have them.
    """

    def __init__(self, named: Named, loaded: Loaded, curves: bool) -> None:
        self._curves: list[tuple[tuple[date, ...], Floats]] = []
        self._strategy, self._ledger = named.find(), ColumnarLedger(self._keep if curves else None)
        book: Any = loaded.book
        self._loaded = replace(loaded, book=book.book()) if isinstance(book, PackedBook) else loaded

    def __call__(self, trials: Sequence[Trial], tell: Tell) -> list[Outcome] | None:
        """Return the outcomes of a block; None where it needs what the worker was not given."""
        self._curves.clear()
        try:
            found = list(run_block(self._ledger, self._strategy, self._loaded, trials, _seldom(tell, len(trials))))
        except BookNeeded:
            return None
        made = iter(self._curves)
        return [outcome if outcome.error else replace(outcome, curves=next(made, None)) for outcome in found]

    def _keep(self, _: Sequence[Trial], days: tuple[date, ...], equity: Floats) -> None:
        self._curves.append((days, equity))


def _seldom(tell: Tell, count: int) -> Tell:
    """Return what tells only when a hundredth of the block is done since the last time."""
    last = 0

    def told(done: int) -> None:
        nonlocal last
        if done - last >= max(1, count // 100):
            last = done
            tell(done)

    return told
