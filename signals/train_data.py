"""Labelled rows for the embedded model: parsing, cleaning and splitting.

Two published data sets give (headline, target, label) rows: SEntFiN 1.0 (MIT; Sinha, Kedas, Kumar and
Malo, 2022) and FinEntity (ODC-BY; Tang, Yang, Huang, Tam and Tang, 2023). Nothing
here needs torch. What cannot be used is counted under a reason, never dropped in silence.
"""

from __future__ import annotations

import csv
import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LABELS: Final = ("negative", "neutral", "positive")
"""Label names in the order of the model's outputs."""

SPLITS: Final = ("train", "validation", "test")

SPLIT_KEY: Final = "chipwire-1"
"""Fixed key of the split: the test rows stay the test rows whatever the training seed is."""

_LINK = re.compile(r"https?://\S*|www\.\S+|pic\.twitter\.com/\S*", re.IGNORECASE)
_WIRE_CODE = re.compile(r"<[A-Za-z0-9=._^/#:-]{2,}>|\[[a-zA-Z]{0,3}[A-Z0-9]{6,}\]")
_WIRE_CREDITS = re.compile(r"\(\(.*$|\((?:Reporting|Additional reporting|Compiled|Writing|Editing) by\b.*$", re.DOTALL)
_REPLACEMENT = re.compile("\ufffd+")
_CASHTAG = re.compile(r"(?<![\w$])\$([A-Z]{1,5}(?:\.[A-Z])?)\b")
_DECISION = re.compile(r"""(['"])(?P<name>.+?)\1\s*:\s*(['"])(?P<label>negative|neutral|positive)\3""")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Example:
    """One training row.

    Attributes
    ----------
    headline : str
        Cleaned text.
    target : str
        The company (or market, commodity, ...) that the label is about.
    label : int
        Index into `LABELS`.
    source : str
        Data set: ``sentfin`` or ``finentity``.
    """

    headline: str
    target: str
    label: int
    source: str


@dataclass(frozen=True)
class Corpus:
    """All usable rows and what was left out.

    Attributes
    ----------
    examples : tuple of Example
        Distinct rows in file order.
    dropped : dict of str to int
        Rows left out, by ``"source: reason"``.
    """

    examples: tuple[Example, ...]
    dropped: dict[str, int]


def clean_text(text: str) -> str:
    """Return the text without links, wire codes and credits, and markup entities, with single spaces.

    Parameters
    ----------
    text : str
        Raw headline, tweet or paragraph.

    Returns
    -------
    str
        Possibly empty.
    """
    # Tweets carry doubly escaped entities ("&amp;amp;"); two passes settle what occurs.
    text = html.unescape(html.unescape(text))
    text = _WIRE_CREDITS.sub(" ", _WIRE_CODE.sub(" ", _LINK.sub(" ", text)))
    text = _REPLACEMENT.sub("'", text)
    return " ".join(text.split()).rstrip("\u2026 ").strip()


def headline_key(headline: str) -> str:
    """Return the form under which two headlines count as the same one.

    Case, punctuation, links and cashtags do not matter; words and figures do.
    """
    text = _CASHTAG.sub(" ", _LINK.sub(" ", headline))
    return " ".join(_WORD.findall(text.casefold()))


def split_of(headline: str) -> str:
    """Return the split a headline belongs to: 80% train, 10% validation, 10% test.

    The split depends on the headline alone, so one headline never stands in two splits, not even when two
    data sets hold it.
    """
    digest = hashlib.sha256(f"{SPLIT_KEY}:{headline_key(headline)}".encode()).digest()
    bucket = int.from_bytes(digest[:8], "big") % 100
    return "train" if bucket < 80 else "validation" if bucket < 90 else "test"


def parse_decisions(cell: str) -> dict[str, str] | None:
    """Read a SEntFiN ``Decisions`` cell, also one with unescaped apostrophes.

    Parameters
    ----------
    cell : str
        A mapping of target to label written as a Python literal. It is matched, never evaluated.

    Returns
    -------
    dict of str to str or None
        Target to label name; None when anything in the cell is not such a pair.
    """
    found = {match["name"].strip(): match["label"] for match in _DECISION.finditer(cell)}
    rest = _DECISION.sub("", cell).replace(",", "").replace(" ", "")
    return found if found and rest == "{}" else None


def sentfin_rows(path: Path, dropped: Counter[str]) -> list[Example]:
    """Read SEntFiN's csv: one row per headline and target.

    Parameters
    ----------
    path : Path
        csv with the columns ``Title`` and ``Decisions``.
    dropped : Counter
        Counts what is left out; changed in place.
    """
    rows = []
    for record in _csv_records(path, ("Title", "Decisions")):
        decisions = parse_decisions(record["Decisions"])
        if decisions is None:
            dropped["sentfin: unreadable labels"] += 1
            continue
        headline = clean_text(record["Title"])
        rows += [
            Example(headline, clean_text(name), LABELS.index(label), "sentfin") for name, label in decisions.items()
        ]
    return rows


def finentity_rows(path: Path, dropped: Counter[str]) -> list[Example]:
    """Read FinEntity's json: one row per paragraph and labelled span.

    Some spans are shifted by a damaged character before them; the name given beside the span then counts, if
    the paragraph has it. Several spans of one name are kept only when their labels agree.

    Parameters
    ----------
    path : Path
        json list of ``content`` with ``annotations`` (``start``, ``end``, ``value``, ``label``).
    dropped : Counter
        Counts what is left out; changed in place.
    """
    rows = []
    for record in json.loads(path.read_text(encoding="utf-8")):
        content = record["content"]
        headline = clean_text(content)
        for span in record["annotations"]:
            name = span["value"].strip()
            label = span["label"].casefold()
            if content[span["start"] : span["end"]].strip() != name and name not in content:
                dropped["finentity: span not in text"] += 1
            elif label not in LABELS:
                dropped["finentity: unknown label"] += 1
            else:
                rows.append(Example(headline, clean_text(name), LABELS.index(label), "finentity"))
    return rows


def load_corpus(folder: Path) -> Corpus:
    """Read the two data sets of a folder and make their rows distinct.

    Parameters
    ----------
    folder : Path
        Holds ``sentfin.csv`` and ``finentity.json``.

    Returns
    -------
    Corpus
        A headline and target with two different labels is left out altogether.
    """
    dropped: Counter[str] = Counter()
    rows = sentfin_rows(folder / "sentfin.csv", dropped)
    rows += finentity_rows(folder / "finentity.json", dropped)
    return Corpus(tuple(distinct(rows, dropped)), dict(sorted(dropped.items())))


def distinct(rows: Iterable[Example], dropped: Counter[str]) -> list[Example]:
    """Return rows without repeats, contradictions and empty texts.

    Parameters
    ----------
    rows : iterable of Example
        In file order; the first of equal rows stays.
    dropped : Counter
        Counts what is left out; changed in place.
    """
    groups: dict[tuple[str, str], list[Example]] = {}
    for row in rows:
        if len(headline_key(row.headline).split()) < 2 or not headline_key(row.target):
            dropped[f"{row.source}: too short"] += 1
            continue
        groups.setdefault((headline_key(row.headline), row.target.casefold()), []).append(row)
    kept = []
    for group in groups.values():
        agreed = len({row.label for row in group}) == 1
        if agreed:
            kept.append(group[0])
        reason = "repeated" if agreed else "contradictory labels"
        for row in group[1:] if agreed else group:
            dropped[f"{row.source}: {reason}"] += 1
    return kept


def split_corpus(examples: Iterable[Example]) -> dict[str, list[Example]]:
    """Return the rows of each split by `split_of`, keyed by the names in `SPLITS`."""
    parts: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for row in examples:
        parts[split_of(row.headline)].append(row)
    return parts


def _csv_records(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a csv with these columns strictly: an open quote is an error, not a swallowed file."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path.name} has no column {missing[0]!r}; it needs {', '.join(columns)}")
        return list(reader)
