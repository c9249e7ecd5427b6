"""Several workers in front of real memcacheds: all serve, one is replaced, none shows what another knows to be old."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from quorate.balancer import config, ring
from quorate.balancer.board import PLACE
from real.balancers import Busy, Process, ServiceManager, lost, until

TWO = 'workers = 2\nbalancers = ["a", "b"]\n'
LAWLESS = str(Path(__file__).resolve().parents[1] / "balancer_laws.py")
ROUNDS = 12
MOST_ROUNDS = 60
KEYS = 8


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, TWO)
    yield process
    process.stop()


def workers(process: Process) -> list[int]:
    """Return the workers' processes, the first worker's first."""
    pid = process.process.pid
    found = {}
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        with contextlib.suppress(OSError):
            told = re.search(rb"\0%b=(\d+)," % PLACE.encode(), Path(f"/proc/{child}/environ").read_bytes())
            found.update({int(told[1]): child} if told else {})
    return [found[number] for number in sorted(found)]


class Client:
    """A connection to one worker, by its name."""

    def __init__(self, balancer: Process) -> None:
        self.socket = balancer.closing.enter_context(balancer.connect())
        self.file = balancer.closing.enter_context(self.socket.makefile("rb"))
        self.worker = self.stats("proxy")["name"]

    def stats(self, what: str) -> dict[str, str]:
        self.socket.sendall(b"stats %b\r\n" % what.encode())
        lines = (line.strip() for line in iter(self.file.readline, b"END\r\n"))
        return dict(line.decode().split(maxsplit=2)[1:] for line in lines)

    def set(self, keys: list[bytes], value: bytes) -> list[bytes]:
        self.socket.sendall(b"".join(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value) for key in keys))
        return [self.file.readline() for _ in keys]

    def get(self, key: bytes) -> bytes | None:
        self.socket.sendall(b"get %b\r\n" % key)
        if self.file.readline() == b"END\r\n":
            return None
        value = self.file.readline()
        assert self.file.readline() == b"END\r\n"
        return value.strip()

    @property
    def is_calm(self) -> bool:
        """Whether every server is used, and nobody marks one."""
        stats = self.stats("servers")
        told = [(stats[f"s{n}:state"], stats[f"s{n}:mark"], stats[f"s{n}:others"]) for n in range(3)]
        return told == [("up", ".", ".")] * 3


def one_each(balancer: Process, count: int = 2) -> list[Client]:
    """Connect to every worker: the kernel deals connections out."""
    found: dict[str, Client] = {}
    for _ in range(500):
        client = Client(balancer)
        if found.setdefault(client.worker, client) is not client:
            client.file.close()
            client.socket.close()
        if len(found) == count:
            break
    assert len(found) == count
    return [found[name] for name in sorted(found)]


def test_all_workers_serve_and_the_pages_tell_of_each(balancer: Process) -> None:
    assert [client.worker for client in one_each(balancer)] == ["a", "a/2"]
    figures = httpx.get(f"http://127.0.0.1:{balancer.pages}/metrics").text
    for number in (1, 2):
        assert f'quorate_balancer_worker_up{{worker="{number}"}} 1\n' in figures
        assert f'quorate_balancer_server_up{{worker="{number}",server="s1"}} 1\n' in figures
    health = httpx.get(f"http://127.0.0.1:{balancer.pages}/health")
    assert (health.status_code, "worker 2: s1 127.0.0.1" in health.text) == (200, True)
    assert httpx.get(f"http://127.0.0.1:{balancer.pages}/other").status_code == 404
    os.kill(workers(balancer)[1], signal.SIGSTOP)
    health = httpx.get(f"http://127.0.0.1:{balancer.pages}/health")
    os.kill(workers(balancer)[1], signal.SIGCONT)
    assert (health.status_code, "worker 2: DOES NOT ANSWER" in health.text) == (503, True)


def test_a_worker_that_is_killed_comes_back_and_loses_only_its_own_connections(balancer: Process) -> None:
    first, second = one_each(balancer)
    victim, other = workers(balancer)[0], workers(balancer)[1]
    os.kill(victim, signal.SIGKILL)
    assert first.file.read(1) == b""  # closed
    assert second.set([b"key"], b"1") == [b"STORED\r\n"]
    until(lambda: len(workers(balancer)) == 2 and victim not in workers(balancer))
    again, _ = one_each(balancer)
    assert (again.worker, other in workers(balancer)) == ("a", True)
    assert again.get(b"key") == b"1"
    assert "worker 1 ended with -9: it is started again" in balancer.log.read_text()


def test_a_worker_that_hangs_is_replaced(balancer: Process) -> None:
    until(lambda: len(workers(balancer)) == 2)
    victim = workers(balancer)[1]
    os.kill(victim, signal.SIGSTOP)
    until(lambda: victim not in workers(balancer) and len(workers(balancer)) == 2)
    assert "worker 2 hangs: it is killed" in balancer.log.read_text()
    one_each(balancer)


def test_a_reload_under_load_loses_no_connection_and_no_request(balancer: Process) -> None:
    clients = [Busy(balancer, f"key{n}") for n in range(8)]
    for client in clients:
        client.start()
    before = [balancer.process.pid, *workers(balancer)]
    for times in (2, 3):
        balancer.process.send_signal(signal.SIGHUP)
        until(lambda times=times: min(used(balancer)) >= times)  # type: ignore[misc]
    counts = [client.count for client in clients]
    until(lambda: all(c.count > n + 20 or c.wrong for c, n in zip(clients, counts, strict=True)))
    for client in clients:
        client.stop()
    assert lost(clients) == []
    assert [balancer.process.pid, *workers(balancer)] == before
    until(lambda: 'quorate_balancer_worker_up{worker="2"} 1\n' in page(balancer))


def page(balancer: Process) -> str:
    """Return the figures; nothing while the supervisor becomes anew."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{balancer.pages}/metrics").text
    return ""


def used(balancer: Process) -> list[int]:
    """Return how often each worker began to use a server."""
    log = balancer.log.read_text()
    return [log.count(f"worker {number}: server s1 is used") for number in (1, 2)]


def test_a_wrong_configuration_is_not_taken(balancer: Process) -> None:
    balancer.configure("copies = 7\n" + TWO)
    balancer.process.send_signal(signal.SIGHUP)
    until(lambda: "the old one stays" in balancer.log.read_text())
    assert "copies: 7" in balancer.log.read_text()
    assert [client.set([b"x"], b"1") for client in one_each(balancer)] == [[b"STORED\r\n"]] * 2


def test_restarts_keep_every_connection_whatever_the_number_of_workers(tmp_path: Path) -> None:
    manager = ServiceManager(tmp_path)
    balancer = Process(tmp_path, TWO.replace("2", "1"), manager=manager)
    clients = [Busy(balancer, f"key{n}") for n in range(8)]
    for client in clients:
        client.start()
    for count in (2, 3, 1, 2):
        counts = [client.count for client in clients]
        until(lambda counts=counts: all(c.count > n + 20 or c.wrong for c, n in zip(clients, counts, strict=True)))  # type: ignore[misc]
        balancer.configure(TWO.replace("2", str(count)))
        balancer.process.send_signal(signal.SIGTERM)
        assert balancer.process.wait(8) == 0
        balancer.start(manager)
    one_each(balancer)
    for client in clients:
        client.stop()
    balancer.process.terminate()
    balancer.process.wait()
    balancer.stop()
    manager.stop()
    assert lost(clients) == []


@pytest.mark.parametrize("count", [1, 2])
def test_the_watchdog_hears_of_it_right_before_and_after_it_becomes_anew(tmp_path: Path, count: int) -> None:
    """However rarely else: a start on a busy machine has the whole of the watchdog's time."""
    manager = ServiceManager(tmp_path)
    balancer = Process(tmp_path, TWO.replace("2", str(count)), manager=manager)
    try:
        until(lambda: manager.told.count("WATCHDOG=1") == 1)
        balancer.process.send_signal(signal.SIGHUP)
        until(lambda: manager.told.count("WATCHDOG=1") == 3)
    finally:
        balancer.stop()
        manager.stop()


def test_workers_end_with_their_supervisor(balancer: Process) -> None:
    left = workers(balancer)
    balancer.process.kill()
    balancer.process.wait()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in left))


# --- one verdict -------------------------------------------------------------------------------------------------


def first_on(balancer: Process, server: int) -> list[bytes]:
    """Return keys whose first copy is on this server: it is the one that is read."""
    settings = config.load(balancer.file)
    spread = ring.make(settings)
    keys = (b"verdict%d" % n for n in range(1000))
    return [key for key in keys if spread.table[spread.hash(key) & spread.mask][0] == server][:KEYS]


def old_values(balancer: Process, rounds: int) -> Iterator[int]:
    """Write through one worker while a server is frozen, thaw it, and read through another; yield what was old."""
    writer, reader = one_each(balancer)
    frozen = balancer.servers[1].process
    keys = first_on(balancer, 1)
    for number in range(rounds):
        assert set(writer.set(keys, b"old%d" % number)) == {b"STORED\r\n"}
        until(lambda: writer.is_calm and reader.is_calm)
        frozen.send_signal(signal.SIGSTOP)
        # The first has the server given up; it never hears of the others.
        assert set(writer.set(keys[:1], b"new%d" % number)) == {b"STORED\r\n"}
        assert set(writer.set(keys[1:], b"new%d" % number)) == {b"STORED\r\n"}
        if number % 3:
            frozen.send_signal(signal.SIGCONT)
        before = [reader.get(key) for key in keys]
        frozen.send_signal(signal.SIGCONT)
        after = [reader.get(key) for key in keys for _ in range(3)]
        yield sum(value not in {b"new%d" % number, None} for value in before + after)
        until(lambda: writer.is_calm and reader.is_calm)


def test_what_one_worker_acknowledged_no_other_shows_the_old_value_of(tmp_path: Path) -> None:
    balancer = Process(tmp_path, TWO + "[timing]\nfill = 0\n")
    try:
        assert list(old_values(balancer, ROUNDS)) == [0] * ROUNDS
    finally:
        balancer.stop()


def test_without_the_board_another_worker_does(tmp_path: Path) -> None:
    balancer = Process(tmp_path, TWO + "[timing]\nfill = 0\n", program=[LAWLESS, "board"])
    try:
        assert any(old_values(balancer, MOST_ROUNDS))
    finally:
        balancer.stop()
