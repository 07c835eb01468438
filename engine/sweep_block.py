"""A block of configurations on the columnar engine: targets, one run of the ledger, figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine.columnar import Plan, TargetSource, Weights, make_plan, run_columnar
from chipwire.engine.columnar_records import Recorder
from chipwire.engine.market import Market
from chipwire.engine.panels import DuckPanels, News
from chipwire.engine.settings import Settings
from chipwire.engine.setwise import ask_setwise
from chipwire.engine.sweep_store import Trial
from chipwire.engine.sweep_tally import Tally
from chipwire.engine.sweep_task import Loaded, OnEquity, make, params_key
from chipwire.engine.targets import DecideTargets, PanelTargets, arrange
from chipwire.strategies.base import Strategy

BLOCK_BYTES = 256 << 20
"""What the targets and curves of a block may take."""
MOST_SETWISE, MOST_ASKED = 1_000, 32
"""Configurations in a block: larger ones gain no speed; those asked one by one take long, and a block is lost whole."""


class BookNeeded(Exception):
    """A strategy has to be asked decision by decision, and only coded signals are at hand."""


class ColumnarLedger:
    """Runs blocks; what they share is worked out once for each market.

    Parameters
    ----------
    on_equity : callable, optional
        Told the trials of each block that is done, the days, and their equity (days, configurations).
    """

    def __init__(self, on_equity: OnEquity | None = None) -> None:
        self._on_equity = on_equity
        self._fees, self._rules = load_fees(), load_market_rules()
        self._plan: tuple[Market, Plan] | None = None
        self._panels: tuple[Loaded, DuckPanels] | None = None

    def room(self, strategy: type[Strategy], loaded: Loaded) -> int:
        """Return how many configurations a block may have."""
        if not has_setwise(strategy):
            return MOST_ASKED
        venues = loaded.market.venues
        decisions = sum((len(v.session) - v.first) * len(v.instruments) for v in venues)
        days = sum(len(v.session) - v.first for v in venues)
        # Targets twice (as made and as arranged), equity, gross exposure and the copies that measures make.
        return int(min(MOST_SETWISE, max(1, BLOCK_BYTES // (8 * (2 * decisions + 6 * days)))))

    def figures(
        self,
        strategy: type[Strategy],
        loaded: Loaded,
        trials: Sequence[Trial],
        on_progress: Callable[[int, int], None] | None,
    ) -> tuple[Mapping[str, Sequence[float | None]], Sequence[str]]:
        """Run the trials and return figures by name, and warnings.

        Raises
        ------
        BadTarget, DomainError
            A strategy failed, or asked for what cannot be traded; without saying which of several.
        """
        settings = [trial.configuration.settings for trial in trials]
        plan = self.plan(loaded.market, trials)
        targets = self.targets(strategy, loaded, trials)
        tally = Tally(plan, settings, self.recorder(plan, settings, targets))
        result = run_columnar(
            loaded.market, settings, targets, self._fees, self._rules, plan=plan, observer=tally,
            on_progress=on_progress,
        )  # fmt: skip
        if self._on_equity is not None:
            self._on_equity(trials, result.days, result.equity)
        warnings = [
            f"{mic}: the fee table does not cover all sessions traded; those paid no fees"
            for mic in sorted(result.uncovered)
        ]
        return {name: values.tolist() for name, values in tally.figures(result.equity).items()}, warnings

    def plan(self, market: Market, trials: Sequence[Trial]) -> Plan:
        """Return the events of a market's run."""
        if self._plan is None or self._plan[0] is not market:
            self._plan = market, make_plan(market, trials[0].configuration.settings, self._fees, self._rules)
        return self._plan[1]

    def targets(self, strategy: type[Strategy], loaded: Loaded, trials: Sequence[Trial]) -> TargetSource:
        """Return where the weights of these trials come from, a configuration for each.

        Raises
        ------
        DomainError
            See `ask_setwise`.
        """
        found = self._setwise(strategy, loaded, trials) if has_setwise(strategy) else None
        if found is not None:
            return PanelTargets(loaded.market, found, strategy.name)
        if isinstance(loaded.book, News):
            raise BookNeeded
        settings = [trial.configuration.settings for trial in trials]
        made = [make(strategy, trial.configuration.params) for trial in trials]
        return DecideTargets(loaded.market, made, settings, loaded.book, loaded.issuers)

    @staticmethod
    def recorder(plan: Plan, settings: Sequence[Settings], targets: TargetSource) -> Recorder | None:
        """Return what keeps the trades, for a source that wants to hear of them."""
        return Recorder(plan, settings, targets) if targets.needs_fills else None

    def _setwise(self, strategy: type[Strategy], loaded: Loaded, trials: Sequence[Trial]) -> dict[str, Weights] | None:
        """Return weights by venue, those of equal parameters computed once; None where the strategy has no such form.

        Raises
        ------
        DomainError
            See `ask_setwise`.
        """
        if self._panels is None or self._panels[0] is not loaded:
            self._panels = loaded, DuckPanels(loaded.market, loaded.book, loaded.issuers)
        keys = [params_key(trial.values) for trial in trials]
        distinct = {key: trial.values for key, trial in zip(keys, trials, strict=True)}
        self._panels[1].expect(distinct.values())
        found = ask_setwise(strategy, self._panels[1], list(distinct.values()))
        if found is None:
            return None
        places = {key: place for place, key in enumerate(distinct)}
        order = np.array([places[key] for key in keys])
        return {mic: arrange(weights[order]) for mic, weights in found.items()}


def has_setwise(strategy: type[Strategy]) -> bool:
    """Say whether a strategy has a set-wise form of its own."""
    own: Any = strategy.targets_setwise
    return own.__func__ is not Strategy.targets_setwise.__func__  # type: ignore[attr-defined]
