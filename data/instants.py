"""Dates and times in a few explicit forms, and the moment from which a headline can have been known.

Nothing is guessed: a text is in one of the forms below or it is refused. The wall clock is never read.

A local time that a clock change makes ambiguous or skips is taken as the *later* of its two readings, so that
nothing is known too early.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from chipwire.data.errors import BadInstant, MissingZone, UnknownName

FIRST_YEAR, LAST_YEAR = 1990, 2050
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# RFC 822, section 5.1; CST is the American one there, which is also the later reading.
_NAMED_OFFSETS = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
_ISO = re.compile(
    r"(\d{4})([-/])(\d\d)\2(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII | re.IGNORECASE,
)
# The usual case of it, which the standard library's own parser reads faster.
_USUAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-](?:0\d|1[0-3]):[0-5]\d)?", re.ASCII)
_RFC822 = re.compile(
    r"(?:([a-z]{3}), ?)?(\d{1,2}) ([a-z]{3}) (\d{4}) (\d\d):(\d\d)(?::(\d\d))?(?: ([a-z]{1,3}|[+-]\d{4}))?",
    re.ASCII | re.IGNORECASE,
)
_MONTH = r"(?P<month>[a-z]{3,9})\.?"
_ARTICLE_DAYS = tuple(
    re.compile(rf"(?:(?P<weekday>[a-z]{{3,9}})\.?,? )?{form}", re.ASCII | re.IGNORECASE)
    for form in (
        r"(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)",
        r"(?P<day>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4})",
        rf"{_MONTH} (?P<day>\d{{1,2}}), ?(?P<year>\d{{4}})",
        rf"(?P<day>\d{{1,2}}) {_MONTH},? (?P<year>\d{{4}})",
        r"(?P<year>\d{4})年(?P<number>\d{1,2})月(?P<day>\d{1,2})日",
    )
)
_FULL_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_DATELINE = re.compile(
    r"(?P<date>[a-z]{3,9}\.? \d{1,2}, \d{4}) (?P<local>\d{1,2}:\d\d) (?P<zone>[ECMP][SD]?T) "
    r"\((?P<gmt>\d{1,2}:\d\d) (?:GMT|UTC)\)",
    re.ASCII | re.IGNORECASE,
)
_US_ZONES = {
    "e": "America/New_York",
    "c": "America/Chicago",
    "m": "America/Denver",
    "p": "America/Los_Angeles",
}


class Stamp(NamedTuple):
    """When something was published or seen.

    Attributes
    ----------
    at : datetime
        UTC, aware. For precision 'day' the start of that day in `zone`.
    precision : str
        'second', 'minute' or 'day'.
    zone : str or None
        The IANA zone whose day is meant, for precision 'day'.
    """

    at: datetime
    precision: str
    zone: str | None = None

    def __str__(self) -> str:
        if self.precision == "day" and self.zone:
            return f"{self.at.astimezone(zone_info(self.zone)):%Y-%m-%d} by day in {self.zone}"
        form = "%Y-%m-%d %H:%M UTC" if self.precision == "minute" else "%Y-%m-%d %H:%M:%S UTC"
        return self.at.strftime(form)


@lru_cache(maxsize=256)
def zone_info(name: str) -> ZoneInfo:
    """Return the IANA zone called `name`.

    Raises
    ------
    UnknownName
        With the nearest known name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UnknownName(
            "time zone", name, available_timezones(), "give an IANA name such as Europe/Amsterdam"
        ) from None


def _to_utc(local: datetime, zone: str) -> datetime:
    """Return the later of the two readings that a clock change can give to a naive local time."""
    info = zone_info(zone)
    return max(local.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (0, 1))


@lru_cache(maxsize=65_536)
def day_stamp(day: date, zone: str) -> Stamp:
    """Return the stamp of something known only by its day in `zone`."""
    return Stamp(_to_utc(datetime.combine(day, time()), zone), "day", zone)


def local_day(at: datetime, zone: str) -> date:
    """Return the date that the instant `at` has in `zone`."""
    return at.astimezone(zone_info(zone)).date()


@lru_cache(maxsize=65_536)
def _day_end(start: datetime, zone: str) -> datetime:
    tomorrow = local_day(start, zone) + timedelta(days=1)
    return _to_utc(datetime.combine(tomorrow, time()), zone)


def available_at(published: Stamp, first_seen: datetime | None) -> datetime:
    """Return the instant (UTC) from which a trader could have known the headline, before any latency.

    Known to the minute or better: the later of `published` and `first_seen`. Known only by its day: the next
    local midnight of its zone; but when a collector really saw it at or after the start of that day, the
    moment it was seen. A first sighting before the day began contradicts the day and is not believed.
    """
    if published.precision != "day" or published.zone is None:
        return published.at if first_seen is None else max(published.at, first_seen)
    if first_seen is not None and first_seen >= published.at:
        return first_seen
    return _day_end(published.at, published.zone)


@lru_cache(maxsize=65_536)
def parse_stamp(text: str, zone: str | None = None) -> Stamp:
    """Read a date or time in one of the explicit forms of files and feeds.

    ISO 8601 with ``-`` or ``/``, ``T`` or a space, with or without seconds, fraction and offset; a date
    alone; and RFC 822 as in feeds. An offset in the text wins over `zone`.

    Parameters
    ----------
    text : str
        Stripped of white space around it.
    zone : str, optional
        IANA zone of a time without an offset, or of a date alone.

    Raises
    ------
    BadInstant
        No known form, no such date, or a year outside 1990 to 2050.
    MissingZone
        A naive time or a date without `zone`.
    """
    try:
        if found := _USUAL.fullmatch(text):
            local = datetime.fromisoformat(text)
            precision = "second" if found[1] else "minute"
            if local.tzinfo is None:
                return _placed(text, local, None, zone, precision)
            _check_year(text, local.year)
            return Stamp(local.astimezone(UTC), precision)
        if found := _ISO.fullmatch(text):
            return _from_iso(text, found, zone)
        if found := _RFC822.fullmatch(text):
            return _from_rfc822(text, found, zone)
    except (ValueError, OverflowError) as error:
        raise BadInstant(text, f"is no date ({error})") from None
    raise BadInstant(text, "is in no known date form, e.g. 2024-12-23T05:59Z or 2024-12-23 05:59:00")


def _from_iso(text: str, found: re.Match[str], zone: str | None) -> Stamp:
    year, _, month, day, hour, minute, second, fraction, offset = found.groups()
    if hour is None:
        return _checked_day(text, date(int(year), int(month), int(day)), zone)
    micros = int((fraction or "0").ljust(6, "0")[:6])
    local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micros)  # noqa: DTZ001
    return _placed(text, local, offset, zone, "minute" if second is None else "second")


def _from_rfc822(text: str, found: re.Match[str], zone: str | None) -> Stamp:
    weekday, day, month, year, hour, minute, second, offset = found.groups()
    if month.lower() not in _MONTHS:
        raise BadInstant(text, f"names no month ('{month}')")
    number = _MONTHS.index(month.lower()) + 1
    local = datetime(int(year), number, int(day), int(hour), int(minute), int(second or 0))  # noqa: DTZ001
    if weekday and weekday.lower() != _WEEKDAYS[local.weekday()]:
        raise BadInstant(text, f"names a {weekday}, but that day is a {_WEEKDAYS[local.weekday()].title()}")
    return _placed(text, local, offset, zone, "minute" if second is None else "second")


def _placed(text: str, local: datetime, offset: str | None, zone: str | None, precision: str) -> Stamp:
    """Put a naive local time on the UTC line by its offset, or else by its zone."""
    _check_year(text, local.year)
    if offset is None:
        if zone is None:
            raise MissingZone(text)
        return Stamp(_to_utc(local, zone), precision)
    return Stamp(local.replace(tzinfo=_offset(text, offset)).astimezone(UTC), precision)


def _offset(text: str, offset: str) -> timezone:
    if offset[0] not in "+-":
        if offset.lower() not in _NAMED_OFFSETS:
            raise BadInstant(text, f"names an unknown zone ('{offset}'); only GMT, UTC and American ones are")
        return timezone(timedelta(hours=_NAMED_OFFSETS[offset.lower()]))
    digits = offset[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    if minutes > 14 * 60 or int(digits[2:]) > 59:
        raise BadInstant(text, f"has an impossible offset ('{offset}')")
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _check_year(text: str, year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BadInstant(text, f"is implausible: outside {FIRST_YEAR} to {LAST_YEAR}")


def _checked_day(text: str, day: date, zone: str | None) -> Stamp:
    _check_year(text, day.year)
    if zone is None:
        raise MissingZone(text)
    return day_stamp(day, zone)


def read_article_day(line: str) -> date | None:
    """Return the day of a line that is nothing but a date, as articles print it, or None.

    ``27.12.2024`` (day first), ``December 27, 2024``, ``27 Dec 2024``, ``2024-12-27``, ``2024年12月27日``,
    with or without a weekday before it. ``12/27/2024`` is left alone: which part is the month is not certain.
    """
    text = " ".join(line.split())
    for form in _ARTICLE_DAYS:
        if found := form.fullmatch(text):
            return _day_of(found.groupdict())
    return None


def _day_of(parts: dict[str, str | None]) -> date | None:
    number = int(parts["number"] or 0) if parts.get("number") else _month_number(parts.get("month") or "")
    try:
        day = date(int(parts["year"] or 0), number, int(parts["day"] or 0))
    except ValueError:
        return None
    weekday = parts["weekday"]
    if weekday and not weekday.lower().startswith(_WEEKDAYS[day.weekday()]):
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None


def _month_number(name: str) -> int:
    """Return 1 to 12, or 0 for what is no English month or its usual short form."""
    lowered = name.lower()
    if lowered in _FULL_MONTHS:
        return _FULL_MONTHS.index(lowered) + 1
    return _MONTHS.index(lowered[:3]) + 1 if lowered in {*_MONTHS, "sept"} else 0


def read_dateline(line: str) -> Stamp | None:
    """Return the stamp of a newswire line ``Month D, YYYY HH:MM ET (HH:MM GMT)``, or None.

    Both times must name the same instant; a line that contradicts itself dates nothing.
    """
    found = _DATELINE.fullmatch(" ".join(line.split()))
    day = read_article_day(found["date"]) if found else None
    if found is None or day is None:
        return None
    local, gmt = _clock(found["local"]), _clock(found["gmt"])
    if local is None or gmt is None:
        return None
    at = _to_utc(datetime.combine(day, local), _US_ZONES[found["zone"][0].lower()])
    return Stamp(at, "minute") if at.time() == gmt else None


def _clock(text: str) -> time | None:
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute)) if int(hour) < 24 and int(minute) < 60 else None
