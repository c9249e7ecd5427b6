"""One lab for all tests of this folder: three machines with RabbitMQ, and later OpenStack's services, too.

Two cores carry all three machines: drills measure what clients notice before the services are there.
"""

from __future__ import annotations

from collections.abc import Iterator

import openstack
import pytest
from openstack.connection import Connection

from lab.plane.machines import Plane, machines_up
from lab.services import rings

SERVICES = ("ceilometer", "cinder", "etcd", "glance", "heat", "horizon", "neutron", "nova", "placement", "swift")


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
    rings.make(plane, plane.lab.machines()[0], "/tmp/rings")
    rings.bring(plane, plane.lab.machines()[0], "/tmp/rings")
    plane.apply()
    return plane


@pytest.fixture
def cloud(services: Plane) -> Iterator[Connection]:
    """The administrator at the VIP."""
    made = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=f"http://{services.vip}:5000/v3",
        username="admin",
        password=services.secrets()["keystone.admin"],
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
        region_name="RegionOne",
        interface="public",
        api_timeout=10,
    )
    made.session.session.trust_env = False
    yield made
    made.close()
