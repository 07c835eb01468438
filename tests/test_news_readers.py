"""Files of every shape become rows, and what is no row costs no other row."""

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipwire.data.errors import UnknownName, UnreadableInput, UnrecognisedColumns
from chipwire.data.feeds import read_feed
from chipwire.data.files import ByteSource, content_kind, discover
from chipwire.data.json_readers import read_json, read_jsonl
from chipwire.data.profiles import choose_profile, looks_like_header, profiles, recognise
from chipwire.data.readers import Chunk, read_csv, read_parquet

Reader = Callable[[ByteSource], Iterator[Chunk]]


def rows(path: Path, reader: Reader) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    """Return all rows as dicts, and (line, reason) of all rejects."""
    found: list[dict[str, object]] = []
    rejected: list[tuple[int, str]] = []
    source = ByteSource(str(path))
    for chunk in reader(source):
        columns = [chunk.column(name) for name in chunk.names]
        found += [dict(zip(chunk.names, cells, strict=True)) for cells in zip(*columns, strict=True)]
        rejected += [(reject.line, reject.reason) for reject in chunk.rejects]
    source.close()
    return found, rejected


def csv_rows(path: Path, date: int | None = None) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    return rows(path, lambda source: read_csv(source, lambda header: date))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


Write = Callable[[str, str | bytes], Path]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n", [("1", "2")]),
        ("a,b\r\n1,2\r\n", [("1", "2")]),
        ("a,b\n1,2", [("1", "2")]),
        ("a;b\n1,5;2\n", [("1,5", "2")]),
        ("a\tb\n1\t2\n", [("1", "2")]),
        ("a|b\n1|2\n", [("1", "2")]),
        ('a,b\n"x, y",2\n', [("x, y", "2")]),
        ('a,b\n1,""\n', [("1", "")]),
        ('a,b\n"say ""yes""",2\n', [('say "yes"', "2")]),
        ('a,b\n"one\ntwo",2\n3,4\n', [("one\ntwo", "2"), ("3", "4")]),
        ('a,b\r\n"one\r\ntwo",2\r\n', [("one\r\ntwo", "2")]),
        ('a,b,c\n"one\ntwo",2,3\n', [("one\ntwo", "2", "3")]),
        ('a,b\n1,"{""k"": [1.0, ""v""]}"\n', [("1", '{"k": [1.0, "v"]}')]),
        ("a,b\n37°36'37.8\"N,x\n", [("37°36'37.8\"N", "x")]),
        ("\n\na,b\n\n1,2\n\n", [("1", "2")]),
        ("\ufeffa,b\n1,ʤ\n", [("1", "ʤ")]),
        ("a,b\r1,2\r3,4\r", [("1", "2"), ("3", "4")]),
    ],
)
def test_csv_shapes(write: Write, text: str, expected: list[tuple[str, str]]) -> None:
    found, rejected = csv_rows(write("x.csv", text))
    assert [tuple(row.values()) for row in found] == expected
    assert not rejected
    assert all(set(row) <= {"a", "b", "c"} for row in found)


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), min_size=2, max_size=2).filter(
            lambda cells: any(cells)
        ),
        max_size=8,
    )
)
def test_csv_gives_back_what_the_standard_writer_wrote(tmp_path: Path, table: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["alpha", "beta"], *table])
    path = tmp_path / "x.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    found, rejected = csv_rows(path)
    # A cell whose own lines look like whole rows of the table is given up on purpose; nothing else is.
    assert rejected or [list(row.values()) for row in found] == table


def test_a_quote_that_is_never_closed_costs_its_own_line(write: Write) -> None:
    good = [f'2024-01-{day:02d},"Maker {day}, ships",x' for day in range(1, 21)]
    lines = [*good[:5], '2024-02-01,"Broken title,x', *good[5:]]
    found, rejected = csv_rows(write("x.csv", "\n".join(["date,title,source", *lines]) + "\n"), date=0)
    assert len(found) == 20
    assert [line for line, _ in rejected] == [7]


@pytest.mark.parametrize("after", ['2024-01-02,plain title,x"', "2024-01-02,plain title,x", '"2024-01-02",t,x'])
def test_a_swallowed_row_is_given_back(write: Write, after: str) -> None:
    text = f'date,title,source\n2024-01-01,t,"open\n{after}\n2024-01-03,last,x\n'
    found, rejected = csv_rows(write("x.csv", text), date=0)
    assert [row["date"] for row in found] == ["2024-01-02", "2024-01-03"]
    assert [line for line, _ in rejected] == [2]


def test_an_open_quote_at_the_end_loses_no_row_before_or_after(write: Write) -> None:
    text = 'date,title,source\n2024-01-01,a,x\n2024-01-02,"b,x\n2024-01-03,c,x\n2024-01-04,d,x\n'
    found, rejected = csv_rows(write("x.csv", text), date=0)
    assert [row["title"] for row in found] == ["a", "c", "d"]
    assert rejected[0][0] == 3


def test_an_open_quote_before_very_many_lines_stays_cheap_and_exact(write: Write) -> None:
    tail = "".join(f"2024-01-01,title {i},x\n" for i in range(3000))
    found, rejected = csv_rows(write("x.csv", 'date,title,source\n2024-01-01,"open,x\n' + tail), date=0)
    assert len(found) == 3000
    assert rejected == [(2, "quoting is broken: a quote is not closed within 1,000 lines")]


def test_rows_of_a_wrong_width_are_rejected_alone(write: Write) -> None:
    found, rejected = csv_rows(write("x.csv", "a,b\n1,2\n1,2,3\n1\n3,4\n"))
    assert [tuple(row.values()) for row in found] == [("1", "2"), ("3", "4")]
    assert rejected == [(3, "3 cells where the header has 2"), (4, "1 cells where the header has 2")]


def test_bad_bytes_cost_their_own_record(write: Write) -> None:
    text = b'a,b\nna\xc3\xafve,1\ncaf\xe9,2\n"two\nb\xe9d\nlines",3\nok,4\n'
    found, rejected = csv_rows(write("x.csv", text))
    assert [row["b"] for row in found] == ["1", "4"]
    assert rejected == [
        (3, f"not valid UTF-8 at byte {text.index(bytes([0xE9]) + b',')}"),
        (4, f"not valid UTF-8 at byte {text.index(bytes([0xE9]) + b'd')}"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_encodings(write: Write, encoding: str) -> None:
    text = "日期,标题\n2024-01-01,示例晶圆厂获得新的订单\n2024-01-02,第二座工厂提前投产\n"
    found, rejected = csv_rows(write("x.csv", text.encode(encoding)))
    assert [row["标题"] for row in found] == ["示例晶圆厂获得新的订单", "第二座工厂提前投产"]
    assert not rejected


def test_western_bytes_are_not_taken_for_chinese(write: Write) -> None:
    found, rejected = csv_rows(write("x.csv", "a,b\ncafés für alle,2\nplain,3\n".encode("latin-1")))
    assert [row["a"] for row in found] == ["plain"]
    assert [line for line, _ in rejected] == [2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "html page"),
        (b"\n <HTML lang='en'>", "html page"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"%PDF-1.7", "PDF"),
        ("a,b\n1,2\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (bytes(range(256)) * 4 + bytes(200), "binary"),
        (b'a,"b\n1,2\n', "quotes in its header"),
        (b"caf\xe9,b\n1,2\n", "header"),
    ],
)
def test_what_is_no_table_is_refused_by_name(write: Write, content: bytes, reason: str) -> None:
    path = write("x.csv", content)
    with pytest.raises(UnreadableInput, match=reason) as caught:
        _read_as_csv(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def _read_as_csv(path: Path) -> None:
    source = ByteSource(str(path))
    content_kind(source)
    list(read_csv(source, lambda header: None))


def test_json_lines(write: Write) -> None:
    lines = [
        '{"t": "one", "n": 1}',
        "",
        '{"t": "two"',
        '{"t": NaN}',
        '{"t": -Infinity}',
        '["list"]',
        "[" * 100_000,
        '{"t": "\\ud800"}',
        '{"t": ' + "1" * 5000 + "}",
        '{"t": "Nvidia up", "n": 1, "t": "Intel down"}',
        '{"t": "one", "n": {"a": 1, "a": 2}}',
        '{"t": "one", "n": [1, [{"b": {"c": 1, "c": 2}}]]}',
        '{"t": "br[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ackets"}',
    ]
    found, rejected = rows(write("x.jsonl", "\n".join(lines)), read_jsonl)
    assert [row["t"] for row in found] == ["one", "\ud800", json.loads(lines[-1])["t"]]
    assert [line for line, _ in rejected] == [3, 4, 5, 6, 7, 9, 10, 11, 12]
    reasons = dict(rejected)
    assert "broken JSON" in reasons[3]
    assert "NaN" in reasons[4]
    assert "no JSON object but list" in reasons[6]
    assert "nested deeper than 32" in reasons[7]
    assert [reasons[line] for line in (10, 11, 12)] == [f"has the key '{key}' twice" for key in "tac"]


def test_json_arrays(write: Write) -> None:
    found, rejected = rows(
        write("x.json", '[{"t": "one"}, 5, {"t": Infinity}, {"t": "two"}, {"t": "a", "t": "b"}]'), read_json
    )
    assert [row["t"] for row in found] == ["one", "two"]
    assert [line for line, _ in rejected] == [2, 3, 5]
    assert rejected[-1][1] == "has the key 't' twice"
    with pytest.raises(UnreadableInput, match="broken JSON"):
        rows(write("y.json", '[{"t": "one"}, {'), read_json)


def test_parquet_brings_dates_as_text(write: Write, tmp_path: Path) -> None:
    stamps = pa.array([0, 1_000_000], pa.timestamp("us"))
    table = pa.table(
        {
            "title": pa.array(["one", "two"]).dictionary_encode(),
            "naive": stamps,
            "aware": stamps.cast(pa.timestamp("ms")).cast(pa.timestamp("ms", tz="Asia/Tokyo")),
            "day": pa.array([0, 1], pa.date32()),
            "tickers": [["A"], None],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    found, _ = rows(tmp_path / "x.parquet", read_parquet)
    assert found[1] == {
        "title": "two",
        "naive": "1970-01-01 00:00:01.000000",
        "aware": "1970-01-01 00:00:01.000000Z",
        "day": "1970-01-02",
        "tickers": None,
    }
    whole = (tmp_path / "x.parquet").read_bytes()
    packed = write("y.parquet.gz", gzip.compress(whole))
    assert content_kind(ByteSource(str(packed))) == "parquet"
    assert rows(packed, read_parquet)[0] == found
    for cut in (len(whole) // 2, len(whole) - 3, 20):
        with pytest.raises(UnreadableInput, match="not a whole parquet file"):
            rows(write("cut.parquet", whole[:cut]), read_parquet)
    with pytest.raises(UnreadableInput, match="not a parquet file"):
        content_kind(ByteSource(str(write("text.parquet", "title,date\n"))))


RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>Example Feed</title><language>en-gb</language><link>https://example.org/</link>
<item><title>Maker &amp;amp; partner ship</title><link>https://example.org/1</link>
<description>&lt;p&gt;In &lt;b&gt;two&lt;/b&gt; plants&lt;/p&gt;</description>
<pubDate>Mon, 23 Dec 2024 05:59:00 GMT</pubDate></item>
<item><title>Second</title><link>javascript:alert(1)</link></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Example Atom</title>
<entry><title>Only updated</title><link href="https://example.org/2"/><updated>2024-12-23T05:59:00Z</updated></entry>
</feed>"""


def test_feeds(write: Write) -> None:
    (first, second), _ = rows(write("x.rss", RSS), read_feed)
    assert first["feed_published"] == "Mon, 23 Dec 2024 05:59:00 GMT"
    assert (first["feed_source"], first["feed_language"]) == ("Example Feed", "en-gb")
    assert first["feed_link"] == "https://example.org/1"
    assert second["feed_published"] is None
    (entry,), _ = rows(write("x.atom", ATOM), read_feed)
    assert (entry["feed_title"], entry["feed_published"]) == ("Only updated", "2024-12-23T05:59:00Z")


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>',
        '<!DOCTYPE rss SYSTEM "http://example.org/rss.dtd">',
        '<!DOCTYPE rss [<!ENTITY file SYSTEM "file:///etc/hostname">]>',
    ],
)
@pytest.mark.parametrize("before", ['<?xml version="1.0"?>', '<?xml version="1.0"?><broken & '])
def test_feeds_with_entities_are_refused(write: Write, declaration: str, before: str) -> None:
    with pytest.raises(UnreadableInput, match="document type or entities"):
        rows(write("x.xml", before + declaration + RSS.partition("?>")[2]), read_feed)


def test_what_is_no_feed_is_said(write: Write) -> None:
    with pytest.raises(UnreadableInput, match="not a readable RSS or Atom feed"):
        rows(write("x.xml", "<catalog><part/></catalog>"), read_feed)


def test_a_gzip_bomb_is_stopped_at_its_limit(write: Write) -> None:
    bomb = write("x.rss.gz", gzip.compress(RSS.encode() + b" " * (80 << 20)))
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(UnreadableInput, match="more than 64 MiB after unpacking"):
        rows(bomb, read_feed)


def test_a_cut_gzip_keeps_the_rows_before_the_cut(write: Write) -> None:
    lines = "".join(f"2024-01-01,title {i * 7919 % 100_003}\n" for i in range(50_000))
    packed = gzip.compress(("date,title\n" + lines).encode())
    source = ByteSource(str(write("x.csv.gz", packed[: len(packed) // 2])))
    kept: list[int] = []
    with pytest.raises(UnreadableInput, match="damaged or cut short"):
        kept.extend(line for chunk in read_csv(source, lambda header: 0) for line in chunk.lines)
    assert kept == list(range(2, len(kept) + 2))
    assert 10_000 < len(kept) < 40_000


def test_overlong_lines_are_rejected_alone(write: Write) -> None:
    path = write("x.jsonl", b'{"t": "a"}\n{"t": "' + b"x" * (17 << 20) + b'"}\n{"t": "b"}\n')
    found, rejected = rows(path, read_jsonl)
    assert [row["t"] for row in found] == ["a", "b"]
    assert rejected == [(2, "a line longer than 8 MiB")]


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    (tmp_path / "q.csv").write_text("x")
    found = {Path(item.path).name: item.problem for item in discover([tmp_path])}
    assert found == {"p.csv": "is not a regular file; name a pipe itself to have it read", "q.csv": None}
    assert [item.problem for item in discover([tmp_path / "p.csv"])] == [None]


def test_folders_globs_and_missing_files(tmp_path: Path) -> None:
    for name in ("b.csv", "a.txt", "sub/c.jsonl.gz", "sub/notes.md", ".hidden.csv", "data.bin"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    found = list(discover([tmp_path, tmp_path / "b.csv", f"{tmp_path}/*.txt", "missing.csv", "no*thing", "-"]))
    used = [item.path for item in found if not item.problem]
    assert used == [*(str(tmp_path / name) for name in ("a.txt", "b.csv", "sub/c.jsonl.gz")), "-"]
    skipped = {Path(item.path).name for item in found if item.skipped}
    assert skipped == {"notes.md", ".hidden.csv", "data.bin"}
    problems = {item.path: item.problem for item in found if item.problem and not item.skipped}
    assert problems == {"missing.csv": "no such file", "no*thing": "no file matches the pattern"}


@pytest.mark.parametrize("order", [("", "notes.md"), ("notes.md", "")])
def test_a_file_that_its_folder_skips_is_read_where_it_is_named_too(tmp_path: Path, order: tuple[str, str]) -> None:
    (tmp_path / "notes.md").write_text("x")
    found = list(discover([tmp_path / name for name in order]))
    assert [(Path(item.path).name, item.skipped) for item in found] == [("notes.md", False)]


def test_profiles_are_told_apart_by_their_headers() -> None:
    for profile in profiles():
        header = sorted(profile.columns)
        assert recognise(header).name == profile.name
        assert set(profile.roles) <= {
            "title", "summary", "body", "url", "source", "published", "first_seen", "tickers", "language", "zone"
        }  # fmt: skip
    assert recognise(["Headline", "Date Published", "Link"]).roles == {
        "title": "Headline",
        "published": "Date Published",
        "url": "Link",
    }
    assert recognise(["title", "published_utc"]).zone == "UTC"
    assert recognise(["id", "date", "title", "summary", "extra"]).name == "generic"


def test_the_users_words_win_over_a_profile() -> None:
    header = ["date", "source", "headline"]
    assert choose_profile("x", header, {}, None).day_zone == "America/New_York"
    chosen = choose_profile("x", header, {"title": "source"}, "Asia/Tokyo")
    assert (chosen.roles["title"], chosen.zone, chosen.day_zone) == ("source", "Asia/Tokyo", None)


def test_unrecognised_columns_name_what_was_found_and_what_to_give() -> None:
    with pytest.raises(UnrecognisedColumns, match=r"'kop', 'datum'.*--map title=kop,published=datum"):
        choose_profile("x.csv", ["kop", "datum"], {}, None)
    with pytest.raises(UnknownName, match="did you mean 'datum'"):
        choose_profile("x.csv", ["kop", "datum"], {"published": "datun"}, None)
    assert not looks_like_header(["Maker ships", "the date was set"])
