"""What a run was asked to do: everything besides the strategy, and checked before anything is loaded."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Self

from chipwire.data.errors import BadParameter
from chipwire.data.intervals import INTERVALS

FILLS = ("open", "close")
DEFAULT_BENCHMARKS = ("SOX", "588000.SS", "HSTECH", "SPY")
LATER = {"fee_multiple": 1.0}
"""Defaults of settings that runs stored earlier do not have."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run; stored with it.

    Attributes
    ----------
    start, end : date
        First and last session, each venue's own dates.
    capital : float
        In `currency`.
    fill : str
        ``open`` or ``close``: the auction at which orders fill.
    instruments : tuple of str
        Empty: all shares that have bars in the span.
    latency_minutes : float
        A headline is known this long after its ``available_at``.
    cutoff_minutes : float or None
        Minutes before the auction at which is decided, 1 to 120; None: each venue's own. With bars finer than a day,
        before the opening auction; within the session is decided just before each bar.
    band : float
        Part of equity by which an order must change a position to be sent; an exit is always sent.
    slippage_bps : float
        Worsens each fill.
    impact : float
        Square-root impact: the part of the price by which an order of the whole bar's volume moves it.
    participation : float
        Largest part of the bar's volume that an order may take.
    leverage : float
        Largest sum of |position values| over equity that orders may lead to.
    fee_multiple : float
        What fees and borrowing cost, times their due: each charge as the venue computes it, bounds and rounding
        included, then the multiple. Slippage and impact have settings of their own.
    benchmarks : tuple of str
        Shown beside the result.
    interval : str
        Of the bars traded on: ``1d``, or finer (`chipwire.data.intervals.INTERVALS`), which fill at the open only.
    """

    start: date
    end: date
    capital: float = 1_000_000.0
    currency: str = "USD"
    fill: str = "open"
    instruments: tuple[str, ...] = ()
    latency_minutes: float = 0.0
    cutoff_minutes: float | None = None
    band: float = 0.01
    slippage_bps: float = 5.0
    impact: float = 0.0
    participation: float = 0.1
    leverage: float = 1.0
    benchmarks: tuple[str, ...] = DEFAULT_BENCHMARKS
    interval: str = "1d"
    fee_multiple: float = 1.0

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise BadParameter("start", self.start.isoformat(), f"it must not lie after end={self.end.isoformat()}")
        if not re.fullmatch("[A-Z]{3}", self.currency):
            raise BadParameter("currency", self.currency, "an ISO code of three capitals, such as USD")
        if self.fill not in FILLS:
            raise BadParameter("fill", self.fill, "open or close")
        if self.interval not in ("1d", *INTERVALS):
            raise BadParameter("interval", self.interval, f"1d or one of {', '.join(INTERVALS)}")
        if self.interval != "1d" and self.fill != "open":
            raise BadParameter("fill", self.fill, f"open with {self.interval} bars: each order fills at a bar's open")
        _within("capital", self.capital, 1e-6, 1e15)
        _within("latency_minutes", self.latency_minutes, 0, 525_600)
        _within("band", self.band, 0, 1)
        _within("slippage_bps", self.slippage_bps, 0, 1_000)
        _within("impact", self.impact, 0, 10)
        _within("participation", self.participation, 1e-9, 1)
        _within("leverage", self.leverage, 1e-9, 10)
        _within("fee_multiple", self.fee_multiple, 0, 100)
        if self.cutoff_minutes is not None:
            # At 0 the decision would fall on its own auction, and its orders to the next session's.
            _within("cutoff_minutes", self.cutoff_minutes, 1, 120)

    def as_json(self) -> dict[str, Any]:
        """Return plain values for storing and for the run's identity; `stored_settings` reads them back.

        A setting of `LATER` is left out at its default: a run from before it is the same run, not another trial.
        """
        return {
            name: value.isoformat() if isinstance(value, date) else list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name not in LATER or value != LATER[name]
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """Return the settings that `as_json` gave.

        Raises
        ------
        BadParameter
            A setting is missing, not known, or not allowed.
        """
        names = [field.name for field in fields(cls)]
        given = LATER | dict(given)
        if odd := sorted(set(given) ^ set(names)):
            raise BadParameter("settings", odd[0], f"exactly these: {', '.join(names)}")
        try:
            days = {name: date.fromisoformat(given[name]) for name in ("start", "end")}
            words = {name: tuple(map(str, given[name])) for name in ("instruments", "benchmarks")}
            return cls(**{**given, **days, **words})
        except (TypeError, ValueError) as error:
            raise BadParameter("settings", dict(given), f"what a run stores ({error})") from error


def stored_settings(text: str) -> dict[str, Any]:
    """Return every setting of a stored run by name, plain values, those of `LATER` included."""
    found: dict[str, Any] = json.loads(text)
    return found | {name: value for name, value in LATER.items() if name not in found}


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise BadParameter(name, value, f"a number from {low:g} to {high:g}")
