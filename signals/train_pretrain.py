"""A small Chinese encoder from scratch: characters for tokens, trained to fill in masked ones.

No Chinese encoder can be had under a free licence at a size that ships, so one is made here from unlabelled titles:
J. Devlin et al., "BERT", NAACL 2019, with dynamic masking. The result is a folder with ``tokenizer.json``,
``config.json`` and ``model.safetensors``, which `chipwire.signals.train` then fine-tunes like any other encoder.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

SHAPE: Final = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 128,
    "type_vocab_size": 1,
}
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SMALLEST_COUNT: Final = 4
"""A character seen less often is read as unknown."""

_NEAR = re.compile(
    "股|芯|公司|科技|AI|模型|智能|手机|市场|亿|涨|跌|美国|制裁|关税|企业|集团|产业|投资|华为|阿里|腾讯|百度|字节|特朗普|商务部|外交部|出口|禁|"
    "发布|回应|否认|调查|经济|银行|基金|汽车|电池|苹果|小米|马斯克|技术|半导体|上市|财报|订单|制造|研发"
)


def read_titles(path: Path, limit: int, seed: int) -> list[str]:
    """Return up to `limit` titles in a seeded order: all that speak of business or technology, then others."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        titles = list(dict.fromkeys(line.strip() for line in file))
    titles = [title for title in titles if len(title) >= 4]
    near = [title for title in titles if _NEAR.search(title)]
    others = [title for title in titles if not _NEAR.search(title)]
    rng = np.random.default_rng(seed)
    rng.shuffle(others)
    chosen = (near + others)[:limit]
    rng.shuffle(chosen)
    return chosen


def build_tokenizer(texts: Iterable[str]) -> Any:
    """Return a tokenizer that takes every character for a token, letters in lower case, blanks left out."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(unicodedata.normalize("NFKC", text).lower())
    letters = sorted(
        letter for letter, count in counts.items() if count >= SMALLEST_COUNT and not letter.isspace()
    )  # fmt: skip
    letters = sorted({*letters, *(chr(code) for code in range(33, 127) if not chr(code).isupper())})
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *letters))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\s+"), "removed"), pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    return tokenizer


def pretrain(
    titles: Sequence[str], out: Path, *, epochs: int = 1, batch_size: int = 256, rate: float = 1e-3, seed: int = 1,
    masked_share: float = 0.2,
) -> None:  # fmt: skip
    """Train an encoder to fill in masked characters and write its folder.

    Parameters
    ----------
    titles : sequence of str
        Texts; those of the vocabulary too.
    out : Path
        Folder to write.
    epochs, batch_size, rate, seed
        Passes, texts per step, peak learning rate of AdamW (linear warm-up over 5%, linear decay), seed of all chance.
    masked_share : float
        Share of the characters to fill in; of those 80% are masked, 10% replaced, 10% left.
    """
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = build_tokenizer(titles)
    size = tokenizer.get_vocab_size()
    shape: Any = {**SHAPE, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(vocab_size=size, pad_token_id=0, **shape)
    encoder = BertModel(config, add_pooling_layer=False)
    head = torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.GELU(), torch.nn.LayerNorm(256))
    bias = torch.nn.Parameter(torch.zeros(size))
    parameters = [*encoder.parameters(), *head.parameters(), bias]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    encoded = [item.ids[:64] for item in tokenizer.encode_batch(list(titles))]
    total = epochs * (len(encoded) // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (0.05 * total), max(0.0, (total - step) / (0.95 * total)))
    )
    step, running = 0, 0.0
    for _ in range(epochs):
        for rows in _batches(encoded, batch_size, rng):
            ids, mask, wanted = _masked([encoded[row] for row in rows], size, masked_share, rng)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                read = encoder(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
                hidden = read.last_hidden_state
                spots = torch.from_numpy(wanted >= 0)
                logits = head(hidden[spots]) @ encoder.embeddings.word_embeddings.weight.T + bias
            loss = torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(wanted)[spots])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            running = 0.98 * running + 0.02 * loss.item() if step > 1 else loss.item()
            if step % 100 == 0:
                sys.stderr.write(f"step {step}/{total}: loss {running:.3f}\n")
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    encoder.save_pretrained(out, safe_serialization=True)
    (out / "pretraining.json").write_text(json.dumps({"texts": len(titles), "steps": step, "loss": round(running, 4)}))


def _batches(encoded: Sequence[Sequence[int]], size: int, rng: np.random.Generator) -> Iterable[Any]:
    order = rng.permutation(len(encoded))
    batches = []
    for start in range(0, len(order), 50 * size):
        part = sorted(order[start : start + 50 * size], key=lambda row: len(encoded[row]))
        batches += [part[at : at + size] for at in range(0, len(part) - size + 1, size)]
    rng.shuffle(batches)
    return batches


def _masked(rows: Sequence[Sequence[int]], size: int, share: float, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Return ids, attention mask and the wanted ids (-1 where nothing is asked)."""
    width = max(len(row) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    mask = (ids != 0).astype(np.int64)
    chosen = (rng.random(ids.shape) < share) & (ids >= len(SPECIAL))
    wanted = np.where(chosen, ids, -1)
    fate = rng.random(ids.shape)
    ids = np.where(chosen & (fate < 0.8), SPECIAL.index("[MASK]"), ids)
    ids = np.where(chosen & (fate >= 0.9), rng.integers(len(SPECIAL), size, ids.shape), ids)
    return ids, mask, wanted
