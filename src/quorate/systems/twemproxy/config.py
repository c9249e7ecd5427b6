"""twemproxy: its section of cloud.yaml, its files and its unit, and the endpoint that it offers."""

from __future__ import annotations

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.system import Endpoint, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

PORT = 22122
STATS_PORT = 22222
POOL = "cache"
CONFIG = "/etc/nutcracker/nutcracker.yml"
DROP_IN = "/etc/systemd/system/nutcracker.service.d"


class TwemproxySpec(Spec):
    """The section `twemproxy`: how soon a server that stops answering is left out, and for how long."""

    timeout_ms: int = Field(
        default=400,
        ge=50,
        le=900,
        description="Wait for a server, ms. Below the clients' own 1 s, else they give up on the proxy as a whole.",
    )
    failure_limit: int = Field(default=2, ge=1, le=10, description="Failures in a row that take a server out.")
    retry_ms: int = Field(
        default=30000, ge=1000, description="After this time, ms, a server that was taken out is tried again."
    )


def resources(spec: TwemproxySpec, site: Site, host: str) -> tuple[Resource, ...]:
    """Debian's package and unit, both ports on loopback; the ring is the same on every controller."""
    del host  # nothing depends on where it runs: that is what makes the rings equal
    package = "quorate.systems.twemproxy"
    servers = [(name, f"{site.cloud.address(name)}:{site.endpoint('cache-servers').port}") for name in site.cloud.names]
    ring = render(package, "nutcracker.yml.j2", pool=POOL, port=PORT, servers=servers, **spec.model_dump())
    return (
        Package("nutcracker"),
        Directory(DROP_IN),
        File(CONFIG, ring),
        File(f"{DROP_IN}/quorate.conf", render(package, "unit.conf.j2", stats_port=STATS_PORT)),
        Unit("nutcracker.service", inputs=(CONFIG, f"{DROP_IN}/quorate.conf")),
    )


def endpoints(_spec: TwemproxySpec, _cloud: Cloud) -> tuple[Endpoint, ...]:
    """The cache, on every controller at its own loopback address."""
    return (Endpoint("cache", "127.0.0.1", PORT),)
