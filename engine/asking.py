"""Ask a strategy at a decision: tell it what has happened since, keep it to its time, check what it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from numbers import Real
from typing import Any

from chipwire.data.errors import BadTarget, DomainError
from chipwire.engine.view import LOOKBACK_LIMIT_DAYS, PointInTimeView
from chipwire.strategies.base import Strategy
from chipwire.strategies.events import Filled, Headline, Reading
from chipwire.strategies.limits import FAULTS, TooSlowError, reason, time_limit


class Asker:
    """Asks one strategy, decision after decision; both engines use it.

    Parameters
    ----------
    strategy : Strategy
    leverage : float
        Largest sum of |weights| of one decision.
    """

    def __init__(self, strategy: Strategy, leverage: float) -> None:
        self._strategy = strategy
        self._leverage = leverage
        self._hears = type(strategy).on_headline is not Strategy.on_headline
        self._told_until: datetime | None = None

    def ask(self, view: PointInTimeView, fills: Sequence[Filled] = ()) -> dict[str, float]:
        """Return the strategy's weights by instrument; empty for no order at all.

        Parameters
        ----------
        view : PointInTimeView
        fills : sequence
            What was filled since the last decision, for `Strategy.on_fill`.

        Raises
        ------
        BadTarget
            The strategy raised, took longer than its limit, or returned something that cannot be traded.
        """
        limit_s = self._strategy.decision_limit_s
        try:
            with time_limit(limit_s):
                self._tell(view, fills)
                answer: Any = self._guard(view, "", self._strategy.decide, view)
                given = self._guard(view, "", _pairs, answer)
        except TooSlowError as error:
            detail = f"no answer within {limit_s:g} s; the class may set decision_limit_s to allow more"
            raise BadTarget(self._strategy.name, view.now, detail) from error
        return self._check(view, given)

    def _guard(self, view: PointInTimeView, where: str, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except FAULTS as error:
            raise BadTarget(self._strategy.name, view.now, where + reason(error)) from error

    def _tell(self, view: PointInTimeView, fills: Sequence[Filled]) -> None:
        for fill in fills:
            self._guard(view, "on_fill: ", self._strategy.on_fill, fill)
        if self._hears:
            for headline in self._guard(view, "on_headline: ", _news, view, self._told_until):
                self._guard(view, "on_headline: ", self._strategy.on_headline, view, headline)
        self._told_until = view.now

    def _check(self, view: PointInTimeView, answer: Any) -> dict[str, float]:
        name = self._strategy.name
        if not isinstance(answer, dict):
            raise BadTarget(name, view.now, f"decide returned {type(answer).__name__}; allowed: a mapping or None")
        weights: dict[str, float] = {}
        for symbol in sorted(answer, key=str):
            value = answer[symbol]
            if symbol not in view.instruments and symbol not in view.awaited:
                here = ", ".join(sorted([*view.instruments, *view.awaited]))
                raise BadTarget(name, view.now, f"'{symbol}' is not decided at {view.venue} now; these are: {here}")
            if isinstance(value, bool) or not isinstance(value, Real) or not _finite(value):
                raise BadTarget(name, view.now, f"weight {_shown(value)} of {symbol} is not a finite number")
            weights[symbol] = float(value)
        gross = sum(map(abs, weights.values()))
        if gross > self._leverage * (1 + 1e-9):
            raise BadTarget(
                name, view.now, f"the weights' absolute sum {gross:.6g} is above the leverage {self._leverage:g}; "
                "lower them or give --leverage",
            )  # fmt: skip
        return weights


def notes_of(strategy: Strategy) -> list[str]:
    """Return what a strategy says of its run after the last decision.

    Raises
    ------
    DomainError
        It raised, took longer than a decision may, or returned something else than texts.
    """
    what = f"strategy '{strategy.name}' after the last decision"
    try:
        with time_limit(strategy.decision_limit_s):
            given: Any = strategy.notes()
            notes = [given] if isinstance(given, str) else list(given)
    except TooSlowError as error:
        raise DomainError(f"{what}: no answer within {strategy.decision_limit_s:g} s") from error
    except FAULTS as error:
        raise DomainError(f"{what}: {reason(error)}") from error
    for note in notes:
        if not isinstance(note, str):
            raise DomainError(f"{what}: it returned {type(note).__name__}; allowed: texts")
    return [" ".join(note.split()) for note in notes]


def _pairs(answer: Any) -> Any:
    """Return a mapping as a plain dict, empty for None: a plugin's own kind may do anything when it is read."""
    if answer is None:
        return {}
    return {key: answer[key] for key in answer} if isinstance(answer, Mapping) else answer


def _finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _shown(value: Any) -> str:
    try:
        return repr(value)[:60]
    except Exception:  # repr may be the plugin's own
        return f"({type(value).__name__})"


def _news(view: PointInTimeView, told_until: datetime | None) -> Iterator[Headline]:
    """Yield the headlines since the run's last decision, oldest first.

    Everything since this venue's last decision is read, although another venue's may have told some of it already:
    an order given now may follow from it, and its causes are what was read.
    """
    since = view.since or told_until
    if since is None or since >= view.now or told_until is None:
        return
    days = (view.now - since).total_seconds() / 86_400
    signals = view.signals(lookback_days=min(days, LOOKBACK_LIMIT_DAYS))
    new = signals[signals["available_at"] > told_until]
    names = ("headline_id", "available_at", "issuer", "theme", "event", "value", "novelty", "relevance", "strength")
    rows = zip(*(new[name] for name in names), strict=True)
    for (headline_id, at), group in groupby(rows, key=lambda row: (row[0], row[1])):
        readings = tuple(Reading(*row[2:5], *map(float, row[5:])) for row in group)
        yield Headline(headline_id, at.to_pydatetime(), readings)
