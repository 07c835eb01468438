"""Data that becomes known as the clock goes on: at each instant only what is over is there, the rest cut or false.

So one run hides the future from every decision at once, and not from a few of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chipwire.engine.market import Action, Floats, FxBook, Market, VenueMarket
from chipwire.engine.settings import Settings
from chipwire.engine.view import PointInTimeView, SignalBook

How = Literal["cut", "scrambled"]
IN_MEMORY = ("bars", "signals", "fx", "actions")
"""Sources that a run holds in memory."""

_PRICES = ("open", "high", "low", "close", "volume")
_FALSE_ACTIONS = 3


class LiveData:
    """A market and signals of which only what is known by now is true.

    Parameters
    ----------
    market : Market
    book : SignalBook or None
    settings : Settings
        For the auction at which a run fills: what may fill depends on the volume of its bar.
    how : str
        ``cut``: nothing is there; ``scrambled``: false values are, which are replaced in place as they become known.
    sources : collection of str
        Those that are hidden; the others are true throughout.
    seed : int
        Of the false values.
    """

    def __init__(
        self,
        market: Market,
        book: SignalBook | None,
        settings: Settings,
        how: How,
        sources: Collection[str] = IN_MEMORY,
        seed: int = 0,
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._how = how
        self._sources = frozenset(sources)
        self._truth, self._true_book = market, book
        self._volume_at = "open_at" if settings.fill == "open" else "close_at"
        self._known: dict[tuple[int, str], int] = {}
        self._begun = [-1] * len(market.venues)
        venues = tuple(self._hidden(venue) for venue in market.venues)
        self._false_actions = [self._make_actions(venue) for venue in market.venues]
        self._rate = dict(market.fx.rate)
        self._fx_known = dict.fromkeys(market.fx.at, 0)
        if "fx" in self._sources and how == "scrambled":
            self._rate = {name: self._false(rate) for name, rate in market.fx.rate.items()}
        self.market = replace(market, venues=venues, fx=FxBook(market.fx.base, market.fx.at, self._rate))
        self.book = book
        self._signals_known = 0
        if book is not None and "signals" in self._sources:
            self.book = self._hidden_book(book)

    def reveal(self, now: np.datetime64) -> None:
        """Let everything that is over by now become known."""
        for number, (true, live) in enumerate(zip(self._truth.venues, self.market.venues, strict=True)):
            if "bars" in self._sources:
                self._reveal_bars(number, true, live, now)
            if "actions" in self._sources:
                self._reveal_actions(number, true, live, now)
        if "fx" in self._sources:
            self._reveal_fx(now)
        if self._true_book is not None and "signals" in self._sources:
            self._reveal_signals(self._true_book, now)

    def show(self, view: PointInTimeView) -> PointInTimeView:
        """Return a view of a decision with nothing later behind it."""
        self.reveal(np.datetime64(view.now.replace(tzinfo=None), "us"))
        return replace(view, _market=self.market, _book=self.book)

    # --- bars and actions --------------------------------------------------------------------------------

    def _hidden(self, venue: VenueMarket) -> VenueMarket:
        changed: dict[str, Floats] = {}
        if "bars" in self._sources:
            for name in _PRICES:
                true: Floats = getattr(venue, name)
                changed[name] = np.full_like(true, np.nan) if self._how == "cut" else self._false(true)
        actions = {} if "actions" in self._sources else venue.actions
        return replace(venue, actions=actions, **changed)  # type: ignore[arg-type]

    def _false(self, true: Floats) -> Floats:
        """Return other values of a plausible size, where there are any."""
        false: Floats = true * self._random.uniform(0.5, 2.0, true.shape)
        return false

    def _reveal_bars(self, number: int, true: VenueMarket, live: VenueMarket, now: np.datetime64) -> None:
        known_at = {"open": "open_at", "volume": self._volume_at}
        for name in _PRICES:
            start = self._known.get((number, name), 0)
            end = int(np.searchsorted(getattr(true, known_at.get(name, "close_at")), now, side="right"))
            if end > start:
                getattr(live, name)[start:end] = getattr(true, name)[start:end]
                self._known[number, name] = end

    def _make_actions(self, venue: VenueMarket) -> dict[tuple[int, int], tuple[Action, ...]]:
        """Return splits that never happen."""
        if self._how == "cut" or not len(venue.session):
            return {}
        rows = np.unique(venue.day_start)
        places = zip(
            self._random.choice(rows, _FALSE_ACTIONS).tolist(),
            self._random.integers(0, len(venue.instruments), _FALSE_ACTIONS).tolist(),
            strict=True,
        )
        return {place: (Action("split", 2.0),) for place in places}

    def _reveal_actions(self, number: int, true: VenueMarket, live: VenueMarket, now: np.datetime64) -> None:
        """Show the actions of sessions that are decided by now: they are announced before."""
        begun = int(np.searchsorted(np.minimum(true.decide_at, true.open_at), now, side="right"))
        if begun == self._begun[number]:
            return
        self._begun[number] = begun
        assert isinstance(live.actions, dict)  # noqa: S101 - made in `_hidden`
        live.actions.clear()
        live.actions.update({key: given for key, given in true.actions.items() if key[0] < begun})
        live.actions.update({key: given for key, given in self._false_actions[number].items() if key[0] >= begun})

    # --- FX and signals ----------------------------------------------------------------------------------

    def _reveal_fx(self, now: np.datetime64) -> None:
        true = self._truth.fx
        at = dict(true.at)
        for name, instants in true.at.items():
            known = int(np.searchsorted(instants, now, side="right"))
            if self._how == "cut":
                at[name], self._rate[name] = instants[:known].copy(), true.rate[name][:known].copy()
            elif known > self._fx_known[name]:
                self._rate[name][:known] = true.rate[name][:known]
            self._fx_known[name] = known
        if self._how == "cut":
            self.market = replace(self.market, fx=FxBook(true.base, at, self._rate))

    def _hidden_book(self, book: SignalBook) -> SignalBook:
        if self._how == "cut":
            return SignalBook(book.available_at[:0], {name: column[:0] for name, column in book.columns.items()})
        columns = {name: column.copy() for name, column in book.columns.items()}
        for name in ("issuer", "theme", "value", "novelty"):
            columns[name] = self._random.permutation(columns[name])
        columns["value"] = columns["value"] * self._random.choice((-1.0, 1.0), len(book))
        return SignalBook(book.available_at, columns)

    def _reveal_signals(self, true: SignalBook, now: np.datetime64) -> None:
        known = int(np.searchsorted(true.available_at, now, side="right"))
        if known == self._signals_known:
            return
        start, self._signals_known = self._signals_known, known
        if self._how == "cut":
            self.book = SignalBook(
                true.available_at[:known].copy(), {name: column[:known].copy() for name, column in true.columns.items()}
            )
            return
        assert self.book is not None  # noqa: S101 - there is a true one
        for name, column in self.book.columns.items():
            _fill(column, true.columns[name], start, known)


def _fill(column: NDArray[np.generic], true: NDArray[np.generic], start: int, end: int) -> None:
    column[start:end] = true[start:end]
