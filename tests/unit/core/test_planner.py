from __future__ import annotations

from typing import Any

import pytest

from quorate.cli.plan import as_text
from quorate.core.act import Install, SetUnit
from quorate.core.delta import inputs_digest
from quorate.core.drill import Drills, Process
from quorate.core.observed import Absent, HostSeen, Unknown, World
from quorate.core.plan import Plan
from quorate.core.planner import make_plan
from quorate.core.resource import File, Unit
from quorate.core.review import judge, views_of
from quorate.core.system import AnySystem, Blocked, Site, System
from quorate.core.verdict import Level
from worlds.clouds import NO_SECRETS, hosts, in_place, nothing_there, site, unit_seen
from worlds.systems import Word, fresh, made, seen_as, settled, start_one_by_one, wanted

PLAIN = made("plain")
CLUSTER = made("cluster", unit={"state": "formed"}, form=start_one_by_one("cluster"), quorum="majority", settle=30.0)
CHANGED: Any = Word(word="changed")
"""A section with which every conf, and so every running unit, differs from what lies on the controllers."""


def plan(where: Site, world: World, *systems: AnySystem, made: str = "2026-01-31T12:00:00", **more: Any) -> Plan:
    return make_plan(where, systems, NO_SECRETS, world, made=made, **more)


def changed(system: AnySystem) -> dict[str, Any]:
    return {system.name: CHANGED}


def everywhere(*acts: str) -> dict[str, list[str]]:
    return {host: list(acts) for host in hosts(3)}


def outline(found: Plan) -> list[tuple[str, dict[str, list[str]]]]:
    return [(wave.title, {step.host: [str(act) for act in step.acts] for step in wave.steps}) for wave in found.waves]


def test_a_fresh_cloud_is_prepared_at_once_then_each_system_is_started_or_formed() -> None:
    systems = (made("alpha", needs=("cluster",)), made("plain"), _offering(CLUSTER))
    found = plan(site(*systems), fresh(*systems), *systems)
    prepared = [
        "install cluster, alpha, plain",
        "write /etc/cluster.conf",
        "enable cluster.service",
        "write /etc/alpha.conf",
        "write /etc/plain.conf",
    ]
    assert outline(found) == [
        ("prepare", everywhere(*prepared)),
        ("form cluster: c1", {"c1": ["bootstrap cluster", "start cluster.service"]}),
        ("form cluster: c2", {"c2": ["start cluster.service"]}),
        ("form cluster: c3", {"c3": ["start cluster.service"]}),
        ("start alpha", everywhere("enable and start alpha.service")),
        ("start plain", everywhere("enable and start plain.service")),
    ]
    assert not found.refusals
    assert not any(step.disturbs for step in found.steps)
    assert [wave.system for wave in found.waves] == ["", "cluster", "cluster", "cluster", "alpha", "plain"]
    gates = [(wave.gate.system, wave.gate.members) if wave.gate else None for wave in found.waves]
    every = hosts(3)
    formed: list[Any] = [("cluster", (host,)) for host in every]
    assert gates == [None, *formed, ("alpha", every), ("plain", every)]


def _offering(system: AnySystem) -> AnySystem:
    return System(**{**system.__dict__, "offers": (system.name,)})


def test_installations_of_all_systems_are_one_and_come_first() -> None:
    world = fresh(PLAIN, CLUSTER, count=1)
    found = plan(site(PLAIN, CLUSTER, count=1), world, PLAIN, CLUSTER)
    first = found.waves[0].steps[0].acts[0]
    assert first == Install(packages=("cluster", "plain"))
    assert sum(isinstance(act, Install) for step in found.steps for act in step.acts) == 1


def test_a_settled_cloud_needs_nothing() -> None:
    found = plan(site(PLAIN, CLUSTER), settled(PLAIN, CLUSTER), PLAIN, CLUSTER)
    assert found.is_empty
    assert (found.waves, found.refusals, found.missing) == ((), (), ())


@pytest.mark.parametrize("system", [PLAIN, CLUSTER], ids=lambda system: system.name)
def test_running_members_are_interrupted_one_by_one_each_behind_a_gate(system: AnySystem) -> None:
    found = plan(site(system, **changed(system)), settled(system), system)
    acts = [f"write /etc/{system.name}.conf", f"restart {system.name}.service"]
    assert outline(found) == [(f"{system.name}: {host}", {host: acts}) for host in hosts(3)]
    for wave, host in zip(found.waves, hosts(3), strict=True):
        assert wave.gate is not None
        assert (wave.gate.members, wave.gate.timeout) == ((host,), system.settle)
        assert [step.disturbs for step in wave.steps] == [True]
    assert not found.refusals


def test_members_are_taken_in_the_order_of_the_cloud_file_whatever_answered_first() -> None:
    world = settled(PLAIN)
    shuffled = {host: world[host] for host in ("c3", "c1", "c2")}
    where = site(PLAIN, plain=CHANGED)
    assert plan(where, shuffled, PLAIN) == plan(where, world, PLAIN)


PLAYED: Drills[Word] = Drills(processes=lambda _spec, _site: (Process("plain", "plain.service", role="writer"),))


@pytest.mark.parametrize(("roles", "order"), [({"writer": "c1"}, ["c2", "c3", "c1"]), ({}, ["c1", "c2", "c3"])])
def test_who_plays_a_part_that_clients_would_miss_is_interrupted_last(roles: dict[str, str], order: list[str]) -> None:
    system = made("plain", drills=PLAYED, roles=lambda _spec, _site, _views: roles)
    found = plan(site(system, **changed(system)), settled(system), system)
    assert [wave.steps[0].host for wave in found.waves] == order
    assert [wave.impact.plays for wave in found.waves if wave.impact][-1] == (("writer",) if roles else ())


def test_a_system_that_crashes_over_who_plays_what_is_no_reason_not_to_plan() -> None:
    system = made("plain", drills=PLAYED, roles=crash)
    found = plan(site(system, **changed(system)), settled(system), system)
    assert "who plays which part could not be worked out" in as_text(found)
    assert [wave.steps[0].host for wave in found.waves] == ["c1", "c2", "c3"]


@pytest.mark.parametrize(
    ("states", "order"),
    [(("well", "well", "down"), ["c3", "c1", "c2"]), (("well", "down", "down"), ["c2", "c3", "c1"])],
)
def test_ill_members_are_interrupted_first_and_count_once_they_are_behind_their_gate(
    states: tuple[str, ...], order: list[str]
) -> None:
    found_there = in_place(wanted("plain"))
    world = {h: seen_as(found_there, PLAIN, plain=state) for h, state in zip(hosts(3), states, strict=True)}
    found = plan(site(PLAIN, plain=CHANGED), world, PLAIN)
    assert [step.host for step in found.steps] == order
    assert not found.refusals


AUX = Unit("aux.service")
PAIR = System(**{**CLUSTER.__dict__, "resources": lambda s, *_: (*wanted("cluster", s.word, state="formed"), AUX)})
"""A system of two units, of which one simply runs."""
PAIR_THERE = (*wanted("cluster"), AUX)


def test_who_is_started_before_the_cluster_is_formed_is_not_waited_for() -> None:
    found = plan(site(PAIR), {h: seen_as(nothing_there(PAIR_THERE), PAIR, cluster="blank") for h in hosts(3)}, PAIR)
    assert [wave.title for wave in found.waves][:3] == ["prepare", "start cluster", "form cluster: c1"]
    assert found.waves[1].gate is None


def test_what_starts_on_a_controller_that_is_interrupted_starts_in_the_same_step() -> None:
    there = {**in_place(PAIR_THERE), AUX.id: unit_seen("inactive")}
    found = plan(site(PAIR, cluster=CHANGED), {h: seen_as(there, PAIR) for h in hosts(3)}, PAIR)
    acts = ["write /etc/cluster.conf", "restart cluster.service", "start aux.service"]
    assert outline(found) == [(f"cluster: {host}", {host: acts}) for host in hosts(3)]


DONE = wanted("plain", "changed")
"""What a controller holds on which the change has been made already: nothing there is to be interrupted."""


@pytest.mark.parametrize(
    ("rule", "states", "refused"),
    [
        ("majority", ("well", "well", "well"), []),
        ("majority", ("well", "well", "down"), ["c1", "c2"]),
        ("majority", ("down", "well", "down"), ["c2"]),
        ("one", ("well", "well", "down"), []),
        ("one", ("down", "well", "down"), []),
    ],
)
def test_an_interruption_that_would_break_quorum_is_refused(rule: Any, states: Any, refused: list[str]) -> None:
    system = System(**{**PLAIN.__dict__, "quorum": rule})
    first, second, third = states
    world = {
        "c1": seen_as(in_place(wanted("plain")), system, plain=first),
        "c2": seen_as(in_place(wanted("plain")), system, plain=second),
        "c3": seen_as(in_place(DONE), system, plain=third),
    }
    found = plan(site(system, plain=CHANGED), world, system)
    assert [refusal.reason.split()[1] for refusal in found.refusals] == refused
    assert {step.host for step in found.steps} == {"c1", "c2"}, "what is refused is shown all the same"


def test_who_cannot_be_spared_now_is_interrupted_once_the_others_are_started() -> None:
    """A daemon that was there before us on one controller, say, and serves alone."""
    stock = {**in_place(wanted("plain")), "file:/etc/plain.conf": Absent()}
    world = {**fresh(PLAIN), "c1": seen_as(stock, PLAIN)}
    found = plan(site(PLAIN), world, PLAIN)
    assert not found.refusals
    assert outline(found)[1:] == [
        ("start plain", {host: ["enable and start plain.service"] for host in ("c2", "c3")}),
        ("plain: c1", {"c1": ["write /etc/plain.conf", "restart plain.service"]}),
    ]


def test_who_cannot_be_spared_now_is_interrupted_once_the_others_have_joined() -> None:
    down = {**in_place(wanted("cluster")), "unit:cluster.service": unit_seen("inactive")}
    world = {**settled(CLUSTER), "c3": seen_as(down, CLUSTER, cluster="down")}
    found = plan(site(CLUSTER, cluster=CHANGED), world, CLUSTER)
    assert not found.refusals
    assert [wave.title for wave in found.waves] == ["prepare", "form cluster: c3", "cluster: c1", "cluster: c2"]
    assert [step.host for step in found.waves[0].steps] == ["c3"]


def test_who_has_a_part_in_the_forming_is_not_put_off_until_after_it() -> None:
    several = System(**{**CLUSTER.__dict__, "form": _forms_on("c1", "c3")})
    where = site(several, cluster=CHANGED)
    down = {**in_place(wanted("cluster")), "unit:cluster.service": unit_seen("inactive")}
    world = {**settled(several), "c3": seen_as(down, several, cluster="down")}
    found = plan(where, world, several)
    assert [refusal.reason.split()[1] for refusal in found.refusals] == ["c1"]
    assert [step.host for step in found.steps if step.disturbs] == ["c2", "c1"], "what is refused is shown at the end"


def _forms_on(*chosen: str) -> Any:
    def form(_spec: Word, where: Site, _views: Any) -> Any:
        waves: Any = start_one_by_one("cluster")(Word(), where, dict.fromkeys(hosts(3), "blank"))
        return [wave for wave in waves if wave.steps[0].host in chosen]

    return form


def test_one_that_is_ill_and_still_to_be_formed_is_not_waited_for() -> None:
    running = {**in_place(wanted("cluster")), "file:/etc/cluster.conf": Absent()}
    world = {**fresh(CLUSTER), "c1": seen_as(running, CLUSTER, cluster="alone")}
    found = plan(site(CLUSTER), world, CLUSTER)
    gates = {wave.title: wave.gate is not None for wave in found.waves}
    assert gates["cluster: c1"] is False
    assert gates["form cluster: c3"] is True


def test_a_controller_that_was_not_seen_is_missing_and_counts_as_not_well() -> None:
    world: World = {**settled(CLUSTER), "c3": Unknown(why="no route to host")}
    found = plan(site(CLUSTER, cluster=CHANGED), world, CLUSTER)
    assert [(one.host, one.why) for one in found.missing] == [("c3", "no route to host")]
    assert {refusal.reason for refusal in found.refusals} == {
        "cluster may hold data where nobody looked",
        "interrupting c1 would leave 1 healthy member, 2 needed (c2 ok: well; c3 unknown: no route to host)",
        "interrupting c2 would leave 1 healthy member, 2 needed (c1 ok: well; c3 unknown: no route to host)",
    }


def test_a_controller_that_nobody_looked_at_is_missing() -> None:
    world = settled(PLAIN)
    del world["c2"]
    found = plan(site(PLAIN), world, PLAIN)
    assert [(one.host, one.why) for one in found.missing] == [("c2", "it was not looked at")]


def test_a_controller_that_is_left_out_is_not_missing_and_is_not_touched() -> None:
    world = fresh(PLAIN) | {"c3": Unknown(why="no route to host")}
    found = plan(site(PLAIN), world, PLAIN, without=("c3",))
    assert (found.missing, found.without) == ((), ("c3",))
    assert {step.host for step in found.steps} == {"c1", "c2"}


def test_a_controller_that_is_left_out_is_not_touched_though_it_was_seen() -> None:
    found = plan(site(PLAIN), fresh(PLAIN), PLAIN, without=("c1",))
    assert {step.host for step in found.steps} == {"c2", "c3"}


def test_the_wrong_operating_system_is_refused() -> None:
    world = settled(PLAIN)
    seen = world["c2"]
    assert isinstance(seen, HostSeen)
    world["c2"] = seen.model_copy(update={"os": "debian-12"})
    found = plan(site(PLAIN), world, PLAIN)
    assert [(r.system, r.reason) for r in found.refusals] == [
        ("", "c2 runs debian-12, the cloud file says os: debian-13")
    ]


def test_what_could_not_be_compared_is_refused() -> None:
    world = settled(PLAIN)
    seen = world["c2"]
    assert isinstance(seen, HostSeen)
    seen.resources["file:/etc/plain.conf"] = Unknown(why="permission denied")
    found = plan(site(PLAIN), world, PLAIN)
    assert "c2 could not be compared: file:/etc/plain.conf: permission denied" in [r.reason for r in found.refusals]


def test_a_system_that_cannot_be_formed_is_refused_with_the_evidence() -> None:
    world: World = {**fresh(CLUSTER), "c2": Unknown(why="frozen")}
    found = plan(site(CLUSTER), world, CLUSTER, without=("c2",))
    assert [(r.reason, r.evidence) for r in found.refusals] == [
        ("cluster may hold data where nobody looked", ("c2: left out by --without",))
    ]


def crash(*_: Any) -> Any:
    raise ZeroDivisionError("by zero")


def test_a_reader_that_crashes_has_seen_nothing() -> None:
    system = made(read=crash)
    views = views_of(system, site(system), settled(system))
    assert views == dict.fromkeys(hosts(3), Unknown(why="its answers could not be read: ZeroDivisionError: by zero"))


def test_a_judge_that_crashes_has_seen_nothing() -> None:
    system = made(judge=crash)
    judgement = judge(system, site(system), {})
    assert judgement.cluster.level is Level.UNKNOWN
    assert {verdict.level for verdict in judgement.members.values()} == {Level.UNKNOWN}
    assert judgement.cluster.reason == "the check itself failed: ZeroDivisionError: by zero"
    found = plan(site(system, made=CHANGED), settled(system), system)
    assert len(found.refusals) == 3, "nobody is interrupted while nobody is known to be well"


def test_a_former_that_crashes_forms_nothing() -> None:
    system = made(form=crash)
    found = plan(site(system), settled(system), system)
    assert [r.reason for r in found.refusals] == ["how to form it could not be worked out: ZeroDivisionError: by zero"]


def test_acts_of_forming_are_stamped_with_what_the_unit_will_have_loaded() -> None:
    found = plan(site(CLUSTER, cluster=CHANGED), fresh(CLUSTER), CLUSTER)
    _, conf, unit = wanted("cluster", "changed")
    assert isinstance(conf, File)
    assert isinstance(unit, Unit)
    digest = inputs_digest(unit, {conf.path: conf}, NO_SECRETS)
    units = [act for wave in found.waves if wave.system for act in wave.steps[0].acts if isinstance(act, SetUnit)]
    assert [act.inputs for act in units] == [digest] * 3


@pytest.mark.parametrize("verb", ["stop", "none"])
def test_acts_that_load_nothing_are_not_stamped(verb: Any) -> None:
    def form(*_: Any) -> Any:
        waves = start_one_by_one("cluster")(Word(), where, dict.fromkeys(hosts(3), "blank"))
        assert not isinstance(waves, Blocked)
        act = SetUnit(name="cluster.service", enabled=False, verb=verb)
        return [w.model_copy(update={"steps": (w.steps[0].model_copy(update={"acts": (act,)}),)}) for w in waves]

    system = System(**{**CLUSTER.__dict__, "form": form})
    where = site(system)
    found = plan(where, settled(system), system)
    assert [act.inputs for step in found.steps for act in step.acts if isinstance(act, SetUnit)] == ["", "", ""]


def test_a_system_says_what_a_change_means_and_a_crash_over_it_stops_nothing() -> None:
    def impact(spec: Word, _site: Site, views: dict[str, Any]) -> tuple[str, ...]:
        if spec.word == "changed":
            return (f"{len(views)} of them forget",)
        raise ValueError(spec.word)

    system = made("noted", impact=impact)
    told = plan(site(system, noted=CHANGED), settled(system), system)
    assert [(note.system, note.text) for note in told.notes] == [("noted", "3 of them forget")]
    assert told.printed().fingerprint != told.model_copy(update={"notes": ()}).printed().fingerprint
    assert "\nNOTE noted: 3 of them forget" in as_text(told)
    crashed = plan(site(system, noted=Word(word="odd")), settled(system), system)
    assert "could not be worked out: ValueError: odd" in crashed.notes[0].text
    assert crashed.waves
    assert not crashed.refusals
    assert plan(site(system), settled(system), system).notes == ()  # where nothing is done there is nothing to say


def test_only_who_is_known_to_be_well_goes_on_meanwhile() -> None:
    world = {**settled(PLAIN), "c3": Unknown(why="no route to host")}
    found = plan(site(PLAIN, **changed(PLAIN)), world, PLAIN)
    assert [wave.impact.left for wave in found.waves if wave.impact] == [1, 1]
    assert "; 1 member goes on, 1 must" in as_text(found)


def test_a_system_that_crashes_over_what_clients_notice_is_no_reason_not_to_plan() -> None:
    def reacts(_spec: Word, _site: Site, _roles: Any, _hits: Any) -> tuple[Any, ...]:
        raise ValueError("odd")

    system = made("odd", drills=Drills[Word](reacts=reacts))
    found = plan(site(system, odd=CHANGED), settled(system), system)
    assert found.waves
    assert "what interruptions do to clients could not be worked out: ValueError: odd" in found.notes[0].text
