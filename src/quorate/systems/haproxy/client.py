"""haproxy's clients in a drill: does anybody accept connections at the VIP, and which controller's proxy answers?

A kernel accepts connections for a proxy that is stuck, so that `Connecting` says that the address is somewhere, and
`Page` that a proxy answers there. Its record names it as `server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from quorate.core.client import Facts, Failed, Surroundings

_LONGEST = 4096


class Connecting:
    """Connects and hangs up."""

    def __init__(self, surroundings: Surroundings) -> None:
        settings = surroundings.settings
        self._host, self._port = settings["host"], settings["port"]
        self._controllers = settings["controllers"]

    async def prepare(self) -> None:
        """Nothing is needed."""

    async def operate(self, number: int, facts: Facts) -> None:
        """Connect."""
        del number, facts
        _, writer = await asyncio.open_connection(self._host, self._port)
        writer.close()

    async def finish(self) -> Mapping[str, Any]:
        """Nothing is left."""
        return {}

    async def close(self) -> None:
        """No connection is kept."""


class Page(Connecting):
    """Asks for the page that names the controller."""

    async def operate(self, number: int, facts: Facts) -> None:
        """Ask, on a new connection."""
        del number
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(f"GET / HTTP/1.0\r\nHost: {self._host}\r\n\r\n".encode())
            told = (await reader.read(_LONGEST)).decode(errors="replace")
            while (more := await reader.read(_LONGEST)) and len(told) < _LONGEST:
                told += more.decode(errors="replace")
        finally:
            writer.close()
        head, _, body = told.partition("\r\n\r\n")
        status = head.partition("\r\n")[0]
        if " 200" not in status:
            raise Failed(status or "the connection was closed without an answer")
        facts["server"] = body.strip()
        if facts["server"] not in self._controllers:
            raise Failed(f"wrong body: {body[:80]!r}")
