"""Plans for one controller: whom the others can spare, and who may serve again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from systems_clouds import build, builtin
from systems_clouds import site as site_with

from quorate import systems
from quorate.core.draining import withdrawn
from quorate.core.fault import Hit, Loss
from quorate.core.node import drain_plan, replace_plan, undrain_plan
from quorate.core.observed import HostSeen, Unknown
from quorate.core.plan import Plan, Step, Wave
from quorate.core.planner import make_plan
from quorate.core.review import Review, as_seen
from quorate.core.system import AnySystem, Site, Withdrawal
from quorate.core.verdict import Judgement, ok
from worlds.clouds import NO_SECRETS, hosts, in_place, nothing_there, site
from worlds.systems import Word, made, seen_as, settled, wanted

OUT = "well, out"
"""What a keeper's member answers that is drained."""


def _out(views: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(host for host, view in views.items() if view == OUT)


def _drained(_spec: Word, _site: Site, views: Mapping[str, Any]) -> frozenset[str] | Unknown:
    return Unknown(why="nobody says") if "lost" in views.values() else _out(views)


def _drain(_spec: Word, where: Site, views: Mapping[str, Any]) -> Sequence[Withdrawal]:
    changed = sorted(where.drained ^ _out(views))
    return [Withdrawal(_wave(host), (Hit(host, "web", Loss.DRAINED),)) for host in changed]


def _wave(host: str) -> Wave:
    return Wave(title=f"switch {host}", steps=(Step(host=host, title="switch", acts=()),))


def _judge(_spec: Word, _site: Site, views: Mapping[str, Any]) -> Judgement:
    return Judgement(ok("keeps"), {host: ok(str(view)) for host, view in views.items()})


KEEPER = made("keeper", drained=_drained, drain=_drain, judge=_judge)
CLUSTER = made("cluster", quorum="majority")


def seen(states: Sequence[str], drained: str = "") -> dict[str, HostSeen | Unknown]:
    """See a cluster's members in these states; `drained` is who is drained."""
    found: dict[str, HostSeen | Unknown] = {}
    for host, state in zip(hosts(len(states)), states, strict=True):
        resources = [r for name in ("keeper", "cluster") for r in wanted(name)]
        keeper = OUT if host == drained else "well"
        found[host] = seen_as(in_place(resources), KEEPER, CLUSTER, keeper=keeper, cluster=state)
    return found


def planned(what: Any, world: dict[str, HostSeen | Unknown], host: str, *known: AnySystem) -> Plan:
    chosen = known or (KEEPER, CLUSTER)
    where = as_seen(site(*chosen, count=len(world)), chosen, world)
    plan: Plan = what(where, chosen, NO_SECRETS, world, host=host, made="now")
    return plan


@pytest.mark.parametrize("states", list(product(("well", "ill"), repeat=3)))
@pytest.mark.parametrize("drained", ["", "c2"])
def test_never_below_quorum(states: tuple[str, ...], drained: str) -> None:
    plan = planned(drain_plan, seen(states, drained), "c1")
    well = [host for host, state in zip(hosts(3), states, strict=True) if state == "well" and host != drained]
    spared = states[0] == "ill" or len(set(well) - {"c1"}) >= 2
    assert (not plan.refusals) == spared
    assert plan.drained == tuple(sorted({"c1", drained} - {""}))


def test_what_is_done_already_is_not_done_again() -> None:
    assert planned(drain_plan, seen(["well"] * 3, "c1"), "c1").is_empty
    assert planned(undrain_plan, seen(["well"] * 3), "c1").is_empty


def test_one_that_does_not_answer_can_be_drained_and_cannot_serve() -> None:
    world = seen(["well"] * 3) | {"c3": Unknown(why="no answer")}
    drained = planned(drain_plan, world, "c3")
    assert (drained.missing, drained.refusals, len(drained.waves)) == ((), (), 1)
    refused = planned(undrain_plan, seen(["well", "well", "ill"], "c3"), "c3")
    assert [refusal.reason for refusal in refused.refusals] == ["c3 cannot serve yet: failing: ill"]


def test_one_that_differs_from_the_cloud_file_does_not_serve_again() -> None:
    world = seen(["well"] * 3, "c3")
    bare = seen_as({}, KEEPER, CLUSTER, keeper=OUT)
    assert planned(undrain_plan, world, "c3").refusals == ()
    assert len(planned(undrain_plan, world | {"c3": bare}, "c3").refusals) == 2


def test_the_last_one_that_serves_is_not_drained() -> None:
    assert planned(drain_plan, seen(["well"]), "c1").refusals[0].reason == "nobody would serve without c1"


def test_a_cloud_that_keeps_it_nowhere_refuses() -> None:
    world = settled(CLUSTER)
    assert "pacemaker" in planned(drain_plan, world, "c1", CLUSTER).refusals[0].reason


def test_who_is_drained_is_not_guessed() -> None:
    lost = seen_as(in_place([*wanted("keeper"), *wanted("cluster")]), KEEPER, CLUSTER, keeper="lost")
    world = {**seen(["well"] * 3, "c3"), "c1": lost}
    for what in (drain_plan, undrain_plan):
        assert [one.reason for one in planned(what, world, "c2").refusals] == [
            "who is drained is not known: nobody says"
        ]
    assert make_plan(site(KEEPER, CLUSTER), (KEEPER, CLUSTER), NO_SECRETS, world, made="now").is_empty


def test_what_keeps_it_is_changed_last() -> None:
    after = made("zoo", drain=_drain, judge=_judge)
    one = seen_as(in_place([*wanted("keeper"), *wanted("zoo")]), KEEPER, after)
    plan = planned(drain_plan, dict.fromkeys(hosts(3), one), "c2", KEEPER, after)
    assert [wave.system for wave in plan.waves] == ["zoo", "keeper"]


def test_apply_counts_on_nobody_who_is_drained() -> None:
    changed: Any = Word(word="changed")
    for drained, refusals in (("", 0), ("c2", 3)):
        world = seen(["well"] * 3, drained)
        where = as_seen(site(KEEPER, CLUSTER, cluster=changed), (KEEPER, CLUSTER), world)
        plan = make_plan(where, (KEEPER, CLUSTER), NO_SECRETS, world, made="now")
        # c2 itself may be interrupted: c1 and c3 go on
        assert len(plan.refusals) == (refusals and 2), plan.refusals


def _blank(host: str, **changes: Any) -> dict[str, HostSeen | Unknown]:
    """See all well but one, which is empty."""
    resources = [r for name in ("keeper", "cluster") for r in wanted(name)]
    bare = seen_as(nothing_there(resources), KEEPER, CLUSTER, keeper="well", cluster="blank")
    return {**seen(["well"] * 3), host: bare, **changes}


def _taken(_spec: Word, _site: Site, views: Mapping[str, Any], host: str) -> str:
    return f"{host} lives elsewhere" if views["c1"] == "sees it" else ""


def test_an_empty_machine_takes_the_place_where_enough_others_are_well() -> None:
    assert planned(replace_plan, seen(["well"] * 3), "c3").is_empty
    plan = planned(replace_plan, _blank("c3"), "c3")
    assert (plan.refusals, {step.host for step in plan.steps}) == ((), {"c3"})
    ill = planned(replace_plan, {**_blank("c3"), "c2": seen(["well", "ill"])["c2"]}, "c3")
    assert [(refusal.system, "1 healthy member" in refusal.reason) for refusal in ill.refusals] == [("cluster", True)]


def test_a_place_that_is_not_free_is_not_taken() -> None:
    cluster = made("cluster", quorum="majority", occupied=_taken)
    world = {
        **_blank("c3"),
        "c1": seen_as(in_place([*wanted("keeper"), *wanted("cluster")]), KEEPER, cluster, cluster="sees it"),
    }
    refused = planned(replace_plan, world, "c3", KEEPER, cluster)
    assert "c3: c3 lives elsewhere" in [refusal.reason for refusal in refused.refusals]


def test_the_pauses_are_those_that_drills_foretell() -> None:
    found = systems.discover()
    where = site_with(build(builtin("three", {one.name: {} for one in found}), found), found, {})
    host, other, _ = where.cloud.names
    keeper = next(system for system in found if system.drained)
    one = replace(
        keeper,
        drained=lambda *_: frozenset(),
        drain=lambda *_: [Withdrawal(_wave(host), (Hit(host, "database", Loss.DRAINED),))],
    )
    judgement = Judgement(ok("well"), {name: ok("well") for name in where.cloud.names})
    for writer, paused in ((host, True), (other, False)):
        roles = {"virtual-ip": other, "writer": writer}
        seen = Review(one, judgement, {}, {}, lambda _host: {})
        (wave,) = withdrawn([seen], replace(where, drained=frozenset({host})), found, roles)
        assert wave.impact is not None
        assert (wave.impact.left, wave.impact.least) == (2, 2)
        assert ("database_write" in wave.impact.pauses) == paused
