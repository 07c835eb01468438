"""What must hold for every auction, whatever is held, ordered, priced and allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine import costs, rules
from chipwire.engine.auction import AuctionBook, AuctionResult, AuctionTerms, settle
from chipwire.engine.rules import Reason

TABLE, MARKET = load_fees(), load_market_rules()
DAY = date(2023, 6, 1)
BOARDS = (
    ("XSHG", "main", 100),
    ("XSHG", "star", 200),
    ("XSHG", "star-etf", 100),
    ("XHKG", "main", 500),
    ("XNYS", "main", 1),
)
MAX_INSTRUMENTS = 5
PROPERTY = settings(max_examples=150, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Case:
    """One auction's input."""

    book: AuctionBook
    orders: np.ndarray
    terms: AuctionTerms

    def settled(self) -> AuctionResult:
        return settle(self.book, self.orders, self.terms)


@st.composite
def cases(draw: st.DrawFn, leading: tuple[int, ...] = ()) -> Case:
    n = draw(st.integers(1, MAX_INSTRUMENTS))
    venue, board, lot = draw(st.sampled_from(BOARDS))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    shape = (*leading, n)
    lots = MARKET.lot_rule(venue, board, lot, DAY)
    previous = np.round(random.uniform(0.5, 300.0, shape), 2)
    price = np.round(previous * random.uniform(0.75, 1.25, shape), 2)
    price[random.random(shape) < 0.1] = np.nan
    fraction = draw(st.sampled_from([np.nan, 0.1, 0.2]))
    down, up = rules.limit_prices(previous, fraction, 0.01)
    held = random.integers(-4, 8, shape) * lot + random.choice([0, 0, 37], shape)
    if venue == "XSHG":
        held = np.maximum(held, 0)
    book = AuctionBook(
        held=held,
        bought_today=np.minimum(np.maximum(held, 0), random.integers(0, 4, shape) * lot),
        auction_price=np.where(price > 0, np.clip(price, down, up), np.nan),
        volume=random.choice([0.0, 1e3, 2e4, 1e8, np.nan], shape),
        known_price=previous,
        limit_down=down,
        limit_up=up,
        tick=0.01,
        fx=draw(st.sampled_from([1.0, 0.14, 0.128])),
        buy_minimum=lots.buy_minimum,
        buy_step=lots.buy_step,
        share_lock=lots.share_lock,
        short_allowed=(venue != "XSHG") & (random.random(shape) < 0.8),
        rates=TABLE.rates(venue, "etf" if board.endswith("etf") else "stock", DAY),
        cash=random.choice([-500.0, 0.0, 3e3, 1e5, 1e7], leading),
        long_elsewhere=random.choice([0.0, 1e5], leading),
        short_elsewhere=random.choice([0.0, 2e4], leading),
    )
    terms = AuctionTerms(
        slippage_bps=draw(st.sampled_from([0.0, 5.0, 50.0])),
        impact_coefficient=draw(st.sampled_from([0.0, 0.1])),
        max_participation=draw(st.sampled_from([0.05, 1.0, np.inf])),
        max_leverage=draw(st.sampled_from([0.5, 1.0, 2.0])),
    )
    orders = random.integers(-12, 20, shape) * lot + random.choice([0, 0, 0, 11], shape)
    return Case(book, orders.astype(float), terms)


@PROPERTY
@given(cases())
def test_fills_lie_between_nothing_and_the_order(case: Case) -> None:
    filled = case.settled().filled
    assert np.all(np.abs(filled) <= np.abs(case.orders))
    assert np.all(filled * case.orders >= 0.0)


@PROPERTY
@given(cases())
def test_a_reason_exactly_where_an_order_is_not_filled_in_full(case: Case) -> None:
    result = case.settled()
    np.testing.assert_array_equal(result.reason != Reason.NONE, result.filled != case.orders)


@PROPERTY
@given(cases())
def test_opening_purchases_leave_cash_and_buying_power(case: Case) -> None:
    result, held = case.settled(), np.asarray(case.book.held)
    after = held + result.filled
    opened = (result.filled > 0.0) & (after > np.maximum(held, 0.0))
    mark = np.where(np.isnan(case.book.auction_price), case.book.known_price, case.book.auction_price)
    shorts = float(np.sum(np.maximum(-after, 0.0) * mark * case.book.fx)) + float(case.book.short_elsewhere)
    if opened.any():
        assert result.cash >= 0.0
        assert result.cash - shorts >= -1e-9 * abs(result.cash)  # the order of this sum is not the engine's


@PROPERTY
@given(cases())
def test_covers_alone_never_make_cash_negative(case: Case) -> None:
    held = np.minimum(np.asarray(case.book.held), 0)
    result = settle(replace(case.book, held=held, bought_today=0), np.abs(case.orders), case.terms)
    if (result.filled > 0.0).any():
        assert result.cash >= 0.0


@PROPERTY
@given(cases())
def test_gross_leverage_after_an_opening_is_within_what_is_allowed(case: Case) -> None:
    result, held = case.settled(), np.asarray(case.book.held)
    after = held + result.filled
    mark = np.where(np.isnan(case.book.auction_price), case.book.known_price, case.book.auction_price)
    values = after * mark * case.book.fx
    elsewhere = float(case.book.long_elsewhere), float(case.book.short_elsewhere)
    equity = result.cash + values.sum() + elsewhere[0] - elsewhere[1]
    if np.any((np.abs(after) > np.abs(held)) | (after * held < 0.0)):
        assert np.abs(values).sum() + sum(elsewhere) <= case.terms.max_leverage * equity + 1e-8 * abs(equity)


@PROPERTY
@given(cases())
def test_every_fill_is_a_number_of_shares_that_trades(case: Case) -> None:
    filled, held = case.settled().filled, np.asarray(case.book.held, float)
    minimum, step = float(case.book.buy_minimum), float(case.book.buy_step)
    closable = np.where(held > 0, rules.sellable(held, case.book.bought_today, case.book.share_lock), -held)
    for shares, position, free in zip(filled, held, closable, strict=True):
        closing = min(abs(shares), abs(position)) if shares * position < 0 else 0.0
        opening = abs(shares) - closing
        assert opening == 0.0 or (opening >= minimum and opening % step == 0.0)
        whole = closing in (free, free % step)
        assert closing == 0.0 or whole or (closing >= minimum and closing % step in (0.0, free % step))


@PROPERTY
@given(cases())
def test_what_was_bought_today_stays_where_shares_are_locked(case: Case) -> None:
    filled = case.settled().filled
    if case.book.share_lock:
        kept = np.asarray(case.book.held) + np.minimum(filled, 0.0)
        assert np.all(kept >= np.asarray(case.book.bought_today))


@PROPERTY
@given(cases())
def test_cash_changes_by_what_was_paid(case: Case) -> None:
    result = case.settled()
    traded = result.filled != 0.0
    paid = result.filled * result.price * case.book.fx + result.fees.total * case.book.fx
    np.testing.assert_allclose(result.cash_change[traded], -paid[traded], rtol=1e-12, atol=1e-12)
    assert np.all(result.cash_change[~traded] == 0.0)
    assert np.all(result.fees.total[~traded] == 0.0)
    assert result.cash == pytest.approx(float(case.book.cash) + result.cash_change.sum(), rel=1e-12, abs=1e-6)


@PROPERTY
@given(cases())
def test_slippage_is_a_cost_and_stays_within_the_limit(case: Case) -> None:
    result = case.settled()
    bought, sold = result.filled > 0.0, result.filled < 0.0
    price, up, down = (
        np.broadcast_to(a, result.filled.shape)
        for a in (case.book.auction_price, case.book.limit_up, case.book.limit_down)
    )
    assert np.all(result.price[bought] >= price[bought])
    assert np.all(result.price[bought] <= up[bought])
    assert np.all(result.price[sold] <= price[sold])
    assert np.all(result.price[sold] >= down[sold])
    assert np.all(result.slippage >= 0.0)


@PROPERTY
@given(cases())
def test_participation_holds(case: Case) -> None:
    volume = np.asarray(case.book.volume)
    known = ~np.isnan(volume)
    filled = np.abs(case.settled().filled)[known]
    share = float(case.terms.max_participation)
    assert np.all(filled <= (volume[known] * share if np.isfinite(share) else np.inf))


@PROPERTY
@given(cases(leading=(2, 3)))
def test_configurations_do_not_know_of_each_other(case: Case) -> None:
    together = case.settled()
    whole = case.orders.shape
    for index in np.ndindex(2, 3):
        arrays = {
            name: np.broadcast_to(getattr(case.book, name), whole)[index]
            for name in (
                "held",
                "bought_today",
                "auction_price",
                "volume",
                "known_price",
                "limit_down",
                "limit_up",
            )
        }
        account = {
            name: np.asarray(getattr(case.book, name))[index] for name in ("cash", "long_elsewhere", "short_elsewhere")
        }
        allowed = np.broadcast_to(case.book.short_allowed, whole)[index]
        book = replace(case.book, **arrays, **account, short_allowed=allowed)
        alone = settle(book, case.orders[index], case.terms)
        for name in ("filled", "price", "slippage", "cash_change", "reason", "cash", "cash_factor"):
            np.testing.assert_array_equal(getattr(together, name)[index], getattr(alone, name))


@PROPERTY
@given(cases())
def test_an_instrument_without_an_order_changes_no_bit(case: Case) -> None:
    arrays = {
        name: np.append(np.broadcast_to(getattr(case.book, name), case.orders.shape), extra)
        for name, extra in {
            "held": 0.0,
            "bought_today": 0.0,
            "auction_price": 7.77,
            "volume": 1e6,
            "known_price": 7.7,
            "limit_down": -np.inf,
            "limit_up": np.inf,
            "short_allowed": True,
        }.items()
    }
    plain, wider = (
        case.settled(),
        settle(replace(case.book, **arrays), np.append(case.orders, 0.0), case.terms),
    )
    np.testing.assert_array_equal(wider.filled[:-1], plain.filled)
    np.testing.assert_array_equal(wider.cash_change[:-1], plain.cash_change)
    assert wider.cash == plain.cash
    assert wider.filled[-1] == 0.0


@PROPERTY
@given(cases())
def test_the_same_input_gives_the_same_bytes(case: Case) -> None:
    first, second = case.settled(), case.settled()
    assert first.filled.tobytes() == second.filled.tobytes()
    assert first.cash_change.tobytes() == second.cash_change.tobytes()


@PROPERTY
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 40_000)), min_size=1, max_size=4),
    st.integers(0, 50_000_00),
)
def test_the_common_factor_is_the_largest_that_fits(legs: list[tuple[int, int]], cents: int) -> None:
    """Against a search over every factor at which an order gains a lot."""
    orders, prices = [100 * lots for lots, _ in legs], [price / 100 for _, price in legs]
    cash, none = cents / 100, np.zeros(len(legs))
    rates = TABLE.rates("XSHG", "stock", DAY)

    def cost(shares: list[int]) -> float:
        fees = costs.fees(rates, shares, prices)
        return float(rules.ordered_sum(-(np.array(shares) * prices) - fees.total)) * -1.0

    best = [0] * len(orders)
    for k in sorted({(lots, order) for order in orders for lots in range(order // 100 + 1)}, key=lambda k: k[0] / k[1]):
        shares = [order * k[0] // k[1] * 100 for order in orders]  # in whole numbers: floor(factor x order / 100) lots
        if cost(shares) <= cash:
            best = shares
    book = AuctionBook(
        none, none, prices, none + 1e9, prices, -np.inf, np.inf, 0.01, 1.0, 100, 100, True, False, rates, cash
    )
    assert settle(book, orders).filled.tolist() == best


@PROPERTY
@given(
    st.integers(-5_000, 5_000),
    st.integers(-3_000, 3_000),
    st.sampled_from([(100, 100), (200, 1), (500, 500), (1, 1)]),
)
def test_orders_can_be_traded_and_do_not_overshoot(wanted: int, held: int, lots: tuple[int, int]) -> None:
    order = float(rules.order_shares(wanted, held, *lots))
    assert order == rules.tradable(order, held, held, *lots)
    grid = int(wanted / lots[1]) * lots[1]  # toward zero
    assert abs(order) <= abs(grid - held)
    assert order * (grid - held) >= 0
    if wanted == 0:
        assert order == -held


@PROPERTY
@given(st.integers(1, 10**7), st.sampled_from([1, 2, 5, 10]), st.sampled_from([100, 1000]))
def test_rounding_is_the_decimal_rule(thousandths: int, part: int, per_one: int) -> None:
    """Half up in whole numbers, against the float rule."""
    tick = part / per_one
    ticks = (2 * thousandths * per_one + 1000 * part) // (2 * 1000 * part)
    assert rules.round_half_up(thousandths / 1000, tick) == ticks * part / per_one
