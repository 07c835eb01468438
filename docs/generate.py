"""Write docs/commands.md from the command line's own help, and docs/strategies.md from the declared parameters.

Run from the root: ``python docs/generate.py``. A test fails when a file is not what this would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from chipwire.cli import CONTEXT, cli
from chipwire.strategies.base import Parameter
from chipwire.strategies.registry import strategy_class, strategy_names

FOLDER = Path(__file__).resolve().parent
WIDTH = 100


def commands() -> str:
    """Return the reference of all commands as Markdown."""
    parts = ["# Commands\n\nMade from `chipwire COMMAND --help` by `make docs`; do not edit by hand.\n"]
    for words, command in _walk((), cli):
        name = " ".join(("chipwire", *words))
        context = click.Context(command, info_name=name, **{**CONTEXT, "terminal_width": WIDTH})
        parts.append(f"## {context.info_name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _walk(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _walk((*words, name), command.commands[name])


def strategies() -> str:
    """Return the reference of all strategies as Markdown."""
    parts = [
        "# Strategies\n",
        "Made from the declared parameters by `make docs`; do not edit by hand.",
        "[Strategies of your own](plugins.md) says how to write more.\n",
    ]
    for name in strategy_names():
        kind = strategy_class(name)
        text = "\n".join(line.strip() for line in (kind.__doc__ or "").strip().splitlines())
        rows = [_row(f"`{p.name}`", _default(p), p.allowed(), p.help) for p in kind.parameters]
        head = ["| parameter | default | allowed | what |", "|---|---|---|---|"]
        table = "\n".join([*head, *rows]) if rows else "No parameters."
        parts.append(f"## {name}\n\n{text}\n\n{table}\n")
    return "\n".join(parts)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _default(parameter: Parameter) -> str:
    return f"`{parameter.default}`" if parameter.default != "" else "none"


PAGES = {"commands.md": commands, "strategies.md": strategies}


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
