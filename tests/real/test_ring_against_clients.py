"""The rings that can be taken over put 10,000 keys where the real implementations put them.

Stub servers answer every get with their own number, so that each client tells where it looks. twemproxy reads the same
file as the balancer: its pools are all that can be asked of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from quorate.balancer.config import CLIENT_KINDS, Address, parse
from quorate.balancer.hashes import HASHES
from quorate.balancer.ring import make

COUNT = 10_000
SERVERS = 5
AT_ONCE = 100
WEIGHTS = (1, 3, 2, 1, 5)
PLAIN = (1, 1, 1, 1, 1)

PORTS = count(22_121)

Places = Mapping[bytes, int]


def made_keys() -> list[bytes]:
    """A mixture: counted, UUIDs, dogpile's SHA-1, every length, marks in braces, every byte that may stand in a key."""
    dice = random.Random(16)
    alphabet = bytes(byte for byte in range(33, 256) if byte != 127)
    keys = [b"key:%d" % number for number in range(2_000)]
    keys += [str(uuid.UUID(int=dice.getrandbits(128))).encode() for _ in range(2_000)]
    keys += [hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest().encode() for number in range(2_000)]
    keys += [b"%d{user%d}%d" % (number, number % 700, number) for number in range(1_500)]
    keys += [b"x%d{}y" % number for number in range(100)] + [b"}%d{a" % number for number in range(100)]
    while len(keys) < COUNT:
        keys.append(bytes(dice.choices(alphabet, k=dice.randint(1, 250))))
    assert len(set(keys)) == COUNT
    return keys


KEYS = made_keys()
ASCII = [key if key.isascii() else hashlib.sha256(key).hexdigest().encode() * 2 for key in KEYS]


@dataclass
class Stubs:
    """Stub servers: each on a port of its own, and each on memcached's port of an address of its own."""

    ports: list[int]
    hosts: list[str]


async def answer(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        verb, *keys = line.split()
        if verb in {b"get", b"gets"}:
            writer.write(b"".join(b"VALUE %b 0 1\r\n%d\r\n" % (key, number) for key in keys) + b"END\r\n")
        elif verb == b"quit":
            break
        else:
            writer.write(b"VERSION 1.6.18\r\n" if verb == b"version" else b"ERROR\r\n")


@pytest.fixture(scope="module")
def stubs() -> Iterator[Stubs]:
    """Five of them, in a thread."""
    hosts = [own_host(number + 1) for number in range(SERVERS)]
    servers: list[asyncio.Server] = []

    async def serve() -> list[int]:
        for number, host in enumerate(hosts):

            async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int = number) -> None:
                try:
                    await answer(number, reader, writer)
                finally:
                    writer.transport.abort()

            servers.append(await asyncio.start_server(one, "127.0.0.1", 0, limit=2**20))
            servers.append(await asyncio.start_server(one, host, 11211, limit=2**20))
        return [server.sockets[0].getsockname()[1] for server in servers[::2]]

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield Stubs(asyncio.run_coroutine_threadsafe(serve(), loop).result(10), hosts)

    async def end() -> None:
        for server in servers:
            server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes what was aborted in its next round

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def own_host(last: int) -> str:
    """Choose an address of loopback that nobody else has, so that every port of it is free."""
    dice = random.SystemRandom()
    return f"127.{dice.randint(1, 254)}.{dice.randint(1, 254)}.{last}"


# --- twemproxy ---------------------------------------------------------------------------------------------


def pool(name: str, servers: Sequence[str], **directives: str) -> str:
    lines = [f"{name}:", f"  listen: {own_host(100)}:{next(PORTS)}"]
    lines += [f"  {key}: {value}" for key, value in directives.items()]
    return "\n".join([*lines, "  servers:", *(f"    - {server}" for server in servers), ""])


POOLS = [
    *(f"{distribution}-{name}" for distribution in ("ketama", "modula") for name in HASHES),
    "by-default",
    "tagged",
    "weighted-ketama",
    "weighted-modula",
    "memcached-port",
    "other-port",
    "two",
    "one",
]


def file_of_pools(stubs: Stubs) -> str:
    named = [f"127.0.0.1:{port}:1 cache{number}" for number, port in enumerate(stubs.ports)]
    weighted = [
        f"127.0.0.1:{port}:{weight} cache{number}"
        for number, (port, weight) in enumerate(zip(stubs.ports, WEIGHTS, strict=True))
    ]
    pools = [
        pool(f"{distribution}-{name}", named, distribution=distribution, hash=name)
        for distribution in ("ketama", "modula")
        for name in HASHES
    ]
    pools += [
        pool("by-default", named),
        pool("tagged", named, hash_tag='"{}"', timeout="400", preconnect="true  # at once"),
        pool("weighted-ketama", weighted, hash="murmur"),
        pool("weighted-modula", weighted, distribution="modula", hash="crc32a"),
        pool("memcached-port", [f"{host}:11211:1" for host in stubs.hosts], hash="md5"),
        pool("other-port", [f"127.0.0.1:{port}:1" for port in stubs.ports], hash="jenkins"),
        pool("two", named[:2], hash="fnv1_32", auto_eject_hosts="true"),
        pool("one", named[:1], redis="false"),
    ]
    return "\n".join(pools)


@pytest.fixture(scope="module")
def nutcracker_yml(stubs: Stubs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running twemproxy with every pool, and its file."""
    text = file_of_pools(stubs)
    folder: Path = tmp_path_factory.mktemp("twemproxy")
    file = folder / "nutcracker.yml"
    file.write_text(text, encoding="utf-8")
    with twemproxy(file):
        yield text


@contextmanager
def twemproxy(file: Path) -> Iterator[None]:
    program = shutil.which("nutcracker") or shutil.which("nutcracker", path="/usr/sbin")
    if program is None:
        pytest.skip("nutcracker is not installed")
    command = [program, "-c", str(file), "-a", own_host(101), "-s", "22222", "-o", str(file.with_suffix(".log"))]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.terminate()


def connect(where: Address) -> socket.socket:
    """Connect to what has just been started."""
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(where, timeout=10)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise


def asked(where: Address, keys: Sequence[bytes]) -> Places:
    places: dict[bytes, int] = {}
    with connect(where) as client, client.makefile("rb") as replies:
        for at in range(0, len(keys), AT_ONCE):
            client.sendall(b"get " + b" ".join(keys[at : at + AT_ONCE]) + b"\r\n")
            while (line := replies.readline()).startswith(b"VALUE "):
                places[line.split()[1]] = int(replies.readline())
            assert line == b"END\r\n"
    return places


@pytest.mark.parametrize("name", POOLS)
def test_twemproxy(nutcracker_yml: str, name: str) -> None:
    config = parse(nutcracker_yml, "nutcracker.yml", name)
    ring = make(config)
    real = asked(config.listen, KEYS)
    assert {key: place for key, place in real.items() if ring.copies(key) != (place,)} == {}
    assert len(real) == COUNT
    narrow = name == "ketama-crc32"  # 15 bits on a circle of 32
    assert len(set(real.values())) == (1 if narrow else len(config.servers))


def test_twemproxy_s_random_has_no_places(stubs: Stubs, tmp_path: Path) -> None:
    servers = [f"127.0.0.1:{port}:1" for port in stubs.ports]
    text = pool("random", servers, distribution="random")
    (tmp_path / "nutcracker.yml").write_text(text, encoding="utf-8")
    config = parse(text, "nutcracker.yml")
    with twemproxy(tmp_path / "nutcracker.yml"):
        found = {asked(config.listen, [b"key"])[b"key"] for _ in range(60)}
    assert len(found) > 1
    assert any("random" in note for note in config.notes)


# --- the clients' own rings --------------------------------------------------------------------------------


def written(kind: str, addresses: Sequence[str], weights: Sequence[int], ring: str = "") -> str:
    servers = "".join(
        f'[[servers]]\naddress = "{address}"\nweight = {weight}\n'
        for address, weight in zip(addresses, weights, strict=True)
    )
    return f'name = "here"\ncopies = 2\n{servers}[ring]\nkind = "{kind}"\n{ring}\n'


def differing(text: str, real: Places) -> Mapping[bytes, Any]:
    ring = make(parse(text, "balancer.toml"))
    assert len(real) == len(set(ASCII))
    assert set(real.values()) == set(range(SERVERS))
    return {key: (place, ring.copies(key)) for key, place in real.items() if ring.copies(key)[0] != place}


def addresses(stubs: Stubs, port: str) -> list[str]:
    return [f"{host}:11211" for host in stubs.hosts] if port == "11211" else [f"127.0.0.1:{p}" for p in stubs.ports]


def told(values: Mapping[Any, Any]) -> Places:
    return {key if isinstance(key, bytes) else key.encode(): int(value) for key, value in values.items()}


@pytest.mark.parametrize("port", ["11211", "other"])
@pytest.mark.parametrize(
    ("behaviors", "ring", "weights"),
    [
        ({"ketama_weighted": True}, "weighted = true", WEIGHTS),
        ({"ketama_weighted": True}, "weighted = true", PLAIN),
        ({"ketama": True}, "weighted = false", PLAIN),
    ],
)
def test_libmemcached(
    stubs: Stubs, port: str, behaviors: Mapping[str, bool], ring: str, weights: Sequence[int]
) -> None:
    pylibmc = pytest.importorskip("pylibmc")
    where = addresses(stubs, port)
    listed = [f"{address}:{weight}" for address, weight in zip(where, weights, strict=True)]
    client = pylibmc.Client(listed, behaviors=dict(behaviors))
    real = told(client.get_multi([key.decode() for key in ASCII]))
    assert differing(written("libmemcached", where, weights, ring), real) == {}


@pytest.mark.parametrize("weights", [PLAIN, WEIGHTS])
def test_python_memcached(stubs: Stubs, weights: Sequence[int]) -> None:
    memcache = pytest.importorskip("memcache")
    where = addresses(stubs, "other")
    client = memcache.Client(list(zip(where, weights, strict=True)))
    real = told(client.get_multi([key.decode() for key in ASCII]))
    client.disconnect_all()
    assert differing(written("python-memcached", where, weights), real) == {}


@pytest.mark.parametrize("port", ["11211", "other"])
def test_pymemcache(stubs: Stubs, port: str) -> None:
    hashed = pytest.importorskip("pymemcache.client.hash")
    where = addresses(stubs, port)
    client = hashed.HashClient(where)
    real = told(client.get_many([key.decode() for key in ASCII]))
    client.close()
    assert differing(written("pymemcache", where, PLAIN), real) == {}


def test_pymemcache_s_next_server(stubs: Stubs) -> None:
    hashed = pytest.importorskip("pymemcache.client.hash")
    where = addresses(stubs, "other")
    ring = make(parse(written("pymemcache", where, PLAIN), "balancer.toml"))
    client = hashed.HashClient(where)
    for key in ASCII[:1_000]:
        first, second = ring.copies(key)
        client.hasher.remove_node(where[first])
        assert client.hasher.get_node(key.decode()) == where[second]
        client.hasher.add_node(where[first])


def test_every_client_s_kind_is_tried() -> None:
    assert set(CLIENT_KINDS) == {"libmemcached", "python-memcached", "pymemcache"}
