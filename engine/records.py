"""What a run produces, as frozen records; each becomes one row of the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar, overload

from chipwire.engine.view import Cause

_T = TypeVar("_T")
_INSTANTS = ("decision_at", "auction_at")


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


class Rows(Sequence[_T], Generic[_T]):
    """Records of one kind, kept as columns: a run leaves tens of thousands, and mostly they are only stored.

    Parameters
    ----------
    kind : type
        A frozen dataclass of this module.

    Attributes
    ----------
    columns : dict of str to list
        By field, as the warehouse keeps them: instants are UTC without a zone.
    """

    def __init__(self, kind: type[_T]) -> None:
        self._kind = kind
        self.columns: dict[str, list[Any]] = {each.name: [] for each in fields(kind)}  # type: ignore[arg-type]

    def append(self, record: _T) -> None:
        """Add one record."""
        for name, column in self.columns.items():
            value = getattr(record, name)
            column.append(value.replace(tzinfo=None) if name in _INSTANTS else value)

    def extend(self, columns: Mapping[str, Iterable[Any]]) -> None:
        """Add many, given as columns of one length."""
        for name, column in self.columns.items():
            column.extend(columns[name])

    def __iadd__(self, records: Iterable[_T]) -> Rows[_T]:
        for record in records:
            self.append(record)
        return self

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, place: int) -> _T: ...

    @overload
    def __getitem__(self, place: slice) -> list[_T]: ...

    def __getitem__(self, place: int | slice) -> _T | list[_T]:
        if isinstance(place, int):
            return self._made([[column[place]] for column in self.columns.values()])[0]
        return self._made([column[place] for column in self.columns.values()])

    def _made(self, columns: list[list[Any]]) -> list[_T]:
        aware = [
            [instant.replace(tzinfo=UTC) for instant in column] if name in _INSTANTS else column
            for name, column in zip(self.columns, columns, strict=True)
        ]
        return [self._kind(*values) for values in zip(*aware, strict=True)]

    def __iter__(self) -> Any:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return self.columns == other.columns
        return self[:] == other

    def __repr__(self) -> str:
        return repr(self[:])

    __hash__ = None  # type: ignore[assignment]  # it grows


@dataclass
class Ledger:
    """Everything that a run wrote down, in the order in which it happened."""

    fills: Rows[Fill] = field(default_factory=lambda: Rows(Fill))
    unfilled: Rows[Unfilled] = field(default_factory=lambda: Rows(Unfilled))
    positions: Rows[PositionRow] = field(default_factory=lambda: Rows(PositionRow))
    equity: Rows[EquityRow] = field(default_factory=lambda: Rows(EquityRow))
    targets: Rows[Target] = field(default_factory=lambda: Rows(Target))
