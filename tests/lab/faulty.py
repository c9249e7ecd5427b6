"""Machines on which every fault can be done for real, and a way to do its steps as the engine does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from quorate.core.drill import DataFolder, Drills, Process, Standby
from quorate.core.fault import AwaitWell, Fault, GroundAct, OnGround, OnHost, Step
from quorate.core.system import AnySystem, Site, site_of
from quorate.errors import Unreachable
from quorate.faults import Settings, catalogue
from quorate.lab.lab import Lab
from quorate.model.cloud import Cloud
from quorate.transport.contract import Completed
from quorate.transport.ssh import SshTransport
from worlds.systems import Word, made

WEB = Process("web", "quorate-test-web.service", 8080)
CACHE = Process("cache", "memcached.service", 11211)
FOLDER = DataFolder("/srv/web", WEB.unit, "web")
UNIT = """\
[Service]
Type=exec
ExecStart=python3 -m http.server 8080 --directory /srv/web
[Install]
WantedBy=multi-user.target
"""
OWNER = "33:44 750"

# Everything that a fault may leave on a machine: what remains is printed.
_LEFT = """\
ls -A /run/quorate/drill 2>/dev/null
ls -d /var/lib/quorate/drill-* /srv/web/.quorate-drill* 2>/dev/null
systemctl list-units --all --plain --no-legend 'quorate-drill*'
nft list tables | grep quorate
findmnt -rno SOURCE | grep quorate-drill
ip link show eth0 | grep DOWN
:
"""

# The name of the table, an address, a port: whether somebody answers there within a second.
_CACHE_RUNS = f"systemctl is-active --quiet {CACHE.unit}"
_CALL = """\
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1) as it:
        it.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print("answered" if it.recv(1) else "closed")
except TimeoutError:
    print("hung")
except OSError as error:
    print(f"refused: {error}")
"""


def system() -> AnySystem:
    drills: Drills[Word] = Drills(
        processes=lambda _spec, _site: (WEB, CACHE),
        standby=lambda _spec, _site, host: Standby(
            "web", OnHost(host, ("touch", "/run/away")), OnHost(host, ("rm", "/run/away"))
        ),
        data=lambda _spec, _site: (FOLDER,),
    )
    return made("web", drills=drills)


def site(lab: Lab) -> tuple[Site, tuple[AnySystem, ...]]:
    one = system()
    cloud = Cloud.model_validate(
        {
            "cloud": "faulty",
            "networks": {"management": {"subnet": lab.spec.subnet}},
            "vips": {"api": {"address": lab.spec.vip}},
            "controllers": {name: lab.address(name) for name in lab.machines()},
            "systems": {one.name: one.spec()},
        }
    )
    return site_of(cloud, (one,)), (one,)


@dataclass(frozen=True)
class Machines:
    """The lab's machines, each with an open way to it."""

    lab: Lab
    ways: Mapping[str, SshTransport]

    def fault(
        self,
        kind: str,
        host: str,
        *,
        ground: frozenset[GroundAct] = frozenset(),
        hold: float = 30.0,
        slack: float = 30.0,
    ) -> Fault:
        where, systems = site(self.lab)
        settings = Settings(hold=hold, slack=slack, memory=64, room=8)
        return catalogue(where, systems, {}, ground, settings)[kind].on(host)

    async def do(self, steps: Sequence[Step]) -> str:
        """Do all steps, each of which must succeed; return what the commands printed."""
        said = ""
        for step in steps:
            if isinstance(step, OnHost):
                done = await self.run(step)
                assert done.code == 0, f"{step.argv[-1]} on {step.host}: {done.err.decode()}"
                said += done.out.decode()
            elif isinstance(step, OnGround):
                await asyncio.to_thread(self.ground, step)
            else:
                assert isinstance(step, AwaitWell)
        return said

    async def inject(self, fault: Fault) -> str:
        """Do it as a drill does: what ends the connection it was asked for by is seen by its proof."""
        try:
            return await self.do(fault.inject)
        except Unreachable:
            assert fault.proof
            return ""

    async def cure(self, steps: Sequence[Step], limit: float = 60.0) -> None:
        """Do all steps, each until it works: a machine may just be on its way down or up."""
        for step in steps:
            deadline = time.monotonic() + limit
            while True:
                try:
                    await self.do((step,))
                    break
                except Unreachable:
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(0.2)

    async def run(self, step: OnHost) -> Completed:
        return await self.ways[step.host].run(step.argv, step.stdin.encode(), timeout=step.timeout)

    def ground(self, step: OnGround) -> None:
        lab, hosts = self.lab, step.hosts
        acts: dict[GroundAct, Callable[[], None]] = {
            "power-off": lambda: lab.kill(*hosts),
            "power-on": lambda: lab.start(*hosts),
            "freeze": lambda: lab.freeze(*hosts),
            "thaw": lambda: lab.thaw(*hosts),
            "unplug": lambda: lab.cut(*hosts),
            "cut": lambda: lab.cut(*hosts, silent=True),
            "plug": lambda: lab.heal(*hosts),
        }
        acts[step.act]()
        if step.act in {"power-on", "plug", "thaw"}:
            lab.wait_for_ssh(*hosts)

    async def took(self, fault: Fault) -> bool:
        """Whether all of its proofs say so now; a machine that does not answer says nothing."""
        try:
            done = [await self.run(proof.step) for proof in fault.proof]
        except Unreachable:
            return False
        said = [one.out.decode().strip() for one in done]
        assert set(said) <= {"took", "no"}, [one.err.decode() for one in done]
        return bool(said) and set(said) == {"took"}

    async def until(self, fault: Fault, took: bool, limit: float = 15.0) -> None:
        """Wait until it took, or until it is over."""
        deadline = time.monotonic() + limit
        while await self.took(fault) is not took:
            assert time.monotonic() < deadline, f"{fault.kind}: {took} never came"
            await asyncio.sleep(0.05)

    async def shell(self, host: str, command: str, timeout: float = 20.0) -> str:
        done = await self.ways[host].run(("sh", "-c", command), timeout=timeout)
        assert done.code == 0, done.err.decode()
        return done.out.decode().strip()

    async def call(self, caller: str, address: str, port: int) -> str:
        """Let one machine talk to a port: answered, hung, refused."""
        done = await self.ways[caller].run(("python3", "-c", _CALL, address, str(port)), timeout=20.0)
        return done.out.decode().partition(":")[0].strip()

    async def left(self) -> dict[str, str]:
        """What there is on the machines of any fault."""
        found = {name: await self.shell(name, _LEFT) for name in self.lab.machines()}
        return {name: said for name, said in found.items() if said}

    async def nothing_left(self, limit: float = 10.0) -> None:
        """Wait until nothing is left: a timer's own unit goes a moment after its cure."""
        deadline = time.monotonic() + limit
        while left := await self.left():
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.1)

    async def runs(self, host: str) -> None:
        """Wait until both services run there."""
        await self.shell(host, f"until systemctl is-active --quiet {WEB.unit} && {_CACHE_RUNS}; do sleep 0.05; done")
