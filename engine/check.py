"""Prove a strategy on data: the same twice, blind to what comes later, and its set-wise form equal to `decide`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from chipwire.data.errors import BadTarget, DomainError, NothingToDo
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.account import utc
from chipwire.engine.blind import How, blind_market, blind_signals
from chipwire.engine.event import run_event_driven
from chipwire.engine.market import Market, load_market
from chipwire.engine.panels import DuckPanels
from chipwire.engine.records import Target
from chipwire.engine.settings import Settings
from chipwire.engine.setwise import ask_setwise
from chipwire.engine.view import SignalBook, load_signals
from chipwire.signals.build import resolve_model
from chipwire.signals.linking import Linker
from chipwire.strategies.base import Strategy, View

_CLOSE = 1e-12
"""Weights may differ by so much between the set-wise form and `decide`."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    check : str
        ``runs``, ``deterministic``, ``look-ahead`` or ``set-wise``.
    result : str
        ``ok``, ``bad``, or ``none``: there was nothing to check.
    detail : str
        One line.
    """

    check: str
    result: str
    detail: str


@dataclass(frozen=True)
class _Data:
    market: Market
    book: SignalBook | None
    issuers: dict[str, str | None]
    settings: Settings


class _EnoughError(BaseException):
    """The decisions that are to be compared have been made."""


def check_strategy(
    make: Callable[[], Strategy],
    warehouse: Warehouse,
    universe: Universe,
    settings: Settings,
    *,
    model: str | None = None,
    cuts: int = 5,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Run a strategy's checks; the look-ahead check compares what it asked for with all later rows cut or false.

    Parameters
    ----------
    make : callable
        Returns a new instance, with the same parameters each time.
    cuts : int
        At how many decisions the data is cut, at those where the strategy enters something if there are enough.

    Raises
    ------
    NothingToDo, UnknownName, DomainError
        There is no data to check it on; see `load_market` and `resolve_model`.
    """
    data = _load(make(), warehouse, universe, settings, model)
    steps = 2 + 2 * cuts + 1
    done = iter(range(1, steps + 1))

    def advance() -> None:
        if on_progress:
            on_progress(next(done), steps)

    try:
        first, runner = _targets(make(), data)
        advance()
    except BadTarget as error:
        return [Finding("runs", "bad", str(error))]
    decisions = sum(len(venue.decide_at) - venue.first for venue in data.market.venues)
    findings = [Finding("runs", "ok", f"{decisions:,} decisions, {len(first):,} targets")]
    findings.append(_deterministic(make, data, first))
    advance()
    findings.append(_look_ahead(make, data, first, cuts, advance))
    findings.append(_setwise(runner, data, first))
    advance()
    return findings


def _load(strategy: Strategy, warehouse: Warehouse, universe: Universe, settings: Settings, model: str | None) -> _Data:
    market = load_market(warehouse, universe, settings)
    book = None
    if strategy.reads_signals:
        book = load_signals(warehouse, settings, resolve_model(warehouse, model), Linker(universe).id)
        if not len(book):
            raise NothingToDo(
                f"there are no signals that {settings.start} to {settings.end} could see",
                "build them with 'chipwire signals', or choose another span",
            )
    issuers = {symbol: universe.instrument(symbol).issuer for symbol in market.symbols}
    return _Data(market, book, issuers, settings)


def _targets(strategy: Strategy, data: _Data, until: datetime | None = None) -> tuple[list[Target], Strategy]:
    """Return what a strategy asks for, up to and including the decisions at `until`."""
    found: list[Target] = []
    decide = strategy.decide

    def limited(view: View) -> Any:
        if until is not None and view.now > until:
            raise _EnoughError
        answer: Any = decide(view)  # whatever it declares, a plugin may return anything
        if hasattr(answer, "items"):
            found.extend(Target(view.now, str(name), weight) for name, weight in sorted(answer.items(), key=str))
        return answer

    vars(strategy)["decide"] = limited
    try:
        run_event_driven(
            data.market, data.settings, strategy, data.book, data.issuers, load_fees(), load_market_rules()
        )
    except _EnoughError:
        pass
    finally:
        del vars(strategy)["decide"]
    return found, strategy


def _deterministic(make: Callable[[], Strategy], data: _Data, first: list[Target]) -> Finding:
    try:
        second, _ = _targets(make(), data)
    except BadTarget as error:
        return Finding("deterministic", "bad", f"the second run failed: {error}")
    difference = _difference(first, second)
    if difference:
        return Finding("deterministic", "bad", f"two runs differ: {difference}")
    return Finding("deterministic", "ok", "two runs ask for the same")


def _look_ahead(
    make: Callable[[], Strategy], data: _Data, first: list[Target], cuts: int, advance: Callable[[], None]
) -> Finding:
    ways: tuple[How, ...] = ("cut", "scrambled")
    instants = _cut_instants(data, first, cuts)
    for instant in instants:
        after = np.datetime64(instant.replace(tzinfo=None), "us")
        known = [target for target in first if target.decision_at <= instant]
        for how in ways:
            blind = _Data(
                blind_market(data.market, after, how),
                None if data.book is None else blind_signals(data.book, after, how),
                data.issuers,
                data.settings,
            )
            try:
                asked, _ = _targets(make(), blind, instant)
                difference = _difference(known, asked)
            except BadTarget as error:
                difference = str(error)
            if difference:
                cut = f"with all rows after {instant:%Y-%m-%d %H:%M} UTC {how} it asks for something else"
                return Finding("look-ahead", "bad", f"{cut}: {difference}")
            advance()
    if not instants:
        return Finding("look-ahead", "none", "there are too few decisions to cut between")
    at = ", ".join(f"{instant:%Y-%m-%d %H:%M}" for instant in instants)
    return Finding("look-ahead", "ok", f"all rows after {at} UTC cut or scrambled change nothing before")


def _cut_instants(data: _Data, targets: list[Target], cuts: int) -> list[datetime]:
    """Return decisions evenly over the run: those at which something is entered, where there are enough of them.

    What leads to an entry is what a strategy may have got from later rows; without them it would not enter.
    """
    last: dict[str, float] = {}
    entries = set()
    for target in targets:
        if target.weight and target.weight != last.get(target.instrument, 0.0):
            entries.add(target.decision_at)
        last[target.instrument] = target.weight
    every = sorted(utc(at) for venue in data.market.venues for at in venue.decide_at[venue.first :])
    chosen = sorted(entries) if len(entries) > cuts + 2 else every
    # Not the very last decision: there would be nothing to cut.
    chosen = [instant for instant in chosen if instant < every[-1]]
    if not chosen:
        return []
    places = np.linspace(0, len(chosen) - 1, cuts + 2).astype(int)[1:-1]
    return sorted({chosen[place] for place in places})


def _setwise(strategy: Strategy, data: _Data, first: list[Target]) -> Finding:
    kind = type(strategy)
    panels = DuckPanels(data.market, data.book, data.issuers)
    try:
        found = ask_setwise(kind, panels, [strategy.values])
    except DomainError as error:
        return Finding("set-wise", "bad", str(error))
    if found is None:
        return Finding("set-wise", "none", "the strategy has no set-wise form")
    asked: list[Target] = []
    for venue in panels.venues:
        weights = found[venue.mic]
        for row, at in enumerate(venue.decide_at):
            asked += [
                Target(utc(at), name, float(weight))
                for name, weight in zip(venue.instruments, weights[0, row], strict=True)
                if not np.isnan(weight)
            ]
    difference = _difference(first, asked)
    if difference:
        return Finding("set-wise", "bad", f"decide and targets_setwise differ: {difference}")
    return Finding("set-wise", "ok", f"targets_setwise gives the same {len(asked):,} targets as decide")


def _difference(one: list[Target], other: list[Target]) -> str:
    """Return the first decision and instrument on which two lists of targets differ; empty when they do not."""
    left = {(target.decision_at, target.instrument): target.weight for target in one}
    right = {(target.decision_at, target.instrument): target.weight for target in other}
    for key in sorted(left.keys() | right.keys()):
        a, b = left.get(key), right.get(key)
        if a is None or b is None or abs(a - b) > _CLOSE:
            at, name = key
            words = " and ".join("no order" if weight is None else f"{weight:g}" for weight in (a, b))
            return f"{words} for {name} at the decision of {at:%Y-%m-%d %H:%M} UTC"
    return ""
