"""What is written into a warehouse's tables, in plain SQL: rows by name, batches, digests.

How a statement reaches the file, under which lock and with which errors, is for `chipwire.data.warehouse`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Params = Sequence[object] | Mapping[str, object]
"""Values of a statement's parameters, by position or by name."""

WITHOUT_INDEX: Final = {
    "linked": ("headline_id", "linker"),
    "mention": ("headline_id", "issuer", "linker"),
    "reading": ("headline_id", "model_id"),
    "score": ("headline_id", "issuer", "model_id"),
}
"""What no two rows of a table may share, where no index sees to it: an index of a key is held in memory, and these
tables grow with the headlines. `insert` compares with all rows that are there; `repeated` looks afterwards."""

_NOT_DIGESTED = frozenset({"digest", "migration"})
_ORDER = "order_in_call"
_COLUMNS = "SELECT table_name, list(column_name) FROM duckdb_columns() WHERE NOT internal GROUP BY table_name"
_KEYS = "SELECT table_name, constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"


class Tables(ABC):
    """The tables of one file, for whoever can run a statement on it.

    Whatever changes a table says so with `touch`, so that no digest in the file speaks of rows that are not there
    any more.
    """

    def __init__(self) -> None:
        self._touched: set[str] = set()
        self._layouts: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}

    @abstractmethod
    def rows(self, sql: str, params: Params = (), **tables: Any) -> list[Any]:
        """Run one statement and return its rows as tuples; `tables` are Arrow tables or frames it may name."""

    @abstractmethod
    def run(self, sql: str, params: Params = (), **tables: Any) -> int:
        """Run one INSERT, UPDATE or DELETE and return the number of rows it changed."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing; nested use joins the outer transaction."""

    def value(self, sql: str, params: Params = (), **tables: Any) -> Any:
        """Return the first column of the first row, or None when there is no row."""
        rows = self.rows(sql, params, **tables)
        return rows[0][0] if rows else None

    # --- rows and batches --------------------------------------------------------------------------------

    def insert(self, table: str, rows: pa.Table | pd.DataFrame) -> int:
        """Append rows whose key is not there yet and return how many were added.

        `rows` has columns by name; columns it lacks stay NULL. Where two rows of one call share a key, the first
        stays.
        """
        given: Any = rows
        is_arrow = hasattr(given, "column_names")
        columns, names = self._named_columns(table, given)
        order = list(range(len(given)))
        numbered = given.append_column(_ORDER, [order]) if is_arrow else given.assign(**{_ORDER: order})
        key = ", ".join(f'"{name}"' for name in self._layout(table)[1] if name in names) or _ORDER
        unindexed = table in WITHOUT_INDEX
        if unindexed and (lacking := set(WITHOUT_INDEX[table]) - set(names)):
            raise ValueError(f"rows of {table} lack {', '.join(sorted(lacking))}, by which they are told apart")
        new = f'ANTI JOIN "{table}" USING ({key}) ' if unindexed else ""
        refused = "" if unindexed else " ON CONFLICT DO NOTHING"
        self.touch(table)
        # DuckDB reads `incoming` on all threads: which of two rows came first has to be said.
        sql = (
            f'INSERT INTO "{table}" ({columns}) SELECT {columns} FROM incoming {new}'  # noqa: S608 - from the catalog
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {_ORDER}) = 1{refused}"
        )
        return self.run(sql, incoming=numbered)

    def append(self, table: str, rows: pa.Table | pd.DataFrame) -> int:
        """Append rows as `insert` does, but of which the caller knows that every key is new: half the work.

        Raises
        ------
        duckdb.ConstraintException
            The caller was mistaken, of a table that is not `WITHOUT_INDEX`; nothing of the open transaction stays.
        """
        columns, _ = self._named_columns(table, rows)
        self.touch(table)
        sql = f'INSERT INTO "{table}" ({columns}) SELECT {columns} FROM incoming'  # noqa: S608 - from the catalog
        return self.run(sql, incoming=rows)

    def _named_columns(self, table: str, rows: Any) -> tuple[str, list[str]]:
        """Return the columns of `rows` as SQL and by name. The names are the catalog's own, never from input."""
        names = list(rows.column_names if hasattr(rows, "column_names") else rows.columns)
        known = self._layout(table)[0]
        if not known or not set(names) <= known:
            raise ValueError(f"no such columns in {table}: {sorted(set(names) - known)}")
        return ", ".join(f'"{name}"' for name in names), names

    def _layout(self, table: str) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return a table's columns and its key; no table changes while a warehouse is open."""
        if not self._layouts:
            keys = dict(self.rows(_KEYS)) | WITHOUT_INDEX
            self._layouts = {
                name: (frozenset(columns), tuple(keys.get(name, ()))) for name, columns in self.rows(_COLUMNS)
            }
        return self._layouts.get(table, (frozenset(), ()))

    def repeated(self, table: str) -> int:
        """Return how many rows of a table `WITHOUT_INDEX` share their key with an earlier one; 0 is sound."""
        key = ", ".join(f'"{name}"' for name in WITHOUT_INDEX[table])
        keys = f'SELECT count(*) FROM (SELECT DISTINCT {key} FROM "{table}")'  # noqa: S608 - names of the constant
        return int(self.value(f'SELECT count(*) - ({keys}) FROM "{table}"'))  # noqa: S608 - names of the constant

    def new_batch(self, command: str, source: str, rows_read: int = 0) -> int:
        """Open a batch inside the current transaction and return its number; close it with `end_batch`."""
        number = int(self.value("SELECT coalesce(max(batch_id), 0) + 1 FROM batch"))
        self.touch("batch")
        self.run("INSERT INTO batch VALUES (?, ?, ?, ?, 0)", [number, command, source, rows_read])
        return number

    def end_batch(self, number: int, rows_read: int, rows_added: int) -> None:
        """Write what a batch came to."""
        self.run(
            "UPDATE batch SET rows_read = ?, rows_added = ? WHERE batch_id = ?",
            [rows_read, rows_added, number],
        )

    def _last_batch(self) -> int:
        return int(self.value("SELECT coalesce(max(batch_id), 0) FROM batch"))

    # --- digests -----------------------------------------------------------------------------------------

    def touch(self, *tables: str) -> None:
        """Say that `run` changes these tables: their digests are dropped with that transaction, and made at close.

        A process killed between the two leaves tables without a digest, not with one that accuses them.
        """
        self._touched.update(tables)
        self.run("DELETE FROM digest WHERE list_contains(?, name)", [list(tables)])

    def table_names(self) -> list[str]:
        """Return the names of chipwire's own tables, sorted."""
        return [row[0] for row in self.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")]

    def table_digest(self, table: str) -> tuple[int, str]:
        """Read every value of a table and return its row count and an order-free digest."""
        if table not in self.table_names():
            raise ValueError(f"no such table: {table}")
        return self._digest(table)

    def _digest(self, table: str) -> tuple[int, str]:
        sql = f'SELECT count(*), coalesce(bit_xor(hash(t)), 0)::VARCHAR FROM "{table}" AS t'  # noqa: S608 - checked
        count, value = self.rows(sql)[0]
        return int(count), str(value)

    def _store_digests(self, engine: str) -> None:
        """Digest what was touched or has no digest; `engine` is the version of DuckDB, for which alone digests hold."""
        digested = {row[0] for row in self.rows("SELECT name FROM digest")}
        undigested = set(self.table_names()) - digested
        with self.transaction():
            for table in sorted((self._touched | undigested) - _NOT_DIGESTED):
                values = [table, *self._digest(table), engine]
                self.run("INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?)", values)
        self._touched.clear()
