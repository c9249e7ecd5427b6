"""Adding a system is one new folder and no other edit: a toy is dropped in, and everything knows it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate.systems
from quorate.core.plan import Plan
from quorate.core.system import AnySystem, enabled
from quorate.engine.apply import look
from worlds.machines import Machines, Operator

TESTS = Path(__file__).parents[1]
TOYS = TESTS / "toys"


@pytest.fixture
def only_toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the folder of toys in place of the systems'."""
    monkeypatch.setattr(quorate.systems, "__path__", [str(TOYS)])
    yield
    for name in [name for name in sys.modules if name.startswith(("quorate.systems.toy", "toy_contract"))]:
        del sys.modules[name]


def toys() -> dict[str, AnySystem]:
    return {system.name: system for system in quorate.systems.discover()}


@pytest.mark.usefixtures("only_toys")
def test_a_folder_is_found() -> None:
    assert set(toys()) == {"toyd", "toydb"}
    assert toys()["toyd"].resources.__module__ == "quorate.systems.toyd"


def test_a_folder_beside_the_others_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(toys())
    monkeypatch.setattr(quorate.systems, "__path__", [*quorate.systems.__path__, str(TOYS)])
    assert set(toys()) == before | {"toyd", "toydb"}


@pytest.mark.usefixtures("only_toys")
async def test_it_is_planned_applied_probed_and_judged() -> None:
    machines = Machines()
    operator = Operator(machines, systems=quorate.systems.discover())
    assert [system.name for system in enabled(operator.operation().site.cloud, operator.systems)] == ["toydb", "toyd"]
    before = await look(operator.operation())
    assert not before.plan.refusals
    assert isinstance(Plan.model_validate_json(before.plan.model_dump_json()), Plan)
    assert not before.judgements["toyd"].cluster.is_ok
    assert (await operator.apply()).verdict.is_ok
    after = await look(operator.operation())
    assert after.plan.is_empty
    assert after.judgements["toyd"].cluster.reason == "3 of 3 healthy"
    machines.hosts["c2"].units["toyd.service"].active = "failed"
    broken = await look(operator.operation())
    assert [act for step in broken.plan.steps for act in map(str, step.acts)] == ["start toyd.service"]
    assert not broken.judgements["toyd"].members["c2"].is_ok


def contract() -> Any:
    """Load the contract suite anew, over the systems that are there now."""
    spec = importlib.util.spec_from_file_location("toy_contract", TESTS / "contract" / "test_systems.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def rows(test: Callable[..., Any]) -> list[dict[str, Any]]:
    """Every row of arguments that pytest would call it with."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    return [{k: v for part in row for k, v in part.items()} for row in itertools.product(*map(column, marks))]


def column(mark: pytest.Mark) -> list[dict[str, Any]]:
    """Every choice of one `parametrize`, for one name or several."""
    names, values = mark.args
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    plain = [value.values if isinstance(value, type(pytest.param())) else value for value in values]
    return [dict(zip(names, value if len(names) > 1 else [value], strict=True)) for value in plain]


@pytest.mark.usefixtures("only_toys")
def test_it_is_held_to_the_contract_like_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(TESTS / "contract"))
    clouds = importlib.import_module("systems_clouds")
    monkeypatch.setattr(clouds, "EXAMPLES", tmp_path)  # they may say something of systems that are not there now
    module = contract()
    assert {system.name for system in module.SYSTEMS} == {"toyd", "toydb"}
    assert len(module.CASES) >= 7
    checks = [(name, test) for name, test in inspect.getmembers(module, callable) if name.startswith("test_")]
    called = 0
    for _name, test in checks:
        for row in rows(test):
            test(**row)
            called += 1
    assert called > 100
    assert len(checks) > 10
