"""A transport without machines, public: for our tests and for those of anybody who builds on Quorate.

It takes what any transport takes, down to the bytes of a request, and does it to a `FakeHost` in memory: thousands of
runs in a second, no sleep, the same every time::

    now = 0.0
    host = FakeHost("c1", clock=lambda: now, programs=galera_of_my_test)
    transport = FakeTransport(host)
    host.cut_after(2)            # the third act is not done, and nobody hears of the first two
    host.down = "no route"       # from now on Unreachable
    assert host.paths["/etc/hosts"].content == "…"

A question or a Run act is put to `programs`; so is any argv that is no request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from math import inf

from pydantic import BaseModel

from quorate.errors import Unreachable
from quorate.transport.contract import Completed, Take
from quorate.transport.fake_host import FakeHost, FakePath, FakeUnit, Programs
from quorate.transport.request import ARGV, body_of

__all__ = ["FakeHost", "FakePath", "FakeTransport", "FakeUnit", "Programs"]


class FakeTransport:
    """A way to a machine in memory (see contract.py)."""

    def __init__(self, host: FakeHost) -> None:
        self.machine = host

    @property
    def host(self) -> str:
        """The controller's name."""
        return self.machine.name

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        """Do it at once, whatever the limits."""
        await asyncio.sleep(0)  # others get their turn, as with any transport
        timeout = min(timeout, reach)
        self._reach(argv[0], timeout)
        if tuple(argv) != ARGV:
            done = self.machine.execute(tuple(argv), stdin)
            self._reach(argv[0], timeout)
            return done
        reply = self._reply(stdin)
        self._reach(argv[0], timeout)
        if reply is None:
            raise Unreachable(self.host, "lost while the command ran, which may go on: the connection was cut")
        return Completed(0, f"{reply.model_dump_json()}\n".encode(), b"")

    async def stream(
        self, argv: Sequence[str], *, timeout: float, feed: AsyncIterable[bytes] | None = None, take: Take | None = None
    ) -> Completed:
        """Do it at once, with all of the input."""
        given = [piece async for piece in feed] if feed is not None else []
        done = await self.run(argv, b"".join(given), timeout=timeout)
        if take is None:
            return done
        if done.out:
            await take(done.out)
        return Completed(done.code, b"", done.err)

    async def close(self) -> None:
        """Do nothing: there is nothing to give up."""

    def _reach(self, program: str, timeout: float) -> None:
        if self.machine.down:
            raise Unreachable(self.host, self.machine.down)
        if self.machine.hang:
            raise Unreachable(self.host, f"{program} did not end within {timeout:g} s")

    def _reply(self, stdin: bytes) -> BaseModel | None:
        body = body_of(stdin)
        match body["verb"]:
            case "observe":
                return self.machine.observe(body)
            case "act":
                return self.machine.act(body)
            case "kept":
                return self.machine.kept_of(body["since"])
            case _:
                return self.machine.answer_lease(body)
