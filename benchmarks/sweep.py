"""Sweeps of the whole program: from stored signals (C) and from a million scored headlines (D) to stored figures.

Prices are those of the demo's warehouse, which is made first.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.engine import ROOT, run

CHIPWIRE = str(Path(sys.executable).with_name("chipwire"))
SWEEP_RUN = (sys.executable, "-m", "benchmarks.sweep_run")


def main(configurations: int, headlines: int) -> None:
    """Measure and print the table."""
    print(f"{'what':<56}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}  promised")
    with tempfile.TemporaryDirectory(prefix="chipwire-bench-") as name:
        demo = Path(name) / "demo"
        subprocess.run([CHIPWIRE, "demo", "--out", str(demo)], check=True, capture_output=True)
        for count in sorted({max(configurations // 10, 2_000), configurations}):
            show(
                f"C: {count:,} configurations on the demo's universe",
                "C",
                count,
                demo,
                "linear, under 2,000 MB (all processes)",
            )
        own([*SWEEP_RUN, "fill", str(headlines), str(demo / "demo.duckdb")])
        show(
            f"D: {headlines:,} scored headlines, novelty, 420 configurations",
            "D",
            headlines,
            demo,
            "embeddings, under 3,000 MB",
        )


def own(command: list[str]) -> None:
    """Run a command that prints nothing of use."""
    subprocess.run(command, cwd=ROOT, check=True)


def show(what: str, workload: str, count: int, demo: Path, promised: str) -> None:
    """Run a workload on a copy of the warehouse and print one line."""
    path = demo / "copy.duckdb"
    shutil.copyfile(demo / "demo.duckdb", path)
    try:
        found = run([*SWEEP_RUN, workload, str(count), str(path)])
    finally:
        for left in demo.glob("copy.duckdb*"):
            left.unlink()
    numbers = f"{found['seconds']:>9.1f}{found['cpu_seconds']:>9.1f}{found['peak_mb']:>9.0f}"
    print(f"{what:<56}{numbers}  {promised}", flush=True)


if __name__ == "__main__":
    main(100_000, 1_000_000)
