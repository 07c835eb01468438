"""Where a run's profit and loss came from: tables by theme, event, issuer, venue, currency, side and kind of news.

Each table divides the same sum, final equity less capital, and shows what it cannot divide in lines of its own.

What a position made
--------------------
Each holding is valued at every fill and at every day's end, as the run itself did, and what it made is counted in
four columns, all base currency:

``price``
    shares × change of the local price × the later FX rate; fills count at the auction's own price.
``fx``
    shares × the earlier local price × change of the FX rate. Cash has no such line: it is always base currency.
``costs``
    Fees and slippage of the fills, negative.
``other``
    What is booked for the account as a whole: dividends received less paid, borrow cost.

A part of a share that a split leaves is paid out at the last price, which makes no profit; the amount is what the
day's cash says.

Whose it is
-----------
Issuer, venue and currency are the instrument's. Long or short is the sign of the position; a fill that turns it has
its costs divided by shares. Theme, event and kind of news (``direct``: the issuer was named; ``exposure``: moved though
not named) are those of the signals behind the fill that opened the position, weighed by the size of their strength at
that decision (equally where all are 0). A fill that adds to a position brings its own signals in proportion to its
shares; one that reduces it changes nothing, and its costs belong to what it reduces; one that closes or turns it ends
what was. A position that no signal on its issuer opened stands under `NO_HEADLINE`, with rivals' signals too: they say
why another instrument was not bought.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chipwire.reports.holdings import Floats, Holdings, Whole, holdings_of

TABLES = ("theme", "event", "issuer", "venue", "currency", "side", "via")
"""What the profit is divided by; ``via`` is direct or exposure."""
AMOUNTS = ("price", "fx", "costs", "other")
NO_HEADLINE = "no headline behind it"
DIVIDENDS, BORROW, UNEXPLAINED = "dividends", "borrow cost", "not explained"
REMAINDERS = (NO_HEADLINE, DIVIDENDS, BORROW, UNEXPLAINED)
_KIND = ("theme", "event", "via")
_CENT = 0.01


@dataclass(frozen=True)
class Attribution:
    """The profit of a run, divided.

    Attributes
    ----------
    table : DataFrame
        ``by`` (of `TABLES`), ``line``, `AMOUNTS`, ``total``: base currency in whole cents, each within a cent or two of
        the exact amount, so that every column and row adds up to the cent, and each table to final equity less capital.
        The largest totals first, then the lines of `REMAINDERS` that are not zero.
    trips : DataFrame
        One row for each position from nothing to nothing, or to its turn or the run's end: ``instrument``, ``side``,
        ``first_fill``, ``profit`` after costs, without dividends and borrow cost.
    """

    table: pd.DataFrame
    trips: pd.DataFrame


def attribute(
    equity: pd.DataFrame,
    fills: pd.DataFrame,
    positions: pd.DataFrame,
    causes: pd.DataFrame,
    issuers: Mapping[str, str | None],
    capital: float,
) -> Attribution:
    """Divide the profit of a run.

    Parameters
    ----------
    equity, fills, positions : DataFrame
        The run's rows of these tables; ``day`` and ``session`` hold `datetime.date`.
    causes : DataFrame
        From ``attribution.sql``.
    issuers : mapping
        Issuer by instrument; an instrument without one, or not in it, has a line of its own name.
    capital : float
        Base currency at the start.
    """
    made = holdings_of(equity, fills, positions, capital)
    own, signals = _signals(causes, made.number)
    held = _held_signals(made, own)
    labels = {
        "issuer": [issuers.get(name) or name for name in made.instrument],
        "venue": list(made.venue),
        "currency": list(made.currency),
    }
    account = {DIVIDENDS: float(equity["dividends"].sum()), BORROW: -float(equity["borrow"].sum())}
    profit = float(equity["equity"].iloc[-1]) - capital
    rows: list[tuple[Any, ...]] = []
    for by in TABLES:
        if by == "side":
            lines = _by_side(made)
        elif by in labels:
            lines = _by_label(made, labels[by])
        else:
            lines = _by_signal(made, held, own, signals[by])
        rows += _table(by, lines, account, profit)
    frame = pd.DataFrame(rows, columns=["by", "line", *AMOUNTS, "total"])
    amounts = [*AMOUNTS, "total"]
    table = frame.astype(dict.fromkeys(amounts, np.float64)).assign(**{name: frame[name] / 100 for name in amounts})
    return Attribution(table, _trips(made))


# --- the signals behind it -------------------------------------------------------------------------------


def _signals(causes: pd.DataFrame, number: Whole) -> tuple[Floats, dict[str, list[str]]]:
    """Return the weight of each kind of news behind each fill, shape (fills, kinds), and the kinds' labels by table.

    A kind is a theme, an event and direct or exposure. Weights sum to 1. The first kind is no headline at all.
    """
    causes = causes[causes["fill_no"].isin(number)]
    factors = [pd.factorize(causes[name], sort=True) for name in _KIND]
    shape = tuple(max(len(names), 1) for _, names in factors)
    kinds, place = np.unique(np.ravel_multi_index([codes for codes, _ in factors], shape), return_inverse=True)
    by_number = np.argsort(number)
    row = by_number[np.searchsorted(number, causes["fill_no"].to_numpy(dtype=np.int64), sorter=by_number)]
    weights, counts = np.zeros((2, len(number), 1 + len(kinds)))
    np.add.at(weights, (row, 1 + place), causes["size"].to_numpy(dtype=np.float64))
    np.add.at(counts, (row, 1 + place), 1.0)
    weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, counts)
    weights[weights.sum(axis=1) == 0, 0] = 1.0
    labels = {
        by: [NO_HEADLINE, *map(str, names[codes])]
        for by, (_, names), codes in zip(_KIND, factors, np.unravel_index(kinds, shape), strict=True)
    }
    return weights / weights.sum(axis=1, keepdims=True), labels


def _held_signals(made: Holdings, own: Floats) -> Floats:
    """Return the weights behind what is held after each fill, shape as `own`."""
    if own.shape[1] == 1:
        return own  # nothing but no headline at all: each weight is 1
    grows = ~made.opens & ~made.split & (np.abs(made.after) > np.abs(made.before))
    # Of each fill: the one that last changed what is behind the position. The row before is of the same instrument.
    source = np.maximum.accumulate(np.where(made.opens | grows, np.arange(len(own)), 0))
    held = own.copy()
    for row in np.flatnonzero(grows).tolist():
        part = made.before[row] / made.after[row]
        held[row] = part * held[source[row - 1]] + (1 - part) * own[row]
    behind: Floats = held[source]
    return behind


# --- lines -----------------------------------------------------------------------------------------------

Lines = dict[str, tuple[float, float, float]]
"""Price, FX and costs of each line."""


def _by_label(made: Holdings, labels: Sequence[str]) -> Lines:
    places, names = pd.factorize(np.array(labels, dtype=object), sort=True)
    costs = made.closing + made.opening
    sums = [np.bincount(places, weights=part, minlength=len(names)) for part in (made.price, made.fx, costs)]
    return {str(name): (float(p), float(f), float(c)) for name, p, f, c in zip(names, *sums, strict=True)}


def _by_side(made: Holdings) -> Lines:
    found: Lines = {}
    for name, sign in (("long", 1), ("short", -1)):
        held, was = made.after * sign > 0, made.before * sign > 0
        opened = (made.after - made.before) * sign > 0
        if held.any() or was.any():
            costs = math.fsum(made.closing[was]) + math.fsum(made.opening[opened])
            found[name] = (math.fsum(made.price[held]), math.fsum(made.fx[held]), costs)
    return found


def _by_signal(made: Holdings, held: Floats, own: Floats, labels: Sequence[str]) -> Lines:
    was = np.vstack([own[:1], held[:-1]])  # what a closing part goes against; without one its costs are 0
    # What a fill adds has costs for its own signals; a split has none at all.
    parts = (made.price[:, None] * held, made.fx[:, None] * held,
             made.closing[:, None] * was + made.opening[:, None] * own)  # fmt: skip
    prices, rates, costs = (part.sum(axis=0) for part in parts)
    found: Lines = {}
    for place, name in enumerate(labels):
        before = found.get(name, (0.0, 0.0, 0.0))
        found[name] = (before[0] + prices[place], before[1] + rates[place], before[2] + costs[place])
    return found


def _trips(made: Holdings) -> pd.DataFrame:
    opens = made.opens
    trip = np.cumsum(opens) - 1
    count = int(opens.sum())
    # The closing part of a fill that turns a position belongs to the position before it.
    ended = np.where(opens, trip - 1, trip)
    profit = np.bincount(trip[trip >= 0], weights=(made.price + made.fx + made.opening)[trip >= 0], minlength=count)
    closes = made.closing != 0
    profit += np.bincount(ended[closes], weights=made.closing[closes], minlength=count)
    return pd.DataFrame(
        {
            "instrument": made.instrument[opens],
            "side": np.where(made.after[opens] > 0, "long", "short"),
            "first_fill": made.number[opens],
            "profit": profit,
        }
    )


# --- to the cent -----------------------------------------------------------------------------------------


def _table(by: str, lines: Lines, account: Mapping[str, float], profit: float) -> list[tuple[Any, ...]]:
    """Return one table's rows in whole cents that add up, without the lines that are zero."""
    cells = {name: [*amounts, 0.0] for name, amounts in lines.items()}
    cells |= {name: [0.0, 0.0, 0.0, amount] for name, amount in account.items() if amount}
    missing = profit - math.fsum(amount for amounts in cells.values() for amount in amounts)
    if abs(missing) >= _CENT / 2:
        cells[UNEXPLAINED] = [0.0, 0.0, 0.0, missing]
    # Rounding errors of sums are no part of a cent.
    exact = np.round(np.array(list(cells.values())).reshape(len(cells), len(AMOUNTS)) / _CENT, 6)
    columns = _whole(np.array([math.fsum(column) for column in exact.T]), round(profit / _CENT))
    cents = np.array([_whole(column, int(sum_)) for column, sum_ in zip(exact.T, columns, strict=True)]).T
    cents = cents.reshape(len(cells), len(AMOUNTS)).astype(np.int64)
    rows = [(by, name, *row, sum(row)) for name, row in zip(cells, cents.tolist(), strict=True)]
    rows = [row for row in rows if any(row[2:])]
    rows.sort(key=lambda row: (REMAINDERS.index(row[1]) + 1 if row[1] in REMAINDERS else 0, -row[-1], row[1]))
    return rows


def _whole(exact: Floats, total: int) -> Whole:
    """Round to whole numbers that sum to `total`: what is missing goes to those that were cut most."""
    floor = np.floor(exact)
    missing = total - int(floor.sum())
    if len(exact) and missing:
        place = np.argsort(floor - exact, kind="stable") if missing > 0 else np.argsort(exact - floor, kind="stable")
        floor[np.resize(place, abs(missing))] += math.copysign(1, missing)
    return floor.astype(np.int64)
