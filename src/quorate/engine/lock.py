"""One operator a cloud: a lease on every controller, renewed while the run lives, refused to everybody else.

A lease lapses 30 s after its last renewal, so that a dead operator locks nobody out for long; an operator on the same
machine whose process is gone is replaced at once. A controller acts only for the run that holds its lease, so that
a run which was frozen and replaced cannot go on behind the back of its successor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Literal

from quorate.engine.observe import Transports
from quorate.errors import Refused, Unreachable
from quorate.transport.contract import Transport
from quorate.transport.request import Leased, lease_request, read_leased

TTL = 30.0
"""Seconds from a renewal to the lapse of the lease."""

_PERIOD = 8.0
_PATIENCE = 120
_TIMEOUT = 8.0


@contextlib.asynccontextmanager
async def held(
    transports: Transports,
    token: str,
    holder: dict[str, str],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    patience: Callable[[float], Awaitable[object]] = asyncio.sleep,
    progress: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[None]:
    """Hold the lease of every controller that answers; give them back at the end, however it comes.

    Raises Refused, naming the holder, when one of them is held by another; then none is kept. A controller that does
    not answer is not locked: the run sees it as missing. `sleep` paces the renewals, `patience` the wait for the last
    act of a run that was cut off.
    """
    locked: list[Transport] = []
    renewing: asyncio.Task[None] | None = None
    try:
        for transport in transports.values():
            locked.append(transport)  # first: a run that is cancelled meanwhile gives back what it may have got
            try:
                await _acquire(transport, token, holder, patience, progress)
            except Unreachable:
                locked.remove(transport)
        renewing = asyncio.create_task(_renew(locked, token, sleep))
        yield
    finally:
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        await asyncio.gather(*(_ask(way, "release", token) for way in locked), return_exceptions=True)


def this_process(command: str, *, user: str, machine: str, boot: str, since: str) -> dict[str, str]:
    """Say who holds a lease, in words for the one who is refused, and exactly enough to tell whether it still lives."""
    pid = os.getpid()
    return {
        "operator": f"{user}@{machine}",
        "command": command,
        "since": since,
        "boot": boot,
        "pid": str(pid),
        "started": _started(pid) or "",
    }


async def _ask(
    transport: Transport,
    do: Literal["acquire", "renew", "release"],
    token: str,
    holder: dict[str, str] | None = None,
    steal_from: str = "",
) -> Leased:
    request = lease_request(do, token, holder=holder, ttl=TTL, steal_from=steal_from)
    return read_leased(transport.host, await transport.run(request.argv, request.stdin, timeout=_TIMEOUT))


async def _acquire(
    transport: Transport,
    token: str,
    holder: dict[str, str],
    sleep: Callable[[float], Awaitable[object]],
    progress: Callable[[str], None],
) -> None:
    """Take the lease. The holder carries its own token: whoever proves it dead can name what it takes over.

    Where nobody alive holds it, the last act of a run that was cut off is still at work: that is waited for.
    """
    mine = {**holder, "token": token}
    for _ in range(_PATIENCE):
        got = await _ask(transport, "acquire", token, mine)
        if not got.granted and is_gone(got.holder, holder["boot"], _started):
            got = await _ask(transport, "acquire", token, mine, steal_from=got.holder.get("token", ""))
        if got.granted:
            return
        if got.holder and not is_gone(got.holder, holder["boot"], _started):
            break
        progress(f"{transport.host}: {got.why}; waiting for it")
        await sleep(1.0)
    raise _refused(transport.host, got)


def is_gone(holder: dict[str, str], boot: str, started: Callable[[int], str | None]) -> bool:
    """Whether the holder was a process of this very machine and boot that no longer runs."""
    if not boot or holder.get("boot") != boot or not holder.get("pid", "").isdigit():
        return False
    return started(int(holder["pid"])) != holder.get("started")


def _refused(host: str, got: Leased) -> Refused:
    who = got.holder
    if not who:
        return Refused(f"{host} is busy: {got.why}", hint="Log in there and see what it does: `ps -ef --forest`.")
    name = f"{who.get('operator', 'somebody')} (pid {who.get('pid', '?')}, since {who.get('since', '?')})"
    return Refused(
        f"{host} is locked by {name}, running `{who.get('command', '?')}` ({got.why})",
        hint=f"Wait for that run to end. If it died, its lock lapses in {max(got.remaining, 0):.0f} s.",
    )


async def _renew(locked: list[Transport], token: str, sleep: Callable[[float], Awaitable[object]]) -> None:
    while True:
        await sleep(_PERIOD)
        # A renewal that fails is noticed by the controller: it refuses the next act of this run.
        await asyncio.gather(*(_ask(way, "renew", token) for way in locked), return_exceptions=True)


def _started(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot (proc(5), field 22); None where it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return stat.rsplit(")", 1)[1].split()[19]
