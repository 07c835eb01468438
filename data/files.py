"""What the user named becomes open byte streams of a known kind: folders, globs, stdin, gzip, size limits.

Every failure is an `UnreadableInput` with one line for the user. Nothing is read from the network.
"""

from __future__ import annotations

import glob
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chipwire.data.errors import UnreadableInput

STDIN = "-"
STREAM_LIMIT = 4 << 30
WHOLE_LIMIT = 64 << 20
HEAD = 1 << 18
_SUFFIX_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".rss": "feed",
    ".atom": "feed",
    ".xml": "feed",
    ".txt": "article",
}
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Office file; unpack it, or save the sheet as csv"),
    (b"%PDF", "a PDF; save its text as .txt"),
    (b"\xd0\xcf\x11\xe0", "an old Office file; save the sheet as csv"),
    (b"BZh", "packed with bzip2; unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "packed with xz; unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it, or pack it with gzip"),
    (b"SQLite format 3", "an SQLite database; export the table as csv"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)


@dataclass(frozen=True)
class Found:
    """One file to read.

    Attributes
    ----------
    path : str
        As shown to the user; '-' is standard input.
    problem : str or None
        Why it cannot be read, when that is known already.
    skipped : bool
        Whether `problem` is only that a folder's file is hidden or of no known kind.
    hidden : bool
        Whether it is skipped as hidden, as hidden folders are: nobody asked for it.
    """

    path: str
    problem: str | None = None
    skipped: bool = False
    hidden: bool = False


def discover(paths: Sequence[str | Path]) -> Iterator[Found]:
    """Yield the files that `paths` stand for, each once: files, folders (recursive, sorted), globs, '-'.

    Those skipped come last: a file that a folder skips is read where it is also named.
    """
    seen: set[str] = set()
    skipped: list[Found] = []
    for path in map(str, paths):
        for found in _expand(path):
            if found.skipped:
                skipped.append(found)
            elif (real := _real(found.path)) not in seen:
                seen.add(real)
                yield found
    for found in skipped:
        if (real := _real(found.path)) not in seen:
            seen.add(real)
            yield found


def _real(path: str) -> str:
    return path if path == STDIN else os.path.realpath(path)


def _expand(path: str) -> Iterator[Found]:
    if path == STDIN:
        yield Found(path)
    elif Path(path).is_dir():
        yield from _walk(path)
    elif os.path.lexists(path):
        yield Found(path)
    elif glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - the pattern may be absolute
        for match in matches:
            yield from _expand(match)
        if not matches:
            yield Found(path, "no file matches the pattern")
    else:
        yield Found(path, "no such file")


def _walk(folder: str) -> Iterator[Found]:
    problems: list[Found] = []

    def note(error: OSError) -> None:
        problems.append(Found(str(error.filename), _reason(error)))

    for root, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = str(Path(root, name))
            if name.startswith("."):
                yield Found(path, "hidden file", skipped=True, hidden=True)
            elif suffix_kind(name) is None:
                known = ", ".join(_SUFFIX_KINDS)
                reason = (
                    f"not a known kind of file ({known}, or one of these with .gz); save it as one of these, or name "
                    "the file itself to have its content decide"
                )
                yield Found(path, reason, skipped=True)
            elif _is_special(path):
                yield Found(path, "is not a regular file; name a pipe itself to have it read")
            else:
                yield Found(path)
    yield from problems


def _is_special(path: str) -> bool:
    """Return whether it is a pipe, socket or device: who opens one may wait for ever."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def suffix_kind(name: str) -> str | None:
    """Return the kind that a file's name promises, or None."""
    path = Path(name.lower())
    if path.suffix == ".gz":
        path = path.with_suffix("")
    return _SUFFIX_KINDS.get(path.suffix)


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, IsADirectoryError):
        return "is a directory"
    return error.strerror or str(error)


class ByteSource(io.RawIOBase):
    """The bytes of one input, unpacked when it is gzip, with a limit on what comes out.

    Attributes
    ----------
    path : str
        For messages.
    head : bytes
        The first bytes (at most 256 KiB), not consumed.
    size : int
        Size of the file on disk, 0 when not known.
    """

    def __init__(self, path: str, *, limit: int = STREAM_LIMIT) -> None:
        super().__init__()
        self.path = path
        self.limit = limit
        self._file = _open(path)
        self.size = 0 if path == STDIN else os.fstat(self._file.fileno()).st_size
        self._read_count = 0
        self._pending = b""
        self._unpacked: BinaryIO | gzip.GzipFile = self._file
        self._failure: UnreadableInput | None = None
        try:
            start = self._fill(2)
            self._pending = start
            if start == b"\x1f\x8b":
                self._unpacked = gzip.GzipFile(fileobj=_Rest(start, self._file), mode="rb")
                self._pending = b""
            self.head = self._pending = self._pending + self._fill(HEAD)
        except BaseException:
            self.close()
            raise

    def _fill(self, size: int) -> bytes:
        """Read `size` bytes ahead; a failure on the way is kept for whoever reads on."""
        parts: list[bytes] = []
        try:
            while size > 0 and (part := self._take(size)):
                parts.append(part)
                size -= len(part)
        except UnreadableInput as failure:
            if not parts:
                raise
            self._failure = failure
        return b"".join(parts)

    def _take(self, size: int) -> bytes:
        """Read on; failures of the disk and of gzip become one line."""
        if self._failure is not None:
            raise self._failure
        try:
            # One read at a time: what was unpacked before the damage still comes out.
            unpacked = self._unpacked
            part = unpacked.read1(size) if isinstance(unpacked, gzip.GzipFile) else unpacked.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UnreadableInput(self.path, f"the gzip is damaged or cut short ({error}); download it again") from None
        except OSError as error:
            raise UnreadableInput(self.path, _reason(error)) from error
        self._read_count += len(part)
        if self._read_count > self.limit:
            raise UnreadableInput(
                self.path,
                f"more than {self.limit >> 20:,} MiB after unpacking; split it, if it is what you expect",
            )
        return part

    def readable(self) -> bool:
        """Return True: it is a reader."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`, first from `head`."""
        if self._pending:
            part, self._pending = self._pending[: len(buffer)], self._pending[len(buffer) :]
        else:
            part = self._take(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def position(self) -> int:
        """Return how many bytes of the file on disk have been read, 0 when not known."""
        if self._file.closed:
            return self.size
        return self._file.tell() if self.size else 0

    def whole(self, limit: int = WHOLE_LIMIT) -> bytes:
        """Return everything.

        Raises
        ------
        UnreadableInput
            When it is more than `limit` bytes.
        """
        self.limit = min(self.limit, limit)
        if self._read_count > self.limit:
            self._take(0)
        data = io.BufferedReader(self, HEAD).read()
        return bytes(data)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if not self.closed and self.path != STDIN:
            self._file.close()
        super().close()


class _Rest(io.RawIOBase):
    """Bytes already taken from a stream that cannot seek, then the rest of it."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._start:
            part, self._start = self._start[:size], self._start[size:]
            return part
        return self._rest.read(size)


def _open(path: str) -> BinaryIO:
    if path == STDIN:
        return sys.stdin.buffer
    try:
        mode = Path(path).stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise UnreadableInput(path, "is a directory" if stat.S_ISDIR(mode) else "is not a regular file")
        return Path(path).open("rb")
    except FileNotFoundError:
        raise UnreadableInput(path, "no such file") from None
    except OSError as error:
        raise UnreadableInput(path, _reason(error)) from error


def content_kind(source: ByteSource) -> str:
    """Return 'csv', 'jsonl', 'json', 'parquet', 'feed', or 'text' when only a header can tell.

    The content decides where it is unmistakable, else the name. 'text' is an article, or a table under a name
    that does not say so.

    Raises
    ------
    UnreadableInput
        Empty, an html page, or a file of some other program.
    """
    head, promised = source.head, suffix_kind(source.path)
    if not head.strip():
        raise UnreadableInput(source.path, "is empty")
    if head.startswith(b"PAR1"):
        return "parquet"
    if promised == "parquet":
        raise UnreadableInput(source.path, "is not a parquet file: it does not begin with PAR1")
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise UnreadableInput(source.path, f"is {what}")
    start = text_start(head)
    if start.startswith("<"):
        return _markup_kind(source.path, start, promised)
    if promised == "feed":
        raise UnreadableInput(source.path, "is not RSS or Atom: it does not begin with '<'")
    if promised in (None, "json"):
        if start.startswith("["):
            return "json"
        if start.startswith("{"):
            return "jsonl"
    return promised if promised in ("csv", "jsonl", "json") else "text"


def text_start(head: bytes) -> str:
    """Return the first characters of `head`, however it is encoded, without white space before them."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head[:4096].decode("utf-16", "replace").lstrip("\ufeff \t\r\n")
    return head[:4096].decode("utf-8-sig", "replace").lstrip()


def _markup_kind(path: str, start: str, promised: str | None) -> str:
    lowered = start.lower()
    if any(tag in lowered for tag in ("<rss", "<feed", "<rdf:rdf")):
        return "feed"
    if "<!doctype html" in lowered or "<html" in lowered:
        raise UnreadableInput(
            path,
            "is an html page (a login or an error page?), not news data; fetch the file itself",
        )
    if promised is None or promised == "feed":
        return "feed"
    if promised == "article":
        return "text"
    return promised
