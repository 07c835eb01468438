"""What is said on stderr: progress, summaries, warnings, errors; never data."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

Advance = Callable[[int, int], None]
PLAIN_EVERY_S = 10.0


class Console:
    """Speaks to a person on stderr; quiet when asked, plain when piped.

    Parameters
    ----------
    verbose : int
        1 shows details.
    quiet : bool
        Only errors.
    """

    def __init__(self, *, verbose: int = 0, quiet: bool = False) -> None:
        self.verbose = verbose
        self.quiet = quiet

    def say(self, line: str) -> None:
        """Tell what was done."""
        if not self.quiet:
            _write(line)

    def detail(self, line: str) -> None:
        """Tell what only some want to know."""
        if self.verbose and not self.quiet:
            _write(line)

    def warn(self, line: str) -> None:
        """Tell what the reader of a result has to know."""
        if not self.quiet:
            _write(f"note: {line}")

    def error(self, line: str) -> None:
        """Tell what went wrong."""
        _write(f"error: {line}")

    @contextlib.contextmanager
    def progress(self, label: str, *, plain: bool = False) -> Iterator[Advance | None]:
        """Show a bar with rate and time left while the block runs; nothing when quiet.

        When piped, nothing either, or with `plain` a line from time to time.
        """
        if self.quiet or not sys.stderr.isatty():
            yield _plain_progress(label) if plain and not self.quiet else None
            return
        from rich.console import Console as Screen
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=Screen(file=sys.stderr), transient=True) as bar:
            task = bar.add_task(label, total=None, rate="")

            def advance(done: int, total: int) -> None:
                speed = bar.tasks[0].speed
                rate = f"{speed:,.0f}/s" if speed else ""
                bar.update(task, completed=done, total=total or None, rate=rate)

            yield advance


def _plain_progress(label: str) -> Advance:
    """Return what writes a line with rate and time left, at most one in `PLAIN_EVERY_S` seconds."""
    began = last = time.monotonic()
    first: int | None = None

    def advance(done: int, total: int) -> None:
        nonlocal last, first
        now = time.monotonic()
        first = done if first is None else first
        if now - last < PLAIN_EVERY_S or done <= first or now <= began:
            return
        last = now
        rate = (done - first) / (now - began)
        left = timedelta(seconds=round((total - done) / rate))
        _write(f"{label}: {done:,} of {total:,}, {rate:,.1f}/s, {left} left")

    return advance


def _write(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is where chipwire speaks
