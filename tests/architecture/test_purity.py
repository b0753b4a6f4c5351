"""The wire, and every module that calls itself pure, cannot wait, read, write or be random."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol", "edge_agent", "middle_tier", "cloud_core")
IMPURE = {
    "aiohttp", "asyncio", "logging", "multiprocessing", "nats", "os", "pathlib", "psutil", "random",
    "requests", "secrets", "select", "signal", "socket", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib",
}  # fmt: skip
MARK = "Pure."


def is_pure(path: Path) -> bool:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").startswith(MARK)


PURE = sorted(
    {*(ROOT / "protocol").glob("*.py")}
    | {path for name in PACKAGES for path in (ROOT / name).rglob("*.py") if is_pure(path)}
)


def roots(path: Path) -> set[str]:
    """First words of everything that the file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def calls(path: Path) -> set[str]:
    """Names of the builtins and methods that the file calls."""
    called = (
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    )
    return {func.id for func in called if isinstance(func, ast.Name)}


def test_what_must_be_pure_says_so():
    pure = {str(path.relative_to(ROOT)) for path in PURE}
    agent = {f"edge_agent/{name}.py" for name in ("admission", "queue/batching", "capacity")}
    site = {f"middle_tier/{name}.py" for name in ("view", "summary", "scheduler/plan")}
    assert agent | site <= pure


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_code_imports_no_way_to_act(path):
    assert not roots(path) & IMPURE


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_code_opens_and_prints_nothing(path):
    assert not calls(path) & {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_code_does_not_wait(path):
    tree = ast.parse(path.read_text())
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(tree) if isinstance(node, waits)]
