"""The commands on strategies: list, show, new, check. ``cli.py`` takes them in."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chipwire.data.errors import DomainError, InputError
from chipwire.reports.app import App, listing, name_list, pair, pass_app
from chipwire.reports.terminal import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from chipwire.data.warehouse import Warehouse


@click.group()
def strategies() -> None:
    """List, show, write and check strategies.

    Example: chipwire strategies show theme-momentum
    """


@strategies.command("list")
@listing
@pass_app
def strategies_list(app: App, fmt: str) -> None:
    """List the strategies, plugins included; plugins that cannot be used are named on stderr.

    Example: chipwire strategies list
    """
    from chipwire.strategies.registry import all_strategies

    usable, broken = all_strategies()
    rows = [
        {"name": name, "from": kind.source or "chipwire", "what": _first_line(kind.__doc__)}
        for name, kind in usable.items()
    ]
    print_table(rows, ("name", "from", "what"), fmt)
    for problem in broken:
        app.warn(str(problem))


@strategies.command("show")
@click.argument("strategy", metavar="NAME|FILE.py:CLASS")
@listing
def strategies_show(strategy: str, fmt: str) -> None:
    """Show a strategy's parameters.

    Example: chipwire strategies show event-drift
    """
    from chipwire.strategies.registry import strategy_class

    rows = [{"name": p.name, "default": p.default, "allowed": p.allowed(), "what": p.help}
            for p in strategy_class(strategy).parameters]  # fmt: skip
    print_table(rows, ("name", "default", "allowed", "what"), fmt)


@strategies.command("new")
@click.argument("file", type=click.Path(path_type=Path))
@pass_app
def strategies_new(app: App, file: Path) -> None:
    """Write a working, documented strategy to start from; a file that is there is left alone.

    Example: chipwire strategies new my_idea.py
    """
    from importlib import resources

    words = re.findall("[a-z0-9]+", file.stem.lower())
    if file.suffix != ".py" or not words or not words[0][0].isalpha():
        raise InputError(f"{file}: it must be a Python file whose name begins with a letter, such as my_idea.py")
    kind, name = "".join(map(str.capitalize, words)), "-".join(words)
    text = resources.files("chipwire.strategies").joinpath("example.py").read_text("utf-8")
    for old, new in (("ExampleStrategy", kind), ('"example"', f'"{name}"'), ("FILE", str(file))):
        text = text.replace(old, new)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise InputError(f"{file} is there already; choose another name") from error
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}); name a file in a folder that is there"
        ) from error
    click.echo(str(file))
    app.say(f"class {kind}; check it with 'chipwire strategies check {file}:{kind}'")


@strategies.command("check")
@click.argument("strategy", metavar="NAME|FILE.py:CLASS")
@click.option("-p", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy.")
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help="First session [default: half a year before the end].")
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), help="Last session [default: that of the last bar].")
@click.option("--fill", type=click.Choice(["open", "close"]), default="open", show_default=True)
@click.option("--interval", default="1d", show_default=True, help="Of the bars traded on: 1d, 1h, 30m, ...")
@click.option("--instruments", help="Comma-separated [default: all shares with bars in the span].")
@click.option("--leverage", type=float, default=1.0, show_default=True, help="Largest gross exposure over equity.")
@click.option("--model", help="Model id or name [default: the one that scored last].")
@listing
@pass_app
def strategies_check(
    app: App, /, strategy: str, params: tuple[str, ...], start: datetime | None, end: datetime | None,
    instruments: str | None, model: str | None, fmt: str, **given: Any,
) -> None:  # fmt: skip
    """Prove a strategy: it runs, is deterministic, does not look ahead, and its set-wise form equals decide.

    The data is that of the warehouse; where there is none and no --db is given, that of the demo.

    Example: chipwire strategies check theme-momentum -p top_k=3
    """
    from chipwire.engine.check import check_strategy
    from chipwire.strategies.registry import make_strategy

    values = dict(pair(text, "-p") for text in params)
    names = () if instruments is None else name_list(instruments, "instruments")
    kind = make_strategy(strategy, values)
    with warehouse_or_demo(app, "strategies check", signals=kind.reads_signals) as warehouse:
        settings = settings_of(warehouse, start, end, names, given, days=182)
        app.detail(f"checking {kind.name} from {settings.start} to {settings.end}")
        with redirect_stdout(sys.stderr), app.progress("checking") as advance:
            found = check_strategy(
                lambda: make_strategy(strategy, values), warehouse, app.universe(), settings, model=model,
                on_progress=advance,
            )  # fmt: skip
    print_table([vars(finding) for finding in found], ("check", "result", "detail"), fmt)
    bad = [finding for finding in found if finding.result == "bad"]
    if bad:
        raise DomainError(f"strategy '{kind.name}' fails the check '{bad[0].check}': {bad[0].detail}")


@contextmanager
def warehouse_or_demo(app: App, command: str, *, signals: bool) -> Iterator[Warehouse]:
    """Open the warehouse, or one of the demo's data where none is there and none was named."""
    root = click.get_current_context().find_root()
    named = root.get_parameter_source("db") is not click.core.ParameterSource.DEFAULT
    if named or app.db.exists():
        with app.open(command) as warehouse:
            yield warehouse
        return
    from tempfile import TemporaryDirectory

    from chipwire.data.warehouse import Warehouse
    from chipwire.reports.demo import read_news, take_in

    app.say(f"there is no {app.db}: checking on the demo's data; name a warehouse with --db")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "demo.duckdb"
        with Warehouse.open(path, write=True, command=f"chipwire {command}") as warehouse:
            take_in(warehouse, app.universe(), app)
            if signals:
                read_news(warehouse, app.universe(), app)
        with Warehouse.open(path, command=f"chipwire {command}") as warehouse:
            yield warehouse


def settings_of(
    warehouse: Warehouse,
    start: datetime | None,
    end: datetime | None,
    names: tuple[str, ...],
    given: dict[str, Any],
    *,
    days: int,
) -> Any:
    """Return the settings of a check: without a span, that of the last `days` days that have bars."""
    from datetime import timedelta

    from chipwire.engine.settings import Settings

    last: date = end.date() if end else _last_bar(warehouse, given["interval"])
    first = start.date() if start else last - timedelta(days=days)
    return Settings(start=first, end=last, instruments=names, **given)


def _last_bar(warehouse: Warehouse, interval: str) -> date:
    from chipwire.data.errors import NothingToDo

    last: date | None = warehouse.value("SELECT max(session) FROM bar WHERE interval = ?", [interval])
    if last is None:
        bars = "daily bars" if interval == "1d" else f"{interval} bars"
        raise NothingToDo(f"there are no {bars}", "ingest some with 'chipwire ingest prices PATH'")
    return last


def _first_line(text: str | None) -> str:
    return text.strip().splitlines()[0] if text else ""
