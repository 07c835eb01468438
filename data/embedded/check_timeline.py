"""Checks the embedded timeline against headlines and price bars that the user has in folders.

    python -m chipwire.data.embedded.check_timeline --timeline FILE --news DIR --prices DIR --out checks.csv

A headline *confirms* an event when it was published on the event's day or the next, names one of its issuers
and shares its key words (`check_news`); that none was found says nothing against an event. Bars *contradict*
an event only when they leave no honest reading, see `price_verdict` and `calendar_verdict`. The output holds
counts, file names and verdicts, never a word of the headlines.
"""

from __future__ import annotations

import csv
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import numpy as np
from numpy.typing import NDArray

from chipwire.data import calendars
from chipwire.data.embedded.check_news import NEW_YORK, News, midnight, read_news
from chipwire.data.errors import ChipwireError, UnreadableInput
from chipwire.data.universe import Instrument, load_universe

COLUMNS = ("published", "zone", "title", "issuers", "event", "theme", "publisher", "reported_on")
RESULTS = frozenset({"earnings", "guidance", "sales_figures"})
CONTRADICTIONS = frozenset({"contradicts", "not a business day", "halt not seen", "resumption not seen"})
BENCHMARKS = {"XNYS": "SOX", "XSHG": "CSI300", "XHKG": "HSTECH"}
"""The index that a venue's listings are measured against."""

TRAILING_SESSIONS = 60
STRONG_SIGMAS = 3.0
_UP = re.compile(
    r"\b(?:beats?|tops?|record|surges?|soars?|jumps?|leaps?|climbs?|crushes|triples?|doubles?|above|upbeat|lifts?"
    r"|raises?)\b"
)
_DOWN = re.compile(
    r"\b(?:miss(?:es)?|cuts?|plunges?|slumps?|sinks?|slides?|drops?|falls?|warns?|below|short|disappoints?|loss"
    r"|weak|trails?|tumbles?|slips?)\b"
)
_HALTED = re.compile(r"\b(?:halts?|suspends?)\b.*\b(?:shares?|stock|trading)\b")
_RESUMED = re.compile(r"\bresumes?\b.*\btrading\b|\btrading resumes?\b")


@dataclass(frozen=True)
class Event:
    """One line of the timeline; `starts_at` and `ends_at` (UTC) are equal where the minute is known."""

    line: int
    published: str
    zone: str
    title: str
    issuers: tuple[str, ...]
    event: str
    starts_at: datetime
    ends_at: datetime

    def days(self, *zones: str) -> frozenset[date]:
        """Return the day of the event: as stated, or for a known minute as it is in each of `zones`."""
        if self.starts_at != self.ends_at:
            return frozenset({date.fromisoformat(self.published)})
        return frozenset(self.starts_at.astimezone(ZoneInfo(zone)).date() for zone in zones)


@dataclass(frozen=True)
class Series:
    """Abnormal moves of a listing: sessions, sigmas (NaN in the first 60) and closing instants (UTC)."""

    instrument: Instrument
    session: NDArray[np.datetime64]
    sigmas: NDArray[np.float64]
    close_at: NDArray[np.datetime64]


@dataclass(frozen=True)
class Move:
    """A listing's strongest abnormal move among the sessions that could react first.

    Attributes
    ----------
    sigmas : float
        Log return less the benchmark's, in standard deviations of the 60 sessions before.
    before, after : float
        The same of the session before the first and after the last that could react; NaN without a bar.
    """

    symbol: str
    session: date
    sigmas: float
    before: float
    after: float


def read_timeline(path: Path) -> list[Event]:
    """Read a timeline file.

    Raises
    ------
    UnreadableInput
        Other columns, or a line whose time, zone or issuer cannot be read.
    """
    known = load_universe().issuers
    events = []
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UnreadableInput(str(path), f"columns are {reader.fieldnames}, expected {','.join(COLUMNS)}")
        for line, row in enumerate(reader, start=2):
            issuers = tuple(filter(None, row["issuers"].split(";")))
            published, zone = row["published"], row["zone"]
            try:
                starts_at, ends_at = _interval(published, zone)
            except (ValueError, KeyError, OSError) as error:
                raise UnreadableInput(str(path), f"line {line}: {error}") from error
            if unknown := [name for name in issuers if name not in known]:
                raise UnreadableInput(str(path), f"line {line}: unknown issuer {unknown[0]}")
            event = Event(line, published, zone, row["title"], issuers, row["event"], starts_at, ends_at)
            events.append(event)
    return events


def _interval(published: str, zone: str) -> tuple[datetime, datetime]:
    if "T" in published:
        at = datetime.strptime(published, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        return at, at
    day = date.fromisoformat(published)
    return midnight(day, zone), midnight(day + timedelta(days=1), zone)


def _naive(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


# --- bars ------------------------------------------------------------------------------------------------


def read_series(folder: Path) -> dict[str, list[Series]]:
    """Read the bars of every listing that `folder` has, beside its benchmark; lists by issuer."""
    found: dict[str, list[Series]] = defaultdict(list)
    for instrument in load_universe().instruments.values():
        path, index = folder / f"{instrument.symbol}.csv", BENCHMARKS.get(instrument.venue)
        if instrument.issuer and index and path.exists():
            benchmark = _read_closes(folder / f"{index}.csv")
            found[instrument.issuer].append(abnormal_moves(instrument, _read_closes(path), benchmark))
    if not found:
        raise UnreadableInput(str(folder), "has no bars of a listing; files are called SYMBOL.csv")
    return found


def _read_closes(path: Path) -> dict[date, float]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [(row["date"], row["close"]) for row in csv.DictReader(stream)]
        return {date.fromisoformat(day): float(close) for day, close in rows if close}
    except (OSError, KeyError, ValueError) as error:
        raise UnreadableInput(str(path), f"needs columns date and close ({error})") from error


def abnormal_moves(instrument: Instrument, closes: Mapping[date, float], benchmark: Mapping[date, float]) -> Series:
    """Return log returns less the benchmark's, in standard deviations of the 60 sessions before each.

    Only sessions that both have are used; a return over a halt is one return. Sessions that the venue's
    calendar does not know are left out. NaN without 60 sessions before or without dispersion in them.
    """
    days = sorted(closes.keys() & benchmark.keys())
    own, index = (np.diff(np.log([of[day] for day in days])) for of in (closes, benchmark))
    excess = np.concatenate([[np.nan], own - index])
    sigmas = np.full(len(days), np.nan)
    for i in range(TRAILING_SESSIONS + 1, len(days)):
        spread = np.std(excess[i - TRAILING_SESSIONS : i], ddof=1)
        sigmas[i] = excess[i] / spread if spread > 0 else np.nan
    auctions = calendars.auctions(instrument.venue, days[0], days[-1])
    session = np.array(days, dtype="datetime64[D]")
    known = np.isin(session, auctions.session)
    close_at = auctions.close_at[np.searchsorted(auctions.session, session[known])]
    return Series(instrument, session[known], sigmas[known], close_at)


def first_move(event: Event, series: Series) -> Move | None:
    """Return the strongest move among the sessions that could react first, None where bars are missing.

    For a known minute that is the session that closes next; for a day every session from the first that
    closes after the day's start to the first that closes after its end.
    """
    low = int(np.searchsorted(series.close_at, _naive(event.starts_at), side="right"))
    high = int(np.searchsorted(series.close_at, _naive(event.ends_at), side="right"))
    if high >= len(series.session) or np.isnan(series.sigmas[low]):
        return None
    best = max(range(low, high + 1), key=lambda i: abs(series.sigmas[i]))
    after = float(series.sigmas[high + 1]) if high + 1 < len(series.session) else math.nan
    session: date = series.session[best].item()
    symbol = series.instrument.symbol
    return Move(symbol, session, float(series.sigmas[best]), float(series.sigmas[low - 1]), after)


# --- verdicts --------------------------------------------------------------------------------------------


def stated_direction(event: Event) -> int:
    """Return +1 or -1 where a single issuer's results are worded one way only, else 0."""
    if event.event not in RESULTS or len(event.issuers) != 1:
        return 0
    title = event.title.lower()
    return bool(_UP.search(title)) - bool(_DOWN.search(title))


def price_verdict(event: Event, move: Move | None) -> str:
    """Judge a move by the event's wording.

    Returns
    -------
    str
        ``contradicts``: more than three sigmas against the wording, while the session before or after has
        more than three with it, so that another date fits. ``opposite``: against the wording only, as when
        good news is sold; for a human to look at. ``same way``: one sigma or more with it; ``quiet``:
        between. Where the wording has no direction, ``moved`` (three sigmas or more) or ``no direction``.
        ``no bars``: none of the issuers has bars around the event.
    """
    if move is None:
        return "no bars"
    direction = stated_direction(event)
    if direction == 0:
        return "moved" if abs(move.sigmas) >= STRONG_SIGMAS else "no direction"
    sigmas = direction * move.sigmas
    if sigmas > -STRONG_SIGMAS:
        return "same way" if sigmas >= 1 else "quiet"
    fits_beside = direction * move.before > STRONG_SIGMAS or direction * move.after > STRONG_SIGMAS
    return "contradicts" if fits_beside else "opposite"


def calendar_verdict(event: Event, series: Sequence[Series]) -> str:
    """Judge results by the business days of the issuers' venues, halts and resumptions by `series`.

    Returns
    -------
    str
        ``ok``, ``not a business day``, ``halt not seen``, ``resumption not seen`` or '' (nothing to ask).
    """
    title = event.title.lower()
    for pattern, traded, name in ((_HALTED, (True, False), "halt"), (_RESUMED, (False, True), "resumption")):
        if pattern.search(title) and series:
            return "ok" if any(_traded_around(event, one) == traded for one in series) else f"{name} not seen"
    universe = load_universe()
    venues = {listing.venue for issuer in event.issuers for listing in universe.listings(issuer)}
    if event.event not in RESULTS or not venues:
        return ""
    for mic in venues:
        if any(len(calendars.sessions(mic, day, day)) for day in event.days(calendars.venue(mic).zone)):
            return "ok"
    return "not a business day"


def _traded_around(event: Event, series: Series) -> tuple[bool, bool]:
    """Return whether the listing has a bar in the last session before the event's end and in the next."""
    day = event.ends_at.date()
    around = calendars.auctions(series.instrument.venue, day - timedelta(days=14), day + timedelta(days=14))
    number = int(np.searchsorted(around.close_at, _naive(event.ends_at), side="right"))
    before, after = np.isin(around.session[number - 1 : number + 1], series.session).tolist()
    return before, after


def check(event: Event, news: News, series: Mapping[str, Sequence[Series]]) -> dict[str, str]:
    """Return the row of the output for one event."""
    confirming = news.confirming(event.title, event.issuers, event.days(event.zone, NEW_YORK), event.zone)
    covered = news.covers(event.issuers, event.starts_at.date())
    files = Counter(headline.file for headline in confirming)
    own = [one for issuer in event.issuers for one in series.get(issuer, ())]
    moves = [move for one in own if (move := first_move(event, one)) is not None]
    move = max(moves, key=lambda m: abs(m.sigmas), default=None)
    price, calendar = price_verdict(event, move), calendar_verdict(event, own)
    return {
        "line": str(event.line),
        "published": event.published,
        "issuers": ";".join(event.issuers),
        "event": event.event,
        "news": "confirmed" if confirming else "not found" if covered else "no news in span",
        "news_file": files.most_common(1)[0][0] if files else "",
        "headlines": str(len(confirming)),
        "symbol": move.symbol if move else "",
        "session": move.session.isoformat() if move else "",
        "sigmas": f"{move.sigmas:.1f}" if move else "",
        "price": price,
        "calendar": calendar,
        "contradicted": "yes" if CONTRADICTIONS & {price, calendar} else "no",
    }


_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--timeline", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
@click.option("--news", type=_FOLDER, required=True, help="Folder of csv files of headlines.")
@click.option("--prices", type=_FOLDER, required=True, help="Folder of daily bars, one SYMBOL.csv a listing.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(timeline: Path, news: Path, prices: Path, out: Path) -> None:
    """Check a timeline against folders of headlines and bars; exit 1 when an event is contradicted."""
    try:
        events, headlines, series = read_timeline(timeline), News(read_news(news)), read_series(prices)
        rows = [check(event, headlines, series) for event in events]
    except ChipwireError as error:
        raise click.ClickException(str(error)) from error
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for column in ("news", "price", "calendar", "contradicted"):
        counts = Counter(row[column] or "nothing to ask" for row in rows)
        click.echo(f"{column:13}" + ", ".join(f"{name} {count}" for name, count in counts.most_common()))
    sys.exit(any(row["contradicted"] == "yes" for row in rows))


if __name__ == "__main__":
    main()
