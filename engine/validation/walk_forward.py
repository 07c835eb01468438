"""Walk-forward: choose a configuration on past sessions, trade it on the next ones, and again, on one account.

What was chosen is traded by one account from window to window (`chipwire.engine.validation.switching`), so that its
equity is what a trader who follows the rule would have had, the costs of each change included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadParameter, DomainError
from chipwire.data.fees import load_fees
from chipwire.data.market_rules import load_market_rules
from chipwire.engine import measures
from chipwire.engine.columnar import run_columnar
from chipwire.engine.sweep_block import ColumnarLedger
from chipwire.engine.sweep_store import Trial
from chipwire.engine.sweep_tally import Tally
from chipwire.engine.sweep_task import Loaded
from chipwire.engine.validation.curves import Curves
from chipwire.engine.validation.overfitting import Measure, best
from chipwire.engine.validation.splits import Split, walk_forward_windows
from chipwire.engine.validation.switching import BEFORE, NOTHING, Switching
from chipwire.strategies.base import Strategy

Floats = NDArray[np.float64]


def _max_drawdown(returns: Floats) -> Floats:
    return measures.max_depth(_curves(returns))


def _total_return(returns: Floats) -> Floats:
    return measures.total_return(_curves(returns))


def _calmar(returns: Floats) -> Floats:
    curves = _curves(returns)
    years = returns.shape[-1] / measures.TRADING_DAYS_A_YEAR
    return measures.calmar_ratio(measures.annual_return(curves, years), measures.max_depth(curves))


def _curves(returns: Floats) -> Floats:
    return np.cumprod(np.concatenate([np.ones((*returns.shape[:-1], 1)), 1 + returns], axis=-1), axis=-1)


MEASURES: dict[str, Measure] = {
    "sharpe": measures.sharpe_ratio,
    "sortino": measures.sortino_ratio,
    "total_return": _total_return,
    "max_drawdown": _max_drawdown,
    "calmar": _calmar,
}
"""By which a window chooses: figures of daily returns (configurations, days), larger is better, a year's."""


@dataclass(frozen=True)
class Asked:
    """What a walk-forward is asked to do; sizes in sessions (UTC days with an auction).

    Raises
    ------
    BadParameter
        The measure is none of `MEASURES`.
    """

    train: int
    test: int
    purge: int = 0
    embargo: int = 0
    anchored: bool = False
    measure: str = "sharpe"

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            allowed = f"one of {', '.join(MEASURES)} with --walk-forward"
            raise BadParameter("sort", self.measure, allowed)

    def windows(self, sessions: int) -> list[Split]:
        """Return the windows of a run of so many sessions; raises as `walk_forward_windows` does."""
        return walk_forward_windows(
            sessions, self.train, self.test, purge=self.purge, embargo=self.embargo, anchored=self.anchored
        )


@dataclass(frozen=True)
class Window:
    """One choice and what became of it.

    Attributes
    ----------
    train_first, train_last, test_first, test_last : date
        UTC days.
    row : int or None
        Of the sweep, the configuration chosen; None where none had the figure: nothing is held then.
    params : dict
        Its parameters, all of them.
    in_sample : float
        Its figure on the training days.
    out_of_sample : float
        The account's figure on the test days, the costs of changing to it included.
    place : int or None
        Of the configuration's own figure on the test days among all, 1 the best.
    """

    train_first: date
    train_last: date
    test_first: date
    test_last: date
    row: int | None
    params: dict[str, Any]
    in_sample: float
    out_of_sample: float
    place: int | None

    def as_json(self) -> dict[str, Any]:
        """Return plain values: ISO dates, NaN as None."""
        return {name: _plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Walked:
    """What a walk-forward came to.

    Attributes
    ----------
    windows : tuple of Window
    days : tuple of date
        Of the tests, from the first to the last.
    equity : ndarray, shape (days,)
        Of the account that traded what was chosen.
    capital, costs : float
        Base currency; costs with slippage and borrow.
    fills : int
    """

    windows: tuple[Window, ...]
    days: tuple[date, ...]
    equity: Floats
    capital: float
    costs: float
    fills: int

    @property
    def changes(self) -> int:
        """How often another configuration was chosen than in the window before."""
        rows = [window.row for window in self.windows]
        return sum(one != other for one, other in pairwise(rows))


def walk_forward(
    strategy: type[Strategy], loaded: Loaded, curves: Curves, asked: Asked, ledger: ColumnarLedger
) -> Walked:
    """Choose and trade, window after window.

    Parameters
    ----------
    loaded : Loaded
        What all configurations share.
    curves : Curves
        Of all configurations.

    Raises
    ------
    BadParameter
        Not enough sessions, see `walk_forward_windows`.
    DomainError
        Configurations differ in more than their parameters.
    """
    if (
        len({trial.configuration.settings for trial in curves.trials}) > 1
        or len({_model(t) for t in curves.trials}) > 1
    ):
        raise DomainError("with --walk-forward only parameters (-p) take several values: settings are not chosen")
    splits = asked.windows(len(curves.days))
    measure = MEASURES[asked.measure]
    picks = [best(measure, curves.returns[split.train]) for split in splits]
    equity, costs, fills = _follow(strategy, loaded, curves, splits, picks, ledger)
    first, capital = int(splits[0].tests[0][0]), curves.trials[0].configuration.settings.capital
    account = measures.daily_returns(np.concatenate(([capital], equity)))
    windows = [_window(curves, measure, *each, account) for each in zip(splits, picks, strict=True)]
    return Walked(tuple(windows), curves.days[first:], equity[first:], capital, costs, fills)


def _model(trial: Trial) -> str | None:
    return trial.configuration.model


def _follow(
    strategy: type[Strategy],
    loaded: Loaded,
    curves: Curves,
    splits: Sequence[Split],
    picks: Sequence[int | None],
    ledger: ColumnarLedger,
) -> tuple[Floats, float, int]:
    """Return equity of each day, costs and number of fills of the account that trades what was picked."""
    chosen = sorted({pick for pick in picks if pick is not None}) or [0]
    trials = [curves.trials[pick] for pick in chosen]
    plan = ledger.plan(loaded.market, trials)
    follows = np.full(len(plan.days), BEFORE, dtype=np.intp)
    for split, pick in zip(splits, picks, strict=True):
        follows[split.tests[0]] = NOTHING if pick is None else chosen.index(pick)
    one = trials[0].configuration.settings
    inner = ledger.targets(strategy, loaded, trials)
    source = Switching(inner, plan, follows, fill=one.fill, leverage=one.leverage)
    settings = [one] * source.configurations
    tally = Tally(plan, settings, ledger.recorder(plan, settings, source))
    result = run_columnar(loaded.market, settings, source, load_fees(), load_market_rules(), plan=plan, observer=tally)
    figures = tally.figures(result.equity)
    return result.equity[:, -1], float(figures["costs"][-1]), int(figures["n_fills"][-1])


def _window(curves: Curves, measure: Measure, split: Split, pick: int | None, account: Floats) -> Window:
    test = split.tests[0]
    ends = (split.train[0], split.train[-1], test[0], test[-1])
    chosen_from, chosen_to, traded_from, traded_to = (curves.days[int(place)] for place in ends)
    spans = chosen_from, chosen_to, traded_from, traded_to
    outside = float(measure(account[None, test])[0])
    if pick is None:
        return Window(*spans, None, {}, math.nan, outside, None)
    own = measure(np.ascontiguousarray(curves.returns[test].T))
    place = 1 + int((own > own[pick]).sum()) if math.isfinite(own[pick]) else None
    inside = float(measure(np.ascontiguousarray(curves.returns[split.train, pick])[None])[0])
    trial = curves.trials[pick]
    return Window(*spans, trial.row_no, dict(trial.values), inside, outside, place)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date) else value
