"""The probability of backtest overfitting, and how a choice among configurations fares on days it was not made on.

Returns come as an array (days, configurations), a column for each configuration, and Sharpe ratios are per day unless
it is said otherwise.

References
----------
- D. H. Bailey, J. M. Borwein, M. López de Prado, Q. J. Zhu, "The Probability of Backtest Overfitting", Journal of
  Computational Finance 20 (2017).
- M. López de Prado, "Advances in Financial Machine Learning", Wiley (2018), chapter 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter
from chipwire.engine.validation.splits import combinatorial, folds, paths

Floats = NDArray[np.float64]
Measure = Callable[[Floats], Floats]
"""From returns (configurations, days) to a figure for each, larger is better, NaN where it cannot be given."""

_AT_ONCE = 1_000_000
"""Figures of combinations x configurations worked out together."""


@dataclass(frozen=True)
class Overfitting:
    """What combinatorially symmetric cross-validation says of a set of configurations.

    Attributes
    ----------
    probability : float
        Share of the combinations in which the configuration that is best in sample lies in the lower half out of
        sample: the probability of backtest overfitting.
    logits : ndarray, shape (combinations,)
        ``ln(w / (1 - w))`` with w the rank out of sample (1 the worst) over the number of configurations + 1.
    in_sample, out_of_sample : ndarray, shape (combinations,)
        Sharpe ratio of the configuration chosen, per day.
    slope, intercept : float
        Of the least-squares line of out of sample on in sample: performance degradation.
    loss : float
        Share of the combinations in which the one chosen has a Sharpe ratio below zero out of sample.
    blocks : int
        Parts into which the days were cut.
    """

    probability: float
    logits: Floats
    in_sample: Floats
    out_of_sample: Floats
    slope: float
    intercept: float
    loss: float
    blocks: int


def backtest_overfitting(returns: Floats, blocks: int = 16) -> Overfitting:
    """Return what happens to the best in sample, over all ways to take half of the blocks of days as the sample.

    Every block is in the sample in half of the combinations, and what is not in the sample tests the choice. The
    Sharpe ratio is the measure, so that each block needs its sum and its sum of squares only. Of equal ones in sample
    the first is chosen; equals out of sample share their mean rank; a logit of exactly zero counts as the lower half.

    Parameters
    ----------
    returns : ndarray, shape (days, configurations)
        Columns without variation (configurations that never traded) are left out.
    blocks : int
        Even; where the days do not divide by it, blocks differ by one day.

    Raises
    ------
    BadParameter
        Fewer than two columns that vary, NaN among them, or fewer than four days a block.
    """
    if blocks < 2 or blocks % 2 or len(returns) < 4 * blocks:
        raise BadParameter("blocks", blocks, f"even, and at most a fourth of the {len(returns)} days")
    if not np.isfinite(returns).all():
        raise BadParameter("returns", "NaN", "a return for every day and configuration")
    moving = returns[:, returns.std(axis=0) > 1e-15]
    if moving.shape[1] < 2:
        raise BadParameter("configurations", moving.shape[1], "at least 2 whose returns vary")
    # What all have in common is taken off before squares are summed, and put on again: less is lost in rounding.
    middle = moving.mean(axis=0)
    parts = np.array_split(moving - middle, blocks)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([(part**2).sum(axis=0) for part in parts])
    sizes = np.array([len(part) for part in parts], dtype=np.float64)
    picks = np.array(list(combinations(range(blocks), blocks // 2)))
    picks = picks[: len(picks) // 2]  # the others are what these leave, in reverse order
    left = np.array([np.setdiff1d(np.arange(blocks), pick) for pick in picks])
    size = max(1, _AT_ONCE // moving.shape[1])
    ahead, behind = [], []
    for start in range(0, len(picks), size):
        part = slice(start, start + size)
        one, other = (
            _sharpe(_added(each, sums), _added(each, squares), sizes[each].sum(axis=1)[:, None], middle)
            for each in (picks[part], left[part])
        )
        ahead.append(_choose(one, other))
        behind.append(_choose(other, one))
    both = (
        np.concatenate([*(first for first in firsts), *(last[::-1] for last in reversed(lasts))])
        for firsts, lasts in zip(zip(*ahead, strict=True), zip(*behind, strict=True), strict=True)
    )
    inside, outside, rank = both
    place = rank / (moving.shape[1] + 1)
    logits = np.log(place / (1 - place))
    slope, intercept = _line(inside, outside)
    lost = float(np.mean(outside < 0))
    return Overfitting(float(np.mean(logits <= 0)), logits, inside, outside, slope, intercept, lost, blocks)


def _added(picks: NDArray[np.intp], rows: Floats) -> Floats:
    """Return for each of `picks` (combinations, blocks) the sum of those rows, one after the other.

    A product of matrices would be the same but for its last digit, which depends on BLAS' threads and on how many
    columns there are.
    """
    found = np.empty((len(picks), rows.shape[1]))
    for place, pick in zip(found, picks, strict=True):
        np.add.reduce(rows[pick], axis=0, out=place)
    return found


def _choose(inside: Floats, outside: Floats) -> tuple[Floats, Floats, Floats]:
    """Return for each combination the best one's Sharpe ratio in and out of sample, and its rank out of sample."""
    best = np.argmax(inside, axis=1)[:, None]
    own = np.take_along_axis(outside, best, axis=1)
    rank = (outside < own).sum(axis=1) + ((outside == own).sum(axis=1) + 1) / 2
    return np.take_along_axis(inside, best, axis=1)[:, 0], own[:, 0], rank


def _sharpe(sums: Floats, squares: Floats, n: Floats, middle: Floats) -> Floats:
    """Return Sharpe ratios from sums of returns less `middle`; 0 for what did not vary: it was not in the market."""
    mean = sums / n
    variance = np.maximum(squares - n * mean**2, 0.0) / (n - 1)
    varies = variance > 1e-30
    return np.asarray(np.where(varies, (mean + middle) / np.sqrt(np.where(varies, variance, 1.0)), 0.0))


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line; NaN where x does not vary."""
    away = x - x.mean()
    spread = float((away * away).sum())  # BLAS shares out long products among threads
    if not spread > 0:
        return math.nan, math.nan
    slope = float((away * (y - y.mean())).sum()) / spread
    return slope, float(y.mean()) - slope * float(x.mean())


def selection_paths(
    returns: Floats, measure: Measure, *, count: int = 10, tested: int = 2, purge: int = 0, embargo: int = 0
) -> Floats:
    """Return the daily returns of the selection rule on every path of combinatorial purged cross-validation.

    In each split the configuration that is best by `measure` on the training days stands for the tested folds; a path
    takes each fold from another split, so that it runs over all days and was at no day chosen on it. It holds each
    configuration's own returns: what a change from one to another costs is not in it.

    Parameters
    ----------
    returns : ndarray, shape (days, configurations)
    measure : callable
        Where it gives no figure for any configuration, nothing is held: returns of 0.
    count, tested, purge, embargo : int
        See `chipwire.engine.validation.splits.combinatorial`.

    Returns
    -------
    ndarray, shape (paths, days)

    Raises
    ------
    BadParameter
        See `combinatorial`.
    """
    picks = []
    for split in combinatorial(len(returns), count, tested, purge=purge, embargo=embargo):
        picks.append(best(measure, returns[split.train]))
    parts = folds(len(returns), count)
    found = np.zeros((paths(count, tested).shape[1], len(returns)))
    for fold, splits in zip(parts, paths(count, tested), strict=True):
        for path, number in enumerate(splits):
            if (pick := picks[number]) is not None:
                found[path, fold] = returns[fold, pick]
    return found


def best(measure: Measure, returns: Floats) -> int | None:
    """Return the first column of returns (days, configurations) with the largest figure; None where none has one."""
    figures = measure(np.ascontiguousarray(returns.T))
    known = np.isfinite(figures)
    return int(np.argmax(np.where(known, figures, -np.inf))) if known.any() else None
