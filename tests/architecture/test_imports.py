"""Imports go one way, and what an agent starts with is light."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = ["protocol", "edge_agent", "middle_tier", "cloud_core"]
FILES = [path for package in ORDER for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Every module named in an import anywhere in the file; a leading dot for a relative one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", ORDER)
def test_a_package_never_imports_the_one_above(package):
    above = set(ORDER[ORDER.index(package) + 1 :]) | {"tests"}
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, package
    for path in files:
        names = {name.partition(".")[0] for name in imported(path)}
        assert not names & above, f"{name_of(path)} imports {names & above}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_are_absolute_and_not_hidden(path):
    names = list(imported(path))
    assert not [name for name in names if name.startswith(".")]
    nodes = ast.walk(ast.parse(path.read_text()))
    assert "TYPE_CHECKING" not in {node.id for node in nodes if isinstance(node, ast.Name)}


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=name_of)
def test_a_package_file_holds_a_docstring_and_no_more(path):
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def loaded_by(module: str) -> set[str]:
    """The modules that a fresh interpreter has after importing one."""
    code = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    return set(json.loads(run.stdout))


RUNTIMES = {"torch", "onnxruntime", "ai_edge_litert", "tflite_runtime"}


def test_an_agent_starts_without_torch_aiohttp_and_the_packages_above_it():
    names = {name.partition(".")[0] for name in loaded_by("edge_agent.__main__")}
    assert "nats" in names
    assert not names & ({"aiohttp", "middle_tier", "cloud_core", "typer", "rich"} | RUNTIMES)


def test_a_site_starts_without_a_runtime_and_the_package_above_it():
    names = {name.partition(".")[0] for name in loaded_by("middle_tier.__main__")}
    assert "aiohttp" in names
    assert not names & ({"cloud_core", "typer", "rich"} | RUNTIMES)


def test_the_cloud_starts_without_a_runtime():
    names = {name.partition(".")[0] for name in loaded_by("cloud_core.__main__")}
    assert not names & RUNTIMES


def test_the_command_starts_without_what_its_extra_brings():
    names = {name.partition(".")[0] for name in loaded_by("cloud_core.entry")}
    assert not names & {"typer", "rich", "aiohttp", "numpy"}
