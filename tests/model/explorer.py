"""Breadth first through every state of a world: the shortest way to a violation, or to a state that cannot recover."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from model.judge import is_well, violation
from model.protocol_model import State, World, start
from model.rejoin_model import is_fault, steps

WEIGHTS = {
    "lease-ends": 0.5,
    "crash": 0.3,
    "restart": 0.5,
    "freeze": 0.5,
    "cut": 0.5,
    "filled": 0.2,
    "begin": 0.7,
    "pass-on": 0.2,
}
"""How gladly a walk takes a step, 1 where not said: faults in the midst of things find more than faults at once."""


@dataclass(frozen=True)
class Found:
    """What an exploration found: `why` is None if nothing is wrong; `whole` if no state was left out."""

    why: str | None
    trace: tuple[str, ...]
    states: int
    whole: bool


def explore(world: World, limit: int, *, progress: bool = True) -> Found:
    """Visit up to `limit` states."""
    first = start(world)
    came: dict[State, tuple[State, str] | None] = {first: None}
    back: dict[State, list[State]] = {}
    queue = deque([first])
    while queue and len(came) < limit:
        state = queue.popleft()
        for label, after in steps(state, world):
            if progress and not is_fault(label):
                back.setdefault(after, []).append(state)
            if after in came:
                continue
            came[after] = (state, label)
            why = violation(after, world)
            if why is not None:
                return Found(why, trace(came, after), len(came), whole=False)
            queue.append(after)
    if progress and not queue:
        stuck = hopeless(came, back, world)
        if stuck is not None:
            return Found("nothing leads back to all being well", trace(came, stuck), len(came), whole=True)
    return Found(None, (), len(came), whole=not queue)


def hopeless(came: dict[State, tuple[State, str] | None], back: dict[State, list[State]], world: World) -> State | None:
    """Return the first state from which, without further faults or changes, all being well cannot be reached."""
    good = [state for state in came if is_well(state, world)]
    hopeful = set(good)
    while good:
        for before in back.get(good.pop(), ()):
            if before not in hopeful:
                hopeful.add(before)
                good.append(before)
    return next((state for state in came if state not in hopeful), None)


def trace(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    """Return the steps from the start to a state."""
    labels = []
    at = came[state]
    while at is not None:
        labels.append(at[1])
        at = came[at[0]]
    return tuple(reversed(labels))


def follow(world: World, labels: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Take these steps, leaving out what is impossible; return the first violation and the steps until then."""
    state, taken = start(world), []
    for label in labels:
        after = next((after for name, after in steps(state, world) if name == label), None)
        if after is None:
            continue
        state = after
        taken.append(label)
        why = violation(state, world)
        if why is not None:
            return why, tuple(taken)
    return None, tuple(taken)


def shorten(world: World, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out steps for as long as a violation remains."""
    shorter = True
    while shorter:
        shorter = False
        for index in reversed(range(len(labels))):
            why, taken = follow(world, labels[:index] + labels[index + 1 :])
            if why is not None and len(taken) < len(labels):
                labels, shorter = taken, True
                break
    return labels


def wander(world: World, seed: int, walks: int, length: int = 60) -> Found:
    """Take walks at random where there are too many states to visit them all; each step is judged."""
    dice = random.Random(seed)
    visited = 0
    for _ in range(walks):
        state, labels = start(world), []
        for _ in range(length):
            choices = [(label, after) for label, after in steps(state, world) if after != state]
            if not choices:
                break
            label, state = dice.choices(choices, [WEIGHTS.get(label.split()[0], 1.0) for label, _ in choices])[0]
            labels.append(label)
            visited += 1
            if violation(state, world) is not None:
                short = shorten(world, tuple(labels))
                return Found(follow(world, short)[0], short, visited, whole=False)
    return Found(None, (), visited, whole=False)
