"""The columnar engine's own: arrays of targets, what a block may share, refusals, and the purchases cut to cash."""

from dataclasses import replace

import engine_worlds as worlds
import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chipwire.data.errors import BadParameter, BadTarget
from chipwire.data.fees import FeeTable, load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine import columnar_ledger, rules
from chipwire.engine.columnar import run_columnar
from chipwire.engine.columnar_cash import afford
from chipwire.engine.columnar_ledger import BlockLedger
from chipwire.engine.targets import DecideTargets, PanelTargets, arrange
from chipwire.engine.timeline import clock, moments

warehouse, world, settings, Script = worlds.warehouse, worlds.world, worlds.settings, worlds.Script

FACTS = load_fees(), load_market_rules()
START, END = "2024-01-02", "2024-02-29"
SYMBOLS = ("NVDA", "AMD", "688981.SS", "0981.HK")


@pytest.fixture
def market(world):
    for number, (symbol, price) in enumerate(zip(SYMBOLS, (100.0, 60.0, 50.0, 16.0), strict=True)):
        world.walk(symbol, "2023-12-01", END, price, number)
    world.fx("CNY", {"2023-12-20": 7.0}).fx("HKD", {"2023-12-20": 8.0})
    return world.market(settings(START, END))


def random_weights(market, configurations, gross, seed=3):
    rng = np.random.default_rng(seed)
    found = {}
    for venue in market.venues:
        shape = (configurations, len(venue.session) - venue.first, len(venue.instruments))
        weights = rng.random(shape) * gross / 4
        weights[rng.random(shape) < 0.2] = np.nan
        found[venue.mic] = weights
    return found


def test_arrays_and_strategies_that_say_the_same_give_the_same(market):
    weights = random_weights(market, 3, 1.0)
    rows = {
        (venue.mic, venue.session[venue.first + row].item()): row
        for venue in market.venues
        for row in range(len(venue.session) - venue.first)
    }

    def plan(lane):
        def decide(view):
            row = weights[view.venue][lane, rows[(view.venue, view.session)]]
            return {name: float(w) for name, w in zip(view.instruments, row, strict=True) if w == w}

        return Script(decide)

    given = settings(START, END, slippage_bps=5.0)
    issuers = dict.fromkeys(market.symbols)
    asked = DecideTargets(market, [plan(lane) for lane in range(3)], given, None, issuers)
    one = run_columnar(market, given, asked, *FACTS, keep="ledger")
    arranged = {mic: arrange(array) for mic, array in weights.items()}
    for panels in (weights, arranged):
        two = run_columnar(market, given, PanelTargets(market, panels), *FACTS, keep="ledger")
        assert two.equity.tobytes() == one.equity.tobytes()
        assert two.ledgers == one.ledgers
    assert sum(len(ledger.fills) for ledger in one.ledgers) > 200


def test_the_quick_cut_to_cash_is_that_of_the_full_search(market, monkeypatch):
    weights = random_weights(market, 40, 3.9)
    given = settings(START, END, slippage_bps=50.0, leverage=4.0)
    given = replace(given, leverage=4.0)
    panels = PanelTargets(market, weights)
    quick = run_columnar(market, given, panels, *FACTS)
    done = []

    def unsure(buys, *rest):
        done.append(buys.shape[1])
        return buys * 0.0, np.zeros(buys.shape[1], dtype=bool)

    monkeypatch.setattr(columnar_ledger, "afford", unsure)
    full = run_columnar(market, given, panels, *FACTS)
    assert sum(done) > 500
    assert quick.equity.tobytes() == full.equity.tobytes()


@pytest.mark.parametrize(("leverage", "gross"), [(1.0, 1.0), (0.5, 0.5), (2.0, 1.9)])
def test_the_quick_ways_of_shorts_are_that_of_the_full_search(market, monkeypatch, leverage, gross):
    weights = random_weights(market, 40, 2.0 * gross)
    signs = np.random.default_rng(5).choice([-1.0, 1.0], weights["XNYS"].shape)
    weights["XNYS"] *= signs
    weights["XSHG"][::7] *= -1.0  # forbidden there
    given = settings(START, END, slippage_bps=20.0, leverage=leverage)
    panels = PanelTargets(market, weights)
    settled = []
    in_full = columnar_ledger.settle

    def counted(book, orders, terms):
        settled.append(len(orders))
        return in_full(book, orders, terms)

    monkeypatch.setattr(columnar_ledger, "settle", counted)
    quick = run_columnar(market, given, panels, *FACTS, keep="ledger")
    left, settled[:] = sum(settled), []
    nothing = np.zeros(0, dtype=np.intp)
    monkeypatch.setattr(columnar_ledger, "fill_in_full", lambda *_: np.zeros(40, dtype=bool))
    monkeypatch.setattr(BlockLedger, "_cut_to_margin", lambda *_: nothing)
    full = run_columnar(market, given, panels, *FACTS, keep="ledger")
    assert quick.equity.tobytes() == full.equity.tobytes()
    assert quick.ledgers == full.ledgers
    reasons = {row.reason for ledger in full.ledgers for row in ledger.unfilled}
    assert {"leverage", "short_forbidden"} <= reasons
    assert sum(settled) > 1_000
    assert left < 0.4 * sum(settled)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 12, 40, 130])
@pytest.mark.parametrize("lanes", [1, 2, 3, 500])
def test_rows_are_summed_one_after_the_other_whatever_their_layout(count, lanes):
    values = np.random.default_rng(count).normal(size=(count, lanes))
    expected = [_left_to_right(values[:, lane]) for lane in range(lanes)]
    for laid_out in (values, np.asfortranarray(values), values[:, np.arange(lanes)]):
        assert rules.sum_rows(laid_out).tolist() == expected


def _left_to_right(values):
    total = 0.0
    for value in values.tolist():
        total += value
    return total


@drawn(st.integers(0, 10_000))
@hypothesis_settings(max_examples=60)
def test_purchases_are_cut_to_the_largest_factor_that_can_be_paid(seed):
    rng = np.random.default_rng(seed)
    step = rng.choice([1.0, 100.0, 500.0], (3, 1))
    minimum = np.where(step == 1.0, rng.choice([1.0, 200.0]), step)
    price = rng.uniform(1, 200, (3, 1))
    buys = rules.lots_below(rng.uniform(0, 40, (3, 5)) * np.maximum(minimum, step), minimum, step)
    cost = np.add.reduce(buys * price, axis=0)
    buys, cost = buys[:, cost > 0], cost[cost > 0]
    available = cost * rng.uniform(0.01, 0.999, len(cost))
    cut, sure = afford(buys, available, minimum, step, lambda bought, _: bought * price)
    for lane in np.flatnonzero(sure):
        lots = buys[:, lane] / step[:, 0]
        places = {0.0} | {number / n for n in lots if n for number in range(1, int(n) + 1)}
        best = max(
            place
            for place in places
            if np.add.reduce(rules.lots_below(place * buys[:, lane], minimum[:, 0], step[:, 0]) * price[:, 0])
            <= available[lane]
        )
        expected = rules.lots_below(best * buys[:, lane], minimum[:, 0], step[:, 0])
        assert cut[:, lane].tolist() == expected.tolist()


def test_the_clock_as_arrays_is_that_of_the_moments(market):
    times = clock(market)
    listed = [
        (number, moment.at, step.kind, step.venue, step.session)
        for number, moment in enumerate(moments(market, settings(START, END)))
        for step in moment.steps
    ]
    found = zip(times.moment, times.at, times.kind, times.venue, times.session, strict=True)
    assert [(int(m), at, str(kind), int(v), int(s)) for m, at, kind, v, s in found] == listed
    ends = [moment.ends_day for moment in moments(market, settings(START, END)) if moment.ends_day]
    assert times.at[times.ends_day].astype("datetime64[D]").tolist() == ends


@pytest.mark.parametrize("available", [0.0, -5.0, 9_999.999_999])
def test_purchases_without_cash_or_short_of_a_drop_are_left_to_the_full_search(available):
    cut, sure = afford(
        np.array([[100.0]]), np.array([available]), np.ones((1, 1)), np.ones((1, 1)), lambda bought, _: bought * 100.0
    )
    assert (cut.shape, sure.tolist()) == ((1, 1), [False])


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.inf, "weight inf of NVDA is not a finite number"), (1.5, "absolute sum 1.5 is above the leverage 1")],
)
def test_weights_that_cannot_be_traded_are_refused(market, value, message):
    weights = {mic: array * np.nan for mic, array in random_weights(market, 2, 1.0).items()}
    weights["XNYS"][1, 5, 1] = value
    with pytest.raises(BadTarget, match="configuration 2: ") as raised:
        run_columnar(market, settings(START, END), PanelTargets(market, weights, "mine"), *FACTS)
    assert message in str(raised.value)
    assert "mine" in str(raised.value)


def test_targets_of_another_shape_or_venue_are_refused(market):
    weights = random_weights(market, 2, 1.0)
    with pytest.raises(BadParameter, match="XKRX"):
        PanelTargets(market, {"XKRX": weights["XNYS"]})
    with pytest.raises(BadParameter, match="shape"):
        PanelTargets(market, {"XNYS": weights["XNYS"][:, 1:]})
    with pytest.raises(BadParameter, match="same number of configurations"):
        PanelTargets(market, {**weights, "XNYS": weights["XNYS"][:1]})


def test_a_block_shares_its_fill_and_has_settings_for_each(market):
    panels = PanelTargets(market, random_weights(market, 2, 1.0))
    one = settings(START, END)
    with pytest.raises(BadParameter, match="fill"):
        run_columnar(market, [one, replace(one, fill="close")], panels, *FACTS)
    with pytest.raises(BadParameter, match="settings"):
        run_columnar(market, [one], panels, *FACTS)


def test_without_orders_nothing_happens_and_uncovered_fees_are_named(market):
    none = PanelTargets(market, {})
    block = run_columnar(market, settings(START, END), none, FeeTable(()), FACTS[1])
    assert (block.equity == 1_000_000.0).all()
    assert block.uncovered == frozenset()
    traded = run_columnar(
        market, settings(START, END), PanelTargets(market, random_weights(market, 1, 1.0)), FeeTable(()), FACTS[1]
    )
    assert traded.uncovered == {"XHKG", "XNYS", "XSHG"}


def test_both_engines_store_the_same_rows_under_two_runs(written):
    for number, (symbol, price) in enumerate(zip(SYMBOLS, (100.0, 60.0, 50.0, 16.0), strict=True)):
        written.walk(symbol, "2023-12-01", END, price, number)
    written.fx("CNY", {"2023-12-20": 7.0}).fx("HKD", {"2023-12-20": 8.0})
    plan = {"2024-01-05": dict.fromkeys(SYMBOLS, 0.2), "2024-02-05": dict.fromkeys(SYMBOLS, 0.0)}
    done = [written.run(Script(plan), settings(START, END), engine=name) for name in ("backtrader", "columnar")]
    assert done[0].run_id != done[1].run_id
    assert done[0].fills == done[1].fills > 0
    for table in ("target", "fill", "unfilled", "position", "equity"):
        rows = [
            written.warehouse.rows(
                f"SELECT * EXCLUDE (run_id) FROM {table} WHERE run_id = ? ORDER BY ALL", [run.run_id]
            )
            for run in done
        ]
        assert rows[0] == rows[1]


written = worlds.written
