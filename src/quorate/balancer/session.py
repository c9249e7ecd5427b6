"""Who waits for whom: clients, the connections to servers, and the requests between them. No sockets, no clock.

Bytes come in by `data_received`, bytes go out by `send`, which only collects: `Hub.flush` writes once a connection and
loop tick. A lone `get KEY` is relayed as the bytes that came, in both directions, and is the one path that is tuned;
everything else is a `Command` and an `Op` (ops.py).

A reply belongs to the oldest request of its connection and to nothing else. What is not completely a reply to that
request ends the connection (law 1).
"""

from __future__ import annotations

import re
from collections import deque

from quorate.balancer.binary import BINARY_MAGIC, binary_answer
from quorate.balancer.command import BAD_CHUNK, MAX_KEY, MAX_LINE, Command, Shape, Way
from quorate.balancer.conn import FIRST_WINDOW, FOREVER, MAX_WINDOW, WINDOW_BYTES, Conn, Get, Hub, Op, Req
from quorate.balancer.handover import ClientState
from quorate.balancer.metrics import Latency
from quorate.balancer.outcome import hidden
from quorate.balancer.protocol import parse
from quorate.balancer.replies import BadReply, frame

_END, _CR_END = b"END\r\n", b"\r\nEND\r\n"
_CR, _G = b"\rg"


_SET = re.compile(rb"set ([^ \0\r\n]{1,250}+) [0-9]{1,9}+ [0-9]{1,9}+ ([0-9]{1,9}+)\r\n")
"""A `set` that every memcached reads alike, so that it can be relayed as it came."""
_HIT = re.compile(rb"VALUE ([^ \n]++)( [0-9]{1,20}+ ([0-9]{1,10}+)\r\n)")
TAILS = 4096
"""Different flags and sizes of values that are known by heart; with one more they are learnt anew."""


def plain_set(data: bytes, pos: int, max_value: int) -> Command | None:
    """Read a `set` without anything unusual."""
    found = _SET.match(data, pos)
    if found is None or (size := int(found[2])) > max_value:
        return None
    keys = (found[1],)
    return Command(b"set", Way.EVERY, Shape.LINE, found[0], keys, keys, size)


def many_keys(data: bytes, pos: int, nl: int) -> Command | None:
    """Read a plain `get` of several keys as memcached would; it is the next most frequent command."""
    if data[pos : pos + 4] != b"get " or nl - pos > MAX_LINE or data[nl - 1] != _CR:
        return None
    said = data[pos + 4 : nl - 1]
    keys = tuple(said.split(b" "))
    if nl - pos > MAX_KEY and max(map(len, keys)) > MAX_KEY:
        return None
    if b"\0" in said or b"  " in said or not keys[-1] or not keys[0]:
        return None
    return Command(b"get", Way.NEAREST, Shape.VALUES, data[pos : nl + 1], keys, keys)


class Last(Op):
    """A reply after which the connection is closed."""

    __slots__ = ()
    ends = True


class Client(Conn):
    """A client's connection."""

    __slots__ = ("queue", "skip", "solo", "waits", "window")

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.queue: deque[Req] = deque()
        self.solo = Get(self)  # reused while it is the client's only request and waits nowhere else
        self.skip = 0  # bytes of a refused block that are still to come
        self.waits = False  # paused
        self.window = FIRST_WINDOW

    def data_received(self, data: bytes) -> None:  # noqa: PLR0912 - one flat loop: every call costs
        """Take what a read gave."""
        if self.need:
            data = self.joined(data)
            if not data:
                self._enough()
                return
        elif self.buf:
            data = self.buf + data
            self.buf = b""
        elif self.skip:
            passed = min(self.skip, len(data))
            self.skip -= passed
            data = data[passed:]
        hub = self.hub
        queue, table, hash_of, mask = self.queue, hub.table, hub.hash, hub.mask
        size = len(data)
        pos = 0
        while pos < size:
            nl = data.find(b"\n", pos)
            if data[pos : pos + 4] == b"get " and nl > 0 and data[nl - 1] == _CR:
                key = data[pos + 4 : nl - 1]
                if b" " not in key and 0 < len(key) <= MAX_KEY:
                    backend = table[hash_of(key) & mask].read
                    if backend is not None and (not queue or len(queue) < self.window):
                        cmd = data if nl - pos == size - 1 else data[pos : nl + 1]
                        if queue:
                            req = Get(self, key, cmd, hub.now)
                        else:
                            req = self.solo
                            req.pending = 1
                            req.at = hub.now
                            req.key = key
                            req.cmd = cmd
                        queue.append(req)
                        backend.fifo.append(req)
                        if backend.out is None:
                            backend.out = cmd
                            hub.dirty.append(backend)
                        else:
                            backend.more.append(cmd)
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
        if len(self.queue) >= self.window:
            self.buf = data[pos:]
            self.hub.paused(self)
            return -1
        max_value = self.hub.max_value
        command = many_keys(data, pos, nl) if data[pos] == _G else plain_set(data, pos, max_value)
        if command is None:
            command = parse(data[pos : nl - 1 if nl > pos and data[nl - 1] == _CR else nl], max_value)
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
                self.answer(b"" if hidden(command, BAD_CHUNK) else BAD_CHUNK)
                return end
        if command.silent:
            self.quick()
        if command.answer is not None:
            self._refuse(command)
        elif (op := self.hub.dispatch(self, command, block)) is not None and op.blocks and op.pending:
            self.stash(data, end, FOREVER)
            self._enough()
            return -1
        return end

    def _enough(self) -> None:
        """Read no more while so much waits behind a command that cannot be overtaken."""
        if self.need == FOREVER and self.have > MAX_LINE and not self.waits:
            self.hub.paused(self)

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
        if len(data) - pos > MAX_LINE + 1:  # a CR may be the last of it
            self.answer(b"CLIENT_ERROR line too long\r\n", ends=True)
        else:
            self.buf = data[pos:]
        return -1

    def resize(self, written: int) -> None:
        """Half a window of replies took so many bytes: fit the next one to that."""
        one = max(1, written // max(1, self.window // 2))
        self.window = max(2, min(WINDOW_BYTES // one, 2 * self.window, MAX_WINDOW))

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
                if self.out is None:
                    self.send(b"")
                queue.clear()


class Backend(Conn):
    """A connection to a server: requests are pipelined, replies come in their order."""

    __slots__ = ("counts", "fifo", "gets", "heard", "latency", "local", "server", "width")

    def __init__(self, hub: Hub, server: int, latency: Latency) -> None:
        super().__init__(hub)
        self.server = server
        self.latency = latency  # of lone gets
        self.fifo: deque[Req] = deque()
        self.gets = 0  # replies to lone gets in this read
        self.counts: dict[bytes, int] = {}  # and to anything else, by verb
        self.heard = 0.0  # when anything came, or the wait began
        self.width = 0  # of the last value's flags and size, as they were written
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
        size = len(data)
        start = 0
        self.gets = 0
        try:
            while start < size and not self.need:
                start = self._gets(data, start, size) if isinstance(fifo[0], Get) else self._take(fifo[0], data, start)
        except (BadReply, ValueError, IndexError):
            hub.give_up(self, f"sent what is no reply: {data[start : start + 40]!r}")
            return
        if self.gets:
            self.latency.add(hub.now - oldest, self.gets)
        if self.counts:
            for verb, count in self.counts.items():
                hub.took(self.server, verb, hub.now - oldest, count)
            self.counts.clear()

    def _gets(self, data: bytes, start: int, size: int) -> int:
        """Take the replies to lone gets while such are the oldest requests; returns where the next reply begins.

        What follows a value's key, its flags and its size, is looked up: as a rule earlier values had the same.
        """
        fifo, hub = self.fifo, self.hub
        popleft, tails, width = fifo.popleft, hub.tails, self.width
        while start < size:
            req: Req = fifo[0]
            if not isinstance(req, Get):
                break
            tail = start + 6 + len(req.key)
            end = tail + tails.get(data[tail : tail + width], 0)
            if data[end - 7 : end] != _CR_END or data[start:tail] != b"VALUE " + req.key:
                found = _HIT.match(data, start)
                end = found.end() + int(found[3]) + 7 if found else data.find(b"\n", start) + 1
                if not 0 < end <= size:
                    self.stash(data, start, end - start)
                    return start
                if found is None or found[1] != req.key or data[end - 7 : end] != _CR_END:
                    self.gets += 1
                    self._no_value(req, data[start:end])
                    start = end
                    continue
                if len(tails) >= TAILS:
                    tails.clear()
                tails[found[2]] = end - found.start(2)
                self.width = width = len(found[2])
            self.gets += 1
            popleft()
            if req.pending:
                req.pending = 0
                client = req.client
                reply = data if end - start == size else data[start:end]
                queue = client.queue
                if queue and queue[0] is req:
                    queue.popleft()
                    if client.out is None:
                        client.out = reply
                        hub.dirty.append(client)
                    else:
                        client.more.append(reply)
                    if queue:
                        client.retire()
                else:
                    req.resp = reply
            start = end
        return start

    def _no_value(self, req: Get, reply: bytes) -> None:
        """Take a miss, an error line, or the value of another key: memcached reads a key only as far as its NUL."""
        if reply != _END:
            other = reply.startswith(b"V") and b"\0" not in req.key
            if other or frame(Shape.VALUES, reply, 0) != len(reply):
                raise BadReply
        self.fifo.popleft()
        if req.pending:
            self.hub.missed(req, self)

    def _take(self, req: Req, data: bytes, start: int) -> int:
        """Take the reply to anything but a lone get; returns where the next reply begins."""
        reply = req.yes
        if reply and data.startswith(reply, start):
            end = start + len(reply)
        else:
            end = req.frame(data, start)
            if end <= 0:
                self.stash(data, start, -end)
                return start
            reply = data if end - start == len(data) else data[start:end]
            if not req.fits(reply):
                raise BadReply
        self.fifo.popleft()
        counts = self.counts
        counts[req.verb] = counts.get(req.verb, 0) + 1
        req.replied(self, reply)
        return end
