"""The texts of a training: what there is, by split, and what an epoch of it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from chipwire.signals import train_data
from chipwire.signals.gloss import Gloss
from chipwire.signals.train_committee import Voice, heard, variants
from chipwire.signals.train_domain import (
    Text,
    drop_near,
    glossed,
    load_rows,
    masked,
    own_texts,
    public_texts,
    split_groups,
)
from chipwire.signals.train_frames import Frame, Grower, load_frames
from chipwire.signals.train_headlines import NEWEST, load_headlines, load_markets
from chipwire.signals.train_loop import Recipe
from chipwire.signals.train_mentions import held_lookalikes, load_lookalikes, load_mentions

LANGUAGES: Final = ("en", "zh")


@dataclass(frozen=True)
class Data:
    """The texts, by split where they have one, and what was left out.

    Attributes
    ----------
    headlines : list of Text
        For training only, like the frames; those near to a validation or test wording are not among them.
    newest : mapping of str to list of Text
        Further such headlines, by the endings of `train_headlines.NEWEST`.
    markets : list of Text
        Market headlines of our own, without themes and events; for training only.
    mentions : list of Text
        Headlines in which a name means a company or something else, without signs; for training only.
    """

    own: Mapping[str, list[Text]]
    public: Mapping[str, list[Text]]
    headlines: list[Text]
    newest: Mapping[str, list[Text]]
    markets: list[Text]
    mentions: list[Text]
    frames: list[Frame]
    counts: dict[str, int]

    @property
    def held(self) -> list[Text]:
        """Our own texts for validation and test: nothing of ours that is trained on may come near them."""
        return _held(self.own)

    @property
    def ours(self) -> list[Text]:
        """All texts of our own that are trained on, but the grown ones."""
        newest = [text for texts in self.newest.values() for text in texts]
        return [*self.own["train"], *self.headlines, *newest, *self.markets, *self.mentions]

    @property
    def repeated(self) -> list[Text]:
        """The newest headlines, each as often as an epoch reads it."""
        return [text for ending, texts in self.newest.items() for text in texts * NEWEST[ending]]


def gather(folder: Path) -> Data:
    """Read all texts."""
    rows = load_rows()
    splits = split_groups(rows)
    texts = own_texts(rows)
    own = {split: [text for text in texts if splits[text.group] == split] for split in train_data.SPLITS}
    counts: dict[str, int] = {}
    for language in LANGUAGES:
        for split in train_data.SPLITS:
            found = sum(row.language == language and splits[row.group] == split for row in rows)
            counts[f"own rows, {language}: {split}"] = found
    corpus = train_data.load_corpus(folder)
    counts |= {f"dropped: {reason}": count for reason, count in corpus.dropped.items()}
    parts = train_data.split_corpus(corpus.examples)
    public = {split: public_texts(parts[split]) for split in parts}
    counts |= {f"public rows: {name}": n for name, n in Counter(row.source for row in corpus.examples).items()}
    frames = [frame for language in LANGUAGES for frame in load_frames(language)]
    headlines = load_headlines()
    for language in LANGUAGES:
        counts[f"frames, {language}"] = sum(frame.language == language for frame in frames)
        counts[f"headlines, {language}"] = sum(text.language == language for text in headlines)
    kept = drop_near(headlines, _held(own))
    counts["dropped: headlines near a validation or test wording"] = len(headlines) - len(kept)
    ending_of = {text.original: ending for ending in NEWEST for text in load_headlines(ending=ending)}
    newest = {ending: [text for text in kept if ending_of.get(text.original) == ending] for ending in NEWEST}
    older = [text for text in kept if text.original not in ending_of]
    written = load_markets()
    markets = drop_near(written, [*_held(own), *_held(public)])
    counts["market headlines"] = len(written)
    counts["dropped: market headlines near a validation or test wording"] = len(written) - len(markets)
    places = [*load_mentions(), *load_lookalikes()]
    mentions = drop_near(places, [*_held(own), *held_lookalikes()])
    counts["names that mean a company or not"] = len(places)
    counts["dropped: names in wordings near to held-out ones"] = len(places) - len(mentions)
    return Data(own, public, older, newest, markets, mentions, frames, counts)


def _held(texts: Mapping[str, list[Text]]) -> list[Text]:
    return [text for split in ("validation", "test") for text in texts[split]]


def hear(data: Data, committee: Sequence[Voice]) -> Data:
    """Return the data with what the models of a committee say of the texts that earlier models have read.

    Of the newest headlines, the market headlines and the mentions the labels alone speak: what they are there to teach,
    the committee does not know.
    """
    own, public = ({**part, "train": heard(part["train"], committee)} for part in (data.own, data.public))
    return replace(data, own=own, public=public, headlines=heard(data.headlines, committee))


def varied(data: Data, count: int, committee: Sequence[Voice], rng: np.random.Generator) -> list[Text]:
    """Return texts made from those that a committee is asked of, labelled by it alone."""
    texts = [*data.own["train"], *data.headlines, *data.public["train"]]
    return heard(drop_near(variants(texts, count, rng), data.held), committee)


def epoch_texts(
    data: Data, recipe: Recipe, growers: Mapping[str, Grower], gloss: Gloss, rng: np.random.Generator,
    committee: Sequence[Voice] = (),
) -> list[Text]:  # fmt: skip
    """Return the texts of one epoch: own, public and freshly grown ones; some are masked, Chinese is glossed."""
    drawn, whole = [], data.public["train"] * recipe.public_repeats
    if not recipe.public_only:
        drawn += data.headlines * recipe.own_repeats
        grown = [
            text
            for language, grower in growers.items()
            for text in grower.grow([f for f in data.frames if f.language == language], recipe.frame_repeats)
        ]
        whole += data.own["train"] * recipe.own_repeats + data.mentions + data.repeated
        whole += data.markets * recipe.public_repeats + drop_near(grown, data.held)
    if recipe.known_share < 1:
        drawn = [text for text in drawn if rng.random() < recipe.known_share]
    if committee:
        whole += varied(data, round(recipe.varied_share * (len(drawn) + len(whole))), committee, rng)
    return [
        glossed(
            masked(text, int(rng.integers(len(text.targets))))
            if text.targets and rng.random() < recipe.masked_share
            else text,
            gloss,
        )
        for text in (*drawn, *whole)
    ]
