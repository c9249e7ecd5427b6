"""Truth in numbers: random schedules of faults, and what the clients saw that no cache may show.

`python tests/real/truth/run.py --schedules 200 --seed 1 --engine balancer` as root. Each schedule is a process of its
own; its history stays in the folder and can be judged again (`--judge FILE`). Ends with 0 when nothing was found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from real.truth import checker, scenarios
from real.truth.clients import crowd
from real.truth.engines import Engine, engine
from real.truth.recorder import Recorder
from real.truth.world import World

NEEDS = {"memcached": "memcached", "nft": "nftables", "ip": "iproute2", "setpriv": "util-linux"}
NEEDS_TWEMPROXY = {"nutcracker": "nutcracker"}
READY = 5.0
"""Seconds until a balancer must store something."""


@dataclass(frozen=True)
class Campaign:
    """Many schedules against one engine."""

    engine: str
    folder: Path
    without: str = ""
    parallel: int = 2
    workers: int = 1

    def run(self, plans: Iterable[str]) -> Iterator[tuple[str, checker.Report]]:
        """Yield each plan's name (a seed or a scenario) and what was found, in their order."""
        with ThreadPoolExecutor(self.parallel) as pool:
            yield from pool.map(self.one, plans)

    def one(self, plan: str) -> tuple[str, checker.Report]:
        """Run one plan in a process of its own, then judge what it left on disk."""
        history = self.folder / plan / "history.jsonl"
        own = ["--one", plan, "--engine", self.engine, "--folder", str(self.folder), "--without", self.without]
        own += ["--workers", str(self.workers)]
        done = subprocess.run([sys.executable, __file__, *own], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{plan} did not run:\n{done.stderr}")
        return plan, checker.check(checker.load(history))


def lacks(name: str) -> str:
    """Say what this machine lacks for a world with this engine; empty: nothing."""
    if os.geteuid() != 0:
        return "needs root"
    needs = NEEDS | (NEEDS_TWEMPROXY if name == "twemproxy" else {})
    missing = sorted(package for program, package in needs.items() if shutil.which(program) is None)
    return f"needs the packages {', '.join(missing)}" if missing else ""


async def one(name: str, between: Engine, folder: Path) -> None:
    """Run one schedule in this process; its history is in the folder afterwards."""
    plan = scenarios.plan(name)
    with World(between, folder) as world:
        await world.ready(READY)
        recorder = Recorder(folder / "history.jsonl")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(crowd(world, recorder, plan))
                for event in plan.events:
                    await asyncio.sleep(max(0.0, event.at - recorder.now()))
                    begin = recorder.now()
                    await world.do(event)
                    recorder.fault(event, begin)
            for who in world.dead():
                recorder.crashed(who)
        finally:
            recorder.close()


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule; the others follow")
    parser.add_argument("--scenarios", action="store_true", help="those made by hand, too")
    parser.add_argument("--scenario", nargs="*", help="only these: names of scenarios.py, or seeds")
    parser.add_argument("--engine", choices=["balancer", "twemproxy"], default="balancer")
    parser.add_argument("--without", default="", help="a law that the balancer leaves out")
    parser.add_argument("--workers", type=int, default=1, help="of each balancer")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where histories go; default: a new one in the temporary folder")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--judge", type=Path, help="a history: judge it again")
    chosen = parser.parse_args()
    if chosen.judge:
        return _say(checker.check(checker.load(chosen.judge)))
    missing = lacks(chosen.engine)
    if missing:
        sys.stderr.write(f"{missing}\n")
        return 5
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="quorate-truth-"))
    if chosen.one is not None:
        between = engine(chosen.engine, chosen.without, chosen.workers)
        asyncio.run(one(chosen.one, between, folder / chosen.one))
        return 0
    campaign = Campaign(chosen.engine, folder, chosen.without, min(2, chosen.parallel), chosen.workers)
    seeds = [str(seed) for seed in range(chosen.seed, chosen.seed + chosen.schedules)]
    return _campaign(campaign, chosen.scenario or [*(scenarios.SCENARIOS if chosen.scenarios else ()), *seeds])


def _campaign(campaign: Campaign, plans: Iterable[str]) -> int:
    """Run it, say each schedule in a line, and end with one JSON object of sums."""
    began, sums, slowest, schedules = time.monotonic(), Counter[str](), 0.0, 0
    for name, report in campaign.run(plans):
        schedules += 1
        sums.update(report.kinds | report.counts())
        slowest = max(slowest, report.slowest)
        sys.stdout.write(f"{name}: {chr(10).join(checker.lines(report))}\n")
        sys.stdout.flush()
        if not report.clean:
            sys.stdout.write(f"  {campaign.folder / name}: {scenarios.plan(name).style}\n")
    totals = {"engine": campaign.engine, "without": campaign.without, "workers": campaign.workers}
    totals |= {"schedules": schedules}
    totals |= {kind: sums[kind] for kind in (*checker.BREACHES, *checker.COUNTS)}
    totals |= {"slowest_ms": round(slowest * 1000), "seconds": round(time.monotonic() - began)}
    sys.stdout.write(json.dumps(totals) + "\n")
    return 1 if any(sums[kind] for kind in (*checker.BREACHES, "crashed")) else 0


def _say(report: checker.Report) -> int:
    sys.stdout.write("\n".join(checker.lines(report, most=1000)) + "\n")
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
