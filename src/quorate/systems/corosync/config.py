"""The cluster's membership: its section of the cloud file, and the two files that corosync loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

CONFIGURATION = "/etc/corosync/corosync.conf"
AUTHKEY = "/etc/corosync/authkey"
DROP_IN = "/etc/systemd/system/corosync.service.d/quorate.conf"
LOADED = "/run/quorate-corosync.key"
"""Where a controller notes the digest of the key that its corosync has loaded."""
KEY = "corosync.authkey"


class CorosyncSpec(Spec):
    """Who belongs to the cluster and how soon a silent controller is taken for lost."""

    token_ms: int = Field(
        default=700,
        ge=300,
        le=30000,
        description="Milliseconds without a sign of life after which a controller is taken for lost. With corosync's "
        "own default for three controllers (3650) a VIP was away for 8.8 s when its controller died, with 1000 for 2.7 "
        "to 4.4 s and with 700 for 2.2 to 3.9 s. Below the longest pause of a busy host, healthy controllers are "
        "fenced.",
    )
    networks: tuple[str, ...] = Field(
        default=("management",),
        min_length=1,
        max_length=8,
        description="The networks that carry the membership, one knet link each. One that does not carry the VIPs "
        "keeps a controller in the cluster whose VIP no client can reach any more.",
    )

    @property
    def consensus_ms(self) -> int:
        """How long the rest takes to agree on the new membership; corosync asks for at least 1.2 times the token."""
        return self.token_ms * 6 // 5


def resources(spec: CorosyncSpec, site: Site, host: str) -> Sequence[Resource]:
    """Give every controller the same configuration and key, and a daemon that has loaded the configuration.

    A change is reloaded: that moves no VIP. The key is none of the unit's inputs: it is loaded everywhere at once
    (form.py), since controllers with different keys do not hear each other.
    """
    del host
    return (
        Package("corosync"),
        File(CONFIGURATION, configuration(spec, site.cloud)),
        File(AUTHKEY, reference(KEY), mode=0o400),
        Directory(str(PurePosixPath(DROP_IN).parent)),
        File(DROP_IN, render(__package__, "drop-in.conf.j2", authkey=AUTHKEY, loaded=LOADED)),
        Unit("corosync.service", on_change="reload", inputs=(CONFIGURATION,)),
    )


def configuration(spec: CorosyncSpec, cloud: Cloud) -> str:
    """corosync.conf: a controller's nodeid is its place in the cloud file, from 1."""
    return render(
        __package__,
        "corosync.conf.j2",
        name=cloud.cloud,
        token=spec.token_ms,
        consensus=spec.consensus_ms,
        # Links are judged faster than the membership: a dead link must be known before the token is missed.
        ping_interval=spec.token_ms // 4,
        ping_timeout=spec.token_ms // 2,
        links=spec.networks,
        nodes=[
            {"name": name, "id": number, "addresses": [cloud.address(name, network) for network in spec.networks]}
            for number, name in enumerate(cloud.names, start=1)
        ],
    )


def secrets(spec: CorosyncSpec, cloud: Cloud) -> Sequence[SecretSpec]:
    """The key that encrypts and authenticates the membership: corosync takes any 128 to 4096 bytes."""
    del spec, cloud
    return (SecretSpec(KEY, "hex"),)


def warnings(spec: CorosyncSpec, cloud: Cloud) -> Sequence[str]:
    """Say what the membership cannot survive."""
    del spec
    if len(cloud.names) == 1:
        return ("one controller: its loss is the loss of the control plane",)
    if len(cloud.names) == 2:
        advice = (
            "two controllers: after a full stop both must be up before either serves; when they lose sight of each "
            "other, only fencing decides which one survives"
        )
        return (advice,)
    if len(cloud.names) % 2 == 0:
        return (f"{len(cloud.names)} controllers survive no more losses than {len(cloud.names) - 1} would",)
    return ()
