"""The set-wise forms give, decision by decision, what decide gives."""

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.engine.panels import DuckPanels
from chipwire.engine.view import load_signals
from chipwire.strategies.benchmarks import BuyAndHold, EqualWeight
from chipwire.strategies.event_drift import EventDrift
from chipwire.strategies.placebo import RandomPlacebo
from chipwire.strategies.sanctions_pair import SanctionsPair
from chipwire.strategies.targets_file import TargetsFile
from chipwire.strategies.theme_momentum import ThemeMomentum

warehouse, settings = worlds.warehouse, worlds.settings
written = worlds.written

START, END = "2024-01-02", "2024-02-15"
ISSUERS = {"688981.SS": "SMIC", "0981.HK": "SMIC", "NVDA": "NVIDIA", "AMD": "AMD", "INTC": "INTEL", "SMH": None}


@pytest.fixture
def noisy(written):
    """Return a world of six instruments at three venues with two hundred random signals, ties among them."""
    for seed, symbol in enumerate(ISSUERS):
        written.walk(symbol, "2023-12-01", END, 50.0, seed)
    written.fx("CNY", {"2023-12-20": 7.0}).fx("HKD", {"2023-12-20": 8.0}).model()
    random = np.random.default_rng(7)
    rows = []
    for number in range(200):
        at = np.datetime64("2023-12-20T00:00") + np.timedelta64(int(random.integers(0, 57 * 1440)), "m")
        rows.append({
            "issuer": str(random.choice(["SMIC", "NVIDIA", "AMD", "INTEL", "TSMC"])), "at": str(at),
            "value": float(random.choice([-0.9, -0.5, 0.5, 0.5, 0.9])), "headline": f"h{number}",
            "theme": str(random.choice(["sanctions", "ai_models", "localization", "none"])),
        })  # fmt: skip
    return written.signals(rows)


@pytest.fixture
def given():
    return settings(START, END, instruments=tuple(ISSUERS), leverage=4.0)


def stacked(world, given, kind, configurations):
    """Return the set-wise weights of all configurations as {(configuration, instant, instrument): weight}."""
    market = world.market(given)
    book = load_signals(world.warehouse, given, worlds.MODEL, worlds.LINKER) if kind.reads_signals else None
    panels = DuckPanels(market, book, {name: ISSUERS[name] for name in market.symbols})
    found = kind.targets_setwise(panels, [kind(**values).values for values in configurations])
    weights = {}
    for venue in panels.venues:
        array = found[venue.mic]
        assert array.shape == (len(configurations), len(venue.decide_at), len(venue.instruments))
        for place in np.argwhere(~np.isnan(array)):
            number, row, column = map(int, place)
            weights[number, worlds.utc(str(venue.decide_at[row])), venue.instruments[column]] = float(
                array[number, row, column]
            )
    return weights


def decided(world, given, kind, configurations):
    """Return the same from decide, one run for each configuration."""
    return {
        (number, row.decision_at, row.instrument): row.weight
        for number, values in enumerate(configurations)
        for row in world.simulate(kind(**values), given).ledger.targets
    }


MOMENTUM = [
    {},
    {"top_k": 1, "threshold": 0.0},
    {"top_k": 2, "short": True, "gross": 2.0},
    {"half_life": 2.5, "lookback": 4.0, "threshold": 0.5},
    {"themes": "none,sanctions", "threshold": 0.0, "short": True, "top_k": 3},
    {"top_k": 50, "gross": 0.7},
]
PAIRS = [
    {"threshold": 0.0},
    {"pairs": 1, "threshold": 0.3, "alone": True},
    {"domestic": "SMIC,AMD", "suppliers": "NVIDIA, INTEL, AMD", "pairs": 2, "threshold": 0.0, "gross": 2.0},
    {"half_life": 1.5, "lookback": 9.0, "suppliers": "SMIC,INTEL", "domestic": "NVIDIA", "threshold": 0.1},
]
DRIFT = [
    {},
    {"hold": 1, "places": 2, "threshold": 0.0, "min_novelty": 0.0, "short": True},
    {"hold": 3, "places": 1, "themes": "none,sanctions", "gross": 2.0},
    {"hold": 30, "places": 3, "threshold": 0.9, "short": True},
    {"threshold": 1.0},
]
RANDOM = [{}, {"seed": 2, "top_k": 2, "short": True}, {"days": 1, "gross": 3.0}, {"days": 365, "top_k": 1}]


@pytest.mark.parametrize(
    ("kind", "configurations"),
    [
        (ThemeMomentum, MOMENTUM),
        (RandomPlacebo, RANDOM),
        (SanctionsPair, PAIRS),
        (EventDrift, DRIFT),
        (EqualWeight, [{}, {"every": 1}, {"every": 250}, {"every": 4}]),
    ],
)
def test_the_setwise_form_is_decide(noisy, given, kind, configurations):
    one_by_one = decided(noisy, given, kind, configurations)
    assert any(one_by_one.values())
    assert stacked(noisy, given, kind, configurations) == one_by_one


def test_the_setwise_form_of_targets_files_is_decide(noisy, given, tmp_path):
    by_day = tmp_path / "day.csv"
    # Before the run, on its first day, on a holiday of some venues, a weekend, after its end.
    days = ("2023-12-29", "2024-01-01", "2024-01-02", "2024-01-15", "2024-01-20", "2024-01-21", "2024-02-12",
            "2024-05-01")  # fmt: skip
    rows = [f"{day},{name},{0.01 * (n + m + 1):g}" for n, day in enumerate(days) for m, name in enumerate(ISSUERS)]
    by_day.write_text("date,instrument,weight\n" + "\n".join(rows) + "\n", "utf-8")
    by_instant = tmp_path / "at.csv"
    instants = ("2023-12-01T00:00Z", "2024-01-02T01:15Z", "2024-01-02T14:25Z", "2024-01-02T14:26Z",
                "2024-02-10T00:00+08:00", "2024-02-11T00:00Z", "2024-06-01T00:00Z")  # fmt: skip
    rows = [f"{at},{name},{0.01 * (n + m + 1):g}" for n, at in enumerate(instants) for m, name in enumerate(ISSUERS)]
    by_instant.write_text("at,instrument,weight\n" + "\n".join(rows) + "\n", "utf-8")
    configurations = [{"path": str(by_day)}, {"path": str(by_instant)}, {"path": str(by_day)}]
    one_by_one = decided(noisy, given, TargetsFile, configurations)
    assert len(one_by_one) > 30
    assert stacked(noisy, given, TargetsFile, configurations) == one_by_one


def test_the_panels_strength_is_the_sum_of_what_the_view_shows(noisy, given):
    seen = {}

    def decide(view):
        frame = view.signals(themes=["sanctions", "none"], half_life_days=3.0, lookback_days=10.0)
        seen[view.venue, view.now] = frame.groupby("issuer")["strength"].sum().to_dict()

    noisy.simulate(worlds.Reader(decide), given)
    market = noisy.market(given)
    panels = DuckPanels(market, load_signals(noisy.warehouse, given, worlds.MODEL, worlds.LINKER), ISSUERS)
    assert panels.issuers == ("AMD", "INTEL", "NVIDIA", "SMIC")
    for venue in panels.venues:
        strength = venue.strength(themes=["sanctions", "none"], half_life_days=3.0, lookback_days=10.0)
        for row, at in enumerate(venue.decide_at):
            expected = seen[venue.mic, worlds.utc(str(at))]
            assert strength[row] == pytest.approx([expected.get(name, 0.0) for name in panels.issuers], abs=1e-12)


def test_what_depends_on_fills_has_no_setwise_form():
    assert BuyAndHold.targets_setwise(None, [{}]) is None
