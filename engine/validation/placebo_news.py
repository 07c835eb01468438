"""News that says nothing: the run's own signals with their times, issuers or signs mixed up by a seeded chance.

Each way keeps all that is not news, such as how many signals an issuer has in a season and at what hours they come, and
breaks the one thing that is tested: that this news came at this time for this issuer with this sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter
from chipwire.data.universe import Universe
from chipwire.engine.view import SignalBook

Groups = Mapping[str, str]
Integers = NDArray[np.int64]


def times(book: SignalBook, groups: Groups, rng: np.random.Generator) -> SignalBook:
    """Permute the times at which an issuer's headlines became available within each quarter of a year."""
    issuer, headline = _codes(book, "issuer"), _codes(book, "headline_id")
    pair, first, inverse = _unique(issuer, headline)
    at = book.available_at[first]
    block = pair[0] * 10_000 + at.astype("datetime64[M]").astype(np.int64) // 3
    before = np.lexsort((np.arange(len(block)), block))
    after = np.lexsort((rng.random(len(block)), block))
    moved = np.empty_like(at)
    moved[before] = at[after]
    return _sorted(moved[inverse], book)


def issuers(book: SignalBook, groups: Groups, rng: np.random.Generator) -> SignalBook:
    """Exchange the issuers of a group for one another, anew in each quarter of a year."""
    names = np.asarray(book.columns["issuer"], dtype=object)
    quarter = book.available_at.astype("datetime64[M]").astype(np.int64) // 3
    swapped = names.copy()
    members: dict[str, list[str]] = {}
    for name in sorted(groups):
        members.setdefault(groups[name], []).append(name)
    for one in np.unique(quarter):
        inside = quarter == one
        other: dict[str, str] = {}
        for group in members.values():
            other |= dict(zip(group, rng.permutation(np.array(group, dtype=object)).tolist(), strict=True))
        swapped[inside] = [other.get(name, name) for name in names[inside].tolist()]
    return SignalBook(book.available_at, {**book.columns, "issuer": swapped})


def signs(book: SignalBook, groups: Groups, rng: np.random.Generator) -> SignalBook:
    """Turn round all that a headline says, for half of the headlines."""
    headline = _codes(book, "headline_id")
    turned = rng.integers(0, 2, int(headline.max(initial=-1)) + 1) * 2.0 - 1.0
    return SignalBook(book.available_at, {**book.columns, "value": book.columns["value"] * turned[headline]})


def rotated(book: SignalBook, groups: Groups, rng: np.random.Generator) -> SignalBook:
    """Move the whole stream of news round by a number of weeks: the same signals, as much turnover, another time."""
    first, last = book.available_at[0], book.available_at[-1]
    week = np.timedelta64(7, "D").astype("timedelta64[us]")
    weeks = int((last - first) // week) + 1
    least = min(4, weeks // 3)
    moved = book.available_at + int(rng.integers(least, max(weeks - least, least) + 1)) * week
    return _sorted(np.where(moved > last, moved - weeks * week, moved), book)


KINDS: Mapping[str, Callable[[SignalBook, Groups, np.random.Generator], SignalBook]] = {
    "times": times,
    "issuers": issuers,
    "signs": signs,
    "rotated": rotated,
}
"""Ways to mix up the news; the terminal, docs and reports say what each one breaks."""


def placebo_book(book: SignalBook, kind: str, groups: Groups, seed: Sequence[int]) -> SignalBook:
    """Return a book that says nothing any more.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    groups : mapping
        Group of every issuer that others may stand for; see `issuer_groups`.
    seed : sequence of int
        Of `numpy.random.default_rng`.

    Raises
    ------
    BadParameter
        The kind is not known.
    """
    if kind not in KINDS:
        raise BadParameter("placebo", kind, f"one of {', '.join(KINDS)}")
    return KINDS[kind](book, groups, np.random.default_rng(list(seed))) if len(book) else book


def issuer_groups(universe: Universe, names: Sequence[str]) -> dict[str, str]:
    """Return for each issuer the first name of its group: issuers that share a role are of one group."""
    group = {name: name for name in names}
    for role in sorted({role for name in names for role in universe.issuers[name].roles}):
        members = [name for name in names if role in universe.issuers[name].roles]
        merged = {group[name] for name in members}
        least = min(merged)
        group = {name: least if own in merged else own for name, own in group.items()}
    return group


def _codes(book: SignalBook, name: str) -> Integers:
    codes: Integers = pd.factorize(np.asarray(book.columns[name], dtype=object))[0].astype(np.int64)
    return codes


def _unique(issuer: Integers, headline: Integers) -> tuple[tuple[Integers, Integers], Integers, Integers]:
    """Return the distinct pairs, the first row of each, and the pair of each row."""
    width = int(headline.max(initial=0)) + 1
    key, first, inverse = np.unique(issuer * width + headline, return_index=True, return_inverse=True)
    return (key // width, key % width), first, inverse


def _sorted(at: NDArray[np.datetime64], book: SignalBook) -> SignalBook:
    order = np.argsort(at, kind="stable")
    return SignalBook(at[order], {name: column[order] for name, column in book.columns.items()})
