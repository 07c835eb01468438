"""What a run leaves besides its trades, written at its end from what was told: the targets, and each day's account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.engine import rules
from chipwire.engine.columnar_plan import Event
from chipwire.engine.columnar_ports import Decision
from chipwire.engine.market import Floats
from chipwire.engine.records import Ledger
from chipwire.engine.view import Cause

Asked = list[tuple[int, int, bool, tuple[Cause, ...]]]
"""Lane, row, whether held, and causes, of each order of a decision."""


@dataclass(slots=True)
class Decided:
    """A decision as it was told, with what was held before it."""

    number: int
    event: Event
    decision: Decision
    held: Floats
    asked: Asked


@dataclass(slots=True)
class Day:
    """The end of a UTC day as it was told."""

    event: Event
    cash: Floats
    shares: Floats
    borrow: Floats
    dividends: Floats


def write_targets(ledgers: Sequence[Ledger], symbols: Sequence[Sequence[str]], decided: Sequence[Decided]) -> None:
    """Write the weights of all decisions; `symbols` of each venue, by which those of one decision are in order."""
    parts: list[tuple[NDArray[Any], ...]] = []
    for venue, names in enumerate(symbols):
        own = [each for each in decided if each.event.venue == venue]
        if not own:
            continue
        by_name = np.array(sorted(range(len(names)), key=names.__getitem__))
        weights = np.stack([each.decision.weights for each in own])[:, by_name]
        at, lane, place = np.nonzero(~np.isnan(weights.transpose(0, 2, 1)))
        instants = np.array([each.event.at for each in own], dtype="datetime64[us]")
        sorted_names = np.array(names, dtype=object)[by_name]
        number = np.array([each.number for each in own])
        parts.append((number[at], lane, instants[at], sorted_names[place], weights[at, place, lane]))
    if not parts:
        return
    number, lane, instant, symbol, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((lane, number))
    for each, ledger in enumerate(ledgers):
        chosen = order[lane[order] == each]
        columns = {"decision_at": instant, "instrument": symbol, "weight": weight}
        ledger.targets.extend({name: column[chosen].tolist() for name, column in columns.items()})


def write_days(
    ledgers: Sequence[Ledger], symbols: Sequence[str], days: Sequence[Day], charged: Sequence[Sequence[float]]
) -> None:
    """Write the positions and the account of every day; `charged` is what trading cost, by day and configuration."""
    # Shape (days, instruments, configurations), prices (days, instruments).
    shares = np.stack([each.shares for each in days])
    price, fx = (np.stack([getattr(each.event, name)[:, 0] for each in days]) for name in ("price", "fx"))
    value = shares * np.stack([each.event.mark for each in days])
    long, short = (
        _by_day(value, lambda each: np.maximum(each, 0.0)),
        _by_day(value, lambda each: np.maximum(-each, 0.0)),
    )
    cash, borrow, dividends = (
        np.stack([getattr(each, name) for each in days]) for name in ("cash", "borrow", "dividends")
    )
    equity, gross, paid = cash + long - short, long + short, np.array(charged)
    dates = np.array([each.event.day for each in days], dtype=object)
    names = np.array(symbols, dtype=object)
    for lane, ledger in enumerate(ledgers):
        at, row = np.nonzero(shares[:, :, lane])
        held, of_price, of_fx = shares[at, row, lane], price[at, row], fx[at, row]
        columns = {
            "day": dates[at], "instrument": names[row], "shares": held.astype(np.int64), "price": of_price,
            "fx": of_fx, "value": held * of_price * of_fx,
        }  # fmt: skip
        ledger.positions.extend({name: column.tolist() for name, column in columns.items()})
        amounts = {
            "equity": equity, "cash": cash, "gross": gross, "costs": paid, "borrow": borrow,
            "dividends": dividends,
        }  # fmt: skip
        ledger.equity.extend(
            {"day": dates.tolist()} | {name: array[:, lane].tolist() for name, array in amounts.items()}
        )


def _by_day(value: Floats, part: Callable[[Floats], Floats]) -> Floats:
    """Return the sum over instruments of a part of the values, to the bits of one day alone."""
    days, instruments, count = value.shape
    flat = np.ascontiguousarray(part(value).transpose(1, 0, 2)).reshape(instruments, days * count)
    total: Floats = rules.sum_rows(flat).reshape(days, count)
    return total
