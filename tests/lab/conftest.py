"""Machines for the tests: one lab for the whole session, with new disks for each module that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import labs
from quorate.lab import needs
from quorate.lab.lab import Lab

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class OwnLab:
    """A lab that one test brings up and down as it likes."""

    lab: Lab
    folder: Path
    subnet: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder; leave out what this machine cannot run, and say what it lacks."""
    lacks = needs.missing(needs.look())
    for item in items:
        if not item.path.is_relative_to(_HERE):
            continue
        item.add_marker(pytest.mark.lab)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))  # the first run builds images
        if lacks is not None:
            item.add_marker(pytest.mark.skip(reason=lacks.message))


@pytest.fixture(scope="session", autouse=True)
def no_stale_labs() -> None:
    """Take down what killed test sessions left."""
    if needs.missing(needs.look()) is None:
        labs.take_down_stale()


@pytest.fixture(scope="session")
def session_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three machines of trixie with the whole control plane's packages, up for the whole session."""
    lab = Lab(labs.name(), progress=print)
    try:
        lab.up(tmp_path_factory.mktemp("lab"), machines=3, subnet=labs.free_subnet(), packages=labs.PACKAGES)
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def lab(session_lab: Lab) -> Lab:
    """The session's machines, with new disks: nothing of another module's tests is left on them."""
    session_lab.reset()
    return session_lab


@pytest.fixture
def healed(lab: Lab) -> Iterator[Lab]:
    """The module's machines; afterwards all are on, thawed, plugged in and answering again."""
    yield lab
    lab.heal()
    lab.start()
    lab.wait_for_ssh()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnLab]:
    """A lab of the test's own, not up yet, with a free subnet; gone afterwards."""
    lab = Lab(labs.name("own"), progress=print)
    yield OwnLab(lab, tmp_path / "cloud", labs.free_subnet())
    lab.down()
