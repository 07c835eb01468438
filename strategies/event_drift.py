"""Event drift: enter on a novel event, leave after a number of sessions."""

from __future__ import annotations

from collections.abc import Mapping

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.selection import ALL_THEMES, GROSS, SHORT, listings_of, themes_parameter


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
        self._left: dict[str, int] = {}
        self._sign: dict[str, float] = {}

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return the weights of open positions, and 0 for those whose time is over."""
        for instrument in view.instruments:
            if instrument in self._left:
                self._left[instrument] -= 1
        self._enter(view)
        weight = self.values["gross"] / self.values["places"]
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

    def _enter(self, view: View) -> None:
        """Take up the strongest new events, as far as there are places."""
        if view.since is None:
            return
        new = (view.now - view.since).total_seconds() / 86_400
        signals = view.signals(themes=self.values["themes"].split(","), lookback_days=min(new, 365.0))
        fresh = signals[(signals["available_at"] > view.since) & (signals["novelty"] >= self.values["min_novelty"])]
        clear = fresh.assign(size=fresh["value"] * fresh["relevance"])
        clear = clear[clear["size"].abs() >= self.values["threshold"]].drop_duplicates(["headline_id", "issuer"])
        by_issuer = clear.groupby("issuer", sort=True)["size"].sum()
        listings = listings_of(view)
        ranked = sorted(by_issuer.items(), key=lambda item: (-abs(float(item[1])), str(item[0])))
        for issuer, size in ranked:
            if size == 0:
                continue  # as much good news as bad says nothing
            sign = 1.0 if size > 0 else -1.0
            for instrument in listings.get(str(issuer), ()):
                if instrument not in view.instruments:
                    continue
                if self._left.get(instrument, 0) > 0 and sign != self._sign[instrument]:
                    self._left[instrument] = 0
                elif sign > 0 or self.values["short"]:
                    self._take(instrument, sign)

    def _take(self, instrument: str, sign: float) -> None:
        taken = sum(left > 0 for left in self._left.values())
        if self._left.get(instrument, 0) > 0 or taken < self.values["places"]:
            self._left[instrument] = self.values["hold"]
            self._sign[instrument] = sign
