"""The program: its arguments, its sockets, its signals, and how one process takes over from another."""

from __future__ import annotations

import argparse
import gc
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from quorate.balancer import board, handover, notify, ring, sockets
from quorate.balancer import config as settings
from quorate.balancer.board import Board, Place
from quorate.balancer.config import Config
from quorate.balancer.handover import ClientState, State
from quorate.balancer.logs import say
from quorate.balancer.server import Loop
from quorate.balancer.sockets import Left
from quorate.balancer.worker import Worker

DRAIN = 1.0
"""Seconds in which requests under way are still answered when the balancer ends or becomes anew."""
BARRIER = 3.0
"""Seconds that an ending worker waits for the service manager to take what it is to keep."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the balancer; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="quorate-balancer",
        description="One memcache address on this machine in front of all memcached servers, with copies.",
        epilog="SIGHUP: take a new configuration and program without losing a connection. SIGTERM: drain and end.",
    )
    parser.add_argument("-c", "--config", required=True, metavar="FILE", help="TOML, or a nutcracker.yml as it is")
    parser.add_argument("--pool", help="which pool of a nutcracker.yml")
    parser.add_argument("--check", action="store_true", help="only say what is wrong with the configuration")
    asked = parser.parse_args(arguments)
    try:
        config = settings.load(asked.config, asked.pool)
    except settings.ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    place = board.place()
    for note in config.notes if place is None else ():  # the supervisor says it for all
        say(note, "configuration")
    if asked.check:
        return 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the soft limit is for programs that still use select
    if place is not None:
        return Program(replace(config, workers=place.workers), place).run()
    if config.workers > 1 or handover.is_supervised():
        from quorate.balancer.supervisor import supervise  # noqa: PLC0415 - a worker does not pay for what it loads

        return supervise(config)
    return Program(config).run()


class Program:
    """One worker in this process, and its way from the former process to the next. `place`: it has siblings."""

    def __init__(self, config: Config, place: Place | None = None) -> None:
        self.config = config
        self.anew = False
        self.check: subprocess.Popen[bytes] | None = None
        self.place = place
        left = sockets.gathered(sockets.received(), 1)[1]
        self.listener, pages = self._listeners(left)
        number = place.number if place is not None else 1
        names = [worker_name(name, n) for name in config.balancers for n in range(1, config.workers + 1)]
        self.worker = make_worker(config, worker_name(config.name, number), names, left.state)
        self.board = Board(place.board, place.workers, number, config.servers) if place is not None else None
        self.worker.board = self.board
        if place is not None:
            self.worker.log = partial(say_as, number)
        self.loop = Loop(self.worker, config, self.listener, pages)
        for sock in left.clients:
            self.loop.adopt(sock, left.state.clients.get(handover.inode(sock.fileno()), ClientState()))
        self._watchdog = notify.watchdog()
        self._serves = False
        self._told = -math.inf  # when the watchdog last heard of this process
        self.loop.at_probe = self._alive
        on_signals(self.loop, {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: self._reload})
        if place is not None:
            self._outlive_nobody(place.supervisor)

    def _listeners(self, left: Left) -> tuple[socket.socket, socket.socket | None]:
        """Return where clients connect, and where the pages are asked for: the supervisor's, or this process's own."""
        if self.place is not None:
            listener = socket.socket(fileno=self.place.listener)
            listener.listen(sockets.BACKLOG)
            return listener, socket.socket(fileno=self.place.inner)
        chosen = next((sock for sock in left.listeners if sockets.is_at(sock, self.config.listen)), None)
        for sock in left.listeners:
            if sock is not chosen:
                left.clients += sockets.drained(sock)
        metrics = self.config.metrics
        pages = sockets.listen(metrics.listen) if metrics is not None else None
        return chosen or sockets.listen_alone(self.config.listen), pages

    def _outlive_nobody(self, supervisor: int) -> None:
        """End when the supervisor is gone: another one would not know of this worker."""
        try:
            descriptor = os.pidfd_open(supervisor)
        except ProcessLookupError:
            self._end()
            return

        def gone() -> None:
            self.loop.unwatch(descriptor)
            self._end()

        self.loop.watch(descriptor, gone)
        if os.getppid() != supervisor:
            self._end()

    def run(self) -> int:
        """Serve until told to end; hand over what the next process can use."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000)
        self.loop.run()
        clients = self.loop.leave()
        noted = {handover.inode(fd): left for fd, left in clients.items()}
        state = self.worker.leave(noted)
        if self.anew:
            self._become_anew(state, list(clients))
        if self.place is None:
            notify.notify("STOPPING=1")
        self._keep(state, list(clients))
        return 0

    def _become_anew(self, state: State, clients: list[int]) -> None:
        own = [self.listener.fileno(), *clients] if self.place is None else clients
        memory = handover.write_state(state, own)
        handover.become_anew([*own, memory], handover.environment(memory))

    def _keep(self, state: State, clients: list[int]) -> None:
        """Have the service manager keep what the next process can use. The supervisor keeps where clients connect."""
        number = self.place.number if self.place is not None else 1
        suffix = f".{number}" if number > 1 else ""
        listener = [self.listener.fileno()] if self.place is None else []
        notify.keep([*listener, *clients], f"sockets{suffix}")
        notify.keep([handover.write_state(state)], f"state{suffix}")
        if self.place is not None:
            notify.barrier(BARRIER)

    def _alive(self) -> None:
        serves = self.loop.is_open and not self._serves
        self._serves |= serves
        if self.board is not None:
            self.board.beat()
            if serves:
                self.board.serve()
            return
        if serves:
            notify.notify(f"READY=1\nMAINPID={os.getpid()}")
        if self._watchdog is not None and self.worker.now - self._told > self._watchdog / 4:
            notify.alive()
            self._told = self.worker.now

    def _end(self) -> None:
        self.loop.stop(DRAIN)

    def _reload(self) -> None:
        """Have the new program check the new configuration; only if it is well does it take over."""
        if self.check is None:
            self.check = subprocess.Popen([*handover.command(), "--check"])
            descriptor = os.pidfd_open(self.check.pid)
            self.loop.watch(descriptor, lambda: self._checked(descriptor))

    def _checked(self, descriptor: int) -> None:
        self.loop.unwatch(descriptor)
        os.close(descriptor)
        if self.check is None:
            return
        code, self.check = self.check.wait(), None
        if code:
            say("the new configuration is not taken: the old one stays in force", "configuration_refused")
        else:
            self.anew = True
            self.loop.stop(DRAIN)


def worker_name(name: str, number: int) -> str:
    """Return under which name a worker writes its register."""
    return name if number == 1 else f"{name}/{number}"


def make_worker(config: Config, name: str, names: Sequence[str], state: State) -> Worker:
    """Make a worker whose registers come after all that its former lives wrote."""
    life = state.life or os.urandom(4).hex()
    seq = max(time.time_ns() // 1_000_000, state.seq + 1)
    worker = Worker(config, ring.make(config), name=name, names=names, life=life, seq=seq)
    worker.log = say
    worker.password = config.auth.command() if config.auth is not None else b""
    worker.now = time.monotonic()
    worker.inherit(state)
    return worker


def on_signals(loop: Loop, actions: dict[signal.Signals, Callable[[], None]]) -> None:
    """Act on signals within the loop: they are bytes in a pipe that it reads."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for number in actions:
        signal.signal(number, lambda *_: None)

    def caught() -> None:
        for number in os.read(reader, 64):
            actions.get(signal.Signals(number), int)()

    loop.watch(reader, caught)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handover.SIGNALS)  # they waited while the process became anew


def say_as(number: int, text: str, event: str, **facts: str | int) -> None:
    """Log one line of one of several workers."""
    say(f"worker {number}: {text}", event, worker=number, **facts)
