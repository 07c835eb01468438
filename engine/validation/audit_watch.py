"""Watch a strategy while it has the word: which files it opens, and what it does when the clock says another day.

Python tells of each file that it opens (`sys.addaudithook`). DuckDB and Arrow open files by themselves, so that their
entrances are wrapped meanwhile. What other compiled code opens by itself is not seen.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

_CODE = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".pth", ".pem"})
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib")


@dataclass
class Watch:
    """What a strategy opened.

    Attributes
    ----------
    clock_days : int
        The clock is so many days ahead while the strategy has the word.
    opened : dict of str to set of str
        By path: ``read``, ``write`` or both. Code, and what Python and its packages bring along, are left out.
    """

    clock_days: int = 0
    opened: dict[str, set[str]] = field(default_factory=dict)
    _depth: int = 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Mark that code of the strategy runs."""
        if self._depth:
            yield
            return
        _install()
        self._depth = 1
        _watching.append(self)
        try:
            with ExitStack() as stack:
                stack.enter_context(_told_of_duckdb(self))
                stack.enter_context(_told_of_parquet(self))
                if self.clock_days:
                    stack.enter_context(shifted_clock(self.clock_days))
                yield
        finally:
            _watching.remove(self)
            self._depth = 0

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a call during which the strategy has the word."""

        def guarded(*arguments: Any, **named: Any) -> Any:
            with self.inside():
                return call(*arguments, **named)

        return guarded

    def note(self, path: object, mode: str) -> None:
        """Take note of a file."""
        if isinstance(path, bytes | str | os.PathLike):
            name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links stay as they are named
            if not _ours(name):
                self.opened.setdefault(name, set()).add(mode)


_watching: list[Watch] = []
_installed = False


def _install() -> None:
    """Add the hook once; it cannot be taken away, and does nothing while nobody watches."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event == "open":
        path, mode, flags = arguments
        written = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else set("wax+") & set(mode or "")
        _watching[-1].note(path, "write" if written else "read")
        if mode and "+" in mode:
            _watching[-1].note(path, "read")
    elif event == "sqlite3.connect":
        _watching[-1].note(arguments[0], "read")


def _ours(path: str) -> bool:
    """Return whether a path is code, or belongs to Python, its packages or chipwire."""
    import chipwire

    root = Path(chipwire.__file__).absolute().parent
    packages = tuple(str(root / name) for name in ("data", "signals", "strategies", "engine", "reports"))
    roots = {sys.prefix, sys.base_prefix, sys.exec_prefix, *_SYSTEM, *packages}
    return Path(path).suffix in _CODE or any(path.startswith(each + os.sep) for each in roots)


@contextmanager
def _told_of_duckdb(watch: Watch) -> Iterator[None]:
    module = sys.modules.get("duckdb")
    if module is None:
        yield
        return
    connect = module.connect

    def told(database: Any = ":memory:", *arguments: Any, **named: Any) -> Any:
        if not str(database).startswith(":"):
            watch.note(database, "read")
        return connect(database, *arguments, **named)

    with mock.patch.object(module, "connect", told):
        yield


@contextmanager
def _told_of_parquet(watch: Watch) -> Iterator[None]:
    import pyarrow.parquet as pq

    def told(make: Callable[..., None]) -> Callable[..., None]:
        def noted(self: Any, source: Any, *arguments: Any, **named: Any) -> None:
            for path in source if isinstance(source, list) else [source]:
                watch.note(path, "read")
            make(self, source, *arguments, **named)

        return noted

    with ExitStack() as stack:
        for kind in (pq.ParquetDataset, pq.ParquetFile):
            stack.enter_context(mock.patch.object(kind, "__init__", told(kind.__init__)))
        yield


@contextmanager
def shifted_clock(days: int) -> Iterator[None]:
    """Let Python's clocks say that it is `days` later; numpy's own is not reached."""
    step_s = days * 86_400
    step = dt.timedelta(days=days)
    real, real_date = dt.datetime, dt.date
    real_time, real_ns, localtime, gmtime = time.time, time.time_ns, time.localtime, time.gmtime

    class _Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, cls.__mro__[1])

    class Datetime(real, metaclass=_Kind):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return real.now(tz) + step

        @classmethod
        def utcnow(cls) -> dt.datetime:
            return real.now(dt.UTC).replace(tzinfo=None) + step

        @classmethod
        def today(cls) -> dt.datetime:
            return real.now() + step

    class Date(real_date, metaclass=_Kind):  # type: ignore[misc, valid-type]
        @classmethod
        def today(cls) -> dt.date:
            return (real.now() + step).date()

    with ExitStack() as stack:
        # Compiled modules that are imported meanwhile find the classes larger than they knew them.
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message=".* size changed", category=RuntimeWarning)
        for owner, name, value in (
            (dt, "datetime", Datetime),
            (dt, "date", Date),
            (time, "time", lambda: real_time() + step_s),
            (time, "time_ns", lambda: real_ns() + step_s * 1_000_000_000),
            (time, "localtime", lambda at=None: localtime(real_time() + step_s if at is None else at)),
            (time, "gmtime", lambda at=None: gmtime(real_time() + step_s if at is None else at)),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        pandas = sys.modules.get("pandas")
        if pandas is not None:
            now = pandas.Timestamp.now
            stack.enter_context(mock.patch.object(pandas.Timestamp, "now", lambda tz=None: now(tz) + step))
            stack.enter_context(mock.patch.object(pandas.Timestamp, "today", lambda tz=None: now(tz) + step))
        yield
