"""What a run produces, as frozen records; each becomes one row of the warehouse."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from chipwire.engine.view import Cause


@dataclass(frozen=True)
class Order:
    """Shares asked for at a decision, signed; `causes` are the signals behind it."""

    decision_at: datetime
    instrument: str
    shares: int
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class Fill:
    """A trade, or a change of shares by a corporate action; see table ``fill`` for units."""

    decision_at: datetime
    auction_at: datetime
    session: date
    venue: str
    auction: str
    instrument: str
    shares: int
    price: float
    auction_price: float
    currency: str
    fx: float
    commission: float
    duty: float
    levies: float
    slippage: float
    realized: float
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True)
class Unfilled:
    """An order that was not filled in full, and why."""

    decision_at: datetime
    auction_at: datetime
    session: date
    instrument: str
    wanted: int
    filled: int
    reason: str


@dataclass(frozen=True)
class PositionRow:
    """A holding after the last auction of a UTC day."""

    day: date
    instrument: str
    shares: int
    price: float
    fx: float
    value: float


@dataclass(frozen=True)
class EquityRow:
    """The account after the last auction of a UTC day, base currency; costs, borrow and dividends of that day."""

    day: date
    equity: float
    cash: float
    gross: float
    costs: float
    borrow: float
    dividends: float


@dataclass(frozen=True)
class Target:
    """A weight that the strategy asked for."""

    decision_at: datetime
    instrument: str
    weight: float


@dataclass
class Ledger:
    """Everything that a run wrote down, in the order in which it happened."""

    fills: list[Fill] = field(default_factory=list)
    unfilled: list[Unfilled] = field(default_factory=list)
    positions: list[PositionRow] = field(default_factory=list)
    equity: list[EquityRow] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
