"""The commands that try many configurations and compare: sweep, sweeps, runs compare. ``cli.py`` takes them in."""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chipwire.data.errors import DomainError, InputError, counted
from chipwire.engine.settings import Settings
from chipwire.reports import inspection, walk_forward_commands
from chipwire.reports.app import App, F, listing, pair, pass_app
from chipwire.reports.sweep_tables import FIGURES
from chipwire.reports.terminal import Column, print_table

if TYPE_CHECKING:
    from chipwire.data.warehouse import Warehouse
    from chipwire.engine.sweep import SweepResult
    from chipwire.engine.sweep_grid import Grid
    from chipwire.engine.validation.curves import CurveKeeper
    from chipwire.engine.validation.walk_forward import Asked

ASK_ABOVE = 10_000
SWEPT = {
    "start": "First session; the first day with all that is needed if not given.",
    "end": "Last session; that of the last bar if not given.",
    "capital": "In the base currency.",
    "currency": "Base currency.",
    "fill": "open, close or both.",
    "interval": "Of the bars traded on: 1d, 1h, 30m, ...; finer ones fill at the open only.",
    "instruments": "Joined by +, e.g. NVDA+AMD; all shares with bars in the span if not given.",
    "latency_minutes": "News is known so much later.",
    "cutoff_minutes": "Decide so long before the auction; the venue's own if not given.",
    "band": "Part of equity too small to trade.",
    "slippage_bps": "Worsens each fill.",
    "impact": "Square-root impact coefficient.",
    "participation": "Largest part of a bar's volume.",
    "leverage": "Largest gross exposure over equity.",
    "fee_multiple": "Fees and borrowing cost so many times their due.",
}
"""The settings of a run that a sweep can vary; benchmarks change no figure."""


def _settings_options(command: F) -> F:
    """Give a command an option for each setting, in the order of `SWEPT`."""
    defaults = {field.name: field.default for field in fields(Settings)}
    for name, what in reversed(SWEPT.items()):
        default = defaults[name]
        shown = f" [default: {default}]" if isinstance(default, str | float) else ""
        command = click.option(f"--{name.replace('_', '-')}", metavar="VALUES", help=what + shown)(command)
    return command


def _rows_options(command: F) -> F:
    """Give a command the options of a list of rows."""
    command = click.option("--force", is_flag=True, help="Overwrite files that are there.")(command)
    command = click.option("--out", type=click.Path(path_type=Path), help="Write all rows to a .csv or .parquet file.")(
        command
    )
    command = click.option("--top", type=click.IntRange(0), default=20, show_default=True,
                           help="Print the best N; 0: all.")(command)  # fmt: skip
    return click.option("--sort", type=click.Choice(FIGURES), default="sharpe", show_default=True, metavar="FIGURE",
                        help=f"Best first by one of {', '.join(FIGURES)}.")(command)  # fmt: skip


def _page_option(command: F) -> F:
    return click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page to FILE.")(
        command
    )


@click.command()
@click.argument("strategy")
@click.option("-p", "params", multiple=True, metavar="NAME=VALUES", help="A parameter of the strategy.")
@_settings_options
@click.option("--model", metavar="VALUES", help="Model ids or names [default: the one that scored last].")
@click.option("--draws", type=click.IntRange(0), default=0, help="How often random values are drawn, all at once.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random values.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that run blocks side by side; 1: this one only [default: the cores at hand, at most 8].",
)
@click.option("--yes", is_flag=True, help=f"Run more than {ASK_ABOVE:,} configurations.")
@walk_forward_commands.options
@_rows_options
@listing
@pass_app
def sweep(
    app: App, /, strategy: str, params: tuple[str, ...], model: str | None, draws: int, seed: int, jobs: int | None,
    yes: bool, walk_forward: str | None, purge: int | None, embargo: int | None, anchored: bool,
    sort: str, top: int, out: Path | None, force: bool, fmt: str, **given: str | None,
) -> None:  # fmt: skip
    """Try many configurations of a strategy at once: lists, ranges and random draws of parameters and settings.

    VALUES are a,b,c or LO:HI:STEP (HI included), or random:int:LO:HI, random:uniform:LO:HI, random:log:LO:HI or
    random:choice:a,b,c with --draws. Commas separate values: inside a value that is a list of words (themes,
    instruments) write + instead, around any other value with a comma put double quotes. Lists and ranges are crossed;
    each joint draw of all random values is crossed with them.

    The same call goes on where an earlier one was stopped. Each row prints the command that runs it alone (--json).
    With --walk-forward 252/63 is printed, instead of the rows, what a trader would have had who chose the parameters
    by the last 252 sessions, traded them for 63, and chose again.

    Example: chipwire sweep theme-momentum -p half_life=1,2,3 -p threshold=0:0.5:0.05 --fill open,close
    """
    from chipwire.engine.sweep_grid import make_grid
    from chipwire.reports.sweep_tables import check_out
    from chipwire.strategies.registry import strategy_class

    kind = strategy_class(strategy)
    settings = {name: text for name, text in given.items() if text is not None}
    if not {"start", "end"} <= settings.keys():
        settings = _with_span(app, kind, settings)
    grid = make_grid(kind, [pair(text, "-p") for text in params], settings, model=model, draws=draws, seed=seed)
    if grid.size > ASK_ABOVE and not yes:
        raise InputError(f"{grid.size:,} configurations are more than {ASK_ABOVE:,}: say --yes, or give fewer values")
    asked = walk_forward_commands.asked_for(walk_forward, purge, embargo, anchored, sort, grid)
    if out is not None:
        if asked:
            raise InputError("--out writes rows: without it here, then 'chipwire sweeps show latest --out FILE'")
        check_out(out, force=force)
    kept = walk_forward_commands.keeper(grid, asked)
    with app.open("sweep", write=True) as warehouse:
        done = _run(app, warehouse, kind, grid, strategy, seed, jobs, kept, asked)
        for warning in done.warnings:
            app.warn(warning)
        if asked and kept is not None:
            walk_forward_commands.walk(app, warehouse, kind, grid, done.sweep_id, kept, asked, fmt)
        else:
            _show(app, warehouse, done.sweep_id, sort, top, out, force, fmt)
            walk_forward_commands.tell_luck(app, warehouse, kind, grid, done.sweep_id, kept)
        if done.failed:
            _raise_first(warehouse, done)


def _with_span(app: App, kind: Any, settings: dict[str, str]) -> dict[str, str]:
    """Return the settings with the longest span that the warehouse allows, and say which it is."""
    from chipwire.data.intervals import INTERVALS
    from chipwire.engine.sweep import longest_span

    words = re.findall(r"\w+", settings.get("interval", ""))
    intervals = [name for name in ("1d", *INTERVALS) if name in words] or ["1d"]
    with app.open("sweep", write=True) as warehouse:
        start, end = longest_span(warehouse, kind, intervals)
    span = {"start": start.isoformat(), "end": end.isoformat()}
    added = {name: text for name, text in span.items() if name not in settings}
    app.say(" and ".join(f"{name} {text}" for name, text in added.items()) + ", as far as the data reach")
    return added | settings


def _run(
    app: App, warehouse: Warehouse, kind: Any, grid: Grid, reference: str, seed: int, jobs: int | None,
    kept: CurveKeeper | None, asked: Asked | None,
) -> SweepResult:  # fmt: skip
    """Run what is missing; when stopped, say how much is stored."""
    from chipwire.engine.sweep import run_sweep
    from chipwire.engine.workers import default_jobs

    begun: list[str] = []

    def on_begin(sweep_id: str, size: int, there: int) -> None:
        begun.append(sweep_id)
        known = f", {there:,} of them done before" if there else ""
        app.say(f"sweep {sweep_id}: {_configurations(size)}{_shape(grid, size)}{known}")

    try:
        # What a strategy prints is no data.
        with contextlib.redirect_stdout(sys.stderr), app.progress("sweep", plain=True) as advance:
            done = run_sweep(warehouse, app.universe(), kind, grid, reference=reference, seed=seed,
                             jobs=jobs or default_jobs(), on_equity=kept.take if kept else None,
                             on_sessions=asked.windows if asked else None,
                             on_begin=on_begin, on_progress=advance)  # fmt: skip
    except (KeyboardInterrupt, SystemExit):
        with contextlib.suppress(Exception):
            count = warehouse.value("SELECT count(*) FROM sweep_row WHERE sweep_id = ?", begun)
            app.say(f"sweep {begun[0]}: {counted(count, 'configuration is', 'configurations are')} stored")
        raise
    if done.changed:
        app.say(f"{_configurations(done.changed)} ran anew: data, model or strategy changed since")
    return done


def _shape(grid: Grid, size: int) -> str:
    """Return how the number comes about, such as `` (half_life 6 x threshold 11)``."""
    parts = [f"{axis.name} {len(axis.values)}" for axis in grid.varied() if not axis.drawn]
    if grid.draws:
        drawn = ", ".join(axis.name for axis in grid.axes if axis.drawn)
        parts.append(f"{counted(grid.draws, 'draw')} of {drawn}")
    same = f"; {grid.size - size:,} were drawn twice" if size < grid.size else ""
    return f" ({' x '.join(parts)}{same})" if parts else ""


def _show(
    app: App, warehouse: Warehouse, reference: str, sort: str, top: int, out: Path | None, force: bool, fmt: str
) -> None:
    """Print the best rows and write all of them where asked."""
    from chipwire.reports import sweep_tables
    from chipwire.reports.sweep_text import tried_so_far

    found = sweep_tables.find_sweep(warehouse, reference)
    rows = sweep_tables.sweep_rows(warehouse, found, sort=sort, top=0 if out else top, words=app.words)
    if out:
        columns = [column.key for column in sweep_tables.table_columns(found, rows, sort, "csv")]
        sweep_tables.write_rows(rows, columns, out, force=force)
        app.say(f"{counted(len(rows), 'row')} written to {out}")
        rows = rows[:top] if top else rows
    print_table(rows, sweep_tables.table_columns(found, rows, sort, fmt), fmt)
    if len(rows) < found.done:
        app.say(f"the best {len(rows):,} of {found.done:,} rows by {sort}; --top 0 prints all")
    if found.done < found.configurations:
        left = found.configurations - found.done
        verb = "is" if left == 1 else "are"
        app.say(f"{left:,} of {_configurations(found.configurations)} {verb} still to run")
    if rows and rows[0][sort] is not None:
        app.say(f"row {rows[0]['row']} alone: {rows[0]['command']}")
    app.say(tried_so_far(warehouse, found.strategy))


def _raise_first(warehouse: Warehouse, done: SweepResult) -> None:
    """Say how many rows have no figures, and why the first has none."""
    row, error = warehouse.rows(
        "SELECT row_no, error FROM sweep_row WHERE sweep_id = ? AND error IS NOT NULL ORDER BY row_no LIMIT 1",
        [done.sweep_id],
    )[0]
    raise DomainError(f"{done.failed:,} of {_configurations(done.configurations)} gave no figures; row {row}: {error}")


def _configurations(count: int) -> str:
    return counted(count, "configuration")


@click.group()
def sweeps() -> None:
    """List stored sweeps and show their rows.

    Example: chipwire sweeps show latest
    """


@sweeps.command("list")
@listing
@pass_app
def sweeps_list(app: App, fmt: str) -> None:
    """List the stored sweeps, the latest last.

    Example: chipwire sweeps list --json
    """
    from chipwire.reports.sweep_tables import list_sweeps

    with app.open("sweeps list") as warehouse:
        rows = list_sweeps(warehouse)
    print_table(rows, ("sweep_no", "sweep_id", "strategy", "configurations", "done", "failed", "best_sharpe", "axes"),
                fmt)  # fmt: skip


@sweeps.command("show")
@click.argument("sweep", default="latest")
@click.option("--walk-forward", "walked", is_flag=True, help="Show its last walk-forward instead of its rows.")
@_rows_options
@_page_option
@listing
@pass_app
def sweeps_show(
    app: App, sweep: str, walked: bool, sort: str, top: int, out: Path | None, html: Path | None, force: bool, fmt: str
) -> None:
    """Show the rows of a sweep, best first; with --json or --csv each has the command that runs it alone.

    SWEEP is latest, an id or a number. The page of --html has all rows and heat maps of the parameters.

    Example: chipwire sweeps show latest --sort calmar --html sweep.html
    """
    from chipwire.reports.page import check_page, write_page
    from chipwire.reports.sweep_page import render_sweep
    from chipwire.reports.sweep_tables import check_out

    if out is not None:
        check_out(out, force=force)
    if html is not None:
        check_page(html, force=force)
    with app.open("sweeps show") as warehouse:
        if walked:
            walk_forward_commands.show_stored(app, warehouse, sweep, fmt)
            return
        _show(app, warehouse, sweep, sort, top, out, force, fmt)
        walk_forward_commands.tell_stored(app, warehouse, sweep)
        if html is not None:
            write_page(render_sweep(warehouse, sweep, sort=sort, words=app.words), html, force=force)
            app.say(f"page written to {html}")


@inspection.runs.command("compare")
@click.argument("runs", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all runs (tables only).")
@_page_option
@click.option("--force", is_flag=True, help="Overwrite the file of --html.")
@listing
@pass_app
def compare(app: App, runs: tuple[str, ...], everything: bool, html: Path | None, force: bool, fmt: str) -> None:
    """Show runs side by side: what they were asked, and their figures.

    The page of --html has their equity curves too.

    Example: chipwire runs compare 1 2 latest --html runs.html
    """
    from chipwire.reports.page import check_page, write_page
    from chipwire.reports.sweep_tables import compare_runs, comparison_text

    if html is not None:
        check_page(html, force=force)
    with app.open("runs compare") as warehouse:
        rows, labels = compare_runs(warehouse, runs)
        if html is not None:
            from chipwire.reports.compare_page import render_comparison

            write_page(render_comparison(warehouse, runs), html, force=force)
            app.say(f"page written to {html}")
    columns = [Column("figure"), *(Column(run_id, label) for run_id, label in labels.items())]
    if fmt == "table":
        shown = [row for row in rows if everything or row["differs"]]
        rows = [
            {"figure": row["figure"]} | {i: comparison_text(row["figure"], row[i]) for i in labels} for row in shown
        ]
        if not everything:
            app.say("what differs; --all shows the rest")
    print_table(rows, columns, fmt)


COMMANDS: tuple[click.Command, ...] = (sweep, sweeps)
