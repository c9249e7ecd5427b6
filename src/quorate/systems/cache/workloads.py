"""The cache: the clients of a drill, one for each controller, at work through that controller's own balancer."""

from __future__ import annotations

from quorate.core.drill import Workload
from quorate.core.system import Site
from quorate.systems.cache.config import PROXIES, CacheSpec

_PROGRAM = "quorate.systems.cache.client:Keys"


def workloads(spec: CacheSpec, site: Site) -> tuple[Workload, ...]:
    """Each reads what the others write, unless every controller caches for itself (`localhost`).

    With `direct` services choose among the servers themselves, on the management network: that way leads through no
    controller's loopback, and there is no client.
    """
    if spec.engine == "direct":
        return ()
    names = site.cloud.names
    shared = spec.engine in PROXIES
    return tuple(
        Workload(
            name=f"cache_{name}",
            function="cache",
            objective="cache",
            client=_PROGRAM,
            rate=20.0,
            at=name,
            settings={
                "port": site.endpoint("cache").port,
                "owner": name,
                "others": [other for other in names if other != name] if shared else [],
            },
        )
        for name in names
    )
