"""Settlement of one venue's auction: orders become fills, under the venue's rules and the account's cash.

Pure and array-wise: the last axis holds the auction's instruments, leading axes hold configurations that do
not know of each other. Neither an instrument without an order nor another configuration changes a bit.

Order of work
-------------
1. Orders that cannot fill at all: no bar, suspended, at the limit, no exchange rate, a forbidden short.
2. Share locks (T+1) cap sales, participation caps orders to a part of the bar's volume, lots cut the rest.
3. Sales of held shares fill and add their proceeds net of fees.
4. Purchases that cover shorts fill while cash suffices, else one common factor scales all of them.
5. Purchases that open are scaled by one common factor until the buying power left after fees is not negative.
   Buying power is cash less the current value of all shorts: what a short sale brought in is collateral.
6. All that opens, purchases and short sales, is scaled by one common factor until the gross value of all
   positions is at most the leverage allowed times equity, both at the auction's prices and after costs.

A common factor is the largest for which the scaled orders, each cut to lots, still fit (see `_scale`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chipwire.data.fees import FeeRates
from chipwire.engine import costs, rules
from chipwire.engine.costs import FeeParts
from chipwire.engine.rules import Codes, Flags, Floats, Reason, floats, ordered_sum

_LEVERAGE_TOLERANCE = 1e-9  # of equity: sums of many positions do not end on the last bit
_MAX_PROBES = 300  # far more than a factor in lots needs; every third probe halves the interval


@dataclass(frozen=True)
class AuctionBook:
    """What the account holds and what the venue allows, at one auction.

    Attributes
    ----------
    held, bought_today : array_like, shape (..., n)
        Shares before the auction, negative for a short; of these, shares bought in the same session.
    auction_price, volume : array_like, shape (..., n)
        Local currency; NaN: no bar. Shares of the session's bar; 0: suspended, NaN: unknown, no cap.
    known_price : array_like, shape (..., n)
        Last price before the auction, the mark of holdings without an auction price.
    limit_down, limit_up, tick : array_like, shape (..., n)
        From `rules.limit_prices`; infinities where there is no limit.
    fx : array_like, shape (..., n)
        Base currency for one unit of local currency; NaN blocks the order.
    buy_minimum, buy_step, share_lock, short_allowed : array_like, shape (..., n)
        From `chipwire.data.market_rules`.
    rates : FeeRates
        Of the instruments in their order, from `chipwire.data.fees.FeeTable.stacked`.
    cash : array_like, shape (...)
        Base currency, short proceeds included.
    long_elsewhere, short_elsewhere : array_like, shape (...)
        Value of all positions that are not in this book, each at least 0, base currency.
    """

    held: npt.ArrayLike
    bought_today: npt.ArrayLike
    auction_price: npt.ArrayLike
    volume: npt.ArrayLike
    known_price: npt.ArrayLike
    limit_down: npt.ArrayLike
    limit_up: npt.ArrayLike
    tick: npt.ArrayLike
    fx: npt.ArrayLike
    buy_minimum: npt.ArrayLike
    buy_step: npt.ArrayLike
    share_lock: npt.ArrayLike
    short_allowed: npt.ArrayLike
    rates: FeeRates
    cash: npt.ArrayLike
    long_elsewhere: npt.ArrayLike = 0.0
    short_elsewhere: npt.ArrayLike = 0.0


@dataclass(frozen=True)
class AuctionTerms:
    """What a run assumes about its fills.

    Attributes
    ----------
    slippage_bps, impact_coefficient : array_like, broadcast to (..., n)
        See `rules.fill_price`.
    max_participation : array_like, broadcast to (..., n)
        Largest part of the bar's volume that one order may take; infinity: no cap.
    max_leverage : array_like, broadcast to (...)
        Largest gross value of all positions over equity.
    fee_multiple : array_like, broadcast to (..., n)
        Of the fees that are due.
    """

    slippage_bps: npt.ArrayLike = 0.0
    impact_coefficient: npt.ArrayLike = 0.0
    max_participation: npt.ArrayLike = math.inf
    max_leverage: npt.ArrayLike = 1.0
    fee_multiple: npt.ArrayLike = 1.0


@dataclass(frozen=True)
class AuctionResult:
    """What the auction did; arrays of shape (..., n) unless said otherwise.

    Attributes
    ----------
    filled : ndarray
        Signed shares, between 0 and the order.
    price : ndarray
        Local currency, slippage included; NaN where nothing filled.
    fees : FeeParts
        Local currency.
    slippage : ndarray
        ``abs(price - auction price) * abs(filled)``, local currency, already inside `price`.
    cash_change : ndarray
        ``-(filled * price) * fx - fees * fx``, base currency.
    reason : ndarray of int8
        `Reason` of the last cut that an order took; `Reason.NONE` where it filled in full.
    cash : ndarray, shape (...)
        Cash before plus `cash_change`, summed from left to right.
    cash_factor, leverage_factor : ndarray, shape (...)
        Common factors of steps 5 and 6; 1 where nothing was scaled.

    Notes
    -----
    Invariants: ``abs(filled) <= abs(order)`` with its sign; every filled number of shares is tradable; where
    a purchase that opens has filled, neither buying power nor cash is negative afterwards.
    """

    filled: Floats
    price: Floats
    fees: FeeParts
    slippage: Floats
    cash_change: Floats
    reason: Codes
    cash: Floats
    cash_factor: Floats
    leverage_factor: Floats


@dataclass(frozen=True)
class _Lanes:
    """Book and terms with all leading axes made one: (lanes, n) and, for the account, (lanes,)."""

    held: Floats
    bought_today: Floats
    auction_price: Floats
    volume: Floats
    known_price: Floats
    limit_down: Floats
    limit_up: Floats
    tick: Floats
    fx: Floats
    buy_minimum: Floats
    buy_step: Floats
    share_lock: Flags
    short_allowed: Flags
    slippage_bps: Floats
    impact_coefficient: Floats
    max_participation: Floats
    fee_multiple: Floats
    cash: Floats
    long_elsewhere: Floats
    short_elsewhere: Floats
    max_leverage: Floats
    rates: FeeRates

    def take(self, lanes: Flags) -> _Lanes:
        """Return the lanes that are marked."""
        arrays = {f.name: getattr(self, f.name)[lanes] for f in fields(self) if f.name != "rates"}
        return replace(self, **arrays)

    @property
    def mark(self) -> Floats:
        """Value of one share in base currency at the auction, at the last known price where it has none."""
        price = np.where(np.isnan(self.auction_price), self.known_price, self.auction_price)
        return price * self.fx


@dataclass(frozen=True)
class _Trades:
    price: Floats
    fees: FeeParts
    cash_change: Floats
    cash: Floats


_ACCOUNT = ("cash", "long_elsewhere", "short_elsewhere", "max_leverage")
_FLAGS = ("share_lock", "short_allowed")


def settle(book: AuctionBook, orders: npt.ArrayLike, terms: AuctionTerms | None = None) -> AuctionResult:
    """Fill the orders of one auction.

    Parameters
    ----------
    book : AuctionBook
    orders : array_like, shape (..., n)
        Signed whole shares, as `rules.order_shares` gives them; 0 and NaN: no order.
    terms : AuctionTerms, optional
        Without slippage, impact and participation cap, with leverage 1, if not given.

    Returns
    -------
    AuctionResult
        New arrays; nothing that was passed in is changed.
    """
    lanes, asked, shape = _flatten(book, floats(orders), terms or AuctionTerms())
    wanted, reason = _admit(lanes, asked)
    size, sign = np.abs(wanted), np.sign(wanted)
    closing = sign * np.where(lanes.held * sign < 0.0, np.minimum(size, np.abs(lanes.held)), 0.0)
    opening = wanted - closing

    sales, covers = np.minimum(closing, 0.0), np.maximum(closing, 0.0)
    covered, _ = _scale(lanes, sales, covers, _cash_left)
    closed = sales + covered
    opening = np.where(closed == closing, opening, 0.0)  # no way through zero before the short is covered
    purchases, shorts = np.maximum(opening, 0.0), np.minimum(opening, 0.0)
    bought, cash_factor = _scale(lanes, closed + shorts, purchases, _power_left)
    afforded = bought + shorts
    opened, leverage_factor = _scale(lanes, closed, afforded, _leverage_left)

    filled = closed + opened
    reason = np.where(closed + afforded != wanted, np.int8(Reason.CASH), reason)
    reason = np.where(opened != afforded, np.int8(Reason.LEVERAGE), reason)
    return _result(lanes, shape, filled, reason, cash_factor, leverage_factor)


def _flatten(book: AuctionBook, orders: Floats, terms: AuctionTerms) -> tuple[_Lanes, Floats, tuple[int, ...]]:
    """Broadcast everything to (lanes, n) or (lanes,); return also the orders and the shape asked for."""
    given: dict[str, Any] = {
        f.name: np.asarray(getattr(part, f.name), bool if f.name in _FLAGS else np.float64)
        for part in (book, terms)
        for f in fields(part)
        if f.name != "rates"
    }
    shapes = [(*array.shape, 1) if name in _ACCOUNT else array.shape for name, array in given.items()]
    shape = np.broadcast_shapes(orders.shape, *shapes)
    rows = (math.prod(shape[:-1]), shape[-1])
    for name, array in given.items():
        if name in _ACCOUNT:
            given[name] = np.broadcast_to(array, shape[:-1]).reshape(-1)
        else:
            given[name] = np.broadcast_to(array, shape).reshape(rows)
    asked = np.nan_to_num(np.broadcast_to(orders, shape).reshape(rows))
    return _Lanes(rates=book.rates, **given), asked, shape


def _admit(lanes: _Lanes, asked: Floats) -> tuple[Floats, Codes]:
    """Cut the orders to what could fill, were there money (steps 1 and 2); return the last reason too."""
    at, sign, long = lanes, np.sign(asked), np.maximum(lanes.held, 0.0)
    naked = ~at.short_allowed & (at.held <= 0.0)
    reason = rules.blocked(
        sign, at.auction_price, at.volume, at.limit_down, at.limit_up, at.tick, short_forbidden=naked
    )
    no_fx = (sign != 0.0) & (reason == Reason.NONE) & ~(at.fx > 0.0)
    reason = np.where(no_fx, np.int8(Reason.NO_FX), reason)
    order = np.where(reason == Reason.NONE, asked, 0.0)

    free = rules.sellable(at.held, at.bought_today, at.share_lock)
    known_volume = np.where(at.volume > 0.0, at.volume, 1.0)
    largest = np.where(np.isnan(at.volume), np.inf, known_volume * at.max_participation)
    bounded = np.isfinite(largest)
    largest = np.where(bounded, rules.whole_below(np.where(bounded, largest, 0.0)), np.inf)
    closable = np.where(at.held > 0.0, free, at.held)
    caps = (
        (Reason.SHORT_FORBIDDEN, np.where(at.short_allowed, order, np.maximum(order, -long))),
        (Reason.LOCKED_T1, np.where(free < long, np.maximum(order, -free), order)),
        (Reason.PARTICIPATION, np.clip(order, -largest, largest)),
    )
    for cause, capped in caps:
        reason = np.where(np.abs(capped) < np.abs(order), np.int8(cause), reason)
        order = np.where(np.abs(capped) < np.abs(order), capped, order)
    wanted = rules.tradable(order, at.held, closable, at.buy_minimum, at.buy_step)
    return wanted, np.where((wanted != order) & (reason == Reason.NONE), np.int8(Reason.LOT), reason)


def _trade(at: _Lanes, shares: Floats) -> _Trades:
    """Price signed shares and charge their fees; what does not trade changes no cash, whatever its price."""
    volume = np.where(at.volume > 0.0, at.volume, np.nan)
    price = rules.fill_price(
        at.auction_price,
        np.sign(shares),
        at.slippage_bps,
        at.impact_coefficient,
        np.abs(shares) / volume,
        at.limit_down,
        at.limit_up,
    )
    charged = costs.fees(at.rates, shares, price, at.fee_multiple)
    change = np.where(shares == 0.0, 0.0, -(shares * price) * at.fx - charged.total * at.fx)
    return _Trades(price, charged, change, at.cash + ordered_sum(change))


def _cash_left(at: _Lanes, shares: Floats) -> Floats:
    return _trade(at, shares).cash


def _power_left(at: _Lanes, shares: Floats) -> Floats:
    after = at.held + shares
    collateral = ordered_sum(np.where(after < 0.0, -after * at.mark, 0.0))
    return _trade(at, shares).cash - collateral - at.short_elsewhere


def _leverage_left(at: _Lanes, shares: Floats) -> Floats:
    after = at.held + shares
    values = np.where(after == 0.0, 0.0, after * at.mark)
    equity = _trade(at, shares).cash + ordered_sum(values) + at.long_elsewhere - at.short_elsewhere
    gross = ordered_sum(np.abs(values)) + at.long_elsewhere + at.short_elsewhere
    return at.max_leverage * equity - gross + _LEVERAGE_TOLERANCE * np.abs(equity)


def _scale(
    lanes: _Lanes, fixed: Floats, legs: Floats, margin: Callable[[_Lanes, Floats], Floats]
) -> tuple[Floats, Floats]:
    """Scale the signed `legs` of each lane by one factor, as little as keeps the margin at 0 or above.

    The margin of ``fixed + legs``, each scaled leg cut to lots, falls in steps as the factor grows, each where
    the factor times a leg reaches a whole lot. The search keeps a factor that fits and one that fails, both
    moved down onto such a place, and probes by interpolation, just above the one that fits, and in the middle.
    It ends when no place lies between the two: the result is exact. Where nothing fits, or the margin is not
    known, the factor is 0; where all fits, the legs come back as they are.
    """
    factor = np.ones(len(legs))
    if not legs.any():
        return legs, factor
    over: Flags = legs.any(axis=-1) & ~(margin(lanes, fixed + legs) >= 0.0)
    if not over.any():
        return legs, factor
    scaled = legs.copy()
    scaled[over], factor[over] = _search(lanes.take(over), fixed[over], legs[over], margin)
    return scaled, factor


def _search(
    at: _Lanes, fixed: Floats, legs: Floats, margin: Callable[[_Lanes, Floats], Floats]
) -> tuple[Floats, Floats]:
    sign, lots = np.sign(legs), np.abs(legs) / at.buy_step
    per_lot = np.where(lots > 0.0, lots, np.inf)

    def cut(factor: Floats) -> Floats:
        kept: Floats = sign * rules.lots_below(factor[:, None] * np.abs(legs), at.buy_minimum, at.buy_step)
        return kept

    def place(factor: Floats, ahead: float) -> Floats:
        """Return the last factor at which a leg gained a lot, or with `ahead` 1 the next one."""
        reached = (rules.whole_below(factor[:, None] * lots) + ahead) / per_lot
        ends: Floats = reached.max(axis=-1) if ahead == 0.0 else np.where(lots > 0.0, reached, np.inf).min(axis=-1)
        return ends

    low, high = np.zeros(len(legs)), np.ones(len(legs))
    low_margin, high_margin = margin(at, fixed), margin(at, fixed + legs)
    done = ~(low_margin >= 0.0)
    for probe in range(_MAX_PROBES):
        ahead = place(low, 1.0)
        done |= ahead >= high
        if done.all():
            break
        if probe % 3 == 0:
            drop = low_margin - high_margin
            tried = low + (high - low) * np.where(drop > 0.0, low_margin / np.where(drop > 0.0, drop, 1.0), 0.5)
        else:
            tried = ahead if probe % 3 == 1 else (low + high) / 2.0
        tried = np.clip(tried, low, high)
        found = margin(at, fixed + cut(tried))
        tried = place(tried, 0.0)
        fits, fails = ~done & (found >= 0.0), ~done & ~(found >= 0.0)
        low, low_margin = np.where(fits, tried, low), np.where(fits, found, low_margin)
        high, high_margin = np.where(fails, tried, high), np.where(fails, found, high_margin)
    return cut(low), low


def _result(
    lanes: _Lanes,
    shape: tuple[int, ...],
    filled: Floats,
    reason: Codes,
    cash_factor: Floats,
    leverage_factor: Floats,
) -> AuctionResult:
    trades, none = _trade(lanes, filled), filled == 0.0
    slippage = np.where(none, 0.0, np.abs(trades.price - lanes.auction_price) * np.abs(filled))
    parts = trades.fees
    return AuctionResult(
        filled=filled.reshape(shape),
        price=np.where(none, np.nan, trades.price).reshape(shape),
        fees=FeeParts(*(part.reshape(shape) for part in (parts.commission, parts.duty, parts.levies))),
        slippage=slippage.reshape(shape),
        cash_change=trades.cash_change.reshape(shape),
        reason=reason.astype(np.int8).reshape(shape),
        cash=trades.cash.reshape(shape[:-1])[()],
        cash_factor=cash_factor.reshape(shape[:-1])[()],
        leverage_factor=leverage_factor.reshape(shape[:-1])[()],
    )
