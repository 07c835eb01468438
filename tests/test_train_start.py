"""A training goes on from what a model's graph holds: the weights that made it, to the rounding."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chipwire.signals.model
from chipwire.data.errors import ChipwireError
from chipwire.signals.models import Item
from chipwire.signals.onnx_model import OnnxModel
from chipwire.signals.themes import THEMES
from chipwire.signals.train import build_mean
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import DIRECTIONS, EVENTS
from chipwire.signals.train_export import HEADS, WEIGHT_LIMIT, smoothing, write_graph
from chipwire.signals.train_network import EMBEDDING, LAST_UNITS, MAX_TOKENS, ROLES
from chipwire.signals.train_start import digest_of, go_on, graph_weights, mean_of

onnx = pytest.importorskip("onnx", reason="the extra [train] or [test] is not installed")

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
        "meant.0": (LAST_UNITS, 2 * width), "meant.2": (1, LAST_UNITS),
        "alone.0": (LAST_UNITS, width), "alone.2": (1, LAST_UNITS),
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


def test_a_graph_without_rounding_gives_the_weights_of_its_encoder_back(tmp_path: Path) -> None:
    weights, fresh = drawn(1, **SIZE), drawn(2, **SIZE)
    write_graph(weights, CONFIG, None, tmp_path / "model.onnx", 10)
    found = graph_weights(tmp_path / "model.onnx", fresh)
    assert found.keys() == weights.keys()
    places, types = (f"encoder.embeddings.{name}_embeddings.weight" for name in ("position", "token_type"))
    for name, value in weights.items():
        if name.startswith(ENCODER) or name.endswith("bias") or "LayerNorm" in name:
            np.testing.assert_array_equal(found[name], value, err_msg=name)
    np.testing.assert_allclose(
        found[places][:10] + found[types][0], weights[places][:10] + weights[types][0], rtol=1e-6
    )
    np.testing.assert_array_equal(found[places][10:], fresh[places][10:])
    np.testing.assert_array_equal(found[types][1], fresh[types][1])
    assert all(value.flags.writeable for value in found.values())  # torch takes them as they are


def half_steps(found: Any, value: Any, limit: int, factor: Any = 1) -> tuple[float, float]:
    """Return the largest distance of two weights in half steps of rounding by row, and over all of them."""
    step = np.abs(value * factor).max(axis=1, keepdims=True) / limit
    off = np.abs(found - value) * factor / (step / 2)
    return float(off.max()), float(off.mean())


def test_a_rounded_graph_gives_them_back_to_half_a_step(tmp_path: Path) -> None:
    weights, spans = drawn(1, **SIZE), ranges(drawn(1, **SIZE))
    write_graph(weights, CONFIG, spans, tmp_path / "model.onnx", 10)
    found = graph_weights(tmp_path / "model.onnx", drawn(2, **SIZE))
    parts = [(f"{ENCODER}.{part}", [f"{ENCODER}.{part}"]) for part in DENSE]
    seeing = [f"{ENCODER}.attention.self.{part}" for part in ("query", "key", "value")]
    for first, layers in [*parts, (seeing[0], seeing)]:
        factor = smoothing(*spans[first], np.concatenate([weights[f"{layer}.weight"] for layer in layers]))
        for layer in layers:
            name = f"{layer}.weight"
            most, mean = half_steps(found[name], weights[name], WEIGHT_LIMIT, factor)
            assert 0.1 < mean < most <= 1.0001, name  # rounded, and by no more
            np.testing.assert_array_equal(found[f"{layer}.bias"], weights[f"{layer}.bias"])
    for name in (*(f"{head}.weight" for head in HEADS), "encoder.embeddings.word_embeddings.weight"):
        most, mean = half_steps(found[name], weights[name], 127)
        assert 0.1 < mean < most <= 1.0001, name


def test_the_embedded_model_multiplied_out_reads_as_it_does(tmp_path: Path) -> None:
    texts = ("Washington bans H20 sales to China", "Intel wins a foundry customer in Austin", "寒武纪三季度净利润大增")
    nothing = "Choir of Bath sings carols at noon"
    items = [
        Item(texts[0], "en", (((0, 10),),)), Item(texts[1], "en", (((0, 5),),)), Item(texts[2], "zh", (((0, 3),),)),
        Item(nothing, "en", ()),
    ]  # fmt: skip
    fresh = {
        name: np.zeros(shape, np.float32)
        for name, shape in shapes(width=384, layers=6, words=30522, places=512).items()
    }
    config = {"num_hidden_layers": 6, "num_attention_heads": 12, "layer_norm_eps": 1e-12}
    write_graph(graph_weights(SHIPPED / "model.onnx", fresh), config, None, tmp_path / "model.onnx", MAX_TOKENS)
    for name in ("model.json", "tokenizer.json", "gloss.tsv"):
        shutil.copyfile(SHIPPED / name, tmp_path / name)
    one, other = (OnnxModel(folder).logits(items) for folder in (SHIPPED, tmp_path))
    for name, logits in one.items():
        # What is left is the rounding of what goes into the products. Zeros for a layer's values or queries, or for the
        # bias of the first norm, leave twice as much of the embedding at least.
        off = np.sqrt(np.mean((other[name] - logits) ** 2)) / logits.std()
        assert 0 < off < 0.08, name


def test_whether_a_text_moves_anybody_is_read_from_the_same_vector_as_its_themes(tmp_path: Path) -> None:
    import onnxruntime

    size = {"width": LAST_UNITS, "layers": 1, "words": 20, "places": 12}
    weights = drawn(1, **size)
    for kind in ("weight", "bias"):  # the head is given what tells the first theme
        weights[f"alone.0.{kind}"] = weights[f"event.0.{kind}"]
        weights[f"alone.2.{kind}"] = weights[f"event.2.{kind}"][:1]
    write_graph(weights, CONFIG, None, tmp_path / "model.onnx", 10)
    ids = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 0]])
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    names = ("alone", "themes")
    alone, themes = session.run(names, {
        "input_ids": ids, "attention_mask": (ids > 0).astype(np.int64), "mention_row": np.array([0, 0]),
        "mention_weights": np.full((2, 3), 1 / 3, np.float32),
    })  # fmt: skip
    assert alone.shape == (3,)
    np.testing.assert_allclose(alone, themes[:, 0], rtol=1e-5)
    assert np.ptp(alone) > 0.1


class Network:
    """What `go_on` needs of a network."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def state_dict(self) -> dict[str, Any]:
        return {name: Numbers(value) for name, value in self.weights.items()}

    def load_state_dict(self, state: Weights) -> None:
        if state.keys() != self.weights.keys():
            raise RuntimeError(f"Missing keys: {self.weights.keys() - state.keys()}")
        self.weights = state


class Numbers:
    def __init__(self, value: Any) -> None:
        self.value = value

    def numpy(self) -> Any:
        return self.value

    def clone(self) -> Any:
        return self.value.copy()


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> dict[str, Weights]:
    """Put modules in the place of torch and safetensors; return what the files of the latter hold, by path."""
    files: dict[str, Weights] = {}
    torch, safetensors, of_torch = ModuleType("torch"), ModuleType("safetensors"), ModuleType("safetensors.torch")
    torch.from_numpy = lambda value: value  # type: ignore[attr-defined]  # a module made here
    safetensors.SafetensorError = ValueError  # type: ignore[attr-defined]  # as above

    def load_file(path: str) -> Weights:
        if path not in files:
            raise FileNotFoundError(f"No such file: {path}")
        return files[path]

    of_torch.load_file = load_file  # type: ignore[attr-defined]  # as above
    for module in (torch, safetensors, of_torch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return files


def model_folder(folder: Path, weights: Weights, **told: Any) -> Path:
    write_graph(weights, CONFIG, None, folder / "model.onnx", 10)
    described = {"labels": LABELS, "themes": THEMES, "events": EVENTS, "roles": ROLES} | told
    (folder / "model.json").write_text(json.dumps(described), "utf-8")
    return folder


def test_a_network_gets_the_weights_of_a_folder_or_of_a_file(tmp_path: Path, no_torch: dict[str, Weights]) -> None:
    weights = drawn(1, **SIZE)
    network = Network(drawn(2, **SIZE))
    go_on(network, model_folder(tmp_path, weights))
    np.testing.assert_array_equal(network.weights["event.0.bias"], weights["event.0.bias"])
    np.testing.assert_array_equal(
        network.weights[f"{ENCODER}.output.dense.weight"], weights[f"{ENCODER}.output.dense.weight"]
    )
    no_torch["earlier.safetensors"] = drawn(3, **SIZE)
    go_on(network, Path("earlier.safetensors"))
    np.testing.assert_array_equal(network.weights["event.0.weight"], drawn(3, **SIZE)["event.0.weight"])


@pytest.mark.parametrize("lacks", [("meant",), ("alone",), ("meant", "alone")])
def test_a_last_head_stays_as_it_is_where_older_weights_have_none(
    tmp_path: Path, no_torch: dict[str, Weights], lacks: tuple[str, ...]
) -> None:
    older = {name: value for name, value in drawn(1, **SIZE).items() if name.partition(".")[0] not in lacks}
    no_torch["older.safetensors"] = older
    for start in (model_folder(tmp_path, older), Path("older.safetensors")):
        network = Network(drawn(2, **SIZE))
        go_on(network, start)
        np.testing.assert_array_equal(network.weights["event.0.bias"], older["event.0.bias"])
        for head in ("meant", "alone"):
            kept = network.weights[f"{head}.2.weight"]
            expected = drawn(2, **SIZE) if head in lacks else older
            # A graph's weight is rounded to 8 bits.
            rounded = 0.0 if head in lacks or not start.is_dir() else 0.02
            found = getattr(kept, "value", kept)
            np.testing.assert_allclose(found, expected[f"{head}.2.weight"], rtol=0, atol=rounded)
    assert set(lacks).isdisjoint(told(tmp_path))  # and such a graph does not say what they would
    model_folder(tmp_path, drawn(1, **SIZE))
    assert {"meant", "alone"} <= told(tmp_path)


def told(folder: Path) -> set[str]:
    return {output.name for output in onnx.load(str(folder / "model.onnx")).graph.output}


def test_the_mean_of_trainings_is_that_of_each_weight(tmp_path: Path, no_torch: dict[str, Weights]) -> None:
    parts = {f"{number}.safetensors": drawn(number, **SIZE) for number in (1, 2, 3)}
    no_torch |= parts
    network = Network(drawn(9, **SIZE))
    mean_of(network, [Path(name) for name in parts])
    for name, value in network.weights.items():
        np.testing.assert_allclose(value, np.mean([part[name] for part in parts.values()], axis=0), atol=1e-6)
    with pytest.raises(ChipwireError, match="nowhere holds no weights"):
        mean_of(network, [Path("1.safetensors"), Path("nowhere")])


def test_what_holds_no_weights_of_the_network_is_refused(tmp_path: Path, no_torch: dict[str, Weights]) -> None:
    network = Network(drawn(2, **SIZE))
    with pytest.raises(ChipwireError, match=r"nowhere holds no weights .*No such file.*give OUT\.safetensors"):
        go_on(network, Path("nowhere"))
    no_torch["other"] = {"w": np.zeros(1)}
    with pytest.raises(ChipwireError, match=r"other holds no weights of this network \(Missing keys"):
        go_on(network, Path("other"))
    with pytest.raises(ChipwireError, match=r"has no model\.json that says what it tells apart"):
        go_on(network, tmp_path)
    with pytest.raises(ChipwireError, match="tells other roles apart"):
        go_on(network, model_folder(tmp_path, drawn(1, **SIZE), roles=sorted(ROLES, reverse=True)))


def elsewhere(path: Path) -> None:
    """Move the constants of a graph into another file."""
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="far.bin", size_threshold=0)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.unlink(), r"model\.onnx is missing; give OUT"),
        (lambda path: path.write_bytes(b"no graph"), r"model\.onnx cannot be read \("),
        (lambda path: path.write_bytes(b""), "it has no '"),
        (elsewhere, "in another file, which no model of ours does"),
    ],
)
def test_what_is_no_graph_of_ours_is_refused_by_name(tmp_path: Path, spoil: Callable[[Path], None], why: str) -> None:
    path = tmp_path / "model.onnx"
    write_graph(drawn(1, **SIZE), CONFIG, None, path, 10)
    spoil(path)
    with pytest.raises(ChipwireError, match=why):
        graph_weights(path, drawn(1, **SIZE))


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ({"words": 21}, r"word_embeddings\.weight has the shape \(20, 8\), and \(21, 8\) is trained now"),
        ({"width": 16}, "is of another network"),
        ({"layers": 2}, r"it has no 'encoder\.encoder\.layer\.1"),
    ],
)
def test_weights_of_another_shape_are_refused(tmp_path: Path, size: dict[str, int], why: str) -> None:
    write_graph(drawn(1, **SIZE), CONFIG, None, tmp_path / "model.onnx", 10)
    with pytest.raises(ChipwireError, match=why):
        graph_weights(tmp_path / "model.onnx", drawn(1, **SIZE | size))


def test_a_graph_with_more_layers_is_refused(tmp_path: Path) -> None:
    deep = SIZE | {"layers": 2}
    write_graph(drawn(1, **deep), CONFIG | {"num_hidden_layers": 2}, None, tmp_path / "model.onnx", 10)
    with pytest.raises(ChipwireError, match=r"another network: it has encoder\.encoder\.layer\.1"):
        graph_weights(tmp_path / "model.onnx", drawn(1, **SIZE))


def test_the_digest_of_a_folder_is_that_of_its_graph() -> None:
    asked = hashlib.sha256((SHIPPED / "model.onnx").read_bytes()).hexdigest()
    assert digest_of(SHIPPED) == digest_of(SHIPPED / "model.onnx") == asked


def test_without_the_glossary_nothing_is_built(tmp_path: Path) -> None:
    gone, out = tmp_path / "gloss.tsv", tmp_path / "out"
    with pytest.raises(ChipwireError, match=r"gloss\.tsv does not exist; it is the glossary"):
        build_mean(tmp_path, tmp_path, gone, out, [])
    assert not out.exists()
