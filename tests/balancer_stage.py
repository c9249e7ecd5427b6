"""A worker of the balancer whose client and servers are played byte for byte."""

from __future__ import annotations

from quorate.balancer import ring
from quorate.balancer.config import Address, Config, Limits, Server
from quorate.balancer.session import Backend, Client
from quorate.balancer.worker import Worker

STATS = b"STAT pid 7\r\nSTAT uptime 100\r\nSTAT time 5000\r\nSTAT cmd_flush %d\r\nEND\r\n"


class Stage:
    """Three servers that are up unless told otherwise, and what went to whom."""

    def __init__(self, *, copies: int = 2, servers: int = 3, name: str = "s0", begun: bool = True) -> None:
        names = [f"s{number}" for number in range(servers)]
        self.config = Config(
            name=name,
            servers=tuple(Server(n, Address("10.0.0.1", 1000 + i), near=n == name) for i, n in enumerate(names)),
            balancers=("s0", "s1", "s2"),
            copies=copies,
            limits=Limits(missed=4),
        )
        self.worker = Worker(
            self.config, ring.make(self.config), name=name, names=self.config.balancers, life="me", seq=100
        )
        self.worker.now = 50.0
        self.log: list[str] = []
        self.worker.log = lambda text, event, **facts: self.log.append(text)  # noqa: ARG005
        self.reset: list[int] = []
        self.sent: dict[int, list[bytes]] = {}
        self.backends: dict[int, Backend] = {}
        self.registers: dict[str, bytes] = {}  # that servers show
        self.listed: set[str] = set()  # that `stats conns` shows
        self.flushes = 0  # that `stats` shows
        for number in range(servers) if begun else ():
            self.connect(number)
        for number in range(servers) if begun else ():
            self.serve(number)
        self.client, self.heard = self.join()

    def connect(self, number: int) -> Backend:
        backend = Backend(self.worker, number, self.worker.latencies[number, b"get"])
        backend.local = f"10.9.9.9:{number}"
        backend.write = self.sent.setdefault(number, []).append
        backend.close = lambda: self.reset.append(number)
        self.backends[number] = backend
        self.worker.connected(backend)
        self.worker.flush()
        return backend

    def serve(self, number: int) -> bytes:
        """Answer what the balancer itself asks a server as a memcached would; returns what it asked."""
        told = self.told(number)
        lines = iter(told.split(b"\r\n")[:-1])
        for line in lines:
            if line.startswith(b"gets quorate:"):
                shown = [
                    b"VALUE quorate:balancer:%b 0 %d 1\r\n%b\r\n" % (n.encode(), len(v), v)
                    for n, v in self.registers.items()
                ]
                self.say(number, b"".join(shown) + b"END\r\n")
            elif line.startswith(b"set quorate:"):
                self.registers[line.split()[1].rpartition(b":")[2].decode()] = next(lines)
                self.say(number, b"STORED\r\n")
            elif line.startswith(b"ms quorate:"):
                self.registers[line.split()[1].rpartition(b":")[2].decode()] = next(lines)
                self.say(number, b"HD\r\n")
            elif line == b"flush_all":
                self.say(number, b"OK\r\n")
            elif line == b"stats conns":
                rows = [b"STAT %d:addr tcp:%b\r\n" % (n, a.encode()) for n, a in enumerate(sorted(self.listed))]
                self.say(number, b"".join(rows) + b"END\r\n")
            elif line == b"stats":
                self.say(number, STATS % self.flushes)
            elif line.startswith(b"md "):
                self.say(number, b"HD\r\n")
        return told

    def probe(self, seconds: float = 0.1) -> bytes:
        """A probe interval passes; returns all that servers were asked."""
        self.worker.now += seconds
        self.worker.probe()
        self.worker.flush()
        return b"".join(self.serve(number) for number, backend in self.backends.items() if not backend.closed)

    def join(self) -> tuple[Client, list[bytes]]:
        client = Client(self.worker)
        heard: list[bytes] = []
        client.write = heard.append
        return client, heard

    def ask(self, said: bytes) -> None:
        """The client speaks."""
        self.client.data_received(said)
        self.worker.flush()

    def say(self, number: int, reply: bytes) -> None:
        """A server speaks."""
        self.backends[number].data_received(reply)
        self.worker.flush()

    def told(self, number: int) -> bytes:
        """Return what a server was sent since the last look."""
        data = b"".join(self.sent[number])
        self.sent[number].clear()
        return data

    def answer(self) -> bytes:
        """Return what the client heard since the last look."""
        data = b"".join(self.heard)
        self.heard.clear()
        return data

    def later(self, seconds: float) -> None:
        self.worker.now += seconds
        self.worker.sweep()
        self.worker.flush()

    def key_on(self, *copies: int) -> bytes:
        """Return a key with these copies, in ring order."""
        return next(key for n in range(10_000) if self.worker.route(key := b"key%d" % n).copies == copies)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody waits for anything, and nothing is left half."""
        waits = any(b.fifo or b.need or b.out for b in self.backends.values() if not b.closed)
        return not waits and not self.client.queue and not self.heard and not self.worker.waiting
