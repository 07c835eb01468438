"""What a sweep wants to know of a block besides its equity, added up for all configurations while the ledger runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from chipwire.engine import measures, rules
from chipwire.engine.columnar_plan import Event, Plan
from chipwire.engine.columnar_ports import Decision, Observer
from chipwire.engine.market import Floats
from chipwire.engine.records import Fill
from chipwire.engine.rules import Codes
from chipwire.engine.settings import Settings


class Tally(Observer):
    """An observer that counts and sums, and keeps nothing else.

    Parameters
    ----------
    plan : Plan
    settings : sequence of Settings
        One for each configuration.
    inner : Observer, optional
        Told the same: the one that keeps the trades, for strategies that want to hear of them.
    """

    def __init__(self, plan: Plan, settings: Sequence[Settings], inner: Observer | None = None) -> None:
        count = len(settings)
        self._plan, self._inner = plan, inner
        self._capital: Floats = np.array([each.capital for each in settings])
        self._slippage: Floats = np.array([each.slippage_bps for each in settings])
        self._impact: Floats = np.array([each.impact for each in settings])
        self._fills = np.zeros(count, dtype=np.int64)
        self._unfilled = np.zeros(count, dtype=np.int64)
        self._traded: Floats = np.zeros(count)
        # All cash that came and went without costs; what else is missing in the end are costs.
        self._flow: Floats = np.zeros(count)
        self._cash: Floats = self._capital
        self._gross: list[Floats] = []

    def figures(self, equity: Floats) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return every figure of a sweep, shape (configurations,); the same as the report of a run has.

        Parameters
        ----------
        equity : ndarray, shape (days, configurations)
        """
        days = self._plan.days
        curves = np.ascontiguousarray(np.vstack([self._capital[None, :], equity]).T)
        values = curves[:, 1:]
        years = measures.years_between(days[0] - timedelta(days=1), days[-1]) if days else 0.0
        returns = measures.daily_returns(curves)
        yearly, depth = measures.annual_return(curves, years), measures.max_depth(curves)
        gross = np.ascontiguousarray(np.array(self._gross).reshape(equity.shape).T)
        mean_equity = values.mean(axis=-1) if days else np.full(len(curves), np.nan)
        return {
            "days": np.full(len(curves), len(days), dtype=np.int64),
            "final_equity": curves[:, -1],
            "total_return": measures.total_return(curves),
            "annual_return": yearly,
            "annual_volatility": measures.annual_volatility(returns),
            "sharpe": measures.sharpe_ratio(returns),
            "sortino": measures.sortino_ratio(returns),
            "max_drawdown": depth,
            "calmar": measures.calmar_ratio(yearly, depth),
            "turnover": measures.turnover(self._traded, mean_equity, years),
            "mean_exposure": measures.mean_exposure(gross, values),
            "costs": self._capital + self._flow - self._cash,
            "n_fills": self._fills,
            "n_unfilled": self._unfilled,
        }

    # --- what an observer is told ------------------------------------------------------------------------

    def fills(self, configuration: int) -> Sequence[Fill]:
        """Return all trades of a configuration so far."""
        return self._inner.fills(configuration) if self._inner is not None else ()

    def decided(self, event: Event, decision: Decision, held: Floats) -> None:
        """Count the wishes that gave no order."""
        unsent = (decision.sent == 0.0) & (held == 0.0)
        unsent &= (np.abs(decision.weights) > 0.0) & ((decision.order != 0.0) | ~(decision.wanted == 0.0))
        self._unfilled += unsent.sum(axis=0)
        if self._inner is not None:
            self._inner.decided(event, decision, held)

    def settled(self, event: Event, order: Floats, filled: Floats, reason: Codes, held: Floats) -> None:
        """Count fills and orders without one, and add up what was traded."""
        facts, session = self._plan.facts[event.venue], event.session
        row, done = facts.price[session][:, None], filled != 0.0
        fx = facts.fx[session][:, None]
        self._fills += done.sum(axis=0)
        self._unfilled += ((order != 0.0) & ~done).sum(axis=0)
        volume = np.where(facts.volume[session] > 0.0, facts.volume[session], np.nan)[:, None]
        price = rules.fill_price(
            row, np.sign(filled), self._slippage, self._impact, np.abs(filled) / volume,
            facts.limit_down[session][:, None], facts.limit_up[session][:, None],
        )  # fmt: skip
        self._traded += rules.sum_rows(np.where(done, np.abs(filled) * price * fx, 0.0))
        self._flow -= rules.sum_rows(np.where(done, filled * row * fx, 0.0))
        if self._inner is not None:
            self._inner.settled(event, order, filled, reason, held)

    def changed(
        self, event: Event, column: int, before: Floats, after: Floats, kind: str, price: float, ratio: float = 1.0
    ) -> None:
        """Add what a split or a forced closing paid; the latter is a trade."""
        fx = float(event.fx[self._plan.facts[event.venue].rows.start + column, 0])
        self._flow += (before * ratio - after) * price * fx
        if kind == "delisting":
            self._fills += before != 0.0
            self._traded += np.abs(before) * price * fx
        if self._inner is not None:
            self._inner.changed(event, column, before, after, kind, price, ratio)

    def paid(self, kind: str, amount: Floats) -> None:
        """Add dividends; what was paid for borrowing is a cost."""
        if kind == "dividends":
            self._flow += amount
        if self._inner is not None:
            self._inner.paid(kind, amount)

    def day_ended(self, event: Event, cash: Floats, shares: Floats) -> None:
        """Keep cash and gross exposure."""
        self._cash = cash
        self._gross.append(rules.sum_rows(np.abs(shares * event.price * event.fx)))
        if self._inner is not None:
            self._inner.day_ended(event, cash, shares)
