"""The command line: parse, call, print. Data goes to stdout, everything else to stderr.

Exit 0 done, 1 a domain error in one line, 2 usage, 130 and 143 when interrupted or terminated. Heavy imports happen
inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chipwire import __version__
from chipwire.data.errors import ChipwireError, SomeRejected, TerminatedError
from chipwire.reports import inspection, sweep_commands
from chipwire.reports.app import App, listing, name_list, pair, pass_app
from chipwire.reports.audit_commands import audit
from chipwire.reports.check_lines import tell_check
from chipwire.reports.explain import explain
from chipwire.reports.lineage_commands import why
from chipwire.reports.quality_commands import quality
from chipwire.reports.rerun_commands import rerun_command
from chipwire.reports.settings_file import take_settings
from chipwire.reports.strategy_commands import strategies
from chipwire.reports.terminal import Column, print_figures, print_table

if TYPE_CHECKING:
    from chipwire.data.news import NewsSummary

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
LOOK_FOR_CYCLES = (50_000, 10, 10)
"""After how many new objects Python looks for cycles that nobody holds. We leave few; by its default, 700, it walks
dozens of times through all objects of the libraries while they are imported."""


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="chipwire")
@click.option("--config", type=click.Path(path_type=Path), envvar="CHIPWIRE_CONFIG", callback=take_settings,
              is_eager=True, expose_value=False,
              help="TOML file with defaults for all options [default: chipwire.toml, if there].")  # fmt: skip
@click.option("--db", type=click.Path(path_type=Path), default="chipwire.duckdb", show_default=True,
              help="The warehouse.")  # fmt: skip
@click.option("--universe", "universe_folder", type=click.Path(path_type=Path),
              help="Folder with universe.toml or listings.csv that extend the shipped ones.")  # fmt: skip
@click.option("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="Say only errors.")
@click.pass_context
def cli(context: click.Context, db: Path, universe_folder: Path | None, verbose: int, quiet: bool) -> None:
    """Would this news have made money, after costs, on the day you could have known it?

    The way of the data: ingest -> score -> signals -> backtest -> report.

    Example: chipwire demo
    """
    context.obj = App(db, universe_folder, verbose=verbose, quiet=quiet)


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), default="chipwire-demo", show_default=True,
              help="Folder for the demo's warehouse and report.")  # fmt: skip
@pass_app
def demo(app: App, out: Path) -> None:
    """Go the whole way on the embedded data, from headlines to a report.

    Example: chipwire demo --out my-demo
    """
    from chipwire.reports.demo import run_demo

    figures, report = run_demo(out, app)
    print_figures(figures)
    click.echo(str(report))


@cli.group()
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
    if done.skipped:
        app.say(f"{_count(len(done.skipped), 'file')} skipped, of no known kind; 'chipwire rejects' lists them")
    _refused(app, [f"{path}: {reason}" for path, reason in done.unreadable], done.rejected, done.first_reject)


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
    print_table([vars(row) for row in done.rows], [Column(name, _short(name)) for name in columns], fmt)
    for row in done.rows:
        for note in row.notes:
            app.detail(f"{row.file}: {note}")
    for rate in done.fx:
        app.say(f"{rate.file}: {rate.added:,} {rate.currency} rates added, {rate.read:,} read")
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
        app.say(f"{rate.file}: {rate.added:,} {rate.currency} rates added, {rate.read:,} read")
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
        app.say(f"{row.file}: {row.added:,} actions added, {row.read:,} read")
    _refused(app, done.refused, done.rejected, done.first_reject)


@cli.command()
@click.option("--model", metavar="DIR|HUB_ID", help="A sequence-classification model [default: the embedded one].")
@click.option("--masked", is_flag=True, help="Hide the issuers' names from the model, so that it reads events only.")
@pass_app
def score(app: App, model: str | None, masked: bool) -> None:
    """Link headlines to issuers and score what is new; can be stopped at any time and started again.

    Example: chipwire score --masked
    """
    from chipwire.signals.models import load_model
    from chipwire.signals.reading import Reader
    from chipwire.signals.scoring import MEMORY, link_headlines, score_headlines

    with app.open("score", write=True, memory=MEMORY) as warehouse:
        reader = Reader(load_model(model), app.universe(), masked=masked)
        with app.progress("linking") as advance:
            linked = link_headlines(warehouse, app.universe(), advance)
        app.say(f"{linked.read:,} headlines linked, {linked.naming:,} name an issuer, {linked.mentions:,} mentions")
        with app.progress("scoring") as advance:
            done = score_headlines(warehouse, reader, advance)
    names = " with names masked" if masked else ""
    app.say(
        f"{_count(done.headlines, 'headline')} looked at, {_count(done.texts, 'distinct text')} read by "
        f"{done.model_name}{names} ({done.model_id}); {done.already:,} were already"
    )
    app.say(f"{done.direct:,} scores of named issuers, {done.exposure:,} of issuers moved though not named")
    for reason, count in sorted(done.abstained.items()):
        app.say(f"{_count(count, 'headline')} without a score: {reason}")


@cli.command()
@click.option("--model", help="Model id or name [default: the one that scored last].")
@click.option("--show", is_flag=True, help="List the stored signals instead of building them.")
@click.option("--issuer", help="With --show: of this issuer only.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="With --show: the latest N.")
@listing
@pass_app
def signals(app: App, model: str | None, show: bool, issuer: str | None, limit: int, fmt: str) -> None:
    """Build the point-in-time signals from the scores, or list them.

    Example: chipwire signals --show --issuer SMIC
    """
    from chipwire.signals.build import build_signals, list_signals

    if show:
        with app.open("signals") as warehouse:
            rows = list_signals(warehouse, app.universe(), model, issuer, limit)
        columns = ("available_at", "issuer", "via", "theme", "event", "value", "novelty", "relevance", "reason",
                   "title")  # fmt: skip
        print_table(rows, columns, fmt)
        return
    with app.open("signals", write=True) as warehouse:
        done = build_signals(warehouse, app.universe(), model)
    themes = ", ".join(f"{name} {count:,}" for name, count in done.by_theme.items())
    app.say(f"{done.signals:,} signals from {done.headlines:,} headlines ({themes or 'none'})")
    if unnamed := done.by_via.get("exposure"):
        app.say(f"{unnamed:,} of them for issuers that the headline moves though it does not name them")
    if done.undated:
        app.say(f"{done.undated:,} scored headlines have no date and give no signal; date them with --published")


@cli.command()
@click.argument("strategy")
@click.option("-p", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy.")
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First session.")
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last session.")
@click.option("--capital", type=float, default=1_000_000, show_default=True)
@click.option("--currency", default="USD", show_default=True, help="Base currency.")
@click.option("--fill", type=click.Choice(["open", "close"]), default="open", show_default=True)
@click.option("--interval", default="1d", show_default=True, help="Of the bars traded on: 1d, 1h, 30m, ...")
@click.option("--instruments", help="Comma-separated [default: all shares with bars in the span].")
@click.option("--benchmarks", help="Comma-separated, shown beside the result; or the word none.")
@click.option("--slippage-bps", type=float, default=5.0, show_default=True)
@click.option("--impact", type=float, default=0.0, show_default=True, help="Square-root impact coefficient.")
@click.option("--participation", type=float, default=0.1, show_default=True, help="Largest part of a bar's volume.")
@click.option("--leverage", type=float, default=1.0, show_default=True, help="Largest gross exposure over equity.")
@click.option("--fee-multiple", type=float, default=1.0, show_default=True,
              help="Fees and borrowing cost so many times their due; 0: nothing.")  # fmt: skip
@click.option("--band", type=float, default=0.01, show_default=True, help="Part of equity too small to trade.")
@click.option("--latency-minutes", type=float, default=0.0, show_default=True, help="News is known so much later.")
@click.option("--cutoff-minutes", type=float, help="Decide so long before the auction [default: the venue's own].")
@click.option("--model", help="Model id or name [default: the one that scored last].")
@click.option("--engine", type=click.Choice(["backtrader", "columnar"]), default="backtrader", show_default=True,
              help="Event by event, or the array ledger that sweeps run on; same result.")  # fmt: skip
@click.option("--check", is_flag=True, help="Test it against placebos, luck and small changes; kept with the run.")
@click.option("--placebos", type=click.IntRange(1), help="With --check: how many [default: 1000, 39 of slow plugins].")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@pass_app
def backtest(
    app: App, /, strategy: str, params: tuple[str, ...], model: str | None, engine: str, check: bool,
    placebos: int | None, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Trade a strategy on the stored signals and prices, under each venue's rules.

    Example: chipwire backtest theme-momentum -p top_k=3 --start 2024-07-01 --end 2025-09-30
    """
    from chipwire.engine.backtest import run_backtest
    from chipwire.engine.settings import Settings
    from chipwire.reports.summary import summarize
    from chipwire.strategies.registry import make_strategy

    if placebos and not check:
        raise click.UsageError("--placebos goes with --check")
    for name in ("start", "end"):
        given[name] = given[name].date()
    for name in ("instruments", "benchmarks"):
        text = given.pop(name)
        if text is not None:
            given[name] = () if (name, text) == ("benchmarks", "none") else name_list(text, name)
    chosen = make_strategy(strategy, dict(pair(text, "-p") for text in params))
    settings = Settings(**given)
    with app.open("backtest", write=True) as warehouse:
        # What a strategy prints is no data.
        with redirect_stdout(sys.stderr), app.progress("backtest") as advance:
            done = run_backtest(
                warehouse, app.universe(), chosen, settings, model=model, engine=engine, on_progress=advance
            )
        # Told before the check, which takes long and may be stopped: the run is stored.
        summary = summarize(warehouse, done.run_id, app.universe())
        for warning in summary.warnings:
            app.warn(warning)
        app.say(f"run {done.run_id}: {done.fills:,} fills, {done.unfilled:,} orders not filled in full; "
                f"see '{shlex.join(app.words)} report latest --out DIR'")  # fmt: skip
        if not as_json:
            app.say(summary.sentence)
            print_figures(summary.figures)
        if check:
            from chipwire.engine.validation.run_check import check_run

            with redirect_stdout(sys.stderr), app.progress("placebos") as advance:
                checked = check_run(
                    warehouse, app.universe(), chosen, settings, done.run_id, model=model, placebos=placebos,
                    on_progress=advance,
                )  # fmt: skip
    if as_json:
        click.echo(summary.as_json(checked.as_json() if check else None))
    if check:
        tell_check(app, checked, tables=not as_json)


@cli.command()
@click.argument("run", default="latest")
@click.option("--format", "formats", default="html", show_default=True,
              help="html,json,csv,parquet,png,md,ipynb,folder; the last is all that 'rerun' needs.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder; made if it is not there.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--strategy", metavar="FILE.py:CLASS", help="For a folder: the run's strategy, where it was a file.")
@pass_app
def report(app: App, run: str, formats: str, out: Path, force: bool, strategy: str | None) -> None:
    """Write the report of a run: latest, its id or its number.

    Example: chipwire report latest --format html,json,csv --out out/
    """
    from chipwire.reports.collect import collect
    from chipwire.reports.exports import Source, write_report
    from chipwire.reports.page import bundle_ahead

    kinds = {word.strip() for word in formats.split(",") if word.strip()}
    with bundle_ahead("html" in kinds), app.open("report") as warehouse:
        found = collect(warehouse, run, app.universe())
        source = Source(warehouse, app.universe(), app.universe_folder, strategy)
        written = write_report(found, kinds, out, force, source=source)
    for path in written:
        click.echo(str(path))


for _command in (audit, explain, quality, why, rerun_command, inspection.runs, strategies, inspection.universe,
                 inspection.rejects, inspection.doctor, *sweep_commands.COMMANDS):  # fmt: skip
    cli.add_command(_command)


def _say_news(app: App, done: NewsSummary) -> None:
    for file in done.files:
        app.detail(
            f"{file.path}: {file.rows_read:,} read, {file.added:,} added, {file.duplicates:,} repeated, "
            f"{file.rejected:,} rejected"
        )
    languages = ", ".join(f"{name} {count:,}" for name, count in done.by_language.items())
    app.say(
        f"{_count(done.rows_read, 'row')} read from {_count(len(done.files), 'file')}: "
        f"{_count(done.added, 'headline')} added ({languages or 'none'}), {done.duplicates:,} repeated, "
        f"{done.rejected:,} rejected"
    )
    if done.tickers_added:
        app.say(f"{done.tickers_added:,} tickers noted as the sources filed them")
    if done.newly_dated:
        app.say(f"{done.newly_dated:,} headlines that had no date are dated now")
    if done.undated:
        app.say(f"{done.undated:,} headlines carry no date and stay out of backtests; date them with --published")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


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


def _terminate(*_: object) -> None:
    raise TerminatedError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    gc.set_threshold(*LOOK_FOR_CYCLES)
    atexit.register(gc.disable)  # else Python looks twice when it ends
    verbose = any(argument in ("-vv", "-vvv") for argument in (sys.argv[1:] if arguments is None else arguments))
    try:
        code = cli.main(args=arguments, prog_name="chipwire", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped: what was committed stays; run it again to go on", err=True)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; keep the interpreter from saying so again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ChipwireError, click.ClickException, OSError, MemoryError) as error:
        if verbose:
            raise
        click.echo(f"error: {_message(error)}", err=True)
        return 1
    except SystemExit as error:
        if error.code == 143:
            click.echo("terminated: what was committed stays; run it again to go on", err=True)
        raise
    # Without standalone mode click returns the code of an Exit instead of raising it.
    return code if isinstance(code, int) else 0


def _message(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
