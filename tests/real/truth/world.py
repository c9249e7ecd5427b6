"""One world: three controllers as network namespaces, on each a real memcached and a balancer, and faults on demand.

Everything in it dies with the process that made it, even by SIGKILL: the namespaces have no names and the daemons are
told by the kernel. One process has one world at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from real.truth import threads
from real.truth.engines import CLIENT_PORT, SERVER_PORT, Engine, address
from real.truth.schedule import CONTROLLERS, Event, Link, Role
from real.truth.spaces import Space, plug

_SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}
WORKER = "mc-worker"
"""What memcached calls a thread that serves connections."""
_START = 10.0
"""Seconds until a daemon must answer."""


class World:
    """The daemons and the network; a context that leaves nothing behind."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Make the network and start every daemon; what they write goes into the folder."""
        self.engine = engine
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._daemons: dict[tuple[Role, int], subprocess.Popen[bytes]] = {}
        self._cuts: dict[tuple[Role, int], tuple[Link, ...]] = {}
        self._switch = Space()
        self.spaces = [Space() for _ in range(CONTROLLERS)]

    def __enter__(self) -> Self:
        plug(self._switch, self.spaces, [address(number) for number in range(CONTROLLERS)])
        for number in range(CONTROLLERS):
            self._start("server", number)
        for number in range(CONTROLLERS):
            self._wait(number, address(number), SERVER_PORT)
        for number in range(CONTROLLERS):
            path = self.folder / f"balancer-{number}.conf"
            path.write_text(self.engine.config(number), encoding="utf-8")
            self._start("balancer", number)
        for number in range(CONTROLLERS):
            self._wait(number, "127.0.0.1", CLIENT_PORT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for daemon in self._daemons.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)
        for daemon in self._daemons.values():
            daemon.wait(10)
        for space in [self._switch, *self.spaces]:
            space.close()

    def socket(self, controller: int) -> socket.socket:
        """Open a socket that lives on this controller."""
        with self.spaces[controller].inside():
            found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setblocking(False)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    async def ready(self, seconds: float) -> None:
        """Wait until every balancer has stored something and says so; raise RuntimeError if one does not."""
        for controller in range(CONTROLLERS):
            until = time.monotonic() + seconds
            reply = b""
            while reply != b"STORED\r\n":
                if time.monotonic() > until or self.dead():
                    raise RuntimeError(f"balancer {controller} says {reply!r}; ended: {self.dead()}; see {self.folder}")
                reply = await self._store(controller)

    async def _store(self, controller: int) -> bytes:
        loop = asyncio.get_running_loop()
        with self.socket(controller) as probe:
            try:
                async with asyncio.timeout(1):
                    await loop.sock_connect(probe, ("127.0.0.1", CLIENT_PORT))
                    await loop.sock_sendall(probe, b"set ready 0 1 2\r\nup\r\n")
                    return await loop.sock_recv(probe, 100)
            except OSError as error:  # TimeoutError is one
                await asyncio.sleep(0.05)
                return str(error).encode()

    def dead(self) -> list[str]:
        """Name the daemons that ended though nobody killed them."""
        return [f"{role} {index}" for (role, index), daemon in self._daemons.items() if daemon.poll() is not None]

    async def do(self, event: Event) -> None:
        """Inject or undo one fault; when it returns, it has taken."""
        subject = (event.role, event.index)
        match event.act:
            case "cut" | "heal":
                before = self._cuts.pop(subject, ())
                if event.act == "cut":
                    self._cuts[subject] = event.links
                self._cut([*before, *event.links])
            case "stall":
                threads.hold(threads.find(self._daemons[subject].pid, WORKER))
            case "resume":
                threads.release(threads.find(self._daemons[subject].pid, WORKER))
            case "start":
                self._start(*subject)
            case "kill":
                daemon = self._daemons.pop(subject)
                os.killpg(daemon.pid, signal.SIGKILL)
                await asyncio.to_thread(daemon.wait, 10)
            case _:
                os.killpg(self._daemons[subject].pid, _SIGNALS[event.act])  # with all its workers

    def _cut(self, changed: Iterable[Link]) -> None:
        """Drop packets where they would come in, as a network does that lost them: nobody is told."""
        for controller in {link.server if link.way == "to" else link.balancer for link in changed}:
            self.spaces[controller].filter(rules(controller, [link for cut in self._cuts.values() for link in cut]))

    def _start(self, role: Role, number: int) -> None:
        if role == "server":
            own = ["-l", address(number), "-p", str(SERVER_PORT), "-U", "0", "-u", "root", "-t", "2", "-m", "64"]
            argv, environment = ["memcached", *own], None
        else:
            own_folder = self.folder / f"balancer-{number}"
            own_folder.mkdir(exist_ok=True)
            argv = self.engine.argv(self.folder / f"balancer-{number}.conf", own_folder)
            environment = dict(self.engine.environment) or None
        with (self.folder / f"{role}-{number}.log").open("ab") as log, self.spaces[number].inside():
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for this process, which then ends them
            )
        self._daemons[role, number] = daemon

    def _wait(self, controller: int, host: str, port: int) -> None:
        until = time.monotonic() + _START
        while True:
            with self.socket(controller) as probe:
                probe.settimeout(1)
                if probe.connect_ex((host, port)) == 0:
                    return
            if time.monotonic() > until or self.dead():
                raise RuntimeError(f"nothing answers at {host}:{port}; ended: {self.dead()}; see {self.folder}")
            time.sleep(0.02)


def rules(controller: int, links: Sequence[Link]) -> str:
    """Write what nft loads on this controller for all that is cut. Pure."""
    drops = {
        f"ip saddr {address(link.balancer)} tcp dport {SERVER_PORT} drop"
        for link in links
        if link.way == "to" and link.server == controller
    } | {
        f"ip saddr {address(link.server)} tcp sport {SERVER_PORT} drop"
        for link in links
        if link.way == "from" and link.balancer == controller
    }
    chain = "\n".join(["type filter hook input priority 0;", *sorted(drops)])
    return f"table ip cut\ndelete table ip cut\ntable ip cut {{ chain incoming {{\n{chain}\n}}\n}}\n"
