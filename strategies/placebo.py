"""The random placebo: what the same number of places earns when nothing is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.selection import GROSS, listings_of, split_over_listings, strongest

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, VenuePanel, Weights

_SHORT = Parameter("short", bool, False, "draw a direction for each issuer too")


class RandomPlacebo(Strategy):
    """Hold issuers drawn at random, all with the same weight, and draw anew every few days.

    The draw depends on the seed, the calendar and the issuer's name alone: it is the same at every venue, and no
    later or other data changes it. Many seeds give the distribution that a strategy with as many places has to beat.
    """

    name = "random"
    parameters = (
        Parameter("seed", int, 1, "another seed, another draw", 0, 2**31 - 1),
        Parameter("top_k", int, 4, "how many issuers are held", 1, 50),
        Parameter("days", int, 7, "calendar days between two draws, counted from 1970-01-01", 1, 365, "days"),
        GROSS,
        _SHORT,
    )
    reads_signals = False

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return gross / top_k for each issuer drawn, 0 for all others of this venue."""
        listings = listings_of(view)
        issuers = sorted(listings)
        days = np.array([view.session], dtype="datetime64[D]")
        drawn = _draw(self.values, days, issuers)[0]
        places = strongest(
            dict(zip(issuers, map(float, drawn), strict=True)), self.values["top_k"], 0.0, short=self.values["short"]
        )
        return split_over_listings(places, self.values["gross"] / self.values["top_k"], listings, view.instruments)

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights]:
        """Return the same for all configurations."""
        from chipwire.strategies.setwise import Ranking, for_each_venue

        def weights(venue: VenuePanel, values: Mapping[str, Any]) -> Weights:
            drawn = _draw(values, venue.session, panels.issuers)
            ranking = Ranking(panels, venue, drawn, short=values["short"])
            return ranking.weights(values["top_k"], 0.0, values["gross"])

        return for_each_venue(panels, configurations, weights)

    def at_once(self, panels: Panels) -> dict[str, Weights] | None:
        """Return the same for this one."""
        return self.targets_setwise(panels, [self.values])


def _draw(values: Mapping[str, Any], days: NDArray[np.datetime64], issuers: Sequence[str]) -> NDArray[np.float64]:
    """Return a number in (0, 1) for each day and issuer, in (-1, 1) with shorts; shape (days, issuers)."""
    names = np.array(
        [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) for name in issuers], dtype=np.uint64
    )
    period = (days.astype("datetime64[D]").astype(np.int64) // values["days"]).astype(np.uint64)
    seed = np.full(1, values["seed"], dtype=np.uint64)
    bits = _mix(_mix(_mix(seed) ^ period)[:, np.newaxis] ^ names)
    unit = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    return np.round(2.0 * unit - 1.0 if values["short"] else unit, 12)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64 of each number (Steele, Lea and Flood, 2014)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
