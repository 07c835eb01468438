"""A run's folder repeats the run, by either engine, and is refused when it is not what was written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import engine_worlds as worlds
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chipwire.cli import main
from chipwire.data.errors import BadParameter, DomainError, WriteFailed
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import run_backtest
from chipwire.reports.collect import collect
from chipwire.reports.exports import Source, write_report
from chipwire.reports.lineage import load_run_data
from chipwire.reports.lineage_answers import why_headline
from chipwire.reports.rerun import BadFolder, differs, read_folder, rerun
from chipwire.reports.run_folder import folder_name, write_folder
from chipwire.signals.linking import Linker
from chipwire.strategies.registry import make_strategy

START, END = "2024-03-04", "2024-04-12"
GIVEN = {"slippage_bps": 5.0, "benchmarks": ("SPY",), "band": 0.01, "latency_minutes": 30.0}
MINE = '''
from pathlib import Path

from chipwire.strategies.base import Parameter, Strategy


class Mine(Strategy):
    """Hold one share in turn."""

    name = "mine"
    parameters = (Parameter("size", float, 0.5, "weight", 0.0, 1.0),)
    reads_signals = False

    def decide(self, view):
        return {name: self.values["size"] * (view.session.day % 2) / len(view.instruments) for name in view.instruments}


Path(__file__).with_name("was-run").write_text("yes")
'''


def build(world):
    world.model().fx("CNY", dict.fromkeys(["2023-12-01", "2024-03-20"], 7.0) | {"2024-03-20": 7.2})
    world.walk("NVDA", "2024-01-02", "2024-05-10", 100.0, 1)  # goes on after the run
    world.walk("688981.SS", "2024-01-02", "2024-03-20", 50.0, 2)  # ends within it
    world.walk("SPY", "2024-01-02", END, 400.0, 3)
    world.walk("AMD", "2022-01-03", "2022-02-01", 90.0, 4)  # no bar in the span: not in the run
    world.action("NVDA", "2024-03-11", "dividend", 0.5)
    for number, day in enumerate(("2024-03-05", "2024-03-12", "2024-03-19", "2024-04-02")):
        issuer = ("NVIDIA", "SMIC")[number % 2]
        world.signal(issuer, f"{day}T00:00:00", 0.9, f"={issuer} {day}")
    world.signal("NVIDIA", None, 0.5, "undated")
    return world


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory):
    with Warehouse.open(tmp_path_factory.mktemp("folder") / "w.duckdb", write=True, threads=1) as opened:
        build(worlds.World(opened))
        yield opened


def exported(warehouse: Warehouse, out: Path, strategy: str, params=(), engine="columnar", reference=None) -> Path:
    """Run, export the folder and return it."""
    made = make_strategy(reference or strategy, dict(params))
    done = worlds.World(warehouse).run(made, worlds.settings(START, END, **GIVEN), engine=engine)
    source = Source(warehouse, worlds.UNIVERSE, strategy=reference)
    report = collect(warehouse, done.run_id, worlds.UNIVERSE)
    (folder,) = write_report(report, {"folder"}, out, source=source)
    return folder


@pytest.fixture(scope="module")
def original(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(warehouse, tmp_path_factory.mktemp("out"), "event-drift", {"hold": 3})


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def sealed(folder: Path, path: str, content: bytes) -> None:
    """Change a file and make the manifest fit it."""
    (folder / path).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"][path] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize("engine", ["columnar", "backtrader"])
def test_a_folder_gives_the_same_run_by_either_engine(folder: Path, engine: str) -> None:
    done = rerun(folder, engine=engine)
    assert [f"{finding.what}: {finding.detail}" for finding in done.findings if finding.result != "same"] == []
    rows = {finding.what: finding.rows for finding in done.findings}
    assert rows["fill"] > 3
    assert rows["position"] > 5
    assert (engine == "columnar") == ("run id" in rows)
    assert done.notes == ()


def test_what_could_not_be_read_is_not_in_it(original: Path) -> None:
    bars = pq.read_table(original / "data" / "bar.parquet")
    assert set(bars["instrument"].to_pylist()) == {"NVDA", "688981.SS", "SPY"}
    nvidia = [day.isoformat() for name, day in zip(bars["instrument"].to_pylist(), bars["session"].to_pylist(),
                                                    strict=True) if name == "NVDA"]  # fmt: skip
    # After the end only the last one, which says that the silence of a share would be no end.
    assert [day for day in nvidia if day > END] == ["2024-05-10"]
    titles = pq.read_table(original / "data" / "headline.parquet")["title"].to_pylist()
    assert sorted(titles)[0].startswith("=NVIDIA")
    assert "undated" in titles  # the run warns of it


def test_the_same_run_gives_the_same_folder(warehouse: Warehouse, original: Path, tmp_path: Path) -> None:
    again = exported(warehouse, tmp_path, "event-drift", {"hold": 3})
    one, two = ({path.relative_to(top): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}
                for top in (original, again))  # fmt: skip
    assert one == two


def test_what_differs_is_named(folder: Path) -> None:
    bars = pq.read_table(folder / "data" / "bar.parquet")
    column = bars.column_names.index("close")
    raised = pa.array([price * 1.01 for price in bars["close"].to_pylist()])
    sink = pa.BufferOutputStream()
    pq.write_table(bars.set_column(column, "close", raised), sink)
    sealed(folder, "data/bar.parquet", sink.getvalue().to_pybytes())
    done = rerun(folder)
    assert not done.same
    found = {finding.what: finding for finding in done.findings}
    assert found["data read"].result == found["equity"].result == "differs"
    assert "equity" in found["equity"].detail
    assert " became " in found["equity"].detail


def test_tables_are_compared_to_the_bit() -> None:
    one = pa.table({"day": [1, 2], "value": [0.1 + 0.2, float("nan")]})
    assert differs(one, one, ["day"]) == ""
    assert "day 1: value 0.30000000000000004 became 0.3" in differs(
        one, pa.table({"day": [1, 2], "value": [0.3, float("nan")]}), ["day"]
    )
    assert differs(one, one.slice(0, 1), ["day"]) == "2 rows became 1"
    zero, minus = (pa.table({"day": [1], "value": [value]}) for value in (0.0, -0.0))
    assert differs(zero, minus, ["day"])
    assert differs(one, one.rename_columns(["day", "worth"]), ["day"]) == "the columns differ: value, worth"


@pytest.mark.parametrize("name", ["README.md", "data/bar.parquet", "run/fill.parquet"])
def test_a_changed_or_missing_file_is_refused(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BadFolder, match=f"{name} has been changed"):
        read_folder(folder)
    (folder / name).write_bytes(content + b"x")
    with pytest.raises(BadFolder, match=f"{name} has been changed"):
        read_folder(folder)
    (folder / name).unlink()
    with pytest.raises(BadFolder, match=f"{name} cannot be read"):
        read_folder(folder)


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "data/../../x", "data/.x", "other/x", "data/a/b", ""])
def test_a_path_outside_is_refused(folder: Path, path: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"][path] = {"bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BadFolder, match="no place in such a folder"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["data/bar.parquet", "manifest.json", "run", "extra"])
def test_a_link_is_refused_even_to_the_right_content(folder: Path, tmp_path: Path, name: str) -> None:
    if (folder / name).exists():
        (folder / name).rename(tmp_path / "real")
    else:
        (tmp_path / "real").write_text("")
    (folder / name).symlink_to(tmp_path / "real")
    with pytest.raises(BadFolder, match=f"{name} is a symbolic link"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(format="zip"), "no folder of a run"),
        (lambda m: m.update(version=99), "its version is 99"),
        (lambda m: m.pop("run"), "'run' in its manifest"),
        (lambda m: m["run"].update(settings=[]), "'settings' in its manifest"),
        (lambda m: m["files"].pop("run/fill.parquet"), "lacks run/fill.parquet"),
        (lambda m: m["files"].update({"README.md": {"bytes": 1, "sha256": "x"}}), "no SHA-256 of README.md"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(folder: Path, change, says: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BadFolder, match=says):
        rerun(folder)


def test_a_table_that_no_warehouse_takes_is_refused(folder: Path) -> None:
    rates = pq.read_table(folder / "data" / "fx_rate.parquet")
    for table, name in (
        (rates.drop_columns(["rate"]), "fx_rate"),
        (rates.set_column(2, "rate", pa.array([-1.0] * len(rates))), "fx_rate"),
        (pa.concat_tables([rates, rates]), "fx_rate"),
    ):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        sealed(folder, f"data/{name}.parquet", sink.getvalue().to_pybytes())
        with pytest.raises(BadFolder, match="fx_rate"):
            rerun(folder)
    sealed(folder, "data/fx_rate.parquet", b"PAR1 and nothing more")
    with pytest.raises(BadFolder, match="no Parquet file"):
        rerun(folder)


# --- strategies ------------------------------------------------------------------------------------------


def test_a_strategys_file_travels_along_and_runs_only_when_trusted(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE, "utf-8")
    reference = f"{tmp_path / 'mine.py'}:Mine"
    folder = exported(warehouse, tmp_path / "out", "mine", {"size": 0.4}, reference=reference)
    assert (folder / "strategy" / "mine.py").read_text("utf-8") == MINE
    (tmp_path / "was-run").unlink()
    with pytest.raises(DomainError, match=r"strategy/mine.py.*--trust"):
        rerun(folder)
    assert not list(folder.rglob("was-run"))
    assert rerun(folder, trust=True).same
    (folder / "strategy" / "mine.py").write_text(MINE + "\n", "utf-8")
    with pytest.raises(BadFolder, match="changed"):
        rerun(folder, trust=True)


def test_a_folder_is_not_made_of_another_strategy_or_other_data(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(MINE.replace("Path(__file__)", "# "), "utf-8")
    reference = f"{tmp_path / 'other.py'}:Mine"
    done = worlds.World(warehouse).run(make_strategy(reference, {}), worlds.settings(START, END, **GIVEN))
    report = collect(warehouse, done.run_id, worlds.UNIVERSE)
    with pytest.raises(DomainError, match="--strategy FILE.py:CLASS"):
        write_report(report, {"folder"}, tmp_path / "out", source=Source(warehouse, worlds.UNIVERSE))
    (tmp_path / "other.py").write_text(MINE, "utf-8")
    with pytest.raises(DomainError, match="not the one of the run"):
        source = Source(warehouse, worlds.UNIVERSE, strategy=reference)
        write_report(report, {"folder"}, tmp_path / "out", source=source)
    assert not (tmp_path / "out").exists()


def test_a_targets_file_travels_along(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "wishes.csv"
    path.write_text("date,instrument,weight\n2024-03-06,NVDA,0.5\n2024-03-20,NVDA,0\n", "utf-8")
    folder = exported(warehouse, tmp_path / "out", "targets-file", {"path": str(path)})
    path.unlink()
    assert (folder / "strategy" / "wishes.csv").exists()
    done = rerun(folder, engine="backtrader")
    assert done.same
    assert {finding.what: finding.rows for finding in done.findings}["fill"] == 2


def test_bars_within_the_day_and_a_universe_of_ones_own_travel_along(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "universe.toml").write_text('[issuer.RAPID]\nname = "Rapid"\naliases = ["Rapid Fab"]\n', "utf-8")
    columns = "symbol,issuer,venue,currency,kind,board,lot,listed_on,name"
    (own / "listings.csv").write_text(f"{columns}\nRPD,RAPID,XNYS,USD,stock,,1,,Rapid\n", "utf-8")
    universe = load_universe(own)
    hours = pd.date_range("2024-03-05 14:30", periods=7, freq="h").strftime("%Y-%m-%dT%H:%M")
    with Warehouse.open(tmp_path / "w.duckdb", write=True, threads=1) as opened:
        world = worlds.World(opened).model()
        frame = pd.DataFrame({
            "instrument": "RPD", "interval": "1h", "session": pd.Timestamp("2024-03-05"),
            "starts_at": pd.to_datetime(hours), "open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 1e9,
            "adjustment": "none", "batch_id": 1,
        })  # fmt: skip
        opened.insert("bar", frame)
        world.signal("RAPID", "2024-03-05T15:00:00", 0.9, "news")
        opened.run("UPDATE signal SET linker = ?", [Linker(universe).id])
        given = worlds.settings("2024-03-05", "2024-03-05", interval="1h")
        done = run_backtest(opened, universe, make_strategy("event-drift", {}), given)
        assert done.fills == 2  # five bars later it is sold
        report = collect(opened, done.run_id, universe)
        (folder,) = write_report(report, {"folder"}, tmp_path / "out", source=Source(opened, universe, own))
        data = load_run_data(opened, universe, report.run)
        found = why_headline(opened, data, "news")
    # Known in the bar from 14:30, decided a millisecond before the next one.
    assert found["rows"][0]["first_decision_at"]["utc"] == "2024-03-05T15:29:59.999000Z"
    assert found["rows"][0]["read"]["decisions"] == 1
    shutil.rmtree(own)
    assert rerun(folder).same


# --- writing ---------------------------------------------------------------------------------------------


def test_a_folder_that_is_there_stays_unless_forced_and_a_link_is_not_followed(
    warehouse: Warehouse, original: Path, tmp_path: Path
) -> None:
    report = collect(warehouse, original.name.removeprefix("run-"), worlds.UNIVERSE)
    source = Source(warehouse, worlds.UNIVERSE)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "mine.txt").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / original.name).symlink_to(theirs)
    with pytest.raises(Exception, match="--force"):
        write_report(report, {"folder"}, out, source=source)
    write_report(report, {"folder"}, out, force=True, source=source)
    assert [path.name for path in theirs.iterdir()] == ["mine.txt"]
    assert not (out / original.name).is_symlink()
    (out / original.name / "data" / "left.txt").write_text("over")
    write_report(report, {"folder"}, out, force=True, source=source)
    assert not (out / original.name / "data" / "left.txt").exists()
    assert [path.name for path in out.iterdir()] == [original.name]


@pytest.mark.parametrize("run_id", ["../../x", "/tmp/x", "", "a" * 65, "0a1b2c\n"])
def test_a_run_from_a_strange_warehouse_names_no_folder_elsewhere(run_id: str) -> None:
    with pytest.raises(BadParameter, match="hexadecimal"):
        folder_name(run_id)


def test_a_full_disk_leaves_the_old_folder_and_no_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run-1"
    write_folder({folder / "data" / "a": b"old"}, folder)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WriteFailed, match="No space left"):
            write_folder({folder / "data" / "a": b"new"}, folder)
    assert (folder / "data" / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["run-1"]


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_says_the_same_or_names_what_differs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rerun", str(folder), "--csv"]) == 0
    out, err = capfd.readouterr()
    assert [line.split(",")[1] for line in out.splitlines()[1:]] == ["same"] * 10
    assert err == "the same to the byte, by the engine columnar\n"
    equity = pq.read_table(folder / "run" / "equity.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(equity.slice(1), sink)
    sealed(folder, "run/equity.parquet", sink.getvalue().to_pybytes())
    assert main(["rerun", str(folder), "--json"]) == 1
    out, err = capfd.readouterr()
    assert [row["what"] for row in json.loads(out) if row["result"] == "differs"] == ["equity"]
    assert err == "error: the run is not the same: equity; see the list\n"
    (folder / "manifest.json").write_text("{", "utf-8")
    assert main(["rerun", str(folder)]) == 1
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "not valid JSON" in err
