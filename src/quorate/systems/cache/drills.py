"""The cache in drills: with our own balancer the loss of servers is not noticed, that of the balancer itself is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quorate.balancer.registers import quorum
from quorate.core.drill import Drills, Process, Roles
from quorate.core.failure import Pause, Stage
from quorate.core.fault import MACHINE, Hit, Loss
from quorate.core.foresight import member, process, up
from quorate.core.system import Site
from quorate.core.tree import AtLeast, Formula, every, some
from quorate.systems.cache.config import PROXIES, CacheSpec
from quorate.systems.cache.engines import UNITS
from quorate.systems.cache.workloads import workloads

FUNCTION = "cache"
WAITED_FOR = "cache:waited-for"
"""What rests on nothing but that the cache says something."""
PART = "cache"
BACK = 2.0
"""Seconds until one that died serves again: RestartSec=100ms, Python's start, a look at the servers (measured)."""
WATCHDOG = 3.0
"""Seconds after which the service manager ends a balancer that says nothing: WatchdogSec."""


def processes(spec: CacheSpec, _site: Site) -> Sequence[Process]:
    """Engines without a daemon have nothing that could be hit; the others listen on the loopback."""
    watchdog = WATCHDOG if spec.engine == "quorate" else 0.0
    return (Process(PART, UNITS[spec.engine], watchdog=watchdog),) if spec.engine in PROXIES else ()


def stands(spec: CacheSpec, site: Site) -> Formula:
    """The engine on any controller; our own also wants a quorum of the servers.

    Without it nobody could say what is old: every read is a miss, and nothing is stored (decision 8).
    """
    hosts = site.cloud.names
    daemons = [some(*(every(up(host), process(one.unit, host)) for host in hosts)) for one in processes(spec, site)]
    servers = [member("cache-servers", host) for host in hosts]
    known = AtLeast(quorum(len(servers)), tuple(servers))
    return every(*daemons, known) if spec.engine == "quorate" else every(*daemons)


def reacts(spec: CacheSpec, _site: Site, _roles: Roles, hits: Sequence[Hit]) -> Sequence[Pause]:
    """What the engine's clients see. Other engines' figures: docs/balancer-faults.md."""
    found: list[Pause | None] = []
    for hit in hits:
        if hit.part == PART:
            pause = _daemon(hit)
            found.append(pause)
            if hit.loss is Loss.HUNG:  # who is refused goes on without, who waits does not
                found.append(replace(pause, function=WAITED_FOR))
        elif hit.part in {MACHINE, "cache-servers"} and spec.engine != "quorate":
            found.append(_servers(spec, hit))
    return [pause for pause in found if pause is not None]


def _daemon(hit: Hit) -> Pause:
    back = Stage("systemd starts it again", BACK, "RestartSec of the engine's unit, and its start")
    because = f"the cache's engine on {hit.host} is gone"
    if hit.loss is Loss.DRAINED:
        held = (Stage("nobody starts it", hit.lasts, "how long it is to be stopped"),) if hit.lasts else ()
        return Pause(FUNCTION, f"the cache's engine on {hit.host} is stopped", (*held, back), takes_over=(hit.host,))
    if hit.loss is Loss.REFUSED:
        return Pause(FUNCTION, because, (back,), takes_over=(hit.host,))
    watched = Stage("the service manager misses it", hit.lasts, "WatchdogSec of quorate-balancer.service")
    stages = (watched, back) if hit.lasts else ()
    return Pause(FUNCTION, f"the cache's engine on {hit.host} hangs", stages, takes_over=(hit.host,))


def _servers(spec: CacheSpec, hit: Hit) -> Pause | None:
    seconds = {
        "twemproxy": spec.twemproxy.timeout_ms * spec.twemproxy.failure_limit / 1000,
        "memcached-proxy": spec.memcached_proxy.timeout_ms * spec.memcached_proxy.failure_limit / 1000,
        "direct": 3.0,
    }.get(spec.engine, 0.0)
    if not seconds:
        return None
    stage = Stage("its failures are counted", seconds, f"systems.cache, engine {spec.engine}: timeout x failures")
    return Pause(FUNCTION, f"the memcached of {hit.host} is lost", (stage,))


DRILLS = Drills[CacheSpec](processes=processes, reacts=reacts, workloads=workloads)
