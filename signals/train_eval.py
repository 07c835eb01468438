"""Measures of a three-label classifier: accuracy, macro F1 with intervals, and temperature scaling.

Arrays of logits have the shape (rows, labels); labels are indices. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS: Final = 1000
"""Resamples behind an interval."""


def log_softmax(logits: Floats) -> Floats:
    """Return log probabilities of the same shape."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def log_loss(logits: Floats, labels: Ints) -> float:
    """Return the mean negative log probability of the true label, in nats."""
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """Return the divisor of the logits that minimises the log loss (Guo et al., 2017).

    The loss is convex in the inverse temperature, so a ternary search between 1/8 and 8 finds it.

    Returns
    -------
    float
        To four decimals; above 1 when the model is too sure of itself.
    """
    low, high = 1 / 8, 8.0
    while high - low > 1e-6:
        third = (high - low) / 3
        if log_loss(logits * (low + third), labels) < log_loss(logits * (high - third), labels):
            high -= third
        else:
            low += third
    return round(2 / (low + high), 4)


def confusion(predicted: Ints, labels: Ints, size: int) -> Ints:
    """Return counts of shape (size, size): true label by predicted label."""
    return np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)


def accuracy(counts: Ints) -> float:
    """Return the share of a confusion matrix on its diagonal."""
    return float(np.trace(counts) / counts.sum())


def macro_f1(counts: Ints) -> float:
    """Return the mean over labels of F1; a label that neither occurs nor is predicted counts as 0."""
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.mean(2 * np.diag(counts) / np.maximum(both, 1)))


def measure(predicted: Ints, labels: Ints, groups: Sequence[str], size: int) -> dict[str, object]:
    """Return accuracy and macro F1 with 95% percentile bootstrap intervals over groups of rows.

    Parameters
    ----------
    predicted, labels : ndarray of int
        One index per row.
    groups : sequence of str
        Headline of each row: rows of one headline are not independent, so they are drawn together.
    size : int
        Number of labels.

    Returns
    -------
    dict
        ``rows``, ``headlines``, and ``accuracy`` and ``macro_f1`` as ``{"value", "low", "high"}``, to four
        decimals.
    """
    names = {name: index for index, name in enumerate(dict.fromkeys(groups))}
    per_group = np.zeros((len(names), size, size), dtype=np.int64)
    np.add.at(per_group, (np.array([names[name] for name in groups]), labels, predicted), 1)
    rng = np.random.default_rng(0)
    draws = [per_group[rng.integers(len(names), size=len(names))].sum(axis=0) for _ in range(DRAWS)]
    result: dict[str, object] = {"rows": len(labels), "headlines": len(names)}
    for name, function in (("accuracy", accuracy), ("macro_f1", macro_f1)):
        low, high = np.percentile([function(counts) for counts in draws], [2.5, 97.5])
        value = function(per_group.sum(axis=0))
        result[name] = {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
    return result
