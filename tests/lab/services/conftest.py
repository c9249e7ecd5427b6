"""One cloud for all tests of this folder: three machines with RabbitMQ and the OpenStack services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plane.machines import Plane, machines_up

SERVICES = ("rabbitmq", "glance", "heat", "neutron", "nova", "placement")


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Form a cloud that has them all."""
    wanted = [word for name in SERVICES for word in ("--with", name)]
    with machines_up("services", tmp_path_factory.mktemp("services"), *wanted) as formed:
        formed.apply()
        yield formed
