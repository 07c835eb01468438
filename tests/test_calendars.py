"""Sessions and auctions against published holidays and half-days."""

from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from chipwire.data.calendars import (
    LAST_YEAR,
    Auctions,
    apply_overrides,
    auctions,
    coverage,
    read_overrides,
    sessions,
    venue,
    venues,
)
from chipwire.data.errors import InputError, OutsideCalendar, UnknownName


def utc(text: str) -> np.datetime64:
    return np.datetime64(text, "us")


@pytest.mark.parametrize(
    ("mic", "day", "opens", "closes", "half_day"),
    [
        # HKEX circular: Christmas Eve, half-day trading, 09:30-12:00 Hong Kong time.
        ("XHKG", date(2024, 12, 24), "2024-12-24T01:30", "2024-12-24T04:00", True),
        ("XHKG", date(2024, 12, 23), "2024-12-23T01:30", "2024-12-23T08:00", False),
        # NYSE holiday table: the day after Thanksgiving closes at 13:00 New York time.
        ("XNYS", date(2024, 11, 29), "2024-11-29T14:30", "2024-11-29T18:00", True),
        ("XNYS", date(2025, 7, 3), "2025-07-03T13:30", "2025-07-03T17:00", True),
        # The same clock time is another instant in summer.
        ("XNYS", date(2025, 7, 7), "2025-07-07T13:30", "2025-07-07T20:00", False),
        ("XSHG", date(2024, 9, 30), "2024-09-30T01:30", "2024-09-30T07:00", False),
    ],
)
def test_auctions_are_where_the_venues_published_them(mic, day, opens, closes, half_day):
    found = auctions(mic, day, day)
    assert found.session.tolist() == [day]
    assert (found.open_at[0], found.close_at[0]) == (utc(opens), utc(closes))
    assert found.half_day.tolist() == [half_day]


@pytest.mark.parametrize(
    ("mic", "start", "end", "expected"),
    [
        # National Day: closed 1 to 7 October 2024, the 28 and 29 September and 5, 6 October being a weekend.
        ("XSHG", date(2024, 9, 27), date(2024, 10, 9), ["2024-09-27", "2024-09-30", "2024-10-08", "2024-10-09"]),
        # Typhoon Saola and a black rainstorm, which the library does not know.
        (
            "XHKG",
            date(2023, 8, 31),
            date(2023, 9, 11),
            ["2023-08-31", "2023-09-04", "2023-09-05", "2023-09-06", "2023-09-07", "2023-09-11"],
        ),
        # Typhoon Kong-rey.
        ("XTAI", date(2024, 10, 30), date(2024, 11, 1), ["2024-10-30", "2024-11-01"]),
        # Day of mourning for President Carter.
        ("XNYS", date(2025, 1, 8), date(2025, 1, 10), ["2025-01-08", "2025-01-10"]),
    ],
)
def test_sessions_leave_out_published_closures(mic, start, end, expected):
    assert sessions(mic, start, end).astype(str).tolist() == expected


def test_an_empty_span_has_no_sessions():
    found = auctions("XSHG", date(2024, 10, 1), date(2024, 10, 7))
    assert len(found) == 0
    assert found.half_day.dtype == np.bool_


def test_a_span_beyond_the_published_holidays_is_one_clear_error():
    first, last = coverage("XSHG")
    assert first <= date(1995, 1, 1)
    assert last >= date(2026, 12, 31)
    beyond = date(last.year + 1, 1, 5)
    with pytest.raises(OutsideCalendar, match=f"XSHG is known from {first} to {last}, .* upgrade exchange_calendars"):
        sessions("XSHG", date(2025, 1, 1), beyond)


def test_every_venue_of_the_file_answers():
    for mic, facts in venues().items():
        year = sessions(mic, date(2024, 1, 1), date(2024, 12, 31))
        assert 235 <= len(year) <= 262, mic
        assert facts.ohlc_default in ("none", "split")
        assert facts.cutoff_open > 0
        assert facts.cutoff_close > 0


@pytest.mark.filterwarnings("ignore")  # the library's, about pandas
@pytest.mark.parametrize("mic", sorted(venues()))
def test_each_calendar_is_the_library_s_own_for_every_session(mic):
    import exchange_calendars

    from chipwire.data.calendar_library import bounds, build

    first, last = coverage(mic)
    assert bounds(venue(mic).calendar)[1] in (None, last) or last == date(LAST_YEAR, 12, 31)
    ours = build(venue(mic).calendar, first, last)
    its = exchange_calendars.get_calendar(venue(mic).calendar, start=str(first), end=str(last))
    pd.testing.assert_frame_equal(ours.schedule, its.schedule, check_freq=False)
    assert ours.early_closes.equals(its.early_closes)
    assert len(its.schedule) > 8000


def test_an_unknown_venue_gets_a_suggestion():
    with pytest.raises(UnknownName, match="did you mean 'XSHG'"):
        venue("XSGH")


def some_auctions() -> Auctions:
    return Auctions(
        "XNYS",
        np.array(["2024-03-07", "2024-03-08", "2024-03-12"], dtype="datetime64[D]"),
        np.array(["2024-03-07T14:30", "2024-03-08T14:30", "2024-03-12T13:30"], dtype="datetime64[us]"),
        np.array(["2024-03-07T21:00", "2024-03-08T21:00", "2024-03-12T20:00"], dtype="datetime64[us]"),
        np.array([False, False, False]),
    )


HEAD = "venue,session,kind,close_time,source\n"


def test_overrides_of_one_day_follow_one_another():
    """A day opened anew takes the hours of the last full session; closing a day that has no session changes nothing."""
    text = HEAD + "XNYS,2024-03-08,early_close,13:00,x\nXNYS,2024-03-11,open,,x\nXNYS,2024-03-09,closed,,x\n"
    before = some_auctions()
    found = apply_overrides(before, list(read_overrides(text, "mine")), ZoneInfo("America/New_York"))
    assert found.session.astype(str).tolist() == ["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12"]
    assert found.close_at[1] == utc("2024-03-08T18:00")
    assert (found.open_at[2], found.close_at[2]) == (utc("2024-03-11T13:30"), utc("2024-03-11T20:00"))
    assert found.half_day.tolist() == [False, True, False, False]
    assert before.close_at[1] == utc("2024-03-08T21:00")


def test_overrides_close_open_and_shorten_days():
    text = HEAD + "XNYS,2024-03-07,closed,,x\nXNYS,2024-03-11,open,,x\nXNYS,2024-03-12,early_close,13:00,x\n"
    found = apply_overrides(some_auctions(), list(read_overrides(text, "mine")), ZoneInfo("America/New_York"))
    assert found.session.astype(str).tolist() == ["2024-03-08", "2024-03-11", "2024-03-12"]
    # New York went to summer time on 10 March 2024: 09:30 there is 13:30 UTC on the 11th.
    assert found.open_at[1] == utc("2024-03-11T13:30")
    assert found.close_at[1] == utc("2024-03-11T20:00")
    assert found.close_at[2] == utc("2024-03-12T17:00")
    assert found.half_day.tolist() == [False, False, True]


@pytest.mark.parametrize(
    "row",
    [
        "XNYS,2024-03-07,shut,,x",
        "XNYS,2024-03-07,early_close,,x",
        "XNYS,2024-03-07,closed,12:00,x",
        "XNYS,7 March,closed,,x",
    ],
)
def test_a_bad_override_names_its_line(row):
    with pytest.raises(InputError, match="mine line 2"):
        read_overrides(HEAD + row + "\n", "mine")


def test_override_columns_are_checked():
    with pytest.raises(InputError, match="expected venue,session,kind"):
        read_overrides("venue,day\n", "mine")
