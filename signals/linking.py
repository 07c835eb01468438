"""Which issuers a text names: one pass over all names at once, longest match, word boundaries, context.

Only what is named is linked: "Potato chip maker", "Intel agency" and "AMD grocery" link to nothing. A doubtful name
("AMD" among patients, "Lam" alone) is decided by the other words of the text: those of its trade, and other issuers.
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
from chipwire.signals.characters import simplified, table_id
from chipwire.signals.contexts import NEVER, Doubt, compiled, doubts, expression, words_of

LINKER_RULES = "4"
"""Raise it when the rules here change: it is part of the linker's identity, so that old headlines are read anew."""

BODY_CHARACTERS = 4_000
"""How much of a body is searched; a name further down hardly says what the article is about."""

Kind = Literal["name", "zh", "ticker"]

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
_NEAR = 240
"""Words of another world cast doubt on a name within so many characters; in a long body they need not mean it."""
_SMALL_WORDS = frozenset(("of", "the", "for", "and", "de", "in", "on"))
_BEFORE_NAMES = re.compile(
    r"(?:is|are|was|why|how|what|when|will|can|could|should|does|did|has|for|and|or|from|as|at|by|but|with|to|of|in|on|"
    r"the|a|an|vs|versus|over|after|buys?|sells?|sees?|hits?|lifts?|cuts?|upgrades?|downgrades?|rival|maker|toolmaker)$",
    re.IGNORECASE,
)
_NO_PREDICATE = re.compile(r"\w+ics\b|sciences|arts|studies|statistics|methods|systems|technologies|skills|gods")
_PREDICATE = re.compile(
    r"['’]s\b|[,.;:)&?!]|$| (?:and|or|to|said|would|will|could|may|can|has|had|is|was|fell|rose|won|cut)\b"
    r"| (?:on|at|over|as|after|from)\b| & | [a-z]+s\b|[\u4e00-\u9fff]"
)


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
    not_after: re.Pattern[str] = NEVER
    not_before: re.Pattern[str] = NEVER
    doubts_before: tuple[Doubt, ...] = ()
    doubts_near: tuple[Doubt, ...] = ()
    short: bool = False
    full: tuple[str, ...] = ()


def normalised(text: str) -> str:
    """Return `text` in the form that `Linker.find` counts in: Unicode NFKC."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


class Linker:
    """Finds issuers in text by the names, tickers and former names of a universe.

    Parameters
    ----------
    universe : Universe
        Names and their contexts.

    Attributes
    ----------
    id : str
        Digest of the universe, the rules and the table of characters; stored with every mention.

    Raises
    ------
    InputError
        An expression of a context list is none.
    """

    def __init__(self, universe: Universe) -> None:
        self.id = hashlib.blake2b(f"{LINKER_RULES} {table_id()} {universe.digest}".encode(), digest_size=6).hexdigest()
        self._automaton = ahocorasick.Automaton()
        found: dict[str, list[_Alias]] = {}
        for issuer in universe.issuers.values():
            for alias in _aliases(issuer):
                found.setdefault(alias.text.lower(), []).append(alias)
        for key, aliases in found.items():
            self._automaton.add_word(key, (len(key), tuple(aliases)))
        self._automaton.make_automaton()

    def find(self, text: str) -> list[Hit]:
        """Return every mention of every issuer in `text` from left to right, never two on the same characters.

        Positions are those of `normalised(text)`.
        """
        written = normalised(text)
        text = simplified(written)  # one character for one, so that positions are those of both
        found: list[tuple[Hit, bool]] = []
        for start, stop, named in self._places(text):
            for alias in named:
                sure = _meant(text, start, stop, alias)
                if sure is not None:
                    found.append((Hit(alias.issuer, written[start:stop], start, stop), sure))
        # Companies keep company: a name beyond doubt speaks for a doubtful one beside it, two doubtful for each other.
        beyond_doubt = any(sure for _, sure in found) or len({hit.issuer for hit, _ in found}) > 1
        return list(dict.fromkeys(hit for hit, sure in found if sure or beyond_doubt))

    def spelt(self, text: str) -> list[Hit]:
        """Return where the text has the letters of a name, whatever they mean, from left to right."""
        written = normalised(text)
        places = self._places(simplified(written))
        return [Hit(alias.issuer, written[start:end], start, end) for start, end, named in places for alias in named]

    def _places(self, text: str) -> list[tuple[int, int, list[_Alias]]]:
        """Return the places of names in a simplified text, and whose they are; the longest of those that overlap."""
        lowered = _lower(text)
        spans = []
        for last, (length, aliases) in self._automaton.iter(lowered):
            start = last + 1 - length
            named = [a for a in aliases if _stands_alone(text, start, last + 1, a) and _cased(text, start, last + 1, a)]
            if named:
                spans.append((start, last + 1, named))
        places, end = [], -1
        # Longest match wins before context is asked: "Samsung Biologics" must not fall back to a shorter name.
        for span in sorted(spans, key=lambda span: (span[0], -span[1])):
            if span[0] >= end:
                end = span[1]
                places.append(span)
        return places

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


def _aliases(issuer: Issuer) -> Iterable[_Alias]:
    for spellings in _spellings(issuer.aliases + issuer.former):
        yield _alias(issuer, spellings, "name")
    for spellings in _spellings(issuer.zh):
        yield _alias(issuer, spellings, "zh")
    for name in issuer.tickers:
        if name not in issuer.aliases:
            yield _alias(issuer, [name], "ticker")


def _spellings(names: Iterable[str]) -> list[list[str]]:
    """Return the names, those together that are one in simplified characters: each may have a context of its own."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(simplified(name), []).append(name)
    return list(found.values())


def _alias(issuer: Issuer, spellings: Sequence[str], kind: Kind) -> _Alias:
    name = simplified(spellings[0])
    after, before, near = (
        [entry for spelling in spellings for entry in lists.get(spelling, ())]
        for lists in (issuer.not_after, issuer.not_before, issuer.not_near)
    )
    unsure = [entry for entry in near if entry != "@short"]
    following, leading = ("|".join(map(expression, entries)) for entries in (after, before))
    if kind == "zh":
        return _Alias(
            issuer.id, name, kind,
            not_after=compiled(following),
            not_before=compiled(f"(?:{leading})$" if leading else ""),
            doubts_near=doubts(unsure, "{}", ("chips", "market")),
            short=len(unsure) < len(near),
        )  # fmt: skip
    return _Alias(
        issuer.id, name, kind,
        not_after=compiled(rf"[ -]*(?:{following})(?![^\W_])" if following else ""),
        doubts_before=doubts(before, r"(?<![^\W_])(?:{})[ -]*$", ("chips",)),
        doubts_near=doubts(unsure, "{}", ("chips",)),
        short=len(unsure) < len(near),
        full=tuple(simplified(other).lower() for other in (issuer.name, *issuer.aliases) if " " in other),
    )  # fmt: skip


def _meant(text: str, start: int, end: int, alias: _Alias) -> bool | None:
    """Decide by context whether a name means the issuer: True, False for a doubt that others can lift, or None."""
    if alias.kind != "zh" and exchange_says(text, start, end) and not alias.text.isdigit():
        return True
    if alias.kind == "ticker" and not _ticker_meant(text, start, end, alias.text):
        # Six bare digits are a code where the text speaks of chips, else any number.
        return True if len(alias.text) == 6 and alias.text.isdigit() and words_of("chips").search(text) else None
    if alias.text.isdigit():
        return True
    if alias.not_after.match(text, end) or alias.not_before.search(text, max(0, start - 6), start):
        return None
    if alias.text.isupper() and alias.text.isascii() and _spells_another(text, start, end, alias):
        return None
    if alias.short:
        return _short_meant(text, start, end, alias)
    return not (
        any(p.search(text, max(0, start - 40), start) and not lift.search(text) for p, lift in alias.doubts_before)
        or any(
            p.search(text, max(0, start - _NEAR), end + _NEAR) and not lift.search(text)
            for p, lift in alias.doubts_near
        )
        or (alias.kind == "ticker" and _shouted(text) and not words_of("chips", "market").search(text))
    )


def _short_meant(text: str, start: int, end: int, alias: _Alias) -> bool | None:
    """Decide on a name that is a person's or a common word too: "Lam's tools", not "Frank Lam" nor "Lam Soon"."""
    if alias.kind == "zh":
        return words_of("chips").search(text) is not None
    before = re.search(r"(\w+) $", text[max(0, start - 30) : start])
    if before and before[1][0].isupper() and not _BEFORE_NAMES.match(before[1]):
        return None
    after = re.match(r" (\w+)", text[end : end + 30])
    if text[start:end].isupper() or (
        after and after[1][0].isupper() and not words_of("market", "tools").match(after[1])
    ):
        return None
    listed = text[max(0, start - 5) : start].endswith((", ", " and ", " & "))
    if (
        alias.text == "Applied"
        and not listed
        and (not _PREDICATE.match(text, end) or (after and _NO_PREDICATE.match(after[1])))
    ):
        return None
    if any(pattern.search(text) for pattern, _ in alias.doubts_near):
        return False
    return words_of("chips", "market", "tools").search(text) is not None


def _spells_another(text: str, start: int, end: int, alias: _Alias) -> bool:
    """Whether words beside the letters spell them out as something else: "Kosovo Liberation Army (KLA)"."""
    beside = ""
    count = len(alias.text)
    if text[end : end + 1] in (")", ",") and text[max(0, start - 2) : start] in (" (", ", "):
        beside = text[max(0, start - 80) : start - 2]
        spelled = _initials(_initialled(beside)[-count:])
    elif after := re.match(r" \(|, (?:the|or) ", text[end : end + 8]):
        beside = text[end + after.end() :][:80]
        spelled = _initials(_initialled(beside)[:count])
    return bool(beside) and spelled == alias.text and not any(name in beside.lower() for name in alias.full)


def _initialled(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W\d_]+", text) if word.lower() not in _SMALL_WORDS]


def _initials(words: Sequence[str]) -> str:
    return "".join(word[0] for word in words).upper()


def _shouted(text: str) -> bool:
    """Whether a headline is all capitals, so that capitals make no ticker of a word."""
    return text.isascii() and text.isupper() and text.count(" ") > 2


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
    """Whether every capital of the name is one in the text, which keeps "applied materials in dentistry" out."""
    return alias.text.islower() or all(
        there.isupper() for there, wanted in zip(text[start:end], alias.text, strict=True) if wanted.isupper()
    )


def exchange_says(text: str, start: int, end: int) -> bool:
    """Whether an exchange stands by; brackets alone say nothing: "macular degeneration (AMD)"."""
    return bool(_EXCHANGE_BEFORE.search(text, max(0, start - 12), start) or _EXCHANGE_AFTER.match(text, end))


def _ticker_meant(text: str, start: int, end: int, ticker: str) -> bool:
    if ticker.isdigit():
        bracketed = len(ticker) == 6 and text[start - 1 : start] in ("(", "（") and text[end : end + 1] in (")", "）")
        named = _EXCHANGE_BEFORE.search(text, max(0, start - 12), start) and text[start - 1 : start] != "$"
        return bool(_DIGIT_EXCHANGE_AFTER.match(text, end) or named or bracketed)
    return len(ticker) > 2 or exchange_says(text, start, end)


def _first_by_issuer(hits: Iterable[Hit]) -> dict[str, Hit]:
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(hit.issuer, hit)
    return first
