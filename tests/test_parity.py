"""The two engines on the same targets: the same fills, orders not filled, positions, targets and equity."""

import contextlib
from importlib import resources

import engine_worlds as worlds
import pytest
from hypothesis import given as drawn
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.data.prices import ingest_prices
from chipwire.data.warehouse import Warehouse
from chipwire.engine.columnar import run_columnar
from chipwire.engine.event import run_event_driven
from chipwire.engine.market import load_market
from chipwire.engine.targets import DecideTargets

warehouse, world, settings, Script = worlds.warehouse, worlds.world, worlds.settings, worlds.Script

rough_world, random_weights = worlds.rough_world, worlds.random_weights

START, END = "2024-01-02", "2024-04-30"
SYMBOLS = tuple(worlds.ROUGH)
FACTS = load_fees(), load_market_rules()


def both(market, given, make):
    """Run a strategy on both engines; `make` makes a new instance of it."""
    issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
    account = run_event_driven(market, given, make(), None, issuers, *FACTS)
    targets = DecideTargets(market, [make()], given, None, issuers)
    block = run_columnar(market, given, targets, *FACTS, keep="ledger")
    return account, block


def same(account, block):
    """Assert that both wrote down the same rows; numbers within 1e-9 (equity is the same bits)."""
    (ledger,) = block.ledgers
    assert block.uncovered == frozenset(account.uncovered)
    for name in ("fills", "unfilled", "targets", "positions", "equity"):
        expected, found = getattr(account.ledger, name), getattr(ledger, name)
        assert len(found) == len(expected), name
        for left, right in zip(found, expected, strict=True):
            for field, value in vars(right).items():
                got = vars(left)[field]
                assert got == (pytest.approx(value, rel=1e-9, abs=1e-6) if isinstance(value, float) else value), (
                    name, field, left, right,
                )  # fmt: skip
    assert [day.isoformat() for day in block.days] == [row.day.isoformat() for row in account.ledger.equity]
    assert block.equity[:, 0].tolist() == [row.equity for row in account.ledger.equity]  # to the last bit


@pytest.mark.parametrize("fill", ["open", "close"])
@pytest.mark.parametrize(("seed", "low"), [(1, -0.6), (2, 0.0), (3, 0.0), (4, -1.0)])
def test_rough_worlds(world, fill, seed, low):
    given = settings(
        START,
        END,
        fill=fill,
        instruments=SYMBOLS,
        slippage_bps=5.0,
        impact=0.05 * (seed % 2),
        participation=0.1,
        band=0.01 * (seed > 1),
        fee_multiple=(1.0, 4.0, 0.0, 2.5)[seed % 4],
    )
    account, block = both(rough_world(world, seed).market(given), given, random_weights(seed, low, 0.2))
    assert len(account.ledger.fills) > 60
    same(account, block)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Return a warehouse with the bars and rates that ship with chipwire: three venues, halts, limit days."""
    folder = resources.files("chipwire.data.embedded")
    path = tmp_path_factory.mktemp("parity") / "w.duckdb"
    with Warehouse.open(path, write=True, threads=1) as opened:
        ingest_prices(opened, [str(folder / "bars.parquet"), str(folder / "fx.csv")], worlds.UNIVERSE)
        yield opened


@pytest.mark.parametrize(("fill", "low", "capital"), [("open", 0.0, 1e6), ("close", -0.5, 5e7)])
def test_real_data_of_three_venues_with_every_rule_on(embedded, fill, low, capital):
    given = settings(
        "2024-07-01", "2025-10-31", fill=fill, capital=capital, slippage_bps=5.0, impact=0.02, participation=0.05,
        band=0.005,
    )  # fmt: skip
    market = load_market(embedded, worlds.UNIVERSE, given)
    assert {venue.mic for venue in market.venues} >= {"XHKG", "XNYS", "XSHG"}
    account, block = both(market, given, random_weights(8, low, 0.3))
    assert len(account.ledger.fills) > 500
    same(account, block)


@drawn(st.data())
@hypothesis_settings(max_examples=8)
def test_random_markets(warehouse, data):
    """Halts, limit days, splits, holidays and cash squeezes as they come."""
    seed = data.draw(st.integers(0, 10_000))
    fill = data.draw(st.sampled_from(["open", "close"]))
    chosen = tuple(data.draw(st.lists(st.sampled_from(SYMBOLS), min_size=2, max_size=4, unique=True)))
    given = settings(
        "2024-01-24", "2024-02-29", fill=fill, instruments=chosen, capital=data.draw(st.sampled_from([5e3, 1e6, 1e9])),
        participation=data.draw(st.sampled_from([0.01, 1.0])), leverage=data.draw(st.sampled_from([1.0, 1.5])),
        band=data.draw(st.sampled_from([0.0, 0.02])), slippage_bps=data.draw(st.sampled_from([0.0, 30.0])),
        fee_multiple=data.draw(st.sampled_from([0.0, 1.0, 3.7])),
    )  # fmt: skip
    make = random_weights(seed, data.draw(st.sampled_from([-0.6, 0.0])), 0.2)
    with contextlib.suppress(worlds._Undo), warehouse.transaction():
        market = rough_world(worlds.World(warehouse), seed, chosen, "2024-01-24", "2024-02-29").market(given)
        raise worlds._Undo
    account, block = both(market, given, make)
    same(account, block)
    assert all(row.cash >= 0 or row.gross for row in block.ledgers[0].equity)


def configurations():
    """Settings that may stand in one block, and a strategy for each."""
    common = {"instruments": SYMBOLS}
    return [
        (settings(START, END, **common, **changes), random_weights(seed, low, 0.2))
        for seed, low, changes in (
            (1, 0.0, {}),
            (2, 0.0, {"slippage_bps": 25.0, "band": 0.02}),
            (3, -0.5, {"impact": 0.1, "participation": 0.02, "fee_multiple": 3.0}),
            (4, 0.0, {"capital": 30_000.0, "fee_multiple": 0.0}),
            (5, -0.5, {"leverage": 2.0, "capital": 5e7}),
            (6, 0.0, {"leverage": 0.5}),
        )
    ]


def scaled(one):
    """Return a new strategy of a configuration, its weights within the leverage."""
    given, make = one
    script = make()
    plan = script.plan
    script.plan = lambda view: {k: min(1.0, given.leverage) * w for k, w in (plan(view) or {}).items()}
    return script


def columnar(market, chosen, **options):
    issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
    given = [each for each, _ in chosen]
    targets = DecideTargets(market, [scaled(one) for one in chosen], given, None, issuers)
    return run_columnar(market, given, targets, *FACTS, **options)


def test_a_configuration_gets_the_same_bits_alone_and_in_a_block(world):
    market = rough_world(world, 11).market(settings(START, END, instruments=SYMBOLS))
    issuers = {symbol: worlds.UNIVERSE.instrument(symbol).issuer for symbol in market.symbols}
    chosen = configurations()
    together = columnar(market, chosen, keep="ledger")
    assert together.equity.tobytes() == columnar(market, chosen).equity.tobytes()
    for lane, one in enumerate(chosen):
        alone = columnar(market, [one], keep="ledger")
        assert alone.equity[:, 0].tobytes() == together.equity[:, lane].tobytes()
        assert alone.ledgers[0] == together.ledgers[lane]
        account = run_event_driven(market, one[0], scaled(one), None, issuers, *FACTS)
        assert len(account.ledger.fills) > 30
        same(account, alone)
