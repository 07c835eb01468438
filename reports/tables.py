"""The two long tables of the page as compact JSON, which the page's script shows by pages.

A table is ``{"columns": [[label, kind, digits], ...], "rows": [[...], ...], "lookup": {...}}``. Kinds are
``text``, ``number``, ``price`` (amount and currency) and ``causes``. Headlines and readings are kept once
and referred to by their place, since one headline may stand behind many fills.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pandas as pd

from chipwire.reports.collect import RunReport
from chipwire.reports.values import safe_url

CAUSES_SHOWN = 3
"""Causes of a fill on the page, strongest first; ``report.json`` has all of them."""

MANY_FILLS = 1_000
"""Above so many fills the page shows only the strongest cause of each, or it would outgrow 3 MB."""

RELATIONS = {"own": "its own signal", "opened": "had opened the position", "rival": "ranked above it"}


def fills_table(report: RunReport) -> dict[str, Any]:
    """Return the fills with their causes; the column of causes is left out where a run has none at all."""
    base = report.run.currency
    columns: list[list[Any]] = [
        ["UTC", "text", 0], ["Instrument", "text", 0], ["Side", "text", 0], ["Shares", "number", 0],
        ["Price", "price", 2], [f"Value {base}", "number", 0], [f"Costs {base}", "number", 2],
        [f"Realized {base}", "number", 0],
    ]  # fmt: skip
    rows = [
        [
            _minute(f.auction_at), f.instrument, f.side if f.auction != "delisting" else "delisted",
            int(f.shares), [round(f.price, 4), f.currency], round(f.value), round(f.cost, 2),
            round(f.realized) if f.realized else None,
        ]
        for f in _rows(report.fills)
    ]  # fmt: skip
    if report.causes.empty:
        return {"columns": columns, "rows": rows, "lookup": {}}
    causes, lookup = _causes(report.causes, CAUSES_SHOWN if len(rows) <= MANY_FILLS else 1)
    columns.append(["Because of", "causes", 0])
    for fill_no, row in zip(report.fills["fill_no"], rows, strict=True):
        row.append(causes.get(int(fill_no), [0]))
    return {"columns": columns, "rows": rows, "lookup": lookup}


class _Places(dict[Any, int]):
    """Give each new key the next place: 0, 1, 2, ..."""

    def __missing__(self, key: Any) -> int:
        self[key] = len(self)
        return self[key]


def _causes(causes: pd.DataFrame, shown: int) -> tuple[dict[int, list[Any]], dict[str, Any]]:
    """Return by fill its number of causes and the strongest `shown`, and what those refer to.

    A cause is ``[reading, strength, theme, relation]``; a reading ``[headline, issuer, model, event,
    P(negative), P(neutral), P(positive)]`` with probabilities in per cent or null; a headline ``[title,
    source, url, published, available]``. Words are places in ``lookup["words"]``.
    """
    headlines, readings, words = _Places(), _Places(), _Places()
    lookup: dict[str, Any] = {"headlines": [], "readings": []}
    by_fill: dict[int, list[Any]] = {}
    for cause in _rows(causes):
        found = by_fill.setdefault(int(cause.fill_no), [0])
        found[0] += 1
        if found[0] > shown:
            continue
        headline = headlines[cause.headline_id]
        if headline == len(lookup["headlines"]):
            lookup["headlines"].append(_headline(cause))
        reading = readings[cause.headline_id, cause.issuer, cause.model_id]
        if reading == len(lookup["readings"]):
            lookup["readings"].append([headline, *_reading(cause, words)])
        relation = RELATIONS[cause.relation]
        found.append([reading, round(cause.strength, 2), words[cause.theme], words[relation]])
    return by_fill, lookup | {"words": list(words)}


def _headline(cause: Any) -> list[Any]:
    title = _text(cause.title) or f"headline {cause.headline_id} is no longer in the warehouse"
    published = _minute(cause.published_at)
    if cause.published_precision == "day":
        published = published[:10]
    return [title, _text(cause.source), safe_url(cause.url), published, _minute(cause.available_at)]


def _reading(cause: Any, words: _Places) -> list[Any]:
    scores = (cause.p_negative, cause.p_neutral, cause.p_positive)
    model = _text(cause.model_name) or cause.model_id
    per_cent = [None if pd.isna(p) else round(p * 100) for p in scores]
    return [words[cause.issuer], words[model], words[_text(cause.event)], *per_cent]


def _rows(frame: pd.DataFrame) -> Iterable[Any]:
    """Return the rows as named tuples, whose fields no type checker can know."""
    return frame.itertuples(index=False)


def _minute(at: datetime) -> str:
    return "" if pd.isna(at) else f"{at:%Y-%m-%d %H:%M}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def unfilled_table(report: RunReport) -> dict[str, Any]:
    """Return the orders that were not filled in full."""
    columns: list[list[Any]] = [
        ["Session", "text", 0], ["Instrument", "text", 0], ["Ordered", "number", 0], ["Filled", "number", 0],
        ["Reason", "text", 0],
    ]  # fmt: skip
    rows = [
        [u.session.isoformat(), u.instrument, int(u.wanted), int(u.filled), u.reason] for u in _rows(report.unfilled)
    ]
    return {"columns": columns, "rows": rows, "lookup": {}}
