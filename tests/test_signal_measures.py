"""Rank correlations, quantiles and clustered errors, against scipy, pandas and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from chipwire.engine.signal_measures import (
    clustered_difference,
    clustered_mean,
    lags_for,
    quantiles_by_day,
    quantiles_of_all,
    rank_correlations,
    rank_products,
    student_quantile,
    turnover_by_day,
)


@pytest.fixture
def rng():
    return np.random.default_rng(20240701)


@pytest.mark.parametrize(("freedom", "within"), [(5, 1e-3), (9, 1e-4), (20, 1e-5), (400, 1e-9)])
def test_students_quantile(freedom, within):
    assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=within)


@pytest.mark.parametrize("lags", [0, 1, 5, 12])
def test_one_value_a_day_has_newey_west_errors(lags, rng):
    values = np.convolve(rng.normal(0.1, 1, 130), np.ones(4), "valid")
    found = clustered_mean(values, np.arange(len(values)), lags)
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    assert found.mean == pytest.approx(values.mean())
    assert found.se == pytest.approx(fit.bse[0], rel=1e-10)
    assert found.t == pytest.approx(fit.tvalues[0], rel=1e-10)
    assert (found.n, found.days) == (len(values), len(values))


def _panel(rng, days=40, most=6):
    count = rng.integers(1, most, days)
    day = np.repeat(np.arange(days), count)
    return rng.normal(0, 1, days)[day] + rng.normal(0.2, 1, len(day)), day


def test_many_values_a_day_have_errors_clustered_by_day(rng):
    values, day = _panel(rng)
    found = clustered_mean(values, day + 1_000, 0)
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": day, "use_correction": False}
    )
    assert found.se == pytest.approx(fit.bse[0] * math.sqrt(40 / 39), rel=1e-10)
    wide = stats.t.ppf(0.975, 39) * found.se
    assert found.low == pytest.approx(found.mean - wide, rel=1e-6)
    assert found.high == pytest.approx(found.mean + wide, rel=1e-6)
    assert found.se > 1.3 * values.std(ddof=1) / math.sqrt(len(values))  # a day's values are not independent


@pytest.mark.parametrize("lags", [1, 4])
def test_neighbouring_days_may_depend_on_each_other(lags, rng):
    values, day = _panel(rng)
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="hac-groupsum", cov_kwds={"time": day, "maxlags": lags, "use_correction": False}
    )
    found = clustered_mean(values, day, lags)
    assert found.se == pytest.approx(fit.bse[0] * math.sqrt(40 / 39), rel=1e-10)
    wide = stats.t.ppf(0.975, math.floor(1.5 * 40 / (lags + 1))) * found.se
    assert found.high - found.mean == pytest.approx(wide, rel=1e-4)


def test_a_difference_is_the_coefficient_of_a_dummy(rng):
    values, day = _panel(rng)
    first = rng.random(len(values)) < 0.4
    design = sm.add_constant(first.astype(float))
    fit = sm.OLS(values, design).fit(
        cov_type="hac-groupsum", cov_kwds={"time": day, "maxlags": 2, "use_correction": False}
    )
    found = clustered_difference(values[first], day[first], values[~first], day[~first], 2)
    assert found.mean == pytest.approx(fit.params[1], rel=1e-10)
    assert found.se == pytest.approx(fit.bse[1] * math.sqrt(40 / 39), rel=1e-10)


def test_bands_hold_the_truth_as_often_as_they_say(rng):
    """Where every day has a shock of its own, bands of the mean without clusters would be far too narrow."""
    inside, naive = 0, 0
    for _ in range(300):
        day = np.repeat(np.arange(60), 5)
        values = rng.normal(0, 1, 60)[day] + rng.normal(0, 1, 300)
        found = clustered_mean(values, day, 0)
        inside += found.low <= 0 <= found.high
        naive += abs(values.mean()) <= 1.96 * values.std() / math.sqrt(300)
    assert 0.92 <= inside / 300 <= 0.98
    assert naive / 300 < 0.85


def test_too_few_observations_give_no_figure():
    four = clustered_mean(np.array([1.0, 2, 3, 4, np.nan]), np.arange(5), 0)
    assert math.isnan(four.mean)
    assert (four.n, four.days) == (4, 4)
    nine = clustered_mean(np.arange(9.0), np.arange(9), 0)
    assert nine.mean == 4.0
    assert math.isnan(nine.se)
    assert math.isnan(nine.low)
    # 20 days are fewer than four stretches of 6.
    assert math.isnan(clustered_mean(np.arange(20.0), np.arange(20), 5).se)
    assert math.isfinite(clustered_mean(np.arange(24.0), np.arange(24), 5).se)
    same = clustered_mean(np.full(50, 0.1), np.arange(50), 0)
    assert same.mean == pytest.approx(0.1)
    assert math.isnan(same.t)
    nothing = clustered_mean(np.array([]), np.array([], dtype=int), 3)
    assert nothing.n == 0
    assert math.isnan(nothing.mean)


def test_lags_grow_with_the_horizon_and_the_days(rng):
    assert lags_for(21, 400) == 42
    assert lags_for(1, 400) == math.floor(4 * 4 ** (2 / 9)) == 5
    assert lags_for(0, 0) == 1


def _signal_and_returns(rng):
    signal = np.round(rng.normal(0, 1, (30, 9)), 1)  # with ties
    returns = 0.3 * signal + rng.normal(0, 1, signal.shape)
    signal[rng.random(signal.shape) < 0.3] = np.nan
    returns[rng.random(signal.shape) < 0.1] = np.nan
    return signal, returns


def test_rank_correlation_of_each_day(rng):
    signal, returns = _signal_and_returns(rng)
    signal[3] = 1.0  # does not vary
    found = rank_correlations(signal, returns)
    for day in range(len(signal)):
        both = np.isfinite(signal[day]) & np.isfinite(returns[day])
        if both.sum() < 5 or day == 3:
            assert math.isnan(found[day])
        else:
            assert found[day] == pytest.approx(stats.spearmanr(signal[day][both], returns[day][both]).statistic)
    assert np.isfinite(found).sum() > 10
    # pandas leaves out pairs with a gap too
    assert pd.Series(signal[0]).corr(pd.Series(returns[0]), method="spearman") == pytest.approx(found[0])


def test_rank_correlation_of_all(rng):
    signal, returns = _signal_and_returns(rng)
    products = rank_products(signal, returns)
    both = np.isfinite(signal) & np.isfinite(returns)
    assert (np.isfinite(products) == both).all()
    assert np.nanmean(products) == pytest.approx(stats.spearmanr(signal[both], returns[both]).statistic)
    assert np.isnan(rank_products(np.ones((3, 3)), returns[:3, :3])).all()


def test_quantiles_are_those_of_pandas_and_ties_stay_together(rng):
    signal = rng.normal(0, 1, (5, 12))
    found = quantiles_by_day(signal, np.zeros(signal.shape), 3)
    for day in range(5):
        assert list(found[day]) == list(pd.qcut(signal[day], 3, labels=False))
    assert list(quantiles_of_all(signal, np.zeros(signal.shape), 5).ravel()) == list(
        pd.qcut(signal.ravel(), 5, labels=False)
    )
    tied = np.array([[1.0, 1, 1, 2, 3, 4, np.nan], [1, 2, 3, 4, np.nan, np.nan, np.nan]])
    returns = np.zeros(tied.shape)
    by_day = quantiles_by_day(tied, returns, 3)
    assert list(by_day[0]) == [0, 0, 0, 1, 2, 2, -1]
    assert list(by_day[1]) == [-1] * 7  # four are no cross-section
    returns[0, 5] = np.nan
    assert quantiles_by_day(tied, returns, 3)[0, 5] == -1


def test_turnover_counts_what_is_new_and_not_what_fades():
    signal = np.array([[1.0, -1, np.nan], [0.5, -0.5, np.nan], [0.5, np.nan, -0.5], [np.nan, np.nan, np.nan]])
    found = turnover_by_day(signal)
    assert found[0] == 0.0
    assert found[1] == pytest.approx(0.5)  # half of it went to another instrument
    assert math.isnan(found[2])
