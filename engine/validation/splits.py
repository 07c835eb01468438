"""Ways to cut a run's days into those on which is chosen and those on which the choice is tested, as index arrays.

A place is the number of a UTC day with an auction, from 0, as in the equity of a run; sizes are counted in them and
called sessions. *Purge* takes sessions away from the training side wherever it touches a test, before and after;
*embargo* takes further ones away after a test, and before it where all training lies before (walk-forward): what
happens in the one reaches into the other through holdings, decayed news and whatever else lasts.

References
----------
- M. López de Prado, "Advances in Financial Machine Learning", Wiley (2018), chapters 7 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """Places to choose on and places to test on; `tests` has an array for each fold, rising."""

    train: Places
    tests: tuple[Places, ...]


def walk_forward_windows(
    n: int, train: int, test: int, *, purge: int = 0, embargo: int = 0, anchored: bool = False
) -> list[Split]:
    """Return windows that go forward: choose on `train` sessions, test on the `test` that follow.

    Between the two lie purge + embargo sessions that are in neither. The tests follow each other without a gap; the
    last is cut where the days end.

    Parameters
    ----------
    n : int
        Sessions of the run.
    anchored : bool
        Training begins with the first session each time, and grows; else it keeps its length.

    Raises
    ------
    BadParameter
        A size below 1, a negative gap, or too few sessions for one window.
    """
    for name, size, least in (("train", train, 1), ("test", test, 1), ("purge", purge, 0), ("embargo", embargo, 0)):
        if size < least:
            raise BadParameter(name, size, f"at least {least} sessions")
    gap = purge + embargo
    if n <= train + gap:
        need = f"a first window takes {train} to choose and {gap} between, and leaves none to test"
        raise BadParameter("walk-forward", f"{train}/{test}", f"shorter windows: the run has {n} sessions; {need}")
    windows = []
    for start in range(train + gap, n, test):
        first = 0 if anchored else start - gap - train
        windows.append(Split(np.arange(first, start - gap), (np.arange(start, min(start + test, n)),)))
    return windows


def folds(n: int, count: int) -> list[Places]:
    """Return consecutive folds of ``n // count`` sessions each; the last takes what is left over.

    Raises
    ------
    BadParameter
        Fewer than two folds, or more than sessions.
    """
    if not 2 <= count <= n:
        raise BadParameter("folds", count, f"from 2 to {n}, the number of sessions")
    size = n // count
    ends = [size * place for place in range(count)] + [n]
    return [np.arange(first, last) for first, last in pairwise(ends)]


def purged_k_fold(n: int, count: int, *, purge: int = 0, embargo: int = 0) -> list[Split]:
    """Return one split for each fold: it is tested, the others are chosen on, less what purge and embargo take.

    Raises
    ------
    BadParameter
        See `folds` and `combinatorial`.
    """
    return list(combinatorial(n, count, 1, purge=purge, embargo=embargo))


def combinatorial(n: int, count: int, tested: int, *, purge: int = 0, embargo: int = 0) -> Iterator[Split]:
    """Yield combinatorial purged splits: each choice of `tested` folds out of `count`, in lexical order.

    Away from the training side go the `purge` sessions before each tested stretch and the purge + embargo sessions
    after it.

    Raises
    ------
    BadParameter
        Not fewer tested folds than folds, or purge and embargo as long as a fold.
    """
    parts = folds(n, count)
    if not 1 <= tested < count:
        raise BadParameter("tested folds", tested, f"from 1 to {count - 1}")
    if purge < 0 or embargo < 0 or purge + embargo >= len(parts[0]):
        allowed = f"0 or more, and together less than a fold's {len(parts[0])} sessions"
        raise BadParameter("purge and embargo", f"{purge} and {embargo}", allowed)
    for chosen in combinations(range(count), tested):
        keep = np.ones(n, dtype=bool)
        for fold in chosen:
            first, last = int(parts[fold][0]), int(parts[fold][-1])
            keep[max(0, first - purge) : last + 1 + purge + embargo] = False
        yield Split(np.flatnonzero(keep), tuple(parts[fold] for fold in chosen))


def path_count(count: int, tested: int) -> int:
    """Return how many whole paths the tests of combinatorial splits make: ``tested / count * C(count, tested)``."""
    return math.comb(count, tested) * tested // count


def paths(count: int, tested: int) -> NDArray[np.intp]:
    """Return which split tests each fold on each path, shape (folds, paths).

    Path p takes for every fold the p-th split, in their order, that tests it (López de Prado 2018, section 12.4.2).
    """
    order: list[Sequence[int]] = list(combinations(range(count), tested))
    return np.array([[number for number, chosen in enumerate(order) if fold in chosen] for fold in range(count)])
