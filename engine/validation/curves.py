"""The daily equity of all configurations of a sweep, kept while its blocks run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import DomainError
from chipwire.engine.sweep_store import Trial

Floats = NDArray[np.float64]

MOST_BYTES = 256 << 20
"""What the curves of a sweep may take."""


@dataclass(frozen=True)
class Curves:
    """Equity curves side by side.

    Attributes
    ----------
    days : tuple of date
        UTC days with an auction of any configuration's venues, rising.
    trials : tuple of Trial
        One for each column, by row number.
    returns : ndarray, shape (days, configurations)
        Daily; the first on the capital. 0 on a day without an auction at any of the configuration's venues.
    """

    days: tuple[date, ...]
    trials: tuple[Trial, ...]
    returns: Floats


class CurveKeeper:
    """Takes the blocks of a sweep as they are done; see `chipwire.engine.sweep_block.ColumnarLedger`."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Trial, tuple[date, ...], Floats]] = {}
        self._bytes = 0

    @property
    def rows(self) -> set[int]:
        """Numbers of the rows whose curve is there."""
        return set(self._kept)

    def take(self, trials: Sequence[Trial], days: tuple[date, ...], equity: Floats) -> None:
        """Keep a block's equity (days, configurations).

        Raises
        ------
        DomainError
            All curves together would take more than `MOST_BYTES`.
        """
        for trial, column in zip(trials, np.ascontiguousarray(equity.T), strict=True):
            if trial.row_no not in self._kept:
                self._bytes += column.nbytes
            self._kept[trial.row_no] = trial, days, column
        if self._bytes > MOST_BYTES:
            raise DomainError(
                f"the equity curves of these configurations take more than {MOST_BYTES >> 20} MB; "
                "give fewer values or a shorter span"
            )

    def curves(self) -> Curves:
        """Return all curves, put on the same days.

        Raises
        ------
        DomainError
            There are none, or they are of different spans.
        """
        kept = [self._kept[row_no] for row_no in sorted(self._kept)]
        if not kept:
            raise DomainError("no configuration gave an equity curve; the rows of the sweep say why")
        spans = {(t.configuration.settings.start, t.configuration.settings.end) for t, _, _ in kept}
        if len(spans) > 1:
            raise DomainError(f"the configurations run over {len(spans)} different spans; give one --start and --end")
        days = tuple(sorted({day for own in {days for _, days, _ in kept} for day in own}))
        returns = np.empty((len(days), len(kept)))
        places = {own: np.searchsorted(np.array(days), np.array(own)) for own in {own for _, own, _ in kept}}
        for number, (trial, own, equity) in enumerate(kept):
            returns[:, number] = _returns(equity, trial.configuration.settings.capital, len(days), places[own])
        return Curves(days, tuple(trial for trial, _, _ in kept), returns)


def _returns(equity: Floats, capital: float, n: int, places: NDArray[np.intp]) -> Floats:
    """Return daily returns of an equity known on some of the days; on others it stays as it was."""
    curve = np.concatenate(([capital], equity))
    found = np.zeros(n)
    found[places] = curve[1:] / np.where(curve[:-1] > 0, curve[:-1], np.nan) - 1
    return found
