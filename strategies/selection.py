"""Steps that several strategies share: from signals to issuers, from issuers to listings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chipwire.strategies.base import Parameter, View

if TYPE_CHECKING:
    import pandas as pd

ALL_THEMES = ("ai_models", "localization", "sanctions", "none")


def themes_parameter(default: tuple[str, ...]) -> Parameter:
    """Return the parameter ``themes`` with a strategy's own default."""
    what = "themes whose signals count ('none': news outside the three)"
    return Parameter("themes", str, ",".join(default), what, choices=ALL_THEMES)


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
    return {str(issuer): float(value) for issuer, value in sums.items() if issuer in wanted}


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
