"""What a block of a sweep is given, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from chipwire.data.errors import ChipwireError
from chipwire.engine.market import Floats, Market
from chipwire.engine.sweep_store import Trial
from chipwire.engine.view import SignalBook
from chipwire.strategies.base import Strategy
from chipwire.strategies.limits import TooSlowError
from chipwire.strategies.plugins import isolated

if TYPE_CHECKING:
    from chipwire.engine.panels import News


@dataclass(frozen=True)
class Loaded:
    """What the configurations of a group share."""

    market: Market
    book: SignalBook | News | None
    issuers: Mapping[str, str | None]
    model_id: str | None
    data_fingerprint: str

    @property
    def signals(self) -> SignalBook | None:
        """The signals in full, which a worker that runs a set-wise form does not have."""
        if self.book is None or isinstance(self.book, SignalBook):
            return self.book
        raise AssertionError("the signals are coded: load them again")


OnEquity = Callable[[Sequence[Trial], tuple[date, ...], Floats], None]
"""Told trials, days, and equity (days, configurations)."""


class Ledger(Protocol):
    """Runs a block of configurations that agree in `SHARED`; see `chipwire.engine.sweep_block`."""

    def room(self, strategy: type[Strategy], loaded: Loaded) -> int:
        """Return how many configurations a block may have."""
        ...

    def figures(
        self,
        strategy: type[Strategy],
        loaded: Loaded,
        trials: Sequence[Trial],
        on_progress: Callable[[int, int], None] | None,
    ) -> tuple[Mapping[str, Sequence[float | None]], Sequence[str]]:
        """Return figures by name, each as long as `trials`, and warnings."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What some configurations of a block that lie next to each other came to.

    Attributes
    ----------
    count : int
    figures : mapping
        By name, each as long as `count`; empty where `error` is given.
    error : str or None
        Why there are none.
    curves : tuple or None
        Days and equity (days, configurations), where a worker was asked for them.
    """

    count: int
    figures: Mapping[str, Sequence[float | None]]
    warnings: Sequence[str] = ()
    error: str | None = None
    curves: tuple[tuple[date, ...], Floats] | None = None


def run_block(
    ledger: Ledger,
    strategy: type[Strategy],
    loaded: Loaded,
    trials: Sequence[Trial],
    tell: Callable[[int], None],
    before: int = 0,
) -> Iterator[Outcome]:
    """Run a block; where it fails, halve it until the configuration that fails stands alone.

    One that takes too long is not tried again in parts: that would take as long each time.

    Parameters
    ----------
    tell : callable
        Called with the number of configurations done, `before` included.
    """
    count = len(trials)

    def on_progress(done: int, total: int) -> None:
        tell(before + count * done // max(total, 1))

    try:
        figures, warnings = ledger.figures(strategy, loaded, trials, on_progress)
    except ChipwireError as error:
        if count > 1 and not isinstance(error.__cause__, TooSlowError):
            half = count // 2
            yield from run_block(ledger, strategy, loaded, trials[:half], tell, before)
            yield from run_block(ledger, strategy, loaded, trials[half:], tell, before + half)
            return
        yield Outcome(count, {}, error=str(error))
    else:
        yield Outcome(count, figures, warnings)


def params_key(params: Mapping[str, Any]) -> str:
    """Return one text for equal parameters."""
    return json.dumps(dict(params), sort_keys=True)


def make(strategy: type[Strategy], params: Mapping[str, Any]) -> Strategy:
    """Return a new strategy; what a plugin does meanwhile becomes one error.

    Raises
    ------
    BadParameter, BadPlugin
    """
    if not strategy.source:
        return strategy(**params)
    with isolated(strategy.name, strategy.source, "making it"):
        made = strategy(**params)
        vars(made)["values"] = dict(made.values)  # made in full: they are stored
    return made
