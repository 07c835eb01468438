"""Words that say what a name means: the worlds of ``universe.toml``, and the entries of its context lists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final

from chipwire.data.errors import InputError
from chipwire.signals.characters import simplified

NEVER: Final = re.compile("(?!)")
TRADE: Final = ("chips", "trade")
"""Worlds of which a word vouches for a name: who speaks of graphics cards or shareholders means the company."""

Doubt = tuple[re.Pattern[str], re.Pattern[str]]
"""Words that cast a doubt on a name, and words that lift it again."""


@cache
def _worlds() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return the worlds of words that context lists speak of as "@medicine"."""
    text = resources.files("chipwire.data").joinpath("universe.toml").read_text("utf-8")
    worlds: dict[str, dict[str, list[str]]] = tomllib.loads(text)["world"]
    return worlds


def _world(name: str) -> Mapping[str, Sequence[str]]:
    if name not in _worlds():
        raise InputError(f"universe: no world '@{name}'; known are {', '.join(sorted(_worlds()))}")
    return _worlds()[name]


def _any_of(*names: str) -> str:
    """Return a regular expression for the words of all these worlds."""
    found = []
    for name in names:
        world = _world(name)
        for key, flag in (("words", "i"), ("cased", "-i")):
            if key in world:
                # Chinese touches Latin words without a space, so that \\b would not see their ends.
                found.append(rf"(?<![A-Za-z0-9_])(?{flag}:{'|'.join(world[key])})(?![A-Za-z0-9_])")
        found += map(simplified, world.get("zh", ()))
    return "|".join(found)


@cache
def words_of(*names: str) -> re.Pattern[str]:
    """Return the expression of all words of these worlds, for texts in simplified characters."""
    return re.compile(_any_of(*names))


def doubts(entries: Iterable[str], form: str, unless: tuple[str, ...]) -> tuple[Doubt, ...]:
    """Return what casts doubt, joined where the same words lift it; plain words yield to the worlds of `unless`."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for entry in entries:
        if entry.startswith("@"):
            lifted = tuple(_world(entry[1:]).get("unless", ()))
        else:
            lifted = ("chips", "market") if entry.startswith("~") else unless
        grouped.setdefault(lifted, []).append(expression(entry))
    # No words at all would lift every doubt.
    return tuple(
        (compiled(form.format("|".join(e))), words_of(*lifted) if lifted else NEVER) for lifted, e in grouped.items()
    )


def expression(entry: str) -> str:
    """Return the regular expression of an entry of a context list: a world, an expression, or a plain word."""
    entry = simplified(entry)
    if entry.startswith("@"):
        return _any_of(entry[1:])
    if entry.startswith("~"):
        return entry[1:]
    return rf"(?<![A-Za-z0-9_]){re.escape(entry)}(?![A-Za-z0-9_])" if entry.isascii() else re.escape(entry)


def compiled(text: str) -> re.Pattern[str]:
    """Return the compiled expression, in any case; an empty one matches nothing.

    Raises
    ------
    InputError
        It is no regular expression.
    """
    try:
        return re.compile(text, re.IGNORECASE) if text else NEVER
    except re.error as error:
        raise InputError(f"universe: '{text}' in a context list is no regular expression: {error}") from error


def trade() -> re.Pattern[str]:
    """Return the expression of all words that vouch for a name (`TRADE`), for texts in simplified characters."""
    return words_of(*TRADE)
