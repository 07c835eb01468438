"""Run a command as a whole process, several times, and keep its wall time and peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """Wall seconds of each run, and the largest peak of resident memory in bytes."""

    seconds: tuple[float, ...]
    peak_bytes: int

    @property
    def median_seconds(self) -> float:
        """Middle of the runs."""
        return statistics.median(self.seconds)


def measure(command: Sequence[str], folder: Path, *, runs: int, before: Callable[[], None] | None = None) -> Measured:
    """Run `command` in `folder`, each time after `before`.

    Raises
    ------
    SystemExit
        The command failed; its last line is shown.
    """
    seconds, peak = [], 0
    for _ in range(runs):
        if before:
            before()
        with (folder / "output.txt").open("w+") as output:
            started = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
            # wait4 gives this child's own peak; getrusage would give the largest of all children so far.
            _, status, usage = os.wait4(process.pid, 0)
            seconds.append(time.perf_counter() - started)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                raise SystemExit(f"{' '.join(command)} failed: {output.read().strip().splitlines()[-1]}")
        peak = max(peak, usage.ru_maxrss * 1024)
    return Measured(tuple(seconds), peak)
