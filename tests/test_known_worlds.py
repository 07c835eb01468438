"""Worlds made with an edge or with none, what measures it, placebos of their news, and the fragility of a result."""

import dataclasses
import datetime as dt

import engine_worlds as small
import numpy as np
import pytest
import statsmodels.api as sm

from chipwire.data.errors import BadParameter, NothingToDo
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import load_book
from chipwire.engine.market import load_market
from chipwire.engine.panel_worlds import world_panels
from chipwire.engine.panels import DuckPanels
from chipwire.engine.settings import Settings
from chipwire.engine.sweep_task import Loaded
from chipwire.engine.validation import edge, fragility, placebo, placebo_news, worlds
from chipwire.strategies.benchmarks import EqualWeight
from chipwire.strategies.event_drift import EventDrift
from chipwire.strategies.theme_momentum import ThemeMomentum

warehouse, written = small.warehouse, small.written

UNIVERSE = load_universe()
SHORT = worlds.Recipe(
    start=dt.date(2021, 1, 4), end=dt.date(2022, 12, 30),
    instruments=("688981.SS", "688256.SS", "0700.HK", "9988.HK", "NVDA", "AMD"),
)  # fmt: skip


def made(folder, recipe, seed, strategy=ThemeMomentum, **changes):
    """Return what a run on a new world would load, and its settings."""
    with Warehouse.open(folder / f"{seed}-{recipe.ic}.duckdb", write=True, threads=1) as opened:
        worlds.store_world(opened, UNIVERSE, recipe, seed)
        given = Settings(start=recipe.start, end=recipe.end, instruments=recipe.instruments, **changes)
        return given, loaded(opened, given, strategy)


def loaded(opened, given, strategy):
    market = load_market(opened, UNIVERSE, given)
    book, model, _ = load_book(opened, UNIVERSE, strategy, given, None)
    return Loaded(market, book, {name: UNIVERSE.instrument(name).issuer for name in market.symbols}, model, "")


def groups(data):
    return placebo_news.issuer_groups(UNIVERSE, sorted(set(data.issuers.values())))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return made(tmp_path_factory.mktemp("planted"), dataclasses.replace(SHORT, ic=0.2), 3)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return made(tmp_path_factory.mktemp("empty"), SHORT, 3)


# --- the worlds ------------------------------------------------------------------------------------------


def test_a_planted_edge_is_measured_and_no_edge_is_not(planted, empty):
    found = edge.measure_edge(planted[1], themes=None, half_life_days=SHORT.half_life)
    assert found.low < 0.2 < found.high
    assert found.low > 0.1
    nothing = edge.measure_edge(empty[1], themes=None, half_life_days=SHORT.half_life)
    assert nothing.low < 0 < nothing.high
    # About 1 / sqrt(observations), as for independent ones, or a little more.
    assert 0.9 < (nothing.high - nothing.low) / 2 / 1.96 * np.sqrt(nothing.observations) < 1.3


def test_only_the_planted_themes_carry_the_edge(tmp_path):
    _, data = made(tmp_path, dataclasses.replace(SHORT, ic=0.3, themes=("sanctions",)), 5)
    own = edge.measure_edge(data, themes=["sanctions"], half_life_days=SHORT.half_life)
    other = edge.measure_edge(data, themes=["ai_models", "localization"], half_life_days=SHORT.half_life)
    assert own.low > 0.2
    assert abs(other.ic) < 0.06


def test_the_interval_is_that_of_a_regression_clustered_by_day(planted):
    random = np.random.default_rng(4)
    day = np.repeat(np.arange(300), 5)
    said = random.standard_normal(1500) + random.standard_normal(300)[day]
    came = 0.05 * said + random.standard_normal(1500) + random.standard_normal(300)[day]
    said, came = ((side - side.mean()) / side.std() for side in (said, came))
    found = edge._clustered(said, came, day, 0.95)
    assert found.ic == pytest.approx(np.corrcoef(said, came)[0, 1], abs=1e-12)
    fit = sm.OLS(came, said).fit(cov_type="cluster", cov_kwds={"groups": day, "use_correction": False})
    # A slope of standardised sides is their correlation; with a small one the errors are the same but for terms of
    # the correlation itself.
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(fit.bse[0], rel=0.05)
    alone = sm.OLS(came, said).fit()
    assert fit.bse[0] > 1.3 * alone.bse[0]  # days matter in this data


def test_a_world_has_halts_and_keeps_to_limits(empty):
    market = empty[1].market
    shanghai = next(venue for venue in market.venues if venue.mic == "XSHG")
    rows = slice(shanghai.first + 1, None)
    before = shanghai.close[shanghai.first : -1]
    moved = np.abs(shanghai.close[rows] / before - 1)
    assert np.nanmax(moved) <= 0.2 + 1e-3
    missing = sum(int(np.isnan(venue.close[venue.first :]).sum()) for venue in market.venues)
    assert missing > 0


def test_the_same_seed_gives_the_same_world(tmp_path, empty):
    _, again = made(tmp_path, SHORT, 3)
    assert again.market.fingerprint == empty[1].market.fingerprint
    _, other = made(tmp_path, SHORT, 4)
    assert other.market.fingerprint != empty[1].market.fingerprint


@pytest.mark.parametrize(("name", "value"), [("ic", 0.9), ("themes", ("weather",)), ("themes", ())])
def test_a_recipe_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(BadParameter, match=name):
        dataclasses.replace(SHORT, **{name: value})


# --- news mixed up ---------------------------------------------------------------------------------------


def rows(book):
    names = ("headline_id", "issuer", "theme", "value", "novelty", "relevance")
    columns = [book.columns[name].tolist() for name in names]
    return list(zip(book.available_at.tolist(), *columns, strict=True))


@pytest.mark.parametrize("kind", placebo_news.KINDS)
def test_a_placebo_is_in_order_repeats_and_differs(empty, kind):
    _, data = empty
    mixed = placebo_news.placebo_book(data.book, kind, groups(data), (1, 2))
    assert (np.diff(mixed.available_at) >= np.timedelta64(0)).all()
    assert rows(mixed) == rows(placebo_news.placebo_book(data.book, kind, groups(data), (1, 2)))
    assert rows(mixed) != rows(placebo_news.placebo_book(data.book, kind, groups(data), (1, 3)))
    assert rows(mixed) != rows(data.book)
    assert len(mixed) == len(data.book)


def test_times_stay_with_their_issuer_and_quarter(empty):
    _, data = empty
    mixed = placebo_news.placebo_book(data.book, "times", {}, (0,))
    quarter = lambda at: (at.year, (at.month - 1) // 3)  # noqa: E731
    before = sorted((row[2], row[0]) for row in rows(data.book))
    assert sorted((row[2], row[0]) for row in rows(mixed)) == before
    old = {row[1]: quarter(row[0]) for row in rows(data.book)}
    assert all(quarter(row[0]) == old[row[1]] for row in rows(mixed))
    # What a headline says moves with it.
    assert sorted(row[1:] for row in rows(mixed)) == sorted(row[1:] for row in rows(data.book))


def test_issuers_are_exchanged_within_their_group_only(empty):
    _, data = empty
    mixed = placebo_news.placebo_book(data.book, "issuers", groups(data), (0,))
    group = groups(data)
    assert {
        group[a] == group[b] for a, b in zip(data.book.columns["issuer"], mixed.columns["issuer"], strict=True)
    } == {True}
    # NVIDIA and AMD sell GPUs, Alibaba and Tencent run platforms.
    assert group["NVIDIA"] == group["AMD"] != group["TENCENT"] == group["ALIBABA"]


def test_signs_turn_for_a_whole_headline(written):
    written.model().signals([
        {"issuer": issuer, "at": f"2024-01-{day:02d}T00:00", "value": value, "headline": f"h{day}"}
        for day in range(1, 29) for issuer, value in (("AMD", 0.5), ("INTEL", -0.25))
    ])  # fmt: skip
    from chipwire.engine.view import load_signals

    given = small.settings("2024-01-01", "2024-02-01")
    book = load_signals(written.warehouse, given, small.MODEL, small.LINKER)
    mixed = placebo_news.placebo_book(book, "signs", {}, (9,))
    pairs = {}
    for row in rows(mixed):
        pairs.setdefault(row[1], {})[row[2]] = row[4]
    assert {tuple(sorted(pair.items())) for pair in pairs.values()} == {
        (("AMD", 0.5), ("INTEL", -0.25)), (("AMD", -0.5), ("INTEL", 0.25)),
    }  # fmt: skip


def test_rotated_news_keeps_its_hours_and_weekdays(empty):
    _, data = empty
    mixed = {row[1]: row[0] for row in rows(placebo_news.placebo_book(data.book, "rotated", {}, (0,)))}
    shifts = {(mixed[row[1]] - row[0]).total_seconds() / 604_800 for row in rows(data.book)}
    assert len(shifts) == 2
    assert all(shift == int(shift) and abs(shift) >= 4 for shift in shifts)


def test_an_unknown_placebo_is_refused(empty):
    _, data = empty
    with pytest.raises(BadParameter, match=r"placebo.*times, issuers, signs, rotated"):
        placebo_news.placebo_book(data.book, "sugar", {}, (0,))


def test_panels_of_many_worlds_are_those_of_each(empty):
    _, data = empty
    books = [
        data.book,
        *(placebo_news.placebo_book(data.book, kind, groups(data), (1,)) for kind in placebo_news.KINDS),
    ]
    together = world_panels(data.market, books, data.issuers, [{"half_life": 3.0, "lookback": 10.0}])
    for book, many in zip(books, together, strict=True):
        alone = DuckPanels(data.market, book, data.issuers)
        for one, other in zip(alone.venues, many.venues, strict=True):
            asked = {"themes": ["sanctions", "ai_models"], "half_life_days": 3.0, "lookback_days": 10.0}
            assert np.array_equal(one.strength(**asked), other.strength(**asked))
            fresh = {"themes": ["localization"], "threshold": 0.5, "min_novelty": 0.0}
            for name in ("row", "column", "sign"):
                assert np.array_equal(getattr(one.fresh(**fresh), name), getattr(other.fresh(**fresh), name))


# --- the test --------------------------------------------------------------------------------------------


def subject(given, data, strategy=ThemeMomentum, configurations=({},)):
    values = [strategy(**one).values for one in configurations]
    return placebo.Subject(strategy, values, [given] * len(values), data, groups(data))


def test_the_p_value_counts_those_at_least_as_good():
    found = placebo.Placebo("times", "sharpe", 1.0, (0.5, 1.0, 1.5, 0.2), 1)
    assert found.p_value == (1 + 2) / (1 + 4)


def test_a_planted_edge_beats_every_placebo(planted):
    given, data = planted
    [times, signs] = placebo.placebo_test(
        subject(given, data, configurations=[{"half_life": 3.0}]), ["times", "signs"], 19
    )
    assert times.p_value == signs.p_value == 0.05
    assert len(times.values) == len(signs.values) == 19


def test_strategies_asked_one_by_one_get_the_same_placebos_as_set_wise(planted, monkeypatch):
    given, data = planted
    fast = placebo.placebo_test(subject(given, data, EventDrift), ["times"], 2)
    monkeypatch.setattr(placebo, "has_setwise", lambda strategy: False)
    slow = placebo.placebo_test(subject(given, data, EventDrift), ["times"], 2)
    assert slow == fast


def test_of_several_configurations_the_best_counts_on_both_sides(empty):
    given, data = empty
    both = [{"top_k": 1}, {"top_k": 3}]
    [joint] = placebo.placebo_test(subject(given, data, configurations=both), ["rotated"], 4)
    each = [placebo.placebo_test(subject(given, data, configurations=[one]), ["rotated"], 4)[0] for one in both]
    assert joint.real == max(one.real for one in each)
    assert joint.values == tuple(map(max, *(one.values for one in each)))


def test_it_stops_when_enough_placebos_were_as_good(empty):
    given, data = empty
    [full] = placebo.placebo_test(subject(given, data), ["signs"], 60)
    [early] = placebo.placebo_test(subject(given, data), ["signs"], 60, stop_after=2)
    assert early.values == full.values[: len(early.values)]
    assert sum(value >= early.real for value in early.values) >= 2
    assert len(early.values) < 60


def test_a_strategy_without_news_has_no_placebo(empty):
    given, data = empty
    with pytest.raises(NothingToDo, match="equal-weight reads no news"):
        placebo.placebo_test(subject(given, dataclasses.replace(data, book=None), EqualWeight), ["times"], 2)


# --- fragility -------------------------------------------------------------------------------------------


def test_a_jump_on_the_next_session_is_lost_a_session_later(written):
    days = written.sessions("NVDA", "2024-01-02", "2024-02-15")
    # 100 up to the session after the news, then 110 for good: only who buys at that session's open has it.
    news, jump = days[10], days[11]
    prices = {day: 100.0 if day <= jump else 110.0 for day in days}
    prices[jump] = (100.0, 110.0)
    written.bars("NVDA", prices).model().signals([{"issuer": "NVIDIA", "at": f"{news}T22:00", "value": 0.9}])
    given = small.settings("2024-01-02", "2024-02-15", instruments=("NVDA",))
    data = loaded(written.warehouse, given, EventDrift)
    found = fragility.fragility(
        EventDrift, EventDrift(places=1, hold=3).values, given, data,
        lambda other: loaded(written.warehouse, other, EventDrift),
    )  # fmt: skip
    # Whole shares for a million at 100, less fees: close to 10%.
    assert found.base.total_return == pytest.approx(0.1, abs=1e-3)
    by = {(one.change, one.label): one for one in found.variants}
    assert by["latency", "1 session later"].total_return == pytest.approx(0.0, abs=1e-3)
    assert by["issuer", "without NVIDIA"].total_return == 0.0
    assert by["costs", "costs x 0"].total_return == pytest.approx(0.1, abs=1e-12)
    fees = 0.1 - found.base.total_return
    assert 0.1 - by["costs", "costs x 4"].total_return == pytest.approx(4 * fees, rel=0.05)
    # Decided before the close of the session after the news: it buys at 110.
    assert by["fill", "at the close"].total_return == pytest.approx(0.0, abs=1e-3)
    [trade] = [one for one in found.variants if one.change == "trade"]
    assert trade.total_return == pytest.approx(0.0, abs=1e-3)
    assert found.worst("costs").label == "costs x 4"
    assert {one.label for one in found.variants if one.change == "parameter"} >= {"hold = 2", "hold = 4", "places = 2"}


def test_a_year_is_left_out_of_the_chain_of_daily_returns(planted):
    given, data = planted
    found = fragility.fragility(ThemeMomentum, ThemeMomentum().values, given, data, lambda _: data)
    years = [1 + one.total_return for one in found.variants if one.change == "year"]
    assert len(years) == 2
    # Two years: without one the other is left, and both together are the whole.
    assert years[0] * years[1] == pytest.approx(1 + found.base.total_return, rel=1e-12)
