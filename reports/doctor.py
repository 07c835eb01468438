"""What ``chipwire doctor`` looks at: the installation, the embedded model and the warehouse."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from chipwire.data.errors import ChipwireError, WarehouseMissing, counted
from chipwire.data.warehouse import Warehouse
from chipwire.data.warehouse_tables import WITHOUT_INDEX

PACKAGES = ("duckdb", "pandas", "backtrader", "transformers", "onnxruntime", "exchange_calendars")

FILE_HEADERS = 3 * 4096
"""Bytes of a DuckDB file before its first block."""


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, ``ok``, ``bad`` or ``-`` (not there, not needed), and the detail."""

    check: str
    result: str
    detail: str


def examine(db: Path, *, verify: bool, universe: Path | None = None) -> list[Finding]:
    """Return what was found; nothing is changed.

    Parameters
    ----------
    db : Path
        The warehouse; may be missing.
    verify : bool
        Also read every value and compare it with the stored digests.
    universe : Path, optional
        Folder that extends the shipped universe, whose names are part of the model's id.
    """
    found = [Finding("python", "ok", sys.version.split()[0])]
    found += [Finding(name, "ok", metadata.version(name)) for name in PACKAGES]
    found.append(_torch())
    found.append(_model(universe))
    try:
        with Warehouse.open(db) as warehouse:
            found.append(_length(db, warehouse))
            found += _tables(warehouse, verify=verify)
    except WarehouseMissing:
        found.append(Finding("warehouse", "-", f"{db} does not exist yet"))
    except ChipwireError as error:
        found.append(Finding("warehouse", "bad", str(error)))
    return found


def _torch() -> Finding:
    try:
        return Finding("torch", "ok", metadata.version("torch"))
    except metadata.PackageNotFoundError:
        return Finding("torch", "-", "not installed; only models other than the embedded one need it")


def _model(universe: Path | None) -> Finding:
    from chipwire.data.universe import load_universe
    from chipwire.signals.models import load_model
    from chipwire.signals.reading import Reader

    try:
        reader = Reader(load_model(), load_universe(universe))
    except ChipwireError as error:
        return Finding("embedded model", "bad", str(error))
    return Finding("embedded model", "ok", f"{reader.model.card.name}, {reader.id}, reads its self-test")


def _length(db: Path, warehouse: Warehouse) -> Finding:
    """Compare the file's length with the blocks that hold something: a copy that was cut off opens, and counts them.

    Free blocks do not count: DuckDB cuts them from the end of the file and still has them in their number.
    """
    block, blocks = warehouse.rows("SELECT block_size, used_blocks FROM pragma_database_size()")[0]
    size, least = db.stat().st_size, FILE_HEADERS + block * blocks
    if size < least:
        return Finding("warehouse", "bad", f"{db} is cut off: {size:,} bytes of at least {least:,}; restore a copy")
    return Finding("warehouse", "ok", f"{db}, {size / 1e6:.1f} MB")


def _tables(warehouse: Warehouse, *, verify: bool) -> list[Finding]:
    digests = {row[0]: row[1:] for row in warehouse.rows("SELECT name, row_count, value, duckdb FROM digest")}
    found = []
    for table in warehouse.table_names():
        if table in ("digest", "migration"):
            continue
        if verify:
            compared = _compared(table, warehouse.table_digest(table), digests.get(table))
            if table in WITHOUT_INDEX and (repeated := warehouse.repeated(table)):
                detail = f"{counted(repeated, 'row')} of a key that is there already; restore a copy"
                compared = Finding(table, "bad", detail)
            found.append(compared)
        else:
            count = warehouse.value(f'SELECT count(*) FROM "{table}"')  # noqa: S608 - names from the checked catalog
            found.append(Finding(table, "ok", counted(int(count), "row")))
    return found


def _compared(table: str, read: tuple[int, str], stored: tuple[int, str, str] | None) -> Finding:
    """Compare what was just read with what the last writer noted; a writer that was cut off notes nothing."""
    detail = counted(read[0], "row")
    if stored is None:
        return Finding(table, "ok", f"{detail}, all read, no digest to compare with yet")
    if stored[2] != metadata.version("duckdb"):
        return Finding(table, "ok", f"{detail}, all read, digest of DuckDB {stored[2]} cannot be compared")
    if stored[:2] != read:
        return Finding(table, "bad", f"{detail}, stored digest is of {counted(stored[0], 'row')} or of other values")
    return Finding(table, "ok", f"{detail}, every value as written")
