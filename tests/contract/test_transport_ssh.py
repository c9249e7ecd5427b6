"""What only ssh can show, against a real sshd of the test's own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from transport_sshd import Sshd, keygen, sshd_in, writes_its_pid

from ports import free_port
from quorate.errors import Unreachable
from quorate.model.cloud import Cloud
from quorate.transport.contract import Completed
from quorate.transport.request import lease_request, observe_request, read_leased, read_observed
from quorate.transport.ssh import SshTransport, connect


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_in(tmp_path_factory.mktemp("shared")) as sshd:
        yield sshd


@pytest.fixture
async def sshd(shared: Sshd) -> AsyncIterator[Sshd]:
    shared.know(shared.host_key)
    yield shared
    shared.cut()


@pytest.fixture
async def ssh(sshd: Sshd) -> AsyncIterator[SshTransport]:
    transport = sshd.transport()
    yield transport
    await transport.close()


async def why(transport: SshTransport, timeout: float = 10.0) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await transport.run(["true"], timeout=timeout)
    await transport.close()
    return caught.value


async def test_one_connection_serves_many_at_once(sshd: Sshd, ssh: SshTransport) -> None:
    await ssh.run(["true"], timeout=20)
    before = sshd.pids()
    done = await asyncio.gather(*(ssh.run(["cat"], bytes([number]), timeout=20) for number in range(6)))
    assert [one.out for one in done] == [bytes([number]) for number in range(6)]
    assert sshd.pids() == before


async def test_more_at_once_than_sshd_allows_on_one_connection(ssh: SshTransport) -> None:
    done = await asyncio.gather(*(ssh.run(["cat"], bytes([number]), timeout=30) for number in range(60)))
    assert [one.out for one in done] == [bytes([number]) for number in range(60)]


async def test_a_cut_connection_is_told_and_the_next_call_works(sshd: Sshd, ssh: SshTransport, tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    running = asyncio.create_task(ssh.run(writes_its_pid(started, "sleep 1000"), timeout=20))
    await asyncio.to_thread(started.read_bytes)
    sshd.cut()
    with pytest.raises(Unreachable, match="lost while the command ran, which may go on"):
        await running
    assert (await ssh.run(["true"], timeout=20)).code == 0


async def test_a_connection_that_died_unnoticed_is_replaced(sshd: Sshd, ssh: SshTransport) -> None:
    for _ in range(3):
        assert (await ssh.run(["echo", "hi"], timeout=20)).out == b"hi\n"
        sshd.cut()  # the event loop has not heard of it when the next call begins


async def test_a_frozen_machine_costs_no_more_than_the_time_given(sshd: Sshd, ssh: SshTransport) -> None:
    await ssh.run(["true"], timeout=20)
    other = sshd.transport()
    with sshd.frozen():
        started = time.monotonic()
        with pytest.raises(Unreachable, match="the open connection gave no answer within"):
            await ssh.run(["true"], timeout=0.5)
        assert "no ssh banner within 0.5" in (await why(other, 0.5)).why
        assert time.monotonic() - started < 2.5
    assert (await ssh.run(["true"], timeout=20)).code == 0


async def test_a_frozen_machine_is_not_waited_for_as_long_as_a_busy_one(sshd: Sshd, ssh: SshTransport) -> None:
    await ssh.run(["true"], timeout=20)
    assert (await ssh.run(["sleep", "2.5"], timeout=20, reach=2.0)).code == 0
    with sshd.frozen():
        for _ in range(2):  # on the open connection, and on a new one
            started = time.monotonic()
            with pytest.raises(Unreachable):
                await ssh.run(["true"], timeout=20, reach=0.7)
            assert time.monotonic() - started < 5


async def test_a_call_that_waits_for_another_to_connect_keeps_its_own_time(sshd: Sshd, ssh: SshTransport) -> None:
    with sshd.frozen():
        slow = asyncio.create_task(ssh.run(["echo", "late"], timeout=30))
        with pytest.raises(Unreachable, match="no ssh banner"):
            await ssh.run(["true"], timeout=0.5)
    assert (await slow).out == b"late\n"


async def test_a_cancelled_call_leaves_the_way_usable(ssh: SshTransport, tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    running = asyncio.create_task(ssh.run(writes_its_pid(started, "sleep 5"), timeout=5))
    await asyncio.to_thread(started.read_bytes)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await ssh.run(["echo", "next"], timeout=20)) == Completed(0, b"next\n", b"")


async def test_a_signal_that_ends_a_command_is_a_negative_code(ssh: SshTransport) -> None:
    assert (await ssh.run(["sh", "-c", "kill -KILL $$"], timeout=20)).code in {-9, 137}


async def test_sudo_goes_before_everything(sshd: Sshd) -> None:
    transport = sshd.transport(sudo=True)
    done = await transport.run(["sh", "-c", "echo $0 done"], timeout=20)
    assert (done.code, done.out, done.err) == (0, b"sh done\n", b"sudo -n\n")
    await transport.close()


async def test_nothing_listens(sshd: Sshd) -> None:
    assert (await why(sshd.transport(port=free_port()))).why.startswith("refused: nothing listens at 127.0.0.1 port")


async def test_an_unknown_host_key_is_refused_with_its_fingerprint(sshd: Sshd, tmp_path: Path) -> None:
    error = await why(sshd.transport(known_hosts=tmp_path / "none"))
    assert error.why.startswith("its host key is not known: ssh-ed25519 SHA256:")
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> {tmp_path / 'none'}" in error.hint


async def test_a_changed_host_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    sshd.know(keygen(tmp_path / "another"))
    error = await why(sshd.transport())
    assert error.why.startswith("its host key has changed to ssh-ed25519 SHA256:")
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in error.hint


async def test_no_setting_makes_us_trust_just_anybody(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "config"
    config.write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile none\n")
    assert "its host key is not known" in (await why(sshd.transport(config=config, known_hosts=None))).why


async def test_a_key_that_opens_nothing(sshd: Sshd, tmp_path: Path) -> None:
    error = await why(sshd.transport(identity=keygen(tmp_path / "stranger")))
    assert error.why == f"authentication failed as root at 127.0.0.1 port {sshd.port}"
    assert "ssh-add -l" in error.hint


async def test_a_key_file_that_is_not_there(sshd: Sshd, tmp_path: Path) -> None:
    assert "missing" in (await why(sshd.transport(identity=tmp_path / "missing"))).why


async def test_what_accepts_and_hangs_up(sshd: Sshd) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert "closed the connection without an ssh banner" in (await why(sshd.transport(port=port))).why


async def test_the_operators_ssh_config_applies(sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host control-*\n  Hostname 127.0.0.1\n  Port {sshd.port}\n  User root\n  IdentityFile {sshd.identity}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    transport = SshTransport("c1", "control-1", config=config)
    assert (await transport.run(["echo", "hi"], timeout=20)).out == b"hi\n"
    await transport.close()


async def test_the_operators_jump_host_is_used(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"Host *\n  Hostname 127.0.0.1\n  Port {sshd.port}\n  User root\n  IdentityFile {sshd.identity}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\nHost inner\n  ProxyJump jump\n"
    )
    transport = SshTransport("c1", "inner")
    assert (await transport.run(["echo", "hi"], timeout=20)).out == b"hi\n"
    assert len(sshd.pids()) == 3
    await transport.close()


async def test_a_cloud_says_how(sshd: Sshd) -> None:
    cloud = Cloud.model_validate(
        {
            "cloud": "test",
            "networks": {"management": {"subnet": "127.0.0.0/24"}},
            "vips": {"api": {"address": "127.0.0.9"}},
            "controllers": {"c1": {"addresses": {"management": "127.0.0.1"}}},
            "ssh": {"user": "root", "port": sshd.port, "identity": "user_key", "known_hosts": "known_hosts"},
        }
    )
    transport = connect(cloud, "c1", sshd.folder)
    assert transport.host == "c1"
    assert (await transport.run(["echo", "hi"], timeout=20)).out == b"hi\n"
    await transport.close()


async def test_a_lease_can_be_renewed_while_questions_are_slow(ssh: SshTransport, tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    running = asyncio.create_task(ssh.run(["sh", "-c", f"echo > {started}; cat {started}"], timeout=20))
    await asyncio.to_thread(started.read_bytes)
    request = lease_request("acquire", "t", holder={}, root=str(tmp_path))
    assert read_leased("c1", await ssh.run(request.argv, request.stdin, timeout=20)).granted
    assert not running.done()
    await asyncio.to_thread(started.write_bytes, b"go")
    assert (await running).out == b"go"


async def test_no_python_there_is_told(sshd: Sshd, ssh: SshTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    del sshd, monkeypatch
    request = observe_request([], {})
    argv = ("no-python", *request.argv[1:])
    with pytest.raises(Unreachable, match="no-python") as caught:
        read_observed("c1", await ssh.run(argv, request.stdin, timeout=20))
    assert "apt-get install python3" in caught.value.hint
