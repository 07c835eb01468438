"""What the page says of a run's signals: a sentence, how prices reacted, and how many signals there are."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from chipwire.data.errors import counted
from chipwire.reports.signal_quality import SignalQuality
from chipwire.reports.values import number, percent

_SPANS = ("missed", "same_session", "after_1", "after_5", "after_10")
_GROUPS = {
    "novelty": "Is it a story told before?",
    "time of day": "When was it known, at the instrument's venue?",
    "first venue": "Which venue's auction came first?",
}
_DROPPED_AT_ZERO = ("not read by this model", "without a date, in no run")


def quality_view(quality: SignalQuality) -> dict[str, Any]:
    """Return what the template of the section shows besides the charts."""
    return {
        "sentence": _sentence(quality.ic),
        "groups": [(title, _reactions(quality.reactions, kind)) for kind, title in _GROUPS.items()],
        "few": _few(quality.reactions),
        "coverage": [
            (step, int(headlines), float(share))
            for step, headlines, share in quality.coverage.itertuples(index=False)
            if headlines or step not in _DROPPED_AT_ZERO
        ],
        "venues": quality.venues.to_dict("records"),
        "method": quality.method,
        "fill": quality.fill,
    }


def _sentence(ic: pd.DataFrame) -> str:
    """Return how the signal ranks the abnormal returns that follow, and how many horizons show anything."""
    known = ic[(ic["returns"] == "abnormal") & ic["low"].notna()]
    if known.empty:
        return "There are too few dates with signals and prices to say."
    clear = int(((known["low"] > 0) | (known["high"] < 0)).sum())
    first = known[known["horizon"] >= 1].head(1) if (known["horizon"] >= 1).any() else known.head(1)
    ((sessions, value, low, high),) = first[["horizon", "ic", "low", "high"]].itertuples(index=False)
    over = counted(int(sessions), "session") if sessions else "the same session"
    said = (
        f"Signal and abnormal return over {over} have a rank correlation of {number(value, 3)} "
        f"(95% band {number(low, 3)} to {number(high, 3)})."
    )
    if not clear:
        return (
            f"{said} At none of {len(known)} horizons is the band clear of zero: no sign that they foretell anything."
        )
    return (
        f"{said} At {clear} of {len(known)} horizons the band is clear of zero; by luck alone one in twenty would be."
    )


def _reactions(table: pd.DataFrame, kind: str) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """Return name, events and the mean of each span with its band, of the groups that have any."""
    found = []
    for row in table[table["kind"] == kind].to_dict("records"):
        cells = [(percent(row[span], digits=2), _band(row[f"{span}_low"], row[f"{span}_high"])) for span in _SPANS]
        if any(math.isfinite(row[span]) for span in _SPANS):
            found.append((str(row["name"]), int(row["used"]), cells))
    return found


def _band(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}" if math.isfinite(low) else ""


def _few(table: pd.DataFrame) -> int:
    """Return how many of the groups shown in tables are left out."""
    shown = table[table["kind"].isin(list(_GROUPS))]
    return int(shown[list(_SPANS)].isna().all(axis=1).sum())
