"""Tables of what prices did after a signal: rank correlation by horizon, and returns by quantile of the signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chipwire.engine.abnormal import VenuePrices
from chipwire.engine.market import Days, Floats
from chipwire.engine.signal_measures import (
    CONFIDENCE,
    LEAST_ACROSS,
    LEAST_DAYS,
    Estimate,
    clustered_difference,
    clustered_mean,
    lags_for,
    quantiles_by_day,
    quantiles_of_all,
    rank_correlations,
    rank_products,
)

HORIZONS = (0, 1, 2, 3, 5, 10, 21)
"""Sessions of the instrument's own venue; 0: to the end of the first session."""
MANY_ACROSS = 10
"""From so many instruments on a usual day there are quintiles, else terciles."""


@dataclass(frozen=True)
class Panel:
    """A signal and what came after it, by date and instrument of all venues.

    Attributes
    ----------
    signal : ndarray, shape (dates, instruments)
        NaN without a signal, or on a date on which the venue is closed.
    own, abnormal : mapping of int to ndarray of that shape
        Returns by horizon; a run that fills at the close has none of horizon 0.
    """

    signal: Floats
    own: dict[int, Floats]
    abnormal: dict[int, Floats]

    @classmethod
    def of(cls, prices: tuple[VenuePrices, ...], signals: list[Floats], dates: Days) -> Panel:
        """Put the venues side by side."""
        horizons = [h for h in HORIZONS if h or all(venue.at_open for venue in prices)]
        own = {h: [v.own(h) if h else v.own_session() for v in prices] for h in horizons}
        abnormal = {h: [v.abnormal(h) if h else v.abnormal_session() for v in prices] for h in horizons}
        places = [np.searchsorted(dates, venue.session[venue.first :]) for venue in prices]

        def beside(parts: list[Floats]) -> Floats:
            columns = []
            for part, place in zip(parts, places, strict=True):
                block = np.full((len(dates), part.shape[1]), np.nan)
                block[place] = part[len(part) - len(place) :]
                columns.append(block)
            return np.hstack(columns)

        return cls(
            beside(signals),
            {h: beside(parts) for h, parts in own.items()},
            {h: beside(parts) for h, parts in abnormal.items()},
        )

    @property
    def daily(self) -> bool:
        """Whether at least half of the dates with a signal have a cross-section."""
        across = np.isfinite(self.signal).sum(axis=1)
        enough = int((across >= LEAST_ACROSS).sum())
        return enough >= LEAST_DAYS and 2 * enough >= int((across > 0).sum())

    @property
    def quantile_count(self) -> int:
        """Quintiles where a usual date has enough instruments for two in each, else terciles."""
        across = np.isfinite(self.signal).sum(axis=1)
        usual = float(np.median(across[across >= LEAST_ACROSS])) if (across >= LEAST_ACROSS).any() else 0.0
        return 5 if self.daily and usual >= MANY_ACROSS else 3


def return_tables(panel: Panel) -> dict[str, Any]:
    """Return ``method``, ``confidence``, ``ic``, ``quantiles`` and ``spreads`` of `SignalQuality`."""
    quantiles, spreads = _quantiles(panel)
    return {
        "method": "daily" if panel.daily else "pooled",
        "confidence": CONFIDENCE,
        "ic": _correlations(panel),
        "quantiles": quantiles,
        "spreads": spreads,
    }


def _correlations(panel: Panel) -> pd.DataFrame:
    rows = []
    for kind, returns in (("own currency", panel.own), ("abnormal", panel.abnormal)):
        before: Floats | None = None
        for horizon, after in returns.items():
            whole = _correlation(panel, after, horizon)
            step = whole if before is None else _correlation(panel, (1 + after) / (1 + before) - 1, horizon)
            rows.append(
                {
                    "returns": kind, "horizon": horizon, "ic": whole.mean, "se": whole.se, "t": whole.t,
                    "low": whole.low, "high": whole.high, "step_ic": step.mean, "step_t": step.t,
                    "observations": int((np.isfinite(panel.signal) & np.isfinite(after)).sum()), "days": whole.days,
                }
            )  # fmt: skip
            before = after
    return pd.DataFrame(rows)


def _correlation(panel: Panel, returns: Floats, horizon: int) -> Estimate:
    days = np.arange(len(returns))
    if panel.daily:
        each = rank_correlations(panel.signal, returns)
        return clustered_mean(each, days, lags_for(horizon, int(np.isfinite(each).sum())))
    products = rank_products(panel.signal, returns)
    held = int(np.isfinite(products).any(axis=1).sum())
    return clustered_mean(products.ravel(), np.repeat(days, products.shape[1]), lags_for(horizon, held))


def _quantiles(panel: Panel) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, spreads, count = [], [], panel.quantile_count
    for horizon, returns in panel.abnormal.items():
        split = quantiles_by_day if panel.daily else quantiles_of_all
        quantile = split(panel.signal, returns, count)
        day = np.broadcast_to(np.arange(len(returns))[:, None], returns.shape)
        lags = lags_for(horizon, int((quantile >= 0).any(axis=1).sum()))
        parts = [(returns[quantile == number], day[quantile == number]) for number in range(count)]
        for number, (values, days) in enumerate(parts, start=1):
            rows.append(
                {"horizon": horizon, "quantile": number, **estimate_columns(clustered_mean(values, days, lags))}
            )
        spread = clustered_difference(*parts[-1], *parts[0], lags)
        spreads.append({"horizon": horizon, **estimate_columns(spread, t=True)})
    return pd.DataFrame(rows), pd.DataFrame(spreads)


def estimate_columns(found: Estimate, *, t: bool = False, n: str = "observations") -> dict[str, Any]:
    """Return an estimate as columns of a table."""
    shown = {"mean": found.mean, "se": found.se, **({"t": found.t} if t else {})}
    return {**shown, "low": found.low, "high": found.high, n: found.n, "days": found.days}
