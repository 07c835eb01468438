"""Worlds in which the truth is known: synthetic prices and news over real calendars, with an edge or with none.

Every session's return, from one opening auction to the next, is correlated by exactly `Recipe.ic` with what the news
says at the decision before it: the sum of the values of the headlines of `Recipe.themes`, each faded by its age with
`Recipe.half_life`. With an `ic` of 0 the news says nothing. Prices have a drift, a common factor, fat tails, halts and,
in Shanghai, daily limits, so that a strategy can gain without knowing anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from chipwire.data.calendars import Auctions, auctions, venue
from chipwire.data.errors import BadParameter
from chipwire.data.market_rules import MarketRules, load_market_rules
from chipwire.data.universe import Instrument, Universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.market import Floats, Instants
from chipwire.signals.linking import Linker

INSTRUMENTS = (
    "688981.SS", "688256.SS", "688041.SS", "1347.HK", "0700.HK", "9988.HK", "9888.HK", "NVDA", "AMD", "INTC", "MU",
    "TSM",
)  # fmt: skip
"""Twelve instruments of twelve issuers at three venues."""

MODEL_ID = "known-world"
_THEMES = ("ai_models", "localization", "sanctions")
_LEAST = 0.4
_VALUE_SQUARED = (1 - _LEAST**3) / (3 * (1 - _LEAST))
"""Mean square of a reading, which is uniform over +-(0.4 to 1)."""
_TAIL = 5
"""Degrees of freedom of the own part of a return."""
_SESSION_SHARE = 0.6
"""Part of the variance of a return between the open and the close of its session."""


@dataclass(frozen=True)
class Recipe:
    """How a world is made.

    Attributes
    ----------
    ic : float
        Correlation of what the news says at a decision with the return up to the next opening auction.
    half_life : float
        Days in which what a headline means for the next return falls to a half.
    themes : tuple of str
        Themes whose news means something.
    news_a_day : float
        Headlines on each issuer and calendar day, of all three themes alike.
    volatility, drift, common : float
        Standard deviation and mean of a session's log return; share of its variance that all instruments have in
        common.
    halt : float
        Chance of a session to begin a halt of 1 to 8 sessions.
    """

    start: date = date(2019, 1, 2)
    end: date = date(2024, 12, 31)
    instruments: tuple[str, ...] = INSTRUMENTS
    ic: float = 0.0
    half_life: float = 3.0
    themes: tuple[str, ...] = _THEMES
    news_a_day: float = 0.3
    volatility: float = 0.025
    drift: float = 0.0004
    common: float = 0.3
    halt: float = 0.002

    def __post_init__(self) -> None:
        if not -0.5 <= self.ic <= 0.5:
            raise BadParameter("ic", self.ic, "a number from -0.5 to 0.5")
        if unknown := [theme for theme in self.themes if theme not in _THEMES]:
            raise BadParameter("themes", unknown[0], f"of {', '.join(_THEMES)}")
        if not self.themes:
            raise BadParameter("themes", "", "at least one theme must mean something; for no edge give ic=0")


def store_world(warehouse: Warehouse, universe: Universe, recipe: Recipe, seed: int) -> None:
    """Make a world and write its bars, rates, headlines and signals into an empty warehouse."""
    rng = np.random.default_rng([seed, 1])
    listed = [universe.instrument(symbol) for symbol in recipe.instruments]
    calendars = {mic: auctions(mic, recipe.start, recipe.end) for mic in sorted({one.venue for one in listed})}
    news = _news(recipe, sorted({str(one.issuer) for one in listed}), rng)
    factor = _factor(recipe, rng)
    rules = load_market_rules()
    bars = [_bars(recipe, one, calendars[one.venue], news, factor, rules, rng) for one in listed]
    with warehouse.transaction():
        warehouse.insert("bar", pd.concat(bars, ignore_index=True))
        warehouse.insert("fx_rate", _rates(recipe, sorted({one.currency for one in listed} - {"USD"}), rng))
        _store_news(warehouse, news, Linker(universe).id)


# --- news ------------------------------------------------------------------------------------------------


def _news(recipe: Recipe, issuers: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Return ``issuer``, ``at``, ``theme``, ``value``, oldest first; 60 days before the start are filled too."""
    days = (recipe.end - recipe.start).days + 61
    first = np.datetime64(recipe.start - timedelta(days=60), "us")
    parts = []
    for issuer in issuers:
        count = int(rng.poisson(recipe.news_a_day * days))
        at = first + (rng.random(count) * days * 86_400).astype(np.int64).astype("timedelta64[s]")
        value = rng.choice([-1.0, 1.0], count) * rng.uniform(_LEAST, 1.0, count)
        theme = np.array(_THEMES, dtype=object)[rng.integers(0, len(_THEMES), count)]
        parts.append(pd.DataFrame({"issuer": issuer, "at": at, "theme": theme, "value": value}))
    return pd.concat(parts).sort_values(["at", "issuer"], kind="stable", ignore_index=True)


def strength_at(at: Instants, news: pd.DataFrame, half_life: float) -> Floats:
    """Return the faded sum of all values up to each instant (rising), in units of its own standard deviation."""
    times, values = news["at"].to_numpy("datetime64[us]"), news["value"].to_numpy(dtype=float)
    found = np.zeros(len(at))
    place, total, before = 0, 0.0, at[0] if len(at) else None
    for row, moment in enumerate(at):
        total *= 2.0 ** (-((moment - before) / np.timedelta64(1, "D")) / half_life)
        until = int(np.searchsorted(times, moment, side="right"))
        ages = (moment - times[place:until]) / np.timedelta64(1, "D")
        total += float((values[place:until] * np.exp2(-ages / half_life)).sum())
        place, before, found[row] = until, moment, total
    return found


# --- prices ----------------------------------------------------------------------------------------------


def _factor(recipe: Recipe, rng: np.random.Generator) -> pd.Series[Any]:
    """Return the common part of each calendar day's returns, of mean 0 and variance 1."""
    days = pd.date_range(recipe.start - timedelta(days=1), recipe.end + timedelta(days=1))
    return pd.Series(rng.standard_normal(len(days)), index=days)


def _bars(
    recipe: Recipe,
    listed: Instrument,
    calendar: Auctions,
    news: pd.DataFrame,
    factor: pd.Series[Any],
    rules: MarketRules,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return an instrument's bars; those of a halt are left out."""
    sessions = pd.DatetimeIndex(calendar.session)
    own = news[(news["issuer"] == listed.issuer) & news["theme"].isin(recipe.themes)]
    cutoff = np.timedelta64(round(venue(listed.venue).cutoff_open * 60_000_000), "us")
    rate = recipe.news_a_day * len(recipe.themes) / len(_THEMES)
    deviation = math.sqrt(rate * _VALUE_SQUARED * recipe.half_life / (2 * math.log(2)))
    known = strength_at(calendar.open_at - cutoff, own, recipe.half_life) / deviation
    alone = rng.standard_t(_TAIL, len(sessions)) * math.sqrt((_TAIL - 2) / _TAIL)
    chance = math.sqrt(recipe.common) * factor[sessions].to_numpy() + math.sqrt(1 - recipe.common) * alone
    steps = recipe.drift + recipe.volatility * (recipe.ic * known + math.sqrt(1 - recipe.ic**2) * chance)
    inside = _SESSION_SHARE * steps + recipe.volatility * math.sqrt(
        _SESSION_SHARE * (1 - _SESSION_SHARE)
    ) * rng.standard_normal(len(sessions))
    prices = _path(float(rng.uniform(40, 160)), steps, inside, _limits(listed, calendar, rules))
    spread = np.exp(np.abs(rng.standard_normal((2, len(sessions)))) * 0.004)
    frame = pd.DataFrame({
        "instrument": listed.symbol, "interval": "1d", "session": sessions, "starts_at": sessions,
        "open": prices[0], "high": prices.max(axis=0) * spread[0], "low": prices.min(axis=0) / spread[1],
        "close": prices[1], "volume": np.round(rng.lognormal(16.8, 0.5, len(sessions)), -2),
        "adjustment": "none", "batch_id": 1,
    })  # fmt: skip
    return frame[~_halted(len(sessions), recipe.halt, rng)]


def _limits(listed: Instrument, calendar: Auctions, rules: MarketRules) -> Floats:
    """Return by which fraction a session's prices may leave the close before; infinite without a limit."""
    found = np.array([
        rules.limit_fraction(listed.venue, listed.board, day) for day in calendar.session.astype(object)
    ])  # fmt: skip
    return np.where(np.isnan(found), np.inf, found)


def _path(start: float, steps: Floats, inside: Floats, limits: Floats) -> Floats:
    """Return opens and closes, shape (2, sessions); what a limit cuts off is not made up for later."""
    prices = np.empty((2, len(steps)))
    price, before = start, start
    for row in range(len(steps)):
        low, high = before * (1 - limits[row]), before * (1 + limits[row])
        opened = min(max(round(price, 2), low), high)
        closed = min(max(round(opened * math.exp(inside[row]), 2), low), high)
        prices[:, row] = max(round(opened, 2), 0.01), max(round(closed, 2), 0.01)
        price, before = prices[0, row] * math.exp(steps[row]), prices[1, row]
    return prices


def _halted(sessions: int, chance: float, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.bool_]]:
    begins = rng.random(sessions) < chance
    lengths = rng.integers(1, 9, sessions)
    halted = np.zeros(sessions, dtype=bool)
    for row in np.flatnonzero(begins):
        halted[row : row + lengths[row]] = True
    halted[[0, -1]] = False
    return halted


def _rates(recipe: Recipe, currencies: list[str], rng: np.random.Generator) -> pd.DataFrame:
    days = pd.bdate_range(recipe.start - timedelta(days=10), recipe.end)
    parts = []
    for currency in currencies:
        level = {"CNY": 7.0, "HKD": 7.8}.get(currency, 1.0)
        rate = level * np.exp(np.cumsum(rng.standard_normal(len(days)) * (0.0005 if currency == "HKD" else 0.002)))
        parts.append(pd.DataFrame({
            "currency": currency, "fixed_on": days, "rate": rate, "available_at": days + pd.Timedelta(days=1),
            "batch_id": 1,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


# --- into the warehouse ----------------------------------------------------------------------------------


def _store_news(warehouse: Warehouse, news: pd.DataFrame, linker: str) -> None:
    names = [f"known-{number:06d}" for number in range(len(news))]
    value = news["value"]
    rows = news.assign(
        headline_id=names, title=names, language="en", published_at=news["at"], available_at=news["at"], batch_id=1,
        model_id=MODEL_ID, linker=linker, via="direct", relevance=1.0, novelty=1.0, theme_weight=1.0,
        half_life_days=5.0, p_negative=(-value).clip(lower=0), p_neutral=1 - value.abs(),
        p_positive=value.clip(lower=0), p_relevant=1.0, reason="made",
    )  # fmt: skip
    model = {
        "model_id": [MODEL_ID], "name": "made", "files_sha256": "0" * 64, "labels": "[]", "languages": "[]",
        "training_cutoff": [pd.Timestamp(1970, 1, 1)],
    }  # fmt: skip
    warehouse.insert("model", pd.DataFrame(model))
    tables = {
        "headline": "headline_id title language published_at available_at batch_id",
        "score": "headline_id issuer model_id via p_negative p_neutral p_positive p_relevant reason batch_id",
        "signal": "headline_id issuer theme model_id linker available_at via value relevance novelty theme_weight "
        "half_life_days",
    }
    for table, columns in tables.items():
        warehouse.insert(table, rows[columns.split()])
