"""What a trade costs at each venue on each day: a dated table, one row per charge and period.

The facts are in ``fees.csv``, each with its source; brokers' commissions are defaults, not law.
A user's file of the same shape replaces the charges it names. The arithmetic is `chipwire.engine.costs.fees`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chipwire.data.dated_rows import Cells, DatedRow, read_rows
from chipwire.data.errors import BadParameter

FloatOrArray = float | npt.NDArray[np.float64]

FEE_COLUMNS = (
    "venue",
    "name",
    "side",
    "applies_to",
    "per",
    "rate",
    "minimum",
    "maximum",
    "rounding",
    "category",
    "valid_from",
    "valid_to",
    "source",
)
CATEGORIES = ("commission", "duty", "levy")
KINDS = ("stock", "etf")
ROUNDINGS = ("none", "cent", "whole_up")
_SIDES = ("buy", "sell", "both")


@dataclass(frozen=True)
class FeeRow(DatedRow):
    """One charge of one venue in one period, as in the file; local currency."""

    venue: str
    name: str
    side: str
    applies_to: str
    per: str
    rate: float
    minimum: float
    maximum: float
    rounding: str
    category: str
    source: str


@dataclass(frozen=True)
class FeeLine:
    """One charge as numbers to compute with.

    Attributes
    ----------
    on_buy, on_sell : float or array over instruments
        1 where the side pays it, else 0.
    per_value, per_share : float
        Rates on the traded value and on the number of shares.
    minimum, maximum : float
        Bounds for one order, local currency; 0 and infinity where there are none.
    rounding : str
        One of `ROUNDINGS`: not rounded, half up to the cent, up to the whole unit.
    """

    name: str
    category: str
    on_buy: FloatOrArray
    on_sell: FloatOrArray
    per_value: float
    per_share: float
    minimum: float
    maximum: float
    rounding: str


@dataclass(frozen=True)
class FeeRates:
    """All charges of one venue and day, for one kind or for the instruments of one auction.

    Attributes
    ----------
    lines : tuple of FeeLine
        In the order of the file; empty where nothing is known.
    covered : bool
        Whether the table is complete for that day. Where it is False the charges are zero, and a run says so.
    """

    lines: tuple[FeeLine, ...]
    covered: bool


class FeeTable:
    """The dated charges of all venues.

    A venue's *commission* rows carry the span for which its table is complete: a day without is not covered.

    Parameters
    ----------
    rows : sequence of FeeRow
    """

    def __init__(self, rows: Sequence[FeeRow]) -> None:
        self.rows = tuple(rows)
        self._cache: dict[tuple[str, tuple[str, ...], date], FeeRates] = {}

    def rates(self, venue: str, kind: str, day: date) -> FeeRates:
        """Return what a trade in `kind` (``stock`` or ``etf``) pays at `venue` (MIC) in the session `day`.

        A venue without a table and a day that it does not cover give no charges and ``covered=False``.

        Raises
        ------
        BadParameter
            If `kind` is not a kind that is traded.
        """
        return self.stacked(venue, (kind,), day)

    def stacked(self, venue: str, kinds: tuple[str, ...], day: date) -> FeeRates:
        """Return the charges of one auction's instruments, `kinds` in their order along the last axis.

        Where all kinds are the same, the numbers are scalars and hold for any number of instruments.
        """
        key = (venue, kinds if len(set(kinds)) > 1 else kinds[:1], day)
        if key not in self._cache:
            self._cache[key] = self._find(*key)
        return self._cache[key]

    def _find(self, venue: str, kinds: tuple[str, ...], day: date) -> FeeRates:
        for kind in kinds:
            if kind not in KINDS:
                raise BadParameter("kind", kind, f"fees are known for {' and '.join(KINDS)}")
        rows = [row for row in self.rows if row.venue == venue and row.holds_on(day)]
        known = {
            kind for row in rows for kind in kinds if row.category == "commission" and row.applies_to in (kind, "all")
        }
        lines = []
        for row in rows:
            applies = [float(kind in known and row.applies_to in (kind, "all")) for kind in kinds]
            if any(applies):
                lines.append(_line(row, applies[0] if len(kinds) == 1 else np.array(applies)))
        return FeeRates(tuple(lines), covered=known == set(kinds))


def load_fees(replacement: Path | None = None) -> FeeTable:
    """Return the shipped table, with the rows of a user's file in place of those that it names.

    Parameters
    ----------
    replacement : Path, optional
        A csv with the header `FEE_COLUMNS`. All shipped rows with the venue and name of one of its rows are
        left out; a venue that the shipped table does not have is added. Empty bounds are none.

    Raises
    ------
    UnreadableInput
        Naming the file, the line, the value and what is allowed.
    """
    shipped = read_rows("fees.csv", FEE_COLUMNS, _parse, _series)
    if replacement is None:
        return FeeTable(shipped)
    own = read_rows(replacement, FEE_COLUMNS, _parse, _series)
    replaced = {(row.venue, row.name) for row in own}
    return FeeTable([row for row in shipped if (row.venue, row.name) not in replaced] + list(own))


def _line(row: FeeRow, applies: FloatOrArray) -> FeeLine:
    return FeeLine(
        name=row.name,
        category=row.category,
        on_buy=applies * (row.side in ("buy", "both")),
        on_sell=applies * (row.side in ("sell", "both")),
        per_value=row.rate if row.per == "value" else 0.0,
        per_share=row.rate if row.per == "share" else 0.0,
        minimum=row.minimum,
        maximum=row.maximum,
        rounding=row.rounding,
    )


def _series(row: FeeRow) -> tuple[str, str, str, str]:
    return row.venue, row.name, row.side, row.applies_to


def _parse(cells: Cells) -> FeeRow:
    first, last = cells.period()
    row = FeeRow(
        valid_from=first,
        valid_to=last,
        venue=cells.text("venue"),
        name=cells.text("name"),
        side=cells.choice("side", _SIDES),
        applies_to=cells.choice("applies_to", (*KINDS, "all")),
        per=cells.choice("per", ("value", "share")),
        rate=cells.number("rate"),
        minimum=cells.number("minimum", empty=0.0),
        maximum=cells.number("maximum", empty=math.inf),
        rounding=cells.choice("rounding", ROUNDINGS),
        category=cells.choice("category", CATEGORIES),
        source=cells.text("source"),
    )
    if row.minimum > row.maximum:
        raise cells.refuse("maximum", f"at least the minimum {row.minimum}")
    return row
