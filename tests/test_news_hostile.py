"""Bad input: one line for a file that cannot be used, a reject for a row, and all good rows are kept."""

import csv
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chipwire.data.errors import WriteFailed
from chipwire.data.news import NewsSummary, ingest_news
from chipwire.data.warehouse import Warehouse

RESOURCES = Path(__file__).parent / "resources" / "hostile"
HEADER = "title,published\n"
GOOD = "Maker ships,2024-07-01T09:30Z\n"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as opened:
        yield opened


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "good.csv").write_text(HEADER + GOOD)
    return folder


def check(summary: NewsSummary) -> dict[str, str]:
    """Check the counts and that each reason is one line; return reasons by file name."""
    for file in summary.files:
        assert file.rows_read == file.added + file.duplicates + file.rejected
    for _, reason in summary.unreadable:
        assert reason == " ".join(reason.split())
        assert len(reason) < 400
    return {Path(path).name: reason for path, reason in summary.unreadable}


def test_every_bad_file_gets_a_line_and_the_good_one_goes_in(warehouse: Warehouse, inbox: Path) -> None:
    bad = {
        "empty.csv": (b"", "is empty"),
        "page.csv": (b"<!doctype html>\n<html><title>Sign in</title>", "html page"),
        "page.html.jsonl": (b"<html></html>", "html page"),
        "truncated.parquet": (b"PAR1\x15\x04\x15\x10", "not a whole parquet file"),
        "text.parquet": (b"title,published\n", "not a parquet file"),
        "sheet.csv": (b"PK\x03\x04\x14", "Office file"),
        "utf16.csv": ((HEADER + GOOD).encode("utf-16-le"), "byte order mark"),
        "bomb.rss.gz": (gzip.compress(b"<rss>" + bytes(100 << 20)), "more than 64 MiB"),
        "lies.csv.gz": (b"\x1f\x8b not gzip", "damaged"),
        "laughs.xml": (b'<!DOCTYPE x [<!ENTITY a "b">]><rss version="2.0"></rss>', "document type or entities"),
        "catalog.xml": (b"<catalog/>", "not a readable RSS or Atom feed"),
        "columns.csv": (b"alpha,beta\n1,2\n", "no column recognised as title"),
        "naive.csv": (b"title,published\nMaker,2024-07-01 09:30\n", "--tz"),
        "broken.json": (b'[{"title": "x"', "broken JSON"),
        "latin.txt": ("Un café où l'on parle".encode("latin-1"), "not valid UTF-8 at byte 6"),
    }
    for name, (content, _) in bad.items():
        (inbox / name).write_bytes(content)
    summary = ingest_news(warehouse, [inbox, inbox / "missing.csv"])
    reasons = check(summary)
    assert reasons.keys() == {*bad, "missing.csv"}
    for name, (_, expected) in bad.items():
        assert expected in reasons[name], name
    assert reasons["missing.csv"] == "no such file"
    assert summary.added == 1
    listed = warehouse.rows("SELECT file, line FROM reject")
    assert sorted(listed) == sorted((path, 0) for path, _ in summary.unreadable)


def test_files_of_a_folder_that_are_of_no_known_kind_are_rejects(warehouse: Warehouse, inbox: Path) -> None:
    for name in ("page.html", "tool.exe", "sub/notes.md", ".hidden.html", ".git/page.html"):
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).write_text("x")
    summary = ingest_news(warehouse, [inbox])
    assert [Path(path).name for path, _ in summary.skipped] == ["page.html", "tool.exe", "notes.md"]
    assert [Path(path).name for path, _ in summary.passed_over] == [".hidden.html"]
    assert (summary.unreadable, summary.rejected, [Path(file.path).name for file in summary.files]) == (
        (), 0, ["good.csv"],
    )  # fmt: skip
    listed = warehouse.rows("SELECT file, line, reason FROM reject ORDER BY file")
    assert listed == sorted((path, 0, reason) for path, reason in summary.skipped)
    assert all(
        "not a known kind of file (.csv," in reason and "name the file itself" in reason for *_, reason in listed
    )
    # A second ingest finds nothing new to say.
    before = warehouse.rows("SELECT * FROM batch ORDER BY ALL")
    assert ingest_news(warehouse, [inbox]).skipped == summary.skipped
    assert warehouse.rows("SELECT * FROM batch ORDER BY ALL") == before


def test_the_warehouse_and_what_lies_beside_it_is_no_input(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "w.duckdb.spill-7").mkdir()
    (tmp_path / "w.duckdb.spill-7" / "block.tmp").write_text("x")
    (tmp_path / "w.duckdb.old").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.duckdb").write_text("x")
    summary = ingest_news(warehouse, [tmp_path])
    own = {Path(path).name for path, _ in summary.passed_over}
    assert (
        {"w.duckdb", "w.duckdb.lock", "block.tmp"} <= own <= {"w.duckdb", "w.duckdb.lock", "w.duckdb.wal", "block.tmp"}
    )
    # Another file of a like name, or of the same name elsewhere, is not the warehouse.
    assert {path for path, _ in summary.skipped} == {str(tmp_path / "w.duckdb.old"), str(tmp_path / "sub" / "w.duckdb")}


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.txt", "x.csv.gz", "x.parquet"])
def test_a_table_without_rows_is_a_file_that_cannot_be_used(warehouse: Warehouse, inbox: Path, name: str) -> None:
    if name == "x.parquet":
        pq.write_table(
            pa.table({"title": pa.array([], pa.string()), "published": pa.array([], pa.string())}), inbox / name
        )
    else:
        text = HEADER.replace(",", "\t" if name == "x.tsv" else ",").encode()
        (inbox / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    summary = ingest_news(warehouse, [inbox])
    assert check(summary) == {name: "has a header and no rows"}
    assert [Path(file.path).name for file in summary.files] == ["good.csv"]
    assert warehouse.rows("SELECT file, line, reason FROM reject") == [
        (str(inbox / name), 0, "has a header and no rows")
    ]


def test_a_table_of_bad_rows_only_has_rows(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(HEADER + "Maker,2024-07-01T09:30Z,more\n")
    summary = ingest_news(warehouse, [tmp_path / "x.csv"])
    assert (check(summary), summary.rejected) == ({}, 1)


def test_a_feed_without_news_is_no_fault(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "x.rss").write_text('<rss version="2.0"><channel><title>Feed</title></channel></rss>')
    assert check(ingest_news(warehouse, [tmp_path / "x.rss"])) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(warehouse: Warehouse, inbox: Path) -> None:
    (inbox / "good.csv").chmod(0)
    assert check(ingest_news(warehouse, [inbox])) == {"good.csv": "no permission to read it"}


def test_no_permission_as_the_system_says_it(
    warehouse: Warehouse, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refused(path: Path, *mode: Any, **more: Any) -> Any:
        if path.name == "good.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *mode, **more)

    monkeypatch.setattr(Path, "open", refused)
    assert check(ingest_news(warehouse, [inbox])) == {"good.csv": "no permission to read it"}


def test_a_socket_or_device_is_no_file(warehouse: Warehouse) -> None:
    assert check(ingest_news(warehouse, ["/dev/null"])) == {"null": "is not a regular file"}


def test_a_megabyte_of_a_headline(warehouse: Warehouse, inbox: Path) -> None:
    long = "x" * (1 << 20)
    (inbox / "long.csv").write_text(f"{HEADER}{long},2024-07-01T09:30Z\nAfter,2024-07-01T09:31Z\n")
    (inbox / "long.jsonl").write_text(json.dumps({"title": long, "published": "2024-07-01T09:30Z"}))
    summary = ingest_news(warehouse, [inbox])
    check(summary)
    assert (summary.added, summary.rejected) == (2, 2)
    for reason, excerpt in warehouse.rows("SELECT reason, excerpt FROM reject"):
        assert "1,048,576 characters" in reason
        assert len(excerpt) <= 200


def test_long_bodies_and_summaries_are_rejected(warehouse: Warehouse, inbox: Path) -> None:
    for role in ("summary", "body"):
        row = {"title": f"Long {role}", "published": "2024-07-01T09:30Z", role: "word " * 200_001}
        (inbox / f"{role}.jsonl").write_text(json.dumps(row))
    (inbox / "article.txt").write_text("A title\n\n" + "word " * 250_000)
    summary = ingest_news(warehouse, [inbox])
    assert (summary.added, summary.rejected) == (1, 3)


def test_naughty_strings_go_in_or_are_rejected_and_none_vanishes(warehouse: Warehouse, tmp_path: Path) -> None:
    naughty = json.loads((RESOURCES / "blns.json").read_text(encoding="utf-8"))
    with (tmp_path / "n.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["title", "published", "source", "url", "ticker", "language"])
        writer.writerows([text, "2024-07-01T09:30Z", text, text, "A", text] for text in naughty)
    with (tmp_path / "n.jsonl").open("w", encoding="utf-8") as file:
        for text in naughty:
            row = {"title": text, "published": "2024-07-01T09:30Z", "source": text, "summary": text, "url": text}
            file.write(json.dumps(row) + "\n")
    summary = ingest_news(warehouse, [tmp_path / "n.csv", tmp_path / "n.jsonl"])
    assert not check(summary)
    assert [file.rows_read for file in summary.files] == [len(naughty), len(naughty)]
    assert summary.added > 200
    # Both spell the same strings, so the second file brings no title that the first did not.
    assert summary.files[1].added == 0
    reasons = {reason for (reason,) in warehouse.rows("SELECT DISTINCT reason FROM reject")}
    assert all("title" in reason or "ticker" in reason for reason in reasons)
    for (url,) in warehouse.rows("SELECT DISTINCT url FROM headline WHERE url IS NOT NULL"):
        assert url.startswith(("http://", "https://"))


def test_values_of_dates_cannot_break_out_of_their_cell(warehouse: Warehouse, inbox: Path) -> None:
    values = ["infinity", "-infinity", "'; DROP TABLE headline; --", "2024-07-01T09:30Z\x00", "NaN", "0", "\u202e2024"]
    rows = "".join(json.dumps({"title": f"T{n}", "published": value}) + "\n" for n, value in enumerate(values))
    (inbox / "x.jsonl").write_text(rows)
    summary = ingest_news(warehouse, [inbox])
    assert (summary.added, summary.rejected) == (1, len(values))


@pytest.mark.parametrize("value", [5, True, None, ["a"], {"title": "x"}, 1.5])
def test_cells_of_other_types(warehouse: Warehouse, tmp_path: Path, value: object) -> None:
    rows = [
        {"title": value, "published": "2024-07-01T09:30Z"},
        {"title": "a", "published": value},
        {
            "title": "b",
            "published": "2024-07-01T09:30Z",
            "source": value,
            "tickers": value,
            "url": value,
            "lang": value,
        },
        {"title": "c", "published": "2024-07-01T09:30Z", "first_seen": value, "summary": value, "body": value},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    summary = ingest_news(warehouse, [tmp_path / "x.jsonl"])
    check(summary)
    assert summary.rows_read == 4
    assert warehouse.value("SELECT count(*) FROM headline WHERE title = 'b'") == 1


def test_names_of_files_need_not_be_text(warehouse: Warehouse, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")
    Path(path).write_text(HEADER + ",\n")
    summary = ingest_news(warehouse, [path])
    assert summary.rejected == 1
    assert warehouse.value("SELECT file FROM reject").endswith("caf\ufffd.csv")


def test_a_full_disk_keeps_earlier_batches(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text(HEADER + GOOD)
    (tmp_path / "b.csv").write_text(HEADER + "Other,2024-07-01T09:30Z\n")
    ingest_news(warehouse, [tmp_path / "a.csv"])
    insert = Warehouse.insert

    def full(self: Warehouse, name: str, rows: object) -> int:
        insert(self, name, rows)
        raise WriteFailed(self.path, "No space left on device")

    monkeypatch.setattr(Warehouse, "insert", full)
    with pytest.raises(WriteFailed, match="No space left"):
        ingest_news(warehouse, [tmp_path / "b.csv"])
    assert warehouse.rows("SELECT title FROM headline") == [("Maker ships",)]
