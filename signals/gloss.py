"""Chinese words put into English ones, so that one encoder, which knows English, reads both languages.

A Chinese headline is cut into the words of a glossary and each is replaced by its gloss: "中芯国际未被列入实体清单"
becomes "SMIC not by listed in entity list". That is no translation, and need not be: the network learns from labelled
headlines what such glosses say. Names keep their places, so that each company is still read where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from chipwire.data.errors import BadModel
from chipwire.signals.masking import Span

FILE: Final = "gloss.tsv"
UNKNOWN_NAME: Final = "TARGET"
"""Stands for a company whose name the glossary does not have; the network knows it from masked headlines."""

_RUN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_MARKS = str.maketrans("。、《》「」『』“”‘’—", '.,""""""""\'\'-')
_LONGEST = 8
_UNKNOWN_COST = 14.0  # of a character that is no word: more than that of the rarest word


def load_gloss(folder: Path) -> Gloss | None:
    """Return the glossary of a model's folder, None when it has none.

    Raises
    ------
    BadModel
        A line is not ``word<TAB>gloss``, or the last one has no end.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    words: dict[str, str] = {}
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BadModel(str(folder), f"{FILE} is not UTF-8; copy the folder anew") from error
    if not text.endswith("\n"):
        raise BadModel(str(folder), f"{FILE} is cut short; copy the folder anew")
    for number, line in enumerate(text.splitlines(), 1):
        word, tab, gloss = line.partition("\t")
        if not tab or not _RUN.fullmatch(word):
            raise BadModel(str(folder), f"{FILE} line {number}: '{line[:40]}' is not a word, a tab and its gloss")
        words.setdefault(word, gloss.strip())
    return Gloss(words)


class Gloss:
    """A glossary; the order of its words is that of how often they are used.

    Parameters
    ----------
    words : mapping of str to str
        Word to gloss, the commonest first; an empty gloss leaves the word out, ``=`` and a character says of a
        traditional character which simplified one it is read as.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = {word: gloss for word, gloss in words.items() if not gloss.startswith("=")}
        self._simplified = str.maketrans({word: gloss[1:] for word, gloss in words.items() if gloss.startswith("=")})
        # By Zipf's law a word's share falls as one over its rank; the cheapest cut is then the likeliest.
        self._costs = {word: math.log(rank + 20) for rank, word in enumerate(self._words)}

    def read(self, text: str, targets: Sequence[Sequence[Span]]) -> tuple[str, tuple[tuple[Span, ...], ...]]:
        """Return the text with its Chinese words glossed, and where the targets stand in it.

        Parameters
        ----------
        text : str
            A headline in NFKC form; one without Chinese characters comes back as it is.
        targets : sequence of sequence of (start, end)
            For each target, where `text` names it; a name is never cut, nor joined with what is beside it.
        """
        if not _RUN.search(text):
            return text, tuple(tuple(spans) for spans in targets)
        text = text.translate(self._simplified)
        names = {span for spans in targets for span in spans}
        cuts = sorted({0, len(text), *(place for span in names for place in span)})
        out, starts, ends = "", dict[int, int](), dict[int, int]()
        for start, end in pairwise(cuts):
            said = self._part(text[start:end], named=(start, end) in names)
            gap = " " if out and said and not out.endswith(" ") else ""
            starts[start], ends[end] = len(out) + len(gap), len(out) + len(gap) + len(said)
            out += gap + said
        return out, tuple(tuple((starts[start], ends[end]) for start, end in spans) for spans in targets)

    def _part(self, part: str, *, named: bool) -> str:
        if named and _RUN.fullmatch(part) and part not in self._words:
            return UNKNOWN_NAME
        parts, at = [], 0
        for run in _RUN.finditer(part):
            parts += [part[at : run.start()].translate(_MARKS), " ".join(filter(None, self.cut(run[0])))]
            at = run.end()
        parts.append(part[at:].translate(_MARKS))
        return " ".join(" ".join(parts).split())

    def cut(self, run: str) -> list[str]:
        """Return the glosses of the likeliest cut of some Chinese characters into words, in order."""
        best = [0.0] * (len(run) + 1)
        came = [0] * (len(run) + 1)
        for end in range(1, len(run) + 1):
            best[end], came[end] = min(
                (best[start] + self._cost(run[start:end]), start) for start in range(max(0, end - _LONGEST), end)
            )
        glosses: list[str] = []
        end = len(run)
        while end:
            word = run[came[end] : end]
            glosses.append(self._words.get(word, word))
            end = came[end]
        return glosses[::-1]

    def _cost(self, word: str) -> float:
        return self._costs.get(word, _UNKNOWN_COST if len(word) == 1 else math.inf)
