"""The engine beside vectorbt and plain backtrader, on the same prices and targets; each run is a process of its own.

Times are those of the wall, on which the ratios stand; where CPU seconds are much less, the machine was busy otherwise.
The peers are installed into a virtual environment of their own, once; without a network one line says so and only
chipwire is measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from benchmarks.engine_market import END, START, SYMBOLS
from benchmarks.measure import measure

PEERS = ("vectorbt>=1.2,<1.3", "backtrader")
ROOT = Path(__file__).parent.parent
CHIPWIRE = str(Path(sys.executable).with_name("chipwire"))
HOME = Path(tempfile.gettempdir()) / "chipwire-bench-peers"


def main() -> None:
    """Measure and print the table."""
    python = peers()
    print(f"{'what':<68}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}{'times':>8}  promised")
    with tempfile.TemporaryDirectory(prefix="chipwire-bench-") as name:
        folder = Path(name)
        off = own("A-off", folder)
        bird = peer(python, "vectorbt", folder / "A-off.npz")
        show("A: 500 x 12 x 1900, vectorbt warm, simulation and three metrics", bird)
        tenth = f"; memory at most {bird['peak_mb'] / 10:.0f} MB, a tenth" if bird else ""
        show("A: rules off, one auction a session", off, bird, f"30 times faster{tenth}")
        show("A: every rule, three venues", own("A-rules", folder), bird, f"12 times faster{tenth}")
        show("A: every rule, short of cash at most auctions", own("A-tight", folder), bird)
        show("A: every rule, a third of the New York positions short", own("A-short", folder), bird)
        agree("vectorbt", off, bird)
        single = own("B-off", folder)
        plain = peer(python, "backtrader", folder / "B-off.npz")
        show("B: 1 x 12 x 1900, plain backtrader", plain)
        show("B: every rule, each session decided", own("B-each", folder), plain, "10 times faster")
        show("B: every rule, one session in ten decided", own("B-tenth", folder), plain, "40 times faster")
        show("B: backtrader engine, rules off", own("B-event-off", folder), plain, "at least 0.33: within 3 times")
        show("B: backtrader engine, every rule, three venues", own("B-event", folder), plain)
        show("B: the whole command, every rule, each session decided", command(folder), plain, "under 2 s")
        agree("backtrader", single, plain)


def peers() -> Path | None:
    """Return the Python of the peers' environment, None where it cannot be made."""
    python = HOME / "bin" / "python"
    if not (HOME / "ready").exists():
        venv.create(HOME, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"the peers could not be installed ({last}); only chipwire is measured", file=sys.stderr)
            return None
        (HOME / "ready").touch()
    return python


def own(workload: str, folder: Path) -> dict[str, Any]:
    """Measure chipwire."""
    return run([sys.executable, "-m", "benchmarks.engine_run", workload, str(folder)])


def peer(python: Path | None, name: str, data: Path) -> dict[str, Any] | None:
    """Measure a peer."""
    return run([str(python), str(ROOT / "benchmarks" / "engine_peers.py"), name, str(data)]) if python else None


def run(command: list[str]) -> dict[str, Any]:
    """Run a command and return the JSON of its last line.

    Raises
    ------
    SystemExit
        The command failed; its last line is shown.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def command(folder: Path) -> dict[str, Any]:
    """Measure ``chipwire backtest`` on a warehouse and a targets file of the same market."""
    own_command = [CHIPWIRE, "--db", str(folder / "bench.duckdb")]
    subprocess.run([sys.executable, "-m", "benchmarks.engine_command", str(folder)], cwd=ROOT, check=True)
    for what in (("prices", "bars.csv"), ("fx", "rates.csv")):
        subprocess.run([*own_command, "ingest", what[0], str(folder / what[1])], check=True, capture_output=True)
    span = ["--start", START.isoformat(), "--end", END.isoformat()]
    instruments = ",".join(symbol for symbols in SYMBOLS.values() for symbol in symbols)
    run = ["targets-file", "-p", f"path={folder / 'targets.csv'}", "--engine", "columnar", "--band", "0", "--json"]
    found = measure([*own_command, "backtest", *run, *span, "--instruments", instruments], folder, runs=3)
    return {"seconds": found.median_seconds, "peak_mb": found.peak_bytes / 2**20}


def show(what: str, found: dict[str, Any] | None, beside: dict[str, Any] | None = None, promised: str = "") -> None:
    """Print one line of the table."""
    if found is not None:
        ratio = f"{beside['seconds'] / found['seconds']:.1f}" if beside else ""
        cpu = f"{found['cpu_seconds']:.3f}" if "cpu_seconds" in found else ""
        numbers = f"{found['seconds']:>9.3f}{cpu:>8}{found['peak_mb']:>9.0f}{ratio:>8}"
        print(f"{what:<68}{numbers}  {promised}".rstrip(), flush=True)


def agree(name: str, found: dict[str, Any], other: dict[str, Any] | None) -> None:
    """Print by how much the total returns differ at most."""
    if other is not None:
        pairs = zip(found["total_return"], other["total_return"], strict=True)
        apart = max(abs(left - right) for left, right in pairs)
        print(f"total returns, rules off, differ from {name}'s by at most {apart:.1e}; promised 1e-06", flush=True)


if __name__ == "__main__":
    main()
