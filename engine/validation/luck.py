"""How much of a run's result luck could have made: probabilities, the days it takes, an interval for every figure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter
from chipwire.data.warehouse import Warehouse
from chipwire.engine import measures
from chipwire.engine.validation.bootstrap import Interval, Statistic, block_length, intervals
from chipwire.engine.validation.sharpe import (
    Moments,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    sharpe_error,
    sharpe_error_dependent,
)
from chipwire.engine.validation.trials import Trials, deflated_sharpe, luck_bar, tried

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
DRAWS = 2_000
FEW_DAYS = 60
_A_YEAR = math.sqrt(measures.TRADING_DAYS_A_YEAR)


@dataclass(frozen=True)
class LuckReport:
    """What `assess` found; Sharpe ratios here are a year's, fractions unless a unit is named.

    Attributes
    ----------
    days : int
        Daily returns.
    sharpe, sharpe_error, sharpe_error_dependent : float
        The Sharpe ratio, its standard error for independent returns, and for returns that depend on each other.
    skew, kurtosis : float
        Of daily returns; a normal distribution has kurtosis 3.
    probabilistic_sharpe : float
        Probability that the true Sharpe ratio is above 0, had nothing else been tried.
    trials : int
        Different configurations ever tried in the warehouse.
    effective_trials : float
        How many independent ones they are worth; the count where that is not known.
    expected_maximum_sharpe : float
        What the best of so many would show by luck.
    deflated_sharpe, deflated_sharpe_effective : float
        Probability that the true Sharpe ratio is above that, with the count of trials, and with the effective number.
    minimum_days : float
        Daily returns it takes for the Sharpe ratio to be above 0 with confidence `level`; infinite where it is not.
    block_days, draws, seed, level : number
        Of the bootstrap.
    intervals : dict of Interval
        ``total_return``, ``annual_return``, ``annual_volatility``, ``sharpe``, ``sortino``, ``max_drawdown``,
        ``calmar``, and ``alpha`` (a year's) where there is a benchmark.
    """

    days: int
    sharpe: float
    sharpe_error: float
    sharpe_error_dependent: float
    skew: float
    kurtosis: float
    probabilistic_sharpe: float
    trials: int
    effective_trials: float
    expected_maximum_sharpe: float
    deflated_sharpe: float
    deflated_sharpe_effective: float
    minimum_days: float
    block_days: float
    draws: int
    seed: int
    level: float
    intervals: dict[str, Interval]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; NaN and infinity as None."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def assess(
    daily_equity: Floats,
    capital: float,
    days: Sequence[date],
    trials: Trials,
    *,
    benchmark: Floats | None = None,
    draws: int = DRAWS,
    level: float = CONFIDENCE,
    seed: int = 0,
) -> LuckReport:
    """Return how far luck could have made a run.

    Parameters
    ----------
    daily_equity : ndarray, shape (n,)
        At the end of each UTC day.
    capital : float
        At the start.
    days : sequence of date
        Of the equity.
    trials : Trials
        All that was tried; see `chipwire.engine.validation.trials.tried`.
    benchmark : ndarray, shape (n + 1,), optional
        Its value on the day before the first, and at the end of each; alpha is the intercept of the run's daily
        returns on its, times 252 (M. C. Jensen, Journal of Finance 23, 1968; risk-free rate zero).
    draws, level, seed
        Of the bootstrap.

    Raises
    ------
    BadParameter
        Fewer than two days, or lengths that differ.
    """
    n = len(daily_equity)
    if n < 2 or n != len(days) or (benchmark is not None and len(benchmark) != n + 1):
        raise BadParameter("daily_equity", f"{n} days", "two or more, as many dates, and one more of the benchmark")
    returns = measures.daily_returns(np.concatenate(([capital], daily_equity)))
    of = moments(returns)
    length = block_length(returns)
    return LuckReport(
        days=n,
        sharpe=of.sharpe * _A_YEAR,
        sharpe_error=sharpe_error(of) * _A_YEAR,
        sharpe_error_dependent=sharpe_error_dependent(returns) * _A_YEAR,
        skew=of.skew,
        kurtosis=of.kurtosis,
        probabilistic_sharpe=probabilistic_sharpe(of),
        **deflated(of, trials),
        minimum_days=minimum_track_record(of, confidence=level),
        block_days=length,
        draws=draws,
        seed=seed,
        level=level,
        intervals=_intervals(returns, days, benchmark, length, draws, level, seed),
    )


def luck_of_run(warehouse: Warehouse, run_id: str, *, benchmark: Floats | None = None) -> LuckReport:
    """Return how far luck could have made a stored run, with all that was ever tried in the warehouse.

    Parameters
    ----------
    run_id : str
        Of a run that is there.
    benchmark : ndarray, optional
        See `assess`.

    Raises
    ------
    BadParameter
        See `assess`.
    """
    strategy, settings = warehouse.rows("SELECT strategy, settings FROM run WHERE run_id = ?", [run_id])[0]
    rows = warehouse.rows("SELECT day, equity FROM equity WHERE run_id = ? ORDER BY day", [run_id])
    equity = np.array([value for _, value in rows], dtype=np.float64)
    capital = float(json.loads(settings)["capital"])
    return assess(equity, capital, [day for day, _ in rows], tried(warehouse, strategy), benchmark=benchmark)


def deflated(of: Moments, trials: Trials) -> dict[str, Any]:
    """Return the fields of a `LuckReport` that follow from what was tried."""
    return {
        "trials": trials.count,
        "effective_trials": trials.effective,
        "expected_maximum_sharpe": luck_bar(of, trials) * _A_YEAR,
        "deflated_sharpe": deflated_sharpe(of, trials),
        "deflated_sharpe_effective": deflated_sharpe(of, trials, effective=True),
    }


def _intervals(
    returns: Floats, days: Sequence[date], benchmark: Floats | None, length: float, draws: int, level: float, seed: int
) -> dict[str, Interval]:
    years = measures.years_between(days[0] - timedelta(days=1), days[-1])
    series = returns if benchmark is None else np.column_stack([returns, measures.daily_returns(benchmark)])
    if not np.isfinite(series).all():  # an equity of nothing or less: no other order of its days makes sense
        missing = Interval(math.nan, math.nan, math.nan)
        return dict.fromkeys(headline_figures(years)(np.ones((1, 2))), missing)
    return intervals(series, headline_figures(years), length=length, draws=draws, level=level, seed=seed)


def headline_figures(years: float) -> Statistic:
    """Return the statistic of all headline figures of daily returns over so many years.

    It takes returns (draws, days), or with a benchmark's beside them (draws, days, 2).
    """

    def figures(drawn: Floats) -> dict[str, Floats]:
        returns = np.ascontiguousarray(drawn if drawn.ndim == 2 else drawn[..., 0])
        curves = np.ones((len(returns), returns.shape[1] + 1))
        np.cumprod(1 + returns, axis=1, out=curves[:, 1:])
        yearly, depth = measures.annual_return(curves, years), measures.max_depth(curves)
        found = {
            "total_return": measures.total_return(curves),
            "annual_return": yearly,
            "annual_volatility": measures.annual_volatility(returns),
            "sharpe": measures.sharpe_ratio(returns),
            "sortino": measures.sortino_ratio(returns),
            "max_drawdown": depth,
            "calmar": measures.calmar_ratio(yearly, depth),
        }
        return found if drawn.ndim == 2 else found | {"alpha": _alpha(returns, drawn[..., 1])}

    return figures


def _alpha(returns: Floats, market: Floats) -> Floats:
    """Return the yearly intercept of each row on its market's row; NaN where the market does not vary."""
    mean, middle = returns.mean(axis=-1), market.mean(axis=-1)
    away = market - middle[:, None]
    beta = measures.ratio(((returns - mean[:, None]) * away).sum(axis=-1), (away**2).sum(axis=-1))
    return np.asarray((mean - beta * middle) * measures.TRADING_DAYS_A_YEAR, dtype=np.float64)


def believe(report: LuckReport) -> str:
    """Return in one sentence what a careful reader should believe of a run."""
    if math.isnan(report.deflated_sharpe):
        return "The returns do not vary or are too few: nothing can be said about luck."
    tried = "the only configuration tried" if report.trials == 1 else f"the best of {report.trials:,} tried by luck"
    seen = f"a Sharpe ratio of {report.sharpe:.2f} over {report.days:,} days"
    if report.trials > 1:
        seen += f", where {tried} would show {report.expected_maximum_sharpe:.2f},"
    chance = f"{report.deflated_sharpe:.0%}"
    if report.days < FEW_DAYS:
        return f"With {seen} there are too few days to tell an edge from luck."
    if report.deflated_sharpe >= CONFIDENCE:
        return f"With {seen} an edge is likelier than luck ({chance} after deflation), if no other data was tried on."
    if report.probabilistic_sharpe >= CONFIDENCE:
        return f"With {seen} the result would stand alone, but not as one of all that was tried ({chance})."
    return f"With {seen} luck explains the result: no edge is shown ({chance} after deflation)."


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
