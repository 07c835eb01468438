"""A run in short: the sentence, the five figures and all figures as JSON, stored with the run once computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse
from chipwire.reports.answer import first_benchmark, five_figures, verdict
from chipwire.reports.collect import collect_figures
from chipwire.reports.figures import RunFigures
from chipwire.reports.values import MISSING, money, number, percent, plain


@dataclass(frozen=True)
class RunSummary:
    """What the terminal shows of a run."""

    report: RunFigures

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        return verdict(self.report)

    @property
    def figures(self) -> list[tuple[str, str]]:
        """Label and value of the five figures and of those that say how far to trust them; at most twelve."""
        return [*five_figures(self.report), *further_figures(self.report)]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the reader has to know."""
        return self.report.warnings

    def as_json(self, check: Mapping[str, Any] | None = None) -> str:
        """Return all figures, the settings and the warnings as one JSON object, with what a check found."""
        run, benchmarks = self.report.run, self.report.benchmarks
        content: dict[str, Any] = {
            "run_id": run.run_id,
            "strategy": run.strategy,
            "engine": run.engine,
            "params": run.params,
            "settings": run.settings,
            "data_fingerprint": run.data_fingerprint,
            "model": {"id": run.model_id, "name": run.model_name} if run.model_id else None,
            "metrics": self.report.metrics.as_json(),
            "benchmarks": {
                mark.instrument: {"total_return": mark.total_return, **asdict(mark.measures)} for mark in benchmarks
            },
            "attribution": _nested(self.report),
            "unfilled": dict(self.report.reasons.itertuples(index=False, name=None)),
            "verdict": self.sentence,
            "warnings": list(self.warnings),
        }
        if check is not None:
            content["check"] = check
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)


def further_figures(report: RunFigures) -> list[tuple[str, str]]:
    """Return label and value of the figures below the first five; estimates with their standard error."""
    metrics, mark = report.metrics, first_benchmark(report)
    figures = [
        ("Annual return", percent(metrics.annual_return)),
        ("Annual volatility", percent(metrics.annual_volatility, signed=False)),
        ("Hit rate", percent(metrics.hit_rate, signed=False)),
        ("Time in market", percent(metrics.time_in_market, signed=False)),
        ("Capacity", money(metrics.capacity, report.run.currency)),
    ]
    if mark:
        alpha, beta = mark.measures.alpha, mark.measures.beta
        figures += [
            (f"Alpha to {mark.instrument}", _estimate(percent(alpha.value), percent(alpha.error, signed=False))),
            (f"Beta to {mark.instrument}", _estimate(number(beta.value), number(beta.error))),
        ]
    return figures


def _estimate(value: str, error: str) -> str:
    return value if value == MISSING else f"{value} +/- {error}"


def _nested(report: RunFigures) -> dict[str, dict[str, float]]:
    """Return the total of each line of each table of the attribution."""
    found: dict[str, dict[str, float]] = {}
    for by, line, total in report.attribution[["by", "line", "total"]].itertuples(index=False, name=None):
        found.setdefault(by, {})[line] = total
    return found


def summarize(warehouse: Warehouse, run_id: str, universe: Universe) -> RunSummary:
    """Return the summary of a run; where the warehouse is writable its figures are stored with the run."""
    # What a check found is told beside the sentence, which is the same before and after it.
    found = RunSummary(replace(collect_figures(warehouse, run_id, universe), check=None))
    if warehouse.writable:
        with warehouse.transaction():
            figures = json.dumps(found.report.metrics.as_json())
            warehouse.run("UPDATE run SET metrics = ? WHERE run_id = ?", [figures, run_id])
        warehouse.touch("run")
    return found


def list_runs(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return the stored runs, the latest last, with their main figures."""
    rows = warehouse.rows("SELECT run_no, run_id, strategy, settings, metrics FROM run ORDER BY run_no")
    listed = []
    for run_no, run_id, strategy, settings_text, metrics_text in rows:
        settings, metrics = json.loads(settings_text), json.loads(metrics_text)
        listed.append(
            {
                "run_no": run_no,
                "run_id": run_id,
                "strategy": strategy,
                "start": settings["start"],
                "end": settings["end"],
                "currency": settings["currency"],
                "total_return": metrics.get("total_return"),
                "sharpe": metrics.get("sharpe"),
                "max_drawdown": (metrics.get("max_drawdown") or {}).get("depth"),
                "fills": metrics.get("n_fills"),
            }
        )
    return listed
