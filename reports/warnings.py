"""What the reader of a result has to know about it, as sentences; pure rules on figures that are already there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from chipwire.data.errors import counted
from chipwire.reports.values import money, percent

if TYPE_CHECKING:
    import pandas as pd

    from chipwire.reports.benchmarks import Benchmark
    from chipwire.reports.figures import RunInfo
    from chipwire.reports.metrics import Metrics

ENOUGH_TRADES = 30
"""Closed trades below which a hit rate says nothing: its standard error is still 9 points of per cent at
30."""
HEAVY_COSTS = 0.5
"""Part of the profit before costs from which on costs are said to eat it."""
MADE_BY_ONE = 0.5
"""Part of the profit from which on one trade is said to make it."""
STALE_AFTER_DAYS = 10
"""A benchmark whose last bar is older than this at the run's end is said to be stale (the longest holidays of
the three venues close them for nine days)."""
NAMED = 3
"""Instruments that a warning names; the others are counted."""


@dataclass(frozen=True)
class Gap:
    """Sessions of a run on which a traded instrument has no bar, of all its venue's sessions since its first bar."""

    instrument: str
    missing: int
    sessions: int


def warn_of_result(metrics: Metrics, trips: pd.DataFrame, gaps: Sequence[Gap], currency: str) -> tuple[str, ...]:
    """Return the warnings about a run's result, most important first.

    Parameters
    ----------
    trips : DataFrame
        See `chipwire.reports.attribution.Attribution`.
    currency : str
        Base currency, for amounts.
    """
    found = (
        few_trades(metrics),
        one_trade(metrics.final_equity - metrics.capital, trips, currency),
        heavy_costs(metrics, currency),
        missing_sessions(gaps),
    )
    return tuple(text for text in found if text)


def few_trades(metrics: Metrics) -> str | None:
    """Say that there are fewer than `ENOUGH_TRADES` closing trades, if there are any trades."""
    if not metrics.n_fills or metrics.n_closed >= ENOUGH_TRADES:
        return None
    many = f"only {counted(metrics.n_closed, 'trade')}" if metrics.n_closed else "no trade"
    return f"{many} closed or reduced a position: below {ENOUGH_TRADES} the hit rate and the ratios are mostly luck"


def one_trade(profit: float, trips: pd.DataFrame, currency: str) -> str | None:
    """Say that a gain would be a loss, or less than half, without its best trade, from opening to closing."""
    if not profit > 0 or trips.empty:
        return None
    best = trips.iloc[int(trips["profit"].argmax())]
    rest = profit - float(best["profit"])
    if rest > profit * (1 - MADE_BY_ONE):
        return None
    what = f"a loss of {money(-rest, currency)}" if rest < 0 else money(rest, currency)
    return (
        f"one trade makes the result: without {best['instrument']} {best['side']} from fill {best['first_fill']} on "
        f"({money(float(best['profit']), currency)}) the gain of {money(profit, currency)} would be {what}"
    )


def heavy_costs(metrics: Metrics, currency: str) -> str | None:
    """Say that costs took at least `HEAVY_COSTS` of what was made before them."""
    costs = metrics.costs["total"]
    profit = metrics.final_equity - metrics.capital
    before = profit + costs
    if before <= 0 or costs < HEAVY_COSTS * before:
        return None
    if profit < 0:
        return (
            f"costs of {money(costs, currency)} turned a gain of {money(before, currency)} into a loss of "
            f"{money(-profit, currency)}"
        )
    share = percent(costs / before, signed=False, digits=0)
    return f"costs took {share} of what was made before them: {money(costs, currency)} of {money(before, currency)}"


def missing_sessions(gaps: Sequence[Gap]) -> str | None:
    """Say on how many sessions traded instruments have no bar, those with the most first."""
    worst = sorted((gap for gap in gaps if gap.missing), key=lambda gap: (-gap.missing, gap.instrument))
    if not worst:
        return None
    named = [f"{gap.instrument} on {gap.missing:,} of {counted(gap.sessions, 'session')}" for gap in worst[:NAMED]]
    more = f" and {len(worst) - NAMED} more" if len(worst) > NAMED else ""
    return f"bars are missing (or trading was suspended): {', '.join(named)}{more}"


def warn_of_input(
    run: RunInfo, benchmarks: Sequence[Benchmark], missing: Sequence[tuple[str, str]], last_day: date
) -> tuple[str, ...]:
    """Return the engine's warnings, and those about the benchmarks."""
    found = list(run.warnings)
    found += [f"benchmark {symbol} is left out: {reason}" for symbol, reason in missing]
    for mark in benchmarks:
        if mark.starts_on:
            found.append(f"benchmark {mark.instrument} starts only on {mark.starts_on}: its return is from there")
        if (last_day - mark.last_session).days > STALE_AFTER_DAYS:
            found.append(f"benchmark {mark.instrument} ends on {mark.last_session}: its last close is carried on")
    return tuple(found)


def warn_of_hindsight(run: RunInfo, causes: pd.DataFrame) -> tuple[str, ...]:
    """Say how many fills rest on headlines that the model may have learnt from; `causes` as ``causes.sql`` gives them.

    Nothing is said of a model whose cut-off is not known.
    """
    if run.training_cutoff is None or causes.empty:
        return ()
    first = causes[causes["rank"] == causes.groupby("fill_no")["rank"].transform("min")]
    import pandas as pd

    known = int((first["available_at"] < pd.Timestamp(run.training_cutoff) + pd.Timedelta(days=1)).sum())
    if not known:
        return ()
    share = f"{known:,} of {counted(len(first), 'fill')} with a headline"
    when = f"from before the model's training cut-off ({run.training_cutoff})"
    return (f"{share} {'rests' if known == 1 else 'rest'} on one {when}: the model may have learnt what happened next",)
