"""Whatever interrupts an apply, wherever: run again, it ends as if nothing had happened.

Every moment is tried: before each line of the journal and at each act, on a cloud that is made anew and on one that is
changed member by member. `Machines.watch` holds at every act that enough members are well.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.act import Act
from quorate.errors import QuorateError
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakeTransport
from worlds.machines import Machines, Operator, converged

SCENARIOS = ("made anew", "changed")


class Killed(BaseException):
    """SIGKILL: from here on this operator does nothing, not even tidy up."""


@dataclass
class Run:
    """One run of an operator, with what befalls it."""

    machines: Machines
    operator: Operator
    lines: int = 0
    acts: int = 0
    dead: bool = False
    struck: FakeHost | None = None
    task: asyncio.Task[Any] | None = None
    at_line: dict[int, Callable[[Run], None]] = field(default_factory=dict)
    at_act: dict[int, Callable[[Run, FakeHost], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.operator.journal.on_write = self._line
        self.machines.before_act = self._act
        self.operator.transports = {name: Mortal(self, host) for name, host in self.machines.hosts.items()}

    def _line(self, _event: str) -> None:
        if self.dead:
            raise Killed
        self.lines += 1
        if strike := self.at_line.get(self.lines):
            strike(self)

    def _act(self, host: FakeHost, _act: Act) -> None:
        self.acts += 1
        if strike := self.at_act.get(self.acts):
            strike(self, host)

    def __call__(self) -> BaseException | None:
        """Run it; say what stopped it."""

        async def main() -> None:
            self.task = asyncio.current_task()
            outcome = await self.operator.apply()
            if not outcome.verdict.is_ok:
                raise QuorateError(outcome.verdict.reason)

        try:
            asyncio.run(main())
        except (QuorateError, OSError, Killed, KeyboardInterrupt, asyncio.CancelledError) as error:
            return error
        return None


class Mortal(FakeTransport):
    """A way that is gone once its operator is."""

    def __init__(self, run: Run, host: FakeHost) -> None:
        super().__init__(host)
        self._run = run

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        if self._run.dead:
            raise Killed
        return await super().run(argv, stdin, timeout=timeout, reach=reach)


def disk_full(_run: Run) -> None:
    raise OSError(28, "No space left on device")


def ctrl_c(_run: Run) -> None:
    raise KeyboardInterrupt


def cancelled(run: Run, *_: object) -> None:
    assert run.task is not None
    run.task.cancel()


def killed(run: Run, *_: object) -> None:
    run.dead = True
    raise Killed


def cut(_run: Run, host: FakeHost) -> None:
    host.cut_after(1)


def cut_while_it_goes_on(_run: Run, host: FakeHost) -> None:
    host.cut_after(1, goes_on=True)


def power_lost(run: Run, host: FakeHost) -> None:
    run.struck = host
    host.down = "no route to host"


AT_LINES: dict[str, Callable[[Run], None]] = {f.__name__: f for f in (disk_full, ctrl_c, cancelled, killed)}
AT_ACTS: dict[str, Callable[[Run, FakeHost], None]] = {
    f.__name__: f for f in (cancelled, killed, cut, cut_while_it_goes_on, power_lost)
}


@cache
def _settled() -> Machines:
    return asyncio.run(converged())


def start(scenario: str) -> Machines:
    return Machines() if scenario == "made anew" else copy.deepcopy(_settled())


def a_run(machines: Machines, scenario: str, number: int = 1) -> Run:
    changed: dict[str, Any] = {} if scenario == "made anew" else {"workers": 9, "port": 7701}
    return Run(machines, Operator(machines, token=f"run{number}", **changed))


def end(machines: Machines, *, stamps: bool = True) -> dict[str, Any]:
    memory = machines.memory()
    return memory if stamps else {h: {k: v for k, v in one.items() if k != "stamps"} for h, one in memory.items()}


@cache
def uninterrupted(scenario: str) -> tuple[Run, dict[str, Any], dict[str, Any]]:
    machines = start(scenario)
    run = a_run(machines, scenario)
    assert run() is None
    return run, end(machines), end(machines, stamps=False)


def go_on(machines: Machines, run: Run) -> None:
    """Let what was struck come back, and run again."""
    if run.struck is not None:
        run.struck.down = ""
        run.struck.reboot()
    machines.time.now += 31.0 if run.dead else 3.0  # a dead operator's lease lapses, any other's was given back


def finish(machines: Machines, scenario: str, number: int, *, stamps: bool = True) -> None:
    """Run to the end, and hold that it is the end that an uninterrupted run comes to."""
    last = a_run(machines, scenario, number)
    assert (error := last()) is None, error
    machines.settle()
    done = len(machines.acts)
    assert a_run(machines, scenario, number + 1)() is None
    assert machines.acts[done:] == [], "the second run changes nothing"
    assert len(machines.bootstraps) == 1
    _, wanted, wanted_without_stamps = uninterrupted(scenario)
    assert end(machines, stamps=stamps) == (wanted if stamps else wanted_without_stamps)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("how", AT_LINES)
def test_interrupted_at_every_line_of_the_journal(scenario: str, how: str) -> None:
    lines = uninterrupted(scenario)[0].lines
    assert lines >= 20
    for line in range(1, lines + 1):
        machines = start(scenario)
        run = a_run(machines, scenario)
        run.at_line[line] = AT_LINES[how]
        assert run() is not None, f"line {line}"
        go_on(machines, run)
        finish(machines, scenario, 2)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("how", AT_ACTS)
def test_interrupted_at_every_act(scenario: str, how: str) -> None:
    acts = uninterrupted(scenario)[0].acts
    assert acts >= 12
    for act in range(1, acts + 1):
        machines = start(scenario)
        run = a_run(machines, scenario)
        run.at_act[act] = AT_ACTS[how]
        assert run() is not None, f"act {act}"
        go_on(machines, run)
        # One that lost its power may come back with what it should load, which no stamp of ours tells.
        finish(machines, scenario, 2, stamps=how != "power_lost")


MOMENTS = st.one_of(
    st.tuples(st.just("line"), st.sampled_from(sorted(AT_LINES)), st.integers(1, 40)),
    st.tuples(st.just("act"), st.sampled_from(sorted(AT_ACTS)), st.integers(1, 25)),
)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SCENARIOS), st.lists(MOMENTS, min_size=2, max_size=4))
def test_interrupted_again_and_again(scenario: str, moments: list[tuple[str, str, int]]) -> None:
    machines = start(scenario)
    for number, (where, how, at) in enumerate(moments, start=1):
        run = a_run(machines, scenario, number)
        if where == "line":
            run.at_line[at] = AT_LINES[how]
        else:
            run.at_act[at] = AT_ACTS[how]
        run()
        go_on(machines, run)
    finish(machines, scenario, len(moments) + 1, stamps=False)
