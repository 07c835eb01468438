"""The edge of news over the next auction: a correlation with an interval that knows of days on which all moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from chipwire.engine.market import Floats, VenueMarket
from chipwire.engine.panels import DuckPanels
from chipwire.engine.sweep_task import Loaded

LOOKBACK_DAYS = 60.0


@dataclass(frozen=True)
class Edge:
    """A pooled information coefficient.

    Attributes
    ----------
    ic : float
        Correlation of what the news says at a decision with the log return up to the next opening auction; NaN with
        fewer than 3 observations.
    low, high : float
        Interval at `level`.
    observations, days : int
        Instrument-sessions, and the UTC days in which they lie.
    """

    ic: float
    low: float
    high: float
    level: float
    observations: int
    days: int


def measure_edge(
    loaded: Loaded, *, themes: Sequence[str] | None, half_life_days: float | None, level: float = 0.95
) -> Edge:
    """Measure how far the news leads the prices of a run that fills at the open.

    Both sides are put into units of each instrument's own standard deviation. The interval is normal, with the
    influence of each observation on the correlation summed over a day (clustered by day; A. C. Cameron and
    D. L. Miller, *Journal of Human Resources* 50, 2015).

    Parameters
    ----------
    themes : sequence of str or None
        Whose news counts; None: all.
    half_life_days : float or None
        None: each signal's own.
    """
    panels = DuckPanels(loaded.market, loaded.book, loaded.issuers)
    column = {issuer: number for number, issuer in enumerate(panels.issuers)}
    said, came, day = [], [], []
    for venue, panel in zip(loaded.market.venues, panels.venues, strict=True):
        strength = panel.strength(themes=themes, half_life_days=half_life_days, lookback_days=LOOKBACK_DAYS)
        returns = next_returns(venue)
        for place, issuer in enumerate(panel.issuers):
            if issuer is None:
                continue
            there = ~np.isnan(returns[:, place])
            pair = _unit(strength[there, column[issuer]]), _unit(returns[there, place])
            if not any(np.isnan(side).any() for side in pair):
                said.append(pair[0])
                came.append(pair[1])
                day.append(panel.session[there].astype(np.int64))
    if not said:
        return Edge(np.nan, np.nan, np.nan, level, 0, 0)
    return _clustered(np.concatenate(said), np.concatenate(came), np.concatenate(day), level)


def next_returns(venue: VenueMarket) -> Floats:
    """Return log returns from each open of the run to the next, (sessions, instruments); NaN where one is missing."""
    opens = np.log(venue.open[venue.first :])
    steps = np.full(opens.shape, np.nan)
    steps[:-1] = opens[1:] - opens[:-1]
    return steps


def _unit(values: Floats) -> Floats:
    deviation = values.std() if len(values) else 0.0
    return (values - values.mean()) / deviation if deviation > 0 else np.full(len(values), np.nan)


def _clustered(said: Floats, came: Floats, day: np.ndarray, level: float) -> Edge:
    count = len(said)
    days, place = np.unique(day, return_inverse=True)
    ic = float((said * came).mean())
    influence = np.bincount(place, weights=said * came - ic * (said**2 + came**2) / 2)
    error = float(np.sqrt((influence**2).sum())) / count
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    if count < 3:
        return Edge(np.nan, np.nan, np.nan, level, count, len(days))
    return Edge(ic, ic - reach, ic + reach, level, count, len(days))
