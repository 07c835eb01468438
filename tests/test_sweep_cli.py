"""`sweep`, `sweeps` and `runs compare` as a user meets them: output, files, errors, and rows that run alone."""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import fields

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

from chipwire.cli import main
from chipwire.data.warehouse import Warehouse
from chipwire.engine.settings import Settings
from chipwire.reports import console
from chipwire.reports.sweep_commands import SWEPT
from chipwire.reports.sweep_tables import FIGURES, LESS_IS_BETTER

SPAN = ("--start", "2024-03-01", "--end", "2024-04-30")
SWEEP = ("sweep", "theme-momentum", "-p", "top_k=1,2", "-p", "half_life=2:4:2", *SPAN, "--slippage-bps", "0,10")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a warehouse of two venues, rates and news."""
    path = tmp_path_factory.mktemp("sweep")
    with Warehouse.open(path / "chipwire.duckdb", write=True) as warehouse:
        world = worlds.World(warehouse).model()
        for seed, (symbol, price) in enumerate({"NVDA": 90.0, "AMD": 180.0, "0981.HK": 16.0}.items()):
            world.walk(symbol, "2024-02-01", "2024-05-03", price, seed)
        world.fx("HKD", {"2024-01-15": 7.8})
        issuers = ("NVIDIA", "SMIC", "AMD")
        for number in range(40):
            at = pd.Timestamp("2024-02-20 12:00") + pd.Timedelta(hours=37 * number)
            world.signal(issuers[number % 3], str(at), (-1) ** (number % 5) * 0.8)
    return path


@pytest.fixture
def run(folder, monkeypatch, capfd):
    """Run chipwire beside that warehouse and return (exit code, stdout, stderr)."""
    monkeypatch.chdir(folder)

    def call(*arguments):
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    return call


def the_sweep(run):
    """Return the id of `SWEEP`, which other tests may have begun before."""
    rows = json.loads(run("sweeps", "list", "--json")[1])
    return next(row["sweep_id"] for row in rows if "half_life=2:4:2" in row["axes"])


def test_the_best_come_first_and_less_is_better_for_costs(run):
    code, out, err = run(*SWEEP, "--json")
    assert code == 0
    rows = json.loads(out)
    assert len(rows) == 8
    assert "8 configurations (top_k 2 x half_life 2 x slippage_bps 2)" in err
    assert [row["sharpe"] for row in rows] == sorted((row["sharpe"] for row in rows), reverse=True)
    for figure in FIGURES:
        listed = json.loads(run("sweeps", "show", the_sweep(run), "--sort", figure, "--json")[1])
        found = [row[figure] for row in listed]
        assert found == sorted(found, reverse=figure not in LESS_IS_BETTER), figure


@pytest.mark.parametrize(("place", "engine"), [(0, "backtrader"), (5, "backtrader"), (0, "columnar"), (7, "columnar")])
def test_the_printed_command_gives_the_figures_of_the_row_on_either_engine(run, place, engine):
    row = json.loads(run(*SWEEP, "--json")[1])[place]
    words = shlex.split(row["command"])
    assert words[:3] == ["chipwire", "backtest", "theme-momentum"]
    code, out, _ = run(*words[1:], "--engine", engine, "--json")
    assert code == 0
    alone = json.loads(out)
    assert alone["engine"] == engine
    assert alone["params"]["top_k"] == row["top_k"]
    assert alone["settings"]["slippage_bps"] == row["slippage_bps"]
    figures = alone["metrics"]
    figures |= {"max_drawdown": figures["max_drawdown"]["depth"], "costs": figures["costs"]["total"]}
    for name in FIGURES:
        assert row[name] == pytest.approx(figures[name], rel=1e-9, abs=1e-9), name
    run("runs", "delete", alone["run_id"])


def test_costs_at_several_multiples(run):
    call = ("sweep", "theme-momentum", *SPAN, "--slippage-bps", "0", "--fee-multiple", "0:4:1", "--sort", "costs")
    rows = json.loads(run(*call, "--json")[1])
    assert [row["fee_multiple"] for row in rows] == [0, 1, 2, 3, 4]
    assert abs(rows[0]["costs"]) < 1e-6 < rows[1]["costs"]
    for row in rows[1:3]:  # at its default it is no part of the stored settings
        code, out, _ = run(*shlex.split(row["command"])[1:], "--json")
        alone = json.loads(out)
        assert (code, alone["settings"]["fee_multiple"]) == (0, row["fee_multiple"])
        assert alone["metrics"]["costs"]["total"] == pytest.approx(row["costs"], rel=1e-9)
        run("runs", "delete", alone["run_id"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_both_engines_print_the_same_figures_for_targets_of_a_file(run, tmp_path, kind):
    rng = np.random.default_rng(4)
    days = pd.bdate_range(SPAN[1], SPAN[3]).strftime("%Y-%m-%d")
    rows = [(day, name, round(weight, 3)) for day in days[rng.random(len(days)) < 0.6]
            for name, weight in zip(("NVDA", "AMD", "0981.HK"), rng.uniform(-0.5, 0.5, 3), strict=True)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["date", "instrument", "weight"])
    path = tmp_path / f"targets.{kind}"
    frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
    rules = ("--impact", "0.1", "--participation", "0.02", "--leverage", "1.5", "--currency", "HKD", "--fee-multiple",
             "2", "--band", "0.002")  # fmt: skip
    found = []
    for engine in ("backtrader", "columnar"):
        call = ("backtest", "targets-file", "-p", f"path={path}", *SPAN, *rules, "--engine", engine, "--json")
        found.append(json.loads(run(*call)[1]))
        run("runs", "delete", found[-1]["run_id"])
    assert found[0]["metrics"]["n_fills"] > 20
    names = {"engine", "run_id", "run_no"}
    assert {k: v for k, v in found[0].items() if k not in names} == {
        k: v for k, v in found[1].items() if k not in names
    }


def test_the_same_call_again_runs_nothing(run):
    first = run(*SWEEP, "--csv")
    code, out, err = run(*SWEEP, "--csv")
    assert (code, out) == (0, first[1])
    assert "8 of them done before" in err


def test_a_table_shows_what_varies_and_csv_everything(run):
    head = run(*SWEEP, "--sort", "calmar")[1].splitlines()[0].split("  ")
    assert [word.strip() for word in head if word][:5] == ["row", "top_k", "half_life", "slippage_bps", "calmar"]
    rows = list(csv.DictReader(io.StringIO(run(*SWEEP, "--csv")[1])))
    assert {"start", "end", *FIGURES, "error", "command"} <= rows[0].keys()
    assert rows[0]["start"] == "2024-03-01"


def test_top_limits_what_is_printed_and_not_the_file(run, tmp_path):
    out_file = tmp_path / "rows.parquet"
    code, out, err = run(*SWEEP, "--top", "3", "--json", "--out", str(out_file))
    assert code == 0
    assert len(json.loads(out)) == 3
    assert "the best 3 of 8 rows" in err
    written = pd.read_parquet(out_file)
    assert len(written) == 8
    assert written["sharpe"].is_monotonic_decreasing
    assert written["n_fills"].dtype.kind in "iI"
    csv_file = tmp_path / "rows.csv"
    run("sweeps", "show", the_sweep(run), "--out", str(csv_file))
    assert len(csv_file.read_text("utf-8").splitlines()) == 9


def test_a_file_that_is_there_stays_unless_forced(run, tmp_path):
    out_file = tmp_path / "rows.csv"
    out_file.write_text("mine", "utf-8")
    code, out, err = run(*SWEEP, "--out", str(out_file))
    assert (code, out, out_file.read_text("utf-8")) == (1, "", "mine")
    assert "--force" in err
    assert run(*SWEEP, "--out", str(out_file), "--force")[0] == 0
    assert out_file.read_text("utf-8").startswith("row,")


def test_where_no_file_can_be_written_nothing_runs(run, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("mine", "utf-8")
    before = run("sweeps", "list", "--json")[1]
    for place, says in (("folder.csv", "that is a folder"), ("file/rows.csv", "cannot")):
        call = ("sweep", "theme-momentum", "-p", "top_k=7", *SPAN, "--out", str(tmp_path / place), "--force")
        code, out, err = run(*call)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert says in err
    assert run("sweeps", "list", "--json")[1] == before
    code, _, _ = run(*SWEEP, "--out", str(tmp_path / "new" / "rows.csv"))
    assert code == 0
    assert (tmp_path / "new" / "rows.csv").exists()


def test_latency_fill_and_themes_vary_too(run):
    call = ("sweep", "theme-momentum", "-p", "themes=sanctions+none,localization", *SPAN, "--fill", "open,close",
            "--latency-minutes", "0,600", "--json")  # fmt: skip
    code, out, _ = run(*call)
    rows = json.loads(out)
    assert code == 0
    assert {(r["themes"], r["fill"], r["latency_minutes"]) for r in rows} == {
        (themes, fill, late)
        for themes in ("sanctions,none", "localization")
        for fill in ("open", "close")
        for late in (0.0, 600.0)
    }
    traded = {(r["fill"], r["latency_minutes"]): r["final_equity"] for r in rows if r["themes"] != "localization"}
    assert len(set(traded.values())) == 4


def test_random_draws(run):
    call = ("sweep", "theme-momentum", "-p", "threshold=random:uniform:0:1", *SPAN, "--draws", "5", "--seed", "7")
    first = json.loads(run(*call, "--json")[1])
    assert len({row["threshold"] for row in first}) == 5
    assert json.loads(run(*call, "--json")[1]) == first


def test_without_a_span_all_data_are_used(run):
    code, out, err = run("sweep", "equal-weight", "--slippage-bps", "0,5", "--json")
    assert code == 0
    assert "start 2024-02-01 and end 2024-05-03" in err
    assert {(row["start"], row["end"]) for row in json.loads(out)} == {("2024-02-01", "2024-05-03")}


def test_rows_without_figures_are_listed_and_the_call_exits_1(run):
    code, out, err = run("sweep", "theme-momentum", "-p", "gross=0.5,3", *SPAN, "--json")
    rows = json.loads(out)
    assert code == 1
    assert [row["error"] is None for row in rows] == [True, False]
    assert "above the leverage 1" in rows[1]["error"]
    assert err.splitlines()[-1].startswith("error: 1 of 2 configurations gave no figures; row 2: ")
    assert run("sweeps", "show", "latest")[0] == 0


def test_a_command_names_the_warehouse_where_it_is_not_the_usual_one(run, folder):
    path = str(folder / "chipwire.duckdb")
    rows = json.loads(run("--db", path, "sweep", "equal-weight", *SPAN, "--json")[1])
    assert rows[0]["command"].startswith(f"chipwire --db {shlex.quote(path)} backtest equal-weight --start 2024-03-01")


PLUGIN = """
from chipwire.strategies.base import Parameter, Strategy

class Mine(Strategy):
    \"\"\"Holds everything, talks, and fails where it is told to.\"\"\"

    name = "mine"
    reads_signals = False
    parameters = (Parameter("size", float, 0.1, "weight of each", 0.0, 1.0), Parameter("fail", bool, False, "whether"))

    def decide(self, view):
        print("thinking")
        if self.values["fail"]:
            raise ValueError("not today")
        return dict.fromkeys(view.instruments, self.values["size"])
"""


def test_a_strategy_of_ones_own_is_swept_by_decide_alone(run, folder):
    (folder / "mine.py").write_text(PLUGIN, "utf-8")
    code, out, err = run("sweep", "mine.py:Mine", "-p", "size=0.1,0.3", "-p", "fail=false,true", *SPAN, "--json")
    rows = json.loads(out)
    assert code == 1
    assert "thinking" in err
    assert sorted(row["size"] for row in rows if row["error"] is None) == [0.1, 0.3]
    assert "not today" in err.splitlines()[-1]
    assert rows[0]["command"].startswith("chipwire backtest mine.py:Mine -p size=")
    alone = json.loads(run(*shlex.split(rows[0]["command"])[1:], "--json")[1])
    assert alone["metrics"]["final_equity"] == pytest.approx(rows[0]["final_equity"], rel=1e-12)
    run("runs", "delete", alone["run_id"])


def test_sweeps_are_listed_and_found(run):
    run(*SWEEP)
    rows = json.loads(run("sweeps", "list", "--json")[1])
    one = next(row for row in rows if "half_life=2:4:2" in row["axes"])
    assert (one["configurations"], one["done"], one["failed"]) == (8, 8, 0)
    for reference in (str(one["sweep_no"]), one["sweep_id"], one["sweep_id"][:10]):
        assert len(json.loads(run("sweeps", "show", reference, "--json")[1])) == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sweep", "theme-momentun", *SPAN], "did you mean 'theme-momentum'"),
        (["sweep", "theme-momentum", "-p", "topk=1,2", *SPAN], "did you mean 'top_k'"),
        (["sweep", "theme-momentum", "-p", "top_k=0,2", *SPAN], "from 1 to 50"),
        (["sweep", "theme-momentum", "-p", "threshold=0:0.5:0", *SPAN], "step of a range"),
        (["sweep", "theme-momentum", "-p", "threshold=0.5:0:0.1", *SPAN], "the range is empty"),
        (["sweep", "theme-momentum", "-p", "threshold=0:1:0.00005", *SPAN], "20,001 configurations"),
        (["sweep", "theme-momentum", "-p", "top_k=random:int:1:3", *SPAN], "--draws"),
        (["sweep", "theme-momentum", "-p", "top_k=1", *SPAN, "--draws", "3"], "no parameter is random"),
        (["sweep", "theme-momentum", "-p", "top_k=1", *SPAN, "--model", "none-such"], "none-such"),
        (["sweep", "theme-momentum", *SPAN, "--fill", "noon"], "open or close"),
        (["sweep", "theme-momentum", *SPAN, "--instruments", "NVDAA"], "did you mean 'NVDA'"),
        (["sweep", "theme-momentum", *SPAN, "--instruments", ","], "at least one"),
        (["sweep", "theme-momentum", *SPAN, "--instruments", "NVDA,+"], "at least one name"),
        (["sweep", "theme-momentum", *SPAN, "--instruments", ""], "at least one"),
        (["sweep", "theme-momentum", "--interval", "1d,1h"], "there are no 1h bars"),
        (["sweep", "theme-momentum", *SPAN, "--interval", "1w"], "1d or one of 1m, 2m"),
        (["sweep", "theme-momentum", *SPAN, "--interval", "1h", "--fill", "close"], "open with 1h bars"),
        (["strategies", "check", "random", "--interval", "1h"], "there are no 1h bars"),
        (["sweep", "theme-momentum", *SPAN, "--out", "rows.xlsx"], "ends in .csv or .parquet"),
        (["runs", "compare", "nothing"], "chipwire backtest"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, arguments, says):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1, err
    assert says in err


def test_a_sweep_that_is_not_stored_is_one_line(run):
    run(*SWEEP)
    code, out, err = run("sweeps", "show", "999")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "unknown sweep '999'" in err


def test_progress_is_a_line_with_rate_and_time_left_where_piped(monkeypatch, capfd):
    monkeypatch.setattr(console, "PLAIN_EVERY_S", 0.0)
    ticks = iter(range(100))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(ticks))
    with console.Console().progress("sweep", plain=True) as advance:
        advance(40, 100)  # done before: they say nothing about the rate
        advance(50, 100)
        advance(60, 100)
    # Ticks 0 (begin), 1, 2, 3: after two seconds 10 are done and 50 left at 5/s, after three 20 and 40 at 6.7/s.
    assert capfd.readouterr().err.splitlines() == [
        "sweep: 50 of 100, 5.0/s, 0:00:10 left",
        "sweep: 60 of 100, 6.7/s, 0:00:06 left",
    ]
    with console.Console(quiet=True).progress("sweep", plain=True) as advance:
        assert advance is None


def test_every_setting_but_benchmarks_can_vary():
    assert {field.name for field in fields(Settings)} - SWEPT.keys() == {"benchmarks"}


def test_runs_side_by_side(run):
    ids = []
    for slippage in ("0", "50"):
        given = ("backtest", "equal-weight", *SPAN, "--slippage-bps", slippage, "--json")
        ids.append(json.loads(run(*given)[1])["run_id"])
    code, out, _ = run("runs", "compare", *ids, "--json")
    rows = {row["figure"]: row for row in json.loads(out)}
    assert code == 0
    assert [rows["settings.slippage_bps"][i] for i in ids] == [0.0, 50.0]
    assert rows["final_equity"][ids[0]] > rows["final_equity"][ids[1]]
    assert rows["strategy"][ids[0]] == rows["strategy"][ids[1]] == "equal-weight"
    shown = run("runs", "compare", *ids)[1]
    assert "settings.slippage_bps" in shown
    assert "settings.capital" not in shown
    assert "settings.capital" in run("runs", "compare", *ids, "--all")[1]
    assert len(list(csv.reader(io.StringIO(run("runs", "compare", *ids, "--csv")[1])))) == len(rows) + 1
    code, out, err = run("runs", "compare", ids[0], ids[0])
    assert (code, out) == (1, "")
    assert "two different runs" in err
    for run_id in ids:
        run("runs", "delete", run_id)


def test_runs_are_listed_with_returns_in_per_cent_and_as_fractions_for_programs(run):
    found = json.loads(run("backtest", "equal-weight", *SPAN, "--json")[1])
    fractions = found["metrics"]["total_return"], found["metrics"]["max_drawdown"]["depth"]
    head, *lines = run("runs", "list")[1].splitlines()
    line = next(line for line in lines if found["run_id"] in line)
    for name, value in zip(("total_return", "max_drawdown"), fractions, strict=True):
        place = head.index(name) + len(name)  # numbers end where their heads do
        assert line[:place].split()[-1] == f"{value * 100:+,.1f}%"
    assert f"{found['metrics']['sharpe']:.2f}" in line
    listed = next(row for row in json.loads(run("runs", "list", "--json")[1]) if row["run_id"] == found["run_id"])
    assert (listed["total_return"], listed["max_drawdown"]) == fractions
    row = next(
        row for row in csv.DictReader(io.StringIO(run("runs", "list", "--csv")[1])) if row["run_id"] == found["run_id"]
    )
    assert (float(row["total_return"]), float(row["max_drawdown"])) == fractions
    run("runs", "delete", found["run_id"])


def test_a_page_is_not_overwritten_unless_asked(run, tmp_path):
    run(*SWEEP, "--json")
    page = tmp_path / "deep" / "sweep.html"
    code, _, err = run("sweeps", "show", the_sweep(run), "--html", str(page))
    assert code == 0
    assert f"page written to {page}" in err
    first = page.read_bytes()
    code, out, err = run("sweeps", "show", the_sweep(run), "--html", str(page), "--sort", "calmar")
    assert (code, out) == (1, "")
    assert "--force" in err
    assert page.read_bytes() == first
    assert run("sweeps", "show", the_sweep(run), "--html", str(page), "--sort", "calmar", "--force")[0] == 0
    assert page.read_bytes() != first
    code, _, err = run("runs", "compare", "1", "2", "--html", str(tmp_path / "runs.pdf"))
    assert code == 1
    assert "a file that ends in .html" in err
