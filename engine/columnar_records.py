"""Writes down everything that happens in the array ledger, as the same rows that the event engine leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from chipwire.engine import costs, rules
from chipwire.engine.account import utc
from chipwire.engine.columnar_plan import Event, Plan
from chipwire.engine.columnar_ports import Decision, TargetSource
from chipwire.engine.market import Floats
from chipwire.engine.records import EquityRow, Fill, Ledger, PositionRow, Target, Unfilled
from chipwire.engine.rules import Codes, Reason
from chipwire.engine.settings import Settings
from chipwire.engine.view import Cause


@dataclass
class _Sums:
    """What a day has cost and brought so far, shape (configurations,)."""

    costs: Floats
    borrow: Floats
    dividends: Floats


class Recorder:
    """An observer of a block that keeps a ledger for each configuration.

    Parameters
    ----------
    plan : Plan
    settings : sequence of Settings
        One for each configuration.
    targets : TargetSource
        Asked for the causes of each order.
    """

    def __init__(self, plan: Plan, settings: Sequence[Settings], targets: TargetSource) -> None:
        count = len(settings)
        self._plan, self._settings, self._targets = plan, settings, targets
        self._ledgers = [Ledger() for _ in range(count)]
        self._basis: Floats = np.zeros((plan.instruments, count))
        self._day = _Sums(*(np.zeros(count) for _ in range(3)))
        self._slippage = np.array([each.slippage_bps for each in settings])
        self._impact = np.array([each.impact for each in settings])
        self._fee_multiple = np.array([each.fee_multiple for each in settings])
        self._decision: list[Event | None] = [None] * len(plan.facts)
        self._asked: dict[tuple[int, int], tuple[Cause, ...]] = {}  # by lane and row, of the orders under way
        self._opened: dict[tuple[int, int], tuple[Cause, ...]] = {}  # of the fill that opened what is held

    def ledgers(self) -> tuple[Ledger, ...]:
        """Return what was written down, one ledger for each configuration."""
        return tuple(self._ledgers)

    def fills(self, configuration: int) -> Sequence[Fill]:
        """Return the trades of one so far."""
        return self._ledgers[configuration].fills

    # --- what an observer is told ------------------------------------------------------------------------

    def decided(self, event: Event, decision: Decision, held: Floats) -> None:
        """Write the targets, and the wishes that gave no order; remember the causes of the orders."""
        self._decision[event.venue] = event
        facts, now = self._plan.facts[event.venue], utc(event.at)
        symbols = [instrument.symbol for instrument in facts.place.instruments]
        by_name = sorted(range(len(symbols)), key=symbols.__getitem__)
        for lane, ledger in enumerate(self._ledgers):
            weights = decision.weights[:, lane]
            ledger.targets += [Target(now, symbols[c], float(weights[c])) for c in by_name if weights[c] == weights[c]]
            for column, name in enumerate(symbols):
                if decision.sent[column, lane]:
                    self._remember(lane, facts.rows.start + column, name, held[column, lane] != 0.0)
                elif weights[column] and weights[column] == weights[column] and not held[column, lane]:
                    self._note_unsent(event, decision, lane, column)

    def settled(self, event: Event, order: Floats, filled: Floats, reason: Codes, held: Floats) -> None:
        """Write the fills and the orders not filled in full; `held` is what was held before."""
        facts, session = self._plan.facts[event.venue], event.session
        row = facts.price[session][:, None]
        volume = np.where(facts.volume[session] > 0.0, facts.volume[session], np.nan)[:, None]
        price = rules.fill_price(
            row, np.sign(filled), self._slippage, self._impact, np.abs(filled) / volume,
            facts.limit_down[session][:, None], facts.limit_up[session][:, None],
        )  # fmt: skip
        charged = costs.fees(costs.fee_columns(facts.rates[session]), filled, price, self._fee_multiple)
        fx = facts.fx[session][:, None]
        slippage = np.where(filled == 0.0, 0.0, np.abs(price - row) * np.abs(filled))
        change = np.where(filled == 0.0, 0.0, -(filled * price) * fx - charged.total * fx)
        details = (price, charged.commission, charged.duty, charged.levies, slippage, change)
        decision = self._decision[event.venue]
        decided_at = utc(decision.at if decision is not None else event.at)
        at, day = utc(event.at), facts.place.session[session].item()
        for lane, column in zip(*np.nonzero(order.T), strict=True):
            wanted, done = int(order[column, lane]), int(filled[column, lane])
            symbol = facts.place.instruments[column].symbol
            if done:
                numbers = tuple(float(each[column, lane]) for each in details)
                self._fill(event, decided_at, int(lane), int(column), done, float(held[column, lane]), numbers)
            if done != wanted:
                why = Reason(int(reason[column, lane])).name.lower()
                self._ledgers[lane].unfilled.append(Unfilled(decided_at, at, day, symbol, wanted, done, why))

    def changed(
        self, event: Event, column: int, before: Floats, after: Floats, kind: str, price: float, ratio: float = 1.0
    ) -> None:
        """Write a split (`ratio` new shares for one old) or a forced closing."""
        facts = self._plan.facts[event.venue]
        index, instrument = facts.rows.start + column, facts.place.instruments[column]
        at, day = utc(event.at), facts.place.session[event.session].item()
        fx = float(event.fx[index, 0])
        for lane in np.flatnonzero(before):
            held, left, basis = float(before[lane]), float(after[lane]), float(self._basis[index, lane])
            exact = held * ratio
            paid = (exact - left) * price * fx
            released = basis if kind == "delisting" else basis * ((exact - left) / exact)
            self._basis[index, lane] = 0.0 if kind == "delisting" else basis - released
            shown = price if kind == "delisting" else 0.0
            self._ledgers[lane].fills.append(
                Fill(
                    at, at, day, facts.place.mic, kind, instrument.symbol, int(left - held), shown, shown,
                    instrument.currency, fx, 0.0, 0.0, 0.0, 0.0, paid - released,
                    self._opened.get((int(lane), index), ()),
                )
            )  # fmt: skip

    def paid(self, kind: str, amount: Floats) -> None:
        """Add to the day's borrow cost or dividends."""
        if kind == "borrow":
            self._day.borrow += amount
        else:
            self._day.dividends += amount

    def day_ended(self, event: Event, cash: Floats, shares: Floats) -> None:
        """Write the positions and the account."""
        assert event.day is not None  # noqa: S101 - an event of a day's end has one
        value = shares * event.mark
        long = rules.sum_rows(np.maximum(value, 0.0))
        short = rules.sum_rows(np.maximum(-value, 0.0))
        symbols = self._plan.market.symbols
        price, fx, sums = event.price[:, 0], event.fx[:, 0], self._day
        for lane, ledger in enumerate(self._ledgers):
            for row in np.flatnonzero(shares[:, lane]):
                held = int(shares[row, lane])
                worth = held * float(price[row]) * float(fx[row])
                ledger.positions.append(
                    PositionRow(event.day, symbols[row], held, float(price[row]), float(fx[row]), worth)
                )
            ledger.equity.append(
                EquityRow(
                    event.day, float(cash[lane] + long[lane] - short[lane]), float(cash[lane]),
                    float(long[lane] + short[lane]), float(sums.costs[lane]), float(sums.borrow[lane]),
                    float(sums.dividends[lane]),
                )
            )  # fmt: skip
        self._day = _Sums(*(np.zeros(len(self._ledgers)) for _ in range(3)))

    # --- the parts of it ---------------------------------------------------------------------------------

    def _remember(self, lane: int, row: int, name: str, held: bool) -> None:
        causes = self._targets.causes(lane, name)
        own = tuple(cause for cause in causes if cause.relation == "own")
        opened = self._opened.get((lane, row), ()) if held else ()
        self._asked[(lane, row)] = own or opened or tuple(causes)

    def _note_unsent(self, event: Event, decision: Decision, lane: int, column: int) -> None:
        """Note a wish that gave no order, as `Decider` does."""
        facts = self._plan.facts[event.venue]
        fill = self._settings[0].fill
        at = (facts.place.open_at if fill == "open" else facts.place.close_at)[event.session]
        shares, wanted = int(decision.order[column, lane]), float(decision.wanted[column, lane])
        if shares:
            asked, reason = shares, Reason.BAND
        elif np.isnan(wanted):
            known = event.price[facts.rows][column, 0] != 0.0
            asked, reason = 0, Reason.NO_FX if known else Reason.NO_BAR
        elif wanted:
            asked, reason = int(wanted), Reason.LOT
        else:
            return
        day, symbol = facts.place.session[event.session].item(), facts.place.instruments[column].symbol
        row = Unfilled(utc(event.at), utc(at), day, symbol, asked, 0, reason.name.lower())
        self._ledgers[lane].unfilled.append(row)

    def _fill(
        self, event: Event, decided_at: datetime, lane: int, column: int, filled: int, held: float,
        numbers: tuple[float, ...],
    ) -> None:  # fmt: skip
        facts, session = self._plan.facts[event.venue], event.session
        index, instrument = facts.rows.start + column, facts.place.instruments[column]
        price, commission, duty, levies, slippage, change = numbers
        basis = float(self._basis[index, lane])
        closing = min(abs(filled), abs(held)) if filled * held < 0 else 0.0
        close_part = change * closing / abs(filled)
        released = basis * closing / abs(held) if closing else 0.0
        self._basis[index, lane] = basis + (-(change - close_part) - released)
        causes = self._asked.get((lane, index), ())
        if (held + filled) * filled > 0 and (not held or closing):
            self._opened[(lane, index)] = tuple(
                Cause(c.headline_id, c.issuer, c.theme, c.model_id, c.strength, "opened") for c in causes
            )
        fx = float(facts.fx[session, column])
        self._day.costs[lane] += (commission + duty + levies + slippage) * fx
        self._ledgers[lane].fills.append(
            Fill(
                decided_at, utc(event.at), facts.place.session[session].item(), facts.place.mic,
                self._settings[0].fill, instrument.symbol, filled, price, float(facts.price[session, column]),
                instrument.currency, fx, commission, duty, levies, slippage,
                close_part - released if closing else 0.0, causes,
            )
        )  # fmt: skip
