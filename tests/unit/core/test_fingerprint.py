from __future__ import annotations

from typing import Any

from quorate.core.observed import Answer, HostSeen, PathSeen, UnitSeen, Unknown, World
from quorate.core.plan import Plan
from quorate.core.planner import make_plan
from quorate.core.resource import File
from quorate.core.review import review, with_drift
from quorate.core.system import AnySystem, Site, site_of
from quorate.core.verdict import Level
from worlds.clouds import NO_SECRETS, cloud, site, stamp
from worlds.systems import Word, fresh, made, settled

PLAIN = made("plain")
CHANGED: Any = Word(word="changed")


def plan(where: Site, world: World, *systems: AnySystem, made: str = "2026-01-31T12:00:00", **more: Any) -> Plan:
    return make_plan(where, systems, NO_SECRETS, world, made=made, **more)


def changed_file(world: dict[str, HostSeen | Unknown], **how: Any) -> dict[str, HostSeen | Unknown]:
    seen = world["c2"]
    assert isinstance(seen, HostSeen)
    conf = seen.resources["file:/etc/plain.conf"]
    assert isinstance(conf, PathSeen)
    resources = {**seen.resources, "file:/etc/plain.conf": conf.model_copy(update=how)}
    return {**world, "c2": seen.model_copy(update={"resources": resources})}


def test_the_same_world_gives_the_same_print() -> None:
    where, world = site(PLAIN), fresh(PLAIN)
    first = plan(where, world, PLAIN)
    later = plan(where, changed_times(world), PLAIN, made="2031-01-31T12:00:00")
    assert first.fingerprint == later.fingerprint
    assert first.fingerprint == first.printed().fingerprint
    assert Plan.model_validate_json(first.model_dump_json()) == first


def changed_times(world: dict[str, HostSeen | Unknown]) -> dict[str, HostSeen | Unknown]:
    """The same world an hour and a reboot later."""
    later: dict[str, HostSeen | Unknown] = {}
    for host, seen in world.items():
        assert isinstance(seen, HostSeen)
        resources = {
            name: value.model_copy(update={"invocation": "i9", "started": 9e9, "stamp": stamp("x", "i9")})
            if isinstance(value, UnitSeen)
            else value.model_copy(update={"mtime": 3.0})
            if isinstance(value, PathSeen)
            else value
            for name, value in seen.resources.items()
        }
        answers = {"plain": {"state": Answer(code=0, out="well", err="took 3 ms")}}
        later[host] = seen.model_copy(update={"resources": resources, "answers": answers})
    return later


def test_the_same_settled_world_gives_the_same_print() -> None:
    where, world = site(PLAIN), settled(PLAIN)
    assert plan(where, world, PLAIN).fingerprint == plan(where, changed_times(world), PLAIN).fingerprint


def test_every_change_that_matters_changes_the_print() -> None:
    world = settled(PLAIN)
    base = site(PLAIN)
    prints = {
        "as it was": plan(base, world, PLAIN),
        "a managed file's content": plan(base, changed_file(world, sha256="0" * 64, text="x"), PLAIN),
        "a managed file's mode": plan(base, changed_file(world, mode=0o600), PLAIN),
        "a system's section": plan(site(PLAIN, plain=CHANGED), world, PLAIN),
        "another controller's address": plan(site_of(_moved(), (PLAIN,)), world, PLAIN),
        "a controller went missing": plan(base, {**world, "c3": Unknown(why="gone")}, PLAIN),
        "a controller is left out": plan(base, world, PLAIN, without=("c3",)),
        "it is only for one system": plan(base, world, PLAIN, only=("plain",)),
    }
    assert len({found.fingerprint for found in prints.values()}) == len(prints)


def _moved() -> Any:
    made_cloud = cloud(3, plain=Word())
    return made_cloud.model_copy(update={"controllers": {**made_cloud.controllers, "c3": cloud(5).controllers["c5"]}})


def test_what_differs_from_the_cloud_file_is_not_well() -> None:
    world = changed_file(settled(PLAIN), sha256="0" * 64, text="  word = calm\n")
    (found,) = review(site(PLAIN), (PLAIN,), NO_SECRETS, world)
    judgement = with_drift(found)
    assert judgement.members["c1"].is_ok
    assert judgement.members["c2"].level is Level.FAILING
    assert judgement.members["c2"].reason == "differs from the cloud file: /etc/plain.conf, restart plain.service"


def test_a_line_of_a_diff_is_not_taken_for_a_thing_that_differs() -> None:
    system = made("plain", resources=lambda *_: (File("/etc/plain.conf", "  indented\n~ tilde\n"),))
    (found,) = review(site(system), (system,), NO_SECRETS, settled(system))
    assert with_drift(found).members["c1"].reason == "differs from the cloud file: /etc/plain.conf"


def test_what_could_not_be_compared_is_unknown() -> None:
    world = settled(PLAIN)
    seen = world["c2"]
    assert isinstance(seen, HostSeen)
    seen.resources["package:plain"] = Unknown(why="dpkg-query: timeout")
    (found,) = review(site(PLAIN), (PLAIN,), NO_SECRETS, world)
    assert with_drift(found).members["c2"].level is Level.UNKNOWN
    assert with_drift(found).members["c2"].reason == "could not be compared: package:plain: dpkg-query: timeout"


def test_a_plan_for_one_system_does_not_rest_on_the_files_of_others() -> None:
    other = made("other")
    where, world = site(PLAIN, other), settled(PLAIN, other)
    before = plan(where, world, PLAIN, other, only=("other",)), plan(where, world, PLAIN, other, only=("plain",))
    world = changed_file(world, mode=0o600)
    after = plan(where, world, PLAIN, other, only=("other",)), plan(where, world, PLAIN, other, only=("plain",))
    assert [a.fingerprint == b.fingerprint for a, b in zip(before, after, strict=True)] == [True, False]
