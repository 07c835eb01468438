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
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chipwire.data.errors import ChipwireError
from chipwire.signals import train_data
from chipwire.signals.train_data import LABELS, SPLITS, Corpus, Example
from chipwire.signals.train_eval import fit_temperature, measure
from chipwire.signals.train_export import export_onnx, onnx_runner, store_int8

Floats = NDArray[np.float64]
Batch = dict[str, NDArray[np.int64]]

MAX_TOKENS: Final = 96

BASE: Final = {
    "name": "sentence-transformers/all-MiniLM-L6-v2",
    "licence": "Apache-2.0",
    "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "training_cutoff": "2021-08-30",
}
"""The encoder; its cut-off is the day of its release."""

SOURCES: Final = (
    {"name": "sentfin", "title": "SEntFiN 1.0", "licence": "MIT", "cutoff": "2022-03-08"},
    {"name": "finentity", "title": "FinEntity", "licence": "ODC-BY-1.0", "cutoff": "2023-10-19"},
    {"name": "twitter", "title": "Twitter Financial News 1.0.0", "licence": "MIT", "cutoff": "2022-12-31"},
)
"""Data sets with the day after which they hold nothing: their publication, or the end of its year."""

SELFTEST: Final = (
    ("Nvidia shares surge after record quarterly results", "Nvidia", "positive"),
    ("Intel slumps after cutting its full-year outlook", "Intel", "negative"),
    ("Micron to present at an investor conference next week", "Micron", "neutral"),
    ("AMD rallies on strong demand while Intel slides on weak sales", "AMD", "positive"),
    ("AMD rallies on strong demand while Intel slides on weak sales", "Intel", "negative"),
    ("TSMC names new head of human resources", "TSMC", "neutral"),
)
"""Examples that any usable model reads rightly; a loader checks the order of labels by them."""


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
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    rename_share: float = 0.3


def load_tokenizer(path: Path) -> Any:
    """Return the pair tokenizer of the product.

    It cuts to `MAX_TOKENS` in the headline only, pads to the batch, and a literal special token in a headline
    stays plain text.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS, strategy="only_first")
    tokenizer.enable_padding()
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


def length_batches(rows: Sequence[Example], size: int, rng: np.random.Generator | None) -> list[list[int]]:
    """Return row indices in batches of similar text length, so that little padding is computed.

    Parameters
    ----------
    rows : sequence of Example
        The rows to batch.
    size : int
        Rows per batch; the last may be smaller.
    rng : numpy Generator or None
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
    rng = np.random.default_rng(seed)
    pool = train_data.rename_pool(rows)
    steps = recipe.epochs * -(-len(rows) // recipe.batch_size)
    warmup = max(1, round(steps * recipe.warmup_share))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / max(1, steps - warmup)))
    )
    loss_of = torch.nn.CrossEntropyLoss()
    model.train()
    for epoch in range(recipe.epochs):
        seen = [train_data.rename_target(row, pool, rng) if rng.random() < recipe.rename_share else row for row in rows]
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
        sys.stderr.write(f"epoch {epoch + 1}/{recipe.epochs}: loss {total / len(rows):.4f}\n")
    model.eval()


def predict(run: Callable[[Batch], Floats], tokenizer: Any, rows: Sequence[Example]) -> Floats:
    """Return logits of shape (rows, labels) from a function that maps a batch to its logits."""
    logits = np.zeros((len(rows), len(LABELS)))
    for indices in length_batches(rows, 64, None):
        logits[indices] = run(encode(tokenizer, [rows[index] for index in indices]))
    return logits


def build(data: Path, base: Path, out: Path, seed: int, recipe: Recipe) -> dict[str, Any]:
    """Train on the data sets of a folder and write the model's folder.

    Parameters
    ----------
    data, base, out : Path
        Folder of the data sets, folder of the encoder, folder to write.
    seed : int
        Of the training; the split into training, validation and test rows does not depend on it.
    recipe : Recipe
        How to train.

    Returns
    -------
    dict
        What ``model.json`` holds.

    Raises
    ------
    ChipwireError
        When the encoder is another than `BASE`, or the result fails `SELFTEST`.
    """
    import torch

    check_base(base)
    torch.set_num_threads(2)
    torch.manual_seed(seed)
    corpus = train_data.load_corpus(data)
    parts = train_data.split_corpus(corpus.examples)
    tokenizer = load_tokenizer(base / "tokenizer.json")
    model = build_classifier(base)
    train(model, tokenizer, parts["train"], recipe, seed)
    out.mkdir(parents=True, exist_ok=True)
    # Nothing in `out` changes until the new model has passed; model.json comes last.
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        full, made = Path(scratch) / "float32.onnx", Path(scratch) / "made"
        made.mkdir()
        sample = encode(tokenizer, [Example(text, name, 0, "") for text, name, _ in SELFTEST])
        export_onnx(model, sample, full)
        store_int8(full, made / "model.onnx")
        tokenizer.save(str(made / "tokenizer.json"), pretty=False)
        write_config(model.encoder.config, made / "config.json")
        run = onnx_runner(made / "model.onnx")
        check_selftest(run, tokenizer)
        exact = predict(onnx_runner(full), tokenizer, parts["test"])
        facts = describe(corpus, parts, seed, *evaluate(run, tokenizer, parts, exact))
        (made / "model.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for name in ("config.json", "tokenizer.json", "model.onnx", "model.json"):
            (made / name).replace(out / name)
    return facts


def check_base(base: Path) -> None:
    """Raise `ChipwireError` unless the folder holds the encoder whose facts `BASE` states."""
    weights = base / "model.safetensors"
    if not weights.is_file():
        raise ChipwireError(f"{base} has no model.safetensors; give the folder of {BASE['name']}")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != BASE["sha256"]:
        raise ChipwireError(
            f"{weights} has sha256 {found[:12]}..., not {BASE['sha256'][:12]}... of {BASE['name']}; "
            "for another encoder, change BASE in chipwire/signals/train.py with its licence and cut-off"
        )


def check_selftest(run: Callable[[Batch], Floats], tokenizer: Any) -> None:
    """Raise `ChipwireError` when the model misreads one of `SELFTEST`."""
    rows = [Example(text, name, LABELS.index(label), "") for text, name, label in SELFTEST]
    for row, best in zip(rows, predict(run, tokenizer, rows).argmax(1), strict=True):
        if best != row.label:
            raise ChipwireError(
                f"self-test: '{row.headline}' for {row.target} is read as {LABELS[best]}, "
                f"not {LABELS[row.label]}; train longer or with another --seed"
            )


def evaluate(
    run: Callable[[Batch], Floats], tokenizer: Any, parts: dict[str, list[Example]], exact: Floats
) -> tuple[float, dict[str, Any]]:
    """Return the temperature fitted on validation, and the measures on validation and test.

    Parameters
    ----------
    run, tokenizer
        The model as it ships.
    parts : dict of str to list of Example
        Rows of each split.
    exact : ndarray of shape (test rows, labels)
        Logits of the float32 graph on the test rows, to compare labels with.
    """
    logits = {name: predict(run, tokenizer, parts[name]) for name in ("validation", "test")}
    metrics: dict[str, Any] = {name: measure_by_source(logits[name], parts[name]) for name in logits}
    metrics["test"]["int8_agreement"] = round(float(np.mean(exact.argmax(1) == logits["test"].argmax(1))), 4)
    metrics["interval"] = "95%, percentile bootstrap over headlines"
    return fit_temperature(logits["validation"], labels_of(parts["validation"])), metrics


def labels_of(rows: Sequence[Example]) -> NDArray[np.int64]:
    """Return the label index of each row."""
    return np.array([row.label for row in rows], dtype=np.int64)


def measure_by_source(logits: Floats, rows: Sequence[Example]) -> dict[str, Any]:
    """Return the measures over all rows, and under ``by_source`` those of each data set."""

    def over(chosen: NDArray[np.int64]) -> dict[str, object]:
        keys = [train_data.headline_key(rows[index].headline) for index in chosen]
        return measure(logits.argmax(1)[chosen], labels_of(rows)[chosen], keys, len(LABELS))

    names = np.array([row.source for row in rows])
    result: dict[str, Any] = over(np.arange(len(rows)))
    result["by_source"] = {item["name"]: over(np.flatnonzero(names == item["name"])) for item in SOURCES}
    return result


def write_config(config: Any, path: Path) -> None:
    """Write the encoder's configuration with the labels, without its old class and path."""
    facts = config.to_diff_dict()
    for key in ("_name_or_path", "architectures"):
        facts.pop(key, None)
    facts["id2label"] = dict(enumerate(LABELS))
    facts["label2id"] = {label: index for index, label in enumerate(LABELS)}
    path.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def describe(
    corpus: Corpus, parts: dict[str, list[Example]], seed: int, temperature: float, metrics: dict[str, Any]
) -> dict[str, Any]:
    """Return the facts that ``model.json`` states."""
    used = Counter(row.source for row in corpus.examples)
    data = [{**item, "rows": used[item["name"]]} for item in SOURCES]
    return {
        "name": "chipwire-minilm-entity",
        "version": "1",
        "format": "onnx",
        "labels": list(LABELS),
        "input": "headline-target-pair",
        "languages": ["en"],
        "max_tokens": MAX_TOKENS,
        "temperature": temperature,
        "base": BASE,
        "training_cutoff": max([BASE["training_cutoff"], *(item["cutoff"] for item in SOURCES)]),
        "data": data,
        "rows": {name: len(parts[name]) for name in SPLITS},
        "dropped": corpus.dropped,
        "seed": seed,
        "metrics": metrics,
        "selftest": [{"headline": text, "target": name, "label": label} for text, name, label in SELFTEST],
    }


def base_folder(base: str) -> Path:
    """Return the folder of the encoder, fetched from the Hugging Face hub when `base` is not a folder."""
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(base, allow_patterns=["*.json", "model.safetensors"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m chipwire.signals.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the three data sets")
    parser.add_argument("--base", required=True, help=f"folder or hub id of {BASE['name']}")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=1, help="seed of the training (default 1)")
    options = parser.parse_args(arguments)
    try:
        facts = build(options.data, base_folder(options.base), options.out, options.seed, Recipe())
    except (ChipwireError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(facts["metrics"]["test"], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
