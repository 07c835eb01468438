"""Steps that several set-wise forms share; each gives, to the bit, what the steps in `selection` give one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.strategies.panels import Panels, VenuePanel
from chipwire.strategies.selection import DIGITS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def for_each_venue(
    panels: Panels,
    configurations: Sequence[Mapping[str, Any]],
    weights: Callable[[VenuePanel, Mapping[str, Any]], Floats],
) -> dict[str, Floats]:
    """Return by MIC the stack (configurations, decisions, instruments) of what `weights` gives for each."""
    found = {}
    for venue in panels.venues:
        stack = np.empty((len(configurations), len(venue.decide_at), len(venue.instruments)))
        for index, values in enumerate(configurations):
            stack[index] = weights(venue, values)
        found[venue.mic] = stack
    return found


def ranks(key: Floats) -> NDArray[np.int64]:
    """Return each issuer's place by falling key, from 0, at each decision; ties go by name.

    Parameters
    ----------
    key : ndarray, shape (decisions, issuers)
        Columns as `Panels.issuers`, which are sorted; no NaN.
    """
    order = np.argsort(-key, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1]), axis=1)
    return rank


def listed_here(panels: Panels, venue: VenuePanel) -> Flags:
    """Return whether each of a venue's own instruments has had an auction; shape (decisions, its instruments)."""
    place = {name: column for column, name in enumerate(panels.universe)}
    found: Flags = venue.listed[:, [place[name] for name in venue.instruments]]
    return found


def listed_issuers(panels: Panels, venue: VenuePanel) -> Flags:
    """Return whether any listing of an issuer has had an auction; shape (decisions, issuers)."""
    found = np.zeros((len(venue.decide_at), len(panels.issuers)), dtype=bool)
    for issuer, column in _of_issuers(panels):
        found[:, panels.issuers.index(issuer)] |= venue.listed[:, column]
    return found


def _of_issuers(panels: Panels) -> list[tuple[str, int]]:
    """Return each listing's issuer and its column in `Panels.universe`."""
    issuers = [issuer for venue in panels.venues for issuer in venue.issuers]
    return [(issuer, column) for column, issuer in enumerate(issuers) if issuer is not None]


class Listings:
    """The columns of a venue's instruments among the issuers, and how many listings share an issuer's weight.

    Attributes
    ----------
    columns : list of int
        For each instrument with an issuer its column in `Panels.issuers`.
    """

    def __init__(self, panels: Panels, venue: VenuePanel) -> None:
        number = {issuer: column for column, issuer in enumerate(panels.issuers)}
        self._place = [at for at, issuer in enumerate(venue.issuers) if issuer is not None]
        issuers = [issuer for issuer in venue.issuers if issuer is not None]
        self.columns = [number[issuer] for issuer in issuers]
        self._here = listed_here(panels, venue)
        count = np.zeros((len(venue.decide_at), len(panels.issuers)))
        for issuer, column in _of_issuers(panels):
            count[:, number[issuer]] += venue.listed[:, column]
        self._share = np.maximum(count[:, self.columns], 1.0)
        self._shape = (len(venue.decide_at), len(venue.instruments))

    def spread(self, signs: Floats, weight: float) -> Floats:
        """Return weights (decisions, instruments) from +1, -1 or 0 for each of `columns`; funds get 0.

        What is not listed yet gets NaN: nobody knows of it.
        """
        weights = np.zeros(self._shape)
        weights[:, self._place] = signs * weight / self._share
        return np.where(self._here, weights, np.nan)


class Ranking:
    """Issuers ranked at each decision of a venue by their strength, looked at from the venue's instruments.

    Parameters
    ----------
    strength : ndarray, shape (decisions, issuers)
        Columns as `Panels.issuers`; no NaN.
    short : bool
        Rank by |strength| and sell the negative short; otherwise the negative get no place.
    """

    def __init__(self, panels: Panels, venue: VenuePanel, strength: Floats, *, short: bool) -> None:
        strength = np.where(listed_issuers(panels, venue), np.round(strength, DIGITS), 0.0)
        key = np.abs(strength) if short else strength
        self._listings = Listings(panels, venue)
        own = self._listings.columns
        # Only this venue's columns are kept: thousands of configurations may ask for their weights.
        self._rank, self._key, self._sign = ranks(key)[:, own], key[:, own], np.sign(strength[:, own])

    def weights(self, top_k: int, threshold: float, gross: float) -> Floats:
        """Return gross / top_k for those with a place, shared by an issuer's listings, 0 for all others."""
        held = (self._rank < top_k) & (self._key >= threshold) & (self._key > 0)
        return self._listings.spread(np.where(held, self._sign, 0.0), gross / top_k)
