"""The command line as a user meets it: exit codes, one-line errors, stdout for data only."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from chipwire.cli import cli, main
from chipwire.data.errors import counted
from chipwire.data.warehouse import Warehouse, load_sql


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run chipwire in an empty folder and return (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    return call


def one_line(err: str) -> str:
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def test_help_answers_for_every_command_in_both_forms() -> None:
    for arguments in ([], ["ingest"], ["ingest", "news"], ["backtest"], ["runs", "list"]):
        for flag in ("-h", "--help"):
            result: Result = CliRunner().invoke(cli, [*arguments, flag])
            assert result.exit_code == 0
            assert "Example" in result.output


def test_usage_errors_exit_with_2(run) -> None:
    assert run("no-such-command")[0] == 2
    assert run("backtest", "theme-momentum")[0] == 2
    assert run("backtest", "x", "--start", "2024-13-01", "--end", "2024-12-01")[0] == 2
    assert run("backtest", "theme-momentum", "-p", "top_k", "--start", "2024-01-01", "--end", "2024-02-01")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score"], "does not exist"),
        (["signals"], "does not exist"),
        (["signals", "--show"], "does not exist"),
        (["runs", "list"], "does not exist"),
        (["report", "--out", "out"], "does not exist"),
        (["strategies", "show", "theme-momentun"], "did you mean 'theme-momentum'"),
        (["universe", "show", "SMICC"], "did you mean 'SMIC'"),
        (["--universe", "nowhere", "universe", "list"], "neither universe.toml nor listings.csv"),
        (["--config", "nowhere.toml", "universe", "list"], "nowhere.toml"),
    ],
)
def test_a_domain_error_is_one_line_and_exit_1(run, arguments: list[str], says: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert says in one_line(err)


def test_a_stage_without_input_names_the_command_that_makes_it(run, tmp_path: Path) -> None:
    (tmp_path / "news.csv").write_text("published,title,url\n2024-05-06T10:00:00Z,Rain in Leeds,\n", "utf-8")
    run("ingest", "news", "news.csv")
    assert "chipwire score" in one_line(run("signals")[2])
    assert "neither a directory nor a hub id" in one_line(run("score", "--model", "no-such-folder")[2])
    assert "chipwire ingest prices" in one_line(run("backtest", "equal-weight", *SPAN)[2])
    assert "chipwire backtest" in one_line(run("report", "--out", "out")[2])


SPAN = ("--start", "2024-01-02", "--end", "2024-03-01")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["backtest", "theme-momentum", "-p", "topk=3", *SPAN], "did you mean 'top_k'"),
        (["backtest", "theme-momentum", "-p", "top_k=0", *SPAN], "from 1 to 50"),
        (["backtest", "theme-momentum", "-p", "themes=chips", *SPAN], "ai_models, localization, sanctions, none"),
        (["backtest", "equal-weight", "--start", "2024-03-01", "--end", "2024-01-01"], "must not lie after"),
        (["backtest", "equal-weight", "--capital", "nan", *SPAN], "capital"),
        (["backtest", "equal-weight", "--participation", "1.5", *SPAN], "participation"),
        (["backtest", "equal-weight", "--fee-multiple", "-1", *SPAN], "fee_multiple"),
        (["backtest", "equal-weight", "--instruments", ",", *SPAN], "--instruments ',' names nothing"),
        (["backtest", "equal-weight", "--instruments", "", *SPAN], "--instruments '' names nothing"),
        (["backtest", "equal-weight", "--benchmarks", " , ", *SPAN], "--benchmarks ' , ' names nothing"),
        (["backtest", "targets-file", "-p", "path=nowhere.csv", *SPAN], "is not a file"),
    ],
)
def test_a_backtest_that_makes_no_sense_is_one_line(run, arguments: list[str], says: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert says in one_line(err)


def test_listings_print_json_and_csv_on_stdout(run) -> None:
    code, out, err = run("universe", "list", "--json")
    assert (code, err) == (0, "")
    assert {row["symbol"] for row in json.loads(out)} >= {"688981.SS", "0981.HK", "NVDA"}
    code, out, _ = run("strategies", "list", "--csv")
    assert out.splitlines()[0] == "name,from,what"


def test_good_rows_are_kept_bad_ones_listed_and_the_call_exits_1(run, tmp_path: Path) -> None:
    good, bad = "2024-05-06T10:00:00Z,Hua Hong plans a new fab,", "2099-01-01T00:00:00Z,AMD opens an office,"
    news = f"published,title,url\n{good}\n{bad}\n"
    (tmp_path / "news.csv").write_text(news, "utf-8")
    code, out, err = run("ingest", "news", "news.csv", "nowhere.csv")
    assert (code, out) == (1, "")
    assert "1 headline added" in err
    assert "nowhere.csv" in err
    code, out, _ = run("rejects", "--json")
    rows = {(Path(row["file"]).name, row["line"]): row["reason"] for row in json.loads(out)}
    assert code == 0
    assert rows.keys() == {("news.csv", 3), ("nowhere.csv", 0)}
    assert "2099" in rows["news.csv", 3]


def test_rejects_of_one_line_have_one_order(run, tmp_path: Path) -> None:
    # The same rejects, stored in two orders: a price file has several of a line, one for each instrument.
    columns = ("batch_id", "file", "line", "reason", "excerpt")
    rows = [(1, "a.csv", 3, f"revised: close 5 stored, {n % 7} given", f"row {n:02}") for n in range(20)]
    found = set()
    for number, given in enumerate((rows, rows[::-1])):
        path = tmp_path / f"{number}.duckdb"
        with Warehouse.open(path, write=True) as warehouse:
            warehouse.insert("reject", pa.table(dict(zip(columns, zip(*given, strict=True), strict=True))))
            notes = warehouse.rows(load_sql("chipwire.engine.validation", "data_bars_revised.sql"))
        found.add((str(notes), run("--db", str(path), "rejects", "--csv", "--limit", "5")[1]))
    assert len(found) == 1


def test_rejects_say_how_many_more_there_are(run, tmp_path: Path) -> None:
    for name, count in (("a.csv", 2), ("b.csv", 52)):
        rows = "".join(f"2099-01-01,Rain in town {number},\n" for number in range(count))
        (tmp_path / name).write_text("published,title,url\n" + rows, "utf-8")
        run("ingest", "news", name, "--tz", "UTC")
    code, out, err = run("rejects", "--json")
    assert [(row["batch_id"], row["line"]) for row in json.loads(out)] == [(2, line) for line in range(2, 52)]
    assert (code, one_line(err)) == (0, "4 more not shown; --limit 54 lists all")
    code, out, err = run("rejects", "--json", "--limit", "54")
    assert [row["batch_id"] for row in json.loads(out)] == [2] * 52 + [1] * 2
    assert (code, err) == (0, "")


def test_the_first_reject_quoted_is_of_this_call(run, tmp_path: Path) -> None:
    # Line 4 is known from the first call and so not stored again: neither the oldest nor the newest batch tells it.
    head, good, bad = "published,title,url\n", "2024-05-06,Rain in town {0},\n", "2099-01-01,Rain in town {0},\n"
    for broken in ([2, 4], [4, 5], [5]):
        lines = [(bad if line in broken else good).format(line) for line in range(2, 6)]
        (tmp_path / "st.csv").write_text(head + "".join(lines), "utf-8")
        code, _, err = run("ingest", "news", "st.csv", "--tz", "UTC")
        assert code == 1
        assert f"st.csv line {broken[0]}: " in err.splitlines()[-1]


def test_rejects_of_a_file_without_one_good_rate_are_told_with_line_and_reason(run, tmp_path: Path) -> None:
    (tmp_path / "fx.csv").write_text("date,USDCNY\n2024-06-03,-7\n2024-06-04,0\n2024-06-05,nan\n", "utf-8")
    for kind in ("fx", "prices"):
        code, _, err = run("ingest", kind, "fx.csv")
        assert code == 1
        assert "3 rows could not be used, the first is fx.csv line 2: CNY -7 is no rate;" in one_line(err)


def test_a_settings_file_gives_defaults_and_options_win(run, tmp_path: Path) -> None:
    (tmp_path / "chipwire.toml").write_text('db = "mine.duckdb"\n[rejects]\nlimit = 1\n', "utf-8")
    (tmp_path / "news.csv").write_text("published,title,url\n2099-01-01,a b,\n2098-01-01,c d,\n", "utf-8")
    run("ingest", "news", "news.csv", "--tz", "UTC")
    assert (tmp_path / "mine.duckdb").exists()
    assert len(json.loads(run("rejects", "--json")[1])) == 1
    assert len(json.loads(run("rejects", "--json", "--limit", "5")[1])) == 2


def test_an_empty_folder_is_an_error(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    code, _, err = run("ingest", "news", "in")
    assert code == 1
    assert one_line(err) == "error: in: has no csv, jsonl, parquet, feed or article in it"


def test_an_empty_folder_beside_a_full_one_is_named(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "news.csv").write_text("published,title\n2024-05-06T10:00:00Z,TSMC reports sales\n", "utf-8")
    code, _, err = run("ingest", "news", "full", "in")
    assert code == 1
    assert "1 headline added" in err
    assert err.splitlines()[-1] == "error: in: has no csv, jsonl, parquet, feed or article in it"


def test_what_is_said_of_skipped_files_can_be_typed(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "news.csv").write_text(
        "published,title,url\n2024-05-06T10:00:00Z,TSMC reports sales,\n", "utf-8"
    )
    (tmp_path / "in" / "tool.exe").write_bytes(b"MZ")
    code, _, err = run("ingest", "news", "in")
    assert code == 0
    assert "1 file skipped, of no known kind; 'chipwire rejects' lists them" in err
    assert "tool.exe" not in err
    assert "tool.exe" in run("-v", "ingest", "news", "in")[2]
    assert [row["file"] for row in json.loads(run("rejects", "--json")[1])] == [str(Path("in", "tool.exe"))]


def test_a_folder_of_unknown_files_only_does_not_pass_in_silence(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.html", "b.html"):
        (tmp_path / "in" / name).write_text("<html></html>", "utf-8")
    code, _, err = run("ingest", "news", "in")
    assert code == 1
    assert "in it (2 files of no known kind; 'chipwire rejects' lists them)" in one_line(err)
    listed = {row["file"] for row in json.loads(run("rejects", "--json")[1])}
    assert listed == {str(Path("in", "a.html")), str(Path("in", "b.html")), "in"}


@pytest.mark.parametrize(
    ("kind", "name", "header"),
    [("news", "n.csv", "title,published"), ("prices", "NVDA.csv", "date,open,high,low,close")],
)
def test_a_csv_without_rows_is_one_line_and_exit_1(run, tmp_path: Path, kind: str, name: str, header: str) -> None:
    (tmp_path / name).write_text(header + "\n", "utf-8")
    code, _, err = run("ingest", kind, name)
    assert (code, one_line(err)) == (1, f"error: {name}: has a header and no rows")


def test_a_file_of_no_bars_is_one_line_and_no_table(run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a,b\n1,2\n")
    code, out, err = run("ingest", "prices", "p.csv")
    assert (code, out) == (1, "")
    assert "no column for date" in one_line(err)
    assert run("ingest", "prices", "p.csv", "--json")[:2] == (1, "[]\n")


def test_an_empty_name_is_shown_as_one(run) -> None:
    assert one_line(run("ingest", "news", "")[2]) == "error: '': No such file or directory"


def test_an_fx_column_of_an_unknown_currency_is_one_line_and_exit_1(run, tmp_path: Path) -> None:
    (tmp_path / "fx.csv").write_text("date,USDCNY,USDXYZ\n2024-06-03,7.25,3\n", "utf-8")
    code, _, err = run("ingest", "fx", "fx.csv")
    assert code == 1
    assert "1 CNY rate added" in err
    assert "column 'USDXYZ' is not taken: XYZ is no active code of ISO 4217" in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0, "row"), "0 rows"),
        ((1, "row"), "1 row"),
        ((2, "row"), "2 rows"),
        ((1234, "row"), "1,234 rows"),
        ((1, "row differs", "rows differ"), "1 row differs"),
        ((0, "row differs", "rows differ"), "0 rows differ"),
    ],
)
def test_only_one_is_counted_in_the_singular(given: tuple[int, str], said: str) -> None:
    assert counted(*given) == said


def test_a_single_thing_is_not_spoken_of_as_many(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "news.csv").write_text(
        "published,title,url,ticker\n,SMIC wins a large order for mature chips,,SMIC\n", "utf-8"
    )
    (tmp_path / "in" / "tool.exe").write_bytes(b"MZ")
    (tmp_path / "fx.csv").write_text("date,USDCNY\n2024-06-03,7.1\n", "utf-8")
    (tmp_path / "actions.csv").write_text(
        "instrument,ex_date,kind,value,currency\nNVDA,2024-06-11,dividend,0.01,USD\n", "utf-8"
    )
    told = run("ingest", "news", "in")[2]
    assert "1 ticker noted as the source filed it\n" in told
    assert "1 headline carries no date and stays out of backtests; date it with --published\n" in told
    assert "1 file skipped" in told
    assert "1 CNY rate added" in run("ingest", "fx", "fx.csv")[2]
    assert "1 action added" in run("ingest", "actions", "actions.csv")[2]
    told = run("score")[2]
    assert "1 headline linked, 1 names an issuer, 1 mention\n" in told
    assert "1 score of named issuers" in told
    told = run("signals")[2]
    assert "1 scored headline has no date and gives no signal; date it with --published\n" in told
    dated = run("ingest", "news", "in/news.csv", "--published", "2024-06-03", "--tz", "UTC")[2]
    assert "1 headline that had no date is dated now\n" in dated
    assert "from 1 headline (" in run("signals")[2]
    rows = {row["check"]: row["detail"] for row in json.loads(run("doctor", "--json")[1])}
    assert (rows["fx_rate"], rows["run"]) == ("1 row", "0 rows")
    (tmp_path / "lines.txt").write_text("Nvidia raises its guidance\n", "utf-8")
    assert "1 headline read\n" in run("explain", "--file", "lines.txt")[2]


def test_quiet_says_nothing_when_all_is_well(run, tmp_path: Path) -> None:
    (tmp_path / "news.csv").write_text("published,title,url\n2024-05-06T10:00:00Z,TSMC reports sales,\n", "utf-8")
    assert run("-q", "ingest", "news", "news.csv") == (0, "", "")


def test_a_second_writer_gets_one_line_with_the_holder(run, tmp_path: Path) -> None:
    import os

    from chipwire.data.warehouse import Warehouse

    with Warehouse.open(tmp_path / "chipwire.duckdb", write=True, command="a long score"):
        code, _, err = run("score")
    assert code == 1
    assert f"pid {os.getpid()} (a long score)" in one_line(err)
