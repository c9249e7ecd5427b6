"""Clients of drills at work on the tests' cloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from at_work import at_work

from lab.plane.machines import Plane
from quorate.cli import files
from quorate.core.drill import Workload
from quorate.core.history import Operation
from quorate.core.system import Site, site_of

Says = Callable[[Any, Site], Sequence[Workload]]


def said(plane: Plane, system: str, workloads: Says) -> tuple[Workload, ...]:
    """What a system says of its clients."""
    cloud, systems = files.load_cloud(plane.folder / "cloud.yaml")
    return tuple(workloads(cloud.systems[system], site_of(cloud, systems)))


def chosen(plane: Plane, system: str, workloads: Says, name: str) -> Workload:
    """One of them."""
    return next(workload for workload in said(plane, system, workloads) if workload.name == name)


def working(
    plane: Plane, workloads: Sequence[Workload], finals: dict[str, Mapping[str, Any]] | None = None
) -> AbstractAsyncContextManager[dict[str, list[Operation]]]:
    """Let them work meanwhile; their operations, by name, are all there at the end, and what they found in `finals`."""
    return at_work(plane.folder, workloads, finals)
