"""What the page says of luck: intervals of the figures, the sentence of the check, placebos and fragility."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chipwire.reports.check_lines import CHANGES
from chipwire.reports.collect import RunReport
from chipwire.reports.values import MISSING, number, percent

_FIGURES = {
    "total_return": "Total return", "annual_return": "Annual return", "annual_volatility": "Annual volatility",
    "sharpe": "Sharpe ratio", "sortino": "Sortino ratio", "max_drawdown": "Maximum drawdown", "calmar": "Calmar ratio",
    "alpha": "Alpha a year",
}  # fmt: skip
_RATIOS = ("sharpe", "sortino", "calmar")
_BESIDE = {"Total return": "total_return", "Sharpe ratio": "sharpe", "Max drawdown": "max_drawdown"}


def beside(report: RunReport) -> dict[str, str]:
    """Return the 95 % interval of each of the five figures that has one, by its label."""
    if report.luck is None:
        return {}
    known = report.luck["intervals"]
    shown = {label: _between(name, known[name]) for label, name in _BESIDE.items() if name in known}
    return {label: text for label, text in shown.items() if text}


def check_view(report: RunReport) -> dict[str, Any]:
    """Return what the template of the section shows besides the charts; the report has luck."""
    luck = report.luck or {}
    return {
        "intervals": [
            (label, _told(name, one["value"]), _between(name, one))
            for name, label in _FIGURES.items()
            if (one := luck["intervals"].get(name)) and one["low"] is not None
        ],
        "luck": {key: math.nan if value is None else value for key, value in luck.items() if key != "intervals"},
    }


def changed(fragility: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the variants that could be traded."""
    return [one for one in fragility["variants"] if one["total_return"] is not None]


def fragility_table(report: RunReport) -> list[tuple[str, str, float, float]]:
    """Return change, label, total return and Sharpe ratio of the run and of each variant; NaN where there is none."""
    if report.check is None:
        return []
    tested = report.check["fragility"]
    rows = [("none", tested["base"]), *((CHANGES[one["change"]], one) for one in tested["variants"])]
    return [(change, one["label"], _number(one["total_return"]), _number(one["sharpe"])) for change, one in rows]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _between(name: str, one: dict[str, float | None]) -> str:
    low, high = _told(name, one["low"]), _told(name, one["high"])
    return "" if MISSING in (low, high) else f"{low} to {high}"


def _told(name: str, value: float | None) -> str:
    if value is None:
        return MISSING
    return number(value) if name in _RATIOS else percent(value, signed=name != "annual_volatility")
