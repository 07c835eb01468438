"""Theme momentum: hold the issuers on which decayed news is strongest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.selection import (
    ALL_THEMES,
    GROSS,
    HALF_LIFE,
    LOOKBACK,
    SHORT,
    listings_of,
    split_over_listings,
    strength_by_issuer,
    strongest,
    themes_parameter,
)

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, VenuePanel, Weights


class ThemeMomentum(Strategy):
    """Hold the top-k issuers by summed, decayed signal strength, each with the same weight.

    An issuer with several listings in the run shares its weight among them. Each venue's decision moves only that
    venue's instruments, so that the whole is in place after one round of venues.
    """

    name = "theme-momentum"
    parameters = (
        Parameter("top_k", int, 4, "how many issuers are held", 1, 50),
        Parameter("threshold", float, 0.25, "least |summed strength| for a place", 0.0, 100.0),
        HALF_LIFE,
        LOOKBACK,
        themes_parameter(ALL_THEMES[:3]),
        GROSS,
        SHORT,
    )

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return gross / top_k for each chosen issuer, 0 for all others of this venue."""
        signals = view.signals(
            themes=self.values["themes"].split(","),
            half_life_days=self.values["half_life"] or None,
            lookback_days=self.values["lookback"],
        )
        listings = listings_of(view)
        strengths = strength_by_issuer(signals, listings)
        places = strongest(strengths, self.values["top_k"], self.values["threshold"], short=self.values["short"])
        return split_over_listings(places, self.values["gross"] / self.values["top_k"], listings, view.instruments)

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights]:
        """Return the same for all configurations; those that read the same news share the ranking."""
        from chipwire.strategies.setwise import Ranking, for_each_venue

        rankings: dict[tuple[Any, ...], Ranking] = {}

        def weights(venue: VenuePanel, values: Mapping[str, Any]) -> Weights:
            key = (venue.mic, *(values[name] for name in ("themes", "half_life", "lookback", "short")))
            if key not in rankings:
                strength = venue.strength(
                    themes=values["themes"].split(","),
                    half_life_days=values["half_life"] or None,
                    lookback_days=values["lookback"],
                )
                rankings[key] = Ranking(panels, venue, strength, short=values["short"])
            return rankings[key].weights(values["top_k"], values["threshold"], values["gross"])

        return for_each_venue(panels, configurations, weights)
