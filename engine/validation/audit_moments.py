"""The moments at which a look-ahead hides: which decisions are risky, and at which ones the warehouse itself is cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from chipwire.data.calendars import venue as venue_facts
from chipwire.engine.account import utc
from chipwire.engine.market import Instants, Market, VenueMarket
from chipwire.engine.view import SignalBook

Flags = NDArray[np.bool_]
_DAY = np.timedelta64(1, "D")
_HOUR = np.timedelta64(1, "h")
_BIG_FX = 0.99
"""A rate's move is big beyond this quantile of its moves."""


@dataclass(frozen=True)
class Moments:
    """Decisions of a run.

    Attributes
    ----------
    decisions : tuple of datetime
        All, in the order of time, each instant once.
    risky : mapping of str to tuple of datetime
        By kind of risk; a decision may be of several.
    chosen : tuple of datetime
        At these the warehouse is cut: one of each kind as far as they go, then drawn ones.
    drawn : int
        How many of `chosen` were drawn.
    """

    decisions: tuple[datetime, ...]
    risky: dict[str, tuple[datetime, ...]]
    chosen: tuple[datetime, ...]
    drawn: int


def choose_moments(
    market: Market, book: SignalBook | None, day_stamped: frozenset[str], count: int, seed: int
) -> Moments:
    """Find the risky decisions of a run and choose some moments.

    Parameters
    ----------
    day_stamped : frozenset of str
        Headlines of which only the day is known.
    count : int
        How many moments to choose.
    """
    found: dict[str, set[datetime]] = {}
    for venue in market.venues:
        for kind, rows in _risks(venue, market, book, day_stamped):
            own = np.flatnonzero(rows[venue.first :]) + venue.first
            found.setdefault(kind, set()).update(utc(venue.decide_at[row]) for row in own)
    decisions = sorted({utc(at) for venue in market.venues for at in venue.decide_at[venue.first :]})
    risky = {kind: tuple(sorted(moments)) for kind, moments in found.items() if moments}
    random = np.random.default_rng(seed)
    # After the very last decision there is little left to cut.
    open_to = decisions[:-1]
    chosen: list[datetime] = []
    for moments in risky.values():
        free = [moment for moment in moments if moment in set(open_to) - set(chosen)]
        if free and len(chosen) < count:
            chosen.append(free[int(random.integers(len(free)))])
    rest = [moment for moment in open_to if moment not in set(chosen)]
    drawn = min(max(count - len(chosen), 0), len(rest))
    places = sorted(random.choice(len(rest), drawn, replace=False).tolist()) if drawn else []
    chosen += [rest[place] for place in places]
    return Moments(tuple(decisions), risky, tuple(sorted(chosen)), drawn)


def _risks(
    venue: VenueMarket, market: Market, book: SignalBook | None, day_stamped: frozenset[str]
) -> Iterator[tuple[str, Flags]]:
    """Yield each kind of risk with the rows of a venue that are of it."""
    rows = len(venue.session)
    if not rows:
        return
    yield "corporate actions", np.isin(np.arange(rows), [row for row, _ in venue.actions])
    yield "half days", _half_days(venue)
    yield "clock changes", _clock_changes(venue)
    yield "around a listing or an end", _edges(venue)
    yield "large FX moves", _fx_moves(venue, market)
    if book is None or not len(book):
        return
    at = book.available_at
    _, first = np.unique(np.asarray(book.columns["issuer"], dtype=object).astype(str), return_index=True)
    yield "first news of an issuer", _decided_on(venue, at[first])
    yield "news between a decision and its session's close", _close_stamped(venue, at)
    stamped = np.array([name in day_stamped for name in book.columns["headline_id"]], dtype=bool)
    yield "news known by its day", _decided_on(venue, at[stamped])
    yield "news within the venue's offset from UTC", _within_offset(venue, at)


def _decided_on(venue: VenueMarket, at: Instants) -> Flags:
    """Return the first decision at or after each instant."""
    rows = np.searchsorted(venue.decide_at, at)
    return np.isin(np.arange(len(venue.session)), rows)


def _close_stamped(venue: VenueMarket, at: Instants) -> Flags:
    after = np.searchsorted(at, venue.decide_at, side="right")
    over = np.searchsorted(at, venue.close_at, side="right")
    return over > after


def _within_offset(venue: VenueMarket, at: Instants) -> Flags:
    """Return decisions soon after which there is news: a clock read in the wrong zone would see it."""
    offset = np.abs(_offset(venue))
    return np.searchsorted(at, venue.decide_at + offset, "right") > np.searchsorted(at, venue.decide_at, "right")


def _offset(venue: VenueMarket) -> NDArray[np.timedelta64]:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(venue_facts(venue.mic).zone)
    offsets = [utc(at).astimezone(zone).utcoffset() for at in venue.open_at]
    return np.array(offsets, dtype="timedelta64[us]")


def _half_days(venue: VenueMarket) -> Flags:
    if len(np.unique(venue.session)) < len(venue.session):  # bars within the day: a day with fewer of them
        counts = np.bincount(venue.day_number)
        return (counts < np.median(counts))[venue.day_number]
    length = venue.close_at - venue.open_at
    short: Flags = length < np.median(length.astype(np.int64)).astype("timedelta64[us]")
    return short


def _clock_changes(venue: VenueMarket) -> Flags:
    offset = _offset(venue)
    return np.append(False, offset[1:] != offset[:-1])


def _edges(venue: VenueMarket) -> Flags:
    """Return the sessions around each instrument's first and last bar."""
    traded = ~np.isnan(venue.close)
    rows = np.zeros(len(traded), dtype=bool)
    for column in range(traded.shape[1]):
        there = np.flatnonzero(traded[:, column])
        if len(there):
            near = [there[0] - 1, there[0], there[0] + 1] if there[0] else []
            near += [there[-1], there[-1] + 1] if there[-1] + 1 < len(traded) else []
            rows[[row for row in near if 0 <= row < len(traded)]] = True
    return rows


def _fx_moves(venue: VenueMarket, market: Market) -> Flags:
    """Return the last decision before, and the first after, a rate that moved much."""
    rows = np.zeros(len(venue.session), dtype=bool)
    for name, rate in market.fx.rate.items():
        if len(rate) > 1:
            moves = np.abs(np.diff(np.log(rate)))
            at = market.fx.at[name][1:][moves > max(np.quantile(moves, _BIG_FX), 0.0)]
            after = np.searchsorted(venue.decide_at, at)
            rows[after[after < len(rows)]] = True
            rows[after[after > 0] - 1] = True
    return rows
