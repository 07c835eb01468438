"""Weights that a training goes on from: those of an earlier one, or what a model's graph holds of them.

A graph in 8 bits has lost half a step of each weight at most, and its large products were trained with that rounding.
So what is multiplied out reads nearly as the model does, and a training can go on from the embedded model where the
weights of the training that made it are not at hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import ChipwireError
from chipwire.signals.onnx_model import LAST
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import EVENTS
from chipwire.signals.train_export import HEADS
from chipwire.signals.train_network import ROLES

GRAPH: Final = "model.onnx"
LATE: Final = tuple(f"{name}." for name in LAST)
"""Names of the weights of the heads that older models do not have begin so."""
WHOLE: Final = "give OUT.safetensors of an earlier training, or the folder of a model that chipwire trained"

Floats = NDArray[np.float32]


def go_on(network: Any, start: Path) -> None:
    """Give a network the weights of an earlier training (``OUT.safetensors``) or of a model's folder.

    A last head stays as it is where they have none: it is learnt anew after each training
    (`chipwire.signals.train_last`).

    Raises
    ------
    ChipwireError
        There are no such weights, or they are those of another network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    fresh = network.state_dict()
    try:
        if start.is_dir():
            check_told(start)
            held = graph_weights(start / GRAPH, {name: tensor.numpy() for name, tensor in fresh.items()})
            found = {name: torch.from_numpy(value) for name, value in held.items()}
        else:
            found = load_file(str(start))
        network.load_state_dict({name: value for name, value in fresh.items() if name.startswith(LATE)} | found)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(":")
        raise ChipwireError(f"{start} holds no weights of this network ({reason}); {WHOLE}") from error


def mean_of(network: Any, parts: Sequence[Path]) -> None:
    """Give a network the mean of the weights of trainings that went on from one; see `go_on` for errors.

    Such means read better than most of the trainings that they are of (M. Wortsman et al., "Model soups", ICML 2022).
    Of trainings that began apart they would be of no use.
    """
    states = []
    for part in parts:
        go_on(network, part)
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    network.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})


def digest_of(start: Path) -> str:
    """Return the SHA-256 of the file that `go_on` reads, in hexadecimal digits."""
    with (start / GRAPH if start.is_dir() else start).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_told(folder: Path) -> None:
    """Raise `ChipwireError` unless a model tells apart what is trained now, in the same order."""
    try:
        described = json.loads((folder / "model.json").read_text("utf-8"))
        told = {what: described[what] for what in ("labels", "themes", "events", "roles")}
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ChipwireError(f"{folder} has no model.json that says what it tells apart; {WHOLE}") from error
    for what, known in (("labels", LABELS), ("themes", THEMES), ("events", EVENTS), ("roles", ROLES)):
        if told[what] != list(known):
            raise ChipwireError(f"{folder} tells other {what} apart than what is trained now; take a newer model")


def graph_weights(graph: Path, fresh: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the weights in a graph of `chipwire.signals.train_export`, in 8 bits or not, by their names in torch.

    Parameters
    ----------
    graph : Path
        Its file.
    fresh : mapping of str to float32 array
        Weights of a new network: they say names and shapes, and stay where a graph has none (the positions beyond its
        longest text, the token type that is not used, a last head).

    Raises
    ------
    ChipwireError
        The file is missing or no graph, keeps its numbers elsewhere, lacks one of the weights, or is that of another
        network: other shapes, more layers.
    """
    held = _constants(graph)
    layers = {name.rpartition(".")[0] for name in fresh}
    layers |= {layer.rpartition(".")[0] for layer in layers if layer.endswith(".query")}  # three biases in one
    if beyond := sorted(name for name in held if name.startswith("encoder.") and name.rpartition(".")[0] not in layers):
        raise ChipwireError(f"{graph} is of another network: it has {beyond[0]}; {WHOLE}")
    try:
        lacks = {name for name in fresh if name.startswith(LATE) and f"{name.partition('.')[0]}.0.int8" not in held}
        found = {name: value if name in lacks else _weight(name, held, value) for name, value in fresh.items()}
    except (IndexError, KeyError, ValueError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else f"{error}"
        raise ChipwireError(f"{graph} is of another network ({what}); {WHOLE}") from error
    for name, value in found.items():
        if value.shape != fresh[name].shape:
            shapes = f"the shape {value.shape}, and {fresh[name].shape} is trained now"
            raise ChipwireError(f"{graph} is of another network: {name} has {shapes}; {WHOLE}")
    return found


def _constants(graph: Path) -> dict[str, NDArray[Any]]:
    """Return the constants of a graph; `ChipwireError` unless it is one, and holds them itself."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper
    from onnx.external_data_helper import uses_external_data

    try:
        constants = onnx.load(str(graph), load_external_data=False).graph.initializer
    except (DecodeError, OSError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise ChipwireError(f"{graph} {why}; {WHOLE}") from error
    if far := [one.name for one in constants if uses_external_data(one)]:
        raise ChipwireError(f"{graph} keeps {far[0]} in another file, which no model of ours does; {WHOLE}")
    try:
        return {one.name: numpy_helper.to_array(one) for one in constants}
    except (TypeError, ValueError) as error:
        raise ChipwireError(f"{graph} cannot be read ({error}); {WHOLE}") from error


def _weight(name: str, held: Mapping[str, NDArray[Any]], fresh: Floats) -> Floats:
    """Return one weight, by the way in which `chipwire.signals.train_export.GraphWriter` stores it."""
    layer, _, kind = name.rpartition(".")
    own, _, part = layer.rpartition(".")
    if layer.endswith("word_embeddings"):
        value = held["words_int8"] * held["words_scale"]
    elif layer.endswith("token_type_embeddings"):
        value = fresh.copy()
        value[0] = 0  # the places hold it
    elif layer.endswith("position_embeddings"):
        places = held["places"]
        value = np.concatenate([places, fresh[len(places) :]])
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
    return np.array(value, dtype=np.float32, order="C")


def _multiplied_out(held: Mapping[str, NDArray[Any]], layer: str) -> NDArray[Any]:
    """Return an encoder's weight, shape (outputs, inputs); its graph multiplies the inputs by ``smooth`` before it."""
    factor = held[f"{layer}.smooth"].reshape(-1, 1)
    weight: NDArray[Any] = held[f"{layer}.int8"] * held[f"{layer}.scale"] * factor
    return weight.T
