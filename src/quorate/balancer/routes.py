"""Where the keys of one set of copies go now. Routes are few and shared by all slots of the ring.

A route is computed again whenever a server's state or mark changes, so that a request only looks it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.balancer.session import Backend


class Route:
    """The copies of some keys, and who of them is asked and told now.

    `reads`   connections that may be read, the near ones first
    `home`    the one that decides what has one home: the first readable in ring order
    `writes`  connections to all copies that are used, in ring order
    `absent`  copies (numbers of servers) that miss every change now
    """

    __slots__ = ("absent", "copies", "home", "read", "reads", "writes")

    def __init__(self, copies: tuple[int, ...]) -> None:
        self.copies = copies
        self.read: Backend | None = None
        self.reads: tuple[Backend, ...] = ()
        self.home: Backend | None = None
        self.writes: tuple[Backend, ...] = ()
        self.absent: tuple[int, ...] = copies

    def update(self, used: Sequence[Backend | None], readable: Sequence[bool], near: Sequence[bool]) -> None:
        """Compute it again: for each server its connection, whether it may be read, and whether it is near."""
        self.writes = tuple(backend for i in self.copies if (backend := used[i]) is not None)
        self.absent = tuple(i for i in self.copies if used[i] is None)
        open_to = [backend for backend in self.writes if readable[backend.server]]
        # sorted() is stable: equals stay in ring order
        self.reads = tuple(sorted(open_to, key=lambda backend: not near[backend.server]))
        self.read = self.reads[0] if self.reads else None
        self.home = open_to[0] if open_to else None

    def other(self, *tried: Backend) -> Backend | None:
        """Return the best one to read that was not tried."""
        return next((backend for backend in self.reads if backend not in tried), None)
