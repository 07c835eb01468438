"""The stage from scores to signals, set-wise in DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from chipwire.data.errors import NothingToDo, UnknownName
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.signals.linking import Linker
from chipwire.signals.novelty import BATCH, SURE_EVENT, WINDOW_DAYS, told_before
from chipwire.signals.themes import load_theme_rules

LEAST_LEAN = 0.2
"""A reading of a named issuer nearer to zero than this points neither way."""
LEAST_THEME = 0.5
"""A theme is a headline's own when its P is above this."""


@dataclass(frozen=True)
class SignalSummary:
    """What building came to.

    Attributes
    ----------
    model_id, linker : str
        Whose scores and mentions the signals are made of.
    signals : int
        Rows in ``signal`` now: one per headline, issuer and theme.
    headlines : int
        Distinct headlines behind them.
    undated : int
        Scored headlines without a date, which give no signal.
    by_theme, by_via : dict of str to int
        Signals per theme, and per ``direct`` (the issuer is named) and ``exposure`` (it is moved though not named).
    """

    model_id: str
    linker: str
    signals: int
    headlines: int
    undated: int
    by_theme: dict[str, int]
    by_via: dict[str, int]


def scoring_models(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Return id and name of the models that have scored, the one of the last ``score`` first."""
    return [
        (str(model_id), str(name))
        for model_id, name in warehouse.rows(
            "SELECT model_id, name FROM model JOIN (SELECT model_id, max(batch_id) AS wrote FROM score GROUP BY ALL) "
            "USING (model_id) LEFT JOIN (SELECT input AS model_id, max(batch_id) AS called FROM batch "
            "WHERE command = 'score' GROUP BY ALL) USING (model_id) ORDER BY greatest(wrote, called) DESC"
        )
    ]


def resolve_model(warehouse: Warehouse, model: str | None) -> str:
    """Return the id of the scoring model meant: by id or name, default the one that scored last.

    Raises
    ------
    NothingToDo
        No model has scored anything.
    UnknownName
        No model of that name or id has.
    """
    known = scoring_models(warehouse)
    if not known:
        raise NothingToDo("there are no scores", "make them with 'chipwire score'")
    if model is None:
        return known[0][0]
    for model_id, name in known:
        if model in (model_id, name):
            return model_id
    there = ", ".join(f"{name} ({model_id})" for model_id, name in known)
    raise UnknownName("model", model, [word for row in known for word in row], f"these have scored: {there}")


def build_signals(warehouse: Warehouse, universe: Universe, model: str | None = None) -> SignalSummary:
    """Build the signals of a model's scores anew, in one transaction.

    A headline that comes late can be an earlier story than others, so novelty is computed over all of them; the
    scores themselves never change.

    Raises
    ------
    NothingToDo, UnknownName
        See `resolve_model`.
    """
    key = {"model": resolve_model(warehouse, model), "linker": Linker(universe).id}
    with warehouse.transaction():
        warehouse.touch("signal")
        warehouse.run("DELETE FROM signal WHERE model_id = $model AND linker = $linker", key)
        _insert_signals(warehouse, key)
    where = "FROM signal WHERE model_id = $model AND linker = $linker"
    signals, headlines = warehouse.rows(f"SELECT count(*), count(DISTINCT headline_id) {where}", key)[0]
    by_theme, by_via = (
        dict(warehouse.rows(f"SELECT {name}, count(*) {where} GROUP BY {name} ORDER BY {name}", key))
        for name in ("theme", "via")
    )
    undated = warehouse.value(
        "SELECT count(DISTINCT headline_id) FROM score JOIN headline USING (headline_id) "
        "WHERE model_id = $model AND available_at IS NULL", {"model": key["model"]}
    )  # fmt: skip
    return SignalSummary(key["model"], key["linker"], signals, headlines, undated, by_theme, by_via)


def _insert_signals(warehouse: Warehouse, key: Mapping[str, str]) -> None:
    lean: dict[str, object] = {"least_lean": LEAST_LEAN, "least_theme": LEAST_THEME}
    warehouse.rows(load_sql("chipwire.signals", "stories.sql"), {**key, **lean})
    told = _told(warehouse, key["model"])
    half_lives = load_theme_rules().half_life_days
    table = pa.table({"theme": list(half_lives), "half_life_days": list(half_lives.values())})
    least = {"least_theme": LEAST_THEME}
    warehouse.run(load_sql("chipwire.signals", "build.sql"), {**key, **least}, half_lives=table, told=told)
    warehouse.rows("DROP TABLE temp.story")


def _told(warehouse: Warehouse, model_id: str) -> pa.Table:
    """Return how much of each story was told before, by its number."""
    # All of a model's readings have an embedding or none has.
    some = "SELECT 1 FROM reading WHERE model_id = ? AND embedding IS NOT NULL LIMIT 1"
    if not warehouse.value(some, [model_id]):
        return warehouse.arrow(load_sql("chipwire.signals", "novelty_counted.sql"), {"window_days": WINDOW_DAYS})
    sql = load_sql("chipwire.signals", "novelty_stories.sql")
    return told_before(
        warehouse.batches(sql, {"model": model_id, "sure_event": SURE_EVENT}, size=BATCH, own_cursor=False)
    )


def list_signals(
    warehouse: Warehouse, universe: Universe, model: str | None, issuer: str | None, limit: int
) -> list[dict[str, object]]:
    """Return the latest signals with their headlines, newest first.

    Raises
    ------
    NothingToDo, UnknownName
        See `resolve_model`; also when the issuer is not in the universe.
    """
    if issuer is not None and issuer not in universe.issuers:
        raise UnknownName("issuer", issuer, universe.issuers, "see 'chipwire universe list'")
    key = {"model": resolve_model(warehouse, model), "linker": Linker(universe).id, "issuer": issuer, "limit": limit}
    frame = warehouse.frame(load_sql("chipwire.signals", "list_signals.sql"), key)
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
