"""From a site to what can be drilled on it: its processes, clients and functions, and what a fault does to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.core.drill import DataFolder, Drills, Process, Roles, Sign, Standby, Workload
from quorate.core.failure import Pause, Prediction, predict
from quorate.core.fault import Fault, Hit
from quorate.core.system import AnySystem, Site, enabled


def drilled(site: Site, systems: Sequence[AnySystem]) -> list[tuple[AnySystem, Drills[Any], Any]]:
    """Enabled systems that say something of drills, with their section of the cloud file, in forming order."""
    specs = site.cloud.systems
    return [(system, system.drills, specs[system.name]) for system in enabled(site.cloud, systems) if system.drills]


def workloads_of(site: Site, systems: Sequence[AnySystem]) -> tuple[Workload, ...]:
    """Every client of every system."""
    return tuple(w for _, drills, spec in drilled(site, systems) for w in drills.workloads(spec, site))


def functions_of(site: Site, systems: Sequence[AnySystem]) -> tuple[str, ...]:
    """Every function that some client exercises, each once."""
    return tuple(dict.fromkeys(workload.function for workload in workloads_of(site, systems)))


def processes_of(site: Site, systems: Sequence[AnySystem]) -> tuple[Process, ...]:
    """Everything that can be hit by itself."""
    return tuple(p for _, drills, spec in drilled(site, systems) for p in drills.processes(spec, site))


def data_of(site: Site, systems: Sequence[AnySystem]) -> tuple[DataFolder, ...]:
    """Every folder that can run full."""
    return tuple(folder for _, drills, spec in drilled(site, systems) for folder in drills.data(spec, site))


def signs_of(site: Site, systems: Sequence[AnySystem]) -> tuple[Sign, ...]:
    """By what one sees where the time of a failover goes."""
    return tuple(sign for _, drills, _ in drilled(site, systems) for sign in drills.signs)


def standby_of(site: Site, systems: Sequence[AnySystem], host: str) -> Standby | None:
    """How a controller is taken out of the way in order, and brought back; None where no system knows."""
    ways = (drills.standby(spec, site, host) for _, drills, spec in drilled(site, systems))
    return next((way for way in ways if way is not None), None)


def uses_of(site: Site, systems: Sequence[AnySystem]) -> Mapping[str, tuple[str, ...]]:
    """What each function rests on, as all systems say."""
    merged: dict[str, tuple[str, ...]] = {}
    for _, drills, _ in drilled(site, systems):
        for function, below in drills.uses.items():
            merged[function] = (*merged.get(function, ()), *below)
    return merged


def pauses_of(site: Site, systems: Sequence[AnySystem], roles: Roles, hits: Sequence[Hit]) -> tuple[Pause, ...]:
    """How all systems react."""
    return tuple(p for _, drills, spec in drilled(site, systems) for p in drills.reacts(spec, site, roles, hits))


def survivable(site: Site) -> int:
    """How many controllers the cloud is built to lose at once: as many as leave a majority of the votes."""
    votes = len(site.cloud.names) + (site.cloud.arbiter is not None)
    return (votes - 1) // 2


def predictions(site: Site, systems: Sequence[AnySystem], roles: Roles, fault: Fault) -> tuple[Prediction, ...]:
    """What the fault will do to each function."""
    pauses = pauses_of(site, systems, roles, fault.hits)
    bounded = fault.lost <= survivable(site)
    return predict(functions_of(site, systems), uses_of(site, systems), pauses, bounded=bounded)
