"""Train, export and measure the embedded model: ``python -m chipwire.signals.train``.

A small sentence encoder with mean pooling and one linear layer reads (headline, target name) and says whether
the news is negative, neutral or positive for the target. The result is a folder with an int8 ONNX graph, its
tokenizer and ``model.json``, which the scorer reads. Needs the extra ``[train]`` (torch, transformers, onnx);
those are imported where they are used, so that the helpers here import without them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.signals import train_data
from chipwire.signals.train_data import LABELS, Corpus, Example

Floats = NDArray[np.float64]
Batch = dict[str, NDArray[np.int64]]

MAX_TOKENS: Final = 96
OPSET: Final = 18


@dataclass(frozen=True)
class Recipe:
    """How the model is trained; the defaults made the embedded model.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the rows, rows per step.
    learning_rate, weight_decay : float
        Of AdamW.
    warmup_share : float
        Share of the steps over which the learning rate rises before it falls linearly to zero.
    rename_share : float
        Share of the rows that get another company's name, drawn anew in each epoch.
    class_weighted : bool
        Weigh the loss by inverse class frequency.
    """

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    rename_share: float = 0.3
    class_weighted: bool = False


def load_tokenizer(path: Path) -> Any:
    """Return the pair tokenizer of the product: cut to `MAX_TOKENS` in the headline only, padded to the batch.

    A literal special token in a headline stays plain text.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS, strategy="only_first")
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"), pad_token="[PAD]")
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode(tokenizer: Any, rows: Sequence[Example]) -> Batch:
    """Return one padded batch as int64 arrays of shape (rows, tokens), keyed by the graph's input names."""
    encodings = tokenizer.encode_batch([(row.headline, row.target) for row in rows])
    return {
        "input_ids": np.array([item.ids for item in encodings], dtype=np.int64),
        "attention_mask": np.array([item.attention_mask for item in encodings], dtype=np.int64),
        "token_type_ids": np.array([item.type_ids for item in encodings], dtype=np.int64),
    }


def length_batches(rows: Sequence[Example], size: int, rng: random.Random | None) -> list[list[int]]:
    """Return row indices in batches of similar text length, so that little padding is computed.

    Parameters
    ----------
    rows : sequence of Example
        The rows to batch.
    size : int
        Rows per batch; the last may be smaller.
    rng : random.Random or None
        With it, rows are shuffled first, sorted within 50 batches at a time, and the batches shuffled.
        Without it, rows are sorted as a whole.
    """
    order = list(range(len(rows)))
    window = len(order)
    if rng is not None:
        rng.shuffle(order)
        window = 50 * size
    batches = []
    for start in range(0, len(order), max(window, 1)):
        part = sorted(order[start : start + window], key=lambda index: len(rows[index].headline))
        batches += [part[at : at + size] for at in range(0, len(part), size)]
    if rng is not None:
        rng.shuffle(batches)
    return batches


def build_classifier(base: Path) -> Any:
    """Return the encoder of a folder with masked mean pooling and a fresh linear layer, as a torch module."""
    import torch
    from transformers import BertModel

    class PooledClassifier(torch.nn.Module):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = BertModel.from_pretrained(
                base, add_pooling_layer=False, use_safetensors=True, attn_implementation="eager"
            )
            self.dropout = torch.nn.Dropout(0.1)
            self.head = torch.nn.Linear(self.encoder.config.hidden_size, len(LABELS))

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            hidden = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weight).sum(1) / weight.sum(1)
            return self.head(self.dropout(pooled))

    return PooledClassifier()


def train(model: Any, tokenizer: Any, rows: Sequence[Example], recipe: Recipe, seed: int) -> None:
    """Fit the module in place with AdamW, a linear warm-up and a linear decay.

    Parameters
    ----------
    model, tokenizer
        From `build_classifier` and `load_tokenizer`.
    rows : sequence of Example
        Training rows; a share of them is renamed in each epoch.
    recipe : Recipe
        How.
    seed : int
        Seeds renaming, order and dropout. On a CPU a repeat agrees to the order of float additions.
    """
    import torch

    torch.manual_seed(seed)
    rng = random.Random(seed)
    pool = train_data.rename_pool(rows)
    steps = recipe.epochs * -(-len(rows) // recipe.batch_size)
    warmup = max(1, round(steps * recipe.warmup_share))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / max(1, steps - warmup)))
    )
    weight = torch.tensor(_class_weights(rows)) if recipe.class_weighted else None
    loss_of = torch.nn.CrossEntropyLoss(weight=weight)
    model.train()
    for epoch in range(recipe.epochs):
        seen = [
            train_data.rename_target(row, pool, rng) if rng.random() < recipe.rename_share else row
            for row in rows
        ]
        total = 0.0
        for indices in length_batches(seen, recipe.batch_size, rng):
            part = [seen[index] for index in indices]
            batch = {name: torch.from_numpy(array) for name, array in encode(tokenizer, part).items()}
            # Half-precision products halve the time on processors that have them; weights stay float32.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(**batch)
            loss = loss_of(logits.float(), torch.tensor([row.label for row in part]))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(part)
        print(f"epoch {epoch + 1}/{recipe.epochs}: loss {total / len(rows):.4f}", file=sys.stderr, flush=True)
    model.eval()


def _class_weights(rows: Sequence[Example]) -> list[float]:
    counts = Counter(row.label for row in rows)
    return [len(rows) / (len(LABELS) * counts[label]) for label in range(len(LABELS))]


def predict(run: Callable[[Batch], Floats], tokenizer: Any, rows: Sequence[Example]) -> Floats:
    """Return logits of shape (rows, labels) from a function that maps a batch to its logits."""
    logits = np.zeros((len(rows), len(LABELS)))
    for indices in length_batches(rows, 64, None):
        logits[indices] = run(encode(tokenizer, [rows[index] for index in indices]))
    return logits


def onnx_runner(path: Path) -> Callable[[Batch], Floats]:
    """Return a function that maps a batch to logits by an ONNX file, on two threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(batch: Batch) -> Floats:
        return np.asarray(session.run(["logits"], batch)[0], dtype=np.float64)

    return run
