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

from benchmarks.engine_market import ONE_VENUE, make_market, make_weights, settings
from chipwire.data.fees import FeeTable, load_fees
from chipwire.data.market_rules import MarketRules, load_market_rules
from chipwire.engine.columnar import run_columnar
from chipwire.engine.market import Market
from chipwire.engine.targets import PanelTargets

SESSIONS = 1900
WORKLOADS = {
    # name: configurations, part of sessions decided, sum of weights, rules on
    "A-rules": (500, 1.0, 0.5, True),
    "A-tight": (500, 1.0, 0.9, True),
    # Without rules all twelve trade in one auction a session, as the peers have it.
    "A-off": (500, 1.0, 0.5, False),
    "B-each": (1, 1.0, 0.5, True),
    "B-tenth": (1, 0.1, 0.5, True),
    "B-off": (1, 1.0, 0.5, False),
}


def main() -> None:
    """Run one workload twice and print the second time."""
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
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        block = run_columnar(market, given, PanelTargets(market, weights), fees, rules)
        seconds.append(time.perf_counter() - started)
    print(
        json.dumps(
            {
                "seconds": min(seconds[1:]),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "total_return": (block.equity[-1] / given.capital - 1.0).tolist(),
            }
        )
    )


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
