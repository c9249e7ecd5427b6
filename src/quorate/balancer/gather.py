"""Commands that ask several servers and make one reply of what they say: reads of many keys, and what has no key."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from quorate.balancer import outcome
from quorate.balancer.command import Command, Shape, Way
from quorate.balancer.conn import Op
from quorate.balancer.ops import Homed, Router
from quorate.balancer.replies import BadReply, frame, keys, merge_stats, sealed
from quorate.balancer.session import Backend, Client

_END = b"END\r\n"
_NEXT = b"\r\nVALUE "
_TAIL = re.compile(rb" [0-9]{1,10} ([0-9]{1,10})\r\n")
"""What follows the key in the head of a value: flags and size."""


class ManyKeys(Op):
    """`get` and `gets` of several keys: each server is asked for its part, other copies for what it misses."""

    __slots__ = ("command", "found", "home", "left", "router")

    def __init__(self, router: Router, client: Client | None, command: Command) -> None:
        super().__init__(client, router.now)
        self.router = router
        self.command = command
        self.home = command.way is Way.HOME_READ
        self.found: list[bytes] = []
        self.left = 1

    def begin(self) -> None:
        """Ask for all keys."""
        router = self.router
        if self.home:
            self.ask(self.command.keys, ())
        else:
            parts: defaultdict[Backend | None, list[bytes]] = defaultdict(list)
            table, hash_of, mask = router.table, router.hash, router.mask
            for key in self.command.keys:
                parts[table[hash_of(key) & mask].read].append(key)
            self._send(parts, ())
        self.done()

    def ask(self, keys: Iterable[bytes], tried: tuple[Backend, ...]) -> None:
        """Ask for keys where they were not asked for yet; a key without such a place is a miss."""
        parts: defaultdict[Backend | None, list[bytes]] = defaultdict(list)
        for key in keys:
            route = self.router.route(key)
            if self.home:
                parts[None if route.home in tried else route.home].append(key)
            else:
                parts[route.other(*tried)].append(key)
        self._send(parts, tried)

    def _send(self, parts: Mapping[Backend | None, list[bytes]], tried: tuple[Backend, ...]) -> None:
        verb = self.command.verb + b" "
        for backend, words in parts.items():
            if backend is not None:
                self.left += 1
                backend.submit(Part(self, words, (*tried, backend)), verb + b" ".join(words) + b"\r\n")

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
        self.client = None  # not by super(): there are several for each request
        self.at = of.router.now
        self.pending = 1
        self.of = of
        self.keys = keys
        self.missing: list[bytes] = []
        self.tried = tried

    def fits(self, reply: bytes) -> bool:
        """Tell whether all values are of keys that were asked for."""
        return not self.of.home or set(self.keys).issuperset(keys(reply))

    def frame(self, data: bytes, start: int) -> int:
        """Return where the reply ends; its values are those of our keys, in our order, some of them missing.

        A value is expected to have flags and size of the last one: then one comparison reads its whole head.
        """
        if self.of.home:
            return frame(Shape.VALUES, data, start)  # with tokens
        missing = []
        startswith, router = data.startswith, self.of.router
        tail, length = router.like
        pos, sep = start, b"VALUE "  # and where it begins
        for key in self.keys:
            head = sep + key + tail
            after = pos + len(head)
            if data[pos:after] == head:
                pos, sep = after + length, _NEXT
                continue
            if pos > start and not startswith(b"\r\n", pos):
                break
            if not startswith(sep + key + b" ", pos):
                missing.append(key)
                continue
            found = _TAIL.match(data, pos + len(sep) + len(key))
            if found is None:
                break
            tail, length = router.like = found[0], int(found[1])
            pos, sep = found.end() + length, _NEXT
        if pos > start:
            if not startswith(b"\r\n", pos):
                if pos + 2 <= len(data):
                    raise BadReply
                return start - pos - 2 - len(_END)
            pos += 2
        self.missing = missing
        if startswith(_END, pos):
            return pos + len(_END)
        if data.find(b"\n", pos) < 0:
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
        if not self.pending or of.home:
            return
        elsewhere = all(of.router.route(key).other(*self.tried) for key in self.keys)
        if elsewhere and of.router.may_hedge(len(self.keys)):
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

    def fits(self, reply: bytes) -> bool:
        """Tell whether it can answer this command at all."""
        return outcome.fits(self.command, reply)

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
