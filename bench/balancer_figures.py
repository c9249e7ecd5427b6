"""What `bench/balancer.py` measures, and what it makes of the measurements; pure.

A run is what the load generator printed (bench/load.c says what is in it). A round has one run of each proxy, one
after another. A ratio is the median of the ratios within each round, so that what the machine does meanwhile weighs on
both sides; every other figure is the median of the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from daemons import Proxy

OURS = Proxy("quorate", "quorate")
TWEMPROXY = Proxy("twemproxy", "twemproxy")
MEMCACHED_PROXY = Proxy("memcached_proxy", "memcached_proxy")
DIRECT = Proxy("direct", "direct")
OTHERS = (TWEMPROXY, MEMCACHED_PROXY)
LATENCIES = ("p50_us", "p99_us", "p999_us")
GENERATOR_CORES = 0.9
"""A load generator that is busier than this share of its core is what limits."""
FAULTS = ("wrong", "refused", "closed", "stalled")

Run = Mapping[str, Any]
Round = Mapping[str, Run]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One kind of load. `stubs`: servers that cost next to nothing; the proxy, alone on its cores, is saturated."""

    name: str
    proxies: tuple[Proxy, ...]
    connections: int = 50
    depth: int = 1
    gets: int = 90
    size: int = 100
    keys: int = 1
    stubs: bool = False

    def arguments(self) -> list[str]:
        """Return the load generator's."""
        pairs = {"-c": self.connections, "-d": self.depth, "-g": self.gets, "-v": self.size, "-k": self.keys}
        return [text for flag, value in pairs.items() for text in (flag, str(value))]


ALL = (OURS, *OTHERS, DIRECT)
TWO_WORKERS = (Proxy("quorate", "quorate", workers=2), Proxy("one_worker", "quorate"))
TWO_COPIES = (Proxy("quorate", "quorate", copies=2), *OTHERS)
SCENARIOS = (
    Scenario("c1", ALL, connections=1),
    Scenario("c50", ALL),
    Scenario("c200", ALL, connections=200),
    Scenario("p16", ALL, depth=16),
    Scenario("v2k", ALL, size=2048),
    Scenario("mget20", ALL, keys=20),
    Scenario("mget50", ALL, keys=50),
    Scenario("copies2", TWO_COPIES),
    Scenario("copies2_half", TWO_COPIES, gets=50),
    Scenario("workers2", (*TWO_WORKERS, *OTHERS)),
    Scenario("saturated_c50", ALL, stubs=True),
    Scenario("saturated_p16", ALL, depth=16, stubs=True),
    Scenario("saturated_v2k", ALL, size=2048, stubs=True),
    Scenario("saturated_mget20", ALL, keys=20, stubs=True),
    # Pipelined, so that the generator and the stubs need little: two cores are nearly enough for two workers.
    Scenario("saturated_workers2", (*TWO_WORKERS, *OTHERS, DIRECT), depth=16, stubs=True),
)


def cores(scenario: Scenario, proxy: Proxy, available: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which cores the proxy and the rest are kept to; both empty: the kernel decides."""
    if not scenario.stubs or proxy == DIRECT or len(available) < 2 * proxy.workers:
        return [], []
    return list(available[-proxy.workers :]), list(available[: -proxy.workers])


def ratio(rounds: Sequence[Round], other: str, *path: str) -> float | None:
    """Return our figure divided by another's, median of the rounds; None if either is not there."""
    pairs = [(at(one.get("quorate"), path), at(one.get(other), path)) for one in rounds]
    ratios = [ours / theirs for ours, theirs in pairs if ours is not None and theirs]
    return round(median(ratios), 3) if ratios else None


def at(run: Any, path: Sequence[str]) -> float | None:
    """Return the figure inside a run, None if there is none."""
    for name in path:
        run = run.get(name) if isinstance(run, Mapping) else None
    return run if isinstance(run, int | float) else None


def middle(runs: Sequence[Run], *path: str) -> float | None:
    """Return the median of a figure over the runs."""
    found = [value for run in runs if (value := at(run, path)) is not None]
    return round(median(found), 2) if found else None


def alone(runs: Sequence[Run]) -> Figures:
    """One proxy's own figures; `cores_used` near the count of its workers says that it was saturated."""
    cpu = [used * run["throughput"] / 1e6 for run in runs if (used := at(run, ("cpu_us", "proxy"))) is not None]
    return {
        "throughput": middle(runs, "throughput"),
        "cpu_us": middle(runs, "cpu_us", "proxy"),
        **{name: middle(runs, name) for name in LATENCIES},
        "cores_used": round(median(cpu), 2) if cpu else None,
        "load_cores_used": middle(runs, "load_share"),
        "misses": sum(run["misses"] for run in runs),
        "faults": sum(run[fault] for run in runs for fault in FAULTS),
    }


def figures(rounds: Sequence[Round]) -> Figures:
    """All of one scenario: ours, ours against each other proxy, each other's own."""
    names = {name: None for one in rounds for name in one}
    proxies = {name: alone([one[name] for one in rounds if name in one]) for name in names}
    found = dict(proxies.pop("quorate"))
    for other in dict.fromkeys((*(proxy.name for proxy in OTHERS), *proxies)):
        found[f"throughput_vs_{other}"] = ratio(rounds, other, "throughput")
        found[f"p99_vs_{other}"] = ratio(rounds, other, "p99_us")
        if other != DIRECT.name:
            found[f"cpu_vs_{other}"] = ratio(rounds, other, "cpu_us", "proxy")
    return {**found, "proxies": proxies}


def runs_of(result: Mapping[str, Any]) -> list[tuple[str, Figures]]:
    """Every proxy's own figures in every scenario, with a name for both."""
    found = []
    for scenario, one in result.items():
        if isinstance(one, Mapping) and "proxies" in one:
            found += [(f"{scenario} {name}", own) for name, own in {"quorate": one, **one["proxies"]}.items()]
    return found


def faults(result: Mapping[str, Any]) -> list[str]:
    """Say who gave wrong, refused or no replies: such figures mean nothing."""
    return [
        f"{name}: {own['faults']} wrong, refused or missing replies" for name, own in runs_of(result) if own["faults"]
    ]


def doubts(result: Mapping[str, Any]) -> list[str]:
    """Say where the load generator was what limited (without a proxy, it may), and where items were not found."""
    runs = [(name, own) for name, own in runs_of(result) if not name.endswith(f" {DIRECT.name}")]
    busy = [name for name, own in runs if own["load_cores_used"] > GENERATOR_CORES]
    lost = [f"{name}: {own['misses']} misses" for name, own in runs if own["misses"]]
    return [f"{name}: the load generator was the bottleneck" for name in busy] + lost


COLUMNS = (
    "throughput",
    "cpu_us",
    *LATENCIES,
    "throughput_vs_twemproxy",
    "cpu_vs_twemproxy",
    "throughput_vs_memcached_proxy",
)


def row(name: str, found: Figures) -> str:
    """Return one scenario as a line of the table."""
    return f"{name:20}" + "".join("         -" if found[c] is None else f"{found[c]:10.6g}" for c in COLUMNS)


def heading() -> str:
    """Return the table's first line."""
    short = {
        name: name.replace("throughput", "thr").replace("memcached_proxy", "mcproxy").replace("twemproxy", "twem")
        for name in COLUMNS
    }
    return f"{'scenario':20}" + "".join(f"{short[name][-10:]:>10}" for name in COLUMNS)
