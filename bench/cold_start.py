"""Cold start: all controllers lose their power under load at the same moment, get it back, and `quorate recover` runs.

`python bench/cold_start.py --output json` as root; about a quarter of an hour for ten runs. Clients of drills work all
the time: they write rows, publish with confirms, validate and get tokens. The last line is one JSON object: `median_s`
and `worst_s` (from the power's return until tokens are served and nothing fails for three seconds after), `lost`
(acknowledged rows and confirmed messages that are not there in the end), `runs`, and for each function and for each
phase of `recover` its median in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from at_work import at_work

from quorate.cli import files
from quorate.core.aim import workloads_of
from quorate.core.checkers import acknowledged, numbers
from quorate.core.history import Operation, outages
from quorate.core.system import site_of
from quorate.lab.lab import Lab

QUORATE = Path(sys.executable).with_name("quorate")
NAME = "bench"
UNDISTURBED = 5.0
"""Seconds in which clients work before and after."""
OFF = 3.0
"""Seconds without power."""
GIVE_UP = 300.0


@dataclass(frozen=True)
class Run:
    """One cold start. `back`: seconds from the power's return until each function served; `phases`: of recover."""

    back: Mapping[str, float]
    phases: Mapping[str, float]
    lost: int


def say(text: str) -> None:
    """Tell people how it goes."""
    sys.stderr.write(f"bench: {text}\n")


def quorate(folder: Path, *words: str) -> Any:
    """Run a verb for programs, which must succeed."""
    done = subprocess.run(
        [QUORATE, *words, "--output", "json"], cwd=folder, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"quorate {' '.join(words)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def wait_well(folder: Path) -> None:
    """Wait until everything is well and as redundant as it should be."""
    deadline = time.monotonic() + GIVE_UP
    while True:
        looked = subprocess.run([QUORATE, "status"], cwd=folder, check=False, capture_output=True, text=True)
        if not looked.returncode and "is being filled" not in looked.stdout:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"not well after {GIVE_UP:.0f} s:\n{looked.stdout}")
        time.sleep(1.0)


def missing(history: Mapping[str, Sequence[Operation]], finals: Mapping[str, Mapping[str, Any]]) -> int:
    """How many rows and messages were acknowledged and are not there."""
    there = {name: numbers(final["numbers"]) for name, final in finals.items() if "numbers" in final}
    return sum(len(acknowledged(history[name]) - found) for name, found in there.items())


async def dark(lab: Lab, folder: Path) -> Run:
    """Cut the power of all under load, give it back, recover. The loop's clock is that of the clients' operations."""
    cloud, systems = files.load_cloud(folder / "cloud.yaml")
    workloads = workloads_of(site_of(cloud, systems), systems)
    finals: dict[str, Mapping[str, Any]] = {}
    async with at_work(folder, workloads, finals) as history:
        await asyncio.sleep(UNDISTURBED)
        await asyncio.to_thread(lab.kill, *cloud.names)
        await asyncio.sleep(OFF)
        power = asyncio.get_running_loop().time()
        await asyncio.to_thread(lab.start, *cloud.names)
        told = await asyncio.to_thread(quorate, folder, "recover")
        await asyncio.sleep(UNDISTURBED)
    back: dict[str, float] = {}
    for one in workloads:
        ended = max((outage.ended for outage in outages(history[one.name])), default=power)
        back[one.function] = max(back.get(one.function, 0.0), ended - power)
    phases = {phase["system"] or "controllers": phase["seconds"] for phase in told["phases"]}
    return Run(back, phases, missing(history, finals))


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """What is published."""

    def medians(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
        names = dict.fromkeys(name for one in each for name in one)
        return {name: round(statistics.median(one.get(name, 0.0) for one in each), 1) for name in names}

    tokens = [max(seconds for function, seconds in run.back.items() if "token" in function) for run in runs]
    return {
        "median_s": round(statistics.median(tokens), 1),
        "worst_s": round(max(tokens), 1),
        "lost": sum(run.lost for run in runs),
        "runs": len(runs),
        "functions": medians([run.back for run in runs]),
        "phases": medians([run.phases for run in runs]),
    }


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--lab", help="the name of a lab that is up and formed, and taken as it is; with --folder")
    parser.add_argument("--folder", type=Path, help="where that lab's cloud file is")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        if not asked.lab:
            up = [QUORATE, "lab", "up", folder, "--name", NAME, "--subnet", "10.99.0.0/24", "--with", "rabbitmq"]
            subprocess.run(up, check=True)
        try:
            if not asked.lab:
                quorate(folder, "apply", "--yes")
            runs = []
            for number in range(1, asked.runs + 1):
                wait_well(folder)
                runs.append(asyncio.run(dark(Lab(asked.lab or NAME), folder)))
                say(f"[{number}/{asked.runs}] {runs[-1]}")
        finally:
            if not asked.lab:
                subprocess.run([QUORATE, "lab", "down", "--name", NAME], check=False)
    found = summary(runs)
    if asked.output == "json":
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in found.items()))


if __name__ == "__main__":
    code = 1
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        if isinstance(ended.code, str):
            say(ended.code)
    except BaseException:  # noqa: BLE001 - told as ever, and then it has to end
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)  # clients that were given up have threads that wait for a node that is gone
