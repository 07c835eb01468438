"""One measurement of a sweep in a process of its own: prints seconds and peak memory as JSON.

``python -m benchmarks.sweep_run C CONFIGURATIONS FILE`` sweeps the demo's warehouse; ``D HEADLINES FILE`` builds the
signals of a warehouse made by ``fill HEADLINES FILE`` and sweeps 7 half-lives x 3 themes x 20 thresholds.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.sweep import longest_span, run_sweep
from chipwire.engine.sweep_grid import Grid, make_grid
from chipwire.engine.workers import default_jobs
from chipwire.signals.build import build_signals, resolve_model
from chipwire.signals.linking import Linker
from chipwire.strategies.theme_momentum import ThemeMomentum

EMBEDDING = 128  # numbers, as the shipped reader gives
OLD = ("signal", "score", "reading", "mention", "linked", "headline", "sweep", "sweep_row")


def main() -> None:
    """Run one workload."""
    workload, count, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    with Warehouse.open(path, write=True, create=False) as warehouse:
        if workload == "fill":
            fill(warehouse, count)
            return
        started, parts = time.perf_counter(), {}
        if workload == "D":
            build_signals(warehouse, load_universe())
            parts["signals"] = time.perf_counter() - started
        done = run_sweep(
            warehouse, load_universe(), ThemeMomentum, grid(warehouse, workload, count), jobs=default_jobs()
        )
        seconds = time.perf_counter() - started
    used, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = sum(each.ru_utime + each.ru_stime for each in (used, workers))
    # Of the workers the largest is known: no more than this process and as many of that size.
    peak_mb = (used.ru_maxrss + (default_jobs() * workers.ru_maxrss if workers.ru_utime > 1.0 else 0)) / 1024
    print(
        json.dumps(
            {
                "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak_mb,
                "configurations": done.configurations, "failed": done.failed, **parts,
            }
        )
    )  # fmt: skip


def fill(warehouse: Warehouse, count: int) -> None:
    """Replace the news of a warehouse by made-up scored headlines."""
    universe = load_universe()
    given = {
        "rows": count, "model": resolve_model(warehouse, None), "linker": Linker(universe).id,
        "size": EMBEDDING, "issuers": sorted({i.issuer for i in universe.instruments.values() if i.issuer is not None}),
    }  # fmt: skip
    for table in OLD:
        warehouse.run(f"DELETE FROM {table}")  # noqa: S608 - names are ours
    for statement in load_sql("benchmarks", "scored.sql").split(";\n"):
        own = {name: value for name, value in given.items() if f"${name}" in statement}
        warehouse.run(statement, own)
    warehouse.touch(*OLD)


def grid(warehouse: Warehouse, workload: str, count: int) -> Grid:
    """Return what is swept: over the longest span that the warehouse allows."""
    start, end = longest_span(warehouse, ThemeMomentum)
    span = {"start": start.isoformat(), "end": end.isoformat()}
    if workload == "D":
        params = [("half_life", "1,2,3,5,8,13,21"), ("themes", "ai_models,localization,sanctions")]
        return make_grid(ThemeMomentum, [*params, ("threshold", "0.05:1:0.05")], span)
    params = [("half_life", "1,2,3,5,8,13,21,34,55,89"), ("top_k", "1:10:1"), ("lookback", "10,30")]
    steps = count // 200
    return make_grid(ThemeMomentum, [*params, ("threshold", f"0.001:{steps / 1000:g}:0.001")], span)


if __name__ == "__main__":
    main()
