"""What one system needs on one controller, split by whether it interrupts something that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from quorate.core.act import Act, SetUnit
from quorate.core.diff import Change, content_digest, difference
from quorate.core.observed import Absent, HostSeen, PathSeen, Seen, SysctlSeen, UnitSeen, Unknown
from quorate.core.plan import digest
from quorate.core.resource import File, Resource, Unit
from quorate.core.secret import Secrets


@dataclass(frozen=True)
class Delta:
    """`quiet` touches nothing that runs; `disturbing` interrupts a running unit; `starting` starts what does not run.

    `unknown`: resources that could not be compared, with the reason.
    """

    quiet: tuple[Change, ...] = ()
    disturbing: tuple[Change, ...] = ()
    starting: tuple[Change, ...] = ()
    unknown: tuple[str, ...] = ()


def delta(resources: Sequence[Resource], seen: HostSeen, secrets: Secrets) -> Delta:
    """Compare everything that a system wants on a controller with what was seen there."""
    quiet: list[Change] = []
    disturbing: list[Change] = []
    starting: list[Change] = []
    unknown: list[str] = []
    files = {r.path: r for r in resources if isinstance(r, File)}
    changed: set[str] = set()
    for resource in resources:
        if isinstance(resource, Unit):
            continue
        found = difference(resource, _non_unit(seen.resources.get(resource.id)), secrets)
        if isinstance(found, Unknown):
            unknown.append(f"{resource.id}: {found.why}")
        elif found is not None:
            quiet.append(found)
            changed.add(resource.id)
    for unit in (r for r in resources if isinstance(r, Unit)):
        state = seen.resources.get(unit.id, _NOT_ASKED)
        if isinstance(state, Unknown):
            unknown.append(f"{unit.id}: {state.why}")
            continue
        act = unit_act(unit, state, inputs_digest(unit, files, secrets), seen, changed)
        if act is not None:
            {"none": quiet, "start": starting}.get(act.verb, disturbing).append(Change((act,), (f"! {act}",)))
    return Delta(tuple(quiet), tuple(disturbing), tuple(starting), tuple(unknown))


def unit_act(unit: Unit, state: Seen, inputs: str, seen: HostSeen, changed: set[str]) -> SetUnit | None:
    """What a unit needs that should have loaded these inputs, where these of its files (by id) are about to change."""
    loaded = isinstance(state, UnitSeen) and _has_loaded(unit, state, inputs, seen, changed)
    return _unit_act(unit, state, inputs, None if loaded else _taking(unit, state, seen, changed))


def inputs_digest(unit: Unit, files: Mapping[str, File], secrets: Secrets) -> str:
    """Digest of what the unit should have loaded; the stamp on the controller records it."""
    return digest([[path, content_digest(files[path], secrets)] for path in sorted(unit.inputs)])


_NOT_ASKED = Unknown(why="it was not looked for")


def _non_unit(seen: Seen | None) -> Absent | Unknown | PathSeen | SysctlSeen:
    if seen is None:
        return _NOT_ASKED
    return seen  # type: ignore[return-value]  # the id binds the kind of resource to the kind of observation


def _has_loaded(unit: Unit, state: UnitSeen, inputs: str, seen: HostSeen, changed: set[str]) -> bool:
    """Whether the running process has loaded the inputs as they should be.

    Our stamp proves it for the invocation that it names. Without one (the machine was rebooted, someone restarted the
    unit) it is so if every input is as it should be and none was written after the process began.
    """
    if state.stamp and state.stamp.inputs == inputs and state.stamp.invocation == state.invocation:
        return True
    return all(_began_with(path, state, seen, changed) for path in unit.inputs)


def _began_with(path: str, state: UnitSeen, seen: HostSeen, changed: set[str]) -> bool:
    """Whether the file is as it should be and has been so since before the process began."""
    on_disk = seen.resources.get(f"file:{path}")
    return f"file:{path}" not in changed and isinstance(on_disk, PathSeen) and on_disk.mtime <= state.started


def _taking(unit: Unit, state: Seen, seen: HostSeen, changed: set[str]) -> Literal["restart", "reload"]:
    """How the running process takes its inputs: a reload will do if it began with all that it must be restarted for.

    One that is still on its way up may never arrive with what it has loaded, and so never take a reload.
    """
    hard = [path for path in unit.inputs if path not in unit.reloads]
    if not unit.reloads or not isinstance(state, UnitSeen) or state.active == "activating":
        return unit.on_change
    return "reload" if all(_began_with(path, state, seen, changed) for path in hard) else unit.on_change


def _unit_act(unit: Unit, state: Seen, inputs: str, taking: Literal["restart", "reload"] | None) -> SetUnit | None:
    active = isinstance(state, UnitSeen) and state.active in {"active", "activating", "reloading"}
    is_enabled = isinstance(state, UnitSeen) and state.enabled.startswith("enabled")
    wanted = unit.enabled and unit.state != "stopped"
    enable = None if is_enabled == wanted or (isinstance(state, UnitSeen) and state.enabled == "static") else wanted
    if unit.state == "stopped":
        verb = "stop" if active else "none"
        enable = enable if isinstance(state, UnitSeen) else None
    elif active and taking is not None:
        verb = taking
    elif not active and unit.state == "running":
        verb = "start"
    else:
        verb = "none"
    if verb == "none" and enable is None:
        return None
    stamp = inputs if verb in {"start", "restart", "reload"} else ""
    return SetUnit.model_validate({"name": unit.name, "enabled": enable, "verb": verb, "inputs": stamp})


def merged(changes: Sequence[Change]) -> tuple[tuple[Act, ...], tuple[str, ...]]:
    """Acts and lines of several changes, in order."""
    return tuple(a for c in changes for a in c.acts), tuple(line for c in changes for line in c.lines)
