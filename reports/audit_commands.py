"""The command ``audit``; ``cli.py`` takes it in."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from chipwire.data.errors import DomainError, counted
from chipwire.reports.app import App, name_list, pair, pass_app
from chipwire.reports.strategy_commands import settings_of, warehouse_or_demo
from chipwire.reports.terminal import print_table

if TYPE_CHECKING:
    from datetime import datetime

    from chipwire.engine.validation.audit import AuditReport
    from chipwire.engine.validation.audit_data import DataFinding

_SHOWN = 20


@click.command()
@click.argument("strategy", metavar="NAME|FILE.py:CLASS")
@click.option("-p", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy.")
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help="First session [default: a year before the end].")
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), help="Last session [default: that of the last bar].")
@click.option("--capital", type=float, default=1_000_000, show_default=True)
@click.option("--currency", default="USD", show_default=True, help="Base currency.")
@click.option("--fill", type=click.Choice(["open", "close"]), default="open", show_default=True)
@click.option("--interval", default="1d", show_default=True, help="Of the bars traded on: 1d, 1h, 30m, ...")
@click.option("--instruments", help="Comma-separated [default: all shares with bars in the span].")
@click.option("--leverage", type=float, default=1.0, show_default=True, help="Largest gross exposure over equity.")
@click.option("--latency-minutes", type=float, default=0.0, show_default=True, help="News is known so much later.")
@click.option("--cutoff-minutes", type=float, help="Decide so long before the auction [default: the venue's own].")
@click.option("--model", help="Model id or name [default: the one that scored last].")
@click.option("--engine", type=click.Choice(["backtrader", "columnar"]), default="backtrader", show_default=True)
@click.option("--moments", type=click.IntRange(0, 1000), default=8, show_default=True,
              help="At how many moments a copy of the warehouse is cut.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other moments.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@pass_app
def audit(
    app: App, /, strategy: str, params: tuple[str, ...], start: datetime | None, end: datetime | None,
    instruments: str | None, model: str | None, engine: str, moments: int, seed: int, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Look for look-ahead: does anything change when what came later is cut, or false?

    Every decision is made again with nothing later there, and with all that came later false; copies of the warehouse
    are cut and falsified at some moments; files, clock and memory are watched; the data itself is examined.
    The exit code is 1 when something leaks.

    Example: chipwire audit theme-momentum -p top_k=3 --start 2024-07-01 --end 2025-06-30
    """
    from chipwire.engine.validation.audit import audit_strategy
    from chipwire.engine.validation.audit_data import audit_data
    from chipwire.engine.validation.audit_jobs import Request
    from chipwire.signals.build import resolve_model
    from chipwire.strategies.registry import make_strategy

    values = dict(pair(text, "-p") for text in params)
    names = () if instruments is None else name_list(instruments, "instruments")
    kind = make_strategy(strategy, values)
    with warehouse_or_demo(app, "audit", signals=kind.reads_signals) as warehouse:
        settings = settings_of(warehouse, start, end, names, given, days=365)
        model_id = resolve_model(warehouse, model) if kind.reads_signals else None
        request = Request(strategy, values, engine, settings, model_id, app.universe_folder, warehouse.path)
        with redirect_stdout(sys.stderr):
            with app.progress("auditing") as advance:
                report = audit_strategy(request, app.universe(), moments=moments, seed=seed, on_progress=advance)
            data = audit_data(warehouse, app.universe(), settings, model_id)
    if as_json:
        click.echo(json.dumps(_plain(report, data), indent=2, ensure_ascii=False))
    else:
        _print(app, report, data)
    bad = [leak.detail for leak in report.leaks] + [
        f"{row.check}: {row.detail}" for row in data if row.result == "leak"
    ]
    if bad:
        raise DomainError(f"strategy '{kind.name}' leaks ({len(bad)} found); the first: {bad[0]}")


def _print(app: App, report: AuditReport, data: list[DataFinding]) -> None:
    rows = [asdict(check) | {"check": check.name} for check in report.checks]
    rows += [{"check": f"data: {row.check}", "result": row.result, "detail": row.detail} for row in data]
    print_table(rows, ("check", "result", "detail"), "table")
    for leak in report.leaks[:_SHOWN]:
        more = f" (and {leak.more:,} more)" if leak.more else ""
        click.echo(f"leak: {leak.check}: {leak.detail}{more}")
    app.say(_sentence(report))


def _sentence(report: AuditReport) -> str:
    kinds = ", ".join(f"{len(found):,} {kind}" for kind, found in report.moments.risky.items())
    chosen = report.moments
    return (
        f"{counted(report.decisions, 'decision')}, {counted(report.targets, 'target')}, "
        f"{counted(report.orders, 'order')}; risky among them: {kinds or 'none'}; "
        f"warehouse cut at {counted(len(chosen.chosen), 'moment')}, of them {chosen.drawn} drawn"
    )


def _plain(report: AuditReport, data: list[DataFinding]) -> dict[str, Any]:
    moments = report.moments
    return {
        "strategy": report.strategy,
        "decisions": report.decisions,
        "targets": report.targets,
        "orders": report.orders,
        "moments": {
            "risky": {kind: len(found) for kind, found in moments.risky.items()},
            "cut": [moment.isoformat() for moment in moments.chosen],
            "drawn": moments.drawn,
        },
        "checks": [asdict(check) for check in report.checks],
        "leaks": [asdict(leak) | {"at": leak.at and leak.at.isoformat()} for leak in report.leaks],
        "data": [asdict(row) for row in data],
    }
