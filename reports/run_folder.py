"""A folder with all that is needed to repeat a run: command, settings, strategy, the data it could read, what came out.

::

    run-0a1b2c3d4e5f/
        manifest.json   what was asked for, versions, fingerprint, figures, and every file with size and SHA-256
        README.md       how to repeat it
        data/           bars, FX, actions, signals and the scores and headlines behind them, as Parquet
        run/            targets, fills, causes, orders not filled, positions, equity, as Parquet
        universe/       the user's own universe files, where there were some
        strategy/       the strategy's file, where it came from one, and the file that it reads

`chipwire.reports.rerun` reads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import re
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from chipwire.data.errors import BadParameter, ChipwireError, DomainError, WriteFailed
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.market import HISTORY_DAYS
from chipwire.engine.view import LOOKBACK_LIMIT_DAYS
from chipwire.reports.collect import RunReport
from chipwire.reports.lineage import RunData, load_run_data
from chipwire.reports.values import plain
from chipwire.strategies.base import Strategy

if TYPE_CHECKING:
    from chipwire.reports.exports import Source

FORMAT = "chipwire-run-folder"
VERSION = 1
DATA_TABLES = ("bar", "fx_rate", "corporate_action", "model", "headline", "score", "signal")
RUN_TABLES: Mapping[str, str] = {
    "target": "decision_at, instrument",
    "fill": "fill_no",
    "fill_cause": "fill_no, rank",
    "unfilled": "order_no",
    "position": "day, instrument",
    "equity": "day",
}
"""What a run leaves, with the order of its rows."""

_FACTS = ("fees.csv", "lots.csv", "limits.csv", "ticks.csv", "short_rules.csv", "venues.toml", "calendar_overrides.csv")
_PACKAGES = ("backtrader", "duckdb", "exchange_calendars", "numpy", "pandas", "pyarrow")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def folder_name(run_id: str) -> str:
    """Return the name of a run's folder.

    Raises
    ------
    BadParameter
        The id is none that chipwire gives, and no name for a folder.
    """
    if not re.fullmatch("[0-9a-f]{6,64}", run_id):
        raise BadParameter("run", run_id, "an id of hexadecimal digits")
    return f"run-{run_id}"


def render_folder(report: RunReport, source: Source | None) -> dict[str, bytes]:
    """Return the folder's files by path.

    Raises
    ------
    DomainError
        What the run read is no longer there, or its strategy is not at hand: the folder would not repeat it.
    """
    if source is None:
        raise DomainError("a folder to repeat a run needs its warehouse; see 'chipwire report --format folder'")
    data = load_run_data(source.warehouse, source.universe, report.run)
    if data.changed:
        raise DomainError(
            f"run {report.run.run_no} cannot be repeated: the warehouse or the universe is no longer what it read "
            f"(it read {report.run.data_fingerprint}, now it is {data.fingerprint}); run it again, then export that run"
        )
    strategy, files = _strategy(data, source.strategy)
    files |= {f"data/{name}.parquet": _parquet(table) for name, table in _data(source.warehouse, data).items()}
    files |= {f"run/{name}.parquet": _parquet(run_table(source.warehouse, name, report.run.run_id))
              for name in RUN_TABLES}  # fmt: skip
    files |= _universe(source.universe_folder)
    manifest = _manifest(report, data, strategy)
    files["README.md"] = _readme(report, manifest).encode()
    listed = {path: {"bytes": len(content), "sha256": _sha256(content)} for path, content in sorted(files.items())}
    text = json.dumps(plain(manifest) | {"files": listed}, ensure_ascii=False, indent=1, allow_nan=False)
    return {"manifest.json": f"{text}\n".encode(), **dict(sorted(files.items()))}


def run_table(warehouse: Warehouse, name: str, run_id: str) -> pa.Table:
    """Return the rows of a run in one of `RUN_TABLES`, in their order, without the run's id."""
    sql = f"SELECT * EXCLUDE (run_id) FROM {name} WHERE run_id = $run ORDER BY {RUN_TABLES[name]}"  # noqa: S608
    return warehouse.arrow(sql, {"run": run_id})


def facts() -> dict[str, str]:
    """Return the SHA-256 of each table of dated facts that ships with chipwire."""
    shipped = resources.files("chipwire.data")
    return {name: _sha256(shipped.joinpath(name).read_bytes()) for name in _FACTS}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run's figures may depend on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}


# --- what is in it ---------------------------------------------------------------------------------------


def _manifest(report: RunReport, data: RunData, strategy: Mapping[str, Any]) -> dict[str, Any]:
    from chipwire.reports.html import repeat_command  # altair costs a second

    run = report.run
    return {
        "format": FORMAT,
        "version": VERSION,
        "run": {
            "run_id": run.run_id, "strategy": run.strategy, "engine": run.engine, "params": dict(run.params),
            "settings": dict(run.settings), "data_fingerprint": run.data_fingerprint, "model_id": run.model_id,
            "code_version": run.code_version, "warnings": list(run.warnings),
        },
        "strategy": dict(strategy),
        "command": repeat_command(run),
        "metrics": report.metrics.as_json(),
        "linker": data.linker,
        "versions": versions(),
        "facts": facts(),
    }  # fmt: skip


def _data(warehouse: Warehouse, data: RunData) -> dict[str, pa.Table]:
    settings, run = data.settings, data.run
    midnight = datetime.min.time()
    benchmarks = [name for name in settings.benchmarks if name not in data.market.symbols]
    given: dict[str, object] = {
        "instruments": list(data.market.symbols), "benchmarks": benchmarks, "interval": settings.interval,
        "first": settings.start - timedelta(days=HISTORY_DAYS), "end": settings.end, "model": run.model_id,
        "linker": data.linker, "until": datetime.combine(settings.end, datetime.max.time()),
        "since": datetime.combine(settings.start, midnight)
        - timedelta(days=LOOKBACK_LIMIT_DAYS, minutes=settings.latency_minutes),
    }  # fmt: skip
    return {
        name: warehouse.arrow(sql, {key: value for key, value in given.items() if f"${key}" in sql})
        for name, sql in zip(DATA_TABLES, load_sql("chipwire.reports", "run_folder.sql").split(";\n"), strict=True)
    }


def _strategy(data: RunData, reference: str | None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return how the strategy is made, and the files that it needs."""
    from chipwire.reports.lineage_replay import stranger
    from chipwire.strategies.registry import make_strategy

    name = reference or data.run.strategy
    hint = "; if it came from a file, name it with --strategy FILE.py:CLASS" if reference is None else ""
    try:
        made = make_strategy(name, data.run.params)
    except ChipwireError as error:
        raise DomainError(f"the run's strategy is not at hand ({error}){hint}") from error
    if problem := stranger(made, data, reference):
        raise DomainError(f"run {data.run.run_no} cannot be repeated: {problem}{hint}")
    found: dict[str, Any] = {"reference": name, "source": made.source, "file": None, "class": None, "reads": {}}
    files: dict[str, bytes] = {}
    if ".py:" in name:
        path, _, found["class"] = name.rpartition(":")
        found["file"] = _take(files, path, "strategy.py")
        found["reference"] = data.run.strategy
    if data.run.strategy == "targets-file":
        found["reads"]["path"] = _take(files, _path_of(made), "targets" + Path(_path_of(made)).suffix)
    return found, files


def _path_of(made: Strategy) -> str:
    return str(made.values["path"])


def _take(files: dict[str, bytes], path: str, otherwise: str) -> str:
    """Read a file into the folder's ``strategy`` and return its path there."""
    name = Path(path).name
    place = f"strategy/{name if _SAFE_NAME.fullmatch(name) else otherwise}"
    try:
        files[place] = Path(path).read_bytes()
    except OSError as error:
        raise DomainError(f"{path} cannot be read ({error.strerror}); the run needs it") from error
    return place


def _universe(folder: Path | None) -> dict[str, bytes]:
    names = ("universe.toml", "listings.csv")
    return {
        f"universe/{name}": (folder / name).read_bytes()
        for name in names
        if folder is not None and (folder / name).is_file()
    }


def _readme(report: RunReport, manifest: Mapping[str, Any]) -> str:
    run = report.run
    trust = " --trust" if manifest["strategy"]["file"] else ""
    return f"""# Run {run.run_id}

{run.strategy}, {report.metrics.first_day} to {report.metrics.last_day}, made by chipwire {run.code_version}.

    chipwire rerun .{trust}

makes the run again from the files here and compares every row and figure. `manifest.json` says what was asked for,
with which versions, and has the SHA-256 of each file.
"""


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    return sink.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- writing ---------------------------------------------------------------------------------------------


def write_folder(files: Mapping[Path, bytes], folder: Path) -> None:
    """Write a folder whole or not at all; one that is there is replaced, a link in its place is not followed.

    Parameters
    ----------
    files : mapping
        Content by path, each inside `folder`.

    Raises
    ------
    WriteFailed
        What was there before is there still.
    """
    part, old = (folder.with_name(f".{folder.name}.{kind}-{os.getpid()}") for kind in ("part", "old"))
    try:
        for path, content in files.items():
            place = part / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        elif folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise WriteFailed(folder, error.strerror or type(error).__name__) from error
    finally:
        for leftover in (part, old):
            with contextlib.suppress(OSError):
                if leftover.exists():
                    shutil.rmtree(leftover)
