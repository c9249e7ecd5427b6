"""Clients of drills at work on a formed cloud, without a drill."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from lab.plane.machines import Plane
from quorate.cli import files
from quorate.core.drill import Workload
from quorate.core.fault import OnHost
from quorate.core.history import Operation
from quorate.core.secret import Secrets
from quorate.core.system import Site, site_of
from quorate.engine.clients import Crew
from quorate.transport.ssh import SshTransport, connect
from quorate.transport.tunnel import Tunnels

Says = Callable[[Any, Site], Sequence[Workload]]


def said(plane: Plane, system: str, workloads: Says) -> tuple[Workload, ...]:
    """What a system says of its clients."""
    cloud, systems = files.load_cloud(plane.folder / "cloud.yaml")
    return tuple(workloads(cloud.systems[system], site_of(cloud, systems)))


def chosen(plane: Plane, system: str, workloads: Says, name: str) -> Workload:
    """One of them."""
    return next(workload for workload in said(plane, system, workloads) if workload.name == name)


@contextlib.asynccontextmanager
async def working(
    plane: Plane, workloads: Sequence[Workload], finals: dict[str, Mapping[str, Any]] | None = None
) -> AsyncIterator[dict[str, list[Operation]]]:
    """Let them work meanwhile; their operations, by name, are all there at the end, and what they found in `finals`."""
    cloud, _ = files.load_cloud(plane.folder / "cloud.yaml")
    ways = {name: connect(cloud, name, plane.folder) for name in cloud.names}
    tunnels = Tunnels(ways)
    crew = Crew(workloads, run="test", secrets=Secrets(plane.secrets()), reach=tunnels.reach)
    history: dict[str, list[Operation]] = {workload.name: [] for workload in workloads}
    try:
        await _do(ways, crew.before)
        await crew.prepare()
        crew.start(lambda name, operation: history[name].append(operation))
        yield history
        await crew.stop()
        found, why = await crew.finish()
        assert why == {}
        if finals is not None:
            finals.update(found)
    finally:
        await crew.close()
        await tunnels.close()
        await _do(ways, crew.after)
        await asyncio.gather(*(way.close() for way in ways.values()))


async def _do(ways: Mapping[str, SshTransport], steps: Sequence[OnHost]) -> None:
    for step in steps:
        done = await ways[step.host].run(step.argv, step.stdin.encode(), timeout=step.timeout)
        assert done.code == 0, done.err
