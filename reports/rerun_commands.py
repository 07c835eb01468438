"""The command ``rerun``: make the run of a folder again and say whether all is the same."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from chipwire.data.errors import DomainError
from chipwire.reports.app import App, listing, pass_app
from chipwire.reports.terminal import Column, print_table


@click.command("rerun")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--engine", type=click.Choice(["backtrader", "columnar"]), help="Another engine than the run's own.")
@click.option("--trust", is_flag=True, help="Let a strategy's file in the folder run, with all that you may do.")
@listing
@pass_app
def rerun_command(app: App, folder: Path, engine: str | None, trust: bool, fmt: str) -> None:
    """Make a run again from its folder and compare every row and figure; the warehouse is left alone.

    The folder comes from 'chipwire report RUN --format folder'.

    Example: chipwire rerun out/run-0a1b2c3d4e5f --engine columnar
    """
    from chipwire.reports.rerun import rerun

    # What a strategy prints is no data.
    with redirect_stdout(sys.stderr), app.progress("rerun") as advance:
        done = rerun(folder, engine=engine, trust=trust, on_progress=advance)
    print_table([vars(finding) for finding in done.findings], ("what", "result", Column("rows", form="{:,}".format),
                                                               "detail"), fmt)  # fmt: skip
    wrong = [finding for finding in done.findings if finding.result == "differs"]
    for note in done.notes:
        (app.warn if wrong else app.detail)(note)
    if wrong:
        raise DomainError(f"the run is not the same: {', '.join(finding.what for finding in wrong)}; see the list")
    app.say(f"the same to the byte, by the engine {done.engine}")
