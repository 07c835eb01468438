"""Writes down everything that happens in the array ledger, as the same rows that the event engine leaves.

While the ledger steps, only what it says is kept; prices, fees and gains are worked out for many auctions at once,
when somebody asks for trades, before a corporate action, and at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.fees import FeeRates
from chipwire.engine import costs, rules
from chipwire.engine.account import utc
from chipwire.engine.columnar_plan import Event, Plan
from chipwire.engine.columnar_ports import Decision, TargetSource
from chipwire.engine.columnar_written import Asked, Day, Decided, write_days, write_targets
from chipwire.engine.market import Floats
from chipwire.engine.records import Fill, Ledger, Rows, Unfilled
from chipwire.engine.rules import Codes, Reason
from chipwire.engine.settings import Settings
from chipwire.engine.view import Cause

_Columns = dict[str, NDArray[Any]]


@dataclass(slots=True)
class _Auction:
    """An auction as it was told; `day` counts the days that had ended before."""

    number: int
    event: Event
    decided_at: np.datetime64
    order: Floats
    filled: Floats
    reason: Codes
    held: Floats
    day: int


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
        self._plan, self._targets, self._fill = plan, targets, settings[0].fill
        self._lanes = range(count)
        self._fills = [Rows(Fill) for _ in self._lanes]
        self._unfilled = [Rows(Unfilled) for _ in self._lanes]
        self._slippage = np.array([each.slippage_bps for each in settings])
        self._impact = np.array([each.impact for each in settings])
        self._fee_multiple = np.array([each.fee_multiple for each in settings])
        self._symbols = [[instrument.symbol for instrument in facts.place.instruments] for facts in plan.facts]
        self._last: list[Event | None] = [None] * len(plan.facts)  # decision of each venue
        self._rates: dict[int, FeeRates] = {}
        self._told = 0
        self._decided: list[Decided] = []
        self._log: list[Decided | _Auction] = []  # not worked out yet
        self._days: list[Day] = []
        self._costs = [[0.0] * count]  # by day and lane; the last day is under way
        self._borrow, self._dividends = np.zeros(count), np.zeros(count)
        # By lane and row: what the open position cost, and the causes of the orders under way and of the opening.
        self._basis: dict[tuple[int, int], float] = {}
        self._asked: dict[tuple[int, int], tuple[Cause, ...]] = {}
        self._opened: dict[tuple[int, int], tuple[Cause, ...]] = {}

    def ledgers(self) -> tuple[Ledger, ...]:
        """Return what was written down, one ledger for each configuration."""
        self._work_out()
        ledgers = tuple(Ledger(fills=self._fills[lane], unfilled=self._unfilled[lane]) for lane in self._lanes)
        write_targets(ledgers, self._symbols, self._decided)
        if self._days:
            write_days(ledgers, self._plan.market.symbols, self._days, self._costs[: len(self._days)])
        return ledgers

    def fills(self, configuration: int) -> Sequence[Fill]:
        """Return the trades of one so far."""
        self._work_out()
        return self._fills[configuration]

    # --- what an observer is told ------------------------------------------------------------------------

    def decided(self, event: Event, decision: Decision, held: Floats) -> None:
        """Keep the targets, the wishes that gave no order, and the causes of the orders."""
        self._last[event.venue] = event
        asked: Asked = []
        if self._targets.tells_causes:
            start, names = self._plan.facts[event.venue].rows.start, self._symbols[event.venue]
            for column, lane in zip(*(axis.tolist() for axis in np.nonzero(decision.sent)), strict=True):
                causes = tuple(self._targets.causes(lane, names[column]))
                asked.append((lane, start + column, held[column, lane] != 0.0, causes))
        self._told += 1
        self._decided.append(Decided(self._told, event, decision, held.copy(), asked))
        self._log.append(self._decided[-1])

    def settled(self, event: Event, order: Floats, filled: Floats, reason: Codes, held: Floats) -> None:
        """Keep the fills and the orders not filled in full; `held` is what was held before."""
        decision = self._last[event.venue]
        decided_at = decision.at if decision is not None else event.at
        self._told += 1
        self._log.append(
            _Auction(self._told, event, decided_at, order, filled, reason, held.copy(), len(self._days))
        )  # fmt: skip

    def changed(
        self, event: Event, column: int, before: Floats, after: Floats, kind: str, price: float, ratio: float = 1.0
    ) -> None:
        """Write a split (`ratio` new shares for one old) or a forced closing."""
        self._work_out()
        facts = self._plan.facts[event.venue]
        index, instrument = facts.rows.start + column, facts.place.instruments[column]
        at, day = utc(event.at), facts.place.session[event.session].item()
        fx = float(event.fx[index, 0])
        for lane in np.flatnonzero(before).tolist():
            held, left, basis = float(before[lane]), float(after[lane]), self._basis.get((lane, index), 0.0)
            exact = held * ratio
            paid = (exact - left) * price * fx
            released = basis if kind == "delisting" else basis * ((exact - left) / exact)
            self._basis[lane, index] = 0.0 if kind == "delisting" else basis - released
            shown = price if kind == "delisting" else 0.0
            self._fills[lane].append(
                Fill(
                    at, at, day, facts.place.mic, kind, instrument.symbol, int(left - held), shown, shown,
                    instrument.currency, fx, 0.0, 0.0, 0.0, 0.0, paid - released,
                    self._opened.get((lane, index), ()),
                )
            )  # fmt: skip

    def paid(self, kind: str, amount: Floats) -> None:
        """Add to the day's borrow cost or dividends."""
        if kind == "borrow":
            self._borrow += amount
        else:
            self._dividends += amount

    def day_ended(self, event: Event, cash: Floats, shares: Floats) -> None:
        """Keep the positions and the account."""
        self._days.append(Day(event, cash, shares.copy(), self._borrow, self._dividends))
        self._costs.append([0.0] * len(self._lanes))
        self._borrow, self._dividends = np.zeros(len(self._lanes)), np.zeros(len(self._lanes))

    # --- auctions and orders -----------------------------------------------------------------------------

    def _work_out(self) -> None:
        """Write the fills, and what was not filled, of all that was told since the last time."""
        if not self._log:
            return
        log, self._log = self._log, []
        trades: list[_Columns] = []
        unfilled: list[tuple[int, int, Unfilled]] = []  # number of the entry, lane
        for venue in range(len(self._plan.facts)):
            auctions = [each for each in log if isinstance(each, _Auction) and each.event.venue == venue]
            decided = [each for each in log if isinstance(each, Decided) and each.event.venue == venue]
            if decided:
                unfilled += self._unsent(decided)
            if auctions:
                orders = self._orders(venue, auctions)
                lacking = orders["filled"] != orders["wanted"]
                unfilled += _unfilled({name: column[lacking] for name, column in orders.items()})
                done = orders["filled"] != 0.0
                trades.append({name: column[done] for name, column in orders.items()})
        for _, lane, row in sorted(unfilled, key=lambda each: each[0]):
            self._unfilled[lane].append(row)
        if trades:
            joined = {name: np.concatenate([part[name] for part in trades]) for name in trades[0]}
            order = np.argsort(joined["number"], kind="stable")
            self._write_fills(log, {name: column[order] for name, column in joined.items()})

    def _orders(self, venue: int, auctions: Sequence[_Auction]) -> _Columns:
        """Return one row for each order of a venue's auctions, by auction, configuration and instrument."""
        facts = self._plan.facts[venue]
        session = np.array([each.event.session for each in auctions])
        # Shape (auctions, instruments, configurations).
        order, filled, reason, held = (
            np.stack([getattr(each, name) for each in auctions]) for name in ("order", "filled", "reason", "held")
        )
        row, fx = facts.price[session][:, :, None], facts.fx[session][:, :, None]
        volume = np.where(facts.volume[session] > 0.0, facts.volume[session], np.nan)[:, :, None]
        price = rules.fill_price(
            row, np.sign(filled), self._slippage, self._impact, np.abs(filled) / volume,
            facts.limit_down[session][:, :, None], facts.limit_up[session][:, :, None],
        )  # fmt: skip
        commission, duty, levies, total = self._fees([facts.rates[each] for each in session], filled, price)
        slippage = np.where(filled == 0.0, 0.0, np.abs(price - row) * np.abs(filled))
        change = np.where(filled == 0.0, 0.0, -(filled * price) * fx - total * fx)
        at, lane, column = np.nonzero(order.transpose(0, 2, 1))
        cell = at, column, lane
        symbols, currencies = (
            np.array([getattr(each, name) for each in facts.place.instruments], dtype=object)
            for name in ("symbol", "currency")
        )
        return {
            "number": np.array([each.number for each in auctions])[at], "lane": lane,
            "row": facts.rows.start + column, "day": np.array([each.day for each in auctions])[at],
            "decision_at": np.array([each.decided_at for each in auctions], dtype="datetime64[us]")[at],
            "auction_at": np.array([each.event.at for each in auctions], dtype="datetime64[us]")[at],
            "session": facts.place.session[session][at], "venue": np.full(len(at), facts.place.mic, dtype=object),
            "instrument": symbols[column], "currency": currencies[column],
            "wanted": order[cell], "filled": filled[cell], "held": held[cell], "reason": reason[cell],
            "price": price[cell], "auction_price": facts.price[session[at], column],
            "fx": facts.fx[session[at], column], "commission": commission[cell], "duty": duty[cell],
            "levies": levies[cell], "slippage": slippage[cell], "change": change[cell],
        }  # fmt: skip

    def _fees(self, rates: Sequence[FeeRates], filled: Floats, price: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return commission, duty, levies and their total; `rates` of each auction, few of them distinct."""
        parts = tuple(np.zeros(filled.shape) for _ in range(4))
        kinds = np.array([id(each) for each in rates])
        for kind in dict.fromkeys(kinds.tolist()):
            same = np.flatnonzero(kinds == kind)
            if kind not in self._rates:  # the plan keeps the object, so that the number stays its own
                self._rates[kind] = costs.fee_columns(rates[int(same[0])])
            charged = costs.fees(self._rates[kind], filled[same], price[same], self._fee_multiple)
            amounts = (charged.commission, charged.duty, charged.levies, charged.total)
            for part, amount in zip(parts, amounts, strict=True):
                part[same] = amount
        return parts[0], parts[1], parts[2], parts[3]

    def _unsent(self, decided: Sequence[Decided]) -> Iterable[tuple[int, int, Unfilled]]:
        """Yield the wishes of a venue that gave no order."""
        weights, sent, held = (
            np.stack(arrays)
            for arrays in (
                [each.decision.weights for each in decided],
                [each.decision.sent for each in decided],
                [each.held for each in decided],
            )
        )
        unsent = (sent == 0.0) & (weights != 0.0) & ~np.isnan(weights) & (held == 0.0)
        for at, lane, column in zip(*(axis.tolist() for axis in np.nonzero(unsent.transpose(0, 2, 1))), strict=True):
            if (row := self._note_unsent(decided[at], lane, column)) is not None:
                yield decided[at].number, lane, row

    def _note_unsent(self, decided: Decided, lane: int, column: int) -> Unfilled | None:
        """Note a wish that gave no order, as `Decider` does."""
        event, decision = decided.event, decided.decision
        facts = self._plan.facts[event.venue]
        at = (facts.place.open_at if self._fill == "open" else facts.place.close_at)[event.session]
        shares, wanted = int(decision.order[column, lane]), float(decision.wanted[column, lane])
        if shares:
            asked, reason = shares, Reason.BAND
        elif np.isnan(wanted):
            known = event.price[facts.rows][column, 0] != 0.0
            asked, reason = 0, Reason.NO_FX if known else Reason.NO_BAR
        elif wanted:
            asked, reason = int(wanted), Reason.LOT
        else:
            return None
        day, symbol = facts.place.session[event.session].item(), facts.place.instruments[column].symbol
        return Unfilled(utc(event.at), utc(at), day, symbol, asked, 0, reason.name.lower())

    def _write_fills(self, log: Sequence[Decided | _Auction], trades: _Columns) -> None:
        """Write trades, in the order of their auctions, with their gains and causes."""
        gains = self._gains(trades)
        causes = self._causes(log, trades)
        cost = (trades["commission"] + trades["duty"] + trades["levies"] + trades["slippage"]) * trades["fx"]
        lanes = trades["lane"]
        for day, lane, amount in zip(trades["day"].tolist(), lanes.tolist(), cost.tolist(), strict=True):
            self._costs[day][lane] += amount
        copied = [name for name in self._fills[0].columns if name in trades]
        for lane in np.unique(lanes).tolist():
            own = np.flatnonzero(lanes == lane)
            self._fills[lane].extend(
                {name: trades[name][own].tolist() for name in copied}
                | {
                    "auction": [self._fill] * len(own), "shares": trades["filled"][own].astype(np.int64).tolist(),
                    "realized": [gains[at] for at in own.tolist()], "causes": [causes[at] for at in own.tolist()],
                }
            )  # fmt: skip

    def _gains(self, trades: _Columns) -> list[float]:
        """Return what each trade realized, trade after trade, and carry on what the open positions cost."""
        gains = []
        names = ("lane", "row", "filled", "held", "change")
        for lane, row, filled, held, change in zip(*(trades[name].tolist() for name in names), strict=True):
            basis = self._basis.get((lane, row), 0.0)
            closing = min(abs(filled), abs(held)) if filled * held < 0 else 0.0
            close_part = change * closing / abs(filled)
            released = basis * closing / abs(held) if closing else 0.0
            self._basis[lane, row] = basis + (-(change - close_part) - released)
            gains.append(close_part - released if closing else 0.0)
        return gains

    def _causes(self, log: Sequence[Decided | _Auction], trades: _Columns) -> list[tuple[Cause, ...]]:
        """Return the causes of each trade, and carry on those of the orders under way and of the open positions."""
        told = any(causes for each in log if isinstance(each, Decided) for *_, causes in each.asked)
        if not (told or self._asked or self._opened):
            return [()] * len(trades["lane"])
        found: list[tuple[Cause, ...]] = []
        names = ("number", "lane", "row", "filled", "held")
        rows = list(zip(*(trades[name].tolist() for name in names), strict=True))
        for each in log:
            if isinstance(each, Decided):
                self._remember(each.asked)
                continue
            while len(found) < len(rows) and rows[len(found)][0] == each.number:
                _, lane, row, filled, held = rows[len(found)]
                found.append(self._asked.get((lane, row), ()))
                if (held + filled) * filled > 0 and (not held or filled * held < 0):
                    self._opened[lane, row] = tuple(
                        Cause(c.headline_id, c.issuer, c.theme, c.model_id, c.strength, "opened") for c in found[-1]
                    )
        return found

    def _remember(self, asked: Asked) -> None:
        for lane, row, held, causes in asked:
            own = tuple(cause for cause in causes if cause.relation == "own")
            opened = self._opened.get((lane, row), ()) if held else ()
            self._asked[lane, row] = own or opened or causes


def _unfilled(orders: _Columns) -> Iterable[tuple[int, int, Unfilled]]:
    """Yield orders as rows of what was not filled in full."""
    names = ("number", "lane", "decision_at", "auction_at", "session", "instrument", "wanted", "filled", "reason")
    for number, lane, *row in zip(*(orders[name] for name in names), strict=True):
        decided_at, auction_at, session, symbol, wanted, filled, reason = row
        why = Reason(int(reason)).name.lower()
        yield (
            int(number), int(lane),
            Unfilled(utc(decided_at), utc(auction_at), session.item(), symbol, int(wanted), int(filled), why),
        )  # fmt: skip
