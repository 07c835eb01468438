"""The account: locks, limits, fees, actions, borrow and endings, each number worked in its test."""

import math

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine.account import Account
from chipwire.engine.records import Order
from chipwire.engine.view import Cause

warehouse, world, settings = worlds.warehouse, worlds.world, worlds.settings

FEES, RULES = load_fees(), load_market_rules()


class Desk:
    """One venue's account, moved by hand: session by session, auction by auction."""

    def __init__(self, world, start, end, **changes):
        self.market = world.market(settings(start, end, **changes))
        self.account = Account(self.market, settings(start, end, **changes), FEES, RULES)
        self.venue = self.market.venues[0]

    def row(self, session):
        return int(np.searchsorted(self.venue.session, np.datetime64(session)))

    def begin(self, session):
        self.account.begin(0, self.row(session), self.venue.decide_at[self.row(session)])

    def auction(self, session, auction, causes=(), **orders):
        """Begin the session if need be, trade, mark; orders by symbol with '.' written '_'."""
        self.begin(session)
        at = worlds.utc(f"{session}T00:00:00")
        named = {symbol.removeprefix("n").replace("_", "."): shares for symbol, shares in orders.items()}
        wanted = [Order(at, symbol, shares, causes) for symbol, shares in named.items()]
        fills = self.account.trade(0, self.row(session), auction, wanted)
        self.account.mark(0, self.row(session), auction)
        return fills

    def equity(self, session):
        return self.account.equity(self.venue.close_at[self.row(session)])

    @property
    def reasons(self):
        return [(row.wanted, row.filled, row.reason) for row in self.account.ledger.unfilled]


def china(world, prices, **changes):
    """Return a CNY account over 688981.SS, so that no FX comes between."""
    world.bars("688981.SS", prices, **changes)
    days = list(prices)
    return Desk(world, days[0], days[-1], currency="CNY")


# --- what the venue allows ---------------------------------------------------------------------------------


def test_shanghai_locks_what_was_bought_in_the_session_until_the_next(world):
    desk = china(world, {"2024-01-03": (50.0, 51.0), "2024-01-04": (52.0, 53.0)})
    desk.auction("2024-01-03", "open", n688981_SS=1_000)
    assert desk.auction("2024-01-03", "close", n688981_SS=-400) == []
    assert desk.reasons == [(-400, 0, "locked_t1")]
    (sold,) = desk.auction("2024-01-04", "open", n688981_SS=-1_000)
    assert sold.shares == -1_000
    assert desk.account.positions() == {}


def test_shanghai_locks_only_the_part_bought_today(world):
    desk = china(world, {"2024-01-03": 50.0, "2024-01-04": 50.0})
    desk.auction("2024-01-03", "open", n688981_SS=1_000)
    desk.auction("2024-01-04", "open", n688981_SS=500)
    (sold,) = desk.auction("2024-01-04", "close", n688981_SS=-1_500)
    assert sold.shares == -1_000
    assert desk.reasons == [(-1_500, -1_000, "locked_t1")]


def test_hong_kong_and_new_york_lock_nothing(world):
    world.bars("NVDA", {"2024-01-03": (100.0, 101.0)})
    desk = Desk(world, "2024-01-03", "2024-01-03")
    desk.auction("2024-01-03", "open", NVDA=10)
    (sold,) = desk.auction("2024-01-03", "close", NVDA=-10)
    assert sold.shares == -10


@pytest.mark.parametrize(
    ("close", "order", "reason"),
    [
        # STAR: 20% from 59.99 is 71.988, half up to the tick 71.99; down 47.992 is 47.99.
        (71.99, 200, "limit_up"),
        (71.98, 200, None),
        (71.99, -200, None),
        (47.99, -200, "limit_down"),
        (48.00, -200, None),
        (47.99, 200, None),
    ],
)
def test_the_daily_limit_follows_the_previous_close(world, close, order, reason):
    desk = china(world, {"2024-09-27": 49.99, "2024-09-30": (55.0, 59.99), "2024-10-08": (60.0, close)})
    desk.auction("2024-09-30", "open", n688981_SS=400)
    fills = desk.auction("2024-10-08", "close", n688981_SS=order)
    assert [fill.shares for fill in fills] == ([] if reason else [order])
    assert desk.reasons == ([(order, 0, reason)] if reason else [])


def test_slippage_ends_at_the_limit(world):
    world.bars("688981.SS", {"2024-09-27": 49.99, "2024-09-30": 59.99, "2024-10-08": (71.98, 70.0)})
    desk = Desk(world, "2024-09-30", "2024-10-08", currency="CNY", slippage_bps=50.0)
    (fill,) = desk.auction("2024-10-08", "open", n688981_SS=200)
    assert fill.price == 71.99
    assert fill.slippage == pytest.approx(200 * 0.01)


def test_on_an_ex_date_the_limit_comes_from_the_adjusted_close(world):
    # Close 50, dividend 1: 20% above 49 is 58.80; above 50 it would be 60.
    world.action("688981.SS", "2024-01-04", "dividend", 1.0)
    desk = china(world, {"2024-01-03": 50.0, "2024-01-04": (58.8, 58.79)})
    assert desk.auction("2024-01-04", "open", n688981_SS=200) == []
    assert desk.reasons == [(200, 0, "limit_up")]
    assert len(desk.auction("2024-01-04", "close", n688981_SS=200)) == 1


def test_an_action_while_suspended_still_adjusts_the_limit(world):
    # Close 50, split 2 for 1 on a day without trade: the next limit is 20% above 25.
    world.action("688981.SS", "2024-01-04", "split", 2.0)
    desk = china(world, {"2024-01-03": 50.0, "2024-01-05": (30.0, 29.99)})
    assert desk.auction("2024-01-05", "open", n688981_SS=200) == []
    assert desk.reasons == [(200, 0, "limit_up")]
    assert len(desk.auction("2024-01-05", "close", n688981_SS=200)) == 1


def test_an_action_between_the_last_bar_and_the_start_adjusts_the_known_price(world):
    world.action("688981.SS", "2024-01-04", "split", 2.0).flat("0981.HK", "2024-01-02", "2024-01-08", 16.0)
    world.bars("688981.SS", {"2024-01-03": 50.0, "2024-01-08": 25.0}).fx("CNY", {"2023-12-28": 7.0})
    world.fx("HKD", {"2023-12-28": 8.0})
    given = settings("2024-01-05", "2024-01-08")
    account = Account(world.market(given), given, FEES, RULES)
    assert account.last_prices() == {"0981.HK": 16.0, "688981.SS": 25.0}


def test_a_listing_has_no_limit_in_its_first_five_sessions(world):
    # Hua Hong A was listed on STAR on 2023-08-07; the sixth session is 2023-08-14.
    days = ["2023-08-07", "2023-08-08", "2023-08-09", "2023-08-10", "2023-08-11", "2023-08-14"]
    world.bars("688347.SS", {s: (50.0 * 1.2**i, 50.0 * 1.2**i) for i, s in enumerate(days)})
    desk = Desk(world, days[0], days[-1], currency="CNY")
    for session in days:
        desk.auction(session, "open", n688347_SS=200)
    assert [row.session.isoformat() for row in desk.account.ledger.unfilled] == ["2023-08-14"]
    assert desk.reasons == [(200, 0, "limit_up")]


def test_no_bar_and_no_volume_mean_no_trade(world):
    world.bars("NVDA", {"2024-01-02": 100.0, "2024-01-04": 100.0}, volume={"2024-01-04": 0.0})
    world.flat("AMD", "2024-01-02", "2024-01-04", 50.0)
    desk = Desk(world, "2024-01-02", "2024-01-04")
    desk.auction("2024-01-03", "open", NVDA=10, AMD=10)
    desk.auction("2024-01-04", "close", NVDA=10)
    assert desk.reasons == [(10, 0, "no_bar"), (10, 0, "suspended")]
    assert desk.account.positions() == {"AMD": 10}


def test_participation_drops_the_rest(world):
    world.bars("NVDA", {"2024-01-02": 100.0, "2024-01-03": 100.0}, volume=1_005.0)
    desk = Desk(world, "2024-01-02", "2024-01-03", participation=0.1)
    (fill,) = desk.auction("2024-01-03", "open", NVDA=500)
    assert fill.shares == 100  # 0.1 x 1,005
    assert desk.reasons == [(500, 100, "participation")]


# --- costs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [500, 97_500])
def test_hong_kong_fees_of_january_2024_to_the_cent(world, shares):
    world.bars("0981.HK", {"2024-01-02": 16.1, "2024-01-03": (16.1, 16.0)})
    desk = Desk(world, "2024-01-02", "2024-01-03", currency="HKD", capital=2_000_000.0)
    (bought,) = desk.auction("2024-01-03", "open", n0981_HK=shares)
    (sold,) = desk.auction("2024-01-03", "close", n0981_HK=-shares)
    cash = 2_000_000.0
    for fill, price in ((bought, 16.1), (sold, 16.0)):
        value = shares * price
        commission = max(0.0003 * value, 3.0)
        duty = math.ceil(round(0.001 * value, 6))
        levies = (0.0000565 + 0.000027 + 0.0000015) * value + min(max(0.00002 * value, 2.0), 100.0)
        assert fill.commission == pytest.approx(commission, abs=1e-9)
        assert fill.duty == duty
        assert fill.levies == pytest.approx(levies, abs=1e-9)
        cash -= math.copysign(value, fill.shares) + commission + duty + levies
    assert desk.account.cash == pytest.approx(cash, abs=1e-6)
    assert sold.realized == pytest.approx(cash - 2_000_000.0, abs=1e-6)


def test_shanghai_fees_before_and_after_the_halving_of_the_stamp_duty(world):
    days = {"2023-08-24": 50.0, "2023-08-25": 50.0, "2023-08-28": 50.0}
    desk = china(world, days)
    (bought,) = desk.auction("2023-08-24", "open", n688981_SS=4_000)
    (before,) = desk.auction("2023-08-25", "open", n688981_SS=-2_000)
    (after,) = desk.auction("2023-08-28", "open", n688981_SS=-2_000)
    assert (bought.commission, bought.duty, bought.levies) == pytest.approx((200_000 * 0.00025, 0.0, 200_000 * 0.00001))
    assert (before.commission, before.duty, before.levies) == pytest.approx((25.0, 100_000 * 0.001, 1.0))
    assert (after.commission, after.duty, after.levies) == pytest.approx((25.0, 100_000 * 0.0005, 1.0))
    paid = 50.0 + 2.0 + 25.0 + 100.0 + 1.0 + 25.0 + 50.0 + 1.0
    assert desk.account.cash == pytest.approx(1_000_000.0 - paid)


def test_new_york_charges_sales_only(world):
    world.bars("NVDA", {"2024-07-01": 100.0, "2024-07-02": 110.0})
    desk = Desk(world, "2024-07-01", "2024-07-02")
    (bought,) = desk.auction("2024-07-01", "open", NVDA=1_000)
    (sold,) = desk.auction("2024-07-02", "open", NVDA=-1_000)
    assert bought.commission + bought.duty + bought.levies == 0.0
    levies = 110_000 * 27.8e-6 + 1_000 * 0.000166
    assert sold.levies == pytest.approx(levies)
    assert sold.realized == pytest.approx(10_000.0 - levies)


def test_a_venue_without_fee_table_trades_free_and_is_noted(world):
    world.bars("ASML.AS", {"2024-07-01": 100.0, "2024-07-02": 110.0})
    desk = Desk(world, "2024-07-01", "2024-07-02", currency="EUR")
    desk.auction("2024-07-02", "open", ASML_AS=10)
    assert desk.account.uncovered == {"XAMS"}
    assert desk.account.cash == 1_000_000.0 - 1_100.0


def test_costs_of_a_day_are_fees_and_slippage_in_base_currency(world):
    world.bars("0981.HK", {"2024-01-02": 16.0, "2024-01-03": 16.0}).fx("HKD", {"2023-12-28": 8.0})
    desk = Desk(world, "2024-01-02", "2024-01-03", slippage_bps=10.0)
    (fill,) = desk.auction("2024-01-03", "open", n0981_HK=1_000)
    assert fill.price == pytest.approx(16.0 * 1.001)
    assert fill.slippage == pytest.approx(16.0)
    desk.account.end_of_day(worlds.day("2024-01-03"), desk.venue.close_at[-1])
    (row,) = desk.account.ledger.equity
    assert row.costs == pytest.approx((fill.commission + fill.duty + fill.levies + 16.0) / 8.0)
    assert row.equity == pytest.approx(1_000_000.0 - row.costs)


def test_borrow_costs_run_over_the_weekend(world):
    # 2024-01-05 is a Friday: three days to Monday, then one.
    world.bars("NVDA", {"2024-01-04": 100.0, "2024-01-05": (100.0, 120.0), "2024-01-08": 120.0, "2024-01-09": 120.0})
    desk = Desk(world, "2024-01-05", "2024-01-09")
    desk.auction("2024-01-05", "open", NVDA=-50)
    desk.auction("2024-01-05", "close")
    before = desk.account.cash
    desk.begin("2024-01-08")
    assert before - desk.account.cash == pytest.approx(50 * 120.0 * 0.005 * 3 / 365)
    desk.begin("2024-01-08")  # a session begins once
    assert before - desk.account.cash == pytest.approx(50 * 120.0 * 0.005 * 3 / 365)
    desk.begin("2024-01-09")
    assert before - desk.account.cash == pytest.approx(50 * 120.0 * 0.005 * 4 / 365)


@pytest.mark.parametrize("multiple", [0.0, 3.0])
def test_a_fee_multiple_is_of_fees_and_borrowing_and_not_of_slippage(world, multiple):
    # Friday to Monday; 1,000 shares at 16 sold short 10 bps below, in Hong Kong of 2024.
    world.bars("0981.HK", dict.fromkeys(("2024-01-04", "2024-01-05", "2024-01-08"), 16.0))
    desk = Desk(world, "2024-01-05", "2024-01-08", currency="HKD", slippage_bps=10.0, fee_multiple=multiple)
    (fill,) = desk.auction("2024-01-05", "open", n0981_HK=-1_000)
    value = 1_000 * 16.0 * 0.999
    assert fill.slippage == pytest.approx(16.0)
    assert (fill.commission, fill.duty) == pytest.approx((multiple * 0.0003 * value, multiple * 16.0))
    assert fill.levies == pytest.approx(multiple * ((0.0000565 + 0.000027 + 0.0000015) * value + 2.0))
    assert desk.account.cash == pytest.approx(1_000_000 + value - fill.commission - fill.duty - fill.levies)
    before = desk.account.cash
    desk.begin("2024-01-08")
    assert before - desk.account.cash == pytest.approx(multiple * 16_000.0 * 0.01 * 3 / 365)


# --- what happens to a holding -----------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [100, -100])
def test_a_dividend_moves_cash_and_not_equity(world, shares):
    world.action("NVDA", "2024-01-04", "dividend", 2.0)
    world.bars("NVDA", {"2024-01-02": 100.0, "2024-01-03": 100.0, "2024-01-04": 98.0})
    desk = Desk(world, "2024-01-02", "2024-01-04")
    desk.auction("2024-01-03", "open", NVDA=shares)
    cash, equity = desk.account.cash, desk.equity("2024-01-03")
    desk.begin("2024-01-04")
    borrow = 100 * 100.0 * 0.005 / 365 if shares < 0 else 0.0
    assert desk.account.cash == pytest.approx(cash + shares * 2.0 - borrow)
    assert desk.equity("2024-01-04") == pytest.approx(equity - borrow)
    assert desk.account.last_prices() == {"NVDA": 98.0}
    desk.account.end_of_day(worlds.day("2024-01-04"), desk.venue.close_at[-1])
    assert desk.account.ledger.equity[-1].dividends == pytest.approx(shares * 2.0)


@pytest.mark.parametrize("shares", [101, -101])
def test_a_split_changes_shares_and_pays_the_fraction(world, shares):
    # 3 for 2: 101 become 151.5; the half share is paid at the new price, 150 / 1.5.
    world.action("NVDA", "2024-01-04", "split", 1.5)
    world.bars("NVDA", {"2024-01-02": 150.0, "2024-01-03": 150.0, "2024-01-04": 100.0})
    desk = Desk(world, "2024-01-02", "2024-01-04")
    (opened,) = desk.auction("2024-01-03", "open", NVDA=shares)
    cash, equity = desk.account.cash, desk.equity("2024-01-03")
    desk.begin("2024-01-04")
    borrow = 101 * 150.0 * 0.005 / 365 if shares < 0 else 0.0
    sign = 1 if shares > 0 else -1
    assert desk.account.positions() == {"NVDA": sign * 151}
    assert desk.account.cash == pytest.approx(cash + sign * 0.5 * 100.0 - borrow)
    assert desk.equity("2024-01-04") == pytest.approx(equity - borrow)
    change = desk.account.ledger.fills[-1]
    assert (change.auction, change.shares, change.commission) == ("action", sign * 50, 0.0)
    # Sold in full at 100, the position has made what came in less what went out.
    (closed,) = desk.auction("2024-01-04", "open", NVDA=-sign * 151)
    fees = opened.levies + closed.levies
    assert change.realized + closed.realized == pytest.approx(sign * 151.5 * 100.0 - sign * 101 * 150.0 - fees)


def test_a_reverse_split_that_leaves_no_share_ends_the_position(world):
    world.action("NVDA", "2024-01-04", "split", 0.1)
    world.bars("NVDA", {"2024-01-02": 10.0, "2024-01-03": 10.0, "2024-01-04": 100.0, "2024-01-05": 100.0})
    desk = Desk(world, "2024-01-02", "2024-01-05")
    desk.auction("2024-01-02", "open", NVDA=5)
    desk.auction("2024-01-02", "close")
    desk.auction("2024-01-03", "close")
    desk.begin("2024-01-04")
    assert desk.account.positions() == {}
    assert desk.account.cash == pytest.approx(1_000_000.0)
    assert desk.account.ledger.fills[-1].realized == pytest.approx(0.0)
    # What it had cost is gone with it: a new position starts from nothing.
    desk.auction("2024-01-04", "open", NVDA=10)
    (closed,) = desk.auction("2024-01-05", "open", NVDA=-10)
    assert closed.realized == pytest.approx(-closed.levies)


def test_an_action_on_what_is_not_held_changes_the_known_price_only(world):
    world.action("NVDA", "2024-01-04", "split", 2.0).action("NVDA", "2024-01-04", "dividend", 1.0)
    world.bars("NVDA", {"2024-01-03": 100.0, "2024-01-04": 49.0})
    desk = Desk(world, "2024-01-03", "2024-01-04")
    desk.auction("2024-01-03", "close")
    desk.begin("2024-01-04")
    assert desk.account.last_prices() == {"NVDA": 49.0}
    assert (desk.account.cash, desk.account.ledger.fills) == (1_000_000.0, [])


def ended(world, resumes=None):
    """Hold AMD, whose bars end on 2024-01-05, while NVDA goes on; return the desk and all sessions."""
    days = world.flat("NVDA", "2024-01-02", "2024-03-28", 100.0).sessions("NVDA", "2024-01-02", "2024-03-28")
    world.bars("AMD", dict.fromkeys(days[:4], 50.0) | ({resumes: 60.0} if resumes else {}))
    desk = Desk(world, days[0], days[-1])
    desk.auction(days[0], "open", AMD=100)
    return desk, days


def test_what_is_delisted_is_closed_at_its_last_price_after_twenty_sessions(world):
    desk, days = ended(world)
    for session in days[1:24]:  # four with a bar, then twenty without
        desk.begin(session)
    assert desk.account.positions() == {"AMD": 100}
    desk.begin(days[24])
    assert desk.account.positions() == {}
    fill = desk.account.ledger.fills[-1]
    assert (fill.auction, fill.shares, fill.price, fill.session.isoformat()) == ("delisting", -100, 50.0, days[24])
    assert desk.account.cash == 1_000_000.0
    assert fill.realized == 0.0


@pytest.mark.parametrize("resumes", ["2024-03-25", "2024-05-06"])
def test_whether_a_silent_share_trades_again_later_changes_nothing(world, resumes):
    # In May it does so after the run: on 2024-02-06 nobody could know either.
    desk, days = ended(world, resumes)
    for session in days[1:]:
        desk.begin(session)
    assert desk.account.positions() == {}
    assert [fill.session.isoformat() for fill in desk.account.ledger.fills[1:]] == [days[24]]


def test_a_suspension_of_twenty_sessions_is_no_end(world):
    resumes = world.sessions("NVDA", "2024-01-02", "2024-03-28")[23]  # after 19 without a bar
    desk, days = ended(world, resumes)
    for session in days[1:]:
        desk.begin(session)
    assert [fill.session.isoformat() for fill in desk.account.ledger.fills[1:]] == [days[44]]


def test_realized_is_against_average_cost_through_adds_parts_and_a_turn(world):
    prices = {"2025-06-02": 10.0, "2025-06-03": 20.0, "2025-06-04": 30.0, "2025-06-05": 25.0, "2025-06-06": 40.0}
    world.bars("NVDA", prices)
    desk = Desk(world, "2025-06-02", "2025-06-06", leverage=5.0)
    taf = 0.000166  # the only charge left in June 2025, a share sold
    desk.auction("2025-06-02", "open", NVDA=100)
    desk.auction("2025-06-03", "open", NVDA=100)
    (part,) = desk.auction("2025-06-04", "open", NVDA=-150)
    assert part.realized == pytest.approx(150 * (30.0 - 15.0) - 150 * taf)
    (turn,) = desk.auction("2025-06-05", "open", NVDA=-80)
    assert turn.realized == pytest.approx(50 * (25.0 - 15.0) - 50 * taf)
    assert desk.account.positions() == {"NVDA": -30}
    (cover,) = desk.auction("2025-06-06", "open", NVDA=30)
    assert cover.realized == pytest.approx(30 * (25.0 - 40.0) - 30 * taf)
    borrow = 30 * 25.0 * 0.005 / 365
    assert desk.account.cash - 1_000_000.0 == pytest.approx(part.realized + turn.realized + cover.realized - borrow)


# --- what it remembers -------------------------------------------------------------------------------------


def cause(name, relation="own"):
    return Cause(name, "NVIDIA", "sanctions", worlds.MODEL, 0.5, relation)


def test_the_causes_of_an_opening_stay_until_the_next(world):
    world.flat("NVDA", "2024-01-02", "2024-01-08", 100.0)
    desk = Desk(world, "2024-01-02", "2024-01-08")
    desk.auction("2024-01-02", "open", (cause("first"),), NVDA=10)
    desk.auction("2024-01-03", "open", (cause("more"),), NVDA=10)
    assert desk.account.opened_by(0, 0) == (cause("first", "opened"),)
    desk.auction("2024-01-04", "open", (cause("turn", "rival"),), NVDA=-30)
    assert desk.account.opened_by(0, 0) == (cause("turn", "opened"),)


def test_the_account_starts_with_the_last_close_before_the_run(world):
    world.bars("NVDA", {"2023-12-28": 8.0, "2024-01-03": 10.0}).flat("AMD", "2024-01-03", "2024-01-03", 5.0)
    desk = Desk(world, "2024-01-02", "2024-01-03")
    np.testing.assert_equal(desk.account.last_prices(), {"AMD": math.nan, "NVDA": 8.0})


def test_positions_and_cash_make_equity_in_base_currency(world):
    world.bars("0981.HK", {"2024-01-02": 16.0, "2024-01-03": 17.0, "2024-01-04": 17.0})
    world.fx("HKD", {"2023-12-28": 8.0, "2024-01-03": 7.5})
    desk = Desk(world, "2024-01-02", "2024-01-04", capital=10_000.0)
    desk.auction("2024-01-03", "open", n0981_HK=1_000)
    cash = desk.account.cash
    assert desk.equity("2024-01-03") == pytest.approx(cash + 1_000 * 17.0 / 8.0)
    assert desk.equity("2024-01-04") == pytest.approx(cash + 1_000 * 17.0 / 7.5)
    desk.account.end_of_day(worlds.day("2024-01-04"), desk.venue.close_at[-1])
    (row,) = desk.account.ledger.positions
    assert (row.instrument, row.shares, row.price, row.fx) == ("0981.HK", 1_000, 17.0, pytest.approx(1 / 7.5))
    assert row.value == pytest.approx(17_000 / 7.5)
