"""Probabilistic and deflated Sharpe ratio: the papers' worked examples, and skfolio, scipy, statsmodels beside them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from skfolio.measures import deflated_sharpe_ratio, expected_max_sharpe_ratio, probabilistic_sharpe_ratio

from chipwire.engine.validation.sharpe import (
    Moments,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    sharpe_error,
    sharpe_error_dependent,
)
from chipwire.engine.validation.trials import (
    Trials,
    average_correlation,
    deflated_sharpe,
    effective_trials,
    expected_maximum,
    luck_bar,
)


def series(seed, n=700, tails=4, mean=0.0006):
    return np.random.default_rng(seed).standard_t(tails, n) * 0.01 + mean


seeds = st.integers(0, 2**32 - 1)


# --- worked examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew", "kurtosis", "printed"),
    [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)],
)
def test_the_hedge_fund_of_the_sharpe_ratio_efficient_frontier(skew, kurtosis, printed):
    # Bailey and López de Prado (2012): 24 monthly returns, mean 0.036 and deviation 0.079 (0.458 a month); as normal
    # ones the probability of skill is 0.982, with the skewness and kurtosis that they have 0.913.
    sharpe = 0.458
    found = probabilistic_sharpe(Moments(24, sharpe, skew, kurtosis))
    worked = sharpe * math.sqrt(23) / math.sqrt(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    assert found == pytest.approx(stats.norm.cdf(worked), abs=1e-8)
    assert round(found, 3) == printed


@pytest.mark.parametrize(("a_year", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_how_long_a_sharpe_ratio_of_two_takes_to_be_above_one(a_year, years):
    # The same paper: normal returns with an annual Sharpe ratio of 2, bar 1, confidence 95 %.
    of = Moments(5 * a_year, 2 / math.sqrt(a_year), 0.0, 3.0)
    found = minimum_track_record(of, 1 / math.sqrt(a_year))
    worked = 1 + (1 + of.sharpe**2 / 2) * (stats.norm.ppf(0.95) * math.sqrt(a_year)) ** 2
    assert found == pytest.approx(worked, rel=1e-8)
    assert round(found / a_year, 2) == years


def test_the_analyst_of_the_deflated_sharpe_ratio():
    # Bailey and López de Prado (2014): Sharpe ratio 2.5 a year over five years of 250 days, the best of 100 trials
    # whose annual Sharpe ratios have variance 1/2, skewness -3, kurtosis 10: SR0 = 0.1132 a day, DSR = 0.9004.
    of = Moments(1250, 2.5 / math.sqrt(250), -3.0, 10.0)
    trials = Trials(100, 100, 0.5 / 250)
    bar = math.sqrt(0.5 / 250) * (
        (1 - np.euler_gamma) * stats.norm.ppf(1 - 1 / 100) + np.euler_gamma * stats.norm.ppf(1 - 1 / (100 * math.e))
    )
    assert luck_bar(of, trials) == pytest.approx(bar, abs=1e-8)
    assert round(bar, 4) == 0.1132
    spread = math.sqrt(1 + 3 * of.sharpe + 9 / 4 * of.sharpe**2)
    worked = stats.norm.cdf((of.sharpe - bar) * math.sqrt(1249) / spread)
    assert deflated_sharpe(of, trials) == pytest.approx(worked, abs=1e-8)
    assert round(deflated_sharpe(of, trials), 4) == 0.9004
    # It goes on: had it been the best of 46 only, the result would pass at 95 %; and a normal one the best of 88.
    assert round(deflated_sharpe(of, Trials(46, 46, 0.5 / 250)), 4) == 0.9505
    normal = Moments(1250, of.sharpe, 0.0, 3.0)
    assert round(deflated_sharpe(normal, Trials(88, 88, 0.5 / 250)), 4) == 0.9505


# --- independent implementations -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_moments_are_those_of_scipy(seed):
    returns = series(seed)
    of = moments(returns)
    assert of.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    assert of.skew == pytest.approx(stats.skew(returns), rel=1e-10)
    assert of.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_probabilistic_and_deflated_agree_with_skfolio(seed):
    returns = series(seed)
    many = np.random.default_rng(seed).normal(0, 0.03, 57)
    of, trials = moments(returns), Trials(57, 57, float(np.var(many, ddof=1)))
    assert probabilistic_sharpe(of, 0.01) == pytest.approx(probabilistic_sharpe_ratio(returns, 0.01), abs=1e-8)
    assert expected_maximum(57, 0.0009) == pytest.approx(expected_max_sharpe_ratio(57, 0.03), abs=1e-8)
    assert deflated_sharpe(of, trials) == pytest.approx(deflated_sharpe_ratio(returns, many), abs=1e-8)


@pytest.mark.parametrize("lags", [0, 1, 5, None])
def test_the_error_of_dependent_returns_is_the_long_run_one_of_statsmodels(lags):
    returns = series(7)
    returns[1:] += 0.4 * returns[:-1]
    unit = (returns - returns.mean()) / returns.std()
    sharpe = returns.mean() / returns.std()
    moves = unit - sharpe / 2 * (unit**2 - 1)
    used = math.floor(4 * (len(returns) / 100) ** (2 / 9)) if lags is None else lags
    fitted = sm.OLS(moves, np.ones(len(moves))).fit(cov_type="HAC", cov_kwds={"maxlags": used})
    assert sharpe_error_dependent(returns, lags) == pytest.approx(fitted.bse[0], rel=1e-8)


def test_without_lags_it_is_the_error_of_independent_returns():
    returns = series(3, n=2_000)
    assert sharpe_error_dependent(returns, 0) == pytest.approx(sharpe_error(moments(returns)), rel=1e-3)


def test_average_correlation_is_the_mean_off_the_diagonal():
    rng = np.random.default_rng(2)
    common = rng.normal(size=(300, 1))
    returns = common + rng.normal(size=(300, 12)) * rng.uniform(0.2, 3, 12)
    matrix = np.corrcoef(returns.T)
    worked = (matrix.sum() - 12) / (12 * 11)
    assert average_correlation(returns) == pytest.approx(worked, abs=1e-10)
    with_idle = np.column_stack([returns, np.zeros(300)])
    assert average_correlation(with_idle) == pytest.approx(worked, abs=1e-10)


# --- what must hold --------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(seeds, st.integers(1, 100_000), st.floats(1e-6, 1e-2))
def test_deflated_is_never_above_probabilistic_and_falls_with_more_trials(seed, count, variance):
    of = moments(series(seed % 1000, n=250))
    found = deflated_sharpe(of, Trials(count, 2, variance))
    assert found <= probabilistic_sharpe(of) + 1e-12
    assert deflated_sharpe(of, Trials(count + 1, 2, variance)) <= found + 1e-12
    # Trials that go together are worth fewer.
    milder = deflated_sharpe(of, Trials(count, 2, variance, correlation=0.7), effective=True)
    assert milder >= found - 1e-12


@settings(max_examples=30)
@given(st.floats(0.01, 0.3), st.floats(-2, 1), st.floats(0.6, 0.99))
def test_with_as_many_returns_as_it_takes_the_probability_is_the_confidence(sharpe, skew, confidence):
    # The formulas are each other's inverse; n need not be whole for that.
    takes = minimum_track_record(Moments(10, sharpe, skew, 7.0), confidence=confidence)
    spread = 1 - skew * sharpe + 6 / 4 * sharpe**2
    assert stats.norm.cdf(sharpe * math.sqrt(takes - 1) / math.sqrt(spread)) == pytest.approx(confidence, abs=1e-9)


def test_the_best_of_many_without_an_edge_shows_about_the_expected_maximum():
    draws = np.random.default_rng(5).normal(0, 0.05, (4_000, 200))
    assert draws.max(axis=1).mean() == pytest.approx(expected_maximum(200, 0.05**2), rel=0.02)


def test_what_cannot_be_given_is_nan():
    flat = moments(np.zeros(100))
    assert math.isnan(flat.sharpe)
    assert math.isnan(sharpe_error(flat))
    assert math.isnan(probabilistic_sharpe(flat))
    assert math.isnan(deflated_sharpe(flat, Trials(5)))
    assert math.isnan(sharpe_error_dependent(np.zeros(100)))
    assert math.isnan(moments(np.array([0.01, np.nan, 0.02, 0.01])).sharpe)
    assert math.isnan(moments(np.array([0.01, 0.02])).sharpe)
    assert math.isinf(minimum_track_record(moments(-series(1, mean=0.01))))
    assert math.isnan(average_correlation(np.zeros((50, 3))))


def test_trials_alone_know_what_luck_is_expected_to_show():
    of = moments(series(1, n=500))
    # Without the Sharpe ratios of others, theirs are taken to spread as those of returns without an edge do.
    assert luck_bar(of, Trials(20)) == pytest.approx(expected_maximum(20, 1 / 499))
    assert luck_bar(of, Trials(1)) == 0.0
    assert effective_trials(10, 1.0) == 1.0
    assert effective_trials(10, 0.0) == 10.0
    assert effective_trials(101, 0.25) == pytest.approx(76.0)
    assert Trials(10).effective == 10.0
