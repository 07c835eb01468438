"""How sure a Sharpe ratio is: its standard error, the probability that the true one is above a bar, the days it takes.

Everything here is *per period* (per day, for the daily returns of a run) and not annualised; a year's figure is the
day's times ``sqrt(252)``. Skewness and kurtosis are those of the sample (divided by n), and kurtosis is not "excess":
a normal distribution has 3.

References
----------
- A. W. Lo, "The Statistics of Sharpe Ratios", Financial Analysts Journal 58 (2002).
- E. Mertens, "Comments on Variance of the IID Estimator in Lo (2002)", University of Basel (2002).
- D. H. Bailey, M. López de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15 (2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Moments:
    """What the formulas need to know of a series of returns.

    Attributes
    ----------
    n : int
        Number of returns.
    sharpe : float
        Mean over standard deviation (n - 1), per period.
    skew : float
        Third standardised moment.
    kurtosis : float
        Fourth standardised moment, 3 for a normal distribution.
    """

    n: int
    sharpe: float
    skew: float
    kurtosis: float


def moments(returns: Floats) -> Moments:
    """Return the moments of returns, shape (n,).

    NaN for fewer than three returns, no variation, or any NaN among them.
    """
    n = len(returns)
    with np.errstate(invalid="ignore"):
        away = returns - np.mean(returns) if n else returns
        spread = float(np.sqrt(np.mean(away**2))) if n else math.nan
    if n < 3 or not spread > 1e-15:
        return Moments(n, math.nan, math.nan, math.nan)
    unit = away / spread
    sharpe = float(np.mean(returns)) / (spread * math.sqrt(n / (n - 1)))
    return Moments(n, sharpe, float(np.mean(unit**3)), float(np.mean(unit**4)))


def sharpe_error(of: Moments) -> float:
    """Return the standard error of a Sharpe ratio of independent returns of any distribution.

    ``sqrt((1 - skew * SR + (kurtosis - 1) / 4 * SR**2) / (n - 1))`` (Mertens 2002; with a normal distribution it is
    that of Lo 2002). NaN where the moments are, or where they are none that any distribution has.
    """
    spread = 1 - of.skew * of.sharpe + (of.kurtosis - 1) / 4 * of.sharpe**2
    return math.sqrt(spread / (of.n - 1)) if of.n > 1 and spread > 0 else math.nan


def sharpe_error_dependent(returns: Floats, lags: int | None = None) -> float:
    """Return the standard error of a Sharpe ratio of returns that depend on one another.

    The Sharpe ratio moves with each return by ``u - SR / 2 * (u**2 - 1)``, where u is the return in standard
    deviations off its mean (Lo 2002, delta method); the error is the root of the long-run variance of that, by
    Bartlett weights ``1 - k / (lags + 1)`` on its autocovariances, over n. With no lags and but for n against n - 1
    it is `sharpe_error`.

    Parameters
    ----------
    returns : ndarray, shape (n,)
    lags : int, optional
        ``floor(4 * (n / 100) ** (2 / 9))`` by default (W. K. Newey, K. D. West, Review of Economic Studies 61, 1994).

    NaN for fewer than three returns, no variation, or any NaN.
    """
    n = len(returns)
    if math.isnan(moments(returns).sharpe):
        return math.nan
    lags = math.floor(4 * (n / 100) ** (2 / 9)) if lags is None else lags
    away = returns - np.mean(returns)
    spread = np.sqrt(np.mean(away**2))
    unit, sharpe = away / spread, np.mean(returns) / spread
    moves = unit - sharpe / 2 * (unit**2 - 1)
    total = float(moves @ moves) / n
    for lag in range(1, min(lags, n - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(moves[lag:] @ moves[:-lag]) / n
    return math.sqrt(max(total, 0.0) / n)


def probabilistic_sharpe(of: Moments, bar: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio is above a bar, given what was seen.

    ``Phi((SR - bar) / sharpe_error)`` (Bailey and López de Prado 2012).

    Parameters
    ----------
    bar : float
        Per period.

    NaN where `sharpe_error` or the bar is.
    """
    error = sharpe_error(of)
    return math.nan if math.isnan(error) or math.isnan(bar) else _NORMAL.cdf((of.sharpe - bar) / error)


def minimum_track_record(of: Moments, bar: float = 0.0, confidence: float = 0.95) -> float:
    """Return how many returns it takes until such a Sharpe ratio is above a bar with that confidence.

    ``1 + (1 - skew * SR + (kurtosis - 1) / 4 * SR**2) * (z / (SR - bar))**2`` (Bailey and López de Prado
    2012). Infinite where the Sharpe ratio is not above the bar; NaN where the moments are.
    """
    error = sharpe_error(of)
    if math.isnan(error) or math.isnan(bar):
        return math.nan
    if of.sharpe <= bar:
        return math.inf
    spread = error**2 * (of.n - 1)
    return 1 + spread * (_NORMAL.inv_cdf(confidence) / (of.sharpe - bar)) ** 2
