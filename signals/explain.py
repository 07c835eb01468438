"""What the reader reads in single headlines, as objects for JSON: one for each text, in the texts' order.

Texts are taken in batches, so that memory does not grow with their number, and each distinct text of a batch is read
once. They are cleaned as at ingest before they are read; what is given back is the text as it came.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from chipwire.data.errors import InputError, UnreadableInput
from chipwire.data.files import ByteSource
from chipwire.data.language import detect_language
from chipwire.data.lines import read_lines, text_encoding
from chipwire.data.text import MAX_TITLE, clean_line
from chipwire.data.universe import Universe
from chipwire.signals.models import LABELS
from chipwire.signals.reading import NONE, HeadlineReading, Reader, Title
from chipwire.signals.themes import THEMES

BATCH_TEXTS = 2_048
BATCH_CHARACTERS = 1 << 20
"""A batch ends with whichever is reached first."""

DIGITS = 4

_CLEANED_CHARACTERS = 20 * MAX_TITLE
"""How much of a text is cleaned: enough to see that it is too long for a title, however much of it is markup."""

# What json leaves as it is, though a terminal may act on it or hide it: DEL, C1, bidi marks, separators, surrogates.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass
class Tally:
    """What became of the texts.

    Attributes
    ----------
    read : int
        Texts that got an object.
    blank : int
        Texts without a readable character, left out.
    abstained : Counter of str
        Of those read, the ones without a target, by reason.
    refused : list of str
        Lines that cannot be decoded, left out: the first, as a message.
    refusals : int
        How many there were.
    """

    read: int = 0
    blank: int = 0
    abstained: Counter[str] = field(default_factory=Counter)
    refused: str = ""
    refusals: int = 0


def explain(
    texts: Iterable[str], reader: Reader, universe: Universe, tally: Tally, on: date | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Yield the objects of each batch of texts.

    Parameters
    ----------
    texts : iterable of str
        Headlines as they came; blank ones are counted and left out.
    tally : Tally
        Counts what becomes of the texts; changed in place.
    on : date, optional
        The day on which the headlines are known, for the exposure table. None: all its rows count.

    Yields
    ------
    list of dict
        See `as_object`.
    """
    for batch in _batches(texts, tally):
        titles = {clean: Title(clean, detect_language(clean[:MAX_TITLE]), on) for _, clean in batch}
        short = [title for title in titles.values() if len(title.title) <= MAX_TITLE]
        read = {reading.title: reading for reading in reader.read(short)}
        objects = [as_object(text, read.get(clean) or _too_long(titles[clean]), universe) for text, clean in batch]
        tally.read += len(objects)
        tally.abstained.update(one["abstained"] for one in objects if one["abstained"])
        yield objects


def as_object(headline: str, reading: HeadlineReading, universe: Universe) -> dict[str, Any]:
    """Return a reading as JSON knows it, with the keys of the design in their fixed order.

    Numbers have four decimals. ``themes`` is empty and the event ``none`` with P 0 where the text was not read;
    ``abstained`` is None where there are targets. ``sentiment`` is the difference of the rounded probabilities.
    """
    return {
        "headline": headline,
        "language": reading.language,
        "themes": {name: _rounded(reading.themes[name]) for name in THEMES if name in reading.themes},
        "event": {"type": reading.event or NONE, "p": _rounded(reading.p_event)},
        "targets": [_target(reading, number, universe) for number in range(len(reading.targets))],
        "abstained": reading.abstained,
    }


def _target(reading: HeadlineReading, number: int, universe: Universe) -> dict[str, Any]:
    target = reading.targets[number]
    negative, neutral, positive = (_rounded(p) for p in target.probabilities)
    return {
        "issuer": target.issuer,
        "symbols": [listing.symbol for listing in universe.listings(target.issuer)],
        "via": target.via,
        "sentiment": _rounded(positive - negative),
        "probabilities": dict(zip(LABELS, (negative, neutral, positive), strict=True)),
        "relevance": _rounded(target.relevance),
        "reason": target.reason,
    }


def as_line(found: dict[str, Any]) -> str:
    """Return an object as one line of JSON: letters as they are, controls and bidi marks escaped."""
    line = json.dumps(found, ensure_ascii=False, allow_nan=False)
    return line if line.isascii() and "\x7f" not in line else _UNSAFE.sub(lambda c: f"\\u{ord(c[0]):04x}", line)


def lines_of(path: str, tally: Tally) -> Iterator[str]:
    """Yield the lines of a file or of standard input ("-"), plain or gzipped.

    A line that cannot be decoded costs no other line: it is left out and counted in `tally`.

    Raises
    ------
    UnreadableInput
        The file cannot be opened, is binary, or damaged.
    """
    with ByteSource(path) as source:
        for line in read_lines(source, text_encoding(source)):
            if line.problem:
                tally.refusals += 1
                tally.refused = tally.refused or f"line {line.number:,} is {line.problem}"
            else:
                yield line.text.rstrip("\r\n")


def check_refused(path: str, tally: Tally) -> None:
    """Raise when lines of a file were left out.

    Raises
    ------
    UnreadableInput
        Names the first of them.
    """
    if tally.refusals:
        more = f" (and {tally.refusals - 1:,} more)" if tally.refusals > 1 else ""
        raise UnreadableInput(path, f"{tally.refused}{more}; the other lines were read; save it as UTF-8")


def check_arguments(texts: Sequence[str]) -> None:
    """Refuse an argument that the shell gave in another encoding.

    Raises
    ------
    InputError
        Names its place.
    """
    for number, text in enumerate(texts, 1):
        if _UNDECODED.search(text):
            raise InputError(f"text {number} is not valid UTF-8; give it in UTF-8, or in a file with --file")


def _batches(texts: Iterable[str], tally: Tally) -> Iterator[list[tuple[str, str]]]:
    """Yield batches of (text, cleaned text)."""
    batch: list[tuple[str, str]] = []
    characters = 0
    for text in texts:
        clean = clean_line(text[:_CLEANED_CHARACTERS])
        if not clean:
            tally.blank += 1
            continue
        batch.append((text, clean))
        characters += len(text)
        if len(batch) >= BATCH_TEXTS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _too_long(title: Title) -> HeadlineReading:
    reason = f"longer than {MAX_TITLE:,} characters, which is no headline"
    return HeadlineReading(title.title, title.language, reason, {}, None, 0.0, (0.0, 1.0, 0.0), ())


def _rounded(value: float) -> float:
    # Adding zero turns a rounded -0.0 into 0.0.
    return round(float(value), DIGITS) + 0.0
