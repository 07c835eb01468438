"""Days worked out by hand: cash from a formula in the test, by both engines."""

import math

import engine_worlds as worlds
import pytest

from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine.auction import AuctionBook, settle
from chipwire.engine.columnar import run_columnar
from chipwire.engine.event import run_event_driven
from chipwire.engine.rules import Reason
from chipwire.engine.targets import DecideTargets

warehouse, world, settings, Script = worlds.warehouse, worlds.world, worlds.settings, worlds.Script

CASH = 1_000_000.0


@pytest.fixture(params=["backtrader", "columnar"])
def trade(request, world):
    """Return a function that runs a plan of weights by session on one of the engines and returns its ledger."""

    def run(plan, start, end, **changes):
        given = settings(start, end, **changes)
        market = world.market(given)
        facts = load_fees(), load_market_rules()
        issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
        if request.param == "backtrader":
            return run_event_driven(market, given, Script(plan), None, issuers, *facts).ledger
        targets = DecideTargets(market, [Script(plan)], given, None, issuers)
        return run_columnar(market, given, targets, *facts, keep="ledger").ledgers[0]

    return run


def moves(ledger):
    return [(fill.session.isoformat(), fill.shares) for fill in ledger.fills]


def reasons(ledger):
    return [(row.session.isoformat(), row.wanted, row.filled, row.reason) for row in ledger.unfilled]


def last_cash(ledger):
    return ledger.equity[-1].cash


def shanghai_buy(value):
    """Commission 0.025% but at least 5, transfer fee 0.001%."""
    return value + max(0.00025 * value, 5.0) + 0.00001 * value


def shanghai_sale(value):
    """The same, and stamp duty 0.05% since 2023-08-28."""
    return value - max(0.00025 * value, 5.0) - 0.00001 * value - 0.0005 * value


def test_150_shares_of_a_star_listing_cannot_be_bought_but_200_can(world, trade):
    world.bars("688981.SS", {"2024-09-25": 50.0, "2024-09-26": 50.0, "2024-09-27": 50.0})
    weight = 50.0 / CASH  # of one share
    ledger = trade(
        {"2024-09-26": {"688981.SS": 150 * weight}, "2024-09-27": {"688981.SS": 200 * weight}},
        "2024-09-26", "2024-09-27", currency="CNY",
    )  # fmt: skip
    assert reasons(ledger) == [("2024-09-26", 150, 0, "lot")]
    assert moves(ledger) == [("2024-09-27", 200)]
    assert last_cash(ledger) == pytest.approx(CASH - shanghai_buy(200 * 50.0), abs=1e-6)


def test_shares_bought_today_are_not_sold_today():
    result = settle(
        AuctionBook(
            held=[600.0], bought_today=[400.0], auction_price=[50.0], volume=[1e9], known_price=[50.0],
            limit_down=[40.0], limit_up=[60.0], tick=[0.01], fx=[1.0], buy_minimum=[200.0], buy_step=[1.0],
            share_lock=[True], short_allowed=[False], rates=load_fees().rates("XSHG", "stock", worlds.day("2024-09-26")),
            cash=0.0,
        ),
        [-600.0],
    )  # fmt: skip
    # 200 of the 600 were there before today.
    assert result.filled.tolist() == [-200.0]
    assert result.reason.tolist() == [Reason.LOCKED_T1]
    assert result.cash == pytest.approx(shanghai_sale(200 * 50.0))


def test_a_close_at_the_upper_limit_cannot_be_bought_but_be_sold(world, trade):
    # 688981.SS closed at 60.08 on 2024-09-27 (as in the embedded bars); twice 20% up, on 09-30 and 10-08.
    limits = [math.floor(60.08 * 1.2 * 100 + 0.5) / 100]
    limits.append(math.floor(limits[0] * 1.2 * 100 + 0.5) / 100)
    world.bars(
        "688981.SS",
        {"2024-09-26": 60.0, "2024-09-27": 60.08, "2024-09-30": (65.0, limits[0]), "2024-10-08": (80.0, limits[1])},
    )
    plan = {"2024-09-27": {"688981.SS": 0.3}, "2024-09-30": {"688981.SS": 0.6}, "2024-10-08": {"688981.SS": 0.0}}
    ledger = trade(plan, "2024-09-27", "2024-10-08", currency="CNY", fill="close")
    first = math.floor(0.3 * CASH / 60.08)
    assert moves(ledger) == [("2024-09-27", first), ("2024-10-08", -first)]
    equity = CASH - shanghai_buy(first * 60.08) + first * 65.0
    assert reasons(ledger) == [("2024-09-30", math.floor(0.6 * equity / 65.0) - first, 0, "limit_up")]
    assert last_cash(ledger) == pytest.approx(
        CASH - shanghai_buy(first * 60.08) + shanghai_sale(first * limits[1]), abs=1e-6
    )


def test_the_halt_of_smic_in_september_2025(world, trade):
    # No bars from 2025-09-01 to 09-08; the exit waits for the first session after it, 10.3% lower.
    world.bars("688981.SS", {"2025-08-28": 110.0, "2025-08-29": 114.76, "2025-09-09": (102.94, 103.0)})
    halted = world.sessions("688981.SS", "2025-09-01", "2025-09-08")
    plan = {"2025-08-29": {"688981.SS": 0.5}} | {day: {"688981.SS": 0.0} for day in [*halted, "2025-09-09"]}
    ledger = trade(plan, "2025-08-29", "2025-09-09", currency="CNY")
    shares = math.floor(0.5 * CASH / 110.0)
    assert len(halted) == 6
    assert reasons(ledger) == [(day, -shares, 0, "no_bar") for day in halted]
    assert moves(ledger) == [("2025-08-29", shares), ("2025-09-09", -shares)]
    left = CASH - shanghai_buy(shares * 114.76)
    assert last_cash(ledger) == pytest.approx(left + shanghai_sale(shares * 102.94), abs=1e-6)


@pytest.mark.parametrize(("day", "rate"), [("2023-11-16", 0.0013), ("2023-11-17", 0.001)])
def test_hong_kong_stamp_duty_changes_and_is_rounded_up(world, trade, day, rate):
    world.bars("0700.HK", {"2023-11-15": 311.4, day: 311.4})
    ledger = trade({day: {"0700.HK": 100 * 311.4 / CASH + 1e-9}}, day, day, currency="HKD")
    value = 100 * 311.4
    duty = math.ceil(rate * value)
    assert duty == (41 if rate == 0.0013 else 32)  # 40.482 and 31.14 dollars
    levies = value * (0.0000565 + 0.000027 + 0.0000015) + max(0.00002 * value, 2.0)
    assert last_cash(ledger) == pytest.approx(CASH - value - max(0.0003 * value, 3.0) - duty - levies, abs=1e-6)


def test_an_odd_lot_after_a_split_is_sold_whole(world, trade):
    # 500 shares of 0981.HK become 650: one lot of 500 and an odd 150, all of which may be sold.
    world.action("0981.HK", "2024-03-06", "split", 1.3)
    world.bars("0981.HK", {"2024-03-04": 20.0, "2024-03-05": 20.0, "2024-03-06": 16.0, "2024-03-07": 16.0})
    plan = {"2024-03-05": {"0981.HK": 0.01}, "2024-03-07": {"0981.HK": 0.0}}
    ledger = trade(plan, "2024-03-05", "2024-03-07", currency="HKD")
    assert moves(ledger) == [("2024-03-05", 500), ("2024-03-06", 150), ("2024-03-07", -650)]

    def costs(value):
        return 3.0 + math.ceil(0.001 * value) + value * (0.0000565 + 0.000027 + 0.0000015) + 2.0  # both minima hold

    assert last_cash(ledger) == pytest.approx(
        CASH - 10_000 - costs(10_000) + 10_400 - costs(10_400) - (0.0003 * 10_400 - 3.0), abs=1e-6
    )


def test_a_dividend_is_cash_on_the_ex_date(world, trade):
    world.action("NVDA", "2024-06-11", "dividend", 0.01)
    world.bars("NVDA", {"2024-06-07": 1208.88, "2024-06-10": 120.0, "2024-06-11": 121.0})
    world.warehouse.run(
        "UPDATE bar SET open = 120, high = 120, low = 120, close = 120 WHERE session = DATE '2024-06-07'"
    )
    ledger = trade({"2024-06-10": {"NVDA": 0.5}}, "2024-06-10", "2024-06-11")
    shares = math.floor(0.5 * CASH / 120.0)
    assert [row.dividends for row in ledger.equity] == pytest.approx([0.0, shares * 0.01])
    assert last_cash(ledger) == pytest.approx(CASH - shares * 120.0 + shares * 0.01, abs=1e-6)


def test_the_split_of_nvidia_pays_out_no_cash(world, trade):
    world.action("NVDA", "2024-06-10", "split", 10.0)
    world.bars("NVDA", {"2024-06-06": 1200.0, "2024-06-07": 1208.88, "2024-06-10": (120.37, 121.79)})
    ledger = trade({"2024-06-07": {"NVDA": 0.5}}, "2024-06-07", "2024-06-10")
    shares = math.floor(0.5 * CASH / 1200.0)
    assert moves(ledger) == [("2024-06-07", shares), ("2024-06-10", 9 * shares)]
    assert last_cash(ledger) == pytest.approx(CASH - shares * 1208.88, abs=1e-6)
    assert ledger.equity[-1].equity == pytest.approx(last_cash(ledger) + 10 * shares * 121.79, abs=1e-6)


def test_a_short_over_a_weekend_pays_three_days_of_borrow(world, trade):
    world.bars("NVDA", {"2024-03-07": 900.0, "2024-03-08": (900.0, 875.0), "2024-03-11": (870.0, 857.0)})
    ledger = trade({"2024-03-08": {"NVDA": -0.4}}, "2024-03-08", "2024-03-11")
    shares = math.floor(0.4 * CASH / 900.0)
    proceeds = shares * 900.0
    fees = proceeds * 8.00e-6 + min(0.000166 * shares, 8.30)  # 8.00 a million until 2024-05-21
    borrow = shares * 875.0 * 0.005 * 3 / 365
    assert moves(ledger) == [("2024-03-08", -shares)]
    assert [row.borrow for row in ledger.equity] == pytest.approx([0.0, borrow])
    assert last_cash(ledger) == pytest.approx(CASH + proceeds - fees - borrow, abs=1e-6)


def test_a_cash_squeeze_scales_all_purchases_by_one_factor(world, trade):
    # Decided at 100 and 40, filled 25% higher: 1.25 of the cash, so that each purchase shrinks to 1 / 1.25 of itself.
    world.bars("NVDA", {"2024-01-02": 100.0, "2024-01-03": 125.0}).bars("AMD", {"2024-01-02": 40.0, "2024-01-03": 50.0})
    ledger = trade({"2024-01-03": {"NVDA": 0.6, "AMD": 0.4}}, "2024-01-03", "2024-01-03")
    wanted = {"AMD": 0.4 * CASH / 40.0, "NVDA": 0.6 * CASH / 100.0}
    assert {fill.instrument: fill.shares for fill in ledger.fills} == {k: v / 1.25 for k, v in wanted.items()}
    assert {row.reason for row in ledger.unfilled} == {"cash"}
    assert last_cash(ledger) == 0.0
