"""The card of the shipped model quotes the figures that were measured."""

from __future__ import annotations

import json
from importlib import resources

FOLDER = resources.files("chipwire.signals.model")


def test_the_card_quotes_the_measured_figures() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text("utf-8")
    facts = json.loads((FOLDER / "model.json").read_text("utf-8"))
    assert facts["training_cutoff"] in card
    for language in facts["languages"]:
        for what in (f"own rows, {language}: train", f"frames, {language}", f"headlines, {language}"):
            assert f"{facts['counts'][what]:,}" in card, what


def test_the_licences_of_the_data_are_told() -> None:
    licences = (FOLDER / "LICENSES.md").read_text("utf-8")
    facts = json.loads((FOLDER / "model.json").read_text("utf-8"))
    assert "Apache" in licences
    for data in facts["public_data"]:
        assert data["title"] in licences
