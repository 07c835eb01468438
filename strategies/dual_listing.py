"""Dual listing: news on an issuer is traded in the listing whose venue is the next to open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.places import Places
from chipwire.strategies.selection import ALL_THEMES, GROSS, SHORT, fresh_news, listings_of, themes_parameter


class DualListing(Strategy):
    """Enter at the first auction of any of an issuer's listings after a novel, clear headline; hold only that one.

    Where Hong Kong decides before Shanghai, the H share is traded on news of the night, the A share on news between
    the two decisions, and the American receipt on news of the Asian evening. The position is left after `hold` sessions
    of its venue. Another event in the same direction starts them anew, one in the other direction ends it. Issuers
    with a single listing in the run are left out unless `only_dual` is false.
    """

    name = "dual-listing"
    parameters = (
        Parameter("hold", int, 5, "sessions a position is held", 1, 250, "sessions"),
        Parameter("threshold", float, 0.4, "least |value x relevance| of an event", 0.0, 1.0),
        Parameter("min_novelty", float, 0.5, "least novelty: 1 is a first story, 0.5 a second", 0.0, 1.0),
        Parameter("places", int, 4, "how many positions at a time", 1, 50),
        Parameter("only_dual", bool, True, "only issuers with several listings in the run"),
        themes_parameter(ALL_THEMES),
        GROSS,
        SHORT,
    )

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._places = Places(self.values["places"], self.values["hold"])
        self._heard: dict[str, datetime] = {}

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return the weights of open positions, and 0 for those whose time is over."""
        self._places.pass_session(view.instruments)
        listings = {
            issuer: names
            for issuer, names in listings_of(view).items()
            if len(names) > 1 or not self.values["only_dual"]
        }
        read: dict[datetime, dict[str, float]] = {}
        for issuer, names in sorted(listings.items()):
            here = next((name for name in names if name in view.instruments), None)
            if here is None:
                continue
            since = self._heard.get(issuer)
            self._heard[issuer] = view.now
            if since is not None:
                if since not in read:
                    read[since] = self._read(view, since)
                self._react(read[since].get(issuer, 0.0), here, names)
        return self._places.weights(view, self.values["gross"] / self.values["places"])

    def _read(self, view: View, since: datetime) -> dict[str, float]:
        themes = self.values["themes"].split(",")
        return fresh_news(view, since, themes, self.values["threshold"], self.values["min_novelty"])

    def _react(self, sign: float, here: str, names: list[str]) -> None:
        """Take up news (+1, -1; 0 is none) that no venue of the issuer's listings has had a decision on yet."""
        held = [name for name in names if self._places.sign(name)]
        for name in held:
            if self._places.sign(name) == sign:
                self._places.take(name, sign)
            elif sign:
                self._places.end(name)
        if not held and (sign > 0 or (sign and self.values["short"])):
            self._places.take(here, sign)
