"""Glance: images. The API on every controller, all of them over one store.

Where the images lie is the operator's choice: a folder that every controller mounts (NFS, CephFS, GlusterFS …). That it
is the same one is looked at: the store has a name, and all must read the same one.
"""

from __future__ import annotations

from pydantic import Field

from quorate.core.system import Site
from quorate.openstack.service import Api, Once, Schema, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of


class GlanceSpec(ServiceSpec):
    """Images. Part of the cloud where the file names it: `glance: {}` will do."""

    workers: int = Field(
        default=4, ge=1, le=64, description="Processes of the API on a controller; each serves one request at a time."
    )
    images: str = Field(
        default="/var/lib/glance/images",
        pattern=r"^(/[A-Za-z0-9._-]+)+$",
        description="The folder of the images: storage that every controller mounts there.",
    )


def _options(spec: GlanceSpec, _site: Site, _host: str) -> Sections:
    return {
        "DEFAULT": {"enabled_backends": "shared:file"},
        "glance_store": {"default_backend": "shared"},
        "shared": {"filesystem_store_datadir": spec.images},
        # What is being imported may be asked of another controller than the one that took it.
        "os_glance_staging_store": {"filesystem_store_datadir": f"{spec.images}/staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": f"{spec.images}/tasks"},
        "paste_deploy": {"flavor": "keystone"},
        "oslo_concurrency": {"lock_path": "/run/lock/glance"},
    }


SERVICE = Service(
    name="glance",
    summary="images: their API on every controller, one store below them",
    packages=("glance-api",),
    config="/etc/glance/glance-api.conf",
    options=_options,
    apis=(
        Api(
            "glance-api",
            "image",
            9292,
            "/usr/bin/glance-wsgi-api",
            type="image",
            private="/v2/images",
            threaded=False,
            streams=True,
        ),
    ),
    schemas=(
        Schema(
            "glance",
            section="database",
            migrations="glance/db/sqlalchemy/alembic_migrations/versions",
            sync=("glance-manage", "db_sync"),
        ),
    ),
    once=(
        Once(
            "load the definitions of metadata",
            database="glance",
            query="SELECT COUNT(*) FROM metadef_namespaces",
            argv=lambda _site: ("glance-manage", "db_load_metadefs"),
        ),
    ),
    namespaces=("glance.api", "glance.store", "glance.multi_store"),
    own_groups=("shared", "os_glance_staging_store", "os_glance_tasks_store"),
    reading="/v2/images",
    reading_key="images",
    shared=lambda spec: spec.images,
)

SYSTEM = system_of(SERVICE, GlanceSpec)
