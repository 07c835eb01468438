"""Small strict tables: a csv or parquet file becomes named columns; what is not a row is a reject.

Used for prices, FX and corporate actions. Each line of a csv stands alone, so an open quote or a torn line
costs that line and no other.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chipwire.data.errors import UnreadableInput
from chipwire.data.files import ByteSource, content_kind, discover, suffix_kind, text_start
from chipwire.data.lines import read_lines, text_encoding
from chipwire.data.text import excerpt

MAX_BYTES = 512 << 20
_KINDS = ("csv", "parquet", "article")


@dataclass(frozen=True)
class Reject:
    """A row that cannot be used.

    Attributes
    ----------
    line : int
        1-based line of the file (record of a parquet file), 0 for the file as a whole.
    reason : str
        What is wrong, with the values.
    excerpt : str
        The first 200 characters of the row, control characters replaced.
    """

    line: int
    reason: str
    excerpt: str = ""


@dataclass(frozen=True)
class Table:
    """A table as read: nothing is interpreted yet.

    Attributes
    ----------
    file : str
        As the user named it.
    head : tuple of tuple of str
        The first three lines' cells as they stand, header included (shapes with several header rows).
    names : tuple of str
        The header's cells, stripped.
    columns : tuple of ndarray
        One array a name: text (dtype object) from csv, numbers, dates or text from parquet.
    lines : ndarray of int64
        The line of each row.
    rejects : list of Reject
        Lines that are no rows.
    """

    file: str
    head: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    columns: tuple[np.ndarray[Any, Any], ...]
    lines: np.ndarray[Any, np.dtype[np.int64]]
    rejects: list[Reject] = field(default_factory=list)

    @property
    def rows_read(self) -> int:
        """Rows and rejected lines together."""
        return len(self.lines) + len(self.rejects)

    def excerpt(self, row: int) -> str:
        """Return row number `row` as one cleaned line of at most 200 characters."""
        return excerpt(",".join(str(column[row]) for column in self.columns))

    def without(self, rows: int) -> Table:
        """Return the table without its first `rows` rows."""
        columns = tuple(column[rows:] for column in self.columns)
        return Table(self.file, self.head, self.names, columns, self.lines[rows:], self.rejects)


def table_files(paths: Sequence[str]) -> tuple[list[str], list[UnreadableInput]]:
    """Turn files, folders, globs and ``-`` into files, in a stable order without repeats.

    A folder stands for its csv, tsv, txt and parquet files, plain or gzipped, folders inside it included.

    Returns
    -------
    files : list of str
    errors : list of UnreadableInput
        Names behind which there is nothing, or nothing of that kind.
    """
    files: list[str] = []
    errors = []
    for path in paths:
        found = [f for f in discover([path]) if not f.skipped]
        named = [f for f in found if f.problem is None and (f.path == path or suffix_kind(f.path) in _KINDS)]
        files += [f.path for f in named if f.path not in files]
        errors += [UnreadableInput(f.path, f.problem) for f in found if f.problem is not None]
        if not named and not any(f.problem for f in found):
            errors.append(UnreadableInput(path, "has no csv, tsv, txt or parquet file in it"))
    return files, errors


def reject_rows(batch: int, file: str, rejects: Sequence[Reject]) -> Any:
    """Return rejects as an Arrow table with the columns of the table ``reject``."""
    import pyarrow as pa

    return pa.table(
        {
            "batch_id": pa.array([batch] * len(rejects), pa.int64()),
            "file": pa.array([storable(file)] * len(rejects), pa.string()),
            "line": pa.array([r.line for r in rejects], pa.int64()),
            "reason": pa.array([storable(r.reason) for r in rejects], pa.string()),
            "excerpt": pa.array([r.excerpt for r in rejects], pa.string()),
        }
    )


def first_reject(file: str, rejects: Sequence[Reject]) -> str:
    """Return the reject of the lowest line as ``file line n: reason``; empty when there is none.

    Line 0, the file as a whole, comes last.
    """
    if not rejects:
        return ""
    first = min(rejects, key=lambda reject: (reject.line == 0, reject.line, reject.reason))
    where = f"{file} line {first.line}" if first.line else file
    return storable(f"{where}: {first.reason}")


def storable(text: str) -> str:
    """Return `text` as UTF-8 can have it: names of files may have bytes that are no characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def read_table(file: str, limit: int = MAX_BYTES) -> Table:
    """Read a csv (comma, semicolon or tab; UTF-8, UTF-16 with a mark, or GB18030) or a parquet file.

    Parameters
    ----------
    file : str
        The file, plain or gzipped; ``-`` is standard input.
    limit : int
        Most bytes once unpacked.

    Raises
    ------
    UnreadableInput
        Not such a file, missing, not permitted, empty, damaged or too large.
    """
    with ByteSource(file, limit=limit) as source:
        if text_start(source.head).startswith("<"):
            raise UnreadableInput(file, "is an html or xml page, not a table; fetch the csv itself")
        kind = content_kind(source)
        if kind == "parquet":
            return _read_parquet(file, source.whole(limit))
        if kind not in ("csv", "text"):
            raise UnreadableInput(file, f"is {kind}, not a table; save it as csv or parquet")
        return _read_csv(source)


def _read_csv(source: ByteSource) -> Table:
    lines = (line for line in read_lines(source, text_encoding(source)) if line.text.strip())
    first = next(lines, None)
    if first is None:
        raise UnreadableInput(source.path, "is empty")
    delimiter = max(",;\t", key=first.text.count)
    try:
        names = tuple(cell.strip() for cell in _cells(first.text, delimiter))
    except csv.Error as error:
        raise UnreadableInput(source.path, f"the header cannot be read ({error})") from error
    rows: list[list[str]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    try:
        for line in lines:
            cells, problem = _row(line.text, delimiter, len(names))
            if line.problem or problem:
                rejects.append(Reject(line.number, line.problem or problem, excerpt(line.text)))
            else:
                rows.append(cells)
                numbers.append(line.number)
    except UnreadableInput as error:
        # A gzip cut short: what came out before the damage is kept, and the damage is on record.
        if not rows:
            raise
        rejects.append(Reject(0, error.reason))
    table = np.array(rows, dtype=object).reshape(len(rows), len(names))
    columns = tuple(table[:, i] for i in range(len(names)))
    head = (names, *(tuple(row) for row in rows[:2]))
    return Table(source.path, head, names, columns, np.array(numbers, dtype=np.int64), rejects)


def _row(text: str, delimiter: str, width: int) -> tuple[list[str], str]:
    """Return the cells of a line, or what is wrong with it."""
    try:
        cells = _cells(text, delimiter)
    except csv.Error as error:
        return [], f"broken quotes ({error})"
    if len(cells) == width + 1 and not cells[-1].strip():
        cells.pop()
    return cells, "" if len(cells) == width else f"{len(cells)} cells where the header has {width}"


def _cells(line: str, delimiter: str) -> list[str]:
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, strict=True))


def _read_parquet(file: str, data: bytes) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
        columns = tuple(_to_numpy(column) for column in table.columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnreadableInput(file, f"the parquet is damaged or cut short ({first}); fetch it again") from error
    names = tuple(str(name).strip() for name in table.column_names)
    return Table(file, (names,), names, columns, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _to_numpy(column: Any) -> np.ndarray[Any, Any]:
    """Numbers as float64, dates and naive times as datetime64, the rest as text with '' for null."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
    if pa.types.is_timestamp(kind):
        # Instants with a zone become text with an offset: the one form in which csv has them too.
        return np.array([v.isoformat() if v is not None else "" for v in column.to_pylist()], dtype=object)
    return np.array(["" if v is None else str(v) for v in column.to_pylist()], dtype=object)
