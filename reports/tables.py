"""What a page's script shows of a run: its tables by columns, and the headlines and readings they refer to.

A table is ``{"name": ..., "columns": [{"key", "label", "kind", "values", ...}, ...]}``. Kinds are ``time`` (minutes
since the first midnight), ``day`` (days since it), ``word`` (place in ``words``), ``number`` (with ``digits``, and
``units`` as places in ``words`` where rows differ in currency), ``headline`` (place in ``headlines``) and ``causes``.
Words, headlines and readings are kept once and referred to by their place, since one headline may stand behind
many fills: so a run of 5,000 fills stays under 3 MB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from chipwire.reports.check_section import fragility_table
from chipwire.reports.collect import RunReport
from chipwire.reports.lineage_section import Untraded, fate_text
from chipwire.reports.values import REASONS, published_day, safe_url

CAUSES_SHOWN = 3
"""Causes of a fill on the page, strongest first; ``report.json`` has all of them."""

MANY_FILLS = 1_000
"""Above so many fills the page shows only the strongest cause of each, or it would outgrow 3 MB."""

MARKS = 40
"""Headlines marked on the equity chart: those behind the largest trades. More could not be told apart."""

TITLE_AT_MOST = 300
"""Characters of a title on the page; ``report.json`` has it whole."""

URL_AT_MOST = 2_000
"""Characters of an address that is still made a link."""

RELATIONS = {"own": "its own signal", "opened": "had opened the position", "rival": "ranked above it"}


_PUBLISHED = ["published_at", "published_precision", "published_zone"]
_TOLD = ["headline_id", "title", "source", "url", *_PUBLISHED, "available_at"]


class Places(dict[Any, int]):
    """Give each new key the next place: 0, 1, 2, ..."""

    def __missing__(self, key: Any) -> int:
        self[key] = len(self)
        return self[key]

    def of(self, keys: Iterable[Any]) -> list[int]:
        """Return the place of each key."""
        return [self[key] for key in keys]


def page_data(report: RunReport, untraded: Untraded | None = None) -> dict[str, Any]:
    """Return all that the page's script reads, the charts aside; no NaN in it."""
    epoch, words = pd.Timestamp(report.days[0]), Places()
    causes = report.causes.groupby("fill_no", sort=False).head(_shown(report))
    left = causes.head(0) if untraded is None else untraded.strongest
    headlines, readings, places = _headlines(causes, left, epoch, words)
    fills = _fills_table(report, epoch, words)
    if not causes.empty:
        fills["columns"].append(_causes_column(report, causes, places, words))
    first = first_headlines(report)
    first["place"] = [headlines["place"][headline_id] for headline_id in first["headline_id"]]
    data: dict[str, Any] = {
        "epoch": (report.days[0] - date(1970, 1, 1)).days,
        "headlines": headlines["columns"],
        "readings": readings,
        "tables": {
            "fills": fills,
            "unfilled": _unfilled_table(report, words),
            "headlines": _headlines_table(first, report.run.currency, epoch, words),
            "fragility": _fragility_table(report, words),
        },
        "marks": [int(place) for place in largest_headlines(first)["place"]],
        "prices": _prices(report, words),
    }
    if untraded is not None:
        data["tables"]["untraded"] = _untraded_table(left, headlines["place"], epoch, words)
    return data | {"words": list(words)}


def _shown(report: RunReport) -> int:
    return CAUSES_SHOWN if len(report.fills) <= MANY_FILLS else 1


def count_of_headlines(report: RunReport) -> tuple[int, int]:
    """Return how many headlines stand first behind a fill, and how many behind any in any place."""
    first = report.causes.drop_duplicates("fill_no")
    return int(first["headline_id"].nunique()), int(report.causes["headline_id"].nunique())


# --- columns ---------------------------------------------------------------------------------------------


def _column(key: str, label: str, kind: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "label": label, "kind": kind, "values": values} | more


def _minutes(times: pd.Series[Any], epoch: pd.Timestamp) -> list[int | None]:
    """Return whole minutes since `epoch`, None for no time."""
    passed = (times - epoch) // pd.Timedelta(minutes=1)
    return [None if pd.isna(minute) else int(minute) for minute in passed]


def _rounded(values: Iterable[float], digits: int) -> list[float | int | None]:
    """Return numbers as short as the page shows them: whole ones without a point, None for none."""
    found = (round(value, digits) if math.isfinite(value) else None for value in map(float, values))
    return [int(value) if value is not None and value == int(value) else value for value in found]


def significant(value: float, digits: int = 5) -> float | None:
    """Return a number rounded to so many digits that count; None for NaN."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


# --- fills and orders ------------------------------------------------------------------------------------


def _fills_table(report: RunReport, epoch: pd.Timestamp, words: Places) -> dict[str, Any]:
    fills, base = report.fills, report.run.currency
    sides = ["delisted" if auction == "delisting" else side
             for auction, side in zip(fills["auction"], fills["side"], strict=True)]  # fmt: skip
    realized = [value if value else math.nan for value in fills["realized"]]
    columns = [
        _column("fill", "No.", "number", [int(no) for no in fills["fill_no"]], digits=0),
        _column("at", "UTC", "time", _minutes(fills["auction_at"], epoch)),
        _column("instrument", "Instrument", "word", words.of(fills["instrument"])),
        _column("side", "Side", "word", words.of(sides)),
        _column("shares", "Shares", "number", [int(count) for count in fills["shares"]], digits=0),
        _column("price", "Price", "number", [significant(price, 6) for price in fills["price"]], digits=2,
                units=words.of(fills["currency"])),
        _column("value", f"Value {base}", "number", _rounded(fills["value"], 0), digits=0),
        _column("cost", f"Costs {base}", "number", _rounded(fills["cost"], 2), digits=2),
        _column("realized", f"Realized {base}", "number", _rounded(realized, 0), digits=0),
    ]  # fmt: skip
    return {"name": "fills", "columns": columns}


def _causes_column(report: RunReport, causes: pd.DataFrame, places: Sequence[int], words: Places) -> dict[str, Any]:
    """Return of each fill the number of its causes, then reading, strength, theme and relation of those shown."""
    counts = report.causes.groupby("fill_no").size()
    found: dict[int, list[Any]] = {}
    strengths, relations = _rounded(causes["strength"], 2), (RELATIONS[name] for name in causes["relation"])
    rows = zip(
        causes["fill_no"], places, strengths, words.of(causes["theme"]), words.of(relations), strict=True
    )  # fmt: skip
    for fill_no, *cause in rows:
        found.setdefault(int(fill_no), [int(counts[fill_no])]).extend(cause)
    return _column("causes", "Because of", "causes", [found.get(int(no), [0]) for no in report.fills["fill_no"]])


def _unfilled_table(report: RunReport, words: Places) -> dict[str, Any]:
    orders = report.unfilled
    days = [(day - report.days[0]).days for day in orders["session"]]
    columns = [
        _column("session", "Session", "day", days),
        _column("instrument", "Instrument", "word", words.of(orders["instrument"])),
        _column("wanted", "Ordered", "number", [int(count) for count in orders["wanted"]], digits=0),
        _column("filled", "Filled", "number", [int(count) for count in orders["filled"]], digits=0),
        _column("reason", "Reason", "word", words.of(REASONS.get(name, name) for name in orders["reason"])),
    ]
    return {"name": "orders", "columns": columns}


# --- headlines -------------------------------------------------------------------------------------------


def _headlines(
    causes: pd.DataFrame, left: pd.DataFrame, epoch: pd.Timestamp, words: Places
) -> tuple[dict[str, Any], dict[str, Any], list[int]]:
    """Return the headlines of `causes` and `left` and the readings behind `causes` by columns, and each one's place.

    ``by_day`` has day and zone, by its place, of each headline that is known by its day alone.
    """
    once = pd.concat([causes[_TOLD], left[_TOLD]] if len(left) else [causes[_TOLD]]).drop_duplicates("headline_id")
    place = {headline_id: number for number, headline_id in enumerate(once["headline_id"])}
    links = [_link(url) for url in once["url"]]
    titles = zip(once["title"], once["headline_id"], strict=True)
    days = (published_day(*stamp) for stamp in zip(*(once[name] for name in _PUBLISHED), strict=True))
    columns = {
        "title": [_title(title, headline_id) for title, headline_id in titles],
        "source": words.of(map(_text, once["source"])),
        "host": [None if link is None else words[link[0]] for link in links],
        "path": [None if link is None else link[1] for link in links],
        "published": _minutes(once["published_at"], epoch),
        "by_day": {
            number: [(pd.Timestamp(known[0]) - epoch).days, words[known[1]]]
            for number, known in enumerate(days)
            if known
        },
        "known": _minutes(once["available_at"], epoch),
    }
    keys = ["headline_id", "issuer", "model_id"]
    read = causes.drop_duplicates(keys)
    models = (_text(name) or model for name, model in zip(read["model_name"], read["model_id"], strict=True))
    readings = {
        "headline": [place[headline_id] for headline_id in read["headline_id"]],
        "issuer": words.of(read["issuer"]),
        "model": words.of(models),
        "event": words.of(map(_text, read["event"])),
        **{name: _rounded(read[f"p_{name}"] * 100, 0) for name in ("negative", "neutral", "positive")},
    }
    reading = {key: number for number, key in enumerate(zip(*(read[name] for name in keys), strict=True))}
    places = [reading[key] for key in zip(*(causes[name] for name in keys), strict=True)]
    return {"columns": columns, "place": place}, readings, places


def _title(title: Any, headline_id: str) -> str:
    text = _text(title) or f"headline {headline_id} is no longer in the warehouse"
    return text if len(text) <= TITLE_AT_MOST else text[:TITLE_AT_MOST] + "\N{HORIZONTAL ELLIPSIS}"


def _link(url: Any) -> tuple[str, str] | None:
    """Return an address in two parts, scheme with host and the rest, or None where it must not be a link."""
    safe = safe_url(url)
    if safe is None or len(safe) > URL_AT_MOST:
        return None
    parts = urlsplit(safe)
    length = len(parts.scheme) + len("://") + len(parts.netloc)
    return safe[:length], safe[length:]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def first_headlines(report: RunReport) -> pd.DataFrame:
    """Return one row for each headline that stands first behind a fill, the earliest known first."""
    first = report.causes.drop_duplicates("fill_no").drop(columns="value")
    joined = first.merge(report.fills[["fill_no", "value", "realized"]], on="fill_no")
    by = joined.groupby("headline_id", sort=False).agg(
        available_at=("available_at", "first"), issuer=("issuer", "first"), event=("event", "first"),
        strength=("strength", "first"), fills=("fill_no", "size"), value=("value", "sum"),
        realized=("realized", "sum"),
    )  # fmt: skip
    return by.reset_index().sort_values(["available_at", "headline_id"], ignore_index=True)


def largest_headlines(first: pd.DataFrame) -> pd.DataFrame:
    """Return the `MARKS` rows of `first_headlines` behind the largest trades, in the order of time."""
    dated = first[first["available_at"].notna()]
    return dated.sort_values(["value", "headline_id"], ascending=[False, True]).head(MARKS).sort_index()


def _headlines_table(first: pd.DataFrame, base: str, epoch: pd.Timestamp, words: Places) -> dict[str, Any]:
    columns = [
        _column("known", "Known from, UTC", "time", _minutes(first["available_at"], epoch)),
        _column("headline", "Headline", "headline", [int(place) for place in first["place"]]),
        _column("issuer", "Issuer", "word", words.of(first["issuer"])),
        _column("event", "Event", "word", words.of(_text(event).replace("_", " ") for event in first["event"])),
        _column("strength", "Signal", "number", _rounded(first["strength"], 2), digits=2, signed=True),
        _column("fills", "Fills", "number", [int(count) for count in first["fills"]], digits=0),
        _column("value", f"Traded {base}", "number", _rounded(first["value"], 0), digits=0),
        _column("realized", f"Realized {base}", "number", _rounded(first["realized"], 0), digits=0),
    ]
    return {"name": "headlines", "columns": columns}


def _untraded_table(
    left: pd.DataFrame, place: Mapping[str, int], epoch: pd.Timestamp, words: Places
) -> dict[str, Any]:  # fmt: skip
    fates = (fate_text(fate, reason) for fate, reason in zip(left["fate"], left["reason"], strict=True))
    columns = [
        _column("known", "Known from, UTC", "time", _minutes(left["available_at"], epoch)),
        _column("headline", "Headline", "headline", [place[headline_id] for headline_id in left["headline_id"]]),
        _column("issuer", "Issuer", "word", words.of(map(_text, left["issuer"]))),
        _column("event", "Event", "word", words.of(_text(event).replace("_", " ") for event in left["event"])),
        _column("strength", "Signal", "number", _rounded(left["strength"], 2), digits=2, signed=True),
        _column("instrument", "Instrument", "word", words.of(map(_text, left["instrument"]))),
        _column("fate", "Fate", "word", words.of(fates)),
    ]
    return {"name": "untraded headlines", "columns": columns}


def _fragility_table(report: RunReport, words: Places) -> dict[str, Any]:
    rows = fragility_table(report)
    columns = [
        _column("change", "What was changed", "word", words.of(row[0] for row in rows)),
        _column("label", "How", "word", words.of(row[1] for row in rows)),
        _column("total_return", "Total return", "number", _rounded((row[2] for row in rows), 5), percent=True,
                signed=True),
        _column("sharpe", "Sharpe ratio", "number", _rounded((row[3] for row in rows), 3), digits=2),
    ]  # fmt: skip
    return {"name": "changed runs", "columns": columns}


# --- prices ----------------------------------------------------------------------------------------------


def _prices(report: RunReport, words: Places) -> dict[str, Any]:
    """Return one line of closes for each instrument traded, over the sessions of all of them.

    The instruments come by their traded value, the largest first: the page opens with that one.
    """
    closes = report.closes.pivot_table(index="session", columns="instrument", values="close", aggfunc="first")
    traded = report.fills.groupby("instrument").agg(value=("value", "sum"), currency=("currency", "first"))
    traded = traded[traded.index.isin(closes.columns)].sort_values("value", ascending=False, kind="stable")
    return {
        "days": [(day - report.days[0]).days for day in closes.index],
        "instruments": words.of(traded.index),
        "currencies": words.of(traded["currency"]),
        "closes": [[significant(close) for close in closes[name]] for name in traded.index],
    }
