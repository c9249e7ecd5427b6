"""Clients of `bench/soak.py` that are a nuisance, each for some seconds: what they asked, and what was wrong.

A refusal (NOT_STORED, SERVER_ERROR) is counted and no mistake: servers are killed meanwhile. Another reply than one to
the request, and a connection that the balancer closes, is.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LARGE = 900_000
"""Bytes of a large value."""
READERS = 20
"""Who ask for much and never read."""
REFUSALS = (
    b"NOT_STORED\r\n",
    b"SERVER_ERROR ",
    b"END\r\n",
    b"EN\r\n",
    b"EN ",  # with the key and the opaque that were asked for
    b"NS\r\n",
    b"NF\r\n",
    b"NOT_FOUND\r\n",
    b"EXISTS\r\n",
)
"""What is no mistake while servers come and go: a miss is none either."""
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Tally:
    """What a client did."""

    requests: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count the other's in."""
        self.requests += other.requests
        self.refused += other.refused
        self.wrong += other.wrong


def connect(port: int) -> socket.socket:
    """Connect, as clients do."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read(sock: socket.socket, ends: Sequence[bytes]) -> bytes:
    """Return a reply up to one of these ends; what there is if the connection ends."""
    reply = b""
    while not reply.endswith(tuple(ends)):
        more = sock.recv(1 << 20)
        if not more:
            return reply
        reply += more
    return reply


MIXED: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"set %b 0 60 2\r\n12\r\n", (b"STORED\r\n",)),
    (b"add %b 0 60 1\r\n1\r\n", (b"STORED\r\n",)),
    # (no number: the set above was refused, and so was the delete of what the last round left)
    (b"incr %b 5\r\n", (b"1", b"2", b"CLIENT_ERROR cannot increment")),
    (b"append %b 0 0 1\r\n7\r\n", (b"STORED\r\n",)),
    (b"gets %b\r\n", (b"VALUE %b ",)),
    (b"get %b a b c\r\n", (b"VALUE %b ",)),
    (b"gat 60 %b\r\n", (b"VALUE %b ",)),
    (b"touch %b 60\r\n", (b"TOUCHED\r\n",)),
    (b"cas %b 0 0 1 7\r\n1\r\n", (b"EXISTS\r\n",)),
    (b"mg %b v k t c Oab\r\n", (b"VA ",)),
    (b"ms %b 2 T60\r\nhi\r\n", (b"HD",)),
    (b"md %b q\r\nmn\r\n", (b"MN\r\n", b"NF\r\nMN\r\n")),
    (b"delete %b\r\n", (b"DELETED\r\n",)),
    (b"nonsense %b\r\n", (b"ERROR\r\n",)),
    (b"get " + b"k" * 251 + b" %b\r\n", (b"CLIENT_ERROR ",)),
    (b"stats\r\n", (b"STAT ",)),
)
"""Commands, and how their replies begin."""


def mixed(port: int, seconds: float) -> Tally:
    """Say every kind of command, on a connection that is new now and then."""
    tally = Tally()
    until = time.monotonic() + seconds
    key = b"mixed"
    while time.monotonic() < until:
        with connect(port) as sock:
            for _ in range(20):
                for said, wanted in MIXED:
                    sock.sendall(said.replace(b"%b", key))
                    reply = sock.recv(65536)
                    while b"STAT " in reply[:5] and not reply.endswith(b"END\r\n"):
                        reply += sock.recv(65536)
                    tally.requests += 1
                    if reply.startswith(REFUSALS):
                        tally.refused += 1
                    elif not reply.startswith(tuple(one.replace(b"%b", key) for one in wanted)):
                        tally.wrong.append(f"mixed: {said!r}: {reply[:60]!r}")
                        return tally
    return tally


def large(port: int, seconds: float) -> Tally:
    """Store large values and read them back."""
    tally = Tally()
    until = time.monotonic() + seconds
    value = bytes(range(256)) * (LARGE // 256)
    with connect(port) as sock:
        while time.monotonic() < until:
            sock.sendall(b"set large 0 60 %d\r\n%b\r\nget large\r\n" % (len(value), value))
            reply = read(sock, [b"END\r\n"])
            tally.requests += 2
            first, _, rest = reply.partition(b"\r\n")
            if rest.startswith(b"VALUE ") and rest != b"VALUE large 0 %d\r\n%b\r\nEND\r\n" % (len(value), value):
                tally.wrong.append(f"large: {reply[:80]!r}")
                break
            if not reply:
                tally.wrong.append("large: closed")
                break
            tally.refused += first != b"STORED"
            time.sleep(0.05)
    return tally


def pipelines(port: int, seconds: float) -> Tally:
    """Say hundreds of commands at once, of the kind that cannot be overtaken, too."""
    tally = Tally()
    until = time.monotonic() + seconds
    said = b"".join(b"set pipe%d 0 60 1\r\n1\r\nincr pipe%d 1\r\nget pipe%d\r\n" % (n, n, n) for n in range(100))
    with connect(port) as sock:
        while time.monotonic() < until:
            sock.sendall(said + b"mn\r\n")
            reply = read(sock, [b"MN\r\n"])
            tally.requests += 301
            if not reply.endswith(b"MN\r\n"):
                tally.wrong.append(f"pipelines: {reply[-60:]!r}")
                break
            tally.refused += reply.count(b"NOT_STORED") + reply.count(b"SERVER_ERROR")
    return tally


def comers(port: int, seconds: float) -> Tally:
    """Come and go, in the middle of a command or of a reply, closing or resetting."""
    tally = Tally()
    until = time.monotonic() + seconds
    words = (b"", b"ge", b"set gone 0 0 100\r\nhalf", b"get large\r\n", b"incr gone 1\r\nincr gone 1\r\nget", b"\x80\0")
    while time.monotonic() < until:
        for number, word in enumerate(words):
            with connect(port) as sock:
                if number % 2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.sendall(word)
            tally.requests += word.count(b"\n")
        time.sleep(0.01)
    return tally


def unread(port: int, seconds: float) -> Tally:
    """Ask for much and never read. The balancer may close these."""
    tally = Tally()
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        with connect(port) as sock:
            sock.sendall(b"set unread 0 60 %d\r\n%b\r\n" % (LARGE // 9, b"u" * (LARGE // 9)))
            read(sock, [b"\r\n"])
        for _ in range(READERS):
            sock = stack.enter_context(connect(port))
            sock.setblocking(False)
            sock.send(b"get unread\r\n" * 200)
            tally.requests += 200
        time.sleep(seconds / 2)
    return tally


NUISANCES: tuple[Callable[[int, float], Tally], ...] = (mixed, large, pipelines, comers, unread)
