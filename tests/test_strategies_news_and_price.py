"""Sanctions pair, dual listing, fade the mania and the placebo, on hand-made news over real sessions."""

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.strategies.dual_listing import DualListing
from chipwire.strategies.fade_mania import FadeMania
from chipwire.strategies.placebo import RandomPlacebo, _mix
from chipwire.strategies.sanctions_pair import SanctionsPair

warehouse, world, settings = worlds.warehouse, worlds.world, worlds.settings

START, END = "2024-01-02", "2024-01-31"


@pytest.fixture
def three_venues(world):
    """Return a world with both listings of SMIC, and three American shares, at prices that do not move."""
    world.flat("688981.SS", "2023-12-28", END, 50.0).flat("0981.HK", "2023-12-28", END, 16.0)
    for symbol, price in (("NVDA", 100.0), ("AMD", 50.0), ("INTC", 20.0)):
        world.flat(symbol, "2023-12-28", END, price)
    return world.fx("CNY", {"2023-12-20": 7.0}).fx("HKD", {"2023-12-20": 8.0}).model()


def run(world, strategy, start=START, end=END, **changes):
    # A band, so that fees alone make no order.
    return world.simulate(strategy, settings(start, end, **{"band": 0.02, **changes}))


def targets(account, session):
    """Return weights by instrument of a session's decisions (all venues decide on their session's UTC day)."""
    rows = account.ledger.targets
    return {row.instrument: row.weight for row in rows if row.decision_at.date().isoformat() == session}


def fills(account):
    return [(fill.session.isoformat(), fill.instrument, fill.shares) for fill in account.ledger.fills]


# --- sanctions pair ----------------------------------------------------------------------------------------


def test_a_pair_is_long_the_domestic_issuer_and_short_the_supplier(three_venues):
    three_venues.signal("SMIC", "2024-01-03T23:00", 0.9).signal("NVIDIA", "2024-01-03T23:00", -0.8)
    account = run(three_venues, SanctionsPair(pairs=1))
    # Half of the gross on each side, the domestic half shared by two listings.
    assert targets(account, "2024-01-04") == {
        "0981.HK": 0.25, "688981.SS": 0.25, "AMD": 0.0, "INTC": 0.0, "NVDA": -0.5,
    }  # fmt: skip
    assert {name: np.sign(shares) for _, name, shares in fills(account)[:3]} == {
        "0981.HK": 1.0, "688981.SS": 1.0, "NVDA": -1.0,
    }  # fmt: skip


def test_one_side_alone_is_held_only_when_told(three_venues):
    three_venues.signal("SMIC", "2024-01-03T23:00", 0.9)
    assert not any(row.weight for row in run(three_venues, SanctionsPair()).ledger.targets)
    alone = targets(run(three_venues, SanctionsPair(pairs=1, alone=True)), "2024-01-04")
    assert alone == {"0981.HK": 0.25, "688981.SS": 0.25, "AMD": 0.0, "INTC": 0.0, "NVDA": 0.0}


def test_as_many_are_held_on_one_side_as_on_the_other(three_venues):
    three_venues.signal("SMIC", "2024-01-03T23:00", 0.9)
    three_venues.signal("NVIDIA", "2024-01-03T23:00", -0.6).signal("AMD", "2024-01-03T23:00", -0.7)
    asked = targets(run(three_venues, SanctionsPair(pairs=2)), "2024-01-04")
    # One pair only, with the supplier that is hit hardest; each side has a half of its half.
    assert asked == {"0981.HK": 0.125, "688981.SS": 0.125, "AMD": -0.25, "INTC": 0.0, "NVDA": 0.0}


def test_good_news_for_a_supplier_and_other_themes_make_no_pair(three_venues):
    three_venues.signal("SMIC", "2024-01-03T23:00", 0.9).signal("NVIDIA", "2024-01-03T23:00", 0.9)
    three_venues.signal("AMD", "2024-01-03T23:00", -0.9, theme="ai_models")
    account = run(three_venues, SanctionsPair())
    assert not any(row.weight for row in account.ledger.targets)


def test_the_sides_are_those_that_were_named(three_venues):
    three_venues.signal("AMD", "2024-01-03T23:00", 0.9).signal("SMIC", "2024-01-03T23:00", -0.9)
    asked = targets(run(three_venues, SanctionsPair(pairs=1, domestic="AMD, INTEL", suppliers="SMIC")), "2024-01-04")
    assert asked == {"0981.HK": -0.25, "688981.SS": -0.25, "AMD": 0.5, "INTC": 0.0, "NVDA": 0.0}


def test_a_short_that_the_venue_forbids_is_noted_and_the_other_side_stands(three_venues):
    three_venues.signal("AMD", "2024-01-03T23:00", 0.9).signal("SMIC", "2024-01-03T23:00", -0.9)
    account = run(three_venues, SanctionsPair(pairs=1, domestic="AMD", suppliers="SMIC"), end="2024-01-04")
    assert {name for _, name, _ in fills(account)} == {"0981.HK", "AMD"}
    assert {(row.instrument, row.reason) for row in account.ledger.unfilled} == {("688981.SS", "short_forbidden")}


# --- dual listing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "entry"),
    [
        ("2024-01-03T20:00", ("2024-01-04", "0981.HK")),  # overnight: Hong Kong decides first, at 01:15
        ("2024-01-04T01:17", ("2024-01-04", "688981.SS")),  # after Hong Kong's decision, before Shanghai's at 01:20
        ("2024-01-04T01:21", ("2024-01-05", "0981.HK")),  # after both
    ],
)
def test_the_listing_that_is_open_first_is_traded_alone(three_venues, at, entry):
    three_venues.signal("SMIC", at, 0.9).signal("NVIDIA", at, 0.9)
    account = run(three_venues, DualListing(hold=250))
    assert [(session, name) for session, name, _ in fills(account)] == [entry]


def test_an_issuer_with_one_listing_trades_only_when_told(three_venues):
    three_venues.signal("NVIDIA", "2024-01-03T20:00", 0.9)
    assert fills(run(three_venues, DualListing())) == []
    account = run(three_venues, DualListing(only_dual=False, places=2, hold=250))
    assert fills(account) == [("2024-01-04", "NVDA", 5_000)]


def test_the_position_is_left_after_its_sessions_and_news_there_anew_starts_them_again(three_venues):
    three_venues.signal("SMIC", "2024-01-03T20:00", 0.9)
    account = run(three_venues, DualListing(hold=3))
    # Held in the sessions of 4, 5 and 8 January.
    assert [(session, name, shares > 0) for session, name, shares in fills(account)] == [
        ("2024-01-04", "0981.HK", True), ("2024-01-09", "0981.HK", False),
    ]  # fmt: skip
    # News that reaches Shanghai's decision first renews the share that is held, and buys no second one: Hong Kong
    # decides on the 5th before it, counts 5 (first of three anew), 8 and 9 January.
    three_venues.signal("SMIC", "2024-01-05T01:17", 0.9)
    account = run(three_venues, DualListing(hold=3))
    assert [(session, name, shares > 0) for session, name, shares in fills(account)] == [
        ("2024-01-04", "0981.HK", True), ("2024-01-10", "0981.HK", False),
    ]  # fmt: skip


def test_bad_news_ends_what_is_held_in_the_other_listing(three_venues):
    three_venues.signal("SMIC", "2024-01-03T20:00", 0.9).signal("SMIC", "2024-01-05T01:17", -0.9)
    account = run(three_venues, DualListing(hold=50))
    # Shanghai hears it first, holds nothing, and Hong Kong sells at its next decision.
    assert [(session, name, shares > 0) for session, name, shares in fills(account)] == [
        ("2024-01-04", "0981.HK", True), ("2024-01-08", "0981.HK", False),
    ]  # fmt: skip


# --- fade mania --------------------------------------------------------------------------------------------


def mania(world, step, value):
    """Add NVDA at 100, moving by `step` in each of four sessions from the tenth of the year on, and news on it."""
    days = world.sessions("NVDA", "2023-12-01", END)
    first = world.sessions("NVDA", START, END)[9]
    moves = [min(4, max(0, days.index(day) - days.index(first) + 1)) for day in days]
    world.bars("NVDA", {day: 100.0 * (1 + step) ** count for day, count in zip(days, moves, strict=True)})
    return world.model().signal("NVIDIA", "2024-01-02T20:00", value, half_life_days=365.0)


@pytest.mark.parametrize(("step", "value", "sign"), [(0.04, 0.9, -1), (-0.04, -0.9, 1)])
def test_a_run_with_loud_news_is_faded_and_left_after_its_sessions(world, step, value, sign):
    mania(world, step, value)
    days = world.sessions("NVDA", START, END)
    # The change over five sessions passes 15% with the fourth move (1.04 ** 4 = 1.170, 0.96 ** 4 = 0.849), of the
    # thirteenth session; the decision that knows its close is that before the fourteenth.
    account = run(world, FadeMania(window=5, hold=3, places=5, run=0.15))
    entry, leave = fills(account)[0], next(f for f in fills(account) if np.sign(f[2]) == -sign)
    assert (entry[0], np.sign(entry[2])) == (days[13], sign)
    assert leave[0] == days[16]
    assert {abs(row.weight) for row in account.ledger.targets} == {0.0, 0.2}


@pytest.mark.parametrize(
    ("step", "value", "changes"),
    [
        (0.04, -0.9, {}),  # the news points the other way
        (0.04, 0.4, {}),  # it is not loud
        (0.01, 0.9, {}),  # no run
        (0.04, 0.9, {"short": False}),  # no shorts
        (-0.45, -0.9, {}),  # may be a split
    ],
)
def test_what_is_no_mania_is_left_alone(world, step, value, changes):
    mania(world, step, value)
    account = run(world, FadeMania(window=5, run=0.15, **changes), end="2024-01-19")
    assert fills(account) == []


def test_a_share_without_enough_bars_is_left_alone(world):
    world.bars("NVDA", {"2024-01-02": 100.0, "2024-01-03": 110.0, "2024-01-04": 121.0, "2024-01-05": 133.1})
    world.model().signal("NVIDIA", "2024-01-02T20:00", 0.9)
    assert fills(run(world, FadeMania(window=4), end="2024-01-05")) == []


# --- random placebo ----------------------------------------------------------------------------------------


def test_the_bits_are_those_of_the_published_generator():
    # Outputs of splitmix64 from the states 0 and 1234567, as its reference implementation prints them.
    assert int(_mix(np.array([0], dtype=np.uint64))[0]) == 0xE220A8397B1DCDAF
    assert int(_mix(np.array([1234567], dtype=np.uint64))[0]) == 6457827717110365317


def test_the_placebo_holds_so_many_issuers_and_draws_anew_by_the_calendar(three_venues):
    account = run(three_venues, RandomPlacebo(top_k=2, days=7, seed=3))
    by_day = {}
    for row in account.ledger.targets:
        by_day.setdefault(row.decision_at.date().isoformat(), {})[row.instrument] = row.weight
    draws = {}
    for day, asked in by_day.items():
        if len(asked) == 5:  # a day on which all venues are open
            assert sum(asked.values()) == pytest.approx(1.0)
            period = np.datetime64(day, "D").astype(int) // 7
            assert draws.setdefault(period, asked) == asked
    assert len({tuple(sorted(asked.items())) for asked in draws.values()}) > 1


def test_the_draw_depends_on_seed_and_calendar_and_nothing_else(three_venues):
    whole = run(three_venues, RandomPlacebo(seed=5, top_k=2)).ledger.targets
    late = run(three_venues, RandomPlacebo(seed=5, top_k=2), start="2024-01-16").ledger.targets
    assert late == [row for row in whole if row.decision_at >= late[0].decision_at]
    other = run(three_venues, RandomPlacebo(seed=6, top_k=2)).ledger.targets
    assert other != whole


def test_every_issuer_is_drawn_as_often_as_any_other():
    from chipwire.strategies.placebo import _draw

    issuers = [f"I{number:02}" for number in range(10)]
    days = np.arange(20_000).astype("datetime64[D]")
    drawn = _draw({"seed": 1, "days": 1, "short": False}, days, issuers)
    held = (np.argsort(np.argsort(-drawn, axis=1), axis=1) < 3).mean(axis=0)
    # 3 of 10: a share of 0.3 with a standard error of sqrt(0.3 x 0.7 / 20000) = 0.0032.
    assert np.abs(held - 0.3).max() < 4 * 0.0032
    signed = _draw({"seed": 1, "days": 1, "short": True}, days, issuers)
    assert abs((signed > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(signed.size)
