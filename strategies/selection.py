"""Steps that several strategies share: from signals to issuers, from issuers to listings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from chipwire.strategies.base import Parameter, View

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 12
"""Strengths are rounded to so many decimals, so that the order in which they are added up decides nothing."""

ALL_THEMES = ("ai_models", "localization", "sanctions", "none")


def themes_parameter(default: tuple[str, ...]) -> Parameter:
    """Return the parameter ``themes`` with a strategy's own default."""
    what = "themes whose signals count ('none': news outside the three)"
    return Parameter("themes", str, ",".join(default), what, choices=ALL_THEMES)


HALF_LIFE = Parameter("half_life", float, 0.0, "0: each theme's own", 0.0, 365.0, "days")
LOOKBACK = Parameter("lookback", float, 30.0, "older signals are not looked at", 0.5, 365.0, "days")
GROSS = Parameter("gross", float, 1.0, "sum of |weights| when all places are taken", 0.0, 4.0, "of equity")
SHORT = Parameter("short", bool, False, "sell short on negative news where the venue allows it")


def listings_of(view: View) -> dict[str, list[str]]:
    """Return the run's instruments by issuer; funds are left out."""
    found: dict[str, list[str]] = {}
    for instrument in view.universe:
        issuer = view.issuer(instrument)
        if issuer is not None:
            found.setdefault(issuer, []).append(instrument)
    return found


def strength_by_issuer(signals: pd.DataFrame, issuers: Iterable[str]) -> dict[str, float]:
    """Return each issuer's summed signal strength, for those of `issuers` that have any."""
    sums = signals.groupby("issuer", sort=True)["strength"].sum()
    wanted = set(issuers)
    return {str(issuer): round(float(value), DIGITS) for issuer, value in sums.items() if issuer in wanted}


def fresh_news(
    view: View, since: datetime, themes: Sequence[str], threshold: float, min_novelty: float
) -> dict[str, float]:
    """Return +1 or -1 for each issuer with novel, clear news since an instant, the strongest first, ties by name.

    A headline counts once for an issuer, with value x relevance, if that is at least the threshold and novel enough.
    """
    days = (view.now - since).total_seconds() / 86_400
    if days <= 0:
        return {}
    signals = view.signals(themes=themes, lookback_days=min(days, 365.0))
    fresh = signals[(signals["available_at"] > since) & (signals["novelty"] >= min_novelty)]
    clear = fresh.assign(size=fresh["value"] * fresh["relevance"])
    clear = clear[clear["size"].abs() >= threshold].drop_duplicates(["headline_id", "issuer"])
    sums = clear.groupby("issuer", sort=True)["size"].sum()
    rounded = {str(issuer): round(float(size), DIGITS) for issuer, size in sums.items()}
    ranked = sorted(rounded.items(), key=lambda item: (-abs(item[1]), item[0]))
    # As much good news as bad says nothing.
    return {issuer: 1.0 if size > 0 else -1.0 for issuer, size in ranked if size != 0}


def strongest(strengths: dict[str, float], count: int, threshold: float, *, short: bool) -> dict[str, float]:
    """Return at most `count` issuers beyond the threshold with +1 or -1; ties go by name."""
    ranked = sorted(strengths.items(), key=lambda item: (-(abs(item[1]) if short else item[1]), item[0]))
    chosen = [(issuer, value) for issuer, value in ranked if abs(value) >= threshold and (short or value > 0)]
    return {issuer: 1.0 if value > 0 else -1.0 for issuer, value in chosen[:count] if value != 0}


def split_over_listings(
    places: dict[str, float], weight: float, listings: dict[str, list[str]], instruments: Sequence[str]
) -> dict[str, float]:
    """Return weights for `instruments`: an issuer's weight is shared by its listings, others get 0."""
    weights = dict.fromkeys(instruments, 0.0)
    for issuer, sign in places.items():
        for instrument in listings[issuer]:
            if instrument in weights:
                weights[instrument] = sign * weight / len(listings[issuer])
    return weights
