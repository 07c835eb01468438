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

    def part(self, chosen: NDArray[np.bool_] | Numbers) -> Events:
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


@dataclass(frozen=True)
class Reactions:
    """Abnormal returns from every auction of all venues, to be looked up by event.

    Before day 0 a value is the price of then against that of day 0: what a price had already made of the news shows
    as a rise towards 0.
    """

    _around: Floats
    _session: Floats
    _offset: Numbers
    _width: Numbers

    @classmethod
    def of(cls, prices: tuple[VenuePrices, ...]) -> Reactions:
        """Work out all returns, to each of `SESSIONS` and to the end of the same session."""
        size = [venue.entry.size for venue in prices]
        around = [np.concatenate([venue.abnormal(n).ravel() for venue in prices]) for n in SESSIONS]
        session = np.concatenate([venue.abnormal_session().ravel() for venue in prices])
        width = np.array([venue.entry.shape[1] for venue in prices], dtype=np.intp)
        return cls(np.array(around), session, np.cumsum([0, *size[:-1]], dtype=np.intp), width)

    def priced(self, events: Events) -> NDArray[np.bool_]:
        """Return whether there is a price, and a market to compare it with, on day 0."""
        return np.asarray(np.isfinite(self._around[SESSIONS.index(0)][self._place(events)]), dtype=np.bool_)

    def paths(self, events: Events) -> Floats:
        """Return for each of `SESSIONS` the return from the auction of day 0, as the reader oriented it.

        Returns
        -------
        ndarray, shape (sessions, events)
            NaN where a price is missing; 0 on day 0.
        """
        return np.asarray(self._around[:, self._place(events)] * events.sign, dtype=np.float64)

    def same_session(self, events: Events) -> Floats:
        """Return oriented returns from the auction of day 0 to that session's end; shape (events,)."""
        return np.asarray(self._session[self._place(events)] * events.sign, dtype=np.float64)

    def _place(self, events: Events) -> Numbers:
        return np.asarray(self._offset[events.venue] + events.row * self._width[events.venue] + events.column)


def mean_path(values: Floats, day: Numbers) -> list[Estimate]:
    """Return the mean over events for each of `SESSIONS`, days clustered and as dependent as their windows overlap.

    Parameters
    ----------
    values : ndarray, shape (sessions, events)
    day : ndarray of int, shape (events,)
        Day 0 of each.
    """
    return [clustered_mean(row, day, abs(sessions)) for row, sessions in zip(values, SESSIONS, strict=True)]


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
