"""The strategies by name; each is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from chipwire.data.errors import BadPlugin, UnknownName
from chipwire.strategies.base import Strategy

_BUILT_IN = {
    "buy-and-hold": "chipwire.strategies.benchmarks:BuyAndHold",
    "dual-listing": "chipwire.strategies.dual_listing:DualListing",
    "equal-weight": "chipwire.strategies.benchmarks:EqualWeight",
    "event-drift": "chipwire.strategies.event_drift:EventDrift",
    "fade-mania": "chipwire.strategies.fade_mania:FadeMania",
    "random": "chipwire.strategies.placebo:RandomPlacebo",
    "sanctions-pair": "chipwire.strategies.sanctions_pair:SanctionsPair",
    "targets-file": "chipwire.strategies.targets_file:TargetsFile",
    "theme-momentum": "chipwire.strategies.theme_momentum:ThemeMomentum",
}


def strategy_names() -> list[str]:
    """Return the names of the strategies that ship with chipwire, sorted."""
    return sorted(_BUILT_IN)


def strategy_class(reference: str) -> type[Strategy]:
    """Return the class of a strategy: one that ships with chipwire, a plugin by its name, or ``file.py:Class``.

    Only what is asked for is imported.

    Raises
    ------
    UnknownName
        With the nearest known name.
    BadPlugin
        It is a plugin that cannot be used.
    """
    from chipwire.strategies import plugins

    if reference in _BUILT_IN:
        module, _, attribute = _BUILT_IN[reference].partition(":")
        found: type[Strategy] = getattr(import_module(module), attribute)
        return found
    if reference.endswith(".py") or ".py:" in reference:
        return plugins.load_file(reference, _BUILT_IN)
    offered = plugins.offers()
    if reference not in offered:
        raise UnknownName("strategy", reference, [*_BUILT_IN, *offered], "see 'chipwire strategies list'")
    return plugins.load_offered(reference, offered[reference], _BUILT_IN)


def make_strategy(reference: str, values: Mapping[str, Any]) -> Strategy:
    """Return a new strategy; `reference` as for `strategy_class`, `values` its parameters as text or values.

    Raises
    ------
    UnknownName, BadParameter
        There is no such strategy or parameter, or a value is not allowed.
    BadPlugin
        It is a plugin that cannot be used, or that cannot be made.
    """
    from chipwire.strategies.plugins import isolated

    kind = strategy_class(reference)
    if not kind.source:
        return kind(**values)
    with isolated(reference, kind.source, "making it"):
        made = kind(**values)
        # Made in full: `values` is what the engine stores.
        vars(made)["values"] = dict(made.values)
    return made


def all_strategies() -> tuple[dict[str, type[Strategy]], list[BadPlugin]]:
    """Return every strategy that can be used, by name, and the plugins that cannot."""
    from chipwire.strategies import plugins

    usable, broken = plugins.load_all(_BUILT_IN)
    shipped = {name: strategy_class(name) for name in _BUILT_IN}
    return dict(sorted({**usable, **shipped}.items())), broken
