"""A plan says how long functions pause: beside what clients see while it is being applied. By itself (Makefile)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from lab.plane.machines import Plane
from lab.plane.working import working
from quorate.cli import files
from quorate.core.aim import workloads_of
from quorate.core.failure import NOTICEABLE
from quorate.core.history import outages
from quorate.core.system import site_of

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(600)]

CHANGES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "galera": ({"max_connections": 640}, ("database_write", "database_read")),
    "haproxy": ({"maxconn": 7900}, ("virtual_ip",)),
    "corosync": ({"token_ms": 800}, ("virtual_ip",)),
    "rabbitmq": ({"memory_mb": 1100}, ("messaging", "rpc")),
}
"""An option of each system, and the functions that notice. Only they have clients: two cores are busy with a start."""
FACTOR = 2.0
"""What was said and what was seen differ by no more than this factor."""


def said(plan: Any, function: str) -> float:
    """The longest pause of a function, seconds."""
    return max((wave["impact"]["pauses"].get(function, 0.0) for wave in plan["waves"] if wave["impact"]), default=0.0)


async def seen_while_applying(plane: Plane, functions: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Each function's longest outage, seconds, and how often its slowest client asks."""
    cloud, systems = files.load_cloud(plane.folder / "cloud.yaml")
    workloads = [one for one in workloads_of(site_of(cloud, systems), systems) if one.function in functions]
    async with working(plane, workloads) as history:
        await asyncio.sleep(3.0)
        await asyncio.to_thread(plane.apply)
        await asyncio.sleep(3.0)
    found: dict[str, tuple[float, float]] = {}
    for one in workloads:
        longest = max((outage.seconds for outage in outages(history[one.name])), default=0.0)
        before = found.get(one.function, (0.0, 0.0))
        found[one.function] = max(before[0], longest), max(before[1], 1 / one.rate)
    return found


@pytest.mark.parametrize("system", CHANGES)
def test_what_a_plan_says_of_pauses_is_what_clients_see(broker: Plane, system: str) -> None:
    broker.wait_well()
    broker.wait_settled()
    options, noticing = CHANGES[system]
    broker.set_option(system, **options)
    plan = broker.json("plan")
    assert any(step for wave in plan["waves"] for step in wave["steps"])
    seen = asyncio.run(seen_while_applying(broker, noticing))
    print({function: (said(plan, function), round(longest, 2)) for function, (longest, _) in seen.items()})
    # A bound is for the unluckiest: of readers, say, only who asks first finds nobody. So the longest are compared.
    promised = max(NOTICEABLE, *(said(plan, function) for function in noticing))
    paused, step = max(seen[function] for function in noticing)
    assert promised / FACTOR - step <= max(NOTICEABLE, paused) <= promised * FACTOR + step
