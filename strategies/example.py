"""A strategy of your own: change what follows, then check it and trade it.

    chipwire strategies check FILE:ExampleStrategy
    chipwire backtest FILE:ExampleStrategy -p days=3 --start 2024-07-01 --end 2025-06-30

The contract, with all that a view can be asked, is documented in `chipwire.strategies.base`.
"""

from __future__ import annotations

from collections.abc import Mapping

from chipwire.strategies.base import Parameter, Strategy, View


class ExampleStrategy(Strategy):
    """Hold the shares whose issuers had good news on balance, unless the price has already run."""

    # By this it is listed and stored; small letters, digits and hyphens.
    name = "example"

    # Declared once: the command line, sweeps and the reference read type, default, meaning, bounds and unit from here.
    parameters = (
        Parameter("days", float, 5.0, "how far back news counts", 0.5, 90.0, "days"),
        Parameter("threshold", float, 0.3, "least summed strength of the news", 0.0, 100.0),
        Parameter("run", float, 0.2, "a price that rose by more over 5 sessions is left alone", 0.0, 10.0),
    )

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return wanted weights of equity for the instruments of `view.venue`, just before its auction.

        An instrument that is left out gets no order, 0 sells all of it. `view` shows what is known at `view.now`.
        """
        signals = view.signals(themes=["ai_models", "localization", "sanctions"], lookback_days=self.values["days"])
        strength = signals.groupby("issuer")["strength"].sum()
        wanted: dict[str, float] = {}
        for instrument in view.instruments:
            news = float(strength.get(view.issuer(instrument), 0.0))
            good = news >= self.values["threshold"] and self._rise(view, instrument) <= self.values["run"]
            # The same weight for all, whatever happens: the sum over the run's universe can never exceed 1.
            wanted[instrument] = 1.0 / len(view.universe) if good else 0.0
        return wanted

    def _rise(self, view: View, instrument: str) -> float:
        """Return the change of the close over the last five sessions that are over; 0 when there are too few."""
        closes = view.prices(instrument, 6)["close"]
        return float(closes.iloc[-1] / closes.iloc[0] - 1) if len(closes) == 6 else 0.0
