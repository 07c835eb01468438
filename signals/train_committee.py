"""What a committee of trained models says of texts, for a student to learn, and texts varied for it to speak of.

Models of the same data and other seeds err on other headlines; the mean of their probabilities errs on fewer than one
of them does on average. A student that learns that mean beside the labels comes near to it at the cost of one model (G.
Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", NIPS workshop 2014, at temperature 1).
On the texts that the committee was trained on it says little more than their labels; so texts are cut, joined and
renamed, and the student learns what the committee says of those as well (L. Beyer et al., "Knowledge distillation: a
good teacher is patient and consistent", CVPR 2022).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from chipwire.data.universe import load_universe
from chipwire.signals.linking import Linker
from chipwire.signals.masking import Span
from chipwire.signals.models import Item
from chipwire.signals.train_domain import Said, Target, Text, outermost
from chipwire.signals.train_eval import log_softmax
from chipwire.signals.train_network import HELD, ISSUERS

Floats = NDArray[np.float64]

JOINED: Final = 0.4
"""Share of variants that join the beginning of one text and the end of another."""
RENAMED: Final = 0.3
"""Share of variants in which one company takes the place of another; the rest lack some words."""

_WORDS: Final = {"en": re.compile(r"\S+\s*|\s+"), "zh": re.compile(r"[A-Za-z0-9.]+|.", re.DOTALL)}


class Voice(Protocol):
    """One of a committee: `chipwire.signals.onnx_model.OnnxModel`, or what speaks as it does."""

    def logits(self, items: Sequence[Item]) -> dict[str, Floats]:
        """Return what it says of the items, before any temperature."""


def heard(texts: Sequence[Text], committee: Sequence[Voice]) -> list[Text]:
    """Return the texts with what a committee says of them on average; without one, as they are."""
    if not committee or not texts:
        return list(texts)
    items = [Item(text.text, text.language, tuple(target.spans for target in text.targets)) for text in texts]
    found = [_probabilities(voice.logits(items)) for voice in committee]
    mean = {name: np.mean([each[name] for each in found], axis=0).astype(np.float32) for name in found[0]}
    linker, told, at = Linker(load_universe()), [], 0
    for row, text in enumerate(texts):
        targets = tuple(
            replace(target, said=tuple(mean["target"][at + number].tolist()))
            for number, target in enumerate(text.targets)
        )
        at += len(targets)
        moved = mean["moved"][row].copy()
        named = {target.issuer for target in targets} | {hit.issuer for hit in linker.find(text.text)}
        moved[[ISSUERS.index(issuer) for issuer in sorted(named) if issuer in ISSUERS]] = np.nan
        said = Said(mean["themes"][row], mean["event"][row], mean["direction"][row], moved)
        told.append(replace(text, targets=targets, said=said))
    return told


def _probabilities(logits: dict[str, Floats]) -> dict[str, Floats]:
    relevance = 1 / (1 + np.exp(-logits["relevance"].reshape(-1, 1)))
    return {
        "target": np.concatenate([_softmax(logits["sentiment"]), relevance], axis=1),
        "themes": 1 / (1 + np.exp(-logits["themes"])),
        "event": _softmax(logits["event"]),
        "direction": _softmax(logits["direction"]),
        "moved": _softmax(np.einsum("ir,brl->bil", np.array(HELD), logits["roles"])),
    }


def _softmax(logits: Floats) -> Floats:
    flat = logits.reshape(-1, logits.shape[-1])
    return np.exp(log_softmax(flat)).reshape(logits.shape)


def variants(texts: Sequence[Text], count: int, rng: np.random.Generator) -> list[Text]:
    """Return texts that nobody labelled, made from the given ones; each names whom its parts named.

    Parameters
    ----------
    texts : sequence of Text
        Before glossing and masking, of English or Chinese.
    count : int
        How many; a few less come back, those of which no word is left.
    rng : numpy Generator
        All chance comes from it.
    """
    by_language = {language: [text for text in texts if text.language == language] for language in _WORDS}
    names = {
        language: sorted(
            {(text.text[start:end], target.issuer) for text in of for target in text.targets
             for start, end in target.spans if target.issuer in ISSUERS}
        )
        for language, of in by_language.items()
    }  # fmt: skip
    made = []
    for number in rng.integers(len(texts), size=count).tolist():
        text, kind = texts[number], rng.random()
        mates = by_language[text.language]
        if kind < JOINED:
            made.append(_joined(text, mates[int(rng.integers(len(mates)))], rng))
        elif kind < JOINED + RENAMED and any(target.issuer in ISSUERS for target in text.targets):
            made.append(_renamed(text, names[text.language], rng))
        else:
            made.append(_shortened(text, rng))
    return [text for text in made if text.text]


def _joined(first: Text, second: Text, rng: np.random.Generator) -> Text:
    """Return the beginning of one text with the end of another."""
    before, after = (_WORDS[text.language].findall(text.text) for text in (first, second))
    head, tail = (round(len(words) * rng.uniform(0.3, 0.7)) for words in (before, after))
    words = "".join(before[: max(1, head)]).rstrip() + (" " if first.language == "en" else "") + "".join(after[tail:])
    return _unlabelled(words.strip(), first, (*first.targets, *second.targets), (first, second))


def _renamed(text: Text, names: Sequence[tuple[str, str]], rng: np.random.Generator) -> Text:
    """Return the text with another company in the place of one that it names."""
    known = [target for target in text.targets if target.issuer in ISSUERS]
    leaving = known[int(rng.integers(len(known)))]
    name, issuer = names[int(rng.integers(len(names)))]
    words = text.text
    for start, end in sorted(leaving.spans, reverse=True):
        words = words[:start] + name + words[end:]
    stay = [target for target in text.targets if target is not leaving]
    coming = Text(name, text.language, (Target(issuer, ((0, len(name)),), None, None),), (), None, None, None, "", "")
    return _unlabelled(words, text, (*stay, *coming.targets), (text, coming))


def _shortened(text: Text, rng: np.random.Generator) -> Text:
    """Return the text without one to three words that stand together."""
    words = _WORDS[text.language].findall(text.text)
    gone = int(rng.integers(1, 4))
    at = int(rng.integers(max(1, len(words) - gone + 1)))
    return _unlabelled("".join(words[:at] + words[at + gone :]).strip(), text, text.targets, (text,))


def _unlabelled(words: str, like: Text, targets: Sequence[Target], parents: Sequence[Text]) -> Text:
    """Return a text of these words in which each target is named where a name that a parent gives it stands."""
    spans: dict[str, set[Span]] = {}
    for target in targets:
        names = {
            parent.text[start:end] for parent in parents if target in parent.targets for start, end in target.spans
        }
        found = {at.span() for name in names for at in _standing_alone(name, like.language).finditer(words)}
        if found:
            spans[target.issuer] = {*spans.get(target.issuer, ()), *found}
    outer = outermost(span for of_issuer in spans.values() for span in of_issuer)
    spans = {issuer: left for issuer, of_issuer in spans.items() if (left := of_issuer & outer)}
    named = tuple(Target(issuer, tuple(sorted(left)), None, None) for issuer, left in spans.items())
    others = tuple(sorted(outer))
    return Text(words, like.language, named, others, None, None, None, "varied", like.group)


def _standing_alone(name: str, language: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)" if language == "en" else re.escape(name))
