"""The health service as it is shipped: rendered, loaded and asked, with a made-up MariaDB behind it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from quorate.core.template import render
from quorate.systems.galera.probe import HEALTH

WELL = {
    "wsrep_on": "ON",
    "wsrep_connected": "ON",
    "wsrep_cluster_status": "Primary",
    "wsrep_ready": "ON",
    "read_only": "OFF",
    "wsrep_desync": "OFF",
    "wsrep_local_state": "4",
    "wsrep_local_state_comment": "Synced",
    "wsrep_cluster_size": "3",
}
DONOR = {"wsrep_local_state": "2", "wsrep_local_state_comment": "Donor/Desynced"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("health") / "quorate-galera-health"
    path.write_text(render("quorate.systems.galera", "quorate-galera-health.j2"))
    return path


@pytest.fixture(scope="module")
def health(program: Path) -> types.ModuleType:
    loader = SourceFileLoader("quorate_galera_health", str(program))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_synced_member_of_a_primary_serves(health: types.ModuleType) -> None:
    assert health.decide(WELL) == (True, "Synced")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wsrep_on", "OFF"),
        ("wsrep_connected", "OFF"),
        ("wsrep_cluster_status", "non-Primary"),
        ("wsrep_cluster_status", "Disconnected"),
        ("wsrep_ready", "OFF"),
        ("read_only", "ON"),
        ("wsrep_local_state", "1"),
        ("wsrep_local_state", "3"),
    ],
)
def test_anything_else_does_not(health: types.ModuleType, name: str, value: str) -> None:
    serves, why = health.decide({**WELL, name: value})
    assert not serves
    assert why


@pytest.mark.parametrize("name", [name for name in WELL if name not in {"wsrep_desync", "wsrep_cluster_size"}])
def test_what_was_not_said_is_a_no(health: types.ModuleType, name: str) -> None:
    said = {key: value for key, value in WELL.items() if key != name}
    assert health.decide(said)[0] is (name == "wsrep_local_state_comment")


@pytest.mark.parametrize(
    ("size", "arbiters", "policy", "desync", "serves"),
    [
        ("2", 0, "alone", "OFF", True),  # the other one is receiving the copy
        ("1", 0, "alone", "OFF", True),
        ("3", 1, "alone", "OFF", True),  # the third is an arbiter
        ("3", 0, "alone", "OFF", False),  # the third can serve
        ("2", 0, "never", "OFF", False),
        ("2", 0, "alone", "ON", False),  # an operator took it out
        ("", 0, "alone", "OFF", False),
    ],
)
def test_a_donor_serves_only_where_nobody_else_can(
    health: types.ModuleType, size: str, arbiters: int, policy: str, desync: str, *, serves: bool
) -> None:
    said = {**WELL, **DONOR, "wsrep_cluster_size": size, "wsrep_desync": desync}
    assert health.decide(said, policy, arbiters)[0] is serves


def test_a_good_answer_goes_stale(health: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = health.Sampler({})
    sampler.newest = (100.0, True, "Synced")
    monkeypatch.setattr(health.time, "monotonic", lambda: 100.29)
    assert sampler.answer() == (True, "Synced")
    monkeypatch.setattr(health.time, "monotonic", lambda: 100.31)
    assert not sampler.answer()[0]


def test_before_the_first_answer_it_is_a_no(health: types.ModuleType) -> None:
    assert not health.Sampler({}).answer()[0]


def test_a_reason_cannot_break_the_reply(health: types.ModuleType) -> None:
    reply = health.response(False, "a\r\nX: y\u2028" + "z" * 500, b"GET")
    head, body = reply.split(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.count(b"\n") == 1
    assert len(body) < 210


PYMYSQL = '''
"""A made-up MariaDB: answers what lies in a file, or hangs like a frozen one."""
import json, time
class Cursor:
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def execute(self, _): self.rows = json.load(open(STATE))
    def fetchall(self):
        if "freeze" in self.rows: time.sleep(0.3); raise OSError("timed out")
        return list(self.rows.items())
class Connection:
    def cursor(self): return Cursor()
    def _force_close(self): pass
def connect(**_): return Connection()
'''


@pytest.fixture
def service(program: Path, tmp_path: Path, unused_tcp_port: int) -> Iterator[tuple[int, Path]]:
    state = tmp_path / "state.json"
    state.write_text(json.dumps(WELL))
    (tmp_path / "pymysql.py").write_text(f"STATE = {str(state)!r}\n{PYMYSQL}")
    listen = ["127.0.0.1", unused_tcp_port]
    config = {"listen": listen, "user": "u", "password": "p", "donor_serves": "alone", "arbiters": 0}
    (tmp_path / "config").write_text(json.dumps(config))
    environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen([sys.executable, str(program)], env=environment)
    try:
        yield unused_tcp_port, state
    finally:
        process.kill()
        process.wait()


async def _ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    reply = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return reply


async def _until(port: int, status: bytes) -> bytes:
    """Ask until it says so; the test's timeout bounds it."""
    while True:
        try:
            reply = await _ask(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        except OSError:
            reply = b""
        if reply.startswith(b"HTTP/1.1 " + status):
            return reply
        await asyncio.sleep(0.02)


async def test_it_says_what_mariadb_says_and_503_soon_after_it_froze(service: tuple[int, Path]) -> None:
    port, state = service
    assert (await _until(port, b"200")).endswith(b"Synced\n")
    state.write_text(json.dumps({"freeze": ""}))
    clock = asyncio.get_running_loop().time
    frozen = clock()
    await _until(port, b"503")
    assert clock() - frozen < 1.0  # 0.4 s and a noisy machine
    asked = clock()
    assert (await _ask(port, b"OPTIONS / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 503")
    assert clock() - asked < 0.3  # nobody waits for the frozen database
    state.write_text(json.dumps(WELL))
    await _until(port, b"200")


async def test_it_bears_strange_and_many_clients(service: tuple[int, Path]) -> None:
    port, _ = service
    await _until(port, b"200")
    assert (await _ask(port, b"HEAD / HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")
    assert await _ask(port, b"POST / HTTP/1.1\r\n\r\n") == b""
    with contextlib.suppress(ConnectionError):  # cut off while it was still talking
        assert await _ask(port, b"GET /" + b"x" * 100_000 + b"\r\n\r\n") == b""
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
    replies = await asyncio.gather(*(_ask(port, b"GET / HTTP/1.1\r\n\r\n") for _ in range(100)))
    assert all(reply.startswith(b"HTTP/1.1 200") for reply in replies)
    for _, writer in silent:
        writer.close()


def _looked_at(port: int) -> str:
    """What the probe says of the service: run as a controller runs it."""
    argv = [sys.executable, "-c", HEALTH, "127.0.0.1", str(port)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_the_probe_is_told_what_the_proxy_is_told(service: tuple[int, Path]) -> None:
    port, _ = service
    await _until(port, b"200")
    assert _looked_at(port) == "200 Synced\n"


def test_the_probe_says_that_nobody_listens(unused_tcp_port: int) -> None:
    assert _looked_at(unused_tcp_port).startswith("0 ConnectionRefusedError")
