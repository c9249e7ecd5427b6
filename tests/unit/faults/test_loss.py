from __future__ import annotations

import pytest

from quorate.core.drill import Drills, Process
from quorate.core.fault import MACHINE, Hit, Loss, OnGround, OnHost
from quorate.errors import InvalidInput
from quorate.faults import armed, losable, lost
from worlds.clouds import site
from worlds.drilled import EVERY_ACT, drilled
from worlds.systems import Word, made

HOLD = 12.0


def test_machines_and_processes_can_be_lost_by_the_model_s_names() -> None:
    there, systems = drilled()
    ways = losable(there, systems, EVERY_ACT, HOLD)
    assert set(ways) == {f"{what}c{number}" for what in ("", "web on ", "quiet on ") for number in (1, 2, 3)}


def test_no_machine_is_lost_where_no_cable_can_be_cut() -> None:
    there, systems = drilled()
    assert "c1" not in losable(there, systems, frozenset(), HOLD)


def test_what_brings_its_machine_back_cannot_stay_lost() -> None:
    fenced = Process("web", "web.service", fenced=frozenset({Loss.REFUSED}))
    drills: Drills[Word] = Drills(processes=lambda _spec, _site: (fenced,))
    one = made("web", drills=drills)
    assert "web on c1" not in losable(site(one), (one,), EVERY_ACT, HOLD)


def test_several_are_lost_at_once_and_healed_together() -> None:
    there, systems = drilled()
    fault = lost(("c1", "web on c2", "c1"), losable(there, systems, EVERY_ACT, HOLD))
    assert fault.parts == ("c1", "web on c2")
    assert fault.lost == 2
    assert fault.hits == (Hit("c1", MACHINE, Loss.SILENT), Hit("c2", "web", Loss.REFUSED))
    assert [step for step in fault.inject if isinstance(step, OnGround)] == [OnGround("cut", ("c1",))]
    assert [step for step in fault.heal if isinstance(step, OnGround)] == [OnGround("plug", ("c1",))]
    assert fault.hold == HOLD


def test_its_manager_is_told_beforehand_and_may_start_it_again_in_the_end() -> None:
    there, systems = drilled()
    fault = armed(lost(("web on c2",), losable(there, systems, EVERY_ACT, HOLD)))
    (before,), (after,) = fault.set_up, fault.tear_down
    assert isinstance(before, OnHost)
    assert isinstance(after, OnHost)
    assert "Restart=no" in " ".join(before.argv)
    assert "/run/systemd/system/web.service.d" in before.argv
    assert "/run/systemd/system/web.service.d" in after.argv


@pytest.mark.parametrize("parts", [("c1", "c9", "tea on c1"), ()])
def test_what_cannot_be_lost_is_named_and_what_can_is_listed(parts: tuple[str, ...]) -> None:
    there, systems = drilled()
    with pytest.raises(InvalidInput) as caught:
        lost(parts, losable(there, systems, EVERY_ACT, HOLD))
    assert ("c9, tea on c1" if parts else "nothing") in caught.value.message
    assert "web on c1" in caught.value.hint
