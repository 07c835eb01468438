"""Build the wheel and compare its contents with the tracked files: what imports in place must also be shipped.

Run from the root of a checkout: ``python tests/tools/check_wheel.py``; exit 1 and one line for each difference.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = ("data", "signals", "strategies", "engine", "reports")
ROOT_FILES = {"__init__.py", "cli.py"}


def tracked(root: Path) -> set[str]:
    """Return the tracked files that belong into the wheel, as paths inside it."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {f"chipwire/{name}" for name in names if name in ROOT_FILES or name.split("/")[0] in PACKAGES}


def build(root: Path) -> Path:
    """Build the wheel into ``dist`` and return it."""
    for folder in ("build", "dist"):
        shutil.rmtree(root / folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", "dist", "."], cwd=root, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return next((root / "dist").glob("*.whl"))


def main() -> int:
    """Print the differences and return their number, at most 1."""
    root = Path(__file__).resolve().parents[2]
    wheel = build(root)
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = tracked(root)
    for name in sorted(expected - shipped):
        print(f"tracked but not in the wheel: {name}")
    for name in sorted(shipped - expected):
        print(f"in the wheel but not tracked: {name}")
    megabytes = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {len(shipped)} files, {megabytes:.1f} MB")
    return int(shipped != expected)


if __name__ == "__main__":
    sys.exit(main())
