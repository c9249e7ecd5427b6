"""The cluster manager: its section of the cloud file, and what is on every controller.

The resources that it manages live in its own database, the CIB: `cib.py` says what belongs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Site
from quorate.model.cloud import Cloud, Spec

FENCING_DIRECTORY = "/etc/quorate/fencing"


class Release(NamedTuple):
    """What differs between the releases of the operating system."""

    packages: tuple[str, ...]
    fencing_property: str


RELEASES = {
    # One package for each fence agent since Debian 13. Pacemaker 3.0.2 is the first to say `fencing-enabled`.
    "debian-13": Release(("fence-agents-redfish",), "stonith-enabled"),
    "debian-12": Release(("fence-agents",), "stonith-enabled"),
}


class PacemakerSpec(Spec):
    """Who holds the VIPs, how soon a failure is seen, and how a lost controller is made harmless."""

    monitor_seconds: int = Field(
        default=1,
        ge=1,
        le=60,
        description="How often the proxy and the VIPs are looked at. A proxy that hangs loses the VIP within this time "
        "and about 1.5 s.",
    )
    retry_seconds: int = Field(
        default=20,
        ge=5,
        le=3600,
        description="After how long a proxy that failed is repaired and may hold a VIP again.",
    )
    fencing_timeout_seconds: int = Field(
        default=30,
        ge=5,
        le=600,
        description="How long a controller's BMC may take to cut and restore its power before it is tried again.",
    )
    two_node_delay_seconds: int = Field(
        default=5,
        ge=0,
        le=120,
        description="With two controllers only: the head start, in a fencing race, of the one that holds the VIP. "
        "It is part of every outage in which that one is lost.",
    )


def password_file(controller: str) -> str:
    """Where a controller's BMC password lies; the CIB, which is logged and shown, only names the file."""
    return f"{FENCING_DIRECTORY}/{controller}.password"


def resources(spec: PacemakerSpec, site: Site, host: str) -> Sequence[Resource]:
    """Say what is on every controller: each may have to fence any other."""
    del spec, host
    cloud = site.cloud
    packages = ("pacemaker", "pacemaker-cli-utils", "resource-agents", *RELEASES[cloud.os].packages)
    return (
        *(Package(name) for name in packages),
        Directory("/etc/quorate"),
        Directory(FENCING_DIRECTORY, mode=0o700),
        *(
            File(password_file(name), reference(f"fencing.{name}") + "\n", mode=0o600)
            for name, controller in cloud.controllers.items()
            if controller.fencing
        ),
        Unit("pacemaker.service"),
    )


def secrets(spec: PacemakerSpec, cloud: Cloud) -> Sequence[SecretSpec]:
    """The BMCs' passwords."""
    del spec
    return tuple(
        SecretSpec(f"fencing.{name}", "given") for name, controller in cloud.controllers.items() if controller.fencing
    )


def warnings(spec: PacemakerSpec, cloud: Cloud) -> Sequence[str]:
    """Say what the VIPs cannot survive."""
    del spec
    bare = [name for name, controller in cloud.controllers.items() if not controller.fencing]
    if not bare:
        return ()
    advice = (
        f"no fencing of {', '.join(bare)}, so none at all: a controller that is cut off or frozen goes on holding the "
        "VIP for a second or, frozen, when it wakes; for so long two controllers hold it"
    )
    return (advice,)
