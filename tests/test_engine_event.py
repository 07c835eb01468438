"""Whole runs, event by event: prices of fills, cash, identities on any data, and a plain backtrader beside."""

import datetime as dt
import math
from collections import defaultdict

import engine_worlds as worlds
import numpy as np
import pandas as pd
import pytest

from chipwire.data.fees import FeeTable
from chipwire.data.market_rules import load_market_rules
from chipwire.engine import event
from chipwire.engine.decision import Decider

warehouse, world, settings, Script = worlds.warehouse, worlds.world, worlds.settings, worlds.Script


def three_venues(world, start="2023-12-28", end="2024-01-12"):
    world.flat("NVDA", start, end, 100.0).flat("0981.HK", start, end, 16.0).flat("688981.SS", start, end, 50.0)
    return world.fx("CNY", {"2023-12-20": 7.0}).fx("HKD", {"2023-12-20": 8.0})


def moves(account):
    return [(fill.instrument, fill.shares) for fill in account.ledger.fills]


def unfilled(account):
    return [(row.instrument, row.wanted, row.filled, row.reason) for row in account.ledger.unfilled]


# --- single runs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fill", "price", "decided", "filled"),
    [("open", 102.0, "14:25", "14:30"), ("close", 103.0, "20:45", "21:00")],
)
def test_a_run_fills_at_the_auction_it_was_asked_for(world, fill, price, decided, filled):
    world.bars("NVDA", {"2024-01-02": (100.0, 101.0), "2024-01-03": (102.0, 103.0), "2024-01-04": (104.0, 105.0)})
    account = world.simulate(
        Script({"2024-01-03": {"NVDA": 0.5}}), settings("2024-01-02", "2024-01-04", fill=fill, slippage_bps=10.0)
    )
    (row,) = account.ledger.fills
    assert (row.auction, row.auction_price, row.price) == (fill, price, pytest.approx(price * 1.001))
    assert row.decision_at == worlds.utc(f"2024-01-03T{decided}")
    assert row.auction_at == worlds.utc(f"2024-01-03T{filled}")
    assert row.slippage == pytest.approx(row.shares * price * 0.001)


def test_equity_is_written_once_for_each_utc_day_with_an_auction(world):
    three_venues(world)
    account = world.simulate(Script({}), settings("2023-12-29", "2024-01-03"))
    # Saturday to Monday, the first of January: nobody trades.
    assert [row.day.isoformat() for row in account.ledger.equity] == ["2023-12-29", "2024-01-02", "2024-01-03"]
    assert {row.equity for row in account.ledger.equity} == {1_000_000.0}


def test_simultaneous_opens_settle_by_mic_out_of_one_purse(world):
    three_venues(world)
    plan = {"2024-01-03": {"0981.HK": 0.7, "688981.SS": 0.7}}
    account = world.simulate(Script(plan), settings("2024-01-02", "2024-01-03"))
    hong_kong, shanghai = account.ledger.fills
    assert hong_kong.auction_at == shanghai.auction_at
    assert (hong_kong.instrument, hong_kong.shares) == ("0981.HK", 350_000)
    # Hong Kong is settled first and in full; Shanghai has the rest after its fees.
    spent = 350_000 * 16.0 / 8.0 + (hong_kong.commission + hong_kong.duty + hong_kong.levies) / 8.0
    left = (1_000_000.0 - spent) * 7.0
    assert shanghai.shares == math.floor(left / (50.0 * (1 + 0.00025 + 0.00001)))
    assert unfilled(account) == [("688981.SS", 98_000, shanghai.shares, "cash")]
    assert 0 <= account.cash < 50.0 * 1.001 / 7.0


def test_sales_pay_for_purchases_of_the_same_auction(world):
    world.flat("NVDA", "2025-06-02", "2025-06-04", 100.0).flat("AMD", "2025-06-02", "2025-06-04", 50.0)
    plan = {"2025-06-03": {"NVDA": 1.0}, "2025-06-04": {"NVDA": 0.0, "AMD": 0.9}}
    account = world.simulate(Script(plan), settings("2025-06-02", "2025-06-04"))
    assert moves(account) == [("NVDA", 10_000), ("AMD", 18_000), ("NVDA", -10_000)]
    assert account.cash == pytest.approx(100_000.0 - min(10_000 * 0.000166, 8.30))


def test_short_cash_scales_all_purchases_of_the_auction(world):
    # The open is 25% above the known close: 0.6 and 0.4 of equity cost 1.25 of it.
    world.bars("NVDA", {"2024-01-02": 100.0, "2024-01-03": 125.0}).bars("AMD", {"2024-01-02": 40.0, "2024-01-03": 50.0})
    account = world.simulate(Script({"2024-01-03": {"NVDA": 0.6, "AMD": 0.4}}), settings("2024-01-02", "2024-01-03"))
    assert moves(account) == [("AMD", 8_000), ("NVDA", 4_800)]
    assert unfilled(account) == [("AMD", 10_000, 8_000, "cash"), ("NVDA", 6_000, 4_800, "cash")]
    assert account.cash == 0.0


def test_a_suspended_share_is_not_sold_until_it_trades_again(world):
    three_venues(world)
    world.warehouse.run("DELETE FROM bar WHERE instrument = '688981.SS' AND session = DATE '2024-01-04'")
    world.warehouse.run("UPDATE bar SET volume = 0 WHERE instrument = '688981.SS' AND session = DATE '2024-01-05'")
    out = {f"2024-01-{day}": {"688981.SS": 0.0} for day in ("04", "05", "08")}
    account = world.simulate(Script({"2024-01-03": {"688981.SS": 0.2}, **out}), settings("2024-01-02", "2024-01-12"))
    assert [(fill.session.day, fill.shares) for fill in account.ledger.fills] == [(3, 28_000), (8, -28_000)]
    assert unfilled(account) == [("688981.SS", -28_000, 0, "no_bar"), ("688981.SS", -28_000, 0, "suspended")]


def test_an_instrument_without_bar_in_the_first_sessions_can_be_asked_for(world):
    three_venues(world).bars("AMD", {"2023-12-28": 50.0, "2024-01-05": 50.0})
    plan = {"2024-01-02": {"AMD": 0.1}, "2024-01-05": {"AMD": 0.1}}
    account = world.simulate(Script(plan), settings("2024-01-02", "2024-01-08"))
    assert moves(account) == [("AMD", 2_000)]
    assert unfilled(account) == [("AMD", 2_000, 0, "no_bar")]


def test_a_split_between_two_sessions_keeps_the_position_at_its_weight(world):
    world.action("NVDA", "2024-01-04", "split", 10.0)
    world.bars("NVDA", {"2024-01-02": 1000.0, "2024-01-03": 1000.0, "2024-01-04": 100.0, "2024-01-05": 100.0})
    half = {"NVDA": 0.5}
    account = world.simulate(
        Script({"2024-01-03": half, "2024-01-04": half, "2024-01-05": half}), settings("2024-01-02", "2024-01-05")
    )
    assert [(fill.auction, fill.shares) for fill in account.ledger.fills] == [("open", 500), ("action", 4_500)]
    assert [row.equity for row in account.ledger.equity] == [1_000_000.0] * 4


# --- what holds on any data --------------------------------------------------------------------------------

START, END = "2024-01-02", "2024-04-30"
SYMBOLS = ("NVDA", "AMD", "688981.SS", "0981.HK", "0700.HK")
ACTIONS = {("NVDA", "2024-02-12", "split"): 1.5, ("AMD", "2024-03-05", "dividend"): 0.7,
           ("688981.SS", "2024-03-12", "dividend"): 0.4, ("0981.HK", "2024-02-20", "split"): 0.3}  # fmt: skip


def rough_world(world, seed):
    """Random walks with gaps, dead days, thin volume, actions and moving FX; AMD ends in March."""
    rng = np.random.default_rng(seed)
    for symbol, price in zip(SYMBOLS, (100.0, 60.0, 50.0, 16.0, 300.0), strict=True):
        days = world.sessions(symbol, "2023-12-01", "2024-03-11" if symbol == "AMD" else END)
        path = price * np.exp(np.cumsum(rng.normal(0.0, 0.03, 2 * len(days))))
        there = [i for i in range(len(days)) if rng.random() > 0.05 or days[i] < START]
        bars = {days[i]: (round(float(path[2 * i]), 2), round(float(path[2 * i + 1]), 2)) for i in there}
        volume = {s: float(rng.choice([0.0, 20_000.0, 1e6, 1e9], p=[0.05, 0.15, 0.4, 0.4])) for s in bars}
        world.bars(symbol, bars, volume=volume)
    for (symbol, ex_date, kind), value in ACTIONS.items():
        world.action(symbol, ex_date, kind, value)
    dates = pd.date_range("2023-12-20", END).astype(str)
    for currency, rate in (("CNY", 7.1), ("HKD", 7.8)):
        world.fx(currency, {d: rate * float(np.exp(rng.normal(0, 0.01))) for d in dates})
    return world


def random_weights(seed):
    rng = np.random.default_rng(seed)

    def plan(view):
        if rng.random() < 0.5:
            return None
        raw = rng.uniform(-0.6, 1.0, len(view.instruments)) * (rng.random(len(view.instruments)) > 0.2)
        return dict(zip(view.instruments, raw / max(1.0, np.abs(raw).sum()), strict=True))

    return Script(plan)


@pytest.fixture(params=[("open", 1), ("close", 7)], ids=["open", "close"])
def rough(request, world, monkeypatch):
    """Return the account of a rough run, its settings, and every order that was sent."""
    orders = []

    class Recorder(Decider):
        def decide(self, step):
            sent = super().decide(step)
            orders.extend(sent)
            return sent

    monkeypatch.setattr(event, "Decider", Recorder)
    fill, seed = request.param
    given = settings(START, END, fill=fill, slippage_bps=5.0, impact=0.05, participation=0.1, band=0.01)
    return rough_world(world, seed).simulate(random_weights(seed), given), given, orders


def test_identities_of_a_rough_run(rough):
    account, given, orders = rough
    ledger = account.ledger
    assert len(ledger.fills) > 60
    assert {fill.auction for fill in ledger.fills} == {given.fill, "action", "delisting"}

    # Cash and positions are equity, on every day.
    values = defaultdict(list)
    for row in ledger.positions:
        assert row.value == pytest.approx(row.shares * row.price * row.fx)
        values[row.day].append(row.value)
    for row in ledger.equity:
        assert row.equity == pytest.approx(row.cash + math.fsum(values[row.day]), rel=1e-12)
        assert row.gross == pytest.approx(math.fsum(map(abs, values[row.day])), rel=1e-12)
    assert ledger.equity[-1].cash == account.cash

    # What was made is what was realized, what is still open, dividends less borrow cost.
    held, cost, realized = replay(ledger.fills)
    assert {name: shares for name, shares in held.items() if shares} == account.positions()
    last = {row.instrument: row.value for row in ledger.positions if row.day == ledger.equity[-1].day}
    open_gain = sum(last[name] - cost[name] for name in last)
    carried = math.fsum(row.dividends - row.borrow for row in ledger.equity)
    assert realized == pytest.approx(math.fsum(fill.realized for fill in ledger.fills), abs=1e-4)
    assert ledger.equity[-1].equity - given.capital == pytest.approx(realized + open_gain + carried, abs=1e-4)

    # Costs of the days are the fills' fees and slippage.
    costs = math.fsum((f.commission + f.duty + f.levies + f.slippage) * f.fx for f in ledger.fills)
    assert math.fsum(row.costs for row in ledger.equity) == pytest.approx(costs)

    # Every order is filled in full or has a row that says why not.
    filled = {(f.decision_at, f.instrument): f.shares for f in ledger.fills if f.auction == given.fill}
    lacking = {(r.decision_at, r.instrument): r for r in ledger.unfilled}
    for order in orders:
        key = (order.decision_at, order.instrument)
        done = filled.pop(key, 0)
        if done != order.shares:
            row = lacking.pop(key)
            assert (row.wanted, row.filled) == (order.shares, done)
            assert row.reason != "none"
    assert filled == {}
    assert {row.reason for row in lacking.values()} <= {"lot", "no_bar", "band"}
    assert all(row.filled == 0 for row in lacking.values())


def replay(fills):
    """Return shares, average cost and gain by instrument, from the fills alone and the splits of this module."""
    held, cost, realized = defaultdict(int), defaultdict(float), 0.0
    splits = {symbol: value for (symbol, _, kind), value in ACTIONS.items() if kind == "split"}
    for fill in fills:
        name, before = fill.instrument, held[fill.instrument]
        held[name] += fill.shares
        if fill.auction == "action":
            part = 1.0 - held[name] / (before * splits[name])
            realized += fill.realized
            cost[name] *= 1.0 - part
            continue
        cash = -(fill.shares * fill.price + fill.commission + fill.duty + fill.levies) * fill.fx
        closing = min(abs(before), abs(fill.shares)) / abs(fill.shares) if before * fill.shares < 0 else 0.0
        if closing:
            released = cost[name] * closing * abs(fill.shares / before)
            realized += cash * closing - released
            cost[name] -= released
        cost[name] -= cash * (1.0 - closing)
    return held, cost, realized


def test_rules_of_a_rough_run(rough):
    account, given, _ = rough
    market = account.market
    place = {i.symbol: (venue, n) for venue in market.venues for n, i in enumerate(venue.instruments)}
    bought = set()
    for fill in account.ledger.fills:
        if fill.auction != given.fill:
            continue
        venue, column = place[fill.instrument]
        row = int(np.searchsorted(venue.session, np.datetime64(fill.session)))
        assert fill.auction_price == getattr(venue, given.fill)[row, column]
        assert 0 < abs(fill.shares) <= 0.1 * venue.volume[row, column]
        assert (fill.price - fill.auction_price) * fill.shares >= 0
        assert fill.decision_at < fill.auction_at
        assert fill.auction_at == worlds.utc(str((venue.open_at if given.fill == "open" else venue.close_at)[row]))
        if fill.venue == "XSHG" and fill.shares > 0:
            assert fill.shares >= 200
        bought.add((fill.venue, fill.shares > 0))
    assert len(bought) == 6  # each venue bought and sold
    assert all(row.cash >= -1e-6 for row in account.ledger.equity)
    short = [row.instrument for row in account.ledger.positions if row.shares < 0]
    assert short
    assert "688981.SS" not in short


# --- beside another engine ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [3, 4])
def test_one_instrument_without_costs_as_backtraders_own_broker_does_it(world, seed):
    import backtrader as bt

    start, end = "2024-01-02", "2024-12-31"
    days = world.sessions("NVDA", start, end)
    rng = np.random.default_rng(seed)
    path = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.02, 2 * len(days)))), 2)
    bars = {s: (float(path[2 * i]), float(path[2 * i + 1])) for i, s in enumerate(days)}
    weights = {s: float(w) for s, w in zip(days, rng.uniform(0, 0.7, len(days)), strict=True) if rng.random() < 0.4}
    weights.pop(days[0], None)  # backtrader decides on a bar, so not before the first
    given = settings(start, end, capital=100_000.0)
    market = world.bars("NVDA", bars).market(given)
    plan = Script({s: {"NVDA": w} for s, w in weights.items()})
    account = event.run_event_driven(market, given, plan, None, {"NVDA": "NVIDIA"}, FeeTable(()), load_market_rules())

    values, sizes = [], []

    class Plain(bt.Strategy):
        def next(self):
            values.append(self.broker.getvalue())
            sizes.append(self.position.size)
            if len(self) < len(days) and days[len(self)] in weights:
                wanted = math.floor(weights[days[len(self)]] * values[-1] / self.data.close[0] + 1e-9)
                if wanted > self.position.size:
                    self.buy(size=wanted - self.position.size)
                elif wanted < self.position.size:
                    self.sell(size=self.position.size - wanted)

    frame = pd.DataFrame(
        {"open": path[::2], "high": np.maximum(path[::2], path[1::2]), "low": np.minimum(path[::2], path[1::2]),
         "close": path[1::2], "volume": 1e12},
        index=pd.DatetimeIndex([dt.datetime.fromisoformat(s) for s in days]),
    )  # fmt: skip
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.broker.setcash(100_000.0)
    cerebro.addstrategy(Plain)
    cerebro.run()

    assert len(account.ledger.fills) > 60
    assert account.ledger.unfilled == []
    assert len(account.ledger.equity) == len(values) == len(days)
    for row, value in zip(account.ledger.equity, values, strict=True):
        assert row.equity == pytest.approx(value, abs=0.005)
    held = {row.day.isoformat(): row.shares for row in account.ledger.positions}
    assert [held.get(s, 0) for s in days] == sizes
