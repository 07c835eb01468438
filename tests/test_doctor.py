"""What ``doctor`` finds, above all with ``--verify``: values changed by other means, and blocks that broke."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.reports import doctor
from chipwire.reports.doctor import Finding, examine
from chipwire.signals.models import load_model
from chipwire.signals.reading import Reader

EMBEDDED = doctor._model


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the embedded model is another test's subject."""
    monkeypatch.setattr(doctor, "_model", lambda universe: Finding("embedded model", "ok", ""))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "w.duckdb"
    with Warehouse.open(path, write=True) as warehouse:
        rows = {
            "headline_id": [f"{n:016x}" for n in range(3_000)],
            "title": [os.urandom(40).hex() for _ in range(3_000)],
            "language": ["en"] * 3_000,
            "batch_id": [1] * 3_000,
        }
        warehouse.insert("headline", pa.table(rows))
    return path


def bad(path: Path, *, verify: bool = True) -> list[Finding]:
    return [finding for finding in examine(path, verify=verify) if finding.result == "bad"]


def alter(path: Path, sql: str) -> None:
    connection = duckdb.connect(str(path))
    connection.execute(sql)
    connection.close()


def test_a_sound_file_is_sound(path: Path) -> None:
    found = {finding.check: finding for finding in examine(path, verify=True)}
    assert {finding.result for finding in found.values()} <= {"ok", "-"}
    assert found["headline"].detail == "3,000 rows, every value as written"
    assert found["duckdb"].detail == duckdb.__version__


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE headline SET title = 'other' WHERE headline_id = '0000000000000007'",
        "UPDATE headline SET url = 'x' WHERE headline_id = '0000000000000007'",
        "DELETE FROM headline WHERE headline_id = '0000000000000007'",
        "INSERT INTO headline (headline_id, title, language, batch_id) VALUES ('z', 'z', 'en', 9)",
    ],
)
def test_a_value_changed_by_other_means_is_found_by_verify_only(path: Path, sql: str) -> None:
    alter(path, sql)
    assert [finding.check for finding in bad(path)] == ["headline"]
    assert bad(path, verify=False) == []


def test_a_key_that_stands_twice_where_no_index_forbids_it_is_found(path: Path) -> None:
    with Warehouse.open(path, write=True) as warehouse:
        warehouse.append("linked", pa.table({"headline_id": ["a", "b", "a"], "linker": ["x"] * 3}))
    assert bad(path, verify=False) == []
    assert bad(path) == [Finding("linked", "bad", "1 row of a key that is there already; restore a copy")]


def test_a_broken_block_is_one_finding_not_a_traceback(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.find(b"0000000000000bb7") if b"0000000000000bb7" in content else len(content) // 2
    content[place] ^= 0x10
    path.write_bytes(bytes(content))
    found = bad(path)
    assert len(found) == 1
    assert "orrupt" in found[0].detail
    assert "\n" not in found[0].detail


def test_a_file_that_was_cut_off_is_found_without_reading_it_all(path: Path) -> None:
    size = path.stat().st_size
    assert bad(path, verify=False) == []
    os.truncate(path, size - 4_096)
    assert [finding.check for finding in bad(path, verify=False)] == ["warehouse"]
    assert f"{size - 4_096:,} bytes of at least {size:,}" in bad(path, verify=False)[0].detail


def test_free_blocks_that_duckdb_has_cut_from_the_end_are_no_fault(tmp_path: Path) -> None:
    counted = "(SELECT 262144 AS block_size, 15 AS total_blocks, 9 AS used_blocks, 6 AS free_blocks)"  # as once seen

    class Emptied:
        def rows(self, sql: str) -> list[tuple[int, int]]:
            return duckdb.sql(sql.replace("pragma_database_size()", counted)).fetchall()

    path = tmp_path / "w.duckdb"
    path.write_bytes(b"")
    os.truncate(path, 12_288 + 9 * 262_144)
    assert doctor._length(path, Emptied()).result == "ok"
    os.truncate(path, 12_288 + 9 * 262_144 - 1)
    assert doctor._length(path, Emptied()).result == "bad"


def test_a_table_without_a_digest_is_read_and_said_so(path: Path) -> None:
    alter(path, "DELETE FROM digest WHERE name = 'headline'")
    found = {finding.check: finding.detail for finding in examine(path, verify=True)}
    assert found["headline"] == "3,000 rows, all read, no digest to compare with yet"


def test_a_digest_of_another_duckdb_is_not_compared(path: Path) -> None:
    alter(path, "UPDATE digest SET duckdb = '1.0.0', value = 'x'")
    found = {finding.check: finding for finding in examine(path, verify=True)}
    assert found["headline"] == Finding(
        "headline", "ok", "3,000 rows, all read, digest of DuckDB 1.0.0 cannot be compared"
    )


def test_a_missing_file_is_said_and_not_made(tmp_path: Path) -> None:
    found = examine(tmp_path / "none.duckdb", verify=False)
    assert found[-1] == Finding("warehouse", "-", f"{tmp_path / 'none.duckdb'} does not exist yet")
    assert list(tmp_path.iterdir()) == []


def test_the_model_is_named_by_the_id_that_scores_carry(tmp_path: Path) -> None:
    found = EMBEDDED(None)
    assert found.result == "ok"
    assert Reader(load_model(), load_universe()).id in found.detail
    assert EMBEDDED(tmp_path / "none").result == "bad"


def test_a_refused_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("x")
    for path in (tmp_path, tmp_path / "t.txt", tmp_path / ("x" * 300)):
        assert [finding.check for finding in bad(path)] == ["warehouse"]
