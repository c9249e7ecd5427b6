"""Placement: what there is of processors, memory and disks, and who took it. The API on every controller."""

from __future__ import annotations

from quorate.core.system import Site
from quorate.openstack.service import Api, Schema, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of


class PlacementSpec(ServiceSpec):
    """The inventory of resources. Part of the cloud where the file names it: `placement: {}` will do."""


def _options(_spec: PlacementSpec, _site: Site, _host: str) -> Sections:
    return {"oslo_policy": {"policy_dirs": "/etc/placement/policy.d"}}


SERVICE = Service(
    name="placement",
    summary="the inventory of resources: its API on every controller",
    packages=("placement-api",),
    config="/etc/placement/placement.conf",
    options=_options,
    # It has no health check; whoever asks for the versions it serves needs no token.
    apis=(
        Api(
            "placement-api",
            "placement",
            8778,
            "/usr/bin/placement-api",
            type="placement",
            private="/resource_providers",
            health="/?alive",
        ),
    ),
    schemas=(
        Schema(
            "placement",
            section="placement_database",
            migrations="placement/db/sqlalchemy/alembic/versions",
            sync=("placement-manage", "db", "sync"),
        ),
    ),
    namespaces=("placement.conf",),
    reading="/resource_providers",
    reading_key="resource_providers",
)

SYSTEM = system_of(SERVICE, PlacementSpec)
