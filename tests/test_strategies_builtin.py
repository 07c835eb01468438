"""What each built-in strategy asks for, on hand-made news over real sessions."""

import engine_worlds as worlds
import pytest

from chipwire.data.errors import BadParameter, UnknownName
from chipwire.strategies.base import Parameter, Strategy
from chipwire.strategies.benchmarks import BuyAndHold, EqualWeight
from chipwire.strategies.event_drift import EventDrift
from chipwire.strategies.selection import strongest
from chipwire.strategies.theme_momentum import ThemeMomentum

warehouse, world, settings = worlds.warehouse, worlds.world, worlds.settings

START, END = "2024-01-02", "2024-01-31"


def fills(account):
    return [(fill.session.isoformat(), fill.instrument, fill.shares) for fill in account.ledger.fills]


def targets(account, session=None):
    """Return weights by instrument of a session's decisions (all venues decide on their session's UTC day)."""
    return {
        row.instrument: row.weight
        for row in account.ledger.targets
        if session is None or row.decision_at.date().isoformat() == session
    }


@pytest.fixture
def america(world):
    for symbol, price in (("NVDA", 100.0), ("AMD", 50.0), ("INTC", 20.0)):
        world.flat(symbol, "2023-12-01", END, price)
    return world.model()


def run(world, strategy, start=START, end=END, **changes):
    return world.simulate(strategy, settings(start, end, **changes))


# --- theme momentum ----------------------------------------------------------------------------------------


def test_momentum_holds_the_strongest_and_leaves_the_others(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.9).signal("AMD", "2024-01-03T20:00", 0.8)
    america.signal("INTEL", "2024-01-03T20:00", 0.7)
    account = run(america, ThemeMomentum(top_k=2, threshold=0.3, lookback=3.0))
    assert targets(account, "2024-01-03") == {"AMD": 0.0, "INTC": 0.0, "NVDA": 0.0}
    assert targets(account, "2024-01-04") == {"AMD": 0.5, "INTC": 0.0, "NVDA": 0.5}
    # Three days later the headlines are out of sight.
    assert targets(account, "2024-01-08") == {"AMD": 0.0, "INTC": 0.0, "NVDA": 0.0}
    assert fills(account) == [
        ("2024-01-04", "AMD", 10_000),
        ("2024-01-04", "NVDA", 5_000),
        ("2024-01-08", "AMD", -10_000),
        ("2024-01-08", "NVDA", -5_000),
    ]


def test_momentum_sums_and_decays(america):
    # Two headlines of 0.4, one of them two days older: 0.4 + 0.4 x 2 ** (-2 / 2) = 0.6 beats 0.55, not 0.65.
    america.signal("AMD", "2024-01-03T14:25", 0.4).signal("AMD", "2024-01-05T14:25", 0.4)
    america.signal("NVIDIA", "2024-01-05T14:25", 0.55).signal("INTEL", "2024-01-05T14:25", 0.65)
    for top_k, expected in ((1, ["INTC"]), (2, ["AMD", "INTC"])):
        account = run(america, ThemeMomentum(top_k=top_k, half_life=2.0))
        asked = targets(account, "2024-01-05")
        assert [name for name, weight in sorted(asked.items()) if weight] == expected
        assert sum(asked.values()) == pytest.approx(1.0)


def test_momentum_asks_for_a_clear_signal(america):
    america.signal("NVIDIA", "2024-01-05T14:25", 0.49).signal("AMD", "2024-01-05T14:25", 0.5)
    account = run(america, ThemeMomentum(threshold=0.5))
    assert targets(account, "2024-01-05") == {"AMD": 0.25, "INTC": 0.0, "NVDA": 0.0}


def test_momentum_is_short_only_when_told(america):
    america.signal("NVIDIA", "2024-01-05T14:25", -0.9).signal("AMD", "2024-01-05T14:25", 0.5)
    assert targets(run(america, ThemeMomentum(top_k=2)), "2024-01-05") == {"AMD": 0.5, "INTC": 0.0, "NVDA": 0.0}
    shorted = run(america, ThemeMomentum(top_k=1, short=True, gross=0.8))
    assert targets(shorted, "2024-01-05") == {"AMD": 0.0, "INTC": 0.0, "NVDA": -0.8}


def test_momentum_counts_the_themes_it_was_given(america):
    america.signal("NVIDIA", "2024-01-05T14:25", 0.9, theme="none").signal(
        "AMD", "2024-01-05T14:25", 0.9, theme="localization"
    )
    assert targets(run(america, ThemeMomentum()), "2024-01-05")["NVDA"] == 0.0
    assert targets(run(america, ThemeMomentum(themes="none")), "2024-01-05") == {"AMD": 0.0, "INTC": 0.0, "NVDA": 0.25}


def test_an_issuer_shares_its_weight_among_its_listings(world):
    world.flat("688981.SS", START, END, 50.0).flat("0981.HK", START, END, 16.0).model()
    world.fx("CNY", {"2023-12-28": 7.0}).fx("HKD", {"2023-12-28": 8.0}).signal("SMIC", "2024-01-03T20:00", 0.9)
    account = run(world, ThemeMomentum(top_k=2))
    assert targets(account, "2024-01-04") == {"0981.HK": 0.25, "688981.SS": 0.25}


@pytest.mark.parametrize(
    ("strengths", "count", "short", "expected"),
    [
        ({"B": 0.5, "A": 0.5, "C": 0.5}, 2, False, {"A": 1.0, "B": 1.0}),
        ({"B": -0.5, "A": 0.5, "C": 0.4}, 2, True, {"A": 1.0, "B": -1.0}),
        ({"B": -0.9, "A": 0.5}, 1, True, {"B": -1.0}),
        ({"B": -0.9, "A": 0.5}, 2, False, {"A": 1.0}),
        ({"A": 0.2}, 2, False, {}),
        ({}, 2, False, {}),
    ],
)
def test_ties_go_by_name(strengths, count, short, expected):
    assert strongest(strengths, count, 0.3, short=short) == expected


# --- event drift -------------------------------------------------------------------------------------------


def test_drift_enters_at_the_next_auction_and_leaves_after_its_sessions(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.9)
    account = run(america, EventDrift(hold=3, places=4))
    # Sessions held: 4, 5 and 8 January; the 15th is a holiday and does not matter here.
    assert fills(account) == [("2024-01-04", "NVDA", 2_500), ("2024-01-09", "NVDA", -2_500)]
    entry, leave = account.ledger.fills
    assert [(c.headline_id, c.relation) for c in entry.causes] == [("NVIDIA@2024-01-03T20:00", "own")]
    assert [(c.headline_id, c.relation) for c in leave.causes] == [("NVIDIA@2024-01-03T20:00", "opened")]


def test_news_before_the_first_decision_is_no_event(america):
    america.signal("NVIDIA", "2024-01-02T14:25", 0.9)
    assert fills(run(america, EventDrift())) == []


def test_drift_wants_novel_and_clear_events_of_its_themes(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.9, novelty=0.49).signal(
        "AMD", "2024-01-03T20:00", 0.9, relevance=0.4
    )
    america.signal("INTEL", "2024-01-03T20:00", 0.9, theme="localization")
    account = run(america, EventDrift(themes="sanctions", threshold=0.4))
    assert fills(account) == []
    account = run(america, EventDrift(threshold=0.36, min_novelty=0.4, hold=250))
    assert [name for _, name, _ in fills(account)] == ["AMD", "INTC", "NVDA"]


def test_another_event_in_the_same_direction_starts_the_sessions_anew(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.9).signal("NVIDIA", "2024-01-05T20:00", 0.6)
    account = run(america, EventDrift(hold=3))
    # Entered on the 4th, renewed at the decision of Monday the 8th: held on the 8th, 9th and 10th.
    assert fills(account) == [("2024-01-04", "NVDA", 2_000), ("2024-01-11", "NVDA", -2_000)]


def test_an_event_in_the_other_direction_ends_it(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.9).signal("NVIDIA", "2024-01-05T20:00", -0.6)
    account = run(america, EventDrift(hold=20))
    assert fills(account) == [("2024-01-04", "NVDA", 2_000), ("2024-01-08", "NVDA", -2_000)]
    assert account.ledger.fills[1].causes[0].headline_id == "NVIDIA@2024-01-05T20:00"


def test_good_and_bad_news_of_the_same_size_say_nothing(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.9).signal("NVIDIA", "2024-01-05T20:00", -0.6)
    america.signal("NVIDIA", "2024-01-05T21:00", 0.6)
    account = run(america, EventDrift(hold=4))
    assert fills(account) == [("2024-01-04", "NVDA", 2_000), ("2024-01-10", "NVDA", -2_000)]


def test_bad_news_is_sold_short_only_when_told(america):
    america.signal("NVIDIA", "2024-01-03T20:00", -0.9)
    assert fills(run(america, EventDrift())) == []
    account = run(america, EventDrift(short=True, hold=2), band=0.01)
    assert fills(account) == [("2024-01-04", "NVDA", -2_000), ("2024-01-08", "NVDA", 2_000)]


def test_the_strongest_events_take_the_places(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.7).signal("AMD", "2024-01-03T20:00", 0.9)
    america.signal("INTEL", "2024-01-03T20:00", 0.7).signal("NVIDIA", "2024-01-09T20:00", 0.7)
    account = run(america, EventDrift(places=2, hold=4))
    # INTEL and NVIDIA tie, the name decides; on the 10th both places are free again.
    assert [(s, name) for s, name, shares in fills(account) if shares > 0] == [
        ("2024-01-04", "AMD"),
        ("2024-01-04", "INTC"),
        ("2024-01-10", "NVDA"),
    ]


def test_an_exit_is_asked_for_until_the_share_trades_again(america):
    america.signal("NVIDIA", "2024-01-03T20:00", 0.9)
    america.warehouse.run("UPDATE bar SET volume = 0 WHERE instrument = 'NVDA' AND session = DATE '2024-01-08'")
    america.warehouse.run("DELETE FROM bar WHERE instrument = 'NVDA' AND session = DATE '2024-01-09'")
    account = run(america, EventDrift(hold=2))
    assert fills(account) == [("2024-01-04", "NVDA", 2_000), ("2024-01-10", "NVDA", -2_000)]
    assert [(row.session.day, row.reason) for row in account.ledger.unfilled] == [(8, "suspended"), (9, "no_bar")]


def test_a_weekend_and_a_holiday_hold_all_news_for_the_next_session(america):
    # Friday evening to Tuesday morning: Monday the 15th is Martin Luther King Day.
    america.signal("NVIDIA", "2024-01-12T21:30", 0.9).signal("AMD", "2024-01-15T15:00", 0.9)
    account = run(america, EventDrift(hold=250))
    assert [(s, name) for s, name, _ in fills(account)] == [("2024-01-16", "AMD"), ("2024-01-16", "NVDA")]


def test_each_venue_takes_up_an_event_at_its_own_next_auction(world):
    world.flat("688981.SS", START, END, 50.0).flat("0981.HK", START, END, 16.0).flat("NVDA", START, END, 100.0).model()
    world.fx("CNY", {"2023-12-28": 7.0}).fx("HKD", {"2023-12-28": 8.0})
    world.signal("SMIC", "2024-01-04T01:17", 0.9).signal("NVIDIA", "2024-01-04T01:17", 0.9)
    account = run(world, EventDrift(hold=250))
    # After Hong Kong's decision (01:15), before Shanghai's (01:20): Hong Kong comes a day later.
    assert [(s, name) for s, name, _ in fills(account)] == [
        ("2024-01-04", "688981.SS"),
        ("2024-01-04", "NVDA"),
        ("2024-01-05", "0981.HK"),
    ]


# --- benchmarks --------------------------------------------------------------------------------------------


def test_equal_weight_is_set_right_every_few_sessions_of_each_venue(world):
    world.walk("NVDA", "2023-12-28", END, 100.0, 1).walk("688981.SS", "2023-12-28", END, 50.0, 2)
    world.fx("CNY", {"2023-12-20": 7.0})
    account = run(world, EqualWeight(every=5))
    asked = {}
    for row in account.ledger.targets:
        asked.setdefault(row.instrument, []).append(row.decision_at.date().isoformat())
        assert row.weight == 0.5
    for symbol in ("NVDA", "688981.SS"):
        assert asked[symbol] == world.sessions(symbol, START, END)[::5]


def test_buy_and_hold_waits_for_a_late_listing_and_never_sells(world):
    days = world.flat("NVDA", "2023-12-28", END, 100.0).sessions("NVDA", START, END)
    world.flat("AMD", days[5], END, 50.0)
    account = run(world, BuyAndHold())
    # AMD's first bar is that of the sixth session. Until then nobody knows of it, so that NVDA gets all the cash.
    assert fills(account) == [(days[0], "NVDA", 10_000)]
    rows = [(row.session.isoformat(), row.instrument, row.reason) for row in account.ledger.unfilled]
    assert rows == [(day, "AMD", "cash") for day in days[6:]]


def test_buy_and_hold_tries_again_after_a_suspension_but_not_after_a_delisting(world):
    end = "2024-03-28"
    days = world.flat("NVDA", "2023-12-28", end, 100.0).sessions("NVDA", START, end)
    world.bars("AMD", {"2023-12-29": 50.0, days[1]: 50.0, days[2]: 50.0})
    account = run(world, BuyAndHold(), end=end)
    assert fills(account) == [
        (days[0], "NVDA", 5_000),
        (days[1], "AMD", 10_000),
        (days[23], "AMD", -10_000),
    ]
    assert account.ledger.fills[-1].auction == "delisting"
    assert [(row.session.isoformat(), row.reason) for row in account.ledger.unfilled] == [(days[0], "no_bar")]


# --- parameters --------------------------------------------------------------------------------------------


def test_parameters_are_taken_as_text_and_as_values():
    strategy = ThemeMomentum(top_k="3", short="yes", themes="sanctions,none", gross=0.5)
    assert {name: strategy.values[name] for name in ("top_k", "short", "themes", "gross", "threshold")} == {
        "top_k": 3, "short": True, "themes": "sanctions,none", "gross": 0.5, "threshold": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"top_k": 0}, "top_k=0 is not allowed: a whole number from 1 to 50"),
        ({"top_k": "2.5"}, "top_k='2.5' is not allowed"),
        ({"top_k": 2.5}, "top_k=2.5 is not allowed"),
        ({"top_k": float("inf")}, "top_k=inf is not allowed"),
        ({"threshold": "nan"}, "threshold='nan' is not allowed"),
        ({"threshold": None}, "threshold=None is not allowed"),
        ({"short": "maybe"}, "short='maybe' is not allowed: true or false"),
        ({"themes": "sanction"}, "themes='sanction' is not allowed: one or more of ai_models, localization, sanctions"),
        ({"themes": ""}, "themes='' is not allowed"),
    ],
)
def test_a_value_outside_is_refused_with_what_is_allowed(values, words):
    with pytest.raises(BadParameter) as caught:
        ThemeMomentum(**values)
    assert words in str(caught.value)


def test_an_unknown_parameter_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown parameter of event-drift 'hald'; did you mean 'hold'"):
        EventDrift(hald=3)
    with pytest.raises(UnknownName, match="its parameters are: none"):
        BuyAndHold(every=3)


def test_bounds_and_units_are_said_in_words():
    assert Parameter("n", int, 1, "", 1, 9, "days").allowed() == "a whole number from 1 to 9 days"
    assert Parameter("x", float, 1.0, "", 0.5).allowed() == "a number of at least 0.5"
    assert Parameter("s", str, "", "").allowed() == "text"


def test_a_strategy_without_decide_says_so(america):
    class Idle(Strategy):
        name = "idle"
        reads_signals = False

    with pytest.raises(Exception, match="strategy 'idle' .* Idle does not implement decide"):
        run(america, Idle())
