"""The language of a short text from its script, words that are frequent in headlines and the feed's word; no model.

What this can and cannot do: scripts with one main language are safe (Hangul, kana, Han, Thai, ...). Cyrillic
is 'ru' unless a letter or the feed says otherwise. Latin text is 'en' unless frequent words or letters of
German, French, Spanish, Italian, Portuguese or Dutch outweigh the English ones; accented text without such
evidence is the feed's word, else 'und'. A German headline without two such words is mostly taken for English.
"""

from __future__ import annotations

import re
from functools import lru_cache

_FREQUENT = {
    "en": "the of to in on for and is are as at with from by after over amid its it that this will says said new up "
    "an or do all out off if was should would more first but how why what who has have not you your can could "
    "may than into about be",
    "de": "der die das und ist für mit auf den dem ein eine einen von zu im nicht sich wird werden bei nach aus über "
    "wie vor kann gegen um zum zur als auch noch mehr oder einer eines beim vom sein seine ihre ihren sie wir "
    "ich haben hatte sind waren wurde wurden soll sollen wollen muss müssen darf laut trotz wegen während "
    "zwischen durch ohne seit unter neue neuer neuen neues weitere weniger millionen milliarden prozent aktie "
    "aktien umsatz gewinn verlust börse unternehmen konzern hersteller exporte ausfuhr verbot zölle strafzölle "
    "steigt sinkt fällt steigen sinken meldet kündigt baut stellt verkauft kauft erwartet senkt erhöht",
    "fr": "de en le la les des du et est dans pour sur avec qui que au aux ce cette pas selon sont ses contre entre "
    "après une elle ne il ils elles leur leurs sa mais ou où donc moins très chez vers depuis aussi encore "
    "peut doit ont été faire tous toute nouveau nouvelle nouveaux nouvelles milliards bourse bénéfice "
    "bénéfices chiffre ventes entreprise puces interdit interdiction exportations annonce annoncent lancent "
    "profite dévoile prévoit relève abaisse bondit chute recule baisse hausse vend achète",
    "es": "de en el la los las del y es una para por que su sus más como se al lo tras sobre entre contra según "
    "desde hasta con hoy muy este esta estos estas bajo durante mientras cuando donde quien también nuevo "
    "nueva nuevos nuevas años año millones mil millón acciones ventas empresa empresas ingresos ganancias "
    "beneficio beneficios mercado fábrica prohíbe prohibición exportación exportaciones aranceles anuncia "
    "presenta lanza sube cae bajan suben crece prevé eleva recorta invierte planea busca puede será fue está "
    "están",
    "it": "il lo gli della delle dei del di è una che da nel nella sul sono più dopo contro alla al tra con la ha "
    "nelle negli agli dalla dalle sulla sulle anche sua suoi loro questo questa ancora oggi senza verso fino "
    "quando nuovo nuova nuovi nuove anni miliardi milioni azioni borsa utile utili ricavi vendite mercato "
    "azienda aziende società fabbrica divieto esportazioni dazi annuncia presenta lancia scende cresce crolla "
    "prevede vuole può sarà hanno stato",
    "pt": "de os da das dos é uma para com por que em na nos nas mais ao à sobre não após contra entre um aos às "
    "pela pelos pelas seu sua seus suas já também muito quando onde foi será está estão tem têm novos "
    "novas anos ano bilhões milhões ações lucros receita vendas empresa empresas mercado fábrica proíbe "
    "proibição exportação exportações tarifas anuncia apresenta lança sobe cai caem cresce reduz prevê eleva "
    "investe planeja quer pode",
    "nl": "de het een en van voor op niet naar bij uit aan dat te zijn wordt meer tegen om na ook maar zich hij ze "
    "wij haar deze nu nog onder tussen zonder sinds volgens tijdens kunnen moet moeten wil willen gaat heeft "
    "hebben werd worden nieuwe nieuw miljoen miljard procent aandeel aandelen omzet winst verlies beurs "
    "bedrijf bedrijven fabriek verbod uitvoer heffingen stijgt daalt stijgen dalen meldt kondigt bouwt "
    "verkoopt koopt verwacht verhoogt verlaagt",
}
_LETTERS = {"de": "äöüß", "fr": "çêèœëîïûù", "es": "ñ¿¡óí", "it": "ìòù", "pt": "ãõçá", "nl": "ĳ"}
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ]")
_ACCENTED = re.compile(r"[À-ÖØ-öø-ɏ]")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ]+")
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
SHARED = 3
"""So many words that are frequent in several languages are no English name."""
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
        # Most headlines: plain letters, and no word that is frequent elsewhere.
        lowered = text.lower()
        if stated in _NOT_LATIN and lowered.islower() and _ANY_OTHER.isdisjoint(lowered.split()):
            return "en"
        return _latin(text, stated)
    latin = len(_LATIN.findall(text))
    # An ideograph or syllable carries about as much as a Latin word; names of models and firms stay Latin.
    latin_words = len(_LATIN_WORD.findall(text))
    han, kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    if han + kana and han + kana >= latin_words:
        return "ja" if kana or stated == "ja" else "zh"
    script, letters = max(
        ((code, len(pattern.findall(text))) for code, pattern in _SCRIPTS.items()), key=lambda item: item[1]
    )
    if letters > latin or (script == "ko" and letters and letters >= latin_words):
        return _within_script(script, stated, text)
    # Letters of a script not listed above, beside a few Latin names.
    others = sum(c.isalpha() for c in _LATIN.sub("", text)) - letters
    return _latin(text, stated) if latin and 2 * others <= latin else "und"


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
    accented = bool(_ACCENTED.search(text))
    if words & _ANY_OTHER and (best := _best_other(words, text.lower())):
        code, hits = best
        # One word beside a telling letter is enough where nothing speaks for English ("El Niño hits Peru").
        if hits > english and (hits >= 2 or (english == 0 and accented)):
            return code
    # Accented names occur in English headlines too; without an English word there is no telling.
    return "en" if english or not accented else "und"


def _best_other(words: set[str], lowered: str) -> tuple[str, int] | None:
    """Return the language with most frequent words and how many, None for one word that is a word of several.

    A tie is broken by letters, and by the order of `_FREQUENT` between languages that share three words or more: it is
    none of English all the same, where two may be a name ("De la Fuente").
    """
    hits = {code: len(words & frequent) for code, frequent in _WORDS.items()}
    most = max(hits.values())
    tied = [code for code, count in hits.items() if count == most]
    if len(tied) > 1:
        lettered = [code for code in tied if any(letter in lowered for letter in _LETTERS[code])]
        tied = lettered if len(lettered) == 1 or most < SHARED else tied
    return (tied[0], most) if len(tied) == 1 or most >= SHARED else None
