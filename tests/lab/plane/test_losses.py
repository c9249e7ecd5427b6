"""What the model says works while parts are lost, beside what does: `quorate drill --lose`.

By hand, all that can be lost here, and pairs of it: QUORATE_LOSSES=all, three quarters of an hour.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import combinations

import pytest

from lab.plane.machines import Plane, drill, finding

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

HOSTS = ("controller1", "controller2", "controller3")
PROCESSES = ("haproxy", "mariadb", "keystone", "memcached", "quorate-balancer")
SEED = 61
PAIRS = 20


def on(process: str, host: str) -> str:
    """Name a part as the model does."""
    return f"{process} on {host}"


def singles() -> list[tuple[str, ...]]:
    """Every machine, and every process that stays dead."""
    return [*((host,) for host in HOSTS), *((on(process, host),) for process in PROCESSES for host in HOSTS)]


def doubles() -> list[tuple[str, ...]]:
    """All pairs of machines; of each process two; each process with another's machine; and others by chance."""
    dice = random.Random(SEED)
    found: list[tuple[str, ...]] = list(combinations(HOSTS, 2))
    for process in PROCESSES:
        found.append(tuple(on(process, host) for host in sorted(dice.sample(HOSTS, 2))))
        machine, other = dice.sample(HOSTS, 2)
        found.append((machine, on(process, other)))
    while len(found) < PAIRS:
        pair = tuple(sorted(on(process, dice.choice(HOSTS)) for process in dice.sample(PROCESSES, 2)))
        found += [pair] if pair not in found else []
    return found


FEW = [
    ("mariadb on controller1",),
    ("controller2", "controller3"),
]
LOSSES = [*singles(), *doubles()] if os.environ.get("QUORATE_LOSSES") == "all" else FEW


@pytest.fixture(autouse=True)
def well(plane: Plane) -> Iterator[None]:
    """Each loss finds a cloud that is well, and leaves one."""
    plane.wait_well(180)
    yield
    plane.wait_well(240)


@pytest.mark.parametrize("parts", LOSSES, ids=" + ".join)
def test_what_works_meanwhile_is_what_the_model_says(plane: Plane, parts: tuple[str, ...]) -> None:
    (result,) = drill(plane, "--lose", ", ".join(parts), "--beyond-redundancy", codes=(0, 1, 4))
    found = finding(result, "model")
    assert found["level"] == "ok", found["evidence"]
    assert result["lost"] == 0
    assert finding(result, "whole")["level"] == "ok"
