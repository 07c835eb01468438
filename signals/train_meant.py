"""Whether a name means the company where it stands: the last head of the network, settled when all else is.

The linker finds names by their letters and the words around; "Intel" of a spy service, "阿里" of a Tibetan district
pass where its lists have no word for them. The encoder learns to tell them apart beside all else; the head is trained
once more on its finished states, where our headlines name a company and in `chipwire.signals.train_mentions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.signals.train_domain import Text
from chipwire.signals.train_loop import feed

SEED: Final = 1
"""Of the first weights and of the order."""
PASSES: Final = 10
BATCH: Final = 256
RATE: Final = 1e-3
DECAY: Final = 0.05
SHARES: Final = (0.25, 0.25, 0.5)
"""How much weigh, whatever their numbers, names in our headlines, names in mentions that mean it, and that do not."""

Floats = NDArray[np.float32]


def fit_meant(network: Any, tokenizer: Any, texts: Sequence[Text]) -> None:
    """Train the head in place.

    Parameters
    ----------
    network, tokenizer
        From `chipwire.signals.train_network`; all of the network but this head stays as it is.
    texts : sequence of Text
        Glossed. A target of which it is not labelled whether it is meant is meant.
    """
    import torch

    torch.manual_seed(SEED)
    places = torch.from_numpy(places_of(network, tokenizer, texts))
    meant = [target.meant for text in texts for target in text.targets]
    wanted = torch.tensor([1.0 if one is None else one for one in meant])
    weights = torch.from_numpy(weights_of(meant))
    head = network.meant
    for layer in (head[0], head[2]):
        layer.reset_parameters()
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    rng = np.random.default_rng(SEED)
    for _ in range(PASSES):
        for rows in np.array_split(rng.permutation(len(places)), -(-len(places) // BATCH)):
            told = head(torch.nn.functional.dropout(places[rows], 0.1))[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(told, wanted[rows], weight=weights[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def weights_of(meant: Sequence[float | None]) -> Floats:
    """Return the weight of each place, 1 on average, so that each of the three kinds has its share (`SHARES`)."""
    kinds = np.array([0 if one is None else 1 if one else 2 for one in meant])
    counts = np.bincount(kinds, minlength=3)
    return np.asarray(np.array(SHARES)[kinds] * len(kinds) / counts[kinds], dtype=np.float32)


def places_of(network: Any, tokenizer: Any, texts: Sequence[Text]) -> Floats:
    """Return what the head sees of each target of the texts, shape (targets, twice the encoder's size)."""
    import torch

    kept: list[Any] = []
    watch = network.meant.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].float().numpy()))
    found = []
    network.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(texts), 64):
                part = texts[start : start + 64]
                network(**{name: torch.from_numpy(array) for name, array in feed(tokenizer, part).items()})
                found.append(kept.pop()[: sum(len(text.targets) for text in part)])
    finally:
        watch.remove()
    return np.concatenate(found)
