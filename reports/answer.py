"""The answer a reader wants first, in one sentence and five figures; the same in every output."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chipwire.data.errors import counted
from chipwire.engine.measures import TRADING_DAYS_A_YEAR, daily_returns
from chipwire.reports.benchmarks import Benchmark
from chipwire.reports.figures import RunFigures
from chipwire.reports.values import MISSING, money, number, percent
from chipwire.reports.warnings import ENOUGH_TRADES as ENOUGH_TRADES  # the page says it too

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENOUGH_DAYS = 60
"""Daily returns below which a standard error that holds for many returns is not told."""


def first_benchmark(report: RunFigures) -> Benchmark | None:
    """Return the benchmark that the run is measured against: the first one named that could be valued."""
    return report.benchmarks[0] if report.benchmarks else None


def verdict(report: RunFigures) -> str:
    """Return what came of the run and with how many trades, as text."""
    return f"{answer(report)} {trades(report)}"


def answer(report: RunFigures) -> str:
    """Return the answer in one sentence: gain after costs, against which benchmark, and how sure that is."""
    metrics, currency = report.metrics, report.run.currency
    return (
        f"{report.run.strategy} {_moved(metrics.total_return)} after costs from {metrics.first_day} to "
        f"{metrics.last_day} ({money(metrics.capital, currency)} became "
        f"{money(metrics.final_equity, currency)}), {_against(report)}{_uncertainty(report)}."
    )


def sharpe_standard_error(returns: NDArray[np.float64]) -> float:
    """Return the standard error of the yearly Sharpe ratio of independent daily returns.

    Parameters
    ----------
    returns : array, shape (days,)
        Fractions.

    Returns
    -------
    float
        ``sqrt((1 - g SR + (k - 1) / 4 SR^2) / days) * sqrt(252)`` with the daily Sharpe ratio SR, the skewness g and
        the kurtosis k (3 for a normal distribution, where this is Lo's ``(1 + SR^2 / 2) / days``); moments are those
        of the sample. NaN for fewer than two returns, returns that do not vary, or
        any NaN.

    References
    ----------
    Lo (2002), The statistics of Sharpe ratios, Financial Analysts Journal 58(4); Mertens (2002), Comments on variance
    of the IID estimator in Lo (2002). Returns that hang together from day to day make the true error larger.
    """
    values = np.asarray(returns, dtype=float)
    if len(values) < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return math.nan
    z = (values - values.mean()) / values.std()
    ratio = values.mean() / values.std()
    variance = (1 - np.mean(z**3) * ratio + (np.mean(z**4) - 1) / 4 * ratio**2) / len(values)
    # The moments of a sample keep this at zero or above; rounding may not.
    return math.sqrt(max(float(variance), 0.0) * TRADING_DAYS_A_YEAR)


def believed(report: RunFigures, words: Sequence[str] = ("chipwire",)) -> str:
    """Return what a careful reader should believe of a run that was checked; else how to have it checked.

    The command for that begins with `words`.
    """
    if report.check is not None:
        return str(report.check["sentence"])
    return f"Not checked against luck and placebos: repeat it with {shlex.join(words)} backtest ... --check."


def _uncertainty(report: RunFigures) -> str:
    """Return how sure the Sharpe ratio is, as the end of a sentence; nothing where it cannot be told.

    Nor where the run was checked: the check says more, see `believed`.
    """
    if report.check is not None:
        return ""
    sharpe, returns = report.metrics.sharpe, daily_returns(np.asarray(report.curve))
    error = sharpe_standard_error(returns)
    if len(returns) < ENOUGH_DAYS or not (math.isfinite(sharpe) and math.isfinite(error)):
        return ""
    told = f"; the run's Sharpe ratio is {number(sharpe)} with a standard error of {number(error)}, "
    if abs(sharpe) < 2 * error:
        return f"{told}so luck alone can explain it"
    return f"{told}more than two of them {'above' if sharpe > 0 else 'below'} zero"


def _moved(change: float) -> str:
    if not math.isfinite(change):
        return "cannot be valued"
    return f"{'lost' if change < 0 else 'gained'} {percent(abs(change), signed=False)}"


def _against(report: RunFigures) -> str:
    mark = first_benchmark(report)
    if mark is None:
        return "with no benchmark to compare it with"
    return f"while {mark.instrument} {_moved(mark.total_return)}"


def trades(report: RunFigures) -> str:
    """Return in a sentence how many trades there were, and whether they are too few."""
    metrics = report.metrics
    if not metrics.n_fills:
        return "It made no trade."
    many = counted(metrics.n_fills, "trade")
    text = f"It made {many}, {metrics.n_closed:,} of them closing or reducing a position"
    if metrics.n_closed < ENOUGH_TRADES:
        return f"{text}: too few trades to tell skill from luck."
    return text + "."


def five_figures(report: RunFigures) -> list[tuple[str, str]]:
    """Return label and value of total return, benchmark return, Sharpe ratio, maximum drawdown and costs."""
    metrics, mark = report.metrics, first_benchmark(report)
    return [
        ("Total return", percent(metrics.total_return)),
        (
            f"{mark.instrument} return" if mark else "Benchmark return",
            percent(mark.total_return) if mark else MISSING,
        ),
        ("Sharpe ratio", number(metrics.sharpe)),
        ("Max drawdown", percent(metrics.max_drawdown.depth)),
        ("Costs", money(metrics.costs["total"], report.run.currency)),
    ]
