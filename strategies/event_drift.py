"""Event drift: enter on a novel event, leave after a number of sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.places import Places
from chipwire.strategies.selection import ALL_THEMES, GROSS, SHORT, fresh_news, listings_of, themes_parameter

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, Weights


class EventDrift(Strategy):
    """Enter at the first auction after a novel, clear headline; leave after `hold` sessions of the venue.

    Another event in the same direction while a position is held starts its sessions anew; one in the other
    direction ends it. There are `places` places over all venues, each of the same weight.
    """

    name = "event-drift"
    parameters = (
        Parameter("hold", int, 5, "sessions a position is held", 1, 250, "sessions"),
        Parameter("threshold", float, 0.4, "least |value x relevance| of an event", 0.0, 1.0),
        Parameter("min_novelty", float, 0.5, "least novelty: 1 is a first story, 0.5 a second", 0.0, 1.0),
        Parameter("places", int, 5, "how many positions at a time", 1, 50),
        themes_parameter(ALL_THEMES),
        GROSS,
        SHORT,
    )

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._places = Places(self.values["places"], self.values["hold"])

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return the weights of open positions, and 0 for those whose time is over."""
        self._places.pass_session(view.instruments)
        self._enter(view)
        return self._places.weights(view, self.values["gross"] / self.values["places"])

    def _enter(self, view: View) -> None:
        """Take up the strongest new events, as far as there are places."""
        if view.since is None:
            return
        by_issuer = fresh_news(
            view, view.since, self.values["themes"].split(","), self.values["threshold"], self.values["min_novelty"]
        )
        listings = listings_of(view)
        for issuer, sign in by_issuer.items():
            for instrument in listings.get(issuer, ()):
                if instrument not in view.instruments:
                    continue
                if sign == -self._places.sign(instrument):
                    self._places.end(instrument)
                elif sign > 0 or self.values["short"]:
                    self._places.take(instrument, sign)

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights]:
        """Return the same for all configurations: places change hands at decisions with news only."""
        from chipwire.strategies.setwise_places import Stays, fresh_decisions, take_places

        lists: dict[tuple[Any, ...], Any] = {}
        stays = Stays(panels, len(configurations))
        for lane, values in enumerate(configurations):
            key = tuple(values[name] for name in ("themes", "threshold", "min_novelty"))
            if key not in lists:
                lists[key] = fresh_decisions(panels, key[0].split(","), key[1], key[2])
            take_places(stays, lane, lists[key], values)
        return stays.weights
