"""The charts of the page as Vega-Lite specifications, made with altair; the page's own script draws them.

Colours are the page's CSS variables ``--line-0``, ``--line-1``, ..., so that a chart follows the page into
dark mode and onto paper without being drawn again. Nothing is computed in a chart that the report does not
hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import altair as alt

from chipwire.reports.collect import RunReport

N_STYLES = 6
"""Line styles that the page's style sheet knows: colour and dash together, so that colour is never needed."""

_DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3])
_POINTS_AT_MOST = 4_000
_SHORT_DAYS = 100
"""Span up to which the time axis is labelled with days instead of months."""


def equity_chart(report: RunReport) -> dict[str, Any]:
    """Return the chart of the run's and the benchmarks' change since the start, one line each."""
    series = [(report.run.strategy, _change(report.curve, report.run.capital))]
    series += [(b.instrument, _change(b.values, report.run.capital)) for b in report.benchmarks]
    layers = [_line(number, 2.2 if number == 0 else 1.4) for number in reversed(range(len(series)))]
    described = f"Change since the start of {', '.join(name for name, _ in series)}."
    return _chart(report.days, series, layers, height=340, description=described)


def drawdown_chart(report: RunReport) -> dict[str, Any]:
    """Return the chart of the run's drawdown as an area from zero down."""
    area = _base().mark_area(color=_colour(0), opacity=0.25, line={"color": _colour(0), "strokeWidth": 1.2}, aria=False)
    layers = [area.encode(x=_x(), y=_y(0))]
    series = [(report.run.strategy, report.drawdown)]
    return _chart(report.days, series, layers, height=170, description="Drawdown from the highest equity so far.")


def legend(report: RunReport) -> list[tuple[int, str, float]]:
    """Return style number, name and total return of each line of `equity_chart`."""
    lines = [(report.run.strategy, report.metrics.total_return)]
    lines += [(f"{b.instrument} {b.name}", b.total_return) for b in report.benchmarks]
    return [(number % N_STYLES, name, change) for number, (name, change) in enumerate(lines)]


def _change(values: Sequence[float], capital: float) -> list[float]:
    return [value / capital - 1 for value in values]


def _colour(number: int) -> str:
    return f"var(--line-{number % N_STYLES})"


def _base() -> alt.Chart:
    return alt.Chart(alt.NamedData(name="curve"))


def _x() -> alt.X:
    # The label's format, which depends on the span, is set for the whole chart in `_chart`.
    axis = alt.Axis(title=None, grid=False, labelOverlap="greedy", labelSeparation=12, labelBound=True)
    return alt.X("day:T", scale=alt.Scale(type="utc"), axis=axis)


def _y(number: int) -> alt.Y:
    axis = alt.Axis(title=None, format="~%", tickCount=6)
    return alt.Y(f"s{number}:Q", axis=axis, scale=alt.Scale(zero=True))


def _line(number: int, width: float) -> alt.Chart:
    mark = _base().mark_line(
        color=_colour(number), strokeWidth=width, strokeDash=_DASHES[number % N_STYLES], aria=False
    )
    line: alt.Chart = mark.encode(x=_x(), y=_y(number))
    return line


def _cursor(series: Sequence[tuple[str, Sequence[float]]]) -> alt.Chart:
    """Return a vertical rule that follows the pointer and tells the day's values."""
    # Named by hand: altair's own names count up within a process, and the page must be the same each time.
    hover = alt.selection_point(
        name="hover", fields=["day"], nearest=True, on="pointerover", clear="pointerout", empty=False
    )
    tips = [alt.Tooltip("day:T", title="UTC day", timeUnit="utcyearmonthdate", format="%Y-%m-%d")]
    tips += [alt.Tooltip(f"s{n}:Q", title=name, format="+.1%") for n, (name, _) in enumerate(series)]
    rule = _base().mark_rule(color="var(--muted)", strokeWidth=1, aria=False).add_params(hover)
    cursor: alt.Chart = rule.encode(x=_x(), tooltip=tips, opacity=alt.condition(hover, alt.value(0.8), alt.value(0)))
    return cursor


def _rows(days: Sequence[date], series: Sequence[tuple[str, Sequence[float]]]) -> list[dict[str, str | float | None]]:
    """Return one row a day; of very many days every k-th and the last."""
    step = math.ceil(len(days) / _POINTS_AT_MOST)
    shown = sorted({*range(0, len(days), step), len(days) - 1})
    return [
        {"day": days[i].isoformat()}
        | {f"s{n}": round(v[i], 5) if math.isfinite(v[i]) else None for n, (_, v) in enumerate(series)}
        for i in shown
    ]


def _chart(
    days: Sequence[date],
    series: Sequence[tuple[str, Sequence[float]]],
    layers: Sequence[alt.Chart],
    *,
    height: int,
    description: str,
) -> dict[str, Any]:
    chart = alt.layer(*layers, _cursor(series)).properties(width="container", height=height, description=description)
    muted, faint = "var(--muted)", "var(--hairline)"
    chart = chart.configure(font="inherit", background="transparent").configure_view(stroke=None)
    chart = chart.configure_axis(
        labelColor=muted, labelFontSize=12, gridColor=faint, domainColor=faint, tickColor=faint
    ).configure_axisTemporal(format="%b %Y" if (days[-1] - days[0]).days > _SHORT_DAYS else "%d %b")
    spec: dict[str, Any] = chart.to_dict()
    spec["datasets"] = {"curve": _rows(days, series)}
    return spec
