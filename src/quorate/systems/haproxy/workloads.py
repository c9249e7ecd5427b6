"""haproxy: the clients of a drill, one for each of the VIPs' ports, and one for the page that names the holder."""

from __future__ import annotations

from quorate.core.drill import Workload
from quorate.core.system import Site
from quorate.systems.haproxy.config import HaproxySpec, frontends

RATE = 10.0
SHOWS = {"api": "virtual-ip"}
"""Who answers at the API's address is the one whose loss clients notice most."""
_PROGRAM = "quorate.systems.haproxy.client"


def workloads(spec: HaproxySpec, site: Site) -> tuple[Workload, ...]:
    """A connection to every front end, and every VIP's page."""
    names = list(site.cloud.names)

    def workload(name: str, program: str, host: str, port: int, shows: str = "") -> Workload:
        return Workload(
            name=name,
            function="virtual_ip",
            objective="virtual_ip",
            client=f"{_PROGRAM}:{program}",
            rate=RATE,
            shows=shows,
            settings={"host": host, "port": port, "controllers": names},
        )

    connecting = [workload(f"connect_{e.kind}", "Connecting", e.address, e.port) for e, _ in frontends(site)]
    pages = [
        workload(f"probe_page_{name}", "Page", str(vip.address), spec.probe_port, SHOWS.get(name, ""))
        for name, vip in site.cloud.vips.items()
        if spec.probe_port
    ]
    return (*connecting, *pages)
