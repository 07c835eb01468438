"""Which column of a news table plays which role: by profile, by common names, by the user's word."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from chipwire.data.errors import BadParameter, UnknownName, UnrecognisedColumns

ROLES = (
    "title",
    "summary",
    "body",
    "url",
    "source",
    "published",
    "first_seen",
    "tickers",
    "language",
    "zone",
)


@dataclass(frozen=True)
class Profile:
    """How to read one kind of news table.

    Attributes
    ----------
    name : str
        The profile's name, 'generic' where none fitted.
    roles : mapping of str to str
        Role to column.
    zone : str or None
        IANA zone of naive times and of dates alone.
    day_zone : str or None
        IANA zone of dates alone, where a naive time is to be refused.
    first_seen_zone : str or None
        IANA zone of naive first-seen times.
    detokenise : bool
        Whether punctuation stands alone and is to be rejoined.
    """

    name: str
    roles: Mapping[str, str]
    columns: frozenset[str] = field(default=frozenset(), repr=False)
    exact: bool = False
    zone: str | None = None
    day_zone: str | None = None
    first_seen_zone: str | None = None
    detokenise: bool = False

    def fits(self, header: Sequence[str]) -> bool:
        """Return whether the profile's columns are in `header`, and no others if it says so."""
        names = set(header)
        return self.columns == names if self.exact else self.columns <= names


@lru_cache(maxsize=1)
def _file() -> dict[str, Any]:
    text = resources.files("chipwire.data").joinpath("profiles.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@lru_cache(maxsize=1)
def known_publishers() -> frozenset[str]:
    """Return the casefolded names that are taken off the end of a title."""
    return frozenset(name.casefold() for name in _file()["known_publishers"])


@lru_cache(maxsize=1)
def profiles() -> tuple[Profile, ...]:
    """Return the shipped profiles, those with most columns first."""
    found = [Profile(**{**entry, "columns": frozenset(entry["columns"])}) for entry in _file()["profile"]]
    return tuple(sorted(found, key=lambda profile: -len(profile.columns)))


def _folded(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "", name).casefold()


def recognise(header: Sequence[str]) -> Profile:
    """Return the profile that fits `header`, else one made from common column names; roles may be missing."""
    for profile in profiles():
        if profile.fits(header):
            present = {role: name for role, name in profile.roles.items() if name in header}
            return replace(profile, roles=present)
    folded: dict[str, str] = {}
    for name in header:
        folded.setdefault(_folded(name), name)
    roles = {}
    for role in ROLES:
        known = [folded[name] for name in _file()["generic"][role] if name in folded]
        if known:
            roles[role] = known[0]
    return Profile(
        "generic",
        roles,
        zone=_utc_by_name(roles.get("published")),
        first_seen_zone=_utc_by_name(roles.get("first_seen")),
    )


def _utc_by_name(column: str | None) -> str | None:
    return "UTC" if column and _folded(column).endswith("utc") else None


def check_column_map(column_map: Mapping[str, str]) -> None:
    """Raise UnknownName for a role in `column_map` that there is not."""
    for role in column_map:
        if role not in ROLES:
            raise UnknownName("role in --map", role, ROLES, f"roles are {', '.join(ROLES)}")


def choose_profile(
    path: str,
    header: Sequence[str],
    column_map: Mapping[str, str],
    zone: str | None,
    *,
    dated_by_user: bool = False,
) -> Profile:
    """Return how to read a table with this `header`.

    Parameters
    ----------
    path : str
        For messages.
    header : sequence of str
        The table's column names.
    column_map : mapping
        Role to column as the user says; wins over profile and common names.
    zone : str or None
        The user's zone; wins over the profile's.
    dated_by_user : bool
        The user gives one date for all, so that a column of dates is not needed.

    Raises
    ------
    UnknownName
        A mapped column is not there.
    UnrecognisedColumns
        No title, or no published column.
    BadParameter
        One role's column appears twice in the header.
    """
    profile = recognise(header)
    for role, column in column_map.items():
        if column not in header:
            raise UnknownName("column", column, header, f"{path} has {', '.join(map(repr, header))} (--map {role}=...)")
    profile = replace(profile, roles={**profile.roles, **column_map})
    if "published" in column_map:
        profile = replace(profile, zone=_utc_by_name(column_map["published"]), day_zone=None)
    if zone is not None:
        profile = replace(profile, zone=zone, day_zone=None)
    for role in ("title", "published"):
        if role not in profile.roles and not (role == "published" and dated_by_user):
            raise UnrecognisedColumns(path, role, header)
    for role, column in profile.roles.items():
        if list(header).count(column) > 1:
            raise BadParameter(
                f"{path}: column", column, f"it is there twice and one would be taken as {role}; rename one"
            )
    return profile


def looks_like_header(cells: Sequence[str]) -> bool:
    """Return whether the cells name at least a title and when it was published."""
    return {"title", "published"} <= set(recognise(cells).roles)
