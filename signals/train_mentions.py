"""Headlines in which the letters of a company's name stand, for the company or for something else; for training only.

In ``mentions.csv`` a name, also a product's, stands for both, in groups of two lines; in the look-alikes it means
something else. They know no signs, themes and events.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Mapping
from importlib import resources
from typing import Final

from chipwire.data.universe import load_universe
from chipwire.signals.linking import Linker
from chipwire.signals.masking import Span
from chipwire.signals.train_domain import Target, Text
from chipwire.signals.train_headlines import FOLDER, parsed

COLUMNS: Final = ("group", "language", "headline", "name", "meant")
LOOKALIKES: Final = ("lookalikes.csv", "headlines_en_lookalike.csv", "headlines_zh_lookalike.csv")
HELD_OUT: Final = ("lookalikes_heldout.csv", "lookalikes_validation.csv")
MEANT: Final = {"yes": 1.0, "no": 0.0}


def load_mentions() -> list[Text]:
    """Return the headlines of ``mentions.csv``; the one target of each is the name.

    Raises
    ------
    ValueError
        A line is not of the form; the message names it and what is wrong.
    """
    return parsed("mentions.csv", COLUMNS, parse_mention)


def parse_mention(row: Mapping[str, str]) -> Text:
    """Return a headline whose one target is the name, wherever its letters stand.

    Raises
    ------
    ValueError
        The name does not stand in the headline, or the language or what is meant is unknown.
    """
    headline, name = (unicodedata.normalize("NFKC", row[key]).strip() for key in ("headline", "name"))
    if row["language"] not in ("en", "zh") or row["meant"] not in MEANT:
        raise ValueError(f"unknown language or meaning in '{row['language']}', '{row['meant']}'")
    if not (spans := _places(name, headline)):
        raise ValueError(f"'{name}' does not stand in the headline")
    return _text(headline, row["language"], row["group"], spans, MEANT[row["meant"]])


def load_lookalikes() -> list[Text]:
    """Return the look-alikes for training that have the letters of a company's name; those are their targets."""
    linker = Linker(load_universe())
    texts = []
    for row in (row for file in LOOKALIKES for row in _rows(file)):
        words = unicodedata.normalize("NFKC", row["headline"]).strip()
        if spans := tuple(dict.fromkeys((hit.start, hit.end) for hit in linker.spelt(words))):
            texts.append(_text(words, row["language"], row.get("group", ""), spans, MEANT["no"]))
    return texts


def held_lookalikes() -> list[Text]:
    """Return the look-alikes of test and validation, to which no mention may come near; they have no targets."""
    return [_text(row["headline"], row["language"], "", (), 0.0) for file in HELD_OUT for row in _rows(file)]


def _rows(file: str) -> list[dict[str, str]]:
    lines = resources.files(FOLDER).joinpath(file).read_text("utf-8").splitlines()
    return list(csv.DictReader(lines, strict=True))


def _places(name: str, text: str) -> tuple[Span, ...]:
    found, at = [], text.find(name) if name else -1
    while at >= 0:
        found.append((at, at + len(name)))
        at = text.find(name, at + len(name))
    return tuple(found)


def _text(words: str, language: str, group: str, spans: tuple[Span, ...], meant: float) -> Text:
    targets = (Target("", spans, None, None, meant=meant),) if spans else ()
    return Text(words, language, targets, spans, None, None, None, "mentions", group)
