"""Answers of the readers that are compared: the real one, and what one would do without it.

Everything goes the way that a headline goes in ``chipwire score``: cleaned, its language found by rule, linked, read.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from chipwire.data.language import detect_language
from chipwire.data.text import clean_line
from chipwire.signals.evaluate_measures import Answers, Gold
from chipwire.signals.models import LABELS, Item, Model
from chipwire.signals.reading import NONE, HeadlineReading, Reader, Title
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import Example, distinct, sentfin_rows, split_of
from chipwire.signals.train_domain import EVENTS, Row, Text, load_rows, public_texts, split_groups
from chipwire.signals.train_eval import Floats

LOOKALIKES: Final = {
    "lookalikes_heldout": "lookalikes_heldout.csv", "lookalikes_validation": "lookalikes_validation.csv",
    "lookalikes": "lookalikes.csv",
}  # fmt: skip
BATCH: Final = 512
VADER_SIGN: Final = 0.05
"""Compound scores beyond it have a sign (C. Hutto and E. Gilbert, "VADER", ICWSM 2014)."""


def load_gold() -> tuple[Gold, tuple[Row, ...], str]:
    """Return the test split of our own rows, the training rows, and a digest of all rows and look-alikes."""
    rows = load_rows()
    splits = split_groups(rows)
    lookalikes = {key: _headlines(name) for key, name in LOOKALIKES.items()}
    told = [{**vars(row), "themes": sorted(row.themes)} for row in rows]
    digest = hashlib.blake2b(json.dumps([told, lookalikes]).encode(), digest_size=6).hexdigest()
    of = {name: tuple(row for row in rows if splits[row.group] == name) for name in ("train", "test")}
    return Gold(of["test"], lookalikes), of["train"], digest


def _headlines(name: str) -> tuple[str, ...]:
    text = resources.files("chipwire.signals.training").joinpath(name).read_text("utf-8")
    return tuple(dict.fromkeys(row["headline"] for row in csv.DictReader(text.splitlines(), strict=True)))


def titles_of(texts: Iterable[str]) -> list[Title]:
    """Return texts as titles: cleaned, with the language that ingest would find."""
    return [Title(clean, detect_language(clean)) for clean in map(clean_line, texts)]


def read_all(reader: Reader, texts: Sequence[str]) -> list[HeadlineReading]:
    """Return the readings of texts."""
    return reader.read(titles_of(texts))


@dataclass(frozen=True)
class Read:
    """What a reader made of the test headlines, by headline, and of the look-alikes, by the key of their measure."""

    headlines: dict[str, HeadlineReading]
    lookalikes: dict[str, list[HeadlineReading]]


def read_gold(reader: Reader, gold: Gold) -> Read:
    """Read the test headlines and the look-alikes, each once."""
    return Read(
        dict(zip(gold.texts, read_all(reader, gold.texts), strict=True)),
        {key: read_all(reader, texts) for key, texts in gold.lookalikes.items()},
    )


def answers_of(read: Read, gold: Gold, vias: Collection[str] = ("direct", "exposure")) -> Answers:
    """Return the answers in what was read; unnamed issuers are read through the model's own events and directions.

    Parameters
    ----------
    vias : collection of str
        Kinds of targets that count: without ``exposure`` it is the reader without its exposure table.
    """
    probabilities, relevance = np.full((len(gold.rows), len(LABELS)), np.nan), np.full(len(gold.rows), np.nan)
    for number, row in enumerate(gold.rows):
        for target in read.headlines[row.headline].targets:
            if target.issuer == row.issuer and target.via in vias:
                probabilities[number], relevance[number] = target.probabilities, target.relevance
    headlines = [read.headlines[text] for text in gold.texts]
    return Answers(
        probabilities,
        relevance=relevance,
        themes=np.array([[one.themes.get(theme, 0.0) for theme in THEMES] for one in headlines]),
        events=np.array([EVENTS.index(one.event or NONE) for one in headlines]),
        linked={
            key: np.array([any(target.via in vias for target in one.targets) for one in readings])
            for key, readings in read.lookalikes.items()
        },
    )


def majority_answers(gold: Gold, train: Sequence[Row]) -> Answers:
    """Return the training rows' shares of labels, their commonest event, and their commonest word on the rest."""
    counts = Counter(row.label for row in train)
    shares = np.array([counts[label] / len(train) for label in LABELS])
    headlines = {row.headline: row for row in train}.values()
    themes = [float(sum(theme in row.themes for row in headlines) * 2 > len(headlines)) for theme in THEMES]
    event = Counter(row.event for row in headlines).most_common(1)[0][0]
    high = float(sum(row.relevance == "high" for row in train) * 2 > len(train))
    return Answers(
        np.tile(shares, (len(gold.rows), 1)),
        relevance=np.full(len(gold.rows), high),
        themes=np.tile(themes, (len(gold.texts), 1)),
        events=np.full(len(gold.texts), EVENTS.index(event)),
    )


def lexicon_probabilities(texts: Sequence[str], compound: Callable[[str], float]) -> Floats:
    """Return the verdict of a lexicon on whole texts as 0 and 1, shape (texts, 3).

    Parameters
    ----------
    compound : callable
        The lexicon's score of a text in [-1, 1]; beyond 0.05 either way it has a sign.
    """
    scores = np.array([compound(text) for text in texts])
    columns = np.where(scores > VADER_SIGN, 2, np.where(scores < -VADER_SIGN, 0, 1))
    return np.eye(len(LABELS))[columns]


def vader() -> Callable[[str], float] | None:
    """Return VADER's compound score, or None when the package is not installed."""
    try:
        analyzer = importlib.import_module("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    except ImportError:
        return None
    return lambda text: float(analyzer.polarity_scores(text)["compound"])


def lexicon_answers(gold: Gold, compound: Callable[[str], float]) -> Answers:
    """Return a lexicon's answers: each row, named or not, gets the verdict on its headline."""
    return Answers(lexicon_probabilities([row.headline for row in gold.rows], compound), graded=False)


def sentfin_test(folder: Path) -> tuple[list[Text], list[Example]]:
    """Return SEntFiN's held-out headlines as texts, and its training rows."""
    dropped: Counter[str] = Counter()
    rows = distinct(sentfin_rows(folder / "sentfin.csv", dropped), dropped)
    held_out = [row for row in rows if split_of(row.headline) == "test"]
    return public_texts(held_out), [row for row in rows if split_of(row.headline) == "train"]


def entity_probabilities(model: Model, texts: Sequence[Text]) -> Floats:
    """Return what a model says of each entity of each text, where it is named; shape (entities, 3)."""
    parts = []
    for start in range(0, len(texts), BATCH):
        items = [
            Item(text.text, text.language, tuple(target.spans for target in text.targets))
            for text in texts[start : start + BATCH]
        ]
        parts.append(model.read(items).sentiment)
    return np.concatenate(parts)
