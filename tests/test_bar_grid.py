"""Bars finer than a day on each venue's own clock; expected hours from the exchanges' published trading hours."""

import datetime as dt

import numpy as np
import pytest

from chipwire.data.bar_grid import INTERVALS, daily_grid, fitting_grid, intraday_grid
from chipwire.data.calendars import apply_overrides, auctions, lunch_breaks
from chipwire.data.errors import DomainError


def day(mic, text):
    date = dt.date.fromisoformat(text)
    return auctions(mic, date, date)


def clocks(instants):
    return " ".join(str(instant)[11:16] for instant in instants)


@pytest.mark.parametrize(
    ("mic", "session", "by_clock", "starts"),
    [
        # New York 09:30 to 16:00, in winter and in summer time, and the half-day after Thanksgiving.
        ("XNYS", "2024-01-03", False, "14:30 15:30 16:30 17:30 18:30 19:30 20:30"),
        ("XNYS", "2024-01-03", True, "14:30 15:00 16:00 17:00 18:00 19:00 20:00"),
        ("XNYS", "2024-07-02", False, "13:30 14:30 15:30 16:30 17:30 18:30 19:30"),
        ("XNYS", "2024-11-29", False, "14:30 15:30 16:30 17:30"),
        ("XNYS", "2024-11-29", True, "14:30 15:00 16:00 17:00"),
        # Shanghai 09:30 to 11:30 and 13:00 to 15:00, eight hours ahead of UTC.
        ("XSHG", "2024-01-03", False, "01:30 02:30 05:00 06:00"),
        ("XSHG", "2024-01-03", True, "01:30 02:00 03:00 05:00 06:00"),
        # Hong Kong 09:30 to 12:00 and 13:00 to 16:00; on Christmas Eve the morning only.
        ("XHKG", "2024-01-03", False, "01:30 02:30 03:30 05:00 06:00 07:00"),
        ("XHKG", "2024-12-24", False, "01:30 02:30 03:30"),
    ],
)
def test_hours_of_each_venue(mic, session, by_clock, starts):
    grid = intraday_grid(day(mic, session), "1h", by_clock=by_clock)
    assert clocks(grid.starts_at) == starts
    assert grid.first.tolist() == [True] + [False] * (len(grid) - 1)
    assert (grid.session == np.datetime64(session)).all()


@pytest.mark.parametrize("mic", ["XNYS", "XSHG", "XHKG", "XKRX", "XTAI"])
@pytest.mark.parametrize("interval", list(INTERVALS))
@pytest.mark.parametrize("by_clock", [False, True])
def test_bars_cover_the_trading_hours_once(mic, interval, by_clock):
    calendar = auctions(mic, dt.date(2024, 1, 2), dt.date(2024, 3, 29))
    grid = intraday_grid(calendar, interval, by_clock=by_clock)
    assert (grid.open_at < grid.close_at).all()
    assert (grid.close_at[:-1] < grid.open_at[1:]).all()
    last = np.append(grid.first[1:], True)
    assert (grid.close_at[last] == calendar.close_at).all()
    assert (grid.open_at[grid.first] == calendar.open_at).all()
    traded = (grid.close_at - grid.open_at).sum() + np.timedelta64(1, "ms") * int((~last).sum())
    pause = [end - start for start, end in zip(*lunch_breaks(calendar), strict=True) if not np.isnat(start)]
    assert traded == (calendar.close_at - calendar.open_at).sum() - sum(pause, np.timedelta64(0, "us"))


def test_a_bar_ends_just_before_the_next_and_the_last_with_the_closing_auction():
    grid = intraday_grid(day("XSHG", "2024-01-03"), "1h", by_clock=False)
    assert [str(at)[11:23] for at in grid.close_at] == ["02:29:59.999", "03:29:59.999", "05:59:59.999", "07:00:00.000"]


def test_a_session_cut_short_by_an_override_has_no_lunch_break_after_its_close():
    from zoneinfo import ZoneInfo

    from chipwire.data.calendars import Override

    early = Override("XHKG", dt.date(2024, 1, 3), "early_close", dt.time(11, 0))
    known = apply_overrides(day("XHKG", "2024-01-03"), [early], ZoneInfo("Asia/Hong_Kong"))
    assert clocks(intraday_grid(known, "1h", by_clock=False).starts_at) == "01:30 02:30"


def test_a_day_that_an_override_opens_has_the_break_of_the_session_before():
    from zoneinfo import ZoneInfo

    from chipwire.data.calendars import Override

    # 2024-01-06 is a Saturday.
    opened = Override("XSHG", dt.date(2024, 1, 6), "open", None)
    known = apply_overrides(day("XSHG", "2024-01-05"), [opened], ZoneInfo("Asia/Shanghai"))
    assert clocks(intraday_grid(known, "1h", by_clock=False).starts_at[4:]) == "01:30 02:30 05:00 06:00"


def test_the_grid_is_read_from_the_bars():
    calendar = day("XNYS", "2024-01-03")
    for by_clock in (False, True):
        expected = intraday_grid(calendar, "1h", by_clock=by_clock)
        found = fitting_grid(calendar, "1h", np.repeat("NVDA", len(expected)), expected.starts_at)
        assert found.starts_at.tolist() == expected.starts_at.tolist()
    assert fitting_grid(calendar, "1d", np.array(["NVDA"]), calendar.open_at).open_at.tolist() == (
        daily_grid(calendar).open_at.tolist()
    )


def test_two_grids_at_one_venue_are_refused():
    calendar = day("XNYS", "2024-01-03")
    grids = [intraday_grid(calendar, "1h", by_clock=by_clock).starts_at for by_clock in (False, True)]
    names = np.repeat(["AMD", "NVDA"], [len(grid) for grid in grids])
    said = "the 1h bars of 'NVDA' do not start with the others of XNYS .first at 2024-01-03T15:00 UTC.; ingest"
    with pytest.raises(DomainError, match=said):
        fitting_grid(calendar, "1h", names, np.concatenate(grids))


def test_no_sessions_no_bars():
    nothing = intraday_grid(auctions("XNYS", dt.date(2024, 1, 6), dt.date(2024, 1, 7)), "1h", by_clock=False)
    assert len(nothing) == 0
    assert len(nothing.first) == 0
