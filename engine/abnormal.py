"""Prices as returns from one auction to another, in an instrument's own currency and against its venue.

A row is a session of the venue, also where a run trades on finer bars: its entry is the first auction of the day or,
with ``fill="close"``, the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chipwire.data.calendars import auctions
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.market import Days, Floats, FxBook, Instants, Market, VenueMarket
from chipwire.engine.settings import Settings

LEAST_PEERS = 3
"""Below so many other instruments at a venue their mean is no market."""
LEAST_COVERED = 0.9
"""Part of the run's sessions on which a benchmark must have a bar."""


@dataclass(frozen=True)
class VenuePrices:
    """One venue's prices, one row a session; matrices are (sessions, instruments), NaN without a trade.

    Attributes
    ----------
    first : int
        Row of the run's first session; earlier ones are history.
    row : ndarray of int
        First row of each session in the `VenueMarket`.
    entry, close : ndarray
        Price at the auction that the run fills at, and at the session's end; splits and dividends that the bars do not
        contain are worked in.
    entry_fx, close_fx : ndarray
        Base currency for one unit of each instrument's, as known at that instant.
    benchmark : str
        What a return is compared with; empty: the mean of the venue's other instruments.
    entry_mark, close_mark : ndarray, shape (sessions,)
        The benchmark's prices; NaN without one.
    """

    mic: str
    symbols: tuple[str, ...]
    first: int
    row: np.ndarray
    session: Days
    decide_at: Instants
    open_at: Instants
    close_at: Instants
    at_open: bool
    entry: Floats
    close: Floats
    entry_fx: Floats
    close_fx: Floats
    benchmark: str
    entry_mark: Floats
    close_mark: Floats

    def own(self, sessions: int) -> Floats:
        """Return ``entry[t + sessions] / entry[t] - 1`` in the instrument's own currency, for every row t.

        A negative number looks back: the price of then against that at t. NaN where either is missing.
        """
        return shifted(self.entry, sessions) / self.entry - 1

    def abnormal(self, sessions: int) -> Floats:
        """Return `own` less the same of the venue's market, in the base currency.

        The market is the benchmark, or the mean of the venue's other instruments, at least `LEAST_PEERS` of them.
        """
        ratio = shifted(self.entry, sessions) / self.entry
        market = (shifted(self.entry_mark, sessions) / self.entry_mark)[:, None] if self.benchmark else peers(ratio)
        return np.asarray((ratio - market) * (shifted(self.entry_fx, sessions) / self.entry_fx), dtype=np.float64)

    def own_session(self) -> Floats:
        """Return from the entry to the same session's end; NaN throughout where a run fills at the close."""
        return self._session_ratio - 1

    def abnormal_session(self) -> Floats:
        """Return `own_session` less the same of the venue's market, in the base currency."""
        ratio = self._session_ratio
        market = (self.close_mark / self.entry_mark)[:, None] if self.benchmark else peers(ratio)
        return np.asarray((ratio - market) * (self.close_fx / self.entry_fx), dtype=np.float64)

    @cached_property
    def _session_ratio(self) -> Floats:
        return self.close / self.entry if self.at_open else np.full(self.entry.shape, np.nan)


def shifted(values: Floats, rows: int) -> Floats:
    """Return `values` with row t + `rows` in row t; NaN where there is none."""
    found = np.full(values.shape, np.nan)
    if abs(rows) < len(values):
        if rows >= 0:
            found[: len(values) - rows] = values[rows:]
        else:
            found[-rows:] = values[:rows]
    return found


def peers(ratio: Floats) -> Floats:
    """Return for each instrument the mean over the others of its row; NaN with fewer than `LEAST_PEERS`."""
    there = np.isfinite(ratio)
    others = there.sum(axis=1, keepdims=True) - there
    sums = np.nansum(ratio, axis=1, keepdims=True) - np.where(there, ratio, 0.0)
    return np.asarray(sums / np.where(others >= LEAST_PEERS, others, np.nan), dtype=np.float64)


def load_prices(
    warehouse: Warehouse, universe: Universe, market: Market, settings: Settings
) -> tuple[VenuePrices, ...]:  # fmt: skip
    """Return the prices of all venues of a run, with the benchmark of each.

    The benchmark of a venue is the first of the run's that is listed there and has a daily bar on `LEAST_COVERED` of
    its sessions in the run.
    """
    return tuple(_venue_prices(warehouse, universe, venue, market.fx, settings) for venue in market.venues)


def _venue_prices(
    warehouse: Warehouse, universe: Universe, venue: VenueMarket, fx: FxBook, settings: Settings
) -> VenuePrices:  # fmt: skip
    row = np.unique(venue.day_start)
    last = np.append(row[1:], len(venue.session)) - 1
    at_open = settings.fill == "open"
    factor = _growth(venue, row)
    # Without volume nothing was traded at that price; volume that is not known may have been.
    opens = np.where(venue.volume[row] == 0, np.nan, venue.open[row]) * factor
    closes = np.where(venue.volume[last] == 0, np.nan, venue.close[last]) * factor
    open_at, close_at = venue.open_at[row], venue.close_at[last]
    if settings.interval != "1d":
        open_at, close_at = _day_hours(venue)
    entry_at = open_at if at_open else close_at
    symbol, mark = _benchmark(warehouse, universe, venue, settings)
    currencies = [instrument.currency for instrument in venue.instruments]
    return VenuePrices(
        mic=venue.mic, symbols=tuple(instrument.symbol for instrument in venue.instruments),
        first=int(venue.day_number[venue.first]) if venue.first < len(venue.session) else len(row), row=row,
        session=venue.session[row], decide_at=venue.decide_at[row], open_at=open_at, close_at=close_at,
        at_open=at_open, entry=opens if at_open else closes, close=closes, entry_fx=_rates(fx, currencies, entry_at),
        close_fx=_rates(fx, currencies, close_at), benchmark=symbol, entry_mark=mark[0 if at_open else 1],
        close_mark=mark[1],
    )  # fmt: skip


def _day_hours(venue: VenueMarket) -> tuple[Instants, Instants]:
    """Return the hours of each session, where rows are bars within it."""
    hours = auctions(venue.mic, venue.days[0].item(), venue.days[-1].item())
    place = np.searchsorted(hours.session, venue.days)
    return hours.open_at[place], hours.close_at[place]


def _growth(venue: VenueMarket, row: np.ndarray) -> Floats:
    """Return by session how many shares one share of the first row has become, dividends put into more of it."""
    step = np.ones((len(row), len(venue.instruments)))
    for (at, column), actions in sorted(venue.actions.items()):
        before = venue.close[:at, column]
        known = before[np.isfinite(before)]
        session = int(venue.day_number[at])
        for action in actions:
            if action.kind == "split":
                step[session, column] *= action.value
            elif len(known) and 0 < action.value < (price := known[-1] / step[session, column]):
                step[session, column] /= 1 - action.value / price
    return np.asarray(np.cumprod(step, axis=0), dtype=np.float64)


def _rates(fx: FxBook, currencies: Sequence[str], at: Instants) -> Floats:
    by_currency = {name: np.array([fx.to_base(name, instant) for instant in at]) for name in set(currencies)}
    return np.column_stack([by_currency[name] for name in currencies])


def _benchmark(
    warehouse: Warehouse, universe: Universe, venue: VenueMarket, settings: Settings
) -> tuple[str, tuple[Floats, Floats]]:  # fmt: skip
    """Return the venue's benchmark with its opens and closes by session; an empty name and NaN without one."""
    days = venue.days
    inside = days >= np.datetime64(settings.start, "D")
    for symbol in settings.benchmarks:
        known = universe.instruments.get(symbol)
        if known is None or known.venue != venue.mic:
            continue
        asked = {"instruments": [symbol], "interval": "1d", "start": days[0].item(), "end": days[-1].item()}
        bars = warehouse.arrow(load_sql("chipwire.engine", "bars.sql"), asked)
        session = np.array(bars["starts_at"].to_pylist(), dtype="datetime64[D]")
        place = np.searchsorted(days, session)
        on = np.isin(session, days)
        found = []
        for name in ("open", "close"):
            prices = np.full(len(days), np.nan)
            prices[place[on]] = bars[name].to_numpy()[on]
            found.append(prices)
        if inside.any() and np.isfinite(found[0][inside]).mean() >= LEAST_COVERED:
            return symbol, (found[0], found[1])
    return "", (np.full(len(days), np.nan), np.full(len(days), np.nan))
