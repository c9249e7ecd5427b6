"""Heat: stacks. Both APIs and the engine on every controller; any engine takes any stack."""

from __future__ import annotations

from pydantic import Field

from quorate.core.secret import reference
from quorate.core.system import Function, Site
from quorate.openstack.options import credentials, identity_url, region
from quorate.openstack.service import Api, Daemon, Schema, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of

ENCRYPTION_SECRET = "heat.encryption"  # noqa: S105 - the name of a secret
CFN_PORT = 8000


class HeatSpec(ServiceSpec):
    """Stacks. Part of the cloud where the file names it: `heat: {}` will do."""

    workers: int = Field(default=2, ge=1, le=64, description="Processes of each API and of the engine.")


def _options(spec: HeatSpec, site: Site, _host: str) -> Sections:
    here = f"http://{site.cloud.vip}:{CFN_PORT}"
    return {
        "DEFAULT": {
            "num_engine_workers": str(spec.workers),
            # What stacks keep in the database is encrypted with it: the same everywhere, and never another one.
            "auth_encryption_key": reference(ENCRYPTION_SECRET),
            "region_name_for_services": region(site),
            "heat_metadata_server_url": here,
            "heat_waitcondition_server_url": f"{here}/v1/waitcondition",
        },
        "trustee": {
            name: value for name, value in credentials(SERVICE, site).items() if not name.startswith("project")
        },
        "clients_keystone": {"auth_uri": identity_url(site)},
        "ec2authtoken": {"auth_uri": identity_url(site)},
        "oslo_concurrency": {"lock_path": "/run/lock/heat"},
        "oslo_policy": {"policy_dirs": "/etc/heat/policy.d"},
    }


SERVICE = Service(
    name="heat",
    summary="stacks: both APIs and the engine on every controller",
    packages=("heat-api", "heat-api-cfn", "heat-engine"),
    config="/etc/heat/heat.conf",
    options=_options,
    apis=(
        Api(
            "heat-api",
            "orchestration",
            8004,
            "/usr/bin/heat-wsgi-api",
            type="orchestration",
            path="/v1/%(project_id)s",
            private="/v1/{project}/stacks",
        ),
        Api(
            "heat-api-cfn", "cloudformation", CFN_PORT, "/usr/bin/heat-wsgi-api-cfn", type="cloudformation", path="/v1"
        ),
    ),
    daemons=(Daemon("heat-engine", ("/usr/bin/heat-engine",)),),
    schemas=(
        Schema("heat", section="database", migrations="heat/db/migrations/versions", sync=("heat-manage", "db_sync")),
    ),
    reading="/stacks",
    reading_key="stacks",
    messages=True,
    secrets=(ENCRYPTION_SECRET,),
    namespaces=(
        "heat.api.aws.ec2token",
        "heat.common.config",
        "heat.common.context",
        "heat.common.crypt",
        "heat.common.wsgi",
        "heat.engine.clients",
        "heat.engine.clients.os.keystone.heat_keystoneclient",
        "heat.engine.notification",
        "heat.engine.resources",
    ),
    functions=(Function("stack_create", "create a stack"),),
)

SYSTEM = system_of(SERVICE, HeatSpec)
