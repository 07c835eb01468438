"""``python -m benchmarks``: what the project promises about its own speed and memory, measured on this machine.

Each line is the median of whole processes; machines differ and are noisy, so compare lines of one call only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.headlines import write_csv, write_jsonl
from benchmarks.measure import Measured, measure

CHIPWIRE = str(Path(sys.executable).with_name("chipwire"))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", nargs="?", choices=["program", "engine", "sweep", "report", "truth"], default="program",
        help="the program, the engine beside its peers, sweeps, the pages, or known worlds [program]",
    )  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="runs of each command [3]")
    parser.add_argument("--headlines", type=int, default=200_000, help="rows for the ingest rates [200000]")
    parser.add_argument("--large", type=int, default=1_000_000, help="rows of the one large file [1000000]")
    parser.add_argument("--configurations", type=int, default=100_000, help="of the larger sweep [100000]")
    parser.add_argument("--empty", type=int, default=200, help="known worlds without an edge [200]")
    parser.add_argument("--planted", type=int, default=100, help="known worlds with one [100]")
    chosen = parser.parse_args()
    # Imported where they are used: what this process holds when it starts a command counts as the command's peak.
    if chosen.what == "engine":
        from benchmarks import engine

        engine.main()
        return
    if chosen.what == "sweep":
        from benchmarks import sweep

        sweep.main(chosen.configurations, chosen.large)
        return
    if chosen.what == "truth":
        from benchmarks import truth

        truth.main(chosen.empty, chosen.planted)
        return
    if chosen.what == "report":
        from benchmarks import report

        report.main(chosen.runs)
        return
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {chosen.runs} runs each, medians")
    print(f"{'what':<44}{'seconds':>9}{'peak MB':>9}  {'rate':<16}promised")
    with tempfile.TemporaryDirectory(prefix="chipwire-bench-") as name:
        folder = Path(name)
        line("chipwire --help", measure([CHIPWIRE, "--help"], folder, runs=max(5, chosen.runs)), "under 0.3 s")
        demo(folder, chosen.runs)
        rates(folder, chosen.runs, chosen.headlines)
        large(folder, chosen.large)


def line(what: str, found: Measured, promised: str, rows: int = 0) -> None:
    """Print one line of the table."""
    rate = f"{rows / found.median_seconds:,.0f} rows/s" if rows else ""
    print(f"{what:<44}{found.median_seconds:>9.2f}{found.peak_bytes / 1e6:>9.0f}  {rate:<16}{promised}", flush=True)


def demo(folder: Path, runs: int) -> None:
    """Measure the demo from nothing."""
    out = folder / "demo"
    found = measure(
        [CHIPWIRE, "demo", "--out", str(out)], folder, runs=runs, before=lambda: shutil.rmtree(out, ignore_errors=True)
    )
    line("chipwire demo", found, "under 60 s and 1,500 MB")


def rates(folder: Path, runs: int, rows: int) -> None:
    """Measure news ingest on csv and jsonl."""
    for kind, write in (("csv", write_csv), ("jsonl", write_jsonl)):
        path = folder / f"news.{kind}"
        write(path, rows)
        line(f"ingest news, {rows:,} rows of {kind}", ingest(folder, path, runs), "20,000 rows/s", rows)


def large(folder: Path, rows: int) -> None:
    """Measure one large file."""
    path = folder / "large.csv"
    write_csv(path, rows)
    line(f"ingest news, {rows:,} rows in one csv", ingest(folder, path, 1), "under 1,000 MB", rows)


def ingest(folder: Path, path: Path, runs: int) -> Measured:
    """Ingest a file into a new warehouse."""

    def fresh() -> None:
        for old in folder.glob("bench.duckdb*"):
            old.unlink()

    return measure([CHIPWIRE, "--db", "bench.duckdb", "ingest", "news", str(path)], folder, runs=runs, before=fresh)


if __name__ == "__main__":
    main()
