"""Price files into ``bar``: recognised, checked, compared with what is stored, one transaction a file.

A stored bar is never overwritten: another value for it is a reject with both, and a file that contradicts
most of what is stored, or is adjusted in another way, is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter, InputError, MixedAdjustment
from chipwire.data.fx import FxRow, fx_columns, store_fx
from chipwire.data.market_rules import MarketRules, load_market_rules
from chipwire.data.price_evidence import LOT, Finding, StoredBars, find_adjustment, find_volume_unit, no_bars
from chipwire.data.price_files import PRICES, PriceFile, RawBars, read_prices
from chipwire.data.quality import Checked, Jump, check_bars, compare_stored, find_jumps
from chipwire.data.tables import Reject, first_reject, read_table, reject_rows, storable, table_files
from chipwire.data.universe import Universe, find_symbol
from chipwire.data.warehouse import Warehouse

VOLUME_UNITS = ("auto", "shares", "lots")
ADJUSTMENTS = ("auto", "none", "split", "split+dividend")
_SHOWN = 6
_STORED = """
    SELECT starts_at, open, high, low, close, adj_close, volume, adjustment
    FROM bar WHERE instrument = ? AND interval = ? ORDER BY starts_at
"""
_SAME_QUALITY = """
    SELECT 1 FROM price_quality
    WHERE instrument = ? AND interval = ? AND file = ? AND first_session IS NOT DISTINCT FROM ?
      AND last_session IS NOT DISTINCT FROM ? AND bars_read = ? AND bars_kept = ? AND missing_sessions = ?
      AND stale_bars = ? AND impossible_bars = ? AND limit_jumps = ? AND off_calendar_bars = ?
      AND adjustment = ? AND volume_unit = ?
"""


@dataclass(frozen=True)
class PriceRow:
    """The quality of one instrument's bars in one file, as in ``price_quality``, and what became of them.

    Attributes
    ----------
    bars_read, bars_kept, bars_added : int
        Rows of the file, rows that passed, rows that are new in the warehouse.
    missing_sessions, stale_bars, impossible_bars, limit_jumps, off_calendar_bars, repeated_bars : int
        See `chipwire.data.quality`.
    rejected : int
        Rows of this instrument in ``reject``, bars revised against stored ones included.
    adjustment, volume_unit : str
        As found; the notes say why.
    notes : tuple of str
    """

    file: str
    instrument: str
    interval: str
    first_session: date | None
    last_session: date | None
    bars_read: int
    bars_kept: int
    bars_added: int
    missing_sessions: int
    stale_bars: int
    impossible_bars: int
    limit_jumps: int
    off_calendar_bars: int
    repeated_bars: int
    rejected: int
    adjustment: str
    volume_unit: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PriceSummary:
    """One row a file and instrument, FX files met, a line for each thing refused, the first reject in words."""

    rows: tuple[PriceRow, ...]
    fx: tuple[FxRow, ...]
    refused: tuple[str, ...]
    rejected: int
    first_reject: str

    @property
    def added(self) -> int:
        """Bars that are new in the warehouse."""
        return sum(row.bars_added for row in self.rows)


@dataclass(frozen=True)
class _Options:
    universe: Universe
    instrument: str | None
    interval: str
    volume_unit: str
    adjustment: str
    zone: str | None
    replace: bool
    rules: MarketRules


def ingest_prices(
    warehouse: Warehouse,
    paths: Sequence[str],
    universe: Universe,
    *,
    instrument: str | None = None,
    interval: str = "auto",
    volume_unit: str = "auto",
    adjustment: str = "auto",
    zone: str | None = None,
    replace: bool = False,
) -> PriceSummary:
    """Read price files; an FX file among them goes to ``fx_rate``.

    Parameters
    ----------
    warehouse : Warehouse
        Open for writing.
    paths : sequence of str
        Files, folders, globs, ``-`` (which needs `instrument`, unless the table names it).
    universe : Universe
        Known instruments.
    instrument : str, optional
        What the files hold; default from a column, a header row or the file name.
    interval : str
        ``auto``, or what the files must hold, e.g. ``1d``.
    volume_unit : str
        ``auto``, ``shares`` or ``lots``; see `chipwire.data.price_evidence.find_volume_unit`.
    adjustment : str
        ``auto``, ``none``, ``split`` or ``split+dividend``; see
        `chipwire.data.price_evidence.find_adjustment`.
    zone : str, optional
        IANA zone of intraday times without an offset.
    replace : bool
        Drop what is stored of each instrument and interval met, once a call, before its first file goes in.

    Returns
    -------
    PriceSummary
        Files that could not be used are lines in `refused`, and rows with line 0 in ``reject``.

    Raises
    ------
    BadParameter, UnknownName
        An option is not allowed, or `instrument` is not known.
    """
    for name, value, allowed in (
        ("volume_unit", volume_unit, VOLUME_UNITS),
        ("adjustment", adjustment, ADJUSTMENTS),
    ):
        if value not in allowed:
            raise BadParameter(name, value, f"one of {', '.join(allowed)}")
    if zone is not None:
        _check_zone(zone)
    if instrument is not None:
        universe.instrument(find_symbol(instrument, universe) or instrument)
    options = _Options(universe, instrument, interval, volume_unit, adjustment, zone, replace, load_market_rules())
    files, errors = table_files(paths)
    refused: list[tuple[str, str]] = [(error.path, str(error)) for error in errors]
    rows: list[PriceRow] = []
    fx: list[FxRow] = []
    rejected = 0
    first = ""
    replaced: set[tuple[str, str]] = set()
    for file in files:
        try:
            table = read_table(file)
            if fx_columns(table.names) and "close" not in [name.lower() for name in table.names]:
                rates, wrong = store_fx(warehouse, table)
                fx += rates
                rejected += len(wrong)
                first = first or first_reject(file, wrong)
                continue
            found = read_prices(table, universe, instrument=instrument, interval=interval, zone=zone)
            done, wrong, lines = _store_file(warehouse, file, table.rows_read, found, options, replaced)
            rows += done
            rejected += len(wrong)
            first = first or first_reject(file, wrong)
            refused += [(file, line) for line in lines]
        except InputError as error:
            line = str(error)
            refused.append((file, line if file in line else f"{file}: {line}"))
    _store_refused(warehouse, refused)
    return PriceSummary(tuple(rows), tuple(fx), tuple(line for _, line in refused), rejected, first)


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise BadParameter("zone", zone, "an IANA zone such as America/New_York is needed") from error


def _store_file(
    warehouse: Warehouse,
    file: str,
    rows_read: int,
    found: PriceFile,
    options: _Options,
    replaced: set[tuple[str, str]],
) -> tuple[list[PriceRow], list[Reject], list[str]]:
    """Store one recognised file in one transaction; return its rows, its rejects and its refusals.

    An error of the only instrument refuses the file; one of several instruments refuses that instrument.
    """
    rows: list[PriceRow] = []
    refused = list(found.refused)
    rejects = list(found.rejects)
    dropped: set[tuple[str, str]] = set()
    with warehouse.transaction():
        batch = warehouse.new_batch("ingest prices", storable(file), rows_read)
        for bars in found.bars:
            key = (bars.instrument.symbol, bars.interval)
            drop = options.replace and key not in replaced | dropped
            try:
                row, wrong = _store_bars(warehouse, batch, file, bars, options, drop=drop)
            except InputError as error:
                if len(found.bars) == 1 and not refused:
                    raise
                refused.append(str(error))
                continue
            dropped.add(key)
            ignored = (f"columns without a use: {', '.join(found.ignored)}",) if found.ignored else ()
            row = changed(row, notes=(*row.notes, *ignored))
            _store_quality(warehouse, batch, row)
            rows.append(row)
            rejects += wrong
        warehouse.insert("reject", reject_rows(batch, file, rejects))
        warehouse.end_batch(batch, rows_read, sum(row.bars_added for row in rows))
    replaced |= dropped
    return rows, rejects, _shortened(refused)


def _shortened(refused: list[str]) -> list[str]:
    """Name some and count the rest: a whole market's file has thousands of unknown symbols."""
    more = len(refused) - _SHOWN
    return refused if more <= 0 else [*refused[:_SHOWN], f"and {more:,} instruments more of the same file"]


def _store_bars(
    warehouse: Warehouse, batch: int, file: str, bars: RawBars, options: _Options, *, drop: bool
) -> tuple[PriceRow, list[Reject]]:
    """Check and store the bars of one instrument.

    Raises
    ------
    MixedAdjustment, RevisedSeries
        Before anything of it is written.
    """
    symbol = bars.instrument.symbol
    stored = no_bars() if drop else _stored_bars(warehouse, symbol, bars.interval)
    before = np.flatnonzero(stored.starts_at < bars.starts_at.min())
    checked = check_bars(bars, float(stored.prices[before[-1], 3]) if len(before) else None)
    kept = bars.taken(checked.keep, without_volume=checked.without_volume)
    unit = find_volume_unit(kept, stored, options.volume_unit, file)
    if unit.value == "lots" and kept.volume is not None:
        kept = changed(kept, volume=np.round(kept.volume * LOT))
    adjustment = find_adjustment(kept, stored, options.adjustment)
    if stored.adjustment not in (None, adjustment.value) and len(kept):
        raise MixedAdjustment(file, symbol, str(stored.adjustment), adjustment.value, adjustment.why)
    rejects = list(checked.rejects)
    new, revised, note = compare_stored(file, kept, stored)
    rejects += revised
    ex_dates = {day for (day,) in warehouse.rows("SELECT ex_date FROM corporate_action WHERE instrument = ?", [symbol])}
    jumps = find_jumps(kept, ex_dates, adjustment.value, options.rules)
    if drop:
        warehouse.touch("bar")
        warehouse.run("DELETE FROM bar WHERE instrument = ? AND interval = ?", [symbol, bars.interval])
    added = warehouse.insert("bar", _bar_rows(batch, kept.taken(new), adjustment.value))
    notes = (*_notes(checked, unit, adjustment, jumps), *note)
    row = PriceRow(
        file, symbol, bars.interval,
        kept.session[0].item() if len(kept) else None, kept.session[-1].item() if len(kept) else None,
        len(bars), len(kept), added, len(checked.missing), checked.stale, checked.impossible, len(jumps),
        checked.off_calendar, checked.repeated, len(rejects), adjustment.value,
        "lots of 100" if unit.value == "lots" else "shares", notes,
    )  # fmt: skip
    return row, rejects


def _stored_bars(warehouse: Warehouse, symbol: str, interval: str) -> StoredBars:
    table = warehouse.arrow(_STORED, [symbol, interval])
    if not table.num_rows:
        return no_bars()
    columns = {name: table[name].to_numpy() for name in table.column_names}
    return StoredBars(
        columns["starts_at"].astype("datetime64[us]"),
        np.column_stack([columns[name] for name in PRICES]),
        columns["adj_close"].astype(np.float64),
        columns["volume"].astype(np.float64),
        str(columns["adjustment"][0]),
    )


def _bar_rows(batch: int, bars: RawBars, adjustment: str) -> Any:
    import pyarrow as pa

    count = len(bars)

    def optional(values: NDArray[np.float64] | None) -> Any:
        return pa.nulls(count, pa.float64()) if values is None else pa.array(values, pa.float64(), from_pandas=True)

    return pa.table(
        {
            "instrument": pa.array([bars.instrument.symbol] * count, pa.string()),
            "interval": pa.array([bars.interval] * count, pa.string()),
            "session": pa.array(bars.session, pa.date32()),
            "starts_at": pa.array(bars.starts_at, pa.timestamp("us")),
            **{name: pa.array(bars.prices[:, c], pa.float64()) for c, name in enumerate(PRICES)},
            "adj_close": optional(bars.adj_close),
            "volume": optional(bars.volume),
            "adjustment": pa.array([adjustment] * count, pa.string()),
            "batch_id": pa.array([batch] * count, pa.int64()),
        }
    )


def _notes(checked: Checked, unit: Finding, adjustment: Finding, jumps: tuple[Jump, ...]) -> tuple[str, ...]:
    notes = [f"adjustment: {adjustment.why}", f"volume: {unit.why}"]
    if len(checked.missing):
        notes.append(f"missing: {_listed([str(day) for day in checked.missing])}")
    if jumps:
        moves = [f"{jump.session} {jump.move:+.1%} beyond {jump.allowed:.0%}" for jump in jumps]
        notes.append(f"jumps: {_listed(moves)}")
    if checked.repeated:
        notes.append(f"{checked.repeated} exact repeats left out")
    return (*notes, *checked.notes)


def _listed(words: list[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _store_quality(warehouse: Warehouse, batch: int, row: PriceRow) -> None:
    """Keep the row in ``price_quality``, unless the same file came to the same before."""
    values = [
        row.instrument, row.interval, storable(row.file), row.first_session, row.last_session,
        row.bars_read, row.bars_kept, row.missing_sessions, row.stale_bars, row.impossible_bars,
        row.limit_jumps, row.off_calendar_bars,
        row.adjustment, row.volume_unit, "; ".join(row.notes),
    ]  # fmt: skip
    # The notes may differ: at a second ingest the stored bars are evidence.
    if warehouse.rows(_SAME_QUALITY, values[:-1]):
        return
    warehouse.touch("price_quality")
    marks = ", ".join("?" * (len(values) + 1))
    # Nothing but question marks goes into the text.
    warehouse.run(f"INSERT INTO price_quality VALUES ({marks})", [batch, *values])  # noqa: S608


def _store_refused(warehouse: Warehouse, refused: list[tuple[str, str]]) -> None:
    """Keep what was refused as rejects of line 0, so that it can be looked up later."""
    with warehouse.transaction():
        for file in dict.fromkeys(name for name, _ in refused):
            batch = warehouse.new_batch("ingest prices", storable(file))
            lines = [Reject(0, reason.removeprefix(f"{file}: ")) for name, reason in refused if name == file]
            warehouse.insert("reject", reject_rows(batch, file, lines))
