"""One lab for all tests of this folder: three machines with RabbitMQ, and later OpenStack's services, too.

Two cores carry all three machines: drills measure what clients notice before the services are there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plane.machines import Plane, machines_up

SERVICES = ("cinder", "etcd", "glance", "heat", "neutron", "nova", "placement")


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Form a cloud with RabbitMQ; the services' packages are there, and that is all."""
    wanted = [word for name in ("rabbitmq", *SERVICES) for word in ("--with", name)]
    with machines_up("services", tmp_path_factory.mktemp("services"), *wanted) as formed:
        for name in SERVICES:
            formed.set_option(name, enabled=False)
        formed.apply()
        yield formed


@pytest.fixture(scope="package")
def services(plane: Plane) -> Plane:
    """The same cloud with all services."""
    for name in SERVICES:
        plane.set_option(name, enabled=True)
    plane.apply()
    return plane
