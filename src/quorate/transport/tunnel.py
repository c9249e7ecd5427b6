"""Ways through a controller's ssh to servers that listen on its own loopback only.

A port here on 127.0.0.1 leads to a port there. While the controller is gone nobody listens here, so that clients are
refused at once; when it is back, the same port leads there again. Whoever can log in to this machine can use the port
as well, as with `ssh -L`; it is there for as long as the Tunnels are open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

import asyncssh

from quorate.errors import Unreachable
from quorate.transport.ssh import SshTransport

LOOPBACK = "127.0.0.1"
FIRST = 15.0
"""Seconds for the first connection, while nothing is broken."""
AGAIN = 3.0
"""Seconds for one attempt to come back, and how often it is tried while the machine refuses."""
PAUSE = 0.3
_CHUNK = 1 << 16
KEEPALIVE = 1.0
"""Seconds between questions whether it still lives; three without an answer are the end of the connection."""


class Tunnels:
    """All ways through the controllers' ssh, made when they are first asked for."""

    def __init__(self, ways: Mapping[str, SshTransport]) -> None:
        self._ways = ways
        self._open: dict[tuple[str, int], _Tunnel] = {}

    async def reach(self, controller: str, port: int) -> tuple[str, int]:
        """Give host and port here that lead to that port there. Raises Unreachable where ssh or its sshd refuse."""
        key = (controller, port)
        if key not in self._open:
            tunnel = _Tunnel(self._ways[controller], port)
            await tunnel.open()
            self._open[key] = tunnel
        return LOOPBACK, self._open[key].here

    async def close(self) -> None:
        """Listen no more and close all connections."""
        await asyncio.gather(*(tunnel.close() for tunnel in self._open.values()))
        self._open.clear()


class _Tunnel:
    """One of them, on an ssh connection of its own that is made anew for as long as it takes."""

    def __init__(self, way: SshTransport, there: int) -> None:
        self.here = 0
        self._way = way
        self._there = there
        self._conn: asyncssh.SSHClientConnection | None = None
        self._server: asyncio.Server | None = None
        self._passing: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make it for the first time, and see that it is allowed."""
        try:
            async with asyncio.timeout(FIRST):
                conn = await self._connect()
                await self._see_that_it_is_allowed(conn)
        except TimeoutError:
            await self.close()
            raise Unreachable(self._way.host, f"ssh made no connection within {FIRST:g} s") from None
        except BaseException:
            await self.close()
            raise
        self._keeper = asyncio.create_task(self._keep(conn))

    async def close(self) -> None:
        """Close it for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._hang_up()
        if self._conn is not None:
            self._conn.abort()
            await self._conn.wait_closed()

    async def _connect(self) -> asyncssh.SSHClientConnection:
        """Connect and listen here, at the port of the last time."""
        self._conn = conn = await self._way.dial(keepalive=KEEPALIVE)
        try:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, self.here)
        except BaseException:
            conn.abort()
            raise
        self.here = self._server.sockets[0].getsockname()[1]
        return conn

    async def _hang_up(self) -> None:
        """Listen no more, and close what was accepted. Asyncssh's own forwarding may leave that open: nobody told."""
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # for those that were accepted just now
        while self._passing:
            for task, writer in self._passing.items():
                writer.transport.abort()
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin a task of our own: one of asyncio's that is cancelled is reported as an error."""
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._passing[task] = writer
        task.add_done_callback(self._passing.pop)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one client and its server say, until either is silent for good."""
        asks: asyncssh.SSHWriter[bytes] | None = None
        try:
            if self._conn is not None:
                answers, asks = await self._conn.open_connection(LOOPBACK, self._there, encoding=None)
                await _first(_pump(reader, asks), _pump(answers, writer))
        except (OSError, asyncssh.Error):
            pass  # the client sees that it is closed
        finally:
            if asks is not None:
                asks.channel.abort()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _see_that_it_is_allowed(self, conn: asyncssh.SSHClientConnection) -> None:
        try:
            _, writer = await conn.open_connection(LOOPBACK, self._there, encoding=None)
        except asyncssh.ChannelOpenError as error:
            if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                hint = "Its sshd forbids it: AllowTcpForwarding and PermitOpen of sshd_config, or the key's options."
                why = f"ssh leads nobody to its port {self._there}: {error.reason}"
                raise Unreachable(self._way.host, why, hint=hint) from None
        else:  # where nobody listens there, the client itself finds out
            writer.close()

    async def _keep(self, conn: asyncssh.SSHClientConnection) -> None:
        """Make it anew whenever it ends."""
        while True:
            await conn.wait_closed()
            await self._hang_up()
            while conn.is_closed():
                await asyncio.sleep(PAUSE)
                with contextlib.suppress(OSError, asyncssh.Error, Unreachable):  # a TimeoutError is an OSError
                    async with asyncio.timeout(AGAIN):
                        conn = await self._connect()


class _Reader(Protocol):
    async def read(self, n: int) -> bytes: ...


class _Writer(Protocol):
    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...


async def _pump(reader: _Reader, writer: _Writer) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _first(*ways: Coroutine[Any, Any, None]) -> None:
    """Wait until one of them has ended, and end the others."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
