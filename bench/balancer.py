"""The balancer's speed, side by side with twemproxy, memcached's own proxy and no proxy at all.

`python bench/balancer.py [--quick] --output json`. The last line is one JSON object with an entry for each scenario:

- c1 c50 c200: connections; p16: 50 connections, 16 requests under way on each; v2k: values of 2 KB
- mget20 mget50: keys in each get
- copies2 copies2_half: two copies against the others' one, 90 and 50 per cent gets
- workers2: two of our workers, against one of ours (throughput_vs_one_worker) and the others' one
- saturated_…: stub servers, so that the proxy is what limits

In each: our throughput (requests a second), cpu_us (CPU microseconds of the proxy for a request, from the kernel's
accounting), p50_us p99_us p999_us, and for each other proxy throughput_vs_…, cpu_vs_… and p99_vs_… (ours divided by
theirs); `proxies` has the others' own figures. What cannot be measured here is null, and `absent` says why.

Our balancer is the one file that controllers get, run by the distribution's python3 as there (one that was built
without the compiler's optimizations takes a quarter longer). Three memcached servers (another one for `direct`) and
everything else run on this machine's loopback. Each round runs each proxy once, started afresh with no other running,
every item stored first; every reply is checked. Ratios are medians over rounds of the ratio within the round. Not said
otherwise: 50 connections, 90 per cent gets, values of 100 bytes, 10,000 items, one worker. `cores_used` near the count
of workers says that a proxy was saturated; `direct` with stub servers is the most that the load generator can do.

Exit code 1 if any reply was wrong or missing; 5 if Debian packages are missing: nothing is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import balancer_figures
import daemons
from balancer_figures import DIRECT, MEMCACHED_PROXY, SCENARIOS, Round, Scenario
from daemons import Proxy

SERVERS = 3
UNSUPPORTED = 5


@dataclass(frozen=True)
class Bench:
    """How long to measure, and the ports of memcached (`real`; the last one for `direct`) and of the stub servers."""

    rounds: int
    seconds: float
    warm: float
    ours: str
    folder: Path
    real: Sequence[int]
    stubs: Sequence[int]
    cores: Sequence[int]

    def run(self, scenario: Scenario, proxy: Proxy, seed: int) -> dict[str, Any]:
        """Measure one proxy once."""
        ours, rest = balancer_figures.cores(scenario, proxy, self.cores)
        wanted = [*scenario.arguments(), "-w", str(self.warm), "-s", str(self.seconds), "-r", str(seed)]
        log = self.folder / f"{proxy.name}.log"
        with contextlib.ExitStack() as stack:
            servers = self.real[:SERVERS]
            if scenario.stubs:
                command = [str(daemons.compiled("stub")), *map(str, self.stubs)]
                stack.enter_context(daemons.running(command, self.stubs[0], self.folder / "stub.log", rest))
                servers = self.stubs
            else:
                wanted.append("-f")
            if proxy == DIRECT:
                return daemons.load(["-p", str(servers[0] if scenario.stubs else self.real[SERVERS]), *wanted], rest)
            (port,) = daemons.ports(1)
            command = daemons.proxy_command(proxy, self.ours, port, servers, self.folder)
            daemon = stack.enter_context(daemons.running(command, port, log, ours))
            return daemons.load(["-p", str(port), "-P", f"proxy:{daemon.process.pid}", *wanted], rest)

    def measure(self, scenario: Scenario, absent: Sequence[str]) -> list[Round]:
        """Every proxy in turn, as many rounds as asked for."""
        proxies = [proxy for proxy in scenario.proxies if proxy.kind not in absent]
        return [
            {proxy.name: self.run(scenario, proxy, seed) for proxy in proxies} for seed in range(1, self.rounds + 1)
        ]


@contextlib.contextmanager
def prepared(asked: argparse.Namespace) -> Iterator[Bench]:
    """Start the memcached servers."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-bench-")))
        *real, a, b, c = daemons.ports(SERVERS + 4)
        for port in real:
            stack.enter_context(daemons.running(daemons.memcached_command(port), port, folder / f"{port}.log"))
        cores = sorted(os.sched_getaffinity(0))
        rounds = asked.rounds or (3 if asked.quick else 7)
        seconds = asked.seconds or (0.6 if asked.quick else 2.0)
        yield Bench(rounds, seconds, seconds / 4, asked.ours, folder, real, (a, b, c), cores)


def say(text: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def options() -> argparse.Namespace:
    """Read the command line."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 0.6 s instead of 7 of 2 s")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="of each run, after a quarter as much of warming up")
    parser.add_argument("--only", default="", help=f"scenarios, separated by commas: {' '.join(names)}")
    parser.add_argument("--output", choices=["text", "json"], default="text")
    parser.add_argument(
        "--ours",
        default="",
        metavar="COMMAND",
        help="measure this instead of our balancer; {config} {port} {servers} {copies} {workers} are filled in",
    )
    asked = parser.parse_args()
    asked.only = asked.only.split(",") if asked.only else names
    if unknown := set(asked.only) - set(names):
        parser.error(f"no such scenario: {' '.join(sorted(unknown))}")
    return asked


def main() -> int:
    """Run the bench."""
    asked = options()
    if packages := daemons.missing():
        say(f"bench: these Debian packages are missing: {' '.join(packages)}")
        return UNSUPPORTED
    absent = {}
    if not daemons.memcached_with_proxy():
        absent[MEMCACHED_PROXY.name] = (
            "no memcached with a proxy: `quorate lab up` of Debian 13 makes an image that has one"
        )
        say(f"bench: {absent[MEMCACHED_PROXY.name]}")
    result: dict[str, Any] = {}
    with prepared(asked) as bench:
        say(balancer_figures.heading())
        for scenario in SCENARIOS:
            if scenario.name in asked.only:
                result[scenario.name] = balancer_figures.figures(bench.measure(scenario, list(absent)))
                say(balancer_figures.row(scenario.name, result[scenario.name]))
        result |= {"rounds": bench.rounds, "seconds": bench.seconds, "cores": len(bench.cores), "absent": absent}
    wrong = balancer_figures.faults(result)
    for line in (*wrong, *balancer_figures.doubts(result)):
        say(f"bench: {line}")
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
