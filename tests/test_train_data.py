"""Rows for the embedded model: parsing without evaluation, cleaning, splitting by headline, renaming."""

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chipwire.signals import train_data
from chipwire.signals.train_data import Example

NEGATIVE, NEUTRAL, POSITIVE = range(3)


def write_csv(path: Path, header: list[str], *rows: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_finentity(path: Path, *records: tuple[str, list[tuple[int, int, str, str]]]) -> Path:
    content = [
        {
            "content": text,
            "annotations": [
                {"start": start, "end": end, "value": value, "tag": label, "label": label}
                for start, end, value, label in spans
            ],
        }
        for text, spans in records
    ]
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_parsing_needs_no_torch():
    code = "import sys, chipwire.signals.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("{'Acme': 'positive'}", {"Acme": "positive"}),
        ("{'Acme': 'positive', 'Bolt': 'negative'}", {"Acme": "positive", "Bolt": "negative"}),
        ("{'Acme's Mill': 'neutral', 'Bolt': 'negative'}", {"Acme's Mill": "neutral", "Bolt": "negative"}),
        ("{'Bolt': 'negative', 'Acme's': 'neutral'}", {"Bolt": "negative", "Acme's": "neutral"}),
        ("""{"Acme's": 'neutral', 'Bolt': 'positive'}""", {"Acme's": "neutral", "Bolt": "positive"}),
        ("{'Acme, Bolt & Co': 'positive'}", {"Acme, Bolt & Co": "positive"}),
    ],
)
def test_decisions_are_read(cell, expected):
    assert train_data.parse_decisions(cell) == expected


@pytest.mark.parametrize(
    "cell",
    ["", "{}", "{'Acme': 'bullish'}", "{'Acme': 'positive', 'Bolt': 3}", "{'Acme': 'positive'", "exit()"],
)
def test_unreadable_decisions_give_none(cell):
    assert train_data.parse_decisions(cell) is None


def test_decisions_are_never_evaluated(tmp_path):
    trap = tmp_path / "trap"
    cell = f"{{'Acme': 'positive', open({str(trap)!r}, 'w'): 'neutral'}}"
    train_data.parse_decisions(cell)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Acme &amp; Bolt rise", "Acme & Bolt rise"),
        ("Acme &amp;amp; Bolt rise", "Acme & Bolt rise"),
        ("Acme climbs https://t.co/abc123", "Acme climbs"),
        ("Acme climbs\n  again \u2026", "Acme climbs again"),
        ("Acme <ACM.N> fell, Brent <ABCc1> rose. [nXY1234567]", "Acme fell, Brent rose."),
        ("Acme fell. (Reporting by A. Writer; Editing by B. Editor)", "Acme fell."),
        ("Acme\ufffd\ufffds profit", "Acme's profit"),
        ("profit < 5 and margin > 3", "profit < 5 and margin > 3"),
    ],
)
def test_text_is_cleaned(raw, clean):
    assert train_data.clean_text(raw) == clean


def test_same_headline_has_same_key_and_split():
    variants = [
        "Acme wins Bolt order",
        "ACME wins Bolt order!",
        "$ACM - Acme wins  Bolt order https://t.co/x1",
    ]
    assert len({train_data.headline_key(text) for text in variants}) == 1
    assert len({train_data.split_of(text) for text in variants}) == 1
    assert train_data.headline_key("Acme up 3%") != train_data.headline_key("Acme up 4%")


def test_splits_are_near_80_10_10():
    # 5,000 draws: four standard deviations are 2.3 points at 80% and 1.7 points at 10%.
    counts = Counter(train_data.split_of(f"Acme reports figure {number}") for number in range(5000))
    assert counts["train"] / 5000 == pytest.approx(0.80, abs=0.023)
    assert counts["validation"] / 5000 == pytest.approx(0.10, abs=0.017)
    assert counts["test"] / 5000 == pytest.approx(0.10, abs=0.017)


def test_sentfin_gives_a_row_per_target(tmp_path):
    path = write_csv(
        tmp_path / "sentfin.csv",
        ["S No.", "Title", "Decisions", "Words"],
        ["1", "Acme gains as Bolt's loss widens", "{'Acme': 'positive', 'Bolt's': 'negative'}", "6"],
        ["2", "Acme rests", "not a mapping", "2"],
    )
    dropped = Counter()
    rows = train_data.sentfin_rows(path, dropped)
    assert [(row.target, row.label) for row in rows] == [("Acme", POSITIVE), ("Bolt's", NEGATIVE)]
    assert dropped == {"sentfin: unreadable labels": 1}


def test_finentity_spans_and_shifted_spans(tmp_path):
    path = write_finentity(
        tmp_path / "finentity.json",
        ("Acme fell while Bolt held.", [(0, 4, "Acme", "Negative"), (16, 20, "Bolt", "Neutral")]),
        ("Cask rose.", [(2, 6, "Cask", "Positive")]),
        ("Dune rose.", [(0, 4, "Elsewhere", "Positive"), (0, 4, "Dune", "Mixed")]),
    )
    dropped = Counter()
    rows = train_data.finentity_rows(path, dropped)
    assert [(row.target, row.label) for row in rows] == [
        ("Acme", NEGATIVE),
        ("Bolt", NEUTRAL),
        ("Cask", POSITIVE),
    ]
    assert dropped == {"finentity: span not in text": 1, "finentity: unknown label": 1}


def test_a_missing_column_is_named(tmp_path):
    path = write_csv(tmp_path / "sentfin.csv", ["Headline", "Decisions"], ["Acme", "{}"])
    with pytest.raises(ValueError, match="no column 'Title'"):
        train_data.sentfin_rows(path, Counter())


def test_an_open_quote_is_an_error(tmp_path):
    path = tmp_path / "sentfin.csv"
    path.write_text('Title,Decisions\n"Acme up,{}\nBolt down,{}\n', encoding="utf-8")
    with pytest.raises(csv.Error):
        train_data.sentfin_rows(path, Counter())


def test_corpus_counts_repeats_and_contradictions(tmp_path):
    write_csv(
        tmp_path / "sentfin.csv",
        ["S No.", "Title", "Decisions", "Words"],
        ["1", "Acme gains ground", "{'Acme': 'positive'}", "3"],
        ["2", "Acme GAINS ground", "{'Acme': 'positive'}", "3"],
        ["3", "Bolt in the dock", "{'Bolt': 'negative'}", "4"],
        ["4", "Bolt in the dock", "{'Bolt': 'neutral'}", "4"],
    )
    write_finentity(tmp_path / "finentity.json", ("Acme gains ground", [(0, 4, "Acme", "Positive")]))
    corpus = train_data.load_corpus(tmp_path)
    assert corpus.examples == (Example("Acme gains ground", "Acme", POSITIVE, "sentfin"),)
    assert corpus.dropped == {
        "finentity: repeated": 1,
        "sentfin: contradictory labels": 2,
        "sentfin: repeated": 1,
    }


def test_no_headline_stands_in_two_splits():
    rows = [
        Example(f"Acme item {number % 400}", f"Target{number}", NEUTRAL, source)
        for number, source in enumerate(("sentfin", "finentity") * 450)
    ]
    parts = train_data.split_corpus(rows)
    keys = {name: {train_data.headline_key(row.headline) for row in part} for name, part in parts.items()}
    assert sum(map(len, parts.values())) == len(rows)
    assert all(keys.values())
    assert not keys["train"] & keys["validation"]
    assert not keys["train"] & keys["test"]
    assert not keys["validation"] & keys["test"]
