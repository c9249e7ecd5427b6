"""Neutron: networks. The API, who answers the agents and who looks after them, on every controller.

The agents (DHCP, L3, metadata, Open vSwitch) run there where the file says so, and forward the packets: networks have
two DHCP agents, routers are highly available (VRRP). Else they are other machines' and not Quorate's.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from quorate.core.resource import File
from quorate.core.secret import reference
from quorate.core.system import Function, Site
from quorate.openstack.options import credentials, ini, region
from quorate.openstack.service import Api, Daemon, Schema, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of

_DHCP, _L3, _METADATA, _OVS = (
    f"/etc/neutron/{name}"
    for name in ("dhcp_agent.ini", "l3_agent.ini", "metadata_agent.ini", "plugins/ml2/openvswitch_agent.ini")
)
_ROOT = "sudo neutron-rootwrap /etc/neutron/rootwrap.conf"


class NeutronSpec(ServiceSpec):
    """Networks. Part of the cloud where the file names it: `neutron: {}` will do."""

    workers: int = Field(default=2, ge=1, le=64, description="Processes of the API and of who answers the agents.")
    dhcp_agents: int = Field(default=2, ge=1, le=8, description="DHCP agents of each network: one may be lost.")
    agents: bool = Field(
        default=False,
        description="Also run the DHCP, L3, metadata and Open vSwitch agents on every controller, which then forwards "
        "packets. Open vSwitch and its bridges are the operator's to set up.",
    )
    bridges: dict[str, str] = Field(
        default={"external": "br-ex"}, description="Physical network → the bridge of Open vSwitch that leads there."
    )
    agent_down_s: int = Field(
        default=75, ge=10, le=600, description="Seconds without a sign of life after which an agent counts as dead."
    )


def _options(spec: NeutronSpec, site: Site, _host: str) -> Sections:
    account = {**credentials(SERVICE, site), "region_name": region(site)}
    return {
        "DEFAULT": {
            "core_plugin": "ml2",
            "service_plugins": "router",
            "state_path": "/var/lib/neutron",
            "dhcp_agents_per_network": str(spec.dhcp_agents),
            "l3_ha": "true",
            "max_l3_agents_per_router": "3",
            "agent_down_time": str(spec.agent_down_s),
            "rpc_workers": str(spec.workers),
            "rpc_state_report_workers": "1",
        },
        "ml2": {
            "type_drivers": "flat,vlan,vxlan",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "openvswitch",
            "extension_drivers": "port_security",
        },
        # A row of the database each, made at the first start: a million of them takes minutes and gigabytes.
        "ml2_type_vxlan": {"vni_ranges": "1:10000"},
        **({"agent": {"root_helper": _ROOT}} if spec.agents else {}),
        "nova": account,
        "placement": account,
        "oslo_concurrency": {"lock_path": "/run/lock/neutron"},
        "oslo_policy": {"policy_dirs": "/etc/neutron/policy.d"},
    }


def _files(spec: NeutronSpec, site: Site, host: str) -> tuple[File, ...]:
    """Whatever the agents are told beside the file that all read."""
    if not spec.agents:
        return ()
    driver = {"interface_driver": "openvswitch"}
    metadata = {}
    if site.has("compute-metadata"):
        nova = site.endpoint("compute-metadata")
        metadata = {
            "nova_metadata_host": nova.address,
            "nova_metadata_port": str(nova.port),
            "metadata_proxy_shared_secret": reference(nova.options["secret"]),
        }
    bridges = ",".join(f"{network}:{bridge}" for network, bridge in sorted(spec.bridges.items()))
    texts: Mapping[str, Sections] = {
        _DHCP: {"DEFAULT": {**driver, "enable_isolated_metadata": "true"}},
        _L3: {"DEFAULT": driver},
        _METADATA: {"DEFAULT": metadata},
        _OVS: {
            "ovs": {"local_ip": site.cloud.address(host), "bridge_mappings": bridges},
            "agent": {"tunnel_types": "vxlan"},
            "securitygroup": {"firewall_driver": "openvswitch"},
        },
    }
    return tuple(File(path, ini(text), 0o640, group="neutron") for path, text in texts.items())


def _agent(what: str, path: str, *, leaves: bool = False) -> Daemon:
    """Each reads what all read, and a file of its own."""
    files = ("--config-file", "/etc/neutron/neutron.conf", "--config-file", path)
    name = f"neutron-{what}-agent"
    return Daemon(name, (f"/usr/bin/{name}", *files), (name,), wanted=lambda spec: spec.agents, leaves=leaves)


SERVICE = Service(
    name="neutron",
    summary="networks: the API and who answers the agents, on every controller",
    packages=("neutron-api", "neutron-rpc-server"),
    config="/etc/neutron/neutron.conf",
    options=_options,
    apis=(
        Api(
            "neutron-api",
            "network",
            9696,
            "/usr/bin/neutron-api",
            type="network",
            private="/v2.0/networks",
            threaded=False,
        ),
    ),
    daemons=(
        Daemon("neutron-rpc-server", ("/usr/bin/neutron-rpc-server", "--config-file", "/etc/neutron/neutron.conf")),
        Daemon(
            "neutron-periodic-workers",
            ("/usr/bin/neutron-periodic-workers", "--config-file", "/etc/neutron/neutron.conf"),
        ),
        _agent("openvswitch", _OVS),
        _agent("dhcp", _DHCP, leaves=True),
        _agent("l3", _L3, leaves=True),
        _agent("metadata", _METADATA),
    ),
    schemas=(
        Schema(
            "neutron",
            section="database",
            migrations="neutron/db/migration/alembic_migrations/versions",
            sync=("neutron-db-manage", "--config-file", "/etc/neutron/neutron.conf", "upgrade", "heads"),
        ),
    ),
    reading="/v2.0/networks",
    reading_key="networks",
    messages=True,
    files=_files,
    namespaces=(
        "neutron",
        "neutron.agent",
        "neutron.db",
        "neutron.extensions",
        "neutron.ml2",
        "nova.auth",
        "placement.auth",
    ),
    readers={
        _DHCP: ("neutron.base.agent", "neutron.dhcp.agent"),
        _L3: ("neutron.base.agent", "neutron.l3.agent"),
        _METADATA: ("neutron.metadata.agent",),
        _OVS: ("neutron.ml2.ovs.agent",),
    },
    functions=(Function("network_create", "create a network"),),
)

SYSTEM = system_of(SERVICE, NeutronSpec)
