"""The heads that are settled last, on the states of a network that stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chipwire.signals.model
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import EVENTS, Target, Text
from chipwire.signals.train_last import fit_alone, fit_meant, states_of, weights_of
from chipwire.signals.train_network import ROLES, load_tokenizer, loss_of, moves_alone, wanted_of

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

WIDTH = 8
Fit = Callable[[Any, Any, list[Text]], None]
SHIPPED = Path(chipwire.signals.model.__file__).parent


class Network(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]  # torch may have no types
    """Words by their own vectors, the mean of a text and that of a place in it, and the two heads."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.words = torch.nn.Embedding(30_522, WIDTH, _weight=5 * torch.randn(30_522, WIDTH))
        self.meant = torch.nn.Sequential(torch.nn.Linear(2 * WIDTH, 16), torch.nn.GELU(), torch.nn.Linear(16, 1))
        self.alone = torch.nn.Sequential(torch.nn.Linear(WIDTH, 16), torch.nn.GELU(), torch.nn.Linear(16, 1))

    def forward(self, input_ids, attention_mask, mention_row, mention_weights):  # type: ignore[no-untyped-def]  # as torch
        seen = self.words(input_ids)
        weight = attention_mask.unsqueeze(-1).float()
        text = (seen * weight).sum(1) / weight.sum(1)
        place = (seen[mention_row] * mention_weights.unsqueeze(-1)).sum(1)
        return self.meant(torch.cat([place, text[mention_row]], dim=1))[:, 0], self.alone(text)[:, 0]


def text(words: str, meant: float | None) -> Text:
    at = words.index("KLA")
    target = Target("", ((at, at + 3),), None, None, meant=meant)
    return Text(words, "en", (target,), target.spans, None, None, None, "mentions", "g")


TEXTS = [
    *(text(f"KLA ships tool {number} to a wafer fab", None) for number in range(40)),
    *(text(f"Shares of KLA gain {number} percent", 1.0) for number in range(20)),
    *(text(f"KLA rebels free village {number} in Kosovo", 0.0) for number in range(20)),
]


def moving(words: str, moved: dict[str, int] | None, targets: tuple[Target, ...] = ()) -> Text:
    return Text(words, "en", targets, (), None, EVENTS.index("none"), None, "own", "g", moved=moved)


ALONE = [
    *(moving(f"Wafer makers raise prices by {number} percent", {"TSMC": 2, "INTEL": 1}) for number in range(40)),
    *(moving(f"Wafer bakers of parish {number} raise prices", {}) for number in range(10)),
    *(moving(f"Bakers of parish {number} sell chips", {"INTEL": 1}) for number in range(10)),
]


def told(network: Network, head: str, texts: list[Text]) -> np.ndarray:
    count = {"meant": lambda text: len(text.targets), "alone": lambda _: 1}[head]
    with torch.inference_mode():
        states = torch.from_numpy(states_of(network, load_tokenizer(SHIPPED), texts, getattr(network, head), count))
        return torch.sigmoid(getattr(network, head)(states)[:, 0]).numpy()


@pytest.mark.parametrize(
    ("head", "fit", "texts", "others"), [("meant", fit_meant, TEXTS, 60), ("alone", fit_alone, ALONE, 40)]
)
def test_a_head_learns_and_all_else_stays(head: str, fit: Fit, texts: list[Text], others: int) -> None:
    network, again = Network(), Network()
    before = {name: value.clone() for name, value in network.state_dict().items() if not name.startswith(head)}
    with torch.no_grad():
        getattr(again, head)[0].weight.add_(1.0)
    for one in (network, again):
        fit(one, load_tokenizer(SHIPPED), texts * 50)
    found = told(network, head, texts)
    assert found[:others].min() > found[others:].max()
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    np.testing.assert_array_equal(told(again, head, texts), found)  # whatever the first weights of the head were


def test_only_texts_that_name_nobody_and_are_labelled_say_whether_one_moves_somebody() -> None:
    network, again = Network(), Network()
    target = Target("KLA", ((0, 3),), 2, 1.0)
    for one, more in ((network, []), (again, [moving("KLA gains", {}, (target,)), moving("Wafers, unlabelled", None)])):
        fit_alone(one, load_tokenizer(SHIPPED), [*ALONE * 20, *more])
    np.testing.assert_array_equal(told(again, "alone", ALONE), told(network, "alone", ALONE))


def test_each_target_has_its_place_and_each_text_its_mean() -> None:
    network, tokenizer = Network(), load_tokenizer(SHIPPED)
    found = states_of(network, tokenizer, TEXTS[:3], network.meant, lambda text: len(text.targets))
    assert found.shape == (3, 2 * WIDTH)
    # The vectors of the name are the same in all three, those of the whole texts differ by a number.
    np.testing.assert_allclose(found[0, :WIDTH], found[2, :WIDTH], rtol=1e-5)
    assert np.abs(found[0, WIDTH:] - found[2, WIDTH:]).max() > 1e-3
    whole = states_of(network, tokenizer, TEXTS[:3], network.alone, lambda _: 1)
    np.testing.assert_allclose(whole, found[:, WIDTH:], rtol=1e-6)
    # A text alone is read with a row of padding, which is not among them.
    assert states_of(network, tokenizer, TEXTS[:1], network.alone, lambda _: 1).shape == (1, WIDTH)


def test_each_kind_has_its_share_of_the_weight() -> None:
    weights = weights_of([0] * 70 + [1] * 20 + [2] * 10, (0.25, 0.25, 0.5))
    np.testing.assert_allclose((weights[:70].sum(), weights[70:90].sum(), weights[90:].sum()), (25, 25, 50), rtol=1e-5)
    assert weights.dtype == np.float32


@pytest.mark.parametrize(
    ("moved", "event", "moves"),
    [
        ({"TSMC": 2, "INTEL": 1}, "tariff", 1.0),
        ({"TSMC": 0}, "none", 1.0),
        ({}, "tariff", 0.0),  # the annotator saw nobody moved
        ({"TSMC": 1}, "none", 0.0),
        ({"TSMC": 1}, "tariff", None),  # who is not listed may be
        (None, "tariff", None),
    ],
)
def test_whether_a_text_that_names_nobody_moves_anybody(
    moved: dict[str, int] | None, event: str, moves: float | None
) -> None:
    of = replace(moving("Wafers", moved), event=EVENTS.index(event))
    assert moves_alone(of) == moves
    assert moves_alone(replace(of, targets=(Target("KLA", ((0, 3),), 2, 1.0),))) is None


def test_the_loss_of_a_batch_counts_what_is_known_of_whether_texts_move_anybody() -> None:
    # Of six texts the fourth is not labelled; the seventh row of the outputs is padding.
    wanted = wanted_of([*ALONE[:3], moving("Wafers, unlabelled", None), *ALONE[50:52]], {})
    assert torch.equal(wanted.alone.isnan(), torch.tensor([False] * 3 + [True] + [False] * 2))
    sizes = (0, len(LABELS)), (0,), (7, 3), (7, len(EVENTS)), (7, 3), (7, len(ROLES), 3), (7, 8), (0,)
    fixed = [torch.zeros(size) for size in sizes]
    logits = torch.tensor([3.0, -1.0, 2.0, 50.0, 0.5, -4.0, -50.0], requires_grad=True)
    loss_of((*fixed, logits), wanted).backward()
    right, known = torch.tensor([1.0, 1, 1, 0, 0, 0, 0]), torch.tensor([1.0, 1, 1, 0, 1, 1, 0])
    slope = (torch.sigmoid(logits.detach()) - right) * known / 8  # a batch with less than 8 of them counts by less
    torch.testing.assert_close(logits.grad, slope)
