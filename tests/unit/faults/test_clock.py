"""The program that moves a clock, on a clock of the test's own: no real one is touched."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.core.fault import UNSUPPORTED, OnHost
from quorate.faults.pressure import clock_moved


class Clock:
    """A machine's two clocks: one that can be set, and the time since it was booted."""

    CLOCK_REALTIME, CLOCK_BOOTTIME = 0, 7

    def __init__(self) -> None:
        self.offset, self.since_boot, self.allowed = 1_000_000.0, 50.0, True

    def clock_gettime(self, clock: int) -> float:
        return self.since_boot + (self.offset if clock == self.CLOCK_REALTIME else 0.0)

    def clock_settime(self, _clock: int, now: float) -> None:
        if not self.allowed:
            raise PermissionError
        self.offset = now - self.since_boot


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setitem(sys.modules, "time", made)
    return made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    note = tmp_path / "drill" / "clock-moved"

    def program(what: str) -> str:
        fault = clock_moved("c1", 300.0, 12.0)
        step = {"move": fault.inject[0], "mend": fault.heal[0], "look": fault.proof[0].step}[what]
        assert isinstance(step, OnHost)
        text, word = step.argv[2:4]
        assert word == what
        monkeypatch.setattr(sys, "argv", ["-c", word, str(note), step.argv[5]])
        exec(compile(text, "clock", "exec"), {"__name__": "__main__"})  # noqa: S102 - it is our own
        return capsys.readouterr().out.strip()

    return program


@pytest.mark.usefixtures("clock")
def test_nothing_was_moved(run: Callable[[str], str]) -> None:
    assert run("look") == "no"
    assert run("mend") == ""


def test_it_is_moved_and_moved_back_by_what_has_passed(clock: Clock, run: Callable[[str], str]) -> None:
    run("move")
    assert clock.offset == 1_000_300.0
    assert run("look") == "took"
    clock.since_boot += 12.0
    run("mend")
    assert clock.offset == 1_000_000.0
    assert run("look") == "no"
    run("mend")
    assert clock.offset == 1_000_000.0


def test_moving_it_twice_moves_it_once(clock: Clock, run: Callable[[str], str]) -> None:
    run("move")
    run("move")
    assert clock.offset == 1_000_300.0
    run("mend")
    assert clock.offset == 1_000_000.0


def test_somebody_else_has_set_it_right(clock: Clock, run: Callable[[str], str]) -> None:
    run("move")
    clock.offset = 1_000_000.2
    assert run("look") == "no"
    run("mend")
    assert clock.offset == 1_000_000.0


def test_a_machine_that_may_not_says_so_and_has_done_nothing(clock: Clock, run: Callable[[str], str]) -> None:
    clock.allowed = False
    assert run("move").startswith(UNSUPPORTED)
    assert run("look") == "no"
    assert run("mend") == ""
