"""The language of a short text from its script, a few frequent words and the feed's own word; no model.

What this can and cannot do: scripts with one main language are safe (Hangul, kana, Han, Thai, ...). Cyrillic
is 'ru' unless a letter or the feed says otherwise. Latin text is 'en' unless frequent words or letters of
German, French, Spanish, Italian, Portuguese or Dutch outweigh the English ones; accented text without such
evidence is the feed's word, else 'und'. A German headline without a frequent word is taken for English.
"""

from __future__ import annotations

import re
from functools import lru_cache

_FREQUENT = {
    "en": "the of to in on for and is are as at with from by after over amid its it that this will says said "
    "new up but how why what who has have not you your can could may than into about be",
    "de": "der die das und ist für mit auf den dem ein eine einen von zu im nicht sich wird werden bei nach "
    "aus über wie vor kann gegen um zum zur als auch noch mehr oder",
    "fr": "le la les des du et est une dans pour sur avec qui que au aux ce cette pas selon sont ses contre "
    "entre après",
    "es": "el la los las del y es una para con por que su sus más como se al lo tras sobre entre contra "
    "según desde hasta",
    "it": "il lo gli della delle dei del di e è una con che da nel nella sul sono più dopo contro alla "
    "ai al tra",
    "pt": "os da do das dos é uma para com por que em na nos nas mais ao à sobre não após contra entre",
    "nl": "de het een en van voor op niet naar bij uit aan dat te zijn wordt meer tegen om na ook maar",
}
_LETTERS = {"de": "äöüß", "fr": "çêèœëîïûù", "es": "ñ¿¡óí", "it": "ìòù", "pt": "ãõçá", "nl": "ĳ"}
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile(r"[\u3041-\u30fa\u30fc-\u30ff\uff66-\uff9f]")
_SCRIPTS = {
    "ko": re.compile(r"[\u1100-\u11ff\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u052f]"),
    "ar": re.compile(r"[\u0600-\u06ff\u0750-\u077f]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
}
_SAME_SCRIPT = {
    "ru": frozenset({"ru", "uk", "be", "bg", "sr", "mk", "kk"}),
    "ar": frozenset({"ar", "fa", "ur"}),
    "he": frozenset({"he", "yi"}),
    "hi": frozenset({"hi", "mr", "ne"}),
}
_NOT_LATIN = frozenset({"zh", "ja", "ko", "th", "el", "und"}.union(*_SAME_SCRIPT.values()))
_WORDS = {code: frozenset(words.split()) for code, words in _FREQUENT.items()}
_ENGLISH = _WORDS.pop("en")
_ANY_OTHER = frozenset().union(*_WORDS.values())


@lru_cache(maxsize=1024)
def feed_language(word: str) -> str:
    """Return the bare code of a feed's or column's language word: 'en' of ``en-US``, else 'und'."""
    code = re.split(r"[-_]", word.strip().lower(), maxsplit=1)[0]
    return code if re.fullmatch(r"[a-z]{2}", code) else "und"


def detect_language(text: str, stated: str = "und") -> str:
    """Return the language code of a cleaned title, or 'und'.

    Parameters
    ----------
    text : str
        A title or a short text.
    stated : str
        What the feed says, as `feed_language` gives it. It decides where the script does not contradict it.
    """
    if text.isascii():
        return _latin(text, stated)
    latin = len(_LATIN.findall(text))
    han, kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    # One ideograph carries about as much as two to three letters.
    if 5 * (han + kana) >= 2 * latin and han + kana:
        return "ja" if kana or stated == "ja" else "zh"
    script, letters = max(
        ((code, len(pattern.findall(text))) for code, pattern in _SCRIPTS.items()), key=lambda item: item[1]
    )
    if letters > latin or (script == "ko" and 5 * letters >= 2 * latin and letters):
        return _within_script(script, stated, text)
    return _latin(text, stated) if latin else "und"


def _within_script(script: str, stated: str, text: str) -> str:
    if stated in _SAME_SCRIPT.get(script, frozenset()):
        return stated
    if script == "ru" and re.search("[іїєґІЇЄҐ]", text):
        return "uk"
    return script


def _latin(text: str, stated: str) -> str:
    """Return the language of Latin text: the feed's word, else the better evidence, else English or 'und'."""
    if stated not in _NOT_LATIN:
        return stated
    words = set(_WORD.findall(text.lower()))
    if not words:
        return "und"
    english = len(words & _ENGLISH)
    evidence = {}
    if words & _ANY_OTHER or not text.isascii():
        lowered = text.lower()
        for code, frequent in _WORDS.items():
            letters = any(letter in lowered for letter in _LETTERS[code])
            evidence[code] = len(words & frequent) + letters
    best = max(evidence, key=lambda code: evidence[code], default="und")
    if evidence and evidence[best] >= 2 and evidence[best] > english:
        return best
    if text.isascii() or english or not any(letter.isalpha() and not letter.isascii() for letter in text):
        return "en"
    # Accented names occur in English headlines too; without an English word there is no telling.
    return "und"
