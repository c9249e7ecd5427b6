"""A simulated world for the balancer's real code: its workers, memcacheds that are bytes in and bytes out, and time.

Nothing here opens a socket or sleeps. A seed fixes everything: delays, faults, what clients do. Servers behave as
memcached does where it matters: a frozen one accepts connections and executes what lies in its sockets when it thaws;
a killed one is empty when it returns; a cut loses what was under way and leaves the server's end of a connection open.
"""

from __future__ import annotations

import os
import random
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from quorate.balancer import board, ring
from quorate.balancer.board import Board
from quorate.balancer.config import Address, Config, Limits, Server, Timing
from quorate.balancer.handover import State
from quorate.balancer.main import worker_name
from quorate.balancer.opening import CONNECT
from quorate.balancer.server import PAUSE, SWEEP
from quorate.balancer.session import Backend, Client
from quorate.balancer.worker import Worker

STEP = 0.001
"""Seconds of a step."""


@dataclass
class Item:
    value: bytes
    flags: bytes
    cas: int
    expires: float | None


@dataclass
class Wire:
    """One connection between a balancer and a memcached, with what is under way on it."""

    balancer: Balancer
    backend: Backend
    server: Memcached
    address: str
    there: deque[tuple[float, bytes]] = field(default_factory=deque)
    back: deque[tuple[float, bytes]] = field(default_factory=deque)
    received: bytes = b""
    reset: bool = False  # the balancer's end is gone, and the server's kernel knows
    asleep: float = 0.0  # until when the server's thread for it gets no time


class Memcached:
    """What the balancer says to a memcached, executed."""

    def __init__(self, number: int, world: World) -> None:
        self.number = number
        self.world = world
        self.pid = 100
        self.alive = True
        self.frozen = False
        self.born = 0.0
        self.flushes = 0
        self.cas = 0
        self.items: dict[bytes, Item] = {}
        self.wires: list[Wire] = []

    def thaw(self) -> None:
        """Its threads wake up one after another."""
        self.frozen = False
        for wire in self.wires:
            wire.asleep = self.world.now + self.world.dice.uniform(0.0, 0.4)

    def kill(self) -> None:
        self.alive = False
        self.frozen = False
        for wire in self.wires:
            if not self.world.is_cut(wire.balancer, self):
                wire.balancer.ended(wire)
        self.wires.clear()

    def restart(self) -> None:
        self.alive = True
        self.pid += 1
        self.born = self.world.now
        self.flushes = 0
        self.items.clear()

    def work(self) -> None:
        if not self.alive or self.frozen:
            return
        for wire in list(self.wires):
            if wire.asleep > self.world.now:
                continue
            while (done := self._one(wire.received)) is not None:
                reply, wire.received = done
                if not wire.reset:
                    wire.back.append((self.world.arrives(), reply))
            if wire.reset:
                self.wires.remove(wire)

    def _one(self, data: bytes) -> tuple[bytes, bytes] | None:
        line, newline, rest = data.partition(b"\r\n")
        if not newline:
            return None
        words = line.split(b" ")
        if words[0] in {b"set", b"ms"}:
            size = int(words[4] if words[0] == b"set" else words[2])
            if len(rest) < size + 2:
                return None
            return self._store(words, rest[:size]), rest[size + 2 :]
        return self._command(words), rest

    def _find(self, key: bytes) -> Item | None:
        item = self.items.get(key)
        if item is not None and item.expires is not None and item.expires <= self.world.now:
            del self.items[key]
            return None
        return item

    def _store(self, words: list[bytes], value: bytes) -> bytes:
        self.cas += 1
        if words[0] == b"set":
            self.items[words[1]] = Item(value, words[2], self.cas, None)
            return b"STORED\r\n"
        options = {word[:1]: word[1:] for word in words[3:]}
        there = self._find(words[1])
        if b"M" in options and there is not None:
            return b"NS\r\n"
        if b"C" in options and (there is None or b"%d" % there.cas != options[b"C"]):
            return b"NF\r\n" if there is None else b"EX\r\n"
        life = int(options.get(b"T", b"0"))
        expires = self.world.now + life if life else None
        self.items[words[1]] = Item(value, options.get(b"F", b"0"), self.cas, expires)
        return b"HD c%d\r\n" % self.cas if b"c" in options else b"HD\r\n"

    def _command(self, words: list[bytes]) -> bytes:
        match words[0]:
            case b"get" | b"gets":
                found = [(key, item) for key in words[1:] if (item := self._find(key)) is not None]
                parts = []
                for key, item in found:
                    token = b" %d" % item.cas if words[0] == b"gets" else b""
                    parts.append(b"VALUE %b %b %d%b\r\n%b\r\n" % (key, item.flags, len(item.value), token, item.value))
                return b"".join(parts) + b"END\r\n"
            case b"delete":
                return b"DELETED\r\n" if self.items.pop(words[1], None) else b"NOT_FOUND\r\n"
            case b"md":
                there = self._find(words[1])
                if there is None:
                    return b"NF\r\n"
                if any(word[:1] == b"C" and word[1:] != b"%d" % there.cas for word in words[2:]):
                    return b"EX\r\n"
                del self.items[words[1]]
                return b"HD\r\n"
            case b"mg":
                there = self._find(words[1])
                if there is None:
                    return b"EN\r\n"
                life = b"-1" if there.expires is None else b"%d" % (there.expires - self.world.now)
                said = b"f%b t%b c%d\r\n" % (there.flags, life, there.cas)
                return b"VA %d %b%b\r\n" % (len(there.value), said, there.value) if b"v" in words else b"HD " + said
            case b"flush_all":
                self.items.clear()
                self.flushes += 1
                return b"OK\r\n"
            case b"stats" if words[1:] == [b"conns"]:
                rows = [b"STAT %d:addr tcp:%b\r\n" % (n, w.address.encode()) for n, w in enumerate(self.wires)]
                return b"".join(rows) + b"END\r\n"
            case b"stats":
                uptime = int(self.world.now - self.born) + 2
                told = {"pid": self.pid, "uptime": uptime, "time": int(self.born) + uptime, "cmd_flush": self.flushes}
                return b"".join(b"STAT %b %d\r\n" % (k.encode(), v) for k, v in told.items()) + b"END\r\n"
            case _:
                raise AssertionError(words)


class Balancer:
    """One worker with its sockets played. `number` counts all of them, `controller` and `place` tell which it is."""

    def __init__(self, number: int, world: World, make: Callable[..., Worker]) -> None:
        self.number = number
        self.controller, self.place = divmod(number, world.workers)
        self.world = world
        self.make = make
        self.life = 0
        self.frozen = False
        self.start()

    def start(self) -> None:
        self.life += 1
        world = self.world
        config = world.config(self.controller)
        life, seq = f"{self.number}-{self.life}", int(world.now * 1000)
        names = [worker_name(name, n + 1) for name in config.balancers for n in range(world.workers)]
        name = names[self.number]
        self.worker = self.make(config, ring.make(config), name=name, names=names, life=life, seq=seq)
        self.worker.now = world.now
        self.worker.log = lambda text, event, **facts: world.say(f"{name}: {text}")  # noqa: ARG005
        self.worker.inherit(State())
        if world.workers > 1:
            self.worker.board = Board(world.boards[self.controller], world.workers, self.place + 1, config.servers)
        self.wires: dict[Backend, Wire] = {}
        self.opening: dict[int, float] = {}
        self.next_probe = self.next_sweep = world.now
        self.opened: dict[int, float] = {}
        self.down = False

    def kill(self) -> None:
        self.down = True
        for wire in list(self.wires.values()):
            self._closed(wire)

    def client(self) -> tuple[Client, list[bytes]]:
        client = Client(self.worker)
        heard: list[bytes] = []
        client.write = heard.append
        return client, heard

    def ended(self, wire: Wire) -> None:
        if self.wires.pop(wire.backend, None) is not None:
            self.worker.now = self.world.now
            self.worker.give_up(wire.backend, "closed the connection")
            self.worker.flush()

    def _closed(self, wire: Wire) -> None:
        """The worker reset a connection: what was under way is thrown away, what the server has it may execute."""
        self.wires.pop(wire.backend, None)
        wire.there.clear()
        if not self.world.is_cut(self, wire.server):
            wire.reset = True

    def _open(self, server: Memcached) -> None:
        world, worker = self.world, self.worker
        backend = Backend(worker, server.number, worker.latencies[server.number, b"get"])
        world.ports += 1
        wire = Wire(self, backend, server, f"10.0.0.{self.number}:{world.ports}")
        backend.local = wire.address
        backend.write = lambda data: wire.there.append((world.arrives(), data))
        backend.close = lambda: self._closed(wire)
        self.wires[backend] = wire
        server.wires.append(wire)
        worker.connected(backend)

    def work(self) -> None:
        if self.frozen or self.down:
            return
        worker, now = self.worker, self.world.now
        if now - worker.now > PAUSE:
            worker.overslept(now)
        worker.now = now
        for wire in list(self.wires.values()):
            cut = self.world.is_cut(self, wire.server)
            while not cut and wire.back and wire.back[0][0] <= now and not wire.backend.closed:
                wire.backend.data_received(wire.back.popleft()[1])
        worker.flush()
        if now >= self.next_sweep:
            self.next_sweep = now + SWEEP
            worker.sweep()
            worker.flush()
        if now >= self.next_probe:
            self.next_probe = now + 0.1
            self._connect()
            worker.probe()
            worker.flush()

    def _connect(self) -> None:
        for server in self.world.servers:
            if self.worker.connections[server.number] is not None:
                continue
            if self.world.is_cut(self, server):
                since = self.opening.setdefault(server.number, self.world.now)
                if self.world.now - since > CONNECT:
                    del self.opening[server.number]
                    self.worker.health[server.number].lost("does not answer the call", self.world.now)
            elif not server.alive:
                self.worker.health[server.number].lost("ECONNREFUSED", self.world.now)
            else:
                self.opening.pop(server.number, None)
                self._open(server)


class World:
    """Servers, balancers, the links between them, and the clock."""

    def __init__(
        self, seed: int, *, servers: int = 3, balancers: int = 3, workers: int = 1, make: Callable[..., Worker] = Worker
    ) -> None:
        self.dice = random.Random(seed)
        self.now = 1000.0
        self.ports = 40000
        self.log: list[str] = []
        self.cuts: set[tuple[int, int]] = set()
        self.names = [f"c{n}" for n in range(servers)]
        self.callers = [f"c{n}" for n in range(balancers)]
        self.servers = [Memcached(n, self) for n in range(servers)]
        self.workers = workers
        self.boards = [board.create() for _ in range(balancers)]
        for memory in self.boards:
            weakref.finalize(self, os.close, memory)
        self.balancers = [Balancer(n, self, make) for n in range(balancers * workers)]

    def config(self, number: int) -> Config:
        servers = tuple(
            Server(name, Address(f"10.0.0.{n}", 11211), near=n == number) for n, name in enumerate(self.names)
        )
        return Config(
            name=self.callers[number],
            servers=servers,
            balancers=tuple(self.callers),
            copies=min(2, len(servers)),
            timing=Timing(dead=3000, fill=3000),
            limits=Limits(missed=8),
        )

    def say(self, text: str) -> None:
        self.log.append(f"{self.now - 1000:8.3f} {text}")

    def is_cut(self, balancer: Balancer, server: Memcached) -> bool:
        return (balancer.number, server.number) in self.cuts

    def arrives(self) -> float:
        """When what is sent now is there. A wire keeps its order."""
        return self.now + self.dice.choice((0.0, 0.001, 0.001, 0.002))

    def step(self) -> None:
        self.now += STEP
        for server in self.servers:
            for wire in server.wires:
                if self.is_cut(wire.balancer, server):
                    continue  # TCP sends it again later, unless the balancer throws it away
                if wire.backend.closed and wire.back:
                    wire.reset = True  # its kernel answers to what comes for a connection that is gone
                while wire.there and wire.there[0][0] <= self.now and server.alive and not wire.reset:
                    wire.received += wire.there.popleft()[1]
            server.work()
        for balancer in self.balancers:
            balancer.work()

    def heal(self) -> None:
        self.cuts.clear()
        for server in self.servers:
            if server.frozen:
                server.thaw()
            if not server.alive:
                server.restart()
        for balancer in self.balancers:
            balancer.frozen = False
            if balancer.down:
                balancer.start()
