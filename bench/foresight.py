"""What foresight costs: minimal cut sets of clouds of three controllers, of 200 and of 1,000 machines.

`python bench/foresight.py --output json`; a minute, no root. Each case runs in a process of its own. The last line is
one JSON object: case → `parts`, `formulas`, `cuts` (how many there are), `seconds` (for the cut sets alone), `peak_mib`
(the whole process). `check` is the verb itself on three controllers with every system, the median of five runs:
`seconds`, and `cpu` seconds, which a busy host changes less. `dice` is how likely fewer than nine tenths of 200
machines are there, by sampling, with its bounds.

Three controllers have every system, as the cloud file makes the model. Machines beyond controllers are no part of the
cloud file, so the model of 200 and 1,000 makes their formulas itself: machines in racks of 20, each with a disk, two
links to the rack's two switches, which hang on two spines, and two power supplies on the rack's two distribution
units, which hang on the room's two feeds. Functions: to run a server on each machine, and on nine tenths of all of
them, beside what three controllers with every system do.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from quorate.core.foresight import Foresight, foresee
from quorate.core.sampling import sampled
from quorate.core.system import site_of
from quorate.core.tree import AtLeast, Formula, cut_sets, every, parts, some
from quorate.model.load import load
from quorate.systems import discover

ROOT = Path(__file__).resolve().parent.parent
QUORATE = Path(sys.executable).with_name("quorate")
CASES = {
    "3 controllers, order 3": (0, 3),
    "200 machines, order 2": (200, 2),
    "200 machines, order 3": (200, 3),
    "1000 machines, order 2": (1000, 2),
}
"""Machines beside three controllers, and the order."""
RACK = 20
ENOUGH = 0.9
MOST = "run servers on nine tenths of all machines"
LOST = 1e-3
"""How likely a part is lost, for the dice."""
RUNS = 5


def cloud_file() -> str:
    """Three controllers with every system, two racks, two switches."""
    controllers = "".join(f"  controller{n}: {{addresses: 10.0.0.1{n}, fencing: 10.1.0.1{n}}}\n" for n in range(1, 4))
    systems = "".join(f"  {system.name}: {{}}\n" for system in discover())
    return (
        "cloud: bench\nnetworks:\n  management: {subnet: 10.0.0.0/24, switches: [switch-a, switch-b]}\n"
        f"vips: {{api: 10.0.0.10}}\ncontrollers:\n{controllers}systems:\n{systems}"
    )


def plane() -> Foresight:
    """What the cloud file says of it."""
    systems = discover()
    cloud = load(cloud_file(), "bench", {system.name: system.spec for system in systems})
    return foresee(site_of(cloud, systems), systems)


def machine(number: int) -> Formula:
    """Work while it, its disk, some way into the network and some power are there."""
    name, rack = f"machine {number}", number // RACK
    spines = some("spine a", "spine b")
    ways = (every(f"link {side} of {name}", f"switch {side} of rack {rack}", spines) for side in "ab")
    power = (every(f"supply {side} of {name}", f"unit {side} of rack {rack}", f"feed {side}") for side in "ab")
    return every(name, f"disk of {name}", some(*ways), some(*power))


def model(machines: int) -> tuple[dict[str, Formula], list[str]]:
    """All formulas, and those that are functions."""
    control = plane()
    runs = {f"run a server on machine {number}": machine(number) for number in range(machines)}
    functions = [one.does for one in control.functions]
    if not machines:
        return dict(control.formulas), [*functions, *control.needs, *control.keeps]
    most: dict[str, Formula] = {MOST: AtLeast(round(machines * ENOUGH), tuple(runs))}
    return {**control.formulas, **runs, **most}, [*functions, *runs, MOST]


def one(case: str) -> dict[str, Any]:
    """Do one case here."""
    machines, order = CASES[case]
    formulas, names = model(machines)
    began = time.perf_counter()
    found = cut_sets(names, formulas, order)
    seconds = time.perf_counter() - began
    return {
        "parts": len(parts(formulas)),
        "formulas": len(names),
        "cuts": sum(map(len, found.values())),
        "seconds": round(seconds, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def dice() -> dict[str, Any]:
    """Sample what has too many parts for a diagram."""
    formulas, _ = model(200)
    began = time.perf_counter()
    found = sampled(MOST, formulas, dict.fromkeys(parts(formulas), LOST), Random(0), order=3, samples=2000)  # noqa: S311 - dice
    return {**vars(found), "seconds": round(time.perf_counter() - began, 2)}


def check() -> dict[str, float]:
    """Run the verb."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cloud.yaml"
        path.write_text(cloud_file(), encoding="utf-8")
        taken, used = [], []
        for _ in range(RUNS):
            began, before = time.perf_counter(), processor()
            subprocess.run([QUORATE, "check", "-c", path], check=True, stdout=subprocess.DEVNULL)
            taken.append(time.perf_counter() - began)
            used.append(processor() - before)
    return {"seconds": round(statistics.median(taken), 2), "cpu": round(statistics.median(used), 2)}


def processor() -> float:
    """Seconds of a processor that children have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--case", choices=(*CASES, "dice"), help="only this one, in this process")
    asked = parser.parse_args()
    if asked.case:
        sys.stdout.write(json.dumps(dice() if asked.case == "dice" else one(asked.case)) + "\n")
        return
    told: dict[str, Any] = {}
    for case in (*CASES, "dice"):
        done = subprocess.run([sys.executable, __file__, "--case", case], check=True, stdout=subprocess.PIPE, cwd=ROOT)
        told[case] = json.loads(done.stdout)
        if asked.output == "text":
            sys.stderr.write(f"{case}: {told[case]}\n")
    told["check"] = check()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
