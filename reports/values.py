"""Numbers, instants and foreign text as text: one form for every output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from chipwire.data.instants import local_day

MISSING = "n/a"

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
REASONS = {
    "no_bar": "no bar of the session",
    "suspended": "no volume, suspended",
    "limit_up": "to buy at the upper price limit",
    "limit_down": "to sell at the lower price limit",
    "short_forbidden": "a short where none is allowed",
    "locked_t1": "bought in the same session, locked",
    "participation": "more than the allowed share of the volume",
    "lot": "less than a tradable lot",
    "cash": "not enough cash",
    "leverage": "over the leverage allowed",
    "no_fx": "no exchange rate",
    "band": "smaller than the band of the run",
}
"""Why an order was not filled in full, in words; the names are those of `chipwire.engine.rules.Reason`."""


def percent(value: float, *, signed: bool = True, digits: int = 1) -> str:
    """Return a fraction as per cent, ``+12.3%``; `MISSING` for NaN."""
    if not math.isfinite(value):
        return MISSING
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value * 100, digits) + 0.0:{'+' if signed else ''},.{digits}f}%"


def number(value: float, digits: int = 2) -> str:
    """Return a number with thousands separated; `MISSING` for NaN."""
    return f"{round(value, digits) + 0.0:,.{digits}f}" if math.isfinite(value) else MISSING


def money(value: float, currency: str, digits: int = 0) -> str:
    """Return an amount with its currency in front, ``USD 1,234``."""
    return f"{currency} {number(value, digits)}" if math.isfinite(value) else MISSING


def minus(text: str) -> str:
    """Return a number's text with a true minus sign, which is as wide as the plus; for pages, not for terminals."""
    return text.replace("-", "\N{MINUS SIGN}")


def published_day(at: Any, precision: Any, zone: Any) -> tuple[date, str] | None:
    """Return the day of a headline known by its day alone, as its zone counts, with the zone; else None.

    Parameters
    ----------
    at, precision, zone
        ``published_at`` (UTC without a zone), ``published_precision`` and ``published_zone`` as the warehouse has
        them; what is missing is None, NaN or NaT. A day without a zone is one of UTC.
    """
    if precision != "day" or not isinstance(at, datetime) or at != at:  # NaT is a datetime that equals nothing
        return None
    name = zone if isinstance(zone, str) else "UTC"
    return local_day(at.replace(tzinfo=UTC), name), name


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: NaN, NaT and infinities as None, UTC instants as ISO 8601 with ``Z``.

    numpy scalars become Python numbers; mappings and sequences are converted item by item.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date) and value != value:  # NaT
        return None
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds" if not value.microsecond else "microseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def csv_cell(value: Any) -> Any:
    """Return a value for a csv cell: empty for missing, and no text that a spreadsheet would run.

    Text that begins with ``= + - @``, in whatever width, or with a tab or the end of a line gets a quote in front;
    numbers do not.
    """
    value = plain(value)
    if value is None:
        return ""
    return defused(value) if isinstance(value, str) else value


def defused(text: str) -> str:
    """Return text with a quote in front where a spreadsheet would run it as a formula; see `csv_cell`."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def safe_url(url: Any) -> str | None:
    """Return `url` when it is an http or https address without blanks or controls, else None."""
    if not isinstance(url, str) or not url.isprintable() or " " in url:  # no other blank is printable
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def one_line(value: str) -> str:
    """Return text for a terminal: one line, and no controls that could move its cursor or change colours."""
    return " ".join(
        "".join(c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in value).split()
    )
