"""The measures of many curves are those of each curve alone, to the bit, and follow their formulas."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.engine import measures

curves = st.integers(0, 2**32 - 1).map(
    lambda seed: 1e6 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, (7, 211)), axis=1))
)
OF_CURVES = (measures.total_return, measures.drawdowns, measures.max_depth, measures.daily_returns)
OF_RETURNS = (
    measures.annual_volatility, measures.sharpe_ratio, measures.sortino_ratio, measures.value_at_risk,
    measures.expected_shortfall, measures.skewness, measures.excess_kurtosis,
)  # fmt: skip


@given(curves)
def test_a_curve_gives_the_same_bits_alone_and_among_others(many):
    returns = measures.daily_returns(many)
    for measure in OF_CURVES:
        assert [measure(row).tolist() for row in many] == measure(many).tolist()
    for measure in OF_RETURNS:
        assert [measure(row).tolist() for row in returns] == measure(returns).tolist()


@given(curves)
def test_formulas(many):
    curve = many[0].tolist()
    returns = [after / before - 1 for before, after in zip(curve, curve[1:], strict=False)]
    mean, deviation = statistics.fmean(returns), statistics.stdev(returns)
    given = measures.daily_returns(many)
    assert measures.sharpe_ratio(given)[0] == pytest.approx(mean / deviation * math.sqrt(252), rel=1e-9)
    assert measures.annual_volatility(given)[0] == pytest.approx(deviation * math.sqrt(252), rel=1e-9)
    lowest = min(value / max(curve[: day + 1]) - 1 for day, value in enumerate(curve))
    assert measures.max_depth(many)[0] == pytest.approx(lowest)
    assert measures.annual_return(many, 2.0)[0] == pytest.approx(math.sqrt(curve[-1] / curve[0]) - 1)


def test_each_configuration_has_its_own_nan():
    many = np.array([[100.0, 110.0, 120.0], [100.0, 100.0, 100.0], [100.0, 0.0, 50.0], [100.0, 50.0, -10.0]])
    returns = measures.daily_returns(many)
    assert np.isnan(measures.sharpe_ratio(returns)).tolist() == [False, True, True, False]
    assert np.isnan(measures.sortino_ratio(returns)).tolist() == [True, True, True, False]
    assert np.isnan(measures.annual_return(many, 1.0)).tolist() == [False, False, False, True]
    assert np.isnan(measures.calmar_ratio(np.array([0.1, 0.1]), np.array([0.0, -0.2]))).tolist() == [True, False]
    assert measures.mean_exposure(np.array([[50.0, 9.0], [1.0, 1.0]]), np.array([[100.0, 0.0], [-1.0, 0.0]])).tolist()[
        0
    ] == pytest.approx(0.5)
    assert measures.max_leverage(np.array([[50.0, 9.0], [1.0, 1.0]]), np.array([[100.0, 6.0], [-1.0, 0.0]])).tolist()[
        0
    ] == pytest.approx(1.5)
    assert measures.time_in_market(np.array([[50.0, 0.0], [0.0, 0.0]])).tolist() == [0.5, 0.0]
    assert np.isnan(measures.turnover(np.array([1.0, 1.0]), np.array([0.0, 2.0]), 0.5)).tolist() == [True, False]
