"""The commands that a report prints run as they stand, on the warehouse that the report came from."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from pathlib import Path

import engine_worlds as worlds
import pytest

from chipwire.cli import main
from chipwire.data.warehouse import Warehouse

SPAN = ("--start", "2024-03-04", "--end", "2024-03-15", "--slippage-bps", "0", "--benchmarks", "none")
ELSEWHERE = Path("of mine") / "w.duckdb"
"""A warehouse that is not the default one, in a folder whose name must be quoted."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("commands") / "w.duckdb"
    with Warehouse.open(path, write=True, threads=1) as warehouse:
        world = worlds.World(warehouse).model()
        world.flat("NVDA", "2024-02-01", "2024-03-15", 100.0)
        world.signal("NVIDIA", "2024-03-06T00:00:00", 0.9, "aaaa000011112222")
        world.signal("INTEL", "2024-03-06T00:00:00", 0.9, "bbbb000011112222")  # no instrument of it: not traded
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run chipwire and return what it prints; it must exit 0."""

    def call(*arguments: str) -> str:
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        assert code == 0, err
        return out

    return call


def reported(run, folder: Path, filled: Path, db: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make a run and its report in `folder` from the warehouse `db` there, and return the files' texts."""
    monkeypatch.chdir(folder)
    db.parent.mkdir(exist_ok=True)
    shutil.copy(filled, db)
    run("--db", str(db), "backtest", "event-drift", *SPAN)
    run("--db", str(db), "report", "latest", "--format", "html,md", "--out", "out")
    return {name: (folder / "out" / name).read_text("utf-8") for name in ("report.html", "report.md")}


def commands(page: str) -> list[str]:
    """Return the commands of a page, in its order."""
    return [html.unescape(found) for found in re.findall(r"<code>(chipwire [^<]*)</code>", page)]


def test_every_command_of_the_page_runs_on_its_own_warehouse(run, tmp_path, filled, monkeypatch):
    texts = reported(run, tmp_path, filled, ELSEWHERE, monkeypatch)
    check, why_fill, why_headline, again = commands(texts["report.html"])
    assert check == f"{again} --check"
    for command in (again, why_fill, why_headline):
        assert shlex.split(command)[:3] == ["chipwire", "--db", str(ELSEWHERE)]
    assert "bought 2,000 shares" in run(*shlex.split(why_fill.replace("NUMBER", "1"))[1:])
    assert "no instrument" in run(*shlex.split(why_headline.replace("HEADLINE", "bbbb0000"))[1:])
    with Warehouse.open(ELSEWHERE) as warehouse:
        before = warehouse.rows("SELECT run_id FROM run")
    told = json.loads(run(*shlex.split(again)[1:], "--json"))
    assert [(told["run_id"],)] == before
    hint = f"repeat it with {shlex.join(('chipwire', '--db', str(ELSEWHERE)))} backtest ... --check."
    assert hint in html.unescape(texts["report.html"])
    assert f"```sh\n{again}\n```" in texts["report.md"]


def test_a_universe_of_ones_own_is_named_too(run, tmp_path, filled, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(filled, "w.duckdb")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "universe.toml").write_text("", "utf-8")  # nothing more than the shipped ones
    shared = ("--db", "w.duckdb", "--universe", "own")
    run(*shared, "backtest", "buy-and-hold", *SPAN)
    run(*shared, "report", "latest", "--out", "out")
    found = commands((tmp_path / "out" / "report.html").read_text("utf-8"))
    assert len(found) >= 3
    assert all(shlex.split(command)[1:5] == list(shared) for command in found)


def test_the_usual_warehouse_is_not_named(run, tmp_path, filled, monkeypatch):
    texts = reported(run, tmp_path, filled, Path("chipwire.duckdb"), monkeypatch)
    assert not any("--db" in text for text in texts.values())


def test_the_same_call_gives_the_same_bytes_in_another_folder(run, tmp_path, filled, monkeypatch):
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(reported(run, tmp_path / name, filled, ELSEWHERE, monkeypatch))
    assert made[0] == made[1]
