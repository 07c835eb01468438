"""The page without a browser: hostile titles stay text, the policy holds, the bytes repeat, the columns say the run."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
import math
import re
import shlex
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from chipwire.data.errors import BadParameter, OutputExists
from chipwire.data.warehouse import Warehouse
from chipwire.engine.rules import Reason
from chipwire.reports.attribution_section import divisions
from chipwire.reports.collect import collect
from chipwire.reports.html import SECTIONS, render_html, repeat_command
from chipwire.reports.lineage_section import untraded
from chipwire.reports.page import light_colours, script_json, write_page
from chipwire.reports.pictures import pictures
from chipwire.reports.tables import TITLE_AT_MOST, page_data
from chipwire.reports.values import REASONS, published_day, safe_url

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


def _report(tmp_path, titles=HOSTILE):
    days = pd.to_datetime(["2024-07-01", "2024-07-02", "2024-07-03"])
    count = len(titles)
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
            "headline", headline_id=ids, title=titles, url=URLS, source="<u>Wire</u>", language="en",
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


def _data(page):
    return next(json.loads(block) for _, attrs, block in page.blocks if attrs.get("id") == "data")


def test_no_title_becomes_markup(tmp_path):
    text = render_html(_report(tmp_path))
    page = _Page(text)
    assert {tag for tag, _ in page.tags} & {"img", "i", "b2", "u", "hr", "iframe", "object", "link"} == set()
    # The bundle, the page's script and one block of data; nothing a title has brought.
    assert sum(tag == "script" for tag, _ in page.tags) == 3
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") or name == "style" for name in attrs)]
    data = _data(page)
    assert data["headlines"]["title"] == HOSTILE
    words = data["words"]
    parts = zip(data["headlines"]["host"], data["headlines"]["path"], strict=True)
    links = [None if host is None else words[host] + path for host, path in parts]
    assert links == [None, URLS[1], None, None, URLS[4], URLS[5]]
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
    assert all(attrs["href"].startswith("#") for tag, attrs in page.tags if tag == "a")
    assert not [attrs for tag, attrs in page.tags if tag != "a" and ("src" in attrs or "href" in attrs)]
    style = next(block for tag, _, block in page.blocks if tag == "style")
    assert not re.search(r"url\(|@import", style)


def test_the_same_report_gives_the_same_bytes(tmp_path):
    report = _report(tmp_path)
    assert render_html(report) == render_html(report)


def test_script_json_cannot_end_its_element():
    value = {"</script>": ["<!--", "a&b", "\u2028\u2029", pd.NaT]}
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"</script>": ["<!--", "a&b", "\u2028\u2029", None]}


@pytest.mark.parametrize(
    "url",
    ["javascript:x", " https://a.example", "https://", "//a.example", "https://a.example/\n", "http://[", "", None],
)
def test_only_whole_web_addresses_are_links(url):
    assert safe_url(url) is None


def test_the_command_to_repeat_is_quoted(tmp_path):
    command = repeat_command(_report(tmp_path).run)
    assert "'mine<script>'" in command
    assert "--capital 1000.0 --currency USD --fill open --benchmarks SPY --model m1" in command


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"benchmarks": []}, ["--benchmarks", "none"]),
        ({"benchmarks": ["SPY", "SOX"], "instruments": []}, ["--benchmarks", "SPY,SOX"]),
        ({"instruments": ["NVDA", "AMD"]}, ["--instruments", "NVDA,AMD"]),
        ({"fee_multiple": 1.0}, []),
        ({"fee_multiple": 2.0}, ["--fee-multiple", "2.0"]),
        ({"cutoff_minutes": None}, []),
    ],
)
def test_the_command_to_repeat_says_what_is_not_so_by_itself(tmp_path, settings, words):
    run = dataclasses.replace(_report(tmp_path).run, strategy="mine", params={}, settings=settings, model_id=None)
    assert shlex.split(repeat_command(run)) == ["chipwire", "backtest", "mine", *words]


DAY = date(2024, 6, 24)


def _began(day, zone):
    """Return the instant at which a day began in a zone, UTC without a zone, as the warehouse has it."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Pacific/Kiritimati", "UTC", "America/New_York"])
def test_a_day_is_that_of_its_own_zone(zone):
    assert published_day(pd.Timestamp(_began(DAY, zone)), "day", zone) == (DAY, zone)


def test_what_is_known_to_the_minute_or_not_at_all_is_no_day():
    assert published_day(_began(DAY, "UTC"), "day", math.nan) == (DAY, "UTC")
    assert published_day(_began(DAY, "UTC"), "minute", None) is None
    assert published_day(pd.NaT, "day", "UTC") is None
    assert published_day(None, None, None) is None


def test_the_page_has_a_headline_known_by_its_day_as_its_zone_counts_it(tmp_path):
    _report(tmp_path)
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:
        for headline_id, zone in (("h1", "Asia/Shanghai"), ("h4", "America/New_York")):
            warehouse.run(
                "UPDATE headline SET published_precision = 'day', published_zone = ?, published_at = ? "
                "WHERE headline_id = ?",
                [zone, _began(DAY, zone), headline_id],
            )
        data = page_data(collect(warehouse, "latest"))
    epoch = date(1970, 1, 1).toordinal() + data["epoch"]
    known = {place: (date.fromordinal(epoch + day), data["words"][zone])
             for place, (day, zone) in data["headlines"]["by_day"].items()}  # fmt: skip
    assert known == {1: (DAY, "Asia/Shanghai"), 4: (DAY, "America/New_York")}


def test_the_navigation_lists_every_section_of_the_page(tmp_path):
    page = _Page(render_html(_report(tmp_path)))
    ids = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    # No bar of the one instrument traded is stored, so there is no chart of its price, no quality and no lineage.
    assert ids == [name for name, _, _ in SECTIONS if name not in ("prices", "quality", "lineage")]
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == ["#main", *(f"#{name}" for name in ids)]


def test_columns_give_back_the_fills(tmp_path):
    report = _report(tmp_path)
    data = page_data(report)
    columns = {column["key"]: column for column in data["tables"]["fills"]["columns"]}
    words, epoch = data["words"], pd.Timestamp("1970-01-01") + pd.Timedelta(days=data["epoch"])
    for row, fill in enumerate(report.fills.itertuples()):
        assert columns["fill"]["values"][row] == fill.fill_no
        assert epoch + pd.Timedelta(minutes=columns["at"]["values"][row]) == fill.auction_at
        assert words[columns["instrument"]["values"][row]] == fill.instrument
        assert words[columns["side"]["values"][row]] == "buy"
        assert words[columns["price"]["units"][row]] == fill.currency
        assert columns["price"]["values"][row] == fill.price
        assert columns["realized"]["values"][row] is None  # nothing was closed
        count, reading, strength, theme, relation = columns["causes"]["values"][row]
        assert (count, strength, words[theme], words[relation]) == (1, -0.5, "sanctions", "its own signal")
        assert data["headlines"]["title"][data["readings"]["headline"][reading]] == HOSTILE[row]


def test_only_headlines_behind_fills_are_in_the_page_and_the_rest_is_counted(tmp_path):
    report = _report(tmp_path)
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:
        later = pd.to_datetime(["2024-07-02 00:00", "2024-07-03 23:59", "2024-07-04 00:00"])
        warehouse.insert(
            "headline",
            pd.DataFrame(
                {"headline_id": ["x1", "x2", "x3"], "title": "Nothing came of it", "language": "en",
                 "available_at": later, "batch_id": 1}
            ),
        )  # fmt: skip
        report = collect(warehouse, "latest")
    text = render_html(report)
    assert "Nothing came of it" not in text
    # Two of the three became known in the run's days; all six others stand behind a fill.
    assert report.n_headlines == len(HOSTILE) + 2
    assert f"Of {len(HOSTILE) + 2} headlines that became known in the run's days, 6 stand behind a fill" in text


def test_a_very_long_title_is_cut(tmp_path):
    data = page_data(_report(tmp_path, ["z" * 10_000, *HOSTILE[1:]]))
    assert data["headlines"]["title"][0] == "z" * TITLE_AT_MOST + "\N{HORIZONTAL ELLIPSIS}"


def test_pictures_need_no_browser_and_no_variable_of_the_page(tmp_path):
    made = pictures(_report(tmp_path))
    assert sorted(made) == ["drawdown.png", "equity.png"]
    for content in made.values():
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        width = int.from_bytes(content[16:20], "big")
        assert width > 2_000
    assert {"--ink", "--paper", "--muted", "--mark", *(f"--line-{n}" for n in range(6))} <= light_colours().keys()


def test_a_page_is_written_where_nothing_is_and_nowhere_else(tmp_path):
    path = tmp_path / "page.html"
    write_page("one", path, force=False)
    with pytest.raises(OutputExists, match="--force"):
        write_page("two", path, force=False)
    assert path.read_text() == "one"
    write_page("two", path, force=True)
    assert path.read_text() == "two"
    with pytest.raises(BadParameter, match=r"ends in \.html"):
        write_page("three", tmp_path / "page.txt", force=True)
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "elsewhere.html")
    with pytest.raises(OutputExists):
        write_page("four", link, force=False)
    assert not (tmp_path / "elsewhere.html").exists()


def test_a_run_that_traded_nothing_has_a_page_and_pictures(tmp_path):
    _report(tmp_path)
    with Warehouse.open(tmp_path / "w.duckdb", write=True) as warehouse:
        with warehouse.transaction():
            for table in ("fill", "fill_cause", "unfilled", "position"):
                warehouse.run(f"DELETE FROM {table}")
        report = collect(warehouse, "latest")
    text = render_html(report)
    assert "Nothing was traded." in text
    assert "Every order was filled in full." in text
    assert not {"prices", "headlines"} & {attrs.get("id") for _, attrs in _Page(text).tags}
    assert pictures(report)["equity.png"]


def test_every_reason_is_told_in_words():
    assert {reason.name.lower() for reason in Reason} - {"none"} == REASONS.keys()


CHECK = {
    "sentence": "Do not believe <b>this</b>.", "p_value": 0.5,
    "luck": {
        "days": 3, "sharpe": 1.0, "trials": 1, "expected_maximum_sharpe": 0.0, "deflated_sharpe": 0.6,
        "minimum_days": None, "block_days": 1.0, "draws": 10, "level": 0.95,
        "intervals": {
            "total_return": {"value": 0.05, "low": -0.1, "high": 0.2}, "sharpe": {"value": 1.0, "low": -1.0, "high": 2.5},
            "max_drawdown": {"value": -0.1, "low": None, "high": None},
        },
    },
    "placebos": [{"kind": "times", "statistic": "sharpe", "real": 1.5, "p_value": 0.5, "values": [0.0, 1.0, 2.0]}],
    "fragility": {
        "base": {"change": "none", "label": "as it is", "total_return": 0.05, "sharpe": 1.0},
        "variants": [
            {"change": "parameter", "label": "<i>hold</i> = 2", "total_return": -0.01, "sharpe": None},
            {"change": "parameter", "label": "hold = 9 (cannot be traded)", "total_return": None, "sharpe": None},
        ],
    },
}  # fmt: skip


def test_a_check_is_on_the_first_screen_and_its_histogram_counts_every_placebo(tmp_path):
    report = dataclasses.replace(_report(tmp_path), check=CHECK, luck=CHECK["luck"])
    text = render_html(report)
    page = _Page(text)
    assert "Do not believe &lt;b&gt;this&lt;/b&gt;." in text.partition('class="figures"')[0]
    first = text.partition("<section")[0]
    assert re.findall(r'class="interval">95%: ([^<]+)<', first) == [
        "\N{MINUS SIGN}10.0% to +20.0%",
        "\N{MINUS SIGN}1.00 to 2.50",
    ]
    data = _data(page)
    (choice,) = data["panels"]["placebos"]["choices"]
    rows = choice["rows"]
    assert sum(filter(None, rows["count"])) == 3
    assert rows["real"][-1] == 1.5
    for value in (0.0, 1.0, 2.0):
        bins = zip(rows["from"], rows["to"], rows["count"], strict=True)
        assert any(low is not None and low <= value <= high and count for low, high, count in bins)
    (dots,) = data["panels"]["fragility"]["choices"]
    assert dots["rows"]["value"] == [-0.01]
    table = {column["key"]: column["values"] for column in data["tables"]["fragility"]["columns"]}
    assert [data["words"][place] for place in table["label"]] == [
        "as it is", "<i>hold</i> = 2", "hold = 9 (cannot be traded)",
    ]  # fmt: skip
    assert table["total_return"] == [0.05, -0.01, None]


def test_a_run_that_was_not_checked_says_how(tmp_path):
    report = _report(tmp_path)
    text = render_html(report)
    assert "Not checked against luck and placebos" in text.partition("<section")[0]
    assert f"{repeat_command(report.run)} --check" in html.unescape(text)


def test_what_became_of_the_headlines_is_counted_and_the_strongest_are_listed(tmp_path):
    known = pd.Timestamp("2024-07-02 12:30")
    rows = [("f", "filled", 0.9), ("o", "outweighed", 0.9), ("b", "before_run", 0.9)]
    rows += [(f"n{n}", "not_chosen" if n % 2 else "not_filled", (-1) ** n * n / 300) for n in range(240)]
    fates = pd.DataFrame(
        {
            "headline_id": [row[0] for row in rows], "title": [f"<u>{row[0]}</u>" for row in rows], "source": "Wire",
            "url": "javascript:1", "published_at": known, "published_precision": "minute", "published_zone": None,
            "available_at": known, "issuer": "NVIDIA", "event": "tool_ban", "value": [row[2] for row in rows], "relevance": 0.5,
            "instrument": "NVDA", "fate": [row[1] for row in rows],
            "reason": ["suspended" if row[1] == "not_filled" else None for row in rows],
        }
    )  # fmt: skip
    left = untraded(fates, 30.0)
    assert left.total == 240
    assert list(left.strongest["headline_id"][:3]) == ["n239", "n238", "n237"]
    assert (left.strongest["available_at"] == known - pd.Timedelta(minutes=30)).all()
    (second := tmp_path / "b").mkdir()
    text = render_html(_report(tmp_path), fates)
    data = _data(_Page(text))
    table = {column["key"]: column["values"] for column in data["tables"]["untraded"]["columns"]}
    titles = [data["headlines"]["title"][place] for place in table["headline"]]
    assert titles == [f"<u>n{n}</u>" for n in range(239, 39, -1)]
    assert table["strength"][:2] == [-0.4, 0.4]
    assert [data["words"][place] for place in table["fate"][:2]] == ["not chosen", "not filled: no volume, suspended"]
    assert "The strongest 200 of 240 headlines" in text
    assert render_html(_report(second), "no bars").count("Not known: no bars.") == 1


def test_only_divisions_that_tell_something_are_shown():
    def lines(by, *totals):
        return [(by, f"line_{n}", total + 1.25, 0.0, -1.25, 0.0, total) for n, total in enumerate(totals)]

    rows = lines("theme", 3.1, -1.1) + lines("event", 2.0) + lines("venue", 1.5, 0.5) + lines("currency", 1.5, 0.5)
    found = divisions(pd.DataFrame(rows, columns=["by", "line", "price", "fx", "costs", "other", "total"]))
    assert [part.by for part in found] == ["theme", "venue"]
    assert found[0].columns == ["price", "costs"]
    assert found[0].sums == [2.0, 4.5, -2.5]
    assert [(line, bar) for line, bar, _, _ in found[0].rows] == [("line 0", (100, 100.0)), ("line 1", (64.5, 35.5))]


def test_the_charts_program_made_ahead_is_the_same(monkeypatch):
    from chipwire.reports import page

    made = page.made_bundle()
    with page.bundle_ahead(True):
        (process,) = page._ahead
        assert page.vega_bundle.__wrapped__() == made
        assert process.returncode == 0
    monkeypatch.setattr(page.sys, "executable", "/bin/false")
    with page.bundle_ahead(True):
        assert page.vega_bundle.__wrapped__() == made
    with page.bundle_ahead(True):
        (process,) = page._ahead
    assert process.returncode is not None
    assert not page._ahead
