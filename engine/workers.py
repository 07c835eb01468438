"""Worker processes: the same function on several cores, its results in the order of what was asked.

Workers are spawned, so that they share nothing with this process, and each has one pipe to it. An interrupt from the
keyboard is for this process alone, which then ends them; where it is killed, they end themselves. A worker works on
its main thread, where time limits can interrupt.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from typing import Any, Self

from chipwire.data.errors import ChipwireError, DomainError

MOST_JOBS = 8
"""Workers that a command starts of itself: each takes memory, and one process stores what all of them find."""

Tell = Callable[[int], None]
Work = Callable[[Any, Tell], Any]

_PREPARE, _WORK = "prepare", "work"
_PROGRESS, _RESULT, _REFUSED, _BROKEN = "progress", "result", "refused", "broken"


def default_jobs() -> int:
    """Return how many workers a command starts unless told: one for each core that it may use, at most `MOST_JOBS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_JOBS)


class Workers:
    """Some worker processes; they end with the ``with`` block.

    Parameters
    ----------
    count : int
    """

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._processes: list[Any] = []
        self._pipes: list[connection.Connection] = []
        with _no_interrupt():
            for _ in range(count):
                own, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(process)
                self._pipes.append(own)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            process.kill()  # a worker has nothing to put in order
            process.join()
            process.close()
            pipe.close()

    def prepare(self, make: Callable[..., Work], *args: Any) -> None:
        """Let each worker make its function: ``make(*args)`` is called there, before what is asked next."""
        for place in range(len(self._pipes)):
            self._send(place, (_PREPARE, make, args))

    def ordered(self, items: Sequence[Any], tell: Callable[[int, int], None]) -> Iterator[Any]:
        """Yield the function's result for each item, in order.

        Parameters
        ----------
        tell : callable
            Called with the number of an item and what its worker told of it so far.

        Raises
        ------
        DomainError
            The function raised such an error, or a worker was killed.
        RuntimeError
            It raised anything else; with the worker's traceback.
        """
        found: dict[int, Any] = {}
        under_way: dict[int, int] = {}  # item by worker
        asked = given = 0
        idle = list(range(len(self._pipes)))
        while given < len(items):
            while idle and asked < len(items):
                place = idle.pop()
                self._send(place, (_WORK, items[asked]))
                under_way[place] = asked
                asked += 1
            while given in found:
                yield found.pop(given)
                given += 1
            if not under_way:
                continue
            ready = connection.wait([self._pipes[place] for place in under_way])
            for place in [place for place in under_way if self._pipes[place] in ready]:
                kind, answer = self._receive(place)
                if kind == _PROGRESS:
                    tell(under_way[place], answer)
                else:
                    found[under_way.pop(place)] = answer
                    idle.append(place)

    def _send(self, place: int, what: Any) -> None:
        try:
            self._pipes[place].send(what)
        except OSError as error:
            raise self._lost(place) from error

    def _receive(self, place: int) -> tuple[str, Any]:
        try:
            kind, answer = self._pipes[place].recv()
        except (EOFError, OSError) as error:
            raise self._lost(place) from error
        if kind == _REFUSED:
            raise DomainError(answer)
        if kind == _BROKEN:
            raise RuntimeError(f"in a worker process:\n{answer}")
        return kind, answer

    def _lost(self, place: int) -> DomainError:
        self._processes[place].join(1.0)
        code = self._processes[place].exitcode
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return DomainError(
            f"a worker process {how}, perhaps for want of memory; what is done is stored: the same call goes on, "
            "with --jobs 1 in one process"
        )


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold back interrupts; a process that is started meanwhile never gets any."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: connection.Connection) -> None:
    """Answer until this process is ended: the main function of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout = sys.stderr  # what a strategy prints is no data
    work: Work | None = None
    with suppress(EOFError, BrokenPipeError):
        while True:
            try:
                kind, *given = pipe.recv()
                if kind == _PREPARE:
                    work = given[0](*given[1])
                    continue
                assert work is not None  # noqa: S101 - `prepare` comes first
                answer = _RESULT, work(given[0], lambda done: pipe.send((_PROGRESS, done)))
            except (EOFError, BrokenPipeError):
                raise
            except ChipwireError as error:
                answer = _REFUSED, str(error)
            except Exception:
                answer = _BROKEN, traceback.format_exc()
            pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
