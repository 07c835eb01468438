"""How much of each story its issuer's earlier ones already said, by the inner products of their embeddings.

Stories come sorted by issuer and instant and are compared as they pass, a block of later ones with all of the window
before them in one matrix product: memory holds one batch and one window, whatever the number of stories.

A product must not depend on what stands beside it in the matrix, else a story that comes later could change the last
bit of an earlier one. So embeddings are taken in whole millionths: the products are whole numbers that float64 adds
up exactly, in whatever order. The embeddings that chipwire stores have three decimals and lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

WINDOW_DAYS = 7
"""Novelty looks at the stories of so many days before; within them an older one counts as much as a young one, and
from then on the same news is news again. A story is retold for days: its first wire report on a Monday, the weekly
round-up on the Friday."""
ALIKE_LOW = 0.50
"""Inner product of two embeddings up to which two stories say different things."""
ALIKE_HIGH = 0.75
"""Inner product from which the later story says nothing that the earlier did not."""
SAME_WORDING = 0.95
"""Inner product from which two stories are the same even where event or direction were read differently."""
SURE_EVENT = 0.5
"""P from which the event that was read tells a story from others; with less it may be any."""

BATCH = 20_000
"""Stories read at once."""
_BLOCK, _TILE = 256, 2_048  # later stories times earlier ones in one product: 4 MB
_UNIT = 1e6  # parts of 1 in which embeddings and likeness are counted
_WINDOW = np.timedelta64(WINDOW_DAYS, "D")


@dataclass(frozen=True)
class _Stories:
    """Stories of one issuer, oldest first."""

    at: NDArray[np.datetime64]
    event: NDArray[np.int64]  # 0: not sure
    direction: NDArray[np.int8]
    vectors: NDArray[np.float64]

    def since(self, first: int) -> _Stories:
        """Return those from a place on, without holding on to the others."""
        return _Stories(
            self.at[first:].copy(),
            self.event[first:].copy(),
            self.direction[first:].copy(),
            self.vectors[first:].copy(),
        )

    def with_later(self, later: _Stories) -> _Stories:
        """Return these and others after them."""
        return _Stories(
            np.concatenate((self.at, later.at)),
            np.concatenate((self.event, later.event)),
            np.concatenate((self.direction, later.direction)),
            np.concatenate((self.vectors, later.vectors)),
        )


def told_before(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return for each story how much of it was told before: the sum of its likeness to earlier stories.

    Likeness to one earlier story of the window is 0 up to `ALIKE_LOW`, 1 from `ALIKE_HIGH` and straight between. A
    story of another event or direction is another story, unless it is worded nearly the same (`SAME_WORDING`); an event
    of which the reader was not sure (`SURE_EVENT`) is no other event.

    Parameters
    ----------
    batches : iterable of RecordBatch
        Columns of ``novelty_stories.sql``, in its order.

    Returns
    -------
    pyarrow.Table
        ``number`` and ``before``.
    """
    numbers: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    sums: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    issuer, window = None, None
    for batch in batches:
        numbers.append(batch["number"].to_numpy().copy())
        for name, stories in _by_issuer(batch):
            first, known = 0, stories
            if window is not None and name == issuer:
                first, known = len(window.at), window.with_later(stories)
            sums.append(_compare(known, first))
            # The next batch may go on with this issuer.
            issuer, window = name, known.since(int(np.searchsorted(known.at, known.at[-1] - _WINDOW)))
    return pa.table({"number": np.concatenate(numbers), "before": np.concatenate(sums) / _UNIT})


def _by_issuer(batch: pa.RecordBatch) -> Iterator[tuple[str, _Stories]]:
    issuers = batch["issuer"].dictionary_encode()
    codes = issuers.indices.to_numpy()
    at = batch["available_at"].to_numpy()
    event, direction = batch["event"].to_numpy(), batch["direction"].to_numpy()
    vectors = batch["embedding"].flatten().to_numpy().reshape(len(batch), -1)
    cuts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(batch)]
    for start, stop in pairwise(cuts):
        part = slice(start, stop)
        whole = np.rint(vectors[part].astype(np.float64) * _UNIT)
        yield issuers.dictionary[int(codes[start])].as_py(), _Stories(at[part], event[part], direction[part], whole)


def _compare(stories: _Stories, first: int) -> NDArray[np.int64]:
    """Return the sums of the stories from place `first` on, in millionths."""
    oldest = np.searchsorted(stories.at, stories.at - _WINDOW)
    sums = np.zeros(len(stories.at), dtype=np.int64)
    for start in range(first, len(sums), _BLOCK):
        stop = min(start + _BLOCK, len(sums))
        for left in range(int(oldest[start]), stop, _TILE):
            right = min(left + _TILE, stop)
            product = stories.vectors[start:stop] @ stories.vectors[left:right].T
            later, earlier = np.divmod(np.flatnonzero(product > ALIKE_LOW * _UNIT**2), right - left)
            cosine = product[later, earlier] / _UNIT**2
            later, earlier = later + start, earlier + left
            counts = (earlier < later) & (earlier >= oldest[later])
            counts &= _may_be_one(stories, later, earlier) | (cosine >= SAME_WORDING)
            alike = np.minimum((cosine - ALIKE_LOW) / (ALIKE_HIGH - ALIKE_LOW), 1.0)
            # Whole numbers come to the same sum in any order.
            np.add.at(sums, later[counts], np.rint(alike[counts] * _UNIT).astype(np.int64))
    return sums[first:]


def _may_be_one(stories: _Stories, later: NDArray[np.int64], earlier: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pairs have one direction and no two events."""
    one, two = stories.event[later], stories.event[earlier]
    found: NDArray[np.bool_] = (one == two) | (one == 0) | (two == 0)
    found &= stories.direction[later] == stories.direction[earlier]
    return found
