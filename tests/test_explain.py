"""`chipwire explain`: one object for each text, whatever the text; nothing raw reaches a terminal."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from chipwire.cli import main
from chipwire.data.universe import load_universe
from chipwire.signals import explain as work
from chipwire.signals import models
from chipwire.signals.models import Item, ModelCard, Readings
from chipwire.signals.reading import Reader
from chipwire.signals.train_domain import EVENTS

KEYS = ["headline", "language", "themes", "event", "targets", "abstained"]
TARGET_KEYS = ["issuer", "symbols", "via", "sentiment", "probabilities", "relevance", "reason"]


class FakeModel:
    """Takes every text with "bans" for a chip-sale ban that is bad for who is named; keeps what it was asked."""

    card = ModelCard("fake", ("en", "zh"), EVENTS, None, "0" * 64)

    def __init__(self) -> None:
        self.asked: list[Item] = []
        self.calls = 0

    def read(self, items: Sequence[Item]) -> Readings:
        self.asked += items
        self.calls += 1
        count = sum(len(item.targets) for item in items)
        bans = np.array([any(word in item.text for word in ("bans", "禁")) for item in items], dtype=float)
        events = np.zeros((len(items), len(EVENTS)))
        events[:, EVENTS.index("chip_sale_ban")] = 0.9 * bans
        events[:, 0] = 1 - 0.9 * bans
        directions = np.stack([0 * bans, 1 - bans, bans], axis=1)
        themes = np.stack([0 * bans, 0 * bans, bans], axis=1)
        sentiment = np.tile([0.71239, 0.2, 0.08761], (count, 1))
        return Readings(sentiment, np.full(count, 0.98765), themes, events, directions)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    fake = FakeModel()
    monkeypatch.setattr(models, "load_model", lambda reference=None: fake)
    return fake


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], model: FakeModel):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(["explain", *arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def objects(out: str) -> list[dict]:
    return [json.loads(line) for line in out.split("\n") if line]


BAN = "Washington bans sales of AMD accelerators to China"


def test_an_object_has_the_keys_of_the_design_in_their_order(run) -> None:
    code, out, err = run("--json", BAN)
    assert (code, err) == (0, "")
    (one,) = objects(out)
    assert list(one) == KEYS
    assert (one["headline"], one["language"], one["abstained"]) == (BAN, "en", None)
    assert one["themes"] == {"ai_models": 0.0, "localization": 0.0, "sanctions": 1.0}
    assert one["event"] == {"type": "chip_sale_ban", "p": 0.9}
    assert all(list(target) == TARGET_KEYS for target in one["targets"])
    named = one["targets"][0]
    assert (named["issuer"], named["symbols"], named["via"]) == ("AMD", ["AMD"], "direct")
    assert named["probabilities"] == {"negative": 0.7124, "neutral": 0.2, "positive": 0.0876}
    assert named["sentiment"] == pytest.approx(0.0876 - 0.7124, abs=1e-12)
    assert named["relevance"] == 0.9877
    moved = {target["issuer"]: target for target in one["targets"][1:]}
    assert moved["CAMBRICON"]["sentiment"] > 0
    assert {target["via"] for target in moved.values()} == {"exposure"}
    assert all(target["reason"] for target in one["targets"])


def test_a_private_issuer_has_no_symbol_and_two_listings_are_two(run) -> None:
    (one,) = objects(run("--json", "Huawei and SMIC meet")[1])
    symbols = {target["issuer"]: target["symbols"] for target in one["targets"]}
    assert symbols == {"HUAWEI": [], "SMIC": ["688981.SS", "0981.HK"]}


def test_chinese_is_read_and_not_escaped(run) -> None:
    out = run("--json", "美国禁止英伟达对华出售芯片")[1]
    assert "美国禁止英伟达对华出售芯片" in out
    (one,) = objects(out)
    assert one["language"] == "zh"
    assert one["targets"][0]["issuer"] == "NVIDIA"


@pytest.mark.parametrize(
    ("text", "language", "says"),
    [
        ("Евросоюз обсуждает экспорт чипов Nvidia", "ru", "language ru"),
        ("Rain delays the cricket in Leeds", "en", "names no issuer and is not about chips"),
        ("Chip " * 2_000, "en", "longer than 1,000 characters, which is no headline"),
    ],
)
def test_what_is_not_read_abstains_and_is_counted(run, model: FakeModel, text: str, language: str, says: str) -> None:
    code, out, err = run("--json", text)
    (one,) = objects(out)
    assert code == 0
    assert one["headline"] == text
    assert (one["language"], one["abstained"]) == (language, says)
    assert (one["themes"], one["event"], one["targets"]) == ({}, {"type": "none", "p": 0.0}, [])
    assert err == f"1 without a reading: {says}\n"
    assert model.asked == []


def test_usage(run) -> None:
    for arguments in ([], ["--json"], ["AMD", "--file", "f.txt"], ["AMD", "--on", "yesterday"], [""], ["  ", "\u200b"]):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert "Error:" in err
    code, out, err = run("--file", "nowhere.txt")
    assert (code, out) == (1, "")
    assert err.startswith("error: nowhere.txt: ")


def test_an_argument_in_another_encoding_is_one_line(run) -> None:
    code, out, err = run("AMD", "caf\udce9 AMD")
    assert (code, out) == (1, "")
    assert err == "error: text 2 is not valid UTF-8; give it in UTF-8, or in a file with --file\n"


@pytest.mark.parametrize("texts", [("",), ("  ", "\t")])
def test_blank_texts_are_a_usage_error_and_no_more(run, texts: tuple[str, ...]) -> None:
    code, out, err = run(*texts)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: ")
    assert "the text is blank; give a headline" in err


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_gives_a_line_for_each_line_in_order(run, tmp_path: Path, model: FakeModel, pack) -> None:
    lines = [
        "\ufeffAMD opens a lab", "", "   ", "Nvidia 😀 und 寒武纪 签约", "AMD opens a lab", "TS\0MC adds a fab\t", "é" * 12_000,
    ]  # fmt: skip
    (tmp_path / "f").write_bytes(pack("\r\n".join(lines).encode()))
    code, out, err = run("--json", "--file", "f")
    assert code == 0
    found = objects(out)
    assert [one["headline"] for one in found] == [lines[0][1:], *lines[3:]]
    assert found[0]["targets"] == found[2]["targets"]
    assert found[3]["targets"][0]["issuer"] == "TSMC"
    assert err.splitlines()[:2] == ["5 headlines read", "2 blank, left out"]
    texts = [item.text for item in model.asked]
    assert len(texts) == len(set(texts)) == 3


def test_a_line_in_another_encoding_is_named_and_costs_no_other(run, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_bytes(b"AMD opens a lab\nIntel caf\xe9\n\xff\xfe\nNvidia opens a lab\n")
    code, out, err = run("--json", "--file", "f.txt")
    assert code == 1
    assert [one["headline"] for one in objects(out)] == ["AMD opens a lab", "Nvidia opens a lab"]
    assert err.splitlines()[-1] == (
        "error: f.txt: line 2 is not valid UTF-8 at byte 25 (and 1 more); the other lines were read; save it as UTF-8"
    )


def test_an_empty_file_gives_nothing(run, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_bytes(b"")
    assert run("--json", "--file", "f.txt") == (0, "", "0 headlines read\n")


def test_controls_never_reach_the_terminal_and_json_keeps_them(run) -> None:
    text = "AMD \x1b[31mbans\x1b[0m \x07\x9b2J\u202eevil \x7f\nsecond line"
    code, out, _ = run("--json", text)
    assert code == 0
    assert out.count("\n") == 1
    assert all(c.isprintable() for c in out.rstrip("\n"))
    assert objects(out)[0]["headline"] == text
    code, out, _ = run(text)
    assert code == 0
    assert all(c.isprintable() for line in out.split("\n") for c in line)


def test_readable_text_is_plain_and_aligned_where_piped(run) -> None:
    code, out, err = run("SMIC and AMD [bold]meet[/bold]", "Rain in Leeds")
    lines = out.splitlines()
    assert (code, lines[0]) == (0, "SMIC and AMD [bold]meet[/bold]")
    assert lines[1] == "language en; event none 1.00; themes ai_models 0.00, localization 0.00, sanctions 0.00"
    head, smic, amd = lines[2:5]
    assert head.split() == [
        "issuer",
        "symbols",
        "via",
        "sentiment",
        "negative",
        "neutral",
        "positive",
        "relevance",
        "reason",
    ]
    assert head.index("via") == smic.index("direct") == amd.index("direct")
    assert "688981.SS 0981.HK" in smic
    assert smic.split()[4:9] == ["-0.62", "0.71", "0.20", "0.09", "0.99"]
    assert lines[5:] == ["", "Rain in Leeds", "language en", "abstains: names no issuer and is not about chips", ""]
    assert err == "1 without a reading: names no issuer and is not about chips\n"


def test_a_text_without_end_does_not_flood_the_terminal(run) -> None:
    code, out, _ = run("x" * 10_000)
    assert code == 0
    assert len(out) < 1_000
    assert "longer than 1,000 characters" in out


def test_masked_and_day_reach_the_reader(run, model: FakeModel) -> None:
    run("--json", "--masked", "AMD sues Intel")
    assert {item.text for item in model.asked} == {"TARGET sues OTHER", "OTHER sues TARGET"}
    (early,) = objects(run("--json", "--on", "1999-01-01", BAN)[1])
    assert [target["via"] for target in early["targets"]] == ["direct"]


def test_memory_is_that_of_a_batch(model: FakeModel) -> None:
    universe = load_universe()
    reader = Reader(model, universe)
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield f"AMD opens lab {taken % 3}"

    tally = work.Tally()
    batches = work.explain(endless(), reader, universe, tally)
    assert len(next(batches)) == len(next(batches)) == work.BATCH_TEXTS
    assert taken == tally.read == 2 * work.BATCH_TEXTS
    assert len(model.asked) == 6
    long = work.explain((f"AMD {'x' * 100_000}" for _ in range(10_000)), reader, universe, tally)
    assert len(next(long)) <= work.BATCH_CHARACTERS // 100_000 + 1
