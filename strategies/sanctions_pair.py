"""Sanctions pair: long the domestic issuer that a curb favours, short the exposed supplier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.selection import (
    DIGITS,
    GROSS,
    HALF_LIFE,
    LOOKBACK,
    listings_of,
    split_over_listings,
    strength_by_issuer,
    strongest,
)

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, VenuePanel, Weights

_SIDES = (("domestic", 1.0), ("suppliers", -1.0))
_DOMESTIC = "SMIC,HUAHONG,CAMBRICON,HYGON"
_SUPPLIERS = "NVIDIA,AMD,INTEL,ASML,AMAT,LRCX,KLAC,MICRON,QCOM,AVGO"


class SanctionsPair(Strategy):
    """Long domestic issuers that news on sanctions moves up, short suppliers that it moves down, in pairs.

    Each side's issuers are ranked by summed, decayed strength of signals of the theme sanctions; those beyond the
    threshold take up to `pairs` places. As many are held on one side as on the other, each with gross / (2 x pairs),
    unless `alone` is given. Suppliers are sold short where the venue allows it; where it does not, the order is
    dropped and noted, and the domestic side stands alone.
    """

    name = "sanctions-pair"
    parameters = (
        Parameter("pairs", int, 2, "how many issuers are held on each side", 1, 25),
        Parameter("threshold", float, 0.25, "least |summed strength| for a place", 0.0, 100.0),
        HALF_LIFE,
        LOOKBACK,
        Parameter("domestic", str, _DOMESTIC, "issuers that may be held long, separated by commas"),
        Parameter("suppliers", str, _SUPPLIERS, "issuers that may be sold short, separated by commas"),
        Parameter("alone", bool, False, "hold one side also where the other has nothing"),
        GROSS,
    )

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return the weights of both sides, 0 for all others of this venue."""
        signals = view.signals(
            themes=["sanctions"],
            half_life_days=self.values["half_life"] or None,
            lookback_days=self.values["lookback"],
        )
        listings = listings_of(view)
        strengths = strength_by_issuer(signals, listings)
        up, down = (self._side(strengths, which, sign) for which, sign in _SIDES)
        if not self.values["alone"]:
            count = min(len(up), len(down))
            up, down = up[:count], down[:count]
        places = {**dict.fromkeys(up, 1.0), **dict.fromkeys(down, -1.0)}
        weight = self.values["gross"] / (2 * self.values["pairs"])
        return split_over_listings(places, weight, listings, view.instruments)

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights]:
        """Return the same for all configurations; those that read the same news share its sums."""
        import numpy as np

        from chipwire.strategies.setwise import Listings, for_each_venue, listed_issuers, ranks

        sums: dict[tuple[Any, ...], Weights] = {}

        def weights(venue: VenuePanel, values: Mapping[str, Any]) -> Weights:
            key = (venue.mic, values["half_life"], values["lookback"])
            if key not in sums:
                strength = venue.strength(
                    themes=["sanctions"],
                    half_life_days=values["half_life"] or None,
                    lookback_days=values["lookback"],
                )
                sums[key] = np.where(listed_issuers(panels, venue), np.round(strength, DIGITS), 0.0)
            sides = []
            for which, sign in _SIDES:
                member = np.isin(np.array(panels.issuers, dtype=str), sorted(_members(values[which])))
                size = np.where(member, sign * sums[key], 0.0)
                rank = ranks(size)
                sides.append((sign, rank, (rank < values["pairs"]) & (size > 0) & (size >= values["threshold"])))
            count = np.minimum(*(held.sum(axis=1) for _, _, held in sides))[:, np.newaxis]
            signs = sum(
                sign * (held if values["alone"] else held & (rank < count)).astype(float) for sign, rank, held in sides
            )
            listings = Listings(panels, venue)
            return listings.spread(np.asarray(signs)[:, listings.columns], values["gross"] / (2 * values["pairs"]))

        return for_each_venue(panels, configurations, weights)

    def _side(self, strengths: Mapping[str, float], which: str, sign: float) -> list[str]:
        """Return a side's issuers beyond the threshold in the direction `sign`, the strongest first."""
        members = _members(self.values[which])
        own = {issuer: sign * value for issuer, value in strengths.items() if issuer in members}
        return list(strongest(own, self.values["pairs"], self.values["threshold"], short=False))


def _members(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")}
