"""Measure the reader on the test split of our own headlines, beside what one would do without it.

Run ``python -m chipwire.signals.evaluate``. Without ``--models`` the embedded model is measured now and the figures of
its other seeds, recorded when it was trained, are shown beside it. ``--json`` prints one object for each reader; the
objects of all seeds, kept as ``signals/model/seeds.json``, are what is shown as recorded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from chipwire.data.errors import ChipwireError, UnreadableInput
from chipwire.data.universe import load_universe
from chipwire.signals import evaluate_answers as answers
from chipwire.signals import evaluate_speed as speed
from chipwire.signals.evaluate_measures import MEASURES, Answers, Measure, Measured, entity_accuracy, measured
from chipwire.signals.models import Item, Model, load_model
from chipwire.signals.reading import Reader
from chipwire.signals.train_domain import own_texts
from chipwire.signals.train_eval import Floats

READER: Final = "chipwire"
NO_EXPOSURE: Final = "no exposure"
VADER: Final = "VADER"
NO_DOMAIN: Final = "no domain data"
MAJORITY: Final = "majority"
BASELINES: Final = (NO_EXPOSURE, NO_DOMAIN, VADER, MAJORITY)

Column = dict[str, Any]
"""One reader's figures as in JSON: ``reader``, ``seed``, ``model``, ``files_sha256``, ``data`` and ``measures``."""


def column(reader: str, found: Mapping[str, Measured], data: str, model: Model | None = None, seed: int | None = None
           ) -> Column:  # fmt: skip
    """Return the figures of one reader as JSON knows them."""
    return {
        "reader": reader,
        "seed": seed,
        "model": model.card.name if model else None,
        "files_sha256": model.card.files_sha256 if model else None,
        "data": data,
        "split": "test",
        "measures": {key: {**asdict(one.figure), "coverage": one.coverage} for key, one in found.items()},
    }


class Evaluation:
    """The test split, and all readers measured on it.

    Parameters
    ----------
    public : Path or None
        Folder with ``sentfin.csv``; its held-out headlines are measured too.
    """

    def __init__(self, public: Path | None) -> None:
        self.gold, self._train, self.data = answers.load_gold()
        self._texts, self._public_train = answers.sentfin_test(public) if public else ([], [])
        self._labels = np.array([target.label for text in self._texts for target in text.targets], dtype=np.int64)
        self._groups = [text.group for text in self._texts for _ in text.targets]

    def of_model(self, model: Model, reader: str, seed: int | None) -> list[Column]:
        """Return the columns of a model: with the exposure table and, for chipwire itself, without."""
        read = answers.read_gold(Reader(model, load_universe()), self.gold)
        asked = self._texts and model.card.reads("en")
        entities = answers.entity_probabilities(model, self._texts) if asked else None
        columns = [
            column(reader, self._measured(answers.answers_of(read, self.gold), entities), self.data, model, seed)
        ]
        if reader == READER:
            direct = answers.answers_of(read, self.gold, ("direct",))
            columns.append(column(NO_EXPOSURE, self._measured(direct, entities), self.data, model, seed))
        return columns

    def of_baselines(self) -> list[Column]:
        """Return the columns that need no model: VADER, where installed, and the majority."""
        columns = []
        if compound := answers.vader():
            texts = [text.text for text in self._texts for _ in text.targets]
            entities = answers.lexicon_probabilities(texts, compound) if texts else None
            found = self._measured(answers.lexicon_answers(self.gold, compound), entities)
            columns.append(column(VADER, found, self.data))
        labels = [row.label for row in self._public_train]
        shares = np.array([labels.count(label) for label in range(3)], dtype=float) / max(1, len(labels))
        entities = np.tile(shares, (len(self._labels), 1)) if self._texts else None
        found = self._measured(answers.majority_answers(self.gold, self._train), entities)
        return [*columns, column(MAJORITY, found, self.data)]

    def _measured(self, said: Answers, entities: Floats | None) -> dict[str, Measured]:
        found = measured(self.gold, said)
        if entities is not None and (accuracy := entity_accuracy(entities, self._labels, self._groups)):
            found["sentfin"] = accuracy
        return found


def seed_of(folder: Path | None) -> int | None:
    """Return the seed that a model's ``model.json`` states, or None; None for the folder: the embedded one."""
    path = (folder or Path(str(resources.files("chipwire.signals.model")))) / "model.json"
    seed = json.loads(path.read_text("utf-8")).get("seed") if path.exists() else None
    return seed if isinstance(seed, int) else None


def recorded() -> list[Column]:
    """Return the columns recorded when the embedded model was trained; none where there are none."""
    file = resources.files("chipwire.signals.model").joinpath("seeds.json")
    found: list[Column] = json.loads(file.read_text("utf-8")) if file.is_file() else []
    return [one for one in found if "measures" in one]


def table(columns: Sequence[Column], seeds: Sequence[Column]) -> list[list[str]]:
    """Return the table as rows of cells, the head first.

    Parameters
    ----------
    columns : sequence of Column
        Measured now: one or more of chipwire, and baselines.
    seeds : sequence of Column
        Recorded columns of chipwire, shown as mean and spread; those measured now where there are several.
    """
    own = [one for one in columns if one["reader"] == READER]
    others = {one["reader"]: one for one in reversed(columns) if one["reader"] != READER}
    names = [name for name in BASELINES if name in others]
    shown = own if len(own) > 1 else list(seeds)
    head = ["measure", "target", READER, "95%", "reached", "rows", "covered", *names]
    rows = [[*head, *(["seeds: mean", "least..most"] if shown else [])]]
    for measure in MEASURES:
        if measure.key not in own[0]["measures"]:
            continue
        first = own[0]["measures"][measure.key]
        cells = [measure.label, _cell(measure.target), _cell(first["value"]), f"{first['low']:.3f}-{first['high']:.3f}",
                 _reached(measure, first["value"]), f"{first['rows']:,}", f"{first['coverage']:.0%}"]  # fmt: skip
        cells += [_cell(others[name]["measures"].get(measure.key, {}).get("value")) for name in names]
        rows.append([*cells, *(_spread(measure, shown) if shown else [])])
    return rows


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _reached(measure: Measure, value: float) -> str:
    return "" if measure.target is None else "yes" if value >= measure.target else "no"


def _spread(measure: Measure, columns: Iterable[Column]) -> list[str]:
    values = [one["measures"][measure.key]["value"] for one in columns if measure.key in one["measures"]]
    return [f"{statistics.fmean(values):.3f}", f"{min(values):.3f}..{max(values):.3f}"] if values else ["", ""]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines, the first column to the left, all others to the right."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def notes(columns: Sequence[Column], seeds: Sequence[Column], data: str) -> list[str]:
    """Return what the reader of the table has to know of its columns."""
    own = [one for one in columns if one["reader"] == READER]
    told = [f"Test split of data {data}. 95%: bootstrap over event groups. Not answered counts as wrong."]
    if len(own) > 1:
        told.append(f"{READER} is {own[0]['model']} with seed {own[0]['seed']}; mean and spread are over {len(own)}.")
    elif seeds:
        same = sorted({one["data"] for one in seeds})
        then = "the same data" if same == [data] else f"other data ({', '.join(same)})"
        told.append(f"Mean and spread over seeds {', '.join(str(one['seed']) for one in seeds)} were recorded at "
                    f"training, on {then}.")  # fmt: skip
    return told


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        _evaluate(given)
    except (ChipwireError, OSError) as error:
        _say(f"error: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m chipwire.signals.evaluate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--models", type=Path, nargs="+", metavar="DIR", default=[None], help="the seeds of a model")
    parser.add_argument("--public", type=Path, metavar="FOLDER", help="holds sentfin.csv")
    parser.add_argument("--baseline", metavar="DIR", help="the encoder trained without our own headlines")
    parser.add_argument("--speed", action="store_true", help="also beside the default pipeline of transformers")
    parser.add_argument(
        "--float32", type=Path, metavar="DIR", help="the training's --out folder: compare signs with its float32 graphs"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as a list of objects")
    return parser


def _evaluate(given: argparse.Namespace) -> None:
    if given.public and not (given.public / "sentfin.csv").is_file():
        raise UnreadableInput(str(given.public), "has no sentfin.csv; --public names the folder that holds it")
    models = [(folder, load_model(str(folder) if folder else None)) for folder in given.models]
    baseline = load_model(given.baseline) if given.baseline else None
    float32 = speed.load_float32(given.float32) if given.float32 else None
    evaluation = Evaluation(given.public)
    columns: list[Column] = []
    for folder, model in models:
        columns += evaluation.of_model(model, READER, seed_of(folder))
    kept = recorded() if given.models == [None] else []
    if baseline:
        columns += evaluation.of_model(baseline, NO_DOMAIN, None)
    else:
        columns += [one for one in kept if one["reader"] == NO_DOMAIN]
    columns += evaluation.of_baselines()
    if VADER not in {one["reader"] for one in columns}:
        _say("VADER is not installed and left out: pip install '.[train]' in the repository")
    folder, model = models[0]
    extra: dict[str, Any] = {}
    if float32:
        texts = own_texts(evaluation.gold.rows)
        items = [Item(text.text, text.language, tuple(t.spans for t in text.targets)) for text in texts if text.targets]
        extra["float32"] = speed.precision_agreement(model, float32, items)
    if given.speed:
        _say(f"timing {speed.HEADLINES:,} headlines {speed.RUNS} times; leave the machine alone for some minutes")
        texts_read = speed.speed_texts(evaluation.gold.rows)
        extra["speed"] = speed.measure_speed(Reader(model, load_universe()), texts_read, folder).as_object()
    seeds = [one for one in kept if one["reader"] == READER]
    _print(given, columns, seeds, extra, evaluation.data)


def _print(given: argparse.Namespace, columns: list[Column], seeds: list[Column], extra: dict[str, Any], data: str
           ) -> None:  # fmt: skip
    if given.json:
        found = [*columns, *({"reader": READER, name: value} for name, value in extra.items())]
        sys.stdout.write(json.dumps(found, indent=1, allow_nan=False) + "\n")
        return
    sys.stdout.write(aligned(table(columns, seeds)) + "\n")
    for line in [*notes(columns, seeds, data), *_extra_lines(extra)]:
        sys.stdout.write(line + "\n")


def _extra_lines(extra: Mapping[str, Any]) -> list[str]:
    lines = []
    if "float32" in extra:
        found = extra["float32"]
        lines.append(f"int8 has the sign of float32 on {found['agreement']:.2%} of {found['targets']:,} targets "
                     "(promised: 98.5%)")  # fmt: skip
    if "speed" in extra:
        found = extra["speed"]
        beside = "torch is not installed: no pipeline to compare with"
        if found["pipeline"] is not None:
            beside = (f"transformers.pipeline, defaults, an encoder of the same shape with random weights: "
                      f"{found['pipeline']:,.0f}/s; ratio {found['ratio']:.1f} (promised: 8)")  # fmt: skip
        lines.append(f"{found['chipwire']:,.0f} headlines/s read in full ({found['headlines']:,} distinct, "
                     f"{found['threads']} threads, median of {found['runs']}, in turns); {beside}")  # fmt: skip
    return lines


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
