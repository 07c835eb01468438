"""From weights to orders: sizing to the lot, the band, what is refused, and the causes of each order."""

import math
import sys
from collections import UserDict

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

from chipwire.data.errors import BadTarget, TerminatedError

warehouse, world, settings = worlds.warehouse, worlds.world, worlds.settings


def shares(account):
    return [(fill.session.isoformat(), fill.instrument, fill.shares) for fill in account.ledger.fills]


def unfilled(account):
    rows = account.ledger.unfilled
    return [(row.session.isoformat(), row.instrument, row.wanted, row.filled, row.reason) for row in rows]


# --- sizing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fill", "known"), [("open", 17.0), ("close", 18.0)])
def test_wanted_shares_are_weight_times_equity_over_the_known_price_in_base_currency(world, fill, known):
    # Known before the open: the close of 3 January; before the close: the open of the 4th.
    world.bars("0981.HK", {"2024-01-02": 16.0, "2024-01-03": (16.5, 17.0), "2024-01-04": (18.0, 19.0)})
    world.fx("HKD", {"2023-12-28": 7.8})
    account = world.simulate(
        worlds.Script({"2024-01-04": {"0981.HK": 0.5}}), settings("2024-01-02", "2024-01-04", fill=fill)
    )
    wanted = 0.5 * 1_000_000.0 / (known / 7.8)
    assert shares(account) == [("2024-01-04", "0981.HK", math.floor(wanted / 500) * 500)]
    assert account.ledger.fills[0].auction_price == {"open": 18.0, "close": 19.0}[fill]
    assert account.ledger.fills[0].fx == pytest.approx(1 / 7.8)


@pytest.mark.parametrize(
    ("symbol", "capital", "expected"),
    [
        ("688981.SS", 50 * 345.9, 345),  # STAR: single shares from 200
        ("688981.SS", 50 * 199.9, 0),
        ("510300.SS", 50 * 345.9, 300),
        ("0700.HK", 50 * 345.9, 300),
        ("9888.HK", 50 * 349.9, 300),
        ("9888.HK", 50 * 350.1, 350),
        ("NVDA", 50 * 345.9, 345),
    ],
)
def test_orders_are_cut_toward_zero_to_the_lot(world, symbol, capital, expected):
    currency = worlds.UNIVERSE.instrument(symbol).currency
    world.flat(symbol, "2024-01-02", "2024-01-03", 50.0)
    # Half of twice the money, so that fees do not bind.
    given = settings("2024-01-02", "2024-01-03", instruments=(symbol,), currency=currency, capital=2 * capital)
    account = world.simulate(worlds.Script({"2024-01-03": {symbol: 0.5}}), given)
    assert shares(account) == ([("2024-01-03", symbol, expected)] if expected else [])
    assert unfilled(account) == ([] if expected else [("2024-01-03", symbol, 199, 0, "lot")])


def test_a_short_is_sized_toward_zero_too(world):
    world.flat("NVDA", "2024-01-02", "2024-01-03", 300.0)
    account = world.simulate(worlds.Script({"2024-01-03": {"NVDA": -0.5}}), settings("2024-01-02", "2024-01-03"))
    assert shares(account) == [("2024-01-03", "NVDA", -1_666)]


def test_left_out_means_no_order_and_zero_means_exit(world):
    world.flat("NVDA", "2024-01-02", "2024-01-05", 100.0).flat("AMD", "2024-01-02", "2024-01-05", 50.0)
    plan = {"2024-01-02": {"NVDA": 0.4, "AMD": 0.4}, "2024-01-03": {"NVDA": 0.4}, "2024-01-04": {"AMD": 0.0}}
    account = world.simulate(worlds.Script(plan), settings("2024-01-02", "2024-01-05"))
    # Known before the first open: nothing, both are listed on that day for the run.
    assert unfilled(account) == [("2024-01-02", "AMD", 0, 0, "no_bar"), ("2024-01-02", "NVDA", 0, 0, "no_bar")]
    assert shares(account) == [("2024-01-03", "NVDA", 4_000)]
    world.flat("NVDA", "2023-12-29", "2023-12-29", 100.0).flat("AMD", "2023-12-29", "2023-12-29", 50.0)
    account = world.simulate(worlds.Script(plan), settings("2024-01-02", "2024-01-05"))
    assert shares(account) == [
        ("2024-01-02", "AMD", 8_000),
        ("2024-01-02", "NVDA", 4_000),
        ("2024-01-04", "AMD", -8_000),
    ]


def test_a_position_is_followed_to_its_weight(world):
    world.bars("NVDA", {"2024-01-02": 100.0, "2024-01-03": (100.0, 125.0), "2024-01-04": 125.0})
    plan = {"2024-01-03": {"NVDA": 0.5}, "2024-01-04": {"NVDA": 0.5}}
    account = world.simulate(worlds.Script(plan), settings("2024-01-02", "2024-01-04"))
    equity = 500_000.0 + 5_000 * 125.0
    assert shares(account)[1] == ("2024-01-04", "NVDA", math.floor(0.5 * equity / 125.0) - 5_000)


@pytest.mark.parametrize(
    ("weight", "sent"), [(0.519, False), (0.521, True), (0.481, False), (0.479, True), (0.0, True)]
)
def test_the_band_leaves_small_changes_alone(world, weight, sent):
    world.flat("NVDA", "2024-01-02", "2024-01-04", 100.0)
    plan = {"2024-01-03": {"NVDA": 0.5}, "2024-01-04": {"NVDA": weight}}
    account = world.simulate(worlds.Script(plan), settings("2024-01-02", "2024-01-04", band=0.02))
    assert len(account.ledger.fills) == (2 if sent else 1)
    assert unfilled(account) == []


def test_an_opening_below_the_band_is_not_sent_but_noted(world):
    world.flat("NVDA", "2024-01-02", "2024-01-03", 100.0).flat("AMD", "2024-01-02", "2024-01-03", 50.0)
    plan = {"2024-01-03": {"NVDA": 0.019, "AMD": 0.021}}
    account = world.simulate(worlds.Script(plan), settings("2024-01-02", "2024-01-03", band=0.02))
    assert shares(account) == [("2024-01-03", "AMD", 420)]
    assert unfilled(account) == [("2024-01-03", "NVDA", 190, 0, "band")]


def test_the_band_never_holds_back_an_exit(world):
    # The position is 0.5% of equity, a quarter of the band.
    world.flat("NVDA", "2024-01-02", "2024-01-04", 100.0)
    world.bars("AMD", {"2024-01-02": 100.0, "2024-01-03": (100.0, 2.0), "2024-01-04": 2.0})
    plan = {"2024-01-03": {"AMD": 0.25}, "2024-01-04": {"AMD": 0.0}}
    account = world.simulate(worlds.Script(plan), settings("2024-01-02", "2024-01-04", band=0.02))
    assert shares(account)[-1] == ("2024-01-04", "AMD", -2_500)


def test_the_targets_are_kept_as_they_were_asked(world):
    world.flat("NVDA", "2024-01-02", "2024-01-03", 100.0).flat("AMD", "2024-01-02", "2024-01-03", 50.0)
    account = world.simulate(
        worlds.Script(lambda view: {"NVDA": np.float32(0.25), "AMD": np.int64(0)}), settings("2024-01-02", "2024-01-03")
    )
    rows = [(target.decision_at, target.instrument, target.weight) for target in account.ledger.targets]
    decisions = [worlds.utc("2024-01-02T14:25"), worlds.utc("2024-01-03T14:25")]
    assert rows == [row for at in decisions for row in ((at, "AMD", 0.0), (at, "NVDA", 0.25))]


# --- what a strategy may not do ----------------------------------------------------------------------------


class Broken:
    """Raises a plain error with several lines."""

    def __call__(self, view):
        raise ZeroDivisionError("one\n  two")


class Unreadable(UserDict):
    """A mapping of a plugin's own."""

    def __getitem__(self, key):
        raise KeyError("not so fast")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Broken(), "ZeroDivisionError: one two"),
        (lambda view: [("NVDA", 1.0)], "decide returned list; allowed: a mapping or None"),
        (lambda view: pd.Series({"NVDA": 1.0}), "decide returned Series"),
        (lambda view: 0.5, "decide returned float"),
        (lambda view: {"NVDA": math.nan}, "weight nan of NVDA is not a finite number"),
        (lambda view: {"NVDA": math.inf}, "weight inf of NVDA is not a finite number"),
        (lambda view: {"NVDA": "0.5"}, "weight '0.5' of NVDA is not a finite number"),
        (lambda view: {"NVDA": None}, "weight None of NVDA is not a finite number"),
        (lambda view: {"NVDA": True}, "weight True of NVDA is not a finite number"),
        (lambda view: {"NVDA": 0.5j}, "weight 0.5j of NVDA"),
        (lambda view: {"NVDA": 10**400}, "weight 1000"),
        (lambda view: {"NVDA": 10**5000}, "weight (int) of NVDA is not a finite number"),
        (lambda view: sys.exit(0), "SystemExit: 0"),
        (lambda view: (_ for _ in ()).throw(GeneratorExit()), "GeneratorExit"),
        (lambda view: Unreadable({"NVDA": 0.5}), "KeyError: 'not so fast'"),
        (lambda view: vars(view) and setattr(view, "equity", 1e12), "FrozenInstanceError: cannot assign to field"),
        (lambda view: view.signals(half_life_days=0.0), "half_life_days=0.0 is not allowed: more than 0"),
        (lambda view: {"0981.HK": 0.5}, "'0981.HK' is not decided at XNYS now; these are: AMD, NVDA"),
        (lambda view: {1: 0.5, "NVDA": 0.5}, "'1' is not decided at XNYS now"),
        (lambda view: {"NVDA": 0.7, "AMD": -0.4}, "the weights' absolute sum 1.1 is above the leverage 1"),
        (lambda view: {"NVDA": 1e308, "AMD": 1e308}, "the weights' absolute sum inf is above the leverage 1"),
    ],
)
def test_a_bad_target_names_strategy_decision_and_value(world, answer, words):
    world.flat("NVDA", "2024-01-02", "2024-01-03", 100.0).flat("AMD", "2024-01-02", "2024-01-03", 50.0)
    world.flat("0981.HK", "2024-01-02", "2024-01-03", 16.0).fx("HKD", {"2023-12-28": 8.0})

    def plan(view):
        return answer(view) if view.venue == "XNYS" else None

    with pytest.raises(BadTarget) as caught:
        world.simulate(worlds.Script(plan), settings("2024-01-02", "2024-01-03"))
    message = str(caught.value)
    assert message.startswith("strategy 'script' at the decision of 2024-01-02 14:25 UTC: ")
    assert words in message
    assert "\n" not in message


def test_weights_up_to_the_leverage_are_taken(world):
    world.flat("NVDA", "2024-01-02", "2024-01-03", 100.0).flat("AMD", "2024-01-02", "2024-01-03", 50.0)
    tenths = {"NVDA": 0.1 + 0.2, "AMD": -0.7}  # their sum is one bit above 1
    account = world.simulate(worlds.Script({"2024-01-03": tenths}), settings("2024-01-02", "2024-01-03"))
    assert len(account.ledger.fills) == 2
    world.simulate(worlds.Script({"2024-01-03": {"NVDA": 1.5}}), settings("2024-01-02", "2024-01-03", leverage=1.5))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, TerminatedError])
def test_being_stopped_is_not_the_strategys_fault(world, kind):
    world.flat("NVDA", "2024-01-02", "2024-01-03", 100.0)

    def stop(view):
        raise kind

    with pytest.raises(kind):
        world.simulate(worlds.Script(stop), settings("2024-01-02", "2024-01-03"))


# --- why -----------------------------------------------------------------------------------------------------


def relations(account):
    return [[(c.headline_id, c.relation) for c in fill.causes] for fill in account.ledger.fills]


def reader(plan):
    """Return a strategy that reads three days of signals at each decision, then asks by plan."""

    def decide(view):
        view.signals(lookback_days=3.0)
        return plan.get(view.session.isoformat(), {})

    return worlds.Reader(decide)


def test_an_order_is_caused_by_what_was_read_on_the_issuer(world):
    world.flat("NVDA", "2024-01-02", "2024-01-12", 100.0).model()
    world.signal("NVIDIA", "2024-01-02T20:00", 0.9, "good").signal("AMD", "2024-01-02T21:00", 0.9, "other")
    account = world.simulate(reader({"2024-01-03": {"NVDA": 0.5}}), settings("2024-01-02", "2024-01-12"))
    assert relations(account) == [[("good", "own")]]


def test_an_exit_without_own_news_goes_back_to_what_opened_it(world):
    world.flat("NVDA", "2024-01-02", "2024-01-12", 100.0).model()
    world.signal("NVIDIA", "2024-01-02T20:00", 0.9, "good").signal("AMD", "2024-01-09T20:00", 0.9, "other")
    plan = {"2024-01-03": {"NVDA": 0.5}, "2024-01-09": {"NVDA": 0.2}, "2024-01-10": {"NVDA": 0.0}}
    account = world.simulate(reader(plan), settings("2024-01-02", "2024-01-12"))
    # The part sold on the 9th, when nothing was there to read, and the rest on the 10th.
    assert relations(account) == [[("good", "own")], [("good", "opened")], [("good", "opened")]]


def test_an_order_without_any_news_of_its_own_names_its_rivals(world):
    world.flat("NVDA", "2024-01-02", "2024-01-05", 100.0).model().signal("AMD", "2024-01-02T20:00", -0.9, "other")
    account = world.simulate(reader({"2024-01-03": {"NVDA": 0.5}}), settings("2024-01-02", "2024-01-05"))
    assert relations(account) == [[("other", "rival")]]


def test_new_own_news_explains_an_exit_before_what_opened_it(world):
    world.flat("NVDA", "2024-01-02", "2024-01-12", 100.0).model()
    world.signal("NVIDIA", "2024-01-02T20:00", 0.9, "good").signal("NVIDIA", "2024-01-09T20:00", -0.9, "bad")
    plan = {"2024-01-03": {"NVDA": 0.5}, "2024-01-10": {"NVDA": 0.0}}
    account = world.simulate(reader(plan), settings("2024-01-02", "2024-01-12"))
    assert relations(account) == [[("good", "own")], [("bad", "own")]]
