"""``ingest_news``: every row accounted for, one headline a story, the same result in any order."""

import csv
import io
import json
import random
import sys
from collections.abc import Iterator
from datetime import datetime as moment
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipwire.data import news, readers
from chipwire.data.errors import InputError, MissingZone, UnknownName
from chipwire.data.news import NewsProgress, NewsSummary, ingest_news
from chipwire.data.warehouse import Warehouse

TEXT = "Example Foundry said its second plant would open a year early, after orders filled the first one. " * 3


def at(*parts: int) -> moment:
    """Return an instant as the warehouse holds it: UTC without a zone."""
    return moment(*parts)  # noqa: DTZ001


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as opened:
        yield opened


def table(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def stored(warehouse: Warehouse, columns: str = "title") -> list[tuple[object, ...]]:
    return warehouse.rows(f"SELECT {columns} FROM headline ORDER BY title, headline_id")


def check_counts(summary: NewsSummary) -> None:
    for file in summary.files:
        assert file.rows_read == file.added + file.duplicates + file.rejected
        assert file.newly_dated <= file.duplicates
        assert file.undated <= file.added


def test_a_stock_news_table(warehouse: Warehouse, tmp_path: Path) -> None:
    header = "symbol,publishedDate,title,image,site,text,url"
    first = table(
        tmp_path / "AAA_news.csv",
        header,
        "AAA,2024-07-01 09:30:00,Makers rise | Reuters,i,https://www.example.com/,Chips &amp; more,https://e.org/1",
        "AAA,2024-12-02 09:30:00,Makers fall,i,example.com,,https://e.org/2",
    )
    second = table(
        tmp_path / "BBB_news.csv",
        header,
        "BBB,2024-07-01 09:30:00,Makers Rise,i,example.com,Chips,https://other.org/1",
    )
    summary = ingest_news(warehouse, [first, second])
    check_counts(summary)
    assert (summary.rows_read, summary.added, summary.duplicates, summary.tickers_added) == (3, 2, 1, 3)
    columns = "title, summary, source, url, published_at, published_precision, available_at, language, dated_by"
    assert stored(warehouse, columns) == [
        # 09:30 in New York is 14:30 UTC in winter and 13:30 in summer.
        (
            "Makers fall", None, "example.com", "https://e.org/2", at(2024, 12, 2, 14, 30), "second",
            at(2024, 12, 2, 14, 30), "en", "row",
        ),
        (
            "Makers rise", "Chips & more", "example.com", "https://e.org/1", at(2024, 7, 1, 13, 30), "second",
            at(2024, 7, 1, 13, 30), "en", "row",
        ),
    ]  # fmt: skip
    assert warehouse.rows("SELECT ticker FROM headline_ticker ORDER BY ticker") == [("AAA",), ("AAA",), ("BBB",)]
    raw = warehouse.rows("SELECT title_raw FROM headline WHERE title_raw IS NOT NULL")
    assert raw == [("Makers rise | Reuters",)]


def test_a_google_news_table_keeps_the_publisher_out_of_the_title(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "description", "published date", "url", "publisher"])
        for publisher in ({"href": "https://e.org", "title": "Ann's Daily"}, {"href": "", "title": 'The "E" Post'}):
            name = publisher["title"]
            writer.writerow([f"Maker ships - {name}", "x", "2022-01-04", "https://e.org/1", str(publisher)])
    summary = ingest_news(warehouse, [path])
    assert (summary.added, summary.duplicates) == (1, 1)
    assert stored(warehouse, "title, source, published_at, published_zone, available_at") == [
        ("Maker ships", "Ann's Daily", at(2022, 1, 4, 5), "America/New_York", at(2022, 1, 5, 5))
    ]


def test_days_feeds_and_timelines(warehouse: Warehouse, tmp_path: Path) -> None:
    wire = table(tmp_path / "w.csv", "date,source,headline", '2019-03-06,wire,"Maker , rival settle in the U . S ."')
    zh = table(
        tmp_path / "z.csv",
        "date_cst,first_seen_commit_utc,title,url,commit",
        "2021-05-06,2021-05-06T04:00:00Z,示例晶圆厂投产,https://e.org/z,abc",
    )
    rss = table(
        tmp_path / "r.csv",
        "published_utc,first_seen_commit_utc,feed,title,url,commit",
        "2025-06-12 22:14,2025-06-26T16:35:49-05:00,Example,Collected late,https://e.org/r,abc",
    )
    line = table(
        tmp_path / "t.csv",
        "published,zone,title,issuers,event,theme,publisher,reported_on",
        "2024-12-02T15:05Z,America/New_York,Rule published,X,ban,s,Agency,2024-12-02",
        "2024-12-03,Asia/Shanghai,Answer given,X,ban,s,Ministry,2024-12-03",
    )
    summary = ingest_news(warehouse, [wire, zh, rss, line])
    check_counts(summary)
    assert stored(warehouse, "title, language, available_at, source") == [
        ("Answer given", "en", at(2024, 12, 3, 16), "Ministry"),
        ("Collected late", "en", at(2025, 6, 26, 21, 35, 49), "Example"),
        ("Maker, rival settle in the U.S.", "en", at(2019, 3, 7, 5), "wire"),
        ("Rule published", "en", at(2024, 12, 2, 15, 5), "Agency"),
        ("示例晶圆厂投产", "zh", at(2021, 5, 6, 4), None),
    ]
    assert summary.by_language == {"en": 4, "zh": 1}


def test_json_lines_and_parquet_give_what_csv_gives(warehouse: Warehouse, tmp_path: Path) -> None:
    row = {"title": "Maker ships", "published_at": "2024-07-01T09:30:00Z", "source": "Post", "tickers": "AAA"}
    table(tmp_path / "a.csv", ",".join(row), ",".join(row.values()))
    nested = {**row, "source": {"id": 1, "name": "Post"}, "tickers": ["BBB", "AAA"]}
    (tmp_path / "b.jsonl").write_text(json.dumps(nested))
    (tmp_path / "c.json").write_text(json.dumps([row]))
    stamps = pa.array([at(2024, 7, 1, 9, 30)], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"title": ["Maker ships"], "published_at": stamps}), tmp_path / "d.parquet")
    summary = ingest_news(warehouse, [tmp_path])
    assert (summary.added, summary.duplicates, summary.tickers_added) == (1, 3, 2)
    # The warehouse itself is nobody's news: neither counted nor a reject.
    assert {str(tmp_path / "w.duckdb"), str(tmp_path / "w.duckdb.lock")} <= {item[0] for item in summary.passed_over}
    assert summary.skipped == ()
    assert warehouse.value("SELECT count(*) FROM reject") == 0


def test_text_that_is_no_text_in_parquet_costs_its_row(warehouse: Warehouse, tmp_path: Path) -> None:
    good, bad = b"Maker ships", b"Maker \xff"
    columns = {"title": pa.array([good, bad], pa.binary()).view(pa.string()), "published": ["2024-07-01T09:30Z"] * 2}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    summary = ingest_news(warehouse, [tmp_path / "x.parquet"])
    assert (summary.added, summary.rejected) == (1, 1)
    assert warehouse.rows("SELECT line, reason FROM reject") == [(2, "not valid UTF-8")]


def test_a_feed_and_standard_input(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    feed = (
        '<rss version="2.0"><channel><title>Example Feed</title><item><title>Maker &amp;#38; co ship</title>'
        "<link>javascript:alert(1)</link><pubDate>Mon, 23 Dec 2024 05:59:00 GMT</pubDate></item></channel></rss>"
    )

    class Input:
        buffer = io.BytesIO(feed.encode())

    monkeypatch.setattr(sys, "stdin", Input())
    ingest_news(warehouse, ["-"])
    assert stored(warehouse, "title, url, source, published_at") == [
        ("Maker & co ship", None, "Example Feed", at(2024, 12, 23, 5, 59))
    ]


def test_unknown_columns_are_mapped_by_the_user(warehouse: Warehouse, tmp_path: Path) -> None:
    path = table(tmp_path / "nl.csv", "kop;datum", "Fabriek levert;2024-07-01 09:30")
    summary = ingest_news(warehouse, [path])
    ((_, reason),) = summary.unreadable
    assert "--map" in reason
    assert "'kop', 'datum'" in reason
    mapping = {"title": "kop", "published": "datum"}
    ((_, reason),) = ingest_news(warehouse, [path], column_map=mapping).unreadable
    assert "--tz" in reason
    assert ingest_news(warehouse, [path], column_map=mapping, zone="Europe/Amsterdam").added == 1
    assert stored(warehouse, "published_at") == [(at(2024, 7, 1, 7, 30),)]


def test_wrong_options_are_refused_before_any_file_is_read(warehouse: Warehouse) -> None:
    with pytest.raises(UnknownName, match="did you mean 'title'"):
        ingest_news(warehouse, [], column_map={"titel": "x"})
    with pytest.raises(UnknownName, match="time zone"):
        ingest_news(warehouse, [], zone="Mars/Olympus")
    with pytest.raises(MissingZone):
        ingest_news(warehouse, [], published="2024-07-01 09:30")
    with pytest.raises(InputError, match="no known date form"):
        ingest_news(warehouse, [], published="last week")


def test_midnights_throughout_are_days(warehouse: Warehouse, tmp_path: Path) -> None:
    days = table(tmp_path / "d.csv", "title,published", "One,2024-07-01 00:00:00", "Two,2024-07-02 00:00:00")
    ingest_news(warehouse, [days], zone="America/New_York")
    assert stored(warehouse, "published_precision, available_at") == [
        ("day", at(2024, 7, 2, 4)),
        ("day", at(2024, 7, 3, 4)),
    ]
    mixed = table(tmp_path / "m.csv", "title,published", "Three,2024-07-01T00:00:00Z", "Four,2024-07-02T00:00:01Z")
    ingest_news(warehouse, [mixed])
    assert warehouse.rows("SELECT DISTINCT published_precision FROM headline ORDER BY 1") == [("day",), ("second",)]


@pytest.mark.parametrize("order", [1, -1])
def test_midnights_are_days_only_where_no_row_of_the_file_has_a_time(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    monkeypatch.setattr(readers, "CHUNK_ROWS", 2)
    rows = [f"Story {day},2024-07-0{day} 00:00:00Z" for day in range(1, 7)] + ["Story 7,2024-07-07 09:30:00Z"]
    ingest_news(warehouse, [table(tmp_path / "d.csv", "title,published", *rows[::order])])
    assert stored(warehouse, "published_precision, available_at") == [
        *(("second", at(2024, 7, day)) for day in range(1, 7)),
        ("second", at(2024, 7, 7, 9, 30)),
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_a_row_without_a_zone_costs_itself_wherever_it_stands(warehouse: Warehouse, tmp_path: Path, order: int) -> None:
    rows = ["One,2024-07-01 09:30:00", "Two,2024-07-01 09:30:00Z"]
    summary = ingest_news(warehouse, [table(tmp_path / "z.csv", "title,published", *rows[::order])])
    assert [(file.added, file.rejected) for file in summary.files] == [(1, 1)]
    assert stored(warehouse) == [("Two",)]


def test_bad_rows_are_kept_as_rejects_with_file_line_and_reason(warehouse: Warehouse, tmp_path: Path) -> None:
    path = table(
        tmp_path / "x.csv",
        "title,published,url",
        "Good,2024-07-01T09:30Z,https://e.org",
        ",2024-07-01T09:30Z,",
        "From the future,2099-01-01T00:00Z,",
        "Naive,2024-07-01 09:30,",
        "No date at all,,",
        "Nonsense,soon,",
        '"broken,2024-07-01T09:30Z,',
        "Last,2024-07-01T09:31Z,",
    )
    summary = ingest_news(warehouse, [path])
    check_counts(summary)
    (file,) = summary.files
    assert (file.rows_read, file.added, file.rejected, file.undated) == (8, 3, 5, 1)
    rejects = warehouse.rows("SELECT line, reason, excerpt FROM reject WHERE file = ? ORDER BY line", [str(path)])
    assert [line for line, _, _ in rejects] == [3, 4, 5, 7, 8]
    reasons = {line: reason for line, reason, _ in rejects}
    assert reasons[3] == "no title"
    assert "outside 1990 to 2050" in reasons[4]
    assert "--tz" in reasons[5]
    assert "no known date form" in reasons[7]
    assert rejects[1][2] == "From the future,2099-01-01T00:00Z,"
    assert stored(warehouse, "title, available_at IS NULL") == [
        ("Good", False),
        ("Last", False),
        ("No date at all", True),
    ]


def digest(warehouse: Warehouse) -> list[object]:
    tables = ("headline", "headline_ticker", "reject", "batch")
    return [warehouse.table_digest(table) for table in tables]


def test_a_second_ingest_adds_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    table(tmp_path / "a.csv", "title,published,ticker", "One,2024-07-01T09:30Z,A", "Two,2024-07-01T09:30Z,B", ",,")
    (tmp_path / "b.txt").write_text(f"A title\n\n{TEXT}")
    first = ingest_news(warehouse, [tmp_path])
    before = digest(warehouse)
    again = ingest_news(warehouse, [tmp_path])
    check_counts(again)
    assert (first.added, again.added, again.duplicates, again.rejected) == (3, 0, 3, first.rejected)
    assert digest(warehouse) == before


SEEN = st.sampled_from(["", "2024-07-01T10:00Z", "2024-07-01T11:00Z", "2024-07-03T00:00Z", "2024-06-01T00:00Z"])
ROW = st.tuples(
    st.sampled_from(["Maker ships", "MAKER SHIPS!", "Rival waits"]),
    st.sampled_from(["2024-07-01T09:30Z", "2024-07-01T17:30:00+08:00", "2024-07-01", ""]),
    SEEN,
    st.sampled_from(["", "AAA", "BBB", "AAA;BBB"]),
)


@settings(max_examples=40)
@given(st.lists(ROW, min_size=1, max_size=8), st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_order_of_rows_and_files_does_not_matter(
    warehouse: Warehouse, tmp_path: Path, rows: list[tuple[str, ...]], order: random.Random, files: int
) -> None:
    known = "headline_id, published_at, published_precision, first_seen_at, available_at, dated_by"
    results = []
    for _ in range(2):
        for number in range(files):
            part = [",".join(row) for row in rows[number::files]]
            table(tmp_path / f"{number}.csv", "title,published,first_seen,tickers", *part)
        for number in order.sample(range(files), files):
            check_counts(ingest_news(warehouse, [tmp_path / f"{number}.csv"], zone="America/New_York"))
        tickers = warehouse.rows("SELECT * FROM headline_ticker ORDER BY ALL")
        results.append((stored(warehouse, known), tickers))
        for name in ("headline", "headline_ticker", "batch"):
            warehouse.run(f"DELETE FROM {name}")
        order.shuffle(rows)
    # Titles that differ in print alone are stored as they came first, so they sort by chance.
    assert [sorted(part, key=str) for part in results[0]] == [sorted(part, key=str) for part in results[1]]


def test_whose_text_stays_does_not_depend_on_the_order_of_rows(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [
        "Maker ships,2024-07-01T09:30Z,,https://e.org/2,,AAA",
        "MAKER SHIPS!,2024-07-01T09:30Z,Longer text,,Wire,BBB",
        "Maker ships,2024-07-01T09:30Z,,https://e.org/1,Other,CCC",
        "Maker ships,2024-07-01T09:30:00Z,,,Other,AAA",
    ]
    found = []
    for order in permutations(rows):
        path = table(tmp_path / "a.csv", "title,published,summary,url,source,tickers", *order)
        check_counts(ingest_news(warehouse, [path]))
        tickers = warehouse.rows("SELECT ticker FROM headline_ticker ORDER BY ALL")
        found.append((stored(warehouse, "* EXCLUDE (batch_id)"), tickers))
        for name in ("headline", "headline_ticker", "batch"):
            warehouse.run(f"DELETE FROM {name}")
    assert len(found[0][0]) == 1
    assert all(each == found[0] for each in found)


def test_an_earlier_sighting_moves_availability_and_a_later_one_does_not(warehouse: Warehouse, tmp_path: Path) -> None:
    def seen(when: str) -> moment:
        path = table(tmp_path / "s.csv", "title,published,first_seen", f"Maker ships,2024-07-01T09:30Z,{when}")
        ingest_news(warehouse, [path])
        return warehouse.value("SELECT available_at FROM headline")

    assert seen("2024-07-02T00:00Z") == at(2024, 7, 2)
    assert seen("2024-07-03T00:00Z") == at(2024, 7, 2)
    assert seen("2024-07-01T10:00Z") == at(2024, 7, 1, 10)
    assert seen("2024-06-01T00:00Z") == at(2024, 7, 1, 9, 30)


def test_an_undated_article_is_dated_by_the_user_once(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "article.txt"
    path.write_text(f"Rally Lifts Foundries\n\n{TEXT}\n\nRelated Article\n\n13.09.2024\n")
    first = ingest_news(warehouse, [path])
    assert (first.added, first.undated) == (1, 1)
    columns = "headline_id, published_at, published_precision, available_at, dated_by, source"
    ((key, *undated),) = stored(warehouse, columns)
    assert undated == [None, None, None, None, "article"]
    dated = ingest_news(warehouse, [path], published="2024-09-12", zone="America/New_York")
    check_counts(dated)
    assert (dated.added, dated.duplicates, dated.newly_dated) == (0, 1, 1)
    expected = (key, at(2024, 9, 12, 4), "day", at(2024, 9, 13, 4), "user", "article")
    assert stored(warehouse, columns) == [expected]
    # The same date again changes nothing, another is refused with both.
    assert ingest_news(warehouse, [path], published="2024-09-12", zone="America/New_York").newly_dated == 0
    conflict = ingest_news(warehouse, [path], published="2024-09-14T10:00Z")
    check_counts(conflict)
    assert conflict.rejected == 1
    ((reason,),) = warehouse.rows("SELECT reason FROM reject")
    assert "2024-09-12" in reason
    assert "2024-09-14 10:00 UTC" in reason
    ingest_news(warehouse, [path])
    assert stored(warehouse, columns) == [expected]


def test_a_date_in_the_text_wins_over_nothing_and_contradicts_the_users(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"Rally Lifts Foundries\n\n12.09.2024\n\n{TEXT}")
    conflict = ingest_news(warehouse, [path], published="2024-09-14")
    assert (conflict.added, conflict.rejected) == (0, 1)
    assert ingest_news(warehouse, [path], published="2024-09-12T15:00Z", source="Post").added == 1
    assert stored(warehouse, "published_at, published_precision, dated_by, source") == [
        (at(2024, 9, 12), "day", "text", "Post")
    ]


def test_rows_without_a_date_column_need_the_users_date(warehouse: Warehouse, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "title,url", "Maker ships,https://e.org")
    assert "published" in ingest_news(warehouse, [path]).unreadable[0][1]
    assert ingest_news(warehouse, [path], published="2024-09-12T10:00Z").added == 1
    assert stored(warehouse, "available_at, dated_by") == [(at(2024, 9, 12, 10), "user")]


def test_batches_are_transactions_and_an_interrupt_loses_one(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"Title {n},2024-07-01T09:30Z" for n in range(25)]
    path = table(tmp_path / "x.csv", "title,published", *rows)
    monkeypatch.setattr(news, "BATCH_ROWS", 10)
    insert, calls = Warehouse.insert, []

    def interrupted(self: Warehouse, name: str, data: object) -> int:
        calls.append(name)
        done = insert(self, name, data)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Warehouse, "insert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ingest_news(warehouse, [path])
    assert warehouse.value("SELECT count(*) FROM headline") == 10
    assert warehouse.rows("SELECT rows_read, rows_added FROM batch") == [(10, 10)]
    summary = ingest_news(warehouse, [path])
    assert (summary.added, summary.duplicates) == (15, 10)


def test_progress_is_told_in_bytes_and_rows(warehouse: Warehouse, tmp_path: Path) -> None:
    paths = [table(tmp_path / f"{n}.csv", "title,published", f"T{n},2024-07-01T09:30Z") for n in range(2)]
    told: list[NewsProgress] = []
    ingest_news(warehouse, paths, on_progress=told.append)
    size = sum(path.stat().st_size for path in paths)
    assert [(item.path, item.rows_read) for item in told] == [(str(paths[0]), 1), (str(paths[1]), 2)]
    assert told[-1].bytes_read == told[-1].bytes_total == size


def test_many_files_share_a_batch(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = tmp_path / "articles"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.txt").write_text(f"Title number {number}\n\n{TEXT}")
    assert ingest_news(warehouse, [folder]).added == 12
    assert warehouse.rows("SELECT input FROM batch") == [(f"{folder / '0.txt'} and 11 more",)]


def test_nothing_of_the_store_reads_a_clock() -> None:
    for name in ("news.py", "headlines.py", "headline_store.py", "instants.py"):
        text = (Path(news.__file__).parent / name).read_text(encoding="utf-8")
        assert "now(" not in text
        assert "today(" not in text
