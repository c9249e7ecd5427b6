"""haproxy: the clients of a drill, one for each of the VIPs' ports, and one for the page that names the holder."""

from __future__ import annotations

from quorate.core.drill import Workload
from quorate.core.system import Site
from quorate.systems.haproxy.config import HaproxySpec, frontends

RATE = 10.0
CONNECTIONS = 20.0
"""Connections a second to all front ends together: each is served by whoever holds its VIP."""
SHOWS = {"api": "virtual-ip"}
"""Who answers at the API's address is the one whose loss clients notice most."""
_PROGRAM = "quorate.systems.haproxy.client"


def workloads(spec: HaproxySpec, site: Site) -> tuple[Workload, ...]:
    """A connection to every front end, and every VIP's page."""
    names = list(site.cloud.names)

    served = frontends(site)
    share = min(RATE, CONNECTIONS / max(1, len(served)))

    def workload(name: str, program: str, host: str, port: int, *, shows: str = "", rate: float = RATE) -> Workload:
        return Workload(
            name=name,
            function="virtual_ip",
            objective="virtual_ip",
            client=f"{_PROGRAM}:{program}",
            rate=rate,
            shows=shows,
            settings={"host": host, "port": port, "controllers": names},
        )

    connecting = [workload(f"connect_{e.kind}", "Connecting", e.address, e.port, rate=share) for e, _ in served]
    pages = [
        workload(f"probe_page_{name}", "Page", str(vip.address), spec.probe_port, shows=SHOWS.get(name, ""))
        for name, vip in site.cloud.vips.items()
        if spec.probe_port
    ]
    return (*connecting, *pages)
