"""One server as this balancer sees it: is it used, what did it miss, what must be done before it is read again.

All decisions are here and have no socket: time is passed in, and each method returns what the caller must do.
The states, and what moves a server from one to the next (decision 8):

    OUT ──connected──► RISING ──`rise` good probes──► UP
     ▲                   │                            │
     └─── refused, reset, closed, late, bad reply ◄───┘

A server that is UP is written. It is read unless it owes: `Debt` says what is missing, and `mend()` what comes next:

    drain (old connections gone, or `settle`) → identify (when did it start?) → replay (delete what it missed)
                                                          └ log overflowed: wait, then flush_all, once for all balancers
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass, field

from quorate.balancer.registers import CLEAN, DIRTY, FILLING, WAITING

UPTIME_SLACK = 3.0
"""Seconds by which memcached's uptime, counted in whole seconds from two before its start, may be too small."""
LASTING = "TLS: "
"""How a reason begins that somebody must mend: it is told even of a server that is out already."""


class State(enum.Enum):
    """Whether requests are sent to a server."""

    OUT = "out"
    RISING = "rising"
    UP = "up"


class Step(enum.Enum):
    """What a server that owes needs next."""

    NOTHING = "nothing"
    DRAIN = "drain"
    IDENTIFY = "identify"
    REPLAY = "replay"
    WAIT = "wait"
    FLUSH = "flush"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process a server is: `stats` says so."""

    pid: int
    uptime: float
    flushes: int
    started: int  # seconds since the epoch, by the server's clock

    @property
    def generation(self) -> int:
        """Return 1 to 63: as a rule another one for another process, the same for whoever looks. For CAS tokens."""
        return 1 + (self.pid * 7 + self.started // 3) % 63

    def same_content(self, other: Identity) -> bool:
        """Whether nothing emptied it between the two looks."""
        return self.pid == other.pid and self.flushes == other.flushes and other.uptime >= self.uptime


@dataclass(slots=True)
class Debt:
    """The changes that a server missed, as far as this balancer passed them on.

    `keys` holds them with the time of the miss, oldest first. What did not fit is only remembered as a time:
    everything missed until `overflow` may be any key.
    """

    limit: int
    keys: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    overflow: float | None = None

    def __bool__(self) -> bool:
        return bool(self.keys) or self.overflow is not None

    def add(self, key: bytes, now: float) -> None:
        """Remember one key, and at the limit only how recent what is dropped was."""
        keys = self.keys
        keys[key] = now
        keys.move_to_end(key)
        if len(keys) > self.limit:
            self.overflow = keys.popitem(last=False)[1]

    def everything(self, now: float) -> None:
        """Remember that any key may be missed."""
        self.keys.clear()
        self.overflow = now

    def forgive(self, asked: float, uptime: float) -> None:
        """Drop the overflow if the server's process, asked then, began after it: it was born without the old values."""
        if self.overflow is not None and self.overflow < asked - uptime - UPTIME_SLACK:
            self.overflow = None


class Health:
    """State, debt and mark of one server."""

    def __init__(self, *, rise: int, settle: float, probe: float, missed: int) -> None:
        self.state = State.OUT
        self.debt = Debt(missed)
        self.rise = rise
        self.settle = settle
        self.probe = probe
        self.identity: Identity | None = None
        self.given_up: set[str] = set()  # addresses of our ends of connections that may still hold changes
        self.reason = "not connected yet"
        self.since = 0.0  # when the reason became true
        self.good = 0
        self.rising_since = 0.0
        self.failed_before = False
        self.losses = 0
        self.former_life = False  # connections of a former process of this balancer may still hold changes
        self.drained = False
        self.identified = False
        self.ready_at: float | None = None  # when it was first ready to be emptied
        self.filling = False

    # --- use -----------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """A new connection stands: begin to rise."""
        self.state = State.RISING
        self.good = 0
        self.rising_since = now
        self.drained = not self.given_up and not self.former_life
        self.ready_at = None

    def answered(self, now: float) -> bool:
        """Count a good probe; True when the server is used from now on."""
        self.good += 1
        risen = self.identity is not None and (self.good >= self.rise or not self.failed_before)
        if self.state is not State.RISING or not risen:
            return False
        self._enter(State.UP, "answers", now)
        self.identified = False  # what empties it counts from here on, when it gets every change again
        return True

    def lost(self, why: str, now: float) -> bool:
        """The connection is gone, given up or never stood; True when that is news."""
        lost = self.state is State.UP or not self.failed_before
        news = lost or (why.startswith(LASTING) and why != self.reason)
        self._enter(State.OUT, why if news else self.reason, now)
        self.failed_before = True
        self.losses += lost
        return news

    def _enter(self, state: State, reason: str, now: float) -> None:
        if reason != self.reason:
            self.reason, self.since = reason, now
        self.state = state

    # --- mending -------------------------------------------------------------------------------------------------

    def mend(self, now: float, rank: int) -> Step:
        """Say what a server that owes needs next; `rank` of us wait before this one for it to be emptied."""
        if self.state is not State.UP or not (self.debt or self.given_up):
            return Step.NOTHING
        if not self.drained:
            if now - self.rising_since < self.settle:
                return Step.DRAIN
            self.former_life = False
            self.gone(self.given_up)
        if not self.debt:
            return Step.NOTHING
        if not self.identified:
            return Step.IDENTIFY
        if self.debt.overflow is None:
            return Step.REPLAY
        if self.ready_at is None:
            self.ready_at = now
        patience = (2 + 3 * rank) * self.probe
        return Step.FLUSH if now - self.ready_at >= patience else Step.WAIT

    def gone(self, addresses: set[str]) -> None:
        """Old connections are not listed by the server any more."""
        self.given_up -= set(addresses)
        self.drained = not self.given_up and not self.former_life
        self.identified = False  # and only after its old connections are gone

    def identify(self, identity: Identity, asked: float) -> bool:
        """Take in which process answered; True when it was emptied or began since the last look."""
        before, self.identity = self.identity, identity
        self.debt.forgive(asked, identity.uptime)
        self.identified = True
        return before is not None and not before.same_content(identity)

    def emptied(self) -> None:
        """It holds nothing any more that it held when it was ready: whatever it missed is moot."""
        if self.ready_at is not None:
            self.debt.keys.clear()
            self.debt.overflow = None
            self.ready_at = None

    def mark(self) -> str:
        """Return what this balancer's register says of it."""
        if self.debt:
            return WAITING if self.ready_at is not None and self.state is State.UP else DIRTY
        return FILLING if self.filling else CLEAN
