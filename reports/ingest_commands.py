"""The commands that bring data in: ingest news, prices, fx, actions. ``cli.py`` takes them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from chipwire.data.errors import SomeRejected, counted
from chipwire.reports.app import App, listing, pair, pass_app
from chipwire.reports.terminal import Column, print_table

if TYPE_CHECKING:
    from chipwire.data.news import NewsSummary


@click.group()
def ingest() -> None:
    """Read files into the warehouse; what cannot be used goes to 'chipwire rejects'.

    Example: chipwire ingest news headlines/ feed.xml
    """


@ingest.command("news")
@click.argument("paths", nargs=-1, required=True)
@click.option("--map", "column_map", metavar="ROLE=COLUMN,...",
              help="Columns by role: title, summary, body, url, source, published, first_seen, ...")  # fmt: skip
@click.option("--tz", metavar="ZONE", help="IANA zone of times written without one, e.g. America/New_York.")
@click.option("--published", metavar="WHEN", help="Publication date or instant of articles that carry none.")
@click.option("--source", metavar="NAME", help="Publisher, where the input does not say.")
@pass_app
def ingest_news_command(
    app: App, paths: tuple[str, ...], column_map: str | None, tz: str | None, published: str | None, source: str | None
) -> None:
    """Read headlines: csv, jsonl, parquet (plain or gzipped), RSS, Atom, plain articles, folders, globs, "-".

    Example: chipwire ingest news news.csv --tz America/New_York --map title=headline,published=date
    """
    from chipwire.data.news import ingest_news

    roles = dict(pair(part, "--map") for part in column_map.split(",")) if column_map else None
    with app.open("ingest news", write=True, create=True) as warehouse, app.progress("reading") as advance:
        done = ingest_news(
            warehouse, paths, column_map=roles, zone=tz, published=published, source=source,
            on_progress=(lambda at: advance(at.bytes_read, at.bytes_total)) if advance else None,
        )  # fmt: skip
    if done.files:
        _say_news(app, done)
    for path, reason in (*done.skipped, *done.passed_over):
        app.detail(f"{path}: skipped: {reason}")
    if done.files and done.skipped:
        app.say(f"{counted(len(done.skipped), 'file')} skipped, of no known kind; 'chipwire rejects' lists them")
    _refused(
        app, [f"{path or repr(path)}: {reason}" for path, reason in done.unreadable], done.rejected, done.first_reject
    )


@ingest.command("prices")
@click.argument("paths", nargs=-1, required=True)
@click.option("--instrument", help="What the files hold, where neither name nor columns say.")
@click.option("--interval", default="auto", show_default=True, help="1d, 1h, ...")
@click.option("--volume-unit", type=click.Choice(["auto", "shares", "lots"]), default="auto", show_default=True)
@click.option("--adjustment", type=click.Choice(["auto", "none", "split", "split+dividend"]), default="auto",
              show_default=True)  # fmt: skip
@click.option("--tz", metavar="ZONE", help="IANA zone of intraday times without an offset.")
@click.option("--replace", is_flag=True, help="Drop the stored bars of each instrument met.")
@listing
@pass_app
def ingest_prices_command(
    app: App, paths: tuple[str, ...], instrument: str | None, interval: str, volume_unit: str, adjustment: str,
    tz: str | None, replace: bool, fmt: str,
) -> None:  # fmt: skip
    """Read price bars (and FX files among them) and print what was found in each.

    Example: chipwire ingest prices prices/ 688981.tushare.csv --volume-unit lots
    """
    from chipwire.data.prices import ingest_prices

    with app.open("ingest prices", write=True, create=True) as warehouse:
        done = ingest_prices(
            warehouse, paths, app.universe(), instrument=instrument, interval=interval, volume_unit=volume_unit,
            adjustment=adjustment, zone=tz, replace=replace,
        )  # fmt: skip
    columns = ("instrument", "interval", "first_session", "last_session", "bars_read", "bars_kept", "bars_added",
               "missing_sessions", "stale_bars", "impossible_bars", "off_calendar_bars", "limit_jumps", "adjustment",
               "volume_unit")  # fmt: skip
    if done.rows or fmt != "table":
        print_table([vars(row) for row in done.rows], [Column(name, _short(name)) for name in columns], fmt)
    for row in done.rows:
        for note in row.notes:
            app.detail(f"{row.file}: {note}")
    for rate in done.fx:
        app.say(f"{rate.file}: {counted(rate.added, f'{rate.currency} rate')} added, {rate.read:,} read")
    _refused(app, done.refused, done.rejected, done.first_reject)


@ingest.command("fx")
@click.argument("paths", nargs=-1, required=True)
@pass_app
def ingest_fx_command(app: App, paths: tuple[str, ...]) -> None:
    """Read exchange rates: a date column and USDCNY, USDHKD, EURUSD, ...

    Example: chipwire ingest fx rates.csv
    """
    from chipwire.data.fx import ingest_fx

    with app.open("ingest fx", write=True, create=True) as warehouse:
        done = ingest_fx(warehouse, paths)
    for rate in done.rows:
        app.say(f"{rate.file}: {counted(rate.added, f'{rate.currency} rate')} added, {rate.read:,} read")
    _refused(app, done.refused, done.rejected, done.first_reject)


@ingest.command("actions")
@click.argument("paths", nargs=-1, required=True)
@pass_app
def ingest_actions_command(app: App, paths: tuple[str, ...]) -> None:
    """Read splits and dividends: columns instrument, ex_date, kind, value, currency.

    Example: chipwire ingest actions dividends.csv
    """
    from chipwire.data.actions import ingest_actions

    with app.open("ingest actions", write=True, create=True) as warehouse:
        done = ingest_actions(warehouse, paths, app.universe())
    for row in done.rows:
        app.say(f"{row.file}: {counted(row.added, 'action')} added, {row.read:,} read")
    _refused(app, done.refused, done.rejected, done.first_reject)


def _say_news(app: App, done: NewsSummary) -> None:
    for file in done.files:
        app.detail(
            f"{file.path}: {file.rows_read:,} read, {file.added:,} added, {file.duplicates:,} repeated, "
            f"{file.rejected:,} rejected"
        )
    languages = ", ".join(f"{name} {count:,}" for name, count in done.by_language.items())
    app.say(
        f"{counted(done.rows_read, 'row')} read from {counted(len(done.files), 'file')}: "
        f"{counted(done.added, 'headline')} added ({languages or 'none'}), {done.duplicates:,} repeated, "
        f"{done.rejected:,} rejected"
    )
    if done.tickers_added:
        one, many = "ticker noted as the source filed it", "tickers noted as the sources filed them"
        app.say(counted(done.tickers_added, one, many))
    if done.newly_dated:
        one, many = "headline that had no date is dated now", "headlines that had no date are dated now"
        app.say(counted(done.newly_dated, one, many))
    if done.undated:
        one = "headline carries no date and stays out of backtests; date it with --published"
        many = "headlines carry no date and stay out of backtests; date them with --published"
        app.say(counted(done.undated, one, many))


def _short(column: str) -> str:
    return column.removesuffix("_sessions").removesuffix("_bars").replace("_", " ")


def _refused(app: App, refused: Sequence[str], rejected: int, first: str) -> None:
    """Name each file that could not be used, then the rows; either makes the exit code 1."""
    for line in refused:
        app.error(line)
    if rejected:
        raise SomeRejected(rejected, first)
    if refused:
        raise click.exceptions.Exit(1)
