"""What the page says of the headlines that led to nothing: counts by fate, and the strongest ones one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from chipwire.reports.lineage import by_headline, counts, words
from chipwire.reports.values import REASONS

STRONGEST = 200
"""So many headlines that were not traded are in the page."""
_TRADED = ("filled", "outweighed")
_EARLIER = ("before_run", "too_early", "too_old")


@dataclass(frozen=True)
class Untraded:
    """What became of a run's headlines.

    Attributes
    ----------
    counts : list of dict
        From `chipwire.reports.lineage.counts`, the reason in words.
    strongest : DataFrame
        Headlines of the run's own time that were not traded, those with the largest value times relevance first:
        columns of `chipwire.reports.lineage.fates`, ``available_at`` without the run's latency, and ``strength``.
    total : int
        How many such headlines there are.
    """

    counts: list[dict[str, Any]]
    strongest: pd.DataFrame
    total: int


def untraded(fates: pd.DataFrame, latency_minutes: float) -> Untraded:
    """Return what the page shows of a run's headlines.

    Parameters
    ----------
    fates : DataFrame
        From `chipwire.reports.lineage.fates`.
    latency_minutes : float
        Of the run, which is inside the instants of `fates`.
    """
    once = by_headline(fates)
    left = once[~once["fate"].isin([*_TRADED, *_EARLIER])]
    strength = left["value"].astype(float) * left["relevance"].astype(float)
    known = left["available_at"] - pd.Timedelta(minutes=latency_minutes)
    left = left.assign(strength=strength, size=strength.abs(), available_at=known)
    left = left.sort_values(["size", "available_at", "headline_id"], ascending=[False, True, True], na_position="last")
    said = [row | {"fate": words(row["fate"]), "reason": _reason(row["reason"])} for row in counts(once)]
    return Untraded(said, left.head(STRONGEST).reset_index(drop=True), len(left))


def fate_text(fate: str, reason: Any) -> str:
    """Return what became of a headline, with the reason where there is one."""
    why = _reason(reason) if isinstance(reason, str) and fate in ("not_filled", "abstained", "no_issuer") else ""
    return f"{words(fate)}: {why}" if why else words(fate)


def _reason(reason: str) -> str:
    return REASONS.get(reason, reason.replace("_", " "))
