"""Issuers, their listings, roles and names: a data file that a user can extend or replace, not code."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from chipwire.data.errors import InputError, UnknownName

_LISTS = ("roles", "aliases", "zh", "tickers", "former")
_CONTEXTS = ("not_before", "not_after", "not_near")
_FORMS = {
    "symbol": r"\S+",
    "venue": "[A-Z]{4}",
    "currency": "[A-Z]{3}",
    "kind": "stock|etf|index",
    "board": "main|star|etf|star-etf|",
    "lot": "[1-9][0-9]{0,5}",
}
LISTING_COLUMNS = ("symbol", "issuer", "venue", "currency", "kind", "board", "lot", "listed_on", "name")


@dataclass(frozen=True)
class Instrument:
    """One listing.

    Attributes
    ----------
    symbol : str
        As Yahoo names it, e.g. ``688981.SS``.
    issuer : str or None
        None for funds and indices.
    venue : str
        MIC of the calendar, e.g. ``XSHG``.
    kind : str
        ``stock``, ``etf`` or ``index``; an index is never traded.
    board : str
        ``main``, ``star``, ``etf``, ``star-etf`` or empty; decides lots and price limits.
    lot : int
        Shares of a board lot; for ``star`` the least buy.
    listed_on : date or None
        First session, where the first sessions matter.
    """

    symbol: str
    issuer: str | None
    venue: str
    currency: str
    kind: str
    board: str
    lot: int
    listed_on: date | None
    name: str

    @property
    def tradable(self) -> bool:
        """Whether orders can be sent for it."""
        return self.kind != "index"


@dataclass(frozen=True)
class Issuer:
    """A company with the names by which text speaks of it; see ``universe.toml`` for their meaning."""

    id: str
    name: str
    roles: tuple[str, ...]
    aliases: tuple[str, ...]
    zh: tuple[str, ...]
    tickers: tuple[str, ...]
    former: tuple[str, ...]
    not_before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Universe:
    """All issuers and instruments, and a digest of the files they came from."""

    issuers: Mapping[str, Issuer]
    instruments: Mapping[str, Instrument]
    digest: str

    def instrument(self, symbol: str) -> Instrument:
        """Return the instrument named `symbol`.

        Raises
        ------
        UnknownName
            With the nearest known symbol.
        """
        found = self.instruments.get(symbol)
        if found is None:
            step = "add it to a file and give it with --universe (see 'chipwire universe list')"
            raise UnknownName("instrument", symbol, self.instruments, step)
        return found

    def listings(self, issuer: str) -> tuple[Instrument, ...]:
        """Return the tradable listings of an issuer, in the order of the file; private issuers have none."""
        return tuple(i for i in self.instruments.values() if i.issuer == issuer and i.tradable)


def find_symbol(text: str, universe: Universe) -> str | None:
    """Return the universe's symbol for a name as sources write it, or None.

    ``688981.SH``, ``sh688981``, ``688981.XSHG`` and ``688981`` are ``688981.SS``; ``00981.HK`` and ``981.HK``
    are ``0981.HK``; case does not matter. A bare code must fit one symbol only.
    """
    name = text.strip().upper()
    known = {symbol.upper(): symbol for symbol in universe.instruments}
    if name in known:
        return known[name]
    name = name.split(":")[-1]
    if match := re.fullmatch(r"(SH|HK)\.?(\d{5,6})", name):
        name = f"{match[2]}.{match[1]}"
    code, _, market = name.partition(".")
    market = {"SH": "SS", "XSHG": "SS", "SSE": "SS", "XHKG": "HK", "HKEX": "HK"}.get(market, market)
    if market == "HK" or (not market and re.fullmatch(r"0\d{4}", code)):
        code, market = code.lstrip("0").zfill(4), "HK"
    if market:
        return known.get(f"{code}.{market}")
    fits = [symbol for upper, symbol in known.items() if upper == code or upper.split(".")[0] == code]
    return fits[0] if len(fits) == 1 else None


def _words(table: Mapping[str, Any], issuer: str, key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise InputError(f"universe: issuer {issuer}: '{key}' must be a list of names")
    return tuple(value)


def _context(table: Mapping[str, Any], issuer: str, key: str) -> dict[str, tuple[str, ...]]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise InputError(f"universe: issuer {issuer}: {key} must be a table such as [issuer.{issuer}.{key}]")
    return {alias: tuple(word.lower() for word in _words(found, issuer, alias)) for alias in found}


def _issuers(text: str, where: str) -> dict[str, Issuer]:
    try:
        tables = tomllib.loads(text).get("issuer", {})
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}") from error
    issuers = {}
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise InputError(f"{where}: issuers are tables such as [issuer.SMIC]")
    for name, table in tables.items():
        lists: dict[str, Any] = {key: _words(table, name, key) for key in _LISTS}
        context: dict[str, Any] = {key: _context(table, name, key) for key in _CONTEXTS}
        names = {alias for key in _LISTS[1:] for alias in lists[key]}
        for key in _CONTEXTS:
            if unknown := sorted(context[key].keys() - names):
                raise InputError(f"{where}: issuer {name}: {key} speaks of '{unknown[0]}', which is none of its names")
        issuers[name] = Issuer(id=name, name=str(table.get("name", name)), **lists, **context)
    return issuers


def _instruments(text: str, where: str, issuers: Mapping[str, Issuer]) -> dict[str, Instrument]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    instruments: dict[str, Instrument] = {}
    try:
        if tuple(reader.fieldnames or ()) != LISTING_COLUMNS:
            raise InputError(f"{where}: columns are {reader.fieldnames}, expected {','.join(LISTING_COLUMNS)}")
        for row in reader:
            at = f"{where} line {reader.line_num}"
            found = _instrument(row, at, issuers)
            if found.symbol in instruments:
                raise InputError(f"{at}: {found.symbol} stands there already; keep one of the two")
            instruments[found.symbol] = found
    except csv.Error as error:
        raise InputError(f"{where} line {reader.line_num + 1}: {error}") from error
    return instruments


def _instrument(row: Mapping[str, Any], at: str, issuers: Mapping[str, Issuer]) -> Instrument:
    if None in row or None in row.values():
        raise InputError(f"{at}: has not {len(LISTING_COLUMNS)} cells")
    if row["issuer"] and row["issuer"] not in issuers:
        raise UnknownName("issuer", row["issuer"], issuers, at)
    for column, form in _FORMS.items():
        if not re.fullmatch(form, row[column]):
            raise InputError(f"{at}: {column} is '{row[column]}', allowed is {form.replace('|', ', ')}")
    try:
        listed_on = date.fromisoformat(row["listed_on"]) if row["listed_on"] else None
    except ValueError as error:
        raise InputError(f"{at}: listed_on: {error}") from error
    return Instrument(
        row["symbol"], row["issuer"] or None, row["venue"], row["currency"], row["kind"], row["board"],
        int(row["lot"]), listed_on, row["name"],
    )  # fmt: skip


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from error


@cache
def load_universe(folder: Path | None = None) -> Universe:
    """Read the universe.

    Parameters
    ----------
    folder : Path, optional
        A folder with ``universe.toml`` and ``listings.csv``; their entries extend the shipped ones and replace
        those of the same name. Default: the shipped files alone.

    Raises
    ------
    InputError, UnknownName
        A file is not of the form that the shipped ones show.
    """
    shipped = resources.files("chipwire.data")
    texts = [(shipped.joinpath("universe.toml").read_text("utf-8"), "universe.toml")]
    tables = [(shipped.joinpath("listings.csv").read_text("utf-8"), "listings.csv")]
    if folder is not None:
        for name, found in (("universe.toml", texts), ("listings.csv", tables)):
            if (folder / name).exists():
                found.append((_text(folder / name), str(folder / name)))
        if len(texts) + len(tables) == 2:
            raise InputError(f"--universe {folder}: has neither universe.toml nor listings.csv; give a folder with one")
    issuers: dict[str, Issuer] = {}
    for text, where in texts:
        issuers |= _issuers(text, where)
    instruments: dict[str, Instrument] = {}
    for text, where in tables:
        instruments |= _instruments(text, where, issuers)
    digest = hashlib.blake2b(json.dumps([texts[0][0], *(t for t, _ in texts[1:] + tables)]).encode(), digest_size=8)
    return Universe(issuers, instruments, digest.hexdigest())
