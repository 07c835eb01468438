"""Panels of many worlds that share a market and differ in their news: each strength is read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chipwire.data.warehouse import Warehouse
from chipwire.engine.market import Days, Floats, Instants, Market
from chipwire.engine.panel_events import Events
from chipwire.engine.panels import News, Panel, issuers_of, wanted_keys
from chipwire.engine.view import SignalBook
from chipwire.strategies.panels import Fresh


class WorldPanels:
    """One of the worlds; see `chipwire.strategies.panels.Panels`."""

    def __init__(self, universe: tuple[str, ...], issuers: tuple[str, ...], venues: tuple[_WorldPanel, ...]) -> None:
        self.universe, self.issuers, self.venues = universe, issuers, venues


def world_panels(
    market: Market,
    books: Sequence[SignalBook],
    issuers: Mapping[str, str | None],
    configurations: Iterable[Mapping[str, Any]],
) -> list[WorldPanels]:
    """Return panels for each book.

    Parameters
    ----------
    market : Market
    books : sequence of SignalBook
        One for each world; all have the same themes and half-lives.
    issuers : mapping
        Issuer of every instrument.
    configurations : iterable of mappings
        Parameters that will be asked for; see `chipwire.engine.panels.DuckPanels.expect`.
    """
    names = issuers_of(market, issuers)
    each = [News.of(book, names) for book in books]
    news = _beside(each, len(names))
    scratch = lru_cache(Warehouse.scratch)
    wanted = wanted_keys(configurations)
    shared = []
    for venue in market.venues:
        panel = Panel(venue, news, issuers, len(names) * len(books), scratch, market)
        panel.expect(wanted)
        shared.append(_Shared(panel))
    found = []
    for number in range(len(books)):
        columns = slice(number * len(names), (number + 1) * len(names))
        events = each[number].events
        found.append(WorldPanels(market.symbols, names, tuple(_WorldPanel(own, columns, events) for own in shared)))
    return found


def _beside(each: Sequence[News], issuers: int) -> News:
    """Put the issuers of all worlds beside each other."""
    kinds = len(each[0].themes)
    tables = [
        one.table.set_column(
            one.table.schema.get_field_index("slot"), "slot",
            pa.array(one.table["slot"].to_numpy() + number * issuers * kinds),
        )
        for number, one in enumerate(each)
    ]  # fmt: skip
    return replace(each[0], table=pa.concat_tables(tables))


class _Shared:
    """A venue's panel over the issuers of all worlds; the last sums are kept, since every world asks for the same."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self._kept: dict[Any, Floats] = {}

    def strength(self, themes: Sequence[str] | None, half_life_days: float | None, lookback_days: float) -> Floats:
        key = (None if themes is None else tuple(themes), half_life_days, lookback_days)
        if key not in self._kept:
            self._kept[key] = self.panel.strength(
                themes=themes, half_life_days=half_life_days, lookback_days=lookback_days
            )
        return self._kept[key]


class _WorldPanel:
    """One venue of one world; see `chipwire.strategies.panels.VenuePanel`."""

    def __init__(self, shared: _Shared, columns: slice, events: Events) -> None:
        self._shared, self._columns, self._events = shared, columns, events
        self.mic: str = shared.panel.mic
        self.decide_at: Instants = shared.panel.decide_at
        self.session: Days = shared.panel.session
        self.instruments: tuple[str, ...] = shared.panel.instruments
        self.issuers: tuple[str | None, ...] = shared.panel.issuers

    @property
    def listed(self) -> NDArray[np.bool_]:
        """The same in all worlds."""
        return self._shared.panel.listed

    def strength(self, *, themes: Sequence[str] | None, half_life_days: float | None, lookback_days: float) -> Floats:
        """Return this world's part of the shared strengths."""
        found = self._shared.strength(themes, half_life_days, lookback_days)
        return np.ascontiguousarray(found[:, self._columns])

    def fresh(self, *, themes: Sequence[str], threshold: float, min_novelty: float) -> Fresh:
        """Return who has news since the decision before."""
        return self._events.fresh(self.decide_at, themes, threshold, min_novelty)
