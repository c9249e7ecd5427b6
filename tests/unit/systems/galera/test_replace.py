"""An empty machine joins a cluster that others write to: who gives the copy, and when the place is not free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.core.observed import Unknown
from quorate.core.system import Blocked, Site
from quorate.model.cloud import Cloud
from quorate.systems.galera.config import Galera
from quorate.systems.galera.form import form, occupied
from quorate.systems.galera.probe import Contents, Data, Health, Saved, Status, View

UUID = "6b5f2d0c-0000-11ee-8c99-0242ac120002"
CLOUD = Cloud.model_validate(
    {
        "cloud": "lab",
        "networks": {"management": {"subnet": "10.1.0.0/24"}},
        "vips": {"api": {"address": "10.1.0.10"}},
        "controllers": {f"c{n}": {"addresses": {"management": f"10.1.0.{10 + n}"}} for n in (1, 2, 3)},
    }
)
SITE, SPEC = Site(CLOUD), Galera()
PRIMARY = View(
    "active",
    Data(exists=True, was_member=True),
    Status("Primary", "Synced", UUID, ready=True, connected=True, size=2, view=7, last_committed=9),
    Contents(frozenset(), frozenset(), frozenset()),
    Health(200, "Synced"),
)
EMPTY = View("inactive", Data(exists=True), Unknown(why="stopped"), Unknown(why="stopped"), Unknown(why="stopped"))
HOLDER = replace(EMPTY, data=Data(exists=True, schemas=("nova",), saved=Saved(UUID, 8, safe_to_bootstrap=False)))


def seen(third: View | Unknown, size: int = 2) -> dict[str, View | Unknown]:
    """Two in a component of that size, and the third."""
    assert isinstance(PRIMARY.status, Status)
    one = replace(PRIMARY, status=replace(PRIMARY.status, size=size))
    return {"c1": one, "c2": one, "c3": third}


def test_who_gives_the_copy_serves_nobody_meanwhile() -> None:
    waves = form(SPEC, SITE, seen(EMPTY))
    assert not isinstance(waves, Blocked)
    impact = waves[-1].impact
    assert impact is not None
    assert (impact.donor, impact.left, impact.least) == ("c2", 1, 1)


@pytest.mark.parametrize(
    ("views", "why"),
    [
        (seen(EMPTY), ""),
        (seen(PRIMARY, 3), ""),  # it has joined: a run that was interrupted goes on
        (seen(Unknown(why="off")), ""),  # that it must answer is asked elsewhere
        (seen(HOLDER), "no empty one"),
        (seen(EMPTY, 3), "the others count 3 members, of which 2 were seen"),
    ],
)
def test_a_place_is_free_for_an_empty_machine_only(views: dict[str, View | Unknown], why: str) -> None:
    said = occupied(SPEC, SITE, views, "c3")
    assert (why in said, bool(said)) == (True, bool(why))
