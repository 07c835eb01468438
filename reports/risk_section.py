"""What the page says of risk: the figures below the first five, and the run against each benchmark."""

from __future__ import annotations

import math
from collections.abc import Callable

from chipwire.data.errors import counted
from chipwire.reports.benchmark_measures import Coefficient
from chipwire.reports.benchmarks import Benchmark
from chipwire.reports.collect import RunReport
from chipwire.reports.values import MISSING, money, number, percent


def further_figures(report: RunReport) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of the figures below the first five."""
    m = report.metrics
    length = f"{'compound, over' if m.years >= 1 else 'extrapolated from'} {number(m.years)} years"
    crowded = "capital at which the participation limit would cut one order in twenty; no price impact counted"
    deep = f"highest gross value over equity; on average {number(m.mean_exposure)}, net {number(m.mean_net_exposure)}"
    return [
        ("Annual return", percent(m.annual_return), length),
        ("Annual volatility", percent(m.annual_volatility, signed=False), "of daily returns, 252 days"),
        ("Sortino ratio", number(m.sortino), "mean over downside deviation, target zero"),
        ("Calmar ratio", number(m.calmar), "annual return over maximum drawdown"),
        ("Value at risk", percent(m.value_at_risk), "one day in twenty is worse"),
        ("Expected shortfall", percent(m.expected_shortfall), "mean of the worst twentieth of days"),
        ("Skewness", number(m.skewness), "of daily returns; below zero the falls are the larger"),
        ("Excess kurtosis", number(m.excess_kurtosis), "of daily returns; a normal distribution has 0"),
        ("Hit rate", percent(m.hit_rate, signed=False), f"of {counted(m.n_closed, 'closing trade')}, after costs"),
        ("Profit factor", number(m.profit_factor), "sum of profits over sum of losses"),
        ("Turnover", f"{number(m.turnover)} a year", "half of what was bought and sold over mean equity"),
        ("Time in market", percent(m.time_in_market, signed=False), "share of days that end with a position"),
        ("Leverage", number(m.max_leverage), deep),
        ("Capacity", money(m.capacity, report.run.currency), crowded),
    ]  # fmt: skip


def against(report: RunReport) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return label and a cell for each benchmark, value and the small text below it; nothing without a benchmark."""
    marks = report.benchmarks
    if not marks:
        return []

    def row(label: str, cell: Callable[[Benchmark], tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
        return label, [cell(mark) for mark in marks]

    return [
        row("Return", lambda b: (percent(b.total_return), "")),
        row("Alpha a year", lambda b: _estimate(b.measures.alpha, percent)),
        row("Beta, daily", lambda b: _estimate(b.measures.beta, number)),
        row("Beta, weekly", lambda b: _estimate(b.measures.weekly_beta, number)),
        row("Correlation", lambda b: (number(b.measures.correlation), "")),
        row("Tracking error", lambda b: (percent(b.measures.tracking_error, signed=False), "")),
        row("Information ratio", lambda b: (number(b.measures.information_ratio), "")),
        row("Up capture", lambda b: (percent(b.measures.up_capture, signed=False), "")),
        row("Down capture", lambda b: (percent(b.measures.down_capture, signed=False), "")),
    ]


def _estimate(found: Coefficient, show: Callable[[float], str]) -> tuple[str, str]:
    """Return a value and its standard error with the probability of such a one by luck."""
    if not math.isfinite(found.value):
        return MISSING, ""
    error = show(found.error).lstrip("+")
    likely = f", p {_likely(found.p)}" if math.isfinite(found.p) else ""
    return show(found.value), f"± {error}{likely}"


def _likely(p: float) -> str:
    return f"= {p:.2g}" if p >= 0.001 else "< 0.001"
