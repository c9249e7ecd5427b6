"""Whether the balancer leaks: full load and everything that clients and servers do wrong, again and again.

`python bench/soak.py [--minutes 20] --output json`. Three memcached servers, the balancer with two copies, everything
on this machine's loopback. In each round the load generator runs (load.c, each profile in turn) beside clients that are
a nuisance (soak_clients.py): mixed commands, values of 900 KB, pipelines, connections that end in the middle of a
command, readers that never read; in some rounds a server is frozen or killed and comes back. Then all clients leave,
and what the balancer still holds is noted: memory (PSS and RSS), descriptors, its connections at the servers.

The verdict looks at the second half of the rounds: the median of all slopes (Theil and Sen's) times that half's length
is the growth. More than 4 MiB of memory, or more than half a descriptor or connection, is a leak. A connection is
counted at the server, so one that is open there and not here counts too.

The last line is one JSON object: rounds, requests, hours_at_2000_per_second (to how much of a site's day the requests
correspond), throughput, for pss_mib rss_mib descriptors connections their first, last, most and growth, p99_us of each
profile in both halves, refused, wrong, leaks. Exit code 1 if there is a leak, a wrong reply or a connection that the
balancer closed; 5 if Debian packages are missing: nothing is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import daemons
import soak_clients
from daemons import Daemon, Proxy
from soak_clients import Tally

SERVERS = 3
UNSUPPORTED = 5
A_ROUND = 8.0
"""Seconds of load in a round."""
CALM = 5.0
"""Seconds in which the balancer must have let go of what left."""
PROFILES: dict[str, tuple[str, ...]] = {
    "c50": ("-c", "50", "-f"),
    "p16": ("-c", "50", "-d", "16", "-f"),
    "c200": ("-c", "200", "-f"),
    "mget20": ("-c", "50", "-k", "20", "-f"),
    "half": ("-c", "50", "-g", "50", "-v", "2048", "-f"),
    "large": ("-c", "8", "-v", "100000", "-n", "200", "-f"),
}
"""What the load generator does, by name."""
FAULTS = ("", "", "frozen", "", "", "killed")
"""What happens to a server, round by round: a freeze of a second, or two seconds without it."""
TOLERATED = {"pss_mib": 4.0, "rss_mib": 4.0, "descriptors": 0.5, "connections": 0.5}
"""Growth over the second half that is none."""
A_SITE = 2000
"""Requests a second of the site whose day this stands for."""


@dataclass(frozen=True)
class Look:
    """What the balancer holds when nobody is there."""

    at: float
    pss_mib: float
    rss_mib: float
    descriptors: int
    connections: int


@dataclass
class Soak:
    """What was seen so far."""

    began: float
    looks: list[Look] = field(default_factory=list)
    p99: dict[str, list[float]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)


# ---- the verdict, pure


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between all points: what a few odd ones do not change. 0 for fewer than two."""
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2]
    return statistics.median(slopes) if slopes else 0.0


def growths(looks: Sequence[Look]) -> dict[str, float]:
    """Return how much more of everything there is at the end of the second half than at its beginning."""
    half = looks[len(looks) // 2 :]
    length = half[-1].at - half[0].at if half else 0.0
    return {name: slope([(look.at, getattr(look, name)) for look in half]) * length for name in TOLERATED}


def judged(soak: Soak, seconds: float) -> dict[str, Any]:
    """Return the figures and the verdict."""
    looks = soak.looks
    growth = growths(looks)
    figures = {
        name: {
            "first": getattr(looks[0], name),
            "last": getattr(looks[-1], name),
            "most": max(getattr(look, name) for look in looks),
            "growth": round(growth[name], 2),
        }
        for name in TOLERATED
    }
    halves = {
        name: (values[: len(values) // 2] or values, values[len(values) // 2 :]) for name, values in soak.p99.items()
    }
    return {
        "rounds": len(looks),
        "minutes": round(seconds / 60, 1),
        "requests": soak.tally.requests,
        "hours_at_2000_per_second": round(soak.tally.requests / A_SITE / 3600, 2),
        "throughput": round(soak.tally.requests / seconds),
        **figures,
        "p99_us": {name: [round(statistics.median(half)) for half in both] for name, both in halves.items()},
        "refused": soak.tally.refused,
        "wrong": soak.tally.wrong,
        "leaks": sorted(name for name, more in growth.items() if more > TOLERATED[name]),
    }


# ---- looking


def memory(pid: int) -> tuple[float, float]:
    """Return the MiB that a process holds: its share of what it shares (PSS), and what is resident (RSS)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    kib = {line.split()[0]: float(line.split()[1]) for line in text.splitlines()[1:]}
    return kib["Pss:"] / 1024, kib["Rss:"] / 1024


def connections(servers: Sequence[int]) -> int:
    """Return how many connections the servers have, this question's own left out."""
    count = 0
    for port in servers:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(b"stats\r\n")
            reply = b""
            while not reply.endswith(b"END\r\n") and (more := sock.recv(65536)):
                reply += more
        said = dict(line.split(" ")[1:3] for line in reply.decode().splitlines() if line.startswith("STAT "))
        count += int(said["curr_connections"]) - 1
    return count


def look(pid: int, servers: Sequence[int], began: float) -> Look:
    """Note what it holds, once it has as few descriptors as it comes to."""
    folder = Path(f"/proc/{pid}/fd")
    until = time.monotonic() + CALM
    least = len(list(folder.iterdir()))
    while time.monotonic() < until:
        time.sleep(0.25)
        now = len(list(folder.iterdir()))
        if now >= least:
            break
        least = now
    pss, rss = memory(pid)
    seen = len(list(folder.iterdir()))
    return Look(time.monotonic() - began, round(pss, 2), round(rss, 2), seen, connections(servers))


# ---- what is done


class Servers:
    """The memcacheds, which can be frozen, killed and started again."""

    def __init__(self, ports: Sequence[int], folder: Path) -> None:
        self.ports = ports
        self.folder = folder
        self.daemons = [self._start(port) for port in ports]

    def _start(self, port: int) -> Daemon:
        daemon = Daemon(daemons.memcached_command(port), self.folder / f"{port}.log")
        daemon.ready(port)
        return daemon

    def disturb(self, fault: str, number: int) -> None:
        """Do something to one of them, and undo it."""
        process = self.daemons[number].process
        time.sleep(A_ROUND / 4)
        if fault == "frozen":
            process.send_signal(signal.SIGSTOP)
            time.sleep(1.0)
            process.send_signal(signal.SIGCONT)
        elif fault == "killed":
            process.kill()
            process.wait()
            time.sleep(2.0)
            self.daemons[number] = self._start(self.ports[number])

    def stop(self) -> None:
        """End them."""
        for daemon in self.daemons:
            daemon.stop()


def loaded(wanted: Sequence[str]) -> dict[str, Any]:
    """Run the load generator; again, if it could not store its items because a server was just lost."""
    for _ in range(2):
        with contextlib.suppress(SystemExit):
            return daemons.load(wanted)
        time.sleep(1.0)
    return daemons.load(wanted)


def one_round(number: int, port: int, servers: Servers, soak: Soak) -> None:
    """Let everybody do what they do, until all have left."""
    name = list(PROFILES)[number % len(PROFILES)]
    wanted = ["-p", str(port), "-w", "0.5", "-s", str(A_ROUND - 0.5), "-r", str(number), *PROFILES[name]]
    fault = FAULTS[number // len(PROFILES) % len(FAULTS)]  # every profile sees every fault
    with ThreadPoolExecutor() as together:
        nuisances = [together.submit(client, port, A_ROUND) for client in soak_clients.NUISANCES]
        disturbance = together.submit(servers.disturb, fault, number % SERVERS)
        measured = loaded(wanted)
        disturbance.result()
        tallies = [nuisance.result() for nuisance in nuisances]
    soak.p99.setdefault(name, []).append(measured["p99_us"])
    soak.tally.requests += round(measured["requests"])
    soak.tally.refused += measured["refused"]
    soak.tally.wrong += [f"load {name}: {key} {measured[key]}" for key in ("wrong", "closed") if measured[key]]
    for tally in tallies:
        soak.tally.add(tally)


@contextlib.contextmanager
def prepared() -> Iterator[tuple[int, int, Servers]]:
    """Start everything; gives the balancer's port and process, and the servers."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-soak-")))
        port, *ports = daemons.ports(SERVERS + 1)
        servers = Servers(ports, folder)
        stack.callback(servers.stop)
        command = daemons.proxy_command(Proxy("quorate", "quorate", copies=2), "", port, ports, folder)
        daemon = stack.enter_context(daemons.running(command, port, folder / "balancer.log"))
        yield port, daemon.process.pid, servers


def run(minutes: float) -> dict[str, Any]:
    """Do rounds until the time is over; returns the figures."""
    with prepared() as (port, pid, servers):
        soak = Soak(time.monotonic())
        number = 0
        while number < 4 or time.monotonic() - soak.began < 60 * minutes:
            one_round(number, port, servers, soak)
            soak.looks.append(look(pid, servers.ports, soak.began))
            number += 1
            tell(number, soak)
            if not Path(f"/proc/{pid}").exists():
                raise SystemExit("soak: the balancer is gone")
        return judged(soak, time.monotonic() - soak.began)


def tell(number: int, soak: Soak) -> None:
    """Print a line of progress."""
    seen = soak.looks[-1]
    held = f"{seen.pss_mib:.1f} MiB, {seen.descriptors} descriptors, {seen.connections} connections at servers"
    sys.stderr.write(f"round {number}, {seen.at:.0f} s: {soak.tally.requests} requests, {held}\n")
    sys.stderr.flush()


def told(figures: Mapping[str, Any]) -> str:
    """Return the verdict for people."""
    hours = figures["hours_at_2000_per_second"]
    lines = [f"{figures['requests']} requests in {figures['minutes']} minutes: {hours} hours of {A_SITE} a second"]
    for name in TOLERATED:
        one = figures[name]
        lines.append(
            f"{name}: {one['first']} at first, {one['last']} at last, grew by {one['growth']} in the second half"
        )
    lines.append(f"refused: {figures['refused']}")
    lines.append("wrong: " + ("; ".join(figures["wrong"]) or "none"))
    lines.append("leaks: " + (", ".join(figures["leaks"]) or "none"))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Soak; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--output", choices=["text", "json"], default="text")
    asked = parser.parse_args()
    if lacking := daemons.missing():
        sys.stderr.write(f"soak: needs the Debian packages {', '.join(lacking)}\n")
        return UNSUPPORTED
    figures = run(asked.minutes)
    sys.stdout.write(f"{json.dumps(figures)}\n" if asked.output == "json" else told(figures))
    return 1 if figures["leaks"] or figures["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
