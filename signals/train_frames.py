"""Headlines grown from frames: hand-written patterns with slots for companies and alternatives in brackets.

A frame stands for hundreds of wordings of one meaning, and its mirror images (the flip, the denial, the places changed)
share its words but not its labels. So a small encoder learns who does what to whom, not which words sound bad. Frames
are for training only; they are never validated or tested on.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np

from chipwire.data.universe import Issuer, Universe
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import DIRECTIONS, EVENTS, Target, Text

FRAME_FILES: Final = (
    "frames_trade.csv", "frames_industry.csv", "frames_company.csv", "frames_noise.csv",
    "frames_en_rivals.csv", "frames_en_legal.csv", "frames_en_policy.csv", "frames_en_money.csv",
    "frames_zh_rivals.csv", "frames_zh_legal.csv", "frames_zh_policy.csv", "frames_zh_money.csv",
)  # fmt: skip
THEMED: Final = frozenset(
    ("chip_sale_ban", "tool_ban", "relaxation", "entity_listing", "retaliation", "tariff", "procurement",
     "cheap_model_shock", "model_launch")
)  # fmt: skip
"""Events whose frames teach themes; on the others the frames' writers did not share one definition."""
COLUMNS: Final = ("group", "language", "frame", "labels", "themes", "event", "direction", "relevance")

_SLOT = re.compile(r"\{([A-Z])(?::([a-z0-9_|]+))?\}")
_VALUE = re.compile(r"\{(pct|money|n|year|quarter|node|day|month)\}")
_INNER = re.compile(r"\[([^\[\]]*)\]")
_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
_QUARTERS: Final = ("first-quarter", "second-quarter", "third-quarter", "fourth-quarter")


@dataclass(frozen=True)
class Frame:
    """One line of a file of frames; see `COLUMNS`."""

    group: str
    language: str
    frame: str
    labels: Mapping[str, int]
    themes: tuple[float, ...]
    event: int
    direction: int
    relevance: float
    roles: Mapping[str, frozenset[str]]


def load_frames(language: str, files: Sequence[str] = FRAME_FILES) -> list[Frame]:
    """Return the frames of a language in file order.

    Raises
    ------
    ValueError
        A line is not of the form; the message names file, group and what is wrong.
    """
    frames = []
    for name in files:
        text = resources.files("chipwire.signals.training").joinpath(name).read_text("utf-8")
        for record in csv.DictReader(text.splitlines(), strict=True):
            if record["language"] == language:
                try:
                    frames.append(parse_frame(record))
                except ValueError as error:
                    raise ValueError(f"{name}: {record['group']}: {error}") from error
    return frames


def parse_frame(record: Mapping[str, str]) -> Frame:
    """Return a frame from its cells.

    Raises
    ------
    ValueError
        Brackets do not match, a slot has no label, or a value is unknown.
    """
    # Full-width marks would move the places of names when a text is normalised for reading.
    frame = unicodedata.normalize("NFKC", record["frame"])
    flat = frame
    while _INNER.search(flat):
        flat = _INNER.sub("", flat)
    if "[" in flat or "]" in flat:
        raise ValueError("brackets do not match")
    slots = dict.fromkeys(letter for letter, _ in _SLOT.findall(frame))
    roles = {letter: frozenset(kinds.split("|")) for letter, kinds in _SLOT.findall(frame) if kinds}
    labels = {}
    for part in filter(None, record["labels"].split(";")):
        letter, _, label = part.partition("=")
        labels[letter.strip()] = LABELS.index(label.strip())
    if set(labels) != set(slots):
        raise ValueError(f"slots are {', '.join(slots) or 'none'} but labels {', '.join(labels) or 'none'}")
    if unknown := re.findall(r"\{[^}]*\}", _VALUE.sub("", _SLOT.sub("", frame))):
        raise ValueError(f"unknown slot {unknown[0]}")
    # The types' bars would look like those of alternatives.
    frame = _SLOT.sub(lambda slot: f"{{{slot[1]}}}", frame)
    themes = set(filter(None, record["themes"].split(";")))
    if themes - set(THEMES) or record["relevance"] not in ("high", "low"):
        raise ValueError(f"unknown theme or relevance in {record['themes']!r}, {record['relevance']!r}")
    return Frame(
        record["group"], record["language"], frame, labels, tuple(float(theme in themes) for theme in THEMES),
        EVENTS.index(record["event"]), DIRECTIONS.index(record["direction"]), float(record["relevance"] == "high"),
        roles,
    )  # fmt: skip


class Grower:
    """Grows texts from frames with the companies of a universe.

    Parameters
    ----------
    universe : Universe
        Companies, their names and roles.
    language : str
        ``en`` or ``zh``: whose names are used.
    rng : numpy Generator
        Source of chance.
    """

    def __init__(self, universe: Universe, language: str, rng: np.random.Generator) -> None:
        self._issuers = sorted(universe.issuers.values(), key=lambda issuer: issuer.id)
        self._names = {issuer.id: _names(issuer, language) for issuer in self._issuers}
        self._language = language
        self._rng = rng

    def grow(self, frames: Iterable[Frame], each: int) -> list[Text]:
        """Return `each` texts of every frame; one that cannot be grown (no such company) is left out."""
        texts = (self._one(frame) for frame in frames for _ in range(each))
        return [text for text in texts if text is not None]

    def _one(self, frame: Frame) -> Text | None:
        words = self._choose(frame.frame)
        cast = self._cast(frame, words)
        if cast is None:
            return None
        out, places, at = "", dict[str, list[tuple[int, int]]](), 0
        for match in _SLOT.finditer(words):
            out += self._values(words[at : match.start()])
            name = cast[match[1]][1]
            places.setdefault(match[1], []).append((len(out), len(out) + len(name)))
            out, at = out + name, match.end()
        out += self._values(words[at:])
        targets = tuple(
            Target(cast[letter][0], tuple(spans), label, frame.relevance if label != LABELS.index("neutral") else 0.0)
            for letter, spans in places.items()
            for label in (frame.labels[letter],)
        )
        if not out.isascii() and unicodedata.normalize("NFKC", out) != out:
            return None  # positions would move
        return Text(
            out, frame.language, targets, tuple(span for spans in places.values() for span in spans),
            frame.themes if EVENTS[frame.event] in THEMED else None,
            frame.event, frame.direction, "frame", frame.group,
            moved={} if frame.event == EVENTS.index("none") else None,
        )  # fmt: skip

    def _choose(self, words: str) -> str:
        """Return the frame with one of each bracket's alternatives, inner brackets first."""
        while match := _INNER.search(words):
            options = match[1].split("|")
            words = words[: match.start()] + options[int(self._rng.integers(len(options)))] + words[match.end() :]
        words = re.sub(r"\s+([,.;:?!，。；：？！])", r"\1", " ".join(words.split()))
        return re.sub(r"^[a-z](?=[a-z])", lambda first: first[0].upper(), words)

    def _cast(self, frame: Frame, words: str) -> dict[str, tuple[str, str]] | None:
        """Return a different company and one of its names for each slot that is left in the words."""
        cast: dict[str, tuple[str, str]] = {}
        taken: set[str] = set()
        for letter in dict.fromkeys(match[1] for match in _SLOT.finditer(words)):
            roles = frame.roles.get(letter)
            open_ = [one for one in self._issuers if one.id not in taken and (not roles or roles & set(one.roles))]
            if not open_:
                return None
            issuer = open_[int(self._rng.integers(len(open_)))]
            names = self._names[issuer.id]
            # The first name is the usual one.
            name = names[0] if self._rng.random() < 0.7 else names[int(self._rng.integers(len(names)))]
            cast[letter] = (issuer.id, name)
            taken.add(issuer.id)
        return cast

    def _values(self, words: str) -> str:
        return _VALUE.sub(lambda match: self._value(match[1]), words)

    def _number(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high + 1))

    def _value(self, kind: str) -> str:
        number = self._number
        chinese = self._language == "zh"
        if kind == "pct":
            return f"{number(2, 60)}%" if self._rng.random() < 0.7 else f"{number(1, 30)}.{number(1, 9)}%"
        if kind == "money":
            amount = f"{number(1, 90)}" if self._rng.random() < 0.6 else f"{number(1, 40)}.{number(1, 9)}"
            if chinese:
                return f"{amount}亿{('元', '美元', '港元')[number(0, 2)]}"
            return f"${amount} {('billion', 'million', 'bn')[number(0, 2)]}"
        if kind == "quarter":
            return f"{'一二三四'[number(0, 3)]}季度" if chinese else _QUARTERS[number(0, 3)]
        if kind == "day":
            return f"周{'一二三四五'[number(0, 4)]}" if chinese else _DAYS[number(0, 4)]
        if kind == "month":
            return f"{number(1, 12)}月" if chinese else _MONTHS[number(0, 11)]
        nodes = (2, 3, 4, 5, 7, 14, 28)
        return {"n": str(number(2, 9)), "year": str(number(2018, 2027)), "node": f"{nodes[number(0, 6)]}nm"}[kind]


def _names(issuer: Issuer, language: str) -> list[str]:
    """Return names as headlines write them, the usual one first."""
    if language == "zh":
        return list(issuer.zh) or [issuer.aliases[0]]
    own = [alias for alias in issuer.aliases if alias.casefold() == issuer.id.casefold()]
    names = [*own, *issuer.aliases, *(ticker for ticker in issuer.tickers if ticker.isalpha() and len(ticker) > 2)]
    return list(dict.fromkeys(_cased(name) for name in names))


def _cased(name: str) -> str:
    """Return an alias that the universe writes in lower case (any case matches) as a headline does."""
    if not name.islower():
        return name
    known = {"tsmc": "TSMC", "asml": "ASML", "sk hynix": "SK Hynix", "bytedance": "ByteDance", "deepseek": "DeepSeek"}
    return known.get(name) or name.title().replace("Kla ", "KLA ")
