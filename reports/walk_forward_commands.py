"""What ``sweep`` says of luck: walk-forward on request, else the deflated Sharpe ratio and overfitting of its rows."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from chipwire.data.errors import BadParameter, ChipwireError, InputError, NothingToDo, counted
from chipwire.reports.app import App, F
from chipwire.reports.sweep_text import chance, luck_sentences, two
from chipwire.reports.terminal import Column, print_figures, print_table
from chipwire.reports.values import percent

if TYPE_CHECKING:
    from chipwire.data.warehouse import Warehouse
    from chipwire.engine.sweep_grid import Grid
    from chipwire.engine.sweep_task import Loaded
    from chipwire.engine.validation.curves import CurveKeeper, Curves
    from chipwire.engine.validation.walk_forward import Asked

_NAMES = {
    "total_return": "Total return", "annual_return": "Annual return", "annual_volatility": "Volatility",
    "sharpe": "Sharpe ratio", "sortino": "Sortino ratio", "max_drawdown": "Max drawdown", "calmar": "Calmar ratio",
}  # fmt: skip
_PERCENT = frozenset({"total_return", "annual_return", "max_drawdown"})


def options(command: F) -> F:
    """Give `sweep` the options of a walk-forward."""
    walk = "Choose by --sort on TRAIN sessions, trade the choice on the next TEST, and again."
    anchored = "Choose on all sessions since the start, not the last TRAIN."
    command = click.option("--anchored", is_flag=True, help=anchored)(command)
    for name, what in (
        ("--embargo", "Leave so many more out, and after a test of the cross-validation."),
        ("--purge", "Leave so many sessions out between choosing and testing."),
    ):
        command = click.option(name, type=click.IntRange(0), metavar="SESSIONS", help=f"{what} [default: 0]")(command)
    return click.option("--walk-forward", metavar="TRAIN/TEST", help=walk)(command)


def asked_for(
    walk_forward: str | None, purge: int | None, embargo: int | None, anchored: bool, sort: str, grid: Grid
) -> Asked | None:
    """Return what the options ask for, or None for a plain sweep.

    Raises
    ------
    InputError
        A part of a walk-forward without ``--walk-forward``, or sizes that are not two whole numbers.
    BadParameter
        Something else than parameters takes several values: what costs are assumed, say, is not a choice.
    """
    if walk_forward is None:
        for name, given in (("--purge", purge), ("--embargo", embargo), ("--anchored", anchored or None)):
            if given is not None:
                raise InputError(f"{name} belongs to a walk-forward: give --walk-forward TRAIN/TEST, e.g. 252/63")
        return None
    from chipwire.engine.validation.walk_forward import Asked

    train, _, test = walk_forward.partition("/")
    if not (train.isdecimal() and test.isdecimal() and int(train) and int(test)):
        raise BadParameter("walk-forward", walk_forward, "TRAIN/TEST, two numbers of sessions, e.g. 252/63")
    for axis in grid.varied():
        if axis.of != "params":
            raise BadParameter(
                axis.name, axis.text, "one value with --walk-forward, which chooses parameters (-p) only"
            )
    return Asked(int(train), int(test), purge or 0, embargo or 0, anchored, sort)


def keeper(grid: Grid, asked: Asked | None) -> CurveKeeper | None:
    """Return what keeps the curves of a sweep, where they will be needed."""
    from chipwire.engine.validation.curves import CurveKeeper
    from chipwire.engine.validation.sweep_luck import MOST_CONFIGURATIONS

    return CurveKeeper() if asked is not None or 1 < grid.size <= MOST_CONFIGURATIONS else None


# --- a plain sweep ---------------------------------------------------------------------------------------


def tell_luck(app: App, warehouse: Warehouse, kind: Any, grid: Grid, sweep_id: str, kept: CurveKeeper | None) -> None:
    """Work out what luck could have made of a sweep's best row, store it and say it."""
    from chipwire.engine.validation import store, sweep_luck

    if kept is None:
        if grid.size == 1:
            return
        most = sweep_luck.MOST_CONFIGURATIONS
        app.say(f"luck: not computed for more than {most:,} configurations, whose curves would have to be kept")
    else:
        known = sweep_luck.luck_now(warehouse, sweep_id, kind.name)
        if known is None or known["deflated_sharpe"] is None or kept.rows:
            try:
                curves, _ = _curves(app, warehouse, kind, grid, sweep_id, kept)
                found = sweep_luck.look(warehouse, kind.name, curves)
            except ChipwireError as error:
                app.say(f"luck: not computed: {error}")
            else:
                if found is None:
                    app.say("luck: not computed: no configuration has a Sharpe ratio")
                    return
                store.store(warehouse, sweep_id, "luck", found.as_json())
    _say_luck(app, sweep_luck.luck_now(warehouse, sweep_id, kind.name))


def _say_luck(app: App, luck: Mapping[str, Any] | None) -> None:
    for sentence in luck_sentences(luck) if luck else ():
        app.say(f"luck: {sentence}")


def _curves(
    app: App, warehouse: Warehouse, kind: Any, grid: Grid, sweep_id: str, kept: CurveKeeper
) -> tuple[Curves, Loaded]:
    """Return the curves of all rows with figures, those of earlier calls run once more, and what they share."""
    from chipwire.engine.sweep import run_again
    from chipwire.engine.sweep_block import ColumnarLedger

    sql = "SELECT row_no FROM sweep_row WHERE sweep_id = ? AND error IS NULL"
    missing = {row_no for (row_no,) in warehouse.rows(sql, [sweep_id])} - kept.rows
    with contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no data
        shared = run_again(warehouse, app.universe(), kind, grid, ColumnarLedger(kept.take), missing)
    return kept.curves(), shared


# --- walk-forward ----------------------------------------------------------------------------------------


def walk(
    app: App, warehouse: Warehouse, kind: Any, grid: Grid, sweep_id: str, kept: CurveKeeper, asked: Asked, fmt: str
) -> None:
    """Walk forward over a sweep that has run, store what came out, and print it."""
    from chipwire.engine.sweep_block import ColumnarLedger
    from chipwire.engine.validation import store, sweep_luck
    from chipwire.engine.validation.walk_forward import walk_forward

    curves, loaded = _curves(app, warehouse, kind, grid, sweep_id, kept)
    with contextlib.redirect_stdout(sys.stderr):
        walked = walk_forward(kind, loaded, curves, asked, ColumnarLedger())
    best = sweep_luck.look(warehouse, kind.name, curves)
    if best is None:
        raise InputError("no configuration traded: there is nothing to choose from; see 'chipwire sweeps show latest'")
    store.store(warehouse, sweep_id, "luck", best.as_json())
    report = sweep_luck.report(warehouse, sweep_id, kind.name, curves, asked, walked, best)
    store.store(warehouse, sweep_id, "walk_forward", report.as_json())
    show_stored(app, warehouse, sweep_id, fmt)


def print_walk(app: App, found: Mapping[str, Any], varied: list[str], fmt: str) -> None:
    """Print a stored walk-forward: a table of windows and the figures, one JSON object, or the windows as csv."""
    if fmt == "json":
        click.echo(_json(found))
    else:
        _print_windows(found, varied, fmt)
    _say_luck(app, found["sweep"])
    app.say(found["sentence"])


def _print_windows(found: Mapping[str, Any], varied: list[str], fmt: str) -> None:
    rows = []
    for window in found["windows"]:
        place = _place(window, found) if fmt == "table" else window["place"]
        rows.append({**window, "place": place, **{f"-p {name}": window["params"].get(name) for name in varied}})
    columns: list[str | Column] = [
        Column("train_first", "chosen on"), Column("train_last", "to"), Column("test_first", "traded on"),
        Column("test_last", "to"), "row", *(Column(f"-p {name}", name) for name in varied),
        Column("in_sample", f"{found['measure']} in sample"), Column("out_of_sample", "out of sample"), "place",
    ]  # fmt: skip
    print_table(rows, columns, fmt)
    if fmt == "table":
        click.echo()
        print_figures(_figures(found))


def _place(window: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return "" if window["place"] is None else f"{window['place']} of {found['sweep']['configurations']}"


def _figures(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return label and value of the figures out of sample, each with its interval."""
    luck = found["luck"]
    pairs = []
    for name, label in _NAMES.items():
        each = luck["intervals"][name]
        form = _per_cent if name in _PERCENT else _volatility if name == "annual_volatility" else two
        span = f"{form(each['value'])}  ({form(each['low'])} to {form(each['high'])})"
        pairs.append((f"{label}, out of sample", span))
    walks = counted(luck["trials"], "walk-forward")
    pairs.append(("Probabilistic Sharpe ratio", chance(luck["probabilistic_sharpe"])))
    pairs.append((f"Deflated Sharpe ratio, {walks} tried", chance(luck["deflated_sharpe"])))
    if luck["minimum_days"] is not None:
        pairs.append(("Days it takes to be sure", f"{luck['minimum_days']:,.0f} ({luck['days']:,} there)"))
    if paths := found["paths"]:
        label = f"Sharpe ratio on {counted(len(paths['sharpe']), 'cross-validated path')}"
        pairs.append((label, f"{two(paths['mean'])}  ({two(paths['sharpe'][0])} to {two(paths['sharpe'][-1])})"))
    pairs.append(("Changes of configuration", f"{found['changes']} in {counted(len(found['windows']), 'window')}"))
    return pairs


def _json(found: Mapping[str, Any]) -> str:
    import json

    return json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False)


def _per_cent(value: float | None) -> str:
    return percent(float("nan") if value is None else value)


def _volatility(value: float | None) -> str:
    return percent(float("nan") if value is None else value, signed=False)


# --- what is stored --------------------------------------------------------------------------------------


def show_stored(app: App, warehouse: Warehouse, reference: str, fmt: str) -> None:
    """Print the last walk-forward of a sweep, deflated by all that was tried up to now.

    Raises
    ------
    NothingToDo
        It has none.
    """
    from chipwire.engine.validation.sweep_luck import walk_forward_now
    from chipwire.reports.sweep_tables import find_sweep

    sweep = find_sweep(warehouse, reference)
    found = walk_forward_now(warehouse, sweep.sweep_id)
    if found is None:
        what = f"sweep {sweep.sweep_id} has no walk-forward"
        raise NothingToDo(what, "make one: give the same 'chipwire sweep ...' with --walk-forward 252/63")
    varied = [axis["name"] for axis in sweep.axes if axis["of"] == "params" and axis["values"] > 1]
    print_walk(app, found, varied, fmt)


def tell_stored(app: App, warehouse: Warehouse, reference: str) -> None:
    """Say what luck could have made of a stored sweep, with all that was tried up to now."""
    from chipwire.engine.validation.sweep_luck import luck_now, walk_forward_now
    from chipwire.reports.sweep_tables import find_sweep

    sweep = find_sweep(warehouse, reference)
    _say_luck(app, luck_now(warehouse, sweep.sweep_id, sweep.strategy))
    if found := walk_forward_now(warehouse, sweep.sweep_id):
        app.say(found["sentence"])
