"""Tables of any shape become chunks of rows; a line that is no row is a reject and costs no other line.

Reads csv (strict, a broken quote costs its own line) and parquet, at most 10,000 rows or 8 MB at a time; for JSON
there is `chipwire.data.json_readers`. What the columns mean is not decided here.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chipwire.data.errors import UnreadableInput
from chipwire.data.files import STREAM_LIMIT, ByteSource
from chipwire.data.lines import LINE_BYTES, Line, read_lines, text_encoding
from chipwire.data.tables import Reject
from chipwire.data.text import excerpt

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 << 20
# A cell of more lines than this is taken for a quote that was never closed.
CELL_LINES = 1_000
PARQUET_BYTES = 256 << 20
_DATE_START = re.compile(r"\s*\"?\d{4}[-/年]\d|\s*\w{3}, \d|\s*\d{1,2} \w{3} \d{4}")


@dataclass(frozen=True)
class Chunk:
    """Some rows of one table.

    Attributes
    ----------
    names : tuple of str
        Column names.
    lines : list of int
        1-based line (csv, JSON lines) or record number of each row.
    rejects : list of Reject
        Lines among them that are no rows.
    column : callable
        Name to the list of that column's values, one a row; None where a row has none.
    row_text : callable
        Row index to the row as text, for an excerpt.
    """

    names: tuple[str, ...]
    lines: list[int]
    rejects: list[Reject]
    column: Callable[[str], list[Any]]
    row_text: Callable[[int], str]


# --- csv -------------------------------------------------------------------------------------------------


def read_csv(source: ByteSource, find_date: Callable[[Sequence[str]], int | None]) -> Iterator[Chunk]:
    """Yield the rows of a delimited table (comma, semicolon, TAB or bar) with one header line.

    Quoted cells may span lines. Where quoting breaks, a cell runs over 1,000 lines, a record has the wrong
    number of cells, or a record has swallowed what is a whole row by itself, only its first line is rejected
    and reading goes on with the next.

    Parameters
    ----------
    source : ByteSource
        The file.
    find_date : callable
        Header to the index of the column of dates, if there is one; it tells a row from text like one.
    """
    records = _Records(read_lines(source, text_encoding(source)), source)
    date = find_date(records.names)
    rows: list[list[str]] = []
    lines: list[int] = []
    rejects: list[Reject] = []

    def chunk() -> Chunk:
        held = list(rows)
        index = {name: i for i, name in reversed(list(enumerate(records.names)))}
        return Chunk(
            records.names,
            list(lines),
            list(rejects),
            lambda name: [row[index[name]] for row in held],
            lambda i: records.delimiter.join(held[i]),
        )

    try:
        for row in records.read(date):
            if isinstance(row, Reject):
                rejects.append(row)
            else:
                rows.append(row)
                lines.append(records.line)
            if len(rows) + len(rejects) >= CHUNK_ROWS or records.size > CHUNK_BYTES:
                yield chunk()
                records.size = 0
                del rows[:], lines[:], rejects[:]
    except UnreadableInput:
        yield chunk()
        raise
    yield chunk()


class _Records:
    """Records out of lines, with the means to step back to any line of the current record."""

    def __init__(self, lines: Iterator[Line], source: ByteSource) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._current: list[Line] = []
        self.size = 0
        self.line = 0
        first = next((line for line in lines if line.text.strip()), Line(0, ""))
        if first.problem:
            raise UnreadableInput(source.path, f"its header is {first.problem}; save it as UTF-8")
        self.delimiter = max(",;\t|", key=lambda mark: len(_cells(first.text, mark) or first.text.split(mark)))
        cells = _cells(first.text, self.delimiter)
        if cells is None:
            raise UnreadableInput(source.path, "the quotes in its header do not match")
        self.names = tuple(cell.strip() for cell in cells)

    def _feed(self) -> Iterator[str]:
        """Hand lines to the csv reader and remember them until the record is complete."""
        current, again, fresh = self._current, self._again, self._lines
        while True:
            line = again.popleft() if again else next(fresh, None)
            if line is None:
                return
            current.append(line)
            if len(current) > CELL_LINES:
                raise csv.Error(f"a quote is not closed within {CELL_LINES:,} lines")
            self.size += len(line.text)
            yield line.text

    def read(self, date: int | None) -> Iterator[list[str] | Reject]:
        """Yield rows of as many cells as the header has, and rejects; `line` is where the last one began."""
        # The limit is the module's own and global; a larger one harms no other reader.
        csv.field_size_limit(2 * LINE_BYTES)
        width, current = len(self.names), self._current
        while True:
            reader = csv.reader(self._feed(), delimiter=self.delimiter, strict=True)
            try:
                for row in reader:
                    first = current[0]
                    self.line = first.number
                    if len(current) > 1 or first.problem or len(row) != width:
                        if problem := self._problem(row, width, date):
                            yield self._step_back(problem)
                            break
                        if problem := next((line.problem for line in current if line.problem), ""):
                            # Lost as a whole: without that line the record would say something else.
                            yield Reject(first.number, problem, excerpt(first.text))
                            current.clear()
                            continue
                        if not row:
                            current.clear()
                            continue
                    current.clear()
                    yield row
                else:
                    return
            except csv.Error as error:
                yield self._step_back(f"quoting is broken: {error}")

    def _problem(self, row: list[str], width: int, date: int | None) -> str:
        """Say what is wrong with the record that the current lines make, '' when nothing is."""
        if not row:
            return ""
        if len(self._current) > 1 and any(
            _is_row(line.text, self.delimiter, width, date) for line in self._current[1:]
        ):
            return "a quote is not closed: the next line is a row of its own"
        return f"{len(row)} cells where the header has {width}" if len(row) != width else ""

    def _step_back(self, reason: str) -> Reject:
        """Reject the first line of the record and put its other lines back to be read on their own."""
        first, *rest = self._current
        self._current.clear()
        self._again.extendleft(reversed(rest))
        return Reject(first.number, first.problem or reason, excerpt(first.text))


def _cells(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None


def _is_row(line: str, delimiter: str, width: int, date: int | None) -> bool:
    cells = _cells(line, delimiter)
    if cells is None or len(cells) != width:
        return False
    if date is None:
        # The end of a quoted cell is told from a row by its lone quote.
        return width > 2 and line.count('"') % 2 == 0
    return bool(_DATE_START.match(cells[date]))


# --- parquet ---------------------------------------------------------------------------------------------


def read_parquet(source: ByteSource) -> Iterator[Chunk]:
    """Yield the rows of a parquet file of at most 256 MiB; dates and times come as ISO text.

    Raises
    ------
    UnreadableInput
        Truncated or damaged, with Arrow's reason.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    done = 0
    try:
        file = pq.ParquetFile(io.BytesIO(source.whole(PARQUET_BYTES)))
        count = max(file.metadata.num_rows, 1)
        unpacked = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        if unpacked > STREAM_LIMIT:
            raise UnreadableInput(source.path, f"more than {STREAM_LIMIT >> 20:,} MiB after unpacking; split it")
        # Rows of long bodies come in smaller chunks.
        at_once = max(1, min(CHUNK_ROWS, CHUNK_BYTES * count // max(unpacked, 1)))
        for batch in file.iter_batches(batch_size=at_once):
            yield _arrow_chunk(source.path, batch, done)
            done += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UnreadableInput(source.path, f"is not a whole parquet file ({reason}); download it again") from None


def _decoded(value: bytes) -> str | bytes:
    """Return text, or the bytes as they are where they are no UTF-8, for the row to be rejected."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _arrow_column(path: str, batch: Any, name: str) -> list[Any]:
    import pyarrow as pa

    values = batch.column(batch.schema.names.index(name))
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        zone = "UTC" if values.type.tz else None
        values = values.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.string())
    elif pa.types.is_date(values.type):
        values = values.cast(pa.date32()).cast(pa.string())
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = values.cast(pa.large_binary())
    try:
        return [_decoded(value) if isinstance(value, bytes) else value for value in values.to_pylist()]
    except UnicodeDecodeError as error:
        raise UnreadableInput(path, f"column '{name}' holds lists of text that is no UTF-8 ({error.reason})") from None


def _arrow_chunk(path: str, batch: Any, done: int) -> Chunk:
    def row_text(i: int) -> str:
        row = batch.slice(i, 1)
        return ", ".join(str(_arrow_column(path, row, name)[0]) for name in batch.schema.names)

    return Chunk(
        tuple(batch.schema.names),
        list(range(done + 1, done + batch.num_rows + 1)),
        [],
        lambda name: _arrow_column(path, batch, name),
        row_text,
    )
