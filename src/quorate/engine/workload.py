"""Real clients under load: operations begun at a stated rate, whatever became of the ones before (open loop).

A client that waits for an answer before it asks again hides a stall (coordinated omission); this one does not. An
operation starts when it was due, whatever held it up. Time is the event loop's own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal

from quorate.core.client import Client, Facts, Failed, Uncertain
from quorate.core.history import Operation

AT_ONCE = 400
"""Operations of one client that run together: 20 a second for as long as connecting and reading may take."""

LATE = 0.1
"""Seconds by which this process may be late before that is told: it stood still, and what it measured is its own."""
_TICK = 0.02
_LONGEST_NOTE = 300
_STOOD_STILL = "not begun: the drill's own process stood still"

Outcome = Literal["ok", "failed", "unknown"]
Note = Callable[[Operation], None]


class Pacer:
    """One client at work.

    `note` is told each operation as it ends, in seconds since `zero` of the loop's clock. The first is due in `phase`
    seconds: clients that begin together are not to ask together ever after. Nobody waits for one longer than `bound`
    seconds. At most `at_once` run together: one that finds no room is recorded as failed, never silently left out. One
    that was not begun within its bound, because this process stood still, was never asked: it is unknown.
    """

    def __init__(
        self,
        client: Client,
        *,
        rate: float,
        bound: float,
        note: Note,
        zero: float = 0.0,
        phase: float = 0.0,
        at_once: int = AT_ONCE,
    ) -> None:
        self._client = client
        self._rate = rate
        self._bound = bound
        self._note = note
        self._zero = zero
        self._phase = phase
        self._at_once = at_once
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> int:
        """Begin operations until `stop` is set and all have ended; says how many there were."""
        loop = asyncio.get_running_loop()
        began = loop.time() + self._phase
        number = 0
        try:
            while not stop.is_set():
                due = began + number / self._rate
                if loop.time() < due:
                    await _until(due, stop)
                    continue
                self._begin(number, due, loop.time())
                number += 1
                if number % 10 == 0:  # a long row of them that are late must not keep the others waiting
                    await asyncio.sleep(0)
            await asyncio.gather(*self._running)
        finally:
            for task in self._running:
                task.cancel()
        return number

    def _begin(self, number: int, due: float, now: float) -> None:
        if now >= due + self._bound:
            self._tell(due, now, "unknown", _STOOD_STILL)
        elif len(self._running) >= self._at_once:
            self._tell(due, now, "failed", f"{self._at_once} operations are waiting already")
        else:
            task = asyncio.create_task(self._operate(number, due))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _operate(self, number: int, due: float) -> None:
        """Do one operation and tell of it. One that goes on in a thread changes nothing that was told."""
        facts: Facts = {}
        outcome: Outcome = "ok"
        why = ""
        try:
            async with asyncio.timeout_at(due + self._bound):
                await self._client.operate(number, facts)
        except TimeoutError as error:
            outcome, why = "unknown", str(error) or f"no answer within {self._bound:g} s"
        except Uncertain as error:
            outcome, why = "unknown", str(error)
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what its user would have seen
            outcome, why = "failed", described(error)
        self._tell(due, asyncio.get_running_loop().time(), outcome, why, facts)

    def _tell(self, due: float, end: float, outcome: Outcome, why: str, facts: Facts | None = None) -> None:
        self._note(Operation(due - self._zero, end - self._zero, outcome, why[:_LONGEST_NOTE], dict(facts or {})))


async def watch(note: Callable[[float, float], None], *, zero: float = 0.0) -> None:
    """Tell `note` whenever this process stood still, since when and how many seconds; until it is cancelled.

    Stopped, without a processor, or with an event loop that something blocked: it makes no difference to clients.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _TICK
        await asyncio.sleep(_TICK)
        late = loop.time() - due
        if late > LATE:
            note(due - zero, late)


def described(error: BaseException) -> str:
    """Say what went wrong, with its kind where its words alone could be anything."""
    return str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"


async def _until(due: float, stop: asyncio.Event) -> None:
    """Wait until then, or until it is over: a slow rate must not hold up the end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(due):
            await stop.wait()
