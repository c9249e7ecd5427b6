"""All services at once on three lab machines: what the first `apply` takes, a second one, a look, and how much memory.

`python bench/services.py --output json` as root; about ten minutes. The last line is one JSON object: `apply_s` (from
three machines that have the packages to all services serving), `again_s` (median of `--runs` whole processes that have
nothing to do), `status_s` (the same of `status`), `memory_gib` (what the host has less afterwards, the disk's cache not
counted) and `cores`. Swift's proxy is left out: its rings are the operator's; so are Neutron's agents, for which the
kernel of this host may lack Open vSwitch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUORATE = Path(sys.executable).with_name("quorate")
LAB = "bench"
NAMES = ("ceilometer", "cinder", "heat", "horizon", "nova")
"""With what they need these are all."""


def quorate(*words: str, cwd: Path = ROOT) -> tuple[float, str]:
    """Run a verb, which must succeed; give the seconds and what it printed."""
    began = time.monotonic()
    done = subprocess.run([QUORATE, *words], cwd=cwd, check=False, text=True, stdout=subprocess.PIPE)
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"bench: quorate {' '.join(words)} failed:\n{done.stdout[-3000:]}")
    return seconds, done.stdout


def available() -> int:
    """Memory that is free or could be at once, KiB (proc(5), MemAvailable)."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def measured(folder: Path, runs: int) -> dict[str, float]:
    """Make the cloud, look at it, and run again."""
    before = available()
    apply_s, _ = quorate("apply", "--yes", cwd=folder)
    again, looks = [], []
    for _ in range(runs):
        seconds, said = quorate("apply", "--yes", "--output", "json", cwd=folder)
        if json.loads(said)["changes"]:
            raise SystemExit("bench: a further run changed something")
        again.append(seconds)
        looks.append(quorate("status", "--output", "json", cwd=folder)[0])
    return {
        "apply_s": round(apply_s, 1),
        "again_s": round(statistics.median(again), 1),
        "status_s": round(statistics.median(looks), 1),
        "memory_gib": round((before - available()) / (1 << 20), 1),
    }


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", choices=["text", "json"], default="text")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    asked = parser.parse_args()
    folder = ROOT / "lab" / LAB
    wanted = [word for name in NAMES for word in ("--with", name)]
    subprocess.run([QUORATE, "lab", "down", "--name", LAB], check=False, stdout=2)  # what a killed run left
    try:
        up: list[str | Path] = [QUORATE, "lab", "up", folder, "--name", LAB, "--subnet", "10.81.0.0/24", *wanted]
        subprocess.run(up, check=True, stdout=2)
        figures = measured(folder, asked.runs)
    finally:
        if not asked.keep:
            subprocess.run([QUORATE, "lab", "down", "--name", LAB], check=False, stdout=2)
    if asked.output == "text":
        sys.stderr.write(
            f"apply {figures['apply_s']} s; again {figures['again_s']} s; status {figures['status_s']} s; "
            f"{figures['memory_gib']} GiB\n"
        )
    sys.stdout.write(json.dumps({**figures, "cores": os.cpu_count(), "runs": asked.runs}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
