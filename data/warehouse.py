"""The one module that opens DuckDB: a hardened connection, a sidecar lock, transactions, checkpoints.

Why so careful: DuckDB's own lock is a POSIX lock that any ``open().close()`` of the file inside the writing
process drops; creation is not atomic; errors while closing are swallowed; and a shared file may carry views or
macros that change results. Each of these has a test.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from chipwire.data.catalog import SCHEMA_VERSION, check_catalog, migrate, schema_version
from chipwire.data.errors import (
    NotAWarehouse,
    OlderWarehouse,
    WarehouseError,
    WarehouseMissing,
    WarehouseShorter,
    WriteFailed,
)
from chipwire.data.lock import SidecarLock
from chipwire.data.warehouse_files import creating, log_of, memory_wanted, spill, sweep, usable
from chipwire.data.warehouse_tables import Params, Tables

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_UNREADABLE = re.compile(r"could not read|corrupt", re.IGNORECASE)


def load_sql(package: str, name: str) -> str:
    """Return the text of a ``.sql`` file that ships beside the modules of `package`."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


class Warehouse(Tables):
    """One DuckDB file with chipwire's tables, opened for reading or for writing.

    Use `Warehouse.open`. Timestamps are UTC without a zone throughout. How rows, batches and digests get into the
    tables is in `Tables`; here is how a statement reaches the file.

    Attributes
    ----------
    path : Path
        The database file.
    writable : bool
        Whether this process holds the writing lock.
    """

    def __init__(self, path: Path, connection: Any, lock: SidecarLock, *, writable: bool) -> None:
        super().__init__()
        self.path = path
        self.writable = writable
        self._connection = connection
        self._lock = lock
        self._depth = 0

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        write: bool = False,
        create: bool = True,
        command: str = "chipwire",
        memory: str | None = None,
        threads: int | None = None,
    ) -> Self:
        """Open the warehouse at `path`; with `write` and `create`, make it when it is not there.

        Parameters
        ----------
        path : str or Path
            The DuckDB file.
        write : bool
            Take the writing lock. Readers share, a writer is alone.
        create : bool
            Whether a writer may begin a new warehouse.
        command : str
            Shown to whoever finds the file busy.
        memory : str, optional
            DuckDB's memory limit; default from ``CHIPWIRE_MEMORY``, else 1 GB. Beyond it DuckDB spills to disk.
        threads : int, optional
            DuckDB's threads; default all cores.

        Raises
        ------
        WarehouseBusy, WarehouseMissing, NotAWarehouse, NewerWarehouse, ForeignCatalog, WarehouseShorter
        OlderWarehouse
            Read only: a writer brings the file up to date.
        """
        path = usable(Path(path))
        if not path.exists() and not (write and create):
            raise WarehouseMissing(path)
        lock = SidecarLock(path)
        lock.acquire(exclusive=write, command=command)
        try:
            if write:
                sweep(path)
            if not path.exists():
                lock.forget()
                _create(path, memory, threads)
            if write and log_of(path).exists():
                _look_before_replay(path, lock, memory, threads)
            connection = _open_checked(path, write=write, memory=memory, threads=threads)
            if (found := schema_version(connection, path)) < SCHEMA_VERSION:
                connection.close()
                raise OlderWarehouse(path, found, SCHEMA_VERSION)
        except BaseException:
            lock.release()
            raise
        warehouse = cls(path, connection, lock, writable=write)
        try:
            warehouse._check_length()
        except BaseException:
            connection.close()
            lock.release()
            raise
        return warehouse

    @classmethod
    def scratch(cls, *, threads: int | None = None) -> Self:
        """Open an empty database in memory, for statements on tables that are handed to them; nothing of it stays."""
        connection = _connect(":memory:", read_only=False, memory=None, threads=threads)
        return cls(Path(":memory:"), connection, SidecarLock(Path(":memory:")), writable=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(failed=error is not None)

    # --- reading -----------------------------------------------------------------------------------------

    def rows(self, sql: str, params: Params = (), **tables: Any) -> list[Any]:
        """Run one statement and return its rows as tuples; `tables` are Arrow tables or frames it may name."""
        with self._named(tables), self._guarded():
            return self._execute(sql, params).fetchall()  # type: ignore[no-any-return]

    def frame(self, sql: str, params: Params = (), **tables: Any) -> pd.DataFrame:
        """Run one statement and return a pandas frame."""
        with self._named(tables), self._guarded():
            return self._execute(sql, params).df()  # type: ignore[no-any-return]  # duckdb has no stubs here

    def arrow(self, sql: str, params: Params = (), **tables: Any) -> pa.Table:
        """Run one statement and return an Arrow table."""
        with self._named(tables), self._guarded():
            return self._connection.sql(sql, params=params or None).to_arrow_table()

    def batches(
        self, sql: str, params: Params = (), *, size: int = 100_000, own_cursor: bool = True
    ) -> Iterator[pa.RecordBatch]:
        """Run one statement on a cursor of its own and yield Arrow batches of at most `size` rows.

        The rows are those of the moment of the call, whatever is written while they are read. Without a cursor of
        its own the statement sees the open transaction and its temporary tables, and nothing else may be asked until
        all rows are read.
        """
        cursor = self._connection.cursor() if own_cursor else self._connection
        try:
            with self._guarded():
                reader = iter(cursor.sql(sql, params=params or None).to_arrow_reader(size))
            while True:
                with self._guarded():
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch
        finally:
            if own_cursor:
                cursor.close()

    # --- writing -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested use joins the outer transaction."""
        if self._depth:
            yield
            return
        with self._guarded():
            self._execute("BEGIN TRANSACTION")
        self._depth = 1
        try:
            yield
            self._commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    def run(self, sql: str, params: Params = (), **tables: Any) -> int:
        """Run one INSERT, UPDATE or DELETE and return the number of rows it changed."""
        with self._named(tables), self._guarded():
            row = self._execute(sql, params).fetchone()
        return int(row[0]) if row else 0

    def acknowledge(self) -> int:
        """Note the last committed batch beside the file, so that a file that lost it is noticed; return it."""
        last = self._last_batch()
        self._lock.acknowledge(last)
        return last

    def _check_length(self) -> None:
        acknowledged = self._lock.acknowledged()
        if acknowledged > (found := self._last_batch()):
            raise WarehouseShorter(self.path, acknowledged, found)

    def checkpoint(self) -> None:
        """Move the log into the file and look at the result.

        Raises
        ------
        WriteFailed
            When the disk did not take it; the log stays where it is.
        """
        if not self.writable:
            return
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            raise WriteFailed(self.path, _first_line(error)) from error

    def close(self, *, failed: bool = False) -> None:
        """Renew digests, checkpoint, close, and let go of the lock; after a failure only the last two."""
        try:
            if self.writable and not failed:
                self._store_digests(duckdb.__version__)
                self.acknowledge()
                self.checkpoint()
        finally:
            self._connection.close()
            self._lock.release()

    # --- plumbing ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _named(self, tables: dict[str, Any]) -> Iterator[None]:
        for name, table in tables.items():
            self._connection.register(name, table)
        try:
            yield
        finally:
            # In a failed transaction nothing can be unregistered; the failure itself is what has to be told.
            with contextlib.suppress(duckdb.Error):
                for name in tables:
                    self._connection.unregister(name)

    def _execute(self, sql: str, params: Params = ()) -> Any:
        return self._connection.execute(sql, params or None)

    def _commit(self) -> None:
        try:
            with self._guarded():
                self._execute("COMMIT")
        except duckdb.TransactionException as error:
            raise WriteFailed(self.path, _first_line(error)) from error

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the disk, the file or the memory did into one clear error; the rest is a fault of ours."""
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(_more_memory(self.path, error)) from error
        except (duckdb.Error, OSError) as error:
            if _UNREADABLE.search(str(error)):
                raise NotAWarehouse(self.path, _first_line(error)) from error
            if isinstance(error, duckdb.IOException | duckdb.FatalException | OSError):
                raise WriteFailed(self.path, _first_line(error)) from error
            raise
        except RuntimeError as error:
            # DuckDB turns SIGINT into a RuntimeError; let it be the interrupt it is.
            if "interrupt" in str(error).lower():
                raise KeyboardInterrupt from error
            raise


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _connect(path: Path | str, *, read_only: bool, memory: str | None, threads: int | None) -> Any:
    """Connect with nothing reachable but the file itself; data comes in as Arrow, never by file name."""
    config: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": memory or memory_wanted(),
        "preserve_insertion_order": "true",
    }
    if threads:
        config["threads"] = threads
    if path != ":memory:":
        path = Path(path).absolute()  # a bare "md:x" or "https://..." would be taken for an address
        # Readers share the file but not what they spill: DuckDB's names for it are the same in every process.
        config["temp_directory"] = str(spill(path))
    connection = duckdb.connect(str(path), read_only=read_only, config=config)
    # A process has one instance of a file: a second connection to it finds the settings already locked.
    locked = connection.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]
    if str(locked).lower() == "true":
        return connection
    connection.execute("SET enable_progress_bar = false")
    # Of the connection alone, cursors and later connections would read instants in the machine's zone.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _scratch() -> Any:
    return _connect(":memory:", read_only=False, memory="256MB", threads=1)


def _look_before_replay(path: Path, lock: SidecarLock, memory: str | None, threads: int | None) -> None:
    """Read what a killed writer's log holds without changing it: a writer that closes would remove a torn log."""
    connection = _open_checked(path, write=False, memory=memory, threads=threads)
    look = Warehouse(path, connection, lock, writable=False)
    try:
        look._check_length()
    finally:
        connection.close()


def _create(path: Path, memory: str | None, threads: int | None) -> None:
    """Build a whole warehouse under a temporary name and rename it, so that a kill leaves none or a good one."""
    temporary = creating(path)
    leftovers = [temporary, log_of(temporary)]
    try:
        connection = _connect(temporary, read_only=False, memory=memory, threads=threads)
        try:
            migrate(connection)
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
        temporary.rename(path)
    except (duckdb.Error, OSError) as error:
        raise WriteFailed(path, _first_line(error)) from error
    finally:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)


def _open_checked(path: Path, *, write: bool, memory: str | None, threads: int | None) -> Any:
    if write and not os.access(path, os.W_OK):
        raise WriteFailed(path, "no permission to write")
    if not path.stat().st_size:
        raise NotAWarehouse(path, "the file is empty; with it removed the next ingest makes a new one")
    try:
        connection = _connect(path, read_only=not write, memory=memory, threads=threads)
    except duckdb.Error as error:
        detail = _first_line(error)
        if "replaying WAL" in detail:
            detail += f"; with {log_of(path)} moved aside it opens as of its last checkpoint"
        raise NotAWarehouse(path, detail) from error
    try:
        found = schema_version(connection, path)
        # Before it is migrated: a macro or trigger in the file would have its say in that too.
        check_catalog(connection, path, _scratch, found)
        if write and found < SCHEMA_VERSION:
            _bring_up_to_date(connection, path)
            check_catalog(connection, path, _scratch)
    except duckdb.Error as error:
        connection.close()
        raise NotAWarehouse(path, _first_line(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(connection: Any, path: Path) -> None:
    """Run the migrations that a file lacks; where disk or memory do not suffice, it stays as it was."""
    try:
        migrate(connection)
        connection.execute("CHECKPOINT")
    except duckdb.OutOfMemoryException as error:
        raise WarehouseError(_more_memory(path, error)) from error
    except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
        if _UNREADABLE.search(str(error)):
            raise
        raise WriteFailed(path, f"{_first_line(error)}; it stays of its older version") from error


def _more_memory(path: Path, error: BaseException) -> str:
    return f"{path}: {_first_line(error)}; set CHIPWIRE_MEMORY higher, e.g. CHIPWIRE_MEMORY=4GB"
