"""What a plan does to those who use the cloud meanwhile: which functions pause, and for how long at most.

An interruption is what a drill calls a drained process: it says goodbye and comes back. So each wave's pauses follow
from the same formulas as a drill's (core/failure.py), and drills hold them to what is measured. Where nobody knows who
plays a part, whoever is interrupted is taken for the one whom clients notice most; so it is once a part has moved.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.act import SetUnit
from quorate.core.aim import drilled, functions_of, pauses_of, processes_of, uses_of
from quorate.core.drill import Roles
from quorate.core.failure import NOTICEABLE, predict
from quorate.core.fault import Hit, Loss
from quorate.core.plan import Plan, Wave
from quorate.core.system import AnySystem, Site


def all_foretold(waves: Sequence[Wave], site: Site, systems: Sequence[AnySystem], roles: Roles) -> tuple[Wave, ...]:
    """Say of each wave that interrupts somebody which functions that pauses. `roles`: who plays what at first."""
    told, known = [], dict(roles)
    for wave in waves:
        told.append(foretold(wave, site, systems, known))
        for part in wave.impact.plays if wave.impact else ():
            known.pop(part, None)
    return tuple(told)


def foretold(wave: Wave, site: Site, systems: Sequence[AnySystem], known: Roles, said: Sequence[Hit] = ()) -> Wave:
    """Say of a wave that interrupts somebody which functions that pauses. `said`: what it takes, where no act says."""
    if wave.impact is None:
        return wave
    hits = (*said, *_hits(wave, site, systems))
    feared = {one.role: hit.host for one in processes_of(site, systems) for hit in hits if one.word == hit.part}
    roles = {**feared, **known}
    pauses = pauses_of(site, systems, roles, hits)
    found = predict(functions_of(site, systems), uses_of(site, systems), pauses, bounded=True)
    lasting = {one.function: one.seconds for one in found if one.seconds is not None and one.seconds > NOTICEABLE}
    impact = wave.impact.model_copy(update={"pauses": {name: round(seconds, 2) for name, seconds in lasting.items()}})
    return wave.model_copy(update={"impact": impact})


def in_all(plan: Plan) -> dict[str, float]:
    """Each function that pauses, with all its pauses together, seconds at most."""
    told: dict[str, float] = {}
    for wave in plan.waves:
        for function, seconds in (wave.impact.pauses if wave.impact else {}).items():
            told[function] = told.get(function, 0.0) + seconds
    return told


def _hits(wave: Wave, site: Site, systems: Sequence[AnySystem]) -> tuple[Hit, ...]:
    """The processes that are restarted or stopped while they run, or lend themselves; a reload takes nobody away."""
    words = {one.unit: one.word for one in processes_of(site, systems)}
    lent = wave.impact.donor if wave.impact else ""
    own = (
        one
        for system, drills, spec in drilled(site, systems)
        if system.name == wave.system
        for one in drills.processes(spec, site)
    )
    return tuple(Hit(lent, one.word, Loss.DRAINED) for one in own if lent) + tuple(
        Hit(step.host, words[act.name], Loss.DRAINED)
        for step in wave.steps
        if step.disturbs
        for act in step.acts
        if isinstance(act, SetUnit) and act.verb in {"restart", "stop"} and act.name in words
    )
