"""Placebos: what the same strategy makes of news that says nothing, and where the real result stands among that.

The p-value is that of a Monte Carlo permutation test, (1 + #{placebo >= real}) / (1 + placebos) (Davison and Hinkley,
*Bootstrap Methods and their Application*, 1997, section 4.2): it is never 0, and valid at any number of placebos. Of
several configurations the best counts, in the real world and in each placebo alike, so that choosing is paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipwire.data.errors import BadParameter, NothingToDo
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine import measures
from chipwire.engine.columnar import TargetSource, make_plan, run_columnar
from chipwire.engine.market import Floats
from chipwire.engine.panel_worlds import world_panels
from chipwire.engine.settings import Settings
from chipwire.engine.setwise import ask_setwise
from chipwire.engine.sweep_block import has_setwise
from chipwire.engine.sweep_task import Loaded, make
from chipwire.engine.targets import DecideTargets, PanelTargets, arrange
from chipwire.engine.validation.placebo_news import KINDS, placebo_book
from chipwire.engine.view import SignalBook
from chipwire.strategies.base import Strategy

LANES = 512
"""Configurations x placebos that run side by side."""
PANEL_BYTES = 192 << 20


@dataclass(frozen=True)
class Placebo:
    """Where a result stands among placebos of one kind.

    Attributes
    ----------
    kind : str
        How the news was mixed up.
    statistic : str
        ``sharpe`` or ``total_return``.
    real : float
        Of the best configuration on the real news.
    values : tuple of float
        Of the best configuration on each placebo, in the order of their seeds. A run without a trade has 0.
    configurations : int
        Out of how many each is the best.
    """

    kind: str
    statistic: str
    real: float
    values: tuple[float, ...]
    configurations: int

    @property
    def as_good(self) -> int:
        """Placebos at least as good as the real result."""
        return sum(value >= self.real for value in self.values)

    @property
    def p_value(self) -> float:
        """(1 + placebos at least as good) / (1 + placebos)."""
        return (1 + self.as_good) / (1 + len(self.values))


@dataclass(frozen=True)
class Subject:
    """What is put to the test.

    Attributes
    ----------
    strategy : type
        Of the configurations.
    values : sequence of mappings
        Every parameter of each configuration, parsed.
    settings : sequence of Settings
        Of each configuration; they differ only in what a block of the columnar engine lets differ.
    loaded : Loaded
        Market and real signals.
    groups : mapping
        See `chipwire.engine.validation.placebo_news.issuer_groups`.
    """

    strategy: type[Strategy]
    values: Sequence[Mapping[str, Any]]
    settings: Sequence[Settings]
    loaded: Loaded
    groups: Mapping[str, str]

    @property
    def book(self) -> SignalBook:
        """The real signals.

        Raises
        ------
        NothingToDo
            The strategy reads none.
        """
        book = self.loaded.signals
        if book is None:
            step = "test a strategy that does, and see 'chipwire strategies list'"
            raise NothingToDo(f"{self.strategy.name} reads no news, so no news can be mixed up", step)
        return book


def placebo_test(
    subject: Subject,
    kinds: Sequence[str],
    count: int,
    *,
    seed: int = 0,
    statistic: str = "sharpe",
    stop_after: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Placebo]:
    """Run placebos of each kind through the columnar engine, under every rule.

    Parameters
    ----------
    kinds : sequence of str
        Of `KINDS`.
    count : int
        Placebos of each kind.
    seed : int
        Placebo n of a kind depends on seed, kind and n only.
    statistic : str
        ``sharpe`` or ``total_return``.
    stop_after : int, optional
        Stop a kind once so many placebos were at least as good as the real result; the p-value is then that number
        over the placebos made (Besag and Clifford, *Biometrika* 78, 1991), which `Placebo` gives a little higher.
    on_progress : callable, optional
        Told placebos done and in all.

    Raises
    ------
    NothingToDo
        The strategy reads no signals.
    BadParameter
        A kind, count or statistic that is not known.
    DomainError, BadTarget
        The strategy fails on a placebo.
    """
    if count < 1:
        raise BadParameter("placebos", count, "at least 1")
    for kind in kinds:
        placebo_book(SignalBook(subject.book.available_at[:0], {}), kind, {}, [0])
    runner = _Runner(subject, statistic)
    real = runner.best([subject.book])[0]
    found, done = [], 0
    for kind in kinds:
        values: list[float] = []
        while len(values) < count:
            numbers = range(len(values), min(count, len(values) + runner.worlds(stop_after)))
            books = [placebo_book(subject.book, kind, subject.groups, (seed, _code(kind), n)) for n in numbers]
            values += runner.best(books).tolist()
            if on_progress:
                on_progress(done + len(values), count * len(kinds))
            if stop_after is not None and sum(value >= real for value in values) >= stop_after:
                break
        done += count
        found.append(Placebo(kind, statistic, float(real), tuple(values), len(subject.values)))
    return found


def _code(kind: str) -> int:
    return list(KINDS).index(kind)


class _Runner:
    """Runs all configurations on several books at once."""

    def __init__(self, subject: Subject, statistic: str) -> None:
        if statistic not in ("sharpe", "total_return"):
            raise BadParameter("statistic", statistic, "sharpe or total_return")
        self._subject, self._statistic = subject, statistic
        self._facts = load_fees(), load_market_rules()
        self._plan = make_plan(subject.loaded.market, subject.settings[0], *self._facts)
        self._setwise = has_setwise(subject.strategy)

    def worlds(self, stop_after: int | None) -> int:
        """Return how many books are run side by side."""
        market, subject = self._subject.loaded.market, self._subject
        issuers = len(set(subject.loaded.issuers.values()))
        keys = len({(values.get("half_life"), values.get("lookback")) for values in subject.values})
        kinds = len(set(zip(subject.book.columns["theme"], subject.book.columns["half_life_days"], strict=True)))
        rows = sum(len(venue.session) - venue.first for venue in market.venues)
        by_memory = PANEL_BYTES // max(8 * rows * issuers * kinds * keys, 1)
        by_lanes = LANES // len(subject.values)
        few = max(4 * stop_after, 8) if stop_after is not None else LANES
        return int(max(1, min(by_memory, by_lanes, few)))

    def best(self, books: Sequence[SignalBook]) -> Floats:
        """Return the statistic of the best configuration on each book."""
        settings = list(self._subject.settings) * len(books)
        result = run_columnar(
            self._subject.loaded.market, settings, self._targets(books), *self._facts, plan=self._plan
        )  # fmt: skip
        capital = np.array([each.capital for each in settings])
        curves = np.ascontiguousarray(np.vstack([capital, result.equity]).T)
        if self._statistic == "sharpe":
            found = measures.sharpe_ratio(measures.daily_returns(curves))
        else:
            found = measures.total_return(curves)
        best: Floats = np.nan_to_num(found, nan=0.0).reshape(len(books), -1).max(axis=1)
        return best

    def _targets(self, books: Sequence[SignalBook]) -> TargetSource:
        subject, loaded = self._subject, self._subject.loaded
        if not self._setwise:
            made = [make(subject.strategy, values) for _ in books for values in subject.values]
            lanes = [book for book in books for _ in subject.values]
            return DecideTargets(loaded.market, made, list(subject.settings) * len(books), lanes, loaded.issuers)
        weights: dict[str, list[Floats]] = {}
        for panels in world_panels(loaded.market, books, loaded.issuers, subject.values):
            found = ask_setwise(subject.strategy, panels, list(subject.values))
            if found is None:
                raise AssertionError(f"{subject.strategy.name} has a set-wise form that gives none")
            for mic, array in found.items():
                weights.setdefault(mic, []).append(array)
        joined = {mic: arrange(np.concatenate(arrays)) for mic, arrays in weights.items()}
        return PanelTargets(loaded.market, joined, subject.strategy.name)
