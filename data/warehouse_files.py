"""What surrounds a warehouse: its log, what is being created, what DuckDB spills and when, what a kill leaves."""

from __future__ import annotations

import glob
import os
import re
import shutil
from pathlib import Path

from chipwire.data.errors import BadParameter, NotAWarehouse

DEFAULT_MEMORY = "1GB"


def usable(path: Path) -> Path:
    """Return the file that `path` leads to, so that a file has one lock whatever links lead to it.

    Raises
    ------
    NotAWarehouse
        It is no regular file, or the name cannot be one.
    """
    try:
        if path.is_symlink():
            path = path.resolve()
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, ValueError, RuntimeError) as error:
        raise NotAWarehouse(path, getattr(error, "strerror", None) or str(error)) from error
    if not path.is_file():
        raise NotAWarehouse(path, "it is a directory" if path.is_dir() else "it is not a regular file")
    return path


def log_of(path: Path) -> Path:
    """Return DuckDB's write-ahead log of a file."""
    return path.with_name(path.name + ".wal")


def creating(path: Path) -> Path:
    """Return the name under which this process builds the file."""
    return path.with_name(f".{path.name}.creating-{os.getpid()}")


def spill(path: Path) -> Path:
    """Return the folder for what does not fit into memory; DuckDB's own names in it are the same in every process."""
    return path.with_name(f"{path.name}.spill-{os.getpid()}")


def is_of(path: Path, file: Path) -> bool:
    """Return whether `file` is the warehouse at `path` or lies beside it for its sake: its log, its lock, a spill."""
    folder = path.absolute().parent.resolve()
    parts = (file.parent.resolve() / file.name).parts
    if parts[: len(folder.parts)] != folder.parts:
        return False
    first = parts[len(folder.parts)]
    own = (path.name, log_of(path).name, f"{path.name}.lock")
    return first in own or first.startswith(f"{path.name}.spill-")


def sweep(path: Path) -> None:
    """Remove what killed processes left beside the file; the caller's writing lock says that none of them lives."""
    name = glob.escape(path.name)
    for leftover in path.parent.glob(f".{name}.creating-*"):
        leftover.unlink(missing_ok=True)
    for leftover in path.parent.glob(f"{name}.spill-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def memory_wanted(default: str = DEFAULT_MEMORY) -> str:
    """Return DuckDB's memory limit from ``CHIPWIRE_MEMORY``, else the default.

    Raises
    ------
    BadParameter
        It is not a size.
    """
    wanted = os.environ.get("CHIPWIRE_MEMORY", default)
    if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", wanted):
        raise BadParameter("CHIPWIRE_MEMORY", wanted, "a size such as 500MB or 4GB")
    return wanted
