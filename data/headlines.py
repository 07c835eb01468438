"""Rows of a recognised table and plain articles become headlines: cleaned, dated, identified."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, NamedTuple

from chipwire.data.articles import Article
from chipwire.data.errors import BadRow, MissingZone, UnreadableInput
from chipwire.data.instants import Stamp, available_at, day_stamp, local_day, parse_stamp
from chipwire.data.language import detect_language, feed_language
from chipwire.data.profiles import ROLES, Profile, known_publishers
from chipwire.data.readers import Chunk
from chipwire.data.tables import Reject
from chipwire.data.text import (
    check_length,
    clean_body,
    clean_line,
    clean_title,
    excerpt,
    rejoin_tokens,
    strip_publisher,
    title_key,
)

MAX_URL = 4096
MAX_SOURCE = 200
MAX_TICKER = 32
_MIDNIGHT = re.compile(r"[T ]00:00(?::00(?:\.0+)?)? ?(?:Z|UTC|GMT|[+-]00:?00)?$", re.IGNORECASE)
_PYTHON_TITLE = re.compile(r"""['"](?:title|name)['"]: (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
_TICKER_SPLIT = re.compile(r"[,;|\s]+")


class Headline(NamedTuple):
    """One row of the table ``headline``, without its batch; `tickers` and `line` go elsewhere."""

    headline_id: str
    title: str
    title_raw: str | None
    summary: str | None
    body: str | None
    url: str | None
    source: str | None
    language: str
    stamp: Stamp | None
    dated_by: str | None
    first_seen: datetime | None
    tickers: tuple[str, ...]
    line: int

    def available(self) -> datetime | None:
        """Return from when it could have been known; None without a date."""
        return available_at(self.stamp, self.first_seen) if self.stamp else None


def headline_id(title: str, stamp: Stamp | None, body: str | None) -> str:
    """Return 16 hex digits of BLAKE2b over what makes two items the same headline.

    With a date of the row's own: the folded title and the instant, or the day and its zone; so a story under
    several tickers or addresses is one headline. Without (`stamp` None): the folded title and the body, so
    that a date given later by the user dates the same headline.
    """
    if stamp is None:
        when = f"b|{body or ''}"
    elif stamp.precision == "day":
        when = f"d|{stamp.zone}|{stamp.at:%Y%m%d%H%M}"
    else:
        when = f"t|{stamp.at.isoformat()}"
    text = f"{title_key(title)}\n{when}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def agree(own: Stamp, given: Stamp) -> bool:
    """Return whether two stamps can both be right: equal, or one is the day of the other."""
    if own.precision == given.precision == "day":
        return own == given
    for day, other in ((own, given), (given, own)):
        if day.precision == "day":
            return day.at <= other.at < available_at(day, None)
    return own.at == given.at


def _storable(raw: str) -> str:
    """Return `raw` with only those characters replaced that no database text can hold."""
    if raw.isascii():
        return raw.replace("\0", "�")
    return raw.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "�")


def article_headline(article: Article, *, source: str, given: Stamp | None) -> Headline:
    """Return the headline of a plain article.

    Parameters
    ----------
    article : Article
        The article taken apart.
    source : str
        Its source where the text names none.
    given : Stamp or None
        The user's date. It dates an undated article; one that contradicts the text is refused.

    Raises
    ------
    BadRow
        No title, too long, or two dates.
    """
    title = clean_title(article.title)
    check_length(article.body, "body")
    stamp, dated_by = _date(article.stamp, "text", given)
    return Headline(
        headline_id=headline_id(title, None, article.body),
        title=title,
        title_raw=None,
        summary=None,
        body=article.body or None,
        url=None,
        source=article.source or source,
        language=detect_language(title),
        stamp=stamp,
        dated_by=dated_by,
        first_seen=None,
        tickers=(),
        line=1,
    )


def _date(own: Stamp | None, own_name: str, given: Stamp | None) -> tuple[Stamp | None, str | None]:
    if own is None:
        return given, "user" if given else None
    if given is not None and not agree(own, given):
        raise BadRow(f"published {own} by its own {own_name}, but --published says {given}")
    return own, own_name


class Survey(NamedTuple):
    """What the dates of a table have in common.

    Attributes
    ----------
    only_days : bool
        All are written as midnights (a date column saved as timestamps): they are days, not instants.
    zoneless : str or None
        What is wrong with one of them, where all lack a zone: one fault, and not thousands.
    """

    only_days: bool
    zoneless: str | None


def survey(chunks: Iterable[Chunk], profile: Profile) -> Survey:
    """Look at the dates of a table, in whatever order, no further than until one settles both questions."""
    if "published" not in profile.roles:
        return Survey(only_days=False, zoneless=None)
    some, midnights, missing = False, True, ""
    zoned = bool(profile.zone or "zone" in profile.roles)
    for value in chain.from_iterable(chunk.column(profile.roles["published"]) for chunk in chunks):
        if not value:
            continue
        some = True
        midnights = midnights and _MIDNIGHT.search(str(value)[-16:]) is not None
        if not zoned:
            try:
                _stamp(str(value).strip(), None, profile)
                zoned = True
            except MissingZone as error:
                missing = min(missing or str(error), str(error))
            except BadRow:
                continue
        if zoned and not midnights:
            break
    return Survey(some and midnights, None if zoned or not missing else missing)


def _stamp(text: str, zone: str | None, profile: Profile) -> Stamp:
    zone = zone or profile.zone
    if zone is None and len(text) == 10:
        zone = profile.day_zone
    return parse_stamp(text, zone)


class RowReader:
    """Reads the rows of one table, chunk by chunk, as its profile says.

    Parameters
    ----------
    path : str
        For messages.
    profile : Profile
        Which column plays which role, and the zones.
    source : str or None
        The source where a row names none.
    given : Stamp or None
        The user's date for rows without one.
    dates : Survey
        What all dates of the table have in common.

    Raises
    ------
    UnreadableInput
        All dates lack a zone.
    """

    def __init__(self, path: str, profile: Profile, source: str | None, given: Stamp | None, dates: Survey) -> None:
        if dates.zoneless is not None:
            raise UnreadableInput(path, f"its time {dates.zoneless}")
        self._profile = profile
        self._source = source
        self._given = given
        self._known = known_publishers()
        self._only_days = dates.only_days

    def read(self, chunk: Chunk) -> Iterator[Headline | Reject]:
        """Yield a headline or a reject for each row of `chunk`, then the chunk's own rejects."""
        roles = self._profile.roles
        columns = [chunk.column(roles[role]) if role in roles else repeat(None) for role in ROLES]
        for i, (line, *cells) in enumerate(zip(chunk.lines, *columns, strict=False)):
            try:
                yield self._headline(line, *cells)
            except BadRow as error:
                yield Reject(line, str(error), excerpt(chunk.row_text(i)))
        yield from chunk.rejects

    def _headline(
        self,
        line: int,
        raw_title: Any,
        summary: Any,
        body: Any,
        url: Any,
        source: Any,
        published: Any,
        first_seen: Any,
        tickers: Any,
        language: Any,
        zone: Any,
    ) -> Headline:
        name = (_source_name(source) if isinstance(source, str) else _nested_name(source)) or self._source
        raw = raw_title if isinstance(raw_title, str) else _text(raw_title)
        title = strip_publisher(clean_title(raw), name, self._known)
        if self._profile.detokenise:
            title = rejoin_tokens(title)
        own = self._published(published, zone)
        stamp, dated_by = (own, "row") if self._given is None and own else _date(own, "row", self._given)
        short = clean_line(_text(summary)) if summary else ""
        long = clean_body(_text(body)) if body else ""
        if short:
            check_length(short, "summary")
        if long:
            check_length(long, "body")
        return Headline(
            headline_id(title, own, long),
            title,
            None if raw == title else _storable(raw),
            short if short and short != title else None,
            long or None,
            _address(url) if url else None,
            name,
            detect_language(title, feed_language(_text(language)) if language else "und"),
            stamp,
            dated_by,
            self._seen(first_seen) if first_seen else None,
            _tickers(tickers) if isinstance(tickers, str) else _ticker_list(tickers),
            line,
        )

    def _published(self, value: Any, zone: Any) -> Stamp | None:
        if not value or not (text := _text(value).strip()):
            return None
        stamp = _stamp(text, _text(zone).strip() or None if zone else None, self._profile)
        if self._only_days and stamp.precision != "day" and _MIDNIGHT.search(text[-16:]):
            day_zone = self._profile.zone or self._profile.day_zone or "UTC"
            return day_stamp(local_day(stamp.at, day_zone), day_zone)
        return stamp

    def _seen(self, value: Any) -> datetime | None:
        text = _text(value).strip()
        if not text:
            return None
        seen = parse_stamp(text, self._profile.first_seen_zone or self._profile.zone)
        # A sighting known by its day alone was made by the end of that day.
        return available_at(seen, None) if seen.precision == "day" else seen.at


def _text(value: Any) -> str:
    """Return a cell as text; '' for None, and for what holds other values."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        raise BadRow("not valid UTF-8")
    return "" if value is None or isinstance(value, (dict, list, bool)) else str(value)


@lru_cache(maxsize=8192)
def _source_name(value: str) -> str | None:
    """Return a publisher's name: a site's without ``https://www.``, the title of a dict printed by Python."""
    if value.startswith("{"):
        found = _PYTHON_TITLE.search(value[:2000])
        value = re.sub(r"\\(.)", r"\1", found[1] or found[2] or "") if found else ""
    name = re.sub(r"^https?://(?:www\.)?|/+$", "", clean_line(value[:2000]))
    return name[:MAX_SOURCE] or None


def _nested_name(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("title") or value.get("name")
    return _source_name(value) if isinstance(value, str) else None


def _address(value: Any) -> str | None:
    """Return a link if it is plain http or https; anything else (``javascript:``) is not kept."""
    text = _text(value).strip()
    plain = text[:8].lower().startswith(("http://", "https://"))
    return text if plain and len(text) <= MAX_URL and text.isprintable() and " " not in text else None


@lru_cache(maxsize=65_536)
def _tickers(value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.upper() for name in _TICKER_SPLIT.split(clean_line(value)) if name))
    for name in names:
        if len(name) > MAX_TICKER:
            raise BadRow(f"'{name[:MAX_TICKER]}...' is no ticker: {len(name):,} characters")
    return names


def _ticker_list(value: Any) -> tuple[str, ...]:
    return _tickers(",".join(map(_text, value))) if isinstance(value, list) else ()


def merge(one: Headline, other: Headline) -> Headline:
    """Return one of two of the same identity with the earlier sighting, the finer precision and the tickers of both.

    Whose texts stay does not depend on which comes first: a dated one's, then that of more summary and body, then
    by title, summary, body, address and source as text, where something goes before nothing.
    """
    first, again = sorted((one, other), key=_precedence)
    seen = [at for at in (first.first_seen, again.first_seen) if at is not None]
    tickers = tuple(sorted({*first.tickers, *again.tickers}))
    return first._replace(stamp=finer(first.stamp, again.stamp), first_seen=min(seen, default=None), tickers=tickers)


def _precedence(headline: Headline) -> tuple[Any, ...]:
    """Return what `merge` sorts by: nothing that merging changes."""
    at = headline.stamp.at.isoformat() if headline.stamp else None
    texts = (
        headline.title, headline.summary, headline.body, headline.url, headline.source, headline.title_raw,
        headline.language, at,
    )  # fmt: skip
    more = len(headline.summary or "") + len(headline.body or "")
    return (at is None, -more, *((text is None, text or "") for text in texts))


def finer(first: Stamp | None, again: Stamp | None) -> Stamp | None:
    """Return `first`, or `again` where it says the same instant to the second, or where there is no `first`."""
    if first is None or (again is not None and again.at == first.at and again.precision == "second"):
        return again
    return first
