"""The command ``explain``: what the model reads in headlines given as arguments or as lines of a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from chipwire.data.errors import counted
from chipwire.reports.app import App, pass_app
from chipwire.reports.terminal import Column, print_table
from chipwire.reports.values import one_line

SHOWN = 300
"""Characters of a headline that are printed for people; ``--json`` has them all."""


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--file", "path", metavar="FILE|-", help="One headline a line, plain or gzipped; - is standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--masked", is_flag=True, help="Take all names out before the model reads.")
@click.option("--model", metavar="DIR|HUB_ID", help="Another model [default: the embedded one].")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The headlines' day: exposures true later do not count.")
@pass_app
def explain(
    app: App, texts: tuple[str, ...], path: str | None, as_json: bool, masked: bool, model: str | None,
    on: datetime | None,
) -> None:  # fmt: skip
    """Say what the model reads: language, themes, event, and for each issuer the sign and why.

    Example: chipwire explain --json "Washington bans H20 sales to China"
    """
    if bool(texts) == (path is not None):
        raise click.UsageError("give headlines as arguments, or a file of them with --file, and not both")
    from chipwire.signals import explain as work
    from chipwire.signals.models import load_model
    from chipwire.signals.reading import Reader

    work.check_arguments(texts)
    universe = app.universe()
    reader = Reader(load_model(model), universe, masked=masked)
    tally = work.Tally()
    given = work.lines_of(path, tally) if path is not None else texts
    if isinstance(sys.stdout, io.TextIOWrapper) and not as_json:
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a glyph shows a question mark
    for objects in work.explain(given, reader, universe, tally, on.date() if on else None):
        if as_json:
            # Bytes: JSON is UTF-8 whatever the terminal speaks.
            click.echo("".join(work.as_line(one) + "\n" for one in objects).encode(), nl=False)
        else:
            for one in objects:
                print_reading(one)
    if path is None and not tally.read:
        raise click.UsageError("the text is blank; give a headline")
    _say(app, tally, path)
    if path is not None:
        work.check_refused(path, tally)


def print_reading(found: Mapping[str, Any]) -> None:
    """Print one object of `chipwire.signals.explain` for people: headline, facts, a table of targets, a blank line."""
    headline = one_line(found["headline"])
    click.secho(headline if len(headline) <= SHOWN else f"{headline[:SHOWN]}...", bold=True)
    click.echo(_facts(found))
    if found["targets"]:
        print_table([_row(target) for target in found["targets"]], _COLUMNS)
    else:
        click.secho(f"abstains: {found['abstained']}", dim=True)
    click.echo()


_COLUMNS: Sequence[str | Column] = (
    "issuer", "symbols", "via", Column("sentiment", form=lambda value: f"{value:+.2f}"), "negative", "neutral",
    "positive", "relevance", "reason",
)  # fmt: skip


def _row(target: Mapping[str, Any]) -> dict[str, Any]:
    return {**target, **target["probabilities"], "symbols": " ".join(target["symbols"])}


def _facts(found: Mapping[str, Any]) -> str:
    facts = [f"language {found['language']}"]
    if found["themes"]:
        event = found["event"]
        facts.append(f"event {event['type'].replace('_', ' ')} {event['p']:.2f}")
        facts.append("themes " + ", ".join(f"{name} {p:.2f}" for name, p in found["themes"].items()))
    return "; ".join(facts)


def _say(app: App, tally: Any, path: str | None) -> None:
    if path is not None:
        app.say(f"{counted(tally.read, 'headline')} read")
    if tally.blank:
        app.say(f"{tally.blank:,} blank, left out")
    for reason, count in sorted(tally.abstained.items()):
        app.say(f"{count:,} without a reading: {reason}")
