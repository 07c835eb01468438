"""Data as if nothing were known after an instant, or as if all of that were false: for the look-ahead check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chipwire.engine.market import Floats, FxBook, Instants, Market, VenueMarket
from chipwire.engine.view import SignalBook

How = Literal["cut", "scrambled"]


def blind_market(market: Market, after: np.datetime64, how: How, seed: int = 0) -> Market:
    """Return the market with every price, volume, action and rate after an instant cut or scrambled.

    The calendar stays: it is published ahead. So do actions of a session that is decided by then.
    """
    random = np.random.default_rng(seed)
    venues = tuple(_venue(venue, after, how, random) for venue in market.venues)
    return replace(market, venues=venues, fx=_fx(market.fx, after, how, random))


def blind_signals(book: SignalBook, after: np.datetime64, how: How, seed: int = 0) -> SignalBook:
    """Return the signals with those available after an instant cut, or with issuers and values scrambled."""
    known = int(np.searchsorted(book.available_at, after, side="right"))
    if how == "cut":
        return SignalBook(book.available_at[:known], {name: column[:known] for name, column in book.columns.items()})
    random = np.random.default_rng(seed)
    columns = {name: column.copy() for name, column in book.columns.items()}
    for name in ("issuer", "theme", "value"):
        columns[name][known:] = random.permutation(columns[name][known:])
    columns["value"][known:] *= random.choice((-1.0, 1.0), len(book) - known)
    return SignalBook(book.available_at, columns)


def _venue(venue: VenueMarket, after: np.datetime64, how: How, random: np.random.Generator) -> VenueMarket:
    begun = np.minimum(venue.decide_at, venue.open_at) <= after
    actions = {key: actions for key, actions in venue.actions.items() if begun[key[0]]}
    changed: dict[str, Any] = {
        name: _later(getattr(venue, name), venue.close_at > after, how, random)
        for name in ("high", "low", "close", "volume")
    }
    changed["open"] = _later(venue.open, venue.open_at > after, how, random)
    return replace(venue, actions=actions, **changed)


def _later(values: Floats, later: NDArray[np.bool_], how: How, random: np.random.Generator) -> Floats:
    changed = values.copy()
    changed[later] = np.nan if how == "cut" else changed[later] * random.uniform(0.5, 2.0, changed[later].shape)
    return changed


def _fx(fx: FxBook, after: np.datetime64, how: How, random: np.random.Generator) -> FxBook:
    at: dict[str, Instants] = {}
    rate: dict[str, Floats] = {}
    for currency, instants in fx.at.items():
        known = int(np.searchsorted(instants, after, side="right"))
        if how == "cut":
            at[currency], rate[currency] = instants[:known], fx.rate[currency][:known]
        else:
            at[currency] = instants
            rate[currency] = _later(fx.rate[currency], instants > after, how, random)
    return FxBook(fx.base, at, rate)
