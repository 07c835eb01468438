"""The page of a sweep without a browser: what the best of many is worth, the axes of the plane, hostile values."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd

from chipwire.data.warehouse import Warehouse
from chipwire.reports.sweep_page import BINS, axis, render_sweep

SWEEP = "0123456789ab"


def _page(tmp_path, axes, rows, *, strategy="mine<i>", **changes):
    """Return the page of a sweep whose rows have these parameters, and a Sharpe ratio of 0.1, 0.2, ..."""
    count = len(rows)
    listed = [{"name": n, "of": "params", "drawn": False, "text": "", "values": v} for n, v in axes.items()]
    row = {
        "sweep_id": SWEEP, "row_no": range(1, count + 1), "trial_id": [str(n) for n in range(count)],
        "params": [json.dumps(row) for row in rows], "settings": "{}", "data_fingerprint": "f", "model_id": "m",
        "days": 252, "sharpe": [0.1 * n for n in range(1, count + 1)], "batch_id": 1,
    } | changes  # fmt: skip
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:
        sweep = {
            "sweep_id": [SWEEP], "sweep_no": 1, "strategy": strategy, "reference": "mine.py:Mine<i>",
            "axes": json.dumps(listed), "draws": 0, "seed": 0, "configurations": count + 2, "code_version": "0",
            "warnings": json.dumps(["<img src=x> was seen"]),
        }  # fmt: skip
        warehouse.insert("sweep", pd.DataFrame(sweep))
        warehouse.insert("sweep_row", pd.DataFrame(row))
        text = render_sweep(warehouse, "latest", sort="sharpe", words=["chipwire"])
    return text, json.loads(re.search(r'id="data">(.*?)</script>', text)[1])


def test_few_numbers_stand_for_themselves():
    found = axis("hold", [10, 2, 5, 2])
    assert found == {"name": "hold", "names": ["2", "5", "10"], "places": [2, 0, 1, 0]}
    assert axis("x", [0.1, 0.30000000000000004])["names"] == ["0.1", "0.3"]


def test_words_are_in_order_and_nothing_is_called_none():
    assert axis("fill", ["open", "close", True, None]) == {
        "name": "fill", "names": ["True", "close", "none", "open"], "places": [3, 1, 0, 2],
    }  # fmt: skip


def test_many_numbers_are_put_into_bins_of_as_many_rows():
    values = [float(10 ** (-4 + n / 100)) for n in range(360)]
    found = axis("alpha", values)
    assert len(found["names"]) == BINS
    assert np.bincount(found["places"]).tolist() == [360 // BINS] * BINS
    for value, place in zip(values, found["places"], strict=True):
        low, high = map(float, found["names"][place].split(" to "))
        assert low * 0.99 <= value <= high * 1.01  # the names have three digits


def test_the_best_come_first_and_what_is_missing_is_told(tmp_path):
    rows = [{"hold": 1}, {"hold": 2}, {"hold": 3}]
    errors = {"error": [None, None, "<b>broke</b>"], "sharpe": [0.1, 0.3, None]}
    text, data = _page(tmp_path, {"hold": 3}, rows, **errors)
    columns = {column["key"]: column["values"] for column in data["tables"]["rows"]["columns"]}
    assert columns["row"] == [2, 1, 3]
    assert columns["sharpe"] == [0.3, 0.1, None]
    assert [data["words"][place] for place in columns["error"]] == ["", "", "<b>broke</b>"]
    assert "<b>broke" not in text
    assert "2 of 5 configurations are still to run." in text
    assert "the best Sharpe ratio is 0.30 (row 2), the median 0.20, and 100% are above zero" in text
    assert data["plane"]["axes"] == [{"name": "hold", "names": ["1", "2", "3"], "places": [1, 0, 2]}]


def test_a_hyphen_is_no_minus_and_a_negative_number_has_one(tmp_path):
    text, _ = _page(tmp_path, {"hold": 2}, [{"hold": 1}, {"hold": 2}], sharpe=[-0.5, -0.25], strategy="mine-too")
    assert "The best by Sharpe ratio (row 2) has \N{MINUS SIGN}0.25, and the best of the 2 tried" in text
    assert "2 configurations of mine-too were tried so far" in text


def test_nothing_varied_means_no_plane(tmp_path):
    text, data = _page(tmp_path, {"hold": 1}, [{"hold": 1}])
    assert data["plane"]["axes"] == []
    assert 'id="plane"' not in text
    assert "1 configuration of mine" in text


def test_hostile_values_stay_text(tmp_path):
    evil = "</script><script>alert(1)</script>"
    text, data = _page(tmp_path, {"words": 2}, [{"words": evil}, {"words": '"><img src=x onerror=1>'}])
    assert evil in data["plane"]["axes"][0]["names"]
    assert text.count("<script") == 2  # the data and the page's own
    assert not re.search(r"<(img|i|b)\b", text)
