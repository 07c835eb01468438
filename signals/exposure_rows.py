"""The rows of the exposure table: what they are, and how they are read from ``exposure.csv`` and its subjects.

What the columns mean stands in `chipwire.signals.exposure`.
"""

from __future__ import annotations

import csv
import io
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path

from chipwire.data.errors import UnknownName, UnreadableInput
from chipwire.data.universe import Universe
from chipwire.signals.characters import simplified

EVENTS = (
    "chip_sale_ban", "tool_ban", "entity_listing", "relaxation", "procurement", "state_funding", "model_launch",
    "cheap_model_shock", "capex", "earnings", "guidance", "rating", "risk_warning", "supply_deal", "product_launch",
    "lawsuit", "probe", "retaliation", "tariff", "merger", "management", "production", "listing", "sales_figures",
    "security",
)  # fmt: skip
"""The event types that can move an issuer; ``none`` moves nobody."""

OWN_SIGN = {
    "chip_sale_ban": -1, "tool_ban": -1, "entity_listing": -1, "relaxation": 1, "procurement": 1, "state_funding": 1,
    "model_launch": 1, "cheap_model_shock": -1, "capex": 1, "earnings": 1, "guidance": 1, "rating": 1,
    "risk_warning": -1, "supply_deal": 1, "product_launch": 1, "lawsuit": -1, "probe": -1, "retaliation": -1,
    "tariff": -1, "merger": 1, "management": 1, "production": 1, "listing": 1, "sales_figures": 1, "security": -1,
}  # fmt: skip
"""Which way an event, when it happens, pushes the company that it befalls: a suit down, an order up."""

BY_ROLE = frozenset(
    ("chip_sale_ban", "tool_ban", "relaxation", "procurement", "cheap_model_shock", "retaliation", "tariff")
)
"""Events of policy and markets, where a named issuer stands on the side that the table gives to its role."""

COLUMNS = ("event", "actor", "subject", "role", "sign", "weight", "valid_from", "reason")

READ_CHARACTERS = 1_000
"""How much of a title is read, as for the themes."""

SEEN_ONLY = "seen"
"""Actor of a row that moves nobody by itself: it is the reason where the model sees an issuer moved, and no row is."""

_WORD = re.compile(r"!?/[^/]+/|\S+")  # of a subject: a name or a regular expression between slashes, "!" negates
_ANYONE = ("*", "none", SEEN_ONLY)
# Events that are of this trade by their name.
_OF_THE_TRADE = frozenset(("chip_sale_ban", "tool_ban", "cheap_model_shock"))


class Words:
    """A title in lower case and simplified characters; it remembers which patterns it has, as many rows ask alike."""

    def __init__(self, title: str) -> None:
        self._text = simplified(title[:READ_CHARACTERS].lower())
        self._has: dict[int, bool] = {}

    def has(self, pattern: re.Pattern[str]) -> bool:
        """Return whether the title has a pattern."""
        # By identity: a pattern's hash goes through all of it each time. The table keeps its patterns.
        found = self._has.get(id(pattern))
        if found is None:
            found = self._has[id(pattern)] = pattern.search(self._text) is not None
        return found


@dataclass(frozen=True)
class Exposure:
    """One row of the table; `needs` and `excludes` are the patterns of its subject.

    A row that asks neither for a subject nor for an actor has the `guard`: where the event can befall any trade, a
    title that is not about this one moves nobody.
    """

    event: str
    actor: str
    subject: str
    role: str
    sign: int
    weight: float
    valid_from: date
    reason: str
    needs: tuple[re.Pattern[str], ...] = ()
    excludes: tuple[re.Pattern[str], ...] = ()
    guard: re.Pattern[str] | None = None

    @property
    def rank(self) -> tuple[int, float]:
        """How particular the row is, then its weight: the greatest wins."""
        return len(self.needs) + (self.actor not in _ANYONE), self.weight

    def speaks_of(self, title: Words) -> bool:
        """Return whether a title is about the row's subject."""
        if self.guard is not None and not title.has(self.guard):
            return False
        return all(map(title.has, self.needs)) and not any(map(title.has, self.excludes))


def load_rows(path: Path | None, universe: Universe) -> tuple[Exposure, ...]:
    """Return the rows of a file, None: of the shipped one, for the roles of a universe.

    Raises
    ------
    UnreadableInput
        The file cannot be read or is not of that form; the message names line, column and value.
    """
    text, where = (_shipped("exposure.csv"), "exposure.csv") if path is None else (_text(path), str(path))
    subjects = tomllib.loads(_shipped("exposure_subjects.toml"))["subject"]
    return _Reader(where, subjects, universe).rows(text)


def _shipped(name: str) -> str:
    return resources.files("chipwire.signals").joinpath(name).read_text("utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise UnreadableInput(str(path), error.strerror or "cannot be read") from error
    except UnicodeDecodeError as error:
        raise UnreadableInput(str(path), "is not UTF-8; save it as UTF-8") from error


def _compiled(expression: str) -> re.Pattern[str]:
    # ASCII: a word boundary stands between Latin letters and Chinese, as in "DRAM合约价".
    return re.compile(simplified(expression), re.ASCII)


class _Reader:
    """Turns the lines of a file into rows, one for each event and role of a line."""

    def __init__(self, where: str, subjects: Mapping[str, list[str]], universe: Universe) -> None:
        self._where = where
        self._subjects = {name: _compiled("|".join(patterns)) for name, patterns in subjects.items()}
        self._guard = self._subjects["chip_trade"]
        self._roles = sorted({role for issuer in universe.issuers.values() for role in issuer.roles})

    def rows(self, text: str) -> tuple[Exposure, ...]:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        rows: list[Exposure] = []
        try:
            if sorted(reader.fieldnames or ()) != sorted(COLUMNS):
                raise UnreadableInput(self._where, f"the header must be {','.join(COLUMNS)}")
            for cells in reader:
                if None in cells or None in cells.values():
                    raise UnreadableInput(self._where, f"line {reader.line_num}: {len(COLUMNS)} cells are needed")
                rows += self._line(reader.line_num, {column: cells[column].strip() for column in COLUMNS})
        except csv.Error as error:
            raise UnreadableInput(self._where, f"line {reader.line_num + 1}: {error}") from error
        if not rows:
            raise UnreadableInput(self._where, "has no row; give at least one")
        return tuple(rows)

    def _line(self, line: int, cells: dict[str, str]) -> list[Exposure]:
        needs, excludes = self._patterns(line, cells["subject"])
        fields = (
            self._sign(line, cells["sign"]),
            self._weight(line, cells["weight"]),
            self._day(line, cells["valid_from"]),
        )
        if not cells["reason"]:
            raise self._refuse(line, "reason", "", "one short clause, it must not be empty")
        events = self._names(line, "event", cells["event"], EVENTS)
        actors = self._names(line, "actor", cells["actor"], (*_ANYONE, *self._roles))
        roles = self._names(line, "role", cells["role"], self._roles)
        broad = set(_ANYONE) if not needs else set()
        return [
            Exposure(
                event, actor, cells["subject"], role, *fields, cells["reason"], needs, excludes,
                self._guard if actor in broad and event not in _OF_THE_TRADE else None,
            )
            for event in events
            for actor in actors
            for role in roles
        ]  # fmt: skip

    def _refuse(self, line: int, column: str, value: str, allowed: str) -> UnreadableInput:
        return UnreadableInput(self._where, f"line {line}: {column} '{value}' is not allowed: {allowed}")

    def _names(self, line: int, column: str, cell: str, known: Collection[str]) -> list[str]:
        names = [name.strip() for name in cell.split(";")]
        for name in names:
            if name not in known:
                unknown = UnknownName(column, name, known, f"one of {', '.join(known)}")
                raise UnreadableInput(self._where, f"line {line}: {unknown}")
        return names

    def _sign(self, line: int, cell: str) -> int:
        if cell not in ("+1", "-1", "0"):
            raise self._refuse(line, "sign", cell, "one of +1, -1, 0 (not moved)")
        return int(cell)

    def _weight(self, line: int, cell: str) -> float:
        try:
            weight = float(cell)
        except ValueError:
            weight = math.nan
        if not 0 < weight <= 1:
            raise self._refuse(line, "weight", cell, "a number above 0 and at most 1")
        return weight

    def _day(self, line: int, cell: str) -> date:
        try:
            return date.fromisoformat(cell)
        except ValueError:
            raise self._refuse(line, "valid_from", cell, "a day as YYYY-MM-DD") from None

    def _patterns(self, line: int, cell: str) -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
        needs: list[re.Pattern[str]] = []
        excludes: list[re.Pattern[str]] = []
        for word in _WORD.findall(cell):
            name = word.removeprefix("!")
            if len(name) > 2 and name[0] == name[-1] == "/":
                try:
                    pattern = _compiled(name[1:-1])
                except re.error as error:
                    raise self._refuse(line, "subject", word, f"not a regular expression: {error}") from error
            elif name in self._subjects:
                pattern = self._subjects[name]
            else:
                known = UnknownName("subject", name, self._subjects, "or a regular expression as /.../")
                raise UnreadableInput(self._where, f"line {line}: {known}")
            (excludes if word.startswith("!") else needs).append(pattern)
        return tuple(needs), tuple(excludes)
