"""A training goes on from what a model's graph holds: the weights that made it, to the rounding."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chipwire.signals.model
from chipwire.data.errors import ChipwireError
from chipwire.signals.models import Item
from chipwire.signals.onnx_model import OnnxModel
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import DIRECTIONS, EVENTS
from chipwire.signals.train_export import WEIGHT_LIMIT, smoothing, write_graph
from chipwire.signals.train_network import EMBEDDING, MAX_TOKENS, ROLES
from chipwire.signals.train_start import digest_of, graph_weights

pytest.importorskip("onnx", reason="the extra [train] or [test] is not installed")

SHIPPED = Path(chipwire.signals.model.__file__).parent
ENCODER = "encoder.encoder.layer.0"
DENSE = ("attention.output.dense", "intermediate.dense", "output.dense")

Weights = dict[str, Any]


def shapes(width: int, layers: int, words: int, places: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight of a reader of this size, by its name in torch."""
    told = len(THEMES) + len(EVENTS) + len(DIRECTIONS) + len(ROLES) * len(LABELS)
    first = "encoder.embeddings"
    found: dict[str, tuple[int, ...]] = {
        f"{first}.word_embeddings.weight": (words, width),
        f"{first}.position_embeddings.weight": (places, width),
        f"{first}.token_type_embeddings.weight": (2, width),
    }
    linear = {
        "embed": (EMBEDDING, width), "event.0": (width, width), "event.2": (told, width),
        "mention.0": (width, 2 * width), "mention.2": (len(LABELS) + 1, width),
    }  # fmt: skip
    norms = [f"{first}.LayerNorm"]
    for layer in range(layers):
        at = f"encoder.encoder.layer.{layer}"
        linear |= {f"{at}.attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        linear |= dict(
            zip(
                [f"{at}.{part}" for part in DENSE],
                [(width, width), (4 * width, width), (width, 4 * width)],
                strict=True,
            )
        )
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name, shape in linear.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        found |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return found


def drawn(seed: int, **size: int) -> Weights:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes(**size).items()}


SIZE = {"width": 8, "layers": 1, "words": 20, "places": 12}
CONFIG = {"num_hidden_layers": 1, "num_attention_heads": 2, "layer_norm_eps": 1e-12}


def ranges(weights: Weights) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        name.removesuffix(".weight"): (-rng.uniform(0.1, 9, value.shape[1]), rng.uniform(0.1, 9, value.shape[1]))
        for name, value in weights.items()
        if name.startswith(ENCODER) and value.ndim == 2
    }


def seen(weights: Weights) -> Any:
    """Return what stands at each place for the first row of token types: the only sum that a reader uses."""
    at = "encoder.embeddings"
    return weights[f"{at}.position_embeddings.weight"] + weights[f"{at}.token_type_embeddings.weight"][0]


def test_a_graph_without_rounding_gives_the_weights_of_its_encoder_back(tmp_path: Path) -> None:
    weights = drawn(1, **SIZE)
    write_graph(weights, CONFIG, None, tmp_path / "model.onnx", 10)
    found = graph_weights(tmp_path / "model.onnx", drawn(2, **SIZE))
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        if name.startswith(ENCODER) or name.endswith("bias"):
            np.testing.assert_array_equal(found[name], value, err_msg=name)
    np.testing.assert_allclose(seen(found)[:10], seen(weights)[:10], rtol=1e-6)


def test_a_rounded_graph_gives_them_back_to_half_a_step(tmp_path: Path) -> None:
    weights, spans = drawn(1, **SIZE), ranges(drawn(1, **SIZE))
    write_graph(weights, CONFIG, spans, tmp_path / "model.onnx", 10)
    found = graph_weights(tmp_path / "model.onnx", drawn(2, **SIZE))
    for part in DENSE:
        layer = f"{ENCODER}.{part}"
        value, factor = weights[f"{layer}.weight"], smoothing(*spans[layer], weights[f"{layer}.weight"])
        step = np.abs(value * factor).max(axis=1, keepdims=True) / WEIGHT_LIMIT
        off = np.abs(found[f"{layer}.weight"] - value) * factor
        assert (off <= step * 0.5001).all(), layer
        assert off.max() > 0, layer  # so it is the rounded one that was read
    for part in ("query", "key", "value"):
        name = f"{ENCODER}.attention.self.{part}"
        np.testing.assert_allclose(found[f"{name}.weight"], weights[f"{name}.weight"], atol=0.25)
        np.testing.assert_array_equal(found[f"{name}.bias"], weights[f"{name}.bias"])
    for name in ("embed", "event.0", "mention.2"):
        step = np.abs(weights[f"{name}.weight"]).max(axis=1, keepdims=True) / 127
        assert (np.abs(found[f"{name}.weight"] - weights[f"{name}.weight"]) <= step * 0.5001).all(), name
    words = "encoder.embeddings.word_embeddings.weight"
    step = np.abs(weights[words]).max(axis=1, keepdims=True) / 127
    assert (np.abs(found[words] - weights[words]) <= step * 0.5001).all()


def test_the_embedded_model_multiplied_out_reads_as_it_does(tmp_path: Path) -> None:
    texts = ("Washington bans H20 sales to China", "Intel wins a foundry customer in Austin", "寒武纪三季度净利润大增")
    items = [
        Item(texts[0], "en", (((0, 10),),)), Item(texts[1], "en", (((0, 5),),)), Item(texts[2], "zh", (((0, 3),),)),
    ]  # fmt: skip
    fresh = {
        name: np.zeros(shape, np.float32)
        for name, shape in shapes(width=384, layers=6, words=30522, places=512).items()
    }
    config = {"num_hidden_layers": 6, "num_attention_heads": 12, "layer_norm_eps": 1e-12}
    write_graph(graph_weights(SHIPPED / "model.onnx", fresh), config, None, tmp_path / "model.onnx", MAX_TOKENS)
    for name in ("model.json", "tokenizer.json", "gloss.tsv"):
        shutil.copyfile(SHIPPED / name, tmp_path / name)
    one, other = (OnnxModel(folder).read(items) for folder in (SHIPPED, tmp_path))
    np.testing.assert_allclose(other.sentiment, one.sentiment, atol=0.1)
    np.testing.assert_array_equal(other.sentiment.argmax(axis=1), one.sentiment.argmax(axis=1))
    assert np.abs(other.sentiment - one.sentiment).max() > 0  # two graphs, not one


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b"no graph"), r"model\.onnx cannot be gone on from"),
        (lambda path: path.write_bytes(b""), "words_int8"),
    ],
)
def test_what_is_no_graph_of_ours_is_refused_by_name(tmp_path: Path, spoil: Any, why: str) -> None:
    path = tmp_path / "model.onnx"
    write_graph(drawn(1, **SIZE), CONFIG, None, path, 10)
    spoil(path)
    with pytest.raises(ChipwireError, match=why):
        graph_weights(path, drawn(1, **SIZE))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    write_graph(drawn(1, **SIZE), CONFIG, None, tmp_path / "model.onnx", 10)
    with pytest.raises(ChipwireError, match=r"shape \(20, 8\), a network for .* \(21, 8\)"):
        graph_weights(tmp_path / "model.onnx", drawn(1, **SIZE | {"words": 21}))


def test_the_digest_of_a_folder_is_that_of_its_graph() -> None:
    assert digest_of(SHIPPED) == digest_of(SHIPPED / "model.onnx")
