"""Our own labelled headlines as training texts, split by event group, and the public rows in the same form.

Nothing here needs torch. Splits follow groups: all wordings of one scenario stand in one split, and a group of which
a wording is too near to one of another split follows that one, so that no test wording is near a training wording.
"""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chipwire.data.universe import Universe, load_universe
from chipwire.signals.gloss import Gloss
from chipwire.signals.linking import Linker
from chipwire.signals.masking import Span, mask_names
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS, Example

FILES: Final = (
    "en_trade.csv", "en_industry.csv", "en_company.csv", "en_pairs.csv", "en_press.csv",
    "zh.csv", "zh_market.csv", "zh_social.csv",
)  # fmt: skip
EVENTS: Final = (
    "none", "chip_sale_ban", "tool_ban", "entity_listing", "relaxation", "procurement", "state_funding", "model_launch",
    "cheap_model_shock", "capex", "earnings", "guidance", "rating", "risk_warning", "supply_deal", "product_launch",
    "lawsuit", "probe", "retaliation", "tariff", "merger", "management", "production", "listing", "sales_figures",
    "security",
)  # fmt: skip
DIRECTIONS: Final = ("against", "none", "for")
NEAR: Final = 0.5
"""Share of pieces in common (Jaccard) from which two wordings are near."""
SPLIT_KEY: Final = "chipwire-own-1"


@dataclass(frozen=True)
class Row:
    """One row of our own files, as written."""

    group: str
    language: str
    headline: str
    issuer: str
    via: str
    label: str
    relevance: str
    themes: frozenset[str]
    event: str
    style: str


@dataclass(frozen=True)
class Target:
    """What a text says about one company.

    Attributes
    ----------
    spans : tuple of (int, int)
        Where the text names it; empty: the label is about the whole text.
    label : int or None
        Index into `LABELS`; None when not labelled.
    relevance : float or None
        1 when the headline is about a thing that moves the company, 0 when not, None when not labelled.
    second : tuple of three floats, or None
        Probabilities of `LABELS` by networks that were not trained on the text (`chipwire.signals.train_second`).
    said : tuple of four floats, or None
        Probabilities of `LABELS`, and of relevance, by a committee (`chipwire.signals.train_committee`).
    meant : float or None
        1 when the name means the company where it stands, 0 when something else, None when that is not labelled.
    """

    issuer: str
    spans: tuple[Span, ...]
    label: int | None
    relevance: float | None
    second: tuple[float, float, float] | None = None
    said: tuple[float, float, float, float] | None = None
    meant: float | None = None


@dataclass(frozen=True, eq=False)
class Said:
    """What a committee says of a text as a whole (`chipwire.signals.train_committee`): means of probabilities.

    Attributes
    ----------
    themes, event, direction : float32 array
        In the order of `THEMES`, `EVENTS`, `DIRECTIONS`.
    moved : float32 array of shape (issuers, labels)
        Of each issuer of the universe, by id; NaN for those that the text names.
    """

    themes: NDArray[np.float32]
    event: NDArray[np.float32]
    direction: NDArray[np.float32]
    moved: NDArray[np.float32]


@dataclass(frozen=True)
class Text:
    """A headline with all that is known of it; None: not labelled.

    Attributes
    ----------
    moved : mapping of str to int, or None
        Labels of the issuers that the headline moves without naming them.
    said : Said or None
        What a committee says of it.
    """

    text: str
    language: str
    targets: tuple[Target, ...]
    others: tuple[Span, ...]
    themes: tuple[float, ...] | None
    event: int | None
    direction: int | None
    source: str
    group: str
    wording: str = ""
    moved: Mapping[str, int] | None = None
    said: Said | None = None

    @property
    def original(self) -> str:
        """The wording before names were masked."""
        return self.wording or self.text


def load_rows(files: Sequence[str] = FILES) -> list[Row]:
    """Return the rows of our own files, in file order."""
    rows = []
    for name in files:
        text = resources.files("chipwire.signals.training").joinpath(name).read_text("utf-8")
        for record in csv.DictReader(text.splitlines(), strict=True):
            themes = frozenset(part for part in record.pop("themes").split(";") if part)
            rows.append(Row(themes=themes, **record))
    return rows


def pieces(headline: str, language: str) -> frozenset[str]:
    """Return what two wordings are compared by: words of English, pairs of characters of Chinese."""
    text = unicodedata.normalize("NFKC", headline).lower()
    if language == "zh":
        text = re.sub(r"[\W_]+", "", text)
        return frozenset(text[at : at + 2] for at in range(len(text) - 1))
    return frozenset(re.findall(r"[a-z0-9]+", text))


def split_groups(rows: Iterable[Row]) -> dict[str, str]:
    """Return the split of each group: about 70% train, 10% validation, 20% test.

    Groups with near wordings are joined first (union-find), then each cluster falls by a hash of its first group.
    """
    wordings = sorted({(row.language, row.group, row.headline) for row in rows})
    leader = {group: group for _, group, _ in wordings}

    def root(group: str) -> str:
        while leader[group] != group:
            leader[group] = leader[leader[group]]
            group = leader[group]
        return group

    for one, two in near_pairs([(group, headline, language) for language, group, headline in wordings], NEAR):
        first, second = sorted((root(one), root(two)))
        leader[second] = first
    return {group: _split_of(root(group)) for group in leader}


def near_pairs(wordings: Sequence[tuple[str, str, str]], least: float) -> list[tuple[str, str]]:
    """Return the pairs of different groups that share at least `least` of their pieces.

    Parameters
    ----------
    wordings : sequence of (group, headline, language)
        Only wordings of one language are compared, through an index of their rarest pieces.
    """
    sets = [pieces(headline, language) for _, headline, language in wordings]
    counts = Counter(piece for found in sets for piece in found)
    index: dict[str, list[int]] = defaultdict(list)
    found: set[tuple[str, str]] = set()
    for number, own in enumerate(sets):
        # Two sets with Jaccard >= t share a piece among the (1 - t) * size + 1 rarest of each (prefix filter).
        rare = sorted(own, key=lambda piece: (counts[piece], piece))[: int((1 - least) * len(own)) + 1]
        for other in sorted({other for piece in rare for other in index[piece]}):
            group, far = wordings[number][0], wordings[other][0]
            if group != far and len(own & sets[other]) >= least * len(own | sets[other]):
                found.add((min(group, far), max(group, far)))
        for piece in rare:
            index[piece].append(number)
    return sorted(found)


def _split_of(group: str) -> str:
    bucket = int.from_bytes(hashlib.sha256(f"{SPLIT_KEY}:{group}".encode()).digest()[:8], "big") % 100
    return "train" if bucket < 70 else "validation" if bucket < 80 else "test"


def own_texts(rows: Sequence[Row], universe: Universe | None = None) -> list[Text]:
    """Return one text per headline with its named targets; rows of unnamed issuers give the direction and `moved`."""
    from chipwire.signals.train_direction import infer_direction

    linker = Linker(universe or load_universe())
    by_headline: dict[str, list[Row]] = {}
    for row in rows:
        by_headline.setdefault(row.headline, []).append(row)
    texts = []
    for headline, found in by_headline.items():
        text = unicodedata.normalize("NFKC", headline)
        hits = linker.find(text)
        named = sorted({hit.issuer for hit in hits})
        labels = {row.issuer: row.label for row in found}
        targets = tuple(
            Target(
                row.issuer, tuple((hit.start, hit.end) for hit in hits if hit.issuer == row.issuer),
                LABELS.index(row.label), float(row.relevance == "high"),
            )
            for row in found
            if row.via == "direct" and row.issuer in named
        )  # fmt: skip
        moved = {row.issuer: LABELS.index(row.label) for row in found if row.issuer not in named}
        first = found[0]
        direction = None
        if first.event == "none":
            direction = DIRECTIONS.index("none")
        elif said := infer_direction(first.event, headline, named, labels):
            direction = DIRECTIONS.index(said)
        elif all(row.label == "neutral" for row in found):
            direction = DIRECTIONS.index("none")
        texts.append(
            Text(
                text, first.language, targets, tuple((hit.start, hit.end) for hit in hits),
                tuple(float(theme in first.themes) for theme in THEMES), EVENTS.index(first.event), direction, "own",
                first.group, moved=moved,
            )
        )  # fmt: skip
    return texts


def public_texts(examples: Iterable[Example]) -> list[Text]:
    """Return the public rows, one text per headline; they have no relevance, theme or event."""
    by_headline: dict[tuple[str, str], list[Example]] = {}
    for row in examples:
        by_headline.setdefault((row.source, row.headline), []).append(row)
    texts = []
    for (source, headline), found in by_headline.items():
        text = unicodedata.normalize("NFKC", headline)
        targets = tuple(Target(row.target, names_in(row.target, text), row.label, None) for row in found)
        spans = tuple(span for target in targets for span in target.spans)
        texts.append(Text(text, "en", targets, spans, None, None, None, source, headline))
    return texts


def names_in(name: str, text: str) -> tuple[Span, ...]:
    """Return where a name stands in a text, alone, in any case of its letters."""
    pattern = re.compile(rf"(?<!\w){re.escape(unicodedata.normalize('NFKC', name))}(?!\w)", re.IGNORECASE)
    return tuple(match.span() for match in pattern.finditer(text))


def outermost(spans: Iterable[Span]) -> set[Span]:
    """Return the spans that stand within no other: a name within a longer one is not that thing's."""
    every = set(spans)
    return {
        one for one in every if not any(one != other and other[0] <= one[0] and one[1] <= other[1] for other in every)
    }


def masked(text: Text, number: int) -> Text:
    """Return the text for one of its targets alone, its names masked."""
    target = text.targets[number]
    words, spans = mask_names(text.text, target.spans, text.others)
    return replace(
        text, text=words, targets=(replace(target, spans=spans, meant=None),), others=(), wording=text.original
    )


def glossed(text: Text, gloss: Gloss) -> Text:
    """Return the text as the encoder reads it: with its Chinese words glossed."""
    words, places = gloss.read(text.text, [target.spans for target in text.targets])
    targets = tuple(replace(target, spans=spans) for target, spans in zip(text.targets, places, strict=True))
    return replace(text, text=words, targets=targets, others=(), wording=text.original)


def drop_near(texts: Sequence[Text], held: Sequence[Text]) -> list[Text]:
    """Return the texts that are not near (`NEAR`) to any of the texts held back for validation and test."""
    index: dict[str, list[int]] = defaultdict(list)
    sets = [pieces(text.text, text.language) for text in held]
    counts = Counter(piece for found in sets for piece in found)

    def rare(own: frozenset[str]) -> list[str]:
        return sorted(own, key=lambda piece: (counts[piece], piece))[: int((1 - NEAR) * len(own)) + 1]

    for number, found in enumerate(sets):
        for piece in rare(found):
            index[piece].append(number)
    kept = []
    for text in texts:
        own = pieces(text.text, text.language)
        others = {number for piece in rare(own) for number in index.get(piece, ())}
        if not any(len(own & sets[number]) >= NEAR * len(own | sets[number]) for number in others):
            kept.append(text)
    return kept
