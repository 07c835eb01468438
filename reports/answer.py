"""The answer a reader wants first, in one sentence and five figures; the same in every output."""

from __future__ import annotations

import math

from chipwire.reports.benchmarks import Benchmark
from chipwire.reports.collect import RunReport
from chipwire.reports.values import MISSING, money, number, percent
from chipwire.reports.warnings import ENOUGH_TRADES as ENOUGH_TRADES  # the page says it too


def first_benchmark(report: RunReport) -> Benchmark | None:
    """Return the benchmark that the run is measured against: the first one named that could be valued."""
    return report.benchmarks[0] if report.benchmarks else None


def verdict(report: RunReport) -> str:
    """Return what came of the run: gain after costs, against which benchmark, with how many trades."""
    metrics, currency = report.metrics, report.run.currency
    return (
        f"{report.run.strategy} {_moved(metrics.total_return)} after costs from {metrics.first_day} to "
        f"{metrics.last_day} ({money(metrics.capital, currency)} became "
        f"{money(metrics.final_equity, currency)}), {_against(report)}. {_trades(report)}"
    )


def _moved(change: float) -> str:
    if not math.isfinite(change):
        return "cannot be valued"
    return f"{'lost' if change < 0 else 'gained'} {percent(abs(change), signed=False)}"


def _against(report: RunReport) -> str:
    mark = first_benchmark(report)
    if mark is None:
        return "with no benchmark to compare it with"
    return f"while {mark.instrument} {_moved(mark.total_return)}"


def _trades(report: RunReport) -> str:
    metrics = report.metrics
    if not metrics.n_fills:
        return "It made no trade."
    many = f"{metrics.n_fills:,} trade{'s' if metrics.n_fills != 1 else ''}"
    text = f"It made {many}, {metrics.n_closed:,} of them closing or reducing a position"
    if metrics.n_closed < ENOUGH_TRADES:
        return f"{text}: too few trades to tell skill from luck."
    return text + "."


def five_figures(report: RunReport) -> list[tuple[str, str]]:
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
