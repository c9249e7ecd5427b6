"""The pages of several workers as one: the supervisor asks each and puts their answers together.

Each worker answers at a nameless socket as it would answer for itself (pages.py). Every sample of /metrics gets the
label `worker`; /health is the worst of all. Who does not answer in time is told as such.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from quorate.balancer import pages

MOST = pages.MAX_REQUEST
"""Bytes of a request's head."""
MOST_ANSWER = 8_388_608
"""Bytes of one worker's answer."""
PATIENCE = 1.0
"""Seconds for a worker's answer; thrice that for all that a visitor says and reads."""
VISITORS = 32
"""At a time."""
_visitors = asyncio.Semaphore(VISITORS)


def inner() -> socket.socket:
    """Open where a worker is asked; the kernel names it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    sock.bind("")
    sock.listen(VISITORS)
    return sock


async def visit(workers: Sequence[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request; `workers`: where each is asked."""
    with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
        if not _visitors.locked():
            async with _visitors, asyncio.timeout(3 * PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                path, reply = pages.wanted(head)
                if path:
                    told = await asyncio.gather(*(ask(worker, path) for worker in workers))
                    both = health(told) if path == pages.HEALTH else (pages.WELL, metrics(told), pages.FIGURES)
                    reply = pages.page(head, *both)
                writer.write(reply)
                await writer.drain()
    writer.close()


async def ask(worker: bytes, path: bytes) -> str | None:
    """Return the whole answer of one worker; None if there is none in time, or too much of it."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(worker)  # type: ignore[arg-type]  # bytes are well, too
            try:
                writer.write(b"GET %b HTTP/1.1\r\n\r\n" % path)
                await reader.readexactly(MOST_ANSWER)
            except asyncio.IncompleteReadError as whole:
                return whole.partial.decode()
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        pass
    return None


def health(told: Sequence[str | None]) -> tuple[str, str]:
    """Put the workers' pages under each other; all is well if each of them says so."""
    lines = []
    for number, answer in enumerate(told, 1):
        body = answer.partition("\r\n\r\n")[2] if answer else "DOES NOT ANSWER\n"
        lines += [f"worker {number}: {line}\n" for line in body.splitlines()]
    well = all(answer is not None and answer.startswith(f"HTTP/1.1 {pages.WELL}") for answer in told)
    return pages.WELL if well else pages.UNWELL, "".join(lines)


def metrics(told: Sequence[str | None]) -> str:
    """Put the workers' samples together by name, since each name must stand in one place."""
    up: list[str] = []
    families = {"# TYPE quorate_balancer_worker_up gauge": up}
    for number, answer in enumerate(told, 1):
        label = f'worker="{number}"'
        up.append(f"quorate_balancer_worker_up{{{label}}} {int(answer is not None)}")
        rows: list[str] = []
        for line in (answer or "").partition("\r\n\r\n")[2].splitlines():
            if line.startswith("#"):
                rows = families.setdefault(line, [])
            else:
                name, brace, rest = line.partition("{")
                word, _, value = line.partition(" ")
                rows.append(f"{name}{{{label},{rest}" if brace else f"{word}{{{label}}} {value}")
    return "".join(f"{line}\n" for kind, rows in families.items() for line in (kind, *rows))
