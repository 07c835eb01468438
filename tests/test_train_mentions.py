"""Names that mean a company and names that mean something else, for training only."""

from __future__ import annotations

from collections import Counter
from importlib import resources

import pytest

from chipwire.data.universe import load_universe
from chipwire.signals.linking import Linker
from chipwire.signals.train_domain import NEAR, Target, Text, drop_near, masked, near_pairs
from chipwire.signals.train_mentions import held_lookalikes, load_lookalikes, load_mentions, parse_mention

GOOD = {"group": "g", "language": "en", "headline": "Kla yes, KLA no: KLA", "name": "KLA", "meant": "no"}


def test_a_name_is_found_wherever_its_letters_stand() -> None:
    found = parse_mention(GOOD)
    (target,) = found.targets
    assert (target.spans, target.meant, target.label, target.relevance) == (((9, 12), (17, 20)), 0.0, None, None)
    assert (found.themes, found.event, found.direction, found.moved) == (None, None, None, None)
    zh = parse_mention({**GOOD, "language": "zh", "headline": "百度高温的百度", "name": "百度", "meant": "yes"})
    assert (zh.targets[0].spans, zh.targets[0].meant) == (((0, 2), (5, 7)), 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "AMD"}, "'AMD' does not stand in the headline"),
        ({"name": ""}, "'' does not stand in the headline"),
        ({"meant": "maybe"}, "unknown language or meaning in 'en', 'maybe'"),
        ({"language": "de"}, "unknown language or meaning in 'de', 'no'"),
    ],
)
def test_a_bad_line_is_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_mention({**GOOD, **change})


def test_each_name_stands_for_both() -> None:
    found = load_mentions()  # raises on a bad line
    readme = resources.files("chipwire.signals.training").joinpath("README.md").read_text("utf-8")
    assert f"`mentions.csv` has {len(found):,} headlines" in readme
    assert len({one.text.casefold() for one in found}) == len(found)
    for language in ("en", "zh"):
        groups: dict[str, list[float | None]] = {}
        for one in found:
            if one.language == language:
                groups.setdefault(one.group, []).append(one.targets[0].meant)
        both = Counter(tuple(sorted(map(float, meant))) for meant in groups.values())
        assert both[0.0, 1.0] > 0.98 * both.total() > 400


def test_no_two_groups_of_mentions_share_half_of_their_words() -> None:
    assert near_pairs([(one.group, one.text, one.language) for one in load_mentions()], NEAR) == []


def test_no_mention_is_near_to_a_held_out_look_alike() -> None:
    held = held_lookalikes()
    assert len(held) == 150 + 472
    assert not any(one.targets for one in held)
    every = load_mentions()
    assert drop_near(every, held) == every


def test_what_a_look_alike_has_of_a_name_is_not_meant() -> None:
    found = load_lookalikes()
    assert len(found) > 200
    assert {target.meant for one in found for target in one.targets} == {0.0}
    linker = Linker(load_universe())
    assert sum(bool(linker.find(one.text)) for one in found) < 0.01 * len(found)  # the rules know nearly all


def test_behind_a_mask_nobody_can_tell_what_a_name_means() -> None:
    target = Target("", ((0, 3),), None, None, meant=0.0)
    text = Text("KLA wins", "en", (target,), ((0, 3),), None, None, None, "mentions", "g")
    assert masked(text, 0).targets[0].meant is None
