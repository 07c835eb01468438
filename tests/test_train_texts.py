"""What an epoch of a training reads, and the market headlines of our own among it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from chipwire.signals.gloss import Gloss
from chipwire.signals.train_domain import NEAR, Target, Text, pieces
from chipwire.signals.train_frames import Frame
from chipwire.signals.train_headlines import load_markets, parse_market
from chipwire.signals.train_loop import Recipe
from chipwire.signals.train_texts import Data, epoch_texts


def text(words: str, group: str = "g") -> Text:
    return Text(words, "en", (Target("ACME", ((0, 4),), 2, None),), ((0, 4),), None, None, None, "own", group)


class Nothing:
    """A grower that grows no texts."""

    def grow(self, frames: list[Frame], repeats: int) -> list[Text]:
        return []


KINDS = {"own": 10, "headlines": 400, "newest": 20, "markets": 30, "public": 40}


def read(recipe: Recipe) -> Counter[str]:
    """Return how many texts of each kind an epoch reads."""
    made = {kind: [text(f"Acme {kind} {number}") for number in range(count)] for kind, count in KINDS.items()}
    held: dict[str, list[Text]] = {"validation": [], "test": []}
    data = Data(
        {"train": made["own"], **held}, {"train": made["public"], **held}, made["headlines"], made["newest"],
        made["markets"], [], {},
    )  # fmt: skip
    growers = {"en": Nothing(), "zh": Nothing()}
    found = epoch_texts(data, replace(recipe, masked_share=0.0), growers, Gloss({}), np.random.default_rng(1))  # type: ignore[arg-type]  # a grower stands for one
    return Counter(one.text.split()[1] for one in found)


def test_an_epoch_reads_everything_once() -> None:
    assert read(Recipe()) == KINDS


def test_only_the_older_headlines_are_drawn_from() -> None:
    found = read(Recipe(known_share=0.25))
    assert 60 < found.pop("headlines") < 140  # 100 are expected, with a deviation of 8.7
    assert found == {kind: count for kind, count in KINDS.items() if kind != "headlines"}


def test_public_texts_and_market_headlines_are_repeated_alike() -> None:
    assert read(Recipe(public_repeats=3)) == {**KINDS, "public": 120, "markets": 90}


def test_a_training_on_public_labels_reads_nothing_of_ours() -> None:
    assert read(Recipe(public_only=True)) == {"public": 40}


def test_market_headlines_label_what_stands_in_them_and_each_stands_once() -> None:
    found = load_markets()  # raises on a bad line
    readme = resources.files("chipwire.signals.training").joinpath("README.md").read_text("utf-8")
    assert f"`markets.csv` has {len(found):,} market headlines" in readme
    assert len({one.text.casefold() for one in found}) == len(found)
    assert all(20 <= len(one.text) <= 170 for one in found)
    labels = Counter(target.label for one in found for target in one.targets)
    assert min(labels.values()) > 0.2 * labels.total()
    assert all(one.themes is None and one.event is None and one.moved is None for one in found)


def test_no_two_groups_of_market_headlines_share_most_of_their_words() -> None:
    sets = [(one.group, pieces(one.text, "en")) for one in load_markets()]
    seen: dict[str, list[int]] = {}
    near = []
    for number, (group, own) in enumerate(sets):
        others = {other for piece in own for other in seen.get(piece, ()) if sets[other][0] != group}
        near += [
            (group, sets[other][0]) for other in others if len(own & sets[other][1]) > 0.6 * len(own | sets[other][1])
        ]
        for piece in own:
            seen.setdefault(piece, []).append(number)
    assert NEAR < 0.6
    assert near == []


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("Zinc=up", "unknown label 'up'"),
        ("", "nothing is labelled"),
        ("Zinc=positive;Lead=negative", "'Lead' is labelled and does not stand in the headline"),
        ("Zin=positive", "'Zin' is labelled and does not stand in the headline"),
    ],
)
def test_a_market_headline_that_is_not_of_the_form_is_refused(labels: str, says: str) -> None:
    good = {
        "group": "g",
        "headline": "Zinc climbs off a two-year low, tin slips",
        "labels": "Zinc=positive;tin=negative",
    }
    read = parse_market(good)
    assert [(one.issuer, one.label, one.spans) for one in read.targets] == [
        ("Zinc", 2, ((0, 4),)),
        ("tin", 0, ((32, 35),)),
    ]
    with pytest.raises(ValueError, match=says):
        parse_market(good | {"labels": labels})
