"""Clients of drills at work on a formed cloud, without a drill."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quorate.cli import files
from quorate.core.drill import Workload
from quorate.core.fault import OnHost
from quorate.core.history import Operation
from quorate.engine.clients import Crew
from quorate.transport.ssh import SshTransport, connect
from quorate.transport.tunnel import Tunnels


@contextlib.asynccontextmanager
async def at_work(
    folder: Path, workloads: Sequence[Workload], finals: dict[str, Mapping[str, Any]] | None = None
) -> AsyncIterator[dict[str, list[Operation]]]:
    """Let them work meanwhile; their operations, by name, are all there at the end, and what they found in `finals`.

    `folder`: where the cloud file and its secrets are.
    """
    cloud, systems = files.load_cloud(folder / "cloud.yaml")
    secrets = files.load_secrets(folder / "cloud.yaml", cloud, systems)
    ways = {name: connect(cloud, name, folder) for name in cloud.names}
    tunnels = Tunnels(ways)
    crew = Crew(workloads, run="test", secrets=secrets, reach=tunnels.reach)
    history: dict[str, list[Operation]] = {workload.name: [] for workload in workloads}
    try:
        await _do(ways, crew.before)
        await crew.prepare()
        crew.start(lambda name, operation: history[name].append(operation))
        yield history
        await crew.stop()
        found, why = await crew.finish()
        if why:
            raise RuntimeError(f"clients that could not look in the end: {why}")
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
        if done.code:
            raise RuntimeError(f"{step.host}: {done.err.decode(errors='replace')}")
