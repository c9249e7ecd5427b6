"""One controller away and back: drained, replaced by an empty machine, serving again, with clients at work."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]

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


@dataclass(frozen=True)
class Phase:
    """One thing that was done: what, since when (monotonic seconds), and what was said to pause meanwhile."""

    name: str
    began: float
    told: Mapping[str, float]


async def replaced_under_load(
    plane: Plane, victim: str
) -> tuple[dict[str, list[Operation]], dict[str, Mapping[str, Any]], list[Phase]]:
    """What clients saw, what they found in the end, and what was said beforehand of each phase."""
    cloud, systems = files.load_cloud(plane.folder / "cloud.yaml")
    clients = [one for one in workloads_of(site_of(cloud, systems), systems) if one.function in WATCHED and not one.at]
    finals: dict[str, Mapping[str, Any]] = {}
    phases: list[Phase] = []

    async def phase(name: str, work: Callable[..., Any], *given: Any) -> Any:
        began = time.monotonic()
        outcome = await asyncio.to_thread(work, *given)
        phases.append(Phase(name, began, pauses(outcome) if isinstance(outcome, dict) else {}))
        return outcome

    async with working(plane, clients, finals) as history:
        await asyncio.sleep(3.0)
        drained = await phase("drain", node, plane, "drain", victim)
        assert drained["drained"] == [victim]
        served_by = {one.facts.get("server") for one in history["database_write"][-5:]}
        assert victim not in served_by
        await phase("switch off", switch_off, plane, victim)
        status = await asyncio.to_thread(plane.json, "status")
        assert status["verdict"]["level"] == "ok", "a drained controller that is off was announced"
        await phase("reset", plane.lab.reset, victim)
        began = time.monotonic()
        await phase("replace", node, plane, "replace", victim)
        await phase("undrain", node, plane, "undrain", victim)
        whole = time.monotonic() - began
        await asyncio.sleep(3.0)
    print(f"whole again after {whole:.0f} s")
    assert whole <= WHOLE
    return history, finals, phases


def worse_than_a_failover(history: Mapping[str, Sequence[Operation]], phases: Sequence[Phase]) -> list[str]:
    """Each outage longer than what was said of the planned failover, or of the phase in which it began."""
    wrong = []
    planned = phases[0].told
    for name, done in history.items():
        for outage in outages(done):
            phase = next((one for one in reversed(phases) if one.began <= outage.began), phases[0])
            told = max(planned.get(name, 0.0), phase.told.get(name, 0.0))
            notes = {one.note for one in done if one.outcome != "ok" and outage.began <= one.start <= outage.ended}
            text = (
                f"{name}: {outage.seconds:.2f} s, said {told:.2f} s, "
                f"{outage.began - phase.began:.1f} s into {phase.name}: {sorted(notes)}"
            )
            print(text)
            if not kept(told, outage.seconds, 0.1):
                wrong.append(text)
    return wrong


def test_a_controller_is_replaced_by_an_empty_machine_under_load(plane: Plane) -> None:
    victim = move_vip_to_the_writer(plane)
    plane.wait_well()
    history, finals, phases = asyncio.run(replaced_under_load(plane, victim))
    assert plane.json("status")["verdict"]["level"] == "ok"
    assert plane.apply()["changes"] == 0
    lost = acknowledged(history["database_write"]) - numbers(finals["database_write"]["numbers"])
    assert lost == set()
    assert len(acknowledged(history["database_write"])) > 200
    assert worse_than_a_failover(history, phases) == []


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
