"""Each shape of a price file is recognised, and what is wrong with one is said in a line."""

import gzip
from datetime import date

import numpy as np
import pytest

from chipwire.data.errors import (
    BadParameter,
    DuplicateColumns,
    InputError,
    UnknownName,
    UnreadableInput,
    WrongInstrument,
)
from chipwire.data.price_files import parse_floats, parse_stamps, read_prices, symbol_of_file
from chipwire.data.tables import read_table, table_files
from chipwire.data.universe import load_universe

UNIVERSE = load_universe()
DAYS = "2024-06-03,10,12,9,11,1000\n2024-06-04,11,13,10,12,2000\n"
HEAD = "date,open,high,low,close,volume\n"


def read(folder, name, content, **options):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_prices(read_table(str(path)), UNIVERSE, **options)


def test_a_plain_csv_named_after_its_instrument(tmp_path):
    found = read(tmp_path, "NVDA.csv", HEAD + DAYS)
    (bars,) = found.bars
    assert bars.instrument.symbol == "NVDA"
    assert bars.interval == "1d"
    assert bars.session.tolist() == [date(2024, 6, 3), date(2024, 6, 4)]
    assert bars.prices.tolist() == [[10, 12, 9, 11], [11, 13, 10, 12]]
    assert bars.volume.tolist() == [1000, 2000]
    assert bars.line.tolist() == [2, 3]
    assert found.rejects == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("NVDA.csv.gz", gzip.compress((HEAD + DAYS).encode())),
        ("NVDA.csv", "\ufeff" + HEAD + DAYS),
        ("NVDA.csv", (HEAD + DAYS).encode("utf-16")),
        ("NVDA.csv", (HEAD + DAYS).replace(",", ";")),
        ("NVDA.tsv", (HEAD + DAYS).replace(",", "\t")),
        ("NVDA.csv", (HEAD + DAYS).replace("\n", "\r\n") + "\r\n"),
        ("NVDA.csv", (HEAD + DAYS).replace("2024-06-03", "2024/6/3").replace("2024-06-04", "20240604")),
        ("NVDA.csv", (HEAD + DAYS).replace("-03,", "-03 00:00:00-04:00,").replace("-04,11", "-04 00:00:00-04:00,11")),
        # Midnight in New York, written in UTC.
        ("NVDA.csv", (HEAD + DAYS).replace("-03,", "-03T04:00:00Z,").replace("-04,11", "-04T04:00:00Z,11")),
    ],
)
def test_packing_encoding_and_date_forms_make_no_difference(tmp_path, name, content):
    (bars,) = read(tmp_path, name, content).bars
    assert bars.interval == "1d"
    assert bars.session.tolist() == [date(2024, 6, 3), date(2024, 6, 4)]
    assert bars.prices[:, 3].tolist() == [11, 12]


def test_chinese_columns_in_gb18030_with_lots_in_the_name(tmp_path):
    text = "日期,开盘,收盘,最高,最低,成交量(手),成交额,振幅\n2024-06-03,10,11,12,9,1000,1.05e6,3\n"
    found = read(tmp_path, "688981.eastmoney.csv", text.encode("gb18030"))
    (bars,) = found.bars
    assert bars.instrument.symbol == "688981.SS"
    assert bars.prices.tolist() == [[10, 12, 9, 11]]
    assert bars.unit == "lots"
    assert bars.amount.tolist() == [1.05e6]
    assert found.ignored == ("振幅",)


def test_three_header_rows(tmp_path):
    text = "Price,Close,High,Low,Open,Volume\nTicker,0981.HK,0981.HK,0981.HK,0981.HK,0981.HK\nDate,,,,,\n"
    (bars,) = read(tmp_path, "0981.HK.yahoo.csv", text + "2024-06-03,11,12,9,10,1000\n").bars
    assert bars.instrument.symbol == "0981.HK"
    assert bars.prices.tolist() == [[10, 12, 9, 11]]
    assert bars.line.tolist() == [4]


def test_three_header_rows_of_two_tickers(tmp_path):
    fields = "Price," + ",".join(["Open,High,Low,Close"] * 2)
    tickers = "Ticker," + ",".join(["AMD"] * 4 + ["INTC"] * 4)
    text = f"{tickers}\n{fields}\nDate,,,,,,,,\n2024-06-03,10,12,9,11,20,22,19,21\n"
    found = {b.instrument.symbol: b for b in read(tmp_path, "two.csv", text).bars}
    assert found["AMD"].prices.tolist() == [[10, 12, 9, 11]]
    assert found["INTC"].prices.tolist() == [[20, 22, 19, 21]]
    assert found["INTC"].volume is None


def test_a_long_table_with_one_unknown_symbol_keeps_the_others(tmp_path):
    text = "symbol,date,open,high,low,close\n" + "".join(
        f"{symbol},2024-06-0{day},10,12,9,11\n" for day in (3, 4) for symbol in ("AMD", "NOSUCH", "INTC")
    )
    found = read(tmp_path, "all.csv", text)
    assert {b.instrument.symbol: len(b) for b in found.bars} == {"AMD": 2, "INTC": 2}
    assert [b.line.tolist() for b in found.bars] == [[2, 5], [4, 7]]
    (line,) = found.refused
    assert "unknown instrument 'NOSUCH'" in line


def test_parquet_with_a_real_date_column(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"date": pa.array([date(2024, 6, 3)]), "Open": [10.0], "High": [12], "Low": [9.0], "Close": [11.0]}
    pq.write_table(pa.table(columns), tmp_path / "TSM.parquet")
    (bars,) = read_prices(read_table(str(tmp_path / "TSM.parquet")), UNIVERSE).bars
    assert bars.session.tolist() == [date(2024, 6, 3)]
    assert bars.prices.tolist() == [[10, 12, 9, 11]]


def test_intraday_in_two_offsets_is_one_clock(tmp_path):
    text = (
        "date,open,high,low,close,volume\n"
        "2024-03-08 09:30:00-05:00,1,2,1,2,5\n2024-03-08 10:30:00-05:00,1,2,1,2,5\n"
        "2024-03-11 13:30:00+00:00,1,2,1,2,5\n2024-03-11 10:30:00-04:00,1,2,1,2,5\n"
    )
    (bars,) = read(tmp_path, "AMD_1h.csv", text).bars
    assert bars.interval == "1h"
    expected = ["2024-03-08T14:30", "2024-03-08T15:30", "2024-03-11T13:30", "2024-03-11T14:30"]
    assert bars.starts_at.tolist() == np.array(expected, dtype="datetime64[us]").tolist()
    assert np.unique(bars.session).tolist() == [date(2024, 3, 8), date(2024, 3, 11)]


def test_naive_times_need_a_zone(tmp_path):
    text = "date,open,high,low,close\n2024-06-03 09:30,1,2,1,2\n2024-06-03 10:30,1,2,1,2\n"
    with pytest.raises(UnreadableInput, match="without a zone; give --tz, e.g. --tz America/New_York"):
        read(tmp_path, "AMD.csv", text)
    (bars,) = read(tmp_path, "AMD.csv", text, zone="America/New_York").bars
    assert bars.starts_at[0] == np.datetime64("2024-06-03T13:30", "us")


def test_the_interval_asked_for_is_checked(tmp_path):
    with pytest.raises(BadParameter, match="interval='1h' is not allowed: the bars of .* are 1d"):
        read(tmp_path, "NVDA.csv", HEAD + DAYS, interval="1h")


@pytest.mark.parametrize("again", ["Open", "open.1", "开盘"])
def test_two_sets_of_prices_are_refused(tmp_path, again):
    text = f"Date,Symbol,Open,{again},High,Low,Close\n2024-06-03,AMD,10,20,12,9,11\n"
    with pytest.raises(DuplicateColumns, match="columns Open each stand there more than once.*keep one set"):
        read(tmp_path, "AMD.csv", text)


def test_a_header_that_names_another_instrument_is_refused(tmp_path):
    yahoo = "Price,Close,High,Low,Open\nTicker,1347.HK,1347.HK,1347.HK,1347.HK\nDate,,,,\n2024-06-03,11,12,9,10\n"
    with pytest.raises(WrongInstrument, match="holds 1347.HK, but the file name says 0981.HK"):
        read(tmp_path, "0981.HK.csv", yahoo)
    column = "symbol,date,open,high,low,close\nAMD,2024-06-03,10,12,9,11\n"
    with pytest.raises(WrongInstrument, match="holds AMD, but --instrument says NVDA"):
        read(tmp_path, "x.csv", column, instrument="NVDA")
    assert read(tmp_path, "x.csv", column).bars[0].instrument.symbol == "AMD"


def test_a_file_of_unknown_name_asks_for_the_instrument(tmp_path):
    with pytest.raises(UnreadableInput, match="'NVDIA' names no instrument.*did you mean 'NVDA'.*--instrument"):
        read(tmp_path, "NVDIA.csv", HEAD + DAYS)
    assert read(tmp_path, "NVDIA.csv", HEAD + DAYS, instrument="nvda").bars[0].instrument.symbol == "NVDA"
    with pytest.raises(UnknownName, match="unknown instrument 'NVDAA'; did you mean 'NVDA'"):
        read(tmp_path, "x.csv", HEAD + DAYS, instrument="NVDAA")


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("a/b/0981.HK.yahoo-multiheader.csv", "0981.HK"),
        ("588000.eastmoney.csv", "588000.SS"),
        ("NVDA.broker.csv", "NVDA"),
        ("AMD_1h.csv", "AMD"),
        ("688981.SS.csv.gz", "688981.SS"),
        ("prices.csv", None),
    ],
)
def test_symbols_in_file_names(name, symbol):
    assert symbol_of_file(name, UNIVERSE) == symbol


BAD_LINES = [
    ("2024-06-05,10,12,9,abc,5", "close is no number"),
    ("2024-06-05,10,12,9,inf,5", "close is no number"),
    ("2024-06-05,1_0,12,9,11,5", "open is no number"),
    ("2024-06-05,10,12,9,,5", "close is empty"),
    ("2024-06-31,10,12,9,11,5", "no day of the calendar"),
    ("05/06/2024,10,12,9,11,5", "not in the form 2024-12-31"),
    ("2099-06-05,10,12,9,11,5", "lies outside 1970-01-01 to 2049-12-31"),
    (",10,12,9,11,5", "the date is empty"),
    ('2024-06-05,"10,12,9,11,5', "broken quotes"),
    ("2024-06-05,10,12,9", "4 cells where the header has 6"),
    ("2024-06-05,10,12,9,1\x001,5", "close is no number"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_costs_only_itself(tmp_path, line, reason):
    found = read(tmp_path, "NVDA.csv", HEAD + "2024-06-03,10,12,9,11,1000\n" + line + "\n2024-06-04,11,13,10,12,2000\n")
    assert found.bars[0].prices[:, 3].tolist() == [11, 12]
    (reject,) = found.rejects
    assert reject.line == 3
    assert reason in reject.reason
    assert "\x00" not in reject.excerpt


def test_thousands_commas_are_read(tmp_path):
    (bars,) = read(tmp_path, "NVDA.csv", HEAD + '2024-06-03,"1,010.5",1012,1009,1011,"1,234,567"\n').bars
    assert bars.prices[0, 0] == 1010.5
    assert bars.volume[0] == 1234567


UNREADABLE = [
    ("NVDA.csv", b"", "is empty"),
    ("NVDA.csv", b"\n\n", "is empty"),
    ("NVDA.csv", HEAD.encode(), "a header and no rows"),
    ("NVDA.csv", b"<!doctype html><html><body>Sign in</body></html>", "is an html or xml page"),
    ("NVDA.csv", b"PK\x03\x04" + bytes(200), "zip archive or an Office file"),
    ("NVDA.csv", bytes(range(256)) * 20, "binary|no column"),
    (
        "NVDA.csv",
        b"title,date\nChip news,2024-06-03\n",
        "no column for open, high, low, close; its columns are: title, date",
    ),
    ("NVDA.csv", b"2024-06-03,10,12,9,11,1000\n", "no column for date"),
    (
        "NVDA.csv",
        b"date,open,high,low,close\n2024-06-03,a,b,c,d\n",
        "no row of NVDA is a bar; the first: open is no number",
    ),
    ("NVDA.parquet", b"PAR1" + bytes(50), "the parquet is damaged or cut short"),
    ("NVDA.csv.gz", gzip.compress(b"date,open")[:12], "the gzip is damaged or cut short"),
]


@pytest.mark.parametrize(("name", "content", "reason"), UNREADABLE)
def test_what_is_no_price_file_is_said_in_one_line(tmp_path, name, content, reason):
    with pytest.raises(InputError, match=reason) as caught:
        read(tmp_path, name, content)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_truncated_parquet_is_one_line(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"date": list(range(1000))}), tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    with pytest.raises(UnreadableInput, match="damaged or cut short"):
        read(tmp_path, "NVDA.parquet", content[: len(content) // 2])


def test_a_gzip_bomb_stops_at_the_limit(tmp_path):
    path = tmp_path / "NVDA.csv.gz"
    path.write_bytes(gzip.compress(b"date,open\n" + b"0" * 4_000_000))
    with pytest.raises(UnreadableInput, match="MiB"):
        read_table(str(path), limit=1_000_000)


def test_a_gzip_cut_short_keeps_the_rows_before_the_damage(tmp_path):
    import random

    random.seed(1)
    rows = "".join(f"2024-06-03,10,12,9,11,{random.random()}\n" for _ in range(60_000))
    packed = gzip.compress((HEAD + rows).encode())
    path = tmp_path / "NVDA.csv.gz"
    path.write_bytes(packed[: len(packed) * 3 // 4])
    table = read_table(str(path))
    assert len(table.lines) > 1000
    assert any("damaged or cut short" in reject.reason for reject in table.rejects)


def test_files_folders_and_globs(tmp_path):
    for name in ("b.csv", "a.csv.gz", "sub/c.parquet", "notes.docx", ".hidden.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    files, errors = table_files([str(tmp_path), str(tmp_path / "b.csv"), str(tmp_path / "*.nothing"), "-"])
    assert [f.removeprefix(f"{tmp_path}/") for f in files] == ["a.csv.gz", "b.csv", "sub/c.parquet", "-"]
    assert [str(e) for e in errors] == [f"{tmp_path}/*.nothing: no file matches the pattern"]
    (tmp_path / "empty").mkdir()
    _, errors = table_files([str(tmp_path / "empty"), str(tmp_path / "missing.csv")])
    assert "has no csv, tsv, txt or parquet file" in str(errors[0])
    assert "no such file" in str(errors[1])


def test_numbers_are_never_guessed():
    values, wrong = parse_floats(np.array(["1", "1.5", "1,000", "", "nan", "1e3", "1,00", "0x1", "１２"], dtype=object))
    assert values[:3].tolist() == [1, 1.5, 1000]
    assert np.isnan(values[3:5]).all()
    assert values[5] == 1000
    assert wrong[:2] == [6, 7]


def test_stamps_keep_their_offset():
    stamp, bad = parse_stamps(np.array(["2024-06-03T09:30:00+0800", "2024-06-03T25:00:00Z"], dtype=object))
    assert stamp.utcoffset().total_seconds() == 8 * 3600
    assert "no time of the day" in bad


def test_days_of_a_parquet_beyond_four_digits_are_rejects():
    column = np.array([2**62, -(2**60), 0], dtype="datetime64[us]")
    assert all("lies outside 1970-01-01" in stamp for stamp in parse_stamps(column))
    assert parse_stamps(np.array(["NaT"], dtype="datetime64[us]")) == ["the date is empty"]
