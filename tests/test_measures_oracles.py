"""The measures against independent packages, to 1e-8, and against published values of R's PerformanceAnalytics.

Its data set ``portfolio_bacon`` holds the monthly returns of C. Bacon, "Practical Portfolio Performance Measurement and
Attribution" (2008); the values are those that its vignette ``PA-Bacon`` says to expect.
"""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm

from chipwire.engine import measures
from chipwire.reports import benchmark_measures as against
from chipwire.reports import trade_measures

BACON = np.array([
    0.3, 2.6, 1.1, -1.0, 1.5, 2.5, 1.6, 6.7, -1.4, 4.0, -0.5, 8.1, 4.0, -3.7, -6.1, 1.7, -4.9, -2.2, 7.0, 5.8, -6.5,
    2.4, -0.5, -0.9,
]) / 100  # fmt: skip
BACON_MARK = np.array([
    0.2, 2.5, 1.8, -1.1, 1.4, 1.8, 1.4, 6.5, -1.5, 4.2, -0.6, 8.3, 3.9, -3.8, -6.2, 1.5, -4.8, 2.1, 6.0, 5.6, -6.7,
    1.9, -0.3, 0.0,
]) / 100  # fmt: skip
EXACT = {"rel": 1e-8, "abs": 1e-12}


def _series(seed, count=700):
    """Return fat-tailed, autocorrelated returns of a run and of its benchmark."""
    rng = np.random.default_rng(seed)
    mark = 0.0003 + 0.01 * rng.standard_t(4, count)
    noise = 0.006 * rng.standard_t(5, count)
    noise[1:] += 0.3 * noise[:-1]
    return 0.0001 + 0.6 * mark + noise * (1 + np.abs(mark) * 20), mark


@pytest.mark.parametrize("count", [21, 101, 700])
@pytest.mark.parametrize("seed", [1, 2])
def test_measures_of_returns(seed, count):
    own, _ = _series(seed, count)
    curve = np.concatenate([[1.0], np.cumprod(1 + own)])
    assert measures.daily_returns(curve) == pytest.approx(own, **EXACT)
    assert measures.total_return(curve) == pytest.approx(empyrical.cum_returns_final(own), **EXACT)
    # empyrical counts a year as 252 returns where a run counts calendar days.
    yearly = measures.annual_return(curve, count / 252)
    assert yearly == pytest.approx(empyrical.annual_return(own), **EXACT)
    assert measures.annual_volatility(own) == pytest.approx(empyrical.annual_volatility(own), **EXACT)
    assert measures.sharpe_ratio(own) == pytest.approx(empyrical.sharpe_ratio(own), **EXACT)
    assert measures.sortino_ratio(own) == pytest.approx(empyrical.sortino_ratio(own), **EXACT)
    assert measures.max_depth(curve) == pytest.approx(empyrical.max_drawdown(own), **EXACT)
    assert measures.calmar_ratio(yearly, measures.max_depth(curve)) == pytest.approx(
        empyrical.calmar_ratio(own), **EXACT
    )
    assert measures.value_at_risk(own) == pytest.approx(empyrical.value_at_risk(own), **EXACT)
    assert measures.expected_shortfall(own) == pytest.approx(empyrical.conditional_value_at_risk(own), **EXACT)


@pytest.mark.parametrize("seed", [3, 4])
def test_moments(seed):
    own, _ = _series(seed, 300)
    skew, excess, n = float(measures.skewness(own)), float(measures.excess_kurtosis(own)), len(own)
    assert skew == pytest.approx(scipy.stats.skew(own), **EXACT)
    assert excess == pytest.approx(scipy.stats.kurtosis(own), **EXACT)
    # The estimates of pandas (and so of quantstats), by the factors that the docstrings name.
    assert skew * math.sqrt(n * (n - 1)) / (n - 2) == pytest.approx(pd.Series(own).skew(), **EXACT)
    unbiased = ((n + 1) * excess + 6) * (n - 1) / ((n - 2) * (n - 3))
    assert unbiased == pytest.approx(pd.Series(own).kurt(), **EXACT)


@pytest.mark.parametrize("count", [20, 55, 700])
@pytest.mark.parametrize("seed", [5, 6])
def test_regression_with_newey_west_errors(seed, count):
    own, mark = _series(seed, count)
    lags = against.newey_west_lags(count)
    assert lags == {20: 2, 55: 3, 700: 6}[count]  # 4 × (n / 100)^(2/9) = 2.80, 3.50, 6.16
    expected = sm.OLS(own, sm.add_constant(mark)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    for found, place in zip(against.regression(own, mark, lags), (0, 1), strict=True):
        assert found.value == pytest.approx(expected.params[place], **EXACT)
        assert found.error == pytest.approx(expected.bse[place], **EXACT)
        assert found.t == pytest.approx(expected.tvalues[place], **EXACT)
        assert found.p == pytest.approx(expected.pvalues[place], **EXACT)


def test_newey_west_worked_by_hand():
    # y = 1, 2, 4, 3 on x = 0, 1, 2, 3, five times over so that there are enough pairs; one lag of weight a half.
    own, mark = np.tile([1.0, 2.0, 4.0, 3.0], 5), np.tile([0.0, 1.0, 2.0, 3.0], 5)
    # Slope: sum of (x − 1.5)(y − 2.5) = 4 over 5 a block; constant 2.5 − 0.8 × 1.5; rests −0.3, −0.1, 1.1, −0.7.
    score = [-0.3 * -1.5, -0.1 * -0.5, 1.1 * 0.5, -0.7 * 1.5]
    next_ones = sum(a * b for a, b in zip(score * 5, (score * 5)[1:], strict=False))
    spread = 5 * sum(s * s for s in score) + 2 * 0.5 * next_ones
    constant, slope = against.regression(own, mark, 1)
    assert (constant.value, slope.value) == (pytest.approx(1.3), pytest.approx(0.8))
    assert slope.error == pytest.approx(math.sqrt(spread) / 25)


@pytest.mark.parametrize("seed", [7, 8])
def test_measures_against_a_benchmark(seed):
    own, mark = _series(seed)
    lags = against.newey_west_lags(len(own))
    constant, slope = against.regression(own, mark, lags)
    assert slope.value == pytest.approx(empyrical.beta(own, mark), **EXACT)
    assert (1 + constant.value) ** 252 - 1 == pytest.approx(empyrical.alpha(own, mark), **EXACT)
    assert against.correlation(own, mark) == pytest.approx(scipy.stats.pearsonr(own, mark).statistic, **EXACT)
    assert against.tracking_error(own, mark) == pytest.approx(empyrical.annual_volatility(own - mark), **EXACT)
    ratio = empyrical.excess_sharpe(own, mark) * math.sqrt(252)
    assert against.information_ratio(own, mark) == pytest.approx(ratio, **EXACT)
    for chosen, theirs in ((mark > 0, empyrical.up_capture), (mark < 0, empyrical.down_capture)):
        expected = theirs(pd.Series(own), pd.Series(mark), period="yearly")
        assert against.capture(own, mark, chosen) == pytest.approx(expected, **EXACT)


def test_published_values():
    skew, excess, n = float(measures.skewness(BACON)), float(measures.excess_kurtosis(BACON)), len(BACON)
    assert round(excess, 2) == -0.57
    assert round(excess + 3, 2) == 2.43
    assert round(skew * math.sqrt(n * (n - 1)) / (n - 2), 2) == -0.09
    assert round(((n + 1) * excess + 6) * (n - 1) / ((n - 2) * (n - 3)), 2) == -0.41
    assert round(trade_measures.profit_factor(BACON), 2) == 1.78  # the Bernardo-Ledoit ratio, by the same formula
    constant, slope = against.regression(BACON, BACON_MARK, 2)
    rest = BACON - constant.value - slope.value * BACON_MARK
    assert round(math.sqrt(np.mean(rest**2) * 12), 4) == 0.0329  # specific risk
    own, mark = (measures.annual_return(np.concatenate([[1.0], np.cumprod(1 + r)]), 2.0) for r in (BACON, BACON_MARK))
    assert round(float(own - slope.value * mark), 3) == -0.014  # Jensen's alpha
    beta_without_fit = slope.value / against.correlation(BACON, BACON_MARK)
    assert round(beta_without_fit, 2) == 1.03  # Fama beta: the ratio of the deviations
