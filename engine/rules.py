"""Every rule of the market as a pure function, the same for both engines; what trading costs is in `costs`.

All functions take scalars and NumPy arrays alike, elementwise with broadcasting; scalars give a NumPy scalar.
Shares are whole numbers held as float64, bought positive, sold negative; prices in local currency.
Facts (lots, limits, ticks) come from the dated tables of `chipwire.data`; nothing here knows a venue.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

_GUARD = 1e-9  # a value this near below a whole number is that number, missed by binary fractions
_ULPS = 2.0**-49  # of a value: 8 to 16 units of its last place


class Reason(IntEnum):
    """Why an order was not filled in full; the values are stored in arrays, the names in results."""

    NONE = 0
    NO_BAR = 1  # the venue has no bar of the instrument for the session
    SUSPENDED = 2  # a bar without volume
    LIMIT_UP = 3  # nobody sells at the upper limit
    LIMIT_DOWN = 4  # nobody buys at the lower limit
    SHORT_FORBIDDEN = 5
    LOCKED_T1 = 6  # bought in the same session
    PARTICIPATION = 7  # more than the allowed share of the bar's volume
    LOT = 8  # not a tradable number of shares
    CASH = 9
    LEVERAGE = 10
    NO_FX = 11  # no exchange rate into the base currency
    BAND = 12  # an opening smaller than the run's band, so that no order was sent


def floats(value: npt.ArrayLike) -> Floats:
    """Return `value` as float64."""
    return np.asarray(value, dtype=np.float64)


def ordered_sum(values: npt.ArrayLike) -> Floats:
    """Sum over the last axis strictly from left to right.

    NumPy's own sum pairs terms by array length and layout; in a fixed order, neither instruments that do not
    trade (zeros) nor configurations beside each other change a bit. An empty axis gives 0, a NaN gives NaN.
    """
    array = floats(values)
    if array.shape[-1] == 0:
        return np.zeros(array.shape[:-1])[()]
    return np.add.accumulate(array, axis=-1)[..., -1]


def sum_rows(values: Floats) -> Floats:
    """Sum an array (instruments, configurations) over its first axis, to the bits of `ordered_sum`.

    NumPy adds row by row where a row has several numbers that lie side by side, and pairs terms otherwise, from
    eight on.
    """
    if len(values) < 8 or (values.shape[1] > 1 and values.flags.c_contiguous):
        total: Floats = np.add.reduce(values, axis=0)
    else:
        total = np.add.accumulate(values, axis=0)[-1]
    return total


def whole_below(value: npt.ArrayLike) -> Floats:
    """Round down, but a value within 1e-9 and 8 to 16 ulp below a whole number is that number. NaN stays NaN.

    Quotients such as 0.3 / 0.1 miss their whole number by a few ulp; the caller means 3, not 2.
    """
    array = floats(value)
    raised = np.abs(array)
    raised *= _ULPS  # in place: the columnar engine rounds at every step
    raised += _GUARD
    raised += array
    return np.floor(raised)


def round_half_up(value: npt.ArrayLike, tick: npt.ArrayLike) -> Floats:
    """Round a price half up to a multiple of the tick, the nearest float64 to the decimal result.

    Parameters
    ----------
    value, tick : array_like
        Same currency. A NaN tick leaves the value as it is; a NaN value stays NaN.

    Notes
    -----
    Source: the trading rules of Shanghai round limit prices half up to the tick; 71.988 gives 71.99.
    """
    price, unit = floats(value), floats(tick)
    per_one = np.rint(1.0 / unit)
    # Dividing by the whole number of ticks in 1 gives 71.99; multiplying by 0.01 gives 71.99000000000001.
    decimal = (per_one >= 1.0) & (np.abs(per_one * unit - 1.0) < _GUARD)
    ticks = whole_below(np.where(decimal, price * per_one, price / unit) + 0.5)
    rounded = np.where(decimal, ticks / np.where(decimal, per_one, 1.0), ticks * unit)
    return np.where(np.isnan(unit), price, rounded)[()]


def limit_prices(previous_close: npt.ArrayLike, fraction: npt.ArrayLike, tick: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the lowest and the highest price of the day.

    Parameters
    ----------
    previous_close : array_like
        Unadjusted, but adjusted on ex-dates; rounded to the tick first: feeds say 1384.930054 for 1384.93.
    fraction : array_like
        0.1 for 10%; NaN where the venue has no limit that day.
    tick : array_like

    Returns
    -------
    down, up : ndarray
        Half up to the tick; minus and plus infinity where there is no limit or no previous close.
    """
    base, part = np.broadcast_arrays(round_half_up(previous_close, tick), floats(fraction))
    free = np.isnan(base) | np.isnan(part)
    down = np.where(free, -np.inf, round_half_up(base * (1.0 - part), tick))
    up = np.where(free, np.inf, round_half_up(base * (1.0 + part), tick))
    return down[()], up[()]


def wanted_shares(
    weight: npt.ArrayLike, equity: npt.ArrayLike, known_price: npt.ArrayLike, fx: npt.ArrayLike
) -> Floats:
    """Return the whole shares that a weight of equity stands for, toward zero, before lots.

    Parameters
    ----------
    weight : array_like
        Part of equity, negative for a short; NaN where there is no target.
    equity : array_like
        Base currency; an account without equity (0 or less) wants nothing, whatever the weight.
    known_price : array_like
        Local currency, as known at the decision.
    fx : array_like
        Base currency for one unit of local currency.

    Returns
    -------
    ndarray
        weight x equity / (known_price x fx); NaN (no order) without a target, a positive price or rate.
    """
    price, rate = floats(known_price), floats(fx)
    value = floats(weight) * np.maximum(floats(equity), 0.0)
    cost = price * rate
    known = (price > 0.0) & (rate > 0.0) & np.isfinite(cost)
    exact = value / np.where(known, cost, np.nan)
    return (np.sign(exact) * whole_below(np.abs(exact)))[()]


def order_shares(
    wanted: npt.ArrayLike, held: npt.ArrayLike, buy_minimum: npt.ArrayLike, buy_step: npt.ArrayLike
) -> Floats:
    """Return the order that brings a holding nearest to what is wanted in tradable numbers of shares.

    The wanted holding is cut toward zero to `buy_step`, the difference from the held one by `tradable`.

    Parameters
    ----------
    wanted, held : array_like
        Shares, negative for a short. A NaN wanted means no order, not an exit.
    buy_minimum, buy_step : array_like
        See `tradable`.
    """
    target = floats(wanted)
    step = floats(buy_step)
    target = np.sign(target) * whole_below(np.abs(target) / step) * step
    order = target - floats(held)
    return tradable(np.where(np.isnan(order), 0.0, order), held, held, buy_minimum, buy_step)


def tradable(
    shares: npt.ArrayLike,
    held: npt.ArrayLike,
    closable: npt.ArrayLike,
    buy_minimum: npt.ArrayLike,
    buy_step: npt.ArrayLike,
) -> Floats:
    """Cut an order toward zero to what the venue's lots allow.

    The part of an order that opens or adds is a multiple of the step and at least the minimum. The part that
    closes is a multiple of the step, with or without the whole odd remainder (which goes only as a whole),
    and at least the minimum unless it takes everything. An order through zero closes all first, then opens.

    Parameters
    ----------
    shares : array_like
        Signed order.
    held : array_like
        Signed holding before it.
    closable : array_like
        Signed part of the holding that may be closed now; less than `held` under a share lock.
    buy_minimum, buy_step : array_like
        100 and 100 on Shanghai's main board, 200 and 1 on STAR, the lot twice in Hong Kong, else 1 and 1.

    Notes
    -----
    Source: the trading rules of Shanghai (an odd lot is sold in one order), its special rules for STAR (at
    least 200, a rest under 200 in one order), and Hong Kong's board lots.
    """
    size, sign = np.abs(shares), np.sign(shares)
    position, available = floats(held), np.abs(closable)
    minimum, step = floats(buy_minimum), floats(buy_step)
    closing = position * sign < 0.0
    balance = np.where(closing, available, 0.0)
    odd = balance - np.floor(balance / step) * step
    asked = np.minimum(size, balance)
    even = np.floor(asked / step) * step
    with_odd = np.where(asked >= odd, odd + np.floor((asked - odd) / step) * step, 0.0)
    part = np.maximum(even, with_odd)
    part = np.where((part >= minimum) | (part == odd), part, 0.0)
    close = np.where(asked >= balance, balance, part)
    opens = np.where(closing & (close < np.abs(position)), 0.0, lots_below(size - close, minimum, step))
    cut: Floats = sign * (close + opens)
    return cut[()]


def lots_below(size: npt.ArrayLike, buy_minimum: npt.ArrayLike, buy_step: npt.ArrayLike) -> Floats:
    """Cut an unsigned number of shares down to a multiple of the step; 0 where that is under the minimum."""
    step = floats(buy_step)
    cut = whole_below(floats(size) / step) * step
    return np.where(cut >= floats(buy_minimum), cut, 0.0)[()]


def sellable(held: npt.ArrayLike, bought_today: npt.ArrayLike, locked: npt.ArrayLike) -> Floats:
    """Return how many held shares may be sold now.

    Parameters
    ----------
    held, bought_today : array_like
        Shares; a short holding has none to sell.
    locked : array_like of bool
        Whether shares bought in a session can be sold from the next session on only (Shanghai, T+1).
    """
    long = np.maximum(floats(held), 0.0)
    return np.where(locked, np.maximum(long - floats(bought_today), 0.0), long)[()]


def fill_price(
    auction_price: npt.ArrayLike,
    sign: npt.ArrayLike,
    slippage_bps: npt.ArrayLike,
    impact_coefficient: npt.ArrayLike,
    volume_share: npt.ArrayLike,
    limit_down: npt.ArrayLike,
    limit_up: npt.ArrayLike,
) -> Floats:
    """Return the price paid or received: the auction's, worsened by slippage, never beyond the day's limit.

    Parameters
    ----------
    auction_price : array_like
        NaN gives NaN.
    sign : array_like
        1 buys, -1 sells, 0 gives the auction price itself.
    slippage_bps : array_like
        Basis points of the auction price.
    impact_coefficient : array_like
        Square-root impact: the part of the price by which an order of the bar's whole volume moves it.
    volume_share : array_like
        Filled shares over the bar's volume, at least 0; NaN (volume unknown) has no impact.
    limit_down, limit_up : array_like

    Notes
    -----
    The square root of the share of volume is the usual empirical law of market impact: Toth et al. (2011),
    "Anomalous price impact and the critical nature of liquidity in financial markets".
    """
    price, side = floats(auction_price), floats(sign)
    share = floats(volume_share)
    impact = floats(impact_coefficient) * np.sqrt(np.where(np.isnan(share), 0.0, share))
    worse = price * (1.0 + side * (floats(slippage_bps) / 1e4 + impact))
    # The limit only cuts slippage: a fill is never better than the auction, even where data break a limit.
    bought = np.minimum(worse, np.maximum(floats(limit_up), price))
    sold = np.maximum(worse, np.minimum(floats(limit_down), price))
    return np.where(side > 0.0, bought, np.where(side < 0.0, sold, price))[()]


def blocked(
    sign: npt.ArrayLike,
    auction_price: npt.ArrayLike,
    volume: npt.ArrayLike,
    limit_down: npt.ArrayLike,
    limit_up: npt.ArrayLike,
    tick: npt.ArrayLike,
    short_forbidden: npt.ArrayLike = False,
) -> Codes:
    """Return the `Reason` for which an order cannot be filled at all, `Reason.NONE` where it can.

    Parameters
    ----------
    sign : array_like
        1 buys, -1 sells; 0 is never blocked.
    auction_price : array_like
        NaN: the session has no bar.
    volume : array_like
        Shares of the session's bar; 0: suspended. NaN: unknown, not suspended.
    limit_down, limit_up, tick : array_like
        A price within half a tick of its limit is at the limit; a NaN tick allows no tolerance.
    short_forbidden : array_like of bool
        Whether the order could only open a short where the venue or the borrow list has none.

    Returns
    -------
    ndarray of int8
        The first that holds of: no bar, suspended, limit, short.
    """
    side, price = floats(sign), floats(auction_price)
    half_tick = np.nan_to_num(floats(tick)) / 2.0
    conditions = [
        side == 0,
        np.isnan(price),
        floats(volume) == 0.0,
        (side > 0) & (price >= floats(limit_up) - half_tick),
        (side < 0) & (price <= floats(limit_down) + half_tick),
        (side < 0) & np.asarray(short_forbidden, dtype=bool),
    ]
    reasons = [Reason.NONE, Reason.NO_BAR, Reason.SUSPENDED, Reason.LIMIT_UP, Reason.LIMIT_DOWN]
    return np.select(conditions, [np.int8(r) for r in (*reasons, Reason.SHORT_FORBIDDEN)], np.int8(0))[()]
