"""Rotate keys: look → decide → journal → `secrets.yaml` → distribute → look again → note it there.

What is distributed is a plan like any other, of systems that are nothing but their keys. Wherever a run is interrupted,
the next one, or `apply`, goes on from what it finds; core/keys.py says why nothing is lost meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from quorate.core.keys import Held, Keyring, Next, Refusal, Rings, astray, decide, read, retired, written
from quorate.core.observed import Unknown
from quorate.core.resource import File, Gone, Resource
from quorate.core.review import views_of
from quorate.core.secret import Secrets, reference
from quorate.core.system import AnySystem, Site, enabled
from quorate.core.verdict import Judgement, failing, merge, ok, unknown
from quorate.engine.apply import Operation, apply
from quorate.engine.observe import observe
from quorate.errors import InvalidInput, QuorateError, Refused

Keep = Callable[[Mapping[str, str], Mapping[str, str]], Secrets]
"""Writes what differs between two sets of secrets, by name, to `secrets.yaml`, and gives all that it says then."""


@dataclass(frozen=True)
class Found:
    """What the file says of keys that can be rotated, what the controllers hold, and what follows."""

    rings: Rings
    held: Held
    follows: Next | Refusal


async def found(op: Operation, now: datetime, fresh: Callable[[], str]) -> Found:
    """Look once, and decide. Changes nothing."""
    rings = rings_of(op)
    held = await _held(op)
    return Found(rings, held, decide(rings, held, now, fresh))


async def rotate(op: Operation, seen: Found, keep: Keep, now: Callable[[], datetime]) -> Rings:
    """Do what follows from a look that was taken under the lock; says what all controllers were seen to hold then.

    Raises Refused where nothing may be done, and nothing was; QuorateError where it was begun and not seen to be done.
    """
    if isinstance(seen.follows, Refusal):
        raise refused(seen.follows)
    rings = seen.follows.rings
    op.journal.write("keys", begins=seen.follows.begins, numbers=_numbers(rings))
    if seen.follows.begins:
        op.progress("writing secrets.yaml")
        op = with_secrets(op, keep(written(seen.rings), written(rings)))
    await apply(_only_keys(op))
    held = await _held(op)
    if left := astray(rings, held):
        raise QuorateError(
            "\n".join(["not all controllers hold the new keys yet:", *left]),
            hint="All tokens are good meanwhile. Run it again, or `quorate apply`: both go on from here.",
        )
    noted = retired(rings, now())
    keep(written(rings), written(noted))
    op.journal.write("keys-everywhere", numbers=_numbers(noted))
    return noted


def refused(refusal: Refusal) -> Refused:
    """Say why not, with what was seen."""
    return Refused("\n".join(["no key was changed:", *refusal.evidence]), hint=refusal.remedy)


def rings_of(op: Operation) -> Rings:
    """Read what the file says. InvalidInput where it notes a time that is none."""
    values = {name: op.secrets.resolve(reference(name)) for name in op.secrets.names}
    try:
        return {one: read(one, values) for _, keyring in _keyrings(op) for one in keyring.repositories}
    except ValueError as error:
        raise InvalidInput(f"secrets.yaml: since when a key is retired: {error}") from None


def _numbers(rings: Rings) -> dict[str, list[int]]:
    return {repository.stem: sorted(keys.values) for repository, keys in rings.items()}


def _keyrings(op: Operation) -> list[tuple[AnySystem, Keyring[Any]]]:
    return [(system, system.keys) for system in enabled(op.site.cloud, op.systems) if system.keys is not None]


async def _held(op: Operation) -> Held:
    systems = [system for system, _ in _keyrings(op)]
    world = await observe(op.site, systems, op.transports, op.secrets, reach=op.reach, resources=False)
    held: dict[str, Mapping[str, str] | Unknown] = {}
    for system, keyring in _keyrings(op):
        for host, view in views_of(system, op.site, world).items():
            held[host] = _joined(held.get(host, {}), view if isinstance(view, Unknown) else keyring.holds(view))
    return held


def _joined(one: Mapping[str, str] | Unknown, other: Mapping[str, str] | Unknown) -> Mapping[str, str] | Unknown:
    if isinstance(one, Unknown):
        return one
    return other if isinstance(other, Unknown) else {**one, **other}


def with_secrets(op: Operation, secrets: Secrets) -> Operation:
    """Go on with what `secrets.yaml` says by now."""
    return replace(op, secrets=secrets, site=replace(op.site, held=secrets.names))


def _only_keys(op: Operation) -> Operation:
    """Know of nothing but keys: its plan writes and removes their files, its judgement is whether they are there."""
    rings = rings_of(op)
    return replace(op, systems=tuple(_keys_of(system, keyring, rings) for system, keyring in _keyrings(op)))


def _keys_of(system: AnySystem, keyring: Keyring[Any], rings: Rings) -> AnySystem:
    own = {one: rings[one] for one in keyring.repositories}
    return replace(
        system,
        resources=partial(_key_files, system, own),
        judge=partial(_judge, keyring, own),
        form=lambda _spec, _site, _views: (),
        settling=lambda _spec, _site, _views: "",
        impact=lambda _spec, _site, _views: (),
        settle=10.0,
    )


def _key_files(system: AnySystem, rings: Rings, spec: Any, site: Site, host: str) -> Sequence[Resource]:
    folders = {repository.folder for repository in rings}
    return [
        resource
        for resource in system.resources(spec, site, host)
        if isinstance(resource, File | Gone) and resource.path.rpartition("/")[0] in folders
    ]


def _judge(keyring: Keyring[Any], rings: Rings, _spec: Any, site: Site, views: Mapping[str, Any]) -> Judgement:
    members = {}
    for host in site.cloud.names:
        view = views.get(host, Unknown(why="not asked"))
        held = view if isinstance(view, Unknown) else keyring.holds(view)
        left = astray(rings, {host: held})
        members[host] = (
            unknown(held.why) if isinstance(held, Unknown) else merge(map(failing, left)) if left else ok("")
        )
    return Judgement(merge(members.values()), members)
