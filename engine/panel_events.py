"""News that has just become available, as strategies that react to single events see it: coded columns, no loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chipwire.engine.market import Instants
from chipwire.engine.view import SignalBook
from chipwire.strategies.panels import Fresh
from chipwire.strategies.selection import DIGITS


@dataclass(frozen=True)
class Events:
    """The signals of a run that move an issuer of its universe, in the order in which they became available.

    Attributes
    ----------
    at : ndarray of datetime64[us]
    column : ndarray of int
        Of the issuer.
    headline, theme : ndarray of int
        Codes; those of `themes` for the latter.
    size, novelty : ndarray of float
        Value x relevance, and novelty.
    """

    at: Instants
    column: NDArray[np.int64]
    headline: NDArray[np.int64]
    theme: NDArray[np.int64]
    themes: tuple[str, ...]
    size: NDArray[np.float64]
    novelty: NDArray[np.float64]

    @classmethod
    def of(cls, book: SignalBook, issuers: Sequence[str]) -> Events:
        """Code the signals of a book; `issuers` are the columns."""
        columns = book.columns
        number = {name: place for place, name in enumerate(issuers)}
        codes, known = pd.factorize(np.asarray(columns["issuer"], dtype=object))
        column = np.array([number.get(name, -1) for name in known], dtype=np.int64)[codes]
        own = column >= 0
        headline, _ = pd.factorize(np.asarray(columns["headline_id"], dtype=object)[own])
        theme, themes = pd.factorize(np.asarray(columns["theme"], dtype=object)[own])
        value, relevance, novelty = (
            np.asarray(columns[name], float)[own] for name in ("value", "relevance", "novelty")
        )
        return cls(
            book.available_at[own], column[own], headline, theme, tuple(map(str, themes)), value * relevance, novelty
        )

    def fresh(self, decide_at: Instants, themes: Sequence[str], threshold: float, min_novelty: float) -> Fresh:
        """Return the novel, clear news of each decision: see `chipwire.strategies.panels.VenuePanel.fresh`."""
        row = np.searchsorted(decide_at, self.at, side="left")
        wanted = np.isin(self.theme, [code for code, name in enumerate(self.themes) if name in themes])
        # What came before the first decision was fresh to nobody.
        wanted &= (row > 0) & (row < len(decide_at)) & (self.novelty >= min_novelty) & (np.abs(self.size) >= threshold)
        at = np.flatnonzero(wanted)
        key = np.stack([row[at], self.headline[at], self.column[at]])
        # A headline of several themes counts once for an issuer.
        at = at[np.sort(np.unique(key, axis=1, return_index=True)[1])]
        width = int(self.column.max(initial=0)) + 1
        cells, cell = np.unique(row[at] * width + self.column[at], return_inverse=True)
        total: NDArray[Any] = np.round(np.bincount(cell, weights=self.size[at], minlength=len(cells)), DIGITS)
        # As much good news as bad says nothing.
        cells, total = cells[total != 0.0], total[total != 0.0]
        rows, columns = cells // width, cells % width
        order = np.lexsort((columns, -np.abs(total), rows))
        return Fresh(rows[order], columns[order], np.sign(total[order]))
