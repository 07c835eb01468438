"""Where a venue's bars begin and end: one a session, or finer ones within its hours, without lunch breaks.

Sources cut a session in one of two ways: from the open on (09:30, 10:30, ...), or by the clock after a shorter first
bar (09:30, 10:00, 11:00, ...). Which of them stored bars follow is read from the bars.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from chipwire.data.calendars import Auctions, Days, Instants, lunch_breaks, venue
from chipwire.data.errors import DomainError
from chipwire.data.intervals import INTERVALS

BREATH = np.timedelta64(1, "ms")
"""A bar that another follows ends so long before its full time: its last trade is before the next one's first."""


@dataclass(frozen=True)
class BarGrid:
    """The bars of a venue in the order of time, whether there was trade in them or not.

    Attributes
    ----------
    starts_at : ndarray of datetime64[us], shape (n,)
        As in table ``bar``: the bar's first instant, UTC; the session's midnight for daily bars.
    session : ndarray of datetime64[D], shape (n,)
    open_at, close_at : ndarray of datetime64[us], shape (n,)
        UTC. When the open is struck, and when the close is known.
    first : ndarray of bool, shape (n,)
        Whether the bar is its session's first.
    """

    starts_at: Instants
    session: Days
    open_at: Instants
    close_at: Instants
    first: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.session)


def daily_grid(calendar: Auctions) -> BarGrid:
    """Return one bar for each session."""
    starts = calendar.session.astype("datetime64[us]")
    return BarGrid(
        starts, calendar.session, calendar.open_at, calendar.close_at, np.ones(len(calendar), dtype=np.bool_)
    )


def intraday_grid(calendar: Auctions, interval: str, *, by_clock: bool) -> BarGrid:
    """Return the bars of a finer interval, a key of `INTERVALS`.

    The last bar before a lunch break or the close may be shorter, and with `by_clock` the first after the open or a
    break, so that the others begin at multiples of the interval of the venue's clock. A session's last bar ends with
    its closing auction.
    """
    step, zone = np.timedelta64(INTERVALS[interval], "m"), ZoneInfo(venue(calendar.venue).zone)
    breaks = lunch_breaks(calendar)
    starts, ends, rows = [], [], []
    for row in range(len(calendar)):
        for begin, end in _parts(calendar.open_at[row], breaks[0][row], breaks[1][row], calendar.close_at[row]):
            first = begin + (_to_next(begin, INTERVALS[interval], zone) if by_clock else step)
            inside = np.concatenate([[begin], np.arange(first, end, step)])
            starts.append(inside)
            ends.append(np.append(inside[1:] - BREATH, end - BREATH))
            rows.append(np.full(len(inside), row))
        ends[-1][-1] = calendar.close_at[row]
    none = np.array([], dtype="datetime64[us]")
    row_of = np.concatenate([np.array([], dtype=np.intp), *rows])
    session, open_at = calendar.session[row_of], np.concatenate([none, *starts])
    new = np.append(True, row_of[1:] != row_of[:-1])[: len(row_of)]
    return BarGrid(open_at, session, open_at, np.concatenate([none, *ends]), new)


def fitting_grid(calendar: Auctions, interval: str, instrument: NDArray[np.str_], starts_at: Instants) -> BarGrid:
    """Return the grid that stored bars follow.

    Parameters
    ----------
    calendar : Auctions
    interval : str
        ``1d`` or a key of `INTERVALS`.
    instrument, starts_at : ndarray, shape (bars,)
        Whose each bar is, and its start.

    Raises
    ------
    DomainError
        The instruments of the venue do not follow the same grid, so that their auctions have no common clock.
    """
    if interval == "1d":
        return daily_grid(calendar)
    grids = [intraday_grid(calendar, interval, by_clock=by_clock) for by_clock in (False, True)]
    fits = [np.isin(starts_at, grid.starts_at) for grid in grids]
    best = int(fits[1].sum() > fits[0].sum())
    for symbol in np.unique(instrument):
        own = instrument == symbol
        if fits[best][own].sum() * 2 < own.sum():
            start = starts_at[own & ~fits[best]][0].astype("datetime64[m]")
            raise DomainError(
                f"the {interval} bars of '{symbol}' do not start with the others of {calendar.venue} (first at {start} "
                "UTC); ingest bars cut in the same way, or choose with --instruments"
            )
    return grids[best]


def _parts(
    open_at: np.datetime64, break_at: np.datetime64, again_at: np.datetime64, close_at: np.datetime64
) -> list[tuple[np.datetime64, np.datetime64]]:
    if np.isnat(break_at):
        return [(open_at, close_at)]
    return [(open_at, break_at), (again_at, close_at)]


def _to_next(instant: np.datetime64, minutes: int, zone: ZoneInfo) -> np.timedelta64:
    """Return the time to the next multiple of so many minutes of the day by the venue's clock."""
    local = instant.astype("datetime64[us]").item().replace(tzinfo=UTC).astimezone(zone)
    return np.timedelta64(minutes - (local.hour * 60 + local.minute) % minutes, "m")
