"""The stationary bootstrap: block lengths and intervals against arch, closed forms, and what the intervals cover."""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pytest
import statsmodels.api as sm
from arch.bootstrap import StationaryBootstrap, optimal_block_length

from chipwire.data.errors import BadParameter
from chipwire.engine.validation.bootstrap import block_length, intervals, resampled, resampled_places
from chipwire.engine.validation.luck import headline_figures


def autoregressive(n, phi, mean=0.0, seed=0):
    """Return returns of deviation 1 % whose neighbours have correlation `phi`."""
    noise = np.random.default_rng(seed).normal(size=n + 50)
    found = np.empty(n + 50)
    found[0] = noise[0]
    for place in range(1, n + 50):
        found[place] = phi * found[place - 1] + noise[place]
    return 0.01 * (found[50:] * math.sqrt(1 - phi**2) + mean)


def sharpe(drawn):
    return {"sharpe": drawn.mean(axis=1) / drawn.std(axis=1, ddof=1)}


@pytest.mark.parametrize("phi", [-0.3, 0.0, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("n", [400, 1_500])
def test_the_length_of_blocks_is_that_of_arch(n, phi):
    returns = autoregressive(n, phi, seed=n)
    theirs = float(optimal_block_length(returns)["stationary"].iloc[0])
    assert block_length(returns) == pytest.approx(max(theirs, 1.0), abs=1e-8)


def test_blocks_have_the_mean_length_asked_for_and_wrap():
    places = resampled_places(500, 8.0, 400, np.random.default_rng(3))
    goes_on = places[:, 1:] == (places[:, :-1] + 1) % 500
    # A new block that by chance begins where the last went on to does not show.
    assert 1 - goes_on.mean() == pytest.approx((1 / 8) * (1 - 1 / 500), rel=0.02)
    assert ((places[:, 1:] == 0) & (places[:, :-1] == 499)).any()
    assert np.bincount(places.ravel(), minlength=500).std() / 400 < 0.1
    assert (places >= 0).all()
    assert (places < 500).all()


def test_the_variance_of_the_mean_is_the_closed_form_of_politis_and_romano():
    # Politis and Romano (1994), lemma 1: with p = 1 / length and circular autocovariances c, the variance of
    # sqrt(n) * mean over the draws is c(0) + 2 * sum over i = 1 .. n - 1 of (1 - i / n) (1 - p)^i c(i).
    n, length = 200, 6.0
    returns = autoregressive(n, 0.5, seed=4)
    away, p = returns - returns.mean(), 1 / length
    circular = np.array([float(away @ np.roll(away, -lag)) / n for lag in range(n)])
    worked = circular[0] + 2 * sum((1 - i / n) * (1 - p) ** i * circular[i] for i in range(1, n))
    drawn = np.concatenate([part.mean(axis=1) for part in resampled(returns, length, 20_000, seed=9)])
    assert n * drawn.var() == pytest.approx(worked, rel=0.04)


def test_the_interval_is_that_of_arch_but_for_the_draws():
    returns = autoregressive(600, 0.3, mean=0.08, seed=6)
    length = block_length(returns)
    ours = intervals(returns, sharpe, length=length, draws=6_000, seed=1)["sharpe"]
    theirs = StationaryBootstrap(length, returns, seed=2).conf_int(
        lambda x: x.mean() / x.std(ddof=1), reps=6_000, method="percentile"
    )[:, 0]
    width = ours.high - ours.low
    assert ours.low == pytest.approx(theirs[0], abs=0.04 * width)
    assert ours.high == pytest.approx(theirs[1], abs=0.04 * width)


@pytest.mark.parametrize("phi", [0.0, 0.3])
def test_intervals_cover_the_truth_about_as_often_as_they_say(phi):
    worlds, covered = 150, 0
    for seed in range(worlds):
        returns = autoregressive(500, phi, mean=0.06, seed=1_000 + seed)
        found = intervals(returns, sharpe, length=block_length(returns), draws=400, seed=seed)["sharpe"]
        covered += found.low <= 0.06 <= found.high
    assert 0.88 <= covered / worlds <= 0.99


def test_resampling_as_if_independent_covers_too_little_where_returns_depend():
    worlds, covered = 100, 0
    for seed in range(worlds):
        returns = autoregressive(500, 0.6, mean=0.06, seed=2_000 + seed)
        found = intervals(returns, sharpe, length=1.0, draws=300, seed=seed)["sharpe"]
        covered += found.low <= 0.06 <= found.high
    assert covered / worlds < 0.8


def test_headline_figures_of_a_draw_are_those_of_empyrical_and_of_a_regression():
    rng = np.random.default_rng(8)
    market = rng.normal(0.0003, 0.012, (3, 504))
    returns = 0.7 * market + rng.normal(0.0004, 0.008, (3, 504))
    found = headline_figures(2.0)(np.stack([returns, market], axis=-1))
    for row in range(3):
        own = returns[row]
        assert found["total_return"][row] == pytest.approx(empyrical.cum_returns_final(own), rel=1e-9)
        assert found["annual_return"][row] == pytest.approx(empyrical.annual_return(own), rel=1e-9)
        assert found["annual_volatility"][row] == pytest.approx(empyrical.annual_volatility(own), rel=1e-9)
        assert found["sharpe"][row] == pytest.approx(empyrical.sharpe_ratio(own), rel=1e-9)
        assert found["sortino"][row] == pytest.approx(empyrical.sortino_ratio(own), rel=1e-9)
        assert found["max_drawdown"][row] == pytest.approx(empyrical.max_drawdown(own), rel=1e-9)
        assert found["calmar"][row] == pytest.approx(empyrical.calmar_ratio(own), rel=1e-9)
        fitted = sm.OLS(own, sm.add_constant(market[row])).fit()
        assert found["alpha"][row] == pytest.approx(252 * fitted.params[0], rel=1e-9)


def test_the_same_seed_gives_the_same_interval_and_another_one_nearly():
    returns = autoregressive(300, 0.1, mean=0.05)
    one, same, other = (intervals(returns, sharpe, length=3.0, draws=500, seed=s)["sharpe"] for s in (1, 1, 2))
    assert one == same
    assert one.low != other.low
    assert one.value == other.value


def test_series_stay_together():
    pairs = np.column_stack([np.arange(50.0), np.arange(50.0) * 2])
    for part in resampled(pairs, 4.0, 20, seed=0):
        assert (part[..., 1] == 2 * part[..., 0]).all()


def test_a_figure_that_few_draws_can_give_has_no_interval():
    # Without a losing day there is no Sortino ratio, and a draw without one is likely.
    returns = np.full(100, 0.01)
    returns[40] = -0.01
    found = intervals(returns, headline_figures(0.4), length=1.0, draws=300)
    assert math.isfinite(found["sortino"].value)
    assert math.isnan(found["sortino"].low)
    assert math.isfinite(found["total_return"].low)


def test_what_makes_no_sense_is_refused_or_has_blocks_of_one_day():
    assert block_length(np.zeros(100)) == 1.0
    assert block_length(np.array([0.01, -0.01])) == 1.0
    assert math.isnan(block_length(np.array([0.01] * 20 + [np.nan])))
    with pytest.raises(BadParameter):
        intervals(np.array([]), sharpe, length=1.0)
    with pytest.raises(BadParameter):
        intervals(np.ones(5), sharpe, length=1.0, level=1.0)
