"""What a run trades in: each venue's sessions, bars and when they are known as arrays, FX at an instant, actions.

Nothing is dropped to align venues: each has its own sessions, and all auctions are put into one order in UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chipwire.data.bar_grid import BREATH, BarGrid, fitting_grid
from chipwire.data.calendars import auctions
from chipwire.data.calendars import venue as venue_facts
from chipwire.data.errors import DomainError, NothingToDo, counted
from chipwire.data.universe import Instrument, Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.settings import Settings

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]
Days = NDArray[np.datetime64]

HISTORY_DAYS = 400
"""Calendar days of bars before the start that a strategy may look back on."""


@dataclass(frozen=True)
class Action:
    """A split (new shares for one old) or a cash dividend per share, due before the session's open."""

    kind: str
    value: float


@dataclass(frozen=True)
class VenueMarket:
    """One venue's sessions and its instruments' bars; matrices are (sessions, instruments), NaN without a bar.

    With bars finer than a day each of them stands where a session does: a row is a bar, and `session` says of which
    day, so that a day has several rows.

    Attributes
    ----------
    first : int
        Index of the run's first row; earlier ones are history.
    session : ndarray of datetime64[D]
        Rising.
    open_at, close_at, decide_at : ndarray of datetime64[us]
        UTC.
    actions : mapping
        By (row, instrument), those that the bars do not contain already; at a session's first row.
    """

    mic: str
    instruments: tuple[Instrument, ...]
    first: int
    session: Days
    open_at: Instants
    close_at: Instants
    decide_at: Instants
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    actions: Mapping[tuple[int, int], tuple[Action, ...]]

    @cached_property
    def days(self) -> Days:
        """The sessions, each once."""
        return np.unique(self.session)

    @cached_property
    def day_number(self) -> NDArray[np.intp]:
        """Number among `days` of each row's session; with daily bars that of the row."""
        return np.searchsorted(self.days, self.session)

    @cached_property
    def day_start(self) -> NDArray[np.intp]:
        """First row of each row's session; with daily bars the row itself."""
        return np.searchsorted(self.session, self.session)


@dataclass(frozen=True)
class FxBook:
    """Rates known at an instant, from fixings of units per USD."""

    base: str
    at: Mapping[str, Instants]
    rate: Mapping[str, Floats]

    def to_base(self, currency: str, instant: np.datetime64) -> float:
        """Return base currency for one unit of `currency` by the last fixing available; NaN before the first."""
        if currency == self.base:
            return 1.0
        return self._per_usd(self.base, instant) / self._per_usd(currency, instant)

    def weekdays_missed(self, currency: str, instants: Instants) -> NDArray[np.int64]:
        """Return of how many weekdays before each instant the fixing is missing; 0 where none is needed.

        A fixing is known when its day has ended; before the first one nothing is missed.
        """
        missed = np.zeros(len(instants), dtype=np.int64)
        for name in sorted({currency, self.base} - {"USD"}) if currency != self.base else ():
            index = np.searchsorted(self.at[name], instants, side="right") - 1
            fixed = (self.at[name] - np.timedelta64(1, "us")).astype("datetime64[D]")[np.maximum(index, 0)]
            between = np.busday_count(fixed, instants.astype("datetime64[D]")) - 1
            missed = np.maximum(missed, np.where(index >= 0, between, 0))
        return missed

    def _index(self, currency: str, instant: np.datetime64) -> int:
        return int(np.searchsorted(self.at[currency], instant, side="right")) - 1

    def _per_usd(self, currency: str, instant: np.datetime64) -> float:
        if currency == "USD":
            return 1.0
        index = self._index(currency, instant)
        return float(self.rate[currency][index]) if index >= 0 else float("nan")


@dataclass(frozen=True)
class Market:
    """All that a run trades in.

    Attributes
    ----------
    venues : tuple of VenueMarket
        By MIC.
    fingerprint : str
        Digest of every number above: the same data, the same digest.
    warnings : tuple of str
        What the reader of the result has to know.
    """

    venues: tuple[VenueMarket, ...]
    fx: FxBook
    fingerprint: str
    warnings: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """All instruments, venue by venue."""
        return tuple(instrument.symbol for venue in self.venues for instrument in venue.instruments)


def load_market(warehouse: Warehouse, universe: Universe, settings: Settings, *, as_given: bool = False) -> Market:
    """Read bars, FX and actions of a run.

    Parameters
    ----------
    as_given : bool
        Take the instruments and the span of the settings whether or not there are bars: so does the audit, which cuts
        the bars and asks at the same decisions.

    Raises
    ------
    NothingToDo
        No bars in the span.
    UnknownName
        A chosen instrument is not in the universe.
    DomainError
        A chosen instrument is an index or has no bars in the span; a currency has no FX rate by the start.
    """
    warnings: list[str] = []
    if as_given:
        chosen = [universe.instrument(symbol) for symbol in sorted(set(settings.instruments))]
    else:
        chosen = _choose(warehouse, universe, settings, warnings)
        settings = _until_last_bar(warehouse, chosen, settings, warnings)
    digest = hashlib.blake2b(digest_size=8)
    venues = []
    for mic in sorted({instrument.venue for instrument in chosen}):
        own = tuple(instrument for instrument in chosen if instrument.venue == mic)
        venues.append(_load_venue(warehouse, mic, own, settings, digest, warnings))
    fx = _load_fx(warehouse, chosen, settings, digest)
    for venue in venues:
        for currency in sorted({instrument.currency for instrument in venue.instruments}):
            _check_fx(fx, currency, venue, warnings)
    return Market(tuple(venues), fx, digest.hexdigest(), tuple(warnings))


def _choose(warehouse: Warehouse, universe: Universe, settings: Settings, warnings: list[str]) -> list[Instrument]:
    found = warehouse.rows(
        "SELECT instrument, count(*) FILTER (session BETWEEN ? AND ?) FROM bar WHERE interval = ? GROUP BY instrument",
        [settings.start, settings.end, settings.interval],
    )
    present = {symbol for symbol, bars in found if bars}
    bars = "daily bars" if settings.interval == "1d" else f"{settings.interval} bars"
    if not present:
        raise NothingToDo(
            f"there are no {bars} from {settings.start} to {settings.end}",
            "ingest some with 'chipwire ingest prices PATH' or choose another --start and --end",
        )
    if not settings.instruments:
        chosen = [i for i in universe.instruments.values() if i.symbol in present and i.kind == "stock"]
        if not chosen:
            raise NothingToDo("only funds and indices have bars in the span", "name some with --instruments")
        stored = [universe.instruments[symbol] for symbol, _ in found if symbol in universe.instruments]
        without = {i.venue for i in stored if i.kind == "stock"} - {i.venue for i in chosen}
        for mic in sorted(without):
            warnings.append(f"{mic}: there are no {bars} from {settings.start} to {settings.end}; nothing trades there")
        return sorted(chosen, key=lambda instrument: instrument.symbol)
    for symbol in settings.instruments:
        instrument = universe.instrument(symbol)
        if not instrument.tradable:
            raise DomainError(f"instrument '{symbol}' is an index and cannot be traded; choose a fund or a share")
        if symbol not in present:
            raise DomainError(
                f"instrument '{symbol}' has no {bars} from {settings.start} to {settings.end}; "
                "ingest them or leave it out of --instruments"
            )
    return [universe.instrument(symbol) for symbol in sorted(set(settings.instruments))]


def _until_last_bar(
    warehouse: Warehouse, chosen: Sequence[Instrument], settings: Settings, warnings: list[str]
) -> Settings:
    """End the run with the last bar that any instrument has: after it there is nothing to trade on."""
    names = {"interval": settings.interval, "instruments": [instrument.symbol for instrument in chosen]}
    ends = [row[1] for row in warehouse.rows(load_sql("chipwire.engine", "last_bars.sql"), names)]
    if max(ends) >= settings.end:
        return settings
    if (settings.end - max(ends)).days > 7:
        warnings.append(f"the bars end on {max(ends)}, before the end asked for ({settings.end})")
    return replace(settings, end=max(ends))


def _load_venue(
    warehouse: Warehouse,
    mic: str,
    instruments: tuple[Instrument, ...],
    settings: Settings,
    digest: hashlib.blake2b,
    warnings: list[str],
) -> VenueMarket:
    symbols = [instrument.symbol for instrument in instruments]
    calendar = auctions(mic, settings.start - timedelta(days=HISTORY_DAYS), settings.end)
    names = {"instruments": symbols, "interval": settings.interval}
    span = {**names, "start": calendar.session[0].item(), "end": settings.end}
    table = warehouse.arrow(load_sql("chipwire.engine", "bars.sql"), span)
    bars = {name: table[name].to_pylist() for name in ("instrument", "adjustment")}
    starts_at = table["starts_at"].to_numpy().astype("datetime64[us]")
    grid = fitting_grid(calendar, settings.interval, np.array(bars["instrument"]), starts_at)
    row = np.searchsorted(grid.starts_at, starts_at)
    column = np.array([symbols.index(symbol) for symbol in bars["instrument"]], dtype=np.int64)
    on_grid = np.isin(starts_at, grid.starts_at)
    if not on_grid.all():
        where = "sessions" if settings.interval == "1d" else f"sessions or off the grid of {settings.interval}"
        count = int((~on_grid).sum())
        lie, used = counted(count, "bar lies", "bars lie"), "is" if count == 1 else "are"
        warnings.append(f"{mic}: {lie} outside the calendar's {where} and {used} not used")
    matrices = {}
    for name in ("open", "high", "low", "close", "volume"):
        matrix = np.full((len(grid), len(symbols)), np.nan)
        values = table[name].to_numpy().astype(np.float64)
        matrix[row[on_grid], column[on_grid]] = values[on_grid]
        matrices[name] = matrix
    for symbol in sorted({s for s, kind in zip(bars["instrument"], bars["adjustment"], strict=True) if kind != "none"}):
        kind = bars["adjustment"][bars["instrument"].index(symbol)]
        if kind == "split+dividend" and mic == "XSHG":
            warnings.append(f"{symbol}: bars are dividend-adjusted; lots and price limits are not exact on them")
    actions = _load_actions(warehouse, symbols, bars, grid.session)
    decide_at = _decisions(mic, grid, settings)
    digest.update(repr((instruments, sorted(actions.items()))).encode())
    for matrix in matrices.values():
        digest.update(matrix.tobytes())
    digest.update(decide_at.tobytes() + grid.open_at.tobytes() + grid.close_at.tobytes())
    first = int(np.searchsorted(grid.session, np.datetime64(settings.start, "D")))
    return VenueMarket(
        mic, instruments, first, grid.session, grid.open_at, grid.close_at, decide_at,
        actions=actions, **matrices,
    )  # fmt: skip


def _decisions(mic: str, grid: BarGrid, settings: Settings) -> Instants:
    """Return when is decided on each row: a cut-off before its auction, just before a bar within the session.

    There the close of the bar before is known, and what is published at the bar's very first instant is not.
    """
    facts, minutes = venue_facts(mic), settings.cutoff_minutes
    if minutes is None:
        minutes = facts.cutoff_open if settings.fill == "open" else facts.cutoff_close
    auction_at = grid.open_at if settings.fill == "open" else grid.close_at
    cutoff = np.timedelta64(round(minutes * 60_000_000), "us")
    decisions: Instants = auction_at - np.where(grid.first, cutoff, BREATH)
    return decisions


def _load_actions(
    warehouse: Warehouse, symbols: Sequence[str], bars: Mapping[str, list[object]], sessions: Days
) -> dict[tuple[int, int], tuple[Action, ...]]:
    """Return the actions that bars do not contain already, by (session, instrument); the next session's if closed."""
    adjustment = dict(zip(bars["instrument"], bars["adjustment"], strict=True))
    rows = warehouse.rows(
        "SELECT instrument, ex_date, kind, value FROM corporate_action WHERE list_contains($instruments, instrument) "
        "ORDER BY instrument, ex_date, kind DESC",
        {"instruments": list(symbols)},
    )
    found: dict[tuple[int, int], tuple[Action, ...]] = {}
    for symbol, ex_date, kind, value in rows:
        inside = {"none": (), "split": ("split",)}.get(str(adjustment.get(symbol)), ("split", "dividend"))
        session = int(np.searchsorted(sessions, np.datetime64(ex_date, "D")))
        if kind in inside or session >= len(sessions) or ex_date < sessions[0].item():
            continue
        key = (session, symbols.index(symbol))
        found[key] = (*found.get(key, ()), Action(kind, value))
    return found


def _load_fx(
    warehouse: Warehouse, instruments: Sequence[Instrument], settings: Settings, digest: hashlib.blake2b
) -> FxBook:
    needed = sorted(({instrument.currency for instrument in instruments} | {settings.currency}) - {"USD"})
    at, rate = {}, {}
    for currency in needed:
        rows = warehouse.arrow(
            "SELECT available_at, rate FROM fx_rate WHERE currency = ? AND available_at::DATE <= ? "
            "ORDER BY available_at, fixed_on",
            [currency, settings.end],
        )
        if not len(rows) and needed != [settings.currency]:
            raise DomainError(
                f"there is no FX rate for {currency}; ingest some with 'chipwire ingest fx PATH' or choose instruments "
                f"in {settings.currency}"
            )
        at[currency] = rows["available_at"].to_numpy().astype("datetime64[us]")
        rate[currency] = rows["rate"].to_numpy().astype(np.float64)
        digest.update(currency.encode() + at[currency].tobytes() + rate[currency].tobytes())
    return FxBook(settings.currency, at, rate)


def _check_fx(fx: FxBook, currency: str, venue: VenueMarket, warnings: list[str]) -> None:
    """Refuse a run whose first decision has no rate; count sessions decided on one from before the last weekday."""
    if currency == fx.base:
        return
    decisions = venue.decide_at[venue.first :]
    if len(decisions) and not np.isfinite(fx.to_base(currency, decisions[0])):
        raise DomainError(
            f"there is no FX rate from {currency} to {fx.base} before {decisions[0]} UTC; ingest earlier rates or "
            "choose a later --start"
        )
    missed = fx.weekdays_missed(currency, venue.decide_at[np.unique(venue.day_start[venue.first :])])
    if missed.any():
        weekdays = f"{missed.max()} weekday{'s' if missed.max() > 1 else ''}"
        warnings.append(
            f"{venue.mic}: {np.count_nonzero(missed)} sessions use the last known {currency} rate: "
            f"the fixings of up to {weekdays} before them are missing"
        )
