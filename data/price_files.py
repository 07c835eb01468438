"""The shapes price files come in, recognised: what each column is, which instrument, which interval.

Shapes: one instrument a file with English or Chinese column names; Yahoo's three header rows (one or several
tickers); a long table with an instrument column; csv or parquet, plain or gzipped; days, or instants with an
offset. Nothing is judged here but form: numbers that are no numbers and dates that are no dates are rejects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from chipwire.data.calendars import venue
from chipwire.data.errors import BadParameter, DuplicateColumns, InputError, UnreadableInput, WrongInstrument
from chipwire.data.errors import did_you_mean as nearest
from chipwire.data.intervals import INTERVALS
from chipwire.data.tables import Reject, Table
from chipwire.data.universe import Instrument, Universe, find_symbol

Floats = NDArray[np.float64]

PRICES = ("open", "high", "low", "close")
_NAMES = {
    "date": "date datetime timestamp time session starts_at tradedate 日期 交易日期 时间 交易时间",
    "open": "open 开盘 开盘价 今开",
    "high": "high 最高 最高价",
    "low": "low 最低 最低价",
    "close": "close 收盘 收盘价",
    "adj_close": "adjclose adjustedclose",
    "volume": "volume vol 成交量",
    "amount": "amount money 成交额 成交金额",
    "instrument": "instrument symbol ticker code tscode stockcode 股票代码 证券代码 代码",
    "adjustment": "adjustment",
}
_MEANING = {_word.replace("_", ""): _field for _field, words in _NAMES.items() for _word in words.split()}
_UNITS = {"手": "lots", "lots": "lots", "lot": "lots", "股": "shares", "shares": "shares"}
_HEAD = re.compile(r"^(?P<name>.*?)\s*(?:[(（\[](?P<unit>[^)）\]]*)[)）\]])?(?:\.\d+)?$")
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][+-]?\d{1,3})?")
_STAMP = re.compile(
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|(\d{2})(\d{2}))"
    r"(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?)?"
)
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2049, 12, 31)


@dataclass(frozen=True)
class RawBars:
    """The bars of one instrument as a file has them, in the file's order.

    Attributes
    ----------
    instrument : Instrument
        From the universe.
    interval : str
        ``1d``, ``1h``, ...
    line : ndarray of int64, shape (n,)
        Line in the file.
    session : ndarray of datetime64[D], shape (n,)
        The venue's day.
    starts_at : ndarray of datetime64[us], shape (n,)
        UTC instant of an intraday bar, the session at 00:00 for ``1d``.
    prices : ndarray of float64, shape (n, 4)
        Open, high, low, close.
    adj_close, volume, amount : ndarray of float64 or None, shape (n,)
        NaN where the cell is empty; volume in the file's unit; amount is the turnover in money.
    adjustment : str or None
        What the file itself says.
    unit : str or None
        ``shares`` or ``lots`` when a column name says so.
    """

    instrument: Instrument
    interval: str
    line: NDArray[np.int64]
    session: NDArray[np.datetime64]
    starts_at: NDArray[np.datetime64]
    prices: Floats
    adj_close: Floats | None
    volume: Floats | None
    amount: Floats | None
    adjustment: str | None
    unit: str | None

    def __len__(self) -> int:
        return len(self.line)

    def taken(self, rows: NDArray[np.intp], *, without_volume: bool = False) -> RawBars:
        """Return some of the bars, without their volumes where these say nothing."""
        adj_close, volume, amount = (
            None if values is None else values[rows] for values in (self.adj_close, self.volume, self.amount)
        )
        return replace(
            self,
            line=self.line[rows],
            session=self.session[rows],
            starts_at=self.starts_at[rows],
            prices=self.prices[rows],
            adj_close=adj_close,
            volume=None if without_volume else volume,
            amount=amount,
        )


@dataclass(frozen=True)
class PriceFile:
    """A price file, recognised.

    Attributes
    ----------
    bars : tuple of RawBars
        One an instrument.
    rejects : list of Reject
        Lines that are no bars.
    refused : tuple of str
        One line each for instruments that could not be used while others of the file could.
    ignored : tuple of str
        Columns without a meaning here.
    """

    bars: tuple[RawBars, ...]
    rejects: list[Reject]
    refused: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """Rows and columns of one instrument in a table, before they are parsed."""

    table: Table
    columns: dict[str, int]
    rows: NDArray[np.intp] | None = None
    inside: str | None = None
    unit: str | None = None


def symbol_of_file(file: str, universe: Universe) -> str | None:
    """Return the instrument that a file's name begins with, e.g. ``0981.HK.yahoo.csv`` or ``AMD_1h.csv``."""
    stem = Path(file).name
    cuts = [len(stem), *(m.start() for m in reversed(list(re.finditer(r"[._\- ]", stem))))]
    return next((s for cut in cuts if cut and (s := find_symbol(stem[:cut], universe))), None)


def read_prices(
    table: Table,
    universe: Universe,
    *,
    instrument: str | None = None,
    interval: str = "auto",
    zone: str | None = None,
) -> PriceFile:
    """Recognise a table of prices.

    Parameters
    ----------
    table : Table
        From `chipwire.data.tables.read_table`.
    universe : Universe
        Known instruments.
    instrument : str, optional
        The user's word for which instrument it is.
    interval : str
        ``auto``, or what the file must hold, e.g. ``1d``.
    zone : str, optional
        IANA zone of instants without an offset.

    Raises
    ------
    UnreadableInput, DuplicateColumns, WrongInstrument, UnknownName
    """
    if instrument is not None:
        instrument = universe.instrument(find_symbol(instrument, universe) or instrument).symbol
    rejects = list(table.rejects)
    parts, ignored = _parts(table)
    bars, refused = [], []
    for part in parts:
        try:
            listing = _instrument(part, len(parts) > 1, instrument, universe)
            bars.append(_bars(part, listing, interval, zone, rejects))
        except InputError as error:
            if len(parts) == 1:
                raise
            refused.append(str(error))
    return PriceFile(tuple(bars), rejects, tuple(refused), ignored)


def _parts(table: Table) -> tuple[list[_Part], tuple[str, ...]]:
    """Split a table into instruments: by its ticker header row, by its instrument column, or not at all."""
    if len(table.head) == 3 and {r[0].strip() for r in table.head[:2]} == {"Price", "Ticker"}:
        return _multiheader(table), ()
    columns, unit, ignored = _columns(table.file, table.names)
    if "instrument" not in columns:
        return [_Part(table, columns, unit=unit)], ignored
    names = np.char.strip(np.asarray(table.columns[columns["instrument"]], dtype=np.str_))
    if not len(names):
        raise UnreadableInput(table.file, "has a header and no rows")
    found, where = np.unique(names, return_inverse=True)
    rows = np.split(np.argsort(where, kind="stable"), np.cumsum(np.bincount(where))[:-1])
    return [_Part(table, columns, own, str(name), unit) for name, own in zip(found, rows, strict=True)], ignored


def _multiheader(table: Table) -> list[_Part]:
    """Yahoo's rows ``Price`` and ``Ticker`` in either order, then ``Date`` with empty cells."""
    fields, tickers = table.head[:2] if table.head[0][0].strip() == "Price" else table.head[1::-1]
    body = table.without(2 if table.head[2][0].strip() in ("Date", "Datetime") else 1)
    parts = []
    for ticker in dict.fromkeys(t.strip() for t in tickers[1:]):
        own = [i for i, t in enumerate(tickers) if i and t.strip() == ticker]
        found, unit, _ = _columns(table.file, ["date", *(fields[i] for i in own)])
        columns = {name: ([0, *own])[i] for name, i in found.items()}
        parts.append(_Part(body, columns, None, ticker, unit))
    return parts


def _columns(file: str, names: Sequence[str]) -> tuple[dict[str, int], str | None, tuple[str, ...]]:
    """Say where each thing stands; of several dates or turnovers the first, but a price twice is refused."""
    columns: dict[str, int] = {}
    twice: dict[str, None] = {}
    ignored, unit = [], None
    for i, name in enumerate(names):
        match = _HEAD.match(name.strip())
        word = re.sub(r"[\s_.\-]", "", match["name"] if match else name).lower()
        meaning = "date" if not word and i == 0 else _MEANING.get(word)
        if meaning is None:
            ignored.append(name)
        elif meaning not in columns:
            columns[meaning] = i
            if meaning == "volume" and match and match["unit"]:
                unit = _UNITS.get(match["unit"].strip().lower())
        elif meaning in (*PRICES, "adj_close", "volume"):
            twice[names[columns[meaning]]] = None
    if twice:
        raise DuplicateColumns(file, twice)
    lacking = [name for name in ("date", *PRICES) if name not in columns]
    if lacking:
        shown = ", ".join(names[:12]) or "none"
        raise UnreadableInput(file, f"no column for {', '.join(lacking)}; its columns are: {shown[:160]}")
    return columns, unit, tuple(ignored)


def _instrument(part: _Part, many: bool, given: str | None, universe: Universe) -> Instrument:
    """Decide which instrument it is; header or column, file name and user must not contradict each other."""
    file = part.table.file
    by_name = None if many or file == "-" else symbol_of_file(file, universe)
    if part.inside is not None:
        inside = find_symbol(part.inside, universe)
        outside, outside_is = (given, "--instrument") if given else (by_name, "the file name")
        if outside and inside != outside and not (many and outside is by_name):
            raise WrongInstrument(file, inside or part.inside, outside, outside_is)
        return universe.instrument(inside or part.inside)
    if given is None and by_name is None:
        stem = "standard input" if file == "-" else f"'{Path(file).name.split('.')[0]}'"
        hint = nearest(stem.strip("'"), universe.instruments)
        raise UnreadableInput(
            file,
            f"{stem} names no instrument of the universe{hint}; give --instrument, or add it with --universe",
        )
    return universe.instrument(given or by_name or "")


def _bars(part: _Part, listing: Instrument, interval: str, zone: str | None, rejects: list[Reject]) -> RawBars:
    table, columns = part.table, part.columns
    rows = np.arange(len(table.lines)) if part.rows is None else part.rows
    if not len(rows):
        raise UnreadableInput(table.file, "has a header and no rows")
    stamps = parse_stamps(table.columns[columns["date"]][rows])
    numbers = {
        name: parse_floats(table.columns[columns[name]][rows])
        for name in (*PRICES, "adj_close", "volume", "amount")
        if name in columns
    }
    reasons: dict[int, str] = {i: stamp for i, stamp in enumerate(stamps) if isinstance(stamp, str)}
    for name, (values, wrong) in numbers.items():
        reasons |= {i: f"{name} is no number" for i in wrong if i not in reasons}
        if name in PRICES:
            empty = np.flatnonzero(np.isnan(values)).tolist()
            reasons |= {i: f"{name} is empty" for i in empty if i not in reasons}
    good = np.array([i for i in range(len(rows)) if i not in reasons], dtype=np.intp)
    rejects += [Reject(int(table.lines[rows[i]]), reasons[i], table.excerpt(int(rows[i]))) for i in sorted(reasons)]
    if not len(good):
        raise UnreadableInput(table.file, f"no row of {listing.symbol} is a bar; the first: {reasons[0]}")
    found, session, starts_at = _times(table.file, [stamps[i] for i in good], listing, zone)
    if interval not in ("auto", found):
        raise BadParameter("interval", interval, f"the bars of {table.file} are {found}")

    def kept(name: str) -> Floats | None:
        values = numbers[name][0][good] if name in numbers else None
        return None if values is None or np.isnan(values).all() else values

    return RawBars(
        listing, found, table.lines[rows][good], session, starts_at,
        np.column_stack([numbers[name][0][good] for name in PRICES]),
        kept("adj_close"), kept("volume"), kept("amount"), _adjustment(part, rows[good]), part.unit,
    )  # fmt: skip


def _adjustment(part: _Part, rows: NDArray[np.intp]) -> str | None:
    if "adjustment" not in part.columns:
        return None
    words = sorted({str(word) for word in part.table.columns[part.columns["adjustment"]][rows]})
    if len(words) != 1 or words[0] not in ("none", "split", "split+dividend"):
        file = part.table.file
        raise UnreadableInput(file, f"adjustment says {', '.join(words)}; one of none, split, split+dividend is needed")
    return words[0]


def _times(
    file: str, stamps: Sequence[Any], listing: Instrument, zone: str | None
) -> tuple[str, NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Return interval, sessions and starting instants.

    All at midnight, by their own clock or by the venue's, are days. Anything else is instants, whose session
    is the venue's date.
    """
    own = ZoneInfo(venue(listing.venue).zone)
    at_venue = [s.astimezone(own).replace(tzinfo=None) if s.tzinfo else s for s in stamps]
    for clocks in ([s.replace(tzinfo=None) for s in stamps], at_venue):
        if not any((s.hour, s.minute, s.second) != (0, 0, 0) for s in clocks):
            days = np.array(clocks, dtype="datetime64[D]")
            return "1d", days, days.astype("datetime64[us]")
    if any(s.tzinfo is None for s in stamps):
        if zone is None:
            raise UnreadableInput(file, f"has times without a zone; give --tz, e.g. --tz {own.key}")
        local = ZoneInfo(zone)
        stamps = [s if s.tzinfo else s.replace(tzinfo=local) for s in stamps]
    utc = ZoneInfo("UTC")
    starts_at = np.array([s.astimezone(utc).replace(tzinfo=None) for s in stamps], dtype="datetime64[us]")
    session = np.array([s.astimezone(own).replace(tzinfo=None) for s in stamps], dtype="datetime64[D]")
    steps = np.diff(np.unique(starts_at)).astype("timedelta64[m]").astype(np.int64)
    # The usual step: nights, lunch and a first half hour make the others.
    usual = int(np.bincount(steps[steps <= 1440]).argmax()) if len(steps[steps <= 1440]) else 0
    known = {minutes: name for name, minutes in INTERVALS.items()}
    if usual not in known:
        raise UnreadableInput(file, f"bars are {usual} minutes apart; known are {', '.join(INTERVALS)}, 1d")
    return known[usual], session, starts_at


def parse_stamps(column: NDArray[Any]) -> list[datetime | str]:
    """Parse days and instants in fixed forms: year first, with ``-``, ``/`` or nothing; else a reason."""
    if np.issubdtype(column.dtype, np.datetime64):
        stamps = column.astype("datetime64[us]").tolist()
        return ["the date is empty" if stamp is None else _in_range(stamp) for stamp in stamps]
    if np.issubdtype(column.dtype, np.floating):
        column = np.array(["" if np.isnan(v) else f"{v:.0f}" for v in column], dtype=object)
    return [_parse_stamp(str(cell).strip()) for cell in column]


def _parse_stamp(text: str) -> datetime | str:
    match = _STAMP.fullmatch(text)
    if match is None:
        return "the date is empty" if not text else f"date '{text[:40]}' is not in the form 2024-12-31"
    year, month, day = (int(part) for part in [g for g in match.groups()[:7] if g is not None])
    hour, minute, second = (int(part or 0) for part in match.groups()[7:10])
    try:
        stamp = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the offset follows
        if offset := match[11]:
            stamp = stamp.replace(tzinfo=datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo)
        return _in_range(stamp)
    except (ValueError, OverflowError):
        return f"'{text[:40]}' is no day of the calendar or no time of the day"


def _in_range(stamp: datetime | int) -> datetime | str:
    # numpy gives a number where a date has no year of four digits. A day inside on both sides, so that no change
    # of zone can leave the range.
    if isinstance(stamp, int) or not _FIRST_DAY < stamp.date() < _LAST_DAY:
        shown = "" if isinstance(stamp, int) else f"{stamp.date()} "
        return f"date {shown}lies outside {_FIRST_DAY} to {_LAST_DAY}"
    return stamp


def parse_floats(column: NDArray[Any]) -> tuple[Floats, list[int]]:
    """Parse numbers (thousands commas allowed); return them, NaN where empty, and the rows that are none."""
    if np.issubdtype(column.dtype, np.floating):
        return column.astype(np.float64), [int(i) for i in np.flatnonzero(np.isinf(column))]
    values = np.full(len(column), np.nan)
    wrong = []
    for i, cell in enumerate(column):
        text = str(cell).strip()
        if not text or text.lower() in ("nan", "null", "-", "--"):
            continue
        if _NUMBER.fullmatch(text) and any(c.isdigit() for c in text):
            values[i] = float(text.replace(",", ""))
        if not np.isfinite(values[i]):
            wrong.append(i)
    return values, wrong
