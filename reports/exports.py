"""Write a report's files: page, JSON, Markdown, notebook, tables as csv and Parquet, and the folder to repeat a run.

``report.json`` follows the JSON Schema of `schema`, which ships with the package; fractions are plain numbers, instants
ISO 8601 UTC, what is not known null. The tables are ``fills`` (with the strongest cause of each), ``positions``,
``equity``, ``unfilled`` and ``lineage`` (what was done with each headline). Files are written beside their place and
renamed once all of them are complete; all of them lie in the folder asked for, under names of our own.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from chipwire.data.errors import BadParameter, ChipwireError, InputError, OutputExists, WriteFailed
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse
from chipwire.reports.answer import verdict
from chipwire.reports.app import program_words
from chipwire.reports.collect import RunReport
from chipwire.reports.values import csv_cell, plain

SCHEMA_VERSION = 2
TABLES = ("fills", "positions", "equity", "unfilled", "attribution", "lineage")
_CAUSE_COLUMNS = (
    "headline_id", "title", "source", "url", "published_at", "published_precision", "published_zone",
    "available_at", "issuer", "theme", "strength", "relation", "p_negative", "p_neutral", "p_positive", "event",
    "model_id", "model_name",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a report was collected from, for what the report itself does not hold.

    Attributes
    ----------
    universe_folder : Path or None
        Of the user's own universe files.
    strategy : str or None
        ``FILE.py:CLASS`` of a run whose strategy came from a file.
    """

    warehouse: Warehouse
    universe: Universe
    universe_folder: Path | None = None
    strategy: str | None = None

    @property
    def words(self) -> Sequence[str]:
        """With which each command on the warehouse begins."""
        return program_words(self.warehouse.path, self.universe_folder)


@dataclass(frozen=True)
class Material:
    """What files are made of; `tables` are put together once for all formats."""

    report: RunReport
    source: Source | None

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the csv and Parquet files, by name."""
        return tables(self.report, self.source)

    @property
    def words(self) -> Sequence[str]:
        """With which each command in a file begins."""
        return self.source.words if self.source else ("chipwire",)


def write_report(
    report: RunReport, formats: Collection[str], out: Path, force: bool = False, *, source: Source | None = None
) -> list[Path]:
    """Write the files of `formats` into the folder `out`, which is made where it is missing.

    Parameters
    ----------
    formats : collection of str
        Of `FORMATS`.
    force : bool
        Replace files that are there.
    source : Source, optional
        The warehouse that the report was collected from, still open; ``lineage`` and ``folder`` need it.

    Returns
    -------
    list of Path
        The files and folders, in the order of `FORMATS` and names.

    Raises
    ------
    BadParameter
        No format, or one that is not known.
    InputError
        `out` is a file, or lies under one.
    OutputExists
        A file is there and `force` is not given; nothing is written then.
    DomainError
        A folder to repeat the run is asked for and cannot be made; nothing is written then.
    WriteFailed
        The disk or the permissions did not allow it; no file was replaced, unless a rename failed midway.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise BadParameter("format", ",".join(unknown), f"choose from {', '.join(FORMATS)}")
    there_is = next((path for path in (out, *out.parents) if path.exists()), None)
    if there_is is not None and not there_is.is_dir():
        raise InputError(f"{there_is} is a file; --out names a folder")
    made = Material(report, source)
    chosen = [FORMATS[name] for name in FORMATS if name in formats]
    targets = list(dict.fromkeys(out / name for form in chosen for name in form.names(made)))
    there = [path for path in targets if path.exists() or path.is_symlink()]
    if there and not force:
        raise OutputExists(there[0], len(there))
    files: dict[Path, bytes] = {}
    for form in chosen:
        files |= {out / name: content for name, content in form.render(made).items()}
    write_files({path: content for path, content in files.items() if path in targets}, out)
    inside = {path: content for path, content in files.items() if path not in targets}
    if inside:
        from chipwire.reports.run_folder import folder_name, write_folder

        write_folder(inside, out / folder_name(report.run.run_id))
    return targets


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``report.json``."""
    name = f"schema/report-{SCHEMA_VERSION}.json"
    found: dict[str, Any] = json.loads(resources.files("chipwire.reports").joinpath(name).read_text("utf-8"))
    return found


def report_json(report: RunReport) -> dict[str, Any]:
    """Return the content of ``report.json``; `schema` describes its keys."""
    causes = _causes_by_fill(report.causes)
    fills = [fill | {"causes": causes.get(fill["fill_no"], [])} for fill in _records(report.fills)]
    run = {k: v for k, v in dataclasses.asdict(report.run).items() if k != "warnings"}
    marks = [{k: v for k, v in dataclasses.asdict(b).items() if k != "values"} for b in report.benchmarks]
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict(report),
        "run": plain(run),
        "metrics": report.metrics.as_json(),
        "benchmarks": plain(marks),
        "benchmarks_missing": [{"instrument": name, "reason": why} for name, why in report.missing],
        "equity": _equity(report),
        "monthly": _records(report.monthly),
        "fills": fills,
        "unfilled": _records(report.unfilled),
        "unfilled_reasons": _records(report.reasons),
        "costs": _records(report.costs),
        "positions": _records(report.positions),
        "attribution": _records(report.attribution),
        "warnings": list(report.warnings),
        "signal_quality": None if report.quality is None else report.quality.as_json(),
        "luck": None if report.luck is None else plain(report.luck),
        "check": None if report.check is None else plain(report.check),
    }


def _causes_by_fill(causes: pd.DataFrame) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for cause in _records(causes):
        found.setdefault(cause.pop("fill_no"), []).append(cause)
    return found


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [[plain(value) for value in frame[name]] for name in frame.columns]
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def _equity(report: RunReport) -> list[dict[str, Any]]:
    rows = _records(report.equity)
    for number, row in enumerate(rows, start=1):  # place 0 of the curves is the day before
        row["drawdown"] = plain(report.drawdown[number])
        row["benchmarks"] = {b.instrument: plain(b.values[number]) for b in report.benchmarks}
    return rows


# --- files -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """One kind of output: the names of its files or of its folder, and the content of the files by path."""

    names: Callable[[Material], list[str]]
    render: Callable[[Material], dict[str, bytes]]


def _html(made: Material) -> dict[str, bytes]:
    from chipwire.reports.html import render_html  # altair and the chart bundle cost a second

    try:
        fates: pd.DataFrame | str | None = made.tables.get("lineage")
    except ChipwireError as error:  # bars or rates have gone; the rest of the page needs none
        fates = str(error)
    return {"report.html": render_html(made.report, fates, made.words).encode()}


def _json(made: Material) -> dict[str, bytes]:
    text = json.dumps(report_json(made.report), ensure_ascii=False, indent=1, allow_nan=False)
    return {"report.json": f"{text}\n".encode()}


def _csv(made: Material) -> dict[str, bytes]:
    return {f"{name}.csv": csv_bytes(frame) for name, frame in made.tables.items()}


def _parquet(made: Material) -> dict[str, bytes]:
    return {f"{name}.parquet": parquet_bytes(frame) for name, frame in made.tables.items()}


def _markdown(made: Material) -> dict[str, bytes]:
    from chipwire.reports.markdown import render_markdown

    return {"report.md": render_markdown(made.report, made.tables.get("lineage"), made.words).encode()}


def _notebook(made: Material) -> dict[str, bytes]:
    from chipwire.reports.notebook import render_notebook

    return {"report.ipynb": render_notebook(made.report, list(made.tables)).encode(), **_parquet(made)}


def _png(made: Material) -> dict[str, bytes]:
    from chipwire.reports.pictures import pictures

    return pictures(made.report)


def _folder_name(made: Material) -> list[str]:
    from chipwire.reports.run_folder import folder_name

    return [folder_name(made.report.run.run_id)]


def _folder(made: Material) -> dict[str, bytes]:
    from chipwire.reports.run_folder import render_folder

    (name,) = _folder_name(made)
    return {f"{name}/{path}": content for path, content in render_folder(made.report, made.source).items()}


def _tables_as(kind: str) -> Callable[[Material], list[str]]:
    return lambda made: [f"{name}.{kind}" for name in TABLES if name != "lineage" or made.source]


FORMATS: Mapping[str, Format] = {
    "html": Format(lambda _: ["report.html"], _html),
    "json": Format(lambda _: ["report.json"], _json),
    "csv": Format(_tables_as("csv"), _csv),
    "parquet": Format(_tables_as("parquet"), _parquet),
    "md": Format(lambda _: ["report.md"], _markdown),
    # The notebook reads the tables beside it.
    "ipynb": Format(lambda made: ["report.ipynb", *_tables_as("parquet")(made)], _notebook),
    "png": Format(lambda _: ["equity.png", "drawdown.png"], _png),
    "folder": Format(_folder_name, _folder),
}


def tables(report: RunReport, source: Source | None) -> dict[str, pd.DataFrame]:
    """Return the tables of the csv and Parquet files by name, in the order of `TABLES`; ``lineage`` with a source."""
    first = report.causes.drop_duplicates("fill_no")[["fill_no", *_CAUSE_COLUMNS]]
    count = report.causes.groupby("fill_no").size().rename("causes").reset_index()
    fills = report.fills.merge(count, on="fill_no", how="left").merge(first, on="fill_no", how="left")
    marks = {f"benchmark {b.instrument}": b.values[1:] for b in report.benchmarks}
    found = {
        "fills": fills.assign(causes=fills["causes"].fillna(0).astype("int64")),
        "positions": report.positions,
        "equity": report.equity.assign(drawdown=report.drawdown[1:], **marks),
        "unfilled": report.unfilled,
        "attribution": report.attribution,
    }
    if source:
        from chipwire.reports.lineage import fates, load_run_data

        found["lineage"] = fates(source.warehouse, load_run_data(source.warehouse, source.universe, report.run))
    return found


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a csv file, RFC 4180, text defused as `csv_cell` says."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    there = ((column.astype(object).where(column.notna(), None)) for _, column in frame.items())
    writer.writerows(zip(*([csv_cell(value) for value in column] for column in there), strict=True))
    return text.getvalue().encode()


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """Return a Parquet file; instants are UTC with the zone in their type, days are dates."""
    instants = {name: frame[name].dt.tz_localize("UTC") for name in map(str, frame) if name.endswith("_at")}
    table = pa.Table.from_pandas(frame.assign(**instants), preserve_index=False)
    for number, name in enumerate(table.column_names):
        if pa.types.is_null(table.schema.types[number]):  # an empty column of objects has lost its type
            kind = pa.date32() if name in ("day", "session") else pa.string()
            table = table.set_column(number, name, table.column(number).cast(kind))
    sink = io.BytesIO()
    # Without pandas' own metadata the bytes do not depend on its version.
    pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    return sink.getvalue()


def write_files(files: Mapping[Path, bytes], out: Path) -> None:
    """Write every file under a temporary name, then rename them all; leave no temporary file behind."""
    parts = {path: path.with_name(f".{path.name}.part-{os.getpid()}") for path in files}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            with parts[path].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise WriteFailed(out, error.strerror or type(error).__name__) from error
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
