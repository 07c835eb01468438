"""How sure the answer is: the Sharpe ratio's standard error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chipwire.reports.answer import sharpe_standard_error


def test_normal_returns_give_the_error_of_lo():
    # 20,000 points of a normal distribution by its quantiles: skewness 0, kurtosis 3 but for the cut tails.
    from statistics import NormalDist

    count = 20_000
    returns = np.array([NormalDist(0.001, 0.01).inv_cdf((n + 0.5) / count) for n in range(count)])
    ratio = 0.1
    assert sharpe_standard_error(returns) == pytest.approx(math.sqrt((1 + ratio**2 / 2) / count * 252), rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_spread_of_the_ratios_influence_function(seed):
    # Another way to the same: d SR = z - SR / 2 (z^2 - 1) for each return, whose variance over n is that of SR.
    draw = np.random.default_rng(seed)
    returns = draw.standard_t(5, 500) * 0.01 + 0.002 + draw.exponential(0.01, 500)
    z = (returns - returns.mean()) / returns.std()
    influence = z - returns.mean() / returns.std() / 2 * (z**2 - 1)
    assert sharpe_standard_error(returns) == pytest.approx(influence.std() / math.sqrt(500) * math.sqrt(252), rel=1e-12)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01, 0.01], [0.01, math.nan, 0.02]])
def test_no_error_can_be_told_of_nothing(returns):
    assert math.isnan(sharpe_standard_error(np.array(returns)))
