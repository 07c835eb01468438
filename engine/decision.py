"""From a strategy's weights to orders: ask, check, size in shares, leave small changes alone, note the causes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import numpy as np

from chipwire.engine import rules
from chipwire.engine.account import Account, utc
from chipwire.engine.asking import Asker
from chipwire.engine.records import Order, Target, Unfilled
from chipwire.engine.rules import Reason
from chipwire.engine.timeline import Step
from chipwire.engine.view import Cause, PointInTimeView, SignalBook
from chipwire.strategies.base import Strategy


class Decider:
    """Asks a strategy at each decision and turns its answer into orders.

    Parameters
    ----------
    strategy : Strategy
    account : Account
    book : SignalBook or None
        None for a strategy that reads no signals.
    issuers : mapping
        Issuer of every instrument.
    """

    def __init__(
        self, strategy: Strategy, account: Account, book: SignalBook | None, issuers: Mapping[str, str | None]
    ) -> None:
        self._asker = Asker(strategy, account.settings.leverage)
        self._told = 0  # fills that the strategy was told of
        self._account = account
        self._book = book
        self._issuers = issuers
        self._last: dict[int, datetime] = {}

    def decide(self, step: Step) -> list[Order]:
        """Ask the strategy before one venue's auction and return its orders.

        Raises
        ------
        BadTarget
            The strategy raised or returned something that cannot be traded.
        """
        account = self._account
        place = account.market.venues[step.venue]
        instant = place.decide_at[step.session]
        prices = account.last_prices()
        names = [instrument.symbol for instrument in place.instruments]
        view = PointInTimeView(
            now=utc(instant),
            since=self._last.get(step.venue),
            venue=place.mic,
            session=place.session[step.session].item(),
            instruments=tuple(name for name in names if not math.isnan(prices[name])),
            universe=tuple(name for name in account.market.symbols if not math.isnan(prices[name])),
            awaited=tuple(name for name in names if math.isnan(prices[name])),
            positions=account.positions(),
            equity=account.equity(instant),
            _market=account.market,
            _book=self._book,
            _issuers=self._issuers,
            _last_prices=prices,
        )
        self._last[step.venue] = view.now
        weights = self._asker.ask(view, account.ledger.fills[self._told :])
        self._told = len(account.ledger.fills)
        account.ledger.targets += [Target(view.now, name, weight) for name, weight in weights.items()]
        return self._orders(step, instant, view, weights)

    def _orders(
        self, step: Step, instant: np.datetime64, view: PointInTimeView, weights: dict[str, float]
    ) -> list[Order]:
        account = self._account
        held, known = account.held(step.venue), account.known_price(step.venue)
        fx = account.fx(step.venue, instant)
        lots = account.lot_rules(step.venue, step.session)
        names = [instrument.symbol for instrument in account.market.venues[step.venue].instruments]
        weight = np.array([weights.get(name, math.nan) for name in names])
        wanted = rules.wanted_shares(weight, view.equity, known, fx)
        shares = rules.order_shares(
            wanted, held, [float(lot.buy_minimum) for lot in lots], [float(lot.buy_step) for lot in lots]
        )
        orders = []
        for index, name in enumerate(names):
            size = abs(shares[index]) * known[index] * fx[index]
            leaves = wanted[index] == 0 and held[index] != 0
            if shares[index] and (leaves or size >= account.settings.band * view.equity):
                orders.append(Order(view.now, name, int(shares[index]), self._causes(view, step.venue, index, name)))
            elif weights.get(name) and not held[index]:
                self._note_unsent(step, view, name, wanted[index], int(shares[index]))
        return orders

    def _note_unsent(self, step: Step, view: PointInTimeView, name: str, wanted: float, shares: int) -> None:
        """Note a wish that gave no order: below the band or a lot, or no price or rate known yet to size it by."""
        account = self._account
        place = account.market.venues[step.venue]
        auction_at = (place.open_at if account.settings.fill == "open" else place.close_at)[step.session]
        if shares:
            asked, reason = shares, Reason.BAND
        elif math.isnan(wanted):
            asked, reason = 0, Reason.NO_BAR if math.isnan(view.last_price(name)) else Reason.NO_FX
        elif wanted:
            asked, reason = int(wanted), Reason.LOT
        else:
            return
        row = Unfilled(view.now, utc(auction_at), view.session, name, asked, 0, reason.name.lower())
        account.ledger.unfilled.append(row)

    def _causes(self, view: PointInTimeView, venue: int, index: int, name: str) -> tuple[Cause, ...]:
        """Return the signals behind an order: those on the issuer itself, else what opened it, else its rivals."""
        causes = view.causes(name)
        own = [cause for cause in causes if cause.relation == "own"]
        if own:
            return tuple(own)
        opened = self._account.opened_by(venue, index) if self._account.held(venue)[index] else ()
        return opened or tuple(causes)
