"""The measures of equity curves, each as one function of one curve or of many at once.

A *curve* is the equity at UTC day ends with the starting capital in front. The last axis is time; the axes before it
are configurations, and results have those axes. A row gives the same figure alone or among others, as long as the
arrays are contiguous. Returns and ratios are plain fractions (0.05 is 5 %), the risk-free rate and the target
return are zero, and a measure that its input cannot give is NaN, never a guess.
"""

from __future__ import annotations

import math
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAYS_A_YEAR = 365.25
TRADING_DAYS_A_YEAR = 252
TAIL = 0.05
"""Part of the days that value at risk and expected shortfall speak of: one in twenty."""
_A_YEAR = math.sqrt(TRADING_DAYS_A_YEAR)


def years_between(first: date, last: date) -> float:
    """Return the calendar years from the end of day `first` to the end of day `last`: days / 365.25."""
    return (last - first).days / DAYS_A_YEAR


def total_return(curves: Floats) -> Floats:
    """Return ``last / first - 1``; NaN for fewer than two values or a first value that is not positive."""
    if curves.shape[-1] < 2:
        return np.full(curves.shape[:-1], np.nan)
    first = curves[..., 0]
    return np.asarray(curves[..., -1] / np.where(first > 0, first, np.nan) - 1, dtype=np.float64)


def annual_return(curves: Floats, years: float) -> Floats:
    """Return the compound growth a year, ``(last / first) ** (1 / years) - 1``.

    Runs of less than a year are annualised by the same formula. NaN where `total_return` is NaN, where
    `years` is not positive, or where the curve ends at or below zero.
    """
    growth = 1 + total_return(curves)
    if not years > 0:
        return np.full(growth.shape, np.nan)
    with np.errstate(over="ignore"):
        return np.asarray(np.where(growth > 0, growth, np.nan) ** (1 / years) - 1, dtype=np.float64)


def daily_returns(curves: Floats) -> Floats:
    """Return ``curve[i] / curve[i - 1] - 1``, one value fewer than the curve; NaN after a value <= 0."""
    before = np.where(curves[..., :-1] > 0, curves[..., :-1], np.nan)
    return np.asarray(curves[..., 1:] / before - 1, dtype=np.float64)


def annual_volatility(returns: Floats) -> Floats:
    """Return the sample standard deviation (n - 1) of daily returns times ``sqrt(252)``.

    UTC days with an auction at any venue are taken as trading days; with three venues there are about 260 a
    year, which understates the figure by under 2 %. NaN for fewer than two returns or any NaN among them.
    """
    return np.asarray(_deviation(returns) * _A_YEAR, dtype=np.float64)


def sharpe_ratio(returns: Floats) -> Floats:
    """Return ``mean / standard deviation (n - 1) * sqrt(252)`` of daily returns; risk-free rate zero.

    NaN for fewer than two returns, no variation, or any NaN. W. F. Sharpe, "The Sharpe Ratio", Journal of
    Portfolio Management 21 (1994).
    """
    return ratio(_mean(returns), _deviation(returns)) * _A_YEAR


def sortino_ratio(returns: Floats) -> Floats:
    """Return ``mean / downside deviation * sqrt(252)`` of daily returns against a target of zero.

    The downside deviation is ``sqrt(mean(min(r, 0) ** 2))`` over all returns, not only the negative ones. NaN
    without a negative return, for fewer than two returns, or any NaN. F. Sortino and L. Price, "Performance
    Measurement in a Downside Risk Framework", Journal of Investing 3 (1994).
    """
    downside = np.sqrt(_mean(np.minimum(returns, 0.0) ** 2))
    return ratio(_mean(returns), downside) * _A_YEAR


def value_at_risk(returns: Floats, level: float = TAIL) -> Floats:
    """Return the historical value at risk: the daily return that the part `level` of the days falls short of.

    A fraction, below 0 for a loss, as drawdowns are. The quantile lies at place ``(n - 1) * level`` of the sorted
    returns, counted from 0, between two of them in proportion (type 7 of R. J. Hyndman and Y. Fan, "Sample Quantiles
    in Statistical Packages", American Statistician 50 (1996)). quantstats' figure is another one: the quantile of a
    normal distribution. NaN for fewer than ``1 / level`` returns or any NaN.
    """
    if returns.shape[-1] < 1 / level:
        return np.full(returns.shape[:-1], np.nan)
    return np.asarray(np.quantile(returns, level, axis=-1), dtype=np.float64)


def expected_shortfall(returns: Floats, level: float = TAIL) -> Floats:
    """Return the historical expected shortfall: the mean of the daily returns up to `value_at_risk`.

    A fraction, below 0 for a loss: the mean of the ``floor((n - 1) * level) + 1`` lowest returns. P. Artzner and
    others, "Coherent Measures of Risk", Mathematical Finance 9 (1999), weigh the last of them by what is missing of
    ``n * level``; the difference vanishes with n. NaN for fewer than ``1 / level`` returns or any NaN.
    """
    days = returns.shape[-1]
    if days < 1 / level:
        return np.full(returns.shape[:-1], np.nan)
    lowest = np.sort(returns, axis=-1)[..., : int((days - 1) * level) + 1]
    known = ~np.isnan(returns).any(axis=-1)
    return np.asarray(np.where(known, np.ascontiguousarray(lowest).mean(axis=-1), np.nan), dtype=np.float64)


def skewness(returns: Floats) -> Floats:
    """Return the third central moment of daily returns over the 3/2 power of the second.

    Both are means over n (Fisher's g1). pandas, quantstats and spreadsheets give the estimate that is unbiased for a
    normal distribution, ``g1 * sqrt(n * (n - 1)) / (n - 2)``. NaN for fewer than three returns, no variation or any
    NaN. D. N. Joanes and C. A. Gill, "Comparing Measures of Sample Skewness and Kurtosis", The Statistician 47
    (1998).
    """
    return _moment(returns, 3)


def excess_kurtosis(returns: Floats) -> Floats:
    """Return the fourth central moment of daily returns over the square of the second, less 3.

    Both are means over n (Fisher's g2); a normal distribution has 0. pandas and quantstats give
    ``((n + 1) * g2 + 6) * (n - 1) / ((n - 2) * (n - 3))``. NaN and source as in `skewness`.
    """
    return np.asarray(_moment(returns, 4) - 3, dtype=np.float64)


def drawdowns(curves: Floats) -> Floats:
    """Return each value over the running maximum, less 1: fractions <= 0, as long as the curves."""
    return np.asarray(curves / np.maximum.accumulate(curves, axis=-1) - 1, dtype=np.float64)


def max_depth(curves: Floats) -> Floats:
    """Return the deepest drawdown, a fraction <= 0; 0 for a curve that never falls."""
    return np.asarray(drawdowns(curves).min(axis=-1), dtype=np.float64)


def calmar_ratio(yearly: Floats, depth: Floats) -> Floats:
    """Return annual return over the size of the maximum drawdown; NaN without a drawdown.

    Here over the whole run, where T. W. Young, "Calmar Ratio", Futures 20 (1991), takes the last 36 months.
    """
    return ratio(yearly, np.abs(depth))


def turnover(traded: Floats, mean_equity: Floats, years: float) -> Floats:
    """Return how many times a year the portfolio was turned over: ``traded / 2 / mean equity / years``.

    `traded` is the sum of |traded value|: a purchase and a sale of everything count as one. NaN for a mean
    equity or a length that is not positive.
    """
    mean = np.where(mean_equity > 0, mean_equity, np.nan)
    return np.asarray(traded / 2 / mean / (years if years > 0 else math.nan), dtype=np.float64)


def mean_exposure(gross: Floats, equity: Floats) -> Floats:
    """Return the mean over days of position value over equity; days with equity <= 0 are left out.

    With gross values, sums of sizes, it is the mean leverage; with net values, longs less shorts, the net exposure.
    NaN where no day is left.
    """
    held = equity > 0
    days = held.sum(axis=-1)
    part = np.divide(gross, equity, out=np.zeros(equity.shape), where=held)
    return np.asarray(part.sum(axis=-1) / np.where(days > 0, days, np.nan), dtype=np.float64)


def time_in_market(gross: Floats) -> Floats:
    """Return the share of days that end with a position: gross value above zero; NaN without a day."""
    if not gross.shape[-1]:
        return np.full(gross.shape[:-1], np.nan)
    return np.asarray((gross > 0).mean(axis=-1), dtype=np.float64)


def max_leverage(gross: Floats, equity: Floats) -> Floats:
    """Return the highest gross position value over equity at a day's end.

    Days with equity <= 0 are left out; NaN where there is no other. Prices move after an order, so that it can lie
    above the leverage that orders are held to.
    """
    held = equity > 0
    part = np.divide(gross, equity, out=np.full(equity.shape, -np.inf), where=held)
    highest = part.max(axis=-1, initial=-np.inf)
    return np.asarray(np.where(held.any(axis=-1), highest, np.nan), dtype=np.float64)


def ratio(above: Floats, below: Floats) -> Floats:
    """Return ``above / below``; NaN where `below` is not more than 1e-15."""
    # A deviation of rounding errors alone would give a ratio of millions.
    return np.asarray(above / np.where(below > 1e-15, below, np.nan), dtype=np.float64)


def _mean(returns: Floats) -> Floats:
    if returns.shape[-1] < 2:
        return np.full(returns.shape[:-1], np.nan)
    return np.asarray(np.mean(returns, axis=-1), dtype=np.float64)


def _deviation(returns: Floats) -> Floats:
    if returns.shape[-1] < 2:
        return np.full(returns.shape[:-1], np.nan)
    return np.asarray(np.std(returns, axis=-1, ddof=1), dtype=np.float64)


def _moment(returns: Floats, power: int) -> Floats:
    if returns.shape[-1] < 3:
        return np.full(returns.shape[:-1], np.nan)
    apart = returns - np.mean(returns, axis=-1, keepdims=True)
    variance = np.mean(apart**2, axis=-1)
    # As in `ratio`: a spread of rounding errors alone is no spread.
    spread = np.where(variance > 1e-30, variance, np.nan)
    return np.asarray(np.mean(apart**power, axis=-1) / spread ** (power / 2), dtype=np.float64)
