"""Neutron: networks. The API, who answers the agents and who looks after them, on every controller.

The agents (DHCP, L3, metadata, Open vSwitch) belong to machines that forward packets and are not set up here yet; what
they are told is: networks have two DHCP agents, routers are highly available.
"""

from __future__ import annotations

from pydantic import Field

from quorate.core.system import Site
from quorate.openstack.options import credentials, region
from quorate.openstack.service import Api, Daemon, Schema, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of


class NeutronSpec(ServiceSpec):
    """Networks. Part of the cloud where the file names it: `neutron: {}` will do."""

    workers: int = Field(default=2, ge=1, le=64, description="Processes of the API and of who answers the agents.")
    dhcp_agents: int = Field(default=2, ge=1, le=8, description="DHCP agents of each network: one may be lost.")
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
        "nova": account,
        "placement": account,
        "oslo_concurrency": {"lock_path": "/run/lock/neutron"},
        "oslo_policy": {"policy_dirs": "/etc/neutron/policy.d"},
    }


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
    namespaces=("neutron", "neutron.db", "neutron.ml2", "neutron.extensions", "nova.auth", "placement.auth"),
)

SYSTEM = system_of(SERVICE, NeutronSpec)
