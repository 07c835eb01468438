"""Checks of bars against calendar and rules, and the evidence for units and adjustments; figures worked by hand."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from chipwire.data.calendars import sessions
from chipwire.data.market_rules import load_market_rules
from chipwire.data.price_evidence import StoredBars, find_adjustment, find_volume_unit, no_bars, on_steps
from chipwire.data.price_files import RawBars
from chipwire.data.quality import check_bars, find_jumps
from chipwire.data.universe import load_universe

UNIVERSE = load_universe()
RULES = load_market_rules()


def make(symbol, days, closes, *, opens=None, spread=1.0, volume=1000.0, **more):
    """Bars of daily closes; high and low are `spread` above and below, clipped to hold open and close."""
    days = np.array(days, dtype="datetime64[D]")
    close = np.array(closes, dtype=np.float64)
    opened = close if opens is None else np.array(opens, dtype=np.float64)
    prices = np.column_stack([opened, np.maximum(opened, close) + spread, np.minimum(opened, close) - spread, close])
    volumes = None if volume is None else np.broadcast_to(np.asarray(volume, dtype=np.float64), close.shape)
    given = {"adj_close": None, "amount": None, "adjustment": None, "unit": None} | more
    return RawBars(
        UNIVERSE.instrument(symbol), "1d", np.arange(2, len(close) + 2), days, days.astype("datetime64[us]"),
        prices, volume=None if volumes is None else volumes.copy(), **given,
    )  # fmt: skip


def some_sessions(symbol, count, start=date(2024, 3, 1)):
    venue = UNIVERSE.instrument(symbol).venue
    return sessions(venue, start, start + timedelta(2 * count + 30))[:count]


# --- rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_newest_bar_a_year_after_all_others_is_a_mistyped_year(place):
    days = list(some_sessions("NVDA", 5, date(2020, 3, 2)))
    days[place] = date(2030, 3, 4)
    checked = check_bars(make("NVDA", days, [100, 101, 102, 101, 100]))
    assert [reject.line for reject in checked.rejects] == [place + 2]
    newest = sorted(days)[3]
    apart = (date(2030, 3, 4) - newest).days
    assert f"2030-03-04 is {apart:,} days after the newest of the other bars, {newest}" in checked.rejects[0].reason
    assert len(checked.keep) == 4


@pytest.mark.parametrize(
    "days",
    [
        # A series resumed: two bars speak for each other.
        ["2020-03-02", "2020-03-03", "2023-03-01", "2023-03-02"],
        # A source with such gaps, here a bar each second year.
        ["2018-03-01", "2020-03-02", "2022-03-01"],
        # Two bars say nothing of what is usual.
        ["2020-03-02", "2023-03-01"],
        # A year less a weekend is no year.
        ["2020-03-02", "2020-03-03", "2021-03-03"],
    ],
)
def test_other_gaps_of_a_year_reject_nothing(days):
    checked = check_bars(make("NVDA", days, np.linspace(100, 101, len(days))))
    assert checked.rejects == ()
    assert len(checked.keep) == len(days)


@pytest.mark.parametrize(
    ("prices", "volume", "reason"),
    [
        ([10, 9, 9.5, 9.2], 5, "high 9 below low 9.5"),
        ([13, 12, 9, 11], 5, "open 13 above high 12"),
        ([8, 12, 9, 11], 5, "open 8 below low 9"),
        ([10, 12, 9, 12.5], 5, "close 12.5 above high 12"),
        ([10, 12, 9, 8.5], 5, "close 8.5 below low 9"),
        ([10, 12, 0, 11], 5, "low 0"),
        ([-10, 12, 9, 11], 5, "open -10"),
        ([10, 12, 9, 11], -5, "volume -5"),
        ([10, np.inf, 9, 11], 5, "high inf"),
    ],
)
def test_impossible_bars_are_kept_out_with_their_values(prices, volume, reason):
    bars = make("NVDA", some_sessions("NVDA", 3), [100, 101, 102])
    bars.prices[1] = prices
    bars.volume[1] = volume
    checked = check_bars(bars)
    assert checked.keep.tolist() == [0, 2]
    assert checked.impossible == 1
    (reject,) = checked.rejects
    assert reject.line == 3
    assert reason in reject.reason


def test_rounding_is_not_impossible():
    bars = make("NVDA", some_sessions("NVDA", 2), [100, 101], spread=0)
    bars.prices[1] = [101, 101 * (1 - 5e-7), 100, 101]
    assert check_bars(bars).impossible == 0
    bars.prices[1] = [101, 101 * (1 - 2e-6), 100, 101]
    assert check_bars(bars).impossible == 1


def test_bars_of_closed_days_are_rejected():
    days = ["2024-09-30", "2024-10-01", "2024-10-05", "2024-10-08"]
    checked = check_bars(make("688981.SS", days, [50, 51, 52, 53]))
    assert checked.keep.tolist() == [0, 3]
    assert checked.off_calendar == 2
    assert [r.reason for r in checked.rejects] == [
        "XSHG had no session on 2024-10-01",
        "XSHG had no session on 2024-10-05",
    ]
    # The holidays between are not missing.
    assert len(checked.missing) == 0


def test_missing_sessions_are_those_of_the_venue():
    # From 20 to 27 December 2024 Hong Kong traded on the 20th, 23rd, 24th (half-day) and 27th.
    checked = check_bars(make("0981.HK", ["2024-12-20", "2024-12-27"], [27, 30]))
    assert checked.missing.astype(str).tolist() == ["2024-12-23", "2024-12-24"]


def test_stale_rows_of_a_halt_are_kept_out_and_counted():
    days = some_sessions("688981.SS", 6)
    bars = make("688981.SS", days, [50, 51, 51, 51, 51, 46], spread=0, volume=[9, 9, 0, 0, np.nan, 9])
    checked = check_bars(bars)
    assert checked.keep.tolist() == [0, 1, 5]
    assert checked.stale == 3
    assert checked.missing.tolist() == days[2:5].tolist()
    assert checked.rejects == ()


def test_a_first_row_without_trade_is_stale_and_one_that_moves_is_not():
    days = some_sessions("0981.HK", 3)
    flat = make("0981.HK", days, [20, 21, 22], spread=0, volume=[0, 5, 5])
    assert check_bars(flat).keep.tolist() == [1, 2]
    moving = make("0981.HK", days, [20, 21, 22], spread=1, volume=[0, 5, 5])
    checked = check_bars(moving)
    assert checked.keep.tolist() == [0, 1, 2]
    assert "1 bar without volume whose prices move, kept" in checked.notes
    assert check_bars(moving, previous_close=20).keep.tolist() == [1, 2]


def test_same_close_with_volume_is_trading():
    bars = make("0981.HK", some_sessions("0981.HK", 3), [20, 20, 20], spread=0, volume=[5, 1, 5])
    assert check_bars(bars).stale == 0


@pytest.mark.parametrize("volume", [None, 0.0, np.nan])
def test_an_index_without_volume_is_kept_but_for_repeated_rows(volume):
    days = some_sessions("HSTECH", 4)
    bars = make("HSTECH", days, [4000, 4010, 4010, 4020], spread=5, volume=volume)
    bars.prices[2] = 4010
    checked = check_bars(bars)
    assert checked.keep.tolist() == [0, 1, 3]
    assert checked.stale == 1
    assert checked.without_volume


def test_repeats_are_counted_and_contradictions_rejected():
    day, after = some_sessions("NVDA", 2)
    bars = make("NVDA", [day, day, day, after], [100, 100, 103, 101])
    checked = check_bars(bars)
    assert checked.keep.tolist() == [0, 3]
    assert checked.repeated == 1
    (reject,) = checked.rejects
    assert reject.line == 4
    assert "line 2 has" in reject.reason
    assert "close 100 not 103" in reject.reason


def test_rows_in_falling_order_come_out_rising():
    days = some_sessions("NVDA", 3)[::-1]
    assert check_bars(make("NVDA", days, [3, 2, 1], spread=0)).keep.tolist() == [2, 1, 0]


def test_days_beyond_the_known_calendar_are_kept_and_noted():
    checked = check_bars(make("688981.SS", ["2024-03-01", "2049-03-02"], [50, 51]))
    assert checked.keep.tolist() == [0, 1]
    assert any("1 bar not checked: the calendar of XSHG is known" in note for note in checked.notes)


def test_intraday_bars_outside_the_session_are_rejected():
    day = np.datetime64("2024-11-29", "D")  # half-day: 14:30 to 18:00 UTC
    at = ["2024-11-29T14:30", "2024-11-29T17:59", "2024-11-29T18:00", "2024-11-29T13:30"]
    bars = make("NVDA", [day] * 4, [1, 2, 3, 4], spread=0)
    bars = replace(bars, interval="1h", starts_at=np.array(at, dtype="datetime64[us]"))
    checked = check_bars(bars)
    assert checked.keep.tolist() == [0, 1]
    assert checked.rejects[0].reason == "outside the session of XNYS, 14:30 to 18:00 UTC on 2024-11-29"


# --- limits ----------------------------------------------------------------------------------------------


def jumps(symbol, days, closes, ex_dates=(), adjustment="none"):
    return find_jumps(make(symbol, days, closes, spread=0), ex_dates, adjustment, RULES)


@pytest.mark.parametrize(
    ("symbol", "before", "limit_up", "limit_down"),
    [
        # Rounded half up to the price step, by hand: 47.37 x 1.2 = 56.844, x 0.8 = 37.896.
        ("688981.SS", 47.37, 56.84, 37.90),
        # 10.01 x 1.2 = 12.012, x 0.8 = 8.008
        ("688981.SS", 10.01, 12.01, 8.01),
        # 3.455 x 1.1 = 3.8005 -> 3.801 (half up), x 0.9 = 3.1095 -> 3.110
        ("510300.SS", 3.455, 3.801, 3.110),
        # 0.983 x 1.2 = 1.1796 -> 1.180, x 0.8 = 0.7864 -> 0.786
        ("588000.SS", 0.983, 1.180, 0.786),
    ],
)
def test_limit_closes_are_allowed_and_one_step_more_is_not(symbol, before, limit_up, limit_down):
    step = 0.001 if UNIVERSE.instrument(symbol).kind == "etf" else 0.01
    days = some_sessions(symbol, 2)
    for close in (limit_up, limit_down):
        assert jumps(symbol, days, [before, close]) == ()
    for close in (limit_up + step, limit_down - step):
        (found,) = jumps(symbol, days, [before, close])
        assert found.session == days[1].item()
        assert found.move == pytest.approx(close / before - 1)


def test_the_first_five_sessions_of_a_star_listing_are_free():
    listed = date(2023, 8, 7)  # Hua Hong-A; 7 to 11 August are its first five sessions
    days = sessions("XSHG", listed, date(2023, 8, 16))
    assert [str(d) for d in days[:5]] == [f"2023-08-{d:02d}" for d in (7, 8, 9, 10, 11)]
    closes = [50, 80, 50, 80, 50, 80, 50, 80]
    assert [j.session for j in jumps("688347.SS", days, closes)] == [d.item() for d in days[5:]]


def test_a_gap_of_sessions_widens_the_limit():
    days = some_sessions("688981.SS", 4)
    # Two sessions at +20 %: 50 x 1.44 = 72.
    assert jumps("688981.SS", days[[0, 2]], [50, 72]) == ()
    assert len(jumps("688981.SS", days[[0, 2]], [50, 72.1])) == 1
    assert len(jumps("688981.SS", days[[0, 1]], [50, 72])) == 1


def test_ex_dates_of_unadjusted_bars_are_not_judged():
    days = some_sessions("688981.SS", 3)
    ex_date = {days[1].item()}
    assert jumps("688981.SS", days, [50, 25, 26], ex_date) == ()
    assert len(jumps("688981.SS", days, [50, 25, 26], ex_date, adjustment="split")) == 1


@pytest.mark.parametrize("symbol", ["0981.HK", "NVDA", "SOX"])
def test_without_a_limit_half_is_the_mark(symbol):
    days = some_sessions(symbol, 2)
    assert jumps(symbol, days, [100, 149]) == ()
    (found,) = jumps(symbol, days, [100, 151])
    assert found.allowed == 0.5


def test_intraday_jumps_are_from_last_close_to_last_close():
    days = some_sessions("NVDA", 2)
    bars = make("NVDA", days[[0, 0, 1, 1]], [100, 200, 210, 100], spread=0)
    hours = np.array([15, 16, 15, 16], dtype="timedelta64[h]")
    bars.starts_at[:] = bars.session.astype("datetime64[us]") + hours
    assert find_jumps(bars, (), "split", RULES) == ()  # 200 to 100 is not more than half
    bars.prices[3] = 90
    assert len(find_jumps(bars, (), "split", RULES)) == 1


# --- volume unit -----------------------------------------------------------------------------------------


def stored_like(bars, volume_factor=1.0, adjustment="none"):
    return StoredBars(bars.starts_at, bars.prices, np.full(len(bars), np.nan), bars.volume * volume_factor, adjustment)


DAYS = some_sessions("588000.SS", 8)


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(1, "shares"), (100, "lots"), (0.001, "shares"), (0.1, "lots"), (1e-4, "shares"), (0.01, "lots")],
)
def test_turnover_tells_the_unit(factor, unit):
    """Turnover in yuan, thousands and ten thousands of it; volume in shares or lots."""
    bars = make("588000.SS", DAYS, np.full(8, 1.5), spread=0.01, volume=2e7)
    bars = replace(bars, amount=bars.volume * 1.51 * factor)
    found = find_volume_unit(bars, no_bars())
    assert found.value == unit
    assert "turnover" in found.why


def test_other_evidence_for_the_unit():
    bars = make("588000.SS", DAYS, np.full(8, 1.5), volume=88544.57)
    assert find_volume_unit(bars, no_bars()).value == "lots"
    whole = make("588000.SS", DAYS, np.full(8, 1.5), volume=88544.0)
    assert find_volume_unit(whole, no_bars()).value == "shares"
    assert find_volume_unit(whole, stored_like(whole, 100)).value == "lots"
    assert find_volume_unit(bars, stored_like(bars, 1)).value == "shares"
    assert find_volume_unit(whole, no_bars(), file="x/588000.tushare-lots.csv").value == "lots"
    assert find_volume_unit(bars, no_bars(), "shares").value == "shares"
    named = replace(whole, unit="lots")
    assert find_volume_unit(named, no_bars()).value == "lots"


def test_fractions_elsewhere_are_no_lots():
    bars = make("NVDA", some_sessions("NVDA", 8), np.full(8, 100.0), volume=88544.57)
    assert find_volume_unit(bars, no_bars()).value == "shares"


# --- adjustment ------------------------------------------------------------------------------------------


def walk(symbol, count=60, start=100.0, places=2):
    rng = np.random.default_rng(7)
    closes = np.round(start * np.cumprod(1 + rng.normal(0, 0.01, count)), places)
    return make(symbol, some_sessions(symbol, count), closes, spread=0.5 * 10.0**-places * 10)


@pytest.mark.parametrize(("symbol", "expected"), [("NVDA", "split"), ("0981.HK", "none"), ("588000.SS", "none")])
def test_prices_on_the_steps_are_what_the_venue_delivers(symbol, expected):
    assert find_adjustment(walk(symbol), no_bars()).value == expected


@pytest.mark.parametrize("symbol", ["NVDA", "1347.HK", "688981.SS"])
def test_a_dividend_factor_leaves_the_steps(symbol):
    bars = walk(symbol)
    scaled = replace(bars, prices=np.round(bars.prices * 0.973412, 6))
    found = find_adjustment(scaled, no_bars())
    assert found.value == "split+dividend"
    assert "off the venue's steps" in found.why


def test_single_precision_and_splits_do_not_leave_the_steps():
    bars = walk("LRCX", start=600.0)
    single = replace(bars, prices=bars.prices.astype(np.float32).astype(np.float64))
    assert find_adjustment(single, no_bars()).value == "split"
    tenth = replace(bars, prices=np.round(bars.prices / 10, 6))
    assert find_adjustment(tenth, no_bars()).value == "split"


def test_on_steps_by_hand():
    nvda, etf = UNIVERSE.instrument("NVDA"), UNIVERSE.instrument("588000.SS")
    assert on_steps(np.array([136.600006, 258.913125, 29.578]), nvda).tolist() == [True, False, False]
    assert on_steps(np.array([29.578]), nvda, 10.0).tolist() == [True]
    assert on_steps(np.array([1.023, 1.0235]), etf).tolist() == [True, False]


def test_adj_close_that_differs_means_split_and_one_that_does_not_says_nothing():
    bars = walk("NVDA")
    close = bars.prices[:, 3]
    assert "adj_close differs" in find_adjustment(replace(bars, adj_close=close * 0.98), no_bars()).why
    same = find_adjustment(replace(bars, adj_close=close), no_bars())
    assert (same.value, "adj_close" in same.why) == ("split", False)


def test_a_split_in_the_prices_means_none():
    bars = walk("NVDA")
    cut = bars.prices.copy()
    cut[30:] = np.round(cut[30:] / 10, 2)
    found = find_adjustment(replace(bars, prices=cut), no_bars())
    assert found.value == "none"
    assert f"a split of about 10 stands in the prices on {bars.session[30]}" in found.why
    # One wrong row comes back and is no split.
    error = bars.prices.copy()
    error[30] /= 10
    assert "a split" not in find_adjustment(replace(bars, prices=error), no_bars()).why


def test_published_closes_decide():
    """Hua Hong-A's first close was published as 53.06: its issue price of 52.00 and 2.04 % more."""
    assert round(52.00 * 1.0204, 2) == 53.06
    days = sessions("XSHG", date(2023, 8, 7), date(2023, 8, 18))
    raw = make("688347.SS", days, np.linspace(53.06, 51.00, len(days)).round(2), spread=0.1)
    assert find_adjustment(raw, no_bars()).value == "none"
    rounded = replace(raw, prices=(raw.prices * 0.9958).round(2))
    assert find_adjustment(rounded, no_bars()).value == "split+dividend"


@pytest.mark.parametrize(("falls", "expected"), [(True, "none"), (False, "split+dividend")])
def test_published_dividends_decide(falls, expected):
    """The fund paid CNY 0.088 on 2025-06-18 at a price near 3.87, 2.3 %: unadjusted bars open that much lower."""
    days = sessions("XSHG", date(2025, 6, 9), date(2025, 6, 27))
    closes = np.full(len(days), 3.866)
    ex = int(np.flatnonzero(days == np.datetime64("2025-06-18"))[0])
    if falls:
        closes[ex:] = 3.866 - 0.088
    assert find_adjustment(make("510300.SS", days, closes, spread=0.001), no_bars()).value == expected


def test_stored_bars_decide_before_the_default():
    bars = walk("0981.HK")
    assert find_adjustment(bars, stored_like(bars, adjustment="split+dividend")).value == "split+dividend"
    assert find_adjustment(bars, no_bars(), "split").value == "split"
    assert find_adjustment(replace(bars, adjustment="split"), no_bars()).value == "split"


def test_an_index_is_never_adjusted():
    assert find_adjustment(walk("CSI300", start=4000.0, places=4), no_bars()).value == "none"
