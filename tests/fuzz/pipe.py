"""The balancer's whole pipe, byte for byte: a worker, the servers it is connected to, and clients. No time passes
unless somebody says so, and nothing has a socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from fuzz.played import Memcached, Violation, require
from quorate.balancer import ring
from quorate.balancer.command import MAX_LINE
from quorate.balancer.config import Address, Config, Limits, Server
from quorate.balancer.ring import Ring
from quorate.balancer.server import READ
from quorate.balancer.session import Backend, Client
from quorate.balancer.worker import Worker

VALUE = 1024
"""Bytes of the largest value here, so that short inputs reach beyond it."""
ROUNDS = 20_000
"""In which everything must have come to rest."""
KEPT = 2 * MAX_LINE + VALUE + READ
"""Bytes that a client may have the balancer keep of what it said: a line, a block, and what one more read brings."""
CONFIG = Config(
    name="s0",
    servers=tuple(Server(f"s{n}", Address("10.0.0.1", 1000 + n), near=n == 0) for n in range(3)),
    balancers=("s0", "s1", "s2"),
    copies=2,
    limits=Limits(missed=16, value=VALUE),
)


def small(whole: Ring, slots: int = 64) -> Ring:
    """Return a ring that is made in no time: every input begins with a worker of its own."""
    return Ring(whole.hash, slots - 1, whole.table[:slots])


RING = small(ring.make(CONFIG))


class Link:
    """A connection between the worker and a server, with what is under way on it."""

    def __init__(self, pipe: Pipe, number: int) -> None:
        worker = pipe.worker
        self.number = number
        self.server = Memcached(number)
        self.sent: list[bytes] = []
        self.back = b""  # said by the server and not there yet
        self.backend = Backend(worker, number, worker.latencies[number, b"get"])
        pipe.ports += 1
        self.backend.local = f"10.9.9.9:{pipe.ports}"
        self.backend.write = self.sent.append
        worker.connected(self.backend)

    def execute(self) -> None:
        """Let the server answer what it was sent."""
        data = b"".join(self.sent)
        self.sent.clear()
        self.back += self.server.take(data)

    def arrive(self, size: int) -> bool:
        """Let so many bytes of the answers arrive; whether there were any."""
        data, self.back = self.back[:size], self.back[size:]
        if not data or self.backend.closed:
            return False
        self.backend.data_received(data)
        return True


class Talker:
    """A client and its socket, as server.py's Peer treats it."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.client = Client(pipe.worker)
        self.heard: list[bytes] = []
        self.unread: deque[bytes] = deque()  # in the socket
        self.reading = True
        self.written = 0
        self.client.write = self._write
        self.client.pause = self._pause
        self.client.resume = self._resume

    def _write(self, data: bytes) -> None:
        require(not self.client.closed, "something is written to a client that is gone", data)
        self.heard.append(data)
        self.written += len(data)
        if self.client.ending:
            self.leave()

    def _pause(self) -> None:
        self.reading = False

    def _resume(self) -> None:
        self.client.resize(self.written)
        self.written = 0
        self.client.waits = False
        self.reading = True
        self.client.data_received(b"")

    def leave(self) -> None:
        """The connection is gone."""
        self.client.closed = True
        self.pipe.worker.hold.discard(self.client)

    def say(self, data: bytes) -> None:
        """Put something into the socket; it is read when the balancer reads."""
        self.unread.extend(data[at : at + READ] for at in range(0, len(data), READ))
        self.read()

    def read(self) -> bool:
        """Let the balancer read what is there; whether there was anything."""
        read = False
        while self.unread and self.reading and not self.client.closed:
            self.client.data_received(self.unread.popleft())
            kept = len(self.client.buf) + sum(map(len, self.client.chunks))
            require(kept <= KEPT, "too much is kept of a client", kept)
            read = True
        return read

    def answer(self) -> bytes:
        """Return what was heard since the last look."""
        data = b"".join(self.heard)
        self.heard.clear()
        return data


class Pipe:
    """A worker with three servers that are used."""

    def __init__(self) -> None:
        self.worker = Worker(CONFIG, RING, name="s0", names=CONFIG.balancers, life="me", seq=100)
        self.worker.now = 50.0
        self.ports = 0
        self.talkers: list[Talker] = []
        self.links = [Link(self, number) for number in range(3)]
        self.settle()
        require(all(self.worker.used()), "servers that answer are not used")

    def join(self) -> Talker:
        """Return a new client."""
        self.talkers.append(Talker(self))
        return self.talkers[-1]

    def settle(self) -> None:
        """Let everybody answer until nobody has anything to say."""
        for _ in range(ROUNDS):
            self.worker.flush()
            moved = False
            for link in self.links:
                link.execute()
                moved |= link.arrive(len(link.back))
            for talker in self.talkers:
                moved |= talker.read()
            if not moved and not self.worker.dirty and not self.worker.unblocked:
                return
        raise Violation("it does not come to rest")

    def hear(self, pieces: Iterable[bytes], *, between: Talker | None = None) -> bytes:
        """Return what a new client hears that says these pieces; `between` them another one asks for what it knows."""
        talker = self.join()
        for piece in pieces:
            talker.say(piece)
            if between is not None:
                between.say(b"get bystander\r\n")
        self.settle()
        require(not talker.client.queue, "a request without an answer", talker.client.queue)
        require(not talker.unread or talker.client.closed, "a client that is not read any more")
        self.talkers.remove(talker)
        return talker.answer()

    def require_quiet(self) -> None:
        """Require that nothing is left half, and nobody waits."""
        for link in self.links:
            backend = link.backend
            require(not backend.closed, "a server's connection was given up", self.worker.health[link.number].reason)
            require(not (backend.fifo or backend.need or backend.out), "something is left on a server's connection")
        require(not self.worker.waiting and not self.worker.hold, "somebody waits")
