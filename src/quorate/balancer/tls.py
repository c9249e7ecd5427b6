"""TLS towards the servers: what certificates make a context, and a socket that encrypts.

OpenSSL never holds the socket. It works on memory, and `Secured` carries the bytes between: one system call takes as
much as without TLS, nothing stays decrypted where epoll cannot see it, and closing sends nothing but a reset.

How what is written falls into records matters to memcached up to 1.6.38 (Debian 13's): it
reads the rest of a value by itself, and if the same record holds another command, OpenSSL keeps that and memcached
sleeps until more comes (fixed in 1.6.39). So a record ends where a command does: `records`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from quorate.balancer.command import MAX_BLOCK
from quorate.balancer.health import LASTING
from quorate.balancer.protocol import parse
from quorate.balancer.sections import shown

if TYPE_CHECKING:
    from quorate.balancer.config import Tls

RECORD = 16384
"""Bytes of the longest record, and of memcached's read buffer."""
_STORES = (b"set ", b"add ", b"replace ", b"append ", b"prepend ", b"cas ", b"ms ")
_TLS_TYPES = range(20, 25)
"""First bytes of records; a server that answers with any other speaks no TLS."""
_EXPIRED, _NOT_YET, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 62, 64
_NO_ISSUER = frozenset({2, 18, 19, 20, 21, 27})
"""What OpenSSL finds wrong with a certificate (X509_V_ERR_…)."""
_ALERTS = {
    "CERTIFICATE_REQUIRED": "wants a client certificate, allowed: tls.cert and tls.key",
    "HANDSHAKE_FAILURE": "finds nothing in common; perhaps it wants a client certificate (tls.cert, tls.key)",
    "UNKNOWN_CA": "does not know the CA that signed tls.cert, allowed: one of its ssl_ca_cert",
    "CERTIFICATE_EXPIRED": "says that tls.cert has expired: renew it and reload this balancer",
    "BAD_CERTIFICATE": "refuses tls.cert",
    "UNSUPPORTED_CERTIFICATE": "refuses tls.cert: it is not made for clients",
    "CERTIFICATE_UNKNOWN": "refuses tls.cert",
    "CERTIFICATE_REVOKED": "says that tls.cert was revoked",
    "PROTOCOL_VERSION": "has no TLS 1.2 or newer",
}
"""What a server says before it hangs up, and what to do."""


# --- certificates ---------------------------------------------------------------------------------------------


def context(tls: Tls) -> ssl.SSLContext:
    """Make what connections are secured with. ValueError: `key: what, allowed: …` of the file that cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif tls.ca:
        _load("ca", tls.ca, "certificates in PEM", lambda: made.load_verify_locations(tls.ca))
    else:
        made.load_default_certs()
    if tls.cert:
        holder = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for its errors: a chain's do not tell which file they mean
        _load("cert", tls.cert, "certificates in PEM", lambda: holder.load_verify_locations(tls.cert))
        own = "the key of tls.cert in PEM, not encrypted"
        _load("key", tls.key, own, lambda: made.load_cert_chain(tls.cert, tls.key, password=_encrypted))
    return made


def _load(key: str, file: str, allowed: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        why = f"cannot be used ({_words(error)})"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValueError as error:
        why = str(error)
    else:
        return
    raise ValueError(f"tls.{key}: {shown(file)} {why}, allowed: {allowed}")


def _encrypted() -> bytes:
    raise ValueError("is encrypted")


# --- the socket -----------------------------------------------------------------------------------------------


class Secured:
    """A connected socket, non-blocking, that encrypts: `recv` and `send` as its own are, once `handshake` is done.

    `host` is whom the server's certificate must name.
    """

    __slots__ = ("_first", "_host", "_incoming", "_left", "_outgoing", "_sock", "_tls", "close", "fileno", "setsockopt")

    def __init__(self, sock: socket.socket, secure: ssl.SSLContext, host: str) -> None:
        self._sock = sock
        self._host = host.rstrip(".")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = secure.wrap_bio(self._incoming, self._outgoing, server_hostname=self._host)
        self._left = b""  # encrypted output that the socket did not take
        self._first = b""  # what the server began with
        self.close, self.fileno, self.setsockopt = sock.close, sock.fileno, sock.setsockopt

    def handshake(self) -> int:
        """Go on with it; returns what epoll must wait for, 0 when done. OSError: why it failed, and what to do."""
        with contextlib.suppress(BlockingIOError):
            data = self._sock.recv(RECORD)
            if not data:
                raise OSError("closed the connection during the TLS handshake")
            self._first = self._first or data[:60]
            self._incoming.write(data)
        wants = 0
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            wants = select.EPOLLIN
        except ssl.SSLError as error:
            with contextlib.suppress(OSError):
                self._sock.send(self._outgoing.read())  # the alert, for the server's log
            raise OSError(self._why(error)) from error
        self._left += self._outgoing.read()
        with contextlib.suppress(BlockingIOError):
            self._left = self._left[self._sock.send(self._left) :] if self._left else b""
        return wants | select.EPOLLOUT if self._left else wants

    def recv(self, size: int) -> bytes:
        """Read, and decrypt every record that is complete; nothing that epoll cannot see is left behind."""
        data = self._sock.recv(size)
        if not data:
            return b""
        self._incoming.write(data)
        chunks: list[bytes] = []
        try:
            while self._incoming.pending:
                chunk = self._tls.read(RECORD)  # one record, all of it
                if not chunk:  # the server ends the connection in order
                    return b"".join(chunks)
                chunks.append(chunk)
        except ssl.SSLWantReadError:  # of a record the rest is still to come, or it was TLS's own
            if not chunks:
                raise BlockingIOError from None
        except ssl.SSLError as error:
            raise OSError(self._why(error)) from error
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def send(self, data: bytes) -> int:
        """Write all of it. BlockingIOError: the socket did not take all; call again with the same data, as OpenSSL."""
        if not self._left:
            for piece in records(data):
                self._tls.write(piece)
            self._left = self._outgoing.read()
        try:
            sent = self._sock.send(self._left)
        except ConnectionError:
            with contextlib.suppress(BlockingIOError):
                self.recv(RECORD)  # the server may have said why
            raise
        if sent < len(self._left):
            self._left = self._left[sent:]
            raise BlockingIOError
        self._left = b""
        return len(data)

    def _why(self, error: ssl.SSLError) -> str:
        """What went wrong and what to do about it, in words."""
        if self._first and self._first[0] not in _TLS_TYPES:
            return f"{LASTING}it answers without TLS ({self._first.splitlines()[0]!r}): start it with -Z"
        if isinstance(error, ssl.SSLCertVerificationError):
            return LASTING + self._unverified(error)
        alert = (error.reason or "").rpartition("ALERT_")
        if alert[1]:
            return f"{LASTING}it {_ALERTS.get(alert[2], f'says {_words(error)}')}"
        return LASTING + _words(error)

    def _unverified(self, error: ssl.SSLCertVerificationError) -> str:
        code = error.verify_code
        if code == _EXPIRED:
            return (
                "its certificate, or its CA's, has expired: renew it, then restart memcached or say refresh_certs to it"
            )
        if code == _NOT_YET:
            return "its certificate is not valid yet: compare the clocks"
        if code in {_WRONG_NAME, _WRONG_ADDRESS}:
            kind = "DNS" if code == _WRONG_NAME else "IP"
            return f"its certificate is not for {self._host}: it needs the subjectAltName {kind}:{self._host}"
        if code in _NO_ISSUER:
            return f"its certificate was signed by nobody trusted, allowed: by a CA of tls.ca ({error.verify_message})"
        return f"its certificate is refused ({error.verify_message})"


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def records(data: bytes) -> Iterator[bytes]:
    """Cut whole commands so that each piece is written as records of its own: as many as fit into one, or one command.

    memcached has read what came before, so it finds a piece that fits into a record in its buffer, and of a longer one
    it reads as many bytes as the command has.
    """
    if len(data) <= RECORD:
        yield data
        return
    start = end = 0
    while end < len(data):
        following = _command_end(data, end)
        if start < end and following - start > RECORD:
            yield data[start:end]
            start = end
        end = following
    yield data[start:]


def _command_end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start) + 1 or len(data)
    if data.startswith(_STORES, start):
        size = parse(data[start : end - 2], MAX_BLOCK).size
        end += size + 2 if size >= 0 else 0
    return min(end, len(data))
