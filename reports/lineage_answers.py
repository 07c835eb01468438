"""Why a fill was made, and what was done with a headline: the answers of ``chipwire why``, as plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from chipwire.data.calendars import venue as venue_facts
from chipwire.data.errors import BadParameter, UnknownName
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.reports.collect import RunInfo
from chipwire.reports.lineage import FATES, RunData, by_headline, fates
from chipwire.reports.lineage_replay import Replay, as_frame, replay
from chipwire.reports.values import plain, published_day
from chipwire.signals.linking import Linker

LISTED = 20
"""So many headlines are listed where several are meant."""

Row = dict[str, Any]


def find_fill(warehouse: Warehouse, run_id: str, text: str) -> int | None:
    """Return the number of the fill that `text` means, ``12`` or ``#12``; None where it means none.

    Raises
    ------
    UnknownName
        ``#12`` of a run that has no such fill.
    """
    digits = text.removeprefix("#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        return None
    number = int(digits)
    if warehouse.value("SELECT count(*) FROM fill WHERE run_id = ? AND fill_no = ?", [run_id, number]):
        return number
    if text.startswith("#"):
        count = warehouse.value("SELECT count(*) FROM fill WHERE run_id = ?", [run_id])
        raise UnknownName("fill", text, [], f"the run has fills 1 to {count}" if count else "the run has no fill")
    return None


def find_headlines(warehouse: Warehouse, text: str) -> list[Row]:
    """Return the headlines that `text` means, oldest first: by id, by its first digits, or by a part of the title.

    Raises
    ------
    UnknownName, BadParameter
        No headline is meant, or the text is blank.
    """
    if not text.strip():
        raise BadParameter("headline", text, "a fill's number, a headline's id or a part of its title")
    found = warehouse.frame(load_sql("chipwire.reports", "lineage_find.sql"), {"text": text.strip()})
    if found.empty:
        step = "give a fill's number, the first digits of a headline's id, or a part of its title in quotes"
        raise UnknownName("fill or headline", text, [], step)
    exact = found[found["headline_id"] == text.strip()]
    return _rows(exact if len(exact) else found)


# --- a fill ----------------------------------------------------------------------------------------------


def why_fill(warehouse: Warehouse, universe: Universe, run: RunInfo, number: int) -> Row:
    """Return what stands behind a fill: the decision, each cause with headline, score, model and all times.

    Parameters
    ----------
    number : int
        Of a fill that the run has.

    Returns
    -------
    dict
        ``run``, ``fill`` (as in ``fills.sql``, with ``held_before`` and ``held_after``), ``decided`` and ``filled``
        (see `instant`), ``opened_by`` (the fill that opened what this one closes or adds to, or None), ``causes``,
        ``target``, the weight that was asked for (None: no weight, as of a delisting), and ``wanted_since`` (the
        first of the decisions in a row that asked for the same side, with the orders since that were not filled).
    """
    fills = warehouse.frame(load_sql("chipwire.reports", "fills.sql"), {"run": run.run_id})
    fill = _rows(fills[fills["fill_no"] == number])[0]
    before, opener = _position_before(fills, fill)
    named = {
        "run": run.run_id, "fill": number, "linker": Linker(universe).id,
        "latency": timedelta(minutes=float(run.settings["latency_minutes"])),
    }  # fmt: skip
    causes = warehouse.frame(load_sql("chipwire.reports", "lineage_causes.sql"), named)
    asked = [run.run_id, fill["decision_at"], fill["instrument"]]
    target = warehouse.value("SELECT weight FROM target WHERE run_id = ? AND decision_at = ? AND instrument = ?", asked)
    mic, at = fill["venue"], fill["auction_at"]
    return {
        "run": _run(run),
        "fill": _shown(fill | {"held_before": before, "held_after": before + fill["shares"]}, mic),
        "target": target,
        "wanted_since": _wanted_since(warehouse, run, fill, target),
        "decided": instant(fill["decision_at"], mic),
        "filled": instant(at, mic),
        "opened_by": opener,
        "causes": [_cause(row, mic, at) for row in _rows(causes)],
    }


def _wanted_since(warehouse: Warehouse, run: RunInfo, fill: Row, target: float | None) -> Row | None:
    """Return since when the instrument was wanted without a break, and the orders until then that were not filled."""
    if not target:
        return None
    given = {
        "run": run.run_id,
        "instrument": fill["instrument"],
        "at": fill["decision_at"],
        "sign": math.copysign(1, target),
    }
    since = warehouse.value(load_sql("chipwire.reports", "lineage_since.sql"), given)
    missed = warehouse.rows(
        "SELECT decision_at, wanted, filled, reason FROM unfilled "
        "WHERE run_id = $run AND instrument = $instrument AND decision_at >= $since AND decision_at < $at "
        "ORDER BY order_no", {name: given[name] for name in ("run", "instrument", "at")} | {"since": since}
    )  # fmt: skip
    orders = [
        {"decision_at": instant(at, fill["venue"]), "wanted": wanted, "filled": filled, "reason": reason}
        for at, wanted, filled, reason in missed
    ]
    return {"decision_at": instant(since, fill["venue"]), "not_filled": orders}


def _position_before(fills: pd.DataFrame, fill: Mapping[str, Any]) -> tuple[int, int | None]:
    """Return the shares held before a fill, and the number of the fill that opened that position."""
    held, opener = 0, None
    earlier = fills[(fills["instrument"] == fill["instrument"]) & (fills["fill_no"] < fill["fill_no"])]
    for number, shares in zip(earlier["fill_no"], earlier["shares"], strict=True):
        after = held + int(shares)
        if not after:
            opener = None
        elif held * after <= 0:
            opener = int(number)
        held = after
    return held, opener


def _cause(row: Row, mic: str, filled_at: datetime) -> Row:
    available = row["available_at"]
    days = None if available is None else (filled_at - available).total_seconds() / 86_400
    times = {"published_at": published(row, mic), "available_at": instant(available, mic), "days_to_fill": days}
    return {name: value for name, value in row.items() if name not in _PUBLISHED} | times


# --- a headline ------------------------------------------------------------------------------------------


def why_headline(
    warehouse: Warehouse,
    data: RunData,
    headline_id: str,
    *,
    strategy: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Row:
    """Return what was done with a headline, for each issuer that it moves and each of its instruments.

    Parameters
    ----------
    headline_id : str
        Of a headline in the warehouse.
    strategy : str, optional
        See `replay`.

    Returns
    -------
    dict
        ``run``, ``headline``, ``fate`` and ``meaning``, ``rows`` (as `fates` gives them, each with ``read``, see
        `_reading`), ``fills`` that name it among their causes, and ``notes``.
    """
    found = fates(warehouse, data, headline_id)
    rows = _rows(found)
    first = rows[0]
    again = Replay()
    if any(map(_could_be_read, rows)):
        at = first["available_at"]
        again = replay(warehouse, data, headline_id, at, strategy=strategy, on_progress=on_progress)
    fills = warehouse.frame(
        load_sql("chipwire.reports", "lineage_fills.sql"), {"run": data.run.run_id, "headline": headline_id}
    )
    best = _rows(by_headline(found))[0]
    known = ("headline_id", "title", "source", "url")
    return {
        "run": _run(data.run),
        "headline": {name: first[name] for name in known}
        | {"published_at": published(first, None), "available_at": instant(first["available_at"], None)},
        "fate": best["fate"],
        "reason": best["reason"],
        "meaning": FATES[best["fate"]],
        "rows": [_row(warehouse, data, row, again) for row in rows if row["issuer"] is not None],
        "fills": [_shown(row, row["venue"]) for row in _rows(fills)],
        "notes": [note for note in (data.changed, again.problem) if note],
    }


def _row(warehouse: Warehouse, data: RunData, row: Row, again: Replay) -> Row:
    left_out = ("headline_id", "title", "source", "url", *_PUBLISHED)
    mic, first = row["venue"], row["first_decision_at"]
    hours = None if first is None else (first - row["available_at"]).total_seconds() / 3600
    return {name: value for name, value in row.items() if name not in left_out} | {
        "meaning": FATES[row["fate"]],
        "available_at": instant(row["available_at"], mic),
        "first_decision_at": instant(first, mic),
        "first_fill_at": instant(row["first_fill_at"], mic),
        "hours_to_decision": hours,
        "filled_later": _filled_later(warehouse, data, row) if row["fate"] == "not_filled" and row["target"] else None,
        "read": _reading(warehouse, data, row, again) if _could_be_read(row) and not again.problem else None,
    }


def _filled_later(warehouse: Warehouse, data: RunData, row: Row) -> Row | None:
    """Return the first fill after an order that was not filled, while the instrument stayed wanted."""
    given = {"run": data.run.run_id, "instrument": row["instrument"], "at": row["first_decision_at"],
             "sign": math.copysign(1, row["target"])}  # fmt: skip
    found = _rows(warehouse.frame(load_sql("chipwire.reports", "lineage_later.sql"), given))
    return _shown(found[0], row["venue"]) if found else None


def _could_be_read(row: Row) -> bool:
    """Say whether there was a signal, and a decision that could know it."""
    return row["value"] is not None and row["first_decision_at"] is not None


def _reading(warehouse: Warehouse, data: RunData, row: Row, again: Replay) -> Row:
    """Return of one instrument at how many decisions of its venue the headline was read, and what was asked then.

    ``decisions``, ``first`` and ``last`` of them, ``strength``, ``total``, ``rank`` and ``issuers`` at the first (see
    `Read`), ``targets`` (how many gave the instrument a weight other than 0) and ``not_filled`` (orders by reason).
    """
    reads = as_frame(again)
    own = reads[(reads["venue"] == row["venue"]) & (reads["issuer"] == row["issuer"])]
    if own.empty:
        return {"decisions": 0}
    first = own.iloc[0]
    named = {"run": data.run.run_id, "instrument": row["instrument"]}
    asked = warehouse.rows(
        "SELECT count(*) FROM target SEMI JOIN own USING (decision_at) "
        "WHERE run_id = $run AND instrument = $instrument AND weight <> 0", named, own=own[["decision_at"]]
    )  # fmt: skip
    missed = warehouse.rows(
        "SELECT reason, count(*) FROM unfilled SEMI JOIN own USING (decision_at) "
        "WHERE run_id = $run AND instrument = $instrument GROUP BY reason ORDER BY reason", named,
        own=own[["decision_at"]],
    )  # fmt: skip
    return {
        "decisions": len(own),
        "first": instant(first["decision_at"], row["venue"]),
        "last": instant(own.iloc[-1]["decision_at"], row["venue"]),
        **{name: first[name].item() for name in ("strength", "total", "rank", "issuers")},
        "targets": asked[0][0],
        "not_filled": dict(missed),
    }


# --- values ----------------------------------------------------------------------------------------------


_PUBLISHED = ("published_at", "published_precision", "published_zone")


def instant(at: datetime | None, mic: str | None) -> Row | None:
    """Return a UTC instant with the venue's local time: ``utc``, ``local`` and ``zone``; ISO 8601."""
    if at is None:
        return None
    zone = venue_facts(mic).zone if mic else None
    return {"utc": plain(at)} | ({"local": _local(at, zone).isoformat(), "zone": zone} if zone else {})


def published(row: Mapping[str, Any], mic: str | None) -> Row | None:
    """Return when a headline was published; of one known by its day alone ``day`` and the ``zone`` of that day."""
    known = published_day(*(row[name] for name in _PUBLISHED))
    if known is None:
        return instant(row["published_at"], mic)
    day, zone = known
    return {"day": day.isoformat(), "zone": zone}


def _local(at: datetime, zone: str) -> datetime:
    return at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))


def _shown(row: Row, mic: str) -> Row:
    return {name: instant(value, mic) if name.endswith("_at") else value for name, value in row.items()}


def _run(run: RunInfo) -> Row:
    return {"run_id": run.run_id, "run_no": run.run_no, "strategy": run.strategy, "engine": run.engine,
            "params": dict(run.params)}  # fmt: skip


def _rows(frame: pd.DataFrame) -> list[Row]:
    """Return rows as dicts with Python's own values, None for what is missing."""
    columns = {str(name): [_value(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _value(value: Any) -> Any:
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return None
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
