"""Panels are, at every decision, the plain sum of the news that was known and not yet too old."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipwire.engine import panels as module
from chipwire.engine.panels import DuckPanels
from chipwire.engine.view import SignalBook

PROPERTY = settings(max_examples=25, deadline=None, derandomize=True)
MINUTE = np.timedelta64(1, "m")
DAY_US = 86_400_000_000
START = np.datetime64("2024-01-01", "us")
ISSUERS = {"A1": "ALPHA", "A2": "ALPHA", "B1": "BETA", "G1": "GAMMA", "FUND": None}
NAMES = ("ALPHA", "BETA", "GAMMA")
THEMES = ("sanctions", "ai_models", "none")


def market_of(*decisions):
    """Return what panels read of a market: a venue for each array of decisions, the first of them history."""
    venues = [
        SimpleNamespace(
            mic=f"X{number}", first=1, decide_at=np.sort(at), session=np.sort(at).astype("datetime64[D]"),
            instruments=[SimpleNamespace(symbol=symbol) for symbol in ("A1", "A2", "B1", "G1", "FUND")],
        )
        for number, at in enumerate(decisions)
    ]  # fmt: skip
    every = tuple(instrument.symbol for venue in venues for instrument in venue.instruments)
    return SimpleNamespace(venues=venues, symbols=every)


def book_of(rows):
    """Return a book from (instant, issuer, theme, value, novelty, relevance, theme_weight, half_life_days)."""
    rows = sorted(rows, key=lambda row: row[0])
    names = ("issuer", "theme", "value", "novelty", "relevance", "theme_weight", "half_life_days")
    columns = {name: np.array([row[1 + place] for row in rows], dtype=object if place < 2 else float)
               for place, name in enumerate(names)}  # fmt: skip
    columns["headline_id"] = np.array([f"h{number}" for number in range(len(rows))], dtype=object)
    return SignalBook(np.array([row[0] for row in rows], dtype="datetime64[us]"), columns)


def plain(rows, at, themes, half_life, lookback):
    """Return the sums by their formula, one signal after the other."""
    found = dict.fromkeys(NAMES, 0.0)
    for instant, issuer, theme, value, novelty, relevance, weight, own in rows:
        age_us = int((at - instant).astype(int))
        if issuer in found and 0 <= age_us <= round(lookback * DAY_US) and (themes is None or theme in themes):
            size = value * novelty * relevance * weight
            found[issuer] += size * 2.0 ** (-age_us / DAY_US / (half_life or own))
    return [found[name] for name in NAMES]


def panels_of(market, rows, expected=()):
    made = DuckPanels(market, book_of(rows), ISSUERS)
    made.expect(expected)
    return made


def agree(panels, rows, asked):
    for venue in panels.venues:
        for themes, half_life, lookback in asked:
            found = venue.strength(themes=themes, half_life_days=half_life, lookback_days=lookback)
            assert found.shape == (len(venue.decide_at), len(NAMES))
            for row, at in enumerate(venue.decide_at):
                assert found[row] == pytest.approx(plain(rows, at, themes, half_life, lookback), rel=1e-12, abs=1e-13)


@st.composite
def worlds(draw):
    """Draw signals and decisions on a coarse grid, so that they often fall on one another and on a lookback's end."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 60))
    grid = draw(st.sampled_from([1, 360, 1440]))

    def instants(size):
        return START + random.integers(0, 40 * 1440 // grid, size) * grid * MINUTE

    rows = [
        (at, str(random.choice([*NAMES, "ELSEWHERE"])), str(random.choice(THEMES)), *random.uniform(-1, 1, 1),
         *random.choice([0.0, 0.5, 1.0], 3), float(random.choice([1.0, 5.0, 365.0])))
        for at in instants(count)
    ]  # fmt: skip
    return market_of(instants(draw(st.integers(1, 12))), instants(draw(st.integers(1, 12)))), rows


@PROPERTY
@given(
    worlds(),
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.lists(st.sampled_from([*THEMES, "unheard"]), max_size=3)),
            st.sampled_from([None, 0.01, 1.0, 2.5, 365.0]),
            st.sampled_from([0.5, 1.0, 30.0, 365.0]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_strength_is_the_plain_sum(world, asked, expected):
    market, rows = world
    hints = [{"half_life": half_life or 0.0, "lookback": lookback} for _, half_life, lookback in asked]
    agree(panels_of(market, rows, hints if expected else ()), rows, asked)


def test_news_counts_from_its_instant_to_the_end_of_the_lookback_both_included():
    at = START + np.timedelta64(20, "D")
    step = np.timedelta64(1, "us")
    rest = (1.0, 1.0, 1.0, 1.0, 5.0)
    back = np.timedelta64(10, "D")
    for instant, known in ((at, 1.0), (at + step, 0.0), (at - back, 0.25), (at - back - step, 0.0)):
        panel = panels_of(market_of(np.array([START, at])), [(instant, "BETA", "none", *rest)]).venues[0]
        assert panel.strength(themes=None, half_life_days=5.0, lookback_days=10.0).tolist() == [[0.0, known, 0.0]]


def test_later_news_changes_no_earlier_row():
    random = np.random.default_rng(5)
    decisions = START + np.arange(1, 60) * 720 * MINUTE
    rows = [(START + int(m) * MINUTE, str(random.choice(NAMES)), "none", float(v), 1.0, 1.0, 1.0, 3.0)
            for m, v in zip(random.integers(0, 43_000, 500), random.uniform(-1, 1, 500), strict=True)]  # fmt: skip
    cut = decisions[30]
    whole, known = (
        panels_of(market_of(decisions), part).venues[0].strength(themes=None, half_life_days=2.0, lookback_days=9.0)
        for part in (rows, [row for row in rows if row[0] <= cut])
    )
    assert whole[:30].any()
    assert np.array_equal(whole[:30], known[:30])  # row 30 is decision 31: the first is history
    assert not np.array_equal(whole[40:], known[40:])


def test_many_half_lives_are_read_together_and_give_the_bits_of_each_alone():
    random = np.random.default_rng(6)
    decisions = START + np.arange(1, 40) * 1440 * MINUTE
    rows = [(START + int(m) * MINUTE, str(random.choice(NAMES)), str(random.choice(THEMES)), float(v), 1.0, 1.0, 1.0, 3.0)
            for m, v in zip(random.integers(0, 50_000, 300), random.uniform(-1, 1, 300), strict=True)]  # fmt: skip
    half_lives = [float(number) / 3 for number in range(1, module.KEPT + module.AT_ONCE)]
    together = panels_of(market_of(decisions), rows, [{"half_life": h, "lookback": 7.0} for h in half_lives]).venues[0]
    first = [together.strength(themes=None, half_life_days=h, lookback_days=7.0) for h in half_lives]
    again = [together.strength(themes=None, half_life_days=h, lookback_days=7.0) for h in reversed(half_lives)][::-1]
    for half_life, one, two in list(zip(half_lives, first, again, strict=True))[::10]:
        alone = panels_of(market_of(decisions), rows).venues[0]
        assert np.array_equal(one, alone.strength(themes=None, half_life_days=half_life, lookback_days=7.0))
        assert np.array_equal(one, two)


@pytest.mark.parametrize(
    ("half_life", "lookback", "named"),
    [(0.0, 30.0, "half_life_days=0.0"), (-1.0, 30.0, "half_life_days=-1"), (float("nan"), 30.0, "half_life_days=nan"),
     (5.0, 0.0, "lookback_days=0"), (5.0, 366.0, "lookback_days=366"), (5.0, float("nan"), "lookback_days=nan")],
)  # fmt: skip
def test_what_cannot_be_asked_is_named(half_life, lookback, named):
    panel = panels_of(market_of(np.array([START, START + MINUTE])), []).venues[0]
    with pytest.raises(ValueError, match=named):
        panel.strength(themes=None, half_life_days=half_life, lookback_days=lookback)


def test_a_strategy_that_reads_no_signals_gets_none():
    panel = DuckPanels(market_of(np.array([START, START + MINUTE])), None, ISSUERS).venues[0]
    with pytest.raises(ValueError, match="reads_signals = False"):
        panel.strength(themes=None, half_life_days=5.0, lookback_days=5.0)
