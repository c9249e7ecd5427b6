"""From what controllers keep of runs to the plan that goes back to before one of them. Pure.

It is a plan like every other: the same order of systems, one running member at a time, quorum, gates. What is put back
and what has to be restarted for it is all that differs, so `planner.arrange` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from quorate.core.delta import Delta, merged, unit_act
from quorate.core.diff import Change
from quorate.core.kept import HostKept
from quorate.core.lasting import timed
from quorate.core.observed import HostSeen, PathSeen, Seen, UnitSeen, Unknown, World
from quorate.core.plan import Note, Plan, Refusal, Step, Wave, digest
from quorate.core.planner import arrange, missing
from quorate.core.resource import File, Resource, Sysctl, Unit
from quorate.core.review import Review, review, roles_of
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Site, enabled
from quorate.core.undo import Against, Back, Touched, back, touched

_Inputs = Callable[[str], Mapping[str, str]]
_Chooser = Callable[["Host"], list[Change]]
_ACTIVE = {"active", "activating", "reloading"}


@dataclass(frozen=True)
class Past:
    """What is to be undone: `run`, which began at `began`, and all later ones.

    `overwrite`: as HOST:PATH, what somebody changed since and may be lost.
    """

    run: str
    began: str
    kept: Mapping[str, HostKept]
    overwrite: Collection[str] = ()


@dataclass(frozen=True)
class Host:
    """One controller: what runs touched there, what that needs, what is managed there, and by which system."""

    touched: Touched
    back: Back
    resources: Mapping[str, Sequence[Resource]]

    def of(self, system: str) -> list[Change]:
        """What belongs to this system, in order: a path that two systems manage belongs to the first."""
        mine = [path for path in self.back.paths if self.owner(f"file:{path}", f"directory:{path}") == system]
        changes = [self.back.paths[path] for path in mine]
        return changes + [c for name, c in self.back.settings.items() if self.owner(f"sysctl:{name}") == system]

    def owner(self, *ids: str) -> str:
        """Name the system that manages it; empty: none does."""
        return next((name for name, some in self.resources.items() if {r.id for r in some} & set(ids)), "")

    def concerns(self, system: str) -> bool:
        """Whether runs touched anything of this system here."""
        for one in self.resources.get(system, ()):
            if isinstance(one, Unit) and one.name in self.touched.units:
                return True
            if isinstance(one, Sysctl) and one.name in self.touched.sysctls:
                return True
            if getattr(one, "path", None) in self.touched.paths:
                return True
        return False


def make_rollback(
    site: Site,
    systems: Sequence[AnySystem],
    secrets: Secrets,
    world: World,
    past: Past,
    *,
    made: str,
    without: Sequence[str] = (),
) -> Plan:
    """Plan to go back. `site`: the cloud as it was then, by which everything is judged."""
    world = {host: world.get(host, Unknown(why="it was not looked at")) for host in site.cloud.names}
    world = {**world, **{host: Unknown(why="left out by --without") for host in without}}
    hosts = {host: _host(site, systems, secrets, host, past) for host in past.kept if host in world}
    every = review(site, systems, secrets, world)
    meant = [found for found in every if any(one.concerns(found.system.name) for one in hosts.values())]
    units = {found.system.name: _units(found, hosts, world) for found in meant}
    reviews = [
        replace(found, deltas=units[found.system.name][0], inputs=_digests(found, hosts, world)) for found in meant
    ]
    found = arrange(site, systems, reviews, roles_of(site, every))
    against = [*_forgotten(past), *(one for host in hosts.values() for one in host.back.against)]
    against += [one for _, more in units.values() for one in more]
    against += [one for name, host in hosts.items() for one in _strangers(name, host, past.kept[name])]
    plan = Plan(
        cloud=site.cloud.cloud,
        made=made,
        waves=(*_beside(hosts, "put back", _orphans), *found.waves, *_beside(hosts, "remove what is empty", _empty)),
        missing=missing(world, without),
        without=tuple(without),
        only=tuple(one.system.name for one in meant),
        undoes=past.run,
        refusals=(*(Refusal(system="", reason=o.what, evidence=(o.remedy,)) for o in against), *found.refusals),
        notes=(*found.notes, *_lasting(hosts)),
        world=_digest(site, past),
    )
    return timed(plan, systems).printed()


def _host(site: Site, systems: Sequence[AnySystem], secrets: Secrets, host: str, past: Past) -> Host:
    kept = past.kept[host]
    resources = {s.name: s.resources(site.cloud.systems[s.name], site, host) for s in enabled(site.cloud, systems)}
    files = {r.path: r for some in resources.values() for r in some if isinstance(r, File)}
    found = touched(run for run in kept.runs if (run.began, run.run) >= (past.began, past.run))
    return Host(found, back(host, found, kept, past.overwrite, files=files, secrets=secrets), resources)


def _units(found: Review, hosts: Mapping[str, Host], world: World) -> tuple[dict[str, Delta], list[Against]]:
    """What the system needs on each controller, its units included, and what stands against that."""
    deltas: dict[str, Delta] = {}
    against: list[Against] = []
    digests = _digests(found, hosts, world)
    for name, host in hosts.items():
        seen = world[name]
        if not isinstance(seen, HostSeen):
            continue
        acts: dict[str, list[Change]] = {"none": [], "start": [], "restart": []}
        unknown = []
        for unit in host.resources.get(found.system.name, ()):
            if not isinstance(unit, Unit) or not _is_concerned(unit, host):
                continue
            state = seen.resources.get(unit.id, Unknown(why="it was not looked for"))
            gone = [path for path in unit.inputs if _after(path, host, seen) == ""]
            if isinstance(state, Unknown):
                unknown.append(f"{unit.id}: {state.why}")
            elif gone:
                against += [_ends(name, unit.name, f"needs {gone[0]}, which was not there")] if _runs(state) else []
            else:
                changing = {f"file:{path}" for path in host.back.paths}
                act = unit_act(unit, state, digests(name)[unit.name], seen, changing)
                if act is not None:
                    acts.setdefault(act.verb, acts["restart"]).append(Change((act,), (f"! {act}",)))
        quiet = (*host.of(found.system.name), *acts["none"])
        deltas[name] = Delta(quiet, tuple(acts["restart"]), tuple(acts["start"]), tuple(unknown))
    return deltas, against


def _is_concerned(unit: Unit, host: Host) -> bool:
    return unit.name in host.touched.units or any(path in host.touched.paths for path in unit.inputs)


def _runs(state: Seen) -> bool:
    return isinstance(state, UnitSeen) and state.active in _ACTIVE


def _ends(host: str, unit: str, why: str) -> Against:
    return Against(
        f"{host}: {unit} runs, and {why} before: a rollback ends nothing that runs",
        f"If it is to go: systemctl disable --now {unit}, on one controller after the other, then go back.",
    )


def _digests(found: Review, hosts: Mapping[str, Host], world: World) -> _Inputs:
    """Digests of what units are to have loaded: of what will lie there, whatever any cloud file says."""

    def of(name: str) -> Mapping[str, str]:
        seen, host = world.get(name), hosts.get(name)
        if not isinstance(seen, HostSeen) or host is None:
            return found.inputs(name)
        units = [unit for unit in host.resources.get(found.system.name, ()) if isinstance(unit, Unit)]
        return {u.name: digest([[path, _after(path, host, seen)] for path in sorted(u.inputs)]) for u in units}

    return of


def _after(path: str, host: Host, seen: HostSeen) -> str:
    """Digest of the content that will lie there; empty: nothing will."""
    if path in host.touched.paths:
        return host.touched.paths[path].before.sha256
    found = seen.resources.get(f"file:{path}")
    return found.sha256 if isinstance(found, PathSeen) else ""


def _strangers(name: str, host: Host, kept: HostKept) -> Iterable[Against]:
    """Units that runs touched and no system of the cloud as it was then has: those that began to run with them."""
    known = {r.name for some in host.resources.values() for r in some if isinstance(r, Unit)}
    for unit, record in host.touched.units.items():
        runs = kept.units.get(unit, "inactive") in _ACTIVE
        if unit not in known and runs and record.active not in _ACTIVE:
            yield _ends(name, unit, "did not")


def _forgotten(past: Past) -> Iterable[Against]:
    for host, kept in past.kept.items():
        if kept.forgotten >= past.began:
            what = f"{host} no longer keeps what it had before run {past.run} (runs that began by {kept.forgotten})"
            yield Against(what, "Go back to before a later run: quorate rollback --list names them.")


def _beside(hosts: Mapping[str, Host], title: str, chosen: _Chooser) -> Iterable[Wave]:
    """One wave on all controllers side by side that touches nothing that runs."""
    steps = []
    for name, host in hosts.items():
        if changes := chosen(host):
            acts, lines = merged(changes)
            steps.append(Step(host=name, title=title, acts=acts, diff=lines))
    if steps:
        yield Wave(title=title, steps=tuple(steps))


def _orphans(host: Host) -> list[Change]:
    return host.of("")


def _empty(host: Host) -> list[Change]:
    return list(host.back.folders.values())


def _lasting(hosts: Mapping[str, Host]) -> Iterable[Note]:
    where: dict[str, list[str]] = {}
    for name, host in hosts.items():
        for what in (*host.touched.lasting, *(f"{path}/, which holds what is not ours" for path in host.back.stays)):
            where.setdefault(what, []).append(name)
        for unit, record in host.touched.units.items():
            if record.verb == "stop" and record.active in _ACTIVE and not _has(host, unit):
                where.setdefault(f"{unit} stopped, which no system of the cloud has", []).append(name)
    for what, names in where.items():
        yield Note(system="rollback", text=f"stays as it is on {', '.join(names)}: {what}")


def _has(host: Host, unit: str) -> bool:
    return bool(host.owner(f"unit:{unit}"))


def _digest(site: Site, past: Past) -> str:
    kept = {host: one.model_dump(mode="json", exclude={"texts", "were"}) for host, one in past.kept.items()}
    return digest([site.cloud.model_dump(mode="json"), past.run, sorted(past.overwrite), kept])
