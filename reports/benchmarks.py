"""What a run is compared with: the value of each benchmark on the run's days, and the run measured against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.reports.benchmark_measures import BenchmarkMeasures, compare
from chipwire.reports.metrics import total_return

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_HAS_CLOSES = "SELECT count(*) FROM bar WHERE instrument = ? AND interval = '1d' AND session <= ?"


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
    measures : BenchmarkMeasures
        The run against it.
    """

    instrument: str
    name: str
    currency: str
    basis: str
    values: tuple[float, ...]
    total_return: float
    starts_on: date | None
    last_session: date
    measures: BenchmarkMeasures


def value_benchmarks(
    warehouse: Warehouse,
    universe: Universe,
    symbols: Sequence[str],
    currency: str,
    days: Sequence[date],
    curve: Floats,
) -> tuple[tuple[Benchmark, ...], tuple[tuple[str, str], ...]]:
    """Value benchmarks, each once.

    Parameters
    ----------
    symbols : sequence of str
    currency : str
        The run's base currency.
    days : sequence of date
        The day before the run, then its UTC days.
    curve : ndarray
        The capital, then the run's equity at the end of each.

    Returns
    -------
    tuple
        Those that could be valued, and ``(instrument, reason)`` for those that could not.
    """
    found, missing = [], []
    for symbol in dict.fromkeys(symbols):
        result = _value(warehouse, universe, symbol, currency, days, curve)
        if isinstance(result, str):
            missing.append((symbol, result))
        else:
            found.append(result)
    return tuple(found), tuple(missing)


def _value(
    warehouse: Warehouse, universe: Universe, symbol: str, base: str, days: Sequence[date], curve: Floats
) -> Benchmark | str:
    """Value one benchmark, or say why that cannot be done."""
    known = universe.instruments.get(symbol)
    if known is None:
        return "not in the universe"
    if not warehouse.value(_HAS_CLOSES, [symbol, days[-1]]):
        return "no daily bars in the warehouse"
    asked: dict[str, object] = {"instrument": symbol, "currency": known.currency, "base": base}
    frame = warehouse.frame(
        load_sql("chipwire.reports", "benchmark.sql"), asked, days=pd.DataFrame({"day": pd.to_datetime(days)})
    )
    # Adjusted and plain closes do not mix in one series.
    adjusted = bool(frame.loc[frame["close"].notna(), "adj_close"].notna().all())
    local = frame["adj_close" if adjusted else "close"]
    in_base = (local * frame["fx"]).to_numpy(dtype=np.float64)
    there = np.flatnonzero(np.isfinite(in_base))
    if not len(there):
        return f"no FX rate between {known.currency} and {base}"
    first = int(there[0])
    values = in_base / in_base[first] * curve[0]
    sessions = frame["session"].to_numpy(dtype="datetime64[D]")
    full = adjusted or bool((frame["adjustment"].dropna() == "split+dividend").all())
    return Benchmark(
        instrument=symbol,
        name=known.name,
        currency=known.currency,
        basis="dividends included" if full else "dividends not included",
        values=tuple(map(float, values)),
        total_return=total_return(values[first:]),
        starts_on=days[first] if first else None,
        last_session=sessions[~np.isnat(sessions)][-1].item(),
        measures=compare(days, curve, sessions, values),
    )
