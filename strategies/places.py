"""Positions that are held for a number of sessions, of which there may be so many at a time."""

from __future__ import annotations

from collections.abc import Iterable

from chipwire.strategies.base import View


class Places:
    """A number of places over all venues; each holds one instrument for `hold` sessions of its venue.

    Parameters
    ----------
    count : int
        How many there are.
    hold : int
        Sessions that a position is held.
    """

    def __init__(self, count: int, hold: int) -> None:
        self._count = count
        self._hold = hold
        self._left: dict[str, int] = {}
        self._sign: dict[str, float] = {}

    def sign(self, instrument: str) -> float:
        """Return +1 or -1 for what has a place, 0 for anything else."""
        return self._sign[instrument] if self._left.get(instrument, 0) > 0 else 0.0

    def pass_session(self, instruments: Iterable[str]) -> None:
        """Count a session of the instruments' venue."""
        for instrument in instruments:
            if instrument in self._left:
                self._left[instrument] -= 1

    def take(self, instrument: str, sign: float) -> None:
        """Give the instrument a place, if one is free, or let its sessions begin anew."""
        taken = sum(left > 0 for left in self._left.values())
        if self._left.get(instrument, 0) > 0 or taken < self._count:
            self._left[instrument] = self._hold
            self._sign[instrument] = sign

    def end(self, instrument: str) -> None:
        """Let the instrument go at its venue's next decision, this one included."""
        self._left[instrument] = 0

    def weights(self, view: View, weight: float) -> dict[str, float]:
        """Return +-weight for this venue's places, and 0 for what had one before.

        The 0 is asked for ever after: a suspended share cannot be sold on the day on which its time is over.
        """
        return {
            instrument: self._sign[instrument] * weight if self._left[instrument] > 0 else 0.0
            for instrument in view.instruments
            if instrument in self._left
        }
