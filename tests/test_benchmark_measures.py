"""A run's returns are paired with a benchmark's of another calendar over the same spans; what is too little is NaN."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chipwire.reports import benchmark_measures as against

NAT = np.datetime64("NaT", "D")


def _days(texts):
    return np.array(texts, dtype="datetime64[D]")


def test_days_without_a_session_of_the_benchmark_are_neither_zero_nor_lost():
    # The run has days 1 to 6; the benchmark traded on the 1st, the 3rd and, while the run did not, on the 4th.
    curve = np.array([100.0, 110.0, 121.0, 133.1, 133.1, 146.41])
    sessions = _days(["2024-07-01", "2024-07-01", "2024-07-03", "2024-07-03", "2024-07-04", "2024-07-04"])
    values = np.array([50.0, 50.0, 55.0, 55.0, 44.0, 44.0])
    kept = against.common_days(sessions, values)
    assert kept.tolist() == [0, 2, 4]
    days = [date(2024, 7, 1) + timedelta(days=n) for n in (0, 1, 2, 4, 5, 8)]
    found = against.compare(days, curve, sessions, values)
    assert found.pairs == 2
    # 100 → 121 while 50 → 55, then 121 → 133.1 while 55 → 44; a day of zero against +10% is not among them.
    assert found.up_capture == pytest.approx(0.21 / 0.10)
    assert found.down_capture == pytest.approx(0.10 / -0.20)
    assert found.correlation == pytest.approx(1.0)
    assert found.tracking_error == pytest.approx(math.sqrt(2 * ((0.11 - 0.30) / 2) ** 2) * math.sqrt(252))


def test_days_before_the_first_and_after_the_last_session_are_left_out():
    sessions = np.array([NAT, NAT, *_days(["2024-07-03", "2024-07-04", "2024-07-04", "2024-07-04"])])
    values = np.array([math.nan, math.nan, 5.0, 6.0, 6.1, 6.2])  # the last two move with the FX rate alone
    assert against.common_days(sessions, values).tolist() == [2, 3]


def test_a_session_without_a_rate_is_not_known():
    sessions = _days(["2024-07-01", "2024-07-02", "2024-07-03"])
    assert against.common_days(sessions, np.array([math.nan, 5.0, 6.0])).tolist() == [1, 2]


def test_weeks_end_with_the_last_day_kept_of_each():
    # 30 weeks from a Monday on, five days each, the Friday of the third without a session.
    first = date(2024, 1, 1)
    days = [first + timedelta(days=7 * week + day) for week in range(30) for day in range(5)]
    rng = np.random.default_rng(1)
    mark = np.exp(np.cumsum(rng.normal(0, 0.02, len(days))))
    sessions = np.array(days, dtype="datetime64[D]")
    sessions[14], mark[14] = sessions[13], mark[13]
    curve = mark**2
    found = against.compare(days, curve, sessions, mark)
    assert (found.pairs, found.weeks) == (148, 30)
    ends = [0, *(5 * week + (3 if week == 2 else 4) for week in range(30))]
    own, other = (part[ends][1:] / part[ends][:-1] - 1 for part in (curve, mark))
    slope = np.cov(own, other)[0, 1] / np.var(other, ddof=1)
    assert found.weekly_beta.value == pytest.approx(slope)
    assert found.weekly_lags == math.floor(4 * 0.3 ** (2 / 9))


def test_closes_hours_apart_hide_a_beta_that_weeks_show():
    # The run holds what the benchmark is, but is closed when half of each day's move comes: that half is there a day on.
    rng = np.random.default_rng(2)
    seen, unseen = rng.normal(0, 0.01, (2, 1000))
    mark = np.exp(np.cumsum(np.concatenate([[0.0], seen + unseen])))
    own = np.exp(np.cumsum(np.concatenate([[0.0], seen + np.append(0.0, unseen[:-1])])))
    days = [date(2020, 1, 6) + timedelta(days=7 * (n // 5) + n % 5) for n in range(1001)]
    found = against.compare(days, own, np.array(days, dtype="datetime64[D]"), mark)
    assert found.beta.value == pytest.approx(0.5, abs=0.05)
    assert found.weekly_beta.value == pytest.approx(0.9, abs=0.05)


@given(st.lists(st.sampled_from([0, 1]), min_size=2, max_size=60), st.integers(0, 1000))
@hypothesis_settings(max_examples=40)
def test_what_is_paired_compounds_to_the_whole_span(opened, seed):
    """Property: from the first day kept to the last, no return of the run or of the benchmark is lost or counted twice."""
    rng = np.random.default_rng(seed)
    session, sessions, value, values = 0, [], 100.0, []
    for traded in [1, *opened]:
        if traded:
            session, value = session + int(rng.integers(1, 4)), value * float(rng.uniform(0.9, 1.1))
        sessions.append(np.datetime64("2024-01-01", "D") + session)
        values.append(value)
    curve = 100 * np.cumprod(rng.uniform(0.95, 1.05, len(values)))
    kept = against.common_days(np.array(sessions), np.array(values))
    assert len(kept) == 1 + sum(opened)
    for series in (curve, np.array(values)):
        returns = series[kept][1:] / series[kept][:-1] - 1
        assert np.prod(1 + returns) == pytest.approx(series[kept[-1]] / series[0])


def test_what_cannot_be_known_is_nan():
    few, rng = np.linspace(0.01, 0.02, against.ENOUGH_PAIRS - 1), np.random.default_rng(3)
    own = rng.normal(0, 0.01, 50)
    for pair in ((few, few), (own, np.full(50, 0.01)), (np.append(own[1:], math.nan), own)):
        for coefficient in against.regression(*pair, 2):
            assert all(map(math.isnan, (coefficient.value, coefficient.error, coefficient.t, coefficient.p)))
    assert math.isnan(against.correlation(own, np.zeros(50)))
    assert math.isnan(against.tracking_error(own[:1], own[:1]))
    assert math.isnan(against.information_ratio(own, own))
    assert math.isnan(against.capture(own, np.abs(own), own > 9))
    assert math.isnan(against.capture(np.array([-1.0]), np.array([0.1]), np.array([True])))


def test_a_benchmark_that_never_moved_on_leaves_nothing_to_compare():
    found = against.compare([date(2024, 7, 1)], np.array([1.0]), np.array([NAT]), np.array([math.nan]))
    assert (found.pairs, found.weeks) == (0, 0)
    assert math.isnan(found.alpha.value)
    assert math.isnan(found.up_capture)
