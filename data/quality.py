"""Bars against the venue's calendar and rules and against stored bars: what is kept out, flagged or missing.

Kept out and rejected with their line: impossible bars, bars of days or hours on which the venue was closed, a
second bar of the same moment with other values, a newest bar more than a year after all others. Kept out and
counted: stale bars (no volume, one price or the close before, which sources write on half-days and in halts) and
exact repeats. Kept and flagged: moves beyond the day's limit. Stored bars stay as they are: other values for them
are rejects.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from chipwire.data.calendars import Auctions, auctions, coverage, sessions, venue
from chipwire.data.errors import RevisedSeries, counted
from chipwire.data.market_rules import MarketRules
from chipwire.data.price_evidence import StoredBars
from chipwire.data.price_files import PRICES, RawBars
from chipwire.data.tables import Reject
from chipwire.data.universe import Instrument

_ROUNDING = 1e-6
_SMALL = 0.04  # no board has a limit below 5 %
_YEAR = 366  # days
_HALF_UP, _HALF_DOWN = 0.55, 0.45


@dataclass(frozen=True)
class Checked:
    """What the checks found in the bars of one instrument.

    Attributes
    ----------
    keep : ndarray of intp
        Rows to keep, rising in time.
    stale, impossible, off_calendar, repeated : int
        Rows kept out, by reason; `repeated` are exact repeats.
    missing : ndarray of datetime64[D]
        Sessions between the first and the last kept bar without a kept bar.
    without_volume : bool
        No bar has a volume: an index, or a source that has none. Volumes are to be stored as NULL.
    rejects : tuple of Reject
        Impossible, off the calendar, far ahead of all others, or contradicting an earlier row.
    notes : tuple of str
        What else a reader should know.
    """

    keep: NDArray[np.intp]
    stale: int
    impossible: int
    off_calendar: int
    repeated: int
    missing: NDArray[np.datetime64]
    without_volume: bool
    rejects: tuple[Reject, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Jump:
    """A close-to-close move beyond what the board allows or, without a limit, beyond what is usual."""

    session: date
    move: float
    allowed: float


def check_bars(bars: RawBars, previous_close: float | None = None) -> Checked:
    """Check bars row by row and against the calendar; price moves are `find_jumps`'s part.

    Parameters
    ----------
    bars : RawBars
        As read.
    previous_close : float, optional
        The last stored close before the file's first bar, against which that bar may be stale.
    """
    reasons: dict[int, str] = {}
    impossible = _impossible(bars)
    reasons |= impossible
    reasons |= _far_ahead(bars, reasons)
    off, notes = _off_calendar(bars)
    off = {row: reason for row, reason in off.items() if row not in reasons}
    reasons |= off
    repeated, contradicting = _repeats(bars, reasons)
    reasons |= contradicting
    out = set(reasons) | repeated
    order = np.argsort(bars.starts_at, kind="stable")
    rest = np.array([row for row in order if row not in out], dtype=np.intp)
    no_volume = _without_volume(bars, rest)
    stale = _stale(bars, rest, no_volume, previous_close)
    keep = rest[~stale]
    if no_volume and len(keep) and bars.instrument.kind != "index":
        notes.append("no volume")
    if not no_volume and bars.volume is not None and (idle := int((bars.volume[keep] == 0).sum())):
        notes.append(f"{counted(idle, 'bar')} without volume whose prices move, kept")
    listed = bars.instrument.listed_on
    if listed is not None and (early := int((bars.session[keep] < np.datetime64(listed, "D")).sum())):
        notes.append(f"{counted(early, 'bar')} before the listing on {listed}")
    rejects = tuple(Reject(int(bars.line[row]), reasons[row], _shown(bars, row)) for row in sorted(reasons))
    return Checked(
        keep, int(stale.sum()), len(impossible), len(off), len(repeated),
        _missing(bars, keep), no_volume, rejects, tuple(notes),
    )  # fmt: skip


def _impossible(bars: RawBars) -> dict[int, str]:
    """Rows that no trading can make, with the values; open and close may leave the range by rounding only."""
    opened, high, low, close = bars.prices.T
    found: dict[int, str] = {}
    slack = _ROUNDING * np.abs(bars.prices).max(axis=1)
    for name, value in zip(PRICES, bars.prices.T, strict=True):
        for row in np.flatnonzero(~(np.isfinite(value) & (value > 0))):
            found.setdefault(int(row), f"impossible bar: {name} {value[row]:g}")
    volume = bars.volume
    for row in np.flatnonzero(volume < 0) if volume is not None else ():
        found.setdefault(int(row), f"impossible bar: volume {volume[row]:g}")  # type: ignore[index]
    for row in np.flatnonzero(high < low - slack):
        found.setdefault(int(row), f"impossible bar: high {high[row]:g} below low {low[row]:g}")
    for name, value in (("open", opened), ("close", close)):
        for row in np.flatnonzero(value > high + slack):
            found.setdefault(int(row), f"impossible bar: {name} {value[row]:g} above high {high[row]:g}")
        for row in np.flatnonzero(value < low - slack):
            found.setdefault(int(row), f"impossible bar: {name} {value[row]:g} below low {low[row]:g}")
    return found


def _far_ahead(bars: RawBars, out: Collection[int]) -> dict[int, str]:
    """Return the newest row where it alone lies more than a year after the others: a year mistyped.

    No clock is asked, and nothing stored: the rows of the file are judged by each other. A gap of that length
    among the others says that the source has such gaps, and one row after a gap is then no error.
    """
    order = np.array([row for row in np.argsort(bars.starts_at, kind="stable") if row not in out], dtype=np.intp)
    gaps = np.diff(bars.session[order]).astype(np.int64)
    if len(gaps) < 2 or gaps[-1] <= _YEAR or gaps[:-1].max() > _YEAR:
        return {}
    session, before = bars.session[order[-1]], bars.session[order[-2]]
    reason = (
        f"{session} is {gaps[-1]:,} days after the newest of the other bars, {before}; correct the year, "
        "or if it is right ingest this bar in a file of its own"
    )
    return {int(order[-1]): reason}


def _span(bars: RawBars, rows: NDArray[np.intp] | slice) -> Auctions | None:
    """Return the auctions of the bars' span as far as the calendar is known; None where it is not at all."""
    session = bars.session[rows]
    first, last = coverage(bars.instrument.venue)
    if not len(session) or session.min() > np.datetime64(last) or session.max() < np.datetime64(first):
        return None
    start, end = max(first, session.min().item()), min(last, session.max().item())
    return auctions(bars.instrument.venue, start, end)


def _off_calendar(bars: RawBars) -> tuple[dict[int, str], list[str]]:
    """Rows dated when the venue was closed; a note where its calendar is not known."""
    mic = bars.instrument.venue
    first, last = coverage(mic)
    known = (bars.session >= np.datetime64(first)) & (bars.session <= np.datetime64(last))
    notes = []
    if not known.all():
        unknown = counted(int((~known).sum()), "bar")
        notes.append(f"{unknown} not checked: the calendar of {mic} is known from {first} to {last}")
    calendar = _span(bars, slice(None))
    if calendar is None:
        return {}, notes
    off = known & ~np.isin(bars.session, calendar.session)
    found = {int(row): f"{mic} had no session on {bars.session[row]}" for row in np.flatnonzero(off)}
    if bars.interval != "1d":
        inside = np.flatnonzero(known & ~off)
        where = np.searchsorted(calendar.session, bars.session[inside])
        for row, i in zip(inside, where, strict=True):
            if not calendar.open_at[i] <= bars.starts_at[row] < calendar.close_at[i]:
                hours = f"{_clock(calendar.open_at[i])} to {_clock(calendar.close_at[i])} UTC"
                found[int(row)] = f"outside the session of {mic}, {hours} on {bars.session[row]}"
    return found, notes


def _clock(instant: np.datetime64) -> str:
    return str(instant)[11:16]


def _repeats(bars: RawBars, out: Collection[int]) -> tuple[set[int], dict[int, str]]:
    """Later rows of a moment that has a row already: the same values, or others (the first row stays)."""
    same: set[int] = set()
    other: dict[int, str] = {}
    first: dict[object, int] = {}
    for row, moment in enumerate(bars.starts_at.tolist()):
        if row in out:
            continue
        kept = first.setdefault(moment, row)
        if kept == row:
            continue
        if differences := _differences(bars, kept, row):
            other[row] = f"second bar of {bars.session[row]}, line {bars.line[kept]} has {differences}"
        else:
            same.add(row)
    return same, other


def _differences(bars: RawBars, kept: int, row: int) -> str:
    columns = dict(zip(PRICES, bars.prices.T, strict=True))
    columns |= {} if bars.volume is None else {"volume": bars.volume}
    return ", ".join(
        f"{name} {values[kept]:g} not {values[row]:g}"
        for name, values in columns.items()
        if not np.isclose(values[kept], values[row], rtol=_ROUNDING, atol=0, equal_nan=True)
    )


def _without_volume(bars: RawBars, rest: NDArray[np.intp]) -> bool:
    """Say whether the source has no volumes, told from a file that has nothing but days without a trade."""
    if bars.volume is None or np.nansum(bars.volume[rest]):
        return bars.volume is None
    moves = bars.prices[rest].max(axis=1) > bars.prices[rest].min(axis=1) * (1 + _ROUNDING)
    return bars.instrument.kind == "index" or bool(moves.any())


def _stale(bars: RawBars, rest: NDArray[np.intp], no_volume: bool, previous_close: float | None) -> NDArray[np.bool_]:
    """Rows that repeat the close before without trading.

    With volumes: no volume, and one price only or the close before. (The price that sources repeat is the
    last they had, which is not always the official close; without a trade it says nothing.) Without any
    volume, as for an index: all four prices are the close before.
    """
    prices = bars.prices[rest]
    close = prices[:, 3]
    before = np.concatenate([[np.nan if previous_close is None else previous_close], close[:-1]])
    if not len(rest):
        return np.zeros(0, dtype=np.bool_)
    flat = prices.max(axis=1) - prices.min(axis=1) <= _ROUNDING * close
    repeats = np.isclose(close, before, rtol=_ROUNDING, atol=0)
    if no_volume or bars.volume is None:
        found: NDArray[np.bool_] = flat & repeats
        return found
    idle: NDArray[np.bool_] = ~(bars.volume[rest] > 0)
    idle &= flat | repeats
    return idle


def _missing(bars: RawBars, keep: NDArray[np.intp]) -> NDArray[np.datetime64]:
    calendar = _span(bars, keep) if len(keep) else None
    if calendar is None:
        return np.array([], dtype="datetime64[D]")
    return np.setdiff1d(calendar.session, bars.session[keep])


def _shown(bars: RawBars, row: int) -> str:
    values = ",".join(f"{value:g}" for value in bars.prices[row])
    volume = "" if bars.volume is None else f",{bars.volume[row]:g}"
    return f"{bars.instrument.symbol},{bars.starts_at[row].astype('datetime64[s]')},{values}{volume}"


def find_jumps(bars: RawBars, ex_dates: Collection[date], adjustment: str, rules: MarketRules) -> tuple[Jump, ...]:
    """Find closes that the close before and the board's limit do not allow.

    Not judged are the first sessions of a listing without a limit and ex-dates (of unadjusted bars). Where
    the board has no limit, moves beyond the venue's `jump` are returned. Where n sessions lie between two
    bars, n + 1 limits are allowed, since a source may leave out sessions that traded.

    The limit price is rounded half up to the price step, so that a close may pass the exact limit (a whole
    number of tenths of a step) by 0.5 steps upward and 0.4 downward; one step more than the limit price is at
    least 0.6 and 0.5 beyond. Adjusted prices are rounded once more on either side and get 1.5 steps more.

    Parameters
    ----------
    bars : RawBars
        Kept bars, rising in time; intraday bars are judged by each session's last close.
    ex_dates : collection of date
        Days on which an unadjusted price moves without trading.
    adjustment : str
        What the bars are.
    rules : MarketRules
        Daily limits by venue and board.
    """
    listing = bars.instrument
    facts = venue(listing.venue)
    step = facts.etf_grid if listing.kind == "etf" else facts.grid
    calendar = _span(bars, slice(None))
    if calendar is None:
        return ()
    last = np.flatnonzero(np.append(bars.session[1:] != bars.session[:-1], [True]))
    session, close = bars.session[last], bars.prices[last, 3]
    place = np.searchsorted(calendar.session, session)
    moves = close[1:] / close[:-1] - 1
    found = []
    for row in np.flatnonzero(np.abs(moves) > _SMALL) + 1:
        day, before, move = session[row].item(), float(close[row - 1]), float(moves[row - 1])
        if adjustment == "none" and day in ex_dates:
            continue
        limit, allowed = _limit(listing, day, rules), facts.jump
        if limit is None:
            slack = 0.0
        elif np.isnan(limit):
            continue
        else:
            gap = max(1, int(place[row] - place[row - 1]))
            allowed = (1 + limit) ** gap - 1 if move > 0 else 1 - (1 - limit) ** gap
            rounded = (_HALF_UP if move > 0 else _HALF_DOWN) * gap + (0 if adjustment == "none" else 1.5)
            slack = rounded * step / before
        if abs(move) > allowed + slack:
            found.append(Jump(day, move, allowed))
    return tuple(found)


def _limit(listing: Instrument, day: date, rules: MarketRules) -> float | None:
    """Return the day's limit, NaN in a first session without one, None where the venue has none at all."""
    if listing.kind == "index" or np.isnan(rules.limit_fraction(listing.venue, listing.board, day)):
        return None
    number = None
    if listing.listed_on is not None and listing.listed_on <= day and (day - listing.listed_on).days < 60:
        number = len(sessions(listing.venue, listing.listed_on, day))
    return rules.limit_fraction(listing.venue, listing.board, day, session_number=number, listed_on=listing.listed_on)


def compare_stored(
    file: str, kept: RawBars, stored: StoredBars
) -> tuple[NDArray[np.intp], list[Reject], tuple[str, ...]]:
    """Return the rows that are not stored yet, rejects of those stored with other values, and a note.

    Another adj_close alone is no contradiction: each later dividend rescales it.

    Parameters
    ----------
    file : str
        For the message.
    kept : RawBars
        Kept bars, volumes in shares.
    stored : StoredBars
        What is there already; may be empty.

    Raises
    ------
    RevisedSeries
        More than half of at least three common bars have other prices: new rows of such a file would put a
        break into the series.
    """
    here, there = stored.overlap(kept.starts_at)
    new = np.setdiff1d(np.arange(len(kept)), there)
    same = np.isclose(stored.prices[here], kept.prices[there], rtol=_ROUNDING, atol=0)
    other_prices = ~same.all(axis=1)
    volume = np.full(len(there), np.nan) if kept.volume is None else kept.volume[there]
    with np.errstate(invalid="ignore"):
        other_volume = np.abs(stored.volume[here] - volume) > 0.5 + _ROUNDING * np.abs(volume)
    rejects = []
    for i in np.flatnonzero(other_prices | other_volume):
        differing = [
            f"{name} {stored.prices[here[i], c]:g} stored, {kept.prices[there[i], c]:g} given"
            for c, name in enumerate(PRICES)
            if not same[i, c]
        ]
        if other_volume[i]:
            differing.append(f"volume {stored.volume[here[i]]:.0f} stored, {volume[i]:.0f} given")
        row = there[i]
        excerpt = f"{kept.instrument.symbol},{kept.starts_at[row].astype('datetime64[s]')}"
        rejects.append(Reject(int(kept.line[row]), "revised: " + "; ".join(differing), excerpt))
    if len(here) >= 3 and other_prices.sum() * 2 > len(here):
        first = next(r.reason for r in rejects if "volume" not in r.reason.split()[1])
        example = f"{kept.session[there[other_prices][0]]}: {first.removeprefix('revised: ').split(';')[0]}"
        raise RevisedSeries(file, kept.instrument.symbol, int(other_prices.sum()), len(here), example)
    note: tuple[str, ...] = ()
    if kept.adj_close is not None and len(here):
        rescaled = np.abs(stored.adj_close[here] / kept.adj_close[there] - 1) > _ROUNDING
        if rescaled.any():
            note = (f"{rescaled.sum()} stored bars have another adj_close (a later dividend), kept as stored",)
    return new, rejects, note
