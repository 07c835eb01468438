"""Draw the pictures of docs/truth.md from a warehouse with a checked run: ``python docs/pictures.py DEMO.duckdb``.

First: ``chipwire demo``, then ``chipwire --db chipwire-demo/demo.duckdb backtest event-drift --start 2024-01-02 --end
2025-09-30 --check``. The pictures are SVG, text as text.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from chipwire.data.warehouse import Warehouse
from chipwire.engine.validation.store import stored_check
from chipwire.reports.collect import resolve_run

FOLDER = Path(__file__).parent
KINDS = {
    "times": "times mixed within issuer and quarter", "issuers": "issuers exchanged within their group",
    "signs": "signs turned by chance", "rotated": "all news moved by weeks",
}  # fmt: skip
CHANGES = {
    "latency": "carried out later", "costs": "costs", "fill": "other auction", "parameter": "parameter next door",
    "issuer": "one issuer left out", "year": "one year left out", "trade": "best trade left out",
}  # fmt: skip
INK, BLUE, RED = "#333333", "#3b6ea8", "#b5483a"


def main(path: str) -> None:
    """Write the pictures."""
    with Warehouse.open(Path(path)) as warehouse:
        check = stored_check(warehouse, resolve_run(warehouse, "latest"))
    if check is None:
        raise SystemExit(f"the latest run of {path} has no check: make it with 'chipwire backtest ... --check'")
    save(placebos(check), "truth-placebos.svg")
    save(fragility(check), "truth-fragility.svg")


def save(chart: alt.TopLevelMixin, name: str) -> None:
    """Write a chart beside the docs."""
    (FOLDER / name).write_text(vl_convert.vegalite_to_svg(chart.to_dict()) + "\n", encoding="utf-8")


def placebos(check: dict[str, Any]) -> Any:
    """Return the placebos of each kind as bars, and the real result as a line."""
    rows = [
        {"kind": f"{KINDS[test['kind']]}: p = {test['p_value']:.2f}", "sharpe": value, "real": test["real"]}
        for test in check["placebos"]
        for value in test["values"]
    ]
    base = alt.Chart(pd.DataFrame(rows)).properties(width=250, height=110)
    bars = base.mark_bar(color=BLUE, opacity=0.7).encode(
        x=alt.X("sharpe:Q", bin=alt.Bin(step=0.2), title="Sharpe ratio"), y=alt.Y("count()", title="placebos")
    )
    line = base.mark_rule(color=RED, strokeWidth=2).encode(x="mean(real):Q")
    return styled(alt.layer(bars, line).facet(facet=alt.Facet("kind:N", title=None), columns=2))


def fragility(check: dict[str, Any]) -> Any:
    """Return the total return of each variant as a dot, by what was changed, and the result itself as a line."""
    found = check["fragility"]
    rows = [
        {"change": CHANGES[one["change"]], "total": one["total_return"]}
        for one in found["variants"]
        if one["total_return"] is not None
    ]
    base = alt.Chart(pd.DataFrame(rows)).properties(width=480, height=190)
    dots = base.mark_circle(size=55, opacity=0.6, color=BLUE).encode(
        x=alt.X("total:Q", title="total return", axis=alt.Axis(format="+.0%")),
        y=alt.Y("change:N", title=None, sort=list(CHANGES.values())),
    )
    own = alt.Chart(pd.DataFrame([{"total": found["base"]["total_return"]}])).mark_rule(color=RED, strokeWidth=2)
    return styled(alt.layer(dots, own.encode(x="total:Q")))


def styled(chart: Any) -> Any:
    """Return a chart with plain ink on white."""
    return chart.configure(background="white", font="sans-serif").configure_axis(
        labelColor=INK, titleColor=INK, gridColor="#e5e5e5"
    )


if __name__ == "__main__":
    main(sys.argv[1])
