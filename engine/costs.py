"""What trading costs, as pure functions, the same for both engines: fees by venue, side and date, and borrowing.

All functions take scalars and NumPy arrays alike, elementwise with broadcasting; scalars give a NumPy scalar.
Rates come from the dated tables of `chipwire.data`; slippage and impact are in the price (`rules.fill_price`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chipwire.data.fees import FeeLine, FeeRates
from chipwire.engine.rules import Floats, floats

_MONEY_GUARD = 1e-6  # amounts this near to a whole number are it; they reach 1e9 units
_DAYS_PER_YEAR = 365.0


@dataclass(frozen=True)
class FeeParts:
    """Charges of trades by category, local currency, at least 0, each in the shape of the trades."""

    commission: Floats
    duty: Floats
    levies: Floats

    @property
    def total(self) -> Floats:
        """Sum of the three, in the order of the fields."""
        return self.commission + self.duty + self.levies


def fees(
    rates: FeeRates, shares_signed: npt.ArrayLike, price: npt.ArrayLike, multiple: npt.ArrayLike = 1.0
) -> FeeParts:
    """Return what trades cost, each element one order at one price.

    Parameters
    ----------
    rates : FeeRates
        Of the venue and day, from `chipwire.data.fees.FeeTable`.
    shares_signed : array_like
        Positive bought, negative sold; 0 costs nothing, whatever the minimum and the price.
    price : array_like
        Local currency; NaN gives NaN unless no share is traded.
    multiple : array_like
        Of what is due, at least 0.

    Returns
    -------
    FeeParts
        A charge is rate x value (or x shares), then its bounds, then its rounding, then the multiple.
    """
    signed, unit, times = np.broadcast_arrays(floats(shares_signed), floats(price), floats(multiple))
    value = np.where(signed == 0.0, 0.0, np.abs(signed) * unit)
    parts = [np.zeros(signed.shape) if part is None else part for part in _fee_parts(rates, signed, value, times)]
    return FeeParts(*(part[()] for part in parts))


def fee_total(rates: FeeRates, shares_signed: Floats, value: Floats, multiple: float | Floats = 1.0) -> Floats | None:
    """Return the sum of what `fees` returns, to the bit; None where the trades cost nothing at all.

    Parameters
    ----------
    rates : FeeRates
    shares_signed, value : ndarray
        Of one shape; `value` is the unsigned value of the trades, 0 where there is none.
    multiple : float or ndarray
        Broadcasts to that shape.
    """
    total: Floats | None = None
    for part in _fee_parts(rates, shares_signed, value, multiple):
        if part is not None:
            total = part if total is None else total + part
    return total


def fee_columns(rates: FeeRates) -> FeeRates:
    """Return the charges for arrays whose first axis holds the instruments and not the last."""

    def column(side: float | Floats) -> float | Floats:
        return side[:, None] if isinstance(side, np.ndarray) else side

    lines = tuple(replace(line, on_buy=column(line.on_buy), on_sell=column(line.on_sell)) for line in rates.lines)
    return replace(rates, lines=lines)


def compact(rates: FeeRates) -> FeeRates:
    """Return the same charges in fewer lines: plain rates of one category and side are added up.

    Both engines charge by these, so that their amounts agree to the last bit.
    """
    merged: dict[tuple[str, str, str], FeeLine] = {}
    for index, line in enumerate(rates.lines):
        plain = not line.minimum and line.maximum == np.inf and line.rounding == "none"
        key = (line.category, repr(line.on_buy) + repr(line.on_sell), "" if plain else str(index))
        before = merged.get(key)
        merged[key] = line if before is None else replace(
            before, name=f"{before.name} + {line.name}", per_value=before.per_value + line.per_value,
            per_share=before.per_share + line.per_share,
        )  # fmt: skip
    return replace(rates, lines=tuple(merged.values()))


_CATEGORIES = {"commission": 0, "duty": 1, "levy": 2}


def _fee_parts(rates: FeeRates, signed: Floats, value: Floats, multiple: float | Floats) -> list[Floats | None]:
    """Return the charges by category, None where nothing can be charged; `value` is 0 where nothing trades."""
    parts: list[Floats | None] = [None, None, None]
    masks: dict[str, Floats] = {}
    for line in rates.lines:
        if line.per_value:
            amount = line.per_value * value
            if line.per_share:
                amount = amount + line.per_share * np.abs(signed)
        elif line.per_share:
            amount = line.per_share * np.abs(signed)
        elif line.minimum:
            amount = np.zeros(signed.shape)
        else:
            continue
        if line.minimum:
            amount = np.maximum(amount, line.minimum)
        if line.maximum != np.inf:
            amount = np.minimum(amount, line.maximum)
        if line.rounding == "whole_up":
            amount = np.ceil(amount - _MONEY_GUARD)
        elif line.rounding == "cent":
            amount = np.floor(amount * 100.0 + 0.5 + _MONEY_GUARD) / 100.0
        if line.minimum or not _both_sides(line):
            amount = amount * _charged_sides(line, signed, masks)
        index = _CATEGORIES[line.category]
        before = parts[index]
        parts[index] = amount if before is None else before + amount
    if isinstance(multiple, float) and multiple == 1.0:
        return parts
    return [None if part is None else part * multiple for part in parts]


def _charged_sides(line: FeeLine, signed: Floats, masks: dict[str, Floats]) -> Floats:
    """Return 1 where a trade pays the charge, else 0; of buys and sells one holds, and neither without trade."""
    if _both_sides(line):
        if "traded" not in masks:
            masks["traded"] = floats(signed != 0.0)
        return masks["traded"]
    for name in ("bought", "sold"):
        if name not in masks:
            masks[name] = floats(signed > 0.0 if name == "bought" else signed < 0.0)
    on_buy, on_sell = line.on_buy, line.on_sell
    if isinstance(on_buy, float) and isinstance(on_sell, float) and (on_buy, on_sell) == (0.0, 1.0):
        return masks["sold"]
    sides: Floats = masks["bought"] * on_buy + masks["sold"] * on_sell
    return sides


def _both_sides(line: FeeLine) -> bool:
    return isinstance(line.on_buy, float) and isinstance(line.on_sell, float) and line.on_buy == line.on_sell == 1.0


def borrow_cost(short_value: npt.ArrayLike, rate_per_year: npt.ArrayLike, calendar_days: npt.ArrayLike) -> Floats:
    """Return what borrowed shares cost over some calendar days, in the currency of `short_value`, at least 0.

    Parameters
    ----------
    short_value : array_like
        Value of the short position, of either sign; NaN gives NaN.
    rate_per_year : array_like
        0.005 for 0.5% a year of 365 days.
    calendar_days : array_like
    """
    days = floats(calendar_days) / _DAYS_PER_YEAR
    return np.abs(floats(short_value)) * floats(rate_per_year) * days
