"""A command over ssh whose input and output may be of any length: neither is ever in memory as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import cast

import asyncssh

from quorate.errors import Unreachable
from quorate.transport.contract import Completed, Take
from quorate.transport.request import REPLY_LIMIT

_PIECE = 1 << 18


async def streamed(
    host: str,
    conn: asyncssh.SSHClientConnection,
    command: str,
    feed: AsyncIterable[bytes] | None,
    take: Take | None,
) -> Completed:
    """Run it, as contract.py says of `stream`. The connection is the caller's to close, who limits the time, too."""
    try:
        process = await conn.create_process(command, encoding=None, request_pty=False)
    except (OSError, asyncssh.Error) as error:
        raise Unreachable(host, f"ssh gave us no session: {error}") from None
    stdin = cast("asyncssh.SSHWriter[bytes]", process.stdin)
    stdout = cast("asyncssh.SSHReader[bytes]", process.stdout)
    stderr = cast("asyncssh.SSHReader[bytes]", process.stderr)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(stdin, feed))
            out = tasks.create_task(_read(host, stdout, take))
            err = tasks.create_task(_read(host, stderr, None))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    await process.wait_closed()
    code = process.returncode
    if code is None:
        raise Unreachable(host, "lost while the command ran, which may go on: the connection was closed")
    return Completed(code, out.result(), err.result())


async def _feed(stdin: asyncssh.SSHWriter[bytes], feed: AsyncIterable[bytes] | None) -> None:
    if feed is not None:
        async for piece in feed:
            try:
                stdin.write(piece)
                await stdin.drain()
            except (OSError, asyncssh.Error):  # it ended without reading, or is lost, which its outputs tell
                return
    stdin.write_eof()


async def _read(host: str, stream: asyncssh.SSHReader[bytes], take: Take | None) -> bytes:
    printed = bytearray()
    while piece := await _piece(host, stream):
        if take is not None:
            await take(piece)
            continue
        printed += piece
        if len(printed) > REPLY_LIMIT:
            raise Unreachable(host, f"it printed more than {REPLY_LIMIT >> 20} MiB")
    return bytes(printed)


async def _piece(host: str, stream: asyncssh.SSHReader[bytes]) -> bytes:
    try:
        return await stream.read(_PIECE)
    except (OSError, asyncssh.Error) as error:
        raise Unreachable(host, f"lost while the command ran, which may go on: {error}") from None
