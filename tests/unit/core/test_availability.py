"""What a year brings: held to what can be worked out by hand, and to itself by dice."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from systems_clouds import build, builtin, site

from quorate import systems
from quorate.core.availability import YEAR, Expected, Losing, expected, lost_of, measured_in, pauses, rates_of, yearly
from quorate.core.diagram import MOST_NODES
from quorate.core.findings import Campaign, CampaignRow
from quorate.core.foresight import foresee
from quorate.core.system import Site

SYSTEMS = systems.discover()


def cloud(kind: str, **more: Any) -> Site:
    return site(build(builtin(kind, {system.name: {} for system in SYSTEMS}) | more, SYSTEMS), SYSTEMS, {})


def told(made: Site, most: int = MOST_NODES) -> tuple[dict[str, Expected], dict[str, Losing]]:
    functions, losing = expected(made, SYSTEMS, foresee(made, SYSTEMS), Random(1), most=most)
    return {one.function: one for one in functions}, {one.what: one for one in losing}


def test_one_controller_is_out_as_often_as_any_of_its_parts() -> None:
    made = cloud("one")
    lost = lost_of(rates_of(made.cloud, foresee(made, SYSTEMS)))
    works = 1.0
    for part in ("controller1", "disk of controller1", "eth0 of controller1", "etcd on controller1"):
        works *= 1 - lost[part]
    assert told(made)[0]["lock"].outages == pytest.approx(YEAR * (1 - works))


def test_two_of_three_fail_as_the_textbook_says_and_data_is_lost_as_it_says() -> None:
    rates = {kind: {"mttf_hours": 1e12, "mttr_hours": 1e-3} for kind in ("controller", "process", "link")}
    made = cloud("three", failure_rates={**rates, "disk": {"mttf_hours": 999.0, "mttr_hours": 1.0}})
    functions, losing = told(made)
    chance = 1e-3
    assert functions["lock"].outages == pytest.approx(YEAR * (3 * chance**2 - 2 * chance**3), rel=1e-6)
    # The last of two that are missing: three disks, each failing once in 1000 hours while exactly one other is away.
    assert 1 / losing["locks and groups (etcd)"].years == pytest.approx(3 * YEAR / 1000 * 2 * chance * (1 - chance))
    assert 1 / losing["committed rows (galera)"].years == pytest.approx(3 * YEAR / 1000 * chance**2)


def test_a_release_that_all_share_outweighs_what_each_has_for_itself() -> None:
    shared = {"release": ["controller1", "controller2", "controller3"]}
    alone, together = told(cloud("three"))[0], told(cloud("three", failure_domains=shared))[0]
    assert together["database_write"].outages > 50 * alone["database_write"].outages
    assert together["database_write"].because[0].group == "release"
    assert together["database_write"].because[0].of_downtime > 0.95


def test_what_nobody_notices_costs_nothing_and_whoever_serves_is_any_one_of_them() -> None:
    made = cloud("three")
    found = pauses(made, SYSTEMS, foresee(made, SYSTEMS))
    assert "BMC of controller1" not in found["virtual_ip"]
    assert "lock" not in found, "no formula says how long that waits"
    seconds = found["virtual_ip"]["controller1"]
    assert seconds == pytest.approx(4.29 / 3, abs=0.01), "every third failure is the holder's"
    assert found["database_write"]["controller1"] > seconds


def test_what_drills_measured_counts_where_the_one_who_is_hit_plays_the_part() -> None:
    made = cloud("three")
    foresight = foresee(made, SYSTEMS)
    rows = [("power-cut", 2.1, 0), ("database-killed", 1.5, 0), ("proxy-killed", 9.0, 1)]
    measured = measured_in(
        Campaign(
            cloud="lab",
            runs=1,
            lost=0,
            two_holders=0,
            predictions=0,
            predictions_held=0,
            rows=tuple(
                CampaignRow(
                    drill=drill,
                    function="virtual_ip",
                    objective_s=None,
                    predicted_s=None,
                    measured_s=(seconds,),
                    unseen=unseen,
                    held=True,
                )
                for drill, seconds, unseen in rows
            ),
        )
    )
    told, found = pauses(made, SYSTEMS, foresight), pauses(made, SYSTEMS, foresight, measured)
    assert found["virtual_ip"]["controller1"] == found["virtual_ip"]["disk of controller2"] == pytest.approx(2.1 / 3)
    assert found["virtual_ip"]["mariadb on controller3"] == pytest.approx(1.5 / 3)
    assert found["virtual_ip"]["haproxy on controller1"] == told["virtual_ip"]["haproxy on controller1"]
    assert found["database_write"] == told["database_write"]


def test_a_failure_that_stops_a_function_is_no_takeover() -> None:
    made = cloud("three", failure_domains={"large": ["controller1", "controller2"], "small": ["controller3"]})
    found = pauses(made, SYSTEMS, foresee(made, SYSTEMS))
    assert "large" not in found["database_write"]
    assert found["database_write"]["small"] == found["database_write"]["controller3"]


def test_dice_say_what_the_diagram_says() -> None:
    made = cloud("three", failure_rates={"process": {"mttf_hours": 50.0, "mttr_hours": 5.0}})
    exact, diced = told(made)[0], told(made, most=100)[0]
    for name, one in diced.items():
        assert one.bounds is not None
        assert one.bounds[0] <= exact[name].outages <= one.bounds[1]
        assert exact[name].bounds is None
    assert diced["lock"].because[0].group == exact["lock"].because[0].group == "etcd.service"


def test_a_part_is_away_as_long_as_it_is_mended() -> None:
    made = cloud("three")
    rate = rates_of(made.cloud, foresee(made, SYSTEMS))["controller1"]
    assert yearly(rate) * rate.mttr_hours == pytest.approx(YEAR * lost_of({"x": rate})["x"])
