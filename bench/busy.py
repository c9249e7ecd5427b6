"""No failover while processors are busy: false alarms of the timers that ship, which should be none.

`python bench/busy.py [--minutes 30] [--burners N] --output json` as root. A cloud of three controllers in the
lab with the defaults that ship; processes that compute without end (two for each processor of this machine) beside it;
tokens validated through the virtual IP, which is watched on the wire. In the end the controllers' journals are searched
for every stage of a failover. The leader's decisions alone are none: it looks now and then.

The last line is one JSON object: minutes, burners, load (of one minute, at the end), failovers (by controller and
sign), moves of the virtual IP, two_holders, and of the validations operations, failed, worst_s and outage_s. Exit code
1 after any failover.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from quorate.cli.session import operation
from quorate.core.aim import signs_of, workloads_of
from quorate.core.history import Operation, worst
from quorate.engine.apply import Operation as Cloud
from quorate.engine.clients import Crew
from quorate.engine.signs import read_signs
from quorate.lab.lab import Lab
from quorate.transport.ssh import connect
from quorate.transport.tunnel import Tunnels

LAB = "bench-busy"
FOLDER = Path(__file__).resolve().parent.parent / "lab" / LAB
SUBNET = "10.79.0.0/24"
QUORATE = Path(sys.executable).with_name("quorate")
NO_FAILOVER = {"the leader decides"}
CHUNK = 60.0
"""Seconds between two lines that say how it goes."""


def say(text: str) -> None:
    """Tell the reader how far it is."""
    sys.stderr.write(f"{text}\n")


def quorate(*words: str, folder: Path) -> None:
    """Run a verb, which must do."""
    subprocess.run([QUORATE, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def formed() -> Iterator[Lab]:
    """Three machines with a cloud on them, gone at the end."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        quorate("lab", "up", ".", "--name", LAB, "--subnet", SUBNET, folder=FOLDER)
        quorate("apply", "--yes", folder=FOLDER)
        yield Lab(LAB)
    finally:
        quorate("lab", "down", "--name", LAB, folder=FOLDER)


@contextlib.contextmanager
def burning(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


async def validating(op: Cloud, seconds: float) -> list[Operation]:
    """Validate tokens through the virtual IP meanwhile."""
    ways = {name: connect(op.site.cloud, name, FOLDER) for name in op.site.cloud.names}
    tunnels = Tunnels(ways)
    (client,) = (one for one in workloads_of(op.site, op.systems) if one.name == "token_validation")
    crew = Crew([replace(client, rate=5.0)], run="busy", secrets=op.secrets, reach=tunnels.reach)
    history: list[Operation] = []
    try:
        await crew.prepare()
        crew.start(lambda _name, done: history.append(done))
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(CHUNK, left))
            left = max(0.0, until - time.monotonic())
            say(f"{left / 60:.0f} min left, load {os.getloadavg()[0]:.1f}, {len(history)} validations")
        await crew.stop()
    finally:
        await crew.close()
        await tunnels.close()
        await asyncio.gather(*(way.close() for way in ways.values()))
    return history


async def measured(lab: Lab, minutes: float, burners: int) -> dict[str, Any]:
    """Keep the processors busy, and see what happens."""
    async with operation(FOLDER / "cloud.yaml") as op:
        with lab.witness() as witness:
            began = time.time()
            with burning(burners):
                history = await validating(op, 60 * minutes)
                load = os.getloadavg()[0]
            report = witness.report()
        lines = await read_signs(op.transports, signs_of(op.site, op.systems), began, time.time(), began)
    return {
        "minutes": minutes,
        "burners": burners,
        "load": round(load, 1),
        "failovers": dict(Counter(f"{line.host}: {line.name}" for line in lines if line.name not in NO_FAILOVER)),
        "moves": len(report.judgement.moves),
        "two_holders": report.two_holders,
        "operations": len(history),
        "failed": sum(done.outcome != "ok" for done in history),
        "worst_s": round(max(done.seconds for done in history), 3),
        "outage_s": round(worst(history), 3),
    }


def main() -> int:
    """Measure, and say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--burners", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--output", choices=["text", "json"], default="text")
    asked = parser.parse_args()
    with formed() as lab:
        found = asyncio.run(measured(lab, asked.minutes, asked.burners))
    if asked.output == "json":
        sys.stdout.write(f"{json.dumps(found)}\n")
    else:
        sys.stdout.writelines(f"{name:12} {value}\n" for name, value in found.items())
    return 1 if found["failovers"] or found["moves"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
