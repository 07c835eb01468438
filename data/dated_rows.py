"""Tables of dated rules: one row per rule and period, with its source, shipped as csv beside this module.

A user's file has the same header and replaces what it names; how, each table says for itself.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TypeVar

from chipwire.data.errors import UnreadableInput

FIRST_DAY, LAST_DAY = date.min, date.max  # what an empty valid_from and an empty valid_to mean

Row = TypeVar("Row", bound="DatedRow")


@dataclass(frozen=True)
class DatedRow:
    """A row that holds from `valid_from` to `valid_to`, both days included."""

    valid_from: date
    valid_to: date

    def holds_on(self, day: date) -> bool:
        """Return whether the row holds on `day`."""
        return self.valid_from <= day <= self.valid_to


class Cells:
    """The cells of one csv line; an unreadable one names file, line, value and what is allowed."""

    def __init__(self, where: str, line: int, cells: dict[str, str]) -> None:
        self._where, self._line, self._cells = where, line, cells

    def refuse(self, column: str, allowed: str) -> UnreadableInput:
        """Return the error for a cell."""
        value = self._cells[column]
        return UnreadableInput(self._where, f"line {self._line}: {column} '{value}' is not allowed: {allowed}")

    def text(self, column: str) -> str:
        """Return a cell that must not be empty."""
        if not self._cells[column]:
            raise self.refuse(column, "it must not be empty")
        return self._cells[column]

    def choice(self, column: str, allowed: Sequence[str]) -> str:
        """Return a cell that must be one of `allowed`."""
        if self._cells[column] not in allowed:
            raise self.refuse(column, f"one of {', '.join(allowed)}")
        return self._cells[column]

    def number(self, column: str, empty: float | None = None) -> float:
        """Return a finite number of at least 0; `empty` is what an empty cell means, None: it is refused."""
        text = self._cells[column]
        if not text and empty is not None:
            return empty
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise self.refuse(column, "a number of at least 0")
        return value

    def whole(self, column: str) -> int:
        """Return a whole number of at least 0."""
        value = self.number(column)
        if value != int(value):
            raise self.refuse(column, "a whole number of at least 0")
        return int(value)

    def day(self, column: str, empty: date | None) -> date | None:
        """Return a day written YYYY-MM-DD, or `empty` for an empty cell."""
        text = self._cells[column]
        if not text:
            return empty
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self.refuse(column, "a day as YYYY-MM-DD, or empty") from None

    def period(self) -> tuple[date, date]:
        """Return the cells valid_from and valid_to."""
        first = self.day("valid_from", FIRST_DAY) or FIRST_DAY
        last = self.day("valid_to", LAST_DAY) or LAST_DAY
        if first > last:
            raise self.refuse("valid_to", f"a day not before valid_from {first}")
        return first, last


def read_rows(
    source: str | Path, columns: Sequence[str], parse: Callable[[Cells], Row], series: Callable[[Row], object]
) -> tuple[Row, ...]:
    """Read a csv of dated rows.

    Parameters
    ----------
    source : str or Path
        Name of a table shipped with chipwire, or the path of a user's file.
    columns : sequence of str
        The header, in any order, nothing more and nothing less.
    parse : callable
        Turns the cells of a line into a row.
    series : callable
        Key of the rows of which at most one may hold on a day.

    Raises
    ------
    UnreadableInput
        If the file cannot be read, or a line cannot, or two rows of a series hold on the same day.
    """
    where, text = str(source), _read_text(source)
    reader = csv.DictReader(io.StringIO(text), strict=True)
    rows: list[Row] = []
    try:
        if sorted(reader.fieldnames or ()) != sorted(columns):
            raise UnreadableInput(where, f"the header must be {','.join(columns)}")
        for cells in reader:
            if None in cells or None in cells.values():
                raise UnreadableInput(where, f"line {reader.line_num}: {len(columns)} cells are needed")
            stripped = {column: cells[column].strip() for column in columns}
            rows.append(parse(Cells(where, reader.line_num, stripped)))
    except csv.Error as error:
        raise UnreadableInput(where, f"line {reader.line_num}: {error}") from error
    _refuse_overlaps(where, rows, series)
    return tuple(rows)


def _read_text(source: str | Path) -> str:
    try:
        if isinstance(source, Path):
            return source.read_text(encoding="utf-8-sig")
        return resources.files("chipwire.data").joinpath(source).read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableInput(str(source), error.strerror or "cannot be read") from error
    except UnicodeDecodeError as error:
        raise UnreadableInput(str(source), "is not UTF-8; save it as UTF-8") from error


def _refuse_overlaps(where: str, rows: Sequence[Row], series: Callable[[Row], object]) -> None:
    last: dict[object, Row] = {}
    for row in sorted(rows, key=lambda row: row.valid_from):
        before = last.get(series(row))
        if before is not None and before.valid_to >= row.valid_from:
            raise UnreadableInput(
                where, f"two rows of {series(row)} hold on {row.valid_from}; end the first one before"
            )
        last[series(row)] = row
