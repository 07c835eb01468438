"""``chipwire why`` as a user meets it: what is printed, and what is said when it cannot be answered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import engine_worlds as worlds
import pytest

from chipwire.cli import main
from chipwire.data.warehouse import Warehouse

SPAN = ("--start", "2024-03-04", "--end", "2024-03-15", "--slippage-bps", "0", "--benchmarks", "none")
PLUGIN = '''
from chipwire.strategies.base import Strategy


class Mine(Strategy):
    """Buy what good news is about."""

    name = "mine"

    def decide(self, view):
        print("thinking")
        good = set(view.signals(lookback_days=2.0).query("value > 0")["issuer"])
        return {name: 0.5 * (view.issuer(name) in good) for name in view.instruments}
'''


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("why") / "w.duckdb"
    with Warehouse.open(path, write=True, threads=1) as warehouse:
        world = worlds.World(warehouse).model()
        world.flat("NVDA", "2024-02-01", "2024-03-15", 100.0)
        for title, at in (("aaaa000011112222", "2024-03-06"), ("aaaa000033334444", "2024-03-20")):
            world.signal("NVIDIA", f"{at}T00:00:00", 0.9, title)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], filled: Path):
    """Run chipwire in a folder with the world's warehouse and return (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(filled, tmp_path / "chipwire.duckdb")

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_a_fill_and_a_headline_are_explained_as_text_and_json(run) -> None:
    assert run("backtest", "event-drift", *SPAN)[0] == 0
    code, out, err = run("why", "latest", "1")
    assert (code, err) == (0, "")
    assert "NVDA: bought 2,000 shares at USD 100.0000" in out
    assert "known 2024-03-06 00:00 UTC (2024-03-05 19:00 New York)" in out
    code, out, _ = run("why", "1", "aaaa00001", "--json")
    found = json.loads(out)
    assert (code, found["fate"], found["fills"][0]["fill_no"]) == (0, "filled", 1)
    code, out, _ = run("why", "1", "aaaa00003333")
    assert code == 0
    assert "too late: known after the last decision of the run at the venue" in out


def test_several_headlines_are_listed_and_none_is_one_line(run) -> None:
    run("backtest", "event-drift", *SPAN)
    code, out, err = run("why", "latest", "aaaa0000")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["headline_id", "aaaa000011112222", "aaaa000033334444"]
    assert err == "error: 'aaaa0000' may mean 2 headlines; name one by its id\n"
    code, out, err = run("why", "latest", "#7")
    assert (code, out) == (1, "")
    assert err == "error: unknown fill '#7'; the run has fills 1 to 2\n"
    code, out, err = run("why", "latest", "nowhere")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert run("why", "latest")[0] == 2


def test_a_strategy_from_a_file_is_replayed_when_it_is_named_and_is_the_same(run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN, "utf-8")
    assert run("backtest", "mine.py:Mine", *SPAN)[0] == 0
    code, out, err = run("why", "latest", "aaaa00001", "--json")
    assert code == 0
    assert "name it with --strategy FILE.py:CLASS" in err
    assert json.loads(out)["rows"][0]["read"] is None
    code, out, err = run("why", "latest", "aaaa00001", "--json", "--strategy", "mine.py:Mine")
    assert (code, "note" in err) == (0, False)
    assert json.loads(out)["rows"][0]["read"]["decisions"] == 2
    (tmp_path / "mine.py").write_text(PLUGIN.replace("0.5", "0.4"), "utf-8")
    code, out, err = run("why", "latest", "aaaa00001", "--json", "--strategy", "mine.py:Mine")
    assert code == 0
    assert "is not the one of the run" in err
    assert json.loads(out)["rows"][0]["read"] is None
