"""What each holding of a run made, from its fills and the positions at its days' ends; base currency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]
Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class Holdings:
    """The fills of a run, instrument by instrument, each with what was made until the next; base currency.

    Attributes
    ----------
    before, after : ndarray
        Shares, signed.
    split : ndarray of bool
        Shares moved by a split.
    price, fx : ndarray
        Made by what is held after the fill, until the next fill or the end.
    closing, opening : ndarray
        Costs of the part of the fill that goes against what was held, and of the rest: negative.
    """

    number: Whole
    instrument: NDArray[np.object_]
    venue: NDArray[np.object_]
    currency: NDArray[np.object_]
    before: Whole
    after: Whole
    split: Flags
    price: Floats
    fx: Floats
    closing: Floats
    opening: Floats

    @property
    def opens(self) -> Flags:
        """Whether the fill begins a position: from nothing, or by turning one."""
        opens: Flags = (self.after != 0) & (np.sign(self.before) * np.sign(self.after) <= 0)
        return opens


def holdings_of(equity: pd.DataFrame, fills: pd.DataFrame, positions: pd.DataFrame, capital: float) -> Holdings:
    """Follow every holding of a run from fill to fill, valued at each fill and at each day's end.

    Parameters
    ----------
    equity, fills, positions : DataFrame
        The run's rows of these tables; ``day`` and ``session`` hold `datetime.date`.
    capital : float
        Base currency at the start.
    """
    day = _fill_days(fills)
    order, is_fill, last = _order(fills, positions, day)
    ordered = fills.iloc[order[is_fill]]
    shares = np.zeros(len(order), dtype=np.int64)
    shares[is_fill] = ordered["shares"]
    after = _within(np.cumsum(shares), last)
    before = after - shares
    reached = np.concatenate([_floats(fills, "auction_price"), _floats(positions, "price")])[order]
    rate = np.concatenate([_floats(fills, "fx"), _floats(positions, "fx")])[order]
    split = np.zeros(len(order), dtype=np.bool_)
    split[is_fill] = _is_split(ordered)
    paid = np.zeros(len(order))
    paid[is_fill] = _paid_out(equity, fills, day, capital)[order[is_fill]]
    left = reached.copy()  # the price from which the next change counts
    for row in np.flatnonzero(split):  # the value stays; each share is worth another part of it
        reached[row] = left[row - 1]
        worth = before[row] * reached[row] - paid[row] / rate[row]
        left[row] = worth / after[row] if after[row] else 0.0

    next_price, next_rate = (np.append(part[1:], 0.0)[: len(part)] for part in (reached, rate))
    held = np.where(last, 0, after)
    stay = np.maximum(np.cumsum(is_fill) - 1, 0)  # of each row: the fill that it follows
    price = _sums(stay, held * (next_price - left) * next_rate, len(fills))
    fx = _sums(stay, held * left * (next_rate - rate), len(fills))
    closing, opening = _costs(ordered, before[is_fill])
    names = {name: ordered[name].to_numpy(dtype=object) for name in ("instrument", "venue", "currency")}
    number = ordered["fill_no"].to_numpy(dtype=np.int64)
    return Holdings(
        number, **names, before=before[is_fill], after=after[is_fill], split=split[is_fill], price=price, fx=fx,
        closing=closing, opening=opening,
    )  # fmt: skip


def _order(fills: pd.DataFrame, positions: pd.DataFrame, day: Days) -> tuple[NDArray[np.intp], Flags, Flags]:
    """Put fills and day's ends in order, instrument by instrument; say which are fills and which the last of one."""
    codes, _ = pd.factorize(pd.concat([fills["instrument"], positions["instrument"]]), sort=True)
    is_fill = np.arange(len(codes)) < len(fills)
    days = np.concatenate([day, positions["day"].to_numpy(dtype="datetime64[D]")])
    number = np.concatenate([_floats(fills, "fill_no"), np.zeros(len(positions))])
    order = np.lexsort((number, ~is_fill, days, codes))  # a day's fills stand before its end
    codes = codes[order]
    last = np.append(codes[1:] != codes[:-1], True)[: len(codes)]
    return order, is_fill[order], last


def _costs(fills: pd.DataFrame, before: Whole) -> tuple[Floats, Floats]:
    """Return the costs of what each fill closes and of what it opens, by shares: negative."""
    shares = _floats(fills, "shares")
    fees = _floats(fills, "commission") + _floats(fills, "duty") + _floats(fills, "levies")
    slippage = shares * (_floats(fills, "price") - _floats(fills, "auction_price"))
    costs = np.where(_is_split(fills), 0.0, -(fees + slippage) * _floats(fills, "fx"))
    against = np.where(shares * before < 0, np.minimum(np.abs(shares), np.abs(before)), 0.0)
    part = np.divide(against, np.abs(shares), out=np.zeros(len(shares)), where=shares != 0)
    return costs * part, costs * (1 - part)


def _sums(place: NDArray[np.intp], amounts: Floats, size: int) -> Floats:
    return np.bincount(place, weights=amounts, minlength=size)[:size].astype(np.float64)


def _floats(frame: pd.DataFrame, name: str) -> Floats:
    return frame[name].to_numpy(dtype=np.float64)


def _is_split(fills: pd.DataFrame) -> Flags:
    return (fills["auction"] == "action").to_numpy(dtype=np.bool_)


def _fill_days(fills: pd.DataFrame) -> Days:
    """Return the UTC day to which the run's books count each fill.

    That of the auction. What happens before a session belongs to the session, also where that is the evening before.
    """
    at = fills["auction_at"].to_numpy(dtype="datetime64[D]")
    days: Days = np.maximum(at, fills["session"].to_numpy(dtype="datetime64[D]"))
    return days


def _within(running: Whole, last: Flags) -> Whole:
    """Turn a running sum over all rows into one that starts anew after each row that is `last`."""
    if not len(running):
        return running
    starts = np.append(0, np.flatnonzero(last)[:-1] + 1)
    carried = np.append(0, running[np.flatnonzero(last)[:-1]])
    own: Whole = running - np.repeat(carried, np.diff(np.append(starts, len(running))))
    return own


def _paid_out(equity: pd.DataFrame, fills: pd.DataFrame, day: Days, capital: float) -> Floats:
    """Return what the parts of shares left by splits brought in cash, base currency; 0 for all other fills.

    The books have no column for it: it is what the day's cash changed by less everything that is known. Several such
    splits of one day have equal parts of it.
    """
    paid = np.zeros(len(fills))
    whole = _is_split(fills)
    broken = np.flatnonzero(whole & (_floats(fills, "realized") != 0))
    if not len(broken):
        return paid
    days = equity["day"].to_numpy(dtype="datetime64[D]")
    fees = _floats(fills, "commission") + _floats(fills, "duty") + _floats(fills, "levies")
    flow = -(_floats(fills, "shares") * _floats(fills, "price") + fees) * _floats(fills, "fx")
    place = np.searchsorted(days, day)
    there = ~whole & (place < len(days))
    traded = np.bincount(place[there], weights=flow[there], minlength=len(days))
    change = np.diff(_floats(equity, "cash"), prepend=capital)
    rest = change - traded - _floats(equity, "dividends") + _floats(equity, "borrow")
    inside = broken[place[broken] < len(days)]
    many = np.bincount(place[inside], minlength=len(days))
    paid[inside] = rest[place[inside]] / many[place[inside]]
    return paid
