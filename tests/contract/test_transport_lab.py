"""Packages and units, for real: a machine of the lab with systemd, apt and a kernel's own view of its files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import transport_lab
from transport_ways import ElsewhereOverSsh, Way

from quorate.core.act import Install, Run, SetUnit, WriteFile
from quorate.core.observed import Absent, HostSeen, PackageSeen, Stamp, UnitSeen
from quorate.core.resource import Package, Unit
from quorate.transport.request import observe_request, read_observed

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]  # the first of all builds an image

NAME = "quorate-test.service"
PATH = f"/etc/systemd/system/{NAME}"
BODY = "[Service]\nExecStart=/bin/sleep {seconds}\n[Install]\nWantedBy=multi-user.target\n"
FAILS = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo it does not like its configuration; exit 7'\n"


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    machine = transport_lab.lab_machine()
    door = ElsewhereOverSsh(machine.ssh)
    found = Way("lab", machine.transport(), door)
    await found.lease("acquire")
    yield found
    undo = f"systemctl stop {NAME}; rm -f {PATH} /var/lib/quorate/stamps/*; systemctl daemon-reload"
    door.shell(f"{undo}; systemctl reset-failed")
    await found.lease("release")
    await found.transport.close()


def unit_file(body: str) -> WriteFile:
    return WriteFile(path=PATH, content=body, mode=0o644, owner="root", group="root")


async def seen(way: Way, name: str = NAME) -> UnitSeen | Absent:
    one = (await way.observe(Unit(name))).resources[f"unit:{name}"]
    assert isinstance(one, UnitSeen | Absent)
    return one


async def test_a_units_life(way: Way) -> None:
    assert await seen(way) == Absent()
    before = time.time()
    start = SetUnit(name=NAME, enabled=True, verb="start", inputs="digest-1")
    results = await way.done(unit_file(BODY.format(seconds=1000)), start)
    assert [one.ok for one in results] == [True, True]
    started = await seen(way)
    assert isinstance(started, UnitSeen)
    assert (started.active, started.enabled) == ("active", "enabled")
    assert started.stamp == Stamp(inputs="digest-1", invocation=started.invocation)
    assert before - 2 < started.started < time.time() + 2

    await way.done(SetUnit(name=NAME, verb="start", inputs="digest-of-what-it-never-loaded"))
    assert await seen(way) == started

    await way.done(unit_file(BODY.format(seconds=2000)), SetUnit(name=NAME, verb="restart", inputs="digest-2"))
    again = await seen(way)
    assert isinstance(again, UnitSeen)
    assert again.started > started.started
    assert again.invocation != started.invocation
    assert again.stamp == Stamp(inputs="digest-2", invocation=again.invocation)
    assert "sleep 2000" in (await way.run("systemctl", "status", NAME)).out.decode()

    await way.done(SetUnit(name=NAME, enabled=False, verb="stop"))
    stopped = await seen(way)
    assert isinstance(stopped, UnitSeen)
    assert (stopped.active, stopped.enabled) == ("inactive", "disabled")


async def test_a_unit_that_does_not_start_says_why(way: Way) -> None:
    results = await way.done(unit_file(FAILS), SetUnit(name=NAME, verb="start", inputs="digest"))
    assert not results[1].ok
    assert "it does not like its configuration" in results[1].note
    failed = await seen(way)
    assert isinstance(failed, UnitSeen)
    assert (failed.active, failed.stamp) == ("failed", None)


async def test_a_start_that_takes_too_long_fails(way: Way) -> None:
    slow = "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n"
    results = await way.done(unit_file(slow), SetUnit(name=NAME, verb="start", timeout=0.5))
    assert "did not end within 0.5 s" in results[1].note


async def test_a_unit_file_that_systemd_was_never_told_of_is_loaded_before_the_start(way: Way) -> None:
    await way.done(unit_file(BODY.format(seconds=1000)), SetUnit(name=NAME, verb="start"))
    interrupted = Run(title="cut", argv=("sed", "-i", "s/1000/3000/", PATH))  # as if cut off before daemon-reload
    await way.done(interrupted, SetUnit(name=NAME, verb="restart"))
    assert "sleep 3000" in (await way.run("systemctl", "status", NAME)).out.decode()


async def test_units_that_are_not_there(way: Way) -> None:
    assert await seen(way, "no-such.service") == Absent()
    assert [one.ok for one in await way.done(SetUnit(name="no-such.service", enabled=False, verb="stop"))] == [True]
    (result,) = await way.done(SetUnit(name="no-such.service", verb="start"))
    assert "no-such.service not found" in result.note
    strange = await way.observe(Unit("template@.service"), Unit("ssh"), Unit("sshd.service"))
    assert strange.resources["unit:ssh"].seen == strange.resources["unit:sshd.service"].seen == "unit"
    assert strange.resources["unit:template@.service"].seen in {"unknown", "absent"}


async def test_a_package_is_installed_and_nothing_starts(way: Way) -> None:
    assert (await way.observe(Package("hello"))).resources["package:hello"] == Absent()
    policy = "ls -l /usr/sbin/policy-rc.d 2>&1; cat /usr/sbin/policy-rc.d 2>&1"
    before = await way.run("sh", "-c", policy)
    (result,) = await way.done(Install(packages=("hello",), preseed=("hello hello/none string x",)))
    assert result.ok, result.note
    assert isinstance((await way.observe(Package("hello"))).resources["package:hello"], PackageSeen)
    assert (await way.run("sh", "-c", policy)).out == before.out
    assert (await way.done(Install(packages=("hello",))))[0].ok
    await way.run("dpkg", "--purge", "hello")


async def test_looking_at_all_of_a_controller_is_fast(way: Way) -> None:
    units = ["ssh.service", "mariadb.service", "haproxy.service", "rabbitmq-server.service", "memcached.service"]
    packages = ["mariadb-server", "haproxy", "rabbitmq-server", "memcached", "corosync", "pacemaker", "no-such"]
    request = observe_request([*map(Unit, units), *map(Package, packages)], {})
    first = await way.transport.run(request.argv, request.stdin, timeout=20)
    began = time.monotonic()
    await way.transport.run(request.argv, request.stdin, timeout=20)
    assert time.monotonic() - began < 2.0  # 0.1 s where nothing else is running
    look: HostSeen = read_observed("c1", first)
    assert look.os == "debian-13"
    assert not [one for one in look.resources.values() if one.seen == "unknown"]
