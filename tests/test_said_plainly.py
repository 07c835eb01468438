"""What goes wrong is said in one line with what to do: faults that a new user met."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chipwire.cli import main

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run chipwire; return its exit code and all that it says."""

    def call(*words: str | Path) -> tuple[int, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out + err

    return call


@pytest.fixture
def db(run: Run, tmp_path: Path) -> Path:
    """Return a warehouse with one headline."""
    news = tmp_path / "made.csv"
    news.write_text("title,published\nNvidia wins an order,2024-05-02T13:00:00Z\n")
    assert run("--db", tmp_path / "w.duckdb", "ingest", "news", news)[0] == 0
    return tmp_path / "w.duckdb"


def test_the_demo_takes_no_other_warehouse(run: Run, tmp_path: Path) -> None:
    code, said = run("--db", tmp_path / "x.duckdb", "demo", "--out", tmp_path / "d")
    assert code == 2
    assert f"demo makes a warehouse of its own, {tmp_path / 'd' / 'demo.duckdb'}; leave --db out, or give --out" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["nosuch/", "models/mine/", "a/b/c", "owner/name with blanks"])
def test_what_can_be_no_hub_id_is_not_looked_for_there(run: Run, db: Path, model: str) -> None:
    code, said = run("--db", db, "score", "--model", model)
    assert (code, "it is neither a directory nor a hub id such as 'owner/name'" in said) == (1, True)


def test_a_folder_that_is_not_there_is_told_before_torch(run: Run, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, said = run("--db", db, "score", "--model", "models/mine")
    assert (code, "there is no such folder, and to fetch it from a hub needs torch" in said) == (1, True)


def test_a_folder_to_be_made_is_no_lack_of_space(run: Run, db: Path, tmp_path: Path) -> None:
    code, said = run("--db", tmp_path / "nosuch" / "x.duckdb", "ingest", "news", tmp_path / "made.csv")
    assert code == 1
    assert said.endswith(f"(there is no folder {tmp_path / 'nosuch'}); make it, then run it again\n")


def test_an_empty_file_in_place_of_a_warehouse_may_be_removed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").touch()
    code, said = run("--db", tmp_path / "x.duckdb", "score")
    assert (code, "the file is empty; with it removed the next ingest makes a new one" in said) == (1, True)


def test_a_settings_file_that_is_not_there_is_said_in_words(run: Run, tmp_path: Path) -> None:
    code, said = run("--config", tmp_path / "nosuch.toml", "doctor")
    assert code == 1
    assert said.endswith("nosuch.toml: no such file or directory; --config names a TOML file\n")


def test_a_rejects_reason_does_not_repeat_its_file(run: Run, db: Path, tmp_path: Path) -> None:
    (tmp_path / "AMD.csv").touch()
    assert run("--db", db, "ingest", "prices", tmp_path / "AMD.csv")[0] == 1
    listed = json.loads(run("--db", db, "rejects", "--json")[1])
    assert [row["reason"] for row in listed] == ["is empty"]


def test_signals_say_whose_they_are_where_several_models_have_scored(run: Run, db: Path) -> None:
    assert "--model would take" not in "".join(run("--db", db, *words)[1] for words in (["score"], ["signals"]))
    run("--db", db, "score", "--masked")
    assert "of the scores of chipwire-reader-masked (" in run("--db", db, "signals")[1]
    run("--db", db, "score")
    said = run("--db", db, "signals")[1]
    assert "of the scores of chipwire-reader (" in said
    assert "--model would take chipwire-reader-masked (" in said
