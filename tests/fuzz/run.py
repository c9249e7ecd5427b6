"""Fuzz what reads others' bytes: `python -m fuzz.run [--minutes 30] [--target NAME …] [--fuzzer guided|hypothesis …]`.

That is the balancer, and the audit with the archives that it is given. Two fuzzers side by side, each for so many
minutes, which its targets share (targets.py): hypothesis with structured inputs, and libFuzzer (atheris) led by what
code an input reaches. A line for each target: executions, the edges that were covered (guided only), findings. Inputs,
logs and findings lie in build/fuzz. Exit code 1 and the file's name if an input breaks a property; `--reproduce TARGET
FILE` runs such a file again. A finding becomes a test in test_found.py.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build/fuzz"
FUZZERS = ("guided", "hypothesis")
GRACE = 120.0
"""Seconds more than asked for, after which a fuzzer itself hangs."""


@dataclass(frozen=True)
class Result:
    """What one fuzzer did with one target. `covered`: edges of the target's code, if the fuzzer counts them."""

    fuzzer: str
    target: str
    executions: int
    covered: int | None
    seconds: float
    findings: Sequence[Path]

    def told(self) -> str:
        """Return the lines for people."""
        edges = "" if self.covered is None else f", {self.covered} edges covered"
        files = "".join(f"\n  {path}" for path in self.findings)
        done = f"{self.executions:9} executions in {self.seconds:5.0f} s{edges}"
        return f"{self.fuzzer:10} {self.target:9} {done}, {len(self.findings)} findings{files}\n"


def measure(fuzzer: str, target: str, seconds: float) -> Result:
    """Run one fuzzer on one target in a process of its own."""
    folder = FOLDER / fuzzer / target
    (folder / "findings").mkdir(parents=True, exist_ok=True)
    before = set((folder / "findings").iterdir())
    command = [sys.executable, "-m", "fuzz.fuzzers", fuzzer, target, f"{seconds:.0f}", str(folder)]
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(seconds + GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
    executions, covered = counted((folder / "log").read_text(encoding="utf-8", errors="replace"))
    findings = sorted(set((folder / "findings").iterdir()) - before)
    if code and not findings:
        findings = [folder / "log"]  # it could not begin, or hung
    return Result(fuzzer, target, executions, covered, time.monotonic() - began, findings)


def counted(log: str) -> tuple[int, int | None]:
    """Read what a fuzzer wrote: how many inputs it ran, and how much they covered."""
    executions = re.findall(r"(?:^#|number_of_executed_units: |executions: )([0-9]+)", log, re.MULTILINE)
    covered = re.findall(r"cov: ([0-9]+)", log)
    return max(map(int, executions), default=0), max(map(int, covered)) if covered else None


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of each fuzzer")
    parser.add_argument("--target", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--fuzzer", nargs="+", choices=FUZZERS, default=list(FUZZERS))
    parser.add_argument("--reproduce", nargs=2, metavar=("TARGET", "FILE"), help="run one input")
    return parser.parse_args()


def main() -> int:
    """Fuzz; returns the exit code."""
    asked = options()
    if asked.reproduce:
        return subprocess.call([sys.executable, "-m", "fuzz.fuzzers", "once", *asked.reproduce])
    whole = sum(TARGETS[target].share for target in asked.target)

    def lane(fuzzer: str) -> list[Result]:
        results = []
        for target in asked.target:
            results.append(measure(fuzzer, target, 60 * asked.minutes * TARGETS[target].share / whole))
            sys.stdout.write(results[-1].told())
            sys.stdout.flush()
        return results

    with ThreadPoolExecutor() as lanes:
        results = [result for lane in lanes.map(lane, asked.fuzzer) for result in lane]
    found = sum(len(result.findings) for result in results)
    sys.stdout.write(f"{sum(result.executions for result in results)} executions, {found} findings\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
