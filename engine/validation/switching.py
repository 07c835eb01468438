"""One account that follows another configuration in each window of time, and pays for every change.

The configurations followed run beside it, each on an account of its own from the first day on, so that what they hold
and remember is what they would alone. The account that follows takes over their weights; where it begins to follow
another, what that one holds is bought and what it does not hold is sold, at the same auctions and costs as any order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chipwire.engine.columnar_plan import Plan
from chipwire.engine.columnar_ports import LedgerState, TargetSource, Weights
from chipwire.engine.market import Floats
from chipwire.engine.records import Fill
from chipwire.engine.timeline import Step
from chipwire.engine.view import Cause

BEFORE, NOTHING = -2, -1
"""Instead of a configuration: not begun yet, and nothing is to be held."""


class Switching:
    """A target source with one configuration more than another source: the last one follows the others.

    Parameters
    ----------
    inner : TargetSource
        Of the configurations that are followed.
    plan : Plan
    follows : ndarray of int, shape (days of the plan,)
        For each UTC day the configuration of `inner` whose weights count at that day's auctions; `BEFORE` or
        `NOTHING`.
    fill : str
        ``open`` or ``close``.
    leverage : float
        Of the account that follows.
    """

    def __init__(
        self, inner: TargetSource, plan: Plan, follows: NDArray[np.intp], *, fill: str, leverage: float
    ) -> None:
        self.name = inner.name
        self.configurations = inner.configurations + 1
        self.needs_fills, self.tells_causes = inner.needs_fills, inner.tells_causes
        self._inner, self._market, self._leverage = inner, plan.market, leverage
        days = np.array(plan.days, dtype="datetime64[D]")
        self._follows = []
        for venue in plan.market.venues:
            auction = (venue.open_at if fill == "open" else venue.close_at).astype("datetime64[D]")
            place = np.minimum(np.searchsorted(days, auction), len(days) - 1)
            self._follows.append(np.where(np.arange(len(auction)) < venue.first, BEFORE, follows[place]))
        self._followed = [BEFORE] * len(self._follows)
        self._behind = [np.zeros(len(venue.instruments), dtype=bool) for venue in plan.market.venues]

    def at(self, step: Step, moment: np.datetime64, state: LedgerState) -> Weights | None:
        """See `TargetSource`."""
        count = self._inner.configurations
        given = self._inner.at(step, moment, _First(state, count))
        lane = int(self._follows[step.venue][step.session])
        own = self._own(step.venue, lane, given, moment, state)
        if given is None and np.isnan(own).all():
            return None
        rows = np.full((len(own), count + 1), np.nan)
        if given is not None:
            rows[:, :count] = given.T
        rows[:, count] = own
        return rows.T

    def _own(
        self, venue: int, lane: int, given: Weights | None, moment: np.datetime64, state: LedgerState
    ) -> NDArray[np.float64]:
        """Return the weights of the account that follows: those given, and what it takes to catch up."""
        shares = state.shares(venue)
        own = np.full(shares.shape[1], np.nan)
        if lane == BEFORE:
            return own
        if given is not None and lane != NOTHING:
            own[:] = given[lane]
        target = shares[lane] if lane != NOTHING else np.zeros(len(own))
        behind = self._behind[venue]
        if lane != self._followed[venue]:
            self._followed[venue] = lane
            behind[:] = True
        else:  # what an auction did not fill is tried again until it is there
            behind &= np.sign(target) != np.sign(shares[-1])
        missing = behind & np.isnan(own) & ((target != 0.0) | (shares[-1] != 0.0))
        if missing.any():
            weights = self._weights(venue, lane, target, moment, state)[missing]
            room = max(0.0, self._leverage - float(np.nansum(np.abs(own))))
            # A position may have outgrown the leverage; an order may not ask for more.
            own[missing] = weights * min(1.0, room / max(float(np.abs(weights).sum()), 1e-300))
        return own

    def _weights(
        self, venue: int, lane: int, shares: Floats, moment: np.datetime64, state: LedgerState
    ) -> NDArray[np.float64]:
        """Return what the followed configuration holds as weights of its own equity; 0 where that is not known."""
        if lane == NOTHING or not (equity := float(state.equity()[lane])) > 0:
            return np.zeros(len(shares))
        fx = [self._market.fx.to_base(each.currency, moment) for each in self._market.venues[venue].instruments]
        value = shares * state.prices(venue) * np.array(fx)
        return np.asarray(np.where(shares != 0.0, np.nan_to_num(value), 0.0) / equity)

    def causes(self, configuration: int, instrument: str) -> Sequence[Cause]:
        """Return those of a followed configuration; the account that follows has none of its own."""
        return self._inner.causes(configuration, instrument) if configuration < self._inner.configurations else ()


class _First:
    """What the followed configurations may know: their own accounts, see `LedgerState`."""

    def __init__(self, state: LedgerState, count: int) -> None:
        self._state, self._count = state, count

    def shares(self, venue: int) -> Floats:
        return self._state.shares(venue)[: self._count]

    def equity(self) -> Floats:
        return self._state.equity()[: self._count]

    def prices(self, venue: int) -> Floats:
        return self._state.prices(venue)

    def fills(self, configuration: int) -> Sequence[Fill]:
        return self._state.fills(configuration)
