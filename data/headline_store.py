"""Batches of headlines go into the warehouse, one transaction each; what is there already is not repeated.

A headline that comes again changes nothing but this: it may add tickers, an earlier sighting, and a date to
one that had none. Its text stays as first stored, since scores refer to it; which of several rows of one batch that
is does not depend on their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chipwire.data.headlines import Headline, agree, finer, merge
from chipwire.data.instants import Stamp
from chipwire.data.tables import Reject, first_reject
from chipwire.data.text import clean_line
from chipwire.data.warehouse import Warehouse, load_sql


@dataclass
class Outcome:
    """What became of a batch: counts by file and kind, and by language, and its first reject in words.

    The kinds are 'read', 'added', 'duplicates', 'rejected' (these three make 'read'), 'newly dated' (some of
    the duplicates) and 'undated' (some of the added).
    """

    by_file: Counter[tuple[int, str]] = field(default_factory=Counter)
    by_language: Counter[str] = field(default_factory=Counter)
    tickers_added: int = 0
    first_reject: str = ""


@dataclass(frozen=True)
class _Known:
    stamp: Stamp | None
    dated_by: str | None
    first_seen: datetime | None


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)


class HeadlineStore:
    """Writes batches of headlines and rejects.

    Parameters
    ----------
    warehouse : Warehouse
        Open for writing.
    command : str
        Recorded with each batch.
    """

    def __init__(self, warehouse: Warehouse, command: str = "ingest news") -> None:
        self._warehouse = warehouse
        self._command = command
        self._known_sql = load_sql("chipwire.data", "headline_known.sql")
        self._redate_sql = load_sql("chipwire.data", "headline_redate.sql")

    def write(
        self,
        headlines: Sequence[tuple[int, Headline]],
        rejects: Sequence[tuple[int, Reject]],
        files: Sequence[str],
    ) -> Outcome:
        """Store one batch in one transaction.

        Parameters
        ----------
        headlines, rejects : sequence of (file, row)
            With the index of the file they come from.
        files : sequence of str
            All files by index.

        Raises
        ------
        WriteFailed
            The disk did not take it; nothing of this batch is stored.
        """
        outcome = Outcome()
        refused = list(rejects)
        with self._warehouse.transaction():
            known = self._known(headlines)
            kept = self._sort_out(headlines, known, refused, outcome)
            # Line 0 stands for a file as a whole, which is no row.
            for file, reject in refused:
                outcome.by_file[file, "rejected"] += reject.line > 0
            for file, count in Counter(file for file, _ in headlines).items():
                outcome.by_file[file, "read"] += count
            for file, reject in rejects:
                outcome.by_file[file, "read"] += reject.line > 0
            outcome.first_reject = _first_reject(refused, files)
            self._store(kept, known, refused, files, outcome)
        return outcome

    def _known(self, headlines: Sequence[tuple[int, Headline]]) -> dict[str, _Known]:
        import pyarrow as pa

        ids = pa.table({"headline_id": [headline.headline_id for _, headline in headlines]})
        found = {}
        for row in self._warehouse.rows(self._known_sql, incoming=ids):
            at = _utc(row[1])
            stamp = Stamp(at, row[2], row[3]) if at else None
            found[row[0]] = _Known(stamp, row[4], _utc(row[5]))
        return found

    def _sort_out(
        self,
        headlines: Sequence[tuple[int, Headline]],
        known: dict[str, _Known],
        refused: list[tuple[int, Reject]],
        outcome: Outcome,
    ) -> dict[str, Headline]:
        """Return each headline once, with its earliest sighting and all its tickers; count the others."""
        kept: dict[str, Headline] = {}
        counts = outcome.by_file
        for file, headline in headlines:
            stored = known.get(headline.headline_id)
            if stored and (conflict := _conflict(stored, headline)):
                refused.append((file, Reject(headline.line, conflict, headline.title[:200])))
                continue
            before = kept.get(headline.headline_id)
            if before is not None:
                kept[headline.headline_id] = merge(before, headline)
                counts[file, "duplicates"] += 1
                continue
            kept[headline.headline_id] = headline
            if stored is None:
                counts[file, "added"] += 1
                counts[file, "undated"] += headline.stamp is None
            else:
                counts[file, "duplicates"] += 1
                counts[file, "newly dated"] += stored.stamp is None and headline.stamp is not None
        outcome.by_language.update(kept[key].language for key in kept if key not in known)
        return kept

    def _store(
        self,
        kept: dict[str, Headline],
        known: dict[str, _Known],
        refused: Sequence[tuple[int, Reject]],
        files: Sequence[str],
        outcome: Outcome,
    ) -> None:
        warehouse = self._warehouse
        named = sorted({file for (file, kind) in outcome.by_file if kind == "read"})
        source = files[named[0]] + (f" and {len(named) - 1:,} more" if len(named) > 1 else "")
        number = warehouse.new_batch(self._command, source)
        new = [headline for headline in kept.values() if headline.headline_id not in known]
        added = warehouse.insert("headline", _headline_table(new, number)) if new else 0
        changed = self._redate([kept[key] for key in known if key in kept], known)
        pairs = [(headline.headline_id, ticker) for headline in kept.values() for ticker in headline.tickers]
        if pairs:
            outcome.tickers_added = warehouse.insert("headline_ticker", _ticker_table(pairs))
        listed = warehouse.insert("reject", _reject_table(refused, files, number)) if refused else 0
        if added or changed or outcome.tickers_added or listed:
            warehouse.end_batch(number, sum(n for (_, kind), n in outcome.by_file.items() if kind == "read"), added)
        else:
            # A second ingest of the same data leaves the warehouse as it was.
            warehouse.run("DELETE FROM batch WHERE batch_id = ?", [number])

    def _redate(self, again: Sequence[Headline], known: dict[str, _Known]) -> int:
        """Give stored headlines the date or the earlier sighting that came with them now."""
        changes = []
        for headline in again:
            stored = known[headline.headline_id]
            seen = [at for at in (stored.first_seen, headline.first_seen) if at is not None]
            merged = headline._replace(
                stamp=finer(stored.stamp, headline.stamp),
                dated_by=stored.dated_by or headline.dated_by,
                first_seen=min(seen, default=None),
            )
            if (merged.stamp, merged.first_seen) != (stored.stamp, stored.first_seen):
                changes.append(merged)
        if not changes:
            return 0
        self._warehouse.touch("headline")
        return self._warehouse.run(self._redate_sql, incoming=_headline_table(changes, 0))


def _conflict(stored: _Known, headline: Headline) -> str:
    """Say why a user's date cannot be taken: the stored headline has another."""
    if headline.dated_by != "user" or stored.stamp is None or headline.stamp is None:
        return ""
    if agree(stored.stamp, headline.stamp):
        return ""
    return f"published {stored.stamp} as stored (by {stored.dated_by}), but --published says {headline.stamp}"


def _first_reject(refused: Sequence[tuple[int, Reject]], files: Sequence[str]) -> str:
    """Say which row of the first file was refused first; a file as a whole is no row."""
    rows = [(file, reject.line, reject.reason) for file, reject in refused if reject.line > 0]
    if not rows:
        return ""
    file, line, reason = min(rows)
    return first_reject(files[file], [Reject(line, clean_line(reason))])


def _headline_table(headlines: Sequence[Headline], batch: int) -> Any:
    import pyarrow as pa

    names = ("headline_id", "title", "title_raw", "summary", "body", "url", "source", "language")
    columns = dict(zip(names, list(zip(*headlines, strict=True)), strict=False))
    text, instant = pa.string(), pa.timestamp("us")
    stamps = [headline.stamp for headline in headlines]
    return pa.table(
        {
            **{name: pa.array(values, text) for name, values in columns.items()},
            "published_at": pa.array([stamp and stamp.at for stamp in stamps], instant),
            "published_precision": pa.array([stamp and stamp.precision for stamp in stamps], text),
            "published_zone": pa.array([stamp and stamp.zone for stamp in stamps], text),
            "first_seen_at": pa.array([headline.first_seen for headline in headlines], instant),
            "available_at": pa.array([headline.available() for headline in headlines], instant),
            "dated_by": pa.array([headline.dated_by for headline in headlines], text),
            "batch_id": pa.array([batch] * len(headlines), pa.int64()),
        }
    )


def _ticker_table(pairs: Sequence[tuple[str, str]]) -> Any:
    import pyarrow as pa

    ids, tickers = zip(*pairs, strict=True)
    return pa.table({"headline_id": pa.array(ids, pa.string()), "ticker": pa.array(tickers, pa.string())})


def _reject_table(refused: Sequence[tuple[int, Reject]], files: Sequence[str], batch: int) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "batch_id": pa.array([batch] * len(refused), pa.int64()),
            "file": pa.array([files[file] for file, _ in refused], pa.string()),
            "line": pa.array([reject.line for _, reject in refused], pa.int64()),
            "reason": pa.array([clean_line(reject.reason) for _, reject in refused], pa.string()),
            "excerpt": pa.array([reject.excerpt for _, reject in refused], pa.string()),
        }
    )
