"""What became of every headline of a run, and what stands behind every fill, from the rows that the run left.

The decisions are those of the run's own loader; what a strategy read at each of them is not stored, and
`chipwire.reports.lineage_replay` finds it out by running it once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.backtest import data_fingerprint
from chipwire.engine.market import Market, VenueMarket, load_market
from chipwire.engine.settings import Settings
from chipwire.engine.view import LOOKBACK_LIMIT_DAYS, SignalBook, load_signals
from chipwire.reports.collect import RunInfo
from chipwire.signals.linking import Linker

FATES: Mapping[str, str] = {
    "filled": "stands behind a fill",
    "not_filled": "the order at its first decision was not filled",
    "outweighed": "at its first decision was traded, with five stronger headlines behind the order",
    "no_change": "at its first decision the strategy wanted what was held already",
    "not_chosen": "at its first decision the strategy wanted none of the instrument",
    "below_threshold": "the size of value x relevance is below the strategy's threshold",
    "low_novelty": "its novelty is below the strategy's least",
    "neutral": "its signal takes no side: value or relevance is 0",
    "too_old": "older than the strategy looks back, at its first decision",
    "before_run": "known before the run's first decision, and the strategy trades on what is new",
    "other_theme": "its themes are none of the strategy's",
    "too_late": "known after the last decision of the run at the venue",
    "no_instrument": "no instrument of the issuer is in the run",
    "no_signal": "scored for the issuer, but no signal was built of it",
    "no_issuer": "names no issuer and moves none",
    "abstained": "the reader abstained",
    "not_read": "the run's model has not read it",
    "not_linked": "not linked with the universe that is used now",
    "no_reader": "the strategy reads no news",
    "too_early": "known longer before the start than any strategy can look back",
    "no_date": "has no date of publication",
}
"""What can become of a headline for an instrument, the farthest way first; a headline's own fate is the first of
those of its rows."""


def words(fate: str) -> str:
    """Return a fate's key as words."""
    return fate.replace("_", " ")


@dataclass(frozen=True)
class Rules:
    """What a strategy that ships with chipwire never trades on, as far as one signal alone decides it.

    None: not known, or no such bound. `fresh`: it reads only what became known after its last decision.
    """

    themes: tuple[str, ...] | None = None
    threshold: float | None = None
    min_novelty: float | None = None
    lookback_days: float | None = None
    fresh: bool = False


def rules_of(strategy: str, params: Mapping[str, Any]) -> Rules:
    """Return the rules of a run's strategy; for one from elsewhere none is known."""
    themes = tuple(str(params.get("themes", "")).split(","))
    if strategy in ("event-drift", "dual-listing"):
        return Rules(themes, float(params["threshold"]), float(params["min_novelty"]), fresh=True)
    if strategy in ("theme-momentum", "fade-mania"):
        return Rules(themes, lookback_days=float(params["lookback"]))
    if strategy == "sanctions-pair":
        return Rules(("sanctions",), lookback_days=float(params["lookback"]))
    return Rules()


@dataclass(frozen=True)
class RunData:
    """What a run read, loaded as the run loaded it.

    Attributes
    ----------
    book : SignalBook or None
        None for a strategy that reads no news.
    linker : str
        Of the universe that is used now.
    """

    run: RunInfo
    settings: Settings
    market: Market
    book: SignalBook | None
    linker: str
    issuers: Mapping[str, str | None]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the data as it is now; the run's own where nothing has changed."""
        return data_fingerprint(self.market, self.book)

    @property
    def changed(self) -> str:
        """Say that the data is no longer what the run read; empty while it is."""
        if self.fingerprint == self.run.data_fingerprint:
            return ""
        return (
            f"the data has changed since the run (it read {self.run.data_fingerprint}, now it is {self.fingerprint}): "
            "what is said of headlines without a fill is of the data as it is now"
        )


def load_run_data(warehouse: Warehouse, universe: Universe, run: RunInfo) -> RunData:
    """Load what a stored run read.

    Raises
    ------
    NothingToDo, UnknownName, DomainError
        The bars or rates have gone, or the universe does not know an instrument; see `load_market`.
    """
    settings = Settings.from_json(run.settings)
    market = load_market(warehouse, universe, settings)
    linker = Linker(universe).id
    book = None if run.model_id is None else load_signals(warehouse, settings, run.model_id, linker)
    issuers = {symbol: universe.instrument(symbol).issuer for symbol in market.symbols}
    return RunData(run, settings, market, book, linker, issuers)


def fates(warehouse: Warehouse, data: RunData, headline_id: str | None = None) -> pd.DataFrame:
    """Return what became of each headline of the run, a row for each issuer and instrument.

    Parameters
    ----------
    data : RunData
        From `load_run_data`.
    headline_id : str, optional
        Of this one alone, whenever it became known; else of all without a date and of all that became known from
        365 days before the start to the end of the last day.

    Returns
    -------
    DataFrame
        Columns as at the end of ``lineage.sql``; ``fate`` is a key of `FATES`. Instants are UTC without a zone, with
        the run's latency in ``available_at``.
    """
    decisions, listings = _decisions(data), _listings(data)
    rules = rules_of(data.run.strategy, data.run.params)
    first, last = span(data)
    lookback = LOOKBACK_LIMIT_DAYS if rules.lookback_days is None else rules.lookback_days
    given = {
        "run": data.run.run_id, "model": data.run.model_id, "linker": data.linker, "headline": headline_id,
        "first": first, "last": last, "latency": timedelta(minutes=data.settings.latency_minutes),
        "lookback": timedelta(days=lookback), "themes": None if rules.themes is None else list(rules.themes),
        "threshold": rules.threshold, "min_novelty": rules.min_novelty,
    }  # fmt: skip
    return warehouse.frame(load_sql("chipwire.reports", "lineage.sql"), given, decisions=decisions, listings=listings)


def span(data: RunData) -> tuple[datetime, datetime]:
    """Return from when to when a headline must have become known to be one of the run's, UTC without a zone."""
    start = datetime.combine(data.settings.start, datetime.min.time()) - timedelta(days=LOOKBACK_LIMIT_DAYS)
    return start, datetime.combine(data.settings.end, datetime.max.time())


def counts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return ``fate``, ``reason``, ``headlines`` and ``meaning``: each headline counted once, by its farthest fate."""
    best = by_headline(frame)
    reasons = best["reason"].fillna("").where(best["fate"].isin(_WITH_REASON), "")
    sizes = Counter(zip(best["fate"], reasons, strict=True))
    order = {fate: place for place, fate in enumerate(FATES)}
    return [
        {"fate": fate, "reason": reason, "headlines": number, "meaning": FATES[fate]}
        for (fate, reason), number in sorted(sizes.items(), key=lambda size: (order[size[0][0]], -size[1], size[0][1]))
    ]


_WITH_REASON = ("abstained", "no_issuer", "not_filled")


def by_headline(frame: pd.DataFrame) -> pd.DataFrame:
    """Return of each headline the row that got farthest, in the order of the frame."""
    if frame["headline_id"].is_unique:
        return frame
    rank = frame["fate"].map({fate: place for place, fate in enumerate(FATES)}).to_numpy()
    headline = pd.factorize(frame["headline_id"])[0]
    # Only numbers are put in order: a frame of all headlines is slow to move.
    order = np.lexsort((rank, headline))
    first = np.append(True, np.diff(headline[order]) != 0)[: len(order)]
    return frame.iloc[np.sort(order[first])]


def _decisions(data: RunData) -> pd.DataFrame:
    """Return all decisions of the run, ``venue`` and ``decision_at``."""
    parts = [
        pd.DataFrame({"venue": venue.mic, "decision_at": venue.decide_at[venue.first :]})
        for venue in data.market.venues
    ]
    return pd.concat(parts, ignore_index=True)


def _listings(data: RunData) -> pd.DataFrame:
    """Return the run's instruments with an issuer, and until when known news is never traded on."""
    fresh = rules_of(data.run.strategy, data.run.params).fresh
    rows = [
        (i.symbol, i.issuer, venue.mic, _first_told(data, venue, i.issuer) if fresh else np.datetime64("NaT", "us"))
        for venue in data.market.venues
        for i in venue.instruments
        if i.issuer is not None and len(venue.decide_at) > venue.first
    ]
    words = {name: pd.Series([row[place] for row in rows], dtype="string") for place, name in enumerate(_LISTED)}
    return pd.DataFrame({**words, "read_after": np.array([row[3] for row in rows], dtype="datetime64[us]")})


_LISTED = ("instrument", "issuer", "venue")


def _first_told(data: RunData, own: VenueMarket, issuer: str) -> np.datetime64:
    """Return the decision from which on news counts as new: the venue's first, or that of any of the listings."""
    if data.run.strategy != "dual-listing":
        first: np.datetime64 = own.decide_at[own.first]
        return first
    heard = [
        venue.decide_at[venue.first]
        for venue in data.market.venues
        if len(venue.decide_at) > venue.first and any(i.issuer == issuer for i in venue.instruments)
    ]
    return min(heard)
