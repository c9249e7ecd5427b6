"""memcached: its section of cloud.yaml, its files and its unit, and the endpoint that it offers."""

from __future__ import annotations

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.system import Endpoint, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

PORT = 11211
CONFIG = "/etc/memcached.conf"
DROP_IN = "/etc/systemd/system/memcached.service.d"


class MemcachedSpec(Spec):
    """The section `memcached`. Every server is alike: keys are spread evenly over them."""

    memory_mb: int = Field(default=256, ge=64, description="Memory for items on each controller, MiB (`-m`).")
    max_connections: int = Field(
        default=4096,
        ge=64,
        le=65536,
        description="Clients at a time (`-c`). The daemon's own 1024 is less than one client a worker thread may need.",
    )
    max_item_mb: int = Field(default=1, ge=1, le=128, description="Largest item, MiB (`-I`); 1 is the daemon's own.")


def resources(spec: MemcachedSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """Debian's own unit and file, listening on the management network and this machine only."""
    values = {**spec.model_dump(), "address": site.cloud.address(host), "port": PORT}
    package = "quorate.systems.memcached"
    return (
        Package("memcached"),
        Directory(DROP_IN),
        File(CONFIG, render(package, "memcached.conf.j2", **values)),
        File(f"{DROP_IN}/quorate.conf", render(package, "unit.conf.j2")),
        Unit("memcached.service", inputs=(CONFIG, f"{DROP_IN}/quorate.conf")),
    )


def endpoints(_spec: MemcachedSpec, cloud: Cloud) -> tuple[Endpoint, ...]:
    """One port on all controllers; the address is the first one's, for those who need just any server."""
    return (Endpoint("cache-servers", cloud.address(cloud.names[0]), PORT),)


def warnings(_spec: MemcachedSpec, _cloud: Cloud) -> tuple[str, ...]:
    """Memcached of Debian knows neither users nor encryption."""
    return ("whoever reaches the management network can read and change what is cached, without a password",)
