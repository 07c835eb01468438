"""Weights that a training goes on from: those of an earlier one, or what a model's graph holds of them.

A graph in 8 bits has lost less than half a step of each weight. Ours were trained with that rounding, so what is
multiplied out reads as the model does, and a training can go on from the embedded model with nothing but the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import ChipwireError
from chipwire.signals.train_export import HEADS

GRAPH = "model.onnx"

Floats = NDArray[np.float32]


def go_on(network: Any, start: Path) -> None:
    """Give a network the weights of an earlier training (``OUT.safetensors``) or of a model's folder.

    Raises
    ------
    ChipwireError
        There are no such weights, or they are those of another network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if start.is_dir():
            fresh = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
            found = {name: torch.from_numpy(value) for name, value in graph_weights(start / GRAPH, fresh).items()}
        else:
            found = load_file(str(start))
        network.load_state_dict(found)
    except (SafetensorError, RuntimeError) as error:
        raise ChipwireError(
            f"{start} holds no weights of this network; give a training's OUT.safetensors or the folder of a model"
        ) from error


def digest_of(start: Path) -> str:
    """Return the SHA-256 of the file that `go_on` reads, in hexadecimal digits."""
    with (start / GRAPH if start.is_dir() else start).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def graph_weights(graph: Path, fresh: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the weights in a graph of `chipwire.signals.train_export`, in 8 bits or not, by their names in torch.

    Parameters
    ----------
    graph : Path
        Its file.
    fresh : mapping of str to float32 array
        Weights of a new network: they say names and shapes, and fill the places of words beyond those of the graph.

    Raises
    ------
    ChipwireError
        The file is missing or no graph, lacks one of the weights, or has one of another shape.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        held = {one.name: numpy_helper.to_array(one) for one in onnx.load(str(graph)).graph.initializer}
        found = {name: _weight(name, held, value) for name, value in fresh.items()}
    except (DecodeError, KeyError, OSError, ValueError) as error:
        raise ChipwireError(f"{graph} cannot be gone on from ({error}); give a model that chipwire trained") from error
    for name, value in found.items():
        if value.shape != fresh[name].shape:
            raise ChipwireError(
                f"{graph} cannot be gone on from: its {name} has the shape {value.shape}, a network for today's "
                f"themes, events and roles {fresh[name].shape}; train without --start"
            )
    return found


def _weight(name: str, held: Mapping[str, NDArray[Any]], fresh: Floats) -> Floats:
    """Return one weight, by the way in which `chipwire.signals.train_export.GraphWriter` stores it."""
    layer, _, kind = name.rpartition(".")
    own, _, part = layer.rpartition(".")
    if layer.endswith("word_embeddings"):
        value = held["words_int8"] * held["words_scale"]
    elif layer.endswith("token_type_embeddings"):
        value = np.concatenate(
            [np.zeros_like(fresh[:1]), fresh[1:]]
        )  # the places hold the first row, the only one used
    elif layer.endswith("position_embeddings"):
        value = fresh.copy()
        value[: len(held["places"])] = held["places"]
    elif layer in HEADS and kind == "weight":
        value = (held[f"{layer}.int8"] * held[f"{layer}.scale"]).T
    elif name in held:  # a norm, a bias, a weight of a graph without 8 bits
        value = held[name].T if held[name].ndim == 2 else held[name]
    elif part in ("query", "key", "value"):
        at = ("query", "key", "value").index(part) * len(fresh)
        joined = held[f"{own}.bias"] if kind == "bias" else _multiplied_out(held, f"{own}.query")
        value = joined[at : at + len(fresh)]
    else:
        value = _multiplied_out(held, layer)
    return np.ascontiguousarray(value, dtype=np.float32)


def _multiplied_out(held: Mapping[str, NDArray[Any]], layer: str) -> NDArray[Any]:
    """Return an encoder's weight, shape (outputs, inputs); its graph multiplies the inputs by ``smooth`` before it."""
    weight: NDArray[Any] = held[f"{layer}.int8"] * held[f"{layer}.scale"] * held[f"{layer}.smooth"][:, None]
    return weight.T
