"""The direction of an event by the labels of a headline's issuers, for training rows that do not state it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from chipwire.signals.exposure import load_exposures
from chipwire.signals.exposure_rows import BY_ROLE, OWN_SIGN

Direction = Literal["for", "against"]

_LABEL_SIGN = {"negative": -1, "neutral": 0, "positive": 1}


def infer_direction(event: str, title: str, named: Collection[str], labels: Mapping[str, str]) -> Direction | None:
    """Return the direction of an event that agrees with the labels of a headline's issuers.

    Parameters
    ----------
    event : str
        Its type; ``none`` has no direction.
    title : str
        The headline.
    named : collection of str
        Issuers that it names.
    labels : mapping of str to str
        ``negative``, ``neutral`` or ``positive`` by issuer, named or not.

    Returns
    -------
    str or None
        ``for``, ``against``, or None where the labels do not tell.

    Notes
    -----
    The issuers that are not named decide, each by its row of the table, as the direction is there for them. Where they
    do not tell, a named issuer votes with what the event does to the company that it befalls (a lawsuit is bad, an
    order good) or, in events of policy, with the row of its role.
    """
    if event not in OWN_SIGN:
        return None
    table = load_exposures()
    rows = table.moved(event, title, named)
    votes = sum(rows[issuer].sign * _LABEL_SIGN[label] for issuer, label in labels.items() if issuer in rows)
    for issuer, label in labels.items() if votes == 0 else ():
        row = table.own_row(issuer, event, title, named) if event in BY_ROLE and issuer in named else None
        votes += (OWN_SIGN[event] if row is None else row.sign) * _LABEL_SIGN[label]
    if votes == 0:
        return None
    return "for" if votes > 0 else "against"
