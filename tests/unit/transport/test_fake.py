"""The fake's own means: making a machine fail in the middle of things, at a moment that the test chooses."""

from __future__ import annotations

import asyncio

import pytest

from quorate.core.act import Act, Install, Run, SetUnit, WriteFile
from quorate.core.observed import Absent, HostSeen, PackageSeen, UnitSeen
from quorate.core.resource import File, Package, Unit
from quorate.errors import Unreachable
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakeTransport
from quorate.transport.request import (
    Acted,
    act_request,
    lease_request,
    observe_request,
    read_acted,
    read_leased,
    read_observed,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(clock: Clock) -> FakeHost:
    host = FakeHost("c1", clock)
    host.lease = ("token", {}, clock() + 30)
    return host


def write(name: str) -> WriteFile:
    return WriteFile(path=f"/{name}", content=name, mode=0o600, owner="root", group="root")


def act(host: FakeHost, *acts: Act) -> Acted:
    request = act_request("run", "token", acts)
    done = asyncio.run(FakeTransport(host).run(request.argv, request.stdin, timeout=5))
    return read_acted("c1", done)


def observe(host: FakeHost) -> HostSeen:
    request = observe_request([File("/a", ""), Package("haproxy"), Unit("haproxy.service")], {})
    return read_observed("c1", asyncio.run(FakeTransport(host).run(request.argv, request.stdin, timeout=5)))


@pytest.mark.parametrize(("acts", "left"), [(0, ""), (1, "/a"), (2, "/a/b"), (3, "/a/b/c")])
def test_cut_after_so_many_acts(host: FakeHost, acts: int, left: str) -> None:
    host.cut_after(acts)
    with pytest.raises(Unreachable, match="may go on"):
        act(host, write("a"), write("b"), write("c"))
    assert "".join(host.paths) == left
    assert act(host, write("a"), write("b"), write("c")).results[-1].ok


def test_a_cut_counts_over_batches(host: FakeHost) -> None:
    host.cut_after(3)
    act(host, write("a"), write("b"))
    with pytest.raises(Unreachable):
        act(host, write("c"), write("d"))
    assert set(host.paths) == {"/a", "/b", "/c"}


def test_a_machine_may_go_on_when_its_operator_was_cut_off(host: FakeHost) -> None:
    host.cut_after(1, goes_on=True)
    with pytest.raises(Unreachable):
        act(host, write("a"), write("b"))
    assert set(host.paths) == {"/a", "/b"}


def test_down_and_hanging_machines_answer_nothing(host: FakeHost) -> None:
    host.down = "no route to 10.0.0.11"
    with pytest.raises(Unreachable, match="c1: no route"):
        observe(host)
    host.down, host.hang = "", True
    with pytest.raises(Unreachable, match="did not end within 5 s"):
        act(host, write("a"))
    assert not host.paths


def test_a_machine_can_die_of_an_act(host: FakeHost) -> None:
    def die(host: FakeHost, act: Act) -> None:
        if isinstance(act, Run):
            host.down = "power lost"

    host.on_act = die
    with pytest.raises(Unreachable, match="power lost"):
        act(host, write("a"), Run(title="reboot", argv=("reboot",)), write("b"))
    assert set(host.paths) == {"/a"}


def test_a_package_brings_its_units_and_a_start_is_stamped(host: FakeHost, clock: Clock) -> None:
    assert set(map(type, observe(host).resources.values())) == {Absent}
    act(host, Install(packages=("haproxy",)))
    clock.now += 5
    assert act(host, SetUnit(name="haproxy.service", enabled=True, verb="start", inputs="digest")).results[0].ok
    seen = observe(host)
    assert seen.resources["package:haproxy"] == PackageSeen(version="1.0")
    unit = seen.resources["unit:haproxy.service"]
    assert isinstance(unit, UnitSeen)
    assert (unit.active, unit.enabled, unit.started) == ("active", "enabled", 1005.0)
    assert unit.stamp is not None
    assert unit.stamp.invocation == unit.invocation


def test_a_failing_unit_fails_and_has_no_stamp(host: FakeHost) -> None:
    host.failing.add("haproxy.service")
    results = act(
        host, Install(packages=("haproxy",)), SetUnit(name="haproxy.service", verb="start", inputs="d")
    ).results
    assert [one.ok for one in results] == [True, False]
    assert host.units["haproxy.service"].active == "failed"
    assert not host.stamps


def test_programs_are_given_what_a_command_is_given(host: FakeHost) -> None:
    calls = []

    def programs(host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed | None:
        calls.append((host.name, argv, stdin))
        return Completed(4, b"out", b"") if argv[0] == "known" else None

    host.programs = programs
    results = act(
        host, Run(title="x", argv=("known", "a"), stdin="in", expect=(4,)), Run(title="x", argv=("other",))
    ).results
    assert calls == [("c1", ("known", "a"), b"in"), ("c1", ("other",), b"")]
    assert [one.ok for one in results] == [True, False]


def test_a_reboot_loses_the_lease_and_starts_what_is_enabled(host: FakeHost) -> None:
    act(host, Install(packages=("haproxy", "cron")), SetUnit(name="cron.service", enabled=False, verb="start"))
    host.reboot()
    assert {name: unit.active for name, unit in host.units.items()} == {
        "haproxy.service": "active",
        "cron.service": "inactive",
    }
    assert act(host, write("a")).refused == "lost lease: it has expired"


def test_a_lease_expires_by_the_clock_of_the_test(host: FakeHost, clock: Clock) -> None:
    request = lease_request("renew", "token")
    clock.now += 31
    renewed = read_leased("c1", asyncio.run(FakeTransport(host).run(request.argv, request.stdin, timeout=5)))
    assert not renewed.granted
