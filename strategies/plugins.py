"""Strategies from elsewhere: installed packages with an entry point, and single files.

A package offers ``name = module:Class`` in the entry point group `GROUP`; a file is named as ``file.py:Class``. What
cannot be used is named in a `BadPlugin` and keeps nothing else from working. `SWITCH` in the environment turns all off.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from chipwire.data.errors import BadParameter, BadPlugin, ChipwireError
from chipwire.strategies.base import Parameter, Strategy
from chipwire.strategies.limits import FAULTS, TooSlowError, reason, time_limit

GROUP = "chipwire.strategies"
SWITCH = "CHIPWIRE_NO_PLUGINS"
IMPORT_LIMIT_S = 10.0
"""Seconds that the import of one plugin may take."""

_NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Offer:
    """An entry point of an installed package, not imported yet."""

    name: str
    package: str
    version: str
    entry: EntryPoint

    @property
    def origin(self) -> str:
        """Package and version, e.g. ``chip-tricks 1.2``."""
        return f"{self.package} {self.version}"


def switched_off() -> bool:
    """Return whether the environment turns plugins off."""
    return os.environ.get(SWITCH, "") not in ("", "0")


def offers() -> dict[str, list[Offer]]:
    """Return what installed packages offer, by name, both sorted; nothing is imported.

    Raises
    ------
    BadPlugin
        A package's entry points are damaged.
    """
    found: dict[str, list[Offer]] = {}
    if switched_off():
        return found
    try:
        entries = list(entry_points(group=GROUP))
    except Exception as error:
        reason = f"the entry points of the installed packages cannot be read ({error}); {SWITCH}=1 goes on without"
        raise BadPlugin("any", "any", reason) from error
    for entry in entries:
        package = entry.dist.name if entry.dist else "?"
        version = entry.dist.version if entry.dist else "?"
        found.setdefault(entry.name, []).append(Offer(entry.name, package, version, entry))
    # A package that two folders of the path hold is one offer, not two.
    return {
        name: list({offer.origin: offer for offer in sorted(found[name], key=lambda offer: offer.origin)}.values())
        for name in sorted(found)
    }


def load_offered(name: str, offered: list[Offer], taken: Collection[str]) -> type[Strategy]:
    """Import the strategy that is offered under a name.

    Parameters
    ----------
    taken : collection of str
        Names that plugins may not have.

    Raises
    ------
    BadPlugin
        The name is taken or offered twice, the import fails or takes too long, or it is no such strategy.
    """
    origin = ", ".join(offer.origin for offer in offered)
    if name in taken:
        raise BadPlugin(name, origin, "chipwire has a strategy of that name, which is used; the package must rename it")
    if len(offered) > 1:
        raise BadPlugin(name, origin, "several packages offer that name and none is used; uninstall all but one")
    with isolated(name, origin):
        found = offered[0].entry.load()
    return _checked(found, name, origin, origin)


def load_all(taken: Collection[str]) -> tuple[dict[str, type[Strategy]], list[BadPlugin]]:
    """Import every plugin and return those that can be used, and what is wrong with the others."""
    usable: dict[str, type[Strategy]] = {}
    broken: list[BadPlugin] = []
    try:
        found = offers()
    except BadPlugin as error:
        return usable, [error]
    for name, offered in found.items():
        try:
            usable[name] = load_offered(name, offered, taken)
        except BadPlugin as error:
            broken.append(error)
    return usable, broken


def load_file(reference: str, taken: Collection[str]) -> type[Strategy]:
    """Import the strategy named as ``file.py:Class``.

    Raises
    ------
    BadPlugin
        Plugins are switched off, there is no such file or class, its import fails or takes too long, or it is no
        strategy.
    """
    name, _, attribute = reference.rpartition(":") if not reference.endswith(".py") else (reference, "", "")
    path = Path(name)
    if switched_off():
        raise BadPlugin(reference, name, f"plugins are switched off; unset {SWITCH} to use it")
    try:
        code = path.read_bytes()
    except OSError as error:
        raise BadPlugin(reference, name, f"{error.strerror}; give it as FILE.py:CLASS") from error
    digest = hashlib.blake2b(code, digest_size=8).hexdigest()
    with isolated(reference, name):
        classes = [node.name for node in ast.parse(code, name).body if isinstance(node, ast.ClassDef)]
        if attribute not in classes:
            known = ", ".join(classes) or "none"
            raise BadPlugin(reference, name, f"there is no class '{attribute}' in it; its classes: {known}")
        module = _module(f"chipwire_file_{path.stem}_{digest}", path)
    return _checked(getattr(module, attribute), None, reference, f"{path.name} {digest}", taken)


def _module(name: str, path: Path) -> Any:
    """Import a file once for each content."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError("it is no Python file")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


@contextmanager
def isolated(name: str, origin: str, what: str = "its import") -> Iterator[None]:
    """Turn whatever a plugin's code does into one error, within its time; what it prints goes to stderr.

    Raises
    ------
    BadPlugin
        The code raised, or took longer than `IMPORT_LIMIT_S`. An error of chipwire's own goes through as it is.
    """
    try:
        with redirect_stdout(sys.stderr), time_limit(IMPORT_LIMIT_S):
            yield
    except ChipwireError:
        raise
    except TooSlowError as error:
        raise BadPlugin(name, origin, f"{what} takes longer than {IMPORT_LIMIT_S:g} s") from error
    except FAULTS as error:
        raise BadPlugin(name, origin, f"{what} fails with {reason(error)}") from error


def _checked(found: Any, name: str | None, origin: str, source: str, taken: Collection[str] = ()) -> type[Strategy]:
    """Return the class when it keeps the contract, with its source noted.

    `name` is the one that it must have; None: any that is not in `taken`.
    """
    called = name or origin
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        what = f"{found.__name__} is a class" if isinstance(found, type) else f"{found!r} is a {type(found).__name__}"
        raise BadPlugin(called, origin, f"{what}, it must be a subclass of chipwire.strategies.base.Strategy")
    for check in _CHECKS:
        if problem := check(found):
            raise BadPlugin(called, origin, f"class {found.__name__}: {problem}")
    if name is not None and found.name != name:
        raise BadPlugin(called, origin, f"class {found.__name__} has the name '{found.name}'; the two must be the same")
    if found.name in taken:
        raise BadPlugin(called, origin, f"chipwire has a strategy '{found.name}' already; give it another name")
    found.source = source
    return found


def _wrong_name(found: type[Strategy]) -> str:
    # A name that is inherited is that of another strategy.
    name = vars(found).get("name")
    if isinstance(name, str) and _NAME.fullmatch(name):
        return ""
    return f"name={name!r} is not allowed; it must have one of its own, of small letters, digits and hyphens"


def _wrong_parameters(found: type[Strategy]) -> str:
    parameters: Any = found.parameters
    if not isinstance(parameters, tuple | list) or not all(isinstance(p, Parameter) for p in parameters):
        return "parameters must be a tuple of chipwire.strategies.base.Parameter"
    names = [parameter.name for parameter in parameters]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        return f"parameter '{repeated[0]}' is declared twice"
    for parameter in parameters:
        try:
            parameter.parse(parameter.default)
        except (BadParameter, LookupError, TypeError) as error:
            return f"the default of a parameter is outside what is allowed: {error}"
    return ""


def _wrong_methods(found: type[Strategy]) -> str:
    if found.decide is Strategy.decide:
        return "it does not implement decide(view)"
    if not found.reads_signals and found.on_headline is not Strategy.on_headline:
        return "it has on_headline but reads_signals = False"
    limit: Any = found.decision_limit_s
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= 86_400:
        return f"decision_limit_s={limit!r} is not allowed; a number of seconds above 0, at most 86400"
    return ""


_CHECKS: tuple[Callable[[type[Strategy]], str], ...] = (_wrong_name, _wrong_parameters, _wrong_methods)
