"""What a set-wise strategy sees: the point-in-time view of every decision at once, as arrays.

The engine makes it (`chipwire.engine.panels`). Row d of any array holds what decision d could know, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Weights = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Instants = NDArray[np.datetime64]
    Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class Fresh:
    """News between two decisions; arrays of equal length, by decision, then the strongest first, ties by name.

    Attributes
    ----------
    row : ndarray of int
        The decision that is the first to see it.
    column : ndarray of int
        The issuer among `Panels.issuers`.
    sign : ndarray of float
        +1 good news, -1 bad.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    sign: NDArray[np.float64]


class VenuePanel(Protocol):
    """The decisions of one venue."""

    @property
    def mic(self) -> str:
        """The venue."""
        ...

    @property
    def decide_at(self) -> Instants:
        """UTC, rising; shape (decisions,)."""
        ...

    @property
    def session(self) -> Days:
        """The session whose auction comes next; shape (decisions,)."""
        ...

    @property
    def instruments(self) -> Sequence[str]:
        """As in `View.instruments`."""
        ...

    @property
    def issuers(self) -> Sequence[str | None]:
        """The issuer of each instrument; None for a fund."""
        ...

    @property
    def listed(self) -> Flags:
        """Whether an instrument has had an auction by the decision; shape (decisions, all of `Panels.universe`)."""
        ...

    def strength(self, *, themes: Sequence[str] | None, half_life_days: float | None, lookback_days: float) -> Floats:
        """Return summed signal strength, shape (decisions, issuers), 0 where an issuer has no signal.

        The arguments are those of `View.signals`; the columns are `Panels.issuers`. No NaN.
        """
        ...

    def fresh(self, *, themes: Sequence[str], threshold: float, min_novelty: float) -> Fresh:
        """Return which issuers have novel, clear news since the decision before, at each decision but the first.

        A headline counts once for an issuer, with value x relevance, if that is at least the threshold and novel
        enough; the same as `chipwire.strategies.selection.fresh_news` decision by decision.
        """
        ...


class Panels(Protocol):
    """The decisions of all venues of a run."""

    @property
    def venues(self) -> Sequence[VenuePanel]:
        """By MIC."""
        ...

    @property
    def universe(self) -> Sequence[str]:
        """All instruments of the run, venue by venue; `VenuePanel.listed` says which of them are there yet."""
        ...

    @property
    def issuers(self) -> Sequence[str]:
        """The issuers of the universe, sorted, each once; funds have none."""
        ...
