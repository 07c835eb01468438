"""What a run trades in: bars on their sessions, FX by availability, actions, and one clear line for each refusal."""

import json
from dataclasses import replace

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.data.errors import BadParameter, DomainError, NothingToDo, UnknownName
from chipwire.engine.market import Action, load_market
from chipwire.engine.settings import stored_settings

warehouse, world, settings = worlds.warehouse, worlds.world, worlds.settings


def at(text):
    return np.datetime64(text, "us")


def test_bars_lie_on_their_sessions_and_gaps_are_nan(world):
    world.bars("NVDA", {"2024-01-02": (10.0, 11.0), "2024-01-04": (12.0, 13.0)})
    world.bars("AMD", {"2024-01-03": (20.0, 21.0)})
    market = world.market(settings("2024-01-02", "2024-01-04"))
    (venue,) = market.venues
    assert market.symbols == ("AMD", "NVDA")
    assert venue.session[venue.first :].astype(str).tolist() == ["2024-01-02", "2024-01-03", "2024-01-04"]
    np.testing.assert_array_equal(venue.open[venue.first :, 1], [10.0, np.nan, 12.0])
    np.testing.assert_array_equal(venue.close[venue.first :, 0], [np.nan, 21.0, np.nan])


def test_history_before_the_start_is_there_for_strategies(world):
    world.flat("NVDA", "2023-06-01", "2024-01-05", 10.0)
    (venue,) = world.market(settings("2024-01-02", "2024-01-05")).venues
    assert venue.session[venue.first].astype(str) == "2024-01-02"
    assert not np.isnan(venue.close[venue.first - 1, 0])


def test_without_a_choice_all_shares_with_bars_are_taken_but_no_fund_and_no_index(world):
    for symbol in ("NVDA", "SPY", "SOX"):
        world.flat(symbol, "2024-01-02", "2024-01-05", 10.0)
    world.flat("AMD", "2023-01-03", "2023-01-05", 10.0)
    assert world.market(settings("2024-01-02", "2024-01-05")).symbols == ("NVDA",)
    chosen = settings("2024-01-02", "2024-01-05", instruments=("SPY", "NVDA", "SPY"))
    assert world.market(chosen).symbols == ("NVDA", "SPY")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"instruments": ("NVDIA",)}, UnknownName, "unknown instrument 'NVDIA'; did you mean 'NVDA'?"),
        ({"instruments": ("SOX",)}, DomainError, "instrument 'SOX' is an index and cannot be traded"),
        ({"instruments": ("AMD",)}, DomainError, "instrument 'AMD' has no daily bars from 2024-01-02 to 2024-01-05"),
        ({"currency": "CNY"}, DomainError, "FX rate"),
        ({"currency": "USX"}, DomainError, "USX"),
    ],
)
def test_what_cannot_be_traded_is_refused_in_one_line(world, changes, error, words):
    world.flat("NVDA", "2024-01-02", "2024-01-05", 10.0).flat("SOX", "2024-01-02", "2024-01-05", 10.0)
    with pytest.raises(error) as caught:
        world.market(settings("2024-01-02", "2024-01-05", **changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_span_and_a_span_of_funds_say_what_to_do(world):
    with pytest.raises(NothingToDo, match="no daily bars from 2024-01-02 to 2024-01-05; ingest some with"):
        world.market(settings("2024-01-02", "2024-01-05"))
    world.flat("SPY", "2024-01-02", "2024-01-05", 10.0)
    with pytest.raises(NothingToDo, match="only funds and indices .*--instruments"):
        world.market(settings("2024-01-02", "2024-01-05"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": worlds.day("2024-02-01")}, r"start='2024-02-01' is not allowed: .*end=2024-01-05"),
        ({"fill": "noon"}, "fill='noon' is not allowed: open or close"),
        ({"capital": 0.0}, "capital=0.0 is not allowed"),
        ({"currency": "usd"}, "currency='usd' is not allowed: an ISO code"),
        ({"capital": float("nan")}, "capital=nan is not allowed"),
        ({"band": 1.5}, "band"),
        ({"participation": 0.0}, "participation"),
        ({"latency_minutes": -1.0}, "latency_minutes"),
        ({"leverage": 0.0}, "leverage"),
        ({"fee_multiple": -0.1}, "fee_multiple"),
        ({"fee_multiple": float("nan")}, "fee_multiple"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    given = {"start": worlds.day("2024-01-02"), "end": worlds.day("2024-01-05")} | changes
    with pytest.raises(BadParameter, match=words):
        worlds.Settings(**given)


def test_a_venue_without_bars_in_the_span_is_named(world):
    world.flat("NVDA", "2024-01-02", "2024-02-20", 100.0).flat("688981.SS", "2024-01-02", "2024-02-08", 50.0)
    world.fx("CNY", {"2023-12-28": 7.0})
    market = world.market(settings("2024-02-09", "2024-02-16"))  # the holidays of Shanghai
    assert market.symbols == ("NVDA",)
    assert market.warnings == ("XSHG: there are no daily bars from 2024-02-09 to 2024-02-16; nothing trades there",)
    assert world.market(settings("2024-02-09", "2024-02-16", instruments=("NVDA",))).warnings == ()


def test_a_setting_that_earlier_runs_do_not_have_is_no_part_of_their_identity():
    plain = settings("2024-01-02", "2024-01-05")
    assert "fee_multiple" not in plain.as_json()
    assert settings("2024-01-02", "2024-01-05", fee_multiple=2.0).as_json() == plain.as_json() | {"fee_multiple": 2.0}
    assert stored_settings(json.dumps(plain.as_json())) == plain.as_json() | {"fee_multiple": 1.0}


def test_fx_is_known_by_its_availability_and_crosses_over_the_dollar(world):
    world.flat("688981.SS", "2024-01-02", "2024-01-10", 50.0).flat("0981.HK", "2024-01-02", "2024-01-10", 16.0)
    world.fx("CNY", {"2023-12-28": 7.0, "2024-01-04": 7.5}).fx("HKD", {"2023-12-28": 8.0})
    fx = world.market(settings("2024-01-02", "2024-01-10")).fx
    # The fixing of 4 January is known from the 5th at 00:00.
    assert fx.to_base("CNY", at("2024-01-04T23:59:59.999999")) == 1 / 7.0
    assert fx.to_base("CNY", at("2024-01-05")) == 1 / 7.5
    assert np.isnan(fx.to_base("CNY", at("2023-12-28T23:59")))
    assert fx.to_base("USD", at("2020-01-01")) == 1.0
    # Thursday's is the last one on the 3rd: those of Friday, Monday and Tuesday are missing.
    asked = np.array([at("2023-12-29T01:20"), at("2024-01-01T01:20"), at("2024-01-03T12:00"), at("2024-01-05T01:20")])
    assert fx.weekdays_missed("CNY", asked).tolist() == [0, 1, 3, 0]
    assert fx.weekdays_missed("USD", asked).tolist() == [0, 0, 0, 0]
    crossed = world.market(settings("2024-01-02", "2024-01-10", currency="HKD")).fx
    assert crossed.to_base("CNY", at("2024-01-05")) == pytest.approx(8.0 / 7.5)
    assert crossed.to_base("HKD", at("2020-01-01")) == 1.0


def test_fx_missing_at_the_start_is_refused(world):
    world.flat("688981.SS", "2024-01-02", "2024-01-10", 50.0)
    with pytest.raises(DomainError, match="there is no FX rate for CNY; ingest some with 'chipwire ingest fx PATH'"):
        world.market(settings("2024-01-02", "2024-01-10"))
    world.fx("CNY", {"2024-01-02": 7.0})
    with pytest.raises(DomainError, match="no FX rate from CNY to USD before 2024-01-02T01:20"):
        world.market(settings("2024-01-02", "2024-01-10"))
    assert world.market(settings("2024-01-03", "2024-01-10")).symbols == ("688981.SS",)
    assert world.market(settings("2024-01-02", "2024-01-10", currency="CNY")).symbols == ("688981.SS",)


def test_sessions_on_a_rate_from_before_the_last_weekday_are_counted(world):
    # Fixings of Monday 1 to Thursday 4 but for Wednesday; 6 and 7 are a weekend.
    world.flat("688981.SS", "2024-01-02", "2024-01-10", 50.0)
    world.fx("CNY", dict.fromkeys(("2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05", "2024-01-08"), 7.0))
    whole = world.market(settings("2024-01-02", "2024-01-09")).warnings
    said = "sessions use the last known CNY rate: the fixings of up to 1 weekday before them are missing"
    assert whole == (f"XSHG: 1 {said}",)  # Thursday's, on Tuesday's rate
    assert world.market(settings("2024-01-02", "2024-01-10")).warnings == (f"XSHG: 2 {said}",)
    assert world.market(settings("2024-01-05", "2024-01-09")).warnings == ()


@pytest.mark.parametrize(
    ("adjustment", "kept"), [("none", ("split", "dividend")), ("split", ("dividend",)), ("split+dividend", ())]
)
def test_actions_that_bars_contain_already_are_left_out(world, adjustment, kept):
    world.flat("NVDA", "2024-06-03", "2024-06-14", 100.0, adjustment=adjustment)
    world.action("NVDA", "2024-06-10", "split", 10.0).action("NVDA", "2024-06-10", "dividend", 0.01)
    (venue,) = world.market(settings("2024-06-03", "2024-06-14")).venues
    session = venue.first + 5
    values = {"split": 10.0, "dividend": 0.01}
    expected = {(session, 0): tuple(Action(kind, values[kind]) for kind in kept)} if kept else {}
    assert venue.actions == expected


def test_an_action_on_a_closed_day_is_due_in_the_next_session(world):
    # 2024-10-01 to -07 Shanghai is closed.
    world.flat("688981.SS", "2024-09-27", "2024-10-09", 50.0).fx("CNY", {"2024-09-02": 7.0})
    world.action("688981.SS", "2024-10-03", "dividend", 1.0)
    (venue,) = world.market(settings("2024-09-27", "2024-10-09")).venues
    ((session, _),) = venue.actions
    assert venue.session[session].astype(str) == "2024-10-08"


def test_bars_on_days_without_session_are_left_out_with_a_warning(world):
    world.flat("NVDA", "2024-01-02", "2024-01-05", 10.0).bars("NVDA", {"2024-01-01": 99.0, "2024-01-06": 98.0})
    market = world.market(settings("2024-01-01", "2024-01-08"))
    assert "XNYS: 2 bars lie outside the calendar's sessions and are not used" in market.warnings
    assert np.nanmax(market.venues[0].close) == 10.0


def test_a_run_ends_with_the_last_bar_and_says_so_when_that_is_early(world):
    world.flat("NVDA", "2024-01-02", "2024-01-05", 10.0)
    market = world.market(settings("2024-01-02", "2024-03-01"))
    assert market.venues[0].session[-1].astype(str) == "2024-01-05"
    assert market.warnings == ("the bars end on 2024-01-05, before the end asked for (2024-03-01)",)


def fingerprint(world, **changes):
    return world.market(settings("2024-01-02", "2024-01-05", **changes)).fingerprint


def test_the_fingerprint_follows_what_the_run_reads_and_nothing_else(world):
    def fresh(price=10.0, rate=7.0):
        world.clear().flat("NVDA", "2023-12-01", "2024-01-05", 10.0)
        world.flat("688981.SS", "2024-01-02", "2024-01-05", price)
        return world.fx("CNY", {"2023-12-28": rate})

    known = fingerprint(fresh())
    assert fingerprint(fresh(price=10.01)) != known
    assert fingerprint(fresh(rate=7.01)) != known
    assert fingerprint(fresh(), cutoff_minutes=20.0) != known
    assert fingerprint(fresh().action("NVDA", "2024-01-04", "dividend", 0.1)) != known
    later = fresh().fx("CNY", {"2024-01-08": 7.9}).flat("NVDA", "2024-01-08", "2024-01-12", 11.0)
    assert fingerprint(later) == known


def test_whether_an_instrument_trades_again_after_the_run_is_no_part_of_the_fingerprint(world):
    world.flat("NVDA", "2024-01-02", "2024-03-28", 10.0).bars("AMD", {"2024-01-02": 20.0})
    known = world.market(settings("2024-01-02", "2024-03-28")).fingerprint
    world.bars("AMD", {"2024-04-01": 20.0})
    assert world.market(settings("2024-01-02", "2024-03-28")).fingerprint == known


def test_the_facts_of_the_instruments_are_part_of_the_fingerprint(world):
    world.flat("NVDA", "2024-01-02", "2024-01-05", 10.0)
    given = settings("2024-01-02", "2024-01-05")
    lots = {**worlds.UNIVERSE.instruments, "NVDA": replace(worlds.UNIVERSE.instruments["NVDA"], lot=100)}
    changed = load_market(world.warehouse, replace(worlds.UNIVERSE, instruments=lots), given)
    assert changed.fingerprint != world.market(given).fingerprint


def test_a_bar_without_volume_has_an_unknown_one(world):
    # Indices and some feeds have none; it is not zero, which would mean suspended.
    world.flat("NVDA", "2024-01-02", "2024-01-05", 10.0, volume=np.nan)
    world.warehouse.run("UPDATE bar SET volume = NULL")
    (venue,) = world.market(settings("2024-01-02", "2024-01-05")).venues
    assert np.isnan(venue.volume[venue.first :]).all()
