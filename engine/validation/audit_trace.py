"""What a run asked for, in a form that can be compared: targets and order sizes by decision and instrument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from chipwire.data.errors import BadParameter, ChipwireError
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine.backtest import ENGINES
from chipwire.engine.market import Market, VenueMarket
from chipwire.engine.records import Ledger
from chipwire.engine.settings import Settings
from chipwire.engine.view import PointInTimeView, SignalBook
from chipwire.strategies.base import Strategy, View
from chipwire.strategies.events import Headline

CLOSE = 1e-12
"""Targets may differ by so much: a set-wise form adds up in another order."""

Key = tuple[datetime, str]


@dataclass(frozen=True)
class RunData:
    """What a run reads.

    Attributes
    ----------
    book : SignalBook or None
        None for a strategy that reads no signals.
    issuers : mapping
        Issuer of every instrument.
    """

    market: Market
    book: SignalBook | None
    issuers: Mapping[str, str | None]
    settings: Settings


@dataclass(frozen=True)
class Trace:
    """What a run asked for.

    Attributes
    ----------
    targets : mapping
        Weight by decision and instrument, as the strategy gave it.
    orders : mapping
        Shares ordered, whether or not any of them traded.
    error : str
        Why the run ended early; empty when it did not.
    """

    targets: Mapping[Key, float]
    orders: Mapping[Key, float]
    error: str = ""


@dataclass(frozen=True)
class Difference:
    """A target or an order that two runs do not share; None is no target or no order.

    Attributes
    ----------
    what : str
        ``target``, ``order`` or ``error``.
    """

    at: datetime
    instrument: str
    what: str
    before: float | str | None
    after: float | str | None


def run_traced(
    strategy: Strategy,
    data: RunData,
    engine: str = "backtrader",
    *,
    show: Callable[[PointInTimeView], PointInTimeView] | None = None,
    on_moment: Callable[[np.datetime64], None] | None = None,
    until: datetime | None = None,
) -> Trace:
    """Run a strategy and return what it asked for; a strategy that fails leaves what it asked for until then.

    Parameters
    ----------
    show : callable, optional
        Gives the view that the strategy sees in place of the engine's.
    on_moment : callable, optional
        See `run_event_driven`; of the event engine.
    until : datetime, optional
        The strategy is not asked after this moment, and the run ends with the sessions that have begun by then.
    """
    if until is not None:
        data = replace(data, market=_market_until(data.market, np.datetime64(until.replace(tzinfo=None), "us")))
    targets: dict[Key, float] = {}
    decide, hear = strategy.decide, strategy.on_headline

    def shown(view: Any) -> Any:
        # A list of its own for what the strategy reads: causes of orders are not compared, and take time to find.
        return replace(show(view) if show else view, reads=[])

    def noted(view: View) -> Any:
        if until is not None and view.now > until:
            return None
        answer: Any = decide(shown(view))  # whatever it declares, a plugin may return anything
        if hasattr(answer, "items"):
            for name, weight in answer.items():
                targets[view.now, str(name)] = weight
        return answer

    def heard(view: View, headline: Headline) -> None:
        if until is None or view.now <= until:
            hear(shown(view), headline)

    vars(strategy)["decide"] = noted
    vars(strategy)["on_headline"] = heard
    try:
        ledger = _simulate(strategy, data, engine, on_moment)
    except ChipwireError as error:
        return Trace(targets, {}, str(error))
    finally:
        del vars(strategy)["decide"], vars(strategy)["on_headline"]
    return Trace({(row.decision_at, row.instrument): row.weight for row in ledger.targets}, _orders(ledger))


def _simulate(
    strategy: Strategy, data: RunData, engine: str, on_moment: Callable[[np.datetime64], None] | None
) -> Ledger:
    facts = load_fees(), load_market_rules()
    if engine == "backtrader":
        from chipwire.engine.event import run_event_driven

        account = run_event_driven(
            data.market, data.settings, strategy, data.book, data.issuers, *facts, on_moment=on_moment
        )
        return account.ledger
    if engine != "columnar":
        raise BadParameter("engine", engine, " or ".join(ENGINES))
    from chipwire.engine.columnar import run_columnar
    from chipwire.engine.targets import DecideTargets

    targets = DecideTargets(data.market, [strategy], data.settings, data.book, data.issuers)
    return run_columnar(data.market, data.settings, targets, *facts, keep="ledger").ledgers[0]


def _orders(ledger: Ledger) -> dict[Key, float]:
    """Return the shares of every order: of one that did not fill in full the row that says so has them."""
    orders = {
        (fill.decision_at, fill.instrument): float(fill.shares)
        for fill in ledger.fills
        if fill.auction in ("open", "close")
    }
    # 0 shares: a wish that could not be sized, which is no order.
    orders |= {(row.decision_at, row.instrument): float(row.wanted) for row in ledger.unfilled if row.wanted}
    return orders


def differences(base: Trace, other: Trace, until: datetime | None = None) -> list[Difference]:
    """Return where two runs differ up to a decision, in the order of time."""
    found = []
    for what, one, two in (("target", base.targets, other.targets), ("order", base.orders, other.orders)):
        if what == "order" and (base.error or other.error):
            continue
        for key in one.keys() | two.keys():
            a, b = one.get(key), two.get(key)
            if (until is None or key[0] <= until) and not _same(a, b):
                found.append(Difference(key[0], key[1], what, a, b))
    found.sort(key=lambda each: (each.at, each.instrument, each.what != "target"))
    if base.error != other.error:
        last = max((at for at, _ in (*base.targets, *other.targets)), default=datetime.max.replace(tzinfo=UTC))
        found.append(Difference(until or last, "", "error", base.error or None, other.error or None))
    return found


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return bool(abs(one - other) <= CLOSE or one == other)


def _market_until(market: Market, moment: np.datetime64) -> Market:
    """Return a market whose last session at each venue has begun by a moment: its open may be known."""
    return replace(market, venues=tuple(_head(venue, moment) for venue in market.venues))


def _head(venue: VenueMarket, moment: np.datetime64) -> VenueMarket:
    rows = int(np.searchsorted(np.minimum(venue.decide_at, venue.open_at), moment, side="right"))
    names = ("session", "open_at", "close_at", "decide_at", "open", "high", "low", "close", "volume")
    return replace(
        venue,
        first=min(venue.first, rows),
        actions={key: actions for key, actions in venue.actions.items() if key[0] < rows},
        **{name: getattr(venue, name)[:rows] for name in names},
    )
