from __future__ import annotations

import shlex

from quorate.core.fault import AwaitWell, Fault, OnGround, OnHost, Step
from quorate.faults.deadman import armed, as_shell


def fault(
    inject: tuple[Step, ...], heal: tuple[Step, ...], set_up: tuple[Step, ...] = (), tear_down: tuple[Step, ...] = ()
) -> Fault:
    return Fault("kind", "told", (), inject, heal, set_up=set_up, tear_down=tear_down, hold=12.0)


def argv(step: Step) -> tuple[str, ...]:
    assert isinstance(step, OnHost)
    return step.argv


def test_the_first_act_on_a_host_arms_and_its_last_cure_disarms() -> None:
    acts = (OnHost("a", ("one",), "input"), OnHost("b", ("two",)), OnHost("a", ("three",)))
    cures = (OnHost("a", ("mend one",)), OnHost("a", ("mend three",), "fed"), OnHost("b", ("mend two",)))
    made = armed(fault(acts, cures), 60.0)
    assert argv(made.inject[0])[-1] == "one"
    assert made.inject[0].stdin == "input"  # type: ignore[union-attr]
    assert "72.000" in argv(made.inject[0])
    assert made.inject[2] == acts[2]
    assert made.heal[0] == cures[0]
    assert argv(made.heal[1])[-1] == "mend three"
    assert made.lapse == 72.0
    cure = next(word for word in argv(made.inject[0]) if word.startswith("failed=0"))
    assert "'mend one' || failed=1\nprintf %s fed | 'mend three' || failed=1\n" in cure
    assert "two" not in cure


def test_what_has_no_cure_on_its_host_is_left_as_it_is() -> None:
    acts = (OnGround("power-off", ("a",)), OnHost("a", ("restart",)))
    made = armed(fault(acts, (OnGround("power-on", ("a",)),)), 60.0)
    assert made.inject == acts
    assert made.lapse == 0.0


def test_what_is_armed_stays_as_it_is() -> None:
    once = armed(fault((OnHost("a", ("x",)),), (OnHost("a", ("y",)),)), 0.0)
    assert armed(once, 60.0) == once


def test_what_is_set_up_has_longer_for_it_is_undone_last() -> None:
    act, cure = OnHost("a", ("x",)), OnHost("a", ("y",))
    made = armed(fault((act,), (cure,), (act, AwaitWell(100.0)), (cure, AwaitWell(100.0))), 60.0)
    assert "72.000" in argv(made.inject[0])
    assert "232.000" in argv(made.set_up[0])
    assert made.tear_down[1] == AwaitWell(100.0)
    names = {word for step in (made.inject[0], made.set_up[0]) for word in argv(step) if word.startswith("quorate")}
    assert names == {"quorate-drill-undo-kind", "quorate-drill-undo-kind-set-up"}


def test_any_command_can_be_written_as_shell() -> None:
    step = OnHost("a", ("sh", "-c", "echo \"$1\" 'x y'", "sh", "it's $HOME\n"), "a 'quoted' %s\n")
    assert shlex.split(as_shell(step).removesuffix(" || failed=1\n")) == ["printf", "%s", step.stdin, "|", *step.argv]
