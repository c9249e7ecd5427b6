"""A schedule is a pure function of its seed, and stays within what the guarantee covers."""

from __future__ import annotations

from collections import Counter

import pytest

from real.truth import scenarios, schedule
from real.truth.schedule import CALM, CONTROLLERS, UNDO, Event, Link, Schedule
from real.truth.world import rules

SEEDS = range(1, 301)
SCHEDULES = [*(schedule.make(seed) for seed in SEEDS), *map(scenarios.plan, scenarios.SCENARIOS)]


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert schedule.make(7) == schedule.make(7)
    assert schedule.make(7) != schedule.make(8)


@pytest.mark.parametrize("role", ["server", "balancer"])
def test_one_of_a_role_is_out_at_a_time(role: schedule.Role) -> None:
    assert {schedule.worst(plan, role) for plan in SCHEDULES} <= {0, 1}


def test_a_plan_is_a_seed_or_a_scenario() -> None:
    assert scenarios.plan("7") == schedule.make(7)
    assert scenarios.plan("blips").style == "blips"


def test_the_worst_moment_is_found() -> None:
    events = (Event(1, "freeze", "server", 0), Event(2, "cut", "server", 1), Event(3, "thaw", "server", 0))
    assert schedule.worst(Schedule(1, "by hand", events, 5, 6), "server") == 2


@pytest.mark.parametrize("plan", SCHEDULES, ids=lambda plan: f"{plan.style}-{plan.seed}")
def test_every_fault_is_undone_in_order(plan: Schedule) -> None:
    open_faults: dict[tuple[str, int], Event] = {}
    last = 0.0
    for event in plan.events:
        assert last <= event.at <= plan.end
        last = event.at
        subject = (event.role, event.index)
        if event.act in UNDO:
            assert subject not in open_faults
            open_faults[subject] = event
        else:
            begun = open_faults.pop(subject)
            assert UNDO[begun.act] == event.act
            assert begun.links == event.links
    assert open_faults == {}


def test_memory_of_one_server_is_lost_where_balancers_die() -> None:
    for plan in SCHEDULES:
        killed = {(event.role, event.index) for event in plan.events if event.act == "kill"}
        if any(role == "balancer" for role, _ in killed):
            assert sum(role == "server" for role, _ in killed) <= 1


def test_links_of_a_cut_belong_to_what_is_out() -> None:
    for plan in SCHEDULES:
        for event in plan.events:
            own = {link.server if event.role == "server" else link.balancer for link in event.links}
            assert own == ({event.index} if event.act in {"cut", "heal"} else set())


def test_every_kind_of_fault_occurs() -> None:
    seen = Counter((event.role, event.act) for plan in SCHEDULES for event in plan.events)
    every = {(role, act) for role in ("server", "balancer") for pair in UNDO.items() for act in pair}
    assert set(seen) == every - {("balancer", "stall"), ("balancer", "resume")}
    ways = {frozenset(link.way for link in event.links) for plan in SCHEDULES for event in plan.events if event.links}
    assert ways == {frozenset({"to", "from"}), frozenset({"to"}), frozenset({"from"})}


def test_the_calm_schedule_has_no_fault() -> None:
    assert schedule.make(CALM).events == ()


def test_packets_are_dropped_where_they_come_in() -> None:
    links = [Link(0, 1, "to"), Link(0, 1, "from")]
    drops = [[line for line in rules(number, links).splitlines() if "drop" in line] for number in range(CONTROLLERS)]
    assert drops == [
        ["ip saddr 10.99.0.12 tcp sport 11211 drop"],
        ["ip saddr 10.99.0.11 tcp dport 11211 drop"],
        [],
    ]
