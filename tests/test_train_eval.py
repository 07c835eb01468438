"""Measures by formula and by hand."""

import math

import numpy as np
import pytest

from chipwire.signals import train_eval


def test_log_loss_of_known_probabilities():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])) + 3.0
    expected = -(math.log(0.5) + math.log(0.2)) / 2
    assert train_eval.log_loss(logits, np.array([0, 1])) == pytest.approx(expected)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_temperature_undoes_a_known_scale(truth):
    # Labels in exactly the shares that softmax(base) states, so softmax(base) minimises the loss.
    shares = np.array([0.6, 0.3, 0.1])
    labels = np.repeat([0, 1, 2], (shares * 100).round().astype(int))
    logits = np.tile(np.log(shares) * truth, (100, 1))
    assert train_eval.fit_temperature(logits, labels) == pytest.approx(truth, abs=1e-3)


def test_accuracy_and_macro_f1_by_hand():
    labels = np.array([0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 1, 1, 1, 2, 0])
    counts = train_eval.confusion(predicted, labels, 3)
    # F1: label 0 one of two right and of two predicted; 1 two of two, three predicted; 2 one of two, one.
    expected = (2 * 1 / (2 + 2) + 2 * 2 / (2 + 3) + 2 * 1 / (2 + 1)) / 3
    assert train_eval.accuracy(counts) == pytest.approx(4 / 6)
    assert train_eval.macro_f1(counts) == pytest.approx(expected)


def test_macro_f1_is_over_labels_that_occur():
    # Label 2 is neither true nor predicted; label 3 is only predicted, and costs.
    counts = train_eval.confusion(np.array([0, 0, 1, 3]), np.array([0, 1, 1, 1]), 4)
    expected = (2 * 1 / (2 + 1) + 2 * 1 / (1 + 3) + 0) / 3
    assert train_eval.macro_f1(counts) == pytest.approx(expected)
    assert math.isnan(train_eval.macro_f1(np.zeros((3, 3))))


def test_confusion_parts_sum_to_the_confusion_matrix():
    predicted, labels = np.array([0, 2, 1, 1]), np.array([0, 1, 1, 2])
    summed = train_eval.confusion_parts(predicted, labels, 3).sum(axis=0)
    assert summed.reshape(3, 3).tolist() == train_eval.confusion(predicted, labels, 3).tolist()
    assert train_eval.of_matrix(train_eval.accuracy)(summed) == 0.5


def test_sign_accuracy_by_hand():
    probabilities = np.array(
        [
            [0.6, 0.3, 0.1],  # negative, is negative
            [0.1, 0.8, 0.1],  # a tie, is positive: wrong
            [0.1, 0.6, 0.3],  # leans positive though neutral is likeliest, is positive: right
            [0.2, 0.2, 0.6],  # is neutral: does not count
            [np.nan] * 3,  # abstained, is negative: wrong
        ]
    )
    labels = np.array([0, 2, 2, 1, 0])
    assert train_eval.sign_right(probabilities, labels).tolist() == [True, False, True, False, False]
    assert train_eval.sign_accuracy(probabilities, labels) == 2 / 4
    assert math.isnan(train_eval.sign_accuracy(probabilities, np.ones(5, dtype=np.int64)))


def test_binary_f1_by_hand():
    truth = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    predicted = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=bool)
    # First label: 1 hit, 1 missed; second: 1 hit, 1 too many; the third does not occur.
    expected = (2 / (2 + 1) + 2 / (2 + 1)) / 2
    assert train_eval.binary_f1(train_eval.binary_parts(predicted, truth).sum(axis=0)) == pytest.approx(expected)


def test_calibration_error_by_hand():
    sure, unsure = [0.05, 0.05, 0.9], [0.2, 0.2, 0.6]
    probabilities = np.array([sure, sure, sure, sure, unsure])
    labels = np.array([2, 2, 2, 0, 2])
    # Four rows at 0.9 of which three are right, one at 0.6 that is right.
    expected = (4 * abs(0.9 - 0.75) + 1 * abs(0.6 - 1)) / 5
    for bins in (5, 15):
        found = train_eval.calibration_error(train_eval.calibration_parts(probabilities, labels, bins).sum(axis=0))
        assert found == pytest.approx(expected)
    # In one bin the gaps make up for each other: mean confidence 0.84, four of five right.
    found = train_eval.calibration_error(train_eval.calibration_parts(probabilities, labels, 1).sum(axis=0))
    assert found == pytest.approx(abs(0.84 - 0.8))


def test_interval_widens_when_rows_share_headlines():
    rng = np.random.default_rng(3)
    right = rng.random(100) < 0.7
    labels = np.zeros(400, dtype=np.int64)
    predicted = np.repeat(np.where(right, 0, 1), 4)
    apart = train_eval.measure(predicted, labels, [str(number) for number in range(400)], 3)["accuracy"]
    together = train_eval.measure(predicted, labels, [str(number // 4) for number in range(400)], 3)["accuracy"]
    assert apart["value"] == together["value"] == pytest.approx(right.mean(), abs=1e-4)
    # Four equal rows a headline leave a quarter of the information: twice the width, by the normal formula.
    assert together["high"] - together["low"] == pytest.approx(2 * (apart["high"] - apart["low"]), rel=0.25)


def test_interval_of_a_share_is_that_of_the_normal_formula():
    right = np.arange(1_000) % 5 > 0
    found = train_eval.bootstrap(train_eval.share_parts(right), [str(n) for n in range(1_000)], train_eval.share)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 1_000)
    assert (found.value, found.rows) == (0.8, 1_000)
    assert (found.low, found.high) == (pytest.approx(0.8 - half, abs=0.004), pytest.approx(0.8 + half, abs=0.004))
    assert train_eval.bootstrap(np.empty((0, 2)), [], train_eval.share) is None
