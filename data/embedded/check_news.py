"""Headlines for the check of the timeline: read from csv files, reduced to key words, found by day.

Only what the check needs is kept of a headline: file, time, issuers, key words. Nothing of its text goes on.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from chipwire.data.errors import UnreadableInput
from chipwire.data.universe import Issuer, load_universe

NEW_YORK = "America/New_York"
LEAST_WEIGHT, LEAST_WEIGHT_CHINESE = 9.0, 4.0
"""What the key words that a headline shares with an event must weigh; Chinese trending titles are short."""

LEAST_SHARE = 0.3
"""Share of the weight of the event's own key words that they must be, for headlines in English."""

LEAST_COVERAGE = 0.2
"""Headlines a day, on average over its span, from which a file is said to cover an issuer."""

# (time, title, summary, zone of times without an offset; None where the file has days only)
_SHAPES = (
    ("publishedDate", "title", "text", NEW_YORK),
    ("published_utc", "title", None, "UTC"),
    ("published date", "title", "description", None),
    ("date", "title", "summary", None),
    ("date", "headline", None, None),
    ("date_cst", "title", None, None),
)
_SUMMARY_CHARACTERS = 400
_LONGEST_CELL = 16_000_000
# Words that say the same in a headline, in English and Chinese; the first names the concept.
_CONCEPTS = """
outlook forecast guidance guide expect predict estimate 预期 预计 指引
beat top exceed above surpass 超预期
miss below short trail disappoint weak light 不及预期 爆雷
profit earnings income result 盈利 利润 财报 业绩
revenue sale 营收 收入
acquire buy acquisition purchase takeover bid deal agree 收购 合并 入股
chief ceo boss 总裁
curb restrict control ban limit 限制 管制 禁令 封禁
halt suspend 停牌 暂停
revoke withdraw 撤销
cut slash lower reduce trim drop fall decline plunge slump sink 下跌 下滑 降价
rise jump climb soar surge grow growth gain leap increase 增长 上涨 大涨
launch unveil reveal debut release introduce announce show 发布 推出 上线 亮相
model 模型
plant fab factory 工厂
grant award fund subsidy 补贴 大基金
probe investigate inquiry summon 调查 约谈 审查
quarter quarterly q1 q2 q3 q4 季度
licence license 许可
staff job layoff workforce 裁员
lawsuit sue suit court jury judge 起诉
talk weigh consider explore discuss mull
chip processor semiconductor accelerator silicon 芯片 半导体
open open-source 开源
tariff duty 关税
backdoor 后门
"""
_STOP_WORDS = """
a an the of to in on for and or but as at by with from into its it is are be was were will would may could up
down over after before than that this their his says said say report reports sources source more new us no not
first
"""
_STOP = frozenset(_STOP_WORDS.split())
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[a-z][a-z0-9]*|[\u4e00-\u9fff]+")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_SUFFIX = re.compile(r"(?<=[a-z0-9]{3})(?:ings?|ers?|ies|ed|es|s|e|y)$")


@dataclass(frozen=True)
class Headline:
    """What is kept of a headline; `at` is an instant, or a day where the file has no more."""

    file: str
    at: datetime | date
    issuers: frozenset[str]
    words: frozenset[str]
    chinese: bool


def midnight(day: date, zone: str) -> datetime:
    """Return the instant (UTC) at which `day` begins in `zone`."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _stem(word: str) -> str:
    return _SUFFIX.sub("", word)


def _concepts() -> tuple[dict[str, str], dict[str, str]]:
    latin: dict[str, str] = {}
    chinese: dict[str, str] = {}
    for line in _CONCEPTS.strip().splitlines():
        name, *others = line.split()
        for word in (name, *others):
            if word.isascii():
                latin[_stem(word)] = f"@{name}"
            else:
                chinese[word] = f"@{name}"
    return latin, chinese


_LATIN_CONCEPTS, _CHINESE_CONCEPTS = _concepts()


def key_words(text: str) -> frozenset[str]:
    """Return the stems, concepts and figures of `text`; words without content are left out."""
    found = set()
    for word in _WORD.findall(re.sub(r"['’]s\b", "", text.lower())):
        if word[0].isdigit():
            figure = word.replace(",", "")
            found.add(figure.rstrip("0").rstrip(".") if "." in figure else figure)
        elif not word.isascii():
            found.update(concept for term, concept in _CHINESE_CONCEPTS.items() if term in word)
        elif word not in _STOP:
            stem = _stem(word)
            found.add(_LATIN_CONCEPTS.get(stem, stem))
    return frozenset(found)


def _name_pattern(issuer: Issuer) -> re.Pattern[str]:
    tickers = (name for name in issuer.tickers if name.isalpha() and len(name) > 2)
    latin = "|".join(map(re.escape, (*issuer.aliases, *issuer.former, *tickers)))
    chinese = "".join(f"|{re.escape(name)}" for name in issuer.zh)
    return re.compile(rf"(?<![A-Za-z0-9])(?:{latin})(?![A-Za-z0-9]){chinese}", re.IGNORECASE)


def read_news(folder: Path) -> list[Headline]:
    """Read the headlines of all csv files of `folder` (plain or gzipped) that name an issuer.

    Raises
    ------
    UnreadableInput
        The folder has no csv file, or one is damaged or has columns of no known shape.
    """
    names = {issuer.id: _name_pattern(issuer) for issuer in load_universe().issuers.values()}
    files = sorted(p for p in folder.iterdir() if p.name.endswith((".csv", ".csv.gz")))
    if not files:
        raise UnreadableInput(str(folder), "has no csv file; name the folder that holds the headlines")
    return [headline for file in files for headline in _read_file(file, names)]


def _read_file(path: Path, names: Mapping[str, re.Pattern[str]]) -> list[Headline]:
    csv.field_size_limit(_LONGEST_CELL)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        head = reader.fieldnames or ()
        shape = next((s for s in _SHAPES if {s[0], s[1], s[2] or s[1]} <= {*head}), None)
        if shape is None:
            known = ", ".join(f"{when} with {title}" for when, title, _, _ in _SHAPES)
            raise UnreadableInput(str(path), f"columns are {', '.join(head)}; known are {known}")
        return list(_headlines(path.name, reader, shape, names))
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise UnreadableInput(str(path), f"is no table of headlines ({error})") from error


def _headlines(
    file: str,
    rows: Iterable[Mapping[str, str]],
    shape: tuple[str, str, str | None, str | None],
    names: Mapping[str, re.Pattern[str]],
) -> Iterator[Headline]:
    when, title, summary, zone = shape
    for row in rows:
        text = row[title] + (" " + (row[summary] or "")[:_SUMMARY_CHARACTERS] if summary else "")
        issuers = frozenset(name for name, pattern in names.items() if pattern.search(text))
        if issuers and row[when]:
            day = date.fromisoformat(row[when][:10])
            at = day if zone is None else datetime.fromisoformat(row[when]).replace(tzinfo=ZoneInfo(zone))
            yield Headline(file, at, issuers, key_words(text), bool(_CHINESE.search(row[title])))


class News:
    """Headlines by day, the weight of each key word, and which file covers which issuer in which span."""

    def __init__(self, headlines: Sequence[Headline]) -> None:
        self._by_day: dict[date, list[Headline]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._number = len(headlines)
        days: dict[tuple[str, str], list[date]] = defaultdict(list)
        for headline in headlines:
            day = _utc_day(headline.at)
            self._by_day[day].append(headline)
            self._counts.update(headline.words)
            for issuer in headline.issuers:
                days[headline.file, issuer].append(day)
        self._spans: dict[str, list[tuple[date, date]]] = defaultdict(list)
        for (_, issuer), found in days.items():
            first, last = min(found), max(found)
            if len(found) >= LEAST_COVERAGE * ((last - first).days + 30):
                self._spans[issuer].append((first, last))
        issuers = load_universe().issuers.values()
        names = (name for issuer in issuers for name in (*issuer.aliases, *issuer.tickers))
        self._names = frozenset(word for name in names for word in key_words(name))

    def weight(self, words: Iterable[str]) -> float:
        """Return the summed inverse document frequencies, log((n + 1) / (count + 1)), of `words`."""
        return sum(math.log((self._number + 1) / (self._counts[word] + 1)) for word in words)

    def covers(self, issuers: Iterable[str], day: date) -> bool:
        """Whether a file covers one of `issuers` on `day`."""
        return any(first <= day <= last for i in issuers for first, last in self._spans[i])

    def confirming(self, title: str, issuers: Sequence[str], days: Iterable[date], zone: str) -> list[Headline]:
        """Return the headlines of `days` and the day after that tell the event.

        Parameters
        ----------
        title : str
            The event in the timeline's words.
        issuers : sequence of str
            A headline must name one of them.
        days : iterable of date
            The event's day or days, read in `zone` and in New York; a file's day of unknown zone is one of
            them or the next.
        """
        words = key_words(title) - self._names
        own = self.weight(words)
        found = []
        for headline in self._near(list(days), {zone, NEW_YORK}):
            if headline.issuers.intersection(issuers):
                shared = self.weight(words & headline.words)
                least = LEAST_WEIGHT_CHINESE if headline.chinese else max(LEAST_WEIGHT, LEAST_SHARE * own)
                if shared >= least:
                    found.append(headline)
        return found

    def _near(self, days: Sequence[date], zones: Iterable[str]) -> Iterator[Headline]:
        wanted = {day + timedelta(days=more) for day in days for more in (0, 1)}
        first = min(midnight(min(days), zone) for zone in zones)
        last = max(midnight(max(days) + timedelta(days=2), zone) for zone in zones)
        for number in range((last.date() - first.date()).days + 1):
            for headline in self._by_day.get(first.date() + timedelta(days=number), ()):
                at = headline.at
                if first <= at < last if isinstance(at, datetime) else at in wanted:
                    yield headline


def _utc_day(at: datetime | date) -> date:
    return at.astimezone(UTC).date() if isinstance(at, datetime) else at
