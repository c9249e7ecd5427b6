"""Set-ups that are broken on purpose: each checker turns red where something is really wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab.plane.machines import Plane, drill, finding

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def as_it_was(plane: Plane) -> Iterator[None]:
    """Afterwards the cloud file is what it was, and so is the cloud."""
    path = plane.folder / "cloud.yaml"
    before = path.read_text()
    plane.wait_well(240)
    yield
    path.write_text(before)
    plane.lab.heal()
    plane.lab.start()
    plane.lab.wait_for_ssh()
    plane.apply()
    plane.wait_well(240)


def edit(plane: Plane, change: Any) -> None:
    yaml = YAML()
    path = plane.folder / "cloud.yaml"
    cloud = yaml.load(path)
    change(cloud)
    yaml.dump(cloud, path)
    plane.apply()
    plane.wait_well(240)


def test_a_vip_without_fencing_is_held_twice_when_its_holder_wakes(plane: Plane) -> None:
    def without_fencing(cloud: Any) -> None:
        for controller in cloud["controllers"].values():
            controller.pop("fencing", None)

    edit(plane, without_fencing)
    (result,) = drill(plane, "machine-frozen", codes=(1,))
    assert finding(result, "vip-holders")["level"] == "failing"


@pytest.mark.long
def test_commits_that_are_not_on_disk_are_lost_with_all_three(plane: Plane) -> None:
    # Flushed once a second, the default, a commit is on disk by chance.
    lazy = {"options": {"innodb_flush_log_at_trx_commit": 0, "innodb_flush_log_at_timeout": 2700}}
    edit(plane, lambda cloud: cloud.setdefault("systems", {}).update(galera=lazy))
    (result,) = drill(plane, "all-at-once", "--beyond-redundancy", codes=(1, 4))
    assert finding(result, "lost")["level"] == "failing"
    assert result["lost"] > 0
