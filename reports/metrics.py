"""One pure function for each measure, and `summary`, which computes all of them once for every output.

Conventions: a *curve* is the equity at UTC day ends with the starting capital in front, so ``curve[0]`` is
the capital on the day before the first day. Measures of curves live in `chipwire.engine.measures`, where sweeps
compute them of many curves at once, those of trades in `chipwire.reports.trade_measures`, and those against a
benchmark in `chipwire.reports.benchmark_measures`. Returns and ratios are plain fractions (0.05 is 5 %), the
risk-free rate and the target return are zero, and a measure that its input cannot give is NaN, never a guess.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from chipwire.engine import measures
from chipwire.engine.measures import daily_returns, drawdowns, years_between
from chipwire.reports.trade_measures import capacity, closing_fills, hit_rate, profit_factor, turnover

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COST_KINDS = ("commission", "duty", "levies", "slippage", "borrow")


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall of a curve from an earlier high.

    Attributes
    ----------
    depth : float
        Lowest value over the running maximum, less 1: a fraction <= 0.
    peak, trough, recovery : date or None
        Day of the high, of the low, and the first later day at or above the high; None where there was none.
    """

    depth: float
    peak: date | None
    trough: date | None
    recovery: date | None


@dataclass(frozen=True)
class Metrics:
    """Every figure of a run, computed once by `summary`; fractions unless a unit is named.

    Attributes
    ----------
    first_day, last_day : date
        First and last UTC day of the equity.
    days : int
        Number of UTC days with an equity.
    years : float
        Length of the run, see `years_between`.
    capital, final_equity : float
        Base currency, at the start and at the end.
    value_at_risk, expected_shortfall : float
        Of one day, historical, of one day in twenty (`measures.TAIL`): below 0 for a loss.
    mean_exposure, mean_net_exposure, max_leverage : float
        Of equity, at days' ends: mean sum of sizes of all positions, which is the mean leverage; mean of longs less
        shorts; highest sum of sizes.
    capacity, median_capacity : float
        Base currency: starting capital at which one order in twenty, and every other order, would have reached the
        largest part of the bar's volume allowed; see `chipwire.reports.trade_measures.capacity`.
    n_fills : int
        Fills at auctions and forced closings; share changes by splits are not counted.
    n_closed : int
        Fills that reduced, closed or turned a position.
    n_unfilled, n_partial : int
        Orders of which nothing, or not everything, was filled.
    costs : Mapping
        Base currency by kind, see `COST_KINDS`, and their ``total``; dividends are not netted.
    """

    first_day: date
    last_day: date
    days: int
    years: float
    capital: float
    final_equity: float
    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: float
    sortino: float
    max_drawdown: Drawdown
    calmar: float
    value_at_risk: float
    expected_shortfall: float
    skewness: float
    excess_kurtosis: float
    hit_rate: float
    profit_factor: float
    turnover: float
    mean_exposure: float
    mean_net_exposure: float
    time_in_market: float
    max_leverage: float
    capacity: float
    median_capacity: float
    costs: Mapping[str, float]
    costs_of_gross_profit: float
    costs_of_equity: float
    dividends: float
    n_fills: int
    n_closed: int
    n_unfilled: int
    n_partial: int

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values: ISO dates, NaN as None."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date) else value


# --- growth ----------------------------------------------------------------------------------------------


def total_return(curve: Floats) -> float:
    """Return ``last / first - 1``; NaN for fewer than two values or a first value that is not positive."""
    return float(measures.total_return(curve))


def annual_return(curve: Floats, years: float) -> float:
    """Return the compound growth a year; see `measures.annual_return`."""
    return float(measures.annual_return(curve, years))


# --- risk ------------------------------------------------------------------------------------------------


def annual_volatility(returns: Floats) -> float:
    """Return the yearly standard deviation of daily returns; see `measures.annual_volatility`."""
    return float(measures.annual_volatility(returns))


def sharpe_ratio(returns: Floats) -> float:
    """Return the Sharpe ratio of daily returns; see `measures.sharpe_ratio`."""
    return float(measures.sharpe_ratio(returns))


def sortino_ratio(returns: Floats) -> float:
    """Return the Sortino ratio of daily returns; see `measures.sortino_ratio`."""
    return float(measures.sortino_ratio(returns))


def max_drawdown(days: Sequence[date], curve: Floats) -> Drawdown:
    """Return the deepest drawdown with its days; the first of several equally deep ones.

    The peak is the last day at the high before the low. Depth 0 and no days for a curve that never falls.
    """
    depths = drawdowns(curve)
    trough = int(np.argmin(depths))
    if not depths[trough] < 0:
        return Drawdown(0.0, None, None, None)
    high = float(np.max(curve[: trough + 1]))
    peak = int(np.flatnonzero(curve[: trough + 1] == high)[-1])
    later = np.flatnonzero(curve[trough:] >= high)
    recovery = days[trough + int(later[0])] if len(later) else None
    return Drawdown(float(depths[trough]), days[peak], days[trough], recovery)


def calmar_ratio(yearly: float, depth: float) -> float:
    """Return annual return over the size of the maximum drawdown; see `measures.calmar_ratio`."""
    return _ratio(yearly, abs(depth))


# --- costs -----------------------------------------------------------------------------------------------


def costs_by_kind(fills: pd.DataFrame, borrow: Floats) -> dict[str, float]:
    """Return costs in base currency by kind and their ``total``.

    `fills` has the columns of the warehouse's ``fill`` table; its costs are local currency and are converted
    with the fill's own ``fx``. Slippage is already inside the fill price: it is a cost, but no further cash
    flow.
    """
    fx = fills["fx"].to_numpy(dtype=np.float64)
    costs = {kind: float((fills[kind].to_numpy(dtype=np.float64) * fx).sum()) for kind in COST_KINDS[:-1]}
    costs["borrow"] = float(np.asarray(borrow, dtype=np.float64).sum())
    return costs | {"total": math.fsum(costs.values())}


def _ratio(above: float, below: float) -> float:
    return float(measures.ratio(np.asarray(above), np.asarray(below)))


# --- all of them -----------------------------------------------------------------------------------------


def with_capital(days: Sequence[date], equity: Floats, capital: float) -> tuple[list[date], Floats]:
    """Return days and equity as a curve: the capital in front, on the day before the first."""
    front = [days[0] - timedelta(days=1)]
    return front + list(days), np.concatenate(([capital], np.asarray(equity, dtype=np.float64)))


def summary(
    equity: pd.DataFrame,
    fills: pd.DataFrame,
    unfilled: pd.DataFrame,
    orders: pd.DataFrame,
    capital: float,
    participation: float,
) -> Metrics:
    """Compute every figure of a run.

    Parameters
    ----------
    equity, fills, unfilled : DataFrame
        Rows of the run in the warehouse's tables of these names, in the order of their keys;
        ``equity["day"]`` holds `datetime.date`. At least one day of equity.
    orders : DataFrame
        Shares and bar volume of each order, as ``orders.sql`` gives them.
    capital : float
        Base currency at the start.
    participation : float
        Largest part of a bar's volume that an order could take; NaN where it is not known.
    """
    first, last = equity["day"].iloc[0], equity["day"].iloc[-1]
    values = equity["equity"].to_numpy(dtype=np.float64)
    days, curve = with_capital(list(equity["day"]), values, capital)
    years = years_between(days[0], last)
    returns = daily_returns(curve)
    yearly = annual_return(curve, years)
    deepest = max_drawdown(days, curve)
    costs = costs_by_kind(fills, equity["borrow"].to_numpy(dtype=np.float64))
    closing = closing_fills(list(fills["instrument"]), [int(n) for n in fills["shares"]])
    trades = (fills["auction"] != "action").to_numpy(dtype=np.bool_)
    realized = fills["realized"].to_numpy(dtype=np.float64)[closing & trades]
    traded = (fills["shares"] * fills["price"] * fills["fx"]).to_numpy(dtype=np.float64)[trades]
    nothing = (unfilled["filled"] == 0).to_numpy(dtype=np.bool_)
    earned = float(curve[-1] - curve[0]) + costs["total"]
    gross = equity["gross"].to_numpy(dtype=np.float64)
    net = values - equity["cash"].to_numpy(dtype=np.float64)
    sizes = orders["shares"].to_numpy(dtype=np.float64), orders["volume"].to_numpy(dtype=np.float64)
    return Metrics(
        first_day=first,
        last_day=last,
        days=len(values),
        years=years,
        capital=capital,
        final_equity=float(curve[-1]),
        total_return=total_return(curve),
        annual_return=yearly,
        annual_volatility=annual_volatility(returns),
        sharpe=sharpe_ratio(returns),
        sortino=sortino_ratio(returns),
        max_drawdown=deepest,
        calmar=calmar_ratio(yearly, deepest.depth),
        value_at_risk=float(measures.value_at_risk(returns)),
        expected_shortfall=float(measures.expected_shortfall(returns)),
        skewness=float(measures.skewness(returns)),
        excess_kurtosis=float(measures.excess_kurtosis(returns)),
        hit_rate=hit_rate(realized),
        profit_factor=profit_factor(realized),
        turnover=turnover(traded, values, years),
        mean_exposure=float(measures.mean_exposure(gross, values)),
        mean_net_exposure=float(measures.mean_exposure(net, values)),
        time_in_market=float(measures.time_in_market(gross)),
        max_leverage=float(measures.max_leverage(gross, values)),
        capacity=capacity(capital, participation, *sizes),
        median_capacity=capacity(capital, participation, *sizes, crowded=0.5),
        costs=costs,
        costs_of_gross_profit=costs["total"] / earned if earned > 0 else math.nan,
        costs_of_equity=costs["total"] / float(np.mean(values)) if np.mean(values) > 0 else math.nan,
        dividends=float(equity["dividends"].sum()),
        n_fills=int(trades.sum()),
        n_closed=len(realized),
        n_unfilled=int(nothing.sum()),
        n_partial=int((~nothing).sum()),
    )
