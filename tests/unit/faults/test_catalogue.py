from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from quorate.core.drill import Process
from quorate.core.fault import MACHINE, AwaitWell, Fault, Hit, Loss, OnGround, OnHost, Step
from quorate.errors import InvalidInput
from quorate.faults import Offer, Settings, catalogue, process
from worlds.clouds import site
from worlds.drilled import EVERY_ACT, ROLES, drilled
from worlds.systems import made

KINDS = {
    *("power-cut", "machine-frozen", "reboot", "cable-pulled", "silent-cut", "standby", "all-at-once"),
    *("partition-halves", "partition-minority", "partition-bridge", "partition-ring", "one-way-out", "one-way-in"),
    *("web-killed", "web-frozen", "web-stopped", "web-port-deaf", "quiet-killed", "quiet-frozen", "quiet-stopped"),
    *("disk-full", "clock-moved", "memory-pressure", "rolling-restart"),
}
LOSSES = {
    "power-cut": Loss.SILENT,
    "machine-frozen": Loss.SILENT,
    "cable-pulled": Loss.SILENT,
    "silent-cut": Loss.SILENT,
    "reboot": Loss.DRAINED,
    "standby": Loss.DRAINED,
    "web-killed": Loss.REFUSED,
    "web-frozen": Loss.HUNG,
    "web-stopped": Loss.DRAINED,
    "web-port-deaf": Loss.SILENT,
    "disk-full": Loss.HUNG,
}
RULED = [kind for kind in sorted(KINDS) if kind.startswith(("partition", "one-way"))]


def offers(count: int = 3, *, ground: bool = True, settings: Settings | None = None) -> dict[str, Offer]:
    there, systems = drilled(count)
    roles = {part: host for part, host in ROLES.items() if host in there.cloud.names}
    acts = EVERY_ACT if ground else frozenset()
    return dict(catalogue(there, systems, roles, acts, settings or Settings()))


def hosts(steps: tuple[Step, ...]) -> set[str]:
    return {step.host for step in steps if isinstance(step, OnHost)}


def test_every_kind_is_there_and_says_what_it_does() -> None:
    found = offers()
    assert set(found) == KINDS
    assert all(offer.kind == kind == offer.on().kind for kind, offer in found.items())
    assert all(offer.summary and offer.on().summary for offer in found.values())


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("ground", [True, False])
def test_what_is_done_is_undone_and_proved(kind: str, ground: bool) -> None:
    fault = offers(ground=ground)[kind].on("c1")
    if fault.unsupported or kind in {"rolling-restart", "standby"}:
        return
    assert bool(fault.proof) == bool(hosts(fault.inject))
    assert hosts(fault.inject) == hosts(fault.heal)
    assert hosts(fault.set_up) == hosts(fault.tear_down)
    assert (fault.lapse > 0) == bool(hosts(fault.inject))
    assert fault.hold > 0


@pytest.mark.parametrize(("kind", "loss"), LOSSES.items())
def test_how_it_is_lost(kind: str, loss: Loss) -> None:
    part = "web" if kind.startswith(("web", "disk", "standby")) else "machine"
    fault = offers()[kind].on("c1")
    assert fault.hits == (Hit("c1", part, loss, lasts=12.0 if kind.endswith("stopped") else 0.0),)
    assert fault.lost == 1


def test_how_many_are_lost() -> None:
    lost = {kind: offer.on().lost for kind, offer in offers().items()}
    assert {kind for kind, number in lost.items() if number > 1} == {"all-at-once", "partition-ring"}
    assert {kind for kind, number in lost.items() if number == 0} == {"clock-moved", "memory-pressure"}
    assert lost["all-at-once"] == 3


def test_whom_it_hits_where_nobody_says_whom() -> None:
    found = offers()
    assert found["power-cut"].on().hosts == ("c2",)  # holds the virtual IP
    assert found["web-killed"].on().hosts == ("c3",)  # serves
    assert found["disk-full"].on().hosts == ("c3",)
    assert found["quiet-killed"].on().hosts == ("c1",)  # any
    assert found["partition-minority"].on().hosts == ("c2",)


def test_a_target_is_a_controller_or_a_part() -> None:
    found = offers()
    assert found["power-cut"].on("c1").hosts == ("c1",)
    assert found["power-cut"].on("serving").hosts == ("c3",)
    with pytest.raises(InvalidInput, match="'nobody' is no controller") as error:
        found["power-cut"].on("nobody")
    assert "c1, c2, c3" in error.value.hint
    assert "serving, virtual-ip" in error.value.hint


def test_a_place_without_ground_acts_uses_what_machines_can_do_themselves() -> None:
    found = offers(ground=False)
    unsupported = {kind: offer.on().unsupported for kind, offer in found.items() if offer.on().unsupported}
    assert set(unsupported) == {"power-cut", "machine-frozen", "all-at-once"}
    assert "freeze" in unsupported["machine-frozen"]
    for kind in ("cable-pulled", "silent-cut", "reboot"):
        assert not any(isinstance(step, OnGround) for step in (*found[kind].on().inject, *found[kind].on().heal))


def test_a_place_with_ground_acts_uses_them() -> None:
    found = offers()
    acts = {kind: [step.act for step in found[kind].on().inject if isinstance(step, OnGround)] for kind in found}
    assert acts["cable-pulled"] == ["unplug"]
    assert acts["silent-cut"] == ["cut"]
    assert acts["all-at-once"] == ["power-off"]
    assert found["all-at-once"].on().inject == (OnGround("power-off", ("c1", "c2", "c3")),)


def test_what_no_system_offers_is_not_there_or_says_why() -> None:
    there = site(made("plain"))
    found = catalogue(there, (made("plain"),), {}, EVERY_ACT)
    assert "disk-full" not in found
    assert "out of the way" in found["standby"].on().unsupported
    assert found["rolling-restart"].on().unsupported


def test_a_second_folder_has_a_name_of_its_own() -> None:
    one, two = drilled()
    assert {"disk-full", "disk-full-web"} <= set(catalogue(one, (*two, *two), {}, EVERY_ACT))


@pytest.mark.parametrize("kind", RULED)
def test_a_partition_is_told_by_who_drops_whom(kind: str) -> None:
    fault = offers()[kind].on("c2")
    assert " drops " in fault.summary
    assert re.search(r"c\d drops c\d", fault.summary)


def test_rolling_waits_after_every_controller() -> None:
    fault = offers()["rolling-restart"].on()
    assert [type(step) for step in fault.inject] == [OnHost, AwaitWell] * 3
    assert [step.host for step in fault.inject if isinstance(step, OnHost)] == ["c1", "c2", "c3"]
    assert fault.inject[0].argv == ("systemctl", "restart", "web.service", "quiet.service")  # type: ignore[union-attr]


def test_settings_reach_what_they_are_for() -> None:
    found = offers(settings=Settings(hold=5.0, slack=7.0, clock=-30.0, memory=99))
    assert (found["web-frozen"].on().hold, found["web-frozen"].on().lapse) == (5.0, 12.0)
    assert "moved back by 30 s" in found["clock-moved"].on().summary
    assert "99 MiB" in found["memory-pressure"].on().summary


def test_a_cloud_of_one() -> None:
    found = offers(1, ground=False)
    assert found["partition-halves"].on().inject == ()
    assert "there is only one" in found["partition-halves"].on().summary
    assert found["silent-cut"].on().proof == ()


def test_a_cut_off_host_mends_itself_when_its_time_is_over() -> None:
    fault: Fault = offers(ground=False)["silent-cut"].on()
    assert fault.lapse == fault.hold


@pytest.mark.parametrize(("act", "whole"), [(process.killed, True), (process.frozen, True), (process.stopped, False)])
def test_whose_loss_costs_a_controller_its_power_takes_the_controller(
    act: Callable[[Process, str, float], Fault], whole: bool
) -> None:
    hits = act(Process("membership", "corosync.service", fenced=frozenset({Loss.REFUSED, Loss.HUNG})), "one", 1.0).hits
    assert (Hit("one", MACHINE, Loss.FENCED) in hits) is whole
    assert {hit.part for hit in act(Process("web", "web.service"), "one", 1.0).hits} == {"web"}
