"""The rows of a stored sweep, best first, each with the command that runs it alone; and runs side by side."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipwire.data.errors import BadParameter, NothingToDo, OutputExists, UnknownName
from chipwire.engine.settings import stored_settings
from chipwire.reports.terminal import Column
from chipwire.reports.values import number, percent

if TYPE_CHECKING:
    import pandas as pd

    from chipwire.data.warehouse import Warehouse

LESS_IS_BETTER = frozenset({"annual_volatility", "turnover", "costs", "n_unfilled"})
FIGURES = (
    "sharpe", "total_return", "annual_return", "annual_volatility", "sortino", "max_drawdown", "calmar",
    "final_equity", "turnover", "mean_exposure", "costs", "n_fills", "n_unfilled", "days",
)  # fmt: skip
"""What a sweep can be sorted by."""
_SHOWN = ("sharpe", "total_return", "annual_return", "max_drawdown", "turnover", "costs", "n_fills")
_PERCENT = frozenset({
    "total_return", "annual_return", "annual_volatility", "max_drawdown", "mean_exposure", "hit_rate",
    "costs_of_gross_profit", "costs_of_equity",
})  # fmt: skip
_SIGNED = frozenset({"total_return", "annual_return", "max_drawdown"})
_RATIOS = frozenset({"sharpe", "sortino", "calmar", "profit_factor", "turnover"})
_WHOLE = frozenset({"n_fills", "n_unfilled", "days"})


@dataclass(frozen=True)
class Sweep:
    """The row of the ``sweep`` table, its JSON parsed, and how far it got."""

    sweep_id: str
    sweep_no: int
    strategy: str
    reference: str
    axes: tuple[Mapping[str, Any], ...]
    configurations: int
    done: int
    failed: int
    warnings: tuple[str, ...]

    @property
    def columns(self) -> dict[tuple[str, str], str]:
        """The column of each axis by (of, name): its name, with ``run.`` before a setting that shares one."""
        names = [axis["name"] for axis in self.axes]
        return {
            (axis["of"], axis["name"]): f"run.{axis['name']}"
            if axis["of"] != "params" and names.count(axis["name"]) > 1
            else axis["name"]
            for axis in self.axes
        }


def list_sweeps(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return the stored sweeps, the latest last, with how far each got and its best Sharpe ratio."""
    from chipwire.data.warehouse import load_sql

    rows = warehouse.frame(load_sql("chipwire.reports", "sweeps.sql")).to_dict("records")
    for row in rows:
        axes = [axis for axis in json.loads(row.pop("axes")) if axis["values"] > 1]
        row["axes"] = " ".join(f"{axis['name']}={axis['text']}" for axis in axes)
    return [{str(name): value for name, value in row.items()} for row in rows]


def find_sweep(warehouse: Warehouse, reference: str) -> Sweep:
    """Return the sweep meant: ``latest``, its id, its number, or the first digits of its id.

    Raises
    ------
    NothingToDo
        No sweep is stored.
    UnknownName, BadParameter
        No sweep, or more than one, is meant.
    """
    known = warehouse.rows("SELECT sweep_id, sweep_no FROM sweep ORDER BY sweep_no")
    if not known:
        raise NothingToDo("no sweep is stored", "make one with 'chipwire sweep STRATEGY -p NAME=A,B,C'")
    exact = [i for i, n in known if reference in (i, str(n))] or ([known[-1][0]] if reference == "latest" else [])
    meant = exact or [i for i, _ in known if reference and i.startswith(reference)]
    if len(meant) > 1:
        raise BadParameter("sweep", reference, f"{len(meant)} sweeps begin so ({', '.join(meant[:3])})")
    if not meant:
        raise UnknownName("sweep", reference, [i for i, _ in known], "see 'chipwire sweeps list'")
    row = warehouse.rows(
        "SELECT sweep_id, sweep_no, strategy, reference, axes, configurations, warnings FROM sweep WHERE sweep_id = ?",
        meant,
    )[0]
    done, failed = warehouse.rows("SELECT count(*), count(error) FROM sweep_row WHERE sweep_id = ?", meant)[0]
    sweep_id, sweep_no, strategy, asked, axes, configurations, warnings = row
    return Sweep(
        sweep_id, sweep_no, strategy, asked, tuple(json.loads(axes)), configurations, done, failed,
        tuple(json.loads(warnings)),
    )  # fmt: skip


def sweep_rows(
    warehouse: Warehouse, sweep: Sweep, *, sort: str = "sharpe", top: int = 0, words: Sequence[str] = ("chipwire",)
) -> list[dict[str, Any]]:
    """Return rows, best first by `sort`, those without that figure last.

    Parameters
    ----------
    sort : str
        One of `FIGURES`.
    top : int
        So many; 0 for all.
    words : sequence of str
        With which each command begins.

    Returns
    -------
    list of dict
        ``row``, a value for each axis, the figures, ``error`` and ``command``.

    Raises
    ------
    BadParameter
        `sort` is no figure.
    """
    if sort not in FIGURES:
        raise BadParameter("sort", sort, f"one of {', '.join(FIGURES)}")
    order = "ASC" if sort in LESS_IS_BETTER else "DESC"
    names = ", ".join(FIGURES)
    sql = (
        f"SELECT row_no, params, settings, model_id, error, {names} FROM sweep_row WHERE sweep_id = ? "  # noqa: S608
        f"ORDER BY {sort} {order} NULLS LAST, row_no" + (" LIMIT ?" if top else "")
    )
    found = warehouse.arrow(sql, [sweep.sweep_id, top] if top else [sweep.sweep_id]).to_pylist()
    columns = sweep.columns
    parsed: dict[str, Any] = {}
    rows = []
    for row in found:
        text = row["settings"]
        settings = parsed[text] if text in parsed else parsed.setdefault(text, stored_settings(text))
        params = json.loads(row["params"])
        given = {"params": params, "settings": settings, "model": {"model": row["model_id"]}}
        values = {columns[of, name]: _cell(given[of][name]) for of, name in columns}
        figures = {name: row[name] for name in FIGURES}
        command = backtest_command(sweep, params, settings, row["model_id"], words)
        rows.append({"row": row["row_no"], **values, **figures, "error": row["error"], "command": command})
    return rows


def backtest_command(
    sweep: Sweep, params: Mapping[str, Any], settings: Mapping[str, Any], model_id: str | None, words: Sequence[str]
) -> str:
    """Return the command that runs one row alone; what the sweep left at its default is left out."""
    words = [*words, "backtest", sweep.reference]
    for axis in sweep.axes:
        name = axis["name"]
        if axis["of"] == "params":
            words += ["-p", f"{name}={_word(params[name])}"]
        elif axis["of"] == "settings":
            value = settings[name]
            text = ",".join(value) if isinstance(value, list) else _word(value)
            words += [f"--{name.replace('_', '-')}", text]
    if model_id is not None:
        words += ["--model", model_id]
    return shlex.join(words)


def _word(value: Any) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _cell(value: Any) -> Any:
    return "+".join(map(str, value)) if isinstance(value, list) else value


def table_columns(sweep: Sweep, rows: Sequence[Mapping[str, Any]], sort: str, fmt: str) -> list[Column]:
    """Return the columns of a listing: in a table what varies and the main figures, else everything."""
    varied = [sweep.columns[axis["of"], axis["name"]] for axis in sweep.axes if axis["values"] > 1]
    if fmt != "table":
        return [Column(name) for name in ("row", *sweep.columns.values(), *FIGURES, "error", "command")]
    figures = [sort, *(name for name in _SHOWN if name != sort)]
    columns = [Column("row"), *(Column(name, form=_exact) for name in varied)]
    columns += [Column(name, name.replace("_", " ").removeprefix("n "), _form(name)) for name in figures]
    return columns + ([Column("error")] if any(row["error"] for row in rows) else [])


def _exact(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _form(name: str) -> Any:
    if name in _PERCENT:
        return lambda value: percent(value, signed=name in _SIGNED)
    if name in _WHOLE:
        return lambda value: f"{value:,}"
    return lambda value: number(value, 0 if name in ("final_equity", "costs") else 2)


# --- files -----------------------------------------------------------------------------------------------


def check_out(out: Path, *, force: bool) -> None:
    """Refuse a file that is there, of a kind that is not known, or where none can be written.

    Raises
    ------
    BadParameter, OutputExists
    """
    if out.suffix not in (".csv", ".parquet"):
        raise BadParameter("out", str(out), "a file that ends in .csv or .parquet")
    if out.is_dir():
        raise BadParameter("out", str(out), "a file, and that is a folder")
    folder = next(folder for folder in out.absolute().parents if folder.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise BadParameter("out", str(out), f"a file in a folder that can be written, and {folder} cannot")
    if (out.exists() or out.is_symlink()) and not force:
        raise OutputExists(out, 1)


def write_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], out: Path, *, force: bool) -> None:
    """Write all rows as csv or Parquet, whole or not at all.

    Raises
    ------
    BadParameter, OutputExists
        See `check_out`.
    WriteFailed
        The disk or the permissions did not allow it.
    """
    import pandas as pd

    from chipwire.reports.exports import csv_bytes, parquet_bytes, write_files

    check_out(out, force=force)
    frame = pd.DataFrame({name: [row[name] for row in rows] for name in columns})
    content = csv_bytes(frame) if out.suffix == ".csv" else parquet_bytes(_typed(frame))
    write_files({out: content}, out.parent)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep whole numbers whole where some are missing, and a column without a value a column of text."""
    whole = {name: frame[name].astype("Int64") for name in _WHOLE}
    return frame.assign(**whole, error=frame["error"].astype("string"))


# --- runs side by side -----------------------------------------------------------------------------------


def compare_runs(warehouse: Warehouse, references: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return one row for each setting and figure, with a value for each run, and the runs' labels by id.

    Raises
    ------
    UnknownName, BadParameter, NothingToDo
        See `resolve_run` and `metrics_of`.
    """
    from chipwire.reports.collect import metrics_of, resolve_run, run_info

    ids = list(dict.fromkeys(resolve_run(warehouse, reference) for reference in references))
    if len(ids) < 2:
        raise BadParameter("run", " ".join(references), "at least two different runs; see 'chipwire runs list'")
    infos = {run_id: run_info(warehouse, run_id) for run_id in ids}
    figures = {run_id: _flat(metrics_of(warehouse, run_id).as_json()) for run_id in ids}
    sides: list[tuple[str, dict[str, Any]]] = [
        ("strategy", {i: infos[i].strategy for i in ids}),
        ("engine", {i: infos[i].engine for i in ids}),
        ("model", {i: infos[i].model_name for i in ids}),
        ("data_fingerprint", {i: infos[i].data_fingerprint for i in ids}),
    ]
    for part in ("params", "settings"):
        given = {i: getattr(infos[i], part) for i in ids}
        names = dict.fromkeys(name for i in ids for name in given[i])
        sides += [(f"{part}.{name}", {i: _cell(given[i].get(name)) for i in ids}) for name in names]
    names = dict.fromkeys(name for i in ids for name in figures[i])
    sides += [(name, {i: figures[i].get(name) for i in ids}) for name in names]
    rows = [{"figure": name, "differs": len(set(map(repr, side.values()))) > 1, **side} for name, side in sides]
    return rows, {i: f"{infos[i].run_no} {i}" for i in ids}


def _flat(figures: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            flat |= {name if key == "depth" else f"{name}.{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    return flat


def comparison_text(name: str, value: Any) -> str:
    """Return a value of a comparison for a table."""
    if value is None:
        return ""
    if "." in name and name.partition(".")[0] in ("params", "settings"):
        return _exact(value)
    if name in _PERCENT:
        return percent(value, signed=name in _SIGNED)
    if isinstance(value, float):
        return number(value) if abs(value) >= 1 or name in _RATIOS else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
