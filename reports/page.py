"""The frame of every page: its policy, its own script and style, and how foreign text gets in.

A page's policy is ``default-src 'none'`` with hashes of its own scripts and style. Vega needs no exception: its
expressions are parsed to trees and walked by an interpreter (``ast: true``). Foreign text reaches a page in two
ways only: through autoescaping, or as JSON that the script puts into text nodes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from chipwire import __version__
from chipwire.data.errors import BadParameter, OutputExists
from chipwire.reports.values import minus, money, number, percent, plain

_DARK_RULES = (
    '@media screen and (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {0} }} }}\n'
    '@media screen {{ :root[data-theme="dark"] {{ {0} }} }}'
)


def render(template: str, data: Mapping[str, Any], scripts: Sequence[str], *, charts: bool, **shown: Any) -> str:
    """Return a whole HTML document without any address of its own.

    Parameters
    ----------
    template : str
        File in ``templates/`` that extends ``page.html.j2``.
    data : mapping
        Put into the page as JSON, see `script_json`; no NaN in it.
    scripts : sequence of str
        Files in ``templates/``, after ``page.js``, in their order.
    charts : bool
        Whether the page draws charts and so carries Vega.
    **shown
        What the template shows.
    """
    style, script = _style(), _script(("page.js", *scripts))
    vega = vega_bundle() if charts else ""
    hashes = [_hash(text) for text in (vega, script) if text]
    policy = (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            policy=policy,
            style=Markup(style),  # noqa: S704 - our own file, as are the two below
            script=Markup(script),  # noqa: S704
            vega=Markup(vega),  # noqa: S704
            data=script_json(data),
            version=__version__,
            **shown,
        )
    )


def script_json(value: Any) -> Markup:
    """Return JSON that can stand in a script element: no ``<``, ``>``, ``&`` and no line separators in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped just above


def check_page(path: Path, *, force: bool) -> None:
    """Refuse a file that is there, or whose name a browser would not open as a page.

    Raises
    ------
    BadParameter, OutputExists
    """
    if path.suffix not in (".html", ".htm"):
        raise BadParameter("html", str(path), "a file that ends in .html")
    if (path.exists() or path.is_symlink()) and not force:
        raise OutputExists(path, 1)


def write_page(text: str, path: Path, *, force: bool) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    BadParameter, OutputExists
        See `check_page`.
    WriteFailed
        The disk or the permissions did not allow it.
    """
    from chipwire.reports.exports import write_files

    check_page(path, force=force)
    write_files({path: text.encode()}, path.parent)


# --- the page's own parts --------------------------------------------------------------------------------


def _asset(name: str) -> str:
    return resources.files("chipwire.reports.templates").joinpath(name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    """Return the style sheet; the dark colours stand in one file and in two rules, by system and by switch."""
    dark = " ".join(_asset("dark.css").split())
    return f"{_asset('page.css')}\n{_DARK_RULES.format(dark)}\n"


@cache
def light_colours() -> dict[str, str]:
    """Return the light page's colours by the name of their variable, such as ``--line-0``."""
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", _asset("page.css").partition("}")[0]))


@cache
def _script(names: tuple[str, ...]) -> str:
    return '"use strict";\n(() => {\n' + "\n".join(_asset(name) for name in names) + "})();\n"


_ahead: list[subprocess.Popen[str]] = []


@contextmanager
def bundle_ahead(wanted: bool) -> Iterator[None]:
    """Have Vega's bundle made in a process of its own meanwhile: it takes a second in which nothing else would run."""
    program = "import sys; from chipwire.reports.page import made_bundle; sys.stdout.write(made_bundle())"
    if wanted and sys.executable:
        with suppress(OSError):  # then it is made where it is needed
            _ahead.append(subprocess.Popen(  # noqa: S603 - our own program, no part of it from elsewhere
                [sys.executable, "-P", "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, encoding="utf-8",
            ))  # fmt: skip
    try:
        yield
    finally:
        while _ahead:  # nobody asked for it
            process = _ahead.pop()
            process.kill()
            process.communicate()


@cache
def vega_bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script: what `bundle_ahead` began, else made now."""
    while _ahead:
        process = _ahead.pop()
        made, _ = process.communicate()
        if process.returncode == 0 and made:
            return made
    return made_bundle()


def made_bundle() -> str:
    """Make the bundle, of the version that altair writes for."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=vegalite_version())
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def vegalite_version() -> str:
    """Return major and minor version of Vega-Lite, such as ``6.1``."""
    import altair as alt

    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minus"] = minus
    environment.filters["dates"] = _dates
    environment.filters["percent"] = lambda value, **options: minus(percent(value, **options))
    environment.filters["number"] = lambda value, digits=2: minus(number(value, digits))
    environment.filters["money"] = lambda value, currency: minus(money(value, currency))
    return environment


def _dates(text: str) -> Markup:
    """Return escaped text whose ISO dates do not break at the end of a line."""
    return Markup(re.sub(r"\b\d{4}-\d\d-\d\d\b", r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704
