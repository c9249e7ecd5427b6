"""Faults: what is done to a cloud to see whether it holds, how it is undone, and how one sees that it was really done.

A fault is a value. Its steps are commands on a controller, or acts on what machines stand on (their power and their
cables), which a lab and a real rack offer in different ways. The engine does them; nothing here reaches a machine.

One fault's life::

    set_up ──► inject ──► prove ──► hold ──► heal ──► tear_down
                  └─ armed: whatever happens from here on, heal and tear_down are done (engine/healing.py), and
                     what was done on a controller undoes itself there after `lapse` seconds
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

STATE = "/run/quorate/drill"
"""Where a controller notes what a drill did to it. Gone with its power, as most of what a drill does."""

GroundAct = Literal["power-off", "power-on", "freeze", "thaw", "unplug", "cut", "plug"]
"""What can be done to a machine from outside. `unplug`: its cable is pulled; `cut`: nothing passes, the link is up."""


class Loss(StrEnum):
    """How something is lost, as those see it that talk to it."""

    SILENT = "silent"  # no answer of any kind: no power, frozen, cut off
    HUNG = "hung"  # connections are taken, or ignored, and nothing is answered: a stopped process, a deaf port
    REFUSED = "refused"  # its kernel says at once that nobody is there
    SPLIT = "split"  # no answer to the other controllers; clients go on reaching it
    FENCED = "fenced"  # nothing is wrong with it until the others take its power
    DRAINED = "drained"  # it said goodbye


@dataclass(frozen=True)
class Hit:
    """What a fault takes: a part of a controller, `machine` for all of it, or one of its processes by its word.

    `lasts`: seconds after which it may come back by itself; 0: nobody can say, or it may at once.
    """

    host: str
    part: str
    loss: Loss
    lasts: float = 0.0


MACHINE = "machine"

UNSUPPORTED = "unsupported:"
"""What an injection prints first where the machine does not allow it; the reason follows, nothing was done."""


@dataclass(frozen=True)
class OnHost:
    """A command on a controller. Idempotent where it heals. `timeout` in seconds."""

    host: str
    argv: tuple[str, ...]
    stdin: str = field(default="", repr=False)
    timeout: float = 15.0


@dataclass(frozen=True)
class OnGround:
    """An act on machines from outside. Idempotent."""

    act: GroundAct
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class AwaitWell:
    """Wait until everything is ok and as redundant as it was, at most so many seconds: between parts of something."""

    timeout: float


Step = OnHost | OnGround | AwaitWell


@dataclass(frozen=True)
class Proof:
    """How one sees that a fault took: the command, on a controller, that prints `took` as long as it is in force.

    A ground act needs none: it ends once it is so, or fails.
    """

    step: OnHost
    word: str = "took"


@dataclass(frozen=True)
class Fault:
    """Something that can be done to this cloud now, with its cure.

    `hits`: what it takes; nothing, where all should go on as before. `hold`: seconds from the injection until it is
    healed; 0: when all of it has been done, there is nothing left to heal. `lapse`: seconds after which what was done
    on a controller undoes itself there, whoever died; 0: nothing does. `lost`: how many members of a quorum it takes at
    once; more than the cloud is built to lose is refused. `unsupported`: why this cannot be done here, or empty. A
    machine may also say so itself: an injection that prints `unsupported: …` has done nothing. `parts`: what is gone
    until it is healed, by the model's names (core/foresight.py); nothing, where it may come back by itself.
    """

    kind: str
    summary: str
    hits: tuple[Hit, ...]
    inject: tuple[Step, ...]
    heal: tuple[Step, ...] = ()
    proof: tuple[Proof, ...] = ()
    set_up: tuple[Step, ...] = ()
    tear_down: tuple[Step, ...] = ()
    hold: float = 0.0
    lapse: float = 0.0
    lost: int = 0
    unsupported: str = ""
    parts: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The controllers that it hits, each once."""
        return tuple(dict.fromkeys(hit.host for hit in self.hits))

    def takes(self, host: str) -> bool:
        """Whether it takes the whole machine: what runs there is then nobody's to use."""
        return any(hit.host == host and hit.part == MACHINE for hit in self.hits)
