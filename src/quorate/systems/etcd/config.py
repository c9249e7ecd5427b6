"""What etcd wants on a controller: its section of the cloud file, the resources and the endpoint that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.system import Endpoint, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

PORT = 2379
PEER_PORT = 2380
UNIT = "etcd.service"
DATA = "/var/lib/etcd/quorate"
"""Not the package's own folder: what an installation may have begun there is no member of this cluster."""
CONFIG = "/etc/default/etcd"
JOINING = "/run/quorate-etcd-joining"
"""What a member that joins is to be told for its first start; gone at the next boot."""
DROP_IN = "/etc/systemd/system/etcd.service.d"


class EtcdSpec(Spec):
    """Locks and groups for the services. Part of the cloud where the file names it: `etcd: {}` will do."""

    optional: ClassVar[bool] = True

    election_ms: int = Field(
        default=2500,
        ge=500,
        le=50000,
        description="Silence of the leader after which another is elected, ms; a tenth of it between its signs of "
        "life. 1000 upstream, where a busy controller loses its office too easily.",
    )


def peer_url(cloud: Cloud, host: str) -> str:
    """Say where the other members reach this one."""
    return f"http://{cloud.address(host)}:{PEER_PORT}"


def initial_cluster(peers: dict[str, str]) -> str:
    """Say who begins a cluster: name → URL of the peer."""
    return ",".join(f"{name}={url}" for name, url in peers.items())


def endpoints(_spec: EtcdSpec, _cloud: Cloud) -> Sequence[Endpoint]:
    """The member on the controller itself: whoever it runs on, it answers for the whole cluster."""
    return (Endpoint("coordination", "127.0.0.1", PORT),)


def warnings(_spec: EtcdSpec, cloud: Cloud) -> Sequence[str]:
    """What the operator should know before it happens."""
    said = ["etcd: members trust whoever reaches their port on the management network, unencrypted"]
    if len(cloud.names) == 2:
        said.append("etcd: of two members neither may go on alone: the loss of either stops all locks")
    return tuple(said)


def resources(spec: EtcdSpec, site: Site, host: str) -> Sequence[Resource]:
    """Peers on the management network, clients on this machine only."""
    cloud = site.cloud
    values = {
        "spec": spec,
        "cloud": cloud.cloud,
        "name": host,
        "peer": peer_url(cloud, host),
        "port": PORT,
        "data": DATA,
        "members": initial_cluster({name: peer_url(cloud, name) for name in cloud.names}),
        "joining": JOINING,
    }
    drop_in = f"{DROP_IN}/quorate.conf"
    return (
        Package("etcd-server"),
        Directory(DROP_IN),
        File(CONFIG, render(__package__, "etcd.j2", **values)),
        File(drop_in, render(__package__, "unit.conf.j2", **values)),
        Unit(UNIT, state="formed", inputs=(CONFIG, drop_in)),
    )
