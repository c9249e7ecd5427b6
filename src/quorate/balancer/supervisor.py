"""Several workers: a process each, and this one above them, which serves no client itself.

It binds one socket for each worker to the same address (SO_REUSEPORT: the kernel deals clients out), on which the
worker listens, and keeps it, so that clients who wait for a worker that died find its successor. It starts a worker
again that died or hangs. What signals mean to one worker alone they mean here: SIGTERM goes to all, SIGHUP to one after
the other, and then this process becomes the new program as well and keeps its workers. It alone speaks for the service,
and asks the workers for the pages (front.py).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial

from quorate.balancer import board, front, handover, notify, sockets
from quorate.balancer.board import Board, Place
from quorate.balancer.config import Config
from quorate.balancer.logs import say
from quorate.balancer.sockets import Left

TICK = 0.1
"""Seconds between two looks at the workers."""
HUNG = 5.0
"""Seconds without a probe after which a worker is killed."""
START = 15.0
"""Seconds until a worker must serve that was started, or told to become anew."""
STOP = 6.0
"""Seconds until a worker must have ended that was told to."""
QUICK, FIRST_REST, LONGEST_REST = 10.0, 0.1, 5.0
"""A worker that died within so many seconds is started again after a rest, which doubles each time."""


@dataclass
class Child:
    """A worker's place: what stays while processes come and go in it."""

    number: int
    listener: socket.socket
    inner: socket.socket  # where front.py asks it for the pages
    pid: int = 0  # 0: there is none
    began: float = 0.0
    heard: float = 0.0
    patience: float = START
    beats: int = 0
    rest: float = 0.0
    due: float = 0.0  # when it is started
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def supervise(config: Config) -> int:
    """Run the workers until told to end; returns the exit code."""
    supervisor = Supervisor(config)
    anew = asyncio.run(supervisor.run())
    if anew:
        supervisor.become_anew()
    return 0


class Supervisor:
    """The process above the workers."""

    def __init__(self, config: Config) -> None:
        past = json.loads(os.environ.pop(handover.SUPERVISOR, "{}"))
        self.config = config
        self.workers: int = len(past["children"]) if past else config.workers
        if self.workers != config.workers:
            say(f"workers: there are {self.workers}; another number takes effect at a restart", "configuration")
        self.memory: int = past["board"] if past else board.create()
        self.board = Board(self.memory, self.workers)
        self.ready = bool(past)
        self.ending = False
        self.anew = False
        self.reloading = False
        self.again = False  # told to reload while it does
        self.done = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.left: dict[int, Left] = {}
        self.children = self._kept(past["children"]) if past else self._opened()

    def _kept(self, past: Sequence[Sequence[int]]) -> list[Child]:
        """Take over the workers of the program that this process was."""
        children = []
        for number, (pid, listener, inner) in enumerate(past, 1):
            child = Child(number, socket.socket(fileno=listener), socket.socket(fileno=inner), pid)
            for descriptor in (listener, inner):
                os.set_inheritable(descriptor, False)
            if not sockets.is_at(child.listener, self.config.listen):
                say("listen: another address takes effect at a restart", "configuration")
            children.append(child)
        os.set_inheritable(self.memory, False)
        return children

    def _opened(self) -> list[Child]:
        """Find or open where clients connect; what a former process left goes to the workers' first processes."""
        self.left = sockets.gathered(sockets.received(), self.workers)
        fits: list[socket.socket] = []
        for sock in self.left[1].listeners:
            usable = sockets.is_at(sock, self.config.listen) and sockets.is_shared(sock)
            if usable and len(fits) < self.workers:
                fits.append(sock)
            else:
                self.left[1].clients += sockets.drained(sock)
        if not fits:
            # This fails where another program listens; the address is not shared with it.
            sockets.bound(self.config.listen).close()
        while len(fits) < self.workers:
            fits.append(sockets.bound(self.config.listen, shared=True))
        return [Child(number, sock, front.inner()) for number, sock in enumerate(fits, 1)]

    # --- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> bool:
        """Look after the workers; returns whether this process is to become anew."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handover.SIGNALS)
        pages = None
        if self.config.metrics is not None:
            listener = sockets.listen(self.config.metrics.listen)
            asked = partial(front.visit, [child.inner.getsockname() for child in self.children])
            pages = await asyncio.start_server(asked, sock=listener, limit=front.MOST)
        now = time.monotonic()
        for child in self.children:
            if child.pid:
                self._watch(child, now)
        tick = asyncio.create_task(self._ticks())
        await self.done.wait()
        tick.cancel()
        if pages is not None:
            pages.close()
        signal.pthread_sigmask(signal.SIG_BLOCK, handover.SIGNALS)
        await asyncio.sleep(TICK)  # those that came already are taken
        if self.anew and not self.ending:
            return True
        await asyncio.gather(*map(self._ended, self.children))
        listeners = [child.listener for child in self.children if sockets.is_listening(child.listener)]
        notify.keep([sock.fileno() for sock in listeners], "listeners")
        return False

    async def _ticks(self) -> None:
        watchdog = notify.watchdog()
        told, last = -math.inf, time.monotonic()
        while True:
            now = time.monotonic()
            for child in self.children:
                if now - last > HUNG / 2:
                    child.heard = now  # this process was paused: perhaps they were, too
                self._look(child, now)
            last = now
            if not self.ready and all(self.board.served(child.number) for child in self.children):
                self.ready = True
                notify.notify(f"READY=1\nMAINPID={os.getpid()}")
            if watchdog is not None and now - told > watchdog / 4:
                told = now
                notify.alive()
            await asyncio.sleep(TICK)

    def _look(self, child: Child, now: float) -> None:
        """Start a worker that is due, and kill one that hangs."""
        if not child.pid:
            if now >= child.due and not self.ending:
                self._start(child, now)
            return
        beats = self.board.beats(child.number)
        if beats != child.beats:
            child.beats, child.heard, child.patience = beats, now, HUNG
        if now - child.heard > child.patience:
            say(f"worker {child.number} hangs: it is killed", "worker_ended", worker=child.number)
            child.heard = now
            os.kill(child.pid, signal.SIGKILL)

    # --- workers -------------------------------------------------------------------------------------------------

    def _start(self, child: Child, now: float) -> None:
        left = self.left.pop(child.number, Left())
        clients = [sock.fileno() for sock in left.clients]
        memory = handover.write_state(left.state, clients)
        shared = (self.memory, child.listener.fileno(), child.inner.fileno())
        place = Place(child.number, self.workers, os.getpid(), *shared)
        environment = {**os.environ, **place.environment(), **handover.environment(memory)}
        command = handover.command()
        for descriptor in (*shared, *clients, memory):
            os.set_inheritable(descriptor, True)
        child.pid = os.posix_spawn(sys.executable, command, environment, setsigmask=handover.SIGNALS)
        os.close(memory)
        for descriptor in shared:
            os.set_inheritable(descriptor, False)
        for sock in left.clients:
            sock.close()
        self._watch(child, now)

    def _watch(self, child: Child, now: float) -> None:
        child.began = child.heard = now
        child.patience = START
        child.ended.clear()
        descriptor = os.pidfd_open(child.pid)
        asyncio.get_running_loop().add_reader(descriptor, self._died, child, descriptor)

    def _died(self, child: Child, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        child.pid = 0
        child.ended.set()
        if not self.ending:
            now = time.monotonic()
            quick = now - child.began < QUICK
            child.rest = min(2 * child.rest or FIRST_REST, LONGEST_REST) if quick else 0.0
            child.due = now + child.rest
            say(f"worker {child.number} ended with {code}: it is started again", "worker_ended", worker=child.number)

    async def _ended(self, child: Child) -> None:
        if child.pid:
            os.kill(child.pid, signal.SIGTERM)
            try:
                await asyncio.wait_for(child.ended.wait(), STOP)
            except TimeoutError:
                say(f"worker {child.number} does not end: it is killed", "worker_ended", worker=child.number)
                os.kill(child.pid, signal.SIGKILL)
                await child.ended.wait()

    # --- signals -------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        if not self.ending:
            notify.notify("STOPPING=1")
        self.ending = True
        self.done.set()

    def _reload(self) -> None:
        self.again = self.reloading or self.anew
        if not self.again and not self.ending:
            self.reloading = True
            self._begin(self._one_after_the_other())

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _one_after_the_other(self) -> None:
        """Have every worker take the new configuration and program, then this process; stop at the first that fails."""
        try:
            check = await asyncio.create_subprocess_exec(*handover.command(), "--check")
            if await check.wait():
                say("the new configuration is not taken: the old one stays in force", "configuration_refused")
                return
            for child in self.children:
                if not await self._is_anew(child):
                    told = f"worker {child.number} did not take the new configuration: the others are left as they are"
                    say(told, "configuration_refused", worker=child.number)
                    return
        finally:
            self.reloading = False
            if self.again:
                asyncio.get_running_loop().call_soon(self._reload)
        if not self.ending:
            self.anew = True
            self.done.set()

    async def _is_anew(self, child: Child) -> bool:
        before, until = self.board.served(child.number), time.monotonic() + START
        if child.pid:
            os.kill(child.pid, signal.SIGHUP)
        while self.board.served(child.number) == before and not self.ending:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(TICK / 2)
        return True

    def become_anew(self) -> None:
        """Replace this process by the new program, which takes the workers over."""
        if self.again:
            os.kill(os.getpid(), signal.SIGHUP)  # it waits for the new program
        kept = [[child.pid, child.listener.fileno(), child.inner.fileno()] for child in self.children]
        descriptors = [self.memory, *(number for _, *numbers in kept for number in numbers)]
        past = json.dumps({"board": self.memory, "children": kept})
        handover.become_anew(descriptors, {handover.SUPERVISOR: past})
