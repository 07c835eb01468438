"""The quality of a run's signals: an edge that was planted is found where it is, and everything is counted."""

import json
import math

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from chipwire.cli import main
from chipwire.data.calendars import auctions
from chipwire.data.warehouse import Warehouse
from chipwire.reports import signal_quality as module
from chipwire.reports.collect import collect
from chipwire.reports.exports import report_json
from chipwire.reports.quality_returns import return_tables
from chipwire.reports.signal_quality import Asked, signal_quality

warehouse, world = worlds.warehouse, worlds.world
settings, Reader, Script = worlds.settings, worlds.Reader, worlds.Script

SIX = {"NVDA": "NVIDIA", "AMD": "AMD", "INTC": "INTEL", "MU": "MICRON", "KLAC": "KLAC", "LRCX": "LRCX"}
START, END = "2023-06-01", "2024-06-28"
A_DAY = Asked(lookback_days=1.0)


def plant(world, *, after, edge=0.01, seed=5):
    """Fill a world in which the news of a day moves prices once: in the session that begins `after` opens later."""
    rng = np.random.default_rng(seed)
    calendar = auctions("XNYS", worlds.day(START), worlds.day(END))
    news = rng.choice([-0.9, -0.6, -0.3, 0.3, 0.6, 0.9], (len(calendar), len(SIX)))
    moves = rng.normal(0, 0.003, news.shape)
    moves[after + 1 :] += edge * news[: len(news) - after - 1]
    opens = 100 * np.exp(np.cumsum(moves, axis=0))
    sessions = [str(session) for session in calendar.session]
    rows = []
    for column, (symbol, issuer) in enumerate(SIX.items()):
        world.bars(symbol, dict(zip(sessions, opens[:, column].tolist(), strict=True)))
        known = [str(at - np.timedelta64(2, "h")) for at in calendar.open_at]
        rows += [
            {"issuer": issuer, "at": at, "value": value}
            for at, value in zip(known, news[:, column].tolist(), strict=True)
        ]
    world.signals(rows)
    return news, opens


def quality(world, given=None, asked=A_DAY):
    return signal_quality(world.warehouse, worlds.UNIVERSE, given or settings(START, END), worlds.MODEL, asked)


def by_horizon(table, kind="abnormal"):
    if "returns" in table:
        table = table[table["returns"] == kind]
    return table.set_index("horizon")


@pytest.mark.parametrize("after", [0, 2])
def test_a_planted_edge_is_found_at_its_horizon(world, after):
    news, opens = plant(world, after=after)
    found = quality(world)
    ic = by_horizon(found.ic)
    assert found.method == "daily"
    steps = {horizon: t for horizon, t in ic["step_t"].items() if math.isfinite(t)}
    assert max(steps, key=steps.get) == after + 1
    assert steps.pop(after + 1) > 10
    assert all(abs(t) < 4 for t in steps.values())
    if after:
        assert abs(ic.loc[after, "ic"]) < 0.1
    # The mean of each day's correlation, as scipy gives it, in the own currency too.
    own = by_horizon(found.ic, "own currency")
    for horizon in (1, 3):
        ahead = opens[horizon:] / opens[:-horizon] - 1
        each = [stats.spearmanr(news[day], ahead[day]).statistic for day in range(len(ahead))]
        assert own.loc[horizon, "ic"] == pytest.approx(np.mean(each), abs=1e-9)
        assert own.loc[horizon, "days"] == len(ahead)
    # The highest third over the lowest; a return less the mean of five others is 6 / 5 of that less the mean of all.
    ahead = opens[after + 1 :] / opens[: -after - 1] - 1
    abnormal = (ahead - ahead.mean(axis=1, keepdims=True)) * 6 / 5
    third = np.floor((stats.rankdata(news[: len(ahead)], axis=1) - 0.5) / 6 * 3)
    spread = by_horizon(found.spreads).loc[after + 1]
    assert spread["mean"] == pytest.approx(abnormal[third == 2].mean() - abnormal[third == 0].mean())
    assert spread["t"] > 10
    assert set(found.quantiles["quantile"]) == {1, 2, 3}
    # Closes are opens: nothing varies within a session, and no figure is made of that.
    assert math.isnan(ic.loc[0, "ic"])
    everything = found.reactions.set_index("name").loc["all"]
    assert (everything["after_1_low"] > 0) == (after == 0)
    assert everything["missed_low"] < 0 < everything["missed_high"]


def test_the_signal_is_what_a_strategy_would_see(world):
    """The news comes two hours before the open; known a day later it has nothing left at that horizon."""
    plant(world, after=0)
    late = quality(world, settings(START, END, latency_minutes=3 * 60.0))
    ic = by_horizon(late.ic)
    assert ic.loc[1, "t"] < 4
    assert late.reactions["missed_low"].iloc[0] > 0  # it was in the price before it could be traded
    assert late.venues["too_late"].sum() == len(SIX)
    closing = quality(world, settings(START, END, fill="close"))
    assert 0 not in set(closing.ic["horizon"])
    assert by_horizon(closing.ic).loc[1, "t"] > 10  # here closes are opens


def test_few_instruments_are_pooled(world):
    rng = np.random.default_rng(1)
    sessions = world.sessions("NVDA", START, END)
    for symbol in ("NVDA", "AMD", "INTC", "MU"):
        world.walk(symbol, START, END, 100.0, int(rng.integers(1_000)))
    world.signals([
        {"issuer": issuer, "at": f"{session}T10:00", "value": float(rng.uniform(-1, 1))}
        for session in sessions for issuer in ("NVIDIA", "AMD")
    ])  # fmt: skip
    found = quality(world)
    assert found.method == "pooled"
    ic = by_horizon(found.ic)
    assert ic.loc[1, "observations"] == 2 * (len(sessions) - 1)
    assert abs(ic.loc[1, "t"]) < 3
    assert found.venues.loc[0, "with_signal"] == pytest.approx(0.5)


def test_signals_are_summed_as_the_view_sums_them(world, monkeypatch):
    plant(world, after=0)
    asked = Asked(themes=("sanctions",), half_life_days=2.0, lookback_days=10.0)
    given = settings("2024-05-01", "2024-05-31")
    strategy = Reader(lambda view: None)
    world.simulate(strategy, given)
    panels = []
    monkeypatch.setattr(module, "return_tables", lambda panel: panels.append(panel) or return_tables(panel))
    quality(world, given, asked)
    symbols = world.market(given).symbols
    for view, row in zip(strategy.views, panels[0].signal, strict=True):
        signals = view.signals(themes=["sanctions"], half_life_days=2.0, lookback_days=10.0)
        sums = signals.groupby("issuer")["strength"].sum()
        assert row == pytest.approx([sums[SIX[symbol]] for symbol in symbols], abs=1e-11)


def test_everything_is_counted(world):
    for symbol in ("NVDA", "AMD", "INTC", "MU"):
        world.flat(symbol, "2024-05-01", "2024-06-28", 100.0)
    world.signals([
        {"issuer": "NVIDIA", "at": "2024-06-03T10:00", "value": 0.9},
        {"issuer": "NVIDIA", "at": "2024-06-05T10:00", "value": -0.9, "novelty": 0.5},  # within the window of the first
        {"issuer": "NVIDIA", "at": "2024-06-21T10:00", "value": 0.9, "theme": "ai_models"},
        {"issuer": "AMD", "at": "2024-06-04T10:00", "value": 0.1},  # leans to no side
        {"issuer": "TSMC", "at": "2024-06-04T11:00", "value": 0.9},  # not traded here
        {"issuer": "AMD", "at": "2024-06-06T10:00", "value": 0.9, "theme": "none"},  # not read
        {"issuer": "INTEL", "at": "2024-06-28T21:00", "value": 0.9},  # after the last decision
        {"issuer": "INTEL", "at": None, "value": 0.9, "headline": "undated"},
    ])  # fmt: skip
    ids = world.warehouse.rows("SELECT headline_id FROM headline ORDER BY available_at")
    texts = {"headline_id": [row[0] for row in ids][:3], "model_id": worlds.MODEL, "batch_id": 1}
    world.warehouse.insert("reading", pd.DataFrame({**texts, "abstained": [None, None, "language fr"]}))
    world.warehouse.insert(
        "mention",
        pd.DataFrame({"headline_id": texts["headline_id"][:2], "issuer": "NVIDIA", "via": "direct", "relevance": 1.0,
                      "matched": "Nvidia", "linker": worlds.LINKER}),
    )  # fmt: skip
    asked = Asked.of({"themes": "ai_models,sanctions", "half_life": 0.0, "lookback": 20.0})
    found = quality(world, settings("2024-06-03", "2024-06-28"), asked)
    steps = dict(zip(found.coverage["step"], found.coverage["headlines"], strict=True))
    assert steps == {
        "known in the span of the run": 7,
        "name an issuer": 2,
        "read by the model": 2,
        "the model abstained: language fr": 1,
        "not read by this model": 4,
        "give a signal": 7,
        "of the themes that the strategy reads": 6,
        "for an issuer that the run trades": 5,
        "and leans to a side": 4,
        "without a date, in no run": 1,
    }
    assert found.coverage["share"].tolist()[:2] == pytest.approx([1.0, 2 / 7])
    groups = found.reactions.set_index(["kind", "name"])[["events", "overlapping", "unpriced", "used"]]
    counts = {key: tuple(row) for key, row in zip(groups.index, groups.to_numpy().tolist(), strict=True)}
    assert counts["all", "all"] == (3, 1, 0, 2)
    assert counts["theme", "sanctions"] == (2, 1, 0, 1)
    assert counts["theme", "ai_models"] == (1, 0, 0, 1)
    assert counts["novelty", "novel"] == (2, 0, 0, 2)
    assert counts["novelty", "repeated"] == (1, 0, 0, 1)
    assert counts["time of day", "before the open"] == (3, 1, 0, 2)
    assert found.reactions["after_1"].isna().all()  # too few for any mean
    assert found.paths.empty
    assert found.venues.loc[0, ["events", "too_late"]].tolist() == [3, 1]
    assert found.ic["ic"].isna().all()


def test_a_run_without_any_signal_in_its_span_has_counts_and_no_figures(world):
    for symbol in ("NVDA", "AMD", "INTC", "MU"):
        world.flat(symbol, "2024-05-01", "2024-06-28", 100.0)
    found = quality(world, settings("2024-06-03", "2024-06-28"))
    assert found.ic["observations"].tolist() == [0] * 14
    assert found.venues.loc[0, "with_signal"] == 0.0
    assert found.coverage["headlines"].sum() == 0
    json.dumps(found.as_json(), allow_nan=False)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a warehouse with a run that reads signals, the first, and one that does not."""
    path = tmp_path_factory.mktemp("stored") / "w.duckdb"
    with Warehouse.open(path, write=True, threads=1) as opened:
        world = worlds.World(opened).model()
        plant(world, after=0)
        given = settings("2024-01-02", "2024-06-28")
        world.run(Reader({}), given)
        world.run(Script({}), given)
    return path


def test_the_report_has_it_where_signals_were_read(stored):
    with Warehouse.open(stored) as opened:
        first, again, without = (collect(opened, ref, worlds.UNIVERSE) for ref in ("1", "1", "2"))
    assert without.quality is None
    assert report_json(without)["signal_quality"] is None
    text = json.dumps(report_json(first)["signal_quality"], allow_nan=False)
    assert text == json.dumps(report_json(again)["signal_quality"], allow_nan=False)
    assert json.loads(text)["method"] == "daily"
    assert json.loads(text)["ic"][0].keys() == set(first.quality.ic.columns)


def test_a_report_says_why_it_is_missing(stored, tmp_path):
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(stored.read_bytes())
    with Warehouse.open(copy, write=True, threads=1) as opened:
        opened.touch("bar")
        opened.run("DELETE FROM bar")
        report = collect(opened, "1", worlds.UNIVERSE)
    assert report.quality is None
    assert any("quality of the signals is not measured" in warning for warning in report.warnings)


def test_the_command(stored, capsys):
    assert main(["--db", str(stored), "quality", "1"]) == 0
    shown = capsys.readouterr().out
    assert "across the instruments of each date" in shown
    assert "top less bottom" in shown
    assert main(["--db", str(stored), "quality", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fill"] == "open"
    assert main(["--db", str(stored), "quality", "1", "--csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    tables = [name for name, value in found.items() if isinstance(value, list) and name != "themes"]
    assert len(lines) == 1 + sum(len(found[name]) for name in tables)
    assert main(["--db", str(stored), "quality", "2"]) == 1
    assert "reads no signals" in capsys.readouterr().err
