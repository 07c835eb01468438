"""The array ledger: many accounts side by side, stepped through the events of one run.

Arrays are (instruments, configurations): each instrument's row is contiguous, and a sum over instruments adds one
row after the other, so that a configuration gets the same bits alone and among others. Most configurations take the
short way through an auction: every order fills as it stands and the cash suffices, which one look at the result
tells. Others are cut to their cash or, with shorts, to their margin, all of them at once. What these ways leave in
doubt goes through `chipwire.engine.auction.settle`, the rules in full; all give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chipwire.engine import costs, rules
from chipwire.engine.auction import AuctionBook, settle
from chipwire.engine.columnar_cash import afford
from chipwire.engine.columnar_facts import VenueFacts
from chipwire.engine.columnar_margin import Accounts, cut_to_margin, fill_in_full
from chipwire.engine.columnar_plan import AUCTION, BEGIN, DAY, DECIDE, Event, Plan
from chipwire.engine.columnar_ports import Decision, Observer, TargetSource, Terms, check_weights
from chipwire.engine.columnar_rules import PreparedRules, any_row, cap_orders, order_plain
from chipwire.engine.market import Action, Floats
from chipwire.engine.records import Fill
from chipwire.engine.rules import Codes, Flags, Reason
from chipwire.engine.timeline import Step

# Looked up once: a member of an enumeration takes a while to find.
_NONE, _PARTICIPATION, _CASH = int(Reason.NONE), int(Reason.PARTICIPATION), int(Reason.CASH)


@dataclass(frozen=True)
class _Orders:
    """Orders of one decision; `plain`: nothing is short, and none would open a short position."""

    shares: Floats
    plain: bool


class BlockLedger:
    """The accounts of one block of configurations.

    Parameters
    ----------
    plan : Plan
    terms : Terms
    configurations : int
    observer : Observer, optional
        For runs of which everything is kept.
    """

    def __init__(self, plan: Plan, terms: Terms, configurations: int, observer: Observer | None = None) -> None:
        self._plan, self._terms, self._observer = plan, terms, observer
        self._shares: Floats = np.zeros((plan.instruments, configurations))
        self._own = [self._shares[facts.rows] for facts in plan.facts]
        self._pending: list[_Orders | None] = [None] * len(plan.facts)
        self._rules = [PreparedRules(facts, terms) for facts in plan.facts]
        self._cash: Floats = np.full(configurations, 1.0) * terms.capital
        self._least_leverage = float(np.min(terms.leverage)) * (1 + 1e-9)
        self._short = False  # whether any configuration may hold a short position
        # Shares bought in the session, where a later auction of it may find them locked.
        self._bought = [np.zeros_like(self._own[i]) if facts.locks else None for i, facts in enumerate(plan.facts)]
        # Whether a holding may be no multiple of its lot.
        self._odd = [facts.lots_grow for facts in plan.facts]
        self._no_reason: list[Codes] = [np.zeros(own.shape, dtype=np.int8) for own in self._own]  # never written to
        self._now: Event | None = None
        self._equity_now: Floats | None = None
        self.uncovered: set[str] = set()

    # --- what a source may know --------------------------------------------------------------------------

    def shares(self, venue: int) -> Floats:
        """See `LedgerState`."""
        view = self._own[venue].T
        view.flags.writeable = False
        return view

    def equity(self) -> Floats:
        """See `LedgerState`."""
        if self._equity_now is None:
            assert self._now is not None  # noqa: S101 - a source is only asked at an event
            self._equity_now = self._equity_at(self._now)
        return self._equity_now

    def prices(self, venue: int) -> Floats:
        """See `LedgerState`."""
        assert self._now is not None  # noqa: S101
        known = self._now.price[self._plan.facts[venue].rows, 0]
        return np.where(known > 0.0, known, np.nan)

    def fills(self, configuration: int) -> Sequence[Fill]:
        """See `LedgerState`."""
        return self._observer.fills(configuration) if self._observer is not None else ()

    # --- the run -----------------------------------------------------------------------------------------

    def run(self, targets: TargetSource, equity: Floats, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Step through all events; fill `equity` (days, configurations)."""
        day = 0
        for number, event in enumerate(self._plan.events, start=1):
            if on_progress is not None and (number % 250 == 0 or number == len(self._plan.events)):
                on_progress(number, len(self._plan.events))
            if event.kind == AUCTION:
                if (orders := self._pending[event.venue]) is not None:
                    self._pending[event.venue] = None
                    self._trade(event, orders.shares, orders.plain)
            elif event.kind == DECIDE:
                self._decide(event, targets)
            elif event.kind == DAY:
                equity[day] = self._equity_at(event)
                day += 1
                if self._observer is not None:
                    self._observer.day_ended(event, self._cash, self._shares)
            elif event.kind == BEGIN:
                self._begin(event)

    def _equity_at(self, event: Event) -> Floats:
        """Return cash plus every position at its last known price and rate."""
        value = self._shares * event.mark
        if self._short:
            long = rules.sum_rows(np.maximum(value, 0.0))
            short = rules.sum_rows(np.maximum(-value, 0.0))
            both: Floats = self._cash + long - short
            return both
        equity: Floats = self._cash + rules.sum_rows(value)
        return equity

    # --- decisions ---------------------------------------------------------------------------------------

    def _decide(self, event: Event, targets: TargetSource) -> None:
        self._now, self._equity_now = event, None
        answer = targets.at(Step(DECIDE, event.venue, event.session), event.at, self)
        if answer is None:
            return
        weights = answer.T
        lowest = np.minimum.reduce(weights, axis=None)  # NaN where a weight is
        whole = bool(lowest >= 0.0)
        gross = rules.sum_rows(weights if whole else np.abs(weights))
        facts, prepared, held = self._plan.facts[event.venue], self._rules[event.venue], self._own[event.venue]
        if not np.maximum.reduce(gross) <= self._least_leverage:
            check_weights(weights, self._terms.leverage, facts.place.instruments, targets.name, event.at)
        equity, session = self.equity(), event.session
        plain = not (self._short or self._odd[event.venue]) and (whole or not np.count_nonzero(weights < 0.0))
        if plain:
            wanted = weights * np.maximum(equity, 0.0)
            wanted /= event.cost
            wanted = rules.whole_below(wanted)
            order = order_plain(wanted, held, prepared.lots(session), whole and event.sizable)
        else:
            rows = facts.rows
            wanted = rules.wanted_shares(weights, equity, event.price[rows], event.fx[rows])
            order = rules.order_shares(wanted, held, prepared.minimum[session], prepared.step[session])
        sent = self._above_band(event, order, wanted, held, equity)
        if self._observer is not None:
            self._observer.decided(event, Decision(weights, wanted, order, sent), held)
        self._pending[event.venue] = _Orders(sent, plain) if np.count_nonzero(sent) else None

    def _above_band(self, event: Event, order: Floats, wanted: Floats, held: Floats, equity: Floats) -> Floats:
        """Drop orders below the band, unless they close the position."""
        band = self._terms.band
        if isinstance(band, float) and band == 0.0:
            return order
        rows = self._plan.facts[event.venue].rows
        size = np.abs(order) * event.price[rows] * event.fx[rows]
        keep = (size >= band * equity) | ((wanted == 0.0) & (held != 0.0))
        return np.where(keep, order, 0.0)

    # --- auctions ----------------------------------------------------------------------------------------

    def _trade(self, event: Event, order: Floats, plain: bool) -> None:
        facts, prepared = self._plan.facts[event.venue], self._rules[event.venue]
        session, held = event.session, self._own[event.venue]
        if not facts.rates[session].covered:
            self.uncovered.add(facts.place.mic)
        live = order
        if prepared.any_blocked[session]:
            live = np.where(order > 0.0, order * prepared.can_buy[session], order * prepared.can_sell[session])
        marked = self._not_plain(prepared, live, held, plain)
        locked, bought = None, self._bought[event.venue]
        if bought is not None:
            locked = any_row((live < 0.0) & (bought > 0.0) & facts.share_lock[session][:, None])
        if prepared.capped[session]:
            live = cap_orders(prepared, session, live, held)
        cash = self._cash + rules.sum_rows(prepared.cash_change(session, live))
        slow = naked = None
        if marked is not None:
            naked = any_row(_naked(facts, session, order, held))
            slow = naked | ~fill_in_full(
                self._accounts(event, prepared, slice(None)), live, cash,
                lambda shares: prepared.cash_change(session, shares),
            )  # fmt: skip
            slow &= marked
        if locked is not None and locked.any():
            slow = locked if slow is None else slow | locked
            naked = locked if naked is None else naked | locked  # as they, these need the whole auction
        filled = live
        if np.minimum.reduce(cash) < 0.0:
            short_of_cash = (cash < 0.0) if slow is None else (cash < 0.0) & ~slow
            short_of_cash &= (live > 0.0).any(axis=0)
            if short_of_cash.any():
                filled = live.copy()  # what was asked for is still to be compared
                left = self._cut_to_cash(prepared, session, np.flatnonzero(short_of_cash), filled, cash)
                slow = left if slow is None else slow | left
        reason = None
        if self._observer is not None:
            reason = self._no_reason[event.venue]
            if slow is not None or filled is not live or np.count_nonzero(live != order):
                blocked_buy, blocked_sell = facts.blocked_buy[session][:, None], facts.blocked_sell[session][:, None]
                reason = np.where(order > 0.0, blocked_buy, blocked_sell)
                reason[(reason == _NONE) & (live != order)] = _PARTICIPATION
                reason[filled != live] = _CASH
        lanes: NDArray[np.intp] = np.flatnonzero(slow) if slow is not None else np.zeros(0, dtype=np.intp)
        if len(lanes):
            filled = live.copy() if filled is live else filled
            if naked is not None:
                done = self._cut_to_margin(event, prepared, lanes[~naked[lanes]], live, filled, cash, reason)
                lanes = np.setdiff1d(lanes, done, assume_unique=True)
        if len(lanes):
            result = settle(self._book(event, lanes), order[:, lanes].T, self._terms.auction(lanes))
            filled[:, lanes] = result.filled.T
            cash[lanes] = result.cash
            if reason is not None:
                reason[:, lanes] = result.reason.T
        if self._observer is not None and reason is not None:
            self._observer.settled(event, order, filled, reason, held)
        self._cash = cash
        if bought is not None:
            bought += np.maximum(np.maximum(held + filled, 0.0) - np.maximum(held, 0.0), 0.0)
        held += filled
        if not plain or self._short:
            self._short = bool((self._shares < 0.0).any())

    def _cut_to_cash(
        self, prepared: PreparedRules, session: int, lanes: NDArray[np.intp], filled: Floats, cash: Floats
    ) -> Flags:
        """Cut the purchases of some configurations in `filled`, and their `cash`; return which are left undone."""
        shares = filled[:, lanes]
        buys, sales = np.maximum(shares, 0.0), np.minimum(shares, 0.0)
        available = self._cash[lanes] + rules.sum_rows(prepared.cash_change(session, sales, lanes))

        def pay(purchases: Floats, of: NDArray[np.intp] | None) -> Floats:
            own = lanes if of is None else lanes[of]
            paid: Floats = -prepared.cash_change(session, purchases, own, buys_only=True)
            return paid

        cut, sure = afford(buys, available, prepared.minimum[session], prepared.step[session], pay)
        shares = sales + cut
        after = self._cash[lanes] + rules.sum_rows(prepared.cash_change(session, shares, lanes))
        sure &= after >= 0.0
        done = lanes[sure]
        filled[:, done] = shares[:, sure]
        cash[done] = after[sure]
        left: Flags = np.zeros(len(cash), dtype=bool)
        left[lanes[~sure]] = True
        return left

    def _not_plain(self, prepared: PreparedRules, live: Floats, held: Floats, plain: bool) -> Flags | None:
        """Return which configurations may need the rules in full, whatever their cash; None where none does."""
        if prepared.low_leverage:
            return np.ones(live.shape[1], dtype=bool)
        if plain and not self._short:
            return None
        marked = any_row(live < -held) | any_row(self._shares < 0.0)
        return marked if marked.any() else None

    def _cut_to_margin(
        self, event: Event, prepared: PreparedRules, lanes: NDArray[np.intp], live: Floats, filled: Floats,
        cash: Floats, reason: Codes | None,
    ) -> NDArray[np.intp]:  # fmt: skip
        """Cut what opens in configurations with shorts to their means; return those for which it is done."""
        orders, session = live[:, lanes], event.session
        cut = cut_to_margin(
            self._accounts(event, prepared, lanes), orders,
            lambda shares, of: prepared.cash_change(session, shares, lanes[of]),
        )  # fmt: skip
        after = self._cash[lanes] + rules.sum_rows(prepared.cash_change(session, cut.filled, lanes))
        sure, done = cut.sure, lanes[cut.sure]
        filled[:, done], cash[done] = cut.filled[:, sure], after[sure]
        if reason is not None:
            why = np.where(cut.afforded != orders, np.int8(Reason.CASH), reason[:, lanes])
            why = np.where(cut.filled != cut.afforded, np.int8(Reason.LEVERAGE), why)
            reason[:, done] = why[:, sure]
        return done

    def _accounts(self, event: Event, prepared: PreparedRules, lanes: NDArray[np.intp] | slice) -> Accounts:
        rows, session = self._plan.facts[event.venue].rows, event.session
        elsewhere = self._shares[:, lanes] * event.mark
        elsewhere[rows] = 0.0
        return Accounts(
            self._own[event.venue][:, lanes], self._cash[lanes], rules.sum_rows(np.maximum(elsewhere, 0.0)),
            rules.sum_rows(np.maximum(-elsewhere, 0.0)),
            np.broadcast_to(self._terms.leverage, self._cash.shape)[lanes], prepared.mark(session, event.price[rows]),
            prepared.minimum[session], prepared.step[session],
        )  # fmt: skip

    def _book(self, event: Event, lanes: NDArray[np.intp]) -> AuctionBook:
        facts, session = self._plan.facts[event.venue], event.session
        elsewhere = np.delete(np.arange(self._plan.instruments), facts.rows)
        value = self._shares[np.ix_(elsewhere, lanes)] * event.mark[elsewhere]
        known, bought = event.price[facts.rows, 0], self._bought[event.venue]
        return AuctionBook(
            held=self._own[event.venue][:, lanes].T,
            # With daily bars a session has one auction with fills, so that nothing was bought before it.
            bought_today=0.0 if bought is None else bought[:, lanes].T,
            auction_price=facts.price[session],
            volume=facts.volume[session],
            known_price=np.where(known > 0.0, known, np.nan),
            limit_down=facts.limit_down[session],
            limit_up=facts.limit_up[session],
            tick=facts.tick[session],
            fx=facts.fx[session],
            buy_minimum=facts.buy_minimum[session],
            buy_step=facts.buy_step[session],
            share_lock=facts.share_lock[session],
            short_allowed=facts.short_allowed[session],
            rates=facts.rates[session],
            cash=self._cash[lanes],
            long_elsewhere=rules.sum_rows(np.maximum(value, 0.0)),
            short_elsewhere=rules.sum_rows(np.maximum(-value, 0.0)),
        )

    # --- between auctions --------------------------------------------------------------------------------

    def _begin(self, event: Event) -> None:
        held, facts = self._own[event.venue], self._plan.facts[event.venue]
        if (bought := self._bought[event.venue]) is not None:
            bought[:] = 0.0
        if self._short and event.session > 0:
            self._pay_borrow(event, held, facts)
        if not event.actions and not event.dead:
            return
        price, fx = event.price[facts.rows, 0].copy(), event.fx[facts.rows, 0]
        for column, actions in event.actions:
            for action in actions:
                if action.kind == "dividend":
                    paid = held[column] * action.value * fx[column]
                    self._cash = self._cash + paid
                    price[column] -= action.value
                    if self._observer is not None:
                        self._observer.paid("dividends", paid)
                else:
                    price[column] /= action.value
                    self._split(event, column, held, action, float(price[column]), float(fx[column]))
        for column in event.dead:
            if held[column].any():
                before = held[column].copy()
                self._cash = self._cash + before * price[column] * fx[column]
                held[column] = 0.0
                if self._observer is not None:
                    self._observer.changed(event, column, before, held[column], "delisting", float(price[column]))

    def _pay_borrow(self, event: Event, held: Floats, facts: VenueFacts) -> None:
        sessions, price, fx = facts.place.session, event.price[facts.rows, 0], event.fx[facts.rows, 0]
        days = int((sessions[event.session] - sessions[event.session - 1]) / np.timedelta64(1, "D"))
        for column in range(len(held)):
            if (held[column] < 0.0).any():
                value = -np.minimum(held[column], 0.0) * price[column] * fx[column]
                cost = costs.borrow_cost(value, facts.borrow_rate[event.session, column], days)
                cost = cost * self._terms.fee_multiple
                self._cash = self._cash - cost
                if self._observer is not None:
                    self._observer.paid("borrow", cost)

    def _split(self, event: Event, column: int, held: Floats, action: Action, price: float, fx: float) -> None:
        """Change the shares; a part of a share is paid out at the price after the split."""
        if not held[column].any():
            return
        before = held[column].copy()
        exact = before * action.value
        whole = np.sign(exact) * rules.whole_below(np.abs(exact))
        self._cash = self._cash + (exact - whole) * price * fx
        held[column] = whole
        self._odd[event.venue] = True
        if self._observer is not None:
            self._observer.changed(event, column, before, whole, "action", price, action.value)


def _naked(facts: VenueFacts, session: int, order: Floats, held: Floats) -> Flags:
    """Return which sales would open or add to a short that the venue forbids."""
    naked: Flags = ~facts.short_allowed[session][:, None] & (order < 0.0) & (held + order < 0.0)
    return naked
