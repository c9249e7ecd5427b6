"""Nova: servers. API, metadata API, conductor, scheduler and console proxy on every controller.

One cell, and cell0 for servers that nobody could take. What the cells' rows say of databases and messages are
templates that each process fills in from its own configuration: no password lies in them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from quorate.core.secret import reference
from quorate.core.system import Frontend, Function, Site
from quorate.openstack.options import credentials, region
from quorate.openstack.service import Api, Daemon, Once, Schema, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of

METADATA_SECRET = "nova.metadata"  # noqa: S105 - the name of a secret
CONSOLE_PORT = 6080
_MAIN = "nova/db/main/migrations/versions"
_SYNC = ("nova-manage", "db", "sync", "--local_cell")


class NovaSpec(ServiceSpec):
    """Servers. Part of the cloud where the file names it: `nova: {}` will do."""

    in_lab: ClassVar[dict[str, Any]] = {"workers": 1, "fake_compute": True}

    workers: int = Field(default=3, ge=1, le=64, description="Processes of each API, conductor and scheduler.")
    fake_compute: bool = Field(
        default=False,
        description="Also run a compute service with Nova's fake driver on every controller: servers that are none, "
        "to try the control plane with.",
    )


def _options(spec: NovaSpec, site: Site, host: str) -> Sections:
    address, vip = site.cloud.address(host), site.cloud.vip
    account = {**credentials(SERVICE, site), "region_name": region(site)}
    return {
        "DEFAULT": {
            "my_ip": address,
            **({"compute_driver": "fake.MediumFakeDriver"} if spec.fake_compute else {}),
            "state_path": "/var/lib/nova",
        },
        "cache": {
            "enabled": "true",
            "backend": "oslo_cache.memcache_pool",
            "memcache_servers": ",".join(site.endpoint("cache").places),
            "memcache_socket_timeout": "1.0",
            "memcache_dead_retry": "1",
        },
        "conductor": {"workers": str(spec.workers)},
        "scheduler": {"workers": str(spec.workers), "discover_hosts_in_cells_interval": "15"},
        "placement": account,
        "service_user": {**credentials(SERVICE, site), "send_service_user_token": "true"},
        "neutron": {
            **account,
            "service_metadata_proxy": "true",
            "metadata_proxy_shared_secret": reference(METADATA_SECRET),
        },
        "cinder": {"os_region_name": region(site)},
        "vnc": {
            "server_listen": address,
            "server_proxyclient_address": address,
            "novncproxy_host": address,
            "novncproxy_port": str(CONSOLE_PORT),
            "novncproxy_base_url": f"http://{vip}:{CONSOLE_PORT}/vnc_lite.html",
        },
        "oslo_concurrency": {"lock_path": "/run/lock/nova"},
        "oslo_policy": {"policy_dirs": "/etc/nova/policy.d"},
    }


def _cell_url(account: str) -> str:
    """A connection that each process fills in from its own."""
    return f"{{scheme}}://{account}:{{password}}@{{hostname}}:{{port}}/{account}?{{query}}"


def _messages_url(site: Site) -> str:
    numbers = range(1, len(site.endpoint("messaging").addresses) + 1)
    places = (f"{{username{n}}}:{{password{n}}}@{{hostname{n}}}:{{port{n}}}" for n in numbers)
    return f"{{scheme}}://{','.join(places)}/{{path}}"


def _map_cell0(_site: Site) -> tuple[str, ...]:
    return ("nova-manage", "cell_v2", "map_cell0", "--database_connection", _cell_url("nova_cell0"))


def _create_cell(site: Site) -> tuple[str, ...]:
    where = ("--database_connection", _cell_url("nova"), "--transport-url", _messages_url(site))
    return ("nova-manage", "cell_v2", "create_cell", "--name", "cell1", *where)


SERVICE = Service(
    name="nova",
    summary="servers: APIs, conductor, scheduler and console proxy on every controller",
    packages=("nova-api", "nova-conductor", "nova-scheduler", "nova-consoleproxy", "novnc"),
    config="/etc/nova/nova.conf",
    options=_options,
    apis=(
        Api(
            "nova-api",
            "compute",
            8774,
            "/usr/bin/nova-api-wsgi",
            type="compute",
            path="/v2.1",
            private="/v2.1/servers",
            # Its own health check stands where nobody can reach it: below a prefix that it does not expect.
            health="/?alive",
            threaded=False,
        ),
        Api(
            "nova-api-metadata",
            "compute-metadata",
            8775,
            "/usr/bin/nova-metadata-wsgi",
            threaded=False,
            tells={"secret": METADATA_SECRET},
        ),
    ),
    daemons=(
        Daemon("nova-conductor", ("/usr/bin/nova-conductor",)),
        Daemon("nova-scheduler", ("/usr/bin/nova-scheduler",)),
        Daemon(
            "nova-novncproxy",
            ("/usr/bin/nova-novncproxy",),
            kind="console",
            frontend=Frontend(
                mode="http",
                backend_port=CONSOLE_PORT,
                check_port=CONSOLE_PORT,
                check_path="/vnc_lite.html",
                # It starts a process for every connection, every proxy's checks included.
                inter=5000,
                client_timeout="1h",
                server_timeout="1h",
            ),
        ),
        Daemon(
            "nova-compute",
            # By itself it would read what the package says of libvirt, too.
            ("/usr/bin/nova-compute", "--config-file", "/etc/nova/nova.conf"),
            packages=("nova-compute",),
            wanted=lambda spec: spec.fake_compute,
        ),
    ),
    schemas=(
        Schema("nova_api", "api_database", "nova/db/api/migrations/versions", ("nova-manage", "api_db", "sync")),
        Schema("nova", "database", _MAIN, _SYNC),
        Schema("nova_cell0", "database", _MAIN, _SYNC),
    ),
    once=(
        Once(
            "map cell0",
            database="nova_api",
            query="SELECT COUNT(*) FROM cell_mappings WHERE uuid = '00000000-0000-0000-0000-000000000000'",
            argv=_map_cell0,
        ),
        Once(
            "make the cell",
            database="nova_api",
            query="SELECT COUNT(*) FROM cell_mappings WHERE name = 'cell1'",
            argv=_create_cell,
        ),
    ),
    namespaces=("nova.conf",),
    unwanted=("nova-serialproxy.service", "nova-spicehtml5proxy.service"),
    reading="/servers",
    reading_key="servers",
    messages=True,
    needs=("image", "network", "placement"),
    secrets=(METADATA_SECRET,),
    functions=(Function("server_boot", "boot a server"),),
)

SYSTEM = system_of(SERVICE, NovaSpec)
