"""ONNX export of the trained classifier, and storage of its weights in eight bits.

Weights are stored as int8 with one scale per output channel (per row for embeddings) and multiplied out
when the graph is loaded, so all arithmetic stays float32. Quantising activations too would be faster, but
takes its range from the whole batch: one headline's score would then depend on which others are scored
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OPSET: Final = 18
SMALLEST_STORED_AS_INT8: Final = 10_000
"""Tensors with fewer elements stay float32: they would save nothing."""


def export_onnx(model: Any, batch: Mapping[str, NDArray[np.int64]], path: Path) -> None:
    """Write the classifier as a float32 ONNX graph with dynamic batch and sequence axes.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode; its arguments are the keys of `batch` in order.
    batch : mapping of str to ndarray
        Example inputs of shape (batch, sequence), at least 2 by 2, to trace with.
    path : Path
        File to write.
    """
    import torch

    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        model,
        tuple(torch.from_numpy(array) for array in batch.values()),
        str(path),
        input_names=list(batch),
        output_names=["logits"],
        dynamic_shapes=tuple(axes for _ in batch),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def int8_channels(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return symmetric int8 values and their scales, with ``values * scales`` near `weight`.

    Parameters
    ----------
    weight : ndarray of shape (rows, columns)
        Finite numbers.
    axis : int
        Axis that one scale spans: 0 gives one scale per column, 1 one per row.

    Returns
    -------
    values : ndarray of int8, same shape
        Between -127 and 127.
    scales : ndarray of float32
        Shape (1, columns) or (rows, 1); 1 where all weights are zero.
    """
    largest = np.abs(weight).max(axis=axis, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales


def store_int8(source: Path, target: Path) -> None:
    """Rewrite an ONNX graph with its large weights in int8.

    A product's weight becomes ``Cast(int8) * scale``, which the runtime folds once at load; an embedding is
    looked up in int8 and scaled by its row's scale. Traces of the exporting machine are left out.

    Parameters
    ----------
    source, target : Path
        Float32 graph to read, file to write.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    weights = {item.name: item for item in graph.initializer}
    nodes: list[Any] = []
    stored: set[str] = set()

    def add_int8(name: str, axis: int) -> None:
        if name in stored:
            return
        stored.add(name)
        values, scales = int8_channels(numpy_helper.to_array(weights[name]), axis)
        graph.initializer.append(numpy_helper.from_array(values, f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
        if axis == 0:
            nodes.append(helper.make_node("Cast", [f"{name}_int8"], [f"{name}_cast"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [f"{name}_cast", f"{name}_scale"], [f"{name}_weight"]))

    for node in graph.node:
        table, index = (node.input[0], node.input[1]) if node.op_type == "Gather" else ("", "")
        if node.op_type == "MatMul" and _is_large(weights.get(node.input[1])):
            add_int8(node.input[1], axis=0)
            node.input[1] += "_weight"
        elif _is_large(weights.get(table)):
            add_int8(table, axis=1)
            out = node.output[0]
            nodes.append(helper.make_node("Gather", [f"{table}_int8", index], [f"{out}_int8"]))
            nodes.append(helper.make_node("Gather", [f"{table}_scale", index], [f"{out}_scale"]))
            nodes.append(helper.make_node("Cast", [f"{out}_int8"], [f"{out}_cast"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [f"{out}_cast", f"{out}_scale"], [out]))
            continue
        nodes.append(node)
    kept = [item for item in graph.initializer if item.name not in stored]
    clean = helper.make_graph(nodes, "chipwire", graph.input, graph.output, kept)
    _strip_traces(clean)
    rewritten = helper.make_model(clean, opset_imports=model.opset_import, producer_name="chipwire")
    rewritten.ir_version = model.ir_version
    onnx.checker.check_model(rewritten)
    onnx.save(rewritten, str(target))


def onnx_runner(path: Path) -> Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float64]]:
    """Return a function that maps a batch to logits by an ONNX file, on two threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(batch: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float64]:
        return np.asarray(session.run(["logits"], dict(batch))[0], dtype=np.float64)

    return run


def _is_large(weight: Any) -> bool:
    return weight is not None and len(weight.dims) == 2 and int(np.prod(weight.dims)) >= SMALLEST_STORED_AS_INT8


def _strip_traces(graph: Any) -> None:
    """Remove the exporter's notes, which hold source lines and paths of the machine it ran on."""
    for item in [*graph.node, *graph.input, *graph.output, *graph.initializer]:
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
