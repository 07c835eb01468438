"""A made-up market of three venues for the engine's benchmarks: real calendars, symbols and rules, prices by seed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.calendars import auctions
from chipwire.data.universe import load_universe
from chipwire.engine.market import FxBook, Market, VenueMarket
from chipwire.engine.settings import Settings

SESSIONS = 1900
START, END = dt.date(2018, 1, 1), dt.date(2025, 12, 31)
SYMBOLS = {
    "XHKG": ("0981.HK", "1347.HK", "9988.HK", "0700.HK"),
    "XNYS": ("NVDA", "AMD", "INTC", "MU"),
    "XSHG": ("688981.SS", "688041.SS", "688256.SS", "510300.SS"),
}
PRICES = {"XHKG": (30.0, 15.0, 90.0, 300.0), "XNYS": (30.0, 15.0, 90.0, 300.0), "XSHG": (50.0, 60.0, 80.0, 4.0)}
ONE_VENUE = {"XNYS": ("NVDA", "AMD", "INTC", "MU", "AMAT", "LRCX", "KLAC", "QCOM", "AVGO", "TSM", "BABA", "BIDU")}


def settings(**changes: Any) -> Settings:
    """Return the settings of the benchmarks."""
    given: dict[str, Any] = {"band": 0.0, "slippage_bps": 5.0, "participation": 0.1} | changes
    return Settings(START, END, **given)


def make_market(sessions: int, seed: int = 1, symbols: dict[str, tuple[str, ...]] = SYMBOLS) -> Market:
    """Return a market whose prices wander around a level, with volumes that sometimes bind."""
    rng = np.random.default_rng(seed)
    universe = load_universe()
    venues = []
    for mic, names in symbols.items():
        calendar = auctions(mic, START, END)
        part, count = slice(0, sessions), len(names)
        level, path = np.zeros(count), np.empty((2 * sessions, count))
        for row in range(2 * sessions):
            level = 0.998 * level + rng.normal(0, 0.012, count)
            path[row] = level
        base = np.resize(np.array(PRICES[mic]), count)
        path = np.round(base * np.exp(path), 2)
        opens, closes = path[::2].copy(), path[1::2].copy()
        venues.append(
            VenueMarket(
                mic, tuple(universe.instrument(name) for name in names), 0, calendar.session[part],
                calendar.open_at[part], calendar.close_at[part], calendar.open_at[part] - np.timedelta64(10, "m"),
                open=opens, high=np.maximum(opens, closes), low=np.minimum(opens, closes), close=closes,
                volume=rng.choice([2e6, 2e7, 2e8], opens.shape), actions={},
            )
        )  # fmt: skip
    days = np.arange(np.datetime64("2017-12-01"), np.datetime64("2026-01-01")).astype("datetime64[us]")
    rate = {
        "CNY": 7.0 * np.exp(np.cumsum(rng.normal(0, 0.002, len(days)))),
        "HKD": 7.8 * np.exp(rng.normal(0, 0.0005, len(days))),
    }
    return Market(tuple(venues), FxBook("USD", dict.fromkeys(rate, days), rate), "made up", ())


def make_weights(
    market: Market, configurations: int, *, gross: float, active: float = 1.0, seed: int = 2
) -> dict[str, NDArray[np.float64]]:
    """Return weights by venue that wander (half-life 10 sessions) and sum to `gross` over all instruments.

    Sessions are decided with probability `active`, the others give no order.
    """
    rng = np.random.default_rng(seed)
    sessions, count = len(market.venues[0].session), len(market.symbols)
    weights = np.empty((sessions, count, configurations))
    keep = 0.5 ** (1 / 10)
    state = rng.normal(size=(count, configurations))
    for row in range(sessions):
        state = keep * state + np.sqrt(1 - keep * keep) * rng.normal(size=state.shape)
        part = np.exp(state)
        weights[row] = gross * part / part.sum(axis=0)
    weights[rng.random(sessions) >= active] = np.nan
    found, start = {}, 0
    for venue in market.venues:
        stop = start + len(venue.instruments)
        found[venue.mic] = np.ascontiguousarray(weights[:, start:stop]).transpose(2, 0, 1)
        start = stop
    return found
