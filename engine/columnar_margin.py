"""Orders of accounts that hold or open shorts, cut to buying power and leverage, all configurations at once.

Steps 4 to 6 of `chipwire.engine.auction` for orders of which nothing but money is in doubt. A margin is a sum over
instruments, each of whose parts depends on its own shares alone, so that the search of `columnar_cash` finds the common
factor. Where a margin is so near to zero that only the exact sum tells, nothing is said: the full search is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chipwire.engine import rules
from chipwire.engine.columnar_cash import afford
from chipwire.engine.market import Floats
from chipwire.engine.rules import Flags

TIE = 1e-9
"""Of the money involved: nearer to a bound than this, only the exact sum tells."""
_TOLERANCE = 1e-9  # of equity, as in `auction`

Change = Callable[[Floats, NDArray[np.intp]], Floats]
"""Cash that fills bring, by instrument; shares (instruments, columns) and the lane of each column."""


@dataclass(frozen=True)
class Accounts:
    """Some configurations before an auction, base currency.

    Attributes
    ----------
    held : ndarray, shape (the venue's instruments, lanes)
    cash, long_elsewhere, short_elsewhere, leverage : ndarray, shape (lanes,)
    mark, minimum, step : ndarray, shape (the venue's instruments, 1)
        Value of one share at the auction; lots.
    """

    held: Floats
    cash: Floats
    long_elsewhere: Floats
    short_elsewhere: Floats
    leverage: Floats
    mark: Floats
    minimum: Floats
    step: Floats

    def value(self, shares: Floats, lanes: NDArray[np.intp]) -> Floats:
        """Return what is held after `shares` are filled, by instrument; a short is negative."""
        after = self.held[:, lanes] + shares
        return np.where(after == 0.0, 0.0, after * self.mark)


@dataclass(frozen=True)
class Cut:
    """What is left of orders.

    Attributes
    ----------
    filled, afforded : ndarray, shape (instruments, lanes)
        After all steps; before the leverage is looked at.
    sure : ndarray of bool, shape (lanes,)
        Where this is the answer.
    """

    filled: Floats
    afforded: Floats
    sure: Flags


def fill_in_full(at: Accounts, orders: Floats, cash: Floats, change: Callable[[Floats], Floats]) -> Flags:
    """Return which accounts surely have the cash, the buying power and the leverage for all of their orders.

    Parameters
    ----------
    orders : ndarray, shape (instruments, lanes)
        Signed shares that could fill, were there money.
    cash : ndarray, shape (lanes,)
        After all of them.
    """
    after = at.held + orders
    value = np.where(after == 0.0, 0.0, after * at.mark)
    long = at.long_elsewhere + rules.sum_rows(np.maximum(value, 0.0))
    short = at.short_elsewhere + rules.sum_rows(np.maximum(-value, 0.0))
    tie = TIE * (np.abs(cash) + long + short)
    sure: Flags = cash - short > tie
    sure &= at.leverage * (cash + long - short) - (long + short) > tie
    covers = (orders > 0.0) & (at.held < 0.0)
    if np.count_nonzero(covers):
        # They fill before anything opens: what a short sale brings does not pay for them.
        sales = np.where(orders < 0.0, np.maximum(orders, np.minimum(-at.held, 0.0)), 0.0)
        closing = np.where(covers, np.minimum(orders, -at.held), sales)
        sure &= at.cash + rules.sum_rows(change(closing)) > tie
    return sure


def cut_to_margin(at: Accounts, orders: Floats, change: Change) -> Cut:
    """Cut what opens positions to what buying power and leverage allow.

    Parameters
    ----------
    orders : ndarray, shape (instruments, lanes)
        Signed shares that could fill, were there money.
    """
    every: NDArray[np.intp] = np.arange(orders.shape[1])
    sign = np.sign(orders)
    closing = sign * np.where(at.held * sign < 0.0, np.minimum(np.abs(orders), np.abs(at.held)), 0.0)
    tie = TIE * (np.abs(at.cash) + at.long_elsewhere + at.short_elsewhere)
    tie += TIE * rules.sum_rows(np.abs(at.value(orders, every)))

    def power(shares: Floats, lanes: NDArray[np.intp]) -> Floats:
        return change(shares, lanes) - np.maximum(-at.value(shares, lanes), 0.0)

    def room(shares: Floats, lanes: NDArray[np.intp]) -> Floats:
        value, allowed = at.value(shares, lanes), at.leverage[lanes]
        return allowed * (change(shares, lanes) + value) - np.abs(value)

    covered = ~(closing > 0.0).any(axis=0) | (at.cash + rules.sum_rows(change(closing, every)) > tie)
    purchases = np.maximum(orders - closing, 0.0)
    rest = orders - purchases
    bought, first = _scale(rest, purchases, at.cash - at.short_elsewhere, power, at, tie)
    afforded = rest + bought
    equity = at.cash + at.long_elsewhere - at.short_elsewhere
    start = at.leverage * equity - at.long_elsewhere - at.short_elsewhere
    start += _TOLERANCE * np.abs(equity + rules.sum_rows(at.value(closing, every) + change(closing, every)))
    opened, second = _scale(closing, afforded - closing, start, room, at, tie)
    return Cut(closing + opened, afforded, covered & first & second)


def _scale(fixed: Floats, legs: Floats, start: Floats, part: Change, at: Accounts, tie: Floats) -> tuple[Floats, Flags]:
    """Scale signed legs by one factor, as little as keeps ``start`` and the sum of all parts at 0 or above."""
    every: NDArray[np.intp] = np.arange(legs.shape[1])
    whole, none = part(fixed + legs, every), part(fixed, every)
    margin, least = start + rules.sum_rows(whole), start + rules.sum_rows(none)
    some = legs.any(axis=0)
    sure: Flags = ~some | (margin > tie) | ((margin < -tie) & (np.abs(least) > tie))
    scaled = np.where(some & (margin < -tie) & (least < -tie), 0.0, legs)
    lanes = np.flatnonzero(some & (margin < -tie) & (least > tie))
    if len(lanes):
        sign = np.sign(legs[:, lanes])

        def pay(shares: Floats, of: NDArray[np.intp] | None) -> Floats:
            own = np.arange(len(lanes)) if of is None else of
            there = lanes[own]
            taken: Floats = none[:, there] - part(fixed[:, there] + sign[:, own] * shares, there)
            return taken

        cut, found = afford(np.abs(legs[:, lanes]), least[lanes], at.minimum, at.step, pay)
        scaled[:, lanes] = sign * cut
        sure[lanes] = found
    return scaled, sure
