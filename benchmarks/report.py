"""The pages: a large run made up in a temporary warehouse, its report, and a sweep's page; how long and how large.

The run has 2,000 sessions, 14 instruments, 5,000 fills and 100,000 headlines, all with titles and addresses of the
usual length. First paint and the charts' end are the browser's own figures, where Chromium and chromedriver are.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.headlines import headlines
from benchmarks.measure import measure
from chipwire.data.universe import load_universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.settings import Settings
from chipwire.signals.linking import Linker
from chipwire.strategies.registry import strategy_class

CHIPWIRE = (sys.executable, "-m", "chipwire.cli")
SESSIONS, FILLS, HEADLINES, CONFIGURATIONS = 2_000, 5_000, 100_000, 10_000
INSTRUMENTS = ("NVDA", "AMD", "INTC", "TSM", "ASML", "AMAT", "LRCX", "KLAC", "MU", "QCOM", "AVGO", "0981.HK", "9988.HK",
               "688981.SS")  # fmt: skip
MARKS = ("SOX", "588000.SS", "HSTECH", "SPY")
CURRENCIES = {".HK": ("HKD", "XHKG", 0.128), ".SS": ("CNY", "XSHG", 0.14)}
RUN = "0123456789ab"


def main(runs: int) -> None:
    """Make the warehouse, measure the pages and print a table."""
    with tempfile.TemporaryDirectory(prefix="chipwire-bench-") as name:
        folder = Path(name)
        with Warehouse.open(folder / "chipwire.duckdb", write=True) as warehouse:
            fill_run(warehouse)
            fill_sweep(warehouse)
        print(f"{'what':<52}{'seconds':>9}{'MB':>7}  {'first paint':<13}{'drawn':<9}promised")
        line(f"report of {FILLS:,} fills, {HEADLINES:,} headlines", folder, runs, "under 5 s, 3 MB, paint 1 s",
             ["report", "1", "--out", "out", "--force"], "out/report.html")  # fmt: skip
        line(f"page of a sweep of {CONFIGURATIONS:,} configurations", folder, runs, "under 10 s",
             ["sweeps", "show", "--top", "1", "--html", "sweep.html", "--force"], "sweep.html")  # fmt: skip


def line(what: str, folder: Path, runs: int, promised: str, words: list[str], page: str) -> None:
    """Measure one command and the page that it writes."""
    found = measure([*CHIPWIRE, *words], folder, runs=runs)
    size = (folder / page).stat().st_size / 1e6
    paint, drawn = in_browser(folder / page)
    print(f"{what:<52}{found.median_seconds:>9.2f}{size:>7.2f}  {paint:<13}{drawn:<9}{promised}", flush=True)


PAINTS = "return performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)"


def in_browser(page: Path) -> tuple[str, str]:
    """Return first contentful paint and the end of drawing in seconds, or why there are none."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        return "no browser", ""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    with tempfile.TemporaryDirectory(prefix="chipwire-bench-") as profile:
        for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                       "--disable-background-networking", "--disable-component-update", "--disable-sync",
                       "--window-size=1280,900", f"--user-data-dir={profile}"):  # fmt: skip
            options.add_argument(switch)
        window = webdriver.Chrome(options=options, service=Service(driver))
        try:
            window.get("about:blank")  # the browser's own start is not the page's
            window.get(page.as_uri())
            while not window.execute_script("return 'drawn' in document.documentElement.dataset"):
                time.sleep(0.02)
            drawn = window.execute_script("return performance.now()")
            # The browser may write down its first paint a moment after the page's script is done.
            while not (paints := window.execute_script(PAINTS)):
                time.sleep(0.02)
            paint = paints[0]
            errors = [entry["message"] for entry in window.get_log("browser")]
        finally:
            window.quit()
    return f"{paint / 1000:.2f} s", f"{drawn / 1000:.1f} s" + (f" {len(errors)} errors" if errors else "")


# --- a run of our own making ---------------------------------------------------------------------------------


def fill_run(warehouse: Warehouse) -> None:
    """Write a run, its prices and its headlines; the figures mean nothing, their number is what counts."""
    draw = np.random.default_rng(7)
    days = pd.bdate_range("2017-01-02", periods=SESSIONS)
    news = pd.DataFrame(list(headlines(HEADLINES * 2)), columns=["at", "title", "url"]).drop_duplicates("url")
    news = news.iloc[:HEADLINES]
    seen = pd.to_datetime(np.sort(draw.integers(days[0].value // 10**9, days[-1].value // 10**9, HEADLINES)), unit="s")
    ids = [f"{number:016x}" for number in range(HEADLINES)]
    insert(
        warehouse, "headline", headline_id=ids, title=news["title"].to_numpy(), source="Example Wire", language="en",
        url=[f"{url}/semiconductors/a-story-with-a-long-address" for url in news["url"]], published_at=seen,
        published_precision="minute", available_at=seen, batch_id=1,
    )  # fmt: skip
    insert(warehouse, "model", model_id="m" * 16, name="model", files_sha256="0" * 64, labels="[]", languages="[]",
           training_cutoff=pd.Timestamp("2016-01-01"))  # fmt: skip
    for name in (*INSTRUMENTS, *MARKS):
        close = 100 * np.exp(np.cumsum(draw.normal(0, 0.02, SESSIONS)))
        insert(warehouse, "bar", instrument=name, interval="1d", session=days, starts_at=days, open=close, high=close,
               low=close, close=close, volume=1e7, adjustment="none", batch_id=1)  # fmt: skip
    for currency, rate in (("HKD", 7.8), ("CNY", 7.1)):
        insert(warehouse, "fx_rate", currency=currency, fixed_on=days, rate=rate, available_at=days, batch_id=1)
    fill_readings(warehouse, draw, seen, ids)
    settings = Settings(days[0].date(), days[-1].date(), instruments=INSTRUMENTS, benchmarks=MARKS).as_json()
    params = {parameter.name: parameter.default for parameter in strategy_class("event-drift").parameters}
    insert(
        warehouse, "run", run_id=RUN, run_no=1, strategy="event-drift", engine="columnar", params=json.dumps(params),
        settings=json.dumps(settings), data_fingerprint="f" * 16, model_id="m" * 16, code_version="0", metrics="{}",
        warnings="[]",
    )  # fmt: skip
    equity = 1e6 * np.exp(np.cumsum(draw.normal(3e-4, 0.01, SESSIONS)))
    insert(warehouse, "equity", run_id=RUN, day=days, equity=equity, cash=equity / 2, gross=equity / 2, costs=10.0,
           borrow=0.0, dividends=0.0)  # fmt: skip
    fill_trades(warehouse, draw, days, seen, ids)


def fill_readings(
    warehouse: Warehouse, draw: np.random.Generator, seen: pd.DatetimeIndex, ids: list[str]
) -> None:  # fmt: skip
    """Write a reading and a signal of every headline, on one of the issuers traded."""
    linker, model = Linker(load_universe()).id, "m" * 16
    issuers = draw.choice(["NVIDIA", "AMD", "SMIC", "TSMC", "INTEL", "ASML", "MICRON", "ALIBABA"], len(ids))
    value, scores = draw.uniform(-1, 1, len(ids)), draw.dirichlet([1, 1, 1], len(ids))
    insert(warehouse, "reading", headline_id=ids, model_id=model, batch_id=1)
    insert(warehouse, "linked", headline_id=ids, linker=linker)
    insert(
        warehouse, "score", headline_id=ids, issuer=issuers, model_id=model, via="direct", p_negative=scores[:, 0],
        p_neutral=scores[:, 1], p_positive=scores[:, 2], p_relevant=1.0, reason="named", batch_id=1,
    )  # fmt: skip
    insert(
        warehouse, "signal", headline_id=ids, issuer=issuers, theme="sanctions", model_id=model, linker=linker,
        available_at=seen, via="direct", value=value, relevance=1.0, novelty=1.0, theme_weight=1.0,
        half_life_days=5.0, event="tool_ban",
    )  # fmt: skip


def fill_trades(
    warehouse: Warehouse, draw: np.random.Generator, days: pd.DatetimeIndex, seen: pd.DatetimeIndex, ids: list[str]
) -> None:
    """Write fills with three headlines behind each, unfilled orders and positions."""
    when = np.sort(draw.integers(1, SESSIONS, FILLS))
    names = draw.choice(INSTRUMENTS, FILLS)
    currency, venue, fx = zip(*(CURRENCIES.get(name[-3:], ("USD", "XNYS", 1.0)) for name in names), strict=True)
    at = days[when] + pd.Timedelta(hours=14, minutes=30)
    price = draw.uniform(5, 500, FILLS)
    insert(
        warehouse, "fill", run_id=RUN, fill_no=np.arange(1, FILLS + 1), decision_at=at, auction_at=at,
        session=days[when], venue=venue, auction="open", instrument=names,
        shares=draw.integers(1, 5000, FILLS) * draw.choice([-1, 1], FILLS), price=price, auction_price=price,
        currency=currency, fx=fx, commission=draw.uniform(0, 90, FILLS), duty=0.0, levies=0.1, slippage=1.0,
        realized=draw.normal(0, 3000, FILLS) * draw.choice([0, 1], FILLS),
    )  # fmt: skip
    latest = np.searchsorted(seen, at)
    for rank in (1, 2, 3):
        # The strongest is another headline for nearly every fill: the worst case for the page's size.
        which = [ids[place] for place in np.clip(latest - draw.integers(1, 40, FILLS), 0, HEADLINES - 1)]
        issuers = draw.choice(["NVIDIA", "AMD", "SMIC", "TSMC"], FILLS)
        insert(
            warehouse, "fill_cause", run_id=RUN, fill_no=np.arange(1, FILLS + 1), rank=rank, headline_id=which,
            issuer=issuers, theme="sanctions", model_id="m" * 16, strength=draw.uniform(-1, 1, FILLS), relation="own",
        )  # fmt: skip
        read = pd.DataFrame({"headline_id": which, "issuer": issuers}).drop_duplicates()
        scores = draw.dirichlet([1, 1, 1], len(read))
        known = warehouse.frame("SELECT headline_id, issuer FROM score")
        new = ~pd.MultiIndex.from_frame(read).isin(pd.MultiIndex.from_frame(known))
        insert(
            warehouse, "score", headline_id=read["headline_id"][new], issuer=read["issuer"][new], model_id="m" * 16,
            via="direct", p_negative=scores[new, 0], p_neutral=scores[new, 1], p_positive=scores[new, 2],
            p_relevant=1.0, reason="named", batch_id=1,
        )  # fmt: skip
    count = 300
    insert(
        warehouse, "unfilled", run_id=RUN, order_no=np.arange(count), decision_at=at[:count], auction_at=at[:count],
        session=days[when[:count]], instrument=names[:count], wanted=100, filled=0, reason="cash is short",
    )  # fmt: skip
    held = pd.DataFrame({"day": np.repeat(days, 5), "instrument": np.tile(INSTRUMENTS[:5], SESSIONS)})
    insert(warehouse, "position", run_id=RUN, shares=100, price=100.0, fx=1.0, value=1e4, **held.to_dict("series"))


def fill_sweep(warehouse: Warehouse) -> None:
    """Write a sweep over four axes."""
    draw = np.random.default_rng(8)
    grid = np.stack(np.meshgrid(*(np.arange(10),) * 4), axis=-1).reshape(-1, 4)
    names = ("half_life", "top_k", "threshold", "hold")
    axes = [{"name": n, "of": "params", "drawn": False, "text": "0:9:1", "values": 10} for n in names]
    insert(warehouse, "sweep", sweep_id=RUN, sweep_no=1, strategy="theme-momentum", reference="theme-momentum",
           axes=json.dumps(axes), draws=0, seed=0, configurations=len(grid), code_version="0",
           warnings="[]")  # fmt: skip
    sharpe = draw.normal(0.3, 0.4, len(grid))
    figures = ("total_return", "annual_return", "annual_volatility", "sortino", "calmar", "turnover", "mean_exposure")
    insert(
        warehouse, "sweep_row", sweep_id=RUN, row_no=np.arange(1, len(grid) + 1),
        trial_id=[f"{number:016x}" for number in range(len(grid))],
        params=[json.dumps(dict(zip(names, map(int, row), strict=True))) for row in grid], settings="{}",
        data_fingerprint="f" * 16, model_id="m" * 16, days=430, final_equity=1e6 * (1 + sharpe / 5), sharpe=sharpe,
        max_drawdown=-draw.uniform(0, 0.5, len(grid)), costs=draw.uniform(0, 1e5, len(grid)), n_fills=400,
        n_unfilled=10, batch_id=1, **{name: draw.normal(0.2, 0.3, len(grid)) for name in figures},
    )  # fmt: skip


def insert(warehouse: Warehouse, table: str, **columns: Any) -> None:
    """Write rows by columns; a single value stands for all rows."""
    plain = {name: value if np.ndim(value) else [value] for name, value in columns.items()}
    length = max(len(value) for value in plain.values())
    whole = {
        name: np.repeat(value, length) if len(value) != length else np.asarray(value) for name, value in plain.items()
    }
    warehouse.insert(table, pd.DataFrame(whole))
