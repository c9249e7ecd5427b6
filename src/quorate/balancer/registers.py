"""What balancers tell each other, through the servers: one small item each, written by its owner only (decision 8).

A register says for each server, in the configuration's order, whether its owner missed changes there. An owner writes
it to a quorum of servers before it acknowledges a change that a server missed; a reader asks a quorum at every probe.
Two quorums share a server, so a reader whose view is valid knows of every acknowledged change that was missed.
A server that restarts has lost what it held: the owner writes it again, or, if it stands still, whoever remembers it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

CLEAN, DIRTY, WAITING, FILLING = ".", "d", "w", "f"
MARKS = frozenset({CLEAN, DIRTY, WAITING, FILLING})
OWED = frozenset({DIRTY, WAITING})
PREFIX = b"quorate:balancer:"
PROVISIONAL = 5
"""Seconds that a value lives which was copied and is not settled (filling.py)."""
UNSETTLED = PROVISIONAL + 1.0
"""Seconds after which nothing of that kind is left by a balancer that stands still."""
STILL = 2
"""Probe intervals after which a register that does not advance is passed on by others: its owner may be dead."""
MOST_DIGITS = 20
"""Of a sequence number: anybody can write an item, and a number of 5,000 digits is an error to Python."""


@dataclass(frozen=True, slots=True)
class Register:
    """One balancer's register. `life` tells its processes apart, `seq` grows over all of them.

    `taken`: balancers that died in debt, and up to which `seq` their debts are now this one's.
    """

    life: str
    seq: int
    ring: str
    marks: str
    taken: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the item's value."""
        taken = ",".join(f"{name}:{seq}" for name, seq in sorted(self.taken.items())) or "-"
        return f"1 {self.life} {self.seq} {self.ring} {self.marks} {taken}".encode()


class Shown(NamedTuple):
    """An item as a server shows it: what it holds, and its CAS token there."""

    value: bytes
    token: int


def decode(value: bytes, servers: int) -> Register | None:
    """Read an item's value; None when it is no register for so many servers."""
    parts = value.decode("ascii", "replace").split(" ")
    if len(parts) != 6 or parts[0] != "1" or not _is_number(parts[2]):
        return None
    if len(parts[4]) != servers or not MARKS.issuperset(parts[4]):
        return None
    taken = [text.partition(":") for text in parts[5].split(",") if text != "-"]
    if not all(_is_number(seq) for _, _, seq in taken):
        return None
    return Register(parts[1], int(parts[2]), parts[3], parts[4], {name: int(seq) for name, _, seq in taken})


def _is_number(text: str) -> bool:
    return text.isdigit() and len(text) <= MOST_DIGITS


def quorum(servers: int) -> int:
    """How many servers must hold a register: more than half; of two, one (with one gone the other is trusted alone)."""
    return servers // 2 + 1 if servers > 2 else 1


@dataclass(slots=True)
class _Known:
    register: Register
    advanced: float


class View:
    """What this balancer knows of the others: the newest register of each, and when each server last answered.

    A register is never forgotten: what it owes holds until its owner says otherwise or another takes its debts over.
    """

    def __init__(self, name: str, names: Sequence[str], servers: int, lease: float, dead: float) -> None:
        self.name = name
        self.names = tuple(names)
        self.servers = servers
        self.quorum = quorum(servers)
        self.lease = lease
        self.dead = dead
        self.heard: list[float] = [float("-inf")] * servers
        self.others: dict[str, _Known] = {}
        self.taken: dict[str, int] = {}  # by this balancer

    def absorb(self, server: int, shown: Mapping[str, Shown], asked: float) -> None:
        """Take in what a server showed to a probe that was sent at `asked` (what it says may be as old as that)."""
        self.heard[server] = max(self.heard[server], asked)
        for name, item in shown.items():
            register = decode(item.value, self.servers)
            if register is None or name == self.name or name not in self.names:
                continue
            known = self.others.get(name)
            if known is None or register.seq > known.register.seq:
                self.others[name] = _Known(register, asked)

    def lacking(self, shown: Mapping[str, Shown], since: float) -> Iterator[tuple[str, Register]]:
        """Name the registers that have stood still since then and of which a server shows an older one or none."""
        for name, known in self.others.items():
            if known.advanced < since:
                there = decode(shown[name].value, self.servers) if name in shown else None
                if there is None or there.seq < known.register.seq:
                    yield name, known.register

    def unseen(self) -> None:
        """Forget who was asked when: the process was paused."""
        self.heard = [float("-inf")] * self.servers

    def _owing(self) -> Iterator[tuple[str, _Known]]:
        """Name the registers that count: those whose debts nobody took over."""
        taken: dict[str, int] = dict(self.taken)
        for known in self.others.values():
            for name, seq in known.register.taken.items():
                taken[name] = max(seq, taken.get(name, -1))
        for name, known in self.others.items():
            if known.register.seq > taken.get(name, -1):
                yield name, known

    def is_valid(self, now: float) -> bool:
        """Whether a quorum of servers was asked within the lease."""
        since = now - self.lease
        return sum(at >= since for at in self.heard) >= self.quorum

    def mark(self, server: int, now: float) -> str:
        """Return the worst that another balancer says of a server: DIRTY (for WAITING too), FILLING or CLEAN.

        Who fills and stands still has left nothing there that is not settled or gone by itself after a while.
        """
        worst = CLEAN
        for _, known in self._owing():
            mark = known.register.marks[server]
            if mark in OWED:
                return DIRTY
            if mark == FILLING and now - known.advanced <= UNSETTLED:
                worst = FILLING
        return worst

    def rank(self, server: int) -> int:
        """How many balancers before this one, by name order of the configuration, wait for the server to be emptied."""
        mine = self.names.index(self.name)
        waiting = (name for name, known in self._owing() if known.register.marks[server] == WAITING)
        return sum(self.names.index(name) < mine for name in waiting)

    def debts_of_the_dead(self, now: float) -> dict[str, frozenset[int]]:
        """Return balancers whose register stands still though it owes something, and the servers to which it owes."""
        found = {}
        for name, known in self._owing():
            owed = frozenset(i for i, mark in enumerate(known.register.marks) if mark in OWED)
            if owed and now - known.advanced > self.dead:
                found[name] = owed
        return found

    def is_first_alive(self, now: float) -> bool:
        """Whether no balancer that comes before this one in the configuration is alive."""
        before = self.names[: self.names.index(self.name)]
        return not any(n in self.others and now - self.others[n].advanced <= self.dead for n in before)

    def other_rings(self, ring: str) -> list[str]:
        """Return the balancers that spread keys in another way than this one."""
        return sorted(name for name, known in self.others.items() if known.register.ring != ring)


def key(name: str) -> bytes:
    """Return the item's key."""
    return PREFIX + name.encode()
