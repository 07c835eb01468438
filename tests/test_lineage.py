"""What became of each headline: a world in which every fate is known by how it was built, in both engines."""

from __future__ import annotations

import json
from collections import Counter

import engine_worlds as worlds
import pandas as pd
import pytest

from chipwire.data.errors import UnknownName
from chipwire.reports.collect import run_info
from chipwire.reports.lineage import FATES, by_headline, counts, fates, load_run_data, rules_of
from chipwire.reports.lineage_answers import find_fill, find_headlines, why_fill, why_headline
from chipwire.reports.lineage_text import fill_text, headline_text
from chipwire.strategies.registry import make_strategy

warehouse, world = worlds.warehouse, worlds.world

START, END = "2024-03-04", "2024-03-22"
KNOWN = "2024-03-06T00:00:00"  # after New York's decision of the 5th, before Shanghai's of the 6th
PARAMS = {"places": 20, "themes": "sanctions", "hold": 3}
PRICES = {"NVDA": 100.0, "AVGO": 100.0, "QCOM": 100.0, "MU": 50.0, "AMAT": 100.0, "KLAC": 100.0, "LRCX": 100.0}
UNDATED, FRENCH, RAIN, UNLINKED, UNREAD, UNBUILT = "undated", "french", "rain", "unlinked", "unread", "unbuilt"

# By headline: issuer, value and what else is not as in `worlds.World.signals`; then what must become of it.
BUILT = {
    "bought": (("NVIDIA", 0.9, {}), "filled"),
    "halted": (("AMD", 0.9, {}), "not_filled"),
    "at-limit": (("SMIC", 0.9, {}), "not_filled"),
    "under-a-lot": (("HYGON", 0.9, {}), "not_filled"),
    "no-money": (("INTEL", 0.9, {"at": "2024-03-12T00:00:00"}), "not_filled"),
    "faint": (("AVGO", 0.3, {}), "below_threshold"),
    "retold": (("AMAT", 0.9, {"novelty": 0.25}), "low_novelty"),
    "elsewhere": (("KLAC", 0.9, {"theme": "none"}), "other_theme"),
    "bad-news": (("QCOM", -0.9, {}), "not_chosen"),
    "no-side": (("LRCX", 0.0, {}), "neutral"),
    "private": (("HUAWEI", 0.9, {}), "no_instrument"),
    "old": (("LRCX", 0.9, {"at": "2024-03-01T12:00:00"}), "before_run"),
    "late": (("NVIDIA", 0.9, {"at": "2024-03-22T21:00:00"}), "too_late"),
    "again": (("NVIDIA", 0.9, {"at": "2024-03-06T20:00:00"}), "no_change"),
    **{f"micron-{n}": (("MICRON", 0.9 - n / 100, {}), "filled" if n < 5 else "outweighed") for n in range(6)},
}
ABSTAINED = {FRENCH: "language fr", RAIN: "names no issuer and is not about chips"}
REASONS = {"halted": "suspended", "at-limit": "limit_up", "under-a-lot": "lot", "no-money": "cash"}
OTHERS = {
    UNDATED: "no_date", FRENCH: "abstained", RAIN: "no_issuer", UNLINKED: "not_linked", UNREAD: "not_read",
    UNBUILT: "no_signal",
}  # fmt: skip


def fill_in(world):
    """Build the world of `BUILT` and `OTHERS`."""
    world.fx("CNY", dict.fromkeys(pd.date_range("2024-01-01", END).strftime("%Y-%m-%d"), 7.0)).model()
    for symbol, price in PRICES.items():
        world.flat(symbol, "2024-02-01", END, price)
    world.flat("AMD", "2024-02-01", END, 100.0, volume={"2024-03-06": 0.0})
    for symbol, price, jump, day in (("688981.SS", 100.0, 120.0, "2024-03-06"), ("INTC", 100.0, 2e6, "2024-03-12")):
        bars = dict.fromkeys(world.sessions(symbol, "2024-02-01", END), price)
        world.bars(symbol, bars | {day: (jump, jump if symbol != "INTC" else price)})
    world.flat("688041.SS", "2024-02-01", END, 10_000.0)
    rows = [
        {"issuer": issuer, "value": value, "headline": name, "at": KNOWN, **more}
        for name, ((issuer, value, more), _) in BUILT.items()
    ]
    world.signals(rows)
    world.signal("NVIDIA", None, 0.9, UNDATED)
    insert = world.warehouse.insert
    at = pd.Timestamp(KNOWN)
    names = [FRENCH, RAIN, UNLINKED, UNREAD, UNBUILT]
    insert("headline", pd.DataFrame({"headline_id": names, "title": names, "language": "en", "published_at": at,
                                     "available_at": at, "batch_id": 1}))  # fmt: skip
    insert("linked", pd.DataFrame({"headline_id": [FRENCH, RAIN, UNREAD, UNBUILT], "linker": worlds.LINKER}))
    insert("reading", pd.DataFrame({
        "headline_id": [FRENCH, RAIN, UNBUILT], "model_id": worlds.MODEL, "batch_id": 1,
        "abstained": [*ABSTAINED.values(), None],
    }))  # fmt: skip
    insert("score", pd.DataFrame({
        "headline_id": [UNBUILT], "issuer": "NVIDIA", "model_id": worlds.MODEL, "via": "exposure", "p_negative": 0.1,
        "p_neutral": 0.1, "p_positive": 0.8, "p_relevant": 1.0, "reason": "moved", "batch_id": 1,
    }))  # fmt: skip
    return world


def made(world, engine="columnar", strategy=None, params=PARAMS, **changes):
    """Run event drift (or another) and return the run with its data."""
    given = worlds.settings(START, END, **{"band": 0.02, **changes})
    done = world.run(make_strategy(strategy or "event-drift", params), given, engine=engine)
    return load_run_data(world.warehouse, worlds.UNIVERSE, run_info(world.warehouse, done.run_id))


@pytest.mark.parametrize("engine", ["columnar", "backtrader"])
def test_every_headline_meets_the_fate_that_it_was_built_for(world, engine) -> None:
    data = made(fill_in(world), engine)
    found = fates(world.warehouse, data)
    best = by_headline(found).set_index("headline_id")
    assert best["fate"].to_dict() == {name: fate for name, (_, fate) in BUILT.items()} | OTHERS
    assert best["reason"].dropna().to_dict() == REASONS | ABSTAINED
    bought = best.loc["bought"]
    # 1/20 of 1,000,000 at 100: 500 shares, at the open of New York on the 6th, 14.5 hours after midnight.
    assert (bought["instrument"], bought["first_shares"], bought["first_price"]) == ("NVDA", 500, 100.0)
    assert bought["first_decision_at"] == pd.Timestamp("2024-03-06 14:25")
    assert bought["days_to_fill"] == pytest.approx(14.5 / 24)
    assert (bought["fills"], best.loc["at-limit", "wanted"], best.loc["at-limit", "filled"]) == (2, 3500, 0)
    sizes = Counter([fate for _, fate in BUILT.values()] + list(OTHERS.values()))
    told = Counter()
    for row in counts(found):
        told[row["fate"]] += row["headlines"]
        assert row["meaning"] == FATES[row["fate"]]
    assert told == sizes


def test_a_strategy_that_reads_no_news_and_one_that_is_not_known(world) -> None:
    fill_in(world)
    data = made(world, strategy="buy-and-hold", params={})
    found = fates(world.warehouse, data)
    assert set(found["fate"]) == {"no_reader", "no_date"}
    assert len(found) == found["headline_id"].nunique() == len(BUILT) + len(OTHERS)
    assert rules_of("somebody-elses", {"threshold": 9.0}).threshold is None


def test_latency_moves_what_was_known(world) -> None:
    fill_in(world)
    data = made(world, latency_minutes=15 * 60.0)  # midnight becomes 15:00 UTC, after the decision of the 6th
    best = by_headline(fates(world.warehouse, data)).set_index("headline_id")
    assert best.loc["bought", "first_decision_at"] == pd.Timestamp("2024-03-07 14:25")
    assert best.loc["bought", "available_at"] == pd.Timestamp("2024-03-06 15:00")
    assert best.loc["halted", "fate"] == "filled"  # it traded again on the 7th


def test_a_headline_from_before_any_lookback_or_after_the_end_is_no_headline_of_the_run(world) -> None:
    fill_in(world)
    world.signals([
        {"issuer": "NVIDIA", "value": 0.9, "headline": "ancient", "at": "2023-02-01T00:00:00"},
        {"issuer": "NVIDIA", "value": 0.9, "headline": "future", "at": "2024-05-01T00:00:00"},
    ])  # fmt: skip
    data = made(world)
    assert not {"ancient", "future"} & set(fates(world.warehouse, data)["headline_id"])
    assert set(fates(world.warehouse, data, "ancient")["fate"]) == {"too_early"}
    assert set(fates(world.warehouse, data, "future")["fate"]) == {"too_late"}


# --- why -------------------------------------------------------------------------------------------------


def test_a_fill_leads_to_its_headline_with_all_times(world) -> None:
    data = made(fill_in(world))
    fills = world.warehouse.rows("SELECT fill_no FROM fill WHERE instrument = 'NVDA' ORDER BY fill_no")
    first, last = fills[0][0], fills[-1][0]
    found = why_fill(world.warehouse, worlds.UNIVERSE, data.run, first)
    (cause,) = found["causes"]
    assert (cause["headline_id"], cause["relation"], cause["p_positive"]) == ("bought", "own", 0.9)
    assert cause["available_at"] == {
        "utc": "2024-03-06T00:00:00Z", "local": "2024-03-05T19:00:00-05:00", "zone": "America/New_York",
    }  # fmt: skip
    assert found["filled"]["local"] == "2024-03-06T09:30:00-05:00"
    assert cause["days_to_fill"] == pytest.approx(14.5 / 24)
    assert (found["fill"]["held_before"], found["fill"]["held_after"], found["opened_by"]) == (0, 500, None)
    sold = why_fill(world.warehouse, worlds.UNIVERSE, data.run, last)
    assert (sold["fill"]["held_after"], sold["opened_by"], sold["causes"][0]["relation"]) == (0, first, "opened")
    text = "\n".join(fill_text(sold))
    assert f"opened by fill {first}" in text
    assert "sold 500 shares" in text


@pytest.mark.parametrize("engine", ["columnar", "backtrader"])
def test_a_replay_tells_when_a_headline_was_read(world, engine) -> None:
    data = made(fill_in(world), engine, "theme-momentum", {"top_k": 2, "lookback": 3.0})
    found = why_headline(world.warehouse, data, "micron-5")
    (row,) = found["rows"]
    # Three days from Wednesday's midnight: the decisions of the 6th, 7th and 8th.
    assert row["read"]["decisions"] == 3
    assert row["read"]["last"]["utc"] == "2024-03-08T14:25:00Z"
    # Of six headlines 0.9 to 0.85, and half a day and more of a half-life of 5 days.
    decay = 2 ** (-(14 + 25 / 60) / 24 / 5)
    assert row["read"]["total"] == pytest.approx(sum(0.9 - n / 100 for n in range(6)) * decay)
    assert row["read"]["strength"] == pytest.approx(0.85 * decay)
    assert (row["read"]["rank"], found["notes"]) == (1, [])
    faint = why_headline(world.warehouse, data, "faint")
    assert faint["fate"] == "not_chosen"
    assert faint["rows"][0]["read"]["targets"] == 0
    assert "and never wanted AVGO" in "\n".join(headline_text(faint))


def test_what_is_known_without_a_decision_needs_no_replay(world) -> None:
    data = made(fill_in(world))
    for name, fate in OTHERS.items():
        found = why_headline(world.warehouse, data, name)
        assert (found["fate"], found["notes"]) == (fate, [])
        assert all(row["read"] is None for row in found["rows"])
        assert FATES[fate] in "\n".join(headline_text(found))


def test_an_order_that_was_filled_later_is_followed_both_ways(world) -> None:
    data = made(fill_in(world))
    row = why_headline(world.warehouse, data, "halted")["rows"][0]
    later = row["filled_later"]
    assert later["auction_at"]["utc"] == "2024-03-07T14:30:00Z"
    found = why_fill(world.warehouse, worlds.UNIVERSE, data.run, later["fill_no"])
    since = found["wanted_since"]
    assert since["decision_at"]["utc"] == "2024-03-06T14:25:00Z"
    assert [(order["wanted"], order["filled"], order["reason"]) for order in since["not_filled"]] == [
        (500, 0, "suspended")
    ]
    assert "suspended" in "\n".join(fill_text(found))
    # The limit held for one session too; a sale is no later part of a wish to buy.
    assert why_headline(world.warehouse, data, "under-a-lot")["rows"][0]["filled_later"] is None


def test_changed_data_is_said(world) -> None:
    data = made(fill_in(world))
    world.warehouse.run("UPDATE bar SET open = 101 WHERE instrument = 'NVDA' AND session = '2024-03-07'")
    later = load_run_data(world.warehouse, worlds.UNIVERSE, data.run)
    notes = why_headline(world.warehouse, later, "bought")["notes"]
    assert any("the data has changed since the run" in note for note in notes)


def test_a_run_whose_strategy_is_gone_is_answered_as_far_as_it_can(world) -> None:
    fill_in(world)
    given = worlds.settings(START, END)
    done = world.run(worlds.Reader(lambda view: {"NVDA": 0.1} if "NVDA" in view.instruments else {}), given)
    data = load_run_data(world.warehouse, worlds.UNIVERSE, run_info(world.warehouse, done.run_id))
    found = why_headline(world.warehouse, data, "bought")
    assert found["rows"][0]["read"] is None
    assert any("--strategy FILE.py:CLASS" in note for note in found["notes"])


def test_fills_and_headlines_are_found_by_what_a_user_types(world) -> None:
    data = made(fill_in(world))
    run_id = data.run.run_id
    assert find_fill(world.warehouse, run_id, "1") == find_fill(world.warehouse, run_id, "#1") == 1
    assert find_fill(world.warehouse, run_id, "bought") is None
    assert find_fill(world.warehouse, run_id, "99999") is None
    with pytest.raises(UnknownName, match="the run has fills 1 to"):
        find_fill(world.warehouse, run_id, "#99999")
    assert [row["headline_id"] for row in find_headlines(world.warehouse, "BOUG")] == ["bought"]
    assert len(find_headlines(world.warehouse, "micron-")) == 6
    assert [row["headline_id"] for row in find_headlines(world.warehouse, "micron-3")] == ["micron-3"]
    with pytest.raises(UnknownName, match="part of its title"):
        find_headlines(world.warehouse, "no such words")
    # A per cent sign is a character of a title and no pattern.
    with pytest.raises(UnknownName):
        find_headlines(world.warehouse, "%")


def test_answers_are_json(world) -> None:
    from chipwire.reports.values import plain

    data = made(fill_in(world))
    for found in (why_fill(world.warehouse, worlds.UNIVERSE, data.run, 1),
                  why_headline(world.warehouse, data, "under-a-lot")):  # fmt: skip
        assert json.loads(json.dumps(plain(found), allow_nan=False)) == plain(found)
