"""What the balancer itself asks servers: probes, its register, who they are, and the mending of what they missed."""

from __future__ import annotations

import re
from collections.abc import Callable

from quorate.balancer.command import Shape
from quorate.balancer.conn import Op
from quorate.balancer.health import Identity
from quorate.balancer.registers import PREFIX, Shown
from quorate.balancer.replies import values
from quorate.balancer.session import Backend

_ADDRESS = re.compile(rb"STAT \d+:addr tcp6?:(\S+)\r\n")


class Ask(Op):
    """A question of the balancer's own: `then` gets the reply, or None when the connection was lost."""

    __slots__ = ("mutates", "shape", "then")

    def __init__(
        self, now: float, shape: Shape, then: Callable[[Backend, bytes | None], None], *, mutates: bool = False
    ) -> None:
        super().__init__(None)
        self.mutates = mutates
        self.at = now
        self.shape = shape
        self.then = then

    def replied(self, backend: Backend, reply: bytes) -> None:
        """Hand it on."""
        self.then(backend, reply)

    def lost(self, backend: Backend) -> None:
        """Hand on that there will be none."""
        self.then(backend, None)


def registers(reply: bytes) -> dict[str, Shown]:
    """Return the registers that a server shows, by balancer."""
    return {
        key[len(PREFIX) :].decode("ascii", "replace"): Shown(reply[start:end], token or 0)
        for key, _, start, end, token in values(reply)
    }


def store(key: bytes, value: bytes) -> bytes:
    """Return the command that sets an item of the balancer's own."""
    return b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value)


def replace(key: bytes, value: bytes, there: Shown | None) -> bytes:
    """Return the command that sets such an item only where it still is as it was shown, or still is not there."""
    guard = b"ME" if there is None else b"C%d" % there.token
    return b"ms %b %d %b\r\n%b\r\n" % (key, len(value), guard, value)


def identity(reply: bytes) -> Identity | None:
    """Read `stats`: which process this is, for how long, and how often it was emptied."""
    found = dict(line.split(b" ", 2)[1:3] for line in reply.split(b"\r\n") if line.count(b" ") >= 2)
    try:
        uptime = int(found[b"uptime"])
        return Identity(int(found[b"pid"]), uptime, int(found[b"cmd_flush"]), int(found[b"time"]) - uptime)
    except (KeyError, ValueError):
        return None


def connections(reply: bytes) -> set[str]:
    """Read `stats conns`: the addresses of the other ends."""
    return {address.decode("ascii", "replace") for address in _ADDRESS.findall(reply)}
