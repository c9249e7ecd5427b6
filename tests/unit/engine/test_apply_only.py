from __future__ import annotations

import pytest

from quorate.core.verdict import Level
from quorate.engine.apply import look
from quorate.errors import Refused
from worlds.machines import Operator, converged

CHANGED = 9
"""So many workers of toyd: its file, and so its unit, differ on every controller."""


async def test_only_one_system_is_changed_and_the_drift_of_others_is_not_taken_amiss() -> None:
    machines = await converged()
    operator = Operator(machines, workers=CHANGED, port=7701)
    outcome = await operator.apply(only=("toyd",))
    assert outcome.verdict.is_ok, outcome.verdict.reason
    assert outcome.elsewhere == {}
    assert {act.rpartition(" ")[2] for act in machines.acts} == {"/etc/toyd.conf", "toyd.service"}
    assert (await operator.apply(only=("toyd",))).plan.is_empty
    assert not (await operator.apply()).plan.is_empty, "the other's change is still to do"


async def test_whoever_is_ill_beside_it_is_named() -> None:
    machines = await converged()
    machines.hosts["c3"].units["toydb.service"].active = "failed"
    outcome = await Operator(machines, workers=CHANGED).apply(only=("toyd",))
    assert outcome.verdict.is_ok
    assert outcome.elsewhere["toydb"].level is Level.FAILING
    assert machines.hosts["c3"].units["toydb.service"].active == "failed"


async def test_a_plan_for_one_system_is_not_taken_for_one_of_all() -> None:
    machines = await converged()
    operator = Operator(machines, workers=CHANGED)
    approved = (await look(operator.operation(), only=("toyd",))).plan
    with pytest.raises(Refused):
        await operator.apply(approved=approved)
    assert (await operator.apply(approved=approved, only=approved.only)).verdict.is_ok
