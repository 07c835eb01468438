"""The event engine: backtrader delivers one moment after the other, a broker of our own settles by venue rules.

backtrader's Cerebro drives the clock and the orders: a clock feed has one bar for each moment, each instrument's
feed has one for each of its auctions. At a decision the strategy sends orders; at the auction the broker fills them.
This is the only module that imports backtrader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import backtrader as bt
import numpy as np

from chipwire.data.fees import FeeTable
from chipwire.data.market_rules import MarketRules
from chipwire.engine.account import Account
from chipwire.engine.decision import Decider
from chipwire.engine.market import Market
from chipwire.engine.records import Fill, Order
from chipwire.engine.settings import Settings
from chipwire.engine.timeline import Moment, moments
from chipwire.engine.view import SignalBook
from chipwire.strategies.base import Strategy


def run_event_driven(
    market: Market,
    settings: Settings,
    strategy: Strategy,
    book: SignalBook | None,
    issuers: Mapping[str, str | None],
    fee_table: FeeTable,
    market_rules: MarketRules,
    on_progress: Callable[[int, int], None] | None = None,
    on_moment: Callable[[np.datetime64], None] | None = None,
) -> Account:
    """Run a strategy event by event and return the account with its ledger.

    Parameters
    ----------
    on_moment : callable, optional
        Told each moment of the clock before anything happens at it: the audit lets its data become known there.

    Raises
    ------
    BadTarget
        See `Decider.decide`.
    """
    account = Account(market, settings, fee_table, market_rules)
    clock = moments(market, settings)
    decider = Decider(strategy, account, book, issuers)
    cerebro = bt.Cerebro(stdstats=False, preload=False, runonce=False)
    cerebro.adddata(_ClockFeed(clock), name="clock")
    for venue in range(len(market.venues)):
        for column, instrument in enumerate(market.venues[venue].instruments):
            cerebro.adddata(_AuctionFeed(market, clock, venue, column), name=instrument.symbol)
    cerebro.broker = _VenueBroker(account, clock, on_moment)
    cerebro.addstrategy(_Driver, clock=clock, decider=decider, on_progress=on_progress)
    if clock:
        cerebro.run()
    return account


def _float_date(instant: np.datetime64) -> float:
    return float(bt.date2num(instant.astype("datetime64[us]").item()))


class _ClockFeed(bt.feed.DataBase):  # type: ignore[misc]
    """One bar for each moment; its length says which moment it is, so that no time is rounded."""

    def __init__(self, clock: list[Moment]) -> None:
        super().__init__()
        self._instants = iter([moment.at for moment in clock])

    def _load(self) -> bool:
        instant = next(self._instants, None)
        if instant is None:
            return False
        return _load_bar(self, _float_date(instant), 0.0, 0.0)


class _AuctionFeed(bt.feed.DataBase):  # type: ignore[misc]
    """One bar for each auction of an instrument that had trade: price of the auction; volume at the close."""

    def __init__(self, market: Market, clock: list[Moment], venue: int, column: int) -> None:
        super().__init__()
        place = market.venues[venue]
        rows = []
        for moment in clock:
            for step in moment.steps:
                if step.venue == venue and step.kind != "decide":
                    price = (place.open if step.kind == "open" else place.close)[step.session, column]
                    volume = place.volume[step.session, column] if step.kind == "close" else 0.0
                    if not np.isnan(price):
                        rows.append((_float_date(moment.at), float(price), float(np.nan_to_num(volume))))
        self._rows = iter(rows)

    def _load(self) -> bool:
        row = next(self._rows, None)
        return row is not None and _load_bar(self, *row)


def _load_bar(feed: Any, at: float, price: float, volume: float) -> bool:
    lines = feed.lines
    lines.datetime[0] = at
    lines.open[0] = lines.high[0] = lines.low[0] = lines.close[0] = price
    lines.volume[0] = volume
    lines.openinterest[0] = 0.0
    return True


class _VenueBroker(bt.broker.BrokerBase):  # type: ignore[misc]
    """A backtrader broker that settles each venue's auction at once, by the shared rules and one account."""

    def __init__(
        self, account: Account, clock: list[Moment], on_moment: Callable[[np.datetime64], None] | None
    ) -> None:
        super().__init__()
        self._account = account
        self._clock = clock
        self._on_moment = on_moment
        self._done = 0
        self._pending: dict[str, Any] = {}
        self._notifications: deque[Any] = deque()
        self._positions: dict[str, Any] = {}
        self.startingcash = account.cash

    def getcash(self) -> float:
        """Return cash in the base currency."""
        return self._account.cash

    get_cash = getcash

    def getvalue(self, datas: Any = None) -> float:
        """Return equity in the base currency."""
        moment = self._clock[max(self._done - 1, 0)]
        return self._account.equity(moment.at)

    get_value = getvalue

    def getposition(self, data: Any) -> Any:
        """Return backtrader's position of an instrument."""
        return self._positions.setdefault(data._name, bt.Position())

    def submit(self, order: Any) -> Any:
        """Take an order for the venue's next auction; an instrument has one at a time."""
        order.addcomminfo(self.getcommissioninfo(order.data))
        order.submit(self)
        order.accept(self)
        self._pending[order.data._name] = order
        self._notifications.append(order.clone())
        return order

    def cancel(self, order: Any) -> bool:
        """Take an order back before its auction."""
        if self._pending.pop(order.data._name, None) is None:
            return False
        order.cancel()
        self._notifications.append(order.clone())
        return True

    def buy(self, owner: Any, data: Any, size: float, **kwargs: Any) -> Any:
        """Take a market order for the next auction."""
        return self._order(bt.order.BuyOrder, owner, data, size, kwargs)

    def sell(self, owner: Any, data: Any, size: float, **kwargs: Any) -> Any:
        """Take a market order for the next auction."""
        return self._order(bt.order.SellOrder, owner, data, size, kwargs)

    def _order(self, kind: Any, owner: Any, data: Any, size: float, given: dict[str, Any]) -> Any:
        order = kind(owner=owner, data=data, size=size, exectype=bt.Order.Market, simulated=True)
        order.addinfo(asked=given["asked"])
        return self.submit(order)

    def get_notification(self) -> Any:
        """Return the next notification, None when there is none."""
        return self._notifications.popleft() if self._notifications else None

    def next(self) -> None:
        """Let the auctions of the moment take place, if the clock has moved."""
        reached = len(self.cerebro.datas[0])
        while self._done < reached:
            self._pass(self._clock[self._done])
            self._done += 1

    def _pass(self, moment: Moment) -> None:
        account = self._account
        if self._on_moment:
            self._on_moment(moment.at)
        for step in moment.steps:
            account.begin(step.venue, step.session, moment.at)
            if step.kind == "decide":
                continue
            if step.kind == account.settings.fill:
                symbols = [i.symbol for i in account.market.venues[step.venue].instruments]
                orders = [self._pending.pop(symbol) for symbol in symbols if symbol in self._pending]
                fills = account.trade(step.venue, step.session, step.kind, [order.info.asked for order in orders])
                self._report(orders, {fill.instrument: fill for fill in fills})
            account.mark(step.venue, step.session, step.kind)
        if moment.ends_day is not None:
            account.end_of_day(moment.ends_day, moment.at)

    def _report(self, orders: list[Any], fills: dict[str, Fill]) -> None:
        """Tell backtrader what became of the orders."""
        for order in orders:
            fill = fills.get(order.data._name)
            if fill is None:
                order.reject(self)
            else:
                position = self.getposition(order.data)
                size, price, opened, closed = position.update(fill.shares, fill.price)
                costs = fill.commission + fill.duty + fill.levies
                part = abs(closed) / abs(fill.shares)
                order.execute(
                    order.data.datetime[0], fill.shares, fill.price, closed, closed * fill.price, costs * part,
                    opened, opened * fill.price, costs * (1 - part), 0.0, fill.realized, size, price,
                )  # fmt: skip
                # What an auction leaves over is gone: backtrader's Completed means nothing more will come.
                order.completed()
            self._notifications.append(order.clone())


class _Driver(bt.Strategy):  # type: ignore[misc]
    """Carries chipwire's decisions into backtrader."""

    params = (("clock", None), ("decider", None), ("on_progress", None))

    def next(self) -> None:
        """Ask for the decisions of the moment and send their orders."""
        index = len(self.datas[0]) - 1
        moment: Moment = self.p.clock[index]
        for step in moment.steps:
            if step.kind == "decide":
                for order in self.p.decider.decide(step):
                    self._send(order)
        if self.p.on_progress and (index % 50 == 0 or index + 1 == len(self.p.clock)):
            self.p.on_progress(index + 1, len(self.p.clock))

    def prenext(self) -> None:
        """Decide also while some instruments have no bar yet: they may be listed later."""
        self.next()

    def nextstart(self) -> None:
        """Nothing is special about the first moment at which all have bars."""
        self.next()

    def _send(self, order: Order) -> None:
        data = self.getdatabyname(order.instrument)
        send = self.buy if order.shares > 0 else self.sell
        send(data=data, size=abs(order.shares), asked=order)
