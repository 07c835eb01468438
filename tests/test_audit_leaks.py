"""The audit finds each planted leak, names its cause, and passes its honest twin."""

from functools import cache
from pathlib import Path

import engine_worlds as worlds
import numpy as np
import pandas as pd
import planted_leaks as planted
import pytest

from chipwire.data.warehouse import Warehouse
from chipwire.engine.validation.audit import audit_strategy
from chipwire.engine.validation.audit_data import audit_data
from chipwire.engine.validation.audit_jobs import Request, run_live
from chipwire.engine.validation.audit_live import IN_MEMORY
from chipwire.engine.validation.audit_setwise import compare_setwise
from chipwire.engine.validation.audit_trace import RunData, differences, run_traced
from chipwire.engine.view import load_signals
from chipwire.signals.build import build_signals

HERE = Path(__file__).parent
START, END = "2024-01-02", "2024-01-26"


def fill(world):
    """Add two venues' bars with a late listing, an early end, a suspension and a split, FX that moves, and news."""
    for seed, (symbol, price) in enumerate((("0981.HK", 16.0), ("NVDA", 50.0), ("AMD", 70.0))):
        world.walk(symbol, "2023-12-18", END, price, seed)
    days = world.sessions("NVDA", "2023-12-18", END)
    world.bars("INTC", dict.fromkeys(days[-6:], 30.0)).bars("QCOM", dict.fromkeys(days[:14], 40.0))
    world.bars("MU", {day: 80.0 for number, day in enumerate(days) if number not in (12, 15, 20)})
    world.bars("KLAC", {day: 100.0 if day < "2024-01-19" else 50.0 for day in days}, volume={d: 1e9 + 1e6 * (i % 3)
               for i, d in enumerate(days)})  # fmt: skip
    random = np.random.default_rng(3)
    dates = pd.bdate_range("2023-12-18", END)
    world.fx("HKD", dict(zip(dates.strftime("%Y-%m-%d"), random.uniform(7.7, 7.9, len(dates)).tolist(), strict=True)))
    world.action("KLAC", "2024-01-19", "split", 2.0).model()
    rows = [
        {"issuer": str(random.choice(["SMIC", "NVIDIA", "AMD"])), "headline": f"h{number}", "value": value,
         "at": str(np.datetime64("2023-12-30T00:00") + np.timedelta64(int(random.integers(0, 27 * 1440)), "m"))}
        for number, value in enumerate(random.uniform(-1, 1, 60).tolist())
    ]  # fmt: skip
    rows += [{"issuer": "NVIDIA", "headline": f"c{day}", "value": sign, "at": f"{day} 21:00"}
             for day, sign in (("2024-01-04", -1.0), ("2024-01-09", 1.0), ("2024-01-17", -1.0))]  # fmt: skip
    return world.signals(rows)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return the file of a small world."""
    path = tmp_path_factory.mktemp("planted") / "small.duckdb"
    with Warehouse.open(path, write=True, threads=1) as warehouse:
        fill(worlds.World(warehouse))
    return path


@pytest.fixture(scope="module")
def data(path):
    """Return the run's data by the auction at which it fills."""
    found = {}
    with Warehouse.open(path) as warehouse:
        for auction in ("open", "close"):
            given = worlds.settings(START, END, fill=auction)
            market = worlds.World(warehouse).market(given)
            issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
            found[auction] = RunData(
                market, load_signals(warehouse, given, worlds.MODEL, worlds.LINKER), issuers, given
            )
    return found


def nets(kind, data, engine="columnar"):
    """Return the checks that find a strategy, and the sources that do it alone."""
    base = run_traced(kind(), data, engine)
    assert not base.error
    assert len(base.orders) > 1
    found, sources = [], ()
    for how in ("cut", "scrambled"):
        if differences(base, run_live(kind(), data, engine, how)):
            found.append(f"later rows {how}")
            alone = (run_live(kind(), data, engine, how, (source,)) for source in IN_MEMORY)
            sources = sources or tuple(
                source for source, trace in zip(IN_MEMORY, alone, strict=True) if differences(base, trace)
            )
    (row,), _ = compare_setwise(kind(), data, base)
    if row[1] == "leak":
        found.append("set-wise")
    return tuple(found), sources


@pytest.mark.parametrize("leak", planted.IN_MEMORY, ids=lambda leak: leak.strategy)
def test_a_leak_in_memory_is_found_and_its_twin_passes(data, leak):
    # The columnar engine is the quicker one; with the other the engine itself runs on data that is false.
    own, engine = data[leak.fill], "backtrader" if leak.strategy == "EngineFrames" else "columnar"
    assert nets(getattr(planted, leak.strategy), own, engine) == (leak.found_by, leak.sources)
    assert nets(getattr(planted, leak.twin or f"{leak.strategy}Honest"), own, engine) == ((), ())


@cache
def audited(path, name, moments, file=None):
    params = {} if file is None else {"path": file}
    given = worlds.settings(START, END)
    request = Request(f"{HERE / 'planted_leaks.py'}:{name}", params, "columnar", given, None, None, path)
    return audit_strategy(request, worlds.UNIVERSE, moments=moments, isolated=False)


@pytest.mark.parametrize("leak", planted.AROUND, ids=lambda leak: leak.strategy)
def test_a_leak_around_the_run_is_found_and_its_twin_passes(path, leak, tmp_path, monkeypatch):
    monkeypatch.setenv(planted.FOLDER, str(tmp_path))
    monkeypatch.setenv(planted.FILE, str(path))
    (tmp_path / "best.txt").write_text("NVDA", "utf-8")
    pd.DataFrame({"close": [1.0]}).to_parquet(tmp_path / "later.parquet")
    moments = 2 if any(name.startswith("warehouse") for name in leak.found_by) else 0
    report = audited(path, leak.strategy, moments)
    assert {found.check for found in report.leaks} == set(leak.found_by)
    assert {check.name for check in report.checks if check.result == "leak"} == set(leak.found_by)
    assert set(leak.sources) <= {source for found in report.leaks for source in found.sources}
    named = [str(tmp_path / "best.txt")] if leak.strategy == "FittedAtInit" else []
    twin = audited(path, leak.twin or f"{leak.strategy}Honest", moments, *named)
    assert [found.detail for found in twin.leaks] == []
    assert [check.name for check in twin.checks if check.result == "note"] == ["files"] * len(named)


# --- in the data -------------------------------------------------------------------------------------------


def news(warehouse, count=24):
    """Add headlines with scores, readings and mentions, and build the signals of them."""
    at = [pd.Timestamp("2024-01-02 03:00") + pd.Timedelta(hours=7 * number) for number in range(count)]
    names = [f"h{number:02}" for number in range(count)]
    value = np.where(np.arange(count) % 3 == 0, -0.8, 0.7)
    batch = {"batch_id": 1, "model_id": worlds.MODEL}
    warehouse.insert("headline", pd.DataFrame({
        "headline_id": names, "title": names, "language": "en", "source": "wire", "published_at": at,
        "published_precision": "minute", "first_seen_at": [each + pd.Timedelta(minutes=3) for each in at],
        "available_at": [each + pd.Timedelta(minutes=3) for each in at], "batch_id": 1,
    }))  # fmt: skip
    warehouse.insert("score", pd.DataFrame({
        "headline_id": names, "issuer": "NVIDIA", "via": "direct", "p_negative": np.maximum(-value, 0),
        "p_neutral": 1 - np.abs(value), "p_positive": np.maximum(value, 0), "p_relevant": 1.0, "reason": "named", **batch,
    }))  # fmt: skip
    warehouse.insert("reading", pd.DataFrame({
        "headline_id": names, "p_ai_models": 0.1, "p_localization": 0.1, "p_sanctions": 0.9, "event": "chip_ban",
        "p_event": 0.9, **batch,
    }))  # fmt: skip
    warehouse.insert("mention", pd.DataFrame({
        "headline_id": names, "issuer": "NVIDIA", "via": "direct", "relevance": 1.0, "matched": "Nvidia",
        "linker": worlds.LINKER,
    }))  # fmt: skip
    build_signals(warehouse, worlds.UNIVERSE, worlds.MODEL)


@pytest.fixture(autouse=True)
def _one_rebuild(monkeypatch):
    """Rebuild the signals as of one moment and not of three, which takes half the time."""
    monkeypatch.setattr("chipwire.engine.validation.audit_data._REBUILDS", 1)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Return the file of a world whose data is sound."""
    path = tmp_path_factory.mktemp("honest") / "honest.duckdb"
    with Warehouse.open(path, write=True, threads=1) as warehouse:
        world = worlds.World(warehouse).flat("NVDA", START, END, 50.0).model("2023-12-31")
        world.bars("KLAC", {"2024-01-18": 100.0, "2024-01-19": 50.0}).action("KLAC", "2024-01-19", "split", 2.0)
        world.flat("0981.HK", START, END, 16.0).fx("HKD", {"2024-01-02": 7.8, "2024-01-03": 7.81})
        news(warehouse)
    return path


def looked_at(path):
    with Warehouse.open(path, write=True) as warehouse:
        return audit_data(warehouse, worlds.UNIVERSE, worlds.settings(START, END), worlds.MODEL)


def test_sound_data_passes_and_signals_are_what_a_rebuild_gives(honest):
    found = looked_at(honest)
    assert {row.check: row.result for row in found} == dict.fromkeys((row.check for row in found), "ok")
    assert len(found) == 12


DAMAGE = {
    "backfilled news": ["UPDATE headline SET first_seen_at = published_at + INTERVAL 20 DAY WHERE headline_id = 'h05'"],
    "day-stamped news": [
        ("UPDATE headline SET published_precision = 'day', published_zone = 'Asia/Shanghai', first_seen_at = NULL, "
        "published_at = TIMESTAMP '2024-01-08 16:00' WHERE headline_id = 'h23'"),
    ],
    "stamps in the zone": ["UPDATE headline SET published_at = published_at - INTERVAL 8 HOUR"],
    "news seen before": [("UPDATE headline SET source = 'other', published_at = published_at + INTERVAL 1 HOUR, "
                         "available_at = published_at + INTERVAL 1 HOUR WHERE headline_id = 'h05'"),
                         "UPDATE signal SET available_at = available_at + INTERVAL 57 MINUTE WHERE headline_id = 'h05'"],
    "a signal known before": [("UPDATE signal SET available_at = available_at - INTERVAL 1 MINUTE "
                              "WHERE headline_id = 'h05'")],
    "novelty in the warehouse": ["UPDATE signal SET novelty = 0.1 WHERE headline_id = 'h01'"],
    "scores in the warehouse": ["UPDATE signal SET value = value - 0.05"],
    "an FX fix": ["UPDATE fx_rate SET available_at = available_at - INTERVAL 8 HOUR WHERE fixed_on = '2024-01-03'"],
    "bars that contain": ["UPDATE bar SET open = 50, close = 50 WHERE instrument = 'KLAC' AND session = '2024-01-18'"],
    "bars revised": ["INSERT INTO reject VALUES (2, 'b.csv', 7, 'revised: close 50 stored, 51 given', '')"],
    "lots on prices": ["UPDATE bar SET adjustment = 'split+dividend' WHERE instrument = '0981.HK'"],
    "a model": ["UPDATE model SET training_cutoff = '2024-01-10'"],
}  # fmt: skip


@pytest.mark.parametrize("leak", planted.IN_DATA, ids=lambda leak: leak.what[:20])
def test_a_leak_in_the_data_is_found(honest, tmp_path, leak):
    path = tmp_path / "damaged.duckdb"
    path.write_bytes(honest.read_bytes())
    (damage,) = (statements for words, statements in DAMAGE.items() if leak.what.startswith(words))
    with Warehouse.open(path, write=True) as warehouse:
        for statement in damage:
            assert warehouse.run(statement) > 0
    found = {f"data: {row.check}": row for row in looked_at(path) if row.result != "ok"}
    assert set(found) == set(leak.found_by)
    assert all(row.count > 0 for row in found.values())


def test_the_table_of_the_docs_is_that_of_the_library():
    assert (HERE.parent / "docs" / "leaks.md").read_text("utf-8") == planted.page(), "run tests/planted_leaks.py"
