"""A second opinion on public labels, by networks that were not trained on the text that they judge.

A public set has wrong labels, and a network that reads it many times learns them by heart. So the texts are dealt into
parts; for each part a network is trained on the others, and what it gives the part's targets counts beside the labels
(T. Furlanello et al., "Born-Again Neural Networks", ICML 2018; out of fold as in the stacking of D. Wolpert, 1992).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chipwire.signals.train_domain import Text, masked
from chipwire.signals.train_loop import Recipe, feed, fit
from chipwire.signals.train_network import build_network, load_tokenizer

FOLDS: Final = 4

READING: Final = Recipe(epochs=3, batch_size=32, rate=2e-4, rounded_share=0.0)
"""How the networks that judge are trained: few passes, so that no wrong label is known by heart."""


def fold_of(text: Text) -> int:
    """Return the part of a text, in 0 to `FOLDS` - 1, by its group alone."""
    return zlib.crc32(text.group.encode()) % FOLDS


def second_opinions(base: Path, texts: Sequence[Text], seeds: Sequence[int]) -> list[Text]:
    """Return the texts with `Target.second`: the mean of one network for each seed, trained on the other parts.

    Parameters
    ----------
    base : Path
        Folder of the encoder.
    texts : sequence of Text
        English, with labelled targets.
    seeds : sequence of int
        Of the heads' first weights, the order, dropout and masking.

    Returns
    -------
    list of Text
        In the order given.
    """
    found = list(texts)
    for fold in range(FOLDS):
        mine = [row for row, text in enumerate(texts) if fold_of(text) == fold]
        others = [text for text in texts if fold_of(text) != fold]
        judged = np.mean([_judged(base, others, [texts[row] for row in mine], seed) for seed in seeds], axis=0)
        at = 0
        for row in mine:
            targets = texts[row].targets
            found[row] = replace(texts[row], targets=tuple(
                replace(target, second=tuple(judged[at + number].tolist())) for number, target in enumerate(targets)
            ))  # fmt: skip
            at += len(targets)
    return found


def _judged(base: Path, others: Sequence[Text], mine: Sequence[Text], seed: int) -> NDArray[np.float64]:
    """Return probabilities of shape (targets of `mine`, 3) by a network that is trained on the others."""
    import torch

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, tokenizer = build_network(base), load_tokenizer(base)

    def epoch() -> list[Text]:
        return [
            masked(text, int(rng.integers(len(text.targets)))) if rng.random() < READING.masked_share else text
            for text in others
        ]

    fit(network, tokenizer, epoch, {}, READING, seed)
    parts = []
    for start in range(0, len(mine), READING.batch_size):
        part = mine[start : start + READING.batch_size]
        with torch.inference_mode():
            logits = network(**{name: torch.from_numpy(array) for name, array in feed(tokenizer, part).items()})[0]
        parts.append(logits[: sum(len(text.targets) for text in part)].float().softmax(1).numpy())
    return np.concatenate(parts).astype(np.float64)
