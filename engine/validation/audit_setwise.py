"""Whether a strategy's set-wise form gives what `decide` gives: then what is proven of one is proven of both."""

from __future__ import annotations

import numpy as np

from chipwire.data.errors import DomainError, counted
from chipwire.engine.account import utc
from chipwire.engine.panels import DuckPanels
from chipwire.engine.setwise import ask_setwise
from chipwire.engine.validation.audit_trace import Key, RunData, Trace, differences
from chipwire.strategies.base import Strategy

Rows = list[tuple[str, str, str]]


def compare_setwise(strategy: Strategy, data: RunData, base: Trace) -> tuple[Rows, list[tuple[str, str]]]:
    """Return a check as (name, result, detail), and what is wrong as (check, detail)."""
    try:
        asked = setwise_targets(strategy, data)
    except DomainError as error:
        return [("set-wise", "leak", str(error))], [("set-wise", str(error))]
    if asked is None:
        return [("set-wise", "none", "the strategy has no set-wise form")], []
    found = differences(Trace(base.targets, {}), Trace(asked, {}))
    if found:
        first = found[0]
        words = " and ".join("no order" if value is None else f"{value:g}" for value in (first.before, first.after))
        detail = f"decide and targets_setwise differ: {words} for {first.instrument} at the decision of "
        detail += f"{first.at:%Y-%m-%d %H:%M} UTC"
        return [("set-wise", "leak", detail)], [("set-wise", detail)]
    return [("set-wise", "ok", f"targets_setwise gives the same {counted(len(asked), 'target')} as decide")], []


def setwise_targets(strategy: Strategy, data: RunData) -> dict[Key, float] | None:
    """Return the targets of the set-wise form; None where there is none.

    Raises
    ------
    DomainError
        See `ask_setwise`.
    """
    panels = DuckPanels(data.market, data.book, data.issuers)
    found = ask_setwise(type(strategy), panels, [strategy.values])
    if found is None:
        return None
    asked: dict[Key, float] = {}
    for venue in panels.venues:
        weights = found[venue.mic][0]
        for row, column in zip(*np.nonzero(~np.isnan(weights)), strict=True):
            asked[utc(venue.decide_at[row]), venue.instruments[column]] = float(weights[row, column])
    return asked
