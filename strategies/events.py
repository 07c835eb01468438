"""What a strategy may be told of between decisions: headlines that became available, and its own trades."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol


@dataclass(frozen=True)
class Reading:
    """What a headline says about one issuer, as of the decision at which it is told; see `View.signals`."""

    issuer: str
    theme: str
    event: str | None
    value: float
    novelty: float
    relevance: float
    strength: float


@dataclass(frozen=True)
class Headline:
    """A headline that has just become available.

    Attributes
    ----------
    available_at : datetime
        UTC, with the run's latency.
    readings : tuple of Reading
        One for each issuer and theme that it moves, by issuer, then theme; never empty.
    """

    headline_id: str
    available_at: datetime
    readings: tuple[Reading, ...]


class Filled(Protocol):
    """A trade of the run."""

    @property
    def decision_at(self) -> datetime:
        """When it was decided, UTC."""
        ...

    @property
    def auction_at(self) -> datetime:
        """When it took place, UTC."""
        ...

    @property
    def session(self) -> date:
        """The venue's session."""
        ...

    @property
    def venue(self) -> str:
        """MIC."""
        ...

    @property
    def auction(self) -> str:
        """``open`` or ``close``; ``split`` or ``delisting`` where no order stands behind it."""
        ...

    @property
    def instrument(self) -> str:
        """As Yahoo names it."""
        ...

    @property
    def shares(self) -> int:
        """Signed: positive bought."""
        ...

    @property
    def price(self) -> float:
        """Local currency, slippage included."""
        ...

    @property
    def currency(self) -> str:
        """Of the price."""
        ...

    @property
    def fx(self) -> float:
        """Base currency for one unit of it."""
        ...

    @property
    def commission(self) -> float:
        """Base currency."""
        ...

    @property
    def duty(self) -> float:
        """Base currency."""
        ...

    @property
    def levies(self) -> float:
        """Base currency."""
        ...
