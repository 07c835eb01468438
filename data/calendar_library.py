"""The library's calendars of our years, built without the holidays of all others.

The library works out the holidays of 1970 to 2200, rule by rule and year by year, whatever span it is asked for; that
is most of what a calendar costs. Here its own classes, with their own rules, get the holidays of our span only. A test
compares the result with what the library makes by itself, for every session of every venue.
"""

from __future__ import annotations

from datetime import date
from functools import cache, cached_property
from importlib import import_module
from typing import Any

import pandas as pd
from pandas.tseries.holiday import AbstractHolidayCalendar


class _HolidaysOfASpan(AbstractHolidayCalendar):
    """The holidays by the rules of another calendar; worked out once, from `first` to `last` where no span is given."""

    def __init__(self, rules: Any, first: date, last: date) -> None:
        # A rule that ended before would still be worked out for all its years.
        super().__init__(
            rules=[rule for rule in rules if rule.year or not rule.end_date or rule.end_date.date() >= first]
        )
        self._first, self._last = pd.Timestamp(first), pd.Timestamp(last)

    def holidays(self, start: Any = None, end: Any = None, return_name: bool = False) -> Any:
        since, until = self._first if start is None else start, self._last if end is None else end
        return super().holidays(since, until, return_name)  # type: ignore[call-overload]  # it may be either


@cache
def _class_of(name: str) -> Any:
    return getattr(import_module(f"exchange_calendars.exchange_calendar_{name.lower()}"), f"{name}ExchangeCalendar")


def bounds(name: str) -> tuple[date | None, date | None]:
    """Return the first and the last day that the library knows of a calendar; None where it sets no bound."""
    low, high = _class_of(name).bound_min(), _class_of(name).bound_max()
    return None if low is None else low.date(), None if high is None else high.date()


def build(name: str, first: date, last: date) -> Any:
    """Return the library's calendar from `first` to `last`, which lie within `bounds`."""

    class OfASpan(_class_of(name)):  # type: ignore[misc]  # the library has no types
        @cached_property
        def regular_holidays(self) -> Any:
            every = super().regular_holidays
            return every if every is None else _HolidaysOfASpan(every.rules, first, last)

        @cached_property
        def adhoc_holidays(self) -> Any:
            return super().adhoc_holidays

    return OfASpan(pd.Timestamp(first), pd.Timestamp(last))
