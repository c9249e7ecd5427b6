from __future__ import annotations

from typing import Any

from quorate.cli.plan import as_text
from quorate.core.observed import HostSeen, Unknown, World
from quorate.core.plan import Plan
from quorate.core.planner import make_plan
from quorate.core.system import AnySystem, Blocked, Site
from worlds.clouds import NO_SECRETS, hosts, site
from worlds.systems import Word, fresh, made, settled, start_one_by_one

PLAIN = made("plain")
CLUSTER = made(
    "cluster",
    unit={"state": "formed"},
    form=start_one_by_one("cluster"),
    quorum="majority",
    settle=30.0,
    offers=("cluster",),
)
CHANGED: Any = Word(word="changed")


def plan(where: Site, world: World, *systems: AnySystem, only: tuple[str, ...] = ()) -> Plan:
    return make_plan(where, systems, NO_SECRETS, world, made="now", only=only)


def test_only_plans_for_the_systems_that_are_named_and_in_their_order() -> None:
    systems = (made("alpha", needs=("cluster",)), PLAIN, CLUSTER)
    differs = {system.name: CHANGED for system in systems}
    where, world = site(*systems, **differs), settled(*systems)
    whole = plan(where, world, *systems)
    found = plan(where, world, *systems, only=("alpha", "cluster"))
    assert found.only == ("cluster", "alpha")
    assert [wave.title for wave in found.waves] == [
        wave.title for wave in whole.waves if wave.system in {"cluster", "alpha"}
    ]
    assert {step.title for step in plan(where, world, *systems, only=("plain",)).steps} == {
        f"plain on {host}" for host in hosts(3)
    }
    assert "toys, only cluster, alpha: 6 waves" in as_text(found)


def test_only_forms_what_it_is_for_and_prepares_nothing_else() -> None:
    systems = (PLAIN, CLUSTER)
    found = plan(site(*systems), fresh(*systems), *systems, only=("cluster",))
    assert found.waves[0].title == "prepare"
    assert {str(act) for act in found.waves[0].steps[0].acts} == {
        "install cluster",
        "write /etc/cluster.conf",
        "enable cluster.service",
    }
    assert {wave.system for wave in found.waves[1:]} == {"cluster"}


def test_what_the_others_cannot_do_refuses_no_plan_that_is_not_for_them() -> None:
    systems = (PLAIN, made("blocked", form=lambda *_: Blocked("in doubt")))
    world = settled(*systems)
    seen = world["c2"]
    assert isinstance(seen, HostSeen)
    seen.resources["package:blocked"] = Unknown(why="dpkg-query: timeout")
    where = site(*systems, plain=CHANGED)
    assert plan(where, world, *systems).refusals
    assert not plan(where, world, *systems, only=("plain",)).refusals
    assert len(plan(where, world, *systems, only=("plain",)).waves) == 3
