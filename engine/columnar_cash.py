"""Purchases of many configurations cut to the cash they have, many factors tried at once.

The answer is the one that `chipwire.engine.auction` searches factor by factor: the largest common factor at which
the purchases, each cut to lots, can be paid. Here a handful of factors around the likely one is tried for all
configurations in one go. Where that does not settle it beyond doubt, the configuration is left to the full search.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chipwire.engine import rules
from chipwire.engine.market import Floats
from chipwire.engine.rules import Flags

_ROUNDS = 8
_AHEAD = np.array([0.0, 1.0, 2.0])[:, None, None]  # places after the likely factor that a round looks at
_BACK = np.array([0.0, -1.0])[:, None, None]  # and before the lowest factor known to be too much
_TIE = 1e-9  # of the cash involved: nearer to zero than this, only the exact sum tells


def afford(
    buys: Floats,
    available: Floats,
    minimum: Floats,
    step: Floats,
    pay: Callable[[Floats, NDArray[np.intp] | None], Floats],
) -> tuple[Floats, Flags]:
    """Cut purchases to what can be paid.

    Parameters
    ----------
    buys : ndarray, shape (instruments, lanes)
        Unsigned shares, each a tradable number, which cost more than there is.
    available : ndarray, shape (lanes,)
        Cash with the proceeds of the auction's sales.
    minimum, step : ndarray, shape (instruments, 1)
    pay : callable
        Cash that purchases take, given with the lanes that their columns belong to (None: all, in order).

    Returns
    -------
    cut : ndarray
        In the shape of `buys`.
    sure : ndarray of bool, shape (lanes,)
        Where `cut` is the answer.
    """
    needed = pay(buys, None)
    search = _Search(buys, available, needed, minimum, step)
    lanes = np.arange(buys.shape[1])
    for number in range(_ROUNDS):
        tried = search.places(lanes, number)
        shares = rules.lots_below(tried[:, None] * buys[:, lanes], minimum, step)
        paid = pay(shares.transpose(1, 0, 2).reshape(len(buys), -1), np.tile(lanes, len(tried)))
        lanes = lanes[search.narrow(lanes, tried, available[lanes] - paid.reshape(tried.shape))]
        if not len(lanes):
            break
    search.sure[lanes] = False
    return rules.lots_below(search.low * buys, minimum, step), search.sure


class _Search:
    """A factor that fits and one that does not for each lane, and whether no other lies between them."""

    def __init__(self, buys: Floats, available: Floats, needed: Floats, minimum: Floats, step: Floats) -> None:
        self._lots = buys / step
        # A purchase that is none gains its next lot beyond any factor.
        self._per_lot = np.where(self._lots > 0.0, self._lots, 1e-300)
        self._needed, self._tie = needed, _TIE * (np.abs(available) + needed)
        self.low, self._high = np.zeros(len(available)), np.ones(len(available))
        self._base = available / needed
        self.sure: Flags = (available > self._tie) & (available - needed < -self._tie)

    def places(self, lanes: NDArray[np.intp], number: int) -> Floats:
        """Return factors worth trying, (tries, lanes), each where some purchase gains a lot."""
        lots, per_lot = self._lots[:, lanes], self._per_lot[:, lanes]
        tried = (rules.whole_below(self._base[lanes] * lots) + _AHEAD) / per_lot
        if number:
            back = (rules.whole_below(self._high[lanes] * lots) + _BACK) / per_lot
            tried = np.concatenate([tried, back])
        found: Floats = np.clip(tried.reshape(-1, len(lanes)), 0.0, 1.0)
        return found

    def narrow(self, lanes: NDArray[np.intp], tried: Floats, left: Floats) -> Flags:
        """Take what is left at each factor; return which lanes need another round."""
        self.sure[lanes] &= ~(np.abs(left) <= self._tie[lanes]).any(axis=0)
        fits = left >= 0.0
        low = np.maximum(self.low[lanes], np.where(fits, tried, 0.0).max(axis=0))
        high = np.minimum(self._high[lanes], np.where(fits, 1.0, tried).min(axis=0))
        least = np.where(fits, left, np.inf).min(axis=0)
        ahead = ((rules.whole_below(low * self._lots[:, lanes]) + 1.0) / self._per_lot[:, lanes]).min(axis=0)
        self.low[lanes], self._high[lanes] = low, high
        # What is left at the best factor buys about so much more; the next round looks around there.
        self._base[lanes] = np.minimum(low + np.where(np.isfinite(least), least, 0.0) / self._needed[lanes], high)
        again: Flags = (ahead < high) & self.sure[lanes]
        return again
