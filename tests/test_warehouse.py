"""The warehouse: creation, rows, transactions, hardening, lost logs, damaged files, full disks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from chipwire.data import warehouse as module
from chipwire.data.errors import (
    BadParameter,
    NotAWarehouse,
    WarehouseError,
    WarehouseMissing,
    WarehouseShorter,
    WriteFailed,
)
from chipwire.data.warehouse import Warehouse
from chipwire.data.warehouse_tables import WITHOUT_INDEX

WRITER = """
import os, resource, signal, sys
import pyarrow as pa
from chipwire.data.errors import ChipwireError
from chipwire.data.warehouse import Warehouse

def add(w, number, rows, letters=20):
    with w.transaction():
        batch = w.new_batch("test", "x", rows)
        # Text that does not compress.
        titles = [os.urandom(letters // 2).hex() for _ in range(rows)]
        ids = [f"{number * rows + i:016x}" for i in range(rows)]
        w.insert("headline", pa.table({
            "headline_id": ids, "title": titles, "language": ["en"] * rows, "batch_id": [batch] * rows}))
        w.end_batch(batch, rows, rows)
    w.acknowledge()
    return batch
"""


def headlines(count: int, first: int = 0, batch: int = 1) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "headline_id": [f"{n:016x}" for n in numbers],
            "title": [f"story {n}" for n in numbers],
            "language": ["en"] * count,
            "batch_id": [batch] * count,
        }
    )


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WRITER + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse whose three acknowledged batches are in its log only: to be copied, not opened."""
    path = tmp_path_factory.mktemp("killed") / "w.duckdb"
    Warehouse.open(path, write=True).close()
    code = """
w = Warehouse.open(sys.argv[1], write=True)
for k in range(3):
    add(w, k, 50)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run(code, path).returncode == -signal.SIGKILL
    return path


def copy(killed: Path, path: Path) -> Path:
    """Copy the file, its log and its lock to `path`, and return the log."""
    for suffix in ("", ".wal", ".lock"):
        shutil.copy(killed.with_name(killed.name + suffix), path.with_name(path.name + suffix))
    return path.with_name(path.name + ".wal")


def fail_after(warehouse: Warehouse, *tables: pa.Table) -> None:
    """Insert and raise, all in one transaction."""
    with warehouse.transaction():
        for table in tables:
            with warehouse.transaction():
                warehouse.insert("headline", table)
        raise ZeroDivisionError


def count(path: Path, **options: bool) -> int:
    with Warehouse.open(path, **options) as warehouse:
        return int(warehouse.value("SELECT count(*) FROM headline"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.duckdb"


@pytest.fixture
def warehouse(path: Path):
    with Warehouse.open(path, write=True, command="chipwire test") as opened:
        yield opened


# --- creation ----------------------------------------------------------------------------------------------


def test_a_reader_of_a_missing_file_is_told_how_to_make_one_and_makes_none(path: Path) -> None:
    with pytest.raises(WarehouseMissing, match="chipwire ingest"):
        Warehouse.open(path)
    with pytest.raises(WarehouseMissing):
        Warehouse.open(path, write=True, create=False)
    assert list(path.parent.iterdir()) == []


def test_creation_leaves_the_file_and_its_lock_only(path: Path) -> None:
    Warehouse.open(path, write=True).close()
    assert sorted(item.name for item in path.parent.iterdir()) == ["w.duckdb", "w.duckdb.lock"]


def test_an_error_while_creating_leaves_no_file_and_the_next_try_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: object) -> None:
        raise duckdb.IOException("IO Error: no space left on device\nmore")

    with monkeypatch.context() as patch:
        patch.setattr(module, "migrate", fail)
        with pytest.raises(WriteFailed, match="no space left on device") as caught:
            Warehouse.open(path, write=True)
    assert "\n" not in str(caught.value)
    assert [item.name for item in path.parent.iterdir()] == ["w.duckdb.lock"]
    assert count(path, write=True) == 0


def test_a_kill_while_creating_leaves_no_file_and_the_next_writer_clears_up(path: Path) -> None:
    code = """
from chipwire.data import warehouse as module
done = module.migrate
def migrate(connection):
    done(connection)
    os.kill(os.getpid(), signal.SIGKILL)
module.migrate = migrate
Warehouse.open(sys.argv[1], write=True)
"""
    assert run(code, path).returncode == -signal.SIGKILL
    assert not path.exists()
    assert [item for item in path.parent.iterdir() if ".creating-" in item.name]
    Warehouse.open(path, write=True).close()
    assert sorted(item.name for item in path.parent.iterdir()) == ["w.duckdb", "w.duckdb.lock"]


def test_a_file_deleted_by_hand_is_begun_anew(path: Path) -> None:
    with Warehouse.open(path, write=True) as warehouse:
        warehouse.new_batch("test", "x")
    path.unlink()
    assert count(path, write=True) == 0


def test_a_link_and_its_file_share_one_lock(path: Path, tmp_path: Path) -> None:
    Warehouse.open(path, write=True).close()
    link = tmp_path / "elsewhere.duckdb"
    link.symlink_to(path)
    with Warehouse.open(link, write=True) as warehouse:
        assert warehouse.path == path.resolve()
    assert not link.with_name("elsewhere.duckdb.lock").exists()


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("md:x", ":memory:"):
        Warehouse.open(name, write=True).close()
        assert Path(name).is_file()
        assert count(Path(name)) == 0


# --- what is no warehouse ------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("content", [b"", b"title,date\nChips rise,2024-01-02\n", b"\0" * 20_000])
def test_another_file_is_refused_in_one_line_and_left_alone(path: Path, content: bytes, write: bool) -> None:
    path.write_bytes(content)
    with pytest.raises(NotAWarehouse) as caught:
        Warehouse.open(path, write=write)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("write", [False, True])
def test_a_directory_a_device_and_impossible_names_are_refused(tmp_path: Path, write: bool) -> None:
    for bad in (tmp_path, Path(os.devnull), tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(NotAWarehouse):
            Warehouse.open(bad, write=write)
    assert not Path(os.devnull + ".lock").exists()


def test_a_folder_that_is_not_there_and_a_file_as_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(WriteFailed, match=r"there is no folder .*missing"):
        Warehouse.open(tmp_path / "missing" / "w.duckdb", write=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteFailed, match=r"there is no folder .*file"):
        Warehouse.open(tmp_path / "file" / "w.duckdb", write=True)
    with pytest.raises(WarehouseMissing):
        Warehouse.open(tmp_path / "file" / "w.duckdb")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_no_permission_is_one_clear_line(path: Path) -> None:
    Warehouse.open(path, write=True).close()
    path.chmod(0o444)
    with pytest.raises(WriteFailed, match="permission"):
        Warehouse.open(path, write=True)
    assert count(path) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_without_permission_can_be_read_but_not_written(path: Path) -> None:
    Warehouse.open(path, write=True).close()
    path.with_name(path.name + ".lock").unlink()
    path.parent.chmod(0o555)
    try:
        assert count(path) == 0
        with pytest.raises(WriteFailed):
            Warehouse.open(path, write=True)
    finally:
        path.parent.chmod(0o755)


def test_a_reader_needs_no_lock_file_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a read-only folder, where none can be made."""
    Warehouse.open(path, write=True).close()
    path.with_name(path.name + ".lock").unlink()
    real = os.open

    def read_only(name: object, flags: int, *rest: int, **named: int) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system")
        return real(name, flags, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", read_only)
    assert count(path) == 0
    with pytest.raises(WriteFailed, match="Read-only file system"):
        Warehouse.open(path, write=True)


# --- rows and transactions -----------------------------------------------------------------------------------


def test_inserting_again_adds_nothing(warehouse: Warehouse) -> None:
    assert warehouse.insert("headline", headlines(5)) == 5
    assert warehouse.insert("headline", headlines(7)) == 2


@pytest.mark.parametrize("kind", ["chunks", "table", "frame"])
def test_of_rows_with_one_key_the_first_stays_whatever_thread_reads_them(warehouse: Warehouse, kind: str) -> None:
    copies, keys = 50, 4_000
    same = [headlines(keys, 0, batch=number) for number in range(copies)]
    table = pa.concat_tables(same)
    rows = {"chunks": table, "table": table.combine_chunks(), "frame": table.to_pandas()}[kind]
    assert warehouse.insert("headline", rows) == keys
    assert warehouse.rows("SELECT batch_id, count(*) FROM headline GROUP BY 1") == [(0, keys)]


def test_rows_whose_keys_are_new_are_appended_and_a_repeated_key_takes_all_back(warehouse: Warehouse) -> None:
    assert warehouse.append("headline", headlines(5)) == 5
    with pytest.raises(duckdb.ConstraintException), warehouse.transaction():
        warehouse.append("headline", headlines(3, 1_000))
        warehouse.append("headline", headlines(1))
    with pytest.raises(ValueError, match="no such columns in headline: \\['colour'\\]"):
        warehouse.append("headline", pa.table({"colour": ["red"]}))
    assert warehouse.value("SELECT count(*) FROM headline") == 5


LINKED = pa.table({"headline_id": ["a", "b", "b"], "linker": ["x", "x", "x"]})


def test_tables_without_an_index_take_only_new_keys_too(warehouse: Warehouse) -> None:
    assert warehouse.insert("linked", LINKED) == 2
    assert warehouse.insert("linked", pa.table({"headline_id": ["a", "a", "c"], "linker": ["x", "y", "x"]})) == 2
    assert warehouse.rows("FROM linked ORDER BY ALL") == [("a", "x"), ("a", "y"), ("b", "x"), ("c", "x")]
    assert warehouse.repeated("linked") == 0
    warehouse.append("linked", LINKED)
    assert warehouse.repeated("linked") == 3
    with pytest.raises(ValueError, match="rows of linked lack linker, by which they are told apart"):
        warehouse.insert("linked", LINKED.drop_columns("linker"))


def test_what_grows_with_the_headlines_has_no_index_and_all_else_has_one(warehouse: Warehouse) -> None:
    """An index is held in memory whatever the limit: by a million headlines these four would need 400 MB of it."""
    sql = "SELECT DISTINCT table_name FROM duckdb_constraints() WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE')"
    indexed = {table for (table,) in warehouse.rows(sql)}
    assert not indexed & set(WITHOUT_INDEX)
    assert set(warehouse.table_names()) - indexed == {*WITHOUT_INDEX}


def test_inserting_takes_frames_by_name_and_refuses_unknown_columns(warehouse: Warehouse) -> None:
    frame = headlines(2).to_pandas()[["batch_id", "language", "title", "headline_id"]]
    assert warehouse.insert("headline", frame) == 2
    assert warehouse.rows("SELECT title, url FROM headline ORDER BY 1") == [("story 0", None), ("story 1", None)]
    for table, columns in (("headline", {"headline_id": ["a"], 'x" FROM batch; --': [1]}), ("nothing", {"a": [1]})):
        with pytest.raises(ValueError, match="no such columns"):
            warehouse.insert(table, pa.table(columns))


def test_an_error_takes_back_the_whole_outer_transaction(warehouse: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_after(warehouse, headlines(3), headlines(3, 10))
    assert warehouse.value("SELECT count(*) FROM headline") == 0
    assert warehouse.insert("headline", headlines(3)) == 3


def test_a_failed_statement_is_told_itself_and_the_connection_goes_on(warehouse: Warehouse) -> None:
    with pytest.raises(duckdb.ConstraintException, match="NOT NULL"), warehouse.transaction():
        warehouse.insert("headline", pa.table({"headline_id": ["a"]}))
    assert warehouse.insert("headline", headlines(1)) == 1


@pytest.mark.parametrize("column", ["published_at", "first_seen_at", "available_at"])
@pytest.mark.parametrize("instant", ["infinity", "-infinity"])
def test_infinite_instants_are_refused(warehouse: Warehouse, column: str, instant: str) -> None:
    sql = f"INSERT INTO headline (headline_id, title, language, batch_id, {column}) VALUES ('a', 'b', 'en', 1, $t)"
    with pytest.raises(duckdb.ConstraintException):
        warehouse.run(sql.replace("$t", "$t::TIMESTAMP"), {"t": instant})
    assert warehouse.run(sql.replace("$t", "$t::TIMESTAMP"), {"t": "2024-01-02 03:04:05"}) == 1


def test_all_ways_to_read_give_the_same_rows(warehouse: Warehouse) -> None:
    warehouse.insert("headline", headlines(250))
    sql, key = "SELECT headline_id, title FROM headline WHERE title <> $skip ORDER BY 1", {"skip": "story 7"}
    rows = warehouse.rows(sql, key)
    assert len(rows) == 249
    assert [tuple(row) for row in warehouse.frame(sql, key).itertuples(index=False)] == rows
    assert [tuple(row.values()) for row in warehouse.arrow(sql, key).to_pylist()] == rows
    batches = list(warehouse.batches(sql, key, size=100))
    assert all(batch.num_rows <= 100 for batch in batches)
    assert [tuple(row.values()) for batch in batches for row in batch.to_pylist()] == rows
    assert warehouse.value("SELECT 1 WHERE false") is None


def test_instants_are_utc_in_every_connection_wherever_the_machine_stands(path: Path) -> None:
    code = """
import time
time.tzset()
sql = "SELECT current_setting('TimeZone') AS zone, '2024-07-01 12:00:00+00'::TIMESTAMPTZ::VARCHAR AS at"
with Warehouse.open(sys.argv[1], write=True) as w:
    print(set(w.rows(sql)), [list(batch.to_pylist()[0].values()) for batch in w.batches(sql)])
"""
    command = [sys.executable, "-c", WRITER + code, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "Asia/Shanghai"}
    )
    utc = ["UTC", "2024-07-01 12:00:00+00"]
    assert done.stdout.strip() == f"{ {tuple(utc)} } {[utc]}"


def test_batches_are_those_of_the_call_while_rows_are_written(warehouse: Warehouse) -> None:
    warehouse.insert("headline", headlines(3_000))
    read = 0
    for number, batch in enumerate(warehouse.batches("SELECT headline_id FROM headline", size=1_000)):
        read += batch.num_rows
        warehouse.insert("headline", headlines(1_000, 10_000 * (number + 1)))
    assert read == 3_000


def test_a_table_given_by_name_is_gone_afterwards(warehouse: Warehouse) -> None:
    assert warehouse.value("SELECT sum(a) FROM given", given=pa.table({"a": [1, 2]})) == 3
    with pytest.raises(duckdb.CatalogException):
        warehouse.value("SELECT sum(a) FROM given")


# --- hardening -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hardened") / "w.duckdb"
    Warehouse.open(path, write=True).close()
    (path.parent / "secret.csv").write_text("a\n42\n")
    return path


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "SELECT * FROM 'x.xlsx'",
        "COPY (SELECT 1) TO '{file}.out'",
        "ATTACH '{file}.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '9GB'",
        "SET autoinstall_known_extensions = true",
        "RESET enable_external_access",
        "EXPORT DATABASE '{file}.folder'",
    ],
)
def test_nothing_outside_the_file_can_be_reached(hardened: Path, sql: str, write: bool) -> None:
    with Warehouse.open(hardened, write=write) as warehouse:
        before = sorted(hardened.parent.iterdir())
        with pytest.raises((duckdb.Error, WarehouseError)):
            warehouse.rows(sql.format(file=hardened.parent / "secret.csv"))
        assert sorted(hardened.parent.iterdir()) == before
        assert warehouse.value("SELECT current_setting('enable_external_access')") is False


def test_python_variables_are_not_tables(warehouse: Warehouse) -> None:
    frame = pa.table({"a": [1]})
    assert frame.num_rows == 1
    with pytest.raises(duckdb.Error):
        warehouse.rows("SELECT * FROM frame")


def test_a_parameter_is_a_value_whatever_it_says(warehouse: Warehouse) -> None:
    warehouse.insert("headline", headlines(1))
    text = "x'; DROP TABLE headline; SELECT '"
    assert warehouse.value("SELECT ?", [text]) == text
    assert warehouse.rows("SELECT title FROM headline WHERE title = $t", {"t": text}) == []
    assert warehouse.value("SELECT count(*) FROM headline") == 1


def test_a_reader_cannot_write(path: Path) -> None:
    Warehouse.open(path, write=True).close()
    with Warehouse.open(path) as warehouse, pytest.raises(duckdb.InvalidInputException):
        warehouse.run("INSERT INTO batch VALUES (1, 'a', 'b', 0, 0)")


def test_a_senseless_memory_limit_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHIPWIRE_MEMORY", "plenty")
    with pytest.raises(BadParameter, match="CHIPWIRE_MEMORY='plenty' is not allowed"):
        Warehouse.open(path, write=True)
    monkeypatch.setenv("CHIPWIRE_MEMORY", "300MB")
    with Warehouse.open(path, write=True) as warehouse:
        assert "286" in warehouse.value("SELECT current_setting('memory_limit')")  # 300e6 / 2**20


def test_too_little_memory_is_one_line_with_the_remedy(path: Path) -> None:
    with Warehouse.open(path, write=True, memory="40MB", threads=1) as warehouse:
        with pytest.raises(WarehouseError, match="CHIPWIRE_MEMORY") as caught:
            warehouse.rows("SELECT list(md5(range::VARCHAR) ORDER BY range % 7) FROM range(2000000)")
        assert "\n" not in str(caught.value)
        assert warehouse.insert("headline", headlines(1)) == 1


def test_a_big_sort_spills_beside_the_file_and_leaves_nothing(path: Path) -> None:
    sql = "SELECT count(*) FROM (SELECT md5(range::VARCHAR) AS m, row_number() OVER (ORDER BY m) FROM range(1000000))"
    with Warehouse.open(path, write=True, memory="100MB", threads=1) as warehouse:
        assert warehouse.value(sql) == 1_000_000
        folder = warehouse.value("SELECT current_setting('temp_directory')")
        assert folder == f"{path}.spill-{os.getpid()}"
    path.with_name("w.duckdb.spill-1").mkdir()
    Warehouse.open(path, write=True).close()
    assert sorted(item.name for item in path.parent.iterdir()) == ["w.duckdb", "w.duckdb.lock"]


def wait_for(timer: threading.Timer, _: object) -> None:
    """Where the query was done before the interrupt came, let it come here."""
    timer.join()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let an interrupt come through: a shell that starts the tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("way", ["rows", "frame", "arrow", "batches"])
def test_an_interrupt_stops_a_query_and_the_connection_goes_on(warehouse: Warehouse, way: str) -> None:
    sql = "SELECT count(*) FROM (SELECT md5(range::VARCHAR) AS m FROM range(3000000)) WHERE m > '5'"
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wait_for(timer, list(getattr(warehouse, way)(sql)))
    assert warehouse.insert("headline", headlines(1)) == 1


# --- what a kill, a lost log or a full disk leaves -----------------------------------------------------------


def test_acknowledged_batches_survive_a_kill_for_readers_and_writers(path: Path, killed: Path) -> None:
    copy(killed, path)
    assert count(path) == 150
    assert count(path, write=True) == 150
    assert not path.with_name("w.duckdb.wal").exists()
    assert count(path) == 150


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("keep", [None, 0, 10, 0.5, 0.99])
def test_a_lost_or_cut_log_is_noticed_and_what_is_left_of_it_stays(
    path: Path, killed: Path, keep: float | None, write: bool
) -> None:
    log = copy(killed, path)
    whole = log.read_bytes()
    if keep is None:
        log.unlink()
    else:
        log.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    left = log.read_bytes() if log.exists() else None
    with pytest.raises(WarehouseShorter, match=r"batch 3 was acknowledged.*remove .*w\.duckdb\.lock"):
        Warehouse.open(path, write=write)
    assert (log.read_bytes() if log.exists() else None) == left


def test_after_the_remedy_for_a_lost_log_the_rest_can_be_ingested_again(path: Path, killed: Path) -> None:
    copy(killed, path).unlink()
    path.with_name("w.duckdb.lock").unlink()
    with Warehouse.open(path, write=True) as warehouse:
        assert warehouse.insert("headline", headlines(150)) == 150
    assert count(path) == 150


@pytest.mark.parametrize("write", [False, True])
def test_a_log_that_cannot_be_replayed_is_named_and_never_deleted(path: Path, killed: Path, write: bool) -> None:
    log = copy(killed, path)
    damaged = bytearray(log.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    log.write_bytes(bytes(damaged))
    with pytest.raises(NotAWarehouse, match=r"w\.duckdb\.wal moved aside") as caught:
        Warehouse.open(path, write=write)
    assert "\n" not in str(caught.value)
    assert log.read_bytes() == bytes(damaged)


@pytest.mark.parametrize("way", ["rows", "frame", "arrow", "batches"])
def test_a_truncated_file_is_refused_at_open_or_when_it_is_read(path: Path, way: str) -> None:
    with Warehouse.open(path, write=True) as warehouse:
        table = headlines(5_000).set_column(1, "title", [[os.urandom(40).hex() for _ in range(5_000)]])
        warehouse.insert("headline", table)
    whole = path.read_bytes()
    for size in (100, 4_096, 12_288, len(whole) // 3, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(NotAWarehouse) as caught, Warehouse.open(path) as warehouse:
            list(getattr(warehouse, way)("SELECT * FROM headline"))
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line_and_keeps_the_earlier_batches(path: Path) -> None:
    """A file-size limit stands in for the full disk: writes fail alike."""
    code = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
acknowledged = 0
try:
    with Warehouse.open(sys.argv[1], write=True) as w:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        for k in range(1000):
            acknowledged = add(w, k, 100, 300)
except ChipwireError as error:
    print(acknowledged, type(error).__name__, error)
"""
    done = run(code, path, 1_500_000)
    assert done.returncode == 0, done.stderr
    number, kind, _ = done.stdout.split(" ", 2)
    assert kind == "WriteFailed"
    assert "free space" in done.stdout
    assert done.stdout.count("\n") == 1
    assert int(number) >= 5
    with Warehouse.open(path, write=True) as warehouse:
        batches = warehouse.rows("SELECT batch_id, count(*) FROM headline GROUP BY 1 ORDER BY 1")
        assert batches in ([(k + 1, 100) for k in range(int(number) + more)] for more in (0, 1))


@pytest.mark.parametrize("limit", [1_000, 300_000])
def test_a_full_disk_while_creating_leaves_no_file(path: Path, limit: int) -> None:
    code = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    Warehouse.open(sys.argv[1], write=True)
except ChipwireError as error:
    print(type(error).__name__, error)
"""
    done = run(code, path, limit)
    assert done.stdout.startswith("WriteFailed"), done.stderr
    assert done.stdout.count("\n") == 1
    assert [item.name for item in path.parent.iterdir()] == ["w.duckdb.lock"]


def test_a_checkpoint_that_fails_is_told(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def execute(self, sql: str) -> None:
            raise duckdb.IOException("IO Error: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(warehouse, "_connection", Failing())
        with pytest.raises(WriteFailed, match="no space left"):
            warehouse.checkpoint()


# --- digests -------------------------------------------------------------------------------------------------


def digests(path: Path) -> dict[str, int]:
    with Warehouse.open(path) as warehouse:
        return dict(warehouse.rows("SELECT name, row_count FROM digest"))


def test_closing_notes_a_digest_of_every_table(path: Path) -> None:
    with Warehouse.open(path, write=True) as warehouse:
        warehouse.insert("headline", headlines(4))
        names = warehouse.table_names()
    assert digests(path) == {
        name: 4 if name == "headline" else 0 for name in names if name not in ("digest", "migration")
    }
    with Warehouse.open(path) as warehouse, pytest.raises(ValueError, match="no such table"):
        warehouse.table_digest("headline; DROP TABLE batch")


def test_a_killed_or_failed_writer_leaves_no_stale_digest_and_the_next_one_makes_it(path: Path, killed: Path) -> None:
    copy(killed, path)
    assert "headline" not in digests(path)
    assert "headline" not in digests(path)
    Warehouse.open(path, write=True).close()
    assert digests(path)["headline"] == 150
    with pytest.raises(ZeroDivisionError), Warehouse.open(path, write=True) as warehouse:
        assert warehouse.insert("headline", headlines(10, 1_000)) / 0
    assert "headline" not in digests(path)
    assert count(path) == 160


def test_a_transaction_taken_back_keeps_the_digest(path: Path) -> None:
    with Warehouse.open(path, write=True) as warehouse:
        warehouse.insert("headline", headlines(4))
    with pytest.raises(ZeroDivisionError), Warehouse.open(path, write=True) as warehouse:
        fail_after(warehouse, headlines(4, 10))
    assert digests(path)["headline"] == 4


def test_batches_are_numbered_in_the_order_of_commits(warehouse: Warehouse) -> None:
    with warehouse.transaction():
        assert warehouse.new_batch("ingest news", "a.csv") == 1
        warehouse.end_batch(1, 10, 9)
    with pytest.raises(ZeroDivisionError), warehouse.transaction():
        assert warehouse.new_batch("ingest news", "b.csv") == 2 / 0
    with warehouse.transaction():
        assert warehouse.new_batch("score", "m", 5) == 2
    assert warehouse.acknowledge() == 2
    assert warehouse.rows("FROM batch ORDER BY 1") == [(1, "ingest news", "a.csv", 10, 9), (2, "score", "m", 5, 0)]
