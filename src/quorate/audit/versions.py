"""What is installed, by kind: which package tells it, and what a release of Debian brings where nobody can be asked."""

from __future__ import annotations

from collections.abc import Mapping

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "ceilometer": ("ceilometer-common",),
    "cinder": ("cinder-common",),
    "corosync": ("corosync",),
    "dogpile.cache": ("python3-dogpile.cache",),
    "drbd": ("drbd-utils",),
    "erlang": ("erlang-base", "erlang-base-hipe"),
    "galera": ("galera-4", "galera-3"),
    "glance": ("glance-common",),
    "haproxy": ("haproxy",),
    "heat": ("heat-common",),
    "horizon": ("python3-django-horizon", "openstack-dashboard"),
    "keepalived": ("keepalived",),
    "keystone": ("keystone", "keystone-common"),
    "keystonemiddleware": ("python3-keystonemiddleware",),
    "mariadb": ("mariadb-server", "mariadb-server-core"),
    "memcached": ("memcached",),
    "neutron": ("neutron-common",),
    "nova": ("nova-common",),
    "nutcracker": ("nutcracker",),
    "oslo.cache": ("python3-oslo.cache",),
    "oslo.db": ("python3-oslo.db",),
    "oslo.messaging": ("python3-oslo.messaging",),
    "oslo.middleware": ("python3-oslo.middleware",),
    "pacemaker": ("pacemaker",),
    "placement": ("placement-common",),
    "pymemcache": ("python3-pymemcache",),
    "rabbitmq": ("rabbitmq-server",),
}
"""The packages of Debian and Ubuntu whose version is that of a kind; the first that is installed counts."""

_DEBIAN = """\
                    debian-12   debian-13
ceilometer          19.0.0      24.0.0
cinder              21.3.1      26.0.0
corosync            3.1.7       3.1.9
dogpile.cache       1.1.8       1.3.3
erlang              25.2.3      27.3.4
galera              26.4.23     26.4.23
glance              25.1.0      30.0.0
haproxy             2.6.12      3.0.11
heat                19.0.0      24.0.0
horizon             23.0.0      25.3.0
keepalived          2.2.7       2.3
keystone            22.0.2      27.0.0
keystonemiddleware  10.1.0      10.9.0
mariadb             10.11       11.8
memcached           1.6.18      1.6.38
neutron             21.0.0      26.0.3
nova                26.2.2      31.0.0
nutcracker          0.5.0       0.5.0
oslo.cache          3.2.0       3.10.1
oslo.db             12.1.0      17.2.1
oslo.messaging      14.0.3      16.1.0
oslo.middleware     5.0.0       6.3.1
pacemaker           2.1.5       3.0.0
placement           8.0.0       13.0.0
pymemcache          3.5.2       4.0.0
rabbitmq            3.10.8      4.0.5
"""
"""Of the packages in Debian's own archive, 2026-11: apt-cache policy on 12, dpkg-query in an image of 13."""


def of_os(name: str) -> dict[str, str]:
    """What that release of Debian brings."""
    head, *rows = (line.split() for line in _DEBIAN.splitlines())
    return {kind: versions[head.index(name)] for kind, *versions in rows}


def releases() -> tuple[str, ...]:
    """The releases of which that is known."""
    return tuple(_DEBIAN.split("\n", 1)[0].split())


def packages() -> list[str]:
    """Every package to ask about."""
    return sorted({package for several in PACKAGES.values() for package in several})


def versions_of(installed: Mapping[str, str]) -> dict[str, str]:
    """What is installed, by kind."""
    found = {kind: [installed[one] for one in several if one in installed] for kind, several in PACKAGES.items()}
    return {kind: versions[0] for kind, versions in found.items() if versions}


def agreed(hosts: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Say what all machines that have it have, and what they do not agree on: of that no version is known."""
    versions: dict[str, str] = {}
    remarks = []
    for kind in PACKAGES:
        found = {host: installed[kind] for host, installed in hosts.items() if kind in installed}
        if len(set(found.values())) == 1:
            versions[kind] = next(iter(found.values()))
        elif found:
            told = ", ".join(f"{version} on {host}" for host, version in found.items())
            remarks.append(f"{kind}: {told}: what depends on its version was not judged")
    return versions, remarks
