"""The command ``why``: from a fill to the headlines behind it, and from a headline to what was done with it."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from chipwire.data.errors import DomainError
from chipwire.reports.app import App, pass_app
from chipwire.reports.terminal import print_table

if TYPE_CHECKING:
    from chipwire.data.warehouse import Warehouse
    from chipwire.reports.collect import RunInfo


@click.command()
@click.argument("run")
@click.argument("what", metavar="FILL|HEADLINE")
@click.option("--strategy", metavar="FILE.py:CLASS", help="The run's strategy, where it was a file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@pass_app
def why(app: App, run: str, what: str, strategy: str | None, as_json: bool) -> None:
    """Say what stands behind a fill (its number), or what was done with a headline (id, its start, part of its title).

    To tell at which decisions a headline was read, the run is made once more; nothing is stored.

    Example: chipwire why latest 12
    """
    from chipwire.reports.collect import resolve_run, run_info
    from chipwire.reports.lineage_answers import find_fill, why_fill
    from chipwire.reports.lineage_text import fill_text, headline_text

    with app.open("why") as warehouse:
        info = run_info(warehouse, resolve_run(warehouse, run))
        number = find_fill(warehouse, info.run_id, what)
        if number is not None:
            found = why_fill(warehouse, app.universe(), info, number)
        else:
            found = _why_headline(app, warehouse, info, what, strategy)
    for note in found.get("notes", ()):
        app.warn(note)
    if as_json:
        from chipwire.reports.values import plain

        click.echo(json.dumps(plain(found), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a glyph shows a question mark
        for line in fill_text(found) if number is not None else headline_text(found):
            # Ids and names come from a file that may be somebody else's: nothing in them moves the cursor.
            click.echo("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line))


def _why_headline(app: App, warehouse: Warehouse, info: RunInfo, what: str, strategy: str | None) -> dict[str, Any]:
    from chipwire.reports.lineage import load_run_data
    from chipwire.reports.lineage_answers import LISTED, find_headlines, why_headline

    meant = find_headlines(warehouse, what)
    if len(meant) > 1:
        print_table(meant[:LISTED], ("headline_id", "available_at", "source", "title"))
        more = f", of which {LISTED} are listed" if len(meant) > LISTED else ""
        raise DomainError(f"'{what}' may mean {len(meant):,} headlines{more}; name one by its id")
    data = load_run_data(warehouse, app.universe(), info)
    # What a strategy prints is no data.
    with redirect_stdout(sys.stderr), app.progress("replay") as advance:
        return why_headline(warehouse, data, meant[0]["headline_id"], strategy=strategy, on_progress=advance)
