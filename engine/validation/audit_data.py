"""The data audit: rows that could not be known when they say so, counted, with an example of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chipwire.data.errors import counted
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse, load_sql
from chipwire.engine.settings import Settings
from chipwire.engine.validation.audit_cut import Cut, copy_warehouse, cut_warehouse
from chipwire.signals.build import build_signals
from chipwire.signals.linking import Linker

LEAK, NOTE, OK, NONE = "leak", "note", "ok", "none"
_LOT_VENUES = ("XHKG", "XSHG")
_REBUILDS = 3
_SAME = 1e-9


@dataclass(frozen=True)
class DataFinding:
    """What one look at the data came to.

    Attributes
    ----------
    check : str
    result : str
        ``ok``; ``leak``: something counts as known before it was; ``note``: it cannot be proven either way;
        ``none``: there is nothing to look at.
    count : int
        Rows concerned.
    detail : str
        One line with an example.
    """

    check: str
    result: str
    count: int
    detail: str


def audit_data(warehouse: Warehouse, universe: Universe, settings: Settings, model_id: str | None) -> list[DataFinding]:
    """Look at all the data of a warehouse that a run could use, and say what could not be known then.

    Parameters
    ----------
    model_id : str or None
        None: the run reads no signals, and only prices and rates are looked at.
    """
    given = {"start": settings.start, "end": settings.end, "model": model_id, "linker": Linker(universe).id}
    found = []
    for name, result, text in _PRICES + (_NEWS if model_id is not None else ()):
        rows = warehouse.rows(load_sql("chipwire.engine.validation", f"data_{name}.sql"), _asked(name, given))
        found.append(_finding(name.replace("_", " "), result, text, rows))
    found.append(_with_lots(warehouse, universe, settings))
    if model_id is not None:
        found.append(_model(warehouse, settings, model_id))
        found += _rebuilt(warehouse, universe, settings, model_id)
    return found


_PRICES: tuple[tuple[str, str, str], ...] = (
    ("fx_early", LEAK, "rates count as known before the day of their fixing has ended"),
    ("bars_revised", NOTE, "bars came again with other values; the first are kept"),
    ("split_in_bars", LEAK, "splits are in the bars already, which say that they are not adjusted"),
)
_NEWS: tuple[tuple[str, str, str], ...] = (
    ("available_early", LEAK, "headlines count as known before they were published or seen"),
    ("day_stamped", LEAK, "headlines known by their day count as known before it has ended"),
    ("seen_before_published", NOTE, "headlines were seen before they were published: a clock or a zone is wrong"),
    ("zone", NOTE, "sources see every headline whole hours after it was published: a zone may be wrong"),
    ("signal_early", LEAK, "signals count as known before their headline"),
)


def _asked(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a statement names: DuckDB refuses others."""
    text = load_sql("chipwire.engine.validation", f"data_{name}.sql")
    return {key: value for key, value in given.items() if f"${key}" in text}


def _finding(check: str, result: str, text: str, rows: list[Any]) -> DataFinding:
    """Rows begin with an example in words."""
    if not rows:
        return DataFinding(check, OK, 0, "none found")
    return DataFinding(check, result, len(rows), f"{len(rows):,} {text}; e.g. {rows[0][0]}")


def _with_lots(warehouse: Warehouse, universe: Universe, settings: Settings) -> DataFinding:
    rows = warehouse.rows(
        "SELECT DISTINCT instrument FROM bar WHERE adjustment = 'split+dividend' AND interval = ? "
        "AND session BETWEEN ? AND ? ORDER BY instrument",
        [settings.interval, settings.start, settings.end],
    )
    own = [(name,) for (name,) in rows if name in universe.instruments
           and universe.instruments[name].venue in _LOT_VENUES and universe.instruments[name].tradable
           and name in (settings.instruments or (name,))]  # fmt: skip
    text = "instruments trade in lots at prices from which later dividends are taken off"
    return _finding("adjusted prices with lots", NOTE, text, own)


def _model(warehouse: Warehouse, settings: Settings, model_id: str) -> DataFinding:
    name, cutoff = warehouse.rows("SELECT name, training_cutoff FROM model WHERE model_id = ?", [model_id])[0]
    if cutoff is None:
        return DataFinding("model", NOTE, 1, f"the training cut-off of {name} is not known")
    if cutoff < settings.start:
        return DataFinding("model", OK, 0, f"{name} learnt from nothing after {cutoff}, before the run")
    count = warehouse.value(
        "SELECT count(DISTINCT headline_id) FROM signal WHERE model_id = ? AND available_at::DATE BETWEEN ? AND ?",
        [model_id, settings.start, min(cutoff, settings.end)],
    )
    where = "inside" if cutoff <= settings.end else "after"
    detail = f"the training cut-off of {name}, {cutoff}, lies {where} the run: it may have learnt from what followed"
    return DataFinding("model", NOTE, int(count), f"{detail} {counted(int(count), 'headline')}")


def _rebuilt(warehouse: Warehouse, universe: Universe, settings: Settings, model_id: str) -> Iterator[DataFinding]:
    """Build the signals anew: from all the news, and from what was known at some moments."""
    moments = [row[0] for row in warehouse.rows(
        "SELECT quantile_disc(available_at, [0.25, 0.5, 0.75]) FROM signal WHERE model_id = ? "
        "AND available_at::DATE BETWEEN ? AND ?", [model_id, settings.start, settings.end],
    )]  # fmt: skip
    instants: list[datetime] = list(moments[0] or [])[:_REBUILDS] if moments else []
    stored = _signals(warehouse, universe, model_id, None)
    readings = warehouse.value("SELECT count(*) FROM reading WHERE model_id = ?", [model_id])
    if not readings or not stored:
        yield DataFinding("signals rebuilt", NONE, 0, "there are no readings to build signals from")
        return
    with TemporaryDirectory(prefix="chipwire-audit-") as folder:
        whole = Path(folder) / "whole.duckdb"
        copy_warehouse(warehouse.path, whole)
        differing = _differing(stored, _build(whole, universe, model_id, None))
        text = "signals are not what their scores give"
        yield _finding("signals rebuilt", LEAK, text, [(one,) for one in differing])
        early: list[tuple[str]] = []
        for number, instant in enumerate(instants):
            part = Path(folder) / f"{number}.duckdb"
            copy_warehouse(whole, part)
            cut_warehouse(part, Cut(instant, "cut", ("headlines", "signals")), universe)
            known = {key: value for key, value in stored.items() if value[0] <= instant}
            early += [(one,) for one in _differing(known, _build(part, universe, model_id, instant))]
        text = "signals are others when built from what was known then"
        yield _finding("signals rebuilt as of then", LEAK, text, sorted(set(early)))


_Signal = tuple[datetime, float, float, float]


def _build(path: Path, universe: Universe, model_id: str, until: datetime | None) -> dict[tuple[str, ...], _Signal]:
    with Warehouse.open(path, write=True, create=False, command="chipwire audit") as copy:
        build_signals(copy, universe, model_id)
        return _signals(copy, universe, model_id, until)


def _signals(
    warehouse: Warehouse, universe: Universe, model_id: str, until: datetime | None
) -> dict[tuple[str, ...], _Signal]:
    rows = warehouse.rows(
        "SELECT headline_id, issuer, theme, available_at, value, novelty, relevance FROM signal "
        "WHERE model_id = $model AND linker = $linker AND ($until IS NULL OR available_at <= $until)",
        {"model": model_id, "linker": Linker(universe).id, "until": until},
    )
    return {row[:3]: row[3:] for row in rows}


def _differing(stored: dict[tuple[str, ...], _Signal], built: dict[tuple[str, ...], _Signal]) -> list[str]:
    found = []
    for key in sorted(stored.keys() | built.keys()):
        one, two = stored.get(key), built.get(key)
        if one is None or two is None:
            found.append(f"{key[0]} for {key[1]}: {'not stored' if one is None else 'not built'}")
        elif one[0] != two[0]:
            found.append(f"{key[0]} for {key[1]}: available_at {one[0]} stored, {two[0]} built")
        else:
            numbers = zip(("value", "novelty", "relevance"), one[1:], two[1:], strict=True)
            wrong = [f"{name} {a:g} stored, {b:g} built" for name, a, b in numbers if abs(a - b) > _SAME]
            found += [f"{key[0]} for {key[1]}: {words}" for words in wrong[:1]]
    return found
