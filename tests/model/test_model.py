"""Decision 8 explored: nothing is wrong with all laws in force, and each law is needed.

`QUORATE_MODEL_DEPTH` (default 1) multiplies how much is explored where a world is too large to be visited whole.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from model.explorer import explore, follow, wander
from model.protocol_model import LAWS, World

DEPTH = int(os.environ.get("QUORATE_MODEL_DEPTH", "1"))

WHOLE = {
    "nothing happens": World(),
    "a link is cut and heals": World(changes=1, faults=("cut 0 0",), prompt=(1, 2)),
    "a server freezes and thaws": World(changes=1, faults=("freeze 0",), prompt=(1, 2)),
    "a log overflows": World(changes=1, deletes=False, log=0, faults=("cut 0 0",), prompt=(1, 2)),
    "a balancer dies": World(changes=1, deletes=False, faults=("crash 0",), prompt=(1, 2)),
}
LARGE = {
    "cuts, frozen, restarted": World(changes=4, faults=("cut 0 0", "cut 1 0", "freeze 0", "restart 0"), budget=3),
    "two keys, logs overflow": World(
        changes=4, keys=2, log=1, faults=("cut 0 0", "cut 1 0", "freeze 0", "restart 0"), budget=3
    ),
    "cuts, balancers die": World(changes=3, faults=("cut 0 0", "cut 1 0", "crash 0", "crash 1"), budget=3),
    "filling, cut": World(changes=2, filling=True, faults=("restart 0", "cut 0 1", "cut 1 1"), budget=2),
    "filling, frozen": World(changes=2, filling=True, faults=("restart 0", "freeze 0", "cut 1 1"), budget=2),
    "filling, a balancer dies": World(changes=2, filling=True, faults=("restart 0", "crash 1"), budget=2),
}
CUT = World(faults=("cut 0 0",))
FILL = World(changes=2, filling=True, faults=("restart 0",))

SHORT = {
    "publish": CUT,
    "read-clean": CUT,
    "replay": CUT,
    "drain": World(faults=("freeze 0",), deletes=False, prompt=(1, 2)),
    "apart": World(faults=("freeze 0",), deletes=False),
    "look-before-tell": World(changes=1, faults=("cut 0 0", "crash 0"), budget=2),
}
"""The law switched off, and a world whose shortest violation is near."""

FAR = {
    "gone-after-ready": World(deletes=False, log=0, faults=("cut 0 0", "restart 0"), budget=2),
    "no-substitutes": World(changes=3, deletes=False, faults=("freeze 0",), budget=2),
    "settle-fills": FILL,
    "announce-fills": FILL,
    "skip-provisional": replace(FILL, faults=("restart 0", "cut 0 1", "cut 1 1"), budget=2),
    "keep-filling": replace(FILL, changes=1, faults=("restart 0", "crash 1"), budget=2),
}
"""... and where walks at random find one."""

ALL_SEE = "probe 0 1, probe 0 2, probe 1 1, probe 1 2, probe 0 1, probe 0 2"
TOLD = {
    # A copy that was under way to a server when it froze arrives after the owner thinks that filling is over.
    "missed-fills": (
        World(changes=1, filling=True, faults=("restart 0", "freeze 0"), budget=2),
        (
            f"restart 0, connect 0 0, connect 1 0, {ALL_SEE}, copy 0 0 to 0, freeze 0, give-up 0 0, begin 1 d0, "
            f"execute 1 1, give-up 1 0, probe 1 1, probe 1 2, thaw 0, connect 0 0, filled 0 0, "
            f"connect 1 0, zombie 1 0, replay 1 0, {ALL_SEE}, "
            "probe 0 0, probe 1 0, probe 0 0, zombie 0 0"
        ),
    ),
    # The second look: the source itself missed a delete that was acknowledged since, and this view is older than that.
    "fresh-source": (
        World(changes=1, filling=True, faults=("restart 0", "cut 0 1"), budget=2),
        (
            "restart 0, probe 1 1, cut 0 1, connect 1 0, connect 0 0, probe 1 2, begin 0 d0, execute 0 0, probe 0 2, "
            "copy 1 0 to 0, execute 1 0, give-up 0 1, probe 0 2, probe 0 0, settle 1"
        ),
    ),
    # It dies in debt; a server that knew restarts, the other is cut off from it, and it asks the rest what it owes.
    "pass-on": (
        World(changes=1, deletes=False, faults=("cut 1 1", "crash 1", "restart 0", "cut 1 2"), budget=4),
        (
            "begin 1 s0, execute 1 0, cut 1 1, give-up-and-lose 1 1, probe 1 0, probe 1 2, probe 0 0, crash 1, "
            "heal 1 1, probe 0 1, restart 0, cut 1 2, start 1 0 1"
        ),
    ),
    # Of two servers left to ask one restarted: neither shows what a dead balancer wrote to the third, and this one saw.
    "remember": (
        World(changes=1, deletes=False, faults=("cut 0 0", "crash 0", "restart 2", "cut 1 1"), budget=4),
        (
            "begin 0 s0, execute 0 1, cut 0 0, give-up-and-lose 0 0, probe 0 1, "
            "probe 0 2, probe 1 1, probe 1 2, probe 1 0, crash 0, "
            "restart 2, connect 1 2, probe 1 2, cut 1 1, lease-ends 1 1"
        ),
    ),
}
"""... and where a violation is so rare that its trace is kept."""


@pytest.mark.parametrize("name", WHOLE)
def test_every_state_of_a_small_world_is_right_and_can_become_well(name: str) -> None:
    found = explore(WHOLE[name], 200_000)
    assert found.why is None, "\n".join(found.trace)
    assert found.whole


@pytest.mark.parametrize("name", LARGE)
def test_walks_through_a_large_world_find_nothing_wrong(name: str) -> None:
    found = wander(LARGE[name], seed=1, walks=60 * DEPTH)
    assert found.why is None, "\n".join(found.trace)


@pytest.mark.parametrize("law", SHORT)
def test_without_the_law_the_shortest_violation_is_found(law: str) -> None:
    found = explore(replace(SHORT[law], off=frozenset({law})), 200_000, progress=False)
    assert found.why is not None


@pytest.mark.parametrize("law", FAR)
def test_without_the_law_walks_find_a_violation(law: str) -> None:
    found = wander(replace(FAR[law], off=frozenset({law})), seed=1, walks=6_000)
    assert found.why is not None
    assert follow(FAR[law], found.trace)[0] is None, "the law prevents it"


@pytest.mark.parametrize("law", TOLD)
def test_without_the_law_the_known_trace_is_a_violation(law: str) -> None:
    world, told = TOLD[law]
    trace = tuple(told.split(", "))
    why, taken = follow(replace(world, off=frozenset({law})), trace)
    assert why is not None
    assert taken == trace, "no step was impossible"
    assert follow(world, trace)[0] is None, "the law prevents it"


def test_each_law_is_shown_to_be_needed() -> None:
    assert set(SHORT) | set(FAR) | set(TOLD) == LAWS
