"""The universe: what ships, and a user's folder that extends or replaces it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from chipwire.data.errors import InputError, UnknownName
from chipwire.data.universe import LISTING_COLUMNS, Universe, find_symbol, load_universe
from chipwire.signals.linking import Linker

HEADER = ",".join(LISTING_COLUMNS)


@pytest.fixture
def universe() -> Universe:
    return load_universe()


def test_all_issuers_and_listings_of_the_design_are_there(universe: Universe) -> None:
    issuers = (
        "SMIC HUAHONG CAMBRICON HYGON NVIDIA AMD INTEL TSMC ASML AMAT LRCX KLAC MICRON QCOM AVGO ALIBABA TENCENT BAIDU "
        "SAMSUNG SKHYNIX HUAWEI BYTEDANCE DEEPSEEK"
    )
    assert set(universe.issuers) == set(issuers.split())
    symbols = (
        "688981.SS 0981.HK 688347.SS 1347.HK 688256.SS 688041.SS NVDA AMD INTC TSM ASML AMAT LRCX KLAC MU QCOM AVGO BABA "
        "9988.HK 0700.HK BIDU 9888.HK 005930.KS 000660.KS HSTECH CSI300 588000.SS 510300.SS SOX SOXX SMH SPY QQQ"
    )
    assert set(symbols.split()) <= set(universe.instruments)


@pytest.mark.parametrize(
    ("suffix", "venue", "currency"),
    [(".SS", "XSHG", "CNY"), (".HK", "XHKG", "HKD"), (".KS", "XKRX", "KRW"), (".TW", "XTAI", "TWD")],
)
def test_a_suffix_stands_for_one_venue_and_currency(universe: Universe, suffix: str, venue: str, currency: str) -> None:
    listed = [one for one in universe.instruments.values() if one.symbol.endswith(suffix)]
    assert listed
    assert {(one.venue, one.currency) for one in listed} == {(venue, currency)}


def test_listings_of_an_issuer_are_tradable_and_private_issuers_have_none(universe: Universe) -> None:
    assert [one.symbol for one in universe.listings("SMIC")] == ["688981.SS", "0981.HK"]
    for private in ("HUAWEI", "BYTEDANCE", "DEEPSEEK"):
        assert universe.listings(private) == ()
    assert not universe.instrument("HSTECH").tradable
    assert universe.instrument("588000.SS").tradable


def test_star_shares_have_the_boards_least_buy_and_a_first_session(universe: Universe) -> None:
    star = [one for one in universe.instruments.values() if one.board == "star"]
    assert {one.symbol[:3] for one in star} == {"688"}
    assert {one.lot for one in star} == {200}
    assert universe.instrument("688347.SS").listed_on == date(2023, 8, 7)


def test_an_unknown_instrument_names_the_nearest(universe: Universe) -> None:
    with pytest.raises(UnknownName, match=r"unknown instrument 'NVDIA'; did you mean 'NVDA'\?"):
        universe.instrument("NVDIA")


def test_no_two_issuers_share_a_name(universe: Universe) -> None:
    seen: dict[str, str] = {}
    for issuer in universe.issuers.values():
        for name in {word.lower() for word in (*issuer.aliases, *issuer.zh, *issuer.tickers, *issuer.former)}:
            assert seen.setdefault(name, issuer.id) == issuer.id


def test_a_folder_extends_and_replaces(tmp_path: Path, universe: Universe) -> None:
    (tmp_path / "universe.toml").write_text(
        '[issuer.ARM]\nname = "Arm"\nroles = ["licensor"]\naliases = ["arm holdings"]\n'
        '[issuer.ARM.not_near]\n"arm holdings" = ["Strong Arm"]\n'
        '[issuer.KLAC]\nname = "KLA"\naliases = ["kla corporation"]\n',
        "utf-8",
    )
    (tmp_path / "listings.csv").write_text(
        f"\ufeff{HEADER}\nARM,ARM,XNYS,USD,stock,main,1,2023-09-14,Arm\nNVDA,NVIDIA,XNYS,USD,stock,main,10,,Nvidia\n",
        "utf-8",
    )
    found = load_universe(tmp_path)
    assert found.issuers["ARM"].not_near == {"arm holdings": ("strong arm",)}
    assert found.issuers["KLAC"].aliases == ("kla corporation",)
    assert [one.symbol for one in found.listings("ARM")] == ["ARM"]
    assert found.instrument("NVDA").lot == 10
    assert len(found.issuers) == len(universe.issuers) + 1
    assert found.digest != universe.digest
    linker = Linker(found)
    assert [hit.issuer for hit in linker.find("Arm Holdings and Nvidia rise, KLA too")] == ["ARM", "NVIDIA"]
    assert linker.find("Arm Holdings, a strong arm contest") == []
    assert linker.id != Linker(universe).id


def test_a_folder_with_one_of_the_files_is_enough_and_with_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither universe.toml nor listings.csv"):
        load_universe(tmp_path)
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "universe.toml").write_text('[issuer.ARM]\naliases = ["arm holdings"]\n')
    assert load_universe(folder).issuers["ARM"].name == "ARM"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[issuer.X", "not valid TOML"),
        ('issuer = "X"', r"tables such as \[issuer.SMIC\]"),
        ('[issuer]\nX = "y"', r"tables such as \[issuer.SMIC\]"),
        ('[issuer.X]\naliases = "one"', "'aliases' must be a list of names"),
        ("[issuer.X]\nzh = [1]", "'zh' must be a list of names"),
        ('[issuer.X]\naliases = [""]', "'aliases' must be a list of names"),
        ('[issuer.X]\naliases = ["x"]\n[issuer.X.not_after]\nx = "y"', "'x' must be a list of names"),
        ('[issuer.X]\naliases = ["x"]\nnot_after = ["y"]', "not_after must be a table"),
        ('[issuer.X]\naliases = ["x"]\n[issuer.X.not_near]\nX2 = ["y"]', "speaks of 'X2', which is none of its names"),
    ],
)
def test_a_bad_universe_file_is_one_clear_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "universe.toml").write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        load_universe(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("symbol,name\nA,B\n", "expected symbol,issuer"),
        (f"{HEADER}\nA,NVIDEA,XNYS,USD,stock,main,1,,A\n", "did you mean 'NVIDIA'.*line 2"),
        (f"{HEADER}\nA,,XNYS,USD,stock,main,0,,A\n", "line 2: lot is '0'"),
        (f"{HEADER}\nA,,XNYS,USD,stock,main,x,,A\n", "line 2: lot is 'x'"),
        (f"{HEADER}\nA,,XNYS,USD,warrant,main,1,,A\n", "line 2: kind is 'warrant', allowed is stock, etf, index"),
        (f"{HEADER}\nA,,XNYS,USD,stock,moon,1,,A\n", "line 2: board is 'moon'"),
        (f"{HEADER}\nA,,NYSE2,USD,stock,main,1,,A\n", "line 2: venue is 'NYSE2'"),
        (f"{HEADER}\nA,,XNYS,usd,stock,main,1,,A\n", "line 2: currency is 'usd'"),
        (f"{HEADER}\n,,XNYS,USD,stock,main,1,,A\n", "line 2: symbol is ''"),
        (f"{HEADER}\nA,,XNYS,USD,stock,main,1,03/04/2020,A\n", "line 2: listed_on"),
        (f"{HEADER}\nA,,XNYS\n", "line 2: has not 9 cells"),
        (f"{HEADER}\nA,,XNYS,USD,stock,main,1,,A,more\n", "line 2: has not 9 cells"),
        (f"{HEADER}\nA,,XNYS,USD,stock,main,1,,A\nA,,XHKG,HKD,stock,main,1,,B\n", "line 3: A stands there already"),
        (f'{HEADER}\nA,,XNYS,USD,stock,main,1,,"A\n', "line 2: unexpected end of data"),
        ("", "columns are None"),
    ],
)
def test_a_bad_listings_file_is_one_clear_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "listings.csv").write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        load_universe(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding_or_a_folder_in_its_place_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "listings.csv").write_bytes(f"{HEADER}\nA,,XHKG,HKD,stock,main,1,,中芯\n".encode("gb18030"))
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        load_universe(tmp_path)
    other = tmp_path / "other"
    (other / "universe.toml").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be read"):
        load_universe(other)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("688981", "688981.SS"),
        ("688981.SH", "688981.SS"),
        ("sh.688981", "688981.SS"),
        ("SH688981", "688981.SS"),
        ("688981.XSHG", "688981.SS"),
        ("00700.HK", "0700.HK"),
        ("700.hk", "0700.HK"),
        ("HK00700", "0700.HK"),
        ("NASDAQ:NVDA", "NVDA"),
        ("nvda", "NVDA"),
        ("ASML", "ASML"),
        ("600000", None),
        ("688981.SZ", None),
        ("", None),
    ],
)
def test_symbols_as_sources_write_them(universe: Universe, text: str, symbol: str | None) -> None:
    assert find_symbol(text, universe) == symbol
