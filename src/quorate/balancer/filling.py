"""Copying values back to a server that was emptied, on demand and within a budget (decision 8, rejoin 6).

What waits for other servers when `sample` looks is what clients want now. A value is placed for a few seconds only, and
for its remaining lifetime once every change that was under way at that time has ended and the source still has the same
value. Nobody reads the server before that: it is marked FILLING, the marks are known everywhere before the first value
is placed, and the mark goes only when nothing is left unsettled. Filling needs all other servers whole; when one is
lost, it ends at once, so that this one can be read.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorate.balancer.command import Shape
from quorate.balancer.conn import Get
from quorate.balancer.health import State
from quorate.balancer.inner import Ask
from quorate.balancer.registers import CLEAN, PROVISIONAL, UNSETTLED

if TYPE_CHECKING:
    from quorate.balancer.session import Backend
    from quorate.balancer.worker import Worker

UNDER_WAY = 256
"""Values that are being copied at a time."""
BYTES = 4_194_304
"""Bytes of them."""
SLACK = 0.25
"""Seconds beyond two deadlines (a change, and its publishing) after which a quorum must have been asked again."""
WANTED = 4096
"""Keys of one server that are copied because it missed changes of them."""
_VALUE = re.compile(rb"VA (\d+) f(\d+) t(-?\d+) c(\d+)\r\n")
_SAME = re.compile(rb"HD f(\d+) t(-?\d+) c(\d+)\r\n")
_CAS = re.compile(rb"HD c(\d+)\r\n")


@dataclass(slots=True)
class Copying:
    """One value on its way. Tokens are the servers' own."""

    key: bytes
    source: Backend
    target: Backend
    asked: float
    value: bytes = b""
    flags: bytes = b""
    token: bytes = b""
    placed: bytes = b""
    due: float = 0.0


class Filling:
    """The servers that one worker fills, and the values that it is copying."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.began: dict[int, float] = {}
        self.ends: dict[int, float] = {}
        self.wanted: dict[int, deque[bytes]] = {}
        self.only_wanted: set[int] = set()
        self.under_way: dict[bytes, Copying] = {}
        self.placed: deque[Copying] = deque()
        self.seen: set[bytes] = set()
        self.bytes = 0

    # --- servers -------------------------------------------------------------------------------------------------

    def emptied(self, server: int) -> None:
        """A server was emptied: fill it. What is being filled from it has lost that source (a client's flush_all)."""
        for other, began in self.began.items():
            if other != server and began <= self.worker.now:
                self.ends[other] = min(self.ends[other], self.worker.now)
        self.start(server)

    def start(self, server: int) -> None:
        """Fill a server, if there are copies to fill it from and all others are whole."""
        now = self.worker.now
        self.wanted.pop(server, None)
        self.only_wanted.discard(server)
        if self.worker.config.copies > 1 and self._others_whole(server):
            self.began[server] = now
            self.ends[server] = now + self.worker.config.timing.fill / 1000
            self.worker.health[server].filling = True
            self.seen.clear()

    def want(self, server: int, lines: list[bytes]) -> None:
        """Remember keys that are deleted from a server because it missed a change: they have one copy fewer now."""
        wanted = self.wanted.setdefault(server, deque(maxlen=WANTED))
        wanted.extend(words[1] for words in map(bytes.split, lines) if len(words) == 2)

    def start_wanted(self, server: int) -> None:
        """Fill those, now that they are deleted."""
        if self.wanted.get(server) and server not in self.ends:
            wanted = self.wanted[server]
            self.start(server)
            if server in self.ends:
                self.wanted[server] = wanted
                self.only_wanted.add(server)

    def recall(self, server: int) -> None:
        """A former life of this balancer was filling it: mark it until what may be unsettled is gone by itself."""
        now = self.worker.now
        self.began[server] = now + UNSETTLED
        self.ends[server] = now + UNSETTLED
        self.worker.health[server].filling = True

    def _others_whole(self, server: int) -> bool:
        worker = self.worker
        return all(
            health.state is State.UP and health.mark() == CLEAN and worker.view.mark(other, worker.now) == CLEAN
            for other, health in enumerate(worker.health)
            if other != server
        )

    def tick(self) -> None:
        """End what is to end; a mark goes when nothing of its server is under way."""
        now = self.worker.now
        for server in list(self.ends):
            if self.began[server] <= now and not self._others_whole(server):
                self.ends[server] = min(self.ends[server], now)
            if server in self.only_wanted and not self.wanted.get(server) and not self._is_busy(server):
                self.ends[server] = min(self.ends[server], now)
            if now < self.ends[server]:
                continue
            for copying in [c for c in self.placed if c.target.server == server]:
                self.placed.remove(copying)
                self._take_back(copying)
            if not self._is_busy(server):
                del self.ends[server], self.began[server]
                self.worker.health[server].filling = False

    def _is_busy(self, server: int) -> bool:
        return any(copying.target.server == server for copying in self.under_way.values())

    # --- values --------------------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Begin to copy what clients are reading now, and settle what was placed long enough ago."""
        worker = self.worker
        while self.placed and self.placed[0].due <= worker.now:
            self._look_again(self.placed.popleft())
        announced = self.worker.view.lease + 2 * worker.config.timing.probe / 1000
        targets = {s for s, end in self.ends.items() if self.began[s] + announced <= worker.now < end}
        if not targets or not worker.view.is_valid(worker.now) or not worker.mending.is_confirmed():
            return
        for target in targets:
            wanted = self.wanted.get(target)
            while wanted and len(self.under_way) < UNDER_WAY:
                key = wanted.popleft()
                nearest = worker.route(key).read
                if nearest is not None:
                    self._begin(key, nearest, targets)
        for source in worker.connections:
            if source is not None and source.server not in targets:
                for req in list(source.fifo)[:16]:
                    if isinstance(req, Get) and req.pending:
                        self._begin(req.key, source, targets)

    def _begin(self, key: bytes, source: Backend, targets: set[int]) -> None:
        if key in self.seen or len(self.under_way) >= UNDER_WAY or self.bytes >= BYTES:
            return
        for target in self.worker.route(key).writes:
            if target.server in targets:
                self.seen.add(key)
                self._copy(Copying(key, source, target, self.worker.now))
                return

    def _copy(self, copying: Copying) -> None:
        self.under_way[copying.key] = copying
        self._ask(copying.source, b"mg %b v f t c\r\n" % copying.key, lambda reply: self._read(copying, reply))

    def _ask(
        self, backend: Backend, data: bytes, then: Callable[[bytes | None], None], *, places: bool = False
    ) -> None:
        if backend.closed:
            then(None)
        else:
            backend.submit(Ask(self.worker.now, Shape.META, lambda _, reply: then(reply), mutates=places), data)

    def _read(self, copying: Copying, reply: bytes | None) -> None:
        found = _VALUE.match(reply or b"")
        late = self.worker.now - copying.asked > self.worker.deadline
        if found is None or reply is None or found[3] == b"0" or late or copying.target.server not in self.ends:
            self._end(copying)
            return
        copying.flags, copying.token = found[2], found[4]
        copying.value = reply[found.end() :]
        self.bytes += len(copying.value)
        line = b"ms %b %b T%d F%b ME c\r\n" % (copying.key, found[1], PROVISIONAL, copying.flags)
        self._ask(copying.target, line + copying.value, lambda said: self._stored(copying, said), places=True)

    def _stored(self, copying: Copying, reply: bytes | None) -> None:
        if reply is None:
            self._unknown(copying)
            return
        found = _CAS.fullmatch(reply)
        if found is None:  # it is there already, or cannot be
            self._end(copying)
            return
        copying.placed = found[1]
        copying.due = self.worker.now + 2 * self.worker.deadline + SLACK
        if self.worker.now < self.ends.get(copying.target.server, 0.0):
            self.placed.append(copying)
        else:
            self._take_back(copying)

    def _look_again(self, copying: Copying) -> None:
        self._ask(copying.source, b"mg %b f t c\r\n" % copying.key, lambda reply: self._settle(copying, reply))

    def _settle(self, copying: Copying, reply: bytes | None) -> None:
        found = _SAME.fullmatch(reply or b"")
        if not self._is_sure(copying) or found is None or found[3] != copying.token or found[2] == b"0":
            self._take_back(copying)
            return
        life = b"0" if found[2] == b"-1" else found[2]
        self.worker.counts["filled_keys"] += 1
        line = b"ms %b %d T%b F%b C%b\r\n" % (
            *(copying.key, len(copying.value) - 2, life),
            *(copying.flags, copying.placed),
        )
        self._ask(copying.target, line + copying.value, lambda said: self._done(copying, said), places=True)

    def _is_sure(self, copying: Copying) -> bool:
        """Whether a quorum, asked when every change under way had ended, knew nothing that the source misses."""
        worker, source = self.worker, copying.source.server
        asked = sum(at >= copying.due - SLACK for at in worker.view.heard) >= worker.view.quorum
        return asked and worker.health[source].mark() == CLEAN and worker.view.mark(source, worker.now) == CLEAN

    def _take_back(self, copying: Copying) -> None:
        line = b"md %b C%b\r\n" % (copying.key, copying.placed)
        self._ask(copying.target, line, lambda reply: self._done(copying, reply))

    def _done(self, copying: Copying, reply: bytes | None) -> None:
        if reply is None:
            self._unknown(copying)
        else:
            self._end(copying)

    def _unknown(self, copying: Copying) -> None:
        """The server may hold it for ever now: that is a debt like any other."""
        self.worker.miss(copying.target.server, b"md %b\r\n" % copying.key)
        self._end(copying)

    def _end(self, copying: Copying) -> None:
        self.bytes -= len(copying.value)
        copying.value = b""
        self.under_way.pop(copying.key, None)
