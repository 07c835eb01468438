"""Positions held for a number of sessions, set-wise: to the bit what `chipwire.strategies.places` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chipwire.strategies.panels import Panels
from chipwire.strategies.setwise import listed_here

if TYPE_CHECKING:
    from chipwire.strategies.panels import Weights


class Stays:
    """The weights of all configurations as stays begin and end.

    Attributes
    ----------
    weights : dict
        By MIC, shape (configurations, decisions, instruments); NaN until an instrument's first stay.
    """

    def __init__(self, panels: Panels, configurations: int) -> None:
        self.weights: dict[str, Weights] = {
            venue.mic: np.full((configurations, len(venue.decide_at), len(venue.instruments)), np.nan)
            for venue in panels.venues
        }
        self._by_venue = list(self.weights.values())
        self.listed = [listed_here(panels, venue) for venue in panels.venues]
        self.listings = [_columns_by_issuer(panels, venue.issuers) for venue in panels.venues]

    def write(self, lane: int, venue: int, column: int, begin: int, end: int, weight: float) -> None:
        """Let a stay hold from one row up to another, and 0 follow it."""
        rows = self._by_venue[venue][lane, :, column]
        rows[begin:end] = weight
        rows[end:] = 0.0


def _columns_by_issuer(panels: Panels, issuers: Sequence[str | None]) -> list[list[int]]:
    return [[place for place, own in enumerate(issuers) if own == issuer] for issuer in panels.issuers]


def fresh_decisions(
    panels: Panels, themes: Sequence[str], threshold: float, min_novelty: float
) -> list[tuple[int, int, list[tuple[int, float]], list[int]]]:
    """Return the decisions with fresh news in the order of time, equal instants by MIC.

    Returns
    -------
    list of tuple
        Venue, row, (issuer's column, sign) in the order in which they take places, and for each venue the row of its
        latest decision.
    """
    found: list[tuple[int, int, int, list[tuple[int, float]]]] = []
    instants = [venue.decide_at.astype("datetime64[us]").astype(np.int64) for venue in panels.venues]
    for place, venue in enumerate(panels.venues):
        fresh = venue.fresh(themes=themes, threshold=threshold, min_novelty=min_novelty)
        by_row: dict[int, list[tuple[int, float]]] = {}
        for row, column, sign in zip(fresh.row.tolist(), fresh.column.tolist(), fresh.sign.tolist(), strict=True):
            by_row.setdefault(row, []).append((column, sign))
        found += [(int(instants[place][row]), place, row, news) for row, news in by_row.items()]
    found.sort(key=lambda item: item[:3])
    at = np.array([item[0] for item in found], dtype=np.int64)
    mine = np.array([item[1] for item in found], dtype=np.int64)
    # A venue that decides at the same instant has done so before, if its MIC comes first.
    latest = [
        np.where(place <= mine, np.searchsorted(own, at, side="right"), np.searchsorted(own, at)) - 1
        for place, own in enumerate(instants)
    ]
    rows = np.array(latest).T.tolist() if found else []
    return [(place, row, news, last) for (_, place, row, news), last in zip(found, rows, strict=True)]


def take_places(stays: Stays, lane: int, decisions: Sequence[Any], values: Mapping[str, Any]) -> None:
    """Give places to news as `Places` does: `values` are hold, places, gross and short of a configuration."""
    hold, count, short = values["hold"], values["places"], values["short"]
    weight = values["gross"] / count
    held: dict[tuple[int, int], tuple[int, float]] = {}  # (venue, column) -> row at which it ends, sign
    for venue, row, news, latest in decisions:
        held = {key: stay for key, stay in held.items() if latest[key[0]] < stay[0]}
        for issuer, sign in news:
            for column in stays.listings[venue][issuer]:
                if not stays.listed[venue][row, column]:
                    continue
                key = venue, column
                stay = held.get(key)
                if stay is not None and stay[1] == -sign:
                    del held[key]
                    stays.write(lane, venue, column, row, row, 0.0)
                elif (sign > 0 or short) and (stay is not None or len(held) < count):
                    held[key] = row + hold, sign
                    stays.write(lane, venue, column, row, row + hold, sign * weight)
