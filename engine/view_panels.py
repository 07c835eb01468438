"""Panels made from one decision's signals after the other: plain, the sums that each view would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chipwire.engine.market import Days, Floats, Instants, Market, VenueMarket
from chipwire.engine.view import SignalBook


class _News:
    """The signals of a run that move an issuer of its universe, coded once for all panels."""

    def __init__(self, book: SignalBook, issuers: Sequence[str]) -> None:
        number = {name: column for column, name in enumerate(issuers)}
        codes, known = pd.factorize(np.asarray(book.columns["issuer"], dtype=object))
        column = np.array([number.get(name, -1) for name in known], dtype=np.intp)[codes]
        own = column >= 0
        theme, names = pd.factorize(np.asarray(book.columns["theme"], dtype=object)[own])
        self.column: NDArray[np.intp] = column[own]
        self.theme: NDArray[np.intp] = theme
        self.themes: list[str] = [str(name) for name in names]
        self.available_at: Instants = book.available_at[own]
        named = ("value", "novelty", "relevance", "theme_weight", "half_life_days")
        value, novelty, relevance, weight, half_life = (np.asarray(book.columns[name], float)[own] for name in named)
        self.size: Floats = value * novelty * relevance * weight
        self.half_life: Floats = half_life


class ViewPanel:
    """One venue's decisions; see `chipwire.strategies.panels.VenuePanel`."""

    def __init__(self, venue: VenueMarket, news: _News | None, issuers: Mapping[str, str | None], columns: int) -> None:
        self.mic: str = venue.mic
        self.decide_at: Instants = venue.decide_at[venue.first :]
        self.session: Days = venue.session[venue.first :]
        self.instruments: tuple[str, ...] = tuple(instrument.symbol for instrument in venue.instruments)
        self.issuers: tuple[str | None, ...] = tuple(issuers[name] for name in self.instruments)
        self._news = news
        self._columns = columns

    def strength(self, *, themes: Sequence[str] | None, half_life_days: float | None, lookback_days: float) -> Floats:
        """Return summed strength (decisions, issuers): the sum that `View.signals` would give at each decision."""
        if self._news is None:
            raise ValueError("this strategy declares reads_signals = False and must not ask for signals")
        news = self._news
        chosen = np.array([themes is None or name in themes for name in news.themes], dtype=bool)
        counts = np.flatnonzero(chosen[news.theme]) if len(news.theme) else np.zeros(0, dtype=np.intp)
        column, at, size = news.column[counts], news.available_at[counts], news.size[counts]
        half_life = news.half_life[counts] if half_life_days is None else np.full(len(size), half_life_days)
        low = np.searchsorted(at, self.decide_at - np.timedelta64(round(lookback_days * 86_400_000_000), "us"), "left")
        high = np.searchsorted(at, self.decide_at, "right")
        found = np.zeros((len(self.decide_at), self._columns))
        for row, instant in enumerate(self.decide_at):
            part = slice(int(low[row]), int(high[row]))
            age = (instant - at[part]) / np.timedelta64(1, "D")
            strength = size[part] * np.exp2(-age / half_life[part])
            found[row] = np.bincount(column[part], strength, minlength=self._columns)
        return found


class ViewPanels:
    """All venues of a run; see `chipwire.strategies.panels.Panels`."""

    def __init__(self, market: Market, book: SignalBook | None, issuers: Mapping[str, str | None]) -> None:
        self.universe: tuple[str, ...] = market.symbols
        listed = {issuers[name] for name in self.universe}
        self.issuers: tuple[str, ...] = tuple(sorted(name for name in listed if name is not None))
        news = None if book is None else _News(book, self.issuers)
        self.venues: tuple[ViewPanel, ...] = tuple(
            ViewPanel(venue, news, issuers, len(self.issuers)) for venue in market.venues
        )
