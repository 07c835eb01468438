"""One writer or many readers, across processes and within one; whoever waits is told who holds the file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chipwire.data.errors import WarehouseBusy
from chipwire.data.lock import SidecarLock
from chipwire.data.warehouse import Warehouse

HOLDER = """
import sys
from chipwire.data.warehouse import Warehouse
with Warehouse.open(sys.argv[1], write=sys.argv[2] == "write", command="chipwire score"):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "w.duckdb"
    Warehouse.open(path, write=True).close()
    return path


@contextmanager
def holder(path: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open until it is told to end."""
    command = [sys.executable, "-c", HOLDER, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            if process.poll() is None:
                process.communicate()


@pytest.mark.parametrize("write", [False, True])
def test_while_another_process_writes_everyone_is_told_its_pid_and_command_in_one_line(path: Path, write: bool) -> None:
    with holder(path, "write") as process:
        with pytest.raises(WarehouseBusy) as caught:
            Warehouse.open(path, write=write)
        assert f"held by pid {process.pid} (chipwire score)" in str(caught.value)
        assert "\n" not in str(caught.value)
    Warehouse.open(path, write=write).close()


def test_the_lock_holds_although_the_file_is_opened_and_closed_by_its_writer(path: Path) -> None:
    """DuckDB's own lock, a POSIX one, is dropped by this."""
    with Warehouse.open(path, write=True), path.open("rb") as file:
        file.read(10)
        file.close()
        code = "import sys; from chipwire.data.warehouse import Warehouse; Warehouse.open(sys.argv[1], write=True)"
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        assert f"held by pid {os.getpid()} (chipwire)" in done.stderr


def test_readers_share_and_keep_a_writer_out(path: Path) -> None:
    with holder(path, "read"), Warehouse.open(path) as warehouse:
        assert warehouse.value("SELECT count(*) FROM headline") == 0
        with pytest.raises(WarehouseBusy, match="held by a reader"):
            Warehouse.open(path, write=True)
    Warehouse.open(path, write=True).close()


def test_within_one_process_there_is_one_writer_too(path: Path) -> None:
    with Warehouse.open(path, write=True, command="chipwire demo"):
        for write in (False, True):
            with pytest.raises(WarehouseBusy, match=rf"pid {os.getpid()} \(chipwire demo\)"):
                Warehouse.open(path, write=write)
    with Warehouse.open(path), Warehouse.open(path) as second:
        assert second.value("SELECT count(*) FROM headline") == 0


def test_the_lock_of_a_killed_process_does_not_block_and_its_pid_is_not_named(path: Path) -> None:
    with holder(path, "write") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    lock = path.with_name("w.duckdb.lock")
    assert f'"pid": {process.pid}' in lock.read_text()
    with Warehouse.open(path), pytest.raises(WarehouseBusy, match="held by a reader"):
        Warehouse.open(path, write=True)
    Warehouse.open(path, write=True).close()
    assert "pid" not in lock.read_text()


@pytest.mark.parametrize("content", ["", "rubbish", "[1]", '{"batch": "x"}', '{"batch": null}', "\0" * 256])
def test_a_lock_file_with_other_content_counts_as_empty(path: Path, content: str) -> None:
    path.with_name("w.duckdb.lock").write_text(content)
    with Warehouse.open(path, write=True) as warehouse:
        assert warehouse.acknowledge() == 0


def test_the_acknowledged_batch_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    lock = SidecarLock(path)
    lock.acquire(exclusive=True, command="a" * 100)
    lock.acknowledge(12)
    lock.release()
    lock.release()
    reader = SidecarLock(path)
    reader.acquire(exclusive=False, command="b")
    reader.acknowledge(99)
    assert reader.acknowledged() == 12
    reader.release()
    assert reader.acknowledged() == 0


def test_a_long_command_does_not_hide_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for command in ("x" * 1_000, "chipwire score"):
        lock = SidecarLock(path)
        lock.acquire(exclusive=True, command=command)
        lock.acknowledge(lock.acknowledged() + 1)
        lock.release()
    lock = SidecarLock(path)
    lock.acquire(exclusive=True, command="chipwire")
    assert lock.acknowledged() == 2
    lock.release()
