"""Does the whole chain find an edge that is there, and none that is not? Known worlds, one after another.

In each world 200 configurations of theme-momentum are swept, the best by Sharpe ratio is taken, and called real when
it beats the best of 200 on every one of 19 placebos (p = 0.05, paid for the choice). Worlds differ by their seed only.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist
from typing import Any

from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import load_book
from chipwire.engine.market import load_market
from chipwire.engine.settings import Settings
from chipwire.engine.sweep_task import Loaded
from chipwire.engine.validation.edge import Edge, measure_edge
from chipwire.engine.validation.placebo import Subject, placebo_test
from chipwire.engine.validation.placebo_news import issuer_groups
from chipwire.engine.validation.worlds import Recipe, store_world
from chipwire.strategies.theme_momentum import ThemeMomentum

PLACEBOS = 19
IC = 0.05


def configurations() -> list[dict[str, Any]]:
    """Return 200 configurations: half-life, threshold, places and lookback, bought with nine tenths of the equity."""
    grid = product((1.0, 2.0, 3.0, 5.0, 8.0), (0.0, 0.25, 0.5, 1.0), (2, 3, 4, 6, 8), (10.0, 30.0))
    return [
        ThemeMomentum(half_life=half_life, threshold=threshold, top_k=top_k, lookback=lookback, gross=0.9).values
        for half_life, threshold, top_k, lookback in grid
    ]


def one_world(job: tuple[float, int]) -> tuple[float, int, bool, Edge]:
    """Return whether the best of a world's sweep is called real, and the measured edge."""
    ic, seed = job
    universe, recipe = load_universe(), replace(Recipe(), ic=ic)
    given = Settings(start=recipe.start, end=recipe.end, instruments=recipe.instruments)
    with (
        tempfile.TemporaryDirectory(prefix="chipwire-truth-") as folder,
        Warehouse.open(Path(folder) / "w.duckdb", write=True, threads=1) as warehouse,
    ):
        store_world(warehouse, universe, recipe, seed)
        market = load_market(warehouse, universe, given)
        book, model, _ = load_book(warehouse, universe, ThemeMomentum, given, None)
    issuers = {name: universe.instrument(name).issuer for name in market.symbols}
    loaded = Loaded(market, book, issuers, model, "")
    edge = measure_edge(loaded, themes=None, half_life_days=recipe.half_life)
    values = configurations()
    groups = issuer_groups(universe, sorted({str(name) for name in issuers.values()}))
    subject = Subject(ThemeMomentum, values, [given] * len(values), loaded, groups)
    [found] = placebo_test(subject, ["times"], PLACEBOS, seed=seed, stop_after=1)
    return ic, seed, all(value < found.real for value in found.values), edge


def main(empty: int, planted: int) -> None:
    """Run all worlds on all cores and print how often each answer was right."""
    jobs = [(0.0, seed) for seed in range(1, empty + 1)] + [(IC, seed) for seed in range(1001, 1001 + planted)]
    began = time.perf_counter()
    results = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for number, result in enumerate(pool.map(one_world, jobs), start=1):
            results.append(result)
            ic, seed, real, edge = result
            print(f"{number}/{len(jobs)} ic {ic:g} seed {seed}: {'real' if real else 'not real'}, "
                  f"measured {edge.ic:+.4f} ({edge.low:+.4f} to {edge.high:+.4f})", flush=True)  # fmt: skip
    minutes = (time.perf_counter() - began) / 60
    print(f"\n{len(configurations())} configurations, {PLACEBOS} placebos, {minutes:.0f} minutes")
    for ic, asked in ((0.0, "at most 5%"), (IC, "at least 90%")):
        called = [real for own, _, real, _ in results if own == ic]
        covered = [edge.low <= ic <= edge.high for own, _, _, edge in results if own == ic]
        if called:
            print(f"edge {ic:g}: called real {share(called)}, asked {asked}; "
                  f"interval covers the truth {share(covered)}, asked 90% to 97%")  # fmt: skip


def share(found: Sequence[bool]) -> str:
    """Return a share with its Wilson interval (E. B. Wilson, JASA 22, 1927)."""
    n, p, z = len(found), sum(found) / len(found), NormalDist().inv_cdf(0.975)
    centre, reach = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((centre + sign * reach) / (1 + z * z / n) for sign in (-1, 1))
    return f"{sum(found)} of {n} ({p:.1%}; {low:.1%} to {high:.1%})"
