"""Strategies that read no news: what the others have to beat."""

from __future__ import annotations

from collections.abc import Mapping

from chipwire.strategies.base import Parameter, Strategy, View


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
        return dict.fromkeys(view.instruments, 1.0 / len(view.universe))


class BuyAndHold(Strategy):
    """Buy all instruments with the same weight as soon as each can be bought, and never sell."""

    name = "buy-and-hold"
    reads_signals = False

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._bought: set[str] = set()

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return 1/n for what was never held and has a price; what was delisted is not bought again."""
        self._bought.update(view.positions)
        missing = [name for name in view.instruments if name not in self._bought and view.last_price(name) > 0]
        return dict.fromkeys(missing, 1.0 / len(view.universe))
