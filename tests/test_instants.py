"""Dates and times: explicit forms only, the later reading of a doubt, and when a headline can be known."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.data.errors import BadInstant, MissingZone, UnknownName
from chipwire.data.instants import (
    Stamp,
    available_at,
    day_stamp,
    parse_stamp,
    read_article_day,
    read_dateline,
    zone_info,
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "at", "precision"),
    [
        ("2024-12-23T05:59Z", None, utc(2024, 12, 23, 5, 59), "minute"),
        ("2024-12-23 05:59:07+08:00", None, utc(2024, 12, 22, 21, 59, 7), "second"),
        ("2024-12-23T05:59:07.25-0500", None, utc(2024, 12, 23, 10, 59, 7, 250_000), "second"),
        ("2024-12-23 05:59:07 UTC", "Asia/Shanghai", utc(2024, 12, 23, 5, 59, 7), "second"),
        ("2024/12/23 05:59", "America/New_York", utc(2024, 12, 23, 10, 59), "minute"),
        ("2024-07-01 05:59", "America/New_York", utc(2024, 7, 1, 9, 59), "minute"),
        ("Mon, 23 Dec 2024 05:59:07 GMT", None, utc(2024, 12, 23, 5, 59, 7), "second"),
        ("23 Dec 2024 00:59 EST", None, utc(2024, 12, 23, 5, 59), "minute"),
        ("Mon, 23 Dec 2024 13:59:00 +0800", None, utc(2024, 12, 23, 5, 59), "second"),
        ("2024-12-23", "Asia/Shanghai", utc(2024, 12, 22, 16), "day"),
    ],
)
def test_known_forms(text: str, zone: str | None, at: datetime, precision: str) -> None:
    stamp = parse_stamp(text, zone)
    assert (stamp.at, stamp.precision) == (at, precision)
    assert stamp.zone == (zone if precision == "day" else None)


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "23", "12/27/2024", "2024-13-01T00:00Z", "2024-02-30", "2024-12-23T24:00Z", "20241223",
        "2024-12-23T05:59:60Z", "2024-12-23T05:59+15:00", "Tue, 23 Dec 2024 05:59:00 GMT", "２０２４-12-23",
        "23 Dec 2024 05:59 CEST", "2024-W52-1", "1734933540",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadInstant):
        parse_stamp(text, "UTC")


@pytest.mark.parametrize("text", ["2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2099-01-01"])
def test_implausible_years_are_refused_with_the_bounds(text: str) -> None:
    with pytest.raises(BadInstant, match="outside 1990 to 2050"):
        parse_stamp(text, "UTC")


@pytest.mark.parametrize("text", ["2024-12-23 05:59", "2024-12-23", "23 Dec 2024 05:59:00"])
def test_a_naive_time_needs_a_zone(text: str) -> None:
    with pytest.raises(MissingZone, match="--tz"):
        parse_stamp(text)


def test_an_unknown_zone_names_its_neighbour() -> None:
    with pytest.raises(UnknownName, match="Europe/Amsterdam"):
        zone_info("Europe/Amsterdm")


def test_clock_changes_take_the_later_reading() -> None:
    # 01:30 on 3 November 2024 came twice in New York: at 05:30 and at 06:30 UTC.
    assert parse_stamp("2024-11-03 01:30", "America/New_York").at == utc(2024, 11, 3, 6, 30)
    # 02:30 on 10 March 2024 never came; read by the winter offset (-5) it is 07:30 UTC, by the summer one 06:30.
    assert parse_stamp("2024-03-10 02:30", "America/New_York").at == utc(2024, 3, 10, 7, 30)


def test_available_from_published_or_first_seen() -> None:
    published = parse_stamp("2024-12-23T05:59Z")
    assert available_at(published, None) == published.at
    assert available_at(published, published.at - timedelta(days=3)) == published.at
    assert available_at(published, published.at + timedelta(days=3)) == published.at + timedelta(days=3)


def test_a_day_is_known_when_it_has_ended_in_its_zone_or_when_it_was_seen() -> None:
    day = day_stamp(date(2024, 12, 27), "America/New_York")
    end = utc(2024, 12, 28, 5)
    assert available_at(day, None) == end
    assert available_at(day, utc(2024, 12, 27, 5)) == utc(2024, 12, 27, 5)
    assert available_at(day, utc(2024, 12, 27, 15)) == utc(2024, 12, 27, 15)
    assert available_at(day, utc(2025, 1, 15)) == utc(2025, 1, 15)
    # Seen before the day began: one of the two is wrong, so only the day is believed.
    assert available_at(day, utc(2024, 12, 27, 4, 59)) == end


def test_days_of_23_and_25_hours_end_at_local_midnight() -> None:
    assert available_at(day_stamp(date(2024, 3, 10), "America/New_York"), None) == utc(2024, 3, 11, 4)
    assert available_at(day_stamp(date(2024, 11, 3), "America/New_York"), None) == utc(2024, 11, 4, 5)
    # Lebanon changes its clock at midnight: 31 March 2024 began at 01:00 summer time, 22:00 UTC.
    assert available_at(day_stamp(date(2024, 3, 30), "Asia/Beirut"), None) == utc(2024, 3, 30, 22)


@given(
    st.datetimes(datetime(1991, 1, 1), datetime(2049, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["UTC", "America/New_York", "Asia/Shanghai", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_reading_a_local_time_never_comes_before_it_and_says_its_instant(local: datetime, zone: str) -> None:
    stamp = parse_stamp(local.strftime("%Y-%m-%d %H:%M:%S"), zone)
    local = local.replace(microsecond=0)
    both = [local.replace(tzinfo=zone_info(zone), fold=fold).astimezone(UTC) for fold in (0, 1)]
    assert stamp.at == max(both)
    assert available_at(day_stamp(local.date(), zone), None) > stamp.at


@pytest.mark.parametrize(
    "line",
    ["27.12.2024", "December 27, 2024", "Friday, 27 December 2024", "Dec. 27, 2024", "2024-12-27", "2024年12月27日"],
)
def test_article_date_lines(line: str) -> None:
    assert read_article_day(line) == date(2024, 12, 27)


@pytest.mark.parametrize(
    "line", ["12/27/2024", "Monday, December 27, 2024", "31.02.2024", "27.12.2099", "27.12.24", "on 27.12.2024", "May"]
)
def test_lines_that_are_no_date(line: str) -> None:
    assert read_article_day(line) is None


def test_a_dateline_counts_only_when_its_two_zones_agree() -> None:
    assert read_dateline("July 8, 2024 09:30 ET (13:30 GMT)") == Stamp(utc(2024, 7, 8, 13, 30), "minute")
    assert read_dateline("January 8, 2024 23:30 ET (04:30 GMT)") == Stamp(utc(2024, 1, 9, 4, 30), "minute")
    assert read_dateline("July 8, 2024 09:30 PT (16:30 GMT)") == Stamp(utc(2024, 7, 8, 16, 30), "minute")
    assert read_dateline("July 8, 2024 09:30 ET (14:30 GMT)") is None
    assert read_dateline("July 8, 2024 09:30 ET") is None
    assert read_dateline("Undecember 8, 2024 09:30 ET (13:30 GMT)") is None
    assert read_dateline("July 8, 2024 29:30 ET (13:30 GMT)") is None
