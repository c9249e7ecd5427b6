"""From what is wanted and what was seen to the plan. Pure: the same world gives the same plan.

The order: one wave prepares all controllers side by side without touching anything that runs; then, system by system
in the order of their needs, running members that the others can spare are interrupted one at a time, stopped ones are
started, the cluster is formed, and then those are interrupted who could not be spared before. What is done to a
controller in one wave is one step, sent in one round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorate.core.act import Act, Install, SetUnit
from quorate.core.delta import merged
from quorate.core.diff import Change
from quorate.core.draining import withdrawn
from quorate.core.drill import Roles
from quorate.core.impact import all_foretold
from quorate.core.lasting import timed
from quorate.core.observed import HostSeen, Unknown, World
from quorate.core.order import may_disturb, needed
from quorate.core.plan import Gate, Impact, Missing, Note, Plan, Refusal, Step, Wave, digest
from quorate.core.review import Review, resources_of, review, roles_of
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Blocked, Formation, Site, Terms
from quorate.core.verdict import Level, Verdict, ok


def make_plan(
    site: Site,
    systems: Sequence[AnySystem],
    secrets: Secrets,
    world: World,
    *,
    made: str,
    without: Sequence[str] = (),
    only: Sequence[str] = (),
    terms: Terms | None = None,
) -> Plan:
    """Plan everything that would bring the world to the site. `made` is the time, ISO 8601, for people only.

    `only`: of these systems; the others are looked at for who plays which part, and left as they are. `terms`: on which
    it is recovered; None: nothing is recovered.
    """
    world = {**world, **{host: Unknown(why="left out by --without") for host in without}}
    world = {host: world.get(host, Unknown(why="it was not looked at")) for host in site.cloud.names}
    every = review(site, systems, secrets, world)
    reviews = tuple(one for one in every if not only or one.system.name in only)
    playing = roles_of(site, every)
    found = arrange(site, systems, reviews, playing, terms)
    plan = Plan(
        cloud=site.cloud.cloud,
        made=made,
        waves=(*found.waves, *withdrawn(reviews, site, systems, playing[0])),
        missing=missing(world, without),
        without=tuple(without),
        drained=tuple(sorted(site.drained)),
        only=tuple(one.system.name for one in reviews) if only else (),
        refusals=(*_wrong_systems(site, world), *found.refusals),
        notes=found.notes,
        world=world_digest(site, world, reviews),
    )
    return timed(plan, systems).printed()


@dataclass(frozen=True)
class Arranged:
    """Waves in the order in which they are safe, what may not be done, and what is to be known of it."""

    waves: tuple[Wave, ...]
    refusals: tuple[Refusal, ...]
    notes: tuple[Note, ...]


def arrange(
    site: Site,
    systems: Sequence[AnySystem],
    reviews: Sequence[Review],
    playing: tuple[Roles, tuple[Note, ...]],
    terms: Terms | None = None,
) -> Arranged:
    """Put what systems need into waves. `playing`: who plays which part, and of whom that could not be said."""
    roles, nobody = playing
    refusals: list[Refusal] = []
    waves = [*_prepare(site, reviews)]
    for found in reviews:
        member_waves, member_refusals = _system_waves(found, site, roles, terms)
        waves += member_waves
        refusals += member_refusals
    waves, unsaid = _foretold(waves, site, systems, roles)
    notes = (*(note for found in reviews for note in _notes(found, site)), *nobody, *unsaid) if waves else ()
    return Arranged(tuple(waves), tuple(refusals), notes)


def missing(world: World, without: Sequence[str]) -> tuple[Missing, ...]:
    """Name the controllers that were not seen, but for those that are left out."""
    unseen = {host: seen for host, seen in world.items() if isinstance(seen, Unknown) and host not in without}
    return tuple(Missing(host=host, why=seen.why) for host, seen in unseen.items())


def _wrong_systems(site: Site, world: World) -> Iterable[Refusal]:
    for host, seen in world.items():
        if isinstance(seen, HostSeen) and seen.os != site.cloud.os:
            yield Refusal(system="", reason=f"{host} runs {seen.os}, the cloud file says os: {site.cloud.os}")


def _prepare(site: Site, reviews: Sequence[Review]) -> Iterable[Wave]:
    steps = []
    for host in site.cloud.names:
        changes = [
            change
            for found in reviews
            if host in found.deltas and not found.deltas[host].disturbing
            for change in found.deltas[host].quiet
        ]
        if changes:
            acts, lines = merged(changes)
            steps.append(Step(host=host, title="prepare", acts=_installs_first(acts), diff=lines))
    if steps:
        yield Wave(title="prepare", steps=tuple(steps))


Plays = Mapping[str, tuple[str, ...]]
"""The parts that a controller plays in one system."""


def parts_played(system: AnySystem, site: Site, roles: Roles) -> Plays:
    """Say who plays which parts of a system's own processes."""
    own = system.drills.processes(site.cloud.systems[system.name], site) if system.drills else ()
    parts = dict.fromkeys(one.role for one in own if one.role in roles)
    return {host: tuple(part for part in parts if roles[part] == host) for host in site.cloud.names}


def _installs_first(acts: Sequence[Act]) -> tuple[Act, ...]:
    installs = [act for act in acts if isinstance(act, Install)]
    others = tuple(act for act in acts if not isinstance(act, Install))
    if not installs:
        return others
    packages = tuple(dict.fromkeys(p for act in installs for p in act.packages))
    preseed = tuple(dict.fromkeys(line for act in installs for line in act.preseed))
    return (Install(packages=packages, preseed=preseed), *others)


def _system_waves(found: Review, site: Site, roles: Roles, terms: Terms | None) -> tuple[list[Wave], list[Refusal]]:
    name = found.system.name
    refusals = [
        Refusal(system=name, reason=f"{host} could not be compared: {why}", passing=True)
        for host, change in found.deltas.items()
        for why in change.unknown
    ]
    formation = _formation(found, site, terms)
    if isinstance(formation, Blocked):
        passing = formation.passing
        refusals.append(Refusal(system=name, reason=formation.reason, evidence=formation.evidence, passing=passing))
        formation = ()
    forming = [_stamped(wave, found) for wave in formation]
    ordered, refused = _in_order(found, site, forming, roles)
    return ordered, [*refusals, *(Refusal(system=name, reason=why) for why in refused)]


def _in_order(found: Review, site: Site, forming: Sequence[Wave], roles: Roles) -> tuple[list[Wave], list[str]]:
    """Interrupt whom the well ones can spare, then start and form, then interrupt those whom the new ones can spare.

    A member that is gated is well behind its gate, so it counts for what follows; apply looks again before each. One
    that has a part in the forming is not put off until after it: its files must be in place by then.
    """
    members = dict(found.judgement.members)
    disturbed = [host for host, change in found.deltas.items() if change.disturbing]
    plays = parts_played(found.system, site, roles)
    before, waiting = _rolling(found, site, members, disturbed, plays, forming=bool(forming))
    starting = _starting(found, gated=not forming)
    gates = [wave.gate.members for wave in (*starting, *forming) if wave.gate]
    members |= {member: ok("behind its gate") for gated in gates for member in gated}
    forms = {step.host for wave in forming for step in wave.steps}
    put_off = [host for host in waiting if host not in forms]
    after, refused = _rolling(found, site, members, put_off, plays, forming=False)
    refused |= {host: why for host, why in waiting.items() if host in forms}
    shown = [_interruption(found, site, members, host, plays, gated=True) for host in refused]
    return [*before, *starting, *forming, *after, *shown], list(refused.values())


def _foretold(
    waves: list[Wave], site: Site, systems: Sequence[AnySystem], roles: Roles
) -> tuple[list[Wave], tuple[Note, ...]]:
    """Say what interruptions do to clients. A system that crashes over it is no reason not to plan."""
    try:
        return list(all_foretold(waves, site, systems, roles)), ()
    except Exception as error:  # noqa: BLE001 - as above
        why = f"what interruptions do to clients could not be worked out: {type(error).__name__}: {error}"
        return waves, (Note(system="", text=why),)


def _notes(found: Review, site: Site) -> Iterable[Note]:
    """Let the system say what the change means. A system that crashes over it is no reason not to plan."""
    try:
        texts = tuple(found.system.impact(site.cloud.systems[found.system.name], site, found.views))
    except Exception as error:  # noqa: BLE001 - as above
        texts = (f"what the change means could not be worked out: {type(error).__name__}: {error}",)
    return tuple(Note(system=found.system.name, text=text) for text in texts)


def _formation(found: Review, site: Site, terms: Terms | None) -> Formation:
    """Let the system say how it is formed, or recovered. What crashes over the evidence forms nothing."""
    system, spec = found.system, site.cloud.systems[found.system.name]
    try:
        if terms is not None and system.recover is not None:
            return system.recover(spec, site, found.views, terms)
        return system.form(spec, site, found.views)
    except Exception as error:  # noqa: BLE001 - as a check that crashes: refused with the reason, `status` still answers
        return Blocked(f"how to form it could not be worked out: {type(error).__name__}: {error}")


def _rolling(
    found: Review, site: Site, members: dict[str, Verdict], hosts: Iterable[str], plays: Plays, *, forming: bool
) -> tuple[list[Wave], dict[str, str]]:
    """Interrupt running members, one in each wave; say for each who may not be why not.

    Ill ones come first, and last whoever plays a part that clients would miss: it then moves once, and to somebody
    who is not interrupted any more.

    One that was ill and is still to be formed cannot be waited for. `members` learns who is well behind a gate.
    """
    waves: list[Wave] = []
    refused: dict[str, str] = {}

    def harm(host: str) -> tuple[bool, bool]:
        return host not in members or members[host].level is not Level.FAILING, bool(plays.get(host))

    for host in sorted(hosts, key=harm):
        arbiter = site.cloud.arbiter is not None
        why_not = may_disturb(host, members, found.system.quorum, arbiter=arbiter, drained=site.drained)
        if why_not:
            refused[host] = why_not
            continue
        gated = not forming or (host in members and members[host].is_ok)
        waves.append(_interruption(found, site, members, host, plays, gated=gated))
        if gated:
            members[host] = ok("behind its gate")
    return waves, refused


def _interruption(
    found: Review, site: Site, members: Mapping[str, Verdict], host: str, plays: Plays, *, gated: bool
) -> Wave:
    """All that a member needs that must be interrupted for it, in one step; who is known to be well goes on."""
    name, change = found.system.name, found.deltas[host]
    acts, lines = merged((*change.quiet, *change.disturbing, *change.starting))
    step = Step(host=host, title=f"{name} on {host}", acts=_installs_first(acts), diff=lines, disturbs=True)
    gate = Gate(system=name, members=(host,), timeout=found.system.settle) if gated else None
    impact = Impact(
        pauses={},
        left=sum(verdict.is_ok for other, verdict in members.items() if other != host and other not in site.drained),
        least=needed(found.system.quorum, len(members), arbiter=site.cloud.arbiter is not None),
        plays=plays.get(host, ()),
    )
    return Wave(title=f"{name}: {host}", system=name, steps=(step,), gate=gate, impact=impact)


def _starting(found: Review, *, gated: bool) -> list[Wave]:
    undisturbed = {host: change for host, change in found.deltas.items() if not change.disturbing}
    steps = [_start(found.system.name, host, change.starting) for host, change in undisturbed.items()]
    chosen = tuple(step for step in steps if step is not None)
    if not chosen:
        return []
    members = tuple(step.host for step in chosen)
    gate = Gate(system=found.system.name, members=members, timeout=found.system.settle) if gated else None
    return [Wave(title=f"start {found.system.name}", system=found.system.name, steps=chosen, gate=gate)]


def _start(system: str, host: str, changes: Sequence[Change]) -> Step | None:
    acts, lines = merged(changes)
    return Step(host=host, title=f"start {system} on {host}", acts=acts, diff=lines) if acts else None


def _stamped(wave: Wave, found: Review) -> Wave:
    """Fill in what a unit act's stamp records; `form` does not know the contents."""
    steps = []
    for step in wave.steps:
        inputs = found.inputs(step.host)
        acts = tuple(
            act.model_copy(update={"inputs": inputs[act.name]})
            if isinstance(act, SetUnit) and act.name in inputs and act.verb in {"start", "restart", "reload"}
            else act
            for act in step.acts
        )
        lines = step.diff or tuple(f"! {act}" for act in acts)
        steps.append(step.model_copy(update={"acts": acts, "diff": lines}))
    return wave.model_copy(update={"steps": tuple(steps), "system": found.system.name})


_FLEETING = {"mtime", "started", "invocation", "stamp"}


def world_digest(site: Site, world: World, reviews: Sequence[Review]) -> str:
    """Digest of what the plan rests on: the cloud file, and every resource of its systems as it was seen."""
    managed = {host: {r.id for f in reviews for r in resources_of(f.system, site, host)} for host in world}
    seen = {
        host: {
            name: value.model_dump(mode="json", exclude=_FLEETING)
            for name, value in sorted(host_seen.resources.items())
            if name in managed[host]
        }
        if isinstance(host_seen, HostSeen)
        else "unseen"
        for host, host_seen in world.items()
    }
    return digest([site.cloud.model_dump(mode="json"), seen])
