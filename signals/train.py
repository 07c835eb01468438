"""Train, export and describe the embedded reading model: ``python -m chipwire.signals.train``.

A published small sentence encoder with the heads of `chipwire.signals.train_network` is fine-tuned on our own labelled
headlines and frames and on public entity-level sets. It knows English; Chinese reaches it through a glossary. The
result is a folder with an 8-bit ONNX graph, its tokenizer, the glossary and ``model.json``. Needs the extra ``[train]``
(torch, transformers, onnx).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from chipwire.data.errors import ChipwireError
from chipwire.data.universe import load_universe
from chipwire.signals.gloss import FILE, Gloss, load_gloss
from chipwire.signals.models import load_model
from chipwire.signals.onnx_model import FORMAT, OnnxModel
from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import DIRECTIONS, EVENTS, Text, glossed
from chipwire.signals.train_export import activation_ranges, write_graph
from chipwire.signals.train_frames import Grower
from chipwire.signals.train_headlines import NEWEST
from chipwire.signals.train_last import fit_alone, fit_meant
from chipwire.signals.train_loop import Recipe, feed, fit, teacher_of
from chipwire.signals.train_network import MAX_TOKENS, ROLES, SECOND, build_network, load_tokenizer
from chipwire.signals.train_second import FOLDS, second_opinions
from chipwire.signals.train_start import GRAPH, LATE, check_told, digest_of, go_on, mean_of
from chipwire.signals.train_temperature import temperatures
from chipwire.signals.train_texts import LANGUAGES, Data, epoch_texts, gather, hear

BASE: Final = {
    "name": "sentence-transformers/all-MiniLM-L6-v2",
    "licence": "Apache-2.0",
    "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "training_cutoff": "2021-08-30",
}
"""The encoder; its cut-off is the day of its release."""

PUBLIC: Final = (
    {"name": "sentfin", "title": "SEntFiN 1.0", "licence": "MIT", "cutoff": "2022-03-08"},
    {"name": "finentity", "title": "FinEntity", "licence": "ODC-BY-1.0", "cutoff": "2023-10-19"},
)
"""Data sets with the day after which they hold nothing: their publication, or the end of its year."""

KNOWN_SHARE: Final = 0.5
"""`Recipe.known_share` of a training that goes on from earlier weights."""

KEPT_SHARE: Final = 0.5
"""`Recipe.kept_share` of such a training."""

THREADS: Final = 2
"""Of torch: with more, sums are added in another order."""

SECOND_SEEDS: Final = (5, 6)
"""Seeds of the networks that give a second opinion on the public labels."""

OWN_CUTOFF: Final = "2026-11-23"
"""When our own rows were written: their writers knew the news up to then, whatever the rows speak of."""

ENOUGH: Final = 20_000
"""So many at least of our headlines teach each of the last heads, beside those that were written for it."""

LEAST_MEANT: Final = 0.1
"""`chipwire.signals.models.ModelCard.least_meant` of what is trained here."""

LEAST_ALONE: Final = 0.4
"""`chipwire.signals.models.ModelCard.least_alone` of what is trained here."""

SELFTEST: Final = (
    ("Nvidia shares surge after record quarterly results", "Nvidia", "positive"),
    ("Intel slumps after cutting its full-year outlook", "Intel", "negative"),
    ("AMD wins a huge accelerator order from a cloud giant", "AMD", "positive"),
    ("Washington adds SMIC to its trade blacklist", "SMIC", "negative"),
    ("寒武纪三季度净利润大增", "寒武纪", "positive"),
    ("美国将中芯国际列入实体清单", "中芯国际", "negative"),
)
"""Headlines that any usable model reads rightly; they are read whenever the model is loaded."""


def copy_of(network: Any) -> dict[str, Any]:
    """Return the network's weights as they are now, whatever becomes of it."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def keep(network: Any, earlier: Mapping[str, Any], share: float) -> None:
    """Give a network the mean of earlier weights, by this share, and its own.

    A mean of weights along one training generalises better than its last (M. Wortsman et al., "Robust fine-tuning of
    zero-shot models", CVPR 2022).
    """
    now = network.state_dict()
    network.load_state_dict({name: share * earlier[name] + (1 - share) * now[name] for name in now})


def train(
    base: Path, data: Data, recipe: Recipe, gloss: Gloss, seed: int, start: Path | None = None,
    committee: Sequence[OnnxModel] = (),
) -> Any:  # fmt: skip
    """Return a network trained from the base, or on from the weights of an earlier one; all chance is from `seed`.

    What goes on keeps `Recipe.kept_share` of the weights that it went on from. With the models of a committee, what
    they say is learnt beside the labels.
    """
    import torch

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    growers = {language: Grower(load_universe(), language, rng) for language in LANGUAGES}
    network = build_network(base)
    if start is not None:
        go_on(network, start)
    earlier = copy_of(network)
    tokenizer = load_tokenizer(base)
    known = [glossed(text, gloss) for text in (*data.ours, *data.public["train"])]
    data = hear(data, committee)
    fit(
        network, tokenizer, lambda: epoch_texts(data, recipe, growers, gloss, rng, committee), teacher_of(base, known),
        recipe, seed,
    )  # fmt: skip
    if start is not None:
        keep(network, earlier, recipe.kept_share)
    return network


def export(
    network: Any, base: Path, data: Data, gloss: Gloss, gloss_file: Path, out: Path, facts: dict[str, Any],
    *, public_only: bool = False,
) -> None:  # fmt: skip
    """Write the folder of a trained network: graph, tokenizer, glossary, description with temperatures.

    The last heads (`chipwire.signals.train_last`) are learnt here, when all other weights are settled, but not from
    public labels alone.

    Raises
    ------
    ChipwireError
        The exported model misreads one of `SELFTEST`.
    """
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(THREADS)
    tokenizer = load_tokenizer(base)
    calibration = (data.own["train"] + data.public["train"])[:: max(1, len(data.own["train"]) // 512)]
    config = network.encoder.config.to_dict()
    if not public_only:
        named = [text for text in data.ours if text.targets and text.event is not None]
        alone = [text for text in (*data.own["train"], *data.headlines) if not text.targets]
        for fit_last, texts in ((fit_meant, _some(named) + data.mentions), (fit_alone, _some(alone) + data.repeated)):
            fit_last(network, tokenizer, [glossed(text, gloss) for text in texts])
    weights = {
        name: tensor.detach().numpy() for name, tensor in network.state_dict().items()
        if not (public_only and name.startswith(LATE))
    }  # fmt: skip
    ranges = activation_ranges(network, _feeds(tokenizer, [glossed(text, gloss) for text in calibration]))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        tokenizer.save(str(made / "tokenizer.json"), pretty=False)
        shutil.copyfile(gloss_file, made / gloss_file.name)
        write_graph(weights, config, ranges, made / GRAPH, MAX_TOKENS)
        _describe(made, facts)
        validation = data.own["validation"] + [t for t in data.public["validation"] if t.source == "sentfin"][:500]
        _describe(made, facts | {"temperatures": temperatures(OnnxModel(made), validation)})
        load_model(str(made))  # runs the self-test
        for path in sorted(made.iterdir()):
            shutil.copyfile(path, out / path.name)
        write_graph(weights, config, None, out.parent / f"{out.name}-float32.onnx", MAX_TOKENS)
        save_file(network.state_dict(), str(out.parent / f"{out.name}.safetensors"))


def _some(texts: list[Text]) -> list[Text]:
    """Return `ENOUGH` texts or somewhat more, evenly drawn; all where there are fewer."""
    return texts[:: max(1, len(texts) // ENOUGH)]


def _feeds(tokenizer: Any, texts: Sequence[Text]) -> Any:
    for start in range(0, len(texts), 32):
        yield feed(tokenizer, texts[start : start + 32])


def describe(data: Data, recipe: Recipe, seed: int | None) -> dict[str, Any]:
    """Return the facts that ``model.json`` states."""
    cutoffs = [str(BASE["training_cutoff"]), *(str(item["cutoff"]) for item in PUBLIC)]
    return {
        "format": FORMAT,
        "name": "chipwire-reader",
        "version": "15",
        "languages": ["en"] if recipe.public_only else list(LANGUAGES),
        "labels": list(LABELS),
        "directions": list(DIRECTIONS),
        "themes": list(THEMES),
        "events": list(EVENTS),
        "roles": list(ROLES),
        "max_tokens": MAX_TOKENS,
        "least_meant": 0.0 if recipe.public_only else LEAST_MEANT,
        "least_alone": 0.0 if recipe.public_only else LEAST_ALONE,
        "base": BASE,
        "training_cutoff": max([*cutoffs, *([] if recipe.public_only else [OWN_CUTOFF])]),
        "public_data": [dict(item) for item in PUBLIC],
        "counts": data.counts,
        "recipe": asdict(recipe),
        "newest": {} if recipe.public_only else NEWEST,
        "second_opinion": None if recipe.public_only else {"share": SECOND, "folds": FOLDS, "seeds": SECOND_SEEDS},
        "seed": seed,
        "selftest": [
            {"headline": text, "target": name, "label": label}
            for text, name, label in (SELFTEST[:1] if recipe.public_only else SELFTEST)
        ],
    }


def _describe(folder: Path, facts: Mapping[str, Any]) -> None:
    (folder / "model.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check_base(base: Path) -> None:
    """Raise `ChipwireError` unless the folder holds the encoder whose facts `BASE` states."""
    weights = base / "model.safetensors"
    if not weights.is_file():
        raise ChipwireError(f"{base} has no model.safetensors; give the folder of {BASE['name']}")
    if (found := digest_of(weights)) != (asked := str(BASE["sha256"])):
        raise ChipwireError(
            f"{weights} has sha256 {found[:12]}..., not {asked[:12]}... of {BASE['name']}; "
            "for another encoder, change BASE in chipwire/signals/train.py with its licence and cut-off"
        )


def check_committee(folders: Sequence[Path], recipe: Recipe) -> list[OnnxModel]:
    """Return the models of a committee; `ChipwireError` for one that cannot speak of what is trained."""
    if folders and recipe.public_only:
        raise ChipwireError("--committee speaks of our own headlines, which --public-only leaves out; give one of them")
    for folder in folders:
        check_told(folder)
    return [OnnxModel(folder) for folder in folders]


def _glossary(file: Path) -> Gloss:
    gloss = load_gloss(file.parent)
    if gloss is None:
        raise ChipwireError(f"{file} does not exist; it is the glossary, and comes with the package")
    return gloss


def build(
    folder: Path, base: Path, gloss_file: Path, out: Path, recipe: Recipe, seed: int, start: Path | None = None,
    committee: Sequence[Path] = (),
) -> dict[str, Any]:  # fmt: skip
    """Train the model from data, taught by a committee if there is one, and write its folder; return its facts."""
    import torch

    torch.set_num_threads(THREADS)
    gloss = _glossary(gloss_file)
    voices = check_committee(committee, recipe)
    if start:
        go_on(build_network(base), start)  # what it cannot go on from, it says before hours of work
    begun = digest_of(start) if start else None
    data = gather(folder)
    if not recipe.public_only:
        data = replace(data, public={**data.public, "train": second_opinions(base, data.public["train"], SECOND_SEEDS)})
    network = train(base, data, recipe, gloss, seed, start, voices)
    facts = describe(data, recipe, seed) | {
        "start": begun,
        "committee": [digest_of(model) for model in committee],
    }
    export(network, base, data, gloss, gloss_file, out, facts, public_only=recipe.public_only)
    return facts


def build_mean(folder: Path, base: Path, gloss_file: Path, out: Path, parts: Sequence[Path]) -> dict[str, Any]:
    """Write the folder of the model whose weights are the mean of those of trainings; return its facts."""
    gloss = _glossary(gloss_file)
    network = build_network(base)
    mean_of(network, parts)
    network.eval()
    data = gather(folder)
    facts = describe(data, Recipe(), None) | {"mean_of": [digest_of(part) for part in parts]}
    del facts["recipe"]  # that of the parts
    export(network, base, data, gloss, gloss_file, out, facts)
    return facts


def _positive(epochs: int) -> int:
    if epochs < 1:
        raise ChipwireError(f"--epochs {epochs}: at least 1 pass is needed")
    return epochs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m chipwire.signals.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data sets")
    parser.add_argument("--base", type=Path, required=True, help=f"folder of {BASE['name']}")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument(
        "--start", type=Path,
        help="weights to go on from: OUT.safetensors of an earlier training, or a model's folder, such as "
        "signals/model; the mean of before and after is kept",
    )  # fmt: skip
    parser.add_argument(
        "--committee", type=Path, nargs="+", default=[], metavar="MODEL",
        help="folders of trained models; the mean of what they say is learnt beside the labels",
    )  # fmt: skip
    parser.add_argument(
        "--mean", type=Path, nargs="+", default=[], metavar="WEIGHTS",
        help="train nothing but the last heads: write the model with the mean of these OUT.safetensors, trainings on "
        "from one start",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="seed of the training (default 1)")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs, help=f"passes (default {Recipe.epochs})")
    parser.add_argument(
        "--public-only", action="store_true", help="the baseline of the evaluation: public labels alone, as they are"
    )
    options = parser.parse_args(arguments)
    try:
        check_base(options.base)
        with resources.as_file(resources.files("chipwire.signals.model") / FILE) as gloss_file:
            if options.mean:
                if options.start or options.committee:
                    raise ChipwireError("--mean goes on from nothing: leave --start and --committee out")
                build_mean(options.data, options.base, gloss_file, options.out, options.mean)
                return 0
            recipe = Recipe(
                epochs=_positive(options.epochs), public_only=options.public_only,
                known_share=KNOWN_SHARE if options.start else 1.0, kept_share=KEPT_SHARE if options.start else 0.0,
            )  # fmt: skip
            build(
                options.data, options.base, gloss_file, options.out, recipe, options.seed, options.start,
                options.committee,
            )  # fmt: skip
    except (ChipwireError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
