"""Which issuers a text names: one pass over all names at once, longest match, word boundaries, context.

Only what is named is linked: "Potato chip maker", "Intel agency" and "AMD grocery" link to nothing.
Aho-Corasick: A. V. Aho and M. J. Corasick, "Efficient string matching", CACM 18 (1975).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import ahocorasick

from chipwire.data.universe import Issuer, Universe

LINKER_RULES = "2"
"""Raise it when the rules here change: it is part of the linker's identity, so that old headlines are read anew."""

BODY_CHARACTERS = 4_000
"""How much of a body is searched; a name further down hardly says what the article is about."""

Kind = Literal["name", "zh", "ticker"]

_CHIP_WORDS = re.compile(
    r"\b(chip|chips|chipmaker|chipmakers|semiconductors?|processors?|cpus?|gpus?|fabs?|foundry|foundries|ryzen|epyc|"
    r"radeon|xeon|graphics|laptops?|data cent(?:er|re)s?|nm|wafers?|dram|nand|hbm)\b|芯片|半导体|处理器",
    re.IGNORECASE,
)
_EXCHANGE_BEFORE = re.compile(
    r"(?:\$|(?<![A-Za-z0-9])(?:NASDAQ|NYSE|NYSEARCA|HKEX|SEHK|HKG|HKSE|SSE|SHA|SHSE|SH|SZ|HK|TPE|TWSE|KRX)\s*[:：]?\s*)$",
    re.IGNORECASE,
)
_EXCHANGE_AFTER = re.compile(r"\.(?:HK|SS|SH|TW|KS|OQ|O|N|US)\b")
_DIGIT_EXCHANGE_AFTER = re.compile(r"\.(?:HK|SS|SH|TW|KS)\b")
_GLUED_EXCHANGE = re.compile(r"(?<![a-z])(?:SH|HK)$", re.IGNORECASE)
_VERSION_AFTER = re.compile(r"[VRvr]?\d")
_VERSIONED_LETTERS = 6
"""Names of so many letters may run into a version, as models and phones do; AMD64 is no AMD."""


@dataclass(frozen=True)
class Hit:
    """A name found in a text; `start` and `end` count characters of the NFKC-normalised text."""

    issuer: str
    matched: str
    start: int
    end: int


@dataclass(frozen=True)
class Mention:
    """A headline's link to an issuer; `relevance` in [0, 1] says how much the text is about it."""

    issuer: str
    matched: str
    relevance: float


@dataclass(frozen=True)
class _Alias:
    issuer: str
    text: str
    kind: Kind


class Linker:
    """Finds issuers in text by the names, tickers and former names of a universe.

    Parameters
    ----------
    universe : Universe
        Names and their contexts.

    Attributes
    ----------
    id : str
        Digest of the universe and of the rules; stored with every mention.
    """

    def __init__(self, universe: Universe) -> None:
        self._issuers = universe.issuers
        self.id = hashlib.blake2b(f"{LINKER_RULES} {universe.digest}".encode(), digest_size=6).hexdigest()
        self._automaton = ahocorasick.Automaton()
        found: dict[str, list[_Alias]] = {}
        for issuer in universe.issuers.values():
            for alias in _aliases(issuer):
                found.setdefault(alias.text.lower(), []).append(alias)
        for key, aliases in found.items():
            self._automaton.add_word(key, (len(key), tuple(aliases)))
        self._automaton.make_automaton()

    def find(self, text: str) -> list[Hit]:
        """Return the names in `text` from left to right, never two on the same characters."""
        if not text.isascii():
            text = unicodedata.normalize("NFKC", text)
        lowered = _lower(text)
        spans = []
        for last, (length, aliases) in self._automaton.iter(lowered):
            start = last + 1 - length
            named = [a for a in aliases if _stands_alone(text, start, last + 1, a) and _cased(text, start, last + 1, a)]
            if named:
                spans.append((start, last + 1, named))
        if not spans:
            return []
        hits: list[Hit] = []
        end = -1
        # Longest match wins before context is asked: "Samsung Biologics" must not fall back to a shorter name.
        for start, stop, named in sorted(spans, key=lambda span: (span[0], -span[1])):
            if start < end:
                continue
            end = stop
            hits += [
                Hit(alias.issuer, text[start:stop], start, stop)
                for alias in named
                if self._meant(text, lowered, start, stop, alias)
            ]
        return list(dict.fromkeys(hits))

    def link(self, title: str, *others: str | None) -> list[Mention]:
        """Return the issuers that an item names, most relevant first.

        Parameters
        ----------
        title : str
            Names here count most: 1 for a sole issuer, less the more issuers share the title, never below 0.4.
        *others : str or None
            Summary and body; a name found only there has relevance 0.3.
        """
        in_title = _first_by_issuer(self.find(title))
        share = max(0.4, 1.0 / (1.0 + 0.25 * (len(in_title) - 1))) if in_title else 0.0
        mentions = [Mention(issuer, hit.matched, share) for issuer, hit in in_title.items()]
        rest = "\n".join(text[:BODY_CHARACTERS] for text in others if text)
        if rest:
            elsewhere = _first_by_issuer(self.find(rest))
            mentions += [Mention(i, hit.matched, 0.3) for i, hit in elsewhere.items() if i not in in_title]
        return mentions

    def _meant(self, text: str, lowered: str, start: int, end: int, alias: _Alias) -> bool:
        """Decide by context whether the name means the issuer."""
        if alias.kind == "ticker" and not _ticker_meant(text, start, end, alias.text):
            return False
        issuer = self._issuers[alias.issuer]
        if alias.kind == "zh":
            return not (
                lowered.startswith(issuer.not_after.get(alias.text, ()), end)
                or lowered.endswith(issuer.not_before.get(alias.text, ()), 0, start)
            )
        if alias.text.isdigit() or _exchange_says(text, start, end):
            return True
        after = lowered[end : end + 40].lstrip(" -")
        if _begins_with_word(after, issuer.not_after.get(alias.text, ())):
            return False
        before = lowered[max(0, start - 40) : start].rstrip(" -")
        doubtful = _ends_with_word(before, issuer.not_before.get(alias.text, ())) or any(
            re.search(rf"(?<!\w){re.escape(word)}(?!\w)", lowered) for word in issuer.not_near.get(alias.text, ())
        )
        return not doubtful or _CHIP_WORDS.search(text) is not None


def _aliases(issuer: Issuer) -> Iterable[_Alias]:
    yield from (_Alias(issuer.id, name, "name") for name in dict.fromkeys(issuer.aliases + issuer.former))
    yield from (_Alias(issuer.id, name, "zh") for name in issuer.zh)
    yield from (_Alias(issuer.id, name, "ticker") for name in issuer.tickers if name not in issuer.aliases)


def _lower(text: str) -> str:
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    # A few letters grow when lowered; positions must stay those of the text.
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _is_word(letter: str) -> bool:
    """Whether a neighbour continues a Latin word or number; Chinese and Korean touch names without a space."""
    return (letter.isalnum() or letter == "_") and not (
        "\u2e80" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3"
    )


def _stands_alone(text: str, start: int, end: int, alias: _Alias) -> bool:
    if alias.kind == "zh":
        return True
    before = start > 0 and _is_word(text[start - 1])
    if before and alias.text.isdigit():
        before = _GLUED_EXCHANGE.search(text, max(0, start - 2), start) is None
    after = end < len(text) and _is_word(text[end])
    if after and alias.kind == "name" and len(alias.text) >= _VERSIONED_LETTERS:
        after = _VERSION_AFTER.match(text, end) is None
    return not before and not after


def _cased(text: str, start: int, end: int, alias: _Alias) -> bool:
    if alias.kind == "ticker" or (alias.text.isupper() and len(alias.text) > 1):
        return text[start:end] == alias.text
    return alias.kind == "zh" or alias.text.islower() or text[start].isupper()


def _exchange_says(text: str, start: int, end: int) -> bool:
    """Whether an exchange stands by; brackets alone say nothing: "macular degeneration (AMD)"."""
    return bool(_EXCHANGE_BEFORE.search(text, max(0, start - 12), start) or _EXCHANGE_AFTER.match(text, end))


def _ticker_meant(text: str, start: int, end: int, ticker: str) -> bool:
    if ticker.isdigit():
        bracketed = len(ticker) == 6 and text[start - 1 : start] in ("(", "（") and text[end : end + 1] in (")", "）")
        named = _EXCHANGE_BEFORE.search(text, max(0, start - 12), start) and text[start - 1 : start] != "$"
        return bool(_DIGIT_EXCHANGE_AFTER.match(text, end) or named or bracketed)
    return len(ticker) > 2 or _exchange_says(text, start, end)


def _begins_with_word(text: str, words: Sequence[str]) -> bool:
    return any(text.startswith(word) and not text[len(word) : len(word) + 1].isalnum() for word in words)


def _ends_with_word(text: str, words: Sequence[str]) -> bool:
    return any(text.endswith(word) and not text[: -len(word)][-1:].isalnum() for word in words)


def _first_by_issuer(hits: Iterable[Hit]) -> dict[str, Hit]:
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(hit.issuer, hit)
    return first
