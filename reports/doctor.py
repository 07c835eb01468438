"""What ``chipwire doctor`` looks at: the installation, the embedded model and the warehouse."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from chipwire.data.errors import ChipwireError
from chipwire.data.warehouse import Warehouse

PACKAGES = ("duckdb", "pandas", "backtrader", "transformers", "onnxruntime", "exchange_calendars")


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, ``ok``, ``bad`` or ``-`` (not there, not needed), and the detail."""

    check: str
    result: str
    detail: str


def examine(db: Path, *, verify: bool) -> list[Finding]:
    """Return what was found; nothing is changed.

    Parameters
    ----------
    db : Path
        The warehouse; may be missing.
    verify : bool
        Also read every value and compare it with the stored digests.
    """
    found = [Finding("python", "ok", sys.version.split()[0])]
    found += [Finding(name, "ok", metadata.version(name)) for name in PACKAGES]
    found.append(_torch())
    found.append(_model())
    if not db.exists():
        return [*found, Finding("warehouse", "-", f"{db} does not exist yet")]
    try:
        with Warehouse.open(db) as warehouse:
            found.append(Finding("warehouse", "ok", f"{db}, {_megabytes(db):.1f} MB"))
            found += _tables(warehouse, verify=verify)
    except ChipwireError as error:
        found.append(Finding("warehouse", "bad", str(error)))
    return found


def _torch() -> Finding:
    try:
        return Finding("torch", "ok", metadata.version("torch"))
    except metadata.PackageNotFoundError:
        return Finding("torch", "-", "not installed; only models other than the embedded one need it")


def _model() -> Finding:
    from chipwire.signals.models import load_model

    try:
        card = load_model().card
    except ChipwireError as error:
        return Finding("embedded model", "bad", str(error))
    return Finding("embedded model", "ok", f"{card.name}, {card.files_sha256[:12]}, reads its self-test")


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def _tables(warehouse: Warehouse, *, verify: bool) -> list[Finding]:
    digests = {row[0]: row[1:] for row in warehouse.rows("SELECT name, row_count, value, duckdb FROM digest")}
    found = []
    for table in warehouse.table_names():
        if table in ("digest", "migration"):
            continue
        count = warehouse.value(f'SELECT count(*) FROM "{table}"')  # noqa: S608 - names from the checked catalog
        result, detail = "ok", f"{count:,} rows"
        if verify and table in digests:
            rows, value, version = digests[table]
            if version != metadata.version("duckdb"):
                detail += f", digest of DuckDB {version} cannot be compared"
            elif (rows, value) != warehouse.table_digest(table):
                result, detail = "bad", f"{detail}, stored digest is of {rows:,} rows or of other values"
            else:
                detail += ", every value as written"
        found.append(Finding(table, result, detail))
    return found
