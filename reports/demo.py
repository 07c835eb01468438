"""The whole way on the embedded data: news, prices, scores, signals, a backtest with its check, and its report."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from importlib import resources
from pathlib import Path

from chipwire.data.fx import ingest_fx
from chipwire.data.news import ingest_news
from chipwire.data.prices import ingest_prices
from chipwire.data.universe import Universe, load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import run_backtest
from chipwire.engine.settings import Settings
from chipwire.engine.validation.run_check import check_run
from chipwire.reports.answer import five_figures
from chipwire.reports.collect import collect
from chipwire.reports.console import Console
from chipwire.reports.exports import Source, write_report
from chipwire.reports.summary import summarize
from chipwire.signals.build import build_signals
from chipwire.signals.models import load_model
from chipwire.signals.reading import Reader
from chipwire.signals.scoring import link_headlines, score_headlines
from chipwire.strategies.registry import strategy_class

STRATEGY = "event-drift"
WAREHOUSE = "demo.duckdb"
SETTINGS = Settings(start=date(2024, 1, 2), end=date(2025, 9, 30))
"""A span with prices and news in the embedded data. The model's training cut-off is later, and the demo says so."""


def run_demo(out: Path, console: Console) -> tuple[list[tuple[str, str]], Path]:
    """Go the whole way in `out` and return the five figures and the report's path.

    Running it again brings nothing new in and writes the same report; its run is the newest again.

    Raises
    ------
    WriteFailed, OSError
        The folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    universe = load_universe()
    with Warehouse.open(out / WAREHOUSE, write=True, command="chipwire demo") as warehouse:
        take_in(warehouse, universe, console)
        model_id = read_news(warehouse, universe, console)
        with console.progress("backtest") as advance:
            strategy = strategy_class(STRATEGY)()
            run = run_backtest(warehouse, universe, strategy, SETTINGS, model=model_id, on_progress=advance)
        with console.progress("placebos") as advance:
            check = check_run(
                warehouse, universe, strategy, SETTINGS, run.run_id, model=model_id, on_progress=advance
            )  # fmt: skip
        summary = summarize(warehouse, run.run_id, universe)
        console.say(f"5/5 backtest: {summary.sentence} {check.sentence}")
        for warning in summary.warnings:
            console.warn(warning)
        report, source = collect(warehouse, run.run_id, universe), Source(warehouse, universe)
        written = write_report(report, {"html", "json", "csv"}, out, force=True, source=source)
    page = next(path for path in written if path.suffix == ".html")
    return five_figures(summary.report), page


def take_in(warehouse: Warehouse, universe: Universe, console: Console) -> None:
    """Take in the embedded news, prices and rates."""
    shipped = resources.files("chipwire.data.embedded")
    with ExitStack() as stack:
        timeline, bars, rates = (
            str(stack.enter_context(resources.as_file(shipped.joinpath(name))))
            for name in ("timeline.csv", "bars.parquet", "fx.csv")
        )
        news = ingest_news(warehouse, [timeline])
        console.say(f"1/5 news: {news.rows_read:,} real events, hand-written, {news.added:,} new")
        prices = ingest_prices(warehouse, [bars], universe)
        fx = ingest_fx(warehouse, [rates])
    console.say(f"2/5 prices: {len(prices.rows)} instruments, {prices.added:,} bars and {fx.added:,} rates new")


def read_news(warehouse: Warehouse, universe: Universe, console: Console) -> str:
    """Link and score the news with the embedded model, build the signals, and return the model's id."""
    with console.progress("scoring") as advance:
        linked = link_headlines(warehouse, universe)
        scored = score_headlines(warehouse, Reader(load_model(), universe), advance)
    console.say(
        f"3/5 scores: {linked.mentions:,} mentions linked, {scored.texts:,} texts read by {scored.model_name}, "
        f"{scored.direct:,} scores of named issuers and {scored.exposure:,} of others that the news moves"
    )
    built = build_signals(warehouse, universe, scored.model_id)
    console.say(f"4/5 signals: {built.signals:,} from {built.headlines:,} headlines")
    return scored.model_id
