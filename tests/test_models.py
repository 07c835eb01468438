"""Models: the embedded one reads, and one that cannot be trusted is refused in one line."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from chipwire.data.errors import BadModel
from chipwire.signals.models import OnnxModel, load_model, probabilities

SHIPPED = Path(str(resources.files("chipwire.signals.model")))


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder like the embedded model's, with the weights as a link."""
    for name in ("tokenizer.json", "model.json"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    (tmp_path / "model.onnx").symlink_to(SHIPPED / "model.onnx")
    return tmp_path


def test_it_reads_plain_sentences_of_both_signs(model) -> None:
    texts = [
        ("Intel shares jump after profit beats every estimate", "Intel"),
        ("Intel shares sink after it warns of a heavy loss", "Intel"),
    ]
    good, bad = probabilities(model, texts)
    assert good[2] > 0.5 > good[0]
    assert bad[0] > 0.5 > bad[2]


def test_rows_sum_to_one_and_nothing_gives_nothing(model) -> None:
    read = probabilities(model, [("SMIC reports", "SMIC"), ("Hua Hong", "Hua Hong"), ("?", "AMD")])
    assert np.allclose(read.sum(axis=1), 1.0, atol=1e-12)
    assert probabilities(model, []).shape == (0, 3)


def test_a_score_does_not_depend_on_what_is_read_beside_it(model) -> None:
    texts = [(f"Foundry number {n} {'raises prices and ' * (n % 7)}cuts its outlook", "TSMC") for n in range(40)]
    together = probabilities(model, texts)
    alone = np.vstack([probabilities(model, [text]) for text in texts])
    assert np.array_equal(together, alone)
    assert np.array_equal(probabilities(model, texts[::-1])[::-1], together)


@pytest.mark.parametrize(
    "headline", ["", " ", "[SEP] [CLS] [MASK]", "😀" * 50, "芯片 chip 芯片", "x" * 10_000, "\u202eAMD", "ß" * 300]
)
def test_odd_headlines_are_read_and_not_feared(model, headline: str) -> None:
    read = probabilities(model, [(headline, "AMD")])
    assert np.isfinite(read).all()


def test_a_literal_separator_in_a_headline_is_text(model) -> None:
    plain = model._tokenizer.encode("a [SEP] b", "AMD")
    separators = [token for token in plain.tokens if token == "[SEP]"]
    assert len(separators) == 2  # after the headline and after the name, none inside


def test_labels_in_the_wrong_order_fail_the_self_test(copy: Path) -> None:
    described = json.loads((copy / "model.json").read_text("utf-8"))
    described["labels"] = ["positive", "neutral", "negative"]
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(BadModel, match="self-test failed"):
        load_model(str(copy))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": ["LABEL_0", "LABEL_1", "LABEL_2"]}, "its labels are LABEL_0, LABEL_1, LABEL_2"),
        ({"labels": ["negative", "positive"]}, "needed are negative, neutral and positive"),
    ],
)
def test_unknown_labels_are_refused_by_name(copy: Path, change: dict, says: str) -> None:
    described = json.loads((copy / "model.json").read_text("utf-8")) | change
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(BadModel, match=says):
        load_model(str(copy))


def test_missing_and_broken_files_are_one_line(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(BadModel):
        load_model(str(copy))
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BadModel):
        load_model(str(copy))
    (copy / "model.json").unlink()
    with pytest.raises(BadModel, match=r"model\.json is missing"):
        load_model(str(copy))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadModel, match="pickled"):
        load_model(str(tmp_path))


def test_the_digest_follows_the_files(copy: Path) -> None:
    before = OnnxModel(copy).card.files_sha256
    assert OnnxModel(copy).card.files_sha256 == before
    described = json.loads((copy / "model.json").read_text("utf-8")) | {"temperature": 2.0}
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    assert OnnxModel(copy).card.files_sha256 != before


def test_any_sequence_classifier_of_transformers_can_be_loaded(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")
    transformers = pytest.importorskip("transformers")
    from chipwire.signals.models import TransformersModel

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
    assert loaded.card.labels == ("negative", "positive", "neutral")
    assert np.allclose(probabilities(loaded, [("a b c", ""), ("d", "")]).sum(axis=1), 1.0)
