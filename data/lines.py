"""Lines of a text in UTF-8, UTF-16 or GB18030; what cannot be decoded is marked and costs no other line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chipwire.data.errors import UnreadableInput
from chipwire.data.files import HEAD, ByteSource

LINE_BYTES = 8 << 20
_CJK_RUN = re.compile(r"[\u4e00-\u9fff]{3}")


def text_encoding(source: ByteSource) -> str:
    """Return 'utf-8', 'utf-16' or 'gb18030', from the first 256 KiB.

    Lines that are not valid in it are rejected one by one later, so a bad line does not condemn a file.

    Raises
    ------
    UnreadableInput
        Binary data, or UTF-16 without its byte order mark.
    """
    head = source.head
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if head.count(b"\0") * 20 > len(head):
        at = head.index(b"\0")
        raise UnreadableInput(
            source.path,
            f"is binary data or UTF-16 without a byte order mark (NUL at byte {at}); save it as UTF-8",
        )
    lines = head.split(b"\n")[: -1 if len(head) >= HEAD else None]
    valid = sum(_decodes(line, "utf-8") for line in lines if not line.isascii())
    invalid = [line for line in lines if not _decodes(line, "utf-8")]
    if len(invalid) > valid and all(_decodes(line, "gb18030") for line in invalid) and _chinese(invalid):
        return "gb18030"
    return "utf-8"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _chinese(lines: Sequence[bytes]) -> bool:
    """Return whether bytes valid as GB18030 are meant so: runs of ideographs, nearly all in common use."""
    letters = [c for line in lines for c in line.decode("gb18030") if not c.isascii()]
    common = sum(_encodes(c, "gb2312") for c in letters)
    runs = any(_CJK_RUN.search(line.decode("gb18030")) for line in lines)
    return runs and 10 * common >= 9 * len(letters)


def _encodes(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@dataclass(slots=True)
class Line:
    """One physical line: its number, its text, and what is wrong with it, if anything."""

    number: int
    text: str
    problem: str = ""


def read_lines(source: ByteSource, encoding: str) -> Iterator[Line]:
    """Yield the lines of a text with their line ends; bad bytes and overlong lines come marked, not lost."""
    if encoding == "utf-16":
        yield from _utf16_lines(source)
        return
    stream = io.BufferedReader(source, HEAD)
    # A text of bare carriage returns (old Macs) would else be one line.
    if b"\n" not in source.head and b"\r" in source.head.strip():
        stream = io.BufferedReader(_NewLines(stream), HEAD)  # type: ignore[arg-type]
    readline = stream.readline
    number = offset = 0
    while raw := readline(LINE_BYTES):
        number += 1
        if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
            raw, offset = raw[3:], 3
        problem, size = "", len(raw)
        if size >= LINE_BYTES and not raw.endswith(b"\n"):
            problem = f"a line longer than {LINE_BYTES >> 20} MiB"
            raw = raw[:1000]
            while (rest := readline(LINE_BYTES)) and (size := size + len(rest)) and not rest.endswith(b"\n"):
                pass
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            text = raw.decode(encoding, "replace")
            problem = problem or f"not valid {encoding.upper()} at byte {offset + error.start:,}"
        yield Line(number, text, problem)
        offset += size


class _NewLines(io.RawIOBase):
    """A stream whose carriage returns are line feeds."""

    def __init__(self, stream: io.BufferedReader) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._stream.read1(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(part)] = part
        return len(part)


def _utf16_lines(source: ByteSource) -> Iterator[Line]:
    stream = io.TextIOWrapper(io.BufferedReader(source, HEAD), "utf-16", newline="\n")
    try:
        for number, text in enumerate(stream, 1):
            yield Line(number, text)
    except UnicodeDecodeError as error:
        raise UnreadableInput(source.path, f"is not valid UTF-16 ({error.reason} near its end)") from None
