"""Purged splits: those of skfolio, and no training session near a test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV, WalkForward

from chipwire.data.errors import BadParameter
from chipwire.engine.validation.splits import (
    combinatorial,
    folds,
    path_count,
    paths,
    purged_k_fold,
    walk_forward_windows,
)

sizes = st.tuples(st.integers(0, 6), st.integers(0, 6))


@settings(max_examples=40)
@given(st.integers(120, 400), st.integers(3, 8), st.data(), sizes)
def test_combinatorial_splits_are_those_of_skfolio(n, count, data, gaps):
    tested = data.draw(st.integers(2, count - 1))
    purge, embargo = gaps
    theirs = CombinatorialPurgedCV(count, tested, purged_size=purge, embargo_size=embargo)
    ours = list(combinatorial(n, count, tested, purge=purge, embargo=embargo))
    assert len(ours) == theirs.get_n_splits() == math.comb(count, tested)
    for own, (train, tests) in zip(ours, theirs.split(np.zeros((n, 2))), strict=True):
        assert own.train.tolist() == train.tolist()
        assert [part.tolist() for part in own.tests] == [part.tolist() for part in tests]
    assert path_count(count, tested) == theirs.n_test_paths
    assert paths(count, tested).tolist() == theirs.recombined_paths.tolist()


@settings(max_examples=40)
@given(st.integers(60, 300), st.integers(10, 40), st.integers(3, 30), st.booleans(), sizes)
def test_windows_are_those_of_skfolio(n, train, test, anchored, gaps):
    purge, embargo = gaps
    theirs = WalkForward(
        test_size=test, train_size=train, expand_train=anchored, reduce_test=True, purged_size=purge + embargo
    )
    ours = walk_forward_windows(n, train, test, purge=purge, embargo=embargo, anchored=anchored)
    expected = list(theirs.split(np.zeros((n, 1))))
    assert len(ours) == len(expected)
    for own, (inside, outside) in zip(ours, expected, strict=True):
        assert own.train.tolist() == inside.tolist()
        assert own.tests[0].tolist() == outside.tolist()


@settings(max_examples=40)
@given(st.integers(60, 300), st.integers(2, 7), st.data(), sizes)
def test_no_training_session_lies_within_purge_or_embargo_of_a_test(n, count, data, gaps):
    purge, embargo = gaps
    if purge + embargo >= n // count:
        return
    tested = data.draw(st.integers(1, count - 1))
    for split in combinatorial(n, count, tested, purge=purge, embargo=embargo):
        inside = set(split.train.tolist())
        for place in itertools.chain(*(part.tolist() for part in split.tests)):
            assert inside.isdisjoint(range(place - purge, place + purge + embargo + 1))
        near = {p + d for part in split.tests for p in part.tolist() for d in range(-purge, purge + embargo + 1)}
        assert inside | {p for p in near if 0 <= p < n} == set(range(n))


@settings(max_examples=30)
@given(st.integers(40, 200), st.integers(5, 30), st.integers(1, 30), st.booleans(), sizes)
def test_windows_test_every_later_session_once_and_choose_on_what_is_over(n, train, test, anchored, gaps):
    purge, embargo = gaps
    if n <= train + purge + embargo:
        return
    windows = walk_forward_windows(n, train, test, purge=purge, embargo=embargo, anchored=anchored)
    tested = np.concatenate([window.tests[0] for window in windows])
    assert tested.tolist() == list(range(train + purge + embargo, n))
    for window in windows:
        assert window.tests[0][0] - window.train[-1] == purge + embargo + 1
        assert (window.train[0] == 0) if anchored else (len(window.train) == train)


def test_the_paths_of_the_book():
    # López de Prado (2018), section 12.4: 6 groups, 2 of them tested: 15 splits, 5 paths, and figure 12.2's first
    # path takes the first split of every group.
    assert math.comb(6, 2) == len(list(combinatorial(60, 6, 2))) == 15
    assert path_count(6, 2) == 5
    assert paths(6, 2)[:, 0].tolist() == [0, 0, 1, 2, 3, 4]
    for fold, splits in enumerate(paths(6, 2)):
        assert len(set(splits.tolist())) == 5
        for number in splits:
            assert fold in list(itertools.combinations(range(6), 2))[number]


def test_a_fold_each_and_what_is_left_over_in_the_last():
    assert [len(part) for part in folds(23, 5)] == [4, 4, 4, 4, 7]
    splits = purged_k_fold(23, 5, purge=1, embargo=2)
    assert [split.tests[0].tolist() for split in splits] == [part.tolist() for part in folds(23, 5)]
    assert splits[1].train.tolist() == [0, 1, 2, *range(11, 23)]


@pytest.mark.parametrize(
    "call",
    [
        lambda: walk_forward_windows(30, 20, 5, purge=5, embargo=5),
        lambda: walk_forward_windows(30, 0, 5),
        lambda: walk_forward_windows(30, 10, 5, purge=-1),
        lambda: folds(3, 4),
        lambda: list(combinatorial(30, 5, 5)),
        lambda: list(combinatorial(30, 5, 2, purge=3, embargo=3)),
    ],
)
def test_sizes_that_leave_nothing_are_refused(call):
    with pytest.raises(BadParameter):
        call()
