"""Schedules made by hand, each of one situation that random ones meet rarely. Pure.

Each repeats its situation a few times, since what it looks for lies in milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from real.truth import schedule
from real.truth.schedule import CONTROLLERS, FAULTS, WARM, Event, Link, Role, Schedule

END = WARM + FAULTS


def between(
    balancers: Iterable[int], servers: Sequence[int], ways: Sequence[Literal["to", "from"]] = ("to", "from")
) -> tuple[Link, ...]:
    """Return the links of these balancers to these servers."""
    return tuple(sorted(Link(balancer, server, way) for balancer in balancers for server in servers for way in ways))


def cut(begin: float, until: float, role: Role, index: int, links: tuple[Link, ...]) -> list[Event]:
    """Lose everything on these links for a while."""
    return schedule.lasting(begin, until, "cut", (role, index), links)


def freeze(begin: float, until: float, role: Role, index: int) -> list[Event]:
    """Stop a process for a while."""
    return schedule.lasting(begin, until, "freeze", (role, index))


def kill(begin: float, until: float, role: Role, index: int) -> list[Event]:
    """Kill a process, and start it again."""
    return schedule.lasting(begin, until, "kill", (role, index))


def one_sided() -> list[Event]:
    """One balancer cannot reach a server that the others read: they must learn what it missed."""
    return cut(1.5, 3.0, "server", 2, between([0], [2])) + cut(4.0, 5.5, "server", 1, between([2], [1]))


def cut_off() -> list[Event]:
    """A server misses changes of everybody and comes back with what it had."""
    return cut(1.5, 2.5, "server", 2, between(range(CONTROLLERS), [2])) + cut(
        4.0, 5.0, "server", 0, between(range(CONTROLLERS), [0])
    )


def frozen_server() -> list[Event]:
    """A server executes what lies in its sockets when it thaws."""
    return freeze(1.5, 2.5, "server", 2) + freeze(4.2, 5.2, "server", 0)


def blips() -> list[Event]:
    """A server stops for about as long as a balancer waits: some have given it up, others have not."""
    rng = random.Random("blips")
    begins = [1.2 + 0.55 * number for number in range(9)]
    return [
        event
        for number, begin in enumerate(begins)
        for event in freeze(begin, begin + rng.uniform(0.06, 0.12), "server", number % CONTROLLERS)
    ]


def half_frozen() -> list[Event]:
    """Half of a server's connections hang and are given up; new ones are served before it executes what those hold."""
    begins = [1.1 + 0.7 * number for number in range(7)]
    return [
        event
        for number, begin in enumerate(begins)
        for event in schedule.lasting(begin, begin + 0.6, "stall", ("server", number % CONTROLLERS))
    ]


def paused_reader() -> list[Event]:
    """A balancer is frozen while others mark its nearest server, which it can still reach when it thaws."""
    return [
        event
        for begin, index in ((1.2, 1), (2.8, 0), (4.4, 2))
        for event in (
            *freeze(begin, begin + 1.1, "balancer", index),
            *cut(begin + 0.02, begin + 1.4, "server", index, between({0, 1, 2} - {index}, [index])),
        )
    ]


def paused_writer() -> list[Event]:
    """A balancer is frozen for longer than its clients wait: what they gave up lies in its sockets."""
    return freeze(1.5, 3.0, "balancer", 1) + freeze(3.8, 5.4, "balancer", 0)


def frozen_at_birth() -> list[Event]:
    """A balancer is frozen before it has begun to serve: clients are connected by the kernel, and give up."""
    return [
        event
        for begin, index in ((1.2, 2), (3.7, 0))
        for event in (
            *kill(begin, begin + 0.3, "balancer", index),
            *freeze(begin + 0.5, begin + 2.1, "balancer", index),
        )
    ]


def killed_while_cut() -> list[Event]:
    """A balancer dies with changes in its kernel's buffers for a server that it has just lost sight of."""
    return [
        event
        for begin, index in ((1.5, 1), (3.2, 0), (4.8, 1))
        for event in (
            *cut(begin, begin + 0.35, "server", 2, between([index], [2])),
            *kill(begin + 0.035, begin + 0.5, "balancer", index),
        )
    ]


def killed_in_debt() -> list[Event]:
    """A balancer dies while a server owes, and is started again where it sees the registers of different times."""
    return [
        event
        for begin, index in ((1.3, 0), (3.8, 1))
        for event in (
            *cut(begin, begin + 1.0, "server", index, between([index], [index])),
            *kill(begin + 1.03, begin + 1.3, "balancer", index),
        )
    ]


def killed_twice() -> list[Event]:
    """As before, and the new balancer dies before it has looked round."""
    return [
        event
        for begin, index in ((1.3, 0), (3.8, 1))
        for event in (
            *cut(begin, begin + 1.5, "server", index, between([index], [index])),
            *kill(begin + 0.9, begin + 1.0, "balancer", index),
            *kill(begin + 1.25, begin + 1.3, "balancer", index),
            *kill(begin + 1.53, begin + 1.6, "balancer", index),
        )
    ]


def forgotten_debt() -> list[Event]:
    """A balancer dies in debt; of the two servers that know it one restarts and one is cut off before it comes back."""
    return [
        *cut(1.3, 2.2, "server", 1, between([2], [1])),
        *kill(2.15, 3.6, "balancer", 2),
        *kill(2.9, 3.1, "server", 0),
        *cut(3.5, 4.6, "server", 2, between(range(CONTROLLERS), [2])),
    ]


def restarts() -> list[Event]:
    """Servers come back empty, again and again, and are filled while their keys are changed."""
    return [event for n in range(4) for event in kill(1.3 + 1.2 * n, 1.5 + 1.2 * n, "server", n % CONTROLLERS)]


def isolated() -> list[Event]:
    """A controller is alone with its own server, which both balancer and clients there can still reach."""
    return [
        event
        for begin, index in ((1.4, 1), (3.8, 2))
        for event in (
            *cut(begin, begin + 1.5, "server", index, between({0, 1, 2} - {index}, [index])),
            *cut(begin, begin + 1.5, "balancer", index, between([index], sorted({0, 1, 2} - {index}))),
        )
    ]


SCENARIOS: dict[str, Callable[[], list[Event]]] = {
    scenario.__name__: scenario
    for scenario in (
        one_sided,
        cut_off,
        frozen_server,
        blips,
        half_frozen,
        paused_reader,
        paused_writer,
        frozen_at_birth,
        killed_while_cut,
        killed_in_debt,
        killed_twice,
        forgotten_debt,
        restarts,
        isolated,
    )
}


def plan(name: str) -> Schedule:
    """Return the schedule of this name: a scenario's, or a seed."""
    if name.isdigit():
        return schedule.make(int(name))
    return schedule.with_tour(0, name, SCENARIOS[name](), END)
