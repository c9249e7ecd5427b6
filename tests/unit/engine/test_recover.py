"""A cloud that lost its power comes back, whatever interrupts that."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from quorate.core.act import Act
from quorate.core.plan import Wave
from quorate.core.system import AnySystem, Blocked, Formation, Site, Terms
from quorate.engine.lock import held
from quorate.engine.recover import Recovered, reach, recover
from quorate.errors import QuorateError, Refused
from quorate.transport.fake import FakeHost
from toys import toyd, toydb
from worlds.machines import DATA, HOLDER, Machines, Operator, converged


def begin(spec: toydb.Toydb, site: Site, views: Mapping[str, Any], terms: Terms) -> Formation:
    """Like form, but the first one with data begins, if all others were seen or given up."""
    formed = toydb.form(spec, site, views)
    unseen = [host for host, view in views.items() if not isinstance(view, toydb.View) and host not in terms.given]
    if not isinstance(formed, Blocked) or unseen:
        return formed
    first = next(h for h, view in views.items() if isinstance(view, toydb.View) and view.may_hold_data)
    waves = toydb.form(spec, site, {h: views[h] if h == first else toydb.View("stopped", "-") for h in views})
    assert not isinstance(waves, Blocked)
    waves = [wave for wave in waves if not {step.host for step in wave.steps} & terms.given]
    given = ", ".join(sorted(terms.given))
    if not given:
        return waves
    steps = tuple(step.model_copy(update={"irreversible": f"what {given} holds"}) for step in waves[0].steps)
    return [waves[0].model_copy(update={"steps": steps}), *waves[1:]]


SYSTEMS: tuple[AnySystem, ...] = (toyd.SYSTEM, replace(toydb.SYSTEM, recover=begin))


async def dark() -> Machines:
    """Machines that have just got their power back: nothing of the cluster runs."""
    machines = await converged()
    for host in machines.hosts.values():
        for unit in host.units.values():
            unit.active = "inactive"
    return machines


async def bring_back(
    machines: Machines,
    *given: str,
    token: str = "run2",  # noqa: S107
    **more: Any,
) -> Recovered:
    operator = Operator(machines, systems=SYSTEMS, token=token)
    op = operator.operation()
    await reach(op, given)
    async with held(op.transports, token, HOLDER, sleep=machines.time.wait, patience=machines.time.pass_by):
        return await recover(op, given, **more)


def well(machines: Machines) -> bool:
    units = ("toydb.service", "toyd.service")
    return all(machines.is_well(host, unit) for host in machines.hosts.values() for unit in units if not host.down)


async def test_a_dark_cloud_comes_back_and_keeps_its_data() -> None:
    machines = await dark()
    before = {name: host.paths[DATA].content for name, host in machines.hosts.items()}
    done = await bring_back(machines)
    assert well(machines)
    assert {name: host.paths[DATA].content for name, host in machines.hosts.items()} == before
    assert machines.bootstraps == ["c1"]
    assert [phase.system for phase in done.phases][:1] == ["toydb"]
    assert done.left == ()


async def test_on_a_cloud_that_is_well_it_does_nothing() -> None:
    machines = await converged()
    done = await bring_back(machines)
    assert (done.acts, machines.acts) == (0, [])


async def test_a_controller_that_does_not_come_back_is_waited_for_and_then_named() -> None:
    machines = await dark()
    machines.hosts["c2"].down = "no route"
    with pytest.raises(Refused, match="c2 cannot be seen"):
        await bring_back(machines)
    assert machines.acts == []


async def test_what_is_given_up_is_agreed_to_first() -> None:
    machines = await dark()
    machines.hosts["c2"].down = "no route"
    shown: list[str] = []

    def agree(waves: tuple[Wave, ...]) -> None:
        shown.extend(step.irreversible for wave in waves for step in wave.steps)
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        await bring_back(machines, "c2", agree=agree)
    assert (shown, machines.acts) == (["what c2 holds"], [])
    machines.settle()
    done = await bring_back(machines, "c2", token="run3")
    assert done.left == ("c2",)
    assert well(machines)


class Killed(BaseException):
    """The operator is gone."""


async def test_cut_off_before_any_act_and_run_again_it_ends_the_same() -> None:
    whole = await dark()
    await bring_back(whole)
    total = len(whole.acts)
    assert total
    for cut in range(1, total + 1):
        machines = await dark()
        count = 0

        def strike(_host: FakeHost, _act: Act, *, at: int = cut) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise Killed

        machines.before_act = strike
        with pytest.raises((Killed, QuorateError)):
            await bring_back(machines)
        machines.before_act = lambda _host, _act: None
        machines.settle()
        await bring_back(copy.copy(machines), token=f"again{cut}")
        assert well(machines), cut
        assert {h.paths[DATA].content for h in machines.hosts.values()} == {"cluster1"}
