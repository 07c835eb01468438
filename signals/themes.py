"""Themes and events of a headline by rules on words; the rules are a data file, ``themes.toml``."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

THEMES = ("ai_models", "localization", "sanctions")
"""The themes that a headline can have, several or none."""

READ_CHARACTERS = 1_000
"""How much of a title is read: what stands further down is no headline, and no pattern is slow on so little."""


@dataclass(frozen=True)
class ThemeReading:
    """What the rules found: P of each theme (here 0 or 1), the likeliest event with its P, and whether it is denied."""

    themes: Mapping[str, float]
    event: str | None
    p_event: float | None
    contrary: bool = False


class ThemeRules:
    """The compiled rules.

    Attributes
    ----------
    id : str
        Digest of the rules' text; part of a reading model's identity.
    half_life_days : dict of str to float
        Days after which a signal of the theme counts half.
    events : tuple of str
        The taxonomy, in the order in which the rules are tried.
    """

    def __init__(self, text: str) -> None:
        table = tomllib.loads(text)
        self.id = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        self.half_life_days = {name: float(part["half_life_days"]) for name, part in table["theme"].items()}
        self._themes = {name: _any_of(table["theme"][name]["patterns"]) for name in THEMES}
        self._events = [(part["name"], _any_of(part["patterns"])) for part in table["event"]]
        self.events = tuple(name for name, _ in self._events)
        self._contrary = _any_of(table["contrary"]["patterns"])
        self._chips = (
            _any_word(table["chips"]["words"], whole=True),
            _any_word(table["chips"]["chinese"], whole=False),
        )
        others = table["other_senses"]
        self._others = (_any_word(others["words"], whole=True), _any_word(others["chinese"], whole=False))

    def read(self, text: str) -> ThemeReading:
        """Return the themes and the event of one headline."""
        text = text[:READ_CHARACTERS].lower()
        themes = {name: float(pattern.search(text) is not None) for name, pattern in self._themes.items()}
        event = next((name for name, pattern in self._events if pattern.search(text)), None)
        contrary = event is not None and self._contrary.search(text) is not None
        return ThemeReading(themes, event, None if event is None else 1.0, contrary)

    def speaks_of_chips(self, text: str) -> bool:
        """Return whether a text that names no issuer may be about what moves one: chips, AI, trade in them."""
        text = text[:READ_CHARACTERS].lower()
        if not any(pattern.search(text) for pattern in self._chips):
            return False
        return not any(pattern.search(text) for pattern in self._others)


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    # Patterns and text are in lower case: half as fast again as ignoring case.
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _any_word(families: Mapping[str, list[str]], *, whole: bool) -> re.Pattern[str]:
    # Gathered by first character: tried one after the other, so many words would take eight times as long.
    by_first: dict[str, list[str]] = {}
    for words in families.values():
        for spelled in (spelled for word in words for spelled in _spelled(word)):
            by_first.setdefault(spelled[0], []).append(spelled[1:])
    found = "|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items())
    # In ASCII a Chinese character is no part of a word, so that a Latin word beside it stands alone.
    return re.compile(f"(?<![a-z0-9])(?:{found})(?![a-z0-9])" if whole else found, re.ASCII)


def _spelled(word: str) -> list[str]:
    # '(?:a|b)c' as 'ac' and 'bc': what is gathered by its first character must begin with one.
    choices = re.match(r"\(\?:([^()]*)\)", word)
    return [choice + word[choices.end() :] for choice in choices[1].split("|")] if choices else [word]


@cache
def load_theme_rules() -> ThemeRules:
    """Return the rules that ship with chipwire."""
    return ThemeRules(resources.files("chipwire.signals").joinpath("themes.toml").read_text("utf-8"))
