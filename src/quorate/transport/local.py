"""The way to this machine: for the lab, for tests, and for a controller that is operated from itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from math import inf

from quorate.errors import Unreachable
from quorate.transport.contract import LEFT, Completed, Take
from quorate.transport.request import REPLY_LIMIT

GRACE = 2.0
"""Seconds between TERM and KILL for a command whose time is up."""


class LocalTransport:
    """Run commands here, as the user that we are (see contract.py)."""

    def __init__(self, host: str = "localhost") -> None:
        self._host = host

    @property
    def host(self) -> str:
        """The controller's name."""
        return self._host

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        """Run the command (contract.py), which begins at once. Out of time, or cancelled: its process group ends."""
        del reach
        return await self.stream(argv, timeout=timeout, feed=_one(stdin))

    async def stream(
        self, argv: Sequence[str], *, timeout: float, feed: AsyncIterable[bytes] | None = None, take: Take | None = None
    ) -> Completed:
        """Run the command (contract.py)."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
                env={**os.environ, LEFT: f"{timeout:.3f}"},
            )
        except (FileNotFoundError, NotADirectoryError):
            return Completed(127, b"", f"{argv[0]}: not found".encode())
        except PermissionError:
            return Completed(126, b"", f"{argv[0]}: cannot be run".encode())
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self._finish(process, feed, take)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Unreachable(self._host, f"{argv[0]} did not end within {timeout:g} s") from None
        finally:
            if process.returncode is None:
                await asyncio.shield(_end(process))
            process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - a child may hold its pipes

    async def close(self) -> None:
        """Do nothing: there is nothing to give up."""

    async def _finish(
        self, process: asyncio.subprocess.Process, feed: AsyncIterable[bytes] | None, take: Take | None
    ) -> Completed:
        assert process.stdin is not None  # noqa: S101 - all three are pipes
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_feed(process.stdin, feed))
                out = tasks.create_task(self._read(process.stdout, take))
                err = tasks.create_task(self._read(process.stderr, None))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return Completed(await process.wait(), out.result(), err.result())

    async def _read(self, stream: asyncio.StreamReader, take: Take | None) -> bytes:
        printed = bytearray()
        while chunk := await stream.read(1 << 20):
            if take is not None:
                await take(chunk)
                continue
            printed += chunk
            if len(printed) > REPLY_LIMIT:
                raise Unreachable(self._host, f"it printed more than {REPLY_LIMIT >> 20} MiB")
        return bytes(printed)


async def _one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


async def _feed(stream: asyncio.StreamWriter, feed: AsyncIterable[bytes] | None) -> None:
    async for piece in feed if feed is not None else _one(b""):
        try:
            stream.write(piece)
            await stream.drain()
        except (BrokenPipeError, ConnectionResetError):  # it ended without reading
            break
    stream.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the process group to end, and make it."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
            return
