"""Write a report's files: ``report.html``, ``report.json``, tables as csv and Parquet, charts as PNG.

``report.json`` (``schema_version`` 1; fractions are plain numbers, instants ISO 8601 UTC, what is not known
null):

==================  ======================================================================================
key                 value
==================  ======================================================================================
schema_version      1
verdict             the answer in one or two sentences
run                 run_id, run_no, strategy, engine, params, settings, data_fingerprint, model_id,
                    model_name, training_cutoff, code_version
metrics             every figure of `chipwire.reports.metrics.Metrics`
benchmarks          list of instrument, name, currency, basis, total_return, starts_on, last_session
benchmarks_missing  list of instrument, reason
equity              list by day: equity, cash, gross, costs, borrow, dividends, drawdown, and under
                    ``benchmarks`` the value of each benchmark
monthly             list of year, month, return
fills               list of fills as in ``fills.sql``, each with ``causes`` as in ``causes.sql``
unfilled            list of orders not filled in full
unfilled_reasons    list of reason, orders
costs               list of venue, currency, kind, amount (local), amount_base
positions           list by day and instrument: shares, price, fx, value
warnings            list of sentences
==================  ======================================================================================

The csv and Parquet files are ``fills`` (with the strongest cause of each), ``positions``, ``equity`` and
``unfilled``. Every file is written beside its place and renamed once all of them are complete.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from chipwire.data.errors import BadParameter, OutputExists, WriteFailed
from chipwire.reports.answer import verdict
from chipwire.reports.collect import RunReport
from chipwire.reports.values import csv_cell, plain

FORMATS = ("html", "json", "csv", "parquet", "png")
SCHEMA_VERSION = 1
_CAUSE_COLUMNS = (
    "headline_id", "title", "source", "url", "published_at", "published_precision", "available_at", "issuer",
    "theme", "strength", "relation", "p_negative", "p_neutral", "p_positive", "event", "model_id",
    "model_name",
)  # fmt: skip


def write_report(report: RunReport, formats: Collection[str], out: Path, force: bool = False) -> list[Path]:
    """Write the files of `formats` into the folder `out`, which is made where it is missing.

    Parameters
    ----------
    formats : collection of str
        Of `FORMATS`.
    force : bool
        Replace files that are there.

    Returns
    -------
    list of Path
        The files, in the order of `FORMATS` and names.

    Raises
    ------
    BadParameter
        No format, or one that is not known.
    OutputExists
        A file is there and `force` is not given; nothing is written then.
    WriteFailed
        The disk or the permissions did not allow it; no file was replaced, unless a rename failed midway.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise BadParameter("format", ",".join(unknown), f"choose from {', '.join(FORMATS)}")
    targets = [out / name for kind in FORMATS if kind in formats for name in _names(kind)]
    there = [path for path in targets if path.exists() or path.is_symlink()]
    if there and not force:
        raise OutputExists(there[0], len(there))
    files: dict[str, bytes] = {}
    for kind in FORMATS:
        if kind in formats:
            files |= _render(report, kind)
    write_files({out / name: content for name, content in files.items()}, out)
    return targets


def report_json(report: RunReport) -> dict[str, Any]:
    """Return the content of ``report.json``; its keys are described at the top of this module."""
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
        "warnings": list(report.warnings),
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


def _names(kind: str) -> list[str]:
    if kind in ("html", "json"):
        return [f"report.{kind}"]
    if kind == "png":
        return ["equity.png", "drawdown.png"]
    return [f"{table}.{kind}" for table in ("fills", "positions", "equity", "unfilled")]


def _render(report: RunReport, kind: str) -> dict[str, bytes]:
    if kind == "html":
        from chipwire.reports.html import render_html  # altair and the chart bundle cost a second

        return {"report.html": render_html(report).encode()}
    if kind == "json":
        text = json.dumps(report_json(report), ensure_ascii=False, indent=1, allow_nan=False)
        return {"report.json": f"{text}\n".encode()}
    if kind == "png":
        from chipwire.reports.pictures import pictures

        return pictures(report)
    form = csv_bytes if kind == "csv" else parquet_bytes
    return {f"{name}.{kind}": form(frame) for name, frame in _tables(report).items()}


def _tables(report: RunReport) -> dict[str, pd.DataFrame]:
    first = report.causes.drop_duplicates("fill_no")[["fill_no", *_CAUSE_COLUMNS]]
    count = report.causes.groupby("fill_no").size().rename("causes").reset_index()
    fills = report.fills.merge(count, on="fill_no", how="left").merge(first, on="fill_no", how="left")
    marks = {f"benchmark {b.instrument}": b.values[1:] for b in report.benchmarks}
    return {
        "fills": fills.assign(causes=fills["causes"].fillna(0).astype("int64")),
        "positions": report.positions,
        "equity": report.equity.assign(drawdown=report.drawdown[1:], **marks),
        "unfilled": report.unfilled,
    }


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a csv file, RFC 4180, text defused as `csv_cell` says."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(zip(*([csv_cell(value) for value in frame[name]] for name in frame), strict=True))
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
