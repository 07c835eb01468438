"""Every error that a user can meet, built from objects: what, which value, what is allowed, what to do next.

The command line prints the message as one line on stderr and exits with 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path


class ChipwireError(Exception):
    """A domain error: its text is one line for the user."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known word, or an empty string."""
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(value.casefold(), list(names), n=1, cutoff=0.6)
    return f"; did you mean '{names[near[0]]}'?" if near else ""


def counted(number: int, one: str, many: str = "") -> str:
    """Return a count with its noun, ``1 row`` or ``1,234 rows``.

    `many` is said of any number but 1; empty: `one` with an s. Give both where a verb follows the noun.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


# --- warehouse -------------------------------------------------------------------------------------------


class WarehouseError(ChipwireError):
    """The warehouse file cannot be used as it is."""


class WarehouseBusy(WarehouseError):
    """Another process holds the warehouse."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is busy: held by {holder}; wait until it is done, or use another --db")


class WarehouseMissing(WarehouseError):
    """There is no warehouse at the path."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} does not exist; create it with 'chipwire ingest' or name another with --db")


class NotAWarehouse(WarehouseError):
    """The file is not a DuckDB file that chipwire wrote, or it is damaged."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path} is not a readable chipwire warehouse ({detail}); name another with --db")


class NewerWarehouse(WarehouseError):
    """The file was written by a newer chipwire."""

    def __init__(self, path: Path, found: int, supported: int) -> None:
        super().__init__(
            f"{path} has schema version {found}, written by a newer chipwire; this one knows versions up to "
            f"{supported}: upgrade chipwire, or use another --db"
        )


class OlderWarehouse(WarehouseError):
    """The file was written by an older chipwire and is only to be read."""

    def __init__(self, path: Path, found: int, current: int) -> None:
        super().__init__(
            f"{path} has schema version {found}, written by an older chipwire; this one reads version {current}: any "
            "command that writes, such as 'chipwire score', brings it up to date and keeps all that is in it"
        )


class ForeignCatalog(WarehouseError):
    """The file holds objects that chipwire did not put there, or lacks some."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(
            f"{path} is refused: {detail}; a view, macro or altered table could change results: "
            "restore the file from a copy, or start a new one with --db"
        )


class WarehouseShorter(WarehouseError):
    """The file has lost batches that were acknowledged."""

    def __init__(self, path: Path, acknowledged: int, found: int) -> None:
        super().__init__(
            f"{path} ends at batch {found} but batch {acknowledged} was acknowledged: its log was lost; restore a "
            f"copy, or remove {path}.lock to go on with what is there and ingest the rest again"
        )


class WriteFailed(WarehouseError):
    """A write did not reach the disk."""

    def __init__(self, path: Path, detail: str, advice: str = "free space or check permissions") -> None:
        super().__init__(f"writing {path} failed ({detail}); {advice}, then run it again")


# --- input -----------------------------------------------------------------------------------------------


class InputError(ChipwireError):
    """A file or value given by the user cannot be used."""


class UnreadableInput(InputError):
    """A whole file cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class UnknownName(InputError):
    """A name that chipwire does not know: an instrument, a strategy, a column, a run."""

    def __init__(self, kind: str, value: str, known: Iterable[str], next_step: str = "") -> None:
        hint = did_you_mean(value, known)
        step = f"; {next_step}" if next_step else ""
        super().__init__(f"unknown {kind} '{value}'{hint}{step}")


class BadParameter(InputError):
    """A parameter's value is outside what is allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={value!r} is not allowed: {allowed}")


class DuplicateColumns(InputError):
    """Two columns of a price file claim to be the same thing."""

    def __init__(self, path: str, columns: Iterable[str]) -> None:
        super().__init__(
            f"{path}: columns {', '.join(columns)} each stand there more than once; which set belongs to the "
            "instrument cannot be told: keep one set, delete the other and ingest again"
        )


class WrongInstrument(InputError):
    """A file's content names another instrument than its name or the user does."""

    def __init__(self, path: str, inside: str, outside: str, outside_is: str) -> None:
        super().__init__(
            f"{path}: holds {inside}, but {outside_is} says {outside}; rename the file or give --instrument"
        )


class MixedAdjustment(InputError):
    """Bars adjusted in one way meet stored bars of the same instrument adjusted in another."""

    def __init__(self, path: str, instrument: str, stored: str, given: str, why: str) -> None:
        super().__init__(
            f"{path}: {instrument} is stored with adjustment '{stored}' and this file has '{given}' ({why}); "
            f"the two do not mix: give --adjustment {stored} if that is what it is, or --replace to drop the stored"
        )


class RevisedSeries(InputError):
    """Most bars that a file shares with the warehouse have other prices: another series, or adjusted anew."""

    def __init__(self, path: str, instrument: str, differing: int, common: int, example: str) -> None:
        super().__init__(
            f"{path}: {differing:,} of {common:,} bars of {instrument} that are stored already have other prices "
            f"here ({example}): another source, or adjusted anew since; nothing of it is taken: give --replace to "
            "drop what is stored"
        )


class OutsideCalendar(InputError):
    """Sessions were asked for where the venue's calendar is not known."""

    def __init__(self, venue: str, start: date, end: date, first: date, last: date) -> None:
        super().__init__(
            f"the calendar of {venue} is known from {first} to {last}, {start} to {end} reaches beyond; "
            "choose a span inside it, or upgrade exchange_calendars"
        )


class DomainError(ChipwireError):
    """A request that makes no sense on this data; the message says what, which value and what to do."""


class NothingToDo(ChipwireError):
    """A stage has no input; the message names the command that makes it."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(f"{what}; {next_step}")


class SomeRejected(ChipwireError):
    """Good rows were kept, but some could not be used."""

    def __init__(self, rejected: int, first: str) -> None:
        which = "" if rejected == 1 else "the first is "
        super().__init__(f"{counted(rejected, 'row')} could not be used, {which}{first}; 'chipwire rejects' lists them")


# --- models ----------------------------------------------------------------------------------------------


class BadModel(ChipwireError):
    """A model cannot be loaded or trusted."""

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"model {reference}: {reason}")


class BadRow(InputError):
    """One row cannot be used; the text is the reason that goes to ``reject``."""


class BadInstant(BadRow):
    """A date or time that is in no known form, impossible or implausible."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"'{text[:60]}' {why}")


class MissingZone(BadInstant):
    """A date or time without an offset, and no zone from the source's profile or the user."""

    def __init__(self, text: str) -> None:
        super().__init__(text, "carries no time zone; say which with --tz, e.g. --tz America/New_York")


class UnrecognisedColumns(UnreadableInput):
    """A table in which a needed column was not recognised."""

    def __init__(self, path: str, role: str, columns: Iterable[str]) -> None:
        found = ", ".join(repr(name[:40]) for name in list(columns)[:20])
        super().__init__(
            path,
            f"no column recognised as {role} (found {found}); name them, "
            "e.g. --map title=kop,published=datum --tz Europe/Amsterdam",
        )


# --- runs ------------------------------------------------------------------------------------------------


class BadTarget(ChipwireError):
    """A strategy failed, or asked for something that cannot be traded."""

    def __init__(self, strategy: str, decision: datetime, detail: str) -> None:
        super().__init__(f"strategy '{strategy}' at the decision of {decision:%Y-%m-%d %H:%M} UTC: {detail}")


class TerminatedError(SystemExit):
    """The process was told to end; unlike any other `SystemExit` it is never the fault of a strategy."""

    def __init__(self) -> None:
        super().__init__(143)


class BadPlugin(ChipwireError):
    """A strategy from elsewhere cannot be used."""

    def __init__(self, name: str, origin: str, reason: str) -> None:
        self.name, self.origin = name, origin
        where = "" if origin == name or name.startswith(origin) else f" of {origin}"
        super().__init__(f"strategy plugin '{name}'{where} cannot be used: {reason}")


# --- output ----------------------------------------------------------------------------------------------


class OutputExists(ChipwireError):
    """A file that would be written is there already."""

    def __init__(self, path: Path, count: int) -> None:
        more = f" and {count - 1} more" if count > 1 else ""
        super().__init__(f"{path}{more} already there; use --force to replace, or another --out")
