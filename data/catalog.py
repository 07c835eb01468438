"""The warehouse's catalog: numbered migrations, and the check that a file holds exactly the expected objects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Set
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from chipwire.data.errors import ForeignCatalog, NewerWarehouse, NotAWarehouse

_OBJECTS = """
    SELECT 'table', schema_name || '.' || table_name, '' FROM duckdb_tables() WHERE NOT internal AND NOT temporary
    UNION ALL
    SELECT 'column', table_name || '.' || column_name, data_type || ' ' || coalesce(column_default, '') || is_nullable
    FROM duckdb_columns() WHERE NOT internal AND database_name <> 'temp'
    UNION ALL
    SELECT 'definition', table_name, sql FROM duckdb_tables() WHERE NOT internal AND NOT temporary
    UNION ALL
    SELECT 'trigger', trigger_name, '' FROM duckdb_triggers()
    UNION ALL
    SELECT 'constraint', table_name, constraint_text FROM duckdb_constraints() WHERE database_name <> 'temp'
    UNION ALL
    SELECT 'view', view_name, '' FROM duckdb_views() WHERE NOT internal AND NOT temporary
    UNION ALL
    SELECT 'macro', function_name, '' FROM duckdb_functions() WHERE NOT internal
    UNION ALL
    SELECT 'index', index_name, '' FROM duckdb_indexes()
    UNION ALL
    SELECT 'sequence', sequence_name, '' FROM duckdb_sequences()
    UNION ALL
    SELECT 'type', type_name, '' FROM duckdb_types() WHERE NOT internal
    UNION ALL
    SELECT 'schema', schema_name, '' FROM duckdb_schemas() WHERE NOT internal AND database_name <> 'temp'
"""
_DETAILS = frozenset({"column", "constraint", "definition"})
_SOUND = {5: "e2b141763a388dc7dea3e3b001e6e507e5d7ea8dbacaf6554800719e66c75637"}
"""Digest of the objects by schema version, as this DuckDB words them: a file that has it is sound, and need not be
compared with a catalog built anew. Another DuckDB may word them otherwise; then they are compared."""
_VERSION_TABLE = """
    CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL)
"""


def _migrations() -> list[tuple[int, str, str]]:
    """Return (version, name, sql) of each migration that ships, in order."""
    folder = resources.files("chipwire.data.migrations")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(int(name[:4]), name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names]


SCHEMA_VERSION = max(version for version, _, _ in _migrations())


def migrate(connection: Any, upto: int = SCHEMA_VERSION) -> None:
    """Apply the migrations that are missing up to a version, all in one transaction, and record each."""
    connection.execute("BEGIN TRANSACTION")
    try:
        connection.execute(_VERSION_TABLE)
        done = {row[0] for row in connection.execute("SELECT version FROM migration").fetchall()}
        for version, name, sql in _migrations():
            if version not in done and version <= upto:
                connection.execute(sql)
                digest = hashlib.sha256(sql.encode()).hexdigest()
                connection.execute("INSERT INTO migration VALUES (?, ?, ?)", [version, name, digest])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def schema_version(connection: Any, path: Path) -> int:
    """Return the file's schema version.

    Raises
    ------
    NotAWarehouse
        When it is some other program's database.
    NewerWarehouse
        When a newer chipwire wrote it.
    """
    tables = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'migration' AND schema_name = 'main'"
    if connection.execute(tables).fetchone()[0] == 0:
        raise NotAWarehouse(path, "a database without chipwire's migration table")
    versions = [row[0] for row in connection.execute("SELECT version FROM main.migration ORDER BY 1").fetchall()]
    found = versions[-1] if versions else 0
    if found > SCHEMA_VERSION:
        raise NewerWarehouse(path, found, SCHEMA_VERSION)
    if not found or versions != list(range(1, found + 1)):
        raise NotAWarehouse(path, "its record of migrations is not whole")
    return found


@cache
def _expected(scratch: Callable[[], Any], version: int) -> frozenset[tuple[str, str, str]]:
    connection = scratch()
    try:
        migrate(connection, version)
        return frozenset(connection.execute(_OBJECTS).fetchall())
    finally:
        connection.close()


def digest_of(objects: Set[tuple[str, str, str]]) -> str:
    """Return a digest of a catalog's objects."""
    return hashlib.sha256(repr(sorted(objects)).encode()).hexdigest()


def check_catalog(connection: Any, path: Path, scratch: Callable[[], Any], version: int = SCHEMA_VERSION) -> None:
    """Refuse a file whose catalog is not exactly what the migrations up to a version make.

    Parameters
    ----------
    connection
        The opened file.
    path : Path
        For the message.
    scratch : callable
        Gives an empty in-memory connection, in which the expected catalog is built, once in a process.
    version : int
        The file's own.

    Raises
    ------
    ForeignCatalog
        Names the first objects that are extra or missing.
    """
    found = set(connection.execute(_OBJECTS).fetchall())
    if digest_of(found) == _SOUND.get(version):
        return
    expected = _expected(scratch, version)
    # Lists of kinds differ in rank, not in truth: an extra view is named before the columns it brings.
    extra = sorted(found - expected, key=lambda item: (item[0] in _DETAILS, item))
    missing = sorted(expected - found, key=lambda item: (item[0] in _DETAILS, item))
    if extra:
        raise ForeignCatalog(path, f"unexpected {extra[0][0]} '{extra[0][1]}'")
    if missing:
        raise ForeignCatalog(path, f"missing or altered {missing[0][0]} '{missing[0][1]}'")
