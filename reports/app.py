"""What all commands share: the warehouse's path, the universe, the console, and the options of listings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chipwire.data.errors import InputError
from chipwire.reports.console import Console

if TYPE_CHECKING:
    from chipwire.data.universe import Universe
    from chipwire.data.warehouse import Warehouse

DEFAULT_DB = "chipwire.duckdb"
F = TypeVar("F", bound=Callable[..., Any])


class App(Console):
    """The shared options of a call.

    Parameters
    ----------
    db : Path
        The warehouse.
    universe_folder : Path or None
        Extends the shipped universe.
    verbose, quiet
        See `Console`.
    """

    def __init__(self, db: Path, universe_folder: Path | None, *, verbose: int, quiet: bool) -> None:
        super().__init__(verbose=verbose, quiet=quiet)
        self.db = db
        self.universe_folder = universe_folder

    def open(self, command: str, *, write: bool = False, create: bool = False, memory: str | None = None) -> Warehouse:
        """Open the warehouse for a command; only what brings data in may create it.

        `memory` is DuckDB's limit unless the user sets another; None: that of all commands.
        """
        from chipwire.data.warehouse import Warehouse
        from chipwire.data.warehouse_files import memory_wanted

        limit = memory_wanted(memory) if memory else None
        return Warehouse.open(self.db, write=write, create=create, memory=limit, command=f"chipwire {command}")

    @property
    def words(self) -> list[str]:
        """The program and the shared options of this call that are not at their default, to repeat it."""
        return program_words(self.db, self.universe_folder)

    def universe(self) -> Universe:
        """Load the universe."""
        from chipwire.data.universe import load_universe

        return load_universe(self.universe_folder)


pass_app = click.make_pass_decorator(App)


def program_words(db: Path, universe_folder: Path | None) -> list[str]:
    """Return the program and its shared options that are not at their default: how a command on `db` begins."""
    given = {"--db": None if str(db) == DEFAULT_DB else db, "--universe": universe_folder}
    return ["chipwire", *(word for name, value in given.items() if value for word in (name, str(value)))]


def listing(command: F) -> F:
    """Give a listing its output options: a table, ``--json`` or ``--csv``."""
    command = click.option("--csv", "fmt", flag_value="csv", help="Print csv.")(command)
    command = click.option("--json", "fmt", flag_value="json", help="Print JSON.")(command)
    return click.option("--table", "fmt", flag_value="table", default="table", hidden=True)(command)


def pair(text: str, option: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``; anything else is a usage error of `option`."""
    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return name.strip(), value.strip()


def name_list(text: str, option: str) -> tuple[str, ...]:
    """Split names at commas; a list without any is refused, for it would mean all of them."""
    names = tuple(word.strip() for word in text.split(",") if word.strip())
    if not names:
        raise InputError(f"--{option} {text!r} names nothing; give at least one, or leave the option out")
    return names
