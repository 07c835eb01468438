"""The page of a sweep: how good the best really is, the parameter plane as a heat map, the best rows, all rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from chipwire.data.errors import counted
from chipwire.reports import sweep_tables
from chipwire.reports.page import render
from chipwire.reports.sweep_tables import LESS_IS_BETTER, Sweep
from chipwire.reports.sweep_text import luck_sentences, tried_so_far
from chipwire.reports.tables import Places, significant
from chipwire.reports.values import minus, number, percent

if TYPE_CHECKING:
    from chipwire.data.warehouse import Warehouse

_SCRIPTS = ("tables.js", "plane.js", "sweep.js")
SECTIONS = (
    ("plane", "Plane", "The parameter plane"),
    ("best", "Best rows", "The best rows, and the command that runs each alone"),
    ("rows", "All rows", "All rows"),
)
BEST = 10
"""Rows shown with the command that runs each."""

VALUES_AT_MOST = 40
"""Different numbers of an axis up to which each has its own line in the plane; more are put into bins."""
BINS = 12
_MEASURES = {
    "sharpe": "Sharpe ratio", "total_return": "Total return", "annual_return": "Annual return",
    "annual_volatility": "Annual volatility", "sortino": "Sortino ratio", "max_drawdown": "Max drawdown",
    "calmar": "Calmar ratio", "turnover": "Turnover", "costs": "Costs", "n_fills": "Fills",
}  # fmt: skip
_PERCENT = frozenset({"total_return", "annual_return", "annual_volatility", "max_drawdown"})
_ABOUT_ZERO = frozenset({"sharpe", "total_return", "annual_return", "sortino", "calmar"})
_DIGITS = {"costs": 0, "n_fills": 0}


def render_sweep(warehouse: Warehouse, reference: str, *, sort: str, words: Sequence[str]) -> str:
    """Return the page of a sweep.

    Parameters
    ----------
    sort : str
        One of `chipwire.reports.sweep_tables.FIGURES`: what makes a row the best.
    words : sequence of str
        With which each command begins.

    Raises
    ------
    NothingToDo, UnknownName, BadParameter
        See `find_sweep` and `sweep_rows`.
    """
    sweep = sweep_tables.find_sweep(warehouse, reference)
    rows = sweep_tables.sweep_rows(warehouse, sweep, sort=sort, words=words)
    varied = [sweep.columns[one["of"], one["name"]] for one in sweep.axes if one["values"] > 1]
    places = Places()
    data = {
        "tables": {"rows": {"name": "rows", "columns": _columns(rows, varied, places)}},
        "plane": {"axes": [axis(name, [row[name] for row in rows]) for name in varied], "measures": _measures(sort)},
    }
    columns = sweep_tables.table_columns(sweep, rows[:BEST], sort, "table")
    return render(
        "sweep.html.j2",
        data | {"words": list(places)},
        _SCRIPTS,
        charts=False,
        sections=[section for section in SECTIONS if varied or section[0] != "plane"],
        sweep=sweep,
        sort=_label(sort),
        answer=_answer(sweep, rows, sort),
        walked=_walked(warehouse, sweep),
        luck=_luck(warehouse, sweep),
        heads=[_MEASURES.get(column.key, column.key) for column in columns],
        best=[([_cell(column, row) for column in columns], row["command"]) for row in rows[:BEST]],
        left=sweep.configurations - sweep.done,
    )


def _label(name: str) -> str:
    return _MEASURES.get(name, name.replace("_", " "))


def _cell(column: Any, row: Mapping[str, Any]) -> str:
    value = row[column.key]
    if value is None:
        return ""
    text = str(column.form(value)) if column.form else str(value)
    return text if isinstance(value, str) else minus(text)


# --- the answer ------------------------------------------------------------------------------------------


def _answer(sweep: Sweep, rows: Sequence[Mapping[str, Any]], sort: str) -> str:
    """Return in a sentence how the best row stands among all."""
    known = [row[sort] for row in rows if row[sort] is not None]
    what = f"{counted(len(rows), 'configuration')} of {sweep.strategy}"
    if not known:
        return f"{what}; none has a figure for {_label(sort)}."
    best, middle = _text(sort, known[0]), _text(sort, median(known))
    text = f"{what}: the best {_label(sort)} is {best} (row {rows[0]['row']}), the median {middle}"
    if sort not in _ABOUT_ZERO:
        return f"{text}."
    above = percent(sum(value > 0 for value in known) / len(known), signed=False, digits=0)
    return f"{text}, and {above} are above zero."


def _walked(warehouse: Warehouse, sweep: Sweep) -> str:
    """Return what the last walk-forward showed; empty without any."""
    from chipwire.engine.validation.sweep_luck import walk_forward_now

    found = walk_forward_now(warehouse, sweep.sweep_id)
    return f"Walk-forward {found['train']}/{found['test']}: {_minus(found['sentence'])}" if found else ""


def _luck(warehouse: Warehouse, sweep: Sweep) -> list[str]:
    """Return what the terminal says of luck, as sentences."""
    from chipwire.engine.validation.sweep_luck import luck_now

    luck = luck_now(warehouse, sweep.sweep_id, sweep.strategy)
    told = [*(luck_sentences(luck) if luck else ()), tried_so_far(warehouse, sweep.strategy)]
    return [_minus(f"{text[0].upper()}{text[1:]}.") for text in told]


def _minus(sentence: str) -> str:
    """Give the negative numbers of a sentence a true minus sign; its hyphens stay."""
    return re.sub(r"(?<!\S)-(?=\d)", lambda found: minus(found[0]), sentence)


def _text(name: str, value: float) -> str:
    return minus(percent(value) if name in _PERCENT else number(value, _DIGITS.get(name, 2)))


# --- tables and plane ------------------------------------------------------------------------------------


def _columns(rows: Sequence[Mapping[str, Any]], varied: Sequence[str], places: Places) -> list[dict[str, Any]]:
    """Return the columns of all rows; see `chipwire.reports.tables`."""
    columns: list[dict[str, Any]] = [
        {"key": "row", "label": "Row", "kind": "number", "digits": 0, "values": [row["row"] for row in rows]}
    ]
    for name in varied:
        values = [row[name] for row in rows]
        if _numeric(values):
            columns.append({"key": f"axis {name}", "label": name, "kind": "number", "exact": True, "values": values})
        else:
            texts = [sweep_tables.comparison_text("params.", value) or "none" for value in values]
            columns.append({"key": f"axis {name}", "label": name, "kind": "word", "values": places.of(texts)})
    for name, label in _MEASURES.items():
        short = [None if row[name] is None else significant(row[name], 6 if name == "costs" else 4) for row in rows]
        column = {"key": name, "label": label, "kind": "number", "digits": _DIGITS.get(name, 2), "values": short}
        columns.append(column | {"percent": name in _PERCENT, "signed": name in _PERCENT & _ABOUT_ZERO})
    if any(row["error"] for row in rows):
        errors = places.of(row["error"] or "" for row in rows)
        columns.append({"key": "error", "label": "Error", "kind": "word", "values": errors})
    return columns


def _measures(first: str) -> list[dict[str, Any]]:
    """Return what the plane can show, that by which the rows are sorted first."""
    names = sorted(_MEASURES, key=lambda name: name != first)
    return [
        {"key": name, "label": _MEASURES[name], "less": name in LESS_IS_BETTER, "zero": name in _ABOUT_ZERO}
        for name in names
    ]


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return an axis of the plane: its name, the names along it, and the place of each row's value.

    Numbers of which there are many are put into `BINS` bins that hold about as many rows each.
    """
    if not _numeric(values):
        texts = [sweep_tables.comparison_text("params.", value) or "none" for value in values]
        names = sorted(set(texts))
        return {"name": name, "names": names, "places": [names.index(text) for text in texts]}
    different = sorted(set(values))
    if len(different) <= VALUES_AT_MOST:
        place = {value: number for number, value in enumerate(different)}
        names = [f"{value:.10g}" if isinstance(value, float) else str(value) for value in different]
        return {"name": name, "names": names, "places": [place[value] for value in values]}
    edges = np.unique(np.quantile(np.asarray(values, dtype=float), np.linspace(0, 1, BINS + 1)))
    found = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    return {"name": name, "names": names, "places": [int(place) for place in found]}
