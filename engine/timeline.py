"""The clock of a run: every auction and every decision of every venue, in one order in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from chipwire.engine.market import Market
from chipwire.engine.settings import Settings


@dataclass(frozen=True)
class Step:
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
