"""Panels for set-wise strategies: what the news says at every decision, for all half-lives and themes, by DuckDB.

Between two neighbouring cuts (the decisions, and the instants at which they stop looking back) news is added up once
by DuckDB, as it stands at the later cut. A decision then adds the pieces that it sees, each faded by its age: decay
over two spans is the product of both. So a million signals are read once and not once for each decision.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.market import Days, Floats, Instants, Market, VenueMarket
from chipwire.engine.panel_events import Events
from chipwire.engine.view import LOOKBACK_LIMIT_DAYS, SignalBook
from chipwire.strategies.panels import Fresh

AT_ONCE = 8
"""Half-lives in one pass over the news; the statement has as many."""
KEPT = 64
"""Strengths kept for each venue: (decisions, issuers, kinds) each."""

_DAY = np.timedelta64(1, "D")
_Key = tuple[float | None, float]


@dataclass(frozen=True)
class News:
    """The signals of a run that move an issuer of its universe, in coded columns.

    Attributes
    ----------
    table : pyarrow.Table
        ``slot`` (issuer x kind), ``size`` (strength without decay), ``half_life`` (days), ``at``; oldest first.
    themes : tuple of str
        Of each kind of news.
    half_life : ndarray, shape (kinds,)
        Its own, days: a kind is a theme and a half-life.
    events : Events
        The same signals one by one.
    """

    table: pa.Table
    themes: tuple[str, ...]
    half_life: Floats
    events: Events

    @classmethod
    def of(cls, book: SignalBook, issuers: Sequence[str]) -> News:
        """Code the signals of a book."""
        codes, known = pd.factorize(np.asarray(book.columns["issuer"], dtype=object))
        number = {name: column for column, name in enumerate(issuers)}
        column = np.array([number.get(name, -1) for name in known], dtype=np.int64)[codes]
        own = column >= 0
        names = ("value", "novelty", "relevance", "theme_weight", "half_life_days")
        value, novelty, relevance, weight, half_life = (np.asarray(book.columns[name], float)[own] for name in names)
        theme_code, theme_names = pd.factorize(np.asarray(book.columns["theme"], dtype=object)[own], sort=True)
        length_code, lengths = pd.factorize(half_life, sort=True)  # days
        # Only pairs that occur are kinds.
        pairs, kind = np.unique(theme_code * max(len(lengths), 1) + length_code, return_inverse=True)
        table = pa.table({
            "slot": column[own] * len(pairs) + kind, "size": value * novelty * relevance * weight,
            "half_life": half_life, "at": book.available_at[own],
        })  # fmt: skip
        themes = tuple(str(theme_names[pair // len(lengths)]) for pair in pairs)
        own_lengths = np.array([lengths[pair % len(lengths)] for pair in pairs], dtype=np.float64)
        return cls(table, themes, own_lengths, Events.of(book, issuers))


class Panel:
    """One venue's decisions; see `chipwire.strategies.panels.VenuePanel`."""

    def __init__(self, venue: VenueMarket, news: News | None, issuers: Mapping[str, str | None], columns: int,
                 scratch: Callable[[], Warehouse], market: Market) -> None:  # fmt: skip
        self.mic: str = venue.mic
        self.decide_at: Instants = venue.decide_at[venue.first :]
        self.session: Days = venue.session[venue.first :]
        self.instruments: tuple[str, ...] = tuple(instrument.symbol for instrument in venue.instruments)
        self.issuers: tuple[str | None, ...] = tuple(issuers[name] for name in self.instruments)
        self._news = news
        self._columns = columns
        self._scratch = scratch
        self._market = market
        self._wanted: tuple[_Key, ...] = ()
        self._known: OrderedDict[_Key, Floats] = OrderedDict()

    def strength(self, *, themes: Sequence[str] | None, half_life_days: float | None, lookback_days: float) -> Floats:
        """Return summed strength (decisions, issuers): the sum that `View.signals` would give at each decision.

        Raises
        ------
        ValueError
            The strategy declares that it reads no signals, or an argument is out of range.
        """
        if self._news is None:
            raise ValueError("this strategy declares reads_signals = False and must not ask for signals")
        if not 0 < lookback_days <= LOOKBACK_LIMIT_DAYS:
            allowed = f"more than 0, at most {LOOKBACK_LIMIT_DAYS}"
            raise ValueError(f"lookback_days={lookback_days} is not allowed: {allowed}")
        if half_life_days is not None and not half_life_days > 0:
            raise ValueError(f"half_life_days={half_life_days} is not allowed: more than 0, or None")
        key = (half_life_days, lookback_days)
        if key not in self._known:
            self._read(self._news, key)
        self._known.move_to_end(key)
        chosen = [kind for kind, theme in enumerate(self._news.themes) if themes is None or theme in themes]
        found: Floats = self._known[key][:, :, chosen].sum(axis=2)
        return found

    def fresh(self, *, themes: Sequence[str], threshold: float, min_novelty: float) -> Fresh:
        """Return who has news since the decision before; see `chipwire.strategies.panels.VenuePanel.fresh`.

        Raises
        ------
        ValueError
            The strategy declares that it reads no signals.
        """
        if self._news is None:
            raise ValueError("this strategy declares reads_signals = False and must not ask for signals")
        return self._news.events.fresh(self.decide_at, themes, threshold, min_novelty)

    @cached_property
    def listed(self) -> NDArray[np.bool_]:
        """Whether an instrument has had an auction by the decision; shape (decisions, all instruments)."""
        first = np.concatenate([first_auctions(venue) for venue in self._market.venues])
        return first <= self.decide_at[:, np.newaxis]

    def expect(self, wanted: Iterable[_Key]) -> None:
        """Say which half-lives and lookbacks will be asked for, in order: they are then read together."""
        self._wanted = tuple(wanted)

    def _read(self, news: News, key: _Key) -> None:
        """Read strengths of a key, and of those expected after it that share its lookback."""
        first = self._wanted.index(key) if key in self._wanted else len(self._wanted)
        later = (each for each in self._wanted[first:] if each[1] == key[1] and each not in self._known)
        half_lives = list(dict.fromkeys([key[0], *(half_life for half_life, _ in later)]))[:AT_ONCE]
        back = np.timedelta64(round(key[1] * 86_400_000_000), "us")
        # The last instant that a decision does not see any more; it sees news that is as old as the lookback.
        blind = self.decide_at - back - np.timedelta64(1, "us")
        cuts = np.unique(np.concatenate([self.decide_at, blind]))
        low, high = np.searchsorted(cuts, blind) + 1, np.searchsorted(cuts, self.decide_at) + 1
        for half_life, pieces in zip(half_lives, self._pieces(news, cuts, half_lives), strict=True):
            fade = news.half_life if half_life is None else np.full(len(news.themes), half_life)
            found = np.zeros((len(self.decide_at), *pieces.shape[1:]))
            for row, at in enumerate(self.decide_at):
                part = slice(int(low[row]), int(high[row]))
                age = (at - cuts[part]) / _DAY
                found[row] = (pieces[part] * np.exp2(-age[:, None] / fade)[:, None, :]).sum(axis=0)
            self._known[half_life, key[1]] = found
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _pieces(self, news: News, cuts: Instants, half_lives: Sequence[float | None]) -> list[Floats]:
        """Return for each half-life the news between cuts, as it stands at the later one: (cuts, issuers, kinds)."""
        shape = (len(cuts), self._columns, len(news.themes))
        width = shape[1] * shape[2]
        padded = [*half_lives, *([half_lives[0]] * (AT_ONCE - len(half_lives)))]
        given: dict[str, Any] = {"width": width} | {f"h{place}": value for place, value in enumerate(padded)}
        cut = pa.table({"number": np.arange(len(cuts)), "at": cuts})
        found = self._scratch().arrow(load_sql("chipwire.engine", "panel_pieces.sql"), given, news=news.table, cut=cut)
        slot: NDArray[np.int64] = found["slot"].to_numpy()
        pieces = []
        for place in range(len(half_lives)):
            dense = np.zeros(shape[0] * width)
            dense[slot] = found[f"s{place}"].to_numpy()
            pieces.append(dense.reshape(shape))
        return pieces


class DuckPanels:
    """All venues of a run; see `chipwire.strategies.panels.Panels`.

    Parameters
    ----------
    market : Market
    news : SignalBook, News or None
        None for strategies that read no signals. News of the issuers of the market's instruments, sorted.
    issuers : mapping
        Issuer of every instrument.
    """

    def __init__(self, market: Market, news: SignalBook | News | None, issuers: Mapping[str, str | None]) -> None:
        self.universe: tuple[str, ...] = market.symbols
        self.issuers: tuple[str, ...] = issuers_of(market, issuers)
        coded = News.of(news, self.issuers) if isinstance(news, SignalBook) else news
        scratch = lru_cache(Warehouse.scratch)  # one for all venues, opened when it is needed, closed with the panels
        self.venues: tuple[Panel, ...] = tuple(
            Panel(venue, coded, issuers, len(self.issuers), scratch, market) for venue in market.venues
        )

    def expect(self, configurations: Iterable[Mapping[str, Any]]) -> None:
        """Look into the parameters for half-lives and lookbacks that will be asked for.

        Names and meaning are those of `chipwire.strategies.selection`; a strategy may ask for any others too, which
        are then read when it does.
        """
        wanted = wanted_keys(configurations)
        for venue in self.venues:
            venue.expect(wanted)


def wanted_keys(configurations: Iterable[Mapping[str, Any]]) -> list[_Key]:
    """Return the half-lives (None: the news' own) and lookbacks, in days, that parameters speak of, each pair once."""
    wanted: dict[_Key, None] = {}
    for values in configurations:
        half_life, lookback = values.get("half_life"), values.get("lookback")
        if isinstance(half_life, float) and isinstance(lookback, float) and half_life >= 0 and lookback > 0:
            wanted[half_life or None, lookback] = None
    return list(wanted)


def first_auctions(venue: VenueMarket) -> Instants:
    """Return when each instrument had its first auction with a price that the run knows of; NaT for none."""
    found = np.full(len(venue.instruments), np.datetime64("NaT"), dtype="datetime64[us]")
    opens = venue.open.copy()
    opens[: venue.first] = np.nan  # of what was before the run the closes are known
    for prices, at in ((venue.close, venue.close_at), (opens, venue.open_at)):
        there = ~np.isnan(prices)
        own = at[there.argmax(axis=0)] if len(at) else found
        found = np.fmin(found, np.where(there.any(axis=0), own, np.datetime64("NaT")))
    return found


def issuers_of(market: Market, issuers: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the issuers of a market's instruments, sorted, each once."""
    listed = {issuers[name] for name in market.symbols}
    return tuple(sorted(name for name in listed if name is not None))
