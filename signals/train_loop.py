"""The training loop of the reading network, and the teachers of its embedding.

The last part of the training runs with the rounding that the exported graph has, so that the weights settle where
rounding changes little (B. Jacob et al., CVPR 2018, quantisation-aware training with a straight-through gradient).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chipwire.signals.onnx_model import feed_of
from chipwire.signals.train_domain import Text
from chipwire.signals.train_export import WEIGHT_LIMIT, activation_ranges, smoothing
from chipwire.signals.train_network import load_tokenizer, loss_of, wanted_of

Vectors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; the model card says how the embedded one was, in several parts.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the texts, texts per step.
    rate, head_rate, weight_decay : float
        Peak learning rate of the encoder and of the heads, and decay, of AdamW.
    warmup_share, rounded_share : float
        Share of the steps over which the rate rises; share of the last steps that are trained with rounding.
    masked_share : float
        Share of the texts whose names are masked, drawn anew in each epoch.
    own_repeats, public_repeats, frame_repeats : int
        How often one of our own rows and older headlines, of the public and market ones is read in an epoch, and how
        many texts are grown from each frame.
    known_share : float
        Share of the older headlines (all but `train_headlines.NEWEST`) that an epoch draws, for a training that goes
        on from earlier weights; rows, public sets, market headlines, mentions and frames are read whole.
    kept_share : float
        Share of the earlier weights in the result of a training that goes on from such; 0 for what it came to.
    varied_share : float
        Varied texts that a committee labels, as a share of the other texts of an epoch; none without a committee.
    public_only : bool
        Whether our own headlines and frames are left out, and public labels taken as they are.
    """

    epochs: int = 5
    batch_size: int = 64
    rate: float = 3e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    rounded_share: float = 0.25
    masked_share: float = 0.3
    own_repeats: int = 1
    public_repeats: int = 1
    frame_repeats: int = 1
    known_share: float = 1.0
    kept_share: float = 0.0
    varied_share: float = 1.0
    public_only: bool = False


def fit(
    network: Any, tokenizer: Any, texts_of_epoch: Callable[[], list[Text]], teacher: Vectors, recipe: Recipe, seed: int
) -> None:
    """Train the network in place; on a processor a repeat agrees to the order of float additions.

    Parameters
    ----------
    network, tokenizer
        From `chipwire.signals.train_network`.
    texts_of_epoch : callable
        Gives the texts of an epoch.
    teacher : mapping of group to vector
        Embedding of length 1 that texts of a group should come near in their mutual cosines; groups without one do
        not count.
    recipe : Recipe
        How.
    seed : int
        Of the order and of dropout.
    """
    import torch

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    first = texts_of_epoch()
    steps = recipe.epochs * -(-len(first) // recipe.batch_size)
    warmup = max(1, round(steps * recipe.warmup_share))
    heads = [value for name, value in network.named_parameters() if not name.startswith("encoder.")]
    optimiser = torch.optim.AdamW(
        [{"params": network.encoder.parameters(), "lr": recipe.rate}, {"params": heads, "lr": recipe.head_rate}],
        weight_decay=recipe.weight_decay, fused=True,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, max(0.01, (steps - step) / max(1, steps - warmup)))
    )
    network.train()
    step, running, rounding = 0, 0.0, False
    for epoch in range(recipe.epochs):
        texts = first if epoch == 0 else texts_of_epoch()
        for part in _batches(texts, recipe.batch_size, rng):
            if not rounding and step >= (1 - recipe.rounded_share) * steps:
                rounding = True
                _round_from_here(network, tokenizer, texts[:: max(1, len(texts) // 512)])
            arrays = feed(tokenizer, part)
            # Half-precision products halve the time on processors that have them; weights stay float32.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                outputs = network(**{name: torch.from_numpy(array) for name, array in arrays.items()})
            loss = loss_of(outputs, wanted_of(part, teacher))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            running += 0.02 * (loss.item() - running)
        sys.stderr.write(f"epoch {epoch + 1}/{recipe.epochs}: loss {running:.3f}\n")
        sys.stderr.flush()
    network.eval()
    _round_no_more(network)


def feed(tokenizer: Any, texts: Sequence[Text]) -> dict[str, Any]:
    """Return the arrays that a network is called with."""
    encodings = tokenizer.encode_batch([text.text for text in texts])
    return feed_of(encodings, [[target.spans for target in text.targets] for text in texts])


def _batches(texts: Sequence[Text], size: int, rng: np.random.Generator) -> list[list[Text]]:
    """Return shuffled batches of texts of similar length, so that little padding is computed."""
    order = rng.permutation(len(texts))
    batches = []
    for start in range(0, len(order), 50 * size):
        part = sorted(order[start : start + 50 * size], key=lambda row: len(texts[row].text))
        batches += [[texts[row] for row in part[at : at + size]] for at in range(0, len(part), size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def _round_from_here(network: Any, tokenizer: Any, texts: Sequence[Text]) -> None:
    """Make the encoder's products round their inputs and weights as the exported graph does."""
    import torch

    network.eval()
    ranges = activation_ranges(network, (feed(tokenizer, texts[at : at + 32]) for at in range(0, len(texts), 32)))
    network.train()
    layers = dict(network.named_modules())
    for name, (low, high) in ranges.items():
        own, _, part = name.rpartition(".")
        mates = [f"{own}.{mate}" for mate in ("query", "key", "value")] if part in ("query", "key", "value") else [name]
        heavy = np.concatenate([layers[mate].weight.detach().numpy() for mate in mates])
        smooth = torch.from_numpy(smoothing(low, high, heavy))
        least, most = min(float((low / smooth.numpy()).min()), 0.0), max(float((high / smooth.numpy()).max()), 0.0)
        layers[name].forward = _rounded(layers[name], smooth, least, most)


def _rounded(layer: Any, smooth: Any, low: float, high: float) -> Callable[[Any], Any]:
    import torch

    scale = max(high - low, 1e-6) / 255

    def forward(x: Any) -> Any:
        even = x.float() / smooth
        near = torch.clamp(torch.round(even / scale) * scale, low, high)
        weight = layer.weight * smooth
        step = weight.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-9) / WEIGHT_LIMIT
        nearest = torch.round(weight / step) * step
        return torch.nn.functional.linear(
            even + (near - even).detach(), weight + (nearest - weight).detach(), layer.bias
        )

    return forward


def _round_no_more(network: Any) -> None:
    for module in network.modules():
        vars(module).pop("forward", None)


def teacher_of(base: Path, texts: Sequence[Text]) -> dict[str, NDArray[np.float32]]:
    """Return what the published sentence encoder says of each text before fine-tuning, by its original wording.

    Returns
    -------
    dict of str to float32 array
        Vectors of length 1.
    """
    import torch
    from transformers import BertModel

    encoder: Any = BertModel.from_pretrained(base, add_pooling_layer=False, use_safetensors=True)
    encoder.eval()
    tokenizer = load_tokenizer(base)
    texts = sorted({text.original: text for text in texts}.values(), key=lambda text: len(text.text))
    found: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(texts), 64):
        part = texts[start : start + 64]
        arrays = feed_of(tokenizer.encode_batch([text.text for text in part]), [[] for _ in part])
        mask = torch.from_numpy(arrays["attention_mask"])[: len(part)]
        ids = torch.from_numpy(arrays["input_ids"])[: len(part)]
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        pooled = torch.nn.functional.normalize((hidden * mask.unsqueeze(-1)).sum(1), dim=1).numpy()
        found |= {text.original: vector for text, vector in zip(part, pooled, strict=True)}
    return found
