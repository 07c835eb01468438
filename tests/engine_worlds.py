"""Small worlds for the engine's tests: a warehouse filled by hand, with real symbols on real calendar days.

Load it with `importlib.util` (there is no tests package); ``world = worlds.world`` makes the fixture known.
"""

import contextlib
import datetime as dt

import numpy as np
import pandas as pd
import pytest

from chipwire.data.calendars import auctions, venue
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import run_backtest
from chipwire.engine.market import load_market
from chipwire.engine.settings import Settings
from chipwire.engine.view import load_signals
from chipwire.signals.linking import Linker
from chipwire.strategies.base import Strategy

UNIVERSE = load_universe()
LINKER = Linker(UNIVERSE).id
MODEL = "m" * 16
RUN_TABLES = ("target", "fill", "fill_cause", "unfilled", "position", "equity", "run")
TABLES = ("bar", "fx_rate", "corporate_action", "headline", "model", "score", "signal", *RUN_TABLES)
SIGNAL_TABLES = {
    "headline": "headline_id title language published_at available_at batch_id",
    "score": "headline_id issuer model_id via p_negative p_neutral p_positive p_relevant reason batch_id",
    "signal": "headline_id issuer theme model_id linker available_at via value relevance novelty theme_weight "
    "half_life_days",
}
ROUGH = {"NVDA": 100.0, "AMD": 60.0, "688981.SS": 50.0, "510300.SS": 4.0, "0981.HK": 16.0, "0700.HK": 300.0}
"""Instruments of `rough_world` and their first prices."""
DEEP = 1e12  # a volume in which no order of a test is more than a drop


def day(text):
    """Return a date from YYYY-MM-DD."""
    return dt.date.fromisoformat(text)


def utc(text):
    """Return an aware UTC instant from an ISO text without a zone."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def settings(start, end, **changes):
    """Return settings without costs that nobody asked for: no slippage, no band, no volume cap."""
    given = {"slippage_bps": 0.0, "band": 0.0, "participation": 1.0, "benchmarks": ()} | changes
    return Settings(start=day(start), end=day(end), **given)


class Script(Strategy):
    """Asks for what a test says: weights by (venue, session) or, without venue, by session; or a callable."""

    name = "script"
    reads_signals = False

    def __init__(self, plan):
        super().__init__()
        self.plan = plan
        self.views = []

    def decide(self, view):
        self.views.append(view)
        if callable(self.plan):
            return self.plan(view)
        weights = self.plan.get(view.session.isoformat(), {})
        here = {*view.instruments, *view.awaited}
        return {name: weight for name, weight in weights.items() if name in here}


class Reader(Script):
    """A script that may read signals."""

    name = "reader"
    reads_signals = True


class World:
    """A warehouse; every method adds rows to it."""

    def __init__(self, warehouse):
        self.warehouse = warehouse

    def clear(self):
        """Empty all tables that a test may have filled."""
        with self.warehouse.transaction():
            for table in TABLES:
                self.warehouse.run(f"DELETE FROM {table}")
        return self

    def sessions(self, symbol, start, end):
        """Return the sessions of an instrument's venue as ISO texts."""
        calendar = auctions(UNIVERSE.instrument(symbol).venue, day(start), day(end))
        return [session.item().isoformat() for session in calendar.session]

    def bars(self, symbol, prices, volume=DEEP, adjustment="none"):
        """Add bars: by session a price, or (open, close); volume a number, or by session."""
        pairs = [price if isinstance(price, tuple) else (price, price) for price in prices.values()]
        opens, closes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        days = pd.to_datetime(list(prices))
        volumes = [volume.get(session, DEEP) if isinstance(volume, dict) else volume for session in prices]
        frame = pd.DataFrame(
            {
                "instrument": symbol, "interval": "1d", "session": days, "starts_at": days, "open": opens,
                "high": np.maximum(opens, closes), "low": np.minimum(opens, closes), "close": closes,
                "volume": volumes, "adjustment": adjustment, "batch_id": 1,
            }
        )  # fmt: skip
        self.warehouse.insert("bar", frame)
        return self

    def finer(self, symbol, prices, interval="1h", volume=DEEP, adjustment="none"):
        """Add bars finer than a day: by start in UTC (to the minute) a price, or (open, close)."""
        pairs = [price if isinstance(price, tuple) else (price, price) for price in prices.values()]
        opens, closes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        starts = pd.to_datetime(list(prices), format="ISO8601")
        zone = venue(UNIVERSE.instrument(symbol).venue).zone
        frame = pd.DataFrame(
            {
                "instrument": symbol, "interval": interval, "starts_at": starts,
                "session": starts.tz_localize("UTC").tz_convert(zone).tz_localize(None).normalize(), "open": opens,
                "high": np.maximum(opens, closes), "low": np.minimum(opens, closes), "close": closes,
                "volume": volume, "adjustment": adjustment, "batch_id": 1,
            }
        )  # fmt: skip
        self.warehouse.insert("bar", frame)
        return self

    def flat(self, symbol, start, end, price, **changes):
        """Add a bar of one price, or (open, close), for every session of the venue."""
        return self.bars(symbol, dict.fromkeys(self.sessions(symbol, start, end), price), **changes)

    def walk(self, symbol, start, end, price, seed):
        """Add bars of a random walk of 2% a step."""
        days = self.sessions(symbol, start, end)
        steps = np.random.default_rng(seed).normal(0.0, 0.02, 2 * len(days))
        path = np.round(price * np.exp(np.cumsum(steps)), 2)
        return self.bars(symbol, {s: (float(path[2 * i]), float(path[2 * i + 1])) for i, s in enumerate(days)})

    def fx(self, currency, rates):
        """Add fixings by day, units for one USD; each is known when its day has ended in UTC."""
        days = pd.to_datetime(list(rates))
        frame = pd.DataFrame(
            {
                "currency": currency, "fixed_on": days, "rate": list(rates.values()),
                "available_at": days + pd.Timedelta(days=1), "batch_id": 1,
            }
        )  # fmt: skip
        self.warehouse.insert("fx_rate", frame)
        return self

    def action(self, symbol, ex_date, kind, value):
        frame = pd.DataFrame(
            {"instrument": [symbol], "ex_date": pd.to_datetime([ex_date]), "kind": kind, "value": value, "batch_id": 1}
        )
        self.warehouse.insert("corporate_action", frame)
        return self

    def model(self, training_cutoff="2020-01-01"):
        """Add the model whose signals `signal` adds."""
        cutoff = None if training_cutoff is None else pd.Timestamp(training_cutoff)
        frame = pd.DataFrame(
            {
                "model_id": [MODEL], "name": "hand", "files_sha256": "0" * 64, "labels": "[]", "languages": "[]",
                "training_cutoff": [cutoff],
            }
        )  # fmt: skip
        self.warehouse.insert("model", frame)
        return self

    def signal(self, issuer, at, value, headline=None, **changes):
        """Add a signal with its headline and score; `at` is UTC, or None for an undated headline (no signal)."""
        return self.signals([{"issuer": issuer, "at": at, "value": value, "headline": headline, **changes}])

    def signals(self, rows):
        """Add several; see `signal`."""
        base = {"theme": "sanctions", "novelty": 1.0, "relevance": 1.0, "theme_weight": 1.0, "half_life_days": 5.0}
        frame = pd.DataFrame([{**base, **row} for row in rows]).rename(columns={"at": "available_at"})
        names = frame["issuer"] + "@" + frame["available_at"].astype(str)
        frame["headline_id"] = frame["headline"].fillna(names) if "headline" in frame else names
        frame["available_at"] = frame["published_at"] = pd.to_datetime(frame["available_at"], format="ISO8601")
        frame = frame.assign(
            title=frame["headline_id"], language="en", batch_id=1, model_id=MODEL, linker=LINKER, via="direct",
            p_negative=np.maximum(-frame["value"], 0.0), p_neutral=1 - frame["value"].abs(),
            p_positive=np.maximum(frame["value"], 0.0), p_relevant=1.0, reason="named",
        )  # fmt: skip
        for table, columns in SIGNAL_TABLES.items():
            dated = frame[frame["available_at"].notna()] if table == "signal" else frame
            if len(dated):
                self.warehouse.insert(table, dated[columns.split()])
        return self

    def market(self, given):
        return load_market(self.warehouse, UNIVERSE, given)

    def simulate(self, strategy, given):
        """Run without storing and return the account."""
        from chipwire.engine.event import run_event_driven

        market = self.market(given)
        book = load_signals(self.warehouse, given, MODEL, LINKER) if strategy.reads_signals else None
        issuers = {symbol: UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
        return run_event_driven(market, given, strategy, book, issuers, load_fees(), load_market_rules())

    def run(self, strategy, given, **options):
        """Run and store."""
        return run_backtest(self.warehouse, UNIVERSE, strategy, given, **options)


def rough_world(world, seed, symbols=tuple(ROUGH), start="2024-01-02", end="2024-04-30"):
    """Random walks with gaps, dead days, limit days, thin volume, actions and moving FX; AMD may end early."""
    rng = np.random.default_rng(seed)
    for symbol in symbols:
        stop = "2024-03-11" if symbol == "AMD" and rng.random() < 0.5 else end
        days = world.sessions(symbol, "2023-12-01", stop)
        steps = rng.normal(0.0, 0.03, 2 * len(days))
        if symbol.endswith(".SS"):  # some sessions close at the limit, and some open there
            fraction = 0.2 if symbol.startswith("688") else 0.1
            jumps = rng.random(2 * len(days)) < 0.05
            steps[jumps] = np.log1p(rng.choice([-fraction, fraction], jumps.sum()))
        path = ROUGH[symbol] * np.exp(np.cumsum(steps))
        there = [i for i in range(len(days)) if rng.random() > 0.05 or days[i] < start]
        bars = {days[i]: (round(float(path[2 * i]), 2), round(float(path[2 * i + 1]), 2)) for i in there}
        volume = {s: float(rng.choice([0.0, 20_000.0, 1e6, 1e9], p=[0.05, 0.15, 0.4, 0.4])) for s in bars}
        world.bars(symbol, bars, volume=volume)
        for day in rng.choice(world.sessions(symbol, start, end), 2, replace=False):
            kind = str(rng.choice(["split", "dividend"]))
            value = float(rng.choice([0.3, 1.5, 10.0])) if kind == "split" else ROUGH[symbol] / 100
            world.action(symbol, str(day), kind, value)
    dates = pd.date_range("2023-11-20", end).astype(str)
    for currency, rate in (("CNY", 7.1), ("HKD", 7.8)):
        world.fx(currency, {d: rate * float(np.exp(rng.normal(0, 0.01))) for d in dates})
    return world


def random_weights(seed, low=-0.6, often=0.5, gross=1.0):
    """Return a function that makes a strategy of random weights, negative ones from `low` on."""

    def make():
        rng = np.random.default_rng(seed)

        def plan(view):
            if rng.random() < often:
                return None
            names = [name for name in view.instruments if rng.random() > 0.2]
            raw = rng.uniform(low, 1.0, len(names)) * (rng.random(len(names)) > 0.2)
            total = max(1.0, np.abs(raw).sum()) / gross
            return dict(zip(names, raw / total, strict=True))

        return Script(plan)

    return make


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """Return one warehouse for all tests of a module: making one costs more than a test."""
    with Warehouse.open(tmp_path_factory.mktemp("world") / "w.duckdb", write=True, threads=1) as opened:
        yield opened


class _Undo(Exception):
    pass


@pytest.fixture
def world(warehouse):
    """Return an empty world whose rows are taken back after the test, which is quicker than writing them."""
    with contextlib.suppress(_Undo), warehouse.transaction():
        yield World(warehouse)
        raise _Undo


@pytest.fixture
def written(warehouse):
    """Return an empty world whose rows are written for good."""
    return World(warehouse).clear()
