"""Read one run back from the warehouse, with its causes and its benchmarks, as one `RunReport`.

Every output is made from this object; its figures are those of `chipwire.reports.metrics.summary`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from chipwire.data.errors import BadParameter, NothingToDo, UnknownName
from chipwire.data.universe import Universe, load_universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.measures import drawdowns
from chipwire.reports.metrics import Metrics, summary, total_return, with_capital

STALE_AFTER_DAYS = 10
"""A benchmark whose last bar is older than this at the run's end is said to be stale (the longest holidays of
the three venues close them for nine days)."""


@dataclass(frozen=True)
class RunInfo:
    """The row of the ``run`` table, its JSON parsed, and the model it read with."""

    run_id: str
    run_no: int
    strategy: str
    engine: str
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    data_fingerprint: str
    model_id: str | None
    model_name: str | None
    training_cutoff: date | None
    code_version: str
    warnings: tuple[str, ...]

    @property
    def capital(self) -> float:
        """Base currency at the start."""
        return float(self.settings["capital"])

    @property
    def currency(self) -> str:
        """ISO code of the base currency."""
        return str(self.settings["currency"])


@dataclass(frozen=True)
class Benchmark:
    """Buying an instrument with the whole capital at the start and holding it, without costs.

    Attributes
    ----------
    instrument, name, currency : str
        As in the universe.
    basis : str
        Whether dividends are inside: which price was used.
    values : tuple of float
        Base currency on the days of `RunReport.days`, rebased to the capital; NaN before its first bar.
    total_return : float
        Over those values, from the first that is there.
    starts_on : date or None
        First day with a value where that is later than the run's start, else None.
    last_session : date
        Of its last bar used; the last close is carried forward from there.
    """

    instrument: str
    name: str
    currency: str
    basis: str
    values: tuple[float, ...]
    total_return: float
    starts_on: date | None
    last_session: date


@dataclass(frozen=True)
class RunReport:
    """All that the outputs show of a run.

    Attributes
    ----------
    days, curve : tuple
        The day before the run, then its UTC days; the capital, then the equity at the end of each.
    drawdown : tuple of float
        Fractions <= 0, one for each day of `days`.
    benchmarks, missing : tuple
        Those that could be valued, and ``(instrument, reason)`` for those that could not.
    monthly : DataFrame
        ``year``, ``month``, ``return`` (fraction of the equity at the end of the month before).
    equity, fills, causes, unfilled, reasons, costs, positions : DataFrame
        ``equity``, ``unfilled`` and ``positions`` as in the warehouse; ``fills``, ``causes`` and ``costs``
        as in the .sql files beside this module; ``reasons`` counts unfilled orders. Instants are UTC without
        a zone.
    closes : DataFrame
        ``instrument``, ``session``, ``close`` in local currency of every instrument traded.
    n_headlines : int
        Headlines of the warehouse that became available in the run's days, traded on or not.
    warnings : tuple of str
        The engine's and those about the report's own input.
    """

    run: RunInfo
    metrics: Metrics
    days: tuple[date, ...]
    curve: tuple[float, ...]
    drawdown: tuple[float, ...]
    benchmarks: tuple[Benchmark, ...]
    missing: tuple[tuple[str, str], ...]
    monthly: pd.DataFrame
    equity: pd.DataFrame
    fills: pd.DataFrame
    causes: pd.DataFrame
    unfilled: pd.DataFrame
    reasons: pd.DataFrame
    costs: pd.DataFrame
    positions: pd.DataFrame
    closes: pd.DataFrame
    n_headlines: int
    warnings: tuple[str, ...]

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
        settings=json.loads(settings),
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
    equity, fills, unfilled = _ledger(warehouse, run_id)
    return summary(equity, fills, unfilled, run.capital)


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


# --- benchmarks ------------------------------------------------------------------------------------------


def _benchmark(
    warehouse: Warehouse, universe: Universe, symbol: str, run: RunInfo, days: Sequence[date]
) -> Benchmark | str:
    """Value one benchmark, or say why that cannot be done."""
    known = universe.instruments.get(symbol)
    if known is None:
        return "not in the universe"
    asked: dict[str, object] = {"instrument": symbol, "currency": known.currency, "base": run.currency}
    frame = warehouse.frame(
        load_sql("chipwire.reports", "benchmark.sql"), asked, days=pd.DataFrame({"day": pd.to_datetime(days)})
    )
    frame = _with_dates(frame)
    if frame["close"].isna().all():
        return "no daily bars in the warehouse"
    # Adjusted and plain closes do not mix in one series.
    adjusted = bool(frame.loc[frame["close"].notna(), "adj_close"].notna().all())
    local = frame["adj_close" if adjusted else "close"]
    in_base = (local * frame["fx"]).to_numpy(dtype=float)
    there = [number for number, value in enumerate(in_base) if math.isfinite(value)]
    if not there:
        return f"no FX rate between {known.currency} and {run.currency}"
    values = in_base / in_base[there[0]] * run.capital
    full = adjusted or bool((frame["adjustment"].dropna() == "split+dividend").all())
    return Benchmark(
        instrument=symbol,
        name=known.name,
        currency=known.currency,
        basis="dividends included" if full else "dividends not included",
        values=tuple(float(value) for value in values),
        total_return=total_return(values[there[0] :]),
        starts_on=days[there[0]] if there[0] else None,
        last_session=frame["session"].dropna().iloc[-1],
    )


def _benchmarks(
    warehouse: Warehouse, universe: Universe, run: RunInfo, days: Sequence[date]
) -> tuple[tuple[Benchmark, ...], tuple[tuple[str, str], ...]]:
    found, missing = [], []
    for symbol in dict.fromkeys(map(str, run.settings.get("benchmarks", []))):
        result = _benchmark(warehouse, universe, symbol, run, days)
        if isinstance(result, str):
            missing.append((symbol, result))
        else:
            found.append(result)
    return tuple(found), tuple(missing)


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


def _warnings(
    run: RunInfo, benchmarks: Sequence[Benchmark], missing: Sequence[tuple[str, str]], last_day: date
) -> tuple[str, ...]:
    found = list(run.warnings)
    found += [f"benchmark {symbol} is left out: {reason}" for symbol, reason in missing]
    for mark in benchmarks:
        if mark.starts_on:
            found.append(f"benchmark {mark.instrument} starts only on {mark.starts_on}: its return is from there")
        if (last_day - mark.last_session).days > STALE_AFTER_DAYS:
            found.append(f"benchmark {mark.instrument} ends on {mark.last_session}: its last close is carried on")
    return tuple(found)


def _hindsight(run: RunInfo, causes: pd.DataFrame) -> tuple[str, ...]:
    """Say how many fills rest on headlines that the model may have learnt from."""
    if run.training_cutoff is None or causes.empty:
        return ()
    first = causes[causes["rank"] == causes.groupby("fill_no")["rank"].transform("min")]
    known = int((first["available_at"] < pd.Timestamp(run.training_cutoff) + pd.Timedelta(days=1)).sum())
    if not known:
        return ()
    share = f"{known:,} of {len(first):,} fills with a headline"
    when = f"from before the model's training cut-off ({run.training_cutoff})"
    return (f"{share} rest on one {when}: the model may have learnt what happened next",)


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
    equity, ledger, unfilled = _ledger(warehouse, run.run_id)
    metrics = summary(equity, ledger, unfilled, run.capital)
    days, curve = with_capital(list(equity["day"]), equity["equity"].to_numpy(dtype=float), run.capital)
    benchmarks, missing = _benchmarks(warehouse, universe or load_universe(), run, days)
    named: dict[str, object] = {"run": run.run_id}
    causes = warehouse.frame(load_sql("chipwire.reports", "causes.sql"), named)
    counts = unfilled.groupby("reason").size().rename("orders").reset_index()
    return RunReport(
        run=run,
        metrics=metrics,
        days=tuple(days),
        curve=tuple(map(float, curve)),
        drawdown=tuple(map(float, drawdowns(curve))),
        benchmarks=benchmarks,
        missing=missing,
        monthly=monthly_returns(days, list(map(float, curve))),
        equity=equity,
        fills=_with_dates(warehouse.frame(load_sql("chipwire.reports", "fills.sql"), named)),
        causes=causes,
        unfilled=unfilled,
        reasons=counts.sort_values(["orders", "reason"], ascending=[False, True], ignore_index=True),
        costs=warehouse.frame(load_sql("chipwire.reports", "costs.sql"), named | {"base": run.currency}),
        positions=_table(warehouse, "position", "day, instrument", run.run_id),
        closes=_closes(warehouse, run, days),
        n_headlines=_count_headlines(warehouse, metrics.first_day, metrics.last_day),
        warnings=(*_warnings(run, benchmarks, missing, metrics.last_day), *_hindsight(run, causes)),
    )
