"""Ways through ssh to a controller's loopback, against a real sshd of the test's own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from transport_sshd import Sshd, sshd_in

from ports import free_port
from quorate.errors import Unreachable
from quorate.transport.ssh import SshTransport
from quorate.transport.tunnel import Tunnels


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with sshd_in(tmp_path) as running:
        yield running


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """What listens on the controller's loopback: the port."""

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport
            opened.append(transport)

        def data_received(self, data: bytes) -> None:
            self.transport.write(data.upper())

    opened: list[asyncio.Transport] = []
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for transport in opened:
        transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
async def way(sshd: Sshd) -> AsyncIterator[SshTransport]:
    made = sshd.transport()
    yield made
    await made.close()


@pytest.fixture
async def tunnels(way: SshTransport) -> AsyncIterator[Tunnels]:
    made = Tunnels({"c1": way})
    yield made
    await made.close()


async def ask(place: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*place)
    try:
        writer.write(b"hello")
        async with asyncio.timeout(5):
            return await reader.read(100)
    finally:
        writer.close()


async def until(there: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> float:
    """Wait for it; how long it took."""
    began = time.monotonic()
    while not await there():
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def answers(place: tuple[str, int]) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        try:
            return await ask(place) == b"HELLO"
        except (OSError, TimeoutError):
            return False

    return there


def refused(place: tuple[str, int]) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        try:
            _, writer = await asyncio.open_connection(*place)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    return there


async def test_it_leads_to_the_port_there_and_is_made_once(tunnels: Tunnels, echo: int, sshd: Sshd) -> None:
    place = await tunnels.reach("c1", echo)
    assert place[0] == "127.0.0.1"
    assert await tunnels.reach("c1", echo) == place
    assert await asyncio.gather(*(ask(place) for _ in range(20))) == [b"HELLO"] * 20  # more than MaxSessions
    assert len(sshd.pids()) == 2


async def test_it_comes_back_by_itself_at_the_same_port(tunnels: Tunnels, echo: int, sshd: Sshd) -> None:
    place = await tunnels.reach("c1", echo)
    for _ in range(2):
        sshd.cut()
        await until(refused(place), 2.0)
        assert await until(answers(place)) < 5
    assert await tunnels.reach("c1", echo) == place


async def test_while_the_controller_is_gone_clients_are_refused_at_once(
    tunnels: Tunnels, echo: int, sshd: Sshd
) -> None:
    place = await tunnels.reach("c1", echo)
    pids = sshd.pids()
    sshd.cut()
    sshd.stop()
    assert len(pids) == 2
    await until(refused(place), 2.0)
    for _ in range(5):
        began = time.monotonic()
        assert await refused(place)()
        assert time.monotonic() - began < 0.1
        await asyncio.sleep(0.2)
    sshd.start()
    await until(answers(place))


async def test_a_frozen_controller_is_found_out_and_used_again(tunnels: Tunnels, echo: int, sshd: Sshd) -> None:
    place = await tunnels.reach("c1", echo)
    with sshd.frozen():
        assert await until(refused(place)) < 6
    await until(answers(place))


async def test_nothing_listens_there(tunnels: Tunnels) -> None:
    """The way is there all the same: what serves may come later."""
    place = await tunnels.reach("c1", free_port())
    assert await ask(place) == b""


async def test_an_sshd_that_leads_nobody_anywhere_is_told(sshd: Sshd, way: SshTransport, echo: int) -> None:
    sshd.stop()
    sshd.config.write_text(sshd.config.read_text() + "AllowTcpForwarding no\n")
    sshd.start()
    tunnels = Tunnels({"c1": way})
    with pytest.raises(Unreachable, match=f"ssh leads nobody to its port {echo}") as caught:
        await tunnels.reach("c1", echo)
    assert "AllowTcpForwarding" in caught.value.hint


async def test_an_unknown_host_key_is_told(sshd: Sshd, echo: int, tmp_path: Path) -> None:
    way = sshd.transport(known_hosts=tmp_path / "none")
    with pytest.raises(Unreachable, match="host key is not known"):
        await Tunnels({"c1": way}).reach("c1", echo)


async def test_nobody_listens_when_it_is_closed(way: SshTransport, echo: int, sshd: Sshd) -> None:
    tunnels = Tunnels({"c1": way})
    place = await tunnels.reach("c1", echo)
    assert await ask(place) == b"HELLO"
    await tunnels.close()
    assert await refused(place)()
    with socket.create_server(place):
        pass
    while len(sshd.pids()) > 1:  # noqa: ASYNC110 - the other side ends by itself
        await asyncio.sleep(0.01)


async def test_it_can_be_closed_while_the_controller_is_gone(way: SshTransport, echo: int, sshd: Sshd) -> None:
    tunnels = Tunnels({"c1": way})
    place = await tunnels.reach("c1", echo)
    sshd.cut()
    sshd.stop()
    await until(refused(place), 2.0)
    await tunnels.close()
    sshd.start()
    await asyncio.sleep(0.5)
    assert await refused(place)()
