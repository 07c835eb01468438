"""What a check of a run found, on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chipwire.reports.terminal import Column, print_table
from chipwire.reports.values import MISSING, number, percent

if TYPE_CHECKING:
    from chipwire.engine.validation.run_check import RunCheck
    from chipwire.reports.app import App

KINDS = {
    "times": "times mixed within issuer and quarter",
    "issuers": "issuers exchanged within their group",
    "signs": "signs turned by chance",
    "rotated": "the whole stream moved by weeks",
}
CHANGES = {
    "latency": "carried out later", "costs": "costs", "fill": "other auction", "parameter": "parameter next door",
    "issuer": "one issuer left out", "year": "one year left out", "trade": "best trade left out",
}  # fmt: skip
_FIGURES = {"total_return": "total return", "sharpe": "Sharpe ratio", "max_drawdown": "maximum drawdown"}


def tell_check(app: App, found: RunCheck, *, tables: bool = True) -> None:
    """Print how sure the figures are, what placebos and changes gave, and the sentence last.

    The tables are data and go to standard output; of a run without a trade there is only the sentence.
    """
    if tables and found.fills:
        print_table(_sure(found), ["figure", "value", "95% from", "to"])
        if found.placebos:
            print_table(_placebos(found), ["news mixed up", "tries", "as good", Column("p", form="{:.3f}".format)])
        print_table(_variants(found), ["total return when", "lowest", "highest", "runs", "lowest with"])
    app.say(found.sentence)


def _sure(found: RunCheck) -> list[dict[str, Any]]:
    luck = found.luck
    rows = []
    for name, label in _FIGURES.items():
        one = luck.intervals[name]
        low, value, high = (number(v) if name == "sharpe" else percent(v) for v in (one.low, one.value, one.high))
        rows.append({"figure": label, "value": value, "95% from": low, "to": high})
    tried = f"{luck.trials:,} configuration{'s' if luck.trials > 1 else ''} tried"
    rows.append({"figure": f"chance that it beats luck, {tried}", "value": percent(luck.deflated_sharpe, signed=False)})
    enough = number(luck.minimum_days, 0) if math.isfinite(luck.minimum_days) else MISSING
    rows.append({"figure": f"days needed to tell it from zero, {luck.days:,} there", "value": enough})
    return rows


def _placebos(found: RunCheck) -> list[dict[str, Any]]:
    return [
        {"news mixed up": KINDS[test.kind], "tries": len(test.values), "as good": test.as_good, "p": test.p_value}
        for test in found.placebos
    ]


def _variants(found: RunCheck) -> list[dict[str, Any]]:
    base = percent(found.fragility.base.total_return)
    rows: list[dict[str, Any]] = [{"total return when": "as it is", "lowest": base}]
    for change, label in CHANGES.items():
        own = [one for one in found.fragility.variants if one.change == change]
        traded = [one.total_return for one in own if math.isfinite(one.total_return)]
        if traded:
            worst = found.fragility.worst(change)
            rows.append({
                "total return when": label, "lowest": percent(min(traded)), "highest": percent(max(traded)),
                "runs": len(traded), "lowest with": worst.label if worst else None,
            })  # fmt: skip
    return rows
