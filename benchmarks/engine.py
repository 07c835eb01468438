"""The engine beside vectorbt and plain backtrader, on the same prices and targets; each run is a process of its own.

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

PEERS = ("vectorbt>=1.2,<1.3", "backtrader")
ROOT = Path(__file__).parent.parent
HOME = Path(tempfile.gettempdir()) / "chipwire-bench-peers"


def main() -> None:
    """Measure and print the table."""
    python = peers()
    print(f"{'what':<66}{'seconds':>9}{'peak MB':>9}  times faster")
    with tempfile.TemporaryDirectory(prefix="chipwire-bench-") as name:
        folder = Path(name)
        off = own("A-off", folder)
        bird = peer(python, "vectorbt", folder / "A-off.npz")
        show("A: 500 x 12 x 1900, vectorbt warm, simulation and three metrics", bird)
        show("A: 500 x 12 x 1900, chipwire, rules off, one auction a session", off, bird)
        show("A: 500 x 12 x 1900, chipwire, every rule, three venues", own("A-rules", folder), bird)
        show("A: the same, targets that run short of cash at most auctions", own("A-tight", folder), bird)
        agree("vectorbt", off, bird)
        single = own("B-off", folder)
        plain = peer(python, "backtrader", folder / "B-off.npz")
        show("B: 1 x 12 x 1900, plain backtrader", plain)
        show("B: 1 x 12 x 1900, chipwire, every rule, each session decided", own("B-each", folder), plain)
        show("B: 1 x 12 x 1900, chipwire, every rule, one session in ten", own("B-tenth", folder), plain)
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


def show(what: str, found: dict[str, Any] | None, beside: dict[str, Any] | None = None) -> None:
    """Print one line of the table."""
    if found is not None:
        ratio = f"{beside['seconds'] / found['seconds']:>8.1f}" if beside else ""
        print(f"{what:<66}{found['seconds']:>9.3f}{found['peak_mb']:>9.0f}{ratio}", flush=True)


def agree(name: str, found: dict[str, Any], other: dict[str, Any] | None) -> None:
    """Print by how much the total returns differ at most."""
    if other is not None:
        pairs = zip(found["total_return"], other["total_return"], strict=True)
        apart = max(abs(left - right) for left, right in pairs)
        print(f"total returns, rules off, differ from {name}'s by at most {apart:.1e}", flush=True)


if __name__ == "__main__":
    main()
