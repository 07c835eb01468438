"""Purchases of many configurations cut to the cash they have, all configurations at once.

The answer is the one that `chipwire.engine.auction` searches factor by factor: the largest common factor at which
the purchases, each cut to lots, can be paid. What each purchase costs depends on its own lots alone. So a window of
some lots above a likely factor is priced in one go, the lots of all purchases are put into the order in which a
growing factor gains them, and the running sum tells the last one that can be paid. Where that does not settle it
beyond doubt, the configuration is left to the full search.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chipwire.engine import rules
from chipwire.engine.market import Floats
from chipwire.engine.rules import Flags

# Lots of each purchase that a round looks at; few configurations need more than two rounds.
_WINDOWS = (8, 16, 32, 64, 128, 192, 192, 192)
_TIE = 1e-9  # of the cash involved: nearer to zero than this, only the exact sum tells
_MOST_LOTS = 1e8  # with more, two purchases may gain a lot at factors that rounding does not tell apart

Pay = Callable[[Floats, NDArray[np.intp] | None], Floats]


def afford(buys: Floats, available: Floats, minimum: Floats, step: Floats, pay: Pay) -> tuple[Floats, Flags]:
    """Cut purchases to what can be paid.

    Parameters
    ----------
    buys : ndarray, shape (instruments, lanes)
        Unsigned shares, each a tradable number, which cost more than there is.
    available : ndarray, shape (lanes,)
        Cash with the proceeds of the auction's sales.
    minimum, step : ndarray, shape (instruments, 1)
    pay : callable
        Cash that each purchase takes, in the shape of the purchases, given with the lanes that their columns belong
        to (None: all, in order). More shares of an instrument never take less.

    Returns
    -------
    cut : ndarray
        In the shape of `buys`.
    sure : ndarray of bool, shape (lanes,)
        Where `cut` is the answer.
    """
    search = _Search(buys, available, minimum, step, pay)
    lanes: NDArray[np.intp] = np.flatnonzero(search.sure)
    for window in _WINDOWS:
        if not len(lanes):
            break
        lanes = search.narrow(lanes, window)
    search.sure[lanes] = False
    return rules.lots_below(search.low * buys, minimum, step), search.sure


class _Search:
    """A factor that fits and one that does not for each lane, until no other lies between them."""

    def __init__(self, buys: Floats, available: Floats, minimum: Floats, step: Floats, pay: Pay) -> None:
        self._lots, self._step, self._pay, self._available = buys / step, step, pay, available
        self._per_lot = np.where(self._lots > 0.0, self._lots, 0.5)  # what is not bought gains no lot up to factor 1
        self._first = np.ceil(minimum / step)  # lots of the smallest purchase
        self._most = np.maximum.reduce(self._lots, axis=0)
        self._needed = rules.sum_rows(pay(buys, None))
        self._tie = _TIE * (np.abs(available) + self._needed)
        (self.low, self._fits), self._fails = np.zeros((2, len(available))), np.ones(len(available))
        self._guess = self._first_guess(buys, minimum)
        self.sure: Flags = (available > self._tie) & (available - self._needed < -self._tie)
        self.sure &= self._most < _MOST_LOTS

    def _first_guess(self, buys: Floats, minimum: Floats) -> Floats:
        """Return where the answer should be: lots cut off leave cash, which buys a little more."""
        part = np.clip(self._available / self._needed, 0.0, 1.0)
        cost = self._pay(rules.lots_below(part * buys, minimum, self._step), None)
        guess: Floats = part + (self._available - rules.sum_rows(cost)) / self._needed
        return guess

    def narrow(self, lanes: NDArray[np.intp], window: int) -> NDArray[np.intp]:
        """Look at the next `window` lots of every purchase; return the lanes that need another round."""
        # Begin a little lower than the guess: a window that begins too high tells nothing.
        start = np.maximum(self._guess[lanes] - window / 4.0 / self._most[lanes], self._fits[lanes])
        lots = self._lots[:, lanes]
        count = np.empty((len(lots), window + 2, len(lanes)))
        begun = rules.whole_below(start * lots)
        count[:, 0] = np.where(begun >= self._first, begun, 0.0)
        np.add(np.maximum(begun, self._first - 1.0)[:, None], np.arange(1.0, window + 2.0)[:, None], out=count[:, 1:])
        factor = count[:, 1:] / self._per_lot[:, None, lanes]
        factor[factor > 1.0] = np.inf
        cost = self._cost(np.minimum(count[:, :-1], lots[:, None]), lanes)
        left = self._available[lanes] - rules.sum_rows(cost[:, 0])
        beyond = np.minimum.reduce(factor[:, -1], axis=0)  # from here on lots are missing in the window
        gained = factor[:, :-1].reshape(-1, len(lanes)).T
        order = np.argsort(gained, axis=1)
        order += np.arange(0, gained.size, gained.shape[1])[:, None]
        more = (cost[:, 1:] - cost[:, :-1]).reshape(-1, len(lanes)).T
        spent = np.add.accumulate(more.take(order), axis=1)
        return self._take(lanes, start, left, gained.take(order), spent, beyond)

    def _cost(self, count: Floats, lanes: NDArray[np.intp]) -> Floats:
        """Return what numbers of lots cost, both (instruments, numbers, lanes)."""
        shares = (count * self._step[:, :, None]).reshape(len(count), -1)
        return self._pay(shares, np.tile(lanes, count.shape[1])).reshape(count.shape)

    def _take(
        self, lanes: NDArray[np.intp], start: Floats, left: Floats, gained: Floats, spent: Floats, beyond: Floats
    ) -> NDArray[np.intp]:
        """Find the last factor that fits; arrays (lanes,) at the start and (lanes, factors) from there on."""
        rows, tie = np.arange(len(lanes)), self._tie[lanes]
        over = (left[:, None] < spent) & (gained <= beyond[:, None])
        first = over.argmax(axis=1)
        fails = over[rows, first]
        high = np.where(fails, gained[rows, first], np.minimum(beyond, 1.0))
        # Purchases that gain a lot at one factor do so together.
        before = np.count_nonzero(gained < high[:, None], axis=1) - 1
        low = np.where(before >= 0, gained[rows, before], start)
        rest = np.where(before >= 0, left - spent[rows, before], left)
        found = (left >= 0.0) & fails
        self.low[lanes] = low
        self.sure[lanes] = ~found | ((rest > tie) & (left - spent[rows, first] < -tie))
        again = np.flatnonzero(~found)
        if len(again):
            self._move(lanes[again], start[again], left[again], low[again], rest[again])
        return lanes[again]

    def _move(self, lanes: NDArray[np.intp], start: Floats, left: Floats, low: Floats, rest: Floats) -> None:
        """Choose where the next round looks, after one that began too high or ended too low."""
        fits = left >= 0.0
        self._fits[lanes] = least = np.where(fits, low, self._fits[lanes])
        self._fails[lanes] = most = np.where(fits, self._fails[lanes], start)
        guess = np.where(fits, low + rest / self._needed[lanes], start + left / self._needed[lanes])
        other = np.where(fits, least, (least + most) / 2.0)
        self._guess[lanes] = np.where((guess > least) & (guess < most), guess, other)
