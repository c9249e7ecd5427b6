"""The registers and the mending of one worker: who is told what was missed, and how it is made good (decision 8)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from quorate.balancer import inner
from quorate.balancer.command import Shape
from quorate.balancer.health import Health, Step
from quorate.balancer.inner import Ask
from quorate.balancer.ops import is_gone
from quorate.balancer.registers import CLEAN, FILLING, OWED, STILL, Register, Shown, decode, key
from quorate.balancer.session import Backend

if TYPE_CHECKING:
    from quorate.balancer.worker import Worker

BATCH = 1000
"""Missed keys that are deleted in one go."""


class Mending:
    """What this balancer owes at each server, what it told of it, and the next step to make it good."""

    def __init__(self, worker: Worker, life: str, seq: int) -> None:
        servers = len(worker.health)
        self.worker = worker
        self.life = life
        self.seq = seq
        self.ring = f"{hash_of_ring(worker):08x}"
        self.told: list[int] = [-1] * servers  # the newest register that the server took on its present connection
        self.telling: list[int] = [-1] * servers  # the newest that was sent to it
        self.told_at: list[float] = [float("-inf")] * servers  # when it was sent
        self.owed_since: list[int | None] = [None] * servers  # the first register that says so
        self.published: list[bool] = [False] * servers
        self.busy: list[bool] = [False] * servers  # a step of mending is under way
        self.former: set[tuple[str, int]] = set()  # lives of this balancer and servers that they owed at
        self.strangers: list[str] = []  # balancers that are configured otherwise
        self.looked_at: set[int] = set()
        self.may_tell = False
        """Whether our own former registers were read: a new one would hide what they owe."""
        keys = b" ".join(key(name) for name in worker.view.names)
        self.look = b"gets %b\r\n" % keys

    # --- probes --------------------------------------------------------------------------------------------------

    def greet(self, backend: Backend) -> None:
        """First words on a new connection."""
        self.told[backend.server] = self.telling[backend.server] = -1
        self.busy[backend.server] = False
        if self.worker.password:
            backend.submit(Ask(self.worker.now, Shape.LINE, self._let_in), self.worker.password)
        self._identify(backend)
        self._ask_and_tell(backend)

    def _let_in(self, backend: Backend, reply: bytes | None) -> None:
        if reply is not None and reply != b"STORED\r\n":
            self.worker.give_up(backend, f"does not take our password: {reply!r}")

    def tick(self) -> None:
        """Ask and tell every server, and take the next step where something is owed."""
        self.seq += 1
        for server, backend in enumerate(self.worker.connections):
            if backend is not None:
                self._ask_and_tell(backend)
                if not self.busy[server]:
                    self._mend(server, self.worker.health[server], backend)
        self._bury()
        if (others := self.worker.view.other_rings(self.ring)) != self.strangers:
            self.strangers = others
            if others:
                told = ", ".join(others)
                self.worker.log(
                    f"keys are put on other servers by {told}: they see other values until alike",
                    "balancers_differ",
                    balancers=told,
                )

    def _ask_and_tell(self, backend: Backend) -> None:
        asked = self.worker.now
        told_before = self.told[backend.server]

        def looked(backend: Backend, reply: bytes | None) -> None:
            if reply is not None and reply.endswith(b"END\r\n"):
                self._looked(backend, inner.registers(reply), asked, told_before)

        backend.submit(Ask(asked, Shape.VALUES, looked), self.look)
        self._tell(backend)

    def _tell(self, backend: Backend) -> None:
        seq, asked = self.seq, self.worker.now
        if not self.may_tell:
            return
        register = Register(self.life, seq, self.ring, self.worker.marks, self.worker.view.taken)

        def stored(backend: Backend, reply: bytes | None) -> None:
            if reply == b"STORED\r\n":
                self.told[backend.server] = max(self.told[backend.server], seq)
                self.told_at[backend.server] = asked
                self._count()

        self.telling[backend.server] = seq
        data = inner.store(key(self.worker.view.name), register.encode())
        backend.submit(Ask(self.worker.now, Shape.LINE, stored), data)

    def _looked(self, backend: Backend, shown: dict[str, Shown], asked: float, told_before: int) -> None:
        worker, server = self.worker, backend.server
        health = worker.health[server]
        self.looked_at.add(server)
        name = worker.view.name
        mine = decode(shown[name].value, len(self.told)) if name in shown else None
        if mine is not None:
            self._own(mine)
        if told_before > (mine.seq if mine is not None else -1):
            self._identify(backend)  # our register is gone, or an older one was passed on since: was it emptied?
        worker.view.absorb(server, shown, asked)
        self._pass_on(backend, shown)
        if health.answered(worker.now):
            worker.rises(server)
        if not self.may_tell:
            asked_all = all(h.failed_before or n in self.looked_at for n, h in enumerate(worker.health))
            self.may_tell = asked_all and len(self.looked_at) >= worker.view.quorum
        worker.update_routes()

    def _pass_on(self, backend: Backend, shown: Mapping[str, Shown]) -> None:
        """Let a server know what we remember of balancers that stand still: else their debts go with other servers.

        Never over a newer one: the server compares, so that a late or old copy of it changes nothing.
        """
        since = self.worker.now - STILL * self.worker.config.timing.probe / 1000
        for name, register in self.worker.view.lacking(shown, since):
            data = inner.replace(key(name), register.encode(), shown.get(name))
            backend.submit(Ask(self.worker.now, Shape.META, lambda _, reply: None), data)  # noqa: ARG005

    def _own(self, register: Register) -> None:
        """Find debts of a former life of this balancer: its log is lost, so they are for everything."""
        if register.life == self.life:
            return
        self.seq = max(self.seq, register.seq + 1)
        for server, mark in enumerate(register.marks):
            if mark == CLEAN or (register.life, server) in self.former:
                continue
            self.former.add((register.life, server))
            if mark in OWED:
                self.worker.health[server].former_life = True
                self.worker.health[server].drained = False
                self.worker.miss_all(server)
            elif mark == FILLING:
                self.worker.filling.recall(server)

    # --- telling what is owed ------------------------------------------------------------------------------------

    def owes(self, server: int) -> None:
        """A server missed a change: say so before anybody is answered."""
        if self.owed_since[server] is None:
            self.seq += 1
            self.owed_since[server] = self.seq
            self.published[server] = False
            self.publish()
            self.worker.update_routes()

    def publish(self) -> None:
        """Tell every server that can be told."""
        if any(since is not None and not done for since, done in zip(self.owed_since, self.published, strict=True)):
            for backend in self.worker.connections:
                if backend is not None and self.telling[backend.server] < self.seq:
                    self._tell(backend)

    def is_published(self, server: int) -> bool:
        """Whether a quorum knows that the server owes, and knew it lately: later others may take us for dead.

        True also when it owes nothing any more.
        """
        return self.owed_since[server] is None or (self.published[server] and self.is_confirmed())

    def is_confirmed(self) -> bool:
        """Whether a quorum took our register within the lease."""
        view = self.worker.view
        return sum(at >= self.worker.now - view.lease for at in self.told_at) >= view.quorum

    def unpublish(self) -> None:
        """We may have been taken for dead: what is owed must be told again."""
        self.seq += 1
        self.owed_since = [None if since is None else self.seq for since in self.owed_since]
        self.published = [False] * len(self.published)
        self.told_at = [float("-inf")] * len(self.told_at)

    def _count(self) -> None:
        for server, since in enumerate(self.owed_since):
            if since is not None and not self.published[server]:
                self.published[server] = sum(seq >= since for seq in self.told) >= self.worker.view.quorum
        if self.worker.waiting:
            self.worker.release()

    def _settled(self, server: int) -> None:
        """Nothing is owed any more."""
        if self.owed_since[server] is not None and not self.worker.health[server].debt:
            self.owed_since[server] = None
            self.published[server] = False
            name = self.worker.config.servers[server].name
            self.worker.log(f"server {name} has made good what it missed", "server_mended", server=name)
            self.worker.filling.start_wanted(server)
        self.worker.update_routes()

    # --- making it good ------------------------------------------------------------------------------------------

    def _mend(self, server: int, health: Health, backend: Backend) -> None:
        match health.mend(self.worker.now, self.worker.view.rank(server)):
            case Step.DRAIN:
                self._drain(backend)
            case Step.IDENTIFY:
                self._identify(backend)
            case Step.REPLAY:
                self._replay(backend)
            case Step.FLUSH:
                self._flush(backend)
            case _:
                self._settled(server)

    def _drain(self, backend: Backend) -> None:
        health = self.worker.health[backend.server]

        def listed(backend: Backend, reply: bytes | None) -> None:
            self.busy[backend.server] = False
            if reply is not None and reply.endswith(b"END\r\n"):
                health.gone(health.given_up - inner.connections(reply))

        self.busy[backend.server] = True
        backend.submit(Ask(self.worker.now, Shape.LINES, listed), b"stats conns\r\n")

    def _identify(self, backend: Backend) -> None:
        worker = self.worker
        health = worker.health[backend.server]

        asked = worker.now

        def told(backend: Backend, reply: bytes | None) -> None:
            identity = inner.identity(reply) if reply is not None else None
            if identity is not None and health.identify(identity, asked):
                name = worker.config.servers[backend.server].name
                worker.log(f"server {name} was emptied or restarted", "server_emptied", server=name)
                health.emptied()
                worker.filling.emptied(backend.server)
            self._settled(backend.server)

        backend.submit(Ask(worker.now, Shape.LINES, told), b"stats\r\n")

    def _replay(self, backend: Backend) -> None:
        """Delete what was missed, some at a time; each key is forgotten when its delete is certain."""
        server = backend.server
        debt = self.worker.health[server].debt
        batch = list(debt.keys)[:BATCH]
        left = len(batch)
        self.worker.filling.want(server, batch)

        def deleted(line: bytes, reply: bytes | None) -> None:
            nonlocal left
            left -= 1
            if is_gone(reply):
                debt.keys.pop(line, None)
                self.worker.counts["replayed_keys"] += 1
            if not left and self.worker.connections[server] is backend:
                self.busy[server] = False
                if debt.keys and reply is not None:
                    self._mend(server, self.worker.health[server], backend)
                else:
                    self._settled(server)

        self.busy[server] = True
        for line in batch:
            ask = Ask(self.worker.now, Shape.META, lambda _, reply, line=line: deleted(line, reply))  # type: ignore[misc]
            backend.submit(ask, line)

    def _flush(self, backend: Backend) -> None:
        worker = self.worker
        health = worker.health[backend.server]

        def flushed(backend: Backend, reply: bytes | None) -> None:
            self.busy[backend.server] = False
            if reply == b"OK\r\n":
                worker.counts["emptied"] += 1
                name = worker.config.servers[backend.server].name
                worker.log(f"server {name} was emptied: it had missed too much", "server_emptied", server=name)
                health.emptied()
                worker.filling.emptied(backend.server)
                self._tell(backend)
            self._settled(backend.server)

        self.busy[backend.server] = True
        backend.submit(Ask(worker.now, Shape.LINE, flushed), b"flush_all\r\n")

    def _bury(self) -> None:
        """Take over what a dead balancer owes. Its register stays; ours says up to where its debts are ours."""
        worker = self.worker
        view = worker.view
        if not view.is_valid(worker.now) or not view.is_first_alive(worker.now):
            return
        for name, servers in view.debts_of_the_dead(worker.now).items():
            told = f"balancer {name} is dead and owes at {len(servers)} servers: taken over"
            worker.log(told, "balancer_dead", balancer=name)
            for server in servers:
                worker.health[server].former_life = True
                worker.health[server].drained = False
                worker.miss_all(server)
            view.taken[name] = view.others[name].register.seq


def hash_of_ring(worker: Worker) -> int:
    """Return a number that is equal for balancers that put keys on the same servers."""
    config = worker.config
    text = repr((config.copies, config.ring, [(s.name, s.weight) for s in config.servers]))
    return zlib.crc32(text.encode())
