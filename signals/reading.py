"""What a headline says, for whom: names, themes, event, and for each issuer the sign and why.

An issuer that is named is read by the model where it stands. Where nothing vouches for a name (words that speak of
companies, chips or devices, an exchange, another issuer in the text below) and the model takes each for something else
in a line of no relevance ("Palermo's AMAT puts 30 new trams on order"), nobody is named.
One that is not named is read by the exposure table: the event, its direction and the issuer's role. Where neither says
anything the reader abstains; it makes up no neutral.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chipwire.data.universe import Universe
from chipwire.signals.characters import simplified
from chipwire.signals.contexts import trade
from chipwire.signals.exposure import ExposureReading, ExposureTable, load_exposures
from chipwire.signals.linking import Linker, exchange_says, normalised
from chipwire.signals.masking import Span, mask_names
from chipwire.signals.models import Item, Model, ReadingModel, Readings, softmax
from chipwire.signals.themes import READ_CHARACTERS, THEMES, ThemeRules, load_theme_rules

NONE = "none"
MOVES_NOBODY = "names no issuer, and its event moves none of them"
NOT_MEANT = "the name in it means something else"
NEWS = 0.7
"""A name in news of this relevance is the company's, whatever the model thinks of the letters."""
LEAST_UNTOLD = 0.44
"""Where a model does not say whether a title that names nobody moves anybody: the least P that it moves someone."""
READING_RULES = "4"
"""Raise it when the same model would say something else of the same text: it is part of a reader's identity."""

Three = tuple[float, float, float]


@dataclass(frozen=True)
class Title:
    """A title to read.

    Attributes
    ----------
    on : date or None
        The day on which it is known: exposures that were not yet true on it do not count. None: all count.
    also : tuple of str
        Issuers that only the summary or the body names; they are read from the title as a whole.
    """

    title: str
    language: str
    on: date | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetReading:
    """How one issuer is read.

    Attributes
    ----------
    via : str
        ``direct``: named; ``exposure``: moved by the event though not named.
    probabilities : tuple of three floats
        P(negative), P(neutral), P(positive).
    relevance : float
        In [0, 1]: P that the headline is about a thing that moves the issuer, or the weight of the exposure.
    reason : str
        Why, in words for users.
    """

    issuer: str
    via: str
    probabilities: Three
    relevance: float
    reason: str

    @property
    def sentiment(self) -> float:
        """P(positive) - P(negative), in [-1, 1]."""
        return self.probabilities[2] - self.probabilities[0]


@dataclass(frozen=True)
class HeadlineReading:
    """How one headline is read.

    Attributes
    ----------
    abstained : str or None
        Why it was not read, or why what was read moves nobody; None when there are targets.
    themes : mapping of str to float
        P of each theme; empty when it was not read, or only found to name nobody.
    event : str or None
        The likeliest event, None when it is none of them; `p_event` its probability.
    directions : tuple of three floats
        P of `chipwire.signals.models.DIRECTIONS`: against, none, for.
    embedding : float32 array, or None
        For novelty.
    unmeant : tuple of str
        Issuers whose name stands in the title and means something else.
    """

    title: str
    language: str
    abstained: str | None
    themes: Mapping[str, float]
    event: str | None
    p_event: float
    directions: Three
    targets: tuple[TargetReading, ...]
    embedding: NDArray[np.float32] | None = None
    unmeant: tuple[str, ...] = ()


class Reader:
    """Reads headlines with one model, one universe and one exposure table; of no use in a forked child.

    Parameters
    ----------
    model : Model
        From `chipwire.signals.models.load_model`.
    universe : Universe
        Names and roles.
    masked : bool
        Whether names are masked before the model sees a text.
    exposures : ExposureTable, optional
        Default: the shipped table.

    Attributes
    ----------
    linker_id : str
        Digest of the universe and the linking rules by which names are found.
    """

    def __init__(
        self, model: Model, universe: Universe, *, masked: bool = False, exposures: ExposureTable | None = None
    ) -> None:
        self.model = model
        self.masked = masked
        self.rules: ThemeRules = load_theme_rules()
        self.exposures = exposures or load_exposures(universe=universe)
        # The issuers with a role that the model knows, and which.
        roles = model.card.roles
        known = {one.id: [float(role in one.roles) for role in roles] for one in universe.issuers.values()}
        self._seen = sorted(issuer for issuer, held in known.items() if any(held))
        self._held = np.array([known[issuer] for issuer in self._seen]).reshape(len(self._seen), len(roles))
        # Two pieces on their way: the model need not wait while the second is cut into words.
        self._workers = ThreadPoolExecutor(2)
        self._linker = Linker(universe)
        self.linker_id = self._linker.id

    @property
    def id(self) -> str:
        """The identity of all that makes a score: model, rules, exposure table, names, masking."""
        parts = [READING_RULES, self.rules.id, self.exposures.id, self.linker_id, trade().pattern]
        if self.model.card.least_meant:
            parts.append(str(NEWS))
        if not self.model.card.least_alone:
            parts.append(str(LEAST_UNTOLD))
        return ReadingModel(self.model, *parts, masked=self.masked).id

    def read(self, titles: Sequence[Title]) -> list[HeadlineReading]:
        """Read titles; the model sees each text once, however many days it is read for."""
        asked = [_Asked(title, self._linker) for title in titles]
        refusals = {number: reason for number, one in enumerate(asked) if (reason := self._refusal(one))}
        readings = {number: self._refused(asked[number], reason) for number, reason in refusals.items()}
        for number, said in self._model_reads({n: one for n, one in enumerate(asked) if n not in refusals}):
            readings[number] = self._told(asked[number], said)
        return [readings[number] for number in range(len(asked))]

    def refusal(self, title: Title) -> str | None:
        """Return why a title is not worth asking the model, as `read` would say it; None when it is.

        Quick: most titles of a general feed can be set aside by it.
        """
        return self._refusal(_Asked(title, self._linker))

    def _refusal(self, asked: _Asked) -> str | None:
        if not self.model.card.reads(asked.language):
            return f"language {asked.language}"
        if not asked.named and not self.rules.speaks_of_chips(asked.text):
            return "names no issuer and is not about chips"
        return None

    def _refused(self, asked: _Asked, reason: str) -> HeadlineReading:
        return HeadlineReading(asked.title, asked.language, reason, {}, None, 0.0, (0.0, 1.0, 0.0), ())

    def _model_reads(self, asked: Mapping[int, _Asked]) -> Iterator[tuple[int, _Said]]:
        """Yield what the model says of each title, by its number; texts of like length go together, each once.

        While one piece is judged by the caller the model reads the next.
        """
        numbers: dict[_Wanted, list[int]] = {}
        for number, one in asked.items():
            numbers.setdefault(one.wanted(masked=self.masked), []).append(number)
        wanted = sorted(numbers, key=lambda each: (each.items[0].language, len(each.text)), reverse=True)
        size = self.model.card.piece
        pieces = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        for piece, said in zip(pieces, self._workers.map(self._said, pieces), strict=True):
            for each, what in zip(piece, said, strict=True):
                yield from ((number, what) for number in numbers[each])

    def _said(self, wanted: Sequence[_Wanted]) -> list[_Said]:
        """Return what the model says of texts."""
        items = [each.items for each in wanted]
        read = self.model.read([item for of_text in items for item in of_text])
        counts = np.array([len(of_text) for of_text in items])
        texts = self._texts(read, np.cumsum(counts) - counts, counts)
        said, at = [], 0
        for number, each in enumerate(wanted):
            targets = slice(at, at + each.named)
            sentiment, relevance = read.sentiment[targets], read.relevance[targets]
            whole = texts[number] if texts is not None else _Whole(*self._by_rules(each.text))
            said.append(_Said(sentiment, relevance, self._all_unmeant(read, targets), whole))
            at = targets.stop
        return said

    def _all_unmeant(self, read: Readings, targets: slice) -> bool:
        """Whether every name of a text means something else to the model; behind a mask nobody can tell."""
        if read.meant is None or self.masked:
            return False
        unmeant = (read.meant[targets] < self.model.card.least_meant) & (read.relevance[targets] < NEWS)
        return bool(unmeant.all())

    def _texts(self, read: Readings, first: NDArray[np.int64], counts: NDArray[np.int64]) -> list[_Whole] | None:
        """Return what the model says of texts as wholes, the mean where one is read several times; None: nothing."""
        if read.themes is None or read.events is None or read.directions is None or not len(first):
            return None

        def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
            if len(values) == len(counts):
                return values
            shape = (-1, *[1] * (values.ndim - 1))
            return np.asarray(np.add.reduceat(values, first, axis=0) / counts.reshape(shape))

        moved: list[dict[str, Three] | None] = [None] * len(first)
        if read.roles is not None:
            seen = softmax(self._held @ mean(read.roles), self.model.card.name)
            moved = [dict(zip(self._seen, map(tuple, of_text), strict=True)) for of_text in seen.tolist()]
        themes_of, events_of = mean(read.themes).tolist(), mean(read.events).tolist()
        rows = zip(themes_of, events_of, mean(read.directions).tolist(), moved, first.tolist(), strict=True)
        return [
            _Whole(
                dict(zip(THEMES, themes, strict=True)), dict(zip(self.model.card.events, events, strict=True)),
                _three(direction), of_issuers, None if read.alone is None else float(read.alone[row]),
                None if read.embeddings is None else read.embeddings[row],
            )
            for themes, events, direction, of_issuers, row in rows
        ]  # fmt: skip

    def _by_rules(self, text: str) -> tuple[dict[str, float], dict[str, float], Three]:
        """Read themes and event by rules, for a model that gives none."""
        found = self.rules.read(text)
        direction = (0.0, 1.0, 0.0)
        if found.event is not None:
            direction = (1.0, 0.0, 0.0) if found.contrary else (0.0, 0.0, 1.0)
        return dict(found.themes), {found.event or NONE: 1.0}, direction

    def _told(self, asked: _Asked, said: _Said) -> HeadlineReading:
        whole = said.whole
        unmeant = tuple(asked.named) if said.all_unmeant and not asked.vouched() else ()
        if unmeant and not self.rules.speaks_of_chips(asked.text):
            return replace(self._refused(asked, NOT_MEANT), unmeant=unmeant)
        event = max(whole.events, key=lambda name: (whole.events[name], name))
        targets = [
            TargetReading(
                issuer, "direct", _three(said.sentiment[number].tolist()), float(said.relevance[number]),
                asked.where(issuer) + (f"; {event.replace('_', ' ')}" if event != NONE else ""),
            )
            for number, issuer in enumerate(() if unmeant else asked.named)
        ]  # fmt: skip
        named = {target.issuer: target.probabilities for target in targets}
        targets += [
            TargetReading(one.issuer, "exposure", one.probabilities, one.relevance, one.reason)
            for one in self._moved(asked, named, whole)
        ]
        nobody = NOT_MEANT if unmeant else MOVES_NOBODY
        return HeadlineReading(
            asked.title, asked.language, None if targets else nobody, whole.themes, None if event == NONE else event,
            whole.events[event], whole.directions, tuple(targets), whole.embedding, unmeant,
        )  # fmt: skip

    def _moved(self, asked: _Asked, named: Mapping[str, Three], whole: _Whole) -> list[ExposureReading]:
        """Return whom the event moves without being named; where nobody is named only if it clearly moves anybody.

        That has two votes: what the model says of the title, and how much up and down differ for whom it moves most.
        """
        against, none, for_ = whole.directions
        moved = self.exposures.read(asked.text, named, whole.events, (for_, none, against), asked.on, whole.moved)
        if named or not moved:
            return moved
        if whole.alone is None:
            return moved if any(1 - one.probabilities[1] >= LEAST_UNTOLD for one in moved) else []
        lean = max(abs(one.value) for one in moved)
        return moved if (whole.alone + lean) / 2 >= self.model.card.least_alone else []


class _Asked:
    """A title with the names in it."""

    def __init__(self, title: Title, linker: Linker) -> None:
        self.title = title.title
        self.language = title.language
        self.on = title.on
        self.text = normalised(title.title)[:READ_CHARACTERS]
        hits = linker.find(self.text)
        self.named = list(dict.fromkeys((*(hit.issuer for hit in hits), *title.also)))
        self._matched = {hit.issuer: hit.matched for hit in reversed(hits)}
        self._spans: dict[str, tuple[Span, ...]] = {
            issuer: tuple((hit.start, hit.end) for hit in hits if hit.issuer == issuer) for issuer in self.named
        }

    def in_title(self, issuer: str) -> bool:
        """Whether the title itself has a name of the issuer."""
        return issuer in self._matched

    def vouched(self) -> bool:
        """Whether words, an exchange, or another issuer below the title say that its names are companies'."""
        return (
            any(not self.in_title(issuer) for issuer in self.named)
            or any(exchange_says(self.text, *span) for spans in self._spans.values() for span in spans)
            or trade().search(simplified(self.text)) is not None
        )

    def where(self, issuer: str) -> str:
        return f"named as '{self._matched[issuer]}'" if self.in_title(issuer) else "named in the text below the title"

    def wanted(self, *, masked: bool) -> _Wanted:
        """Return what the model is to read; masked, each issuer has a text of its own."""
        items = self._masked_items() if masked else [Item(self.text, self.language, tuple(self._spans.values()))]
        return _Wanted(tuple(items), len(self.named), self.text)

    def _masked_items(self) -> list[Item]:
        every = [span for spans in self._spans.values() for span in spans]
        items = []
        for issuer in self.named:
            text, spans = mask_names(self.text, self._spans[issuer], every)
            items.append(Item(text, self.language, (spans,)))
        return items or [Item(self.text, self.language, ())]


class _Wanted(NamedTuple):
    """What the model is to read of a text, how many issuers the text names, and its words."""

    items: tuple[Item, ...]
    named: int
    text: str


@dataclass(frozen=True)
class _Whole:
    """What is said of a text as a whole; directions are P(against), P(none), P(for), `alone` as `Readings.alone`.

    A text that is read several times names somebody: whether it moves anybody alone is then not asked.
    """

    themes: dict[str, float]
    events: dict[str, float]
    directions: Three
    moved: Mapping[str, Three] | None = None
    alone: float | None = None
    embedding: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class _Said:
    sentiment: NDArray[np.float64]
    relevance: NDArray[np.float64]
    all_unmeant: bool
    whole: _Whole


def _three(values: Sequence[float]) -> Three:
    first, second, third = values
    return first, second, third
