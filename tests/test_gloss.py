"""Chinese words are glossed, names keep their places, and English stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.data.errors import BadModel
from chipwire.data.universe import load_universe
from chipwire.signals.gloss import FILE, UNKNOWN_NAME, Gloss, load_gloss

WORDS = {"的": "'s", "美国": "US", "中芯国际": "SMIC", "将": "will", "列入": "adds to", "实体清单": "entity list",
         "未": "not", "了": "", "芯片": "chip", "国": "country", "單": "=单", "单": "order", "訂": "=订", "订单": "orders"}  # fmt: skip


@pytest.fixture(scope="module")
def gloss() -> Gloss:
    return Gloss(WORDS)


def read(gloss: Gloss, text: str, *names: str) -> tuple[str, list[list[str]]]:
    """Gloss a text; return it and what stands at the places of the names."""
    spans = [((text.index(name), text.index(name) + len(name)),) for name in names]
    out, places = gloss.read(text, spans)
    return out, [[out[start:end] for start, end in place] for place in places]


def test_words_become_their_glosses_and_names_stay_found(gloss: Gloss) -> None:
    assert read(gloss, "美国将中芯国际列入实体清单", "中芯国际") == ("US will SMIC adds to entity list", [["SMIC"]])
    assert read(gloss, "中芯国际未列入了", "中芯国际") == ("SMIC not adds to", [["SMIC"]])


def test_the_likeliest_cut_has_few_common_words(gloss: Gloss) -> None:
    assert gloss.cut("美国芯片") == ["US", "chip"]
    assert gloss.cut("国美国") == ["country", "US"]


def test_a_character_that_no_word_has_stays(gloss: Gloss) -> None:
    assert read(gloss, "美国龘芯片")[0] == "US 龘 chip"


def test_traditional_characters_are_read_as_simplified_ones(gloss: Gloss) -> None:
    assert read(gloss, "芯片訂單")[0] == "chip orders"


def test_a_name_is_not_joined_with_its_neighbours_nor_cut(gloss: Gloss) -> None:
    # Without its place "国" would be the end of 美国.
    assert read(gloss, "美国芯片", "国")[1] == [["country"]]
    assert read(gloss, "美国订购新芯", "新芯") == (f"US 订 购 {UNKNOWN_NAME}", [[UNKNOWN_NAME]])


def test_latin_letters_figures_and_marks_stay_in_their_order(gloss: Gloss) -> None:
    assert read(gloss, "AMD获H20芯片,涨12.5%", "AMD") == ("AMD 获 H20 chip , 涨 12.5%", [["AMD"]])


def test_english_comes_back_as_it_is(gloss: Gloss) -> None:
    text = "  Intel's  “odd” spacing。stays"
    assert gloss.read(text, [((2, 7),)]) == (text, (((2, 7),),))


@given(st.data())
def test_every_place_keeps_its_name_whatever_stands_beside_it(data: st.DataObject) -> None:
    own = Gloss(WORDS)
    parts = data.draw(st.lists(st.sampled_from([*WORDS, "AMD", " ", ",", "5G", "龘", "。"]), min_size=1, max_size=12))
    text = "".join(parts)
    starts = [sum(map(len, parts[:number])) for number in range(len(parts))]
    named = [n for n, part in enumerate(parts) if part in ("中芯国际", "AMD") and data.draw(st.booleans())]
    out, places = own.read(text, [((starts[n], starts[n] + len(parts[n])),) for n in named])
    assert [out[start:end] for ((start, end),) in places] == [WORDS.get(parts[n], parts[n]) for n in named]
    assert "  " not in out or "  " in text


@given(st.text(alphabet="".join(WORDS) + "甲乙丙", max_size=30))
def test_a_cut_loses_and_doubles_no_character(run: str) -> None:
    words = [word for word, said in WORDS.items() if not said.startswith("=")]
    assert "".join(Gloss({word: word for word in words}).cut(run)) == run


def test_a_line_that_is_no_gloss_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("芯片\tchip\nchip\t芯片\n", "utf-8")
    with pytest.raises(BadModel, match=r"gloss\.tsv line 2: 'chip"):
        load_gloss(tmp_path)
    assert load_gloss(tmp_path / "elsewhere") is None


def test_the_shipped_glossary_knows_every_chinese_name_of_the_universe() -> None:
    from importlib import resources

    with resources.as_file(resources.files("chipwire.signals.model")) as folder:
        shipped = load_gloss(folder)
    assert shipped is not None
    for issuer in load_universe().issuers.values():
        for name in issuer.zh:
            if all("\u4e00" <= letter <= "\u9fff" for letter in name):
                out, (((start, end),),) = shipped.read(f"今天{name}发布", [((2, 2 + len(name)),)])
                assert out[start:end] not in ("", UNKNOWN_NAME), name
                assert out[start:end].isascii(), name
