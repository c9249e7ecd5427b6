"""Commands that ask several servers and make one reply of what they say: reads of many keys, and what has no key."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from quorate.balancer import outcome
from quorate.balancer.command import Command, Shape, Way
from quorate.balancer.conn import Op
from quorate.balancer.ops import Homed, Router
from quorate.balancer.replies import BadReply, frame, keys, merge_stats, sealed
from quorate.balancer.session import Backend, Client

_END = b"END\r\n"
_SPACE, _V = 32, 86


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
        parts: dict[Backend | None, list[bytes]] = {}
        table, hash_of, mask = self.router.table, self.router.hash, self.router.mask
        for key in keys:
            route = table[hash_of(key) & mask]
            if self.home:
                backend = None if route.home in tried else route.home
            else:
                backend = route.other(*tried) if tried else route.read
            if backend in parts:
                parts[backend].append(key)
            else:
                parts[backend] = [key]
        parts.pop(None, None)
        for backend, words in parts.items():
            if backend is not None:
                self.left += 1
                line = b"%b %b\r\n" % (self.command.verb, b" ".join(words))
                backend.submit(Part(self, words, (*tried, backend)), line)

    def done(self) -> None:
        """One part fewer to wait for."""
        self.left -= 1
        if not self.left:
            self.found.append(_END)
            self.finish(b"".join(self.found))


class Part(Op):
    """What one server is asked for."""

    __slots__ = ("keys", "missing", "of", "tried")
    shape = Shape.VALUES
    verb = b"many"

    def __init__(self, of: ManyKeys, keys: list[bytes], tried: tuple[Backend, ...]) -> None:
        super().__init__(None)
        self.of = of
        self.keys = keys
        self.missing: list[bytes] = []
        self.tried = tried
        self.at = of.router.now

    def frame(self, data: bytes, start: int) -> int:
        """Return where the reply ends; its values are those of our keys, in our order, some of them missing."""
        if self.of.home:
            return frame(Shape.VALUES, data, start)  # with tokens
        pos, missing = start, []
        find, rfind, startswith = data.find, data.rfind, data.startswith
        size = len(data)
        for key in self.keys:
            after = pos + 6 + len(key)
            if after >= size or data[after] != _SPACE or data[pos] != _V or not startswith(key, pos + 6):
                missing.append(key)
                continue
            nl = find(b"\n", after)
            if nl < 0:
                return 0
            pos = nl + 3 + int(data[rfind(b" ", after, nl) : nl])
            if data[pos - 2 : pos] != b"\r\n":
                if pos <= size:
                    raise BadReply
                return start - pos - len(_END)
        self.missing = missing
        if data.startswith(_END, pos):
            return pos + len(_END)
        if find(b"\n", pos) < 0:
            return min(0, frame(Shape.VALUES, data, start))
        if pos > start or startswith(b"VALUE ", pos):
            raise BadReply  # a value that was not asked for, or not in this order
        return frame(Shape.VALUES, data, start)  # an error line

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Keep the values; ask elsewhere for what is missing."""
        if not self.pending:
            return
        self.pending = 0
        of = self.of
        if not reply.endswith(_END):
            missing = self.keys
        elif of.home:
            there = set(keys(reply))
            missing = [key for key in self.keys if key not in there]
            of.found.append(sealed(reply[: -len(_END)], backend.server, of.router.generation(backend.server)))
        else:
            missing = self.missing
            of.found.append(reply[: -len(_END)])
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
