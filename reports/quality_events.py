"""Tables of what prices did around events: by theme, event type, issuer, novelty, time of day and first venue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chipwire.engine.abnormal import VenuePrices
from chipwire.engine.event_study import (
    SESSIONS,
    TIMES_OF_DAY,
    Events,
    Numbers,
    Reactions,
    day_zero,
    first_in_window,
    first_venues,
    mean_path,
    times_of_day,
)
from chipwire.engine.market import Days, Floats, Instants
from chipwire.engine.signal_measures import (
    LEAST_OBSERVATIONS,
    Estimate,
    clustered_difference,
    clustered_mean,
)
from chipwire.engine.view import SignalBook
from chipwire.reports.quality_returns import estimate_columns
from chipwire.signals.build import LEAST_LEAN

NOVEL = 0.8
"""Least novelty of a story that was not told before."""
DRAWN = ("all", "theme", "event", "issuer")
"""Kinds of groups whose path is kept, not only its means."""
_AFTER = (1, 5, 10)
_DIFFERENCE = "novel less repeated"


@dataclass(frozen=True)
class RunEvents:
    """The events of a run with what they can be grouped by.

    Attributes
    ----------
    events : Events
        By reading; a reading is a headline and an issuer.
    known_at, event, issuer, novelty, day_only
        Of each reading.
    themes : mapping of str to ndarray of bool
        Whether a reading has the theme; it can have several.
    by_venue, too_late : list of int
        Events of each venue, and those known after its last decision.
    """

    events: Events
    known_at: Instants
    event: NDArray[Any]
    issuer: NDArray[Any]
    novelty: Floats
    day_only: NDArray[np.bool_]
    themes: Mapping[str, NDArray[np.bool_]]
    by_venue: list[int]
    too_late: list[int]


def events_of(
    book: SignalBook, themes: Sequence[str] | None, prices: tuple[VenuePrices, ...],
    issuers: Mapping[str, str | None], dates: Days,
) -> RunEvents:  # fmt: skip
    """Return an event for each reading that leans to a side and each listing of its issuer.

    Parameters
    ----------
    book : SignalBook
        By instant, headline, issuer, theme.
    themes : sequence of str or None
        Those the strategy reads.
    dates : ndarray of datetime64[D]
        Sessions of all venues; they number the days.
    """
    columns = book.columns
    code, known = pd.factorize(columns["theme"], sort=True)
    chosen = np.abs(columns["value"].astype(float)) >= LEAST_LEAN
    if themes is not None:
        chosen &= np.isin(known.astype(str), list(themes))[code]
    headline, issuer = (columns[name][chosen] for name in ("headline_id", "issuer"))
    new = np.append(True, (headline[1:] != headline[:-1]) | (issuer[1:] != issuer[:-1]))[: len(headline)]
    number, theme = np.cumsum(new.astype(np.intp)) - 1, code[chosen]
    has = {}
    for place in np.unique(theme):
        has[str(known[place])] = np.zeros(int(new.sum()), dtype=bool)
        has[str(known[place])][number[theme == place]] = True
    known_at = book.available_at[chosen][new]
    value = columns["value"].astype(float)[chosen][new]
    found, by_venue, too_late = [], [], []
    for place, venue in enumerate(prices):
        events, late = _at_venue(place, venue, known_at, issuer[new], value, issuers, dates)
        found.append(events)
        by_venue.append(len(events))
        too_late.append(late)
    every = Events(*(np.concatenate([getattr(part, n) for part in found]) for n in Events.__dataclass_fields__))
    every = every.part(np.argsort(every.reading, kind="stable"))
    return RunEvents(
        every, known_at, columns["event"][chosen][new], issuer[new], columns["novelty"].astype(float)[chosen][new],
        columns["day_only"].astype(bool)[chosen][new], has, by_venue, too_late,
    )  # fmt: skip


def _at_venue(
    place: int, venue: VenuePrices, known_at: Instants, issuer: NDArray[Any], value: Floats,
    issuers: Mapping[str, str | None], dates: Days,
) -> tuple[Events, int]:  # fmt: skip
    """Return the events of one venue whose day 0 lies in the run, and how many come after its last decision."""
    row = day_zero(known_at, venue.decide_at)
    code, known = pd.factorize(issuer)
    number = {name: place for place, name in enumerate(known)}
    parts, late = [], 0
    for column, symbol in enumerate(venue.symbols):
        own = (code == number.get(issuers[symbol], -2)) & (row >= venue.first)
        inside = np.flatnonzero(own & (row < len(venue.decide_at)))
        late += int(own.sum()) - len(inside)
        parts.append((inside, np.full(len(inside), column, dtype=np.intp)))
    reading, columns = (np.concatenate([part[n] for part in parts]).astype(np.intp) for n in (0, 1))
    rows = row[reading]
    day = np.searchsorted(dates, venue.session[rows])
    return Events(
        reading, np.full(len(reading), place, dtype=np.intp), columns, rows, day, np.sign(value[reading])
    ), late


def event_tables(run: RunEvents, prices: tuple[VenuePrices, ...]) -> dict[str, Any]:
    """Return ``paths`` and ``reactions`` of `SignalQuality`."""
    reactions = Reactions.of(prices)
    priced = reactions.priced(run.events)
    drawn: list[dict[str, Any]] = []
    short: list[dict[str, Any]] = []
    stories: list[Events] = []
    for kind, name, members in _groups(run, prices):
        usable = run.events.part(members[priced[members]])
        used = usable.part(first_in_window(usable.instrument, usable.row))
        means = mean_path(reactions.paths(used), used.day)
        counts = {
            "kind": kind, "name": name, "events": len(members), "overlapping": len(usable) - len(used),
            "unpriced": len(members) - len(usable), "used": len(used), "days": len(np.unique(used.day)),
        }  # fmt: skip
        short.append(counts | _short(means, clustered_mean(reactions.same_session(used), used.day, 0)))
        if kind in DRAWN and len(used) >= LEAST_OBSERVATIONS:
            drawn += [
                {"kind": kind, "name": name, "session": session, **estimate_columns(mean, n="events")}
                for session, mean in zip(SESSIONS, means, strict=True)
            ]
        if kind == "novelty":
            stories.append(used)
            if len(stories) == 2:
                short.append(_novelty(reactions, *stories))
    return {"paths": pd.DataFrame(drawn, columns=_DRAWN_COLUMNS), "reactions": pd.DataFrame(short)}


_DRAWN_COLUMNS = ["kind", "name", "session", "mean", "se", "low", "high", "events", "days"]


def _groups(run: RunEvents, prices: tuple[VenuePrices, ...]) -> Iterator[tuple[str, str, Numbers]]:
    """Yield kind, name and the numbers of the group's events, in the order in which they became known."""
    events = run.events
    yield "all", "all", np.arange(len(events))
    for theme, has in run.themes.items():
        if (members := np.flatnonzero(has[events.reading])).size:
            yield "theme", theme, members
    for kind, names in (("event", run.event), ("issuer", run.issuer)):
        yield from _by_name(kind, names[events.reading])
    novel = run.novelty[events.reading] >= NOVEL
    yield "novelty", "novel", np.flatnonzero(novel)
    yield "novelty", "repeated", np.flatnonzero(~novel)
    hours = np.zeros(len(events), dtype=np.intp)
    for number, venue in enumerate(prices):
        own = events.venue == number
        reading = events.reading[own]
        hours[own] = times_of_day(run.known_at[reading], run.day_only[reading], venue)
    for number, name in enumerate(TIMES_OF_DAY):
        if (members := np.flatnonzero(hours == number)).size:
            yield "time of day", name, members
    if len(prices) > 1:
        yield from _by_first_venue(run, prices)


def _by_name(kind: str, names: NDArray[Any]) -> Iterator[tuple[str, str, Numbers]]:
    """Yield the groups of one kind, the largest first."""
    code, known = pd.factorize(names)
    count = np.bincount(code, minlength=len(known))
    for number in sorted(range(len(known)), key=lambda each: (-int(count[each]), str(known[each]))):
        yield kind, str(known[number]), np.flatnonzero(code == number)


def _by_first_venue(run: RunEvents, prices: tuple[VenuePrices, ...]) -> Iterator[tuple[str, str, Numbers]]:
    """Yield by which venue could trade the news first and at which the event's instrument is traded."""
    first, names = first_venues(run.known_at, prices)
    of_event = first[run.events.reading]
    for number, name in enumerate(names):
        for place, venue in enumerate(prices):
            members = np.flatnonzero((of_event == number) & (run.events.venue == place))
            if members.size:
                yield "first venue", f"{name} first, traded at {venue.mic}", members


def _short(means: list[Estimate], session: Estimate) -> dict[str, float]:
    before = means[SESSIONS.index(-1)]
    spans = {
        # The path before day 0 is the price of then: the sign turned over is the move since.
        "missed": (-before.mean, -before.high, -before.low),
        "same_session": (session.mean, session.low, session.high),
    }
    for after in _AFTER:
        found = means[SESSIONS.index(after)]
        spans[f"after_{after}"] = (found.mean, found.low, found.high)
    return {
        f"{name}{end}": value
        for name, values in spans.items()
        for end, value in zip(("", "_low", "_high"), values, strict=True)
    }


def _novelty(reactions: Reactions, novel: Events, repeated: Events) -> dict[str, Any]:
    """Return how much more novel stories moved prices than repeated ones."""

    def difference(first: Floats, second: Floats, lags: int) -> Estimate:
        return clustered_difference(first, novel.day, second, repeated.day, lags)

    both = zip(reactions.paths(novel), reactions.paths(repeated), SESSIONS, strict=True)
    means = [difference(first, second, abs(sessions)) for first, second, sessions in both]
    session = difference(reactions.same_session(novel), reactions.same_session(repeated), 0)
    used, days = len(novel) + len(repeated), len(np.unique(np.concatenate([novel.day, repeated.day])))
    counts = {
        "kind": "novelty", "name": _DIFFERENCE, "events": used, "overlapping": 0, "unpriced": 0, "used": used,
        "days": days,
    }  # fmt: skip
    return counts | _short(means, session)
