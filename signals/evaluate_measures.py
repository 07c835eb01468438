"""What is measured on the test split, as pure functions of labels and answers; no model and no file is touched here.

Rows are (headline, issuer). A row that got no answer is wrong wherever a sign or a label was due, so that a reader
cannot gain by keeping silent; how many rows were answered stands beside each figure as its coverage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chipwire.signals.themes import THEMES
from chipwire.signals.train_data import LABELS
from chipwire.signals.train_domain import EVENTS, Row
from chipwire.signals.train_eval import (
    Figure,
    Floats,
    accuracy,
    binary_f1,
    binary_parts,
    bootstrap,
    calibration_error,
    calibration_parts,
    confusion_parts,
    macro_f1,
    of_matrix,
    share,
    share_parts,
    sign_right,
)  # fmt: skip

Bools = NDArray[np.bool_]
NEUTRAL: Final = LABELS.index("neutral")


@dataclass(frozen=True)
class Measure:
    """One line of the table; `target` is what must be reached, None where nothing is promised."""

    key: str
    label: str
    target: float | None


MEASURES: Final = (
    Measure("sign_named", "sign, issuer named", 0.90),
    Measure("sign_unnamed", "sign, issuer not named", 0.85),
    Measure("sign_flip", "sign, issuers with both signs in a group", 0.85),
    Measure("sign_opposite", "sign, headlines that move two issuers apart", 0.85),
    Measure("sign_zh_named", "sign, Chinese, named", 0.85),
    Measure("sign_zh_unnamed", "sign, Chinese, not named", 0.85),
    Measure("labels_named", "negative, neutral or positive, named", None),
    Measure("left_alone", "neutral and not named: left alone", None),
    Measure("relevance", "relevance, named", None),
    Measure("themes", "themes, macro-F1", 0.90),
    Measure("events", "events, macro-F1", 0.80),
    Measure("events_accuracy", "events, accuracy", None),
    Measure("lookalikes_heldout", "look-alikes linked to nothing, held out", 0.98),
    Measure("lookalikes_validation", "look-alikes linked to nothing, thresholds chosen on", None),
    Measure("lookalikes", "look-alikes linked to nothing, known to rules and model", 0.98),
    Measure("calibration", "expected calibration error, named (less is better)", None),
    Measure("sentfin", "SEntFiN held-out headlines, entity accuracy", 0.88),
)


@dataclass(frozen=True)
class Gold:
    """The labels of the rows, and of the headlines in the order in which they first occur.

    Attributes
    ----------
    rows : tuple of Row
        All rows measured.
    lookalikes : dict of str to tuple of str
        Headlines that name nobody, by the key of their measure.
    """

    rows: tuple[Row, ...]
    lookalikes: dict[str, tuple[str, ...]]

    @property
    def headlines(self) -> tuple[Row, ...]:
        """The first row of each headline."""
        return tuple({row.headline: row for row in reversed(self.rows)}[text] for text in self.texts)

    @property
    def texts(self) -> tuple[str, ...]:
        """The distinct headlines."""
        return tuple(dict.fromkeys(row.headline for row in self.rows))


@dataclass(frozen=True)
class Answers:
    """What a reader said; None where it has no word on the matter.

    Attributes
    ----------
    probabilities : ndarray of shape (rows, 3)
        NaN where it gave the row no reading.
    graded : bool
        Whether they are probabilities, which can be calibrated, and not only a verdict.
    relevance : ndarray of shape (rows,), or None
        NaN where it gave the row no reading.
    themes : ndarray of shape (headlines, 3), or None
        P of each theme, 0 where the headline was not read.
    events : ndarray of shape (headlines,), or None
        Index into `EVENTS`; that of ``none`` where the headline was not read.
    linked : dict of str to ndarray of bool, or None
        For the look-alikes, by the key of their measure: whether it linked them to any issuer.
    """

    probabilities: Floats
    graded: bool = True
    relevance: Floats | None = None
    themes: Floats | None = None
    events: NDArray[np.int64] | None = None
    linked: dict[str, Bools] | None = None


@dataclass(frozen=True)
class Measured:
    """A figure and the share of its rows that got an answer."""

    figure: Figure
    coverage: float


def measured(gold: Gold, answers: Answers) -> dict[str, Measured]:
    """Return all measures for which there are rows and answers, by key."""
    labels = np.array([LABELS.index(row.label) for row in gold.rows])
    groups = [row.group for row in gold.rows]
    answered = np.isfinite(answers.probabilities[:, 0])
    found: dict[str, Measured] = {}

    def add(key: str, chosen: Bools, parts: Floats, statistic: Callable[[Floats], float] = share) -> None:
        where = np.flatnonzero(chosen)
        figure = bootstrap(parts[where], [groups[at] for at in where], statistic)
        if figure is not None:
            found[key] = Measured(figure, round(float(answered[where].mean()), 4))

    right = share_parts(sign_right(answers.probabilities, labels))
    for key, chosen in sign_rows(gold.rows).items():
        add(key, chosen, right)
    named = np.array([row.via == "direct" for row in gold.rows])
    known = np.nan_to_num(answers.probabilities)
    said = np.where(answered, known.argmax(axis=1), -1)
    add("labels_named", named, share_parts(said == labels))
    add("left_alone", ~named & (labels == NEUTRAL), share_parts(~answered | (said == NEUTRAL)))
    if answers.relevance is not None:
        high = np.array([row.relevance == "high" for row in gold.rows])
        add("relevance", named, share_parts(answered & ((np.nan_to_num(answers.relevance) >= 0.5) == high)))
    if answers.graded:
        add("calibration", named & answered, calibration_parts(known, labels), calibration_error)
    return {**found, **_of_headlines(gold, answers), **_of_lookalikes(answers)}


def sign_rows(rows: Sequence[Row]) -> dict[str, Bools]:
    """Return which rows each measure of signs stands on: all have a sign.

    ``sign_flip``: rows of an issuer that occurs with both signs in the row's group. ``sign_opposite``: rows of a
    headline that is good for one issuer and bad for another.
    """
    signed = np.array([row.label != "neutral" for row in rows])
    named = np.array([row.via == "direct" for row in rows])
    chinese = np.array([row.language == "zh" for row in rows])
    return {
        "sign_named": signed & named,
        "sign_unnamed": signed & ~named,
        "sign_flip": signed & _both_signs(rows, [(row.group, row.issuer) for row in rows]),
        "sign_opposite": signed & _both_signs(rows, [row.headline for row in rows]),
        "sign_zh_named": signed & named & chinese,
        "sign_zh_unnamed": signed & ~named & chinese,
    }


def _both_signs(rows: Sequence[Row], keys: Sequence[object]) -> Bools:
    met: dict[object, set[str]] = {}
    for row, key in zip(rows, keys, strict=True):
        met.setdefault(key, set()).add(row.label)
    return np.array([{"negative", "positive"} <= met[key] for key in keys])


def _of_headlines(gold: Gold, answers: Answers) -> dict[str, Measured]:
    rows = gold.headlines
    groups = [row.group for row in rows]
    figures: dict[str, Figure | None] = {}
    if answers.themes is not None:
        truth = np.array([[theme in row.themes for theme in THEMES] for row in rows])
        figures["themes"] = bootstrap(binary_parts(answers.themes >= 0.5, truth), groups, binary_f1)
    if answers.events is not None:
        parts = confusion_parts(answers.events, np.array([EVENTS.index(row.event) for row in rows]), len(EVENTS))
        figures["events"] = bootstrap(parts, groups, of_matrix(macro_f1))
        figures["events_accuracy"] = bootstrap(parts, groups, of_matrix(accuracy))
    return {key: Measured(figure, 1.0) for key, figure in figures.items() if figure is not None}


def _of_lookalikes(answers: Answers) -> dict[str, Measured]:
    found = {}
    for key, linked in (answers.linked or {}).items():
        figure = bootstrap(share_parts(~linked), [str(number) for number in range(len(linked))], share)
        if figure is not None:
            found[key] = Measured(figure, 1.0)
    return found


def entity_accuracy(probabilities: Floats, labels: NDArray[np.int64], groups: Sequence[str]) -> Measured | None:
    """Return the share of (headline, entity) rows whose likeliest label is right; None when there are no rows.

    Parameters
    ----------
    probabilities : ndarray of shape (rows, 3)
        No NaN.
    groups : sequence of str
        Headline of each row.
    """
    figure = bootstrap(share_parts(probabilities.argmax(axis=1) == labels), groups, share)
    return None if figure is None else Measured(figure, 1.0)
