"""Fills, cash and reasons of single auctions; each expected number is worked from the rules in its test."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from chipwire.data.fees import FeeRates, load_fees
from chipwire.engine import costs, rules
from chipwire.engine.auction import AuctionBook, AuctionResult, AuctionTerms, settle
from chipwire.engine.rules import Reason

DAY = date(2024, 1, 2)
TABLE = load_fees()
FREE = FeeRates((), covered=True)
SHANGHAI = TABLE.rates("XSHG", "stock", DAY)
NEW_YORK = TABLE.rates("XNYS", "stock", DAY)


def book(price: Any, **changes: Any) -> AuctionBook:
    """Return a book of freely traded single shares in the base currency, with 10,000 of cash."""
    zero = np.zeros(np.shape(price))
    plain = AuctionBook(
        held=zero,
        bought_today=zero,
        auction_price=price,
        volume=zero + 1e9,
        known_price=price,
        limit_down=zero - np.inf,
        limit_up=zero + np.inf,
        tick=zero + 0.01,
        fx=zero + 1.0,
        buy_minimum=zero + 1,
        buy_step=zero + 1,
        share_lock=False,
        short_allowed=True,
        rates=FREE,
        cash=10_000.0,
    )
    return replace(plain, **changes)


def reasons(result: AuctionResult) -> list[Reason]:
    return [Reason(code) for code in result.reason.reshape(-1)]


def test_a_purchase_pays_price_slippage_and_fees_in_base_currency() -> None:
    result = settle(
        book([50.0], fx=[0.14], rates=SHANGHAI, buy_minimum=[100], buy_step=[100]), [200], AuctionTerms(10.0)
    )
    value = 200 * 50.05
    fees = max(value * 0.00025, 5.0) + value * 0.00001
    assert result.filled.tolist() == [200]
    assert result.price[0] == pytest.approx(50.05)
    assert result.fees.total[0] == pytest.approx(fees)
    assert result.slippage[0] == pytest.approx(200 * 0.05)
    assert result.cash_change[0] == pytest.approx(-(value + fees) * 0.14)
    assert result.cash == pytest.approx(10_000 - (value + fees) * 0.14)
    assert reasons(result) == [Reason.NONE]


def test_a_sale_adds_its_proceeds_net_of_duty() -> None:
    result = settle(book([50.0], held=[200], cash=0.0, rates=SHANGHAI), [-200])
    assert result.cash == pytest.approx(10_000 - 5.0 - 10_000 * 0.0005 - 10_000 * 0.00001)


@pytest.mark.parametrize(
    ("changes", "order", "reason"),
    [
        ({"auction_price": [math.nan]}, 10, Reason.NO_BAR),
        ({"volume": [0.0]}, 10, Reason.SUSPENDED),
        ({"limit_up": [50.0]}, 10, Reason.LIMIT_UP),
        ({"limit_down": [50.0], "held": [10]}, -10, Reason.LIMIT_DOWN),
        ({"short_allowed": False}, -10, Reason.SHORT_FORBIDDEN),
        ({"share_lock": True, "held": [10], "bought_today": [10]}, -10, Reason.LOCKED_T1),
        ({"volume": [5.0]}, 10, Reason.PARTICIPATION),
        ({"buy_minimum": [200]}, 10, Reason.LOT),
        ({"cash": 49.0}, 10, Reason.CASH),
        ({"cash": 10_000.0, "short_elsewhere": 9_960.0}, 10, Reason.CASH),
        ({"cash": 0.0, "held": [200], "long_elsewhere": 0.0}, -500, Reason.LEVERAGE),
        ({"fx": [math.nan]}, 10, Reason.NO_FX),
    ],
)
def test_what_does_not_fill_has_its_reason(changes: dict[str, Any], order: int, reason: Reason) -> None:
    result = settle(book([50.0], **changes), [order], AuctionTerms(max_participation=0.1))
    assert reasons(result) == [reason]
    if reason is not Reason.LEVERAGE:
        assert result.filled.tolist() == [0]
        assert math.isnan(result.price[0])
        assert result.cash == changes.get("cash", 10_000.0)
        assert result.fees.total.tolist() == result.slippage.tolist() == [0.0]


def test_limit_up_on_2024_10_08_cannot_be_bought_but_sold() -> None:
    down, up = rules.limit_prices([59.99, 59.99], 0.2, 0.01)
    held = [0, 500]
    result = settle(book([71.99, 71.99], limit_down=down, limit_up=up, held=held), [200, -500])
    assert result.filled.tolist() == [0, -500]
    assert reasons(result) == [Reason.LIMIT_UP, Reason.NONE]


def test_locked_shares_stay_and_the_rest_is_sold_odd_part_included() -> None:
    changes = {
        "held": [350],
        "bought_today": [200],
        "share_lock": True,
        "buy_minimum": [100],
        "buy_step": [100],
    }
    result = settle(book([10.0], **changes), [-350])
    assert result.filled.tolist() == [-150]  # 100 and the odd 50
    assert reasons(result) == [Reason.LOCKED_T1]


def test_a_forbidden_short_still_lets_the_holding_go() -> None:
    result = settle(book([10.0], held=[70], short_allowed=False), [-100])
    assert result.filled.tolist() == [-70]
    assert reasons(result) == [Reason.SHORT_FORBIDDEN]


def test_participation_is_cut_to_lots() -> None:
    # 0.1 x 2,990 is 299: two lots of 100
    changes = {"volume": [2_990.0], "buy_minimum": [100], "buy_step": [100]}
    result = settle(book([1.0], **changes), [1_000], AuctionTerms(max_participation=0.1))
    assert result.filled.tolist() == [200]
    assert reasons(result) == [Reason.PARTICIPATION]


def test_unknown_volume_caps_nothing() -> None:
    result = settle(book([1.0], volume=[math.nan]), [1_000], AuctionTerms(1.0, 0.5, 0.1))
    assert result.filled.tolist() == [1_000]
    assert result.price[0] == pytest.approx(1.0001)


def test_impact_follows_the_shares_that_filled() -> None:
    terms = AuctionTerms(impact_coefficient=0.1, max_participation=0.04)
    result = settle(book([10.0], volume=[10_000.0]), [900], terms)
    assert result.filled.tolist() == [400]
    assert result.price[0] == pytest.approx(10.0 * (1 + 0.1 * math.sqrt(0.04)))


def test_sales_pay_for_purchases_of_the_same_auction() -> None:
    result = settle(book([100.0, 50.0], held=[60, 0], cash=0.0), [-60, 120])
    assert result.filled.tolist() == [-60, 120]
    assert result.cash == 0.0


def test_short_cash_scales_all_purchases_by_one_factor() -> None:
    # 10,000 for 15,000 of orders without fees: two thirds of each
    result = settle(book([100.0, 50.0, 25.0]), [60, 90, 180])
    assert result.filled.tolist() == [40, 60, 120]
    assert result.cash == 0.0
    assert float(result.cash_factor) == pytest.approx(2 / 3)
    assert reasons(result) == [Reason.CASH] * 3


def brute_force(prices: list[float], orders: list[int], step: int, cash: float, rates: FeeRates) -> list[int]:
    """Return the orders at the largest common factor that fits, of all at which one gains a lot."""
    factors = sorted({k * step / order for order in orders for k in range(order // step + 1)})
    best = [0] * len(orders)
    for factor in factors:
        shares = [math.floor(factor * order / step + 1e-9) * step for order in orders]
        fees = costs.fees(rates, shares, prices).total
        if sum(s * p for s, p in zip(shares, prices, strict=True)) + float(fees.sum()) <= cash:
            best = shares
    return best


@pytest.mark.parametrize("cash", [100.0, 1_005.0, 4_444.0, 9_999.0, 12_345.0, 23_456.0])
def test_the_common_factor_is_the_largest_that_fits_after_fees_and_lots(cash: float) -> None:
    prices, orders = [9.87, 21.03, 3.11], [900, 700, 2_500]
    lots = {"buy_minimum": [100] * 3, "buy_step": [100] * 3}
    result = settle(book(prices, cash=cash, rates=SHANGHAI, **lots), orders)
    assert result.filled.tolist() == brute_force(prices, orders, 100, cash, SHANGHAI)
    assert result.cash >= 0.0


def test_the_factor_is_exact_for_large_orders_of_single_shares() -> None:
    prices, orders = [98.7, 21.03, 3.11], [900, 1_700, 12_500]
    result = settle(book(prices, cash=77_777.0, rates=SHANGHAI), orders)
    assert result.filled.tolist() == brute_force(prices, orders, 1, 77_777.0, SHANGHAI)


def test_the_least_fee_is_part_of_what_must_fit() -> None:
    # 1,000 of shares and 5 of commission (and 0.01 of transfer fee) do not fit into 1,004
    lots = {"buy_minimum": [100], "buy_step": [100]}
    assert settle(book([10.0], cash=1_004.0, rates=SHANGHAI, **lots), [100]).filled.tolist() == [0]
    assert settle(book([10.0], cash=1_005.01, rates=SHANGHAI, **lots), [100]).filled.tolist() == [100]


def test_a_scaled_star_order_under_200_is_dropped() -> None:
    result = settle(book([100.0], buy_minimum=[200], buy_step=[1]), [300])
    assert result.filled.tolist() == [0]  # 100 are affordable
    result = settle(book([100.0], cash=25_050.0, buy_minimum=[200], buy_step=[1]), [300])
    assert result.filled.tolist() == [250]


def test_negative_cash_buys_nothing_and_sales_go_through() -> None:
    result = settle(book([10.0, 10.0], held=[0, 5], cash=-100.0), [10, -5])
    assert result.filled.tolist() == [0, -5]
    assert result.cash == -50.0


def test_short_proceeds_are_collateral_and_not_buying_power() -> None:
    # cash 15,000 of which 5,000 stand against the short; leverage 2 leaves the buying power as the bound
    terms = AuctionTerms(max_leverage=2.0)
    result = settle(book([10.0, 20.0], held=[-500, 0], cash=15_000.0), [0, 700], terms)
    assert result.filled.tolist() == [0, 500]
    assert reasons(result) == [Reason.NONE, Reason.CASH]


def test_a_short_that_has_risen_ties_up_more() -> None:
    terms = AuctionTerms(max_leverage=2.0)
    # sold 500 at 10; at 12 they stand for 6,000 of the 15,000
    result = settle(book([12.0, 20.0], held=[-500, 0], cash=15_000.0), [0, 700], terms)
    assert result.filled.tolist() == [0, 450]


def test_a_short_is_covered_before_anything_is_opened() -> None:
    result = settle(book([10.0, 20.0], held=[-500, 0], cash=15_000.0), [500, 700])
    assert result.filled.tolist() == [500, 500]
    assert result.cash == 0.0


def test_covers_alone_are_scaled_where_cash_does_not_suffice() -> None:
    result = settle(book([10.0, 30.0], held=[-100, -100], cash=2_000.0), [100, 100])
    assert result.filled.tolist() == [50, 50]
    assert reasons(result) == [Reason.CASH] * 2


def test_no_way_through_zero_before_the_short_is_covered() -> None:
    result = settle(book([10.0], held=[-100], cash=500.0), [300])
    assert result.filled.tolist() == [50]
    result = settle(book([10.0], held=[-100], cash=1_500.0), [300])
    assert result.filled.tolist() == [150]


def test_a_cover_that_was_cut_opens_nothing_although_buying_power_is_left() -> None:
    # Covering both shorts costs 330,000 and 1,100 with 10% of slippage, more than there is. A factor below 1
    # covers no lot of the first and 999 of the second; 313,901.10 less collateral of 300,001 would buy 2,000.
    result = settle(
        book([300.0, 1.0], held=[-1_000, -1_000], cash=315_000.0, buy_minimum=[1_000, 1], buy_step=[1_000, 1]),
        [1_000, 3_000],
        AuctionTerms(slippage_bps=1_000.0, max_leverage=1_000.0),
    )
    assert result.filled.tolist() == [0, 999]


def test_the_costs_of_a_short_lessen_what_can_be_bought() -> None:
    # 1,000 of shares, 5 of commission, 0.01 of transfer fee: enough alone, not with another 5 for the short
    lots = {"buy_minimum": [100, 100], "buy_step": [100, 100]}
    pair = book([10.0, 10.0], cash=1_005.01, rates=SHANGHAI, **lots)
    terms = AuctionTerms(max_leverage=10.0)
    assert settle(pair, [100, 0], terms).filled.tolist() == [100, 0]
    assert settle(pair, [100, -100], terms).filled.tolist() == [0, -100]


def test_an_odd_short_is_covered_as_a_whole_or_in_lots() -> None:
    lots = {"buy_minimum": [100], "buy_step": [100], "held": [-250]}
    assert settle(book([10.0], cash=2_500.0, **lots), [250]).filled.tolist() == [250]
    assert settle(book([10.0], cash=2_499.0, **lots), [250]).filled.tolist() == [200]


def test_gross_leverage_scales_shorts_and_purchases_alike() -> None:
    # equity 10,000, orders for 8,000 long and 12,000 short: half of each
    result = settle(book([10.0, 20.0]), [800, -600])
    assert result.filled.tolist() == [400, -300]
    assert float(result.leverage_factor) == pytest.approx(0.5)
    assert reasons(result) == [Reason.LEVERAGE] * 2


def test_leverage_that_is_used_up_to_the_cent_is_not_over() -> None:
    # 5,800 x 20.94 + 1,200 x 1.01 is 122,664.00, in binary a little more
    result = settle(book([20.94, 1.01], cash=122_664.0), [5_800, -1_200])
    assert result.filled.tolist() == [5_800, -1_200]


def test_a_run_may_allow_more_leverage() -> None:
    result = settle(book([10.0, 20.0]), [800, -600], AuctionTerms(max_leverage=2.0))
    assert result.filled.tolist() == [800, -600]


def test_costs_count_against_leverage() -> None:
    # equity after slippage of 1%: a short of value s leaves 10,000 - 0.01 s, so s is at most 10,000 / 1.01
    result = settle(book([10.0]), [-1_000], AuctionTerms(slippage_bps=100.0))
    assert result.filled.tolist() == [-math.floor(10_000 / 1.01 / 10)]


def test_leverage_never_hinders_closing() -> None:
    # 30,000 long and 25,000 short on 5,000 of equity: far over, yet both may be reduced
    result = settle(book([10.0, 10.0], held=[3_000, -2_500], cash=0.0), [-1_000, 500])
    assert result.filled.tolist() == [-1_000, 500]


def test_a_gap_after_the_decision_does_not_count_as_leverage() -> None:
    # Fully invested at the known prices; all have risen since, and the sale pays for the purchase.
    result = settle(
        book([55.0, 110.0, 33.0], known_price=[50.0, 100.0, 30.0], held=[200, 0, 0], cash=0.0), [-100, 50, 0]
    )
    assert result.filled.tolist() == [-100, 50, 0]


def test_a_holding_without_a_bar_is_marked_at_its_last_price() -> None:
    prices = [math.nan, 10.0]
    result = settle(book(prices, known_price=[50.0, 10.0], held=[100, 0], cash=5_000.0), [0, -1_200])
    assert result.filled.tolist() == [0, -500]  # 5,000 of gross against equity of 10,000


def test_a_short_without_any_price_opens_nothing() -> None:
    result = settle(book([math.nan, 10.0], held=[-100, 0]), [0, 100])
    assert result.filled.tolist() == [0, 0]


def test_no_order_is_no_order() -> None:
    result = settle(book([10.0, math.nan], cash=5.0), [math.nan, 0.0])
    assert result.filled.tolist() == [0, 0]
    assert reasons(result) == [Reason.NONE] * 2
    assert result.cash == 5.0


def test_configurations_side_by_side_settle_as_alone() -> None:
    prices = np.array([98.7, 21.03, 3.11])
    orders = np.array([[90, 170, 1_250], [0, 0, 0], [-50, 400, -3_000], [10, -10, 10]])
    cash = np.array([5_000.0, 0.0, 777.0, 100_000.0])
    held = np.array([[0, 0, 0], [10, 0, 0], [50, -100, 0], [-10, 10, -5]])
    terms = AuctionTerms(np.array([[0.0], [5.0], [10.0], [0.0]]), max_leverage=np.array([1.0, 1.0, 1.5, 0.01]))
    together = settle(book(prices, held=held, cash=cash, rates=NEW_YORK), orders, terms)
    for i in range(4):
        alone_terms = AuctionTerms(terms.slippage_bps[i], max_leverage=terms.max_leverage[i])  # type: ignore[index]
        alone = settle(book(prices, held=held[i], cash=cash[i], rates=NEW_YORK), orders[i], alone_terms)
        for name in ("filled", "price", "cash_change", "reason", "cash", "cash_factor", "leverage_factor"):
            np.testing.assert_array_equal(getattr(together, name)[i], getattr(alone, name))


def test_what_is_passed_in_is_not_changed() -> None:
    orders = np.array([600.0, 900.0])
    given = book(np.array([100.0, 50.0]))
    settle(given, orders)
    assert orders.tolist() == [600.0, 900.0]
    assert np.asarray(given.held).tolist() == [0.0, 0.0]


def test_an_auction_without_instruments_settles() -> None:
    result = settle(book(np.zeros(0)), np.zeros(0))
    assert result.filled.shape == (0,)
    assert result.cash == 10_000.0
