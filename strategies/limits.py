"""A time limit for code that is not ours: a strategy's decision, a plugin's import."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from chipwire.data.errors import ChipwireError, TerminatedError

FAULTS = (Exception, SystemExit, GeneratorExit)
"""What code that is not ours may raise by its own fault; `reason` lets through what is not."""

_AGAIN_S = 1.0
"""A strategy that swallows the first alarm gets another one so much later."""


class TooSlowError(Exception):
    """Something took longer than it may."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(f"it took longer than {limit_s:g} s")


class _Alarm(BaseException):
    """No `Exception`, so that a strategy that catches everything does not catch it."""


def reason(error: BaseException) -> str:
    """Return what was raised, in words: an error of chipwire's own speaks for itself.

    Raises
    ------
    TerminatedError
        The process was told to end, which is nobody's fault.
    """
    if isinstance(error, TerminatedError):
        raise error
    if isinstance(error, ChipwireError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """End the block after `limit_s` seconds.

    On the main thread of a system with alarms the block is interrupted, at the latest when a call of compiled code
    returns. Elsewhere nothing can be interrupted safely, so the time is looked at when the block is done.

    Raises
    ------
    TooSlowError
        The block took longer.
    """
    started = time.monotonic()
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        with _alarm(limit_s):
            yield
    else:
        yield
    if time.monotonic() - started > limit_s:
        raise TooSlowError(limit_s)


@contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    armed = True

    def fire(*_: object) -> None:
        if armed:
            raise _Alarm

    handler = signal.signal(signal.SIGALRM, fire)
    left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, limit_s, _AGAIN_S)
    started = time.monotonic()
    try:
        try:
            yield
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    except _Alarm:
        raise TooSlowError(limit_s) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)
        if left_s:  # somebody else's alarm goes on
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - started), 1e-6), interval_s)
