"""One worker: the ring's routes, the servers' health, the registers, and what follows from them. No sockets, no clock.

server.py calls it: `connected`, `give_up`, `sweep` (every few milliseconds while something waits), `probe` (at its
interval). It calls back through `Conn.close` (reset) and the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from quorate.balancer.board import OUT, UNKNOWN, UP, Board
from quorate.balancer.command import Command, Way, split
from quorate.balancer.config import Config
from quorate.balancer.conn import Get, Hub, Op
from quorate.balancer.filling import Filling
from quorate.balancer.gather import Everywhere, ManyHomed, ManyKeys
from quorate.balancer.handover import ClientState, State
from quorate.balancer.health import Health
from quorate.balancer.health import State as Use
from quorate.balancer.hedging import Hedging
from quorate.balancer.logs import Log, nowhere
from quorate.balancer.mending import Mending
from quorate.balancer.metrics import Latency
from quorate.balancer.ops import Change, Dropping, Homed, Read
from quorate.balancer.registers import CLEAN, View
from quorate.balancer.ring import Ring
from quorate.balancer.routes import Route
from quorate.balancer.session import Backend, Client
from quorate.balancer.statistics import own_statistics

_END = b"END\r\n"
BUSY = 3.0
"""Deadlines that a server may take which does answer, but has much to do before: it is slow, not dead."""
LAST_PATIENCE = 0.8
"""Of the deadline: how long a server is waited for that nobody can stand in for."""


class Worker(Hub):
    """The balancer without its sockets."""

    def __init__(self, config: Config, ring: Ring, *, name: str, names: Sequence[str], life: str, seq: int) -> None:
        super().__init__(config.limits.value)
        timing = config.timing
        self.config = config
        self.hash = ring.hash
        self.mask = ring.mask
        shared = {copies: Route(copies) for copies in set(ring.table)}
        self.routes = tuple(shared.values())
        self.table = [shared[copies] for copies in ring.table]
        self.password = b""  # the command that memcached's authentication begins a connection with
        self.log: Log = nowhere
        self.suspect = timing.suspect / 1000
        self.deadline = timing.deadline / 1000
        self.health = [
            Health(
                rise=timing.rise, settle=timing.settle / 1000, probe=timing.probe / 1000, missed=config.limits.missed
            )
            for _ in config.servers
        ]
        self.connections: list[Backend | None] = [None] * len(config.servers)
        self.view = View(name, names, len(config.servers), timing.lease / 1000, timing.dead / 1000)
        self.mending = Mending(self, life, seq)
        self.filling = Filling(self)
        self.like = (b" 0 0\r\n", 0)  # flags and size of the last of several values, as they were written; the size
        self.possible_at = 0.0  # when a quorum could last be told anything
        self.waiting: list[tuple[Op, bytes, bytes, frozenset[int]]] = []
        self.latencies: dict[tuple[int, bytes], Latency] = {(i, b"get"): Latency() for i in range(len(config.servers))}
        self.hedging = Hedging(list(self.latencies.values()), timing.hedge / 1000, self.suspect)
        self.counts = dict.fromkeys(("hedged_reads", "refused_changes", "replayed_keys", "emptied", "filled_keys"), 0)
        self.clients: Callable[[], int] = int
        self._routed: object = None
        self.board: Board | None = None  # what other workers of this controller say
        self.witnessed = [False] * len(config.servers)  # given up for what the server did to this worker

    # --- servers come and go -------------------------------------------------------------------------------------

    def connected(self, backend: Backend) -> None:
        """A connection stands: get to know who answers."""
        self.witnessed[backend.server] = False
        self.connections[backend.server] = backend
        self.health[backend.server].connected(self.now)
        self.mending.greet(backend)

    def give_up(self, backend: Backend, why: str, *, witnessed: bool = True) -> None:
        """Reset a connection and find other ways for what waits on it. `witnessed`: by the fault of the server."""
        if backend.closed:
            return
        backend.close()
        backend.closed = True
        server = backend.server
        if self.connections[server] is backend:
            self.connections[server] = None
            health = self.health[server]
            if any(req.mutates for req in backend.fifo):
                health.given_up.add(backend.local)
            self.witnessed[server] = witnessed and health.state is Use.UP
            if health.lost(why, self.now):
                self.is_out(server, why)
        self.update_routes()
        left = list(backend.fifo)
        backend.fifo.clear()
        for req in left:
            req.lost(backend)

    def is_out(self, server: int, why: str) -> None:
        """Tell that a server is out."""
        name = self.config.servers[server].name
        self.log(f"server {name} is out: {why}", "server_out", server=name, reason=why)

    def rises(self, server: int) -> None:
        """It is used from now on."""
        again = " again" if self.health[server].failed_before else ""
        name = self.config.servers[server].name
        self.log(f"server {name} is used{again}", "server_used", server=name)
        self.update_routes()

    def used(self) -> Sequence[Backend | None]:
        """Return each server's connection, None where it is not used."""
        return [
            backend if health.state is Use.UP else None
            for backend, health in zip(self.connections, self.health, strict=True)
        ]

    def update_routes(self) -> None:
        """Compute the routes again where anything changed that they rest on."""
        used = self.used()
        valid = self.view.is_valid(self.now) and self.mending.may_tell
        marks = [health.mark() for health in self.health]
        readable = [
            valid and mark == CLEAN and self.view.mark(server, self.now) == CLEAN for server, mark in enumerate(marks)
        ]
        if self.board is not None:
            if self.mending.may_tell:  # before, a mark of our former life would be hidden
                self.board.write([self._seen_as(server) for server in range(len(marks))], marks)
            readable = [well and not self.board.marked(server) for server, well in enumerate(readable)]
        state = (used, readable)
        if state != self._routed:
            self._routed = state
            near = [server.near for server in self.config.servers]
            for route in self.routes:
                route.update(used, readable, near)

    # --- other workers of this controller ------------------------------------------------------------------------

    def _seen_as(self, server: int) -> bytes:
        if self.health[server].state is Use.UP:
            return UP
        return OUT if self.witnessed[server] else UNKNOWN

    def wary(self, feed: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return how to take what a client says, with what other workers know by then."""
        board = self.board
        if board is None:
            return feed

        def fed(data: bytes) -> None:
            if board.has_news():
                self.heed()
            feed(data)

        return fed

    def heed(self) -> None:
        """Take in what other workers say: what they mark is not read, and what they give up is given up once."""
        if self.board is None:
            return
        for worker, server in self.board.read():
            backend = self.connections[server]
            if backend is not None:
                self.give_up(backend, f"worker {worker} has given it up", witnessed=False)
        self.update_routes()

    # --- requests ------------------------------------------------------------------------------------------------

    def route(self, hashed: bytes) -> Route:
        """Where a key goes."""
        return self.table[self.hash(hashed) & self.mask]

    def dispatch(self, client: Client, command: Command, block: bytes) -> Op | None:
        """Begin a command that is not a lone get."""
        op: Read | ManyKeys | Change | ManyHomed | Everywhere
        match command.way:  # the most frequent ones first
            case Way.EVERY:
                op = Change(self, client, command, block)
            case Way.NEAREST | Way.HOME_READ:
                many = len(command.keys) > 1
                op = ManyKeys(self, client, command) if many else Read(self, client, command)
            case Way.LOCAL:
                op = Dropping(self, client, command)
            case Way.HOME_FIRST if len(command.keys) > 1:  # gat and gats
                op = ManyHomed(self, client, split(command))
            case Way.HOME_FIRST:
                op = Homed(self, client, command, block)
            case _ if command.line.split()[1:2] in ([b"servers"], [b"proxy"]):
                client.answer(own_statistics(self, command.line.split()[1]))
                return None
            case _:
                op = Everywhere(self, client, command)
        client.queue.append(op)
        op.begin()
        return op

    def missed(self, req: Get, backend: Backend) -> None:
        """Ask the next copy for a lone get; without one it is a miss."""
        if req.pending > 1:
            req.pending -= 1  # another is still asked
            return
        other = self.route(req.key).other(backend, *req.tried)
        if other is not None:
            self._again(req, backend)
            other.submit(req, req.cmd)
            return
        req.pending = 0
        req.resp = _END
        client = req.client
        if client.queue and client.queue[0] is req:
            client.retire()

    def _again(self, req: Get, backend: Backend) -> None:
        """A lone get goes to a further copy: it can no longer be the one that its client uses again and again."""
        req.tried = (*req.tried, backend)
        client = req.client
        if client.solo is req:
            client.solo = Get(client)

    def took(self, server: int, verb: bytes, seconds: float, count: int) -> None:
        """Count the latency of what is no lone get."""
        name = (server, verb)
        latency = self.latencies.get(name)
        if latency is None:
            latency = self.latencies[name] = Latency()
        latency.add(seconds, count)

    def generation(self, server: int) -> int:
        """Return six bits of the server's process, the same for all balancers."""
        identity = self.health[server].identity
        return identity.generation if identity is not None else 0

    # --- changes that a server missed ----------------------------------------------------------------------------

    def miss(self, server: int, delete: bytes) -> None:
        """Remember that the server missed a change of the key that this line deletes."""
        self.health[server].debt.add(delete, self.now)
        self.mending.owes(server)

    def miss_all(self, server: int) -> None:
        """Remember that the server may have missed a change of any key."""
        self.health[server].debt.everything(self.now)
        self.mending.owes(server)

    def acknowledge(self, op: Op, reply: bytes, refusal: bytes, owing: set[int]) -> None:
        """Finish with the reply once a quorum knows that these servers owe, with the refusal if that cannot be."""
        if all(self.mending.is_published(server) for server in owing):
            op.finish(reply)
        else:
            self.waiting.append((op, reply, refusal, frozenset(owing)))
            self.mending.publish()

    def release(self) -> None:
        """Answer the changes whose debts are published by now, refuse those that waited too long."""
        waiting, self.waiting = self.waiting, []
        if sum(backend is not None for backend in self.connections) >= self.view.quorum:
            self.possible_at = self.now
        possible = self.now - self.possible_at <= self.deadline
        for op, reply, refusal, owing in waiting:
            if all(self.mending.is_published(server) for server in owing):
                op.finish(reply)
            elif not possible or self.now - op.at > self.deadline:
                self.counts["refused_changes"] += 1
                op.finish(refusal)
            else:
                self.waiting.append((op, reply, refusal, owing))

    # --- time ----------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Look for what is late. The loop has read everything that had come before it calls this."""
        now = self.now
        if self.board is not None and self.board.has_news():
            self.heed()
        # Without another copy, or with a server out already, one that is only slow would take values or quorum away.
        spare = self.config.copies > 1 and all(health.state is Use.UP for health in self.health)
        patience = self.suspect if spare else max(self.suspect, LAST_PATIENCE * self.deadline)
        for backend in self.connections:
            if backend is None or not backend.fifo:
                continue
            oldest = backend.fifo[0].at
            if now - max(oldest, backend.heard) > patience or now - oldest > BUSY * self.deadline:
                self.give_up(backend, f"has not answered for {1000 * (now - oldest):.0f} ms")
            elif now - oldest > self.hedging.delays[backend.server]:
                self._hedge(backend)
        if self.waiting:
            self.release()
        self.filling.sample()

    def _hedge(self, backend: Backend) -> None:
        due = self.now - self.hedging.delays[backend.server]
        for req in list(backend.fifo):
            if req.at >= due:
                break
            req.late(backend)

    def hedge_get(self, req: Get, backend: Backend) -> None:
        """Ask another copy for a lone get that is late, without waiting."""
        if req.pending == 1 and backend not in req.tried:
            other = self.route(req.key).other(backend, *req.tried)
            if other is not None and self.may_hedge(1):
                self._again(req, backend)
                req.pending = 2
                other.submit(req, req.cmd)

    def may_hedge(self, reads: int) -> bool:
        """Whether so many reads may be asked of another copy as well; counts them."""
        may = self.hedging.spend(reads)
        self.counts["hedged_reads"] += reads if may else 0
        return may

    def overslept(self, now: float) -> None:
        """Begin anew after a pause: what is known of others is old, and so may be what was about to be sent."""
        if now - self.now > self.deadline:
            self.log(f"paused for {1000 * (now - self.now):.0f} ms", "paused")
            self.now = now
            self.view.unseen()
            self.mending.unpublish()
            for backend in self.connections:
                if backend is not None:
                    self.give_up(backend, "this process was paused", witnessed=False)
        self.now = now
        self.update_routes()

    def probe(self) -> None:
        """Do what is done at every probe interval."""
        self.hedging.look(self.now)
        self.filling.tick()
        self.mending.tick()
        self.update_routes()

    # --- from one process to the next ----------------------------------------------------------------------------

    def leave(self, clients: Mapping[int, ClientState]) -> State:
        """Return what the next process needs."""
        debts = {
            server.name: None if health.debt.overflow is not None else list(health.debt.keys)
            for server, health in zip(self.config.servers, self.health, strict=True)
            if health.debt
        }
        filling = tuple(s.name for s, h in zip(self.config.servers, self.health, strict=True) if h.filling)
        return State(clients, debts, self.mending.life, self.mending.seq, filling)

    def inherit(self, state: State) -> None:
        """Go on from what the former process left."""
        self.mending.may_tell = bool(state.life)
        for number, server in enumerate(self.config.servers):
            keys = state.debts.get(server.name, [])
            health = self.health[number]
            health.former_life = server.name in state.debts
            health.drained = not health.former_life
            if server.name in state.filling:
                self.filling.recall(number)
            if keys is None:
                self.miss_all(number)
            else:
                for key in keys:
                    self.miss(number, key)

    @property
    def is_ready(self) -> bool:
        """Whether every server was tried and a quorum was asked."""
        tried = all(health.state is Use.UP or health.failed_before for health in self.health)
        return tried and self.view.is_valid(self.now)

    @property
    def marks(self) -> str:
        """What this balancer's register says."""
        return "".join(health.mark() for health in self.health)
