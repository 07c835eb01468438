"""A strategy from a third party: it uses the public contract, its hooks included, and nothing private."""

from __future__ import annotations

from collections.abc import Mapping

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.events import Filled, Headline


class NightShift(Strategy):
    """Hold for one session what the news since the last decision was good on."""

    name = "night-shift"
    parameters = (
        Parameter("least", float, 0.5, "least value x relevance of a headline", 0.0, 1.0),
        Parameter("places", int, 5, "how many shares at a time", 1, 50),
    )

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.fills: list[Filled] = []
        self._good: set[str] = set()

    def on_headline(self, view: View, headline: Headline) -> None:
        """Note the issuers that a headline is good for."""
        for reading in headline.readings:
            if reading.value * reading.relevance >= self.values["least"]:
                self._good.add(reading.issuer)

    def on_fill(self, fill: Filled) -> None:
        """Keep the trades: a strategy may learn from its fills."""
        self.fills.append(fill)

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return 1 / places for the first of them, 0 for all others."""
        here = [name for name in view.instruments if view.issuer(name) in self._good][: self.values["places"]]
        self._good -= {issuer for name in view.instruments if (issuer := view.issuer(name)) is not None}
        return {name: 1.0 / self.values["places"] if name in here else 0.0 for name in view.instruments}
