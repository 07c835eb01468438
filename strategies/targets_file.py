"""Targets from a file: somebody else's decisions, traded under the venues' real rules."""

from __future__ import annotations

import bisect
import csv
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipwire.data.errors import InputError, UnknownName, counted
from chipwire.strategies.base import Parameter, Strategy, View

if TYPE_CHECKING:
    from chipwire.strategies.panels import Panels, VenuePanel, Weights

_NEEDED = "a file of targets has the columns instrument, weight and date or at"


class TargetsFile(Strategy):
    """Read ``instrument``, ``weight`` and ``date`` (session) or ``at`` (UTC instant) from a csv or parquet file.

    A row with ``date`` is decided before that session's auction, or the venue's next one where it was closed on
    that day; one with ``at`` at the venue's first decision at or after that instant. Where rows of several days or
    instants fall to one decision, the latest counts. Rows that fall to no decision of the run are counted.
    """

    name = "targets-file"
    parameters = (Parameter("path", str, "", "csv or parquet file with instrument, weight and date or at"),)
    reads_signals = False

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self._path = self.values["path"]
        self._by_day, self._by_instant = _read_targets(self._path)
        self._decided: dict[str, date] = {}
        self._used = 0
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
            rows = {name: weight for name, weight in self._by_day.get(day, {}).items() if name in own}
            self._used += len(rows)
            wanted |= rows
        first = 0 if view.since is None else bisect.bisect_right(self._by_instant, view.since, key=_at)
        for _, name, weight in self._by_instant[first : bisect.bisect_right(self._by_instant, view.now, key=_at)]:
            if name in own:
                self._used += 1
                wanted[name] = weight
        return wanted

    def notes(self) -> Sequence[str]:
        """Return how many rows fell to no decision.

        Raises
        ------
        InputError
            None of them did.
        """
        if not self._used:
            raise self._unused()
        every = self._rows()
        if self._used == every:
            return ()
        return (f"{self._path}: {every - self._used:,} of {every:,} rows fall to no decision of the run: not used",)

    def _rows(self) -> int:
        return sum(map(len, self._by_day.values())) + len(self._by_instant)

    def _unused(self) -> InputError:
        when = sorted(self._by_day) or [row[0] for row in self._by_instant]
        return InputError(
            f"{self._path}: no row falls to a decision of the run; {self._rows():,} from {when[0]} to {when[-1]} "
            "are there: choose another --start and --end"
        )

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights]:
        """Return the same for all files; each is read once."""
        import numpy as np

        from chipwire.strategies.setwise import for_each_venue

        files: dict[str, TargetsFile] = {}

        def weights(venue: VenuePanel, values: Mapping[str, Any]) -> Weights:
            path = values["path"]
            if path not in files:
                files[path] = cls(path=path)
                files[path]._check_instruments(panels.universe)
                if all(np.isnan(files[path]._of_venue(each)).all() for each in panels.venues):
                    raise files[path]._unused()
            return files[path]._of_venue(venue)

        return for_each_venue(panels, configurations, weights)

    def at_once(self, panels: Panels) -> dict[str, Weights] | None:
        """Return the weights of the run's decisions, and count the rows; None where `decide` has to say why not."""
        import numpy as np

        if self._named() - set(panels.universe):
            return None
        return {venue.mic: self._of_venue(venue)[np.newaxis] for venue in panels.venues}

    def _of_venue(self, venue: VenuePanel) -> Weights:
        """Return the weights of all decisions of a venue, shape (decisions, instruments); count the rows used."""
        import numpy as np

        found = np.full((len(venue.decide_at), len(venue.instruments)), np.nan)
        column = {name: index for index, name in enumerate(venue.instruments)}
        days = sorted(self._by_day)
        places = np.searchsorted(venue.session, np.array(days, dtype="datetime64[D]")).tolist()
        for day, at in zip(days, places, strict=True):
            # A day before the first session belongs to a session that is not in the run.
            if at < len(found) and not (at == 0 and venue.session[0].item() != day):
                for name, weight in self._by_day[day].items():
                    if name in column:
                        found[at, column[name]] = weight
                        self._used += 1
        for moment, name, weight in self._by_instant:
            at = int(np.searchsorted(venue.decide_at, np.datetime64(moment.replace(tzinfo=None), "us")))
            if at < len(found) and name in column:
                found[at, column[name]] = weight
                self._used += 1
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


def _at(row: tuple[datetime, str, float]) -> datetime:
    return row[0]


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
        The file cannot be read, lacks a column, has no rows, says two things about one instrument at one time, or has
        a weight, day or instant that makes no sense.
    """
    if not Path(path).is_file():
        raise InputError(f"targets-file: path={path!r} is not a file; give one with -p path=FILE")
    parquet = Path(path).suffix == ".parquet"
    where = f"{path} {'row' if parquet else 'line'}"
    when, rows = _columns(path, where, _parquet(path) if parquet else _csv(path))
    parsed = _day if when == "date" else _instant
    moments: dict[str, date | datetime] = {}  # a file has few days for its rows, and reading one takes a while
    found: dict[tuple[date | datetime, str], tuple[int, float]] = {}
    for number, text, name, size in rows:
        if not name:
            raise InputError(f"{where} {number}: the instrument is missing")
        weight = _weight(size, where, number, name)
        if text not in moments:
            moments[text] = parsed(text, f"{where} {number}")
        before, known = found.setdefault((moments[text], name), (number, weight))
        if known != weight:
            raise InputError(
                f"{where} {number}: weight {weight:g} of {name} at {text}, but {known:g} at {where} {before}; keep one"
            )
    if not found:
        raise InputError(f"{path}: there are no rows; {_NEEDED}")
    by_day: dict[date, dict[str, float]] = {}
    by_instant: list[tuple[datetime, str, float]] = []
    for (moment_of, name), (_, weight) in found.items():
        if isinstance(moment_of, datetime):
            by_instant.append((moment_of, name, weight))
        else:
            by_day.setdefault(moment_of, {})[name] = weight
    return by_day, sorted(by_instant, key=_at)


def _csv(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not blank, the head first."""
    with Path(path).open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            for cells in reader:
                stripped = [*map(str.strip, cells)]
                if any(stripped):
                    yield reader.line_num, stripped
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: it is not UTF-8 text; write it as csv in UTF-8, or as Parquet") from error
        except csv.Error as error:
            raise InputError(f"{path} line {reader.line_num}: {error}; it must be a csv file") from error


def _parquet(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each row as text, the head first as row 0; an empty one is empty text."""
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError, NotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{path}: {said.removesuffix('.')}; it must be a Parquet file, or a csv file") from error
    yield 0, [str(name) for name in frame.columns]
    for number, row in enumerate(frame.itertuples(index=False, name=None), start=1):
        yield number, ["" if cell in (None, pd.NaT) or cell is pd.NA else str(cell) for cell in row]


def _columns(
    path: str, where: str, lines: Iterator[tuple[int, list[str]]]
) -> tuple[str, Iterator[tuple[int, str, str, str]]]:
    """Return ``date`` or ``at``, and for each row its number and its three cells."""
    _, head = next(lines, (0, []))
    if repeated := sorted({name for name in head if head.count(name) > 1}):
        raise InputError(f"{path}: column '{repeated[0]}' is there twice; keep one")
    if {"date", "at"} <= set(head):
        raise InputError(f"{path}: there are both date and at; keep the one that counts")
    when = "at" if "at" in head else "date"
    names = (when, "instrument", "weight")
    if missing := [name for name in names if name not in head]:
        known = f"found {', '.join(head)}" if head else "the file is empty"
        raise InputError(f"{path}: column '{missing[0]}' is missing; {known}; {_NEEDED}")
    first, second, third = (head.index(name) for name in names)

    def rows() -> Iterator[tuple[int, str, str, str]]:
        for number, cells in lines:
            if len(cells) != len(head):
                raise InputError(f"{where} {number}: {counted(len(cells), 'cell')}, but the head has {len(head)}")
            yield number, cells[first], cells[second], cells[third]

    return when, rows()


def _weight(text: str, where: str, number: int, name: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise InputError(
            f"{where} {number}: weight {text!r} of {name} is not a finite number; "
            "0 means exit, for no order leave the row out"
        )
    return weight


def _day(text: str, place: str) -> date:
    day = text.removesuffix(" 00:00:00")  # as Parquet's timestamps are written
    try:
        found = date.fromisoformat(day)
    except ValueError:
        found = None
    if found is None or found.isoformat() != day:
        raise InputError(f"{place}: date {text!r} is not YYYY-MM-DD; instants belong into a column 'at'")
    return found


def _instant(text: str, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{place}: at {text!r} is not an ISO instant") from error
    if moment.tzinfo is None:
        raise InputError(f"{place}: at {text!r} has no zone; write it as {text}Z for UTC")
    return moment.astimezone(UTC)
