"""How good a run's signals are, before any strategy: what prices did after them, and how many of them there are.

Everything is counted from the first auction that the run could have used, with prices of the run's span only. Returns
are in the instrument's own currency, or *abnormal*: in the base currency, less the venue's benchmark of the run or,
where it has none, less the mean of the venue's other instruments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from chipwire.data.errors import NothingToDo
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.abnormal import VenuePrices, load_prices
from chipwire.engine.market import Floats, Market, load_market
from chipwire.engine.panels import DuckPanels
from chipwire.engine.settings import Settings
from chipwire.engine.signal_measures import turnover_by_day
from chipwire.engine.view import SignalBook
from chipwire.reports.quality_events import event_tables, events_of
from chipwire.reports.quality_returns import Panel, return_tables
from chipwire.reports.values import plain
from chipwire.signals.build import LEAST_LEAN
from chipwire.signals.linking import Linker

DIGITS = 12
"""Strengths are rounded to so many decimals; one of 0 is no signal."""


@dataclass(frozen=True)
class Asked:
    """What a strategy looks at, as in `chipwire.strategies.base.View.signals`.

    Attributes
    ----------
    themes : tuple of str or None
        None: all.
    half_life_days : float or None
        None: each theme's own.
    lookback_days : float
    """

    themes: tuple[str, ...] | None = None
    half_life_days: float | None = None
    lookback_days: float = 30.0

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Asked:
        """Read them from a strategy's parameters, where it has any of that name and meaning."""
        themes, half_life, lookback = (params.get(name) for name in ("themes", "half_life", "lookback"))
        return cls(
            tuple(themes.split(",")) if isinstance(themes, str) and themes else None,
            float(half_life) if isinstance(half_life, int | float) and half_life > 0 else None,
            float(lookback) if isinstance(lookback, int | float) and 0 < lookback <= 365 else 30.0,
        )


@dataclass(frozen=True)
class SignalQuality:
    """The quality of a run's signals. Returns are fractions; a figure with too few observations is NaN.

    Attributes
    ----------
    method : str
        ``daily``: rank correlations and quantiles across the instruments of each date; ``pooled``: over all dates and
        instruments together, because most dates have too few.
    fill, currency : str
        The auction from which returns count, and the base currency of abnormal returns.
    themes, half_life_days, lookback_days
        What the signal of a decision is made of; see `Asked`.
    confidence : float
        Of every ``low`` and ``high``.
    ic : DataFrame
        ``returns`` (``own currency`` or ``abnormal``), ``horizon`` (sessions; 0: to the end of the same session),
        ``ic``, ``se``, ``t``, ``low``, ``high``, ``step_ic`` and ``step_t`` (of the return since the horizon before
        alone: whether the signal still works then), ``observations``, ``days``.
    quantiles : DataFrame
        Abnormal returns: ``horizon``, ``quantile`` (1 the lowest signal), ``mean``, ``se``, ``low``, ``high``,
        ``observations``, ``days``.
    spreads : DataFrame
        Top quantile less bottom: ``horizon``, ``mean``, ``se``, ``t``, ``low``, ``high``, ``observations``, ``days``.
    paths : DataFrame
        Average abnormal return around events: ``kind`` (``all``, ``theme``, ``event``, ``issuer``), ``name``,
        ``session`` (-5 to 10, from the auction of day 0), ``mean``, ``se``, ``low``, ``high``, ``events``, ``days``.
        Groups with fewer than five events are in `reactions` only.
    reactions : DataFrame
        The same in short, also by ``novelty``, ``time of day`` and ``first venue``: ``kind``, ``name``, ``events``,
        ``overlapping`` and ``unpriced`` (left out), ``used``, ``days``, and the mean with ``_low`` and ``_high`` of
        ``missed`` (from the auction before to that of day 0), ``same_session``, ``after_1``, ``after_5``,
        ``after_10``.
    venues : DataFrame
        ``venue``, ``instruments``, ``sessions``, ``benchmark`` (what abnormal is measured against), ``with_signal``
        (share of instrument-sessions), ``turnover`` (of the signal in a day, 0 to 1), ``events``, ``too_late`` (known
        after the last decision).
    coverage : DataFrame
        ``step``, ``headlines``, ``share`` (of those known in the span).
    """

    method: str
    fill: str
    currency: str
    themes: tuple[str, ...] | None
    half_life_days: float | None
    lookback_days: float
    confidence: float
    ic: pd.DataFrame
    quantiles: pd.DataFrame
    spreads: pd.DataFrame
    paths: pd.DataFrame
    reactions: pd.DataFrame
    venues: pd.DataFrame
    coverage: pd.DataFrame

    @property
    def quantile_count(self) -> int:
        """How many quantiles there are."""
        return int(self.quantiles["quantile"].max())

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, pd.DataFrame)}

    def as_json(self) -> dict[str, Any]:
        """Return every field; tables as lists of rows, NaN as null, fractions with six decimals."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            found[field.name] = _records(value) if isinstance(value, pd.DataFrame) else plain(value)
        return found


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): plain(round(value, 6) if isinstance(value, float) else value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def quality_of_run(
    warehouse: Warehouse,
    universe: Universe,
    settings: Mapping[str, Any],
    params: Mapping[str, Any],
    model_id: str | None,
) -> SignalQuality | None:
    """Measure the signals that a stored run read; the arguments are as its row has them.

    Returns
    -------
    SignalQuality or None
        None for a run without a model: its strategy reads no signals.

    Raises
    ------
    NothingToDo
        The model has no signals any more; also as in `signal_quality`.
    """
    if model_id is None:
        return None
    if not warehouse.rows("SELECT 1 FROM signal WHERE model_id = ? LIMIT 1", [model_id]):
        raise NothingToDo(f"there are no signals of model {model_id}", "build them with 'chipwire signals'")
    asked: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    for name in ("start", "end"):
        asked[name] = date.fromisoformat(asked[name])
    return signal_quality(warehouse, universe, Settings(**asked), model_id, Asked.of(params))


def signal_quality(
    warehouse: Warehouse, universe: Universe, settings: Settings, model_id: str, asked: Asked | None = None
) -> SignalQuality:
    """Measure the signals of a model against the prices of a run, as both are in the warehouse now.

    Raises
    ------
    NothingToDo, UnknownName, DomainError
        See `load_market`: the prices are not there any more.
    """
    asked = asked or Asked()
    key = {"model": model_id, "linker": Linker(universe).id}
    market = load_market(warehouse, universe, settings)
    prices = load_prices(warehouse, universe, market, settings)
    issuers = {symbol: universe.instrument(symbol).issuer for symbol in market.symbols}
    traded = sorted({issuer for issuer in issuers.values() if issuer is not None})
    start, until = (datetime.combine(day, at) for day, at in ((settings.start, time.min), (settings.end, time.max)))
    back = timedelta(days=asked.lookback_days + 1, minutes=settings.latency_minutes)
    seen = {**key, "since": start - back, "until": until, "issuers": traded}
    readings = warehouse.arrow(load_sql("chipwire.reports", "readings.sql"), seen)
    book = _book(readings, settings)
    signals = _strengths(market, prices, book, issuers, asked)
    dates = np.unique(np.concatenate([venue.session[venue.first :] for venue in prices]))
    events = events_of(book, asked.themes, prices, issuers, dates)
    counted = {**key, "start": start, "until": until, "issuers": traded, "lean": LEAST_LEAN, "themes": asked.themes}
    return SignalQuality(
        fill=settings.fill, currency=settings.currency, themes=asked.themes, half_life_days=asked.half_life_days,
        lookback_days=asked.lookback_days,
        **return_tables(Panel.of(prices, signals, dates)),
        **event_tables(events, prices),
        venues=_venues(prices, signals, events.by_venue, events.too_late),
        coverage=warehouse.frame(load_sql("chipwire.reports", "coverage.sql"), counted),
    )  # fmt: skip


def _book(readings: Any, settings: Settings) -> SignalBook:
    """Return the readings as the run knew them: its latency added."""
    columns = {name: readings[name].to_numpy() for name in readings.column_names}
    known = columns.pop("available_at").astype("datetime64[us]")
    latency = np.timedelta64(round(settings.latency_minutes * 60_000_000), "us")
    return SignalBook(known + latency, columns)


def _strengths(
    market: Market, prices: tuple[VenuePrices, ...], book: SignalBook, issuers: Mapping[str, str | None], asked: Asked
) -> list[Floats]:
    """Return each venue's signal before each session of the run: (sessions, instruments), NaN where there is none."""
    if not len(book):
        return [np.full((len(venue.session) - venue.first, len(venue.symbols)), np.nan) for venue in prices]
    panels = DuckPanels(market, book, issuers)
    column = {issuer: number for number, issuer in enumerate(panels.issuers)}
    found = []
    for panel, place, venue in zip(panels.venues, market.venues, prices, strict=True):
        strength = panel.strength(
            themes=asked.themes, half_life_days=asked.half_life_days, lookback_days=asked.lookback_days
        )
        rows = strength[venue.row[venue.first :] - place.first]
        signal = np.full((len(rows), len(venue.symbols)), np.nan)
        for number, symbol in enumerate(venue.symbols):
            if (issuer := issuers[symbol]) is not None:
                signal[:, number] = np.round(rows[:, column[issuer]], DIGITS)
        found.append(np.where(signal == 0, np.nan, signal))
    return found


def _venues(
    prices: tuple[VenuePrices, ...], signals: list[Floats], events: list[int], too_late: list[int]
) -> pd.DataFrame:  # fmt: skip
    rows = []
    for number, (venue, signal) in enumerate(zip(prices, signals, strict=True)):
        changes = turnover_by_day(signal)
        changes = changes[np.isfinite(changes)]
        rows.append(
            {
                "venue": venue.mic, "instruments": len(venue.symbols), "sessions": len(signal),
                "benchmark": venue.benchmark or "mean of the others",
                "with_signal": float(np.isfinite(signal).mean()) if signal.size else np.nan,
                "turnover": float(changes.mean()) if len(changes) else np.nan,
                "events": events[number], "too_late": too_late[number],
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
