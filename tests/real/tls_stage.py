"""Certificates, memcacheds that speak TLS, and a balancer in front of them: what test_balancer_tls.py plays on."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ports import free_port

HOST = "127.0.0.1"
DAY = dt.timedelta(days=1)


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """A CA with a folder to write to."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._self = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} of a test")])
        self.file = folder / f"{name}.pem"
        basic = x509.BasicConstraints(ca=True, path_length=0)
        made = self._builder(self._self, self._key, -1, 2).add_extension(basic, critical=True)
        self._write(self.file, made)

    def issue(self, name: str, *, hosts: Sequence[str] = (HOST,), since: int = -1, to: int = 1) -> Pair:
        """Write a certificate for these addresses or names, valid from and to so many days from now."""
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [_general_name(host) for host in hosts]
        made = self._builder(subject, key, since, to).add_extension(x509.SubjectAlternativeName(names), critical=False)
        plain = serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(secret)
        self._write(pair.cert, made)
        return pair

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, since: int, to: int
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._self)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since * DAY)
            .not_valid_after(now + to * DAY)
        )

    def _write(self, file: Path, made: x509.CertificateBuilder) -> None:
        file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Server:
    """A memcached on loopback. It speaks TLS if it has a pair, but not at `plain_port`. `options`: more of its own."""

    def __init__(self, pair: Pair | None, *options: str, program: Sequence[str] = ("memcached",)) -> None:
        self.port, self.plain_port = free_port(), free_port()
        self.pair = pair
        self.options = options
        self.program = program
        self.start()

    def start(self) -> None:
        command = [*self.program, "-p", str(self.port), "-U", "0", "-u", "root", "-m", "64", "-t", "1"]
        if self.pair is None:
            command += ["-l", HOST]
        else:
            command += ["-l", f"{HOST}:{self.port},notls:{HOST}:{self.plain_port}"]
            command += ["-Z", "-o", f"ssl_chain_cert={self.pair.cert},ssl_key={self.pair.key}"]
        self.process = subprocess.Popen([*command, *self.options], stderr=subprocess.DEVNULL)
        until(self._listens)

    def _listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def refresh_certificates(self) -> bytes:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        secure.check_hostname = False
        secure.verify_mode = ssl.CERT_NONE
        with secure.wrap_socket(socket.create_connection((HOST, self.port), timeout=5)) as sock:
            return said(sock, b"refresh_certs\r\n", b"\n")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Port:
    """Where a server can be reached, too."""

    port: int


@dataclass
class Balancer:
    """A balancer in front of servers. `more`: lines at the top of its file.

    `wait`: until all are used, until anything is told of them (False), or not at all (None).
    """

    folder: Path
    servers: Sequence[Server | Relay | Port]
    tls: str | None
    more: str = ""
    wait: bool | None = True
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.file = self.folder / "balancer.toml"
        self.log = self.folder / "log"
        self.configure()
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "quorate.balancer", "-c", str(self.file)]
            self.process = subprocess.Popen(command, stderr=log)
        try:
            if self.wait is not None:
                until(self.is_open if self.wait else lambda: self.told() != "", 60)
        except AssertionError:
            self.stop()
            raise

    def configure(self) -> None:
        ports = [server.port for server in self.servers]
        lines = [f'listen = "{HOST}:{self.port}"', 'name = "a"', self.more]
        for number, port in enumerate(ports):
            lines += ["[[servers]]", f'name = "s{number}"', f'address = "{HOST}:{port}"']
        lines += ["[tls]", self.tls] if self.tls is not None else []
        self.file.write_text("\n".join(lines) + "\n")

    def is_open(self) -> bool:
        try:
            with self.connect() as sock:
                return all(state == "up" for state in self.states(sock))
        except OSError:
            return False

    def states(self, sock: socket.socket) -> list[str]:
        return [told for name, told in self.stats(sock).items() if name.endswith(":state")]

    def stats(self, sock: socket.socket) -> dict[str, str]:
        """What `stats servers` says."""
        sock.sendall(b"stats servers\r\n")
        reply = ""
        while not reply.endswith("END\r\n"):
            more = sock.recv(65536).decode()
            if not more:
                raise ConnectionResetError
            reply += more
        rows = [line.split(" ", 2) for line in reply.splitlines() if line.startswith("STAT ")]
        return {row[1]: row[2] for row in rows}

    def reason(self, server: int = 0) -> str:
        with self.connect() as sock:
            return self.stats(sock)[f"s{server}:reason"]

    def told(self) -> str:
        return self.log.read_text()

    def connect(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=10)

    def store(self, key: bytes, data: bytes) -> bytes:
        with self.connect() as sock:
            return said(sock, b"set %b 0 0 %d\r\n%b\r\n" % (key, len(data), data), b"\n")

    def get(self, key: bytes) -> bytes:
        with self.connect() as sock:
            return said(sock, b"get %b\r\n" % key, b"END\r\n")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def said(sock: socket.socket, data: bytes, end: bytes) -> bytes:
    sock.sendall(data)
    reply = bytearray()
    while not reply.endswith(end):
        more = sock.recv(1 << 20)
        assert more, f"hung up after {bytes(reply[-100:])!r}"
        reply += more
    return bytes(reply)


class Relay:
    """Stands before a server and keeps every byte that passes."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seen = bytearray()
        self.listener = socket.create_server((HOST, 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                far = socket.create_connection((HOST, self.server.port))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=[one, other], daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self.seen += data
                other.sendall(data)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
