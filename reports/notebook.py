"""A run as a Jupyter notebook: cells that read the Parquet tables beside it and draw the main figures again.

Nothing in it has been executed, so that the same report gives the same file. It needs pandas, pyarrow and altair.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chipwire.reports.answer import verdict
from chipwire.reports.collect import RunReport
from chipwire.reports.markdown import escape

_READ = """\
import altair as alt
import pandas as pd

equity = pd.read_parquet("equity.parquet")
equity["day"] = pd.to_datetime(equity["day"])
fills = pd.read_parquet("fills.parquet")
unfilled = pd.read_parquet("unfilled.parquet")
positions = pd.read_parquet("positions.parquet")
alt.data_transformers.disable_max_rows();"""

_FIGURES = """\
curve = pd.concat([pd.Series([CAPITAL]), equity["equity"]], ignore_index=True)
returns = curve.pct_change().dropna()
figures = pd.Series({
    "total return": curve.iloc[-1] / curve.iloc[0] - 1,
    "annual volatility": returns.std(ddof=1) * 252**0.5,
    "Sharpe ratio": returns.mean() / returns.std(ddof=1) * 252**0.5,
    "maximum drawdown": equity["drawdown"].min(),
    "costs": equity["costs"].sum() + equity["borrow"].sum(),
})
figures"""

_EQUITY = """\
lines = equity[["day", "equity", *(c for c in equity if c.startswith("benchmark "))]]
alt.Chart(lines.melt("day", var_name="what", value_name="value").dropna()).mark_line().encode(
    x="day:T", y=alt.Y("value:Q", title=CURRENCY, scale=alt.Scale(zero=False)), color="what:N",
).properties(width=700, height=300).interactive()"""

_DRAWDOWN = """\
alt.Chart(equity).mark_area().encode(
    x="day:T", y=alt.Y("drawdown:Q", axis=alt.Axis(format="%")),
).properties(width=700, height=150)"""

_MONTHS = """\
day = equity["day"].dt
last = equity.groupby([day.year.rename("year"), day.month.rename("month")])["equity"].last()
months = last / last.shift(fill_value=CAPITAL) - 1
months.unstack().style.format("{:+.1%}", na_rep="")"""

_TRADES = """\
closed = fills[fills["realized"] != 0].sort_values("realized", ascending=False)
closed[["fill_no", "session", "instrument", "shares", "realized", "title"]].head(10)"""

_ATTRIBUTION = """\
attribution = pd.read_parquet("attribution.parquet")
attribution.set_index(["by", "line"])[["price", "fx", "costs", "other", "total"]].style.format("{:,.2f}")"""

_LINEAGE = """\
lineage = pd.read_parquet("lineage.parquet")
lineage.groupby("fate")["headline_id"].nunique().sort_values(ascending=False)"""


def render_notebook(report: RunReport, tables: Sequence[str]) -> str:
    """Return the notebook, nbformat 4.5, as JSON text.

    Parameters
    ----------
    tables : sequence of str
        Names of the Parquet files beside it; ``lineage`` may be missing.
    """
    run, metrics = report.run, report.metrics
    facts = f"CAPITAL = {run.capital!r}\nCURRENCY = {run.currency!r}"
    cells = [
        _text(f"# {escape(run.strategy)}, {metrics.first_day} to {metrics.last_day}\n\n{escape(verdict(report))}\n\n"
              f"Run {run.run_id} of chipwire {run.code_version}, data {run.data_fingerprint}."),
        _code(f"{facts}\n\n{_READ}"),
        _text("## Figures"), _code(_FIGURES),
        _text("## Equity and benchmarks"), _code(_EQUITY),
        _text("## Drawdown"), _code(_DRAWDOWN),
        _text("## Months"), _code(_MONTHS),
        _text("## Where the profit came from"), _code(_ATTRIBUTION),
        _text("## Best trades"), _code(_TRADES),
    ]  # fmt: skip
    if "lineage" in tables:
        cells += [_text("## What was done with the headlines\n\nA headline counts under each fate that it met."),
                  _code(_LINEAGE)]  # fmt: skip
    book = {
        "cells": [{**cell, "id": f"cell-{place:02}"} for place, cell in enumerate(cells, 1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(book, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
            "source": source.splitlines(keepends=True)}  # fmt: skip
