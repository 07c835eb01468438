"""The labelled headlines of our own keep to their guide."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from importlib import resources
from itertools import combinations

import pytest

from chipwire.data.universe import load_universe
from chipwire.signals.linking import Linker
from chipwire.signals.themes import THEMES, load_theme_rules
from chipwire.signals.train_headlines import load_headlines, parse_headline

FILES = (
    "en_trade.csv", "en_industry.csv", "en_company.csv", "en_pairs.csv", "en_press.csv",
    "zh.csv", "zh_market.csv", "zh_social.csv",
)  # fmt: skip
COLUMNS = ["group", "language", "headline", "issuer", "via", "label", "relevance", "themes", "event", "style"]
STYLES = {"plain", "flip", "negation", "denial", "hedge", "rumour", "rating", "routine", "noise", "question"}


def read(name: str) -> list[dict[str, str]]:
    text = resources.files("chipwire.signals.training").joinpath(name).read_text("utf-8")
    reader = csv.DictReader(text.splitlines(), strict=True)
    assert reader.fieldnames == COLUMNS
    return list(reader)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return [row for name in FILES for row in read(name)]


def test_every_value_is_one_of_the_guide(rows: list[dict[str, str]]) -> None:
    issuers = load_universe().issuers
    events = {"none", *load_theme_rules().events}
    for row in rows:
        assert row["issuer"] in issuers, row
        assert row["via"] in {"direct", "exposure"}, row
        assert row["label"] in {"negative", "neutral", "positive"}, row
        assert row["relevance"] in {"high", "low"}, row
        assert set(row["themes"].split(";")) <= {"", *THEMES}, row
        assert row["event"] in events, row
        assert row["style"] in STYLES, row
        assert 6 <= len(row["headline"]) <= 160, row
        assert row["headline"] == row["headline"].strip(), row


def test_a_headline_has_one_label_for_an_issuer_and_one_group(rows: list[dict[str, str]]) -> None:
    assert len({(row["headline"], row["issuer"]) for row in rows}) == len(rows)
    groups = defaultdict(set)
    for row in rows:
        groups[row["headline"]].add(row["group"])
    assert all(len(found) == 1 for found in groups.values())


def test_what_is_said_to_be_unnamed_is_unnamed_and_most_named_are_found(rows: list[dict[str, str]]) -> None:
    linker = Linker(load_universe())
    named = {headline: {hit.issuer for hit in linker.find(headline)} for headline in {r["headline"] for r in rows}}
    assert not [row for row in rows if row["via"] == "exposure" and row["issuer"] in named[row["headline"]]]
    direct = [row for row in rows if row["via"] == "direct"]
    assert sum(row["issuer"] in named[row["headline"]] for row in direct) >= 0.98 * len(direct)


def pieces(headline: str, language: str) -> frozenset[str]:
    if language == "zh":
        return frozenset(headline[i : i + 2] for i in range(len(headline) - 1))
    return frozenset(re.findall(r"[a-z0-9]+", headline.lower()))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_wording_stands_in_two_groups(rows: list[dict[str, str]], language: str) -> None:
    found = sorted({(row["headline"], row["group"]) for row in rows if row["language"] == language})
    sets = [(pieces(headline, language), group, headline) for headline, group in found]
    near = [
        (a[2], b[2]) for a, b in combinations(sets, 2) if a[1] != b[1] and len(a[0] & b[0]) > 0.6 * len(a[0] | b[0])
    ]
    assert near == []


def test_look_alikes_are_told_apart_from_rows() -> None:
    text = resources.files("chipwire.signals.training").joinpath("lookalikes.csv").read_text("utf-8")
    reader = csv.DictReader(text.splitlines(), strict=True)
    assert reader.fieldnames == ["headline", "language", "why"]
    found = [row["headline"] for row in reader]
    assert len(found) == len(set(found)) == 380
    assert not {row["headline"] for name in FILES for row in read(name)} & set(found)


def test_the_rows_are_as_many_as_the_readme_says() -> None:
    readme = resources.files("chipwire.signals.training").joinpath("README.md").read_text("utf-8")
    for name in FILES:
        assert f"| `{name}` | {len(read(name)):,} |" in readme
    for name, found in by_file("headlines_").items():
        assert f"| `{name}` | {len(found):,} |" in readme


def by_file(kind: str) -> dict[str, list[dict[str, str]]]:
    folder = resources.files("chipwire.signals.training")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(kind))
    return {name: list(csv.DictReader(folder.joinpath(name).read_text("utf-8").splitlines())) for name in names}


def test_headlines_for_training_have_the_form_and_each_stands_once(rows: list[dict[str, str]]) -> None:
    texts = load_headlines()  # raises on a bad line
    assert len(texts) == sum(map(len, by_file("headlines_").values())) > 8_000
    assert {text.language for text in texts} == {"en", "zh"}
    wordings = [text.text for text in texts]
    assert len(set(wordings)) == len(wordings)
    assert not {row["headline"] for row in rows} & set(wordings)
    assert all(15 <= len(text.text) <= 160 if text.language == "en" else 6 <= len(text.text) <= 80 for text in texts)
    assert all(text.moved is not None for text in texts)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": "ACME=positive;NVIDIA=positive"}, "unknown issuer ACME"),
        ({"labels": "AMD=positive"}, "NVIDIA is named but not labelled"),
        ({"labels": "NVIDIA=good"}, "good"),
        ({"themes": "chips"}, "unknown theme"),
        ({"relevance": "some"}, "unknown theme or relevance"),
        ({"event": "party"}, "party"),
        ({"direction": "up"}, "up"),
    ],
)
def test_a_headline_that_is_not_of_the_form_is_refused(change: dict[str, str], says: str) -> None:
    good = {
        "group": "g", "language": "en", "headline": "Nvidia wins an order for a thousand racks", "event": "supply_deal",
        "labels": "NVIDIA=positive;AMD=negative", "themes": "ai_models", "direction": "for", "relevance": "high",
    }  # fmt: skip
    universe = load_universe()
    text = parse_headline(good, Linker(universe), universe)
    assert [(target.issuer, target.label, target.spans) for target in text.targets] == [("NVIDIA", 2, ((0, 6),))]
    assert text.moved == {"AMD": 0}
    with pytest.raises(ValueError, match=says):
        parse_headline(good | change, Linker(universe), universe)


TRADE_WEAPONS = {"chip_sale_ban", "tool_ban", "entity_listing", "relaxation", "retaliation", "tariff"}


def test_the_themes_that_the_guide_ties_to_events_are_there(rows: list[dict[str, str]]) -> None:
    frames = [record for found in by_file("frames_").values() for record in found]
    headlines = [record for found in by_file("headlines_").values() for record in found]
    for record in (*rows, *headlines, *frames):
        themes = record["themes"].split(";")
        if record["event"] in TRADE_WEAPONS:
            assert "sanctions" in themes, record
        if record["event"] in {"model_launch", "cheap_model_shock"}:
            assert "ai_models" in themes, record
