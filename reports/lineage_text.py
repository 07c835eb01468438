"""The answers of ``chipwire why`` as lines of text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from chipwire.data.errors import counted
from chipwire.reports.lineage import words
from chipwire.reports.tables import RELATIONS
from chipwire.reports.values import money, number, one_line, safe_url

Row = Mapping[str, Any]


def fill_text(found: Row) -> Iterator[str]:
    """Yield the lines of an answer of `chipwire.reports.lineage_answers.why_fill`."""
    fill = found["fill"]
    done = {"buy": "bought", "sell": "sold", "split": "changed by a split"}[fill["side"]]
    at = f"at {fill['currency']} {number(fill['price'], 4)}" if fill["side"] != "split" else ""
    yield f"Fill {fill['fill_no']} of run {found['run']['run_no']} ({found['run']['strategy']})"
    yield f"{fill['instrument']}: {done} {counted(abs(fill['shares']), 'share')} {at}".rstrip() + (
        ", closed since its bars had ended" if fill["auction"] == "delisting" else ""
    )
    yield f"held before {fill['held_before']:,}, after {fill['held_after']:,}" + _opener(found)
    if found["target"] is not None:
        yield f"decided {moment(found['decided'])}, wanted weight {found['target']:+.4g} of equity"
        yield from _waited(found["wanted_since"])
    yield f"filled  {moment(found['filled'])}, at the {fill['auction']}"
    yield (
        f"cost {number(fill['cost'])}, realized {number(fill['realized'])} in the base currency; "
        f"price before slippage {number(fill['auction_price'], 4)}"
    )
    if not found["causes"]:
        yield "No headline stands behind it: the strategy had read none about it at that decision."
    for cause in found["causes"]:
        yield ""
        yield from _cause(cause)


def _waited(since: Row | None) -> Iterator[str]:
    if since is not None and since["not_filled"]:
        yield f"wanted since {moment(since['decision_at'])}; what was known then is what it goes back to:"
        for order in since["not_filled"]:
            yield (
                f"  order of {order['wanted']:+,} decided {moment(order['decision_at'])}: {order['filled']:,} filled, "
                f"{order['reason']}"
            )


def _opener(found: Row) -> str:
    opener = found["opened_by"]
    return f"; the position was opened by fill {opener}" if opener else ""


def _cause(cause: Row) -> Iterator[str]:
    gone = f"headline {cause['headline_id']} is no longer in the warehouse"
    yield f"{cause['rank']}. {one_line(cause['title'] or gone)}"
    yield from (f"   {line}" for line in _origin(cause))
    yield f"   {RELATIONS[cause['relation']]}: {cause['issuer']}, {cause['theme']}, strength {cause['strength']:+.3f}"
    if cause["value"] is not None:
        yield (
            f"   signal: value {cause['value']:+.3f} x relevance {cause['relevance']:.3f} x novelty "
            f"{cause['novelty']:.3f} x theme weight {cause['theme_weight']:.3f}, "
            f"half-life {cause['half_life_days']:g} days"
        )
    if cause["p_negative"] is not None:
        yield (
            f"   score: P(negative) {cause['p_negative']:.3f}, P(neutral) {cause['p_neutral']:.3f}, P(positive) "
            f"{cause['p_positive']:.3f}; event {cause['event'] or 'none'}"
        )
        yield f"   {cause['via']}: {one_line(cause['reason'] or '')}"
    yield f"   model: {one_line(cause['model_name'] or 'unknown')} ({cause['model_id']})"
    if cause["days_to_fill"] is not None:
        yield f"   filled {ago(cause['days_to_fill'])} after it could be known"


def headline_text(found: Row) -> Iterator[str]:
    """Yield the lines of an answer of `chipwire.reports.lineage_answers.why_headline`."""
    headline = found["headline"]
    yield one_line(headline["title"])
    yield from _origin(headline)
    reason = f" ({one_line(found['reason'])})" if found["reason"] else ""
    run = found["run"]
    yield f"run {run['run_no']} ({run['strategy']}): {words(found['fate'])}{reason}: {found['meaning']}"
    for row in found["rows"]:
        yield ""
        yield from _outcome(row, found["run"]["params"])
    if found["fills"]:
        yield ""
        yield "Fills that name it:"
    for fill in found["fills"]:
        yield (
            f"  fill {fill['fill_no']}: {fill['shares']:+,} {fill['instrument']} at {fill['currency']} "
            f"{number(fill['price'], 4)}, {moment(fill['auction_at'])}; {RELATIONS[fill['relation']]} on "
            f"{fill['issuer']}, strength {fill['strength']:+.3f}"
        )


def _origin(headline: Row) -> Iterator[str]:
    where = [one_line(headline["source"] or "")] if headline["source"] else []
    where += [url] if (url := safe_url(headline["url"])) else []
    yield f"headline {headline['headline_id']}" + "".join(f", {part}" for part in where)
    if headline["published_at"] is None:
        yield "published: not known"
    elif "day" in headline["published_at"]:
        when = headline["published_at"]
        yield f"published on {when['day']} (day of {when['zone']}), known {moment(headline['available_at'])}"
    else:
        yield f"published {moment(headline['published_at'])}, known {moment(headline['available_at'])}"


def _outcome(row: Row, params: Row) -> Iterator[str]:
    if row["value"] is None:
        yield f"{row['issuer']} ({row['via']}): {row['meaning']}"
        return
    yield (
        f"{row['issuer']} ({row['via']}): value {row['value']:+.3f}, relevance {row['relevance']:.3f}, novelty "
        f"{row['novelty']:.3f}; {row['themes']}; event {row['event'] or 'none'}"
    )
    reason = f" ({row['reason']})" if row["reason"] else ""
    name = f"{row['instrument']}: " if row["instrument"] else ""
    yield f"  {name}{words(row['fate'])}{reason}: {row['meaning']}{_bound(row, params)}"
    if row["first_decision_at"] is None:
        return
    yield (
        f"  first decision {moment(row['first_decision_at'])}, {ago(row['hours_to_decision'] / 24)} after it was "
        "known: "
        + ("no weight" if row["target"] is None else f"weight {row['target']:+.4g}")
        + ("" if row["wanted"] is None else f", {row['filled']:,} of {row['wanted']:,} shares filled")
    )
    if later := row["filled_later"]:
        yield (
            f"  it stayed wanted: fill {later['fill_no']}, {later['shares']:+,} at "
            f"{money(later['price'], later['currency'], 4)}, {moment(later['auction_at'])}"
        )
    if row["fills"] is not None:
        yield (
            f"  fill {row['first_fill_no']}: {row['first_shares']:+,} at "
            f"{money(row['first_price'], row['currency'], 4)}, {moment(row['first_fill_at'])}, "
            f"{ago(row['days_to_fill'])} after it was known"
            + (f"; {row['fills']} fills in all" if row["fills"] > 1 else "")
        )
    if row["read"] is not None:
        yield from _read(row)


def _bound(row: Row, params: Row) -> str:
    """Name the strategy's bound beside the headline's own size, where one alone decided."""
    if row["fate"] == "below_threshold":
        return f" ({abs(row['value'] * row['relevance']):.3f} < {params['threshold']:g})"
    if row["fate"] == "low_novelty":
        return f" ({row['novelty']:.3f} < {params['min_novelty']:g})"
    if row["fate"] == "other_theme":
        return f" ({params.get('themes', 'sanctions')})"
    return ""


def _read(row: Row) -> Iterator[str]:
    read = row["read"]
    if not read["decisions"]:
        yield "  the strategy read it at no decision of this venue"
        return
    many = f"{read['decisions']:,} decision{'s' if read['decisions'] > 1 else ''}"
    until = f" until {moment(read['last'])}" if read["decisions"] > 1 else ""
    name = row["instrument"]
    gave = f"wanted {name} at {read['targets']:,} of them" if read["targets"] else f"never wanted {name}"
    missed = "".join(f"; {count} order{'s' if count > 1 else ''} not filled: {reason}"
                     for reason, count in read["not_filled"].items())  # fmt: skip
    yield f"  the strategy read it at {many}{until} and {gave}{missed}"
    yield (
        f"  at the first: strength {read['strength']:+.3f}, of {read['total']:+.3f} for {row['issuer']}, rank "
        f"{read['rank']} of {counted(read['issuers'], 'issuer')} read"
    )


# --- words -----------------------------------------------------------------------------------------------


def moment(at: Row) -> str:
    """Return an instant as ``2024-07-01 13:25 UTC (09:25 New York)``, with the local date where it is another."""
    utc = datetime.fromisoformat(at["utc"].removesuffix("Z"))
    text = f"{utc:%Y-%m-%d %H:%M} UTC"
    if "local" not in at:
        return text
    local = datetime.fromisoformat(at["local"])
    day = "" if local.date() == utc.date() else f"{local:%Y-%m-%d} "
    city = at["zone"].rpartition("/")[2].replace("_", " ")
    return f"{text} ({day}{local:%H:%M} {city})"


def ago(days: float) -> str:
    """Return a delay in minutes, hours or days."""
    if abs(days) < 1 / 24:
        return counted(round(days * 1440), "minute")
    return f"{days * 24:.1f} hours" if abs(days) < 2 else f"{days:.1f} days"
