"""Which drills, in which order, with which calm before each: decided beforehand from a seed, and by nothing else.

The calm before a fault differs from run to run so that the fault meets checks and timers in all their phases.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

CALM = 4.0
"""Seconds that clients work undisturbed before a fault, at least."""
SPREAD = 2.0
"""Seconds over which the calm is spread: two intervals of the slowest check."""


@dataclass(frozen=True)
class Planned:
    """One run to come: `repeat` counts from 1, `calm` is in seconds, `seed` its own, to do it alone again."""

    drill: str
    repeat: int
    seed: int
    calm: float


def schedule(drills: Sequence[str], *, repeat: int, seed: int) -> tuple[Planned, ...]:
    """Plan `repeat` rounds of all drills, in their order: what disturbs the host meanwhile then hits all alike.

    A run's own seed is the whole's where it is the only one, so that it can be done again by itself.
    """
    dice = random.Random(seed)  # noqa: S311 - to be repeatable, not secret
    runs = []
    for number in range(1, repeat + 1):
        for drill in drills:
            own = seed if repeat * len(drills) == 1 else dice.getrandbits(32)
            runs.append(Planned(drill, number, own, round(CALM + SPREAD * random.Random(own).random(), 3)))  # noqa: S311
    return tuple(runs)
