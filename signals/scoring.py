"""The stage from headlines to scores: link what is new, read what is new, in batches that a kill cannot tear.

Readings (one per headline and model) and scores (one per headline, issuer and model) are append-only. Each batch is
one transaction, so that stopping the process at any moment and starting again loses nothing and repeats nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from chipwire.data.errors import NothingToDo
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.signals.linking import Linker
from chipwire.signals.models import LABELS, Progress
from chipwire.signals.reading import HeadlineReading, Reader, Title

MEMORY = "384MB"
"""DuckDB's share while scoring. The tables that grow have no index, so that it need not grow with the headlines."""
LINK_BATCH = 50_000
LOOK_BATCH = 20_000
"""Texts looked at together to see which the model has to read; most of a general feed ends here."""
SCORE_BATCH = 2_048
"""Texts read by the model in one transaction at most: what a kill can lose. Of a slow model they are `PIECES`."""
PIECES = 4
"""Pieces that a model is best given at a time, in one transaction."""
EMBEDDING_DECIMALS = 3
"""Enough for novelty, and a third of the space of floats as they come."""


@dataclass(frozen=True)
class LinkSummary:
    """What linking did: headlines read now, those that name an issuer, and mentions made."""

    read: int
    naming: int
    mentions: int


@dataclass(frozen=True)
class ScoreSummary:
    """What scoring did.

    Attributes
    ----------
    model_id, model_name : str
        Who scored.
    headlines, texts : int
        Headlines looked at now, and the distinct texts among them that the model read.
    direct, exposure : int
        (headline, issuer) pairs scored now, of named issuers and of such as are moved though not named.
    abstained : dict of str to int
        Headlines looked at now that gave no score, by reason.
    already : int
        Headlines that this model had looked at before.
    unmeant : int
        Linked names of which it says that they mean something else; they have no score.
    """

    model_id: str
    model_name: str
    headlines: int
    texts: int
    direct: int
    exposure: int
    abstained: dict[str, int]
    already: int
    unmeant: int


def link_headlines(warehouse: Warehouse, universe: Universe, on_progress: Progress | None = None) -> LinkSummary:
    """Link every headline that this universe's linker has not read yet, each batch in a transaction of its own.

    Inside another transaction it would not see what that one has linked.
    """
    linker = Linker(universe)
    key = {"linker": linker.id}
    total = warehouse.value(
        "SELECT count(*) FROM headline ANTI JOIN (FROM linked WHERE linker = $linker) USING (headline_id)", key
    )
    read = naming = mentions = 0
    for batch in warehouse.batches(load_sql("chipwire.signals", "todo_link.sql"), key, size=LINK_BATCH):
        rows = batch.to_pylist()
        found = [
            (row["headline_id"], mention.issuer, mention.relevance, mention.matched)
            for row in rows
            for mention in linker.link(row["title"], row["summary"], row["body"])
        ]
        with warehouse.transaction():
            warehouse.append("linked", _columns(headline_id=[row["headline_id"] for row in rows], linker=linker.id))
            if found:
                ids, issuers, relevances, names = zip(*found, strict=True)
                table = _columns(
                    headline_id=ids, issuer=issuers, via="direct", relevance=relevances, matched=names,
                    linker=linker.id,
                )  # fmt: skip
                warehouse.append("mention", table)
        read, mentions = read + len(rows), mentions + len(found)
        naming += len({row[0] for row in found})
        if on_progress:
            on_progress(read, total)
    return LinkSummary(read, naming, mentions)


def score_headlines(warehouse: Warehouse, reader: Reader, on_progress: Progress | None = None) -> ScoreSummary:
    """Read every linked headline that this reader has not read yet; each distinct text once.

    Raises
    ------
    NothingToDo
        The warehouse holds no headline.
    """
    headlines = warehouse.value("SELECT count(*) FROM headline")
    if not headlines:
        raise NothingToDo("there are no headlines to score", "ingest some with 'chipwire ingest news PATH'")
    _register(warehouse, reader)
    total = _gather(warehouse, reader)
    work = _Work(warehouse, reader, on_progress, total)
    for texts in _texts(warehouse):
        refusals = [reader.refusal(text.titles()[0]) for text in texts]
        refused = [(text, reason) for text, reason in zip(texts, refusals, strict=True) if reason]
        work.refuse(refused)
        work.read([text for text, reason in zip(texts, refusals, strict=True) if not reason])
    _drop(warehouse, "todo_text", "todo_headline")
    _be_last(warehouse, reader.id)
    return ScoreSummary(
        reader.id, reader.model.card.name, total, work.texts, work.scored["direct"], work.scored["exposure"],
        dict(work.abstained), int(headlines) - total, work.unmeant,
    )  # fmt: skip


def _gather(warehouse: Warehouse, reader: Reader) -> int:
    """Write what is to be read into temporary tables, a step at a time; return the number of headlines.

    Titles go through one join at a time: DuckDB can spill one, but of several in a row each may hold on to the memory
    that the next one needs.
    """

    def run(name: str, **params: object) -> int:
        return warehouse.run(load_sql("chipwire.signals", name), params)

    run("todo_id.sql", model=reader.id, linker=reader.linker_id)
    total = run("todo_unread.sql", days=sorted({row.valid_from for row in reader.exposures.rows}))
    _drop(warehouse, "todo_id")
    run("todo_text.sql")
    run("todo_headline.sql")
    _drop(warehouse, "todo_unread")
    return total


def _drop(warehouse: Warehouse, *tables: str) -> None:
    for table in tables:
        warehouse.run(f"DROP TABLE temp.{table}")


@dataclass(frozen=True)
class _Text:
    """A text to read, and the headlines that bear it by the day whose exposures count (None: before all of them)."""

    title: str
    language: str
    issuers: tuple[str, ...]
    days: list[tuple[date | None, Sequence[str]]]

    def titles(self) -> list[Title]:
        """Return the text as it is to be read, once for each day."""
        return [Title(self.title, self.language, day or date.min, self.issuers) for day, _ in self.days]

    def headlines(self) -> list[str]:
        return [headline for _, headlines in self.days for headline in headlines]


def _texts(warehouse: Warehouse) -> Iterator[list[_Text]]:
    """Yield the texts to do, in their order."""
    total = int(warehouse.value("SELECT count(*) FROM todo_text"))
    for start in range(0, total, LOOK_BATCH):
        span = {"start": start, "stop": start + LOOK_BATCH}
        found: dict[int, _Text] = {}
        for row in warehouse.arrow(load_sql("chipwire.signals", "todo_span.sql"), span).to_pylist():
            text = _Text(row["title"], row["language"], tuple(row["issuers"].split()), [])
            found.setdefault(row["n"], text).days.append((row["exposures_on"], row["headlines"]))
        yield list(found.values())


class _Work:
    """Writes what is read, one transaction per batch, and counts it."""

    def __init__(self, warehouse: Warehouse, reader: Reader, on_progress: Progress | None, total: int) -> None:
        self.texts = 0
        self.scored = Counter[str]()
        self.abstained = Counter[str]()
        self.unmeant = 0
        self._warehouse = warehouse
        self._reader = reader
        self._model_id = reader.id
        self._on_progress = on_progress
        self._done, self._total = 0, total

    def refuse(self, texts: Sequence[tuple[_Text, str]]) -> None:
        """Note texts that the model is not asked about."""
        if not texts:
            return
        found = [(headline, reason) for text, reason in texts for headline in text.headlines()]
        headlines, reasons = zip(*found, strict=True)
        table = _columns(headline_id=headlines, model_id=self._model_id, abstained=reasons)
        self._write(table, None)
        self.abstained.update(reasons)
        self._advance(len(found))

    def read(self, texts: Sequence[_Text]) -> None:
        """Have texts read by the model, a batch at a time."""
        size = min(SCORE_BATCH, PIECES * self._reader.model.card.piece)
        for start in range(0, len(texts), size):
            batch = texts[start : start + size]
            days = [each for text in batch for each in text.days]
            readings = self._reader.read([title for text in batch for title in text.titles()])
            both = [
                (headline, day, reading)
                for (day, headlines), reading in zip(days, readings, strict=True)
                for headline in headlines
            ]
            self._write(_reading_rows(both, self._model_id), _score_rows(both, self._model_id))
            self.texts += len(batch)
            for _, _, reading in both:
                self.scored.update(target.via for target in reading.targets)
                self.unmeant += len(reading.unmeant)
                if reading.abstained:
                    self.abstained[reading.abstained] += 1
            self._advance(len(both))

    def _write(self, readings: pa.Table, scores: pa.Table | None) -> None:
        with self._warehouse.transaction():
            number = self._warehouse.new_batch("score", self._model_id)
            self._warehouse.append("reading", _numbered(readings, number))
            added = self._warehouse.append("score", _numbered(scores, number)) if scores is not None else 0
            self._warehouse.end_batch(number, len(readings), added)
        self._warehouse.acknowledge()

    def _advance(self, headlines: int) -> None:
        self._done += headlines
        if self._on_progress:
            self._on_progress(self._done, self._total)


_Read = Sequence[tuple[str, date | None, HeadlineReading]]


def _reading_rows(both: _Read, model_id: str) -> pa.Table:
    def numbers(value: Callable[[HeadlineReading], float | None]) -> pa.Array:
        return pa.array([value(reading) for _, _, reading in both], pa.float64())

    return _columns(
        headline_id=[headline for headline, _, _ in both],
        model_id=model_id,
        abstained=pa.array([reading.abstained for _, _, reading in both], pa.string()),
        exposures_on=pa.array([day for _, day, _ in both], pa.date32()),
        p_ai_models=numbers(lambda reading: reading.themes.get("ai_models")),
        p_localization=numbers(lambda reading: reading.themes.get("localization")),
        p_sanctions=numbers(lambda reading: reading.themes.get("sanctions")),
        event=pa.array([reading.event for _, _, reading in both], pa.string()),
        p_event=numbers(lambda reading: reading.p_event),
        p_for=numbers(lambda reading: reading.directions[2]),
        p_against=numbers(lambda reading: reading.directions[0]),
        embedding=pa.array([_compact(reading) for _, _, reading in both], pa.list_(pa.float32())),
    )


def _compact(reading: HeadlineReading) -> Any:
    # Adding zero turns -0.0, which would be another value to a digest, into 0.0.
    return None if reading.embedding is None else np.round(reading.embedding, EMBEDDING_DECIMALS) + np.float32(0)


def _score_rows(both: _Read, model_id: str) -> pa.Table | None:
    rows = [(headline, target) for headline, _, reading in both for target in reading.targets]
    if not rows:
        return None
    negative, neutral, positive = zip(*(target.probabilities for _, target in rows), strict=True)
    return _columns(
        headline_id=[headline for headline, _ in rows],
        issuer=[target.issuer for _, target in rows],
        model_id=model_id,
        via=[target.via for _, target in rows],
        p_negative=negative,
        p_neutral=neutral,
        p_positive=positive,
        p_relevant=[target.relevance for _, target in rows],
        reason=[target.reason for _, target in rows],
    )


def _numbered(rows: pa.Table, batch: int) -> pa.Table:
    return rows.append_column("batch_id", pa.array([batch] * len(rows), pa.int64()))


def _register(warehouse: Warehouse, reader: Reader) -> None:
    card = reader.model.card
    with warehouse.transaction():
        table = _columns(
            model_id=[reader.id], name=f"{card.name}-masked" if reader.masked else card.name,
            files_sha256=card.files_sha256, labels=json.dumps(LABELS),
            languages=json.dumps(card.languages), training_cutoff=pa.array([card.training_cutoff], pa.date32()),
            masked=reader.masked, rules=reader.rules.id, exposures=reader.exposures.id, linker=reader.linker_id,
        )  # fmt: skip
        warehouse.insert("model", table)


def _be_last(warehouse: Warehouse, model_id: str) -> None:
    """Note the model as the one that scored last, though it found nothing new: what follows takes it by default."""
    if warehouse.value("SELECT input FROM batch WHERE command = 'score' ORDER BY batch_id DESC LIMIT 1") == model_id:
        return
    with warehouse.transaction():
        warehouse.end_batch(warehouse.new_batch("score", model_id), 0, 0)
    warehouse.acknowledge()


def _columns(**columns: object) -> pa.Table:
    """Build an Arrow table; a single value is repeated to the length of the first list."""
    length = next(len(value) for value in columns.values() if not isinstance(value, str | int | float))  # type: ignore[arg-type]
    return pa.table(
        {
            name: pa.array([value] * length) if isinstance(value, str | int | float) else value
            for name, value in columns.items()
        }
    )
