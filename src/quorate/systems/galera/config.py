"""What Galera wants on a controller: its section of the cloud file, the resources and the endpoint that follow from it.

Sources of the defaults: [measured] on three machines with a client through the proxy, see docs/decisions/0006;
[kolla] and [install guide] what OpenStack's own deployers ship; [upstream] MariaDB's and Galera's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Endpoint, Frontend, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

PORT = 3306
HEALTH_PORT = 9200
HEALTH_ACCOUNT = "quorate_health"
HEALTH_SECRET = "galera.health"  # noqa: S105 - the name of a secret
UNIT = "mariadb.service"
HEALTH_UNIT = "quorate-galera-health.service"
CONFIG = "/etc/mysql/mariadb.conf.d/99-quorate.cnf"
DROP_IN = "/etc/systemd/system/mariadb.service.d/quorate.conf"
MARK = "/var/lib/quorate-galera-member"
HEALTH_PROGRAM = "/usr/local/sbin/quorate-galera-health"
HEALTH_CONFIG = "/etc/mysql/quorate-galera-health.json"

PACKAGES = ("mariadb-server", "mariadb-client", "mariadb-backup", "galera-4", "socat", "python3-pymysql")

RELEASES: dict[str, dict[str, Any]] = {
    "debian-13": {  # MariaDB 11.8
        "options": {
            # ON since 11.6.2 turns harmless races into error 1020, which OpenStack does not retry (nova bug 2116186)
            "innodb_snapshot_isolation": "OFF",
            # 11.x gives `CHARSET utf8` another collation than the server's: foreign keys between the two are refused
            "character_set_collations": "",
        },
        "restart": {"RestartSec": "1s", "RestartSteps": "5", "RestartMaxDelaySec": "30s"},
    },
    "debian-12": {  # MariaDB 10.11, systemd 252: no growing delay yet
        "options": {},
        "restart": {"RestartSec": "5s"},
    },
}
"""What differs between the releases of the distribution."""


class Galera(Spec):
    """MariaDB with Galera: one database on all controllers, one of which is written to at a time."""

    buffer_pool: str = Field(
        default="1G", pattern=r"^\d+[MG]$", description="innodb_buffer_pool_size; the working set should fit in it."
    )
    max_connections: int = Field(
        default=4096, ge=10, description="oslo.db keeps up to 55 connections for each worker of each service (5 + 50)."
    )
    gcache: str = Field(
        default="512M",
        pattern=r"^\d+[MG]$",
        description="gcache.size: writes that a member may miss and still rejoin without a full copy.",
    )
    appliers: int = Field(default=4, ge=1, description="wsrep_slave_threads: transactions applied side by side.")
    suspect_timeout: float = Field(
        default=1.0, gt=0, description="Seconds of silence until a member is suspected; 5 upstream, 1 [measured]."
    )
    inactive_timeout: float = Field(
        default=3.0, gt=0, description="Seconds of silence until a member is evicted in any case; 15 upstream."
    )
    donor_serves: Literal["alone", "never"] = Field(
        default="alone",
        description="Whether a member that gives a full copy serves clients: only where no third member can, or never.",
    )
    join_timeout: float = Field(
        default=1800.0, gt=0, description="Seconds that a member may take to join, copy included."
    )
    options: dict[str, str | int] = Field(
        default_factory=dict, description="More settings for [mysqld]; they win over ours."
    )


def endpoints(_spec: Galera, cloud: Cloud) -> Sequence[Endpoint]:
    """One writer behind the VIP: many writers give certification conflicts, which OpenStack sees as deadlocks.

    The times are those of the 2.1 s write outage [measured]; the hour is for connections that idle in pools.
    """
    frontend = Frontend(
        mode="tcp",
        backend_port=PORT,
        check_port=HEALTH_PORT,
        check_path="/",
        one_active=True,
        inter=500,
        fast_inter=250,
        fall=2,
        rise=2,
        client_timeout="1h",
        server_timeout="1h",
    )
    return (Endpoint(kind="database", address=cloud.vip, port=PORT, frontend=frontend),)


def secrets(_spec: Galera, _cloud: Cloud) -> Sequence[SecretSpec]:
    """Only the health account has a password: full copies authenticate by who runs them (unix_socket)."""
    return (SecretSpec(HEALTH_SECRET),)


def warnings(_spec: Galera, cloud: Cloud) -> Sequence[str]:
    """What the operator should know before it happens."""
    said = []
    if len(cloud.names) == 2 and cloud.arbiter is None:
        said.append("galera: two members without an arbiter: the loss of either stops all writes")
    if cloud.arbiter is not None:
        said.append(
            f"galera: run garbd at {cloud.arbiter.address} yourself (--group {cloud.cloud} --address "
            f"{cluster_address(cloud)}): Quorate does not manage the arbiter's machine"
        )
    said.append("galera: replication and full copies cross the management network unencrypted")
    return tuple(said)


def cluster_address(cloud: Cloud) -> str:
    """Where a member looks for the others: every controller, itself too."""
    return "gcomm://" + ",".join(cloud.address(host) for host in cloud.names)


def provider_options(spec: Galera, cloud: Cloud, host: str) -> str:
    """Galera's own settings. evs.* cannot be changed while it runs: a change restarts the members one by one."""
    seconds = {"suspect": spec.suspect_timeout, "inactive": spec.inactive_timeout, "install": spec.inactive_timeout}
    options = {
        "gmcast.listen_addr": f"tcp://{cloud.address(host)}:4567",
        "ist.recv_addr": cloud.address(host),
        "gcache.size": spec.gcache,
        "gcache.recover": "yes",
        "pc.recovery": "true",
        "evs.keepalive_period": "PT0.3S",
        "evs.inactive_check_period": "PT0.3S",
        "evs.join_retrans_period": "PT0.3S",
        **{f"evs.{name}_timeout": f"PT{value:g}S" for name, value in seconds.items()},
    }
    return ";".join(f"{name}={value}" for name, value in options.items())


def donors(cloud: Cloud, host: str) -> str:
    """Who is asked for a copy: the last of the file first, as the first is the writer; then (the comma) anybody."""
    return "".join(f"{name}," for name in reversed(cloud.names) if name != host)


def resources(spec: Galera, site: Site, host: str) -> Sequence[Resource]:
    """Say everything that should be on the controller."""
    cloud, release = site.cloud, RELEASES[site.cloud.os]
    server = render(
        __package__,
        "99-quorate.cnf.j2",
        spec=spec,
        cloud=cloud,
        host=host,
        address=cloud.address(host),
        cluster_address=cluster_address(cloud),
        donors=donors(cloud, host),
        provider_options=provider_options(spec, cloud, host),
        options={**release["options"], **spec.options},
    )
    health = {
        "listen": [cloud.address(host), HEALTH_PORT],
        "user": HEALTH_ACCOUNT,
        "password": reference(HEALTH_SECRET),
        "donor_serves": spec.donor_serves,
        "arbiters": 0 if cloud.arbiter is None else 1,
    }
    program = render(__package__, "quorate-galera-health.j2")
    unit = render(__package__, "quorate-galera-health.service.j2", program=HEALTH_PROGRAM, config=HEALTH_CONFIG)
    unit_path = f"/etc/systemd/system/{HEALTH_UNIT}"
    return (
        *(Package(name) for name in PACKAGES),
        Directory("/etc/systemd/system/mariadb.service.d"),
        File(CONFIG, server),
        File(DROP_IN, render(__package__, "mariadb-quorate.conf.j2", restart=release["restart"], mark=MARK)),
        File(HEALTH_PROGRAM, program, mode=0o755),
        File(HEALTH_CONFIG, json.dumps(health, indent=2) + "\n", mode=0o600),
        File(unit_path, unit),
        # Debian 12 enables it: systemd would hold port 3306, and MariaDB's recovery of its position fails on that
        Unit("mariadb.socket", state="stopped", enabled=False),
        Unit(UNIT, state="formed", inputs=(CONFIG,)),
        Unit(HEALTH_UNIT, inputs=(HEALTH_PROGRAM, HEALTH_CONFIG, unit_path)),
    )
