"""Fade the mania: against prices that have run with loud news, in either direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from chipwire.strategies.base import Parameter, Strategy, View
from chipwire.strategies.places import Places
from chipwire.strategies.selection import (
    ALL_THEMES,
    GROSS,
    HALF_LIFE,
    LOOKBACK,
    listings_of,
    strength_by_issuer,
    themes_parameter,
)

_SPLIT = 0.4


class FadeMania(Strategy):
    """Sell short what has run up sharply on loud good news; buy what has fallen sharply on loud bad news.

    News is loud when the issuer's summed, decayed strength is at least `threshold` in size. A run is a change of the
    close of at least `run` over `window` sessions, in the direction of the news. The position against it is held for
    `hold` sessions of the venue and is not renewed meanwhile. There are `places` places; the longest runs go first. A
    window in which a close moves by more than 40% in one session is left alone: bars do not tell whether it is a split.
    """

    name = "fade-mania"
    parameters = (
        Parameter("run", float, 0.15, "least |change of the close| over the window", 0.01, 10.0),
        Parameter("window", int, 10, "sessions over which a run is measured", 1, 200, "sessions"),
        Parameter("threshold", float, 0.5, "least |summed strength| of loud news", 0.0, 100.0),
        Parameter("hold", int, 10, "sessions a position is held", 1, 250, "sessions"),
        Parameter("places", int, 5, "how many positions at a time", 1, 50),
        HALF_LIFE,
        LOOKBACK,
        themes_parameter(ALL_THEMES),
        GROSS,
        Parameter("short", bool, True, "sell short what has run up, where the venue allows it"),
    )

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._places = Places(self.values["places"], self.values["hold"])

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return the weights of open positions, and 0 for those whose time is over."""
        self._places.pass_session(view.instruments)
        signals = view.signals(
            themes=self.values["themes"].split(","),
            half_life_days=self.values["half_life"] or None,
            lookback_days=self.values["lookback"],
        )
        strengths = strength_by_issuer(signals, listings_of(view))
        runs = {}
        for name in view.instruments:
            strength = strengths.get(view.issuer(name) or "", 0.0)
            if strength and abs(strength) >= self.values["threshold"] and not self._places.sign(name):
                change = self._change(view, name)
                if abs(change) >= self.values["run"] and change * strength > 0:
                    runs[name] = change
        for name, change in sorted(runs.items(), key=lambda item: (-abs(item[1]), item[0])):
            if change < 0 or self.values["short"]:
                self._places.take(name, -math.copysign(1.0, change))
        return self._places.weights(view, self.values["gross"] / self.values["places"])

    def _change(self, view: View, instrument: str) -> float:
        """Return the change of the close over the window; 0 where it is not known or may be a split."""
        closes = [float(close) for close in view.prices(instrument, self.values["window"] + 1)["close"]]
        if len(closes) <= self.values["window"]:
            return 0.0
        steps = [later / earlier - 1 for earlier, later in pairwise(closes)]
        return 0.0 if max(map(abs, steps)) > _SPLIT else closes[-1] / closes[0] - 1
