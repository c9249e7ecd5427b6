"""What is expected of every fault on the example of three controllers, as a person reviews it: `forecasts.txt`.

`QUORATE_BLESS=1 pytest tests/golden` writes it again after a wanted change.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from quorate.cli import files
from quorate.core.aim import predictions
from quorate.core.failure import Prediction
from quorate.core.system import site_of
from quorate.faults import catalogue

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/three-controllers.yaml"
GOLDEN = Path(__file__).with_name("forecasts.txt")
ROLES = {"virtual-ip": "controller1", "writer": "controller2"}
"""Apart, so that what comes of the one and of the other can be told."""
SURVIVES = 1


def lines_of(told: Prediction) -> Iterator[str]:
    bound = "no bound" if told.seconds is None else f"{told.seconds:.2f} s"
    yield f"    {told.function:17} {bound}"
    for pause in told.chain:
        yield f"        {pause.because}: " + " + ".join(f"{stage.seconds:.2f} {stage.name}" for stage in pause.stages)


def forecasts() -> str:
    cloud, systems = files.load_cloud(EXAMPLE)
    site = site_of(cloud, systems)
    text = []
    for offer in catalogue(site, systems, ROLES).values():
        fault = offer.on()
        text.append(f"{fault.kind}: {fault.summary}")
        if fault.lost <= SURVIVES:
            text += [line for told in predictions(site, systems, ROLES, fault) for line in lines_of(told)]
    return "\n".join(text) + "\n"


def test_every_fault_is_expected_to_do_what_was_reviewed() -> None:
    if os.environ.get("QUORATE_BLESS"):
        GOLDEN.write_text(forecasts(), encoding="utf-8")
    assert forecasts() == GOLDEN.read_text(encoding="utf-8")
