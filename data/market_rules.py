"""What each venue allows on each day: price steps, daily limits, lots, share locks and short selling.

The facts are in ``ticks.csv``, ``limits.csv``, ``lots.csv`` and ``short_rules.csv``, each with its source.
A venue without rows has no limit, no lock, the lots of the universe and no shorts. Boards are those of the
universe (``main``, ``star``, ``etf``, ``star-etf``); ``*`` stands for all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from chipwire.data.dated_rows import Cells, DatedRow, read_rows
from chipwire.data.errors import UnknownName

_ANY = "*"
_DATED = ("valid_from", "valid_to", "source")
TICK_COLUMNS = ("venue", "board", "price_from", "price_to", "tick", *_DATED)
LIMIT_COLUMNS = ("venue", "board", "fraction", "free_sessions", "free_listed_from", *_DATED)
LOT_COLUMNS = ("venue", "board", "buy_minimum", "buy_step", "share_lock", *_DATED)
SHORT_COLUMNS = ("venue", "instrument", "allowed", "borrow_rate", *_DATED)


@dataclass(frozen=True)
class RuleRow(DatedRow):
    """A row for a venue and one of its boards or instruments, ``*`` for all that have no own row."""

    venue: str
    subject: str


@dataclass(frozen=True)
class TickRow(RuleRow):
    """The price step from `price_from` up to below `price_to`, local currency."""

    price_from: float
    price_to: float
    tick: float


@dataclass(frozen=True)
class LimitRow(RuleRow):
    """The daily limit; listings since `free_listed_from` have none in their first `free_sessions`."""

    fraction: float
    free_sessions: int
    free_listed_from: date


@dataclass(frozen=True)
class LotRow(RuleRow):
    """Least buy and its step in shares, 0 for the instrument's own board lot; whether T+1 holds."""

    buy_minimum: int
    buy_step: int
    share_lock: bool


@dataclass(frozen=True)
class ShortRow(RuleRow):
    """Whether a short can be opened, and what the borrow costs a year (0.01 for 1%)."""

    allowed: bool
    borrow_rate: float


@dataclass(frozen=True)
class LotRule:
    """Which numbers of shares trade; see `chipwire.engine.rules.tradable`.

    Attributes
    ----------
    buy_minimum, buy_step : int
        Shares. An odd remainder is sold as a whole, at every venue.
    share_lock : bool
        Whether shares bought in a session can be sold from the next session on only (T+1 of shares).

    Notes
    -----
    STAR takes at most 100,000 shares in one limit order. A larger one is sent as several into the same
    auction, so that this bounds no day's total and is not a field here.
    """

    buy_minimum: int
    buy_step: int
    share_lock: bool


@dataclass(frozen=True)
class ShortRule:
    """Whether a short can be opened, and the borrow's cost a year as a part of its value."""

    allowed: bool
    borrow_rate: float


AnyRule = TypeVar("AnyRule", bound=RuleRow)


@dataclass(frozen=True)
class MarketRules:
    """The dated rules of all venues; `load_market_rules` makes one."""

    ticks: tuple[TickRow, ...]
    limits: tuple[LimitRow, ...]
    lots: tuple[LotRow, ...]
    shorts: tuple[ShortRow, ...]

    def tick(self, venue: str, board: str, price: npt.ArrayLike, day: date) -> npt.NDArray[np.float64]:
        """Return the price step at `price`.

        Parameters
        ----------
        venue, board : str
        price : array_like
            Local currency. NaN gives NaN.
        day : date
            Session.

        Returns
        -------
        ndarray
            In the shape of `price`; NaN where the venue's step is not known.
        """
        value = np.asarray(price, dtype=np.float64)
        steps = np.full(value.shape, np.nan)
        for row in _holding(self.ticks, venue, board, day):
            steps = np.where((value >= row.price_from) & (value < row.price_to), row.tick, steps)
        return steps[()]

    def limit_fraction(
        self,
        venue: str,
        board: str,
        day: date,
        *,
        session_number: int | None = None,
        listed_on: date | None = None,
    ) -> float:
        """Return how far the price may move from the previous close in the session `day`; NaN: no limit.

        Parameters
        ----------
        venue, board : str
        day : date
            Session.
        session_number : int, optional
            1 for the first session of the listing; None for one long past it.
        listed_on : date, optional
            First session of the listing, `day` where it is not given. It decides whether there are free first
            sessions at all (Shanghai's main board: for listings since 2023-04-10).

        Raises
        ------
        UnknownName
            If the table knows the venue but not the board; so do `tick` and `lot_rule`.
        """
        row = next(iter(_holding(self.limits, venue, board, day)), None)
        if row is None:
            return math.nan
        first_sessions = session_number is not None and session_number <= row.free_sessions
        return math.nan if first_sessions and (listed_on or day) >= row.free_listed_from else row.fraction

    def lot_rule(self, venue: str, board: str, lot: int, day: date) -> LotRule:
        """Return which numbers of shares trade.

        Parameters
        ----------
        venue, board : str
        lot : int
            The instrument's own board lot from the universe; used where the venue has lots per instrument,
            and at venues that the table does not know.
        day : date
            Session.
        """
        row = next(iter(_holding(self.lots, venue, board, day)), None)
        if row is None:
            return LotRule(lot, lot, share_lock=False)
        return LotRule(row.buy_minimum or lot, row.buy_step or lot, row.share_lock)

    def short_rule(self, venue: str, instrument: str, day: date) -> ShortRule:
        """Return whether `instrument` can be sold short in the session `day`, and at what rate a year."""
        row = next(iter(_holding(self.shorts, venue, instrument, day)), None)
        return ShortRule(allowed=False, borrow_rate=0.0) if row is None else ShortRule(row.allowed, row.borrow_rate)


def load_market_rules(
    *,
    ticks: Path | None = None,
    limits: Path | None = None,
    lots: Path | None = None,
    shorts: Path | None = None,
) -> MarketRules:
    """Return the shipped rules, with the rows of a user's files in place of those that they name.

    Parameters
    ----------
    ticks, limits, lots, shorts : Path, optional
        Files with the headers `TICK_COLUMNS`, `LIMIT_COLUMNS`, `LOT_COLUMNS` and `SHORT_COLUMNS`. All shipped
        rows with the venue and board (or instrument) of one of a file's rows are left out.

    Raises
    ------
    UnreadableInput
        Naming the file, the line, the value and what is allowed.
    """
    return MarketRules(
        _merged("ticks.csv", ticks, TICK_COLUMNS, _tick, lambda row: (row.venue, row.subject, row.price_from)),
        _merged("limits.csv", limits, LIMIT_COLUMNS, _limit, _subject),
        _merged("lots.csv", lots, LOT_COLUMNS, _lot, _subject),
        _merged("short_rules.csv", shorts, SHORT_COLUMNS, _short, _subject),
    )


def _holding(rows: tuple[AnyRule, ...], venue: str, subject: str, day: date) -> list[AnyRule]:
    known = {row.subject for row in rows if row.venue == venue}
    found = subject if subject in known else _ANY
    if known and found not in known:
        raise UnknownName("board", subject, known, f"{venue} has {', '.join(sorted(known))}")
    return [row for row in rows if row.venue == venue and row.subject == found and row.holds_on(day)]


def _merged(
    shipped: str,
    replacement: Path | None,
    columns: Sequence[str],
    parse: Callable[[Cells], AnyRule],
    series: Callable[[AnyRule], object],
) -> tuple[AnyRule, ...]:
    rows = read_rows(shipped, columns, parse, series)
    if replacement is None:
        return rows
    own = read_rows(replacement, columns, parse, series)
    replaced = _subjects(own)
    return (*(row for row in rows if _subject(row) not in replaced), *own)


def _subject(row: RuleRow) -> tuple[str, str]:
    return row.venue, row.subject


def _subjects(rows: Iterable[RuleRow]) -> set[tuple[str, str]]:
    return {_subject(row) for row in rows}


def _tick(cells: Cells) -> TickRow:
    first, last = cells.period()
    row = TickRow(
        valid_from=first,
        valid_to=last,
        venue=cells.text("venue"),
        subject=cells.text("board"),
        price_from=cells.number("price_from"),
        price_to=cells.number("price_to", empty=math.inf),
        tick=cells.number("tick"),
    )
    if row.tick == 0.0:
        raise cells.refuse("tick", "a number above 0")
    return row


def _limit(cells: Cells) -> LimitRow:
    first, last = cells.period()
    return LimitRow(
        valid_from=first,
        valid_to=last,
        venue=cells.text("venue"),
        subject=cells.text("board"),
        fraction=cells.number("fraction"),
        free_sessions=cells.whole("free_sessions"),
        free_listed_from=cells.day("free_listed_from", first) or first,
    )


def _lot(cells: Cells) -> LotRow:
    first, last = cells.period()
    return LotRow(
        valid_from=first,
        valid_to=last,
        venue=cells.text("venue"),
        subject=cells.text("board"),
        buy_minimum=_shares(cells, "buy_minimum"),
        buy_step=_shares(cells, "buy_step"),
        share_lock=cells.choice("share_lock", ("yes", "no")) == "yes",
    )


def _shares(cells: Cells, column: str) -> int:
    if cells.text(column) == "lot":
        return 0
    shares = cells.whole(column)
    if shares == 0:
        raise cells.refuse(column, "a number of shares of at least 1, or the word lot")
    return shares


def _short(cells: Cells) -> ShortRow:
    first, last = cells.period()
    allowed = cells.choice("allowed", ("yes", "no")) == "yes"
    return ShortRow(
        valid_from=first,
        valid_to=last,
        venue=cells.text("venue"),
        subject=cells.text("instrument"),
        allowed=allowed,
        borrow_rate=cells.number("borrow_rate", empty=None if allowed else 0.0),
    )
