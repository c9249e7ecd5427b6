"""The pieces that sessions are made of: requests, connections, and what the connections of one worker share.

No sockets, no clock: bytes go out by `send`, which only collects; `Hub.flush` writes once a connection and loop tick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quorate.balancer.command import Command, Shape
from quorate.balancer.replies import frame

if TYPE_CHECKING:
    from quorate.balancer.routes import Route
    from quorate.balancer.session import Backend, Client


class Req:
    """Something that waits for servers' replies, in its client's queue (the order of replies) and at each server.

    `pending` counts the servers that may still answer it; at 0 it is answered and later replies are dropped.
    """

    __slots__ = ("at", "client", "pending", "resp")
    mutates = False
    """Whether a server that executes it late could show an old value."""
    ends = False
    yes = b""
    """A reply that fits it as it is; what most get is seen at a glance then."""
    verb = b"own"
    """Under which its latency is counted; the balancer's own questions are not told apart."""
    shape = Shape.LINE

    def __init__(self, client: Client | None, at: float = 0.0) -> None:
        self.client = client
        self.at = at
        self.pending = 1
        self.resp = b""

    def frame(self, data: bytes, start: int) -> int:
        """Return where the reply ends that begins there; 0 or -n as `replies.frame`."""
        return frame(self.shape, data, start)

    def fits(self, reply: bytes) -> bool:
        """Tell whether a complete reply can answer this at all; if not, it belongs to something else (law 1)."""
        del reply
        return True

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Take a complete reply."""
        raise NotImplementedError

    def lost(self, backend: Backend) -> None:
        """Take that the connection is gone and will not answer."""
        raise NotImplementedError

    def late(self, backend: Backend) -> None:
        """Take that the connection has not answered within the hedging delay; told at every sweep."""


class Get(Req):
    """A lone get, relayed as it came; session.py takes its replies itself."""

    __slots__ = ("cmd", "key", "tried")
    shape = Shape.VALUES
    client: Client

    def __init__(self, client: Client, key: bytes = b"", cmd: bytes = b"", at: float = 0.0) -> None:
        self.client = client  # not by super(): this is made for most of what pipelining clients ask
        self.at = at
        self.pending = 1
        self.resp = b""
        self.key = key
        self.cmd = cmd
        self.tried: tuple[Backend, ...] = ()

    def lost(self, backend: Backend) -> None:
        """Ask another copy."""
        if self.pending:
            backend.hub.missed(self, backend)

    def late(self, backend: Backend) -> None:
        """Ask another copy without waiting."""
        backend.hub.hedge_get(self, backend)


class Op(Req):
    """Anything but a lone get: what it does with replies, losses and lateness is its own matter (ops.py)."""

    __slots__ = ()
    blocks = False
    """Whether its client's later commands wait: it reaches some copies only after others, and must not be overtaken."""

    def finish(self, reply: bytes) -> None:
        """Answer the client, in its order."""
        if not self.pending:
            return
        self.pending = 0
        self.resp = reply
        client = self.client
        if client is not None and client.queue:
            if client.queue[0] is self:
                client.retire()
            if self.blocks:
                client.unblock()


FIRST_WINDOW, MAX_WINDOW, WINDOW_BYTES = 8, 64, 262_144
"""Requests of one client that may wait for replies; what it sends beyond waits until half of them are answered.

Servers answer in order: what one client is promised, the others wait behind. So it begins small, doubles at most, and
is as wide as so many bytes of replies such as the client had last.
"""
FOREVER = 1 << 60
"""More bytes than ever come: what a client sends is kept until it is unblocked."""


class Conn:
    """A connection: output collected during a tick, input kept until it is complete."""

    __slots__ = (
        "buf",
        "chunks",
        "close",
        "closed",
        "ending",
        "have",
        "hub",
        "more",
        "need",
        "out",
        "pause",
        "quick",
        "resume",
        "write",
    )

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.out: bytes | None = None  # what is written at the end of this tick
        self.more: list[bytes] = []  # and what follows it
        self.buf = b""
        self.chunks: list[bytes] = []  # of something long that is still arriving
        self.have = 0
        self.need = 0
        self.closed = False
        self.ending = False  # close once everything is written
        self.write: Callable[[bytes], None] = _nowhere
        self.close: Callable[[], None] = _nothing
        self.pause: Callable[[], None] = _nothing  # read no more
        self.resume: Callable[[], None] = _nothing
        self.quick: Callable[[], None] = _nothing  # acknowledge what came: no reply will carry that

    def send(self, data: bytes) -> None:
        """Collect output for the end of this tick."""
        if self.out is None:
            self.out = data
            self.hub.dirty.append(self)
        else:
            self.more.append(data)

    def stash(self, data: bytes, start: int, need: int) -> None:
        """Keep the beginning of something of at least `need` bytes."""
        self.chunks = [data[start:] if start else data]
        self.have = len(data) - start
        self.need = max(need, self.have + 1)

    def joined(self, data: bytes) -> bytes:
        """Return what was kept and this, or nothing while it is not enough."""
        self.chunks.append(data)
        self.have += len(data)
        if self.have < self.need:
            return b""
        whole = b"".join(self.chunks)
        self.chunks = []
        self.need = 0
        return whole


def _nowhere(data: bytes) -> None:
    del data


def _nothing() -> None:
    pass


class Hub:
    """What the connections of one worker share. The worker (worker.py) fills in the decisions."""

    def __init__(self, max_value: int) -> None:
        self.now = 0.0
        self.max_value = max_value
        self.hash: Callable[[bytes], int] = len
        self.mask = 0
        self.table: Sequence[Route] = ()
        self.tails: dict[bytes, int] = {}  # flags and size as a value's head has them → bytes from there to the end
        self.dirty: list[Conn] = []
        self.unblocked: list[Client] = []
        self.hold: set[Client] = set()  # not read until some of their requests are answered

    def flush(self) -> None:
        """Write what was collected, once for each connection."""
        while self.dirty or self.unblocked:
            if self.hold:
                self._let_go()
            if self.unblocked:
                unblocked, self.unblocked = self.unblocked, []
                for client in unblocked:
                    client.data_received(b"")
            dirty, self.dirty = self.dirty, []
            for conn in dirty:
                data, conn.out = conn.out, None
                if data is not None and not conn.closed:
                    if conn.more:
                        data = b"".join((data, *conn.more))
                        conn.more.clear()
                    conn.write(data)

    def _let_go(self) -> None:
        """Read those clients again of whose requests half are answered."""
        for client in [c for c in self.hold if len(c.queue) <= c.window // 2 and c.need != FOREVER]:
            self.hold.discard(client)
            client.resume()

    def dispatch(self, client: Client, command: Command, block: bytes) -> Op | None:
        """Begin a command that is not a lone get; `block` is its data with CRLF."""
        raise NotImplementedError

    def give_up(self, backend: Backend, why: str) -> None:
        """Reset a connection and find other ways for what waits on it."""
        raise NotImplementedError

    def missed(self, req: Get, backend: Backend) -> None:
        """A server does not have the value of a lone get (or cannot say)."""
        raise NotImplementedError

    def hedge_get(self, req: Get, backend: Backend) -> None:
        """Ask another copy for a lone get that is late, without waiting."""
        raise NotImplementedError

    def took(self, server: int, verb: bytes, seconds: float, count: int) -> None:
        """A server answered so many requests that are no lone gets, the oldest after so many seconds."""
        raise NotImplementedError

    def paused(self, client: Client) -> None:
        """Read no more from a client that has enough requests under way, until some are answered."""
        client.waits = True
        client.pause()
        self.hold.add(client)
