"""Titles and bodies made clean: what is kept is readable text, case and letters as delivered.

Entities become characters, known HTML tags go, broken encodings are repaired (ftfy) where text shows the
signs, and what cannot be seen is removed: NUL and controls, bidi marks, zero-width characters, soft hyphens.
Zero-width joiners go too, so that ``Nvi<ZWJ>dia`` is read as the name it shows. Lone surrogates become
U+FFFD. Look-alike letters of other scripts stay what they are.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

from chipwire.data.errors import BadRow

MAX_TITLE = 1_000
MAX_BODY = 1_000_000
EXCERPT = 200

# Printable ASCII in single spaces, no '&', '<' or '>': nothing to clean, and most titles are so.
_PLAIN = re.compile(r"[!-%'-;=?-~]+(?: [!-%'-;=?-~]+)*")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_HIDDEN_ELEMENT = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
# Only real tags: "Function<T, R>" and "margin < 5% and > 3%" are text.
_TAG = re.compile(
    r"</?(?:a|abbr|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|del|div|em|figcaption|"
    r"figure|font|footer|form|h[1-6]|header|hr|html|i|iframe|img|input|ins|label|li|link|mark|meta|nav|noscript|"
    r"ol|p|pre|script|section|small|source|span|strike|strong|style|sub|sup|svg|table|tbody|td|th|thead|tr|u|ul|"
    r"video)(?:\s[^<>]*|/)?>",
    re.IGNORECASE,
)
_BREAKING_TAG = re.compile(r"<(?:br|/p|/div|/li|/h[1-6]|/tr)\s*/?>", re.IGNORECASE)
# Controls, format characters (Unicode category Cf), fillers, variation selectors, private use, noncharacters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ue000-\uf8ff\ufe00-\ufe0f"
    "\ufeff\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n(?: ?\n)+")
_SEPARATORS = (" - ", " | ", " – ", " — ", " · ")
# Quotes are printed in too many ways to tell items apart; signs of numbers (+ - % $ . inside) are kept.
_KEY_TABLE: dict[int, str | None] = {
    **dict.fromkeys(map(ord, "\"'`´‘’‚‛“”„‟«»‹›「」『』"), None),
    **dict.fromkeys(map(ord, ",;:!?.…|·()[]{}<>*_、。，；：！？（）【】《》"), " "),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
}
_KEY_BYTES = bytes(ord(_KEY_TABLE.get(i) or chr(i)) for i in range(128)) + bytes(range(128, 256))
_KEY_DROPPED = bytes(i for i in range(128) if i in _KEY_TABLE and _KEY_TABLE[i] is None)


def clean_line(raw: str) -> str:
    """Return `raw` as one clean line; '' when nothing readable is left."""
    if _PLAIN.fullmatch(raw):
        return raw
    return " ".join(_readable(raw).split())


def clean_body(raw: str) -> str:
    """Return `raw` clean, with its line breaks and at most one blank line between paragraphs."""
    text = _readable(raw.replace("\r\n", "\n").replace("\r", "\n"), keep_breaks=True)
    lines = _SPACES.sub(" ", "\n".join(text.splitlines()))
    return _BLANK_LINES.sub("\n\n", lines.replace(" \n", "\n").replace("\n ", "\n")).strip()


def _readable(text: str, *, keep_breaks: bool = False) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        # Pairs delivered as two escapes become their character, what is left alone becomes U+FFFD.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if "&" in text:
        # Feeds often escape twice: "&amp;#8217;".
        for _ in range(2):
            text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if "<" in text:
        text = _HIDDEN_ELEMENT.sub(" ", text)
        text = _BREAKING_TAG.sub("\n" if keep_breaks else " ", text)
        text = _TAG.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _repaired(text))
    return _INVISIBLE.sub("", text)


def _repaired(text: str) -> str:
    """Undo text that was decoded with the wrong encoding somewhere on its way, where it shows the signs."""
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    return str(fix_encoding(text)) if is_bad(text) else text


def clean_title(raw: str) -> str:
    """Return a clean title.

    Raises
    ------
    BadRow
        Nothing is left of it, or more than 1,000 characters are.
    """
    if len(raw) <= MAX_TITLE and _PLAIN.fullmatch(raw):
        return raw
    if len(raw) > MAX_BODY:
        raise BadRow(f"the title has {len(raw):,} characters; at most {MAX_TITLE:,} are a title")
    title = clean_line(raw)
    if not title:
        raise BadRow("no title" if not raw.strip() else "the title has no readable character")
    if len(title) > MAX_TITLE:
        raise BadRow(f"the title has {len(title):,} characters; at most {MAX_TITLE:,} are a title")
    return title


def check_length(text: str, what: str) -> None:
    """Raise BadRow when a summary or body is longer than 1,000,000 characters."""
    if len(text) > MAX_BODY:
        raise BadRow(f"the {what} has {len(text):,} characters; at most {MAX_BODY:,} are kept")


def excerpt(raw: str) -> str:
    """Return the first 200 characters of what was refused, cleaned, for the table of rejects."""
    return clean_line(raw[: 4 * EXCERPT])[:EXCERPT]


def _bare(site: str) -> str:
    """Return a site's name without its top-level domain."""
    return re.sub(r"\.(?:com|org|net|co\.uk|io|cn|com\.cn|ai|news)$", "", site)


@lru_cache(maxsize=8192)
def publisher_names(source: str) -> frozenset[str]:
    """Return the forms in which a publisher signs its titles: 'StockNews.com' also as 'stocknews'."""
    name = source.casefold()
    site = re.sub(r"^(?:https?://)?(?:www\.)?", "", name).partition("/")[0]
    return frozenset({name, site, _bare(site)} - {""})


def strip_publisher(title: str, source: str | None, known: Collection[str] = ()) -> str:
    """Return `title` without a publisher's name after its last separator, signed up to twice.

    Only the row's own `source` or a name of `known` (casefolded) is taken off; "- report", "| Part 1" stay.
    """
    if title.isascii() and " - " not in title and " | " not in title:
        return title
    names = publisher_names(source) if source else frozenset()
    for _ in range(2):
        shorter = _without_signature(title, names, known)
        if shorter == title:
            break
        title = shorter
    return title


def _without_signature(title: str, names: frozenset[str], known: Collection[str]) -> str:
    for separator in _SEPARATORS:
        if separator not in title:
            continue
        head, _, tail = title.rpartition(separator)
        folded = tail.casefold()
        if (folded in names or folded in known or _bare(folded) in names) and head.strip():
            return head.rstrip()
        # A publisher's name may hold a separator of its own.
        for name in names:
            signed = separator + name
            if separator in name and title.casefold().endswith(signed) and len(signed) < len(title):
                return title[: -len(signed)].rstrip()
    return title


_REJOINED = (
    (re.compile(r"(?<!\d)(\d{1,3}) , (?=\d{3}(?!\d))"), r"\1,"),
    (re.compile(r"(\d) \. (?=\d)"), r"\1."),
    (re.compile(r"\b([A-Z]) \. (?=[A-Z] \.)"), r"\1."),
    (re.compile(r"(\w) \. (?=(?:com|net|org|co|cn)\b)"), r"\1."),
    (re.compile(r" ([,.;:?!])(?= |$)"), r"\1"),
    (re.compile(r"(?<=[,.;:?!]) (?=['’\"”](?: |$))"), ""),
    (re.compile(r"(?<=[A-Z]\.) -(?=\w)"), "-"),
    (re.compile(r" (?=['’](?:s|re|ve|ll|d|m|t)\b)|(?<=\w) (?=n['’]t\b)"), ""),
    (re.compile(r"(?<=\d) (?=%)|(?<=[$€£¥]) (?=\d)|(?<=\() | (?=\))"), ""),
)


def rejoin_tokens(title: str) -> str:
    """Undo tokenised punctuation: "Cramer : 1 , 500 jobs in the U . S ." as it was printed."""
    for pattern, joined in _REJOINED:
        title = pattern.sub(joined, title)
    return title


def title_key(title: str) -> str:
    """Return the form under which two titles are the same: NFKC, casefolded, quotes, spaces, stops folded.

    Signs that change a meaning (``+5%``, ``-5%``, ``$``) are kept. A title of nothing but punctuation is its
    own casefolded form.
    """
    if title.isascii():
        # The same table on bytes: several times faster, and most titles are ASCII.
        words = title.lower().encode("ascii").translate(_KEY_BYTES, _KEY_DROPPED).split()
        return b" ".join(words).decode("ascii") or title.lower()
    folded = unicodedata.normalize("NFKC", title).casefold()
    return " ".join(folded.translate(_KEY_TABLE).split()) or folded
