"""What a recovery does next, from one look at everything. Pure.

One system after the other, in the order of their needs: what is to be done for it is done at once, and before the next
look; a system is not touched before those that it needs serve. So a recovery that was cut off, begun again, goes on.

::

    a controller was not seen, and is not given up    Wait for it, then Stop
    the cloud file does not fit the controllers       Stop
    files are missing or differ                       Do: they come first
    then of each system, in order:
      its evidence forbids what it needs              Stop; Wait where that may pass by itself
      it needs something                              Wait until those that it needs serve, then Do
    nobody needs anything, somebody is not well       Wait, then Stop
    else                                              Done
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from quorate.core.order import needed
from quorate.core.plan import Plan, Refusal, Wave
from quorate.core.system import AnySystem, Site
from quorate.core.verdict import Judgement

REACH = 90.0
"""Seconds in which a controller that got its power back answers."""
PATIENCE = 60.0
"""Seconds in which what is on its way arrives."""


@dataclass(frozen=True)
class Do:
    """Do these waves now. `system`: whose they are; empty: everybody's files."""

    system: str
    waves: tuple[Wave, ...]


@dataclass(frozen=True)
class Wait:
    """Look again, for `limit` seconds at most since this system was first waited for."""

    system: str
    why: str
    limit: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stop:
    """Nothing may be done: why, and what was seen."""

    system: str
    reason: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """All is well, of all that is left."""


Next = Do | Wait | Stop | Done


def following(
    plan: Plan,
    site: Site,
    systems: Sequence[AnySystem],
    judgements: Mapping[str, Judgement],
    given: Collection[str] = (),
) -> Next:
    """Choose the next step. `systems`: the enabled ones, in their order; `given`: controllers that are given up."""
    if unseen := [missing for missing in plan.missing if missing.host not in given]:
        told = tuple(f"{missing.host}: {missing.why}" for missing in unseen)
        names = ", ".join(missing.host for missing in unseen)
        return Wait("", f"{names} cannot be seen, and may hold what nobody else has", REACH, told)
    for refusal in plan.refusals:
        if not refusal.system:
            return Stop("", refusal.reason, refusal.evidence)
    if prepare := tuple(wave for wave in plan.waves if not wave.system):
        return Do("", prepare)
    for system in systems:
        refusals = [one for one in plan.refusals if one.system == system.name]
        if refusals:
            return _refused(system.name, refusals)
        if waves := tuple(wave for wave in plan.waves if wave.system == system.name):
            lacking = _lacking(system, site, systems, judgements, given)
            return Wait(*lacking) if lacking else Do(system.name, waves)
    return _end(systems, judgements, given)


def _refused(system: str, refusals: Sequence[Refusal]) -> Next:
    reason = "; ".join(one.reason for one in refusals)
    evidence = tuple(line for one in refusals for line in one.evidence)
    if all(one.passing for one in refusals):
        return Wait(system, reason, PATIENCE, evidence)
    return Stop(system, reason, evidence)


def _lacking(
    system: AnySystem,
    site: Site,
    systems: Sequence[AnySystem],
    judgements: Mapping[str, Judgement],
    given: Collection[str],
) -> tuple[str, str, float] | None:
    """Whom it needs and who does not serve yet, why, and how long that may take."""
    for other in systems:
        if other is system or not set(other.offers) & set(system.needs):
            continue
        members = judgements[other.name].members
        well = [host for host, verdict in members.items() if verdict.is_ok]
        least = max(1, needed(other.quorum, len(members), arbiter=site.cloud.arbiter is not None) if not given else 1)
        if len(well) < least:
            ill = "; ".join(f"{host}: {v.reason}" for host, v in members.items() if not v.is_ok)
            return other.name, f"{system.name} needs {other.name}, which does not serve yet: {ill}", other.settle
    return None


def _end(systems: Sequence[AnySystem], judgements: Mapping[str, Judgement], given: Collection[str]) -> Next:
    for system in systems:
        judgement = judgements[system.name]
        ill = [f"{host}: {v.reason}" for host, v in judgement.members.items() if not v.is_ok and host not in given]
        if not ill and not given and not judgement.cluster.is_ok:
            ill = [judgement.cluster.reason]
        if ill:
            return Wait(system.name, f"{system.name} is not well yet: {'; '.join(ill)}", max(PATIENCE, system.settle))
    return Done()
