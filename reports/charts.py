"""The charts of the page as Vega-Lite specifications, made with altair; the page's own script draws them.

A chart is ``{"spec": ..., "days": [...], "series": [[...], ...]}``: the specification names its data ``curve``, whose
rows the script makes from the columns (`rows` does the same for pictures). Colours are the page's CSS variables
``--line-0``, ``--line-1``, ..., so that a chart follows the page into dark mode and onto paper without being drawn
again. Zoom is the parameter ``span``, two instants or null, which the page's script sets in all charts at once.
Nothing is computed in a chart that the report does not hold.
"""

from __future__ import annotations

import math
from bisect import bisect_left
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
"""Days in sight up to which the time axis is labelled with days instead of months."""
_IN_SPAN = "span == null || (datum.day >= span[0] && datum.day <= span[1])"
_DAY_MS = 86_400_000
_DAY_LABEL = f"utcFormat(datum.value, domain('x')[1] - domain('x')[0] > {_SHORT_DAYS * _DAY_MS} ? '%b %Y' : '%d %b %Y')"
_FONT = "system-ui, Liberation Sans, sans-serif"

Series = Sequence[tuple[str, Sequence[float]]]


def equity_chart(report: RunReport) -> dict[str, Any]:
    """Return the chart of the run's and the benchmarks' change since the start, one line each.

    Headlines are marked on the run's line by the page's script, which has their titles.
    """
    series = [(report.run.strategy, change(report.curve, report.run.capital))]
    series += [(b.instrument, change(b.values, report.run.capital)) for b in report.benchmarks]
    described = f"Change since the start of {', '.join(name for name, _ in series)}."
    return lines_chart(report.days, series, height=300, description=described, marks=True)


def lines_chart(
    days: Sequence[date], series: Series, *, height: int, description: str, marks: bool = False
) -> dict[str, Any]:
    """Return a chart of changes over days, one line each, the first one the thickest and in front."""
    layers = [_line(number, 2.2 if number == 0 else 1.4) for number in reversed(range(len(series)))]
    layers.append(_cursor([name for name, _ in series], "+.1%"))
    return _chart(
        days, series, [*layers, *([_marks(alt.Y("s0:Q"))] if marks else [])], height=height, description=description
    )


def drawdown_chart(report: RunReport) -> dict[str, Any]:
    """Return the chart of the run's drawdown as an area from zero down."""
    series = [(report.run.strategy, report.drawdown)]
    described = "Drawdown from the highest equity so far."
    layers = [_area(), _cursor(["Drawdown"], ".1%")]
    return _chart(report.days, series, layers, height=150, description=described)


def exposure_chart(report: RunReport) -> dict[str, Any]:
    """Return the chart of the gross position value over equity at the end of each day."""
    equity = report.equity["equity"].to_numpy(dtype=float)
    gross = report.equity["gross"].to_numpy(dtype=float)
    shares = [0.0, *(g / e if e > 0 else math.nan for g, e in zip(gross, equity, strict=True))]
    described = "Gross value of all positions as a part of equity."
    layers = [_area(), _cursor(["Invested"], ".0%")]
    return _chart(report.days, [("Invested", shares)], layers, height=120, description=described)


def price_chart() -> dict[str, Any]:
    """Return the chart of one instrument's closes with the run's fills and headlines; the script gives the data."""
    line = _base().mark_line(color=_colour(0), strokeWidth=1.4, aria=False)
    tips = [alt.Tooltip("day:T", title="Session", timeUnit="utcyearmonthdate", format="%Y-%m-%d"),
            alt.Tooltip("s0:Q", title="Close", format=",.4~f")]  # fmt: skip
    layers = [
        line.encode(x=_x(), y=_y(0, axis_format=",.4~f", zero=False)),
        _rule(tips),
        _trades("buy", "triangle-up", "var(--buy)"),
        _trades("sell", "triangle-down", "var(--sell)"),
        # At the foot, where they hide no fill.
        _marks(alt.value(alt.ExprRef("height - 8"))),
    ]
    chart = _spec(layers, height=300, description="Closing prices, with what was bought and sold and why.")
    return {"spec": chart, "days": [], "series": []}


def legend(report: RunReport) -> list[tuple[str, str, str, float]]:
    """Return colour, dashes, name and total return of each line of `equity_chart`."""
    lines = [(report.run.strategy, report.metrics.total_return)]
    lines += [(f"{b.instrument} {b.name}", b.total_return) for b in report.benchmarks]
    return [(*swatch(number), name, gain) for number, (name, gain) in enumerate(lines)]


def swatch(number: int) -> tuple[str, str]:
    """Return colour and dashes of a line as SVG has them."""
    colour, dashes = style_of(number)
    return colour, " ".join(map(str, dashes))


def change(values: Sequence[float], capital: float) -> list[float]:
    """Return each value over the capital, less 1."""
    return [value / capital - 1 for value in values]


def rows(chart: dict[str, Any]) -> list[dict[str, float | None]]:
    """Return the rows that the chart's specification draws, as the page's script makes them from the columns."""
    days, series = chart["days"], chart["series"]
    return [
        {"day": day * _DAY_MS} | {f"s{n}": values[i] for n, values in enumerate(series)} for i, day in enumerate(days)
    ]


def mark_rows(chart: dict[str, Any], known: Sequence[date]) -> list[dict[str, Any]]:
    """Return where headlines known on those days are marked on the first line: on that day or the next there is."""
    days: list[int] = chart["days"]
    places = [min(bisect_left(days, (day - date(1970, 1, 1)).days), len(days) - 1) for day in known]
    return [{"day": days[p] * _DAY_MS, "s0": chart["series"][0][p], "n": n} for n, p in enumerate(places)]


def style_of(number: int) -> tuple[str, list[int]]:
    """Return colour and dashes of a line."""
    return _colour(number), _DASHES[number % N_STYLES]


# --- parts -----------------------------------------------------------------------------------------------


def _colour(number: int) -> str:
    return f"var(--line-{number % N_STYLES})"


def _base(name: str = "curve") -> alt.Chart:
    return alt.Chart(alt.NamedData(name=name))


def _x() -> alt.X:
    # So few ticks that labels do not meet: after a zoom Vega would hide overlapping ones in no order.
    axis = alt.Axis(
        title=None, grid=False, labelOverlap=False, labelFlush=False, labelExpr=_DAY_LABEL,
        tickCount={"expr": "width / 150"},
    )  # fmt: skip
    return alt.X("day:T", scale=alt.Scale(type="utc", domainRaw=alt.ExprRef("span")), axis=axis)


def _y(number: int, *, axis_format: str = "~%", zero: bool = True) -> alt.Y:
    axis = alt.Axis(title=None, format=axis_format, tickCount=6, minExtent=44)
    return alt.Y(f"s{number}:Q", axis=axis, scale=alt.Scale(zero=zero))


def _line(number: int, width: float) -> alt.Chart:
    mark = _base().mark_line(
        color=_colour(number), strokeWidth=width, strokeDash=_DASHES[number % N_STYLES], aria=False
    )
    line: alt.Chart = mark.encode(x=_x(), y=_y(number))
    return line


def _area() -> alt.Chart:
    line = {"color": _colour(0), "strokeWidth": 1.2}
    area: alt.Chart = _base().mark_area(color=_colour(0), opacity=0.25, line=line, aria=False).encode(x=_x(), y=_y(0))
    return area


def _cursor(names: Sequence[str], form: str) -> alt.Chart:
    tips = [alt.Tooltip("day:T", title="UTC day", timeUnit="utcyearmonthdate", format="%Y-%m-%d")]
    return _rule(tips + [alt.Tooltip(f"s{n}:Q", title=name, format=form) for n, name in enumerate(names)])


def _rule(tips: list[alt.Tooltip]) -> alt.Chart:
    """Return a vertical rule that follows the pointer and tells the day's values."""
    # Named by hand: altair's own names count up within a process, and the page must be the same each time.
    hover = alt.selection_point(
        name="hover", fields=["day"], nearest=True, on="pointerover", clear="pointerout", empty=False
    )
    rule = _base().mark_rule(color="var(--muted)", strokeWidth=1, aria=False).add_params(hover)
    cursor: alt.Chart = rule.encode(x=_x(), tooltip=tips, opacity=alt.condition(hover, alt.value(0.8), alt.value(0)))
    return cursor


def _marks(y: Any) -> alt.Chart:
    """Return diamonds for headlines; the one that the reader has chosen, ``picked``, is larger."""
    diamond = _base("marks").mark_point(
        shape="diamond", filled=True, fill="var(--mark)", stroke="var(--paper)", strokeWidth=1, opacity=1, aria=False,
        cursor="pointer",
    )  # fmt: skip
    size = alt.condition("datum.n === picked", alt.value(260), alt.value(90))
    # The tip itself is the page's; without one here the pointer would not be told of.
    marks: alt.Chart = diamond.transform_filter(_IN_SPAN).encode(x=_x(), y=y, size=size, tooltip="n:Q")
    return marks


def _trades(side: str, shape: str, colour: str) -> alt.Chart:
    point = _base(side).mark_point(
        shape=shape, filled=True, fill=colour, stroke="var(--paper)", strokeWidth=0.5, size=70, opacity=1, aria=False
    )
    trades: alt.Chart = point.transform_filter(_IN_SPAN).encode(x=_x(), y=alt.Y("price:Q"), tooltip="day:T")
    return trades


def _chart(
    days: Sequence[date], series: Series, layers: Sequence[alt.Chart], *, height: int, description: str
) -> dict[str, Any]:
    """Return specification and columns; of very many days every k-th and the last."""
    step = math.ceil(len(days) / _POINTS_AT_MOST)
    shown = sorted({*range(0, len(days), step), len(days) - 1})
    return {
        "spec": _spec(layers, height=height, description=description),
        "days": [(days[i] - date(1970, 1, 1)).days for i in shown],
        "series": [[round(v[i], 4) if math.isfinite(v[i]) else None for i in shown] for _, v in series],
    }


def _spec(layers: Sequence[alt.Chart], *, height: int, description: str) -> dict[str, Any]:
    chart = alt.layer(*layers).properties(width="container", height=height, description=description)
    spec: dict[str, Any] = configured(chart).to_dict(validate=False)
    for layer in spec["layer"]:
        if layer["data"] == {"name": "curve"}:
            layer["transform"] = [{"filter": _IN_SPAN}]
    spec["params"] = [*spec.get("params", ()), {"name": "span", "value": None}, {"name": "picked", "value": -1}]
    return spec


def configured(chart: alt.LayerChart | alt.FacetChart) -> alt.LayerChart | alt.FacetChart:
    """Return a chart in the page's own colours and letters."""
    muted, faint = "var(--muted)", "var(--hairline)"
    chart = chart.configure(font=_FONT, background="transparent").configure_view(stroke=None)
    found: alt.LayerChart | alt.FacetChart = chart.configure_axis(
        labelColor=muted, labelFontSize=12, gridColor=faint, domainColor=faint, tickColor=faint, titleColor=muted,
        titleFontSize=12, titleFontWeight="normal",
    )  # fmt: skip
    return found
