"""A second opinion on a public label comes from networks that never saw the text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chipwire.signals import train_network, train_second
from chipwire.signals.gloss import Gloss
from chipwire.signals.train_data import Example
from chipwire.signals.train_domain import Target, Text, glossed, masked, public_texts


def made(count: int) -> list[Text]:
    rows = [Example(f"Acme {number} beats Bolt on margins", name, label, "sentfin")
            for number in range(count) for name, label in (("Acme", 2), ("Bolt", 0))]  # fmt: skip
    return public_texts(rows)


def test_each_text_is_judged_by_networks_that_were_trained_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = made(40)
    asked: list[tuple[int, int]] = []

    def judged(base: Path, others: Sequence[Text], mine: Sequence[Text], seed: int) -> NDArray[np.float64]:
        assert not {text.group for text in others} & {text.group for text in mine}
        assert len(others) + len(mine) == len(texts)
        asked.append((len(mine), seed))
        # What is given for a target tells which text, which target and which seed it is.
        told = [(int(text.group.split()[1]), number, seed) for text in mine for number in range(len(text.targets))]
        return np.array(told, dtype=float)

    monkeypatch.setattr(train_second, "_judged", judged)
    found = train_second.second_opinions(Path("base"), texts, (5, 7))
    assert [text.group for text in found] == [text.group for text in texts]
    for text in found:
        of_text = [(float(text.group.split()[1]), float(number), 6.0) for number in range(2)]
        assert [target.second for target in text.targets] == of_text
    assert sum(count for count, _ in asked) == 2 * len(texts)
    assert {seed for _, seed in asked} == {5, 7}


def test_the_parts_are_of_like_size_and_follow_the_wording_alone() -> None:
    folds = [train_second.fold_of(text) for text in made(2_000)]
    shares = np.bincount(folds, minlength=train_second.FOLDS) / len(folds)
    assert shares == pytest.approx(1 / train_second.FOLDS, abs=0.05)
    assert train_second.fold_of(made(1)[0]) == train_second.fold_of(masked(made(1)[0], 1))


def test_a_second_opinion_counts_by_half_and_survives_masking_and_glossing() -> None:
    target = Target("Acme", ((0, 4),), 2, None, (0.6, 0.3, 0.1))
    assert train_network._label_shares(target) == pytest.approx([0.3, 0.15, 0.55])
    assert train_network._label_shares(Target("Acme", (), 1, None)) == pytest.approx([0.0, 1.0, 0.0])
    text = Text("Acme beats Bolt", "en", (target,), ((0, 4), (11, 15)), None, None, None, "sentfin", "g")
    assert masked(text, 0).targets[0].second == target.second
    assert glossed(text, Gloss({})).targets[0].second == target.second
