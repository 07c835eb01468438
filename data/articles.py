"""A plain article taken apart: title, body without the page around it, and its date where it has one.

Only two kinds of line date an article: one that is nothing but a date, above the body; and a newswire's
dateline in two zones that agree, above the body or right after its "(END)" line. Dates inside the body, and
dates below it (neighbouring articles, captions), are never taken for the article's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chipwire.data.errors import BadInstant
from chipwire.data.instants import Stamp, day_stamp, parse_stamp, read_article_day, read_dateline
from chipwire.data.language import detect_language
from chipwire.data.text import clean_body, clean_line

SENTENCE_TITLE = 300
LINE_TITLE = 250
# A tail's mark with less text than this above it is a box in the page: only its line goes.
LEAST_BODY = 200
_ABOVE = 6
_CHROME = re.compile(
    r"key takeaways|key points|what is the story about\??|what's happening\??|in brief|highlights|summary|"
    r"listen to this article|advertisement|share this article|breaking news|read full story|"
    r"\d+ min(?:ute)?s? read|[a-z]{2}_[A-Z]{2}\w*",
    re.IGNORECASE,
)
_BYLINE = re.compile(r"By [A-Z][\w.'’\-]*(?: (?:[A-Z][\w.'’\-]*|and|de|van|von|bin|al|&))*(?:, [\w .,&'’\-]{1,60})?")
_END_MARK = re.compile(r"\(END\)\s*(?P<wire>.*)")
_TAIL = re.compile(
    r"source links?|visited \d+ times?\b.*|"
    r"(?:related|recommended|more|latest|popular) "
    r"(?:articles?|stor(?:y|ies)|news|posts?|reading|content|topics|links?)\s*:?|"
    r"you (?:may|might) also (?:like|enjoy)\s*:?|read (?:more|next|also)\s*:?|"
    r"write to .{1,80} at \S+@\S+|\(end\).*|(?:copyright|©) ?(?:\(c\)|©|\d{4}).*|all rights reserved\.?|"
    r"do you find this article useful\??|was this article helpful\??|ai[ -]generated content\.?|"
    r"[a-z]{2}_[A-Z]{2}[A-Z]?[^\W\d_]+|share (?:this|on)\b.{0,40}|sign up for .{0,80}|disclaimer\s*:?.*|"
    r"(?:免责声明|免責聲明|相关阅读|相關閱讀|责任编辑).*",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)%”\"’])[.!?](?:[”\"’)])?(?=\s+[“\"‘(]?[A-Z0-9])|[。！？]")


@dataclass(frozen=True)
class Article:
    """What one article's text gives.

    Attributes
    ----------
    title : str
        Its title line, else its first sentence (at most 300 characters); '' when there is no text.
    body : str
        Its paragraphs, without title, byline, date line and tail.
    stamp : Stamp or None
        When it was published, if it says so itself.
    source : str or None
        The newswire that signs it.
    """

    title: str
    body: str
    stamp: Stamp | None
    source: str | None


def read_article(text: str, zone: str | None = None) -> Article:
    """Take an article apart.

    Parameters
    ----------
    text : str
        The page's text as saved.
    zone : str, optional
        IANA zone whose day a date line means. Without it the day is taken to end at midnight UTC.
    """
    lines = clean_body(text).split("\n")
    stamp, source, lines = _signature(lines)
    title, dated, lines = _opening(lines, zone or "UTC")
    body = "\n".join(_without_tail(lines)).strip()
    return Article(title or _first_sentence(body), body, dated or stamp, source)


def _signature(lines: list[str]) -> tuple[Stamp | None, str | None, list[str]]:
    """Return the newswire's dateline after "(END)", its name, and the lines before its signature."""
    for i, line in enumerate(lines):
        if found := _END_MARK.fullmatch(line):
            below = [later for later in lines[i + 1 :] if later][:2]
            stamps = [stamp for later in below if (stamp := read_dateline(later))]
            return (stamps[0] if stamps else None), found["wire"].strip() or None, lines[:i]
    return None, None, lines


def _opening(lines: list[str], zone: str) -> tuple[str, Stamp | None, list[str]]:
    """Return the title line (or ''), the date above the body, and the lines from the body on."""
    rest = list(lines)
    title, stamp, looked_at = "", None, 0
    while rest and looked_at < _ABOVE:
        line = rest[0]
        if not line or _CHROME.fullmatch(line) or _BYLINE.fullmatch(line):
            rest.pop(0)
            continue
        looked_at += 1
        if stamp is None and (stamp := _date_line(line, zone)):
            rest.pop(0)
        elif not title and _is_title(rest, zone):
            title = rest.pop(0)
        else:
            break
    return title, stamp, rest


def _is_title(lines: list[str], zone: str) -> bool:
    """Return whether the first line stands apart as a title: short, then a blank or a date, then text."""
    below = [line for line in lines[1:] if line]
    apart = len(lines) > 1 and (not lines[1] or _date_line(lines[1], zone) is not None)
    return apart and bool(below) and len(lines[0]) <= LINE_TITLE


def _date_line(line: str, zone: str) -> Stamp | None:
    """Return the stamp of a line that is nothing but a date or a dateline."""
    day = read_article_day(line)
    if day is not None:
        return day_stamp(day, zone)
    if stamp := read_dateline(line):
        return stamp
    try:
        stamp = parse_stamp(line)
    except BadInstant:
        return None
    return stamp


def _without_tail(lines: list[str]) -> list[str]:
    """Return the body's lines: cut at the first mark of a tail, trailing foreign paragraphs gone."""
    kept: list[str] = []
    for line in lines:
        if line and _TAIL.fullmatch(line):
            if sum(map(len, kept)) >= LEAST_BODY:
                break
            continue
        kept.append(line)
    body_language = detect_language(" ".join(kept)[:2000])
    while kept and (not kept[-1] or _is_foreign(kept[-1], body_language)):
        kept.pop()
    return kept


def _is_foreign(line: str, body_language: str) -> bool:
    """Return whether a last paragraph is in another script than the body: a disclaimer of the site's own."""
    chinese = {"zh", "ja", "ko"}
    return (detect_language(line) in chinese) != (body_language in chinese) and len(line) > 20


def _first_sentence(body: str) -> str:
    """Return the first sentence of the first paragraph, at most 300 characters, cut at a word."""
    paragraph = clean_line(body.partition("\n")[0])
    found = _SENTENCE_END.search(paragraph)
    sentence = paragraph[: found.end()] if found else paragraph
    if len(sentence) <= SENTENCE_TITLE:
        return sentence
    cut = sentence[: SENTENCE_TITLE - 1]
    return (cut.rpartition(" ")[0] or cut) + "…"
