"""What a run was asked to do, and its figures: as much of it as the terminal shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from chipwire.reports.benchmarks import Benchmark
    from chipwire.reports.metrics import Metrics


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

    @property
    def interval(self) -> str:
        """Of the bars traded on."""
        return str(self.settings.get("interval", "1d"))

    @property
    def participation(self) -> float:
        """Largest part of a bar's volume that an order could take; NaN where it was not stored."""
        return float(self.settings.get("participation", math.nan))


@dataclass(frozen=True)
class RunFigures:
    """The figures of a run, and what its reader has to know.

    Attributes
    ----------
    days, curve : tuple
        The day before the run, then its UTC days; the capital, then the equity at the end of each.
    benchmarks, missing : tuple
        Those that could be valued, and ``(instrument, reason)`` for those that could not.
    reasons : DataFrame
        ``reason`` and ``orders``: how many were not filled in full, the most first.
    attribution : DataFrame
        Where the profit came from, see `chipwire.reports.attribution.Attribution`.
    warnings : tuple of str
        The engine's and those about the report's own input.
    check : mapping or None
        What ``backtest --check`` stored with the run, as `chipwire.engine.validation.run_check.RunCheck.as_json` gives
        it; None for a run that was not checked.
    """

    run: RunInfo
    metrics: Metrics
    days: tuple[date, ...]
    curve: tuple[float, ...]
    benchmarks: tuple[Benchmark, ...]
    missing: tuple[tuple[str, str], ...]
    reasons: pd.DataFrame
    attribution: pd.DataFrame
    warnings: tuple[str, ...]
    check: Mapping[str, Any] | None
