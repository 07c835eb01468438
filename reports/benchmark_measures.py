"""The measures of a run against one benchmark: regression with Newey-West errors, tracking, capture.

Pairing returns
---------------
The equity of a run is known at the ends of the UTC days on which any of its venues traded, a benchmark at its own
sessions. A close belongs to the UTC day of its session, in Shanghai and Hong Kong as in New York. `common_days`
keeps the days on which the benchmark has a newer session than on the last day kept, and takes the returns of both from
each kept day to the next: they span the same time, all of the run's return is in them, and a day without a session of
the benchmark neither counts as a return of zero nor is dropped with what the run made on it. Days before the
benchmark's first close and after its last one are left out.

Closes that are not at the same time
------------------------------------
Hong Kong closes 13 hours before New York: what happens in between is in the one's return today and in the other's
tomorrow, which draws a daily beta and correlation towards zero (M. Scholes and J. Williams, "Estimating Betas from
Nonsynchronous Data", Journal of Financial Economics 5 (1977)). ``weekly_beta`` is therefore given beside the daily one:
over a week hours weigh little. Where it is clearly higher, part of the alpha against a benchmark that rose is beta.

All returns are plain fractions, simple, in base currency; the risk-free rate is zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from chipwire.engine.measures import TRADING_DAYS_A_YEAR, annual_volatility, daily_returns, sharpe_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Days = NDArray[np.datetime64]

ENOUGH_PAIRS = 20
"""Pairs of returns below which a regression is not given: its errors would be worth nothing."""


@dataclass(frozen=True)
class Coefficient:
    """An estimate with its standard error, its ratio to it, and the two-sided probability of such a ratio by luck.

    The probability is that of a normal distribution, as is usual with Newey-West errors. All NaN where there is no
    estimate; `t` and `p` where the error is zero.
    """

    value: float
    error: float
    t: float
    p: float


@dataclass(frozen=True)
class BenchmarkMeasures:
    """A run against a benchmark; fractions.

    Attributes
    ----------
    pairs, weeks : int
        Returns that were paired, see the top of this module.
    lags, weekly_lags : int
        Of the Newey-West errors, see `newey_west_lags`.
    alpha : Coefficient
        A year: the daily constant times 252. empyrical compounds it instead, ``(1 + daily) ** 252 - 1``.
    beta, weekly_beta : Coefficient
        Slope; tested against 0.
    correlation : float
        Pearson's, of daily returns; NaN for fewer than two pairs or without variation.
    tracking_error, information_ratio : float
        See `tracking_error` and `information_ratio`.
    up_capture, down_capture : float
        See `capture`.
    """

    pairs: int
    lags: int
    alpha: Coefficient
    beta: Coefficient
    weeks: int
    weekly_lags: int
    weekly_beta: Coefficient
    correlation: float
    tracking_error: float
    information_ratio: float
    up_capture: float
    down_capture: float


def compare(days: Sequence[date], curve: Floats, sessions: Days, values: Floats) -> BenchmarkMeasures:
    """Compute every measure of a run against a benchmark.

    Parameters
    ----------
    days : sequence of date
        The day before the run, then its UTC days.
    curve : ndarray, shape (n,)
        The run's equity at their ends.
    sessions : ndarray of datetime64[D], shape (n,)
        The benchmark's last session at their ends; NaT before the first.
    values : ndarray, shape (n,)
        The benchmark's value then; NaN before the first.
    """
    kept = common_days(sessions, values)
    own, other = daily_returns(curve[kept]), daily_returns(values[kept])
    lags = newey_west_lags(len(own))
    alpha, beta = regression(own, other, lags)
    ends = _week_ends(days, kept)
    own_weeks, other_weeks = daily_returns(curve[ends]), daily_returns(values[ends])
    weekly_lags = newey_west_lags(len(own_weeks))
    _, weekly_beta = regression(own_weeks, other_weeks, weekly_lags)
    year = TRADING_DAYS_A_YEAR
    return BenchmarkMeasures(
        pairs=len(own),
        lags=lags,
        alpha=Coefficient(alpha.value * year, alpha.error * year, alpha.t, alpha.p),
        beta=beta,
        weeks=len(own_weeks),
        weekly_lags=weekly_lags,
        weekly_beta=weekly_beta,
        correlation=correlation(own, other),
        tracking_error=tracking_error(own, other),
        information_ratio=information_ratio(own, other),
        up_capture=capture(own, other, other > 0),
        down_capture=capture(own, other, other < 0),
    )


def common_days(sessions: Days, values: Floats) -> NDArray[np.intp]:
    """Return the places of the days from each to the next of which returns are paired; parameters as in `compare`.

    Those at which the benchmark has a newer session than at the one before, the first one with a value included.
    """
    known = np.isfinite(values) & ~np.isnat(sessions)
    places = np.flatnonzero(known)
    newer = np.ones(len(places), dtype=np.bool_)
    newer[1:] = sessions[places][1:] > sessions[places][:-1]
    return places[newer]


def _week_ends(days: Sequence[date], kept: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first place kept and the last one of each ISO week; the first and the last week may be shorter."""
    weeks = [days[place].isocalendar()[:2] for place in kept]
    last = [n for n in range(len(kept)) if n + 1 == len(kept) or weeks[n] != weeks[n + 1]]
    return kept[sorted({0, *last})] if len(kept) else kept


def newey_west_lags(pairs: int) -> int:
    """Return the lags of the errors: ``floor(4 * (n / 100) ** (2 / 9))``.

    The rule of thumb after W. K. Newey and K. D. West, "Automatic Lag Selection in Covariance Matrix Estimation",
    Review of Economic Studies 61 (1994); 5 for a year and a half of days.
    """
    return math.floor(4 * math.pow(pairs / 100, 2 / 9))


def regression(own: Floats, other: Floats, lags: int) -> tuple[Coefficient, Coefficient]:
    """Regress `own` on a constant and `other` by least squares; return the constant and the slope.

    Standard errors allow for changing variance and for autocorrelation up to `lags`: Bartlett weights
    ``1 - l / (lags + 1)``, no correction for small samples (statsmodels' ``cov_type="HAC"``, R's ``NeweyWest`` with
    ``prewhite = FALSE, adjust = FALSE``). W. K. Newey and K. D. West, "A Simple, Positive Semi-Definite,
    Heteroskedasticity and Autocorrelation Consistent Covariance Matrix", Econometrica 55 (1987).

    Parameters
    ----------
    own, other : ndarray, shape (n,)
    lags : int

    Returns
    -------
    tuple of Coefficient
        NaN for fewer than `ENOUGH_PAIRS` pairs, a NaN among them, or `other` without variation.
    """
    count = len(own)
    if count < ENOUGH_PAIRS or not np.isfinite(own + other).all() or not np.std(other) > 1e-15:
        return (Coefficient(math.nan, math.nan, math.nan, math.nan),) * 2
    # Around its mean the regressor is at right angles to the constant, so that each has a sum of its own.
    middle = float(np.mean(other))
    apart = other - middle
    slope = float(apart @ own / (apart @ apart))
    rest = own - np.mean(own) - slope * apart
    scores = np.column_stack([rest, rest * apart])
    spread = scores.T @ scores
    for lag in range(1, min(lags, count - 1) + 1):
        shifted = scores[lag:].T @ scores[:-lag]
        spread += (1 - lag / (lags + 1)) * (shifted + shifted.T)
    bread = np.diag([1 / count, 1 / float(apart @ apart)])
    covariance = bread @ spread @ bread
    # The constant at `other` = 0 is the mean less the slope times the middle.
    back = np.array([1.0, -middle])
    constant = float(np.mean(own)) - slope * middle
    return (
        _coefficient(constant, float(back @ covariance @ back)),
        _coefficient(slope, float(covariance[1, 1])),
    )


def _coefficient(value: float, variance: float) -> Coefficient:
    error = math.sqrt(max(variance, 0.0))
    t = value / error if error > 1e-15 else math.nan
    return Coefficient(value, error, t, math.erfc(abs(t) / math.sqrt(2)))


def correlation(own: Floats, other: Floats) -> float:
    """Return Pearson's correlation; NaN for fewer than two pairs or without variation."""
    if len(own) < 2 or not np.std(own) > 1e-15 or not np.std(other) > 1e-15:
        return math.nan
    return float(np.corrcoef(own, other)[0, 1])


def tracking_error(own: Floats, other: Floats) -> float:
    """Return the standard deviation (n - 1) of the daily difference times ``sqrt(252)``.

    NaN for fewer than two pairs. R. C. Grinold and R. N. Kahn, "Active Portfolio Management" (1999).
    """
    return float(annual_volatility(own - other))


def information_ratio(own: Floats, other: Floats) -> float:
    """Return mean over standard deviation (n - 1) of the daily difference, times ``sqrt(252)``.

    empyrical's ``excess_sharpe`` is not annualised, quantstats' neither; R's PerformanceAnalytics takes the difference
    of the compound annual returns above. NaN for fewer than two pairs or no variation. T. H. Goodwin, "The Information
    Ratio", Financial Analysts Journal 54 (1998).
    """
    return float(sharpe_ratio(own - other))


def capture(own: Floats, other: Floats, chosen: NDArray[np.bool_]) -> float:
    """Return the run's geometric mean return over the benchmark's, of the days on which the benchmark rose (or fell).

    1.0: the run went as far as the benchmark; a down capture below 1 is good, below 0 means that it rose while the
    benchmark fell. Morningstar's definition. empyrical's is that of returns compounded to a year, which blows up for
    chosen days only; with ``period="yearly"`` it is this one. NaN without such a day, or where all was lost.
    """
    if not chosen.any() or not (own[chosen] > -1).all():
        return math.nan
    ours, theirs = (math.expm1(float(np.log1p(part[chosen]).mean())) for part in (own, other))
    return ours / theirs
