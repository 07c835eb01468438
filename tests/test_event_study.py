"""Events on markets built by hand: where day 0 lies, what counts as abnormal, and that nothing looks ahead."""

import engine_worlds as worlds
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from chipwire.data.calendars import auctions
from chipwire.engine.abnormal import load_prices
from chipwire.engine.event_study import (
    SESSIONS,
    Events,
    Reactions,
    day_zero,
    first_in_window,
    first_venues,
    mean_path,
    times_of_day,
)
from chipwire.engine.signal_measures import clustered_mean

warehouse, world = worlds.warehouse, worlds.world

START, END = "2024-06-03", "2024-06-28"
EVENT = "2024-06-12"
FOUR = ("NVDA", "AMD", "INTC", "MU")


def priced(world, settings):
    return load_prices(world.warehouse, worlds.UNIVERSE, world.market(settings), settings)


def event(prices, symbol, known_at, sign=1.0):
    """Return the one event of an instrument of the first venue."""
    row = day_zero(np.array([known_at], dtype="datetime64[us]"), prices[0].decide_at)
    column = [prices[0].symbols.index(symbol)]
    return Events(*(np.array(part) for part in ([0], [0], column, row, [0], [sign])))


def path(prices, found):
    """Return the event's path by session."""
    return dict(zip(SESSIONS, Reactions.of(prices).paths(found)[:, 0], strict=True))


def steps(world, symbol, changes, price=100.0):
    """Return opens by session: `price`, times each change from its session on; the close is the open."""
    found = {}
    for session in world.sessions(symbol, "2024-05-01", END):
        price *= changes.get(session, 1.0)
        found[session] = price
    return found


def test_the_abnormal_return_of_an_event_is_that_worked_by_hand(world):
    # NVDA: 4 % up into the event's open, 10 % down on the next, 5 % up two sessions later. AMD drifts by 3 %.
    world.bars("NVDA", steps(world, "NVDA", {EVENT: 1.04, "2024-06-13": 0.9, "2024-06-17": 1.05}))
    world.bars("AMD", steps(world, "AMD", {"2024-06-13": 1.03}))
    for symbol in ("INTC", "MU"):
        world.flat(symbol, "2024-05-01", END, 50.0)
    prices = priced(world, worlds.settings(START, END))
    found = path(prices, event(prices, "NVDA", "2024-06-12T02:00", sign=-1.0))
    market = (1.03 + 1 + 1) / 3  # the mean of the others
    assert found[0] == 0.0
    assert found[1] == pytest.approx(-(0.9 - market))
    assert found[2] == pytest.approx(-(0.9 - market))
    assert found[3] == pytest.approx(-(0.9 * 1.05 - market))  # 14 June is two sessions after, 17 June three
    assert found[10] == pytest.approx(-(0.9 * 1.05 - market))
    assert found[-1] == pytest.approx(-(1 / 1.04 - 1))
    assert found[-5] == pytest.approx(-(1 / 1.04 - 1))
    assert prices[0].benchmark == ""


def test_against_a_benchmark_and_in_the_base_currency(world):
    sessions = world.sessions("0981.HK", "2024-05-01", END)
    world.bars("0981.HK", dict.fromkeys(sessions, 20.0) | {"2024-06-13": (22.0, 23.0)})
    world.bars("HSTECH", dict.fromkeys(sessions, 4000.0) | {"2024-06-13": (4040.0, 4080.0)})
    world.fx("HKD", {"2024-05-01": 7.8, "2024-06-12": 7.5})
    prices = priced(world, worlds.settings(START, END, benchmarks=("SPY", "HSTECH")))
    assert prices[0].benchmark == "HSTECH"
    at = event(prices, "0981.HK", "2024-06-11T20:00")
    row = int(at.row[0])
    assert prices[0].own(1)[row, 0] == pytest.approx(22 / 20 - 1)
    # A fixing is known at the end of its day: at the open of the 12th the old one, of the 13th the new.
    assert path(prices, at)[1] == pytest.approx((22 / 20 - 4040 / 4000) * 7.8 / 7.5)
    assert prices[0].own_session()[row + 1, 0] == pytest.approx(23 / 22 - 1)
    assert prices[0].abnormal_session()[row + 1, 0] == pytest.approx(23 / 22 - 4080 / 4040)


def test_a_benchmark_with_gaps_is_not_used(world):
    sessions = world.sessions("NVDA", "2024-05-01", END)
    world.flat("NVDA", "2024-05-01", END, 100.0)
    world.bars("SPY", dict.fromkeys(sessions[::2], 500.0))
    world.flat("QQQ", "2024-05-01", END, 400.0)
    prices = priced(world, worlds.settings(START, END, benchmarks=("SPY", "QQQ"), instruments=("NVDA",)))
    assert prices[0].benchmark == "QQQ"
    alone = priced(world, worlds.settings(START, END, instruments=("NVDA",)))
    assert np.isnan(alone[0].abnormal(1)).all()  # no benchmark and no peers: nothing is made up
    assert np.isfinite(alone[0].own(1)).any()


@pytest.mark.parametrize(
    ("fill", "known_at", "expected"),
    [
        ("open", "2024-06-11T20:00", EVENT),
        ("open", "2024-06-12T13:25", EVENT),  # the decision, five minutes before the open
        ("open", "2024-06-12T13:25:01", "2024-06-13"),
        ("open", "2024-06-12T13:31", "2024-06-13"),  # one minute after the open
        ("close", "2024-06-12T13:31", EVENT),
        ("close", "2024-06-12T20:01", "2024-06-13"),
        ("open", "2024-06-18T20:00", "2024-06-20"),  # the 19th is a holiday
    ],
)
def test_day_zero_is_the_first_auction_that_could_still_be_decided(world, fill, known_at, expected):
    for symbol in FOUR:
        world.flat(symbol, "2024-05-01", END, 100.0)
    venue = priced(world, worlds.settings(START, END, fill=fill))[0]
    row = day_zero(np.array([known_at], dtype="datetime64[us]"), venue.decide_at)
    assert str(venue.session[row[0]]) == expected
    assert day_zero(np.array(["2024-07-30"], dtype="datetime64[us]"), venue.decide_at)[0] == len(venue.session)


@pytest.mark.parametrize("fill", ["open", "close"])
def test_what_was_before_the_auction_changes_only_what_is_shown_before_it(world, fill):
    for number, symbol in enumerate((*FOUR, "SPY")):
        world.walk(symbol, "2024-05-01", END, 100.0, number)
    given = worlds.settings(START, END, fill=fill, benchmarks=("SPY",), instruments=FOUR)
    prices = priced(world, given)
    found = event(prices, "NVDA", "2024-06-12T02:00")
    before, session = Reactions.of(prices).paths(found)[:, 0], Reactions.of(prices).same_session(found)
    earlier = "session < '2024-06-12'"
    world.warehouse.run(f"UPDATE bar SET open = open * 1.5, close = close * 0.5 + 1 WHERE {earlier}")
    changed = priced(world, given)
    after = Reactions.of(changed).paths(found)[:, 0]
    zero = SESSIONS.index(0)
    np.testing.assert_array_equal(before[zero:], after[zero:])
    np.testing.assert_array_equal(session, Reactions.of(changed).same_session(found))
    assert not np.isclose(before[:zero], after[:zero]).any()
    # And what comes after a horizon changes nothing up to it.
    world.warehouse.run("UPDATE bar SET open = open * 1.5, close = close * 2 WHERE session > '2024-06-17'")
    later = Reactions.of(priced(world, given)).paths(found)[:, 0]
    np.testing.assert_array_equal(after[: zero + 4], later[: zero + 4])


def test_a_session_without_trade_has_no_price(world):
    volume = {"2024-06-13": 0.0}
    world.flat("NVDA", "2024-05-01", END, 100.0, volume=volume)
    for symbol in FOUR[1:]:
        world.flat(symbol, "2024-05-01", END, 100.0)
    prices = priced(world, worlds.settings(START, END))
    reactions = Reactions.of(prices)
    suspended, before = (event(prices, "NVDA", at) for at in ("2024-06-12T20:00", "2024-06-11T20:00"))
    assert not reactions.priced(suspended)[0]
    assert reactions.priced(before)[0]
    assert np.isnan(path(prices, before)[1])
    assert path(prices, before)[2] == pytest.approx(0.0)


def test_splits_and_dividends_that_bars_lack_are_worked_in(world):
    changes = {"2024-06-10": 1 / 10, "2024-06-20": 0.98}
    world.bars("NVDA", steps(world, "NVDA", changes, price=1000.0))
    world.action("NVDA", "2024-06-10", "split", 10.0).action("NVDA", "2024-06-20", "dividend", 2.0)
    for symbol in FOUR[1:]:
        world.flat(symbol, "2024-05-01", END, 100.0)
    own = priced(world, worlds.settings(START, END))[0].own(1)
    column = own[:, sorted(FOUR).index("NVDA")]
    # Ten new shares at a tenth, and a price that falls by the dividend of 2 on 100: the holder has what he had.
    assert np.nanmax(np.abs(column)) == pytest.approx(0.0, abs=1e-12)


def test_bars_within_the_session_become_sessions(world):
    from chipwire.data.bar_grid import intraday_grid

    grid = intraday_grid(auctions("XNYS", worlds.day(START), worlds.day(END)), "1h", by_clock=False)
    starts = [str(at)[:16] for at in grid.starts_at]
    opens = {at: float(100 + number) for number, at in enumerate(starts)}
    for symbol in FOUR:
        world.finer(symbol, {at: (price, price + 0.5) for at, price in opens.items()})
    venue = priced(world, worlds.settings(START, END, interval="1h"))[0]
    days = auctions("XNYS", worlds.day(START), worlds.day(END))
    own = slice(venue.first, None)
    assert list(venue.session[own]) == list(days.session)
    np.testing.assert_array_equal(venue.open_at[own], days.open_at)
    np.testing.assert_array_equal(venue.close_at[own], days.close_at)
    assert list(venue.entry[own, 0][:2]) == [100.0, 107.0]  # seven bars a session
    assert list(venue.close[own, 0][:2]) == [106.5, 113.5]


def _kept_one_by_one(segment, row, window):
    kept, last = [], {}
    for place in np.lexsort((np.arange(len(row)), row, segment)):
        if segment[place] not in last or row[place] >= last[segment[place]] + window:
            last[segment[place]] = row[place]
            kept.append(place)
    return kept


@profile(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=60), st.integers(1, 12))
def test_overlapping_events_are_counted_once(pairs, window):
    segment, row = (np.array([pair[n] for pair in pairs], dtype=np.intp) for n in (0, 1))
    found = np.flatnonzero(first_in_window(segment, row, window))
    assert list(found) == sorted(_kept_one_by_one(segment, row, window))


def test_the_mean_path_lets_days_depend_as_far_as_windows_overlap():
    rng = np.random.default_rng(3)
    values, day = rng.normal(0, 1, (len(SESSIONS), 80)), np.sort(rng.integers(0, 200, 80))
    for sessions, row, found in zip(SESSIONS, values, mean_path(values, day), strict=True):
        assert found == clustered_mean(row, day, abs(sessions))


def test_the_time_of_day_is_by_the_venues_clock(world):
    world.flat("0981.HK", "2024-05-01", END, 20.0).fx("HKD", {"2024-05-01": 7.8})
    venue = priced(world, worlds.settings(START, END))[0]
    known = [
        "2024-06-11T01:29",  # 09:29 in Hong Kong
        "2024-06-11T01:30",
        "2024-06-11T04:30",  # the lunch break
        "2024-06-11T08:00",  # the close
        "2024-06-10T03:00",  # a holiday
        "2024-06-07T17:00",  # 01:00 on Saturday
        "2024-06-11T16:30",  # 00:30 on Wednesday
        "2024-06-11T16:30",
    ]
    day_only = np.array([False] * 7 + [True])
    found = times_of_day(np.array(known, dtype="datetime64[us]"), day_only, venue)
    assert list(found) == [0, 1, 1, 2, 3, 3, 0, 4]


def test_which_venue_could_trade_first(world):
    for symbol, currency, rate in (("NVDA", None, 0), ("0981.HK", "HKD", 7.8), ("688981.SS", "CNY", 7.2)):
        world.flat(symbol, "2024-05-01", END, 20.0)
        if currency:
            world.fx(currency, {"2024-05-01": rate})
    prices = priced(world, worlds.settings(START, END))
    known = {
        "2024-06-11T21:00": "XHKG and XSHG",  # both open at 01:30 UTC
        "2024-06-12T01:17": "XSHG",  # too late for Hong Kong's cut-off, not for Shanghai's
        "2024-06-12T02:00": "XNYS",
        "2024-06-09T22:00": "XNYS",  # Monday the 10th is a holiday in both
        "2024-06-28T23:00": "",  # nothing is left in the run
    }
    code, names = first_venues(np.array(list(known), dtype="datetime64[us]"), prices)
    assert [names[each] if each >= 0 else "" for each in code] == list(known.values())
