"""The proxy on the VIPs: its section of the cloud file, what it offers, and what is on every controller."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Sysctl, Unit
from quorate.core.system import Endpoint, Frontend, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

CONFIGURATION = "/etc/haproxy/haproxy.cfg"
DROP_IN = "/etc/systemd/system/haproxy.service.d/quorate.conf"
AGENT = "/usr/lib/ocf/resource.d/quorate/proxy"
SOCKET = "/run/haproxy/admin.sock"


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def seconds(time: str) -> float:
    """Read a time as HAProxy does, with its unit: `500ms`, `2s`, `1m`."""
    number = time.rstrip("ms")
    return int(number) * _UNITS[time[len(number) :]]


class HaproxySpec(Spec):
    """The proxy that stands on the VIPs and sends clients to the controllers' healthy servers."""

    maxconn: int = Field(default=8000, ge=100, description="Connections that one controller's proxy serves at once.")
    connect_timeout: str = Field(
        default="2s",
        pattern=r"^\d+(ms|s|m)$",
        description="How long a server may take to accept a connection before another one is tried.",
    )
    drain: str = Field(
        default="30s",
        pattern=r"^\d+(s|m|h)$",
        description="How long connections of the former configuration live on after a reload. They are not watched by "
        "health checks any more, so that a short time is a safe one.",
    )
    answer_port: int = Field(
        default=8098, ge=1, le=65535, description="Where the proxy answers on the loopback that it is alive."
    )
    probe_port: int = Field(
        default=8099,
        ge=0,
        le=65535,
        description="A page on every VIP that names the controller which holds it; 0: none.",
    )
    peers_port: int = Field(
        default=8097,
        ge=1,
        le=65535,
        description="Where, on the loopback, a reloaded proxy takes over which database server writes.",
    )


def endpoints(spec: HaproxySpec, cloud: Cloud) -> Sequence[Endpoint]:
    """Offer the proxy itself, with the agent that sees whether it answers, and the page that names its controller."""
    offered = [Endpoint("proxy", "127.0.0.1", spec.answer_port, agent="ocf:quorate:proxy")]
    if spec.probe_port:
        offered += [Endpoint("probe", str(vip.address), spec.probe_port) for vip in cloud.vips.values()]
    return offered


def resources(spec: HaproxySpec, site: Site, host: str) -> Sequence[Resource]:
    """Say what is on a controller. The daemon binds VIPs that it does not hold, hence the sysctl."""
    return (
        Package("haproxy"),
        Sysctl("net.ipv4.ip_nonlocal_bind", "1"),
        Directory(DROP_IN.rpartition("/")[0]),
        File(DROP_IN, render(__package__, "drop-in.conf.j2")),
        Directory(AGENT.rpartition("/")[0]),
        File(AGENT, render(__package__, "proxy-agent.sh.j2", port=spec.answer_port), mode=0o755),
        File(CONFIGURATION, configuration(spec, site, host)),
        Unit("haproxy.service", on_change="reload", inputs=(CONFIGURATION,)),
    )


def frontends(site: Site) -> tuple[tuple[Endpoint, Frontend], ...]:
    """Give every endpoint that the proxy serves, in the order in which the systems declare them."""
    return tuple((endpoint, endpoint.frontend) for endpoint in site.endpoints if endpoint.frontend)


def configuration(spec: HaproxySpec, site: Site, host: str) -> str:
    """haproxy.cfg: the same on every controller but for the name it answers with."""
    return render(
        __package__,
        "haproxy.cfg.j2",
        spec=spec,
        socket=SOCKET,
        host=host,
        vips=[str(vip.address) for vip in site.cloud.vips.values()],
        frontends=[{"endpoint": endpoint, "via": frontend} for endpoint, frontend in frontends(site)],
        servers=[{"name": name, "address": site.cloud.address(name)} for name in site.cloud.names],
    )
