"""What the command line prints: the five figures and listings, as a table, JSON or csv on one stream."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from chipwire.reports.values import csv_cell, number, one_line, plain

if TYPE_CHECKING:
    from chipwire.reports.figures import RunFigures


@dataclass(frozen=True)
class Column:
    """One column of a listing.

    Attributes
    ----------
    key : str
        In the rows, and the name in JSON and csv.
    label : str
        Head of the column in a table; the key when empty.
    form : callable, optional
        The value's text in a table; JSON and csv keep the value.
    """

    key: str
    label: str = ""
    form: Callable[[Any], str] | None = None

    def text(self, value: Any) -> str:
        """Return the text of a value in a table; a missing value is empty."""
        value = plain(value)
        if value is None:
            return ""
        if self.form:
            return one_line(self.form(value))
        return number(value) if isinstance(value, float) else one_line(str(value))


def five_figures(report: RunFigures) -> list[tuple[str, str]]:
    """Return label and value of the five figures; see `chipwire.reports.answer.five_figures`."""
    # Imported here because it brings pandas, and the command line imports this module at its start.
    from chipwire.reports import answer

    return answer.five_figures(report)


def print_figures(pairs: Sequence[tuple[str, str]], out: TextIO | None = None) -> None:
    """Print labels and values, the values aligned to the right."""
    out = out or sys.stdout
    left = max((_width(label) for label, _ in pairs), default=0)
    right = max((_width(value) for _, value in pairs), default=0)
    for label, value in pairs:
        out.write(f"{_pad(label, left)}  {_pad(value, right, right=True)}\n")


def print_table(
    rows: Sequence[Mapping[Any, Any]],
    columns: Sequence[str | Column],
    fmt: str = "table",
    out: TextIO | None = None,
) -> None:
    """Print rows to `out`, standard output by default.

    Parameters
    ----------
    rows : sequence of mappings
        A key that a row lacks is a missing value.
    columns : sequence of str or Column
        In this order; a str is a key that is its own label.
    fmt : str
        ``table``: aligned, numbers to the right, coloured and fitted to the width on a terminal only, whole
        cells where piped. ``json``: a list of objects, NaN as null. ``csv``: RFC 4180, text defused as
        `csv_cell` says.
    """
    out = out or sys.stdout
    wanted = [Column(c) if isinstance(c, str) else c for c in columns]
    if fmt == "json":
        out.write(_json(rows, wanted) + "\n")
    elif fmt == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([column.key for column in wanted])
        writer.writerows([csv_cell(row.get(column.key)) for column in wanted] for row in rows)
    elif out.isatty():
        _print_rich(rows, wanted, out)
    else:
        _print_plain(rows, wanted, out)


def _json(rows: Sequence[Mapping[Any, Any]], columns: Sequence[Column]) -> str:
    objects = [{column.key: plain(row.get(column.key)) for column in columns} for row in rows]
    return json.dumps(objects, ensure_ascii=False, indent=2, allow_nan=False)


def _is_number(rows: Sequence[Mapping[Any, Any]], column: Column) -> bool:
    values = [plain(row.get(column.key)) for row in rows]
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in there)


def _print_plain(rows: Sequence[Mapping[Any, Any]], columns: Sequence[Column], out: TextIO) -> None:
    right = [_is_number(rows, column) for column in columns]
    lines = [[column.label or column.key for column in columns]]
    lines += [[column.text(row.get(column.key)) for column in columns] for row in rows]
    widths = [max(map(_width, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        cells = [_pad(c, w, right=r) for c, w, r in zip(line, widths, right, strict=True)]
        out.write("  ".join(cells).rstrip() + "\n")


def _print_rich(rows: Sequence[Mapping[Any, Any]], columns: Sequence[Column], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["right", "left"] = "right" if _is_number(rows, column) else "left"
        table.add_column(Text(column.label or column.key), justify=justify, overflow="fold")
    for row in rows:
        # Text, not str: square brackets in a title are no markup.
        table.add_row(*(Text(column.text(row.get(column.key))) for column in columns))
    Console(file=out).print(table)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _pad(text: str, width: int, *, right: bool = False) -> str:
    blank = " " * (width - _width(text))
    return blank + text if right else text + blank
