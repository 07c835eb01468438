"""Copies of a warehouse as if a moment had just come: every later row cut, or false.

A copy is a warehouse of its own, so that whatever reads the file itself finds the future gone or changed there too.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chipwire.data.calendars import auctions
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.data.warehouse_files import log_of
from chipwire.engine.validation.audit_live import How

SOURCES = ("bars", "signals", "headlines", "fx", "actions", "universe")
"""What is cut; results of earlier runs are taken out of every copy."""

_RESULTS = ("target", "fill", "fill_cause", "unfilled", "position", "equity", "run", "sweep", "sweep_row")
_OF_HEADLINES = ("score", "reading", "mention", "linked", "headline_ticker", "headline")
_MINUTES = {"m": 1, "h": 60}


@dataclass(frozen=True)
class Cut:
    """What is done to a copy.

    Attributes
    ----------
    moment : datetime
        UTC, naive: what is known then stays.
    latency_minutes : float
        Of the run: news counts as known so much later.
    volume_at_open : bool
        What fills at an open is simulated with the whole bar's volume, which therefore stays with the open.
    """

    moment: datetime
    how: How
    sources: tuple[str, ...] = SOURCES
    latency_minutes: float = 0.0
    volume_at_open: bool = True
    seed: int = 0


def copy_warehouse(source: Path, target: Path) -> None:
    """Copy a warehouse that nobody writes, its log included; the results of earlier runs are taken out."""
    shutil.copyfile(source, target)
    if log_of(source).exists():
        shutil.copyfile(log_of(source), log_of(target))
    with Warehouse.open(target, write=True, create=False, command="chipwire audit") as warehouse:
        for table in _RESULTS:
            warehouse.touch(table)
            warehouse.run(f"DELETE FROM {table}")  # noqa: S608 - names are ours


def cut_warehouse(path: Path, cut: Cut, universe: Universe) -> None:
    """Change a copy, in place."""
    random = np.random.default_rng(cut.seed)
    known = cut.moment - timedelta(minutes=cut.latency_minutes)
    with Warehouse.open(path, write=True, create=False, command="chipwire audit") as warehouse:
        # The bars say first which instruments have begun by then.
        unlisted = _unlisted(warehouse, cut, universe) if "universe" in cut.sources else []
        if "bars" in cut.sources:
            _bars(warehouse, cut, universe, random)
        if "universe" in cut.sources:
            _universe(warehouse, cut, universe, unlisted)
        if "signals" in cut.sources:
            _signals(warehouse, cut, known, random)
        if "headlines" in cut.sources:
            _headlines(warehouse, cut, known)
        if "fx" in cut.sources:
            _fx(warehouse, cut, random)
        if "actions" in cut.sources:
            _actions(warehouse, cut, universe, random)


def bar_times(warehouse: Warehouse, universe: Universe) -> pa.Table:
    """Return for every stored bar ``instrument, interval, starts_at, open_at, close_at``: when its prices are known.

    A daily bar opens and closes with its venue's session; one that lies on no session counts as its UTC day.
    """
    bars = warehouse.arrow("SELECT instrument, interval, session, starts_at FROM bar ORDER BY ALL")
    names = np.array(bars["instrument"].to_pylist(), dtype=object)
    interval = np.array(bars["interval"].to_pylist(), dtype=object)
    session = bars["session"].to_numpy().astype("datetime64[D]")
    starts = bars["starts_at"].to_numpy().astype("datetime64[us]")
    open_at, close_at = starts.copy(), starts + np.timedelta64(1, "D")
    for text in sorted(set(interval) - {"1d"}):
        rows = interval == text
        close_at[rows] = starts[rows] + np.timedelta64(int(text[:-1]) * _MINUTES[text[-1]], "m")
    venue_of = {name: universe.instruments[name].venue for name in set(names) if name in universe.instruments}
    mics = np.array([venue_of.get(name, "") for name in names], dtype=object)
    for mic in sorted(set(mics) - {""}):
        rows = np.flatnonzero((mics == mic) & (interval == "1d"))
        if len(rows):
            calendar = auctions(mic, session[rows].min().item(), session[rows].max().item())
            place = np.minimum(np.searchsorted(calendar.session, session[rows]), len(calendar.session) - 1)
            there = calendar.session[place] == session[rows]
            open_at[rows[there]] = calendar.open_at[place[there]]
            close_at[rows[there]] = calendar.close_at[place[there]]
    return pa.table(
        {"instrument": bars["instrument"], "interval": bars["interval"], "starts_at": starts, "open_at": open_at,
         "close_at": close_at}
    )  # fmt: skip


def _instant(moment: datetime) -> np.datetime64:
    return np.datetime64(moment, "us")


def _bars(warehouse: Warehouse, cut: Cut, universe: Universe, random: np.random.Generator) -> None:
    times = bar_times(warehouse, universe)
    open_at, close_at = times["open_at"].to_numpy(), times["close_at"].to_numpy()
    begun = open_at <= _instant(cut.moment)
    late = close_at > _instant(cut.moment)
    table = times.select(["instrument", "interval", "starts_at"]).append_column("begun", pa.array(begun))
    table = table.append_column("factor", pa.array(random.uniform(0.5, 2.0, len(begun))))
    table = table.append_column("gone", pa.array(random.uniform(size=len(begun)) < (1 if cut.how == "cut" else 0.1)))
    given = {"whole": cut.how == "cut", "keep_volume": cut.volume_at_open}
    late_bars = table.filter(pa.array(late))
    warehouse.run(load_sql("chipwire.engine.validation", "audit_bars_gone.sql"), late=late_bars)
    warehouse.run(load_sql("chipwire.engine.validation", "audit_bars_false.sql"), given, late=late_bars)


def _unlisted(warehouse: Warehouse, cut: Cut, universe: Universe) -> list[str]:
    """Return the instruments whose first bar lies after the moment."""
    times = bar_times(warehouse, universe)
    return [
        str(row[0])
        for row in warehouse.rows(
            "SELECT instrument FROM times GROUP BY instrument HAVING min(open_at) > ? ORDER BY instrument",
            [cut.moment], times=times,
        )
    ]  # fmt: skip


def _universe(warehouse: Warehouse, cut: Cut, universe: Universe, unlisted: Collection[str]) -> None:
    """Later listings never come; where values are false, others come instead and one instrument dies."""
    warehouse.run("DELETE FROM bar WHERE list_contains(?, instrument)", [list(unlisted)])
    if cut.how == "cut":
        return
    there = [row[0] for row in warehouse.rows("SELECT DISTINCT instrument FROM bar ORDER BY instrument")]
    tomorrow = (cut.moment + timedelta(days=1)).date()
    for name, instrument in sorted(universe.instruments.items()):
        donors = [other for other in there if universe.instruments[other].venue == instrument.venue]
        if instrument.kind == "stock" and name not in there and donors:
            warehouse.run(
                load_sql("chipwire.engine.validation", "audit_listing.sql"),
                {"name": name, "donor": donors[0], "day": tomorrow},
            )
            break
    stocks = [name for name in there if universe.instruments[name].kind == "stock"]
    if len(stocks) > 1:
        warehouse.run("DELETE FROM bar WHERE instrument = ? AND session > ?", [stocks[-1], tomorrow])


def _signals(warehouse: Warehouse, cut: Cut, known: datetime, random: np.random.Generator) -> None:
    if cut.how == "cut":
        warehouse.run("DELETE FROM signal WHERE available_at > ?", [known])
        return
    names = "headline_id, issuer, theme, model_id, linker"
    rows = warehouse.arrow(f"SELECT {names} FROM signal WHERE available_at > ? ORDER BY ALL", [known])  # noqa: S608
    shift = pa.array(random.integers(0, 10 * 86_400, rows.num_rows))
    untrue = rows.append_column("shift_s", shift).append_column("gone", pa.array(random.random(rows.num_rows) < 0.2))
    warehouse.run(load_sql("chipwire.engine.validation", "audit_signals_gone.sql"), untrue=untrue)
    warehouse.run(load_sql("chipwire.engine.validation", "audit_signals_false.sql"), untrue=untrue)


def _headlines(warehouse: Warehouse, cut: Cut, known: datetime) -> None:
    late = "SELECT headline_id FROM headline WHERE available_at IS NULL OR available_at > ?"
    if cut.how == "cut":
        for table in _OF_HEADLINES:
            warehouse.run(f"DELETE FROM {table} WHERE headline_id IN ({late})", [known])  # noqa: S608 - names are ours
        return
    warehouse.run(
        f"UPDATE score SET p_positive = p_negative, p_negative = p_positive WHERE headline_id IN ({late})",  # noqa: S608
        [known],
    )


def _fx(warehouse: Warehouse, cut: Cut, random: np.random.Generator) -> None:
    if cut.how == "cut":
        warehouse.run("DELETE FROM fx_rate WHERE available_at > ?", [cut.moment])
        return
    rows = warehouse.arrow("SELECT currency, fixed_on FROM fx_rate WHERE available_at > ? ORDER BY ALL", [cut.moment])
    untrue = rows.append_column("factor", pa.array(random.uniform(0.7, 1.4, rows.num_rows)))
    warehouse.run(
        "UPDATE fx_rate SET rate = rate * untrue.factor FROM untrue "
        "WHERE fx_rate.currency = untrue.currency AND fx_rate.fixed_on = untrue.fixed_on",
        untrue=untrue,
    )


def _actions(warehouse: Warehouse, cut: Cut, universe: Universe, random: np.random.Generator) -> None:
    """Take later actions away; false ones come on other days. One is known from the day on that is decided on it."""
    for name, day in sorted(_next_days(warehouse, cut, universe).items()):
        warehouse.run("DELETE FROM corporate_action WHERE instrument = ? AND ex_date >= ?", [name, day])
        if cut.how == "scrambled" and random.random() < 0.3:
            ex_date = day + timedelta(days=int(random.integers(0, 30)))
            row = {"instrument": [name], "ex_date": [ex_date], "kind": ["split"], "value": [2.0], "batch_id": [0]}
            warehouse.insert("corporate_action", pa.table(row))


def _next_days(warehouse: Warehouse, cut: Cut, universe: Universe) -> Mapping[str, date]:
    """Return for each instrument the first day of which nothing is known yet.

    An action of a session that is being decided is known; a decision comes at most two hours before its auction.
    """
    days: dict[str, date] = {}
    for (name,) in warehouse.rows("SELECT DISTINCT instrument FROM bar ORDER BY instrument"):
        if name not in universe.instruments:
            continue
        day = cut.moment.date()
        calendar = auctions(universe.instruments[name].venue, day - timedelta(days=15), day + timedelta(days=15))
        begun: NDArray[np.bool_] = calendar.open_at - np.timedelta64(2, "h") <= _instant(cut.moment)
        last = calendar.session[begun][-1].item() if begun.any() else day
        days[str(name)] = last + timedelta(days=1)
    return days
