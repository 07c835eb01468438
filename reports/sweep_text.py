"""What is said of a sweep's luck, in words: the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chipwire.data.errors import counted
from chipwire.reports.values import number, percent

if TYPE_CHECKING:
    from chipwire.data.warehouse import Warehouse


def tried_so_far(warehouse: Warehouse, strategy: str) -> str:
    """Return how many configurations were ever tried, of a strategy and of all."""
    from chipwire.engine.sweep_store import count_trials

    own, every = count_trials(warehouse, strategy), count_trials(warehouse)
    others = f", {every:,} of all strategies" if every > own else ""
    verb = "was" if own == 1 else "were"
    return (
        f"{counted(own, 'configuration')} of {strategy} {verb} tried so far in this warehouse{others}: the best of "
        "many looks better than it is"
    )


def luck_sentences(luck: Mapping[str, Any]) -> list[str]:
    """Return what to say of `chipwire.engine.validation.sweep_luck.luck_now`: the bar, and overfitting."""
    best = f"the best by Sharpe ratio (row {luck['row']}) has {two(luck['sharpe'])}"
    if luck["trials"] == 1:
        bar = f"{best}, and is the only configuration tried in this warehouse"
    else:
        shown = two(luck["expected_maximum_sharpe"])
        bar = (
            f"{best}, and the best of the {luck['trials']:,} tried in this warehouse would show {shown} without an edge"
        )
    if luck["deflated_sharpe"] is None:
        bar += "; its deflated Sharpe ratio is not computed"
    else:
        bar += f": deflated Sharpe ratio {chance(luck['deflated_sharpe'])}"
    if over := luck["overfitting"]:
        overfitted = (
            f"probability of backtest overfitting {chance(over['probability'])} in {over['combinations']:,} ways "
            f"to take half of the days; the one chosen lost on the other half in {chance(over['loss'])}"
        )
        return [bar, overfitted]
    return [bar, f"probability of backtest overfitting not computed: {luck['without']}"] if luck["without"] else [bar]


def two(value: float | None) -> str:
    """Return a ratio with two digits."""
    return number(float("nan") if value is None else value)


def chance(value: float | None) -> str:
    """Return a probability in whole per cent."""
    return percent(float("nan") if value is None else value, signed=False, digits=0)
