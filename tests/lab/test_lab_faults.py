"""Every fault on real machines: it took, it is undone, twice; and it undoes itself when nobody comes to undo it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.faulty import CACHE, FOLDER, OWNER, UNIT, WEB, Machines
from quorate.core.drill import DataFolder
from quorate.core.fault import AwaitWell, Fault, GroundAct
from quorate.faults import armed, pressure, undo_all
from quorate.lab.lab import Lab
from quorate.transport.ssh import SshTransport

A, B, C = "controller1", "controller2", "controller3"
GROUND: frozenset[GroundAct] = frozenset({"power-off", "power-on", "freeze", "thaw", "unplug", "cut", "plug"})
ON_PROCESS = [f"{word}-{act}" for word in ("web", "cache") for act in ("killed", "frozen", "stopped", "port-deaf")]
PARTITIONS = [
    "partition-halves",
    "partition-minority",
    "partition-bridge",
    "partition-ring",
    "one-way-out",
    "one-way-in",
]
CUTS = ["cable-pulled", "silent-cut"]


@pytest.fixture(scope="module")
def prepared(lab: Lab) -> Lab:
    """Give every machine a service with a folder of its own; memcached comes with the image."""
    unit = f"/etc/systemd/system/{WEB.unit}"
    make = (
        f"cat > {unit}; mkdir -p {FOLDER.path}/a; echo kept > {FOLDER.path}/a/file; "
        f"chown 33:44 {FOLDER.path} {FOLDER.path}/a/file; chmod 750 {FOLDER.path}; "
        f"systemctl daemon-reload; systemctl enable --now {WEB.unit} {CACHE.unit}"
    )
    for name in lab.machines():
        done = lab.run(name, make, stdin=UNIT)
        assert done.returncode == 0, done.stderr
    return lab


@pytest.fixture
async def machines(prepared: Lab, tmp_path: Path) -> AsyncIterator[Machines]:
    config = tmp_path / "no_ssh_config"
    config.touch()
    ways = {
        name: SshTransport(
            name,
            prepared.address(name),
            user="root",
            identity=prepared.key,
            known_hosts=prepared.known_hosts,
            config=config,
        )
        for name in prepared.machines()
    }
    made = Machines(prepared, ways)
    yield made
    prepared.heal()
    prepared.start()
    prepared.wait_for_ssh()
    prepared.run(B, "rm -f /var/lib/quorate/drill-reboot")  # so that one failure is not everybody's
    for name, way in ways.items():
        await made.cure([undo_all(name)])
        await made.shell(name, f"systemctl start {WEB.unit} {CACHE.unit}")
        await way.close()


async def life(machines: Machines, fault: Fault) -> None:
    """Lead a fault through its whole life, and see that nothing of it stays."""
    assert fault.unsupported == ""
    await machines.cure((*fault.heal, *fault.tear_down))  # healing what was never hurt
    assert await machines.left() == {}
    await machines.do(fault.set_up)
    assert not await machines.took(fault)
    await machines.inject(fault)
    await machines.until(fault, took=True)
    await machines.cure(fault.heal)
    assert not await machines.took(fault)
    await machines.cure(fault.heal)
    assert not await machines.took(fault)
    await machines.cure((*fault.tear_down, *fault.tear_down))
    await machines.nothing_left()
    for host in (A, B, C):
        await machines.runs(host)


@pytest.mark.parametrize("kind", [*ON_PROCESS, *PARTITIONS, "memory-pressure", "disk-full", "reboot"])
async def test_what_a_controller_does_itself(machines: Machines, kind: str) -> None:
    await life(machines, machines.fault(kind, B))


@pytest.mark.parametrize("kind", CUTS)
async def test_what_cuts_a_controller_off_ends_by_itself(machines: Machines, kind: str) -> None:
    await machines.shell(B, f"ip route replace 192.0.2.0/24 via {machines.lab.address(A)} dev eth0")
    before = await machines.shell(B, "ip route; ip address show eth0 | grep -w inet")
    await life(machines, machines.fault(kind, B, hold=3.0))
    assert await machines.shell(B, "ip route; ip address show eth0 | grep -w inet") == before


@pytest.mark.parametrize("kind", [*ON_PROCESS, *PARTITIONS, *CUTS, "memory-pressure"])
async def test_nobody_comes_to_heal_it(machines: Machines, kind: str) -> None:
    fault = machines.fault(kind, B, hold=2.5 if kind in CUTS else 0.5, slack=1.5)
    await machines.inject(fault)
    await machines.until(fault, took=True)
    await machines.until(fault, took=False)
    await machines.nothing_left()
    await machines.runs(B)
    await machines.cure(fault.heal)


async def test_nobody_comes_to_tear_a_file_system_down(machines: Machines) -> None:
    whole = pressure.disk_full("disk-full", FOLDER, B, 0.5, room=8)
    fault = armed(replace(whole, set_up=(whole.set_up[0], AwaitWell(0.0))), 1.5)
    await machines.do((*fault.set_up, *fault.inject))
    await machines.until(fault, took=True)
    await machines.shell(B, f"echo new > {FOLDER.path}/new 2>/dev/null || touch {FOLDER.path}/new")
    await machines.until(fault, took=False)
    await machines.nothing_left()
    assert await machines.shell(B, f"stat -c '%u:%g %a' {FOLDER.path}; cat {FOLDER.path}/a/file") == f"{OWNER}\nkept"
    await machines.shell(B, f"rm {FOLDER.path}/new")
    await machines.cure((*fault.heal, *fault.tear_down))
    await machines.runs(B)


@pytest.mark.parametrize("kind", ["power-cut", "machine-frozen", *CUTS, "all-at-once"])
async def test_what_is_done_from_outside(machines: Machines, kind: str) -> None:
    fault = machines.fault(kind, B, ground=GROUND)
    await machines.cure(fault.heal)
    await machines.inject(fault)
    hit = {status.name for status in machines.lab.status() if (status.power, status.cable) != ("on", "plugged")}
    assert hit == set(fault.hosts)
    await machines.cure((*fault.heal, *fault.heal))
    assert all((status.power, status.cable) == ("on", "plugged") for status in machines.lab.status())


async def test_rolling_restarts_everything(machines: Machines) -> None:
    ids = f"systemctl show --property=InvocationID --value {WEB.unit} {CACHE.unit}"
    before = [await machines.shell(host, ids) for host in (A, B, C)]
    await machines.do(machines.fault("rolling-restart", A).inject)
    after = [await machines.shell(host, ids) for host in (A, B, C)]
    assert not {*"\n".join(before).split()} & {*"\n".join(after).split()}


async def test_a_way_out_that_a_system_knows_undoes_itself_too(machines: Machines) -> None:
    fault = machines.fault("standby", B, hold=0.5, slack=0.5)
    await machines.inject(fault)
    await machines.shell(B, "while [ -e /run/away ]; do sleep 0.05; done")
    await machines.nothing_left()


async def test_a_clock_that_may_not_be_set_is_said_to_be_so(machines: Machines) -> None:
    """The machines of the lab share their host's clock; the program itself is tested on a made-up one."""
    bits = int(await machines.shell(B, "sed -n 's/^CapBnd:\\s*//p' /proc/1/status"), 16)
    assert not bits >> 25 & 1, "this machine could set the clock of its host"
    fault = machines.fault("clock-moved", B)
    assert (await machines.inject(fault)).startswith("unsupported: ")
    assert not await machines.took(fault)
    await machines.cure(fault.heal)
    await machines.nothing_left()


async def test_a_killed_process_is_left_to_its_manager(machines: Machines) -> None:
    fault = machines.fault("cache-killed", B)
    await machines.inject(fault)
    await machines.shell(B, f"while ! systemctl is-active --quiet {CACHE.unit}; do sleep 0.05; done")
    assert await machines.took(fault)  # another one runs: the one that was killed is gone
    await machines.cure(fault.heal)


async def test_what_goes_with_it_comes_back_with_it(machines: Machines) -> None:
    """Pacemaker does not outlive corosync, and nobody but who stopped it starts it again."""
    follower, idle = "quorate-test-follower.service", "quorate-test-idle.service"
    unit = f"[Unit]\nRequires={WEB.unit}\nAfter={WEB.unit}\n[Service]\nExecStart=sleep infinity\n"
    paths = [f"/run/systemd/system/{name}" for name in (follower, idle)]
    make = "; ".join(f"printf '{unit.encode('unicode_escape').decode()}' > {path}" for path in paths)
    await machines.shell(
        B, f"mkdir -p /run/systemd/system; {make}; systemctl daemon-reload; systemctl start {follower}"
    )
    fault = machines.fault("web-stopped", B)
    await machines.inject(fault)
    assert await machines.shell(B, f"systemctl is-active {follower} || :") == "inactive"
    await machines.cure(fault.heal)
    assert await machines.shell(B, f"systemctl is-active {follower} {idle} || :") == "active\ninactive"
    await machines.shell(B, f"systemctl stop {follower}; rm {' '.join(paths)}; systemctl daemon-reload")


async def test_what_does_not_run_cannot_be_killed(machines: Machines) -> None:
    fault = machines.fault("web-killed", B)
    await machines.shell(B, f"systemctl stop {WEB.unit}")
    done = await machines.run(fault.inject[0])  # type: ignore[arg-type]
    assert done.code != 0
    assert b"it does not run" in done.err
    assert not await machines.took(fault)
    await machines.cure(fault.heal)
    assert await machines.shell(B, f"systemctl is-active {WEB.unit} || :") == "inactive"  # as it was found
    await machines.nothing_left()


async def test_a_deaf_port_hears_only_its_own_host(machines: Machines) -> None:
    where = machines.lab.address(B)
    fault = machines.fault("web-port-deaf", B)
    assert await machines.call(A, where, WEB.port) == "answered"
    await machines.inject(fault)
    assert [await machines.call(host, where, WEB.port) for host in (A, B, C)] == ["hung", "answered", "hung"]
    await machines.cure(fault.heal)
    assert await machines.call(A, where, WEB.port) == "answered"


async def test_a_frozen_process_takes_connections_and_says_nothing(machines: Machines) -> None:
    fault = machines.fault("web-frozen", B)
    await machines.inject(fault)
    assert await machines.call(A, machines.lab.address(B), WEB.port) == "hung"
    await machines.cure(fault.heal)
    assert await machines.call(A, machines.lab.address(B), WEB.port) == "answered"


async def heard(machines: Machines) -> set[str]:
    """Who gets an answer of whom: one cut direction is enough for none."""
    pairs = [(caller, called) for caller in (A, B, C) for called in (A, B, C) if caller < called]
    said = [await machines.call(caller, machines.lab.address(called), WEB.port) for caller, called in pairs]
    return {caller[-1] + called[-1] for (caller, called), word in zip(pairs, said, strict=True) if word == "answered"}


@pytest.mark.parametrize(
    ("kind", "talking"),
    [
        ("partition-halves", {"13"}),
        ("partition-minority", {"13"}),
        ("partition-bridge", {"23", "13"}),  # 2, 3, 1 in this order: 3 is the bridge
        ("partition-ring", set()),
        ("one-way-out", {"13"}),
        ("one-way-in", {"13"}),
    ],
)
async def test_who_hears_whom(machines: Machines, kind: str, talking: set[str]) -> None:
    fault = machines.fault(kind, B)
    await machines.inject(fault)
    assert await heard(machines) == talking
    assert await machines.call(A, machines.lab.address(B), 22) == "answered"  # an operator may sit on a controller
    await machines.cure(fault.heal)
    assert await heard(machines) == {"12", "13", "23"}


async def test_an_address_that_moves_about_is_dropped_with_its_holder(machines: Machines) -> None:
    vip = machines.lab.spec.vip
    await machines.shell(B, f"ip address add {vip}/24 dev eth0")
    assert await machines.call(A, vip, WEB.port) == "answered"
    fault = machines.fault("one-way-out", B)  # nobody hears B, at whatever address
    await machines.inject(fault)
    assert await machines.call(A, vip, WEB.port) == "hung"
    await machines.cure(fault.heal)
    assert await machines.call(A, vip, WEB.port) == "answered"
    await machines.shell(B, f"ip address del {vip}/24 dev eth0")


async def test_a_full_disk_keeps_what_was_written_on_it(machines: Machines) -> None:
    fault = machines.fault("disk-full", B)
    before = await machines.shell(B, f"stat -c '%u:%g %a' {FOLDER.path} {FOLDER.path}/a/file")
    await machines.do(fault.set_up)
    await machines.shell(B, f"echo new > {FOLDER.path}/a/new; rm {FOLDER.path}/a/file")
    await machines.inject(fault)
    assert await machines.shell(B, f"head -c 100000 /dev/zero > {FOLDER.path}/more && echo room || echo full") == "full"
    await machines.cure((*fault.heal, *fault.tear_down))
    assert (
        await machines.shell(B, f"cat {FOLDER.path}/a/new; rm -f {FOLDER.path}/more; ls -A {FOLDER.path}/a")
        == "new\nnew"
    )
    await machines.shell(B, f"cd {FOLDER.path}/a; mv new file; echo kept > file; chown 33:44 file")
    assert await machines.shell(B, f"stat -c '%u:%g %a' {FOLDER.path} {FOLDER.path}/a/file") == before
    await machines.nothing_left()


async def test_a_database_outlives_a_full_disk(machines: Machines) -> None:
    folder = DataFolder("/var/lib/mysql", "mariadb.service", "database")
    fault = armed(pressure.disk_full("disk-full", folder, C, 30.0, room=24), 30.0)
    fill = "mariadb test -e 'INSERT INTO t SELECT NULL, REPEAT(0x78, 8000) FROM seq_1_to_10000'"
    await machines.shell(
        C,
        "systemctl start mariadb; mariadb -e 'CREATE DATABASE test; CREATE TABLE test.t "
        "(id INT AUTO_INCREMENT PRIMARY KEY, x TEXT); INSERT INTO test.t VALUES (NULL, 1)'",
        timeout=60.0,
    )
    owners = "find /var/lib/mysql -maxdepth 1 -printf '%f %u:%g %m\\n' | sort"
    await machines.do(fault.set_up)
    await machines.shell(C, "mariadb -e 'INSERT INTO test.t VALUES (NULL, 2)'")
    before = await machines.shell(C, owners)
    await machines.inject(fault)
    assert "The table 't' is full" in await machines.shell(C, f"timeout 10 {fill} 2>&1 || :")
    await machines.cure(fault.heal)
    await machines.shell(
        C, "until mariadb -e 'INSERT INTO test.t VALUES (NULL, 3)' 2>/dev/null; do sleep 0.1; done", 90.0
    )
    await machines.cure(fault.tear_down)
    assert await machines.shell(C, "mariadb -Ne 'SELECT GROUP_CONCAT(x) FROM test.t WHERE x < 10'") == "1,2,3"
    after = await machines.shell(C, owners)
    assert {*before.split("\n")} - {*after.split("\n")} <= {".quorate-drill-ballast root:root 600"}
    await machines.shell(C, "mariadb -e 'DROP DATABASE test'; systemctl stop mariadb", 60.0)
    await machines.nothing_left()


async def test_a_machine_without_room_is_refused_and_unhurt(machines: Machines) -> None:
    fault = armed(pressure.disk_full("disk-full", FOLDER, B, 30.0, room=100_000_000), 30.0)
    done = await machines.run(fault.set_up[0])  # type: ignore[arg-type]
    assert done.code == 1
    assert b"MiB of memory and 256 MiB must be left" in done.err
    await machines.runs(B)
    await machines.do(fault.tear_down)
    await machines.nothing_left()


async def test_a_drill_that_lost_its_power_finds_the_disk_as_it_was(machines: Machines) -> None:
    fault = machines.fault("disk-full", B)
    await machines.do(fault.set_up)
    await machines.shell(B, f"touch {FOLDER.path}/gone; sync")
    await machines.do(machines.fault("power-cut", B, ground=GROUND).inject)
    await machines.cure(machines.fault("power-cut", B, ground=GROUND).heal)
    assert await machines.shell(B, f"ls -A {FOLDER.path}; cat {FOLDER.path}/a/file") == "a\nkept"
    await machines.cure((*fault.heal, *fault.tear_down))
    await machines.nothing_left()


async def test_two_cures_at_the_same_time(machines: Machines) -> None:
    """A dead man's timer may go off while the operator heals."""
    for kind in ("web-frozen", "disk-full", "partition-minority"):
        fault = machines.fault(kind, B)
        await machines.do((*fault.set_up, *fault.inject))
        cures = (*fault.heal, *fault.tear_down)
        await asyncio.gather(*(machines.cure(cures) for _ in range(2)))
        await machines.nothing_left()
        await machines.runs(B)


async def test_whatever_another_drill_left_is_undone_at_once(machines: Machines) -> None:
    for kind in ("web-frozen", "partition-minority", "memory-pressure", "disk-full"):
        fault = machines.fault(kind, B)
        await machines.do((*fault.set_up, *fault.inject))
    await machines.do([undo_all(host) for host in (A, B, C)])
    await machines.nothing_left()
    await machines.runs(B)
    await machines.do([undo_all(host) for host in (A, B, C)])
