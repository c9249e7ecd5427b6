"""What a command does with the copies of its key: one small state machine for each way (command.py, `Way`).

Each op is told of complete replies, of lost connections and of lateness, and ends with `finish` or, for a change that
some copy missed, with `Router.acknowledge`, which answers once a quorum knows who missed it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from quorate.balancer import outcome
from quorate.balancer.cas import NEVER, unseal
from quorate.balancer.command import Command, Shape, Way
from quorate.balancer.conn import Op
from quorate.balancer.protocol import parse
from quorate.balancer.replies import sealed
from quorate.balancer.routes import Route
from quorate.balancer.session import Backend, Client

_END = b"END\r\n"


_STORED = b"STORED\r\n"


def is_gone(reply: bytes | None) -> bool:
    """Tell whether an `md` certainly took effect."""
    return reply is not None and reply.startswith((b"HD", b"NF"))


class Router(Protocol):
    """What ops ask of the worker."""

    now: float
    hash: Callable[[bytes], int]
    mask: int
    table: Sequence[Route]
    like: tuple[bytes, int]

    def route(self, hashed: bytes) -> Route:
        """Where the key goes."""

    def used(self) -> Sequence[Backend | None]:
        """Return each server's connection, None where it is not used."""

    def generation(self, server: int) -> int:
        """Return a number that changes when the server becomes another process."""

    def may_hedge(self, reads: int) -> bool:
        """Whether so many reads that are late may be asked of another copy as well."""

    def miss(self, server: int, delete: bytes) -> None:
        """Remember that the server missed a change of the key that this line deletes."""

    def miss_all(self, server: int) -> None:
        """Remember that the server may have missed a change of any key."""

    def acknowledge(self, op: Op, reply: bytes, refusal: bytes, owing: set[int]) -> None:
        """Finish with the reply once a quorum knows that these servers owe, with the refusal if that cannot be."""


class Change(Op):
    """A change of one key that goes to all of its copies at once (set, delete and their meta forms)."""

    __slots__ = ("best", "block", "command", "left", "owing", "router", "shape", "verb", "worst", "yes")
    mutates = True

    def __init__(self, router: Router, client: Client | None, command: Command, block: bytes) -> None:
        self.client = client  # not by super(): after lone gets, a set is what clients ask most
        self.at = router.now
        self.pending = 1
        self.resp = b""
        self.router = router
        self.command = command
        self.verb = command.verb
        self.shape = command.shape
        self.yes = _STORED if block and command.shape is Shape.LINE else b""
        self.block = block
        self.best: bytes | None = None
        self.worst: bytes | None = None
        self.owing: set[int] = set()
        self.left = 0

    def begin(self) -> None:
        """Send it to every copy that is used; the others miss it."""
        command = self.command
        route = self.router.route(command.hashed[0])
        for server in route.absent:
            self.owes(server)
        self.left = len(route.writes)
        data = command.line + self.block
        for backend in route.writes:
            backend.submit(self, data)
        if not self.left:
            self.settle()

    def fits(self, reply: bytes) -> bool:
        """Tell whether it can answer this command at all."""
        return outcome.fits(self.command, reply)

    def owes(self, server: int) -> None:
        """Remember that a copy may not have it."""
        self.owing.add(server)
        self.router.miss(server, outcome.delete_line(self.command))

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Take one copy's reply; a copy that cannot do it must not keep the old value (law 3)."""
        if reply == _STORED:
            self.best = reply
        elif outcome.certain(self.command, reply):
            if self.best is None or (outcome.succeeded(self.command, reply) and not self._has_succeeded()):
                self.best = reply
        else:
            self.worst = reply
            backend.submit(Cleanup(self), outcome.delete_line(self.command))
            return
        self.done()

    def _has_succeeded(self) -> bool:
        return self.best is not None and outcome.succeeded(self.command, self.best)

    def lost(self, backend: Backend) -> None:
        """Nobody knows whether this copy has it."""
        self.owes(backend.server)
        self.done()

    def done(self) -> None:
        """One copy fewer to wait for."""
        self.left -= 1
        if not self.left:
            self.settle()

    def settle(self) -> None:
        """Answer, once that is safe."""
        reply = self.best
        if reply is not None and not self.owing:
            self.finish(reply)
            return
        refusal = self.worst or outcome.refusal(self.command)
        if reply is None and self.worst is None:
            reply = outcome.gone(
                self.command
            )  # a delete that all copies miss: nobody reads them before it is made good
        if reply is None:
            self.finish(refusal)
        else:
            self.router.acknowledge(self, reply, refusal, self.owing)

    def finish(self, reply: bytes) -> None:
        """Answer, unless the client asked not to hear it."""
        Op.finish(self, b"" if self.command.silent and outcome.hidden(self.command, reply) else reply)


class Dropping(Change):
    """A value that is too large: refused, and the old one goes, as in memcached."""

    __slots__ = ("answer",)

    def __init__(self, router: Router, client: Client | None, command: Command) -> None:
        super().__init__(router, client, parse(outcome.delete_line(command)[:-2], 0), b"")
        refused = command.answer or b""
        self.answer = b"" if outcome.hidden(command, refused) else refused

    def finish(self, reply: bytes) -> None:
        """Say what was refused, whatever became of the old value."""
        del reply
        Op.finish(self, self.answer)


class Cleanup(Op):
    """The delete of a copy that could not be made certain; part of the change that it belongs to."""

    __slots__ = ("of",)
    shape = Shape.META

    def __init__(self, of: Change) -> None:
        super().__init__(None)
        self.of = of
        self.at = of.router.now

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Whatever is no plain yes leaves a debt."""
        if not is_gone(reply):
            self.of.owes(backend.server)
        self.of.done()

    def lost(self, backend: Backend) -> None:
        """Leave a debt."""
        self.of.owes(backend.server)
        self.of.done()


class Homed(Change):
    """A change that one server decides (add, cas, incr, touch …); the other copies follow once it said yes."""

    __slots__ = ("home", "then")
    blocks = True

    def __init__(
        self,
        router: Router,
        client: Client | None,
        command: Command,
        block: bytes,
        then: Callable[[bytes], None] | None = None,
    ) -> None:
        super().__init__(router, client, command, block)
        self.home: Backend | None = None
        self.then = then

    def begin(self) -> None:
        """Ask the home; a CAS token of another server or life cannot match."""
        command, router = self.command, self.router
        self.at = router.now
        self.home = router.route(command.hashed[0]).home
        line = command.line
        if self.home is None:
            self.finish(outcome.refusal(command))
            return
        if command.cas is not None:
            token, server, generation = unseal(command.cas)
            if (server, generation) != (self.home.server, router.generation(self.home.server)):
                token = NEVER  # the server still tells a key that is gone from one that has changed
            line = outcome.with_cas(command, token)
        self.left = 1
        self.home.submit(self, line + self.block)

    def replied(self, backend: Backend, reply: bytes) -> None:
        """First the home's reply, then those of the copies that follow."""
        if backend is not self.home:
            if outcome.agrees(self.command, self.best or b"", reply):
                self.done()
            else:
                backend.submit(Cleanup(self), outcome.delete_line(self.command))
            return
        home, self.home = backend, None
        follow = outcome.follow(self.command, reply)
        self.best = sealed(reply, home.server, self.router.generation(home.server)) if self.command.seals else reply
        if follow is not None:
            route = self.router.route(self.command.hashed[0])
            for server in route.absent:
                self.owes(server)
            data = follow + (self.block if outcome.follow_has_block(self.command) else b"")
            for copy in route.writes:
                if copy is not home:
                    self.left += 1
                    copy.submit(Follower(self), data)
        self.done()

    def lost(self, backend: Backend) -> None:
        """Without the home's word nothing was decided."""
        self.home = None
        super().lost(backend)

    def finish(self, reply: bytes) -> None:
        """Answer, or tell who began it."""
        if self.then is None:
            super().finish(reply)
        elif self.pending:
            self.pending = 0
            self.then(reply)


class Follower(Op):
    """One copy that does what the home did."""

    __slots__ = ("of", "shape", "yes")
    mutates = True

    def __init__(self, of: Homed) -> None:
        super().__init__(None)
        self.of = of
        self.at = of.router.now
        self.shape = of.command.shape
        self.yes = of.yes

    def fits(self, reply: bytes) -> bool:
        """Tell whether it can answer this command at all."""
        return outcome.fits(self.of.command, reply)

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Compare."""
        self.of.replied(backend, reply)

    def lost(self, backend: Backend) -> None:
        """Leave a debt."""
        self.of.owes(backend.server)
        self.of.done()


class Read(Op):
    """A read of one key that is not a lone get: any copy, or its home where the answer carries a token."""

    __slots__ = ("command", "router", "shape", "tried", "verb")

    def __init__(self, router: Router, client: Client | None, command: Command) -> None:
        super().__init__(client)
        self.router = router
        self.command = command
        self.verb = command.verb
        self.shape = command.shape
        self.tried: tuple[Backend, ...] = ()

    def begin(self) -> None:
        """Ask the next best copy; without one it is a miss."""
        route = self.router.route(self.command.hashed[0])
        if self.command.way is Way.HOME_READ:
            backend = None if route.home in self.tried else route.home
        else:
            backend = route.other(*self.tried)
        self.at = self.router.now
        if backend is None:
            self.finish(outcome.miss(self.command))
        else:
            self.tried = (*self.tried, backend)
            backend.submit(self, self.command.line)

    def fits(self, reply: bytes) -> bool:
        """Tell whether it can answer this command at all."""
        return outcome.fits(self.command, reply)

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Take the first hit; a miss is asked of the next copy."""
        if not self.pending or (self.tried and backend is not self.tried[-1]):
            return
        if _is_miss(reply) and self.command.way is Way.NEAREST:
            self.begin()
        elif self.command.seals:
            self.finish(sealed(reply, backend.server, self.router.generation(backend.server)))
        else:
            self.finish(reply)

    def lost(self, backend: Backend) -> None:
        """Ask another copy."""
        if self.pending and backend is self.tried[-1]:
            self.begin()

    def late(self, backend: Backend) -> None:
        """Ask another copy without waiting; the late reply is dropped when it comes."""
        waits = self.pending and backend is self.tried[-1] and self.command.way is Way.NEAREST
        other = self.router.route(self.command.hashed[0]).other(*self.tried) if waits else None
        if other is not None and self.router.may_hedge(1):
            self.begin()

    def finish(self, reply: bytes) -> None:
        """Answer, unless the client asked not to hear it."""
        super().finish(b"" if outcome.hidden(self.command, reply) else reply)


def _is_miss(reply: bytes) -> bool:
    return reply in {_END, b"EN\r\n"} or reply.startswith((b"EN ", b"SERVER_ERROR", b"ERROR", b"CLIENT_ERROR"))
