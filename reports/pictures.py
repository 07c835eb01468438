"""The main charts as PNG, from the specifications of the page and without a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chipwire.reports import charts
from chipwire.reports.page import light_colours, vegalite_version
from chipwire.reports.tables import first_headlines, largest_headlines
from chipwire.reports.values import minus, percent

if TYPE_CHECKING:
    from chipwire.reports.collect import RunReport

WIDTH = 1000
"""Points of a chart's plot; a picture has two pixels a point."""
_FONT = "DejaVu Sans, Liberation Sans, sans-serif"


def pictures(report: RunReport) -> dict[str, bytes]:
    """Return ``equity.png`` and ``drawdown.png``: the page's charts in its light colours, with a legend.

    The headlines behind the largest trades are marked as on the page.
    """
    equity, fall = charts.equity_chart(report), charts.drawdown_chart(report)
    known = [at.date() for at in largest_headlines(first_headlines(report))["available_at"]]
    told = ["\N{BLACK DIAMOND} a headline behind one of the largest trades"] if known else []
    names = [f"{name} {minus(percent(gain))}" for _, _, name, gain in charts.legend(report)]
    return {
        "equity.png": _png(equity, [f"{report.run.strategy}: change since the start", *told], names, known),
        "drawdown.png": _png(fall, [f"{report.run.strategy}: drawdown"], [], []),
    }


def _png(chart: dict[str, Any], title: list[str], names: Sequence[str], known: Sequence[Any]) -> bytes:
    import vl_convert

    spec = chart["spec"] | {
        "width": WIDTH,
        "title": {"text": title[0], "subtitle": title[1:], "anchor": "start", "color": "var(--ink)",
                  "subtitleColor": "var(--mark)"},
        "background": "var(--paper)",
        "datasets": {"curve": charts.rows(chart), "marks": charts.mark_rows(chart, known)},
        "padding": 12,
    }  # fmt: skip
    if names:
        spec["layer"] = [*spec["layer"], _legend(names)]
    spec["config"] = spec["config"] | {"font": _FONT}
    text = re.sub(r"var\((--[\w-]+)\)", lambda found: light_colours()[found[1]], json.dumps(spec))
    picture: bytes = vl_convert.vegalite_to_png(text, vl_version=vegalite_version(), scale=2)
    return picture


def _legend(names: Sequence[str]) -> dict[str, Any]:
    """Return a layer that draws nothing but the names of the lines above the chart."""
    styles = [charts.style_of(number) for number in range(len(names))]
    legend = {"title": None, "orient": "top", "symbolType": "stroke", "symbolSize": 500, "labelLimit": 400,
              "columns": 3, "labelColor": "var(--ink)", "labelFontSize": 12}  # fmt: skip

    def channel(values: list[Any]) -> dict[str, Any]:
        return {"field": "name", "type": "nominal", "legend": legend, "scale": {"domain": list(names), "range": values}}

    return {
        "data": {"values": []},
        "mark": {"type": "line"},
        "encoding": {
            "color": channel([colour for colour, _ in styles]),
            "strokeDash": channel([dashes or [1, 0] for _, dashes in styles]),
        },
    }
