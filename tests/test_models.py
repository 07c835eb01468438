"""Models: the embedded one reads, and one that cannot be trusted is refused in one line."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from threading import Lock

import numpy as np
import pytest

from chipwire.data.errors import BadModel
from chipwire.signals.models import Item, Readings, load_model, spans_in
from chipwire.signals.onnx_model import OnnxModel

SHIPPED = Path(str(resources.files("chipwire.signals.model")))


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """A folder like the embedded model's, with the weights as a link that no test may write through."""
    for name in ("tokenizer.json", "model.json", "gloss.tsv"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    weights = SHIPPED / "model.onnx"
    (tmp_path / "model.onnx").symlink_to(weights)
    before = weights.stat().st_size, weights.stat().st_mtime_ns
    yield tmp_path
    assert before == (weights.stat().st_size, weights.stat().st_mtime_ns)


def item(text: str, *names: str, language: str = "en") -> Item:
    return Item(text, language, tuple(spans_in(text, name) for name in names))


def same(one: Readings, two: Readings) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in vars(one))


def test_it_reads_plain_sentences_of_both_signs(model) -> None:
    items = [
        item("Intel shares jump after profit beats every estimate", "Intel"),
        item("Intel shares sink after it warns of a heavy loss", "Intel"),
        item("寒武纪净利润大增", "寒武纪", language="zh"),
        item("寒武纪业绩大幅亏损", "寒武纪", language="zh"),
    ]
    read = model.read(items).sentiment
    assert (read[[0, 2], 2] > read[[0, 2], 0]).all()
    assert (read[[1, 3], 0] > read[[1, 3], 2]).all()


def test_one_headline_is_read_differently_for_two_companies(model) -> None:
    read = model.read([item("AMD wins a huge order from Intel's biggest customer", "AMD", "Intel")]).sentiment
    assert read.shape == (2, 3)
    assert read[0, 2] - read[0, 0] > read[1, 2] - read[1, 0]


def test_probabilities_are_probabilities_and_nothing_gives_nothing(model) -> None:
    read = model.read([item("SMIC reports", "SMIC"), item("中芯国际", "中芯国际", language="zh"), item("?")])
    assert np.allclose(read.sentiment.sum(axis=1), 1.0, atol=1e-12)
    assert np.allclose(read.events.sum(axis=1), 1.0, atol=1e-12)
    assert np.allclose(read.directions.sum(axis=1), 1.0, atol=1e-12)
    assert np.allclose(np.linalg.norm(read.embeddings, axis=1), 1.0, atol=1e-5)
    assert ((read.themes >= 0) & (read.themes <= 1)).all()
    assert read.roles.shape == (3, len(model.card.roles), 3)
    assert read.sentiment.shape == (2, 3)
    assert read.events.shape == (3, len(model.card.events))
    assert model.read([]).sentiment.shape == (0, 3)


def test_texts_of_any_size_run_in_batches_of_texts_of_that_size_alone(model) -> None:
    texts = ["a" + " b" * n for n in range(12)] * 30 + ["c" + " d" * 600, "e" + " f" * 700]
    seen = []

    class Session:
        def run(self, outputs, feed):
            assert feed["attention_mask"].sum() == feed["attention_mask"].size
            seen.append(feed["input_ids"].shape)
            return session.run(outputs, feed)

    session, model._session = model._session, Session()
    try:
        model.read([item(text) for text in texts])
    finally:
        model._session = session
    assert sum(rows for rows, _ in seen) == len(texts)
    assert max(rows * width for rows, width in seen) <= model.batch_tokens
    assert len(seen) < 30


def test_a_score_does_not_depend_on_what_is_read_beside_it(model) -> None:
    texts = [f"Foundry number {n} {'raises prices and ' * (n % 7)}cuts its outlook, TSMC says" for n in range(40)]
    items = [item(text, "TSMC") for text in texts] + [
        item("台积电" + "下调展望" * n, "台积电", language="zh") for n in range(9)
    ]
    together = model.read(items)
    for number in (0, 7, 25, 39, 40, 48):
        alone = model.read([items[number]])
        assert np.array_equal(alone.sentiment[0], together.sentiment[number])
        assert np.array_equal(alone.events[0], together.events[number])
        assert np.array_equal(alone.embeddings[0], together.embeddings[number])
    full = [
        item(f"Foundry {n:04d} cuts its outlook and TSMC, AMD or Intel, says", *["TSMC", "AMD", "Intel"][: n % 3 + 1])
        for n in range(90)
    ]
    whole, first = model.read(full), np.cumsum([0, *(len(one.targets) for one in full)])
    for number in (0, 1, 17, 44, 89):
        alone, targets = model.read([full[number]]), slice(first[number], first[number + 1])
        for name, values in vars(whole).items():
            own = values[targets] if name in ("sentiment", "relevance", "meant") else values[number : number + 1]
            assert np.array_equal(getattr(alone, name), own), name
    backwards = model.read(items[::-1])
    assert np.array_equal(backwards.sentiment[::-1], together.sentiment)


@pytest.mark.parametrize(
    "headline", ["", " ", "[SEP] [CLS] [MASK]", "😀" * 50, "芯片 chip 芯片", "x" * 10_000, "\u202eAMD", "ß" * 300]
)
@pytest.mark.parametrize("language", ["en", "zh", "und"])
def test_odd_headlines_are_read_and_not_feared(model, headline: str, language: str) -> None:
    read = model.read([item(headline, "AMD", language=language), item(headline, language=language)])
    assert np.isfinite(read.sentiment).all()
    assert np.isfinite(read.embeddings).all()


def test_a_literal_separator_in_a_headline_is_text(model) -> None:
    plain = OnnxModel(SHIPPED)._tokenizer.encode("a [SEP] b")
    assert [token for token in plain.tokens if token == "[SEP]"] == ["[SEP]"]  # the one at the end


def test_labels_in_the_wrong_order_fail_the_self_test(copy: Path) -> None:
    described = json.loads((copy / "model.json").read_text("utf-8"))
    described["labels"] = ["positive", "neutral", "negative"]
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(BadModel, match="self-test failed"):
        load_model(str(copy))


def test_the_order_of_the_labels_is_that_of_signs_and_roles_alike(copy: Path) -> None:
    items = [item("Washington bans sales of Nvidia's accelerators to China", "Nvidia")]
    usual = OnnxModel(copy).read(items)
    described = json.loads((copy / "model.json").read_text("utf-8"))
    described["labels"] = ["positive", "neutral", "negative"]
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    turned = OnnxModel(copy).read(items)  # the same numbers, said to mean the contrary
    assert np.array_equal(turned.sentiment, usual.sentiment[:, ::-1])
    assert np.array_equal(turned.roles, usual.roles[..., ::-1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": ["LABEL_0", "LABEL_1", "LABEL_2"]}, "its labels are LABEL_0, LABEL_1, LABEL_2"),
        ({"labels": ["negative", "positive"]}, "needed are negative, neutral and positive"),
        ({"format": "another"}, "format is 'another'"),
        ({"max_tokens": 1}, "out of range"),
        ({"temperatures": {"sentiment": 0}}, "out of range"),
        ({"languages": "en"}, "languages must be a list of different names, not en"),
        ({"languages": ["xx"]}, "no self-test in a language that it reads"),
        ({"least_meant": "much"}, r"model\.json cannot be used \(could not convert string to float"),
        ({"least_meant": 0.7}, r"least_meant must be from 0 to 0\.5, not 0\.7"),
        ({"least_alone": -0.1}, r"least_alone must be from 0 to 0\.9, not -0\.1"),
        ({"least_alone": 0.95}, r"least_alone must be from 0 to 0\.9, not 0\.95"),
        ({"events": ["none"] * 26}, "events must be a list of different names"),
        ({"events": ["none"]}, r"names 1 event, model\.onnx tells 26 apart"),
        ({"roles": ["gpu_seller"]}, r"names 1 role, model\.onnx tells 40 apart"),
    ],
)
def test_unknown_labels_and_settings_are_refused_by_name(copy: Path, change: dict, says: str) -> None:
    described = json.loads((copy / "model.json").read_text("utf-8")) | change
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(BadModel, match=says):
        load_model(str(copy))


def test_a_glossary_that_is_missing_or_cut_short_is_named(copy: Path) -> None:
    whole = (copy / "gloss.tsv").read_bytes()
    (copy / "gloss.tsv").write_bytes(whole[:100_000])
    with pytest.raises(BadModel, match=r"gloss\.tsv is (cut short|not UTF-8)"):
        load_model(str(copy))
    (copy / "gloss.tsv").write_bytes(b"\xff" + whole)
    with pytest.raises(BadModel, match=r"gloss\.tsv is not UTF-8"):
        load_model(str(copy))
    (copy / "gloss.tsv").unlink()
    with pytest.raises(BadModel, match=r"gloss\.tsv is missing"):
        load_model(str(copy))


def test_a_device_in_place_of_a_file_is_not_read(copy: Path) -> None:
    (copy / "model.json").unlink()
    (copy / "model.json").symlink_to("/dev/zero")
    with pytest.raises(BadModel, match=r"model\.json is missing"):
        load_model(str(copy))


def test_an_empty_name_and_a_folder_without_its_graph_are_told(copy: Path) -> None:
    with pytest.raises(BadModel, match="the name is empty"):
        load_model("")
    (copy / "model.onnx").unlink()
    with pytest.raises(BadModel, match=r"model\.onnx is missing"):
        load_model(str(copy))


def test_missing_and_broken_files_are_one_line(copy: Path) -> None:
    (copy / "model.onnx").unlink()
    (copy / "model.onnx").write_bytes((SHIPPED / "model.onnx").read_bytes()[:1000])
    with pytest.raises(BadModel, match=r"model\.onnx cannot be used \(.+\); copy the folder anew"):
        load_model(str(copy))
    (copy / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(BadModel, match=r"tokenizer\.json cannot be used"):
        load_model(str(copy))
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BadModel, match=r"tokenizer\.json is missing"):
        load_model(str(copy))
    (copy / "model.json").write_text("{", "utf-8")
    with pytest.raises(BadModel, match=r"model\.json cannot be used"):
        load_model(str(copy))
    (copy / "model.json").unlink()
    with pytest.raises(BadModel, match=r"model\.json is missing"):
        load_model(str(copy))


def test_the_shipped_model_is_small_and_states_its_origin() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file() and path.suffix in (".onnx", ".json")]
    assert sum(path.stat().st_size for path in files) <= 30_000_000
    facts = json.loads((SHIPPED / "model.json").read_text("utf-8"))
    assert facts["languages"] == ["en", "zh"]
    assert facts["base"]["licence"] == "Apache-2.0"
    assert facts["training_cutoff"] >= facts["base"]["training_cutoff"]
    # Trained on from weights with a seed, or the mean of weights that were.
    assert isinstance(facts["seed"], int) if "start" in facts else facts["mean_of"]
    assert all(len(digest) == 64 for digest in facts.get("mean_of", [facts.get("start")]))
    assert b"/work" not in (SHIPPED / "model.onnx").read_bytes()


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadModel, match="pickled"):
        load_model(str(tmp_path))


def test_the_digest_follows_the_files(copy: Path) -> None:
    before = OnnxModel(copy).card.files_sha256
    assert OnnxModel(copy).card.files_sha256 == before
    described = json.loads((copy / "model.json").read_text("utf-8")) | {"temperatures": {"sentiment": 2.0}}
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    assert OnnxModel(copy).card.files_sha256 != before


def test_any_sequence_classifier_of_transformers_can_be_loaded(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")
    transformers = pytest.importorskip("transformers")
    from chipwire.signals.hub_model import TransformersModel

    torch.manual_seed(1)
    labels = {0: "Bearish", 1: "Bullish", 2: "Neutral"}
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=3,
        id2label=labels, label2id={name: number for number, name in labels.items()},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxy"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), "utf-8")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    loaded = TransformersModel(str(tmp_path), local=True)
    read = loaded.read([item("a b c", "a", "b"), item("d", "d")])
    assert np.allclose(read.sentiment.sum(axis=1), 1.0)
    assert np.array_equal(read.sentiment[0], read.sentiment[1])
    assert read.events is None
    tokenizer, busy = loaded._tokenizer, Lock()

    def alone(*texts, **how):
        assert busy.acquire(blocking=False), "two callers at a time"
        try:
            time.sleep(0.002)  # gives another caller the time to come in, if it can
            return tokenizer(*texts, **how)
        finally:
            busy.release()

    loaded._tokenizer = alone
    pieces = [[item(" ".join("abcdefgh"[: 1 + (n + at) % 8]), "a") for n in range(90)] for at in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(loaded.read, pieces))
    for of_piece, one in zip(together, map(loaded.read, pieces), strict=True):
        assert np.array_equal(of_piece.sentiment, one.sentiment)


def test_what_a_name_means_is_said_of_each_target_whatever_is_read_beside_it() -> None:
    model = OnnxModel(SHIPPED)
    words = "Micron dust filters sell well, and Micron raises its memory prices"
    pair = Item(words, "en", (((0, 6),), ((35, 41),)))
    none, long = Item("Rain in Kent", "en", ()), Item("so " * 300 + "Power", "en", (((900, 905),),))
    found = model.read([none, pair, long, *[Item(f"KLA of {n} towns", "en", (((0, 3),),)) for n in range(9)]]).meant
    alone = model.read([pair]).meant
    assert found is not None
    assert alone is not None
    assert found[:2].tolist() == alone.tolist()
    assert alone[0] < alone[1]
    assert found[2] == pytest.approx(1.0)  # the model sees nothing of it
    nothing = model.read([none]).meant
    assert nothing is not None
    assert nothing.shape == (0,)
    assert model.card.least_meant == 0.1


def test_the_embedded_model_says_of_each_text_whether_it_moves_anybody_alone() -> None:
    model = OnnxModel(SHIPPED)
    texts = [
        "Imports of garlic barred from the islands", "Sales of AI accelerators to China barred from Monday",
        "Parish choir puts on a licensed puppet play", "Export licences for chipmaking tools suspended",
    ]  # fmt: skip
    found = model.read([Item(text, "en", ()) for text in texts]).alone
    assert found is not None
    assert max(found[[0, 2]]) < 0.1 < 0.9 < min(found[[1, 3]])
    for text, one in zip(texts, found, strict=True):
        alone = model.read([Item(text, "en", ())]).alone
        assert alone is not None
        assert alone.tolist() == [one]
    assert model.read([]).alone is not None
    assert model.card.least_alone == 0.4


@pytest.mark.parametrize(
    ("head", "silent"), [("meant", "says of no name"), ("alone", "does not say whether a text that names nobody")]
)
def test_a_graph_without_a_last_head_cannot_have_a_threshold_for_it(copy: Path, head: str, silent: str) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra [train] or [test] is not installed")
    graph = onnx.load(str(copy / "model.onnx"))
    outputs = [output for output in graph.graph.output if output.name != head]
    del graph.graph.output[:]
    graph.graph.output.extend(outputs)
    (copy / "model.onnx").unlink()  # it is a link to the shipped one
    onnx.save(graph, str(copy / "model.onnx"))
    with pytest.raises(BadModel, match=rf"has least_{head}, model\.onnx {silent}"):
        load_model(str(copy))
    described = json.loads((copy / "model.json").read_text("utf-8"))
    (copy / "model.json").write_text(json.dumps(described | {f"least_{head}": 0}), "utf-8")
    found = load_model(str(copy)).read([Item("Intel gains", "en", (((0, 5),),))])
    assert getattr(found, head) is None
