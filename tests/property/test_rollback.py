"""Whatever was applied, in whatever order, and wherever going back is interrupted: it ends as it was before that run.

Byte for byte, with modes, owners, kernel settings, units and what they have loaded. `Machines.watch` holds at every act
that enough members are well.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_interrupt import AT_ACTS, AT_LINES, Run, go_on

from worlds.machines import GoingBack, Machines, Operator, converged

pytestmark = pytest.mark.timeout(600)  # each of hundreds of runs looks, plans and acts

CHANGES = st.fixed_dictionaries({"workers": st.integers(1, 3), "port": st.integers(7700, 7702)})
ONLY = st.sampled_from(((), ("toyd",), ("toydb",)))


@dataclass
class History:
    """Machines, how they were before each run, and how the cloud file was at each."""

    machines: Machines
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)

    def apply(self, only: tuple[str, ...] = (), **cloud_file: Any) -> None:
        """Apply a changed cloud file, as the next run."""
        token = self.name()
        self.before[token], self.sections[token] = self.machines.memory(), cloud_file
        assert asyncio.run(Operator(self.machines, token=token, **cloud_file).apply(only=only)).verdict.is_ok
        self.machines.settle()

    def name(self) -> str:
        """Name the next run."""
        return f"run{len(self.before) + 1}"  # at most nine: they sort

    def back(self, run: str = "", **more: Any) -> GoingBack:
        """Be one who goes back, as the next run."""
        token = self.name()
        self.before[token] = self.machines.memory()
        return GoingBack(self.machines, token=token, run=run, sections=self.sections, **more)


@cache
def _first() -> Machines:
    return asyncio.run(converged())


def begin() -> History:
    machines = copy.deepcopy(_first())
    return History(machines, {"run1": {}}, {"run1": {"workers": 2, "port": 7700}})


def did_something(history: History, run: str) -> bool:
    return any(run in host.ledger.runs for host in history.machines.hosts.values())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(CHANGES, ONLY), min_size=1, max_size=5), st.data())
def test_going_back_gives_what_was_before(changes: list[tuple[dict[str, int], tuple[str, ...]]], data: Any) -> None:
    history = begin()
    for change, only in changes:
        history.apply(only, **change)
    done = [run for run in history.before if run != "run1" and did_something(history, run)]
    if not done:
        return
    run, before = data.draw(st.sampled_from(done)), history.machines.memory()
    back = history.back(run)
    assert asyncio.run(back.apply()).verdict.is_ok
    history.machines.settle()
    assert history.machines.memory() == history.before[run]
    if not did_something(history, back.token):
        return
    again = history.back(back.token)
    assert asyncio.run(again.apply()).verdict.is_ok
    history.machines.settle()
    assert history.machines.memory() == before, "the rollback is rolled back"


@cache
def _twice() -> History:
    history = begin()
    history.apply(workers=3, port=7701)
    history.apply(workers=1, port=7701)
    return history


def changed_twice() -> History:
    return copy.deepcopy(_twice())


@cache
def undisturbed() -> Run:
    history = changed_twice()
    run = Run(history.machines, history.back("run2"))
    assert (error := run()) is None, error
    history.machines.settle()
    assert history.machines.memory() == history.before["run2"]
    return run


def finish(history: History, run: str, *, stamps: bool = True) -> None:
    """Go back again, and hold that it ends as it was before the run."""
    assert (error := Run(history.machines, history.back(run))()) is None, error
    history.machines.settle()
    found, wanted = history.machines.memory(), history.before["run2"]
    if not stamps:
        found, wanted = (
            {h: {k: v for k, v in one.items() if k != "stamps"} for h, one in m.items()} for m in (found, wanted)
        )
    assert found == wanted


@pytest.mark.parametrize("how", AT_LINES)
def test_interrupted_at_every_line_of_the_journal(how: str) -> None:
    for line in range(1, undisturbed().lines + 1):
        history = changed_twice()
        run = Run(history.machines, history.back("run2"))
        run.at_line[line] = AT_LINES[how]
        assert run() is not None, f"line {line}"
        go_on(history.machines, run)
        finish(history, "run2")


@pytest.mark.parametrize("how", AT_ACTS)
def test_interrupted_at_every_act(how: str) -> None:
    assert undisturbed().acts >= 12
    for act in range(1, undisturbed().acts + 1):
        history = changed_twice()
        run = Run(history.machines, history.back("run2"))
        run.at_act[act] = AT_ACTS[how]
        assert run() is not None, f"act {act}"
        go_on(history.machines, run)
        finish(history, "run2", stamps=how != "power_lost")


def test_an_unnamed_one_goes_on_with_what_was_interrupted_and_no_further() -> None:
    history = changed_twice()
    wanted = history.before["run3"]
    run = Run(history.machines, history.back())
    run.at_act[3] = AT_ACTS["cut"]
    assert run() is not None
    go_on(history.machines, run)
    for _ in range(2):
        assert (error := Run(history.machines, history.back())()) is None, error
        history.machines.settle()
        assert history.machines.memory() == wanted
    assert (error := Run(history.machines, history.back("run2"))()) is None, error
    history.machines.settle()
    assert history.machines.memory() == history.before["run2"]
