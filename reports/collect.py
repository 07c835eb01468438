"""Read one run back from the warehouse, with its causes and its benchmarks, as one `RunReport`.

Every output is made from this object; its figures are those of `chipwire.reports.metrics.summary`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from chipwire.data.calendars import sessions
from chipwire.data.errors import BadParameter, ChipwireError, NothingToDo, UnknownName
from chipwire.data.universe import Universe, load_universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.measures import drawdowns
from chipwire.engine.settings import stored_settings
from chipwire.engine.validation.luck import luck_of_run
from chipwire.engine.validation.store import stored_check
from chipwire.reports.attribution import attribute
from chipwire.reports.benchmarks import value_benchmarks
from chipwire.reports.figures import RunFigures
from chipwire.reports.figures import RunInfo as RunInfo  # asked for here by most
from chipwire.reports.metrics import Metrics, summary, with_capital
from chipwire.reports.signal_quality import SignalQuality, quality_of_run
from chipwire.reports.warnings import Gap, warn_of_hindsight, warn_of_input, warn_of_result


@dataclass(frozen=True)
class RunReport(RunFigures):
    """All that the outputs show of a run.

    Attributes
    ----------
    drawdown : tuple of float
        Fractions <= 0, one for each day of `days`.
    monthly : DataFrame
        ``year``, ``month``, ``return`` (fraction of the equity at the end of the month before).
    equity, fills, causes, unfilled, costs, positions : DataFrame
        ``equity``, ``unfilled`` and ``positions`` as in the warehouse; ``fills``, ``causes`` and ``costs``
        as in the .sql files beside this module. Instants are UTC without a zone.
    closes : DataFrame
        ``instrument``, ``session``, ``close`` in local currency of every instrument traded.
    n_headlines : int
        Headlines of the warehouse that became available in the run's days, traded on or not.
    quality : SignalQuality or None
        None for a strategy that reads no signals, and where a warning says why it could not be measured.
    luck : mapping or None
        That of the check, else computed from the run's days as `LuckReport.as_json` gives it; None for a run of one
        day.
    """

    drawdown: tuple[float, ...]
    monthly: pd.DataFrame
    equity: pd.DataFrame
    fills: pd.DataFrame
    causes: pd.DataFrame
    unfilled: pd.DataFrame
    costs: pd.DataFrame
    positions: pd.DataFrame
    closes: pd.DataFrame
    n_headlines: int
    quality: SignalQuality | None
    luck: Mapping[str, Any] | None

    @property
    def holdings(self) -> pd.DataFrame:
        """Positions at the end of the last day, the largest first."""
        last = self.positions[self.positions["day"] == self.metrics.last_day]
        return last.sort_values(["value", "instrument"], ascending=[False, True], key=_size, ignore_index=True)


def _size(column: pd.Series[Any]) -> pd.Series[Any]:
    return column.abs() if column.name == "value" else column


# --- which run -------------------------------------------------------------------------------------------


def resolve_run(warehouse: Warehouse, run_ref: str) -> str:
    """Return the run id that `run_ref` means.

    Parameters
    ----------
    run_ref : str
        ``latest``, a run id, a run number, or the first digits of one run's id.

    Raises
    ------
    NothingToDo
        No run is stored.
    UnknownName, BadParameter
        No run, or more than one, is meant.
    """
    runs = warehouse.rows("SELECT run_id, run_no FROM run ORDER BY run_no")
    if not runs:
        raise NothingToDo("no run is stored", "make one with 'chipwire backtest STRATEGY'")
    ids = [run_id for run_id, _ in runs]
    if run_ref == "latest":
        return str(ids[-1])
    if run_ref in ids:
        return run_ref
    for run_id, run_no in runs:
        if run_ref == str(run_no):
            return str(run_id)
    meant = [run_id for run_id in ids if run_ref and run_id.startswith(run_ref)]
    if len(meant) > 1:
        raise BadParameter("run", run_ref, f"{len(meant)} runs begin so ({', '.join(meant[:3])}); give more digits")
    if not meant:
        raise UnknownName("run", run_ref, ids, "see 'chipwire runs list'")
    return str(meant[0])


def run_info(warehouse: Warehouse, run_id: str) -> RunInfo:
    """Return what a stored run was asked to do."""
    row = warehouse.rows(load_sql("chipwire.reports", "run.sql"), [run_id])[0]
    run_id, run_no, strategy, engine, params, settings, fingerprint, *model, version, warnings = row
    model_id, model_name, training_cutoff = model
    return RunInfo(
        run_id=run_id,
        run_no=run_no,
        strategy=strategy,
        engine=engine,
        params=json.loads(params),
        settings=stored_settings(settings),
        data_fingerprint=fingerprint,
        model_id=model_id,
        model_name=model_name,
        training_cutoff=training_cutoff,
        code_version=version,
        warnings=tuple(json.loads(warnings)),
    )


# --- the run's own rows ----------------------------------------------------------------------------------


def _table(warehouse: Warehouse, table: str, keys: str, run_id: str) -> pd.DataFrame:
    # Table and keys are literals of this module.
    sql = f"SELECT * EXCLUDE (run_id) FROM {table} WHERE run_id = ? ORDER BY {keys}"  # noqa: S608
    return _with_dates(warehouse.frame(sql, [run_id]))


def _with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn DATE columns, which arrive as instants, into `datetime.date`."""
    for name in ("day", "session"):
        if name in frame:
            frame[name] = pd.Series(pd.to_datetime(frame[name]).dt.date, index=frame.index, dtype=object)
    return frame


def metrics_of(warehouse: Warehouse, run_id: str) -> Metrics:
    """Compute the figures of a stored run from its rows.

    Raises
    ------
    NothingToDo
        The run has no day of equity.
    """
    run = run_info(warehouse, run_id)
    return _summary(warehouse, run, *_ledger(warehouse, run_id))


def _summary(
    warehouse: Warehouse, run: RunInfo, equity: pd.DataFrame, fills: pd.DataFrame, unfilled: pd.DataFrame
) -> Metrics:
    asked: dict[str, object] = {"run": run.run_id, "interval": run.interval}
    orders = warehouse.frame(load_sql("chipwire.reports", "orders.sql"), asked)
    return summary(equity, fills, unfilled, orders, run.capital, run.participation)


def _ledger(warehouse: Warehouse, run_id: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    equity = _table(warehouse, "equity", "day", run_id)
    if equity.empty:
        raise NothingToDo(f"run {run_id} has no day of equity", "choose a span with sessions in it")
    fills = _table(warehouse, "fill", "fill_no", run_id)
    return equity, fills, _table(warehouse, "unfilled", "order_no", run_id)


def monthly_returns(days: Sequence[date], curve: Sequence[float]) -> pd.DataFrame:
    """Return ``year``, ``month``, ``return``: each month's last value over that of the month before, less 1.

    The first month starts from the capital, the first value of the curve.
    """
    last = {(day.year, day.month): value for day, value in zip(days[1:], curve[1:], strict=True)}
    before, rows = curve[0], []
    for (year, month), value in last.items():
        rows.append((year, month, value / before - 1 if before > 0 else math.nan))
        before = value
    return pd.DataFrame(rows, columns=["year", "month", "return"])


# --- what the charts and tables need besides ---------------------------------------------------------------


def _closes(warehouse: Warehouse, run: RunInfo, days: Sequence[date]) -> pd.DataFrame:
    named: dict[str, object] = {
        "run": run.run_id, "first": days[0], "last": days[-1], "interval": run.settings.get("interval", "1d"),
    }  # fmt: skip
    return _with_dates(warehouse.frame(load_sql("chipwire.reports", "closes.sql"), named))


def _count_headlines(warehouse: Warehouse, first: date, last: date) -> int:
    sql = "SELECT count(*) FROM headline WHERE available_at >= ? AND available_at < ?"
    return int(warehouse.value(sql, [first, last + timedelta(days=1)]))


# --- all of it -------------------------------------------------------------------------------------------


def _quality(warehouse: Warehouse, universe: Universe, run: RunInfo) -> tuple[SignalQuality | None, tuple[str, ...]]:
    """Measure the run's signals, or say why that cannot be done; the rest of the report needs no bars."""
    try:
        return quality_of_run(warehouse, universe, run.settings, run.params, run.model_id), ()
    except ChipwireError as error:
        return None, (f"the quality of the signals is not measured: {error}",)


def _luck(warehouse: Warehouse, run_id: str, check: Mapping[str, Any] | None, days: int) -> Mapping[str, Any] | None:
    if check is not None:
        known: Mapping[str, Any] = check["luck"]
        return known
    return luck_of_run(warehouse, run_id).as_json() if days > 1 else None


def _gaps(warehouse: Warehouse, run: RunInfo, first: date, last: date) -> list[Gap]:
    """Count the sessions on which the instruments traded have no bar."""
    asked: dict[str, object] = {"run": run.run_id, "interval": run.interval, "first": first, "last": last}
    found = []
    for name, venue, since, until, present in warehouse.rows(load_sql("chipwire.reports", "gaps.sql"), asked):
        expected = len(sessions(venue, since, until)) if since <= until else 0
        found.append(Gap(name, max(expected - present, 0), expected))
    return found


# The rows of a run: equity, fills, unfilled, positions.
_Books = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]


def _books(warehouse: Warehouse, run: RunInfo) -> _Books:
    return *_ledger(warehouse, run.run_id), _table(warehouse, "position", "day, instrument", run.run_id)


def _figures(warehouse: Warehouse, universe: Universe, run: RunInfo, books: _Books) -> RunFigures:
    equity, ledger, unfilled, positions = books
    metrics = _summary(warehouse, run, equity, ledger, unfilled)
    days, curve = with_capital(list(equity["day"]), equity["equity"].to_numpy(dtype=float), run.capital)
    asked = list(map(str, run.settings.get("benchmarks", [])))
    benchmarks, missing = value_benchmarks(warehouse, universe, asked, run.currency, days, curve)
    behind = warehouse.frame(load_sql("chipwire.reports", "attribution.sql"), {"run": run.run_id})
    issuers = {symbol: known.issuer for symbol, known in universe.instruments.items()}
    divided = attribute(equity, ledger, positions, behind, issuers, run.capital)
    gaps = _gaps(warehouse, run, metrics.first_day, metrics.last_day)
    counts = unfilled.groupby("reason").size().rename("orders").reset_index()
    return RunFigures(
        run=run,
        metrics=metrics,
        days=tuple(days),
        curve=tuple(map(float, curve)),
        benchmarks=benchmarks,
        missing=missing,
        reasons=counts.sort_values(["orders", "reason"], ascending=[False, True], ignore_index=True),
        attribution=divided.table,
        warnings=(
            *warn_of_input(run, benchmarks, missing, metrics.last_day),
            *warn_of_result(metrics, divided.trips, gaps, run.currency),
        ),
        check=stored_check(warehouse, run.run_id),
    )


def _causes(warehouse: Warehouse, run: RunInfo) -> pd.DataFrame:
    return warehouse.frame(load_sql("chipwire.reports", "causes.sql"), {"run": run.run_id})


def collect_figures(warehouse: Warehouse, run_ref: str, universe: Universe | None = None) -> RunFigures:
    """Read a run's figures and no more; parameters and errors as in `collect`."""
    run = run_info(warehouse, resolve_run(warehouse, run_ref))
    found = _figures(warehouse, universe or load_universe(), run, _books(warehouse, run))
    if run.training_cutoff is None:  # then nothing is said of hindsight
        return found
    return replace(found, warnings=(*found.warnings, *warn_of_hindsight(run, _causes(warehouse, run))))


def collect(warehouse: Warehouse, run_ref: str, universe: Universe | None = None) -> RunReport:
    """Read a run and all that stands behind it.

    Parameters
    ----------
    run_ref : str
        See `resolve_run`.
    universe : Universe, optional
        For the benchmarks' currencies and names; the shipped one by default.

    Raises
    ------
    UnknownName, BadParameter, NothingToDo
    """
    run = run_info(warehouse, resolve_run(warehouse, run_ref))
    universe = universe or load_universe()
    equity, _, unfilled, positions = books = _books(warehouse, run)
    found = _figures(warehouse, universe, run, books)
    metrics, named = found.metrics, {"run": run.run_id}
    causes = _causes(warehouse, run)
    measured, unmeasured = _quality(warehouse, universe, run)
    shown = vars(found) | {"warnings": (*found.warnings, *unmeasured, *warn_of_hindsight(run, causes))}
    return RunReport(
        **shown,
        drawdown=tuple(map(float, drawdowns(np.array(found.curve)))),
        monthly=monthly_returns(found.days, found.curve),
        equity=equity,
        fills=_with_dates(warehouse.frame(load_sql("chipwire.reports", "fills.sql"), named)),
        causes=causes,
        unfilled=unfilled,
        costs=warehouse.frame(load_sql("chipwire.reports", "costs.sql"), named | {"base": run.currency}),
        positions=positions,
        quality=measured,
        luck=_luck(warehouse, run.run_id, found.check, metrics.days),
        closes=_closes(warehouse, run, found.days),
        n_headlines=_count_headlines(warehouse, metrics.first_day, metrics.last_day),
    )
