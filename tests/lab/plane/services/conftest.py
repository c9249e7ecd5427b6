"""The same lab with RabbitMQ, and then with all of OpenStack's services, too.

Two cores carry all three machines: drills measure what clients notice before the services are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openstack
import pytest
from openstack.connection import Connection

from lab.plane.machines import Plane
from lab.plane.services import rings
from quorate.cli.lab import OPTIONAL

_HERE = Path(__file__).parent
LAST = "test_servers_boot_before_and_after"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what is measured before the services are there, last what leaves the cloud broken."""

    def turn(item: pytest.Item) -> tuple[bool, bool, bool]:
        here = item.path.is_relative_to(_HERE)
        return here, here and item.path.name != "test_messaging.py", item.name.startswith(LAST)

    sharing = [number for number, item in enumerate(items) if item.path.is_relative_to(_HERE.parent)]
    ordered = sorted((items[number] for number in sharing), key=turn)
    for number, item in zip(sharing, ordered, strict=True):
        items[number] = item


@pytest.fixture(scope="package")
def broker(plane: Plane) -> Plane:
    """The formed cloud, with RabbitMQ."""
    plane.set_option("rabbitmq", enabled=True)
    plane.apply()
    return plane


@pytest.fixture(scope="package")
def services(broker: Plane) -> Plane:
    """The same cloud with all services."""
    for name in OPTIONAL:
        broker.set_option(name, enabled=True)
    rings.make(broker, broker.lab.machines()[0], "/tmp/rings")
    rings.bring(broker, broker.lab.machines()[0], "/tmp/rings")
    broker.apply()
    return broker


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
