"""Bars finer than a day on both engines: the same rows on random markets, sweeps and checks on them."""

from __future__ import annotations

import contextlib
from collections import Counter

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chipwire.data.bar_grid import intraday_grid
from chipwire.data.calendars import auctions
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine.columnar import run_columnar
from chipwire.engine.event import run_event_driven
from chipwire.engine.targets import DecideTargets

warehouse, world, Script = worlds.warehouse, worlds.world, worlds.Script

PRICES = {"NVDA": 100.0, "AMD": 60.0, "688981.SS": 50.0, "510300.SS": 4.0, "0981.HK": 16.0, "0700.HK": 300.0}
START, END = "2024-02-05", "2024-02-23"  # with the holidays of Shanghai and Hong Kong in it, and a half-day
FACTS = load_fees(), load_market_rules()


def settings(**changes):
    return worlds.settings(START, END, **{"interval": "1h"} | changes)


def rough_hours(world, seed, symbols=tuple(PRICES), end=END):
    """Random walks by the hour with missing bars, halts of days, dead and thin bars, limit days, actions, moving FX."""
    rng = np.random.default_rng(seed)
    for symbol in symbols:
        mic = worlds.UNIVERSE.instrument(symbol).venue
        grid = intraday_grid(auctions(mic, worlds.day("2024-01-30"), worlds.day(end)), "1h", by_clock=False)
        days = np.unique(grid.session)
        steps = rng.normal(0.0, 0.02, (len(grid), 2))
        if symbol.endswith(".SS"):  # some bars begin at the day's limit or beyond
            fraction = 0.2 if symbol.startswith("688") else 0.1
            jumps = rng.random(len(grid)) < 0.05
            steps[jumps, 0] = np.log1p(rng.choice([-fraction, fraction], jumps.sum()))
        path = np.round(PRICES[symbol] * np.exp(np.cumsum(steps.ravel())).reshape(-1, 2), 2)
        halted = rng.choice(days[4:], 2, replace=False)
        there = (rng.random(len(grid)) > 0.05) & ~np.isin(grid.session, halted)
        volume = rng.choice([0.0, 20_000.0, 1e6, 1e9], len(grid), p=[0.05, 0.15, 0.4, 0.4])
        at = [str(start)[:16] for start in grid.starts_at[there]]
        bars = dict(zip(at, map(tuple, path[there].tolist()), strict=True))
        world.finer(symbol, bars, volume=volume[there])
        for day in rng.choice(days[4:], 2, replace=False):
            kind = str(rng.choice(["split", "dividend"]))
            value = float(rng.choice([0.3, 1.5, 10.0])) if kind == "split" else PRICES[symbol] / 100
            world.action(symbol, str(day), kind, value)
    dates = pd.date_range("2024-01-20", end).astype(str)
    for currency, rate in (("CNY", 7.1), ("HKD", 7.8)):
        world.fx(currency, {d: rate * float(np.exp(rng.normal(0, 0.01))) for d in dates})
    return world


def random_weights(seed, low, gross=1.0):
    def make():
        rng = np.random.default_rng(seed)

        def plan(view):
            if rng.random() < 0.3:
                return None
            names = [name for name in view.instruments if rng.random() > 0.2]
            raw = rng.uniform(low, 1.0, len(names)) * (rng.random(len(names)) > 0.5)
            total = max(1.0, np.abs(raw).sum()) / gross
            return dict(zip(names, raw / total, strict=True))

        return Script(plan)

    return make


def both(market, given, make):
    issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
    account = run_event_driven(market, given, make(), None, issuers, *FACTS)
    targets = DecideTargets(market, [make()], given, None, issuers)
    return account, run_columnar(market, given, targets, *FACTS, keep="ledger")


def same(account, block):
    """Assert that both wrote down the same rows; numbers within 1e-9 (equity is the same bits)."""
    (ledger,) = block.ledgers
    for name in ("fills", "unfilled", "targets", "positions", "equity"):
        expected, found = getattr(account.ledger, name), getattr(ledger, name)
        assert len(found) == len(expected), name
        for left, right in zip(found, expected, strict=True):
            for field, value in vars(right).items():
                got = vars(left)[field]
                near = pytest.approx(value, rel=1e-9, abs=1e-6) if isinstance(value, float) else value
                assert got == near, (name, field, left, right)
    assert block.equity[:, 0].tolist() == [row.equity for row in account.ledger.equity]  # to the last bit


def keeps_the_rules(market, given, ledger):
    """Assert what holds whatever was asked for, from the bars and the written rows alone."""
    bars = {}
    for venue in market.venues:
        for column, instrument in enumerate(venue.instruments):
            for row in range(venue.first, len(venue.session)):
                bars[instrument.symbol, venue.open_at[row].item()] = venue.open[row, column], venue.volume[row, column]
    held, bought, lots = Counter(), Counter(), {"510300.SS": 100, "0981.HK": 500, "0700.HK": 100}
    for fill in ledger.fills:
        name, session = fill.instrument, (fill.instrument, fill.session)
        if fill.auction == "open":
            price, volume = bars[name, fill.auction_at.replace(tzinfo=None)]
            assert fill.auction_price == price
            assert abs(fill.shares) <= given.participation * volume
            if fill.shares > 0:
                assert held[name] < 0 or fill.shares % lots.get(name, 1) == 0
                bought[session] += fill.shares
            elif name.endswith(".SS"):
                assert -fill.shares <= held[name] - bought[session]
        held[name] += fill.shares
        assert held[name] >= 0 or not name.endswith(".SS")
    values = Counter()
    for row in ledger.positions:
        values[row.day] += row.shares * row.price * row.fx
    shorts = {row.day for row in ledger.positions if row.shares < 0}
    for row in ledger.equity:
        assert row.equity == pytest.approx(row.cash + values[row.day], rel=1e-9)
        assert row.cash >= -1e-6 or shorts


@pytest.mark.parametrize(
    ("seed", "low", "multiple", "symbols"),
    [(1, -0.6, 1.0, tuple(PRICES)), (2, 0.0, 2.0, tuple(PRICES)), (3, 0.0, 1.0, ("688981.SS", "510300.SS"))],
)
def test_rough_hours(world, seed, low, multiple, symbols):
    given = settings(slippage_bps=5.0, impact=0.05 * (seed % 2), participation=0.1, fee_multiple=multiple,
                     band=0.01 * (seed > 1), currency="CNY")  # fmt: skip
    account, block = both(rough_hours(world, seed, symbols).market(given), given, random_weights(seed, low))
    reasons = Counter(row.reason for row in account.ledger.unfilled)
    assert len(account.ledger.fills) > 10
    assert reasons.keys() >= {"no_bar", "participation", "locked_t1"}
    same(account, block)


@drawn(st.data())
@hypothesis_settings(max_examples=8)
def test_random_hours(warehouse, data):
    """Halts, locks, limits, splits, holidays and cash squeezes as they come."""
    seed = data.draw(st.integers(0, 10_000))
    chosen = tuple(data.draw(st.lists(st.sampled_from(sorted(PRICES)), min_size=2, max_size=4, unique=True)))
    leverage = data.draw(st.sampled_from([0.5, 1.0, 1.5]))
    given = settings(
        instruments=chosen, capital=data.draw(st.sampled_from([5e3, 1e6, 1e9])), leverage=leverage,
        participation=data.draw(st.sampled_from([0.01, 1.0])), band=data.draw(st.sampled_from([0.0, 0.02])),
        slippage_bps=data.draw(st.sampled_from([0.0, 30.0])), fee_multiple=data.draw(st.sampled_from([0.0, 1.0, 3.0])),
    )  # fmt: skip
    make = random_weights(seed, data.draw(st.sampled_from([-0.6, 0.0])), leverage)
    with contextlib.suppress(worlds._Undo), warehouse.transaction():
        market = rough_hours(worlds.World(warehouse), seed, chosen).market(given)
        raise worlds._Undo
    account, block = both(market, given, make)
    same(account, block)
    keeps_the_rules(market, given, block.ledgers[0])


def test_a_configuration_gets_the_same_bits_alone_and_among_others(world):
    market = rough_hours(world, 5).market(settings())
    issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
    chosen = [
        (settings(slippage_bps=5.0), random_weights(1, 0.0)),
        (settings(capital=30_000.0, fee_multiple=4.0), random_weights(2, 0.0)),
        (settings(participation=0.02, impact=0.1), random_weights(3, -0.5)),
    ]

    def run(some):
        targets = DecideTargets(market, [make() for _, make in some], [given for given, _ in some], None, issuers)
        return run_columnar(market, [given for given, _ in some], targets, *FACTS, keep="ledger")

    together = run(chosen)
    for lane, one in enumerate(chosen):
        alone = run([one])
        assert alone.equity[:, 0].tobytes() == together.equity[:, lane].tobytes()
        assert alone.ledgers[0] == together.ledgers[lane]


# --- each rule where it bites --------------------------------------------------------------------------------


def hourly(world, symbol, start, end, price):
    """Add one-hour bars of one price."""
    calendar = auctions(worlds.UNIVERSE.instrument(symbol).venue, worlds.day(start), worlds.day(end))
    grid = intraday_grid(calendar, "1h", by_clock=False)
    return world.finer(symbol, {str(at)[:16]: price for at in grid.starts_at})


def by_time(**weights):
    """Return a plan of weights by the time of decision in UTC, to the minute: ``dMMDDTHHMM``."""
    return lambda: Script(lambda view: weights.get(view.now.strftime("d%m%dT%H%M")))


def ran(world, make, start, end, **changes):
    """Run on both engines, assert that they agree, and return the columnar ledger."""
    given = worlds.settings(start, end, **{"interval": "1h"} | changes)
    account, block = both(world.market(given), given, make)
    same(account, block)
    return block.ledgers[0]


def test_shares_of_the_session_are_locked_and_those_of_the_day_before_are_not(world):
    hourly(world, "688981.SS", "2024-01-03", "2024-01-05", 50.0)
    # 5,000 on the 3rd; on the 4th 10,000, of which 5,000 of that day stay locked; the rest goes on the 5th.
    make = by_time(d0103T0229={"688981.SS": 0.25}, d0104T0229={"688981.SS": 0.5}, d0104T0559={"688981.SS": 0.0},
                   d0105T0120={"688981.SS": 0.0})  # fmt: skip
    ledger = ran(world, make, "2024-01-03", "2024-01-05", currency="CNY")
    first, second, part, rest = [fill.shares for fill in ledger.fills]
    assert (first, part, rest) == (5_000, -first, -second)
    assert [(row.wanted, row.filled, row.reason) for row in ledger.unfilled] == [(-first - second, -first, "locked_t1")]


def test_a_dead_instrument_is_closed_after_twenty_sessions_and_borrow_comes_once_a_session(world):
    days = world.sessions("NVDA", "2024-01-03", "2024-02-05")
    hourly(world, "NVDA", days[0], days[0], 100.0)
    hourly(world, "AMD", days[0], days[-1], 100.0)
    ledger = ran(world, by_time(d0103T1529={"NVDA": 0.25, "AMD": -0.25}), days[0], days[-1])
    closed = ledger.fills[-1]
    assert (closed.instrument, closed.auction, closed.session.isoformat()) == ("NVDA", "delisting", days[21])
    nights = [(worlds.day(b) - worlds.day(a)).days for a, b in zip(days[:-1], days[1:], strict=True)]
    assert [row.borrow for row in ledger.equity] == pytest.approx([0.0, *(250_000 * 0.005 * n / 365 for n in nights)])


def test_the_first_sessions_of_a_listing_have_no_limit_by_the_bar(world):
    # Hua Hong was listed in Shanghai on 2023-08-07: five sessions without a limit, to the 11th; then 20%.
    days = world.sessions("688347.SS", "2023-08-07", "2023-08-15")
    price = {day: 50.0 * 1.25**number for number, day in enumerate(days)}  # up by 25% at each open
    for day in days:
        hourly(world, "688347.SS", day, day, round(price[day], 2))
    make = by_time(**{f"d{day[5:7]}{day[8:]}T0120": {"688347.SS": 0.1 * n} for n, day in enumerate(days, start=1)})
    ledger = ran(world, make, days[0], days[-1], currency="CNY")
    assert [row.session.isoformat() for row in ledger.unfilled if row.reason == "limit_up"] == days[5:]
    assert [row.session.isoformat() for row in ledger.fills] == days[1:5]
