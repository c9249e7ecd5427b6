"""Machines in memory that run the toys, and an operator who works on them: no sleep, the same every time.

The toys' daemons are played here. A member takes two seconds from its start to be well, so that whoever interrupts the
next one too early is caught: `Machines.watch` holds, before every act, what must never happen.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorate.core.act import Act, SetUnit
from quorate.core.order import needed
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Site, site_of
from quorate.engine.apply import Clock, Operation, Outcome, apply
from quorate.engine.lock import held
from quorate.engine.observe import Transports
from quorate.engine.rollback import Way, rollback
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakePath, FakeTransport
from toys import toyd, toydb
from worlds.clouds import cloud, hosts

TOYS: tuple[AnySystem, ...] = (toyd.SYSTEM, toydb.SYSTEM)
VALUES = {"toydb.password": "Passw0rdOfToydb", "toyd.database": "Passw0rdOfToyd77"}
SECRETS = Secrets(VALUES)
DATA = "/var/lib/toydb/data"
WELL_AFTER = 2.0
UNITS = {"toydb.service": "majority", "toyd.service": "one"}
HOLDER = {
    "operator": "ann@desk",
    "command": "quorate apply",
    "since": "12:00",
    "boot": "b1",
    "pid": "7",
    "started": "1",
}


class Time:
    """A clock that only its owner moves. Whoever waits on it is woken when its time has come."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def wait(self, seconds: float) -> None:
        """Sleep in the background: for the renewal of leases."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((self.now + seconds, woken))
        await woken

    async def pass_by(self, seconds: float) -> None:
        """Sleep in the foreground: time passes."""
        await asyncio.sleep(0)  # whoever is about to wait does
        until = self.now + seconds
        while due := [waiting for waiting in self.waiting if waiting[0] <= until]:
            self.now, woken = min(due, key=lambda waiting: waiting[0])
            self.waiting = [waiting for waiting in self.waiting if waiting[1] is not woken]
            if not woken.done():
                woken.set_result(None)
            for _ in range(8):
                await asyncio.sleep(0)
        self.now = until


@dataclass
class Memory:
    """A journal in memory. `on_write` is called before each line is kept."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    on_write: Callable[[str], None] = lambda _event: None

    def write(self, event: str, **facts: object) -> None:
        self.on_write(event)
        self.lines.append({"event": event, **facts})


class Machines:
    """Three controllers, what their daemons do, and what happened to them. Daemons on a `sick` one run and fail."""

    def __init__(self, count: int = 3) -> None:
        self.time = Time()
        self.bootstraps: list[str] = []
        self.acts: list[str] = []
        self.sick: set[str] = set()
        self.before_act: Callable[[FakeHost, Act], None] = lambda _host, _act: None
        self.hosts = {
            name: FakeHost(name, clock=self.time, programs=self.play, on_act=self.watch) for name in hosts(count)
        }

    # --- the daemons ---

    def play(self, host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed | None:
        """Play a program of a machine."""
        package = argv[0].partition("-")[0]
        if package not in host.packages:
            return None
        match argv[0]:
            case "toydb-status":
                return _said(f"{self._toydb(host)} {self._data(host)}")
            case "toydb-bootstrap":
                return self._bootstrap(host, stdin)
            case "toyd-health":
                return _said("healthy") if self.is_well(host, "toyd.service") else Completed(3, b"inactive\n", b"")
            case _:
                return None

    def is_well(self, host: FakeHost, unit: str) -> bool:
        """Whether it has been up long enough, and where it must be a member, is one."""
        one = host.units.get(unit)
        up = one is not None and one.active == "active" and self.time.now >= one.started + WELL_AFTER
        reachable = not host.down and not host.hang and host.name not in self.sick
        return up and reachable and (unit != "toydb.service" or self._data(host) != "-")

    def _toydb(self, host: FakeHost) -> str:
        unit = host.units.get("toydb.service")
        if unit is None or unit.active != "active":
            return "stopped"
        donors = [one for one in self.hosts.values() if self.is_well(one, "toydb.service")]
        if self._data(host) == "-" and donors:
            host.paths[DATA] = FakePath(self._data(donors[0]))
        return "synced" if self.is_well(host, "toydb.service") else "joining"

    def _data(self, host: FakeHost) -> str:
        return host.paths[DATA].content or "-" if DATA in host.paths else "-"

    def _bootstrap(self, host: FakeHost, stdin: bytes) -> Completed:
        assert stdin.decode() == VALUES["toydb.password"]
        self.bootstraps.append(host.name)
        host.paths[DATA] = FakePath(f"cluster{len(self.bootstraps)}")
        return _said("done")

    # --- what must never happen ---

    def watch(self, host: FakeHost, act: Act) -> None:
        """Hold, before every act, that enough members are well if this one is interrupted."""
        self.before_act(host, act)
        self.acts.append(f"{host.name}: {act}")
        if not isinstance(act, SetUnit) or act.verb not in {"restart", "reload", "stop"}:
            return
        counts = self._data(host) != "-" if act.name == "toydb.service" else self.is_well(host, act.name)
        if not counts:  # nobody misses it
            return
        others = [one for one in self.hosts.values() if one is not host]
        well = sum(self.is_well(one, act.name) for one in others)
        rule: Any = UNITS[act.name]
        assert well >= needed(rule, len(self.hosts), arbiter=False), f"{act} on {host.name} with {well} others well"

    # --- what is left in the end ---

    def memory(self) -> dict[str, Any]:
        """All that the machines hold, but for times, invocations and backups."""
        return {name: _held(host) for name, host in self.hosts.items()}

    def settle(self) -> None:
        """Let a minute pass: leases lapse and members are well. Nobody is at work, so nobody waits."""
        self.time.now += 60.0
        self.time.waiting.clear()


def _said(text: str) -> Completed:
    return Completed(0, f"{text}\n".encode(), b"")


def _held(host: FakeHost) -> dict[str, Any]:
    return {
        "paths": {path: dataclasses.replace(one, mtime=0.0) for path, one in sorted(host.paths.items())},
        "packages": host.packages,
        "units": {name: (unit.active, unit.enabled) for name, unit in sorted(host.units.items())},
        "sysctls": (host.sysctls, host.kept),
        "stamps": {name: stamp.inputs for name, stamp in sorted(host.stamps.items())},
        "lease": host.lease,
    }


@dataclass
class Operator:
    """One who works on the machines. `workers` is what his cloud file says of toyd, `port` of toydb."""

    machines: Machines
    workers: int = 2
    port: int = 7700
    systems: Sequence[AnySystem] = TOYS
    journal: Memory = field(default_factory=Memory)
    transports: Transports = field(default_factory=dict)
    token: str = "run1"
    progress: list[str] = field(default_factory=list)

    def operation(self) -> Operation:
        sections: dict[str, Any] = {"toyd": toyd.Toyd(workers=self.workers), "toydb": toydb.Toydb(port=self.port)}
        chosen: dict[str, Any] = {system.name: sections[system.name] for system in self.systems}
        ways = {name: FakeTransport(host) for name, host in self.machines.hosts.items()}
        return Operation(
            site=site_of(cloud(len(self.machines.hosts), **chosen), self.systems),
            systems=self.systems,
            secrets=SECRETS,
            transports={**ways, **self.transports},
            token=self.token,
            journal=self.journal,
            clock=Clock(now=lambda: "now", monotonic=self.machines.time, sleep=self.machines.time.pass_by),
            progress=self.progress.append,
            about={"began": self.token, "verb": "apply", "operator": HOLDER["operator"]},
        )

    async def apply(self, **more: Any) -> Outcome:
        """Take the lock and apply."""
        op = self.operation()
        async with held(
            op.transports, self.token, HOLDER, sleep=self.machines.time.wait, patience=self.machines.time.pass_by
        ):
            return await apply(op, **more)


@dataclass
class GoingBack(Operator):
    """One who goes back, wherever others apply. `sections`: how the cloud file was at each run."""

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    run: str = ""
    overwrite: Sequence[str] = ()

    async def apply(self, **more: Any) -> Outcome:
        op = self.operation()
        way = Way(self._site, self.run, more.get("without", ()), self.overwrite)
        async with held(
            op.transports, self.token, HOLDER, sleep=self.machines.time.wait, patience=self.machines.time.pass_by
        ):
            return (await rollback(op, way, approved=more.get("approved")))[0]

    def _site(self, run: str) -> Site | None:
        if run not in self.sections:
            return None
        return Operator(self.machines, systems=self.systems, **self.sections[run]).operation().site


async def converged(**cloud_file: Any) -> Machines:
    """Make machines on which everything was applied and is well."""
    machines = Machines()
    outcome = await Operator(machines, **cloud_file).apply()
    assert outcome.verdict.is_ok, outcome.verdict.reason
    machines.settle()
    machines.acts.clear()
    return machines
