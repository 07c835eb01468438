"""Names taken out of a headline, so that what is read is the event and not the company's fame.

The target's names become TARGET and all other issuers' names OTHER. What is read then cannot know which company it is
about, nor, from its training, how that company's share went on afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chipwire.signals.linking import Hit

TARGET = "TARGET"
OTHER = "OTHER"

Span = tuple[int, int]


def spans_of(hits: Sequence[Hit], issuer: str) -> tuple[Span, ...]:
    """Return where an issuer is named, as (start, end) characters of the text that was searched."""
    return tuple((hit.start, hit.end) for hit in hits if hit.issuer == issuer)


def mask_names(text: str, target: Collection[Span], others: Collection[Span]) -> tuple[str, tuple[Span, ...]]:
    """Return the text with names masked, and where the target stands in it.

    Parameters
    ----------
    text : str
        The text whose characters the spans count.
    target, others : collection of (start, end)
        Where the target and where other issuers are named; where two overlap, the target's counts.

    Returns
    -------
    tuple of str and spans
        Spans of ``TARGET`` in the new text, from left to right.
    """
    marked = [(start, end, TARGET) for start, end in set(target)]
    marked += [
        (start, end, OTHER)
        for start, end in set(others)
        if not any(start < stop and begin < end for begin, stop in target)
    ]
    parts: list[str] = []
    spans: list[Span] = []
    length = at = 0
    for start, end, word in sorted(marked):
        if start < at:
            continue
        parts.append(text[at:start])
        length += start - at
        if word == TARGET:
            spans.append((length, length + len(word)))
        parts.append(word)
        length += len(word)
        at = end
    parts.append(text[at:])
    return "".join(parts), tuple(spans)
