"""One measurement of the engine in a process of its own: prints seconds, peak memory and total returns as JSON.

``python -m benchmarks.engine_run WORKLOAD FOLDER``, where the folder is for what the peers shall read.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine_market import ONE_VENUE, SESSIONS, make_market, make_weights, settings
from chipwire.data.fees import FeeTable, load_fees
from chipwire.data.market_rules import MarketRules, load_market_rules
from chipwire.engine.columnar import run_columnar
from chipwire.engine.event import run_event_driven
from chipwire.engine.market import Market
from chipwire.engine.settings import Settings
from chipwire.engine.targets import PanelTargets
from chipwire.strategies.base import Strategy

Weights = dict[str, NDArray[np.float64]]
WORKLOADS = {
    # name: configurations, part of sessions decided, sum of weights, rules on
    "A-rules": (500, 1.0, 0.5, True),
    "A-tight": (500, 1.0, 0.9, True),
    "A-short": (500, 1.0, 0.5, True),
    # Without rules all twelve trade in one auction a session, as the peers have it.
    "A-off": (500, 1.0, 0.5, False),
    "B-each": (1, 1.0, 0.5, True),
    "B-tenth": (1, 0.1, 0.5, True),
    "B-off": (1, 1.0, 0.5, False),
    "B-event": (1, 1.0, 0.5, True),
    "B-event-off": (1, 1.0, 0.5, False),
}


class Given(Strategy):
    """Weights made beforehand, for the engine that asks decision by decision."""

    name = "given"
    reads_signals = False

    def __init__(self, market: Market, weights: Weights) -> None:
        super().__init__()
        self._by_day = {
            (place.mic, day): dict(zip((each.symbol for each in place.instruments), row, strict=True))
            for place in market.venues
            for day, row in zip(place.session.tolist(), weights[place.mic][0].tolist(), strict=True)
        }

    def decide(self, view):
        """Return the weights of the session."""
        return self._by_day[view.venue, view.session]


def main() -> None:
    """Run one workload three times and print the better of the last two."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    configurations, active, gross, rules_on = WORKLOADS[name]
    market = make_market(SESSIONS) if rules_on else make_market(SESSIONS, symbols=ONE_VENUE)
    # With much capital a whole share is a small part: peers that trade parts of shares can be compared with.
    given = settings() if rules_on else settings(capital=1e13)
    fees, rules = load_fees(), load_market_rules()
    if not rules_on:
        market, fees, rules = without_rules(market), FeeTable(()), MarketRules((), (), (), ())
        given = replace(given, slippage_bps=0.0)
    weights = make_weights(market, configurations, gross=gross, active=active)
    if not rules_on:
        place = market.venues[0]
        np.savez(folder / f"{name}.npz", open=place.open, close=place.close, weights=weights[place.mic],
                 capital=given.capital)  # fmt: skip
    if name == "A-short":
        weights["XNYS"] *= np.random.default_rng(3).choice([1.0, 1.0, -1.0], size=(configurations, 1, 4))
    run = event_by_event if name.startswith("B-event") else side_by_side
    measured = []
    for _ in range(3):
        started = time.perf_counter(), time.process_time()
        last = run(market, given, weights, fees, rules)
        measured.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    seconds, cpu_seconds = min(measured[1:])
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "total_return": (last / given.capital - 1.0).tolist(),
            }
        )
    )


def side_by_side(
    market: Market, given: Settings, weights: Weights, fees: FeeTable, rules: MarketRules
) -> NDArray[np.float64]:
    """Return the last equity of all configurations, from the columnar engine."""
    return run_columnar(market, given, PanelTargets(market, weights), fees, rules).equity[-1]


def event_by_event(
    market: Market, given: Settings, weights: Weights, fees: FeeTable, rules: MarketRules
) -> NDArray[np.float64]:
    """Return the last equity of the one configuration, from the backtrader engine."""
    issuers = dict.fromkeys(market.symbols)
    account = run_event_driven(market, given, Given(market, weights), None, issuers, fees, rules)
    return np.array([account.ledger.equity[-1].equity])


def without_rules(market: Market) -> Market:
    """Return the same prices with single shares and volumes that bind nobody."""
    return replace(
        market,
        venues=tuple(
            replace(
                venue, volume=np.full_like(venue.volume, np.nan),
                instruments=tuple(replace(instrument, lot=1) for instrument in venue.instruments),
            )
            for venue in market.venues
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
