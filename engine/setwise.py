"""Ask a strategy for its targets set-wise, keep it to a time, and check what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chipwire.data.errors import DomainError
from chipwire.strategies.base import Strategy
from chipwire.strategies.limits import FAULTS, TooSlowError, reason, time_limit

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, Weights

LIMIT_S = 600.0
"""The targets of a block have to be there by then."""


def ask_setwise(
    strategy: type[Strategy],
    panels: Panels,
    configurations: Sequence[Mapping[str, Any]],
    *,
    limit_s: float = LIMIT_S,
) -> dict[str, Weights] | None:
    """Return a strategy's weights by venue, or None where it has no set-wise form.

    Parameters
    ----------
    configurations : sequence of mappings
        For each every declared parameter, parsed.
    limit_s : float
        Seconds until the answer has to be there.

    Returns
    -------
    dict or None
        By MIC of every venue an array of float64, shape (configurations, decisions, instruments); NaN: no order.

    Raises
    ------
    DomainError
        The form raises, takes longer, or gives something else than one such array for each venue; finite or not and
        above the leverage or not is for the ledger to check, which knows the decision.
    """
    what = f"strategy '{strategy.name}' in targets_setwise"
    try:
        with time_limit(limit_s):
            found: Any = strategy.targets_setwise(panels, configurations)
            if found is None:
                return None
            if isinstance(found, Mapping):
                found = {mic: found[mic] for mic in found}
    except TooSlowError as error:
        raise DomainError(f"{what}: no answer within {limit_s:g} s") from error
    except FAULTS as error:
        raise DomainError(f"{what}: {reason(error)}") from error
    if not isinstance(found, dict):
        raise DomainError(f"{what}: it returned {type(found).__name__}; allowed: a mapping from MIC to array, or None")
    venues = [venue.mic for venue in panels.venues]
    if unknown := [mic for mic in found if mic not in venues]:
        raise DomainError(f"{what}: '{unknown[0]}' is no venue of the run; these are: {', '.join(venues)}")
    weights: dict[str, Weights] = {}
    for venue in panels.venues:
        shape = len(configurations), len(venue.decide_at), len(venue.instruments)
        weights[venue.mic] = _array(what, venue.mic, found.get(venue.mic), shape)
    return weights


def _array(what: str, mic: str, given: Any, shape: tuple[int, ...]) -> Weights:
    if not isinstance(given, np.ndarray) or given.shape != shape:
        got = (
            "nothing" if given is None else f"shape {given.shape}" if hasattr(given, "shape") else type(given).__name__
        )
        raise DomainError(f"{what}: it gives {got} for {mic}; it must give an array of shape {shape}")
    if given.dtype.kind not in "fiu":
        raise DomainError(f"{what}: its array for {mic} holds {given.dtype}; it must hold numbers")
    return given.astype(np.float64, copy=False)
