"""The balancer as a process, in front of real memcacheds: reload, end, slow and greedy clients, pages, mistakes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest

from real.daemons import Memcached


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Process:
    """A balancer and its three servers."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Memcached() for _ in range(3)]
        self.port, self.pages = free_port(), free_port()
        self.file = folder / "balancer.toml"
        self.log = folder / "log"
        self.configure()
        command = [sys.executable, "-m", "quorate.balancer", "-c", str(self.file)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log)
        until(self._is_open)

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
        for server in self.servers:
            server.stop()


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.stop()


class Worker(threading.Thread):
    """A client that sets and gets on one connection until told to stop, and keeps what went wrong."""

    def __init__(self, balancer: Process, name: str) -> None:
        super().__init__(daemon=True)
        self.socket = balancer.connect()
        self.key = name.encode()
        self.done = threading.Event()
        self.wrong: list[str] = []
        self.count = 0
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
        heard = [file.readline() for _ in range(4)]
        self.slowest = max(self.slowest, time.monotonic() - began)
        if heard != [b"STORED\r\n", b"VALUE %b 0 %d\r\n" % (self.key, len(value)), value + b"\r\n", b"END\r\n"]:
            self.wrong.append(repr(heard))
        return not self.wrong

    def stop(self) -> None:
        self.done.set()
        self.join(10)


def test_a_reload_under_load_loses_no_connection_and_no_request(balancer: Process) -> None:
    workers = [Worker(balancer, f"key{n}") for n in range(8)]
    for worker in workers:
        worker.start()
    pid = balancer.process.pid
    for number in range(3):
        before = balancer.log.read_text().count("is used\n")
        balancer.process.send_signal(signal.SIGHUP)
        until(lambda before=before: balancer.log.read_text().count("is used\n") >= before + 3)  # type: ignore[misc]
        counts = [worker.count for worker in workers]
        until(lambda counts=counts: all(w.count > c or w.wrong for w, c in zip(workers, counts, strict=True)))  # type: ignore[misc]
        assert number >= 0
    for worker in workers:
        worker.stop()
    assert [worker.wrong for worker in workers] == [[]] * 8
    assert balancer.process.poll() is None
    assert balancer.process.pid == pid


def test_mistakes_in_a_new_configuration_are_told_at_once_and_the_old_one_stays(balancer: Process) -> None:
    with balancer.connect() as client:
        balancer.configure('copies = 7\nnonsense = 1\nlisten_too = "x"')
        balancer.process.send_signal(signal.SIGHUP)
        until(lambda: "the old one stays" in balancer.log.read_text())
        log = balancer.log.read_text()
        assert "copies" in log
        assert "nonsense" in log
        assert "listen_too" in log
        client.sendall(b"get open\r\n")
        assert client.recv(100) == b"VALUE open 0 1\r\n1\r\nEND\r\n"


def test_it_ends_in_order_when_told(balancer: Process) -> None:
    balancer.process.send_signal(signal.SIGTERM)
    assert balancer.process.wait(5) == 0


def memory(process: Process) -> int:
    """Return its resident memory in MiB."""
    pages = int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def test_clients_that_do_not_read_cost_bounded_memory_and_nobody_elses_time(balancer: Process) -> None:
    with balancer.connect() as client:
        client.sendall(b"set big 0 0 100000\r\n" + b"x" * 100_000 + b"\r\n")
        assert client.recv(100) == b"STORED\r\n"
    slow = [balancer.connect() for _ in range(100)]
    for sock in slow:
        sock.setblocking(False)
        sock.send(b"get big\r\n" * 500)
    idle = [balancer.connect() for _ in range(500)]
    for sock in idle[:200]:
        sock.sendall(b"se")  # begins a command and says no more
    worker = Worker(balancer, "other")
    worker.start()
    until(lambda: worker.count > 500 or bool(worker.wrong))
    worker.stop()
    assert worker.wrong == []
    assert memory(balancer) < 150
    for sock in slow + idle:
        sock.close()
    until(lambda: "quorate_balancer_clients 0" in metrics(balancer))


def metrics(balancer: Process) -> str:
    return httpx.get(f"http://127.0.0.1:{balancer.pages}/metrics").text


def test_the_pages_tell_who_is_out_and_why(balancer: Process) -> None:
    assert httpx.get(f"http://127.0.0.1:{balancer.pages}/health").status_code == 200
    assert 'quorate_balancer_server_up{server="s1"} 1' in metrics(balancer)
    for number in (1, 2):
        balancer.servers[number].process.kill()
    until(lambda: 'quorate_balancer_server_up{server="s1"} 0' in metrics(balancer))
    until(lambda: httpx.get(f"http://127.0.0.1:{balancer.pages}/health").status_code == 503)
    page = httpx.get(f"http://127.0.0.1:{balancer.pages}/health").text
    assert "NO QUORUM" in page
    assert "s1 127.0.0.1" in page
    assert httpx.get(f"http://127.0.0.1:{balancer.pages}/other").status_code == 404


def test_a_frozen_server_costs_no_error_and_no_value(balancer: Process) -> None:
    workers = [Worker(balancer, f"key{n}") for n in range(6)]
    for worker in workers:
        worker.start()
    frozen = balancer.servers[1].process
    frozen.send_signal(signal.SIGSTOP)
    until(lambda: "s1 is out" in balancer.log.read_text())
    counts = [worker.count for worker in workers]
    until(lambda: all(w.count > c + 50 or w.wrong for w, c in zip(workers, counts, strict=True)))
    frozen.send_signal(signal.SIGCONT)
    until(lambda: "s1 has made good" in balancer.log.read_text())
    for worker in workers:
        worker.stop()
    assert [worker.wrong for worker in workers] == [[]] * 6


def test_a_binary_client_hears_an_error_and_is_closed(balancer: Process) -> None:
    with balancer.connect() as client:
        client.sendall(bytes([0x80, 0x0A]) + bytes(22))
        reply = client.recv(1000)
        assert reply[0] == 0x81
        assert client.recv(1000) == b""
