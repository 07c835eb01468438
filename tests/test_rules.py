"""Expected values follow from the venues' rules, worked by formula in each test."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from chipwire.data.errors import UnknownName, UnreadableInput
from chipwire.data.market_rules import LOT_COLUMNS, SHORT_COLUMNS, LotRule, load_market_rules
from chipwire.engine import costs, rules
from chipwire.engine.rules import Reason

MARKET = load_market_rules()
MAIN, STAR, HK_500, US = (100, 100), (200, 1), (500, 500), (1, 1)


@pytest.mark.parametrize(
    ("value", "tick", "expected"),
    [
        (59.99 * 1.2, 0.01, 71.99),  # 71.988
        (10.05 * 1.1, 0.01, 11.06),  # 11.055 exactly half a tick: up, though binary fractions fall below
        (10.05 * 0.9, 0.01, 9.05),  # 9.045
        (1.005, 0.01, 1.01),
        (3.333, 0.05, 3.35),
        (123.0, 2.0, 124.0),
        (0.3, 0.1, 0.3),
        (4.5649, 0.001, 4.565),
    ],
)
def test_round_half_up_gives_the_decimal_price(value: float, tick: float, expected: float) -> None:
    assert rules.round_half_up(value, tick) == expected


def test_round_half_up_keeps_unknown_prices_and_steps() -> None:
    assert math.isnan(rules.round_half_up(math.nan, 0.01))
    assert rules.round_half_up(1.2345, math.nan) == 1.2345


@pytest.mark.parametrize(
    ("previous", "fraction", "down", "up"),
    [
        (59.99, 0.2, 47.99, 71.99),  # 688981.SS 2024-10-08: 47.992 and 71.988, closed at 71.99
        (49.99, 0.2, 39.99, 59.99),  # 688981.SS 2024-09-30: closed at 59.99
        (1036.0, 0.2, 828.80, 1243.20),  # 688256.SS 2025-08-22: closed at 1243.20
        (1384.930054, 0.2, 1107.94, 1661.92),  # a feed's float32 of 1384.93: 1107.944 and 1661.916
        (10.0, 0.1, 9.0, 11.0),
        (10.0, math.nan, -math.inf, math.inf),
        (math.nan, 0.1, -math.inf, math.inf),
    ],
)
def test_limit_prices(previous: float, fraction: float, down: float, up: float) -> None:
    assert rules.limit_prices(previous, fraction, 0.01) == (down, up)


@pytest.mark.parametrize(
    ("weight", "equity", "price", "fx", "expected"),
    [
        (0.3, 1.0, 0.1, 1.0, 3.0),  # 0.3 / 0.1 is 2.9999999999999996 in binary
        (0.5, 1000.0, 30.0, 1.0, 16.0),
        (-0.5, 1000.0, 30.0, 1.0, -16.0),
        (1.0, 1000.0, 70.0, 0.14, 102.0),  # 102.04
        (1.0, 148_646_841.39, 0.81, 1.0, 183_514_619.0),  # 183,514,618.99999997 in binary
        (0.0, 1000.0, 30.0, 1.0, 0.0),
        (0.5, -10.0, 30.0, 1.0, 0.0),  # nothing is left
    ],
)
def test_wanted_shares(weight: float, equity: float, price: float, fx: float, expected: float) -> None:
    assert rules.wanted_shares(weight, equity, price, fx) == expected


@pytest.mark.parametrize(
    ("weight", "price", "fx"), [(math.nan, 1, 1), (0.5, math.nan, 1), (0.5, 1, 0), (0.5, 1, math.nan)]
)
def test_without_target_price_or_rate_there_is_no_order(weight: float, price: float, fx: float) -> None:
    wanted = rules.wanted_shares(weight, 1000.0, price, fx)
    assert math.isnan(wanted)
    assert rules.order_shares(wanted, 100, *US) == 0.0


@pytest.mark.parametrize(
    ("wanted", "held", "lots", "expected"),
    [
        # STAR: at least 200, then single shares
        (150, 0, STAR, 0),
        (199, 0, STAR, 0),
        (200, 0, STAR, 200),
        (250, 0, STAR, 250),
        (400, 250, STAR, 0),  # adds 150
        (300, 499, STAR, 0),  # sells 199, and something would be left
        (299, 499, STAR, -200),
        (50, 300, STAR, -250),  # what is left may be anything
        (0, 150, STAR, -150),  # under 200: whole
        (100, 150, STAR, 0),
        # main board and ETFs: hundreds
        (150, 0, MAIN, 100),
        (99, 0, MAIN, 0),
        (250, 400, MAIN, -200),  # wants 200
        (0, 250, MAIN, -250),  # the odd 50 goes with the whole
        (199, 250, MAIN, -150),  # wants 100: 100 and the whole odd part
        (220, 250, MAIN, -50),  # wants 200: the odd part as a whole
        (300, 250, MAIN, 0),  # 50 cannot be bought
        (0, 50, MAIN, -50),
        # Hong Kong board lots, single shares
        (1499, 0, HK_500, 1000),
        (499, 0, HK_500, 0),
        (0, 1250, HK_500, -1250),
        (17, 0, US, 17),
        (3, 17, US, -14),
        # shorts and through zero: close all, then open in lots
        (-1499, 0, HK_500, -1000),
        (-1499, 250, HK_500, -1250),
        (1499, -750, HK_500, 1750),
        (-500, -1000, HK_500, 500),
        (-100, 0, HK_500, 0),
    ],
)
def test_order_shares(wanted: int, held: int, lots: tuple[int, int], expected: int) -> None:
    assert rules.order_shares(wanted, held, *lots) == expected


def test_an_order_that_may_not_close_everything_opens_nothing() -> None:
    # 300 held, 200 bought today: 100 can go, and no short can follow.
    assert rules.tradable(-500, 300, 100, *MAIN) == -100


@pytest.mark.parametrize(
    ("held", "bought", "locked", "expected"),
    [
        (300, 100, True, 200),
        (300, 300, True, 0),
        (300, 100, False, 300),
        (-300, 0, True, 0),
        (100, 300, True, 0),
    ],
)
def test_sellable(held: int, bought: int, locked: bool, expected: int) -> None:
    assert rules.sellable(held, bought, locked) == expected


@pytest.mark.parametrize(
    ("price", "sign", "bps", "impact", "share", "down", "up", "expected"),
    [
        (100.0, 1, 10, 0.0, 0.0, 80, 120, 100.1),
        (100.0, -1, 10, 0.0, 0.0, 80, 120, 99.9),
        (100.0, 0, 10, 0.0, 0.0, 80, 120, 100.0),
        (100.0, 1, 0, 0.1, 0.04, 80, 120, 102.0),  # 0.1 x sqrt(0.04) is 2%
        (100.0, -1, 10, 0.1, 0.04, 80, 120, 97.9),
        (100.0, 1, 0, 0.1, math.nan, 80, 120, 100.0),
        (119.99, 1, 100, 0.0, 0.0, 80, 120, 120.0),  # not beyond the limit
        (80.01, -1, 100, 0.0, 0.0, 80, 120, 80.0),
        (130.0, -1, 0, 0.0, 0.0, 80, 120, 130.0),  # data beyond the limit: no better and no worse
    ],
)
def test_fill_price(
    price: float, sign: int, bps: float, impact: float, share: float, down: float, up: float, expected: float
) -> None:
    assert rules.fill_price(price, sign, bps, impact, share, down, up) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("sign", "price", "volume", "forbidden", "expected"),
    [
        (1, 60.0, 1e6, False, Reason.NONE),
        (0, math.nan, 0, True, Reason.NONE),
        (1, math.nan, math.nan, False, Reason.NO_BAR),
        (-1, 60.0, 0, False, Reason.SUSPENDED),
        (-1, 60.0, math.nan, False, Reason.NONE),
        (1, 71.99, 1e6, False, Reason.LIMIT_UP),
        (1, 71.986, 1e6, False, Reason.LIMIT_UP),  # within half a tick
        (1, 71.98, 1e6, False, Reason.NONE),
        (-1, 71.99, 1e6, False, Reason.NONE),  # can be sold at limit-up
        (-1, 47.99, 1e6, False, Reason.LIMIT_DOWN),
        (1, 47.99, 1e6, False, Reason.NONE),
        (-1, 60.0, 1e6, True, Reason.SHORT_FORBIDDEN),
    ],
)
def test_blocked(sign: int, price: float, volume: float, forbidden: bool, expected: Reason) -> None:
    down, up = rules.limit_prices(59.99, 0.2, 0.01)  # 688981.SS on 2024-10-08
    assert rules.blocked(sign, price, volume, down, up, 0.01, forbidden) == expected


def test_blocked_without_limits_needs_no_tick() -> None:
    assert rules.blocked(1, 1e9, 1, -math.inf, math.inf, math.nan) == Reason.NONE


def test_borrow_cost_is_by_calendar_day() -> None:
    assert costs.borrow_cost(-10_000.0, 0.0365, 3) == pytest.approx(3.0, rel=1e-14)
    assert costs.borrow_cost(0.0, 0.01, 1) == 0.0


def test_ordered_sum_goes_from_left_to_right() -> None:
    values = [0.1] * 9 + [1e16, -1e16]
    expected = 0.0
    for value in values:
        expected += value
    assert rules.ordered_sum(values) == expected
    assert rules.ordered_sum(np.zeros((2, 0))).tolist() == [0.0, 0.0]


# --- dated facts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("board", "day", "session", "listed", "expected"),
    [
        ("main", date(2024, 1, 2), None, None, 0.1),
        ("star", date(2024, 1, 2), None, None, 0.2),
        ("etf", date(2024, 1, 2), None, None, 0.1),
        ("star-etf", date(2024, 1, 2), None, None, 0.2),
        ("star", date(2023, 8, 7), 1, date(2023, 8, 7), math.nan),  # 688347.SS
        ("star", date(2023, 8, 11), 5, date(2023, 8, 7), math.nan),
        ("star", date(2023, 8, 14), 6, date(2023, 8, 7), 0.2),
        ("main", date(2023, 4, 10), 1, date(2023, 4, 10), math.nan),
        ("main", date(2023, 4, 10), 2, date(2023, 4, 7), 0.1),  # listed before the rule
        ("main", date(2022, 4, 11), 1, None, 0.1),
        ("etf", date(2024, 1, 2), 1, date(2024, 1, 2), 0.1),
    ],
)
def test_limit_fraction(board: str, day: date, session: int | None, listed: date | None, expected: float) -> None:
    found = MARKET.limit_fraction("XSHG", board, day, session_number=session, listed_on=listed)
    np.testing.assert_equal(found, expected)


@pytest.mark.parametrize("venue", ["XHKG", "XNYS", "XTAI"])
def test_other_venues_have_no_limit(venue: str) -> None:
    assert math.isnan(MARKET.limit_fraction(venue, "main", date(2024, 1, 2)))


def test_hong_kong_ticks_change_on_2025_08_04() -> None:
    prices = [9.99, 10.0, 19.0, 20.0, 50.0, 99.0, 100.0, 200.0, 500.0, math.nan]
    before = [0.01, 0.02, 0.02, 0.05, 0.05, 0.05, 0.1, 0.2, 0.5, math.nan]
    after = [0.01, 0.01, 0.01, 0.02, 0.05, 0.05, 0.1, 0.2, 0.5, math.nan]
    np.testing.assert_array_equal(MARKET.tick("XHKG", "main", prices, date(2025, 8, 1)), before)
    np.testing.assert_array_equal(MARKET.tick("XHKG", "main", prices, date(2025, 8, 4)), after)


def test_ticks_of_other_venues() -> None:
    day = date(2024, 1, 2)
    assert MARKET.tick("XSHG", "star", 60.0, day) == 0.01
    assert MARKET.tick("XSHG", "etf", 3.9, day) == 0.001
    assert MARKET.tick("XNYS", "main", 120.0, day) == 0.01
    assert math.isnan(MARKET.tick("XAMS", "main", 700.0, day))


@pytest.mark.parametrize(
    ("venue", "board", "lot", "expected"),
    [
        ("XSHG", "main", 100, LotRule(100, 100, share_lock=True)),
        ("XSHG", "star", 200, LotRule(200, 1, share_lock=True)),
        ("XSHG", "star-etf", 100, LotRule(100, 100, share_lock=True)),
        ("XHKG", "main", 500, LotRule(500, 500, share_lock=False)),
        ("XNYS", "etf", 1, LotRule(1, 1, share_lock=False)),
        ("XTAI", "main", 1000, LotRule(1000, 1000, share_lock=False)),
    ],
)
def test_lot_rules(venue: str, board: str, lot: int, expected: LotRule) -> None:
    assert MARKET.lot_rule(venue, board, lot, date(2024, 1, 2)) == expected


@pytest.mark.parametrize(
    ("venue", "instrument", "allowed", "rate"),
    [
        ("XSHG", "688981.SS", False, 0.0),
        ("XHKG", "0981.HK", True, 0.01),
        ("XHKG", "9999.HK", False, 0.0),
        ("XNYS", "NVDA", True, 0.005),
        ("XKRX", "005930.KS", False, 0.0),
    ],
)
def test_short_rules(venue: str, instrument: str, allowed: bool, rate: float) -> None:
    rule = MARKET.short_rule(venue, instrument, date(2024, 1, 2))
    assert (rule.allowed, rule.borrow_rate) == (allowed, rate)


def test_a_users_short_list_replaces_what_it_names(tmp_path: Path) -> None:
    own = tmp_path / "shorts.csv"
    own.write_text(f"{','.join(SHORT_COLUMNS)}\nXHKG,0700.HK,no,,,,own broker\nXKRX,*,yes,0.03,,,own broker\n")
    market = load_market_rules(shorts=own)
    day = date(2024, 1, 2)
    assert not market.short_rule("XHKG", "0700.HK", day).allowed
    assert market.short_rule("XHKG", "0981.HK", day).allowed
    assert market.short_rule("XKRX", "005930.KS", day).borrow_rate == 0.03


def test_an_unknown_board_is_not_taken_for_one_without_rules() -> None:
    with pytest.raises(UnknownName, match=r"unknown board 'stra'; did you mean 'star'\?"):
        MARKET.limit_fraction("XSHG", "stra", date(2024, 1, 2))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("XTAI,*,0,1,no,,,x", "line 2: buy_minimum '0' is not allowed"),
        ("XTAI,*,1.5,1,no,,,x", "a whole number"),
        ("XTAI,*,1,1,maybe,,,x", "one of yes, no"),
        ("XTAI,*,1,1,no,2024-13-01,,x", "a day as YYYY-MM-DD"),
        ("XTAI,*,1,1,no,2024-02-01,2024-01-01,x", "not before valid_from 2024-02-01"),
        ("XTAI,*,1,1,no,,", "8 cells are needed"),
        ("XTAI,*,1,1,no,,,x\nXTAI,*,2,2,no,2024-01-01,,y", "hold on 2024-01-01"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, cells: str, message: str) -> None:
    own = tmp_path / "lots.csv"
    own.write_text(f"{','.join(LOT_COLUMNS)}\n{cells}\n")
    with pytest.raises(UnreadableInput, match=message):
        load_market_rules(lots=own)


@pytest.mark.parametrize("content", [b"", b"venue,board\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    own = tmp_path / "lots.csv"
    own.write_bytes(content)
    with pytest.raises(UnreadableInput, match=r"the header must be|is not UTF-8"):
        load_market_rules(lots=own)
    with pytest.raises(UnreadableInput, match="directory"):
        load_market_rules(lots=tmp_path)
