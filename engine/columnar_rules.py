"""A venue's rules in the shape that the array ledger's short way needs: (instruments, 1) for each session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chipwire.data.fees import FeeRates
from chipwire.engine import costs, rules
from chipwire.engine.columnar_facts import VenueFacts
from chipwire.engine.columnar_ports import Terms
from chipwire.engine.market import Floats
from chipwire.engine.rules import Flags


def any_row(marks: Flags) -> Flags:
    """Return for each configuration whether any instrument is marked."""
    found: Flags = np.logical_or.reduce(marks, axis=0)
    return found


def _any_column(marks: Flags) -> list[bool]:
    """Return for each session whether any instrument is marked."""
    found: list[bool] = np.logical_or.reduce(marks, axis=1).tolist()
    return found


def cap_orders(prepared: PreparedRules, session: int, live: Floats, held: Floats) -> Floats:
    """Cut orders to the allowed part of the volume, then to lots, where nothing is short."""
    cap = prepared.cap(session)
    over = np.abs(live) > cap
    if not np.count_nonzero(over):
        return live
    live = live.copy()
    rows, lanes = np.nonzero(over)
    cap = np.broadcast_to(cap, live.shape)[rows, lanes]
    had = held[rows, lanes]
    lots = prepared.minimum[session][rows, 0], prepared.step[session][rows, 0]
    live[rows, lanes] = rules.tradable(np.clip(live[rows, lanes], -cap, cap), had, had, *lots)
    return live


def order_plain(wanted: Floats, held: Floats, lots: tuple[Floats, Floats | None] | None, known: bool) -> Floats:
    """Return what `rules.order_shares` does where nothing is short and every holding is a multiple of its step.

    `lots` are step and minimum, the latter None where no minimum is above its step; no lots where every whole number
    of shares is tradable. `known`: nothing is NaN.
    """
    if lots is None:
        order: Floats = wanted - held
        return order if known else np.nan_to_num(order, copy=False)
    step, minimum = lots
    target = rules.whole_below(wanted / step)
    target *= step
    order = target - held
    if not known:
        order = np.nan_to_num(order, copy=False)
    if minimum is not None:
        keep = np.abs(order) >= minimum
        keep |= target == 0.0
        order = np.where(keep, order, 0.0)
    return order


class PreparedRules:
    """A venue's rules and prices per session in the shape that the short way needs: (instruments, 1)."""

    def __init__(self, facts: VenueFacts, terms: Terms) -> None:
        self._facts, self._terms = facts, terms
        self.minimum, self.step = facts.buy_minimum[:, :, None], facts.buy_step[:, :, None]
        single = _any_column((facts.buy_minimum != 1.0) | (facts.buy_step != 1.0))
        least = _any_column(facts.buy_minimum > facts.buy_step)
        self._lots = list(zip(single, least, strict=True))
        self.any_blocked = _any_column((facts.blocked_buy | facts.blocked_sell) != 0)
        self.can_buy = (facts.blocked_buy == 0).astype(np.float64)[:, :, None]
        self.can_sell = (facts.blocked_sell == 0).astype(np.float64)[:, :, None]
        self.low_leverage = bool(np.any(np.less(terms.leverage, 1.0)))
        known = np.where(facts.volume > 0.0, facts.volume, 1.0)
        self._known_volume = np.where(np.isnan(facts.volume), np.inf, known)[:, :, None]
        self.capped = _any_column(np.isfinite(self._known_volume[:, :, 0]))
        self._plain_cap: Floats | None = None
        if isinstance(terms.participation, float):
            self._plain_cap = _whole_cap(self._known_volume * terms.participation)
        self._rates: dict[int, tuple[FeeRates, FeeRates]] = {}
        self._price, self._fx = np.nan_to_num(facts.price)[:, :, None], np.nan_to_num(facts.fx)[:, :, None]
        self._volume = np.where(facts.volume > 0.0, facts.volume, np.nan)[:, :, None]
        self._down, self._up = facts.limit_down[:, :, None], facts.limit_up[:, :, None]
        self._fixed: tuple[Floats, Floats] | None = None
        if isinstance(terms.slippage_bps, float) and isinstance(terms.impact, float) and terms.impact == 0.0:
            bought, sold = (
                rules.fill_price(self._price, sign, terms.slippage_bps, 0.0, np.nan, self._down, self._up)
                for sign in (1.0, -1.0)
            )
            self._fixed = bought, sold
        self._one_price = self._fixed is not None and bool((self._fixed[0] == self._fixed[1]).all())
        self._minus_fx = -self._fx

    def lots(self, session: int) -> tuple[Floats, Floats | None] | None:
        """Return the lots of a session as `order_plain` wants them."""
        several, least = self._lots[session]
        return (self.step[session], self.minimum[session] if least else None) if several else None

    def mark(self, session: int, known: Floats) -> Floats:
        """Return the value of one share at the auction, at the `known` price where it has none."""
        price = self._facts.price[session][:, None]
        marks: Floats = np.where(np.isnan(price), known, price) * self._facts.fx[session][:, None]
        return marks

    def cap(self, session: int) -> Floats:
        """Return the most shares that one order may take."""
        if self._plain_cap is not None:
            fixed: Floats = self._plain_cap[session]
            return fixed
        own: Floats = _whole_cap(self._known_volume[session] * self._terms.participation)
        return own

    def fill_price(self, session: int, shares: Floats, lanes: NDArray[np.intp] | None) -> Floats:
        """Return the prices of fills, of all configurations or of some."""
        if self._fixed is not None:
            bought, sold = self._fixed
            side: Floats = np.where(shares > 0.0, bought[session], sold[session])
            return side
        slippage, impact = self._terms.slippage_bps, self._terms.impact
        if lanes is not None:
            slippage = slippage if isinstance(slippage, float) else slippage[lanes]
            impact = impact if isinstance(impact, float) else impact[lanes]
        return rules.fill_price(
            self._price[session], np.sign(shares), slippage, impact,
            np.abs(shares) / self._volume[session], self._down[session], self._up[session],
        )  # fmt: skip

    def cash_change(
        self, session: int, shares: Floats, lanes: NDArray[np.intp] | None = None, buys_only: bool = False
    ) -> Floats:
        """Return what fills change in cash, base currency; `lanes` are the configurations of the columns."""
        rates = self._facts.rates[session]
        if id(rates) not in self._rates:
            columns = costs.fee_columns(rates)
            bought = replace(columns, lines=tuple(line for line in columns.lines if np.any(line.on_buy)))
            self._rates[id(rates)] = columns, bought
        columns = self._rates[id(rates)][buys_only]
        if self._fixed is not None and (buys_only or self._one_price):
            traded = shares * self._fixed[0][session]
        else:
            traded = shares * self.fill_price(session, shares, lanes)
        multiple = self._terms.fee_multiple
        if lanes is not None and not isinstance(multiple, float):
            multiple = multiple[lanes]
        charged = costs.fee_total(columns, shares, np.abs(traded), multiple) if columns.lines else None
        change: Floats = traded * self._minus_fx[session]
        if charged is not None:
            change -= charged * self._fx[session]
        return change


def _whole_cap(cap: Floats) -> Floats:
    finite = np.isfinite(cap)
    return np.where(finite, rules.whole_below(np.where(finite, cap, 0.0)), np.inf)
