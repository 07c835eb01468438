"""The point-in-time view: signals, prices and holdings as they were known at one decision, and not a row more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chipwire.data.errors import UnknownName
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.market import Market, VenueMarket
from chipwire.engine.settings import Settings

LOOKBACK_LIMIT_DAYS = 365
"""Signals older than this before the start are not loaded; `View.signals` refuses to look back further."""

MAX_CAUSES = 5


@dataclass(frozen=True)
class SignalBook:
    """All signals that a run could see, as columns in the order of availability.

    Attributes
    ----------
    available_at : ndarray of datetime64[us]
        With the run's latency added.
    """

    available_at: NDArray[np.datetime64]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.available_at)


def load_signals(warehouse: Warehouse, settings: Settings, model_id: str, linker: str) -> SignalBook:
    """Read the signals of one model and linker."""
    span = {
        "model": model_id,
        "linker": linker,
        "start": datetime.combine(settings.start, datetime.min.time())
        - timedelta(days=LOOKBACK_LIMIT_DAYS, minutes=settings.latency_minutes),
        "end": datetime.combine(settings.end, datetime.max.time()),
    }
    table = warehouse.arrow(load_sql("chipwire.engine", "signals.sql"), span)
    columns = {
        name: table[name].to_numpy()
        if name not in {"headline_id", "issuer", "theme", "event", "model_id"}
        else np.array(table[name].to_pylist(), dtype=object)
        for name in table.column_names
    }
    latency = np.timedelta64(round(settings.latency_minutes * 60_000_000), "us")
    instants: NDArray[np.datetime64] = columns.pop("available_at").astype("datetime64[us]")
    return SignalBook(np.add(instants, latency), columns)


@dataclass(frozen=True)
class Cause:
    """A signal behind a decision, as the strategy saw it."""

    headline_id: str
    issuer: str
    theme: str
    model_id: str
    strength: float
    relation: str


@dataclass(frozen=True)
class PointInTimeView:
    """See `chipwire.strategies.base.View`, of which this is the engine's side.

    `reads` keeps what the strategy was shown, so that each order can be followed back to it.
    """

    now: datetime
    since: datetime | None
    venue: str
    session: date
    instruments: Sequence[str]
    universe: Sequence[str]
    positions: Mapping[str, int]
    equity: float
    _market: Market
    _book: SignalBook | None
    _issuers: Mapping[str, str | None]
    _last_prices: Mapping[str, float]
    awaited: Sequence[str] = ()
    reads: list[pd.DataFrame] = field(default_factory=list)

    def issuer(self, instrument: str) -> str | None:
        """Return the issuer of an instrument; None for a fund."""
        if instrument not in self._issuers:
            raise UnknownName("instrument", instrument, self._issuers)
        return self._issuers[instrument]

    def signals(
        self,
        *,
        themes: Sequence[str] | None = None,
        half_life_days: float | None = None,
        lookback_days: float = 30.0,
    ) -> pd.DataFrame:
        """Return the signals available by now; see the protocol for the columns."""
        if not 0 < lookback_days <= LOOKBACK_LIMIT_DAYS:
            allowed = f"more than 0, at most {LOOKBACK_LIMIT_DAYS}"
            raise ValueError(f"lookback_days={lookback_days} is not allowed: {allowed}")
        if half_life_days is not None and not half_life_days > 0:
            raise ValueError(
                f"half_life_days={half_life_days} is not allowed: more than 0, or None for each theme's own"
            )
        if self._book is None:
            raise ValueError("this strategy declares reads_signals = False and must not ask for signals")
        instant = _instant(self.now)
        start = instant - np.timedelta64(round(lookback_days * 86_400_000_000), "us")
        low = int(np.searchsorted(self._book.available_at, start, side="left"))
        high = int(np.searchsorted(self._book.available_at, instant, side="right"))
        part = {name: column[low:high] for name, column in self._book.columns.items()}
        available_at = self._book.available_at[low:high]
        age = (instant - available_at) / np.timedelta64(1, "D")
        half_life = part.pop("half_life_days") if half_life_days is None else half_life_days
        part.pop("half_life_days", None)
        strength = part["value"] * part["novelty"] * part["relevance"] * part.pop("theme_weight")
        frame = pd.DataFrame(
            {
                **part,
                "available_at": pd.DatetimeIndex(available_at, tz=UTC),
                "age_days": age,
                "strength": strength * np.exp2(-age / half_life),
            }
        )
        if themes is not None:
            frame = frame[frame["theme"].isin(list(themes))].reset_index(drop=True)
        self.reads.append(frame.copy(deep=False))  # lazily copied: the strategy may change its own
        return frame

    def prices(self, instrument: str, sessions: int) -> pd.DataFrame:
        """Return the last bars that are over at this decision."""
        venue, column = _find(self._market, instrument)
        over = int(np.searchsorted(venue.close_at, _instant(self.now), side="right"))
        known = np.flatnonzero(~np.isnan(venue.close[:over, column]))
        rows = known[max(0, len(known) - sessions) :]
        names = ("open", "high", "low", "close", "volume")
        return pd.DataFrame(
            {"session": venue.session[rows], **{name: getattr(venue, name)[rows, column] for name in names}}
        )

    def last_price(self, instrument: str) -> float:
        """Return the last known price in local currency; NaN when there was none yet."""
        if instrument not in self._last_prices:
            raise UnknownName("instrument", instrument, self._last_prices)
        return self._last_prices[instrument]

    def causes(self, instrument: str) -> list[Cause]:
        """Return what the strategy read about the instrument's issuer, strongest first; else what outweighed it."""
        if not self.reads:
            return []
        read = pd.concat(self.reads) if len(self.reads) > 1 else self.reads[0]
        own = read[read["issuer"] == self._issuers[instrument]]
        return _strongest(own, "own") or _strongest(read, "rival")


def _strongest(read: pd.DataFrame, relation: str) -> list[Cause]:
    if read.empty:
        return []
    ranked = read.assign(size=read["strength"].abs()).sort_values(
        ["size", "available_at", "headline_id", "issuer", "theme"], ascending=[False, False, True, True, True]
    )
    distinct = ranked.drop_duplicates(["headline_id", "issuer"]).head(MAX_CAUSES)
    return [
        Cause(headline_id, issuer, theme, model_id, float(strength), relation)
        for headline_id, issuer, theme, model_id, strength in zip(
            *(distinct[name] for name in ("headline_id", "issuer", "theme", "model_id", "strength")), strict=True
        )
    ]


def _instant(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _find(market: Market, symbol: str) -> tuple[VenueMarket, int]:
    for venue in market.venues:
        for column, instrument in enumerate(venue.instruments):
            if instrument.symbol == symbol:
                return venue, column
    raise UnknownName("instrument", symbol, market.symbols)
