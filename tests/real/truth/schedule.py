"""A seed → the faults of one run, and when each begins and ends. Pure: the same seed gives the same faults for ever.

What may be out at one time is what the balancer's guarantee covers (docs/decisions/0008-balancer.md): one server, one
balancer, or one of each. A link belongs to a balancer and a server; a cut of some of a server's links is that server
being out for somebody, a cut of some of a balancer's links is that balancer being out.

Memory is lost by a kill only. Where a balancer is killed, the kills of servers all hit the same one: the registers of a
dead balancer outlive one server, not two before the others have passed them on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

CONTROLLERS = 3
CALM = 0
"""The seed of the schedule without faults."""
WARM = 1.0
"""Seconds without a fault at first: every key is written."""
FAULTS = 5.0
"""Seconds in which faults begin and end."""
SETTLE = 1.5
"""Seconds after the last heal until the tour: two good probes, one second for what lies in sockets, and replay."""
TOUR = 0.45
"""Seconds that each server in turn is frozen at the end, nobody writing: the other copies show what they hold."""
PAUSE = 0.5
"""Seconds between two stops of the tour."""

Act = Literal["kill", "start", "freeze", "thaw", "cut", "heal", "stall", "resume"]
Role = Literal["server", "balancer"]
UNDO: dict[Act, Act] = {"kill": "start", "freeze": "thaw", "cut": "heal", "stall": "resume"}
"""How each fault ends. `stall` holds one of a memcached's two worker threads: half of its connections hang."""


@dataclass(frozen=True, order=True)
class Link:
    """One direction between a balancer and a server: `to` carries requests, `from` carries replies."""

    balancer: int
    server: int
    way: Literal["to", "from"]


@dataclass(frozen=True)
class Event:
    """One act at one time, seconds after the clients began. Its subject is what is out: a server or a balancer."""

    at: float
    act: Act
    role: Role
    index: int
    links: tuple[Link, ...] = ()

    def __str__(self) -> str:
        links = " ".join(f"{link.balancer}{'>' if link.way == 'to' else '<'}{link.server}" for link in self.links)
        return f"{self.at:.3f} {self.act} {self.role} {self.index}{links and ': '}{links}"


@dataclass(frozen=True)
class Schedule:
    """The faults in order; writers stop at `quiet`, everybody stops at `end`."""

    seed: int
    style: str
    events: tuple[Event, ...]
    quiet: float
    end: float


def make(seed: int) -> Schedule:
    """Return the schedule of this seed."""
    if seed == CALM:
        return Schedule(seed, "calm", (), quiet=WARM + FAULTS, end=WARM + FAULTS + SETTLE)
    rng = random.Random(seed)
    style = rng.choices(["servers", "both", "machines"], [4, 5, 3])[0]
    mortal = None if style == "servers" else rng.randrange(CONTROLLERS)
    end = WARM + FAULTS
    if style == "machines":
        events = _slot(rng, _Dice(rng, mortal).machine, end)
    else:
        events = _slot(rng, _Dice(rng, mortal).server, end)
        if style == "both":
            events += _slot(rng, _Dice(rng, mortal).balancer, end)
    return with_tour(seed, style, events, end)


def with_tour(seed: int, style: str, events: list[Event], end: float) -> Schedule:
    """Return these faults, which end by `end`, and a tour of the servers after them."""
    tour = end + SETTLE
    for stop in range(CONTROLLERS):
        begin = tour + stop * (TOUR + PAUSE)
        events = events + lasting(begin, begin + TOUR, "freeze", ("server", (stop + seed) % CONTROLLERS))
    ordered = tuple(sorted(events, key=lambda event: event.at))
    return Schedule(seed, style, ordered, quiet=end + 0.2, end=tour + CONTROLLERS * (TOUR + PAUSE) + 0.3)


def worst(schedule: Schedule, role: Role) -> int:
    """Return how many of this role are out at once at the worst moment."""
    out: set[tuple[int, Act]] = set()
    most = 0
    for event in schedule.events:
        if event.role != role:
            continue
        if event.act in UNDO:
            out.add((event.index, event.act))
        else:
            out -= {(event.index, begun) for begun, undo in UNDO.items() if undo == event.act}
        most = max(most, len({index for index, _ in out}))
    return most


def _slot(rng: random.Random, fault: Callable[[float, float], list[Event]], end: float) -> list[Event]:
    """Return faults one after another, each undone before the next begins and before `end`."""
    events: list[Event] = []
    now = WARM + rng.uniform(0, 0.5)
    while now < end - 0.3:
        events += fault(now, end)
        now = max(event.at for event in events) + rng.choice([rng.uniform(0.02, 0.2), rng.uniform(0.2, 1.5)])
    return events


def lasting(
    begin: float, until: float, act: Act, subject: tuple[Role, int], links: tuple[Link, ...] = ()
) -> list[Event]:
    """Return a fault and its undoing."""
    return [Event(begin, act, *subject, links), Event(until, UNDO[act], *subject, links)]


@dataclass
class _Dice:
    """Throws faults. `mortal`: the only server that may be killed; None when balancers are not killed."""

    rng: random.Random
    mortal: int | None
    others: tuple[int, ...] = field(default=tuple(range(CONTROLLERS)))

    def server(self, now: float, end: float) -> list[Event]:
        kind = self.rng.choices(["kill", "freeze", "blip", "cut", "one-sided", "flap"], [3, 3, 3, 2, 5, 1])[0]
        server = self.rng.randrange(CONTROLLERS)
        until = self._until(now, end)
        match kind:
            case "kill":
                return lasting(now, until, "kill", ("server", server if self.mortal is None else self.mortal))
            case "freeze":
                return lasting(now, until, "freeze", ("server", server))
            case "blip":
                return lasting(now, min(end, now + self.rng.uniform(0.03, 0.16)), "freeze", ("server", server))
            case "cut":
                links = self._links([(balancer, server) for balancer in self.others], "both")
                return lasting(now, until, "cut", ("server", server), links)
            case "one-sided":
                some = self.rng.sample(self.others, self.rng.randint(1, 2))
                links = self._links([(balancer, server) for balancer in some], self._way())
                return lasting(now, until, "cut", ("server", server), links)
            case _:
                some = self.rng.sample(self.others, self.rng.randint(1, 3))
                links = self._links([(balancer, server) for balancer in some], self._way())
                return self._flap(now, end, "server", server, links)

    def balancer(self, now: float, end: float) -> list[Event]:
        kind = self.rng.choices(["kill", "freeze", "blip", "cut", "partly", "flap"], [3, 3, 1, 2, 2, 1])[0]
        balancer = self.rng.randrange(CONTROLLERS)
        until = self._until(now, end)
        every = self._links([(balancer, server) for server in self.others], self._way())
        match kind:
            case "kill" | "freeze":
                return lasting(now, until, "kill" if kind == "kill" else "freeze", ("balancer", balancer))
            case "blip":
                return lasting(now, min(end, now + self.rng.uniform(0.03, 0.3)), "freeze", ("balancer", balancer))
            case "cut":
                return lasting(now, until, "cut", ("balancer", balancer), every)
            case "partly":
                some = self.rng.sample(self.others, 2)
                links = self._links([(balancer, server) for server in some], self._way())
                return lasting(now, until, "cut", ("balancer", balancer), links)
            case _:
                return self._flap(now, end, "balancer", balancer, every)

    def machine(self, now: float, end: float) -> list[Event]:
        """Server and balancer of one controller: isolated, frozen, or its power cut."""
        kind = self.rng.choices(["power", "freeze", "isolate", "flap"], [2, 3, 5, 1])[0]
        index = self.rng.randrange(CONTROLLERS)
        until = self._until(now, end)
        if kind in {"power", "freeze"}:
            act: Act = "kill" if kind == "power" else "freeze"
            index = self.mortal if kind == "power" and self.mortal is not None else index
            return lasting(now, until, act, ("server", index)) + lasting(now, until, act, ("balancer", index))
        others = [other for other in self.others if other != index]
        way = self._way()
        server = self._links([(other, index) for other in others], way)
        balancer = self._links([(index, other) for other in others], _turned(way))
        if kind == "flap":
            seed = self.rng.random()
            self.rng = random.Random(seed)
            events = self._flap(now, end, "server", index, server)
            self.rng = random.Random(seed)
            return events + self._flap(now, end, "balancer", index, balancer)
        return lasting(now, until, "cut", ("server", index), server) + lasting(
            now, until, "cut", ("balancer", index), balancer
        )

    def _until(self, now: float, end: float) -> float:
        return min(end, now + self.rng.choice([self.rng.uniform(0.2, 0.8), self.rng.uniform(0.5, 2.5)]))

    def _way(self) -> str:
        return self.rng.choices(["both", "to", "from"], [3, 2, 2])[0]

    def _links(self, pairs: list[tuple[int, int]], way: str) -> tuple[Link, ...]:
        found = []
        for balancer, server in pairs:
            found += [Link(balancer, server, "to")] if way != "from" else []
            found += [Link(balancer, server, "from")] if way != "to" else []
        return tuple(sorted(found))

    def _flap(self, now: float, end: float, role: Role, index: int, links: tuple[Link, ...]) -> list[Event]:
        marks = [now]
        for _ in range(5):
            marks.append(min(end, marks[-1] + self.rng.uniform(0.08, 0.4)))
        events: list[Event] = []
        for step, (begin, until) in enumerate(pairwise(marks)):
            if step % 2 == 0 and begin < until:
                events += lasting(begin, until, "cut", (role, index), links)
        return events


def _turned(way: str) -> str:
    """What a machine no longer sends or no longer receives, seen from the other end of its links."""
    return {"to": "from", "from": "to"}.get(way, way)
