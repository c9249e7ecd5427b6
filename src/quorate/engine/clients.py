"""The clients of one drill: made from what the systems say (core/drill.py), kept at work, and taken leave of.

::

    crew = Crew(workloads, run="…", secrets=…, reach=Tunnels(ways).reach)
    crew.before       commands on controllers, with the made-up passwords in their stdin: run them first
    crew.prepare()    every client makes ready; a QuorateError names the one that cannot
    crew.start(note)  they work, each at its rate, until
    crew.stop()       all operations have ended
    crew.finish()     the final look, when all is quiet
    crew.close()      connections, threads and what they left in the cache
    crew.after        commands on controllers: run them however it ended
"""

from __future__ import annotations

import asyncio
import importlib
import secrets as randomness
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from quorate.core.client import Client, Failed, Surroundings, with_passwords
from quorate.core.drill import Workload
from quorate.core.fault import OnHost
from quorate.core.history import Operation
from quorate.core.secret import Secrets, reference
from quorate.engine.workload import AT_ONCE, Pacer, described
from quorate.errors import QuorateError

PATIENCE = 30.0
"""Seconds in which a client must have made ready, or have looked once more."""
LOOKS = 3
_PAUSE = 2.0

T = TypeVar("T")


def load(workload: Workload, surroundings: Surroundings) -> Client:
    """Make the client of a workload: the one place that knows programs of systems, and only by their names."""
    module, _, name = workload.client.partition(":")
    made: Client = getattr(importlib.import_module(module), name)(surroundings)
    return made


class Threads:
    """Threads of one client. One operation more than there are threads fails: it must not wait unseen."""

    def __init__(self, name: str, most: int = AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._most = most
        self._busy = 0

    async def __call__(self, function: Callable[..., T], /, *args: object) -> T:
        """Run it and wait for its end. One whose caller stops waiting goes on, and keeps its thread until its end."""
        if self._busy >= self._most:
            raise Failed(f"{self._most} operations are waiting already")
        self._busy += 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(function, *args)
        future.add_done_callback(partial(self._ended, loop))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more work; what goes on ends by its own time limits."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ended(self, loop: asyncio.AbstractEventLoop, _future: Future[Any]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._count)

    def _count(self) -> None:
        self._busy -= 1


class Crew:
    """All clients of one drill. Printing it shows no password; `mask` hides them, and the secrets, in any text."""

    def __init__(
        self,
        workloads: Sequence[Workload],
        *,
        run: str,
        secrets: Secrets,
        reach: Callable[[str, int], Awaitable[tuple[str, int]]] | None = None,
    ) -> None:
        self.workloads = tuple(workloads)
        accounts = dict.fromkeys(name for workload in workloads for name in workload.passwords)
        self._passwords = {name: randomness.token_hex(16) for name in accounts}
        self._secrets = secrets
        self._made_up = Secrets({f"drill.{name}": value for name, value in self._passwords.items()})
        self._threads = {workload.name: Threads(workload.name) for workload in workloads}
        self._clients = {w.name: load(w, self._surroundings(w, run, reach)) for w in workloads}
        self._stop = asyncio.Event()
        self._running: list[asyncio.Task[int]] = []

    @property
    def before(self) -> tuple[OnHost, ...]:
        """What is to be done on controllers first, each step once however many workloads want it."""
        return self._filled(step for workload in self.workloads for step in workload.prepare)

    @property
    def after(self) -> tuple[OnHost, ...]:
        """What is to be done on controllers at the end, each step once."""
        return self._filled(step for workload in self.workloads for step in workload.clean_up)

    def mask(self, text: str) -> str:
        """Hide every secret and every made-up password in the text."""
        return self._made_up.mask(self._secrets.mask(text))

    async def prepare(self) -> None:
        """Let every client make ready, in order; QuorateError for the first that cannot."""
        for name, client in self._clients.items():
            try:
                async with asyncio.timeout(PATIENCE):
                    await client.prepare()
            except QuorateError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever keeps a client from its work
                why = self.mask(described(error))
                raise QuorateError(
                    f"the client {name} cannot work, though nothing is broken yet: {why}",
                    hint="`quorate status` says what is not well; the clients run on this machine and must reach it.",
                ) from None

    def start(self, note: Callable[[str, Operation], None], *, zero: float = 0.0) -> None:
        """Let them work from now on. `note` is told each operation with its workload's name, times since `zero`."""
        for place, workload in enumerate(self.workloads):
            pacer = Pacer(
                self._clients[workload.name],
                rate=workload.rate,
                bound=workload.bound,
                note=partial(note, workload.name),
                zero=zero,
                phase=place / len(self.workloads) / workload.rate,
            )
            self._running.append(asyncio.create_task(pacer.run(self._stop), name=workload.name))

    async def stop(self) -> Mapping[str, int]:
        """Begin nothing more and wait until all has ended; says how many operations each began."""
        self._stop.set()
        numbers = await asyncio.gather(*self._running)
        return dict(zip((workload.name for workload in self.workloads), numbers, strict=False))

    async def finish(self) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
        """Look once more: what each found, and why the others could not look."""
        found: dict[str, Mapping[str, Any]] = {}
        why: dict[str, str] = {}
        for attempt in range(LOOKS):
            if attempt:
                await asyncio.sleep(_PAUSE)
            for name in [name for name in self._clients if name not in found]:
                try:
                    async with asyncio.timeout(PATIENCE):
                        found[name] = await self._clients[name].finish()
                    why.pop(name, None)
                except Exception as error:  # noqa: BLE001 - it stays unknown, and the others look
                    why[name] = self.mask(described(error))
            if not why:
                break
        return found, why

    async def close(self) -> None:
        """Stop at once whatever still works, and close everything. May be called twice."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in self._clients.values()), return_exceptions=True)
        for threads in self._threads.values():
            threads.close()

    def _surroundings(
        self, workload: Workload, run: str, reach: Callable[[str, int], Awaitable[tuple[str, int]]] | None
    ) -> Surroundings:
        return Surroundings(
            run=run,
            bound=workload.bound,
            in_thread=self._threads[workload.name],
            settings=workload.settings,
            secrets={name: self._secrets.resolve(reference(name)) for name in workload.secrets},
            passwords={name: self._passwords[name] for name in workload.passwords},
            reach=partial(reach, workload.at) if reach and workload.at else None,
        )

    def _filled(self, steps: Iterable[OnHost]) -> tuple[OnHost, ...]:
        return tuple(replace(step, stdin=with_passwords(step.stdin, self._passwords)) for step in dict.fromkeys(steps))
