"""What an epoch of a training reads, and the market headlines of our own among it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from chipwire.signals.gloss import Gloss
from chipwire.signals.models import Item
from chipwire.signals.train_domain import EVENTS, NEAR, Target, Text, near_pairs
from chipwire.signals.train_frames import Frame
from chipwire.signals.train_headlines import NEWEST, load_headlines, load_markets, parse_market
from chipwire.signals.train_loop import Recipe
from chipwire.signals.train_network import ROLES
from chipwire.signals.train_texts import Data, epoch_texts, hear, varied


def text(words: str) -> Text:
    return Text(words, "en", (Target("ACME", ((0, 4),), 2, None),), ((0, 4),), None, None, None, "own", "g")


class Nothing:
    """A grower that grows no texts."""

    def grow(self, frames: list[Frame], repeats: int) -> list[Text]:
        return []


KINDS = {"own": 10, "headlines": 400, "newest": 22, "markets": 30, "mentions": 50, "public": 40}
READ = {**KINDS, "newest": sum(len(range(n, 22, len(NEWEST))) * times for n, times in enumerate(NEWEST.values()))}


def made() -> Data:
    """Return data with so many texts of each kind; each has its kind and number for words."""
    of = {kind: [text(f"Acme {kind} {number}") for number in range(count)] for kind, count in KINDS.items()}
    held: dict[str, list[Text]] = {"validation": [], "test": []}
    own, public = ({"train": of[kind], **held} for kind in ("own", "public"))
    newest = {ending: of["newest"][number :: len(NEWEST)] for number, ending in enumerate(NEWEST)}
    return Data(own, public, of["headlines"], newest, of["markets"], of["mentions"], [], {})


def read(recipe: Recipe) -> Counter[str]:
    """Return how many texts of each kind an epoch reads."""
    growers = {"en": Nothing(), "zh": Nothing()}
    found = epoch_texts(made(), replace(recipe, masked_share=0.0), growers, Gloss({}), np.random.default_rng(1))  # type: ignore[arg-type]  # a grower stands for one
    return Counter(one.text.split()[1] for one in found)


def test_an_epoch_reads_everything_once_and_the_newest_as_often_as_they_say() -> None:
    assert read(Recipe()) == READ


def test_only_the_older_headlines_are_drawn_from() -> None:
    found = read(Recipe(known_share=0.25))
    assert 60 < found.pop("headlines") < 140  # 100 are expected, with a deviation of 8.7
    assert found == {kind: count for kind, count in READ.items() if kind != "headlines"}


def test_public_texts_are_repeated_with_market_headlines() -> None:
    assert read(Recipe(public_repeats=3)) == {**READ, "public": 120, "markets": 90}


def test_the_newest_files_are_there_and_share_no_headline() -> None:
    for ending, repeats in NEWEST.items():
        assert repeats > 0
        assert load_headlines(ending=ending)
    endings = [text.original for ending in NEWEST for text in load_headlines(ending=ending)]
    assert len(endings) == len(set(endings))


class Voice:
    """One of a committee: it says of everything that nothing is certain."""

    def logits(self, items: Sequence[Item]) -> dict[str, np.ndarray]:
        targets = sum(len(item.targets) for item in items)
        return {
            "sentiment": np.zeros((targets, 3)), "relevance": np.zeros(targets), "themes": np.zeros((len(items), 3)),
            "event": np.zeros((len(items), len(EVENTS))), "direction": np.zeros((len(items), 3)),
            "roles": np.zeros((len(items), len(ROLES), 3)),
        }  # fmt: skip


def test_of_what_is_new_to_it_a_committee_is_not_asked() -> None:
    data = hear(made(), [Voice()])
    new = [one for texts in data.newest.values() for one in texts]
    for asked in (data.own["train"], data.public["train"], data.headlines):
        assert all(one.said is not None and one.targets[0].said is not None for one in asked)
    assert all(one.said is None and one.targets[0].said is None for one in (*new, *data.markets, *data.mentions))


def test_what_is_varied_for_a_committee_is_not_new_to_it() -> None:
    found = varied(made(), 200, [Voice()], np.random.default_rng(2))
    words = {word for one in found for word in one.text.split()}
    assert {"own", "headlines", "public"} <= words
    assert not {"newest", "markets", "mentions"} & words


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
    assert not [one.text for one in found if re.search(r"\b[A-Z]\w+[- ](?:like|type|style)\b", one.text)]


def test_no_two_groups_of_market_headlines_share_half_of_their_words() -> None:
    assert near_pairs([(one.group, one.text, "en") for one in load_markets()], NEAR) == []


GOOD = {"group": "g", "headline": "Zinc climbs off a two-year low, tin slips", "labels": "Zinc=positive;tin=negative"}


def test_a_market_headline_is_labelled_where_its_names_stand() -> None:
    found = parse_market(GOOD)
    assert [(one.issuer, one.label, one.spans) for one in found.targets] == [
        ("Zinc", 2, ((0, 4),)),
        ("tin", 0, ((32, 35),)),
    ]
    assert found.others == ((0, 4), (32, 35))


def test_a_name_within_a_longer_one_is_that_ones() -> None:
    labels = {"headline": "Nifty flat; Bank Nifty slips", "labels": "Nifty=neutral;Bank Nifty=negative"}
    found = parse_market(GOOD | labels)
    assert [(one.issuer, one.spans) for one in found.targets] == [("Nifty", ((0, 5),)), ("Bank Nifty", ((12, 22),))]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("Zinc=up", "unknown label 'up'"),
        ("", "'' is not of the form name=label"),
        ("positive", "'positive' is not of the form"),
        ("=positive", "'=positive' is not of the form"),
        ("Zinc=positive; tin=negative", "' tin=negative' is not of the form"),
        ("Zinc=positive;zinc=negative", "'zinc' is labelled twice"),
        ("Zinc=positive;Lead=negative", "'Lead' is labelled and does not stand in the headline"),
        ("Zin=positive", "'Zin' is labelled and does not stand in the headline"),
        ("Zinc climbs=positive;Zinc=positive", "'Zinc' is labelled and does not stand in the headline"),
    ],
)
def test_a_market_headline_that_is_not_of_the_form_is_refused(labels: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_market(GOOD | {"labels": labels})
