"""The whole way on the embedded data, through the command line, once for all tests here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from chipwire.data.warehouse import Warehouse


@dataclass(frozen=True)
class Demo:
    out: Path
    stdout: str
    stderr: str


def run_demo(folder: Path) -> Demo:
    command = [sys.executable, "-m", "chipwire.cli", "demo", "--out", "demo"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Demo(folder / "demo", done.stdout, done.stderr)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture
def warehouse(demo: Demo):
    with Warehouse.open(demo.out / "demo.duckdb") as opened:
        yield opened


def test_it_ends_with_five_figures_and_the_path(demo: Demo) -> None:
    *figures, path = demo.stdout.splitlines()
    assert len(figures) == 5
    assert path == "demo/report.html"
    page = (demo.out / "report.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html>")
    for figure in figures:
        assert figure.split()[-1].lstrip("+-−") in page
    assert "chipwire --db demo/demo.duckdb why 1 NUMBER" in page


def test_it_trades_at_three_venues_and_every_fill_leads_to_a_headline(warehouse: Warehouse) -> None:
    venues = dict(warehouse.rows("SELECT venue, count(*) FROM fill GROUP BY venue"))
    assert set(venues) == {"XNYS", "XHKG", "XSHG"}
    assert sum(venues.values()) > 50
    orphans = warehouse.value(
        "SELECT count(*) FROM fill ANTI JOIN (SELECT run_id, fill_no FROM fill_cause JOIN headline USING (headline_id) "
        "JOIN score USING (headline_id, issuer, model_id) JOIN model USING (model_id)) USING (run_id, fill_no)"
    )
    assert orphans == 0


def test_no_fill_rests_on_a_headline_from_after_its_decision(warehouse: Warehouse) -> None:
    late = warehouse.value(
        "SELECT count(*) FROM fill JOIN fill_cause USING (run_id, fill_no) JOIN headline USING (headline_id) "
        "WHERE available_at > decision_at OR decision_at > auction_at"
    )
    assert late == 0


def test_at_least_fourteen_instruments_have_bars_from_january_2023(warehouse: Warehouse) -> None:
    found = warehouse.value(
        "SELECT count(*) FROM (SELECT instrument FROM bar GROUP BY instrument "
        "HAVING min(session) <= DATE '2023-01-04' AND max(session) >= DATE '2025-09-29')"
    )
    assert found >= 14


def test_the_figures_can_be_worked_out_from_the_rows(demo: Demo, warehouse: Warehouse) -> None:
    report = json.loads((demo.out / "report.json").read_text("utf-8"))
    last, capital = warehouse.rows(
        "SELECT arg_max(equity, day), (SELECT (settings::JSON ->> 'capital')::DOUBLE FROM run) FROM equity"
    )[0]
    text = json.dumps(report)
    assert json.dumps(report["metrics"]["total_return"]) in text
    assert report["metrics"]["total_return"] == pytest.approx(last / capital - 1, rel=1e-12)
    # Money that left as fees and slippage, by hand from the fills: local costs at the fill's own rate.
    costs = warehouse.value("SELECT sum((commission + duty + levies + slippage) * fx) FROM fill")
    assert report["metrics"]["costs"]["total"] == pytest.approx(costs, rel=1e-9)
    # Cash and positions are all there is.
    gap = warehouse.value(
        "SELECT max(abs(equity - cash - coalesce(value, 0))) FROM equity "
        "LEFT JOIN (SELECT run_id, day, sum(value) AS value FROM position GROUP BY ALL) USING (run_id, day)"
    )
    assert gap < 1e-6


def test_again_adds_nothing_and_writes_the_same_bytes(demo: Demo) -> None:
    pages = {name: (demo.out / name).read_bytes() for name in ("report.html", "report.json", "fills.csv")}
    with Warehouse.open(demo.out / "demo.duckdb") as opened:
        before = {table: opened.table_digest(table) for table in ("headline", "bar", "score", "signal", "fill")}
    again = run_demo(demo.out.parent)
    assert "0 new" in again.stderr
    assert again.stdout == demo.stdout
    with Warehouse.open(demo.out / "demo.duckdb") as opened:
        after = {table: opened.table_digest(table) for table in before}
    assert after == before
    assert {name: (demo.out / name).read_bytes() for name in pages} == pages
