"""Headlines that are for training only, one line each with its labels.

Their files (``headlines_*.csv``) are written like those of `chipwire.signals.train_domain`, but a line is a headline
and not a (headline, issuer), and it states the event's direction. They are never validated or tested on; one that is
near to a validation or test wording is left out of the training. ``markets.csv`` has market headlines in general, with
labels of what they name, an index, a spice or a bank, as public sets have them; it knows no themes and events.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Final

from chipwire.data.universe import Universe, load_universe
from chipwire.signals.linking import Linker
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_direction import infer_direction
from chipwire.signals.train_domain import DIRECTIONS, EVENTS, Target, Text, names_in, outermost

COLUMNS: Final = ("group", "language", "headline", "labels", "themes", "event", "direction", "relevance")
FOLDER: Final = "chipwire.signals.training"
MARKET_COLUMNS: Final = ("group", "headline", "labels")
NEWEST: Final = {
    "_aside.csv": 1, "_edges.csv": 2, "_seeming.csv": 1, "_relative.csv": 1, "_lures.csv": 2, "_decoys.csv": 3,
}  # fmt: skip
"""Endings of the youngest files and how often an epoch reads each headline of theirs, by the labels alone."""


def load_headlines(universe: Universe | None = None, ending: str = ".csv") -> list[Text]:
    """Return the headlines of all files whose names end so, by name of the file, in its order.

    Raises
    ------
    ValueError
        A line is not of the form; the message names file, line and what is wrong.
    """
    universe = universe or load_universe()
    linker = Linker(universe)
    names = (entry.name for entry in resources.files(FOLDER).iterdir())
    return [
        text
        for file in sorted(name for name in names if name.startswith("headlines_") and name.endswith(ending))
        for text in parsed(file, COLUMNS, lambda record: parse_headline(record, linker, universe))
    ]


def load_markets() -> list[Text]:
    """Return the market headlines of ``markets.csv``, each with what is labelled of it; they have no event.

    Raises
    ------
    ValueError
        A line is not of the form; the message names file, line and what is wrong.
    """
    return parsed("markets.csv", MARKET_COLUMNS, parse_market)


def parse_market(record: Mapping[str, str]) -> Text:
    """Return a market headline from its cells; a name within a longer one that is labelled too is not that thing's.

    Raises
    ------
    ValueError
        A label is unknown, nothing is labelled, something twice, or what is labelled does not stand in the headline.
    """
    text = unicodedata.normalize("NFKC", record["headline"]).strip()
    labels: dict[str, int] = {}
    for part in record["labels"].split(";"):
        name, _, label = part.rpartition("=")
        if not name or name != name.strip():
            raise ValueError(f"'{part}' is not of the form name=label")
        if name.casefold() in (known.casefold() for known in labels):
            raise ValueError(f"'{name}' is labelled twice")
        labels[name] = _place("label", label, LABELS)
    found = {name: names_in(name, text) for name in labels}
    outer = outermost(span for spans in found.values() for span in spans)
    spans = {name: tuple(span for span in of_name if span in outer) for name, of_name in found.items()}
    if absent := [name for name, left in spans.items() if not left]:
        raise ValueError(f"'{absent[0]}' is labelled and does not stand in the headline")
    targets = tuple(Target(name, spans[name], label, None) for name, label in labels.items())
    return Text(text, "en", targets, tuple(sorted(outer)), None, None, None, "markets", record["group"])


def parse_headline(record: Mapping[str, str], linker: Linker, universe: Universe) -> Text:
    """Return a headline from its cells; the labels of issuers that it does not name are its `moved`.

    What the labels say of the direction, by the exposure table, goes before the writer's word for it.

    Raises
    ------
    ValueError
        An issuer, label, theme, event, direction or relevance is unknown, or an issuer that is named has no label.
    """
    text = unicodedata.normalize("NFKC", record["headline"]).strip()
    pairs = [part.partition("=") for part in record["labels"].split(";") if part]
    labels = {issuer: _place("label", label, LABELS) for issuer, _, label in pairs}
    hits = linker.find(text)
    named = dict.fromkeys(hit.issuer for hit in hits)
    if strange := sorted(set(labels) - set(universe.issuers)):
        raise ValueError(f"unknown issuer {strange[0]}")
    if bare := sorted(set(named) - set(labels)):
        raise ValueError(f"{bare[0]} is named but not labelled")
    themes = set(filter(None, record["themes"].split(";")))
    if themes - set(THEMES) or record["relevance"] not in ("high", "low"):
        raise ValueError(f"unknown theme or relevance in {record['themes']!r}, {record['relevance']!r}")
    event = _place("event", record["event"], EVENTS)
    direction = _place("direction", record["direction"], DIRECTIONS)
    high = record["relevance"] == "high"
    said = infer_direction(record["event"], text, named, {issuer: LABELS[label] for issuer, label in labels.items()})
    neutral = LABELS.index("neutral")
    targets = tuple(
        Target(
            issuer, tuple((hit.start, hit.end) for hit in hits if hit.issuer == issuer), labels[issuer],
            float(high and labels[issuer] != neutral) if len(named) > 1 else float(high),
        )
        for issuer in named
    )  # fmt: skip
    return Text(
        text, record["language"], targets, tuple((hit.start, hit.end) for hit in hits),
        tuple(float(theme in themes) for theme in THEMES), event,
        DIRECTIONS.index(said) if said else direction, "own", record["group"],
        moved={issuer: label for issuer, label in labels.items() if issuer not in named},
    )  # fmt: skip


def _place(what: str, name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise ValueError(f"unknown {what} '{name}'")
    return known.index(name)


def parsed(file: str, columns: Sequence[str], parse: Callable[[Mapping[str, str]], Text]) -> list[Text]:
    """Return the texts of the lines of a file of ours; `ValueError` names file, line and what is wrong with it."""
    lines = resources.files(FOLDER).joinpath(file).read_text("utf-8").splitlines()
    reader = csv.DictReader(lines, strict=True)
    if tuple(reader.fieldnames or ()) != columns:
        raise ValueError(f"{file}: columns are {reader.fieldnames}, expected {','.join(columns)}")
    texts = []
    for record in reader:
        try:
            texts.append(parse(record))
        except (AttributeError, TypeError, ValueError) as error:  # a short line has cells that are None
            raise ValueError(f"{file} line {reader.line_num}: {error}") from error
    return texts
