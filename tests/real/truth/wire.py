"""A client's connection to one balancer, closed at the first doubt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from real.truth.dialect import Reading, Wrong
from real.truth.engines import CLIENT_PORT
from real.truth.recorder import Recorder
from real.truth.world import World

PATIENCE = 1.0
"""Seconds until a client gives an operation up and closes its connection, as oslo.cache's pool does."""


class Lost(Exception):
    """No reply came; the connection is of no more use. `sent`: whether the request may have arrived."""

    def __init__(self, why: str, sent: bool) -> None:
        """Say why."""
        super().__init__(why)
        self.sent = sent


@dataclass
class Wire:
    """A connection to one balancer, made again when it was lost. `faithful`: to the same of several workers.

    A change that was given up and made again through another worker may be overtaken by the first: decision 8.
    """

    world: World
    recorder: Recorder
    via: int
    faithful: bool = False
    _worker: bytes = b""
    _opened: float = 0.0
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, read: Reading, patience: float = PATIENCE) -> None:
        """Send, and let `read` take the replies. On any doubt the connection is closed, and Lost or Wrong raised."""
        reader, writer = self._streams or await self._connect()
        try:
            async with asyncio.timeout(patience):
                writer.write(request)
                await read(reader)
        except TimeoutError:
            self.drop()
            raise Lost("no reply in time", sent=True) from None
        except (OSError, asyncio.IncompleteReadError) as error:
            self.drop()
            self.recorder.closed(self.via, self._opened, repr(error))
            raise Lost(f"closed: {error!r}", sent=True) from error
        except (Wrong, asyncio.LimitOverrunError) as error:
            self.drop()
            raise Wrong(str(error)) from error

    def drop(self) -> None:
        """Close it as a client does that has given up."""
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        socket = self.world.socket(self.via)
        self._opened = self.recorder.now()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_connect(socket, ("127.0.0.1", CLIENT_PORT))
                reader, writer = streams = await asyncio.open_connection(sock=socket)
        except (OSError, TimeoutError) as error:
            socket.close()
            raise Lost(f"not connected: {error!r}", sent=False) from error
        try:
            async with asyncio.timeout(PATIENCE):
                worker = await self._who(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            writer.close()
            raise Lost(f"does not say who it is: {error!r}", sent=False) from error
        if worker != (self._worker or worker):
            writer.close()
            return await self._connect()
        self._worker, self._streams = worker, streams
        return streams

    async def _who(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Ask which worker this is, where that matters."""
        if not self.faithful or self.world.engine.workers == 1:
            return b""
        writer.write(b"stats proxy\r\n")
        told = await reader.readuntil(b"END\r\n")
        return told.split(b"\r\n")[0]
