"""Targets from a file: somebody else's decisions, traded under the venues' real rules."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipwire.data.errors import InputError, UnknownName
from chipwire.strategies.base import Parameter, Strategy, View

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, VenuePanel, Weights


class TargetsFile(Strategy):
    """Read ``instrument``, ``weight`` and ``date`` (session) or ``at`` (UTC instant) from a csv or parquet file.

    A row with ``date`` is decided before that session's auction, or the venue's next one where it was closed on
    that day; one with ``at`` at the venue's first decision at or after that instant. Where several rows of one
    instrument fall to one decision, the latest counts.
    """

    name = "targets-file"
    parameters = (Parameter("path", str, "", "csv or parquet file with instrument, weight and date or at"),)
    reads_signals = False

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._path = self.values["path"]
        self._by_day, self._by_instant = _read_targets(self._path)
        self._decided: dict[str, date] = {}
        self._checked = False

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return the file's weights for this decision."""
        if not self._checked:
            self._check_instruments([*_in_run(view, self._named())])
        own = {*view.instruments, *view.awaited}
        wanted: dict[str, float] = {}
        day = self._decided.get(view.venue, view.session - timedelta(days=1))
        self._decided[view.venue] = view.session
        while day < view.session:
            day += timedelta(days=1)
            wanted.update((name, weight) for name, weight in self._by_day.get(day, {}).items() if name in own)
        for at, name, weight in self._by_instant:
            if name in own and at <= view.now and (view.since is None or at > view.since):
                wanted[name] = weight
        return wanted

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights]:
        """Return the same for all files; each is read once."""
        from chipwire.strategies.setwise import for_each_venue

        files: dict[str, TargetsFile] = {}

        def weights(venue: VenuePanel, values: Mapping[str, Any]) -> Weights:
            path = values["path"]
            if path not in files:
                files[path] = cls(path=path)
                files[path]._check_instruments(panels.universe)
            return files[path]._of_venue(venue)

        return for_each_venue(panels, configurations, weights)

    def _of_venue(self, venue: VenuePanel) -> Weights:
        """Return the weights of all decisions of a venue, shape (decisions, instruments)."""
        import numpy as np

        found = np.full((len(venue.decide_at), len(venue.instruments)), np.nan)
        column = {name: index for index, name in enumerate(venue.instruments)}
        for day in sorted(self._by_day):
            at = int(np.searchsorted(venue.session, np.datetime64(day, "D")))
            # A day before the first session belongs to a session that is not in the run.
            if at < len(found) and not (at == 0 and venue.session[0].item() != day):
                for name, weight in self._by_day[day].items():
                    if name in column:
                        found[at, column[name]] = weight
        for moment, name, weight in self._by_instant:
            at = int(np.searchsorted(venue.decide_at, np.datetime64(moment.replace(tzinfo=None), "us")))
            if at < len(found) and name in column:
                found[at, column[name]] = weight
        return found

    def fingerprint(self) -> str:
        """Return a digest of the file's rows: the path alone does not say what was traded."""
        rows = repr((sorted(self._by_day.items()), self._by_instant))
        return hashlib.blake2b(rows.encode(), digest_size=8).hexdigest()

    def _named(self) -> set[str]:
        return {name for rows in self._by_day.values() for name in rows} | {row[1] for row in self._by_instant}

    def _check_instruments(self, universe: Sequence[str]) -> None:
        unknown = sorted(self._named() - set(universe))
        if unknown:
            raise InputError(
                f"{self._path}: instrument '{unknown[0]}' is not in the run (no bars in the span, or not chosen); "
                f"the run has {', '.join(universe)}"
            )
        self._checked = True


def _in_run(view: View, names: Iterable[str]) -> Iterator[str]:
    """Yield those of `names` that the run has, listed by now or not, after all that are listed."""
    yield from view.universe
    for name in sorted(set(names) - set(view.universe)):
        with suppress(UnknownName):
            view.issuer(name)
            yield name


def _read_targets(path: str) -> tuple[dict[date, dict[str, float]], list[tuple[datetime, str, float]]]:
    """Return weights by day, and (instant, instrument, weight) in the order of time.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or has a weight, day or instant that makes no sense.
    """
    import pandas as pd

    if not Path(path).is_file():
        raise InputError(f"targets-file: path={path!r} is not a file; give one with -p path=FILE")
    try:
        if Path(path).suffix == ".parquet":
            frame = pd.read_parquet(path).astype(str)
        else:
            # Blank lines are read, so that the numbers of the lines are right, and left out.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False).fillna("")
            frame = frame[(frame != "").any(axis=1)]
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from error
    when = "date" if "date" in frame.columns else "at"
    missing = sorted({"instrument", "weight", when} - set(frame.columns))
    if missing:
        columns = ", ".join(map(str, frame.columns))
        needed = "needed: instrument, weight, date or at"
        raise InputError(f"{path}: column '{missing[0]}' is missing; found {columns}; {needed}")
    by_day: dict[date, dict[str, float]] = {}
    by_instant: list[tuple[datetime, str, float]] = []
    for row, moment, name, text in zip(frame.index, frame[when], frame["instrument"], frame["weight"], strict=True):
        line = int(row) + 2
        weight = _weight(text, path, line, name)
        if when == "date":
            by_day.setdefault(_day(moment, path, line), {})[name] = weight
        else:
            by_instant.append((_instant(moment, path, line), name, weight))
    return by_day, sorted(by_instant, key=lambda row: row[0])


def _weight(text: str, path: str, line: int, name: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise InputError(f"{path} line {line}: weight {text!r} of {name} is not a finite number")
    return weight


def _day(text: str, path: str, line: int) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise InputError(f"{path} line {line}: date {text!r} is not YYYY-MM-DD") from error


def _instant(text: str, path: str, line: int) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{path} line {line}: at {text!r} is not an ISO instant") from error
    if moment.tzinfo is None:
        raise InputError(f"{path} line {line}: at {text!r} has no zone; write it as {text}Z for UTC")
    return moment.astimezone(UTC)
