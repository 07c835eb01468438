"""Traditional Chinese characters read as simplified ones, one for one, so that positions in a text stay.

The table, ``traditional.csv``, follows OpenCC's, its first choice where a character has several. What several
traditional characters are written as in simplified text (鬆 and 松 as 松) is one afterwards, as it is there.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


def simplified(text: str) -> str:
    """Return `text` with the simplified character for each traditional one; its length stays."""
    return text.translate(_table()) if not text.isascii() and _CHINESE.search(text) else text


@cache
def table_id() -> str:
    """Return a digest of the table: part of the identity of all that reads through it."""
    return hashlib.blake2b(_lines().encode(), digest_size=6).hexdigest()


@cache
def _table() -> dict[int, str]:
    return str.maketrans(dict(line.split(",") for line in _lines().split()[1:]))


@cache
def _lines() -> str:
    return resources.files("chipwire.signals").joinpath("traditional.csv").read_text("utf-8")
