"""The command ``quality``: how good a run's signals are, on the terminal, as JSON or as csv."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from chipwire.data.errors import NothingToDo, counted
from chipwire.reports.app import App, listing, pass_app
from chipwire.reports.terminal import Column, print_table
from chipwire.reports.values import number, percent

if TYPE_CHECKING:
    from chipwire.reports.signal_quality import SignalQuality

_METHODS = {
    "daily": "across the instruments of each date",
    "pooled": "over all dates and instruments together, since most dates have fewer than five",
}
_SPANS = {
    "missed": "missed", "same_session": "same session", "after_1": "1 session", "after_5": "5 sessions",
    "after_10": "10 sessions",
}  # fmt: skip


@click.command()
@click.argument("run", default="latest")
@listing
@pass_app
def quality(app: App, run: str, fmt: str) -> None:
    """Show how good the signals of a run are: what prices did after them, when, and how many there are.

    Example: chipwire quality latest --json
    """
    from chipwire.reports.collect import resolve_run, run_info
    from chipwire.reports.signal_quality import quality_of_run

    with app.open("quality") as warehouse:
        asked = run_info(warehouse, resolve_run(warehouse, run))
        found = quality_of_run(warehouse, app.universe(), asked.settings, asked.params, asked.model_id)
    if found is None:
        step = "choose a run of one that does (see 'chipwire runs list')"
        raise NothingToDo(f"the strategy '{asked.strategy}' of run {asked.run_id} reads no signals", step)
    if fmt == "json":
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2, allow_nan=False))
    elif fmt == "csv":
        _print_csv(found)
    else:
        _print(found)


def _print_csv(found: SignalQuality) -> None:
    """Print all tables as one; ``part`` says which, and what a part has no value for is empty."""
    rows = [{"part": name, **row} for name, table in found.tables.items() for row in table.to_dict("records")]
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    print_table(rows, columns, "csv")


def _print(found: SignalQuality) -> None:
    _print_returns(found)
    click.echo(
        f"\nWhat did prices do around the news, as it was read? (abnormal; missed: before the first {found.fill} that "
        "could be traded)"
    )
    shown = found.reactions[found.reactions["missed"].notna() | found.reactions["after_1"].notna()]
    columns = ["by", "name", "events", "overlapping", "unpriced", "used", "days", *_SPANS.values()]
    print_table([_reaction(row) for row in shown.to_dict("records")], columns)
    if few := len(found.reactions) - len(shown):
        said = counted(few, "group with fewer than five events is", "groups with fewer than five events are")
        click.echo(f"{said} in --json and --csv only")
    click.echo("\nHow much signal is there?")
    shares = [Column("with_signal", "with a signal", _share), Column("turnover", "changes a day", _share)]
    print_table(found.venues.to_dict("records"), ["venue", "instruments", "sessions", "benchmark", *shares, "events",
                Column("too_late", "too late")])  # fmt: skip
    click.echo("\nWhat became of the headlines?")
    print_table(found.coverage.to_dict("records"), ["step", "headlines", Column("share", "", _share)])


def _print_returns(found: SignalQuality) -> None:
    click.echo(f"Does the signal rank what follows? (rank correlation {_METHODS[found.method]})")
    figures = [Column(name, name, _three) for name in ("ic", "low", "high", "t")]
    step = [Column("step_ic", "since the last", _three), Column("step_t", "t", _three)]
    print_table(found.ic.to_dict("records"), ["returns", Column("horizon", "sessions"), *figures, *step,
                "observations", "days"])  # fmt: skip
    click.echo("\nWhat do the highest signals earn over the lowest? (abnormal returns by quantile of the signal)")
    by_horizon: dict[int, dict[str, Any]] = {}
    for row in found.quantiles.to_dict("records"):
        line = by_horizon.setdefault(row["horizon"], {"sessions": row["horizon"]})
        line[_quantile(row["quantile"], found.quantile_count)] = percent(row["mean"], digits=2)
    for row in found.spreads.to_dict("records"):
        by_horizon[row["horizon"]] |= {"top less bottom": _band(row), "t": row["t"], "days": row["days"]}
    rows = list(by_horizon.values())
    names = [_quantile(each + 1, found.quantile_count) for each in range(found.quantile_count)]
    print_table(rows, ["sessions", *names, "top less bottom", Column("t", "t", _three), "days"])


def _quantile(place: int, count: int) -> str:
    return {1: "lowest", count: "highest"}.get(place, f"{place} of {count}")


def _reaction(row: Mapping[Any, Any]) -> dict[str, Any]:
    spans = {label: _band(row, name, f"{name}_low", f"{name}_high") for name, label in _SPANS.items()}
    return {**row, "by": row["kind"], **spans}


def _band(row: Mapping[Any, Any], mean: str = "mean", low: str = "low", high: str = "high") -> str:
    """Return a mean with its band, ``+0.31% [-0.02, +0.63]``; the mean alone where there is no band."""
    if not math.isfinite(row[low]):
        return percent(row[mean], digits=2)
    ends = ", ".join(percent(row[end], digits=2).removesuffix("%") for end in (low, high))
    return f"{percent(row[mean], digits=2)} [{ends}]"


def _share(value: float) -> str:
    return percent(value, signed=False)


def _three(value: float) -> str:
    return number(value, 3)
