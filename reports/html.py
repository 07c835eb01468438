"""One offline page: the answer, the charts, every fill with its headline, and what it takes to repeat it.

The page's policy is ``default-src 'none'`` with hashes of its own script and style. Vega needs no exception:
its expressions are parsed to trees and walked by an interpreter (``ast: true``). Foreign text reaches the
page in two ways only: through autoescaping, or as JSON that the script puts into text nodes. The same report
gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import altair as alt
import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup, escape

from chipwire import __version__
from chipwire.reports import charts
from chipwire.reports.answer import ENOUGH_TRADES, five_figures, verdict
from chipwire.reports.collect import RunInfo, RunReport
from chipwire.reports.metrics import COST_KINDS
from chipwire.reports.tables import fills_table, unfilled_table
from chipwire.reports.values import money, number, percent, plain

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHADES = (0.02, 0.05)
"""Size of a month's return at which its cell takes the next darker shade."""


def render_html(report: RunReport) -> str:
    """Return the page of a run.

    Parameters
    ----------
    report : RunReport
        From `chipwire.reports.collect.collect`.

    Returns
    -------
    str
        A whole HTML document without any address of its own; about 1 MB, of which 0.9 MB draw the charts.
    """
    style, script, vega = _asset("report.css"), _asset("report.js"), _vega()
    policy = (
        f"default-src 'none'; script-src {_hash(vega)} {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return _template().render(
        policy=policy,
        style=Markup(style),  # noqa: S704 - our own file, as are the two below
        script=Markup(script),  # noqa: S704
        vega=Markup(vega),  # noqa: S704
        version=__version__,
        enough=ENOUGH_TRADES,
        report=report,
        run=report.run,
        metrics=report.metrics,
        currency=report.run.currency,
        verdict=verdict(report),
        figures=five_figures(report),
        further=_further(report),
        legend=charts.legend(report),
        charts=script_json({"equity": charts.equity_chart(report), "drawdown": charts.drawdown_chart(report)}),
        months=_MONTHS,
        years=_years(report),
        fills=script_json(fills_table(report)),
        unfilled=script_json(unfilled_table(report)),
        costs=_costs(report),
        cost_kinds=COST_KINDS,
        holdings=_holdings(report),
        reasons=report.reasons.to_dict("records"),
        settings=_flat(report.run.settings),
        parameters=_flat(report.run.params),
        command=repeat_command(report.run),
    )


def script_json(value: Any) -> Markup:
    """Return JSON that can stand in a script element: no ``<``, ``>``, ``&`` and no line separators in it."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped just above


def repeat_command(run: RunInfo) -> str:
    """Return the command line that makes the run again from the same warehouse."""
    words = ["chipwire", "backtest", run.strategy]
    for name, value in run.params.items():
        words += ["-p", f"{name}={json.dumps(value) if isinstance(value, bool) else value}"]
    for name, value in run.settings.items():
        if value not in (None, []) and not isinstance(value, Mapping):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    if run.model_id:
        words += ["--model", run.model_id]
    return shlex.join(words)


# --- the page's own parts --------------------------------------------------------------------------------


def _asset(name: str) -> str:
    return resources.files("chipwire.reports.templates").joinpath(name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, of the version that altair writes for."""
    version = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["minus"] = _minus
    environment.filters["dates"] = _dates
    environment.filters["percent"] = lambda value, **options: _minus(percent(value, **options))
    environment.filters["number"] = lambda value, digits=2: _minus(number(value, digits))
    environment.filters["money"] = lambda value, currency: _minus(money(value, currency))
    return environment.from_string(_asset("report.html.j2"))


def _minus(text: str) -> str:
    """Return a number's text with a true minus sign, which is as wide as the plus."""
    return text.replace("-", "\N{MINUS SIGN}")


def _dates(text: str) -> Markup:
    """Return escaped text whose ISO dates do not break at the end of a line."""
    return Markup(re.sub(r"\b\d{4}-\d\d-\d\d\b", r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704


# --- what the template shows -----------------------------------------------------------------------------


def _further(report: RunReport) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of the figures below the first five."""
    m = report.metrics
    length = f"{'compound, over' if m.years >= 1 else 'extrapolated from'} {number(m.years)} years"
    return [
        ("Annual return", percent(m.annual_return), length),
        ("Annual volatility", percent(m.annual_volatility, signed=False), "of daily returns, 252 days"),
        ("Sortino ratio", number(m.sortino), "mean over downside deviation, target zero"),
        ("Calmar ratio", number(m.calmar), "annual return over maximum drawdown"),
        ("Hit rate", percent(m.hit_rate, signed=False), f"of {m.n_closed:,} closing trades, after costs"),
        ("Profit factor", number(m.profit_factor), "sum of profits over sum of losses"),
        ("Turnover", f"{number(m.turnover)} a year", "half of what was bought and sold over mean equity"),
        ("Mean exposure", percent(m.mean_exposure, signed=False), "gross position value over equity"),
    ]


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
