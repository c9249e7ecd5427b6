"""A formed cloud on three machines, shared by all tests of this folder: each leaves it well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.plane.machines import Plane, machines_up, watching_argv


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Bring the machines up and form the cloud, once."""
    with machines_up("plane", tmp_path_factory.mktemp("plane")) as formed:
        with watching_argv([value for value in formed.secrets().values() if value], formed.seen_in_argv):
            formed.apply()
        yield formed
