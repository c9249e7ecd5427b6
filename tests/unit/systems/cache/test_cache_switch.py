"""A switch of the engine, as a plan: what it does, in which order, and what it says of the cache."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quorate.core.observed import Absent, Answer, HostSeen, Seen, UnitSeen
from quorate.core.plan import Plan
from quorate.core.planner import make_plan
from quorate.core.resource import File, Unit
from quorate.core.secret import Secrets
from quorate.core.system import site_of
from quorate.systems.cache import SYSTEM as CACHE
from quorate.systems.cache.config import PROXIES, CacheSpec
from quorate.systems.cache.engines import BALANCER, CONFIGS, UNITS
from quorate.systems.memcached import SYSTEM as MEMCACHED
from worlds.clouds import cloud, file_seen, in_place, unit_seen

NO_SECRETS = Secrets({})
SYSTEMS = (CACHE, MEMCACHED)
BALANCER_SAYS = "".join(f"STAT c{n}:state up\r\nSTAT c{n}:reason answers\r\nSTAT c{n}:mark .\r\n" for n in (1, 2, 3))


def spec(section: dict[str, Any]) -> CacheSpec:
    return CacheSpec.model_validate(section)


def answers(engine: str, texts: dict[str, str], places: tuple[str, ...]) -> dict[str, Any]:
    """Say what a controller with this engine says."""
    said: dict[str, Any] = {"gets": {place: {"reply": "END\r\n"} for place in places}}
    refused = {"error": "refused"}
    ejected = {f"c{n}": {"server_ejected_at": 0} for n in (1, 2, 3)}
    stats = json.dumps({"version": "0.5.0", "timestamp": 1, "cache": ejected})
    said |= {
        "balancer": {"quorate": {"reply": f"{BALANCER_SAYS}END\r\n"}, "twemproxy": {"reply": ""}}.get(
            engine, {"reply": "ERROR\r\n"}
        ),
        "version": {"reply": "VERSION 1.6.38\r\n"},
        "twemproxy": {"reply": stats} if engine == "twemproxy" else refused,
    }
    looked = {"active": [UNITS[engine]] if engine in UNITS else [], "texts": texts}
    return {"answers": Answer(code=0, out=json.dumps(said)), "engine": Answer(code=0, out=json.dumps(looked))}


def seen(host: str, before: dict[str, Any], after: dict[str, Any]) -> HostSeen:
    """See a controller on which `before` was applied and all is well, as `after` looks at it."""
    old, new = (site_of(cloud(memcached=MEMCACHED.spec(), cache=spec(s)), SYSTEMS) for s in (before, after))
    engine = spec(before).engine
    had = list(CACHE.resources(spec(before), old, host))
    known = in_place([*had, *MEMCACHED.resources(MEMCACHED.spec(), new, host)])
    resources: dict[str, Seen] = {r.id: known.get(r.id, Absent()) for r in CACHE.resources(spec(after), new, host)}
    resources |= known
    texts = {r.path: r.content for r in had if isinstance(r, File) and r.path != BALANCER}
    said = {
        "cache": answers(engine, texts, new.endpoint("cache").places),
        "memcached": {"stats": Answer(code=0, out="STAT version 1.6.38\nEND\n")},
    }
    return HostSeen.model_validate({"os": "debian-13", "resources": resources, "answers": said})


def switch(before: dict[str, Any], after: dict[str, Any]) -> Plan:
    site = site_of(cloud(memcached=MEMCACHED.spec(), cache=spec(after)), SYSTEMS)
    world = {host: seen(host, before, after) for host in site.cloud.names}
    return make_plan(site, SYSTEMS, NO_SECRETS, world, made="now")


@pytest.mark.parametrize("after", PROXIES)
@pytest.mark.parametrize("before", PROXIES)
def test_controllers_change_one_by_one_and_each_stops_the_old_before_it_starts_the_new(before: str, after: str) -> None:
    plan = switch({"engine": before}, {"engine": after})
    assert not plan.refusals
    if before == after:
        assert plan.is_empty
        assert not plan.notes
        return
    assert [[step.host for step in wave.steps] for wave in plan.waves] == [["c1"], ["c2"], ["c3"]]
    for wave in plan.waves:
        assert wave.gate is not None
        (step,) = wave.steps
        acts = [str(act) for act in step.acts]
        stop, start = f"disable and stop {UNITS[before]}", f"enable and start {UNITS[after]}"  # type: ignore[index]
        assert acts[-2:] == [stop, start]
        assert step.disturbs


@pytest.mark.parametrize("after", ["direct", "localhost"])
def test_without_a_daemon_the_old_one_is_stopped(after: str) -> None:
    plan = switch({"engine": "twemproxy"}, {"engine": after})
    assert [str(step.acts[-1]) for step in plan.steps] == ["disable and stop nutcracker.service"] * 3


def test_from_direct_all_start_at_once() -> None:
    plan = switch({"engine": "direct"}, {})
    assert [wave.title for wave in plan.waves] == ["prepare", "start cache"]


KETAMA: dict[str, Any] = {"quorate": {"ring": {"kind": "ketama"}}}
ONE_KETAMA: dict[str, Any] = {"quorate": {"copies": 1, "ring": {"kind": "ketama"}}}
ONE: dict[str, Any] = {"quorate": {"copies": 1}}
LOST, WARM = "emptied in effect of ", "kept warm: every key is found where it was"
MEANWHILE = "; until all controllers have changed, one may not see what another changed"
LEFT = "; who changes back before the values that stay behind have expired finds them again"
NOTES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "another ring": ({"engine": "twemproxy"}, {}, f"twemproxy → quorate: {LOST}3", MEANWHILE + LEFT),
    "another ring, one copy": ({"engine": "twemproxy"}, ONE, f"twemproxy → quorate: {LOST}6", MEANWHILE + LEFT),
    "the same ring": ({"engine": "twemproxy"}, ONE_KETAMA, f"twemproxy → quorate: {WARM}", ""),
    "and back": (ONE_KETAMA, {"engine": "twemproxy"}, f"quorate → twemproxy: {WARM}", ""),
    "the same ring, more copies": ({"engine": "twemproxy"}, KETAMA, f"twemproxy → quorate: {WARM}", MEANWHILE),
    # Two of three servers and two of three always have one in common.
    "the ring alone": ({}, {"quorate": {"ring": {"kind": "modula"}}}, f"quorate: {WARM}", MEANWHILE + LEFT),
    "more copies": (ONE, {}, f"quorate: {WARM}", MEANWHILE),
    "fewer copies": ({}, ONE, f"quorate: {WARM}", MEANWHILE + LEFT),
    "services spread as python-memcached does": (
        {"engine": "direct"},
        {"quorate": {"copies": 1, "ring": {"kind": "python-memcached"}}},
        f"direct → quorate: {WARM}",
        "",
    ),
    "each its own": ({"engine": "localhost"}, {"engine": "twemproxy"}, f"localhost → twemproxy: {LOST}6", LEFT),
    "to services": ({}, {"engine": "direct"}, f"quorate → direct: {LOST}3", LEFT),
    "a ring that is not known here": (
        {"engine": "memcached-proxy"},
        ONE,
        f"memcached-proxy → quorate: {LOST}about 67",
        LEFT,
    ),
    "a ring that is not known here, two copies": ({}, {"engine": "memcached-proxy"}, f"proxy: {LOST}about 33 %", LEFT),
    "all servers hold all keys": (
        {"quorate": {"copies": 3}},
        {"engine": "memcached-proxy"},
        f"quorate → memcached-proxy: {WARM}",
        MEANWHILE + LEFT,
    ),
}


@pytest.mark.parametrize(("before", "after", "begins", "ends"), NOTES.values(), ids=NOTES)
def test_the_plan_says_what_it_does_to_the_cache(
    before: dict[str, Any], after: dict[str, Any], begins: str, ends: str
) -> None:
    plan = switch(before, after)
    assert plan.waves
    assert [one.system for one in plan.notes] == ["cache"]
    text = plan.notes[0].text
    assert begins in text
    assert text.endswith(ends)
    assert (WARM in text) == (WARM in begins)
    assert ("stay behind" in text, "until all" in text) == (LEFT in ends, bool(ends))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"quorate": {"timing": {"probe": 200}}}),
        ({"engine": "twemproxy"}, {"engine": "twemproxy", "twemproxy": {"timeout_ms": 300}}),
        ({"engine": "memcached-proxy"}, {"engine": "memcached-proxy", "memcached_proxy": {"timeout_ms": 300}}),
    ],
)
def test_what_moves_no_key_needs_no_note(before: dict[str, Any], after: dict[str, Any]) -> None:
    plan = switch(before, after)
    assert plan.waves
    assert not plan.notes


def test_controllers_that_have_changed_already_are_not_counted() -> None:
    site = site_of(cloud(memcached=MEMCACHED.spec(), cache=spec({})), SYSTEMS)
    world = {host: seen(host, {} if host == "c1" else {"engine": "twemproxy"}, {}) for host in site.cloud.names}
    (note,) = make_plan(site, SYSTEMS, NO_SECRETS, world, made="now").notes
    assert note.text.startswith(f"twemproxy → quorate on c2, c3: {LOST}3")


def test_a_text_that_nobody_understands_counts_as_another_ring() -> None:
    site = site_of(cloud(memcached=MEMCACHED.spec(), cache=spec({})), SYSTEMS)
    world = {host: seen(host, {"engine": "twemproxy"}, {}) for host in site.cloud.names}
    said = answers("twemproxy", {CONFIGS["twemproxy"]: "- what?"}, ("127.0.0.1:22122",))
    world["c2"].answers["cache"].update(said)
    plan = make_plan(site, SYSTEMS, NO_SECRETS, world, made="now")
    assert "about " in plan.notes[0].text


def test_a_configuration_is_reloaded_and_a_unit_file_restarts() -> None:
    def verbs(**section: Any) -> list[str]:
        return [str(step.acts[-1]) for step in switch({}, {"quorate": section}).steps]

    assert verbs(timing={"probe": 200}) == ["reload quorate-balancer.service"] * 3
    assert verbs(memory_mb=1024) == ["restart quorate-balancer.service"] * 3


def test_a_new_program_is_reloaded() -> None:
    site = site_of(cloud(memcached=MEMCACHED.spec(), cache=spec({})), SYSTEMS)
    world = {host: seen(host, {}, {}) for host in site.cloud.names}
    assert make_plan(site, SYSTEMS, NO_SECRETS, world, made="now").is_empty
    resources = CACHE.resources(spec({}), site, "c2")
    program = next(r for r in resources if isinstance(r, File) and r.path == BALANCER)
    world["c2"].resources[program.id] = file_seen(program, text="#!/usr/bin/python3\n", mode=0o755)
    plan = make_plan(site, SYSTEMS, NO_SECRETS, world, made="now")
    assert [str(act) for step in plan.steps for act in step.acts] == [
        f"write {BALANCER}",
        "reload quorate-balancer.service",
    ]


def test_what_was_stopped_by_hand_starts_again() -> None:
    site = site_of(cloud(memcached=MEMCACHED.spec(), cache=spec({})), SYSTEMS)
    world = {host: seen(host, {}, {}) for host in site.cloud.names}
    unit = next(r for r in CACHE.resources(spec({}), site, "c1") if isinstance(r, Unit) and r.state == "running")
    assert isinstance(world["c1"].resources[unit.id], UnitSeen)
    world["c1"].resources[unit.id] = unit_seen("failed")
    plan = make_plan(site, SYSTEMS, NO_SECRETS, world, made="now")
    assert [str(act) for step in plan.steps for act in step.acts] == ["start quorate-balancer.service"]
