"""What is said of a result: only where it holds, with the numbers that make it so."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from chipwire.reports.metrics import Metrics, summary
from chipwire.reports.warnings import (
    ENOUGH_TRADES,
    Gap,
    few_trades,
    heavy_costs,
    missing_sessions,
    one_trade,
    warn_of_result,
)


@pytest.fixture
def metrics() -> Metrics:
    """Return the figures of a run that made 100 of 1,000, after costs of 10, in many trades."""
    equity = pd.DataFrame(
        {
            "day": [date(2024, 1, 2)], "equity": [1100.0], "cash": [1100.0], "gross": [0.0], "borrow": [0.0],
            "dividends": [0.0],
        }
    )  # fmt: skip
    names = ["instrument", "auction", "shares", "price", "fx", "commission", "duty", "levies", "slippage", "realized"]
    empty = pd.DataFrame({name: [] for name in names})
    found = summary(
        equity, empty, pd.DataFrame({"filled": []}), pd.DataFrame({"shares": [], "volume": []}), 1000.0, 0.1
    )
    return dataclasses.replace(found, n_fills=200, n_closed=100, costs={"total": 10.0})


def _trips(*profits: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"instrument": "NVDA", "side": "long", "first_fill": np.arange(1, len(profits) + 1), "profit": profits}
    )


def test_nothing_is_said_of_a_sound_result(metrics):
    assert warn_of_result(metrics, _trips(*[1.0] * 100), [Gap("NVDA", 0, 100)], "USD") == ()


def test_few_trades(metrics):
    assert few_trades(dataclasses.replace(metrics, n_closed=ENOUGH_TRADES)) is None
    assert "only 29 trades" in (few_trades(dataclasses.replace(metrics, n_closed=29)) or "")
    assert (few_trades(dataclasses.replace(metrics, n_closed=0)) or "").startswith("no trade closed")
    assert few_trades(dataclasses.replace(metrics, n_fills=0, n_closed=0)) is None  # the verdict says that


def test_one_trade_that_makes_the_result():
    assert one_trade(100.0, _trips(49.0, 30.0, 21.0), "USD") is None
    half = one_trade(100.0, _trips(20.0, 50.0, 30.0), "USD") or ""
    assert half.endswith("without NVDA long from fill 2 on (USD 50) the gain of USD 100 would be USD 50")
    assert (one_trade(100.0, _trips(-50.0, 150.0), "USD") or "").endswith("would be a loss of USD 50")
    assert one_trade(-100.0, _trips(50.0, -150.0), "USD") is None
    assert one_trade(100.0, _trips(), "USD") is None


def test_costs_that_eat_the_profit(metrics):
    def costs(total, final):
        return heavy_costs(dataclasses.replace(metrics, costs={"total": total}, final_equity=final), "USD")

    assert costs(99.0, 1100.0) is None
    assert costs(100.0, 1100.0) == "costs took 50% of what was made before them: USD 100 of USD 200"
    assert costs(100.0, 950.0) == "costs of USD 100 turned a gain of USD 50 into a loss of USD 50"
    assert costs(100.0, 900.0) is None  # nothing was made before them
    assert costs(0.0, 1000.0) is None


def test_missing_sessions_name_the_worst():
    gaps = [Gap("A", 0, 9), Gap("B", 1, 9), Gap("C", 3, 1200), Gap("D", 2, 9), Gap("E", 1, 9)]
    assert missing_sessions(gaps) == (
        "bars are missing (or trading was suspended): C on 3 of 1,200 sessions, D on 2 of 9 sessions, B on 1 of 9 "
        "sessions and 1 more"
    )
    assert missing_sessions(gaps[:1]) is None
