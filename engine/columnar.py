"""The columnar engine: one or thousands of configurations at once, through the same auctions as event by event.

Targets come in as arrays, equity at the end of each UTC day goes out, and on request everything that happened.
The ledger steps in blocks of configurations, which bounds its memory; what a configuration gets does not depend on
the others of its block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter
from chipwire.data.fees import FeeTable
from chipwire.data.market_rules import MarketRules
from chipwire.engine.columnar_ledger import BlockLedger
from chipwire.engine.columnar_plan import Plan, make_plan
from chipwire.engine.columnar_ports import LedgerState, Observer, TargetSource, Terms, Weights
from chipwire.engine.columnar_records import Recorder
from chipwire.engine.market import Floats, Market
from chipwire.engine.records import Ledger
from chipwire.engine.settings import Settings

__all__ = ["BlockResult", "LedgerState", "Plan", "TargetSource", "Weights", "make_plan", "run_columnar"]

Keep = Literal["metrics", "equity", "ledger"]
_COMMON = ("start", "end", "currency", "fill", "instruments", "interval")


@dataclass(frozen=True)
class BlockResult:
    """What the configurations of a block came to.

    Attributes
    ----------
    days : tuple of date
        UTC days with an auction.
    equity : ndarray, shape (days, configurations)
        After the last auction of each day, base currency.
    ledgers : tuple of Ledger
        Of each configuration with ``keep="ledger"``, else empty.
    uncovered : frozenset of str
        Venues that traded on a day that the fee table does not cover.
    """

    days: tuple[date, ...]
    equity: NDArray[np.float64]
    ledgers: tuple[Ledger, ...] = ()
    uncovered: frozenset[str] = frozenset()


def run_columnar(
    market: Market,
    settings: Sequence[Settings] | Settings,
    targets: TargetSource,
    fee_table: FeeTable,
    market_rules: MarketRules,
    *,
    keep: Keep = "metrics",
    plan: Plan | None = None,
    observer: Observer | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BlockResult:
    """Run all configurations of a target source side by side.

    Parameters
    ----------
    market : Market
    settings : Settings or sequence of Settings
        One for all, or one for each configuration; these may differ in capital, costs, participation, leverage
        and band only.
    targets : TargetSource
    fee_table, market_rules
        Dated facts.
    keep : str
        ``metrics`` and ``equity``: the equity of each day; ``ledger``: also each configuration's fills, orders not
        filled, positions and targets, the same rows as the event engine writes.
    plan : Plan, optional
        From `make_plan` with the same arguments, to share it between blocks.
    observer : Observer, optional
        Told everything, instead of what keeps full ledgers; for a source that needs fills it has to keep them.
    observer : Observer, optional
        Told everything that happens; in place of the one that ``keep="ledger"`` makes.
    on_progress : callable, optional
        Called with the number of events done and of all.

    Raises
    ------
    BadParameter
        Settings of one block differ in what they must share, or their number is not that of the configurations.
    BadTarget
        A weight is infinite, or the weights of a decision sum to more than the leverage.
    """
    each = _settings_of(settings, targets.configurations)
    plan = plan or make_plan(market, each[0], fee_table, market_rules)
    recorder = Recorder(plan, each, targets) if keep == "ledger" or targets.needs_fills else None
    ledger = BlockLedger(plan, Terms.of(each), targets.configurations, observer or recorder)
    equity: Floats = np.empty((len(plan.days), targets.configurations))
    ledger.run(targets, equity, on_progress)
    ledgers = recorder.ledgers() if recorder is not None and keep == "ledger" else ()
    return BlockResult(plan.days, equity, ledgers, frozenset(ledger.uncovered))


def _settings_of(settings: Sequence[Settings] | Settings, configurations: int) -> list[Settings]:
    if isinstance(settings, Settings):
        return [settings] * configurations
    if len(settings) != configurations:
        raise BadParameter("settings", len(settings), f"one, or one for each of {configurations} configurations")
    for name in _COMMON:
        for other in settings:
            if getattr(other, name) != getattr(settings[0], name):
                raise BadParameter(name, getattr(other, name), f"{getattr(settings[0], name)} for all of a block")
    return list(settings)
