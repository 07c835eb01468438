"""One venue's rules and prices for every session of a run, from the dated tables and the bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chipwire.data.fees import FeeRates, FeeRow, FeeTable
from chipwire.data.market_rules import MarketRules, RuleRow
from chipwire.engine import costs, rules
from chipwire.engine.account import DEAD_AFTER_SESSIONS, known_close, session_number
from chipwire.engine.market import Action, Floats, Market, VenueMarket
from chipwire.engine.rules import Codes, Flags, Reason


@dataclass(frozen=True)
class VenueFacts:
    """One venue's rules and prices, arrays of shape (sessions, instruments), history included but not filled.

    With bars finer than a day a row is a bar, as in `VenueMarket`.

    Attributes
    ----------
    price, volume : ndarray
        Of the auction that the run fills at; NaN without a bar.
    known_begin, known_open, known_close : ndarray
        Last known prices after a session's corporate actions, after its open and after its close.
    rates : list of FeeRates
        By session, one object for each period, along the last axis.
    blocked_buy, blocked_sell : ndarray of int8
        `Reason` for which no order of the side can fill.
    """

    place: VenueMarket
    rows: slice
    price: Floats
    volume: Floats
    known_begin: Floats
    known_open: Floats
    known_close: Floats
    buy_minimum: Floats
    buy_step: Floats
    share_lock: Flags
    short_allowed: Flags
    borrow_rate: Floats
    limit_down: Floats
    limit_up: Floats
    tick: Floats
    fx: Floats
    rates: list[FeeRates]
    blocked_buy: Codes
    blocked_sell: Codes

    @property
    def locks(self) -> bool:
        """Whether shares bought at one auction may be locked at another of the same session."""
        return len(self.place.days) < len(self.place.session) and bool(self.share_lock.any())

    @property
    def lots_grow(self) -> bool:
        """Whether a holding of whole lots may be none any more on a later day of the run."""
        step = self.buy_step[self.place.first :]
        return bool(np.any(step[:-1] % step[1:] != 0.0))


def venue_facts(
    market: Market, place: VenueMarket, rows: slice, fill: str, fee_table: FeeTable, market_rules: MarketRules
) -> VenueFacts:
    """Work out what holds at a venue; `fill` says at which auction the run fills."""
    shape = (len(place.session), len(place.instruments))
    known = _known_prices(place)
    at = place.open_at if fill == "open" else place.close_at
    price = place.open if fill == "open" else place.close
    fx = np.column_stack([rates_to_base(market, i.currency, at) for i in place.instruments])
    found: dict[str, NDArray[np.float64]] = {
        name: np.full(shape, np.nan)
        for name in ("buy_minimum", "buy_step", "share_lock", "short_allowed", "borrow_rate", "fraction", "tick")
    }
    rates: list[FeeRates] = [FeeRates((), covered=True)] * shape[0]
    kinds = tuple(instrument.kind for instrument in place.instruments)
    periods = _periods(place, fee_table, market_rules)
    for part, day in periods:
        rates[part] = [costs.compact(fee_table.stacked(place.mic, kinds, day))] * (part.stop - part.start)
        for column, instrument in enumerate(place.instruments):
            lot = market_rules.lot_rule(instrument.venue, instrument.board, instrument.lot, day)
            short = market_rules.short_rule(instrument.venue, instrument.symbol, day)
            found["buy_minimum"][part, column] = lot.buy_minimum
            found["buy_step"][part, column] = lot.buy_step
            found["share_lock"][part, column] = lot.share_lock
            found["short_allowed"][part, column] = short.allowed
            found["borrow_rate"][part, column] = short.borrow_rate
            found["tick"][part, column] = market_rules.tick(
                instrument.venue, instrument.board, known.before[part, column], day
            )
            found["fraction"][part, column] = market_rules.limit_fraction(instrument.venue, instrument.board, day)
    _free_first_sessions(place, market_rules, [part for part, _ in periods], found["fraction"])
    down, up = rules.limit_prices(known.before, found.pop("fraction"), found["tick"])
    blocked = partial(rules.blocked, auction_price=price, volume=place.volume, limit_down=down, limit_up=up)
    no_fx = ~(fx > 0.0)
    sides = []
    for sign in (1.0, -1.0):
        reason = blocked(np.full(shape, sign), tick=found["tick"])
        sides.append(np.where((reason == Reason.NONE) & no_fx, np.int8(Reason.NO_FX), reason))
    return VenueFacts(
        place, rows, price, place.volume, known.begin, known.open, known.close,
        buy_minimum=found["buy_minimum"], buy_step=found["buy_step"], share_lock=found["share_lock"] == 1.0,
        short_allowed=found["short_allowed"] == 1.0, borrow_rate=found["borrow_rate"], limit_down=down, limit_up=up,
        tick=found["tick"], fx=fx, rates=rates, blocked_buy=sides[0], blocked_sell=sides[1],
    )  # fmt: skip


def _periods(place: VenueMarket, fee_table: FeeTable, market_rules: MarketRules) -> list[tuple[slice, date]]:
    """Return the parts of the run in which no dated row begins or ends, each with its first session."""
    edges = set()
    tables = (market_rules.ticks, market_rules.limits, market_rules.lots, market_rules.shorts)
    dated: list[RuleRow | FeeRow] = [*(row for table in tables for row in table), *fee_table.rows]
    for row in dated:
        if row.venue == place.mic:
            edges.add(row.valid_from)
            if row.valid_to != date.max:
                edges.add(row.valid_to + timedelta(days=1))
    starts = np.searchsorted(place.session, np.array(sorted(edges), dtype="datetime64[D]"))
    end = len(place.session)
    cuts = sorted({place.first, end, *(int(start) for start in starts if place.first < start < end)})
    return [(slice(a, b), place.session[a].item()) for a, b in pairwise(cuts)]


def _free_first_sessions(place: VenueMarket, market_rules: MarketRules, parts: list[slice], fraction: Floats) -> None:
    """Ask again for the first sessions of a listing, which may have no limit."""
    free = max((row.free_sessions for row in market_rules.limits if row.venue == place.mic), default=0)
    for column, instrument in enumerate(place.instruments):
        if instrument.listed_on is None or place.session[0].item() > instrument.listed_on:
            continue
        listed = int(np.searchsorted(place.session, np.datetime64(instrument.listed_on, "D")))
        early = [slice(part.start, min(part.stop, listed)) for part in parts if part.start < listed]
        number = int(np.searchsorted(place.days, np.datetime64(instrument.listed_on, "D")))
        first_days = [_rows_of_day(place, day) for day in range(number, min(number + free, len(place.days)))]
        for part in [*early, *(rows for rows in first_days if rows.start >= place.first)]:
            fraction[part, column] = market_rules.limit_fraction(
                instrument.venue, instrument.board, place.session[part.start].item(), listed_on=instrument.listed_on,
                session_number=session_number(place, part.start, instrument.listed_on),
            )  # fmt: skip


def _rows_of_day(place: VenueMarket, number: int) -> slice:
    """Return the rows of one of the venue's days; with daily bars that one row."""
    day = place.days[number]
    return slice(int(np.searchsorted(place.session, day)), int(np.searchsorted(place.session, day, side="right")))


@dataclass(frozen=True)
class _Known:
    """Last known prices (sessions, instruments); `before` is the close that the limit counts from."""

    before: Floats
    begin: Floats
    open: Floats
    close: Floats


def _known_prices(place: VenueMarket) -> _Known:
    """Carry each price on until the next, through the corporate actions between them.

    The close from which the limit counts and the mark of a holding are adjusted alike; they differ where a
    session has an open and no close.
    """
    shape = place.close.shape
    known = _Known(*(np.full(shape, np.nan) for _ in range(4)))
    if place.first == shape[0]:
        return known
    acted = np.zeros(shape[1], dtype=bool)
    acted[[column for _, column in place.actions]] = True
    _carry_on(place, known, np.flatnonzero(~acted))
    _carry_through_actions(place, known, np.flatnonzero(acted))
    # Limits count from the last close of the session before, within the session too.
    known.before[place.first :] = known.before[place.day_start[place.first :]]
    return known


def _carry_on(place: VenueMarket, known: _Known, columns: NDArray[np.intp]) -> None:
    """Fill `known` for instruments without corporate actions: each price holds until the next."""
    start = known_close(place, place.first, through=place.first - 1)[columns]
    rows = slice(place.first, None)
    opens, closes = place.open[rows, columns], place.close[rows, columns]
    every = np.vstack([start, np.stack([opens, closes], axis=1).reshape(2 * len(opens), len(columns))])
    held = every[_last_known(every), np.arange(len(columns))]
    known.begin[rows, columns], known.open[rows, columns], known.close[rows, columns] = (
        held[:-1:2], held[1::2], held[2::2]
    )  # fmt: skip
    only = np.vstack([start, closes])
    known.before[rows, columns] = only[_last_known(only), np.arange(len(columns))][:-1]


def _last_known(values: Floats) -> NDArray[np.intp]:
    """Return for each row the last row down to it that is not NaN, the first row where there is none."""
    row = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.maximum.accumulate(row, axis=0)


def _carry_through_actions(place: VenueMarket, known: _Known, columns: NDArray[np.intp]) -> None:
    """Fill `known` for instruments with corporate actions, session by session."""
    due = actions_by_session(place)
    mark = known_close(place, place.first, through=place.first - 1)
    base = mark.copy()
    for session in range(place.first, len(place.session) if len(columns) else place.first):
        for column, actions in due.get(session, ()):
            for action in actions:
                mark[column] = _adjusted(mark[column], action)
                base[column] = _adjusted(base[column], action)
        opens, closes = place.open[session], place.close[session]
        known.before[session, columns], known.begin[session, columns] = base[columns], mark[columns]
        mark = np.where(np.isnan(opens), mark, opens)
        known.open[session, columns] = mark[columns]
        mark, base = np.where(np.isnan(closes), mark, closes), np.where(np.isnan(closes), base, closes)
        known.close[session, columns] = mark[columns]


def actions_by_session(place: VenueMarket) -> dict[int, list[tuple[int, tuple[Action, ...]]]]:
    """Return the corporate actions due at each session, by instrument, in their order."""
    due: dict[int, list[tuple[int, tuple[Action, ...]]]] = {}
    for (when, column), actions in place.actions.items():
        due.setdefault(when, []).append((column, actions))
    return due


def dead_by_session(place: VenueMarket) -> dict[int, tuple[int, ...]]:
    """Return the instruments that are closed as a session begins, by row: they have not traded for too long."""
    traded = ~(np.isnan(place.open) & np.isnan(place.close))
    starts = np.unique(place.day_start)
    by_day = np.logical_or.reduceat(traded, starts, axis=0) if len(starts) else traded
    dead: dict[int, tuple[int, ...]] = {}
    for column in range(traded.shape[1]):
        days = np.append(np.flatnonzero(by_day[:, column]), len(by_day) + DEAD_AFTER_SESSIONS)
        for last in days[:-1][np.diff(days) > DEAD_AFTER_SESSIONS].tolist():
            if last + DEAD_AFTER_SESSIONS + 1 >= len(starts):
                continue
            session = int(starts[last + DEAD_AFTER_SESSIONS + 1])
            dead[session] = (*dead.get(session, ()), column)
    return dead


def _adjusted(price: float, action: Action) -> float:
    return price / action.value if action.kind == "split" else price - action.value


def rates_to_base(market: Market, currency: str, instants: NDArray[np.datetime64]) -> Floats:
    """Return base currency for one unit of `currency` at each instant, as `FxBook.to_base` does for one."""
    if currency == market.fx.base:
        return np.ones(len(instants))

    def per_usd(name: str) -> Floats:
        if name == "USD":
            return np.ones(len(instants))
        index = np.searchsorted(market.fx.at[name], instants, side="right") - 1
        rate = market.fx.rate[name]
        if not len(rate):
            return np.full(len(instants), np.nan)
        return np.where(index >= 0, rate[index], np.nan)

    return per_usd(market.fx.base) / per_usd(currency)
