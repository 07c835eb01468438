"""The head that says whether a name means the company: settled on the states of a network that stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chipwire.signals.model
from chipwire.signals.train_domain import Target, Text
from chipwire.signals.train_meant import fit_meant, places_of
from chipwire.signals.train_network import load_tokenizer

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

WIDTH = 8
SHIPPED = Path(chipwire.signals.model.__file__).parent


class Network(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]  # torch may have no types
    """Words by their own vectors, the mean of a text beside that of a place in it, and the head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.words = torch.nn.Embedding(30_522, WIDTH, _weight=5 * torch.randn(30_522, WIDTH))
        self.meant = torch.nn.Sequential(torch.nn.Linear(2 * WIDTH, 16), torch.nn.GELU(), torch.nn.Linear(16, 1))

    def forward(self, input_ids, attention_mask, mention_row, mention_weights):  # type: ignore[no-untyped-def]  # as torch
        seen = self.words(input_ids)
        weight = attention_mask.unsqueeze(-1).float()
        text = (seen * weight).sum(1) / weight.sum(1)
        place = (seen[mention_row] * mention_weights.unsqueeze(-1)).sum(1)
        return self.meant(torch.cat([place, text[mention_row]], dim=1))[:, 0]


def text(words: str, meant: float | None) -> Text:
    at = words.index("KLA")
    target = Target("", ((at, at + 3),), None, None, meant=meant)
    return Text(words, "en", (target,), target.spans, None, None, None, "mentions", "g")


TEXTS = [
    *(text(f"KLA ships tool {number} to a wafer fab", None) for number in range(40)),
    *(text(f"Shares of KLA gain {number} percent", 1.0) for number in range(20)),
    *(text(f"KLA rebels free village {number} in Kosovo", 0.0) for number in range(20)),
]


def told(network: Network) -> np.ndarray:
    tokenizer = load_tokenizer(SHIPPED)
    with torch.inference_mode():
        places = torch.from_numpy(places_of(network, tokenizer, TEXTS))
        return torch.sigmoid(network.meant(places)[:, 0]).numpy()


def test_the_head_learns_and_all_else_stays() -> None:
    network, again = Network(), Network()
    before = network.words.weight.clone()
    with torch.no_grad():
        again.meant[0].weight.add_(1.0)
    for one in (network, again):
        fit_meant(one, load_tokenizer(SHIPPED), TEXTS * 50)
    found = told(network)
    assert found[:60].min() > found[60:].max()
    assert torch.equal(network.words.weight, before)
    np.testing.assert_array_equal(told(again), found)  # whatever the first weights of the head were


def test_each_target_has_its_place() -> None:
    network = Network()
    found = places_of(network, load_tokenizer(SHIPPED), TEXTS[:3])
    assert found.shape == (3, 2 * WIDTH)
    # The vectors of the name are the same in all three, those of the whole texts differ by a number.
    np.testing.assert_allclose(found[0, :WIDTH], found[2, :WIDTH], rtol=1e-5)
    assert np.abs(found[0, WIDTH:] - found[2, WIDTH:]).max() > 1e-3
