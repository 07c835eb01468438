"""The embedded reading model, run by onnxruntime on the processor.

A folder holds ``model.onnx`` (made by `chipwire.signals.train_export`), ``tokenizer.json``, ``model.json`` and, when it
reads Chinese, its glossary. Weights and activations of the large products are 8-bit integers with ranges
fixed when the model was made, so their sums are exact and no text's reading depends on what is read beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import BadModel, counted
from chipwire.signals.gloss import FILE as GLOSS_FILE
from chipwire.signals.gloss import load_gloss
from chipwire.signals.masking import Span
from chipwire.signals.models import (
    DIRECTIONS,
    LABELS,
    MAX_CONFIG_BYTES,
    Floats,
    Item,
    ModelCard,
    Readings,
    files_digest,
    known_labels,
    said,
    sigmoid,
    softmax,
    threads,
)  # fmt: skip

FORMAT: Final = "chipwire-reader-2"
OUTPUTS: Final = ("sentiment", "relevance", "themes", "event", "direction", "roles", "embedding")
MEANT: Final = "meant"
ALONE: Final = "alone"
LAST: Final = (MEANT, ALONE)
"""Two more, which older graphs do not have."""
MOST: Final = {MEANT: 0.5, ALONE: 0.9}
"""The largest thresholds of theirs that make sense: beyond them hardly a name, or a title, would be left."""
OF_TARGETS: Final = ("sentiment", "relevance", MEANT)
BEYOND: Final = 20.0
"""The logit of `MEANT` of a name beyond the cut, of which the graph sees nothing: it is meant."""

Feed = dict[str, NDArray[Any]]


class OnnxModel:
    """One reading model; `BadModel` when a file of its folder is missing, too large, or not what it should be.

    Texts of the same number of tokens run together, in batches of `batch_tokens` tokens or of one text: none is padded.
    A batch has at least two rows and two targets, of padding where there is one: then the runtime sums each row in
    the same order whatever stands beside it, and a score does not depend on where an earlier run was cut off.
    """

    batch_tokens = 512

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        part = "model.json"
        try:
            described = json.loads(_read_small(folder / part))
            for name in ("tokenizer.json", "model.onnx"):
                if not (folder / name).is_file():
                    raise BadModel(str(folder), f"{name} is missing; copy the folder anew")
            self.card = _card(described, folder)
            self._columns = [known_labels(described["labels"], str(folder)).index(label) for label in LABELS]
            self._temperatures = _temperatures(described, folder)
            self._max_tokens = int(described["max_tokens"])
            part = "tokenizer.json"
            self._tokenizer = Tokenizer.from_file(str(folder / part))
            part = "model.onnx"
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            # Whole batches side by side keep the cores busier than one batch in parts.
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(
                str(folder / part), options, providers=["CPUExecutionProvider"]
            )
            self._outputs = self._checked_outputs(folder)
            self._gloss = load_gloss(folder)
        except BadModel:
            raise
        except Exception as error:  # tokenizers and onnxruntime raise bare Exception for a bad file
            what = f"it has no {error}" if isinstance(error, KeyError) else said(error)
            reason = f"{part} cannot be used ({what}); copy the folder anew, or install chipwire anew if it is its own"
            raise BadModel(str(folder), reason) from error
        if self._gloss is None and self.card.reads("zh"):
            raise BadModel(str(folder), f"{GLOSS_FILE} is missing, by which Chinese is read; copy the folder anew")
        self._pool = ThreadPoolExecutor(threads())
        # A literal "[SEP]" in a headline is text, not a separator.
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._max_tokens)

    def _checked_outputs(self, folder: Path) -> list[str]:
        """Return the graph's outputs, `OUTPUTS` and what it has of `LAST`; `BadModel` where model.json wants others."""
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        for what, output, names in (("event", "event", self.card.events), ("role", "roles", self.card.roles)):
            if len(names) != (apart := shapes[output][1]):
                told = f"model.json names {counted(len(names), what)}, model.onnx tells {apart} apart"
                raise BadModel(str(folder), f"{told}; copy the folder anew")
        for name, least, silent in (
            (MEANT, self.card.least_meant, "says of no name what it means"),
            (ALONE, self.card.least_alone, "does not say whether a text that names nobody moves anybody"),
        ):
            if least and name not in shapes:
                raise BadModel(str(folder), f"model.json has least_{name}, model.onnx {silent}")
        return [*OUTPUTS, *(name for name in LAST if name in shapes)]

    def read(self, items: Sequence[Item]) -> Readings:
        """Read items; see `chipwire.signals.models.Model`."""
        raw = self.logits(items)
        name, heat = self.card.name, self._temperatures
        return Readings(
            softmax(raw["sentiment"] / heat["sentiment"], name)[:, self._columns],
            sigmoid(raw["relevance"] / heat["relevance"], name),
            sigmoid(raw["themes"] / heat["themes"], name),
            softmax(raw["event"] / heat["event"], name),
            softmax(raw["direction"] / heat["direction"], name),
            raw["embedding"].astype(np.float32),
            (raw["roles"] / heat["roles"])[..., self._columns],
            *(sigmoid(raw[last], name) if last in raw else None for last in LAST),
        )

    def logits(self, items: Sequence[Item]) -> dict[str, Floats]:
        """Return the graph's outputs by name, in the order of the items and of their targets."""
        if self._gloss is not None:
            read = [self._gloss.read(item.text, item.targets) for item in items]
            items = [Item(text, item.language, targets) for item, (text, targets) in zip(items, read, strict=True)]
        encodings = self._tokenizer.encode_batch([item.text for item in items]) if items else []
        sizes = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
        firsts = np.cumsum([0, *(len(item.targets) for item in items)])
        found: dict[str, Floats] = {}
        batches = self._batches(sizes)
        outputs = self._pool.map(lambda rows: self._run(rows, encodings, items), batches)
        for rows, output in zip(batches, outputs, strict=True):
            targets = [at for row in rows for at in range(firsts[row], firsts[row + 1])]
            for name, values in output.items():
                whose = targets if name in OF_TARGETS else rows
                into = found.setdefault(
                    name, np.empty((firsts[-1] if whose is targets else len(items), *values.shape[1:]))
                )
                into[whose] = values[: len(whose)]
        return found or self._nothing()

    def _batches(self, sizes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the numbers of the texts of each batch, all of one size."""
        batches = []
        for size in np.unique(sizes):
            alike = np.flatnonzero(sizes == size)
            rows = max(1, self.batch_tokens // int(size))
            batches += [alike[start : start + rows] for start in range(0, len(alike), rows)]
        return batches

    def _run(self, rows: NDArray[np.int64], encodings: Sequence[Any], items: Sequence[Item]) -> dict[str, Floats]:
        feed = feed_of([encodings[row] for row in rows], [items[row].targets for row in rows])
        found = {
            name: np.asarray(values, dtype=np.float64)
            for name, values in zip(self._outputs, self._session.run(self._outputs, feed), strict=True)
        }
        if MEANT in found:
            seen = [_touched(encodings[row], spans).any() for row in rows for spans in items[row].targets]
            found[MEANT][: len(seen)][~np.array(seen, dtype=np.bool_)] = BEYOND
        return found

    def _nothing(self) -> dict[str, Floats]:
        shapes = {node.name: node.shape[1:] for node in self._session.get_outputs()}
        return {name: np.empty((0, *(int(size) for size in shapes[name]))) for name in self._outputs}


def feed_of(encodings: Sequence[Any], targets: Sequence[Sequence[Sequence[Span]]]) -> Feed:
    """Return the network's inputs for texts and the targets in them.

    Parameters
    ----------
    encodings : sequence of tokenizers.Encoding
        One for each text, without padding.
    targets : sequence of sequence of spans
        For each text, for each target, where it is named; nowhere: the whole text is looked at.

    Returns
    -------
    dict
        ``input_ids`` and ``attention_mask`` (texts, tokens) int64, ``mention_row`` (targets,) int64 and
        ``mention_weights`` (targets, tokens) float32, whose rows sum to 1. At least two texts and two targets:
        rows of padding follow where there are fewer.
    """
    width = max(len(encoding.ids) for encoding in encodings)
    ids = np.zeros((max(2, len(encodings)), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    mask[len(encodings) :, 0] = 1
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    rows = [row for row, spans in enumerate(targets) for _ in spans]
    weights = np.zeros((max(2, len(rows)), width), dtype=np.float32)
    weights[len(rows) :, 0] = 1
    for at, (row, wanted) in enumerate((row, spans) for row, of_text in enumerate(targets) for spans in of_text):
        weights[at] = _weights(encodings[row], wanted, width)
    padded = np.array(rows + [0] * (len(weights) - len(rows)), dtype=np.int64)
    return {"input_ids": ids, "attention_mask": mask, "mention_row": padded, "mention_weights": weights}


def _weights(encoding: Any, wanted: Sequence[Span], width: int) -> NDArray[np.float32]:
    """Return equal weights over the tokens that touch a span; over all when none does (named beyond the cut)."""
    chosen = np.zeros(width, dtype=np.float32)
    touched = _touched(encoding, wanted)
    chosen[: len(touched)] = touched if touched.any() else 1
    return np.asarray(chosen / chosen.sum(), dtype=np.float32)


def _touched(encoding: Any, wanted: Sequence[Span]) -> NDArray[np.bool_]:
    """Return which tokens touch a span, shape (tokens,)."""
    places = encoding.offsets if wanted else [(0, 0)] * len(encoding.ids)
    return np.array(
        [end > start and any(start < stop and begin < end for begin, stop in wanted) for start, end in places],
        dtype=np.bool_,
    )


def _card(described: dict[str, Any], folder: Path) -> ModelCard:
    if described.get("format") != FORMAT:
        raise BadModel(str(folder), f"model.json: format is {described.get('format')!r}, not {FORMAT!r}")
    if tuple(described["directions"]) != DIRECTIONS:
        raise BadModel(str(folder), f"model.json: directions must be {', '.join(DIRECTIONS)}")
    cutoff = described.get("training_cutoff")
    return ModelCard(
        name=str(described["name"]),
        languages=_names(described, "languages", folder),
        events=_names(described, "events", folder),
        roles=_names(described, "roles", folder),
        training_cutoff=date.fromisoformat(cutoff) if cutoff else None,
        files_sha256=files_digest(folder),
        selftest=tuple((test["headline"], test["target"], test["label"]) for test in described["selftest"]),
        least_meant=_least(MEANT, described, folder),
        least_alone=_least(ALONE, described, folder),
    )


def _names(described: dict[str, Any], key: str, folder: Path) -> tuple[str, ...]:
    names = described[key]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise BadModel(str(folder), f"model.json: {key} must be a list of different names, not {str(names)[:80]}")
    return tuple(names)


def _least(name: str, described: dict[str, Any], folder: Path) -> float:
    least = float(described.get(f"least_{name}", 0.0))
    if not 0 <= least <= MOST[name]:
        raise BadModel(str(folder), f"model.json: least_{name} must be from 0 to {MOST[name]}, not {least}")
    return least


def _temperatures(described: dict[str, Any], folder: Path) -> dict[str, float]:
    given = {name: float(described.get("temperatures", {}).get(name, 1.0)) for name in OUTPUTS}
    max_tokens = int(described["max_tokens"])
    if not all(0.01 <= value <= 100 for value in given.values()) or not 8 <= max_tokens <= 4_096:
        raise BadModel(str(folder), f"model.json: a temperature of {given} or max_tokens {max_tokens} is out of range")
    return given


def _read_small(path: Path) -> str:
    if not path.is_file():
        raise BadModel(str(path.parent), f"{path.name} is missing; copy the folder anew")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise BadModel(str(path.parent), f"{path.name} is larger than 1 MB")
    return path.read_text("utf-8")
