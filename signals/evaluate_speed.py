"""How fast the reader reads beside the default pipeline of transformers, and how often int8 agrees with float32.

Both read the same distinct English headlines, each once, in turns; what counts is the median of five. The reader does
all that it does in ``chipwire score`` but writing: language, links, themes, event, signs, exposures, embedding. The
pipeline gives one label for the whole text. Its encoder has the shape and the tokenizer of the embedded one and random
weights, which cost the same time as trained ones.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from chipwire.signals.evaluate_answers import read_all
from chipwire.signals.models import Item, Model, load_model, threads
from chipwire.signals.reading import Reader
from chipwire.signals.train_domain import Row, load_rows
from chipwire.signals.train_eval import Floats

HEADLINES: Final = 3_000
RUNS: Final = 5
SHAPE: Final = {
    "num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1_536,
    "max_position_embeddings": 512,
}  # fmt: skip
"""The shape of MiniLM-L6-H384, where the model's folder does not state its own."""


@dataclass(frozen=True)
class Speed:
    """Headlines per second, medians; the pipeline's is None where torch is not installed."""

    headlines: int
    runs: int
    threads: int
    chipwire: float
    pipeline: float | None

    @property
    def ratio(self) -> float | None:
        """How many times the pipeline's headlines per second."""
        return None if self.pipeline is None else self.chipwire / self.pipeline

    def as_object(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {**asdict(self), "ratio": self.ratio}


def speed_texts(first: Sequence[Row], count: int = HEADLINES) -> list[str]:
    """Return distinct English headlines: those of the rows given, then others of our own until there are `count`."""
    rows = [*first, *load_rows()]
    return list(dict.fromkeys(row.headline for row in rows if row.language == "en"))[:count]


def measure_speed(reader: Reader, texts: Sequence[str], folder: Path | None) -> Speed:
    """Return how fast both read the texts.

    Parameters
    ----------
    folder : Path or None
        Of the reader's model, for its tokenizer and shape; None: the embedded one.
    """
    contestants: list[Callable[[], object]] = [lambda: read_all(reader, texts)]
    pipeline = _pipeline(folder)
    if pipeline is not None:
        contestants.append(lambda: pipeline(list(texts)))
    medians = alternate(contestants, RUNS, time.perf_counter)
    rates = [len(texts) / seconds for seconds in medians]
    return Speed(len(texts), RUNS, threads(), rates[0], rates[1] if pipeline is not None else None)


def alternate(contestants: Sequence[Callable[[], object]], runs: int, clock: Callable[[], float]) -> list[float]:
    """Return the median seconds of each contestant, which run in turns, so that a slow minute hits all alike."""
    seconds: list[list[float]] = [[] for _ in contestants]
    for _ in range(runs):
        for number, run in enumerate(contestants):
            start = clock()
            run()
            seconds[number].append(clock() - start)
    return [statistics.median(of_one) for of_one in seconds]


def _pipeline(folder: Path | None) -> Callable[[list[str]], object] | None:
    """Return ``transformers.pipeline("text-classification")`` with its defaults, or None without torch."""
    try:
        import torch
        from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, pipeline
    except ImportError:
        return None
    source = folder or Path(str(resources.files("chipwire.signals.model")))
    made_fast: Any = PreTrainedTokenizerFast
    shape: Any = {**SHAPE, **_shape(source), "num_labels": 3}
    tokenizer = made_fast(
        tokenizer_file=str(source / "tokenizer.json"), model_max_length=SHAPE["max_position_embeddings"],
        **{f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")},
    )  # fmt: skip
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(vocab_size=tokenizer.vocab_size, **shape))
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        made: Callable[[list[str]], object] = pipeline("text-classification", model=temporary)
    return made


def _shape(folder: Path) -> dict[str, int]:
    """Return what the folder's config.json says of the encoder's shape."""
    path = folder / "config.json"
    stated = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return {name: int(stated[name]) for name in SHAPE if name in stated}


def sign_agreement(one: Floats, other: Floats) -> float:
    """Return the share of rows, shape (rows, 3), of which P(positive) - P(negative) has the same sign; 1 for none."""
    signs = [np.sign(rows[:, 2] - rows[:, 0]) for rows in (one, other)]
    return float(np.mean(signs[0] == signs[1])) if len(one) else 1.0


def load_float32(folder: Path) -> Model:
    """Load the float32 graph that `chipwire.signals.train` leaves beside its model, or any other model's folder.

    Parameters
    ----------
    folder : Path
        What was given to the training as ``--out``; the graph lies beside it as ``OUT-float32.onnx``.
    """
    graph = folder.with_name(f"{folder.name}-float32.onnx")
    if not graph.is_file():
        return load_model(str(folder))
    with tempfile.TemporaryDirectory() as temporary:
        for path in folder.iterdir():
            shutil.copyfile(graph if path.name == "model.onnx" else path, Path(temporary, path.name))
        return load_model(temporary)


def precision_agreement(model: Model, float32: Model, items: Sequence[Item]) -> dict[str, Any]:
    """Return how often two models agree on the sign of the items' targets, and over how many targets.

    Only items in languages that both read are looked at.
    """
    both = [item for item in items if model.card.reads(item.language) and float32.card.reads(item.language)]
    one, other = model.read(both).sentiment, float32.read(both).sentiment
    return {"agreement": sign_agreement(one, other), "targets": len(one)}
