"""Linking, scoring and signals over a small warehouse: append-only, counted, resumable after any kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from chipwire.data.errors import BadModel, NothingToDo, UnknownName
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.signals import scoring
from chipwire.signals.build import build_signals, list_signals, resolve_model, scoring_models
from chipwire.signals.exposure import ExposureTable, load_exposures
from chipwire.signals.exposure_rows import COLUMNS
from chipwire.signals.linking import Linker
from chipwire.signals.models import Item, ModelCard, Readings
from chipwire.signals.reading import Reader
from chipwire.signals.scoring import ScoreSummary, link_headlines, score_headlines

START = datetime(2024, 5, 6, 10, tzinfo=UTC).replace(tzinfo=None)
EVENTS = ("none", "chip_sale_ban")
SIGNS = {"Good": (0.1, 0.1, 0.8), "Bad": (0.7, 0.2, 0.1)}
MOVED = """{columns}
chip_sale_ban,*,/h20/,siyuan_maker,+1,0.8,2022-10-07,a ban leaves the market to it
chip_sale_ban,*,/h20/,domestic_cpu,+1,0.5,2024-05-06,it sells beside it
"""


class FakeModel:
    """Reads a title by its first word and takes "ban" for a ban; counts what it is asked."""

    def __init__(self, name: str = "fake", languages: tuple[str, ...] = ("en",)) -> None:
        self.card = ModelCard(name, languages, EVENTS, None, f"digest of {name}")
        self.asked: list[Item] = []

    def read(self, items: Sequence[Item]) -> Readings:
        self.asked += items
        signs = [SIGNS.get(item.text.split()[0], (0.1, 0.8, 0.1)) for item in items for _ in item.targets]
        bans = np.array([0.9 if " ban " in f" {item.text} " else 0.0 for item in items])
        nothing = np.zeros(len(items))
        return Readings(
            np.array(signs).reshape(-1, 3),
            np.full(len(signs), 0.75),
            np.stack([nothing + 0.4, nothing + 0.1, bans], axis=1),
            np.stack([1 - bans, bans], axis=1),
            np.stack([nothing, nothing + 0.125, nothing + 0.875], axis=1),
        )


def add(warehouse: Warehouse, rows: Sequence[tuple[str, str, datetime | None, str]], **more: Sequence[str]) -> None:
    ids, titles, times, languages = zip(*rows, strict=True)
    table = {
        "headline_id": ids,
        "title": titles,
        "available_at": pa.array(times, pa.timestamp("us")),
        "language": languages,
        "batch_id": [1] * len(rows),
        **more,
    }
    with warehouse.transaction():
        warehouse.insert("headline", pa.table(table))


@pytest.fixture
def warehouse(tmp_path: Path):
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def exposures(tmp_path_factory: pytest.TempPathFactory) -> ExposureTable:
    path = tmp_path_factory.mktemp("exposures") / "exposure.csv"
    path.write_text(MOVED.format(columns=",".join(COLUMNS)), "utf-8")
    return load_exposures(path, load_universe())


def run(
    warehouse: Warehouse, model: FakeModel, exposures: ExposureTable | None = None, *, masked: bool = False
) -> ScoreSummary:
    link_headlines(warehouse, load_universe())
    return score_headlines(warehouse, Reader(model, load_universe(), masked=masked, exposures=exposures))


def test_every_headline_is_scored_or_abstained_from_with_its_reason(warehouse, exposures) -> None:
    add(
        warehouse,
        [
            ("a", "Good quarter for Nvidia and AMD", START, "en"),
            ("b", "寒武纪业绩大涨", START, "zh"),
            ("c", "Potato farmers grow richer", START, "en"),
            ("d", "Bad ban of H20 chips", START, "en"),
            ("e", "Good week for chips", START, "en"),
        ],
    )
    done = run(warehouse, FakeModel(), exposures)
    assert (done.headlines, done.texts, done.direct, done.exposure, done.already) == (5, 3, 2, 3, 0)
    reasons = {
        "b": "language zh",
        "c": "names no issuer and is not about chips",
        "e": "names no issuer, and its event moves none of them",
    }
    assert done.abstained == dict.fromkeys(reasons.values(), 1)
    assert dict(warehouse.rows("SELECT headline_id, abstained FROM reading WHERE abstained IS NOT NULL")) == reasons
    found = warehouse.rows("SELECT headline_id, issuer, via FROM score ORDER BY ALL")
    assert found == [
        ("a", "AMD", "direct"),
        ("a", "NVIDIA", "direct"),
        ("d", "CAMBRICON", "exposure"),
        ("d", "HUAWEI", "exposure"),
        ("d", "HYGON", "exposure"),
    ]
    model = FakeModel()
    again = run(warehouse, model, exposures)
    assert (again.headlines, again.texts, again.direct, again.exposure, again.abstained) == (0, 0, 0, 0, {})
    assert again.already == 5
    assert not model.asked


def test_linked_names_that_mean_something_else_are_counted(warehouse, exposures) -> None:
    model = FakeModel()
    model.card = replace(model.card, least_meant=0.5)
    read = model.read

    def doubting(items: Sequence[Item]) -> Readings:
        said = read(items)
        meant = np.array([float(item.text.startswith("Good")) for item in items for _ in item.targets])
        return replace(said, relevance=np.full(len(meant), 0.25), meant=meant)

    model.read = doubting
    add(
        warehouse,
        [
            ("a", "Good quarter for Nvidia and AMD", START, "en"),
            ("b", "Bad pies of Intel and Qualcomm", START, "en"),
            ("c", "Bad pies of Intel again", START + timedelta(days=1), "en"),
        ],
    )
    link_headlines(warehouse, load_universe())
    done = score_headlines(warehouse, Reader(model, load_universe(), exposures=exposures))
    assert (done.direct, done.unmeant) == (2, 3)
    assert done.abstained == {"the name in it means something else": 2}
    assert warehouse.value("SELECT count(*) FROM mention") == 5  # what was linked stays as it was


def happens(tone: str, named: int = 1) -> float:
    """P of the ban by Bayes' rule: P(event) 0.9, for it 0.875, against it 0, and what is said of those it would hurt."""
    negative, neutral, _ = SIGNS[tone]
    ban = 0.9 * 0.875 * (negative + 0.5 * neutral) ** named
    nothing = (0.1 + 0.9 * 0.125) * 0.5**named
    return ban / (ban + nothing)


def test_what_the_model_said_is_stored_as_it_said_it(warehouse, exposures) -> None:
    add(warehouse, [("a", "Good news: Nvidia escapes a ban on H20 sales", START, "en")])
    run(warehouse, FakeModel(), exposures)
    columns = "p_negative, p_neutral, p_positive, p_relevant, reason"
    (direct,) = warehouse.rows(f"SELECT {columns} FROM score WHERE via = 'direct'")
    assert direct[:4] == (*SIGNS["Good"], 0.75)
    assert "'Nvidia'" in direct[4]
    (moved,) = warehouse.rows(f"SELECT {columns} FROM score WHERE issuer = 'CAMBRICON'")
    # The row's weight is 0.8.
    likely = happens("Good")
    assert moved[:4] == pytest.approx((0.0, 1 - likely * 0.8, likely * 0.8, 0.8))
    assert moved[4] == "a ban leaves the market to it"
    (read,) = warehouse.rows("SELECT p_ai_models, p_localization, p_sanctions, event, p_event, p_for FROM reading")
    assert read == (0.4, 0.1, 0.9, "chip_sale_ban", 0.9, 0.875)


def test_an_exposure_counts_from_the_day_on_which_it_was_known(warehouse, exposures) -> None:
    days = {"a": datetime(2022, 10, 6, 23), "b": datetime(2022, 10, 7), "c": START, "u": None}  # noqa: DTZ001
    add(warehouse, [(name, "A ban on H20 sales", at, "en") for name, at in days.items()])
    model = FakeModel()
    run(warehouse, model, exposures)
    assert len(model.asked) == 1  # the model sees the text once, whatever exposures held; the undated headline sees all
    found: dict[str, set[str]] = {}
    for headline, issuer in warehouse.rows("SELECT headline_id, issuer FROM score"):
        found.setdefault(headline, set()).add(issuer)
    late = {"CAMBRICON", "HYGON", "HUAWEI"}
    assert found == {"b": {"CAMBRICON"}, "c": late, "u": late}
    # Dated afterwards to a day on which its exposures were not yet known, a headline must not trade on them.
    for moment, expected in (("2022-10-08", {"b", "c"}), ("2024-05-06", {"b", "c", "u"})):
        warehouse.run("UPDATE headline SET available_at = ?::TIMESTAMP WHERE headline_id = 'u'", [moment])
        build_signals(warehouse, load_universe())
        assert {row[0] for row in warehouse.rows("SELECT headline_id FROM signal")} == expected


def test_a_text_that_stands_twice_is_read_once(warehouse) -> None:
    rows = [(f"h{n}", "Bad day for Intel", START + timedelta(days=n), "en") for n in range(5)]
    add(warehouse, rows)
    model = FakeModel()
    done = run(warehouse, model)
    assert (done.headlines, done.texts, done.direct) == (5, 1, 5)
    assert [item.text for item in model.asked] == ["Bad day for Intel"]


def test_an_issuer_named_only_below_the_title_is_read_from_the_whole_title(warehouse) -> None:
    rows = [(name, "Good quarter for Intel", START, "en") for name in "ab"]
    add(warehouse, rows, summary=["AMD is named here.", "Nobody else is named here."])
    model = FakeModel()
    assert run(warehouse, model).direct == 3
    assert sorted(len(item.targets) for item in model.asked) == [1, 2]
    below = warehouse.rows("SELECT headline_id, reason FROM score WHERE issuer = 'AMD'")
    assert below == [("a", "named in the text below the title")]


def test_a_masked_score_is_another_models_and_says_so(warehouse) -> None:
    add(warehouse, [("a", "Good quarter for Nvidia, not for AMD", START, "en")])
    open_, masked = run(warehouse, FakeModel()), run(warehouse, model := FakeModel(), masked=True)
    assert open_.model_id != masked.model_id
    assert dict(warehouse.rows("SELECT model_id, masked FROM model")) == {
        open_.model_id: False,
        masked.model_id: True,
    }
    assert sorted(item.text for item in model.asked) == [
        "Good quarter for OTHER, not for TARGET",
        "Good quarter for TARGET, not for OTHER",
    ]
    assert warehouse.value("SELECT count(*) FROM score") == 4


def test_what_makes_a_score_is_recorded_with_its_model(warehouse, exposures) -> None:
    add(warehouse, [("a", "Good quarter for Nvidia", START, "en")])
    first, second = run(warehouse, FakeModel()), run(warehouse, FakeModel(), exposures)
    assert first.model_id != second.model_id
    found = warehouse.rows("SELECT exposures, linker FROM model WHERE model_id = ?", [second.model_id])
    assert found == [(exposures.id, Linker(load_universe()).id)]


def test_a_second_model_scores_beside_the_first_and_the_last_one_is_the_default(warehouse) -> None:
    add(warehouse, [("a", "Good quarter for Nvidia", START, "en")])
    first, second = run(warehouse, FakeModel("one")), run(warehouse, FakeModel("two"))
    assert warehouse.value("SELECT count(*) FROM score") == 2
    assert resolve_model(warehouse, None) == second.model_id
    assert resolve_model(warehouse, "one") == resolve_model(warehouse, first.model_id) == first.model_id
    with pytest.raises(UnknownName, match="did you mean 'two'") as caught:
        resolve_model(warehouse, "twoo")
    assert f"two ({second.model_id}), one ({first.model_id})" in str(caught.value)


def test_a_model_that_scores_again_is_the_default_though_it_finds_nothing_new(warehouse) -> None:
    add(warehouse, [("a", "Good quarter for Nvidia", START, "en")])
    first, second = run(warehouse, FakeModel("one")), run(warehouse, FakeModel("two"))
    again = run(warehouse, FakeModel("one"))
    assert (again.texts, again.model_id) == (0, first.model_id)
    assert [model_id for model_id, _ in scoring_models(warehouse)] == [first.model_id, second.model_id]
    batches = warehouse.value("SELECT count(*) FROM batch")
    run(warehouse, FakeModel("one"))
    assert warehouse.value("SELECT count(*) FROM batch") == batches


def test_without_headlines_or_scores_the_next_command_is_named(warehouse) -> None:
    with pytest.raises(NothingToDo, match="chipwire ingest news"):
        run(warehouse, FakeModel())
    with pytest.raises(NothingToDo, match="chipwire score"):
        build_signals(warehouse, load_universe())


def test_a_model_that_fails_loses_only_the_batch_that_it_failed_on(warehouse, monkeypatch) -> None:
    class Broken(FakeModel):
        def read(self, items: Sequence[Item]) -> Readings:
            if any("day 5" in item.text for item in items):
                raise BadModel("broken", "it returns values that are not numbers")
            return super().read(items)

    monkeypatch.setattr(scoring, "SCORE_BATCH", 2)
    add(warehouse, [(f"h{n}", f"Good day {n} for Intel", START + timedelta(days=n), "en") for n in range(8)])
    with pytest.raises(BadModel, match="not numbers"):
        run(warehouse, Broken())
    assert warehouse.rows("SELECT headline_id FROM score ORDER BY 1") == [("h0",), ("h1",), ("h2",), ("h3",)]
    assert run(warehouse, FakeModel("broken")).already == 0  # another model's files: nothing is shared


def test_a_slow_model_loses_no_more_than_some_pieces(warehouse) -> None:
    model = FakeModel()
    model.card = replace(model.card, piece=1)
    add(warehouse, [(f"h{n}", f"Good day {n} for Intel", START + timedelta(days=n), "en") for n in range(9)])
    run(warehouse, model)
    batches = warehouse.rows("SELECT rows_read FROM batch WHERE command = 'score' AND rows_read > 0 ORDER BY batch_id")
    assert batches == [(4,), (4,), (1,)]


# --- signals ---------------------------------------------------------------------------------------------


def test_themes_that_pass_share_the_weight_and_undated_headlines_give_no_signal(warehouse) -> None:
    add(
        warehouse,
        [(name, f"Good quarter for SMIC {name}", START, "en") for name in "abc"]
        + [("u", "Good quarter for SMIC, undated", None, "en")],
    )
    run(warehouse, FakeModel())
    themes = {"a": (0.6, 0.9, 0.5), "b": (0.5, 0.4, 0.1), "c": (0.0, 0.0, 0.51)}
    for name, values in themes.items():
        sql = "UPDATE reading SET p_ai_models = ?, p_localization = ?, p_sanctions = ? WHERE headline_id = ?"
        warehouse.run(sql, [*values, name])
    built = build_signals(warehouse, load_universe())
    found: dict[str, dict[str, float]] = {}
    for headline, theme, weight in warehouse.rows("SELECT headline_id, theme, theme_weight FROM signal"):
        found.setdefault(headline, {})[theme] = weight
    assert found == {
        "a": {"ai_models": pytest.approx(0.6 / 1.5), "localization": pytest.approx(0.9 / 1.5)},
        "b": {"none": 1.0},
        "c": {"sanctions": 1.0},
    }
    assert (built.signals, built.headlines, built.undated) == (4, 3, 1)
    assert built.by_theme == {"ai_models": 1, "localization": 1, "none": 1, "sanctions": 1}


def test_relevance_is_the_links_and_the_models_or_the_exposures_weight(warehouse, exposures) -> None:
    add(warehouse, [("a", "Bad news for Nvidia and AMD: a ban on H20 sales", START, "en")])
    run(warehouse, FakeModel(), exposures)
    built = build_signals(warehouse, load_universe())
    rows = warehouse.rows("SELECT issuer, via, value, relevance, event FROM signal WHERE theme = 'sanctions'")
    found = {issuer: rest for issuer, *rest in rows}
    # Two issuers share the title: the linker gives each 1 / 1.25, of which the model believes 0.75.
    assert found["NVIDIA"] == ["direct", pytest.approx(0.1 - 0.7), pytest.approx(0.75 / 1.25), "chip_sale_ban"]
    assert found["CAMBRICON"] == ["exposure", pytest.approx(happens("Bad", named=2) * 0.8), 0.8, "chip_sale_ban"]
    assert built.by_via == {"direct": 2, "exposure": 3}


def test_building_again_changes_nothing_and_listing_is_newest_first(warehouse) -> None:
    add(warehouse, [(f"h{n}", "Bad day for Intel", START + timedelta(days=n), "en") for n in range(4)])
    run(warehouse, FakeModel())
    build_signals(warehouse, load_universe())
    before = warehouse.table_digest("signal")
    build_signals(warehouse, load_universe())
    assert warehouse.table_digest("signal") == before
    listed = list_signals(warehouse, load_universe(), None, "INTEL", 2)
    assert [row["available_at"] for row in listed] == [START + timedelta(days=3), START + timedelta(days=2)]
    assert {(row["via"], row["reason"]) for row in listed} == {("direct", "named as 'Intel'")}
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
scoring.LINK_BATCH = scoring.LOOK_BATCH = 40
scoring.SCORE_BATCH = 8
limit, place, number = int(sys.argv[3]), sys.argv[4], 0

def strike(where):
    global number
    number += where == place
    if where == place and number == limit:
        os.kill(os.getpid(), signal.SIGKILL)

class Model(tests.FakeModel):
    def read(self, items):
        strike("asked")
        return super().read(items)

inner = Warehouse.append
def append(self, table, rows):
    added = inner(self, table, rows)
    strike(table)
    return added
Warehouse.append = append
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
    [
        ("asked", 1), ("asked", 6), ("reading", 1), ("reading", 3), ("score", 1), ("score", 5), ("committed", 1),
        ("committed", 4), ("linked", 2),
    ],
)  # fmt: skip
def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path: Path, place: str, limit: int) -> None:
    rows = [(f"h{n:03}", f"Good day {n} for Intel and TSMC", START + timedelta(hours=n), "en") for n in range(60)]
    rows += [(f"x{n:03}", f"Farmers meet for the {n}th time", START + timedelta(hours=n), "en") for n in range(40)]
    paths = {name: tmp_path / f"{name}.duckdb" for name in ("killed", "whole")}
    for path in paths.values():
        with Warehouse.open(path, write=True) as warehouse:
            add(warehouse, rows)

    def call(path: Path, stop: int) -> int:
        command = [sys.executable, "-c", KILLED, __file__, str(path), str(stop), place]
        return subprocess.run(command, capture_output=True).returncode

    assert call(paths["killed"], limit) == -signal.SIGKILL
    with Warehouse.open(paths["killed"]) as warehouse:
        # A prefix of whole batches: what was committed, nothing of what was not.
        read, scored = warehouse.rows("SELECT sum(rows_read), sum(rows_added) FROM batch WHERE command = 'score'")[0]
        assert warehouse.value("SELECT count(*) FROM reading") == (read or 0)
        assert warehouse.value("SELECT count(*) FROM score") == (scored or 0)
        torn = "SELECT count(*) FROM reading WHERE abstained IS NULL AND headline_id NOT IN (SELECT headline_id FROM score)"
        assert warehouse.value(torn) == 0
    assert call(paths["killed"], -1) == 0
    assert call(paths["whole"], -1) == 0
    found = []
    for path in paths.values():
        with Warehouse.open(path) as warehouse:
            found.append(
                [
                    warehouse.rows(f"SELECT * EXCLUDE (batch_id) FROM {table} ORDER BY ALL")
                    for table in ("score", "reading")
                ]
                + [warehouse.rows("SELECT * FROM linked ORDER BY ALL")]
            )
    assert [len(rows) for rows in found[0]] == [120, 100, 100]
    assert found[0] == found[1]


# --- memory ----------------------------------------------------------------------------------------------

MANY = """
INSERT INTO headline (headline_id, title, language, available_at, batch_id)
SELECT printf('%016x', n), repeat(md5(n::VARCHAR), 6), 'en', TIMESTAMP '2020-01-01' + to_minutes(n::INTEGER), 1
FROM range(60_000) AS t (n)
"""


def test_what_is_to_be_read_is_found_in_less_memory_than_the_titles_take(tmp_path: Path) -> None:
    """60,000 titles of 192 characters; with all joins in one statement 48 MB did not do, nor 384 MB for a million."""
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:
        warehouse.run(MANY)
        warehouse.run("INSERT INTO linked SELECT headline_id, 'linker' FROM headline")
        warehouse.run(
            "INSERT INTO mention SELECT headline_id, i, 'direct', 1, i, 'linker' "
            "FROM headline, (VALUES ('INTEL'), ('AMD')) AS v (i) WHERE hash(headline_id) % 10 = 0"
        )
    exposures = SimpleNamespace(
        rows=[SimpleNamespace(valid_from=date(2019, 1, 1)), SimpleNamespace(valid_from=date(2020, 2, 1))]
    )
    reader = SimpleNamespace(id="model", linker_id="linker", exposures=exposures)
    with Warehouse.open(tmp_path / "w.duckdb", write=True, memory="48MB", threads=2) as warehouse:
        assert scoring._gather(warehouse, reader) == 60_000  # type: ignore[arg-type]  # a stand-in
        texts = [text for batch in scoring._texts(warehouse) for text in batch]
    assert len({text.title for text in texts}) == len(texts) == 60_000
    assert {text.issuers for text in texts} == {(), ("AMD", "INTEL")}
    days = Counter(day for text in texts for day, _ in text.days)
    # 31 days of January by the minute, and 15,360 minutes more.
    assert days == {date(2019, 1, 1): 31 * 1_440, date(2020, 2, 1): 60_000 - 31 * 1_440}
