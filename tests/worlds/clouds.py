"""Clouds and what was seen of them, made in a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quorate.core.diff import content_digest
from quorate.core.observed import Absent, Answer, HostSeen, PackageSeen, PathSeen, Seen, Stamp, SysctlSeen, UnitSeen
from quorate.core.resource import Directory, File, Gone, Package, Resource, Sysctl, Unit
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Site, site_of
from quorate.model.cloud import Cloud

NO_SECRETS = Secrets({})


def hosts(count: int) -> tuple[str, ...]:
    return tuple(f"c{number}" for number in range(1, count + 1))


def cloud(count: int = 3, *, arbiter: bool = False, os: str = "debian-13", **systems: Any) -> Cloud:
    """Make a cloud of so many controllers; `systems` are its sections."""
    return Cloud.model_validate(
        {
            "cloud": "toys",
            "os": os,
            "networks": {"management": {"subnet": "10.0.0.0/24"}},
            "vips": {"api": {"address": "10.0.0.10"}},
            "controllers": {host: f"10.0.0.{10 + number}" for number, host in enumerate(hosts(count), start=1)},
            "arbiter": {"address": "10.0.0.9"} if arbiter else None,
            "systems": systems,
        }
    )


def site(*systems: AnySystem, count: int = 3, arbiter: bool = False, **sections: Any) -> Site:
    """Make a site whose cloud has each of the systems, with its defaults where its section is not given."""
    specs = {system.name: sections.get(system.name, system.spec()) for system in systems}
    return site_of(cloud(count, arbiter=arbiter, **specs), systems)


def file_seen(file: File, secrets: Secrets = NO_SECRETS, *, text: str | None = None, **changes: Any) -> PathSeen:
    """See the file as it should be, or with another text or other attributes."""
    lies = File(file.path, secrets.resolve(file.content) if text is None else text)
    seen = PathSeen(
        kind="file",
        mode=file.mode,
        owner=file.owner,
        group=file.group,
        mtime=100.0,
        sha256=content_digest(lies, NO_SECRETS),
        text=lies.content,
    )
    return seen.model_copy(update=changes)


def unit_seen(active: str = "active", enabled: str = "enabled", **more: Any) -> UnitSeen:
    """See a unit that began at 200, after every file of `file_seen` was written."""
    return UnitSeen.model_validate({"active": active, "enabled": enabled, "invocation": "i1", "started": 200.0, **more})


def stamp(inputs: str, invocation: str = "i1") -> Stamp:
    return Stamp(inputs=inputs, invocation=invocation)


def in_place(resources: Iterable[Resource], secrets: Secrets = NO_SECRETS) -> dict[str, Seen]:
    """See everything as it should be: nothing is left to do."""
    seen: dict[str, Seen] = {}
    for resource in resources:
        match resource:
            case Package():
                seen[resource.id] = PackageSeen(version="1.0")
            case Directory(mode=mode, owner=owner, group=group):
                seen[resource.id] = PathSeen(kind="directory", mode=mode, owner=owner, group=group, mtime=1.0)
            case Gone():
                seen[resource.id] = Absent()
            case File():
                seen[resource.id] = file_seen(resource, secrets)
            case Sysctl(value=value):
                seen[resource.id] = SysctlSeen(value=value, kept=value)
            case Unit(state=state):
                stopped = state == "stopped"
                seen[resource.id] = unit_seen(*(("inactive", "disabled") if stopped else ()))
    return seen


def nothing_there(resources: Iterable[Resource]) -> dict[str, Seen]:
    """See a fresh machine."""
    return {resource.id: Absent() for resource in resources}


def host_seen(resources: Mapping[str, Seen], **answers: str) -> HostSeen:
    """See a controller; each answer is what the one question (`state`) of the system of that name printed."""
    said: dict[str, Any] = {name: {"state": Answer(code=0, out=out)} for name, out in answers.items()}
    return HostSeen(os="debian-13", resources=dict(resources), answers=said)


def lines(steps: Sequence[Any]) -> list[str]:
    return [line for step in steps for line in step.diff]
