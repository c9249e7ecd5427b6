"""The balancer in front of real memcacheds that speak TLS: sizes, pipelines, certificates, faults, secrecy."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import daemons
import pytest

from real.tls_stage import HOST, Authority, Balancer, Pair, Port, Relay, Server, said, until

MEMCACHED = ("memcached",)
MIB = 1 << 20
PATIENT = (
    "[timing]\nhedge = 4000\nsuspect = 5000\ndeadline = 8000\nprobe = 10000\nrise = 1\nlease = 60000\ndead = 200000"
)
"""A busy machine is forgiven, and nothing but the test's own requests comes along to wake a server that sleeps."""
SIZES = [0, 1, 100, 16_300, 16_384, 16_390, 65_536, 500_000, MIB - 200]


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    if shutil.which("memcached") is None:
        pytest.skip("no memcached on this machine")
    return Authority(tmp_path)


class Stage:
    """Starts servers and balancers, and ends them."""

    def __init__(self, folder: Path, ca: Authority) -> None:
        self.folder = folder
        self.ca = ca
        self.trust = f'ca = "{ca.file}"'
        self.pair = ca.issue("server")
        self._ends: list[Callable[[], None]] = []

    def three(self, *options: str, pair: Pair | None = None, program: Sequence[str] = MEMCACHED) -> list[Server]:
        """Start servers with this certificate, or with one that is in order."""
        return [self.server(pair or self.pair, *options, program=program) for _ in range(3)]

    def server(self, pair: Pair | None, *options: str, program: Sequence[str] = MEMCACHED) -> Server:
        server = Server(pair, *options, program=program)
        self._ends.append(server.stop)
        return server

    def balancer(
        self,
        servers: Sequence[Server | Relay | Port],
        tls: str | None = "",
        *,
        more: str = "",
        wait: bool | None = True,
    ) -> Balancer:
        """Start one that trusts the CA; `tls`: more of its section, None: no TLS at all."""
        section = f"{self.trust}\n{tls}" if tls is not None else None
        balancer = Balancer(self.folder, servers, section, more, wait=wait)
        self._ends.append(balancer.stop)
        return balancer

    def relay(self, server: Server) -> Relay:
        relay = Relay(server)
        self._ends.append(relay.stop)
        return relay

    def end(self) -> None:
        for end in reversed(self._ends):
            end()


@pytest.fixture
def stage(tmp_path: Path, ca: Authority) -> Iterator[Stage]:
    stage = Stage(tmp_path, ca)
    yield stage
    stage.end()


def value(size: int, seed: int = 0) -> bytes:
    return bytes((seed + n * 7) % 251 for n in range(min(size, 5021))) * (size // 5021 + 1)


def test_values_of_every_size_pass_both_ways(stage: Stage) -> None:
    balancer = stage.balancer(stage.three(), more=PATIENT)
    with balancer.connect() as client:
        for size in SIZES:
            data = value(size, size)[:size]
            assert said(client, b"set v%d 0 0 %d\r\n%b\r\n" % (size, size, data), b"\n") == b"STORED\r\n"
            heard = said(client, b"get v%d\r\n" % size, b"END\r\n")
            assert heard == b"VALUE v%d 0 %d\r\n%b\r\nEND\r\n" % (size, size, data)
    assert "is out" not in balancer.told()


def programs() -> list[list[str]]:
    """This machine's memcached, and Debian 13's if the lab has an image of it."""
    newer = daemons.memcached_with_proxy()
    return [["memcached"], newer] if newer not in ([], [daemons.which("memcached")]) else [["memcached"]]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("sizes", [[10], [900, 30, 7000], [20_000, 5], [16_384, 40_000, 1, 300]])
def test_hundreds_of_requests_at_once_wait_for_nothing(stage: Stage, number: int, sizes: list[int]) -> None:
    """What memcached up to 1.6.38 leaves in OpenSSL's buffer it would find only when more comes."""
    if number >= len(programs()):
        pytest.skip("no memcached of Debian 13 in the lab's images")
    balancer = stage.balancer(stage.three(program=programs()[number]), more=PATIENT)
    stored = [(b"k%d" % n, value(sizes[n % len(sizes)], n)[: sizes[n % len(sizes)]]) for n in range(300)]
    asked = b"".join(b"set %b 0 0 %d\r\n%b\r\nget %b\r\n" % (key, len(data), data, key) for key, data in stored)
    answer = b"".join(b"STORED\r\nVALUE %b 0 %d\r\n%b\r\nEND\r\n" % (key, len(data), data) for key, data in stored)
    with balancer.connect() as client:
        sender = threading.Thread(target=client.sendall, args=[asked + b"mn\r\n"])
        sender.start()
        assert said(client, b"", b"MN\r\n") == answer + b"MN\r\n"
        sender.join()
    assert "is out" not in balancer.told()


def test_what_is_wrong_with_a_server_is_told_once_with_what_to_do(stage: Stage, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    cases = {
        "speaks plain": (None, "TLS: it answers without TLS (b'ERROR'): start it with -Z"),
        "wrong CA": (stranger.issue("theirs"), "TLS: its certificate was signed by nobody trusted"),
        "wrong name": (
            stage.ca.issue("elsewhere", hosts=["192.0.2.1", "localhost"]),
            "TLS: its certificate is not for 127.0.0.1: it needs the subjectAltName IP:127.0.0.1",
        ),
        "expired": (stage.ca.issue("old", since=-3, to=-1), "TLS: its certificate, or its CA's, has expired: renew it"),
        "not yet": (stage.ca.issue("new", since=1, to=3), "TLS: its certificate is not valid yet: compare the clocks"),
    }
    servers = [stage.server(pair) for pair, _ in cases.values()]
    balancer = stage.balancer(servers, wait=False)
    with socket.create_connection((HOST, servers[0].port)) as plain:
        until(lambda: int(statistics(plain)["total_connections"]) > 5)  # called again, and as bad as before
    for number, (_, why) in enumerate(cases.values()):
        assert balancer.told().count(f"server s{number} is out: {why}") == 1
        assert balancer.reason(number).startswith(why)
    assert balancer.told().count("\n") == len(cases)


def statistics(sock: socket.socket) -> dict[str, str]:
    rows = said(sock, b"stats\r\n", b"END\r\n").decode().splitlines()
    return dict(row.split(" ", 2)[1:] for row in rows if row.startswith("STAT "))


@pytest.mark.parametrize("program", range(2))
def test_servers_that_want_a_certificate_get_it_or_say_so(stage: Stage, program: int, tmp_path: Path) -> None:
    if program >= len(programs()):
        pytest.skip("no memcached of Debian 13 in the lab's images")
    mutual = "-o", f"ssl_verify_mode=2,ssl_ca_cert={stage.ca.file}"
    servers = stage.three(*mutual, program=programs()[program])
    own = stage.ca.issue("client")
    balancer = stage.balancer(servers, f'cert = "{own.cert}"\nkey = "{own.key}"')
    assert balancer.store(b"a", b"1") == b"STORED\r\n"
    assert balancer.get(b"a") == b"VALUE a 0 1\r\n1\r\nEND\r\n"
    for name, section, why in (
        ("none", "", "TLS: it wants a client certificate"),
        ("stranger", certified(Authority(tmp_path, "stranger").issue("theirs")), "TLS: it does not know the CA"),
        ("old", certified(stage.ca.issue("old", since=-3, to=-1)), "TLS: it says that tls.cert has expired"),
    ):
        (stage.folder / name).mkdir()
        refused = Balancer(stage.folder / name, servers, f"{stage.trust}\n{section}", wait=False)
        until(lambda refused=refused, why=why: refused.told().count(f"is out: {why}") == 3)  # type: ignore[misc]
        refused.stop()


def certified(pair: Pair) -> str:
    return f'cert = "{pair.cert}"\nkey = "{pair.key}"'


def test_without_verify_any_certificate_is_taken(stage: Stage, tmp_path: Path) -> None:
    theirs = Authority(tmp_path, "stranger").issue("theirs", hosts=["other.example"], since=-3, to=-1)
    stage.trust = "verify = false"
    assert stage.balancer(stage.three(pair=theirs)).store(b"a", b"1") == b"STORED\r\n"


def test_a_password_goes_over_tls(stage: Stage, tmp_path: Path) -> None:
    accounts, password = tmp_path / "accounts", tmp_path / "password"
    accounts.write_text("cache:s3cret\n")
    password.write_text("s3cret\n")
    auth = f'[auth]\nuser = "cache"\npassword_file = "{password}"'
    balancer = stage.balancer(stage.three("-Y", str(accounts)), more=auth)
    assert balancer.store(b"a", b"1") == b"STORED\r\n"
    assert balancer.get(b"a") == b"VALUE a 0 1\r\n1\r\nEND\r\n"
    assert "auth.password_file" in balancer.told()  # it can be read by everybody


# --- renewal ------------------------------------------------------------------------------------------------------


def test_a_server_whose_certificate_was_renewed_is_used_again(stage: Stage) -> None:
    old = stage.ca.issue("renewed", since=-3, to=-1)
    servers = [*stage.three()[:2], stage.server(old)]
    balancer = stage.balancer(servers, wait=False)
    until(lambda: "s2 is out: TLS: its certificate" in balancer.told())
    stage.ca.issue("renewed")
    assert servers[2].refresh_certificates() == b"OK\r\n"
    until(balancer.is_open)


def test_a_reload_reads_the_certificates_again_and_refuses_bad_ones(stage: Stage) -> None:
    own = stage.ca.issue("client", since=-3, to=-1)
    mutual = "-o", f"ssl_verify_mode=2,ssl_ca_cert={stage.ca.file}"
    balancer = stage.balancer(stage.three(*mutual), certified(own), wait=False)
    until(lambda: balancer.told().count("is out: TLS: it says that tls.cert has expired") == 3)
    with balancer.connect() as client:
        good = stage.ca.issue("client").key.read_bytes()
        own.key.write_text("nothing")
        balancer.process.send_signal(signal.SIGHUP)
        until(lambda: "the old one stays in force" in balancer.told())
        assert f'tls.key: "{own.key}"'[:40] in balancer.told()
        own.key.write_bytes(good)
        balancer.process.send_signal(signal.SIGHUP)
        until(lambda: balancer.told().count("is used") == 3)
        until(lambda: said(client, b"set a 0 0 1\r\n1\r\n", b"\n") == b"STORED\r\n")


def test_turning_tls_on_by_a_reload_keeps_the_values(stage: Stage) -> None:
    servers = stage.three()
    balancer = stage.balancer([Port(server.plain_port) for server in servers], None)
    with balancer.connect() as client:
        for n in range(100):
            assert said(client, b"set k%d 0 0 1\r\n1\r\n" % n, b"\n") == b"STORED\r\n"
        before = balancer.told().count("is used")
        balancer.servers, balancer.tls = servers, stage.trust
        balancer.configure()
        balancer.process.send_signal(signal.SIGHUP)
        until(lambda: balancer.told().count("is used") == before + 3)
        for n in range(100):
            assert said(client, b"get k%d\r\n" % n, b"END\r\n") == b"VALUE k%d 0 1\r\n1\r\nEND\r\n" % n


# --- faults -------------------------------------------------------------------------------------------------------


def test_a_read_from_a_frozen_server_is_answered_by_the_other_copy(stage: Stage) -> None:
    """Hedged: the frozen server would be waited for much longer than that takes."""
    patient = (
        "[timing]\nhedge = 15\nsuspect = 8000\ndeadline = 10000\nprobe = 4000\nrise = 1\nlease = 60000\ndead = 200000"
    )
    servers = stage.three()
    balancer = stage.balancer(servers, more=patient)
    keys = [b"k%d" % n for n in range(30)]
    for key in keys:
        assert balancer.store(key, b"1") == b"STORED\r\n"
    servers[0].process.send_signal(signal.SIGSTOP)
    with balancer.connect() as client:
        began = time.monotonic()
        for key in keys:
            assert said(client, b"get %b\r\n" % key, b"END\r\n") == b"VALUE %b 0 1\r\n1\r\nEND\r\n" % key
        assert time.monotonic() - began < 8
    assert "is out" not in balancer.told()


def test_a_server_that_froze_makes_good_what_it_missed(stage: Stage) -> None:
    servers = stage.three()
    balancer = stage.balancer(servers)
    keys = [b"k%d" % n for n in range(100)]
    servers[1].process.send_signal(signal.SIGSTOP)
    with balancer.connect() as client:
        for key in keys:
            assert said(client, b"set %b 0 0 1\r\n1\r\n" % key, b"\n") == b"STORED\r\n"
        until(lambda: "s1 is out: has not answered" in balancer.told())
        servers[1].process.send_signal(signal.SIGCONT)
        until(lambda: "s1 has made good" in balancer.told())
        for key in keys:
            assert said(client, b"get %b\r\n" % key, b"END\r\n") == b"VALUE %b 0 1\r\n1\r\nEND\r\n" % key


def test_a_server_that_is_given_up_sees_a_reset_and_nothing_else(stage: Stage) -> None:
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(stage.pair.cert, stage.pair.key)
    with socket.create_server((HOST, 0)) as listener:
        stage.balancer([Port(listener.getsockname()[1])], wait=None)
        plain, _ = listener.accept()
        silent = secure.wrap_socket(plain, server_side=True)
        with socket.socket(fileno=silent.detach()) as below:  # Python's TLS takes a reset for an end
            below.settimeout(10)
            assert below.recv(65536)
            with pytest.raises(ConnectionResetError):
                until(lambda: not below.recv(65536))


# --- secrecy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secured", [True, False])
def test_on_the_wire_nothing_can_be_read(stage: Stage, secured: bool) -> None:
    pair = stage.pair if secured else None
    servers = [stage.server(pair) for _ in range(3)]
    relays = [stage.relay(server) for server in servers]
    balancer = stage.balancer(relays, None if not secured else "")
    for n in range(20):
        assert balancer.store(b"thekey%d" % n, b"thevalue") == b"STORED\r\n"
        assert b"thevalue" in balancer.get(b"thekey%d" % n)
    words = [b"thekey", b"thevalue", b"STORED", b"quorate:", b"get "]
    for relay in relays:
        assert [word in relay.seen for word in words] == [not secured] * len(words)
