"""The embedded model's int8 storage, and the folder that ships."""

import json
from pathlib import Path

import numpy as np
import pytest

from chipwire.signals import train_data, train_export
from chipwire.signals.train import MAX_TOKENS, SELFTEST, encode, length_batches, load_tokenizer
from chipwire.signals.train_data import LABELS, Example

MODEL = Path(train_data.__file__).parent / "model"


def test_int8_is_within_half_a_step():
    weight = np.random.default_rng(5).normal(size=(7, 5)).astype(np.float32)
    weight[:, 2] = 0
    for axis in (0, 1):
        values, scales = train_export.int8_channels(weight, axis)
        assert values.dtype == np.int8
        assert np.all(np.abs(values * scales - weight) <= scales / 2 + 1e-7)


def test_batches_hold_every_row_once():
    rows = [Example("x" * (number % 17), "Acme", 1, "sentfin") for number in range(333)]
    for rng in (None, np.random.default_rng(2)):
        batches = length_batches(rows, 32, rng)
        assert sorted(index for batch in batches for index in batch) == list(range(333))
        assert max(map(len, batches)) == 32


@pytest.fixture(scope="module")
def facts():
    return json.loads((MODEL / "model.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run():
    return train_export.onnx_runner(MODEL / "model.onnx")


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(MODEL / "tokenizer.json")


def test_shipped_folder_is_small_and_states_its_origin(facts):
    assert sum(path.stat().st_size for path in MODEL.iterdir() if path.is_file()) <= 26_000_000
    assert facts["labels"] == list(LABELS)
    assert facts["max_tokens"] == MAX_TOKENS
    assert facts["training_cutoff"] >= facts["base"]["training_cutoff"]
    assert facts["training_cutoff"] == max(item["cutoff"] for item in facts["data"])
    assert sum(item["rows"] for item in facts["data"]) == sum(facts["rows"].values())
    assert facts["metrics"]["test"]["int8_agreement"] >= 0.985


def test_shipped_card_quotes_the_measured_figures(facts):
    card = (MODEL / "MODEL_CARD.md").read_text(encoding="utf-8")
    for split in ("validation", "test"):
        for name in ("accuracy", "macro_f1"):
            figure = facts["metrics"][split][name]
            assert f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})" in card
    assert facts["training_cutoff"] in card
    assert str(facts["temperature"]) in card


def test_shipped_model_reads_its_selftest(run, tokenizer, facts):
    rows = [Example(item["headline"], item["target"], LABELS.index(item["label"]), "") for item in facts["selftest"]]
    assert [(row.headline, row.target, LABELS[row.label]) for row in rows] == list(SELFTEST)
    assert run(encode(tokenizer, rows)).argmax(1).tolist() == [row.label for row in rows]


def test_shipped_model_scores_a_row_alike_alone_and_in_a_batch(run, tokenizer):
    rows = [Example(text, name, 1, "") for text, name, _ in SELFTEST]
    rows.append(Example("Foundry " * 60 + "closes", "Foundry", 1, ""))
    together = run(encode(tokenizer, rows))
    alone = np.vstack([run(encode(tokenizer, [row])) for row in rows])
    assert np.abs(together - alone).max() < 1e-4


def test_shipped_tokenizer_cuts_the_headline_only_and_keeps_special_words_plain(tokenizer):
    long = tokenizer.encode("chip " * 500, "Lam Research")
    assert len(long.ids) == MAX_TOKENS
    assert [token for token, kind in zip(long.tokens, long.type_ids, strict=True) if kind == 1] == [
        "lam",
        "research",
        "[SEP]",
    ]
    assert tokenizer.encode("Acme [SEP] Bolt", "Acme").tokens.count("[SEP]") == 2
