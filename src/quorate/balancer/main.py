"""The program: its arguments, its sockets, its signals, and how one process takes over from another."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from quorate.balancer import config as settings
from quorate.balancer import handover, notify, ring
from quorate.balancer.config import Address, Config
from quorate.balancer.handover import ClientState, State
from quorate.balancer.server import Loop
from quorate.balancer.worker import Worker

DRAIN = 1.0
"""Seconds in which requests under way are still answered when the balancer ends or becomes anew."""


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
    for note in config.notes:
        say(note)
    if config.workers > 1 or config.tls is not None:
        what = "tls" if config.tls is not None else "workers"
        sys.stderr.write(f"{asked.config}: {what}: is not supported yet, allowed: one worker, no [tls]\n")
        return 2
    if asked.check:
        return 0
    return Program(config).run()


class Program:
    """One worker in this process, and its way from the former process to the next."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.anew = False
        self.check: subprocess.Popen[bytes] | None = None
        state, sockets = received()
        listeners = [sock for sock in sockets if is_listening(sock)]
        self.listener = next((sock for sock in listeners if is_at(sock, config.listen)), None) or listen(config.listen)
        for sock in listeners:
            if sock is not self.listener:
                sock.close()
        pages = listen(config.metrics.listen) if config.metrics is not None else None
        self.worker = make_worker(config, config.name, config.balancers, state)
        self.loop = Loop(self.worker, config, self.listener, pages)
        for sock in sockets:
            if sock not in listeners:
                self.loop.adopt(sock, state.clients.get(handover.inode(sock.fileno()), ClientState()))
        self._watchdog = notify.watchdog()
        self._told = 0.0
        self.loop.at_probe = self._alive
        on_signals(self.loop, {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: self._reload})

    def run(self) -> int:
        """Serve until told to end; hand over what the next process can use."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000)
        self.loop.run()
        clients = self.loop.leave()
        noted = {handover.inode(fd): left for fd, left in clients.items()}
        state = handover.write_state(self.worker.leave(noted))
        descriptors = [self.listener.fileno(), *clients]
        if self.anew:
            handover.become_anew(descriptors, state)
        notify.notify("STOPPING=1")
        notify.keep(descriptors, "sockets")
        notify.keep([state], "state")
        return 0

    def _alive(self) -> None:
        if self.loop.is_open and not self._told:
            notify.notify(f"READY=1\nMAINPID={os.getpid()}")
            self._told = self.worker.now
        if self._told and self._watchdog is not None and self.worker.now - self._told > self._watchdog / 4:
            notify.notify("WATCHDOG=1")
            self._told = self.worker.now

    def _end(self) -> None:
        self.loop.stop(DRAIN)

    def _reload(self) -> None:
        """Have the new program check the new configuration; only if it is well does it take over."""
        if self.check is None:
            self.check = subprocess.Popen([sys.executable, *sys.orig_argv[1:], "--check"])
            descriptor = os.pidfd_open(self.check.pid)
            self.loop.watch(descriptor, lambda: self._checked(descriptor))

    def _checked(self, descriptor: int) -> None:
        self.loop.unwatch(descriptor)
        os.close(descriptor)
        if self.check is None:
            return
        code, self.check = self.check.wait(), None
        if code:
            say("the new configuration is not taken: the old one stays in force")
        else:
            self.anew = True
            self.loop.stop(DRAIN)


def received() -> tuple[State, list[socket.socket]]:
    """Return what a former process left, through `exec` or through the service manager."""
    state, descriptors = handover.inherited()
    kept = notify.kept()
    for descriptor in kept.pop("state", []):
        state = handover.read_state(descriptor)
        notify.notify("FDSTOREREMOVE=1\nFDNAME=state")
    for descriptor in kept.pop("sockets", []):
        descriptors.append(descriptor)
    notify.notify("FDSTOREREMOVE=1\nFDNAME=sockets")
    sockets = []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
        sockets.append(socket.socket(fileno=descriptor))
    return state, sockets


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


def is_listening(sock: socket.socket) -> bool:
    """Whether clients connect to it."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def is_at(sock: socket.socket, address: Address) -> bool:
    """Whether it listens where the configuration says."""
    found = sock.getsockname()
    return isinstance(found, tuple) and found[:2] == (address.host, address.port)


def listen(address: Address) -> socket.socket:
    """Open an address at which clients connect."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address.host, address.port))
    sock.listen(1024)
    return sock


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


def say(text: str) -> None:
    """Log one line."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
