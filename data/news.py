"""``ingest news``: files, folders, feeds and articles become headlines, every row of them accounted for."""

from __future__ import annotations

import csv
import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from chipwire.data.articles import read_article
from chipwire.data.errors import BadRow, InputError, UnreadableInput, counted
from chipwire.data.feeds import read_feed
from chipwire.data.files import STDIN, ByteSource, Found, content_kind, discover, text_start
from chipwire.data.headline_store import HeadlineStore
from chipwire.data.headlines import Headline, RowReader, article_headline, survey
from chipwire.data.instants import Stamp, day_stamp, parse_stamp, read_article_day, zone_info
from chipwire.data.json_readers import read_json, read_jsonl
from chipwire.data.lines import text_encoding
from chipwire.data.profiles import Profile, check_column_map, choose_profile, looks_like_header
from chipwire.data.readers import Chunk, read_csv, read_parquet
from chipwire.data.tables import Reject
from chipwire.data.text import excerpt
from chipwire.data.warehouse import Warehouse
from chipwire.data.warehouse_files import is_of

BATCH_ROWS = 100_000
BATCH_CHARACTERS = 32_000_000


@dataclass(frozen=True)
class NewsFile:
    """What one file came to; ``rows_read = added + duplicates + rejected``.

    `newly_dated` are duplicates that got the user's date, `undated` are added headlines without one.
    """

    path: str
    rows_read: int
    added: int
    duplicates: int
    rejected: int
    newly_dated: int
    undated: int


@dataclass(frozen=True)
class NewsSummary:
    """What an ingest came to.

    Attributes
    ----------
    files : tuple of NewsFile
        The files that could be read, in order.
    skipped : tuple of (path, reason)
        Files of a folder that are of no known kind; each is a reject of line 0.
    passed_over : tuple of (path, reason)
        Files of a folder that nobody means: hidden ones, the warehouse and what lies beside it.
    unreadable : tuple of (path, reason)
        Files that could not be used, or not to their end.
    by_language : mapping of str to int
        Added headlines by language.
    tickers_added : int
        Pairs of headline and ticker that are new.
    first_reject : str
        The first row that could not be used, as ``file line n: reason``; empty when there is none.
    """

    files: tuple[NewsFile, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    by_language: Mapping[str, int] = field(default_factory=dict)
    tickers_added: int = 0
    first_reject: str = ""

    def _total(self, name: str) -> int:
        return sum(getattr(file, name) for file in self.files)

    @property
    def rows_read(self) -> int:
        """Rows of all files."""
        return self._total("rows_read")

    @property
    def added(self) -> int:
        """Headlines that are new."""
        return self._total("added")

    @property
    def duplicates(self) -> int:
        """Rows of headlines that were there already, from this call or before."""
        return self._total("duplicates")

    @property
    def rejected(self) -> int:
        """Rows that could not be used."""
        return self._total("rejected")

    @property
    def newly_dated(self) -> int:
        """Headlines that had no date and got the user's."""
        return self._total("newly_dated")

    @property
    def undated(self) -> int:
        """Added headlines without a date: kept, and out of every backtest."""
        return self._total("undated")


@dataclass(frozen=True)
class NewsProgress:
    """How far an ingest is: bytes on disk read and in all (0 where not known), and rows read."""

    path: str
    bytes_read: int
    bytes_total: int
    rows_read: int


def ingest_news(
    warehouse: Warehouse,
    paths: Sequence[str | Path],
    *,
    column_map: Mapping[str, str] | None = None,
    zone: str | None = None,
    published: str | None = None,
    source: str | None = None,
    on_progress: Callable[[NewsProgress], None] | None = None,
) -> NewsSummary:
    """Read news from `paths` into the warehouse.

    Batches of at most 100,000 rows are written in one transaction each. An interrupt or a full disk loses the
    current batch only; a second run adds what is missing.

    Parameters
    ----------
    warehouse : Warehouse
        Open for writing.
    paths : sequence of str or Path
        Files, folders, globs, '-' for standard input.
    column_map : mapping, optional
        Role to column, where the header says too little.
    zone : str, optional
        IANA zone of times and dates that carry none; wins over a profile's.
    published : str, optional
        The date of rows and articles that have none; by day in `zone` (else UTC), or a time with its offset.
    source : str, optional
        The source of rows and articles that name none; an article's is else its file's name.
    on_progress : callable, optional
        Called after each chunk of rows.

    Returns
    -------
    NewsSummary
        Counts, and the files that were not used with the reasons.

    Raises
    ------
    InputError
        An unknown role, zone or form of `published`. A bad file raises nothing: it is in the summary.
    WriteFailed
        The disk did not take a batch; earlier batches are stored.
    """
    check_column_map(column_map or {})
    if zone is not None:
        zone_info(zone)
    given = _given_stamp(published, zone) if published is not None else None
    return _Ingest(warehouse, dict(column_map or {}), zone, given, source, on_progress).run(paths)


def _given_stamp(text: str, zone: str | None) -> Stamp:
    day: date | None = read_article_day(text)
    return day_stamp(day, zone or "UTC") if day else parse_stamp(text.strip(), zone)


class _Ingest:
    """One call: reads files one after the other and writes batches across them."""

    def __init__(
        self,
        warehouse: Warehouse,
        column_map: dict[str, str],
        zone: str | None,
        given: Stamp | None,
        source: str | None,
        on_progress: Callable[[NewsProgress], None] | None,
    ) -> None:
        self._store = HeadlineStore(warehouse)
        self._own = warehouse.path
        self._column_map = column_map
        self._zone = zone
        self._given = given
        self._source = source
        self._on_progress = on_progress
        self._files: list[str] = []
        self._headlines: list[tuple[int, Headline]] = []
        self._rejects: list[tuple[int, Reject]] = []
        self._characters = 0
        self._counts: Counter[tuple[int, str]] = Counter()
        self._languages: Counter[str] = Counter()
        self._tickers = 0
        self._first_reject = ""
        self._rows = 0

    def run(self, paths: Sequence[str | Path]) -> NewsSummary:
        # Millions of short-lived tuples and no cycles: the cyclic collector would take a fifth of the time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._run([*discover(paths), *_bare(paths)])
        finally:
            if collecting:
                gc.enable()

    def _run(self, found: Sequence[Found]) -> NewsSummary:
        sizes = [_size(item) for item in found]
        skipped: list[tuple[str, str]] = []
        passed_over: list[tuple[str, str]] = []
        unreadable: list[tuple[str, str]] = []
        done = 0
        for item, size in zip(found, sizes, strict=True):
            if item.skipped and (item.hidden or is_of(self._own, Path(item.path))):
                passed_over.append((_shown(item.path), item.problem or ""))
                continue
            self._files.append(_shown(item.path))
            try:
                if item.problem:
                    raise UnreadableInput(item.path, item.problem)
                self._read_file(item.path, done, sum(sizes))
            except InputError as error:
                reason = error.reason if isinstance(error, UnreadableInput) else str(error)
                (skipped if item.skipped else unreadable).append((self._files[-1], reason))
                self._note_unreadable(reason)
            done += size
        self._flush()
        return self._summary(tuple(skipped), tuple(passed_over), tuple(unreadable))

    def _read_file(self, path: str, done: int, total: int) -> None:
        with closing(ByteSource(path)) as source:
            kind = content_kind(source)
            if kind == "text" and not _has_header(source):
                self._read_article(source)
                return
            reader: RowReader | None = None
            before = self._rows
            for chunk in self._chunks(source, kind):
                if reader is None and chunk.lines:
                    profile = self._profile(path, chunk.names)
                    dates = survey(self._look_ahead(path, kind, chunk), profile)
                    reader = RowReader(path, profile, self._source, self._given, dates)
                rows = reader.read(chunk) if reader else iter(chunk.rejects)
                self._take(rows)
                if self._on_progress:
                    self._on_progress(NewsProgress(_shown(path), done + source.position(), total, self._rows))
            # A feed or a list of objects may well have nothing new; a table with a header was meant to hold rows.
            if self._rows == before and kind in ("csv", "text", "parquet"):
                raise UnreadableInput(path, "has a header and no rows")

    def _look_ahead(self, path: str, kind: str, first: Chunk) -> Iterator[Chunk]:
        """Yield the first rows, and where more are asked for the whole file, if it can be read twice.

        Damage ends it here, and is told when the rows themselves are read.
        """
        yield first
        if path != STDIN and Path(path).is_file():
            with suppress(InputError), closing(ByteSource(path)) as again:
                yield from self._chunks(again, kind)

    def _chunks(self, source: ByteSource, kind: str) -> Iterator[Chunk]:
        if kind == "jsonl":
            return read_jsonl(source)
        if kind == "json":
            return read_json(source)
        if kind == "parquet":
            return read_parquet(source)
        if kind == "feed":
            return read_feed(source)
        return read_csv(source, lambda header: self._date_column(source.path, header))

    def _profile(self, path: str, header: Sequence[str]) -> Profile:
        return choose_profile(path, header, self._column_map, self._zone, dated_by_user=self._given is not None)

    def _date_column(self, path: str, header: Sequence[str]) -> int | None:
        name = self._profile(path, header).roles.get("published")
        return None if name is None else list(header).index(name)

    def _read_article(self, source: ByteSource) -> None:
        encoding = text_encoding(source)
        raw = source.whole()
        try:
            text = raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
        except UnicodeDecodeError as error:
            reason = f"is not valid {encoding.upper()} at byte {error.start:,}; save it as UTF-8"
            raise UnreadableInput(source.path, reason) from None
        name = self._source or ("stdin" if source.path == STDIN else Path(source.path.removesuffix(".gz")).stem)
        try:
            article = read_article(text, self._zone)
            self._take(iter([article_headline(article, source=name, given=self._given)]))
        except BadRow as error:
            self._take(iter([Reject(1, str(error), excerpt(text))]))

    def _take(self, rows: Iterator[Headline | Reject]) -> None:
        """Add rows of the current file to the batch, and write it when it is full."""
        file = len(self._files) - 1
        for row in rows:
            self._rows += 1
            if isinstance(row, Reject):
                self._rejects.append((file, row))
            else:
                self._headlines.append((file, row))
                self._characters += len(row.title) + len(row.summary or "") + len(row.body or "")
            if len(self._headlines) + len(self._rejects) >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS:
                self._flush()

    def _note_unreadable(self, reason: str) -> None:
        self._rejects.append((len(self._files) - 1, Reject(0, reason)))

    def _flush(self) -> None:
        if not self._headlines and not self._rejects:
            return
        outcome = self._store.write(self._headlines, self._rejects, self._files)
        self._headlines, self._rejects, self._characters = [], [], 0
        self._counts.update(outcome.by_file)
        self._languages.update(outcome.by_language)
        self._tickers += outcome.tickers_added
        self._first_reject = self._first_reject or outcome.first_reject

    def _summary(
        self,
        skipped: tuple[tuple[str, str], ...],
        passed_over: tuple[tuple[str, str], ...],
        unreadable: tuple[tuple[str, str], ...],
    ) -> NewsSummary:
        failed = {path for path, _ in (*skipped, *unreadable)}
        files = tuple(
            NewsFile(
                path,
                *(
                    self._counts[index, kind]
                    for kind in ("read", "added", "duplicates", "rejected", "newly dated", "undated")
                ),
            )
            for index, path in enumerate(self._files)
            if path not in failed or self._counts[index, "read"]
        )
        languages = dict(sorted(self._languages.items(), key=lambda item: (-item[1], item[0])))
        return NewsSummary(files, skipped, passed_over, unreadable, languages, self._tickers, self._first_reject)


def _bare(paths: Sequence[str | Path]) -> Iterator[Found]:
    """Yield the folders in which there is nothing to read."""
    for path in map(str, paths):
        if not Path(path).is_dir() or any(not found.skipped for found in discover([path])):
            continue
        reason = "has no csv, jsonl, parquet, feed or article in it"
        if strange := sum(not found.hidden for found in discover([path])):
            reason += f" ({counted(strange, 'file')} of no known kind; 'chipwire rejects' lists them)"
        yield Found(path, reason)


def _has_header(source: ByteSource) -> bool:
    """Return whether the first line of a text names a table's columns."""
    line = text_start(source.head).partition("\n")[0].strip()
    for delimiter in ",;\t|":
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        if looks_like_header([cell.strip() for cell in cells]):
            return True
    return False


def _size(item: Found) -> int:
    try:
        return 0 if item.problem or item.path == STDIN else Path(item.path).stat().st_size
    except OSError:
        return 0


def _shown(path: str) -> str:
    """Return a path as text that can be stored: names of files need not be valid UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")
