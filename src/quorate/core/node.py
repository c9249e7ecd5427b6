"""Plans for one controller: to drain it, to let it serve again, to put an empty machine in its place. All are pure.

Invariant: a controller is drained only if of every system enough others are known to be well, none of them drained;
and serves again only if it is known to be well in every system. An empty machine takes its place only if nobody is
seen there that it is not, and enough others are well: what they still know of the lost one they are to forget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from quorate.core.aim import functions_of, pauses_of, uses_of
from quorate.core.draining import kept, withdrawn
from quorate.core.drill import Roles
from quorate.core.failure import NOTICEABLE, predict
from quorate.core.fault import MACHINE, Hit, Loss
from quorate.core.lasting import timed
from quorate.core.observed import Unknown, World
from quorate.core.order import may_disturb
from quorate.core.plan import Missing, Note, Plan, Refusal, Wave
from quorate.core.planner import make_plan, world_digest
from quorate.core.review import Review, review, roles_of, with_drift
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Site
from quorate.core.verdict import unknown


def drain_plan(
    site: Site,
    systems: Sequence[AnySystem],
    secrets: Secrets,
    world: World,
    *,
    host: str,
    made: str,
    without: Sequence[str] = (),
) -> Plan:
    """Plan that nobody depends on the controller any more; that it answers is not needed."""
    reviews = review(site, systems, secrets, world)
    roles, _ = roles_of(site, reviews)
    target = replace(site, drained=site.drained | {host})
    waves = withdrawn(reviews, target, systems, roles)
    refusals = [*_unkept(reviews, site), *(_not_spared(reviews, site, host) if waves else ())]
    notes = (_afterwards(target, systems, roles, host),)
    return _plan(target, world, reviews, waves, refusals, systems=systems, made=made, without=without, notes=notes)


def undrain_plan(
    site: Site,
    systems: Sequence[AnySystem],
    secrets: Secrets,
    world: World,
    *,
    host: str,
    made: str,
    without: Sequence[str] = (),
) -> Plan:
    """Plan that the controller serves again."""
    reviews = review(site, systems, secrets, world)
    roles, _ = roles_of(site, reviews)
    target = replace(site, drained=site.drained - {host})
    waves = withdrawn(reviews, target, systems, roles)
    refusals = [*_unkept(reviews, site), *(_not_well(reviews, host) if waves else ())]
    return _plan(target, world, reviews, waves, refusals, systems=systems, made=made, without=without, notes=())


def kept_drained_plan(
    site: Site,
    systems: Sequence[AnySystem],
    secrets: Secrets,
    world: World,
    *,
    made: str,
    without: Sequence[str] = (),
) -> Plan:
    """Plan only that nobody depends on who is drained: for the end of a run, in which somebody was started anew."""
    reviews = review(site, systems, secrets, world)
    roles, _ = roles_of(site, reviews)
    waves = withdrawn(reviews, site, systems, roles)
    return _plan(site, world, reviews, waves, (), systems=systems, made=made, without=without, notes=())


def replace_plan(
    site: Site,
    systems: Sequence[AnySystem],
    secrets: Secrets,
    world: World,
    *,
    host: str,
    made: str,
    without: Sequence[str] = (),
) -> Plan:
    """Plan that an empty machine takes the controller's place; nothing, where nothing is left to do there."""
    plan = make_plan(site, systems, secrets, world, made=made, without=without)
    if plan.is_empty:
        return plan
    reviews = review(site, systems, secrets, world)
    refusals = [*_occupied(reviews, site, host), *_not_spared(reviews, site, host, lost=True), *plan.refusals]
    return plan.model_copy(update={"refusals": tuple(refusals)}).printed()


def _occupied(reviews: Sequence[Review], site: Site, host: str) -> Iterator[Refusal]:
    for found in reviews:
        system = found.system
        why = system.occupied(site.cloud.systems[system.name], site, found.views, host)
        if why:
            hint = f"if {host} is the old machine, `quorate apply` brings it back; an empty one is to be installed anew"
            yield Refusal(system=system.name, reason=f"{host}: {why}", evidence=(hint,))


def _unkept(reviews: Sequence[Review], site: Site) -> Iterator[Refusal]:
    said = kept(reviews, site)
    if isinstance(said, Unknown):
        yield Refusal(system="", reason=f"who is drained is not known: {said.why}")


def _not_spared(reviews: Sequence[Review], site: Site, host: str, *, lost: bool = False) -> Iterator[Refusal]:
    """Whoever is drained may be taken away: so each system must be able to spare it. `lost`: also where it is ill."""
    if site.drained | {host} == set(site.cloud.names):
        yield Refusal(system="", reason=f"nobody would serve without {host}")
    arbiter = site.cloud.arbiter is not None
    for found in reviews:
        members = {**found.judgement.members, **({host: unknown("replaced")} if lost else {})}
        why = may_disturb(host, members, found.system.quorum, arbiter=arbiter, drained=site.drained)
        if why:
            yield Refusal(system=found.system.name, reason=why)


def _not_well(reviews: Sequence[Review], host: str) -> Iterator[Refusal]:
    for found in reviews:
        verdict = with_drift(found).members[host]
        if not verdict.is_ok:
            reason = f"{host} cannot serve yet: {verdict.level.word}: {verdict.reason}"
            yield Refusal(system=found.system.name, reason=reason)


def _afterwards(site: Site, systems: Sequence[AnySystem], roles: Roles, host: str) -> Note:
    """What it costs when the machine is taken away then: in order, nothing; without a word, what a drill would say."""
    away = {part: holder for part, holder in roles.items() if holder != host}
    elsewhere = next((name for name in site.cloud.names if name not in site.drained), host)
    moved = {**dict.fromkeys(roles, elsewhere), **away}
    pauses = pauses_of(site, systems, moved, (Hit(host, MACHINE, Loss.SILENT),))
    told = predict(functions_of(site, systems), uses_of(site, systems), pauses, bounded=True)
    worst = [f"{p.function} at most {p.seconds:.1f} s" for p in told if p.seconds and p.seconds > NOTICEABLE]
    lost = f"pauses {', '.join(worst)}" if worst else "pauses nothing"
    text = f"afterwards, switch {host} off in order (systemctl poweroff): a loss of its power {lost}"
    return Note(system="", text=text)


def _plan(
    site: Site,
    world: World,
    reviews: Sequence[Review],
    waves: Sequence[Wave],
    refusals: Sequence[Refusal],
    *,
    systems: Sequence[AnySystem],
    made: str,
    without: Sequence[str],
    notes: Sequence[Note],
) -> Plan:
    missing = tuple(
        Missing(host=name, why=seen.why)
        for name in site.cloud.names
        if isinstance(seen := world.get(name, Unknown(why="it was not looked at")), Unknown)
        and name not in {*without, *site.drained}
    )
    plan = Plan(
        cloud=site.cloud.cloud,
        made=made,
        waves=tuple(waves),
        missing=missing if waves else (),
        without=tuple(without),
        drained=tuple(sorted(site.drained)),
        refusals=tuple(refusals),
        notes=tuple(notes) if waves else (),
        world=world_digest(site, world, reviews),
    )
    return timed(plan, systems).printed()
