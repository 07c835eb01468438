"""A stored run: its rows, its causes, its identity, and the same again to the byte."""

import json

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

import chipwire
from chipwire.data.errors import BadTarget, NothingToDo, UnknownName
from chipwire.engine.backtest import delete_run
from chipwire.strategies.benchmarks import BuyAndHold, EqualWeight
from chipwire.strategies.event_drift import EventDrift
from chipwire.strategies.targets_file import TargetsFile
from chipwire.strategies.theme_momentum import ThemeMomentum

warehouse, world, settings = worlds.warehouse, worlds.written, worlds.settings

START, END = "2024-01-02", "2024-02-09"
LEARNT = "it may have learnt from what followed them"
ISSUERS = {"NVDA": "NVIDIA", "AMD": "AMD", "688981.SS": "SMIC", "0981.HK": "SMIC"}


def newsroom(world, seed=7):
    """Four walks with moving FX and a hundred headlines."""
    for n, (symbol, price) in enumerate((("NVDA", 100.0), ("AMD", 60.0), ("688981.SS", 50.0), ("0981.HK", 16.0))):
        world.walk(symbol, "2023-12-20", END, price, seed + n)
    rng = np.random.default_rng(seed)
    days = pd.date_range("2023-12-20", END).astype(str)
    for currency, rate in (("CNY", 7.1), ("HKD", 7.8)):
        world.fx(currency, {d: rate * float(np.exp(rng.normal(0, 0.002))) for d in days})
    minutes = np.sort(rng.choice(60 * 24 * 50, 100, replace=False))
    issuers = rng.choice(sorted(set(ISSUERS.values())), 100)
    values = rng.uniform(-1, 1, 100)
    world.signals(
        {
            "issuer": str(issuer), "value": float(value), "headline": f"h{n:03d}",
            "at": (pd.Timestamp("2023-12-21") + pd.Timedelta(minutes=int(minute))).isoformat(),
        }
        for n, (issuer, value, minute) in enumerate(zip(issuers, values, minutes, strict=True))
    )  # fmt: skip
    return world.model()


def given(**changes):
    return settings(START, END, **({"slippage_bps": 5.0, "band": 0.01, "participation": 0.1} | changes))


def stored(world, run_id=None):
    """Return all rows of all run tables, in full and in a fixed order."""
    where = f"WHERE run_id = '{run_id}'" if run_id else ""
    return {
        table: [repr(row) for row in world.warehouse.rows(f"SELECT * FROM {table} {where} ORDER BY ALL")]
        for table in worlds.RUN_TABLES
    }


STRATEGIES = {
    "theme-momentum": lambda: ThemeMomentum(top_k=2),
    "theme-momentum short": lambda: ThemeMomentum(top_k=2, short=True),
    "event-drift": lambda: EventDrift(threshold=0.6, hold=3),
}


def test_a_run_is_stored_with_what_it_was(world):
    newsroom(world)
    result = world.run(EqualWeight(every=5), given(capital=250_000.0))
    (row,) = world.warehouse.rows(
        "SELECT run_id, run_no, strategy, engine, params, settings, model_id, code_version FROM run"
    )
    assert row[:4] == (result.run_id, 1, "equal-weight", "backtrader")
    assert json.loads(row[4]) == {"every": 5}
    kept = json.loads(row[5])
    assert (kept["start"], kept["end"], kept["capital"], kept["fill"]) == (START, END, 250_000.0, "open")
    assert row[6:] == (None, chipwire.__version__)
    assert len(result.run_id) == 12
    count = {table: len(rows) for table, rows in stored(world).items()}
    assert (count["fill"], count["unfilled"]) == (result.fills, result.unfilled)
    assert count["fill"] > 10
    assert count["fill_cause"] == 0
    assert count["equity"] == world.warehouse.value("SELECT count(DISTINCT day) FROM equity") > 25
    last = world.warehouse.rows("SELECT equity, cash FROM equity ORDER BY day DESC LIMIT 1")[0]
    held = world.warehouse.value("SELECT sum(value) FROM position WHERE day = (SELECT max(day) FROM position)")
    assert last[0] == pytest.approx(last[1] + held)


def test_numbers_of_fills_follow_the_clock(world):
    newsroom(world)
    world.run(EqualWeight(every=5), given())
    rows = world.warehouse.rows("SELECT fill_no, auction_at, venue FROM fill ORDER BY fill_no")
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert [row[1:] for row in rows] == sorted(row[1:] for row in rows)
    assert world.warehouse.value("SELECT count(*) FROM fill WHERE decision_at >= auction_at") == 0


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_fill_leads_to_a_headline_that_was_known(world, name):
    newsroom(world)
    result = world.run(STRATEGIES[name](), given(latency_minutes=5.0))
    assert result.fills > 10
    assert world.warehouse.value("SELECT count(*) FROM fill ANTI JOIN fill_cause USING (run_id, fill_no)") == 0
    causes = world.warehouse.rows(
        "SELECT f.decision_at, h.available_at, c.relation, c.issuer, f.instrument, c.model_id, c.rank, c.strength "
        "FROM fill_cause AS c JOIN fill AS f USING (run_id, fill_no) LEFT JOIN headline AS h USING (headline_id)"
    )
    for decided, available, relation, issuer, instrument, model, rank, strength in causes:
        assert available + pd.Timedelta(minutes=5) <= decided
        assert relation in {"own", "opened", "rival"}
        assert (issuer == ISSUERS[instrument]) or relation != "own"
        assert model == worlds.MODEL
        assert 1 <= rank <= 5
        assert 0 < abs(strength) <= 1
    assert {"own"} <= {row[2] for row in causes}


def test_the_same_run_twice_is_the_same_to_the_byte_and_stands_once(world):
    newsroom(world)
    first = world.run(ThemeMomentum(top_k=2), given())
    rows = stored(world)
    again = world.run(ThemeMomentum(top_k=2), given())
    assert again == first
    assert stored(world) == rows
    assert world.warehouse.value("SELECT count(*) FROM run") == 1


def test_the_order_in_which_the_data_came_in_does_not_matter(world):
    newsroom(world)
    first = world.run(ThemeMomentum(top_k=2), given())
    rows = stored(world)
    data = {
        table: world.warehouse.arrow(f"SELECT * FROM {table} ORDER BY hash({key})")
        for table, key in {
            "signal": "headline_id", "score": "headline_id", "headline": "headline_id", "model": "model_id",
            "fx_rate": "fixed_on", "bar": "concat(instrument, session)",
        }.items()
    }  # fmt: skip
    world.clear()
    for table, content in data.items():
        world.warehouse.insert(table, content)
    assert world.run(ThemeMomentum(top_k=2), given()) == first
    assert stored(world) == rows


def test_whatever_a_run_depends_on_gives_it_another_name(world, tmp_path):
    newsroom(world)

    def name(strategy=None, **changes):
        return world.run(strategy or ThemeMomentum(top_k=2), given(end=worlds.day("2024-01-12"), **changes)).run_id

    def given(**changes):
        return settings(START, "2024-01-12", **{key: value for key, value in changes.items() if key != "end"})

    names = [
        name(), name(capital=999_999.0), name(fill="close"), name(ThemeMomentum(top_k=3)), name(BuyAndHold()),
        name(latency_minutes=1.0), name(instruments=("NVDA",)),
    ]  # fmt: skip
    path = tmp_path / "t.csv"
    for weight in (0.5, 0.4):
        path.write_text(f"date,instrument,weight\n2024-01-04,NVDA,{weight}\n", encoding="utf-8")
        names.append(name(TargetsFile(path=str(path))))
    world.warehouse.run("UPDATE signal SET value = value * 0.5 WHERE headline_id = 'h010'")
    names.append(name())
    world.warehouse.run("UPDATE bar SET close = close + 0.01 WHERE instrument = 'AMD' AND session = DATE '2024-01-05'")
    names.append(name())
    assert len(set(names)) == len(names)
    assert world.warehouse.value("SELECT count(*) FROM run") == len(names)
    assert world.warehouse.value("SELECT max(run_no) FROM run") == len(names)


def test_a_run_can_be_removed_without_trace(world):
    newsroom(world)
    kept = world.run(BuyAndHold(), given())
    before = stored(world)
    gone = world.run(ThemeMomentum(top_k=2), given())
    delete_run(world.warehouse, gone.run_id)
    assert stored(world) == before
    assert world.warehouse.rows("SELECT run_id FROM run") == [(kept.run_id,)]


def test_a_strategy_that_fails_leaves_nothing_behind(world):
    newsroom(world)
    with pytest.raises(BadTarget):
        world.run(worlds.Script(lambda view: {"NVDA": float("nan")}), given())
    assert all(not rows for rows in stored(world).values())


def test_progress_rises_to_the_end(world):
    newsroom(world)
    seen = []
    world.run(BuyAndHold(), given(), on_progress=lambda done, of: seen.append((done, of)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1]


# --- what the reader has to know -----------------------------------------------------------------------------


def test_without_scores_and_without_signals_the_next_step_is_named(world):
    world.flat("NVDA", START, END, 100.0)
    with pytest.raises(NothingToDo, match="there are no scores; make them with 'chipwire score'"):
        world.run(ThemeMomentum(), given())
    world.model().signal("NVIDIA", "2024-06-01T10:00", 0.5)
    with pytest.raises(NothingToDo, match="no signals that 2024-01-02 to 2024-02-09 could see; build them with"):
        world.run(ThemeMomentum(), given())
    with pytest.raises(UnknownName, match="unknown model 'hond'; did you mean 'hand'"):
        world.run(ThemeMomentum(), given(), model="hond")
    assert world.run(BuyAndHold(), given()).warnings == ()


@pytest.mark.parametrize(
    ("cutoff", "words"),
    [
        (None, "the model's training cut-off is not known: it may have learnt from what followed the headlines"),
        ("2023-12-31", None),
        ("2024-01-05", "2 headlines of the run are older than the model's training cut-off 2024-01-05: " + LEARNT),
    ],
)
def test_a_model_that_may_know_the_future_is_said_to(world, cutoff, words):
    world.flat("NVDA", START, END, 100.0).model(cutoff)
    for at in ("2023-12-30T10:00", "2024-01-03T10:00", "2024-01-05T23:59", "2024-01-06T00:00"):
        world.signal("NVIDIA", at, 0.5)
    assert world.run(ThemeMomentum(), given()).warnings == ((words,) if words else ())


def test_undated_headlines_are_counted(world):
    world.flat("NVDA", START, END, 100.0).model().signal("NVIDIA", "2024-01-03T10:00", 0.5)
    world.signal("NVIDIA", None, 0.5, headline="u1").signal("NVIDIA", None, 0.5, headline="u2")
    result = world.run(ThemeMomentum(), given())
    assert result.warnings == ("2 headlines that name an issuer have no publication date and are left out",)
    assert json.loads(world.warehouse.value("SELECT warnings FROM run")) == list(result.warnings)


def test_a_venue_without_fees_is_named(world):
    world.flat("ASML.AS", START, END, 600.0)
    result = world.run(BuyAndHold(), given(currency="EUR"))
    assert result.warnings == ("XAMS: the fee table does not cover all sessions traded; those paid no fees",)
