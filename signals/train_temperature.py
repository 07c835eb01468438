"""Temperatures of a trained model's heads, fitted on validation texts (C. Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chipwire.signals.models import Item
from chipwire.signals.onnx_model import OnnxModel
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import Text
from chipwire.signals.train_eval import fit_temperature
from chipwire.signals.train_network import HELD, ISSUERS


def temperatures(model: OnnxModel, texts: Sequence[Text]) -> dict[str, float]:
    """Return the divisor of each head's logits that makes its probabilities honest on validation texts."""
    raw = model.logits([Item(t.text, t.language, tuple(target.spans for target in t.targets)) for t in texts])
    labels = np.array([target.label for text in texts for target in text.targets])
    relevance = np.array(
        [np.nan if target.relevance is None else target.relevance for t in texts for target in t.targets]
    )
    known = ~np.isnan(relevance)
    events = np.array([-1 if text.event is None else text.event for text in texts])
    directions = np.array([-1 if text.direction is None else text.direction for text in texts])
    themes = np.array([text.themes or (np.nan,) * len(THEMES) for text in texts])
    themed = ~np.isnan(themes[:, 0])
    return {
        "sentiment": fit_temperature(raw["sentiment"], labels),
        "relevance": fit_temperature(_two(raw["relevance"][known]), relevance[known].astype(np.int64)),
        "themes": fit_temperature(_two(raw["themes"][themed].ravel()), themes[themed].ravel().astype(np.int64)),
        "event": fit_temperature(raw["event"][events >= 0], events[events >= 0]),
        "direction": fit_temperature(raw["direction"][directions >= 0], directions[directions >= 0]),
        "roles": fit_temperature(*_unnamed(raw["roles"], texts)),
    }


def _unnamed(roles: NDArray[np.float64], texts: Sequence[Text]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return logits and labels of the issuers that texts move without naming them; who is not listed is not moved."""
    issuers = np.einsum("ir,brl->bil", np.array(HELD), roles)
    rows, labels = [], []
    for row, text in enumerate(texts):
        named = {target.issuer for target in text.targets}
        for number, issuer in enumerate(ISSUERS if text.moved is not None else ()):
            if issuer not in named:
                rows.append(issuers[row, number])
                labels.append((text.moved or {}).get(issuer, LABELS.index("neutral")))
    return np.array(rows), np.array(labels)


def _two(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-column form of logits of a yes or no."""
    return np.stack([np.zeros_like(logits), logits], axis=1)
