"""Any sequence-classification model that transformers can load, from a folder or a hub: sentiment alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from chipwire.data.errors import BadModel
from chipwire.signals.models import LABELS, Item, ModelCard, Readings, files_digest, known_labels, said, softmax


class TransformersModel:
    """A classifier of whole texts with labels negative, neutral and positive; needs the extra ``[torch]``.

    Every target of a text gets the text's reading. Runs on a CUDA or MPS device where torch finds one, in batches
    sized to it, else on the processor.
    """

    def __init__(self, reference: str, *, local: bool) -> None:
        if local:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            import torch
            from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            where = "it" if local else "there is no such folder, and to fetch it from a hub"
            raise BadModel(reference, f"{where} needs torch: pip install '.[torch]' in the repository") from error
        self._torch = torch
        self._turn = Lock()  # a tokenizer pads and cuts for one caller at a time, or says "Already borrowed"
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
            raise BadModel(reference, said(error)) from error
        if absent := sorted(loaded["missing_keys"]):
            raise BadModel(reference, f"its weights lack {absent[0]}: it is not trained to classify")
        labels = known_labels(named, reference)
        self._columns = [labels.index(label) for label in LABELS]
        self._max_tokens = min(int(getattr(config, "max_position_embeddings", 512)), 128)
        digest = files_digest(Path(reference)) if local else _state_digest(self._model)
        self._device = _device(torch)
        self._model.to(self._device).eval()
        self.batch_rows = 32 if self._device == "cpu" else 256
        self.card = ModelCard(
            name=Path(reference).name if local else reference, languages=(), events=(), training_cutoff=None,
            files_sha256=digest, piece=2 * self.batch_rows,
        )  # fmt: skip

    def read(self, items: Sequence[Item]) -> Readings:
        """Read whole texts; see `chipwire.signals.models.Model`."""
        texts = list(dict.fromkeys(item.text for item in items))
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        logits = np.empty((len(texts), len(LABELS)))
        for start in range(0, len(order), self.batch_rows):
            rows = order[start : start + self.batch_rows]
            with self._turn, self._torch.inference_mode():
                encoded = self._tokenizer(
                    [texts[row] for row in rows], truncation=True, max_length=self._max_tokens, padding=True,
                    return_tensors="pt",
                ).to(self._device)  # fmt: skip
                logits[rows] = self._model(**encoded).logits.double().cpu().numpy()
        by_text = dict(zip(texts, softmax(logits, self.card.name)[:, self._columns], strict=True))
        sentiment = np.array([by_text[item.text] for item in items for _ in item.targets]).reshape(-1, len(LABELS))
        return Readings(sentiment, np.ones(len(sentiment)))


def _device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _state_digest(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + b"\0" + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
