"""The same lab with RabbitMQ, and then with OpenStack's services, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.services import connect
from openstack.connection import Connection

from lab.plane.machines import Plane
from lab.plane.services import rings
from quorate.cli.lab import OPTIONAL

_HERE = Path(__file__).parent
LAST = "test_servers_boot_before_and_after"


PHASES = (
    "test_messaging",
    "test_replace",
    "test_impact",
    "test_etcd",
    "test_swift",
    "test_ceilometer",
    "test_services",
    "test_horizon",
)
"""In this order: first what is measured before the services are there."""
ETCD, ON_MESSAGES = ("etcd",), ("etcd", "glance", "neutron")
CORE = ("cinder", "heat", "horizon", "nova", "placement")
UNITS = {
    "swift": ("swift-proxy",),
    "ceilometer": ("ceilometer-agent-notification", "ceilometer-agent-central"),
}
"""Of services that make room for those that come after them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each phase by itself; the last of all is what loses a machine that others may not get back."""

    def turn(item: pytest.Item) -> tuple[int, bool]:
        here = item.path.is_relative_to(_HERE)
        return PHASES.index(item.path.stem) + 1 if here else 0, False

    def last(item: pytest.Item) -> bool:
        return item.name.startswith(LAST)

    sharing = [number for number, item in enumerate(items) if item.path.is_relative_to(_HERE.parent)]
    ordered = sorted(sorted((items[number] for number in sharing), key=turn), key=last)
    for number, item in zip(sharing, ordered, strict=True):
        items[number] = item


def switch(plane: Plane, *names: str) -> Plane:
    """Have these services, of the optional ones, and RabbitMQ: two cores carry all three machines, and no more."""
    for name in OPTIONAL:
        plane.set_option(name, enabled=name in {"rabbitmq", *names})
    idle = " ".join(unit for name, units in UNITS.items() if name not in names for unit in units)
    for machine in plane.lab.machines():
        plane.lab.run(machine, f"systemctl disable --now {idle}")
    plane.apply()
    return plane


@pytest.fixture(scope="package")
def broker(plane: Plane) -> Plane:
    """The formed cloud, with RabbitMQ."""
    plane.set_option("rabbitmq", enabled=True)
    plane.apply()
    return plane


@pytest.fixture(scope="module")
def etcd(broker: Plane) -> Plane:
    """With etcd."""
    return switch(broker, *ETCD)


@pytest.fixture(scope="module")
def swift(broker: Plane) -> Plane:
    """With Swift's front end, and rings."""
    first = broker.lab.machines()[0]
    rings.make(broker, first, "/tmp/rings")
    rings.bring(broker, first, "/tmp/rings")
    return switch(broker, *ETCD, "swift")


@pytest.fixture(scope="module")
def ceilometer(broker: Plane) -> Plane:
    """With telemetry, which polls every ten seconds, and services that it is told of."""
    broker.set_option("ceilometer", interval_s=10)
    return switch(broker, *ON_MESSAGES, "ceilometer")


@pytest.fixture(scope="module")
def services(broker: Plane) -> Plane:
    """With all others."""
    return switch(broker, *ON_MESSAGES, *CORE)


@pytest.fixture
def cloud(broker: Plane) -> Iterator[Connection]:
    """The administrator at the VIP."""
    made = connect(broker.vip, broker.secrets()["keystone.admin"])
    yield made
    made.close()
