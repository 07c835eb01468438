"""What happens in a run, worked out once for all configurations: events in order, prices, rates, rules.

Nothing of it depends on what anybody holds: prices known at each event, FX, lots, limits, fee rates, and on which
side each instrument is blocked at each auction. Facts change on few days only, so that each dated table is asked
once for each period between its dates and not once for each session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from chipwire.data.fees import FeeTable
from chipwire.data.market_rules import MarketRules
from chipwire.engine.account import known_close
from chipwire.engine.columnar_facts import VenueFacts, actions_by_session, dead_by_session, rates_to_base, venue_facts
from chipwire.engine.market import Action, Floats, Market
from chipwire.engine.settings import Settings
from chipwire.engine.timeline import Clock, clock

BEGIN, DECIDE, AUCTION, DAY = "begin", "decide", "auction", "day"


@dataclass(slots=True)
class Event:
    """One thing that happens.

    Attributes
    ----------
    kind : str
        ``begin`` of a session that may change holdings, ``decide``, ``auction`` or ``day`` (its end).
    session : int
        Row of the venue's arrays: a session, or a bar finer than a day.
    price, fx : ndarray, shape (all instruments, 1)
        As known at the event; at an auction before it, at a begin before the session's actions. 0 where nothing
        is known: nothing is held there.
    mark : ndarray
        ``price * fx``: what one share is worth in the base currency.
    cost : ndarray, shape (the venue's instruments, 1)
        For ``decide``, the same at the venue, NaN where no order can be sized.
    sizable : bool
        Whether no `cost` is NaN.
    actions, dead
        For ``begin``: corporate actions by instrument, and instruments whose bars have ended for good.
    """

    kind: str
    venue: int
    session: int
    at: np.datetime64
    price: Floats
    fx: Floats
    mark: Floats
    cost: Floats
    sizable: bool
    day: date | None = None
    actions: tuple[tuple[int, tuple[Action, ...]], ...] = ()
    dead: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything of a run that its configurations share."""

    market: Market
    facts: tuple[VenueFacts, ...]
    events: tuple[Event, ...]
    days: tuple[date, ...]

    @property
    def instruments(self) -> int:
        """Number of instruments of all venues."""
        return self.facts[-1].rows.stop if self.facts else 0


def make_plan(market: Market, settings: Settings, fee_table: FeeTable, market_rules: MarketRules) -> Plan:
    """Work out the events of a run and the rules that hold at each; only `fill` is read from the settings."""
    facts, stop = [], 0
    for place in market.venues:
        rows = slice(stop, stop + len(place.instruments))
        facts.append(venue_facts(market, place, rows, settings.fill, fee_table, market_rules))
        stop = rows.stop
    times = clock(market)
    events = _Events(market, facts, times, settings.fill).make() if len(times.at) else []
    days = tuple(event.day for event in events if event.day is not None)
    return Plan(market, tuple(facts), tuple(events), days)


class _Events:
    """Puts the steps of all venues into one list, with the prices and rates known at each."""

    def __init__(self, market: Market, facts: list[VenueFacts], times: Clock, fill: str) -> None:
        self._market, self._facts, self._times, self._fill = market, facts, times, fill
        self._due = [actions_by_session(venue.place) for venue in facts]
        self._dead = [dead_by_session(venue.place) for venue in facts]
        self._venue, self._session = times.venue.tolist(), times.session.tolist()
        # After its k-th session's begin, open and close a venue's prices are in rows 3k, 3k + 1 and 3k + 2.
        self._before, self._after = self._price_rows()
        last_of_moment = np.append(np.flatnonzero(times.moment[1:] != times.moment[:-1]), len(times.moment) - 1)
        self._moment_end = last_of_moment[times.moment]

    def _price_rows(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return for each step and venue the row of its known prices, before the step's mark and after it."""
        times, count = self._times, len(self._facts)
        reached = np.full((len(times.at), count), -1, dtype=np.intp)
        begun = reached.copy()
        steps = np.arange(len(times.at))
        mark = np.where(times.kind == "close", 2, np.where(times.kind == "open", 1, 0))
        reached[steps, times.venue] = 3 * times.session + mark
        begun[steps, times.venue] = 3 * times.session
        after = np.maximum.accumulate(reached, axis=0)
        before = np.maximum(np.vstack([np.full(count, -1), after[:-1]]), begun)
        return before, after

    def make(self) -> list[Event]:
        """Return the events in order: at one instant auctions, then sessions that begin, the day's end, decisions."""
        times = self._times
        steps = np.arange(len(times.at))
        first = np.zeros(len(steps), dtype=bool)
        seen = np.unique(times.venue * (times.session.max() + 1) + times.session, return_index=True)[1]
        first[seen] = True
        # Within a moment: auctions with the begins before them, the day's end, decisions.
        chosen = (
            (BEGIN, steps[first & self._matters()], 0, 0),
            (AUCTION, steps[times.kind == self._fill], 0, 1),
            (DAY, steps[times.ends_day], 1, 0),
            (DECIDE, steps[times.kind == "decide"], 2, 0),
        )
        step = np.concatenate([each for _, each, _, _ in chosen])
        kind = np.concatenate([np.full(len(each), name) for name, each, _, _ in chosen])
        rank = np.concatenate([np.full(len(each), number) for _, each, number, _ in chosen])
        after = np.concatenate([np.full(len(each), number) for _, each, _, number in chosen])
        order = np.lexsort((after, step, rank, times.moment[step]))
        step, kind, late = step[order], kind[order], rank[order] > 0
        price, fx = self._prices(step, late, kind == BEGIN), self._rates(step)
        mark = price * fx
        cost = np.where((price > 0.0) & (fx > 0.0) & np.isfinite(mark), mark, np.nan)
        known = np.isfinite(cost[:, :, 0])
        sizable = np.column_stack([known[:, facts.rows].all(axis=1) for facts in self._facts]).tolist()
        # Taken apart row by row in one go: there are thousands of events.
        parts = zip(kind.tolist(), step.tolist(), times.at[step], price, fx, mark, cost, sizable, strict=True)
        return [self._event(*part) for part in parts]

    def _matters(self) -> NDArray[np.bool_]:
        """Return which steps could find something to do when their session begins: borrow, actions, locks, ends."""
        times = self._times
        due = np.zeros(len(times.at), dtype=bool)
        for index, facts in enumerate(self._facts):
            own = np.flatnonzero(times.venue == index)
            row, starts = times.session[own], facts.place.day_start
            always = bool(facts.short_allowed.any()) or facts.locks
            changes = np.isin(row, sorted({*self._due[index], *self._dead[index]}))
            # Within a session, that is with bars finer than a day, nothing begins.
            due[own] = (changes | always) & (starts[row] == row)
        return due

    def _prices(self, order: NDArray[np.intp], late: NDArray[np.bool_], begins: NDArray[np.bool_]) -> Floats:
        parts = []
        for index, facts in enumerate(self._facts):
            initial = known_close(facts.place, facts.place.first, through=facts.place.first - 1)
            every = np.stack([facts.known_begin, facts.known_open, facts.known_close], axis=1)
            rows = np.vstack([initial, every.reshape(-1, every.shape[-1])])
            at = np.where(late, self._after[self._moment_end[order], index], self._before[order, index])
            # Borrowing is paid at the price before the session's actions, which `begin` then applies itself.
            own = begins & (self._times.venue[order] == index)
            at = np.where(own, np.maximum(self._after[np.maximum(order - 1, 0), index], -1), at)
            at = np.where(own & (order == 0), -1, at)
            parts.append(rows[at + 1])
        known: Floats = np.nan_to_num(np.concatenate(parts, axis=1))[:, :, None]
        return known

    def _rates(self, order: NDArray[np.intp]) -> Floats:
        at = self._times.at[order]
        by_currency: dict[str, Floats] = {}
        columns = []
        for facts in self._facts:
            for instrument in facts.place.instruments:
                if instrument.currency not in by_currency:
                    by_currency[instrument.currency] = rates_to_base(self._market, instrument.currency, at)
                columns.append(by_currency[instrument.currency])
        return np.nan_to_num(np.column_stack(columns))[:, :, None]

    def _event(
        self, kind: str, step: int, at: np.datetime64, price: Floats, fx: Floats, mark: Floats, cost: Floats,
        sizable: list[bool],
    ) -> Event:  # fmt: skip
        venue, session = self._venue[step], self._session[step]
        own = cost[self._facts[venue].rows] if kind == DECIDE else cost
        event = Event(kind, venue, session, at, price, fx, mark, own, sizable[venue])
        if kind == DAY:
            event.day = at.astype("datetime64[D]").item()
        elif kind == BEGIN:
            event.actions = tuple(self._due[venue].get(session, ()))
            event.dead = self._dead[venue].get(session, ())
        return event
