"""The measures of a run's trades: what closing brought, how much was traded, and how much more could have been.

A measure that its input cannot give is NaN, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chipwire.engine import measures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CROWDED = 0.05
"""Part of the orders that may be cut at `capacity`: one in twenty."""


def closing_fills(instruments: Sequence[str], shares: Sequence[int]) -> NDArray[np.bool_]:
    """Say which fills, in their order, go against the position held before them.

    Parameters
    ----------
    instruments : sequence of str
        Of each fill.
    shares : sequence of int
        Signed, bought positive; share changes by splits belong in the sequence.
    """
    held: dict[str, int] = {}
    closing = np.zeros(len(shares), dtype=np.bool_)
    for number, (instrument, bought) in enumerate(zip(instruments, shares, strict=True)):
        before = held.get(instrument, 0)
        closing[number] = before * bought < 0
        held[instrument] = before + bought
    return closing


def hit_rate(realized: Floats) -> float:
    """Return the share of closing fills with a profit after costs; a zero is no hit; NaN without any."""
    return float(np.mean(realized > 0)) if len(realized) else math.nan


def profit_factor(realized: Floats) -> float:
    """Return the sum of profits over the size of the sum of losses; NaN without a loss.

    Of closing fills, after costs; quantstats takes days instead.
    """
    gains, losses = float(realized[realized > 0].sum()), float(-realized[realized < 0].sum())
    return float(measures.ratio(np.asarray(gains), np.asarray(losses)))


def turnover(traded: Floats, equity: Floats, years: float) -> float:
    """Return how many times a year the portfolio was turned over; `traded` holds each fill's value.

    See `measures.turnover`; NaN without equity.
    """
    mean = float(np.mean(equity)) if len(equity) else 0.0
    return float(measures.turnover(np.asarray(np.abs(traded).sum()), np.asarray(mean), years))


def capacity(capital: float, participation: float, shares: Floats, volume: Floats, crowded: float = CROWDED) -> float:
    """Return the starting capital at which the part `crowded` of the run's orders would be cut for want of volume.

    An order of the part s of its bar's volume reaches the largest part allowed, p, when capital, and with it every
    order, is p / s times as large. The result is `capital` times the quantile `crowded` of p / s over all orders (0.5:
    the median order), in base currency.

    It assumes that orders grow in proportion to the capital (no lots, the same weights), that the bars' volume stays
    as it was, and that the orders move no price: an upper bound.

    Parameters
    ----------
    capital : float
        Of the run at its start.
    participation : float
        Largest part of a bar's volume that an order may take.
    shares : ndarray
        Of each order that was filled, as filled; where this limit cut it, as ordered, so that p / s is below 1.
    volume : ndarray
        Shares of the bar; orders in bars of unknown or no volume are left out.

    Returns
    -------
    float
        NaN without an order or with a `participation` that is not known.
    """
    known = (volume > 0) & (shares != 0)
    if not known.any() or not participation > 0:
        return math.nan
    multiples = participation * volume[known] / np.abs(shares[known])
    return float(capital * np.quantile(multiples, crowded))
