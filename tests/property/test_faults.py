"""Every fault of clouds of any size: nothing is done to whom the cloud does not know, or without its cure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.core.fault import GroundAct, OnGround, OnHost, Step
from quorate.faults import catalogue
from worlds.drilled import EVERY_ACT, drilled


def hosts(*steps: Step) -> set[str]:
    on_host = {step.host for step in steps if isinstance(step, OnHost)}
    return on_host | {host for step in steps if isinstance(step, OnGround) for host in step.hosts}


@given(st.integers(1, 7), st.data(), st.sets(st.sampled_from(sorted(EVERY_ACT))))
def test_every_fault_is_whole(count: int, data: st.DataObject, ground: set[GroundAct]) -> None:
    site, systems = drilled(count)
    target = data.draw(st.sampled_from(site.cloud.names))
    for kind, offer in catalogue(site, systems, {"virtual-ip": target}, frozenset(ground)).items():
        fault = offer.on(target)
        assert fault.kind == kind
        touched = hosts(*fault.set_up, *fault.inject, *fault.heal, *fault.tear_down)
        assert touched | set(fault.hosts) <= set(site.cloud.names)
        assert 0 <= fault.lost <= count
        acts = {step.act for step in (*fault.inject, *fault.heal) if isinstance(step, OnGround)}
        assert acts <= ground or fault.unsupported
        if kind != "rolling-restart":  # ends whole by itself
            assert hosts(*fault.inject) <= hosts(*fault.heal)
        assert hosts(*fault.set_up) == hosts(*fault.tear_down)
