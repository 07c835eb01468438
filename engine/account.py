"""One account over all venues: cash, shares and marks, moved only by auctions, actions and borrow cost."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from chipwire.data.fees import FeeTable
from chipwire.data.market_rules import LotRule, MarketRules
from chipwire.engine import costs, rules
from chipwire.engine.auction import AuctionBook, AuctionResult, AuctionTerms, settle
from chipwire.engine.market import Action, Floats, Market, VenueMarket
from chipwire.engine.records import EquityRow, Fill, Ledger, Order, PositionRow, Unfilled
from chipwire.engine.rules import Reason
from chipwire.engine.settings import Settings
from chipwire.engine.view import Cause

DEAD_AFTER_SESSIONS = 20
"""A holding is closed at its last price after so many sessions without a bar: whether more follow, nobody knows."""


def utc(instant: np.datetime64) -> datetime:
    """Return an array's instant as an aware datetime."""
    moment: datetime = instant.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


class _Holdings:
    """One venue's part of the account, arrays in the order of its instruments."""

    def __init__(self, size: int) -> None:
        self.shares: Floats = np.zeros(size)
        self.bought_today: Floats = np.zeros(size)
        self.basis: Floats = np.zeros(size)  # what the open position has cost, base currency; negative for a short
        self.price: Floats = np.full(size, np.nan)  # last known
        self.session = -1
        self.causes: dict[int, tuple[Cause, ...]] = {}


class Account:
    """The account of one run.

    Parameters
    ----------
    market : Market
    settings : Settings
    fee_table, market_rules
        Dated facts.

    Attributes
    ----------
    ledger : Ledger
        What happened so far.
    uncovered : set of str
        Venues that traded on a day that the fee table does not cover.
    """

    def __init__(self, market: Market, settings: Settings, fee_table: FeeTable, market_rules: MarketRules) -> None:
        self.market = market
        self.settings = settings
        self.ledger = Ledger()
        self.uncovered: set[str] = set()
        self.cash = settings.capital
        self._fees = fee_table
        self._rules = market_rules
        self._holdings = [_Holdings(len(venue.instruments)) for venue in market.venues]
        self._day_limits: dict[int, tuple[int, tuple[Floats, Floats, Floats]]] = {}
        self._day = {"costs": 0.0, "borrow": 0.0, "dividends": 0.0}
        self._terms = AuctionTerms(
            settings.slippage_bps, settings.impact, settings.participation, settings.leverage, settings.fee_multiple
        )
        for venue, own in zip(market.venues, self._holdings, strict=True):
            own.session = venue.first - 1
            own.price = known_close(venue, venue.first, through=venue.first - 1)

    # --- what it is worth --------------------------------------------------------------------------------

    def equity(self, instant: np.datetime64) -> float:
        """Return cash plus every position at its last known price and FX, base currency."""
        long, short = self._values(instant, leave_out=None)
        return self.cash + long - short

    def positions(self) -> dict[str, int]:
        """Return shares by instrument, without zeros."""
        return {
            instrument.symbol: int(shares)
            for venue, own in zip(self.market.venues, self._holdings, strict=True)
            for instrument, shares in zip(venue.instruments, own.shares, strict=True)
            if shares
        }

    def last_prices(self) -> dict[str, float]:
        """Return the last known price of every instrument, local currency, NaN where none is known yet."""
        return {
            instrument.symbol: float(price)
            for venue, own in zip(self.market.venues, self._holdings, strict=True)
            for instrument, price in zip(venue.instruments, own.price, strict=True)
        }

    def held(self, venue: int) -> Floats:
        """Return a venue's shares, a copy."""
        return self._holdings[venue].shares.copy()

    def known_price(self, venue: int) -> Floats:
        """Return a venue's last known prices, a copy."""
        return self._holdings[venue].price.copy()

    def opened_by(self, venue: int, column: int) -> tuple[Cause, ...]:
        """Return the causes of the fill that opened what is held, marked as such."""
        return self._holdings[venue].causes.get(column, ())

    def lot_rules(self, venue: int, session: int) -> list[LotRule]:
        """Return the lots of a venue's instruments in a session."""
        place = self.market.venues[venue]
        day = place.session[session].item()
        return [self._rules.lot_rule(i.venue, i.board, i.lot, day) for i in place.instruments]

    def fx(self, venue: int, instant: np.datetime64) -> Floats:
        """Return base currency for one unit of each instrument's currency."""
        return np.array([self.market.fx.to_base(i.currency, instant) for i in self.market.venues[venue].instruments])

    def _values(self, instant: np.datetime64, leave_out: int | None) -> tuple[float, float]:
        """Return the value of longs and of shorts (both at least 0) of all venues but one."""
        values = []
        for index, own in enumerate(self._holdings):
            held = own.shares != 0
            if index != leave_out and held.any():
                values.append(own.shares[held] * (own.price[held] * self.fx(index, instant)[held]))
        value = np.concatenate(values) if values else np.zeros(0)
        # One sum from left to right over all venues: so does the columnar ledger.
        long, short = rules.ordered_sum(np.maximum(value, 0.0)), rules.ordered_sum(np.maximum(-value, 0.0))
        return float(long), float(short)

    # --- what happens to it ------------------------------------------------------------------------------

    def begin(self, venue: int, session: int, instant: np.datetime64) -> None:
        """Begin a venue's session: borrow cost since the last one, corporate actions, locks released.

        With bars finer than a day a later bar of the same session begins nothing.
        """
        own, place = self._holdings[venue], self.market.venues[venue]
        if own.session >= session:
            return
        before, own.session = own.session, session
        if before >= place.day_start[session]:
            return
        if before >= 0:
            self._pay_borrow(venue, before, session, instant)
        own.bought_today[:] = 0.0
        for (when, column), actions in place.actions.items():
            if when == session:
                for action in actions:
                    self._apply(venue, column, action, instant)
        for dead in np.flatnonzero((own.shares != 0) & silent(place, session)):
            self._close_dead(venue, int(dead), instant)

    def mark(self, venue: int, session: int, auction: str) -> None:
        """Take an auction's prices as the last known ones, where there was trade."""
        place = self.market.venues[venue]
        price = (place.open if auction == "open" else place.close)[session]
        own = self._holdings[venue]
        own.price = np.where(np.isnan(price), own.price, price)

    def trade(self, venue: int, session: int, auction: str, orders: list[Order]) -> list[Fill]:
        """Settle a venue's orders at an auction and return the fills; what did not fill is noted with its reason."""
        if not orders:
            return []
        place = self.market.venues[venue]
        instant = (place.open_at if auction == "open" else place.close_at)[session]
        column = {instrument.symbol: index for index, instrument in enumerate(place.instruments)}
        wanted = np.zeros(len(place.instruments))
        for order in orders:
            wanted[column[order.instrument]] = order.shares
        book = self._book(venue, session, auction, instant)
        result = settle(book, wanted, self._terms)
        fills = []
        for order in orders:
            index = column[order.instrument]
            filled = int(result.filled[index])
            if filled:
                fills.append(self._book_fill(venue, session, auction, order, index, book, result))
            if filled != order.shares:
                reason = Reason(int(result.reason[index])).name.lower()
                day = place.session[session].item()
                self.ledger.unfilled.append(
                    Unfilled(order.decision_at, utc(instant), day, order.instrument, order.shares, filled, reason)
                )
        self.cash = float(result.cash)
        self.ledger.fills += fills
        return fills

    def end_of_day(self, day: date, instant: np.datetime64) -> None:
        """Write down the account after the last auction of a UTC day."""
        long, short = self._values(instant, leave_out=None)
        for index, (venue, own) in enumerate(zip(self.market.venues, self._holdings, strict=True)):
            fx = self.fx(index, instant)
            for i in np.flatnonzero(own.shares):
                shares, price, rate = int(own.shares[i]), float(own.price[i]), float(fx[i])
                symbol = venue.instruments[i].symbol
                self.ledger.positions.append(PositionRow(day, symbol, shares, price, rate, shares * price * rate))
        equity = self.cash + long - short
        self.ledger.equity.append(EquityRow(day, equity, self.cash, long + short, **self._day))
        self._day = dict.fromkeys(self._day, 0.0)

    # --- the parts of it ---------------------------------------------------------------------------------

    def _book(self, venue: int, session: int, auction: str, instant: np.datetime64) -> AuctionBook:
        own, place = self._holdings[venue], self.market.venues[venue]
        day = place.session[session].item()
        lots = self.lot_rules(venue, session)
        down, up, tick = self._limits(venue, session)
        rates = costs.compact(self._fees.stacked(place.mic, tuple(i.kind for i in place.instruments), day))
        if not rates.covered:
            self.uncovered.add(place.mic)
        long, short = self._values(instant, leave_out=venue)
        return AuctionBook(
            held=own.shares,
            bought_today=own.bought_today,
            auction_price=(place.open if auction == "open" else place.close)[session],
            volume=place.volume[session],
            known_price=own.price,
            limit_down=down,
            limit_up=up,
            tick=tick,
            fx=self.fx(venue, instant),
            buy_minimum=np.array([lot.buy_minimum for lot in lots], dtype=np.float64),
            buy_step=np.array([lot.buy_step for lot in lots], dtype=np.float64),
            share_lock=np.array([lot.share_lock for lot in lots]),
            short_allowed=np.array([self._rules.short_rule(i.venue, i.symbol, day).allowed for i in place.instruments]),
            rates=rates,
            cash=self.cash,
            long_elsewhere=long,
            short_elsewhere=short,
        )

    def _limits(self, venue: int, session: int) -> tuple[Floats, Floats, Floats]:
        """Return the session's lower and upper limits and ticks, from the last close of the day before."""
        place = self.market.venues[venue]
        start = int(place.day_start[session])
        known = self._day_limits.get(venue)
        if known is None or known[0] != start:
            known = self._day_limits[venue] = (start, self._limits_of_day(place, start))
        return known[1]

    def _limits_of_day(self, place: VenueMarket, session: int) -> tuple[Floats, Floats, Floats]:
        day = place.session[session].item()
        previous = known_close(place, session, through=session)
        fractions, ticks = [], []
        for index, instrument in enumerate(place.instruments):
            listed, number = instrument.listed_on, session_number(place, session, instrument.listed_on)
            fractions.append(
                self._rules.limit_fraction(
                    instrument.venue, instrument.board, day, listed_on=listed, session_number=number
                )
            )
            ticks.append(float(self._rules.tick(instrument.venue, instrument.board, previous[index], day)))
        tick = np.array(ticks)
        down, up = rules.limit_prices(previous, np.array(fractions), tick)
        return down, up, tick

    def _book_fill(
        self, venue: int, session: int, auction: str, order: Order, index: int, book: AuctionBook, result: AuctionResult
    ) -> Fill:
        """Move shares and basis by one fill and return its record; cash moves once for the whole auction."""
        own, place = self._holdings[venue], self.market.venues[venue]
        instant = (place.open_at if auction == "open" else place.close_at)[session]
        filled, held = float(result.filled[index]), float(own.shares[index])
        change = float(result.cash_change[index])
        closing = min(abs(filled), abs(held)) if filled * held < 0 else 0.0
        close_part = change * closing / abs(filled)
        released = float(own.basis[index]) * closing / abs(held) if closing else 0.0
        own.basis[index] += -(change - close_part) - released
        own.shares[index] = held + filled
        if filled > 0:
            own.bought_today[index] += filled - (closing if held < 0 else 0.0)
        if own.shares[index] * filled > 0 and (not held or closing):
            own.causes[index] = tuple(
                Cause(c.headline_id, c.issuer, c.theme, c.model_id, c.strength, "opened") for c in order.causes
            )
        commission, duty, levies = (
            float(np.asarray(part)[index]) for part in (result.fees.commission, result.fees.duty, result.fees.levies)
        )
        fx = float(np.asarray(book.fx)[index])
        slippage = float(result.slippage[index])
        self._day["costs"] += (commission + duty + levies + slippage) * fx
        return Fill(
            order.decision_at, utc(instant), place.session[session].item(), place.mic, auction, order.instrument,
            int(filled), float(result.price[index]), float(np.asarray(book.auction_price)[index]),
            place.instruments[index].currency, fx, commission, duty, levies, slippage,
            close_part - released if closing else 0.0, order.causes,
        )  # fmt: skip

    def _pay_borrow(self, venue: int, before: int, session: int, instant: np.datetime64) -> None:
        own, place = self._holdings[venue], self.market.venues[venue]
        shorts = np.flatnonzero(own.shares < 0)
        if not len(shorts):
            return
        days = int((place.session[session] - place.session[before]) / np.timedelta64(1, "D"))
        day, fx = place.session[session].item(), self.fx(venue, instant)
        for index in shorts:
            rate = self._rules.short_rule(place.mic, place.instruments[index].symbol, day).borrow_rate
            value = -own.shares[index] * own.price[index] * fx[index]
            cost = float(costs.borrow_cost(value, rate, days)) * self.settings.fee_multiple
            self.cash -= cost
            self._day["borrow"] += cost

    def _apply(self, venue: int, column: int, action: Action, instant: np.datetime64) -> None:
        """Apply a split or a dividend before the ex-date's auctions; a short pays the dividend."""
        own = self._holdings[venue]
        held = float(own.shares[column])
        fx = float(self.fx(venue, instant)[column])
        if action.kind == "dividend":
            paid = held * action.value * fx
            self.cash += paid
            self._day["dividends"] += paid
            own.price[column] -= action.value
            return
        own.price[column] /= action.value
        if not held:
            return
        exact = held * action.value
        whole = float(np.sign(exact) * rules.whole_below(abs(exact)))
        # A fraction of a share is paid out: it leaves the position like a sale, with its part of the cost.
        paid = (exact - whole) * float(own.price[column]) * fx
        released = float(own.basis[column]) * ((exact - whole) / exact)
        own.shares[column] = whole
        own.basis[column] -= released
        self.cash += paid
        self._note_change(venue, column, instant, "action", int(whole - held), 0.0, paid - released)

    def _close_dead(self, venue: int, column: int, instant: np.datetime64) -> None:
        own = self._holdings[venue]
        shares, price = float(own.shares[column]), float(own.price[column])
        proceeds = shares * price * float(self.fx(venue, instant)[column])
        realized = proceeds - float(own.basis[column])
        self.cash += proceeds
        own.shares[column] = own.basis[column] = 0.0
        self._note_change(venue, column, instant, "delisting", int(-shares), price, realized)

    def _note_change(
        self, venue: int, column: int, instant: np.datetime64, kind: str, shares: int, price: float, realized: float
    ) -> None:
        own, place = self._holdings[venue], self.market.venues[venue]
        instrument = place.instruments[column]
        fx = float(self.fx(venue, instant)[column])
        at, day = utc(instant), place.session[own.session].item()
        change = Fill(
            at, at, day, place.mic, kind, instrument.symbol, shares, price, price, instrument.currency, fx,
            0.0, 0.0, 0.0, 0.0, realized, self.opened_by(venue, column),
        )  # fmt: skip
        self.ledger.fills.append(change)


def known_close(place: VenueMarket, before: int, through: int) -> Floats:
    """Return the last closes before a session, adjusted for the actions since; NaN where there is none.

    The actions are those after each close up to the session `through`, also of sessions without trade.
    """
    there = ~np.isnan(place.close[:before])
    row = before - 1 - there[::-1].argmax(axis=0) if before else np.zeros(there.shape[1], dtype=np.intp)
    known = np.where(there.any(axis=0), place.close[row, np.arange(there.shape[1])], math.nan)
    for (when, column), actions in place.actions.items():
        if row[column] < when <= through:
            for action in actions:
                known[column] = known[column] / action.value if action.kind == "split" else known[column] - action.value
    return known


def silent(place: VenueMarket, session: int) -> NDArray[np.bool_]:
    """Return which instruments did not trade in the `DEAD_AFTER_SESSIONS` sessions before one."""
    first = int(np.searchsorted(place.day_number, place.day_number[session] - DEAD_AFTER_SESSIONS))
    before = slice(first, session)
    traded: NDArray[np.bool_] = ~(np.isnan(place.open[before]) & np.isnan(place.close[before]))
    return np.asarray(~traded.any(axis=0))


def session_number(place: VenueMarket, session: int, listed_on: date | None) -> int | None:
    """Return 1 in the first session of a listing; None where its start lies before the known sessions."""
    if listed_on is None or place.session[0].item() > listed_on:
        return None
    return int(place.day_number[session] - np.searchsorted(place.days, np.datetime64(listed_on, "D"))) + 1
