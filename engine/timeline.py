"""The clock of a run: every auction and every decision of every venue, in one order in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chipwire.engine.market import Market
from chipwire.engine.settings import Settings


class Step(NamedTuple):
    """Something that happens at a venue.

    Attributes
    ----------
    kind : str
        ``open`` or ``close``: the auction takes place; ``decide``: the strategy is asked.
    venue, session : int
        Indices into the market.
    """

    kind: str
    venue: int
    session: int


@dataclass(frozen=True)
class Moment:
    """All steps of one instant, auctions before decisions, then by MIC.

    Attributes
    ----------
    ends_day : date or None
        The UTC day, if this is the moment of its last auction; a day with decisions only has no end.
    """

    at: np.datetime64
    steps: tuple[Step, ...]
    ends_day: date | None


_ORDER = {"open": 0, "close": 0, "decide": 1}


@dataclass(frozen=True)
class Clock:
    """The steps of all moments as arrays, in the same order.

    Attributes
    ----------
    at : ndarray of datetime64
    moment : ndarray of int
        Number of the moment, from 0.
    kind : ndarray of str
    venue, session : ndarray of int
    ends_day : ndarray of bool
        True at the first step of each moment that ends a UTC day.
    """

    at: NDArray[np.datetime64]
    moment: NDArray[np.intp]
    kind: NDArray[np.str_]
    venue: NDArray[np.intp]
    session: NDArray[np.intp]
    ends_day: NDArray[np.bool_]


def clock(market: Market) -> Clock:
    """Return the steps of `moments` as arrays, which is quicker for many sessions."""
    ats: list[NDArray[np.datetime64]] = []
    kinds: list[NDArray[np.str_]] = []
    venues: list[NDArray[np.intp]] = []
    sessions: list[NDArray[np.intp]] = []
    for index, place in enumerate(market.venues):
        session = np.arange(place.first, len(place.session), dtype=np.intp)
        for name, times in (("open", place.open_at), ("close", place.close_at), ("decide", place.decide_at)):
            ats.append(times[place.first :])
            kinds.append(np.repeat(np.array([name]), len(session)))
            venues.append(np.full(len(session), index, dtype=np.intp))
            sessions.append(session)
    at, kind = np.concatenate(ats), np.concatenate(kinds)
    venue, session = np.concatenate(venues), np.concatenate(sessions)
    auction = kind != "decide"
    order = np.lexsort((venue, ~auction, at.astype(np.int64)))
    at, kind, venue, session, auction = at[order], kind[order], venue[order], session[order], auction[order]
    new = np.append(True, at[1:] != at[:-1])[: len(at)]
    moment = np.cumsum(new) - 1
    # Auctions stand first in their moment, so that the first step says whether the moment has one.
    first = np.flatnonzero(new & auction)
    day = at[first].astype("datetime64[D]")
    ends = np.zeros(len(at), dtype=bool)
    ends[first[np.append(day[1:] != day[:-1], True)[: len(day)]]] = True
    return Clock(at, moment, kind, venue, session, ends)


def moments(market: Market, settings: Settings) -> list[Moment]:
    """Return the moments of a run in the order of time.

    An auction that ends at the very instant of another venue's decision is over by then.
    """
    steps: dict[np.datetime64, list[Step]] = {}
    for index, venue in enumerate(market.venues):
        for session in range(venue.first, len(venue.session)):
            for kind, at in (
                ("open", venue.open_at[session]),
                ("close", venue.close_at[session]),
                ("decide", venue.decide_at[session]),
            ):
                steps.setdefault(at, []).append(Step(kind, index, session))
    instants = sorted(steps)
    last_auction = {
        at.astype("datetime64[D]").item(): at for at in instants if any(step.kind != "decide" for step in steps[at])
    }
    ends = {at: day for day, at in last_auction.items()}
    return [
        Moment(at, tuple(sorted(steps[at], key=lambda step: (_ORDER[step.kind], step.venue))), ends.get(at))
        for at in instants
    ]
