"""Bring a cloud back: look at everything, decide, do one system's part, look again, until all is well.

It needs no memory of its own: whatever ended it, begun again it decides from what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from quorate.core.observed import HostSeen, Unknown
from quorate.core.plan import Plan, Wave
from quorate.core.planner import make_plan
from quorate.core.recovery import REACH, Do, Done, Next, Stop, Wait, following
from quorate.core.review import review, with_drift
from quorate.core.system import Terms, enabled
from quorate.engine.apply import Operation, do_wave
from quorate.engine.observe import observe
from quorate.errors import Refused

_REACH = 5.0
"""Seconds by which a controller has begun to look: another look is taken soon after."""


@dataclass(frozen=True)
class Phase:
    """What was waited for or done for one system ("": controllers and their files), and for how many seconds."""

    system: str
    seconds: float


@dataclass(frozen=True)
class Recovered:
    """What a recovery did. `acts`: how many; `left`: controllers that were given up and are not back."""

    phases: tuple[Phase, ...]
    acts: int
    left: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class _Seen:
    plan: Plan
    step: Next
    left: tuple[str, ...]


async def reach(op: Operation, given: Collection[str] = ()) -> float:
    """Wait until every controller that is not given up answers, so that all can be held; return the seconds it took.

    Refused for those that do not within REACH.
    """
    began = op.clock.monotonic()
    while True:
        world = await observe(op.site, (), op.transports, op.secrets, reach=_REACH)
        missing = {host: seen.why for host, seen in world.items() if isinstance(seen, Unknown) and host not in given}
        if not missing:
            return op.clock.monotonic() - began
        if op.clock.monotonic() - began > REACH:
            told = tuple(f"{host}: {why}" for host, why in missing.items())
            raise _refused("", f"{', '.join(missing)} cannot be seen, and may hold what nobody else has", told)
        op.progress(f"waiting for {', '.join(missing)}")
        await op.clock.sleep(op.poll)


async def decide(op: Operation, terms: Terms) -> _Seen:
    """Look at everything, however long it takes, and choose what comes next."""
    world = await observe(op.site, op.systems, op.transports, op.secrets, reach=_REACH, deep=True)
    left = tuple(host for host in op.site.cloud.names if host in terms.given and not isinstance(world[host], HostSeen))
    world = {host: Unknown(why="given up") if host in left else seen for host, seen in world.items()}
    plan = make_plan(op.site, op.systems, op.secrets, world, made=op.clock.now(), without=left, terms=terms)
    judgements = {r.system.name: with_drift(r) for r in review(op.site, op.systems, op.secrets, world)}
    chosen = enabled(op.site.cloud, op.systems)
    return _Seen(plan, following(plan, op.site, chosen, judgements, terms.given), left)


async def recover(
    op: Operation, given: Collection[str] = (), *, agree: Callable[[tuple[Wave, ...]], None] = lambda _waves: None
) -> Recovered:
    """Recover until all is well. The caller holds the lock.

    `agree` is shown every wave that gives something up before it is done, and raises where nobody agrees.
    Raises Refused, with the evidence, where the next step would lose something that nobody gave up, or what was waited
    for does not come.
    """
    began = last = op.clock.monotonic()
    waits: dict[str, float] = {}
    spent: dict[str, float] = {}
    acts = 0
    op.journal.write("start", verb="recover", given=sorted(given))
    while True:
        now = op.clock.monotonic()
        waited = now - min(waits.values(), default=now)
        seen = await decide(op, Terms(frozenset(given), waited))
        match seen.step:
            case Done():
                op.journal.write("end", outcome="ok", left=list(seen.left))
                phases = tuple(Phase(system, round(seconds, 2)) for system, seconds in spent.items())
                return Recovered(phases, acts, seen.left, op.clock.monotonic() - began)
            case Stop(system=system, reason=reason, evidence=evidence):
                raise _refused(system, reason, evidence)
            case Wait(system=system, why=why, limit=limit, evidence=evidence):
                if op.clock.monotonic() - waits.setdefault(system, now) > limit:
                    raise _refused(system, f"{why} (waited {limit:.0f} s)", evidence)
                op.progress(f"waiting: {why}")
                await op.clock.sleep(op.poll)
            case Do(system=system, waves=waves):
                if given_up := tuple(wave for wave in waves if any(step.irreversible for step in wave.steps)):
                    agree(given_up)
                for number, wave in enumerate(waves, 1):
                    op.progress(wave.title)
                    await do_wave(op, number, wave, seen.left)
                    acts += sum(len(step.acts) for step in wave.steps)
                waits.clear()
        spent[seen.step.system] = spent.get(seen.step.system, 0.0) + op.clock.monotonic() - last
        last = op.clock.monotonic()


def _refused(system: str, reason: str, evidence: tuple[str, ...]) -> Refused:
    told = [f"{system or 'cloud'}: {reason}", *(f"  {line}" for line in evidence)]
    return Refused(
        "\n".join(["it is not recovered:", *told]),
        hint="Bring back what is missing and run recover again, or give it up by name: --accept-loss CONTROLLER.",
    )
