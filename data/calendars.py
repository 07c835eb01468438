"""Venue sessions and their auctions in UTC: exchange_calendars plus a dated file for what it does not know.

The library is asked with an explicit start and end only (its default window moves with today's date), and its
answers are kept per venue. Where it ends (XSHG with the last published holidays), so do we, with an error
that says so.
"""

from __future__ import annotations

import csv
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import InputError, OutsideCalendar, UnknownName

Days = NDArray[np.datetime64]
Instants = NDArray[np.datetime64]

FIRST_YEAR, LAST_YEAR = 1992, 2035
_COLUMNS = ["venue", "session", "kind", "close_time", "source"]
_KINDS = ("closed", "open", "early_close")


@dataclass(frozen=True)
class Venue:
    """What is known of a venue; the meaning of each field stands at the top of ``venues.toml``."""

    mic: str
    calendar: str
    zone: str
    currency: str
    grid: float
    etf_grid: float
    cutoff_open: int
    cutoff_close: int
    ohlc_default: str
    jump: float


@dataclass(frozen=True)
class Auctions:
    """The sessions of a venue with the instants of their opening and closing auctions.

    Attributes
    ----------
    venue : str
        MIC.
    session : ndarray of datetime64[D], shape (n,)
        The venue's own dates, rising.
    open_at, close_at : ndarray of datetime64[us], shape (n,)
        UTC.
    half_day : ndarray of bool, shape (n,)
        Whether the session closes before the venue's usual time.
    """

    venue: str
    session: Days
    open_at: Instants
    close_at: Instants
    half_day: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.session)


@dataclass(frozen=True)
class Override:
    """One line of the override file."""

    venue: str
    session: date
    kind: str
    close_time: time | None


@cache
def venues() -> Mapping[str, Venue]:
    """Return all venues by MIC, from ``venues.toml``."""
    text = resources.files("chipwire.data").joinpath("venues.toml").read_text("utf-8")
    return {mic: Venue(mic=mic, **table) for mic, table in tomllib.loads(text).items()}


def venue(mic: str) -> Venue:
    """Return the facts of the venue named `mic`.

    Raises
    ------
    UnknownName
        With the nearest known MIC.
    """
    found = venues().get(mic)
    if found is None:
        raise UnknownName("venue", mic, venues(), f"known are {', '.join(venues())}")
    return found


def read_overrides(text: str, where: str) -> tuple[Override, ...]:
    """Parse the override file: a venue's session a line, ``closed``, ``open`` or ``early_close`` with a time.

    Raises
    ------
    InputError
        With the line that is not of that form.
    """
    reader = csv.DictReader(text.splitlines(), strict=True)
    if reader.fieldnames != _COLUMNS:
        raise InputError(f"{where}: columns are {reader.fieldnames}, expected {','.join(_COLUMNS)}")
    found = []
    for line, row in enumerate(reader, start=2):
        try:
            session = date.fromisoformat(row["session"])
            close = time.fromisoformat(row["close_time"]) if row["close_time"] else None
        except ValueError as error:
            raise InputError(f"{where} line {line}: {error}") from error
        if row["kind"] not in _KINDS or (row["kind"] == "early_close") != (close is not None):
            raise InputError(
                f"{where} line {line}: kind '{row['kind']}' with close_time '{row['close_time']}'; "
                f"allowed are {', '.join(_KINDS)}, and a time (HH:MM, local) with early_close only"
            )
        found.append(Override(venue(row["venue"]).mic, session, row["kind"], close))
    return tuple(found)


def auctions(mic: str, start: date, end: date) -> Auctions:
    """Return the auctions of the sessions from `start` to `end`, both included.

    Raises
    ------
    OutsideCalendar
        `start` or `end` lies where the calendar is not known; `coverage` says where it is.
    """
    first, last = coverage(mic)
    if start < first or end > last:
        raise OutsideCalendar(mic, start, end, first, last)
    whole = _all_auctions(mic)
    low, high = np.searchsorted(whole.session, [np.datetime64(start, "D"), np.datetime64(end, "D") + 1])
    part = slice(int(low), int(high))
    return Auctions(mic, whole.session[part], whole.open_at[part], whole.close_at[part], whole.half_day[part])


def sessions(mic: str, start: date, end: date) -> Days:
    """Return the sessions from `start` to `end`, both included, as datetime64[D]; errors as in `auctions`."""
    return auctions(mic, start, end).session


@cache
def coverage(mic: str) -> tuple[date, date]:
    """Return the first and the last day for which the venue's calendar is known."""
    low, high = _library().bounds(venue(mic).calendar)
    first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)
    return first if low is None else max(first, low), last if high is None else min(last, high)


def lunch_breaks(known: Auctions) -> tuple[Instants, Instants]:
    """Return the start and the end of each session's lunch break, UTC, shape (n,); NaT where there is none.

    A session that the library does not know has the break of the last one before, by the venue's clock.
    """
    session, start, end = _all_breaks(known.venue)
    row = np.maximum(np.searchsorted(session, known.session, side="right") - 1, 0)
    found = []
    for times in (start[row], end[row]):
        for i in np.flatnonzero((session[row] != known.session) & ~np.isnat(times)):
            times[i] = _on_day(times[i].item(), known.session[i].item(), ZoneInfo(venue(known.venue).zone))
        found.append(times)
    none = ~(found[0] < known.close_at)
    for times in found:
        times[none] = np.datetime64("NaT")
    return found[0], found[1]


@cache
def _all_breaks(mic: str) -> tuple[Days, Instants, Instants]:
    with _quiet():
        schedule = _calendar(mic).schedule
        session = schedule.index.to_numpy().astype("datetime64[D]")
        start, end = (
            schedule[name].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
            for name in ("break_start", "break_end")
        )
    return session, start, end


@cache
def _calendar(mic: str) -> Any:
    """Whole coverage at once: asking for one span after another would build a calendar for each."""
    with _quiet():
        return _library().build(venue(mic).calendar, *coverage(mic))


@cache
def _all_auctions(mic: str) -> Auctions:
    """Everything that is known of a venue; a build takes 0.01 to 0.7 s and is done once a process."""
    facts = venue(mic)
    calendar = _calendar(mic)
    with _quiet():
        schedule = calendar.schedule
        session = schedule.index.to_numpy().astype("datetime64[D]")
        open_at, close_at = (
            schedule[name].dt.tz_localize(None).to_numpy().astype("datetime64[us]") for name in ("open", "close")
        )
        half_day = np.isin(session, calendar.early_closes.to_numpy().astype("datetime64[D]"))
    text = resources.files("chipwire.data").joinpath("calendar_overrides.csv").read_text("utf-8")
    overrides = [o for o in read_overrides(text, "calendar_overrides.csv") if o.venue == mic]
    return apply_overrides(Auctions(mic, session, open_at, close_at, half_day), overrides, ZoneInfo(facts.zone))


def apply_overrides(known: Auctions, overrides: list[Override], zone: ZoneInfo) -> Auctions:
    """Return `known` with days closed, opened (at the hours of the session before) or closed early."""
    session, open_at, close_at, half_day = known.session, known.open_at, known.close_at, known.half_day
    for override in overrides:
        day = np.datetime64(override.session, "D")
        at = int(np.searchsorted(session, day))
        there = at < len(session) and session[at] == day
        if override.kind == "closed":
            if there:
                kept = session != day
                session, open_at, close_at, half_day = session[kept], open_at[kept], close_at[kept], half_day[kept]
            continue
        if not there:
            # Clock times of the last full session before, so that summer time falls where it belongs.
            model = int(np.flatnonzero(~half_day[:at])[-1])
            opened, closed = (_on_day(times[model].item(), override.session, zone) for times in (open_at, close_at))
            session, half_day = np.insert(session, at, day), np.insert(half_day, at, False)
            open_at = np.insert(open_at, at, np.datetime64(opened, "us"))
            close_at = np.insert(close_at, at, np.datetime64(closed, "us"))
        if override.close_time is not None:
            local = datetime.combine(override.session, override.close_time, tzinfo=zone)
            close_at, half_day = close_at.copy(), half_day.copy()
            close_at[at], half_day[at] = np.datetime64(_utc(local), "us"), True
    return Auctions(known.venue, session, open_at, close_at, half_day)


def _on_day(instant: datetime, day: date, zone: ZoneInfo) -> datetime:
    clock = instant.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone).time()
    return _utc(datetime.combine(day, clock, tzinfo=zone))


def _utc(local: datetime) -> datetime:
    return (local - (local.utcoffset() or timedelta())).replace(tzinfo=None)


class _quiet(warnings.catch_warnings):  # noqa: N801 - used like a function
    """Keep the library's deprecation warnings (of pandas, not of ours) from becoming errors."""

    def __enter__(self) -> Any:
        log = super().__enter__()
        warnings.simplefilter("ignore")
        return log


def _library() -> Any:
    with _quiet():
        from chipwire.data import calendar_library
    return calendar_library
