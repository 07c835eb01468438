"""The generated references are what the program says, and every command shows an example."""

from __future__ import annotations

import importlib.util
import re
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import click
import pytest

from chipwire.cli import cli
from chipwire.data.errors import BadTarget
from chipwire.engine.asking import Asker
from chipwire.engine.view import PointInTimeView
from chipwire.strategies.base import Strategy

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["commands.md", "strategies.md"])
def test_the_reference_is_up_to_date(generator: ModuleType, page: str) -> None:
    assert (ROOT / "docs" / page).read_text("utf-8") == generator.PAGES[page](), "run 'make docs'"


def every_command(command: click.Command, path: str = "chipwire") -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            found += every_command(sub, f"{path} {name}")
    return found


@pytest.mark.parametrize(("path", "command"), every_command(cli), ids=lambda value: str(value).replace(" ", "-"))
def test_every_command_has_a_summary_and_an_example(path: str, command: click.Command) -> None:
    text = command.help or ""
    assert text.splitlines()[0].endswith((".", "?", '"-".'))
    example = re.search(r"Example: (chipwire [^\n]+)", text)
    assert example, path


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in cli.commands:
        assert f"`{name}`" in readme or f"chipwire {name}" in readme, name


def test_the_page_on_plugins_allows_what_the_engine_allows() -> None:
    class Odd(Strategy):
        name = "odd"

        def decide(self, view: Any) -> Any:
            return 1

    with pytest.raises(BadTarget) as caught:
        Asker(Odd(), 1.0).ask(cast(PointInTimeView, SimpleNamespace(now=datetime(2024, 1, 2, tzinfo=UTC))))
    allowed = str(caught.value).partition("allowed: ")[2]
    assert allowed == "a mapping or None"
    assert f"something else than {allowed}" in (ROOT / "docs" / "plugins.md").read_text("utf-8").replace("`", "")


def test_links_inside_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
