"""The last two heads of the network, settled when all else is.

Whether a name means the company where it stands (`meant`): the linker finds names by their letters and the words
around; "Intel" of a spy service, "阿里" of a Tibetan district pass where its lists have no word for them. And whether
a text that names nobody moves anybody (`alone`): what the network sees of each role is made to be weighed, and where
wafers are baked and imports of garlic are barred it sees a little of many. The encoder learns both beside all else;
the heads are trained once more on its finished states, where both answers weigh the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.signals.train_domain import Text
from chipwire.signals.train_loop import feed
from chipwire.signals.train_network import moves_alone

SEED: Final = 1
"""Of the first weights and of the order."""
PASSES: Final = 10
BATCH: Final = 256
RATE: Final = 1e-3
DECAY: Final = 0.05
SHARES: Final = (0.25, 0.25, 0.5)
"""How much weigh, whatever their numbers, names in our headlines, names in mentions that mean it, and that do not."""
HALVES: Final = (0.5, 0.5)
"""The same of texts that move nobody, and that move somebody."""

Floats = NDArray[np.float32]


def fit_meant(network: Any, tokenizer: Any, texts: Sequence[Text]) -> None:
    """Train `meant` in place.

    Parameters
    ----------
    network, tokenizer
        From `chipwire.signals.train_network`; all of the network but this head stays as it is.
    texts : sequence of Text
        Glossed. A target of which it is not labelled whether it is meant is meant.
    """
    meant = [target.meant for text in texts for target in text.targets]
    kinds = [0 if one is None else 1 if one else 2 for one in meant]
    states = states_of(network, tokenizer, texts, network.meant, lambda text: len(text.targets))
    wanted = np.array([1.0 if one is None else one for one in meant], dtype=np.float32)
    _settle(network.meant, states, wanted, weights_of(kinds, SHARES))


def fit_alone(network: Any, tokenizer: Any, texts: Sequence[Text]) -> None:
    """Train `alone` in place.

    Parameters
    ----------
    network, tokenizer
        As of `fit_meant`.
    texts : sequence of Text
        Glossed; those count of which `chipwire.signals.train_network.moves_alone` knows something, one at least.
    """
    moves = {row: wanted for row, text in enumerate(texts) if (wanted := moves_alone(text)) is not None}
    states = states_of(network, tokenizer, [texts[row] for row in moves], network.alone, lambda _: 1)
    weights = weights_of([int(wanted) for wanted in moves.values()], HALVES)
    _settle(network.alone, states, np.array([*moves.values()], dtype=np.float32), weights)


def _settle(head: Any, states: Floats, wanted: Floats, weights: Floats) -> None:
    """Train a head from fresh weights on what it sees of each place or text."""
    import torch

    torch.manual_seed(SEED)
    seen, asked, weighed = (torch.from_numpy(each) for each in (states, wanted, weights))
    for layer in (head[0], head[2]):
        layer.reset_parameters()
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    rng = np.random.default_rng(SEED)
    for _ in range(PASSES):
        for rows in np.array_split(rng.permutation(len(seen)), -(-len(seen) // BATCH)):
            told = head(torch.nn.functional.dropout(seen[rows], 0.1))[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(told, asked[rows], weight=weighed[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def weights_of(kinds: Sequence[int], shares: Sequence[float]) -> Floats:
    """Return the weight of each example, 1 on average, so that each kind has its share."""
    counts = np.bincount(np.array(kinds), minlength=len(shares))
    return np.asarray(np.array(shares)[kinds] * len(kinds) / counts[kinds], dtype=np.float32)


def states_of(network: Any, tokenizer: Any, texts: Sequence[Text], head: Any, count: Callable[[Text], int]) -> Floats:
    """Return what a head sees, shape (rows, its inputs): of each text the rows that `count` says, in their order."""
    import torch

    kept: list[Any] = []
    watch = head.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].float().numpy()))
    order = sorted(range(len(texts)), key=lambda row: len(texts[row].text))  # texts of like length: little padding
    found: dict[int, Floats] = {}
    network.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(texts), 64):
                rows = order[start : start + 64]
                part = [texts[row] for row in rows]
                network(**{name: torch.from_numpy(array) for name, array in feed(tokenizer, part).items()})
                ends = np.cumsum([count(text) for text in part])
                found |= zip(rows, np.split(kept.pop()[: ends[-1]], ends[:-1]), strict=True)
    finally:
        watch.remove()
    return np.concatenate([found[row] for row in range(len(texts))])
