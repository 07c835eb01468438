"""What luck could have made of the best row of a sweep, and what a walk-forward over its configurations showed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.warehouse import Warehouse
from chipwire.engine import measures
from chipwire.engine.validation import store
from chipwire.engine.validation.curves import Curves
from chipwire.engine.validation.luck import CONFIDENCE, LuckReport, assess, deflated
from chipwire.engine.validation.overfitting import backtest_overfitting, best, selection_paths
from chipwire.engine.validation.sharpe import Moments, moments, probabilistic_sharpe
from chipwire.engine.validation.trials import Trials, average_correlation, tried
from chipwire.engine.validation.walk_forward import MEASURES, Asked, Walked

Floats = NDArray[np.float64]

LEAST_CONFIGURATIONS, MOST_CONFIGURATIONS = 8, 2_000
"""Between them a plain sweep looks into overfitting: fewer say little, the curves of more take much room and time."""
_BLOCKS = ((160, 16), (120, 12), (80, 8), (40, 4))
_MOST_FIGURES = 30_000_000
"""Combinations x configurations of the overfitting: more would take longer than the sweep."""
_FOLDS = ((200, 10), (90, 6))
_A_YEAR = math.sqrt(measures.TRADING_DAYS_A_YEAR)


@dataclass(frozen=True)
class SweepLuck:
    """What `look` found; Sharpe ratios are a year's, the rest is as in `LuckReport`.

    Attributes
    ----------
    configurations : int
        With a curve.
    row, trial : int, str
        That with the best Sharpe ratio, and what it was: the row may have been computed anew since.
    correlation : float
        Average correlation between the daily returns of the configurations.
    overfitting : dict or None
        ``probability``, ``slope`` and ``intercept`` of the degradation, ``loss``, ``blocks``, ``combinations``; see
        `chipwire.engine.validation.overfitting.Overfitting`.
    without : str
        Why there is no `overfitting`; else empty.
    """

    configurations: int
    row: int
    trial: str
    days: int
    sharpe: float
    skew: float
    kurtosis: float
    probabilistic_sharpe: float
    correlation: float
    trials: int
    effective_trials: float
    expected_maximum_sharpe: float
    deflated_sharpe: float
    deflated_sharpe_effective: float
    overfitting: Mapping[str, Any] | None
    without: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values; NaN as None."""
        return _plain(asdict(self))  # type: ignore[no-any-return]


def look(warehouse: Warehouse, strategy: str, curves: Curves) -> SweepLuck | None:
    """Return what luck could have made of the best of a sweep's configurations; None where none has a Sharpe ratio."""
    row = best(measures.sharpe_ratio, curves.returns)
    if row is None:
        return None
    known = curves.returns[:, np.isfinite(curves.returns).all(axis=0)]
    correlation = average_correlation(known)
    of = moments(curves.returns[:, row])
    found, without = _overfitting(known)
    return SweepLuck(
        configurations=len(curves.trials),
        row=curves.trials[row].row_no,
        trial=curves.trials[row].trial_id,
        days=len(curves.days),
        sharpe=of.sharpe * _A_YEAR,
        skew=of.skew,
        kurtosis=of.kurtosis,
        probabilistic_sharpe=probabilistic_sharpe(of),
        correlation=correlation,
        **deflated(of, tried(warehouse, strategy, correlation)),
        overfitting=found,
        without=without,
    )


def luck_now(warehouse: Warehouse, sweep_id: str, strategy: str) -> dict[str, Any] | None:
    """Return what luck could have made of the best of a stored sweep, with all that was tried up to now.

    What follows from the sweep's own curves is as it was stored; what follows from the number of trials is not, since
    it grows. Where nothing is stored of the rows that are there, only the bar is known: ``deflated_sharpe`` and
    ``overfitting`` are None.

    Returns
    -------
    dict or None
        As `SweepLuck.as_json`; ``row``, ``days``, ``sharpe`` and what is deflated where only the bar is known. None
        where no row has a Sharpe ratio.
    """
    sql = "SELECT row_no, trial_id, sharpe, days FROM sweep_row WHERE sweep_id = ? AND sharpe IS NOT NULL"
    rows = warehouse.rows(f"{sql} ORDER BY sharpe DESC, row_no", [sweep_id])
    if not rows:
        return None
    known = store.latest(warehouse, sweep_id, "luck")
    if known is None or (known["row"], known.get("trial")) not in {(row_no, trial) for row_no, trial, _, _ in rows}:
        row_no, _, sharpe, days = rows[0]
        known = {"row": row_no, "days": days, "sharpe": sharpe, "overfitting": None, "without": ""}
    return _deflated_now(known, tried(warehouse, strategy, _number(known.get("correlation"))))


def walk_forward_now(warehouse: Warehouse, sweep_id: str) -> dict[str, Any] | None:
    """Return the last walk-forward of a sweep, with all that was tried up to now, or None.

    As `WalkForwardReport.as_json`; its account is deflated by the walk-forwards of the strategy, the best row by all
    configurations in the warehouse.
    """
    found = store.latest(warehouse, sweep_id, "walk_forward")
    if found is None:
        return None
    strategy = found["strategy"]
    luck = _deflated_now(found["luck"], Trials(len(_walked(warehouse, strategy))))
    sweep = _deflated_now(found["sweep"], tried(warehouse, strategy, _number(found["sweep"]["correlation"])))
    return found | {"luck": luck, "sweep": sweep, "sentence": _believe(luck, sweep)}


def _deflated_now(known: Mapping[str, Any], trials: Trials) -> dict[str, Any]:
    """Return stored figures with those that follow from what was tried."""
    sharpe, skew, kurtosis = (_number(known.get(name)) for name in ("sharpe", "skew", "kurtosis"))
    of = Moments(known["days"], sharpe / _A_YEAR, skew, kurtosis)
    return {**known, **_plain(deflated(of, trials))}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _overfitting(returns: Floats) -> tuple[dict[str, Any] | None, str]:
    """Return the figures of overfitting, or why there are none."""
    days = len(returns)
    count = int((returns.std(axis=0) > 1e-15).sum())
    if count < LEAST_CONFIGURATIONS:
        return None, f"it takes {LEAST_CONFIGURATIONS} configurations that trade, and here are {count}"
    fitting = (b for least, b in _BLOCKS if days >= least and math.comb(b, b // 2) * count <= _MOST_FIGURES)
    blocks = next(fitting, None)
    if blocks is None:
        return None, f"{days} days are too few, it takes {_BLOCKS[-1][0]}"
    found = backtest_overfitting(returns, blocks)
    return {
        "probability": found.probability, "slope": found.slope, "intercept": found.intercept, "loss": found.loss,
        "blocks": blocks, "combinations": len(found.logits),
    }, ""  # fmt: skip


@dataclass(frozen=True)
class WalkForwardReport:
    """What a walk-forward showed.

    Attributes
    ----------
    sweep_id, strategy : str
    asked : Asked
    walked : Walked
    luck : LuckReport
        Of the account that traded what was chosen. Nothing of its tests was used to choose, so that its trials are
        the different walk-forwards of the strategy, this one included, and not the configurations.
    sweep : SweepLuck
        Of the configuration that is best over all days, seen with hindsight.
    paths : dict or None
        Combinatorial purged cross-validation of the choice: ``folds``, ``tested``, ``sharpe`` (a year's, of each
        path, rising), ``mean``, ``below_zero`` (share of the paths); None where the days do not suffice.
    """

    sweep_id: str
    strategy: str
    asked: Asked
    walked: Walked
    luck: LuckReport
    sweep: SweepLuck
    paths: Mapping[str, Any] | None

    @property
    def in_sample(self) -> float:
        """Mean of the windows' in-sample figures; NaN without any."""
        known = [each.in_sample for each in self.walked.windows if math.isfinite(each.in_sample)]
        return float(np.mean(known)) if known else math.nan

    @property
    def out_of_sample(self) -> float:
        """Mean of the windows' out-of-sample figures; NaN without any."""
        known = [each.out_of_sample for each in self.walked.windows if math.isfinite(each.out_of_sample)]
        return float(np.mean(known)) if known else math.nan

    @property
    def sentence(self) -> str:
        """What a careful reader should believe, in one sentence."""
        return _believe(self.luck.as_json(), self.sweep.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return plain values; NaN as None, dates as ISO texts."""
        walked = self.walked
        found = {
            "sweep_id": self.sweep_id, "strategy": self.strategy, **asdict(self.asked),
            "windows": [window.as_json() for window in walked.windows], "changes": walked.changes,
            "fills": walked.fills, "costs": walked.costs, "capital": walked.capital,
            "in_sample": self.in_sample, "out_of_sample": self.out_of_sample,
            "luck": self.luck.as_json(), "sweep": self.sweep.as_json(), "paths": self.paths,
            "sentence": self.sentence, "days": [day.isoformat() for day in walked.days],
            "equity": walked.equity.tolist(),
        }  # fmt: skip
        return _plain(found)  # type: ignore[no-any-return]


def report(
    warehouse: Warehouse, sweep_id: str, strategy: str, curves: Curves, asked: Asked, walked: Walked, sweep: SweepLuck
) -> WalkForwardReport:
    """Return all that a walk-forward says."""
    trials = Trials(len(_walked(warehouse, strategy) | {(sweep_id, *asdict(asked).values())}))
    luck = assess(walked.equity, walked.capital, walked.days, trials)
    return WalkForwardReport(sweep_id, strategy, asked, walked, luck, sweep, _paths(curves.returns, asked))


def _walked(warehouse: Warehouse, strategy: str) -> set[tuple[Any, ...]]:
    """Return the different walk-forwards of a strategy: the sweep, and what was asked."""
    names = [field.name for field in fields(Asked)]
    return {
        (each["sweep_id"], *(each[name] for name in names))
        for each in store.payloads(warehouse, "walk_forward")
        if each["strategy"] == strategy
    }


def _paths(returns: Floats, asked: Asked) -> dict[str, Any] | None:
    """Return the spread of the rule's Sharpe ratio over the paths of combinatorial purged cross-validation."""
    gap = asked.purge + asked.embargo
    fitting = (count for least, count in _FOLDS if len(returns) >= least and len(returns) // count > 2 * gap)
    if (count := next(fitting, None)) is None:
        return None
    found = selection_paths(returns, MEASURES[asked.measure], count=count, purge=asked.purge, embargo=asked.embargo)
    sharpe = measures.sharpe_ratio(found)
    known = np.sort(sharpe[np.isfinite(sharpe)])
    if not len(known):
        return None
    below = float(np.mean(known < 0))
    return {"folds": count, "tested": 2, "sharpe": known.tolist(), "mean": float(known.mean()), "below_zero": below}


def _believe(luck: Mapping[str, Any], sweep: Mapping[str, Any]) -> str:
    """Return the sentence for a walk-forward's ``luck`` and ``sweep``, as plain values."""
    sharpe = luck["intervals"]["sharpe"]
    if sharpe["value"] is None or sharpe["low"] is None:
        return "What was chosen did not trade enough on the sessions after: nothing can be said."
    span = f"({luck['level']:.0%} interval {sharpe['low']:.2f} to {sharpe['high']:.2f})"
    seen = (
        f"The best row of the sweep has a Sharpe ratio of {sweep['sharpe']:.2f}, what was chosen on past sessions and "
        f"traded on the next has {sharpe['value']:.2f} {span}"
    )
    if sharpe["value"] <= 0:
        return f"{seen}: what worked before did not go on to work."
    overfitted = sweep["overfitting"] is not None and sweep["overfitting"]["probability"] >= 0.5
    if sharpe["low"] <= 0:
        return f"{seen}: no edge is shown, zero lies within the interval."
    if overfitted:
        return f"{seen}: something is there, but the choice among the configurations adds nothing to it."
    if _number(luck["deflated_sharpe"]) < CONFIDENCE:
        return f"{seen}: it may be real, but it is one of {luck['trials']} walk-forwards tried."
    return f"{seen}: the edge outlasts the choice; expect what was traded, not the best row."


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
