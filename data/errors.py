"""Every error that a user can meet, built from objects: what, which value, what is allowed, what to do next.

The command line prints the message as one line on stderr and exits with 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
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

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(
            f"writing {path} failed ({detail}); free space or check permissions, then run it again"
        )


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


class NothingToDo(ChipwireError):
    """A stage has no input; the message names the command that makes it."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(f"{what}; {next_step}")


class SomeRejected(ChipwireError):
    """Good rows were kept, but some input could not be used."""

    def __init__(self, rejected: int, unreadable: int) -> None:
        parts = [f"{rejected:,} rows" if rejected else "", f"{unreadable:,} files" if unreadable else ""]
        super().__init__(
            f"{' and '.join(p for p in parts if p)} could not be used; see 'chipwire rejects' for file, line and reason"
        )
