"""The schema of report.json, Markdown and the notebook, each read by the tool that users read it with."""

from __future__ import annotations

import ast
import csv
import json
from pathlib import Path
from typing import Any

import engine_worlds as worlds
import jsonschema
import nbformat
import pandas as pd
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from chipwire.data.warehouse import Warehouse
from chipwire.reports.collect import collect
from chipwire.reports.exports import FORMATS, Source, report_json, schema, write_report
from chipwire.reports.markdown import escape, render_markdown
from chipwire.strategies.registry import make_strategy

HOSTILE = [
    "=HYPERLINK(\"https://a.example\")", "<script>alert(1)</script>", "a | b | c", "[x](javascript:alert(1))",
    "`code` **bold** _under_ ~~gone~~", "see https://a.example/x and www.a.example", "\\| pipe", "![i](https://a.example)",
    "<!-- hidden", "&lt;b&gt; &amp;", "$x^2$ # no heading", "two\nlines\r\x1b[31m", "<https://a.example>", "x@a.example",
]  # fmt: skip
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
START, END = "2024-03-04", "2024-04-12"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory):
    with Warehouse.open(tmp_path_factory.mktemp("formats") / "w.duckdb", write=True, threads=1) as opened:
        world = worlds.World(opened).model()
        for seed, name in enumerate(("NVDA", "AMD", "SPY")):
            world.walk(name, "2024-01-02", END, 100.0, seed)
        world.action("NVDA", "2024-03-11", "dividend", 0.5)
        days = world.sessions("NVDA", START, END)
        world.signals([
            {"issuer": ("NVIDIA", "AMD")[n % 2], "at": f"{days[n + 1]}T00:00:00", "value": 0.9, "headline": title}
            for n, title in enumerate(HOSTILE)
        ])  # fmt: skip
        yield opened


def report_of(warehouse: Warehouse, strategy: str, **params: Any) -> Any:
    given = worlds.settings(START, END, benchmarks=("SPY", "SOX"), slippage_bps=5.0)
    done = worlds.World(warehouse).run(make_strategy(strategy, params), given, engine="columnar")
    return collect(warehouse, done.run_id, worlds.UNIVERSE)


@pytest.fixture(scope="module")
def report(warehouse: Warehouse) -> Any:
    return report_of(warehouse, "event-drift", hold=2)


@pytest.fixture(scope="module")
def out(warehouse: Warehouse, report: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    source = Source(warehouse, worlds.UNIVERSE)
    write_report(report, set(FORMATS) - {"html"}, folder, source=source)
    return folder


# --- schema ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "params"),
    [("event-drift", {"hold": 2}), ("buy-and-hold", {}), ("event-drift", {"threshold": 1.0}), ("random", {})],
)
def test_the_json_of_a_run_keeps_the_published_schema(warehouse: Warehouse, strategy: str, params: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    content = report_json(report_of(warehouse, strategy, **params))
    jsonschema.Draft202012Validator(schema()).validate(json.loads(json.dumps(content, allow_nan=False)))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("verdict"),
        lambda c: c.update(schema_version=1),
        lambda c: c.update(surprise=1),
        lambda c: c["fills"][0].update(price="12"),
        lambda c: c["fills"][0].update(auction_at="2024-03-05 14:30"),
        lambda c: c["fills"][0]["causes"][0].update(relation="some"),
        lambda c: c["equity"][0].pop("drawdown"),
        lambda c: c["metrics"].pop("sharpe"),
    ],
)
def test_the_schema_refuses_what_is_not_so(report: Any, change: Any) -> None:
    content = json.loads(json.dumps(report_json(report)))
    change(content)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(content)


# --- Markdown --------------------------------------------------------------------------------------------


def texts(token: Any) -> str:
    """Return what a reader of the rendered page sees of an inline token."""
    return "".join(child.content for child in token.children or [])


def kinds(token: Any) -> set[str]:
    return {child.type for child in token.children or []}


@pytest.mark.parametrize("title", HOSTILE)
def test_a_title_is_text_in_one_cell(title: str) -> None:
    tokens = READER.parse(f"| a | b |\n| --- | --- |\n| {escape(title)} | end |\n")
    cells = [after for before, after in zip(tokens, tokens[1:], strict=False) if before.type == "td_open"]
    assert [texts(cell) for cell in cells[1:]] == ["end"]
    assert kinds(cells[0]) <= {"text", "text_special"}
    seen = " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in title).split())
    assert texts(cells[0]) == ("'" + seen if seen.startswith(("=", "@")) else seen)


def test_the_markdown_has_its_parts_and_no_markup_of_others(report: Any) -> None:
    text = render_markdown(report)
    tokens = READER.parse(text)
    heads = [texts(after) for before, after in zip(tokens, tokens[1:], strict=False) if before.type == "heading_open"]
    assert heads == [
        "event-drift, 2024-03-04 to 2024-04-12", "Figures", "Benchmarks", "Months", "Profit by theme",
        "Profit by issuer", "Costs", "Best trades", "Worst trades", "What to know", "How to repeat it",
    ]  # fmt: skip
    inline = set().union(*(kinds(token) for token in tokens if token.type == "inline"))
    assert inline <= {"text", "text_special"}
    assert not {token.type for token in tokens} & {"html_block"}
    seen = [texts(token) for token in tokens if token.type == "inline"]
    assert any("<script>alert(1)</script>" in text for text in seen)
    # Each row of a table has as many cells as its head.
    for block in text.split("\n\n"):
        if block.startswith("| "):
            rows = READER.parse(block)
            count = sum(token.type == "th_open" for token in rows)
            assert sum(token.type == "td_open" for token in rows) == count * (len(block.splitlines()) - 2)
    assert f"| Sharpe ratio | {report.metrics.sharpe:,.2f} |" in text
    assert "\nNot checked against luck and placebos: " in text
    profit = report.metrics.final_equity - report.metrics.capital
    for by in ("theme", "issuer"):
        lines = text.partition(f"## Profit by {by}\n\n")[2].partition("\n\n")[0].splitlines()[2:]
        *parts, whole = (float(line.split(" | ")[-1].rstrip(" |").replace(",", "")) for line in lines)
        assert whole == pytest.approx(sum(parts), abs=1e-6) == pytest.approx(profit, abs=0.005 + 1e-9)
    assert render_markdown(report) == text


def test_the_markdown_counts_what_was_done_with_the_headlines(out: Path) -> None:
    text = (out / "report.md").read_text("utf-8")
    part = text.partition("## What was done with the headlines\n\n")[2].partition("\n\n")[0]
    counts = [int(line.split(" | ")[2]) for line in part.splitlines()[2:]]
    assert sum(counts) == len(HOSTILE)


def test_only_a_web_address_becomes_a_link() -> None:
    from chipwire.reports.markdown import _headline

    def cell(url: str) -> Any:
        first = pd.DataFrame([{"title": "T]", "url": url, "headline_id": "h"}], index=[1])
        return READER.parse(_headline(first, 1))[1]

    linked = cell("https://a.example/x_(y)|z?q=1#f")
    assert linked.children[0].attrs["href"] == "https://a.example/x_%28y%29%7Cz?q=1#f"
    assert texts(linked) == "T]"
    for url in ("javascript:alert(1)", "data:text/html,x", "https://a.example/ x", "", None):
        assert kinds(cell(url)) <= {"text", "text_special"}


# --- notebook --------------------------------------------------------------------------------------------


def test_the_notebook_is_valid_and_gives_the_figures_again(
    out: Path, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = nbformat.read(out / "report.ipynb", as_version=4)
    nbformat.validate(book)
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")
    monkeypatch.chdir(out)
    names: dict[str, Any] = {}
    shown = []
    for cell in book.cells:
        if cell.cell_type == "code":
            *first, last = ast.parse(cell.source).body
            exec(compile(ast.Module(first, []), "cell", "exec"), names)
            assert isinstance(last, ast.Expr)
            shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    figures = names["figures"]
    assert figures["total return"] == pytest.approx(report.metrics.total_return, rel=1e-12)
    assert figures["Sharpe ratio"] == pytest.approx(report.metrics.sharpe, rel=1e-12)
    assert figures["maximum drawdown"] == pytest.approx(report.metrics.max_drawdown.depth, rel=1e-12)
    assert figures["costs"] == pytest.approx(report.metrics.costs["total"], rel=1e-12)
    assert list(names["months"]) == pytest.approx(list(report.monthly["return"]), rel=1e-12)
    for chart in shown[2:4]:
        assert chart.to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    assert shown[-1].sum() >= len(HOSTILE)


# --- lineage tables --------------------------------------------------------------------------------------


def test_the_lineage_table_is_the_same_as_csv_and_parquet(out: Path) -> None:
    with (out / "lineage.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    table = pq.read_table(out / "lineage.parquet").to_pylist()
    assert len(rows) == len(table) == len(HOSTILE)
    for text, row in zip(rows, table, strict=True):
        assert text.keys() == row.keys()
        assert (text["headline_id"].removeprefix("'"), text["fate"]) == (row["headline_id"], row["fate"])
        assert text["first_fill_no"] == ("" if row["first_fill_no"] is None else str(row["first_fill_no"]))
        assert not text["title"].startswith(("=", "+", "-", "@"))
    assert str(pq.read_schema(out / "lineage.parquet").field("available_at").type) == "timestamp[us, tz=UTC]"
    assert {row["fate"] for row in table} >= {"filled"}


def test_the_notebook_brings_the_tables_that_it_reads(out: Path, warehouse: Warehouse, report: Any) -> None:
    source = Source(warehouse, worlds.UNIVERSE)
    written = write_report(report, {"ipynb"}, out / "alone", source=source)
    cells = nbformat.read(out / "alone" / "report.ipynb", as_version=4).cells
    read = {name for name in (path.name for path in written) if any(f'"{name}"' in cell.source for cell in cells)}
    assert read == {path.name for path in written} - {"report.ipynb"}
