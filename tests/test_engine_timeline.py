"""The clock: three venues' auctions and decisions in one order in UTC, half-days and summer time included."""

import datetime as dt
from dataclasses import replace

import engine_worlds as worlds
import numpy as np
import pytest

from chipwire.data.errors import BadParameter
from chipwire.engine.timeline import moments

warehouse, world, settings = worlds.warehouse, worlds.world, worlds.settings

THREE = {"0981.HK": 16.0, "688981.SS": 50.0, "NVDA": 100.0}


def clock(world, start, end, symbols=tuple(THREE), **changes):
    for symbol in symbols:
        world.flat(symbol, start, end, THREE[symbol])
    world.fx("CNY", {"2023-01-02": 7.0}).fx("HKD", {"2023-01-02": 8.0})
    given = settings(start, end, **changes)
    market = world.market(given)
    return market, moments(market, given)


def lines(market, clock):
    """Return 'HH:MM kind MIC, ...' for each moment."""
    return [
        f"{moment.at.item():%d %H:%M} "
        + ", ".join(f"{step.kind} {market.venues[step.venue].mic}" for step in moment.steps)
        for moment in clock
    ]


def test_a_winter_day_of_three_venues(world):
    # China 09:30-15:00 and 09:30-16:00 at UTC+8, New York 09:30-16:00 at UTC-5; cut-offs 10, 15 and 5 minutes.
    assert lines(*clock(world, "2024-01-03", "2024-01-03")) == [
        "03 01:15 decide XHKG",
        "03 01:20 decide XSHG",
        "03 01:30 open XHKG, open XSHG",
        "03 07:00 close XSHG",
        "03 08:00 close XHKG",
        "03 14:25 decide XNYS",
        "03 14:30 open XNYS",
        "03 21:00 close XNYS",
    ]


def test_decisions_for_the_close_lie_between_the_auctions(world):
    # Cut-offs for the close: 5, 5 and 15 minutes; summer time in New York.
    assert lines(*clock(world, "2024-07-10", "2024-07-10", fill="close")) == [
        "10 01:30 open XHKG, open XSHG",
        "10 06:55 decide XSHG",
        "10 07:00 close XSHG",
        "10 07:55 decide XHKG",
        "10 08:00 close XHKG",
        "10 13:30 open XNYS",
        "10 19:45 decide XNYS",
        "10 20:00 close XNYS",
    ]


def test_half_days_close_early_and_are_decided_before_that(world):
    # 2024-12-24: Hong Kong closes at 12:00 local (04:00 UTC), New York at 13:00 local (18:00 UTC).
    found = lines(*clock(world, "2024-12-24", "2024-12-24", fill="close"))
    assert "24 03:55 decide XHKG" in found
    assert "24 04:00 close XHKG" in found
    assert "24 17:45 decide XNYS" in found
    assert "24 18:00 close XNYS" in found
    assert "24 07:00 close XSHG" in found


@pytest.mark.parametrize(
    ("session", "opens"),
    [("2024-03-08", "14:30"), ("2024-03-11", "13:30"), ("2024-11-01", "13:30"), ("2024-11-04", "14:30")],
)
def test_new_york_keeps_its_own_clock_when_summer_time_changes(world, session, opens):
    found = lines(*clock(world, session, session, symbols=("NVDA",)))
    assert found[1] == f"{session[-2:]} {opens} open XNYS"


def test_each_venue_has_its_own_holidays(world):
    # 2024-10-01 to -07: Shanghai is closed, Hong Kong trades but on the 1st; 2024-07-04: New York is closed.
    market, _ = clock(world, "2024-09-30", "2024-10-08")
    sessions = {venue.mic: venue.session[venue.first :].astype(str).tolist() for venue in market.venues}
    assert sessions["XSHG"] == ["2024-09-30", "2024-10-08"]
    assert sessions["XHKG"] == ["2024-09-30", *(f"2024-10-0{n}" for n in (2, 3, 4, 7, 8))]
    assert sessions["XNYS"] == ["2024-09-30", *(f"2024-10-0{n}" for n in (1, 2, 3, 4, 7, 8))]


def test_auctions_come_before_decisions_of_the_same_instant(world):
    # A cut-off of 60 minutes for the close puts Hong Kong's decision on Shanghai's close, 07:00 UTC.
    found = lines(*clock(world, "2024-01-03", "2024-01-03", fill="close", cutoff_minutes=60))
    assert "03 07:00 close XSHG, decide XHKG" in found


def test_moments_rise_and_hold_each_auction_once(world):
    market, found = clock(world, "2024-01-02", "2024-03-28")
    instants = [moment.at for moment in found]
    assert instants == sorted(set(instants))
    steps = [step for moment in found for step in moment.steps]
    assert len(steps) == len(set(steps)) == 3 * sum(len(venue.session) - venue.first for venue in market.venues)
    for venue in market.venues:
        assert (venue.decide_at < venue.open_at).all()


def test_a_day_ends_with_its_last_auction_even_where_a_decision_for_the_next_follows(world):
    # Seoul opens at 00:00 UTC and is decided on the day before, Sundays too; here New York, decided 15 hours early.
    market, _ = clock(world, "2024-01-04", "2024-01-09", symbols=("NVDA",))
    early = replace(market.venues[0], decide_at=market.venues[0].open_at - np.timedelta64(15, "h"))
    found = moments(replace(market, venues=(early,)), settings("2024-01-04", "2024-01-09"))
    assert np.datetime64("2024-01-07T23:30", "us") in [moment.at for moment in found]
    ends = [(moment.at.item().strftime("%d %H:%M"), moment.ends_day) for moment in found if moment.ends_day]
    assert ends == [(f"{n:02d} 21:00", dt.date(2024, 1, n)) for n in (4, 5, 8, 9)]


@pytest.mark.parametrize("minutes", [0, -1, 121, float("nan")])
def test_a_decision_lies_before_its_own_auction(minutes):
    with pytest.raises(BadParameter, match="cutoff_minutes"):
        settings("2024-01-02", "2024-01-03", cutoff_minutes=minutes)
