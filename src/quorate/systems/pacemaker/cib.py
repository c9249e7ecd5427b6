"""What belongs in the CIB, Pacemaker's database: properties, fencing devices, the proxy, the VIPs, their constraints.

Everything of ours has an id that begins with `quorate-`; everything else is the operator's and is not touched.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from quorate.core.system import Site
from quorate.model.cloud import Fencing, Network, Vip
from quorate.systems.pacemaker.config import RELEASES, PacemakerSpec, password_file

PREFIX = "quorate-"
PROXY = "quorate-proxy"
PROXIES = "quorate-proxies"
# Pacemaker gives the properties in this set precedence over those in any other.
PROPERTIES = "cib-bootstrap-options"
TRANSITION_DELAY_MS = 50
"""How long the leader lets news arrive before it decides; Pacemaker's default is 0.

If it finds updates of the state still on their way it asks again after a whole fixed second (controld's
`do_pe_invoke_callback`), which happened in about half of the failovers.
"""


def vip_id(name: str) -> str:
    """Name the resource of a VIP."""
    return f"quorate-vip-{name}"


def fencing_id(controller: str) -> str:
    """Name the resource of a controller's fencing device."""
    return f"quorate-fencing-{controller}"


def desired(spec: PacemakerSpec, site: Site) -> Element:
    """Give the configuration as it should be, ours only."""
    configuration = Element("configuration")
    _properties(SubElement(configuration, "crm_config"), spec, site)
    resources = SubElement(configuration, "resources")
    constraints = SubElement(configuration, "constraints")
    for name, controller in site.cloud.controllers.items():
        if controller.fencing:
            _fencing(resources, constraints, spec, name, controller.fencing)
    _proxies(resources, spec, site)
    for name, vip in site.cloud.vips.items():
        _vip(configuration, spec, vip_id(name), vip, site.cloud.networks[vip.network])
    return configuration


def _properties(parent: Element, spec: PacemakerSpec, site: Site) -> None:
    cloud = site.cloud
    values = {
        RELEASES[cloud.os].fencing_property: str(cloud.is_fenced).lower(),
        "no-quorum-policy": "stop",
        # How long the first controllers wait for one more before they elect a leader; Pacemaker's default is 20 s.
        "dc-deadtime": "5s",
        # Above the load that this allows a core, actions wait for each other: a busy cloud would get its VIP seconds
        # later, for the sake of three actions. Pacemaker's default is 80 %.
        "load-threshold": "1000%",
        "transition-delay": f"{TRANSITION_DELAY_MS}ms",
    }
    if len(cloud.names) == 2 and cloud.is_fenced:
        values["priority-fencing-delay"] = f"{spec.two_node_delay_seconds}s"
    properties = SubElement(parent, "cluster_property_set", id=PROPERTIES)
    for name, value in values.items():
        SubElement(properties, "nvpair", id=f"{PREFIX}{name}", name=name, value=value)


def _fencing(resources: Element, constraints: Element, spec: PacemakerSpec, name: str, device: Fencing) -> None:
    me, timeout = fencing_id(name), f"{spec.fencing_timeout_seconds}s"
    primitive = SubElement(resources, "primitive", {"id": me, "class": "stonith", "type": "fence_redfish"})
    attributes = {
        "ip": str(device.address),
        "ipport": str(device.port),
        "username": device.username,
        "password_script": f"cat {password_file(name)}",
        "systems_uri": f"/redfish/v1/Systems/{device.system}",
        "ssl": "1",
        "pcmk_host_list": name,
        "pcmk_host_check": "static-list",
        "pcmk_reboot_timeout": timeout,
        "pcmk_off_timeout": timeout,
        "pcmk_monitor_timeout": timeout,
    }
    if not device.tls_verify:
        attributes["ssl_insecure"] = "1"
    _pairs(primitive, "instance_attributes", attributes)
    # A device that moves for the sake of balance would make the fencing of a lost controller wait for its start.
    _pairs(primitive, "meta_attributes", {"resource-stickiness": "1000", "failure-timeout": "60s"})
    _operations(primitive, {"start": ("0s", timeout), "monitor": ("60s", timeout)})
    # A controller is not fenced by itself: it would cut the power under its own confirmation.
    SubElement(constraints, "rsc_location", id=f"{me}-elsewhere", rsc=me, node=name, score="-INFINITY")


def _proxies(resources: Element, spec: PacemakerSpec, site: Site) -> None:
    _, provider, kind = site.endpoint("proxy").agent.split(":")
    clone = SubElement(resources, "clone", id=PROXIES)
    _pairs(clone, "meta_attributes", {"interleave": "true"})
    primitive = SubElement(clone, "primitive", {"id": PROXY, "class": "ocf", "provider": provider, "type": kind})
    # The first failure sends the VIP away: elsewhere a proxy answers already, here one must be restarted.
    _pairs(primitive, "meta_attributes", {"migration-threshold": "1", "failure-timeout": f"{spec.retry_seconds}s"})
    _operations(
        primitive,
        {"start": ("0s", "20s"), "stop": ("0s", "10s"), "monitor": (f"{spec.monitor_seconds}s", "10s")},
    )


def _vip(configuration: Element, spec: PacemakerSpec, me: str, vip: Vip, network: Network) -> None:
    _, resources, constraints = configuration
    primitive = SubElement(
        resources, "primitive", {"id": me, "class": "ocf", "provider": "heartbeat", "type": "IPaddr2"}
    )
    attributes = {"ip": str(vip.address), "cidr_netmask": str(network.subnet.prefixlen), "nic": network.interface}
    _pairs(primitive, "instance_attributes", attributes)
    # It stays where it is when a controller comes back. With two controllers its holder wins a fencing race.
    meta = {"resource-stickiness": "1000", "priority": "10", "failure-timeout": f"{spec.retry_seconds}s"}
    _pairs(primitive, "meta_attributes", meta)
    _operations(
        primitive,
        {"start": ("0s", "20s"), "stop": ("0s", "20s"), "monitor": (f"{spec.monitor_seconds}s", "10s")},
    )
    together = {"id": f"{me}-with-proxy", "rsc": me, "with-rsc": PROXIES, "score": "INFINITY"}
    SubElement(constraints, "rsc_colocation", together)
    order = {"id": f"{me}-after-proxy", "first": PROXIES, "then": me, "kind": "Mandatory"}
    SubElement(constraints, "rsc_order", order)


def _pairs(parent: Element, tag: str, values: dict[str, str]) -> None:
    pairs = SubElement(parent, tag, id=f"{parent.get('id')}-{tag}")
    for name, value in values.items():
        SubElement(pairs, "nvpair", id=f"{pairs.get('id')}-{name}", name=name, value=value)


def _operations(parent: Element, operations: dict[str, tuple[str, str]]) -> None:
    """Say the interval and the timeout of each operation."""
    element = SubElement(parent, "operations")
    for name, (interval, timeout) in operations.items():
        me = f"{parent.get('id')}-{name}-{interval}"
        SubElement(element, "op", id=me, name=name, interval=interval, timeout=timeout)
