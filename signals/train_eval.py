"""Measures of a reader, each a pure function of sums over rows, with bootstrap intervals; and temperature scaling.

Arrays of logits and probabilities have the shape (rows, labels); labels are indices. A row of NaN is one that the
reader abstained from: it is right about nothing. Nothing here needs torch.

A measure comes in two halves: ``..._parts`` gives each row's contribution, and a statistic maps the sum of the
contributions to the figure. So a resample of groups costs one sum, and every measure has an interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS: Final = 1000
"""Resamples behind an interval."""

BINS: Final = 15
"""Bins of confidence behind the calibration error."""


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


def sign_right(probabilities: Floats, labels: Ints) -> NDArray[np.bool_]:
    """Return for each row whether the sign of P(positive) - P(negative) is that of its label.

    Parameters
    ----------
    probabilities : ndarray of shape (rows, 3)
        P(negative), P(neutral), P(positive); NaN where abstained, which is never right, nor is a tie.
    labels : ndarray of int
        0 negative, 1 neutral (has no sign, never right), 2 positive.
    """
    lean = np.sign(probabilities[:, 2] - probabilities[:, 0])
    return np.asarray((labels != 1) & (lean == labels - 1))


def sign_accuracy(probabilities: Floats, labels: Ints) -> float:
    """Return the share of rows with a sign of which the sign is read rightly; NaN when no row has one."""
    signed = labels != 1
    return share(share_parts(sign_right(probabilities, labels)[signed]).sum(axis=0))


def share_parts(right: NDArray[np.bool_]) -> Floats:
    """Return (right, 1) of each row, for `share`."""
    return np.stack([right, np.ones(len(right))], axis=1).astype(np.float64)


def share(sums: Floats) -> float:
    """Return the share of rows that are right; NaN when there are none."""
    return float(sums[0] / sums[1]) if sums[1] else float("nan")


def confusion(predicted: Ints, labels: Ints, size: int) -> Ints:
    """Return counts of shape (size, size): true label by predicted label."""
    return np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)


def confusion_parts(predicted: Ints, labels: Ints, size: int) -> Floats:
    """Return each row's confusion matrix, flattened: shape (rows, size * size)."""
    parts = np.zeros((len(labels), size * size))
    parts[np.arange(len(labels)), labels * size + predicted] = 1
    return parts


def of_matrix(function: Callable[[Floats], float]) -> Callable[[Floats], float]:
    """Return a function of square matrices as a statistic of their flattened form."""

    def statistic(sums: Floats) -> float:
        size = math.isqrt(len(sums))
        return function(sums.reshape(size, size))

    return statistic


def accuracy(counts: Ints | Floats) -> float:
    """Return the share of a confusion matrix on its diagonal."""
    return float(np.trace(counts) / counts.sum())


def macro_f1(counts: Ints | Floats) -> float:
    """Return the mean of F1 over the labels that occur, truly or as predicted; NaN when none does.

    A label that is only predicted has F1 0, as in scikit-learn.
    """
    both = counts.sum(axis=0) + counts.sum(axis=1)
    occurs = both > 0
    return float(np.mean(2 * np.diag(counts)[occurs] / both[occurs])) if occurs.any() else float("nan")


def binary_parts(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Floats:
    """Return of each row its hits and its marks (predicted plus true), for `binary_f1`: shape (rows, 2 * labels).

    Parameters
    ----------
    predicted, truth : ndarray of bool of shape (rows, labels)
        Labels independent of each other.
    """
    return np.concatenate([predicted & truth, predicted.astype(np.int64) + truth], axis=1).astype(np.float64)


def binary_f1(sums: Floats) -> float:
    """Return the mean over labels of 2 TP / (2 TP + FP + FN), of those that occur; NaN when none does."""
    hits, marks = np.split(sums, 2)
    occurs = marks > 0
    return float(np.mean(2 * hits[occurs] / marks[occurs])) if occurs.any() else float("nan")


def calibration_parts(probabilities: Floats, labels: Ints, bins: int = BINS) -> Floats:
    """Return of each row, in its bin of confidence: 1, the confidence, whether it is right; for `calibration_error`.

    Parameters
    ----------
    probabilities : ndarray of shape (rows, labels)
        The confidence is the greatest; no NaN.
    labels : ndarray of int
        The true ones.
    bins : int
        Of equal width between 0 and 1, closed above.
    """
    confidence = probabilities.max(axis=1)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    parts = np.zeros((len(labels), 3, bins))
    row = np.arange(len(labels))
    parts[row, 0, place], parts[row, 1, place] = 1, confidence
    parts[row, 2, place] = probabilities.argmax(axis=1) == labels
    return parts.reshape(len(labels), 3 * bins)


def calibration_error(sums: Floats) -> float:
    """Return the expected calibration error (Guo et al., 2017); NaN when there are no rows.

    The mean over rows of the gap, in their bin, between confidence and share of right answers.
    """
    counts, confidence, right = np.split(sums, 3)
    return float(np.abs(confidence - right).sum() / counts.sum()) if counts.sum() else float("nan")


@dataclass(frozen=True)
class Figure:
    """A figure with its 95% interval, as fractions to four decimals, and the rows it stands on."""

    value: float
    low: float
    high: float
    rows: int


def bootstrap(parts: Floats, groups: Sequence[str], statistic: Callable[[Floats], float]) -> Figure | None:
    """Return a statistic of summed rows with its 95% percentile interval over groups of rows.

    Parameters
    ----------
    parts : ndarray of shape (rows, k)
        Contribution of each row.
    groups : sequence of str
        Group of each row: wordings of one event are not independent, so they are drawn together, `DRAWS` times from
        a fixed seed.
    statistic : callable
        From sums of shape (k,) to a figure; NaN for draws that leave nothing, which do not count.

    Returns
    -------
    Figure or None
        None when there are no rows.
    """
    if not len(parts):
        return None
    names = {name: index for index, name in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((len(names), parts.shape[1]))
    np.add.at(sums, np.array([names[name] for name in groups]), parts)
    weights = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    draws = np.array([statistic(total) for total in weights @ sums])
    low, high = np.percentile(draws[np.isfinite(draws)], [2.5, 97.5])
    value = statistic(sums.sum(axis=0))
    return Figure(round(value, 4), round(float(low), 4), round(float(high), 4), len(parts))


def measure(predicted: Ints, labels: Ints, groups: Sequence[str], size: int) -> dict[str, object]:
    """Return accuracy and macro F1 with 95% bootstrap intervals over groups of rows.

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
    parts = confusion_parts(predicted, labels, size)
    result: dict[str, object] = {"rows": len(labels), "headlines": len(set(groups))}
    for name, function in (("accuracy", accuracy), ("macro_f1", macro_f1)):
        found = bootstrap(parts, groups, of_matrix(function))
        if found is not None:
            result[name] = {"value": found.value, "low": found.low, "high": found.high}
    return result
