"""Runs on bars finer than a day: when is asked, what is known, what fills; each number worked in its test."""

import json
import math

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.data.bar_grid import intraday_grid
from chipwire.data.calendars import auctions
from chipwire.data.errors import BadParameter, NothingToDo
from chipwire.engine.backtest import ENGINES
from chipwire.engine.check import check_strategy
from chipwire.engine.sweep import run_sweep
from chipwire.engine.sweep_grid import make_grid
from chipwire.reports.collect import metrics_of
from chipwire.strategies.registry import make_strategy

warehouse, world = worlds.warehouse, worlds.world
Script, Reader = worlds.Script, worlds.Reader

SMIC = "688981.SS"


def settings(start, end, **changes):
    return worlds.settings(start, end, **{"interval": "1h"} | changes)


def starts(mic, start, end):
    """Return the starts of a venue's one-hour bars, as text to the minute."""
    grid = intraday_grid(auctions(mic, worlds.day(start), worlds.day(end)), "1h", by_clock=False)
    return [str(at)[:16] for at in grid.starts_at]


def hourly(world, symbol, start, end, price, **changed):
    """Add one-hour bars of one price, but for those named ``dMMDDTHHMM``."""
    mic = worlds.UNIVERSE.instrument(symbol).venue
    prices = {at: changed.get("d" + at[5:].replace("-", "").replace(":", ""), price) for at in starts(mic, start, end)}
    return world.finer(symbol, prices)


def plan(**weights):
    """Return a plan of weights by the time of decision in UTC, to the second: ``dMMDDTHHMMSS``."""

    def decide(view):
        return weights.get(view.now.strftime("d%m%dT%H%M%S"))

    return decide


def just_before(text):
    """Return the last millisecond before an instant."""
    import datetime as dt

    return worlds.utc(text) - dt.timedelta(milliseconds=1)


def unfilled(account):
    return [
        (row.auction_at.strftime("%m-%d %H:%M"), row.wanted, row.filled, row.reason) for row in account.ledger.unfilled
    ]


def fills(account):
    return [(row.auction_at.strftime("%m-%d %H:%M"), row.shares, row.price) for row in account.ledger.fills]


# --- when, at which price ----------------------------------------------------------------------------------


def test_asked_before_each_bar_and_filled_at_its_open(world):
    prices = {at: (100.0 + i, 100.5 + i) for i, at in enumerate(starts("XNYS", "2024-01-03", "2024-01-04"))}
    script = Script(plan(d0103T152959={"NVDA": 0.5}))
    account = world.finer("NVDA", prices).simulate(script, settings("2024-01-03", "2024-01-04"))
    decisions = [view.now for view in script.views]
    # The opening auction has New York's cut-off of five minutes; within the session there is none.
    hours = ["15:30", "16:30", "17:30", "18:30", "19:30", "20:30"]
    assert decisions == [
        at
        for session in ("2024-01-03", "2024-01-04")
        for at in (worlds.utc(f"{session}T14:25"), *(just_before(f"{session}T{hour}") for hour in hours))
    ]
    # Sized by the close of the bar before, filled at the open: 500,000 / 100.5 shares at 101.
    shares = math.floor(500_000 / 100.5)
    assert fills(account) == [("01-03 15:30", shares, 101.0)]
    assert account.cash == pytest.approx(1_000_000 - shares * 101.0)
    assert account.ledger.fills[0].session.isoformat() == "2024-01-03"


def test_prices_known_at_a_decision_are_those_of_bars_that_are_over(world):
    prices = {at: (100.0 + i, 100.5 + i) for i, at in enumerate(starts("XNYS", "2024-01-03", "2024-01-04"))}
    seen = []

    def look(view):
        seen.append((view.last_price("NVDA"), view.prices("NVDA", 2)["close"].tolist()))

    world.finer("NVDA", prices).simulate(Script(look), settings("2024-01-03", "2024-01-04"))
    assert math.isnan(seen[0][0])
    assert seen[0][1] == []
    assert [last for last, _ in seen[1:]] == [100.5 + i for i in range(13)]
    assert [closes for _, closes in seen[2:]] == [[100.5 + i, 101.5 + i] for i in range(12)]


def test_lunch_breaks_and_half_days_are_the_venues_own(world):
    # Hong Kong, Monday before Christmas and Christmas Eve, which closes at noon.
    hourly(world, "0981.HK", "2024-12-23", "2024-12-24", 16.0)
    script = Script({})
    world.simulate(script, settings("2024-12-23", "2024-12-24", currency="HKD"))
    full = ["01:15:00", "02:29:59", "03:29:59", "04:59:59", "05:59:59", "06:59:59"]
    assert [view.now.strftime("%H:%M:%S") for view in script.views] == [*full, "01:15:00", "02:29:59", "03:29:59"]


def test_a_cut_off_given_counts_before_the_opening_auction(world):
    hourly(world, "NVDA", "2024-01-03", "2024-01-03", 100.0)
    script = Script({})
    world.simulate(script, settings("2024-01-03", "2024-01-03", cutoff_minutes=30))
    assert [view.now.strftime("%H:%M:%S") for view in script.views][:2] == ["14:00:00", "15:29:59"]


def test_finer_bars_than_an_hour(world):
    grid = intraday_grid(auctions("XSHG", worlds.day("2024-01-03"), worlds.day("2024-01-03")), "5m", by_clock=False)
    world.finer(SMIC, {str(at)[:16]: 50.0 for at in grid.starts_at}, interval="5m")
    script = Script(plan(d0103T023459={SMIC: 0.5}))
    account = world.simulate(script, settings("2024-01-03", "2024-01-03", currency="CNY", interval="5m"))
    assert len(script.views) == 4 * 60 // 5
    assert fills(account) == [("01-03 02:35", 10_000, 50.0)]


# --- the rules of the day ----------------------------------------------------------------------------------


def test_shares_bought_in_a_session_are_not_sold_in_it_in_shanghai(world):
    hourly(world, SMIC, "2024-01-03", "2024-01-04", 50.0)
    # Bought at 10:30, to be sold at 14:00 the same day, then at the next day's open.
    asked = plan(d0103T022959={SMIC: 0.5}, d0103T055959={SMIC: 0.0}, d0104T012000={SMIC: 0.0})
    account = world.simulate(Script(asked), settings("2024-01-03", "2024-01-04", currency="CNY"))
    assert unfilled(account) == [("01-03 06:00", -10_000, 0, "locked_t1")]
    assert fills(account) == [("01-03 02:30", 10_000, 50.0), ("01-04 01:30", -10_000, 50.0)]
    # Commission 0.025% and transfer fee 0.001% on both sides, stamp duty 0.05% on the sale.
    assert account.cash == pytest.approx(1_000_000 - 500_000 * (2 * 0.00025 + 2 * 0.00001 + 0.0005))


def test_shares_of_the_day_before_are_sold_while_those_of_the_day_are_locked(world):
    hourly(world, SMIC, "2024-01-03", "2024-01-04", 50.0)
    asked = plan(d0103T022959={SMIC: 0.25}, d0104T022959={SMIC: 0.5}, d0104T055959={SMIC: 0.0})
    account = world.simulate(Script(asked), settings("2024-01-03", "2024-01-04", currency="CNY"))
    (before, _), (later, _) = [(row[1], row[2]) for row in fills(account)[:2]]
    assert fills(account)[2] == ("01-04 06:00", -before, 50.0)
    assert unfilled(account) == [("01-04 06:00", -before - later, -before, "locked_t1")]
    assert account.positions() == {SMIC: later}


def test_new_york_has_no_lock(world):
    hourly(world, "NVDA", "2024-01-03", "2024-01-03", 100.0)
    asked = plan(d0103T152959={"NVDA": 0.5}, d0103T182959={"NVDA": 0.0})
    account = world.simulate(Script(asked), settings("2024-01-03", "2024-01-03"))
    assert fills(account) == [("01-03 15:30", 5_000, 100.0), ("01-03 18:30", -5_000, 100.0)]


def test_limits_count_from_the_close_of_the_day_before(world):
    # STAR allows 20% on 50.00, the last close of the day before: at 60 nobody sells. Counted from the bar before (59)
    # 60 were no limit, and the opening bar's 50.50 would have one at 60.60.
    hourly(world, SMIC, "2024-01-03", "2024-01-04", 50.0, d0104T0130=50.5, d0104T0230=59.0, d0104T0500=60.0,
           d0104T0600=60.0)  # fmt: skip
    asked = plan(d0104T022959={SMIC: 0.5}, d0104T045959={SMIC: 0.9})
    account = world.simulate(Script(asked), settings("2024-01-03", "2024-01-04", currency="CNY"))
    assert [row[0] for row in fills(account)] == ["01-04 02:30"]
    assert [(row[0], row[3]) for row in unfilled(account)] == [("01-04 05:00", "limit_up")]


def test_a_bar_without_trade_fills_nothing(world):
    prices = dict.fromkeys(starts("XNYS", "2024-01-03", "2024-01-03"), 100.0)
    del prices["2024-01-03T15:30"]
    asked = plan(d0103T152959={"NVDA": 0.5}, d0103T162959={"NVDA": 0.5})
    account = world.finer("NVDA", prices).simulate(Script(asked), settings("2024-01-03", "2024-01-03"))
    assert unfilled(account) == [("01-03 15:30", 5_000, 0, "no_bar")]
    assert fills(account) == [("01-03 16:30", 5_000, 100.0)]


def test_borrow_and_dividend_come_once_a_session(world):
    # Friday to Monday: a short of 5,000 shares at 100.
    hourly(world, "NVDA", "2024-01-05", "2024-01-08", 100.0).action("NVDA", "2024-01-08", "dividend", 2.0)
    asked = plan(d0105T152959={"NVDA": -0.5})
    account = world.simulate(Script(asked), settings("2024-01-05", "2024-01-08"))
    friday, monday = account.ledger.equity
    assert (friday.borrow, friday.dividends) == (0.0, 0.0)
    assert monday.borrow == pytest.approx(500_000 * 0.005 * 3 / 365)
    assert monday.dividends == -5_000 * 2.0


def test_a_split_comes_once_and_before_the_first_bar(world):
    later = dict.fromkeys(starts("XNYS", "2024-01-04", "2024-01-04"), 50.0)
    hourly(world, "NVDA", "2024-01-03", "2024-01-03", 100.0).finer("NVDA", later).action(
        "NVDA", "2024-01-04", "split", 2.0
    )
    account = world.simulate(Script(plan(d0103T152959={"NVDA": 0.5})), settings("2024-01-03", "2024-01-04"))
    assert account.positions() == {"NVDA": 10_000}
    assert [row.equity for row in account.ledger.equity] == [1_000_000.0, 1_000_000.0]


def test_equity_is_written_at_the_end_of_each_day(world):
    prices = {at: (100.0 + i, 100.5 + i) for i, at in enumerate(starts("XNYS", "2024-01-03", "2024-01-05"))}
    account = world.finer("NVDA", prices).simulate(
        Script(plan(d0103T152959={"NVDA": 0.5})), settings("2024-01-03", "2024-01-05")
    )
    shares, spent = math.floor(500_000 / 100.5), math.floor(500_000 / 100.5) * 101.0
    # The last closes of the three days are those of the bars 6, 13 and 20.
    assert [(row.day.day, row.equity) for row in account.ledger.equity] == [
        (3 + i, pytest.approx(1_000_000 - spent + shares * (106.5 + 7 * i))) for i in range(3)
    ]


def test_a_dead_instrument_is_closed_after_twenty_sessions_not_bars(world):
    days = world.sessions("NVDA", "2024-01-03", "2024-02-05")
    hourly(world, "NVDA", days[0], days[0], 100.0)
    hourly(world, "AMD", days[0], days[-1], 100.0)
    asked = plan(d0103T152959={"NVDA": 0.5})
    account = world.simulate(Script(asked), settings(days[0], days[-1]))
    closed = account.ledger.fills[-1]
    assert (closed.auction, closed.shares, closed.session.isoformat()) == ("delisting", -5_000, days[21])


# --- news --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("published", "filled"),
    [
        ("2024-01-03T15:45:00", "01-03 16:30"),  # between two bars: the next bar's open
        ("2024-01-03T16:29:59", "01-03 16:30"),
        ("2024-01-03T16:30:00", "01-03 17:30"),  # at a bar's very start, so after its first trade
        ("2024-01-03T21:30:00", "01-04 14:30"),  # after the close: the next open
        ("2024-01-04T14:27:00", "01-04 15:30"),  # too late for the opening auction's cut-off
    ],
)
def test_a_headline_is_acted_on_at_the_next_bars_open(world, published, filled):
    hourly(world, "NVDA", "2024-01-03", "2024-01-04", 100.0).model().signal("NVIDIA", published, 1.0)
    reader = Reader(lambda view: {"NVDA": 0.5} if len(view.signals()) and not view.positions else None)
    account = world.simulate(reader, settings("2024-01-03", "2024-01-04"))
    (fill,) = account.ledger.fills
    assert fill.auction_at.strftime("%m-%d %H:%M") == filled
    assert [cause.issuer for cause in fill.causes] == ["NVIDIA"]


def test_a_headline_of_the_lunch_break_is_acted_on_after_it(world):
    hourly(world, SMIC, "2024-01-03", "2024-01-03", 50.0).model().signal("SMIC", "2024-01-03T04:00:00", 1.0)
    reader = Reader(lambda view: {SMIC: 0.5} if len(view.signals()) else None)
    account = world.simulate(reader, settings("2024-01-03", "2024-01-03", currency="CNY"))
    assert fills(account)[0] == ("01-03 05:00", 10_000, 50.0)


def test_nothing_before_a_moment_depends_on_what_comes_after(world):
    rng = np.random.default_rng(3)
    every = starts("XNYS", "2024-01-03", "2024-01-05")
    prices = {at: (float(a), float(b)) for at, a, b in zip(every, *rng.uniform(90, 110, (2, len(every))), strict=True)}

    def follow(view):
        closes = view.prices("NVDA", 2)["close"].tolist()
        return {"NVDA": 0.5 if len(closes) == 2 and closes[1] > closes[0] else 0.1}

    def until(cut):
        account = world.simulate(Script(follow), settings("2024-01-03", "2024-01-05"))
        return [row for row in account.ledger.targets if row.decision_at < worlds.utc(cut)]

    cut = "2024-01-04T17:30"
    world.finer("NVDA", prices)
    before = until(cut)
    world.warehouse.run("UPDATE bar SET open = open * 2, close = close * 3 WHERE starts_at >= ?", [cut])
    assert until(cut) == before
    assert len(before) == 7 + 4


# --- what a run takes --------------------------------------------------------------------------------------


def test_a_run_reads_the_bars_of_its_interval_only(world):
    hourly(world, "NVDA", "2024-01-03", "2024-01-04", 100.0).flat("NVDA", "2024-01-03", "2024-01-05", 55.0)
    account = world.simulate(Script(plan(d0103T152959={"NVDA": 0.5})), settings("2024-01-03", "2024-01-05"))
    assert [row.price for row in account.ledger.fills] == [100.0]
    assert len(account.ledger.equity) == 2
    daily = world.simulate(Script({"2024-01-04": {"NVDA": 0.5}}), settings("2024-01-03", "2024-01-05", interval="1d"))
    assert [row.price for row in daily.ledger.fills] == [55.0]


def test_the_same_again_is_the_same_run_and_its_interval_is_part_of_it(world):
    hourly(world, "NVDA", "2024-01-03", "2024-01-04", 100.0).flat("NVDA", "2024-01-03", "2024-01-04", 100.0)
    runs = [
        world.run(make_strategy("buy-and-hold", {}), settings("2024-01-03", "2024-01-04", interval=interval)).run_id
        for interval in ("1h", "1h", "1d")
    ]
    assert runs[0] == runs[1] != runs[2]
    stored = "SELECT count(*), min(auction_at)::VARCHAR FROM fill WHERE run_id = ?"
    # At the opening of the first day no price is known yet; the next bar is an hour later, the next session a day.
    assert world.warehouse.rows(stored, [runs[0]]) == [(1, "2024-01-03 15:30:00")]
    assert world.warehouse.rows(stored, [runs[2]]) == [(1, "2024-01-04 14:30:00")]


def test_bars_off_the_grid_are_counted_and_not_used(world):
    hourly(world, "NVDA", "2024-01-03", "2024-01-04", 100.0).finer("NVDA", {"2024-01-03T15:47": 1.0})
    market = world.market(settings("2024-01-03", "2024-01-04"))
    assert market.warnings == (
        "XNYS: 1 bar lies outside the calendar's sessions or off the grid of 1h and is not used",
    )


def newsroom(world):
    """A week of hourly bars at two venues, and news within the sessions."""
    for seed, (symbol, price) in enumerate({"NVDA": 100.0, "AMD": 60.0, SMIC: 50.0}.items()):
        every = starts(worlds.UNIVERSE.instrument(symbol).venue, "2024-01-03", "2024-01-10")
        path = price * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 2 * len(every))))
        pairs = np.round(path, 2).reshape(-1, 2).tolist()
        world.finer(symbol, dict(zip(every, map(tuple, pairs), strict=True)))
    world.fx("CNY", {"2023-12-20": 7.0}).model()
    rng = np.random.default_rng(9)
    times = [f"2024-01-{day:02}T{hour:02}:{minute:02}:00" for day in range(3, 11)
             for hour, minute in zip(rng.integers(0, 22, 4), rng.integers(0, 60, 4), strict=True)]  # fmt: skip
    issuers = rng.choice(["NVIDIA", "AMD", "SMIC"], len(times))
    world.signals(
        {"issuer": str(issuer), "at": at, "value": float(value), "theme": "sanctions"}
        for issuer, at, value in zip(issuers, times, rng.uniform(-1, 1, len(times)), strict=True)
    )
    return world


def test_both_engines_store_the_same_run(world):
    newsroom(world)
    given = settings("2024-01-04", "2024-01-10", slippage_bps=5.0)
    runs = [world.run(make_strategy("theme-momentum", {"top_k": "2"}), given, engine=engine) for engine in ENGINES]
    assert runs[0].fills == runs[1].fills > 10
    for table in ("target", "fill", "fill_cause", "unfilled", "position"):
        one, two = (
            world.warehouse.rows(f"SELECT * EXCLUDE (run_id) FROM {table} WHERE run_id = ? ORDER BY ALL", [run.run_id])
            for run in runs
        )
        assert len(one) == len(two)
        for left, right in zip(one, two, strict=True):
            assert left == tuple(pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for v in right)
    curves = [world.warehouse.rows("SELECT equity FROM equity WHERE run_id = ? ORDER BY day", [r.run_id]) for r in runs]
    assert curves[0] == curves[1]


def test_each_row_of_a_sweep_on_hours_is_what_its_configuration_gives_alone(world):
    newsroom(world)
    texts = {"start": "2024-01-04", "end": "2024-01-10", "interval": "1h", "benchmarks": "SPY", "slippage_bps": "0,10"}
    kind = type(make_strategy("theme-momentum", {}))
    grid = make_grid(kind, [("half_life", "0.2,2"), ("top_k", "1,2")], texts)
    done = run_sweep(world.warehouse, worlds.UNIVERSE, kind, grid)
    sql = "SELECT params, settings, final_equity, n_fills FROM sweep_row WHERE sweep_id = ? ORDER BY row_no"
    rows = world.warehouse.rows(sql, [done.sweep_id])
    assert (len(rows), done.failed, len({row[2] for row in rows})) == (8, 0, 8)
    for params, text, equity, fills in rows[::3]:
        given = json.loads(text)
        dates = {name: worlds.day(given[name]) for name in ("start", "end")}
        tuples = {name: tuple(given[name]) for name in ("instruments", "benchmarks")}
        alone = world.run(kind(**json.loads(params)), worlds.Settings(**given | dates | tuples))
        figures = metrics_of(world.warehouse, alone.run_id)
        assert figures.final_equity == pytest.approx(equity, rel=1e-9)
        assert alone.fills == fills


@pytest.mark.parametrize("name", ["theme-momentum", "equal-weight", "random"])
def test_a_set_wise_form_says_the_same_on_hours(world, name):
    newsroom(world)
    found = check_strategy(lambda: make_strategy(name, {}), world.warehouse, worlds.UNIVERSE,
                           settings("2024-01-04", "2024-01-08"))  # fmt: skip
    assert {finding.check: finding.result for finding in found} == dict.fromkeys(
        ("runs", "deterministic", "look-ahead", "set-wise"), "ok"
    ), found


def test_targets_of_instants_and_of_days_are_the_same_set_wise(world, tmp_path):
    newsroom(world)
    days, instants = tmp_path / "days.csv", tmp_path / "instants.csv"
    days.write_text(f"date,instrument,weight\n2024-01-05,{SMIC},0.5\n2024-01-06,NVDA,0.3\n2024-01-09,{SMIC},0\n")
    instants.write_text(
        f"at,instrument,weight\n2024-01-05T03:00:00Z,{SMIC},0.5\n2024-01-05T04:00:00Z,{SMIC},0.1\n"
        "2024-01-05T15:30:00Z,NVDA,0.3\n2024-01-05T15:29:59.999Z,AMD,0.3\n2023-12-01T00:00:00Z,AMD,0.2\n"
    )
    for path in (days, instants):
        found = check_strategy(lambda path=path: make_strategy("targets-file", {"path": str(path)}), world.warehouse,
                               worlds.UNIVERSE, settings("2024-01-04", "2024-01-10"))  # fmt: skip
        assert {f.check: f.result for f in found}["set-wise"] == "ok", found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interval": "1w"}, "interval='1w' is not allowed: 1d or one of 1m, 2m"),
        ({"fill": "close"}, "fill='close' is not allowed: open with 1h bars"),
    ],
)
def test_settings_that_do_not_go_together(changes, said):
    with pytest.raises(BadParameter, match=said):
        settings("2024-01-03", "2024-01-04", **changes)


def test_no_bars_of_the_interval(world):
    world.flat("NVDA", "2024-01-03", "2024-01-04", 100.0)
    with pytest.raises(NothingToDo, match="there are no 1h bars from 2024-01-03 to 2024-01-04"):
        world.market(settings("2024-01-03", "2024-01-04"))
