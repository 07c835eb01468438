"""Repeat a run from its folder in a warehouse of its own, and compare every row and figure.

A folder may come from somebody else. Nothing in it is used before its size and SHA-256 are those of the manifest,
nothing is read outside of it or through a link, and a strategy's file in it is imported only with the user's word.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import chipwire
from chipwire.data.errors import ChipwireError, DomainError, InputError, counted
from chipwire.data.universe import Universe, load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import run_backtest
from chipwire.engine.settings import Settings
from chipwire.reports.collect import metrics_of, run_info
from chipwire.reports.run_folder import DATA_TABLES, FORMAT, RUN_TABLES, VERSION, facts, run_table, versions
from chipwire.reports.values import one_line
from chipwire.signals.linking import Linker
from chipwire.strategies.base import Strategy
from chipwire.strategies.registry import make_strategy

MANIFEST_LIMIT = 16 << 20
_PATH = re.compile(r"(data|run|universe|strategy)/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}|README\.md")
_DIGEST = re.compile("[0-9a-f]{64}")
_SHAPE: Mapping[str, type] = {
    "run": dict, "strategy": dict, "metrics": dict, "versions": dict, "facts": dict, "files": dict,
}  # fmt: skip
_RUN_SHAPE: Mapping[str, type | tuple[type, ...]] = {
    "run_id": str, "strategy": str, "engine": str, "params": dict, "settings": dict, "data_fingerprint": str,
    "model_id": (str, type(None)), "code_version": str, "warnings": list,
}  # fmt: skip


class BadFolder(InputError):
    """A folder is none that chipwire wrote, or was changed since."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder}: {reason}; make it anew with 'chipwire report RUN --format folder'")


@dataclass(frozen=True)
class RunFolder:
    """A folder that has been checked: its manifest and the content of its files by path."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def run(self) -> Mapping[str, Any]:
        """What was asked for, as the table ``run`` has it."""
        found: Mapping[str, Any] = self.manifest["run"]
        return found


@dataclass(frozen=True)
class Finding:
    """What one comparison found; `result` is ``same`` or ``differs``, and `detail` names the first difference."""

    what: str
    result: str
    rows: int | None
    detail: str


@dataclass(frozen=True)
class Rerun:
    """What a rerun came to.

    Attributes
    ----------
    findings : tuple of Finding
        One for each table, the figures, the data's fingerprint and what the run said.
    notes : tuple of str
        What is not as it was when the run was made, and may be why something differs.
    """

    run_id: str
    engine: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return all(finding.result == "same" for finding in self.findings)


# --- reading a folder ------------------------------------------------------------------------------------


def read_folder(folder: Path) -> RunFolder:
    """Read a folder and check it against its manifest.

    Raises
    ------
    BadFolder
        A file is missing, changed, a link, or lies outside.
    """
    if not (folder / "manifest.json").exists():
        raise InputError(f"{folder} is no folder of a run; name one that 'chipwire report RUN --format folder' wrote")
    for place, names, others in os.walk(folder):
        for name in (*names, *others):
            if (Path(place) / name).is_symlink():
                raise BadFolder(folder, f"{(Path(place) / name).relative_to(folder)} is a symbolic link")
    manifest = _manifest(folder, _regular(folder, "manifest.json", MANIFEST_LIMIT))
    files: dict[str, bytes] = {}
    for path, given in manifest["files"].items():
        if not _PATH.fullmatch(path) or ".." in path:
            raise BadFolder(folder, f"its manifest names {path[:80]!r}, which is no place in such a folder")
        if not isinstance(given, dict) or not _DIGEST.fullmatch(str(given.get("sha256"))):
            raise BadFolder(folder, f"its manifest has no SHA-256 of {path}")
        content = _regular(folder, path, int(given["bytes"]) if isinstance(given.get("bytes"), int) else 0)
        if len(content) != given["bytes"] or hashlib.sha256(content).hexdigest() != given["sha256"]:
            raise BadFolder(folder, f"{path} has been changed: its SHA-256 is not the manifest's")
        files[path] = content
    for path in [*(f"data/{name}.parquet" for name in DATA_TABLES), *(f"run/{name}.parquet" for name in RUN_TABLES)]:
        if path not in files:
            raise BadFolder(folder, f"its manifest lacks {path}")
    return RunFolder(manifest, files)


def _regular(folder: Path, path: str, limit: int) -> bytes:
    """Return at most `limit` bytes and one more of a regular file."""
    try:
        if not stat.S_ISREG((folder / path).lstat().st_mode):
            raise BadFolder(folder, f"{path} is no plain file")
        with (folder / path).open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise BadFolder(folder, f"{path} cannot be read ({error.strerror})") from error


def _manifest(folder: Path, content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadFolder(folder, "manifest.json is not valid JSON") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BadFolder(folder, "it is no folder of a run")
    if found.get("version") != VERSION:
        raise BadFolder(folder, f"its version is {str(found.get('version'))[:20]}, this chipwire reads {VERSION}")
    run = found.get("run")
    wrong = [name for name, kind in _SHAPE.items() if not isinstance(found.get(name), kind)]
    if isinstance(run, dict):
        wrong += [name for name, kind in _RUN_SHAPE.items() if not isinstance(run.get(name), kind)]
    if wrong:
        raise BadFolder(folder, f"'{wrong[0]}' in its manifest is missing or of another kind")
    return found


# --- running it ------------------------------------------------------------------------------------------


def rerun(
    folder: Path,
    *,
    engine: str | None = None,
    trust: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Rerun:
    """Make the run of a folder again and compare it with what the folder has of it.

    Parameters
    ----------
    folder : Path
        From ``chipwire report RUN --format folder``.
    engine : str, optional
        Another engine than the run's own; both must leave the same rows.
    trust : bool
        Whether a strategy's file in the folder may be imported.

    Raises
    ------
    BadFolder
        See `read_folder`.
    DomainError
        The strategy is not at hand, or a file that is not trusted.
    """
    found = read_folder(folder)
    with TemporaryDirectory(prefix="chipwire-rerun-") as scratch:
        place = Path(scratch)
        universe = _universe(found, place)
        strategy = _strategy(folder, found, place, trust=trust)
        chosen = engine or str(found.run["engine"])
        with Warehouse.open(place / "rerun.duckdb", write=True, command="chipwire rerun") as warehouse:
            _load(folder, warehouse, found, universe)
            settings = Settings.from_json(found.run["settings"])
            model = found.run["model_id"]
            done = run_backtest(
                warehouse, universe, strategy, settings, model=model, engine=chosen, on_progress=on_progress
            )
            findings = tuple(_findings(folder, warehouse, found, done.run_id))
    return Rerun(done.run_id, chosen, findings, tuple(_notes(found)))


def _universe(found: RunFolder, place: Path) -> Universe:
    own = {path: content for path, content in found.files.items() if path.startswith("universe/")}
    _write(own, place)
    return load_universe(place / "universe" if own else None)


def _write(files: Mapping[str, bytes], place: Path) -> None:
    for path, content in files.items():
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).write_bytes(content)


def _strategy(folder: Path, found: RunFolder, place: Path, *, trust: bool) -> Strategy:
    given = found.manifest["strategy"]
    own = {path: content for path, content in found.files.items() if path.startswith("strategy/")}
    _write(own, place)
    reference, values = str(found.run["strategy"]), dict(found.run["params"])
    if given.get("file") is not None:
        if given["file"] not in own:
            raise BadFolder(folder, "its manifest names a strategy's file that is not in it")
        if not trust:
            raise DomainError(
                f"the strategy is a Python file of the folder ({given['file']}), which would run with all that you may "
                "do; read it, then give --trust"
            )
        reference = f"{place / given['file']}:{given.get('class')}"
    reads = given.get("reads")
    for name, path in (reads if isinstance(reads, dict) else {}).items():
        if path not in own:
            raise BadFolder(folder, f"its manifest names a file for '{str(name)[:40]}' that is not in it")
        values[name] = str(place / path)
    try:
        return make_strategy(reference, values)
    except ChipwireError as error:
        source = given.get("source")
        what = f"; the run was made with {one_line(str(source))}, install that" if source and not given["file"] else ""
        raise DomainError(f"the run's strategy cannot be made ({error}){what}") from error


def _load(folder: Path, warehouse: Warehouse, found: RunFolder, universe: Universe) -> None:
    """Put the folder's data into an empty warehouse; its signals become those of the universe that is used now."""
    for name in DATA_TABLES:
        table = _table(folder, found, f"data/{name}.parquet")
        if name == "signal":
            linker = pa.array([Linker(universe).id] * len(table), pa.string())
            table = table.set_column(table.column_names.index("linker"), "linker", linker)
        like = warehouse.arrow(f"SELECT * FROM {name} LIMIT 0").schema  # noqa: S608 - names are ours
        try:
            with warehouse.transaction():
                added = warehouse.insert(name, table.select(like.names).cast(like))
        except ChipwireError:
            raise
        except Exception as error:  # whatever Arrow or DuckDB says of values that no warehouse has
            raise BadFolder(folder, f"data/{name}.parquet does not fit its table ({_first_line(error)})") from error
        if added != len(table):
            raise BadFolder(folder, f"data/{name}.parquet has {counted(len(table) - added, 'row')} twice")


def _table(folder: Path, found: RunFolder, path: str) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(found.files[path]))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadFolder(folder, f"{path} is no Parquet file ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return one_line((str(error).splitlines() or [type(error).__name__])[0])[:200]


# --- comparing -------------------------------------------------------------------------------------------


def _findings(folder: Path, warehouse: Warehouse, found: RunFolder, run_id: str) -> Iterator[Finding]:
    made = run_info(warehouse, run_id)
    yield _plain("data read", found.run["data_fingerprint"], made.data_fingerprint)
    for name, keys in RUN_TABLES.items():
        before, now = _table(folder, found, f"run/{name}.parquet"), run_table(warehouse, name, run_id)
        detail = differs(before, now, [key.strip() for key in keys.split(",")])
        yield Finding(name.replace("_", " "), "differs" if detail else "same", len(now), detail)
    figures = metrics_of(warehouse, run_id).as_json()
    known = found.manifest["metrics"]
    wrong = [name for name in known if name in figures and _bits(known[name]) != _bits(figures[name])]
    detail = f"{wrong[0]}: {known[wrong[0]]} became {figures[wrong[0]]}" if wrong else ""
    yield Finding("figures", "differs" if wrong else "same", len(known), detail)
    yield _plain("warnings", list(found.run["warnings"]), list(made.warnings))
    if made.engine == found.run["engine"] and made.code_version == found.run["code_version"]:
        reads = found.manifest["strategy"].get("reads")
        if not reads:  # the path of a file that is read is a parameter, and another one here
            yield _plain("run id", found.run["run_id"], run_id)


def _plain(what: str, before: Any, now: Any) -> Finding:
    if before == now:
        return Finding(what, "same", None, "")
    return Finding(what, "differs", None, one_line(f"{before} became {now}"))


def differs(before: pa.Table, now: pa.Table, keys: list[str]) -> str:
    """Say where two tables of a run differ first, to the bit; empty where they are the same.

    Parameters
    ----------
    keys : list of str
        Columns that name a row.
    """
    if before.column_names != now.column_names:
        odd = sorted(set(before.column_names) ^ set(now.column_names))
        return f"the columns differ: {', '.join(odd) or 'in their order'}"
    one, other = ([list(map(_bits, table[name].to_pylist())) for name in now.column_names] for table in (before, now))
    rows = zip(zip(*one, strict=True), zip(*other, strict=True), strict=False)
    wrong = [place for place, (a, b) in enumerate(rows) if a != b]
    if not wrong:
        if len(before) == len(now):
            return ""
        return f"{counted(len(before), 'row')} became {len(now):,}"
    row = wrong[0]
    column = next(name for name, a, b in zip(now.column_names, one, other, strict=True) if a[row] != b[row])
    at = ", ".join(f"{key} {before[key][row].as_py()}" for key in keys)
    change = f"{before[column][row].as_py()} became {now[column][row].as_py()}"
    counts = "" if len(before) == len(now) else f", and {counted(len(before), 'row')} became {len(now):,}"
    return f"{at}: {column} {change} ({counted(len(wrong), 'row differs', 'rows differ')}{counts})"


def _bits(value: Any) -> Any:
    """Return what tells two values apart: a float's own bits, so that 0.0 is not -0.0 and NaN is NaN."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    return {key: _bits(item) for key, item in value.items()} if isinstance(value, dict) else value


def _notes(found: RunFolder) -> Iterator[str]:
    then = str(found.run["code_version"])
    if then != chipwire.__version__:
        yield f"the run was made by chipwire {one_line(then)}, this is {chipwire.__version__}"
    for name, now in versions().items():
        if (before := found.manifest["versions"].get(name)) != now:
            yield f"{name} {one_line(str(before))} then, {now} now"
    for name, now in facts().items():
        if found.manifest["facts"].get(name) != now:
            yield f"the table {name} is not the one of the run"
