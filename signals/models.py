"""Reading models: what they are asked, what they answer, and how one is loaded and tested.

A model reads texts and, for each text, the companies at the places where it names them. The embedded model also gives
themes, the event, its direction and an embedding; any sequence classifier of a hub gives the sentiment alone. Only
safetensors and ONNX weights are read, no remote code is run, and the files' digest goes with every score.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadModel
from chipwire.signals.masking import Span

LABELS = ("negative", "neutral", "positive")
DIRECTIONS = ("against", "none", "for")
_SYNONYMS = {
    "negative": "negative", "neg": "negative", "bearish": "negative",
    "neutral": "neutral", "neu": "neutral", "none": "neutral",
    "positive": "positive", "pos": "positive", "bullish": "positive",
}  # fmt: skip
ALLOWED_SUFFIXES = {".json", ".txt", ".tsv", ".safetensors", ".onnx", ".model", ".md"}
MAX_CONFIG_BYTES = 1 << 20
SELFTEST = (
    ("Nvidia shares soar after record profit beats all estimates", "Nvidia", "positive"),
    ("AMD shares plunge after it slashes its forecast and reports a heavy loss", "AMD", "negative"),
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """A text to read, its language, and for each target where the text names it (empty: it does not)."""

    text: str
    language: str
    targets: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True)
class Readings:
    """What a model says of some items; "targets" runs over the items' targets in order.

    Attributes
    ----------
    sentiment : array of shape (targets, 3)
        P(negative), P(neutral), P(positive); rows sum to 1, no NaN.
    relevance : array of shape (targets,)
        P that the text is about a thing that moves the target; 1 from a model that does not say.
    themes : array of shape (items, 3), or None
        P of each theme, independent of each other.
    events : array of shape (items, events), or None
        P of each of `ModelCard.events`; rows sum to 1.
    directions : array of shape (items, 3), or None
        P of `DIRECTIONS`: whether the event happens as its type says, or the contrary.
    embeddings : float32 array of shape (items, size), or None
        Of length 1; the inner product says how alike two stories are.
    roles : array of shape (items, roles, 3), or None
        Evidence that issuers with each of `ModelCard.roles` which the text does not name are moved down, not, or up.
        The softmax of the sum over an issuer's roles is P of each for it.
    meant : array of shape (targets,), or None
        How sure it is that the name of the target means the company where it stands, from 0 to 1: P if half of all
        such names meant something else. 1 where the name stands beyond what the model reads.
    alone : array of shape (items,), or None
        How sure it is that the text, if it names nobody, moves an issuer, from 0 to 1: P if half of such texts did.
    """

    sentiment: Floats
    relevance: Floats
    themes: Floats | None = None
    events: Floats | None = None
    directions: Floats | None = None
    embeddings: NDArray[np.float32] | None = None
    roles: Floats | None = None
    meant: Floats | None = None
    alone: Floats | None = None


@dataclass(frozen=True)
class ModelCard:
    """What has to be known of a model to use its scores.

    Attributes
    ----------
    languages : tuple of str
        Languages it was trained on; headlines in others are abstained from. Empty: not known, all are read.
    events : tuple of str
        Names of the columns of `Readings.events`; empty: it gives none, nor themes.
    training_cutoff : date or None
        Youngest text that it has seen; None when not known.
    files_sha256 : str
        Digest over the names and contents of all its files.
    selftest : tuple of (headline, target, label)
        Read whenever it is loaded.
    roles : tuple of str
        Names of the second axis of `Readings.roles`; empty: it gives none.
    least_meant : float
        A name of no relevance for which nothing vouches and whose `Readings.meant` is less means something else.
    least_alone : float
        A text that names nobody moves nobody where the mean of its `Readings.alone` and the largest difference of
        P(up) and P(down) that the exposure table gives an issuer is less.
    piece : int
        Texts that it is best given at a time; who stops it waits for two such pieces at most.
    """

    name: str
    languages: tuple[str, ...]
    events: tuple[str, ...]
    training_cutoff: date | None
    files_sha256: str
    selftest: tuple[tuple[str, str, str], ...] = SELFTEST
    roles: tuple[str, ...] = ()
    least_meant: float = 0.0
    least_alone: float = 0.0
    piece: int = 512

    def reads(self, language: str) -> bool:
        """Return whether it was trained on a language; 'und' is worth a try."""
        return not self.languages or language in self.languages or language == "und"


class Model(Protocol):
    """A loaded model."""

    @property
    def card(self) -> ModelCard:
        """What has to be known of it."""
        ...

    def read(self, items: Sequence[Item]) -> Readings:
        """Read items in languages that the card names.

        Raises
        ------
        BadModel
            It gives something that is not a number.
        """
        ...


_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def load_model(reference: str | None = None) -> Model:
    """Load a model and test that its labels mean what they say.

    Parameters
    ----------
    reference : str, optional
        A local directory or a hub id; default: the embedded model.

    Raises
    ------
    BadModel
        It cannot be used: pickled weights, unknown labels, remote code, missing tokenizer, labels mixed up.
    """
    # The two loaders import their runtimes only here, and each needs the types above.
    from chipwire.signals.hub_model import TransformersModel
    from chipwire.signals.onnx_model import OnnxModel

    if reference == "":
        raise BadModel("''", "the name is empty; give a folder or a hub id such as 'owner/name'")
    if reference is None:
        with resources.as_file(resources.files("chipwire.signals.model")) as folder:
            model: Model = OnnxModel(folder)
    elif (folder := Path(reference)).is_dir():
        if (folder / "model.onnx").is_file() or (folder / "model.json").is_file():
            model = OnnxModel(folder)
        else:
            _check_files(folder)
            model = TransformersModel(reference, local=True)
    elif Path(reference).exists() or not _HUB_ID.fullmatch(reference):
        raise BadModel(reference, "it is neither a directory nor a hub id such as 'owner/name'")
    else:
        model = TransformersModel(reference, local=False)
    _selftest(model, reference or model.card.name)
    return model


def softmax(logits: Floats, model: str) -> Floats:
    """Return probabilities over the last axis.

    Raises
    ------
    BadModel
        A value is not a number; `model` is named.
    """
    if not np.isfinite(logits).all():
        raise BadModel(model, "it returns values that are not numbers")
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def sigmoid(logits: Floats, model: str) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow; errors as `softmax`."""
    if not np.isfinite(logits).all():
        raise BadModel(model, "it returns values that are not numbers")
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def known_labels(names: Sequence[str], reference: str) -> tuple[str, ...]:
    """Return a model's own names of the labels as those of `LABELS`, in its order.

    Raises
    ------
    BadModel
        They are not three names for the three labels.
    """
    known = tuple(_SYNONYMS.get(str(name).strip().lower(), "") for name in names)
    if sorted(known) != sorted(LABELS):
        raise BadModel(
            reference, f"its labels are {', '.join(map(str, names))}; needed are negative, neutral and positive"
        )
    return known


def said(error: Exception) -> str:
    """Return what a library's error says, as part of one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def files_digest(folder: Path) -> str:
    """Digest the names and contents of a model's files; recorded measures do not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file() and path.suffix in ALLOWED_SUFFIXES and path.suffix != ".md" and path.name != "seeds.json":
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def threads() -> int:
    """Return how many threads a model may use: the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_files(folder: Path) -> None:
    """Refuse pickled weights and anything that does not belong into a model folder's reading list."""
    names = [path for path in sorted(folder.iterdir()) if path.is_file()]
    if not any(path.suffix == ".safetensors" for path in names):
        pickled = [path.name for path in names if path.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
        what = f"it has only pickled weights ({pickled[0]})" if pickled else "it has no safetensors or ONNX weights"
        raise BadModel(str(folder), f"{what}; convert them to safetensors")
    for path in names:
        if path.name == "config.json" and path.stat().st_size > MAX_CONFIG_BYTES:
            raise BadModel(str(folder), "config.json is larger than 1 MB")


def _selftest(model: Model, reference: str) -> None:
    """Read sentences whose sign nobody doubts; a model that fails has its labels mixed up."""
    tests = [test for test in model.card.selftest if model.card.reads(_language(test[0]))]
    if not tests:
        raise BadModel(reference, "it has no self-test in a language that it reads")
    items = [Item(text, _language(text), (spans_in(text, target),)) for text, target, _ in tests]
    try:
        read = model.read(items).sentiment
    except BadModel:
        raise
    except Exception as error:  # what a runtime raises for a graph that does not fit
        raise BadModel(reference, f"it cannot be run: {said(error)}") from error
    # Neutral is a matter of taste between models; the two signs are not.
    signs = {"negative": -1.0, "positive": 1.0}
    for (text, _, label), row in zip(tests, read, strict=True):
        if label in signs and (row[2] - row[0]) * signs[label] <= 0:
            raise BadModel(
                reference,
                f"self-test failed: '{text}' should be {label} but P(negative)={row[0]:.2f}, "
                f"P(positive)={row[2]:.2f}; are its labels in the right order?",
            )


def _language(text: str) -> str:
    return "zh" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "en"


def spans_in(text: str, name: str) -> tuple[Span, ...]:
    """Return where a name first stands in a text, as the one span there is."""
    start = text.find(name)
    return ((start, start + len(name)),) if start >= 0 and name else ()


class ReadingModel:
    """A model together with all that makes a score of what it says, and the identity that is stored with it."""

    def __init__(self, model: Model, *parts: str, masked: bool = False) -> None:
        self.model = model
        self.masked = masked
        self._parts = parts

    @cached_property
    def id(self) -> str:
        """12 hex digits over the files, the rules and tables given as `parts`, and whether names are masked."""
        told = json.dumps((self.model.card.files_sha256, *self._parts, self.masked))
        return hashlib.blake2b(told.encode(), digest_size=6).hexdigest()


Progress = Callable[[int, int], None]
"""Called with (done, total)."""
