"""One controller away and back: drained, replaced by an empty machine, serving again, with clients at work."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lab.plane.machines import Plane
from lab.plane.test_failover import move_vip_to_the_writer
from lab.plane.working import working
from quorate.cli import files
from quorate.core.aim import workloads_of
from quorate.core.checkers import acknowledged, numbers
from quorate.core.failure import kept
from quorate.core.history import Operation, outages
from quorate.core.system import site_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

WHOLE = 300.0
"""Seconds from an empty machine to a cloud that is whole."""
WATCHED = {"database_write", "database_read"}


@pytest.fixture(autouse=True)
def well(plane: Plane) -> Iterator[None]:
    """Each test finds a cloud that is well, and leaves one in which nobody is drained."""
    plane.wait_well(180)
    plane.wait_settled()
    yield
    for machine in plane.json("status")["drained"]:
        plane.apply()
        node(plane, "undrain", machine)


def node(plane: Plane, verb: str, machine: str) -> dict[str, Any]:
    """Do it; it must go well."""
    done = plane.quorate("node", verb, machine, "--yes", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    print(f"{verb} {machine}: {outcome['seconds']} s, {pauses(outcome)}")
    return outcome


def pauses(*outcomes: Mapping[str, Any]) -> dict[str, float]:
    """What the plans said: each function's pauses together, seconds at most."""
    told: dict[str, float] = {}
    for outcome in outcomes:
        for wave in outcome["waves"]:
            for function, seconds in (wave["impact"] or {"pauses": {}})["pauses"].items():
                told[function] = told.get(function, 0.0) + seconds
    return told


def switch_off(plane: Plane, machine: str) -> None:
    plane.lab.run(machine, "systemctl poweroff")
    deadline = time.monotonic() + 90
    while plane.lab.machine(machine).on():
        assert time.monotonic() < deadline
        time.sleep(0.2)


async def replaced_under_load(plane: Plane, victim: str) -> tuple[dict[str, list[Operation]], Any, dict[str, float]]:
    """What clients saw, what they found in the end, and what was said beforehand."""
    cloud, systems = files.load_cloud(plane.folder / "cloud.yaml")
    clients = [one for one in workloads_of(site_of(cloud, systems), systems) if one.function in WATCHED and not one.at]
    finals: dict[str, Mapping[str, Any]] = {}
    async with working(plane, clients, finals) as history:
        await asyncio.sleep(3.0)
        drained = await asyncio.to_thread(node, plane, "drain", victim)
        assert drained["drained"] == [victim]
        served_by = {one.facts.get("server") for one in history["database_write"][-5:]}
        assert victim not in served_by
        await asyncio.to_thread(switch_off, plane, victim)
        assert plane.json("status")["verdict"]["level"] == "ok", "a drained controller that is off was announced"
        await asyncio.to_thread(plane.lab.reset, victim)
        began = time.monotonic()
        joined = await asyncio.to_thread(node, plane, "replace", victim)
        back = await asyncio.to_thread(node, plane, "undrain", victim)
        whole = time.monotonic() - began
        await asyncio.sleep(3.0)
    print(f"whole again after {whole:.0f} s")
    assert whole <= WHOLE
    return history, finals, pauses(drained, joined, back)


def test_a_controller_is_replaced_by_an_empty_machine_under_load(plane: Plane) -> None:
    victim = move_vip_to_the_writer(plane)
    plane.wait_well()
    history, finals, told = asyncio.run(replaced_under_load(plane, victim))
    assert plane.json("status")["verdict"]["level"] == "ok"
    assert plane.apply()["changes"] == 0
    lost = acknowledged(history["database_write"]) - numbers(finals["database_write"]["numbers"])
    assert lost == set()
    assert len(acknowledged(history["database_write"])) > 200
    for name, done in history.items():
        longest = max((outage.seconds for outage in outages(done)), default=0.0)
        print(f"{name}: {len(done)} operations, longest outage {longest:.2f} s, said {told.get(name, 0.0):.2f} s")
        assert kept(told.get(name, 0.0), longest, 0.1), name


def test_who_is_drained_is_announced_and_nothing_counts_on_it(plane: Plane) -> None:
    first, second, third = plane.lab.machines()
    node(plane, "drain", third)
    status = plane.json("status")
    assert (status["verdict"]["level"], status["drained"]) == ("ok", [third])
    assert plane.apply()["changes"] == 0
    refused = plane.quorate("node", "drain", second, "--yes")
    assert (refused.returncode, "1 healthy member, 2 needed" in " ".join(refused.stderr.split())) == (3, True)
    broken = plane.quorate("drill", "proxy-killed")
    assert (broken.returncode, f"{third} is drained" in broken.stderr) == (3, True)
    # A proxy that is started anew forgets; apply says it to it once more.
    plane.lab.run(first, "systemctl restart haproxy")
    plane.wait_said(f"clients are sent to {third}, which is drained")
    plane.apply()
    assert plane.json("status")["verdict"]["level"] == "ok"
    node(plane, "undrain", third)
    assert plane.json("status")["drained"] == []


def test_a_machine_that_is_not_empty_replaces_nobody(plane: Plane) -> None:
    machine = plane.lab.machines()[2]
    node(plane, "drain", machine)
    plane.lab.run(machine, "systemctl stop mariadb")
    refused = plane.quorate("node", "replace", machine, "--yes")
    assert (refused.returncode, "its MariaDB is no empty one" in " ".join(refused.stderr.split())) == (3, True)
    unfit = plane.quorate("node", "undrain", machine, "--yes")
    assert (unfit.returncode, "cannot serve yet" in " ".join(unfit.stderr.split())) == (3, True)
    plane.apply()
