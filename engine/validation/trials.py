"""What trying many things does to the best of them: the Sharpe ratio that luck alone would show, and what is left.

Sharpe ratios are per period (per day) here, as in `chipwire.engine.validation.sharpe`.

References
----------
- D. H. Bailey, M. López de Prado, "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest Overfitting
  and Non-Normality", Journal of Portfolio Management 40 (2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.measures import TRADING_DAYS_A_YEAR
from chipwire.engine.sweep_store import count_trials
from chipwire.engine.validation.sharpe import Moments, probabilistic_sharpe

Floats = NDArray[np.float64]

_NORMAL = NormalDist()
EULER_MASCHERONI = 0.57721566490153286


@dataclass(frozen=True)
class Trials:
    """All that was tried, as far as it is known.

    Attributes
    ----------
    count : int
        Different configurations ever tried in the warehouse, of all strategies, failed ones included; at least 1.
    known : int
        Configurations of the same strategy with a Sharpe ratio.
    variance : float
        Of their Sharpe ratios (n - 1), per period; NaN for fewer than two, and `luck_bar` then takes that which
        returns without an edge would give.
    correlation : float
        Average correlation between the daily returns of those whose curves are at hand; NaN where none are.
    """

    count: int
    known: int = 0
    variance: float = math.nan
    correlation: float = math.nan

    @property
    def effective(self) -> float:
        """How many independent trials the count is worth, see `effective_trials`; the count where that is not known."""
        return float(self.count) if math.isnan(self.correlation) else effective_trials(self.count, self.correlation)


def expected_maximum(count: float, variance: float) -> float:
    """Return the Sharpe ratio that the best of many trials is expected to show when none has an edge.

    ``sqrt(variance) * ((1 - g) * z(1 - 1 / N) + g * z(1 - 1 / (N * e)))`` with Euler and Mascheroni's constant g
    (Bailey and López de Prado 2014, with a mean of zero); 0 for one trial.

    Parameters
    ----------
    count : float
        Number of trials, taken as independent; at least 1.
    variance : float
        Of the trials' Sharpe ratios.

    NaN where the variance is.
    """
    if not count >= 1:
        raise ValueError(f"count={count} is not allowed: at least 1")
    if count == 1:
        return 0.0 * variance
    high, higher = _NORMAL.inv_cdf(1 - 1 / count), _NORMAL.inv_cdf(1 - 1 / (count * math.e))
    return math.sqrt(variance) * ((1 - EULER_MASCHERONI) * high + EULER_MASCHERONI * higher)


def luck_bar(of: Moments, trials: Trials, *, effective: bool = False) -> float:
    """Return the Sharpe ratio that luck alone would show after so many trials, per period.

    Where the spread of the trials' Sharpe ratios is not known, it is ``1 / (n - 1)``, that of returns without an edge.
    NaN where the moments are.
    """
    unknown = math.isnan(trials.variance)
    variance = 1 / (of.n - 1) if unknown and not math.isnan(of.sharpe) else trials.variance
    return expected_maximum(max(1.0, trials.effective) if effective else trials.count, variance)


def deflated_sharpe(of: Moments, trials: Trials, *, effective: bool = False) -> float:
    """Return the probability that the true Sharpe ratio is above what luck shows after so many trials.

    `probabilistic_sharpe` with the bar of `luck_bar` (Bailey and López de Prado 2014).

    Parameters
    ----------
    effective : bool
        Take `Trials.effective` for the number of trials, which is the milder one.

    NaN where the moments are.
    """
    return probabilistic_sharpe(of, luck_bar(of, trials, effective=effective))


def average_correlation(returns: Floats) -> float:
    """Return the mean of the correlations between all pairs of columns.

    With each column standardised, the square of a row's sum holds every pair twice, so that no matrix is needed.

    Parameters
    ----------
    returns : ndarray, shape (days, configurations)
        Columns without variation are left out; NaN for fewer than two others, or any NaN.
    """
    away = returns - returns.mean(axis=0)
    spread = np.sqrt((away**2).mean(axis=0))
    moving = spread > 1e-15
    count = int(moving.sum())
    if count < 2 or not np.isfinite(spread).all():
        return math.nan
    together = (away[:, moving] / spread[moving]).sum(axis=1)
    return float((np.mean(together**2) - count) / (count * (count - 1)))


def effective_trials(count: int, correlation: float) -> float:
    """Return how many independent trials so many correlated ones are worth.

    ``correlation + (1 - correlation) * count`` (Bailey and López de Prado 2014, appendix), the correlation cut to
    the range from 0 to 1; NaN where it is.
    """
    if math.isnan(correlation):
        return math.nan
    kept = min(max(correlation, 0.0), 1.0)
    return kept + (1 - kept) * count


def tried(warehouse: Warehouse, strategy: str, correlation: float = math.nan) -> Trials:
    """Return all that was ever tried in a warehouse, and how far the Sharpe ratios of a strategy's trials lie apart.

    Counted is everything, of whichever strategy: who tries five strategies and shows the best has tried them all. The
    spread is that of the strategy's own configurations, those of its sweeps.
    """
    sql = load_sql("chipwire.engine.validation", "trial_sharpes.sql")
    known, variance = warehouse.rows(sql, {"strategy": strategy})[0]
    daily = math.nan if variance is None else float(variance) / TRADING_DAYS_A_YEAR
    return Trials(max(1, count_trials(warehouse)), int(known), daily, correlation)
