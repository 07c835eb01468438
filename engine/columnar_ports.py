"""What the array ledger is given and whom it tells: targets, terms, observers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadTarget
from chipwire.data.universe import Instrument
from chipwire.engine import rules
from chipwire.engine.account import utc
from chipwire.engine.auction import AuctionTerms
from chipwire.engine.columnar_plan import Event
from chipwire.engine.market import Floats
from chipwire.engine.records import Fill
from chipwire.engine.rules import Codes
from chipwire.engine.settings import Settings
from chipwire.engine.timeline import Step
from chipwire.engine.view import Cause

Weights = NDArray[np.float64]


class TargetSource(Protocol):
    """Where the weights of all configurations come from.

    Attributes
    ----------
    name : str
        Of the strategy, for messages.
    configurations : int
    needs_fills : bool
        Whether `LedgerState.fills` is asked; keeping them takes time.
    tells_causes : bool
        Whether `causes` may return any; asking for those of every order takes time.
    """

    name: str
    configurations: int
    needs_fills: bool
    tells_causes: bool

    def causes(self, configuration: int, instrument: str) -> Sequence[Cause]:
        """Return what the last decision read about an instrument, strongest first; asked for full ledgers only."""
        ...

    def at(self, step: Step, moment: np.datetime64, state: LedgerState) -> Weights | None:
        """Return weights (configurations, the venue's instruments) at a decision.

        NaN: no order for this instrument, 0: exit. None: no order at all, which costs nothing. Quickest where the
        configurations lie side by side in memory, i.e. where the transpose is C-contiguous.
        """
        ...


class LedgerState(Protocol):
    """What a source may know of the accounts at a decision."""

    def shares(self, venue: int) -> Floats:
        """Return what is held at a venue, (configurations, instruments), a view that cannot be written."""
        ...

    def equity(self) -> Floats:
        """Return the equity of each configuration at this decision, base currency."""
        ...

    def prices(self, venue: int) -> Floats:
        """Return a venue's last known prices, local currency; NaN where there is none yet."""
        ...

    def fills(self, configuration: int) -> Sequence[Fill]:
        """Return all trades of a configuration so far; empty unless the source said that it needs them."""
        ...


@dataclass(frozen=True)
class Decision:
    """What became of the weights of one decision, arrays (instruments, configurations)."""

    weights: Weights
    wanted: Floats
    order: Floats
    sent: Floats


class Observer(Protocol):
    """Is told everything that happens, to write it down."""

    def fills(self, configuration: int) -> Sequence[Fill]:
        """Return all trades of a configuration so far."""
        ...

    def decided(self, event: Event, decision: Decision, held: Floats) -> None:
        """Take a decision with at least one weight."""
        ...

    def settled(self, event: Event, order: Floats, filled: Floats, reason: Codes, held: Floats) -> None:
        """Take an auction with at least one order, and what was held before it."""
        ...

    def changed(
        self, event: Event, column: int, before: Floats, after: Floats, kind: str, price: float, ratio: float = 1.0
    ) -> None:
        """Take a change of shares without a trade, at the last known price."""
        ...

    def paid(self, kind: str, amount: Floats) -> None:
        """Take what was paid as ``borrow`` or received as ``dividends``, base currency."""
        ...

    def day_ended(self, event: Event, cash: Floats, shares: Floats) -> None:
        """Take the accounts at the end of a UTC day."""
        ...


@dataclass(frozen=True)
class Terms:
    """The settings of a block's configurations, each a number or, where they differ, shape (configurations,)."""

    capital: float | Floats
    band: float | Floats
    slippage_bps: float | Floats
    impact: float | Floats
    participation: float | Floats
    leverage: float | Floats
    fee_multiple: float | Floats

    @classmethod
    def of(cls, settings: Sequence[Settings]) -> Terms:
        """Collect them."""
        return cls(*(_one_or_all([getattr(each, name) for each in settings]) for name in cls.__annotations__))

    def auction(self, lanes: NDArray[np.intp]) -> AuctionTerms:
        """Return the terms of some configurations for `settle`."""

        def column(value: float | Floats) -> float | Floats:
            return value if isinstance(value, float) else value[lanes, None]

        leverage = self.leverage if isinstance(self.leverage, float) else self.leverage[lanes]
        return AuctionTerms(
            column(self.slippage_bps), column(self.impact), column(self.participation), leverage,
            column(self.fee_multiple),
        )  # fmt: skip


def _one_or_all(values: list[float]) -> float | Floats:
    return float(values[0]) if len(set(values)) == 1 else np.array(values, dtype=np.float64)


def check_weights(
    weights: Weights, leverage: float | Floats, instruments: Sequence[Instrument], name: str, moment: np.datetime64
) -> None:
    """Refuse weights that are infinite or sum to more than the leverage.

    Parameters
    ----------
    weights : ndarray, shape (the venue's instruments, configurations)
        NaN counts as 0.
    leverage : float or ndarray, shape (configurations,)
    instruments : sequence of Instrument
        The venue's.
    name : str
        Of the strategy.
    moment : datetime64
        Of the decision, UTC.

    Raises
    ------
    BadTarget
        Names the first such configuration.
    """
    gross = rules.sum_rows(np.nan_to_num(np.abs(weights), nan=0.0, posinf=np.inf))
    over = np.flatnonzero(~(gross <= np.multiply(leverage, 1 + 1e-9)))
    if not len(over):
        return
    lane = int(over[0])
    what = f"configuration {lane + 1}: " if len(gross) > 1 else ""
    if np.isinf(gross[lane]):
        column = int(np.flatnonzero(np.isinf(weights[:, lane]))[0])
        detail = f"{what}weight {weights[column, lane]} of {instruments[column].symbol} is not a finite number"
    else:
        allowed = float(np.broadcast_to(leverage, gross.shape)[lane])
        detail = (
            f"{what}the weights' absolute sum {gross[lane]:.6g} is above the leverage {allowed:g}; "
            "lower them or give --leverage"
        )
    raise BadTarget(name, utc(moment), detail)
