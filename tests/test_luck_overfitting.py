"""Overfitting: CSCV beside a plain one of loops, noise near one half, a better one near nothing; paths of CPCV."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from skfolio.model_selection import CombinatorialPurgedCV
from threadpoolctl import threadpool_limits

from chipwire.data.errors import BadParameter
from chipwire.engine import measures
from chipwire.engine.validation.overfitting import backtest_overfitting, best, selection_paths


def plain_cscv(returns, blocks):
    """Bailey et al. (2017), section 3, step by step: (in sample, out of sample, logit) of each combination."""
    parts = np.array_split(returns, blocks)
    rows = []
    for inside in itertools.combinations(range(blocks), blocks // 2):
        sample = np.concatenate([parts[b] for b in inside])
        rest = np.concatenate([parts[b] for b in range(blocks) if b not in inside])
        in_sharpe = sample.mean(axis=0) / sample.std(axis=0, ddof=1)
        out_sharpe = rest.mean(axis=0) / rest.std(axis=0, ddof=1)
        chosen = int(np.argmax(in_sharpe))
        relative = stats.rankdata(out_sharpe)[chosen] / (returns.shape[1] + 1)
        rows.append((in_sharpe[chosen], out_sharpe[chosen], math.log(relative / (1 - relative))))
    return np.array(rows).T


@pytest.mark.parametrize(("days", "count", "blocks"), [(120, 7, 6), (163, 12, 8), (90, 3, 4)])
def test_it_is_what_the_steps_of_the_paper_give(days, count, blocks):
    rng = np.random.default_rng(days)
    returns = rng.standard_t(4, (days, count)) * 0.01 + rng.normal(0, 0.0005, count)
    found = backtest_overfitting(returns, blocks)
    inside, outside, logits = plain_cscv(returns, blocks)
    assert found.in_sample == pytest.approx(inside, abs=1e-10)
    assert found.out_of_sample == pytest.approx(outside, abs=1e-10)
    assert found.logits == pytest.approx(logits, abs=1e-8)
    assert found.probability == pytest.approx(np.mean(logits <= 0), abs=1e-12)
    line = stats.linregress(inside, outside)
    assert (found.slope, found.intercept) == pytest.approx((line.slope, line.intercept), abs=1e-8)
    assert found.loss == np.mean(outside < 0)


def test_sixteen_blocks_make_the_combinations_of_the_paper():
    returns = np.random.default_rng(1).normal(0, 0.01, (320, 8))
    assert len(backtest_overfitting(returns).logits) == math.comb(16, 8) == 12_870


def test_a_choice_worked_by_hand():
    # Two blocks, two configurations: each is best in one half and worst in the other, the rank out of sample is 1 of
    # 2, and the logit ln((1 / 3) / (2 / 3)) = -ln 2 both times.
    up, down = [0.02, 0.01, 0.03, 0.01], [-0.01, -0.02, -0.01, -0.03]
    returns = np.array([[*up, *down], [*down, *up]]).T
    found = backtest_overfitting(returns, 2)
    assert found.logits == pytest.approx([-math.log(2)] * 2)
    assert (found.probability, found.loss) == (1.0, 1.0)


def test_of_noise_the_choice_is_as_good_as_any():
    found = [
        backtest_overfitting(np.random.default_rng(seed).normal(0, 0.01, (160, 10)), 8).probability
        for seed in range(200)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=3.5 * np.std(found) / math.sqrt(200))
    assert np.std(found) / math.sqrt(200) < 0.03


def test_one_that_is_truly_better_is_found():
    found = []
    for seed in range(20):
        returns = np.random.default_rng(seed).normal(0, 0.01, (500, 20))
        returns[:, 7] += 0.004
        found.append(backtest_overfitting(returns, 8))
    assert np.mean([each.probability for each in found]) < 0.01
    assert np.mean([each.loss for each in found]) < 0.01


def test_the_winners_curse_makes_degradation_slope_downwards():
    # Of equal configurations the one that is best in one half owes it to that half, and lacks it in the other.
    slopes = [backtest_overfitting(np.random.default_rng(s).normal(0, 0.01, (400, 30)), 8).slope for s in range(20)]
    assert np.mean(slopes) < -0.3


@pytest.mark.parametrize("count", [40, 130])
def test_neither_threads_nor_configurations_beside_it_change_a_bit_of_the_best(count):
    # One is the best in every half, so that all figures but its rank are its own, whatever stands beside it; sixteen
    # blocks make vectors so long that BLAS would share out their products among threads.
    rng = np.random.default_rng(count)
    returns = rng.normal(0, 0.01, (320, count))
    returns[:, 1] += 0.05
    found = []
    for threads, beside in ((1, 3), (1, count), (2, count)):
        with threadpool_limits(limits=threads):
            one = backtest_overfitting(returns[:, :beside])
        found.append((one.in_sample.tolist(), one.out_of_sample.tolist(), one.slope, one.intercept))
    assert found[0] == found[1] == found[2]


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_order_of_configurations_and_scale_of_returns_do_not_matter(seed, count):
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.01, (80, count))
    one = backtest_overfitting(returns, 4)
    other = backtest_overfitting(3 * returns[:, rng.permutation(count)], 4)
    assert other.logits == pytest.approx(one.logits, abs=1e-9)
    assert other.slope == pytest.approx(one.slope, abs=1e-6)


def test_configurations_that_never_trade_are_left_out_and_too_little_is_refused():
    returns = np.random.default_rng(3).normal(0, 0.01, (80, 4))
    idle = np.column_stack([returns, np.zeros((80, 3))])
    assert backtest_overfitting(idle, 4).logits.tolist() == backtest_overfitting(returns, 4).logits.tolist()
    for wrong, blocks in ((returns, 5), (returns, 40), (returns[:, :1], 4), (np.full((80, 3), np.nan), 4)):
        with pytest.raises(BadParameter):
            backtest_overfitting(wrong, blocks)


# --- paths of the choice ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "tested", "purge", "embargo"), [(6, 2, 0, 0), (6, 2, 3, 2), (5, 3, 2, 0)])
def test_paths_are_those_of_skfolios_splits(count, tested, purge, embargo):
    returns = np.random.default_rng(count).normal(0, 0.01, (150, 9))
    found = selection_paths(returns, measures.sharpe_ratio, count=count, tested=tested, purge=purge, embargo=embargo)
    cv = CombinatorialPurgedCV(count, tested, purged_size=purge, embargo_size=embargo)
    expected = np.full((cv.n_test_paths, 150), np.nan)
    for (train, tests), ids in zip(cv.split(returns), cv.get_path_ids(), strict=True):
        inside = returns[train]
        chosen = int(np.argmax(inside.mean(axis=0) / inside.std(axis=0, ddof=1)))
        for path, part in zip(ids, tests, strict=True):
            expected[path, part] = returns[part, chosen]
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_choice_keeps_what_is_truly_better_and_nothing_of_noise():
    noise, better = [], []
    for seed in range(15):
        returns = np.random.default_rng(seed).normal(0, 0.01, (400, 12))
        noise.append(measures.sharpe_ratio(selection_paths(returns, measures.sharpe_ratio)).mean())
        returns[:, 3] += 0.003
        better.append(measures.sharpe_ratio(selection_paths(returns, measures.sharpe_ratio)).mean())
    assert abs(np.mean(noise)) < 3.5 * np.std(noise) / math.sqrt(15)
    assert np.mean(better) == pytest.approx(0.3 * math.sqrt(252), rel=0.2)


def test_nothing_is_held_where_nothing_can_be_chosen():
    assert best(measures.sharpe_ratio, np.zeros((20, 3))) is None
    assert best(measures.sharpe_ratio, np.array([[0.01, 0.0, 0.03], [0.02, 0.0, 0.01]] * 5)) == 0
    assert (selection_paths(np.zeros((60, 3)), measures.sharpe_ratio, count=6) == 0).all()
