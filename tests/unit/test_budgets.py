"""The house rules that a program can hold: how long, what name, who prints, who imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("src", "tests", "bench", "demo", "conformance")
FILE_LINES = 400
FUNCTION_LINES = 50
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
PRINTERS = {"src/quorate/cli/render.py"}
PURE = ("model", "core", "systems", "faults", "report", "audit")
NO_IO = {"asyncio", "socket", "subprocess", "asyncssh", "httpx", "threading", "multiprocessing", "urllib", "http"} | {
    "requests",
    "keystoneauth1",
    "pymemcache",
    "pymysql",
}
CLIENT = "client.py"
"""The one file of a system that may do I/O: the client of a drill (docs/decisions/0011-drill-clients.md)."""
NOT_FOR_PURE = ("quorate.transport", "quorate.engine", "quorate.cli", "quorate.lab")
WORKPLACE = "/" + "work/"
"""Where somebody's tree happens to lie; put together so that this file does not hold it."""


def python(*folders: str) -> list[str]:
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [str(path.relative_to(ROOT)) for path in found]


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imports(path: str) -> Iterator[str]:
    """Name every module that it imports; of `from a import b` also `a.b`, which may be one."""
    package = Path(path).with_suffix("").parts[1:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            module = base if node.level else node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_or_below(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


@pytest.mark.parametrize("path", python(*OURS))
def test_a_file_fits_its_budget(path: str) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
    assert lines <= FILE_LINES


@pytest.mark.parametrize("path", python(*OURS))
def test_a_function_fits_its_budget(path: str) -> None:
    functions = [n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno is not None}
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES} == {}


def test_a_name_says_what_is_in_it() -> None:
    assert [path for path in python(*OURS) if VAGUE & {Path(path).stem, Path(path).parent.name}] == []


def test_one_file_prints() -> None:
    printing = {
        path
        for path in python("src")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing <= PRINTERS


def is_client(path: str) -> bool:
    """Whether it is `systems/NAME/client.py`, which the engine alone loads, by its name."""
    return Path(path).name == CLIENT and Path(path).parts[:-2] == ("src", "quorate", "systems")


def does_io(module: str) -> bool:
    """Whether it reaches for the world outside; urllib.parse only takes addresses apart."""
    return module.partition(".")[0] in NO_IO and not module.startswith("urllib.parse")


@pytest.mark.parametrize("path", python(*(f"src/quorate/{room}" for room in PURE)))
def test_the_pure_rooms_do_no_io(path: str) -> None:
    imported = set(imports(path))
    assert is_client(path) or {name for name in imported if does_io(name)} == set()
    assert {name for name in imported if name.startswith(NOT_FOR_PURE)} == set()


@pytest.mark.parametrize("path", python("src/quorate/systems"))
def test_systems_know_only_themselves(path: str) -> None:
    own = ".".join(Path(path).parts[1:4])
    among = [name for name in imports(path) if name.startswith("quorate.systems.")]
    assert [name for name in among if not is_or_below(name, own)] == []


def test_nothing_imports_the_client_of_a_system() -> None:
    clients = {".".join(Path(path).with_suffix("").parts[1:]) for path in python("src") if is_client(path)}
    assert clients
    assert [(path, name) for path in python("src") for name in imports(path) if name in clients] == []


def test_core_never_names_a_system() -> None:
    systems = {path.name for path in (ROOT / "src/quorate/systems").iterdir() if path.is_dir()} - {"__pycache__"}
    named = {
        (path, node.value)
        for path in python("src/quorate/core")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and node.value in systems
    }
    assert named == set()


def test_nothing_knows_where_somebody_s_tree_lies() -> None:
    hidden = {".venv", ".git", "__pycache__", "build", ".hypothesis"}
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".j2", ".json", ".sh", ".cfg", ".txt", ".lock", ""}
    found = []
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.suffix not in kinds or hidden & set(parts) or any(p.endswith(("_cache", ".egg-info")) for p in parts):
            continue
        if path.is_file() and WORKPLACE in path.read_text(encoding="utf-8", errors="replace"):
            found.append(str(path.relative_to(ROOT)))
    assert found == []


@pytest.mark.parametrize(
    ("path", "exempt"),
    [
        ("src/quorate/systems/a/client.py", True),
        ("src/quorate/systems/a/probe.py", False),
        ("src/quorate/systems/a/b/client.py", False),
        ("src/quorate/systems/client.py", False),
        ("src/quorate/core/client.py", False),
    ],
)
def test_only_a_system_s_client_is_exempt(path: str, exempt: bool) -> None:
    assert is_client(path) is exempt


@pytest.mark.parametrize(
    ("name", "module", "within"),
    [("quorate.systems.a", "quorate.systems.a", True), ("quorate.systems.ab", "quorate.systems.a", False)],
)
def test_the_rule_itself(name: str, module: str, within: bool) -> None:
    assert is_or_below(name, module) is within
