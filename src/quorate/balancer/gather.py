"""Commands that ask several servers and make one reply of what they say: reads of many keys, and what has no key."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from quorate.balancer import outcome
from quorate.balancer.command import Command, Shape, Way
from quorate.balancer.conn import Op
from quorate.balancer.ops import Homed, Router
from quorate.balancer.replies import keys, merge_stats, sealed
from quorate.balancer.session import Backend, Client

_END = b"END\r\n"


class ManyKeys(Op):
    """`get` and `gets` of several keys: each server is asked for its part, other copies for what it misses."""

    __slots__ = ("command", "found", "home", "left", "router")

    def __init__(self, router: Router, client: Client | None, command: Command) -> None:
        super().__init__(client)
        self.router = router
        self.command = command
        self.home = command.way is Way.HOME_READ
        self.found: list[bytes] = []
        self.left = 1

    def begin(self) -> None:
        """Ask for all keys."""
        self.ask(self.command.keys, ())
        self.done()

    def ask(self, keys: Iterable[bytes], tried: tuple[Backend, ...]) -> None:
        """Ask for keys where they were not asked for yet; a key without such a place is a miss."""
        parts: dict[Backend, list[bytes]] = {}
        route_of = self.router.route
        for key in keys:
            route = route_of(key)
            if self.home:
                backend = None if route.home in tried else route.home
            else:
                backend = route.other(*tried) if tried else route.read
            if backend is not None:
                parts.setdefault(backend, [self.command.verb]).append(key)
        for backend, words in parts.items():
            self.left += 1
            backend.submit(Part(self, words[1:], (*tried, backend)), b" ".join(words) + b"\r\n")

    def done(self) -> None:
        """One part fewer to wait for."""
        self.left -= 1
        if not self.left:
            self.found.append(_END)
            self.finish(b"".join(self.found))


class Part(Op):
    """What one server is asked for."""

    __slots__ = ("keys", "of", "tried")
    shape = Shape.VALUES
    verb = b"many"

    def __init__(self, of: ManyKeys, keys: list[bytes], tried: tuple[Backend, ...]) -> None:
        super().__init__(None)
        self.of = of
        self.keys = keys
        self.tried = tried
        self.at = of.router.now

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Keep the values; ask elsewhere for what is missing."""
        if not self.pending:
            return
        self.pending = 0
        of = self.of
        if reply.endswith(_END) and len(reply) > len(_END):
            body = reply[: -len(_END)]
            of.found.append(sealed(body, backend.server, of.router.generation(backend.server)) if of.home else body)
            there = set(keys(reply))
            if not there.issubset(self.keys):
                backend.hub.give_up(backend, "sent values that were not asked for")
            missing = [key for key in self.keys if key not in there] if len(there) < len(self.keys) else []
        else:
            missing = self.keys
        if missing:
            of.ask(missing, self.tried)
        of.done()

    def lost(self, backend: Backend) -> None:
        """Ask elsewhere for all of it."""
        del backend
        if self.pending:
            self.pending = 0
            self.of.ask(self.keys, self.tried)
            self.of.done()

    def late(self, backend: Backend) -> None:
        """Ask elsewhere without waiting, where there is an elsewhere for every key."""
        of = self.of
        if self.pending and not of.home and all(of.router.route(k).other(*self.tried) for k in self.keys):
            self.lost(backend)


class ManyHomed(Op):
    """`gat` and `gats` of several keys: one command for each key, one reply."""

    __slots__ = ("children", "found", "left")
    blocks = True

    def __init__(self, router: Router, client: Client | None, commands: list[Command]) -> None:
        super().__init__(client)
        self.found: list[bytes] = []
        self.left = len(commands)
        self.children = [Homed(router, None, command, b"", self.taken) for command in commands]

    def begin(self) -> None:
        """Begin all of them."""
        for child in self.children:
            child.begin()

    def taken(self, reply: bytes) -> None:
        """Take one key's reply."""
        if reply.endswith(_END):
            self.found.append(reply[: -len(_END)])
        self.left -= 1
        if not self.left:
            self.finish(b"".join(self.found) + _END)


class Everywhere(Op):
    """A command without a key that every server gets (flush_all …), or whose replies are merged (stats)."""

    __slots__ = ("command", "left", "merge", "owing", "replies", "router", "shape")

    def __init__(
        self,
        router: Router,
        client: Client | None,
        command: Command,
        merge: Callable[[list[bytes]], bytes] | None = None,
    ) -> None:
        super().__init__(client)
        self.router = router
        self.command = command
        self.shape = command.shape
        self.merge = merge or merge_stats
        self.replies: list[bytes] = []
        self.owing: set[int] = set()
        self.left = 1

    def begin(self) -> None:
        """Send it to every server that is used."""
        self.at = self.router.now
        for server, backend in enumerate(self.router.used()):
            if backend is not None:
                self.left += 1
                backend.submit(self, self.command.line)
            else:
                self._owes(server)
        self._done()

    def _owes(self, server: int) -> None:
        if self.command.verb == b"flush_all":
            self.owing.add(server)
            self.router.miss_all(server)

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Keep it."""
        del backend
        self.replies.append(reply)
        self._done()

    def lost(self, backend: Backend) -> None:
        """Count it out."""
        self._owes(backend.server)
        self._done()

    def _done(self) -> None:
        self.left -= 1
        if self.left:
            return
        command = self.command
        refusal = outcome.refusal(command)
        if not self.replies:
            self.finish(refusal)
            return
        if command.way is Way.STATS:
            reply = self.merge(self.replies)
        else:
            reply = next((r for r in self.replies if r != b"OK\r\n"), b"OK\r\n")
        if self.owing:
            self.router.acknowledge(self, reply, refusal, self.owing)
        else:
            self.finish(reply)

    def finish(self, reply: bytes) -> None:
        """Answer, unless the client asked not to hear it."""
        super().finish(b"" if outcome.hidden(self.command, reply) else reply)
