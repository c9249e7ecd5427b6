from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from quorate.model.cloud import Cloud
from quorate.model.load import load
from quorate.systems import discover

FOLDER = Path(__file__).parents[3] / "examples"
SPECS = {system.name: system.spec for system in discover()}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: str(path.name))
def test_every_example_loads_and_survives_a_round_trip(path: Path) -> None:
    cloud = load(path.read_text(encoding="utf-8"), path.name, SPECS)
    assert set(cloud.systems) == set(SPECS)
    assert all(controller.fencing for controller in cloud.controllers.values())
    assert load(cloud.model_dump_json(), "again", SPECS) == cloud
    data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    assert set(data) <= set(Cloud.model_fields)


def test_the_minimal_example_is_short() -> None:
    assert len((FOLDER / "minimal.yaml").read_text(encoding="utf-8").splitlines()) < 20
