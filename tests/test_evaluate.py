"""The evaluation: measures worked by hand, answers through the real reader with a model that is known."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chipwire.data.universe import load_universe
from chipwire.signals import evaluate, evaluate_answers, evaluate_speed
from chipwire.signals.evaluate_measures import MEASURES, Answers, Gold, entity_accuracy, measured, sign_rows
from chipwire.signals.models import Item, ModelCard, Readings
from chipwire.signals.reading import Reader
from chipwire.signals.train_domain import EVENTS, Row

NO_ROWS: dict[str, tuple[str, ...]] = {}


def row(group: str, headline: str, issuer: str, label: str, via: str = "direct", language: str = "en") -> Row:
    return Row(
        group, language, headline, issuer, via, label, "high", frozenset({"sanctions"}), "chip_sale_ban", "plain"
    )


ROWS = (
    row("g1", "Washington bans AMD sales", "AMD", "negative"),
    row("g1", "Washington bans AMD sales", "CAMBRICON", "positive", "exposure"),
    row("g1", "Ban on AMD is off", "AMD", "positive"),
    row("g2", "Intel hires", "INTEL", "neutral"),
    row("g3", "禁售令落地", "NVIDIA", "negative", "exposure", "zh"),
    row("g3", "英伟达受阻", "NVIDIA", "negative", "direct", "zh"),
    row("g4", "Chips are discussed", "TSMC", "neutral", "exposure"),
)
GOOD, BAD, EVEN, NO = [0.1, 0.2, 0.7], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [np.nan] * 3


def test_which_rows_each_measure_of_signs_stands_on() -> None:
    chosen = {key: np.flatnonzero(rows).tolist() for key, rows in sign_rows(ROWS).items()}
    assert chosen == {
        "sign_named": [0, 2, 5],
        "sign_unnamed": [1, 4],
        "sign_flip": [0, 2],
        "sign_opposite": [0, 1],
        "sign_zh_named": [5],
        "sign_zh_unnamed": [4],
    }


def test_measures_by_hand() -> None:
    gold = Gold(ROWS, {"lookalikes": ("a", "b", "c", "d")})
    assert gold.texts == tuple(dict.fromkeys(one.headline for one in ROWS))
    assert [one.headline for one in gold.headlines] == list(gold.texts)
    ban, none = EVENTS.index("chip_sale_ban"), EVENTS.index("none")
    answers = Answers(
        np.array([BAD, GOOD, BAD, EVEN, NO, BAD, GOOD]),
        relevance=np.array([0.9, 0.9, 0.4, 0.5, np.nan, 0.9, 0.9]),
        themes=np.array([[0, 0, 0.9], [0, 0, 0.5], [0.6, 0, 0.9], [0, 0, 0], [0, 0, 0.9], [0, 0, 0.9]]),
        events=np.array([ban, ban, none, ban, ban, ban]),
        linked={"lookalikes": np.array([False, False, True, False])},
    )
    found = {key: (one.figure.value, one.figure.rows, one.coverage) for key, one in measured(gold, answers).items()}
    assert found == {
        "sign_named": (round(2 / 3, 4), 3, 1.0),
        "sign_unnamed": (0.5, 2, 0.5),
        "sign_flip": (0.5, 2, 1.0),
        "sign_opposite": (1.0, 2, 1.0),
        "sign_zh_named": (1.0, 1, 1.0),
        "sign_zh_unnamed": (0.0, 1, 0.0),
        "labels_named": (0.75, 4, 1.0),
        "left_alone": (0.0, 1, 1.0),
        "relevance": (0.75, 4, 1.0),
        # Theme 1 is only said (F1 0); theme 3: five hits of five said and six true.
        "themes": (round((0 + 10 / 11) / 2, 4), 6, 1.0),
        # "none" is only said; the ban: five hits of five said and six true.
        "events": (round((0 + 10 / 11) / 2, 4), 6, 1.0),
        "events_accuracy": (round(5 / 6, 4), 6, 1.0),
        "lookalikes": (0.75, 4, 1.0),
        # In the bin of 0.7 two of three are right, in that of 0.8 the one is.
        "calibration": (round((3 * abs(0.7 - 2 / 3) + abs(0.8 - 1)) / 4, 4), 4, 1.0),
    }
    assert found.keys() <= {measure.key for measure in MEASURES}


def test_silence_is_wrong_where_a_sign_is_due_and_right_where_none_is() -> None:
    silent = measured(Gold(ROWS, NO_ROWS), Answers(np.full((len(ROWS), 3), np.nan)))
    for key in ("sign_named", "sign_unnamed", "labels_named"):
        assert (silent[key].figure.value, silent[key].coverage) == (0.0, 0.0)
    assert silent["left_alone"].figure.value == 1.0
    assert "calibration" not in silent
    assert "themes" not in silent


def test_entity_accuracy_by_hand() -> None:
    found = entity_accuracy(np.array([GOOD, BAD, EVEN, EVEN]), np.array([2, 0, 1, 0]), ["a", "a", "b", "c"])
    assert found is not None
    assert (found.figure.value, found.figure.rows) == (0.75, 4)
    assert entity_accuracy(np.empty((0, 3)), np.empty(0, dtype=int), []) is None


class FakeModel:
    """Takes every text for a chip-sale ban, and everyone named for its victim."""

    card = ModelCard("fake", ("en", "zh"), EVENTS, None, "0" * 64)

    def read(self, items: Sequence[Item]) -> Readings:
        count = sum(len(item.targets) for item in items)
        events = np.zeros((len(items), len(EVENTS)))
        events[:, EVENTS.index("chip_sale_ban")] = 1
        return Readings(
            np.tile(BAD, (count, 1)), np.ones(count), np.tile([0.0, 0.0, 1.0], (len(items), 1)), events,
            np.tile([0.0, 0.0, 1.0], (len(items), 1)),
        )  # fmt: skip


BAN = "Washington bans sales of AMD accelerators to China"
OFF = "Rain stops play in Leeds"


def test_answers_come_through_the_real_reader_with_and_without_exposure() -> None:
    rows = (
        row("g", BAN, "AMD", "negative"),
        row("g", BAN, "CAMBRICON", "positive", "exposure"),
        row("h", OFF, "INTEL", "negative"),
    )
    gold = Gold(rows, {"lookalikes": ("Potato chips sell out in Leeds", "AMD opens a lab")})
    read = evaluate_answers.read_gold(Reader(FakeModel(), load_universe()), gold)
    full = evaluate_answers.answers_of(read, gold)
    assert full.probabilities[0].tolist() == BAD
    assert full.probabilities[1, 2] > full.probabilities[1, 0]
    assert np.isnan(full.probabilities[2]).all()
    assert full.themes.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert [EVENTS[at] for at in full.events] == ["chip_sale_ban", "none"]
    assert full.linked["lookalikes"].tolist()[1]
    bare = evaluate_answers.answers_of(read, gold, ("direct",))
    assert bare.probabilities[0].tolist() == BAD
    assert np.isnan(bare.probabilities[1:]).all()
    assert bare.linked["lookalikes"].tolist() == [False, True]


def test_lexicon_and_majority() -> None:
    scores = {"good": 0.06, "bad": -0.5, "flat": 0.05}
    assert evaluate_answers.lexicon_probabilities(list(scores), scores.__getitem__).tolist() == [
        [0, 0, 1], [1, 0, 0], [0, 1, 0],
    ]  # fmt: skip
    train = [row("t", "a", "AMD", "negative"), row("t", "a", "INTEL", "negative"), row("t", "b", "AMD", "positive")]
    train.append(replace(train[0], headline="c", label="neutral", themes=frozenset(), event="rating"))
    answers = evaluate_answers.majority_answers(Gold(ROWS, NO_ROWS), train)
    assert answers.probabilities[0].tolist() == [0.5, 0.25, 0.25]
    assert answers.themes[0].tolist() == [0, 0, 1]
    assert EVENTS[answers.events[0]] == "chip_sale_ban"
    assert measured(Gold(ROWS, NO_ROWS), answers)["sign_named"].figure.value == round(2 / 3, 4)


def test_public_rows_are_the_held_out_ones_and_read_where_they_are_named(tmp_path: Path) -> None:
    lines = [f"\"Acme rises and Bolt falls {n}\",\"{{'Acme': 'positive', 'Bolt': 'negative'}}\"" for n in range(60)]
    (tmp_path / "sentfin.csv").write_text("\n".join(["Title,Decisions", *lines]), "utf-8")
    texts, train = evaluate_answers.sentfin_test(tmp_path)
    from chipwire.signals.train_data import split_of

    assert {text.text for text in texts} == {
        text for n in range(60) if split_of(text := f"Acme rises and Bolt falls {n}") == "test"
    }
    assert not {text.text for text in texts} & {one.headline for one in train}
    assert all(target.spans for text in texts for target in text.targets)
    assert evaluate_answers.entity_probabilities(FakeModel(), texts).tolist() == [BAD] * (2 * len(texts))


def test_agreement_of_signs_by_hand() -> None:
    one, other = np.array([GOOD, BAD, EVEN, GOOD]), np.array([[0.4, 0.1, 0.5], BAD, EVEN, BAD])
    assert evaluate_speed.sign_agreement(one, other) == 0.75
    assert evaluate_speed.sign_agreement(one[:0], other[:0]) == 1.0


def test_the_float32_graph_is_taken_from_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one/model.json", "one/tokenizer.json", "one/gloss.tsv", "one/model.onnx", "one-float32.onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    seen = {}

    def look(reference: str) -> FakeModel:
        seen.update({path.name: path.read_text() for path in Path(reference).iterdir()})
        return FakeModel()

    monkeypatch.setattr(evaluate_speed, "load_model", look)
    evaluate_speed.load_float32(tmp_path / "one")
    assert seen == {
        "model.json": "one/model.json",
        "tokenizer.json": "one/tokenizer.json",
        "gloss.tsv": "one/gloss.tsv",
        "model.onnx": "one-float32.onnx",
    }


def test_contestants_run_in_turns_and_the_median_counts() -> None:
    now, order = 0.0, []

    def runs(name: str, seconds: list[float]):
        def run() -> None:
            nonlocal now
            order.append(name)
            now += seconds.pop(0)

        return run

    found = evaluate_speed.alternate([runs("a", [9, 2, 3]), runs("b", [5, 4, 50])], 3, lambda: now)
    assert (found, "".join(order)) == ([3, 5], "ababab")


def test_texts_to_time_are_distinct_and_the_test_headlines_come_first() -> None:
    texts = evaluate_speed.speed_texts([row("g", BAN, "AMD", "negative"), ROWS[4]], 50)
    assert texts[0] == BAN
    assert len(texts) == len(set(texts)) == 50
    assert len(evaluate_speed.speed_texts([])) == evaluate_speed.HEADLINES


def column(reader: str, seed: int | None, data: str = "d", **values: float) -> evaluate.Column:
    measures = {
        key: {"value": value, "low": value, "high": value, "rows": 7, "coverage": 0.5} for key, value in values.items()
    }
    return {
        "reader": reader,
        "seed": seed,
        "model": "m",
        "files_sha256": "",
        "data": data,
        "split": "test",
        "measures": measures,
    }


def test_the_table_has_targets_baselines_and_the_spread_of_seeds() -> None:
    columns = [
        column("chipwire", 1, sign_named=0.91, events=0.5, calibration=0.02),
        column("no exposure", 1, sign_named=0.9),
        column("VADER", None, sign_named=0.4),
    ]
    head, signs, events, calibration = evaluate.table(
        columns, [column("chipwire", k, sign_named=0.9 + k / 100) for k in (1, 2, 3)]
    )
    assert head == [
        "measure",
        "target",
        "chipwire",
        "95%",
        "reached",
        "rows",
        "covered",
        "no exposure",
        "VADER",
        "seeds: mean",
        "least..most",
    ]
    assert signs[1:] == ["0.900", "0.910", "0.910-0.910", "yes", "7", "50%", "0.900", "0.400", "0.920", "0.910..0.930"]
    assert events[1:5] == ["0.800", "0.500", "0.500-0.500", "no"]
    assert events[7:] == ["", "", "", ""]
    assert (calibration[1], calibration[4]) == ("", "")
    assert len(evaluate.table(columns, [])[0]) == 9
    several = evaluate.table([column("chipwire", k, events=k / 10) for k in (1, 2, 3)], [])
    assert several[1][-2:] == ["0.200", "0.100..0.300"]
    assert evaluate.aligned([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc   d\n"


def test_notes_say_what_was_recorded_and_on_which_data() -> None:
    live = [column("chipwire", 1)]
    seeds = [column("chipwire", k, data="old") for k in (1, 2)]
    assert evaluate.notes(live, seeds, "d")[1].endswith("seeds 1, 2 were recorded at training, on other data (old).")
    assert evaluate.notes(live, live, "d")[1].endswith("on the same data.")
    assert len(evaluate.notes(live, [], "d")) == 1
    assert "over 2" in evaluate.notes([*live, *live], [], "d")[1]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "load_model", lambda reference=None: FakeModel())
    monkeypatch.setattr(evaluate_speed, "load_model", lambda reference=None: FakeModel())
    monkeypatch.setattr(evaluate, "recorded", list)
    monkeypatch.setattr(evaluate_answers, "load_gold", lambda: (Gold(ROWS, {"lookalikes": (OFF,)}), ROWS, "digest"))
    fake = types.ModuleType("vaderSentiment.vaderSentiment")
    fake.SentimentIntensityAnalyzer = lambda: types.SimpleNamespace(polarity_scores=lambda text: {"compound": -1.0})
    monkeypatch.setitem(sys.modules, "vaderSentiment", types.ModuleType("vaderSentiment"))
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", fake)


def test_the_command_prints_the_table_and_json(small: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[0].split()[:4] == ["measure", "target", "chipwire", "95%"]
    assert "Test split of data digest" in out
    assert evaluate.main(["--json", "--baseline", "b", "--float32", "f"]) == 0
    first = capsys.readouterr().out
    found = json.loads(first)
    assert [one["reader"] for one in found] == [
        "chipwire",
        "no exposure",
        "no domain data",
        "VADER",
        "majority",
        "chipwire",
    ]
    # Named rows with a sign: two are negative, one is positive, and both say negative throughout.
    for one in (found[0], found[3]):
        assert one["measures"]["sign_named"]["value"] == round(2 / 3, 4)
    assert found[-1]["float32"] == {"agreement": 1.0, "targets": 4}
    evaluate.main(["--json", "--baseline", "b", "--float32", "f"])
    assert capsys.readouterr().out == first


def test_without_vader_it_says_so(
    small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    assert evaluate.main([]) == 0
    out, err = capsys.readouterr()
    assert err == "VADER is not installed and left out: pip install '.[train]' in the repository\n"
    assert "VADER" not in out


def test_a_wrong_folder_is_one_line(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--public", str(tmp_path)]) == 1
    assert "has no sentfin.csv" in capsys.readouterr().err


def test_the_seed_is_what_the_folder_states(tmp_path: Path) -> None:
    assert evaluate.seed_of(tmp_path) is None
    (tmp_path / "model.json").write_text('{"seed": 3}')
    assert evaluate.seed_of(tmp_path) == 3


def test_the_test_split_of_the_shipped_rows_has_every_kind_of_row() -> None:
    gold, train, digest = evaluate_answers.load_gold()
    assert {one.group for one in gold.rows}.isdisjoint(one.group for one in train)
    assert all(chosen.sum() >= 50 for chosen in sign_rows(gold.rows).values())
    assert len(digest) == 12
