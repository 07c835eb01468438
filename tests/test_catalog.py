"""A warehouse file is input too: its catalog must be exactly what the migrations make."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from chipwire.data import catalog
from chipwire.data import warehouse as warehouse_module
from chipwire.data.catalog import SCHEMA_VERSION, migrate
from chipwire.data.errors import (
    ForeignCatalog,
    NewerWarehouse,
    NotAWarehouse,
    OlderWarehouse,
    WarehouseError,
    WriteFailed,
)
from chipwire.data.warehouse import Warehouse
from chipwire.reports.doctor import examine

NEW_BATCH = "batch_id BIGINT PRIMARY KEY, command VARCHAR NOT NULL, input VARCHAR NOT NULL, rows_read BIGINT NOT NULL"
FOREIGN = {
    "view 'v'": "CREATE VIEW v AS SELECT 1 AS x",
    "macro 'lower'": "CREATE MACRO lower(x) AS 'other'",
    "macro 'rows'": "CREATE MACRO rows() AS TABLE SELECT 1",
    "table 'main.extra'": "CREATE TABLE extra (x INTEGER)",
    "column 'equity.z'": "ALTER TABLE equity ADD COLUMN z INTEGER",
    "index 'i'": "CREATE INDEX i ON bar (session)",
    "index 'u'": "CREATE UNIQUE INDEX u ON headline (title)",
    "trigger 'tr'": "CREATE TRIGGER tr AFTER INSERT ON score FOR EACH STATEMENT UPDATE signal SET value = 0",
    "sequence 's'": "CREATE SEQUENCE s",
    "type 'mood'": "CREATE TYPE mood AS ENUM ('up', 'down')",
    "schema 'other'": "CREATE SCHEMA other; CREATE TABLE other.headline (x INTEGER)",
    "column 'batch.rows_read'": "ALTER TABLE batch ALTER COLUMN rows_read SET DEFAULT 5",
    "constraint 'batch'": f"DROP TABLE batch; CREATE TABLE batch ({NEW_BATCH}, rows_added BIGINT NOT NULL UNIQUE)",
    "definition 'batch'": f"DROP TABLE batch; CREATE TABLE batch (rows_added BIGINT NOT NULL, {NEW_BATCH})",
    "definition 'headline_ticker'": (
        "DROP TABLE headline_ticker; CREATE TABLE headline_ticker (headline_id VARCHAR NOT NULL, "
        "ticker VARCHAR COLLATE NOCASE NOT NULL, PRIMARY KEY (headline_id, ticker))"
    ),
    "column 'equity.costs'": "CREATE TABLE e AS FROM equity; DROP TABLE equity; ALTER TABLE e RENAME TO equity",
    "table 'main.equity'": "DROP TABLE equity",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "w.duckdb"
    Warehouse.open(path, write=True).close()
    return path


@pytest.fixture
def path(tmp_path: Path, sound: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "w.duckdb"))


def alter(path: Path, sql: str) -> None:
    connection = duckdb.connect(str(path))
    connection.execute(sql)
    connection.close()


@pytest.mark.parametrize("named", FOREIGN)
def test_anything_but_the_expected_tables_is_refused(path: Path, named: str) -> None:
    alter(path, FOREIGN[named])
    with pytest.raises(ForeignCatalog):
        Warehouse.open(path, write=True)
    with pytest.raises(ForeignCatalog) as caught:
        Warehouse.open(path)
    if named != "column 'equity.costs'":  # all columns of a copy lose NOT NULL; which comes first is no matter
        assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_known_digest_is_that_of_what_the_migrations_make(path: Path) -> None:
    """With a new migration or DuckDB the digest in `catalog` is renewed: print it with `catalog.digest_of`."""
    connection = duckdb.connect(":memory:")
    migrate(connection)
    assert catalog.digest_of(set(connection.execute(catalog._OBJECTS).fetchall())) == catalog._SOUND[SCHEMA_VERSION]

    def never() -> None:
        raise AssertionError("a sound file needs no comparison")

    with duckdb.connect(str(path)) as opened:
        catalog.check_catalog(opened, path, never)


@pytest.mark.parametrize("named", ["view 'v'", "column 'equity.z'", "table 'main.equity'", None])
def test_a_catalog_whose_digest_is_not_known_is_compared(
    monkeypatch: pytest.MonkeyPatch, path: Path, named: str | None
) -> None:
    monkeypatch.setattr(catalog, "_SOUND", {})
    if named is None:
        Warehouse.open(path).close()
        return
    alter(path, FOREIGN[named])
    with pytest.raises(ForeignCatalog, match=named):
        Warehouse.open(path)


def test_a_newer_file_is_refused_with_its_version_and_left_alone(path: Path) -> None:
    alter(path, "INSERT INTO migration VALUES (99, '0099_future.sql', 'x'); CREATE TABLE future (x INTEGER)")
    for write in (False, True):
        with pytest.raises(NewerWarehouse, match=rf"schema version 99.*up to {SCHEMA_VERSION}.*upgrade"):
            Warehouse.open(path, write=write)


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM migration",
        "INSERT INTO migration VALUES (0, 'x', 'y')",
        "DROP TABLE migration",
        "DROP TABLE migration; CREATE TABLE migration (a INTEGER)",
        "DROP TABLE migration; CREATE VIEW migration AS SELECT 1 AS version",
    ],
)
def test_a_damaged_record_of_migrations_is_refused(path: Path, sql: str, write: bool) -> None:
    alter(path, sql)
    with pytest.raises(NotAWarehouse):
        Warehouse.open(path, write=write)


def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.duckdb"
    alter(path, "CREATE TABLE bar (a INTEGER)")
    for write in (False, True):
        with pytest.raises(NotAWarehouse, match="without chipwire's migration table"):
            Warehouse.open(path, write=write)
    connection = duckdb.connect(str(path), read_only=True)
    assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("bar",)]
    connection.close()


def test_rows_and_comments_added_by_others_are_no_matter(path: Path) -> None:
    alter(path, "COMMENT ON TABLE headline IS 'mine'; INSERT INTO headline_ticker VALUES ('a', 'b')")
    with Warehouse.open(path) as warehouse:
        assert warehouse.value("SELECT count(*) FROM headline_ticker") == 1


def test_the_migrations_are_recorded(path: Path) -> None:
    with Warehouse.open(path) as warehouse:
        assert warehouse.rows("SELECT version, name FROM migration") == [
            (1, "0001_initial.sql"),
            (2, "0002_readings.sql"),
            (3, "0003_sweeps.sql"),
            (4, "0004_validations.sql"),
            (5, "0005_scores_without_index.sql"),
        ]


# --- a file of schema 1 ------------------------------------------------------------------------------------

SCHEMA_1 = """
INSERT INTO model VALUES ('m1', 'old', 'f00', '["negative"]', '["en"]', DATE '2023-06-30');
INSERT INTO model VALUES ('m2', 'older', 'f01', '["negative"]', '[]', NULL);
INSERT INTO headline (headline_id, title, language, available_at, batch_id) SELECT 'h' || n, 'Title ' || n, 'en',
    TIMESTAMP '2024-01-01' + to_days(n::INTEGER), 1 FROM range(200) AS t (n);
INSERT INTO mention SELECT 'h' || n, i, 'direct', 1.0, i, 'linker' FROM range(200) AS t (n), (VALUES ('SMIC'), ('AMD')) AS v (i);
INSERT INTO score SELECT 'h' || n, i, m, n / 1000, 1 - n / 500, n / 1000, n % 2, 0, 1,
    CASE WHEN n % 3 = 0 THEN 'probe' END, CASE WHEN n % 3 = 0 THEN 1.0 END, 1 + n // 50
    FROM range(180) AS t (n), (VALUES ('SMIC'), ('AMD')) AS v (i), (VALUES ('m1'), ('m2')) AS w (m);
INSERT INTO abstention SELECT 'h' || n, i, 'm1', 'language zh', 5
    FROM range(180, 200) AS t (n), (VALUES ('SMIC'), ('AMD')) AS v (i);
INSERT INTO batch SELECT n, 'score', 'm1', 50, 50 FROM range(1, 6) AS t (n);
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file as the first migration alone makes it, with rows and with digests of them as its writer left them."""
    path = tmp_path / "old.duckdb"
    connection = duckdb.connect(str(path))
    migrate(connection, 1)
    connection.execute(SCHEMA_1)
    for table in ("headline", "score", "model", "abstention", "mention", "batch"):
        count, value = connection.execute(f"SELECT count(*), bit_xor(hash(t))::VARCHAR FROM {table} AS t").fetchone()
        connection.execute("INSERT INTO digest VALUES (?, ?, ?, ?)", [table, count, value, duckdb.__version__])
    connection.close()
    return path


def sound_tables(path: Path) -> bool:
    found = {finding.check: finding for finding in examine(path, verify=True)}
    return found["warehouse"].result == "ok" and all(
        found[table].detail.endswith("every value as written") for table in ("score", "reading", "model", "mention")
    )


def scores_of(path: Path, columns: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(f"SELECT {columns} FROM score ORDER BY ALL").fetchall()


def test_a_writer_brings_an_old_file_up_to_date_with_all_its_scores(old: Path) -> None:
    kept = "headline_id, issuer, model_id, p_negative, p_neutral, p_positive, batch_id"
    before = scores_of(old, kept)
    of_headlines = scores_of(old, "DISTINCT headline_id, model_id, p_ai_models, p_sanctions, event, p_event")
    assert len(before) == 720
    with Warehouse.open(old, write=True) as warehouse:
        assert warehouse.rows("SELECT version FROM migration ORDER BY 1") == [
            (version,) for version in range(1, SCHEMA_VERSION + 1)
        ]
        assert warehouse.rows("SELECT DISTINCT via, p_relevant FROM score") == [("direct", 1.0)]
        columns = "headline_id, model_id, p_ai_models, p_sanctions, event, p_event"
        read = warehouse.rows(f"SELECT {columns} FROM reading WHERE abstained IS NULL ORDER BY ALL")
        assert read == of_headlines
        refused = warehouse.rows("SELECT headline_id, model_id, abstained FROM reading WHERE abstained IS NOT NULL")
        assert sorted(refused) == [(f"h{n}", "m1", "language zh") for n in range(180, 200)]
        assert warehouse.rows("SELECT model_id, masked, training_cutoff IS NULL FROM model ORDER BY 1") == [
            ("m1", False, False),
            ("m2", False, True),
        ]
    assert scores_of(old, kept) == before
    with Warehouse.open(old):
        pass
    assert sound_tables(old)


def test_an_old_file_is_not_read_before_a_writer_has_brought_it_up_to_date(old: Path) -> None:
    before = old.read_bytes()
    with pytest.raises(OlderWarehouse, match=r"schema version 1.*chipwire score") as caught:
        Warehouse.open(old)
    assert "\n" not in str(caught.value)
    assert old.read_bytes() == before


def test_an_old_file_with_foreign_objects_is_refused_before_anything_in_it_runs(old: Path) -> None:
    alter(old, "CREATE MACRO lower(x) AS 'other'")
    before = scores_of(old, "*")
    for write in (True, False):
        with pytest.raises(ForeignCatalog, match="macro 'lower'"):
            Warehouse.open(old, write=write)
    assert scores_of(old, "*") == before


KILLED = """
import hashlib, os, signal, sys
from types import SimpleNamespace
import chipwire.data.warehouse as module
from chipwire.data import catalog
from chipwire.data import warehouse as warehouse_module

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def sha256(text):  # asked for between the migration's statements and its commit
    return kill() if sys.argv[3].encode() in text else hashlib.sha256(text)

done = catalog.migrate
if sys.argv[2] == "before the commit":
    catalog.hashlib = SimpleNamespace(sha256=sha256)
else:
    module.migrate = lambda connection: (done(connection), kill())
module.Warehouse.open(sys.argv[1], write=True)
"""


@pytest.mark.parametrize(
    ("moment", "migration"),
    [
        ("before the commit", "CREATE TABLE reading ("),
        ("before the commit", "RENAME TO score"),
        ("before the checkpoint", ""),
    ],
)
def test_a_kill_around_the_migration_loses_nothing(old: Path, moment: str, migration: str) -> None:
    kept = "headline_id, issuer, model_id, p_negative, p_neutral, p_positive, batch_id"
    before = scores_of(old, kept)
    done = subprocess.run([sys.executable, "-c", KILLED, str(old), moment, migration], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Warehouse.open(old, write=True) as warehouse:
        assert warehouse.value("SELECT count(*) FROM reading") == 380
    assert scores_of(old, kept) == before
    assert sound_tables(old)


@pytest.mark.parametrize(
    ("failure", "error", "says"),
    [
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), WriteFailed, "older version"),
        (duckdb.OutOfMemoryException("Out of Memory Error: 9 MB"), WarehouseError, "CHIPWIRE_MEMORY higher"),
        (duckdb.IOException("IO Error: Corrupt database file"), NotAWarehouse, "not a readable chipwire warehouse"),
    ],
)
def test_where_a_migration_fails_the_reason_is_told_and_the_file_stays(
    monkeypatch: pytest.MonkeyPatch, old: Path, failure: Exception, error: type[Exception], says: str
) -> None:
    before = scores_of(old, "*")

    def fails(connection: duckdb.DuckDBPyConnection) -> None:
        raise failure

    monkeypatch.setattr(warehouse_module, "migrate", fails)
    with pytest.raises(error, match=says) as caught:
        Warehouse.open(old, write=True)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert scores_of(old, "*") == before
    with Warehouse.open(old, write=True) as warehouse:
        assert warehouse.value("SELECT count(*) FROM score") == len(before)
