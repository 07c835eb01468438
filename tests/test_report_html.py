"""The page: hostile titles stay text, the policy holds, the bytes repeat; in a real Chromium where there is one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

from chipwire.data.warehouse import Warehouse
from chipwire.reports.collect import collect
from chipwire.reports.html import render_html, repeat_command, script_json
from chipwire.reports.values import safe_url

HOSTILE = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</script><script>document.title='owned'</script><!--",
    "line\u2028separator & <b>bold</b> {{ 7 * 7 }}",
    "=cmd|' /C calc'!A0",
    "中芯国际 上调 资本开支",
]
URLS = [
    "javascript:document.title='owned'",
    'https://a.example/"onmouseover="x',
    "data:text/html,<script>1</script>",
    "ftp://a.example/x",
    "https://a.example/path?q=1&r=<2>",
    "http://a.example/zh",
]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _report(tmp_path):
    days = pd.to_datetime(["2024-07-01", "2024-07-02", "2024-07-03"])
    count = len(HOSTILE)
    ids = [f"h{n}" for n in range(count)]
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:

        def insert(table, **columns):
            warehouse.insert(table, pd.DataFrame(columns))

        insert(
            "run", run_id=["0a1b2c3d4e5f"], run_no=1, strategy="mine<script>", engine="backtrader",
            params=json.dumps({"note": "a'b <i>"}), data_fingerprint="f" * 16, model_id="m1",
            settings=json.dumps({"capital": 1000.0, "currency": "USD", "fill": "open", "benchmarks": ["SPY"]}),
            code_version="0.1.0", metrics="{}", warnings=json.dumps(["<img src=x> was seen"]),
        )  # fmt: skip
        insert(
            "equity", run_id="0a1b2c3d4e5f", day=days, equity=[1000.0, 1100.0, 1050.0], cash=0.0, gross=500.0,
            costs=0.0, borrow=0.0, dividends=0.0,
        )  # fmt: skip
        insert(
            "bar", instrument="SPY", interval="1d", session=days, starts_at=days, open=1.0, high=1.0, low=1.0,
            close=[1.0, 1.1, 1.2], volume=1.0, adjustment="none", batch_id=1,
        )  # fmt: skip
        insert(
            "headline", headline_id=ids, title=HOSTILE, url=URLS, source="<u>Wire</u>", language="en",
            published_at=days[0], published_precision="minute", available_at=days[0], batch_id=1,
        )  # fmt: skip
        insert(
            "fill", run_id="0a1b2c3d4e5f", fill_no=range(1, count + 1), decision_at=days[1], auction_at=days[1],
            session=days[1], venue="XNYS", auction="open", instrument="NVDA", shares=10, price=100.0,
            auction_price=100.0, currency="USD", fx=1.0, commission=1.0, duty=0.0, levies=0.0, slippage=0.5,
            realized=0.0,
        )  # fmt: skip
        insert(
            "fill_cause", run_id="0a1b2c3d4e5f", fill_no=range(1, count + 1), rank=1, headline_id=ids,
            issuer="NVIDIA", theme="sanctions", model_id="m1", strength=-0.5, relation="own",
        )  # fmt: skip
        insert(
            "unfilled", run_id="0a1b2c3d4e5f", order_no=[1, 2], decision_at=days[1], auction_at=days[1],
            session=days[1], instrument="NVDA", wanted=10, filled=[0, 4], reason="no bar <hr>",
        )  # fmt: skip
        insert(
            "position", run_id="0a1b2c3d4e5f", day=days, instrument="NVDA", shares=10, price=50.0, fx=1.0, value=500.0
        )
        return collect(warehouse, "latest")


class _Page(HTMLParser):
    """Collects tags and the content of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.blocks, self._open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs)) if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.blocks.append((*self._open, data))


def test_no_title_becomes_markup(tmp_path):
    text = render_html(_report(tmp_path))
    page = _Page(text)
    assert {tag for tag, _ in page.tags} & {"img", "i", "b2", "u", "hr", "iframe", "object", "link"} == set()
    # The bundle, the page's script and three blocks of data; nothing a title has brought.
    assert sum(tag == "script" for tag, _ in page.tags) == 5
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") or name == "style" for name in attrs)]
    data = {attrs["id"]: json.loads(block) for _, attrs, block in page.blocks if "id" in attrs}
    headlines = data["fills-data"]["lookup"]["headlines"]
    assert [headline[0] for headline in headlines] == HOSTILE
    assert [headline[2] for headline in headlines] == [None, URLS[1], None, None, URLS[4], URLS[5]]
    assert "{{ 7 * 7 }}" in text


def test_the_policy_names_the_hash_of_each_script_and_style(tmp_path):
    page = _Page(render_html(_report(tmp_path)))
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    own = [block for _, attrs, block in page.blocks if attrs.get("type") != "application/json"]
    assert len(own) == 3
    for block in own:
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_nothing_is_fetched(tmp_path):
    page = _Page(render_html(_report(tmp_path)))
    assert not [attrs for tag, attrs in page.tags if tag != "a" and ("src" in attrs or "href" in attrs)]
    style = next(block for tag, _, block in page.blocks if tag == "style")
    assert not re.search(r"url\(|@import", style)


def test_the_same_report_gives_the_same_bytes(tmp_path):
    report = _report(tmp_path)
    assert render_html(report) == render_html(report)


def test_script_json_cannot_end_its_element():
    value = {"</script>": ["<!--", "a&b", "\u2028\u2029", float("nan"), pd.NaT]}
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"</script>": ["<!--", "a&b", "\u2028\u2029", None, None]}


@pytest.mark.parametrize(
    "url",
    ["javascript:x", " https://a.example", "https://", "//a.example", "https://a.example/\n", "http://[", "", None],
)
def test_only_whole_web_addresses_are_links(url):
    assert safe_url(url) is None


def test_the_command_to_repeat_is_quoted(tmp_path):
    command = repeat_command(_report(tmp_path).run)
    assert "'mine<script>'" in command
    assert "--capital 1000.0 --currency USD --fill open --benchmarks SPY --fee-multiple 1.0 --model m1" in command


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_draws_it_under_its_own_policy(tmp_path):
    page = tmp_path / "report.html"
    page.write_text(render_html(_report(tmp_path)), encoding="utf-8")
    switches = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --virtual-time-budget=5000 --enable-logging=stderr --dump-dom"
    )
    command = [str(BROWSER), *switches.split(), f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    assert "CONSOLE" not in done.stderr  # a refused script or an error would be told here
    drawn = _Page(done.stdout)
    assert [tag for tag, attrs in drawn.tags if tag == "svg" and "marks" in attrs.get("class", "")] == ["svg"] * 2
    assert "<title>mine&lt;script&gt;" in done.stdout
    assert not [tag for tag, _ in drawn.tags if tag == "img"]
    links = [attrs for tag, attrs in drawn.tags if tag == "a"]
    assert [link["href"] for link in links] == [URLS[1], URLS[4], URLS[5]]
    assert {link["rel"] for link in links} == {"noopener noreferrer"}
    assert "1 to 6 of 6 fills" in done.stdout
