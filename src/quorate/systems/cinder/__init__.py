"""Cinder: volumes. API, scheduler and volume service on every controller; the volume services are one cluster.

Whichever of them takes a volume's request, the locks that keep two from doing it at a time are everybody's
(coordination). That needs a backend whose driver allows it: Ceph here. Storage that only one machine reaches at a time
(LVM, NFS) is not supported.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from quorate.core.system import Function, Site
from quorate.openstack.options import coordination, credentials, region
from quorate.openstack.service import Api, Daemon, Schema, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of

_FAKE = "cinder.tests.fake_driver.FakeHAReplicatedLoggingVolumeDriver"


class CinderSpec(ServiceSpec):
    """Volumes. Part of the cloud where the file names it: `cinder: {}` will do."""

    in_lab: ClassVar[dict[str, Any]] = {"workers": 1, "backend": "fake"}

    backend: Literal["ceph", "fake"] = Field(
        default="ceph",
        description="Where volumes lie. `fake`: nowhere, Cinder's own driver for tests, to try the control plane with.",
    )
    pool: str = Field(default="volumes", pattern=r"^[A-Za-z0-9._-]+$", description="Ceph's pool of the volumes.")
    ceph_user: str = Field(
        default="cinder",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Who Cinder is at Ceph. /etc/ceph/ceph.conf and the user's keyring are the operator's to bring.",
    )
    secret_uuid: str = Field(
        default="",
        pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$",
        description="The libvirt secret on the compute nodes that holds the Ceph user's key.",
    )


def _options(spec: CinderSpec, site: Site, host: str) -> Sections:
    account = {**credentials(SERVICE, site), "region_name": region(site)}
    return {
        "DEFAULT": {
            "my_ip": site.cloud.address(host),
            "auth_strategy": "keystone",
            "state_path": "/var/lib/cinder",
            "enabled_backends": spec.backend,
            "cluster": site.cloud.cloud,
        },
        spec.backend: {"volume_backend_name": spec.backend, **_backend(spec)},
        "coordination": {"backend_url": coordination(site)},
        "nova": account,
        "service_user": {**credentials(SERVICE, site), "send_service_user_token": "true"},
        "oslo_concurrency": {"lock_path": "/run/lock/cinder"},
        "oslo_policy": {"policy_dirs": "/etc/cinder/policy.d"},
    }


def _backend(spec: CinderSpec) -> dict[str, str]:
    if spec.backend == "fake":
        return {"volume_driver": _FAKE}
    return {
        "volume_driver": "cinder.volume.drivers.rbd.RBDDriver",
        "rbd_pool": spec.pool,
        "rbd_user": spec.ceph_user,
        "rbd_ceph_conf": "/etc/ceph/ceph.conf",
        **({"rbd_secret_uuid": spec.secret_uuid} if spec.secret_uuid else {}),
    }


SERVICE = Service(
    name="cinder",
    summary="volumes: API, scheduler and volume service on every controller",
    packages=("cinder-api", "cinder-scheduler", "cinder-volume", "python3-etcd3gw"),
    config="/etc/cinder/cinder.conf",
    options=_options,
    apis=(
        Api(
            "cinder-api",
            "volume",
            8776,
            "/usr/bin/cinder-wsgi",
            type="volumev3",  # what Nova looks for
            path="/v3/%(project_id)s",
            private="/v3/{project}/volumes",
        ),
    ),
    daemons=(
        Daemon("cinder-scheduler", ("/usr/bin/cinder-scheduler",)),
        Daemon("cinder-volume", ("/usr/bin/cinder-volume",)),
    ),
    schemas=(
        Schema(
            "cinder",
            section="database",
            migrations="cinder/db/migrations/versions",
            sync=("cinder-manage", "db", "sync"),
            brings={
                "quota_classes": "class_name <> 'default'",
                "workers": "resource_type <> 'SENTINEL'",
                "group_types": "name <> 'default_cgsnapshot_type'",
                "group_type_specs": "`key` <> 'consistent_group_snapshot_enabled'",
                "volume_types": "name <> '__DEFAULT__'",
            },
        ),
    ),
    reading="/volumes",
    reading_key="volumes",
    messages=True,
    needs=("coordination", "image"),
    namespaces=("cinder",),
    # Of the last two Cinder's own list leaves out what keystoneauth reads there.
    own_groups=("ceph", "fake", "nova", "service_user"),
    functions=(Function("volume_create", "create a volume"),),
)

SYSTEM = system_of(SERVICE, CinderSpec)
