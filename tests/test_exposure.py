"""How events move issuers that a headline does not name: facts worked by hand, and what must hold for any input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.data.errors import UnreadableInput
from chipwire.data.universe import load_universe
from chipwire.signals.exposure import (
    LEAST_LEAN,
    LEAST_MOVED,
    LEAST_SEEN,
    SEEN,
    ExposureTable,
    load_exposures,
)
from chipwire.signals.exposure_rows import COLUMNS, EVENTS, load_rows
from chipwire.signals.train_direction import infer_direction

FOR, AGAINST = (0.9, 0.06, 0.04), (0.04, 0.06, 0.9)
HEADER = ",".join(COLUMNS)
PEERS = ("SAMSUNG", "SKHYNIX")
GOOD = "chip_sale_ban,*,gpu,domestic_ai_chip,+1,0.8,2020-01-01,a reason"


def signs(
    title: str,
    event: str,
    named: tuple[str, ...] = (),
    direction: tuple[float, float, float] = FOR,
    on: date | None = None,
) -> dict[str, int]:
    """Return issuer → sign of its reading."""
    readings = load_exposures().read(title, named, {event: 0.9, "none": 0.1}, direction, on)
    return {reading.issuer: int(math.copysign(1, reading.value)) for reading in readings}


@pytest.mark.parametrize(
    ("title", "event", "named", "expected"),
    [
        (
            "US forbids sales of AI accelerators to Chinese firms",
            "chip_sale_ban",
            (),
            {"NVIDIA": -1, "AMD": -1, "CAMBRICON": 1, "HYGON": 1, "HUAWEI": 1},
        ),
        ("Washington tells Nvidia to stop H20 deliveries", "chip_sale_ban", ("NVIDIA",), {"CAMBRICON": 1, "HYGON": 1}),
        ("美国禁止向中国出口AI芯片", "chip_sale_ban", (), {"NVIDIA": -1, "CAMBRICON": 1}),
        (
            "New rule stops exports of etch and deposition tools to China's fabs",
            "tool_ban",
            (),
            {"SMIC": -1, "HUAHONG": -1, "AMAT": -1, "LRCX": -1, "KLAC": -1},
        ),
        ("荷兰收紧光刻机出口许可", "tool_ban", (), {"ASML": -1, "SMIC": -1, "HUAHONG": -1}),
        (
            "State data centres must buy home-grown AI chips from now on",
            "procurement",
            (),
            {"CAMBRICON": 1, "HUAWEI": 1, "NVIDIA": -1},
        ),
        ("Ministries told to replace Xeon and Epyc PCs", "procurement", (), {"HYGON": 1, "INTEL": -1, "AMD": -1}),
        (
            "A free reasoning model that cost next to nothing to train stuns Wall Street",
            "cheap_model_shock",
            (),
            {"NVIDIA": -1, "AVGO": -1, "CAMBRICON": 1},
        ),
        ("H20 may be shipped to China again", "relaxation", (), {"NVIDIA": 1, "CAMBRICON": -1, "HYGON": -1}),
        ("Wafer tools may go to older Chinese fabs again", "relaxation", (), {"AMAT": 1, "LRCX": 1, "SMIC": 1}),
        ("TSMC lifts its spending plan by a fifth", "capex", ("TSMC",), {"ASML": 1, "AMAT": 1, "LRCX": 1, "KLAC": 1}),
        ("Micron fails Beijing's security review", "retaliation", ("MICRON",), {"SAMSUNG": 1, "SKHYNIX": 1}),
        ("Washington halts HBM exports to China", "chip_sale_ban", (), {"SKHYNIX": -1, "CAMBRICON": -1, "HUAWEI": -1}),
        (
            "DRAM contract prices climb for a fifth month",
            "sales_figures",
            (),
            {"MICRON": 1, "SAMSUNG": 1, "SKHYNIX": 1},
        ),
    ],
)
def test_facts(title: str, event: str, named: tuple[str, ...], expected: Mapping[str, int]) -> None:
    found = signs(title, event, named)
    assert {issuer: found.get(issuer) for issuer in expected} == expected
    denied = signs(title, event, named, AGAINST)
    assert {issuer: denied.get(issuer) for issuer in expected} == {issuer: -sign for issuer, sign in expected.items()}


def test_value_and_probabilities_follow_the_formula() -> None:
    events, direction = {"chip_sale_ban": 0.8, "none": 0.2}, (0.7, 0.1, 0.2)
    readings = load_exposures().read("Curbs on GPU sales to China widen", (), events, direction)
    assert len({reading.issuer for reading in readings}) == len(readings) > 0
    for reading in readings:
        sign = 1 if reading.issuer in {"CAMBRICON", "HYGON", "HUAWEI"} else -1
        assert reading.value == pytest.approx(0.8 * (0.7 - 0.2) * sign * reading.relevance)
        negative, neutral, positive = reading.probabilities
        assert negative + neutral + positive == pytest.approx(1)
        assert positive - negative == pytest.approx(reading.value)
        assert reading.event == "chip_sale_ban"
        assert reading.reason


def test_what_is_said_of_the_named_tells_whether_the_event_happens() -> None:
    title, events, direction = "Curbs on GPU sales to China: Nvidia speaks", {"chip_sale_ban": 1.0}, (0.65, 0.0, 0.35)
    alone = load_exposures().read(title, ("NVIDIA",), events, direction)
    told = load_exposures().read(title, {"NVIDIA": (0.1, 0.0, 0.9)}, events, direction)
    before, after = ({one.issuer: one for one in found}["CAMBRICON"] for found in (alone, told))
    assert before.value == pytest.approx((0.65 - 0.35) * before.relevance)
    # Bayes: a ban makes bad news for Nvidia likely (0.1 was said), its contrary good news (0.9 was said).
    happens, averted = 0.65 * 0.1, 0.35 * 0.9
    assert after.value == pytest.approx((happens - averted) / (happens + averted) * after.relevance)
    assert after.reason.startswith("averted or undone: ")
    assert not before.reason.startswith("averted")


def test_a_named_issuer_that_is_not_moved_tells_nothing() -> None:
    title, events, direction = "Curbs on GPU sales to China: Nvidia speaks", {"chip_sale_ban": 1.0}, (0.7, 0.1, 0.2)
    alone = load_exposures().read(title, ("NVIDIA",), events, direction)
    told = load_exposures().read(title, {"NVIDIA": (0.0, 1.0, 0.0)}, events, direction)
    assert [one.value for one in told] == pytest.approx([one.value for one in alone])


def test_what_the_model_sees_is_mixed_with_the_table() -> None:
    title, events, direction = "Curbs on GPU sales to China widen", {"chip_sale_ban": 0.8, "none": 0.2}, (0.7, 0.1, 0.2)
    seen = {"CAMBRICON": (0.3, 0.5, 0.2), "HYGON": (0.0, 0.1, 0.9)}
    alone = {one.issuer: one for one in load_exposures().read(title, (), events, direction)}
    mixed = {one.issuer: one for one in load_exposures().read(title, (), events, direction, None, seen)}
    for issuer, (down, _, up) in seen.items():
        assert mixed[issuer].value == pytest.approx((1 - SEEN) * alone[issuer].value + SEEN * (up - down))
        assert mixed[issuer].probabilities[0] == pytest.approx(
            (1 - SEEN) * alone[issuer].probabilities[0] + SEEN * down
        )
        assert sum(mixed[issuer].probabilities) == pytest.approx(1)
    assert mixed["NVIDIA"] == alone["NVIDIA"]


@pytest.fixture
def small(tmp_path: Path) -> ExposureTable:
    """Two rows, both with a subject."""
    lines = [",".join(COLUMNS), "chip_sale_ban,*,/h20/,siyuan_maker,+1,0.8,2022-10-07,a ban leaves the market to it",
             "chip_sale_ban,*,/h20/,gpu_seller,-1,0.5,2024-01-01,its chips are barred"]  # fmt: skip
    (tmp_path / "exposure.csv").write_text("\n".join(lines), "utf-8")
    return load_exposures(tmp_path / "exposure.csv", load_universe())


UP, DOWN = (0.1, 0.05, 0.85), (0.85, 0.05, 0.1)
READ = {"NVIDIA": DOWN, "CAMBRICON": UP, "AMD": UP, "SMIC": UP}


def test_a_title_in_words_that_no_row_knows_is_read_as_the_model_sees_it(small: ExposureTable) -> None:
    title, events = "The green cards stay on the quay", {"chip_sale_ban": 1.0}
    assert small.read(title, (), events, (1.0, 0.0, 0.0)) == []
    found = {one.issuer: one for one in small.read(title, (), events, (1.0, 0.0, 0.0), None, READ)}
    # No row is good for AMD when the ban happens, and none is for SMIC: a reading without a reason would be made up.
    assert sorted(found) == ["CAMBRICON", "NVIDIA"]
    assert found["NVIDIA"].value == pytest.approx(SEEN * (0.1 - 0.85))
    assert (found["NVIDIA"].reason, found["NVIDIA"].relevance) == ("its chips are barred", 0.5)
    (averted,) = small.read(title, (), events, (0.0, 0.0, 1.0), None, READ)
    assert (averted.issuer, averted.reason) == ("AMD", "averted or undone: its chips are barred")


def test_what_the_model_sees_makes_no_relation_older_than_it_is(small: ExposureTable) -> None:
    title, events = "The green cards stay on the quay", {"chip_sale_ban": 1.0}
    for day, expected in ((date(2022, 10, 6), []), (date(2023, 12, 31), ["CAMBRICON"])):
        assert [one.issuer for one in small.read(title, (), events, FOR, day, READ)] == expected


def test_a_row_for_what_only_the_model_sees_moves_nobody_by_itself(tmp_path: Path) -> None:
    for_seen = "security,seen,,memory_maker,+1,0.5,2015-01-01,a rival's flaw"
    usual = "security,us_memory_maker,/recall/,memory_maker,+1,0.7,2015-01-01,buyers turn to Korea"

    def read(rows: list[str], title: str, p_up: float) -> list[str]:
        (tmp_path / "own.csv").write_text("\n".join([",".join(COLUMNS), *rows]), "utf-8")
        seen = {"SAMSUNG": (0.0, 1 - p_up, p_up)} if p_up else None
        found = load_exposures(tmp_path / "own.csv").read(title, ("MICRON",), {"security": 1.0}, FOR, None, seen)
        return [f"{one.issuer}: {one.reason}" for one in found]

    title, least = "Micron modules fail in racks", LEAST_SEEN / SEEN
    assert read([for_seen], title, 0.0) == []
    assert read([for_seen], title, 0.99 * least) == []
    assert read([for_seen], title, 1.01 * least) == ["SAMSUNG: a rival's flaw"]
    # It comes after a row of the usual kind, even one whose subject is not in the title.
    assert read([for_seen, usual], title, 1.01 * least) == ["SAMSUNG: buyers turn to Korea"]
    assert read([for_seen, usual], "Micron recall widens", 0.0) == [f"{o}: buyers turn to Korea" for o in PEERS]


def test_what_the_named_tell_is_not_older_than_the_relation_either(tmp_path: Path) -> None:
    rows = ["relaxation,*,,gpu_seller,+1,0.8,2020-01-01,its chips are sold again",
            "relaxation,*,,siyuan_maker,-1,0.8,2024-01-01,its rivals are back"]  # fmt: skip
    (tmp_path / "own.csv").write_text("\n".join([",".join(COLUMNS), *rows]), "utf-8")
    title, falls = "AI chip export curbs: Cambricon falls", {"CAMBRICON": (0.9, 0.1, 0.0)}

    def amd(on: date | None) -> float:
        table = load_exposures(tmp_path / "own.csv")
        found = table.read(title, falls, {"relaxation": 1.0}, (0.5, 0.0, 0.5), on)
        return next(one.value for one in found if one.issuer == "AMD")

    # That it falls means eased curbs since it has rivals abroad; before, that a company which they befell was refused.
    assert amd(date(2024, 1, 1)) == amd(None) > 0.5
    assert amd(date(2023, 12, 31)) == -amd(None)


def test_a_relation_does_not_hold_before_it_was_known() -> None:
    title = "Open model from China was trained for next to nothing"
    assert signs(title, "cheap_model_shock", on=date(2025, 2, 1))["NVIDIA"] == -1
    assert signs(title, "cheap_model_shock")["NVIDIA"] == -1
    assert "NVIDIA" not in signs(title, "cheap_model_shock", on=date(2023, 6, 1))


def test_domestic_ai_chips_are_no_alternative_before_they_exist() -> None:
    found = signs(
        "US forbids sales of AI accelerators to supercomputing centres", "chip_sale_ban", on=date(2015, 4, 10)
    )
    assert found["NVIDIA"] == -1
    assert "CAMBRICON" not in found


@pytest.mark.parametrize(
    ("events", "direction"),
    [
        ({"none": 1 - LEAST_MOVED / 2, "chip_sale_ban": LEAST_MOVED / 2}, FOR),
        ({"chip_sale_ban": 0.02, "none": 0.98}, FOR),
        ({"chip_sale_ban": 0.9, "none": 0.1}, (LEAST_MOVED / 3, 1 - LEAST_MOVED / 2, LEAST_MOVED / 6)),
        ({"chip_sale_ban": 0.9, "none": 0.1}, (0.45, 0.1, 0.45)),
        ({"chip_sale_ban": 1.0}, (0.5 + 0.49 * LEAST_LEAN, 0.0, 0.5 - 0.49 * LEAST_LEAN)),
        ({"unheard_of": 0.9}, FOR),
        ({}, FOR),
    ],
)
def test_abstains(events: dict[str, float], direction: tuple[float, float, float]) -> None:
    # Someone is named, so that what is left is judged for each issuer alone.
    assert load_exposures().read("US bars GPU sales to China", ("SAMSUNG",), events, direction) == []


@pytest.mark.parametrize(
    ("title", "event"),
    [
        ("Duty on soybeans doubled", "tariff"),
        ("Court throws out bakery suit", "lawsuit"),
        ("Strike at a port", "management"),
        ("Carmaker lifts spending on its paint shop", "capex"),
        ("Army orders boots from a local firm", "procurement"),
        ("Curbs on fishing eased", "relaxation"),
    ],
)
def test_no_chip_subject_no_reading(title: str, event: str) -> None:
    assert signs(title, event) == {}


issuers = st.sampled_from(sorted(load_universe().issuers))
titles = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["GPU", "H20", "tools", "scanner", "HBM", "DRAM", "Ascend", "昇腾", "光刻机", "China", "cpu", "Doubao"]
        ),
        max_size=6,
    ).map(" ".join),
)
shares = st.floats(0.0, 1.0)


@given(titles, st.lists(issuers, unique=True, max_size=4), st.sampled_from(EVENTS), shares, shares, shares)
def test_properties(title: str, named: list[str], event: str, p: float, a: float, b: float) -> None:
    table = load_exposures()
    p_for, p_against = a * (1 - b), (1 - a) * (1 - b)
    events = {event: p, "none": 1 - p}
    there = table.read(title, named, events, (p_for, b, p_against))
    back = table.read(title, named[::-1], events, (p_against, b, p_for))
    assert [r.issuer for r in there] == [r.issuer for r in back]
    assert not {r.issuer for r in there} & set(named)
    for one, other in zip(there, back, strict=True):
        assert -1 <= one.value <= 1
        assert one.value == pytest.approx(-other.value)
        assert all(-1e-12 <= q <= 1 + 1e-12 for q in one.probabilities)
        assert sum(one.probabilities) == pytest.approx(1)
        assert one.reason.removeprefix("averted or undone: ") == other.reason.removeprefix("averted or undone: ")
    assert table.read(title, set(named), events, (p_for, b, p_against)) == there


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "has no row"),
        (GOOD.replace("+1", "2"), "line 2: sign '2'"),
        (GOOD.replace("0.8", "1.2"), "line 2: weight '1.2'"),
        (GOOD.replace("0.8", "nan"), "line 2: weight 'nan'"),
        (GOOD.replace("0.8", "0"), "line 2: weight '0'"),
        (GOOD.replace("2020-01-01", "May 2020"), "line 2: valid_from 'May 2020'"),
        (GOOD.replace("domestic_ai_chip", "domestic_ai_chips"), "did you mean 'domestic_ai_chip'"),
        (GOOD.replace("chip_sale_ban", "chip_sales_ban"), "did you mean 'chip_sale_ban'"),
        (GOOD.replace("*", "gpu_sellers"), "did you mean 'gpu_seller'"),
        (GOOD.replace(",gpu,", ",gpus,"), "did you mean 'gpu'"),
        (GOOD.replace(",gpu,", ",/gpu(/,"), "not a regular expression"),
        (GOOD.replace("a reason", ""), "line 2: reason ''"),
        (GOOD + "\n" + GOOD.rsplit(",", 1)[0], "line 3: 8 cells"),
        (GOOD + '\n"chip', "line 3"),
    ],
)
def test_bad_file(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"{HEADER}\n{lines}\n", encoding="utf-8")
    with pytest.raises(UnreadableInput) as caught:
        load_exposures(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_header_and_bad_bytes(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("event,role\n", encoding="utf-8")
    with pytest.raises(UnreadableInput, match="header must be"):
        load_exposures(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableInput, match="not UTF-8"):
        load_exposures(path)
    with pytest.raises(UnreadableInput, match="No such file"):
        load_exposures(tmp_path / "none.csv")


def test_a_users_file_replaces_the_table_and_changes_the_id(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8")
    own = load_exposures(path)
    assert own.id != load_exposures().id
    assert own.id == load_exposures(path).id
    found = own.read("GPU exports barred", (), {"chip_sale_ban": 1.0}, (1.0, 0.0, 0.0))
    assert {r.issuer: r.value for r in found} == dict.fromkeys(("CAMBRICON", "HUAWEI", "HYGON"), 0.8)


def test_the_most_particular_row_wins_then_the_heaviest(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        f"{HEADER}\n"
        "capex,*,,gpu_seller,+1,0.9,2020-01-01,general\n"
        "capex,*,gpu,gpu_seller,-1,0.2,2020-01-01,light\n"
        "capex,*,gpu,foreign_ai_chip,-1,0.3,2020-01-01,heavy\n"
        "capex,leading_foundry,gpu,foreign_cpu,0,1,2020-01-01,not moved\n",
        encoding="utf-8",
    )
    table = load_exposures(path)
    rows = table.moved("capex", "A GPU plan", ())
    assert {issuer: row.reason for issuer, row in rows.items()} == {"NVIDIA": "heavy", "AMD": "heavy", "AVGO": "heavy"}
    assert table.moved("capex", "A plan for chips", ())["NVIDIA"].reason == "general"
    assert set(table.moved("capex", "A GPU plan", ("TSMC",))) == {"NVIDIA", "AVGO"}


@pytest.mark.parametrize(
    ("event", "title", "named", "labels", "expected"),
    [
        ("earnings", "AMD beats", ("AMD",), {"AMD": "positive"}, "for"),
        ("lawsuit", "AMD sued", ("AMD",), {"AMD": "negative"}, "for"),
        ("lawsuit", "AMD wins suit", ("AMD",), {"AMD": "positive"}, "against"),
        ("chip_sale_ban", "Nvidia may not sell H20 to China", ("NVIDIA",), {"NVIDIA": "negative"}, "for"),
        ("chip_sale_ban", "No ban on GPU sales", (), {"NVIDIA": "positive", "CAMBRICON": "negative"}, "against"),
        ("relaxation", "Cambricon falls as H20 returns", ("CAMBRICON",), {"CAMBRICON": "negative"}, "for"),
        ("entity_listing", "SMIC struck off the list", ("SMIC",), {"SMIC": "positive"}, "against"),
        ("probe", "Probe goes on", ("AMD",), {"AMD": "neutral"}, None),
        ("none", "Nvidia driver released", ("NVIDIA",), {"NVIDIA": "positive"}, None),
    ],
)
def test_direction_from_labels(
    event: str, title: str, named: tuple[str, ...], labels: Mapping[str, str], expected: str | None
) -> None:
    assert infer_direction(event, title, named, labels) == expected


@pytest.mark.parametrize(
    ("traditional", "plain", "event"),
    [
        ("英偉達獲准恢復對華銷售特供晶片", "英伟达获准恢复对华销售特供晶片", "relaxation"),
        ("臺積電停止為中國設計公司代工處理器", "台积电停止为中国设计公司代工处理器", "chip_sale_ban"),
        ("中國管制鎵鍺出口", "中国管制镓锗出口", "retaliation"),
        ("美國禁止對中國銷售AI晶片與顯卡", "美国禁止对中国销售AI晶片与显卡", "chip_sale_ban"),
    ],
)
def test_a_title_in_traditional_characters_moves_whom_the_simplified_one_moves(
    traditional: str, plain: str, event: str
) -> None:
    found = signs(traditional, event)
    assert found
    assert found == signs(plain, event)


def test_a_pattern_of_a_users_row_may_be_in_either_characters(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"{HEADER}\ntariff,*,/關稅/,domestic_ai_chip,+1,0.8,2020-01-01,a reason\n", "utf-8")
    table = ExposureTable(load_rows(file, load_universe()), load_universe())
    for title in ("美國加徵關稅", "美国加征关税"):
        assert {reading.issuer for reading in table.read(title, (), {"tariff": 0.9, "none": 0.1}, FOR)} >= {"CAMBRICON"}
