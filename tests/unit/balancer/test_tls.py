"""The socket that encrypts, over a wire that gives and takes what the test says; the context and its mistakes."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives import serialization

from quorate.balancer import tls
from quorate.balancer.config import ConfigError, Tls, load
from quorate.balancer.health import LASTING, Health
from quorate.balancer.tls import RECORD, Secured, records
from real.tls_stage import HOST, Authority, Pair

READ = 65536


class Wire:
    """What `Secured` takes for its socket: gives what was put into `inbox`, takes as much at a time as `takes`."""

    def __init__(self) -> None:
        self.inbox: deque[bytes] = deque()
        self.sent = b""
        self.takes = deque[int]()  # then everything
        self.fails: OSError | None = None

    def recv(self, size: int) -> bytes:
        if not self.inbox:
            raise BlockingIOError
        data = self.inbox.popleft()
        assert len(data) <= size
        return data

    def send(self, data: bytes) -> int:
        if self.fails is not None:
            raise self.fails
        taken = self.takes.popleft() if self.takes else len(data)
        if not taken:
            raise BlockingIOError
        self.sent += data[:taken]
        return min(taken, len(data))

    def close(self) -> None:
        raise NotImplementedError

    fileno = setsockopt = close


class Far:
    """The server: what it reads and writes stays in memory until the test carries it."""

    def __init__(self, pair: Pair, ca: Authority | None = None) -> None:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(pair.cert, pair.key)
        if ca is not None:
            secure.load_verify_locations(ca.file)
            secure.verify_mode = ssl.CERT_REQUIRED
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = secure.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def shake(self, data: bytes) -> bytes:
        self.incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def says(self, *texts: bytes) -> bytes:
        """Each in records of its own."""
        for text in texts:
            self.tls.write(text)
        return self.outgoing.read()

    def heard(self, data: bytes) -> list[bytes]:
        """The records in this."""
        self.incoming.write(data)
        found = []
        while self.incoming.pending:
            found.append(self.tls.read(READ))
        return found


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def near(ca: Authority, wire: Wire) -> Secured:
    return Secured(cast("socket.socket", wire), tls.context(Tls(ca=str(ca.file))), HOST)


def joined(ca: Authority) -> tuple[Secured, Wire, Far]:
    """Both, their handshake done, and nothing on the wire but the server's tickets."""
    wire, far = Wire(), Far(ca.issue("server"))
    secured = near(ca, wire)
    assert secured.handshake() == select.EPOLLIN
    wire.inbox.append(far.shake(wire.sent))
    wire.sent = b""
    assert secured.handshake() == 0
    wire.inbox.append(far.shake(wire.sent))
    wire.sent = b""
    return secured, wire, far


def pass_tickets(secured: Secured) -> None:
    with pytest.raises(BlockingIOError):
        secured.recv(READ)


def test_a_handshake_says_what_it_waits_for(ca: Authority) -> None:
    wire, far = Wire(), Far(ca.issue("server"))
    secured = near(ca, wire)
    wire.takes += [100, 0, 7]
    assert secured.handshake() == select.EPOLLIN | select.EPOLLOUT
    assert secured.handshake() == select.EPOLLIN | select.EPOLLOUT
    assert secured.handshake() == select.EPOLLIN | select.EPOLLOUT
    assert secured.handshake() == select.EPOLLIN
    flight = far.shake(wire.sent)
    wire.sent = b""
    wire.inbox += [flight[:500], flight[500:]]
    wire.takes += [10]
    assert secured.handshake() == select.EPOLLIN
    assert secured.handshake() == select.EPOLLOUT  # it could decrypt, but its last word is not said
    assert secured.handshake() == 0
    far.shake(wire.sent)
    wire.sent = b""
    assert secured.send(b"get a\r\n") == 7
    assert far.heard(wire.sent) == [b"get a\r\n"]


def test_tickets_are_nothing_to_read(ca: Authority) -> None:
    secured, wire, _ = joined(ca)
    assert wire.inbox[0]
    pass_tickets(secured)
    assert not wire.inbox


def test_all_records_of_one_read_are_given_at_once(ca: Authority) -> None:
    """Epoll would not tell of one that stayed behind."""
    secured, wire, far = joined(ca)
    texts = [b"%d\r\n" % n for n in range(500)]
    wire.inbox[0] += far.says(*texts)
    assert secured.recv(READ) == b"".join(texts)
    wire.inbox.append(far.says(b"x" * 60_000))
    assert secured.recv(READ) == b"x" * 60_000


def test_a_record_that_comes_in_pieces_is_given_when_it_is_whole(ca: Authority) -> None:
    secured, wire, far = joined(ca)
    pass_tickets(secured)
    data = far.says(b"hello")
    wire.inbox += [bytes([byte]) for byte in data]
    for _ in range(len(data) - 1):
        with pytest.raises(BlockingIOError):
            secured.recv(READ)
    assert secured.recv(READ) == b"hello"


def test_what_the_socket_does_not_take_goes_out_once(ca: Authority) -> None:
    secured, wire, far = joined(ca)
    data = b"".join(b"get key%d\r\n" % n for n in range(5000))
    wire.takes += [1000, 0, 20_000]
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            secured.send(data)
    assert secured.send(data) == len(data)
    assert secured.send(b"get last\r\n") == 10
    assert b"".join(far.heard(wire.sent)) == data + b"get last\r\n"


def test_the_end_comes_after_what_was_said_before(ca: Authority) -> None:
    secured, wire, far = joined(ca)
    pass_tickets(secured)
    data = far.says(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        far.tls.unwrap()
    wire.inbox += [data + far.outgoing.read(), b""]
    assert secured.recv(READ) == b"last words"
    assert secured.recv(READ) == b""


def test_what_was_changed_on_the_way_is_an_error(ca: Authority) -> None:
    secured, wire, far = joined(ca)
    data = bytearray(far.says(b"hello"))
    data[-1] ^= 1
    wire.inbox.append(bytes(data))
    pass_tickets(secured)
    with pytest.raises(OSError, match="TLS: decryption failed or bad record mac"):
        secured.recv(READ)


@pytest.mark.parametrize("writes", [False, True])
def test_a_server_that_wants_a_certificate_is_heard_even_if_it_has_hung_up(ca: Authority, writes: bool) -> None:
    wire, far = Wire(), Far(ca.issue("server"), ca)
    secured = near(ca, wire)
    secured.handshake()
    wire.inbox.append(far.shake(wire.sent))
    wire.sent = b""
    assert secured.handshake() == 0  # with TLS 1.3 the client is done first
    with pytest.raises(ssl.SSLError):
        far.shake(wire.sent)
    wire.inbox.append(far.outgoing.read())
    wire.fails = ConnectionResetError("reset")
    with pytest.raises(OSError, match="TLS: it wants a client certificate"):
        secured.send(b"get a\r\n") if writes else secured.recv(READ)


def test_closing_is_a_reset_and_nothing_else(ca: Authority) -> None:
    far = Far(ca.issue("server"))
    with socket.create_server((HOST, 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other = listener.accept()[0]
    secured = Secured(sock, tls.context(Tls(ca=str(ca.file))), HOST)
    with other:
        assert secured.handshake() == select.EPOLLIN
        other.sendall(far.shake(other.recv(READ)))
        assert secured.handshake() == 0
        other.sendall(far.shake(other.recv(READ)))
        secured.send(b"get a\r\n")
        assert far.heard(other.recv(READ)) == [b"get a\r\n"]
        secured.close()
        with pytest.raises(ConnectionResetError):
            other.recv(READ)


def test_a_server_that_hangs_up_at_once_is_said_to(ca: Authority) -> None:
    wire = Wire()
    secured = near(ca, wire)
    secured.handshake()
    wire.inbox.append(b"")
    with pytest.raises(OSError, match="closed the connection during the TLS handshake"):
        secured.handshake()


# --- records ------------------------------------------------------------------------------------------------------


def command(size: int) -> bytes:
    return b"set a 0 0 %d\r\n%b\r\n" % (size, b"\r\nset b 0 0 9\r\n"[: size % 16].ljust(size, b"v"))


@pytest.mark.parametrize(
    "commands",
    [
        [b"get a\r\n"] * 5000,
        [command(size) for size in (10, 16_300, 5, 16_384, 0, 100_000, 1, 8000, 8000, 8000, 30)],
        [b"ms a %d T0 c\r\n%b\r\n" % (size, b"v" * size) for size in (3, 20_000, 3, 16_370, 3)],
        [b"get " + b" ".join(b"%05d" % n for n in range(9000)) + b"\r\n", b"mg a v\r\n", command(3)],
        [command(1_000_000)],
    ],
)
def test_a_record_ends_where_a_command_ends(commands: list[bytes]) -> None:
    data = b"".join(commands)
    pieces = list(records(data))
    assert b"".join(pieces) == data
    left = list(commands)
    for piece in pieces:
        count, size = 0, 0
        while size < len(piece):
            size += len(left[count])
            count += 1
        assert size == len(piece)
        assert size <= RECORD or count == 1
        del left[:count]
    assert all(len(one) + len(two) > RECORD for one, two in pairwise(pieces))


# --- certificates and reasons -------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_used_is_named(ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = ca.issue("own")
    ca.issue("other")
    (tmp_path / "none").write_text("nothing\n")
    secret = serialization.load_pem_private_key(own.key.read_bytes(), None)
    locked = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (tmp_path / "locked").write_bytes(locked)
    for given, told in (
        (Tls(ca="none"), "tls.ca: .*none.* cannot be used .*, allowed: certificates in PEM"),
        (Tls(ca="ca.pem", cert="none", key="own.key"), "tls.cert: .*none.* cannot be used"),
        (Tls(cert="own.crt", key="none"), "tls.key: .*none.* cannot be used"),
        (Tls(cert="own.crt", key="other.key"), "tls.key: .* cannot be used .key values mismatch."),
        (
            Tls(cert="own.crt", key="locked"),
            "tls.key: .*locked.* is encrypted, allowed: the key of tls.cert in PEM",
        ),
    ):
        with pytest.raises(ValueError, match=told):
            tls.context(given)


def test_the_configuration_is_refused_with_them_and_open_keys_are_noted(ca: Authority, tmp_path: Path) -> None:
    own = ca.issue("own")
    file = tmp_path / "b.toml"
    file.write_text(
        'name = "a"\n[[servers]]\naddress = "127.0.0.1:1"\n'
        f'[tls]\nca = "{ca.file}"\ncert = "{own.cert}"\nkey = "{own.key}"\n'
    )
    assert load(file).notes == ()
    own.key.chmod(0o644)
    assert "can be read by everybody" in load(file).notes[0]
    own.cert.write_text("nothing")
    with pytest.raises(ConfigError, match=r"b.toml: tls.cert: .* cannot be used"):
        load(file)


def test_without_verify_neither_name_nor_issuer_matters() -> None:
    made = tls.context(Tls(verify=False))
    assert made.verify_mode == ssl.CERT_NONE
    assert not made.check_hostname
    assert tls.context(Tls()).verify_mode == ssl.CERT_REQUIRED
    assert tls.context(Tls()).check_hostname


def test_what_somebody_must_mend_is_told_of_a_server_that_is_out_already() -> None:
    health = Health(rise=2, settle=1.0, probe=0.1, missed=10)
    assert health.lost("ECONNREFUSED", 1.0)
    assert health.reason == "ECONNREFUSED"
    assert not health.lost("closed the connection", 2.0)
    assert health.lost(f"{LASTING}expired", 3.0)
    assert not health.lost(f"{LASTING}expired", 4.0)
    assert not health.lost("ECONNREFUSED", 5.0)
    assert (health.reason, health.losses) == (f"{LASTING}expired", 1)
