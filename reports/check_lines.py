"""What a check of a run found, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chipwire.reports.values import number, percent

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


def tell_check(app: App, found: RunCheck) -> None:
    """Print placebos, what the result hangs on, intervals, and the sentence last."""
    for test in found.placebos:
        app.say(f"placebo, {KINDS[test.kind]}: p = {test.p_value:.3f} of {len(test.values):,}")
    for name, label in _FIGURES.items():
        one = found.luck.intervals[name]
        show = number if name == "sharpe" else percent
        app.say(f"{label} {show(one.value)}, 95% interval {show(one.low)} to {show(one.high)}")
    app.say(
        f"deflated Sharpe ratio {percent(found.luck.deflated_sharpe, signed=False)} after {found.luck.trials:,} "
        f"configurations; {number(found.luck.minimum_days, 0)} days would be enough for it alone"
    )
    for change, label in CHANGES.items():
        own = [one.total_return for one in found.fragility.variants if one.change == change]
        if own:
            app.say(f"{label}: total return {percent(min(own))} to {percent(max(own))} in {len(own)} variants")
    app.say(found.sentence)
