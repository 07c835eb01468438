"""A warehouse file is input too: its catalog must be exactly what the migrations make."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from chipwire.data.catalog import SCHEMA_VERSION
from chipwire.data.errors import ForeignCatalog, NewerWarehouse, NotAWarehouse
from chipwire.data.warehouse import Warehouse

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
        ]
