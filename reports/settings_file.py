"""Defaults of options from outside the command line: ``chipwire.toml`` and the ``CHIPWIRE_...`` variables.

Both name an option as it is typed after its dashes. All is checked before any command runs, also what belongs to other
commands: a setting that is misspelt or has an impossible value would otherwise change results by being ignored.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from chipwire.data.errors import InputError, did_you_mean

FILE = Path("chipwire.toml")
PREFIX = "CHIPWIRE"
OTHERS = ("CHIPWIRE_CONFIG", "CHIPWIRE_MEMORY", "CHIPWIRE_NO_PLUGINS")
"""Variables that are no option's."""
SHOWN = 60
"""So many characters of a refused value are shown."""


def take_settings(context: click.Context, _: click.Parameter, value: Path | None) -> Path | None:
    """Make the file's settings, and over them the variables', the defaults of all options.

    Parameters
    ----------
    context : click.Context
        Of the program's group of commands; its ``default_map`` is set.
    value : Path or None
        The file; None: ``chipwire.toml`` in the working folder, if there.

    Raises
    ------
    InputError
        The file cannot be read, or a setting is unknown or has a value that its option does not take.
    """
    import tomllib

    path = value or FILE
    found: dict[str, Any] = {}
    if value is not None or path.exists():
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise InputError(f"{path}: {(error.strerror or str(error)).lower()}; --config names a TOML file") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: {error}; it must be a TOML file such as 'db = \"news.duckdb\"'") from error
        found = _from_table(path, context.command, table, ())
    _add_variables(found, context.command, os.environ)
    context.default_map = found
    return value


def _from_table(path: Path, command: click.Command, table: Mapping[str, Any], at: tuple[str, ...]) -> dict[str, Any]:
    """Return the defaults of a command, by parameter, and below it those of its own commands, by name."""
    options = _options(command) | {str(it.name): it for it in command.params if isinstance(it, click.Argument)}
    commands = _commands(command)
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        setting = ".".join((*at, key))
        if name != key and name in table:
            raise InputError(f"{path}: {setting} stands there twice, also as '{name}'; keep one")
        if name in commands and isinstance(value, dict):
            found[name] = _from_table(path, commands[name], value, (*at, name))
        elif name in options:
            _put(found, options[name], value, f"{path}: {setting} = {_shown(value)}")
        elif name in commands:
            raise InputError(f"{path}: {setting} = {_shown(value)}: {key} is a command; put its options below [{key}]")
        else:
            hint = did_you_mean(name, [*options, *commands])
            words = " ".join(("chipwire", *at, "--help"))
            raise InputError(f"{path}: unknown setting '{setting}'{hint or f'; {words!r} lists what there is'}")
    return found


def _add_variables(found: dict[str, Any], command: click.Command, environment: Mapping[str, str]) -> None:
    """Put the values of variables into `found`.

    One that names no option is refused when it begins like a command's or nearly names an option; others, which may be
    a plugin's own, pass.
    """
    known = {
        "_".join((PREFIX, *at, name)).upper().replace("-", "_"): (at, it) for at, name, it in _all_options(command)
    }
    commands = tuple(f"{PREFIX}_{name}_".upper().replace("-", "_") for name in _commands(command))
    for variable, text in sorted(environment.items()):
        if variable in known and text:
            at, option = known[variable]
            below = found
            for name in at:
                below = below.setdefault(name, {})
            value = text.split() if _is_list(option) else text
            _put(below, option, value, f"{variable}={_shown(text)}")
        elif variable.startswith(f"{PREFIX}_") and variable not in (*known, *OTHERS):
            # Compared without the prefix, under which any two names are alike.
            names = {name.removeprefix(f"{PREFIX}_"): name for name in (*known, *OTHERS)}
            near = difflib.get_close_matches(variable.removeprefix(f"{PREFIX}_"), names, n=1, cutoff=0.8)
            hint = f"did you mean '{names[near[0]]}'?" if near else "unset it, no option has this name"
            if near or variable.startswith(commands):
                raise InputError(f"unknown variable {variable}; {hint}")


def _put(found: dict[str, Any], option: click.Parameter, value: object, given: str) -> None:
    """Convert a value as the option itself would, and put it under the name of the option's parameter."""
    try:
        if isinstance(value, list) and _is_list(option):
            converted: Any = tuple(_converted(option, item) for item in value)
        else:
            converted = _converted(option, value)
            converted = (converted,) if _is_list(option) else converted
    except click.BadParameter as error:
        raise InputError(f"{given} is not allowed: {error.message}") from error
    if isinstance(option, click.Option) and option.is_flag and not option.is_bool_flag:
        # One of several switches of one parameter, such as --json and --csv: off says nothing about the others.
        if converted:
            found[str(option.name)] = option.flag_value
    else:
        found[str(option.name)] = converted


def _converted(option: click.Parameter, value: object) -> Any:
    if isinstance(value, list | dict):
        raise click.BadParameter("it takes one value, written as on the command line")
    if isinstance(option, click.Option) and option.is_flag:
        return click.BOOL.convert(str(value), option, None)
    if isinstance(value, bool):
        raise click.BadParameter("it takes a value, not true or false")
    if isinstance(option.type, click.Path) and not isinstance(value, str):
        raise click.BadParameter("it takes a path in quotes")
    return option.type.convert(str(value), option, None)


def _is_list(option: click.Parameter) -> bool:
    return option.nargs == -1 or bool(getattr(option, "multiple", False))


def _options(command: click.Command) -> dict[str, click.Parameter]:
    """Return the options that can be set, by their long name (``-p`` has none: by its letter) without dashes."""
    options = [it for it in command.params if isinstance(it, click.Option) and it.expose_value]
    return {max(it.opts, key=len).lstrip("-"): it for it in options}


def _commands(command: click.Command) -> Mapping[str, click.Command]:
    return command.commands if isinstance(command, click.Group) else {}


def _all_options(
    command: click.Command, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, click.Parameter]]:
    for name, option in _options(command).items():
        yield at, name, option
    for name, below in _commands(command).items():
        yield from _all_options(below, (*at, name))


def _shown(value: object) -> str:
    """Return the value much as TOML writes it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
