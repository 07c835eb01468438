"""From texts such as ``half_life=1,2,3`` to configurations: lists, ranges and random draws over everything declared.

A text is one of

- ``a,b,c``: these values; a value with a comma in it stands in double quotes, and a value that is itself a list of
  words (``themes``, ``instruments``) joins them with ``+``;
- ``lo:hi:step`` for numbers, anywhere in such a list: lo, lo + step, ... up to and including hi;
- ``random:int:lo:hi``, ``random:uniform:lo:hi``, ``random:log:lo:hi``, ``random:choice:a,b,c``: one value a draw.

Lists and ranges are crossed with one another. The random ones are drawn together, and each draw is crossed with
the rest. The same texts, seed and number of draws give the same configurations in the same order.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from chipwire.data.errors import BadParameter, InputError, UnknownName
from chipwire.engine.settings import Settings
from chipwire.strategies.base import Parameter, Strategy

MAX_CONFIGURATIONS = 1_000_000
DRAW_FORMS = "random:int:LO:HI, random:uniform:LO:HI, random:log:LO:HI or random:choice:A,B,C"
_DIGITS = 6


@dataclass(frozen=True)
class Axis:
    """One thing that differs between configurations.

    Attributes
    ----------
    name : str
        Of the parameter or of the setting; ``model`` for the model whose signals are read.
    of : str
        ``params``, ``settings`` or ``model``.
    values : tuple
        In the parameter's own type and in the order given, each once; of a drawn axis one for each draw.
    drawn : bool
        Whether the values were drawn at random.
    text : str
        As given.
    """

    name: str
    of: str
    values: tuple[Any, ...]
    drawn: bool
    text: str


@dataclass(frozen=True)
class Configuration:
    """One thing to try: a strategy's parameters (those given), a run's settings, and the model asked for."""

    params: Mapping[str, Any]
    settings: Settings
    model: str | None


@dataclass(frozen=True)
class Grid:
    """All that a sweep tries.

    Attributes
    ----------
    axes : tuple of Axis
        In the order given, parameters first.
    draws : int
        Joint random draws; 0 without a drawn axis.
    """

    axes: tuple[Axis, ...]
    draws: int

    @property
    def size(self) -> int:
        """Number of configurations, equal draws counted each."""
        return math.prod(len(axis.values) for axis in self.axes if not axis.drawn) * max(self.draws, 1)

    def varied(self) -> list[Axis]:
        """Return the axes that have more than one value."""
        return [axis for axis in self.axes if len(axis.values) > 1]

    def configurations(self) -> Iterator[Configuration]:
        """Yield each configuration once; the last axis moves fastest, the draws before it.

        Raises
        ------
        BadParameter
            Values of two settings do not go together, such as a start after the end.
        """
        listed = [axis for axis in self.axes if not axis.drawn]
        settings: dict[tuple[Any, ...], Settings] = {}
        seen = set()
        for draw in range(max(self.draws, 1)):
            drawn = {(axis.of, axis.name): axis.values[draw] for axis in self.axes if axis.drawn}
            for values in itertools.product(*(axis.values for axis in listed)):
                chosen = drawn | {(axis.of, axis.name): value for axis, value in zip(listed, values, strict=True)}
                key = tuple(chosen[axis.of, axis.name] for axis in self.axes)
                if key in seen:
                    continue
                seen.add(key)
                parts = {of: {n: v for (o, n), v in chosen.items() if o == of} for of in ("params", "settings")}
                given = tuple(parts["settings"].values())
                if given not in settings:
                    settings[given] = Settings(**parts["settings"])
                yield Configuration(parts["params"], settings[given], chosen.get(("model", "model")))


def make_grid(
    strategy: type[Strategy],
    params: Sequence[tuple[str, str]],
    settings: Mapping[str, str],
    *,
    model: str | None = None,
    draws: int = 0,
    seed: int = 0,
) -> Grid:
    """Return the grid of a strategy's parameters and a run's settings.

    Parameters
    ----------
    strategy : type of Strategy
        Declares the parameters.
    params : sequence of (str, str)
        Names and texts; parameters left out keep their default.
    settings : mapping of str to str
        By the name of a field of `Settings`; `start` and `end` are needed.
    model : str, optional
        Text of models' ids or names.
    draws, seed : int
        How many joint draws, and of which sequence; each axis has a sequence of its own, so that one more axis
        changes nothing in the others.

    Raises
    ------
    UnknownName, BadParameter, InputError
        A name that is not declared or is given twice, a value outside what is allowed, a range without values,
        draws without a random axis or the other way round, more configurations than `MAX_CONFIGURATIONS`.
    """
    declared = {parameter.name: parameter for parameter in strategy.parameters}
    axes: list[Axis] = []
    for name, text in params:
        if name not in declared:
            known = f"its parameters are: {', '.join(declared) or 'none'}"
            raise UnknownName(f"parameter of {strategy.name}", name, declared, known)
        if any(axis.name == name for axis in axes):
            raise InputError(f"-p {name} is given twice; write all its values in one: -p {name}=A,B,C")
        axes.append(_axis(_Kind.of_parameter(declared[name]), "params", text, draws, seed))
    if settings.get("interval", "1d") != "1d":
        raise BadParameter("interval", settings["interval"], "1d in a sweep, whose engine takes daily bars")
    kinds = {field.name: _Kind(field.name, *_setting(str(field.type))) for field in fields(Settings)}
    axes += [_axis(kinds[name], "settings", text, draws, seed) for name, text in settings.items()]
    if model is not None:
        axes.append(_axis(_Kind("model", str, None), "model", model, draws, seed))
    drawn = any(axis.drawn for axis in axes)
    if draws and not drawn:
        raise InputError(f"draws={draws} is not allowed: no parameter is random; give one as -p NAME={DRAW_FORMS}")
    grid = Grid(tuple(axes), draws if drawn else 0)
    if grid.size > MAX_CONFIGURATIONS:
        raise InputError(
            f"{grid.size:,} configurations are more than {MAX_CONFIGURATIONS:,}; give fewer values, or draw from them"
        )
    return grid


# --- what an axis takes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """How the texts of one axis become values; `number` is int or float where ranges are allowed."""

    name: str
    parse: Callable[[str], Any]
    number: type | None

    @classmethod
    def of_parameter(cls, parameter: Parameter) -> _Kind:
        words = parameter.kind is str and bool(parameter.choices)
        parse = (lambda text: parameter.parse(text.replace("+", ","))) if words else parameter.parse
        return cls(parameter.name, parse, parameter.kind if parameter.kind in (int, float) else None)

    def value(self, text: str) -> Any:
        try:
            return self.parse(text)
        except ValueError as error:
            raise BadParameter(self.name, text, "a number" if self.number else "YYYY-MM-DD") from error


def _setting(annotation: str) -> tuple[Callable[[str], Any], type | None]:
    """Return how a field of `Settings` is read, by its annotation."""
    if annotation.startswith("float"):
        return float, float
    if annotation.startswith("int"):
        return int, int
    if annotation == "date":
        return date.fromisoformat, None
    if annotation.startswith("tuple"):
        return _words, None
    return str, None


def _words(text: str) -> tuple[str, ...]:
    names = tuple(word.strip() for word in text.split("+") if word.strip())
    if not names:
        raise BadParameter("instruments", text, "at least one name, several joined by +")
    return names


def _axis(kind: _Kind, of: str, text: str, draws: int, seed: int) -> Axis:
    text = text.strip()
    if text.startswith("random:"):
        if draws < 1:
            raise InputError(f"{kind.name}={text} is drawn at random: say how often with --draws N")
        if draws > MAX_CONFIGURATIONS:
            raise BadParameter("draws", draws, f"at most {MAX_CONFIGURATIONS:,}")
        rng = np.random.default_rng([seed, *kind.name.encode()])
        values = tuple(kind.value(word) for word in _draw(kind, text, draws, rng))
        return Axis(kind.name, of, values, True, text)
    values = tuple(kind.value(word) for piece in _split(kind, text) for word in _piece(kind, piece))
    return Axis(kind.name, of, tuple(dict.fromkeys(values)), False, text)


def _split(kind: _Kind, text: str) -> list[str]:
    """Split at commas outside double quotes."""
    try:
        pieces = [piece.strip() for piece in next(csv.reader([text], skipinitialspace=True, strict=True), [])]
    except csv.Error as error:
        raise BadParameter(kind.name, text, f"the quotes do not close ({error})") from error
    if not pieces or not all(pieces):
        raise BadParameter(kind.name, text, "a value between any two commas, and at least one")
    return pieces


def _piece(kind: _Kind, piece: str) -> list[str]:
    """Return the texts of the values of one value or range."""
    if piece.startswith("random:"):
        raise BadParameter(kind.name, piece, "a draw stands alone, without other values beside it")
    if kind.number is None or ":" not in piece:
        return [piece]
    try:
        low, high, step = (Decimal(part.strip()) for part in piece.split(":"))
        finite = low.is_finite() and high.is_finite() and step.is_finite()
    except (ValueError, InvalidOperation) as error:
        raise BadParameter(kind.name, piece, "a range is LO:HI:STEP, e.g. 0:0.5:0.05") from error
    if not finite:
        raise BadParameter(kind.name, piece, "a range is of finite numbers, e.g. 0:0.5:0.05")
    if step <= 0:
        raise BadParameter(kind.name, piece, "the step of a range must be a number above 0")
    if low > high:
        raise BadParameter(kind.name, piece, "the range is empty: its first value lies above its last")
    if (high - low) / step >= MAX_CONFIGURATIONS:
        raise BadParameter(kind.name, piece, f"a range has at most {MAX_CONFIGURATIONS:,} values")
    count = int((high - low) / step) + 1
    return [f"{(low + step * number).normalize():f}" for number in range(count)]


def _draw(kind: _Kind, text: str, draws: int, rng: np.random.Generator) -> list[str]:
    """Return the texts of `draws` values; numbers that are not whole have six digits, so that they can be typed."""
    _, _, rest = text.partition(":")
    form, _, given = rest.partition(":")
    if form == "choice":
        choices = _split(kind, given)
        return [choices[place] for place in rng.integers(len(choices), size=draws)]
    if form not in ("int", "uniform", "log") or kind.number is None:
        forms = DRAW_FORMS if kind.number else "random:choice:A,B,C"
        raise BadParameter(kind.name, text, f"a draw is {forms}")
    low, high = _bounds(kind, text, given, positive=form == "log")
    if form == "int":
        if low != int(low) or high != int(high):
            raise BadParameter(kind.name, text, "random:int takes whole numbers")
        for bound in (low, high):
            kind.value(str(int(bound)))  # not only where a draw happens to fall on it
        if max(abs(low), abs(high)) >= 2**63:
            raise BadParameter(kind.name, text, "random:int takes whole numbers below 2**63")
        return [str(value) for value in rng.integers(int(low), int(high), endpoint=True, size=draws)]
    if kind.number is int:
        raise BadParameter(kind.name, text, "it takes whole numbers: random:int:LO:HI")
    for bound in (low, high):
        kind.value(repr(bound))
    unit = rng.random(draws)
    values = low + (high - low) * unit if form == "uniform" else low * (high / low) ** unit
    return [repr(float(min(max(float(f"{value:.{_DIGITS}g}"), low), high))) for value in values]


def _bounds(kind: _Kind, text: str, given: str, *, positive: bool) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in given.split(":"))
    except ValueError as error:
        raise BadParameter(kind.name, text, f"a draw is {DRAW_FORMS}") from error
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadParameter(kind.name, text, "a draw lies between two finite numbers")
    if low > high:
        raise BadParameter(kind.name, text, "the range is empty: its first value lies above its last")
    if positive and low <= 0:
        raise BadParameter(kind.name, text, "random:log takes numbers above 0")
    return low, high
