"""Sweeps in the warehouse: which rows are there already, one transaction for each block of new ones, all trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

import chipwire
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.settings import Settings
from chipwire.engine.sweep_grid import Configuration, Grid

FIGURES = (
    "final_equity", "total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown",
    "calmar", "turnover", "mean_exposure", "costs",
)  # fmt: skip
COUNTS = ("days", "n_fills", "n_unfilled")
_TEXTS = ("sweep_id", "trial_id", "params", "settings", "data_fingerprint", "model_id", "error")
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in _TEXTS]
    + [(name, pa.int64()) for name in ("row_no", *COUNTS, "batch_id")]
    + [(name, pa.float64()) for name in FIGURES]
)


@dataclass(frozen=True)
class Trial:
    """A configuration as it is stored: its place in the sweep, its identity, and all that runs it alone.

    Attributes
    ----------
    row_no : int
        From 1.
    values : mapping
        Every parameter of the strategy, parsed.
    """

    row_no: int
    trial_id: str
    configuration: Configuration
    values: Mapping[str, Any]
    data_fingerprint: str
    model_id: str | None


@lru_cache(maxsize=4096)
def settings_text(settings: Settings) -> str:
    """Return the settings as table ``run`` keeps them; most configurations of a sweep share theirs."""
    return json.dumps(settings.as_json())


def sweep_identity(reference: str, configurations: Iterable[Configuration]) -> str:
    """Return 12 hex digits: the same strategy, configurations and code are the same sweep.

    The data is no part of it: rows of a sweep whose data has changed since are computed anew.
    """
    digest = hashlib.blake2b(f"{reference}\n{chipwire.__version__}".encode(), digest_size=6)
    for configuration in configurations:
        row = [configuration.params, settings_text(configuration.settings), configuration.model]
        digest.update(json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest()


def trial_identity(
    strategy: str,
    values: Mapping[str, Any],
    identity: str,
    settings: Settings,
    fingerprint: str,
    model_id: str | None,
) -> str:
    """Return 16 hex digits over everything that a configuration's figures follow from, the code aside."""
    row = [strategy, values, identity, settings_text(settings), fingerprint, model_id]
    return hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=8).hexdigest()


def begin(warehouse: Warehouse, sweep_id: str, strategy: str, reference: str, grid: Grid, seed: int, size: int) -> None:
    """Write down the sweep, unless it is there from an earlier call."""
    axes = [
        {"name": a.name, "of": a.of, "drawn": a.drawn, "text": a.text, "values": len(a.values)} for a in grid.axes
    ]  # fmt: skip
    with warehouse.transaction():
        number = warehouse.value("SELECT coalesce(max(sweep_no), 0) + 1 FROM sweep")
        row = {
            "sweep_id": sweep_id, "sweep_no": number, "strategy": strategy, "reference": reference,
            "axes": json.dumps(axes, ensure_ascii=False), "draws": grid.draws, "seed": seed, "configurations": size,
            "code_version": chipwire.__version__, "warnings": "[]",
        }  # fmt: skip
        warehouse.insert("sweep", pa.Table.from_pylist([row]))


def stored(warehouse: Warehouse, sweep_id: str) -> dict[int, str]:
    """Return the trial of each row that is there, by its number."""
    return dict(warehouse.rows("SELECT row_no, trial_id FROM sweep_row WHERE sweep_id = ?", [sweep_id]))


def store_block(
    warehouse: Warehouse,
    sweep_id: str,
    trials: Sequence[Trial],
    figures: Mapping[str, Sequence[float | None]],
    errors: Sequence[str | None],
) -> None:
    """Write the rows of a block in one transaction, in place of older ones; NaN becomes NULL."""
    with warehouse.transaction():
        batch = warehouse.new_batch("sweep", sweep_id, len(trials))
        columns: dict[str, list[Any]] = {
            "sweep_id": [sweep_id] * len(trials),
            "trial_id": [trial.trial_id for trial in trials],
            "params": [json.dumps(dict(trial.values), sort_keys=True) for trial in trials],
            "settings": [settings_text(trial.configuration.settings) for trial in trials],
            "data_fingerprint": [trial.data_fingerprint for trial in trials],
            "model_id": [trial.model_id for trial in trials],
            "error": list(errors),
            "row_no": [trial.row_no for trial in trials],
            "batch_id": [batch] * len(trials),
        }
        for name in (*COUNTS, *FIGURES):
            given = figures.get(name, [None] * len(trials))
            columns[name] = [None if value is None or value != value else value for value in given]
        counts = {name: [None if v is None else int(v) for v in columns[name]] for name in COUNTS}
        names = ", ".join(_SCHEMA.names)
        warehouse.touch("sweep_row")
        warehouse.run(
            f"INSERT OR REPLACE INTO sweep_row ({names}) SELECT {names} FROM incoming",  # noqa: S608 - names are ours
            incoming=pa.table(columns | counts, schema=_SCHEMA),
        )
        warehouse.end_batch(batch, len(trials), len(trials))
    warehouse.acknowledge()


def stored_warnings(warehouse: Warehouse, sweep_id: str) -> list[str]:
    """Return what earlier calls of a sweep had to say; nothing where there was none."""
    text = warehouse.value("SELECT warnings FROM sweep WHERE sweep_id = ?", [sweep_id])
    return list(json.loads(text)) if text else []


def store_warnings(warehouse: Warehouse, sweep_id: str, warnings: Sequence[str]) -> None:
    """Keep what the reader of the sweep has to know."""
    text = json.dumps(list(warnings), ensure_ascii=False)
    if warehouse.value("SELECT warnings FROM sweep WHERE sweep_id = ?", [sweep_id]) == text:
        return
    with warehouse.transaction():
        warehouse.touch("sweep")
        warehouse.run("UPDATE sweep SET warnings = ? WHERE sweep_id = ?", [text, sweep_id])


def count_trials(warehouse: Warehouse, strategy: str | None = None) -> int:
    """Return how many different configurations were ever tried, in sweeps and in single runs, failed ones included.

    The more were tried, the better the best of them looks by luck alone. The same one on both engines counts once.
    """
    return int(warehouse.value(load_sql("chipwire.engine", "trials.sql"), {"strategy": strategy}))
