"""The balancer as a process in front of real memcacheds, and clients that keep it busy."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ports import free_port
from real.daemons import Memcached

PROGRAM = ("-m", "quorate.balancer")


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


_STARTER = """
import fcntl, os, sys
high = [fcntl.fcntl(int(text), fcntl.F_DUPFD, 500) for text in sys.argv[1].split(",") if text]
for number, descriptor in enumerate(high, 3):
    os.dup2(descriptor, number)
os.closerange(3 + len(high), 10_000)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), WATCHDOG_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServiceManager:
    """What systemd does for a service that notifies it: keeps descriptors from one process to the next.

    It closes those that it is told to forget later, as systemd does (asynchronously): here once the service is ready.
    `watchdog`: seconds within which the service is asked to tell that it lives; this one never ends it.
    """

    watchdog = 600

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.kept: list[tuple[str, int]] = []
        self.forgotten: list[int] = []
        self.told: list[str] = []
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        data = b""
        while data != b"END=1":
            data, descriptors, *_ = socket.recv_fds(self.socket, 4096, 253)
            said = dict(line.split("=", 1) for line in data.decode().splitlines())
            name = said.get("FDNAME", "")
            self.told.append(data.decode())
            if "FDSTORE" in said:
                self.kept += [(name, descriptor) for descriptor in descriptors]
            elif "FDSTOREREMOVE" in said:
                for kept in [kept for kept in self.kept if kept[0] == name]:
                    self.kept.remove(kept)
                    self.forgotten.append(kept[1])
            elif said.get("READY") == "1":
                self._forget()
            else:  # BARRIER
                for descriptor in descriptors:
                    os.close(descriptor)

    def _forget(self) -> None:
        while self.forgotten:
            os.close(self.forgotten.pop())

    def stop(self) -> None:
        """Close what it keeps."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"END=1", self.path)
        self.thread.join(10)
        self.socket.close()
        self._forget()
        for _, descriptor in self.kept:
            os.close(descriptor)

    def start(self, command: Sequence[str], log: BinaryIO) -> subprocess.Popen[bytes]:
        kept = list(self.kept)
        self.told.clear()
        names = ":".join(name for name, _ in kept)
        asked = {"NOTIFY_SOCKET": self.path, "LISTEN_FDNAMES": names, "WATCHDOG_USEC": f"{self.watchdog * 10**6}"}
        environment = {**os.environ, **asked}
        numbers = [descriptor for _, descriptor in kept]
        starter = [sys.executable, "-c", _STARTER, ",".join(map(str, numbers)), *command]
        return subprocess.Popen(starter, stderr=log, env=environment, pass_fds=numbers)


class Process:
    """A balancer and its three servers."""

    def __init__(
        self, folder: Path, more: str = "", program: Sequence[str] = PROGRAM, manager: ServiceManager | None = None
    ) -> None:
        self.program = program
        self.servers = [Memcached() for _ in range(3)]
        self.closing = contextlib.ExitStack()
        self.port, self.pages = free_port(), free_port()
        self.file = folder / "balancer.toml"
        self.log = folder / "log"
        self.configure(more)
        try:
            self.start(manager)
        except BaseException:
            self.stop()
            raise

    def launch(self, manager: ServiceManager | None = None) -> None:
        """Start it."""
        command = [sys.executable, *self.program, "-c", str(self.file)]
        with self.log.open("ab") as log:
            self.process = manager.start(command, log) if manager else subprocess.Popen(command, stderr=log)

    def start(self, manager: ServiceManager | None = None) -> None:
        """Start it, and wait until it serves."""
        self.launch(manager)
        until(self._is_open)
        if manager is not None:
            until(lambda: any(told.startswith("READY=1") for told in manager.told))

    def _is_open(self) -> bool:
        try:
            with self.connect() as sock:
                sock.sendall(b"set open 0 0 1\r\n1\r\n")
                return sock.recv(100) == b"STORED\r\n"
        except OSError:
            return False

    def configure(self, more: str = "") -> None:
        servers = "".join(
            f'[[servers]]\nname = "s{n}"\naddress = "127.0.0.1:{server.address[1]}"\n'
            for n, server in enumerate(self.servers)
        )
        self.file.write_text(
            f'listen = "127.0.0.1:{self.port}"\nname = "a"\n{more}\n{servers}'
            f'[metrics]\nlisten = "127.0.0.1:{self.pages}"\n'
        )

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.closing.close()
        for server in self.servers:
            server.stop()


def lost(busy: Sequence[Busy]) -> list[str]:
    """Return what went wrong for clients: replies that are none, and misses, which one server less does not explain."""
    missed = sum(client.missed for client in busy)
    return [told for client in busy for told in client.wrong] + ([f"{missed} missed"] if missed else [])


class Busy(threading.Thread):
    """A client that sets and gets on one connection until told to stop, and keeps what went wrong."""

    def __init__(self, balancer: Process, name: str) -> None:
        super().__init__(daemon=True)
        self.socket = balancer.connect()
        self.key = name.encode()
        self.done = threading.Event()
        self.wrong: list[str] = []
        self.count = 0
        self.missed = 0  # values that were not found or not taken
        self.slowest = 0.0

    def run(self) -> None:
        with self.socket, self.socket.makefile("rb") as file:
            while not self.done.is_set() and self.once(file):
                self.count += 1

    def once(self, file: BinaryIO) -> bool:
        """Set a value and get it."""
        value = b"%d" % self.count
        began = time.monotonic()
        self.socket.sendall(b"set %b 0 0 %d\r\n%b\r\nget %b\r\n" % (self.key, len(value), value, self.key))
        heard = [file.readline(), file.readline()]
        if heard[1].startswith(b"VALUE "):
            heard += [file.readline(), file.readline()]
        self.slowest = max(self.slowest, time.monotonic() - began)
        found = [b"VALUE %b 0 %d\r\n" % (self.key, len(value)), value + b"\r\n", b"END\r\n"]
        if heard[0] == b"NOT_STORED\r\n" or heard == [b"STORED\r\n", b"END\r\n"]:
            self.missed += 1
        elif heard != [b"STORED\r\n", *found]:
            self.wrong.append(repr(heard))
        return not self.wrong

    def stop(self) -> None:
        self.done.set()
        self.join(10)
