"""Names and the words beside them are read alike in traditional, simplified and mixed characters."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

import chipwire.signals.model
from chipwire.data.universe import load_universe
from chipwire.signals.characters import simplified
from chipwire.signals.linking import Linker


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker(load_universe())


HONG_KONG = [
    ("NVIDIA", "英偉達"), ("NVIDIA", "輝達"), ("TSMC", "台積電"), ("TSMC", "台积電"), ("TSMC", "台積电"),
    ("SMIC", "中芯國際"), ("HUAHONG", "華虹半導體"), ("HUAHONG", "華虹"), ("CAMBRICON", "寒武紀"), ("INTEL", "英特爾"),
    ("AMD", "超微半導體"), ("ASML", "阿斯麥"), ("AMAT", "應用材料"), ("LRCX", "泛林集團"), ("LRCX", "科林研發"),
    ("ALIBABA", "阿里雲"), ("TENCENT", "騰訊"), ("SAMSUNG", "三星電子"), ("HUAWEI", "華為"), ("HUAWEI", "華爲"),
    ("BYTEDANCE", "字節跳動"),
]  # fmt: skip


@pytest.mark.parametrize(("issuer", "name"), HONG_KONG)
def test_a_name_in_traditional_or_mixed_characters_is_that_of_the_issuer_as_it_stands(
    linker: Linker, issuer: str, name: str
) -> None:
    [hit] = linker.find(f"據報{name}獲新訂單")
    assert (hit.issuer, hit.matched, hit.start) == (issuer, name, 2)


def test_the_words_beside_a_name_decide_in_traditional_characters_too(linker: Linker) -> None:
    for meant, other in (
        ("寒武紀獲新訂單", "古生物學家談寒武紀化石地層"), ("三星訂單增加", "台灣三星級酒店"),
        ("百度財報勝預期", "幾百度高溫"), ("騰訊訂單增加", "奔騰訊號"), ("英偉達訂單增加", "呂英偉達成目標"),
        ("應材財測勝預期", "因應材料成本上漲,家具業調價"), ("應用材料財報", "應用材料科學系"),
        ("三星發布新手機", "三星獅隊奪冠"),
    ):  # fmt: skip
        for form in (str, simplified):
            assert len(linker.find(form(meant))) == 1, meant
            assert linker.find(form(other)) == [], other


def _linker_of(folder: Path, body: str) -> Linker:
    (folder / "universe.toml").write_text(f'[issuer.OWN]\nname = "Own"\nroles = ["domestic_tools"]\n{body}', "utf-8")
    return Linker(load_universe(folder))


@pytest.mark.parametrize("first", [0, 1])
def test_a_name_that_a_user_lists_in_both_forms_counts_once_with_the_context_of_each(
    tmp_path: Path, first: int
) -> None:
    names = ["北方華創", "北方华创"]
    linker = _linker_of(
        tmp_path,
        f'aliases = ["Own"]\nzh = ["{names[first]}", "{names[1 - first]}"]\n'
        'not_after = {"北方華創" = ["杯賽"], "北方华创" = ["队"]}\n',
    )
    for text in ("北方华创中标", "北方華創中標"):
        assert [(hit.issuer, hit.matched) for hit in linker.find(text)] == [("OWN", text[:4])]
    for text in ("北方华创杯赛开幕", "北方華創杯賽開幕", "北方华创队夺冠", "北方華創隊奪冠"):
        assert linker.find(text) == []


def test_names_with_chinese_characters_among_the_aliases_are_found_in_both_forms(tmp_path: Path) -> None:
    linker = _linker_of(tmp_path, 'aliases = ["東京エレクトロン", "廣達電腦"]\nformer = ["宏碁電腦"]\n')
    for text in ("半導体 東京エレクトロン 株価", "廣達電腦財報", "广达电脑财报", "宏碁電腦改名"):
        assert [hit.issuer for hit in linker.find(text)] == ["OWN"], text


def test_each_traditional_character_has_one_simplified_one_and_the_glossary_knows_the_same() -> None:
    lines = resources.files("chipwire.signals").joinpath("traditional.csv").read_text("utf-8").splitlines()[1:]
    pairs = dict(line.split(",") for line in lines)
    assert len(pairs) == len(lines) > 2_500
    assert all(len(one) == len(other) == 1 for one, other in pairs.items())
    assert not set(pairs) & set(pairs.values())
    assert simplified("".join(pairs)) == "".join(pairs.values())
    folder = Path(chipwire.signals.model.__file__).parent
    glossary = (line.split("\t") for line in (folder / "gloss.tsv").read_text("utf-8").splitlines())
    assert {word: gloss[1:] for word, gloss in glossary if gloss.startswith("=")}.items() <= pairs.items()


def test_two_tables_of_characters_make_two_linkers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Linker(load_universe()).id
    monkeypatch.setattr("chipwire.signals.linking.table_id", lambda: "another")
    assert Linker(load_universe()).id != before
