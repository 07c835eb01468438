"""Charts without a time axis, as Vega-Lite specifications: signal quality, placebos, fragility.

A panel is ``{"spec": ..., "choices": [{"label": ..., "rows": {key: [...], ...}}, ...]}``: the page's script draws the
rows of the choice that the reader makes, the first one to begin with. Colours are the page's CSS variables, see
`chipwire.reports.charts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from chipwire.data.errors import counted
from chipwire.reports.charts import configured
from chipwire.reports.check_lines import CHANGES, KINDS
from chipwire.reports.check_section import changed
from chipwire.reports.signal_quality import SignalQuality

_HEIGHT = 220
_BINS = 40
_DIGITS = 5
_RETURN_AXIS = "~%"


# --- signal quality --------------------------------------------------------------------------------------


def ic_panel(quality: SignalQuality) -> dict[str, Any]:
    """Return rank correlations by horizon, with the choice of abnormal returns or those in own currency."""
    choices = []
    for returns in ("abnormal", "own currency"):
        part = quality.ic[quality.ic["returns"] == returns]
        rows = {
            "x": [str(int(n)) if n else "same" for n in part["horizon"]],
            **_numbers(part, ("ic", "low", "high", "step_ic", "days")),
        }
        choices.append(
            {"label": f"{returns} return" if returns == "abnormal" else "return in own currency", "rows": rows}
        )
    tips = [_tip("x", "Sessions held"), _tip("ic", "Rank correlation", "+.3f"), _tip("low", "95% from", "+.3f"),
            _tip("high", "to", "+.3f"), _tip("step_ic", "Since the horizon before", "+.3f"),
            _tip("days", "Dates", ",")]  # fmt: skip
    return _panel(
        _bars("x", "ic", "sessions held, or the same to its close", "~g", tips),
        "Rank correlation of signal and return by horizon.",
        choices,
    )


def quantile_panel(quality: SignalQuality) -> dict[str, Any]:
    """Return mean abnormal returns by quantile of the signal, with the choice of a horizon."""
    choices, count = [], 0 if quality.quantiles.empty else quality.quantile_count
    ends = {1: "low", count: "high"}
    for sessions in map(int, quality.quantiles["horizon"].unique()):
        part = quality.quantiles[quality.quantiles["horizon"] == sessions]
        spread = quality.spreads[quality.spreads["horizon"] == sessions]
        both = pd.concat([part, spread])
        names = [ends.get(int(number), str(number)) for number in part["quantile"]]
        rows = {"x": [*names, *["spread"] * len(spread)], **_numbers(both, ("mean", "low", "high", "observations"))}
        choices.append({"label": _over(sessions), "rows": rows})
    tips = [_tip("x", "Signal"), _tip("mean", "Mean return", "+.2%"), _tip("low", "95% from", "+.2%"),
            _tip("high", "to", "+.2%"), _tip("observations", "Observations", ",")]  # fmt: skip
    start = next((n for n, sessions in enumerate(quality.quantiles["horizon"].unique()) if sessions == 1), 0)
    layers = _bars("x", "mean", "signal on its date, and high less low", _RETURN_AXIS, tips)
    return _panel(layers, "Mean abnormal return by signal.", choices) | {"start": start}


def path_panel(quality: SignalQuality) -> dict[str, Any]:
    """Return average abnormal returns around events, with the choice of a group."""
    choices = []
    used = {(kind, name): n for kind, name, n in quality.reactions[["kind", "name", "used"]].itertuples(index=False)}
    for (kind, name), part in quality.paths.groupby(["kind", "name"], sort=False):
        if kind != "all" and used[kind, name] == used["all", "all"]:
            continue  # the same events again
        what = "all events" if kind == "all" else f"{kind} {str(name).replace('_', ' ')}"
        # On day 0 the mean is 0 for every event: its band has no width.
        ends = {end: part[end].where(part["session"] != 0, 0.0) for end in ("low", "high")}
        rows = _numbers(part.assign(**ends), ("session", "mean", "low", "high", "events"))
        choices.append({"label": f"{what} ({used[kind, name]:,})", "rows": rows})
    tips = [_tip("session", "Session"), _tip("mean", "Mean return", "+.2%"), _tip("low", "95% from", "+.2%"),
            _tip("high", "to", "+.2%"), _tip("events", "Events", ",")]  # fmt: skip
    axis = alt.Axis(title="sessions from the first auction after the news", tickMinStep=1, grid=False)
    x = alt.X("session:Q", axis=axis, scale=alt.Scale(nice=False))
    y = alt.Y("mean:Q", axis=_axis(_RETURN_AXIS))
    rows_ = _rows()
    layers = [
        rows_.mark_area(color="var(--line-0)", opacity=0.18, aria=False).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        rows_.mark_line(color="var(--line-0)", strokeWidth=1.8, aria=False).encode(x=x, y=y),
        rows_.mark_point(color="var(--line-0)", filled=True, size=36, opacity=1, aria=False).encode(x=x, y=y),
        rows_.mark_rule(color="var(--muted)", strokeDash=[3, 3], aria=False)
        .transform_filter("datum.session === 0")
        .encode(x=x),
        rows_.mark_rule(strokeWidth=14, opacity=0, aria=False).encode(x=x, tooltip=tips),
    ]
    return _panel(layers, "Average abnormal return around events.", choices, height=260)


def _over(sessions: int) -> str:
    return f"over {counted(sessions, 'session')}" if sessions else "to the end of the same session"


# --- the check of a run ----------------------------------------------------------------------------------


def placebo_panel(placebos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the results on mixed-up news as a histogram with the real one marked, by kind of placebo."""
    choices = []
    for test in placebos:
        counts, edges = np.histogram([*test["values"], *_known(test["real"])], bins=_BINS)
        counts, edges = np.histogram(test["values"], bins=edges)
        rows = {"from": [*_short(edges[:-1]), None], "to": [*_short(edges[1:]), None],
                "count": [*map(int, counts), None], "real": [*[None] * len(counts), test["real"]]}  # fmt: skip
        p = "" if test["p_value"] is None else f", p = {test['p_value']:.2g}"
        choices.append({"label": f"{KINDS[test['kind']]}: {len(test['values']):,}{p}", "rows": rows})
    x = alt.X(
        "from:Q", axis=alt.Axis(title="Sharpe ratio", format="~g", tickCount=8, grid=False), scale=alt.Scale(zero=False)
    )
    tips = [_tip("from", "Sharpe from", ".2f"), _tip("to", "to", ".2f"), _tip("count", "Placebos", ",")]
    height = alt.Y("count:Q", axis=_axis(",d"))
    bars = _rows().mark_bar(color="var(--line-5)", opacity=0.55, binSpacing=1, aria=False)
    rule = _rows().mark_rule(color="var(--line-1)", strokeWidth=2.5, aria=False)
    name = _rows().mark_text(
        text="the run", color="var(--line-1)", align="left", dx=6, y=8, fontSize=12, fontWeight=600, aria=False
    )
    is_bar, is_real, real = "datum.from != null", "datum.real != null", alt.X("real:Q")
    layers = [
        bars.transform_filter(is_bar).encode(x=x, x2="to:Q", y=height, y2=alt.Y2Datum(0), tooltip=tips),
        rule.transform_filter(is_real).encode(x=real, tooltip=[_tip("real", "The run itself", ".2f")]),
        name.transform_filter(is_real).encode(x=real),
    ]
    return _panel(layers, "How often mixed-up news gave which Sharpe ratio, and the run's own.", choices)


def fragility_panel(fragility: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dot for the total return of each variant in a line for each kind of change, and the run as a rule."""
    base = fragility["base"]["total_return"]
    shown = changed(fragility)
    lines = [CHANGES[name] for name in CHANGES if any(one["change"] == name for one in shown)]
    rows = {
        "change": [CHANGES[one["change"]] for one in shown], "label": [one["label"] for one in shown],
        "value": _short(one["total_return"] for one in shown), "base": [base] * len(shown),
    }  # fmt: skip
    x = alt.X("value:Q", axis=alt.Axis(title="total return", format=_RETURN_AXIS, tickCount=6))
    y = alt.Y("change:N", sort=lines, axis=alt.Axis(title=None, labelLimit=220, ticks=False, domain=False, grid=True))
    tips = [_tip("label", "Change"), _tip("value", "Total return", "+.1%")]
    told = [_tip("base", "The run itself", "+.1%")]
    zero = _rows().mark_rule(color="var(--muted)", strokeDash=[3, 3], aria=False)
    run = _rows().mark_rule(color="var(--line-1)", strokeWidth=2, aria=False)
    dots = _rows().mark_point(color="var(--line-0)", filled=True, size=60, opacity=0.7, aria=False)
    layers = [
        zero.transform_aggregate(rows="count()").encode(x=alt.XDatum(0)),
        run.transform_aggregate(base="min(base)").encode(x=alt.X("base:Q"), tooltip=told),
        dots.encode(x=x, y=y, tooltip=tips),
    ]
    return _panel(layers, "Total return of each changed run.", [{"label": "", "rows": rows}], height=30 * len(lines))


# --- parts -----------------------------------------------------------------------------------------------


def _rows() -> alt.Chart:
    return alt.Chart(alt.NamedData(name="rows"))


def _tip(key: str, title: str, form: str = "") -> alt.Tooltip:
    kind = "Q" if form else "N"
    return alt.Tooltip(f"{key}:{kind}", title=title, format=form) if form else alt.Tooltip(f"{key}:{kind}", title=title)


def _axis(form: str) -> alt.Axis:
    return alt.Axis(title=None, format=form, tickCount=6, minExtent=44)


def _bars(x: str, y: str, title: str, form: str, tips: list[alt.Tooltip]) -> list[alt.Chart]:
    """Return bars with their 95% bands."""
    across = alt.X(f"{x}:N", sort=None, axis=alt.Axis(title=title, labelAngle=0, ticks=False, labelOverlap=False))
    bars = _rows().mark_bar(color="var(--line-0)", opacity=0.45, aria=False)
    bands = _rows().mark_rule(color="var(--ink)", strokeWidth=1.5, aria=False)
    return [
        bars.encode(x=across, y=alt.Y(f"{y}:Q", axis=_axis(form)), tooltip=tips),
        bands.encode(x=across, y=alt.Y("low:Q"), y2="high:Q", tooltip=tips),
    ]


def _panel(
    layers: Sequence[alt.Chart], description: str, choices: Sequence[Mapping[str, Any]], *, height: int = _HEIGHT
) -> dict[str, Any]:
    chart = alt.layer(*layers).properties(width="container", height=height, description=description)
    return {"spec": configured(chart).to_dict(validate=False), "choices": list(choices)}


def _numbers(part: pd.DataFrame, names: Iterable[str]) -> dict[str, list[float | int | None]]:
    return {name: _short(part[name]) for name in names}


def _short(values: Iterable[float]) -> list[float | int | None]:
    """Return numbers as short as a chart needs them; None for NaN."""
    found = (round(float(value), _DIGITS) if math.isfinite(value) else None for value in values)
    return [int(value) if value is not None and value == int(value) else value for value in found]


def _known(value: float | None) -> list[float]:
    return [] if value is None else [value]
