"""RSS and Atom become rows. Nothing is fetched and no entity or document type is expanded."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from chipwire.data.errors import UnreadableInput
from chipwire.data.files import ByteSource
from chipwire.data.json_readers import dict_chunk
from chipwire.data.readers import Chunk

_DECLARATION = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ROOT = re.compile(rb"<\s*(?:rss|feed|rdf:RDF)\b", re.IGNORECASE)
NAMES = (
    "feed_title",
    "feed_summary",
    "feed_content",
    "feed_link",
    "feed_source",
    "feed_published",
    "feed_language",
)


def read_feed(source: ByteSource) -> Iterator[Chunk]:
    """Yield the items of an RSS or Atom feed of at most 64 MiB as one chunk.

    An item without a date of its own publication is dated by its last update, which cannot be earlier.

    Raises
    ------
    UnreadableInput
        A document type or entities (a bomb of either would be expanded), or no feed.
    """
    import feedparser

    data = source.whole()
    _refuse_declarations(source.path, data)
    # A stream, never a string: feedparser opens paths and addresses itself.
    parsed = feedparser.parse(io.BytesIO(data))
    if not parsed.version and not parsed.entries:
        reason = getattr(parsed.get("bozo_exception"), "getMessage", lambda: "no items")()
        raise UnreadableInput(source.path, f"is not a readable RSS or Atom feed ({reason})")
    feed = parsed.feed
    rows = [_row(entry, feed) for entry in parsed.entries]
    yield dict_chunk(NAMES, rows, list(range(1, len(rows) + 1)), [])


def _refuse_declarations(path: str, data: bytes) -> None:
    """Refuse a feed with a document type, whose entities a parser might expand or fetch."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, iterparse

    try:
        for _, element in iterparse(io.BytesIO(data), events=("start",), forbid_dtd=True):
            # The root has begun: a document type can only stand before it.
            del element
            return
    except DefusedXmlException as error:
        raise UnreadableInput(
            path, f"declares a document type or entities ({type(error).__name__}); a feed needs none"
        ) from None
    except (ParseError, ValueError, LookupError):
        # Not well-formed from the start; feedparser may still read it, so look by hand.
        plain = data.replace(b"\0", b"")
        root = _ROOT.search(plain)
        if _DECLARATION.search(plain, 0, root.start() if root else len(plain)):
            raise UnreadableInput(path, "declares a document type or entities; a feed needs none") from None


def _row(entry: Any, feed: Any) -> dict[str, Any]:
    content = entry.get("content") or [{}]
    source = (entry.get("source") or {}).get("title") or feed.get("title")
    return {
        "feed_title": entry.get("title"),
        "feed_summary": entry.get("summary"),
        "feed_content": content[0].get("value"),
        "feed_link": entry.get("link"),
        "feed_source": source,
        "feed_published": _first(entry, "published", "updated"),
        "feed_language": content[0].get("language") or feed.get("language"),
    }


def _first(entry: Any, *names: str) -> str | None:
    """Return the first of these that the entry itself has; feedparser's `get` would fill in others."""
    return next((str(entry[name]) for name in names if dict.__contains__(entry, name)), None)
