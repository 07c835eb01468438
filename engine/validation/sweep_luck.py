"""What luck could have made of the best row of a sweep, and what a walk-forward over its configurations showed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.warehouse import Warehouse
from chipwire.engine import measures
from chipwire.engine.validation import store
from chipwire.engine.validation.curves import Curves
from chipwire.engine.validation.luck import CONFIDENCE, LuckReport, assess, deflated
from chipwire.engine.validation.overfitting import backtest_overfitting, best, selection_paths
from chipwire.engine.validation.sharpe import moments, probabilistic_sharpe
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
    row : int
        With the best Sharpe ratio.
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
    days: int
    sharpe: float
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
        days=len(curves.days),
        sharpe=of.sharpe * _A_YEAR,
        probabilistic_sharpe=probabilistic_sharpe(of),
        correlation=correlation,
        **deflated(of, tried(warehouse, strategy, correlation)),
        overfitting=found,
        without=without,
    )


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
        return _believe(self)

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
    earlier = {
        (each["sweep_id"], *(each[name] for name in asdict(asked)))
        for each in store.payloads(warehouse, "walk_forward")
        if each["strategy"] == strategy
    }
    trials = Trials(len(earlier | {(sweep_id, *asdict(asked).values())}))
    luck = assess(walked.equity, walked.capital, walked.days, trials)
    return WalkForwardReport(sweep_id, strategy, asked, walked, luck, sweep, _paths(curves.returns, asked))


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


def _believe(of: WalkForwardReport) -> str:
    sharpe = of.luck.intervals["sharpe"]
    if math.isnan(sharpe.value) or math.isnan(sharpe.low):
        return "What was chosen did not trade enough on the sessions after: nothing can be said."
    span = f"({of.luck.level:.0%} interval {sharpe.low:.2f} to {sharpe.high:.2f})"
    seen = (
        f"The best row of the sweep has a Sharpe ratio of {of.sweep.sharpe:.2f}, what was chosen on past sessions and "
        f"traded on the next has {sharpe.value:.2f} {span}"
    )
    if sharpe.value <= 0:
        return f"{seen}: what worked before did not go on to work."
    overfitted = of.sweep.overfitting is not None and of.sweep.overfitting["probability"] >= 0.5
    if sharpe.low <= 0:
        return f"{seen}: no edge is shown, zero lies within the interval."
    if overfitted:
        return f"{seen}: something is there, but the choice among the configurations adds nothing to it."
    if of.luck.deflated_sharpe < CONFIDENCE:
        return f"{seen}: it may be real, but it is one of {of.luck.trials} walk-forwards tried."
    return f"{seen}: the edge outlasts the choice; expect what was traded, not the best row."


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
