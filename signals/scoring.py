"""The stage from headlines to scores: link what is new, read what is new, in batches that a kill cannot tear.

Scores are append-only, keyed by headline, issuer and model. Each batch is one transaction, so that stopping the
process at any moment and starting again loses nothing and repeats nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow as pa

from chipwire.data.errors import NothingToDo
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.signals.linking import Linker
from chipwire.signals.models import Model, Progress, ReadingModel, probabilities
from chipwire.signals.themes import load_theme_rules

LINK_BATCH = 50_000
SCORE_BATCH = 512


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
    scored : int
        (headline, issuer) pairs scored now.
    abstained : dict of str to int
        Pairs that the model does not read now, by reason.
    already : int
        Pairs that were scored or abstained from before.
    """

    model_id: str
    model_name: str
    scored: int
    abstained: dict[str, int]
    already: int


def link_headlines(warehouse: Warehouse, universe: Universe, on_progress: Progress | None = None) -> LinkSummary:
    """Link every headline that this universe's linker has not read yet."""
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
            warehouse.insert("linked", _columns(headline_id=[row["headline_id"] for row in rows], linker=linker.id))
            if found:
                ids, issuers, relevances, names = zip(*found, strict=True)
                table = _columns(
                    headline_id=ids, issuer=issuers, via="direct", relevance=relevances, matched=names,
                    linker=linker.id,
                )  # fmt: skip
                warehouse.insert("mention", table)
        read, mentions = read + len(rows), mentions + len(found)
        naming += len({row[0] for row in found})
        if on_progress:
            on_progress(read, total)
    return LinkSummary(read, naming, mentions)


def score_headlines(
    warehouse: Warehouse, model: Model, universe: Universe, on_progress: Progress | None = None
) -> ScoreSummary:
    """Score every linked (headline, issuer) pair that the model has not read yet.

    Raises
    ------
    NothingToDo
        The warehouse holds no headline.
    """
    if not warehouse.value("SELECT count(*) FROM headline"):
        raise NothingToDo("there are no headlines to score", "ingest some with 'chipwire ingest news PATH'")
    reading = ReadingModel(model, load_theme_rules().id)
    _register(warehouse, reading)
    key = {"model": reading.id, "linker": Linker(universe).id}
    warehouse.rows(load_sql("chipwire.signals", "todo_score.sql"), key)
    total = int(warehouse.value("SELECT count(*) FROM todo_score"))
    pairs = warehouse.value("SELECT count(*) FROM mention WHERE linker = ? AND via = 'direct'", [key["linker"]])
    scored, abstained = 0, dict[str, int]()
    for start in range(0, total, SCORE_BATCH):
        rows = warehouse.arrow(
            "SELECT * FROM todo_score WHERE n >= ? AND n < ? ORDER BY n", [start, start + SCORE_BATCH]
        ).to_pylist()
        readable = [row for row in rows if _reads(model, row["language"])]
        refused = [row for row in rows if not _reads(model, row["language"])]
        scores = _read(reading, universe, readable)
        with warehouse.transaction():
            batch = warehouse.new_batch("score", reading.id)
            if scores is not None:
                warehouse.insert("score", scores.append_column("batch_id", pa.array([batch] * len(scores))))
            if refused:
                table = _columns(
                    headline_id=[row["headline_id"] for row in refused], issuer=[row["issuer"] for row in refused],
                    model_id=reading.id, reason=[f"language {row['language']}" for row in refused], batch_id=batch,
                )  # fmt: skip
                warehouse.insert("abstention", table)
            warehouse.end_batch(batch, len(rows), len(readable))
        warehouse.acknowledge()
        scored += len(readable)
        for row in refused:
            reason = f"language {row['language']}"
            abstained[reason] = abstained.get(reason, 0) + 1
        if on_progress:
            on_progress(start + len(rows), total)
    warehouse.rows("DROP TABLE IF EXISTS temp.todo_score")
    return ScoreSummary(reading.id, model.card.name, scored, abstained, int(pairs) - total)


def _reads(model: Model, language: str) -> bool:
    """Whether the model was trained on the language; a model that names none reads all, 'und' is worth a try."""
    return not model.card.languages or language in model.card.languages or language == "und"


def _read(reading: ReadingModel, universe: Universe, rows: list[dict[str, str]]) -> pa.Table | None:
    """Return the scores of `rows` without their batch; each distinct text is read once."""
    if not rows:
        return None
    pairs = [(row["title"], _short_name(universe, row["issuer"]) if reading.model.card.pairs else "") for row in rows]
    distinct = list(dict.fromkeys(pairs))
    read = dict(zip(distinct, probabilities(reading.model, distinct).tolist(), strict=True))
    rules = load_theme_rules()
    themes = {title: rules.read(title) for title in dict.fromkeys(row["title"] for row in rows)}
    scores = [read[pair] for pair in pairs]
    found = [themes[row["title"]] for row in rows]
    return _columns(
        headline_id=[row["headline_id"] for row in rows],
        issuer=[row["issuer"] for row in rows],
        model_id=reading.id,
        p_negative=[score[0] for score in scores],
        p_neutral=[score[1] for score in scores],
        p_positive=[score[2] for score in scores],
        p_ai_models=[reading_.themes["ai_models"] for reading_ in found],
        p_localization=[reading_.themes["localization"] for reading_ in found],
        p_sanctions=[reading_.themes["sanctions"] for reading_ in found],
        event=pa.array([reading_.event for reading_ in found], pa.string()),
        p_event=pa.array([reading_.p_event for reading_ in found], pa.float64()),
    )


def _short_name(universe: Universe, issuer: str) -> str:
    """Return the name by which headlines speak of an issuer: the shortest alias that is a word, not a ticker."""
    known = universe.issuers[issuer]
    names = [alias for alias in known.aliases if alias.casefold() == issuer.casefold()] or list(known.aliases)
    return names[0] if not names[0].islower() else names[0].title()


def _register(warehouse: Warehouse, reading: ReadingModel) -> None:
    card = reading.model.card
    with warehouse.transaction():
        table = _columns(
            model_id=[reading.id], name=card.name, files_sha256=card.files_sha256, labels=json.dumps(card.labels),
            languages=json.dumps(card.languages), training_cutoff=pa.array([card.training_cutoff], pa.date32()),
        )  # fmt: skip
        warehouse.insert("model", table)


def _columns(**columns: object) -> pa.Table:
    """Build an Arrow table; a single value is repeated to the length of the first list."""
    length = next(len(value) for value in columns.values() if not isinstance(value, str | int | float))  # type: ignore[arg-type]
    return pa.table(
        {
            name: pa.array([value] * length) if isinstance(value, str | int | float) else value
            for name, value in columns.items()
        }
    )
