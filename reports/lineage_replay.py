"""What a strategy read of one headline, decision by decision: found out by running it once more on the same data.

What is read at each decision would fill gigabytes, so that no run stores it. The run is repeated from its start, since
a strategy may keep a state, and ends when nothing can look back on the headline any more. What it asks for is compared
with what the run stored: only where the two are equal is the replay the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from chipwire.data.errors import ChipwireError
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import run_identity, simulate
from chipwire.engine.view import LOOKBACK_LIMIT_DAYS, PointInTimeView
from chipwire.reports.lineage import RunData
from chipwire.strategies.base import Strategy, View
from chipwire.strategies.registry import make_strategy
from chipwire.strategies.selection import strength_by_issuer


@dataclass(frozen=True)
class Read:
    """A decision at which the strategy was shown the headline.

    Attributes
    ----------
    strength : float
        Of the headline's signals on the issuer, added up over themes, as of the decision.
    total : float
        The same of all headlines on the issuer that were read at this decision.
    rank, issuers : int
        Place of the issuer by size of `total` among all issuers read about, from 1, and their number.
    """

    decision_at: datetime
    venue: str
    issuer: str
    strength: float
    total: float
    rank: int
    issuers: int


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes
    ----------
    reads : tuple of Read
        In the order of time.
    decisions : int
        How many were replayed.
    problem : str
        Why this is not known, or why it is not the run's; empty where the replay asked for what the run asked for.
    """

    reads: tuple[Read, ...] = ()
    decisions: int = 0
    problem: str = ""


class _EnoughError(BaseException):
    """No later decision can look back on the headline."""


def replay(
    warehouse: Warehouse,
    data: RunData,
    headline_id: str,
    available_at: datetime,
    *,
    strategy: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Run the strategy again and note each decision at which it was shown a headline.

    Parameters
    ----------
    available_at : datetime
        Of the headline, UTC without a zone, with the run's latency.
    strategy : str, optional
        ``FILE.py:CLASS`` of a run whose strategy came from a file; a run keeps the name alone.
    """
    try:
        made = make_strategy(strategy or data.run.strategy, data.run.params)
        if problem := stranger(made, data, strategy):
            return Replay(problem=problem)
        return _watch(warehouse, data, made, headline_id, available_at.replace(tzinfo=UTC), on_progress)
    except ChipwireError as error:
        return Replay(problem=f"the run cannot be made again ({error}){_file_hint(data, strategy)}")


def stranger(made: Strategy, data: RunData, strategy: str | None) -> str:
    """Say why a strategy is not the one of the run; empty where its id proves that it is, or nothing can be proved."""
    if data.changed:
        return ""  # the id has the data in it; the targets will tell
    own = run_identity(made, data.settings, data.run.engine, data.run.model_id, data.fingerprint)
    if own == data.run.run_id:
        return ""
    from chipwire import __version__

    if data.run.code_version != __version__:
        return ""
    return f"the strategy '{strategy or made.name}' is not the one of the run: its code or a file it reads has changed"


def _file_hint(data: RunData, strategy: str | None) -> str:
    from chipwire.strategies.registry import strategy_names

    if strategy is not None or data.run.strategy in strategy_names():
        return ""
    return "; if it came from a file, name it with --strategy FILE.py:CLASS"


def _watch(
    warehouse: Warehouse,
    data: RunData,
    made: Strategy,
    headline_id: str,
    available_at: datetime,
    on_progress: Callable[[int, int], None] | None,
) -> Replay:
    found: list[Read] = []
    asked: dict[tuple[datetime, str], float] = {}
    last: list[datetime] = []
    until = available_at + timedelta(days=LOOKBACK_LIMIT_DAYS)
    decide = made.decide

    def watched(view: View) -> Any:
        if view.now > until:
            raise _EnoughError
        answer: Any = decide(view)  # whatever it declares, a plugin may return anything
        last.append(view.now)
        if hasattr(answer, "items"):
            asked.update({(view.now, str(name)): weight for name, weight in answer.items()})
        if isinstance(view, PointInTimeView) and view.now >= available_at:
            found.extend(_reads(view, headline_id))
        return answer

    vars(made)["decide"] = watched
    # On the same targets both engines leave the same; the array ledger is the quicker one, and takes daily bars only.
    engine = "columnar" if data.settings.interval == "1d" else "backtrader"
    with suppress(_EnoughError):
        simulate(engine, data.market, data.settings, made, data.book, data.issuers, on_progress)
    problem = _differs(warehouse, data, asked, last[-1]) if last else ""
    return Replay(tuple(found), len(last), problem)


def _reads(view: PointInTimeView, headline_id: str) -> list[Read]:
    """Return what of a headline the strategy was shown at one decision, once for each issuer."""
    shown = [frame for frame in view.reads if (frame["headline_id"] == headline_id).any()]
    if not shown:
        return []
    # A strategy may ask several times; the largest answer that has the headline is what it had to compare.
    read = max(shown, key=len)
    totals = strength_by_issuer(read, read["issuer"])
    own = strength_by_issuer(read[read["headline_id"] == headline_id], totals)
    return [
        Read(view.now, view.venue, issuer, size, totals[issuer], _rank(totals, issuer), len(totals))
        for issuer, size in own.items()
    ]


def _rank(totals: Mapping[str, float], issuer: str) -> int:
    return 1 + sum(abs(total) > abs(totals[issuer]) for total in totals.values())


def _differs(warehouse: Warehouse, data: RunData, asked: dict[tuple[datetime, str], float], last: datetime) -> str:
    """Say where what was asked for now is not what the run stored; empty where it is the same."""
    rows = warehouse.rows(
        "SELECT decision_at, instrument, weight FROM target WHERE run_id = ? AND decision_at <= ?",
        [data.run.run_id, last.replace(tzinfo=None)],
    )
    stored = {(at.replace(tzinfo=UTC), name): weight for at, name, weight in rows}
    wrong = sorted(key for key in stored.keys() | asked.keys() if stored.get(key) != asked.get(key))
    if not wrong:
        return ""
    at, name = wrong[0]
    why = data.changed or "its code has changed since the run"
    return f"run again, the strategy asks for something else, first for {name} at {at:%Y-%m-%d %H:%M} UTC: {why}"


def as_frame(found: Replay) -> pd.DataFrame:
    """Return the reads as a frame, instants UTC without a zone."""
    frame = pd.DataFrame([vars(read) for read in found.reads], columns=list(Read.__dataclass_fields__))
    at = pd.to_datetime(frame["decision_at"], utc=True).dt.tz_localize(None)
    return frame.assign(decision_at=at.astype("datetime64[us]"))
