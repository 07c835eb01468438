"""Prove a strategy quickly, in this process: the same twice, blind to what comes later, its set-wise form as `decide`.

The nets are those of the audit (`chipwire.engine.validation.audit`), which goes on where this ends: copies of the
warehouse, processes of their own, files, the clock, and the data itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chipwire.data.errors import NothingToDo, counted
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.market import load_market
from chipwire.engine.settings import Settings
from chipwire.engine.validation.audit_jobs import run_live
from chipwire.engine.validation.audit_live import How
from chipwire.engine.validation.audit_setwise import compare_setwise
from chipwire.engine.validation.audit_trace import Difference, RunData, Trace, differences, run_traced
from chipwire.engine.view import load_signals
from chipwire.signals.build import resolve_model
from chipwire.signals.linking import Linker
from chipwire.strategies.base import Strategy


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    check : str
        ``runs``, ``deterministic``, ``look-ahead`` or ``set-wise``.
    result : str
        ``ok``, ``bad``, or ``none``: there was nothing to check.
    detail : str
        One line.
    """

    check: str
    result: str
    detail: str


def check_strategy(
    make: Callable[[], Strategy],
    warehouse: Warehouse,
    universe: Universe,
    settings: Settings,
    *,
    model: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Run a strategy's checks.

    Parameters
    ----------
    make : callable
        Returns a new instance, with the same parameters each time.

    Raises
    ------
    NothingToDo, UnknownName, DomainError
        There is no data to check it on; see `load_market` and `resolve_model`.
    """
    data = _load(make(), warehouse, universe, settings, model)
    steps = 5
    done = iter(range(1, steps + 1))

    def advance() -> None:
        if on_progress:
            on_progress(next(done), steps)

    first = run_traced(make(), data)
    advance()
    if first.error:
        return [Finding("runs", "bad", first.error)]
    decisions = sum(len(venue.decide_at) - venue.first for venue in data.market.venues)
    findings = [Finding("runs", "ok", f"{counted(decisions, 'decision')}, {counted(len(first.targets), 'target')}")]
    findings.append(_deterministic(first, run_traced(make(), data)))
    advance()
    findings.append(_look_ahead(make, data, first, decisions, advance))
    (row,), _ = compare_setwise(make(), data, first)
    findings.append(Finding(row[0], "bad" if row[1] == "leak" else row[1], row[2]))
    advance()
    return findings


def _load(
    strategy: Strategy, warehouse: Warehouse, universe: Universe, settings: Settings, model: str | None
) -> RunData:
    market = load_market(warehouse, universe, settings)
    book = None
    if strategy.reads_signals:
        book = load_signals(warehouse, settings, resolve_model(warehouse, model), Linker(universe).id)
        if not len(book):
            raise NothingToDo(
                f"there are no signals that {settings.start} to {settings.end} could see",
                "build them with 'chipwire signals', or choose another span",
            )
    issuers = {symbol: universe.instrument(symbol).issuer for symbol in market.symbols}
    return RunData(market, book, issuers, settings)


def _deterministic(first: Trace, second: Trace) -> Finding:
    if second.error:
        return Finding("deterministic", "bad", f"the second run failed: {second.error}")
    if found := differences(first, second):
        return Finding("deterministic", "bad", f"two runs differ: {_told(found[0])}")
    return Finding("deterministic", "ok", "two runs ask for the same")


def _look_ahead(
    make: Callable[[], Strategy], data: RunData, first: Trace, decisions: int, advance: Callable[[], None]
) -> Finding:
    ways: tuple[How, ...] = ("cut", "scrambled")
    words: list[str] = []
    for how in ways:
        differing = differences(first, run_live(make(), data, "backtrader", how))
        words += [f"with all later rows {how} it asks for something else: {_told(each)}" for each in differing[:1]]
        advance()
    if words:
        return Finding("look-ahead", "bad", words[0])
    if not decisions:
        return Finding("look-ahead", "none", "there are no decisions")
    told = f"all later rows cut or scrambled change nothing at {counted(decisions, 'decision')}"
    return Finding("look-ahead", "ok", told)


def _told(found: Difference) -> str:
    values = [value if isinstance(value, str) else "no order" if value is None else f"{value:g}"
              for value in (found.before, found.after)]  # fmt: skip
    return f"{values[0]} and {values[1]} for {found.instrument} at the decision of {found.at:%Y-%m-%d %H:%M} UTC"
