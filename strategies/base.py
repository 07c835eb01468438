"""The contract between an engine and a strategy: parameters, the point-in-time view, and `Strategy.decide`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from chipwire.data.errors import BadParameter, UnknownName

if TYPE_CHECKING:
    import pandas as pd

    from chipwire.strategies.events import Filled, Headline
    from chipwire.strategies.panels import Panels, Weights


@dataclass(frozen=True)
class Parameter:
    """One declared parameter; the command line, sweeps and the docs read it from here.

    Attributes
    ----------
    kind : type
        ``int``, ``float``, ``bool`` or ``str``.
    low, high : float or None
        Bounds, both allowed, for numbers.
    unit : str
        E.g. ``days``, ``sessions``, ``of equity``.
    choices : tuple of str
        Allowed words; for a list of words separated by commas each word is checked.
    """

    name: str
    kind: type
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()

    def parse(self, value: Any) -> Any:
        """Return `value` (text or the type itself) as this parameter's type.

        Raises
        ------
        BadParameter
            With what is allowed.
        """
        try:
            parsed = _BOOLS[str(value).lower()] if self.kind is bool else self.kind(value)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadParameter(self.name, value, self.allowed()) from error
        if self.kind is int and isinstance(value, float) and parsed != value:
            raise BadParameter(self.name, value, self.allowed())
        if self.kind in (int, float):
            low = -math.inf if self.low is None else self.low
            high = math.inf if self.high is None else self.high
            if not low <= parsed <= high or not math.isfinite(parsed):
                raise BadParameter(self.name, value, self.allowed())
        if self.choices and not set(str(parsed).split(",")) <= set(self.choices):
            raise BadParameter(self.name, value, self.allowed())
        return parsed

    def allowed(self) -> str:
        """Say in words what may be given."""
        if self.choices:
            return f"one or more of {', '.join(self.choices)}, separated by commas"
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[self.kind]
        if self.low is not None and self.high is not None:
            words += f" from {self.low:,.10g} to {self.high:,.10g}"
        elif self.low is not None:
            words += f" of at least {self.low:,.10g}"
        return f"{words}{' ' + self.unit if self.unit else ''}"


_BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class View(Protocol):
    """What is known at a decision, and nothing else.

    Attributes
    ----------
    now : datetime
        The decision, UTC.
    since : datetime or None
        The previous decision at this venue, UTC; None at the first.
    venue : str
        Only this venue's instruments are decided now.
    session : date
        The session whose auction comes next.
    instruments : sequence of str
        This venue's instruments in the run, each from its first auction on: before it nobody knows of it.
    universe : sequence of str
        All instruments in the run, in the same way.
    awaited : sequence of str
        This venue's instruments that have had no auction yet, for targets that come from elsewhere: a weight for one
        is noted as not filled. A strategy that looks at it knows the future.
    positions : mapping of str to int
        Shares held, by instrument; without zeros.
    equity : float
        In the run's base currency, at last known prices and FX.
    """

    now: datetime
    since: datetime | None
    venue: str
    session: date
    instruments: Sequence[str]
    universe: Sequence[str]
    awaited: Sequence[str]
    positions: Mapping[str, int]
    equity: float

    def issuer(self, instrument: str) -> str | None:
        """Return the issuer of an instrument; None for a fund."""
        ...

    def signals(
        self,
        *,
        themes: Sequence[str] | None = None,
        half_life_days: float | None = None,
        lookback_days: float = 30.0,
    ) -> pd.DataFrame:
        """Return the signals available by now, oldest first.

        Parameters
        ----------
        themes : sequence of str, optional
            Keep these; default all.
        half_life_days : float, optional
            Overrides each theme's own half-life.
        lookback_days : float
            How far back.

        Returns
        -------
        DataFrame
            ``headline_id, issuer, theme, event, available_at, age_days, value, novelty, relevance, strength``,
            where strength = value x novelty x relevance x theme weight x 2 ** (-age / half-life). No NaN but in
            ``event``, which is None where none was recognised.
        """
        ...

    def prices(self, instrument: str, sessions: int) -> pd.DataFrame:
        """Return the last `sessions` bars that are over: ``session, open, high, low, close, volume``.

        In a run on bars finer than a day, as many of these.
        """
        ...

    def last_price(self, instrument: str) -> float:
        """Return the last known price in local currency; NaN when there was none yet."""
        ...


class Strategy:
    """Base of all strategies: declare `name` and `parameters`, implement `decide`.

    An instance belongs to one run and may keep state between decisions.

    Attributes
    ----------
    name : str
        By which it is called; lower case, with hyphens.
    parameters : tuple of Parameter
    reads_signals : bool
        False for a strategy that reads no news: it then runs without any signals.
    decision_limit_s : float
        Seconds that one decision (with its hooks) may take before the run is given up.
    source : str
        Where a plugin came from: package and version, or a digest of its file. Empty for what ships with chipwire.

    Parameters
    ----------
    **values
        Parameters by name, as text or in their own type.

    Raises
    ------
    UnknownName
        There is no parameter of that name.
    BadParameter
        A value is outside what is allowed.
    """

    name: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    reads_signals: ClassVar[bool] = True
    decision_limit_s: ClassVar[float] = 60.0
    source: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        declared = {parameter.name: parameter for parameter in self.parameters}
        for name in values:
            if name not in declared:
                known = f"its parameters are: {', '.join(declared) or 'none'}"
                raise UnknownName(f"parameter of {self.name}", name, declared, known)
        self.values: dict[str, Any] = {
            name: parameter.parse(values.get(name, parameter.default)) for name, parameter in declared.items()
        }

    def decide(self, view: View) -> Mapping[str, float] | None:
        """Return wanted weights of equity for this venue's instruments.

        An instrument left out, or None for all, means no order; 0 means exit.
        """
        raise TypeError(f"{type(self).__name__} does not implement decide(view)")

    def on_headline(self, view: View, headline: Headline) -> None:
        """React to a headline: told once, oldest first, before `decide` at the first decision that can know it.

        Headlines that were known before the run's first decision are not told; `View.signals` shows them.
        """

    def on_fill(self, fill: Filled) -> None:
        """React to a trade: told once, in order, before the next decision at any venue."""

    @classmethod
    def targets_setwise(cls, panels: Panels, configurations: Sequence[Mapping[str, Any]]) -> dict[str, Weights] | None:
        """Return the weights of all configurations and decisions at once; None where there is no such form.

        It must give what `decide` gives, decision by decision: ``chipwire strategies check`` compares the two.

        Parameters
        ----------
        panels : Panels
            What is known at each decision of each venue.
        configurations : sequence of mappings
            For each configuration every declared parameter, parsed.

        Returns
        -------
        dict or None
            By MIC an array (configurations, decisions, instruments); NaN: no order, 0: exit.
        """
        return None

    def at_once(self, panels: Panels) -> dict[str, Weights] | None:
        """Return the weights of this run's decisions at once, as `targets_setwise` does; None where they are not known.

        For strategies that read neither signals nor the account, and ship with chipwire: the columnar engine then
        does not ask `decide`, which gives the same.
        """
        return None

    def notes(self) -> Sequence[str]:
        """Return what the reader of a run has to know, one line each; asked once, after the last decision."""
        return ()

    def identity(self) -> str:
        """Return what the run's identity has of the strategy besides its name and parameters."""
        return self.source + self.fingerprint()

    def fingerprint(self) -> str:
        """Return a digest of what was read besides the view, such as a file: a part of the run's identity."""
        return ""
