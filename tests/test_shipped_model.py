"""The card of the shipped models quotes the figures that were measured."""

from __future__ import annotations

import json
from importlib import resources

FOLDER = resources.files("chipwire.signals.model")


def test_the_card_quotes_the_measured_figures() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text("utf-8")
    for language in ("en", "zh"):
        facts = json.loads((FOLDER / language / "model.json").read_text("utf-8"))
        assert facts["training_cutoff"] in card
        assert f"{facts['counts']['own rows: train']:,}" in card


def test_the_licences_of_the_data_are_told() -> None:
    licences = (FOLDER / "LICENSES.md").read_text("utf-8")
    facts = json.loads((FOLDER / "en" / "model.json").read_text("utf-8"))
    assert "Apache" in licences
    for data in facts["public_data"]:
        assert data["title"] in licences
