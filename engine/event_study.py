"""What prices did around events, in the trading time of each instrument's venue.

Day 0 of an event is the first session that a trader could still have decided on when it became known: its decision,
a cut-off before the auction that the run fills at, comes at or after that instant. Returns are counted from the
auction of day 0, so that nothing before it can change what is shown after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chipwire.data.calendars import venue as venue_facts
from chipwire.engine.abnormal import VenuePrices
from chipwire.engine.market import Floats, Instants
from chipwire.engine.signal_measures import Estimate, clustered_mean

Numbers = NDArray[np.intp]

SESSIONS = tuple(range(-5, 11))
"""Sessions shown around day 0."""
WINDOW = 11
"""A later event of the same issuer and group within so many sessions, day 0 included, is not counted again."""
TIMES_OF_DAY = ("before the open", "during the session", "after the close", "closed day", "known by its day only")


@dataclass(frozen=True)
class Events:
    """Events of instruments: each reading that leans to a side, once for each listing of its issuer.

    Attributes
    ----------
    reading : ndarray of int
        Which reading it is of; readings are in the order in which they became known.
    venue, column, row : ndarray of int
        The instrument among the venue's, and the row of day 0 in its `VenuePrices`.
    day : ndarray of int
        Number of day 0's date among the dates of all venues.
    sign : ndarray of float
        +1 or -1, as the reader said.
    """

    reading: Numbers
    venue: Numbers
    column: Numbers
    row: Numbers
    day: Numbers
    sign: Floats

    def __len__(self) -> int:
        return len(self.reading)

    def part(self, chosen: NDArray[np.bool_]) -> Events:
        """Return those chosen."""
        return Events(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @property
    def instrument(self) -> Numbers:
        """A number for each instrument of each venue."""
        return np.asarray(self.venue * 1_000_000 + self.column, dtype=np.intp)


def day_zero(known_at: Instants, decide_at: Instants) -> Numbers:
    """Return the row of the first decision at or after each instant; ``len(decide_at)`` where none is left."""
    return np.searchsorted(decide_at, known_at, side="left")


def first_in_window(segment: Numbers, row: Numbers, window: int = WINDOW) -> NDArray[np.bool_]:
    """Return which events are counted: the first of a segment, then the first at least `window` rows after it, ...

    Parameters
    ----------
    segment, row : ndarray of int, shape (n,)
        Of equal segments and rows the one that stands first is counted.
    """
    kept = np.zeros(len(row), dtype=bool)
    if not len(row):
        return kept
    # All segments on one line, too far apart to meet.
    place = segment.astype(np.int64) * (int(row.max()) + window + 1) + row
    order = np.argsort(place, kind="stable")
    line = place[order]
    following = np.searchsorted(line, line + window, side="left")
    of_segment = segment[order]
    at = np.flatnonzero(np.append(True, of_segment[1:] != of_segment[:-1]))
    own = of_segment[at]
    while len(at):
        kept[order[at]] = True
        at = following[at]
        inside = at < len(line)
        at, own = at[inside], own[inside]
        same = of_segment[at] == own
        at, own = at[same], own[same]
    return kept


def paths(events: Events, prices: tuple[VenuePrices, ...]) -> Floats:
    """Return abnormal returns from the auction of day 0 to that of each of `SESSIONS`, as the reader oriented them.

    Before day 0 the value is the price of then against that of day 0: what a price had already made of the news
    shows as a rise towards 0.

    Returns
    -------
    ndarray, shape (events, sessions)
        NaN where a price is missing; 0 on day 0.
    """
    found = np.full((len(events), len(SESSIONS)), np.nan)
    for number, venue in enumerate(prices):
        own = events.venue == number
        for place, sessions in enumerate(SESSIONS):
            returns = venue.abnormal(sessions)
            found[own, place] = events.sign[own] * returns[events.row[own], events.column[own]]
    return found


def same_session(events: Events, prices: tuple[VenuePrices, ...]) -> Floats:
    """Return oriented abnormal returns from the auction of day 0 to that session's end; shape (events,)."""
    found = np.full(len(events), np.nan)
    for number, venue in enumerate(prices):
        own = events.venue == number
        found[own] = events.sign[own] * venue.abnormal_session()[events.row[own], events.column[own]]
    return found


def mean_path(values: Floats, day: Numbers) -> list[Estimate]:
    """Return the mean over events for each of `SESSIONS`, days clustered and as dependent as their windows overlap.

    Parameters
    ----------
    values : ndarray, shape (events, sessions)
    day : ndarray of int, shape (events,)
        Day 0 of each.
    """
    return [clustered_mean(values[:, place], day, abs(sessions)) for place, sessions in enumerate(SESSIONS)]


def times_of_day(known_at: Instants, day_only: NDArray[np.bool_], venue: VenuePrices) -> Numbers:
    """Return which of `TIMES_OF_DAY` each instant is by the venue's own clock."""
    local = pd.DatetimeIndex(known_at).tz_localize("UTC").tz_convert(venue_facts(venue.mic).zone).tz_localize(None)
    date = local.to_numpy().astype("datetime64[D]")
    row = np.minimum(np.searchsorted(venue.session, date), len(venue.session) - 1)
    found = np.where(known_at < venue.open_at[row], 0, np.where(known_at < venue.close_at[row], 1, 2))
    found = np.where(venue.session[row] == date, found, 3)
    return np.where(day_only, 4, found).astype(np.intp)


def first_venues(known_at: Instants, prices: tuple[VenuePrices, ...]) -> tuple[Numbers, tuple[str, ...]]:
    """Return which venues' auction could be traded first on each instant's news, as a number of the second result.

    Venues whose auctions fall on the same instant are named together; -1 where no venue has a decision left.
    """
    never = np.datetime64("9999-01-01", "us")
    auctions = np.empty((len(prices), len(known_at)), dtype="datetime64[us]")
    for number, venue in enumerate(prices):
        at = np.append(venue.open_at if venue.at_open else venue.close_at, never)
        auctions[number] = at[day_zero(known_at, venue.decide_at)]
    soonest = auctions.min(axis=0) if len(prices) else np.full(len(known_at), never)
    together = _as_bits(auctions == soonest)
    sets, code = np.unique(together, return_inverse=True)
    names = tuple(
        " and ".join(venue.mic for bit, venue in enumerate(prices) if int(each) >> bit & 1) for each in sets
    )  # fmt: skip
    return np.where(soonest < never, code, -1).astype(np.intp), names


def _as_bits(there: NDArray[np.bool_]) -> Numbers:
    """Return for each column the number whose bits its rows are."""
    return np.asarray((there << np.arange(len(there))[:, None]).sum(axis=0), dtype=np.intp)
