"""Who waits for whom: clients, the connections to servers, and the requests between them. No sockets, no clock.

Bytes come in by `data_received`, bytes go out by `send`, which only collects: `Hub.flush` writes once a connection and
loop tick. A lone `get KEY` is relayed as the bytes that came, in both directions, and is the one path that is tuned;
everything else is a `Command` and an `Op` (ops.py).

A reply belongs to the oldest request of its connection and to nothing else. What is not completely a reply to that
request ends the connection (law 1).
"""

from __future__ import annotations

from collections import deque

from quorate.balancer.binary import BINARY_MAGIC, binary_answer
from quorate.balancer.command import MAX_KEY, MAX_LINE, Command, Shape
from quorate.balancer.conn import FOREVER, Conn, Hub, Op, Req
from quorate.balancer.handover import ClientState
from quorate.balancer.metrics import Latency
from quorate.balancer.outcome import hidden
from quorate.balancer.protocol import parse
from quorate.balancer.replies import BadReply, frame

MAX_PIPELINE = 512
"""Requests of one client that may wait for replies; what it sends beyond stays unread until some are answered."""
_BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
_CR, _SPACE, _V, _E = 13, 32, 86, 69


class Last(Op):
    """A reply after which the connection is closed."""

    __slots__ = ()
    ends = True


class Client(Conn):
    """A client's connection."""

    __slots__ = ("queue", "skip", "solo", "waits")

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.queue: deque[Req] = deque()
        self.solo = Req(self)  # reused while it is the client's only request and waits nowhere else
        self.skip = 0  # bytes of a refused block that are still to come
        self.waits = False  # paused

    def data_received(self, data: bytes) -> None:
        """Take what a read gave."""
        if self.need:
            data = self.joined(data)
            if not data:
                return
        elif self.buf:
            data = self.buf + data
            self.buf = b""
        elif self.skip:
            passed = min(self.skip, len(data))
            self.skip -= passed
            data = data[passed:]
        hub = self.hub
        queue = self.queue
        size = len(data)
        pos = 0
        while pos < size:
            nl = data.find(b"\n", pos)
            if data.startswith(b"get ", pos) and nl > 0 and data[nl - 1] == _CR:
                key = data[pos + 4 : nl - 1]
                if b" " not in key and 0 < len(key) <= MAX_KEY:
                    route = hub.table[hub.hash(key) & hub.mask]
                    backend = route.read
                    if backend is not None:
                        if queue:
                            if len(queue) >= MAX_PIPELINE:
                                self.buf = data[pos:]
                                hub.paused(self)
                                return
                            req = Req(self)
                        else:
                            req = self.solo
                        req.pending = 1
                        req.at = hub.now
                        req.key = key
                        req.route = route
                        req.cmd = cmd = data if nl - pos == size - 1 else data[pos : nl + 1]
                        queue.append(req)
                        backend.fifo.append(req)
                        backend.send(cmd)
                        pos = nl + 1
                        continue
            pos = self._command(data, pos, nl)
            if pos < 0:
                return

    def _command(self, data: bytes, pos: int, nl: int) -> int:
        """Take anything but a lone get; returns where the next command begins, or -1 when this read is used up."""
        if self.ending:
            return -1
        if nl < 0 or data[pos] == BINARY_MAGIC:
            return self._unfinished(data, pos)
        if len(self.queue) >= MAX_PIPELINE:
            self.buf = data[pos:]
            self.hub.paused(self)
            return -1
        command = parse(data[pos : nl - 1 if nl > pos and data[nl - 1] == _CR else nl], self.hub.max_value)
        end = nl + 1
        block = b""
        if command.size >= 0:
            end += command.size + 2
            if end > len(data):
                if command.answer is not None:  # refused: its block passes by and is not kept
                    self.skip = end - len(data)
                    self._refuse(command)
                    return -1
                self.stash(data, pos, end - pos)
                return -1
            block = data[nl + 1 : end]
            if command.answer is None and not block.endswith(b"\r\n"):
                self.answer(b"" if hidden(command, _BAD_CHUNK) else _BAD_CHUNK)
                return end
        if command.silent:
            self.quick()
        if command.answer is not None:
            self._refuse(command)
        elif (op := self.hub.dispatch(self, command, block)) is not None and op.blocks and op.pending:
            self.stash(data, end, FOREVER)
            return -1
        return end

    def _refuse(self, command: Command) -> None:
        """Answer without a server; a value that is too large takes the old one with it, as in memcached."""
        if command.keys:
            self.hub.dispatch(self, command, b"")
        else:
            self.answer(command.answer or b"", ends=command.ends)

    def unblock(self) -> None:
        """Go on with what came after a command that could not be overtaken."""
        if self.need == FOREVER:
            self.buf = b"".join(self.chunks)
            self.chunks = []
            self.need = 0
            self.hub.unblocked.append(self)

    def _unfinished(self, data: bytes, pos: int) -> int:
        if data[pos] == BINARY_MAGIC:
            answer = binary_answer(data[pos:])
            if answer:
                self.answer(answer, ends=True)
                return -1
        if len(data) - pos > MAX_LINE:
            self.answer(b"CLIENT_ERROR line too long\r\n", ends=True)
        else:
            self.buf = data[pos:]
        return -1

    def leave(self, unread: bytes) -> ClientState:
        """Return what the next process needs to go on with this client."""
        return ClientState(self.buf or b"".join(self.chunks), unread, self.skip)

    def answer(self, reply: bytes, *, ends: bool = False) -> None:
        """Reply without asking a server, in order."""
        op = Last(self) if ends else Op(self)
        op.pending = 0
        op.resp = reply
        self.queue.append(op)
        self.retire()

    def retire(self) -> None:
        """Send the finished replies that are the oldest."""
        queue = self.queue
        while queue:
            req = queue[0]
            if req.pending:
                return
            queue.popleft()
            if req.resp:
                self.send(req.resp)
                req.resp = b""
            if req.ends:
                self.ending = True
                if not self.out:
                    self.send(b"")
                queue.clear()


class Backend(Conn):
    """A connection to a server: requests are pipelined, replies come in their order."""

    __slots__ = ("fifo", "heard", "latency", "local", "server")

    def __init__(self, hub: Hub, server: int, latency: Latency) -> None:
        super().__init__(hub)
        self.server = server
        self.latency = latency  # of lone gets
        self.fifo: deque[Req] = deque()
        self.heard = 0.0  # when anything came, or the wait began
        self.local = ""  # the address of our end, as the server's `stats conns` shows it

    def submit(self, req: Req, data: bytes) -> None:
        """Send a request and wait for its reply."""
        if not self.fifo:
            self.heard = self.hub.now  # it is not late for what was asked of others before
        self.fifo.append(req)
        self.send(data)

    def data_received(self, data: bytes) -> None:
        """Take what a read gave."""
        if self.need:
            data = self.joined(data)
            if not data:
                return
        hub = self.hub
        self.heard = hub.now
        fifo = self.fifo
        oldest = fifo[0].at if fifo else hub.now
        gets = 0
        size = len(data)
        start = 0
        try:
            while start < size:
                req = fifo[0]
                if not req.plain:
                    end = self._take(req, data, start)
                    if not end:
                        break
                    start = end
                    continue
                nl = data.find(b"\n", start)
                if nl < 0:
                    self.stash(data, start, 0)
                    break
                if data[start] != _V:
                    if not data.startswith(b"END\r\n", start) and frame(Shape.VALUES, data, start) != nl + 1:
                        raise BadReply  # noqa: TRY301 - one place resets the connection
                    fifo.popleft()
                    gets += 1
                    if req.pending:  # a miss, or an error line, which is as good as one
                        hub.missed(req, self)
                    start = nl + 1
                    continue
                end = _value_end(data, start, nl, req.key)
                if end > size:
                    self.stash(data, start, end - start)
                    break
                fifo.popleft()
                gets += 1
                if req.pending:
                    _deliver(req, data if end - start == size else data[start:end])
                start = end
        except (BadReply, ValueError, IndexError):
            hub.give_up(self, f"sent what is no reply: {data[start : start + 40]!r}")
            return
        self.latency.add(hub.now - oldest, gets)

    def _take(self, req: Req, data: bytes, start: int) -> int:
        """Take the reply to anything but a lone get; returns its end, or 0 while it is not complete."""
        end = frame(req.shape, data, start)
        if end <= 0:
            self.stash(data, start, -end)
            return 0
        reply = data[start:end]
        if not req.fits(reply):
            raise BadReply
        self.fifo.popleft()
        self.hub.took(self.server, req)
        req.replied(self, reply)
        return end


def _value_end(data: bytes, start: int, nl: int, key: bytes) -> int:
    """Return where the reply to a lone get ends that begins with VALUE; beyond the data where it is not complete."""
    end = nl + 8 + int(data[data.rfind(b" ", start, nl) : nl])  # the value, CRLF, END
    if end <= len(data) and (
        data[end - 7 : end] != b"\r\nEND\r\n"
        or not data.startswith(key, start + 6)
        or data[start + 6 + len(key)] != _SPACE
    ):
        raise BadReply
    return end


def _deliver(req: Req, reply: bytes) -> None:
    """Answer a lone get, in its client's order."""
    req.pending = 0
    client = req.client
    if client is None:
        return
    queue = client.queue
    if queue and queue[0] is req:
        queue.popleft()
        client.send(reply)
        if queue and not queue[0].pending:
            client.retire()
    else:
        req.resp = reply
