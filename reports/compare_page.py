"""The page of several runs: what they differ in, their curves on one chart, their figures side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from chipwire.data.errors import NothingToDo, counted
from chipwire.reports import charts
from chipwire.reports.collect import RunInfo, run_info
from chipwire.reports.metrics import with_capital
from chipwire.reports.page import render
from chipwire.reports.sweep_tables import compare_runs, comparison_text
from chipwire.reports.values import minus, number, percent

if TYPE_CHECKING:
    from chipwire.data.warehouse import Warehouse

_SCRIPTS = ("tables.js", "headlines.js", "charts.js", "report.js")
_LABELS = {
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "calmar": "Calmar ratio",
    "turnover": "turnover a year",
}
_ASKED = ("strategy", "engine", "model", "data_fingerprint")
SECTIONS = (
    ("curves", "Equity", "Equity of all runs"),
    ("differences", "Differences", "What they were asked differently"),
    ("figures", "Figures", "Figures side by side"),
    ("same", "The same", "What is the same in all"),
)


def render_comparison(warehouse: Warehouse, references: Sequence[str]) -> str:
    """Return the page of the runs that are meant, in the order given.

    Raises
    ------
    UnknownName, BadParameter, NothingToDo
        See `chipwire.reports.sweep_tables.compare_runs`.
    """
    rows, labels = compare_runs(warehouse, references)
    infos = [run_info(warehouse, run_id) for run_id in labels]
    shown = [_texts(row, labels) for row in rows]
    asked = [row for row in shown if _is_asked(row["name"])]
    figures = {row["figure"]: row for row in rows}
    days, series = _curves(warehouse, infos)
    chart = charts.lines_chart(days, series, height=340, description="Change since the start of each run.")
    return render(
        "compare.html.j2",
        {"charts": {"curves": chart}, "tables": {}, "words": []},
        _SCRIPTS,
        charts=True,
        sections=SECTIONS,
        answer=_answer(infos, figures, sum(row["differs"] for row in asked)),
        runs=infos,
        legend=[
            (*charts.swatch(place), name, figures["total_return"][info.run_id])
            for place, (info, (name, _)) in enumerate(zip(infos, series, strict=True))
        ],
        differences=[row for row in asked if row["differs"]],
        same=[row for row in shown if not row["differs"]],
        figures=[row for row in shown if row["differs"] and not _is_asked(row["name"])],
        currencies=sorted({info.currency for info in infos}),
    )


def _is_asked(name: str) -> bool:
    return name in _ASKED or name.startswith(("params.", "settings."))


def _texts(row: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    name = str(row["figure"])
    label = _LABELS.get(name) or name.removeprefix("params.").removeprefix("settings.").removeprefix("n_")
    label = label.replace("_", " ").replace(".", ", ")
    values = [_text(name, row[run_id]) for run_id in labels]
    return {"name": name, "label": label, "differs": row["differs"], "values": values}


def _text(name: str, value: Any) -> str:
    text = comparison_text(name, value)
    # A true minus sign in numbers; the hyphens of dates and names stay.
    return text if isinstance(value, str) else minus(text)


def _curves(warehouse: Warehouse, infos: Sequence[RunInfo]) -> tuple[list[date], list[tuple[str, list[float]]]]:
    """Return all days of the runs, and each run's change since its own start, NaN where it has no day."""
    found: list[dict[date, float]] = []
    for info in infos:
        rows = warehouse.rows("SELECT day, equity FROM equity WHERE run_id = ? ORDER BY day", [info.run_id])
        if not rows:
            raise NothingToDo(f"run {info.run_id} has no day of equity", "choose a span with sessions in it")
        days, curve = with_capital([day for day, _ in rows], _array([value for _, value in rows]), info.capital)
        found.append(dict(zip(days, charts.change(list(map(float, curve)), info.capital), strict=True)))
    every = sorted(set().union(*found))
    names = [f"{info.run_no} {info.strategy}" for info in infos]
    return every, [
        (name, [curve.get(day, math.nan) for day in every]) for name, curve in zip(names, found, strict=True)
    ]


def _array(values: Sequence[float]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=float)


def _answer(infos: Sequence[RunInfo], figures: Mapping[str, Mapping[str, Any]], differing: int) -> str:
    """Return in a sentence which run gained most and which most for its risk."""

    def best(name: str) -> RunInfo | None:
        known = [info for info in infos if figures[name][info.run_id] is not None]
        return max(known, key=lambda info: figures[name][info.run_id]) if known else None

    gained, steady = best("total_return"), best("sharpe")
    if gained is None or steady is None:
        return f"{len(infos)} runs side by side."
    most = minus(percent(figures["total_return"][gained.run_id]))
    ratio = minus(number(figures["sharpe"][steady.run_id]))
    same = "the same run has" if steady is gained else f"run {steady.run_no} has"
    return (
        f"Of {len(infos)} runs, run {gained.run_no} ended highest ({most}) and {same} the highest Sharpe ratio "
        f"({ratio}); they differ in {counted(differing, 'setting')}. The best of several looks better than it is."
    )
