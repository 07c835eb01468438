"""What a committee says of training texts: means of its models' own probabilities, in the places of the labels."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chipwire.signals.model
from chipwire.data.errors import ChipwireError
from chipwire.data.universe import load_universe
from chipwire.signals import train as training
from chipwire.signals import train_committee, train_network
from chipwire.signals.models import Item
from chipwire.signals.onnx_model import OnnxModel
from chipwire.signals.train_committee import heard, variants
from chipwire.signals.train_domain import EVENTS, Row, Target, Text, masked, own_texts
from chipwire.signals.train_loop import Recipe
from chipwire.signals.train_network import ISSUERS, SAID, SAID_THEMES, UNSAID, UNSAID_NOTHING, both, moved_of

SHIPPED = Path(chipwire.signals.model.__file__).parent
ORDER = "Broadcom takes the networking order that Nvidia counted on"


def row(headline: str, issuer: str, label: str, language: str = "en", via: str = "direct") -> Row:
    return Row(headline[:9], language, headline, issuer, via, label, "high", frozenset(), "supply_deal", "plain")


TEXTS = own_texts(
    [
        row(ORDER, "AVGO", "positive"),
        row(ORDER, "NVIDIA", "negative"),
        row("Intel wins a foundry customer in Austin", "INTEL", "positive"),
        row("Intel wins a foundry customer in Austin", "TSMC", "negative", via="exposure"),
        row("寒武纪拿下西南一家银行的加速卡订单", "CAMBRICON", "positive", "zh"),
        row("The bank in Chengdu buys its own servers after all", "HYGON", "neutral"),
    ],
    load_universe(),
)


class Voice:
    """A model that says the same of everything: it leans up (1) or down (-1)."""

    def __init__(self, lean: float) -> None:
        self.lean = lean

    def logits(self, items: list[Item]) -> dict[str, Any]:
        targets, texts = sum(len(item.targets) for item in items), len(items)
        return {
            "sentiment": np.tile([-self.lean, 0.0, self.lean], (targets, 1)),
            "relevance": np.full(targets, self.lean),
            "themes": np.full((texts, 3), self.lean),
            "event": np.tile(np.eye(len(EVENTS))[0] * self.lean, (texts, 1)),
            "direction": np.zeros((texts, 3)),
            "roles": np.zeros((texts, len(train_network.HELD[0]), 3)),
        }


def test_without_a_committee_texts_stay_as_they_are() -> None:
    assert heard(TEXTS, []) == TEXTS


def test_one_model_says_what_it_reads_untempered() -> None:
    model = OnnxModel(SHIPPED)
    told = heard(TEXTS, [model])
    items = [Item(text.text, text.language, tuple(target.spans for target in text.targets)) for text in TEXTS]
    logits = model.logits(items)
    expected = np.exp(logits["sentiment"])
    expected /= expected.sum(axis=1, keepdims=True)
    said = np.array([target.said for text in told for target in text.targets])
    np.testing.assert_allclose(said[:, :3], expected, rtol=1e-5)
    np.testing.assert_allclose(said[:, 3], 1 / (1 + np.exp(-logits["relevance"])), rtol=1e-5)
    for number, text in enumerate(told):
        weights = np.exp(logits["event"][number])
        np.testing.assert_allclose(text.said.event, weights / weights.sum(), rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(text.said.moved.sum(axis=1)[text.said.moved[:, 0] >= 0], 1, rtol=1e-5)


def test_a_committee_says_the_mean_of_probabilities() -> None:
    first = heard(TEXTS, [Voice(1), Voice(-1)])[0]
    e = np.e
    middle = 1 / (1 + e + 1 / e)
    expected = [(1 - middle) / 2, middle, (1 - middle) / 2, 0.5]
    np.testing.assert_allclose(first.targets[0].said, expected, rtol=1e-6)
    np.testing.assert_allclose(first.said.themes, 0.5, rtol=1e-6)
    rest = len(EVENTS) - 1
    assert first.said.event[0] == pytest.approx((e / (e + rest) + 1 / e / (1 / e + rest)) / 2)


def test_nothing_is_said_of_named_issuers_beside_their_own_reading() -> None:
    first = heard(TEXTS, [Voice(1)])[0]
    silent = {issuer for issuer, values in zip(ISSUERS, first.said.moved, strict=True) if np.isnan(values).all()}
    assert silent == {"AVGO", "NVIDIA"}


def test_a_masked_text_keeps_what_was_said_of_it_and_of_its_target() -> None:
    first = heard(TEXTS, [Voice(1)])[0]
    hidden = masked(first, 1)
    assert hidden.targets == (replace(first.targets[1], spans=hidden.targets[0].spans),)
    assert hidden.said is first.said
    assert hidden.original == first.text


def test_of_companies_that_a_public_text_names_by_name_nothing_is_said_either() -> None:
    text = Text("Intel beats Acme", "en", (Target("Acme", ((12, 16),), 0, None),), (), None, None, None, "sentfin", "g")
    silent = np.isnan(heard([text], [Voice(1)])[0].said.moved).all(axis=1)
    assert [issuer for issuer, gone in zip(ISSUERS, silent, strict=True) if gone] == ["INTEL"]


# --- what is wanted --------------------------------------------------------------------------------------


def test_labels_and_what_is_said_are_mixed_and_one_alone_stands_for_both() -> None:
    np.testing.assert_allclose(both([1, 0], [0.2, 0.8]), [1 - SAID + SAID * 0.2, SAID * 0.8], rtol=1e-6)
    np.testing.assert_allclose(both(None, [0.2, 0.8]), [0.2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(both([1, 0], None), [1, 0])
    np.testing.assert_allclose(both([1, 0], [0.2, 0.8], SAID_THEMES), [1, 0])
    np.testing.assert_allclose(both(None, [0.2, 0.8], SAID_THEMES), [0.2, 0.8], rtol=1e-6)
    assert both(None, None) is None


def test_a_committee_counts_for_issuers_not_named_the_more_the_less_it_says_not_moved() -> None:
    intel, tsmc, amd = (ISSUERS.index(name) for name in ("INTEL", "TSMC", "AMD"))
    text = TEXTS[1]
    said = np.tile(np.array([0.0, 1.0, 0.0], dtype=np.float32), (len(ISSUERS), 1))
    said[intel] = np.nan
    said[tsmc] = (0.6, 0.4, 0.0)
    spoken = train_committee.Said(np.zeros(3), np.zeros(26), np.zeros(3), said)  # type: ignore[arg-type]  # float64 does
    labels, certain = moved_of([text, replace(text, said=spoken), replace(text, moved=None, said=spoken)])
    assert certain[:, intel].tolist() == [0, 0, 0]
    np.testing.assert_allclose(labels[0, [tsmc, amd]], [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(certain[0, [tsmc, amd]], [1, UNSAID], rtol=1e-6)
    weight = UNSAID + 0.6
    np.testing.assert_allclose(certain[1, [tsmc, amd]], [1 + weight, 2 * UNSAID], rtol=1e-6)
    np.testing.assert_allclose(
        labels[1, tsmc], [(1 + weight * 0.6) / (1 + weight), weight * 0.4 / (1 + weight), 0], rtol=1e-6
    )
    np.testing.assert_allclose(labels[2, tsmc], [0.6, 0.4, 0], rtol=1e-6)
    np.testing.assert_allclose(certain[2, [tsmc, amd]], [weight, UNSAID], rtol=1e-6)


def test_a_committee_is_not_asked_whom_nothing_moves() -> None:
    said = np.tile(np.array([0.6, 0.4, 0.0], dtype=np.float32), (len(ISSUERS), 1))
    spoken = train_committee.Said(np.zeros(3), np.zeros(26), np.zeros(3), said)  # type: ignore[arg-type]  # float64 does
    nothing = EVENTS.index("none")
    quiet = Text("Chips with tea", "en", (), (), None, nothing, None, "own", "g", moved={}, said=spoken)
    texts = [quiet, replace(quiet, moved={"AMD": 1}), replace(quiet, moved={"AMD": 2}), replace(quiet, event=1)]
    labels, certain = moved_of([*texts, replace(quiet, event=None, moved=None)])
    left_out = ISSUERS.index("TSMC")
    assert labels[:2, left_out].tolist() == [[0, 1, 0]] * 2
    np.testing.assert_allclose(certain[:2, left_out], UNSAID_NOTHING)
    for row in (2, 3, 4):  # somebody is moved, something happens, nobody has labelled it
        assert labels[row, left_out, 0] > 0.3
    assert certain[2, left_out] > UNSAID_NOTHING


# --- who may speak ---------------------------------------------------------------------------------------


def test_a_model_that_tells_other_things_apart_is_refused(tmp_path: Path) -> None:
    [voice] = training.check_committee([SHIPPED], Recipe())
    assert voice.logits([])["event"].shape == (0, len(EVENTS))
    for name in ("tokenizer.json", "model.onnx", "gloss.tsv"):
        shutil.copyfile(SHIPPED / name, tmp_path / name)
    described = json.loads((SHIPPED / "model.json").read_text("utf-8"))
    described["roles"] = [*described["roles"][1:], described["roles"][0]]
    (tmp_path / "model.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(ChipwireError, match="tells other roles apart"):
        training.check_committee([tmp_path], Recipe())


def test_a_committee_and_public_labels_alone_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ChipwireError, match="--committee .* --public-only"):
        training.check_committee([SHIPPED], Recipe(public_only=True))


# --- variants --------------------------------------------------------------------------------------------


def test_variants_name_whom_they_label_and_carry_no_label() -> None:
    made = variants(TEXTS, 600, np.random.default_rng(5))
    assert 590 <= len(made) <= 600
    for text in made:
        assert text.text
        assert (text.themes, text.event, text.direction, text.moved) == (None, None, None, None)
        for target in text.targets:
            assert target.spans
            assert (target.label, target.relevance) == (None, None)
            assert {text.text[start:end] for start, end in target.spans} <= {"Broadcom", "Nvidia", "Intel", "寒武纪"}
        assert len({target.issuer for target in text.targets}) == len(text.targets)


def test_variants_are_joined_renamed_or_shortened_within_a_language() -> None:
    made = variants(TEXTS, 600, np.random.default_rng(5))
    words = {word for text in TEXTS if text.language == "en" for word in text.text.split()}
    for text in made:
        if text.language == "en":
            assert set(text.text.split()) <= words
        else:
            assert not re.search("[A-Za-z]", text.text)
    first, second = TEXTS[1].text.split(), TEXTS[3].text.split()
    joined = [text for text in made if text.text.split()[:2] == first[:2] and text.text.split()[-2:] == second[-2:]]
    assert joined
    assert all([target.issuer for target in text.targets] == ["INTEL"] for text in joined)
    renamed = [text for text in made if text.text == ORDER.replace("Nvidia", "Intel")]
    assert renamed
    assert {target.issuer for target in renamed[0].targets} == {"AVGO", "INTEL"}


def test_the_same_seed_gives_the_same_variants() -> None:
    first, again, other = (
        [text.text for text in variants(TEXTS, 50, np.random.default_rng(seed))] for seed in (5, 5, 6)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("words", "language", "names", "expected"),
    [
        ("Arm lends to the Army", "en", {"ARM": "Arm"}, {"ARM": ["Arm"]}),
        ("中芯国际收购一家代工厂", "zh", {"SMIC": "中芯国际", "OTHER": "中芯"}, {"SMIC": ["中芯国际"]}),
        ("TSMC says Taiwan Semiconductor gains", "en", {"TSMC": "TSMC|Taiwan Semiconductor"},
         {"TSMC": ["TSMC", "Taiwan Semiconductor"]}),
    ],
)  # fmt: skip
def test_names_stand_alone_and_the_longest_counts(
    words: str, language: str, names: dict[str, str], expected: dict[str, list[str]]
) -> None:
    parents = []
    for issuer, said in names.items():
        text = "; ".join(said.split("|"))
        spans = tuple(match.span() for match in re.finditer(said, text))
        parents.append(Text(text, language, (Target(issuer, spans, 1, None),), (), None, None, None, "own", "g"))
    found = train_committee._unlabelled(words, parents[0], [one.targets[0] for one in parents], parents)
    assert {one.issuer: [words[start:end] for start, end in one.spans] for one in found.targets} == expected
    assert len(found.others) == sum(len(each) for each in expected.values())


def test_any_word_can_be_left_out() -> None:
    text = Text("one two three four five", "en", (), (), None, None, None, "own", "g")
    rng = np.random.default_rng(2)
    left = [train_committee._shortened(text, rng).text for _ in range(300)]
    for word in text.text.split():
        assert any(word not in each for each in left)
    assert all(each == each.strip() for each in left)


def test_a_name_that_stands_twice_is_found_twice() -> None:
    text = Text("Acme sues Acme", "en", (Target("ACME", ((0, 4), (10, 14)), 1, 1.0),), (), None, None, None, "own", "g")
    found = train_committee._unlabelled("Acme Acme", text, text.targets, (text,))
    assert [target.spans for target in found.targets] == [((0, 4), (5, 9))]
    assert found.others == ((0, 4), (5, 9))
