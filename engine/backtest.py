"""One backtest from settings to stored rows: load, run, name, write in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import chipwire
from chipwire.data.errors import BadParameter, NothingToDo
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.asking import notes_of
from chipwire.engine.market import Market, load_market
from chipwire.engine.records import Fill, Ledger, Rows
from chipwire.engine.settings import Settings
from chipwire.engine.view import SignalBook, load_signals
from chipwire.signals.build import resolve_model
from chipwire.signals.linking import Linker
from chipwire.strategies.base import Strategy

if TYPE_CHECKING:
    from chipwire.engine.columnar_ports import TargetSource

ENGINES = ("backtrader", "columnar")
_TABLES = ("target", "fill", "fill_cause", "unfilled", "position", "equity", "run")


@dataclass(frozen=True)
class RunResult:
    """What a backtest left in the warehouse.

    Attributes
    ----------
    run_id : str
        12 hex digits over strategy, parameters, settings, data, model and code: the same again is the same run.
    fills, unfilled : int
        Trades, and orders not filled in full.
    """

    run_id: str
    fills: int
    unfilled: int
    warnings: tuple[str, ...]


def run_backtest(
    warehouse: Warehouse,
    universe: Universe,
    strategy: Strategy,
    settings: Settings,
    *,
    model: str | None = None,
    engine: str = "backtrader",
    on_progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Run a strategy on the warehouse's data and store all that it produced.

    Parameters
    ----------
    engine : str
        One of `ENGINES`; both leave the same rows.

    Raises
    ------
    NothingToDo
        No bars in the span, or no signals for a strategy that reads them.
    UnknownName, DomainError, BadTarget
        See `load_market`, `resolve_model` and `Decider`.
    """
    market = load_market(warehouse, universe, settings)
    book, model_id, warnings = load_book(warehouse, universe, strategy, settings, model)
    issuers = {symbol: universe.instrument(symbol).issuer for symbol in market.symbols}
    ledger, uncovered = simulate(engine, market, settings, strategy, book, issuers, on_progress)
    warnings = [*market.warnings, *warnings, *notes_of(strategy)]
    for mic in sorted(uncovered):
        warnings.append(f"{mic}: the fee table does not cover all sessions traded; those paid no fees")
    fingerprint = data_fingerprint(market, book)
    return _store(warehouse, strategy, settings, engine, ledger, model_id, fingerprint, warnings)


def simulate(
    engine: str,
    market: Market,
    settings: Settings,
    strategy: Strategy,
    book: SignalBook | None,
    issuers: Mapping[str, str | None],
    on_progress: Callable[[int, int], None] | None,
) -> tuple[Ledger, Collection[str]]:
    """Run without storing; return what the run wrote down, and the venues whose fees are not known on all days.

    Raises
    ------
    BadParameter
        There is no such engine.
    BadTarget
        See `Decider`.
    """
    facts = load_fees(), load_market_rules()
    if engine == "backtrader":
        from chipwire.engine.event import run_event_driven

        account = run_event_driven(market, settings, strategy, book, issuers, *facts, on_progress)
        return account.ledger, account.uncovered
    if engine != "columnar":
        raise BadParameter("engine", engine, " or ".join(ENGINES))
    from chipwire.engine.columnar import run_columnar

    targets = _targets(market, settings, strategy, book, issuers)
    block = run_columnar(market, settings, targets, *facts, keep="ledger", on_progress=on_progress)
    return block.ledgers[0], block.uncovered


def _targets(
    market: Market,
    settings: Settings,
    strategy: Strategy,
    book: SignalBook | None,
    issuers: Mapping[str, str | None],
) -> TargetSource:
    """Return where the weights come from: at once where the strategy's own class says them so, else by decision.

    A class derived from such a one, or an instance that is watched, may decide otherwise.
    """
    from chipwire.engine.targets import DecideTargets, PanelTargets

    if "at_once" in vars(type(strategy)) and "decide" not in vars(strategy):
        from chipwire.engine.panels import DuckPanels

        weights = strategy.at_once(DuckPanels(market, None, issuers))
        if weights is not None:
            return PanelTargets(market, weights, strategy.name)
    return DecideTargets(market, [strategy], settings, book, issuers)


def load_book(
    warehouse: Warehouse,
    universe: Universe,
    strategy: Strategy | type[Strategy],
    settings: Settings,
    model: str | None,
) -> tuple[SignalBook | None, str | None, list[str]]:
    """Return the signals that a run could see, the id of their model, and what its reader has to know.

    Raises
    ------
    NothingToDo
        There are none, for a strategy that reads them.
    UnknownName
        See `resolve_model`.
    """
    if not strategy.reads_signals:
        return None, None, []
    model_id = resolve_model(warehouse, model)
    book = load_signals(warehouse, settings, model_id, Linker(universe).id)
    if not len(book):
        raise NothingToDo(
            f"there are no signals that {settings.start} to {settings.end} could see",
            "build them with 'chipwire signals', or choose another span",
        )
    cutoff, undated = warehouse.rows(load_sql("chipwire.engine", "signal_cautions.sql"), {"model": model_id})[0]
    warnings = []
    learnt = "it may have learnt from what followed"
    if cutoff is None:
        warnings.append(f"the model's training cut-off is not known: {learnt} the headlines")
    elif early := _count_headlines(book, settings.start, cutoff):
        older = f"{early} headlines of the run are older than the model's training cut-off {cutoff}"
        warnings.append(f"{older}: {learnt} them")
    if undated:
        warnings.append(f"{undated} headlines that name an issuer have no publication date and are left out")
    return book, model_id, warnings


def _count_headlines(book: SignalBook, first: date, last: date) -> int:
    """Return how many headlines became available from one day to another, both included, UTC."""
    days = book.available_at.astype("datetime64[D]")
    inside = (days >= np.datetime64(first, "D")) & (days <= np.datetime64(last, "D"))
    return len(set(book.columns["headline_id"][inside]))


def data_fingerprint(market: Market, book: SignalBook | None) -> str:
    """Digest everything that the run could read: bars, FX, actions, calendars, signals."""
    digest = hashlib.blake2b(market.fingerprint.encode(), digest_size=8)
    if book is not None:
        digest.update(book.available_at.tobytes())
        for name, column in sorted(book.columns.items()):
            digest.update(name.encode())
            digest.update(repr(column.tolist()).encode() if column.dtype == object else column.tobytes())
    return digest.hexdigest()


def run_identity(strategy: Strategy, settings: Settings, engine: str, model_id: str | None, fingerprint: str) -> str:
    """Return a run's id: a digest over strategy, parameters, settings, data, model, code and engine."""
    identity = [
        strategy.name, strategy.values, strategy.identity(), settings.as_json(), fingerprint, model_id,
        chipwire.__version__, engine,
    ]  # fmt: skip
    return hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=6).hexdigest()


def _store(
    warehouse: Warehouse,
    strategy: Strategy,
    settings: Settings,
    engine: str,
    ledger: Ledger,
    model_id: str | None,
    fingerprint: str,
    warnings: list[str],
) -> RunResult:
    run_id = run_identity(strategy, settings, engine, model_id, fingerprint)
    with warehouse.transaction():
        delete_run(warehouse, run_id)
        number = warehouse.value("SELECT coalesce(max(run_no), 0) + 1 FROM run")
        row = {
            "run_id": run_id, "run_no": number, "strategy": strategy.name, "engine": engine,
            "params": json.dumps(strategy.values, sort_keys=True), "settings": json.dumps(settings.as_json()),
            "data_fingerprint": fingerprint, "model_id": model_id, "code_version": chipwire.__version__,
            "metrics": "{}", "warnings": json.dumps(warnings, ensure_ascii=False),
        }  # fmt: skip
        warehouse.insert("run", pa.Table.from_pylist([row], schema=_run_schema()))
        _insert(warehouse, "target", run_id, ledger.targets)
        _insert(warehouse, "fill", run_id, ledger.fills, number="fill_no", leave_out=("causes",))
        _insert(warehouse, "unfilled", run_id, ledger.unfilled, number="order_no")
        _insert(warehouse, "position", run_id, ledger.positions)
        _insert(warehouse, "equity", run_id, ledger.equity)
        _insert_causes(warehouse, run_id, ledger.fills)
    warehouse.touch(*_TABLES)
    return RunResult(run_id, len(ledger.fills), len(ledger.unfilled), tuple(warnings))


def delete_run(warehouse: Warehouse, run_id: str) -> None:
    """Remove a run and everything that belongs to it."""
    with warehouse.transaction():
        for table in _TABLES:
            warehouse.run(f"DELETE FROM {table} WHERE run_id = ?", [run_id])  # noqa: S608 - names are ours
    warehouse.touch(*_TABLES)


def _insert(
    warehouse: Warehouse,
    table: str,
    run_id: str,
    records: Rows[Any],
    *,
    number: str | None = None,
    leave_out: tuple[str, ...] = (),
) -> None:
    """Insert records as they are; `number` names a column that counts them from 1."""
    if not records:
        return
    columns = {name: column for name, column in records.columns.items() if name not in leave_out}
    counted = {number: np.arange(1, len(records) + 1)} if number else {}
    own = pa.repeat(pa.scalar(run_id), len(records))
    # The run's rows were deleted before, and no two of a ledger's share a key.
    warehouse.append(table, pa.table({"run_id": own, **counted, **columns}))


def _insert_causes(warehouse: Warehouse, run_id: str, fills: Rows[Fill]) -> None:
    rows = [
        {
            "run_id": run_id, "fill_no": number, "rank": rank, "headline_id": cause.headline_id,
            "issuer": cause.issuer, "theme": cause.theme, "model_id": cause.model_id,
            "strength": cause.strength, "relation": cause.relation,
        }
        for number, causes in enumerate(fills.columns["causes"], start=1)
        for rank, cause in enumerate(causes, start=1)
    ]  # fmt: skip
    if rows:
        warehouse.insert("fill_cause", pa.Table.from_pylist(rows))


def _run_schema() -> pa.Schema:
    text = {name: pa.string() for name in (
        "run_id", "strategy", "engine", "params", "settings", "data_fingerprint", "model_id", "code_version",
        "metrics", "warnings",
    )}  # fmt: skip
    return pa.schema({**text, "run_no": pa.int64()})
