"""Corporate actions: splits and cash dividends with their ex-dates, for bars not adjusted for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from chipwire.data.calendars import coverage, sessions
from chipwire.data.errors import ChipwireError, InputError, UnreadableInput
from chipwire.data.price_files import parse_floats, parse_stamps
from chipwire.data.tables import Reject, Table, first_reject, read_table, reject_rows, storable, table_files
from chipwire.data.universe import Universe, find_symbol
from chipwire.data.warehouse import Warehouse

COLUMNS = ("instrument", "ex_date", "kind", "value")


@dataclass(frozen=True)
class ActionRow:
    """What became of one file."""

    file: str
    read: int
    kept: int
    added: int
    rejected: int


@dataclass(frozen=True)
class ActionSummary:
    """One row a file, one line for each file that could not be used, and the first reject in words."""

    rows: tuple[ActionRow, ...]
    refused: tuple[str, ...]
    first_reject: str

    @property
    def added(self) -> int:
        """Actions that are new in the warehouse."""
        return sum(row.added for row in self.rows)

    @property
    def rejected(self) -> int:
        """Rows that could not be used."""
        return sum(row.rejected for row in self.rows)


@dataclass(frozen=True)
class Action:
    """One corporate action.

    Attributes
    ----------
    instrument : str
    ex_date : date
        The first session without the right.
    kind : str
        ``split`` or ``dividend``.
    value : float
        New shares for one old share, or cash for one share before tax.
    currency : str or None
        Of the cash; None for a split.
    """

    instrument: str
    ex_date: date
    kind: str
    value: float
    currency: str | None


def ingest_actions(warehouse: Warehouse, paths: Sequence[str], universe: Universe) -> ActionSummary:
    """Read files with the columns instrument, ex_date, kind, value and (for dividends) currency.

    One transaction a file. An action stored already with another value stays; the new one is a reject.
    """
    files, errors = table_files(paths)
    refused = [str(error) for error in errors]
    rows = []
    first = ""
    for file in files:
        try:
            row, wrong = _store(warehouse, read_table(file), universe)
            rows.append(row)
            first = first or first_reject(file, wrong)
        except InputError as error:
            refused.append(str(error))
    return ActionSummary(tuple(rows), tuple(refused), first)


def _store(warehouse: Warehouse, table: Table, universe: Universe) -> tuple[ActionRow, list[Reject]]:
    import pyarrow as pa

    names = [re.sub(r"[\s\-]", "_", name.lower()) for name in table.names]
    if lacking := [name for name in COLUMNS if name not in names]:
        raise UnreadableInput(table.file, f"no column {', '.join(lacking)}; needed are {', '.join(COLUMNS)}, currency")
    rejects = list(table.rejects)
    found: dict[tuple[str, date, str], Action] = {}
    with warehouse.transaction():
        stored = {
            (i, d, k): Action(i, d, k, v, c)
            for i, d, k, v, c in warehouse.rows(
                "SELECT instrument, ex_date, kind, value, currency FROM corporate_action"
            )
        }
        kept = 0
        for row, line in enumerate(table.lines.tolist()):
            try:
                action = _action(table, names, row, universe)
                key = (action.instrument, action.ex_date, action.kind)
                known = stored.get(key) or found.setdefault(key, action)
                if known != action:
                    given = f"{action.value:g} {action.currency or ''}"
                    raise InputError(f"revised: {known.value:g} {known.currency or ''} known, {given} given")
                kept += 1
            except ChipwireError as error:
                rejects.append(Reject(line, str(error), table.excerpt(row)))
        new = [action for key, action in found.items() if key not in stored]
        batch = warehouse.new_batch("ingest actions", storable(table.file), table.rows_read)
        added = warehouse.insert(
            "corporate_action",
            pa.table(
                {
                    "instrument": pa.array([a.instrument for a in new], pa.string()),
                    "ex_date": pa.array([a.ex_date for a in new], pa.date32()),
                    "kind": pa.array([a.kind for a in new], pa.string()),
                    "value": pa.array([a.value for a in new], pa.float64()),
                    "currency": pa.array([a.currency for a in new], pa.string()),
                    "batch_id": pa.array([batch] * len(new), pa.int64()),
                }
            ),
        )
        warehouse.insert("reject", reject_rows(batch, table.file, rejects))
        warehouse.end_batch(batch, table.rows_read, added)
    return ActionRow(table.file, table.rows_read, kept, added, len(rejects)), rejects


def _action(table: Table, names: list[str], row: int, universe: Universe) -> Action:
    """Parse one row; an `InputError` says what is wrong with it."""
    one = slice(row, row + 1)
    cells = dict(zip(names, (column[one] for column in table.columns), strict=True))
    text = str(cells["instrument"][0]).strip()
    instrument = universe.instrument(find_symbol(text, universe) or text)
    stamp = parse_stamps(cells["ex_date"])[0]
    if isinstance(stamp, str):
        raise InputError(stamp)
    ex_date = stamp.date()
    first, last = coverage(instrument.venue)
    if first <= ex_date <= last and not len(sessions(instrument.venue, ex_date, ex_date)):
        raise InputError(f"{instrument.venue} had no session on {ex_date}; the ex-date is a session")
    kind = str(cells["kind"][0]).strip().lower()
    if kind not in ("split", "dividend"):
        raise InputError(f"kind '{kind}' is not known: split or dividend")
    values, wrong = parse_floats(cells["value"])
    if wrong or not values[0] > 0:
        raise InputError(f"value '{cells['value'][0]}' must be a number above 0")
    currency = str(cells["currency"][0]).strip().upper() if "currency" in cells else ""
    if kind == "split":
        return Action(instrument.symbol, ex_date, kind, float(values[0]), None)
    if currency and not re.fullmatch(r"[A-Z]{3}", currency):
        raise InputError(f"currency '{currency}' is not a code such as {instrument.currency}")
    return Action(instrument.symbol, ex_date, kind, float(values[0]), currency or instrument.currency)
