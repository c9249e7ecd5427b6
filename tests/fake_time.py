"""An event loop whose time is made up: whoever waits has waited at once, and nothing else moves the clock."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class FakeTime(asyncio.SelectorEventLoop):
    """Runs everything that is due, then goes to when the next thing is."""

    def __init__(self) -> None:
        self.now = 100.0
        super().__init__(_Hurried(self))

    def time(self) -> float:
        return self.now

    def stand_still(self, seconds: float) -> None:
        """Let time pass as if this process had been stopped."""
        self.now += seconds


class _Hurried(selectors.DefaultSelector):
    def __init__(self, loop: FakeTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for ever"
        self._loop.now += max(0.0, timeout)
        return super().select(0)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run it to its end, in no time."""
    with asyncio.Runner(loop_factory=FakeTime) as runner:
        return runner.run(main)


def clock() -> FakeTime:
    """The loop that runs now."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeTime)
    return loop
