"""FX reference rates: a csv with a date and one column a pair becomes units of each currency for one USD.

A rate is known once its day has ended in UTC: fixings are struck during the day, at differing hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import InputError, UnreadableInput
from chipwire.data.price_files import Floats, parse_floats, parse_stamps
from chipwire.data.tables import Reject, Table, first_reject, read_table, reject_rows, storable, table_files
from chipwire.data.warehouse import Warehouse

BASE = "USD"
_PAIR = re.compile(r"([A-Z]{3})[/_ ]?([A-Z]{3})(?:=X)?")
# List one of ISO 4217 as of 2026 (SIX Group, the maintenance agency), without its codes for tests and for no currency.
_LIST_ONE = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
    CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD
    HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
    MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
    PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
    TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD
    XPF XPT XSU XUA YER ZAR ZMW ZWG
"""
ISO_4217 = frozenset(_LIST_ONE.split())
_LARGEST_MOVE = 0.10
# Pegged since 1983, inside 7.75-7.85 since 2005: a day's move of 2 % is an error, not a market.
_PEGGED = {"HKD": 0.02}
_NEIGHBOURS = 2


@dataclass(frozen=True)
class FxRow:
    """What became of one currency of one file."""

    file: str
    currency: str
    first: date
    last: date
    read: int
    kept: int
    added: int
    rejected: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FxSummary:
    """One row a file and currency, one line for each file that could not be used, and the first reject in words."""

    rows: tuple[FxRow, ...]
    refused: tuple[str, ...]
    rejected: int
    first_reject: str

    @property
    def added(self) -> int:
        """Rates that are new in the warehouse."""
        return sum(row.added for row in self.rows)


def fx_columns(names: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Return by currency the column of its rate and whether it is inverse (USD for one unit).

    Both ``USDCNY`` (yuan for a dollar) and ``EURUSD`` (dollars for a euro) are known, also as ``EUR/USD`` and
    ``EURUSD=X``. Empty when the table has none.
    """
    found: dict[str, tuple[int, bool]] = {}
    for i, currency, inverse in _pairs(names):
        if currency in ISO_4217:
            found.setdefault(currency, (i, inverse))
    return found


def _pairs(names: Sequence[str]) -> Iterator[tuple[int, str, bool]]:
    """Yield column, currency and whether the rate is inverse of what is written as a pair with USD."""
    for i, name in enumerate(names):
        match = _PAIR.fullmatch(name.strip().upper())
        if match and BASE in match.groups() and match[1] != match[2]:
            inverse = match[2] == BASE
            yield i, match[1] if inverse else match[2], inverse


def _unknown(names: Sequence[str]) -> list[Reject]:
    """Return a reject for each pair whose currency does not exist; the file as a whole is where a column is."""
    return [
        Reject(0, f"column '{names[i]}' is not taken: {currency} is no active code of ISO 4217; correct the header")
        for i, currency, _ in _pairs(names)
        if currency not in ISO_4217
    ]


def ingest_fx(warehouse: Warehouse, paths: Sequence[str]) -> FxSummary:
    """Read FX files into ``fx_rate``, one transaction a file; what cannot be read is named, the rest goes on.

    Parameters
    ----------
    warehouse : Warehouse
        Open for writing.
    paths : sequence of str
        Files, folders, globs, ``-``.
    """
    files, errors = table_files(paths)
    refused = [str(error) for error in errors]
    rows: list[FxRow] = []
    rejected = 0
    first = ""
    for file in files:
        try:
            found, wrong = store_fx(warehouse, read_table(file))
            rows += found
            rejected += len(wrong)
            first = first or first_reject(file, wrong)
        except InputError as error:
            refused.append(str(error))
    return FxSummary(tuple(rows), tuple(refused), rejected, first)


def store_fx(warehouse: Warehouse, table: Table) -> tuple[list[FxRow], list[Reject]]:
    """Store the rates of one table in one transaction; return a row a currency and the rejects.

    Raises
    ------
    UnreadableInput
        No date column, no pair with USD or only such of unknown currencies, or no rows.
    """
    names = [name.lower() for name in table.names]
    day_column = next((i for i, n in enumerate(names) if n in ("date", "日期", "day", "time_period", "")), None)
    pairs, unknown = fx_columns(table.names), _unknown(table.names)
    if unknown and not pairs:
        raise UnreadableInput(table.file, "; ".join(reject.reason for reject in unknown))
    if not table.rows_read:
        raise UnreadableInput(table.file, "has a header and no rows")
    if day_column is None or not pairs or not len(table.lines):
        raise UnreadableInput(table.file, "needs a date column, columns such as USDCNY or EURUSD, and rows")
    stamps = parse_stamps(table.columns[day_column])
    good = {i: stamp.date() for i, stamp in enumerate(stamps) if not isinstance(stamp, str)}
    dated = np.array(list(good), dtype=np.intp)
    undated = [Reject(int(table.lines[i]), s, table.excerpt(i)) for i, s in enumerate(stamps) if isinstance(s, str)]
    days = np.array(list(good.values()), dtype="datetime64[D]")
    rows: list[FxRow] = []
    with warehouse.transaction():
        batch = warehouse.new_batch("ingest fx", storable(table.file), table.rows_read)
        rejects = [*unknown, *table.rejects, *undated]
        for currency, (column, inverse) in pairs.items():
            cells = table.columns[column][dated]
            row, wrong = _store_currency(warehouse, batch, table, currency, (days, cells, dated), inverse=inverse)
            if row is not None:
                rows.append(row)
            rejects += wrong
        warehouse.insert("reject", reject_rows(batch, table.file, rejects))
        warehouse.end_batch(batch, table.rows_read, sum(row.added for row in rows))
    return rows, rejects


def _store_currency(
    warehouse: Warehouse,
    batch: int,
    table: Table,
    currency: str,
    data: tuple[NDArray[np.datetime64], NDArray[Any], NDArray[np.intp]],
    *,
    inverse: bool,
) -> tuple[FxRow | None, list[Reject]]:
    import pyarrow as pa

    days, cells, dated = data
    values, wrong = parse_floats(cells)
    # An empty cell is a day without a rate; "nan" in a text is a rate that somebody failed to work out.
    spelled = [r for r, cell in enumerate(cells) if isinstance(cell, str) and cell.strip().lower() == "nan"]
    reasons = dict.fromkeys([*wrong, *spelled], f"{currency} is no number")
    reasons |= {int(r): f"{currency} {values[r]:g} is no rate" for r in np.flatnonzero(values <= 0) if r not in reasons}
    use = np.array(
        # Of two rates of a day the lower one given is kept, wherever in the file it stands.
        [r for r in np.lexsort((values, days)) if r not in reasons and not np.isnan(values[r])],
        np.intp,
    )
    rates = 1 / values[use] if inverse else values[use]
    reasons |= {int(use[i]): reason for i, reason in _impossible_moves(currency, rates).items()}
    stored = dict(warehouse.rows("SELECT fixed_on, rate FROM fx_rate WHERE currency = ?", [currency]))
    new: dict[date, float] = {}
    for row, rate in zip(use, rates, strict=True):
        if row in reasons:
            continue
        day = days[row].item()
        known, known_is = (
            (stored[day], "stored") if day in stored else (new.setdefault(day, float(rate)), "in another row")
        )
        if not np.isclose(known, rate, rtol=1e-6, atol=0):
            reasons[int(row)] = f"revised: {currency} of {day} is {known:g} {known_is}, {rate:g} given"
    rejects = [
        Reject(int(table.lines[dated[row]]), reason, table.excerpt(int(dated[row])))
        for row, reason in sorted(reasons.items())
    ]
    if not len(use):
        return None, rejects
    fixed_on = np.array(list(new), dtype="datetime64[D]")
    added = warehouse.insert(
        "fx_rate",
        pa.table(
            {
                "currency": pa.array([currency] * len(new), pa.string()),
                "fixed_on": pa.array(fixed_on, pa.date32()),
                "rate": pa.array(list(new.values()), pa.float64()),
                "available_at": pa.array((fixed_on + 1).astype("datetime64[us]"), pa.timestamp("us")),
                "batch_id": pa.array([batch] * len(new), pa.int64()),
            }
        ),
    )
    notes = ("given as USD for one unit, stored the other way round",) if inverse else ()
    first, last = days[use[0]].item(), days[use[-1]].item()
    kept = len(use) - sum(1 for row in use if int(row) in reasons)
    return FxRow(table.file, currency, first, last, len(cells), kept, added, len(rejects), notes), rejects


def _impossible_moves(currency: str, rates: Floats) -> dict[int, str]:
    """Rates that leave the median of the two before, themselves and the two after by more than a day's move.

    The median lets a true step through, at which the later rates stay, and names one that comes back.
    """
    allowed = _PEGGED.get(currency, _LARGEST_MOVE)
    left = np.arange(len(rates))
    found = {}
    while len(left):
        # The ends see their own value twice more, so that they have five neighbours too.
        framed = np.pad(rates[left], _NEIGHBOURS, mode="edge")
        usual = np.median(np.lib.stride_tricks.sliding_window_view(framed, 2 * _NEIGHBOURS + 1), axis=1)
        moves = rates[left] / usual - 1
        # The worst first: an error must not speak about its neighbours.
        worst = int(np.argmax(np.abs(moves)))
        if abs(moves[worst]) <= allowed:
            break
        row = int(left[worst])
        found[row] = f"impossible rate: {currency} {rates[row]:g}, {moves[worst]:+.0%} from its neighbours"
        left = np.delete(left, worst)
    return found
