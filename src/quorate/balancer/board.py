"""One verdict for all workers of a controller: what each of them says of each server, in memory that they share.

Each worker has a region that only it writes: which servers these are (a checksum, since a worker that was configured
anew may have others than its siblings), and two bytes for each server, how it is and how it is marked. A worker writes
before it acknowledges a change that a server missed, and its siblings compare before they take what a client says: who
was told "stored" by one of them is therefore never shown the old value by another. What a dead worker wrote stands
until its successor writes.

Beside that each worker counts its probes, so that the supervisor sees it live, and how often it began to serve.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from quorate.balancer.config import MOST_SERVERS, Server
from quorate.balancer.registers import CLEAN

PLACE = "QUORATE_BALANCER_WORKER"
"""The environment variable that tells a worker its place."""
UP, OUT, UNKNOWN = b"u", b"o", b"-"
"""How a server is: used; given up for what it did to this worker; anything else, which is nobody's evidence."""
_CLEAN = CLEAN.encode()[0]
_REGION = 4 + 2 * MOST_SERVERS
_COUNT = struct.Struct("=Q")


class Place(NamedTuple):
    """Which of the workers a process is, and what it shares with the supervisor. `number` begins with 1.

    `supervisor` is a process; `board`, `listener` (of clients) and `inner` (of questions for the pages) are descriptors
    that stay inheritable, so that they are there after each `exec`.
    """

    number: int
    workers: int
    supervisor: int
    board: int
    listener: int
    inner: int

    def environment(self) -> dict[str, str]:
        """Return what tells a process that this is its place."""
        return {PLACE: ",".join(map(str, self))}


def place() -> Place | None:
    """Return this process's place; None where it is alone, or the supervisor."""
    numbers = [int(text) for text in os.environ.get(PLACE, "").split(",") if text.isdigit()]
    return Place(*numbers) if len(numbers) == len(Place._fields) else None


def create() -> int:
    """Make the memory of a board that nobody has written on, and return its descriptor."""
    return os.memfd_create("quorate-balancer-board", os.MFD_CLOEXEC)


class Board:
    """The memory as one process sees it. `number`: the worker's, from 1; the supervisor's is 0."""

    def __init__(self, descriptor: int, workers: int, number: int = 0, servers: Sequence[Server] = ()) -> None:
        self.number = number
        self.workers = workers
        self.verdicts = workers * _REGION
        size = self.verdicts + 2 * workers * _COUNT.size
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
        self.memory = mmap.mmap(descriptor, size)
        self.count = len(servers)
        which = repr([(server.name, server.address) for server in servers]).encode()
        self.which = struct.pack("=I", zlib.crc32(which) or 1)
        self.written = b""
        self.seen = self.memory[: self.verdicts]

    # --- verdicts ------------------------------------------------------------------------------------------------

    def write(self, states: Sequence[bytes], marks: Sequence[str]) -> None:
        """Say how each server is and how it is marked."""
        said = b"".join(state + mark.encode() for state, mark in zip(states, marks, strict=True))
        if said != self.written:
            self.written = said
            own = self.which + said
            at = (self.number - 1) * _REGION
            self.memory[at : at + len(own)] = own
            self.seen = self.seen[:at] + own + self.seen[at + len(own) :]

    def has_news(self) -> bool:
        """Whether a sibling wrote since `read`. It is asked for every read from a client."""
        return self.memory[: self.verdicts] != self.seen

    def read(self) -> list[tuple[int, int]]:
        """Take in what is written; return who newly gave up which server, as numbers of workers and servers."""
        before, self.seen = self.seen, self.memory[: self.verdicts]
        given_up = []
        for number, at in self._siblings():
            known = before[at - 4 : at] == self.which
            for server in range(self.count):
                byte = slice(at + 2 * server, at + 2 * server + 1)
                if known and self.seen[byte] == OUT != before[byte]:
                    given_up.append((number, server))
        return given_up

    def marked(self, server: int) -> bool:
        """Whether a sibling marks the server, as of the last `read`."""
        return any(self.seen[at + 2 * server + 1] not in {0, _CLEAN} for _, at in self._siblings())

    def _siblings(self) -> list[tuple[int, int]]:
        """Return the workers that have the same servers, each with where its verdicts begin."""
        regions = ((number, (number - 1) * _REGION) for number in range(1, self.workers + 1) if number != self.number)
        return [(number, at + 4) for number, at in regions if self.seen[at : at + 4] == self.which]

    # --- life ----------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Say that this worker lives."""
        self._add(self.verdicts, self.number)

    def serve(self) -> None:
        """Say that this worker begins to serve clients."""
        self._add(self.verdicts + self.workers * _COUNT.size, self.number)

    def beats(self, number: int) -> int:
        """Return how often a worker said that it lives."""
        return self._get(self.verdicts, number)

    def served(self, number: int) -> int:
        """Return how often a worker, and those before it in its place, began to serve."""
        return self._get(self.verdicts + self.workers * _COUNT.size, number)

    def _get(self, base: int, number: int) -> int:
        found: int = _COUNT.unpack_from(self.memory, base + (number - 1) * _COUNT.size)[0]
        return found

    def _add(self, base: int, number: int) -> None:
        _COUNT.pack_into(self.memory, base + (number - 1) * _COUNT.size, self._get(base, number) + 1)
