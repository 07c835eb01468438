"""Strategies that read no news: what the others have to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chipwire.strategies.base import Parameter, Strategy, View

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, VenuePanel, Weights


class EqualWeight(Strategy):
    """Hold all instruments with the same weight, set right again every few sessions of each venue."""

    name = "equal-weight"
    parameters = (Parameter("every", int, 21, "sessions between two settings", 1, 250, "sessions"),)
    reads_signals = False

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._count: dict[str, int] = {}

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return 1/n for each instrument of the venue, or None between two settings."""
        count = self._count.get(view.venue, 0)
        self._count[view.venue] = count + 1
        if count % self.values["every"]:
            return None
        return dict.fromkeys(view.instruments, 1.0 / max(len(view.universe), 1))

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights]:
        """Return the same for all configurations."""
        import numpy as np

        from chipwire.strategies.setwise import for_each_venue, listed_here

        def weights(venue: VenuePanel, values: Mapping[str, Any]) -> Weights:
            weight = 1.0 / np.maximum(venue.listed.sum(axis=1), 1)
            found = np.where(listed_here(panels, venue), weight[:, np.newaxis], np.nan)
            found[np.arange(len(found)) % values["every"] > 0] = np.nan
            return found

        return for_each_venue(panels, configurations, weights)

    def at_once(self, panels: Panels) -> dict[str, Weights] | None:
        """Return the same for this one."""
        return self.targets_setwise(panels, [self.values])


class BuyAndHold(Strategy):
    """Buy all instruments with the same weight as soon as each can be bought, and never sell.

    What it asks for depends on what was filled, so it has no set-wise form.
    """

    name = "buy-and-hold"
    reads_signals = False

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._bought: set[str] = set()

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return 1/n for what was never held and has a price; what was delisted is not bought again."""
        self._bought.update(view.positions)
        missing = [name for name in view.instruments if name not in self._bought and view.last_price(name) > 0]
        return dict.fromkeys(missing, 1.0 / max(len(view.universe), 1))
