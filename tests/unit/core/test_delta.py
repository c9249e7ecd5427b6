from __future__ import annotations

from typing import Any

import pytest

from quorate.core.act import SetUnit, WriteFile
from quorate.core.delta import Delta, delta, inputs_digest
from quorate.core.observed import Absent, Seen, SysctlSeen, Unknown
from quorate.core.resource import File, Package, Sysctl, Unit
from quorate.core.secret import Secrets, reference
from worlds.clouds import NO_SECRETS, file_seen, host_seen, in_place, nothing_there, stamp, unit_seen

CONF = File("/etc/d.conf", "a = 1\n")
MORE = File("/etc/more.conf", "b = 1\n")
UNIT = Unit("d.service", inputs=(CONF.path, MORE.path))
ALL = (Package("d"), CONF, MORE, UNIT)
GOOD = inputs_digest(UNIT, {CONF.path: CONF, MORE.path: MORE}, NO_SECRETS)

RIGHT, EDITED = file_seen(CONF), file_seen(CONF, text="a = 2\n", mtime=300.0)
RIGHT_MORE = file_seen(MORE)
MENDED = file_seen(CONF, mtime=300.0)
"""Right again, but written after the unit began."""


def compared(conf: Seen, unit: Seen, wanted: Unit = UNIT) -> Delta:
    seen = in_place((Package("d"), CONF, MORE)) | {CONF.id: conf, UNIT.id: unit}
    return delta((Package("d"), CONF, MORE, wanted), host_seen(seen), NO_SECRETS)


def verbs(found: Delta) -> dict[str, list[str]]:
    """Say what is done to the unit, by where it stands."""
    parts = {"quiet": found.quiet, "disturbing": found.disturbing, "starting": found.starting}
    return {part: [str(act) for change in changes for act in change.acts] for part, changes in parts.items() if changes}


WRITE = "write /etc/d.conf"
RESTART = {"disturbing": ["restart d.service"]}
WRITE_AND_RESTART = {"quiet": [WRITE], **RESTART}

HAS_LOADED: dict[str, tuple[Seen, Seen, dict[str, list[str]]]] = {
    "our stamp proves it": (RIGHT, unit_seen(stamp=stamp(GOOD)), {}),
    "our stamp proves it, whatever the times say": (MENDED, unit_seen(stamp=stamp(GOOD)), {}),
    "rebooted: another invocation, files older than it": (RIGHT, unit_seen(stamp=stamp(GOOD, "i0")), {}),
    "somebody restarted it after the file was written": (MENDED, unit_seen(started=301.0, stamp=stamp("old")), {}),
    "a stamp of other inputs, a file newer than the process": (MENDED, unit_seen(stamp=stamp("old")), RESTART),
    "another invocation's stamp, a file newer than the process": (MENDED, unit_seen(stamp=stamp(GOOD, "i0")), RESTART),
    "no stamp, files older": (RIGHT, unit_seen(), {}),
    "no stamp, a file newer": (MENDED, unit_seen(), RESTART),
    "hand-edited, mended: what runs never saw it": (EDITED, unit_seen(stamp=stamp(GOOD)), {"quiet": [WRITE]}),
    "hand-edited and restarted by hand: what runs has loaded it": (
        EDITED,
        unit_seen(invocation="i2", started=301.0, stamp=stamp(GOOD, "i1")),
        WRITE_AND_RESTART,
    ),
    "the cloud file asks for something new": (EDITED, unit_seen(stamp=stamp("old")), WRITE_AND_RESTART),
    "changed and no stamp": (EDITED, unit_seen(started=301.0), WRITE_AND_RESTART),
    "an input is absent": (Absent(), unit_seen(started=301.0), WRITE_AND_RESTART),
}


@pytest.mark.parametrize(("conf", "unit", "wanted"), HAS_LOADED.values(), ids=HAS_LOADED)
def test_a_running_unit_is_restarted_only_if_it_has_not_loaded_its_inputs(
    conf: Seen, unit: Seen, wanted: dict[str, list[str]]
) -> None:
    assert verbs(compared(conf, unit)) == wanted


def test_an_input_that_could_not_be_seen_proves_nothing() -> None:
    found = compared(Unknown(why="permission denied"), unit_seen())
    assert found.unknown == ("file:/etc/d.conf: permission denied",)
    assert verbs(found) == RESTART


def unit(**more: Any) -> Unit:
    return Unit("d.service", inputs=UNIT.inputs, **more)


STOPPED = unit(state="stopped", enabled=False)
STATES: dict[str, tuple[Unit, Seen, dict[str, list[str]]]] = {
    "absent": (unit(), Absent(), {"starting": ["enable and start d.service"]}),
    "inactive": (unit(), unit_seen("inactive"), {"starting": ["start d.service"]}),
    "failed": (unit(), unit_seen("failed"), {"starting": ["start d.service"]}),
    "deactivating": (unit(), unit_seen("deactivating"), {"starting": ["start d.service"]}),
    "activating": (unit(), unit_seen("activating"), {}),
    "reloading": (unit(), unit_seen("reloading"), {}),
    "inactive and disabled": (unit(), unit_seen("inactive", "disabled"), {"starting": ["enable and start d.service"]}),
    "active and disabled": (unit(), unit_seen("active", "disabled"), {"quiet": ["enable d.service"]}),
    "enabled until the next boot": (unit(), unit_seen("active", "enabled-runtime"), {}),
    "static is as enabled as it can be": (unit(), unit_seen("active", "static"), {}),
    "inactive and static": (unit(), unit_seen("inactive", "static"), {"starting": ["start d.service"]}),
    "not to be enabled, and is": (unit(enabled=False), unit_seen(), {"quiet": ["disable d.service"]}),
    "not to be enabled, and is not": (unit(enabled=False), unit_seen(enabled="disabled"), {}),
    "formed, absent": (unit(state="formed"), Absent(), {"quiet": ["enable d.service"]}),
    "formed, inactive: its system starts it": (unit(state="formed"), unit_seen("inactive"), {}),
    "formed, inactive and disabled": (
        unit(state="formed"),
        unit_seen("inactive", "disabled"),
        {"quiet": ["enable d.service"]},
    ),
    "formed, active": (unit(state="formed"), unit_seen(), {}),
    "stopped, absent": (STOPPED, Absent(), {}),
    "stopped, and is": (STOPPED, unit_seen("inactive", "disabled"), {}),
    "stopped, static": (STOPPED, unit_seen("inactive", "static"), {}),
    "stopped, active": (STOPPED, unit_seen(), {"disturbing": ["disable and stop d.service"]}),
    "stopped, enabled": (STOPPED, unit_seen("inactive"), {"quiet": ["disable d.service"]}),
    "stopped, though the file says enabled": (
        unit(state="stopped"),
        unit_seen("inactive"),
        {"quiet": ["disable d.service"]},
    ),
}


@pytest.mark.parametrize(("wanted", "seen", "acts"), STATES.values(), ids=STATES)
def test_unit_states(wanted: Unit, seen: Seen, acts: dict[str, list[str]]) -> None:
    assert verbs(compared(RIGHT, seen, wanted)) == acts


@pytest.mark.parametrize("on_change", ["restart", "reload"])
@pytest.mark.parametrize("state", ["running", "formed"])
def test_a_changed_input_is_taken_as_the_unit_takes_it(on_change: Any, state: Any) -> None:
    found = compared(EDITED, unit_seen(), unit(on_change=on_change, state=state))
    assert verbs(found) == {"quiet": [WRITE], "disturbing": [f"{on_change} d.service"]}


SOFT = unit(reloads=(CONF.path,))
TAKEN: dict[str, tuple[Seen, Seen, Unit, list[str]]] = {
    "what it takes by a reload": (EDITED, RIGHT_MORE, SOFT, ["reload d.service"]),
    "written, and the run died before the reload": (MENDED, RIGHT_MORE, SOFT, ["reload d.service"]),
    "what it must be restarted for": (RIGHT, file_seen(MORE, text="b = 2\n"), SOFT, ["restart d.service"]),
    "written, and the run died before the restart": (RIGHT, file_seen(MORE, mtime=300.0), SOFT, ["restart d.service"]),
    "both": (EDITED, file_seen(MORE, text="b = 2\n"), SOFT, ["restart d.service"]),
    "a unit that takes all by a reload": (EDITED, RIGHT_MORE, unit(on_change="reload"), ["reload d.service"]),
}


@pytest.mark.parametrize(("conf", "more", "wanted", "verb"), TAKEN.values(), ids=TAKEN)
def test_a_reload_does_where_all_else_is_what_it_began_with(conf: Seen, more: Seen, wanted: Unit, verb: Any) -> None:
    seen = {CONF.id: conf, MORE.id: more, UNIT.id: unit_seen(stamp=stamp("old"))}
    found = delta((CONF, MORE, wanted), host_seen(seen), NO_SECRETS)
    assert verbs(found)["disturbing"] == verb


def test_what_never_came_up_is_restarted_with_what_may_help_it() -> None:
    seen: dict[str, Seen] = {CONF.id: EDITED, MORE.id: RIGHT_MORE, UNIT.id: unit_seen("activating")}
    assert verbs(delta((CONF, MORE, SOFT), host_seen(seen), NO_SECRETS))["disturbing"] == ["restart d.service"]


def test_every_act_that_loads_says_what_the_stamp_records() -> None:
    acts = {
        "restart": compared(EDITED, unit_seen()).disturbing,
        "start": compared(RIGHT, unit_seen("inactive")).starting,
        "none": compared(RIGHT, unit_seen(enabled="disabled")).quiet,
        "stop": compared(RIGHT, unit_seen(), STOPPED).disturbing,
    }
    stamps = {
        verb: act.inputs
        for verb, changes in acts.items()
        for c in changes
        for act in c.acts
        if isinstance(act, SetUnit)
    }
    assert stamps == {"restart": GOOD, "start": GOOD, "none": "", "stop": ""}


def test_the_digest_follows_content_and_secrets_and_not_the_order() -> None:
    secret = File(CONF.path, f"pw = {reference('pw')}\n")
    files = {CONF.path: secret, MORE.path: MORE}
    first = inputs_digest(UNIT, files, Secrets({"pw": "one"}))
    assert first == inputs_digest(Unit("d.service", inputs=UNIT.inputs[::-1]), files, Secrets({"pw": "one"}))
    assert first != inputs_digest(UNIT, files, Secrets({"pw": "two"}))
    assert first != inputs_digest(UNIT, {CONF.path: CONF, MORE.path: MORE}, NO_SECRETS)


def test_a_fresh_machine_gets_everything_and_nothing_is_disturbed() -> None:
    found = delta(ALL, host_seen(nothing_there(ALL)), NO_SECRETS)
    assert verbs(found) == {
        "quiet": ["install d", WRITE, "write /etc/more.conf"],
        "starting": ["enable and start d.service"],
    }
    assert found.unknown == ()


def test_a_machine_that_is_as_it_should_be_gets_nothing() -> None:
    assert delta(ALL, host_seen(in_place(ALL)), NO_SECRETS) == Delta()


def test_what_was_not_looked_for_is_unknown_and_never_absent() -> None:
    found = delta(ALL, host_seen({}), NO_SECRETS)
    assert verbs(found) == {}
    assert found.unknown == tuple(
        f"{what}: it was not looked for"
        for what in ("package:d", "file:/etc/d.conf", "file:/etc/more.conf", "unit:d.service")
    )


def test_a_unit_that_could_not_be_seen_is_not_touched() -> None:
    found = compared(EDITED, Unknown(why="systemctl show: timeout"))
    assert found.unknown == ("unit:d.service: systemctl show: timeout",)
    assert verbs(found) == {"quiet": [WRITE]}


def test_what_a_unit_does_not_load_restarts_nothing() -> None:
    sysctl = Sysctl("net.x", "1")
    motd = File("/etc/motd", "hello\n")
    seen = in_place(ALL) | {motd.id: Absent(), sysctl.id: SysctlSeen(value="0", kept=None)}
    found = delta((*ALL, motd, sysctl), host_seen(seen), NO_SECRETS)
    assert verbs(found) == {"quiet": ["write /etc/motd", "set net.x=1"]}
    assert isinstance(found.quiet[0].acts[0], WriteFile)
