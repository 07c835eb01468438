"""All that is asked of a run before it is believed: luck, placebos, fragility, and one sentence on what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chipwire.data.errors import BadTarget, DomainError, counted
from chipwire.data.universe import Universe
from chipwire.data.warehouse import Warehouse
from chipwire.engine.backtest import data_fingerprint, load_book
from chipwire.engine.market import Floats, load_market
from chipwire.engine.settings import Settings
from chipwire.engine.sweep_block import has_setwise
from chipwire.engine.sweep_task import Loaded
from chipwire.engine.validation import store
from chipwire.engine.validation.fragility import Fragility, Variant, fragility
from chipwire.engine.validation.luck import CONFIDENCE, FEW_DAYS, LuckReport, luck_of_run
from chipwire.engine.validation.placebo import Placebo, Subject, placebo_test
from chipwire.engine.validation.placebo_news import KINDS, issuer_groups
from chipwire.strategies.base import Strategy

MANY, FEW = 1_000, 39
"""Placebos of the first kind: of strategies with a set-wise form, and of those asked decision by decision."""
FEW_TRADES = 30
FEW_PLACEBOS = 19
"""With fewer no p-value can be as low as one in twenty."""
_DIGITS = 6


@dataclass(frozen=True)
class RunCheck:
    """What the checks of a run came to.

    Attributes
    ----------
    luck : LuckReport
    placebos : tuple of Placebo
        By kind, the one whose p-value counts first; empty for a strategy that reads no news, or made no trade.
    fragility : Fragility
    fills : int
    closing_trades : int
        Fills that realized a gain or a loss.
    sentence : str
        What a careful reader should believe.
    """

    luck: LuckReport
    placebos: tuple[Placebo, ...]
    fragility: Fragility
    fills: int
    closing_trades: int
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values, rounded where thousands are kept; NaN as None."""
        return {
            "sentence": self.sentence,
            "p_value": self.placebos[0].p_value if self.placebos else None,
            "luck": self.luck.as_json(),
            "placebos": [
                {
                    "kind": one.kind, "statistic": one.statistic, "real": _plain(one.real), "p_value": one.p_value,
                    "values": [round(value, _DIGITS) for value in one.values],
                }
                for one in self.placebos
            ],
            "fragility": {
                "base": _variant(self.fragility.base),
                "variants": [_variant(one) for one in self.fragility.variants],
            },
        }  # fmt: skip


def check_run(
    warehouse: Warehouse,
    universe: Universe,
    strategy: Strategy,
    settings: Settings,
    run_id: str,
    *,
    model: str | None = None,
    benchmark: Floats | None = None,
    placebos: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> RunCheck:
    """Check a stored run and keep what was found with it.

    Parameters
    ----------
    strategy, settings, model
        Of the run.
    benchmark : ndarray, optional
        See `chipwire.engine.validation.luck.assess`.
    placebos : int, optional
        Of the first kind; a quarter as many of each other. By default `MANY`, or `FEW` for strategies without a
        set-wise form, which take long.
    seed : int
        Of the placebos.
    on_progress : callable, optional
        Told steps done and in all.

    Raises
    ------
    DomainError
        The run has a single day, or the strategy fails on a placebo.
    ChipwireError
        What the strategy or the data does not allow.
    """
    if int(warehouse.value("SELECT count(*) FROM equity WHERE run_id = ?", [run_id])) < 2:
        raise DomainError(f"run {run_id} has a single day, and no check can tell anything of it; give a longer span")
    fills = int(warehouse.value("SELECT count(*) FROM fill WHERE run_id = ?", [run_id]))
    count = placebos or (MANY if has_setwise(type(strategy)) else FEW)

    def load(given: Settings) -> Loaded:
        market = load_market(warehouse, universe, given)
        book, model_id, _ = load_book(warehouse, universe, strategy, given, model)
        issuers = {symbol: universe.instrument(symbol).issuer for symbol in market.symbols}
        return Loaded(market, book, issuers, model_id, data_fingerprint(market, book))

    loaded = load(settings)
    tests: tuple[Placebo, ...] = ()
    if loaded.book is not None and fills:
        groups = issuer_groups(universe, sorted({name for name in loaded.issuers.values() if name is not None}))
        subject = Subject(type(strategy), [strategy.values], [settings], loaded, groups)
        try:
            tests = _placebos(subject, count, seed, on_progress)
        except BadTarget as error:  # the run itself went well, which its reader has to know
            raise DomainError(f"run {run_id} is stored, but its check stopped on mixed-up news: {error}") from error
    fragile = fragility(type(strategy), strategy.values, settings, loaded, load)
    luck = luck_of_run(warehouse, run_id, benchmark=benchmark)
    closing = int(warehouse.value("SELECT count(*) FROM fill WHERE run_id = ? AND realized <> 0", [run_id]))
    found = RunCheck(luck, tests, fragile, fills, closing, believe(luck, tests, fragile, closing))
    store.store(warehouse, run_id, "check", found.as_json())
    return found


def _placebos(
    subject: Subject, count: int, seed: int, on_progress: Callable[[int, int], None] | None
) -> tuple[Placebo, ...]:
    first, *others = KINDS
    quarter = max(count // 4, 1)
    total = count + quarter * len(others)
    made = placebo_test(subject, [first], count, seed=seed, on_progress=_part(on_progress, 0, total))
    made += placebo_test(subject, others, quarter, seed=seed, on_progress=_part(on_progress, count, total))
    return tuple(made)


def _part(tell: Callable[[int, int], None] | None, before: int, total: int) -> Callable[[int, int], None] | None:
    return None if tell is None else lambda done, _: tell(before + done, total)


# --- what to believe -------------------------------------------------------------------------------------


def believe(luck: LuckReport, placebos: Sequence[Placebo], fragile: Fragility, closing_trades: int) -> str:
    """Return in a few words what a careful reader should believe.

    The news counts as seen at work when fewer than one placebo in twenty did as well; the result as more than luck
    when the deflated Sharpe ratio is above `CONFIDENCE` besides.
    """
    if luck.days < FEW_DAYS or closing_trades < FEW_TRADES:
        few = _count(luck.days, "day") if luck.days < FEW_DAYS else _count(closing_trades, "closing trade")
        return f"Believe nothing yet: {few}, too few to tell anything from luck."
    deflated = luck.deflated_sharpe
    if placebos:
        test = placebos[0]
        if len(test.values) < FEW_PLACEBOS:
            few = _count(len(test.values), "placebo")
            return f"Believe nothing yet: {few}, too few to tell anything; it takes {FEW_PLACEBOS} at least."
        said = f"mixed-up news did as well in {test.as_good:,} of {len(test.values):,} tries (p = {test.p_value:.2g})"
        if test.p_value > 1 - CONFIDENCE:
            return f"Do not believe that the news made this: {said}.{_fragile(fragile)}"
        if not deflated >= CONFIDENCE:
            return f"The news may have mattered: {said}; but {_stands(luck)}.{_fragile(fragile)}"
        return f"The news seems to have made this: {said}, and {_stands(luck)}.{_fragile(fragile)}"
    beginning = "More than luck, though no news was read" if deflated >= CONFIDENCE else "Luck explains this"
    return f"{beginning}: {_stands(luck)}.{_fragile(fragile)}"


def _stands(luck: LuckReport) -> str:
    """Say whether the Sharpe ratio stands after all that was tried."""
    tried = f"the {luck.trials:,} configurations tried so far" if luck.trials > 1 else "the one configuration tried"
    word = "stands" if luck.deflated_sharpe >= CONFIDENCE else "does not stand"
    return f"the Sharpe ratio {word} after {tried} ({luck.deflated_sharpe:.0%} sure that it is above luck)"


def _count(number: int, what: str) -> str:
    return counted(number, what) if number else f"no {what}s"


def _fragile(found: Fragility) -> str:
    """Return what would take a gain away, in a sentence with a blank in front; nothing where nothing would."""
    if not found.base.total_return > 0:
        return ""
    lost = [one for one in found.variants if math.isfinite(one.total_return) and one.total_return <= 0]
    causes = []
    for changes, before in ((("costs",), "with "), (("latency", "fill"), "with orders "), (("parameter",), "with "),
                            (("issuer", "year", "trade"), "")):  # fmt: skip
        own = [one for one in lost if one.change in changes]
        if own:
            more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
            causes.append(f"{before}{own[0].label}{more}")
    return f" The gain is gone {', '.join(causes)}." if causes else ""


def _variant(one: Variant) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(one).items()}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
