"""Standby: whom the cluster keeps out of the way, and when that is carried out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.core.observed import Unknown
from quorate.core.system import Site
from quorate.core.verdict import Level
from quorate.model.cloud import Cloud
from quorate.systems.pacemaker.cib import PROXY, vip_id
from quorate.systems.pacemaker.config import PacemakerSpec
from quorate.systems.pacemaker.drain import drain
from quorate.systems.pacemaker.judge import drained, judge
from quorate.systems.pacemaker.probe import Status, View

CLOUD = Cloud.model_validate(
    {
        "cloud": "lab",
        "networks": {"management": {"subnet": "10.1.0.0/24"}},
        "vips": {"api": {"address": "10.1.0.10"}},
        "controllers": {f"c{n}": {"addresses": {"management": f"10.1.0.{10 + n}"}} for n in (1, 2, 3)},
    }
)
SPEC = PacemakerSpec()
OWN = {name: f"10.1.0.{10 + number}" for number, name in enumerate(CLOUD.names, start=1)}


def views(standby: str = "", state: str = "", holder: str = "c1") -> dict[str, View | Unknown]:
    """All running; `standby` is in that, in this state, and `holder` has the VIP."""
    nodes = {name: (state or "standby") if name == standby else "online" for name in CLOUD.names}
    proxies = tuple(name for name in CLOUD.names if name != standby)
    started = {PROXY: proxies, vip_id("api"): (holder,)}
    status = Status(True, "c1", False, nodes, started, (), frozenset({standby} - {""}))
    return {
        name: View(True, status, frozenset({OWN[name], *(["10.1.0.10"] if name == holder else [])}), "<configuration/>")
        for name in CLOUD.names
    }


def site(*names: str) -> Site:
    return Site(CLOUD, drained=frozenset(names))


def test_the_cluster_says_who_is_drained_also_of_one_that_is_off() -> None:
    assert drained(SPEC, Site(CLOUD), views()) == frozenset()
    assert drained(SPEC, Site(CLOUD), views("c2")) == frozenset({"c2"})
    assert drained(SPEC, Site(CLOUD), views("c2", state="offline")) == frozenset({"c2"})
    assert isinstance(drained(SPEC, Site(CLOUD), dict.fromkeys(CLOUD.names, Unknown(why="off"))), Unknown)


def test_standby_is_ordered_on_the_controller_itself_as_long_as_it_is_there() -> None:
    (there,) = drain(SPEC, site("c2"), views())
    (step,) = there.wave.steps
    assert (step.host, step.disturbs) == ("c2", True)
    assert [hit.host for hit in there.hits] == ["c2"]
    (back,) = drain(SPEC, site(), views("c2"))
    assert (back.wave.steps[0].disturbs, back.hits) == (False, ())
    gone = views()
    for name, view in gone.items():
        assert isinstance(view, View)
        assert isinstance(view.status, Status)
        gone[name] = replace(view, status=replace(view.status, nodes={**view.status.nodes, "c3": "offline"}))
    (off,) = drain(SPEC, site("c3"), gone)
    assert (off.wave.steps[0].host, off.wave.gate) == ("c1", None)


def test_nothing_is_left_to_do_for_who_is_in_standby() -> None:
    assert drain(SPEC, site("c2"), views("c2")) == ()
    assert drain(SPEC, site(), views()) == ()


@pytest.mark.parametrize(
    ("ordered", "seen", "level"),
    [
        ("c2", views("c2"), Level.OK),
        ("c2", views(), Level.UNKNOWN),  # not failing, or anybody might interrupt it
        ("c2", views("c2", holder="c2"), Level.UNKNOWN),
        ("c2", views("c2", state="offline"), Level.FAILING),
        ("", views("c2"), Level.FAILING),
    ],
)
def test_it_is_out_of_the_way_when_no_vip_is_there(ordered: str, seen: dict[str, View | Unknown], level: Level) -> None:
    assert judge(SPEC, site(*filter(None, [ordered])), seen).members["c2"].level is level
