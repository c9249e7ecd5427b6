"""Judges who held an address, from the frames that were seen. Pure.

A *sighting* is a frame that only a holder of the address sends: an IPv4 packet from it, or an ARP packet that gives it
as the sender's. An *announcement* is a sighting that tells everybody at once (gratuitous ARP: sender and target are
the address), as every cluster manager sends when it takes an address. A *run* is a longest series of sightings of one
holder with no other in between.

What is judged:

- Where one holder's run follows another's, the address *moved*.
- A holder that is seen for the first time may have taken the address over properly; nothing speaks against it.
- A holder that is seen **again** after another's run must have taken the address anew. It has, if it announced it (at
  most `grace` seconds after the first frame of its new run) and at least `settle` seconds lie between its last frame
  before and its first frame now. Else it never let go: then *two held the address at once*, from the other's first
  frame to this one.

So a failback is no overlap, because it announces itself; a machine that was cut off, was replaced, and still uses the
address when its cable heals is one, and so are two that answer in turns. What no frame shows cannot be judged: two
holders of which one is silent are one to every client as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MOST_RUNS = 10_000


@dataclass(frozen=True)
class Sighting:
    """One frame: when (monotonic seconds), from whom, and whether it was an announcement."""

    at: float
    holder: str
    announced: bool = False


@dataclass(frozen=True)
class Run:
    """A series of sightings of one holder. `announced` is the time of its first announcement, if there was one."""

    holder: str
    first: float
    last: float
    count: int
    announced: float | None


@dataclass(frozen=True)
class Move:
    """The address went from one holder to another; `gap` is the time in which nobody was seen using it."""

    at: float
    source: str
    target: str
    gap: float


@dataclass(frozen=True)
class Overlap:
    """Two held the address at once: `stayed` never let go while `other` used it."""

    stayed: str
    other: str
    begin: float
    end: float


@dataclass(frozen=True)
class Judgement:
    """What the runs show."""

    holders: tuple[str, ...]
    moves: tuple[Move, ...]
    overlaps: tuple[Overlap, ...]


def added(runs: list[Run], sighting: Sighting) -> bool:
    """Add the sighting to the runs, in place; False when there is no room for another run."""
    at, holder = sighting.at, sighting.holder
    if runs and runs[-1].holder == holder:
        last = runs[-1]
        announced = at if sighting.announced and last.announced is None else last.announced
        runs[-1] = replace(last, last=max(at, last.last), count=last.count + 1, announced=announced)
        return True
    if len(runs) >= MOST_RUNS:
        return False
    runs.append(Run(holder, at, at, 1, at if sighting.announced else None))
    return True


def judge(runs: Sequence[Run], grace: float = 1.0, settle: float = 1.0) -> Judgement:
    """Say who held the address, when it moved, and whether two ever held it at once. See above."""
    moves: list[Move] = []
    overlaps: list[Overlap] = []
    before: dict[str, int] = {}
    for index, run in enumerate(runs):
        if index:
            previous = runs[index - 1]
            moves.append(Move(run.first, previous.holder, run.holder, max(0.0, run.first - previous.last)))
        if run.holder in before:
            earlier = runs[before[run.holder]]
            announced = run.announced is not None and run.announced - run.first <= grace
            if not announced or run.first - earlier.last < settle:
                other = runs[before[run.holder] + 1]
                overlaps.append(Overlap(run.holder, other.holder, other.first, run.first))
        before[run.holder] = index
    return Judgement(tuple(before), tuple(moves), tuple(overlaps))
