"""Imports run one way, and only one module each opens DuckDB and imports backtrader."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("data", "signals", "strategies", "engine", "reports", "cli")


def modules() -> list[Path]:
    found = [ROOT / "cli.py"]
    for layer in LAYERS[:-1]:
        found += sorted((ROOT / layer).rglob("*.py"))
    return found


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_its_own_layer_and_those_before_it(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    reached = {name.split(".")[1] for name in imported(path) if name.startswith("chipwire.")}
    assert reached & set(LAYERS) <= set(allowed)


@pytest.mark.parametrize(("package", "owner"), [("duckdb", "data/warehouse.py"), ("backtrader", "engine/event.py")])
def test_only_one_module_imports(package: str, owner: str) -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in modules()
        if any(name == package or name.startswith(f"{package}.") for name in imported(path))
    }
    assert found == {owner}


def test_the_command_line_imports_nothing_heavy_at_its_start() -> None:
    heavy = {"pandas", "numpy", "pyarrow", "duckdb", "backtrader", "onnxruntime", "transformers", "altair", "torch"}
    import subprocess
    import sys

    code = "import sys, chipwire.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not heavy & set(loaded)
