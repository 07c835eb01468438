"""The audit's parts: data that becomes known with the clock, cut copies, risky moments, the watch, and the command."""

import datetime as dt
import json
import time

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.cli import main
from chipwire.data.warehouse import Warehouse
from chipwire.engine.validation.audit_cut import Cut, bar_times, copy_warehouse, cut_warehouse
from chipwire.engine.validation.audit_jobs import run_live
from chipwire.engine.validation.audit_live import LiveData
from chipwire.engine.validation.audit_moments import choose_moments
from chipwire.engine.validation.audit_setwise import compare_setwise
from chipwire.engine.validation.audit_trace import RunData, Trace, differences, run_traced
from chipwire.engine.validation.audit_watch import Watch, shifted_clock
from chipwire.engine.view import load_signals
from chipwire.strategies.base import Strategy
from chipwire.strategies.benchmarks import EqualWeight
from chipwire.strategies.placebo import RandomPlacebo
from chipwire.strategies.sanctions_pair import SanctionsPair
from chipwire.strategies.theme_momentum import ThemeMomentum

warehouse, written = worlds.warehouse, worlds.written
utc = worlds.utc
START, END = "2024-01-02", "2024-01-19"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return the file of a small world of three venues with news, an action, FX and a later listing."""
    path = tmp_path_factory.mktemp("audit") / "world.duckdb"
    with Warehouse.open(path, write=True, threads=1) as opened:
        world = worlds.World(opened)
        for seed, symbol in enumerate(("0981.HK", "NVDA", "AMD", "688981.SS")):
            world.walk(symbol, "2023-12-18", END, 50.0, seed)
        world.flat("INTC", "2024-01-16", END, 30.0)
        world.fx("HKD", {"2023-12-20": 8.0, "2024-01-08": 7.9, "2024-01-12": 7.8}).fx("CNY", {"2023-12-20": 7.1})
        world.action("NVDA", "2024-01-11", "dividend", 0.5).model()
        world.signals([
            {"issuer": issuer, "headline": f"h{day}{issuer}", "at": f"2024-01-{day:02} {hour}", "value": value}
            for day, hour, issuer, value in (
                (2, "03:00", "SMIC", 0.9), (3, "15:00", "NVIDIA", 0.8), (4, "21:00", "AMD", 0.9),
                (9, "12:00", "SMIC", -0.9), (10, "02:00", "NVIDIA", -0.7), (16, "18:00", "AMD", -0.9),
            )
        ])  # fmt: skip
        world.warehouse.run("INSERT INTO run VALUES ('r', 1, 's', 'e', '{}', '{}', '', NULL, '', '{}', '[]')")
    return path


def load(path, **changes):
    given = worlds.settings(START, END, **changes)
    with Warehouse.open(path) as opened:
        market = worlds.World(opened).market(given)
        issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
        return RunData(market, load_signals(opened, given, worlds.MODEL, worlds.LINKER), issuers, given)


# --- data that becomes known -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "scrambled"])
def test_live_data_is_true_where_it_is_known_and_nowhere_else(path, how):
    data = load(path)
    live = LiveData(data.market, data.book, data.settings, how)
    for text in ("2024-01-02T01:15", "2024-01-10T14:25", "2024-01-11T14:30", "2024-01-16T22:00"):
        now = np.datetime64(text, "us")
        live.reveal(now)
        for true, shown in zip(data.market.venues, live.market.venues, strict=True):
            for name in ("open", "high", "low", "close", "volume"):
                # What fills at an open is simulated with the bar's volume.
                known = (true.open_at if name in ("open", "volume") else true.close_at) <= now
                before, after = getattr(true, name), getattr(shown, name)
                assert np.array_equal(before[known], after[known], equal_nan=True)
                there = ~np.isnan(before[~known])
                assert not (before[~known] == after[~known])[there].any()
            begun = np.minimum(true.decide_at, true.open_at) <= now
            assert {key: value for key, value in shown.actions.items() if begun[key[0]]} == {
                key: value for key, value in true.actions.items() if begun[key[0]]
            }
            assert not set(shown.actions.items()) & {item for item in true.actions.items() if not begun[item[0][0]]}
        assert live.market.fx.to_base("HKD", now) == data.market.fx.to_base("HKD", now)
        last = np.datetime64("2024-01-19T12:00", "us")
        assert (live.market.fx.to_base("HKD", last) == data.market.fx.to_base("HKD", last)) == (text > "2024-01-13")
        count = int((data.book.available_at <= now).sum())
        assert len(live.book) == (count if how == "cut" else len(data.book))
        assert live.book.columns["value"][:count].tolist() == data.book.columns["value"][:count].tolist()


@pytest.mark.parametrize("engine", ["backtrader", "columnar"])
@pytest.mark.parametrize("how", ["cut", "scrambled"])
@pytest.mark.parametrize("fill", ["open", "close"])
def test_an_honest_strategy_asks_for_the_same_on_live_data(path, engine, how, fill):
    data = load(path, fill=fill)
    base = run_traced(ThemeMomentum(threshold=0.1), data, engine)
    assert len(base.orders) > 2
    assert differences(base, run_live(ThemeMomentum(threshold=0.1), data, engine, how)) == []


def test_both_engines_leave_the_same_trace(path):
    data = load(path)
    one, two = (run_traced(EqualWeight(every=3), data, engine) for engine in ("backtrader", "columnar"))
    assert one == two
    assert one.orders


@pytest.mark.parametrize("engine", ["backtrader", "columnar"])
@pytest.mark.parametrize("until", ["2024-01-10 01:15", "2024-01-05 06:55", "2024-01-10 20:55", "2024-01-11 03:00"])
def test_a_run_to_a_moment_is_the_beginning_of_the_whole_run(path, engine, until):
    # With fills at the close Shanghai decides at 06:55 UTC, when Hong Kong's open is known and its close is to come.
    data = load(path, fill="close" if "01:15" not in until else "open")
    whole = run_traced(EqualWeight(every=1), data, engine)
    part = run_traced(EqualWeight(every=1), data, engine, until=utc(until))
    assert max(at for at, _ in part.targets) <= utc(until)
    assert differences(whole, part, utc(until)) == []
    assert len(part.orders) > 5


def test_differences_come_in_order_and_say_both_values():
    at = utc("2024-01-02 14:25")
    one = Trace({(at, "AMD"): 0.5, (at, "NVDA"): 0.1}, {(at, "AMD"): 100.0})
    two = Trace({(at, "AMD"): 0.5 + 1e-13}, {(at, "AMD"): 90.0})
    found = [(row.instrument, row.what, row.before, row.after) for row in differences(one, two)]
    assert found == [("AMD", "order", 100.0, 90.0), ("NVDA", "target", 0.1, None)]
    assert differences(one, two, at - dt.timedelta(minutes=1)) == []
    failed = differences(one, Trace({}, {}, "it failed"))
    assert [(row.what, row.after) for row in failed][-1] == ("error", "it failed")


# --- look-aheads of our own, that were ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategy",
    [EqualWeight(every=2), RandomPlacebo(top_k=3), ThemeMomentum(threshold=0.1, short=True), SanctionsPair()],
)
def test_before_a_later_listing_nothing_is_shared_with_it_in_any_form(path, strategy):
    data = load(path)
    base = run_traced(strategy, data, "columnar")
    (row,), leaks = compare_setwise(strategy, data, base)
    assert (row[1], leaks) == ("ok", [])
    # INTC's first auction is over after the open of the 16th.
    assert {at for at, name in base.targets if name == "INTC" and at < utc("2024-01-17 00:00")} == set()
    with Warehouse.open(path) as opened:
        given = worlds.settings(START, "2024-01-12")
        early = worlds.World(opened).market(given)
    assert "INTC" not in early.symbols
    without = run_traced(type(strategy)(**strategy.values), RunData(early, data.book, data.issuers, given), "columnar")
    assert differences(base, without, utc("2024-01-12 14:25")) == []


@pytest.mark.parametrize("engine", ["backtrader", "columnar"])
@pytest.mark.parametrize("resumes", [None, "2024-02-20", "2024-04-10"])
def test_a_silent_holding_is_closed_whatever_comes_later(written, engine, resumes):
    days = written.flat("NVDA", "2023-12-28", "2024-03-28", 100.0).sessions("NVDA", START, "2024-03-28")
    written.bars("AMD", {"2023-12-29": 50.0, days[0]: 50.0} | ({resumes: 70.0} if resumes else {}))
    plan = worlds.Script({days[0]: {"AMD": 0.5}})
    done = written.run(plan, worlds.settings(START, "2024-03-28"), engine=engine)
    fills = written.warehouse.rows(
        "SELECT session, auction, shares, price FROM fill WHERE run_id = ? ORDER BY fill_no", [done.run_id]
    )
    assert fills == [
        (dt.date.fromisoformat(days[0]), "open", 10_000, 50.0),
        (dt.date.fromisoformat(days[21]), "delisting", -10_000, 50.0),
    ]


# --- copies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "scrambled"])
def test_a_copy_keeps_what_was_known_and_the_original_stays(path, tmp_path, how):
    before = path.read_bytes()
    copy = tmp_path / "copy.duckdb"
    copy_warehouse(path, copy)
    moment = dt.datetime.fromisoformat("2024-01-10 14:35")  # New York has opened, its close is to come
    cut_warehouse(copy, Cut(moment, how), worlds.UNIVERSE)
    assert path.read_bytes() == before
    true, false = ({}, {})
    for found, file in ((true, path), (false, copy)):
        with Warehouse.open(file) as opened:
            found["bar"] = {row[:2]: row[2:] for row in opened.rows(
                "SELECT instrument, session, open, close, volume FROM bar")}  # fmt: skip
            found["fx"] = opened.rows("SELECT * FROM fx_rate WHERE available_at <= ? ORDER BY ALL", [moment])
            found["later fx"] = opened.rows("SELECT rate FROM fx_rate WHERE available_at > ? ORDER BY ALL", [moment])
            found["signal"] = opened.rows("SELECT * FROM signal WHERE available_at <= ? ORDER BY ALL", [moment])
            found["later"] = opened.rows("SELECT * FROM signal WHERE available_at > ? ORDER BY ALL", [moment])
            found["action"] = opened.rows("SELECT * FROM corporate_action WHERE ex_date <= '2024-01-10'")
            found["coming"] = opened.rows("SELECT * FROM corporate_action WHERE instrument = 'NVDA'")
            found["runs"] = opened.value("SELECT count(*) FROM run")
    assert (true["runs"], false["runs"]) == (1, 0)
    for name in ("fx", "signal", "action"):
        assert false[name] == true[name]
    assert true["later"]
    assert true["later fx"] != false["later fx"]
    assert true["later"] != false["later"]
    assert true["coming"] != false["coming"]
    for (name, day), (opens, close, volume) in true["bar"].items():
        now = false["bar"].get((name, day))
        over = dt.datetime.fromisoformat(f"{day} {'21' if name.isalpha() else '08'}:00") <= moment
        if over:
            assert now == (opens, close, volume)
        elif day == moment.date():
            assert now[0] == opens
            assert now[1] != close
        elif how == "cut":
            assert now is None
        else:
            assert now is None or (now[0] != opens and now[1] != close)
    assert ("INTC", dt.date(2024, 1, 16)) in true["bar"]
    assert ("INTC", dt.date(2024, 1, 16)) not in false["bar"]  # a later listing never comes


def test_a_bar_is_known_when_its_venues_session_is_over(path):
    with Warehouse.open(path) as opened:
        times = {(row["instrument"], row["starts_at"].date()): (row["open_at"], row["close_at"])
                 for row in bar_times(opened, worlds.UNIVERSE).to_pylist()}  # fmt: skip
    # Hong Kong 09:30 to 16:00 is UTC+8; New York 09:30 to 16:00 is UTC-5 in January.
    assert times["0981.HK", dt.date(2024, 1, 9)] == tuple(
        map(dt.datetime.fromisoformat, ("2024-01-09 01:30", "2024-01-09 08:00"))
    )
    assert times["NVDA", dt.date(2024, 1, 9)] == tuple(
        map(dt.datetime.fromisoformat, ("2024-01-09 14:30", "2024-01-09 21:00"))
    )


# --- moments -----------------------------------------------------------------------------------------------


def test_risky_moments_are_found_and_the_choice_is_seeded(path):
    data = load(path)
    found = choose_moments(data.market, data.book, frozenset({"h4AMD"}), 9, 1)
    assert found.risky["corporate actions"] == (utc("2024-01-11 14:25"),)
    # Known on the 4th at 21:00, when New York has decided; Hong Kong is next.
    assert set(found.risky["news known by its day"]) == {
        utc(f"2024-01-05 {time}") for time in ("01:15", "01:20", "14:25")
    }
    assert utc("2024-01-16 14:25") in found.risky["news between a decision and its session's close"]
    # INTC's first bar is that of the 16th.
    assert set(found.risky["around a listing or an end"]) >= {utc("2024-01-12 14:25"), utc("2024-01-16 14:25")}
    assert len(found.chosen) == 9
    assert found.drawn == 9 - sum(1 for moments in found.risky.values() if moments)
    assert found.chosen == choose_moments(data.market, data.book, frozenset({"h4AMD"}), 9, 1).chosen
    assert found.chosen != choose_moments(data.market, data.book, frozenset({"h4AMD"}), 9, 2).chosen
    assert max(found.chosen) < found.decisions[-1]


def test_half_days_and_clock_changes_are_risky(world_of_a_year):
    found = choose_moments(world_of_a_year, None, frozenset(), 0, 0)
    # New York closed at 13:00 on the eve of Independence Day, after Thanksgiving and on Christmas Eve of 2024.
    assert [at.date().isoformat() for at in found.risky["half days"]] == ["2024-07-03", "2024-11-29", "2024-12-24"]
    # Summer time began on 10 March and ended on 3 November.
    assert [at.date().isoformat() for at in found.risky["clock changes"]] == ["2024-03-11", "2024-11-04"]
    assert found.chosen == ()


@pytest.fixture
def world_of_a_year(written):
    return written.flat("NVDA", "2023-12-28", "2024-12-31", 100.0).market(worlds.settings(START, "2024-12-31"))


# --- the watch ---------------------------------------------------------------------------------------------


def test_the_watch_sees_files_opened_by_the_strategy_only(tmp_path):
    one, two, three = (tmp_path / name for name in ("one.csv", "two.csv", "three.csv"))
    one.write_text("a", "utf-8")
    watch = Watch()

    def reads():
        one.read_text("utf-8")
        two.write_text("b", "utf-8")

    watch.wrapped(reads)()
    three.write_text("c", "utf-8")
    assert watch.opened == {str(one): {"read"}, str(two): {"write"}}


def test_the_clock_is_shifted_and_comes_back():
    real = dt.datetime.now(dt.UTC)
    with shifted_clock(1_000):
        import datetime

        assert abs(datetime.datetime.now(dt.UTC) - real - dt.timedelta(days=1_000)) < dt.timedelta(hours=1)
        assert abs(time.time() - real.timestamp() - 86_400_000) < 3_600
        assert isinstance(real, datetime.datetime)
    assert dt.datetime.now(dt.UTC) - real < dt.timedelta(hours=1)


# --- bars within the day -----------------------------------------------------------------------------------


class Follower(Strategy):
    """Holds what rose in the last bar; a peeker looks at the bar that comes."""

    name = "follower"
    reads_signals = False
    peeks = False

    def decide(self, view):
        found = {}
        for name in view.instruments:
            if self.peeks:
                venue = view._market.venues[0]
                row = int(np.searchsorted(venue.decide_at, np.datetime64(view.now.replace(tzinfo=None), "us")))
                rise = np.nan_to_num(venue.close[row, 0] - venue.open[row, 0])
            else:
                bars = view.prices(name, 1)
                rise = bars["close"].iloc[-1] - bars["open"].iloc[-1] if len(bars) else 0.0
            found[name] = 0.5 if rise > 0 else 0.0
        return found


class Peeker(Follower):
    name = "peeker"
    peeks = True


def test_bars_within_the_day_are_hidden_too(written):
    random = np.random.default_rng(1)
    price = np.cumsum(random.normal(0, 1, 80)) + 200
    starts = [f"2024-01-{day:02}T{hour}" for day in (2, 3, 4, 5, 8) for hour in
              ("14:30", "15:30", "16:30", "17:30", "18:30", "19:30", "20:30")]  # fmt: skip
    for number, start in enumerate(starts):
        written.warehouse.run(
            "INSERT INTO bar VALUES ('NVDA', '1h', ?::DATE, ?, ?, ?, ?, ?, NULL, 1e9, 'none', 1)",
            [start, start, *(float(each) for each in (price[number], price[number] + 3, price[number] - 3,
                                                      price[number + 1]))],
        )  # fmt: skip
    given = worlds.settings("2024-01-02", "2024-01-08", interval="1h")
    data = RunData(written.market(given), None, {"NVDA": "NVIDIA"}, given)
    for kind, leaks in ((Follower, False), (Peeker, True)):
        base = run_traced(kind(), data)
        assert len(base.orders) > 5
        for how in ("cut", "scrambled"):
            assert bool(differences(base, run_live(kind(), data, "backtrader", how))) == leaks


# --- the command -------------------------------------------------------------------------------------------

PLUGIN = """
from chipwire.strategies.base import Strategy

class Late(Strategy):
    name = "late"
    reads_signals = False

    def decide(self, view):
        print("hello")
        for venue in view._market.venues:
            if venue.mic == view.venue:
                row = venue.session.tolist().index(view.session) - {back}
                names = [instrument.symbol for instrument in venue.instruments]
                return {{name: 0.2 * bool(venue.close[row, names.index(name)] > venue.open[row, names.index(name)])
                        for name in view.instruments}}
"""


@pytest.fixture
def run(path, capfd):
    """Run chipwire on the small world and return (exit code, stdout, stderr)."""

    def call(*arguments):
        capfd.readouterr()
        code = main(["-q", "--db", str(path), "audit", *arguments, "--start", START, "--end", END])
        return code, *capfd.readouterr()

    return call


def test_a_sound_plugin_passes_in_processes_of_its_own(run, tmp_path):
    (tmp_path / "late.py").write_text(PLUGIN.format(back=1), "utf-8")
    code, out, err = run(f"{tmp_path / 'late.py'}:Late", "--moments", "1", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["leaks"] == []
    assert {row["name"]: row["result"] for row in found["checks"]} == {
        "runs": "ok", "later rows cut": "ok", "later rows scrambled": "ok", "warehouse cut": "ok",
        "warehouse scrambled": "none", "set-wise": "none", "files": "ok",
    }  # fmt: skip
    assert found["orders"] > 5
    assert len(found["moments"]["cut"]) == 1


def test_a_leak_is_told_with_moment_instrument_values_and_source_and_exit_1(run, tmp_path, monkeypatch):
    import chipwire.engine.validation.audit_jobs as jobs

    everything = jobs.perform_all  # in this process: what is tested here is what is told
    monkeypatch.setattr(
        "chipwire.engine.validation.audit.perform_all",
        lambda request, asked, isolated: everything(request, asked, isolated=False),
    )
    (tmp_path / "late.py").write_text(PLUGIN.format(back=0), "utf-8")
    code, out, err = run(f"{tmp_path / 'late.py'}:Late", "--moments", "0")
    assert code == 1
    told = [line for line in out.splitlines() if line.startswith("leak: later rows cut: ")]
    assert len(told) == 1
    assert " UTC target of " in told[0]
    assert " 0.2 becomes 0: with the later rows cut; by bars (and " in told[0]
    last = err.splitlines()[-1]
    assert last.startswith("error: strategy 'late' leaks (2 found); the first: 2024-01-")


def test_usage(run):
    code, _, err = run("random", "--moments", "-1")
    assert code == 2
    assert "Invalid value for '--moments'" in err
    code, _, err = run("thememomentum")
    assert code == 1
    assert "did you mean 'theme-momentum'" in err
