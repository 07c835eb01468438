"""The commands that only look: runs, universe, rejects, doctor. ``cli.py`` takes them in."""

from __future__ import annotations

import click

from chipwire.data.errors import InputError, UnknownName
from chipwire.reports.app import App, listing, pass_app
from chipwire.reports.terminal import Column, print_table
from chipwire.reports.values import percent


@click.group()
def runs() -> None:
    """List, show and delete stored runs.

    Example: chipwire runs list
    """


@runs.command("list")
@listing
@pass_app
def runs_list(app: App, fmt: str) -> None:
    """List the stored runs, the latest last.

    Example: chipwire runs list --json
    """
    from chipwire.reports.summary import list_runs

    with app.open("runs list") as warehouse:
        rows = list_runs(warehouse)
    print_table(rows, ("run_no", "run_id", "strategy", "start", "end", "currency",
                       Column("total_return", form=percent), "sharpe", Column("max_drawdown", form=percent), "fills"),
                fmt)  # fmt: skip


@runs.command("show")
@click.argument("run", default="latest")
@pass_app
def runs_show(app: App, run: str) -> None:
    """Print all figures and settings of a run as JSON.

    Example: chipwire runs show latest
    """
    from chipwire.reports.collect import resolve_run
    from chipwire.reports.summary import summarize

    with app.open("runs show") as warehouse:
        click.echo(summarize(warehouse, resolve_run(warehouse, run), app.universe()).as_json())


@runs.command("delete")
@click.argument("run")
@pass_app
def runs_delete(app: App, run: str) -> None:
    """Delete a run and all its rows; headlines, prices, scores and signals stay.

    Example: chipwire runs delete 3
    """
    from chipwire.engine.backtest import delete_run
    from chipwire.reports.collect import resolve_run

    with app.open("runs delete", write=True) as warehouse:
        run_id = resolve_run(warehouse, run)
        delete_run(warehouse, run_id)
    app.say(f"run {run_id} deleted")


@click.group()
def universe() -> None:
    """List issuers and instruments.

    Example: chipwire universe list
    """


@universe.command("list")
@listing
@pass_app
def universe_list(app: App, fmt: str) -> None:
    """List the instruments.

    Example: chipwire universe list --csv
    """
    rows = [vars(instrument) for instrument in app.universe().instruments.values()]
    print_table(rows, ("symbol", "issuer", "venue", "currency", "kind", "board", "lot", "name"), fmt)


@universe.command("show")
@click.argument("issuer")
@listing
@pass_app
def universe_show(app: App, issuer: str, fmt: str) -> None:
    """Show the names by which headlines are linked to an issuer.

    Example: chipwire universe show SMIC
    """
    known = app.universe().issuers
    if issuer not in known:
        raise UnknownName("issuer", issuer, known, "see 'chipwire universe list'")
    found = known[issuer]
    rows = [{"kind": kind, "name": name} for kind in ("roles", "aliases", "zh", "tickers", "former")
            for name in getattr(found, kind)]  # fmt: skip
    print_table(rows, ("kind", "name"), fmt)


@click.command()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The first N of that order.")
@listing
@pass_app
def rejects(app: App, limit: int, fmt: str) -> None:
    """List input that could not be used, with file, line and reason.

    The latest batch comes first, within it file by file and line by line. A row refused again stays with the batch
    that refused it first.

    Example: chipwire rejects --csv
    """
    with app.open("rejects") as warehouse:
        rows = warehouse.frame(
            "SELECT batch_id, file, line, reason, excerpt FROM reject "
            "ORDER BY batch_id DESC, file, line, reason, excerpt LIMIT ?",
            [limit],
        ).to_dict("records")
        stored = int(warehouse.value("SELECT count(*) FROM reject"))
    print_table(rows, ("batch_id", "file", "line", "reason", "excerpt"), fmt)
    if more := stored - len(rows):
        app.say(f"{more:,} more not shown; --limit {stored} lists all")


@click.command()
@click.option("--verify", is_flag=True, help="Read every value and compare it with the stored digests.")
@listing
@pass_app
def doctor(app: App, verify: bool, fmt: str) -> None:
    """Check the installation and the warehouse.

    Example: chipwire doctor --verify
    """
    from chipwire.reports.doctor import examine

    rows = examine(app.db, verify=verify, universe=app.universe_folder)
    print_table([vars(row) for row in rows], ("check", "result", "detail"), fmt)
    if any(row.result == "bad" for row in rows):
        raise InputError("something is wrong; see the lines marked bad")
