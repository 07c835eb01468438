"""The pages in a real Chromium: read, filtered, hovered, walked by keyboard, printed, and attacked by their headlines.

One browser serves the module. Without one the tests are skipped and say so.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket

import engine_worlds as worlds
import pandas as pd
import pytest

from chipwire.cli import main
from chipwire.data.warehouse import Warehouse

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None, reason="no browser: Chromium and chromedriver are not on this machine"
)
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDE = (1280, 900)
HOSTILE = {
    "<script>document.title='owned'</script>": "javascript:document.title='owned'",
    "\"><img src=x onerror=\"document.title='owned'\"><svg onload=document.title='owned'>": "data:text/html,<script>1</script>",
    "</script></title><script>document.title='owned'</script><!--": "https://a.example/\"onmouseover='document.title=1'",
    "{{ 7 * 7 }} ${7 * 7} {% raw %} &lt;b&gt;bold&lt;/b&gt;": "https://a.example/<b>?q=1&amp;r=2#</script>",
    "\u202eprofits rise sdrawkcab\u2066 zero\u200b\u200dwidth\ufeff": "https://a.example/\u202egpj.exe",
    "Long " + "x" * 10_000: "https://a.example/" + "y" * 10_000,
    "\U0001f680\U0001f468\u200d\U0001f469\u200d\U0001f467 to the moon \U0001f1e8\U0001f1f3": "vbscript:1",
    "中芯国际 上调 资本开支，订单 “饱满”": "http://a.example/zh?标题=一",
    "line\u2028separator\u2029here\x00\x07 tail": "file:///etc/passwd",
    '=HYPERLINK("http://a.example")': "//a.example/x",
}

MARKUP = "<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """Allow this machine's own driver, which the tests' shared rule refuses with everything else."""
    connect = socket.socket.connect

    def local(self, address):
        assert address[0] in ("127.0.0.1", "::1", "localhost"), f"a test tried to reach {address}"
        return connect(self, address)

    for name in [name for name in os.environ if name.startswith("CHIPWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(socket.socket, "connect", local)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a warehouse of two runs and a sweep, and the pages made of them."""
    path = tmp_path_factory.mktemp("pages")
    span = ("--start", "2024-01-10", "--end", "2024-06-28")
    with Warehouse.open(path / "w.duckdb", write=True) as warehouse:
        world = worlds.World(warehouse).model()
        for seed, (symbol, price) in enumerate({"NVDA": 90.0, "AMD": 180.0, "SPY": 500.0}.items()):
            world.walk(symbol, "2024-01-02", "2024-07-03", price, seed)
        issuers = ("NVIDIA", "AMD")
        times = [pd.Timestamp("2024-01-09 12:00") + pd.Timedelta(hours=37 * n) for n in range(100)]
        world.signals(
            [
                {"issuer": issuers[n % 2], "at": str(at), "value": (-1) ** (n % 5) * 0.8, "headline": f"Story {n} told"}
                for n, at in enumerate(times)
            ]
            # No instrument of this issuer is in the runs.
            + [
                {"issuer": "INTEL", "at": str(at), "value": 0.9, "headline": f"Other story {n}"}
                for n, at in enumerate(times[: len(HOSTILE)])
            ]
        )
        warehouse.run(
            "UPDATE headline SET url = 'https://news.example/' || replace(headline_id, ' ', '-'), source = 'Wire'"
        )
        warehouse.run(
            "UPDATE headline SET published_at = TIMESTAMP '2024-06-23 16:00', published_precision = 'day', "
            "published_zone = 'Asia/Shanghai' WHERE title IN ('Story 3 told', 'Other story 3')"
        )

    def chipwire(*words):
        assert main(["-q", "--db", str(path / "w.duckdb"), *map(str, words)]) == 0

    checked = ("--check", "--placebos", "12")
    chipwire("backtest", "theme-momentum", "-p", "top_k=1", *span, "--benchmarks", "SPY", *checked)
    chipwire("backtest", "theme-momentum", "-p", "top_k=2", *span, "--benchmarks", "SPY")
    chipwire("report", "1", "--format", "html,json", "--out", path / "out")
    chipwire("runs", "compare", "1", "2", "--html", path / "compare.html")
    chipwire("sweep", "theme-momentum", "-p", "top_k=1,2", "-p", "half_life=1:6:1", "-p", "threshold=0,0.1", *span)
    chipwire("sweeps", "show", "latest", "--html", path / "sweep.html", "--out", path / "sweep.csv")
    with Warehouse.open(path / "w.duckdb", write=True) as warehouse:
        ids = [row[0] for row in warehouse.rows(
            "SELECT DISTINCT headline_id FROM fill_cause JOIN run USING (run_id) WHERE run_no = 1 AND rank = 1 "
                "ORDER BY headline_id LIMIT ?",
                [len(HOSTILE)],
        )]  # fmt: skip
        others = [f"Other story {n}" for n in range(len(HOSTILE))]
        for headline_id, (title, url) in zip([*ids, *others], [*HOSTILE.items()] * 2, strict=True):
            warehouse.run(
                "UPDATE headline SET title = ?, url = ?, source = ? WHERE headline_id = ?",
                [title, url, title[:40], headline_id],
            )
        warehouse.run("UPDATE signal SET event = ? WHERE issuer = 'NVIDIA'", [MARKUP])
    chipwire("report", "1", "--format", "html", "--out", path / "hostile")
    return path


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Return the module's browser; it finds no driver by itself, so it asks no network for one."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield found
    found.quit()


@pytest.fixture
def opened(driver, folder):
    """Open a page once its charts are drawn; afterwards the console must be empty and no request have been made."""
    from selenium.webdriver.support.ui import WebDriverWait

    seen = []

    def look(name, size=WIDE):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        for kind in ("browser", "performance"):
            driver.get_log(kind)
        address = (folder / name).as_uri()
        driver.get(address)
        WebDriverWait(driver, 20, poll_frequency=0.02).until(
            lambda _: driver.execute_script("return 'drawn' in document.documentElement.dataset")
        )
        seen.append(address)
        return driver

    yield look
    assert driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert set(asked) <= set(seen)


def one(driver, selector):
    return driver.find_element("css selector", selector)


def every(driver, selector):
    return driver.find_elements("css selector", selector)


def text(driver, selector):
    return one(driver, selector).text


def press(driver, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(driver, duration=0).send_keys(*keys).perform()


def cells(driver, table, column):
    """Return the texts of one column of the rows in sight."""
    return driver.execute_script(
        "return [...document.querySelectorAll(`[data-table=${arguments[0]}] tbody tr`)]"
        ".map((row) => row.cells[arguments[1]].textContent)", table, column,
    )  # fmt: skip


def labels_outside(page):
    """Return the axis labels of all charts that their picture cuts off."""
    return page.execute_script(
        "return [...document.querySelectorAll('.chart svg')].flatMap((svg) => { const box = svg.getBoundingClientRect();"
        "return [...svg.querySelectorAll('.role-axis-label text')].filter((label) => {"
        "const at = label.getBoundingClientRect();"
        "return at.left < box.left - 1 || at.right > box.right + 1 || at.bottom > box.bottom + 1; })"
        ".map((label) => label.textContent); })"
    )


def shown_percent(value):
    return f"{value * 100:+.1f}%".replace("-", "\N{MINUS SIGN}")


def test_the_headline_figures_are_those_of_the_json(opened, folder):
    page = opened("out/report.html")
    found = json.loads((folder / "out/report.json").read_text())
    values = every(page, ".figures dd:not(.interval)")
    figures = dict(zip([e.text for e in every(page, ".figures dt")], [e.text for e in values], strict=True))
    metrics = found["metrics"]
    assert figures["Total return"] == shown_percent(metrics["total_return"])
    assert figures["SPY return"] == shown_percent(found["benchmarks"][0]["total_return"])
    assert figures["Sharpe ratio"] == f"{metrics['sharpe']:.2f}".replace("-", "\N{MINUS SIGN}")
    assert figures["Max drawdown"] == shown_percent(metrics["max_drawdown"]["depth"])
    assert figures["Costs"] == f"USD {metrics['costs']['total']:,.0f}"
    assert f"{text(page, '.verdict')} {text(page, '.trades')}" == found["verdict"]
    assert text(page, ".believed") == found["check"]["sentence"]
    shown = dict(zip(["total_return", "sharpe", "max_drawdown"], [e.text for e in every(page, ".figures .interval")],
                     strict=True))  # fmt: skip
    for name, words in shown.items():
        low, high = (found["luck"]["intervals"][name][end] for end in ("low", "high"))
        ends = (f"{low:.2f}", f"{high:.2f}") if name == "sharpe" else (f"{low * 100:+.1f}%", f"{high * 100:+.1f}%")
        assert words == "95%: " + " to ".join(ends).replace("-", "\N{MINUS SIGN}")
    names = ("equity", "drawdown", "exposure", "price", "ic", "quantiles", "paths", "placebos", "fragility")
    assert all(every(page, f"#{name}-chart svg") for name in names)
    paints = page.execute_script("return performance.getEntriesByName('first-contentful-paint').length")
    assert paints == 1


def test_every_fill_is_in_the_table_as_in_the_json(opened, folder):
    page = opened("out/report.html")
    fills = json.loads((folder / "out/report.json").read_text())["fills"]
    assert len(fills) > 50, "the run must need a second page"
    assert text(page, "[data-table=fills] [role=status]") == f"1 to 50 of {len(fills)} fills"
    got = [cells(page, "fills", column) for column in range(9)]
    for row, fill in enumerate(fills[:50]):
        number, at, instrument, side, shares, price, value, cost, _ = (column[row] for column in got)
        assert (number, at) == (str(fill["fill_no"]), fill["auction_at"][:16].replace("T", " "))
        assert (instrument, side) == (fill["instrument"], fill["side"])
        assert shares.replace("\N{MINUS SIGN}", "-") == f"{fill['shares']:,}"
        assert price == f"USD {fill['price']:.2f}"
        assert float(value.replace(",", "")) == pytest.approx(fill["value"], abs=0.5)
        assert float(cost.replace(",", "")) == pytest.approx(fill["cost"], abs=0.0051)
    causes = cells(page, "fills", 9)
    for shown, fill in zip(causes, fills, strict=False):
        assert fill["causes"][0]["title"] in shown


@pytest.mark.parametrize(("table", "column", "title"), [("fills", 9, "Story 3 told"), ("untraded", 1, "Other story 3")])
def test_a_headline_known_by_its_day_has_the_day_of_its_own_zone(opened, table, column, title):
    page = opened("out/report.html")
    one(page, f"[data-table={table}] input").send_keys(title)
    shown = [cell for cell in cells(page, table, column) if title in cell]
    assert shown
    for cell in shown:
        # Midnight in Shanghai, which is the day before in UTC.
        assert "published 2024-06-24 (day of Asia/Shanghai)" in cell.partition(title)[2]


def test_fills_are_filtered_and_sorted(opened, folder):
    page = opened("out/report.html")
    fills = json.loads((folder / "out/report.json").read_text())["fills"]
    wanted = [f for f in fills if f["instrument"] == "AMD" and f["side"] == "sell"]
    one(page, "[data-table=fills] input").send_keys("amd sell")
    assert set(cells(page, "fills", 2)) == {"AMD"}
    assert set(cells(page, "fills", 3)) == {"sell"}
    assert f"of {len(wanted)} fills, filtered from {len(fills)}" in text(page, "[data-table=fills] [role=status]")
    head = one(page, "[data-table=fills] th:nth-child(7)")
    for way, reverse in (("ascending", False), ("descending", True)):
        one(head, "button").click()
        assert head.get_attribute("aria-sort") == way
        values = [float(value.replace(",", "")) for value in cells(page, "fills", 6)]
        assert values == sorted((round(f["value"]) for f in wanted), reverse=reverse)[:50]
    assert len(every(page, "[data-table=fills] th[aria-sort]")) == 1
    one(page, "[data-table=fills] input").send_keys(" nothing-like-it")
    assert text(page, "[data-table=fills] [role=status]") == "no fills match"


def test_a_marker_tells_its_headline_under_the_pointer_and_by_keyboard(opened, folder):
    from selenium.webdriver import ActionChains, Keys

    page = opened("out/report.html")
    titles = {c["title"] for f in json.loads((folder / "out/report.json").read_text())["fills"] for c in f["causes"]}
    for name in ("equity", "price"):
        chart = one(page, f"#{name}-chart")
        page.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
        marks = [e for e in every(page, f"#{name}-chart path") if e.get_attribute("fill") == "var(--mark)"]
        assert marks
        ActionChains(page, duration=0).move_to_element(marks[0]).perform()
        lines = text(page, "#tip").splitlines()
        assert lines[0] in titles
        assert lines[1].startswith("Wire · known from 2024-")
        assert re.match(r"(bought|sold) (NVDA|AMD)", lines[2])
        page.execute_script("arguments[0].focus()", chart)
        press(page, Keys.ARROW_RIGHT)
        first = text(page, f"#{name}-told")
        press(page, Keys.ARROW_RIGHT)
        assert first.splitlines()[0] in titles
        assert text(page, f"#{name}-told") != first
        assert one(page, f"#{name}-told a").get_attribute("href").startswith("https://news.example/Story")


def test_a_fill_in_the_price_chart_tells_its_headline(opened, folder):
    from selenium.webdriver import ActionChains

    page = opened("out/report.html")
    fills = {f["fill_no"]: f for f in json.loads((folder / "out/report.json").read_text())["fills"]}
    chart = one(page, "#price-chart")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    # Marks may lie on each other; the first that the pointer finds will do.
    told = []
    for mark in [e for e in every(page, "#price-chart path") if e.get_attribute("fill") == "var(--sell)"]:
        ActionChains(page, duration=0).move_to_element(mark).perform()
        told = text(page, "#tip").splitlines()
        if told and told[0].startswith("Fill"):
            break
    number, shares, price = re.fullmatch(r"Fill (\d+): sold ([\d,]+) at USD ([\d.]+)", told[0]).groups()
    fill = fills[int(number)]
    assert (int(shares.replace(",", "")), float(price)) == (-fill["shares"], round(fill["price"], 2))
    assert told[1] == fill["auction_at"][:16].replace("T", " ") + " UTC"
    assert told[2] == "because of: " + fill["causes"][0]["title"]


def test_charts_zoom_together_and_back(opened):
    from selenium.webdriver import ActionChains

    page = opened("out/report.html")
    chart = one(page, "#equity-chart")
    label = "return [...document.querySelectorAll('#drawdown-chart .role-axis-label text')].map((t) => t.textContent).sort().join()"
    whole = page.execute_script(label)
    top = page.execute_script("return scrollY")
    wheel = ActionChains(page, duration=0).scroll_from_origin
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    wheel(ScrollOrigin.from_element(chart), 0, 120).perform()
    assert page.execute_script(label) == whole, "the wheel scrolls the page until the chart is chosen"
    page.execute_script("scrollTo(0, arguments[0]); arguments[1].focus({preventScroll: true})", top, chart)
    for _ in range(6):
        ActionChains(page, duration=0).scroll_from_origin(ScrollOrigin.from_element(chart), 0, -120).perform()
    near = page.execute_script(label)
    assert near != whole
    ActionChains(page, duration=0).drag_and_drop_by_offset(chart, 150, 0).perform()
    assert page.execute_script(label) != near
    ActionChains(page, duration=0).double_click(chart).perform()
    assert page.execute_script(label) == whole
    press(page, "++")
    assert page.execute_script(label) != whole
    assert labels_outside(page) == []
    press(page, "0")
    assert page.execute_script(label) == whole


def test_another_instrument_is_drawn(opened):
    from selenium.webdriver.support.ui import Select

    page = opened("out/report.html")
    axis = "return document.querySelector('#price-chart .role-axis:last-of-type, #price-chart').textContent"
    choice = Select(one(page, "#instrument"))
    assert {option.text for option in choice.options} == {"NVDA, USD", "AMD, USD"}
    seen = set()
    for option in ("NVDA, USD", "AMD, USD"):
        choice.select_by_visible_text(option)
        seen.add(page.execute_script(axis))
        assert labels_outside(page) == []
    assert len(seen) == 2


def amount(text):
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", "").rstrip("%"))


def test_another_choice_draws_another_chart(opened, folder):
    from selenium.webdriver.support.ui import Select

    page = opened("out/report.html")
    found = json.loads((folder / "out/report.json").read_text())
    drawing = "return document.querySelector(arguments[0]).innerHTML"
    for name in ("placebos", "ic", "quantiles", "paths"):
        choice = Select(one(page, f"#{name}-choice"))
        seen = set()
        for option in choice.options[:4]:
            choice.select_by_visible_text(option.text)
            seen.add(page.execute_script(drawing, f"#{name}-chart"))
        assert len(seen) == len(choice.options[:4]) > 1, name
    assert labels_outside(page) == []
    # All events have the same theme and event type here, so that those groups would say nothing new.
    groups = {option.text.rpartition(" (")[0] for option in Select(one(page, "#paths-choice")).options}
    assert groups == {"all events", "issuer AMD", "issuer NVIDIA"}
    for option, test in zip(Select(one(page, "#placebos-choice")).options, found["check"]["placebos"], strict=True):
        assert option.text.endswith(f": {len(test['values'])}, p = {test['p_value']:.2g}")


def test_the_profit_is_divided_to_the_cent_one_way_at_a_time(opened, folder):
    from selenium.webdriver.support.ui import Select

    page = opened("out/report.html")
    rows = json.loads((folder / "out/report.json").read_text())["attribution"]
    choice = Select(one(page, "#attribution-choice"))
    for number, option in enumerate(choice.options):
        by = option.get_attribute("value")
        choice.select_by_index(number)
        assert [e.get_attribute("data-part") for e in every(page, ".part") if e.is_displayed()] == [by]
        wanted = [round(row["total"], 2) for row in rows if row["by"] == by]
        shown = [amount(e.text) for e in every(page, f"[data-part={by}] tbody td.total")]
        assert shown == wanted
        whole = amount(text(page, f"[data-part={by}] tfoot td.total"))
        assert whole == pytest.approx(sum(wanted), abs=1e-6)
    assert "issuer" in {option.get_attribute("value") for option in choice.options}


def test_what_was_not_traded_is_counted_listed_and_filtered(opened):
    page = opened("out/report.html")
    counts = {
        row.find_element("css selector", "th").text: int(row.find_element("css selector", "td").text)
        for row in every(page, "#lineage .scroll:first-of-type tbody tr")
    }
    assert sum(counts.values()) == 100 + len(HOSTILE)
    assert counts["no instrument"] == len(HOSTILE)
    one(page, "[data-table=untraded] input").send_keys("no instrument")
    assert set(cells(page, "untraded", 6)) == {"no instrument"}
    assert len(cells(page, "untraded", 1)) == len(HOSTILE)
    one(page, "[data-table=untraded] th:nth-child(1) button").click()
    known = cells(page, "untraded", 0)
    assert known == sorted(known)


def test_the_run_against_its_benchmarks_and_its_changed_runs(opened, folder):
    page = opened("out/report.html")
    found = json.loads((folder / "out/report.json").read_text())
    shown = {row.text.rpartition("\n")[0] or row.text: row for row in every(page, ".against tbody tr")}
    cell = {
        e.find_element("css selector", "th").text: e.find_element("css selector", "td").text for e in shown.values()
    }
    measures = found["benchmarks"][0]["measures"]
    assert amount(cell["Beta, daily"].split()[0]) == round(measures["beta"]["value"], 2)
    assert amount(cell["Alpha a year"].split()[0]) == pytest.approx(measures["alpha"]["value"] * 100, abs=0.051)
    assert amount(cell["Tracking error"]) == pytest.approx(measures["tracking_error"] * 100, abs=0.051)
    one(page, "#check details summary").click()
    variants = [found["check"]["fragility"]["base"], *found["check"]["fragility"]["variants"]]
    assert cells(page, "fragility", 1) == [one_["label"] for one_ in variants][:50]
    returns = [shown_percent(v["total_return"]) if v["total_return"] is not None else "" for v in variants]
    assert cells(page, "fragility", 2) == returns[:50]


def test_dark_by_the_switch_and_by_the_system(opened):
    page = opened("out/report.html")
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = page.execute_script(paper)
    one(page, "#theme").click()
    dark = page.execute_script(paper)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 23, 27)")
    assert text(page, "#theme") == "Light page"
    one(page, "#theme").click()
    assert page.execute_script(paper) == light
    try:
        media = [{"name": "prefers-color-scheme", "value": "dark"}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        opened("out/report.html")
        assert page.execute_script(paper) == dark
        one(page, "#theme").click()
        assert page.execute_script(paper) == light
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_prints_on_several_pages(opened):
    page = opened("out/report.html")
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1
    assert text(page, "[data-table=fills] [role=status]").startswith("1 to 50 of"), "the screen is as it was"
    page = opened("compare.html")
    assert base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"]).startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["out/report.html", "compare.html", "sweep.html"])
def test_the_keyboard_reaches_everything_and_the_focus_is_seen(opened, name):
    from selenium.webdriver import Keys

    page = opened(name)
    focused = "return document.activeElement"
    press(page, Keys.TAB)
    skip = page.execute_script(focused)
    assert skip.text == "Skip to the content"
    press(page, Keys.ENTER)
    assert page.execute_script(focused).get_attribute("id") == "main"
    wanted = page.execute_script(
        "return [...document.querySelectorAll('main a, main button:enabled, main input, main select, main summary, "
        'main [tabindex="0"]\')].filter((e) => e.checkVisibility()).slice(0, 40)'
    )
    for element in wanted:
        press(page, Keys.TAB)
        got = page.execute_script(focused)
        assert got == element
        outline = page.execute_script("return getComputedStyle(arguments[0]).outlineStyle", got)
        assert outline != "none", got.get_attribute("outerHTML")[:200]


@pytest.mark.parametrize("name", ["out/report.html", "hostile/report.html", "compare.html", "sweep.html"])
def test_a_phone_scrolls_only_down(opened, name):
    page = opened(name, (390, 844))
    assert page.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [390, 390]
    assert labels_outside(page) == []


def hostile_rows(page, table):
    """Look every hostile title up in a table: it is text, and a link only where it may be one."""
    input_ = one(page, f"[data-table={table}] input")
    for title, url in HOSTILE.items():
        # The first word that can be typed finds it.
        key = next(word for word in re.findall(r"[\w<>=(){}$*';./]+", title) if len(word) > 1)
        input_.clear()
        page.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", input_, key
        )
        found = page.execute_script(
            "return [...document.querySelectorAll(`[data-table=${arguments[0]}] td.causes`)]"
            ".map((cell) => [cell.firstChild.textContent, cell.querySelectorAll('a').length"
            ", (cell.querySelector('a') || {}).href, (cell.querySelector('a') || {}).rel])",
            table,
        )
        whole = title if len(title) <= 300 else title[:300] + "…"
        match = [rest for shown, *rest in found if shown == whole]
        assert match, (title[:60], key, found)
        linked = url.startswith(("http://", "https://")) and url.isprintable() and len(url) < 2_000
        assert match[0][0] == linked, url[:60]
        if linked:
            assert match[0][1].startswith(("http://a.example/", "https://a.example/"))
            assert match[0][2] == "noopener noreferrer"


def test_hostile_headlines_stay_text(opened):
    from selenium.webdriver.support.ui import Select

    page = opened("hostile/report.html")
    events = [option.text for option in Select(one(page, "#paths-choice")).options]
    assert any(MARKUP in event for event in events), events
    Select(one(page, "#paths-choice")).select_by_index(next(n for n, text in enumerate(events) if MARKUP in text))
    assert page.title.startswith("theme-momentum")
    assert not every(page, "main img, main svg[onload], main iframe, main b b")
    for table in ("headlines", "untraded"):
        hostile_rows(page, table)
    attributes = page.execute_script(
        "return [...document.querySelectorAll('main *')].flatMap((e) => e.getAttributeNames())"
    )
    assert not [name for name in set(attributes) if name.startswith("on")]
    assert not [a for a in every(page, "a[href]") if not a.get_attribute("href").startswith(("http", "file:"))]
    assert page.execute_script("return document.title") != "owned"


def test_the_plane_shows_medians_and_chooses_rows(opened, folder):
    from selenium.webdriver import Keys
    from selenium.webdriver.support.ui import Select

    rows = pd.read_csv(folder / "sweep.csv")
    page = opened("sweep.html")
    across, down, measure = (Select(element) for element in every(page, "#plane-bar select"))
    assert [option.text for option in across.options] == ["top_k", "half_life", "threshold"]
    across.select_by_visible_text("half_life")
    down.select_by_visible_text("threshold")
    measure.select_by_visible_text("Total return")
    heads = [element.text for element in every(page, ".plane thead th")]
    assert heads == ["threshold \N{DOWNWARDS ARROW} half_life \N{RIGHTWARDS ARROW}", *map(str, range(1, 7))]
    medians = rows.groupby(["threshold", "half_life"])["total_return"].median()
    for number, threshold in enumerate((0, 0.1)):
        line = every(page, f".plane tbody tr:nth-child({number + 1}) > *")
        assert line[0].text == f"{threshold:g}"
        for half_life, cell in enumerate(line[1:], 1):
            value = medians[threshold, half_life]
            assert float(cell.text.replace("\N{MINUS SIGN}", "-").rstrip("%")) == pytest.approx(value * 100, abs=0.06)
            assert ("gain" if value > 0 else "loss") in cell.get_attribute("class")
    page.execute_script("document.querySelector('.plane td').focus()")
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert text(page, "#plane-told").startswith("half_life 2, threshold 0.1: Total return ")
    assert "the median of 2 configurations" in text(page, "#plane-told")
    press(page, Keys.ENTER)
    wanted = rows[(rows["half_life"] == 2) & (rows["threshold"] == 0.1)]
    assert sorted(map(int, cells(page, "rows", 0))) == sorted(wanted["row"])
    press(page, Keys.ENTER)
    assert text(page, "[data-table=rows] [role=status]").startswith(f"1 to {len(rows)} of {len(rows)}")


def test_the_best_rows_come_with_their_commands(opened, folder):
    rows = pd.read_csv(folder / "sweep.csv").head(10)
    page = opened("sweep.html")
    assert [element.text for element in every(page, "#best .command code")] == list(rows["command"])
    best = every(page, "#best tbody tr:not(.command)")
    assert [int(row.find_element("css selector", "td").text) for row in best] == list(rows["row"])
    assert "24 configurations of theme-momentum: the best Sharpe ratio is " in text(page, ".verdict")
    assert "of theme-momentum were tried so far in this warehouse" in text(page, ".warnings")


def test_runs_side_by_side(opened, folder):
    page = opened("compare.html")
    asked = {row.text.split()[0]: row.text.split()[-2:] for row in every(page, "#differences tbody tr")}
    assert asked == {"top": ["1", "2"]}
    found = json.loads((folder / "out/report.json").read_text())["metrics"]
    figures = {
        row.find_element("css selector", "th").text: [cell.text for cell in row.find_elements("css selector", "td")]
        for row in every(page, "#figures tbody tr")
    }
    assert figures["total return"][0] == shown_percent(found["total_return"])
    assert figures["fills"][0] == f"{found['n_fills']:,}"
    assert [e.text.split()[0] for e in every(page, "#curves .legend li")] == ["1", "2"]
    lines = [e for e in every(page, "#curves-chart path") if "var(--line-" in (e.get_attribute("stroke") or "")]
    assert {e.get_attribute("stroke") for e in lines} == {"var(--line-0)", "var(--line-1)"}
