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
        """Return +-weight for this venue's places, and 0 for those whose time is over."""
        wanted: dict[str, float] = {}
        for instrument in view.instruments:
            if self._left.get(instrument, 0) > 0:
                wanted[instrument] = self._sign[instrument] * weight
            elif instrument in self._left:
                # Asked for until it is really gone: a suspended share cannot be sold on the day.
                wanted[instrument] = 0.0
                if not view.positions.get(instrument):
                    del self._left[instrument], self._sign[instrument]
        return wanted
