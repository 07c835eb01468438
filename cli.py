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
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from chipwire import __version__
from chipwire.data.errors import ChipwireError, TerminatedError, counted
from chipwire.reports import inspection, sweep_commands
from chipwire.reports.app import App, listing, name_list, pair, pass_app, program_words
from chipwire.reports.audit_commands import audit
from chipwire.reports.check_lines import tell_check
from chipwire.reports.explain import explain
from chipwire.reports.ingest_commands import ingest
from chipwire.reports.lineage_commands import why
from chipwire.reports.quality_commands import quality
from chipwire.reports.rerun_commands import rerun_command
from chipwire.reports.settings_file import take_settings
from chipwire.reports.strategy_commands import strategies
from chipwire.reports.terminal import print_figures, print_table

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
    from chipwire.reports.demo import WAREHOUSE, run_demo

    above = click.get_current_context().parent
    if above and above.get_parameter_source("db") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(f"demo makes a warehouse of its own, {out / WAREHOUSE}; leave --db out, or give --out")
    figures, report = run_demo(out, app)
    print_figures(figures)
    click.echo(str(report))
    app.say(f"to go on with it: {shlex.join(program_words(out / WAREHOUSE, None))} runs list")


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
        app.say(
            f"{counted(linked.read, 'headline')} linked, {counted(linked.naming, 'names', 'name')} an issuer, "
            f"{counted(linked.mentions, 'mention')}"
        )
        with app.progress("scoring") as advance:
            done = score_headlines(warehouse, reader, advance)
    names = " with names masked" if masked else ""
    app.say(
        f"{counted(done.headlines, 'headline')} looked at, {counted(done.texts, 'distinct text')} read by "
        f"{done.model_name}{names} ({done.model_id}); {done.already:,} were already"
    )
    app.say(f"{counted(done.direct, 'score')} of named issuers, {done.exposure:,} of issuers moved though not named")
    if done.unmeant:
        app.say(f"{counted(done.unmeant, 'linked name')} without a score: the model says something else is meant")
    for reason, count in sorted(done.abstained.items()):
        app.say(f"{counted(count, 'headline')} without a score: {reason}")


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
    from chipwire.signals.build import build_signals, list_signals, scoring_models

    if show:
        with app.open("signals") as warehouse:
            rows = list_signals(warehouse, app.universe(), model, issuer, limit)
        columns = ("available_at", "issuer", "via", "theme", "event", "value", "novelty", "relevance", "reason",
                   "title")  # fmt: skip
        print_table(rows, columns, fmt)
        return
    with app.open("signals", write=True) as warehouse:
        done = build_signals(warehouse, app.universe(), model)
        models = scoring_models(warehouse)
    themes = ", ".join(f"{name} {count:,}" for name, count in done.by_theme.items())
    app.say(f"{counted(done.signals, 'signal')} from {counted(done.headlines, 'headline')} ({themes or 'none'})")
    if unnamed := done.by_via.get("exposure"):
        app.say(f"{unnamed:,} of them for issuers that the headline moves though it does not name them")
    if len(models) > 1:
        others = ", ".join(f"{name} ({model_id})" for model_id, name in models if model_id != done.model_id)
        app.say(f"of the scores of {dict(models)[done.model_id]} ({done.model_id}); --model would take {others}")
    if done.undated:
        one = "scored headline has no date and gives no signal; date it with --published"
        many = "scored headlines have no date and give no signal; date them with --published"
        app.say(counted(done.undated, one, many))


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
        app.say(f"run {done.run_id}: {counted(done.fills, 'fill')}, {counted(done.unfilled, 'order')} not filled in "
                f"full; see '{shlex.join(app.words)} report latest --out DIR'")  # fmt: skip
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


for _command in (ingest, audit, explain, quality, why, rerun_command, inspection.runs, strategies, inspection.universe,
                 inspection.rejects, inspection.doctor, *sweep_commands.COMMANDS):  # fmt: skip
    cli.add_command(_command)


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
