"""The trained network as an ONNX graph whose large products run on 8-bit integers.

The graph is written node by node from the weights, with onnxruntime's fused operators, so the same weights give the
same bytes on any machine. Weights have one scale per output; activations have one range per product, fixed from
training texts (B. Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018). A range taken from the
batch instead would let a headline's reading depend on what is read beside it. A few channels are much larger than
the others; half of that is moved into the weights first (G. Xiao et al., "SmoothQuant", ICML 2023). Weights use 7 bits:
on processors without VNNI instructions the runtime adds pairs of products in 16 bits, which 8 bits could overflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.signals.onnx_model import ALONE, LAST, MEANT
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import DIRECTIONS, EVENTS
from chipwire.signals.train_network import ROLES

OPSET: Final = 20
WEIGHT_LIMIT: Final = 63
SMOOTHING: Final = 0.75
HEADS: Final = ("embed", *(f"{name}.{layer}" for name in ("event", "mention", *LAST) for layer in (0, 2)))

Array = NDArray[Any]
Range = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Lowest and highest value of each channel of a product's input, arrays of shape (channels,)."""


def int8_channels(weight: Array, axis: int, limit: int = 127) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return symmetric int8 values and their scales, with ``values * scales`` near `weight`.

    Parameters
    ----------
    weight : ndarray of shape (rows, columns)
        Finite numbers.
    axis : int
        Axis that one scale spans: 0 gives one scale per column, 1 one per row.
    limit : int
        Largest magnitude used.

    Returns
    -------
    values : ndarray of int8, same shape
        Between -limit and limit.
    scales : ndarray of float32
        Shape (1, columns) or (rows, 1); 1 where all weights are zero.
    """
    largest = np.abs(weight).max(axis=axis, keepdims=True)
    scales = np.where(largest > 0, largest / limit, 1).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales


def smoothing(low: Array, high: Array, weight: Array) -> NDArray[np.float32]:
    """Return the factor of each input channel, shape (channels,), by which activations shrink and weights grow."""
    large = np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-3)
    heavy = np.maximum(np.abs(weight).max(axis=0), 1e-5)
    factor = large**SMOOTHING / heavy ** (1 - SMOOTHING)
    return np.asarray(factor / np.exp(np.log(factor).mean()), dtype=np.float32)


def uint8_range(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point of a range of activations, which is widened to hold zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, 1e-6) / 255)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


class GraphWriter:
    """Collects the nodes and constants of one graph.

    Parameters
    ----------
    weights : mapping of str to ndarray
        The network's state; without ``meant`` or ``alone`` the graph does not say what that head says.
    config : mapping
        ``num_hidden_layers``, ``num_attention_heads``, ``layer_norm_eps``.
    ranges : mapping of str to (low, high), or None
        Range of each product's input by the name of its weight's layer; None: a float32 graph, for comparison.
    """

    def __init__(self, weights: Mapping[str, Array], config: Mapping[str, Any], ranges: Mapping[str, Range] | None):
        self._weights = weights
        self._silent = {name for name in LAST if f"{name}.0.weight" not in weights}
        self._config = config
        self._ranges = ranges
        self._constants: dict[str, Any] = {}
        self._nodes: list[Any] = []

    def write(self, path: Path, max_tokens: int) -> None:
        """Write the graph."""
        import onnx
        from onnx import TensorProto, helper

        hidden = self._embeddings(max_tokens)
        mask = self._node("Cast", ["attention_mask"], to=TensorProto.INT32)
        for layer in range(self._config["num_hidden_layers"]):
            hidden = self._layer(f"encoder.encoder.layer.{layer}", hidden, mask)
        self._heads(hidden)
        sizes = {"B": "texts", "T": "tokens", "M": "targets"}
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, [sizes["B"], sizes["T"]]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [sizes["B"], sizes["T"]]),
            helper.make_tensor_value_info("mention_row", TensorProto.INT64, [sizes["M"]]),
            helper.make_tensor_value_info("mention_weights", TensorProto.FLOAT, [sizes["M"], sizes["T"]]),
        ]
        width = self._weights["embed.weight"].shape[0]
        shapes: dict[str, list[str | int]] = {
            "sentiment": [sizes["M"], len(LABELS)], "relevance": [sizes["M"]], "themes": [sizes["B"], len(THEMES)],
            "event": [sizes["B"], len(EVENTS)], "direction": [sizes["B"], len(DIRECTIONS)],
            "roles": [sizes["B"], len(ROLES), len(LABELS)],
            "embedding": [sizes["B"], width], "meant": [sizes["M"]], "alone": [sizes["B"]],
        }  # fmt: skip
        shapes = {name: shape for name, shape in shapes.items() if name not in self._silent}
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        graph = helper.make_graph(self._nodes, "chipwire", inputs, outputs, list(self._constants.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)],
            producer_name="chipwire",
        )  # fmt: skip
        model.ir_version = 10
        onnx.save(model, str(path))

    def _embeddings(self, max_tokens: int) -> str:
        prefix = "encoder.embeddings"
        looked = self._lookup("words", self._weights[f"{prefix}.word_embeddings.weight"], "input_ids")
        places = self._weights[f"{prefix}.position_embeddings.weight"][:max_tokens]
        places = places + self._weights[f"{prefix}.token_type_embeddings.weight"][0]
        shape = self._node("Shape", ["input_ids"], start=1, end=2)
        zero = self._constant("zero", np.array([0], np.int64))
        some = self._node("Slice", [self._constant("places", places), zero, shape, zero])
        return self._norm(self._node("Add", [looked, some]), f"{prefix}.LayerNorm")

    def _lookup(self, name: str, table: Array, index: str) -> str:
        from onnx import TensorProto

        values, scales = int8_channels(table, axis=1)
        found = self._node("Gather", [self._constant(f"{name}_int8", values), index])
        scale = self._node("Gather", [self._constant(f"{name}_scale", scales), index])
        return self._node("Mul", [self._node("Cast", [found], to=TensorProto.FLOAT), scale])

    def _layer(self, prefix: str, hidden: str, mask: str) -> str:
        seen = self._attention(f"{prefix}.attention.self", hidden, mask)
        hidden = self._sum_norm(
            self._product(seen, f"{prefix}.attention.output.dense"), hidden, f"{prefix}.attention.output.LayerNorm"
        )
        wide = self._node("Gelu", [self._product(hidden, f"{prefix}.intermediate.dense")], domain="com.microsoft")
        return self._sum_norm(self._product(wide, f"{prefix}.output.dense"), hidden, f"{prefix}.output.LayerNorm")

    def _attention(self, own: str, x: str, mask: str) -> str:
        """Return what each token gathers from the others; with ranges, one product makes queries, keys and values."""
        layers = [f"{own}.{name}" for name in ("query", "key", "value")]
        heads = self._config["num_attention_heads"]
        if self._ranges is None:
            parts = [self._product(x, layer) for layer in layers]
            return self._node("MultiHeadAttention", [*parts, "", mask], domain="com.microsoft", num_heads=heads)
        quantized, x_scale, x_zero, weight, scales = self._rounded(x, layers, self._ranges[layers[0]])
        bias = self._constant(f"{own}.bias", np.concatenate([self._weights[f"{layer}.bias"] for layer in layers]))
        zero = self._constant("int8_zero", np.int8(0))
        inputs = [quantized, weight, bias, x_scale, scales, mask, x_zero, zero]
        return self._node("QAttention", inputs, domain="com.microsoft", num_heads=heads)

    def _product(self, x: str, layer: str) -> str:
        """Return ``x @ weight.T + bias`` of an encoder's layer."""
        bias = self._constant(f"{layer}.bias", self._weights[f"{layer}.bias"])
        if self._ranges is None:
            weight = self._constant(f"{layer}.weight", np.ascontiguousarray(self._weights[f"{layer}.weight"].T))
            return self._node("Add", [self._node("MatMul", [x, weight]), bias])
        quantized, x_scale, x_zero, weight, scales = self._rounded(x, [layer], self._ranges[layer])
        inputs = [quantized, weight, x_scale, scales, x_zero, "", bias]
        return self._node("MatMulIntegerToFloat", inputs, domain="com.microsoft")

    def _rounded(self, x: str, layers: Sequence[str], span: Range) -> tuple[str, str, str, str, str]:
        """Return x in 8 bits, its scale and zero point, and the weights of layers side by side with their scales."""
        weight = np.concatenate([self._weights[f"{layer}.weight"] for layer in layers])
        low, high = span
        smooth = smoothing(low, high, weight)
        scale, zero = uint8_range(float((low / smooth).min()), float((high / smooth).max()))
        name = layers[0]
        names = (self._constant(f"{name}.x_scale", scale), self._constant(f"{name}.x_zero", zero))
        even = self._node("Mul", [x, self._constant(f"{name}.smooth", 1 / smooth)])
        values, scales = int8_channels(weight.T * smooth[:, None], axis=0, limit=WEIGHT_LIMIT)
        return (
            self._node("QuantizeLinear", [even, *names]), *names,
            self._constant(f"{name}.int8", values), self._constant(f"{name}.scale", scales.reshape(-1)),
        )  # fmt: skip

    def _norm(self, x: str, layer: str) -> str:
        return self._node(
            "LayerNormalization", [x, *self._norm_constants(layer)], epsilon=self._config["layer_norm_eps"]
        )

    def _sum_norm(self, x: str, skip: str, layer: str) -> str:
        """Return the norm of a sum; the runtime's fused operator, into which it would turn an Add, is far slower."""
        return self._norm(self._node("Sum", [x, skip]), layer)

    def _norm_constants(self, layer: str) -> list[str]:
        return [self._constant(f"{layer}.{name}", self._weights[f"{layer}.{name}"]) for name in ("weight", "bias")]

    def _heads(self, hidden: str) -> None:
        from onnx import TensorProto

        axis = self._constant("one", np.array([1], np.int64))
        weight = self._node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        weight = self._node("Div", [weight, self._node("ReduceSum", [weight, axis], keepdims=1)])
        text = self._pooled(weight, hidden)
        looked = self._pooled("mention_weights", self._node("Gather", [hidden, "mention_row"]))
        both = self._node("Concat", [looked, self._node("Gather", [text, "mention_row"])], axis=1)
        seen = self._linear(self._node("Gelu", [self._linear(both, "mention.0")], domain="com.microsoft"), "mention.2")
        told = self._linear(self._node("Gelu", [self._linear(text, "event.0")], domain="com.microsoft"), "event.2")
        self._part(seen, 0, len(LABELS), "sentiment")
        self._node("Squeeze", [self._part(seen, len(LABELS), len(LABELS) + 1), axis], output="relevance")
        for name, sees in ((MEANT, both), (ALONE, text)):
            if name not in self._silent:
                felt = self._node("Gelu", [self._linear(sees, f"{name}.0")], domain="com.microsoft")
                self._node("Squeeze", [self._linear(felt, f"{name}.2"), axis], output=name)
        ends = np.cumsum([len(THEMES), len(EVENTS), len(DIRECTIONS), len(ROLES) * len(LABELS)]).tolist()
        self._part(told, 0, ends[0], "themes")
        self._part(told, ends[0], ends[1], "event")
        self._part(told, ends[1], ends[2], "direction")
        shape = self._constant("roles_shape", np.array([-1, len(ROLES), len(LABELS)], np.int64))
        self._node("Reshape", [self._part(told, ends[2], ends[3]), shape], output="roles")
        self._node("LpNormalization", [self._linear(text, "embed")], output="embedding", axis=1, p=2)

    def _pooled(self, weights: str, hidden: str) -> str:
        """Return the weighted mean over tokens: (rows, tokens) and (rows, tokens, size) to (rows, size)."""
        axis = self._constant("one", np.array([1], np.int64))
        return self._node("Squeeze", [self._node("MatMul", [self._node("Unsqueeze", [weights, axis]), hidden]), axis])

    def _linear(self, x: str, layer: str) -> str:
        """Return a head's layer in float32, its weight stored in 8 bits and multiplied out when it is loaded."""
        from onnx import TensorProto

        values, scales = int8_channels(self._weights[f"{layer}.weight"].T, axis=0)
        cast = self._node("Cast", [self._constant(f"{layer}.int8", values)], to=TensorProto.FLOAT)
        weight = self._node("Mul", [cast, self._constant(f"{layer}.scale", scales)])
        return self._node("Gemm", [x, weight, self._constant(f"{layer}.bias", self._weights[f"{layer}.bias"])])

    def _part(self, x: str, start: int, stop: int, output: str = "") -> str:
        bounds = [self._constant(f"at_{value}", np.array([value], np.int64)) for value in (start, stop, 1)]
        return self._node("Slice", [x, *bounds], output=output)

    def _node(self, kind: str, inputs: list[str], *, output: str = "", domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain or None, **attributes))
        return output

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


def write_graph(
    weights: Mapping[str, Array],
    config: Mapping[str, Any],
    ranges: Mapping[str, Range] | None,
    path: Path,
    max_tokens: int,
) -> None:
    """Write a network's graph to a file; see `GraphWriter`."""
    GraphWriter(weights, config, ranges).write(path, max_tokens)


def activation_ranges(network: Any, feeds: Iterable[Mapping[str, Array]]) -> dict[str, Range]:
    """Return the range of each channel of the input of each large product of the encoder, over some texts.

    Parameters
    ----------
    network : torch module
        From `chipwire.signals.train_network.build_network`, in evaluation mode.
    feeds : iterable of dict
        Inputs as `chipwire.signals.onnx_model.feed_of` gives them.
    """
    import torch

    lows: dict[str, Array] = {}
    highs: dict[str, Array] = {}
    kept: list[Array] = []

    def hook(name: str) -> Any:
        def look(_module: Any, inputs: Any, _output: Any) -> None:
            values = inputs[0].numpy()[kept[-1] > 0]  # padding is no text
            lows[name] = np.minimum(lows.get(name, np.inf), values.min(axis=0))
            highs[name] = np.maximum(highs.get(name, -np.inf), values.max(axis=0))

        return look

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in network.named_modules()
        if name.startswith("encoder.encoder.") and isinstance(module, torch.nn.Linear)
    ]
    with torch.no_grad():
        for feed in feeds:
            kept.append(feed["attention_mask"])
            network(**{name: torch.from_numpy(array) for name, array in feed.items()})
    for handle in handles:
        handle.remove()
    return {name: (lows[name], highs[name]) for name in lows}
