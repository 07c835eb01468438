"""The embedded timeline: its form, its days, its names; and the script that checks it against news and bars."""

import csv
import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner

from chipwire.data import calendars
from chipwire.data.embedded import check_timeline
from chipwire.data.embedded.check_news import News, key_words, read_news
from chipwire.data.embedded.check_timeline import (
    COLUMNS,
    RESULTS,
    Event,
    Move,
    abnormal_moves,
    calendar_verdict,
    first_move,
    main,
    price_verdict,
    read_timeline,
    stated_direction,
)
from chipwire.data.errors import UnreadableInput
from chipwire.data.universe import load_universe
from chipwire.signals.linking import Linker

EVENT_NAMES = """
chip_sale_ban tool_ban entity_listing relaxation procurement state_funding model_launch cheap_model_shock capex
earnings guidance rating risk_warning supply_deal product_launch lawsuit probe retaliation tariff merger management
production listing sales_figures security
"""
THEMES = {"ai_models", "localization", "sanctions"}


def embedded(name):
    return resources.files("chipwire.data.embedded").joinpath(name).read_text("utf-8")


@pytest.fixture(scope="module")
def rows():
    return list(csv.DictReader(embedded("timeline.csv").splitlines(), strict=True))


def local_day(row):
    return date.fromisoformat(row["published"][:10])


# --- form ------------------------------------------------------------------------------------------------


def test_columns_and_order(rows):
    assert embedded("timeline.csv").splitlines()[0] == ",".join(COLUMNS)
    assert rows == sorted(rows, key=lambda row: (row["published"], row["title"]))


def test_at_least_250_events_in_the_span(rows):
    assert sum(date(2023, 1, 1) <= local_day(row) <= date(2025, 9, 30) for row in rows) >= 250
    assert len(rows) == sum(date(2023, 1, 1) <= local_day(row) <= date(2025, 9, 30) for row in rows)


def test_every_time_is_a_utc_minute_or_a_day_with_a_zone(rows):
    for row in rows:
        assert ZoneInfo(row["zone"])
        if "T" in row["published"]:
            datetime.strptime(row["published"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
            assert row["zone"] == "UTC", row
        else:
            assert date.fromisoformat(row["published"]).isoformat() == row["published"]
            assert row["zone"] != "UTC", row


def test_titles_are_one_line_and_never_the_same_twice(rows):
    titles = Counter(row["title"].casefold() for row in rows)
    assert [title for title, count in titles.items() if count > 1] == []
    assert [row["title"] for row in rows if not 25 <= len(row["title"]) <= 200] == []
    assert [row["title"] for row in rows if row["title"] != " ".join(row["title"].split())] == []


def test_events_themes_and_publishers(rows):
    assert {row["event"] for row in rows} <= set(EVENT_NAMES.split())
    assert {theme for row in rows for theme in row["theme"].split(";") if theme} == THEMES
    for row in rows:
        assert bool(row["publisher"]) == bool(row["reported_on"]), row
        if row["reported_on"]:
            # A wire's day is its desk's own, which may be the day before or after in UTC.
            assert abs(date.fromisoformat(row["reported_on"]) - local_day(row)) <= timedelta(days=1), row


# --- names -----------------------------------------------------------------------------------------------


def test_every_issuer_is_known(rows):
    named = {issuer for row in rows for issuer in row["issuers"].split(";") if issuer}
    assert named <= load_universe().issuers.keys()


def test_the_linker_finds_the_issuers_of_every_title(rows):
    linker = Linker(load_universe())
    for row in rows:
        wanted = set(filter(None, row["issuers"].split(";")))
        found = {mention.issuer for mention in linker.link(row["title"])}
        assert wanted <= found, row["title"]


# --- days ------------------------------------------------------------------------------------------------


def test_results_come_on_business_days_of_a_venue_of_the_issuer(rows):
    universe = load_universe()
    for row in rows:
        venues = {i.venue for issuer in filter(None, row["issuers"].split(";")) for i in universe.listings(issuer)}
        if row["event"] in RESULTS and venues:
            assert any(len(calendars.sessions(mic, local_day(row), local_day(row))) for mic in venues), row["title"]


@pytest.mark.parametrize(
    ("issuer", "zone", "clock"),
    [
        ("NVIDIA", "America/New_York", "16:20"),
        ("AMD", "America/New_York", "16:15"),
        ("AVGO", "America/New_York", "16:15"),
        ("TSMC", "Asia/Taipei", "13:30"),
        ("ASML", "Europe/Amsterdam", "07:00"),
    ],
)
def test_fixed_release_times_follow_the_clock_of_their_place(rows, issuer, zone, clock):
    # TSMC gave an outlook with its sales of January 2025, two hours after its fixed time: the news has the minute.
    exceptions = {"2025-02-10T07:24Z"}
    times = [
        datetime.strptime(row["published"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        for row in rows
        if row["issuers"].split(";")[0] == issuer and row["event"] in {"earnings", "guidance"}
        if "T" in row["published"] and row["published"] not in exceptions
    ]
    fixed = [time for time in times if time.strftime("%H:%M") == clock]
    assert len(fixed) >= 6
    assert len(fixed) == len(times)


def test_no_minute_where_only_habit_gives_it(rows):
    for row in rows:
        if row["issuers"] in {"MICRON", "LRCX", "AMAT", "KLAC"} and row["event"] in RESULTS:
            assert row["zone"] == "America/New_York", row["title"]


def test_the_stored_check_is_of_this_timeline_and_contradicts_nothing(rows):
    checks = list(csv.DictReader(embedded("checks.csv").splitlines()))
    assert [(c["published"], c["issuers"], c["event"]) for c in checks] == [
        (row["published"], row["issuers"], row["event"]) for row in rows
    ]
    assert {c["contradicted"] for c in checks} == {"no"}
    assert {c["news"] for c in checks} == {"confirmed", "not found", "no news in span"}


# --- the check -------------------------------------------------------------------------------------------


def event(published, title, issuers, kind="earnings", zone="America/New_York", hours=24):
    """An event of a day (hours=24) or of a minute (hours=0) that begins at `published`, UTC."""
    start = datetime.fromisoformat(published).replace(tzinfo=UTC)
    return Event(2, published[:10], zone, title, issuers, kind, start, start + timedelta(hours=hours))


def test_key_words_are_stems_concepts_and_figures_in_two_languages():
    assert key_words("Acme's profit jumps 5.30% to $1,250") == {"acm", "@profit", "@rise", "5.3", "1250"}
    assert key_words("某公司利润增长") == {"@profit", "@rise"}
    assert key_words("the of and") == frozenset()


def write_news(folder, *lines):
    folder.mkdir()
    text = "symbol,publishedDate,title,text\n" + "".join(f"X,{line},\n" for line in lines)
    (folder / "some_news.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_headline_confirms_on_the_day_and_the_next_only(tmp_path):
    told = "Qualcomm warns of unusual turbine maintenance in Reykjavik"
    # Other headlines make the words of the event rare: log(201 / 2) = 4.6 each.
    others = [f"2024-03-{day:02d} 12:00:00,Qualcomm item {day} {n}" for day in range(1, 21) for n in range(10)]
    title = "Turbine maintenance at Reykjavik site hits Qualcomm"
    for when, expected in [("03-04 23:30:00", 0), ("03-05 00:30:00", 1), ("03-06 23:30:00", 1), ("03-07 00:30:00", 0)]:
        folder = write_news(tmp_path / when[:8].replace(" ", "-"), *others, f"2024-{when},{told}")
        news = News(read_news(folder))
        days, zone = [date(2024, 3, 5)], "America/New_York"
        assert len(news.confirming(title, ("QCOM",), days, zone)) == expected, when
        assert news.confirming(title, ("MICRON",), days, zone) == []
        assert news.covers(("QCOM",), date(2024, 3, 5))
        assert not news.covers(("QCOM",), date(2024, 6, 5))
        assert not news.covers(("MICRON",), date(2024, 3, 5))


def test_unknown_columns_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(UnreadableInput, match="has no csv file"):
        read_news(tmp_path)
    (tmp_path / "a.csv").write_text("alpha,beta\n1,2\n", encoding="utf-8")
    with pytest.raises(UnreadableInput, match="columns are alpha, beta"):
        read_news(tmp_path)


FRIDAY = 100
"""Number of the session of 24 May 2024 when 2 January is number 0; the Monday after it is a holiday."""


def bars(symbol="NVDA", first=date(2024, 1, 2), number=120, jumps=None):
    """Sessions whose log returns alternate by one per cent; `jumps` replaces some (session number: return)."""
    sessions = calendars.sessions("XNYS", first, first + timedelta(days=2 * number))[:number].tolist()
    returns = np.where(np.arange(number) % 2, 0.01, -0.01)
    for i, jump in (jumps or {}).items():
        returns[i] = jump
    closes = dict(zip(sessions, np.exp(np.cumsum(returns)).tolist(), strict=True))
    flat = dict.fromkeys(sessions, 100.0)
    return sessions, closes, flat, load_universe().instrument(symbol)


def test_sigmas_by_formula():
    sessions, closes, flat, nvidia = bars(jumps={FRIDAY: 0.08})
    assert sessions[FRIDAY] == date(2024, 5, 24)
    series = abnormal_moves(nvidia, closes, flat)
    # 30 returns of +1% and 30 of -1%: mean 0, sample variance 60 * 1e-4 / 59.
    expected = 0.08 / math.sqrt(60 * 1e-4 / 59)
    assert series.sigmas[FRIDAY] == pytest.approx(expected)
    assert np.isnan(series.sigmas[:61]).all()
    # A benchmark that moves as the listing does leaves nothing, and nothing to measure it by.
    alone = abnormal_moves(nvidia, closes, closes)
    assert alone.session.tolist() == sessions
    assert np.isnan(alone.sigmas).all()


@pytest.mark.parametrize(
    ("start", "hours", "session"),
    [
        ("2024-05-24T12:00", 0, date(2024, 5, 24)),  # before the open: the same session
        ("2024-05-24T19:59", 0, date(2024, 5, 24)),  # a minute before the close
        ("2024-05-24T20:20", 0, date(2024, 5, 28)),  # after the close: the next, over the weekend and a holiday
        ("2024-05-24T04:00", 24, date(2024, 5, 28)),  # a day: the stronger of that session and the next
    ],
)
def test_the_session_that_could_react_first(start, hours, session):
    sessions, closes, flat, nvidia = bars(jumps={FRIDAY: 0.02, FRIDAY + 1: 0.08})
    move = first_move(event(start, "Nvidia beats", ("NVIDIA",), hours=hours), abnormal_moves(nvidia, closes, flat))
    assert move is not None
    assert move.session == session
    assert session in sessions


def test_no_move_without_bars():
    _, closes, flat, nvidia = bars()
    series = abnormal_moves(nvidia, closes, flat)
    assert first_move(event("2023-05-24T12:00", "Nvidia beats", ("NVIDIA",)), series) is None
    assert first_move(event("2025-05-23T12:00", "Nvidia beats", ("NVIDIA",)), series) is None


@pytest.mark.parametrize(
    ("title", "issuers", "kind", "expected"),
    [
        ("Acme beats estimates", ("AMD",), "earnings", 1),
        ("Acme misses estimates", ("AMD",), "guidance", -1),
        ("Acme beats but warns", ("AMD",), "earnings", 0),
        ("Acme beats Beta", ("AMD", "INTEL"), "earnings", 0),
        ("Acme beats estimates", ("AMD",), "merger", 0),
    ],
)
def test_direction_of_the_wording(title, issuers, kind, expected):
    assert stated_direction(event("2024-05-24T12:00", title, issuers, kind)) == expected


@pytest.mark.parametrize(
    ("sigmas", "before", "after", "expected"),
    [
        (4.0, 0.0, 0.0, "same way"),
        (0.5, 0.0, 0.0, "quiet"),
        (-2.9, 5.0, 5.0, "quiet"),
        (-4.0, 1.0, 1.0, "opposite"),
        (-4.0, math.nan, math.nan, "opposite"),
        (-4.0, 3.5, 0.0, "contradicts"),
        (-4.0, 0.0, 3.5, "contradicts"),
    ],
)
def test_verdict_on_good_results(sigmas, before, after, expected):
    good = event("2024-05-24T12:00", "Nvidia beats estimates", ("NVIDIA",))
    assert price_verdict(good, Move("NVDA", date(2024, 5, 24), sigmas, before, after)) == expected
    bad = event("2024-05-24T12:00", "Nvidia misses estimates", ("NVIDIA",))
    assert price_verdict(bad, Move("NVDA", date(2024, 5, 24), -sigmas, -before, -after)) == expected


def test_verdict_without_direction_or_bars():
    deal = event("2024-05-24T12:00", "Nvidia buys a firm", ("NVIDIA",), "merger")
    assert price_verdict(deal, None) == "no bars"
    assert price_verdict(deal, Move("NVDA", date(2024, 5, 24), -3.0, 0, 0)) == "moved"
    assert price_verdict(deal, Move("NVDA", date(2024, 5, 24), 2.9, 0, 0)) == "no direction"


@pytest.mark.parametrize(
    ("day", "kind", "issuers", "expected"),
    [
        ("2024-05-24", "earnings", ("NVIDIA",), "ok"),
        ("2024-05-27", "earnings", ("NVIDIA",), "not a business day"),  # Memorial Day
        ("2024-05-27", "earnings", ("TSMC",), "ok"),  # open in Taipei
        ("2024-05-25", "sales_figures", ("TSMC",), "not a business day"),  # a Saturday
        ("2024-05-25", "merger", ("NVIDIA",), ""),
        ("2024-05-25", "earnings", ("HUAWEI",), ""),  # without listings
    ],
)
def test_results_on_days_without_business(day, kind, issuers, expected):
    assert calendar_verdict(event(f"{day}T04:00", "Results", issuers, kind), ()) == expected


def test_halts_and_resumptions_are_looked_for_in_the_bars():
    sessions, closes, flat, nvidia = bars()
    halted = {day: close for i, (day, close) in enumerate(closes.items()) if not 90 <= i < 95}
    gap, traded = abnormal_moves(nvidia, halted, flat), abnormal_moves(nvidia, closes, flat)
    halt = event(f"{sessions[89]}T04:00", "Nvidia halts trading in its shares", ("NVIDIA",), "merger")
    resume = event(f"{sessions[94]}T04:00", "Nvidia shares to resume trading", ("NVIDIA",), "merger")
    assert calendar_verdict(halt, (gap,)) == "ok"
    assert calendar_verdict(halt, (traded,)) == "halt not seen"
    assert calendar_verdict(resume, (gap,)) == "ok"
    assert calendar_verdict(resume, (traded,)) == "resumption not seen"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2024-13-01,UTC,Nvidia tells something,NVIDIA,earnings,,,", "line 2"),
        ("2024-01-01,Mars/Base,Nvidia tells something,NVIDIA,earnings,,,", "line 2"),
        ("2024-01-01,UTC,Nvidia tells something,NVIDIAN,earnings,,,", "unknown issuer NVIDIAN"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "t.csv"
    path.write_text(",".join(COLUMNS) + f"\n{line}\n", encoding="utf-8")
    with pytest.raises(UnreadableInput, match=message):
        read_timeline(path)


def run_check(tmp_path, day):
    sessions, closes, flat, _ = bars(jumps={FRIDAY: 0.08, FRIDAY + 1: -0.08})
    prices = tmp_path / "prices"
    prices.mkdir()
    for name, values in (("NVDA", closes), ("SOX", flat)):
        lines = "".join(f"{session},{close!r}\n" for session, close in values.items())
        (prices / f"{name}.csv").write_text(f"date,close\n{lines}", encoding="utf-8")
    news = write_news(tmp_path / "news", "2024-05-24 12:00:00,Unrelated words about Nvidia")
    timeline, out = tmp_path / "t.csv", tmp_path / "out.csv"
    line = f"{day},America/New_York,Nvidia beats estimates by far,NVIDIA,earnings,,,"
    timeline.write_text(",".join(COLUMNS) + f"\n{line}\n", encoding="utf-8")
    arguments = ["--timeline", timeline, "--news", news, "--prices", prices, "--out", out]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result, list(csv.DictReader(out.read_text("utf-8").splitlines())), sessions


def test_the_command_writes_verdicts_and_no_headline(tmp_path):
    result, (row,), sessions = run_check(tmp_path, "2024-05-23")
    assert result.exit_code == 0, result.output
    assert (row["news"], row["price"], row["calendar"]) == ("no news in span", "same way", "ok")
    assert (row["symbol"], row["session"]) == ("NVDA", sessions[FRIDAY].isoformat())
    assert "Unrelated" not in result.output + (tmp_path / "out.csv").read_text("utf-8")


def test_the_command_fails_on_a_contradicted_day(tmp_path):
    # Good results dated on the session before a plunge that follows the real jump.
    result, (row,), sessions = run_check(tmp_path, "2024-05-28")
    assert result.exit_code == 1
    assert row["session"] == sessions[FRIDAY + 1].isoformat()
    assert (row["price"], row["contradicted"]) == ("contradicts", "yes")


def test_an_unusable_folder_is_one_line(tmp_path):
    (tmp_path / "t.csv").write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    folder = str(tmp_path / "empty")
    arguments = ["--timeline", str(tmp_path / "t.csv"), "--news", folder, "--prices", folder, "--out", folder + "/o"]
    result = CliRunner().invoke(check_timeline.main, arguments)
    assert result.exit_code == 1
    assert "has no csv file" in result.output
