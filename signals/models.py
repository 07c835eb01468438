"""Sentiment models: the embedded ONNX one, and any sequence-classification model that transformers can load.

A model reads (headline, issuer name) pairs, or headlines alone, and gives P(negative), P(neutral), P(positive).
Only safetensors and ONNX weights are read, no remote code is run, and the files' digest goes with every score.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadModel

LABELS = ("negative", "neutral", "positive")
_SYNONYMS = {
    "negative": "negative", "neg": "negative", "bearish": "negative",
    "neutral": "neutral", "neu": "neutral", "none": "neutral",
    "positive": "positive", "pos": "positive", "bullish": "positive",
}  # fmt: skip
_ALLOWED_SUFFIXES = {".json", ".txt", ".safetensors", ".onnx", ".model", ".md"}
_MAX_CONFIG_BYTES = 1 << 20
_SELFTEST = (
    ("Nvidia shares soar after record profit beats all estimates", "Nvidia", "positive"),
    ("AMD shares plunge after it slashes its forecast and reports a heavy loss", "AMD", "negative"),
)


@dataclass(frozen=True)
class ModelCard:
    """What has to be known of a model to use its scores.

    Attributes
    ----------
    labels : tuple of str
        The model's own order of `LABELS`.
    pairs : bool
        Whether it reads (headline, issuer name) pairs; otherwise the headline alone.
    languages : tuple of str
        Languages it was trained on; headlines in others are abstained from.
    training_cutoff : date or None
        Youngest text that it has seen; None when not known.
    temperature : float
        Logits are divided by it.
    files_sha256 : str
        Digest over the names and contents of all its files.
    """

    name: str
    labels: tuple[str, ...]
    pairs: bool
    languages: tuple[str, ...]
    training_cutoff: date | None
    max_tokens: int
    temperature: float
    files_sha256: str
    selftest: tuple[tuple[str, str, str], ...] = _SELFTEST


class Model(Protocol):
    """A loaded model."""

    @property
    def card(self) -> ModelCard:
        """What has to be known of it."""
        ...

    def logits(self, texts: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return raw outputs, shape (texts, labels), in the model's own order of labels."""
        ...


def probabilities(model: Model, texts: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Read (headline, issuer name) pairs.

    Returns
    -------
    array of shape (texts, 3)
        P(negative), P(neutral), P(positive); rows sum to 1, no NaN.

    Raises
    ------
    BadModel
        The model gives something that is not a number.
    """
    if not texts:
        return np.empty((0, len(LABELS)))
    scaled = model.logits(texts) / model.card.temperature
    if scaled.shape != (len(texts), len(LABELS)):
        raise BadModel(model.card.name, f"it returns values of shape {scaled.shape} for {len(texts)} texts")
    if not np.isfinite(scaled).all():
        raise BadModel(model.card.name, "it returns values that are not numbers")
    shifted = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    ordered = shifted / shifted.sum(axis=1, keepdims=True)
    columns: NDArray[np.float64] = ordered[:, [model.card.labels.index(label) for label in LABELS]]
    return columns


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
    if reference is None:
        with resources.as_file(resources.files("chipwire.signals.model")) as folder:
            model: Model = OnnxModel(folder)
    elif Path(reference).is_dir():
        folder = Path(reference)
        _check_files(folder)
        model = OnnxModel(folder) if (folder / "model.onnx").exists() else TransformersModel(reference, local=True)
    elif Path(reference).exists() or "/" not in reference or reference.startswith((".", "/", "~")):
        raise BadModel(reference, "it is neither a directory nor a hub id such as 'owner/name'")
    else:
        model = TransformersModel(reference, local=False)
    _selftest(model)
    return model


class OnnxModel:
    """A folder with ``model.onnx``, ``tokenizer.json`` and ``model.json``, run by onnxruntime on the CPU.

    Texts are sorted by length and run in batches of about `batch_tokens` tokens, so that little is padded. Widths
    are whole multiples of 8 and a batch has at least two rows: then the runtime sums each row in the same order
    whatever stands beside it, and a score does not depend on where an earlier run was cut off. Measured: to the
    bit on x86-64, at 2% of the speed; one-row batches and free widths differ in the seventh digit.
    """

    batch_tokens = 4_096
    width_step = 8

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self._folder = folder
        try:
            described = json.loads(_read_small(folder / "model.json"))
            for name in ("tokenizer.json", "model.onnx"):
                if not (folder / name).is_file():
                    raise BadModel(str(folder), f"{name} is missing")
            self.card = _onnx_card(described, folder)
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads = len(os.sched_getaffinity(0))
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except BadModel:
            raise
        except Exception as error:  # tokenizers and onnxruntime raise bare Exception for a bad file
            raise BadModel(str(folder), _said(error)) from error
        # A literal "[SEP]" in a headline is text, not a separator.
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.card.max_tokens, strategy="only_first")
        self._inputs = {node.name for node in self._session.get_inputs()}

    def logits(self, texts: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return raw outputs, shape (texts, labels)."""
        encodings = self._tokenizer.encode_batch(list(texts) if self.card.pairs else [text for text, _ in texts])
        sizes = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
        lengths = np.minimum(-(-sizes // self.width_step) * self.width_step, self.card.max_tokens)
        result = np.empty((len(texts), len(self.card.labels)))
        order = np.argsort(lengths, kind="stable")
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and lengths[order[stop]] * (stop - start + 1) <= self.batch_tokens:
                stop += 1
            rows = order[start:stop]
            result[rows] = self._run([encodings[row] for row in rows], int(lengths[rows[-1]]))
            start = stop
        return result

    def _run(self, encodings: list[Any], width: int) -> NDArray[np.float64]:
        feed = {
            name: np.zeros((max(2, len(encodings)), width), dtype=np.int64)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        for row, encoding in enumerate(encodings):
            size = len(encoding.ids)
            feed["input_ids"][row, :size] = encoding.ids
            feed["attention_mask"][row, :size] = 1
            feed["token_type_ids"][row, :size] = encoding.type_ids
        output = self._session.run(["logits"], {k: v for k, v in feed.items() if k in self._inputs})
        return np.asarray(output[0][: len(encodings)], dtype=np.float64)


class TransformersModel:
    """A sequence-classification model loaded by transformers, safetensors only; needs the extra ``[torch]``."""

    batch_rows = 32

    def __init__(self, reference: str, *, local: bool) -> None:
        if local:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            import torch
            from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise BadModel(reference, "it needs torch: pip install 'chipwire[torch]'") from error
        self._torch = torch
        safe = {"trust_remote_code": False, "local_files_only": local}
        try:
            config = AutoConfig.from_pretrained(reference, **safe)
            named = [config.id2label[index] for index in range(config.num_labels)]
            self._tokenizer = AutoTokenizer.from_pretrained(reference, split_special_tokens=True, **safe)
            self._model, loaded = AutoModelForSequenceClassification.from_pretrained(
                reference, config=config, use_safetensors=True, attn_implementation="eager",
                output_loading_info=True, **safe,
            )  # fmt: skip
        except Exception as error:  # whatever the hub, the config or the weights raise is one refusal
            raise BadModel(reference, _said(error)) from error
        if absent := sorted(loaded["missing_keys"]):
            raise BadModel(reference, f"its weights lack {absent[0]}: it is not trained to classify")
        self._model.eval()
        labels = _labels(named, reference)
        limit = min(int(getattr(config, "max_position_embeddings", 512)), 128)
        digest = _files_digest(Path(reference)) if local else _state_digest(self._model)
        self.card = ModelCard(
            name=Path(reference).name if local else reference, labels=labels, pairs=False, languages=(),
            training_cutoff=None, max_tokens=limit, temperature=1.0, files_sha256=digest,
        )  # fmt: skip

    def logits(self, texts: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Return raw outputs, shape (texts, labels)."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row][0]))
        result = np.empty((len(texts), len(self.card.labels)))
        for start in range(0, len(order), self.batch_rows):
            rows = order[start : start + self.batch_rows]
            encoded = self._tokenizer(
                [texts[row][0] for row in rows], truncation=True, max_length=self.card.max_tokens, padding=True,
                return_tensors="pt",
            )  # fmt: skip
            with self._torch.inference_mode():
                result[rows] = self._model(**encoded).logits.double().numpy()
        return result


def _said(error: Exception) -> str:
    """Return what a library's error says, as part of one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _onnx_card(described: dict[str, Any], folder: Path) -> ModelCard:
    cutoff = described.get("training_cutoff")
    tests = tuple((t["headline"], t["target"], t["label"]) for t in described.get("selftest", ())) or _SELFTEST
    temperature, max_tokens = float(described.get("temperature", 1.0)), int(described.get("max_tokens", 96))
    if not 0.01 <= temperature <= 100 or not 8 <= max_tokens <= 4_096:
        raise BadModel(str(folder), f"model.json: temperature {temperature} or max_tokens {max_tokens} is out of range")
    return ModelCard(
        name=str(described["name"]),
        labels=_labels(described["labels"], str(folder)),
        pairs=described.get("input") == "headline-target-pair",
        languages=tuple(described.get("languages", ())),
        training_cutoff=date.fromisoformat(cutoff) if cutoff else None,
        max_tokens=max_tokens,
        temperature=temperature,
        files_sha256=_files_digest(folder),
        selftest=tests,
    )


def _labels(names: Sequence[str], reference: str) -> tuple[str, ...]:
    known = tuple(_SYNONYMS.get(str(name).strip().lower(), "") for name in names)
    if sorted(known) != sorted(LABELS):
        raise BadModel(
            reference, f"its labels are {', '.join(map(str, names))}; needed are negative, neutral and positive"
        )
    return known


def _check_files(folder: Path) -> None:
    """Refuse pickled weights and anything that does not belong into a model folder's reading list."""
    names = [path for path in sorted(folder.iterdir()) if path.is_file()]
    if not any(path.suffix in {".safetensors", ".onnx"} for path in names):
        pickled = [path.name for path in names if path.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
        what = f"it has only pickled weights ({pickled[0]})" if pickled else "it has no safetensors or ONNX weights"
        raise BadModel(str(folder), f"{what}; convert them to safetensors")
    for path in names:
        if path.name == "config.json" and path.stat().st_size > _MAX_CONFIG_BYTES:
            raise BadModel(str(folder), "config.json is larger than 1 MB")


def _read_small(path: Path) -> str:
    if not path.exists():
        raise BadModel(str(path.parent), f"{path.name} is missing")
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise BadModel(str(path.parent), f"{path.name} is larger than 1 MB")
    return path.read_text("utf-8")


def _files_digest(folder: Path) -> str:
    """Digest the names and contents of the files that a model may consist of."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in _ALLOWED_SUFFIXES and path.suffix != ".md":
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _state_digest(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + b"\0" + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _selftest(model: Model) -> None:
    """Read sentences whose sign nobody doubts; a model that fails has its labels mixed up."""
    tests = model.card.selftest
    try:
        read = probabilities(model, [(text, target) for text, target, _ in tests])
    except BadModel:
        raise
    except Exception as error:  # what a runtime raises for a graph that does not fit
        raise BadModel(model.card.name, f"it cannot be run: {_said(error)}") from error
    # Neutral is a matter of taste between models; the two signs are not.
    signs = {"negative": -1.0, "positive": 1.0}
    for (text, _, label), row in zip(tests, read, strict=True):
        if label in signs and (row[2] - row[0]) * signs[label] <= 0:
            raise BadModel(
                model.card.name,
                f"self-test failed: '{text}' should be {label} but P(negative)={row[0]:.2f}, "
                f"P(positive)={row[2]:.2f}; are its labels in the right order?",
            )


class ReadingModel:
    """A model together with the theme rules: what makes a score, and the identity that is stored with it."""

    def __init__(self, model: Model, rules_id: str) -> None:
        self.model = model
        self.rules_id = rules_id

    @cached_property
    def id(self) -> str:
        """12 hex digits over the weights, the tokenizer, the labels, the temperature and the rules."""
        card = self.model.card
        parts = (card.files_sha256, card.labels, card.pairs, card.temperature, card.max_tokens, self.rules_id)
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()


Progress = Callable[[int, int], None]
"""Called with (done, total)."""
