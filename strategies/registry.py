"""The strategies by name; each is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module

from chipwire.data.errors import UnknownName
from chipwire.strategies.base import Strategy

_BUILT_IN = {
    "buy-and-hold": "chipwire.strategies.benchmarks:BuyAndHold",
    "equal-weight": "chipwire.strategies.benchmarks:EqualWeight",
    "event-drift": "chipwire.strategies.event_drift:EventDrift",
    "targets-file": "chipwire.strategies.targets_file:TargetsFile",
    "theme-momentum": "chipwire.strategies.theme_momentum:ThemeMomentum",
}


def strategy_names() -> list[str]:
    """Return the names of all strategies, sorted."""
    return sorted(_BUILT_IN)


def strategy_class(name: str) -> type[Strategy]:
    """Return the class of a strategy.

    Raises
    ------
    UnknownName
        With the nearest known name.
    """
    if name not in _BUILT_IN:
        raise UnknownName("strategy", name, _BUILT_IN, "see 'chipwire strategies list'")
    module, _, attribute = _BUILT_IN[name].partition(":")
    found: type[Strategy] = getattr(import_module(module), attribute)
    return found
