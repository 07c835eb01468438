"""The page of a run: the answer, the charts, every fill with its headline, and what it takes to repeat it.

The page is a frame (`chipwire.reports.page`) with small sections in it: each is a line of `SECTIONS` and a file
``section_ID.html.j2``, and the navigation lists them. In a section ``<div class="long" data-table="NAME">`` becomes
the table NAME of `chipwire.reports.tables.page_data`, and the macro ``chart(NAME, ...)`` of ``charts.html.j2`` the
chart NAME of `render_html`. The same report gives the same bytes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from chipwire.engine.settings import LATER
from chipwire.reports import charts
from chipwire.reports.answer import answer, believed, five_figures, trades
from chipwire.reports.attribution_section import divisions
from chipwire.reports.check_section import beside, changed, check_view
from chipwire.reports.collect import RunInfo, RunReport
from chipwire.reports.lineage_section import untraded
from chipwire.reports.metrics import COST_KINDS
from chipwire.reports.page import render
from chipwire.reports.panel_charts import fragility_panel, ic_panel, path_panel, placebo_panel, quantile_panel
from chipwire.reports.quality_section import quality_view
from chipwire.reports.risk_section import against, further_figures
from chipwire.reports.tables import MANY_FILLS, count_of_headlines, page_data
from chipwire.reports.values import REASONS

SECTIONS = (
    ("equity", "Equity", "Equity against benchmarks"),
    ("warnings", "Warnings", "Before you believe it"),
    ("check", "Luck", "Luck, placebos, fragility"),
    ("attribution", "Profit", "Where the profit came from"),
    ("quality", "Signals", "Do the signals say anything?"),
    ("risk", "Risk", "Risk"),
    ("months", "Months", "Month by month"),
    ("prices", "Prices", "Prices, fills and headlines"),
    ("fills", "Fills", "Fills and their headlines"),
    ("headlines", "Headlines", "Headlines traded on"),
    ("lineage", "Not traded", "What was done with the headlines"),
    ("costs", "Costs", "Costs"),
    ("unfilled", "Unfilled", "What was not filled, and why"),
    ("positions", "Positions", "Open positions at the end"),
    ("repeat", "Repeat", "To repeat it"),
)
"""Identity, word in the navigation and title of each section, in the order of the page."""

_SCRIPTS = ("tables.js", "headlines.js", "charts.js", "panels.js", "prices.js", "report.js")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHADES = (0.02, 0.05)
"""Size of a month's return at which its cell takes the next darker shade."""


def render_html(
    report: RunReport, fates: pd.DataFrame | str | None = None, words: Sequence[str] = ("chipwire",)
) -> str:  # fmt: skip
    """Return the page of a run.

    Parameters
    ----------
    report : RunReport
        From `chipwire.reports.collect.collect`.
    fates : DataFrame or str, optional
        From `chipwire.reports.lineage.fates`, or in words why they are not known; without either the page says nothing
        of what was done with the headlines.
    words : sequence of str
        With which each command in the page begins.

    Returns
    -------
    str
        A whole HTML document without any address of its own; about 1 MB, of which 0.9 MB draw the charts.
    """
    drawn = {
        "equity": charts.equity_chart(report),
        "drawdown": charts.drawdown_chart(report),
        "exposure": charts.exposure_chart(report),
        "price": charts.price_chart(),
    }
    latency = float(report.run.settings.get("latency_minutes", 0))
    left = untraded(fates, latency) if isinstance(fates, pd.DataFrame) else None
    panels = _panels(report)
    return render(
        "report.html.j2",
        page_data(report, left) | {"charts": drawn, "panels": panels},
        _SCRIPTS,
        charts=True,
        sections=_sections(report, fates),
        panels=list(panels),
        beside=beside(report),
        check=check_view(report) if report.luck else None,
        divisions=divisions(report.attribution),
        quality=quality_view(report.quality) if report.quality else None,
        untraded=left or fates,
        against=against(report),
        report=report,
        run=report.run,
        metrics=report.metrics,
        currency=report.run.currency,
        answer=answer(report),
        trades=trades(report),
        believed=believed(report, words),
        figures=five_figures(report),
        further=further_figures(report),
        legend=charts.legend(report),
        months=_MONTHS,
        years=_years(report),
        many=MANY_FILLS,
        used=count_of_headlines(report),
        costs=_costs(report),
        cost_kinds=[kind for kind in COST_KINDS if report.metrics.costs[kind]],
        holdings=_holdings(report),
        reasons=[(REASONS.get(name, name), orders) for name, orders in report.reasons.itertuples(index=False)],
        settings=_flat(report.run.settings),
        parameters=_flat(report.run.params),
        program=shlex.join(words),
        command=repeat_command(report.run, words),
    )


def _sections(report: RunReport, fates: object) -> list[tuple[str, str, str]]:
    """Return the sections that the run has something for."""
    empty = {
        "warnings": not report.warnings, "check": report.luck is None, "quality": report.quality is None,
        "attribution": report.attribution.empty, "prices": report.closes.empty, "headlines": report.causes.empty,
        "lineage": fates is None,
    }  # fmt: skip
    return [section for section in SECTIONS if not empty.get(section[0])]


def _panels(report: RunReport) -> dict[str, Any]:
    """Return the charts without a time axis that the run has something for."""
    found: dict[str, Any] = {}
    if report.quality is not None:
        found |= {"ic": ic_panel(report.quality), "quantiles": quantile_panel(report.quality)}
        found |= {"paths": path_panel(report.quality)}
    if report.check is not None:
        if report.check["placebos"]:
            found["placebos"] = placebo_panel(report.check["placebos"])
        if changed(report.check["fragility"]):
            found["fragility"] = fragility_panel(report.check["fragility"])
    return {name: panel for name, panel in found.items() if panel["choices"]}


def repeat_command(run: RunInfo, words: Sequence[str] = ("chipwire",)) -> str:
    """Return the command line, begun with `words`, that makes the run again from the same warehouse."""
    words = [*words, "backtest", run.strategy]
    for name, value in run.params.items():
        words += ["-p", f"{name}={json.dumps(value) if isinstance(value, bool) else value}"]
    for name, value in run.settings.items():
        if value is None or isinstance(value, Mapping) or (name, value) in LATER.items():
            continue
        if isinstance(value, list):
            if value or name == "benchmarks":  # without the option there would be some
                words += [f"--{name}", ",".join(map(str, value)) or "none"]
        else:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if run.model_id:
        words += ["--model", run.model_id]
    return shlex.join(words)


# --- what the template shows -----------------------------------------------------------------------------


def _years(report: RunReport) -> list[tuple[int, list[tuple[float, str] | None], float]]:
    """Return year, its twelve months as return and shade, and the year's return."""
    found: dict[int, list[tuple[float, str] | None]] = {}
    growth: dict[int, float] = {}
    for year, month, change in report.monthly.itertuples(index=False):
        found.setdefault(int(year), [None] * 12)[int(month) - 1] = (change, _shade(change))
        growth[int(year)] = growth.get(int(year), 1.0) * (1 + change)
    return [(year, months, growth[year] - 1) for year, months in found.items()]


def _shade(change: float) -> str:
    if abs(change) < 0.0005:
        return ""
    return f"{'gain' if change > 0 else 'loss'}-{1 + sum(abs(change) >= edge for edge in _SHADES)}"


def _costs(report: RunReport) -> list[tuple[str, dict[str, float], float]]:
    """Return label, amounts by kind and total, in base currency, of each venue."""
    rows: list[tuple[str, dict[str, float], float]] = []
    for (venue, currency), part in report.costs.groupby(["venue", "currency"], sort=True):
        amounts = dict(zip(part["kind"], part["amount_base"], strict=True))
        label = f"{venue} ({currency})" if venue else "Borrowed shares"
        rows.append((label, amounts, sum(amounts.values())))
    return rows


def _holdings(report: RunReport) -> list[dict[str, Any]]:
    """Return the last positions with their currency and share of equity."""
    currencies = dict(zip(report.fills["instrument"], report.fills["currency"], strict=True))
    held: pd.DataFrame = report.holdings.assign(
        currency=[currencies.get(instrument, "") for instrument in report.holdings["instrument"]],
        weight=report.holdings["value"] / report.metrics.final_equity,
    )
    return [{str(key): value for key, value in row.items()} for row in held.to_dict("records")]


def _flat(settings: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Return nested settings as dotted names and text."""
    found: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{above}{name}.")
        elif isinstance(value, list):
            found.append((f"{above}{name}", ", ".join(map(str, value)) or "none"))
        else:
            found.append((f"{above}{name}", "none" if value is None else str(value)))
    return found
