"""What every system makes of one look at the world: how well it is, what differs, who plays which part. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from quorate.core.delta import Delta, delta, inputs_digest
from quorate.core.drill import Roles
from quorate.core.observed import HostSeen, Unknown, World
from quorate.core.plan import Note
from quorate.core.resource import File, Resource, Unit
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Site, enabled
from quorate.core.verdict import Judgement, failing, merge, unknown


@dataclass(frozen=True)
class Review:
    """One system as it was found: its judgement and what it needs, by controller.

    `inputs`: of a controller's units, by name, the digests of what they are to have loaded.
    """

    system: AnySystem
    judgement: Judgement
    deltas: Mapping[str, Delta]
    views: Mapping[str, Any]
    inputs: Callable[[str], Mapping[str, str]]


def views_of(system: AnySystem, site: Site, world: World) -> dict[str, Any]:
    """Read the system's answers of every controller into its views; what was not seen is Unknown."""
    views: dict[str, Any] = {}
    for host in site.cloud.names:
        seen = world.get(host, Unknown(why="it was not looked at"))
        if isinstance(seen, HostSeen):
            try:
                views[host] = system.read(seen.answers.get(system.name, {}))
            except Exception as error:  # noqa: BLE001 - what a reader chokes on was not seen
                views[host] = Unknown(why=f"its answers could not be read: {type(error).__name__}: {error}")
        else:
            views[host] = seen
    return views


def as_seen(site: Site, systems: Sequence[AnySystem], world: World) -> Site:
    """Give the site with those drained who are, by what was seen; nobody, where nobody could say."""
    for system in enabled(site.cloud, systems):
        if system.drained:
            said = system.drained(site.cloud.systems[system.name], site, views_of(system, site, world))
            return site if isinstance(said, Unknown) else replace(site, drained=said)
    return site


def judge(system: AnySystem, site: Site, views: Mapping[str, Any]) -> Judgement:
    """Let the system judge. A judge that crashes has seen nothing: everything is unknown."""
    try:
        return system.judge(site.cloud.systems[system.name], site, views)
    except Exception as error:  # noqa: BLE001 - a crashed check is `unknown`, never ok
        verdict = unknown(f"the check itself failed: {type(error).__name__}: {error}")
        return Judgement(verdict, dict.fromkeys(site.cloud.names, verdict))


def review(site: Site, systems: Sequence[AnySystem], secrets: Secrets, world: World) -> tuple[Review, ...]:
    """Judge and compare every enabled system, in forming order."""
    reviews = []
    for system in enabled(site.cloud, systems):
        views = views_of(system, site, world)
        deltas = {
            host: delta(resources_of(system, site, host), seen, secrets)
            for host in site.cloud.names
            if isinstance(seen := world.get(host), HostSeen)
        }
        inputs = partial(_inputs, system, site, secrets)
        reviews.append(Review(system, judge(system, site, views), deltas, views, inputs))
    return tuple(reviews)


def _inputs(system: AnySystem, site: Site, secrets: Secrets, host: str) -> Mapping[str, str]:
    resources = resources_of(system, site, host)
    files = {r.path: r for r in resources if isinstance(r, File)}
    return {r.name: inputs_digest(r, files, secrets) for r in resources if isinstance(r, Unit)}


def roles_of(site: Site, reviews: Sequence[Review]) -> tuple[Roles, tuple[Note, ...]]:
    """Say who plays which part, as far as it was seen. A system that crashes over it knows of nobody, and says so."""
    known: dict[str, str] = {}
    unsaid = []
    for found in reviews:
        try:
            known |= found.system.roles(site.cloud.systems[found.system.name], site, found.views)
        except Exception as error:  # noqa: BLE001 - it only decides the order
            why = f"who plays which part could not be worked out: {type(error).__name__}: {error}"
            unsaid.append(Note(system=found.system.name, text=why))
    return known, tuple(unsaid)


def with_drift(found: Review) -> Judgement:
    """The judgement, worsened by what differs from the cloud file."""
    members = dict(found.judgement.members)
    for host, change in found.deltas.items():
        differing = (*change.quiet, *change.disturbing, *change.starting)
        drifted = [one.lines[0].split(" ", 1)[1] for one in differing]
        verdicts = [members.get(host, unknown("not judged"))]
        verdicts += [failing(f"differs from the cloud file: {', '.join(drifted)}")] if drifted else []
        verdicts += [unknown(f"could not be compared: {', '.join(change.unknown)}")] if change.unknown else []
        members[host] = merge(verdicts)
    return Judgement(found.judgement.cluster, members)


def resources_of(system: AnySystem, site: Site, host: str) -> Sequence[Resource]:
    """Say what should be on the controller."""
    return system.resources(site.cloud.systems[system.name], site, host)
