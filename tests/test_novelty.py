"""Novelty: a story that says what earlier ones said counts less; nothing that comes later changes it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.signals import build
from chipwire.signals import novelty as compared
from chipwire.signals.build import build_signals
from chipwire.signals.linking import Linker
from chipwire.signals.novelty import ALIKE_HIGH, ALIKE_LOW, SAME_WORDING, SURE_EVENT, WINDOW_DAYS

UNIVERSE = load_universe()
LINKER = Linker(UNIVERSE).id
START = datetime(2024, 5, 6, 10)  # noqa: DTZ001 - as the warehouse has it: UTC without a zone


@dataclass(frozen=True)
class Story:
    """One reading of one issuer; its wording is a direction in the plane, in degrees."""

    id: str
    hours: float = 0.0
    angle: float = 0.0
    issuer: str = "NVIDIA"
    event: str | None = "relaxation"
    value: float = 0.6
    via: str = "direct"
    sure: float = 0.9

    @property
    def at(self) -> datetime:
        return START + timedelta(hours=self.hours)

    @property
    def sign(self) -> int:
        leans = abs(self.value) > (0.2 if self.via == "direct" else 0.0)
        return int(math.copysign(1, self.value)) if leans else 0


def angle_of(cosine: float) -> float:
    return math.degrees(math.acos(cosine))


def expected(stories: Sequence[Story], *, embedded: bool) -> dict[str, float]:
    """Work novelty out pair by pair."""
    found = {}
    for story in stories:
        told = 0.0
        for other in stories:
            age = story.at - other.at
            earlier = timedelta(0) < age <= timedelta(days=WINDOW_DAYS) or (age == timedelta(0) and other.id < story.id)
            if not earlier or other.issuer != story.issuer:
                continue
            same_event = other.event == story.event or min(other.sure, story.sure) < SURE_EVENT
            same_news = other.sign == story.sign and (same_event if embedded else other.event == story.event)
            cosine = math.cos(math.radians(story.angle - other.angle))
            if not embedded:
                told += same_news
            elif same_news or cosine >= SAME_WORDING:
                told += min(1.0, max(0.0, (cosine - ALIKE_LOW) / (ALIKE_HIGH - ALIKE_LOW)))
        found[story.id] = 1 / (1 + told)
    return found


class _Undo(Exception):
    pass


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory):
    with Warehouse.open(tmp_path_factory.mktemp("novelty") / "w.duckdb", write=True, threads=1) as opened:
        yield opened


def novelty(warehouse: Warehouse, stories: Sequence[Story], *, embedded: bool = True) -> dict[str, float]:
    """Return what is built of stories; the warehouse is left as it was."""

    def column(value):
        return [value(story) for story in stories]

    ids, same = column(lambda s: s.id), ["m"] * len(stories)
    batch = [1] * len(stories)
    wording = column(lambda s: [math.cos(math.radians(s.angle)), math.sin(math.radians(s.angle))])
    found: dict[str, float] = {}
    with contextlib.suppress(_Undo), warehouse.transaction():
        tables = {
            "model": {
                "model_id": ["m"], "name": ["hand"], "files_sha256": ["0"], "labels": ["[]"], "languages": ["[]"],
            },
            "headline": {
                "headline_id": ids, "title": ids, "language": ["en"] * len(ids), "batch_id": batch,
                "available_at": pa.array(column(lambda s: s.at), pa.timestamp("us")),
            },
            "mention": {
                "headline_id": ids, "issuer": column(lambda s: s.issuer), "via": ["direct"] * len(ids),
                "relevance": [1.0] * len(ids), "matched": ids, "linker": [LINKER] * len(ids),
            },
            "reading": {
                "headline_id": ids, "model_id": same, "event": pa.array(column(lambda s: s.event), pa.string()),
                "p_event": column(lambda s: s.sure),
                "p_ai_models": [0.0] * len(ids), "p_localization": [0.0] * len(ids), "p_sanctions": [0.9] * len(ids),
                "exposures_on": pa.array([START.date()] * len(ids), pa.date32()), "batch_id": batch,
                "embedding": pa.array(wording if embedded else [None] * len(ids), pa.list_(pa.float32())),
            },
            "score": {
                "headline_id": ids, "model_id": same, "issuer": column(lambda s: s.issuer),
                "via": column(lambda s: s.via), "p_negative": column(lambda s: max(0.0, -s.value)),
                "p_neutral": column(lambda s: 1 - abs(s.value)), "p_positive": column(lambda s: max(0.0, s.value)),
                "p_relevant": [1.0] * len(ids), "reason": ids, "batch_id": batch,
            },
        }  # fmt: skip
        for name, columns in tables.items():
            warehouse.insert(name, pa.table(columns))
        build_signals(warehouse, UNIVERSE, "m")
        found = dict(warehouse.rows("SELECT headline_id, novelty FROM signal"))
        raise _Undo
    return found


FIRST = Story("a")


@pytest.mark.parametrize(
    ("second", "alike"),
    [
        (Story("b", 5, angle_of(0.999)), 1.0),  # reworded
        (Story("b", 5, angle_of((ALIKE_LOW + ALIKE_HIGH) / 2)), 0.5),  # partly new: another figure, a new fact
        (Story("b", 5, angle_of(ALIKE_LOW - 0.01)), 0.0),  # another story of the same kind
        (Story("b", 5, angle_of(0.9), event="earnings"), 0.0),
        (Story("b", 5, angle_of(0.9), event="earnings", sure=0.4), 1.0),  # may be any event, so perhaps the same
        (Story("b", 5, angle_of(0.9), event="earnings", value=-0.6, sure=0.4), 0.0),
        (Story("b", 5, angle_of(0.9), value=-0.6), 0.0),  # denied
        (Story("b", 5, angle_of(0.9), value=0.1), 0.0),
        (Story("b", 5, angle_of(0.97), event=None), 1.0),  # the very words, read a little differently
        (Story("b", 5, issuer="AMD"), 0.0),
        (Story("b", 24 * WINDOW_DAYS), 1.0),
        (Story("b", 24 * WINDOW_DAYS + 0.01), 0.0),  # news again
        (Story("b", 0), 1.0),  # of the same instant the lesser id is the first
        (Story("b", 5, via="exposure", value=0.1), 1.0),  # an exposure has a sign however little it weighs
    ],
)
def test_a_second_story_counts_less_the_more_it_says_the_same(warehouse, second: Story, alike: float) -> None:
    found = novelty(warehouse, [FIRST, second])
    assert found == pytest.approx({"a": 1.0, "b": 1 / (1 + alike)}, abs=1e-4)


def test_every_telling_counts_less_than_the_one_before(warehouse) -> None:
    stories = [replace(FIRST, id=f"h{n}", hours=n) for n in range(6)]
    assert novelty(warehouse, stories) == pytest.approx({f"h{n}": 1 / (n + 1) for n in range(6)}, abs=1e-4)


def test_without_embeddings_the_same_event_and_direction_is_the_same_story(warehouse) -> None:
    stories = [
        FIRST, Story("b", 1, 90.0), Story("c", 2, event="earnings"), Story("d", 3, value=-0.6), Story("e", 4, 45.0),
    ]  # fmt: skip
    found = novelty(warehouse, stories, embedded=False)
    assert found == pytest.approx({"a": 1, "b": 1 / 2, "c": 1, "d": 1, "e": 1 / 3})


_stories = st.lists(
    st.tuples(
        st.integers(0, 24 * 16), st.sampled_from([0.0, 10.0, 20.0, 40.0, 50.0, 90.0]),
        st.sampled_from(["NVIDIA", "AMD"]), st.sampled_from(["relaxation", "earnings", None]),
        st.sampled_from([-0.6, 0.0, 0.15, 0.6]), st.sampled_from(["direct", "exposure"]),
    ),
    min_size=1,
    max_size=14,
).map(lambda rows: [Story(f"{number * 37 % 101:03}", *row) for number, row in enumerate(rows)])  # fmt: skip


@settings(max_examples=25)
@given(stories=_stories, embedded=st.booleans(), cut=st.integers(0, 24 * 16))
def test_it_is_the_formula_and_nothing_later_changes_it(warehouse, stories, embedded: bool, cut: int) -> None:
    whole = novelty(warehouse, stories, embedded=embedded)
    assert whole == pytest.approx(expected(stories, embedded=embedded), abs=1e-4)
    known = [story for story in stories if story.hours <= cut]
    if known:
        # To the last bit: what was not known then cannot have had a part in it.
        assert novelty(warehouse, known, embedded=embedded) == {story.id: whole[story.id] for story in known}


def test_the_order_of_rows_and_the_number_of_threads_change_nothing(warehouse, tmp_path) -> None:
    stories = [Story(f"{n:04}", n * 7 % 300, n * 13 % 60, value=0.6 if n % 3 else -0.6) for n in range(400)]
    found = novelty(warehouse, stories)
    with Warehouse.open(tmp_path / "w.duckdb", write=True, threads=4) as other:
        assert novelty(other, stories[::-1]) == found


def test_where_batches_and_products_are_cut_changes_nothing(warehouse, monkeypatch) -> None:
    """Batches that end within an issuer, windows longer than a batch, products of a few stories at a time."""
    stories = [
        Story(
            f"{n:03}", n * 3.1 % 700, n * 17 % 70, ("AMD", "INTEL", "NVIDIA")[n * n % 3], value=0.6 if n % 4 else -0.6
        )
        for n in range(150)
    ]
    whole = novelty(warehouse, stories)
    assert whole == pytest.approx(expected(stories, embedded=True), abs=1e-4)
    monkeypatch.setattr(build, "BATCH", 7)
    monkeypatch.setattr(compared, "_BLOCK", 3)
    monkeypatch.setattr(compared, "_TILE", 5)
    assert novelty(warehouse, stories) == whole


def test_the_bounds_are_in_order() -> None:
    assert 0 < ALIKE_LOW < ALIKE_HIGH <= SAME_WORDING <= 1
