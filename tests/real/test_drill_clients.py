"""The clients of drills against what really answers on loopback: the balancer, and servers that lie."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ports import free_port
from quorate.core.client import Client, Facts, Failed, Reach, Surroundings
from quorate.engine.clients import Threads
from quorate.systems.cache.client import SLOTS, Keys, step
from quorate.systems.haproxy.client import Connecting, Page
from quorate.systems.keystone.client import Issue, Validation
from real.balancers import Process

BOUND = 3.0


@contextlib.asynccontextmanager
async def made(
    kind: Callable[[Surroundings], Client], settings: dict[str, Any], reach: Reach | None = None
) -> AsyncIterator[Client]:
    """A client that is given all it needs."""
    threads = Threads("test")
    client = kind(Surroundings("r1", BOUND, threads, settings, {"keystone.admin": "geheim"}, {}, reach))
    try:
        await client.prepare()
        yield client
    finally:
        await client.close()
        threads.close()


async def facts_of(client: Client, number: int = 0) -> Facts:
    facts: Facts = {}
    await client.operate(number, facts)
    return facts


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.stop()


def keys(balancer: Process, owner: str, *others: str) -> contextlib.AbstractAsyncContextManager[Client]:
    async def reach(port: int) -> tuple[str, int]:
        assert port == 22122
        return "127.0.0.1", balancer.port

    return made(Keys, {"port": 22122, "owner": owner, "others": list(others)}, reach)


async def test_the_cache_gives_back_what_was_changed_last_and_is_left_empty(balancer: Process) -> None:
    expected: dict[str, int | None] = {}
    kinds: dict[str, int] = {}
    async with keys(balancer, "a", "b") as a, keys(balancer, "b", "a") as b:
        for number in range(400):
            for client in (a, b):
                facts = await facts_of(client, number)
                key, kind = facts["key"], facts["kind"]
                kinds[kind] = kinds.get(kind, 0) + 1
                if kind == "get":
                    assert facts["version"] == expected.get(key)
                else:
                    assert facts["version"] == number
                    expected[key] = number if kind == "set" else None
        assert {key.split("/")[0] for key in expected} == {"a", "b"}
        assert kinds == {"set": 240, "get": 480, "delete": 80}
    with balancer.connect() as sock:
        sock.sendall("".join(f"get {s}:{o}:quorate-drill:r1\r\n" for o in "ab" for s in range(SLOTS)).encode())
        left = b""
        while left.count(b"END\r\n") < 2 * SLOTS:
            left += sock.recv(65536)
    assert left == b"END\r\n" * 2 * SLOTS


async def test_a_change_that_is_refused_has_failed_and_its_facts_are_told(balancer: Process) -> None:
    async with keys(balancer, "a") as client:
        for server in balancer.servers:
            server.process.kill()
        told: list[tuple[Facts, BaseException | None]] = []
        for number in range(0, 100, 10):  # all of them sets; what the balancer knows of its servers is old at first
            facts: Facts = {}
            (result,) = await asyncio.gather(client.operate(number, facts), return_exceptions=True)
            told.append((facts, result))
        facts, result = told[-1]
        assert isinstance(result, Failed)
        assert str(result) == "NOT_STORED"
        assert (facts["kind"], facts["version"]) == ("set", 90)
        miss = await facts_of(client, 1)
        assert (miss["kind"], miss["version"]) == ("get", None)


async def test_without_a_balancer_the_client_is_refused_at_once(balancer: Process) -> None:
    async with keys(balancer, "a") as client:
        balancer.process.kill()
        balancer.process.wait()
        await asyncio.gather(*(client.operate(number, {}) for number in range(5)), return_exceptions=True)
        with pytest.raises(ConnectionRefusedError):
            await client.operate(0, {})


async def test_a_value_of_another_key_is_no_value(balancer: Process) -> None:
    async with keys(balancer, "a") as client:
        _, _, slot = step(1, "a", [])
        with balancer.connect() as sock:
            value = b"%d:b:quorate-drill:r1 7" % slot
            sock.sendall(b"set %d:a:quorate-drill:r1 0 0 %d\r\n%b\r\n" % (slot, len(value), value))
            assert sock.recv(100) == b"STORED\r\n"
        with pytest.raises(Failed, match="wrong value"):
            await client.operate(1, {})


class Identity:
    """Stands in for Keystone: it issues a token, and says of it whatever the test wants."""

    def __init__(self) -> None:
        self.issued: Any = token()
        self.validated: Any = token()
        self.status = 200
        self.connections = 0
        identity = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                identity.connections += 1
                super().setup()

            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["content-length"])))
                who = given["auth"]["identity"]
                known = who["token"]["id"] == "gAAA" if "token" in who else "geheim" in str(who["password"])
                self._answer(201 if known else 401, identity.issued)

            def do_GET(self) -> None:
                good = self.headers["x-auth-token"] == self.headers["x-subject-token"] == "gAAA"
                self._answer(identity.status if good else 401, identity.validated)

            def _answer(self, status: int, body: Any) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("x-subject-token", "gAAA")
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def settings(self) -> dict[str, Any]:
        port = self.server.server_address[1]
        return {"url": f"http://127.0.0.1:{port}/v3", "user": "admin", "project": "admin", "domain": "default"}

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def token(user: str = "admin", hours: float = 1.0) -> dict[str, Any]:
    expires = datetime.now(UTC) + timedelta(hours=hours)
    return {
        "token": {
            "user": {"name": user, "id": "u", "domain": {"id": "default", "name": "Default"}},
            "expires_at": f"{expires:%Y-%m-%dT%H:%M:%S.%fZ}",
            "issued_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "methods": ["password"],
        }
    }


@pytest.fixture
def identity() -> Iterator[Identity]:
    server = Identity()
    yield server
    server.stop()


LIES = {
    "somebody else": token("mallory"),
    "expired": token(hours=-1),
    "no user": {"token": {"expires_at": "2100-01-01T00:00:00Z"}},
    "no token": {"versions": []},
    "a list": [],
    "no JSON": b"<html>It works!</html>",
}


@pytest.mark.parametrize("kind", [Validation, Issue])
async def test_a_good_answer_on_a_new_connection_each_time(
    identity: Identity, kind: type[Validation | Issue], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with made(kind, identity.settings) as client:
        before = identity.connections
        assert await facts_of(client) == {}
        assert await facts_of(client) == {}
        assert identity.connections == before + 2


@pytest.mark.parametrize("lie", LIES)
async def test_200_with_a_wrong_body_has_failed(identity: Identity, lie: str) -> None:
    async with made(Validation, identity.settings) as client:
        identity.validated = LIES[lie]
        with pytest.raises(Failed, match=r"^wrong body: "):
            await client.operate(0, {})


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_with_a_wrong_body_has_failed(identity: Identity, lie: str) -> None:
    async with made(Issue, identity.settings) as client:
        identity.issued = LIES[lie]
        with pytest.raises(Failed, match=r"^wrong body: "):
            await client.operate(0, {})


@pytest.mark.parametrize(("status", "told"), [(500, "HTTP 500"), (503, "HTTP 503"), (204, "HTTP 204"), (302, "HTTP")])
async def test_another_status_has_failed(identity: Identity, status: int, told: str) -> None:
    async with made(Validation, identity.settings) as client:
        identity.status = status
        with pytest.raises(Exception, match=told):
            await client.operate(0, {})


async def test_a_wrong_password_ends_it_before_it_begins(identity: Identity) -> None:
    threads = Threads("test")
    client = Issue(Surroundings("r1", BOUND, threads, identity.settings, {"keystone.admin": "falsch"}))
    with pytest.raises(Exception, match="401") as caught:
        await client.prepare()
    assert "falsch" not in str(caught.value)
    threads.close()


@contextlib.asynccontextmanager
async def page(answer: bytes) -> AsyncIterator[dict[str, Any]]:
    """Somebody who answers this, in two pieces, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        await reader.readline()
        writer.write(answer[:20])
        await asyncio.sleep(0)
        writer.write(answer[20:])
        writer.close()
        with contextlib.suppress(OSError):  # the client has hung up
            await writer.wait_closed()

    serving: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield {"host": "127.0.0.1", "port": port, "controllers": ["controller1", "controller2"]}
        await asyncio.sleep(0.01)
        await asyncio.gather(*serving)


async def test_the_page_names_the_holder() -> None:
    async with (
        page(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\ncontroller2\n") as settings,
        made(Page, settings) as c,
    ):
        assert await facts_of(c) == {"server": "controller2"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nnginx\n", "wrong body: 'nginx"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 503 Service Unavailable"),
        (b"", "the connection was closed without an answer"),
    ],
)
async def test_a_page_that_says_something_else_has_failed(answer: bytes, why: str) -> None:
    async with page(answer) as settings, made(Page, settings) as client:
        with pytest.raises(Failed, match=why):
            await client.operate(0, {})
        async with made(Connecting, settings) as connecting:
            assert await facts_of(connecting) == {}


async def test_nobody_there_has_failed() -> None:
    async with made(Connecting, {"host": "127.0.0.1", "port": free_port(), "controllers": []}) as client:
        with pytest.raises(ConnectionRefusedError):
            await client.operate(0, {})
