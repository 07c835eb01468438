"""The sidecar lock ``FILE.lock``: one writer or many readers across processes, and it names the holder.

The lock file is never removed: unlinking a locked file lets two processes hold "the" lock on two inodes.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from chipwire.data.errors import WarehouseBusy, WriteFailed

_WIDTH = 1024


class SidecarLock:
    """An advisory ``flock`` beside a file, with the holder and the last acknowledged batch written in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.with_name(path.name + ".lock")
        self._descriptor: int | None = None
        self._exclusive = False

    def acquire(self, *, exclusive: bool, command: str) -> None:
        """Take the lock at once or say who has it.

        Raises
        ------
        WarehouseBusy
            Another process holds it.
        WriteFailed
            The lock file cannot be made.
        """
        try:
            self._descriptor = self._open(exclusive=exclusive)
        except OSError as error:
            if not self._file.parent.is_dir():
                raise WriteFailed(self._path, f"there is no folder {self._file.parent}", "make it") from error
            raise WriteFailed(self._path, error.strerror or "cannot open") from error
        if self._descriptor is None:
            return
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            name = self._holder()
            os.close(self._descriptor)
            self._descriptor = None
            raise WarehouseBusy(self._path, name) from error
        self._exclusive = exclusive
        if exclusive:
            self._write({"pid": os.getpid(), "command": command[:100], "batch": self.acknowledged()})

    def _holder(self) -> str:
        """Say who is in the way; a killed writer's pid may still stand in the file when readers hold it."""
        assert self._descriptor is not None  # noqa: S101 - called with the file open
        holder = self._read()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return f"pid {holder.get('pid', 'unknown')} ({holder.get('command', 'chipwire')})"
        return "a reader"

    def _open(self, *, exclusive: bool) -> int | None:
        try:
            return os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError:
            if exclusive:
                raise
        except OSError:
            if exclusive:
                raise
        # A reader in a read-only folder: share the lock if there is one, else nobody can be writing.
        return os.open(self._file, os.O_RDONLY | os.O_CLOEXEC) if self._file.exists() else None

    def acknowledged(self) -> int:
        """Return the last batch that a writer reported as committed, 0 when none is known."""
        batch = self._read().get("batch", 0)
        return batch if isinstance(batch, int) else 0

    def acknowledge(self, batch: int) -> None:
        """Note a committed batch."""
        if self._exclusive:
            self._write({**self._read(), "batch": batch})

    def forget(self) -> None:
        """Start counting batches anew, for a file just created."""
        self.acknowledge(0)

    def release(self) -> None:
        """Let go; the file stays and keeps the batch number."""
        if self._descriptor is None:
            return
        if self._exclusive:
            self._write({"batch": self.acknowledged()})
        os.close(self._descriptor)
        self._descriptor, self._exclusive = None, False

    def _read(self) -> dict[str, Any]:
        if self._descriptor is None:
            return {}
        try:
            found = json.loads(os.pread(self._descriptor, 4096, 0) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, content: dict[str, Any]) -> None:
        assert self._descriptor is not None  # noqa: S101 - callers hold the lock
        # One write of fixed width, more than any content needs: a kill leaves the old or the new text, never a mixture.
        try:
            os.pwrite(self._descriptor, json.dumps(content).encode().ljust(_WIDTH), 0)
        except OSError as error:
            raise WriteFailed(self._file, error.strerror or "cannot write") from error
