"""What the page says of where the profit came from: one table of a division at a time, with a bar for each line."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from chipwire.reports.attribution import AMOUNTS, REMAINDERS, TABLES

_TITLES = {
    "theme": "Theme of the news", "event": "Event in the news", "issuer": "Issuer", "venue": "Venue",
    "currency": "Currency", "side": "Long and short", "via": "Named or only moved",
}  # fmt: skip
_LINES = {"direct": "direct: the headline named the issuer", "exposure": "exposure: it moves the issuer unnamed"}
_HALF = 100


@dataclass(frozen=True)
class Division:
    """One way to divide the profit, as the page shows it.

    Attributes
    ----------
    rows : list of tuple
        Line, bar as left edge and width of 200, whether it is a gain, and total and `columns`; base currency.
    sums : list of float
        Of the totals and of each column.
    """

    by: str
    title: str
    columns: list[str]
    rows: list[tuple[str, tuple[float, float], bool, list[float]]]
    sums: list[float]


def divisions(table: pd.DataFrame) -> list[Division]:
    """Return the divisions that tell something: more than one line, and not the same amounts as one before."""
    found: list[Division] = []
    seen: list[list[list[float]]] = []
    columns = [name for name in AMOUNTS if (table[name] != 0).any()]
    for by in TABLES:
        part = table[table["by"] == by]
        amounts = part[["total", *columns]].to_numpy(dtype=float).tolist()
        if len(part) < 2 or amounts in seen:
            continue
        seen.append(amounts)
        largest = max(abs(row[0]) for row in amounts) or 1.0
        rows = [
            (_line(by, str(name)), _bar(row[0] / largest), row[0] > 0, row)
            for name, row in zip(part["line"], amounts, strict=True)
        ]
        sums = [round(float(value), 2) for value in part[["total", *columns]].sum()]
        found.append(Division(by, _TITLES[by], columns, rows, sums))
    return found


def _line(by: str, name: str) -> str:
    if name in REMAINDERS or by not in ("theme", "event", "via"):
        return name
    return _LINES.get(name, name.replace("_", " "))


def _bar(part: float) -> tuple[float, float]:
    """Return the left edge and the width of a bar that begins in the middle."""
    width = round(abs(part) * _HALF, 1)
    return (_HALF if part > 0 else round(_HALF - width, 1)), width
