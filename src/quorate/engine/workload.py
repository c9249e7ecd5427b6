"""Real clients under load: operations begun at a stated rate, whatever became of the ones before (open loop).

A client that waits for an answer before it asks again hides a stall (coordinated omission); this one does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from quorate.core.history import Operation

Client = Callable[[int], Awaitable[None]]
"""One operation, given its number. It raises when it fails."""


async def run(
    client: Client,
    *,
    rate: float,
    stop: asyncio.Event,
    bound: float = 2.0,
    at_once: int = 400,
) -> list[Operation]:
    """Begin `rate` operations a second until `stop` is set, and give each `bound` seconds.

    At most `at_once` run together: one that finds no room is recorded as failed, never silently left out.
    """
    history: list[Operation] = []
    running: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    number = 0

    async def operate(number: int) -> None:
        start = time.monotonic()
        try:
            async with asyncio.timeout(bound):
                await client(number)
        except TimeoutError:
            history.append(Operation(start, time.monotonic(), "unknown", f"no answer within {bound} s"))
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what its user would have seen
            history.append(Operation(start, time.monotonic(), "failed", f"{type(error).__name__}: {error}"))
        else:
            history.append(Operation(start, time.monotonic(), "ok"))

    while not stop.is_set():
        if len(running) < at_once:
            task = asyncio.create_task(operate(number))
            running.add(task)
            task.add_done_callback(running.discard)
        else:
            now = time.monotonic()
            history.append(Operation(now, now, "failed", f"{at_once} operations are waiting already"))
        number += 1
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
    await asyncio.gather(*running)
    return history
