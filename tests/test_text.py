"""Cleaning: what cannot be seen goes, what can be read stays as it was written; and the language rule."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.data.errors import BadRow
from chipwire.data.language import detect_language, feed_language
from chipwire.data.text import (
    clean_body,
    clean_line,
    clean_title,
    excerpt,
    publisher_names,
    rejoin_tokens,
    strip_publisher,
    title_key,
)

BLNS = json.loads((Path(__file__).parent / "resources/hostile/blns.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Chip maker wins order", "Chip maker wins order"),
        ("  Chip\tmaker \n wins\u3000order\xa0", "Chip maker wins order"),
        ("Maker&#8217;s R&amp;D", "Maker’s R&D"),
        ("Maker&amp;#8217;s R&amp;amp;D", "Maker’s R&D"),
        ("AT&T and R&D; profit&loss", "AT&T and R&D; profit&loss"),
        ('<a href="https://x.example/?a=1" target="_blank">Fab <b>opens</b></a>', "Fab opens"),
        ("Function<T, R> at <5% and >3%", "Function<T, R> at <5% and >3%"),
        ("One<br/>two<!-- three --><script>alert(1)</script>", "One two"),
        ("fab\u200bless \u202eevil\u202c\ufeff \u2066x\u2069", "fabless evil x"),
        ("nul\x00led bel\x07led \x1b[31mred", "nulled belled [31mred"),
        ("soft\xadhyphen", "softhyphen"),
        ("pair \ud83d\ude00 lone \ud800.", "pair 😀 lone \ufffd."),
        ("sÃ³lido rÃ©sultat", "sólido résultat"),
        ("e\u0301clair", "éclair"),
        ("ΝVIDIA and АMD", "ΝVIDIA and АMD"),
        ("中芯国际　一季度", "中芯国际 一季度"),
    ],
)
def test_clean_line(raw: str, clean: str) -> None:
    assert clean_line(raw) == clean


def test_look_alikes_are_left_as_they_are() -> None:
    # Greek capital nu and Cyrillic capital a: not the letters they show.
    assert clean_line("ΝVIDIA").encode() == "\u039dVIDIA".encode()
    assert title_key("АMD rises") != title_key("AMD rises")


def test_bodies_keep_their_paragraphs() -> None:
    assert clean_body("one  two\r\n\r\n \r\n\r\nthree<br>four<p>five</p>\x00") == "one two\n\nthree\nfourfive"


@pytest.mark.parametrize("raw", ["", "  ", "\u200b\u200b", "\x00", "<b></b>"])
def test_a_title_of_nothing_is_refused(raw: str) -> None:
    with pytest.raises(BadRow, match="title"):
        clean_title(raw)


def test_long_titles_are_refused_with_their_length() -> None:
    assert clean_title("x" * 1000)
    with pytest.raises(BadRow, match="1,001 characters"):
        clean_title("x" * 1001)
    with pytest.raises(BadRow, match="2,000,000 characters"):
        clean_title("x" * 2_000_000)
    # A watermark of zero-width characters is no part of a title's length.
    assert clean_title("Fab" + "\u200b\u200c" * 600) == "Fab"


@given(st.text())
def test_cleaning_leaves_only_what_can_be_shown_and_stored(raw: str) -> None:
    clean = clean_line(raw)
    assert "\x00" not in clean
    assert clean == " ".join(clean.split())
    clean.encode("utf-8")
    clean_body(raw).encode("utf-8")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Co", "Cn"])))
def test_plain_words_survive(raw: str) -> None:
    words = [word for word in raw.split() if word.isascii() and word.isalnum()]
    assert clean_line(" ".join(words)).split() == words


@pytest.mark.parametrize("raw", BLNS)
def test_naughty_strings_become_titles_or_reasons(raw: str) -> None:
    try:
        title = clean_title(raw)
    except BadRow:
        return
    assert not {unicodedata.category(c) for c in title} & {"Cc", "Cf", "Co", "Cs"}
    assert title_key(title)
    assert len(excerpt(raw)) <= 200
    assert detect_language(title)


@pytest.mark.parametrize(
    ("title", "source", "stripped"),
    [
        ("Maker ships - StockNews.com", "StockNews.com", "Maker ships"),
        ("Maker ships - stocknews", "StockNews.com", "Maker ships"),
        ("Maker ships | Reuters", None, "Maker ships"),
        ("Maker ships - TipRanks.com - TipRanks", "TipRanks", "Maker ships"),
        ("Maker ships - It's A - B Daily", "It's A - B Daily", "Maker ships"),
        ("Maker ships - report", "Example Post", "Maker ships - report"),
        ("Maker ships | Part 1", "Example Post", "Maker ships | Part 1"),
        ("Pre-market movers", "Market Movers", "Pre-market movers"),
        (" - Reuters", "Reuters", " - Reuters"),
    ],
)
def test_publishers_are_taken_off_only_where_they_sign(title: str, source: str | None, stripped: str) -> None:
    assert strip_publisher(title, source, frozenset({"reuters"})) == stripped


def test_a_site_is_known_by_its_name() -> None:
    assert publisher_names("https://www.Example.com/") == {"https://www.example.com/", "example.com", "example"}


@pytest.mark.parametrize(
    ("tokenised", "printed"),
    [
        ("Analyst : 1 , 500 jobs go , 12 , 000 stay", "Analyst: 1,500 jobs go, 12,000 stay"),
        ("Deal worth USD 9 . 8 billion ?", "Deal worth USD 9.8 billion?"),
        ("U . S . -China talks , U . K . waits", "U.S.-China talks, U.K. waits"),
        ("Maker ’s plan won 't wait", "Maker’s plan won't wait"),
        ("Model 5000 , 300 sold", "Model 5000, 300 sold"),
        ("'Room to run , ' he says", "'Room to run,' he says"),
        ("Example . com up 5 %", "Example.com up 5%"),
        ("Already printed, as 1,500 should be.", "Already printed, as 1,500 should be."),
    ],
)
def test_tokenised_punctuation_is_rejoined(tokenised: str, printed: str) -> None:
    assert rejoin_tokens(tokenised) == printed


def test_title_keys_fold_print_but_not_meaning() -> None:
    assert title_key("Maker’s “big” Fab—opens!") == title_key("maker's 'Big' fab-opens")
    assert title_key("Ｍａｋｅｒ wins") == title_key("Maker wins")
    assert title_key("Shares +5%") != title_key("Shares -5%")
    assert title_key("Sales 3.5 times") != title_key("Sales 35 times")
    assert title_key("?!") == "?!"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_title_keys_of_plain_and_of_other_titles_follow_one_table(title: str) -> None:
    # One letter beyond ASCII sends the same title through the general way.
    assert f"{title_key(title)} é".strip() in {title_key(f"{title} é"), f"{title.lower()} é".strip()}


@pytest.mark.parametrize(
    ("text", "stated", "language"),
    [
        ("Chip maker wins order", "und", "en"),
        ("Chip maker wins order", "de", "de"),
        ("Chip maker wins order", "zh", "en"),
        ("中芯国际获得新订单", "und", "zh"),
        ("中芯国际获得新订单", "en", "zh"),
        ("DeepSeek崩了", "und", "zh"),
        ("Huawei (华为) opens a new fab in Wuhan", "und", "en"),
        ("半導体の新工場を建設", "und", "ja"),
        ("半導体新工場建設", "ja", "ja"),
        ("SK하이닉스 신공장 착공", "und", "ko"),
        ("Новый завод микросхем", "und", "ru"),
        ("Новий завод мікросхем", "und", "uk"),
        ("Нов завод за чипове", "bg", "bg"),
        ("NVIDIА rises", "und", "en"),
        ("Der Hersteller baut ein Werk und sucht Personal", "und", "de"),
        ("El fabricante abre una planta en la costa", "und", "es"),
        ("Le fabricant ouvre une usine dans le sud", "und", "fr"),
        # These share their frequent words with French; two such words may be a name in an English headline.
        ("La empresa sube con fuerza en la bolsa de Madrid hoy", "und", "es"),
        ("Il gruppo ha perso la causa con il fisco", "und", "it"),
        ("De la planta en Costa Rica", "und", "fr"),
        ("De la Fuente slams referees", "und", "en"),
        ("Zoé Présidente", "und", "und"),
        # Short headlines of the trade, whose articles are words of several languages.
        ("Nvidia profite de la demande", "und", "fr"),
        ("Nvidia presenta nuevos procesadores en China", "und", "es"),
        ("TSMC aumenta le vendite, utili record", "und", "it"),
        ("Intel cai na bolsa", "und", "pt"),
        ("ASML verlaagt omzet", "und", "nl"),
        ("Konzern senkt Prognose, Aktie fällt", "und", "de"),
        ("Comic-Con bans AI art after pushback", "und", "en"),
        ("AI Transformation Déjà Vu", "und", "und"),
        ("El Niño floods the fabs of the coast", "und", "en"),
        ("12345 67", "und", "und"),
        ("مصنع جديد للرقائق", "und", "ar"),
    ],
)
def test_language(text: str, stated: str, language: str) -> None:
    assert detect_language(text, stated) == language


def test_feed_language_is_a_bare_code() -> None:
    assert [feed_language(word) for word in ("en-US", "ZH_cn", "English", "")] == ["en", "zh", "und", "und"]
