"""Stationary block bootstrap: what a run's figures could have been had the same kind of days come in another order.

Blocks of days of random length, geometric with a given mean, are drawn with replacement, wrapping at the end, so that
what depends on yesterday stays beside it. The mean length comes from the returns themselves.

References
----------
- D. N. Politis, J. P. Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89 (1994).
- D. N. Politis, H. White, "Automatic Block-Length Selection for the Dependent Bootstrap", Econometric Reviews 23
  (2004), with A. Patton's correction, Econometric Reviews 28 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], dict[str, Floats]]
"""From days (draws, days) or (draws, days, series) to figures by name, shape (draws,)."""

_AT_ONCE = 500_000
"""Days resampled together: what they take stays near the processor."""
_MOST_MISSING = 0.05


@dataclass(frozen=True)
class Interval:
    """A figure and where it could have been.

    Attributes
    ----------
    value : float
        As measured.
    low, high : float
        Ends of the interval; NaN where more than one draw in twenty could not give the figure.
    """

    value: float
    low: float
    high: float


def block_length(returns: Floats) -> float:
    """Return the mean length of blocks, in days, that suits the dependence of the returns; at least 1.

    ``(2 * G**2 / D)**(1/3) * n**(1/3)`` with ``G = sum w(k) |k| c(k)``, ``D = 2 * (sum w(k) c(k))**2`` over lags
    -M..M, autocovariances c and the flat-top window w: 1 up to M / 2, falling to 0 at M (Patton, Politis and White
    2009). M is twice the first lag from which max(5, log10 n) autocorrelations in a row lie within
    ``2 * sqrt(log10(n) / n)``. At most ``ceil(min(3 * sqrt(n), n / 3))``.

    Parameters
    ----------
    returns : ndarray, shape (n,)

    1 for fewer than ten returns or no variation; NaN for any NaN.
    """
    n = len(returns)
    if not np.isfinite(returns).all():
        return math.nan
    away = returns - returns.mean() if n else returns
    if n < 10 or not float(away @ away) > 1e-30 * n:
        return 1.0
    row = max(5, int(math.log10(n)))
    most = min(math.ceil(math.sqrt(n)) + row, n - 1)
    covariance = np.array([float(away[lag:] @ away[: n - lag]) / n for lag in range(most + 1)])
    small = np.abs(covariance / covariance[0]) < 2 * math.sqrt(math.log10(n) / n)
    starts = [lag for lag in range(1, most - row + 1) if small[lag : lag + row].all()]
    reach = min(2 * starts[0], most) if starts else most
    lags = np.arange(1, reach + 1)
    weights = np.minimum(1.0, 2 * (1 - lags / reach)) * covariance[1 : reach + 1]
    slope, level = 2 * float((weights * lags).sum()), covariance[0] + 2 * float(weights.sum())
    if not abs(level) > 1e-12 * covariance[0]:
        return 1.0
    length = (slope**2 / level**2) ** (1 / 3) * n ** (1 / 3)
    return float(min(max(length, 1.0), math.ceil(min(3 * math.sqrt(n), n / 3))))


def resampled_places(n: int, length: float, draws: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Return places of the days of resampled runs, shape (draws, n).

    Each day follows the day before it in the run (the first follows the last), or begins a new block anywhere with
    probability ``1 / length``.
    """
    anywhere = random.integers(n, size=(draws, n))
    begins = random.random((draws, n)) < 1 / length
    begins[:, 0] = True
    here = np.arange(n)
    since = np.maximum.accumulate(np.where(begins, here, 0), axis=1)
    start = np.take_along_axis(anywhere, since, axis=1)
    places: NDArray[np.intp] = (start + here - since) % n
    return places


def resampled(days: Floats, length: float, draws: int, seed: int) -> Iterator[Floats]:
    """Yield resampled runs, some at a time, shape (some, n) or (some, n, series); in all so many draws.

    Parameters
    ----------
    days : ndarray, shape (n,) or (n, series)
        Series keep together: what happened on one day stays on one day.
    """
    random = np.random.default_rng(seed)
    size = max(1, _AT_ONCE // len(days))
    for start in range(0, draws, size):
        yield days[resampled_places(len(days), length, min(size, draws - start), random)]


def intervals(
    days: Floats, statistic: Statistic, *, length: float, draws: int = 2_000, level: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Return every figure of a statistic with its percentile interval.

    The interval runs between the ``(1 - level) / 2`` quantiles of the figures of resampled runs. Percentiles are taken
    rather than studentised or accelerated ones because they hold for any figure, stay inside the figure's own range
    (a drawdown is never above zero), and a figure's interval is the transformed one of what it is computed from; what
    they cover on returns that depend on each other is in the tests.

    Parameters
    ----------
    days : ndarray, shape (n,) or (n, series)
    statistic : callable
    length : float
        Mean block, days; see `block_length`.

    Raises
    ------
    BadParameter
        No days, no draws, or a level outside (0, 1).
    """
    if not len(days) or draws < 1 or not 0 < level < 1:
        raise BadParameter("bootstrap", f"{len(days)} days, {draws} draws, level {level}", "some, and 0 < level < 1")
    found: dict[str, list[Floats]] = {}
    for part in resampled(days, length, draws, seed):
        for name, values in statistic(part).items():
            found.setdefault(name, []).append(values)
    measured = statistic(days[None])
    tail = (1 - level) / 2
    return {name: _interval(float(measured[name][0]), np.concatenate(parts), tail) for name, parts in found.items()}


def _interval(value: float, drawn: Floats, tail: float) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if math.isnan(value) or len(known) < (1 - _MOST_MISSING) * len(drawn):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(known, (tail, 1 - tail))
    return Interval(value, float(low), float(high))
