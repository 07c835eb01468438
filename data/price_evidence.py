"""What a price file does not say but shows: the unit of its volumes and how its prices are adjusted.

Two questions, each answered by the first rule that can, and each answer carries its reason, which the summary
prints.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from chipwire.data.calendars import venue
from chipwire.data.errors import counted
from chipwire.data.price_files import Floats, RawBars
from chipwire.data.universe import Instrument

LOT = 100
# Turnover over volume times price, by unit: money or thousands or ten thousands of it, shares or lots of 100.
_TURNOVER = {1.0: "shares", 1e-3: "shares", 1e-4: "shares", 100.0: "lots", 0.1: "lots", 0.01: "lots"}
_SPLITS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 30, 40, 50], dtype=np.float64)
_ENOUGH = 5
_OFF_GRID = 0.005
_DIVIDENDS_TELL = 0.015
_SAME_PRICE = 5e-4


@dataclass(frozen=True)
class Finding:
    """An answer with its reason."""

    value: str
    why: str


@dataclass(frozen=True)
class StoredBars:
    """What the warehouse has of the same instrument and interval, rising in time."""

    starts_at: NDArray[np.datetime64]
    prices: Floats
    adj_close: Floats
    volume: Floats
    adjustment: str | None

    def overlap(self, starts_at: NDArray[np.datetime64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of here and of `starts_at` that are the same bar."""
        _, here, there = np.intersect1d(self.starts_at, starts_at, return_indices=True)
        return here, there


def no_bars() -> StoredBars:
    """Return what is stored of an instrument that is new."""
    none = np.array([], dtype=np.float64)
    return StoredBars(np.array([], dtype="datetime64[us]"), none.reshape(0, 4), none, none, None)


@dataclass(frozen=True)
class PriceFact:
    """A published figure of an unadjusted series: a session's close, or the cash paid on an ex-date."""

    instrument: str
    session: date
    kind: str
    value: float


@cache
def price_facts() -> tuple[PriceFact, ...]:
    """Return the published figures of ``price_facts.csv``."""
    text = resources.files("chipwire.data").joinpath("price_facts.csv").read_text("utf-8")
    return tuple(
        PriceFact(row["instrument"], date.fromisoformat(row["session"]), row["kind"], float(row["value"]))
        for row in csv.DictReader(text.splitlines(), strict=True)
    )


def find_volume_unit(bars: RawBars, stored: StoredBars, option: str = "auto", file: str = "") -> Finding:
    """Say whether volumes are shares or lots of 100.

    In this order: the user's word; the column's name (``成交量(手)``); the turnover column, whose ratio to
    volume times the bar's mean price is near 1 for shares and near 100 for lots (also in thousands or ten
    thousands of the currency); at least five stored bars, whose volumes are the same or a hundredfold;
    fractions at Shanghai, which are lots with odd shares; the file name; else shares.

    Parameters
    ----------
    bars : RawBars
        As read.
    stored : StoredBars
        What is there already; may be empty.
    option : str
        ``auto``, ``shares`` or ``lots``.
    file : str
        The file's name.
    """
    if option != "auto":
        return Finding(option, "as given with --volume-unit")
    if bars.volume is None or not np.nansum(bars.volume):
        return Finding("shares", "no volume in the file")
    if bars.unit is not None:
        return Finding(bars.unit, "as the column's name says")
    traded = bars.volume > 0
    if bars.amount is not None and (traded & (bars.amount > 0)).sum() >= _ENOUGH:
        use = traded & (bars.amount > 0)
        ratio = float(np.median(bars.amount[use] / bars.volume[use] / bars.prices[use].mean(axis=1)))
        nearest = min(_TURNOVER, key=lambda known: abs(np.log(known / ratio)))
        if abs(np.log(nearest / ratio)) < np.log(1.5):
            return Finding(_TURNOVER[nearest], f"turnover is {ratio:.3g} times volume times price")
    here, there = stored.overlap(bars.starts_at)
    both = (stored.volume[here] > 0) & traded[there]
    if both.sum() >= _ENOUGH:
        ratio = float(np.median(stored.volume[here][both] / bars.volume[there][both]))
        if 0.9 < ratio < 1.1 or 90 < ratio < 110:
            found = "shares" if ratio < 2 else "lots"
            return Finding(found, f"stored volumes are {ratio:.4g} times these in {both.sum()} common bars")
    fraction = np.abs(bars.volume[traded] - np.round(bars.volume[traded])) > 1e-6
    if fraction.any() and bars.instrument.venue == "XSHG":
        return Finding("lots", f"{fraction.sum()} volumes have fractions: lots with odd shares")
    name = file.rsplit("/", 1)[-1].lower()
    if "lots" in name or "手" in name:
        return Finding("lots", "as the file name says")
    return Finding("shares", "taken as shares, nothing says otherwise")


def find_adjustment(bars: RawBars, stored: StoredBars, option: str = "auto") -> Finding:
    """Say how open, high, low and close are adjusted: ``none``, ``split`` or ``split+dividend``.

    In this order, the first that can tell:

    1. the user's word, then the file's own ``adjustment`` column;
    2. an index is ``none``: its levels are what they are;
    3. an ``adj_close`` that differs from the close: the rest is ``split`` (Yahoo's way), or ``none`` when a
       split-sized jump stands in the close;
    4. a published unadjusted close (``price_facts.csv``): the same within 0.05 % is not adjusted for
       dividends, another is ``split+dividend``;
    5. published dividends of at least 1.5 % together: bars that do not fall with them on the ex-dates are
       ``split+dividend``;
    6. daily prices off the venue's price steps, in more than 0.5 % of all figures, also when multiplied by a
       split's ratio: ``split+dividend`` (a dividend factor leaves the steps, a rounded one is not seen here);
    7. a close that falls or rises by a whole ratio of 2 or more overnight: ``none``;
    8. stored bars: where at least five have the same closes, theirs;
    9. what the venue's sources deliver (``ohlc_default`` in ``venues.toml``): ``split`` in New York, where no
       split is seen, ``none`` in Shanghai and Hong Kong. A source that rounds its adjusted prices to the
       price step looks the same: give the option then.
    """
    if option != "auto":
        return Finding(option, "as given with --adjustment")
    if bars.adjustment is not None:
        return Finding(bars.adjustment, "as the file's column says")
    if bars.instrument.kind == "index" or not len(bars):
        return Finding("none", "an index" if len(bars) else "no bar is left")
    close = bars.prices[:, 3]
    jump = _split_jump(bars)
    if bars.adj_close is not None:
        both = ~np.isnan(bars.adj_close)
        if np.abs(bars.adj_close[both] / close[both] - 1).max(initial=0) > 1e-6:
            return jump or Finding("split", "adj_close differs from close, so that only it carries dividends")
    unadjusted = "none" if jump else venue(bars.instrument.venue).ohlc_default
    for found in (
        _by_published_close(bars, unadjusted),
        _by_dividends(bars, unadjusted),
        _by_steps(bars),
        jump,
    ):
        if found is not None:
            return found
    here, there = stored.overlap(bars.starts_at)
    if stored.adjustment and len(here) >= _ENOUGH:
        same = np.abs(stored.prices[here, 3] / close[there] - 1) < 1e-6
        if same.all():
            return Finding(stored.adjustment, f"the same closes as {len(here)} stored bars")
    why = "prices lie on the venue's steps" if bars.interval == "1d" else "no split-sized jump"
    return Finding(unadjusted, f"{why}, nothing says otherwise")


def _by_published_close(bars: RawBars, unadjusted: str) -> Finding | None:
    for fact in price_facts():
        if fact.instrument != bars.instrument.symbol or fact.kind != "close" or bars.interval != "1d":
            continue
        rows = np.flatnonzero(bars.session == np.datetime64(fact.session, "D"))
        if len(rows):
            close = float(bars.prices[rows[0], 3])
            said = f"closes at {close:g} on {fact.session}, published {fact.value:g}"
            adjusted = abs(close / fact.value - 1) > _SAME_PRICE
            return Finding("split+dividend" if adjusted else unadjusted, said)
    return None


def _by_dividends(bars: RawBars, unadjusted: str) -> Finding | None:
    """Least squares of overnight gaps on the dividends' yields: 1 where bars fall with them, 0 where not."""
    gaps, yields = [], []
    order = np.argsort(bars.session, kind="stable")
    session, opened, close = bars.session[order], bars.prices[order, 0], bars.prices[order, 3]
    for fact in price_facts():
        if fact.instrument != bars.instrument.symbol or fact.kind != "dividend" or bars.interval != "1d":
            continue
        row = int(np.searchsorted(session, np.datetime64(fact.session, "D")))
        if 0 < row < len(session) and session[row] == np.datetime64(fact.session, "D"):
            gaps.append(float(opened[row] / close[row - 1] - 1))
            yields.append(float(fact.value / close[row - 1]))
    if sum(yields) < _DIVIDENDS_TELL:
        return None
    slope = -float(np.dot(gaps, yields) / np.dot(yields, yields))
    if slope < 0.5:
        return Finding("split+dividend", f"no fall with {counted(len(yields), 'published dividend')}")
    return Finding(unadjusted, f"falls with {counted(len(yields), 'published dividend')}")


def _by_steps(bars: RawBars) -> Finding | None:
    if bars.interval != "1d":
        # Trades within the day print between the steps, so intraday bars tell nothing.
        return None
    prices = bars.prices[np.isfinite(bars.prices)]
    off = min(float(np.mean(~on_steps(prices, bars.instrument, float(ratio)))) for ratio in _SPLITS)
    if off <= _OFF_GRID:
        return None
    return Finding("split+dividend", f"{off:.0%} of prices lie off the venue's steps")


def on_steps(prices: Floats, instrument: Instrument, ratio: float = 1.0) -> NDArray[np.bool_]:
    """Say which prices times `ratio` are multiples of the listing's price step.

    Allowed for are six decimals in the file and single precision at the source, but never more than a fifth
    of a step, so that the test can fail.
    """
    facts = venue(instrument.venue)
    step = facts.etf_grid if instrument.kind == "etf" else facts.grid
    slack = np.minimum(ratio * (1e-6 + 1.2e-7 * np.abs(prices)), 0.2 * step)
    found: NDArray[np.bool_] = np.abs(prices * ratio - np.round(prices * ratio / step) * step) <= slack
    return found


def _split_jump(bars: RawBars) -> Finding | None:
    """Find a move overnight by a whole ratio within 15 %, after which the level stays: no error."""
    order = np.argsort(bars.starts_at, kind="stable")
    opened, close = bars.prices[order, 0], bars.prices[order, 3]
    before, after = close[:-1], opened[1:]
    ratio = np.maximum(before / after, after / before)
    for row in np.flatnonzero((ratio > 1.75) & (np.abs(ratio / np.round(ratio) - 1) < 0.15)):
        levels = np.median(close[max(row - 4, 0) : row + 1]), np.median(close[row + 1 : row + 6])
        if abs(max(levels) / min(levels) / np.round(ratio[row]) - 1) < 0.15:
            what = "a split" if before[row] > after[row] else "a consolidation"
            day = bars.session[order][row + 1]
            return Finding("none", f"{what} of about {ratio[row]:.0f} stands in the prices on {day}")
    return None
