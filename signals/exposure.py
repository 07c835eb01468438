"""How an event moves the issuers that a headline does not name: a dated, signed table, ``exposure.csv``.

A row says: when `event` happens, the issuers with `role` are moved by `sign` with `weight`, for a `reason` that users
read, since `valid_from`, the day by which the relation was public knowledge. `actor` narrows it to headlines that name
an issuer of that role (``none``: that name nobody, ``*``: either), `subject` to what the title speaks of
(``exposure_subjects.toml``: names of which all must occur, ``!name`` must not, or ``/a regular expression/``); cells of
event, actor and role may list several with ``;``. The sign holds for the direction *for*, *against* turns it over:

================= ============================================ =================================================
event             for                                          against
================= ============================================ =================================================
chip_sale_ban     sales to China barred, licensed, tightened   averted, denied, delayed, lapsed
tool_ban          tools, parts, service, software barred       averted, denied, exempted, delayed
entity_listing    put on a list, excluded from a market        taken off, spared, court stays it
relaxation        curbs or duties eased, licences granted      refused, denied, still stuck
procurement       domestic goods ordered, foreign ones barred  foreign goods allowed, domestic order cancelled
state_funding     money granted or planned                     withdrawn, denied, cut
model_launch      model out, good, on time, widely used        delayed, pulled, weak, claim withdrawn
cheap_model_shock strong model for little money; price cut     cost claim refuted, prices raised, fear fades
capex             spending raised, started, confirmed          cut, delayed, halted
earnings          good results                                 bad results
guidance          raised or strong                             cut or weak
rating            upgrade, target raised                       downgrade, target cut
risk_warning      warning issued                               withdrawn, denied
supply_deal       order or contract won                        lost, cancelled, denied
product_launch    chip or device out, qualified, on time       delayed, failed, cancelled
lawsuit           suit filed or lost                           won, settled, dropped
probe             opened, fined, found guilty                  closed, cleared, denied
retaliation       China (or a rival state) strikes back        suspended, denied, withdrawn
tariff            duty imposed or raised                       exempted, delayed, dropped
merger            agreed, approved, closed                     blocked, lapsed, stalled
management        good for the company's running               strike, resignation, dispute
production        output or yield up, new line works           outage, delay, low yield, output cut by trouble
listing           listing or raise goes well, index weight up  fails, weight cut
sales_figures     sales, share or prices up                    down
security          flaw found or alleged                        denied, fixed
================= ============================================ =================================================
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from chipwire.data.errors import UnknownName, UnreadableInput
from chipwire.data.universe import Universe, load_universe

Direction = Literal["for", "against"]
Three = tuple[float, float, float]

EVENTS = (
    "chip_sale_ban", "tool_ban", "entity_listing", "relaxation", "procurement", "state_funding", "model_launch",
    "cheap_model_shock", "capex", "earnings", "guidance", "rating", "risk_warning", "supply_deal", "product_launch",
    "lawsuit", "probe", "retaliation", "tariff", "merger", "management", "production", "listing", "sales_figures",
    "security",
)  # fmt: skip
"""The event types that can move an issuer; ``none`` moves nobody."""

COLUMNS = ("event", "actor", "subject", "role", "sign", "weight", "valid_from", "reason")

LEAST_EVENT = 0.03
"""An event less likely than this is not weighed."""

LEAST_MOVED = 0.08
"""Least P that an issuer which is not named is moved at all, times the weight of the row."""

SEEN = 0.5
"""Share of what the model sees of issuers that are not named, beside what the table says of them."""

LEAST_LEAN = 0.2
"""Least part of it that up and down must differ by: under it the sign is a coin."""

_WORD = re.compile(r"!?/[^/]+/|\S+")  # of a subject: a name or a regular expression between slashes, "!" negates

READ_CHARACTERS = 1_000
"""How much of a title is read, as for the themes."""


class _Title:
    """A title in lower case that remembers which patterns it has: hundreds of rows ask for the same few."""

    def __init__(self, title: str) -> None:
        self._text = title[:READ_CHARACTERS].lower()
        self._has: dict[re.Pattern[str], bool] = {}

    def has(self, pattern: re.Pattern[str]) -> bool:
        found = self._has.get(pattern)
        if found is None:
            found = self._has[pattern] = pattern.search(self._text) is not None
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
        return len(self.needs) + (self.actor not in ("*", "none")), self.weight

    def speaks_of(self, title: _Title) -> bool:
        """Return whether a title is about the row's subject."""
        if self.guard is not None and not title.has(self.guard):
            return False
        return all(map(title.has, self.needs)) and not any(map(title.has, self.excludes))


@dataclass(frozen=True)
class ExposureReading:
    """How one issuer that the headline does not name is moved.

    Attributes
    ----------
    value : float
        In [-1, 1]: P(positive) - P(negative).
    probabilities : tuple of float
        P(negative), P(neutral), P(positive); they sum to 1.
    relevance : float
        Weight of the row, in (0, 1].
    """

    issuer: str
    value: float
    probabilities: Three
    event: str
    reason: str
    relevance: float


@dataclass(frozen=True)
class _Why:
    """The row by which an event, in its direction (`way`: +1 for, -1 against), moves an issuer, and how likely."""

    part: float
    event: str
    row: Exposure
    way: int

    @property
    def reason(self) -> str:
        return self.row.reason if self.way > 0 else f"averted or undone: {self.row.reason}"


class ExposureTable:
    """The rows of a table for the issuers of a universe.

    Attributes
    ----------
    id : str
        Digest of the rows, the subjects and the roles; part of a reading's identity.
    rows : tuple of Exposure
        In the order of the file.
    """

    def __init__(self, rows: tuple[Exposure, ...], universe: Universe) -> None:
        self.rows = rows
        self._roles = {issuer.id: frozenset(issuer.roles) for issuer in universe.issuers.values()}
        self._by_event: dict[str, list[Exposure]] = {}
        for row in rows:
            self._by_event.setdefault(row.event, []).append(row)
        told = [[*(getattr(row, c) for c in COLUMNS[:-2]), row.valid_from.isoformat(), row.reason] for row in rows]
        patterns = [[[p.pattern for p in row.needs], [p.pattern for p in row.excludes]] for row in rows]
        roles = {issuer: sorted(held) for issuer, held in sorted(self._roles.items())}
        self.id = hashlib.blake2b(json.dumps([told, patterns, roles]).encode(), digest_size=6).hexdigest()

    def read(
        self,
        title: str,
        named: Collection[str] | Mapping[str, Three],
        events: Mapping[str, float],
        direction: Three,
        on: date | None = None,
        seen: Mapping[str, Three] | None = None,
    ) -> list[ExposureReading]:
        """Return how the event moves the issuers that the headline does not name.

        What a headline says of the issuers that it names tells which event it is, and whether it happens: a title
        that is good for a GPU seller is no ban on its sales. So each event in each direction is weighed by how well
        the table's sign for the named issuers agrees with their readings (Bayes' rule), and an issuer that is not
        named is moved by all of them by what they then weigh.

        Parameters
        ----------
        title : str
            The headline.
        named : collection of str, or mapping of str to three floats
            Ids of the issuers that it names; they never get a reading here. As a mapping, with P(negative),
            P(neutral), P(positive) of each.
        events : mapping of str to float
            P of each event, ``none`` among them.
        direction : tuple of float
            P(for), P(none), P(against); they sum to 1.
        on : date, optional
            Day of the headline; rows that hold from a later day do not count. None: undated, all rows count.
        seen : mapping of str to three floats, optional
            What the model sees of issuers that are not named: P(down), P(not moved), P(up) of each. It is mixed half
            and half with what the table says, and where the words of no row's subject occur, it stands for them: the
            likeliest event's row for the issuer then gives the reason, or there is no reading.

        Returns
        -------
        list of ExposureReading
            By issuer; none for one that is hardly moved (``LEAST_MOVED``) or as likely up as down (``LEAST_LEAN``).
        """
        up, down = dict.fromkeys(self._roles, 0.0), dict.fromkeys(self._roles, 0.0)
        best: dict[tuple[str, int], _Why] = {}
        weighed = self._weighed(title, named, events, direction)
        for event, way, share in weighed:
            for issuer, row in self.moved(event, title, named, on).items():
                sign, part = row.sign * way, share * row.weight
                (up if sign > 0 else down)[issuer] += part
                if (issuer, sign) not in best or part > best[issuer, sign].part:
                    best[issuer, sign] = _Why(part, event, row, way)
        readings = []
        for issuer in sorted(self._roles.keys() - set(named)):
            p_up, p_down = up[issuer], down[issuer]
            if seen is not None and issuer in seen:
                below, _, above = seen[issuer]
                p_up, p_down = (1 - SEEN) * p_up + SEEN * above, (1 - SEEN) * p_down + SEEN * below
            value, moved = p_up - p_down, p_up + p_down
            if moved < LEAST_MOVED or abs(value) < LEAST_LEAN * moved:
                continue
            sign = 1 if value > 0 else -1
            why = best.get((issuer, sign)) or self._unsaid(issuer, sign, weighed, title, named, on)
            if why is None:
                continue
            probabilities = (p_down, max(0.0, 1.0 - moved), p_up)
            readings.append(ExposureReading(issuer, value, probabilities, why.event, why.reason, why.row.weight))
        return readings

    def _unsaid(
        self,
        issuer: str,
        sign: int,
        weighed: list[tuple[str, int, float]],
        title: str,
        named: Collection[str],
        on: date | None,
    ) -> _Why | None:
        """Return the likeliest way in which an issuer is moved by `sign`, whatever words the title has for it."""
        ways: list[_Why] = []
        for event, way, share in weighed:
            rows = self._applicable(event, title, named, on, literally=False)
            if (row := self._row(issuer, [row for row in rows if row.sign * way == sign])) is not None:
                ways.append(_Why(share * row.weight, event, row, way))
        return max(ways, key=lambda why: why.part, default=None)

    def _weighed(
        self,
        title: str,
        named: Collection[str],
        events: Mapping[str, float],
        direction: Three,
    ) -> list[tuple[str, int, float]]:
        """Return (event, +1 for or -1 against, weight); the weights and that of nothing happening sum to 1."""
        p_for, p_none, p_against = direction
        read = named if isinstance(named, Mapping) else {}
        blank = 0.5 ** len(read)
        nothing = events.get("none", 0.0) * blank
        weighed = []
        for event, p_event in sorted(events.items()):
            if event not in _OWN_SIGN or p_event < LEAST_EVENT:
                nothing += 0.0 if event == "none" else p_event * blank
                continue
            nothing += p_event * p_none * blank
            signs = {issuer: self._own_sign(issuer, event, title, named) for issuer in read}
            for way, p_way in ((1, p_for), (-1, p_against)):
                agreed = math.prod(_agreement(read[issuer], sign * way) for issuer, sign in signs.items())
                weighed.append((event, way, p_event * p_way * agreed))
        total = nothing + sum(share for _, _, share in weighed)
        return [(event, way, share / total) for event, way, share in weighed if share > 0.0]

    def _own_sign(self, issuer: str, event: str, title: str, named: Collection[str]) -> int:
        """Return which way an event pushes an issuer that the title names."""
        row = self.own_row(issuer, event, title, named) if event in _BY_ROLE else None
        return _OWN_SIGN[event] if row is None else row.sign

    def moved(self, event: str, title: str, named: Collection[str], on: date | None = None) -> dict[str, Exposure]:
        """Return the row by which an event moves each issuer that is not named, by issuer.

        The most particular row wins (subjects and actor counted), then the heaviest, then the first of the file.
        A row with sign 0 says that the issuer is not moved, where a broader row would say that it is.
        """
        rows = self._applicable(event, title, named, on)
        found = {
            issuer: row
            for issuer in sorted(self._roles.keys() - set(named))
            if (row := self._row(issuer, rows)) is not None
        }
        return {issuer: row for issuer, row in found.items() if row.sign}

    def own_row(self, issuer: str, event: str, title: str, named: Collection[str]) -> Exposure | None:
        """Return the row that would hold for a named issuer if it were not named, or None."""
        row = self._row(issuer, self._applicable(event, title, set(named) - {issuer}, None))
        return row if row is not None and row.sign else None

    def _applicable(
        self, event: str, title: str, named: Collection[str], on: date | None, *, literally: bool = True
    ) -> list[Exposure]:
        actors = {"*"}.union(*(self._roles.get(issuer, frozenset()) for issuer in named)) if named else {"*", "none"}
        text = _Title(title)
        return [
            row
            for row in self._by_event.get(event, [])
            if row.actor in actors
            and (on is None or row.valid_from <= on)
            and (row.speaks_of(text) if literally else not any(map(text.has, row.excludes)))
        ]

    def _row(self, issuer: str, rows: list[Exposure]) -> Exposure | None:
        roles = self._roles.get(issuer, frozenset())
        return max((row for row in rows if row.role in roles), key=lambda row: row.rank, default=None)


_OWN_SIGN = {
    "chip_sale_ban": -1, "tool_ban": -1, "entity_listing": -1, "relaxation": 1, "procurement": 1, "state_funding": 1,
    "model_launch": 1, "cheap_model_shock": -1, "capex": 1, "earnings": 1, "guidance": 1, "rating": 1,
    "risk_warning": -1, "supply_deal": 1, "product_launch": 1, "lawsuit": -1, "probe": -1, "retaliation": -1,
    "tariff": -1, "merger": 1, "management": 1, "production": 1, "listing": 1, "sales_figures": 1, "security": -1,
}  # fmt: skip
# Events of policy and markets, where a named issuer stands on the side that the table gives to its role.
_BY_ROLE = frozenset(
    ("chip_sale_ban", "tool_ban", "relaxation", "procurement", "cheap_model_shock", "retaliation", "tariff")
)
# Events that are of this trade by their name.
_OF_THE_TRADE = frozenset(("chip_sale_ban", "tool_ban", "cheap_model_shock"))


def _agreement(probabilities: Three, sign: int) -> float:
    """Return how likely a reading is where the issuer is pushed that way; one half where it says nothing."""
    negative, neutral, positive = probabilities
    return max(0.01, (positive if sign > 0 else negative) + 0.5 * neutral)


_LABEL_SIGN = {"negative": -1, "neutral": 0, "positive": 1}


def infer_direction(event: str, title: str, named: Collection[str], labels: Mapping[str, str]) -> Direction | None:
    """Return the direction of an event that agrees with the labels of a headline's issuers.

    Parameters
    ----------
    event : str
        Its type; ``none`` has no direction.
    title : str
        The headline.
    named : collection of str
        Issuers that it names.
    labels : mapping of str to str
        ``negative``, ``neutral`` or ``positive`` by issuer, named or not.

    Returns
    -------
    str or None
        ``for``, ``against``, or None where the labels do not tell.

    Notes
    -----
    The issuers that are not named decide, each by its row of the table, as the direction is there for them. Where they
    do not tell, a named issuer votes with what the event does to the company that it befalls (a lawsuit is bad, an
    order good) or, in events of policy, with the row of its role.
    """
    if event not in _OWN_SIGN:
        return None
    table = load_exposures()
    rows = table.moved(event, title, named)
    votes = sum(rows[issuer].sign * _LABEL_SIGN[label] for issuer, label in labels.items() if issuer in rows)
    for issuer, label in labels.items() if votes == 0 else ():
        row = table.own_row(issuer, event, title, named) if event in _BY_ROLE and issuer in named else None
        votes += (_OWN_SIGN[event] if row is None else row.sign) * _LABEL_SIGN[label]
    if votes == 0:
        return None
    return "for" if votes > 0 else "against"


def load_exposures(path: Path | None = None, universe: Universe | None = None) -> ExposureTable:
    """Read a table.

    Parameters
    ----------
    path : Path, optional
        A csv of the form of the shipped ``exposure.csv``, which it replaces.
    universe : Universe, optional
        Whose issuers and roles count. Default: the shipped one.

    Raises
    ------
    UnreadableInput
        The file cannot be read or is not of that form; the message names line, column and value.
    """
    if path is None and universe is None:
        return _shipped_table()
    text, where = (_shipped("exposure.csv"), "exposure.csv") if path is None else (_text(path), str(path))
    return _table(text, where, load_universe() if universe is None else universe)


@cache
def _shipped_table() -> ExposureTable:
    return _table(_shipped("exposure.csv"), "exposure.csv", load_universe())


def _table(text: str, where: str, universe: Universe) -> ExposureTable:
    subjects = tomllib.loads(_shipped("exposure_subjects.toml"))["subject"]
    return ExposureTable(_Reader(where, subjects, universe).rows(text), universe)


def _shipped(name: str) -> str:
    return resources.files("chipwire.signals").joinpath(name).read_text("utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise UnreadableInput(str(path), error.strerror or "cannot be read") from error
    except UnicodeDecodeError as error:
        raise UnreadableInput(str(path), "is not UTF-8; save it as UTF-8") from error


class _Reader:
    """Turns the lines of a file into rows, one for each event and role of a line."""

    def __init__(self, where: str, subjects: Mapping[str, list[str]], universe: Universe) -> None:
        self._where = where
        # ASCII: a word boundary stands between Latin letters and Chinese, as in "DRAM合约价".
        self._subjects = {name: re.compile("|".join(patterns), re.ASCII) for name, patterns in subjects.items()}
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
        actors = self._names(line, "actor", cells["actor"], ("*", "none", *self._roles))
        roles = self._names(line, "role", cells["role"], self._roles)
        broad = {actor for actor in ("*", "none") if not needs}
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
                    pattern = re.compile(name[1:-1], re.ASCII)
                except re.error as error:
                    raise self._refuse(line, "subject", word, f"not a regular expression: {error}") from error
            elif name in self._subjects:
                pattern = self._subjects[name]
            else:
                known = UnknownName("subject", name, self._subjects, "or a regular expression as /.../")
                raise UnreadableInput(self._where, f"line {line}: {known}")
            (excludes if word.startswith("!") else needs).append(pattern)
        return tuple(needs), tuple(excludes)
