"""A training that goes on from earlier weights ends with the mean of those and what it came to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipwire.signals import train as training
from chipwire.signals.gloss import Gloss
from chipwire.signals.train import Data, Recipe


class Tensor(np.ndarray):
    def clone(self) -> Tensor:
        return self.copy()


class Network:
    """What `train` needs of a network; its one weight is changed in place, as an optimiser does."""

    def __init__(self) -> None:
        self.weight = np.array([9.0]).view(Tensor)

    def state_dict(self) -> dict[str, Tensor]:
        return {"w": self.weight}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.weight[:] = state["w"]


def trained(monkeypatch: pytest.MonkeyPatch, start: Path | None, kept: float) -> float:
    """Train from weights of 9, or on from those of a file, to weights of 2; return what remains."""
    monkeypatch.setitem(sys.modules, "torch", Torch)
    monkeypatch.setattr(training, "build_network", lambda base: Network())
    monkeypatch.setattr(training, "load_tokenizer", lambda base: None)
    monkeypatch.setattr(training, "teacher_of", lambda base, texts: {})
    monkeypatch.setattr(training, "go_on", lambda network, start: network.load_state_dict({"w": np.array([6.0])}))

    def fit(network: Network, *_: Any) -> None:
        network.weight[:] = 2.0

    monkeypatch.setattr(training, "fit", fit)
    nothing = {"train": [], "validation": [], "test": []}
    data = Data(nothing, nothing, [], {}, [], [], [], {})
    network = training.train(Path("base"), data, Recipe(kept_share=kept), Gloss({}), 1, start)
    return float(network.weight[0])


class Torch:
    @staticmethod
    def manual_seed(seed: int) -> None:
        pass


def test_the_share_of_the_earlier_weights_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(monkeypatch, Path("earlier"), 0.25) == 0.25 * 6 + 0.75 * 2


def test_without_earlier_weights_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(monkeypatch, None, 0.25) == 2


def test_a_share_of_nothing_keeps_what_it_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(monkeypatch, Path("earlier"), 0.0) == 2
