"""Measures of a signal against what prices did after it: rank correlation, quantiles, turnover, and their errors.

A *panel* has a row for each day and a column for each instrument, NaN where there is nothing. Errors take account of
time: what happens on one day is one cluster, and days that share a part of their returns are allowed to move together
(Bartlett weights). A measure that its input cannot give is NaN, never a guess; how many observations there were is
always said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Days = NDArray[np.intp]

LEAST_OBSERVATIONS = 5
"""Below so many observations there is no mean."""
LEAST_DAYS = 10
"""Below so many days with an observation a mean has no error."""
LEAST_ACROSS = 5
"""Below so many instruments a day has no cross-section."""
CONFIDENCE = 0.95
_LEAST_SPANS = 4


@dataclass(frozen=True)
class Estimate:
    """A mean with its error.

    Attributes
    ----------
    mean, se, t : float
        `t` is ``mean / se``.
    low, high : float
        Band of `CONFIDENCE`, by Student's t. Degrees of freedom are ``days - 1``, or fewer where days are dependent:
        1.5 for each stretch of ``lags + 1`` days, as many as Bartlett's weights leave.
    n, days : int
        Observations, and the days on which they lie.
    """

    mean: float
    se: float
    t: float
    low: float
    high: float
    n: int
    days: int


def clustered_mean(values: Floats, day: Days, lags: int) -> Estimate:
    """Return the mean of `values` with an error that lets days, and neighbouring days, be dependent.

    With s(d) the sum of a day's deviations from the mean, the variance is ``sum over j of w(j) s(d) s(d - j) / n**2``
    times ``G / (G - 1)``, with Bartlett's weights ``w(j) = 1 - |j| / (lags + 1)`` and G days. With no lags these are
    errors clustered by day; with one value a day those of W. Newey and K. West, Econometrica 55 (1987); else those of
    J. Driscoll and A. Kraay, Review of Economics and Statistics 80 (1998).

    Parameters
    ----------
    values : ndarray, shape (n,)
        NaN are left out.
    day : ndarray of int, shape (n,)
        Numbers of days; days without a value count as days on which nothing deviates.
    lags : int
        Days up to which two are dependent.

    Returns
    -------
    Estimate
        `mean` is NaN below `LEAST_OBSERVATIONS`; `se`, `t` and the band are NaN below `LEAST_DAYS`, when the values
        span fewer than four stretches of ``lags + 1`` days, or do not vary.
    """
    there = np.isfinite(values)
    return _estimate([(values[there], day[there], 1.0)], lags)


def clustered_difference(
    first: Floats, first_day: Days, second: Floats, second_day: Days, lags: int
) -> Estimate:  # fmt: skip
    """Return the mean of `first` less that of `second`, with errors as in `clustered_mean`; both share the days."""
    parts = []
    for values, day, sign in ((first, first_day, 1.0), (second, second_day, -1.0)):
        there = np.isfinite(values)
        parts.append((values[there], day[there], sign))
    return _estimate(parts, lags)


def _estimate(parts: list[tuple[Floats, Days, float]], lags: int) -> Estimate:
    """Add up means with their signs; each value deviates from the mean of its own part."""
    n = sum(len(values) for values, _, _ in parts)
    every = np.concatenate([day for _, day, _ in parts])
    days = len(np.unique(every))
    if min(len(values) for values, _, _ in parts) < LEAST_OBSERVATIONS:
        return _bare(math.nan, n, days)
    first, span = int(every.min()), int(every.max() - every.min()) + 1
    mean, scores, largest = 0.0, np.zeros(span), 0.0
    for values, day, sign in parts:
        middle = float(values.mean())
        mean += sign * middle
        scores += np.bincount(day - first, weights=sign * (values - middle), minlength=span) / len(values)
        largest = max(largest, float(np.abs(values).max()))
    if days < LEAST_DAYS or span < _LEAST_SPANS * (lags + 1):
        return _bare(mean, n, days)
    variance = float(scores @ scores)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(scores[lag:] @ scores[:-lag])
    se = math.sqrt(max(variance, 0.0) * days / (days - 1))
    if se <= 1e-12 * largest:  # rounding alone
        return _bare(mean, n, days)
    freedom = min(days - 1, math.floor(1.5 * span / (lags + 1)))
    wide = student_quantile((1 + CONFIDENCE) / 2, freedom) * se
    return Estimate(mean, se, mean / se, mean - wide, mean + wide, n, days)


def _bare(mean: float, n: int, days: int) -> Estimate:
    return Estimate(mean, math.nan, math.nan, math.nan, math.nan, n, days)


def student_quantile(p: float, freedom: int) -> float:
    """Return the quantile of Student's t, to 1e-3 from 5 degrees of freedom on and 1e-5 from 20 on.

    The expansion about the normal quantile of M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    x: float = NormalDist().inv_cdf(p)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return x + math.fsum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def lags_for(horizon: int, days: int) -> int:
    """Return over how many days the means of a series of overlapping returns are let depend on each other.

    Twice the horizon, since Bartlett's weights fall to nothing at the last lag, and at least the rule of W. Newey and
    K. West, Review of Economic Studies 61 (1994): ``4 (days / 100) ** (2 / 9)``.
    """
    return max(2 * horizon, int(4 * float(max(days, 1) / 100) ** (2 / 9)))


def rank_correlations(signal: Floats, returns: Floats) -> Floats:
    """Return Spearman's rank correlation across the instruments of each day.

    Parameters
    ----------
    signal, returns : ndarray, shape (days, instruments)
        Instruments with a NaN in either are left out; equal values share the mean of their ranks.

    Returns
    -------
    ndarray, shape (days,)
        NaN below `LEAST_ACROSS` instruments, or where one of the two does not vary.
    """
    x, y = _ranks_of_both(signal, returns)
    x, y = x - _row_mean(x)[:, None], y - _row_mean(y)[:, None]
    across = np.nansum(x * x, axis=1) * np.nansum(y * y, axis=1)
    enough = (np.isfinite(x).sum(axis=1) >= LEAST_ACROSS) & (across > 0)
    return np.asarray(np.nansum(x * y, axis=1) / np.sqrt(np.where(enough, across, np.nan)), dtype=np.float64)


def rank_products(signal: Floats, returns: Floats) -> Floats:
    """Return products whose mean is Spearman's rank correlation over all days and instruments together.

    Ranks are taken over the whole panel and brought to mean 0 and variance 1.

    Returns
    -------
    ndarray, shape (days, instruments)
        NaN where either is, and everywhere when one of the two does not vary.
    """
    there = np.isfinite(signal) & np.isfinite(returns)
    found = np.full(signal.shape, np.nan)
    ranks = [pd.Series(part[there]).rank().to_numpy(dtype=np.float64) for part in (signal, returns)]
    if there.any() and all(part.std() > 0 for part in ranks):
        x, y = ((part - part.mean()) / part.std() for part in ranks)
        found[there] = x * y
    return found


def quantiles_by_day(signal: Floats, returns: Floats, count: int) -> NDArray[np.intp]:
    """Return the quantile of each instrument's signal among those of its day: 0 the lowest, -1 for none.

    Only instruments with a signal and a return are ranked; a day with fewer than `LEAST_ACROSS` has no quantiles.
    Equal signals share a quantile.
    """
    ranks, _ = _ranks_of_both(signal, returns)
    across = np.isfinite(ranks).sum(axis=1, keepdims=True)
    return _quantile(ranks, np.where(across >= LEAST_ACROSS, across, 0), count)


def quantiles_of_all(signal: Floats, returns: Floats, count: int) -> NDArray[np.intp]:
    """Return the quantile of each signal among all of the panel; see `quantiles_by_day`."""
    both = np.where(np.isfinite(returns), signal, np.nan)
    ranks = np.reshape(pd.Series(both.ravel()).rank().to_numpy(dtype=np.float64), both.shape)
    return _quantile(ranks, np.isfinite(ranks).sum(), count)


def _quantile(ranks: NDArray[Any], across: Any, count: int) -> NDArray[np.intp]:
    size = np.broadcast_to(np.asarray(across, dtype=np.float64), ranks.shape)
    ranked = np.isfinite(ranks) & (size > 0)
    found = np.full(ranks.shape, -1, dtype=np.intp)
    # The middle of a rank lies within its quantile, not on a bound.
    found[ranked] = np.floor((ranks[ranked] - 0.5) / size[ranked] * count + 1e-9).astype(np.intp)
    return found


def turnover_by_day(signal: Floats) -> Floats:
    """Return how much of the signal is another than the day before: 0 the same, 1 all of it.

    Each day is brought to ``sum(|signal|) = 1`` (a missing one is 0), so that fading alone is no change; then
    ``sum(|today - yesterday|) / 2``.

    Returns
    -------
    ndarray, shape (days - 1,)
        NaN where one of the two days has no signal.
    """
    size = np.nansum(np.abs(signal), axis=1, keepdims=True)
    part = np.nan_to_num(signal) / np.where(size > 0, size, np.nan)
    return np.asarray(np.abs(np.diff(part, axis=0)).sum(axis=1) / 2, dtype=np.float64)


def _ranks_of_both(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Rank along rows what has both."""
    both = np.isfinite(x) & np.isfinite(y)
    first, second = (
        pd.DataFrame(np.where(both, part, np.nan)).rank(axis=1).to_numpy(dtype=np.float64) for part in (x, y)
    )
    return first, second


def _row_mean(values: Floats) -> Floats:
    count = np.isfinite(values).sum(axis=1)
    return np.asarray(np.nansum(values, axis=1) / np.where(count > 0, count, 1), dtype=np.float64)
