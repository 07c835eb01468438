"""JSON lines and JSON arrays become chunks of rows; an object that is no row is a reject and costs no other.

JSON proper: NaN, infinities and a key that stands twice are refused, nesting is bounded.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chipwire.data.errors import UnreadableInput
from chipwire.data.files import ByteSource
from chipwire.data.lines import read_lines, text_encoding
from chipwire.data.readers import CHUNK_BYTES, CHUNK_ROWS, Chunk
from chipwire.data.tables import Reject
from chipwire.data.text import excerpt

JSON_DEPTH = 32

_NOT_A_NUMBER = object()


@dataclass(frozen=True)
class _Twice:
    """Stands for an object that has a key twice, at any depth: which of the two values is meant cannot be known."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) < len(pairs):
        return _Twice(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return next(filter(None, map(_twice_in, found.values())), found)


def _twice_in(value: Any) -> _Twice | None:
    """Return the mark of an object that has a key twice, where it is the value or stands in its lists."""
    if isinstance(value, list):
        return next(filter(None, map(_twice_in, value)), None)
    return value if isinstance(value, _Twice) else None


_DECODER = json.JSONDecoder(parse_constant=lambda name: _NOT_A_NUMBER, object_pairs_hook=_object)


def _parse_json(text: str) -> Any:
    """Parse JSON proper: no NaN or infinities, bounded nesting; raises ValueError with a short reason."""
    # Counting is cheap; only lines with many brackets need the real depth.
    if text.count("[") + text.count("{") > JSON_DEPTH and _depth(text) > JSON_DEPTH:
        raise ValueError(f"nested deeper than {JSON_DEPTH}")
    text = text.strip()
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _depth(text: str) -> int:
    """Return the deepest nesting outside strings."""
    depth = deepest = 0
    for mark in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if mark[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark[0] in "]}":
            depth -= 1
    return deepest


def _record(value: Any) -> dict[str, Any]:
    if isinstance(value, _Twice):
        raise ValueError(f"has the key '{value.key[:40]}' twice")
    if not isinstance(value, dict):
        raise ValueError(f"is no JSON object but {type(value).__name__}")
    if _NOT_A_NUMBER not in value.values():
        return value
    for name, cell in value.items():
        if cell is _NOT_A_NUMBER:
            raise ValueError(f"'{name[:40]}' is NaN or infinite, which is not JSON")
    return value


def dict_chunk(names: tuple[str, ...], rows: list[dict[str, Any]], lines: list[int], rejects: list[Reject]) -> Chunk:
    """Return a chunk of rows that are dicts."""
    return Chunk(
        names,
        lines,
        rejects,
        lambda name: [row.get(name) for row in rows],
        lambda i: json.dumps(rows[i], ensure_ascii=False, default=str),
    )


def _names(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return the keys of all rows, in the order of their first use."""
    names: dict[str, Any] = {}
    for row in rows:
        names |= row
    return tuple(names)


def read_jsonl(source: ByteSource) -> Iterator[Chunk]:
    """Yield the objects of a text with one JSON object a line; blank lines are no rows."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    size = 0
    try:
        for line in read_lines(source, text_encoding(source)):
            if not line.text.strip():
                continue
            size += len(line.text)
            try:
                if line.problem:
                    raise ValueError(line.problem)
                rows.append(_record(_parse_json(line.text)))
                lines.append(line.number)
            except (ValueError, RecursionError) as error:
                rejects.append(Reject(line.number, _json_reason(error), excerpt(line.text)))
            if len(rows) + len(rejects) >= CHUNK_ROWS or size > CHUNK_BYTES:
                yield dict_chunk(_names(rows), rows, lines, rejects)
                rows, lines, rejects, size = [], [], [], 0
    except UnreadableInput:
        yield dict_chunk(_names(rows), rows, lines, rejects)
        raise
    yield dict_chunk(_names(rows), rows, lines, rejects)


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"broken JSON: {error.msg} at character {error.pos + 1}"
    return str(error)


def read_json(source: ByteSource) -> Iterator[Chunk]:
    """Yield the objects of a JSON array; a document of more than 64 MiB should be JSON lines.

    Raises
    ------
    UnreadableInput
        Not JSON as a whole, or not an array.
    """
    encoding = text_encoding(source)
    try:
        text = source.whole().decode("utf-8-sig" if encoding == "utf-8" else encoding)
        value = _parse_json(text)
    except UnicodeDecodeError as error:
        raise UnreadableInput(source.path, f"is not valid {encoding.upper()} at byte {error.start:,}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableInput(source.path, f"is {_json_reason(error)}; one object a line loses less") from None
    items = value if isinstance(value, list) else [value]
    for start in range(0, max(len(items), 1), CHUNK_ROWS):
        rows, lines, rejects = [], [], []
        for number, item in enumerate(items[start : start + CHUNK_ROWS], start + 1):
            try:
                rows.append(_record(item))
                lines.append(number)
            except ValueError as error:
                rejects.append(Reject(number, str(error), excerpt(str(item)[:1000])))
        yield dict_chunk(_names(rows), rows, lines, rejects)
