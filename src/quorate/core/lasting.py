"""How long a plan takes: what it is given at most, which apply enforces, and about how long, which is a guess.

*At most* follows from limits alone: each act has one on the controller, each request one over the network, each gate
and each look one at the operator's. Past it apply has stopped and said why; so it bounds a run that goes on, and tells
nothing of how long one takes that goes well. For that nobody has a formula: how soon a daemon starts is its own affair.
The guess is made of two lengths that were measured (`SOURCE`), and every step is taken for the like of those.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.act import Act, Install, Run, SetUnit
from quorate.core.plan import Plan, Takes, Wave
from quorate.core.system import AnySystem

DEADLINE = 8.0
"""Seconds for one look at a controller, connecting included, however busy it is."""
POLL = 0.5
"""Seconds between two looks at a gate."""
WAIT = 3.0
"""Seconds for an act of an earlier run that is still at work."""
MARGIN = 10.0
"""Seconds for connecting and for the program on a controller itself, beside what it is asked to do."""
SOURCE = "lab machines: a rolling restart of Galera, 19 s for three (decision 6); a look at all, 0.8 s (README)"
"""Where the figures of a guess come from."""
_LOOKING = 0.8
"""Seconds that a look takes, two of which are the whole of an apply that has nothing to do: 1.6 s (README)."""
_WORKING = 4.2
"""Seconds that a unit or a command takes: what a restart of MariaDB took beside two looks. Most are faster; the first
start of a member that copies all data, and a schema, are slower."""
_INSTALLING = 90.0
"""Seconds that packages take: all of a controller's, from the mirror (docs/operate/lab.md)."""


def limit(act: Act) -> float:
    """Say in how many seconds an act has ended on the controller, or was ended there (transport/remote/)."""
    match act:
        case Install():
            return 2 * 1800.0 + 600.0
        case SetUnit():
            return 2 * act.timeout + 90.0
        case Run():
            return act.timeout + 5.0
        case _:
            return 60.0


def granted(acts: Sequence[Act], wait: float = WAIT) -> float:
    """Say within how many seconds a controller that can be reached has answered to a request for these acts."""
    return MARGIN + wait + sum(map(limit, acts))


def timed(plan: Plan, systems: Sequence[AnySystem]) -> Plan:
    """Say of each wave, and of the whole plan from its first look to its last one, how long it takes."""
    waves = tuple(wave.model_copy(update={"takes": _takes(wave)}) for wave in plan.waves)
    if not waves:
        return plan
    took = [wave.takes for wave in waves if wave.takes]
    bounds = [one.most for one in took if one.most is not None]
    slowest = max((system.settle for system in systems), default=0.0)
    # Whoever is drained may have to be drained again, by waves that nobody knows before.
    most = None if plan.drained else DEADLINE + sum(bounds) + slowest + POLL + DEADLINE
    takes = Takes(about=_said(sum(one.about for one in took) + 2 * _LOOKING), most=most, source=SOURCE)
    return plan.model_copy(update={"waves": waves, "takes": takes})


def _takes(wave: Wave) -> Takes:
    """As apply does it: a look before each interruption, the steps side by side, looks until the gate is passed."""
    looks = sum(step.disturbs for step in wave.steps)
    slowest = max((granted(step.acts) for step in wave.steps), default=0.0)
    gate = wave.gate.timeout + POLL + DEADLINE if wave.gate else 0.0
    work = max((sum(map(_guess, step.acts)) for step in wave.steps), default=0.0)
    about = looks * _LOOKING + work + (_LOOKING if wave.gate else 0.0)
    return Takes(about=_said(about), most=looks * DEADLINE + slowest + gate, source=SOURCE)


def _guess(act: Act) -> float:
    match act:
        case Install():
            return _INSTALLING
        case SetUnit(verb="none"):
            return 0.0
        case SetUnit() | Run():
            return _WORKING
        case _:
            return 0.0


def _said(seconds: float) -> float:
    return round(seconds, 1)
