"""Linking, scoring and signals over a small warehouse: append-only, counted, resumable after any kill."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from chipwire.data.errors import BadModel, NothingToDo, UnknownName
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.signals.build import build_signals, list_signals, resolve_model
from chipwire.signals.models import LABELS, ModelCard
from chipwire.signals.scoring import link_headlines, score_headlines

START = datetime(2024, 5, 6, 10, tzinfo=UTC).replace(tzinfo=None)


class FakeModel:
    """Reads a title by its first word; counts what it is asked."""

    def __init__(self, name: str = "fake", languages: tuple[str, ...] = ("en",)) -> None:
        self.card = ModelCard(name, LABELS, True, languages, None, 96, 1.0, f"digest of {name}")
        self.asked: list[tuple[str, str]] = []

    def logits(self, texts: Sequence[tuple[str, str]]) -> np.ndarray:
        self.asked += texts
        good = {"Good": (0.0, 0.0, 4.0), "Bad": (4.0, 0.0, 0.0)}
        return np.array([good.get(text.split()[0].rstrip(":"), (0.0, 4.0, 0.0)) for text, _ in texts])


def add(warehouse: Warehouse, rows: Sequence[tuple[str, str, datetime | None, str]]) -> None:
    ids, titles, times, languages = zip(*rows, strict=True)
    table = {
        "headline_id": ids,
        "title": titles,
        "available_at": pa.array(times, pa.timestamp("us")),
        "language": languages,
        "batch_id": [1] * len(rows),
    }
    with warehouse.transaction():
        warehouse.insert("headline", pa.table(table))


@pytest.fixture
def warehouse(tmp_path: Path):
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as opened:
        yield opened


def run(warehouse: Warehouse, model: FakeModel):
    link_headlines(warehouse, load_universe())
    return score_headlines(warehouse, model, load_universe())


def test_only_named_issuers_in_languages_that_the_model_reads_are_scored(warehouse: Warehouse) -> None:
    add(
        warehouse,
        [
            ("a", "Good quarter for Nvidia and AMD", START, "en"),
            ("b", "寒武纪业绩大涨", START, "zh"),
            ("c", "Potato chip maker grows", START, "en"),
        ],
    )
    done = run(warehouse, FakeModel())
    assert (done.scored, done.abstained, done.already) == (2, {"language zh": 1}, 0)
    assert warehouse.rows("SELECT headline_id, issuer FROM score ORDER BY issuer") == [("a", "AMD"), ("a", "NVIDIA")]
    assert warehouse.rows("SELECT headline_id, issuer, reason FROM abstention") == [("b", "CAMBRICON", "language zh")]
    again = run(warehouse, FakeModel())
    assert (again.scored, again.abstained, again.already) == (0, {}, 3)


def test_probabilities_are_the_softmax_of_what_the_model_says(warehouse: Warehouse) -> None:
    add(warehouse, [("a", "Good quarter for Nvidia", START, "en")])
    run(warehouse, FakeModel())
    p = 1 / (2 + math.exp(4))
    (found,) = warehouse.rows("SELECT p_negative, p_neutral, p_positive FROM score")
    assert found == pytest.approx((p, p, 1 - 2 * p), abs=1e-12)


def test_a_text_that_stands_twice_is_read_once(warehouse: Warehouse) -> None:
    rows = [(f"h{n}", "Bad day for Intel", START + timedelta(days=n), "en") for n in range(5)]
    add(warehouse, rows)
    model = FakeModel()
    assert run(warehouse, model).scored == 5
    assert model.asked == [("Bad day for Intel", "Intel")]


def test_a_second_model_scores_beside_the_first_and_the_last_one_is_the_default(warehouse: Warehouse) -> None:
    add(warehouse, [("a", "Good quarter for Nvidia", START, "en")])
    first, second = run(warehouse, FakeModel("one")), run(warehouse, FakeModel("two"))
    assert warehouse.value("SELECT count(*) FROM score") == 2
    assert resolve_model(warehouse, None) == second.model_id
    assert resolve_model(warehouse, "one") == resolve_model(warehouse, first.model_id) == first.model_id
    with pytest.raises(UnknownName, match="did you mean 'two'"):
        resolve_model(warehouse, "twoo")


def test_without_headlines_or_scores_the_next_command_is_named(warehouse: Warehouse) -> None:
    with pytest.raises(NothingToDo, match="chipwire ingest news"):
        run(warehouse, FakeModel())
    with pytest.raises(NothingToDo, match="chipwire score"):
        build_signals(warehouse, load_universe())


def test_a_model_that_gives_no_number_is_refused_and_nothing_is_kept(warehouse: Warehouse) -> None:
    class Broken(FakeModel):
        def logits(self, texts: Sequence[tuple[str, str]]) -> np.ndarray:
            return np.full((len(texts), 3), np.nan)

    add(warehouse, [("a", "Good quarter for Nvidia", START, "en")])
    with pytest.raises(BadModel, match="not numbers"):
        run(warehouse, Broken())
    assert warehouse.value("SELECT count(*) FROM score") == 0


# --- signals ---------------------------------------------------------------------------------------------


def signals(warehouse: Warehouse) -> dict[tuple[str, str, str], tuple[float, float, float]]:
    rows = warehouse.rows("SELECT headline_id, issuer, theme, value, novelty, theme_weight FROM signal")
    return {row[:3]: row[3:] for row in rows}


def test_novelty_counts_earlier_stories_only(warehouse: Warehouse) -> None:
    def at(hours: float) -> datetime:
        return START + timedelta(hours=hours)

    add(
        warehouse,
        [
            ("a", "Good: US lifts export curbs on Nvidia sales", at(0), "en"),
            ("b", "Good: US lifts export curbs on Nvidia sales again", at(5), "en"),
            ("c", "Good: US lifts export curbs on Nvidia sales too", at(5), "en"),
            ("d", "Bad: US lifts export curbs on Nvidia sales", at(6), "en"),
            ("e", "Good: US lifts export curbs on Nvidia sales later", at(5 + 72.5), "en"),
            ("f", "Good: US lifts export curbs on AMD sales", at(7), "en"),
        ],
    )
    run(warehouse, FakeModel())
    build_signals(warehouse, load_universe())
    novelty = {key[0]: found[1] for key, found in signals(warehouse).items() if key[2] == "sanctions"}
    # b comes second, c (same instant, greater id) third; d points the other way; e is alone after three days; f is AMD.
    assert novelty == pytest.approx({"a": 1, "b": 1 / 2, "c": 1 / 3, "d": 1, "e": 1, "f": 1})
    add(warehouse, [("0", "Good: US lifts export curbs on Nvidia sales early", at(-1), "en")])
    run(warehouse, FakeModel())
    build_signals(warehouse, load_universe())
    novelty = {key[0]: found[1] for key, found in signals(warehouse).items() if key[2] == "sanctions"}
    assert novelty["0"] == 1
    assert novelty["a"] == pytest.approx(1 / 2)


def test_themes_share_the_weight_and_undated_headlines_give_no_signal(warehouse: Warehouse) -> None:
    add(
        warehouse,
        [
            ("a", "Good: export ban speeds self-reliance, SMIC says", START, "en"),
            ("b", "Good quarter for SMIC", START, "en"),
            ("c", "Good quarter for SMIC, undated", None, "en"),
        ],
    )
    run(warehouse, FakeModel())
    built = build_signals(warehouse, load_universe())
    found = signals(warehouse)
    assert {key[2]: value[2] for key, value in found.items() if key[0] == "a"} == {
        "localization": 0.5,
        "sanctions": 0.5,
    }
    assert {key[2]: value[2] for key, value in found.items() if key[0] == "b"} == {"none": 1.0}
    assert not [key for key in found if key[0] == "c"]
    assert (built.signals, built.headlines, built.undated) == (3, 2, 1)


def test_building_again_changes_nothing_and_listing_is_newest_first(warehouse: Warehouse) -> None:
    add(warehouse, [(f"h{n}", "Bad day for Intel", START + timedelta(days=n), "en") for n in range(4)])
    run(warehouse, FakeModel())
    build_signals(warehouse, load_universe())
    before = warehouse.table_digest("signal")
    build_signals(warehouse, load_universe())
    assert warehouse.table_digest("signal") == before
    listed = list_signals(warehouse, load_universe(), None, "INTEL", 2)
    assert [row["available_at"] for row in listed] == [START + timedelta(days=3), START + timedelta(days=2)]
    with pytest.raises(UnknownName, match="issuer"):
        list_signals(warehouse, load_universe(), None, "INTELL", 2)


# --- kill ------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("scoring_tests", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
from chipwire.signals import scoring
from chipwire.data.warehouse import Warehouse
scoring.SCORE_BATCH = scoring.LINK_BATCH = 16
limit, place, number = int(sys.argv[3]), sys.argv[4], 0

def strike(where):
    global number
    number += where == place
    if where == place and number == limit:
        os.kill(os.getpid(), signal.SIGKILL)

class Model(tests.FakeModel):
    def logits(self, texts):
        strike("reading")
        return super().logits(texts)

inner = Warehouse.insert
def insert(self, table, rows):
    added = inner(self, table, rows)
    strike(table)
    return added
Warehouse.insert = insert
after = Warehouse.acknowledge
def acknowledge(self):
    strike("committed")
    return after(self)
Warehouse.acknowledge = acknowledge
with Warehouse.open(sys.argv[2], write=True) as warehouse:
    tests.run(warehouse, Model())
"""


@pytest.mark.parametrize(
    ("place", "limit"),
    [("reading", 1), ("reading", 4), ("score", 1), ("score", 3), ("committed", 1), ("committed", 4), ("linked", 2)],
)
def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path: Path, place: str, limit: int) -> None:
    rows = [(f"h{n:03}", f"Good day {n} for Intel and TSMC", START + timedelta(hours=n), "en") for n in range(60)]
    paths = {name: tmp_path / f"{name}.duckdb" for name in ("killed", "whole")}
    for path in paths.values():
        with Warehouse.open(path, write=True) as warehouse:
            add(warehouse, rows)

    def call(path: Path, stop: int) -> int:
        command = [sys.executable, "-c", KILLED, __file__, str(path), str(stop), place]
        return subprocess.run(command, capture_output=True).returncode

    assert call(paths["killed"], limit) == -signal.SIGKILL
    with Warehouse.open(paths["killed"]) as warehouse:
        batches = warehouse.rows("SELECT batch_id, rows_added FROM batch WHERE command = 'score' ORDER BY batch_id")
        scored = warehouse.value("SELECT count(*) FROM score")
        # A prefix of whole batches: what was committed, nothing of what was not.
        assert scored == sum(count for _, count in batches) == 16 * len(batches)
    assert call(paths["killed"], -1) == 0
    assert call(paths["whole"], -1) == 0
    found = []
    for path in paths.values():
        with Warehouse.open(path) as warehouse:
            scores = warehouse.rows("SELECT * EXCLUDE (batch_id) FROM score ORDER BY ALL")
            found.append((scores, warehouse.rows("SELECT * FROM linked ORDER BY ALL")))
            assert warehouse.value("SELECT count(*) FROM score") == 120
    assert found[0] == found[1]
