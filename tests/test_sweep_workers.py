"""Blocks of a sweep in worker processes: the same rows, stops, and what ends badly."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.data.errors import DomainError
from chipwire.data.warehouse import Warehouse
from chipwire.engine import sweep_block, sweep_workers
from chipwire.engine.sweep import run_sweep
from chipwire.engine.sweep_grid import make_grid
from chipwire.engine.sweep_workers import Named, PackedBook, block_size
from chipwire.engine.view import SignalBook
from chipwire.strategies.base import Strategy
from chipwire.strategies.registry import strategy_class
from chipwire.strategies.theme_momentum import ThemeMomentum

SPAN = {"start": "2024-03-01", "end": "2024-04-30"}
PLUGIN = """from chipwire.strategies.base import Parameter, Strategy


class Follows(Strategy):
    name = "follows"
    parameters = (Parameter("size", float, 0.5, "", 0.0, 1.0), Parameter("fail", bool, False, ""))

    def decide(self, view):
        if self.values["fail"]:
            raise ValueError("not today")
        read = view.signals(lookback_days=5.0)
        last = read["issuer"].iloc[-1] if len(read) else None
        return {name: self.values["size"] if view.issuer(name) == last else 0.0 for name in view.instruments}


class Shy(Follows):
    name = "shy"

    @classmethod
    def targets_setwise(cls, panels, configurations):
        return None
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """Return a warehouse of three venues with prices, rates and news."""
    with Warehouse.open(tmp_path_factory.mktemp("workers") / "w.duckdb", write=True, threads=1) as opened:
        world = worlds.World(opened).model()
        for seed, (symbol, price) in enumerate({"NVDA": 90.0, "0981.HK": 16.0, "688981.SS": 45.0}.items()):
            world.walk(symbol, "2024-02-01", "2024-05-03", price, seed)
        world.fx("HKD", {"2024-01-15": 7.8}).fx("CNY", {"2024-01-15": 7.2})
        for number in range(40):
            at = pd.Timestamp("2024-02-20 12:00") + pd.Timedelta(hours=37 * number)
            world.signal(("NVIDIA", "SMIC")[number % 2], str(at), (-1) ** (number % 5) * 0.8)
        yield opened


@pytest.fixture
def empty(warehouse):
    """Return it without sweeps."""
    warehouse.run("DELETE FROM sweep")
    warehouse.run("DELETE FROM sweep_row")
    return warehouse


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "own.py"
    path.write_text(PLUGIN, "utf-8")
    return path


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks of few configurations, so that a small sweep has several."""
    monkeypatch.setattr(sweep_block, "MOST_SETWISE", 3)
    monkeypatch.setattr(sweep_workers, "LEAST_SETWISE", 1)


def sweep(warehouse, reference, params, **options):
    strategy = strategy_class(reference)
    grid = make_grid(strategy, [tuple(param.split("=")) for param in params], SPAN)
    return run_sweep(warehouse, worlds.UNIVERSE, strategy, grid, reference=reference, **options)


def rows(warehouse):
    return warehouse.rows("SELECT * EXCLUDE (batch_id) FROM sweep_row ORDER BY row_no")


def in_both_ways(warehouse, reference, params):
    """Return the rows of one process and of two, and the second sweep's result."""
    sweep(warehouse, reference, params)
    alone = rows(warehouse)
    warehouse.run("DELETE FROM sweep_row")
    told = []
    done = sweep(warehouse, reference, params, jobs=2, on_progress=lambda count, total: told.append((count, total)))
    assert told == sorted(told)
    assert told[-1] == (done.configurations, done.configurations)
    assert multiprocessing.active_children() == []
    return alone, rows(warehouse), done


@pytest.mark.usefixtures("small_blocks")
def test_workers_give_the_rows_of_one_process(empty):
    alone, shared, done = in_both_ways(empty, "theme-momentum", ["top_k=1,2", "half_life=2,5,9", "short=false,true"])
    assert (done.configurations, done.failed) == (12, 0)
    assert shared == alone


def test_strategies_asked_one_by_one_and_their_failures_too(empty, plugin):
    alone, shared, done = in_both_ways(empty, f"{plugin}:Follows", ["size=0.2,0.4,0.6", "fail=false,true"])
    assert (done.configurations, done.failed) == (6, 3)
    assert shared == alone


@pytest.mark.usefixtures("small_blocks")
def test_a_setwise_form_that_gives_nothing_is_asked_one_by_one(empty, plugin):
    alone, shared, done = in_both_ways(empty, f"{plugin}:Shy", ["size=0.1:0.5:0.1"])
    assert (done.configurations, done.failed) == (5, 0)
    assert shared == alone


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupt_ends_the_workers_and_the_same_call_goes_on(empty):
    params = ["top_k=1,2,3", "half_life=2,5,9"]

    def stop(done, total):
        if empty.value("SELECT count(*) FROM sweep_row"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(empty, "theme-momentum", params, jobs=2, on_progress=stop)
    assert multiprocessing.active_children() == []
    stored = len(rows(empty))
    assert 0 < stored < 9
    done = sweep(empty, "theme-momentum", params, jobs=2)
    assert (done.already, done.configurations, len(rows(empty))) == (stored, 9, 9)


@pytest.mark.usefixtures("small_blocks")
def test_a_worker_that_is_killed_is_one_line_and_what_is_stored_stays(empty):
    def kill(done, total):
        if empty.value("SELECT count(*) FROM sweep_row"):
            for worker in multiprocessing.active_children():
                worker.kill()

    with pytest.raises(DomainError, match="a worker process was ended by signal 9.*--jobs 1"):
        # Many more blocks than two workers can have finished when the first is stored.
        sweep(empty, "theme-momentum", ["top_k=1:6:1", "half_life=2,5,9,13,21,34"], jobs=2, on_progress=kill)
    assert 0 < len(rows(empty)) < 36
    assert multiprocessing.active_children() == []


def test_workers_end_when_their_parent_is_killed():
    script = """
import os, signal
from chipwire.engine.workers import Workers
if __name__ == "__main__":
    with Workers(2):
        print("started", flush=True)
        signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as parent:
        assert parent.stdout.readline() == b"started\n"
        parent.kill()
        # The workers have the same standard output: it ends when the last of them has.
        assert parent.communicate(timeout=60)[0] == b""


def test_a_file_that_has_changed_meanwhile_is_refused(plugin, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(PLUGIN, "utf-8")
    named = Named.of(strategy_class(f"{path}:Follows"), f"{path}:Follows")
    assert named.find().name == "follows"
    path.write_text(PLUGIN + "\n", "utf-8")
    with pytest.raises(DomainError, match="has changed since the sweep began"):
        named.find()


def test_a_class_that_no_module_has_is_named():
    class Local(Strategy):
        name = "local"

    with pytest.raises(DomainError, match="a worker process does not find strategy 'local'"):
        Named.of(Local, "local").find()


@given(pending=st.integers(1, 10_000), room=st.integers(1, 1_000), jobs=st.integers(1, 64))
def test_blocks_keep_within_the_room_and_give_every_worker_as_much(pending, room, jobs):
    size = block_size(ThemeMomentum, pending, room, jobs)
    assert 1 <= size <= room
    blocks = -(-pending // size)
    if jobs == 1 or pending <= room:
        assert size == room
    elif size > sweep_workers.LEAST_SETWISE:
        # No worker has two blocks more than another, and none of them is much smaller.
        assert blocks <= jobs * -(-pending // (room * jobs))


def test_a_packed_book_is_the_book():
    book = SignalBook(
        np.array(["2024-03-01T10:00", "2024-03-02T11:00"], dtype="datetime64[us]"),
        {"issuer": np.array(["AMD", "NVIDIA"], dtype=object), "event": np.array([None, "ban"], dtype=object),
         "value": np.array([0.1, -0.2])},
    )  # fmt: skip
    found = PackedBook.of(book).book()
    assert found.available_at.tolist() == book.available_at.tolist()
    assert {name: column.tolist() for name, column in found.columns.items()} == {
        name: column.tolist() for name, column in book.columns.items()
    }
    assert {name: column.dtype for name, column in found.columns.items()} == {
        name: column.dtype for name, column in book.columns.items()
    }
