"""Fragility: the same decisions later, dearer, at the other auction, with parameters next door, and without a part.

A result that needs one issuer, one year, one trade, one parameter or the very next auction is told apart from one that
does not. Every variant runs under all rules; what is changed is named, all else stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipwire.data.errors import BadTarget, ChipwireError, DomainError
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine import measures
from chipwire.engine.columnar import make_plan, run_columnar
from chipwire.engine.market import Floats
from chipwire.engine.panels import DuckPanels
from chipwire.engine.records import Fill, Ledger
from chipwire.engine.settings import Settings
from chipwire.engine.setwise import ask_setwise
from chipwire.engine.sweep_block import has_setwise
from chipwire.engine.sweep_task import Loaded, make
from chipwire.engine.targets import DecideTargets, PanelTargets, arrange
from chipwire.strategies.base import Parameter, Strategy

LATENCIES = (1, 2, 3, 4, 5)
"""Sessions of each venue by which all decisions are carried out later."""
COSTS = (0.0, 0.5, 2.0, 3.0, 4.0)
"""Multiples of fees, borrow, slippage and impact."""
STEP = 1.25
"""A parameter next door is this much larger or smaller; whole numbers move by at least one."""


@dataclass(frozen=True)
class Variant:
    """One change and what became of the result.

    Attributes
    ----------
    change : str
        ``latency``, ``costs``, ``fill``, ``parameter``, ``issuer``, ``year`` or ``trade``.
    label : str
        What exactly, e.g. ``+2 sessions``.
    total_return, sharpe : float
        Of the changed run; fractions. Without the best trade there is no curve, and the ratio is NaN.
    """

    change: str
    label: str
    total_return: float
    sharpe: float


@dataclass(frozen=True)
class Fragility:
    """A result and its variants.

    Attributes
    ----------
    base : Variant
        The result itself; its change is ``none``.
    variants : tuple of Variant
        In the order of the changes above.
    """

    base: Variant
    variants: tuple[Variant, ...]

    def worst(self, change: str) -> Variant | None:
        """Return the variant of a kind with the least total return."""
        own = [one for one in self.variants if one.change == change and math.isfinite(one.total_return)]
        return min(own, key=lambda one: one.total_return, default=None)


Weights = Mapping[str, Floats]


def fragility(
    strategy: type[Strategy],
    values: Mapping[str, Any],
    settings: Settings,
    loaded: Loaded,
    other_fill: Callable[[Settings], Loaded],
    on_progress: Callable[[int, int], None] | None = None,
) -> Fragility:
    """Run all variants of a configuration on the columnar engine.

    Parameters
    ----------
    values : mapping
        Every parameter, parsed.
    loaded : Loaded
        Market and signals of `settings`.
    other_fill : callable
        Reads the same with other settings: for the other auction its decisions come at another time.

    Raises
    ------
    BadTarget, DomainError
        The strategy fails under a change that is asked of it.
    """
    neighbours = [one for one in _neighbours(strategy, values) if _makes(strategy, one[1])]
    steps = iter(range(1, len(neighbours) + 4))

    def advance() -> None:
        if on_progress:
            on_progress(next(steps), len(neighbours) + 3)

    weights = weights_of(strategy, values, settings, loaded)
    base = _ledger(weights, settings, loaded)
    advance()
    found = _replayed(settings, loaded, weights)
    advance()
    fill = "close" if settings.fill == "open" else "open"
    if settings.interval == "1d":
        changed = replace(settings, fill=fill)
        other = other_fill(changed)
        later = _ledger(weights_of(strategy, values, changed, other), changed, other)
        found.append(_variant("fill", f"at the {fill}", _curve(later, settings)))
    advance()
    for label, near in neighbours:
        try:
            ledger = _ledger(weights_of(strategy, near, settings, loaded), settings, loaded)
            found.append(_variant("parameter", label, _curve(ledger, settings)))
        except (BadTarget, DomainError):  # weights beyond the leverage, mostly; the step stands, without figures
            found.append(Variant("parameter", f"{label} (cannot be traded)", math.nan, math.nan))
        advance()
    curve = _curve(base, settings)
    found += _years(base, curve)
    found += _best_trade(base, curve, settings)
    order = ("latency", "costs", "fill", "parameter", "issuer", "year", "trade")
    found.sort(key=lambda one: order.index(one.change))
    return Fragility(_variant("none", "as it is", curve), tuple(found))


def weights_of(
    strategy: type[Strategy], values: Mapping[str, Any], settings: Settings, loaded: Loaded
) -> dict[str, Floats]:
    """Return what a configuration asks for: by MIC an array (1, decisions, instruments), NaN where nothing."""
    if has_setwise(strategy):
        found = ask_setwise(strategy, DuckPanels(loaded.market, loaded.book, loaded.issuers), [values])
        if found is not None:
            return found
    facts = load_fees(), load_market_rules()
    targets = DecideTargets(loaded.market, [make(strategy, values)], settings, loaded.signals, loaded.issuers)
    ledger = run_columnar(loaded.market, settings, targets, *facts, keep="ledger").ledgers[0]
    weights = {}
    for venue in loaded.market.venues:
        decide_at = venue.decide_at[venue.first :]
        column = {instrument.symbol: place for place, instrument in enumerate(venue.instruments)}
        array = np.full((1, len(decide_at), len(column)), np.nan)
        own = [target for target in ledger.targets if target.instrument in column]
        at = np.array([target.decision_at.replace(tzinfo=None) for target in own], dtype="datetime64[us]")
        rows = np.searchsorted(decide_at, at)
        array[0, rows, [column[target.instrument] for target in own]] = [target.weight for target in own]
        weights[venue.mic] = array
    return weights


def _ledger(weights: Weights, settings: Settings, loaded: Loaded) -> Ledger:
    """Carry out weights and return all that happened."""
    source = PanelTargets(loaded.market, weights, "fragility")
    return run_columnar(
        loaded.market, settings, source, load_fees(), load_market_rules(), keep="ledger"
    ).ledgers[0]  # fmt: skip


def _replayed(settings: Settings, loaded: Loaded, weights: Weights) -> list[Variant]:
    """Carry out the same decisions later, at other costs, and without one issuer: all side by side."""
    lanes: list[tuple[str, str, dict[str, Floats], Settings]] = []
    for sessions in LATENCIES:
        label = f"{sessions} session{'s' if sessions > 1 else ''} later"
        lanes.append(("latency", label, {mic: _later(array, sessions) for mic, array in weights.items()}, settings))
    for times in COSTS:
        dearer = replace(
            settings, fee_multiple=settings.fee_multiple * times, slippage_bps=min(settings.slippage_bps * times, 1e3),
            impact=min(settings.impact * times, 10.0),
        )  # fmt: skip
        lanes.append(("costs", f"costs x {times:g}", dict(weights), dearer))
    for issuer in sorted({name for name in loaded.issuers.values() if name is not None}):
        without = {
            venue.mic: _without(weights[venue.mic], [loaded.issuers[i.symbol] == issuer for i in venue.instruments])
            for venue in loaded.market.venues
        }
        # Left out is an issuer that the strategy traded at all.
        if any(np.nansum(np.abs(weights[mic])) != np.nansum(np.abs(without[mic])) for mic in weights):
            lanes.append(("issuer", f"without {issuer}", without, settings))
    joined = {mic: arrange(np.concatenate([lane[2][mic] for lane in lanes])) for mic in weights}
    facts = load_fees(), load_market_rules()
    plan = make_plan(loaded.market, settings, *facts)
    source = PanelTargets(loaded.market, joined, "fragility")
    result = run_columnar(loaded.market, [lane[3] for lane in lanes], source, *facts, plan=plan)
    return [
        _variant(change, label, np.concatenate([[settings.capital], result.equity[:, number]]))
        for number, (change, label, _, _) in enumerate(lanes)
    ]


def _later(weights: Floats, sessions: int) -> Floats:
    moved = np.full_like(weights, np.nan)
    moved[:, sessions:] = weights[:, :-sessions]
    return moved


def _without(weights: Floats, columns: Sequence[bool]) -> Floats:
    changed = weights.copy()
    changed[:, :, np.array(columns, dtype=bool)] = np.nan
    return changed


# --- parameters next door --------------------------------------------------------------------------------


def _neighbours(strategy: type[Strategy], values: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return label and parameters with one of them a step away; draws of chance and words stay."""
    found = []
    for declared in strategy.parameters:
        for value in _steps(declared, values[declared.name]):
            found.append((f"{declared.name} = {value:g}", {**values, declared.name: value}))
    return found


def _steps(declared: Parameter, value: Any) -> list[Any]:
    if declared.kind is int and declared.name != "seed":
        near = [min(math.floor(value / STEP), value - 1), max(math.ceil(value * STEP), value + 1)]
    elif declared.kind is float and value:
        near = [float(f"{value / STEP:.4g}"), float(f"{value * STEP:.4g}")]
    else:
        return []
    low = -math.inf if declared.low is None else declared.low
    high = math.inf if declared.high is None else declared.high
    return [one for one in near if low <= one <= high and one != value]


def _makes(strategy: type[Strategy], values: Mapping[str, Any]) -> bool:
    """Say whether a strategy takes these parameters: they may contradict one another."""
    try:
        make(strategy, values)
    except ChipwireError:
        return False
    return True


# --- without a part of the past --------------------------------------------------------------------------


def _years(ledger: Ledger, curve: Floats) -> list[Variant]:
    """Leave out each calendar year's daily returns; nothing where there is only one year."""
    years = np.array([row.day.year for row in ledger.equity])
    if len(np.unique(years)) < 2:
        return []
    growth = curve[1:] / curve[:-1]
    return [
        _variant("year", f"without {year}", np.concatenate([[1.0], np.cumprod(growth[years != year])]))
        for year in np.unique(years).tolist()
    ]


def _best_trade(ledger: Ledger, curve: Floats, settings: Settings) -> list[Variant]:
    """Leave out the largest gain of a fill that closed something, in base currency."""
    best: Fill | None = max(ledger.fills, key=lambda fill: fill.realized, default=None)
    if best is None or best.realized <= 0:
        return []
    left = float(curve[-1] - best.realized) / settings.capital - 1
    label = f"without the gain of {best.realized:,.0f} on {best.instrument} of {best.session}"
    return [Variant("trade", label, left, math.nan)]


def _curve(ledger: Ledger, settings: Settings) -> Floats:
    return np.array([settings.capital, *(row.equity for row in ledger.equity)])


def _variant(change: str, label: str, curve: Floats) -> Variant:
    sharpe = measures.sharpe_ratio(measures.daily_returns(curve))
    return Variant(change, label, float(measures.total_return(curve)), float(sharpe))
