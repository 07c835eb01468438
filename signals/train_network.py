"""The reading network in torch: one pass over a headline, then a look at each company where it is named.

An encoder's hidden states are averaged over the whole text and over each target's mentions. The text's vector gives
themes, event, direction, what becomes of each role of the universe, whether a text that names nobody moves anybody, and
the embedding for novelty; a target's vector beside it gives sentiment and relevance, and whether its name means the
company there at all.
Entity pooling after R. Sinha et al., "SEntFiN 1.0", JASIST 73 (2022), and L. Baldini Soares et al., "Matching the
Blanks", ACL 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.data.universe import load_universe
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import DIRECTIONS, EVENTS, Target, Text

MAX_TOKENS: Final = 96
EMBEDDING: Final = 128
LAST_UNITS: Final = 64
"""Hidden units of the two heads that are settled last, `meant` and `alone` (`chipwire.signals.train_last`)."""

UNIVERSE: Final = load_universe().issuers
ISSUERS: Final = tuple(sorted(UNIVERSE))
ROLES: Final = tuple(sorted({role for issuer in UNIVERSE.values() for role in issuer.roles}))
HELD: Final = tuple(tuple(float(role in UNIVERSE[issuer].roles) for role in ROLES) for issuer in ISSUERS)
"""Which roles each issuer has; what its roles say of it is added up."""

UNSAID: Final = 0.15
UNSAID_NOTHING: Final = 0.3
"""Weights of "not moved" for an issuer of which the labels say nothing: where something happens, where nothing does."""

SECOND: Final = 0.5
"""How much a second opinion (`Target.second`) counts beside the label."""

SAID: Final = 0.5
"""How much a committee (`Text.said`, `Target.said`) counts beside what is labelled; alone where nothing is."""

SAID_THEMES: Final = 0.0
"""The same of themes: where a committee and the label differ, a blind reader sides with the label in two of three."""

THEMES_WEIGHT: Final = 6.0
"""Weight of the loss of the themes, a mean over them, beside 1 of the event's."""

MOVED_WEIGHT: Final = 2.0
"""The same of the issuers that are not named."""

FEW: Final = 8.0
"""Where a batch has less of a thing than this, it counts by so much less."""


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a folder, which cuts to `MAX_TOKENS`; a literal special token stays plain text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def build_network(folder: Path, dropout: float = 0.1) -> Any:
    """Return the encoder of a folder with fresh heads, as a torch module called with the arrays of `feed_of`."""
    import torch
    from transformers import BertModel

    nn: Any = torch.nn

    class Reader(nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = BertModel.from_pretrained(
                folder, add_pooling_layer=False, use_safetensors=True, attn_implementation="eager",
                hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
            )  # fmt: skip
            size = self.encoder.config.hidden_size
            self.drop = nn.Dropout(dropout)
            self.embed = nn.Linear(size, EMBEDDING)
            told = len(THEMES) + len(EVENTS) + len(DIRECTIONS) + len(ROLES) * len(LABELS)
            self.event = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, told))
            self.mention = nn.Sequential(nn.Linear(2 * size, size), nn.GELU(), nn.Linear(size, len(LABELS) + 1))
            self.meant = nn.Sequential(nn.Linear(2 * size, LAST_UNITS), nn.GELU(), nn.Linear(LAST_UNITS, 1))
            self.alone = nn.Sequential(nn.Linear(size, LAST_UNITS), nn.GELU(), nn.Linear(LAST_UNITS, 1))

        def forward(self, input_ids: Any, attention_mask: Any, mention_row: Any, mention_weights: Any) -> Any:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            text = (hidden * weight).sum(1) / weight.sum(1)
            looked = (hidden[mention_row] * mention_weights.unsqueeze(-1).to(hidden.dtype)).sum(1)
            place = torch.cat([looked, text[mention_row]], dim=1)
            seen = self.mention(self.drop(place))
            told = self.event(self.drop(text))
            themes, event, direction, roles = told.split(
                (len(THEMES), len(EVENTS), len(DIRECTIONS), len(ROLES) * len(LABELS)), dim=1
            )
            return (
                seen[:, : len(LABELS)], seen[:, len(LABELS)], themes, event, direction,
                roles.unflatten(1, (len(ROLES), len(LABELS))), nn.functional.normalize(self.embed(text).float(), dim=1),
                self.meant(place)[:, 0], self.alone(text)[:, 0],
            )  # fmt: skip

    return Reader()


@dataclass(frozen=True)
class Wanted:
    """What a batch should give, as probabilities; NaN where nothing is known.

    `meant` has the shape (targets,), `alone` (texts,).
    `moved` has the shape (texts, issuers, labels), and `certain`, (texts, issuers), is how much each counts; `teacher`
    and `taught` are the wanted embeddings and the texts that have one.
    """

    sentiment: Any
    relevance: Any
    meant: Any
    alone: Any
    themes: Any
    event: Any
    direction: Any
    moved: Any
    certain: Any
    teacher: Any
    taught: Any


def wanted_of(texts: Sequence[Text], teacher: Mapping[str, NDArray[np.float32]]) -> Wanted:
    """Return what is wanted of a batch as tensors: its labels, and what a committee says by its share."""
    import torch

    targets = [target for text in texts for target in text.targets]
    taught = [row for row, text in enumerate(texts) if text.original in teacher]
    vectors = np.stack([teacher[texts[row].original] for row in taught]) if taught else np.zeros((0, 1), np.float32)
    parts = (
        [both(_label_shares(target), target.said and target.said[:-1]) for target in targets],
        [both(_one(target.relevance), target.said and target.said[-1:]) for target in targets],
        [both(_one(target.meant), None) for target in targets],
        [both(_one(moves_alone(text)), None) for text in texts],
        [both(text.themes, text.said and text.said.themes, SAID_THEMES) for text in texts],
        [both(_place(text.event, len(EVENTS)), text.said and text.said.event) for text in texts],
        [both(_place(text.direction, len(DIRECTIONS)), text.said and text.said.direction) for text in texts],
    )
    widths = (len(LABELS), 1, 1, 1, len(THEMES), len(EVENTS), len(DIRECTIONS))
    sentiment, relevance, meant, alone, themes, event, direction = (
        _tensor(part, width) for part, width in zip(parts, widths, strict=True)
    )
    moved, certain = (torch.from_numpy(each) for each in moved_of(texts))
    return Wanted(
        sentiment, relevance[:, 0], meant[:, 0], alone[:, 0], themes, event, direction, moved, certain,
        torch.from_numpy(vectors), torch.tensor(taught, dtype=torch.int64),
    )  # fmt: skip


def both(labelled: Any, said: Any, share: float = SAID) -> NDArray[np.float32] | None:
    """Return the mean of what is labelled and, by its share, what is said; one alone where the other is not."""
    if labelled is None or said is None:
        known = said if labelled is None else labelled
        return None if known is None else np.asarray(known, dtype=np.float32)
    return (1 - share) * np.asarray(labelled, dtype=np.float32) + share * np.asarray(said, dtype=np.float32)


def _tensor(rows: Sequence[NDArray[np.float32] | None], width: int) -> Any:
    """Return rows of one width as a tensor, NaN where there is none."""
    import torch

    found = np.full((len(rows), width), np.nan, dtype=np.float32)
    for at, row in enumerate(rows):
        if row is not None:
            found[at] = row
    return torch.from_numpy(found)


def _one(value: float | None) -> tuple[float] | None:
    return None if value is None else (value,)


def _place(label: int | None, count: int) -> NDArray[np.float32] | None:
    return None if label is None else np.eye(count, dtype=np.float32)[label]


def _label_shares(target: Target) -> NDArray[np.float32] | None:
    """Return how much each label is wanted: the annotator's, and by `SECOND` what a second opinion gives it."""
    label = _place(target.label, len(LABELS))
    if label is None or target.second is None:
        return label
    return (1 - SECOND) * label + SECOND * np.asarray(target.second, dtype=np.float32)


def moves_alone(text: Text) -> float | None:
    """Return whether a text without targets moves anybody, 1 or 0; None where it has one or that is not known.

    Where something happens, and all who are listed are not moved, it is not: nobody lists everyone. Some twenty
    headlines of our rows name an issuer of which no row says how it is moved: they are taken for naming nobody.
    """
    if text.targets or text.moved is None:
        return None
    moves = any(label != LABELS.index("neutral") for label in text.moved.values())
    return None if text.moved and not moves and text.event != EVENTS.index("none") else float(moves)


def moved_of(texts: Sequence[Text]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what becomes of the issuers that are not named, shape (texts, issuers, labels), and how much it counts.

    One that the annotator left out is taken for not moved, but with little weight where something happens: nobody
    lists everyone whom an export rule touches. A committee counts the more, the less it says "not moved"; it is not
    asked where nothing happens and the annotator saw nobody moved, or what it takes for news would never be unlearnt.
    """
    neutral = LABELS.index("neutral")
    labels = np.zeros((len(texts), len(ISSUERS), len(LABELS)), dtype=np.float32)
    labels[:, :, neutral] = 1
    certain = np.zeros((len(texts), len(ISSUERS)), dtype=np.float32)
    for row, text in enumerate(texts):
        said = text.said
        if text.moved is not None:
            nothing = text.event == EVENTS.index("none")
            certain[row] = UNSAID_NOTHING if nothing else UNSAID
            for issuer, label in text.moved.items():
                labels[row, ISSUERS.index(issuer)] = np.eye(len(LABELS), dtype=np.float32)[label]
                certain[row, ISSUERS.index(issuer)] = 1.0
            if nothing and {neutral}.issuperset(text.moved.values()):
                said = None
        if said is not None:
            moved = np.nan_to_num(said.moved)
            weight = np.where(np.isnan(said.moved[:, 0]), 0, UNSAID + 1 - moved[:, neutral])
            whole = certain[row] + weight
            share = (weight / np.maximum(whole, 1e-9))[:, None]
            labels[row], certain[row] = (1 - share) * labels[row] + share * moved, whole
        for target in text.targets:
            if target.issuer in ISSUERS:
                certain[row, ISSUERS.index(target.issuer)] = 0.0
    return labels, certain


def loss_of(outputs: Any, wanted: Wanted) -> Any:
    """Return the sum of the losses of the heads; what is not labelled does not count.

    The embedding learns to put texts as near to each other as its teacher puts them (squared difference of cosines):
    fine-tuning for signs must not forget what makes two stories the same.
    """
    import torch

    ce, bce = torch.nn.functional.cross_entropy, torch.nn.functional.binary_cross_entropy_with_logits
    sentiment, relevance, themes, event, direction, roles, embedding, meant, alone = (one.float() for one in outputs)
    loss = 0.0 * embedding.sum()
    for found, asked, weight, by, smooth in (
        (sentiment, wanted.sentiment, 1.0, ce, {"label_smoothing": 0.03}),
        (relevance.unsqueeze(1), wanted.relevance.unsqueeze(1), 0.5, bce, {}),
        (themes, wanted.themes, THEMES_WEIGHT, bce, {}),
        (event, wanted.event, 1.0, ce, {"label_smoothing": 0.03}),
        (direction, wanted.direction, 1.0, ce, {"label_smoothing": 0.03}),
    ):
        known = ~asked.isnan()[:, 0]
        if known.any():
            loss = loss + weight * by(found[: len(asked)][known], asked[known], **smooth)
    for found, asked in ((meant, wanted.meant), (alone, wanted.alone)):
        told = ~asked.isnan()
        if told.any():
            each = bce(found[: len(told)][told], asked[told], reduction="sum")
            loss = loss + each / told.sum().clamp(min=FEW)
    if (wanted.certain > 0).any():
        held = torch.tensor(HELD, dtype=roles.dtype)
        issuers = torch.einsum("ir,brl->bil", held, roles[: len(wanted.certain)])
        each = ce(issuers.flatten(0, 1), wanted.moved.flatten(0, 1), reduction="none")
        loss = loss + MOVED_WEIGHT * (each * wanted.certain.flatten()).sum() / wanted.certain.sum().clamp(min=FEW)
    if len(wanted.taught) > 1:
        own = embedding[wanted.taught]
        loss = loss + 4.0 * ((own @ own.T - wanted.teacher @ wanted.teacher.T) ** 2).mean()
    return loss
