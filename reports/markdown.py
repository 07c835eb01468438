"""The report as Markdown: the answer, figures, benchmarks, months, costs, the best and worst trades, how to repeat it.

Foreign text stands in it as text: every character that Markdown, HTML or a table gives a meaning is escaped, and what a
spreadsheet would run as a formula gets a quote in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from chipwire.reports.answer import believed, five_figures, verdict
from chipwire.reports.collect import RunReport
from chipwire.reports.lineage import counts
from chipwire.reports.lineage import words as fate_words
from chipwire.reports.values import MISSING, defused, money, number, one_line, percent, safe_url

TRADES = 10
"""So many of the best and of the worst trades are shown."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP = re.compile(r"[\\`*_\[\]#~$|@^]|:(?=//)|(?<=[wW]{3})\.")
"""Escaped with a backslash; ``://``, ``@`` and ``www.`` too, of which some readers of Markdown make links."""


def escape(text: Any) -> str:
    """Return foreign text that Markdown shows as it is: one line, without markup, link or formula."""
    return _quoted(defused(one_line("" if text is None or text != text else str(text))))


def _quoted(line: str) -> str:
    plain = "".join(_ENTITIES.get(c, c) for c in line)
    return _MARKUP.sub(lambda found: "\\" + found[0], plain)


def render_markdown(
    report: RunReport, lineage: pd.DataFrame | None = None, words: Sequence[str] = ("chipwire",)
) -> str:  # fmt: skip
    """Return ``report.md``; the same report gives the same text.

    Parameters
    ----------
    lineage : DataFrame, optional
        From `chipwire.reports.lineage.fates`; without it nothing is said of what was done with the headlines.
    words : sequence of str
        With which each command begins.
    """
    return "\n".join(_lines(report, lineage, words)) + "\n"


def _lines(report: RunReport, lineage: pd.DataFrame | None, words: Sequence[str]) -> Iterator[str]:
    metrics, run = report.metrics, report.run
    yield f"# {escape(run.strategy)}, {metrics.first_day} to {metrics.last_day}"
    yield ""
    yield escape(verdict(report))
    yield ""
    yield escape(believed(report, words))
    yield from _part("Figures", ("Figure", "Value"), _figures(report))
    marks: list[tuple[str, ...]] = [
        (b.instrument, b.name, _Ready(percent(b.total_return)), b.basis) for b in report.benchmarks
    ]
    marks += [(name, "", MISSING, why) for name, why in report.missing]
    yield from _part("Benchmarks", ("Instrument", "Name", "Return", "Basis"), marks)
    yield from _part("Months", ("Year", *_MONTHS), _months(report))
    for by in ("theme", "issuer"):
        lines = _profit(report, by)
        yield from _part(f"Profit by {by}", ("Line", "Price", "FX", "Costs", "Other", "Total"), lines)
    yield from _part("Costs", ("Venue", "Kind", "Local", f"In {run.currency}"), _costs(report))
    for title, trades in _trades(report):
        yield from _part(title, ("Fill", "Day", "Instrument", "Shares", "Realized", "Headline"), trades)
    missed = [(reason.replace("_", " "), f"{orders:,}") for reason, orders in _tuples(report.reasons)]
    yield from _part("Orders not filled in full", ("Reason", "Orders"), missed)
    if lineage is not None:
        rows = [
            (fate_words(row["fate"]), row["reason"], f"{row['headlines']:,}", row["meaning"]) for row in counts(lineage)
        ]
        yield from _part("What was done with the headlines", ("Fate", "Reason", "Headlines", "Meaning"), rows)
    if report.warnings:
        yield ""
        yield "## What to know"
        yield ""
        yield from (f"- {escape(line)}" for line in report.warnings)
    yield from _repeat(report, words)


def _part(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield a heading and a table; nothing where there is no row. `Link` cells are escaped already."""
    cells = [[cell if isinstance(cell, _Ready) else escape(cell) for cell in row] for row in rows]
    if not cells:
        return
    yield from ("", f"## {title}", "")
    for line in (list(map(escape, heads)), ["---"] * len(heads), *cells):
        yield f"| {' | '.join(line)} |"


class _Ready(str):
    """Text that is Markdown already."""

    __slots__ = ()


def _figures(report: RunReport) -> list[tuple[str, _Ready]]:
    """Return label and value; a sign in front of a value is a number's and not a formula's."""
    m = report.metrics
    further = [
        ("Annual return", percent(m.annual_return)),
        ("Annual volatility", percent(m.annual_volatility, signed=False)),
        ("Sortino ratio", number(m.sortino)),
        ("Calmar ratio", number(m.calmar)),
        ("Hit rate", percent(m.hit_rate, signed=False)),
        ("Profit factor", number(m.profit_factor)),
        ("Turnover a year", number(m.turnover)),
        ("Mean exposure", percent(m.mean_exposure, signed=False)),
        ("Trades", f"{m.n_fills:,}"),
    ]
    return [(label, _Ready(_quoted(value))) for label, value in (*five_figures(report), *further)]


def _months(report: RunReport) -> list[list[str]]:
    years: dict[int, list[str]] = {}
    for year, month, change in _tuples(report.monthly):
        years.setdefault(int(year), [_Ready("")] * 12)[int(month) - 1] = _Ready(percent(change))
    return [[str(year), *months] for year, months in years.items()]


def _costs(report: RunReport) -> list[tuple[str, str, str, str]]:
    return [
        (venue or "all", kind, money(amount, currency, 2), number(base, 2))
        for venue, currency, kind, amount, base in _tuples(
            report.costs[["venue", "currency", "kind", "amount", "amount_base"]]
        )
    ]


def _profit(report: RunReport, by: str) -> list[tuple[str, ...]]:
    """Return the lines of one division of the profit and their sum, in base currency to the cent."""
    part = report.attribution[report.attribution["by"] == by]
    amounts = part[["price", "fx", "costs", "other", "total"]]
    rows = [*zip(part["line"], amounts.to_numpy().tolist(), strict=True), ("all", amounts.sum().tolist())]
    return [(name, *(_Ready(number(value, 2)) for value in values)) for name, values in rows] if len(part) else []


def _trades(report: RunReport) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield the trades that brought most and those that lost most, each with its first headline."""
    first = report.causes.drop_duplicates("fill_no").set_index("fill_no")
    done = report.fills[report.fills["realized"] != 0]
    ranked = done.sort_values(["realized", "fill_no"], ascending=[False, True])
    gains, losses = ranked[ranked["realized"] > 0], ranked[ranked["realized"] < 0][::-1]
    for title, part in (("Best trades", gains), ("Worst trades", losses)):
        yield title, [
            (
                fill.fill_no, fill.session, fill.instrument, _Ready(f"{fill.shares:,}"),
                _Ready(number(fill.realized)), _headline(first, fill.fill_no),
            )
            for fill in _rows(part.head(TRADES))
        ]  # fmt: skip


def _headline(first: pd.DataFrame, fill_no: int) -> _Ready:
    if fill_no not in first.index:
        return _Ready("")
    cause = first.loc[fill_no]
    title = cause["title"] if isinstance(cause["title"], str) else cause["headline_id"]
    url = safe_url(cause["url"])
    if url is None:
        return _Ready(escape(title))
    from urllib.parse import quote

    return _Ready(f"[{escape(title)}](<{quote(url, safe=_IN_URL)}>)")


_IN_URL = ":/?#@!$&'*+,;=%-._~"


def _repeat(report: RunReport, words: Sequence[str]) -> Iterator[str]:
    from chipwire.reports.html import repeat_command  # altair costs a second

    run = report.run
    yield from ("", "## How to repeat it", "", "```sh")
    yield one_line(repeat_command(run, words)).replace("`", "'")
    yield "```"
    yield from ("", f"Run {run.run_id} of chipwire {run.code_version}, engine {run.engine}, data {run.data_fingerprint}"
                + (f", model {escape(run.model_name)} ({run.model_id})." if run.model_id else "."))  # fmt: skip


def _rows(frame: pd.DataFrame) -> Iterable[Any]:
    """Return the rows as named tuples, whose fields no type checker can know."""
    return frame.itertuples(index=False)


def _tuples(frame: pd.DataFrame) -> Iterable[tuple[Any, ...]]:
    return frame.itertuples(index=False, name=None)
