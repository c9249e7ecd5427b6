"""haproxy: the clients of a drill, one for each of the VIPs' ports, and one for the page that names the holder."""

from __future__ import annotations

from quorate.core.drill import Workload
from quorate.core.system import Site
from quorate.systems.haproxy.config import HaproxySpec, frontends

RATE = 10.0
_PROGRAM = "quorate.systems.haproxy.client"


def workloads(spec: HaproxySpec, site: Site) -> tuple[Workload, ...]:
    """A connection to every front end, and every VIP's page."""
    connecting = [
        _workload(f"connect_{endpoint.kind}", "Connecting", endpoint.address, endpoint.port, site)
        for endpoint, _ in frontends(site)
    ]
    pages = [
        _workload(f"probe_page_{name}", "Page", str(vip.address), spec.probe_port, site)
        for name, vip in site.cloud.vips.items()
        if spec.probe_port
    ]
    return (*connecting, *pages)


def _workload(name: str, program: str, host: str, port: int, site: Site) -> Workload:
    return Workload(
        name=name,
        function="virtual_ip",
        objective="virtual_ip",
        client=f"{_PROGRAM}:{program}",
        rate=RATE,
        settings={"host": host, "port": port, "controllers": list(site.cloud.names)},
    )
