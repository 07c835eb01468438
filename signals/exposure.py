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

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from chipwire.data.universe import Universe, load_universe
from chipwire.signals.characters import table_id
from chipwire.signals.exposure_rows import BY_ROLE, COLUMNS, OWN_SIGN, SEEN_ONLY, Exposure, Words, load_rows

Three = tuple[float, float, float]

LEAST_EVENT = 0.03
"""An event less likely than this is not weighed."""

LEAST_MOVED = 0.06
"""Least P that an issuer which is not named is moved at all, times the weight of the row."""

SEEN = 0.5
"""Share of what the model sees of issuers that are not named, beside what the table says of them."""

LEAST_SEEN = 0.2
"""As `LEAST_MOVED`, for an issuer that is moved by no row of the table and only as the model sees it."""

LEAST_LEAN = 0.02
"""Least part of it that up and down must differ by: under it the sign is a coin."""

REMEMBERED = 4_096
"""How many selections of rows, by event and actors, a table keeps: memory stays flat, whatever is read."""


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


@dataclass(frozen=True)
class _Asked:
    """A title that the table is asked about."""

    words: Words
    named: frozenset[str]
    actors: frozenset[str]
    on: date | None

    def holds(self, row: Exposure) -> bool:
        """Return whether a row was true on the day."""
        return self.on is None or row.valid_from <= self.on


class ExposureTable:
    """The rows of a table for the issuers of a universe.

    Attributes
    ----------
    id : str
        Digest of the rows, the subjects, the roles, the constants of the mix and the table of characters; part of a
        reading's identity.
    rows : tuple of Exposure
        In the order of the file.
    """

    def __init__(self, rows: tuple[Exposure, ...], universe: Universe) -> None:
        self.rows = rows
        self._roles = {issuer.id: frozenset(issuer.roles) for issuer in universe.issuers.values()}
        self._issuers = tuple(sorted(self._roles))
        self._holders = {
            row.role: tuple(issuer for issuer, held in self._roles.items() if row.role in held) for row in rows
        }
        self._of_actors: dict[tuple[str, frozenset[str]], tuple[Exposure, ...]] = {}
        # The most particular row first: the first that applies to a role is the one that counts.
        self._ranked: dict[str, list[Exposure]] = {}
        for row in sorted(rows, key=lambda row: row.rank, reverse=True):
            self._ranked.setdefault(row.event, []).append(row)
        told = [[*(getattr(row, c) for c in COLUMNS[:-2]), row.valid_from.isoformat(), row.reason] for row in rows]
        patterns = [[[p.pattern for p in row.needs], [p.pattern for p in row.excludes]] for row in rows]
        roles = {issuer: sorted(held) for issuer, held in sorted(self._roles.items())}
        mix = [LEAST_EVENT, LEAST_MOVED, LEAST_SEEN, SEEN, LEAST_LEAN, table_id()]
        self.id = hashlib.blake2b(json.dumps([told, patterns, roles, mix]).encode(), digest_size=6).hexdigest()

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
            What the model sees of issuers that are not named: P(down), P(not moved), P(up) of each. It is mixed with
            what the table says (``SEEN``), and where the words of no row's subject occur, it stands for them: the
            likeliest event's row for the issuer then gives the reason, or there is no reading.

        Returns
        -------
        list of ExposureReading
            By issuer; none for one that is hardly moved (``LEAST_MOVED``) or as likely up as down (``LEAST_LEAN``).
        """
        asked = self._asked(title, named, on)
        weighed = self._weighed(asked, named, events, direction)
        up, down, best = self._pushed(weighed, asked)
        readings = []
        for issuer in self._issuers:
            if issuer in asked.named:
                continue
            p_up, p_down = up.get(issuer, 0.0), down.get(issuer, 0.0)
            if seen is not None and issuer in seen:
                below, _, above = seen[issuer]
                p_up, p_down = (1 - SEEN) * p_up + SEEN * above, (1 - SEEN) * p_down + SEEN * below
            value, moved = p_up - p_down, p_up + p_down
            if moved < LEAST_MOVED or abs(value) < LEAST_LEAN * moved:
                continue
            sign = 1 if value > 0 else -1
            why = best.get((issuer, sign)) or self._unsaid(issuer, sign, weighed, asked)
            if why is None or (why.row.actor == SEEN_ONLY and moved < LEAST_SEEN):
                continue
            probabilities = (p_down, max(0.0, 1.0 - moved), p_up)
            readings.append(ExposureReading(issuer, value, probabilities, why.event, why.reason, why.row.weight))
        return readings

    def _pushed(
        self, weighed: list[tuple[str, int, float]], asked: _Asked
    ) -> tuple[dict[str, float], dict[str, float], dict[tuple[str, int], _Why]]:
        """Return P(up) and P(down) by issuer, and by issuer and sign the row that says most for it."""
        up: dict[str, float] = {}
        down: dict[str, float] = {}
        best: dict[tuple[str, int], _Why] = {}
        moved = {event: self._moved(event, asked) for event, _, _ in weighed}
        for event, way, share in weighed:
            for issuer, row in moved[event].items():
                sign, part = row.sign * way, share * row.weight
                side = up if sign > 0 else down
                side[issuer] = side.get(issuer, 0.0) + part
                if (issuer, sign) not in best or part > best[issuer, sign].part:
                    best[issuer, sign] = _Why(part, event, row, way)
        return up, down, best

    def _unsaid(self, issuer: str, sign: int, weighed: list[tuple[str, int, float]], asked: _Asked) -> _Why | None:
        """Return the likeliest way in which an issuer is moved by `sign`, whatever words the title has for it.

        Of an event's rows the broadest counts, as the title has the words of none; those that are for what only the
        model sees come last.
        """
        actors = asked.actors | {SEEN_ONLY}
        roles, ways = self._roles[issuer], []
        for event, way, share in weighed:
            rows = [
                row
                for row in self._rows_for(event, actors)
                if row.role in roles and row.sign * way == sign and asked.holds(row)
                and not any(map(asked.words.has, row.excludes))
            ]  # fmt: skip
            if rows:
                row = max(rows, key=lambda row: (row.actor != SEEN_ONLY, -len(row.needs), row.weight))
                ways.append(_Why(share * row.weight, event, row, way))
        return max(ways, key=lambda why: why.part, default=None)

    def _weighed(
        self,
        asked: _Asked,
        named: Collection[str],
        events: Mapping[str, float],
        direction: Three,
    ) -> list[tuple[str, int, float]]:
        """Return (event, +1 for or -1 against, weight); the weights and that of nothing happening sum to 1."""
        p_for, p_none, p_against = direction
        read = named if isinstance(named, Mapping) else {}
        blank = 0.5 ** len(read)
        without = {issuer: self._without(issuer, asked) for issuer in read}
        nothing = events.get("none", 0.0) * blank
        weighed = []
        for event, p_event in sorted(events.items()):
            if event not in OWN_SIGN or p_event < LEAST_EVENT:
                nothing += 0.0 if event == "none" else p_event * blank
                continue
            nothing += p_event * p_none * blank
            signs = {issuer: self._own_sign(issuer, event, others) for issuer, others in without.items()}
            for way, p_way in ((1, p_for), (-1, p_against)):
                agreed = math.prod(_agreement(read[issuer], sign * way) for issuer, sign in signs.items())
                weighed.append((event, way, p_event * p_way * agreed))
        total = nothing + sum(share for _, _, share in weighed)
        return [(event, way, share / total) for event, way, share in weighed if share > 0.0]

    def _own_sign(self, issuer: str, event: str, others: _Asked) -> int:
        """Return which way an event pushes an issuer that the title names."""
        row = self._own_row(issuer, event, others) if event in BY_ROLE else None
        return OWN_SIGN[event] if row is None else row.sign

    def moved(self, event: str, title: str, named: Collection[str], on: date | None = None) -> dict[str, Exposure]:
        """Return the row by which an event moves each issuer that is not named, by issuer.

        The most particular row wins (subjects and actor counted), then the heaviest, then the first of the file.
        A row with sign 0 says that the issuer is not moved, where a broader row would say that it is.
        """
        return self._moved(event, self._asked(title, named, on))

    def own_row(self, issuer: str, event: str, title: str, named: Collection[str]) -> Exposure | None:
        """Return the row that would hold for a named issuer if it were not named, or None."""
        return self._own_row(issuer, event, self._without(issuer, self._asked(title, named, None)))

    def _own_row(self, issuer: str, event: str, others: _Asked) -> Exposure | None:
        roles = self._roles.get(issuer, _NO_ROLES)
        for row in self._rows_for(event, others.actors):
            if row.role in roles and others.holds(row) and row.speaks_of(others.words):
                return row if row.sign else None
        return None

    def _without(self, issuer: str, asked: _Asked) -> _Asked:
        """Return what is asked of a title as if it did not name one issuer."""
        others = asked.named - {issuer}
        return _Asked(asked.words, others, self._actors(others), asked.on)

    def _asked(self, title: str, named: Collection[str], on: date | None) -> _Asked:
        return _Asked(Words(title), frozenset(named), self._actors(named), on)

    def _actors(self, named: Collection[str]) -> frozenset[str]:
        return frozenset(("*",)).union(*(self._roles.get(one, ()) for one in named)) if named else _NOBODY

    def _moved(self, event: str, asked: _Asked) -> dict[str, Exposure]:
        moved: dict[str, Exposure] = {}
        done: set[str] = set()
        for row in self._rows_for(event, asked.actors):
            if row.role not in done and asked.holds(row) and row.speaks_of(asked.words):
                done.add(row.role)
                for issuer in self._holders[row.role]:
                    moved.setdefault(issuer, row)
        return {issuer: row for issuer, row in moved.items() if row.sign and issuer not in asked.named}

    def _rows_for(self, event: str, actors: frozenset[str]) -> tuple[Exposure, ...]:
        """Return the rows of an event for such actors, the most particular first; remembered for the usual ones."""
        rows = self._of_actors.get((event, actors))
        if rows is None:
            rows = tuple(row for row in self._ranked.get(event, ()) if row.actor in actors)
            if len(self._of_actors) < REMEMBERED:
                self._of_actors[event, actors] = rows
        return rows


_NOBODY = frozenset(("*", "none"))
_NO_ROLES: frozenset[str] = frozenset()


def _agreement(probabilities: Three, sign: int) -> float:
    """Return how likely a reading is where the issuer is pushed that way; one half where it says nothing."""
    negative, neutral, positive = probabilities
    return max(0.01, (positive if sign > 0 else negative) + 0.5 * neutral)


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
    universe = load_universe() if universe is None else universe
    return ExposureTable(load_rows(path, universe), universe)


@cache
def _shipped_table() -> ExposureTable:
    return ExposureTable(load_rows(None, load_universe()), load_universe())
