"""Every fault that this cloud can be given, by its name.

A name says what happens (`power-cut`), or what happens to which process (`database-killed`). Who it happens to is
chosen with `on`: a controller, or a part that one plays, such as `virtual-ip`; without it, whoever plays the part in
which it hurts most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from quorate.core.aim import data_of, processes_of, standby_of
from quorate.core.drill import DataFolder, Process, Roles
from quorate.core.fault import Fault, GroundAct
from quorate.core.system import AnySystem, Site
from quorate.errors import InvalidInput
from quorate.faults import machine, network, partition, pressure, process
from quorate.faults.deadman import SLACK, armed
from quorate.model.cloud import Cloud

VIRTUAL_IP = "virtual-ip"
"""The part of whom most faults hit: clients come in there, so it is where a loss is seen most."""


@dataclass(frozen=True)
class Settings:
    """How long and how much.

    `hold`: seconds from the injection until it is healed; 12 is twice the longest objective of the cloud file's
    defaults (6 s), so a failover is over by then. `slack`: seconds beyond it until a controller undoes it by itself.
    `clock`: seconds by which the clock is moved; 300 is beyond the 60 s that a Fernet token forgives
    (`_MAX_CLOCK_SKEW` of cryptography). `memory`: MiB that are taken; what that means depends on the machine.
    `room`: MiB that are left on the file system that is to run full, before it does.
    """

    hold: float = 12.0
    slack: float = SLACK
    clock: float = 300.0
    memory: int = 512
    room: int = pressure.ROOM


@dataclass(frozen=True)
class Line:
    """A fault before anybody says whom it hits. `role`: the part whose holder it hits then; empty: the first one."""

    kind: str
    summary: str
    role: str
    build: Callable[[str], Fault] = field(repr=False)


@dataclass(frozen=True)
class Offer:
    """A fault that can be had now, with those whom it can hit."""

    line: Line
    slack: float
    hosts: tuple[str, ...]
    roles: Roles

    @property
    def kind(self) -> str:
        """Its name."""
        return self.line.kind

    @property
    def summary(self) -> str:
        """What it does, to anyone."""
        return self.line.summary

    @property
    def default(self) -> str:
        """Whom it hits where nobody says whom."""
        return self.roles.get(self.line.role, self.hosts[0])

    def on(self, target: str = "") -> Fault:
        """Aim it at a controller, or at whoever plays a part now. InvalidInput where there is no such one."""
        host = self.roles.get(target, target) if target else self.default
        if host not in self.hosts:
            parts = f"; parts that are played now: {', '.join(sorted(self.roles))}" if self.roles else ""
            raise InvalidInput(
                f"{self.kind}: {target!r} is no controller, and no part that anybody was seen to play",
                hint=f"controllers: {', '.join(self.hosts)}{parts}",
            )
        return armed(self.line.build(host), self.slack)


DEFAULTS = Settings()


def catalogue(
    site: Site,
    systems: Sequence[AnySystem],
    roles: Roles,
    ground: frozenset[GroundAct] = frozenset(),
    settings: Settings = DEFAULTS,
) -> Mapping[str, Offer]:
    """List every fault of this cloud, by name. `ground`: what this place can do to machines from outside."""
    hold, hosts = settings.hold, site.cloud.names
    lines = [
        *_machines(site, systems, ground, hold),
        *_partitions(site.cloud, hold),
        *(line for one in processes_of(site, systems) for line in _on_process(site.cloud, one, hold)),
        *_pressures(site, systems, settings),
    ]
    return {line.kind: Offer(line, settings.slack, hosts, roles) for line in lines}


def _machines(site: Site, systems: Sequence[AnySystem], ground: frozenset[GroundAct], hold: float) -> Iterable[Line]:
    cloud = site.cloud

    def unplugged(host: str) -> Fault:
        if {"unplug", "plug"} <= ground:
            return machine.unplugged(host, ground, hold)
        return network.unplugged(cloud, host, hold)

    def cut_off(host: str) -> Fault:
        return machine.cut_off(host, ground, hold) if {"cut", "plug"} <= ground else network.cut_off(cloud, host, hold)

    def standby(host: str) -> Fault:
        return machine.standby(host, standby_of(site, systems, host), hold)

    together = "all machines lose their power at the same time"
    rolling = "everything is restarted, one controller after the other"
    return (
        Line("power-cut", "a machine loses its power", VIRTUAL_IP, lambda host: machine.power_cut(host, ground, hold)),
        Line("machine-frozen", "a machine hangs", VIRTUAL_IP, lambda host: machine.frozen(host, ground, hold)),
        Line("reboot", "a machine is restarted", VIRTUAL_IP, lambda host: machine.rebooted(host, ground, hold)),
        Line("cable-pulled", "a machine's cable is pulled", VIRTUAL_IP, unplugged),
        Line("silent-cut", "a machine is cut off, its link stays up", VIRTUAL_IP, cut_off),
        Line("standby", "a controller is taken out of the way in order", VIRTUAL_IP, standby),
        Line("all-at-once", together, "", lambda _: machine.all_at_once(cloud.names, ground, hold)),
        Line(
            "rolling-restart", rolling, "", lambda _: pressure.rolling_restart(processes_of(site, systems), cloud.names)
        ),
    )


_SHAPES: tuple[tuple[str, str, Callable[[Sequence[str]], partition.Grudge]], ...] = (
    ("partition-halves", "two halves of the controllers hear nothing of each other", partition.halves),
    ("partition-minority", "a controller and all others hear nothing of each other", partition.minority),
    ("partition-bridge", "two halves of the controllers hear only one of them in common", partition.bridge),
    ("partition-ring", "every controller hears a majority, and no two the same one", partition.ring),
    ("one-way-out", "no controller hears what one of them sends", lambda hosts: partition.one_way(hosts, "out")),
    ("one-way-in", "a controller hears nothing of the others", lambda hosts: partition.one_way(hosts, "in")),
)


def _partitions(cloud: Cloud, hold: float) -> Iterable[Line]:
    return (Line(kind, told, VIRTUAL_IP, _partition(cloud, kind, told, shape, hold)) for kind, told, shape in _SHAPES)


def _partition(
    cloud: Cloud, kind: str, told: str, shape: Callable[[Sequence[str]], partition.Grudge], hold: float
) -> Callable[[str], Fault]:
    """Cut between controllers; the one that is aimed at is the first of the map."""

    def build(host: str) -> Fault:
        first = cloud.names.index(host)
        grudge = shape((*cloud.names[first:], *cloud.names[:first]))
        deaf = "; ".join(f"{one} drops {' and '.join(sorted(drops))}" for one, drops in grudge.items() if drops)
        return network.partitioned(cloud, kind, f"{told}: {deaf or 'there is only one'}", grudge, hold)

    return build


def _on_process(cloud: Cloud, one: Process, hold: float) -> Iterable[Line]:
    word, role = one.word, one.role
    yield Line(f"{word}-killed", f"{word} is killed (SIGKILL)", role, lambda host: process.killed(one, host, hold))
    yield Line(f"{word}-frozen", f"{word} is frozen (SIGSTOP)", role, lambda host: process.frozen(one, host, hold))
    yield Line(f"{word}-stopped", f"{word} is stopped in order", role, lambda host: process.stopped(one, host, hold))
    if one.port:
        told = f"the port of {word} hears only its own host"
        yield Line(f"{word}-port-deaf", told, role, lambda host: network.port_deaf(cloud, one, host, hold))


def _pressures(site: Site, systems: Sequence[AnySystem], settings: Settings) -> Iterable[Line]:
    hold = settings.hold
    parts = {one.word: one.role for one in processes_of(site, systems)}
    for number, folder in enumerate(data_of(site, systems)):
        kind = f"disk-full-{folder.word}" if number else "disk-full"
        build = _disk_full(kind, folder, settings)
        yield Line(kind, f"the disk of {folder.word} is full", parts.get(folder.word, ""), build)
    moved, taken = settings.clock, settings.memory
    yield Line(
        "clock-moved", "a machine's clock is moved", VIRTUAL_IP, lambda host: pressure.clock_moved(host, moved, hold)
    )
    yield Line(
        "memory-pressure",
        "much of a machine's memory is taken",
        VIRTUAL_IP,
        lambda host: pressure.memory_short(host, taken, hold),
    )


def _disk_full(kind: str, folder: DataFolder, settings: Settings) -> Callable[[str], Fault]:
    return lambda host: pressure.disk_full(kind, folder, host, settings.hold, room=settings.room)
