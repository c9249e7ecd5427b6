"""How long a plan takes: at most by limits that apply holds, and about by what the like took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.plan import as_text
from quorate.core.act import Act, Install, Run, SetUnit, WriteFile
from quorate.core.lasting import DEADLINE, POLL, granted, limit, timed
from quorate.core.plan import Gate, Plan, Step, Wave
from quorate.transport.request import act_request
from worlds.systems import made

SYSTEM = made("galera", settle=60.0)
RESTART = SetUnit(name="mariadb.service", verb="restart")
FILE = WriteFile(path="/etc/x", content="", mode=0o644, owner="root", group="root")
ACTS = (RESTART, FILE, Install(packages=("galera-4",)), Run(title="sync", argv=("sync",), timeout=300.0))


def restart(host: str, *acts: Act) -> Wave:
    step = Step(host=host, title=f"galera on {host}", acts=acts or (FILE, RESTART), disturbs=True)
    gate = Gate(system="galera", members=(host,), timeout=60.0)
    return Wave(title=f"galera: {host}", system="galera", steps=(step,), gate=gate)


def plan(*waves: Wave, drained: tuple[str, ...] = ()) -> Plan:
    return timed(Plan(cloud="lab", made="now", waves=waves, world="", drained=drained), (SYSTEM,))


def test_the_guess_is_what_was_measured_for_what_it_rests_on() -> None:
    found = plan(restart("c1"), restart("c2"), restart("c3")).takes
    assert found is not None
    assert found.about == pytest.approx(19.0, abs=1.0)
    assert "decision 6" in found.source


def test_the_bound_is_all_limits_one_after_the_other() -> None:
    found = plan(restart("c1"))
    wave = DEADLINE + granted((FILE, RESTART)) + 60.0 + POLL + DEADLINE
    assert found.waves[0].takes is not None
    assert found.waves[0].takes.most == wave
    assert found.takes is not None
    assert found.takes.most == DEADLINE + wave + 60.0 + POLL + DEADLINE


def test_steps_of_a_wave_are_done_side_by_side() -> None:
    steps = tuple(Step(host=host, title="prepare", acts=(FILE, FILE)) for host in ("c1", "c2"))
    (wave,) = plan(Wave(title="prepare", steps=steps)).waves
    assert wave.takes is not None
    assert (wave.takes.about, wave.takes.most) == (0.0, granted((FILE, FILE)))


@given(st.lists(st.sampled_from(ACTS), max_size=6))
def test_a_controller_is_given_what_the_plan_says(acts: list[Act]) -> None:
    assert act_request("run", "lease", acts).timeout == granted(acts) >= sum(map(limit, acts))


@given(st.lists(st.sampled_from(ACTS), min_size=1, max_size=6), st.integers(1, 4))
def test_a_guess_is_below_its_bound_and_more_waves_take_longer(acts: list[Act], count: int) -> None:
    fewer, more = plan(*[restart("c1", *acts)] * count).takes, plan(*[restart("c1", *acts)] * (count + 1)).takes
    assert fewer is not None
    assert more is not None
    assert fewer.most is not None
    assert more.most is not None
    assert fewer.about < fewer.most < more.most
    assert fewer.about < more.about


def test_nothing_takes_no_time_and_who_is_drained_bounds_nothing() -> None:
    assert plan().takes is None
    bound = plan(restart("c1"), drained=("c2",))
    assert bound.takes is not None
    assert bound.takes.most is None
    assert "takes in all about 8 s, nothing bounds it" in as_text(bound)


def test_people_and_programs_read_it() -> None:
    told = as_text(plan(restart("c1")))
    assert "   takes about 6 s, at most 8 min" in told
    assert "takes in all about 8 s, at most 10 min" in told
    assert "  about: a guess; lab machines" in told
    assert plan(restart("c1")).model_dump(mode="json")["waves"][0]["takes"]["most"] > 0
