"""The way to this machine: for the lab, for tests, and for a controller that is operated from itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from math import inf

from quorate.errors import Unreachable
from quorate.transport.contract import LEFT, Completed
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
            async with asyncio.timeout(timeout):
                return await self._finish(process, stdin)
        except TimeoutError:
            raise Unreachable(self._host, f"{argv[0]} did not end within {timeout:g} s") from None
        finally:
            if process.returncode is None:
                await asyncio.shield(_end(process))
            process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - a child may hold its pipes

    async def close(self) -> None:
        """Do nothing: there is nothing to give up."""

    async def _finish(self, process: asyncio.subprocess.Process, stdin: bytes) -> Completed:
        assert process.stdin is not None  # noqa: S101 - all three are pipes
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_feed(process.stdin, stdin))
                out = tasks.create_task(self._read(process.stdout))
                err = tasks.create_task(self._read(process.stderr))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return Completed(await process.wait(), out.result(), err.result())

    async def _read(self, stream: asyncio.StreamReader) -> bytes:
        printed = bytearray()
        while chunk := await stream.read(1 << 20):
            printed += chunk
            if len(printed) > REPLY_LIMIT:
                raise Unreachable(self._host, f"it printed more than {REPLY_LIMIT >> 20} MiB")
        return bytes(printed)


async def _feed(stream: asyncio.StreamWriter, stdin: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading
        stream.write(stdin)
        await stream.drain()
    stream.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the process group to end, and make it."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
            return
