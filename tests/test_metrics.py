"""The measures against formulas written out here, and against small series whose answer is plain."""

from __future__ import annotations

import json
import math
import statistics
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.engine import measures
from chipwire.reports import metrics, trade_measures

CURVE = np.array([100.0, 110.0, 99.0, 99.0, 121.0, 115.0])
DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(len(CURVE))]
RETURNS = [0.10, -0.10, 0.0, 121 / 99 - 1, 115 / 121 - 1]


def test_growth():
    assert metrics.total_return(CURVE) == pytest.approx(0.15)
    assert metrics.years_between(date(2023, 12, 31), date(2024, 12, 31)) == 366 / 365.25
    assert metrics.annual_return(CURVE, 2.0) == pytest.approx(math.sqrt(1.15) - 1)
    assert metrics.daily_returns(CURVE) == pytest.approx(RETURNS)


def test_ratios_follow_their_formulas():
    returns = np.array(RETURNS)
    mean, deviation = statistics.mean(RETURNS), statistics.stdev(RETURNS)
    downside = math.sqrt(sum(min(r, 0) ** 2 for r in RETURNS) / len(RETURNS))
    assert metrics.annual_volatility(returns) == pytest.approx(deviation * math.sqrt(252))
    assert metrics.sharpe_ratio(returns) == pytest.approx(mean / deviation * math.sqrt(252))
    assert metrics.sortino_ratio(returns) == pytest.approx(mean / downside * math.sqrt(252))
    assert metrics.calmar_ratio(0.3, -0.1) == pytest.approx(3.0)


def test_drawdown_names_its_days():
    assert metrics.drawdowns(CURVE) == pytest.approx([0, 0, -0.1, -0.1, 0, 115 / 121 - 1])
    found = metrics.max_drawdown(DAYS, CURVE)
    assert found.depth == pytest.approx(-0.1)
    assert (found.peak, found.trough, found.recovery) == (DAYS[1], DAYS[2], DAYS[4])
    assert metrics.max_drawdown(DAYS[:4], CURVE[:4]).recovery is None


@given(st.lists(st.floats(1, 1e6), min_size=2, max_size=40))
def test_drawdown_is_the_worst_over_all_pairs_of_days(values):
    curve = np.array(values)
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(len(values))]
    worst = min(values[j] / values[i] - 1 for i in range(len(values)) for j in range(i, len(values)))
    found = metrics.max_drawdown(days, curve)
    assert found.depth == pytest.approx(worst)
    if found.peak and found.trough:
        ends = [values[days.index(day)] for day in (found.peak, found.trough)]
        assert ends[1] / ends[0] - 1 == pytest.approx(worst)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (metrics.total_return(np.array([100.0])), "one value"),
        (metrics.total_return(np.array([0.0, 1.0])), "nothing to start from"),
        (metrics.annual_return(np.array([100.0, -5.0]), 1.0), "more than all lost"),
        (metrics.annual_return(CURVE, 0.0), "no time"),
        (metrics.annual_volatility(np.array([0.1])), "one return"),
        (metrics.sharpe_ratio(np.zeros(5)), "no variation"),
        (metrics.sharpe_ratio(np.array([0.1, math.nan, 0.2])), "a return that is not known"),
        (metrics.sortino_ratio(np.array([0.1, 0.2])), "no loss"),
        (metrics.calmar_ratio(0.1, 0.0), "no drawdown"),
        (trade_measures.hit_rate(np.array([])), "nothing closed"),
        (trade_measures.profit_factor(np.array([1.0])), "no losing trade"),
        (trade_measures.turnover(np.array([1.0]), np.array([]), 1.0), "no equity"),
        (measures.mean_exposure(np.array([1.0]), np.array([0.0])), "no equity left"),
        (measures.max_leverage(np.array([1.0]), np.array([0.0])), "no equity left"),
        (measures.time_in_market(np.array([])), "no day"),
        (measures.value_at_risk(np.zeros(19)), "fewer days than one in twenty"),
        (measures.expected_shortfall(np.zeros(19)), "fewer days than one in twenty"),
        (measures.expected_shortfall(np.append(np.zeros(30), math.nan)), "a return that is not known"),
        (measures.skewness(np.full(5, 0.1)), "no variation"),
        (measures.excess_kurtosis(np.array([0.1, 0.2])), "two returns"),
        (trade_measures.capacity(1.0, 0.1, np.array([]), np.array([])), "no order"),
        (trade_measures.capacity(1.0, 0.1, np.array([5.0]), np.array([math.nan])), "volume not known"),
        (trade_measures.capacity(1.0, math.nan, np.array([5.0]), np.array([10.0])), "limit not known"),
    ],
)
def test_what_cannot_be_known_is_nan(value, why):
    assert math.isnan(value), why


def test_a_curve_that_never_falls_has_no_drawdown():
    assert metrics.max_drawdown(DAYS[:2], np.array([1.0, 1.0])) == metrics.Drawdown(0.0, None, None, None)


def test_closing_fills_go_against_what_is_held():
    instruments = ["A", "A", "B", "A", "A", "B", "A"]
    shares = [100, 50, -10, -150, -20, 4, 30]
    expected = [False, False, False, True, False, True, True]
    assert trade_measures.closing_fills(instruments, shares).tolist() == expected


def test_a_split_between_is_followed():
    # 100 held become 200: selling 200 closes, and buying then opens again.
    assert trade_measures.closing_fills(["A"] * 4, [100, 100, -200, 50]).tolist() == [False, False, True, False]


def _fills() -> pd.DataFrame:
    columns = ["instrument", "auction", "shares", "price", "fx", "commission", "duty", "levies", "slippage", "realized"]
    return pd.DataFrame(
        [
            ("A", "open", 100, 10.0, 0.5, 4.0, 0.0, 1.0, 2.0, 0.0),
            ("A", "action", 100, 5.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0),
            ("A", "open", -100, 6.0, 0.5, 4.0, 3.0, 1.0, 2.0, 40.0),
            ("A", "delisting", -100, 4.0, 0.5, 0.0, 0.0, 0.0, 0.0, -60.0),
        ],
        columns=columns,
    )


def test_the_summary_of_a_run():
    equity = pd.DataFrame(
        {
            "day": [date(2024, 1, 2), date(2024, 1, 3)],
            "equity": [1010.0, 990.0],
            "cash": [1060.0, 990.0],
            "gross": [505.0, 0.0],
            "borrow": [0.0, 3.0],
            "dividends": [1.5, 0.0],
        }
    )
    unfilled = pd.DataFrame({"filled": [0, 10, 0]})
    orders = pd.DataFrame({"shares": [100.0, -100.0], "volume": [2000.0, 4000.0]})
    found = metrics.summary(equity, _fills(), unfilled, orders, 1000.0, 0.1)
    assert found.years == 2 / 365.25
    assert found.total_return == pytest.approx(-0.01)
    assert found.max_drawdown == metrics.Drawdown(990 / 1010 - 1, date(2024, 1, 2), date(2024, 1, 3), None)
    assert found.costs == {
        "commission": 4.0, "duty": 1.5, "levies": 1.0, "slippage": 2.0, "borrow": 3.0, "total": 11.5,
    }  # fmt: skip
    assert found.costs_of_gross_profit == pytest.approx(11.5 / 1.5)  # 1.5 was made before costs of 11.5
    assert found.costs_of_equity == pytest.approx(11.5 / 1000)
    assert found.turnover == pytest.approx((500 + 300 + 200) / 2 / 1000 / (2 / 365.25))
    assert found.mean_exposure == pytest.approx(0.25)
    assert found.mean_net_exposure == pytest.approx((1010 - 1060) / 1010 / 2)
    assert (found.max_leverage, found.time_in_market) == (0.5, 0.5)
    # Orders of a twentieth and a fortieth of the volume, a tenth allowed: twice and four times the capital.
    assert found.median_capacity == pytest.approx(3000.0)
    assert found.capacity == pytest.approx(2000 + 0.05 * 2000)
    assert (found.n_fills, found.n_closed, found.n_unfilled, found.n_partial) == (3, 2, 2, 1)
    assert found.hit_rate == 0.5
    assert found.profit_factor == pytest.approx(40 / 60)
    assert found.dividends == 1.5


def test_json_has_no_nan():
    equity = pd.DataFrame(
        {
            "day": [date(2024, 1, 2)], "equity": [1000.0], "cash": [1000.0], "gross": [0.0], "borrow": [0.0],
            "dividends": [0.0],
        }
    )  # fmt: skip
    orders = pd.DataFrame({"shares": [], "volume": []})
    found = metrics.summary(equity, _fills()[:0], pd.DataFrame({"filled": []}), orders, 1000.0, math.nan).as_json()
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["sharpe"] is None
    assert found["first_day"] == "2024-01-02"
    assert found["max_drawdown"] == {"depth": 0.0, "peak": None, "trough": None, "recovery": None}
